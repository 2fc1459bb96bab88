"""Forty geos with media as impressions and spend apart: converges, and compiles once."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest

import mmmjax as mm
from mmmjax import programs
from mmmjax.cli import case as cases

ROOT = Path(__file__).resolve().parents[2]
DATA = ROOT.parent / "shared" / "data" / "geo_all_channels.csv"


@pytest.mark.slow
@pytest.mark.skipif(not DATA.exists(), reason="the shared data are not beside the checkout")
def test_forty_geos_converge_and_a_second_panel_compiles_nothing():
    case = cases.read(ROOT / "benchmarks" / "geo" / "case.toml")
    assert (case.panel.n_geos, int(case.panel.paid.sum())) == (40, 5)
    assert case.spec.dims("intercept") == ("geo",)
    assert case.spec.dims("saturation_beta") == ("geo", "channel")  # pooled by default
    assert case.spec.outcome_scale == "geo"
    settings = mm.HMC()
    fit = mm.fit(case.spec, case.train, settings, progress=False)
    found = mm.diagnostics(fit)
    assert found.converged, found.verdict
    assert fit.draws.params["intercept"].shape[2:] == (40,)
    before = set(programs._PROGRAMS)
    rng = np.random.default_rng(0)
    noisy = case.train.outcome * rng.uniform(0.9, 1.1, case.train.outcome.shape)
    other = dataclasses.replace(case.train, outcome=noisy)
    short = dataclasses.replace(settings, warmup=50, draws=50, until=None)
    again = mm.fit(case.spec, other, short, seed=1, progress=False)
    assert again.info["timings"]["compile_s"] == 0.0
    assert set(programs._PROGRAMS) == before
    assert not np.allclose(again.scale.outcome, fit.scale.outcome)


@pytest.mark.slow
@pytest.mark.skipif(not DATA.exists(), reason="the shared data are not beside the checkout")
def test_the_whole_study_on_forty_geos(tmp_path):
    """Look, doubt, explain, what-if, validate, report: totals over geos, and one geo."""
    case = cases.read(ROOT / "benchmarks" / "geo" / "case.toml")
    train, test = case.panel.split(case.panel.dates[-9])
    short = mm.NUTS(chains=2, warmup=100, draws=100, until=None)
    fit = mm.fit(case.spec, train, short, progress=False)
    geo = train.geos[7]
    for seen in (mm.explore(train, test, total=True), mm.explore(train.select(geo), None)):
        assert seen.sizes["geo"] == 1
        mm.plot.outcome(seen)
        mm.plot.against_outcome(seen)
    each, whole = mm.decomposition(fit), mm.decomposition(fit, total=True)
    for part in (each, whole):
        shares = part["share"].sel(summary="mean").sum("component")
        np.testing.assert_allclose(shares, 1.0, rtol=1e-9)
    sums = each["total"].sel(summary="mean").sum("geo")
    np.testing.assert_allclose(whole["total"].sel(summary="mean")[0], sums, rtol=1e-9)
    left = mm.residuals(fit, total=True)
    mm.plot.residuals(left)
    more = mm.reweight(fit, {train.channels[0]: 1.2}, keep_total=False)
    what_if = mm.counterfactual(fit, more)
    assert (what_if["difference_contribution"] > 0).all()
    apart = mm.counterfactual(fit, more, total=False)["difference_contribution"].sum("geo")
    np.testing.assert_allclose(what_if["difference_contribution"][..., 0], apart, rtol=1e-9)
    found = mm.tables.every(fit, test)
    for name in ("curves", "sweep", "returns", "decomposition", "weekly", "forecast"):
        assert set(found[name]["geo"]) == {*train.geos, "ALL"}
    mm.plot.contributions(found["weekly"], geo=geo)
    mm.plot.curves(found["curves"], geo=geo)
    mm.plot.roas_over_time(found["returns"])
    mm.plot.forecast(found["forecast"], found["fitted"], geo=geo)
    page = mm.report(fit, tmp_path / "report.html", test=test, tables=found)
    assert page.stat().st_size < 3_000_000  # 0.9 million are Vega
    folds = mm.backtest(case.spec, case.panel, short, folds=2, horizon=8, progress=False)
    assert np.isfinite(folds.scores["crps"].sel(model="mmm", split="test")).all()
