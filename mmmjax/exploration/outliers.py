r"""Periods that stand apart from those around them.

The level of a series is its centred rolling median over a quarter of a year. With
$r_t = x_t - \mathrm{level}_t$, the robust z is
$(r_t - \mathrm{med}\,r) / (1.4826\,\mathrm{MAD}(r))$, MAD being the median absolute
deviation; where the MAD is 0, 1.2533 times the mean absolute deviation takes its place.
An outlier is beyond 3.5.

Source: Iglewicz and Hoaglin (1993), "How to Detect and Handle Outliers", section 3 (the
modified z-score and its limit); the rolling median as in the filter of Hampel (1974), "The
Influence Curve and its Role in Robust Estimation".
"""

from typing import NamedTuple

import numpy as np
import pandas as pd

from mmmjax.exploration.tables import joined
from mmmjax.panel import Panel

__all__ = ["LIMIT", "Robust", "events", "outliers", "quarter", "rare", "robust_z"]

LIMIT = 3.5
MATERIAL = 2.0  # times the usual: less does not bend the scale of a channel
LEAST = 8  # observations of a series
RARE = 0.1  # share of cells in which an event is on, at most


class Robust(NamedTuple):
    """Level and robust z of series, (..., time); NaN where there is no observation."""

    level: np.ndarray
    z: np.ndarray


def quarter(freq: str) -> int:
    """Periods of a quarter of a year, odd and at least 5."""
    periods = len(pd.date_range("2001-01-01", "2002-12-31", freq=freq)) / 8
    return max(int(periods) // 2 * 2 + 1, 5)


def robust_z(values: np.ndarray, window: int, first: int | None = None) -> Robust:
    """Level and robust z of series; the definition is at the top of this file.

    Args:
        values: (..., time), any unit; NaN where there is no observation.
        window: Periods of the rolling median, odd.
        first: Median and MAD are those of so many first periods; None: of all.

    Returns:
        Both (..., time); z is 0 in a series of fewer than 8 observations or without any
        deviation.
    """
    flat = np.reshape(values, (-1, values.shape[-1]))
    rolling = pd.DataFrame(flat.T).rolling(window, center=True, min_periods=1)
    level = np.where(np.isnan(flat), np.nan, rolling.median().to_numpy().T)
    rest, z = flat - level, np.where(np.isnan(flat), np.nan, 0.0)
    for row in np.flatnonzero((~np.isnan(rest[:, :first])).sum(1) >= LEAST):
        apart = rest[row] - np.nanmedian(rest[row, :first])
        size = 1.4826 * np.nanmedian(np.abs(apart[:first]))
        size = size or 1.2533 * np.nanmean(np.abs(apart[:first]))
        if size > 1e-12 * np.nanmax(np.abs(flat[row])):
            z[row] = apart / size
    return Robust(level.reshape(values.shape), z.reshape(values.shape))


class Outliers(NamedTuple):
    """Robust z of every cell of the window and the cells that stand apart.

    ``outcome`` has its level and z (geo, time), in outcome units. A channel is judged by
    the logarithm of the periods in which it ran: ``media_z`` (geo, time, channel) is the
    larger of the z of its media and of its spend; ``times`` is the cell as a multiple of
    what is usual, the larger of its level and the median of all such periods. A channel's
    outlier is high: z beyond 3.5 and at least twice the usual.
    """

    outcome: Robust
    outcome_apart: np.ndarray
    media_z: np.ndarray
    times: np.ndarray
    media_apart: np.ndarray

    def until(self, n: int) -> "Outliers":
        """Those of the first n periods."""
        y = Robust(*(array[:, :n] for array in self.outcome))
        return Outliers(y, *(array[:, :n] for array in self[1:]))


def outliers(panel: Panel, test: Panel | None = None) -> Outliers:
    """Find what stands apart in the outcome and in each channel, geo by geo.

    The test periods, if given, come last; what is usual is that of training.
    """
    n, panel = panel.n_periods, joined(panel, test)
    window, part = quarter(panel.freq), panel.window
    y = robust_z(panel.outcome[:, part], window, n)
    here = panel.present[:, part, None]
    z, times = np.full((2, *panel.media[:, part].shape), np.nan)
    for values in (panel.media[:, part], panel.spend[:, part]):
        there = here & (np.nan_to_num(values) > 0)
        logs = np.where(there, np.log(np.where(there, values, 1.0)), np.nan)
        logs = np.swapaxes(logs, 1, 2)  # time last
        found = robust_z(logs, window, n)
        flat = np.reshape(logs, (-1, logs.shape[-1]))[:, :n]
        usual = pd.DataFrame(flat.T).median().to_numpy()
        usual = np.fmax(found.level, usual.reshape(*logs.shape[:2], 1))
        z = np.fmax(z, np.swapaxes(found.z, 1, 2))
        times = np.fmax(times, np.exp(np.swapaxes(logs - usual, 1, 2)))
    high = (np.nan_to_num(z) > LIMIT) & (np.nan_to_num(times) >= MATERIAL)
    return Outliers(y, np.abs(np.nan_to_num(y.z)) > LIMIT, z, times, high)


def rare(panel: Panel) -> np.ndarray:
    """Controls that are events, (control,): 0 in at least nine of ten cells."""
    there, on = panel.present[:, panel.window], panel.controls[:, panel.window] != 0
    return on[there].mean(0) <= RARE if there.any() else np.zeros(on.shape[2], bool)


def events(panel: Panel) -> np.ndarray:
    """Cells of the window, (geo, time), in which an event control is not 0."""
    on = panel.controls[:, panel.window] != 0
    return (on & rare(panel)).any(2) & panel.present[:, panel.window]
