"""Slow, obvious adstock in NumPy: the definition as loops, and as a gathered window."""

import numpy as np
from scipy import stats


def loop_geometric(media, retention, max_lag, normalize=True):
    """One series (time,) and one retention: the definition, as two plain loops."""
    weights = np.array([retention**lag for lag in range(max_lag)])
    if normalize:
        weights /= weights.sum()
    out = np.zeros_like(media)
    for t in range(len(media)):
        for lag in range(min(max_lag, t + 1)):
            out[t] += weights[lag] * media[t - lag]
    return out


def loop_delayed(media, retention, peak, max_lag, normalize=True):
    """One series (time,): weights retention ** ((lag - peak) ** 2), as plain loops."""
    weights = np.array([retention ** ((lag - peak) ** 2) for lag in range(max_lag)])
    if normalize:
        weights /= weights.sum()
    out = np.zeros_like(media)
    for t in range(len(media)):
        for lag in range(min(max_lag, t + 1)):
            out[t] += weights[lag] * media[t - lag]
    return out


def carry(media, weights):
    """out[t] = sum over l of weights[l] * media[t - l], by gathering every window."""
    time, max_lag = media.shape[-1], weights.shape[-1]
    padded = np.pad(media, [(0, 0)] * (media.ndim - 1) + [(max_lag - 1, 0)])
    window = np.arange(time)[:, None] + np.arange(max_lag)[::-1]  # (time, max_lag)
    return np.einsum("...tl,...l->...t", padded[..., window], weights)


def weights_of(kind, lags, **p):
    """Weights of one series, not normalised, lag by lag as its source defines them."""
    if kind == "half_life":
        return np.array([0.5 ** (lag / p["half_life"]) for lag in range(lags)])
    if kind == "binomial":  # Meridian's w(s; alpha) with its L = lags - 1
        power = 1 / p["alpha"] - 1
        return np.array([(1 - lag / (1 + (lags - 1))) ** power for lag in range(lags)])
    law = stats.weibull_min(c=p["k"], scale=p["lam"])
    if kind == "weibull_cdf":  # the product of what survives every period
        return np.cumprod([1.0, *(1 - law.cdf(t) for t in range(1, lags))])
    density = np.array([law.pdf(t) for t in range(1, lags + 1)])
    return (density - density.min()) / (density.max() - density.min())
