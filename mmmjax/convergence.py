"""What draws of several chains say of themselves: R-hat, ESS and Monte Carlo errors.

Rows are parameters, each (chain, draw). The numbers are ArviZ's (tests compare); here they
are of all rows in a few array operations instead of one row after the other, ten times as
fast, and nothing has to be imported for them.

Sources: Vehtari et al. (2021), "Rank-normalization, folding, and localization: An improved
R-hat for assessing convergence of MCMC", Bayesian Analysis 16, for R-hat, bulk and tail
ESS; Geyer (1992), "Practical Markov chain Monte Carlo", for the sum of autocorrelations.
"""

import math
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float
from scipy.fft import next_fast_len
from scipy.special import ndtri

__all__ = [
    "MAX_R_HAT",
    "MIN_DRAWS",
    "MIN_ESS_PER_CHAIN",
    "Judged",
    "blocks",
    "judged",
    "mcse",
]

MAX_R_HAT = 1.01  # Vehtari et al. (2021), section 2
MIN_ESS_PER_CHAIN = 100  # the same: 400 for four chains, bulk and tail
MIN_DRAWS = 4  # fewer draws a chain have no split R-hat and no ESS
TAILS = (0.05, 0.95)
BLOCK = 2**19  # numbers that are judged at once: some twenty copies of them are made

Rows = Float[np.ndarray, "row chain draw"]


class Judged(NamedTuple):
    """Rank-normalised split R-hat, bulk and tail ESS, (row,)."""

    r_hat: np.ndarray
    ess_bulk: np.ndarray
    ess_tail: np.ndarray


def blocks(shape: tuple[int, ...]) -> Iterator[slice]:
    """Slices of rows of :data:`BLOCK` numbers at most, or of one row."""
    step = max(1, BLOCK // math.prod(shape[1:]))
    return (slice(start, start + step) for start in range(0, shape[0], step))


def judged(x: Rows, dtype: Any = np.float64) -> Judged:
    """Judge rows that move, of at least :data:`MIN_DRAWS` draws a chain.

    R-hat is NaN where there is one chain only.

    Args:
        x: Draws (row, chain, draw), all finite.
        dtype: Of the autocovariances: float32 gives three digits of ESS in half the time.
    """
    parts = halves(x)
    flat = parts.reshape(len(x), -1)
    order = np.argsort(flat, axis=1)
    ordered = np.take_along_axis(flat, order, 1)
    n = ordered.shape[1]
    middle = (ordered[:, (n - 1) // 2] + ordered[:, n // 2]) / 2
    far = np.abs(ordered - middle[:, None])  # falls, then rises: two runs to merge
    inward = np.argsort(far, axis=1, kind="stable")
    outward = np.take_along_axis(order, inward, 1)
    bulk = _scores(order, ordered).reshape(parts.shape)
    folded = _scores(outward, np.take_along_axis(far, inward, 1)).reshape(parts.shape)
    if x.shape[2] % 2:
        ordered = np.sort(x.reshape(len(x), -1))
    tails = [ess(halves(x <= quantile(ordered, p)), dtype) for p in TAILS]
    scale = (
        np.fmax(r_hat(bulk), r_hat(folded)) if x.shape[1] > 1 else np.full(len(x), np.nan)
    )
    return Judged(scale, ess(bulk, dtype), np.fmin(*tails))


def halves(x: Any) -> np.ndarray:
    """Halves of chains, each a chain, (row, chain, draw); an odd draw goes."""
    half = x.shape[2] // 2
    return np.concatenate([x[..., :half], x[..., -half:]], 1)


def _scores(order: np.ndarray, ordered: np.ndarray) -> np.ndarray:
    """Normal quantiles of the ranks in each row, ties sharing theirs.

    Args:
        order: Places of the values of a row from smallest to largest.
        ordered: The values in that order.
    """
    n = ordered.shape[1]
    first = np.broadcast_to(np.arange(n), ordered.shape)
    last, same = first, ordered[:, 1:] == ordered[:, :-1]
    if same.any():
        first, last = first.copy(), last.copy()
        first[:, 1:][same] = 0
        last[:, :-1][same] = n - 1
        first = np.maximum.accumulate(first, axis=1)
        last = np.minimum.accumulate(last[:, ::-1], axis=1)[:, ::-1]
    by_half_ranks = ndtri((np.arange(2 * n - 1) / 2 + 1 - 0.375) / (n + 0.25))
    scores = np.empty(ordered.shape)
    np.put_along_axis(scores, order, by_half_ranks[first + last], 1)
    return scores


def quantile(ordered: np.ndarray, p: float) -> Float[np.ndarray, "row 1 1"]:
    """Quantile of rows in order: linear between the two nearest, as NumPy's."""
    at = p * (ordered.shape[1] - 1)
    below = int(at)
    above = min(below + 1, ordered.shape[1] - 1)
    pair = ordered[:, below], ordered[:, above]
    return (pair[0] + (at - below) * (pair[1] - pair[0]))[:, None, None]


def r_hat(x: Rows) -> Float[np.ndarray, " row"]:
    """Potential scale reduction of chains as they are: split and rank them first."""
    n = x.shape[2]
    within = x.var(2, ddof=1).mean(1)
    return np.sqrt((n * x.mean(2).var(1, ddof=1) / within + n - 1) / n)


def ess(x: Any, dtype: Any = np.float64) -> Float[np.ndarray, " row"]:
    """Effective number of draws of the mean of chains as they are: split them first.

    From the initial monotone sequence of pairs of autocorrelations, with the even one after
    it; at most n log10(n) of n draws, and n where draws do not vary.

    Args:
        x: Draws (row, chain, draw), of size about 1 where ``dtype`` is float32.
        dtype: Of the autocovariances: float32 gives three digits in half the time.
    """
    x = np.asarray(x, float)
    _, chains, n = x.shape
    means = x.mean(2, keepdims=True)
    length = next_fast_len(2 * n, real=True)
    wave = np.fft.rfft((x - means).astype(dtype), length)
    power = (np.square(wave.real) + np.square(wave.imag)).mean(1)
    lagged = np.fft.irfft(power, length)[:, :n].astype(float) / n
    within = lagged[:, 0] * n / (n - 1)
    whole = lagged[:, 0] + (means[..., 0].var(1, ddof=1) if chains > 1 else 0.0)
    with np.errstate(all="ignore"):
        rho = 1.0 - (within[:, None] - lagged) / whole[:, None]
    rho[:, 0] = 1.0
    even, odd = rho[:, : n // 2 * 2].reshape(len(x), -1, 2).transpose(2, 0, 1)
    pairs = even + odd
    ends = pairs <= 0
    ends[:, max(0, (n - 3) // 2)] = True
    last = ends.argmax(1)[:, None]
    summed = np.minimum.accumulate(pairs, 1)
    summed = np.where(np.arange(pairs.shape[1]) < last, summed, 0.0).sum(1)
    after, more = (np.take_along_axis(v, last, 1)[:, 0] for v in (pairs, even))
    tau = 2.0 * summed - 1.0 + np.where((more > 0) | (after >= 0), more, 0.0)
    total = chains * n
    found = total / np.maximum(tau, 1 / np.log10(total))
    return np.where(x.max((1, 2)) == x.min((1, 2)), float(total), found)


def mcse(x: Rows) -> tuple[Float[np.ndarray, " row"], Float[np.ndarray, " row"]]:
    """Monte Carlo standard errors of the mean and of the standard deviation."""
    off = x - x.mean((1, 2), keepdims=True)
    square = off * off
    variance = square.mean((1, 2))
    of_mean = x.std((1, 2), ddof=1) / np.sqrt(ess(halves(x)))
    fourth = np.square(square).mean((1, 2)) - np.square(variance)
    return of_mean, np.sqrt(fourth / ess(halves(square)) / variance / 4)
