"""Two channels that act together, against loops in NumPy."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import mmmjax as mm
from mmmjax import response
from mmmjax.budget.horizon import Form, make_window, response_of
from mmmjax.prepare import scale_of
from mmmjax.spec import Spec
from mmmjax.terms import Interaction
from tests.fits import make_fit, make_panel

TABLE = """
[model]
adstock = { max_lag = 3 }
seasonality = false

[[model.term]]
kind = "interaction"
channels = ["TV", "Search"]
"""
PAIR = Interaction(["TV", "Search"])


def spec_of(*terms, **changes):
    carry = mm.adstock.Geometric(max_lag=3)
    return Spec(adstock=carry, seasonality=None, terms=(PAIR, *terms), **changes)


def fit_of(spec=None, panel=None, chains=2, draws=4):
    panel = panel or make_panel(geos=("a", "b"), periods=14)
    rng = np.random.default_rng(3)
    gamma = rng.uniform(0.2, 0.5, (chains, draws))
    fit = make_fit(chains, draws, spec or spec_of(), panel, dtype=np.float64,
                   gamma_interaction=gamma)  # fmt: skip
    return dataclasses.replace(fit, scale=scale_of(fit.spec, panel))


def bent(fit, media, chain, draw):
    """Saturated, carried media (geo, channel, time) of one draw, channel by channel."""
    p = {n: x[chain, draw] for n, x in fit.draws.params.items()}
    out = np.empty_like(media)
    for g in range(media.shape[0]):
        for c in range(media.shape[1]):
            alpha, lam = p["adstock_alpha"][c], p["saturation_lam"][c]
            weights = alpha ** np.arange(3) / (alpha ** np.arange(3)).sum()
            for t in range(media.shape[2]):
                x = sum(weights[k] * media[g, c, t - k] for k in range(min(3, t + 1)))
                out[g, c, t] = np.tanh(lam * x / 2)
    return p["saturation_beta"][:, None] * out, p["gamma_interaction"], out


@pytest.mark.usefixtures("x64")
def test_contributions_have_half_each_and_add_up():
    fit = fit_of()
    inputs = jax.tree.map(jnp.asarray, fit.inputs())
    own, gamma, s = bent(fit, np.asarray(inputs["media"]), 0, 1)
    p = {n: jnp.asarray(x[0, 1]) for n, x in fit.draws.params.items()}
    parts = response.components(p, inputs, fit.spec)
    both = gamma * s[:, 0] * s[:, 1]
    own[:, 0] += both / 2
    own[:, 1] += both / 2
    np.testing.assert_allclose(parts["channel"], own, rtol=1e-9)
    assert "interaction" not in parts
    every = mm.contributions(fit).sel(summary="mean")
    whole = every["channel_contribution"].sum("channel") + every["baseline"]
    np.testing.assert_allclose(whole + every["controls"], every["mu"], rtol=1e-6)


@pytest.mark.usefixtures("x64")
def test_a_return_has_all_that_goes_with_the_channel():
    """Each channel's spend of the window at 0, the other's as it was, tail counted."""
    fit = fit_of()
    found = mm.roas(fit)
    media = np.asarray(fit.inputs()["media"])
    media = np.pad(media, ((0, 0), (0, 0), (0, 2)))
    own, gamma, s = bent(fit, media, 1, 2)
    for c in (0, 1):
        lost = own[:, c] + gamma * s[:, 0] * s[:, 1]
        lost = lost.sum(-1) * fit.scale.outcome
        spend = fit.panel.spend[:, :, c].sum(1)
        got = found["roas"][1, 2, :, c]
        np.testing.assert_allclose(got, lost / spend, rtol=1e-6)


@pytest.mark.usefixtures("x64")
def test_a_plan_counts_it_and_is_not_certified():
    """The response of a plan is that of the forward function with spend after training."""
    fit = fit_of(panel=make_panel(geos=("a",), periods=14))
    plan = mm.optimize(fit, periods=5, starts=2)
    assert not plan.certified
    assert "TV and Search act together" in plan.gap_reason
    cost = fit.panel.cost_per_unit()[:, fit.panel.paid, None]
    window = make_window([fit], 5, "history", [cost])
    money = np.array([300.0, 900.0])
    respond = response_of(window, Form(fit.spec.structure()))
    found = np.asarray(respond(jnp.asarray(money)))
    media = np.asarray(fit.inputs()["media"])
    new = np.zeros((1, 3, 7))
    each = money / cost[0, :, 0] / np.asarray(fit.scale.media)[0, :2] / 5
    new[0, :2, :5] = each[:, None]
    for k, (chain, draw) in enumerate(np.ndindex(2, 4)):
        totals = []
        for later in (new, 0 * new):
            own, gamma, s = bent(fit, np.concatenate([media, later], -1), chain, draw)
            both = gamma * s[0, 0] * s[0, 1]
            totals.append((own[0, :2] + both / 2)[:, -7:].sum(-1))
        wanted = (totals[0] - totals[1]) * fit.scale.outcome[0]
        np.testing.assert_allclose(found[k], wanted, rtol=1e-6)
    slope = jax.jacfwd(lambda x: respond(x).sum(1).mean())(jnp.asarray(money))
    assert (np.asarray(slope) > 0).all()


def test_a_case_file_says_it():
    spec = Spec.from_toml(TABLE)
    assert spec.terms == (PAIR,)
    assert Spec.from_toml(spec.to_toml()) == spec
    assert "TV * Search" in str(mm.structure(spec, make_panel()))


@pytest.mark.parametrize("pair", [["TV"], ["TV", "TV"], "TV", ["TV", "Mail", "Search"]])
def test_what_is_no_pair_is_refused(pair):
    with pytest.raises(mm.InputError, match="two names"):
        Interaction(pair)


def test_channels_that_are_not_there_and_organic_ones():
    spec = Spec(terms=(Interaction(["TV", "Serch"]),))
    with pytest.raises(mm.InputError, match='did you mean "Search"'):
        spec.sizes(make_panel())
    spec = dataclasses.replace(spec_of(), terms=(Interaction(["TV", "Mail"]),))
    with pytest.raises(mm.InputError, match="act together"):
        mm.optimize(fit_of(spec), periods=4)


@pytest.mark.slow
def test_fits_files_forecasts_backtests_reports_and_fleets(tmp_path):
    panel = make_panel(geos=("a",), periods=60)
    train, test = panel.split(panel.dates[49])
    short = mm.HMC(chains=2, warmup=60, draws=20, until=None)
    fit = mm.fit(spec_of(), train, short, seed=1)
    mm.save(fit, tmp_path / "fit.nc")
    again = mm.load(tmp_path / "fit.nc")
    assert again.spec == fit.spec
    assert np.isfinite(mm.predict(again, test)["outcome"]).all()
    assert len(mm.tables.channels(again))
    mm.report(fit, tmp_path / "report.html", test=test)
    rules = {"folds": 1, "horizon": 6, "least": 40, "baselines": False}
    found = mm.backtest(spec_of(), panel, short, **rules, progress=False)
    assert np.isfinite(found.scores["crps"].sel(model="mmm")).all()
    markets = {name: make_panel(geos=("a",), periods=40 + k) for k, name in enumerate("xy")}
    fleet = mm.fit_fleet(spec_of(), markets, short, refit=False, progress=False)
    assert np.isfinite(fleet.table["crps"]).all()
