"""Spectral projected gradient: climb a smooth function over a region, with a certificate.

One evaluation of value, gradient and curvature per turn of one ``lax.while_loop``: a turn
tries a point, then either takes it (new metric, new step length, new direction, new gap) or
shortens the step. The metric is the inverse of the curvature, so that on a separable
objective a step of length 1 is Newton's, projected exactly. All of it float64, all data
runtime arguments of whoever compiles it.

Sources: Birgin, Martinez and Raydan (2000), "Nonmonotone spectral projected gradient
methods on convex sets", SIAM J. Optim. 10, algorithm SPG2; Barzilai and Borwein (1988)
for the step; Frank and Wolfe (1956) for the gap.
"""

from collections.abc import Callable
from typing import Final, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, ArrayLike, Bool, Float, Int

from mmmjax.budget.region import Region, project, support

__all__ = [
    "CONVERGED",
    "LIMIT",
    "NOT_FINITE",
    "STALLED",
    "STATUS",
    "Ascent",
    "Local",
    "ascend",
]

RUNNING, CONVERGED, STALLED, LIMIT, NOT_FINITE = range(5)
STATUS: Final = {
    CONVERGED: "converged",
    STALLED: "no step improves further",
    LIMIT: "evaluation limit",
    NOT_FINITE: "response is not finite",
}

MEMORY = 10  # values that the non-monotone line search looks back on
ARMIJO = 1e-4  # share of the promised increase that a step has to bring
SHRINK = 1e-12  # smallest step tried
STEPS = (1e-10, 1e10)  # bounds of the spectral step
REACH = 10.0  # widths of its box that the steepest slope may move a variable
SMALL = 1e-3  # value from which on the tolerance is relative
NOISE = 1e-14  # relative rounding of the objective that the line search forgives


class Local(NamedTuple):
    """An objective around a point.

    Args:
        value: The objective.
        gradient: Its gradient.
        curvature: Second derivative in each variable, by magnitude; any guess of a scale is
            right, a good one makes the climb fast.
    """

    value: Float[Array, ""]
    gradient: Float[Array, " variable"]
    curvature: Float[Array, " variable"]


class Ascent(NamedTuple):
    """Result: the best point met, and how far from the maximum it can be.

    Args:
        point: Best point met.
        value: Objective there.
        gradient: Gradient there.
        gap: No point of the region beats `value` by more, if the objective is concave.
        residual: Largest entry of P(x + gradient) - x: 0 at a stationary point.
        multipliers: What one more unit of each row of the region brings at the last point.
        evaluations: Points evaluated.
        status: Key of :data:`STATUS`.
    """

    point: Float[Array, " variable"]
    value: Float[Array, ""]
    gradient: Float[Array, " variable"]
    gap: Float[Array, ""]
    residual: Float[Array, ""]
    multipliers: Float[Array, " row"]
    evaluations: Int[Array, ""]
    status: Int[Array, ""]


class _Task(NamedTuple):
    region: Region
    concave: Array
    tolerance: Array


class _State(NamedTuple):
    point: Array
    value: Array
    gradient: Array
    direction: Array  # the next trial is point + fraction * direction
    fraction: Array
    recent: Array  # last accepted values, unused places inf
    best: tuple[Array, Array, Array]  # point, value, gradient
    gap: Array  # proven bound at the best point, or the gap of the last point
    ceiling: Array  # smallest value + gap met: an upper bound of a concave objective
    multipliers: Array
    evaluations: Array
    status: Array


def ascend(
    evaluate: Callable[[Float[Array, " variable"]], Local],
    region: Region,
    start: Float[Array, " variable"],
    concave: Bool[ArrayLike, ""],
    tolerance: Float[ArrayLike, ""],
    limit: Int[ArrayLike, ""],
) -> Ascent:
    """Maximise a smooth function of order 1 over a region.

    Args:
        evaluate: The function with its derivatives, traceable.
        region: Where to look; must not be empty.
        start: First point, in the region. The result is never worse.
        concave: Whether gap bounds of different points may be combined.
        tolerance: Stop at a gap of this share of the value.
        limit: Stop after this many evaluations.
    """
    task = _Task(region, jnp.asarray(concave), jnp.asarray(tolerance))

    def turn(state: _State) -> _State:
        trial = state.point + state.fraction * state.direction
        trial = jnp.clip(trial, region.lower, region.upper)
        local = evaluate(trial)
        slope = state.gradient @ state.direction
        bar = state.recent.min() + ARMIJO * state.fraction * slope
        first = state.evaluations == 0
        finite = jnp.isfinite(local.value) & jnp.isfinite(local.gradient).all()
        taken = finite & (first | (local.value >= bar - NOISE * jnp.abs(bar)))
        state = state._replace(evaluations=state.evaluations + 1)
        state = jax.lax.cond(
            taken, lambda: _take(task, state, trial, local), lambda: _shrink(state)
        )
        status = jnp.where(first & ~finite, NOT_FINITE, state.status)
        over = (status == RUNNING) & (state.evaluations >= limit)
        return state._replace(status=jnp.where(over, LIMIT, status))

    rows = jnp.shape(region.rows)[0]
    end = jax.lax.while_loop(lambda s: s.status == RUNNING, turn, _begin(start, rows))
    point, value, gradient = end.best
    residual = jnp.abs(project(point + gradient, region)[0] - point).max()
    return Ascent(
        point, value, gradient, end.gap, residual, end.multipliers, end.evaluations,
        end.status,
    )  # fmt: skip


def _begin(start: Array, rows: int) -> _State:
    zero, inf, one = jnp.zeros_like(start), jnp.asarray(jnp.inf), jnp.ones(())
    return _State(
        point=start,
        value=-inf,
        gradient=zero,
        direction=zero,
        fraction=one,
        recent=jnp.full(MEMORY, inf),
        best=(start, -inf, zero),
        gap=inf,
        ceiling=inf,
        multipliers=jnp.zeros(rows),
        evaluations=jnp.zeros((), int),
        status=jnp.full((), RUNNING),
    )


def _shrink(state: _State) -> _State:
    """Try again nearer to the last point taken."""
    status = jnp.where(state.fraction < SHRINK, STALLED, RUNNING)
    return state._replace(fraction=0.5 * state.fraction, status=status)


def _take(task: _Task, state: _State, trial: Array, local: Local) -> _State:
    """Accept a trial point: new bound, new metric, new step length, new direction."""
    region, concave, tolerance = task
    value, gradient, _ = local
    first = state.evaluations == 1
    slope, mean = _centred(gradient, region)
    metric = _metric(local.curvature, slope, region)
    step = jnp.where(
        first, 1.0, _spectral(trial - state.point, gradient - state.gradient, metric)
    )
    ahead, multipliers = project(trial + step * metric * slope, region, metric)
    direction, multipliers = ahead - trial, multipliers / step
    multipliers = multipliers.at[0].add(mean)
    gap = support(gradient, region, multipliers) - gradient @ trial
    ceiling = jnp.minimum(state.ceiling, value + gap)
    better = first | (value > state.best[1])
    pairs = zip((trial, value, gradient), state.best, strict=True)
    best = tuple(jnp.where(better, new, old) for new, old in pairs)
    bound = jnp.maximum(jnp.where(concave, ceiling - best[1], gap), 0.0)
    done = bound <= tolerance * jnp.maximum(jnp.abs(best[1]), SMALL)
    still = jnp.abs(direction).max() == 0.0
    return state._replace(
        point=trial,
        value=value,
        gradient=gradient,
        direction=direction,
        fraction=jnp.ones(()),
        recent=jnp.roll(state.recent, 1).at[0].set(value),
        best=best,
        gap=bound,
        ceiling=ceiling,
        multipliers=multipliers,
        status=jnp.where(done, CONVERGED, jnp.where(still, STALLED, RUNNING)),
    )


def _centred(gradient: Array, region: Region) -> tuple[Array, Array]:
    """Gradient less its mean, and this: a common part moves nothing and costs digits.

    Only where the total is given: otherwise the common part says to spend more.
    """
    free = jnp.asarray(region.upper) > jnp.asarray(region.lower)
    mean = jnp.where(free, gradient, 0.0).sum() / jnp.maximum(free.sum(), 1)
    mean = jnp.where(region.least[0] == region.most[0], mean, 0.0)
    return jnp.where(free, gradient - mean, 0.0), mean


def _metric(curvature: Array, slope: Array, region: Region) -> Array:
    """How far each variable moves for a unit of slope: Newton's answer within reason."""
    width = jnp.asarray(region.upper) - jnp.asarray(region.lower)
    steepest = jnp.abs(slope).max()
    most = REACH * width / jnp.where(steepest > 0, steepest, 1.0)
    most = jnp.maximum(most, 1e-12 * jnp.maximum(most.max(), 1e-300))
    bend = jnp.abs(curvature)
    newton = 1.0 / jnp.where(bend * most > 1.0, bend, 1.0 / most)
    return jnp.where(jnp.isfinite(newton), newton, most)


def _spectral(moved: Array, change: Array, metric: Array) -> Array:
    """Barzilai-Borwein step of a maximisation in a diagonal metric."""
    bend = -(moved @ change)
    curved = bend > 0
    step = (moved * moved / metric).sum() / jnp.where(curved, bend, 1.0)
    return jnp.where(curved & (step > 0), jnp.clip(step, *STEPS), 1.0)
