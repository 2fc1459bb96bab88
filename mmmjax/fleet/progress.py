"""Live progress of a fleet: markets done, rate, time left, how they ended."""

import time
from collections import Counter

from rich.console import Console
from rich.table import Table

from mmmjax.fleet.buckets import Shape
from mmmjax.fleet.plan import FleetPlan
from mmmjax.infer.progress import LOG, Display

__all__ = ["FleetProgress"]


class FleetProgress(Display):
    """A line of numbers; silent when not shown.

    Args:
        total: Markets of the fleet.
        before: Markets that had ended before this run.
        show: True, False, or None for a terminal only.
        console: Where to draw; standard error by default.
    """

    def __init__(
        self, total: int, before: int, show: bool | None = None,
        console: Console | None = None,
    ):  # fmt: skip
        """Nothing is drawn before ``with``."""
        super().__init__(show, console)
        self.total, self.before = total, before
        self.counts: Counter[str] = Counter()
        self.where, self.started = "", time.perf_counter()

    def plan(self, plan: FleetPlan) -> None:
        """Print what is going to be done."""
        if self.shown:
            self.console.print(plan.table())

    def bucket(self, number: int, of: int, shape: Shape) -> None:
        """Say which shape is being sampled."""
        self.where = f"{number} of {of}: {shape.periods} x {shape.channels}"
        LOG.info("shape %s", self.where, extra={"event": "phase"})

    def ended(self, status: str) -> None:
        """Count a market."""
        self.counts[status] += 1
        LOG.debug("market: %s", status, extra={"event": "market", "status": status})

    def table(self) -> Table:
        """What is drawn."""
        seconds = time.perf_counter() - self.started
        now = self.counts.total()
        rate = 60 * now / seconds if seconds else 0.0
        left = self.total - self.before - now
        eta = f"{60 * left / rate:.0f} s" if rate else "-"
        table = Table(box=None, padding=(0, 1))
        values = {
            "markets": f"{self.before + now} of {self.total}",
            "a minute": f"{rate:.0f}",
            "left": eta,
            "shape": self.where or "-",
        } | {status: str(count) for status, count in sorted(self.counts.items())}
        for column in values:
            table.add_column(column, justify="right")
        table.add_row(*values.values())
        return table
