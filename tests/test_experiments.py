"""Lift tests after the fit: beside a posterior that is known exactly, and where they go."""

import dataclasses
import math

import numpy as np
import pandas as pd
import pytest
from scipy import stats

import mmmjax as mm
from mmmjax import tables, words
from mmmjax.cli import show
from mmmjax.experiments import REFIT, _compared, _rest, _taken, conflicts
from mmmjax.facts import LiftTest
from tests.fits import make_fit, make_panel

TV = LiftTest(
    "TV", "2022-01-16", "2022-01-29", 5.0, "total", spend_control=0.0, error=2.0, tail=1
)


def normal_posterior(y, matrix, middle, spread, n=20_000, seed=0):
    """Draws of what tests measure, of a normal that has seen them; and it without one."""
    rng = np.random.default_rng(seed)
    precision = np.linalg.inv(spread) + np.linalg.inv(matrix)
    after = np.linalg.inv(precision)
    mean = after @ (np.linalg.solve(spread, middle) + np.linalg.solve(matrix, y))
    z = rng.normal(size=(n, len(y)))
    z = (z - z.mean(0)) @ np.linalg.inv(np.linalg.cholesky(np.cov(z.T))).T
    return mean + z @ np.linalg.cholesky(after).T


@pytest.mark.parametrize(
    ("y", "how"), [([0.8, 0.1], "weights"), ([0.8, 9.0], ""), ([9.0, 0.1], "")]
)
@pytest.mark.parametrize("common", [0.0, 0.5])
def test_a_test_is_taken_out_of_a_normal_posterior_exactly(y, how, common):
    """Against the conjugate normal without the first test, its error given the second's."""
    matrix = np.array([[1.0, common], [common, 1.0]])
    middle, spread = np.array([0.3, 0.2]), np.array([[1.5, 0.4], [0.4, 0.8]])
    y = np.array(y)
    here = normal_posterior(y, matrix, middle, spread)
    x = {
        "solve": np.linalg.inv(np.linalg.cholesky(matrix))[None],
        "block": np.ones((1, 1, 2)),
        "nu": np.zeros((1, 1)),
    }
    rows = [{"result": value, "error": 1.0, "of": "total"} for value in y]
    found = _compared(here, rows, x, np.array([0]), np.ones(1), 0.94)
    # prior of both, the second's result seen: then what the first's result would be
    joint = spread + matrix
    gain = joint[0, 1] / joint[1, 1]
    mean = middle[0] + gain * (y[1] - middle[1])
    sd = math.sqrt(joint[0, 0] - gain * joint[0, 1])
    pull = (y[0] - mean) / sd
    exact = found["how"] == "normal"
    assert found["pull"] == pytest.approx(pull, rel=0.02, abs=0.02 if exact else 0.06)
    if how == "weights":
        assert found["how"] == "weights"
        assert found["pareto_k"] < 0.7
        assert 0 < found["contraction"] < 1
    if y[0] == 9.0:
        assert found["p_value"] < 0.01
        assert math.isnan(found["contraction"]) == exact


def test_a_posterior_that_only_the_test_informs_says_nothing_of_it():
    here = np.random.default_rng(0).normal(5.0, 1.0, (4000, 1)) * 1.01
    rows = [{"result": 5.0, "error": 1.0, "of": "total"}]
    found = _compared(here, rows, {}, np.array([0]), np.ones(1), 0.94)
    assert found["how"] == "not known"
    assert math.isnan(found["p_value"])


def test_the_table_has_each_test_in_its_unit_and_goes_where_tables_go(tmp_path):
    series = dataclasses.replace(
        TV, of="percent", result=(4.0, 3.0, 1.0), error=2.0, name="weeks", geos="north"
    )
    cost = dataclasses.replace(TV, of="cost_per_outcome", result=2.0, error=0.4, tail=0)
    steady = mm.facts.Lift("Mail", 3.0, 3.0, 1.0, 2.0)
    panel = make_panel().with_facts([TV, steady, series, cost])
    fit = make_fit(2, 60, panel=panel, dtype=np.float64)
    table = tables.lift_tests(fit, draws=50)
    assert list(table["test"]) == ["Mail 3 +3", "TV 2022-01-16", "weeks", "TV 2022-01-16"]
    assert list(table["of"]) == ["per_period", "total", "percent", "roas"]
    assert table["measured"].to_numpy() == pytest.approx([1.0, 5.0, 8 / 3, 0.5])
    assert table["error"].to_numpy() == pytest.approx([2.0, 2.0, 2 / math.sqrt(3), 0.1])
    dates = ("2022-01-16", "2022-02-05")
    told = -mm.counterfactual(fit, _dark(panel), dates)[
        "difference_contribution"
    ].to_numpy()
    assert table["mean"][1] == pytest.approx(told.mean(), rel=1e-6)
    assert set(table["how"]) <= {"weights", "normal", "not known"}
    assert "lift_tests" in tables.NAMES
    far = dataclasses.replace(TV, result=1e4, error=200.0, name="far")
    fit = dataclasses.replace(fit, panel=panel.with_facts([far]))
    (said,) = conflicts(fit)
    assert said.code == "lift_conflict"
    assert '"far" says 1e+04' in said.what
    assert conflicts(dataclasses.replace(fit, panel=panel.with_facts([]))) == ()


@pytest.mark.parametrize(
    ("y", "how", "known"), [([0.8, 0.1], "weights", 0.3), ([4.5, 5.5], "normal", 1.0)]
)
def test_tests_are_taken_out_together_as_of_the_conjugate_normal(y, how, known):
    """Two of three tests whose errors have parts in common; chi-square of two and three."""
    matrix = np.array([[1.0, 0.4, 0.3], [0.4, 1.0, 0.2], [0.3, 0.2, 1.0]])
    middle = np.array([0.3, 0.2, 0.5])
    spread = known * np.array([[1.5, 0.4, 0.1], [0.4, 0.8, 0.3], [0.1, 0.3, 1.1]])
    y = np.array([*y, 1.0])
    here = normal_posterior(y, matrix, middle, spread)
    x = {
        "solve": np.linalg.inv(np.linalg.cholesky(matrix))[None],
        "block": np.ones((1, 1, 3)),
        "nu": np.zeros((1, 1)),
    }
    found = _rest(y - here, x, np.array([0, 1]))
    joint = spread + matrix
    gain = joint[:2, 2] / joint[2, 2]
    left = y[:2] - middle[:2] - gain * (y[2] - middle[2])
    covariance = joint[:2, :2] - np.outer(gain, joint[2, :2])
    square = left @ np.linalg.solve(covariance, left)
    assert found.how == how
    assert found.p_value == pytest.approx(stats.chi2.sf(square, 2), rel=0.1)
    assert found.middle == pytest.approx(left, rel=0.05, abs=0.06)
    assert found.error + found.around == pytest.approx(covariance, rel=0.1, abs=0.06)
    alone = _rest(y - here, x, np.array([0, 1, 2]))
    whole = (y - middle) @ np.linalg.solve(joint, y - middle)
    assert alone.p_value == pytest.approx(stats.chi2.sf(whole, 3), rel=0.1)


def test_tests_of_several_blocks_are_taken_out_by_the_product_of_their_densities():
    """Two laws, a normal and a Student t of 4 degrees: weights against their formula."""
    here = np.random.default_rng(1).normal(0.0, 0.3, (4000, 3))
    y = np.array([0.5, 0.2, -0.4])
    x = {"solve": np.eye(3)[None], "block": np.array([[[1, 0, 0], [0, 1, 1]]])}
    x["nu"] = np.array([[0.0, 4.0]])
    found = _rest(y - here, x, np.arange(3))
    left = y - here
    log = stats.norm.logpdf(left[:, 0])
    log += stats.multivariate_t(np.zeros(3)[:2], np.eye(2), df=4).logpdf(left[:, 1:])
    exact = np.exp(-log) / np.exp(-log).sum()
    assert found.nu == 4.0
    assert found.weights @ left == pytest.approx(exact @ left, abs=0.01)
    drawn = left[_taken(found.weights)]
    assert drawn.mean(0) == pytest.approx(found.weights @ left, abs=0.01)


def _dark(panel):
    """TV off in the two weeks of its test."""
    media, spend = panel.media.copy(), panel.spend.copy()
    media[:, 2:4, 0] = spend[:, 2:4, 0] = 0.0
    return dataclasses.replace(panel, media=media, spend=spend)


@pytest.mark.slow(parts=6)
def test_the_table_of_what_tests_taught_has_returns_and_the_plan_without_them():
    """Returns without tests against draws of a posterior whose tests say next to nothing,
    and against a fit without them, which is told apart from weights.
    """
    vague = dataclasses.replace(TV, error=500.0, name="vague")
    two = [vague, mm.facts.Lift("Search", 3.0, 3.0, 1.0, 200.0)]
    panel = make_panel(("north",), periods=20)
    plain = make_fit(2, 1000, panel=panel, dtype=np.float64)
    fit = dataclasses.replace(plain, panel=panel.with_facts(two))
    table = tables.taught(fit, max_draws=100, periods=4)
    channels = [c for c, paid in zip(panel.channels, panel.paid, strict=True) if paid]
    names = ["Search 3 +3", "vague", "all tests"]
    assert list(table["without"]) == [n for n in names for _ in channels]
    assert list(table["channel"]) == channels * 3
    assert set(table["how"]) == {"weights"}
    assert table["roas_rest_mean"].to_numpy() == pytest.approx(
        table["roas_mean"].to_numpy(), rel=0.02
    )
    assert (table["contraction"].abs() < 0.05).all()
    last = table[table["tests"] == 2]
    assert set(last["plan"]) == {"made"}
    assert last["spend"].to_numpy() == pytest.approx(last["spend_rest"].to_numpy(), rel=0.1)
    assert last["gain_mean"].iloc[0] == pytest.approx(0.0, abs=0.1)
    assert words.taught(table.assign(spend_rest=table["spend"]), "").endswith("with them.")
    moved = table.assign(spend=[np.nan] * 4 + [30.0, 70.0])
    moved = moved.assign(spend_rest=[np.nan] * 4 + [50.0, 50.0])
    assert "made with the tests moves 20.0% of the money" in words.taught(moved, "sales")
    told = (
        mm.counterfactual(plain, _dark(panel), ("2022-01-16", "2022-02-05"))[
            "difference_contribution"
        ]
        .to_numpy()
        .ravel()
    )
    error = 1.6 * float(told.std())
    some = dataclasses.replace(TV, result=float(2 * error - told.mean()), error=error)
    table = tables.taught(dataclasses.replace(plain, panel=panel.with_facts([some])))
    weights = 1.0 / stats.norm.pdf(-told, some.result, error)
    roas = mm.roas(plain)["roas_total"].to_numpy().reshape(len(told), -1)
    raw, paid = weights @ roas / weights.sum(), np.flatnonzero(panel.paid)
    apart = (table["roas_rest_mean"] - raw[paid]) / roas.std(0)[paid]
    moved = (table["roas_mean"] - raw[paid]) / roas.std(0)[paid]
    assert apart.abs().max() < 0.03  # weights of far draws are smoothed
    assert moved[0] > 0.4
    sure = dataclasses.replace(TV, error=0.05, result=50.0)
    fit = dataclasses.replace(plain, panel=panel.with_facts([sure]))
    table = tables.taught(fit)
    assert set(table["how"]) == {REFIT} == set(table["plan"])
    assert table["roas_rest_mean"].isna().all()
    assert REFIT in words.taught(table, "sales")
    table = tables.taught(fit, plain, max_draws=100, periods=4)
    assert table["roas_rest_mean"].to_numpy() == pytest.approx(
        table["roas_mean"].to_numpy()
    )
    assert table["gain_mean"].iloc[0] == 0.0
    with pytest.raises(mm.InputError, match="without: got a fit with tests"):
        tables.taught(fit, fit)


def test_tests_of_a_channel_that_contradict_the_series_only_together_are_named():
    """Each of the two has the other on its side."""
    fit = make_fit(2, 200, panel=make_panel(("north",), periods=20), dtype=np.float64)
    one = dataclasses.replace(TV, error=1.0, tail=0)
    twice = [one, dataclasses.replace(one, start="2022-01-30", end="2022-02-12")]
    fit = dataclasses.replace(fit, panel=fit.panel.with_facts(twice))
    told = tables.lift_tests(fit, draws=2)
    sd = 2.0 * (told["hi"] - told["lo"]).max()
    results = [m + 3.3 * sd for m in told["mean"]]
    facts = [
        dataclasses.replace(f, result=float(y), error=float(sd))
        for f, y in zip(twice, results, strict=True)
    ]
    fit = dataclasses.replace(fit, panel=fit.panel.with_facts(facts))
    table = tables.lift_tests(fit, draws=2)
    found = conflicts(fit)
    assert (table["p_value"] < 0.01).all()
    assert len(found) == 2
    facts = [dataclasses.replace(f, result=float(m + 2.4 * sd)) for f, m in
             zip(facts, told["mean"], strict=True)]  # fmt: skip
    fit = dataclasses.replace(fit, panel=fit.panel.with_facts(facts))
    assert (tables.lift_tests(fit, draws=2)["p_value"] > 0.01).all()
    (said,) = conflicts(fit)
    assert said.where == ("TV",)
    assert "2 lift tests" in said.what


def test_what_tests_taught_is_said_on_the_terminal(capsys):
    """Returns in money where an outcome has a value; what weights do not tell in words."""
    part = {"without": "all tests", "tests": 2, "p_value": 0.2, "plan": "made"}
    gain = {"gain_mean": 5.0, "gain_lo": -1.0, "gain_hi": 9.0, "probability_better": 0.9}
    rows = [
        part | gain | {"channel": c, "roas_mean": x, "roas_lo": x / 2, "roas_hi": 2 * x}
        for c, x in (("TV", 2.0), ("Radio", 1.0))
    ]
    table = pd.DataFrame(rows).assign(how=[REFIT, "weights"], periods=13.0)
    table = table.assign(spend=[300.0, 100.0], spend_rest=[200.0, 200.0])
    for name in ("mean", "lo", "hi"):
        table[f"roas_rest_{name}"] = [np.nan, 1.5]
    panel = dataclasses.replace(make_panel(), outcome_value=10.0)
    show.taught(table, panel)
    told = capsys.readouterr().out
    assert REFIT in told
    assert "15.0 [15.0, 15.0]" in told
    assert "moves 25.0%" in told
