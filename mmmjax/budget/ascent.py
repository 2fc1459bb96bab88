"""Spectral projected gradient: climb a smooth function over a region, with a certificate.

One evaluation of value and gradient per turn of one ``lax.while_loop``: a turn tries a
point, then either takes it (new step length, new direction, new gap) or halves the step.
All of it float64, all data runtime arguments of whoever compiles it.

Sources: Birgin, Martinez and Raydan (2000), "Nonmonotone spectral projected gradient
methods on convex sets", SIAM J. Optim. 10, algorithm SPG2; Barzilai and Borwein (1988)
for the step; Frank and Wolfe (1956) for the gap.
"""

from collections.abc import Callable
from typing import Final, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, ArrayLike, Bool, Float, Int

from mmmjax.budget.constraints import Region, best_vertex, project

__all__ = ["CONVERGED", "LIMIT", "NOT_FINITE", "STALLED", "STATUS", "Ascent", "ascend"]

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
NOISE = 1e-14  # relative rounding of the objective that the line search forgives


class Ascent(NamedTuple):
    """Result: the best point met, and how far from the maximum it can be.

    Args:
        point: Best point met.
        value: Objective there.
        gradient: Gradient there.
        gap: No point of the region beats `value` by more, if the objective is concave.
        residual: Largest entry of P(x + gradient) - x: 0 at a stationary point.
        evaluations: Values with gradient computed.
        status: Key of :data:`STATUS`.
    """

    point: Float[Array, " variable"]
    value: Float[Array, ""]
    gradient: Float[Array, " variable"]
    gap: Float[Array, ""]
    residual: Float[Array, ""]
    evaluations: Int[Array, ""]
    status: Int[Array, ""]


class _Task(NamedTuple):
    region: Region
    metric: Array
    concave: Array
    tolerance: Array


class _State(NamedTuple):
    point: Array
    value: Array
    gradient: Array
    direction: Array  # the next trial is point + fraction * direction
    fraction: Array
    step: Array
    recent: Array  # last accepted values, unused places inf
    best: tuple[Array, Array, Array]  # point, value, gradient
    gap: Array  # proven bound at the best point, or the gap of the last point
    ceiling: Array  # smallest value + gap met: an upper bound of a concave objective
    evaluations: Array
    status: Array


def ascend(
    objective: Callable[[Float[Array, " variable"]], Float[Array, ""]],
    region: Region,
    start: Float[Array, " variable"],
    metric: Float[Array, " variable"],
    concave: Bool[ArrayLike, ""],
    tolerance: Float[ArrayLike, ""],
    limit: Int[ArrayLike, ""],
) -> Ascent:
    """Maximise a smooth function of order 1 over a region.

    Args:
        objective: The function; differentiable, traceable.
        region: Where to look; must not be empty.
        start: First point, in the region. The result is never worse.
        metric: Typical move of each variable, positive: the step in variable i is
            proportional to it. Any metric is right; a good one makes it fast.
        concave: Whether gap bounds of different points may be combined.
        tolerance: Stop at a gap of this share of the value.
        limit: Stop after this many evaluations.
    """
    task = _Task(
        region, metric / metric.max(), jnp.asarray(concave), jnp.asarray(tolerance)
    )
    evaluate = jax.value_and_grad(objective)

    def turn(state: _State) -> _State:
        trial = state.point + state.fraction * state.direction
        trial = jnp.clip(trial, region.lower, region.upper)
        value, gradient = evaluate(trial)
        slope = state.gradient @ state.direction
        bar = state.recent.min() + ARMIJO * state.fraction * slope
        first = state.evaluations == 0
        finite = jnp.isfinite(value) & jnp.isfinite(gradient).all()
        taken = finite & (first | (value >= bar - NOISE * jnp.abs(bar)))
        state = state._replace(evaluations=state.evaluations + 1)
        state = jax.lax.cond(
            taken,
            lambda: _take(task, state, trial, value, gradient),
            lambda: _shrink(state),
        )
        status = jnp.where(first & ~finite, NOT_FINITE, state.status)
        over = (status == RUNNING) & (state.evaluations >= limit)
        return state._replace(status=jnp.where(over, LIMIT, status))

    end = jax.lax.while_loop(lambda s: s.status == RUNNING, turn, _begin(start))
    point, value, gradient = end.best
    residual = jnp.abs(project(point + gradient, region) - point).max()
    return Ascent(point, value, gradient, end.gap, residual, end.evaluations, end.status)


def _begin(start: Array) -> _State:
    zero, inf, one = jnp.zeros_like(start), jnp.asarray(jnp.inf), jnp.ones(())
    return _State(
        point=start,
        value=-inf,
        gradient=zero,
        direction=zero,
        fraction=one,
        step=one,
        recent=jnp.full(MEMORY, inf),
        best=(start, -inf, zero),
        gap=inf,
        ceiling=inf,
        evaluations=jnp.zeros((), int),
        status=jnp.full((), RUNNING),
    )


def _shrink(state: _State) -> _State:
    """Try again nearer to the last point taken."""
    status = jnp.where(state.fraction < SHRINK, STALLED, RUNNING)
    return state._replace(fraction=0.5 * state.fraction, status=status)


def _take(
    task: _Task, state: _State, trial: Array, value: Array, gradient: Array
) -> _State:
    """Accept a trial point: new bound, new step length, new direction."""
    region, metric, concave, tolerance = task
    first = state.evaluations == 1
    gap = gradient @ (best_vertex(gradient, region) - trial)
    ceiling = jnp.minimum(state.ceiling, value + gap)
    better = first | (value > state.best[1])
    pairs = zip((trial, value, gradient), state.best, strict=True)
    best = tuple(jnp.where(better, new, old) for new, old in pairs)
    bound = jnp.maximum(jnp.where(concave, ceiling - best[1], gap), 0.0)
    done = bound <= tolerance * jnp.abs(best[1])
    slope = _centred(gradient, task)
    step = jnp.where(
        first,
        1.0 / jnp.maximum(jnp.abs(metric * slope).max(), 1.0 / STEPS[1]),
        _spectral(trial - state.point, gradient - state.gradient, metric),
    )
    direction = project(trial + step * metric * slope, region, metric) - trial
    still = jnp.abs(direction).max() == 0.0
    return state._replace(
        point=trial,
        value=value,
        gradient=gradient,
        direction=direction,
        fraction=jnp.ones(()),
        step=step,
        recent=jnp.roll(state.recent, 1).at[0].set(value),
        best=best,
        gap=bound,
        ceiling=ceiling,
        status=jnp.where(done, CONVERGED, jnp.where(still, STALLED, RUNNING)),
    )


def _centred(gradient: Array, task: _Task) -> Array:
    """Gradient less its mean: a common part moves nothing, and would cost digits."""
    free = jnp.asarray(task.region.upper) > jnp.asarray(task.region.lower)
    weight = jnp.where(free, task.metric, 0.0)
    total = weight.sum()
    mean = (weight * gradient).sum() / jnp.where(total > 0, total, 1.0)
    return jnp.where(free, gradient - mean, 0.0)


def _spectral(moved: Array, change: Array, metric: Array) -> Array:
    """Barzilai-Borwein step of a maximisation in a diagonal metric."""
    bend = -(moved @ change)
    curved = bend > 0
    step = (moved * moved / metric).sum() / jnp.where(curved, bend, 1.0)
    return jnp.where(curved, jnp.clip(step, *STEPS), STEPS[1])
