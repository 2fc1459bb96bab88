"""Whether any plan is left: empty regions are refused, naming the limits that clash."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from jaxtyping import Bool, Float
from scipy.optimize import linprog

from mmmjax.budget.region import ROUNDING, Region, size_of
from mmmjax.checks import Phrase, exact, fail

__all__ = ["check_feasible", "is_empty", "totals_of"]

TINY = 1e-9  # price up to which a limit has no part in a clash
MOST_NAMES = 6  # variables or limits that a message names


def is_empty(region: Region) -> bool:
    """Whether no point keeps every bound and row, up to rounding."""
    return not _programme(region, np.zeros(len(region.lower))).success


def totals_of(region: Region) -> tuple[float, float]:
    """Least and largest total of a region that is not empty."""
    ones = np.ones(len(region.lower))
    least, most = (_programme(region, sign * ones) for sign in (1.0, -1.0))
    return max(float(least.fun), 0.0), float(-most.fun)


def _programme(region: Region, cost: Float[np.ndarray, " variable"]) -> Any:
    """Smallest <cost, x> over a region (HiGHS)."""
    rows = np.asarray(region.rows)
    ends = np.concatenate([region.most, -np.asarray(region.least)])
    some = np.isfinite(ends)
    return linprog(
        cost,
        A_ub=np.concatenate([rows, -rows])[some],
        b_ub=ends[some] + ROUNDING * np.abs(ends[some]),
        bounds=np.stack([region.lower, region.upper], axis=1),
        method="highs",
    )


def check_feasible(
    region: Region,
    labels: Sequence[str],
    fixed: Bool[np.ndarray, " variable"],
    unit: str = "money over the window",
    row_labels: Sequence[tuple[str, str]] = (),
) -> Region:
    """Refuse an empty region, naming the bounds and limits that clash.

    Args:
        region: Bounds and rows, in money (NumPy).
        labels: Name of each variable.
        fixed: Variables that the user fixed, named as such in the message.
        unit: What the numbers are, for the message.
        row_labels: (words of `least`, words of `most`) of every row, that of the budget
            included; of no use with one row.

    Returns:
        The region with its rows moved onto what they miss only by rounding.

    Raises:
        InputError: No plan respects everything: a smallest set of limits that clash.
    """
    lower, upper, rows, least, most = (np.asarray(part, float) for part in region[:5])
    region = Region(lower, upper, rows, least, most, region.nested)
    region = _check_total(region, labels, fixed, unit)
    if len(region.rows) == 1:
        return region
    size = size_of(region) or 1.0
    nearest = size * _elastic(region, np.ones((2, len(region.rows)), bool), size).x[:-1]
    sums = region.rows @ np.clip(nearest, lower, upper)
    missed = np.maximum(region.least - sums, sums - region.most).max()
    if missed > ROUNDING * size:
        _fail_clash(region, labels, fixed, unit, row_labels, size)
    return region._replace(
        least=np.minimum(region.least, sums), most=np.maximum(region.most, sums)
    )


def _check_total(
    region: Region, labels: Sequence[str], fixed: np.ndarray, unit: str
) -> Region:
    """Compare the total with the bounds alone."""
    lower, upper = region.lower, region.upper
    low, high = float(region.least[0]), float(region.most[0])
    least, most = float(lower.sum()), float(upper.sum())
    slack = ROUNDING * max(high if np.isfinite(high) else most, most)
    if high < least - slack or low > most + slack:
        if high < least:
            got = f"{exact(high)} ({unit}), below the sum of the lower bounds, "
            got += f"{exact(least)} ({_named(labels, lower, fixed)})"
            fix = f"raise the budget to at least {exact(least)}, or lower what binds"
        else:
            got = f"{exact(low)} ({unit}), above the sum of the upper bounds, "
            got += f"{exact(most)} ({_named(labels, upper, fixed)})"
            fix = f"cut the budget to at most {exact(most)}, or raise what binds"
        allowed = f"between {exact(least)} and {exact(most)} under these bounds"
        fail("budget", Phrase(got), "", allowed, fix)
    if low == high:
        low = high = min(max(low, least), most)
    low, high = min(low, most), max(high, least)
    return region._replace(
        least=np.append(low, region.least[1:]), most=np.append(high, region.most[1:])
    )


def _named(labels: Sequence[str], money: np.ndarray, fixed: np.ndarray) -> str:
    """Largest of some bounds by name: TV 300 (fixed), Radio 200 and 3 more."""
    order = np.argsort(-money, kind="stable")
    named = [
        f"{labels[i]} {exact(float(money[i]))}{' (fixed)' if fixed[i] else ''}"
        for i in order[:MOST_NAMES]
    ]
    more = len(order) - MOST_NAMES
    return ", ".join(named) + (f" and {more} more" if more > 0 else "")


def _elastic(region: Region, sides: np.ndarray, size: float) -> Any:
    """HiGHS: least miss of the chosen sides (2, row) of the rows within the bounds."""
    n = region.rows.shape[1]
    wanted = sides & np.isfinite([region.least, region.most])
    matrix = np.concatenate([-region.rows[wanted[0]], region.rows[wanted[1]]])
    ends = np.concatenate([-region.least[wanted[0]], region.most[wanted[1]]])
    return linprog(
        np.append(np.zeros(n), 1.0),
        A_ub=np.concatenate([matrix, -np.ones((len(ends), 1))], axis=1),
        b_ub=ends / size,
        bounds=[*zip(region.lower / size, region.upper / size, strict=True), (0.0, None)],
        options={
            "primal_feasibility_tolerance": 1e-10,
            "dual_feasibility_tolerance": 1e-10,
        },
    )


def _fail_clash(
    region: Region,
    labels: Sequence[str],
    fixed: np.ndarray,
    unit: str,
    row_labels: Sequence[tuple[str, str]],
    size: float,
) -> None:
    """Name a smallest set of limits no plan respects: leave out what is not needed."""
    sides = np.isfinite([region.least, region.most])
    prices = -_elastic(region, sides, size).ineqlin.marginals
    priced = sides.copy()
    priced[sides] = prices > TINY
    if _elastic(region, priced, size).fun > ROUNDING:
        sides = priced
    for row, side in np.argwhere(sides.T)[::-1]:  # the budget is the last to go
        sides[side, row] = False
        sides[side, row] = not _elastic(region, sides, size).fun > ROUNDING
    found = _elastic(region, sides, size)
    words = [row_labels[int(row)][int(side)] for row, side in np.argwhere(sides.T)]
    more = len(words) - MOST_NAMES
    words = [*words[:MOST_NAMES], *([f"{more} more limits"] if more > 0 else [])]
    for name, bound, price in (
        ("lower", region.lower, found.lower.marginals[:-1]),
        ("upper", region.upper, -found.upper.marginals[:-1]),
    ):
        binds = np.flatnonzero((price > TINY) & ((bound > 0) | (name == "upper")))
        if len(binds):
            some = _named([labels[int(i)] for i in binds], bound[binds], fixed[binds])
            words.append(f"{name} bounds of {some}")
    got, allowed = f"{' and '.join(words)} ({unit})", "limits that some plan respects all"
    fix = f"relax one of these; together they miss by {exact(found.fun * size)} at least"
    fail("constraints", Phrase(got), "", f"{allowed} at once", fix)
