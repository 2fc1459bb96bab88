"""One program on all cores: XLA releases the interpreter, so threads are enough.

JAX's settings belong to a thread. :func:`pool` gives its threads those of the one that
asks: float type, device, share of the cores, and the sign to stop.
"""

import contextlib
import os
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from typing import Any

import jax
from threadpoolctl import threadpool_limits

from mmmjax.programs import device

__all__ = [
    "Stopped",
    "cores",
    "go_on",
    "in_batches",
    "in_threads",
    "pool",
    "single_blas",
    "working_on",
]


def single_blas() -> threadpool_limits:
    """Context in which NumPy's matrix algebra keeps to one thread.

    Its own threads wait for each other by spinning: next to threads of ours, factors of
    some fifty rows took ten times as long on two busy cores.
    """
    return threadpool_limits(1, user_api="blas")


class _Here(threading.local):
    """What belongs to this thread."""

    cores: int | None = None
    stop: threading.Event | None = None


_HERE = _Here()


class Stopped(KeyboardInterrupt):
    """The work of this thread is no longer wanted."""


class _Sign(threading.Event):
    """Set when it is set itself, or the one above it."""

    def __init__(self, above: threading.Event | None):
        super().__init__()
        self.above = above

    def is_set(self) -> bool:
        """Whether to stop."""
        return super().is_set() or (self.above is not None and self.above.is_set())


@contextlib.contextmanager
def working_on(
    place: Any, share: int | None = None, stop: threading.Event | None = None
) -> Iterator[None]:
    """What this thread does meanwhile is done there, by a share of the cores.

    Args:
        place: The device.
        share: Cores that :func:`in_threads` uses; None for all.
        stop: When set, :func:`in_threads` raises :class:`Stopped` at its next chunk.
    """
    before = _HERE.cores, _HERE.stop
    _HERE.cores, _HERE.stop = share, stop
    try:
        with jax.default_device(place):
            yield
    finally:
        _HERE.cores, _HERE.stop = before


def cores() -> int:
    """Cores that this thread may use."""
    return _HERE.cores or os.cpu_count() or 1


def go_on() -> None:
    """Raise :class:`Stopped` if this thread is to stop."""
    if _HERE.stop is not None and _HERE.stop.is_set():
        raise Stopped


def in_batches() -> bool:
    """Whether chains run as one batch: on an accelerator."""
    return device().platform != "cpu"


def pool(n: int | None = None) -> ThreadPoolExecutor:
    """At most ``n`` threads, by default one a core, with the settings of this thread."""
    settings = jax.config.jax_enable_x64, device(), cores(), _HERE.stop
    most = min(n or cores(), cores()) if n != 1 else 1
    return ThreadPoolExecutor(most, initializer=_settle, initargs=settings)


def _settle(wide: bool, place: Any, share: int, stop: threading.Event | None) -> None:
    """Settings of a new thread, until it ends."""
    jax.enable_x64(wide).__enter__()
    jax.default_device(place).__enter__()
    _HERE.cores, _HERE.stop = share, stop


def in_threads(work: Callable[[int, threading.Event], None], n: int) -> None:
    """Run ``work`` for 0 to n - 1; an error or Ctrl-C stops all at their next chunk.

    Raises:
        Stopped: Somebody else stopped this thread; what ``work`` left is not whole.
    """
    stop = _Sign(_HERE.stop)
    with pool(n) as threads:
        try:
            for done in as_completed([threads.submit(work, c, stop) for c in range(n)]):
                done.result()
        except BaseException:
            stop.set()
            raise
    go_on()
