"""Scenarios: exact responses, noise in spend against quadrature, readings of plans."""

import dataclasses

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mmmjax import metrics
from mmmjax.budget import compare as module
from mmmjax.budget import utility as utilities
from mmmjax.budget.compare import evaluate, scenarios_table
from mmmjax.budget.curves import ResponseCurves
from mmmjax.budget.solve import optimize
from mmmjax.checks import InputError
from mmmjax.draws import Draws
from tests.budget.cases import make_fit
from tests.reference import budget as oracle

WEIGHTS = [3.0, 1.0, 0.0, 0.0, 2.0, 1.0]


@pytest.fixture(scope="module")
def fit():
    return make_fit(3, 2, draws=40)


@pytest.fixture(scope="module")
def plan(fit):
    return optimize(fit, periods=6, bounds=(0, 3))


@pytest.mark.parametrize(
    "flighting, carry_in",
    [("even", "zero"), ("even", "history"), (WEIGHTS, "history"), ("optimal", "zero"),
     pytest.param(WEIGHTS, "zero", marks=pytest.mark.slow),
     pytest.param("optimal", "history", marks=pytest.mark.slow)],
)  # fmt: skip
def test_a_plan_brings_what_it_says(fit, flighting, carry_in):
    plan = optimize(
        fit, periods=6, bounds=(0, 3), flighting=flighting, carry_in=carry_in,
        per_period=carry_in == "history",
    )  # fmt: skip
    how = "even" if flighting == "optimal" else flighting
    found = evaluate(fit, plan, flighting=how)
    np.testing.assert_allclose(found.response, plan.response, rtol=1e-12)
    spend = [plan.reference, plan.optimized]
    np.testing.assert_allclose(found.spend, spend, rtol=1e-12)
    assert found.probability_better[1] == plan.probability_better
    gain = [found[f"gain_{end}"][1] for end in ("mean", "lo", "hi")]
    np.testing.assert_allclose(gain, plan.gain, rtol=1e-10)
    if flighting != "optimal":  # there a cell's marginal is that of its flighting
        np.testing.assert_allclose(found.marginal[1], plan.marginal, rtol=1e-9)


def test_even_spend_against_the_oracle(fit):
    money = np.random.default_rng(0).uniform(1e2, 1e4, (2, 3))
    found = evaluate(fit, {"a": money, "b": 2 * money}, periods=6)
    for i, spend in enumerate([money, 2 * money]):
        mean, marginal = oracle.separable(fit, 6)(spend)
        np.testing.assert_allclose(found.response_mean[i], mean.sum(), rtol=1e-12)
        np.testing.assert_allclose(found.channel_mean[i], mean.sum(0), rtol=1e-12)
        np.testing.assert_allclose(found.marginal[i], marginal, rtol=1e-6)
        roas = mean.sum(0) / spend.sum(0)
        np.testing.assert_allclose(found.channel_roas[i], roas, rtol=1e-12)
        mroas = (marginal * spend).sum(0) / spend.sum(0)
        np.testing.assert_allclose(found.mroas[i], mroas, rtol=1e-6)


def test_intervals_are_those_of_draws(fit, plan):
    found = evaluate(fit, plan, prob=0.8)
    lo, hi = metrics.hdi(plan.response_by_channel.to_numpy(), 0.8, axis=1)
    np.testing.assert_allclose(found.channel_lo, lo, rtol=1e-12)
    np.testing.assert_allclose(found.channel_hi, hi, rtol=1e-12)
    np.testing.assert_array_equal(found.extrapolated[1], plan.extrapolated.notnull())


def test_utilities_are_exact(fit, plan):
    wanted = [
        "mean_tightness(alpha=0.9)",
        "portfolio_entropy",
        "roas",
        "expected_shortfall",
    ]
    found = evaluate(fit, plan, utilities=wanted)
    assert len(found.utility) == 4
    with jax.enable_x64(True):
        for i, name in enumerate(["reference", "optimized"]):
            samples = plan.response_by_channel.sel(plan=name).to_numpy()
            money = (plan.reference, plan.optimized)[i].sum("geo").to_numpy()
            first = plan.response_by_channel.sel(plan="reference").to_numpy()
            for j, text in enumerate(wanted):
                utility = utilities.bind(utilities.as_utility(text), first)
                worth = float(utility(samples, money))
                atol = 1e-9 * plan.objective
                np.testing.assert_allclose(
                    found.utility_value[i, j], worth, rtol=1e-10, atol=atol
                )


def equal_draws(count, lam, max_lag=1):
    """One channel whose draws are all alike."""
    fit = make_fit(1, draws=1, max_lag=max_lag)
    like = {n: np.repeat(x, count, 1) for n, x in fit.draws.params.items()}
    like["saturation_lam"] = np.full_like(like["saturation_lam"], lam)
    return dataclasses.replace(fit, draws=Draws(like))


def test_noise_of_a_straight_line_is_that_of_spend():
    fit = equal_draws(20_000, 1e-7)
    exact = evaluate(fit, {"c0": 1e3}, periods=1).response.to_numpy()[1]
    noisy = evaluate(fit, {"c0": 1e3}, periods=1, spend_noise=0.1).response.to_numpy()[1]
    realised = noisy / exact
    assert (realised > 0).all()
    assert abs(realised.mean() - 1.0) < 4 * 0.1 / np.sqrt(20_000)
    assert abs(realised.std() - 0.1) < 4 * 0.1 / np.sqrt(2 * 20_000) * 1.1
    logs = np.log(realised)
    assert abs(((logs - logs.mean()) ** 3).mean() / logs.std() ** 3) < 0.08  # lognormal


def test_noise_against_quadrature():
    fit = equal_draws(4000, 3.0)
    nodes, weights = np.polynomial.hermite_e.hermegauss(60)
    spread = np.sqrt(np.log1p(0.5**2))
    luck = np.exp(spread * nodes - spread**2 / 2)
    money = 4 * float(fit.panel.spend.max())
    each = evaluate(fit, [[money * x] for x in luck], periods=1, max_draws=1)
    expected = each.response.to_numpy()[:, 0] @ weights / weights.sum()
    found = evaluate(fit, [money], periods=1, spend_noise=0.5).response.to_numpy()[1]
    assert abs(found.mean() - expected) < 4 * found.std() / np.sqrt(found.size)


@pytest.mark.parametrize("flighting", ["even", WEIGHTS])
@pytest.mark.parametrize("carry_in", ["zero", "history"])
def test_noise_costs_where_the_response_is_concave(fit, flighting, carry_in):
    keep = {"periods": 6, "flighting": flighting, "carry_in": carry_in}
    exact = evaluate(fit, [None], **keep).response
    noisy = evaluate(fit, [None], spend_noise=0.3, seed=1, **keep).response
    lost = (noisy - exact).to_numpy()
    assert lost.mean() <= 4 * lost.std() / np.sqrt(lost.size)
    tiny = evaluate(fit, [None], spend_noise=1e-9, **keep).response
    np.testing.assert_allclose(tiny, exact, rtol=1e-7)


def test_luck_is_seeded_and_common_to_plans(fit, plan):
    twins = evaluate(fit, [plan, plan, None], spend_noise=0.2, seed=3)
    np.testing.assert_array_equal(twins.response[0], twins.response[1])
    assert twins.gain_mean[1] == 0.0
    again = evaluate(fit, [plan], spend_noise=0.2, seed=3)
    np.testing.assert_allclose(again.response[0], twins.response[0], rtol=1e-12)
    other = evaluate(fit, [plan], spend_noise=0.2, seed=4)
    assert not np.allclose(other.response[0], again.response[0])


def test_one_program_for_any_number_of_plans(fit, plan, monkeypatch):
    chex.clear_trace_counter()
    static = ("form", "noisy", "inside", "wide")
    counted = chex.assert_max_traces(module._all.__wrapped__, n=1)
    monkeypatch.setattr(module, "_all", jax.jit(counted, static_argnames=static))
    few = evaluate(fit, plan, spend_noise=0.1)
    many = evaluate(fit, [plan.reference, *[plan] * 7], spend_noise=0.2)
    assert many.sizes["plan"] == 8
    assert np.isfinite(many.response).all()
    again = evaluate(fit, [plan.reference, plan, None], spend_noise=0.1, periods=6, seed=0)
    np.testing.assert_allclose(again.response[:2], few.response, rtol=1e-12)


def test_wide_devices_give_the_same(fit, plan, monkeypatch):
    noise = {"spend_noise": 0.1, "utilities": "sharpe"}
    narrow = evaluate(fit, [plan] * 9, **noise)
    monkeypatch.setattr(jax, "default_backend", lambda: "gpu")
    wide = evaluate(fit, [plan] * 9, **noise)
    np.testing.assert_allclose(wide.response, narrow.response, rtol=1e-12)
    np.testing.assert_allclose(wide.utility_value, narrow.utility_value, rtol=1e-9)


@given(seed=st.integers(0, 2**32 - 1))
def test_channels_add_up_and_order_does_not_matter(seed):
    fit = make_fit(3, 2, draws=10)
    money = np.random.default_rng(seed).gamma(1.0, 1e3, (3, 2, 3))
    found = evaluate(fit, list(money), periods=4)
    np.testing.assert_allclose(found.channel_mean.sum("channel"), found.response_mean)
    back = evaluate(fit, list(money[::-1]), periods=4)
    np.testing.assert_array_equal(found.response[::-1], back.response)


def test_how_plans_are_given(fit, plan):
    before = evaluate(fit, [None], periods=6).spend[0].to_numpy()
    changed = evaluate(fit, {"c1": 100.0}, periods=6)
    assert list(changed.plan.to_numpy()) == ["reference", "plan"]
    np.testing.assert_allclose(changed.spend[0], before)
    np.testing.assert_allclose(changed.spend[1, :, [0, 2]], before[:, [0, 2]])
    np.testing.assert_allclose(changed.spend[1, :, 1].sum(), 100.0)
    ratio = before[0, 1] / before[1, 1]
    np.testing.assert_allclose(changed.spend[1, 0, 1] / changed.spend[1, 1, 1], ratio)
    each = evaluate(fit, {"c1": [30.0, 70.0]}, periods=6, per_period=True)
    np.testing.assert_allclose(each.spend[1, :, 1], [30.0, 70.0])
    np.testing.assert_allclose(each.total_spend, each.spend.sum(("geo", "channel")))
    named = evaluate(fit, {"a": plan, "b": {"c1": 100.0}, "none": np.zeros(3)})
    assert list(named.plan.to_numpy()) == ["a", "b", "none"]
    np.testing.assert_array_equal(named.response[2], 0.0)
    assert np.isnan(named.roas[2])
    assert np.isfinite(named.mroas[2]).all()
    row = evaluate(fit, [1.0, 2.0, 3.0], periods=6)
    np.testing.assert_allclose(row.spend[1].sum("geo"), [1.0, 2.0, 3.0])


def test_markets_that_lack_channels():
    other = make_fit(2, 2, draws=20, seed=4)
    panel = dataclasses.replace(other.panel, channels=("c0", "c2"))
    fits = {"a": make_fit(2, 2, draws=20), "b": dataclasses.replace(other, panel=panel)}
    plan = optimize(fits, periods=5)
    changed = {"b": {"c2": 5.0}}
    found = evaluate(fits, {"plan": plan, "moved": changed, "all": {"c0": 9.0}})
    np.testing.assert_allclose(
        found.response[0], plan.response.sel(plan="optimized"), rtol=1e-12
    )
    assert found.spend.sel(plan="moved", channel="c2").sum() == pytest.approx(5.0)
    np.testing.assert_allclose(found.spend.sel(plan="all", channel="c0").sum(), 9.0)
    assert np.isnan(found.marginal.sel(geo="a/g0", channel="c2")).all()
    assert np.isfinite(found.marginal.sel(geo="b/g1", channel="c2")).all()
    alone = evaluate(fits, changed, periods=5)
    np.testing.assert_allclose(alone.response[1], found.response[1], rtol=1e-12)
    with pytest.raises(InputError, match="markets"):
        evaluate(fits, {"a": {"c1": 5.0}, "c": {"c1": 5.0}}, periods=5)


def test_curves_of_ones_own():
    def respond(p, spend):
        return p["a"] * jnp.sqrt(spend + 1.0) - p["a"]

    draws = {"a": np.random.default_rng(0).gamma(5.0, 1.0, (400, 2))}
    curves = ResponseCurves(("x", "y"), respond, draws, np.array([1.0, 3.0]), True)
    found = evaluate(curves, {"x": 8.0})
    expected = draws["a"] @ [2.0, 1.0]
    np.testing.assert_allclose(found.response[1], expected, rtol=1e-12)
    noisy = evaluate(curves, {"x": 8.0}, spend_noise=0.4)
    lost = (noisy.response - found.response).to_numpy()[1]
    assert lost.mean() < 0.0
    assert not noisy.extrapolated.any()


def test_table_has_a_row_per_plan_and_channel(fit, plan):
    found = evaluate(fit, plan, utilities="mean_response")
    rows = scenarios_table(found)
    assert list(rows.channel) == 2 * ["ALL", "c0", "c1", "c2"]
    whole = rows[rows.channel == "ALL"]
    np.testing.assert_allclose(whole["response_mean"], found.response_mean)
    np.testing.assert_allclose(whole["mean_response()"], found.response_mean, rtol=1e-12)
    parts = rows[rows.channel != "ALL"].groupby("plan", sort=False)
    np.testing.assert_allclose(parts["spend"].sum(), whole["spend"])
    np.testing.assert_allclose(parts["response_mean"].sum(), whole["response_mean"])


@pytest.mark.parametrize(
    "plans, more, words",
    [
        ([], {}, "at least one plan"),
        ({}, {}, "at least one plan"),
        ({"c9": 1.0}, {}, "paid channels"),
        ({"C1": 1.0}, {}, 'did you mean "c1"'),
        ({"c1": -1.0}, {}, "at least 0"),
        ({"c1": np.nan}, {}, "at least 0"),
        ({"a": {"c1": "x"}}, {}, 'plan "a"'),
        ({"c1": [1.0, 2.0, 3.0]}, {}, "one per geo"),
        (np.ones(4), {}, "array of shape"),
        (np.full((2, 3), np.inf), {}, "finite"),
        (-np.ones((2, 3)), {}, "at least 0"),
        ([None], {"spend_noise": -0.1}, "spend_noise"),
        ([None], {"flighting": "optimal"}, "weights of the periods"),
        ([None], {"periods": None}, "periods"),
        ([None], {"utilities": ["nonsense"]}, "nonsense"),
        ([None], {"prob": 1.0}, "prob"),
        ({"de": {"c1": 1.0}, "fr": {"c1": {}}}, {}, "c1"),
    ],
)
def test_errors_at_the_door(fit, plans, more, words):
    with pytest.raises(InputError, match=words):
        evaluate(fit, plans, **({"periods": 6} | more))


def test_plans_of_another_window_are_refused(fit, plan):
    with pytest.raises(InputError, match="periods 6"):
        evaluate(fit, [plan], periods=7)
    with pytest.raises(InputError, match="carry_in zero"):
        evaluate(fit, [plan], carry_in="history")
    with pytest.raises(InputError, match="channels"):
        evaluate(make_fit(2, 2), [plan])
