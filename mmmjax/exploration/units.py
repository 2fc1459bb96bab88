"""Columns whose unit seems to change: from a date on, or in one geo.

By ten, a hundred or a thousand times where it changes; by 50 times, for its outcome, in a
geo beside all others.
"""

import warnings

import numpy as np

from mmmjax.checks import show
from mmmjax.findings import Finding
from mmmjax.panel import Panel

__all__ = ["jump", "units"]

FEWEST = (8, 6, 4)  # cells above 0 on either side of a change by 10, 100, 1000
NEAR = 4  # cells next to it, which must show it too
CLOSE, LOCAL = 0.18, 0.2  # of a power of ten, in log10: medians of the sides, next to it
WIDER = (0.25, 0.5)  # by which noise may widen both, where the change is 100 or 1000
SPREAD = 0.25  # robust standard deviation of either side, in log10 per power of ten
GEOS, FAR = 4, 1.7  # least geos that are compared; how far one is from all others, in log10


def jump(x: np.ndarray) -> tuple[int, int] | None:
    """Find the one place from which on numbers are 10^k times what they were.

    Both sides must lie close to their medians and apart from each other, so that flights,
    launches from nothing and growth are none.

    Args:
        x: Numbers over time (time,); those of 0 or less and NaN say nothing.

    Returns:
        The first period after the change and k in -3 .. 3; None if there is no such place.
    """
    at = np.flatnonzero(x > 0)
    if len(at) < 2 * FEWEST[0] or x[at].max() < 6 * x[at].min():
        return None
    log = np.log10(x[at])
    n = np.arange(1, len(log))
    total = np.cumsum(log)
    between = (total[-1] * n / len(log) - total[:-1]) ** 2 / (n * (len(log) - n))
    cut = int(between.argmax()) + 1  # least squares of two levels
    least = min(cut, len(log) - cut)
    low, high = log[:cut], log[cut:]
    shift = float(np.median(high) - np.median(low))
    k = round(shift)
    local = float(np.median(high[:NEAR]) - np.median(low[-NEAR:]))
    spread = max(1.4826 * np.median(np.abs(s - np.median(s))) for s in (low, high))
    apart = low.max() < high.min() if k > 0 else high.max() < low.min()
    if not 1 <= abs(k) <= 3 or least < FEWEST[abs(k) - 1]:
        return None
    noise = 2 * spread * (abs(k) > 1)  # of medians, about
    close = abs(shift - k) <= CLOSE + min(WIDER[0], noise / np.sqrt(least))
    close &= abs(local - k) <= LOCAL + min(WIDER[1], noise)
    if apart and close and spread <= SPREAD * abs(k):
        return int(at[cut]), k
    return None


def units(panel: Panel) -> list[Finding]:
    """Ask about each column whose numbers jump by a power of ten at one date."""
    named = panel.columns
    columns = [(named.outcome, panel.outcome[..., None], 0)]
    columns += [(name, panel.media, i) for i, name in enumerate(named.media)]
    columns += [
        (name, panel.spend, i)
        for i, name in enumerate(named.spend)
        if name not in (None, named.media[i])
    ]
    columns += [(name, panel.controls, i) for i, name in enumerate(named.controls)]
    found = []
    for column, array, i in columns:
        all_geos = ((g, jump(array[g, :, i])) for g in range(panel.n_geos))
        seen = [(g, where) for g, where in all_geos if where is not None]
        if not seen:
            continue
        g, (t, k) = seen[0]
        date = panel.dates[t]
        place = f' in geo "{panel.geos[g]}"' if panel.n_geos > 1 else ""
        place += f" and {len(seen) - 1} more geos" if len(seen) > 1 else ""
        factor = f"{10 ** abs(k):,} times" if k > 0 else f"a {10 ** abs(k):,}th of"
        what = (
            f'column "{column}" is about {factor} what it was from {show(date)} on{place}'
        )
        means = "Did its unit change, as from thousands to single ones? Then every effect "
        means += "that leans on it is wrong"
        remedy = (
            "If so, bring all rows of the column to one unit in the table; if the jump "
        )
        remedy += "is real, leave it"
        where = (str(column),)
        found.append(Finding("warning", "units", what, where, 10.0**k, means, remedy))
    beside = [(c, x[..., i]) for c, x, i in columns[1 : len(columns) - len(named.controls)]]
    if panel.people is not None:
        beside.append(("population", panel.people))
    of_one = (_of_one_geo(panel, str(column), array) for column, array in beside)
    return found + [finding for finding in of_one if finding]


def _of_one_geo(panel: Panel, column: str, array: np.ndarray) -> Finding | None:
    """Ask about the geo whose media, or people, per outcome are 50 times all others'."""
    with warnings.catch_warnings(), np.errstate(divide="ignore", invalid="ignore"):
        warnings.simplefilter("ignore")  # geos without the channel
        media = np.nanmedian(np.where(array > 0, array, np.nan), 1)
        level = np.log10(media / np.nanmedian(panel.outcome, 1))
    geos = np.flatnonzero(np.isfinite(level))
    if len(geos) < GEOS:
        return None
    order = geos[level[geos].argsort()]
    for g, others in ((order[-1], order[:-1]), (order[0], order[1:])):
        apart = float(level[g] - np.median(level[others]))
        if abs(apart) < max(FAR, 2 * np.ptp(level[others])):
            continue
        times = 10 ** abs(apart)
        factor = f"{times:,.0f} times" if apart > 0 else f"a {times:,.0f}th of"
        what = f'column "{column}" in geo "{panel.geos[g]}" is, for its outcome, {factor} '
        what += "what it is in the other geos"
        means = f"Is its unit, or that of {panel.columns.outcome}, another one there, as "
        means += "thousands beside single ones?"
        remedy = "If so, bring all geos to one unit in the table; if it is real, leave it"
        where = (column, panel.geos[g])
        return Finding("warning", "units", what, where, 10**apart, means, remedy)
    return None
