"""Slow, obvious adstock in NumPy: the definition as loops, and as a gathered window."""

import numpy as np


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
