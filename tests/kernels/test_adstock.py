"""Laws, independent oracles, edge gradients and traces of the adstock kernels."""

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from jax.test_util import check_grads

from mmmjax.checks import InputError
from mmmjax.kernels import adstock
from mmmjax.prior import Prior
from tests.reference import adstock as oracle

pytestmark = pytest.mark.usefixtures("x64")  # oracle comparisons to 1e-10

T = 30
shares = st.floats(0.0, 0.999, allow_subnormal=False)  # XLA flushes subnormals to 0


def media(seed=0, shape=(3, T)):
    return np.random.default_rng(seed).uniform(0.0, 100.0, shape)


@pytest.mark.parametrize("normalize", [True, False])
@pytest.mark.parametrize("max_lag", [1, 2, 8, T])  # static: one compilation per value
@given(retention=shares)
def test_matches_definition(max_lag, normalize, retention):
    x = media()
    loop = [oracle.loop_geometric(row, retention, max_lag, normalize) for row in x]
    actual = adstock.geometric(x, retention, max_lag, normalize)
    np.testing.assert_allclose(actual, np.stack(loop), rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("lead", [(), (1,), (3,), (2, 3)])
def test_carry_matches_gathered_window(lead):
    x, weights = media(shape=(2, 3, T)), media(1, (*lead, 7))
    expected = oracle.carry(x, np.broadcast_to(weights, (2, 3, 7)))
    np.testing.assert_allclose(adstock.carry(jnp.array(x), jnp.array(weights)), expected)


@pytest.mark.parametrize("max_lag", [1, 3, 13, 26])
@given(retention=shares)
def test_weights_are_powers(max_lag, retention):
    expected = np.power(retention, np.arange(max_lag))
    weights = adstock.geometric_weights(retention, max_lag, normalize=False)
    np.testing.assert_allclose(weights, expected, rtol=1e-13, atol=1e-300)
    total = adstock.geometric_weights(retention, max_lag).sum()
    np.testing.assert_allclose(total, 1.0, rtol=1e-14)


@given(retention=shares, shift=st.integers(1, 10))
def test_is_causal_and_time_invariant(retention, shift):
    x = jnp.zeros(T).at[5].set(1.0)
    y = adstock.geometric(x, retention, 8)
    assert jnp.all(y[:5] == 0.0)
    assert jnp.all(y[13:] == 0.0)
    moved = adstock.geometric(jnp.roll(x, shift), retention, 8)
    np.testing.assert_allclose(moved[5 + shift :], y[5 : T - shift], atol=1e-14)


@given(retention=shares, scale=st.floats(1e-3, 1e6))
def test_is_linear_so_free_of_currency(retention, scale):
    x, z = media(0), media(1)
    apart = [adstock.geometric(scale * v, retention, 8) for v in (x, z)]
    together = scale * adstock.geometric(x + z, retention, 8)
    np.testing.assert_allclose(together, apart[0] + apart[1], rtol=1e-10)


@given(retention=shares)
def test_normalized_keeps_total_media(retention):
    x = np.pad(media(), [(0, 0), (0, 7)])  # room for the tail
    y = adstock.geometric(x, retention, 8)
    np.testing.assert_allclose(y.sum(-1), x.sum(-1), rtol=1e-12)


def test_no_carryover_is_identity():
    np.testing.assert_array_equal(adstock.geometric(media(), 0.0, 8), media())
    np.testing.assert_array_equal(adstock.geometric(media(), 0.7, 1), media())


@pytest.mark.parametrize("lead", [(), (3,), (1, 3), (2, 1), (2, 3)])
def test_retention_broadcasts_over_geo_and_channel(lead):
    x = media(shape=(2, 3, T))
    r = np.random.default_rng(1).uniform(0.1, 0.9, lead)
    full = np.broadcast_to(r, (2, 3))
    actual = adstock.geometric(x, r, 8)
    for geo, channel in np.ndindex(2, 3):
        row = oracle.loop_geometric(x[geo, channel], full[geo, channel], 8)
        np.testing.assert_allclose(actual[geo, channel], row, rtol=1e-10)
    gradient = jax.grad(lambda r: (adstock.geometric(x, r, 8) ** 2).sum())(r)
    assert gradient.shape == lead
    assert jnp.all(gradient != 0.0)


def central(f, at, step=1e-6):
    """Gradient of a NumPy function by central differences, entry by entry."""
    out = np.zeros_like(at)
    for i in np.ndindex(at.shape):
        h = np.zeros_like(at)
        h[i] = step
        out[i] = (f(at + h) - f(at - h)) / (2 * step)
    return out


def test_gradients_match_differences_of_the_oracle():
    x, r, target = media(), np.array([0.2, 0.5, 0.9]), media(1)

    def slow(x, r):
        rows = [oracle.loop_geometric(a, b, 6) for a, b in zip(x, r, strict=True)]
        return float((np.tanh(np.stack(rows) / 100) * target).sum())

    fast = lambda x, r: (jnp.tanh(adstock.geometric(x, r, 6) / 100) * target).sum()
    in_media, in_retention = jax.jit(jax.grad(fast, argnums=(0, 1)))(x, r)
    np.testing.assert_allclose(in_retention, central(lambda r: slow(x, r), r), rtol=1e-6)
    np.testing.assert_allclose(in_media, central(lambda x: slow(x, r), x), atol=1e-6)


@pytest.mark.slow(parts=6)
@pytest.mark.parametrize("max_lag", [1, 5])
def test_derivatives_of_every_order_and_mode(max_lag):
    curved = jax.jit(lambda x, r: jnp.sin(adstock.geometric(x, r, max_lag)).sum())
    x, r = media(shape=(2, 8)) / 100, np.array([0.3, 0.8])
    check_grads(curved, (x, r), order=2)
    hessian = jax.jit(jax.hessian(curved, argnums=1))
    np.testing.assert_allclose(hessian(x, r), hessian(x, r).T)
    third = jax.jit(jax.jacfwd(hessian, argnums=1))(x, r)
    bent = central(lambda r: float(hessian(x, r)[0, 0]), r)
    np.testing.assert_allclose(third[0, 0], bent, rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("dtype", [jnp.float32, jnp.float64])
@pytest.mark.parametrize("retention", [0.0, 1e-30, 0.5, 1 - 1e-7])
@pytest.mark.parametrize("normalize", [True, False])
def test_gradient_is_finite_and_right_at_the_edges(normalize, retention, dtype):
    """At 0 and near 1, against the closed form of the derivative of the weights."""
    x, lags = media(), np.arange(8)
    r = float(dtype(retention))
    w, dw = r**lags, lags * np.where(lags > 0, r ** np.maximum(lags - 1, 0), 0.0)
    if normalize:
        dw = dw / w.sum() - w * dw.sum() / w.sum() ** 2
    total = lambda r: adstock.geometric(x.astype(dtype), r, 8, normalize).sum()
    gradient, hessian = jax.grad(total)(dtype(r)), jax.hessian(total)(dtype(r))
    assert gradient.dtype == dtype
    expected = oracle.carry(x, np.broadcast_to(dw, (3, 8))).sum()
    rtol = 1e-4 if dtype == jnp.float32 else 1e-10
    np.testing.assert_allclose(gradient, expected, rtol=rtol)
    assert jnp.isfinite(hessian)


def test_no_spend_gives_no_carryover_and_no_gradient():
    total = lambda x, r: adstock.geometric(x, r, 8).sum()
    at_zero = jax.grad(total, argnums=1)(jnp.zeros((3, T)), jnp.full(3, 0.5))
    np.testing.assert_array_equal(at_zero, 0.0)


def test_float32_agrees_with_float64():
    x, r = media(), np.array([0.0, 0.5, 0.99])
    single = adstock.geometric(x.astype(np.float32), r.astype(np.float32), 26)
    assert single.dtype == jnp.float32
    np.testing.assert_allclose(single, adstock.geometric(x, r, 26), rtol=1e-5)


def test_jit_vmap_scan_agree_and_trace_once():
    r = jnp.array([0.1, 0.5, 0.9])
    x = jnp.array(media())
    loss = lambda x, r: (adstock.geometric(x, r, 8) ** 2).sum()
    grad = jax.grad(loss, argnums=(0, 1))
    once = jax.jit(jax.grad(chex.assert_max_traces(loss, n=1), argnums=(0, 1)))
    rows = jax.vmap(grad)(x, r)
    for a, b in zip(once(x, r), rows, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-12)
    _, looped = jax.lax.scan(lambda c, row: (c, grad(*row)), None, (x, r))
    np.testing.assert_allclose(looped[1], rows[1], rtol=1e-12)
    once(jnp.array(media(1)), r + 0.01)


def sums_over_time(carried, max_lag):
    """Reductions over the time axis in the program of a gradient in retention."""
    loss = lambda r: (carried(jnp.array(media()), r, max_lag) ** 2).sum()
    program = str(jax.make_jaxpr(jax.grad(loss))(jnp.full(3, 0.5)))
    return sum("reduce_sum[axes=(1,)" in line for line in program.splitlines())


def test_gradient_sums_over_time_once_for_any_number_of_lags():
    """The rule at work: autodiff of the plain sum reduces once for every lag."""
    plain = lambda x, r, n: adstock.carry(x, adstock.geometric_weights(r, n))
    ours = [sums_over_time(adstock.geometric, n) for n in (5, 8)]
    theirs = [sums_over_time(plain, n) for n in (5, 8)]
    assert ours[0] == ours[1]
    assert theirs[0] < theirs[1]


def test_the_door_names_value_and_remedy():
    for retention, hint in [(30.0, "per cent"), (1.0, "never"), (np.nan, "NaN")]:
        with pytest.raises(InputError, match=hint):
            adstock.validate(np.array([0.5, retention]), 8, T)
    with pytest.raises(InputError, match=r"got 31.*at most.*30.*max_lag=30"):
        adstock.validate(0.5, T + 1, T)
    with pytest.raises(InputError, match=r"got 31.*at most.*30"):
        adstock.geometric(media(), 0.5, T + 1)
    adstock.validate(np.array([0.0, 0.999]), T, T)


@pytest.mark.parametrize("bad", [0, -1, 2.5, "8", None, float("nan")])
def test_record_refuses_windows_that_are_none(bad):
    with pytest.raises(InputError, match="max_lag"):
        adstock.Geometric(max_lag=bad)


def test_record_refuses_a_normalize_that_is_text():
    with pytest.raises(InputError, match="true or false"):
        adstock.Geometric(normalize="yes")


def test_record_applies_its_weights():
    record = adstock.Geometric(max_lag=6, normalize=False)
    params = {"adstock_alpha": np.array([0.1, 0.5, 0.9])}
    expected = oracle.carry(media(), np.asarray(record.weights(params)))
    np.testing.assert_allclose(record(media(), params), expected, rtol=1e-12)


@pytest.mark.parametrize("normalize", [True, False])
@pytest.mark.parametrize("max_lag", [2, 8])
@given(retention=st.floats(0.01, 1.0), peak=st.floats(0.0, 1.0))
def test_delayed_matches_definition(max_lag, normalize, retention, peak):
    x, peak = media(), peak * (max_lag - 1)
    loop = [oracle.loop_delayed(row, retention, peak, max_lag, normalize) for row in x]
    record = adstock.Delayed(max_lag, normalize)
    actual = record(x, {"adstock_alpha": retention, "adstock_theta": peak})
    np.testing.assert_allclose(actual, np.stack(loop), rtol=1e-10, atol=1e-12)


def test_delayed_is_largest_at_its_peak_and_needs_a_window():
    given = {"adstock_alpha": np.array(0.5), "adstock_theta": np.arange(4.0)}
    weights = adstock.Delayed(4).weights(given)
    np.testing.assert_array_equal(np.argmax(weights, -1), np.arange(4))
    nothing = adstock.Delayed(3).weights({"adstock_alpha": 0.0, "adstock_theta": 1.0})
    np.testing.assert_allclose(nothing, [0.0, 1.0, 0.0], atol=1e-12)
    with pytest.raises(InputError, match="max_lag"):
        adstock.Delayed(1)


RANGES = {
    "half_life": {"half_life": (0.1, 20.0)},
    "binomial": {"alpha": (0.05, 1.0)},
    "weibull_cdf": {"lam": (0.3, 15.0), "k": (0.3, 5.0)},
    "weibull_pdf": {"lam": (0.5, 15.0), "k": (0.3, 5.0)},
}


@pytest.mark.parametrize("kind", RANGES)
@given(draw=st.data())
def test_every_kind_matches_the_definition_of_its_source(kind, draw):
    own = {n: draw.draw(st.floats(*ends)) for n, ends in RANGES[kind].items()}
    asked = {f"adstock_{name}": value for name, value in own.items()}
    cls, expected = adstock.ADSTOCKS[kind], oracle.weights_of(kind, 8, **own)
    near = {"rtol": 1e-6, "atol": 1e-5}  # weibull_pdf keeps a millionth of the largest
    np.testing.assert_allclose(cls(8, normalize=False).weights(asked), expected, **near)
    expected = expected / expected.sum()
    np.testing.assert_allclose(cls(8).weights(asked), expected, **near)


@pytest.mark.parametrize("kind", sorted({*adstock.ADSTOCKS} - {"mixed"}))
@pytest.mark.parametrize("lags", [2, 8, 52])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_weights_are_shares_at_every_edge(kind, lags, dtype):
    """Never 0 / 0, not even of a density that is flat, or nothing within the window."""
    cls = adstock.ADSTOCKS[kind]
    record = cls() if kind == "none" else cls(lags)
    ends = np.array([0.0, 1e-30, 1e-6, 0.05, 0.5, 1.0 - 1e-6, 1.0, 30.0, 1e4], dtype)
    names = list(record.parameters())
    grid = np.meshgrid(*[ends[ends <= 1] if n == "adstock_alpha" else ends for n in names])
    given = {n: v.ravel() for n, v in zip(names, grid, strict=True)}
    if "adstock_lam" in given:  # scale and shape of a law are above 0
        given = {n: np.maximum(v, dtype(1e-6)) for n, v in given.items()}
    weights = np.asarray(record.weights(given), np.float64)
    assert np.all(weights >= 0)
    np.testing.assert_allclose(weights.sum(-1), 1.0, rtol=1e-5)


def test_auto_leaves_out_little_of_what_is_believed():
    """The window of 95% of draws from the prior: here one closed form, alpha^L <= 5%."""
    prior = Prior("Uniform", low=0.0, high=0.8)
    found = adstock.Geometric("auto").window({"adstock_alpha": prior})
    assert found == int(np.ceil(np.log(0.05) / np.log(0.95 * 0.8)))
    lists = Prior("Uniform", low=[0.0, 0.0], high=[0.2, 0.8], dims="channel")
    assert adstock.Geometric("auto").window({"adstock_alpha": lists}) == found
    nested = Prior("LogitNormal", loc=Prior("Normal", loc=-1.0, scale=0.5), scale=0.5)
    plain = Prior("LogitNormal", loc=-1.0, scale=0.5**0.5)
    both = [adstock.Geometric("auto").window({"adstock_alpha": p}) for p in (nested, plain)]
    assert abs(both[0] - both[1]) <= 1
    forever = {"adstock_alpha": Prior("Uniform", low=0.9999, high=1.0)}
    with pytest.raises(InputError, match=r"auto.*within 183 periods"):
        adstock.Geometric("auto").window(forever)
    for cls in (adstock.Delayed, adstock.Binomial):
        with pytest.raises(InputError, match=r"got .auto.*depend on it.*max_lag = 8"):
            cls("auto")
