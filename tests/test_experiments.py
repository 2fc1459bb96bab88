"""Lift tests after the fit: beside a posterior that is known exactly, and where they go."""

import dataclasses
import math

import numpy as np
import pytest

import mmmjax as mm
from mmmjax import tables
from mmmjax.experiments import _compared, conflicts
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
    media = panel.media.copy()
    media[:, 2:4, 0] = 0.0
    spend = panel.spend.copy()
    spend[:, 2:4, 0] = 0.0
    dark = dataclasses.replace(panel, media=media, spend=spend)
    dates = ("2022-01-16", "2022-02-05")
    told = -mm.counterfactual(fit, dark, dates)["difference_contribution"].to_numpy()
    assert table["mean"][1] == pytest.approx(told.mean(), rel=1e-6)
    assert set(table["how"]) <= {"weights", "normal", "not known"}
    assert "lift_tests" in tables.NAMES
    far = dataclasses.replace(TV, result=1e4, error=200.0, name="far")
    fit = dataclasses.replace(fit, panel=panel.with_facts([far]))
    (said,) = conflicts(fit)
    assert said.code == "lift_conflict"
    assert '"far" says 1e+04' in said.what
    assert conflicts(dataclasses.replace(fit, panel=panel.with_facts([]))) == ()
