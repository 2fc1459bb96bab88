"""R-hat, ESS and Monte Carlo errors of all rows at once, against ArviZ row by row."""

import warnings

import numpy as np
import pytest
from arviz_stats.base.array import array_stats

from mmmjax import convergence


def chains(kind, shape, seed=0):
    """Autoregressive chains, from antithetic to slow, (row, chain, draw)."""
    noise = np.random.default_rng(seed).standard_normal(shape)
    rho = np.linspace(-0.95, 0.97, shape[0])[:, None]
    x = noise.copy()
    for t in range(1, shape[2]):
        x[..., t] = rho * x[..., t - 1] + np.sqrt(1 - rho**2) * noise[..., t]
    if kind == "means":
        x[:, 0] += 0.5
    if kind == "spreads":
        x[:, 0] *= 2.0
    if kind == "tied":
        x = np.round(x, 1)
    if kind == "rare":
        x = (x > 0.9).astype(float)
    return x[np.ptp(x, axis=(1, 2)) > 0]


SHAPES = [(12, 4, 400), (12, 4, 401), (12, 1, 300), (12, 3, 9), (12, 2, 7), (12, 2, 4)]


@pytest.mark.parametrize("kind", ["mixed", "means", "spreads", "tied", "rare"])
@pytest.mark.parametrize("shape", SHAPES)
def test_the_numbers_are_those_of_arviz(kind, shape):
    x = chains(kind, shape)
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        found, errors = convergence.judged(x), convergence.mcse(x)
        theirs = [
            array_stats.rhat(x, method="rank"),
            array_stats.ess(x, method="bulk"),
            array_stats.ess(x, method="tail", prob=(0.05, 0.95)),
            array_stats.mcse(x, method="mean"),
            array_stats.mcse(x, method="sd"),
        ]
    for ours, other in zip((*found, *errors), theirs, strict=True):
        np.testing.assert_allclose(ours, other, rtol=1e-9)


def test_float32_transforms_keep_three_digits():
    x = chains("mixed", (12, 4, 500))
    exact, quick = convergence.judged(x), convergence.judged(x, np.float32)
    np.testing.assert_allclose(quick.ess_bulk, exact.ess_bulk, rtol=1e-3)
    np.testing.assert_allclose(quick.ess_tail, exact.ess_tail, rtol=1e-3)
    np.testing.assert_array_equal(quick.r_hat, exact.r_hat)
