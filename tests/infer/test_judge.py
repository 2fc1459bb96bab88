"""R-hat and ESS of all parameters at once, against ArviZ one by one."""

import dataclasses
import tracemalloc

import numpy as np
import pytest
from arviz_stats.base import array_stats

import mmmjax as mm
from mmmjax import convergence
from mmmjax.infer.judge import statistics, until_enough, worst
from mmmjax.infer.progress import Progress
from mmmjax.samplers import most_draws
from tests.infer.problems import CASES


def chains(kind, seed=0, shape=(4, 801, 6)):
    """Autoregressive chains: well mixed, of different means, of different spreads."""
    rng = np.random.default_rng(seed)
    noise = rng.standard_normal(shape)
    x = np.empty(shape)
    x[:, 0] = noise[:, 0]
    rho = np.linspace(-0.4, 0.9, shape[2])
    for t in range(1, shape[1]):
        x[:, t] = rho * x[:, t - 1] + np.sqrt(1 - rho**2) * noise[:, t]
    if kind == "means":
        x[0] += 0.5
    if kind == "spreads":
        x[0] *= 2.0
    if kind == "tied":
        x = np.round(x, 1)
    return np.exp(x) if kind == "skewed" else x


@pytest.mark.parametrize("kind", ["mixed", "means", "spreads", "skewed", "tied"])
def test_the_numbers_are_those_of_arviz(kind):
    x = chains(kind)
    r_hat, ess = statistics(x)
    by = np.moveaxis(x, -1, 0)
    np.testing.assert_allclose(r_hat, array_stats.rhat(by, method="rank"), atol=2e-4)
    theirs = np.minimum(
        array_stats.ess(by, method="bulk"),
        array_stats.ess(by, method="tail", prob=(0.05, 0.95)),
    )
    np.testing.assert_allclose(ess, theirs, rtol=0.03)
    assert worst({"a": x[..., :3], "b": x[..., 3:]}) == (r_hat.max(), ess.min())


def test_blocks_of_parameters_change_no_number(monkeypatch):
    params = {"a": chains("mixed")[..., :4].astype("f4"), "b": chains("tied")[..., 0]}
    whole = worst(params)
    monkeypatch.setattr(convergence, "BLOCK", 1)
    assert worst(params) == whole


def test_memory_of_the_verdict_does_not_grow_with_the_parameters():
    """Twenty copies in float64 of a pooled panel's draws were a GB."""
    draws = np.random.default_rng(0).standard_normal((4, 400, 2000), np.float32)
    tracemalloc.start()
    worst({"beta": draws})
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 2 * draws.nbytes + 24 * 8 * convergence.BLOCK


@pytest.mark.parametrize(
    "what", ["constant", "one chain stands", "nan", "few", "one chain"]
)
def test_what_cannot_be_judged_is_never_converged(what):
    x = chains("mixed")
    if what == "constant":
        x[..., 2] = 1.0
    if what == "one chain stands":
        x[1, :, 2] = x[1, 0, 2]
    if what == "nan":
        x[0, 5, 2] = np.nan
    x = x[:, :3] if what == "few" else x[:1] if what == "one chain" else x
    r_hat, ess = statistics(x)
    assert r_hat[2] == np.inf
    assert ess[2] == 0
    assert np.isfinite(r_hat[0]) == (what not in ("few", "one chain"))


NUTS = mm.NUTS(chains=2, warmup=100, draws=100)
HMC = mm.HMC(chains=4, warmup=100, draws=100)


@pytest.mark.parametrize("sampler", [NUTS, HMC], ids=["nuts", "hmc"])
def test_it_goes_on_by_default_and_judges_as_diagnostics_does(sampler):
    """The first draws are those of a sampler that stops, bit for bit."""
    the_spec, the_panel = CASES["national"]
    fit = lambda how: mm.fit(the_spec, the_panel, how, progress=False)
    longer, fixed = fit(sampler), fit(dataclasses.replace(sampler, until=None))
    assert fixed.draws.n_draws == 100 < longer.draws.n_draws <= 400
    for name, value in fixed.draws.params.items():
        np.testing.assert_array_equal(longer.draws.params[name][:, :100], value)
    for name, value in fixed.draws.stats.items():
        np.testing.assert_array_equal(longer.draws.stats[name][:, :100], value)
    told, found = mm.diagnostics(longer), longer.info["until"]
    assert found["looks"] == list(range(100, longer.draws.n_draws + 1, 100))
    assert found["r_hat"] == told.max_r_hat
    assert found["ess"] == min(told.min_ess_bulk, told.min_ess_tail)
    assert found["met"] == (found["r_hat"] <= 1.01 and found["ess"] >= 100 * sampler.chains)
    assert found["met"] == told.converged
    assert not mm.diagnostics(fixed).converged
    assert "until" not in fixed.info


@pytest.mark.parametrize("sampler", [NUTS, HMC], ids=["nuts", "hmc"])
def test_draws_that_are_enough_at_the_first_look_stay_as_they_are(sampler):
    the_spec, the_panel = CASES["national"]
    easy = dataclasses.replace(sampler, until=mm.Converged(r_hat=2.0, ess=1))
    one, two = (
        mm.fit(the_spec, the_panel, how, progress=False)
        for how in (easy, dataclasses.replace(sampler, until=None))
    )
    assert one.info["until"] | {"met": True, "looks": [100]} == one.info["until"]
    assert not any("draws a chain" in note for note in one.info["notes"])
    for name, value in two.draws.params.items():
        np.testing.assert_array_equal(one.draws.params[name], value)


def looks_of(sampler, at):
    """Chunks asked for, of chains that are independent from draw ``at`` on."""
    rng, asked = np.random.default_rng(0), []

    def advance(done, now):
        asked.append((done, now))
        x = rng.normal(size=(sampler.chains, now * sampler.chunk))
        if done * sampler.chunk < at:
            x += 10.0 * np.arange(sampler.chains)[:, None]
        return None, {"x": x}

    return asked, until_enough(sampler, advance, Progress(sampler.chains, False))[2]


@pytest.mark.parametrize("chains", [2, 4, 8, 16])
def test_the_usual_asks_for_a_hundred_a_chain(chains):
    usual = mm.Converged()
    assert usual.met(1.01, 100 * chains, chains)
    assert not usual.met(1.0, 100 * chains - 1, chains)
    assert not usual.met(1.0101, 1e6, chains)
    assert not usual.met(np.inf, 0.0, chains)
    assert not usual.met(np.nan, np.nan, chains)
    assert mm.Converged(ess=7).met(1.01, 7, chains)


def test_it_stops_at_the_most_that_is_allowed():
    never = 10_000
    asked, found = looks_of(mm.NUTS(draws=120), never)  # chunks of 50: 3, and 10 in all
    assert asked == [(0, 3), (3, 3), (6, 3), (9, 1)]
    assert found["looks"] == [150, 300, 450, 500]
    assert not found["met"]
    asked, _ = looks_of(mm.NUTS(draws=100, max_draws=100), never)
    assert asked == [(0, 2)]
    asked, found = looks_of(mm.HMC(draws=100, until=None), never)
    assert (asked, found) == ([(0, 2)], None)
    asked, found = looks_of(mm.NUTS(chains=1, draws=100), never)
    assert (asked, found) == ([(0, 2)], None)  # one chain has no R-hat


def test_draws_of_a_fixed_number_may_be_many():
    """The cap follows the draws: asking for many is no contradiction."""
    assert most_draws(mm.NUTS(draws=5000)) == 20_000
    assert most_draws(mm.HMC(draws=5000, until=None)) == 5000
    assert most_draws(mm.HMC(draws=500, max_draws=700)) == 700
    assert most_draws(mm.NUTS(draws=500, until=None, max_draws=700)) == 500


@pytest.mark.parametrize("record", [mm.NUTS, mm.HMC])
def test_until_reads_as_files_have_it(record):
    assert record(until=False).until is None
    assert record(until=True).until == mm.Converged()
    assert record(until={"r_hat": 1.05, "ess": 200}).until == mm.Converged(1.05, 200)
    assert record(until={"r_hat": 1.05}).until == mm.Converged(1.05)
