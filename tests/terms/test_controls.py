"""Controls with signs and lags, against loops in NumPy."""

import dataclasses
import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import mmmjax as mm
from mmmjax import response
from mmmjax.graph import structure
from mmmjax.prepare import prepare, scale_of
from mmmjax.spec import Spec
from mmmjax.terms import Controls
from tests.fits import make_fit, make_panel
from tests.posterior.examples import geo_panel

SIGNED = Controls(
    levers={"price": 0.5}, sign={"price": "negative"}, lag={"price": [0, 2], "promo": 1}
)
TABLE = """
[model]
adstock = { max_lag = 3 }
seasonality = false

[model.controls]
price = { lever = 0.5, sign = "negative", lag = [0, 2] }
promo = { lag = 1 }
"""


def spec_of(controls=SIGNED, **changes):
    carry = mm.adstock.Geometric(max_lag=3)
    return Spec(adstock=carry, seasonality=None, terms=(controls,), **changes)


def one_draw(spec, panel, rng):
    sizes = spec.sizes(panel)
    shape = lambda n: tuple(sizes[d] for d in spec.dims(n))
    return {n: rng.uniform(0.1, 0.9, shape(n)) for n in spec.present(sizes)}


@pytest.mark.usefixtures("x64")
@pytest.mark.parametrize("wide", [False, True])
def test_each_lag_is_the_control_that_many_periods_before(wide):
    """Price acts now and after two periods, promo after one: periods of history count."""
    spec, panel = spec_of(), geo_panel(periods=12, history=2, unbalanced=False)
    name = "gamma_control_negative"
    if wide:
        law = mm.Prior("NegativeHalfNormal", scale=0.5, dims=("geo", "negative"))
        spec = dataclasses.replace(spec, priors={name: law})
    p = one_draw(spec, panel, np.random.default_rng(0))
    p[name] = -p[name]
    inputs = response.make_inputs(spec, panel, scale_of(spec, panel))
    inputs, p = jax.tree.map(jnp.asarray, (inputs, p))
    found = response.components(p, inputs, spec)["control"]
    assert spec.labels(panel)["negative"] == ("price lag 0", "price lag 2")
    assert spec.labels(panel)["free"] == ("promo",)
    for g in range(3):
        own = p[name][g] if wide else p[name]
        for t in range(12):
            price = [panel.controls[g, t + 2 - k, 0] - 0.5 for k in (0, 2)]
            promo = panel.controls[g, t + 1, 1]
            wanted = own[0] * price[0] + own[1] * price[1], p["gamma_control"][0] * promo
            np.testing.assert_allclose(found[g, :, t], wanted, rtol=1e-12)


@pytest.mark.usefixtures("x64")
def test_a_forecast_takes_the_last_controls_of_training():
    spec, whole = spec_of(), geo_panel(periods=20, history=2, unbalanced=False)
    train, test = whole.split(whole.dates[-4])
    scale = scale_of(spec, train)
    found = response.make_inputs(spec, test, scale, after=train)
    last = np.concatenate([train.controls, test.controls], 1)[:, -test.n_periods - 2 :]
    np.testing.assert_allclose(found["control.negative"][:, 1], last[:, :-2, 0] - 0.5)
    np.testing.assert_allclose(found["control.free"][:, 0], last[:, 1:-1, 1])
    fit = make_fit(2, 5, spec, train)
    assert np.isfinite(mm.predict(fit, test)["outcome"]).all()
    parts = mm.contributions(fit, test).sel(summary="mean")
    both = parts["control_contribution"].sum("control")
    np.testing.assert_allclose(both, parts["controls"], rtol=1e-9)


def test_one_lag_each_keeps_the_coefficients_of_controls():
    spec = spec_of(Controls(lag={"holiday": 1}))
    panel = make_panel(geos=("a",), periods=12)
    assert spec.dims("gamma_control") == ("control",)
    found = prepare(spec, panel)
    np.testing.assert_array_equal(
        found.data.inputs["control.controls"][0, 0], panel.controls[0, :-1, 0]
    )


def test_periods_before_the_table_are_left_out_and_said():
    panel = make_panel(periods=20)
    found = prepare(spec_of(Controls(lag={"holiday": 3})), panel)
    assert found.panel.history == 3
    assert np.isnan(found.panel.outcome[:, :3]).all()
    np.testing.assert_array_equal(found.panel.outcome[:, 3:], panel.outcome[:, 3:])
    (told,) = (f for f in found.findings if f.code == "lag_start")
    assert "6 outcomes from 2022-01-02 on are left out" in told.what
    again = prepare(found.spec, found.panel)
    assert not [f for f in again.findings if f.code == "lag_start"]
    later = geo_panel(periods=20, history=2)  # "c" starts three weeks late
    found = prepare(spec_of(), later)
    lost = later.mask & ~found.panel.mask
    assert lost[2].sum() == 2
    assert not lost[:2].any()


def test_a_case_file_says_it_in_a_line():
    spec = Spec.from_toml(TABLE)
    assert spec.terms == (SIGNED,)
    assert Spec.from_toml(spec.to_toml()) == spec
    assert hash(Spec.from_toml(spec.to_toml())) == hash(spec)
    text = str(structure(spec, geo_panel()))
    assert re.search("gamma_control_negative  *2 by negative", text)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('price = { sign = "minus" }', ["sign of price", '"negative"']),
        ("price = { lag = -1 }", ["lag of price", "lag = 1"]),
        ("price = { lag = [1, 1] }", ["lag of price", "each once"]),
        ("price = { lags = 1 }", ["lags", "lever, sign, lag"]),
        ('price = "negative"', ["[model.controls] price", "sign"]),
    ],
)
def test_what_is_no_option_is_refused(text, words):
    with pytest.raises(mm.InputError) as error:
        Spec.from_toml(f"[model.controls]\n{text}\n")
    assert all(word in str(error.value) for word in words), error.value


def test_a_control_that_is_not_there_is_refused_and_one_that_is_dropped_goes():
    with pytest.raises(mm.InputError, match='did you mean "price"'):
        prepare(spec_of(Controls(lag={"prise": 1})), geo_panel())
    flat = make_panel(periods=12)
    flat = dataclasses.replace(flat, controls=np.ones_like(flat.controls))
    found = prepare(spec_of(Controls(sign={"holiday": "positive"})), flat, "drop")
    assert found.spec.terms == (Controls(),)


def test_a_prior_of_the_other_sign_is_refused():
    prior = mm.Prior("HalfNormal", scale=1.0)
    with pytest.raises(mm.InputError, match="NegativeHalfNormal"):
        spec_of(priors={"gamma_control_negative": prior})


@pytest.mark.slow
def test_fits_of_one_geo_and_of_several_backtests_and_fleets():
    """Every draw of a signed coefficient has its sign, pooled over geos too."""
    short = {"chains": 2, "warmup": 60, "draws": 20, "until": None}
    names = ["gamma_control_negative", "gamma_control_positive"]
    laws = ["NegativeHalfNormal", "HalfNormal"]
    wide = {
        n: mm.pooled(mm.Prior(law, scale=0.5)) for n, law in zip(names, laws, strict=True)
    }
    controls = Controls(sign={"price": "negative", "promo": "positive"}, lag={"price": 1})
    panel = geo_panel(periods=40, history=2, unbalanced=False)
    for spec, table in (
        (spec_of(controls), panel.select(["a"])),
        (spec_of(controls, priors=wide), panel),
    ):
        fit = mm.fit(spec, table, mm.HMC(**short), seed=1)
        assert (fit.draws.params[names[0]] < 0).all()
        assert (fit.draws.params[names[1]] > 0).all()
        plan = mm.optimize(fit, periods=4, starts=2)
        assert plan.certified
    rules = {"folds": 1, "horizon": 6, "least": 25, "baselines": False}
    found = mm.backtest(spec, panel, mm.HMC(**short), **rules, progress=False)
    assert np.isfinite(found.scores["crps"].sel(model="mmm")).all()
    panels = {g: panel.select([g]) for g in panel.geos}
    fleet = mm.fit_fleet(
        spec_of(controls), panels, mm.HMC(**short), refit=False, progress=False
    )
    assert set(fleet.table["market"]) == {*"abc"}
