"""Late and early data: ends of the outcome that are no full periods, or no market yet."""

from collections.abc import Callable

import numpy as np

from mmmjax.checks import Phrase, listing, show
from mmmjax.findings import Finding, Level
from mmmjax.panel import Panel, zero_ends

__all__ = ["ends"]

NEAR = 8  # periods that the last one is compared with
LEAST = 12  # known periods, else nothing is said
LOW = float(np.log(0.8))  # of the level before: more is no incomplete period
START = float(np.log(0.6))  # of a first one, which may lack the media before it
UNUSUAL = 3.5  # robust z of that
RUN = 4  # zeros in a row at an end


def ends(panel: Panel) -> list[Finding]:
    """Find zeros and falling last periods at the ends of outcome and spend."""
    found: dict[str, list[tuple[int, int, int]]] = {}
    for g in range(panel.n_geos):
        here = panel.present[g] & (np.arange(len(panel.dates)) >= panel.history)
        known = np.flatnonzero(panel.mask[g] & here).tolist()
        y = panel.outcome[g, known]
        if len(y) < LEAST or not (y > 0).any():
            continue
        before, after = zero_ends(y)
        before = before if _unusual(y[::-1], before) else 0
        after = after if _unusual(y, after) else 0
        inner = y[before : len(y) - after]
        if before:
            media = panel.media[g, known[:before]].any()
            kind = "early" if media else "opened"
            found.setdefault(kind, []).append((g, known[0], known[before - 1]))
        elif k := _falling(inner[::-1], 1, START):
            found.setdefault("first", []).append((g, known[0], known[k - 1]))
        if after:
            found.setdefault("late", []).append((g, known[-after], known[-1]))
        elif k := _falling(inner, 3, LOW):
            found.setdefault("last", []).append((g, known[-k], known[-1]))
        money = np.where(panel.paid, panel.spend[g, known], 0.0).sum(1)
        unbooked = zero_ends(money)[1]
        if not after and money.any() and _unusual(money, unbooked):
            found.setdefault("unbooked", []).append((g, known[-unbooked], known[-1]))
    return [_finding(panel, kind, where) for kind, where in found.items()]


def _unusual(y: np.ndarray, run: int) -> bool:
    """Whether so many zeros at the end are no part of what zeros there are before."""
    if not run or run >= len(y):
        return False
    inner = y[: len(y) - run]
    inner = inner[int((inner > 0).argmax()) :]
    zero = np.concatenate([[0], (inner == 0).astype(int), [0]])
    edges = np.flatnonzero(np.diff(zero))
    longest = int(np.max(edges[1::2] - edges[::2], initial=0))
    usual = inner[-3 * NEAR :]
    spread = max(1.4826 * np.median(np.abs(usual - np.median(usual))), 1e-12)
    seldom = np.mean(inner == 0) < 0.5
    return (
        run > 2 * longest
        and seldom
        and (run >= RUN or bool(np.median(usual) / spread > UNUSUAL))
    )


def _falling(y: np.ndarray, most: int, low: float) -> int:
    """How many last periods fall below all that was usual, at most `most`.

    `low` is the logarithm of the share of the level before that each stays below.
    """
    if len(y) < LEAST + NEAR or (y <= 0).any():
        return 0
    log = np.log(y)
    around = np.lib.stride_tricks.sliding_window_view(log, NEAR)
    for k in range(most, 0, -1):
        # how far k periods later stand from the level, at the end and everywhere before
        apart = log[NEAR + k - 1 :] - np.median(around[: len(log) - NEAR - k + 1], axis=1)
        past, tail = apart[:-k], log[-k:] - np.median(log[-k - NEAR : -k])
        spread = max(1.4826 * np.median(np.abs(past - np.median(past))), 1e-12)
        z = (tail[-1] - np.median(past)) / spread
        below = tail[-1] < 1.15 * past.min() and (tail < min(low, past.min())).all()
        if below and z < -UNUSUAL and (np.diff(tail) < 0).all():
            return k
    return 0


SAID: dict[str, tuple[Level, str, str, str]] = {
    "opened": (
        "serious",
        "early",
        "{y} is 0 and no media ran at the start",
        "Before a market opened there is nothing to explain: its zeros make the media of "
        "later look many times too strong",
    ),
    "early": (
        "serious",
        "early",
        "{y} is 0 at the start",
        "Zeros before a market opened, or before it was recorded, make the media of later "
        "look many times too strong",
    ),
    "first": (
        "warning",
        "early",
        "the first {y} is far below what follows",
        "It may be no full period: a week or month that was recorded in part",
    ),
    "late": (
        "serious",
        "late",
        "{y} is 0 at the end",
        "If it is not known yet, its zeros pull down the effect of all media that ran then",
    ),
    "last": (
        "warning",
        "late",
        "the last {y} falls far below what is usual",
        "It may not be complete yet, and then pulls down the effect of media that ran then",
    ),
    "unbooked": (
        "warning",
        "late",
        "spend of all channels is 0 at the end",
        "If it is not booked yet, what media brought then counts as baseline",
    ),
}


def _finding(panel: Panel, kind: str, where: list[tuple[int, int, int]]) -> Finding:
    level, code, what, means = SAID[kind]
    one = panel.n_geos == 1
    span: Callable[[int, int], str] = lambda a, b: ":".join(
        dict.fromkeys((show(panel.dates[a]), show(panel.dates[b])))
    )
    places = [
        Phrase(("" if one else f"{panel.geos[g]} ") + span(a, b).replace(":", " to "))
        for g, a, b in where
    ]
    what = f"{what.format(y=panel.outcome_name)}: {listing(places, 4)}"
    key = f'["{span(*where[0][1:])}"]'
    if not one:
        rows = ", ".join(f'"{panel.geos[g]}" = ["{span(a, b)}"]' for g, a, b in where)
        key = f"{{ {rows} }}"
    remedy = f"If so, leave it out of the fit: leave_empty = {key} under [data]"
    geos = () if one else tuple(panel.geos[g] for g, _, _ in where)
    size = max(b - a + 1 for _, a, b in where)
    return Finding(level, code, what, geos, float(size), means, remedy)
