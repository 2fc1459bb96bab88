"""What is counted several times: columns and geos that repeat or add up others.

By their numbers, whatever they are called: equal, in one proportion, or the sum of some of
the others, in nearly every period and up to rounding.
"""

import functools
import json
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from scipy.optimize import nnls

from mmmjax.checks import Phrase, listing
from mmmjax.exploration import tables
from mmmjax.findings import Finding
from mmmjax.panel import Panel
from mmmjax.panel.national import one_series

__all__ = ["copies", "copies_across"]

LEFT = 2e-3  # relative size of what may be left over: rounding
SMALL = 0.1  # of the standard deviation: so that steady numbers are not alike by chance
OFTEN = 0.9  # share of periods: one corrected cell hides no copy
LEAST = 6  # periods that must be known
TOTALS = 30  # geos that are tried as a total of others: the largest
MARKETS = 1000  # of a fleet that are compared with each other: the largest


def copies(panel: Panel) -> list[Finding]:
    """Find geos, channels and controls that count something a second time."""
    return [
        *_same_geos(panel),
        *_total_geos(panel),
        *_spelled(panel),
        *_national(panel),
        *_channels(panel),
        *_outcome_itself(panel),
    ]


def copies_across(panels: Mapping[str, Panel]) -> list[Finding]:
    """Find markets of a fleet that repeat another one or add up others.

    Args:
        panels: By market; of more than 1,000, the largest of one length of period are
            compared.
    """
    sizes = {name: np.nansum(np.where(p.mask, p.outcome, 0)) for name, p in panels.items()}
    largest = set(sorted(panels, key=lambda name: -sizes[name])[:MARKETS])
    by_freq: dict[str, list[str]] = {}
    for name in filter(largest.__contains__, panels):
        by_freq.setdefault(panels[name].freq, []).append(name)
    found = []
    for freq, names in by_freq.items():
        if len(names) == 1:
            continue
        each = [panels[name] for name in names]
        dates = pd.DatetimeIndex(functools.reduce(pd.Index.union, (p.dates for p in each)))
        channels = tuple(c for c in each[0].channels if all(c in p.channels for p in each))
        cells = (len(each), len(dates))
        outcome, media = np.full(cells, np.nan), np.zeros((*cells, len(channels)))
        for i, panel in enumerate(each):
            here = dates.get_indexer(panel.dates)
            columns = [panel.channels.index(c) for c in channels]
            known = panel.mask.any(0) & (panel.mask | ~panel.present).all(0)
            known &= np.arange(len(here)) >= panel.history
            summed = np.where(panel.mask, panel.outcome, 0.0).sum(0)
            outcome[i, here] = np.where(known, summed, np.nan)
            media[i, here] = panel.media[..., columns].sum(0)
        outcome_name = each[0].outcome_name
        joined = Panel(outcome, media, media, np.zeros((*cells, 0)), np.isfinite(outcome),
                       dates, tuple(names), channels, (), None, "", outcome_name, 0,
                       freq)  # fmt: skip
        found += [*_same_geos(joined, "market"), *_total_geos(joined, "market")]
    return found


def _near(x: np.ndarray, rows: np.ndarray, known: Any = True, rounded: Any = 0.0) -> Any:
    """Whether each row is x up to rounding, in nearly all places where either is not 0."""
    on = ((x != 0) | (rows != 0)) & known
    n = np.maximum(on.sum(1), 1)
    mean = np.where(on, x, 0.0).sum(1) / n
    spread = np.sqrt(np.where(on, (x - mean[:, None]) ** 2, 0.0).sum(1) / n)
    close = np.maximum(LEFT * np.abs(x), rounded)
    far = np.abs(x - rows) > np.minimum(close, SMALL * spread[:, None])
    varies = (n >= LEAST) & (spread > 1e-9 * np.abs(mean))
    return varies & ((on & far).sum(1) <= (1 - OFTEN) * n)


def _unit(x: np.ndarray) -> float:
    """The power of ten that numbers were rounded to; 0 if they were not."""
    powers = (10.0**k for k in range(3, -7, -1))
    return next((u for u in powers if np.allclose(x, np.round(x / u) * u, rtol=1e-9)), 0.0)


def _parts(whole: np.ndarray, others: np.ndarray) -> tuple[int, ...]:
    """Rows of `others` (row, place), two or more, whose plain sum `whole` is.

    The rows are those with a weight above one half in the least squares with weights of at
    least 0 (Lawson and Hanson); without those rows that are larger than the whole.
    """
    unit = _unit(whole)
    slack = LEFT * np.abs(whole) + unit
    rows = np.flatnonzero((others <= whole + slack).mean(1) >= OFTEN)
    rows = rows[(others[rows] > 0).any(1)]
    if len(rows) < 2 or others[rows].sum() < (1 - SMALL) * whole.sum():
        return ()
    for chosen in (rows, rows[nnls(others[rows].T, whole)[0] > 0.5]):
        if len(chosen) > 1:
            rounded = unit * (len(chosen) + 1) / 2
            if _near(whole, others[chosen].sum(0)[None], rounded=rounded)[0]:
                return tuple(chosen.tolist())
    return ()


def _alike(panel: Panel) -> list[tuple[list[int], list[float]]]:
    """Groups of geos whose outcomes are in one proportion, and the first's by each."""
    known, y = tables.cells(panel), np.where(panel.mask, panel.outcome, 0.0)
    groups: list[tuple[list[int], list[float]]] = []
    for g in range(panel.n_geos):
        first = [group[0] for group, _ in groups]
        both = known[first] & known[g]
        share = np.divide(
            y[first], y[g], np.full(both.shape, np.nan), where=both & (y[g] != 0)
        )
        seen = np.isfinite(share).any(1)
        times = np.ones(len(first))
        times[seen] = np.nanmedian(share[seen], axis=1)
        near = np.flatnonzero(
            _near(y[g], y[first] / np.where(times, times, 1)[:, None], both)
        )
        if near.size:
            groups[near[0]][0].append(g)
            groups[near[0]][1].append(float(times[near[0]]))
        else:
            groups.append(([g], [1.0]))
    return [found for found in groups if len(found[0]) > 1]


def _same_geos(panel: Panel, noun: str = "geo") -> list[Finding]:
    """Find geos with the outcome of another one, as it is or times a constant."""
    name, found = panel.columns.geo or "geo", []
    if panel.n_geos == 1:
        return []
    for group, ratios in _alike(panel):
        here = tuple(panel.geos[i] for i in group)
        n, what = len(here), f"the very same {panel.outcome_name} in every period"
        means = f"Totals over {noun}s count it {n} times"
        remedy = (
            f'If "{name}" names channels, make each of them a column with one row a date, '
            "and leave geo out; if the outcome is known for all of them together only, add "
            "their media up, keep the outcome once, and leave geo out; if one is a copy, "
            "leave its rows out"
        )
        if not np.allclose(ratios, 1, atol=LEFT):
            what = f"{panel.outcome_name} in one proportion in every period"
            means = (
                "One series that was divided is no evidence of several: intervals come out "
                "too narrow"
            )
            remedy = (
                "If it was divided by a key, add these geos up to one, media too; if one "
                "is a copy in another unit, leave its rows out"
            )
        if noun == "market":
            remedy = "If one is a copy or a divided series, leave its rows or its file out"
        what = f"{noun}s with {what}: {listing(here, 4)}"
        found.append(Finding("serious", f"same_{noun}s", what, here, n, means, remedy))
    return found


def _total_geos(panel: Panel, noun: str = "geo") -> list[Finding]:
    """Find geos with the sum of others: a total, of all or of some."""
    known, found = tables.cells(panel), []
    if panel.n_geos < 3:
        return []
    again = {i for group, _ in _alike(panel) for i in group[1:]}
    value = np.where(panel.mask, panel.outcome, 0.0)
    single = np.array([g for g in range(panel.n_geos) if g not in again])
    for whole in sorted(single, key=lambda g: -value[g].sum())[:TOTALS]:
        clear = known | ~panel.present  # of a market that had not opened: 0
        others = single[(single != whole) & (clear[single][:, known[whole]].mean(1) > 0.5)]
        times = known[whole] & clear[others].all(0)
        own, rest = value[whole, times], value[others][:, times]
        parts, of = others[list(_parts(own, rest))], "the sum of"
        if not parts.size and len(others) > 1 and own.any():
            together = rest.sum(0)
            share = float(np.median(own[own != 0]) / max(np.median(together), 1e-300))
            if _near(own, share * together[None])[0]:
                parts, of = others, f"{share:.3g} times the sum of"
        if not parts.size:
            continue
        media = panel.media[:, times]
        alike = np.isclose(media[whole], media[parts].sum(0), rtol=1e-2)
        same = alike.size and alike.mean() >= OFTEN
        here = panel.geos[whole]
        what = f'{noun} "{here}" is {of} {listing((panel.geos[i] for i in parts), 4)}'
        what += ", and so are its media" if same else ""
        means = f"Totals over {noun}s count {panel.outcome_name} twice"
        remedy = f'Leave the rows of "{here}" out of the table'
        if noun == "market":
            remedy = f'Leave the rows or the file of "{here}" out, or those of its parts'
        code, size = f"total_{noun}", len(parts)
        found.append(Finding("serious", code, what, (here,), size, means, remedy))
    return found


def _spelled(panel: Panel) -> list[Finding]:
    """Find geos whose names differ by case, blanks and signs only."""
    plain: dict[str, list[str]] = {}
    for name in panel.geos:
        key = "".join(filter(str.isalnum, name.casefold())) or name
        plain.setdefault(key, []).append(name)
    twice = [names for names in plain.values() if len(names) > 1]
    if not twice:
        return []
    said = [Phrase(listing(names, 4)) for names in twice]
    what = f"geos that differ by case, blanks or signs of their names only: {said[0]}"
    what += f" and {len(said) - 1} more" if len(said) > 1 else ""
    means = "Each is a geo of its own, with effects of its own"
    remedy = "If they are one, write their names in one way in the table"
    where = tuple(name for names in twice for name in names)
    return [Finding("warning", "geo_spelling", what, where, None, means, remedy)]


def _national(panel: Panel) -> list[Finding]:
    """Find paid channels whose money stands in the rows of several geos."""
    there = panel.present & (np.arange(len(panel.dates)) >= panel.history)
    said, counts, whole = [], [], []
    for c in np.flatnonzero(panel.paid):
        if panel.channels[c] in panel.national:
            continue
        spend = np.where(there, panel.spend[..., c], 0.0)
        paid = np.flatnonzero(spend.any(1))
        spend, here = spend[paid], there[paid]
        same = (
            _near(row, spend, on & here).sum() for row, on in zip(spend, here, strict=True)
        )
        largest = int(max(same, default=0))
        if largest > 1:
            said.append(panel.channels[c])
            counts.append(largest)
            each = (x[..., c] for x in (panel.media, panel.spend))
            grids = [np.where(panel.present, x, np.nan) for x in each]
            whole.append(not any(one_series(grid)[1].any() for grid in grids))
    if not said:
        return []
    n = max(counts)
    what = f"channels with the same spend in {n} geos in every period: {listing(said, 4)}"
    means = (
        f"If it was paid once for all of them, spend under ALL counts it {n} times, and "
        "its ROAS is that much too low"
    )
    remedy = (
        "Then divide it over the geos in the table, by population say, so that its column "
        "adds up to what was paid"
    )
    if any(whole):
        names = [name for name, is_whole in zip(said, whole, strict=True) if is_whole]
        remedy = f"Then write national = {json.dumps(names)} under [data]"
        if not all(whole):
            rest = [n for n in said if n not in names]
            remedy += f"; divide that of {listing(rest, 4)} over the geos in the table"
    return [Finding("warning", "copied_media", what, tuple(said), n, means, remedy)]


def _channels(panel: Panel) -> list[Finding]:
    """Find channels that repeat others or add them up, and controls that do."""
    informed, n, names = tables.cells(panel), len(panel.channels), tables.names(panel)
    money = np.where(panel.paid, panel.spend, 0.0)[informed].T
    said: dict[str, Phrase] = {}
    kinds = {"": tables.features(panel)[informed].T}
    if panel.paid.any() and not (money == kinds[""][:n])[panel.paid].all():
        kinds["the spend of "] = money
    for noun, table in kinds.items() if informed.any() else ():
        units = np.array([_unit(row) for row in table])[:, None]
        for i, row in enumerate(table):
            others = [c for c in range(n) if c != i]
            k = min(i, n)
            rounded = np.maximum(units[:k], units[i]) / 2
            equal = np.flatnonzero(_near(row, table[:k], rounded=rounded))
            parts = () if equal.size else _parts(row, table[others])
            if equal.size:
                text = f'{noun}"{names[i]}" is that of "{names[equal[0]]}"'
            elif parts:
                of = listing((names[others[c]] for c in parts), 4)
                text = f'{noun}"{names[i]}" is the sum of {of}'
            else:
                continue
            said.setdefault(names[i], Phrase(text))
    if not said:
        return []
    what = f"media counted twice: {listing(said.values(), 3)}"
    means = (
        "The effect is split by the prior alone, and money that stands twice counts twice"
    )
    remedy = "Take the copy or the total out of media and controls"
    where, size = tuple(said), len(said)
    return [Finding("serious", "copied_channels", what, where, size, means, remedy)]


def _outcome_itself(panel: Panel) -> list[Finding]:
    """Find columns that are the outcome, up to a factor and a constant."""
    if tables.cells(panel).sum() < 2 * LEAST:
        return []
    pooled = np.abs(np.nan_to_num(tables.correlations(panel).pooled[0, 1:]))
    control = np.arange(len(pooled)) >= len(panel.channels)
    here = np.flatnonzero((pooled > 1 - 1e-4) | (control & (pooled > 0.98)))
    if not here.size:
        return []
    names = tuple(tables.names(panel)[i] for i in here)
    said = [
        Phrase(f'"{tables.names(panel)[i]}" (correlation {pooled[i]:.4f})') for i in here
    ]
    what = f"columns that are {panel.outcome_name} itself, or nearly: {listing(said, 4)}"
    means = "It explains the outcome by the outcome: nothing is left for the media"
    remedy = "Take it out of media or controls"
    size = float(pooled.max())
    return [Finding("serious", "outcome_copied", what, names, size, means, remedy)]
