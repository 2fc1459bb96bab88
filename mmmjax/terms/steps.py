"""The term of levels that shift on known days."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np
import pandas as pd

from mmmjax import checks
from mmmjax.panel import Panel
from mmmjax.panel.calendar import spans
from mmmjax.prior import Parameter, Prior
from mmmjax.terms.base import Frame, Group, Named
from mmmjax.terms.columns import DATED, Columns, day_of, days, table_of

__all__ = ["Steps"]

EXAMPLE = 'steps = { "new shop" = "2025-03-03" }'


@dataclass(frozen=True)
class Steps(Columns):
    """A level that is another one from a day on, a coefficient for each.

    Args:
        steps: Names and their dates.
        ramp: Days over which each comes, evenly; 0: at once.
        dated: Whether dates of the table are the "first" or "last" day of their periods;
            "auto" sees it of months and longer, else the first.
        name: Its name in results.

    Raises:
        InputError: No date.
    """

    kind: ClassVar[str] = "steps"
    group: ClassVar[Group] = "baseline"
    dims: ClassVar[tuple[str, ...]] = ("step",)
    data: ClassVar[Mapping[str, tuple[tuple[str, ...], str]]] = {
        "columns": (("step", "time"), "0 before, 1 after")
    }
    steps: Mapping[str, Any] = field(default=(), metadata={"table": True})  # type: ignore[assignment]
    ramp: int = 0
    dated: str = "auto"
    name: str = "steps"

    def __post_init__(self) -> None:
        """Read the dates."""
        ramp = checks.integer(f"{self.name} ramp", self.ramp, low=0, fix="ramp = 28")
        object.__setattr__(self, "ramp", ramp)
        checks.choice("dated", self.dated, DATED)
        pairs = table_of(f"{self.name} steps", self.steps, EXAMPLE)
        if not pairs:
            got = checks.Phrase("none")
            checks.fail(f"{self.name} steps", got, "", "names and dates", EXAMPLE)
        read = tuple((n, day_of(f"{self.name} steps {n}", d)) for n, d in pairs)
        object.__setattr__(self, "steps", read)

    def parameters(self) -> Mapping[str, Parameter]:
        """A level shifts by up to some tenths of the best period."""
        prior = Prior("Normal", loc=0.0, scale=0.3)
        return {"gamma_step": Parameter(("step",), prior, linear=True)}

    def labels(self, panel: Panel | None) -> Mapping[str, tuple[str, ...]]:
        """Names of the steps."""
        return {"step": tuple(dict(self.steps))}

    def inputs(self, frame: Frame) -> Named:
        """The mean over the days of a period of what has come by then."""
        first, after = spans(frame.dates, frame.panel.freq, self.dated)
        every = np.arange(first[0], after[-1])
        rows = []
        for start in days(pd.DatetimeIndex(list(dict(self.steps).values()))):
            level = np.clip((every - start + 1) / max(self.ramp, 1), 0, 1)
            running = np.concatenate([[0.0], np.cumsum(level)])
            total = running[after - first[0]] - running[first - first[0]]
            rows.append(total / (after - first))
        return {"columns": (np.array(rows), ("step", "time"))}
