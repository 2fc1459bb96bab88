"""The term of events with dates: launches, strikes, promotions."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np
import pandas as pd

from mmmjax import checks
from mmmjax.panel import Panel
from mmmjax.panel.calendar import spans
from mmmjax.prior import Parameter, Prior
from mmmjax.shapes import GEO
from mmmjax.terms.base import Frame, Group, Named
from mmmjax.terms.columns import Dated, day_of, days, of_geos, table_of

__all__ = ["Events"]

EXAMPLE = 'events = { Relaunch = "2025-03-03", Sale = ["2024-11-25:2024-12-01"] }'


@dataclass(frozen=True)
class Events(Dated):
    """What happened on known days, a coefficient for each name: the same every time.

    Dates after training are events of forecasts.

    Args:
        events: Names and their dates: one, "first:last", or a list of these.
        before: Days of the window before each.
        after: Days after it.
        shape: Of the window: "flat", 1; "bump", falling to 0 at its ends; "decay", falling
            at once and to a twentieth at its ends.
        geos: Where they happened; None: everywhere.
        dated: Whether dates of the table are the "first" or "last" day of their periods;
            "auto" sees it of months and longer, else the first.
        name: Its name in results.

    Raises:
        InputError: No date, a window that is none, a geo that is not in the table.
    """

    kind: ClassVar[str] = "events"
    group: ClassVar[Group] = "control"
    dims: ClassVar[tuple[str, ...]] = ("event",)
    data: ClassVar[Mapping[str, tuple[tuple[str, ...], str]]] = {
        "columns": ((GEO, "event", "time"), "how much of each event a period has")
    }
    events: Mapping[str, Any] = field(default=(), metadata={"table": True})  # type: ignore[assignment]
    before: int = 0
    after: int = 0
    shape: str = "flat"
    geos: Sequence[str] | None = None
    dated: str = "auto"
    name: str = "events"

    def __post_init__(self) -> None:
        """Read the dates."""
        self.check_window()
        pairs = table_of(f"{self.name} events", self.events, EXAMPLE)
        if not pairs:
            got = checks.Phrase("none")
            checks.fail(f"{self.name} events", got, "", "names and dates", EXAMPLE)
        read = []
        for name, given in pairs:
            several = given if isinstance(given, (list, tuple)) else (given,)
            dates = []
            for one in several:
                ends = one.split(":") if isinstance(one, str) else [one]
                found = [day_of(f"{self.name} events {name}", end) for end in ends]
                if not 1 <= len(found) <= 2 or found != sorted(found):
                    allowed = 'a date or "first:last"'
                    checks.fail(f"{self.name} events {name}", one, "", allowed, EXAMPLE)
                dates.append(":".join(found))
            if not dates:
                checks.fail(f"{self.name} events {name}", given, "", "a date", EXAMPLE)
            read.append((name, tuple(dates)))
        object.__setattr__(self, "events", tuple(read))
        if self.geos is not None:
            what, fix = f"{self.name} geos", 'geos = ["North"]'
            geos = checks.texts(what, self.geos, "a list of geos", fix)
            object.__setattr__(self, "geos", geos)

    def parameters(self) -> Mapping[str, Parameter]:
        """An event moves a period by up to some tenths of the best one."""
        prior = Prior("Normal", loc=0.0, scale=0.3)
        return {"gamma_event": Parameter(("event",), prior, linear=True)}

    def labels(self, panel: Panel | None) -> Mapping[str, tuple[str, ...]]:
        """Names of the events."""
        return {"event": tuple(dict(self.events))}

    def inputs(self, frame: Frame) -> Named:
        """A column for each name."""
        periods = spans(frame.dates, frame.panel.freq, self.dated)
        rows = []
        for dates in dict(self.events).values():
            ends = [days(pd.DatetimeIndex(text.split(":"))) for text in dates]
            each = [(int(e[0]), int(e[-1])) for e in ends]
            rows.append(self.column(each, periods, frame.scale.days))
        columns = of_geos(self.geos, frame.panel, self.name) * np.array(rows)
        return {"columns": (columns, (GEO, "event", "time"))}
