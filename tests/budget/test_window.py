"""How a plan is asked for: a quarter, dates as reference, bounds as multiples."""

import dataclasses
import datetime

import numpy as np
import pandas as pd
import pytest

import mmmjax as mm
from mmmjax.budget.prepare import prepare
from mmmjax.budget.request import known_of, read
from mmmjax.checks import InputError
from tests.budget.cases import make_fit, make_panel


@pytest.fixture(scope="module")
def fit():
    return make_fit(2, draws=6)


@pytest.mark.parametrize(
    "freq, periods", [("W", 13), ("D", 91), ("MS", 3), ("QS", 1), ("YS", 1), ("2W-SUN", 7)]
)
def test_without_periods_a_quarter_is_planned(fit, freq, periods):
    dates = pd.date_range("2021-01-03", periods=len(fit.panel.dates), freq=freq)
    panel = dataclasses.replace(fit.panel, dates=dates, freq=freq)
    assert prepare(dataclasses.replace(fit, panel=panel)).layout.periods == periods


def test_the_quarter_is_said(fit):
    plan = mm.optimize(fit)
    assert "over 13 weeks (a quarter, as no length was asked for)" in plan.text("week")
    assert plan.to_dict()["periods_are_a_quarter_by_default"] is True
    asked = mm.optimize(fit, periods=13)
    assert "a quarter" not in asked.text("week")
    np.testing.assert_array_equal(plan.optimized, asked.optimized)


def test_a_reference_of_dates_is_the_spend_between_them():
    fit = make_fit(3, geos=2, draws=6)
    dates = fit.panel.dates
    first, last = str(dates[4].date()), dates[9].date()
    plan = prepare(fit, periods=6, reference=(first, last))
    spend = fit.panel.spend[:, 4:10].sum(1)
    np.testing.assert_allclose(plan.layout.table(plan.layout.reference), spend)
    assert plan.layout.reference_is == f"spend of {first} to {last}"
    longer = prepare(fit, periods=12, reference=[first, np.datetime64(last)])
    np.testing.assert_allclose(longer.layout.reference, 2 * plan.layout.reference)
    assert longer.layout.reference_is.endswith("its mean a period times 12")
    each = prepare(fit, periods=6, reference=(first, last), per_period=True)
    np.testing.assert_allclose(each.layout.reference, plan.layout.reference)


@pytest.mark.parametrize(
    "given",
    [
        ("2019-01-01", "2019-02-01"), ("2022-03-01", "2022-02-01"), ("soon", "later"),
        ("2022-02-01", "2029-01-01"), ("2022-02-01", "2022-02-02"),
        (datetime.date(2022, 2, 7), datetime.date(2022, 2, 9)), ("2022-02-01",),
    ],
)  # fmt: skip
def test_dates_that_are_no_window_of_training(fit, given):
    with pytest.raises(InputError, match="reference"):
        prepare(fit, periods=4, reference=given)


@pytest.mark.parametrize("told", [("0.8x", "1.2x"), "0.8x:1.2x", 0.2, ["0.8x", "1.2x"]])
@pytest.mark.parametrize("per_period", [False, True])
def test_bounds_as_multiples_of_one_channel(fit, told, per_period):
    layout = prepare(fit, periods=4, bounds={"c1": told}, per_period=per_period).layout
    np.testing.assert_allclose(layout.lower / layout.reference, [0.5, 0.8])
    np.testing.assert_allclose(layout.upper / layout.reference, [1.5, 1.2])


def test_one_end_in_money_and_one_as_a_multiple(fit):
    layout = prepare(fit, periods=4, bounds={"*": 0.9, "c1": (5.0, "3x")}).layout
    assert layout.lower[1] == 5.0
    assert layout.upper[1] == pytest.approx(3 * layout.reference[1])
    open_ = prepare(fit, periods=4, bounds={"c1": ("0.5x", np.inf)}).layout
    assert open_.upper[1] == pytest.approx(layout.budget)


@pytest.mark.parametrize(
    "told, words",
    [
        ((0.8, 1.2), '"0.8x", "1.2x"'), ((0, 2), '"0x", "2x"'), (("0.8", "1.2"), "0.8x"),
        (("-1x", "1x"), "0.8x"), (("1.2x", "0.8x"), "smaller number first"),
        (("0.8x", 1e-9), "both as multiples"), (1.5, "bounds"),
        (("nanx", "1x"), "0.8x"), (True, "bounds"), (("x", "1x"), "0.8x"),
    ],
)  # fmt: skip
def test_multiples_that_are_none(told, words):
    asked = {"reference": None, "fixed": None, "per_period": False}
    with pytest.raises(InputError, match=words):
        read(known_of(make_panel(2)), budget=None, periods=4, bounds={"c0": told}, **asked)


def test_a_plan_says_what_bounds_are_of_and_when_memory_is_longer(fit):
    text = mm.optimize(fit, periods=2, bounds={"*": 0.3, "c1": ("0x", "2x")}).text("week")
    assert '0.7 to 1.3 times the past spend; of "c1" as given' in text
    assert "(2 weeks) is shorter than the memory of media (4)" in text
    scaled = mm.optimize(fit, periods=4, budget=1e4)
    assert "0.5 to 1.5 times the past split scaled to the budget" in scaled.text()
    assert "shorter than the memory" not in scaled.text()
    kept = mm.optimize(fit, periods=2, carry_in="history")
    assert "shorter than the memory" not in kept.text()
    assert kept.to_dict()["memory"] == 4
