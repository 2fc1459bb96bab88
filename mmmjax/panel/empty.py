"""Outcomes that are to be left out: the ends of late and early data, and named periods."""

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import pandas as pd

from mmmjax.checks import Phrase, fail, show, unknown
from mmmjax.panel.cells import date_of

__all__ = ["left_empty", "zero_ends"]

EXAMPLE = 'leave_empty = ["2024-12-30", "2022-01-03:2022-06-27"]'


def zero_ends(outcome: np.ndarray) -> tuple[int, int]:
    """How many periods stand before the first outcome that is not 0, and after the last."""
    some = np.flatnonzero(np.nan_to_num(outcome))
    if not some.size:
        return 0, 0
    return int(some[0]), len(outcome) - 1 - int(some[-1])


def left_empty(
    given: Any,
    outcome: np.ndarray,
    dates: pd.DatetimeIndex,
    geos: tuple[str, ...],
    way: str | None = None,
) -> np.ndarray:
    """Return the outcome without that of some periods, (geo, time).

    Args:
        given: "ends": each geo's zeros before its first and after its last outcome that is
            not 0; a date, or "first:last", or a list of them; or one of these by geo.
        outcome: As read, (geo, time); NaN where not known.
        dates: Start of each period (time,).
        geos: Names of the geos.
        way: How the table writes dates (`Columns.date_format`).

    Raises:
        InputError: A date or geo that is not in the table.
    """
    outcome = outcome.copy()
    if isinstance(given, Mapping):
        for name, own in given.items():
            if name not in geos:
                fix = "name a geo of the table"
                unknown("leave_empty", name, "", "geos of the table", geos, fix)
            row = geos.index(name)
            part = outcome[row : row + 1]
            outcome[row] = left_empty(own, part, dates, (name,), way)[0]
        return outcome
    if isinstance(given, str) and given == "ends":
        for row in outcome:
            before, after = zero_ends(row)
            row[:before], row[len(row) - after :] = np.nan, np.nan
        return outcome
    single = isinstance(given, str) or not isinstance(given, Iterable)
    for text in [given] if single else given:
        ends = text.split(":") if isinstance(text, str) else [text]
        word = isinstance(text, str) and not any(map(str.isdigit, text))
        if len(ends) > 2 or word:
            allowed = '"ends", dates, "first:last", or a list of them'
            fix = 'leave_empty = "ends"' if word else EXAMPLE
            fail("leave_empty", text, "", allowed, fix)
        found: list[Any] = [date_of("leave_empty", end, way, dates) for end in ends]
        first, last = min(found), max(found)
        inside = (dates >= first) & (dates <= last)
        if not inside.any():
            near = [show(d) for d in [*dates[dates < first][-1:], *dates[dates > last][:1]]]
            got = Phrase(" to ".join(dict.fromkeys(map(show, found))))
            allowed = f"periods of the table, such as {' or '.join(near)}"
            fail("leave_empty", got, "", allowed, f'leave_empty = ["{near[0]}"]')
        outcome[:, inside] = np.nan
    return outcome
