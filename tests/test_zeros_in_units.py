"""A period of exactly 0 has a probability, which is the same in any unit of the outcome."""

from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import stats

import mmmjax as mm
from tests.fits import make_fit

ZERO, SIGMA, LEVEL = 0.25, 0.3, 0.5


def fit_of(likelihood, unit):
    """Weeks of which every fourth sold nothing, a mean of half the unit and no effect."""
    rng, dates = (
        np.random.default_rng(2),
        pd.date_range("2022-01-03", periods=24, freq="7D"),
    )
    sales = unit * np.where(np.arange(24) % 4 == 0, 0.0, rng.uniform(0.4, 1.0, 24))
    sales[5] = unit
    frame = pd.DataFrame({"date": dates, "sales": sales, "tv": rng.gamma(2.0, 9.0, 24)})
    panel = mm.Panel.from_frame(frame, date="date", outcome="sales", media=["tv"])
    spec = mm.Spec(likelihood=likelihood, seasonality=None, scale="max")
    fit = make_fit(1, 2, spec, panel, dtype=np.float64)
    held = {"y_zero": ZERO, "y_sigma": SIGMA, "intercept": LEVEL, "saturation_beta": 0.0}
    params = {n: x * 0 + held.get(n, x) for n, x in fit.draws.params.items()}
    return replace(fit, draws=replace(fit.draws, params=params))


@pytest.mark.parametrize("unit", [1.0, 4000.0])
@pytest.mark.parametrize("kind", ["gamma", "log_normal"])
def test_the_density_of_nothing_sold_is_its_probability(kind, unit):
    law = mm.likelihood.Gamma if kind == "gamma" else mm.likelihood.LogNormal
    fit = fit_of(law(zeros=True), unit)
    found = mm.log_likelihood(fit)["outcome"].to_numpy()[0, :, 0]
    y = fit.panel.outcome[0]
    # the mean is kept above 0 by a knee of a hundredth, and that of others counts no zeros
    mean = unit * (LEVEL + np.sqrt(LEVEL**2 + 4e-4)) / 2 / (1 - ZERO)
    some: Any = stats.gamma(SIGMA**-2, scale=mean * SIGMA**2)
    if kind == "log_normal":
        some = stats.lognorm(SIGMA, scale=mean * np.exp(-(SIGMA**2) / 2))
    with np.errstate(divide="ignore"):
        told = np.where(y == 0, np.log(ZERO), np.log(1 - ZERO) + some.logpdf(y))
    np.testing.assert_allclose(found, np.broadcast_to(told, found.shape), rtol=1e-5)
