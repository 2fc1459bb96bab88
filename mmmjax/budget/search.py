"""Search for the best plan: climb, smooth less and less, hold curved limits, hop.

One problem is a tree of arrays (:class:`Problem`); what kind of problem it is
(:class:`Kind`) is static, so that another budget, other bounds, draws or risk settings
compile nothing. A smooth concave utility takes one climb. Tails of draws are smoothed, and
less so in every round; a concave one ends with a proven bound, any other starts from
several points, then again and again from near the best end, over a table of the response
that costs next to nothing. Curved limits (a floor of ROAS) enter as an augmented
Lagrangian.

Sources: Rockafellar and Uryasev (2000), "Optimization of conditional value-at-risk",
J. Risk 2, for the tail as the least favourable weights, whose bound is proof; Nocedal and
Wright (2006), "Numerical Optimization", chapter 17 for the augmented Lagrangian; Lourenco,
Martin and Stutzle (2003), "Iterated local search", for the hops.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, ArrayLike, Float

from mmmjax.budget.ascent import (
    LIMIT,
    NOT_FINITE,
    SMALL,
    STALLED,
    Ascent,
    Local,
    ascend,
)
from mmmjax.budget.evolve import MOST_CELLS, evolve
from mmmjax.budget.horizon import (
    Form,
    Response,
    Window,
    response_of,
    slopes_of,
    tabled,
)
from mmmjax.budget.region import Region, project, ranges_of, support
from mmmjax.budget.utility import Smooth, Smoothing, Utility

__all__ = [
    "AT_BOUND",
    "AT_ROW",
    "Found",
    "Kind",
    "Problem",
    "best_apart",
    "budget_price",
    "cell_members",
    "hop",
    "search",
    "worth",
]

WIDEST = 0.3  # first smoothing, share of the draws
BLURS = (WIDEST, 0.1, 0.03, 0.01)  # of starts in turn: a wide blur misses narrow tops
BRIEF = 20  # evaluations of a climb on a smoothed utility that nothing is proven of
THOROUGH = 16  # starts from which on a search is given many hops and wider clouds too
HOPS, FEW_HOPS = 24, 1  # climbs for each start that begin near the best end of all
MOVED, FAR, NEAR = 3, 0.3, 0.03  # cells that a hop moves, about; how far, in ranges
GROUPS = (4, 2, 1)  # best ends that hop, one phase after the other
APART = 0.01  # mean distance, in ranges, below which two ends are one
MATES = 4  # best ends that another is mixed with
SPREADS = (0.2, 0.1, 0.05, 0.02)  # of clouds, one after the other, in ranges
CLOUDS, OWN = 192, 28  # clouds at most, and for each cell
ROUND = 4  # clouds around the best point so far, and hops of it
LESS = 0.3  # each round smooths so much less
ROUNDS = {"smooth": 1, "concave": 12, "rough": 3, "curved": 40}
STIFF, STIFFER, STIFFEST = 10.0, 8.0, 1e7  # penalty of a curved limit, its growth
MET = 1e-9  # miss of a curved limit, in shares of the budget, that counts as met
MISSED = 1e-6  # miss from which on the limit was not met
AT_BOUND = 1e-8  # share of its range within which a variable counts as at its bound
AT_ROW = 1e-7  # share of the budget within which a limit counts as met exactly


class Problem(NamedTuple):
    """One plan to make: arrays, in shares of the budget.

    Args:
        window: What spend brings.
        region: Where to look, shares of the budget.
        members: 1 where a variable belongs to a channel, (variable, channel).
        budget: Money of share 1.
        size: Utility that counts as 1.
        spread: Outcome units that smoothing takes for 1.
        utility: What is maximised.
        price: Utility that a unit of money has to bring at least, 0 with a given budget.
        floors: 1 where a variable belongs to a curved limit, (limit, variable).
        floor_levels: Mean response per money each limit asks for, (limit,).
    """

    window: Window
    region: Region
    members: Any
    budget: Any
    size: Any
    spread: Any
    utility: Utility
    price: Any
    floors: Any
    floor_levels: Any


@dataclass(frozen=True)
class Kind:
    """What a compiled search depends on besides shapes.

    Args:
        form: The kind of response.
        concave: Whether utility, response and limits make bounds of a climb a proof.
        smooth: Whether the utility needs no smoothing.
    """

    form: Form
    concave: bool
    smooth: bool

    @property
    def rounds(self) -> str:
        """Key of :data:`ROUNDS` without curved limits."""
        return "smooth" if self.smooth else "concave" if self.concave else "rough"

    def rough(self, problem: Problem) -> bool:
        """Whether tops are narrow, of a utility that a table of the response tells."""
        limits = problem.floors.shape[0]
        return not (self.smooth or self.concave or limits or self.form.joint)


class Found(NamedTuple):
    """The end of a search, in shares and scaled utility.

    Args:
        point: Best point.
        value: Exact utility less the price of the spend, over `size`.
        gap: No point is better by more, where the problem is concave.
        gradient: Of the utility, per share.
        multipliers: What one more unit of each row of the region brings.
        floor_prices: What easing each curved limit by one unit of response brings.
        residual: Largest entry of P(x + gradient) - x.
        evaluations: Points evaluated.
        status: Key of :data:`mmmjax.budget.ascent.STATUS`.
    """

    point: Any
    value: Any
    gap: Any
    gradient: Any
    multipliers: Any
    floor_prices: Any
    residual: Any
    evaluations: Any
    status: Any


class _Spot(NamedTuple):
    """A point seen at one smoothing and one set of penalties, scaled.

    Args:
        local: What is climbed, around the point.
        exact: Utility less the price of the spend.
        ceiling: See :class:`mmmjax.budget.utility.Smooth`; of the Lagrangian of the limits.
        slack: How far each curved limit is kept, shares of the budget; below 0: missed.
        weights: Multipliers of the curved limits that the gradient contains.
    """

    local: Local
    exact: Any
    ceiling: Any
    slack: Any
    weights: Any


class _Terms(NamedTuple):
    """What a round adds to the utility: smoothing, and penalties of curved limits."""

    share: Any
    weights: Any
    stiffness: Any


class _Progress(NamedTuple):
    count: Any
    best: Found
    terms: _Terms
    upper: Any  # smallest proven bound so far
    missed: Any


def search(
    problem: Problem, kind: Kind, starts: Array, tolerance: Any, limit: Any, seed: Any = 0
) -> Found:
    """Best point from several starts; one start is enough where the problem is concave.

    Args:
        problem: The problem.
        kind: What it is.
        starts: Points to begin with, (start, variable); they are projected here.
        tolerance: Relative gap at which a climb stops.
        limit: Most evaluations of one climb.
        seed: Of hops and clouds.
    """
    respond = response_of(problem.window, kind.form)
    many, limits, region = starts.shape[0], problem.floors.shape[0], problem.region
    rough = kind.rough(problem)
    ranges, key = ranges_of(region), jax.random.key(seed)
    wide = len(ranges) > MOST_CELLS

    def climb(respond: Response, start: Array, widest: Any = WIDEST) -> Found:
        first = project(start, region, ranges)[0]
        return _rounds(problem, kind, respond, first, widest, tolerance, limit)

    if many == 1:
        return climb(respond, starts[0])
    near, turns, thorough = respond, many, many >= THOROUGH
    if rough:
        ends = region.lower * problem.budget, ranges * problem.budget
        near, turns = tabled(respond, *ends), many * (1 + (HOPS if thorough else FEW_HOPS))

    def turn(state: tuple[Any, ...], count: Array) -> tuple[tuple[Any, ...], None]:
        """Climb from the next start, or after a hop from one of the best ends so far."""
        best, points, values = state
        first = count < many
        phase = (count - many) * len(GROUPS) // max(turns - many, 1)
        among = jnp.minimum(jnp.asarray(GROUPS)[phase], many)
        ends = best_apart(points / ranges, values, many, APART)
        slot = jnp.where(first, count, ends[count % among])
        widest = jnp.where(first, jnp.asarray(BLURS)[count % len(BLURS)], BLURS[-1])
        keys = jax.random.fold_in(key, count), count // among
        mates = points[ends[:MATES]] if wide else None
        after = hop(*keys, points[slot], mates, region)
        found = climb(near, jnp.where(first, starts[count % many], after), widest)
        evaluations = best.evaluations + found.evaluations
        unset = (count == 0) | jnp.isnan(best.value)
        better = (found.value > best.value) | unset
        best = jax.tree.map(lambda a, b: jnp.where(better, a, b), found, best)
        gain = found.value > values[slot]
        points = points.at[slot].set(jnp.where(gain, found.point, points[slot]))
        values = values.at[slot].max(jnp.where(gain, found.value, -jnp.inf))
        return (best._replace(evaluations=evaluations), points, values), None

    none = _begin(problem, starts[0], limits, 0.0).best
    state = none, starts, jnp.full(many, -jnp.inf)
    best = jax.lax.scan(turn, state, jnp.arange(turns))[0][0]
    if not rough:
        return best
    point, count = best.point, best.evaluations
    if not wide:

        def value(shares: Array) -> Array:
            return worth(problem, near(shares * problem.budget), shares)

        def cloud(last: tuple[Array, ...], turn: Array) -> tuple[tuple[Array, ...], None]:
            point, most, count = last
            spread = jnp.asarray(SPREADS)[-1 - turn // ROUND % len(SPREADS)]
            own, where = jax.random.split(jax.random.fold_in(key, turn))
            after = project(hop(where, turn, point, None, region), region, ranges)[0]
            start = jnp.where(turn % ROUND == 0, point, after)
            came, high, more = evolve(value, region, start, value(start), spread, own)
            better = high > most
            point, most = jnp.where(better, came, point), jnp.where(better, high, most)
            return (point, most, count + more), None

        turns = min(CLOUDS, OWN * len(ranges)) if thorough else 1
        turns = jnp.arange(turns)[::-1]  # the narrowest last
        last = best.point, best.value, count
        point, _, count = jax.lax.scan(cloud, last, turns)[0]
    end = climb(respond, point, BLURS[-1])
    return end._replace(evaluations=count + end.evaluations)


def hop(
    key: Array, kind: Array, point: Array, mates: Array | None, region: Region
) -> Array:
    """Where to climb from next: a few cells far, a few anywhere, all near; half another's.

    Args:
        key: Of the random numbers.
        kind: Which of these, in turn.
        point: An end.
        mates: Other ends; None: it is not mixed.
        region: The region, shares.
    """
    ranges = ranges_of(region)
    which, far, where = jax.random.split(key, 3)
    some = jax.random.bernoulli(which, min(1.0, MOVED / len(ranges)), ranges.shape)
    noise = ranges * jax.random.normal(far, ranges.shape)
    fresh = region.lower + ranges * jax.random.uniform(where, ranges.shape)
    anywhere = jnp.where(some, fresh, point)
    hops = [point + FAR * some * noise, anywhere, point + NEAR * noise]
    if mates is not None:
        mate, half = jax.random.split(jax.random.fold_in(key, 1))
        other = jax.random.choice(mate, mates)
        halves = jax.random.bernoulli(half, 0.5, ranges.shape)
        hops.append(jnp.where(halves, other, point))
    return jnp.stack(hops)[kind % len(hops)]


def best_apart(points: Array, values: Array, count: int, apart: float) -> Array:
    """Indices of the best points, best first; those close to a better one come last."""
    values = jnp.where(jnp.isfinite(values), values, -jnp.inf)
    rank = jnp.argsort(jnp.argsort(-values))
    near = jnp.abs(points[:, None] - points).mean(-1) < apart
    again = (near & (rank[:, None] > rank)).any(1)
    return jnp.lexsort((-values, again))[:count]


def worth(problem: Problem, samples: Array, shares: Array) -> Array:
    """Exact utility less the price of the spend, scaled, of samples (draw, cell)."""
    spend = shares * problem.budget
    cells = cell_members(problem.members, samples.shape[1])
    by_channel = samples @ cells if problem.utility.per_channel else samples.sum(1)
    worth = problem.utility(by_channel, spend @ problem.members)
    return (worth - problem.price * spend.sum()) / problem.size


def _rounds(
    problem: Problem,
    kind: Kind,
    respond: Response,
    start: Array,
    widest: Any,
    tolerance: Any,
    limit: Any,
) -> Found:
    """Climb round after round: less smoothing, stiffer limits."""
    limits = problem.floors.shape[0]
    if kind.smooth and not limits:
        return _one_climb(problem, kind, respond, start, tolerance, limit)
    most = max(ROUNDS[kind.rounds], ROUNDS["curved"] if limits else 1)
    rough = not kind.smooth and not kind.concave

    def once(now: _Progress) -> _Progress:
        last = rough & (now.count == most - 1)  # ends on the exact utility
        terms = now.terms._replace(share=jnp.where(last, 0.0, now.terms.share))
        end = ascend(
            lambda shares: _look(problem, kind.form, respond, shares, terms).local,
            problem.region, now.best.point, kind.concave,
            jnp.maximum(tolerance, 1e-3 * terms.share),
            jnp.minimum(limit, BRIEF) if rough and not limits else limit,
        )  # fmt: skip
        spot = _look(problem, kind.form, respond, end.point, terms)
        slope = spot.local.gradient
        climb = support(slope, problem.region, end.multipliers) - slope @ end.point
        upper = jnp.minimum(now.upper, spot.ceiling + jnp.maximum(climb, 0.0))
        missed = -jnp.min(spot.slack, initial=0.0)
        best = _better(now, end, spot, missed)
        if rough:  # at share 0 a gradient is that of single draws
            kept = lambda new, old: jnp.where(last, old, new)
            best = best._replace(
                gradient=kept(slope, now.best.gradient),
                multipliers=kept(end.multipliers, now.best.multipliers),
            )
        best = best._replace(gap=jnp.maximum(upper - best.value, 0.0))
        stiffer = jnp.where(missed > 0.25 * now.missed, STIFFER, 1.0)
        following = _Terms(
            terms.share * LESS,
            spot.weights,
            jnp.minimum(terms.stiffness * stiffer, STIFFEST),
        )
        close = best.gap <= tolerance * jnp.maximum(jnp.abs(best.value), SMALL)
        done = (end.status == NOT_FINITE) | ((missed <= MET) & close & (not rough))
        count = jnp.where(done, most, now.count + 1)
        return _Progress(count, best, following, upper, missed)

    state = _begin(problem, start, limits, 0.0 if kind.smooth else widest)
    if rough:  # a start that is better than all that follows is kept
        begun = worth(problem, respond(start * problem.budget), start)
        begun = jnp.where(jnp.isfinite(begun), begun, -jnp.inf)
        state = state._replace(best=state.best._replace(value=begun))
    return jax.lax.while_loop(lambda now: now.count < most, once, state).best


def _one_climb(
    problem: Problem,
    kind: Kind,
    respond: Response,
    start: Array,
    tolerance: Any,
    limit: Any,
) -> Found:
    """Without anything to smooth one climb is all, and its value and gap are exact."""
    terms = _begin(problem, start, 0, 0.0).terms
    end = ascend(
        lambda shares: _look(problem, kind.form, respond, shares, terms).local,
        problem.region, start, kind.concave, tolerance, limit,
    )  # fmt: skip
    return Found(
        end.point, end.value, end.gap, end.gradient, end.multipliers, terms.weights,
        end.residual, end.evaluations, end.status,
    )  # fmt: skip


def _begin(problem: Problem, start: Array, limits: int, share: Any) -> _Progress:
    inf, zero, count = jnp.asarray(jnp.inf), jnp.zeros(()), jnp.zeros((), int)
    rows = problem.region.rows.shape[0]
    found = Found(
        start, -inf, inf, jnp.zeros_like(start), jnp.zeros(rows), jnp.zeros(limits), zero,
        count, jnp.full((), STALLED),
    )  # fmt: skip
    terms = _Terms(jnp.asarray(share), jnp.zeros(limits), jnp.asarray(STIFF))
    return _Progress(count, found, terms, inf, inf)


def _better(now: _Progress, end: Ascent, spot: _Spot, missed: Array) -> Found:
    """The better of the best point so far and the end of this round's climb.

    With curved limits the last point is the best one: earlier ones miss the limits more.
    """
    evaluations = now.best.evaluations + end.evaluations
    status = jnp.where(missed > MISSED, LIMIT, end.status)
    new = Found(
        end.point, spot.exact, now.best.gap, spot.local.gradient, end.multipliers,
        spot.weights, end.residual, evaluations, status,
    )  # fmt: skip
    better = (spot.exact >= now.best.value) | (len(spot.slack) > 0)
    best = jax.tree.map(lambda a, b: jnp.where(better, a, b), new, now.best)
    return best._replace(evaluations=evaluations, status=status)


def _look(
    problem: Problem, form: Form, respond: Response, shares: Array, terms: _Terms
) -> _Spot:
    """The scaled problem around a point."""
    spend = shares * problem.budget
    samples, pull = _pulled(respond, spend, form)
    money = spend @ problem.members
    cells = cell_members(problem.members, samples.shape[1])
    each = samples @ cells if problem.utility.per_channel else samples.sum(1)[:, None]
    smoothing = Smoothing(terms.share, problem.spread)

    def smooth(each: Array, money: Array) -> Smooth:
        return problem.utility.smooth(each, money, smoothing)

    (value, ceiling), back = jax.vjp(smooth, each, money)
    weights, worth_of_money = back(Smooth(jnp.ones(()), jnp.zeros(())))
    weights = weights @ cells.T if problem.utility.per_channel else weights[:, 0]
    cost = problem.price * spend.sum()
    straight = problem.members @ worth_of_money - problem.price
    slack, pushes, gained, whole = _limits(problem, samples, shares, terms)
    if len(slack):
        by_cell = cell_members(problem.floors.T, samples.shape[1])
        push = by_cell @ (pushes / problem.floor_levels / problem.budget)
        weights = weights if weights.ndim == 2 else weights[:, None]
        weights = weights / problem.size + push / samples.shape[0]
        straight = straight / problem.size - problem.floors.T @ pushes / problem.budget
    else:
        weights, straight = weights / problem.size, straight / problem.size
    slope, bend = pull(weights)
    local = Local(
        (value - cost) / problem.size + gained,
        (slope + straight) * problem.budget,
        jnp.abs(bend) * problem.budget**2,
    )
    exact = problem.utility(each if problem.utility.per_channel else each[:, 0], money)
    above = (ceiling - cost) / problem.size + whole
    return _Spot(local, (exact - cost) / problem.size, above, slack, pushes)


def _limits(
    problem: Problem, samples: Array, shares: Array, terms: _Terms
) -> tuple[Array, Array, Array, Array]:
    """Curved limits: slack, multipliers, augmented term and plain Lagrangian term.

    A limit asks for a mean response of `floor_levels` per money of its variables; its slack
    is counted in shares of the budget.
    """
    by_cell = cell_members(problem.floors.T, samples.shape[1])
    brought = samples.mean(0) @ by_cell / problem.floor_levels / problem.budget
    slack = brought - problem.floors @ shares
    pushes = jnp.maximum(terms.weights - terms.stiffness * slack, 0.0)
    gained = (terms.weights**2 - pushes**2).sum() / (2 * terms.stiffness)
    return slack, pushes, gained, pushes @ slack


def budget_price(
    gradient: Float[ArrayLike, " variable"],
    multipliers: Float[ArrayLike, " row"],
    point: Float[ArrayLike, " variable"],
    region: Region,
    price: Float[ArrayLike, ""],
) -> Float[Array, ""]:
    """Utility that one more unit of budget brings; NaN where nothing can take it.

    With no limit but the total that is the steepest slope that can be followed, exact at
    any point; otherwise the multiplier of the total. A variable within rounding of its
    upper bound, or in a group of variables that is at its most, cannot take any.

    Args:
        gradient: Of the utility less the price of the spend, per money.
        multipliers: Of the rows of the region, the total first.
        point: The plan, in the unit of the region.
        region: What it may spend.
        price: Utility that a unit of money has to bring.
    """
    point, multipliers = jnp.asarray(point), jnp.asarray(multipliers)
    lower, upper, rows, _, most = (jnp.asarray(part) for part in region[:5])
    can_grow = upper - point > AT_BOUND * (upper - lower)
    full = rows[1:] @ point >= most[1:] - AT_ROW * point.sum()
    groups = full & (rows[1:] >= 0).all(1)
    can_grow &= ~((rows[1:] > 0) & groups[:, None]).any(0)
    steepest = jnp.where(can_grow, gradient, -jnp.inf).max()
    net = steepest if multipliers.shape[0] == 1 else multipliers[0]
    gross = jnp.maximum(net + price, 0.0)
    return jnp.where(can_grow.any(), gross, jnp.nan)


def cell_members(
    members: Float[Array, "variable group"], cells: int
) -> Float[Array, "cell group"]:
    """Membership of cells from that of variables: every period of a cell belongs alike."""
    return members[:: members.shape[0] // cells]


def _pulled(
    respond: Response, spend: Array, form: Form
) -> tuple[Array, Callable[[Array], tuple[Array, Array]]]:
    """Samples (draw, cell), and what weights of them make of their derivatives.

    The function takes weights (draw,) or (draw, cell) and returns gradient and second
    derivative by variable; 0 for a second derivative that is not known.
    """
    if form.joint:
        samples, back = jax.vjp(respond, spend)

        def through(weights: Array) -> tuple[Array, Array]:
            weights = weights if weights.ndim == 2 else weights[:, None]
            whole = jnp.broadcast_to(weights, samples.shape)
            return back(whole)[0], jnp.zeros_like(spend)

        return samples, through
    samples, slopes, bends = slopes_of(respond, spend)

    def each(weights: Array) -> tuple[Array, Array]:
        if weights.ndim == 1:  # products of matrices run on all cores, sums do not
            return weights @ slopes, weights @ bends
        return (weights * slopes).sum(0), (weights * bends).sum(0)

    return samples, each
