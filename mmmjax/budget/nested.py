"""Projection on a box, a total and disjoint groups with limits of their own, exactly.

Totals of geos, or of channels over the periods of a window, are such groups. With the
multiplier of the total given, each group is a problem of its own: its sum is what the total
alone would make of it, clipped to the group's limits. So the sum over groups falls
monotonically in that one multiplier, and a bracketed Newton search finds it, as it finds
the multipliers of the groups afterwards. Nothing can cycle.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

__all__ = ["project_nested"]

EXACT = 4e-16  # relative miss of a sum that rounding alone explains
MOST_TURNS = 200  # bisection alone needs fewer; a guard against NaN


def project_nested(
    point: Float[Array, " variable"],
    bounds: tuple[Float[Array, " variable"], Float[Array, " variable"]],
    groups: Float[Array, "group variable"],
    least: Float[Array, " row"],
    most: Float[Array, " row"],
    v: Float[Array, " variable"],
) -> tuple[Float[Array, " variable"], Float[Array, " row"]]:
    """Nearest point in the metric `v`, and multipliers, as `region.project` defines both.

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
