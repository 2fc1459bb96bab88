"""Levers: baselines by loops, contributions against them, forecasts, counterfactuals."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

import mmmjax as mm
from mmmjax.checks import InputError
from mmmjax.cli.app import run
from mmmjax.counterfactuals import counterfactual, counterfactual_table
from mmmjax.panel import Panel
from mmmjax.posterior import contributions
from mmmjax.posterior.levers import levers_of
from mmmjax.prediction import predict
from mmmjax.prepare import prepare
from mmmjax.spec import Spec
from mmmjax.terms import Controls
from tests.fits import make_fit

LEVERS = {"price": "mean", "points": 60.0}


def panel_of(geos=("north", "south"), periods=16, gone=()):
    rng = np.random.default_rng(3)
    rows = [
        {"geo": geo, "week": week, "units": rng.uniform(50, 150), "TV": rng.gamma(2.0, 20),
         "rain": rng.normal(), "price": rng.uniform(2, 2.2), "points": rng.uniform(50, 70)}
        for geo in geos
        for t, week in enumerate(pd.date_range("2022-01-02", periods=periods, freq="W"))
        if (geo, t) not in gone
    ]  # fmt: skip
    return Panel.from_frame(
        pd.DataFrame(rows), date="week", outcome="units", media=["TV"], geo="geo",
        controls=["rain", "price", "points"],
    )  # fmt: skip


def spec_of(levers=LEVERS, **changes):
    terms = (Controls(levers=levers),) if levers else ()
    return Spec(mm.adstock.Geometric(max_lag=3), seasonality=None, terms=terms, **changes)


def fit_of(levers=LEVERS, draws=6, **panel):
    return make_fit(1, draws, spec_of(levers), panel_of(**panel), dtype=np.float64)


@pytest.mark.parametrize("how", ["first", "last", "mean", "min", "max", 2.5, -1])
def test_baselines_are_what_loops_over_the_rows_say(how):
    panel = panel_of(gone={("north", 0), ("south", 15)})
    values = {}
    for g in range(2):
        for t in range(panel.n_periods):
            if panel.present[g, t]:
                values.setdefault(t, []).append(panel.controls[g, t, 1])
    every = [x for row in values.values() for x in row]
    expected = {
        "first": sum(values[0]) / len(values[0]), "last": sum(values[15]) / len(values[15]),
        "mean": sum(every) / len(every), "min": min(every), "max": max(every),
    }.get(how, how)  # fmt: skip
    found = Controls(levers={"price": how}).baselines(panel)
    np.testing.assert_allclose(found, [0.0, expected, 0.0], rtol=1e-12)


def test_a_lever_adds_its_coefficient_times_what_it_is_off_its_baseline():
    fit = fit_of()
    found = contributions(fit)
    gamma, panel = fit.flat()["gamma_control"], fit.panel
    base = [0.0, panel.controls[..., 1].mean(), 60.0]
    for c in range(3):
        each = np.zeros((len(gamma), 2))
        for d in range(len(gamma)):
            for g in range(2):
                for t in range(panel.n_periods):
                    step = panel.controls[g, t, c] - base[c]
                    each[d, g] += gamma[d, c] * step * fit.scale.outcome[g]
        total = found["control_total"].to_numpy()[0, :, :, c]
        np.testing.assert_allclose(total, each, rtol=1e-9, atol=1e-9)


def test_levers_move_the_level_and_nothing_else():
    """The mean is the same where the intercept takes up what the baseline takes off."""
    fit, plain = fit_of(), fit_of(levers=None)
    gamma, base = fit.flat()["gamma_control"], fit.scale.baseline
    up = (gamma @ base).reshape(fit.draws.params["intercept"].shape)
    moved = fit.draws.params["intercept"] + up
    params = {**plain.draws.params, "intercept": moved}
    fit = replace(fit, draws=replace(fit.draws, params=params))
    a, b = (predict(x, seed=1)["outcome"] for x in (plain, fit))
    np.testing.assert_allclose(a, b, rtol=1e-9)


def test_forecasts_count_from_the_baseline_of_training_and_need_the_levers():
    fit = fit_of()
    dates = pd.date_range("2022-04-24", periods=3, freq="W")
    table = pd.DataFrame(
        {"week": d, "geo": g, "TV": 10.0, "rain": 0.0, "price": 2.5, "points": 60.0}
        for g in fit.panel.geos for d in dates
    )  # fmt: skip
    future = fit.panel.read_future(table)
    found = contributions(fit, future)["control_total"].to_numpy()[0]
    gamma = fit.flat()["gamma_control"][:, None, 1] * fit.scale.outcome
    expected = 3 * gamma * (2.5 - fit.panel.controls[..., 1].mean())
    np.testing.assert_allclose(found[..., 1], expected, rtol=1e-9)
    np.testing.assert_allclose(found[..., 2], 0.0, atol=1e-12)
    with pytest.raises(InputError, match="price"):
        fit.panel.read_future(table.drop(columns="price"))


def test_files_keep_the_baseline(tmp_path):
    fit = fit_of()
    again = mm.load(mm.save(fit, tmp_path / "fit.nc"))
    assert again.spec == fit.spec
    np.testing.assert_array_equal(again.scale.baseline, fit.scale.baseline)
    assert Spec.from_toml(fit.spec.to_toml()) == fit.spec
    plain = mm.load(mm.save(fit_of(levers=None), tmp_path / "plain.nc"))
    assert plain.scale.baseline is None


@pytest.mark.parametrize("total", [True, False])
def test_counterfactuals_hold_a_lever_at_a_value(total):
    fit = fit_of()
    found = counterfactual(fit, {"price": 2.4, "TV": 0.0}, total=total)
    alone = counterfactual(fit, {"price": 2.4}, total=total)
    silent = counterfactual(fit, {"TV": 0.0}, total=total)
    gamma = fit.flat()["gamma_control"][:, 1]
    step = (2.4 - fit.panel.controls[..., 1]) * fit.scale.outcome[:, None]
    expected = gamma[:, None] * step.sum(1)
    expected = expected.sum(1, keepdims=True) if total else expected
    np.testing.assert_allclose(alone["difference_outcome"][0], expected, rtol=1e-8)
    parts = alone["lever_contribution"].sel(lever="price", chain=0)
    np.testing.assert_allclose(
        parts.sel(scenario="changed") - parts.sel(scenario="actual"), expected, rtol=1e-8
    )
    both = alone["difference_outcome"] + silent["difference_outcome"]
    np.testing.assert_allclose(found["difference_outcome"], both, rtol=1e-8)
    table = counterfactual_table(found)
    levers = table[table["quantity"] == "lever"]
    assert list(levers["channel"])[:2] == ["price", "points"]
    assert np.isnan(levers["spend_actual"]).all()
    assert (levers["difference_mean"].to_numpy()[1::2] == 0).all()


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"rain": 1.0}, 'levers = { "rain" = "mean" }'),
        ({"pirce": 2.0}, "pirce"),
        ({"price": np.nan}, "value of price"),
    ],
)
def test_counterfactuals_refuse_what_is_no_lever(given, words):
    with pytest.raises(InputError, match=words):
        counterfactual(fit_of(), given)


@pytest.mark.parametrize(
    ("levers", "words"),
    [
        ({"price": "median"}, "first"),
        ({"price": True}, "baseline of price"),
        ({"price": float("inf")}, "baseline of price"),
        ("price", "a table of names"),
    ],
)
def test_what_is_no_baseline_is_refused(levers, words):
    with pytest.raises(InputError, match=words):
        Controls(levers=levers)


def test_a_lever_that_the_data_lack_is_named_with_the_nearest():
    with pytest.raises(InputError, match='did you mean "price"'):
        prepare(spec_of({"prise": "mean"}), panel_of())


def test_what_levers_count_from_is_among_the_notes_and_goes_with_a_dropped_column():
    panel = panel_of()
    (found,) = [f for f in prepare(spec_of(), panel).findings if f.code == "levers"]
    assert "price 2.10, its mean and points 60" in found.what
    flat = np.array(panel.controls)
    flat[..., 1] = 2.0
    ready = prepare(spec_of(), replace(panel, controls=flat), "drop")
    assert list(ready.spec.levers) == ["points"]
    assert ready.panel.control_names == ("rain", "points")


def test_whatif_reads_values_of_levers_and_says_what_is_beyond_training(tmp_path, capsys):
    fit = fit_of(draws=20)
    mm.save(fit, tmp_path / "fit.nc")
    most = levers_of(fit)["price"].most
    code = run(
        ["whatif", str(tmp_path), "price=9", "TV=+10%", "--out", str(tmp_path / "w")]
    )
    told = capsys.readouterr()
    said = " ".join((told.out + told.err).split())
    assert code in (0, 2)
    assert "price held at 9 and TV times 1.1" in said
    assert "price at 9 (training: 2" in said
    assert f"to {most:g})" in said
    written = pd.read_csv(tmp_path / "w" / "whatif.csv")
    expected = counterfactual_table(counterfactual(fit, {"price": 9.0, "TV": 1.1}))
    np.testing.assert_allclose(
        written["difference_mean"], expected["difference_mean"], rtol=1e-8, atol=1e-9
    )


@pytest.mark.parametrize("text", ["price", "price=+5%", "price=x2", "price=nan"])
def test_whatif_refuses_other_forms_for_levers(text, tmp_path, capsys):
    mm.save(fit_of(draws=20), tmp_path / "fit.nc")
    assert run(["whatif", str(tmp_path), text]) == 1
    assert 'a lever is held at a value: "price=2.2"' in capsys.readouterr().err
