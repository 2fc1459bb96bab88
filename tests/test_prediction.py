"""Predictive draws: right moments, right continuation, the same whatever the memory."""

import math
import warnings
from dataclasses import replace

import arviz as az
import numpy as np
import pandas as pd
import pytest
from scipy import stats
from scipy.special import erfcx, logsumexp

from mmmjax import metrics, prediction
from mmmjax.checks import InputError
from mmmjax.likelihood import Normal, StudentT, TruncatedNormal
from mmmjax.prediction import (
    crps,
    forecast_table,
    log_likelihood,
    predict,
    prior_params,
    prior_predictive,
    sample_prior,
    scores,
)
from mmmjax.prepare import prepare
from mmmjax.prior import Prior
from tests.fits import make_fit
from tests.posterior.examples import (
    FITS,
    flat,
    geo_fit,
    geo_panel,
    geo_spec,
    national_fit,
    one_draw,
)
from tests.posterior.test_contributions import oracle_mean
from tests.reference import density


def same_draws(likelihood, draws=2000, **values):
    """National fit whose draws all have the same parameters, so that only noise differs."""
    fit = national_fit(draws=draws, likelihood=likelihood)
    params = {n: np.broadcast_to(a[:1, :1], a.shape) for n, a in fit.draws.params.items()}
    for name, value in values.items():
        params[name] = np.full(params[name].shape, value)
    return replace(fit, draws=replace(fit.draws, params=params))


def split_fit(**params):
    """A fit of all but the last four periods, those four, and the fit of all."""
    whole = geo_fit(unbalanced=False)
    train, test = whole.panel.split(whole.panel.dates[-5])
    fit = replace(make_fit(2, 3, whole.spec, train, dtype=np.float64), scale=whole.scale)
    changed = {n: np.full_like(fit.draws.params[n], v) for n, v in params.items()}
    fit = replace(fit, draws=replace(fit.draws, params=fit.draws.params | changed))
    return fit, test, replace(fit, panel=whole.panel)


LAWS = {
    "normal": (Normal(), {}),
    "student": (StudentT(), {"y_nu_excess": 6.0}),
    "truncated": (TruncatedNormal(low=0.0), {"intercept": -0.2}),
    "truncated high": (TruncatedNormal(low=40.0), {}),
}


@pytest.mark.parametrize("law", LAWS)
def test_noise_has_the_moments_of_its_law(law):
    likelihood, values = LAWS[law]
    fit = same_draws(likelihood, y_sigma=0.3, **values)
    unit = fit.scale.outcome[0]
    mu, sigma = oracle_mean(fit, 0)[0], 0.3 * unit
    if law == "student":
        truth = stats.t(8.0, mu, sigma)
    elif law == "normal":
        truth = stats.norm(mu, sigma)
    else:
        truth = stats.truncnorm((likelihood.low - mu) / sigma, np.inf, mu, sigma)
    y = flat(predict(fit, seed=3)["outcome"])[:, 0]
    error = truth.std() / np.sqrt(len(y))
    assert np.abs((y.mean(0) - truth.mean()) / error).max() < 5  # 20 cells: 1e-5
    np.testing.assert_allclose(y.std(0), truth.std(), rtol=0.1)
    uniform = truth.cdf(y)
    assert stats.kstest(uniform.ravel(), "uniform").pvalue > 1e-5
    weeks = np.corrcoef(y.T) - np.eye(y.shape[1])
    assert np.abs(weeks).max() < 5 / np.sqrt(len(y))  # noise of weeks is independent


@pytest.mark.parametrize("depth", [-4.0, -8.0, -30.0, -1e3])
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_truncated_noise_far_in_the_tail(depth, dtype):
    fit = same_draws(TruncatedNormal(low=0.0), y_sigma=1e-2, intercept=depth * 1e-2,
                     saturation_beta=0.0)  # fmt: skip
    options = prediction._options(fit, prediction.Scope.of(fit), 0)
    args = prediction._arguments(fit, prediction.Scope.of(fit))
    y = prediction.fold(
        fit, prediction._outcome, *args, by_geo=True, dtype=dtype, **options
    )
    y = np.float64(y[:, 0])
    assert np.isfinite(y).all()
    assert (y >= 0).all()
    z = -depth  # t = y / sigma has the law of a standard normal beyond z, minus z
    t = y / (1e-2 * fit.scale.outcome[0])
    mills = math.sqrt(math.pi / 2) * erfcx(z / math.sqrt(2))  # sf(z) / pdf(z)
    mean, second = 1 / mills - z, 1 + z**2 - z / mills
    error = math.sqrt((second - mean**2) / t.size) if z < 100 else mean / math.sqrt(t.size)
    assert abs(t.mean() - mean) < 5 * error
    beyond = math.sqrt(math.pi / 2) * erfcx((z + t) / math.sqrt(2))
    survival = np.exp(-z * t - t**2 / 2) * beyond / mills
    assert stats.kstest(survival.ravel(), "uniform").pvalue > 1e-5


def test_same_numbers_whatever_the_memory_and_again():
    fit = geo_fit(draws=5)
    whole = predict(fit, seed=1)["outcome"]
    np.testing.assert_allclose(predict(fit, seed=1, memory=1)["outcome"], whole, rtol=1e-12)
    np.testing.assert_array_equal(predict(fit, seed=1)["outcome"], whole)
    assert (predict(fit, seed=2)["outcome"] != whole).all()
    short = predict(fit, seed=1, draws=False, memory=1)["outcome"]
    np.testing.assert_allclose(short.sel(summary="mean"), whole.mean(("chain", "draw")))
    lo, _ = metrics.hdi(flat(whole), 0.94)
    np.testing.assert_allclose(short.sel(summary="lo"), lo)


def test_noise_of_geos_is_independent():
    fit = geo_fit()
    y, sigma = flat(predict(fit)["outcome"]), fit.flat()["y_sigma"]
    mean = np.stack([oracle_mean(fit, i) for i in range(6)])
    noise = (y - mean) / (sigma * fit.scale.outcome)[..., None]
    assert abs(noise).max() < 6
    apart = np.corrcoef(np.moveaxis(noise, 1, 0).reshape(3, -1)) - np.eye(3)
    assert abs(apart).max() < 5 / np.sqrt(noise[:, 0].size)


def test_labels():
    fit = geo_fit()
    found = predict(fit)
    assert found["outcome"].dims == ("chain", "draw", "geo", "date")
    assert list(found["geo"].values) == ["a", "b", "c"]
    assert list(found["date"].values) == list(fit.panel.dates[fit.panel.history :])
    np.testing.assert_array_equal(
        found["observed"], fit.panel.outcome[:, fit.panel.history :]
    )
    total = predict(fit, total=True)
    present = fit.panel.present[:, fit.panel.history :]
    expected = flat(found["outcome"])[:, :, :].copy()
    expected[:, ~present] = 0.0
    np.testing.assert_allclose(flat(total["outcome"])[:, 0], expected.sum(1), rtol=1e-12)
    assert list(total["geo"].values) == ["ALL"]


def test_forecast_continues_media_trend_and_season():
    fit, test, whole = split_fit(y_sigma=1e-9)
    found = flat(predict(fit, test)["outcome"])
    for i in range(6):
        np.testing.assert_allclose(found[i], oracle_mean_of(whole, fit, i), rtol=1e-6)


def oracle_mean_of(whole, fit, number):
    """Mean of the last four periods by hand; the trend goes on past 1."""
    params, _ = one_draw(fit, number)
    n_train = fit.panel.n_periods
    params = params | {"trend_slope": params["trend_slope"] * (n_train + 3) / (n_train - 1)}
    one = {n: np.asarray(a)[None, None] for n, a in params.items()}
    longer = replace(whole, draws=replace(whole.draws, params=one, stats={}))
    return oracle_mean(longer, 0)[:, -4:]


def test_future_table_without_outcome():
    fit, test, _ = split_fit()
    frame = test.to_frame().drop(columns="sales")
    future = fit.panel.read_future(frame.sample(frac=1.0, random_state=0))
    found = predict(fit, future)
    np.testing.assert_allclose(found["outcome"], predict(fit, test)["outcome"], rtol=1e-12)
    assert np.isnan(found["observed"]).all()
    with pytest.raises(InputError, match="search"):
        fit.panel.read_future(frame.drop(columns=["search"]))


def test_panels_that_do_not_follow_are_refused():
    fit, test, _ = split_fit()
    late = replace(test, dates=test.dates + pd.Timedelta(weeks=1))
    with pytest.raises(InputError, match=str(test.dates[0].date())):
        predict(fit, late)
    with pytest.raises(InputError, match="Mail"):
        predict(fit, replace(test, channels=("TV", "Search", "Post")))
    order = [2, 0, 1]
    moved = replace(
        test, channels=("Mail", "TV", "Search"), media=test.media[..., order],
        spend=test.spend[..., order],
    )  # fmt: skip
    same = predict(fit, moved)["outcome"]
    np.testing.assert_allclose(same, predict(fit, test)["outcome"], rtol=1e-12)


@pytest.mark.parametrize("likelihood", [Normal(), TruncatedNormal(low=0.0), StudentT()])
def test_log_likelihood_by_hand(likelihood):
    fit = geo_fit(likelihood=likelihood)
    panel, unit = fit.panel, fit.scale.outcome
    outcome = panel.outcome[:, panel.history :]
    found = flat(log_likelihood(fit)["outcome"])
    for i in range(6):
        params, dims = one_draw(fit, i)
        if "y_nu_excess" in params:
            params["y_nu"], dims["y_nu"] = 2.0 + params["y_nu_excess"], dims["y_nu_excess"]
        mu = oracle_mean(fit, i) / unit[:, None]
        expected = density.log_likelihood(
            likelihood.kind, outcome / unit[:, None], mu, params, dims, low=np.zeros(3)
        )
        expected = np.where(np.isfinite(outcome), expected - np.log(unit)[:, None], np.nan)
        np.testing.assert_allclose(found[i], expected, rtol=1e-10)


def test_scores_are_those_of_all_draws():
    fit, test, _ = split_fit()
    train, ahead = predict(fit), predict(fit, test)
    found = scores(fit, test, memory=1)
    y, draws = train["observed"].to_numpy(), flat(train["outcome"])
    expected = {
        "crps_train": metrics.crps(y, draws), "r2": metrics.r2(y, draws.mean(0)),
        "mape": metrics.mape(y, draws.mean(0)), "coverage": metrics.coverage(y, draws),
        "crps_test": metrics.crps(ahead["observed"], flat(ahead["outcome"])),
    }  # fmt: skip
    for name, value in expected.items():
        np.testing.assert_allclose(found[name], value, rtol=1e-9, err_msg=name)
    assert found["crps_test"] == pytest.approx(crps(test, ahead))
    assert crps(test.outcome, ahead["outcome"]) == pytest.approx(found["crps_test"])
    assert {"r2_test", "mape_test", "coverage_test"} <= set(found)
    assert np.isnan(scores(fit)["crps_test"])
    with pytest.raises(InputError, match="draws=True"):
        crps(test, predict(fit, test, draws=False))


def test_forecast_table():
    fit, test, _ = split_fit()
    table = forecast_table(fit, test)
    assert list(table.columns) == ["geo", "date", "observed", "mean", "lo", "hi"]
    assert list(dict.fromkeys(table["geo"])) == ["a", "b", "c", "ALL"]
    assert len(table) == 4 * 4
    found = predict(fit, test)
    mean = found["outcome"].mean(("chain", "draw"))
    np.testing.assert_allclose(table["mean"][:12], mean.to_numpy().ravel(), rtol=1e-12)
    np.testing.assert_allclose(table["mean"][12:], mean.sum("geo"), rtol=1e-9)
    np.testing.assert_allclose(table["observed"][12:], test.outcome.sum(0))
    national = national_fit()
    train, ahead = national.panel.split(national.panel.dates[-3])
    one = forecast_table(make_fit(2, 3, national.spec, train), ahead)
    assert set(one["geo"]) == {"national"}


@pytest.mark.slow(parts=6)
@pytest.mark.parametrize("law", LAWS)
@pytest.mark.parametrize("size", [1, 4])
def test_both_windows_at_once_are_each_alone(law, size):
    fit, test, _ = split_fit()
    likelihood, values = LAWS[law]
    shapes = {n: a.shape for n, a in fit.draws.params.items()} | {"y_nu_excess": (2, 3)}
    params = fit.draws.params | {n: np.full(shapes[n], v) for n, v in values.items()}
    spec = replace(fit.spec, likelihood=likelihood)
    fit = replace(fit, spec=spec, draws=replace(fit.draws, params=params))
    if size == 1:
        test = test.split(test.dates[0])[0]
    table, after, scores = prediction.judged_through(fit, test, seed=3)
    for window, found, tag in ((None, table, ""), (test, after, "_test")):
        alone, numbers = prediction.judged(fit, window, seed=3)
        pd.testing.assert_frame_equal(found, alone, rtol=1e-12)
        for name in ("r2" + tag, "mape" + tag, "coverage" + tag):
            np.testing.assert_allclose(scores[name], numbers[name], rtol=1e-9)


def test_prior_is_a_fit_of_prior_draws():
    priors = geo_spec().priors | {  # families that compile quickly
        "adstock_alpha": Prior("Uniform", low=0.0, high=0.8),
        "saturation_lam": Prior("HalfNormal", scale=2.0),
    }
    spec, panel = replace(geo_spec(), priors=priors), geo_panel()
    fit = sample_prior(spec, panel, draws=400, seed=1)
    assert fit.draws.params["saturation_beta"].shape == (1, 400, 3, 3)
    alpha = fit.draws.params["adstock_alpha"].ravel()
    assert stats.kstest(alpha / 0.8, "uniform").pvalue > 1e-5
    level = (fit.draws.params["intercept"].ravel() - 0.4) / 0.2
    assert stats.kstest(level, "norm").pvalue > 1e-5
    again = sample_prior(spec, panel, draws=400, seed=1).draws.params
    for name, values in again.items():
        np.testing.assert_array_equal(values, fit.draws.params[name])
    ready = prepare(spec, panel)
    some = prior_params(ready.spec, ready.data, 400, 1, ("intercept",))
    assert list(some) == ["intercept"]
    np.testing.assert_array_equal(some["intercept"], again["intercept"][0])
    found = prior_predictive(spec, panel, draws=400, seed=1)
    assert found["outcome"].shape == (1, 400, 3, 16)
    assert np.isfinite(found["outcome"]).all()
    np.testing.assert_array_equal(found["outcome"], predict(fit, seed=1)["outcome"])
    with pytest.raises(InputError, match="draws"):
        prior_predictive(spec, panel, draws=0)


@pytest.mark.parametrize("kind", FITS)
def test_arviz_compares_fits_by_their_log_likelihood(kind):
    fit = FITS[kind](draws=50)
    outcome = fit.panel.outcome.copy()
    outcome[0, 3] = np.nan  # a masked cell is no observation
    fit = replace(fit, panel=replace(fit.panel, outcome=outcome))
    tree = fit.to_arviz(log_likelihood=True)
    assert set(fit.to_arviz().children) == {"posterior", "sample_stats"}
    found = tree["log_likelihood"]["outcome"]
    wanted = log_likelihood(fit)["outcome"]
    seen = fit.panel.mask[:, fit.panel.window]
    assert found.sizes == {"chain": 2, "draw": 50, "observation": seen.sum()}
    np.testing.assert_array_equal(found.values, wanted.values[..., seen])
    for i in (0, seen.sum() - 1):
        cell = found.isel(observation=i)
        there = wanted.sel(geo=cell["geo"].item(), date=cell["date"].values)
        np.testing.assert_array_equal(cell.values, there.values)
    other = replace(fit, panel=replace(fit.panel, outcome=outcome * 1.2))
    trees = {"one": tree, "other": other.to_arviz(log_likelihood=True)}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # k is large: these draws are no posterior
        loos = {name: az.loo(tree) for name, tree in trees.items()}
        order = az.compare(trees)
    every = found.values.reshape(-1, seen.sum())
    within = (logsumexp(every, axis=0) - np.log(len(every))).sum()
    assert loos["one"].n_data_points == seen.sum()
    assert loos["one"].elpd < within  # a cell that is left out is predicted less well
    best = max(loos, key=lambda name: loos[name].elpd)
    assert order.index[0] == best
