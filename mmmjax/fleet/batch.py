"""Fit one batch, wherever: in halves where memory is short, with float32 checked."""

import math
from collections.abc import Callable, Container, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from mmmjax.fleet.buckets import Shape
from mmmjax.fleet.engine import CONVERGED, FAILED, Before, Done, Ready, ready, sample
from mmmjax.fleet.precision import checked
from mmmjax.infer.lanes import lane_size
from mmmjax.infer.threads import in_batches, single_blas
from mmmjax.panel import Panel
from mmmjax.samplers import HMC
from mmmjax.spec import Spec

__all__ = ["Asked", "How", "carefully", "width_of"]

WIDTH = 8  # lanes that a call of the program moves on a CPU: wider ones leave its caches
CHECKED = 2  # markets of a batch whose float32 densities must pass
OUT_OF_MEMORY = ("RESOURCE_EXHAUSTED", "out of memory", "Out of memory")

type Emit = Callable[[Done], None]


class Asked(NamedTuple):
    """A market as it was given; small to send, made ready where it is fitted."""

    name: str
    what: Spec | Before  # its model, or the fit that is refreshed
    panel: Panel
    doubt: str = ""


@dataclass(frozen=True)
class How:
    """How the batches of a bucket are fitted.

    Args:
        shape: Of the arrays.
        sampler: Settings.
        seed: Of the fleet.
        on_empty: As for :func:`mmmjax.fit`.
        batch: Markets of a whole batch.
        refit: Whether those that do not converge are fitted alone by NUTS.
        check: Whether float32 is checked against float64; None: on accelerators.
    """

    shape: Shape
    sampler: HMC
    seed: int
    on_empty: Any
    batch: int
    refit: bool
    check: bool | None = None


def width_of(sampler: HMC, batch: int) -> int:
    """Lanes of a call: all of a batch on an accelerator, a few in each thread on a CPU."""
    each = sampler.chains // lane_size(sampler.chains)
    return each * batch if in_batches() else min(WIDTH, each * batch)


def carefully(asked: Sequence[Asked], how: How, emit: Emit, ended: Container[str]) -> None:
    """Fit a batch on this thread's device; never an end of the fleet.

    Args:
        asked: Markets of the batch that have not ended.
        how: Settings of the bucket.
        emit: Told how each market ended.
        ended: Names that ``emit`` was told of.
    """
    markets = []
    for name, what, panel, doubt in asked:
        found = ready(name, what, panel, how.seed, how.on_empty, doubt)
        if isinstance(found, Ready):
            markets.append(found)
        else:
            emit(found)
    check = in_batches() if how.check is None else how.check
    if check and how.sampler.dtype == "float32":
        emit = _checking(markets, how, emit)
    if markets:
        with single_blas():
            _halved(markets, how, width_of(how.sampler, how.batch), emit, ended)


def _halved(
    markets: list[Ready], how: How, width: int, emit: Emit, ended: Container[str]
) -> None:
    """A batch; in halves where memory is short."""
    try:
        sample(markets, how.shape, how.sampler, width, emit, how.refit)
    except OSError:  # the machine's, no market's: a full disk
        raise
    except Exception as error:
        left = [market for market in markets if market.name not in ended]
        short = any(word in str(error) for word in OUT_OF_MEMORY)
        if not (short or isinstance(error, MemoryError)) or len(markets) == 1:
            for market in left:
                emit(Done(market.name, FAILED, f"{type(error).__name__}: {error}"))
            return
        half = math.ceil(len(left) / 2)
        for part in (left[:half], left[half:]):
            if part:
                _halved(part, how, max(1, math.ceil(width / 2)), emit, ended)


def _checking(markets: Sequence[Ready], how: How, emit: Emit) -> Emit:
    """``emit`` that checks the float type of converged markets until two have passed."""
    by_name = {market.name: market for market in markets}
    passed: list[str] = []

    def careful(done: Done) -> None:
        if done.status == CONVERGED and len(passed) < CHECKED:
            found = checked(by_name[done.name], done, how.shape, how.refit)
            if found is done:
                passed.append(done.name)
            done = found
        emit(done)

    return careful
