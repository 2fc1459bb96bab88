"""Evolve a plan on its exact utility: directions that help are remembered and combined.

The top of a quantile or a ratio of tails lies where several draws take turns at being the
quantile; there neither a gradient nor a move between one pair of cells helps any more.
A cloud of points around the best one, whose shape follows those that were better, does.

Source: Hansen (2016), "The CMA Evolution Strategy: A Tutorial", arXiv:1604.00772: the
weighted recombination and rank-mu update; the step follows the share of points that are
better than the middle (Rechenberg's rule).
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from mmmjax.budget.region import Region, project

__all__ = ["MOST_CELLS", "evolve"]

MOST_CELLS = 24  # with more a cloud learns its shape too slowly to be worth it
POINTS, PARENTS = 48, 12  # of a generation
GENERATIONS, WIDE_GENERATIONS = 60, 120
FIRST, WIDE = 0.01, 0.1  # spread of the first cloud, shares of the range of each cell
LEARN = 0.3  # weight of a generation in the shape of the cloud
WISHED = 0.2  # share of points that are better than the middle
QUICK = 0.6  # how fast the spread follows


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
    wide: bool = True,
) -> tuple[Float[Array, " cell"], Float[Array, ""], Int[Array, ""]]:
    """Best point that clouds around a feasible one come to.

    Args:
        worth: Utility at shares.
        region: The region, in shares; every point of a cloud is projected on it.
        point: Where to begin.
        value: Utility there.
        wide: Begin with a cloud ten times as wide, and give it twice the time.

    Returns:
        (point, value, evaluations); never worse than the start.
    """
    cells = point.shape[0]
    weight = np.log(PARENTS + 0.5) - np.log(np.arange(1, PARENTS + 1))
    weight = jnp.asarray(weight / weight.sum())
    key = jax.random.key(0)
    project_all = jax.vmap(lambda x: project(x, region)[0])
    tiny = 1e-10 * jnp.eye(cells)

    def turn(state: _State) -> _State:
        factor = jnp.linalg.cholesky(state.shape + tiny)
        noise = jax.random.normal(jax.random.fold_in(key, state.turn), (POINTS, cells))
        cloud = project_all(state.middle + state.spread * noise @ factor.T)
        values = jax.lax.map(worth, cloud)
        values = jnp.where(jnp.isfinite(values), values, -jnp.inf)
        parents = jnp.argsort(-values)[:PARENTS]
        steps = (cloud[parents] - state.middle) / state.spread
        middle = project(state.middle + state.spread * (weight @ steps), region)[0]
        learned = (steps.T * weight) @ steps
        lucky = (values > state.value).mean()
        first = parents[0]
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
    spread = (WIDE if wide else FIRST) * width.max()
    turns = WIDE_GENERATIONS if wide else GENERATIONS
    begin = _State(point, value, shape, spread, point, value, jnp.zeros((), int))
    end = jax.lax.while_loop(lambda state: state.turn < turns, turn, begin)
    return end.best, end.most, (POINTS + 1) * end.turn
