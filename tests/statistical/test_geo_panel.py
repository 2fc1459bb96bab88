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
    assert case.spec.dims("saturation_beta") == ("channel",)
    assert case.spec.outcome_scale == "geo"
    settings = mm.NUTS(warmup=500, draws=500)
    fit = mm.fit(case.spec, case.train, settings, progress=False)
    found = mm.diagnostics(fit)
    assert found.converged, found.verdict
    assert fit.draws.params["intercept"].shape[2:] == (40,)
    before = set(programs._PROGRAMS)
    rng = np.random.default_rng(0)
    noisy = case.train.outcome * rng.uniform(0.9, 1.1, case.train.outcome.shape)
    other = dataclasses.replace(case.train, outcome=noisy)
    short = dataclasses.replace(settings, warmup=50, draws=50)
    again = mm.fit(case.spec, other, short, seed=1, progress=False)
    assert again.info["timings"]["compile_s"] == 0.0
    assert set(programs._PROGRAMS) == before
    assert not np.allclose(again.scale.outcome, fit.scale.outcome)
