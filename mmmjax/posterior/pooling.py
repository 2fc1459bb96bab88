"""Sums over geos: beside the geos, or in their place."""

import functools
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jax
import numpy as np

from mmmjax.draws import Fit
from mmmjax.posterior.fold import MEMORY, fold_cells

__all__ = ["Total", "over_geos", "pooled", "reduce_geos"]

Total = bool | None
"""Each geo (False), their sum (True), or each and then the sum if there are several."""


def pooled(values: np.ndarray, total: Total, axis: int = 0) -> np.ndarray:
    """An array with geos on one axis as :data:`Total` says."""
    if total is False or (total is None and values.shape[axis] == 1):
        return values
    whole = values.sum(axis=axis, keepdims=True)
    return whole if total else np.concatenate([values, whole], axis=axis)


@functools.cache  # one function object each, so that each is compiled once
def over_geos(f: Callable[..., Any]) -> Callable[..., Any]:
    """``f`` with its results, which begin with geo, summed over geos."""

    def summed(*args: Any) -> Any:
        return jax.tree.map(lambda x: x.sum(0, keepdims=True), f(*args))

    return summed


def reduce_geos(
    fit: Fit,
    f: Callable[..., Any],
    reduce: Callable[[np.ndarray, slice | None, slice], Any],
    *args: Any,
    total: Total,
    n_last: int,
    memory: int = MEMORY,
    **options: Any,
) -> Any:
    """Reduce over draws for geos, their sum, or both in one pass where memory allows.

    Args:
        fit: The fit.
        f: As :func:`fold_cells` takes it, treating geos apart: (geo, ..., last), one array.
        reduce: Takes draws (draw_total, geo, ..., last) and their place (no geos for the
            sum), gives arrays (k, geo, ..., last).
        *args: Arrays for ``f``, geo first.
        total: What is asked for.
        n_last: Size of the last axis.
        memory: Bound in bytes on what lives besides the result.
        **options: For :func:`fold_cells`.
    """

    def summed(memory: int = memory) -> Any:
        whole = lambda tile, _, last: reduce(tile, None, last)
        keep: dict[str, Any] = {"by_geo": False, "memory": memory, **options}
        return fold_cells(fit, over_geos(f), whole, *args, **keep)

    if total:
        return summed()
    if total is False or fit.panel.n_geos == 1:
        return fold_cells(fit, f, reduce, *args, memory=memory, **options)
    sums = _Sums(np.zeros((fit.panel.n_geos, n_last), bool), memory // 4)
    add = lambda *tile: reduce(sums.add(*tile), *tile[1:])
    each = fold_cells(fit, f, add, *args, memory=memory - memory // 4, **options)
    # too large to keep: a second pass, summed inside
    whole = summed() if sums.draws is None else reduce(sums.draws, None, slice(0, n_last))
    return jax.tree.map(lambda a, b: np.concatenate([a, b], axis=1), each, whole)


@dataclass
class _Sums:
    """Draws summed over geos, tile by tile; None where they would be larger than allowed.

    Args:
        done: Cells (geo, last) that were added: tiles overlap.
        most: Bound on the bytes of the sums.
        draws: (draw_total, 1, ..., last).
    """

    done: np.ndarray
    most: int
    draws: np.ndarray | None = None

    def add(self, tile: np.ndarray, geos: slice, last: slice) -> np.ndarray:
        """Add one tile (draw_total, geo, ..., last), and give it back."""
        shape = (len(tile), 1, *tile.shape[2:-1], self.done.shape[1])
        if math.prod(shape) * tile.itemsize > self.most:
            return tile
        if self.draws is None:
            self.draws = np.zeros(shape, tile.dtype)
        new = ~self.done[geos, last]
        self.done[geos, last] = True
        new = new.reshape(new.shape[0], *(1,) * (tile.ndim - 3), new.shape[1])
        self.draws[..., last] += (tile if new.all() else tile * new).sum(1, keepdims=True)
        return tile
