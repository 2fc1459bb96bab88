"""What any plan brings: a table of scenarios, each in every posterior draw.

All plans go through one compiled program, one after another, so that memory does not grow
with their number, and another number of them compiles nothing (up to the next power of
two). The random numbers of noise in spend belong to a draw, geo, channel and period, not to
a plan: plans are compared under the same luck.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
import xarray as xr
from jaxtyping import Array, Float

from mmmjax.arguments import checked
from mmmjax.budget.algebra import valued
from mmmjax.budget.cash import cash_flow
from mmmjax.budget.curves import ResponseCurves
from mmmjax.budget.given import Spend, campaigns_of, costs_of, named_plans, spend_of
from mmmjax.budget.horizon import CarryIn, Form, Response, Window, block_of, response_of
from mmmjax.budget.prepare import Fits, Prepared, prepare, value_of
from mmmjax.budget.record import ENDS, PROB, condition_of, intervals
from mmmjax.budget.region import ROUNDING
from mmmjax.budget.scenario import Plan
from mmmjax.budget.solve import fail_not_finite
from mmmjax.budget.utility import Utility, as_utility, bind
from mmmjax.budget.utility import check as check_utility
from mmmjax.checks import Phrase, fail, integer, number
from mmmjax.shapes import CHANNEL, DRAW, GEO

__all__ = ["evaluate", "scenarios_table"]

PLAN, UTILITY = "plan", "utility"
FEWEST = 8  # places for plans in the smallest program
TOGETHER = 8  # plans evaluated at once where the device is wide
ALL = "ALL"  # row of a table that is the sum over channels


@checked
def evaluate(
    fit: Fits, plans: Any, *, periods: int | None = None, utilities: Any = (),
    spend_noise: float = 0.0, seed: int = 0, reference: Any = None,
    per_period: bool | None = None, flighting: Any = "even",
    carry_in: CarryIn | None = None, cost_per_unit: Any = None,
    discount_rate: float | None = None, max_draws: int | None = None, prob: float = PROB,
) -> xr.Dataset:  # fmt: skip
    """Compare plans: what each spends and brings, in every posterior draw.

    A plan is a :class:`~mmmjax.budget.scenario.Plan`, {channel: money} (others keep the
    reference; {market: {channel: money}} with several fits), an array (channel,) or (geo,
    channel), or None, the reference. Alone it is compared with the (its own) reference,
    several with the first.

    Args:
        fit: A fit, fits by market, or response curves, as :func:`mmmjax.optimize` takes.
        plans: One plan, a list of plans, or {name: plan}.
        periods: Length of the window; None: that of the first Plan.
        utilities: Utilities whose exact value is added, as :func:`mmmjax.optimize` takes
            them; the first plan is their reference.
        spend_noise: Relative standard deviation, at least 0, of what is spent in a geo,
            channel and period (the whole window with response curves): lognormal, mean 1.
        seed: Of the noise.
        reference: As in :func:`mmmjax.optimize`; None: that of a Plan, else past spend.
        per_period: Money given and returned is a period's; None: as in the first Plan.
        flighting: "even", or weights of the periods as in :func:`mmmjax.optimize`. A Plan
            brings its own (its reference does not).
        carry_in: "zero" or "history"; None: that of the first Plan, else "zero".
        cost_per_unit: As in :func:`mmmjax.optimize`; None: that of the first Plan.
        discount_rate: What money loses a year, at least 0: 0.08 is 8%; None: no question
            of when. Needs `outcome_value` and dates (:mod:`mmmjax.budget.cash`).
        max_draws: Use at most this many draws, evenly spaced; None: all.
        prob: Probability inside every [lo, hi], a highest-density interval.

    Returns:
        Attribute condition. Money: ``spend`` (plan, geo, channel), ``total_spend`` (plan,);
        ``extrapolated`` (plan, geo, channel): whether some period spends more than any of
        training. Responses over the window and its tail, outcome units: ``response`` (plan,
        draw) and ``response_mean``, ``_lo``, ``_hi`` (plan,); ``gain_mean``, ``_lo``,
        ``_hi`` over the first plan and ``probability_better``, NaN for the first;
        ``channel_mean``, ``_lo``, ``_hi`` (plan, channel). Outcome per money: ``roas``,
        ``roas_lo``, ``roas_hi`` (plan,) and ``channel_roas``, ``_lo``, ``_hi`` (plan,
        channel), NaN without spend; with `outcome_value` (a plan of levers: at its margin)
        ``net_mean``, ``_lo``, ``_hi`` over the first plan and ``probability_net`` (money
        after the cost of media, NaN for the first); ``mroas`` (plan, channel) of one more
        unit, over geos as the channel's (else the reference); ``marginal`` (plan, geo,
        channel), NaN for a channel that a market lacks. ``utility_value`` (plan, utility).
        With `discount_rate` those of :func:`mmmjax.budget.cash.cash_flow`.

    Raises:
        InputError: Plans that cannot be read or do not belong together.
    """
    noise = number("spend_noise", spend_noise, low=0.0, fix="spend_noise=0.1")
    seed = integer("seed", seed, low=0, fix="seed=0")
    prob = number("prob", prob, low=0.0, high=1.0, open_low=True, open_high=True)
    prepared, value = _prepared(
        fit, plans, periods=periods, reference=reference, per_period=per_period,
        flighting=flighting, carry_in=carry_in, cost_per_unit=cost_per_unit,
        max_draws=max_draws,
    )  # fmt: skip
    one = isinstance(utilities, str | Utility) or callable(utilities)
    each: Any = [utilities] if one else utilities
    wanted = tuple(valued(as_utility(u), value) for u in each)
    for utility in wanted:
        check_utility(utility, len(prepared.layout.channels))
    named = named_plans(plans, prepared, reference)
    spends = {n: spend_of(prepared, f'plan "{n}"', plan) for n, plan in named.items()}
    with jax.enable_x64(True):
        found = _answers(prepared, list(spends.values()), wanted, noise, seed, prob)
    out = _dataset(prepared, spends, found, prob, value)
    if discount_rate is not None:
        how = noise, value, discount_rate, prob
        out = out.assign(cash_flow(prepared, [*spends.values()], *how))
    if wanted:
        out = out.assign_coords({UTILITY: list(map(str, wanted))})
        out["utility_value"] = ((PLAN, UTILITY), found.worth)
    return out.assign_attrs(spend_noise=noise, seed=seed)


@checked
def scenarios_table(found: xr.Dataset) -> pd.DataFrame:
    """Rows of scenarios.csv: one per plan and channel, and channel "ALL", their sum.

    Columns: plan, channel, spend (money as in the dataset), response_mean, response_lo,
    response_hi, roas, roas_lo, roas_hi, mroas, gain_mean, gain_lo, gain_hi,
    probability_better, where known net_mean, net_lo, net_hi, probability_net (money after
    the cost of media), with a discount rate npv_mean, npv_lo, npv_hi, probability_npv
    (money when the window begins), break_even (a date, or empty), extrapolated,
    one per utility, and condition (the attribute); empty where a number has no meaning for
    the row.
    """
    found = found.assign(
        spend=found["spend"].sum(GEO),
        extrapolated=(beyond := found["extrapolated"].any(GEO)),
        somewhere=beyond.any(CHANNEL),
    )
    of = lambda name: [f"{name}_{end}" for end in ENDS]
    sides = {  # column: variable of a plan, of a channel
        "spend": ("total_spend", "spend"),
        **{f"response_{end}": (f"response_{end}", f"channel_{end}") for end in ENDS},
        **{name: (name, f"channel_{name}") for name in ("roas", "roas_lo", "roas_hi")},
        "mroas": ("", "mroas"),
        **{name: (name, "") for name in (*of("gain"), "probability_better", *of("net"))},
        "probability_net": ("probability_net", ""),
        **{name: (name, f"channel_{name}") for name in of("npv")},
        "probability_npv": ("probability_npv", ""),
        "break_even": ("break_even", "channel_break_even"),
        "extrapolated": ("somewhere", "extrapolated"),
    }
    whole, parts = (
        xr.Dataset({c: found[names[i]] for c, names in sides.items() if names[i] in found})
        for i in (0, 1)
    )
    asked = found[UTILITY].to_numpy().tolist() if UTILITY in found.coords else []
    worth = {name: found["utility_value"].sel({UTILITY: name}, drop=True) for name in asked}
    whole = whole.assign(worth).expand_dims({CHANNEL: [ALL]})
    table = xr.concat([whole, parts], CHANNEL).to_dataframe(dim_order=[PLAN, CHANNEL])
    columns = [name for name in (*sides, *worth) if name in table]
    table = table[columns].reset_index()
    return table.assign(condition=found.attrs.get("condition", ""))


def _prepared(fit: Fits, plans: Any, **asked: Any) -> tuple[Prepared, float | None]:
    """Cells, window and reference, and money per unit of outcome: that of a plan of levers.

    What was not asked for is as in the first Plan.
    """
    each = plans.values() if isinstance(plans, Mapping) else plans
    each = [plans] if isinstance(plans, Plan) else each
    each = each if isinstance(each, Iterable) else ()
    made = [plan for plan in each if isinstance(plan, Plan)]
    if made:
        like = made[0]
        if asked["cost_per_unit"] is None:
            prices = [(plan.cost_per_unit, plan.price_elasticity) for plan in made]
            pairs = [
                (a, b) for each in prices for a, b in zip(each, prices[0], strict=True)
            ]
            if any(not a.broadcast_equals(b) for a, b in pairs):
                got, allowed = Phrase("plans of different prices"), "plans of one price"
                fix = "give cost_per_unit: all plans are then judged at these prices"
                fail("plans", got, "", allowed, fix)
            asked["cost_per_unit"] = costs_of(like, fit)
        own = {name: getattr(like, name) for name in ("periods", "per_period", "carry_in")}
        asked = {n: own.get(n) if v is None else v for n, v in asked.items()}
    if isinstance(fit, ResponseCurves) and asked["periods"] is None:
        asked["periods"] = 1
    if asked["periods"] is None:
        fix = "periods=26 evaluates half a year of weeks"
        fail("periods", None, "", "the length of the window, or a Plan", fix)
    if isinstance(asked["flighting"], str) and asked["flighting"] == "optimal":
        allowed = '"even" or weights of the periods'
        fix = "evaluate the Plan that mm.optimize(..., flighting='optimal') returns"
        fail("flighting", "optimal", "", allowed, fix)
    asked["carry_in"] = asked["carry_in"] or "zero"
    asked["per_period"] = bool(asked["per_period"])
    found = prepare(fit, bounds=0.0, campaigns=campaigns_of(made, fit), **asked)
    cells = found.window._replace(split=None)  # plans are given by cell
    margins = [plan.outcome_value for plan in made if plan.levers]
    value = margins[0] if margins else value_of(found.markets)
    return replace(found, window=cells), value


class _Found(NamedTuple):
    """Answers of one plan, or of all with a leading axis.

    Args:
        response: (draw,).
        channels: Mean, lo and hi by channel, (3, channel).
        marginal: Mean response of one more unit of money, (cell,); of a part (part,).
        worth: Of every utility, (utility,).
    """

    response: Any
    channels: Any
    marginal: Any
    worth: Any


class _Question(NamedTuple):
    """What all plans share: arrays.

    Args:
        window: What spend brings.
        members: 1 where a cell (part) belongs to a channel, (cell, channel).
        utilities: Utilities, not yet bound to the first plan.
        noise: Relative standard deviation of spend.
        keys: One random key per draw.
    """

    window: Window
    members: Any
    utilities: tuple[Utility, ...]
    noise: Any
    keys: Any


def _answers(
    prepared: Prepared, spends: Sequence[Spend], utilities: tuple[Utility, ...],
    noise: float, seed: int, prob: float,
) -> _Found:  # fmt: skip
    """Every plan evaluated in one call; float64 is the caller's."""
    window, form, layout = prepared.window, prepared.kind.form, prepared.layout
    within = prepared.within
    count, parts, periods = len(spends), len(prepared.members), layout.periods
    places = max(FEWEST, 1 << (count - 1).bit_length())
    money = np.zeros((places, parts))
    money[:count] = [prepared.divided(spend.money, spend.share) for spend in spends]
    profiles = None
    if form.spec and (noise > 0 or any(s.profile is not None for s in spends)):
        profiles = np.full((places, len(layout.lower), periods), 1.0 / periods)
        profiles[:count] = [spend.shares(periods) for spend in spends]
        levels = periods + form.spec.memory - 1
        own = {name: x for name, x in window.draws.items() if name != "factors"}
        window = window._replace(
            draws=own, pattern=np.ones((1, levels)), periods=np.ones(levels)
        )  # carried over anew: the factors are those of one profile
        form = replace(form, block=block_of(window))
    n_draws = len(jax.tree.leaves(window.draws)[0])
    keys = jax.random.split(jax.random.key(seed), n_draws)
    question = _Question(window, prepared.members, utilities, noise, keys)
    found = _all(
        question, money, profiles, count, form=form, noisy=noise > 0,
        inside=int(np.floor(prob * n_draws)), wide=jax.default_backend() != "cpu",
    )  # fmt: skip
    found = jax.tree.map(lambda x: np.asarray(x)[:count], found)
    if not np.isfinite(found.response).all():
        fail_not_finite("a plan")
    if within is None:
        return found
    share = np.stack([np.asarray(spend.share) for spend in spends])
    return found._replace(marginal=within.whole(found.marginal * share))


@partial(jax.jit, static_argnames=("form", "noisy", "inside", "wide"))
def _all(
    question: _Question, money: Array, profiles: Array | None, count: Any, *,
    form: Form, noisy: bool, inside: int, wide: bool,
) -> _Found:  # fmt: skip
    """Answers of every plan; places from `count` on are skipped."""

    def samples_of(plan: Any) -> tuple[Array, Array]:
        respond = _response(question, form, plan[1], noisy)
        if form.joint:
            samples, back = jax.vjp(respond, plan[0])
            return samples, back(jnp.full_like(samples, 1.0 / samples.shape[0]))[0]
        samples, slopes = jax.jvp(respond, (plan[0],), (jnp.ones_like(plan[0]),))
        return samples, slopes.mean(0)

    utilities = question.utilities
    if any(bind(u, np.zeros(1), np.zeros(1)) is not u for u in utilities):
        first = jax.tree.map(lambda x: x[0], (money, profiles))
        brought = samples_of(first)[0] @ question.members
        cost = first[0] @ question.members
        utilities = tuple(bind(utility, brought, cost) for utility in utilities)

    def answer(plan: Any) -> _Found:
        samples, marginal = samples_of(plan)
        brought = samples @ question.members
        cost = plan[0] @ question.members
        worth = [utility(brought, cost) for utility in utilities]
        return _Found(
            brought.sum(1),
            _interval(brought, inside),
            marginal,
            jnp.stack(worth) if worth else jnp.zeros(0),
        )

    def place(given: Any) -> _Found:
        index, plan = given
        blank = jax.tree.map(jnp.zeros_like, jax.eval_shape(answer, plan))
        return jax.lax.cond(index < count, answer, lambda plan: blank, plan)

    every = (jnp.arange(len(money)), (jnp.asarray(money), profiles))
    return jax.lax.map(place, every, batch_size=TOGETHER if wide else None)


def _response(
    question: _Question, form: Form, profile: Array | None, noisy: bool
) -> Response:
    """Response in every draw and cell (part) as a function of the money of these."""
    window = question.window
    cells = np.shape(window.media_per_money)[0]
    cell = window.parts if form.parts else np.arange(cells)
    if not noisy:
        if profile is not None:
            tail = np.shape(window.periods)[0] - profile.shape[1]
            window = window._replace(pattern=jnp.pad(profile, [(0, 0), (0, tail)]))
        return response_of(window, form)
    spread = jnp.sqrt(jnp.log1p(question.noise**2))
    periods = 1 if profile is None else profile.shape[1]
    share = jnp.ones((cells, 1)) if profile is None else profile
    share = share[cell]
    alone = replace(form, free_periods=0 if profile is None else periods)

    def respond(spend: Array) -> Array:
        def one(part: Any) -> Array:
            draw, key = part
            luck = jax.random.normal(key, (cells, periods), spend.dtype)
            luck = jnp.exp(spread * luck - spread**2 / 2)
            realised = (spend[:, None] * share * luck[cell]).ravel()
            return response_of(window.of_draw(draw), alone)(realised)[0]

        parts = (window.draws, question.keys)
        size = min(max(form.block // 4, 1), len(question.keys))
        return jax.lax.map(one, parts, batch_size=size)

    return respond


def _interval(draws: Float[Array, "draw channel"], inside: int) -> Array:
    """Mean and highest-density interval of `inside` + 1 draws, (3, channel)."""
    rows, mean = jnp.sort(draws, 0), draws.mean(0)
    if not 1 <= inside < len(rows):
        return jnp.stack([mean, rows[0], rows[-1]])
    starts, ends = rows[: len(rows) - inside], rows[inside:]
    narrowest = jnp.argmin(ends - starts, 0)[None]
    low, high = (jnp.take_along_axis(x, narrowest, 0)[0] for x in (starts, ends))
    return jnp.stack([mean, low, high])


def _dataset(
    prepared: Prepared, spends: Mapping[str, Spend], found: _Found, prob: float,
    value: float | None,
) -> xr.Dataset:  # fmt: skip
    """Name the answers."""
    layout, unit = prepared.layout, prepared.layout.unit
    money = np.stack([spend.money for spend in spends.values()])
    gains = found.response - found.response[:1]
    better = (gains > 0).mean(1)
    better[0] = np.nan
    by_channel, total = money @ layout.members, money.sum(1)
    most = [spend.money * spend.shares(layout.periods).max(1) for spend in spends.values()]
    beyond = np.stack(most) > layout.largest * (1 + ROUNDING)
    weights = np.where((by_channel > 0)[:, layout.channel], money, layout.reference)
    weighted = (found.marginal * weights) @ layout.members
    whole = weights @ layout.members
    cells, channels = (PLAN, GEO, CHANNEL), (PLAN, CHANNEL)
    data: dict[str, Any] = {
        "spend": (cells, [layout.table(row) for row in money / unit]),
        "total_spend": (PLAN, total / unit),
        "extrapolated": (cells, [layout.table(x, False) for x in beyond]),
        "response": ((PLAN, DRAW), found.response),
        "marginal": (cells, [layout.table(row, np.nan) for row in found.marginal]),
        "mroas": (channels, _ratio(weighted, whole)),
        "probability_better": (PLAN, better),
    }
    draws: dict[str, Any] = {
        "response": ((PLAN,), found.response),
        "gain": ((PLAN,), gains),
    }
    if value is not None:
        net = value * gains - (total - total[0])[:, None]
        chance = (net > 0).mean(1)
        chance[0] = np.nan
        data["probability_net"] = (PLAN, chance)
        draws["net"] = ((PLAN,), net)
    data |= intervals(draws, prob, axis=1)
    each = np.moveaxis(found.channels, 1, 0)
    data |= {f"channel_{end}": (channels, x) for end, x in zip(ENDS, each, strict=True)}
    for end, key in (("", "mean"), ("_lo", "lo"), ("_hi", "hi")):
        data[f"roas{end}"] = (PLAN, _ratio(data[f"response_{key}"][1], total))
        channel = data[f"channel_{key}"][1]
        data[f"channel_roas{end}"] = (channels, _ratio(channel, by_channel))
    attributes = prepared.attributes(prob) | {
        "condition": condition_of(prepared.markets.values()),
        "compared_with": next(iter(spends)),
    }
    coords = {PLAN: list(spends), GEO: list(layout.geos), CHANNEL: list(layout.channels)}
    return xr.Dataset(data, coords, attributes)


def _ratio(above: np.ndarray, below: np.ndarray) -> np.ndarray:
    """Quotient; NaN where there is nothing to divide by."""
    return np.where(below > 0, above / np.where(below > 0, below, 1.0), np.nan)
