"""A fleet in which one market has facts: they are its own affair."""

import numpy as np
import pytest

import mmmjax as mm
from tests.infer.agreement import errors
from tests.infer.problems import panel, spec


@pytest.mark.slow
def test_a_fact_of_a_market_moves_that_market_as_it_moves_a_fit_alone():
    """Against NUTS on its own arrays: 5 Monte Carlo errors."""
    plain = {f"m{i}": panel(periods=40, channels=2 - i, seed=i) for i in range(2)}
    name = plain["m0"].channels[0]
    spent = float(plain["m0"].spend[..., 0].mean())
    row = {"x": spent, "delta_x": spent, "delta_y": 1.0, "sigma": 0.5}
    told = plain["m0"].with_facts([mm.facts.Lift(name, **row)])
    how = {"progress": False, "refit": False}
    sampler = mm.HMC(chains=4, draws=500, until=None)
    before = mm.fit_fleet(spec(), plain, sampler, **how)
    after = mm.fit_fleet(spec(), plain | {"m0": told}, sampler, **how)
    theirs = mm.fit(spec(), told, mm.NUTS(warmup=500, draws=500), progress=False)
    assert after["m1"].panel.facts == ()
    for n, value in after["m0"].draws.params.items():
        a, b = value.astype(float), theirs.draws.params[n].astype(float)
        z = (a.mean((0, 1)) - b.mean((0, 1))) / np.hypot(errors(a), errors(b))
        assert np.all(np.abs(z) < 5), (n, z)
    beta = [f["m0"].draws.params["saturation_beta"][..., 0] for f in (before, after)]
    moved = abs(beta[0].mean() - beta[1].mean())
    assert moved > 5 * np.hypot(*(errors(b.astype(float)) for b in beta))
    assert after["m0"].panel.facts == told.facts
