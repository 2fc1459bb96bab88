"""Live progress of a fit: phase, draws, divergences, step size, gradients per draw."""

import logging
import threading
import time
from types import TracebackType
from typing import Any, NamedTuple

import numpy as np
from rich.console import Console
from rich.live import Live
from rich.table import Table

__all__ = ["LOG", "Display", "Progress", "Shown"]

LOG = logging.getLogger("mmmjax")
"""What goes on, for :mod:`logging`: phases and findings (info, warning), draws (debug)."""
LOG.addHandler(logging.NullHandler())

_COLUMNS = ("chain", "progress", "draws", "divergent", "step size", "grads/draw")


class Display:
    """A table redrawn on its own clock while ``with`` lasts; silent when not shown.

    Args:
        show: True, False, or None for a terminal only.
        console: Where to draw; standard error by default.
    """

    live_by_default = True  # on a terminal

    def __init__(self, show: bool | None = None, console: Console | None = None):
        """Nothing is drawn before ``with``."""
        self.console = console or Console(stderr=True)
        live = self.console.is_terminal and Display.live_by_default
        self.shown = live if show is None else show
        self.live: Live | None = None

    def table(self) -> Table:
        """What is drawn."""
        raise NotImplementedError(type(self).__name__)

    def __enter__(self) -> Any:
        """Start drawing."""
        if self.shown:
            self.live = Live(
                get_renderable=self.table, console=self.console, refresh_per_second=8
            )
            self.live.__enter__()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Draw the last state and stop."""
        if self.live:
            self.live.refresh()
            self.live.__exit__(kind, error, trace)


class Shown(NamedTuple):
    """One chain's part of a chunk, as the display reads it; (iteration,) each."""

    diverging: np.ndarray
    step_size: np.ndarray
    n_steps: np.ndarray


class Progress(Display):
    """A small live table with one row per chain; silent when ``show`` is False.

    Args:
        chains: Number of chains.
        show: True, False, or None for a terminal only.
        console: Where to draw; standard error by default.
    """

    def __init__(
        self, chains: int, show: bool | None = None, console: Console | None = None
    ):
        """Nothing is drawn before ``with``."""
        super().__init__(show, console)
        self.lock = threading.Lock()
        self.name, self.started, self.compiled = "prepare", time.perf_counter(), 0.0
        self.done = np.zeros(chains, int)
        self.kept = np.zeros(chains, int)
        self.divergences = np.zeros(chains, int)
        self.steps = np.zeros(chains)
        self.gradients = np.zeros(chains)
        self.total, self.why = 0, ""
        self.logged = True

    def phase(self, name: str) -> None:
        """Name what is going on: prepare, compile, warm-up, sample, summarise."""
        with self.lock:
            new, self.name = name != self.name, name
        if new and self.logged:
            seconds = round(time.perf_counter() - self.started, 1)
            LOG.info("%s", name, extra={"event": "phase", "seconds": seconds})
        self._draw()

    def begin(self, chunk: int, n_warmup: int, n_draws: int, compiled: float) -> None:
        """Say how much there is to do and how long compiling took."""
        self.total = chunk * (n_warmup + n_draws)
        self.compiled += compiled
        self._draw()

    def extend(self, iterations: int, why: str = "") -> None:
        """Say that so many more iterations a chain are to come, and why."""
        self.total += iterations
        self.why = why
        self._draw()

    def advance(self, chain: int, draws: Any) -> None:
        """Count one finished chunk of a chain."""
        with self.lock:
            n = len(draws.diverging)
            self.done[chain] += n
            if self.name == "sample":
                self.kept[chain] += n
                self.divergences[chain] += int(draws.diverging.sum())
            self.steps[chain] = float(draws.step_size[-1])
            self.gradients[chain] = float(draws.n_steps.mean())
        if self.logged:
            count = {"chain": chain, "done": self.done[chain], "draws": self.kept[chain]}
            count |= {"divergences": self.divergences[chain]}
            LOG.debug("draws", extra={"event": "draws", **count})

    def _draw(self) -> None:
        if self.live:
            self.live.refresh()

    def table(self) -> Table:
        """Build the table shown while sampling."""
        seconds = time.perf_counter() - self.started
        title = f"{self.name}   {seconds:.1f} s (compiling {self.compiled:.1f} s)"
        title += f"   {self.why}" if self.why else ""
        table = Table(title=title, title_justify="left", box=None, padding=(0, 1))
        for column in _COLUMNS:
            table.add_column(column, justify="right")
        for c, done in enumerate(self.done):
            share = done / self.total if self.total else 0.0
            bar = "━" * round(16 * share) + "╺" * (16 - round(16 * share))
            table.add_row(
                str(c),
                f"{bar} {share:4.0%}",
                str(self.kept[c]),
                str(self.divergences[c]),
                f"{self.steps[c]:.3g}",
                f"{self.gradients[c]:.1f}",
            )
        return table
