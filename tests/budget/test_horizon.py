"""Distinct levels against every period in full, and against a NumPy loop."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mmmjax.budget.horizon import (
    Form,
    even_levels,
    make_window,
    response_of,
    slopes_of,
    tabled,
)
from tests.budget.cases import make_fit
from tests.reference import budget as oracle

pytestmark = pytest.mark.usefixtures("x64")


def window_of(fit, periods, carry_in, **options):
    prices = fit.scale.cost_per_unit[:, fit.panel.paid, None]
    return make_window([fit], periods, carry_in, [prices], **options)


def form_of(fit, **options):
    return Form(fit.spec.structure(), **options)


def spend_of(fit, seed=0):
    """Money over the window of the size of a year of training, by cell."""
    rng = np.random.default_rng(seed)
    total = fit.panel.spend[..., fit.panel.paid].sum(1)
    return jnp.asarray((total * rng.uniform(0.2, 2.0, total.shape)).ravel())


def full_response(fit, money, window):
    """The forward function on every period of the window and its tail; (cell, period)."""
    lag, past = fit.spec.adstock.max_lag, window.history.shape[-1]
    now = np.pad(money * window.media_per_money, [(0, 0), (0, lag - 1)])

    def one(draw, now):
        media = jnp.concatenate([jnp.asarray(window.history), now], -1)
        return fit.spec.media[0].effect(draw, media)[..., past:].sum(-1)

    each = jax.vmap(one, (0, None))
    return (each(window.draws, now) - each(window.draws, 0 * now)) * window.outcome


CASES = [
    pytest.mark.parametrize("carry_in", ["zero", "history"]),
    pytest.mark.parametrize("max_lag, adstock_first", [(1, True), (4, True), (4, False)]),
]


def each_case(test):
    for mark in CASES:
        test = mark(test)
    return test


@each_case
@pytest.mark.parametrize("periods", [1, 3, 4, 5, 26])
def test_levels_equal_every_period(periods, max_lag, adstock_first, carry_in):
    if max_lag > 2 * periods:
        periods += max_lag  # the full evaluation needs as many periods as lags
    fit = make_fit(geos=2, draws=5, max_lag=max_lag, adstock_first=adstock_first)
    window, spend = window_of(fit, periods, carry_in), spend_of(fit)
    short = response_of(window, form_of(fit))(spend)
    full = full_response(fit, np.repeat(spend[:, None] / periods, periods, 1), window)
    np.testing.assert_allclose(short, full, rtol=1e-12, atol=1e-12 * float(full.max()))


@each_case
@pytest.mark.parametrize("periods", [4, 9, 60])
def test_a_profile_equals_every_period(periods, max_lag, adstock_first, carry_in):
    fit = make_fit(geos=2, draws=5, max_lag=max_lag, adstock_first=adstock_first)
    spend = spend_of(fit)
    profile = np.random.default_rng(1).dirichlet(np.ones(periods), len(spend))
    window = window_of(fit, periods, carry_in, profile=profile)
    full = full_response(fit, np.asarray(spend)[:, None] * profile, window)
    given = response_of(window, form_of(fit))(spend)
    np.testing.assert_allclose(given, full, rtol=1e-12, atol=1e-12 * float(full.max()))
    free = response_of(
        window_of(fit, periods, carry_in, free=True), form_of(fit, free_periods=periods)
    )((spend[:, None] * profile).ravel())
    np.testing.assert_allclose(free, full, rtol=1e-12, atol=1e-12 * float(full.max()))


@pytest.mark.parametrize("carry_in", ["zero", "history"])
@pytest.mark.parametrize("options", [{}, {"adstock_first": False}, {"media_scale": "geo"}])
def test_response_equals_a_numpy_loop(carry_in, options):
    fit = make_fit(2, geos=2, draws=3, organic=True, outcome_scale="geo", **options)
    window, spend = window_of(fit, 6, carry_in), spend_of(fit)
    ours = response_of(window, form_of(fit))(spend).sum(1)
    past = None
    if carry_in == "history":
        past = np.swapaxes(fit.scale.scale_media(fit.panel.media), 1, 2)[..., -3:]
    expected = oracle.response(fit, np.asarray(spend).reshape(2, 2), 6, past)
    np.testing.assert_allclose(ours, expected, rtol=1e-12)


@pytest.mark.parametrize("adstock_first", [True, False])
def test_slopes_are_the_derivatives_of_each_cell(adstock_first):
    fit = make_fit(draws=4, adstock_first=adstock_first)
    respond = response_of(window_of(fit, 8, "history"), form_of(fit))
    spend = spend_of(fit)
    value, slope, bend = slopes_of(respond, spend)
    np.testing.assert_allclose(value, respond(spend), rtol=1e-13)
    jacobian = jax.jacobian(respond)(spend)  # (draw, cell, cell)
    np.testing.assert_allclose(slope, jnp.diagonal(jacobian, axis1=1, axis2=2), rtol=1e-11)
    for i, step in enumerate(1e-4 * np.asarray(spend)):
        moved = [slopes_of(respond, spend.at[i].add(s))[1][:, i] for s in (step, -step)]
        np.testing.assert_allclose(
            bend[:, i], (moved[0] - moved[1]) / (2 * step), rtol=1e-4, atol=1e-12
        )


@pytest.mark.slow(parts=6)
@pytest.mark.parametrize("least, most, close", [(0.3, 2.0, 1e-6), (0.0, 100.0, 1e-4)])
def test_a_table_is_the_response(least, most, close):
    fit = make_fit(draws=5)
    respond, past = response_of(window_of(fit, 8, "history"), form_of(fit)), spend_of(fit)
    ranges = ((most - least) * past).at[1].set(1e-12)  # a cell that may not move
    table = tabled(respond, least * past, ranges)
    rng, most_of_all = np.random.default_rng(0), float(respond(least * past + ranges).max())
    for part in (0.0, 1.0, *rng.random((20, len(past)))):
        spend = least * past + part * ranges
        exact, found = slopes_of(respond, spend), slopes_of(table, spend)
        assert np.abs(found[0] - exact[0]).max() <= close * most_of_all
        free = np.arange(len(past)) != 1
        steep = np.abs(slopes_of(respond, least * past)[1]).max(0)
        off = np.abs(found[1] - exact[1])[:, free] / steep[free]
        assert off.max() < 100 * close


def test_blocks_of_draws_change_neither_values_nor_gradients():
    fit = make_fit(draws=11)
    window, spend = window_of(fit, 8, "history"), spend_of(fit)

    @partial(jax.jit, static_argnums=1)
    def both(spend, block):
        respond = response_of(window, form_of(fit, block=block))
        return jax.value_and_grad(lambda s: respond(s).sum())(spend)

    for blocked, whole in zip(both(spend, 4), both(spend, 11), strict=True):
        np.testing.assert_allclose(blocked, whole, rtol=1e-13)


def test_markets_side_by_side_with_draws_of_their_own_order():
    fits = [make_fit(2, draws=12), make_fit(3, draws=12, seed=4)]
    prices = [fit.scale.cost_per_unit[..., None] for fit in fits]
    window = make_window(fits, 6, "history", prices)
    alone = [make_window([f], 6, "history", [p]) for f, p in zip(fits, prices, strict=True)]
    spend = jnp.concatenate([spend_of(fit) for fit in fits])
    joint = response_of(window, form_of(fits[0]))(spend)
    parts = [
        response_of(w, form_of(f))(spend_of(f)) for w, f in zip(alone, fits, strict=True)
    ]
    np.testing.assert_allclose(joint[:, :2], parts[0], rtol=1e-13)
    assert not np.allclose(joint[:, 2:], parts[1])
    np.testing.assert_allclose(np.sort(joint[:, 2:], 0), np.sort(parts[1], 0), rtol=1e-13)


@pytest.mark.parametrize("periods, max_lag", [(1, 1), (2, 5), (5, 5), (30, 5)])
def test_levels_stand_for_the_window_and_its_tail(periods, max_lag):
    pattern, multiplicity = even_levels(periods, max_lag)
    assert len(pattern) == len(multiplicity) == 2 * max_lag - 1
    assert (pattern * multiplicity).sum() == pytest.approx(1.0)
    assert multiplicity.sum() == max(periods, max_lag) + max_lag - 1


def test_carry_in_from_a_history_shorter_than_the_lags():
    fit = make_fit(max_lag=4)
    short, _ = fit.panel.split(fit.panel.dates[1])
    fit = type(fit)(fit.spec, short, fit.scale, fit.sampler, fit.draws, 0)
    history = window_of(fit, 5, "history").history
    assert history.shape == (3, 3)
    assert (history[:, 0] == 0).all()
    assert (history[:, 1:].sum(1) > 0).all()


def test_fewer_draws_are_taken_evenly():
    window = window_of(make_fit(draws=20), 5, "zero", max_draws=4)
    beta = make_fit(draws=20).flat()["saturation_beta"]
    np.testing.assert_array_equal(window.draws["saturation_beta"], beta[::5])
