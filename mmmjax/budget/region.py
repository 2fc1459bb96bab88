"""What a plan may spend: a box per variable and rows of limits, with exact operations.

A region is {x: lower <= x <= upper, least <= rows @ x <= most}; row 0 is always the total
of all variables, a variable held fixed has lower == upper, a row held exactly has least
== most. All kernels work in float64 (the caller opens ``jax.enable_x64``) and are exact
up to rounding; none checks values, :mod:`mmmjax.budget.feasible` does, on the host.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, ArrayLike, Float

from mmmjax.budget.interior import RIDGE, interior, solver

__all__ = [
    "ROUNDING",
    "Region",
    "best_vertex",
    "inside",
    "project",
    "project_nested",
    "ranges_of",
    "residuals",
    "scaled",
    "simple",
    "size_of",
    "support",
    "with_nesting",
]

EXACT = 4e-16  # relative excess of a sum that rounding alone explains
MOST_TURNS = 200  # bisection alone needs fewer; a guard against NaN
REPAIRS = 10  # turns that spread what rounding left of the rows
PATIENCE = 3  # Newton turns that do not halve the residual after which it gives up
ENOUGH = 1e-12  # relative miss of the rows from which rounding is the rest
NARROW = 1e-14  # relative range of a row that is none
AT_END = 1e-12  # share of its range within which a variable is at its bound
LOST = 1e-9  # relative miss from which the interior point is the better answer
ROUNDING = 1e-9  # relative: sums of money this close to the budget are the budget


class Region(NamedTuple):
    """{x: lower <= x <= upper, least <= rows @ x <= most}, one unit (money or shares).

    Args:
        lower: (variable,), finite.
        upper: (variable,), finite, at least `lower`.
        rows: (row, variable), finite; row 0 is all ones.
        least: (row,), may be -inf.
        most: (row,), may be inf, at least `least`.
        nested: Anything but None says that the rows after the total are disjoint groups of
            variables, whose projection is simpler; :func:`with_nesting` finds out.
    """

    lower: Any
    upper: Any
    rows: Any
    least: Any
    most: Any
    nested: Any = None


def with_nesting(region: Region) -> Region:
    """The same region, marked where its rows but the total are disjoint groups (NumPy)."""
    rows = np.asarray(region.rows)[1:]
    groups = np.isin(rows, (0.0, 1.0)).all() and (rows.sum(0) <= 1.0).all()
    return region._replace(nested=np.ones(0) if len(rows) and groups else None)


def simple(lower: Any, upper: Any, total: Any) -> Region:
    """Region of a box and one total that is spent exactly."""
    total = total[None] if isinstance(total, jax.Array) else np.asarray([total], float)
    return Region(lower, upper, np.ones((1, np.shape(lower)[0])), total, total)


def scaled(region: Region, unit: float) -> Region:
    """The same region with money counted in another unit (the budget: shares)."""
    return region._replace(
        lower=region.lower / unit, upper=region.upper / unit,
        least=region.least / unit, most=region.most / unit,
    )  # fmt: skip


def ranges_of(region: Region) -> Float[Array, " variable"]:
    """What each variable may move; 1e-12 of the widest where it may not: all above 0."""
    width = jnp.asarray(region.upper) - jnp.asarray(region.lower)
    return jnp.maximum(width, jnp.maximum(1e-12 * width.max(), 1e-300))


def project(
    point: Float[Array, " variable"],
    region: Region,
    metric: Float[ArrayLike, "#variable"] = 1.0,
    start: Float[Array, " row"] | None = None,
) -> tuple[Float[Array, " variable"], Float[Array, " row"]]:
    r"""Nearest point of a feasible region: argmin over x of $\sum_i (x_i - p_i)^2 / v_i$.

    The answer is $x_i = \mathrm{clip}(p_i - v_i (A^\top \mu)_i, l_i, u_i)$ with one
    multiplier per row, positive where the row is at `most`, negative where it is at
    `least`, 0 where it is between them.

    Args:
        point: $p$, any finite point.
        region: The region; must not be empty.
        metric: $v$, positive; how far a variable moves for one unit of multiplier.
        start: Multipliers to begin with, those of a similar point; any are right.

    Returns:
        (x, multipliers): x is in the region up to rounding.

    Source: one row: Cominetti, Mascarenhas and Silva (2014), "A Newton's method for the
    continuous quadratic knapsack problem", Math. Prog. Comp. 6. Several rows: Newton steps
    on the multipliers, the rows that bind guessed anew in each (Hintermueller, Ito and
    Kunisch, 2002, "The primal-dual active set strategy as a semismooth Newton method",
    SIAM J. Optim. 13); where they do not settle, :func:`~mmmjax.budget.interior.interior`
    and then the same steps from there.
    """
    region = jax.tree.map(lambda part: jnp.asarray(part, point.dtype), region)
    v = jnp.broadcast_to(jnp.asarray(metric, point.dtype), point.shape)
    if start is None:
        start = jnp.zeros_like(region.least)
    if region.rows.shape[0] == 1:
        x, multiplier = _project_total(point, region, v, start[0])
        return x, multiplier[None]
    if region.nested is not None:
        x, multipliers = project_nested(
            point, region[:2], region.rows[1:], region.least, region.most, v
        )
        return _meet_rows(x, region, v), multipliers
    return _project_rows(point, region, v, start)


def _project_total(
    point: Array, region: Region, v: Array, start: Array
) -> tuple[Array, Array]:
    """One row: the sum falls piecewise linearly in the multiplier, Newton in a bracket."""
    lower, upper = region.lower, region.upper
    total = jnp.clip(
        jnp.clip(point, lower, upper).sum(), region.least[0], region.most[0]
    )  # of a range the end that is nearer
    start = jnp.where(region.least[0] == region.most[0], start, 0.0)
    leaves_upper, meets_lower = (point - upper) / v, (point - lower) / v

    def turn(state: tuple[Array, ...]) -> tuple[Array, ...]:
        low, high, multiplier, _, turns = state
        x = jnp.clip(point - multiplier * v, lower, upper)
        excess = x.sum() - total
        low = jnp.where(excess > 0, multiplier, low)
        high = jnp.where(excess > 0, high, multiplier)
        free = (leaves_upper < multiplier) & (multiplier < meets_lower)
        slope = jnp.where(free, v, 0.0).sum()
        newton = multiplier + excess / jnp.where(slope > 0, slope, 1.0)
        safe = (slope > 0) & (newton > low) & (newton < high)
        following = jnp.where(safe, newton, 0.5 * (low + high))
        met = jnp.abs(excess) <= EXACT * jnp.abs(x).sum()
        done = met | (following == multiplier) | (turns >= MOST_TURNS)
        return low, high, jnp.where(done, multiplier, following), done, turns + 1

    low, high = leaves_upper.min(), meets_lower.max()
    begin = jnp.clip(start, jnp.minimum(low, 0.0), jnp.maximum(high, 0.0))
    low, high = jnp.minimum(low, begin), jnp.maximum(high, begin)
    state = (low, high, begin, jnp.asarray(False), jnp.asarray(0))
    _, _, multiplier, _, _ = jax.lax.while_loop(lambda s: ~s[3], turn, state)
    x = jnp.clip(point - multiplier * v, lower, upper)
    for _ in range(2):  # spread what rounding left; once more where a bound was met
        free = (x > lower) & (x < upper)
        weight = jnp.where(free, v, 0.0)
        share = weight / jnp.where(free.any(), weight.sum(), 1.0)
        x = jnp.clip(x + (total - x.sum()) * share, lower, upper)
    return x, multiplier


def project_nested(
    point: Float[Array, " variable"],
    bounds: tuple[Float[Array, " variable"], Float[Array, " variable"]],
    groups: Float[Array, "group variable"],
    least: Float[Array, " row"],
    most: Float[Array, " row"],
    v: Float[Array, " variable"],
) -> tuple[Float[Array, " variable"], Float[Array, " row"]]:
    """Nearest point in the metric `v`, and multipliers, as :func:`project` defines both.

    Of a box, a total and disjoint groups with limits of their own, such as totals of geos,
    or of channels over periods. With the multiplier of the total given, each group is a
    problem of its own: its sum is what the total alone would make of it, clipped to the
    group's limits. So the sum over groups falls monotonically in that one multiplier; a
    bracketed Newton search finds it, then those of the groups. Nothing can cycle.

    Args:
        point: What is projected.
        bounds: Lower and upper.
        groups: 1 where a variable belongs to a group, at most one.
        least: Least of the total, then of every group.
        most: Most of the total, then of every group.
        v: Metric, positive.
    """
    lower, upper = bounds
    leaves, meets = (point - upper) / v, (point - lower) / v
    alone = 1.0 - groups.sum(0)  # in no group
    low, high = least[1:], most[1:]

    def at(price: Array) -> tuple[Array, Array]:
        """Point and the speed with which each variable falls, at a price of each."""
        free = (leaves < price) & (price < meets)
        return jnp.clip(point - price * v, lower, upper), jnp.where(free, v, 0.0)

    def whole(price: Array) -> tuple[Array, Array]:
        x, fall = at(price)
        sums = groups @ x
        inside = (sums > low) & (sums < high)
        falls = jnp.where(inside, groups @ fall, 0.0).sum() + alone @ fall
        return jnp.clip(sums, low, high).sum() + alone @ x, falls

    ends = leaves.min(), meets.max()
    target = jnp.clip(whole(jnp.zeros(()))[0], least[0], most[0])  # of a range the nearer
    total = _root(lambda price: whole(price), target, *ends)
    total = jnp.where(whole(jnp.zeros(()))[0] == target, 0.0, total)
    sums = groups @ at(total)[0]
    wanted = jnp.clip(sums, low, high)

    def each(prices: Array) -> tuple[Array, Array]:
        x, fall = at(prices @ groups + total * alone)
        return groups @ x, groups @ fall

    size = jnp.ones_like(sums)
    own = _root(each, wanted, ends[0] * size, ends[1] * size)
    own = jnp.where(wanted == sums, total, own)
    x = at(own @ groups + total * alone)[0]
    return x, jnp.append(total, own - total)


def _root(
    function: Callable[[Array], tuple[Array, Array]],
    target: Array,
    low: Array,
    high: Array,
) -> Array:
    """Prices at which falling sums meet their targets; scalars or one of each group."""

    def turn(state: tuple[Array, ...]) -> tuple[Array, ...]:
        low, high, price, _, turns = state
        sums, fall = function(price)
        excess = sums - target
        low, high = jnp.where(excess > 0, price, low), jnp.where(excess > 0, high, price)
        newton = price + excess / jnp.where(fall > 0, fall, 1.0)
        safe = (fall > 0) & (newton > low) & (newton < high)
        following = jnp.where(safe, newton, 0.5 * (low + high))
        met = jnp.abs(excess) <= EXACT * jnp.abs(target)
        following = jnp.where(met, price, following)
        done = (met | (following == price)).all() | (turns >= MOST_TURNS)
        return low, high, following, done, turns + 1

    begin = (low, high, 0.5 * (low + high), jnp.asarray(False), jnp.asarray(0))
    return jax.lax.while_loop(lambda state: ~state[3], turn, begin)[2]


def _priced(multipliers: Array, region: Region) -> Array:
    """Multipliers without those of sides that are not limited."""
    least, most = jnp.asarray(region.least), jnp.asarray(region.most)
    kept = jnp.where(jnp.isinf(most), jnp.minimum(multipliers, 0.0), multipliers)
    return jnp.where(jnp.isinf(least), jnp.maximum(kept, 0.0), kept)


class _Dual(NamedTuple):
    """Where Newton's method on the multipliers stands."""

    multipliers: Array
    best: Array  # the multipliers met with the smallest residual
    residual: Array  # of the best
    idle: Array  # turns since the residual fell
    done: Array


class _Stage(NamedTuple):
    """What the stages of a projection on several rows have found so far."""

    multipliers: Array
    residual: Array  # of the multipliers
    inner: Array  # the interior point's answer and multipliers
    guess: Array
    stage: Array


def _project_rows(
    point: Array, region: Region, v: Array, start: Array
) -> tuple[Array, Array]:
    """Several rows: Newton on the dual; where that fails, an interior point first.

    A loop over the two stages, so that both methods are compiled once.
    """
    lower, upper, rows, least, most, _ = region = _narrowed(region)

    def turn(state: _Stage) -> _Stage:
        second = state.stage > 0
        inner, guess = interior(point, (lower, upper), rows, (least, most), v, second)
        guess = _priced(guess, region)
        begin = jnp.where(second, guess, state.multipliers)
        mu, residual = _newton(point, region, v, begin)
        better = residual < state.residual
        return _Stage(
            jnp.where(better, mu, state.multipliers),
            jnp.minimum(residual, state.residual),
            inner,
            guess,
            state.stage + 1,
        )

    far = jnp.asarray(jnp.inf, point.dtype)
    start = _priced(start, region)
    end = jax.lax.while_loop(
        lambda state: (state.residual > ENOUGH) & (state.stage < 2),
        turn,
        _Stage(start, far, point, start, jnp.asarray(0)),
    )
    lost = (end.stage > 1) & (end.residual > LOST)
    mu = jnp.where(lost, end.guess, end.multipliers)
    x = jnp.where(lost, end.inner, point - v * (mu @ rows))
    x = _meet_rows(jnp.clip(x, lower, upper), region, v)
    again = end.stage > 1
    return x, jax.lax.cond(again, _explained, lambda *_: mu, x, mu, point, region, v)


def _explained(x: Array, mu: Array, point: Array, region: Region, v: Array) -> Array:
    """Multipliers that explain x better: least squares over the variables that are free.

    Where rows and bounds leave but a point, x is exact long before the multipliers are;
    those of rows that depend on each other may be anything large; an interior point leaves
    a little price on rows that x does not touch.
    """
    lower, upper, rows, least, most, _ = region
    sums, off = rows @ x, AT_END * (upper - lower)
    slack = AT_END * (jnp.abs(rows) @ jnp.abs(x))
    high, low = sums >= most - slack, sums <= least + slack
    weight = jnp.where((x - lower > off) & (upper - x > off), v, 0.0)

    def signed(mu: Array) -> Array:
        mu = jnp.where(high, mu, jnp.minimum(mu, 0.0))
        return jnp.where(low, mu, jnp.maximum(mu, 0.0))

    kept, binds = signed(mu), high | low
    matrix = jnp.where(binds[:, None] & binds, (rows * weight) @ rows.T, 0.0)
    left = (point - x) / v - jnp.stack([jnp.zeros_like(mu), kept]) @ rows
    afresh, change = jax.vmap(solver(matrix))(jnp.where(binds, left * weight @ rows.T, 0.0))
    tried = jnp.stack([signed(afresh), signed(kept + change), kept, mu])
    miss = jnp.abs(jnp.clip(point - v * (tried @ rows), lower, upper) - x).max(1)
    enough = miss <= jnp.maximum(miss.min(), AT_END * jnp.abs(point).max())
    return tried[jnp.argmax(enough)]


def _narrowed(region: Region) -> Region:
    """The region with rows held exactly whose range is no more than rounding."""
    lower, upper, rows, least, most, _ = region
    size = jnp.abs(rows) @ jnp.maximum(jnp.abs(lower), jnp.abs(upper))
    narrow = most - least <= NARROW * size
    middle = jnp.where(narrow & (least < most), least + 0.5 * (most - least), least)
    return region._replace(least=middle, most=jnp.where(narrow, middle, most))


def _newton(point: Array, region: Region, v: Array, start: Array) -> tuple[Array, Array]:
    """Semismooth Newton steps on the multipliers, undamped; the best met, its residual."""
    lower, upper, rows, least, most, _ = region
    squares, absolute, width = rows * rows, jnp.abs(rows), upper - lower

    def turn(state: _Dual) -> _Dual:
        mu = state.multipliers
        loose = point - v * (mu @ rows)
        x = jnp.clip(loose, lower, upper)
        sums = rows @ x
        secant = width / jnp.where(width > 0, width + jnp.abs(loose - x), 1.0)
        size = squares @ (v * secant)  # what the row moves for its multiplier, about
        size = jnp.where(size > 0, size, 1.0)
        wished = jnp.clip(sums + mu * size, least, most)
        scale = absolute @ jnp.abs(x)
        residual = (jnp.abs(sums - wished) / jnp.where(scale > 0, scale, 1.0)).max()
        better = residual < state.residual
        idle = jnp.where(residual < 0.5 * state.residual, 0, state.idle + 1)
        weight = jnp.where((loose > lower) & (loose < upper), v, 0.0)
        step = _dual_step(region, mu, sums, wished, size, weight)
        settled = (residual <= EXACT) | ((idle > 0) & (state.residual <= ENOUGH))
        done = settled | (idle > PATIENCE) | (step == 0).all()
        return _Dual(
            mu + step,
            jnp.where(better, mu, state.best),
            jnp.where(better, residual, state.residual),
            idle,
            done,
        )

    far = jnp.asarray(jnp.inf, point.dtype)
    begin = _Dual(start, start, far, jnp.asarray(0), jnp.asarray(False))
    end = jax.lax.while_loop(lambda s: ~s.done, turn, begin)
    return end.best, end.residual


def _dual_step(
    region: Region, mu: Array, sums: Array, wished: Array, size: Array, weight: Array
) -> Array:
    """Step to the multipliers that meet the rows which bind; others go to 0."""
    rows = region.rows
    target = sums + mu * size
    binds = (target > region.most) | (target < region.least) | (region.least == region.most)
    leave = jnp.where(binds, 0.0, -mu)
    matrix = (rows * weight) @ rows.T
    right = jnp.where(binds, sums - wished - matrix @ leave, 0.0)
    matrix = jnp.where(binds[:, None] & binds, matrix, 0.0)
    own = matrix.diagonal()
    matrix = matrix + jnp.diag(jnp.where(own > RIDGE * size, 0.0, size))
    return jnp.where(binds, solver(matrix)(right), leave)


def _meet_rows(x: Array, region: Region, v: Array) -> Array:
    """Spread what is left of the rows over the variables that can take it."""
    lower, upper, rows, least, most, _ = region

    def left(x: Array) -> tuple[Array, Array]:  # sums, and what they miss
        sums = rows @ x
        return sums, jnp.clip(sums, least, most) - sums

    def missed(x: Array) -> Array:
        return (jnp.abs(left(x)[1]) > EXACT * (jnp.abs(rows) @ jnp.abs(x))).any()

    def turn(state: tuple[Array, Array, Array]) -> tuple[Array, Array, Array]:
        x, open_, turns = state
        sums, miss = left(x)
        binds = (sums <= least) | (sums >= most)
        weight = jnp.where(open_, v, 0.0)
        matrix = jnp.where(binds[:, None] & binds, (rows * weight) @ rows.T, 0.0)
        move = (solver(matrix)(miss) @ rows) * v
        x = jnp.clip(x + jnp.where(open_, move, 0.0), lower, upper)
        stuck = ((x <= lower) & (move < 0)) | ((x >= upper) & (move > 0))
        return x, (lower < upper) & ~stuck, turns + 1

    begin = (x, (x > lower) & (x < upper), jnp.asarray(0))
    return jax.lax.while_loop(
        lambda state: missed(state[0]) & (state[2] < REPAIRS), turn, begin
    )[0]


def best_vertex(
    gradient: Float[Array, " variable"], region: Region
) -> Float[Array, " variable"]:
    """Point with the largest <gradient, x> of a box and its total (row 0), exactly.

    Everything starts at its lower bound; what is left of the total goes to the variables
    in descending order of gradient, each up to its upper bound; of a range no more than
    pays, and no less than its least.
    """
    lower, upper = jnp.asarray(region.lower), jnp.asarray(region.upper)
    order = jnp.argsort(-gradient)
    width = (upper - lower)[order]
    given_before = jnp.cumsum(width) - width
    pays = lower.sum() + jnp.where(gradient > 0, upper - lower, 0.0).sum()
    total = jnp.clip(pays, region.least[0], region.most[0])
    share = jnp.clip(total - lower.sum() - given_before, 0.0, width)
    return lower.at[order].add(share)


def support(
    gradient: Float[Array, " variable"],
    region: Region,
    multipliers: Float[Array, " row"],
) -> Float[Array, ""]:
    """Upper bound of <gradient, x> over a region; exact at one row or the right prices.

    The rows but the total are priced with the multipliers given, which leaves a box and a
    total: that maximum, exact, plus what the prices promise at most, is a bound whatever
    the multipliers are (weak duality), and the maximum at those of the linear programme.

    Args:
        gradient: Of the objective.
        region: The region; must not be empty.
        multipliers: Price of each row: those of ``project(x + step * metric * gradient)``
            over `step` tend to the right ones as x does to a maximum. That of the total
            is not used, it is found.
    """
    rows, least, most = (jnp.asarray(part)[1:] for part in region[2:5])
    price = _priced(multipliers, region)[1:]
    end = jnp.where(price > 0, most, least)
    promised = jnp.where(price != 0, price * jnp.where(price != 0, end, 0.0), 0.0).sum()
    left = gradient - price @ rows
    return left @ best_vertex(left, region) + promised


def residuals(point: Float[ArrayLike, " variable"], region: Region) -> dict[str, float]:
    """How far a point misses the total, its bounds and the other rows (region's unit)."""
    x, lower, upper, rows, least, most = (
        np.asarray(a, float) for a in (point, *region[:5])
    )
    sums = rows @ x
    missed = np.maximum(np.maximum(least - sums, sums - most), 0.0)
    outside = np.maximum(np.maximum(lower - x, x - upper), 0.0)
    found = {"budget": float(missed[0]), "bounds": float(outside.max(initial=0.0))}
    return found | ({"limits": float(missed[1:].max())} if len(rows) > 1 else {})


def inside(point: np.ndarray, region: Region) -> bool:
    """Whether a point is in the region, up to rounding of its total."""
    return max(residuals(point, region).values()) <= ROUNDING * size_of(region)


def size_of(region: Region) -> float:
    """Largest total that a region can spend, for tolerances."""
    most, upper = float(np.asarray(region.most)[0]), float(np.sum(region.upper))
    return min(most, upper) if most > 0 else upper
