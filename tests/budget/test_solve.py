"""Plans of small fits: optimality by independent methods, laws, and what is withheld."""

import dataclasses
import logging

import jax
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import minimize

import mmmjax as mm
from mmmjax.budget.prepare import prepare
from mmmjax.draws import Draws
from tests.budget.cases import make_fit
from tests.reference import budget as oracle

seeds = st.integers(0, 2**32 - 1)


def changed(fit, **params):
    draws = Draws(fit.draws.params | params)
    return dataclasses.replace(fit, draws=draws)


@pytest.mark.slow(parts=6)
@pytest.mark.parametrize("geos, channels", [(1, 7), (5, 4)])
@pytest.mark.parametrize("bounds", [0.5, (0.0, 4.0)])
def test_plan_equals_bisection_on_the_multiplier(geos, channels, bounds):
    fit = make_fit(channels, geos, seed=geos)
    plan = mm.optimize(fit, periods=26, bounds=bounds)
    at = oracle.separable(fit, 26)
    spend, best = oracle.best_plan(at, plan.lower.values, plan.upper.values, plan.budget)
    assert plan.certified
    assert best - plan.objective <= plan.gap_bound + 1e-12 * best
    np.testing.assert_allclose(plan.objective, best, rtol=1e-8)
    np.testing.assert_allclose(plan.optimized, spend, rtol=2e-3, atol=1e-4 * plan.budget)
    mean, marginal = at(plan.optimized.values)
    np.testing.assert_allclose(plan.objective, mean.sum(), rtol=1e-12)
    np.testing.assert_allclose(plan.marginal, marginal, rtol=1e-6)


@pytest.mark.parametrize("seed", range(3))
def test_plan_is_at_least_as_good_as_slsqp(seed):
    fit = make_fit(7, seed=seed)
    plan = mm.optimize(fit, periods=10, bounds=(0, 3), budget=1e5)
    at = oracle.separable(fit, 10)
    box = zip(plan.lower.values[0] / 1e5, plan.upper.values[0] / 1e5, strict=True)
    found = minimize(
        lambda z: -at(z[None] * 1e5)[0].sum() / plan.objective,
        plan.reference.values[0] / 1e5,
        jac=lambda z: -at(z[None] * 1e5)[1][0] * 1e5 / plan.objective,
        bounds=list(box),
        constraints={"type": "eq", "fun": lambda z: z.sum() - 1, "jac": np.ones_like},
        method="SLSQP",
        options={"ftol": 1e-14, "maxiter": 500},
    )
    assert -found.fun <= 1.0 + 1e-9
    np.testing.assert_allclose(plan.optimized.values[0] / 1e5, found.x, atol=1e-3)


@given(seed=seeds, budget=st.floats(0.6, 1.4), width=st.floats(0.0, 1.0))
def test_laws_of_any_plan(seed, budget, width):
    fit = make_fit(seed=seed)
    plain = mm.optimize(fit, periods=6, bounds=0.0)
    total = plain.budget * budget
    plan = mm.optimize(fit, periods=6, bounds=width, budget=total)
    assert plan.optimized.sum() == pytest.approx(total, rel=1e-12)
    assert (plan.optimized >= plan.lower - 1e-9).all()
    assert (plan.optimized <= plan.upper + 1e-9).all()
    assert plan.objective >= plan.reference_objective
    assert plan.certified
    assert plan.status == "converged"
    # no transfer of money between two channels earns more than the bound says
    price = plan.marginal.values.ravel()
    up = (plan.upper - plan.optimized).values.ravel()
    down = (plan.optimized - plan.lower).values.ravel()
    gain = (price[:, None] - price) * np.minimum(up[:, None], down)
    assert gain.max() <= plan.gap_bound + 1e-12 * plan.objective


def test_marginal_returns_are_equal_where_nothing_binds():
    plan = mm.optimize(make_fit(seed=3), periods=6, bounds=(0, np.inf))
    free = plan.binding.values == "free"
    assert free.sum() > 1
    prices = plan.marginal.values[free]
    np.testing.assert_allclose(prices, plan.shadow_price, rtol=1e-4)
    assert (plan.marginal.values[plan.binding.values == "lower"] <= prices.max()).all()


@given(seed=seeds, rate=st.floats(1e-3, 1e6))
def test_currency_changes_nothing_but_the_unit(seed, rate):
    fit = make_fit(seed=seed)
    dear = dataclasses.replace(fit.panel, spend=fit.panel.spend * rate)
    scale = dataclasses.replace(fit.scale, cost_per_unit=fit.scale.cost_per_unit * rate)
    other = dataclasses.replace(fit, panel=dear, scale=scale)
    plans = [mm.optimize(f, periods=6, bounds=(0, 3)) for f in (fit, other)]
    assert plans[1].budget == pytest.approx(plans[0].budget * rate)
    assert plans[1].objective == pytest.approx(plans[0].objective, rel=1e-7)


def test_more_room_is_never_worse_and_everything_may_be_fixed():
    fit = make_fit()
    objectives = [
        mm.optimize(fit, periods=6, bounds=b).objective for b in (0, 0.2, 0.5, (0, np.inf))
    ]
    assert objectives == sorted(objectives)
    held = mm.optimize(fit, periods=6, fixed=["c0", "c1", "c2"])
    assert held.objective == held.reference_objective == objectives[0]
    assert (held.binding == "fixed").all()
    assert held.shadow_price is None
    assert held.gap_bound == 0.0


def test_shadow_price_is_what_one_more_unit_of_budget_brings():
    fit = make_fit()
    reference = {"c0": 2e4, "c1": 2e3, "c2": 2e3}
    plans = [
        mm.optimize(fit, periods=6, reference=reference, bounds=(0, 5), budget=b)
        for b in (2e4, 2e4 + 1.0)
    ]
    rise = plans[1].objective - plans[0].objective
    assert rise == pytest.approx(plans[0].shadow_price, rel=1e-3)


def test_history_is_credited_only_with_what_the_plan_buys():
    fit = make_fit()
    zero, history = (mm.optimize(fit, periods=6, carry_in=c) for c in ("zero", "history"))
    assert history.objective < zero.objective  # saturation: the past takes its part
    idle = mm.optimize(fit, periods=6, carry_in="history", budget=1e-6, bounds=0)
    assert idle.objective == pytest.approx(0.0, abs=1e-3)


def test_periods_shorter_than_the_lags_and_draws_in_float32():
    fit = make_fit(dtype=np.float32)
    plan = mm.optimize(fit, periods=2)
    np.testing.assert_allclose(
        plan.response.sel(plan="optimized"), oracle.response(fit, plan.optimized.values, 2)
    )
    assert plan.certified


@pytest.mark.parametrize("carry_in", ["zero", "history"])
def test_other_values_compile_nothing(carry_in, caplog):
    fit, other = make_fit(seed=1), make_fit(seed=2)
    mm.optimize(fit, periods=26, carry_in=carry_in)
    with jax.log_compiles(), caplog.at_level(logging.WARNING):
        caplog.clear()  # what the library itself says, where a test before has it listen
        for f, periods, more in (
            (fit, 13, {"bounds": 0.2}),
            (fit, 2, {"bounds": (0, 3), "tolerance": 1e-6}),
            (fit, 26, {"fixed": ["c1"], "per_period": True}),
            (other, 26, {"cost_per_unit": {"c0": 3.0}}),
        ):
            mm.optimize(f, periods=periods, carry_in=carry_in, **more)
        assert not [r for r in caplog.records if "Compiling" in r.getMessage()]
        jax.jit(lambda x: x + len(carry_in))(1.0)  # the log does see a compilation
        assert [r for r in caplog.records if "Compiling" in r.getMessage()]


def test_no_global_setting_changes():
    before = jax.config.jax_enable_x64
    mm.optimize(make_fit(), periods=4)
    assert jax.config.jax_enable_x64 == before is False


def test_certificate_is_withheld_when_a_draw_is_not_concave():
    fit = make_fit()
    beta = fit.draws.params["saturation_beta"].copy()
    beta[0, 3, 1] = -0.01
    plan = mm.optimize(changed(fit, saturation_beta=beta), periods=6)
    assert plan.gap_bound is plan.relative_gap is None
    assert not plan.certified
    assert "saturation_beta is negative in 1 of 20 draws" in plan.gap_reason
    assert plan.objective >= plan.reference_objective
    assert plan.to_dict()["gap_bound"] is None
    assert plan.gap_reason in repr(plan)


def test_negative_draws_of_an_organic_channel_do_not_matter():
    fit = make_fit(organic=True)
    beta = fit.draws.params["saturation_beta"].copy()
    beta[..., 0] = -1.0
    plans = [mm.optimize(f, periods=6) for f in (fit, changed(fit, saturation_beta=beta))]
    assert plans[1].certified
    assert plans[0].objective == plans[1].objective
    assert list(plans[0].optimized.channel.values) == ["c0", "c1", "c2"]


def test_an_unknown_kernel_or_utility_is_not_certified():
    fit = make_fit()

    @dataclasses.dataclass(frozen=True)
    class Bent(type(fit.spec.saturation)):
        kind = "bent"

        def concave(self, params):
            return {}

    bent = dataclasses.replace(fit.spec, saturation=Bent())
    assert prepare(fit, periods=6).doubt == ""
    other = dataclasses.replace(fit, spec=bent)
    assert "not concave under" in prepare(other, periods=6).doubt
    first = lambda samples, money: samples[0]
    assert "not known to be concave" in prepare(fit, periods=6, utility=first).doubt


def test_an_evaluation_limit_is_said_and_the_bound_is_honest():
    fit = make_fit(7)
    short = mm.optimize(fit, periods=6, bounds=(0, 3), max_evaluations=2)
    full = mm.optimize(fit, periods=6, bounds=(0, 3))
    assert short.status == "evaluation limit"
    assert not short.certified
    assert short.objective >= short.reference_objective
    assert full.objective - short.objective <= short.gap_bound


def test_a_posterior_without_effect_is_planned_too():
    fit = make_fit()
    beta = np.zeros_like(fit.draws.params["saturation_beta"])
    plan = mm.optimize(changed(fit, saturation_beta=beta), periods=6)
    assert plan.objective == 0.0
    assert plan.certified


def test_draws_that_are_not_finite_are_refused():
    fit = make_fit()
    lam = fit.draws.params["saturation_lam"].copy()
    lam[0, 0, 0] = np.nan
    with pytest.raises(mm.InputError, match="not finite"):
        mm.optimize(changed(fit, saturation_lam=lam), periods=6)
