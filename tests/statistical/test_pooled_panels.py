"""Panels of several geos by default: calibrated, right beside plain NumPyro, in fleets.

The whole of the calibration, 200 panels, is benchmarks/panel_sbc.py; twenty are run here.
"""

import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import numpyro
import pytest

import mmmjax as mm
from mmmjax.model import program
from mmmjax.prepare import prepare
from tests.infer.problems import panel, spec
from tests.infer.test_nuts import mcse

pytestmark = pytest.mark.slow(parts=12)
LIKELIHOODS = [mm.likelihood.StudentT(), mm.likelihood.TruncatedNormal(low=0.0)]


@pytest.mark.parametrize("likelihood", LIKELIHOODS, ids=lambda one: one.kind)
def test_ten_geos_agree_with_plain_numpyro_nuts_on_the_density_as_it_is(likelihood):
    """Means within 5 combined Monte Carlo errors (70 numbers: 1 in 25,000 by chance)."""
    the_spec, the_panel = spec(seasonality=None, likelihood=likelihood), panel(10)
    ours = mm.fit(the_spec, the_panel, mm.HMC(), progress=False)
    found = mm.diagnostics(ours)
    assert found.max_r_hat <= 1.01
    assert min(found.min_ess_bulk, found.min_ess_tail) >= 400
    assert found.divergences == 0
    ready = prepare(the_spec, the_panel)
    with jax.enable_x64(True):
        data = jax.tree.map(jnp.asarray, ready.data.astype(np.float64))
        kernel = numpyro.infer.NUTS(program, target_accept_prob=0.95, dense_mass=True)
        plain = numpyro.infer.MCMC(
            kernel, num_warmup=1000, num_samples=1500, num_chains=4,
            chain_method="vectorized", progress_bar=False,
        )  # fmt: skip
        plain.run(jax.random.key(1), ready.spec.structure(), data)
        theirs = plain.get_samples(group_by_chain=True)
    for label, value in ours.draws.params.items():
        a, b = value.astype(float), np.asarray(theirs[label], float)
        z = (a.mean((0, 1)) - b.mean((0, 1))) / np.hypot(mcse(a), mcse(b))
        assert np.all(np.abs(z) < 5), (label, z)


def test_a_fleet_of_sixteen_panels_converges_and_each_is_what_it_is_alone():
    panels = {f"market {i:02d}": panel(10, seed=i) for i in range(16)}
    the_spec = spec(seasonality=None)
    fleet = mm.fit_fleet(the_spec, panels, mm.HMC(), progress=False)
    assert (fleet.table["status"] == "converged").all(), fleet.table["status"]
    assert len(fleet.plan) == 1
    alone = mm.fit(the_spec, panels["market 05"], mm.HMC(), seed=1, progress=False)
    for label, value in alone.draws.params.items():
        a, b = value.astype(float), fleet["market 05"].draws.params[label].astype(float)
        z = (a.mean((0, 1)) - b.mean((0, 1))) / np.hypot(mcse(a), mcse(b))
        assert np.all(np.abs(z) < 5), (label, z)


def test_twenty_panels_of_the_prior_are_calibrated(monkeypatch):
    root = Path(__file__).resolve().parents[2]
    monkeypatch.setattr(sys, "path", [str(root / "benchmarks"), *sys.path])
    import panel_sbc

    ranks, r_hats = panel_sbc.ranks(*panel_sbc.world(), range(20), 1, mm.HMC())
    assert (r_hats <= 1.01).mean() >= 0.9
    assert panel_sbc.alarms(panel_sbc.p_values(ranks)) == []
