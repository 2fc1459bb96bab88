"""Noise that grows with the level: its size against a formula, and what judges it."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats

import mmmjax as mm
from mmmjax.likelihood import Target

pytestmark = pytest.mark.usefixtures("x64")

RECORDS = [
    mm.likelihood.Normal(growing=True),
    mm.likelihood.StudentT(growing=True),
    mm.likelihood.Normal(growing=True, autoregressive=True),
]
every = pytest.mark.parametrize("record", RECORDS, ids=repr)
P = {"y_sigma": 0.1, "y_growth": 0.8, "y_nu": 5.0, "y_rho": 0.0}


def sizes(mean):
    """A part of one size and a part that is a share of the mean, 0.1 at 0.5."""
    return np.hypot(0.1 * np.sqrt(0.2), 0.1 * np.sqrt(0.8) * mean / 0.5)


def target_of(y):
    one = np.ones((len(y), 1))
    return Target(y, np.ones(y.shape, bool), 0 * one, one)


@every
def test_density_and_residuals_are_those_of_a_noise_of_that_size(record):
    rng = np.random.default_rng(0)
    mean = rng.uniform(-0.5, 1.5, (2, 40))
    y = mean + sizes(mean) * rng.standard_t(5, size=mean.shape)
    law = stats.t(5.0, mean, sizes(mean)) if "Student" in repr(record) else stats.norm(
        mean, sizes(mean))  # fmt: skip
    target = target_of(y)
    found = record.law(mean, P, target).log_prob(y)
    np.testing.assert_allclose(found, law.logpdf(y), atol=1e-4)
    z = record.deviates(mean, P, target)
    np.testing.assert_allclose(z, stats.norm.ppf(law.cdf(y)), atol=1e-3)
    moved = record.whitened(np.ones((2, 40)), mean, P, target)
    np.testing.assert_allclose(moved, 0.1 / sizes(mean), rtol=1e-5)


@every
def test_where_the_mean_is_nothing_noise_is_not(record):
    mean, y = np.zeros((1, 3)), np.array([[0.0, 0.05, -0.05]])
    least = record.size(mean, P)
    np.testing.assert_allclose(least, 0.1 * np.sqrt(0.2), rtol=1e-4)
    whole = {**P, "y_growth": 1.0}  # a share of the mean alone: a thousandth is left
    np.testing.assert_allclose(record.size(mean, whole), 0.1 * 1e-3, rtol=1e-6)
    assert np.isfinite(record.law(mean, whole, target_of(y)).log_prob(y)).all()


def test_it_is_written_and_said():
    both = mm.likelihood.Normal(growing=True, autoregressive=True)
    spec = mm.Spec(likelihood=both)
    assert mm.Spec.from_toml(spec.to_toml()) == spec
    assert repr(both) == "Normal(growing=True, autoregressive=True)"
    assert both.formula() == {"y": "AR1(mu, y_sigma, y_growth, y_rho)"}
    with pytest.raises(mm.InputError, match="growing = true"):
        mm.likelihood.StudentT(growing=1)  # pyright: ignore
    with pytest.raises(mm.InputError, match="y_growth"):
        mm.Spec(likelihood=both, priors={"y_growth": mm.Prior("HalfNormal", scale=1.0)})


def world(seed=2, weeks=150):
    """Sales from 100 to 900 with noise of a tenth of them."""
    rng = np.random.default_rng(seed)
    tv = rng.gamma(2.0, 100.0, weeks) * (rng.random(weeks) > 0.3)
    price = np.sin(np.arange(weeks) / 9.0)
    mean = 450.0 + 300.0 * price + 150.0 * np.tanh(tv / 200.0)
    frame = pd.DataFrame({
        "date": pd.date_range("2021-01-04", periods=weeks, freq="7D"), "tv": tv,
        "price": price, "sales": mean * (1 + 0.1 * rng.standard_normal(weeks)),
    })  # fmt: skip
    names = {"date": "date", "outcome": "sales", "media": ["tv"], "controls": ["price"]}
    return mm.Panel.from_frame(frame, **names)


@pytest.mark.slow(parts=6)
def test_a_world_of_growing_noise_is_recovered_and_the_test_of_spread_falls_silent():
    panel, sampler = world(), mm.NUTS(chains=2, warmup=250, draws=250, until=None)
    make = lambda **more: mm.fit(
        mm.Spec(likelihood=mm.likelihood.Normal(**more), seasonality=None,
                adstock=mm.adstock.NoAdstock()), panel, sampler, seed=1)  # fmt: skip
    plain, fit = make(), make(growing=True)
    found = {f.code: f for f in mm.judge(plain).adequate.findings}
    assert found["spread"].where == ("level",)
    assert 'likelihood = { kind = "normal", growing = true } under [model]' in (
        found["spread"].remedy
    )
    assert "spread" not in {f.code for f in mm.judge(fit).adequate.findings}
    told = mm.diagnostics(fit)
    assert told.max_r_hat < 1.06
    growth, sigma = (fit.flat()[n] for n in ("y_growth", "y_sigma"))
    assert np.quantile(growth, 0.05) > 0.5  # the truth is 1: all of it
    level = sigma / 0.5  # at the middle it is a tenth of the mean
    assert abs(level.mean() - 0.1) < 4 * level.std()
    width = lambda of: mm.predict(of)["outcome"].std(("chain", "draw")).to_numpy()[0]
    mean = mm.contributions(fit)["mu_total"]
    assert np.isfinite(mean).all()
    low, high = np.argsort(width(fit))[[10, -10]]
    assert width(fit)[high] > 2.5 * width(fit)[low]
    assert width(plain)[high] < 1.3 * width(plain)[low]
