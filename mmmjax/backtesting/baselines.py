"""The seasonal naive forecast: what happened a year ago, with its own past errors."""

from collections.abc import Callable

import numpy as np

from mmmjax import metrics
from mmmjax.posterior.scope import PROB, summarise

__all__ = ["seasonal_naive"]

LEAST_ERRORS = 8  # fewer past errors give no spread worth scoring


def seasonal_naive(
    outcome: np.ndarray,
    cut: int,
    target: slice,
    season: int,
    possible: Callable[[np.ndarray], np.ndarray] = np.asarray,
    prob: float = PROB,
) -> np.ndarray:
    """Mean, lo, hi and CRPS of the seasonal naive forecast of every cell.

    The point is the outcome one season before; where that is not known at the cut, or was
    missing, two seasons before, and so on. The predictive distribution is the point plus
    and minus every error that the same rule made before the cut, so that it is centred
    on the point and as wide as it was wrong.

    Args:
        outcome: All outcomes (geo, time), NaN where unknown; those from ``cut`` on only
            serve to score.
        cut: First period that is not known.
        target: Periods to forecast.
        season: Periods of a season.
        possible: Takes forecasts to the nearest ones that the outcome allows.
        prob: Probability inside [lo, hi].

    Returns:
        Array (4, geo, target); NaN where there is no such outcome or fewer than 8 errors.
    """
    found = np.full((4, len(outcome), target.stop - target.start), np.nan)
    known = outcome[:, :cut]
    times = np.arange(target.start, target.stop)
    for g, series in enumerate(known):
        for lag in range(season, cut, season):
            source = times - lag
            usable = (source >= 0) & (source < cut)
            usable[usable] = np.isfinite(series[source[usable]])
            usable &= np.isnan(found[0, g])
            errors = series[lag:] - series[:-lag]
            errors = errors[np.isfinite(errors)]
            if not usable.any() or errors.size < LEAST_ERRORS:
                continue
            both = np.concatenate([errors, -errors])
            draws = possible(series[source[usable]] + both[:, None])
            found[:3, g, usable] = summarise(draws, prob)
            found[3, g, usable] = metrics.crps_cells(outcome[g, times[usable]], draws)
    return found
