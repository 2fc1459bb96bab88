"""Evolve a plan on its exact utility: directions that help are remembered and combined.

The top of a quantile or a ratio of tails lies where several draws take turns at being the
quantile; there neither a gradient nor a move between one pair of cells helps any more.
A cloud of points around the best one, whose shape follows those that were better, does.

Source: Hansen (2016), "The CMA Evolution Strategy: A Tutorial", arXiv:1604.00772: the
weighted recombination and rank-mu update; the step follows the share of points that are
better than the middle (Rechenberg's rule), and the cloud ends where it has become a point.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, ArrayLike, Float, Int

from mmmjax.budget.region import Region, project, ranges_of

__all__ = ["MOST_CELLS", "evolve"]

MOST_CELLS = 24  # with more a cloud learns its shape too slowly to be worth it
POINTS, GENERATIONS = 24, 50
BRED = 4  # points for each of its parents
LAST = 1e-6  # spread of a cloud that is a point
LEARN = 0.2  # weight of a generation in the shape of the cloud
WISHED = 0.2  # share of points that are better than the middle
QUICK = 1.2  # how fast the spread follows


class _State(NamedTuple):
    middle: Any
    value: Any  # at the middle
    shape: Any
    spread: Any
    best: Any
    most: Any  # value at the best
    turn: Any


def evolve(
    worth: Callable[[Float[Array, " cell"]], Float[Array, ""]],
    region: Region,
    point: Float[Array, " cell"],
    value: Float[Array, ""],
    spread: Float[ArrayLike, ""] = 0.01,
    key: Array | None = None,
) -> tuple[Float[Array, " cell"], Float[Array, ""], Int[Array, ""]]:
    """Best point that clouds around a feasible one come to.

    Args:
        worth: Utility at shares.
        region: The region, in shares; every point of a cloud is projected on it.
        point: Where to begin.
        value: Utility there.
        spread: Of the first cloud, shares of the range of each cell.
        key: Of the clouds.

    Returns:
        (point, value, evaluations); never worse than the start.
    """
    cells, metric = point.shape[0], ranges_of(region) ** 2
    parents = POINTS // BRED
    weight = np.log(parents + 0.5) - np.log(np.arange(1, parents + 1))
    weight = jnp.asarray(weight / weight.sum())
    key = jax.random.key(0) if key is None else key
    project_all = jax.vmap(lambda x: project(x, region, metric)[0])
    tiny = 1e-10 * jnp.eye(cells)

    def turn(state: _State) -> _State:
        factor = jnp.linalg.cholesky(state.shape + tiny)
        noise = jax.random.normal(jax.random.fold_in(key, state.turn), (POINTS, cells))
        cloud = project_all(state.middle + state.spread * noise @ factor.T)
        values = jax.lax.map(worth, cloud)
        values = jnp.where(jnp.isfinite(values), values, -jnp.inf)
        order = jnp.argsort(-values)[:parents]
        steps = (cloud[order] - state.middle) / state.spread
        middle = project(state.middle + state.spread * (weight @ steps), region, metric)[0]
        learned = (steps.T * weight) @ steps
        lucky = (values > state.value).mean()
        first = order[0]
        better = values[first] > state.most
        return _State(
            middle,
            worth(middle),
            (1 - LEARN) * state.shape + LEARN * learned,
            state.spread * jnp.exp(QUICK * (lucky - WISHED)),
            jnp.where(better, cloud[first], state.best),
            jnp.where(better, values[first], state.most),
            state.turn + 1,
        )

    width = region.upper - region.lower
    shape = jnp.diag((width / jnp.maximum(width.max(), 1e-300)) ** 2)
    first = spread * width.max()
    begin = _State(point, value, shape, first, point, value, jnp.zeros((), int))

    def more(state: _State) -> Array:
        size = state.spread * jnp.sqrt(jnp.trace(state.shape))
        return (state.turn < GENERATIONS) & (size > LAST * width.max())

    end = jax.lax.while_loop(more, turn, begin)
    return end.best, end.most, (POINTS + 1) * end.turn
