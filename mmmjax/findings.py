"""Findings: one thing that was found, how strong it is, what it means and what to try.

The record that every part of the house reports with: what the data make hard, whether a
fit is sampled and adequate, what a plan leans on. Terminal, report and ``diagnostics.json``
print the same record. What is found, and what goes on, is also said to whoever listens to
Python's logger "mmmjax".
"""

import logging
import time
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal

__all__ = ["LEVELS", "LOG", "Finding", "phase", "ranked"]

LOG = logging.getLogger("mmmjax")
"""Silent unless somebody listens; every record has an ``event``."""
LOG.addHandler(logging.NullHandler())

Level = Literal["serious", "warning", "note"]
LEVELS: tuple[Level, ...] = ("serious", "warning", "note")


@dataclass(frozen=True)
class Finding:
    """One thing worth knowing.

    Args:
        level: "serious" (the result as a whole leans on it), "warning" (some results do) or
            "note" (for information).
        code: Short name of the kind of finding, for programs.
        what: What was found and where, without a full stop at its end.
        where: The channels, controls or geos concerned.
        value: How strong it is, one number in the unit that `what` names; None without one.
        means: What it usually means; empty where `what` says it.
        remedy: What to try, the line to write where there is one ("try" in files).
    """

    level: Level
    code: str
    what: str
    where: tuple[str, ...] = ()
    value: float | None = None
    means: str = ""
    remedy: str = ""

    @property
    def message(self) -> str:
        """The whole in sentences, without a full stop at its end."""
        return ". ".join(filter(None, (self.what, self.means, self.remedy)))

    def to_dict(self) -> dict[str, Any]:
        """As files have it: level, code, what, where, value, means, try."""
        return {
            "level": self.level,
            "code": self.code,
            "what": self.what,
            "where": list(self.where),
            "value": self.value,
            "means": self.means,
            "try": self.remedy,
        }

    def __str__(self) -> str:
        """Print level and message."""
        return f"{self.level}: {self.message}"


def phase(name: str, began: float) -> None:
    """Log what begins now, and the seconds since `began` (of ``time.perf_counter``)."""
    seconds = round(time.perf_counter() - began, 1)
    LOG.info("%s", name, extra={"event": "phase", "seconds": seconds})


def ranked(found: Iterable[Finding]) -> tuple[Finding, ...]:
    """The most severe first, otherwise in the order given."""
    return tuple(sorted(found, key=lambda finding: LEVELS.index(finding.level)))
