"""What a plan may spend: a box per variable and one total, with exact operations on it.

A region is {x: lower <= x <= upper, sum(x) = total}; a variable held fixed has lower ==
upper. All kernels work in float64 (the caller opens ``jax.enable_x64``) and are exact up
to rounding; none checks values, :func:`check_feasible` does, on the host.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, ArrayLike, Bool, Float

from mmmjax.checks import Phrase, fail

__all__ = ["Region", "best_vertex", "check_feasible", "project", "residuals"]

EXACT = 4e-16  # relative excess of a sum that rounding alone explains
MOST_TURNS = 200  # bisection alone needs fewer; a guard against NaN
ROUNDING = 1e-9  # relative: sums of money this close to the budget are the budget


class Region(NamedTuple):
    """{x: lower <= x <= upper, sum(x) = total}, one unit throughout (money or shares).

    Args:
        lower: (variable,), finite.
        upper: (variable,), finite, at least `lower`.
        total: Scalar between the sums of the two.
    """

    lower: Any
    upper: Any
    total: Any


def project(
    point: Float[Array, " variable"],
    region: Region,
    metric: Float[ArrayLike, "#variable"] = 1.0,
) -> Float[Array, " variable"]:
    r"""Nearest point of a feasible region: argmin over x of $\sum_i (x_i - p_i)^2 / v_i$.

    The answer is $x_i = \mathrm{clip}(p_i - \mu v_i, l_i, u_i)$, whose sum falls
    piecewise linearly in the multiplier $\mu$: Newton steps, which end on the right piece
    after a few, kept in a bracket by bisection.

    Args:
        point: $p$, any finite point.
        region: The region; must not be empty, bounds finite.
        metric: $v$, positive; how far a variable moves for one unit of multiplier.

    Source: Cominetti, Mascarenhas and Silva (2014), "A Newton's method for the continuous
    quadratic knapsack problem", Math. Prog. Comp. 6.
    """
    lower, upper, total = jnp.asarray(region.lower), jnp.asarray(region.upper), region.total
    v = jnp.broadcast_to(jnp.asarray(metric, point.dtype), point.shape)
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
    begin = (low, high, 0.5 * (low + high), jnp.asarray(False), jnp.asarray(0))
    _, _, multiplier, _, _ = jax.lax.while_loop(lambda state: ~state[3], turn, begin)
    return _meet_total(jnp.clip(point - multiplier * v, lower, upper), region, v)


def _meet_total(
    x: Float[Array, " variable"], region: Region, v: Float[Array, " variable"]
) -> Float[Array, " variable"]:
    """Spread what rounding left of the total over the variables between their bounds."""
    for _ in range(2):  # once more where the first pass met a bound
        free = (x > region.lower) & (x < region.upper)
        weight = jnp.where(free, v, 0.0)
        share = weight / jnp.where(free.any(), weight.sum(), 1.0)
        x = jnp.clip(x + (region.total - x.sum()) * share, region.lower, region.upper)
    return x


def best_vertex(
    gradient: Float[Array, " variable"], region: Region
) -> Float[Array, " variable"]:
    """Point of a feasible region with the largest <gradient, x>, exactly.

    Everything starts at its lower bound; what is left of the total goes to the variables
    in descending order of gradient, each up to its upper bound.
    """
    lower, upper = jnp.asarray(region.lower), jnp.asarray(region.upper)
    order = jnp.argsort(-gradient)
    width = (upper - lower)[order]
    given_before = jnp.cumsum(width) - width
    share = jnp.clip(region.total - lower.sum() - given_before, 0.0, width)
    return lower.at[order].add(share)


def residuals(point: Float[ArrayLike, " variable"], region: Region) -> dict[str, float]:
    """How far a point misses the total and the worst of its bounds (region's unit)."""
    x, lower, upper = (np.asarray(a, float) for a in (point, region.lower, region.upper))
    outside = np.maximum(np.maximum(lower - x, x - upper), 0.0)
    return {
        "budget": abs(float(x.sum() - np.asarray(region.total))),
        "bounds": float(outside.max(initial=0.0)),
    }


def inside(point: np.ndarray, region: Region) -> bool:
    """Whether a point is in the region, up to rounding of its total."""
    return max(residuals(point, region).values()) <= ROUNDING * float(region.total)


def check_feasible(
    region: Region,
    labels: Sequence[str],
    fixed: Bool[np.ndarray, " variable"],
    unit: str = "money over the window",
) -> Region:
    """Refuse an empty region, naming the bounds that clash with the budget.

    Args:
        region: Bounds and total, in money (NumPy).
        labels: Name of each variable.
        fixed: Variables that the user fixed, named as such in the message.
        unit: What the numbers are, for the message.

    Returns:
        The region with its total moved onto a sum of bounds it misses only by rounding.
    """
    lower, upper = np.asarray(region.lower), np.asarray(region.upper)
    total, least, most = float(region.total), float(lower.sum()), float(upper.sum())
    slack = ROUNDING * max(total, most)
    if total < least - slack or total > most + slack:
        side, sums, end = (
            ("lower", lower, least) if total < least else ("upper", upper, most)
        )
        order = np.argsort(-sums, kind="stable")
        named = [
            f"{labels[i]} {_figure(float(sums[i]))}{' (fixed)' if fixed[i] else ''}"
            for i in order[:6]
        ]
        more = f" and {len(order) - 6} more" if len(order) > 6 else ""
        word = "below" if side == "lower" else "above"
        fix = {
            "lower": f"raise the budget to at least {_figure(least)}, or lower what binds",
            "upper": f"cut the budget to at most {_figure(most)}, or raise what binds",
        }[side]
        fail(
            "budget",
            Phrase(
                f"{_figure(total)} ({unit}), {word} the sum of the {side} bounds, "
                f"{_figure(end)} ({', '.join(named)}{more})"
            ),
            "",
            f"between {_figure(least)} and {_figure(most)} under these bounds",
            fix,
        )
    return region._replace(total=float(np.clip(total, least, most)))


def _figure(money: float) -> str:
    return f"{money:,.0f}" if abs(money) >= 1000 else f"{money:,.6g}"
