"""One table of checks that every listed adstock and saturation passes.

A new record is tested by being listed in its registry; parameters that the table does not
know yet get their typical and edge values in TYPICAL and EDGES.
"""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.test_util import check_grads

from mmmjax.kernels.adstock import ADSTOCKS
from mmmjax.kernels.saturation import SATURATIONS

pytestmark = pytest.mark.usefixtures("x64")

T = 24
TYPICAL = {
    "adstock_alpha": (0.1, 0.5, 0.9),
    "adstock_theta": (0.0, 1.3, 4.0),
    "adstock_half_life": (0.3, 1.0, 4.0),
    "adstock_lam": (0.7, 2.5, 6.0),
    "adstock_k": (0.6, 1.5, 3.0),
    "saturation_lam": (0.5, 2.0, 8.0),
    "saturation_kappa": (0.2, 0.5, 2.0),
    "saturation_slope": (0.5, 1.0, 3.0),
    "saturation_alpha": (0.1, 0.5, 0.9),
    "adstock_which": (0.5, 1.5, 0.5),
    "saturation_which": (1.5, 0.5, 0.5),
}
EDGES = {
    "adstock_alpha": (0.0, 1e-12, 1 - 1e-6),
    "adstock_theta": (0.0, 3.0, 7.0),
    "adstock_half_life": (0.0, 1.0, 1e6),
    "adstock_lam": (1e-6, 1.0, 1e4),
    "adstock_k": (0.05, 1.0, 1e3),
    "saturation_lam": (1e-12, 1.0, 1e4),
    "saturation_kappa": (1e-6, 1.0, 1e4),
    "saturation_slope": (0.05, 1.0, 1e3),
    "saturation_alpha": (0.0, 0.5, 1.0),
    "adstock_which": (0.0, 1.0, 2.0),
    "saturation_which": (0.0, 1.0, 2.0),
}
RECORDS = [record() for registry in (ADSTOCKS, SATURATIONS) for record in registry.values()]
SHAPES = [record() for record in SATURATIONS.values()]
CARRIERS = [record() for record in ADSTOCKS.values()]
every = pytest.mark.parametrize("record", RECORDS, ids=repr)


def media(shape=(2, 3, T)):
    return np.random.default_rng(0).uniform(0.0, 1.0, shape)


def params(record, table=None):
    values = TYPICAL if table is None else table
    return {name: np.array(of(values, name)) for name in record.parameters()}


def of(values, name):
    """Of one of several kernels: "saturation_lam_logistic" is a saturation_lam."""
    return next(values[n] for n in values if name.startswith(n))


@pytest.mark.parametrize("registry", [ADSTOCKS, SATURATIONS])
def test_registry_is_by_kind(registry):
    assert all(kind == record.kind for kind, record in registry.items())


@every
def test_is_a_value(record):
    fields = {f.name: getattr(record, f.name) for f in dataclasses.fields(record)}
    same = type(record)(**fields)
    assert same == record
    assert hash(same) == hash(record)
    assert repr(record).startswith(type(record).__name__)


@every
def test_keeps_shape_and_dtype(record):
    for dtype in (np.float32, np.float64):
        given = {name: value.astype(dtype) for name, value in params(record).items()}
        out = record(media().astype(dtype), given)
        assert out.shape == (2, 3, T)
        assert out.dtype == dtype


@every
def test_float32_says_what_float64_says(record):
    """Values and slopes, relative to the largest."""
    both = []
    for dtype in (np.float32, np.float64):
        x, p = media().astype(dtype), params(record)
        p = {name: value.astype(dtype) for name, value in p.items()}
        slopes = jax.grad(lambda x, p: record(x, p).sum(), argnums=(0, 1))(x, p)
        both.append([record(x, p), *jax.tree.leaves(slopes)])
    for single, double in zip(*both, strict=True):
        np.testing.assert_allclose(single, double, rtol=0, atol=1e-5 * np.abs(double).max())


@every
def test_broadcasts_like_a_loop_over_series(record):
    x, given = media(), params(record)
    together = record(x, given)
    for geo, channel in np.ndindex(2, 3):
        alone = record(x[geo, channel], {n: v[channel] for n, v in given.items()})
        np.testing.assert_allclose(together[geo, channel], alone, rtol=1e-12)


@every
def test_vmap_over_draws_is_a_loop_over_draws(record):
    given = params(record) or {"of_another": np.zeros(3)}
    draws = {n: np.stack([v, v[::-1]]) for n, v in given.items()}
    lanes = jax.vmap(lambda p: record(media(), p))(draws)
    for i in range(2):
        one = record(media(), {n: v[i] for n, v in draws.items()})
        np.testing.assert_allclose(lanes[i], one, rtol=1e-12)


@every
def test_nothing_in_nothing_out_and_never_negative(record):
    given = params(record)
    np.testing.assert_array_equal(record(np.zeros((2, 3, T)), given), 0.0)
    assert jnp.all(record(media(), given) >= 0.0)


@every
def test_more_media_never_gives_less(record):
    given = params(record)
    assert jnp.all(record(1.1 * media(), given) >= record(media(), given))


@every
def test_is_causal(record):
    x = media()
    later = x.copy()
    later[..., 10:] = 0.0
    given = params(record)
    before, after = record(x, given)[..., :10], record(later, given)[..., :10]
    np.testing.assert_array_equal(before, after)


@pytest.mark.slow(parts=6)
@every
def test_derivatives_inside(record):
    f = jax.jit(lambda x, p: jnp.sin(record(x, p)).sum())
    check_grads(
        f, (0.1 + 0.9 * media((3, 8)), params(record)), order=2, rtol=5e-5, atol=1e-5
    )


@every
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_gradients_at_the_edges_are_finite(record, dtype):
    f = jax.jit(lambda x, p: record(x, p).sum())
    for x in (np.zeros((3, T)), media((3, T)), np.full((3, T), 1e6)):
        edge = {n: v.astype(dtype) for n, v in params(record, EDGES).items()}
        found = jax.grad(f, argnums=(0, 1))(x.astype(dtype), edge)
        assert all(bool(jnp.all(jnp.isfinite(g))) for g in jax.tree.leaves(found))


@every
def test_traces_once(record):
    traces = []

    def total(given, x):
        traces.append(1)
        return record(x, given).sum()

    f = jax.jit(jax.grad(total, argnums=(0, 1)))
    f(params(record), media())
    f({n: 0.9 * v for n, v in params(record).items()}, media() + 1.0)
    assert len(traces) == 1


@pytest.mark.parametrize("record", CARRIERS, ids=repr)
def test_adstock_is_its_weights(record):
    weights = record.weights(params(record))
    weights = np.broadcast_to(weights, (3, record.max_lag) if params(record) else (1, 1, 1))
    pulse = np.zeros((3, T))
    pulse[:, 0] = 1.0
    np.testing.assert_allclose(
        record(pulse, params(record))[:, : record.max_lag],
        weights.reshape(-1, record.max_lag) * np.ones((3, 1)),
        rtol=1e-12,
    )


@pytest.mark.parametrize("record", SHAPES, ids=repr)
def test_saturation_says_truly_whether_it_is_concave(record):
    x = np.linspace(0.0, 4.0, 200)
    for name in record.parameters() or ("saturation_lam",):
        for value in of(TYPICAL, name):
            names = (*TYPICAL, *record.parameters())
            given = {n: np.array(of(TYPICAL, n)[1]) for n in names}
            given[name] = np.array(value)
            bends = np.diff(np.asarray(record(x, given)), n=2)
            proven = all(np.all(holds) for holds in record.concave(given).values())
            assert proven == bool(np.all(bends <= 1e-12))
