"""Net present value and break-even of plans, against a loop over periods in NumPy."""

import dataclasses

import numpy as np
import pandas as pd
import pytest

import mmmjax as mm
from mmmjax.checks import InputError
from tests.budget.cases import make_fit

PERIODS, RATE, VALUE = 6, 0.3, 0.05


@pytest.fixture(scope="module")
def fit():
    made = make_fit(2, geos=2, draws=12)
    return dataclasses.replace(
        made, panel=dataclasses.replace(made.panel, outcome_value=VALUE)
    )


def flows(fit, money):
    """Income (draw, channel, period) of money (geo, channel, period), by its equations."""
    flat, lag = fit.flat(), fit.spec.adstock.max_lag
    geos, channels, periods = money.shape
    out = np.zeros((len(flat["saturation_beta"]), channels, periods + lag - 1))
    for d, g, c in np.ndindex(len(out), geos, channels):
        alpha, lam, beta = (
            float(flat[name][d][c])
            for name in ("adstock_alpha", "saturation_lam", "saturation_beta")
        )
        each = fit.scale.cost_per_unit[g, c] * fit.scale.media[g, c]
        weights = alpha ** np.arange(lag) / (alpha ** np.arange(lag)).sum()
        for t in range(out.shape[-1]):
            seen = sum(
                weights[k] * money[g, c, t - k] / each
                for k in range(lag)
                if 0 <= t - k < periods
            )
            brought = beta * np.tanh(lam * seen / 2) * fit.scale.outcome[g]
            out[d, c, t] += VALUE * brought
    return out


@pytest.mark.parametrize("flighting", ["even", [3, 0, 0, 1, 0, 1]])
def test_cash_against_a_loop_over_periods(fit, flighting):
    spend = np.array([[4e3, 2e3], [1e3, 9e3]])
    weights = np.ones(PERIODS) if flighting == "even" else np.array(flighting, float)
    found = mm.evaluate(
        fit, {"a": spend, "b": 2 * spend}, periods=PERIODS, flighting=flighting,
        discount_rate=RATE,
    )  # fmt: skip
    for i, money in enumerate((spend, 2 * spend)):
        money = money[..., None] * weights / weights.sum()
        income, outlay = flows(fit, money), money.sum(0)
        npv = np.zeros(income.shape[:2])
        for t in range(income.shape[-1]):
            factor = 1.3 ** (-7 * t / 365.25)
            gone = outlay[:, t] if t < PERIODS else 0.0
            npv += factor * (income[..., t] - gone)
            np.testing.assert_allclose(
                found.income[i, :, t], factor * income[..., t].mean(0), rtol=1e-10
            )
        np.testing.assert_allclose(found.channel_npv_mean[i], npv.mean(0), rtol=1e-9)
        np.testing.assert_allclose(found.npv_mean[i], npv.sum(1).mean(), rtol=1e-9)
        assert found.probability_npv[i] == (npv.sum(1) > 0).mean()


def test_break_even_is_the_first_period_that_stays_paid(fit):
    spend = np.array([[4e3, 2e3], [1e3, 9e3]])
    found = mm.evaluate(
        fit, {"a": spend}, periods=PERIODS, flighting=[0, 3, 0, 2, 0, 1], discount_rate=RATE
    )
    assert found.sizes["due"] == PERIODS + fit.spec.adstock.max_lag - 1
    assert found.due[0] == fit.panel.dates[-1] + pd.Timedelta(days=7)
    flow = (found.income - found.outlay).isel(plan=0).sum("channel").to_numpy()
    paid = np.cumsum(flow) >= 0
    days = found.due.to_numpy()
    ever = [day for i, day in enumerate(days) if paid[i:].all()]
    got = found.break_even[0].to_numpy()
    assert (got == ever[0]) if ever else np.isnat(got)


@pytest.mark.parametrize("worth, back", [(1e-9, False), (1e3, True)])
def test_what_is_worth_little_is_never_paid_back(fit, worth, back):
    panel = dataclasses.replace(fit.panel, outcome_value=worth)
    other = dataclasses.replace(fit, panel=panel)
    found = mm.evaluate(other, None, periods=PERIODS, discount_rate=0.0)
    assert bool(found.break_even.isnull().all()) is not back
    assert bool(found.channel_break_even.isnull().all()) is not back
    # without a discount the value is what evaluate tells of response and spend
    expected = worth * found.response_mean - found.total_spend
    np.testing.assert_allclose(found.npv_mean, expected, rtol=1e-9)
    rows = mm.tables.scenarios(found)
    whole = rows[rows.channel == "ALL"]
    assert whole.break_even.notna().all() == back
    np.testing.assert_allclose(whole.npv_mean, found.npv_mean)


def test_what_cannot_be_said_of_time(fit):
    plain = make_fit(2, draws=8)
    with pytest.raises(InputError, match="no outcome_value"):
        mm.evaluate(plain, None, periods=PERIODS, discount_rate=0.1)
    with pytest.raises(InputError, match="spend_noise too"):
        mm.evaluate(fit, None, periods=PERIODS, discount_rate=0.1, spend_noise=0.1)
    with pytest.raises(InputError, match="discount_rate"):
        mm.evaluate(fit, None, periods=PERIODS, discount_rate=-0.1)


def test_effects_that_move_and_multiply_are_discounted_too():
    made = make_fit(2, draws=8)
    panel = dataclasses.replace(made.panel, outcome_value=1.0)
    fit = dataclasses.replace(made, panel=panel)
    found = mm.evaluate(fit, None, periods=PERIODS, discount_rate=0.0, carry_in="history")
    expected = found.response_mean - found.total_spend
    np.testing.assert_allclose(found.npv_mean, expected, rtol=1e-9)
