"""Seasonality: smooth yearly features of the calendar.

Features depend on dates alone, so they are computed once, on the host, in float64.
"""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pandas as pd
from jaxtyping import Float, Real

from mmmjax import checks
from mmmjax.arguments import named

__all__ = ["PERIODS", "Fourier", "fourier_features", "most_pairs", "names", "phase"]


def __dir__() -> list[str]:
    """Public names only, for completion."""
    return list(__all__)


YEAR = 365.25  # days
PERIODS = {"year": YEAR, "quarter": YEAR / 4, "month": YEAR / 12, "week": 7.0}
"""Days of a season by its name."""


def fourier_features(
    day_of_year: Real[np.ndarray, " time"], order: int
) -> Float[np.ndarray, "features time"]:
    r"""Sines $\sin(2 \pi n p)$, n = 1..N, then cosines of the same, $p$ = day / 365.25.

    Args:
        day_of_year: 1 (January 1) to 366, as pandas counts.
        order: $N$, number of sine and cosine pairs.
    """
    phase = 2 * np.pi * np.asarray(day_of_year, dtype=float) / YEAR
    angles = np.arange(1, order + 1)[:, None] * phase
    return np.concatenate([np.sin(angles), np.cos(angles)])


def phase(dates: pd.DatetimeIndex, period: str | float) -> Float[np.ndarray, " time"]:
    """How much of a season has passed, [0, 1): of a calendar's, or of a number of days."""
    if period == "year":
        return dates.day_of_year.to_numpy() / YEAR
    if period == "week":
        return dates.day_of_week.to_numpy() / 7
    day = dates.to_numpy().astype("datetime64[D]")
    if not isinstance(period, str):
        return day.astype(int) % period / period
    months = 3 if period == "quarter" else 1
    month = day.astype("datetime64[M]").astype(int)
    begin, end = (
        ((month // months + k) * months).astype("datetime64[M]").astype("datetime64[D]")
        for k in (0, 1)
    )
    return (day - begin) / (end - begin)


def most_pairs(freq: str, period: float = YEAR) -> int:
    """Pairs that periods of a pandas frequency can show: fewer than half of those a season.

    Of a year 1 of quarters, 5 of months, 26 of weeks; 0 of years and half-years.
    """
    days = pd.date_range("2000-01-01", "2040-12-31", freq=freq).to_numpy("datetime64[D]")
    a_season = period * (len(days) - 1) / int((days[-1] - days[0]).astype(int))
    return max(int(np.ceil(a_season / 2 - 0.01)) - 1, 0)


def names(order: int) -> tuple[str, ...]:
    """Labels of the features, in their order: sin_1 .. sin_N, cos_1 .. cos_N."""
    return tuple(f"{wave}_{n}" for wave in ("sin", "cos") for n in range(1, order + 1))


@named
@dataclass(frozen=True)
class Fourier:
    """Yearly seasonality as part of a Spec: a sum of sine and cosine pairs.

    Args:
        order: Pairs; each adds two coefficients. 2 follows the seasons, 5 also months.
        auto: Leave it out of a fit of less than a year of data, and lower the order to what
            the periods can show; without it the order stays, or is refused.
    """

    kind: ClassVar[str] = "fourier"
    parameters: ClassVar[tuple[str, ...]] = ("gamma_fourier",)

    order: int = 2
    auto: bool = False

    def __post_init__(self) -> None:
        """Refuse what is no number of pairs."""
        if not isinstance(self.auto, bool):
            checks.fail("seasonality auto", self.auto, "", "true or false", "auto=True")
        fix = "seasonality=None for a model without"
        order = checks.integer("seasonality order", self.order, low=1, fix=fix)
        object.__setattr__(self, "order", order)

    def features(self, dates: pd.DatetimeIndex) -> Float[np.ndarray, "features time"]:
        """Feature matrix (2 * order, time) of the dates."""
        return fourier_features(dates.day_of_year.to_numpy(), self.order)

    def names(self) -> tuple[str, ...]:
        """Labels of the features, in their order."""
        return names(self.order)
