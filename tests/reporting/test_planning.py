"""The planner's file: what it asks of a plan, how few numbers it needs, what it refuses."""

import json
import re
from dataclasses import replace

import jax.numpy as jnp
import numpy as np
import pytest

import mmmjax as mm
from mmmjax.checks import InputError
from mmmjax.reporting import planning
from mmmjax.reporting.planned import Planned
from tests import fits
from tests.budget.cases import make_fit


def settings(path):
    found = re.search(r'id="settings">(.*?)</script>', path.read_text(), re.S)
    return json.loads(found[1])


@pytest.mark.parametrize("close", planning.CLOSE)
def test_the_shapes_of_draws_are_few_and_close(close):
    u = np.linspace(0, 1, 50)
    rng = np.random.default_rng(0)
    half, most = rng.gamma(4.0, 0.2, (2, 300, 1))
    draws = most * u**2 / (half + u**2)
    shapes, numbers = planning._shapes(draws, draws.mean(0), close)
    assert len(shapes) < 25
    assert np.abs(numbers).max() <= np.iinfo(np.int16).max
    again = draws.mean(0) + numbers.T @ shapes
    usual = np.sqrt((draws**2).mean(0))
    assert (np.abs(again - draws)[:, 1:] / usual[1:]).max() < 3 * close
    same = np.repeat(draws[:1], 5, axis=0)
    assert len(planning._shapes(same, same[0], close)[0]) == 0  # the mean says it all


def test_the_page_has_the_plans_money_bounds_and_what_is_held(tmp_path):
    fit = make_fit(3, 2, draws=30)
    plan = mm.optimize(fit, periods=6, per_period=True, bounds=(0.2, np.inf), fixed=["c1"],
                       carry_in="history", constraints=[mm.constraints.group(["c0", "c2"],
                       at_most=1e9)])  # fmt: skip
    told = settings(mm.planner(fit, tmp_path / "p.html", plan, run="my run"))
    cells = told["cells"]
    for name in ("reference", "optimized", "lower"):
        want = 6 * getattr(plan, name).to_numpy().ravel()
        np.testing.assert_allclose([cell[name] for cell in cells], want)
    assert [cell["held"] for cell in cells] == [False, True, False] * 2
    none = np.isinf(plan.upper.to_numpy().ravel()).tolist()
    assert [cell["upper"] is None for cell in cells] == none
    assert all(cell["top"] >= 3 * cell["reference"] for cell in cells)
    assert told["flags"] == "mmmjax optimize 'my run' --periods 6 --carry-in history"
    assert told["draws"] == 30
    page = (tmp_path / "p.html").read_text()
    assert "sliders and button do not" in page
    assert "these limits (--constraint)" in page
    assert page.count("proven that no other split") == plan.certified


def test_draws_are_thinned_to_what_a_page_may_weigh(tmp_path, monkeypatch):
    fit = make_fit(2, 1, draws=400)
    monkeypatch.setattr(planning, "BYTES", planning.EACH * 2 * 250)
    assert settings(mm.planner(fit, tmp_path / "p.html"))["draws"] == 250
    monkeypatch.setattr(planning, "BYTES", 1)
    assert settings(mm.planner(fit, tmp_path / "p.html"))["draws"] == planning.FEWEST
    assert settings(mm.planner(fit, tmp_path / "p.html", max_draws=50))["draws"] == 50


def test_national_money_and_a_split_that_is_held_move_as_one(tmp_path):
    fit = make_fit(2, 2, draws=20)
    plan = mm.optimize(fit, periods=6, fixed_geo_split=True)
    cells = settings(mm.planner(fit, tmp_path / "p.html", plan))["cells"]
    owners = np.array([cell["owner"] for cell in cells]).reshape(2, 2)
    assert (owners[0] == owners[1]).all()
    assert owners[0, 0] != owners[0, 1]
    share = np.array([cell["share"] for cell in cells]).reshape(2, 2)
    np.testing.assert_allclose(share, plan.reference / plan.reference.sum("geo"))


def test_channels_that_do_not_add_up_are_refused_with_the_reason(tmp_path):
    fit = make_fit(2, 1, draws=5)
    curves = mm.ResponseCurves(["a"], lambda p, x: p["b"] * x, {"b": np.ones((2, 1))},
                               np.ones(1))  # fmt: skip
    plan = Planned.of(mm.optimize(fit, periods=6))
    with pytest.raises(InputError, match=r"plan: got one of other channels or geos"):
        mm.planner(curves, tmp_path / "p.html", plan)
    together = mm.terms.Interaction(channels=("TV", "Search"))
    joint = fits.make_fit(spec=replace(fits.make_spec(), terms=(together,)))
    with pytest.raises(InputError, match=r"act together.*evaluate"):
        mm.planner(joint, tmp_path / "p.html", mm.optimize(joint, periods=4, starts=1))
    old = Planned(plan.table, {k: v for k, v in plan.facts.items() if k != "prices"})
    with pytest.raises(InputError, match=r"without prices.*mmmjax optimize"):
        mm.planner(make_fit(2, 1, draws=5), tmp_path / "p.html", old)
    assert not list(tmp_path.iterdir())


def test_curves_that_first_rise_are_known(tmp_path):
    def page(power):
        curve = lambda p, x: p["m"] * x**power / (50.0**power + x**power)
        given = mm.ResponseCurves(["a", "b"], curve, {"m": jnp.ones((3, 2))},
                                  np.array([40.0, 60.0]))  # fmt: skip
        return settings(mm.planner(given, tmp_path / "p.html"))

    assert page(1.0)["concave"]
    assert not page(2.0)["concave"]
