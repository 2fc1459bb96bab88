"""Saturation in plain Python: the definition, one number at a time."""

import numpy as np


def loop_hill(media, kappa, slope):
    """One series (time,): x^s / (kappa^s + x^s), 0 at 0."""
    out = np.zeros(len(media))
    for t, x in enumerate(map(float, media)):
        if x > 0:
            out[t] = 1.0 / (1.0 + (float(kappa) / x) ** float(slope))
    return out
