"""Priors of returns: their density, the returns that they make, what they do to a fit."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import numpyro
import pytest
from numpyro.infer.util import log_density as numpyro_log_density
from scipy import stats

import mmmjax as mm
from mmmjax.model import at_sites, prior_draw, program, sample_parameters
from mmmjax.prepare import prepare
from mmmjax.response import make_inputs, media_contribution
from tests.fits import make_panel
from tests.infer.agreement import errors
from tests.infer.problems import panel as quick_panel
from tests.infer.problems import spec as quick_spec

WINDOW = ("2022-02-01", "2022-05-01")
LOGNORMAL = mm.Prior("LogNormal", loc=0.7, scale=0.4)
GAMMA = mm.Prior("Gamma", concentration=4.0, rate=3.0)
BETA = mm.Prior("Beta", concentration1=6.0, concentration0=14.0)
LAWS = {
    LOGNORMAL: stats.lognorm(0.4, scale=np.exp(0.7)),
    GAMMA: stats.gamma(4, scale=1 / 3),
    BETA: stats.beta(6, 14),
}
LAGS, DRAWS = 4, 1500
SPEC = mm.Spec(adstock=mm.adstock.Geometric(LAGS), seasonality=None)
Return = mm.facts.Return
EACH = (
    Return("TV", roas=LOGNORMAL, start=WINDOW[0], end=WINDOW[1]),
    Return("Search", mroas=GAMMA),
    Return("Mail", share=BETA, start="2022-03-01"),
)
TOTAL = (Return(share=BETA),)
COST = (Return("TV", cost_per_outcome=GAMMA), Return("Search", roas=GAMMA))


def agrees(draws, prior):
    """Kolmogorov-Smirnov: a true law is refused once in ten thousand times."""
    assert np.size(draws) == DRAWS
    return stats.kstest(np.ravel(draws), LAWS[prior].cdf).pvalue > 1e-4


def drawn(spec, panel, facts, draws=DRAWS):
    return mm.sample_prior(spec, panel.with_facts(facts), draws=draws)


def share_of(fit, channels, start=None):
    """Contribution over the observed outcome, of the observed periods of a window."""
    panel = fit.panel
    seen = panel.mask & (panel.dates >= np.datetime64(start or panel.dates[0]))
    at = [panel.channels.index(name) for name in channels]
    with jax.enable_x64(True):
        x = jax.tree.map(jnp.asarray, make_inputs(fit.spec, panel, fit.scale))
        one = lambda p: media_contribution(p, x["media"], fit.spec, x)
        found = np.asarray(jax.lax.map(one, fit.draws.flat()))[:, :, at].sum(2)
    total = (found * fit.scale.outcome[:, None] * seen).sum((-1, -2))
    return total / panel.outcome[seen].sum()


def two_terms():
    own = mm.terms.Media(name="tv", channels=["TV"], saturation=mm.saturation.Hill())
    return dataclasses.replace(SPEC, terms=(own,))


SPECS = {
    "logistic": (SPEC, ("a",)),
    "no saturation": (
        mm.Spec(
            adstock=mm.adstock.Geometric(LAGS),
            saturation=mm.saturation.NoSaturation(),
            seasonality=None,
        ),
        ("a",),
    ),
    "two terms": (two_terms(), ("a",)),
    "pooled geos": (SPEC, ("a", "b", "c")),
}


@pytest.mark.parametrize("case", [
    "logistic", *(pytest.param(n, marks=pytest.mark.slow) for n in SPECS if n != "logistic")
])  # fmt: skip
def test_returns_before_the_data_speak_are_what_was_asked(case):
    """With and without saturation, carried over, of one market and of pooled geos."""
    spec, geos = SPECS[case]
    panel = make_panel(geos=geos, periods=30)
    fit = drawn(spec, panel, EACH)
    assert agrees(mm.roas(fit, window=WINDOW)["roas_total"][..., 0], LOGNORMAL)
    assert agrees(mm.mroas(fit)["mroas_total"][..., 1], GAMMA)
    assert agrees(share_of(fit, ["Mail"], "2022-03-01"), BETA)
    alpha = next(a for n, a in fit.draws.params.items() if n.endswith("adstock_alpha"))
    ranks = stats.spearmanr(mm.mroas(fit)["mroas_total"][..., 1].to_numpy().ravel(),
                            alpha[0].reshape(DRAWS, -1)[:, -1])  # fmt: skip
    assert ranks.pvalue > 1e-4  # independent of carry-over


@pytest.mark.parametrize(
    "case", ["logistic", pytest.param("pooled geos", marks=pytest.mark.slow)]
)
def test_cost_and_the_share_of_all_media_are_what_was_asked(case):
    spec, geos = SPECS[case]
    panel = make_panel(geos=geos, periods=30)
    fit = drawn(spec, panel, COST)
    assert agrees(1.0 / mm.roas(fit)["roas_total"][..., 0], GAMMA)
    assert agrees(mm.roas(fit)["roas_total"][..., 1], GAMMA)
    fit, before = drawn(spec, panel, TOTAL), mm.sample_prior(spec, panel, draws=DRAWS)
    assert agrees(share_of(fit, list(panel.channels)), BETA)
    part = [share_of(f, ["TV"]) / share_of(f, list(panel.channels)) for f in (fit, before)]
    assert stats.ks_2samp(*map(np.ravel, part)).pvalue > 1e-4  # the composition stays


def return_by_loop(p, fact, fit_panel, scale):
    """ROAS, marginal ROAS or share of one geo: NumPy loops over periods and lags."""
    c = fit_panel.channels.index(fact.channel)
    dates = fit_panel.dates
    inside = np.ones(len(dates), bool)
    if fact.start is not None:
        inside &= dates >= np.datetime64(fact.start)
    if fact.end is not None:
        inside &= dates <= np.datetime64(fact.end)

    def effect(media, shape=None):
        weights = p["adstock_alpha"][c] ** np.arange(LAGS)
        out = np.zeros(len(media) + LAGS - 1)
        for t in range(len(out)):
            for lag in range(LAGS):
                if 0 <= t - lag < len(media):
                    out[t] += weights[lag] / weights.sum() * media[t - lag]
        grown = np.exp(-p["saturation_lam"][c] * out)
        return p["saturation_beta"][c] * (1 - grown) / (1 + grown)

    media = fit_panel.media[0, :, c] / scale.media[0, c]
    money = fit_panel.spend[0, inside, c].sum()
    if fact.quantity == "share":
        seen = inside & fit_panel.mask[0]
        gain = effect(media)[: len(dates)][seen].sum()
        return gain * scale.outcome[0] / fit_panel.outcome[0, seen].sum()
    if fact.quantity == "mroas":
        step = 1e-5
        up, down = (effect(media * (1 + d * inside)).sum() for d in (step, -step))
        return (up - down) / (2 * step) * scale.outcome[0] / money
    gain = (effect(media) - effect(media * ~inside)).sum() * scale.outcome[0] / money
    return 1.0 / gain if fact.quantity == "cost_per_outcome" else gain


@pytest.mark.parametrize(
    "facts", [EACH, pytest.param(COST, marks=pytest.mark.slow)], ids=["each", "cost"]
)
def test_density_is_the_change_of_variables_by_loops(facts):
    """Up to a constant: density of the return, in place of that of the coefficient."""
    panel = make_panel(geos=("a",), periods=20)
    bare, told = (prepare(SPEC, panel.with_facts(f)) for f in ((), facts))
    gaps = []
    with jax.enable_x64(True):
        plain, data = (x.data.astype(np.float64) for x in (bare, told))
        plain, data = jax.tree.map(jnp.asarray, (plain, data))
        for seed in range(3):
            p = draw(prior_draw, told.spec, data, seed)
            held = at_sites(told.spec, data, p)
            known = numpyro_log_density(program, (told.spec, data), {}, held)[0]
            alone = numpyro_log_density(program, (bare.spec, plain), {}, p)[0]
            scales = plain.hyper["saturation_beta"]["scale"]
            for fact in facts:
                c = panel.channels.index(fact.channel)
                beta, one = float(p["saturation_beta"][c]), np.asarray
                r = return_by_loop(
                    {n: one(x) for n, x in p.items()}, fact, panel, told.scale
                )
                slope = r * (r if fact.quantity == "cost_per_outcome" else 1 / r)
                alone += LAWS[fact.prior].logpdf(r) + np.log(slope)
                alone -= stats.halfnorm(scale=float(scales[c])).logpdf(beta)
            gaps.append(float(known - alone))
    assert np.ptp(gaps) < 1e-6


def draw(of, spec, data, seed):
    with numpyro.handlers.seed(rng_seed=seed):
        return of(spec, data)


@pytest.mark.slow
def test_density_of_pooled_geos_and_of_all_media():
    """The typical value takes the slope of the national return; exactly, no constant."""
    panel = make_panel(geos=("a", "b"), periods=20)
    fact = Return("TV", roas=LOGNORMAL)
    bare, told = (prepare(SPEC, panel.with_facts(f)) for f in ((), (fact,)))
    whole = prepare(SPEC, panel.with_facts(TOTAL))
    gaps = []
    with jax.enable_x64(True):
        cast = lambda x: jax.tree.map(jnp.asarray, x.data.astype(np.float64))
        plain, data, total = map(cast, (bare, told, whole))
        fit = mm.sample_prior(SPEC, panel, draws=3, seed=3)
        roas = mm.roas(fit)["roas_total"][0, :, 0].to_numpy()
        share = share_of(fit, list(panel.channels))
        s = np.asarray(plain.hyper["saturation_beta"]["scale"])
        for i in range(3):
            p = {n: jnp.asarray(x[0, i]) for n, x in fit.draws.params.items()}
            sites = {s.name for s in told.spec.sites(told.spec.sizes(panel))}
            p |= {n: raw for n, raw in offsets(told.spec, plain, p).items() if n in sites}
            alone, one, all_ = (
                float(numpyro_log_density(program, (told.spec, d), {}, p)[0])
                for d in (plain, data, total)
            )
            typical = np.asarray(p["saturation_beta_typical"])
            want = LAWS[LOGNORMAL].logpdf(roas[i]) + np.log(roas[i] / typical[0])
            want -= stats.halfnorm(scale=s[0]).logpdf(typical[0])
            assert one - alone == pytest.approx(want, abs=1e-4)
            rho = np.sqrt(((typical / s) ** 2).sum())
            want = LAWS[BETA].logpdf(share[i]) - stats.chi(3).logpdf(rho)
            gaps.append(all_ - alone - want + np.log(rho / share[i]))
    assert np.ptp(gaps) < 1e-4


def offsets(spec, data, p):
    """Offsets of pooled parameters from their values."""
    found = {}
    for site in spec.sites(data.inputs.sizes()):
        if site.level:
            link, level = site.level.link, site.level
            above, spread = p[level.above], p[level.spread]
            found[site.name] = (link.forward(p[level.value]) - link.forward(above)) / spread
    return found


def test_sites_hold_what_parameters_follow_from():
    panel = make_panel(geos=("a",), periods=20)
    told = prepare(SPEC, panel.with_facts(EACH))
    with jax.enable_x64(True):
        data = jax.tree.map(jnp.asarray, told.data.astype(np.float64))
        p = draw(sample_parameters, told.spec, data, 1)
        held = at_sites(told.spec, data, p)
        with numpyro.handlers.substitute(data=held):
            again = draw(sample_parameters, told.spec, data, 2)
    assert not np.allclose(held["saturation_beta"], p["saturation_beta"])
    for name, value in p.items():
        assert again[name] == pytest.approx(np.asarray(value), rel=1e-12)


@pytest.mark.slow
@pytest.mark.parametrize("geos", [1, 2])
def test_posterior_is_that_of_importance_weights(geos):
    """A fit without the fact, its draws weighed by the change of prior; 5 errors."""
    panel, spec = quick_panel(geos=geos, periods=40), quick_spec(seasonality=None)
    prior = mm.Prior("LogNormal", loc=-1.2, scale=0.5)
    sampler = mm.NUTS(chains=4, warmup=500, draws=1000, until=None)
    plain = mm.fit(spec, panel, sampler, progress=False)
    told = panel.with_facts([Return("m0", roas=prior)])
    fit = mm.fit(spec, told, sampler, progress=False)
    roas = mm.roas(plain)["roas_total"][..., 0].to_numpy()
    beta = "saturation_beta_typical" if geos > 1 else "saturation_beta"
    beta = plain.draws.params[beta][..., 0].astype(float)
    scale = np.ravel(prepare(spec, panel).data.hyper["saturation_beta"]["scale"])[0]
    weight = stats.lognorm(0.5, scale=np.exp(-1.2)).logpdf(roas) + np.log(roas / beta)
    weight = np.exp(weight - stats.halfnorm(scale=scale).logpdf(beta))
    weight /= weight.mean()
    for name, value in fit.draws.params.items():
        a, b = value.astype(float), plain.draws.params[name].astype(float)
        w = weight.reshape(*weight.shape, *(1,) * (b.ndim - 2))
        mean = (w * b).mean((0, 1))
        z = (a.mean((0, 1)) - mean) / np.hypot(errors(a), errors(w * (b - mean)))
        assert np.all(np.abs(z) < 5), (name, z)


@pytest.mark.slow
def test_a_prior_of_every_return_samples_as_well_as_none():
    panel = quick_panel(periods=104, channels=3)
    facts = [
        Return(f"m{c}", roas=mm.Prior("LogNormal", loc=-1.0, scale=0.5)) for c in range(3)
    ]
    fit = mm.fit(quick_spec(), panel.with_facts(facts), mm.HMC(), progress=False)
    found = mm.diagnostics(fit)
    assert found.max_r_hat <= 1.01
    assert found.min_ess_bulk >= 400
    assert found.divergences == 0
