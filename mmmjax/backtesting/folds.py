"""Where a panel is cut: training and test periods of every fold, and their panels.

The panel of a fold holds what was known at its cut and nothing else, so that scales,
spend shares, the trend and the preconditioner cannot see what came after.
"""

from dataclasses import replace
from typing import NamedTuple

import numpy as np
import pandas as pd

from mmmjax.checks import Phrase, choice, fail, integer
from mmmjax.panel import Panel, known, periods
from mmmjax.panel.calendar import offset

__all__ = [
    "Fold",
    "Layout",
    "forecast_panel",
    "lay_out",
    "padded",
    "season_of",
    "train_panel",
]

WINDOWS = ("expanding", "rolling")
_YEAR = {"D": 364, "B": 260, "W": 52, "SM": 24, "SMS": 24, "MS": 12, "ME": 12, "QS": 4,
         "QE": 4, "YS": 1, "YE": 1}  # fmt: skip


class Fold(NamedTuple):
    """One cut: positions in the dates of the panel, and the fold's number from 1."""

    number: int
    train: slice
    test: slice


class Layout(NamedTuple):
    """All folds in order of time, and how they were asked for; counts are periods."""

    folds: tuple[Fold, ...]
    window: str
    horizon: int
    step: int
    season: int


def season_of(freq: str) -> int:
    """Periods of one year, in whole weeks where periods are days: 364, 52, 12, 4, 1."""
    step = offset(freq)
    year = _YEAR.get(step.rule_code.partition("-")[0], 1)
    return max(1, round(year / step.n))


def lay_out(
    panel: Panel,
    max_lag: int,
    folds: int,
    horizon: int | None,
    step: int | None,
    window: str,
    least: int | None,
) -> Layout:
    """Lay the folds back from the last observed outcome; arguments as `backtest`."""
    choice("window", window, WINDOWS)
    season = season_of(panel.freq)
    folds = integer("folds", folds, low=1)
    horizon = max(season // 4, 1) if horizon is None else integer("horizon", horizon, low=1)
    step = horizon if step is None else integer("step", step, low=1)
    given = least
    least = max(season, max_lag) if least is None else integer("least", least, low=2)
    end = int(np.flatnonzero(panel.mask.any(0))[-1]) + 1
    first = end - horizon - (folds - 1) * step
    have = first - panel.history
    if have < least:
        most = (end - horizon - panel.history - least) // step + 1
        got = Phrase(
            f"{folds} folds with horizon {horizon} and step {step}, which leave "
            f"{max(have, 0)} of {end - panel.history} periods to train the first"
        )
        allowed = f"at least {least} periods of training (least)"
        fix = f"folds={most}" if most > 0 else "a smaller least, or a shorter horizon"
        fail("folds", got, "", allowed, fix)
    length = least if window == "rolling" and given is not None else have
    cuts = [first + k * step for k in range(folds)]
    starts = [cut - length if window == "rolling" else panel.history for cut in cuts]
    laid = (
        Fold(k + 1, slice(start, cut), slice(cut, cut + horizon))
        for k, (start, cut) in enumerate(zip(starts, cuts, strict=True))
    )
    return Layout(tuple(laid), window, horizon, step, season)


def train_panel(panel: Panel, fold: Fold, max_lag: int) -> Panel:
    """What was known at the cut: the window, and the media before it that still act."""
    start, stop = fold.train.start, fold.train.stop
    if start == panel.history:
        return known(periods(panel, slice(0, stop), panel.history))
    context = min(start, max_lag - 1)
    past = known(periods(panel, slice(start - context, stop), context))
    outcome = past.outcome.copy()
    outcome[:, :context] = np.nan  # of media only
    return replace(past, outcome=outcome)


def forecast_panel(
    panel: Panel, fold: Fold, train: Panel, per_geo: bool
) -> tuple[Panel, tuple[str, ...]]:
    """The periods to forecast, and a note on channels whose effect is left out of them.

    A channel that had not run by the cut has no scale and no effect that could be known:
    its media count as zero. ``per_geo`` says that scales are per geo.
    """
    future = periods(panel, fold.test, 0)
    ran = train.media[:, train.window].max(1) > 0  # (geo, channel)
    ran = ran if per_geo else np.broadcast_to(ran.any(0), ran.shape)
    new = ~ran & (future.media > 0).any(1)
    if not new.any():
        return future, ()
    silent = np.broadcast_to(new[:, None], future.media.shape)
    media = np.where(silent, 0.0, future.media)
    spend = np.where(silent & np.isfinite(future.spend), 0.0, future.spend)
    names = ", ".join(panel.channels[c] for c in np.flatnonzero(new.any(0)))
    where = " in some geos" if per_geo and panel.n_geos > 1 else ""
    note = f"{names} had not run by the cut{where}: the forecast leaves its effect out"
    return replace(future, media=media, spend=spend), (note,)


def padded(panel: Panel, history: int, n_periods: int) -> Panel:
    """The panel with periods in which nothing was, before its history and at its end."""
    before, after = history - panel.history, n_periods - panel.n_periods
    if before == after == 0:
        return panel

    def pad(array: np.ndarray, fill: float | bool) -> np.ndarray:
        rest = [(0, 0)] * (array.ndim - 2)
        return np.pad(array, [(0, 0), (before, after), *rest], constant_values=fill)

    spend = pad(panel.spend, 0.0)
    spend[..., ~panel.paid] = np.nan
    people = panel.people
    if people is not None:
        people = np.pad(people, [(0, 0), (before, after)], mode="edge")
    step = offset(panel.freq)
    start = pd.date_range(end=panel.dates[0], periods=before + 1, freq=step)[0]
    return replace(
        panel,
        outcome=pad(panel.outcome, np.nan),
        media=pad(panel.media, 0.0),
        spend=spend,
        controls=pad(panel.controls, 0.0),
        present=pad(panel.present, False),
        population=people,
        dates=pd.date_range(start, periods=history + n_periods, freq=step),
        history=history,
        campaigns=panel.campaigns and panel.campaigns.each(lambda x: pad(x, 0.0)),
        frequency=None if panel.frequency is None else pad(panel.frequency, np.nan),
    )
