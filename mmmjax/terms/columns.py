"""Terms that are coefficients times columns; columns that are made of days."""

import datetime
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, ClassVar

import numpy as np
import pandas as pd
from jaxtyping import Array, Float

from mmmjax import checks
from mmmjax.panel import Panel
from mmmjax.terms.base import Term

__all__ = ["Columns", "Dated", "day_of", "days", "of_geos", "table_of"]

SHAPES = ("flat", "bump", "decay")
DATED = ("auto", "first", "last")
LEFT = 0.05  # of a decay at the end of its window

type Spans = tuple[np.ndarray, np.ndarray]
"""First days of periods, and first days after them, as days since 1970."""


class Columns(Term):
    """A coefficient for each column: linear in all that is sampled."""

    dims: ClassVar[tuple[str, ...]]
    """One: the columns."""

    def __call__(self, p: Mapping[str, Any], x: Mapping[str, Any]) -> Array:
        """Weighted sum of the columns."""
        (weight,) = self.parameters()
        return (p[weight][..., None] * x["columns"]).sum(-2)

    def formula(self) -> str:
        """With the coefficient first."""
        return f"sum({next(iter(self.parameters()))} * columns)"


class Dated(Columns):
    """Columns of what happens on days: its window, its shape, and how a period has it.

    A day has 1 where it happens; before and after it what the shape says. A period has the
    sum over its days, divided by that of the whole event (the longest of its name), or by
    the period's days where these are fewer: so 1 is a period that holds as much of it as it
    can, and an event on the border of two periods is divided between them.
    """

    before: int
    after: int
    shape: str
    dated: str

    def check_window(self) -> None:
        """Refuse what is no window, no shape or no way to date a period."""
        for key in ("before", "after"):
            what, fix = f"{self.name} {key}", f"{key} = 7"
            got = checks.integer(what, getattr(self, key), low=0, high=366, fix=fix)
            object.__setattr__(self, key, got)
        checks.choice("shape", self.shape, SHAPES)
        checks.choice("dated", self.dated, DATED)

    def weights(self, length: int = 1) -> Float[np.ndarray, " day"]:
        """Of the days of an event of ``length`` days with its window, in order."""

        def side(days: int) -> np.ndarray:
            far = np.arange(1, days + 1)
            if self.shape == "bump":
                return 0.5 + 0.5 * np.cos(np.pi * far / (days + 1))
            return LEFT ** (far / days) if self.shape == "decay" else np.ones(days)

        return np.concatenate([side(self.before)[::-1], np.ones(length), side(self.after)])

    def column(
        self,
        events: Iterable[tuple[int, int]],
        periods: Spans,
        usual: float | None = None,
    ) -> Float[np.ndarray, " time"]:
        """The column of events of one name: first and last day of each, days since 1970.

        ``usual`` days of a period where the mean is one of amounts a day: the column is
        then of its days, and an event as large in a short period as in a long one.
        """
        begin, end = int(periods[0][0]), int(periods[1][-1])
        level, most = np.zeros(end - begin), 0.0
        for first, last in events:
            shape = self.weights(last - first + 1)
            most = max(most, shape.sum())
            start = first - self.before - begin
            low, high = max(start, 0), min(start + len(shape), len(level))
            if low < high:
                part = shape[low - start : high - start]
                level[low:high] = np.maximum(level[low:high], part)
        running = np.concatenate([[0.0], np.cumsum(level)])
        first, after = (p - begin for p in periods)
        most = max(most, 1.0)
        whole = np.minimum(after - first, most)
        if usual is not None:
            whole = (after - first) * min(most / usual, 1.0)
        return (running[after] - running[first]) / whole


def days(dates: pd.DatetimeIndex) -> np.ndarray:
    """Days since 1970."""
    return dates.to_numpy().astype("datetime64[D]").astype(int)


def day_of(field: str, value: Any) -> str:
    """A date as YYYY-MM-DD."""
    if isinstance(value, str):
        found = pd.to_datetime(value, format="%Y-%m-%d", errors="coerce")
    elif isinstance(value, (datetime.date, np.datetime64)):
        found = pd.Timestamp(value)
    else:
        found = pd.NaT
    if pd.isna(found):
        fix = f'{field.rpartition(" ")[2]} = "2025-11-28"'
        checks.fail(field, value, "", "a date, YYYY-MM-DD", fix)
    return f"{found:%Y-%m-%d}"


def table_of(field: str, given: Any, fix: str) -> tuple[tuple[str, Any], ...]:
    """A table by name as pairs, which have a hash."""
    if isinstance(given, Mapping):
        given = given.items()
    try:
        pairs = [(name, value) for name, value in given]
    except (TypeError, ValueError):
        checks.fail(field, given, "", "a table of names", fix)
    for name, _ in pairs:
        checks.name(field, name)
    names = [name for name, _ in pairs]
    for name in names:
        if names.count(name) > 1:
            checks.fail(field, name, "", "each name once", fix)
    return tuple(pairs)


def of_geos(
    geos: Sequence[str] | None, panel: Panel, name: str
) -> Float[np.ndarray, "geo 1 1"]:
    """1 in the geos that are named, else 0; in all where none are."""
    for geo in geos or ():
        if geo not in panel.geos:
            checks.unknown(f"geos of {name}", geo, "", "geos of the table", panel.geos)
    here = [geos is None or geo in geos for geo in panel.geos]
    return np.array(here, float)[:, None, None]
