"""A plan that holds the split of every channel over geos: one variable for all of them."""

import numpy as np
import pytest
from scipy.optimize import minimize

import mmmjax as mm
from mmmjax.budget import constraints
from mmmjax.budget.prepare import prepare
from mmmjax.checks import InputError
from tests.budget.cases import make_fit

ASK = {"periods": 8, "bounds": (0.3, 2.0)}


@pytest.fixture(scope="module")
def fit():
    return make_fit(3, geos=3, draws=12)


@pytest.fixture(scope="module")
def held(fit):
    return mm.optimize(fit, **ASK, fixed_geo_split=True)


def shares(table):
    return table / table.sum(axis=0)


def test_the_split_is_that_of_the_reference_and_the_plan_the_best_that_keeps_it(fit, held):
    spend, before = held.optimized.to_numpy(), held.reference.to_numpy()
    np.testing.assert_allclose(shares(spend), shares(before), rtol=1e-9)
    assert held.certified
    assert held.objective < mm.optimize(fit, **ASK).objective
    scale = before.sum(0)

    def brought(x):  # an independent search over totals, evaluated as any plan is
        plan = mm.evaluate(fit, shares(before) * (x * scale), periods=8)
        return -float(plan.response_mean[1]) / held.objective

    total = {"type": "eq", "fun": lambda x: (x * scale).sum() / held.budget - 1}
    found = minimize(brought, np.ones(3), bounds=[(0.3, 2.0)] * 3, constraints=total,
                     method="SLSQP", options={"eps": 1e-4, "maxiter": 40})  # fmt: skip
    assert -found.fun == pytest.approx(1.0, abs=1e-5)
    told = mm.evaluate(fit, held)
    assert float(told.response_mean[1]) == pytest.approx(held.objective)


def test_it_is_said_and_remembered(fit, held):
    assert held.to_dict()["fixed_geo_split"] is True
    assert "shared out over geos as in the reference" in held.text()
    known = mm.knowledge(fit, held)
    split = shares(known.allocation.to_numpy()[0])
    np.testing.assert_allclose(split, shares(held.reference.to_numpy()), rtol=1e-6)
    assert float(known.expected_regret) == pytest.approx(float(known.evpi), abs=1e-6)


def test_limits_floors_switches_and_frontiers_keep_it(fit, held):
    before = shares(held.reference.to_numpy())
    most = 0.2 * held.budget
    limited = mm.optimize(
        fit, **ASK, fixed_geo_split=True,
        constraints=[
            constraints.group("c1", at_most=most), constraints.roas_floor(1e-3, "c0")
        ],
    )  # fmt: skip
    spend = limited.optimized.to_numpy()
    assert spend[:, 1].sum() <= most * (1 + 1e-6)
    np.testing.assert_allclose(shares(spend), before, rtol=1e-9)
    minimum = 1.2 * held.reference.to_numpy()[:, 2].sum()
    off = mm.optimize(fit, **ASK, fixed_geo_split=True,
                      constraints=[constraints.minimum_if_on({"c2": minimum})])  # fmt: skip
    money = off.optimized.to_numpy()[:, 2].sum()
    assert money == 0 or money >= minimum * (1 - 1e-9)
    levels = [0.9 * held.budget, held.budget]
    found = mm.frontier(fit, levels, **ASK, fixed_geo_split=True)
    np.testing.assert_allclose(found.spend[1], held.optimized, rtol=1e-3)
    weeks = mm.optimize(fit, periods=3, fixed_geo_split=True, flighting="optimal")
    each = weeks.spend_by_period.to_numpy()
    np.testing.assert_allclose(
        each / each.sum(0), np.broadcast_to(before[..., None], each.shape), rtol=1e-6
    )


def test_markets_keep_their_own_split(fit):
    other = make_fit(3, geos=2, draws=12, seed=4)
    plan = mm.optimize({"a": fit, "b": other}, **ASK, fixed_geo_split=True)
    spend, before = plan.optimized.to_numpy(), plan.reference.to_numpy()
    for rows in (slice(0, 3), slice(3, 5)):
        np.testing.assert_allclose(shares(spend[rows]), shares(before[rows]), rtol=1e-9)
    assert not np.allclose(shares(spend), shares(before))


@pytest.mark.parametrize(
    "more, words",
    [
        ({"bounds": {"c1": (np.array([1.0, 2e4, 1.0]), np.array([2.0, 3e4, 2.0]))}}, "c1"),
        ({"constraints": [constraints.per_geo({"g0": 1.0})]}, "g0"),
    ],
)
def test_what_no_total_keeps_is_named(fit, more, words):
    with pytest.raises(InputError, match=words):
        prepare(fit, **(ASK | more), fixed_geo_split=True)


def test_one_geo_has_no_split(fit):
    with pytest.raises(InputError, match="several geos"):
        prepare(make_fit(2), **ASK, fixed_geo_split=True)
