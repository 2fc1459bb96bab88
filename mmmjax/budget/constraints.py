"""What a plan may spend: a box per variable and one total, with exact operations on it.

A region is {x: lower <= x <= upper, sum(x) = total}; a variable held fixed has lower ==
upper. All kernels work in float64 (the caller opens ``jax.enable_x64``) and are exact up
to rounding; none checks values, :func:`check_feasible` does, on the host.
"""

from collections.abc import Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, ArrayLike, Bool, Float

from mmmjax.checks import Phrase, fail

__all__ = ["Region", "best_vertex", "check_feasible", "project", "residuals"]

ROUNDING = 1e-9  # relative: sums of money this close to the budget are the budget


class Region(NamedTuple):
    """{x: lower <= x <= upper, sum(x) = total}, one unit throughout (money or shares)."""

    lower: Float[ArrayLike, " variable"]
    upper: Float[ArrayLike, " variable"]
    total: Float[ArrayLike, ""]


def project(
    point: Float[Array, " variable"],
    region: Region,
    metric: Float[ArrayLike, "#variable"] = 1.0,
) -> Float[Array, " variable"]:
    r"""Nearest point of a feasible region: argmin over x of $\sum_i (x_i - p_i)^2 / v_i$.

    The answer is $x_i = \mathrm{clip}(p_i - \mu v_i, l_i, u_i)$, whose sum falls
    piecewise linearly in the multiplier $\mu$: the breakpoints are sorted, the piece that
    meets the total is found from cumulative slopes, and its equation is solved exactly.

    Args:
        point: $p$, any finite point.
        region: The region; must not be empty.
        metric: $v$, positive; how far a variable moves for one unit of multiplier.

    Source: Helgason, Kennington and Lall (1980), "A polynomially bounded algorithm for a
    singly constrained quadratic program", Mathematical Programming 18.
    """
    lower, upper, total = jnp.asarray(region.lower), jnp.asarray(region.upper), region.total
    v = jnp.broadcast_to(jnp.asarray(metric, point.dtype), point.shape)
    leaves_upper, meets_lower = (point - upper) / v, (point - lower) / v
    breaks, change = jax.lax.sort(
        (jnp.concatenate([leaves_upper, meets_lower]), jnp.concatenate([-v, v])), num_keys=1
    )
    slopes = jnp.cumsum(change)[:-1]  # of the sum, right of each breakpoint
    sums = upper.sum() + jnp.cumsum(slopes * jnp.diff(breaks))
    piece = jnp.sum(sums > total)  # the sum at breaks[piece + 1] is the first <= total
    start, end = breaks[piece], breaks[jnp.minimum(piece + 1, breaks.size - 1)]
    middle = 0.5 * (start + end)
    for _ in range(2):  # the second pass corrects a piece missed by rounding
        free = (leaves_upper < middle) & (middle < meets_lower)
        held = jnp.where(middle <= leaves_upper, upper, lower)
        slope = jnp.where(free, v, 0.0).sum()
        excess = jnp.where(free, point, held).sum() - total
        middle = jnp.where(slope > 0, excess / jnp.where(slope > 0, slope, 1.0), middle)
    return _meet_total(jnp.clip(point - middle * v, lower, upper), region, v)


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
    """Point of a feasible region with the largest <gradient, x>: the exact linear maximiser.

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
    """How far a point misses the total and the worst of its bounds, in the region's unit."""
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
            f"{labels[i]} {_figure(sums[i])}{' (fixed)' if fixed[i] else ''}"
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
