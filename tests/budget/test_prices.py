"""Prices of media in the window: a plan remembers them, and they may change by period."""

import dataclasses

import numpy as np
import pandas as pd
import pytest

import mmmjax as mm
from mmmjax.budget.outcome import forecast_plan
from mmmjax.budget.regret import knowledge
from mmmjax.checks import InputError
from tests.budget.cases import make_fit, make_panel

PERIODS = 6


@pytest.fixture(scope="module")
def fit():
    return make_fit(2, geos=2, draws=8)


def prices_of(fit, seed=3):
    """{channel: (geo, period)}, up to three times those of training."""
    rng = np.random.default_rng(seed)
    cost = fit.scale.cost_per_unit
    return {
        name: cost[:, c, None] * rng.uniform(0.5, 3.0, (len(cost), PERIODS))
        for c, name in enumerate(fit.panel.channels)
    }


def response_of(fit, spend, prices):
    """Response (draw, geo, channel) of money (geo, channel, period): a loop of NumPy."""
    flat, lag = fit.flat(), fit.spec.adstock.max_lag
    draws, geos = len(flat["saturation_beta"]), len(fit.panel.geos)
    out = np.zeros((draws, geos, len(fit.panel.channels)))
    for d, g, c in np.ndindex(out.shape):
        media = np.zeros(PERIODS + lag - 1)
        media[:PERIODS] = spend[g, c] / prices[fit.panel.channels[c]][g]
        media /= fit.scale.media[g, c]
        alpha, lam, beta = (
            float(flat[f"{name}"][d][c])
            for name in ("adstock_alpha", "saturation_lam", "saturation_beta")
        )
        weights = alpha ** np.arange(lag)
        weights /= weights.sum()
        carried = np.convolve(media, weights)[: len(media)]
        effect = (beta * np.tanh(lam * carried / 2)).sum()
        out[d, g, c] = effect * np.asarray(fit.scale.outcome)[g]
    return out


@pytest.mark.parametrize("flighting", ["even", [1, 2, 0, 1, 3, 1], "optimal"])
def test_a_price_by_period_is_what_buys_its_media(fit, flighting):
    prices = prices_of(fit)
    plan = mm.optimize(fit, periods=PERIODS, flighting=flighting, cost_per_unit=prices)
    expected = response_of(fit, plan.spend_by_period.to_numpy(), prices)
    got = plan.response_by_channel.sel(plan="optimized")
    np.testing.assert_allclose(got, expected.sum(1), rtol=1e-10)
    assert plan.cost_per_unit.dims == ("geo", "channel", "period")
    for name, price in prices.items():
        np.testing.assert_allclose(plan.cost_per_unit.sel(channel=name), price)


@pytest.mark.parametrize(
    "flighting, by_period", [("even", False), ("even", True), ([1, 2, 0, 1, 3, 1], True)]
)
def test_evaluate_remembers_the_prices_of_a_plan(fit, flighting, by_period):
    prices = prices_of(fit)
    if not by_period:
        prices = {name: price[:, 0] for name, price in prices.items()}
    plan = mm.optimize(fit, periods=PERIODS, flighting=flighting, cost_per_unit=prices)
    found = mm.evaluate(fit, plan)
    given = not isinstance(flighting, str)  # which evaluate lends to no reference
    for side, name in (("reference", "reference"), ("plan", "optimized"))[given:]:
        got, expected = found.response.sel(plan=side), plan.response.sel(plan=name)
        np.testing.assert_allclose(got, expected, rtol=1e-10)
    trained = mm.evaluate(fit, plan, cost_per_unit={})  # those of training, asked for
    assert (trained.response.sel(plan="plan") > found.response.sel(plan="plan")).any()


def test_plans_of_different_prices_are_not_compared_unasked(fit):
    name = fit.panel.channels[0]
    cheap = mm.optimize(fit, periods=PERIODS)
    dear = mm.optimize(fit, periods=PERIODS, cost_per_unit={name: 100.0})
    with pytest.raises(InputError, match="different prices"):
        mm.evaluate(fit, [cheap, dear])
    found = mm.evaluate(fit, [cheap, dear], cost_per_unit={name: 100.0})
    assert float(found.response_mean[0]) < cheap.gain.mean + float(
        cheap.response.sel(plan="reference").mean()
    )


def test_knowledge_and_forecast_remember_them_too():
    fit = make_fit(2, geos=1, draws=8)
    prices = {name: 2.5 * fit.scale.cost_per_unit[0, c]
              for c, name in enumerate(fit.panel.channels)}  # fmt: skip
    plan = mm.optimize(fit, periods=PERIODS, cost_per_unit=prices)
    found = knowledge(fit, plan, channels=False)
    brought = plan.response.sel(plan="optimized")
    np.testing.assert_allclose(found.response, brought, rtol=1e-9)


def test_forecast_counts_on_the_prices_of_the_plan():
    from tests import fits

    fit = fits.make_fit(2, 10, dtype=np.float64)
    price = np.linspace(1.0, 3.0, PERIODS)[None]
    told = {"Search": price}
    plan = mm.optimize(fit, periods=PERIODS, cost_per_unit=told)
    found, asked = (
        forecast_plan(fit, plan, **more) for more in ({}, {"cost_per_unit": told})
    )
    np.testing.assert_array_equal(found.outcome, asked.outcome)
    other = forecast_plan(fit, plan, cost_per_unit={})
    assert not np.allclose(found.total_mean, other.total_mean)


def test_markets_keep_their_own_prices():
    fits = {"de": make_fit(2, draws=8), "fr": make_fit(3, draws=8, seed=4)}
    told = {"fr": {"c2": 50.0}}
    plan = mm.optimize(fits, periods=PERIODS, cost_per_unit=told)
    found = mm.evaluate(fits, plan)
    expected = plan.response.sel(plan="optimized")
    np.testing.assert_allclose(found.response.sel(plan="plan"), expected, rtol=1e-10)
    assert float(plan.cost_per_unit.sel(geo="fr", channel="c2")) == 50.0
    assert np.isnan(plan.cost_per_unit.sel(geo="de", channel="c2"))


def test_a_table_of_periods_and_largest_media():
    fit = make_fit(2, draws=8)
    names = list(fit.panel.channels)
    cost = fit.scale.cost_per_unit[0]
    table = pd.DataFrame({names[0]: cost[0] * np.array([1, 1, 1, 1, 1, 4.0])})
    plan = mm.optimize(fit, periods=PERIODS, cost_per_unit=table, bounds=0.0)
    same = mm.optimize(fit, periods=PERIODS, bounds=0.0,
                       cost_per_unit={names[0]: table[names[0]].to_list()})  # fmt: skip
    np.testing.assert_array_equal(plan.response, same.response)
    # media of a period against media of training, whatever they cost
    media = plan.spend_by_period[0, 0] / plan.cost_per_unit[0, 0]
    most = float(media.max() / (plan.largest[0, 0] / plan.cost_per_unit[0, 0].mean()))
    seen = dataclasses.replace(plan, largest=0.5 * most * plan.largest)
    assert float(seen.extrapolated[0, 0]) == pytest.approx(2.0)


@pytest.mark.parametrize(
    "told",
    [
        {"c0": -1.0}, {"c0": 0.0}, {"c0": "dear"}, {"c0": [1.0, np.nan] * 3}, {"c0": None},
        {"c0": np.inf}, {"c0": [1.0, 2.0, 3.0]}, {"c9": 1.0}, 12.5, "cheap",
        pd.DataFrame({"c0": [1.0, 2.0]}),
    ],
)  # fmt: skip
def test_prices_that_are_none(fit, told):
    with pytest.raises(InputError, match="cost_per_unit"):
        mm.optimize(fit, periods=PERIODS, cost_per_unit=told)


def media_of(fit, spend, prices, elasticity):
    """What a supply curve sells for money: its cost inverted by bisection."""
    out = {}
    for c, name in enumerate(fit.panel.channels):
        media = np.asarray(fit.panel.media[..., c], float)
        usual = np.array([row[row > 0].mean() for row in media])[:, None]
        cost = lambda m, name=name, usual=usual: (
            prices[name] * m * (1 + elasticity[name] * (m / usual - 1))
        )
        low, high = np.zeros_like(spend[:, c]), np.full_like(spend[:, c], 1e9)
        for _ in range(200):
            middle = (low + high) / 2
            short = cost(middle) < spend[:, c]
            low, high = np.where(short, middle, low), np.where(short, high, middle)
        out[name] = (low + high) / 2
    return out


@pytest.mark.slow(parts=6)
@pytest.mark.parametrize("flighting", ["even", [1, 2, 0, 1, 3, 1], "optimal"])
@pytest.mark.parametrize("constant", [True, False])
def test_media_that_get_dearer(fit, flighting, constant):
    names, rises = fit.panel.channels, {"c0": 0.6, "c1": 0.0}
    prices = prices_of(fit)
    if constant:
        prices = {name: np.repeat(p[:, :1], PERIODS, 1) for name, p in prices.items()}
    asked = {n: {"price": prices[n], "elasticity": rises[n]} for n in names}
    given = {"periods": PERIODS, "flighting": flighting, "cost_per_unit": asked}
    plan = mm.optimize(fit, **given, bounds=(0, 3))
    spend = plan.spend_by_period.to_numpy()
    media = media_of(fit, spend, prices, rises)
    paid = {
        n: np.where(spend[:, c] > 0, spend[:, c] / media[n], 1.0)
        for c, n in enumerate(names)
    }
    expected = response_of(fit, spend, paid).sum(1)
    np.testing.assert_allclose(
        plan.response_by_channel.sel(plan="optimized"), expected, rtol=1e-8
    )
    assert plan.certified  # rising prices keep the response concave
    np.testing.assert_array_equal(plan.price_elasticity, [[0.6, 0.0]] * 2)
    again = mm.evaluate(fit, plan)  # a plan remembers its prices
    np.testing.assert_allclose(again.response[1], expected.sum(1), rtol=1e-8)


def test_who_knows_that_media_get_dearer_plans_better(fit):
    cost = {name: {"elasticity": 0.8} for name in fit.panel.channels}
    asked = {"periods": PERIODS, "bounds": (0, 20)}
    flat, dear = mm.optimize(fit, **asked), mm.optimize(fit, **asked, cost_per_unit=cost)
    blind = {"blind": flat.optimized.to_numpy(), "aware": dear.optimized.to_numpy()}
    found = mm.evaluate(fit, blind, periods=PERIODS, cost_per_unit=cost)
    assert found.response_mean[1] > (1 + 1e-5) * found.response_mean[0]
    line = mm.frontier(
        fit, [dear.budget], periods=PERIODS, bounds=(0, 20),
        reference=dear.reference.to_numpy(), cost_per_unit=cost,
    )  # fmt: skip
    np.testing.assert_allclose(line.response_mean[0], dear.objective, rtol=1e-6)


@pytest.mark.parametrize(
    "given, words",
    [({"c0": {"elasticity": 1.0}}, "in \\[0, 1\\)"),
     ({"c0": {"elasticity": [0.1, 0.2, 0.3]}}, "one a geo"),
     ({"c0": {"elastic": 0.1}}, 'did you mean "elasticity"')],
)  # fmt: skip
def test_an_elasticity_is_read_with_care(fit, given, words):
    with pytest.raises(InputError, match=words):
        mm.optimize(fit, periods=PERIODS, cost_per_unit=given)


@pytest.mark.slow(parts=6)
def test_a_forecast_buys_at_the_prices_of_the_plan():
    fit = mm.fit(
        mm.Spec(adstock=mm.adstock.Geometric(max_lag=4), seasonality=None), make_panel(2),
        mm.NUTS(chains=1, warmup=50, draws=50), seed=0,
    )  # fmt: skip
    asked = {"periods": PERIODS, "cost_per_unit": {"c0": {"elasticity": 0.5}}}
    plan = mm.optimize(fit, **asked, bounds=(0, 20), carry_in="history")
    found = forecast_plan(fit, plan, noise=False)
    # in the window and its tail the plan brings its response; the tail is not forecast
    cash = dataclasses.replace(fit, panel=dataclasses.replace(fit.panel, outcome_value=1.0))
    flow = mm.evaluate(cash, plan, discount_rate=0.0).income.isel(due=slice(PERIODS))
    gain = float(flow[1].sum() - flow[0].sum())
    assert float(found.gain_mean) == pytest.approx(gain, rel=1e-4)
