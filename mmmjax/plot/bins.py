"""Bars of a histogram with a long tail; needs no plotting library."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int

__all__ = ["FLEET", "Bins", "bins"]

FLEET = (
    ("r_hat", "Highest R-hat", 1.01),
    ("min_ess", "Least effective sample size", 400.0),
    ("seconds", "Seconds", None),
    ("coverage", "Observed inside the 94% interval", 0.94),
)
"""Numbers of a fleet that are drawn: column of fleet.csv, title, and where to look."""

MOST = 24


class Bins(NamedTuple):
    """Edges and counts; the last count has the ``beyond`` values above it too."""

    edges: Float[np.ndarray, " edge"]
    counts: Int[np.ndarray, " bin"]
    beyond: int
    mark: float | None  # where to draw a line, if that is inside the edges


def bins(values: np.ndarray, mark: float | None = None) -> Bins:
    """Count finite values in bars of one width, up to where nearly all of them are.

    Args:
        values: Numbers, at least one.
        mark: A value that should be inside the edges, if it is above the smallest one.
    """
    middle, most = np.quantile(values, [0.5, 0.9])
    start, last = float(np.min(values)), float(np.max(values))
    end = min(last, max(middle + 6 * (most - middle), -np.inf if mark is None else mark))
    few = int(np.clip(np.ceil(1.5 * np.sqrt(np.size(values))), 1, MOST))
    edges = np.linspace(start, end, few + 1)
    if end - start <= 1e-9 * abs(end):
        half = 0.5 if start > 2 else 0.05  # all alike: one bar around them
        edges = np.array([start - half, start + half])
    counts, _ = np.histogram(np.minimum(values, edges[-1]), edges)
    inside = mark is not None and edges[0] <= mark <= edges[-1]
    beyond = int(np.sum(values > edges[-1]))
    return Bins(edges, counts, beyond, mark if inside else None)
