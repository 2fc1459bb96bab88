"""Polish a plan on its exact utility: move money between pairs while that helps.

Tails of draws have kinks where no gradient says the truth. Cells do not know each other, so
the samples of every pairwise move follow from two evaluations: one with a step less in
every cell, one with a step more. The step shrinks when no move helps, and is long again
when a whole round of steps did help: long moves leave shallow tops.

Source: coordinate exchange in a pattern search, Lewis and Torczon (2000), "Pattern search
methods for linearly constrained minimization", SIAM J. Optim. 10.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from mmmjax.budget.region import Region

__all__ = ["polish"]

FIRST, LAST = 0.1, 1e-6  # steps, shares of the budget
SHORTER = 0.4  # the next step where no move helps
TURNS = 300  # rounds of moves at most
ENOUGH = 1e-6  # relative gain of a round of steps that is worth another
SIDE = 8  # givers and takers looked at: the least and the most rewarding
SLACK = 1e-12  # shares of the budget by which a row may be off by rounding


class _State(NamedTuple):
    point: Any
    value: Any
    step: Any
    before: Any  # value at the last long step
    turns: Any


def polish(
    respond: Callable[[Float[Array, " cell"]], Float[Array, "draw cell"]],
    worth: Callable[[Float[Array, "draw cell"], Float[Array, " cell"]], Float[Array, ""]],
    region: Region,
    point: Float[Array, " cell"],
    value: Float[Array, ""],
    gradient: Float[Array, " cell"],
) -> tuple[Float[Array, " cell"], Float[Array, ""], Int[Array, ""]]:
    """Best point that moves between pairs of cells reach from a feasible one.

    Args:
        respond: Samples of every cell at some shares, each a function of its own share.
        worth: Utility of samples and shares.
        region: The region, in shares.
        point: Where to begin.
        value: Utility there.
        gradient: About the gradient there; it decides which pairs are tried.

    Returns:
        (point, value, evaluations); never worse than the start.
    """
    cells = point.shape[0]
    side = min(SIDE, cells)
    order = jnp.argsort(gradient)
    # money that is not spent is one more giver and taker, and matters only to the rows
    givers = jnp.concatenate([order[:side], jnp.array([cells])])
    takers = jnp.concatenate([order[-side:], jnp.array([cells])])
    pairs = jnp.stack(jnp.meshgrid(givers, takers, indexing="ij")).reshape(2, -1)
    rows = jnp.concatenate([region.rows, jnp.zeros((region.rows.shape[0], 1))], axis=1)

    def turn(state: _State) -> _State:
        here = respond(state.point)
        less = jnp.maximum(state.point - state.step, region.lower)
        more = jnp.minimum(state.point + state.step, region.upper)
        can_give = jnp.append(state.point - state.step >= region.lower, True)
        can_take = jnp.append(state.point + state.step <= region.upper, True)
        fall, rise = respond(less) - here, respond(more) - here
        used = region.rows @ state.point

        def moved(pair: Array) -> tuple[Array, Array]:
            giver, taker = pair
            change = jnp.arange(cells) == taker
            change = change.astype(float) - (jnp.arange(cells) == giver)
            samples = here + fall * (change < 0) + rise * (change > 0)
            after = state.point + state.step * change
            total = used + state.step * (rows[:, taker] - rows[:, giver])
            kept = (total <= region.most + SLACK) & (total >= region.least - SLACK)
            allowed = can_give[giver] & can_take[taker] & (giver != taker) & kept.all()
            value = jnp.where(allowed, worth(samples, after), -jnp.inf)
            return value, after

        values, points = jax.lax.map(moved, pairs.T)
        values = jnp.where(jnp.isnan(values), -jnp.inf, values)
        best = jnp.argmax(values)
        better = values[best] > state.value
        step = jnp.where(better, state.step, SHORTER * state.step)
        value = jnp.where(better, values[best], state.value)
        again = (step < LAST) & (value > state.before + ENOUGH * jnp.abs(value))
        return _State(
            jnp.where(better, points[best], state.point),
            value,
            jnp.where(again, FIRST, step),
            jnp.where(again, value, state.before),
            state.turns + 1,
        )

    def more(state: _State) -> Array:
        return (state.step >= LAST) & (state.turns < TURNS)

    begin = _State(point, value, jnp.asarray(FIRST), value, jnp.zeros((), int))
    end = jax.lax.while_loop(more, turn, begin)
    return end.point, end.value, 3 * end.turns
