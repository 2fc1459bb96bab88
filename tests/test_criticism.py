"""Residuals against a loop; priors against scipy and against their own draws."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats

import mmmjax as mm
from mmmjax import criticism, metrics
from mmmjax.criticism import prior_posterior, residuals
from mmmjax.prediction import predict, sample_prior
from mmmjax.prepare import prepare
from tests.fits import make_fit, make_panel, make_spec
from tests.posterior.examples import geo_panel


def loop_autocorrelation(values, lag):
    values = np.array(values, float)
    rest = values - np.nanmean(values)
    pairs = [
        rest[t] * rest[t + lag]
        for t in range(len(rest) - lag)
        if np.isfinite(rest[t]) and np.isfinite(rest[t + lag])
    ]
    return sum(pairs) / np.nansum(rest**2)


def test_autocorrelation_is_the_loop():
    rng = np.random.default_rng(0)
    values = rng.normal(size=(2, 40)).cumsum(1)
    values[1, [3, 17]] = np.nan
    found = metrics.autocorrelation(values, 5)
    for row, series in zip(found, values, strict=True):
        expected = [loop_autocorrelation(series, lag) for lag in range(6)]
        np.testing.assert_allclose(row, expected, rtol=1e-12)
    assert np.isnan(metrics.autocorrelation(np.ones(9), 2)).all()


@pytest.mark.parametrize("total", [False, True])
def test_residuals_are_observed_minus_predictive_mean(total):
    fit = make_fit(2, 20)
    found = residuals(fit, total=total, lags=4)
    whole = predict(fit, total=total)
    expected = whole["observed"] - whole["outcome"].mean(("chain", "draw"))
    np.testing.assert_allclose(found["residual"], expected, rtol=1e-6)
    assert np.isnan(found["residual"]).any()  # one outcome is missing
    series = found["residual"].to_numpy()[0]
    np.testing.assert_allclose(
        found["autocorrelation"][0, 3], loop_autocorrelation(series, 3), rtol=1e-9
    )
    n = np.isfinite(series).sum()
    np.testing.assert_allclose(found["bound"][0], 1.96 / np.sqrt(n))


def test_residuals_of_a_short_window_have_few_lags():
    found = residuals(make_fit(2, 5, panel=make_panel(periods=6)), lags=26)
    assert found.sizes["lag"] == 6
    with pytest.raises(mm.InputError, match="lags"):
        residuals(make_fit(2, 5), lags=0)


def test_prior_moments_are_those_of_scipy():
    spec = make_spec()
    fit = make_fit(2, 50, spec=spec)
    table = prior_posterior(fit).set_index(["parameter", "index"])
    row = table.loc[("intercept", "north")]
    assert (row["prior_mean"], row["prior_sd"]) == pytest.approx((0.4, 0.2))
    draws = fit.draws.params["intercept"][..., 0].astype(float)
    expected = 1 - draws.std(ddof=1) ** 2 / 0.2**2
    assert row["contraction"] == pytest.approx(expected, rel=1e-6)
    default = spec.priors["adstock_alpha"]  # Beta
    numbers = dict(default.params)
    law = stats.beta(numbers["concentration1"], numbers["concentration0"])
    found = table.loc[("adstock_alpha", "TV")]
    assert found["prior_sd"] == pytest.approx(law.std())


def test_nested_priors_are_drawn_and_agree_with_the_closed_form():
    scale = mm.Prior("HalfNormal", scale=2.0)
    spec = make_spec()
    priors = {**spec.priors, "gamma_control": mm.Prior("Normal", loc=1.0, scale=scale)}
    fit = sample_prior(mm.Spec(adstock=spec.adstock, priors=priors), make_panel(), 4000)
    table = prior_posterior(fit).set_index("parameter")
    # Var = E[scale^2] = 4; the fourth moment of the mixture is 9 * 2^4, so the standard
    # error of a variance from 4,000 draws is sqrt((144 - 16) / 4000) = 0.18
    assert table.loc["gamma_control", "prior_sd"] ** 2 == pytest.approx(4.0, abs=4 * 0.18)
    # the "posterior" is the prior here: contraction 0 within 4 errors of two variances
    assert table.loc["gamma_control", "contraction"] == pytest.approx(0, abs=4 * 0.26 / 4)


def test_every_family_has_moments_or_says_it_has_none():
    heavy = mm.Prior("HalfCauchy", scale=1.0)
    spec = mm.Spec(priors={"y_sigma": heavy})
    fit = make_fit(2, 20, spec=spec, panel=make_panel())
    row = criticism.prior_posterior(fit).set_index("parameter").loc["y_sigma"]
    assert np.isnan(row[["prior_sd", "contraction"]].astype(float)).all()
    assert row["posterior_sd"] > 0


def test_pooled_priors_agree_with_the_closed_form():
    """Pooled: typical + spread * offset; Var = Var typical + E spread^2."""
    typical = mm.Prior("Normal", loc=0.5, scale=0.3)
    spread = mm.Prior("HalfNormal", scale=0.2)
    priors = {"intercept": mm.pooled(typical, over="geo", spread=spread)}
    spec = mm.Spec(seasonality=None, priors=priors)
    table = prior_posterior(sample_prior(spec, geo_panel(), 20), draws=4000)
    rows = table.loc[table["parameter"] == "intercept"]
    assert len(rows) == 3
    # the error of a variance: fourth moment 3 a^4 + 6 a^2 b^2 + 9 b^4 of a = 0.3, b = 0.2
    variance = 0.3**2 + 0.2**2
    fourth = 3 * 0.3**4 + 6 * 0.3**2 * 0.2**2 + 9 * 0.2**4
    error = np.sqrt((fourth - variance**2) / 4000)
    np.testing.assert_allclose(rows["prior_sd"] ** 2, variance, atol=4 * error)
    # each stratum once: typical values add nothing to the error of the mean
    np.testing.assert_allclose(rows["prior_mean"], 0.5, atol=4 * 0.2 / np.sqrt(4000))
    again = prior_posterior(sample_prior(spec, geo_panel(), 20), draws=4000)
    pd.testing.assert_frame_equal(again, table)


def test_large_panels_take_as_many_prior_draws_as_tables_are_made_of(monkeypatch):
    panel = geo_panel()
    spec = mm.Spec(seasonality=None)
    ready = prepare(spec, panel)
    few = criticism.prior_returns(ready.spec, ready.panel, ready.data, draws=1143)
    usual = criticism.prior_returns(ready.spec, ready.panel, ready.data, draws=4000)
    told = lambda: criticism.prior_returns(ready.spec, ready.panel, ready.data)
    pd.testing.assert_frame_equal(told(), usual)
    monkeypatch.setattr(criticism, "LARGE", 1)
    pd.testing.assert_frame_equal(told(), few)
