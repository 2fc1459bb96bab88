"""What a plan claims of itself: its bound, its price, and what it promises of a target."""

import dataclasses
import runpy
import sys
from pathlib import Path

import jax.numpy as jnp
import numpy as np
import pytest

import mmmjax as mm
from mmmjax.budget.record import relative_gap
from mmmjax.draws import Draws
from tests.budget.cases import make_fit

CASES = Path(__file__).resolve().parents[1] / "cases"
REFERENCE = np.array([100.0, 200.0, 50.0])


@pytest.mark.parametrize("problems", [3, pytest.param(17, marks=pytest.mark.slow)])
def test_bounds_hold_on_problems_of_seventeen_kinds(monkeypatch, capsys, problems):
    """One problem a kind against water-filling in NumPy; the script takes any seed."""
    script = CASES / "plans" / "check_certificate.py"
    monkeypatch.setattr(sys, "argv", [str(script), "4", str(problems)])
    monkeypatch.setattr(sys, "path", list(sys.path))
    with pytest.raises(SystemExit) as end:
        runpy.run_path(str(script), run_name="__main__")
    assert not end.value.code, capsys.readouterr().out


@pytest.mark.slow  # it fits; the test below is quick
def test_frontier_and_plan_have_one_price(monkeypatch, capsys):
    monkeypatch.chdir(CASES / "frontier_price")
    with pytest.raises(SystemExit) as end:
        runpy.run_path("check.py", run_name="__main__")
    assert not end.value.code, capsys.readouterr().out


@pytest.mark.slow(parts=6)
@pytest.mark.parametrize(
    "asked",
    [
        {"bounds": 0.5},
        {"bounds": (0, 1.2)},
        {"bounds": (0, 3), "up_to": True},
        {"bounds": 0.0},
        {"bounds": 0.5, "fixed": ["c1"]},
        {"bounds": 0.5, "per_period": True},
        {"bounds": 0.3, "utility": "conditional_value_at_risk(level=0.8)"},
    ],
)
def test_a_frontier_says_what_a_plan_says(asked):
    fit = make_fit(4, seed=2)
    unit = 6 if asked.get("per_period") else 1
    past = mm.optimize(fit, periods=6, bounds=0.0).budget / unit
    levels = past * np.array([0.5, 0.8, 1.0, 1.13, 1.4, 2.0])
    if "fixed" in asked:
        asked = asked | {"reference": None}
    line = mm.frontier(fit, levels, periods=6, tolerance=1e-9, **asked)
    for level in levels:
        plan = mm.optimize(fit, budget=level, periods=6, tolerance=1e-9, **asked)
        at = line.sel(budget=level)
        price = np.nan if plan.shadow_price is None else plan.shadow_price
        np.testing.assert_allclose(at.shadow_price, price, rtol=1e-3)
        np.testing.assert_allclose(at.objective, plan.objective, rtol=1e-6)
        np.testing.assert_allclose(at.probability_better, plan.probability_better, atol=0.1)
        assert bool(at.certified) == plan.certified
    if asked["bounds"] == 0.5 and len(asked) == 1:  # shares of the budget
        assert (np.diff(line.shadow_price) <= 1e-6 * line.shadow_price[1:]).all()


def test_nothing_is_certified_by_an_objective_of_zero():
    assert relative_gap(0.0, 0.0) == 0.0
    assert relative_gap(1e-9, 0.0) == np.inf
    assert relative_gap(1e-9, -2.0) == 5e-10
    fit = make_fit(3)
    plan = mm.optimize(fit, periods=6)
    none = dataclasses.replace(plan, objective=0.0, gap_bound=1.0)
    assert not none.certified
    assert "no plan is better by more than 1" in none.text()
    assert none.to_dict()["relative_gap"] is None
    assert none.to_dict()["gap_reason"]
    assert dataclasses.replace(plan, objective=0.0, gap_bound=0.0).certified


@pytest.mark.parametrize(
    "name, value, words",
    [
        ("saturation_lam", -1e-3, "negative in 1 of 20"),
        ("saturation_lam", np.nan, "negative in 1 of 20"),
        ("saturation_beta", -1e-9, "negative in 1 of 20"),
        ("adstock_alpha", 1.01, "outside [0, 1] in 1 of 20"),
        ("adstock_alpha", -0.01, "outside [0, 1] in 1 of 20"),
    ],
)
def test_one_draw_outside_of_the_theory_withdraws_the_certificate(name, value, words):
    fit = make_fit(3)
    assert mm.optimize(fit, periods=6, starts=2).certified
    draws = np.array(fit.draws.params[name])
    draws[0, 7, 1] = value
    bad = dataclasses.replace(fit, draws=Draws(dict(fit.draws.params) | {name: draws}))
    if np.isnan(value):
        with pytest.raises(mm.InputError, match="not finite"):
            mm.optimize(bad, periods=6, starts=2)
        return
    plan = mm.optimize(bad, periods=6, starts=2)
    assert not plan.certified
    assert f"{name} is {words}" in plan.gap_reason


def curves(function, concave=True, draws=10):
    top = np.random.default_rng(0).uniform(0.5, 2.0, (draws, 3))
    return mm.ResponseCurves(["x", "y", "z"], function, {"top": top}, REFERENCE, concave)


CONVEX = {
    "an S": lambda p, x: p["top"] * x**2 / (1e4 + x**2),
    "a step": lambda p, x: p["top"] * jnp.tanh(x / 100) + jnp.where(x > 70, 1.0, 0.0),
    "a hinge": lambda p, x: p["top"] * jnp.maximum(x - 150.0, 0.0),
    "a square": lambda p, x: p["top"] * x**1.01,
    "a root downwards": lambda p, x: -p["top"] * jnp.sqrt(x + 1.0),
}
MIXED = {
    "a product": lambda p, x: p["top"] * jnp.tanh(x / 100) * x.sum(),
    "a neighbour": lambda p, x: p["top"] * jnp.tanh(jnp.roll(x, 1) / 100),
    "a switch": lambda p, x: p["top"] * x + jnp.where(x[0] > 300, 1.0, 0.0),
    "a share": lambda p, x: p["top"] * x / (1.0 + x.sum()),
}


@pytest.mark.parametrize("kind", CONVEX)
def test_a_curve_that_is_not_concave_cannot_say_so(kind):
    with pytest.raises(mm.InputError, match=r'the curve of "." is not concave at a spend'):
        curves(CONVEX[kind])
    assert not curves(CONVEX[kind], concave=False).concave


@pytest.mark.parametrize("kind", MIXED)
@pytest.mark.parametrize("concave", [True, False])
def test_channels_that_know_each_other_are_refused(kind, concave):
    with pytest.raises(mm.InputError, match="changes with the spend of others"):
        curves(MIXED[kind], concave)


def test_a_curve_that_bends_up_beyond_what_was_tried_withholds_the_certificate():
    late = curves(lambda p, x: p["top"] * x + 1e-3 * jnp.maximum(x - 5000.0, 0.0) ** 2)
    assert mm.optimize(late, bounds=(0, 2)).certified
    plan = mm.optimize(late, bounds=(0, 200), budget=9000.0, starts=2)
    assert not plan.certified
    assert "is not concave at a spend of" in plan.gap_reason


ROOTS = {
    "root": lambda p, x: p["top"] * jnp.sqrt(x),
    "power": lambda p, x: p["top"] * x**0.3,
    "hill": lambda p, x: p["top"] * x**0.7 / (20.0 + x**0.7),
}


@pytest.mark.slow(parts=6)
@pytest.mark.parametrize("kind", ROOTS)
@pytest.mark.parametrize("reference", [REFERENCE, np.array([350.0, 0.0, 0.0])])
def test_infinite_slope_at_zero(kind, reference):
    given = dataclasses.replace(curves(ROOTS[kind]), reference=reference)
    bounds = dict.fromkeys("xyz", (0.0, 1000.0))
    plan = mm.optimize(given, bounds=bounds)
    assert plan.certified
    if kind == "root":  # closed form: money goes as the square of the mean
        mean = given.draws["top"].mean(0)
        best = 350.0 * mean**2 / (mean**2).sum()
        np.testing.assert_allclose(plan.optimized.values[0], best, rtol=1e-4)
        np.testing.assert_allclose(
            plan.objective, np.sqrt(350.0 * (mean**2).sum()), rtol=1e-9
        )
    none = mm.optimize(given, bounds=bounds | {"z": (0.0, 0.0)})  # exactly nothing is exact
    brought = none.response_by_channel.sel(plan="optimized", channel="z")
    assert float(none.optimized.sel(channel="z")[0]) == 0.0
    assert float(brought.max()) == 0.0


@pytest.mark.parametrize("probability", [0.5, 0.8, 0.83, 0.9, 0.97])
@pytest.mark.parametrize("draws", [pytest.param(20, marks=pytest.mark.slow), 31])
def test_a_target_is_reached_in_as_many_draws_as_promised(probability, draws):
    fit = make_fit(3, draws=draws, seed=4)
    ask = {"periods": 6, "bounds": (0, 3)}
    target = 0.02 * mm.optimize(fit, **ask).objective
    plan = mm.optimize(fit, target=target, probability=probability, starts=2, **ask)
    reached = plan.response.sel(plan="optimized").values >= target
    assert reached.mean() >= probability - 1e-12


def test_limits_that_cannot_both_hold_are_named():
    fit, rules = make_fit(4), mm.constraints
    past = mm.optimize(fit, periods=6, bounds=0.0)
    assert fit.panel.spend[0, -1, 0] == 0  # max_change keeps c0 off
    assert fit.panel.spend[0, -1, 1] > 0
    money = dict(zip(past.optimized.channel.values, past.optimized.values[0], strict=True))
    low, most = 0.2 * money["c0"], 1.8 * money["c0"]
    on = rules.minimum_if_on({"c0": most})
    clashes = [
        ({"constraints": [on]}, ["c0 at least", "upper bounds of c0"]),
        ({"constraints": [rules.minimum_if_on({"c1": 9e9}), rules.max_change(0.1)],
          "bounds": (0, np.inf), "up_to": True}, ["c1 at least", "upper bounds of c1"]),
        ({"constraints": [on], "fixed": {"c0": low}}, ["c0 1,980 (fixed)"]),
        ({"constraints": [on, rules.group(["c0", "c1"], at_most=low)],
          "bounds": (0, np.inf)}, ["c0 at least", "c0 + c1 at most"]),
        ({"constraints": [on], "budget": 0.3 * past.budget, "bounds": (0, 20)},
         ["c0 at least", "budget"]),
        ({"constraints": [on, rules.group("c0", at_most=1e-3, share=True)],
          "bounds": (0, np.inf)}, ["c0 at least", "c0 at most 0.001"]),
        ({"constraints": [rules.group("c0", at_least=most),
                          rules.group(["c0", "c1"], at_most=low)],
          "bounds": (0, np.inf)}, ["c0 at least", "c0 + c1 at most"]),
        ({"constraints": [rules.group("c0", at_least=0.7, share=True),
                          rules.group("c1", at_least=0.6, share=True)],
          "bounds": (0, np.inf), "up_to": True}, ["c0 at least 0.7", "c1 at least 0.6"]),
        ({"constraints": [rules.max_change(0.0)], "fixed": {"c0": 10 * most}},
         ["max_change(0)", "c0", "what is fixed"]),
        ({"constraints": [rules.group("c0", at_most=low)], "fixed": ["c0"]},
         ["c0 at most", "(fixed)"]),
        ({"constraints": [rules.group("c0", at_least=most)]},
         ["c0 at least", "upper bounds of c0"]),
    ]  # fmt: skip
    for asked, words in clashes:
        with pytest.raises(mm.InputError) as error:
            mm.optimize(fit, **({"periods": 6} | asked))
        for word in words:
            assert word in str(error.value), (asked, str(error.value))
    geos = make_fit(3, geos=2)
    exact = [rules.per_geo({"g0": 1.0}), rules.per_geo({"g0": 2.0})]
    with pytest.raises(mm.InputError, match=r"g0 at . and g0 at ."):
        mm.optimize(geos, periods=6, bounds=(0, np.inf), constraints=exact)
    off = mm.optimize(fit, periods=6, fixed={"c0": 0.0}, bounds=(0, 3), constraints=[on])
    assert float(off.optimized[0, 0]) == 0.0
