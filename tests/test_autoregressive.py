"""Errors that follow one another: density, paths, forecasts, and what judges them.

The oracle is the dense covariance of the cells that were seen, by SciPy in float64.
"""

from dataclasses import replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
import pytest
from scipy import stats

import mmmjax as mm
from mmmjax import response
from mmmjax.draws import Draws
from mmmjax.graph import structure
from mmmjax.laws import Autoregressive
from mmmjax.likelihood import Target
from mmmjax.model import model_data
from mmmjax.prediction import judged, judged_through
from mmmjax.prepare import scale_of
from tests.fits import make_fit
from tests.posterior.examples import geo_panel, national_panel

pytestmark = pytest.mark.usefixtures("x64")

AR = mm.likelihood.Normal(autoregressive=True)
RHOS = (-0.9, 0.0, 0.6, 0.98)


def spec_of(record=AR):
    return mm.Spec(likelihood=record, adstock=mm.adstock.Geometric(4), seasonality=None)


def covariance(rho, n):
    """Of n periods of an AR(1) with new noise of size 1."""
    far = np.abs(np.subtract.outer(np.arange(n), np.arange(n)))
    return np.float64(rho) ** far / (1 - rho**2)


def rows(n=30, seed=0):
    rng = np.random.default_rng(seed)
    seen = rng.random((3, n)) > 0.4
    seen[1, :4], seen[1, -5:] = False, False  # one starts late and ends early
    seen[2] = True
    loc, scale = rng.normal(size=(3, n)), 0.3 + rng.random((3, n))
    return seen, loc, scale, loc + rng.normal(size=(3, n))


@pytest.mark.parametrize("rho", RHOS)
def test_the_density_is_the_joint_one_of_the_cells_that_were_seen(rho):
    seen, loc, scale, y = rows()
    each = np.asarray(Autoregressive(loc, scale, rho, seen).log_prob(y))
    whole = covariance(rho, y.shape[1])
    for g, here in enumerate(seen):
        size = np.diag(scale[g, here])
        law = stats.multivariate_normal(
            loc[g, here], size @ whole[np.ix_(here, here)] @ size
        )
        np.testing.assert_allclose(each[g, here].sum(), law.logpdf(y[g, here]), atol=1e-9)
    junk = np.where(seen, y, 1e6)  # what was not seen has no say
    again = np.asarray(Autoregressive(loc, scale, rho, seen).log_prob(junk))
    np.testing.assert_array_equal(again[seen], each[seen])


@pytest.mark.parametrize("rho", RHOS)
def test_what_follows_is_the_conditional_law_of_the_joint_one(rho):
    seen, loc, scale, y = rows()
    n, more = y.shape[1], 7
    left = Autoregressive(loc, scale, rho, seen).left(y)
    law = Autoregressive(jnp.zeros((3, more)), 2.0, rho, **left)
    whole = covariance(rho, n + more)
    drawn = np.asarray(law.sample(jax.random.key(1), (20_000,)))
    for g, here in enumerate(seen):
        here = np.append(here, np.zeros(more, bool))
        z = ((y - loc) / scale)[g][here[:n]]
        back = whole[n:, here] @ np.linalg.inv(whole[np.ix_(here, here)])
        mean, rest = 2 * back @ z, 4 * (whole[n:, n:] - back @ whole[here, n:])
        np.testing.assert_allclose(law.mean[g], mean, atol=1e-9)
        np.testing.assert_allclose(law.variance[g], np.diag(rest), atol=1e-9)
        error = np.sqrt(np.diag(rest) / len(drawn))
        assert np.abs((drawn[:, g].mean(0) - mean) / error).max() < 4.5
        found = np.cov(drawn[:, g].T)
        size = np.sqrt(np.multiply.outer(np.diag(rest), np.diag(rest)) + rest**2)
        assert np.abs((found - rest) / size).max() * np.sqrt(len(drawn)) < 4.8


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_gradients_are_finite_at_the_edges(dtype):
    seen, loc, _, y = rows()
    target = Target(y.astype(dtype), seen, np.zeros((3, 1)), np.ones((3, 1)))

    @jax.jit
    @jax.grad
    def slope(p):
        law = AR.law(jnp.asarray(loc, dtype), p, target)
        return jnp.where(seen, law.log_prob(target.outcome), 0.0).sum()

    for rho in (0.0, 1e-30, -1e-30, 0.9999, -0.9999):
        for sigma in (1e-3, 1e3):
            p = {"y_rho": dtype(rho), "y_sigma": dtype(sigma)}
            assert all(np.isfinite(x) for x in slope(p).values()), p


def test_it_is_a_value_and_says_what_it_is():
    spec = spec_of()
    assert mm.Spec.from_toml(spec.to_toml()) == spec
    assert "autoregressive" not in spec_of(mm.likelihood.Normal()).to_toml()
    assert repr(AR) == "Normal(autoregressive=True)"
    assert spec.structure().likelihood.autoregressive
    texts = {node.name: node.text for node in structure(spec).nodes}
    assert "AR1(mu, y_sigma, y_rho)" in texts["y"]
    low, high = stats.truncnorm(-3.5, 1.5, 0.4, 0.4).ppf([0.05, 0.95])
    assert -0.3 < low < 0
    assert 0.8 < high < 1
    with pytest.raises(mm.InputError, match="autoregressive = true"):
        mm.likelihood.Normal(autoregressive="yes")  # pyright: ignore
    with pytest.raises(mm.InputError, match="autoregressive"):
        mm.Spec(priors={"y_rho": mm.Prior("Uniform", low=0.0, high=1.0)})
    with pytest.raises(mm.InputError, match="y_rho"):
        replace(spec, priors={"y_rho": mm.Prior("Normal", scale=1.0)})


def two_windows(panel, link="identity", draws=2000):
    """The fit of one point drawn often, what follows it, and the point."""
    train, later = panel.split(panel.dates[-6])
    spec = spec_of(mm.likelihood.Normal(link=link, autoregressive=True))
    one = {"intercept": 0.4, "y_sigma": 0.1, "y_rho": 0.7, "adstock_alpha": 0.3,
           "saturation_lam": 1.5, "saturation_beta": 0.2, "gamma_control": 0.1}  # fmt: skip
    fit = make_fit(1, 2, spec, train)
    same = {
        n: np.full((1, draws, *a.shape[2:]), one[n]) for n, a in fit.draws.params.items()
    }
    return make_fit(1, draws, spec, train, dtype=np.float64, **same), later


@pytest.mark.parametrize("link", ["identity", "log"])
def test_forecasts_go_on_from_the_last_error_and_come_back(link):
    fit, later = two_windows(geo_panel(), link)
    inputs = jax.tree.map(jnp.asarray, fit.inputs())
    params = {n: jnp.asarray(x[0]) for n, x in fit.flat().items()}
    mu = np.asarray(response.level(params, inputs, fit.spec))
    panel, unit = fit.panel, fit.scale.outcome[:, None]
    y = panel.outcome[:, panel.window] / unit
    drawn = mm.predict(fit, later, seed=2)["outcome"].to_numpy()[0] / unit
    kept = Draws({n: x for n, x in fit.draws.params.items() if n != "y_rho"})
    none = replace(fit, spec=spec_of(mm.likelihood.Normal(link=link)), draws=kept)
    mean = mm.predict(none, later)["outcome"].to_numpy()[0].mean(0) / unit
    n = later.n_periods
    for g in range(panel.n_geos):
        t = np.flatnonzero(np.isfinite(y[g]))[-1]
        ahead = np.arange(1, n + 1) + y.shape[1] - 1 - t
        wanted = 0.7**ahead * (y[g, t] - mu[g, t])
        sd = 0.1 * np.sqrt((1 - 0.7 ** (2 * ahead)) / (1 - 0.7**2))
        error = np.sqrt((sd**2 + 0.1**2) / drawn.shape[0])
        gone = (drawn[:, g].mean(0) - mean[g] - wanted) / error
        assert np.abs(gone).max() < 4.5
        assert np.abs(drawn[:, g].std(0) / sd - 1).max() < 0.06
    table, scores = judged(fit, later, seed=2)
    _, after, both = judged_through(fit, later, seed=2)
    pd.testing.assert_frame_equal(table, after, rtol=1e-9)  # in one pass, or alone
    assert both["crps_test"] == pytest.approx(scores["crps_test"], rel=1e-9)


def test_contributions_add_up_to_the_mean_that_forecasts_come_back_to():
    fit, _ = two_windows(national_panel(30), draws=2000)
    found = mm.contributions(fit)
    mean = found["mu_total"].to_numpy()[0, :, 0]
    assert np.ptp(mean, 0).max() < 1e-9 * mean.max()  # one point
    drawn = mm.predict(fit, seed=1)["outcome"].to_numpy()[0, :, 0]
    sd = 0.1 * fit.scale.outcome[0] / np.sqrt(1 - 0.7**2)
    sums = sum(found[f"{n}_total"].to_numpy()[0].reshape(2000, -1).sum(1)
               for n in ("intercept", "channel"))  # fmt: skip
    np.testing.assert_allclose(mean, sums, rtol=1e-10)
    z = (drawn.mean(0) * 1.0).sum() - mean.mean() * 1.0
    n = drawn.shape[1]
    whole = covariance(0.7, n).sum() * (0.1 * fit.scale.outcome[0]) ** 2
    assert abs(z) < 4.5 * np.sqrt(whole / len(drawn))
    assert np.abs(drawn.std(0) / sd - 1).max() < 0.06
    said = {f.code: f for f in mm.judge(fit).findings}["errors_last"]
    assert "0.70" in said.what


def test_residuals_and_what_they_are_held_against_are_of_the_new_noise():
    panel = geo_panel()
    target = AR.target(panel, scale_of(spec_of(), panel))
    one = jax.tree.map(lambda x: x[1], target)
    rng = np.random.default_rng(0)
    mean, p = rng.normal(size=one.mask.shape), {"y_rho": 0.6, "y_sigma": 0.2}
    here = np.flatnonzero(one.mask)
    root = np.linalg.cholesky(covariance(0.6, one.mask.size)[np.ix_(here, here)])
    z = AR.deviates(mean, p, one)[here]
    wanted = np.linalg.solve(root, (one.outcome - mean)[here]) / 0.2
    np.testing.assert_allclose(z, wanted, atol=1e-9)
    some = rng.normal(size=(4, one.mask.size))
    found = AR.whitened(some, mean, p, one)[:, here]
    np.testing.assert_allclose(found, np.linalg.solve(root, some[:, here].T).T, atol=1e-9)
    plain = mm.likelihood.Normal()
    assert plain.whitened(some, mean, p, one) is some


def test_masked_rows_and_padding_change_no_density():
    spec, panel = spec_of(), geo_panel()
    data = model_data(spec, panel, scale_of(spec, panel))
    p = {"y_rho": 0.6, "y_sigma": 0.2}
    whole = lambda t: np.where(
        t.mask, AR.law(np.full(t.mask.shape, 0.3), p, t).log_prob(t.outcome), 0.0
    ).sum(1)
    plain = whole(data.target)
    np.testing.assert_allclose(whole(data.padded(6, 40).target), plain, rtol=1e-12)


def world(geos=1, weeks=104, rho=0.6, seed=1, sigma=20.0):
    """Sales with errors that last, and what media brought."""
    rng = np.random.default_rng(seed)
    parts = []
    for g in range(geos):
        media = rng.gamma(2.0, (100.0, 50.0), (weeks, 2)) * (rng.random((weeks, 2)) > 0.3)
        e = np.asarray(rng.standard_normal(weeks))
        e[0] /= np.sqrt(1 - rho**2)
        for t in range(1, weeks):
            e[t] += rho * e[t - 1]
        carried = np.stack([0.6 * sum(0.4**k * np.roll(np.append(x, np.zeros(6)), k)[:weeks]
                                      for k in range(6)) for x in media.T], 1)  # fmt: skip
        brought = np.tanh(carried / (200.0, 100.0)) * (200.0, 100.0)
        parts.append(pd.DataFrame({
            "geo": "abc"[g], "date": pd.date_range("2022-01-03", periods=weeks, freq="7D"),
            "sales": 500.0 + brought.sum(1) + sigma * e, "tv": media[:, 0],
            "radio": media[:, 1], "true_tv": brought[:, 0], "true_radio": brought[:, 1],
        }))  # fmt: skip
    frame = pd.concat(parts)
    names: dict[str, Any] = {"date": "date", "outcome": "sales", "media": ["tv", "radio"]}
    panel = mm.Panel.from_frame(frame, geo="geo" if geos > 1 else None, **names)
    return panel, frame[["true_tv", "true_radio"]].to_numpy().reshape(geos, weeks, 2)


@pytest.mark.slow(parts=6)
@pytest.mark.parametrize("geos", [1, 3])
def test_a_world_of_lasting_errors_is_recovered_and_not_found_fault_with(geos, tmp_path):
    panel, truth = world(geos)
    outcome = panel.outcome.copy()
    outcome[0, 20:23] = np.nan
    panel = replace(panel, outcome=outcome)
    train, later = panel.split(panel.dates[-9])
    fit = mm.fit(
        spec_of(), train, mm.NUTS(chains=2, warmup=300, draws=300, until=None), seed=1
    )
    told = mm.diagnostics(fit)
    assert told.max_r_hat < 1.06
    assert told.min_ess_bulk > 40
    rho, sigma = (fit.flat()[n].astype(float) for n in ("y_rho", "y_sigma"))
    assert abs(rho.mean() - 0.6) < 4 * rho.std()
    sigma = (sigma.reshape(len(rho), -1) * fit.scale.outcome).mean(1)
    assert abs(sigma.mean() - 20.0) < 4 * sigma.std()
    brought = (
        mm.contributions(fit)["channel_total"].sum("geo").to_numpy().reshape(len(rho), 2)
    )
    wanted = truth[:, :-8].sum((0, 1))
    assert (np.abs(brought.mean(0) - wanted) < 4 * brought.std(0)).all()
    codes = {f.code for f in mm.judge(fit).adequate.findings}
    assert not codes & {"memory", "drift_level", "season", "coverage", "noise"}
    assert "errors_last" in codes
    scores = mm.scores(fit, later)
    assert scores["crps_test"] < 1.3 * scores["crps_train"]
    loo = fit.to_arviz(log_likelihood=True)["log_likelihood"]["outcome"]
    assert loo.shape[-1] == train.mask.sum()
    mm.save(fit, tmp_path / "fit.nc")
    again = mm.load(tmp_path / "fit.nc")
    assert again.spec == fit.spec
    np.testing.assert_array_equal(
        mm.predict(again, later)["outcome"], mm.predict(fit, later)["outcome"]
    )
    if geos == 1:
        plain = mm.fit(spec_of(mm.likelihood.Normal()), train, fit.sampler, seed=1)
        found = {f.code: f for f in mm.judge(plain).adequate.findings}
        assert "autoregressive = true" in found["memory"].remedy


@pytest.mark.slow
def test_folds_of_a_backtest_go_on_from_their_own_errors():
    panel, _ = world(weeks=60)
    short = mm.NUTS(chains=2, warmup=100, draws=60, until=None)
    found = mm.backtest(spec_of(), panel, short, folds=2, horizon=4, least=40)
    assert set(found.runs["status"]) <= {"usable", "not converged", "no data"}
    fold = found.fits[2]
    alone = mm.predict(fold, panel.split(fold.panel.dates[-1])[1])["outcome"]
    cells = found.cells["mean"].sel(fold=2, model="mmm").to_numpy()
    np.testing.assert_allclose(alone.mean(("chain", "draw")), cells, rtol=1e-6)
    bare = found.cells["mean"].sel(fold=2, model="no_media").to_numpy()
    assert np.isfinite(bare).all()


@pytest.mark.slow(parts=6)
def test_a_fleet_of_it_is_that_of_its_markets():
    panels = {f"m{k}": world(weeks=40 + 4 * k, seed=k)[0] for k in range(2)}
    short = mm.HMC(chains=2, warmup=100, draws=60, until=None)
    fleet = mm.fit_fleet(spec_of(), panels, short, refit=False, progress=False)
    assert set(fleet.table["status"]) <= {"converged", "not converged"}
    for name in panels:
        fit = fleet[name]
        rho = fit.draws.params["y_rho"]
        assert ((rho > -1) & (rho < 1)).all()
        assert rho.std() > 0.01
        crps = fleet.table.set_index("market").loc[name, "crps"]
        assert crps == pytest.approx(mm.scores(fit)["crps_train"], rel=0.02)
