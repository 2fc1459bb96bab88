"""Lift tests: their density, what they do to a posterior, and where they travel."""

import dataclasses
import datetime
import functools

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
import pytest
from numpyro.infer.util import log_density as numpyro_log_density
from scipy import stats

import mmmjax as mm
from mmmjax import store
from mmmjax.backtesting.folds import Fold, train_panel
from mmmjax.checks import InputError
from mmmjax.cli import case, fleet_case
from mmmjax.facts import FACTS
from mmmjax.fleet.buckets import fitted_to
from mmmjax.fleet.engine import ready
from mmmjax.fleet.plan import Look
from mmmjax.model import program
from mmmjax.prepare import prepare, scale_of
from mmmjax.response import make_inputs
from tests.fits import make_fit, make_panel, make_spec, shared

ROW = {"x": 40.0, "delta_x": 10.0, "delta_y": 6.0, "sigma": 2.0}
TV = mm.facts.Lift("TV", **ROW, until="2022-02-20")


def lift_by_loop(fact, fit, p):
    """Original units: NumPy loops over geos, lags and the two levels."""
    panel, scale, out = fit.panel, fit.scale, 0.0
    c = panel.channels.index(fact.channel)
    geos = [panel.geos.index(fact.geo)] if fact.geo else range(panel.n_geos)
    cost = [1.0 if np.isnan(x) else x for x in scale.cost_per_unit[:, c]]
    seen = [panel.media[g, panel.history :, c].sum() * cost[g] for g in geos]
    for g, part in zip(geos, seen, strict=True):
        reached = []
        for money in (fact.x, fact.x + fact.delta_x):
            media = money * part / sum(seen) / cost[g] / scale.media[g, c]
            weights = [p["adstock_alpha"][c] ** k for k in range(3)]
            carried = sum(w * media for w in weights) / sum(weights)
            grown = np.exp(-p["saturation_lam"][c] * carried)
            reached.append(p["saturation_beta"][c] * (1 - grown) / (1 + grown))
        out += (reached[1] - reached[0]) * scale.outcome[g]
    return stats.norm.logpdf(fact.delta_y, out, fact.sigma)


@pytest.mark.parametrize("fact", [
    TV,
    mm.facts.Lift("Mail", **ROW),  # organic: media
    mm.facts.Lift("TV", 40.0, -40.0, -9.0, 3.0, geo="süd"),
    mm.facts.Lift("Search", 0.0, 30.0, -4.0, 3.0, geo="north"),
])  # fmt: skip
def test_density_is_the_normal_of_a_loop(fact):
    fit = make_fit(dtype=np.float64)
    with jax.enable_x64(True):
        inputs = make_inputs(fit.spec, fit.panel, fit.scale)
        x = fact.arrays(fit.panel, fit.scale, fit.spec)
        unit = fact.sigma / x["error"]
        for draw in range(3):
            p = {n: v[draw] for n, v in fit.draws.flat().items()}
            got = FACTS[fact.kind].log_density(p, x, fit.spec, inputs) - np.log(unit)
            assert got == pytest.approx(lift_by_loop(fact, fit, p), rel=1e-9)


@pytest.mark.slow(parts=6)
def test_program_has_one_factor_a_kind_and_none_without_facts():
    spec, panel = make_spec(), make_panel()
    both = panel.with_facts([TV, dataclasses.replace(TV, channel="Search", geo="north")])
    p = {n: x[0] for n, x in make_fit(dtype=np.float64).draws.flat().items()}
    with jax.enable_x64(True):
        bare, more = (prepare(spec, each).data for each in (panel, both))
        assert bare.facts == {}
        assert more.facts["lift"]["levels"].shape == (2, 2, 2)
        p, bare, more = jax.tree.map(jnp.asarray, (p, bare, more))
        alone, _ = numpyro_log_density(program, (spec, bare), {}, p)
        known, trace = numpyro_log_density(program, (spec, more), {}, p)
        law = FACTS["lift"].log_density
        each = [fact.arrays(both, scale_of(spec, both), spec) for fact in both.facts]
        told = sum(law(p, x, spec, more.inputs) for x in each)
    assert [name for name in trace if name.startswith("fact_")] == ["fact_lift"]
    assert known - alone == pytest.approx(float(told), rel=1e-9)


def test_gradients_are_finite_at_the_edges():
    spec, panel = make_spec(), make_panel()
    fact = mm.facts.Lift("TV", x=0.0, delta_x=1e-9, delta_y=0.0, sigma=1.0)
    scale = scale_of(spec, panel)
    inputs, x = make_inputs(spec, panel, scale), fact.arrays(panel, scale, spec)
    inputs, x = jax.tree.map(jnp.asarray, (inputs.astype("f4"), dict(x)))
    p = {n: v[0] for n, v in make_fit().draws.flat().items()}
    for alpha in (0.0, 1.0):
        q = p | {"adstock_alpha": np.full(3, alpha, np.float32)}
        slope = jax.grad(lambda q: FACTS["lift"].log_density(q, x, spec, inputs))(q)
        assert all(np.isfinite(v).all() for v in slope.values())


def test_several_media_terms_each_answer_for_their_channels():
    tv = mm.terms.Media(name="tv", channels=["TV"], adstock=mm.adstock.Geometric(max_lag=3))
    spec = shared(dataclasses.replace(make_spec(), terms=[tv], priors={}))
    panel = make_panel()
    fact = mm.facts.Lift("TV", **ROW)
    with jax.enable_x64(True):
        scale = scale_of(spec, panel)
        inputs, x = make_inputs(spec, panel, scale), fact.arrays(panel, scale, spec)
        one = make_fit(dtype=np.float64)
        p = {n: v[0] for n, v in one.draws.flat().items()}
        media = ("adstock_alpha", "saturation_lam", "saturation_beta")
        q = {n: p[n][1:] for n in media} | {f"tv.{n}": p[n][:1] for n in media}
        got = FACTS["lift"].log_density(q, x, spec, inputs)
        x = fact.arrays(panel, one.scale, one.spec)
        inputs = make_inputs(one.spec, panel, one.scale)
        assert got == pytest.approx(
            float(FACTS["lift"].log_density(p, x, one.spec, inputs)), rel=1e-9
        )


@pytest.mark.slow(parts=6)
def test_posterior_moves_to_the_fact_and_narrows():
    spec = mm.Spec(adstock=mm.adstock.Geometric(max_lag=2), seasonality=None)
    panel = make_panel(geos=("north",), periods=30, controls=())
    sampler = mm.NUTS(chains=2, warmup=200, draws=200, until=None)
    law = FACTS["lift"].log_density
    row = {"x": 20.0, "delta_x": 20.0, "delta_y": 30.0, "sigma": 1.0}
    fits = [
        mm.fit(spec, each, sampler=sampler, progress=False)
        for each in (panel, panel.with_facts([mm.facts.Lift("TV", **row)]))
    ]
    effects = []
    for fit in fits:
        with jax.enable_x64(True):
            x = mm.facts.Lift("TV", **row).arrays(panel, fit.scale, fit.spec)
            inputs = make_inputs(fit.spec, panel, fit.scale)
            known, draws = {"spec": fit.spec, "inputs": inputs}, fit.draws.flat()
            # the lift at which a draw's log density -z^2 / 2 is largest, of two others
            zero, half = (
                jax.vmap(functools.partial(law, x=x | {"lift": y}, **known))(draws)
                for y in (0.0, 0.5)
            )
            middle = (half - zero) * x["error"] ** 2 / 0.5 + 0.25
            effects.append(np.asarray(middle) / x["error"])  # sigma is 1 outcome unit
    before, after = effects
    assert abs(after.mean() - 30.0) < 2.0 < abs(before.mean() - 30.0)
    assert after.std() < 0.5 * before.std()
    assert after.std() < 1.3  # the fact says +-1


def test_facts_are_saved_and_known_to_the_digest_of_the_data(tmp_path):
    fit = make_fit(panel=make_panel().with_facts([TV, mm.facts.Lift("Mail", **ROW)]))
    mm.save(fit, tmp_path / "fit.nc")
    again = mm.load(tmp_path / "fit.nc")
    assert again.panel.facts == fit.panel.facts
    assert again.panel.facts[0].until == datetime.date(2022, 2, 20)
    bare = fit.panel.with_facts([])
    assert bare.data_hash() == make_panel().data_hash() != fit.panel.data_hash()
    fit = dataclasses.replace(fit, panel=bare)
    assert "facts" not in store.tree_of(fit)["panel"].attrs


def test_no_facts_no_array_and_counts_share_no_bucket():
    spec, panel = make_spec(), make_panel()
    markets = {
        "none": panel, "one": panel.with_facts([TV]), "other": panel.with_facts(
            [mm.facts.Lift("Mail", **ROW)]), "two": panel.with_facts([TV, TV])
    }  # fmt: skip
    looks = {n: Look.of(ready(n, spec, p, 0, "error")) for n, p in markets.items()}
    assert looks["one"] == looks["other"]
    assert len({look.key for look in looks.values()}) == 3
    shape = looks["one"].shape._replace(periods=20, channels=5)
    data = prepare(spec, markets["one"]).data
    wide = fitted_to(data, spec, shape)
    assert jax.tree.all(jax.tree.map(np.array_equal, wide.facts, data.facts))
    p = {n: x[0] for n, x in make_fit().draws.flat().items()}
    media = ("adstock_alpha", "saturation_lam", "saturation_beta")
    more = p | {n: np.pad(p[n], (0, 2), "edge") for n in media}
    law, facts = FACTS["lift"].log_density, data.astype("f4").facts["lift"]
    x = {n: jnp.asarray(rows[0]) for n, rows in facts.items()}
    near = [
        float(law(q, x, spec, jax.tree.map(jnp.asarray, d.inputs.astype("f4"))))
        for q, d in ((p, data), (more, wide))
    ]
    assert near[0] == pytest.approx(near[1], rel=1e-6)


def test_what_was_not_known_at_a_cut_is_left_out():
    late = mm.facts.Lift("TV", **ROW, until=datetime.date(2022, 2, 21))
    always = mm.facts.Lift("TV", **ROW)
    panel = make_panel().with_facts([TV, late, always])  # weeks begin on Sundays
    train, test = panel.split("2022-02-13")  # its week ends on 2022-02-19
    assert train.facts == (always,)
    assert test.facts == panel.facts
    assert panel.split("2022-02-20")[0].facts == panel.facts
    fold = Fold(1, slice(2, 7), slice(7, 9))
    assert train_panel(panel, fold, 3).facts == (always,)
    assert train_panel(panel, fold._replace(train=slice(0, 8)), 3).facts == panel.facts


def test_facts_follow_geos_and_channels():
    north = mm.facts.Lift("TV", **ROW, geo="north")
    panel = make_panel().with_facts([TV, north])
    assert panel.select("north").facts == (north,)
    assert panel.select("süd").facts == ()
    assert panel.select(["süd", "north"]).facts == (TV, north)
    silent = panel.media.copy()
    silent[..., 0] = 0.0
    spend = panel.spend.copy()
    spend[..., 0] = 0.0
    found = prepare(
        make_spec(), dataclasses.replace(panel, media=silent, spend=spend), "drop"
    )
    assert found.panel.facts == ()
    assert any("and 2 facts about them" in note for note in found.notes)
    assert mm.explore(panel) is not None  # adds geos up: no fact of one geo is about them


@pytest.mark.parametrize(("change", "says"), [
    ({"channel": "Tv"}, 'channel of a lift: got "Tv".*did you mean "TV"'),
    ({"geo": "nord"}, 'geo of a lift: got "nord".*did you mean "north"'),
    ({"sigma": 0.0}, 'sigma of the lift of "TV": got 0.*above 0.*standard error'),
    ({"sigma": float("nan")}, "sigma.*got NaN.*finite"),
    ({"x": -1.0}, "x of the lift.*got -1.*at least 0"),
    ({"delta_x": -50.0}, "delta_x.*got -50.*at least -40"),
    ({"delta_x": 0.0}, "delta_x.*got 0.*other than 0"),
    ({"delta_y": float("inf")}, "delta_y.*got inf.*finite"),
    ({"delta_y": "6"}, "delta_y: got.*a number"),
    ({"until": "spring"}, 'until.*got "spring".*2025-03-30'),
    ({"until": "03/04/2025"}, "until.*2025-03-30"),
])  # fmt: skip
def test_door(change, says):
    with pytest.raises(InputError, match=says):
        make_panel().with_facts([mm.facts.Lift(**({"channel": "TV"} | ROW | change))])


@pytest.mark.parametrize("what", [3, "lift", mm.facts.Lift, {"kind": "lift"}])
def test_only_records_are_facts(what):
    with pytest.raises(InputError, match=r"facts: got.*records of mm.facts.*Lift\("):
        make_panel().with_facts([what])


def test_a_lift_of_what_never_ran_is_left_out_and_said():
    """Without media a channel has no unit, and 40 money would be 40 largest weeks."""
    panel = make_panel()
    quiet = panel.media.copy()
    quiet[:, :, 0] = 0.0
    of = lambda *facts, media: dataclasses.replace(
        panel, media=media, spend=media, facts=facts
    )
    whole, north = mm.facts.Lift("TV", **ROW), mm.facts.Lift("TV", **ROW, geo="north")
    other = mm.facts.Lift(panel.channels[1], **ROW)
    found = prepare(make_spec(), of(whole, north, other, media=quiet), "prior")
    assert found.panel.facts == (other,)
    assert [f.code for f in found.findings].count("fact_left_out") == 2
    assert sum('"TV" never ran in training: its lift' in n for n in found.notes) == 2
    quiet = panel.media.copy()
    quiet[panel.geos.index("north"), :, 0] = 0.0
    part = of(whole, north, media=quiet)
    assert prepare(make_spec(), part).panel.facts == (whole, north)  # in others' units
    each = dataclasses.replace(make_spec(), media_scale="geo")
    found = prepare(each, part)
    assert found.panel.facts == (whole,)
    assert any('never ran in training in geo "north"' in f.what for f in found.findings)


def test_a_lift_of_the_other_sign_is_said():
    fact = mm.facts.Lift("TV", 40.0, 10.0, -6.0, 2.0)
    found = prepare(make_spec(), make_panel().with_facts([fact]))
    assert found.findings[-1].code == "fact_sign"
    assert "-6 outcome for +10 spend" in found.notes[-1]
    found = prepare(make_spec(), make_panel().with_facts([TV])).findings
    assert not [f for f in found if f.code.startswith("fact")]


def test_text_of_the_model_names_facts():
    panel = make_panel().with_facts([TV])
    line = "TV: 6 ~ Normal(response(40 + 10) - response(40), 2)"
    assert line in str(mm.structure(make_spec(), panel))
    assert line in str(panel)


def test_case_and_fleet_files_take_facts(tmp_path):
    weeks = pd.date_range("2022-01-02", periods=12, freq="W")
    rng = np.random.default_rng(0)
    rows = {"week": weeks, "sales": rng.uniform(50, 90, 12), "TV": rng.gamma(2, 9, 12)}
    pd.DataFrame(rows).to_csv(tmp_path / "a.csv", index=False)
    data = 'date = "week"\noutcome = "sales"\nmedia = ["TV"]\n'
    fact = 'kind = "lift"\nchannel = "TV"\nx = 40.0\ndelta_x = 10\ndelta_y = 6.0\n'
    fact += "sigma = 2.0\nuntil = 2022-02-20\n"
    case_file, fleet_file = tmp_path / "case.toml", tmp_path / "fleet.toml"
    case_file.write_text(f'[data]\npath = "a.csv"\n{data}[[data.fact]]\n{fact}')
    assert case.read(case_file).panel.facts == (TV,)
    case_file.write_text(
        f'[data]\npath = "a.csv"\n{data}[[data.fact]]\n{fact.replace("sigma", "sd")}'
    )
    with pytest.raises(InputError, match=r"sd: got 2.*sigma"):
        case.read(case_file)
    fleet_file.write_text(
        f'[data]\nfiles = {{ a = "a.csv", b = "a.csv" }}\n{data}'
        f'[[market."a".data.fact]]\n{fact}'
    )
    panels = fleet_case.read(fleet_file).panels
    assert panels["a"].facts == (TV,)
    assert panels["b"].facts == ()
