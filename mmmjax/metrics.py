"""Scores of predictions and the linear algebra of tables; pure NumPy, no data container.

Draws have the sample axis first: (sample, ...). Cells whose observation is NaN do not
count. Large arrays are worked through in blocks, so that copies stay small.
"""

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
from scipy.linalg import qr, solve_triangular

from mmmjax import checks

__all__ = [
    "Dependence",
    "autocorrelation",
    "condition_number",
    "coverage",
    "crps",
    "crps_cells",
    "dependences",
    "hdi",
    "mape",
    "r2",
    "robust_largest",
    "vif",
]

BLOCK = 2**17
"""Numbers in one block: 1 MB in float64, which stays in the caches while it is sorted."""

APART = 2.5
"""Times the second largest from which a largest value says nothing about the others."""


class Dependence(NamedTuple):
    """One column that is a linear combination of others, plus a constant."""

    column: int
    others: tuple[int, ...]


def _blocks(samples: int, cells: int) -> Iterator[slice]:
    step = max(1, BLOCK // max(samples, 1))
    return (slice(start, start + step) for start in range(0, cells, step))


def crps_cells(observed: Any, draws: Any) -> np.ndarray:
    r"""Continuous ranked probability score of each cell, in the unit of the outcome.

    $E|X - y| - \frac12 E|X - X'|$ with both expectations over the empirical distribution
    of the draws, exact from the sorted sample: $\frac1S \sum_i |x_i - y| -
    \frac1{S^2} \sum_i (2i - S - 1) x_{(i)}$.

    Args:
        observed: Observations, shape (...); NaN gives NaN.
        draws: Predictive draws, shape (sample, ...).

    Source: Gneiting and Raftery (2007), "Strictly Proper Scoring Rules, Prediction, and
    Estimation", eq. 21.
    """
    draws = np.asarray(draws)
    observed = np.asarray(observed, float)
    if draws.shape[1:] != observed.shape:
        raise ValueError(f"draws {draws.shape} must be (sample, *{observed.shape})")
    samples = len(draws)
    flat, y = draws.reshape(samples, -1), observed.ravel()
    weights = (2 * np.arange(1, samples + 1) - samples - 1) / samples**2
    score = np.empty(y.size)
    for part in _blocks(samples, y.size):
        error = np.array(flat[:, part].T, float, order="C")
        error -= y[part, None]  # centred: nothing large cancels
        error.sort(axis=1)
        score[part] = np.abs(error).mean(1) - error @ weights
    return score.reshape(observed.shape)


def crps(observed: Any, draws: Any) -> float:
    """Mean of :func:`crps_cells` over the observed cells; smaller is better."""
    cells = crps_cells(observed, draws)
    return _mean(cells[~np.isnan(np.asarray(observed, float))])


def r2(observed: Any, predicted: Any) -> float:
    """Share of the variance of the observations that the prediction explains, at most 1."""
    y, mean = _observed(observed, predicted)
    total = float(np.sum((y - _mean(y)) ** 2))
    return 1 - float(np.sum((y - mean) ** 2)) / total if total > 0 else float("nan")


def mape(observed: Any, predicted: Any) -> float:
    """Mean absolute error relative to the observation (0.1 is 10%); zeros are left out."""
    y, mean = _observed(observed, predicted)
    some = y != 0
    return _mean(np.abs((y[some] - mean[some]) / y[some]))


def coverage(observed: Any, draws: Any, prob: float = 0.94) -> float:
    """Share of the observations inside the highest-density interval of their draws."""
    observed = np.asarray(observed, float)
    low, high = hdi(draws, prob)
    known = ~np.isnan(observed)
    inside = (observed >= low) & (observed <= high)
    return _mean(inside[known].astype(float))


def hdi(draws: Any, prob: float = 0.94, axis: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Return the ends of the narrowest interval that holds `prob` of the draws.

    Args:
        draws: Draws of any shape; a cell with a NaN draw gives NaN.
        prob: Probability in (0, 1).
        axis: Axis of the draws, gone from the result.
    """
    draws = np.moveaxis(np.asarray(draws), axis, 0)
    samples, shape = len(draws), draws.shape[1:]
    prob = checks.number("prob", prob, low=0, high=1, open_low=True, open_high=True)
    inside = int(np.floor(prob * samples))
    if not 1 <= inside < samples:
        got = checks.Phrase(f"{prob:g}, which leaves no interval in {samples} draws")
        checks.fail("prob", got, "", "a probability between those of 1 and all draws", "")
    flat = draws.reshape(samples, -1)
    kind = flat.dtype if flat.dtype.kind == "f" else float  # sorted as they are
    low, high = np.empty(flat.shape[1]), np.empty(flat.shape[1])
    outside = samples - inside
    for part in _blocks(samples, flat.shape[1]):
        rows = np.array(flat[:, part].T, kind, order="C")
        if outside <= inside and kind == np.float64:  # only the tails need to be in order
            rows.partition((outside - 1, inside), axis=1)
            starts, ends = np.sort(rows[:, :outside]), np.sort(rows[:, inside:])
        else:
            rows.sort(axis=1)  # float32: faster by vectors than the tails alone
            starts, ends = rows[:, :outside], rows[:, inside:]
        first = np.argmin(ends - starts, axis=1)
        cell = np.arange(len(rows))
        bad = np.isnan(ends[:, -1])  # NaN goes last
        low[part] = np.where(bad, np.nan, starts[cell, first])
        high[part] = np.where(bad, np.nan, ends[cell, first])
    return low.reshape(shape), high.reshape(shape)


def autocorrelation(values: Any, lags: int) -> np.ndarray:
    """Sample autocorrelation along the last axis at lags 0 to ``lags``, shape (..., lag).

    The mean is taken off first; pairs with a NaN are left out, in the variance too.

    Args:
        values: Series, shape (..., time).
        lags: Largest lag, below the number of periods.
    """
    values = np.asarray(values, float)
    known = np.isfinite(values)
    count = np.maximum(known.sum(-1, keepdims=True), 1)
    middle = np.where(known, values, 0.0).sum(-1, keepdims=True) / count
    rest = np.where(known, values - middle, 0.0)
    length = values.shape[-1]
    products = [
        (rest[..., : length - lag] * rest[..., lag:]).sum(-1) for lag in range(lags + 1)
    ]
    power = products[0]
    return np.stack(products, -1) / np.where(power > 0, power, np.nan)[..., None]


def vif(table: Any) -> np.ndarray:
    r"""Variance inflation factor of each column, $1 / (1 - R_j^2)$, (column,).

    $R_j^2$ is that of a regression of column j on all others and a constant. Infinite
    for a column that the others determine, and for a constant column.
    """
    unit, constant = _standardised(table)
    _, singular, rotation = np.linalg.svd(unit, full_matrices=False)
    null = singular <= _tolerance(unit, singular)
    determined = (rotation[null] ** 2).sum(0) > 1e-12
    inverse = np.where(null, 0.0, 1 / np.where(null, 1.0, singular) ** 2)
    factor = inverse @ rotation**2
    return np.where(determined | constant, np.inf, factor)


def condition_number(table: Any) -> float:
    """Largest over smallest singular value of the standardised columns; inf if singular."""
    unit, _ = _standardised(table)
    if not unit.shape[1]:
        return 1.0
    singular = np.linalg.svd(unit, compute_uv=False)
    smallest = singular[-1] if len(singular) == unit.shape[1] else 0.0
    tiny = smallest <= _tolerance(unit, singular)
    return float("inf") if tiny else float(singular[0] / smallest)


def dependences(table: Any) -> tuple[Dependence, ...]:
    """Find the columns that others determine, by QR with column pivoting.

    Columns are centred first: a block that adds up to a constant is dependent too,
    because the model has an intercept. Earlier columns are not preferred to later ones.
    """
    unit, _ = _standardised(table)
    if not unit.size:
        return ()
    factors: Any = qr(unit, mode="r", pivoting=True)
    upper, order = factors
    diagonal = np.abs(np.diag(upper))
    rank = int((diagonal > _tolerance(unit, diagonal)).sum())
    mix = solve_triangular(upper[:rank, :rank], upper[:rank, rank:]) if rank else None
    found = []
    for j, column in enumerate(order[rank:]):
        used = np.flatnonzero(np.abs(mix[:, j]) > 1e-8) if mix is not None else []
        others = tuple(sorted(int(order[i]) for i in used))
        found.append(Dependence(int(column), others))
    return tuple(sorted(found))


def _standardised(table: Any) -> tuple[np.ndarray, np.ndarray]:
    """Centre the columns and give them length one; say which are constant (left zero)."""
    values = np.asarray(table, float)
    centred = values - values.sum(0) / max(len(values), 1)
    length = np.linalg.norm(centred, axis=0)
    size = np.sqrt(len(values)) * np.abs(values).max(0, initial=0.0)
    constant = length <= 1e-12 * size
    return np.where(constant, 0.0, centred / np.where(constant, 1.0, length)), constant


def _tolerance(unit: np.ndarray, singular: np.ndarray) -> float:
    largest = float(singular.max(initial=0.0))
    return max(unit.shape) * np.finfo(float).eps * largest * 10


def _observed(observed: Any, predicted: Any) -> tuple[np.ndarray, np.ndarray]:
    y, mean = np.asarray(observed, float), np.asarray(predicted, float)
    if y.shape != mean.shape:
        raise ValueError(
            f"predicted {mean.shape} must have the shape {y.shape} of observed"
        )
    known = ~np.isnan(y)
    return y[known], mean[known]


def _mean(values: np.ndarray) -> float:
    return float(values.mean()) if values.size else float("nan")


def robust_largest(values: Any, axis: int = -1) -> np.ndarray:
    """The largest value, or the second largest where the largest is 2.5 times it or more.

    Args:
        values: Any unit; NaN where there is nothing. Equal values count as often as they
            stand there.
        axis: The axis to go over.

    Returns:
        Without that axis. The largest itself where the second largest is not above 0 (it
        was on once), -inf where there is nothing at all.
    """
    known = np.moveaxis(np.where(np.isnan(values), -np.inf, values), axis, -1)
    most = np.asarray(known.max(-1, initial=-np.inf))
    if known.shape[-1] < 2:
        return most
    second = np.partition(known, -2, axis=-1)[..., -2]
    return np.where((second > 0) & (most >= APART * second), second, most)
