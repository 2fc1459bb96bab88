"""Climb a utility of quantiles: one linear program after the other in a trust region.

A quantile of draws is the least of all draws but those below it. As long as these stay the
same that is a concave function of spend, whose tops lie where many draws are as low as the
quantile: no gradient, which is that of one draw, finds its way there. Around a point the
utility is taken as a straight line in what weighs all draws alike (a mean, money) and, for
each draw that weighs more than its neighbours in the order, as the least (or, where more of
it is worse, the largest) of the straight lines of the draws beyond it. That is a linear
program; a step that is no better on the exact utility makes the trust region smaller.

Sources: Fletcher and Sainz de la Maza (1989), "Nonlinear programming and nonsmooth
optimization by successive linear programming", Math. Prog. 43; Huangfu and Hall (2018),
"Parallelizing the dual revised simplex method", Math. Prog. Comp. 10, for HiGHS.
"""

from functools import partial
from typing import Any, NamedTuple

import jax
import numpy as np
from jaxtyping import Array, Float
from scipy.ndimage import median_filter
from scipy.optimize import linprog

from mmmjax.budget.horizon import Form, response_of, slopes_of
from mmmjax.budget.region import Region, project
from mmmjax.budget.search import Kind, Problem, hop, worth
from mmmjax.budget.smoothing import order_of

__all__ = ["climbed"]

FIRST, WIDEST, LAST = 0.05, 0.2, 1e-6  # trust region, in ranges
WIDER, NARROWER = 1.5, 1 / 3
STEPS = 60  # of one climb at most
AROUND = 5  # neighbours in the order whose middle is the weight of a mean
ALONE = 0.01  # of the largest: a weight beyond it is of a quantile
BETTER = 1e-12  # of the utility


class View(NamedTuple):
    """A point of the region and the exact utility around it, scaled.

    Args:
        point: Shares, (variable,).
        value: Utility less the price of the spend.
        totals: Response of each draw, (draw,).
        slopes: Of the totals, (draw, variable).
        order: Draws from the least total on, ties as quantiles take them, (draw,).
        weights: Of the totals in the utility, (draw,).
        straight: Slope of the utility in money alone, (variable,).
    """

    point: Any
    value: Any
    totals: Any
    slopes: Any
    order: Any
    weights: Any
    straight: Any


@partial(jax.jit, static_argnames="form")
def view(problem: Problem, shares: Array, *, form: Form) -> View:
    """Project a point and look at it."""
    point = project(shares, problem.region)[0]
    respond = response_of(problem.window, form)
    samples, slopes, _ = slopes_of(respond, point * problem.budget)

    def valued(totals: Array, point: Array) -> Array:
        return worth(problem, totals[:, None], point)

    totals = samples.sum(1)
    value, (weights, straight) = jax.value_and_grad(valued, (0, 1))(totals, point)
    slopes, order = slopes * problem.budget, order_of(totals)
    return View(point, value, totals, slopes, order, weights, straight)


_hop = jax.jit(hop)


def climbed(
    problem: Problem,
    kind: Kind,
    start: Float[np.ndarray, " variable"],
    hops: int,
    seed: int,
) -> tuple[Float[np.ndarray, " variable"], int]:
    """The best point that climbs reach from a start, then from near the best so far.

    Args:
        problem: The problem, whose utility weighs totals of draws.
        kind: What it is.
        start: Shares of the budget.
        hops: Climbs from near the best point.
        seed: Of the hops.

    Returns:
        (point, how many points were looked at).
    """
    problem, key, looks = jax.device_put(problem), jax.random.key(seed), 0

    def look(shares: Any) -> View:
        nonlocal looks
        looks += 1
        return jax.tree.map(np.asarray, view(problem, shares, form=kind.form))

    region = jax.tree.map(np.asarray, problem.region)
    best = _climb(look, look(start), region)
    for turn in range(hops):
        own = jax.random.fold_in(key, turn)
        end = _climb(look, look(_hop(own, turn, best.point, None, problem.region)), region)
        best = end if end.value > best.value else best
    return best.point, looks


def _climb(look: Any, here: View, region: Region) -> View:
    """Step while steps make it better, in a trust region that follows them."""
    radius = FIRST
    for _ in range(STEPS):
        to = _step(here, region, radius)
        there = here if to is None else look(to)
        if there.value > here.value + BETTER * abs(here.value):
            here, radius = there, min(WIDER * radius, WIDEST)
        elif (radius := NARROWER * radius) < LAST:
            break
    return here


def _step(here: View, region: Region, radius: float) -> np.ndarray | None:
    """The best point of the trust region as far as straight lines tell; None: not found."""
    x, totals, slopes, order = here.point, here.totals, here.slopes, here.order
    ranges = np.maximum(region.upper - region.lower, 1e-300)
    middle = median_filter(here.weights[order], AROUND, mode="mirror")
    apart = here.weights[order] - middle
    most = np.abs(apart).max()
    alone = np.abs(apart) > max(ALONE * most, ALONE * np.abs(middle).max())
    places, usual = np.flatnonzero(alone), np.empty_like(middle)
    usual[order] = np.where(alone, middle, middle + apart)
    unit = max(np.abs(slopes * ranges).mean(), 1e-300)  # of totals: numbers near 1
    lines, least = [], []
    for k, j in enumerate(places):
        sign, at = np.sign(apart[j]), order[j]
        beyond = order[j:] if sign > 0 else order[: j + 1]
        lead = sign * (totals[beyond] - totals[at])
        reach = radius * np.abs(slopes[beyond] - slopes[at]) @ ranges
        beyond, lead = beyond[lead <= reach], lead[lead <= reach]
        column = np.zeros((len(beyond), len(places)))
        column[:, k] = 1.0
        lines.append(np.hstack([-sign * slopes[beyond] * ranges / unit, column]))
        least.append(lead / unit)
    rows, at = region.rows * ranges, region.rows @ x
    rows = np.hstack([rows, np.zeros((len(rows), len(places)))])
    held = region.most == region.least
    for row, room in ((rows, region.most - at), (-rows, at - region.least)):
        bound = ~held & np.isfinite(room)
        lines.append(row[bound])
        least.append(np.maximum(room[bound], 0.0))
    gain = np.r_[(usual @ slopes + here.straight) * ranges, np.abs(apart[places]) * unit]
    box = np.c_[(region.lower - x) / ranges, (region.upper - x) / ranges]
    box = np.vstack([np.clip(box, -radius, radius), np.full((len(places), 2), np.inf)])
    box[len(x) :, 0] = -np.inf
    if not np.isfinite(gain).all():
        return None
    cost = -gain / max(np.abs(gain).max(), 1e-300)
    upper, equal = (np.vstack(lines), np.concatenate(least)), (rows[held], 0.0 * at[held])
    found = linprog(cost, *upper, *equal, bounds=box)
    return x + found.x[: len(x)] * ranges if found.status == 0 else None
