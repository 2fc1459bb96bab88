"""Projection on a box and rows by a primal-dual interior point: slower, from anywhere.

:func:`mmmjax.budget.region.project` turns to it where Newton's method on the multipliers
loses its way: few variables between their bounds, or a region that is almost a point.
Variables count in shares of their range, rows in what they can move; the sums of the rows
are variables of their own, without cost, between `least` and `most`.

Source: Mehrotra (1992), "On the implementation of a primal-dual interior point method",
SIAM J. Optim. 2, for a quadratic programme with a diagonal matrix.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

__all__ = ["interior", "solver"]

RIDGE = 1e-13  # relative, added to a matrix of rows that may be singular
MOST_TURNS = 60  # 10 to 25 are usual
SHORT = 0.5  # step after which the next one goes to the middle, uncorrected
KEEP = 0.995  # share of the way to the nearest bound that a step goes
EXACT = 1e-15  # miss of the scaled conditions below which nothing is left to do
CLOSE = 1e-20  # product of gap and price that says which of the two is zero
NARROW = 1e-13  # range of a row, in what it can move, that is none
INSIDE = 0.1  # first point: at least so far from its bounds, shares of the range


class _Problem(NamedTuple):
    """min over z of z' diag(bend) z / 2 - pull' z, matrix @ x - size * s = offset.

    z = (x, s): variables, then the sums of the rows, each in shares of its range: 0 is the
    lower end, `top` the upper one, where there are ends. A row with an upper end only
    counts from there. So a narrow range costs no digits.
    """

    matrix: Array  # (row, variable)
    size: Array  # (row,)
    offset: Array  # (row,)
    has_low: Array  # (variable + row,)
    has_high: Array
    held: Array  # fixed variables and the sums of rows held exactly: they do not move
    bend: Array
    pull: Array
    top: Array  # 1; 0 where a row has no lower end

    def spread(self, multipliers: Array) -> Array:
        """Transpose of :meth:`gather`."""
        return jnp.append(multipliers @ self.matrix, -self.size * multipliers)

    def gather(self, z: Array) -> Array:
        """Sums less what they are said to be."""
        n = self.matrix.shape[1]
        return self.matrix @ z[:n] - self.size * z[n:]

    def gaps(self, z: Array) -> tuple[Array, Array]:
        """Distance to the bounds; 1 where there is none."""
        return jnp.where(self.has_low, z, 1.0), jnp.where(self.has_high, self.top - z, 1.0)


class _Iterate(NamedTuple):
    """A point between the bounds, prices of the rows and of the bounds; or a step of it."""

    z: Array
    multipliers: Array
    below: Array
    above: Array


class _State(NamedTuple):
    at: _Iterate
    best: _Iterate
    miss: Array  # of the best: dual, primal and complementarity, 1 is enough
    step: Array  # length of the last
    turns: Array
    done: Array


def interior(
    point: Float[Array, " variable"],
    bounds: tuple[Float[Array, " variable"], Float[Array, " variable"]],
    rows: Float[Array, "row variable"],
    sums: tuple[Float[Array, " row"], Float[Array, " row"]],
    v: Float[Array, " variable"],
    wanted: Bool[Array, ""],
) -> tuple[Float[Array, " variable"], Float[Array, " row"]]:
    """Nearest point (x, multipliers) to about 1e-9, as `project` defines both.

    Args:
        point: What is projected.
        bounds: Lower and upper, finite.
        rows: Rows, finite.
        sums: Least and most of rows @ x, may be infinite; equal: held exactly.
        v: Metric, positive.
        wanted: Whether to do anything (a batch waits for those that need it).
    """
    (lower, upper), (task, norm, unit) = bounds, _problem(point, bounds, rows, sums, v)
    start = _begin(task, lower.shape[0])
    state = _State(start, start, jnp.inf * unit, 1.0 + 0 * unit, jnp.asarray(0), ~wanted)
    best = jax.lax.while_loop(lambda s: ~s.done, lambda s: _turn(task, s), state).best
    shares = jnp.clip(best.z[: lower.shape[0]], 0.0, 1.0)
    return lower + (upper - lower) * shares, best.multipliers / (unit * norm)


def _begin(task: _Problem, n: int) -> _Iterate:
    """First point: of the box alone, kept away from all bounds; prices that explain it."""
    x = jnp.clip(task.pull[:n] / _positive(task.bend[:n]), INSIDE, 1 - INSIDE)
    x = jnp.where(task.held[:n], 0.0, x)
    s = (task.matrix @ x - task.offset) / task.size
    s = jnp.where(task.has_low[n:], jnp.maximum(s, INSIDE), s)
    s = jnp.where(task.has_high[n:], jnp.minimum(s, task.top[n:] - INSIDE), s)
    z = jnp.append(x, jnp.where(task.held[n:], 0.0, s))
    slope = jnp.where(task.held, 0.0, task.bend * z - task.pull)
    common = jnp.abs(slope).sum() / jnp.maximum((~task.held).sum(), 1)
    common = jnp.maximum(common, INSIDE * task.bend.max())  # the point may be in the box
    below = jnp.where(task.has_low, common + jnp.maximum(slope, 0.0), 0.0)
    above = jnp.where(task.has_high, common + jnp.maximum(-slope, 0.0), 0.0)
    return _Iterate(z, jnp.zeros_like(task.size), below, above)


def _problem(
    point: Array,
    bounds: tuple[Array, Array],
    rows: Array,
    sums: tuple[Array, Array],
    v: Array,
) -> tuple[_Problem, Array, Array]:
    """The problem in shares of ranges; the unit of each row and that of the prices."""
    (lower, upper), (least, most) = bounds, sums
    width = upper - lower
    norm = _positive(jnp.abs(rows) @ width)
    matrix, base = rows * width / norm[:, None], rows @ lower
    bottom, top = (least - base) / norm, (most - base) / norm
    idle = (jnp.isinf(bottom) & jnp.isinf(top)) | ~(matrix != 0).any(1)
    equal = ~idle & (top - bottom <= NARROW)
    low, high = (~(jnp.isinf(end) | idle | equal) for end in (bottom, top))
    far = jnp.maximum(jnp.abs(point - lower), jnp.abs(point - upper))
    unit = 1.0 / _positive((width * far / v).max())
    zero, fixed = jnp.zeros_like(least), width == 0
    middle = jnp.where(equal, 0.5 * (bottom + top), jnp.where(low, bottom, top))
    return (
        _Problem(
            jnp.where(idle[:, None], 0.0, matrix),
            jnp.where(low & high, top - bottom, 1.0),
            jnp.where(idle, 0.0, middle),
            jnp.append(~fixed, low),
            jnp.append(~fixed, high),
            jnp.append(fixed, equal | idle),
            jnp.append(unit * width * width / v, zero),
            jnp.append(unit * width * (point - lower) / v, zero),
            jnp.append(jnp.ones_like(lower), jnp.where(low, 1.0, 0.0)),
        ),
        norm,
        unit,
    )


def _turn(task: _Problem, state: _State) -> _State:
    """Predict, aim at the middle path, correct, step."""
    at, mean = state.at, _mean(task, state.at)
    dual = task.bend * at.z - task.pull + task.spread(at.multipliers) - at.below + at.above
    dual, primal = jnp.where(task.held, 0.0, dual), task.gather(at.z) - task.offset
    miss = jnp.maximum(jnp.abs(dual).max(), jnp.abs(primal).max())
    miss = jnp.maximum(miss / EXACT, mean / CLOSE)
    better = miss < state.miss
    best = jax.tree.map(lambda new, old: jnp.where(better, new, old), at, state.best)
    move = _mover(task, at, dual, primal)
    first = move(jnp.zeros_like(at.z), jnp.zeros_like(at.z))
    ahead = _mean(task, _plus(at, first, _longest(task, at, first)))
    short = state.step < SHORT
    aim = jnp.where(short, 0.5, jnp.clip(ahead / mean, 0.0, 1.0) ** 3) * mean
    bent = jnp.where(short, 0.0, first.z)
    step = move(aim - bent * first.below, aim + bent * first.above)
    length = KEEP * _longest(task, at, step)
    at = _plus(at, step, length)
    finite = jnp.isfinite(at.z).all() & jnp.isfinite(at.multipliers).all()
    done = (miss < 1.0) | (mean < 1e-4 * CLOSE) | ~finite | (state.turns >= MOST_TURNS)
    return _State(at, best, jnp.minimum(miss, state.miss), length, state.turns + 1, done)


def _mover(
    task: _Problem, at: _Iterate, dual: Array, primal: Array
) -> Callable[[Array, Array], _Iterate]:
    """Newton steps from a point towards given products of gaps and prices."""
    n = task.matrix.shape[1]
    left, right = task.gaps(at.z)
    has_low, has_high = task.has_low, task.has_high
    stiff = task.bend + at.below / left + at.above / right
    soft = jnp.where(task.held, 0.0, 1.0 / jnp.where(task.held, 1.0, stiff))
    normal = (task.matrix * soft[:n]) @ task.matrix.T
    solve = solver(normal + jnp.diag(task.size * task.size * soft[n:]))

    def move(down: Array, up: Array) -> _Iterate:
        down, up = down - at.below * left, up - at.above * right
        want = down / left - up / right - dual
        shift = solve(task.gather(soft * want) + primal)
        z = soft * (want - task.spread(shift))
        below = jnp.where(has_low, (down - at.below * z) / left, 0.0)
        return _Iterate(
            z, shift, below, jnp.where(has_high, (up + at.above * z) / right, 0.0)
        )

    return move


def _longest(task: _Problem, at: _Iterate, step: _Iterate) -> Array:
    """Longest step up to 1 that keeps gaps and prices non-negative."""
    left, right = task.gaps(at.z)
    has_low, has_high = task.has_low, task.has_high
    pairs = (
        (left, jnp.where(has_low, step.z, 0.0)),
        (right, jnp.where(has_high, -step.z, 0.0)),
        (at.below, step.below),
        (at.above, step.above),
    )
    room = [jnp.where(d < 0, -x / jnp.where(d < 0, d, 1.0), 1.0).min() for x, d in pairs]
    return jnp.clip(jnp.stack(room).min(), 0.0, 1.0)


def _mean(task: _Problem, at: _Iterate) -> Array:
    """Mean product of gap and price."""
    left, right = task.gaps(at.z)
    has_low, has_high = task.has_low, task.has_high
    return (at.below @ left + at.above @ right) / (has_low.sum() + has_high.sum())


def _plus(at: _Iterate, step: _Iterate, length: Array) -> _Iterate:
    return jax.tree.map(lambda a, b: a + length * b, at, step)


def _positive(values: Array) -> Array:
    return jnp.where(values > 0, values, 1.0)


def solver(matrix: Float[Array, "row row"]) -> Callable[[Array], Array]:
    """Solutions of a positive semidefinite system; dependent rows share what they can.

    A row of zeros has the answer 0. Never NaN.
    """
    own = matrix.diagonal()
    unit = jnp.where(own > 0, 1.0 / jnp.sqrt(_positive(own)), 0.0)
    matrix = matrix * unit * unit[:, None]
    ridged = matrix + jnp.diag(jnp.where(own > 0, RIDGE, 1.0))
    factor = jax.scipy.linalg.cho_factor(ridged, lower=True)

    def solve(right: Array) -> Array:
        right = unit * right
        found = jax.scipy.linalg.cho_solve(factor, right)
        for _ in range(2):
            found = found + jax.scipy.linalg.cho_solve(factor, right - matrix @ found)
        return jnp.where(jnp.isfinite(found), unit * found, 0.0)

    return solve
