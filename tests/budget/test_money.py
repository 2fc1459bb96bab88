"""Plans where an outcome is worth money: judged by what is left after the cost of media."""

import dataclasses

import numpy as np
import pytest

import mmmjax as mm
from mmmjax.budget.compare import scenarios_table
from mmmjax.checks import InputError
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
    assert "better with probability over 0.99" in text
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
    rows = scenarios_table(found).set_index(["plan", "channel"])
    assert rows.loc[("plan", "ALL"), "net_lo"] == pytest.approx(plan.net_gain.lo)
    bare = scenarios_table(mm.evaluate(make_fit(2, draws=30), plan))
    assert "net_mean" not in bare
    markets = mm.optimize({"a": fit, "b": valued(make_fit(2, draws=30, seed=2), 1.0)},
                          periods=8)  # fmt: skip
    assert markets.outcome_value is None  # two values: no sum of money


ASK = {"periods": 8, "bounds": (0.1, 5.0)}
WORTH = 0.05  # money per unit of outcome at which some channels of the fit pay and some not


@pytest.fixture(scope="module")
def paying():
    return valued(make_fit(3, draws=30), WORTH)


def test_profit_stops_where_the_next_money_returns_itself(paying):
    plan = mm.optimize(paying, utility="profit", **ASK)
    assert plan.certified
    free = plan.binding.to_numpy() == "free"
    assert free.any()
    np.testing.assert_allclose(WORTH * plan.marginal.to_numpy()[free], 1.0, rtol=1e-5)
    spent = float(plan.optimized.sum())
    mean = float(plan.response.sel(plan="optimized").mean())
    assert plan.objective == pytest.approx(WORTH * mean - spent)
    assert plan.budget == pytest.approx(float(plan.upper.sum()))  # what bounds allow
    assert "returns less than itself" in plan.text()
    ends = zip(plan.lower.to_numpy()[0], plan.upper.to_numpy()[0], strict=True)
    bounds = dict(zip(paying.panel.channels, ends, strict=True))
    for share in (0.7, 1.3):  # no other total earns more
        other = mm.optimize(paying, budget=share * spent, periods=8, bounds=bounds)
        mean = float(other.response.sel(plan="optimized").mean())
        assert WORTH * mean - share * spent < plan.objective
    told = plan.to_dict()
    assert (told["utility_unit"], told["outcome_value"]) == ("EUR", WORTH)


def test_break_even_is_the_same_plan_up_to_the_budget(paying):
    plan = mm.optimize(paying, utility="profit", **ASK)
    most = 1.5 * float(plan.optimized.sum())
    ask = ASK | {"budget": most, "reference": plan.reference.to_numpy()}
    even = mm.optimize(paying, until_mroas="break-even", **ask)
    assert even.until_mroas == pytest.approx(1 / WORTH)
    np.testing.assert_allclose(even.optimized, plan.optimized, rtol=1e-4)
    assert "(returns 1)" in even.text()
    less = mm.optimize(paying, utility="profit", **(ask | {"budget": most / 3}))
    assert float(less.optimized.sum()) == pytest.approx(most / 3)  # all of it pays
    assert "(1: break-even)" in mm.optimize(paying, **ASK).text().split("next")[1]


def test_a_value_of_ones_own_and_profit_in_a_sum(paying):
    bare = make_fit(3, draws=30)
    own = mm.optimize(bare, utility=f"profit(value={WORTH})", **ASK)
    plan = mm.optimize(paying, utility="profit", **ASK)
    np.testing.assert_allclose(own.optimized, plan.optimized, rtol=1e-9)
    assert own.outcome_value == WORTH
    cautious = mm.optimize(
        paying, utility=f"profit + {WORTH} * conditional_value_at_risk(level=0.5)", **ASK
    )
    assert cautious.certified
    assert float(cautious.optimized.sum()) > float(plan.optimized.sum())
    found = mm.evaluate(paying, plan, utilities=["profit"])
    assert float(found.utility_value[1, 0]) == pytest.approx(plan.objective)
    levels = mm.frontier(paying, [1e3, 1e6], utility="profit", **ASK)
    assert 0 < float(levels.spend[0].sum()) <= 1e3 * (1 + 1e-9)
    assert float(levels.spend[1].sum()) < 1e6


@pytest.mark.parametrize(
    "asked, words",
    [
        ({"utility": "profit"}, "outcome_value"),
        ({"until_mroas": "break-even"}, "outcome_value"),
        ({"utility": "profit(value=0)"}, "value"), ({"until_mroas": "even"}, "break-even"),
        ({"utility": "profit(value=1)", "until_mroas": 2.0}, "stops at 1"),
        ({"utility": "roas(profit(value=1))"}, "roas"),
        ({"utility": "profit(value=1)", "target": 9.0}, "target"),
    ],
)  # fmt: skip
def test_profit_without_what_it_needs(asked, words):
    with pytest.raises(InputError, match=words):
        mm.optimize(make_fit(2, draws=6), **(ASK | asked))
