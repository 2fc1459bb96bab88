"""The truncated normal against scipy's scaled erfc, far into both tails."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.test_util import check_grads
from scipy import special, stats

from mmmjax import laws

M = np.array([-1000, -300, -50, -20, -10.001, -9.999, -5, -1, 0, 1e-9, 0.5, 3, 8, 50])


def oracle(x, m, scale):
    """Log density of scale * Normal(m, 1) kept above 0: erfcx below, log_ndtr above."""
    t = x / scale
    below = -0.5 * t**2 + t * m - np.log(special.erfcx(-np.minimum(m, 0) / np.sqrt(2)) / 2)
    above = -0.5 * (t - m) ** 2 - special.log_ndtr(np.maximum(m, 0))
    return np.where(m < 0, below, above) - np.log(scale) - 0.5 * np.log(2 * np.pi)


@pytest.mark.parametrize("x", [1e-3, 0.5, 1.0])
def test_float32_density_matches_and_its_gradient_is_finite(x):
    m = M.astype(np.float32)
    scale = np.float32(0.1)
    value = laws.truncated_normal_logpdf(x, m * scale, scale, 0.0)
    exact = oracle(
        float(np.float32(x)), (m * scale).astype(float) / float(scale), float(scale)
    )
    np.testing.assert_allclose(value, exact, rtol=1e-5, atol=1e-5)
    slope = jax.vmap(
        jax.grad(laws.truncated_normal_logpdf, (0, 1, 2, 3)), (None, 0, None, None)
    )
    assert all(np.isfinite(s).all() for s in slope(jnp.float32(x), m * scale, scale, 0.0))


@pytest.mark.usefixtures("x64")
@pytest.mark.parametrize("x", [1e-3, 0.5, 1.0])
def test_float64_density_matches(x):
    value = laws.truncated_normal_logpdf(x, M * 0.1, 0.1, 0.0)
    np.testing.assert_allclose(value, oracle(x, M * 0.1 / 0.1, 0.1), rtol=1e-10, atol=1e-10)


@pytest.mark.usefixtures("x64")
@pytest.mark.parametrize("m", [-40.0, -10.5, -9.5, -2.0, 0.0, 0.3, 6.0])
def test_written_derivatives_match_differences_to_second_order(m):
    args = (0.8, m * 0.3, 0.3, 0.1)
    check_grads(laws.truncated_normal_logpdf, args, order=2, rtol=1e-4, atol=1e-4)


@pytest.mark.usefixtures("x64")
@pytest.mark.parametrize("m", [-1000.0, -50.0, -9.0, -4.5, -3.0, 0.0, 5.0])
def test_draws_have_the_right_distribution_in_the_tail_too(m):
    n = 20_000
    loc, scale, low = 1.0 + m * 2.0, 2.0, 1.0
    x = laws.sample_truncated(jax.random.key(3), loc, scale, low, (n,))
    assert np.isfinite(x).all()
    assert (np.asarray(x) >= low).all()
    # probability integral transform from erfcx: uniform if right (fails 1 seed in 10,000)
    t = (np.asarray(x) - low) / scale
    survival = (
        np.exp(-0.5 * t**2 + t * m) * special.erfcx((t - m) / np.sqrt(2))
        if m < 0
        else (special.ndtr(m - t))
    )
    survival /= special.erfcx(-m / np.sqrt(2)) if m < 0 else special.ndtr(m)
    assert stats.kstest(survival, "uniform").pvalue > 1e-4
