"""Many plans at once: budget levels, utilities and markets in one compiled call.

One lane is one plan: its bounds, budget, risk settings and market are arguments. On a CPU
lanes follow each other and each begins where the one before ended; where nothing is proven
they are gone through once more from the end, which is searched alone first, and a lane is
searched again where the plan of the next one is better. On an accelerator they are one
batch. Only summaries leave the device: memory does not grow with the number of lanes.
"""

import logging
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any, NamedTuple, Unpack

import jax
import jax.numpy as jnp
import numpy as np
import xarray as xr
from jaxtyping import Array, Float

from mmmjax.arguments import checked
from mmmjax.budget.ascent import NOT_FINITE, STATUS
from mmmjax.budget.horizon import Form, Window, response_of
from mmmjax.budget.prepare import Asked, Fits, Prepared, prepare
from mmmjax.budget.record import (
    CERTIFIED_GAP,
    UNJUDGED,
    condition_of,
    relative_gap,
)
from mmmjax.budget.region import project, ranges_of, scaled
from mmmjax.budget.search import (
    Found,
    Kind,
    Problem,
    best_apart,
    budget_price,
    cell_members,
    search,
    worth,
)
from mmmjax.budget.solve import Settings, fail_not_finite, scaled_problem, solve
from mmmjax.budget.starts import CLOSE, COMMON, starts_of
from mmmjax.budget.utility import Utility, as_utility, bind, mean_tightness
from mmmjax.checks import Phrase, fail, number
from mmmjax.findings import LOG, phase
from mmmjax.shapes import CHANNEL, GEO

__all__ = ["frontier", "scenarios"]

LEVELS = (0.03, 0.25, 0.5, 0.75, 0.97)  # quantiles of the response that are reported
ALONE = 12  # starts of the last lane's search alone, from which the way back begins
POOL = 16  # points for each start that a lane chooses
KNOWN = -1  # status of a lane that was left alone
BETTER = 1e-9  # share of its utility by which the next lane's plan has to beat a lane's own


class Lane(NamedTuple):
    """What differs between plans that one program makes; leading axis: the lanes.

    Args:
        market: Index of the window.
        lower: Of the region, shares of the lane's budget, as are the next three.
        upper: Of the region.
        least: Of its rows.
        most: Of its rows.
        budget: Money of share 1.
        reference: Spend compared with, shares, (variable,).
        utility: What is maximised; numbers of one structure.
    """

    market: Any
    lower: Any
    upper: Any
    least: Any
    most: Any
    budget: Any
    reference: Any
    utility: Any


class Summary(NamedTuple):
    """One lane's plan, named as in the dataset."""

    spend: Any  # (variable,), money
    gap: Any
    status: Any
    response_quantile: Any
    response_channel: Any
    objective: Any  # from here on numbers that stay as they are
    reference_objective: Any
    shadow_price: Any
    response_mean: Any
    response_sd: Any
    probability_better: Any
    evaluations: Any


PLAIN = Summary._fields[5:]


class Known(NamedTuple):
    """What a lane has reached already: one that its start does not beat is left alone.

    Args:
        objective: Utility; -inf: nothing.
        shares: The plan.
    """

    objective: Any
    shares: Any


@checked
def frontier(
    fit: Fits,
    budgets: Sequence[float] | np.ndarray | None = None,
    *,
    utilities: Sequence[Any] | None = None,
    alphas: Sequence[float] | np.ndarray | None = None,
    tolerance: float = 1e-6,
    starts: int = 4,
    seed: int = 0,
    **asked: Unpack[Asked],
) -> xr.Dataset:
    """Best plans over a range of budgets, or of appetites for risk.

    Every point is the plan :func:`mmmjax.budget.solve.optimize` makes of it. Bounds given
    as multiples follow the reference; this follows the budget unless it is given, and then
    plan and reference spend different totals (mind `probability_better`).

    Args:
        fit: As for `optimize`.
        budgets: Budget levels, money (a period with `per_period`).
        utilities: Instead: utilities, at one budget.
        alphas: Instead: prices of the tail of :func:`mmmjax.budget.utility.mean_tightness`.
        tolerance: As for :func:`scenarios`, as are the next two.
        starts: See there.
        seed: See there.
        **asked: Everything else that `optimize` takes to describe a plan.

    Returns:
        What :func:`scenarios` returns, over `budget` or `utility` alone.

    Raises:
        InputError: As for `optimize`; not exactly one of budgets, utilities and alphas.
    """
    given = [x is not None for x in (budgets, utilities, alphas)]
    if sum(given) != 1:
        fix = "mm.frontier(fit, budgets=[1e6, 2e6, 3e6], periods=26)"
        got = Phrase(f"{sum(given)} of budgets, utilities and alphas")
        fail("frontier", got, "", "exactly one of them", fix)
    how: Any = {"tolerance": tolerance, "starts": starts, "seed": seed}
    if budgets is not None:
        found = scenarios(fit, budgets, None, **how, **asked)
        return found.squeeze(["market", "utility"])
    if alphas is not None:
        utilities = [mean_tightness(alpha=float(alpha)) for alpha in alphas]
    found = scenarios(fit, None, utilities, **how, **asked).squeeze(["market", "budget"])
    return found if alphas is None else found.assign_coords(alpha=("utility", [*alphas]))


@checked
def scenarios(
    fits: Fits | Mapping[str, Fits],
    budgets: Sequence[float] | np.ndarray | None = None,
    utilities: Sequence[Any] | None = None,
    *,
    tolerance: float = 1e-6,
    starts: int = 4,
    seed: int = 0,
    **asked: Unpack[Asked],
) -> xr.Dataset:
    """Best plans for every market, utility and budget level.

    Markets are planned each for itself here (for one budget over all of them give the fits
    to `optimize`); those whose arrays have one shape run in one program, and so do all
    budgets and utilities of one kind (proven, smooth).

    Args:
        fits: A fit, or fits by market.
        budgets: Budget levels of every market, money; None: what the reference spends.
        utilities: As `optimize` takes them; None: that of `asked`, or the mean response.
        tolerance: Relative gap at which a plan is finished.
        starts: Points a search begins from where nothing is proven, beside the end of
            the plan before; `optimize` takes more.
        seed: Of the starts.
        **asked: Everything else that describes a plan, the same for all.

    Returns:
        Dataset over (market, utility, budget): spend (geo, channel), objective,
        reference_objective, gap (relative, NaN where nothing is proven), certified, status,
        shadow_price, response_mean, response_sd, response_lo and response_hi (quantiles
        0.03 and 0.97), response_quantile, response_channel, probability_better, roas;
        condition (market,): of its plans, as in plan.json.

    Raises:
        InputError: As for `optimize`; constraints of the minimum-if-on kind.
    """
    began = time.perf_counter()
    settings = Settings.of(starts, seed, tolerance, 10_000)
    markets = fits if isinstance(fits, Mapping) else {"": fits}
    sides = {"fits": markets, "budgets": budgets, "utilities": utilities}
    for field, given in sides.items():
        if given is not None and len(given) == 0:
            fail(field, Phrase("none of them"), "", "one at least", f"give {field} or None")
    rest: dict[str, Any] = dict(asked)
    usual = rest.pop("utility", "mean_response")
    wanted = [as_utility(u) for u in (utilities if utilities is not None else [usual])]
    levels = (
        [rest.pop("budget", None)]
        if budgets is None
        else [number("budgets", b, fix="budgets=[1e6, 2e6]") for b in budgets]
    )
    cube: dict[tuple[int, int, int], Prepared] = {}
    for m, fit in enumerate(markets.values()):
        for u, utility in enumerate(wanted):
            for b, level in enumerate(levels):
                at = cube.get((m, u - 1, b), cube.get((m, u, b - 1)))
                cube[m, u, b] = prepare(
                    fit, **rest, utility=utility, budget=level,
                    window=None if at is None else at.window,
                )  # fmt: skip
    if any(prepared.limits.on_off for prepared in cube.values()):
        fix = "solve such plans one by one with mm.optimize"
        fail("constraints", Phrase("minimum_if_on"), "", "other constraints", fix)
    phase(f"search of {len(cube)} plans", began)
    with jax.enable_x64(True):
        made = _by_program(cube, settings)
    found = _dataset(list(markets), wanted, levels, cube, made)
    whole = condition_of(markets.values())
    held = [whole if whole == UNJUDGED else condition_of([f]) for f in markets.values()]
    proven = int(found["certified"].sum())
    said = f"proof: {proven} of {len(cube)} plans certified"
    said += f", {whole}" if whole else ""
    level = logging.WARNING if whole or proven < len(cube) else logging.INFO
    LOG.log(level, "%s", said, extra={"event": "finding"})
    return found.assign(condition=("market", held))


def _by_program(cube: Mapping[Any, Prepared], settings: Settings) -> dict[Any, Summary]:
    """Solve all lanes, those of one kind and shape in one program."""
    groups: dict[Any, list[Any]] = {}
    for place, prepared in cube.items():
        groups.setdefault(_program_of(prepared), []).append(place)
    made: dict[Any, Summary] = {}
    for places in groups.values():
        group = [cube[place] for place in places]
        windows = list({id(p.window): p.window for p in group}.values())
        index = {id(window): i for i, window in enumerate(windows)}
        lanes = _stacked([_lane(p, index[id(p.window)]) for p in group])
        first = group[0]
        problem, _, _ = scaled_problem(first)
        many = settings.starts * (1 if first.kind.concave else POOL)
        begin = starts_of(first, problem, many, settings.seed)
        batched = jax.default_backend() != "cpu"
        plan = partial(
            _lanes, problem._replace(window=_stacked(windows), utility=None),
            begin=begin, tolerance=settings.tolerance, limit=settings.limit,
            kind=first.kind, starts=settings.starts, batched=batched,
        )  # fmt: skip
        nothing = Known(np.full(len(group), -np.inf), np.zeros_like(lanes.reference))
        out = jax.tree.map(np.array, plan(lanes, nothing, lanes.reference[0]))
        if not (first.kind.concave or batched):
            alone = solve(group[-1], replace(settings, starts=max(ALONE, settings.starts)))
            warm = alone.spend / lanes.budget[-1]
            known = Known(out.objective, out.spend / lanes.budget[:, None])
            back = jax.tree.map(lambda leaf: leaf[::-1], (lanes, known))
            again = jax.tree.map(lambda leaf: np.asarray(leaf)[::-1], plan(*back, warm))
            for leaf, new in zip(out, again, strict=True):
                leaf[again.status != KNOWN] = new[again.status != KNOWN]
        if (out.status == NOT_FINITE).any():
            fail_not_finite()
        for i, place in enumerate(places):
            made[place] = Summary(*(leaf[i] for leaf in out))
    return made


def _program_of(prepared: Prepared) -> Any:
    """What lanes of one program share."""
    leaves, tree = jax.tree.flatten((prepared.window, prepared.utility))
    shapes = tuple(np.shape(leaf) for leaf in leaves)
    rows = np.asarray(prepared.region.rows)
    return prepared.kind, tree, shapes, rows.shape, rows.tobytes(), prepared.price


def _lane(prepared: Prepared, market: int) -> Lane:
    budget = prepared.layout.budget
    region = scaled(prepared.region, budget)
    reference = prepared.variables(prepared.layout.reference) / budget
    return Lane(
        np.asarray(market), region.lower, region.upper, region.least, region.most,
        np.asarray(budget), reference, prepared.utility,
    )  # fmt: skip


def _stacked(trees: Sequence[Any]) -> Any:
    return jax.tree.map(lambda *leaves: np.stack([np.asarray(x) for x in leaves]), *trees)


@partial(jax.jit, static_argnames=("kind", "starts", "batched"))
def _lanes(
    common: Problem, lanes: Lane, known: Known, warm: Array, begin: Array, tolerance: Any,
    limit: Any, *, kind: Kind, starts: int, batched: bool,
) -> Summary:  # fmt: skip
    """Plans of all lanes; ``common`` holds the windows of all markets, stacked."""

    def one(warm: Array, item: tuple[Lane, Known]) -> tuple[Array, Summary]:
        lane, known = item
        window = jax.tree.map(lambda leaf: leaf[lane.market], common.window)
        how = kind, starts, tolerance, limit
        return _plan(common, window, lane, known, warm, begin, *how)

    if batched:
        return jax.vmap(lambda *item: one(item[0].reference, item)[1])(lanes, known)
    return jax.lax.scan(one, warm, (lanes, known))[1]


def _plan(
    common: Problem, window: Window, lane: Lane, known: Known, warm: Array, begin: Array,
    kind: Kind, count: int, tolerance: Any, limit: Any,
) -> tuple[Array, Summary]:  # fmt: skip
    """One plan, begun at the end of the one before, and its summary."""
    respond = response_of(window, kind.form)
    region = common.region._replace(
        lower=lane.lower, upper=lane.upper, least=lane.least, most=lane.most
    )
    spend = lane.reference * lane.budget
    before = _by_channel(respond(spend), common.members)
    utility: Utility = bind(lane.utility, before.sum(1), spend @ common.members)
    reached = utility(before, spend @ common.members)
    size = jnp.abs(reached - common.price * spend.sum())
    total = before.sum(1)
    size = jnp.where(size > 0, size, jnp.where(total.mean() == 0, 1.0, total.mean()))
    spread = jnp.where(total.std() > 0, total.std(), 0.1 * jnp.abs(total.mean()))
    problem = common._replace(
        window=window, region=region, budget=lane.budget, size=size, utility=utility,
        spread=jnp.where(spread > 0, spread, 1.0),
    )  # fmt: skip

    def valued(point: Array) -> tuple[Array, Array]:
        point = project(point, region)[0]
        return point, worth(problem, respond(point * lane.budget), point)

    def searched() -> tuple[Array, Summary]:
        starts = warm[None]
        if not kind.concave:
            rest, values = jax.lax.map(valued, begin[COMMON:])
            apart = rest / ranges_of(region)
            chosen = best_apart(apart, values, max(count - COMMON, 0), CLOSE)
            starts = jnp.concatenate([starts, begin[:count][:COMMON], rest[chosen]])
        found = search(problem, kind, starts, tolerance, limit)
        return found.point, _summary(problem, found, respond, before, reached, kind.form)

    if kind.concave:
        return searched()
    least = (known.objective - common.price * known.shares.sum() * lane.budget) / size
    better = ~(valued(warm)[1] <= least + BETTER)
    empty = jax.tree.map(lambda x: jnp.zeros(x.shape, x.dtype), jax.eval_shape(searched)[1])
    skipped = known.shares, empty._replace(status=jnp.full_like(empty.status, KNOWN))
    return jax.lax.cond(better, searched, lambda: skipped)


def _summary(
    problem: Problem, found: Found, respond: Any, before: Array, worth: Array, form: Form
) -> Summary:
    spend = found.point * problem.budget
    samples = _by_channel(respond(spend), problem.members)
    total = samples.sum(1)
    scale = problem.size / problem.budget
    end = found.gradient * scale, found.multipliers * scale, found.point
    price = budget_price(*end, problem.region, problem.price)
    return Summary(
        spend,
        found.gap * problem.size,
        found.status,
        jnp.quantile(total, jnp.asarray(LEVELS)),
        samples.mean(0),
        problem.utility(samples, spend @ problem.members),
        worth,
        price,
        total.mean(),
        total.std(),
        (total > before.sum(1)).mean(),
        found.evaluations,
    )


def _by_channel(
    samples: Float[Array, "draw cell"], members: Float[Array, "variable channel"]
) -> Float[Array, "draw channel"]:
    return samples @ cell_members(members, samples.shape[1])


def _dataset(
    markets: list[str],
    utilities: list[Utility],
    levels: Sequence[float | None],
    cube: Mapping[Any, Prepared],
    made: Mapping[Any, Summary],
) -> xr.Dataset:
    """Name the numbers; money in the user's unit."""
    first = cube[0, 0, 0]
    channels = list(dict.fromkeys(c for p in cube.values() for c in p.layout.channels))
    geos = list(dict.fromkeys(g for p in cube.values() for g in p.layout.geos))
    shape = (len(markets), len(utilities), len(levels))
    dims = ("market", "utility", "budget")
    spend = np.full((*shape, len(geos), len(channels)), np.nan)
    brought = np.full((*shape, len(channels)), np.nan)
    quantiles = np.empty((*shape, len(LEVELS)))
    plain = {name: np.empty(shape) for name in (*PLAIN, "gap")}
    status = np.empty(shape, object)
    for place, summary in made.items():
        prepared = cube[place]
        layout = prepared.layout
        rows = [geos.index(geo) for geo in layout.geos]
        columns = [channels.index(channel) for channel in layout.channels]
        money = layout.table(prepared.cells(summary.spend) / layout.unit, np.nan)
        spend[place][np.ix_(rows, columns)] = money
        brought[place][columns] = summary.response_channel
        quantiles[place] = summary.response_quantile
        for name in PLAIN:
            plain[name][place] = getattr(summary, name)
        gap = relative_gap(float(summary.gap), float(summary.objective))
        plain["gap"][place] = np.nan if prepared.doubt else gap
        proven = not prepared.doubt
        status[place] = STATUS[int(summary.status)] if proven else "best of several starts"
    budgets = [first.layout.budget / first.layout.unit if x is None else x for x in levels]
    total = np.nansum(spend, (-2, -1))
    periods = first.layout.unit
    return xr.Dataset(
        {name: (dims, values) for name, values in plain.items()}
        | {
            "spend": ((*dims, GEO, CHANNEL), spend),
            "response_channel": ((*dims, CHANNEL), brought),
            "response_quantile": ((*dims, "quantile"), quantiles),
            "response_lo": (dims, quantiles[..., 0]),
            "response_hi": (dims, quantiles[..., -1]),
            "certified": (dims, plain["gap"] <= CERTIFIED_GAP),
            "status": (dims, status.astype(str)),
            "roas": (dims, plain["response_mean"] / (total * periods)),
        },
        {
            "market": markets, "utility": [str(u) for u in utilities], "budget": budgets,
            GEO: geos, CHANNEL: channels, "quantile": list(LEVELS),
        },
        {"currency": first.about.currency, "outcome_name": first.about.outcome_name,
         "per_period": int(first.layout.per_period), "periods": first.layout.periods},
    )  # fmt: skip
