"""The prior of many coefficients of which few matter: its law, its doors, its fits."""

import dataclasses
import re
import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import numpyro
import pandas as pd
import pytest
from numpyro.infer.util import log_density
from scipy import stats

import mmmjax as mm
from mmmjax.cli import show
from mmmjax.graph import data_priors, structure
from mmmjax.model import program
from mmmjax.prepare import prepare, scale_of
from mmmjax.prior import Prior, pooled
from mmmjax.spec import Spec, among
from tests.infer.problems import data_of, panel, spec
from tests.infer.test_nuts import mcse

PRIOR = Prior("Horseshoe", relevant=2, slab=0.4)
FEW = {"gamma_control": PRIOR}
REAL = np.array([50.0, -30.0, 20.0])


def market(seed, controls=30, real=3, alike=0.0, weeks=120):
    """120 weeks with media, noise of 50, controls of which the first few matter.

    Returns:
        The panel, and the coefficients in units of the outcome.
    """
    rng = np.random.default_rng(seed)
    x = np.sqrt(1 - alike) * rng.standard_normal((weeks, controls))
    x += np.sqrt(alike) * rng.standard_normal((weeks, 1))
    truth = np.zeros(controls)
    truth[:real] = REAL[:real]
    tv = rng.gamma(2, 50, weeks) * (rng.random(weeks) < 0.6)
    brought = 100 * (1 - np.exp(-np.convolve(tv, [0.5, 0.3, 0.2])[:weeks] / 100))
    names = [f"c{j}" for j in range(controls)]
    frame = pd.DataFrame(x, columns=names).assign(
        date=pd.date_range("2022-01-03", periods=weeks, freq="W-MON"),
        tv=tv,
        y=500 + x @ truth + brought + 50 * rng.standard_normal(weeks),
    )
    given = {"outcome": "y", "media": ["tv"], "controls": names}
    return mm.Panel.from_frame(frame, date="date", **given), truth


def coefficients(fit):
    """Posterior means in units of the outcome."""
    draws = fit.draws.params["gamma_control"]
    return draws.mean((0, 1)) * float(np.ravel(fit.scale.outcome)[0])


@pytest.mark.usefixtures("x64")
def test_the_density_is_that_of_the_paper_by_numpy():
    """All but media, which there are none of: loops over controls, law by law of scipy."""
    the_panel = panel(channels=0, controls=5)
    the_spec = among(spec(seasonality=None, priors=FEW), {"geo": 1})
    data = data_of(the_spec, the_panel)
    rng, n = np.random.default_rng(0), 40
    x = the_panel.controls[0]
    y = the_panel.outcome[0] / scale_of(the_spec, the_panel).outcome[0]
    above, local, z = 0.03, rng.gamma(1.0, 1.0, 5), rng.standard_normal(5)
    tau0 = 2 / 3 * 0.5 * y.std() / np.sqrt(n)
    wanted = stats.halfcauchy(scale=tau0).logpdf(above)
    wanted += stats.norm(0.5, 0.3).logpdf(0.6) + stats.halfnorm(scale=0.5).logpdf(0.08)
    mean = np.full(n, 0.6)
    for j in range(5):
        kept = 0.4**2 * local[j] ** 2 / (0.4**2 + above**2 * local[j] ** 2)  # equation 2.8
        mean += above * np.sqrt(kept) * z[j] * x[:, j] / x[:, j].std()
        wanted += stats.halfcauchy().logpdf(local[j]) + stats.norm.logpdf(z[j])
    wanted += stats.norm(mean, 0.08).logpdf(y).sum()
    values = {
        "intercept": 0.6, "gamma_control_global": above, "gamma_control_local": local,
        "gamma_control_offset": z, "y_sigma": 0.08,
    }  # fmt: skip
    values = jax.tree.map(jnp.asarray, values)
    args = (the_spec.structure(), jax.tree.map(jnp.asarray, data))
    found, trace = log_density(program, args, {}, values)
    np.testing.assert_allclose(float(found), wanted, rtol=1e-9)
    assert trace["gamma_control"]["value"].shape == (5,)


def test_draws_of_the_prior_have_its_law_and_let_as_many_through_as_said():
    """By Kolmogorov and Smirnov: a right one fails in one seed of ten thousand.

    The marginal of a coefficient is a mixture over u = log(global local / tau0), whose
    density is (2 / pi^2) u / sinh(u). At the scale of the global scale, shrinkage factors
    1 - 1 / (1 + n tau^2 lambda^2 / noise^2) add up to 2 in the mean (equation 3.12).
    """
    the_spec, the_panel = spec(seasonality=None, priors=FEW), panel(controls=5)
    hyper = data_of(the_spec, the_panel).hyper["gamma_control"]
    tau0, unit = float(hyper["global"]["scale"]), hyper["unit"]
    swing = the_panel.controls[0].std(0)
    np.testing.assert_allclose(unit, swing, rtol=1e-9)
    drawn = mm.sample_prior(the_spec, the_panel, 8000, 3).draws.params
    one = lambda name: drawn[f"gamma_control{name}"].reshape(8000, -1).astype(float)
    above, local, b = one("_global")[:, 0], one("_local"), one("")
    u = np.linspace(-40, 40, 8001)[1:-1]
    weight = np.where(u == 0, 1.0, u / np.sinh(np.where(u == 0, 1.0, u)))
    ratio = tau0 * np.exp(u) / 0.4
    size = 0.4 * ratio / np.sqrt(1 + ratio**2)
    law = lambda x: stats.norm.cdf(x[:, None] / size) @ weight / weight.sum()
    some = slice(0, 8000, 4)  # the table of a cdf is large
    for p in (
        stats.kstest(above / tau0, stats.halfcauchy.cdf).pvalue,
        stats.kstest(local[:, 1], stats.halfcauchy.cdf).pvalue,
        stats.kstest(b[some, 0] * unit[0], law).pvalue,
        stats.kstest(b[some, 4] * unit[4], law).pvalue,
    ):
        assert p > 1e-4
    y = the_panel.outcome[0] / scale_of(the_spec, the_panel).outcome[0]
    known = 40 * tau0**2 * local**2 / (0.5 * y.std()) ** 2
    through = (1 - 1 / (1 + known)).sum(1)
    assert abs(through.mean() - 2) < 4.5 * through.std() / np.sqrt(8000)


def test_a_unit_of_a_control_changes_nothing_but_its_coefficient():
    the_spec, one = spec(priors=FEW), panel(geos=2, controls=4)
    other = dataclasses.replace(one, controls=one.controls * [1.0, 1000.0, 1.0, 0.01])
    a, b = (data_of(the_spec, x).hyper["gamma_control"] for x in (one, other))
    np.testing.assert_allclose(b["unit"], a["unit"] * [1.0, 1000.0, 1.0, 0.01], rtol=1e-9)
    assert a["global"] == b["global"]
    still = dataclasses.replace(one, controls=one.controls * [1.0, 0.0, 1.0, 1.0])
    assert data_of(the_spec, still).hyper["gamma_control"]["unit"][1] == 1.0


def test_it_goes_through_toml_the_graph_and_the_check(capsys):
    text = """
    [model]
    seasonality = false
    [model.priors]
    gamma_control = { dist = "Horseshoe", relevant = 2, slab = 0.4 }
    """
    the_spec = Spec.from_toml(text)
    assert the_spec == Spec(seasonality=None, priors=FEW)
    assert Spec.from_toml(the_spec.to_toml()) == the_spec
    assert Prior("Horseshoe", relevant=3) == Prior("Horseshoe", relevant=3, slab=0.5)
    the_panel = panel(controls=5)
    nodes = {node.name: node for node in structure(the_spec, the_panel).nodes}
    assert nodes["gamma_control"].text == "Horseshoe(relevant=2.0, slab=0.4)"
    assert nodes["gamma_control_global"].text == "HalfCauchy(scale=few_relevant)"
    assert nodes["gamma_control_local"].size == 5
    assert nodes["gamma_control_offset"].text == "Normal(loc=0.0, scale=1.0)"
    inside = {a for a, b in structure(the_spec, the_panel).edges if b == "gamma_control"}
    assert inside == {f"gamma_control_{x}" for x in ("global", "local", "offset")}
    data = data_of(the_spec, the_panel)
    table = data_priors(the_spec, the_panel, data.hyper)
    (row,) = table[table["parameter"] == "gamma_control"].to_dict("records")
    tau0 = float(data.hyper["gamma_control"]["global"]["scale"])
    assert (row["source"], row["channel"]) == ("few_relevant", "")
    np.testing.assert_allclose([row["value"], row["median"]], tau0, rtol=1e-6)
    show.priors(the_spec, the_panel, data)
    said = " ".join(capsys.readouterr().out.split())
    assert "about 2 of 5 are thought to matter, more or fewer if the data say so" in said


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: Prior("Horseshoe"), "relevant"),
        (lambda: Prior("Horseshoe", relevant=0), "relevant: got 0"),
        (lambda: Prior("Horseshoe", relevant=[1, 2]), "how many are thought to matter"),
        (lambda: Prior("Horseshoe", relevant=3, slab=mm.media_share), "slab"),
        (lambda: Prior("Horseshoe", relevant=3, scale=1.0), "hyperparameter of Horseshoe"),
        (lambda: Prior("Horsehoe", relevant=3), "did you mean 'Horseshoe'"),
        (lambda: Prior("Normal", loc=PRIOR, scale=1.0), "a law of one number"),
        (lambda: Prior("Normal", scale=PRIOR), "a law of one number"),
        (lambda: pooled(PRIOR), "a law of one number"),
        (lambda: pooled(Prior("Normal", scale=1.0), spread=PRIOR), "positive"),
        (lambda: Spec(priors={"intercept": PRIOR}), "coefficients of one dim"),
        (lambda: Spec(priors={"saturation_beta": PRIOR}), "coefficients of one dim"),
        (
            lambda: Spec(priors={"gamma_control": PRIOR.with_dims(("geo", "control"))}),
            "over that dim",
        ),
        (lambda: data_of(spec(priors=FEW), panel(controls=2)), "got 2 of 2"),
        (lambda: mm.fit(spec(priors=FEW), panel(controls=1)), "fewer than there are"),
    ],
)
def test_what_it_cannot_be_is_refused(make, words):
    with pytest.raises(mm.InputError, match=re.escape(words)):
        make()


def test_each_lag_is_one_of_the_coefficients_and_signed_ones_are_none():
    controls = mm.terms.Controls(sign={"x0": "negative"}, lag={"x1": [0, 1]})
    the_spec = spec(priors=FEW, terms=(controls,))
    the_panel = panel(controls=4)
    assert the_spec.labels(the_panel)["free"] == ("x1 lag 0", "x1 lag 1", "x2", "x3")
    hyper = prepare(the_spec, the_panel).data.hyper["gamma_control"]
    assert np.shape(hyper["unit"]) == (4,)
    other = the_spec.priors["gamma_control_negative"]
    assert other == Prior("NegativeHalfNormal", scale=0.5, dims=("negative",))


def test_members_that_only_pad_leave_the_density_of_the_others():
    """By the difference of two points, as those of the padding are the same in both."""
    the_panel = panel(channels=0, controls=4)
    the_spec = among(spec(seasonality=None, priors=FEW), {"geo": 1})
    data = data_of(the_spec, the_panel)
    wide = data.widened(the_spec, {"control": 7})
    found = []
    for one, members in ((data, 4), (wide, 7)):
        each = []
        for k in (1.0, 2.0):
            more = {"pad_width": (0, members - 4), "constant_values": 1}
            full = lambda x, how=more: jnp.asarray(np.pad(x, **how))
            values = {
                "intercept": jnp.asarray(0.6),
                "gamma_control_global": jnp.asarray(0.01 * k),
                "gamma_control_local": full(k * np.arange(1.0, 5.0)),
                "gamma_control_offset": full(np.arange(4.0) - k),
                "y_sigma": jnp.asarray(0.1),
            }
            args = (the_spec.structure(), jax.tree.map(jnp.asarray, one))
            each.append(float(log_density(program, args, {}, values)[0]))
        found.append(each[1] - each[0])
    np.testing.assert_allclose(found[1], found[0], rtol=1e-5)


@pytest.mark.slow
def test_fits_are_saved_forecast_explained_backtested_and_of_fleets(tmp_path):
    """Markets with other numbers of controls share a program, and each has its own."""
    short = mm.HMC(chains=2, warmup=60, draws=20, until=None)
    the_spec, the_panel = spec(priors=FEW), panel(controls=6, periods=60)
    fit = mm.fit(the_spec, the_panel, short, seed=1)
    mm.save(fit, tmp_path / "fit.nc")
    back = mm.load(tmp_path / "fit.nc")
    assert back.spec == fit.spec
    for name, draws in fit.draws.params.items():
        np.testing.assert_array_equal(back.draws.params[name], draws)
    index = set(mm.summary(back).query("parameter == 'gamma_control_local'")["index"])
    assert index == {f"x{k}" for k in range(6)}
    scale, gamma = fit.scale, fit.draws.params["gamma_control"]
    parts = mm.contributions(fit)["control_total"]
    wanted = (gamma @ the_panel.controls[0].sum(0)) * scale.outcome.ravel()[0]
    found = parts.sum("control").to_numpy().reshape(wanted.shape)
    np.testing.assert_allclose(found, wanted, rtol=1e-3, atol=0.05)
    rules = {"folds": 1, "horizon": 6, "least": 40, "baselines": False}
    tested = mm.backtest(the_spec, the_panel, short, **rules, progress=False)
    assert np.isfinite(tested.scores["crps"].sel(model="mmm")).all()
    panels = {f"m{k}": panel(controls=k, seed=k) for k in (2, 3, 5, 6)}
    fleet = mm.fit_fleet(the_spec, panels, short, refit=False, progress=False)
    rows = fleet.table.set_index("market")
    assert "2 of 2" in rows.loc["m2", "reason"]
    for k in (3, 5, 6):
        assert fleet[f"m{k}"].draws.params["gamma_control_local"].shape == (2, 50, k)


@pytest.mark.slow(parts=12)
@pytest.mark.parametrize(
    ("controls", "real", "alike"), [(30, 3, 0.0), (30, 3, 0.8), (12, 0, 0.0)]
)
def test_few_of_many_controls_are_found_and_draws_are_good(controls, real, alike):
    """Eight markets, by the fleet's sampler with its usual draws, one of them by NUTS too.

    The mean log of the error of coefficients over that with the default prior is below 0
    by 3.5 of its standard errors.
    """
    made = {f"{s}": market(s, controls, real, alike) for s in range(8)}
    panels = {name: one for name, (one, _) in made.items()}
    few = Spec(priors={"gamma_control": Prior("Horseshoe", relevant=3)})
    errors = {}
    for the_spec in (few, Spec()):
        fleet = mm.fit_fleet(the_spec, panels, mm.HMC(), refit=False, progress=False)
        gap = [coefficients(fleet[name]) - truth for name, (_, truth) in made.items()]
        errors[the_spec] = np.sqrt((np.array(gap) ** 2).mean(1))
        if the_spec != few:
            continue
        alone = mm.fit(few, panels["0"], mm.NUTS(), progress=False)
        for fit in (*(fleet[name] for name in panels), alone):
            found = mm.diagnostics(fit)
            assert found.converged, found.verdict
            assert found.divergence_rate <= 0.001
    ratio = np.log(errors[few] / errors[Spec()])
    assert ratio.mean() < -3.5 * ratio.std(ddof=1) / np.sqrt(8)


@pytest.mark.slow(parts=8)
def test_draws_are_those_of_plain_numpyro_nuts_on_the_density_as_it_is():
    """Means of all but what has none, within 5 combined Monte Carlo errors.

    Scales are compared by their logarithms: a half-Cauchy has no mean.
    """
    few = {"gamma_control": Prior("Horseshoe", relevant=1)}
    the_spec = spec(seasonality=None, priors=few)
    the_panel, _ = market(5, controls=5, real=1, weeks=60)
    ours = mm.fit(the_spec, the_panel, mm.HMC(draws=2000), progress=False)
    ready = prepare(the_spec, the_panel)
    with jax.enable_x64(True):
        data = jax.tree.map(jnp.asarray, ready.data.astype(np.float64))
        kernel = numpyro.infer.NUTS(program, target_accept_prob=0.99)
        plain = numpyro.infer.MCMC(
            kernel, num_warmup=1500, num_samples=4000, num_chains=4,
            chain_method="vectorized", progress_bar=False,
        )  # fmt: skip
        plain.run(jax.random.key(1), ready.spec.structure(), data)
        theirs = plain.get_samples(group_by_chain=True)
    for label, value in ours.draws.params.items():
        a, b = value.astype(float), np.asarray(theirs[label], float)
        if label in ("gamma_control_global", "gamma_control_local"):
            a, b = np.log(a), np.log(b)
        z = (a.mean((0, 1)) - b.mean((0, 1))) / np.hypot(mcse(a), mcse(b))
        assert np.all(np.abs(z) < 5), (label, z)


@pytest.mark.slow(parts=12)
def test_truths_of_the_prior_lie_in_their_intervals(monkeypatch):
    """Twenty markets of twelve controls: a share of 94% within 3.5 errors, by market."""
    root = Path(__file__).resolve().parents[1]
    monkeypatch.setattr(sys, "path", [str(root / "benchmarks"), *sys.path])
    import recovery

    usual, few = recovery.sample, mm.HMC(chains=4, draws=400, until=None)
    once = lambda *args, **how: usual(*args, **{**how, "refit": False})
    monkeypatch.setattr(recovery, "sample", once)
    row = recovery.recovered("few of twelve controls", 20, few)
    assert row["within"], row
