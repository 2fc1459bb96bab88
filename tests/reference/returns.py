"""Contributions, ROAS, mROAS and curves by hand: loops in NumPy over one draw.

Shares no code with mmmjax; the media effect is the loop of `density`. Everything is in
scaled units, (geo, channel); the caller multiplies by the unit of the outcome.
"""

import numpy as np

from tests.reference import density


def effect(media, params, dims, **how):
    """Contribution (geo, channel, all periods) of media of the same shape."""
    out = np.zeros(media.shape)
    for g in range(media.shape[0]):
        for c in range(media.shape[1]):
            out[g, c] = density.media_effect(media[g, c], params, dims, g, c, **how)
    return out


def with_window(media, channel, start, stop, multiplier):
    """Media whose spend of one channel in periods start..stop-1 is multiplied."""
    changed = media.copy()
    for t in range(start, stop):
        changed[:, channel, t] = multiplier * media[:, channel, t]
    return changed


def value_of_window(media, params, dims, start, stop, *, max_lag, multiplier=0.0, **how):
    """(now, after), each (geo, channel): response to all spend minus to the changed one.

    `start` and `stop` count periods of `media`, context included. One channel at a time is
    changed; after the last known period nothing is spent.
    """
    n_geos, n_channels, _ = media.shape
    tail = np.zeros((n_geos, n_channels, max_lag - 1))
    known = np.concatenate([media, tail], axis=2)
    now, after = np.zeros((n_geos, n_channels)), np.zeros((n_geos, n_channels))
    actual = effect(known, params, dims, max_lag=max_lag, **how)
    for c in range(n_channels):
        other = with_window(known, c, start, stop, multiplier)
        changed = effect(other, params, dims, max_lag=max_lag, **how)
        for g in range(n_geos):
            for t in range(start, stop + max_lag - 1):
                # summed over all channels: the others must cancel
                gain = (actual[g, :, t] - changed[g, :, t]).sum()
                if t < stop:
                    now[g, c] += gain
                else:
                    after[g, c] += gain
    return now, after


def slope_of_window(media, params, dims, start, stop, *, step=1e-5, **how):
    """Derivative of the same with respect to a scaling of the window, by differences."""
    up = value_of_window(media, params, dims, start, stop, multiplier=1 + step, **how)
    down = value_of_window(media, params, dims, start, stop, multiplier=1 - step, **how)
    return tuple((d - u) / (2 * step) for u, d in zip(up, down, strict=True))
