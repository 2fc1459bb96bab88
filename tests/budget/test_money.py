"""Plans where an outcome is worth money: judged by what is left after the cost of media."""

import dataclasses

import numpy as np
import pytest

import mmmjax as mm
from mmmjax.budget.compare import table
from tests.budget.cases import make_fit

VALUE = 0.02


def valued(fit, value=VALUE):
    return dataclasses.replace(
        fit, panel=dataclasses.replace(fit.panel, outcome_value=value)
    )


@pytest.fixture(scope="module")
def plans():
    """A plan that spends 40% less than its reference: as it is, and at two values."""
    fit = make_fit(2, draws=30)
    past = mm.optimize(fit, periods=8, bounds=0.0)
    asked = {"periods": 8, "budget": 0.6 * past.budget,
             "reference": past.reference.to_numpy()}  # fmt: skip
    return {v: mm.optimize(valued(fit, v), **asked) for v in (None, 1e-6, VALUE)}


def test_net_money_is_value_of_the_gain_less_its_cost(plans):
    plan = plans[VALUE]
    after, before = (
        plan.response.sel(plan=p).to_numpy() for p in ("optimized", "reference")
    )
    more = float(plan.optimized.sum() - plan.reference.sum())
    net = VALUE * (after - before) - more
    assert plan.net_gain.mean == pytest.approx(net.mean())
    assert plan.probability_net_gain == (net > 0).mean()
    told = plan.to_dict()
    assert told["net_gain"]["mean"] == plan.net_gain.mean
    assert told["outcome_value"] == VALUE


def test_saving_what_brings_nothing_is_a_gain(plans):
    plan = plans[1e-6]  # the outcome is worth nearly nothing: all that is saved is won
    assert plan.gain.mean < 0
    assert plan.probability_better < 0.5
    assert plan.probability_net_gain == 1.0
    text = plan.text("week")
    assert "after the cost of media" in text
    assert "better with probability 1.00" in text
    assert text.count("better with probability") == 1


def test_without_a_value_nothing_is_said_of_money(plans):
    plan = plans[None]
    assert plan.net_gain is None
    assert plan.probability_net_gain is None
    assert plan.to_dict()["net_gain"] is None
    assert "after the cost" not in plan.text()
    np.testing.assert_array_equal(plan.response, plans[VALUE].response)


def test_money_a_period_is_over_the_window():
    fit = valued(make_fit(2, draws=30))
    whole = mm.optimize(fit, periods=8, budget=20_000, reference={"c0": 3e4, "c1": 1e4})
    each = mm.optimize(fit, periods=8, budget=2500, per_period=True,
                       reference={"c0": 3e4 / 8, "c1": 1e4 / 8})  # fmt: skip
    np.testing.assert_allclose(each.net_gain, whole.net_gain, rtol=1e-8)


def test_every_way_to_tell_agrees():
    fit = valued(make_fit(2, draws=30))
    plan = mm.optimize(fit, periods=8, budget=20_000, reference={"c0": 3e4, "c1": 1e4})
    found = mm.evaluate(fit, plan)
    assert float(found.net_mean[1]) == pytest.approx(plan.net_gain.mean)
    assert float(found.probability_net[1]) == plan.probability_net_gain
    assert np.isnan(found.probability_net[0])
    rows = table(found).set_index(["plan", "channel"])
    assert rows.loc[("plan", "ALL"), "net_lo"] == pytest.approx(plan.net_gain.lo)
    bare = table(mm.evaluate(make_fit(2, draws=30), plan))
    assert "net_mean" not in bare
    markets = mm.optimize({"a": fit, "b": valued(make_fit(2, draws=30, seed=2), 1.0)},
                          periods=8)  # fmt: skip
    assert markets.outcome_value is None  # two values: no sum of money
