"""Laws, an independent oracle, edge gradients and traces of the saturation kernels."""

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from jax.test_util import check_grads

from mmmjax.checks import InputError
from mmmjax.kernels import saturation
from tests.reference.saturation import loop_hill

pytestmark = pytest.mark.usefixtures("x64")

lams = st.floats(1e-3, 50.0)
X = np.linspace(0.0, 3.0, 40)


def definition(x, lam):
    return (1 - np.exp(-lam * x)) / (1 + np.exp(-lam * x))


@given(lam=lams)
def test_logistic_matches_definition(lam):
    np.testing.assert_allclose(saturation.logistic(X, lam), definition(X, lam), rtol=1e-10)


@given(lam=lams)
def test_logistic_half_saturation_and_slope(lam):
    half = np.array([np.log(3) / lam])
    np.testing.assert_allclose(saturation.logistic(half, lam), 0.5, rtol=1e-12)
    slope = jax.grad(lambda x: saturation.logistic(x[None], lam)[0])(0.0)
    np.testing.assert_allclose(slope, lam / 2, rtol=1e-12)


@given(lam=lams, scale=st.floats(1e-3, 1e6))
def test_logistic_is_free_of_currency(lam, scale):
    np.testing.assert_allclose(
        saturation.logistic(scale * X, lam / scale), saturation.logistic(X, lam), rtol=1e-10
    )


@pytest.mark.parametrize("lead", [(), (3,), (1, 3), (2, 1), (2, 3)])
def test_lam_broadcasts_over_geo_and_channel(lead):
    x = np.random.default_rng(0).uniform(size=(2, 3, 9))
    lam = np.random.default_rng(1).uniform(0.5, 5.0, lead)
    expected = definition(x, np.broadcast_to(lam, (2, 3))[..., None])
    np.testing.assert_allclose(saturation.logistic(x, lam), expected, rtol=1e-10)


def test_gradients_inside_and_at_the_limits():
    total = jax.jit(lambda x, lam: saturation.logistic(x, lam).sum())
    check_grads(total, (X, 2.0), order=2)
    both = jax.jit(jax.grad(total, argnums=(0, 1)))
    for x in (0.0, 1e-300, 1e300):
        for lam in (1e-30, 1.0, 1e30):
            found = both(np.full(2, x), lam)
            assert all(bool(jnp.all(jnp.isfinite(g))) for g in found), (x, lam)


def test_traces_once():
    f = jax.jit(chex.assert_max_traces(saturation.logistic, n=1))
    np.testing.assert_array_equal(f(X, 1.0) < f(X, 2.0), X > 0)


def test_the_door_names_value_and_remedy():
    for bad in (0.0, -1.0, np.nan, np.inf):
        with pytest.raises(InputError, match="flat position 1"):
            saturation.validate(np.array([1.0, bad]))
    saturation.validate(0.1)


halves, slopes = st.floats(1e-2, 10.0), st.floats(0.1, 10.0)


@given(kappa=halves, slope=slopes)
def test_hill_matches_definition(kappa, slope):
    found = saturation.hill(X, kappa, slope)
    np.testing.assert_allclose(found, loop_hill(X, kappa, slope), rtol=1e-10)
    half = saturation.hill(np.array([kappa]), kappa, slope)
    np.testing.assert_allclose(half, 0.5, rtol=1e-12)


@given(kappa=halves, slope=slopes, scale=st.floats(1e-2, 1e6))
def test_hill_is_free_of_currency(kappa, slope, scale):
    there = saturation.hill(scale * X, kappa * scale, slope)
    np.testing.assert_allclose(there, saturation.hill(X, kappa, slope), rtol=1e-9)


@pytest.mark.parametrize("slope", [0.2, 0.5, 0.999, 1.0])
def test_hill_is_concave_down_to_nothing_and_steep_there(slope):
    """Slopes fall from 0 on, across the chord: a bound from them at 0 holds."""
    x = np.concatenate([[0.0], np.geomspace(1e-9, 2.0, 400)])
    along = jax.vmap(jax.grad(lambda x: saturation.hill(x[None], 0.3, slope)[0]))
    found = np.asarray(along(x))
    assert np.all(np.diff(found) <= 1e-9 * found[:-1])
    steep = (saturation.TRACE / 0.3) ** slope / saturation.TRACE
    np.testing.assert_allclose(found[0], steep, rtol=0.2)
