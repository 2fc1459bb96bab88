r"""What it would be worth to know the truth before spending: regret and information.

Every posterior draw d is a state of the world with a best plan of its own. Acting now
earns $\max_x E_d[s_d(x)]$, knowing the truth first $E_d[\max_x s_d(x)]$; the difference is
the expected value of perfect information (EVPI), what any test can bring at most. Knowing
the curve of one channel alone is worth less; the others then stay at their mean response,
which is what a planner would have who learns nothing about them. That ignores posterior
correlations: a test of one channel that also tells of another is worth more than said here.

Sources: Raiffa and Schlaifer (1961), "Applied Statistical Decision Theory", chapter 4;
Ades, Lu and Claxton (2004), "Expected value of sample information calculations in medical
decision modeling", Med. Decis. Making 24, for partial information.
"""

import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, NamedTuple, Unpack

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
import xarray as xr
from jaxtyping import Array, Float

from mmmjax.arguments import checked
from mmmjax.budget.given import Spend, costs_of, spend_of
from mmmjax.budget.grid import grid_start
from mmmjax.budget.horizon import Form, Window, response_of, slopes_of
from mmmjax.budget.layout import markets_of
from mmmjax.budget.prepare import Asked, Fits, Prepared, prepare
from mmmjax.budget.record import PROB, intervals
from mmmjax.budget.region import ROUNDING, inside
from mmmjax.budget.request import known_of
from mmmjax.budget.scenario import Plan
from mmmjax.budget.search import Found, Kind, Problem, budget_price, search
from mmmjax.budget.solve import Settings, solve
from mmmjax.budget.utility import mean_response
from mmmjax.checks import Phrase, fail, number
from mmmjax.findings import phase
from mmmjax.shapes import CHANNEL, DRAW, GEO

__all__ = ["best_of", "knowledge", "knowledge_table", "net_of", "prepared_for"]

NODES = 256  # intervals of a tabulated mean curve
LIMIT = 500  # evaluations of one climb
LARGE = 200  # draws that are enough, unless more are asked for


@checked
def knowledge(
    fit: Fits,
    plan: Plan | None = None,
    *,
    channels: bool = True,
    prob: float = PROB,
    tolerance: float = 1e-8,
    **asked: Unpack[Asked],
) -> xr.Dataset:
    """How the best allocation depends on what is not known, and what knowing is worth.

    What is maximised is the response, less `until_mroas` times the money if that is given;
    other utilities have no part in it. Draws are thinned, evenly, to `max_draws` (200 if
    not asked, None: all); numbers are those of the thinned draws, and the Monte Carlo
    errors count them as independent.

    Args:
        fit: A fit, fits by market, or response curves, as :func:`mmmjax.optimize` takes.
        plan: The plan that would be acted on; what is not asked for is as in it (budget,
            periods, bounds, carry-in, reference, prices, `up_to`, and its flighting, which
            stays as it is). Constraints, which a Plan does not remember, have to be asked
            for again. None: the best plan on average.
        channels: Whether to value knowing each channel alone (draws x channels small
            problems).
        prob: Probability inside every [lo, hi], a highest-density interval.
        tolerance: Relative gap at which a climb stops.
        **asked: As :func:`mmmjax.optimize` takes it; no utility, no
            flighting="optimal", no minimum_if_on or roas_floor.

    Returns:
        Dataset. Money: ``plan`` (geo, channel), the plan acted on; ``best`` the best one on
        average; ``allocation`` (draw, geo, channel), the best one of every draw, with
        ``allocation_mean``, ``allocation_lo``, ``allocation_hi`` (geo, channel) and
        ``probability_more``, the share of draws whose best plan spends more there than
        `plan`. Outcome units, net of the price of money if there is one:
        ``response`` (draw,) of the plan, ``response_known`` (draw,) of the best plan of the
        draw, ``regret`` (draw,), their difference, at least 0; ``expected_regret`` of
        acting on `plan` now, ``evpi`` (that of the best plan on average, at most
        `expected_regret`), ``channel_value`` (channel,), of knowing that channel's curve
        only, the others at their mean; each with ``_error``, its Monte Carlo standard
        error. ``gap`` (draw,): `response_known` may fall short of the truth by at most
        this; NaN if nothing is proven. ``evpi_money`` is evpi over what a unit of money
        brings at the best plan: the extra budget worth as much, to first order.

    Raises:
        InputError: A request that cannot be planned, or one without an answer here.
    """
    began = time.perf_counter()
    number("prob", prob, low=0.0, high=1.0, open_low=True, open_high=True)
    settings = Settings.of(1, 0, tolerance, LIMIT)
    prepared = prepared_for(fit, plan, dict(asked))
    phase("search of every draw's plan", began)
    with jax.enable_x64(True):
        wide = replace(settings, starts=12) if prepared.doubt else settings
        solved = solve(prepared, wide)
        acted = solved.spend if plan is None else _acted(prepared, plan)
        found = _worlds(prepared, solved.spend, acted, settings)
        values = None
        if channels:
            values = _channels(prepared, solved.spend, settings)
        price = float(
            budget_price(
                solved.gradient, solved.multipliers, solved.spend, prepared.region, 0.0
            )
        )
    price = prepared.price or float(np.nan_to_num(price))
    return _dataset(prepared, solved.spend, acted, found, values, price, prob)


@checked
def knowledge_table(found: xr.Dataset) -> pd.DataFrame:
    """Rows by geo and channel (those a market has), channels worth knowing first.

    Columns: geo, channel, plan, best, allocation_mean, allocation_lo, allocation_hi
    (money), probability_more, channel_value, channel_value_error (outcome units, of the
    channel in all geos) and share_of_evpi.
    """
    names = ("plan", "best", "allocation_mean", "allocation_lo", "allocation_hi")
    wanted = [*names, "probability_more"]
    if "channel_value" in found:
        wanted += ["channel_value", "channel_value_error"]
    table = found[wanted].to_dataframe(dim_order=[GEO, CHANNEL]).reset_index()
    table = table.dropna(subset="probability_more", ignore_index=True)
    if "channel_value" not in found:
        return table
    evpi = float(found["evpi"])
    table["share_of_evpi"] = table["channel_value"] / evpi if evpi > 0 else np.nan
    order = ["channel_value", GEO]
    return table.sort_values(
        order, ascending=[False, True], kind="stable", ignore_index=True
    )


class _Worlds(NamedTuple):
    """Every draw as the truth.

    Args:
        spend: Best money of cells, (draw, cell).
        known: Net response of the best plan, (draw,).
        best: Net response of the best plan on average, (draw,).
        acted: Net response of the plan acted on, (draw,).
        gap: No plan is better by more, (draw,).
    """

    spend: Any
    known: Any
    best: Any
    acted: Any
    gap: Any


def prepared_for(fit: Fits, plan: Plan | None, asked: dict[str, Any]) -> Prepared:
    """The request, what was not asked for as in the plan; refuse what has no answer."""
    if "utility" in asked:
        fix = "leave it out: who knows the truth has no risk to be averse to"
        fail("utility", asked["utility"], "", "the mean response", fix)
    if plan is not None:
        asked = _like(plan, fit) | asked
    whole: dict[str, Any] = {"max_draws": LARGE} | asked
    prepared = prepare(fit, **whole, utility="mean_response")
    if prepared.free_periods:
        fix = "give weights, or the plan, whose flighting is then kept"
        fail("flighting", "optimal", "", '"even" or weights of the periods', fix)
    if prepared.kind.form.joint:
        got = Phrase("channels that act together, or multiply")
        allowed = "channels that each bring what their own spend brings"
        fail("fit", got, "", allowed, "compare plans with mm.scenarios")
    if prepared.limits.floors or prepared.limits.on_off:
        shown = Phrase("roas_floor or minimum_if_on")
        allowed = "group, per_geo and max_change"
        fail("constraints", shown, "", allowed, "leave it out here")
    return prepared


def _like(plan: Plan, fit: Fits) -> dict[str, Any]:
    """What a plan remembers of its request."""
    tables = [x.to_numpy() for x in (plan.lower, plan.upper, plan.reference)]
    names = [str(name) for name in plan.optimized[CHANNEL].to_numpy()]
    bounds, references, start = {}, {}, 0
    for market, source in markets_of(fit).items():
        known = known_of(source)
        rows = slice(start, start + len(known.geos))
        start += len(known.geos)
        money = {
            name: [table[rows, c] for table in tables]
            for c, name in enumerate(names)
            if name in known.channels and rows.stop <= len(tables[0])
        }  # fmt: skip
        bounds[market] = {name: (low, high) for name, (low, high, _) in money.items()}
        references[market] = {name: before for name, (_, _, before) in money.items()}
    out = {
        "budget": plan.budget, "periods": plan.periods, "per_period": plan.per_period,
        "bounds": bounds, "reference": references, "carry_in": plan.carry_in,
        "up_to": plan.up_to, "until_mroas": plan.until_mroas,
        "cost_per_unit": costs_of(plan, fit), "fixed_geo_split": plan.fixed_geo_split,
    }  # fmt: skip
    if len(bounds) == 1:
        out |= {"bounds": bounds[""], "reference": references[""]}
    spend = plan.spend_by_period.to_numpy()
    share = spend / np.maximum(spend.sum(-1, keepdims=True), 1e-300)
    profile = share.max(0)  # of a geo that spends there at all
    uneven = np.abs(profile - profile[:, :1]).max(1) > ROUNDING
    weights = {name: profile[c] for c, name in enumerate(names) if uneven[c]}
    return out | ({"flighting": weights} if weights else {})


def _acted(prepared: Prepared, plan: Plan) -> Float[np.ndarray, " cell"]:
    """Money of the plan, which has to keep what was asked."""
    spend = spend_of(prepared, "plan", plan)
    periods = prepared.layout.periods
    own, ours = (s.shares(periods) for s in (spend, Spend(spend.money, prepared.profile)))
    if (np.abs(own - ours)[spend.money > 0] > ROUNDING).any():
        shown = Phrase("a plan with a flighting of its own in every geo")
        fix = "compare plans whose channels are spread alike in all geos"
        fail("plan", shown, "", "one flighting per channel, the one asked for", fix)
    money = prepared.variables(spend.money)
    split = np.abs(prepared.cells(money) - spend.money).max() <= ROUNDING * money.sum()
    if not split or not inside(money, prepared.region):
        shown = Phrase("a plan that breaks the bounds or limits asked for")
        fail("plan", shown, "", "a plan that keeps them", "leave out budget and bounds")
    return np.clip(money, prepared.region.lower, prepared.region.upper)


def _each(one: Any, over: Any) -> Any:
    """Map over the leading axis: in turn on a CPU, side by side elsewhere."""
    wide = jax.default_backend() != "cpu"
    return jax.vmap(one)(over) if wide else jax.lax.map(one, over)


def _worlds(
    prepared: Prepared, best: np.ndarray, acted: np.ndarray, settings: Settings
) -> _Worlds:
    """The best plan of every draw; float64 is the caller's."""
    problem = prepared.problem()
    found = _solve_worlds(
        problem, best, acted, settings.tolerance, settings.limit, kind=prepared.kind
    )
    return _Worlds(*(np.asarray(part) for part in found))


@partial(jax.jit, static_argnames=("kind",))
def _solve_worlds(
    problem: Problem, best: Array, acted: Array, tolerance: Any, limit: Any, *, kind: Kind
) -> _Worlds:
    form = replace(kind.form, block=2**30)

    def one(draw: Any) -> _Worlds:
        window = problem.window._replace(draws=jax.tree.map(lambda x: x[None], draw))
        alone = problem._replace(window=window)
        spend, known, gap = best_of(alone, kind, best, tolerance, limit)
        now, planned = net_of(alone, form, best), net_of(alone, form, acted)
        better = planned > known  # by rounding, or where nothing is proven
        spend = jnp.where(better, acted, spend)
        return _Worlds(spend, jnp.where(better, planned, known), now, planned, gap)

    return _each(one, problem.window.draws)


def net_of(problem: Problem, form: Form, spend: Array) -> Array:
    """Mean response less the price of the money."""
    brought = response_of(problem.window, form)(spend).sum(1).mean()
    return brought - problem.price * spend.sum()


def best_of(
    problem: Problem, kind: Kind, start: Array, tolerance: Any, limit: Any
) -> tuple[Array, Array, Array]:
    """Best money of cells, its net response (at least that of `start`), and the gap."""
    form = replace(kind.form, block=2**30)
    kind = replace(kind, form=form)
    before = net_of(problem, form, start)
    size = jnp.where(before != 0, jnp.abs(before), 1.0)
    problem = problem._replace(size=size, utility=mean_response())
    starts = (start / problem.budget)[None]
    if not kind.concave:
        starts = jnp.concatenate([starts, grid_start(problem, form)[None]])
    found: Found = search(problem, kind, starts, tolerance, limit)
    spend = found.point * problem.budget
    value = net_of(problem, form, spend)
    worse = value < before
    gap = jnp.maximum(found.gap, 0.0) * size if kind.concave else jnp.nan
    return jnp.where(worse, start, spend), jnp.where(worse, before, value), jnp.asarray(gap)


@dataclass(frozen=True)
class Mixed:
    """Response of the cells one knows, and the mean response of all others.

    A response of one's own, see :class:`mmmjax.budget.horizon.Form`. Its parameters are
    ``window``, that of one draw, ``own``, which cells are known, and ``curves``.

    Args:
        form: The kind of response of the window.
    """

    form: Form

    def __call__(self, given: Mapping[str, Any], spend: Array) -> Array:
        """Response of every cell, outcome units."""
        truth = response_of(given["window"], self.form)(spend)[0]
        return jnp.where(given["own"], truth, interpolate(given["curves"], spend))


class Curves(NamedTuple):
    """Mean response of every cell on a grid, denser at low spend.

    Node k of K is at lower + width (k / K)^2, money over the window.

    Args:
        lower: (cell,).
        width: (cell,).
        values: Mean response at the nodes, (cell, node).
        slopes: Its derivative there, (cell, node).
    """

    lower: Any
    width: Any
    values: Any
    slopes: Any


def tabulate(
    window: Window, form: Form, lower: Any, upper: Any, nodes: int = NODES
) -> Curves:
    """Mean response of every cell between two levels of spend, with its slope.

    Args:
        window: All draws.
        form: The kind of response; every cell a variable.
        lower: Least money, (cell,).
        upper: Largest money, (cell,).
        nodes: Intervals of the grid.
    """
    lower, width = jnp.asarray(lower), jnp.asarray(upper) - jnp.asarray(lower)
    respond = response_of(window, form)

    def at(step: Array) -> tuple[Array, Array]:
        value, slope, _ = slopes_of(respond, lower + width * step**2)
        return value.mean(0), slope.mean(0)

    steps = jnp.arange(nodes + 1) / nodes
    values, slopes = (part.T for part in jax.lax.map(at, steps))
    first = (values[:, 1] - values[:, 0]) * nodes**2 / jnp.where(width > 0, width, 1.0)
    slopes = jnp.where(jnp.isfinite(slopes), slopes, 2.0 * first[:, None])  # roots at 0
    return Curves(lower, width, values, slopes)


def interpolate(curves: Curves, spend: Float[Array, " cell"]) -> Float[Array, " cell"]:
    """Cubic Hermite interpolation; beyond the grid its last pieces go on."""
    nodes = curves.values.shape[1] - 1
    width = jnp.where(curves.width > 0, curves.width, 1.0)
    share = jax.lax.stop_gradient((spend - curves.lower) / width)
    place = jnp.floor(jnp.sqrt(jnp.clip(share, 0.0, 1.0)) * nodes)
    place = jnp.clip(place, 0, nodes - 1)
    left, right = (curves.lower + width * ((place + k) / nodes) ** 2 for k in (0, 1))
    index = place.astype(int)[:, None]
    ends = [
        jnp.take_along_axis(part, index + k, 1)[:, 0]
        for part in (curves.values, curves.slopes)
        for k in (0, 1)
    ]
    step = right - left
    t = (spend - left) / step
    bend = t * t * (3.0 - 2.0 * t)
    return (
        (1.0 - bend) * ends[0] + bend * ends[1]
        + step * t * (1.0 - t) * ((1.0 - t) * ends[2] - t * ends[3])
    )  # fmt: skip


def _channels(
    prepared: Prepared, best: np.ndarray, settings: Settings
) -> Float[np.ndarray, "draw channel"]:
    """Gain of knowing one channel in every draw over the best plan on average."""
    problem = prepared.problem()
    owns, kind = problem.members.T > 0, prepared.kind
    gains = _solve_channels(
        problem, best, owns, settings.tolerance, settings.limit, kind=kind
    )
    return np.asarray(gains)


@partial(jax.jit, static_argnames=("kind",))
def _solve_channels(
    problem: Problem, best: Array, owns: Array, tolerance: Any, limit: Any, *, kind: Kind
) -> Array:
    region, budget = problem.region, problem.budget
    lower, upper = region.lower * budget, region.upper * budget
    curves = tabulate(problem.window, kind.form, lower, upper)
    form = replace(kind.form, block=2**30)
    mixed = Form(None, Mixed(form))

    def of_draw(draw: Any) -> Array:
        alone = problem.window._replace(draws=jax.tree.map(lambda x: x[None], draw))

        def of_channel(own: Array) -> Array:
            given = {"window": alone, "own": own, "curves": curves}
            one = jax.tree.map(lambda x: jnp.asarray(x)[None], given)
            window = problem.window._replace(draws=one)
            partly = problem._replace(window=window)
            known = best_of(partly, replace(kind, form=mixed), best, tolerance, limit)[1]
            return known - net_of(partly, mixed, best)

        return _each(of_channel, owns)

    return _each(of_draw, problem.window.draws)


def _dataset(
    prepared: Prepared, best: np.ndarray, acted: np.ndarray, found: _Worlds,
    values: np.ndarray | None, price: float, prob: float,
) -> xr.Dataset:  # fmt: skip
    """Name the answers."""
    layout, unit = prepared.layout, prepared.layout.unit
    money = (GEO, CHANNEL)
    best, acted, spends = map(prepared.cells, (best, acted, found.spend))
    allocation = np.moveaxis(layout.table(spends.T / unit), -1, 0)  # (draw, geo, channel)
    count = len(allocation)
    more = (spends > acted + 1e-6 * layout.budget).mean(0)
    regret, perfect = found.known - found.acted, found.known - found.best
    data: dict[str, Any] = {
        "plan": (money, layout.table(acted / unit)),
        "best": (money, layout.table(best / unit)),
        "allocation": ((DRAW, *money), allocation),
        **intervals({"allocation": (money, allocation)}, prob),
        "probability_more": (money, layout.table(more, np.nan)),
        "response": (DRAW, found.acted),
        "response_known": (DRAW, found.known),
        "regret": (DRAW, regret),
        "gap": (DRAW, found.gap),
    }
    numbers: dict[str, tuple[Any, Any]] = {
        "expected_regret": ((), regret), "evpi": ((), perfect)
    }  # fmt: skip
    if values is not None:
        numbers["channel_value"] = ((CHANNEL,), values)
    for name, (dims, draws) in numbers.items():
        data[name] = (dims, draws.mean(0))
        data[f"{name}_error"] = (dims, draws.std(0) / np.sqrt(max(count - 1, 1)))
    worth = data["evpi"][1] / price if price > 0 else np.nan
    data["evpi_money"] = ((), worth)
    attributes = prepared.attributes(prob) | {"draws": count, "doubt": prepared.doubt}
    coords = {GEO: list(layout.geos), CHANNEL: list(layout.channels)}
    return xr.Dataset(data, coords, attributes)
