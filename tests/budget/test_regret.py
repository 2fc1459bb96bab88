"""Value of information: closed forms, brute force on a grid, laws; the table of means."""

import dataclasses

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mmmjax.budget import regret as module
from mmmjax.budget import utility
from mmmjax.budget.constraints import group, roas_floor
from mmmjax.budget.curves import ResponseCurves
from mmmjax.budget.horizon import response_of, tabled
from mmmjax.budget.prepare import prepare
from mmmjax.budget.region import ranges_of
from mmmjax.budget.regret import NODES, knowledge, knowledge_table
from mmmjax.budget.solve import optimize
from mmmjax.checks import InputError
from mmmjax.draws import Draws
from tests.budget.cases import make_fit

GRID = 20_001


def by_grid(respond, low, high, total, draws):
    """EVPI and values of two channels by trying every split: sums of curves."""
    x = np.linspace(max(low[0], total - high[1]), min(high[0], total - low[1]), GRID)
    first = np.stack([respond(d, 0, x) for d in range(draws)])
    second = np.stack([respond(d, 1, total - x) for d in range(draws)])
    both = first + second
    now = both.mean(0).max()
    known = both.max(1)
    values = [
        (first + second.mean(0)).max(1).mean() - now,
        (first.mean(0) + second).max(1).mean() - now,
    ]
    return known, known.mean() - now, values


def test_two_channels_by_brute_force():
    fit = make_fit(2, draws=60, seed=3)
    plan = optimize(fit, periods=8, bounds=(0, 3))
    found = knowledge(fit, plan)
    prepared = prepare(fit, periods=8, bounds=(0, 3))
    with jax.enable_x64(True):
        respond = jax.jit(jax.vmap(response_of(prepared.window, prepared.kind.form)))
        money = np.linspace(0.0, 1.0, GRID)[:, None] * prepared.region.upper
        curves = np.asarray(respond(money))  # (grid, draw, channel)

    def at(d, c, x):
        return np.interp(x, money[:, c], curves[:, d, c])

    low, high = prepared.region.lower, prepared.region.upper
    known, evpi, values = by_grid(at, low, high, plan.budget, 60)
    np.testing.assert_allclose(found.response_known, known, rtol=1e-6)
    atol = 1e-6 * plan.objective
    np.testing.assert_allclose(found.evpi, evpi, atol=atol)
    np.testing.assert_allclose(found.channel_value, values, atol=atol)
    assert (found.gap <= 1e-7 * found.response_known).all()
    error = found.regret.std(ddof=1) / np.sqrt(60)
    np.testing.assert_allclose(found.expected_regret_error, error)


def straight_lines(draws, concave=True):
    def respond(p, spend):
        return p["slope"] * spend

    names = [f"c{i}" for i in range(draws.shape[1])]
    reference = np.ones(len(names))
    return ResponseCurves(names, respond, {"slope": draws}, reference, concave)


def test_straight_lines_have_a_closed_form():
    slopes = np.random.default_rng(1).gamma(4.0, 1.0, (500, 3))
    found = knowledge(straight_lines(slopes), bounds=(0, 4), max_draws=None)
    mean = slopes.mean(0)
    np.testing.assert_allclose(
        found.evpi, 3 * (slopes.max(1).mean() - mean.max()), rtol=1e-9
    )
    for c in range(3):
        others = np.delete(mean, c).max()
        value = 3 * (np.maximum(slopes[:, c], others).mean() - mean.max())
        np.testing.assert_allclose(found.channel_value[c], value, rtol=1e-9)
    chosen = found.allocation.to_numpy()[:, 0].argmax(1)
    np.testing.assert_array_equal(chosen, slopes.argmax(1))
    np.testing.assert_allclose(found.evpi_money, found.evpi / mean.max(), rtol=1e-9)


def test_nothing_to_learn_where_all_draws_are_equal():
    fit = make_fit(3, 2, draws=1)
    like = {n: np.repeat(x, 25, 1) for n, x in fit.draws.params.items()}
    fit = dataclasses.replace(fit, draws=Draws(like))
    plan = optimize(fit, periods=5, bounds=(0, 3))
    found = knowledge(fit, plan)
    scale = plan.objective
    np.testing.assert_allclose(found.evpi, 0.0, atol=1e-7 * scale)
    np.testing.assert_allclose(found.regret, 0.0, atol=1e-7 * scale)
    np.testing.assert_allclose(found.channel_value, 0.0, atol=1e-7 * scale)


@given(seed=st.integers(0, 2**32 - 1))
@settings(max_examples=5)
def test_laws(seed):
    fit = make_fit(3, 2, draws=25, seed=seed)
    cautious = optimize(fit, periods=5, bounds=(0, 3), utility=CAUTIOUS)
    found = knowledge(fit, cautious)
    size = found.response_known.mean().item()
    assert (found.regret >= 0.0).all()
    assert found.evpi >= 0.0
    assert found.expected_regret >= found.evpi - 1e-7 * size
    assert (found.channel_value >= 0.0).all()
    error = 5 * (found.evpi_error + found.channel_value_error)
    assert (found.channel_value <= found.evpi + error).all()
    spend = found.allocation.sum(("geo", "channel"))
    np.testing.assert_allclose(spend, cautious.budget, rtol=1e-9)
    assert (found.allocation >= cautious.lower - 1e-9 * cautious.budget).all()
    assert (found.allocation <= cautious.upper + 1e-9 * cautious.budget).all()
    np.testing.assert_allclose(found.response, cautious.response[1], rtol=1e-10)


CAUTIOUS = utility.conditional_value_at_risk(0.9)


def test_each_draw_is_its_own_plan():
    """The best plan of a draw is that of a fit with this draw alone."""
    fit = make_fit(3, draws=25, seed=2)
    found = knowledge(fit, periods=4, bounds=(0.2, 3.0))
    for d in (0, 5):
        one = {name: x[:, d : d + 1] for name, x in fit.draws.params.items()}
        alone = optimize(
            dataclasses.replace(fit, draws=Draws(one)), periods=4, bounds=(0.2, 3.0)
        )
        np.testing.assert_allclose(found.response_known[d], alone.objective, rtol=1e-7)
        atol = 1e-3 * alone.budget
        np.testing.assert_allclose(found.allocation[d], alone.optimized, atol=atol)


def mean_curve(window, form, region):
    respond = response_of(window, form)
    mean = lambda spend: respond(spend).mean(0, keepdims=True)
    table = tabled(mean, jnp.asarray(region.lower), ranges_of(region), NODES)
    return lambda spend: table(spend)[0]


def test_the_mean_curve_is_tabulated_well():
    fit = make_fit(3, 2, draws=50)
    prepared = prepare(fit, periods=10, bounds=(0, 4), carry_in="history")
    window, form, region = prepared.window, prepared.kind.form, prepared.region
    with jax.enable_x64(True):
        curve = mean_curve(window, form, region)
        share = np.random.default_rng(0).uniform(0, 1, (300, 6)) ** 2
        spend = region.lower + share * (region.upper - region.lower)
        exact = jax.vmap(lambda x: response_of(window, form)(x).mean(0))(spend)
        found = jax.vmap(curve)(spend)
        slope = jax.vmap(jax.grad(lambda x: curve(x).sum()))(spend)
        true = jax.vmap(jax.grad(lambda x: response_of(window, form)(x).mean(0).sum()))(
            spend
        )
    exact = np.asarray(exact)
    np.testing.assert_allclose(found, exact, rtol=1e-8, atol=1e-9 * exact.max())
    np.testing.assert_allclose(slope, true, rtol=1e-4)


def test_roots_are_tabulated_too():
    curves = ResponseCurves(
        ("x",), lambda p, x: p["a"] * jnp.sqrt(x), {"a": np.ones((3, 1))}, np.ones(1), True
    )
    prepared = prepare(curves, bounds=(0, 4))
    with jax.enable_x64(True):
        region = prepared.region._replace(lower=np.zeros(1), upper=4 * np.ones(1))
        x = np.linspace(0, 4, 999)[:, None]
        found = jax.vmap(mean_curve(prepared.window, prepared.kind.form, region))(x)
    assert np.isfinite(found).all()
    np.testing.assert_allclose(found, np.sqrt(x), atol=2e-3)


def test_one_program_for_other_plans(monkeypatch):
    chex.clear_trace_counter()
    for name in ("_solve_worlds", "_solve_channels"):
        counted = chex.assert_max_traces(getattr(module, name).__wrapped__, n=1)
        again = jax.jit(counted, static_argnames="kind")
        monkeypatch.setattr(module, name, again)
    fit = make_fit(3, draws=25)
    plan = optimize(fit, periods=5, bounds=(0, 3))
    other = optimize(fit, periods=9, bounds=(0.1, 2), budget=1.2 * plan.budget)
    first, second = knowledge(fit, plan), knowledge(fit, other)
    assert first.evpi != second.evpi


def test_wide_devices_give_the_same(monkeypatch):
    fit = make_fit(2, draws=6)
    narrow = knowledge(fit, periods=5, bounds=(0, 3))
    with monkeypatch.context() as patch:
        patch.setattr(jax, "default_backend", lambda: "gpu")
        for name in ("_solve_worlds", "_solve_channels"):
            again = jax.jit(getattr(module, name).__wrapped__, static_argnames="kind")
            patch.setattr(module, name, again)
        wide = knowledge(fit, periods=5, bounds=(0, 3))
    atol = 1e-7 * narrow.response.mean().item()
    np.testing.assert_allclose(wide.response_known, narrow.response_known, atol=atol)
    np.testing.assert_allclose(wide.channel_value, narrow.channel_value, atol=atol)


def test_what_a_plan_remembers_is_kept():
    fit = make_fit(3, draws=25)
    for more in (
        {"up_to": True, "per_period": True},
        {"until_mroas": 2.0},
        {"carry_in": "history", "fixed": ["c1"], "budget": 3e4},
        {"flighting": "optimal"},
        {"flighting": [1.0, 0.0, 3.0, 2.0]},
    ):
        plan = optimize(fit, periods=4, bounds=(0, 3), **more)
        found = knowledge(fit, plan, channels=False)
        assert found.expected_regret >= 0.0
        assert "channel_value" not in found
        np.testing.assert_allclose(found.plan, plan.optimized, rtol=1e-9)
        price = plan.until_mroas or 0.0
        net = plan.response[1] - price * plan.optimized.sum()
        np.testing.assert_allclose(found.response, net, rtol=1e-9)
        if "flighting" not in more:  # the best on average is the plan
            close = 1e-6 * plan.objective
            np.testing.assert_allclose(found.expected_regret, found.evpi, atol=close)


def test_limits_hold_in_every_draw():
    fit = make_fit(3, draws=25)
    least = group(["c0", "c1"], at_most=0.5, share=True)
    plan = optimize(fit, periods=4, bounds=(0, np.inf), constraints=[least])
    found = knowledge(fit, plan, channels=False, constraints=[least])
    spend = found.allocation.sel(channel=["c0", "c1"]).sum(("geo", "channel"))
    assert (spend <= 0.5 * plan.budget * (1 + 1e-9)).all()
    free = knowledge(fit, plan, channels=False)
    assert (free.response_known >= found.response_known * (1 - 1e-7)).all()


def test_curves_that_are_not_concave():
    def hill(p, spend):
        x = spend ** p["slope"]
        return p["top"] * x / (x + p["half"] ** p["slope"])

    rng = np.random.default_rng(0)
    draws = {
        "top": rng.gamma(9.0, 1.0, (20, 2)), "half": rng.uniform(0.5, 2.0, (20, 2)),
        "slope": rng.uniform(2.0, 3.0, (20, 2)),
    }  # fmt: skip
    curves = ResponseCurves(("x", "y"), hill, draws, np.ones(2))
    found = knowledge(curves, bounds=(0, np.inf), max_draws=None)
    assert found.doubt
    assert np.isnan(found.gap).all()

    def at(d, c, x):
        one = {name: value[d, c] for name, value in draws.items()}
        return hill(one, x)

    known, evpi, values = by_grid(at, (0, 0), (2, 2), 2.0, 20)
    np.testing.assert_allclose(found.response_known, known, rtol=1e-6)
    np.testing.assert_allclose(found.evpi, evpi, atol=1e-6 * known.mean())
    np.testing.assert_allclose(found.channel_value, values, atol=1e-5 * known.mean())


def test_table():
    fit = make_fit(3, 2, draws=25)
    found = knowledge(fit, periods=4)
    rows = knowledge_table(found)
    assert len(rows) == 6
    assert rows.channel_value.is_monotonic_decreasing
    worth = rows.set_index(["geo", "channel"]).channel_value["g1", "c1"]
    assert worth == float(found.channel_value.sel(channel="c1"))
    assert "channel_value" not in knowledge_table(knowledge(fit, periods=4, channels=False))


@pytest.mark.parametrize(
    "more, words",
    [
        ({"utility": "sharpe"}, "utility"),
        ({"flighting": "optimal"}, "flighting"),
        ({"constraints": [roas_floor(0.1)]}, "constraints"),
        ({"max_draws": 0}, "max_draws"),
        ({"prob": 2.0}, "prob"),
        ({"tolerance": -1.0}, "tolerance"),
    ],
)
def test_errors_at_the_door(more, words):
    with pytest.raises(InputError, match=words):
        knowledge(make_fit(2, draws=5), **({"periods": 4} | more))


def test_a_plan_outside_of_what_is_asked_is_refused():
    fit = make_fit(3, 2, draws=25)
    plan = optimize(fit, periods=4, bounds=(0, 3))
    with pytest.raises(InputError, match="breaks the bounds"):
        knowledge(fit, plan, bounds=0.01)
    flighted = optimize(fit, periods=4, bounds=(0, 3), flighting="optimal")
    with pytest.raises(InputError, match="flighting"):
        knowledge(fit, flighted)
