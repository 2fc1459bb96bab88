"""Distinct levels against every period in full, and against a NumPy loop."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mmmjax.budget.horizon import levels, make_window, response_of
from mmmjax.response import media_contribution
from tests.budget.cases import make_fit
from tests.reference import budget as oracle

pytestmark = pytest.mark.usefixtures("x64")


def window_of(fit, periods, carry_in, **options):
    prices = fit.scale.cost_per_unit[:, fit.panel.paid]
    return make_window(fit, periods, carry_in, prices, **options)


def spend_of(fit, seed=0):
    """Money over the window of the size of a year of training."""
    rng = np.random.default_rng(seed)
    total = fit.panel.spend[..., fit.panel.paid].sum(1)
    return total * rng.uniform(0.2, 2.0, total.shape)


def full_response(fit, spend, periods, window):
    """The forward function on every period of the window and its tail."""
    lag, past = fit.spec.adstock.max_lag, window.history.shape[-1]
    pattern = np.concatenate([np.ones(periods), np.zeros(lag - 1)])
    now = (spend * window.media_per_money)[..., None] * pattern

    def one(draw, now):
        media = jnp.concatenate([jnp.asarray(window.history), now], -1)
        return media_contribution(draw, media, fit.spec)[..., past:].sum(-1)

    each = jax.vmap(one, (0, None))
    return (each(window.draws, now) - each(window.draws, 0 * now)) * window.outcome[:, None]


@pytest.mark.parametrize("carry_in", ["zero", "history"])
@pytest.mark.parametrize("max_lag, adstock_first", [(1, True), (4, True), (4, False)])
@pytest.mark.parametrize("periods", [1, 3, 4, 5, 26])
def test_levels_equal_every_period(periods, max_lag, adstock_first, carry_in):
    if max_lag > 2 * periods:
        periods += max_lag  # the full evaluation needs as many periods as lags
    fit = make_fit(geos=2, draws=5, max_lag=max_lag, adstock_first=adstock_first)
    window, spend = window_of(fit, periods, carry_in), spend_of(fit) / periods
    short = response_of(window, fit.spec.structure(), block=100)(jnp.asarray(spend))
    full = full_response(fit, spend, periods, window)
    np.testing.assert_allclose(short, full, rtol=1e-12, atol=1e-12 * float(full.max()))


@pytest.mark.parametrize("carry_in", ["zero", "history"])
@pytest.mark.parametrize("options", [{}, {"adstock_first": False}, {"media_scale": "geo"}])
def test_response_equals_a_numpy_loop(carry_in, options):
    fit = make_fit(2, geos=2, draws=3, organic=True, outcome_scale="geo", **options)
    window, spend = window_of(fit, 6, carry_in), spend_of(fit)
    ours = response_of(window, fit.spec, block=100)(jnp.asarray(spend / 6)).sum((1, 2))
    past = None
    if carry_in == "history":
        past = np.swapaxes(fit.scale.scale_media(fit.panel.media), 1, 2)[..., -3:]
    expected = oracle.response(fit, spend, 6, past)
    np.testing.assert_allclose(ours, expected, rtol=1e-12)


def test_blocks_of_draws_change_neither_values_nor_gradients():
    fit = make_fit(draws=11)
    window, spend = window_of(fit, 8, "history"), jnp.asarray(spend_of(fit) / 8)

    @partial(jax.jit, static_argnums=1)
    def both(spend, block):
        return jax.value_and_grad(lambda s: response_of(window, fit.spec, block)(s).sum())(
            spend
        )

    for blocked, whole in zip(both(spend, 4), both(spend, 11), strict=True):
        np.testing.assert_allclose(blocked, whole, rtol=1e-13)


@pytest.mark.parametrize("periods, max_lag", [(1, 1), (2, 5), (5, 5), (30, 5)])
def test_levels_stand_for_the_window_and_its_tail(periods, max_lag):
    spending, multiplicity = levels(periods, max_lag)
    assert len(spending) == len(multiplicity) == 2 * max_lag - 1
    assert (spending * multiplicity).sum() == periods
    assert multiplicity.sum() == max(periods, max_lag) + max_lag - 1


def test_carry_in_from_a_history_shorter_than_the_lags():
    fit = make_fit(max_lag=4)
    short, _ = fit.panel.split(fit.panel.dates[1])
    fit = type(fit)(fit.spec, short, fit.scale, fit.sampler, fit.draws, 0)
    history = window_of(fit, 5, "history").history
    assert history.shape == (1, 3, 3)
    assert (history[..., 0] == 0).all()
    assert (history[..., 1:].sum((0, 2)) > 0).all()


def test_fewer_draws_are_taken_evenly():
    window = window_of(make_fit(draws=20), 5, "zero", max_draws=4)
    beta = make_fit(draws=20).flat()["saturation_beta"]
    np.testing.assert_array_equal(window.draws["saturation_beta"], beta[::5])
