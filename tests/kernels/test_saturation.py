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
from mmmjax.prior import FAMILIES
from tests.reference.saturation import DEFINITIONS, loop, loop_hill

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


@pytest.mark.parametrize("kind", DEFINITIONS)
@given(draw=st.data())
def test_every_kind_matches_the_definition_of_its_source(kind, draw):
    record = saturation.SATURATIONS[kind]()
    ranges = {"saturation_lam": (0.05, 20.0), "saturation_kappa": (1e-2, 10.0),
              "saturation_slope": (0.1, 10.0), "saturation_alpha": (0.01, 1.0)}  # fmt: skip
    asked = {n: draw.draw(st.floats(*ranges[n])) for n in record.parameters()}
    own = {name.removeprefix("saturation_"): value for name, value in asked.items()}
    found = record(X, asked)
    np.testing.assert_allclose(found, loop(kind, X, **own), rtol=1e-9, atol=1e-14)


HALVES = {  # where half of the limit is reached, or half of what x = 1 brings
    "exponential": (lambda lam: np.log(2) / lam, 0.5),
    "tanh": (lambda lam: np.arctanh(0.5) / lam, 0.5),
    "inverse_scaled_logistic": (lambda lam: lam, 0.5),
    "michaelis_menten": (lambda lam: lam, 0.5),
    "root": (lambda alpha: 2 ** (-1 / alpha), 0.5),
    "log": (lambda lam: (np.sqrt(1 + lam) - 1) / lam, None),
}


@pytest.mark.parametrize("kind", HALVES)
@pytest.mark.parametrize("value", [0.3, 0.9])
def test_half_of_the_effect_is_where_the_docstring_says(kind, value):
    (name,), record = (
        saturation.SATURATIONS[kind]().parameters(),
        saturation.SATURATIONS[kind](),
    )
    where, level = HALVES[kind]
    level = level or 0.5 * record(np.ones(1), {name: value})
    np.testing.assert_allclose(record(np.array([where(value)]), {name: value}), level)


@pytest.mark.parametrize("kind", DEFINITIONS)
def test_half_saturation_is_believed_a_share_of_the_best_week(kind):
    """Media that bring half of the best week's effect: 0.04 to 0.75 of it, nine in ten."""
    record, rng = saturation.SATURATIONS[kind](), np.random.default_rng(0)
    drawn = {
        name: FAMILIES[one.prior.family].quantile(
            rng.random(4000), **dict(one.prior.params)
        )
        for name, one in record.parameters().items()
    }
    x = np.linspace(0.0, 1.0, 1001)
    curves = np.asarray(record(np.broadcast_to(x, (4000, 1001)), drawn))
    half = x[np.argmax(curves >= 0.5 * curves[:, -1:], axis=1)]
    low, mid, high = np.quantile(half, [0.05, 0.5, 0.95])
    assert 0.04 < low <= mid <= high < 0.81
    assert 0.2 < mid < 0.55


@pytest.mark.parametrize("alpha", [0.2, 0.5, 0.999, 1.0])
def test_root_is_concave_down_to_nothing_and_steep_there(alpha):
    x = np.concatenate([[0.0], np.geomspace(1e-9, 2.0, 400)])
    record = saturation.Root()
    at = lambda x: record(x[None], {"saturation_alpha": alpha})[0]
    found = np.asarray(jax.vmap(jax.grad(at))(x))
    assert np.all(np.diff(found) <= 1e-9 * found[:-1])
    np.testing.assert_allclose(found[0], saturation.TRACE ** (alpha - 1), rtol=1e-9)


@pytest.mark.parametrize("slope", [0.2, 0.5, 0.999, 1.0])
def test_hill_is_concave_down_to_nothing_and_steep_there(slope):
    """Slopes fall from 0 on, across the chord: a bound from them at 0 holds."""
    x = np.concatenate([[0.0], np.geomspace(1e-9, 2.0, 400)])
    along = jax.vmap(jax.grad(lambda x: saturation.hill(x[None], 0.3, slope)[0]))
    found = np.asarray(along(x))
    assert np.all(np.diff(found) <= 1e-9 * found[:-1])
    steep = (saturation.TRACE / 0.3) ** slope / saturation.TRACE
    np.testing.assert_allclose(found[0], steep, rtol=0.2)


def plain_hill(x, kappa, slope):
    low = (saturation.TRACE / kappa) ** slope / (1 + (saturation.TRACE / kappa) ** slope)
    much = x**slope / (kappa**slope + x**slope)
    return jnp.where(x < saturation.TRACE, low * x / saturation.TRACE, much)


def plain_root(x, alpha):
    low = saturation.TRACE**alpha
    return jnp.where(x < saturation.TRACE, low * x / saturation.TRACE, x**alpha)


@pytest.mark.parametrize(
    ("ours", "plain", "at"),
    [
        (saturation.hill, plain_hill, (0.3, 0.6)),
        (saturation.hill, plain_hill, (0.4, 2.3)),
        (lambda x, a: saturation.Root()(x, {"saturation_alpha": a}), plain_root, (0.6,)),
    ],
)
def test_slopes_given_by_a_rule_are_those_of_the_formula(ours, plain, at):
    """In media and parameters, above and below the trace; the rule has slopes too."""
    x = jnp.asarray([0.2, 0.7, 1.9, 6.0]) * saturation.TRACE
    x = jnp.concatenate([x, jnp.asarray([0.01, 0.3, 1.0, 2.5])])
    weights = jnp.arange(1.0, 9.0)
    total = lambda f: lambda x, *p: (f(x, *p) * weights).sum()
    every = tuple(range(1 + len(at)))
    found, right = (
        jax.grad(total(f), every)(x, *map(jnp.asarray, at)) for f in (ours, plain)
    )
    for ours_slope, plain_slope in zip(found, right, strict=True):
        np.testing.assert_allclose(ours_slope, plain_slope, rtol=1e-9)
    check_grads(ours, (x[5:], *map(jnp.asarray, at)), order=2)
