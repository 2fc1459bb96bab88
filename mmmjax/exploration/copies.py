"""What is counted several times: columns and geos that repeat or add up others.

By their numbers, whatever they are called. A geo (or channel) is written as a sum of the
others with weights of at least 0 (Lawson and Hanson's least squares, scipy): it repeats
them where nearly nothing is left over and the weights are 1 (a copy or a total).
"""

import numpy as np
from scipy.optimize import nnls

from mmmjax.checks import Phrase, listing
from mmmjax.exploration import tables
from mmmjax.findings import Finding
from mmmjax.panel import Panel

__all__ = ["copies"]

LEFT = 2e-3  # relative size of what may be left over: rounding
LEAST = 6  # periods that must be known


def copies(panel: Panel) -> list[Finding]:
    """Find geos, channels and controls that count something a second time."""
    return [*_geos(panel), *_national(panel), *_channels(panel), *_of_outcome(panel)]


def _parts(table: np.ndarray, column: int) -> tuple[int, ...]:
    """Columns whose plain sum a column is, up to rounding; none where it is its own."""
    target, others = table[:, column], np.delete(table, column, axis=1)
    if len(table) < LEAST or not others.size or np.ptp(target) == 0:
        return ()
    size = np.linalg.norm(target)
    labels = np.delete(np.arange(table.shape[1]), column)
    equal = np.linalg.norm(others - target[:, None], axis=0) <= LEFT * size
    if equal.any():
        return (int(labels[equal.argmax()]),)
    whole = np.linalg.norm(target - others.sum(1)) <= LEFT * size
    if whole or len(table) <= others.shape[1] + 1:
        return tuple(labels[others.any(0)].tolist()) if whole else ()
    weights, left = nnls(others, target)
    some = weights > 0.02
    plain = some.sum() > 1 and np.allclose(weights[some], 1, atol=0.02)
    return tuple(labels[some].tolist()) if plain and left <= LEFT * size else ()


def _repeats(
    table: np.ndarray,
) -> tuple[list[list[int]], list[tuple[int, tuple[int, ...]]]]:
    """Groups of equal columns, and columns that are the sum of others (one of a group)."""
    found = {i: _parts(table, i) for i in range(table.shape[1])}
    groups: dict[int, list[int]] = {}
    for i, parts in found.items():
        if len(parts) == 1:
            first = min(i, *parts)
            groups.setdefault(first, [first])
            groups[first] += [j for j in (i, *parts) if j not in groups[first]]
    return list(groups.values()), [(i, p) for i, p in found.items() if len(p) > 1]


def _geos(panel: Panel) -> list[Finding]:
    """Find geos with the outcome of another, or with the sum of others."""
    known = tables.cells(panel).all(0)
    if panel.n_geos == 1 or known.sum() < LEAST:
        return []
    equal, sums = _repeats(panel.outcome[:, known].T)
    name, found = panel.columns.geo or "geo", []
    for group in equal:
        here = tuple(panel.geos[i] for i in group)
        remedy = (
            f'If "{name}" names channels, make each of them a column with a row a date, and '
            "leave geo out; if the outcome is known for all of them together only, add "
            "their media up and leave geo out; if one is a copy, leave its rows out"
        )
        found.append(
            Finding(
                "serious",
                "same_geos",
                f"geos with the very same {panel.outcome_name} in every period: "
                f"{listing(here, 4)}",
                here,
                len(here),
                f"Totals count it {len(here)} times",
                remedy,
            )
        )
    for whole, parts in sums:
        same = np.isclose(panel.media[whole], panel.media[list(parts)].sum(0), rtol=1e-2)
        also = ", and so are its media" if same.all() and panel.channels else ""
        of = listing((panel.geos[i] for i in parts), 4)
        here = (panel.geos[whole],)
        remedy = f'Leave the rows of "{here[0]}" out of the table'
        found.append(
            Finding(
                "serious",
                "total_geo",
                f'geo "{here[0]}" is the sum of {of} in every period{also}',
                here,
                len(parts),
                "Totals count it twice",
                remedy,
            )
        )
    return found


def _national(panel: Panel) -> list[Finding]:
    """Find paid channels whose money stands in the rows of several geos, to the cent."""
    there = panel.present.all(0)
    there[: panel.history] = False
    spend = np.where(panel.paid, panel.spend, 0.0)[:, there]
    said, counts = [], []
    for c, name in enumerate(panel.channels):
        on = spend[spend[..., c].any(1), :, c]
        if (
            len(on) > 1
            and on.shape[1] >= LEAST
            and np.ptp(on[0]) > 0
            and (on == on[0]).all()
        ):
            said.append(name)
            counts.append(len(on))
    if not said:
        return []
    message = f"channels with the same spend in {max(counts)} geos in every period: "
    remedy = (
        "If it is national, divide it over the geos in the table (by population, say), so "
        "that its column adds up to what was paid"
    )
    means = (
        f"Spend of all geos counts it {max(counts)} times, and its ROAS is that much lower"
    )
    return [
        Finding(
            "warning",
            "copied_media",
            message + listing(said, 4),
            tuple(said),
            max(counts),
            means,
            remedy,
        )
    ]


def _channels(panel: Panel) -> list[Finding]:
    """Find channels that repeat another one, or add others up."""
    table = panel.media[tables.cells(panel)]
    equal, sums = _repeats(table) if len(table) else ([], [])
    said = []
    for group in equal:
        said.append(
            Phrase(f"{listing((panel.channels[i] for i in group), 4)} are the same")
        )
    for whole, parts in sums:
        of = listing((panel.channels[i] for i in parts), 4)
        said.append(Phrase(f'"{panel.channels[whole]}" is the sum of {of}'))
    if not said:
        return []
    every = dict.fromkeys([i for g in equal for i in g] + [i for i, _ in sums])
    return [
        Finding(
            "serious",
            "copied_channels",
            f"media counted twice: {listing(said, 3)}",
            tuple(panel.channels[i] for i in every),
            len(said),
            "Its spend counts twice, and the split of the effect comes from the prior",
            "Take the total or the copy out of media",
        )
    ]


def _of_outcome(panel: Panel) -> list[Finding]:
    """Find columns that are the outcome itself, up to a factor and a constant."""
    pooled = np.nan_to_num(tables.correlations(panel).pooled[0, 1:])
    if tables.cells(panel).sum() < LEAST:
        return []
    where = [tables.names(panel)[i] for i in np.flatnonzero(np.abs(pooled) > 1 - 1e-6)]
    if not where:
        return []
    return [
        Finding(
            "serious",
            "outcome_copied",
            f"columns that are {panel.outcome_name} itself: {listing(where, 4)}",
            tuple(where),
            None,
            "It explains the outcome by the outcome: nothing is left for the media",
            "Take it out of media or controls",
        )
    ]
