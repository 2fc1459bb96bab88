"""Saturation in plain Python: the definition, one number at a time."""

import math

import numpy as np


def loop_hill(media, kappa, slope):
    """One series (time,): x^s / (kappa^s + x^s), 0 at 0."""
    out = np.zeros(len(media))
    for t, x in enumerate(map(float, media)):
        if x > 0:
            out[t] = 1.0 / (1.0 + (float(kappa) / x) ** float(slope))
    return out


def sigmoid(z):
    """1 / (1 + e^-z), whatever the size of z."""
    return 1 / (1 + math.exp(-z)) if z > 0 else math.exp(z) / (1 + math.exp(z))


DEFINITIONS = {  # one number, as the peers that are named in the docstrings have them
    "logistic": lambda x, lam: (1 - math.exp(-lam * x)) / (1 + math.exp(-lam * x)),
    "hill": lambda x, kappa, slope: 1 - kappa**slope / (kappa**slope + x**slope),
    "exponential": lambda x, lam: 1 - math.exp(-lam * x),
    "tanh": lambda x, lam, b=0.7: (
        b * math.tanh(x / (b * (1 / (b * lam)))) / b  # b tanh(x / (b c)), c = 1 / (b lam)
    ),
    "inverse_scaled_logistic": lambda x, lam: (
        (1 - math.exp(-x * math.log(3) / lam)) / (1 + math.exp(-x * math.log(3) / lam))
    ),
    "michaelis_menten": lambda x, lam: x / (lam + x),
    "hill_sigmoid": lambda x, lam, slope: (
        sigmoid(slope * (x - lam)) - 1 / (1 + math.exp(slope * lam))
    ),
    "root": lambda x, alpha: x**alpha,
    "log": lambda x, lam: math.log(1 + lam * x),
    "none": lambda x: x,
}


def loop(kind, media, **parameters):
    """One series (time,) of a kind, a number at a time."""
    return np.array([DEFINITIONS[kind](float(x), **parameters) for x in media])
