"""One program on all cores: XLA releases the interpreter, so threads are enough."""

import os
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, as_completed

import jax
from threadpoolctl import threadpool_limits

__all__ = ["in_batches", "in_threads", "single_blas"]


def single_blas() -> threadpool_limits:
    """Context in which NumPy's matrix algebra keeps to one thread.

    Its own threads wait for each other by spinning: next to threads of ours, factors of
    some fifty rows took ten times as long on two busy cores.
    """
    return threadpool_limits(1, user_api="blas")


def in_batches() -> bool:
    """Whether chains run as one batch: on an accelerator."""
    return jax.default_backend() != "cpu"


def in_threads(work: Callable[[int, threading.Event], None], n: int) -> None:
    """Run ``work`` for 0 to n - 1; an error or Ctrl-C stops all at their next chunk."""
    wide = jax.config.jax_enable_x64  # a setting of each thread
    stop = threading.Event()

    def task(c: int) -> None:
        with jax.enable_x64(wide):
            work(c, stop)

    with ThreadPoolExecutor(min(n, os.cpu_count() or 1)) as pool:
        try:
            for done in as_completed([pool.submit(task, c) for c in range(n)]):
                done.result()
        except BaseException:
            stop.set()
            raise
