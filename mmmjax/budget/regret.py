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
from dataclasses import replace
from functools import partial
from typing import Any, NamedTuple, Unpack

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
import xarray as xr
from jaxtyping import Array, Float

from mmmjax.arguments import checked
from mmmjax.budget.given import Spend, costs_of, places_of, spend_of
from mmmjax.budget.horizon import Form, response_of, tabled
from mmmjax.budget.prepare import Asked, Fits, Prepared, prepare
from mmmjax.budget.record import PROB, intervals
from mmmjax.budget.region import ROUNDING, inside, project, ranges_of
from mmmjax.budget.scenario import Plan
from mmmjax.budget.search import Found, Kind, Problem, budget_price, search
from mmmjax.budget.solve import Settings, Solved, solve
from mmmjax.budget.utility import mean_response
from mmmjax.checks import Phrase, fail, number
from mmmjax.findings import phase
from mmmjax.shapes import CHANNEL, DRAW, GEO

__all__ = [
    "best_of",
    "knowledge",
    "knowledge_table",
    "net_of",
    "prepared_for",
    "solve_mean",
]

NODES = 256  # intervals of a tabulated mean curve
LIMIT = 500  # evaluations of one climb
STEPS = 400  # of a grid, of what is left above the lower bounds
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
        solved = solve_mean(prepared, settings)
        best, problem, kind = solved.spend, prepared.problem(), prepared.kind
        acted = best if plan is None else _acted(prepared, plan)
        how = settings.tolerance, settings.limit
        found = _solve_worlds(problem, best, acted, *how, kind=kind)
        values = None
        if channels:
            owns = problem.members.T > 0
            values = np.asarray(_solve_channels(problem, best, owns, *how, kind=kind))
        end = solved.gradient, solved.multipliers, best
        price = float(np.nan_to_num(budget_price(*end, prepared.region, 0.0)))
    found = _Worlds(*map(np.asarray, found))
    return _dataset(prepared, best, acted, found, values, prepared.price or price, prob)


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
    """Every draw as the truth; net responses."""

    spend: Any  # best money of cells, (draw, cell)
    known: Any  # of the best plan, (draw,), as are the next three
    best: Any  # of the best plan on average
    acted: Any  # of the plan acted on
    gap: Any  # no plan is better by more


def prepared_for(fit: Fits, plan: Plan | None, asked: dict[str, Any]) -> Prepared:
    """The request, what was not asked for as in the plan; refuse what has no answer."""
    if "utility" in asked:
        fix = "leave it out: who knows the truth has no risk to be averse to"
        fail("utility", asked["utility"], "", "the mean response", fix)
    if (plan is not None and plan.campaigns is not None) or asked.get("campaigns"):
        got, fix = Phrase("campaigns"), "leave campaigns out of mm.optimize and here"
        fail("plan", got, "", "a plan of channels alone", fix)
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
    low, high, before = (x.to_numpy() for x in (plan.lower, plan.upper, plan.reference))
    bounds, references = {}, {}
    for market, (rows, columns) in places_of(plan, fit).items():
        bounds[market] = {n: (low[rows, c], high[rows, c]) for n, c in columns.items()}
        references[market] = {n: before[rows, c] for n, c in columns.items()}
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
    names = plan.optimized[CHANNEL].to_numpy()
    weights = {str(name): profile[c] for c, name in enumerate(names) if uneven[c]}
    return out | ({"flighting": weights} if weights else {})


def solve_mean(prepared: Prepared, settings: Settings) -> Solved:
    """The best plan on average, from several starts where nothing is proven."""
    return solve(prepared, replace(settings, starts=12) if prepared.doubt else settings)


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


@partial(jax.jit, static_argnames=("kind",))
def _solve_worlds(
    problem: Problem, best: Array, acted: Array, tolerance: Any, limit: Any, *, kind: Kind
) -> _Worlds:
    """The best plan of every draw; float64 is the caller's."""
    form = replace(kind.form, block=2**30)

    def one(draw: Any) -> _Worlds:
        alone = problem._replace(window=problem.window.of_draw(draw))
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
        starts = jnp.concatenate([starts, _grid_start(problem, form)[None]])
    found: Found = search(problem, kind, starts, tolerance, limit)
    spend = found.point * problem.budget
    value = net_of(problem, form, spend)
    worse = value < before
    gap = jnp.maximum(found.gap, 0.0) * size if kind.concave else jnp.nan
    return jnp.where(worse, start, spend), jnp.where(worse, before, value), jnp.asarray(gap)


def _grid_start(problem: Problem, form: Form) -> Float[Array, " cell"]:
    """Shares that maximise the mean response on a grid, moved into the region.

    An S-shaped curve is worth nothing until enough is spent on it, so climbing from
    somewhere finds the top of that hill only. The mean response is a sum over cells, so the
    best plan whose shares are multiples of one step is found by dynamic programming,
    whatever the curves look like. Of the region the box and the most that may be spent
    count; every cell is a variable.
    """
    region, budget = problem.region, jnp.asarray(problem.budget)
    lower = jnp.asarray(region.lower)
    room = jnp.minimum(region.most[0], jnp.asarray(region.upper).sum()) - lower.sum()
    step = jnp.maximum(room, 0.0) / STEPS
    counts = jnp.arange(STEPS + 1)
    respond = response_of(problem.window, form)

    def at(count: Array) -> Array:
        return respond((lower + count * step) * budget).mean(0)

    brought = jax.lax.map(at, counts).T  # (cell, step)
    paid = problem.price * counts * step * budget
    most = jnp.floor((region.upper - lower) / jnp.maximum(step, 1e-300) + 1e-9)
    worth = jnp.where(counts <= most[:, None], brought - paid, -jnp.inf)
    left = counts[:, None] - counts  # steps left for the cells before

    def add(best: Array, cell: Array) -> tuple[Array, Array]:
        options = jnp.where(left >= 0, best[jnp.maximum(left, 0)] + cell, -jnp.inf)
        return options.max(1), options.argmax(1)

    best = jnp.where(counts == 0, 0.0, -jnp.inf)
    best, choices = jax.lax.scan(add, best, worth)
    reached = jnp.where(jnp.isfinite(best), counts, 0).max()  # all, or what bounds take
    spent = jnp.where(region.least[0] == region.most[0], reached, jnp.argmax(best))

    def back(spent: Array, chosen: Array) -> tuple[Array, Array]:
        return spent - chosen[spent], chosen[spent]

    _, taken = jax.lax.scan(back, spent, choices, reverse=True)
    return project(lower + taken * step, region)[0]


@partial(jax.jit, static_argnames=("kind",))
def _solve_channels(
    problem: Problem, best: Array, owns: Array, tolerance: Any, limit: Any, *, kind: Kind
) -> Array:
    """Gain of knowing one channel in every draw over the best plan, (draw, channel).

    What is not known brings its mean over draws, which is looked up in a table.
    """
    region, budget = problem.region, problem.budget
    respond = response_of(problem.window, kind.form)
    mean = lambda spend: respond(spend).mean(0, keepdims=True)
    usual = tabled(mean, region.lower * budget, ranges_of(region) * budget, NODES)
    form = replace(kind.form, block=2**30)

    def mixed(given: Any, spend: Array) -> Array:
        truth = response_of(given["window"], form)(spend)[0]
        return jnp.where(given["own"], truth, usual(spend)[0])

    known = Form(None, mixed)

    def of_draw(draw: Any) -> Array:
        alone = problem.window.of_draw(draw)

        def of_channel(own: Array) -> Array:
            given = jax.tree.map(jnp.asarray, {"window": alone, "own": own})
            partly = problem._replace(window=problem.window.of_draw(given))
            how = replace(kind, form=known), best, tolerance, limit
            return best_of(partly, *how)[1] - net_of(partly, known, best)

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
