"""R-hat and ESS of many parameters at once: the verdict that a running sampler needs.

The statistics are those of :func:`mmmjax.draws.summary` (rank-normalised split R-hat, bulk
and tail ESS), for all parameters in a few array operations instead of one by one.

The autocovariances come from real transforms in float32, of draws of size 1: they are read
to three digits.

Source: Vehtari et al. (2021), "Rank-normalization, folding, and localization: An improved
R-hat for assessing convergence of MCMC", Bayesian Analysis 16.
"""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from jaxtyping import Float
from scipy.fft import next_fast_len
from scipy.special import ndtri

from mmmjax.draws import MAX_DIVERGENCE_RATE, MAX_R_HAT, MIN_ESS_PER_CHAIN, Draws

__all__ = ["Verdict", "stacked", "statistics", "worst"]

TAIL = (0.05, 0.95)
MIN_DRAWS = 4  # a half of a chain needs two draws


def stacked(params: Mapping[str, np.ndarray]) -> Float[np.ndarray, "chain draw parameter"]:
    """Every scalar parameter as a column."""
    columns = [np.asarray(x).reshape(*x.shape[:2], -1) for x in params.values()]
    return np.concatenate(columns, 2).astype(float)


def statistics(
    values: Float[np.ndarray, "chain draw parameter"],
) -> tuple[Float[np.ndarray, " parameter"], Float[np.ndarray, " parameter"]]:
    """R-hat, and the smaller of bulk and tail ESS, of every parameter.

    R-hat is infinity and ESS 0 where draws are not finite, do not move in some chain, or
    are fewer than four.
    """
    chains, draws, size = values.shape
    r_hat, ess = np.full(size, np.inf), np.zeros(size)
    good = np.isfinite(values).all((0, 1)) & (np.ptp(values, axis=1) > 0).all(0)
    if draws < MIN_DRAWS or chains < 2 or not good.any():
        return r_hat, ess
    x = np.ascontiguousarray(np.moveaxis(values[..., good], 2, 0))
    flat = x.reshape(len(x), -1)
    bulk, ordered = _normal_scores(flat)
    low, middle, high = (_quantile(ordered, p) for p in (TAIL[0], 0.5, TAIL[1]))
    spread, _ = _normal_scores(np.abs(flat - middle))
    split = lambda v: _halves(v.reshape(x.shape))
    with np.errstate(all="ignore"):
        r_hat[good] = np.fmax(_r_hat(split(bulk)), _r_hat(split(spread)))
        found = [_ess(split(v)) for v in (bulk, flat <= low, flat <= high)]
    ess[good] = np.nan_to_num(np.fmin.reduce(found))
    return r_hat, ess


class Verdict(NamedTuple):
    """Whether draws can be used: the thresholds of :func:`mmmjax.diagnostics`."""

    r_hat: float
    ess: float
    divergences: int
    fault: str  # empty: none

    @classmethod
    def of(cls, draws: Draws) -> "Verdict":
        """Judge draws."""
        r_hat, ess = worst(draws.params)
        diverging = draws.stats["diverging"]
        least, faults = MIN_ESS_PER_CHAIN * draws.n_chains, []
        if not r_hat <= MAX_R_HAT:
            faults.append(f"R-hat {r_hat:.3f} above {MAX_R_HAT}")
        if not ess >= least:
            faults.append(f"ESS {ess:.0f} below {least}")
        if (rate := diverging.mean()) > MAX_DIVERGENCE_RATE:
            faults.append(f"{diverging.sum()} divergences, {rate:.1%} of the draws")
        return cls(r_hat, ess, int(diverging.sum()), "; ".join(faults))


def worst(params: Mapping[str, np.ndarray]) -> tuple[float, float]:
    """Largest R-hat and smallest ESS, bulk or tail, of parameters (chain, draw, ...)."""
    r_hat, ess = statistics(stacked(params))
    return float(r_hat.max()), float(ess.min())


def _normal_scores(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Normal quantiles of the ranks of each row, ties sharing theirs; rows in order."""
    n = x.shape[1]
    order = np.argsort(x, axis=1)
    ordered = np.take_along_axis(x, order, 1)
    first = np.broadcast_to(np.arange(n), x.shape)
    last, same = first, ordered[:, 1:] == ordered[:, :-1]
    if same.any():
        first, last = first.copy(), last.copy()
        first[:, 1:][same] = 0
        last[:, :-1][same] = n - 1
        first = np.maximum.accumulate(first, axis=1)
        last = np.minimum.accumulate(last[:, ::-1], axis=1)[:, ::-1]
    by_half_ranks = ndtri((np.arange(2 * n - 1) / 2 + 1 - 0.375) / (n + 0.25))
    scores = np.empty(x.shape)
    np.put_along_axis(scores, order, by_half_ranks[first + last], 1)
    return scores, ordered


def _quantile(ordered: np.ndarray, p: float) -> np.ndarray:
    """Linear between the two nearest, as NumPy's, (row, 1)."""
    at = p * (ordered.shape[1] - 1)
    below = int(at)
    above = min(below + 1, ordered.shape[1] - 1)
    pair = ordered[:, below], ordered[:, above]
    return (pair[0] + (at - below) * (pair[1] - pair[0]))[:, None]


def _halves(x: np.ndarray) -> np.ndarray:
    """Halves of chains, each a chain: (parameter, chain, draw)."""
    half = x.shape[2] // 2
    return np.concatenate([x[..., :half], x[..., -half:]], 1)


def _variances(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Variance within chains, and that of the posterior, which counts between them too."""
    n = x.shape[2]
    within = x.var(2, ddof=1).mean(1)
    return within, within * (n - 1) / n + x.mean(2).var(1, ddof=1)


def _r_hat(x: np.ndarray) -> np.ndarray:
    within, whole = _variances(x)
    return np.sqrt(whole / within)


def _ess(x: np.ndarray) -> np.ndarray:
    """ESS from Geyer's initial monotone sequence, of every parameter."""
    x = np.asarray(x, float)
    _, chains, n = x.shape
    within, whole = _variances(x)
    length = next_fast_len(2 * n, real=True)
    wave = np.fft.rfft((x - x.mean(2, keepdims=True)).astype(np.float32), length)
    power = (np.square(wave.real) + np.square(wave.imag)).mean(1)
    lagged = np.fft.irfft(power, length)[:, :n].astype(float) / n
    rho = 1.0 - (within[:, None] - lagged) / whole[:, None]
    rho[:, 0] = 1.0
    pairs = rho[:, : n // 2 * 2].reshape(len(x), -1, 2).sum(2)
    later = np.minimum.accumulate(np.clip(pairs[:, 1:], 0, None), axis=1)
    return chains * n / (2.0 * (pairs[:, 0] + later.sum(1)) - 1.0)
