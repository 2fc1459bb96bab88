"""Densities of our own laws against scipy, and their edges."""

from types import SimpleNamespace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.test_util import check_grads
from scipy import special, stats

from mmmjax import laws

X = np.concatenate([np.geomspace(1e-6, 1e6, 60), [0.5, 1.0, 2.0, 7.999, 8.0, 8.001]])


@pytest.mark.usefixtures("x64")
def test_log_gamma_of_every_positive_number():
    found, exact = laws.log_gamma(X), special.gammaln(X)
    np.testing.assert_allclose(found, exact, rtol=2e-14, atol=2e-14)
    slopes = jax.vmap(jax.grad(laws.log_gamma))(X)
    np.testing.assert_allclose(slopes, special.digamma(X), rtol=1e-11, atol=1e-11)


def test_log_gamma_in_float32_is_right_to_rounding():
    x = X.astype(np.float32)
    exact = special.gammaln(x.astype(float))
    np.testing.assert_allclose(laws.log_gamma(x), exact, rtol=1e-6, atol=4e-6)


POSITIVE = np.geomspace(1e-3, 30.0, 12)
UNIT, REAL = np.linspace(0.01, 0.99, 9), np.linspace(-9, 9, 13)


def logit_normal(loc, scale):
    """What scipy lacks: its normal, moved."""
    normal = stats.norm(loc, scale)
    return SimpleNamespace(
        logpdf=lambda x: normal.logpdf(special.logit(x)) - np.log(x * (1 - x)),
        cdf=lambda x: normal.cdf(special.logit(x)),
    )


CASES: dict[str, Any] = {
    "gamma": (laws.Gamma(3.0, 2.0), stats.gamma(3.0, scale=0.5), POSITIVE),
    "gamma below 1": (laws.Gamma(0.3, 2.0), stats.gamma(0.3, scale=0.5), POSITIVE),
    "inverse gamma": (laws.InverseGamma(3.0, 2.0), stats.invgamma(3, scale=2), POSITIVE),
    "beta": (laws.Beta(1.0, 3.0), stats.beta(1.0, 3.0), UNIT),
    "beta with poles": (laws.Beta(0.4, 0.7), stats.beta(0.4, 0.7), UNIT),
    "student": (laws.StudentT(4.0, 1.0, 0.5), stats.t(4.0, 1.0, 0.5), REAL),
    "logit normal": (laws.LogitNormal(-0.7, 1.3), logit_normal(-0.7, 1.3), UNIT),
    "cauchy": (laws.StudentT(1.0, 0.0, 2.0), stats.cauchy(0.0, 2.0), REAL),
}  # fmt: skip


@pytest.mark.usefixtures("x64")
@pytest.mark.parametrize("name", CASES)
def test_density_and_its_slope(name):
    law, exact, x = CASES[name]
    np.testing.assert_allclose(law.log_prob(x), exact.logpdf(x), rtol=1e-12, atol=1e-12)
    for value in x[np.abs(x) > 0.1][::3]:  # differences are no oracle beside a pole
        check_grads(law.log_prob, (value,), order=1, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize(("a", "b"), [(1.0, 3.0), (2.0, 1.0), (1.0, 1.0), (0.5, 0.5)])
def test_beta_at_its_bounds(a, b):
    law, x = laws.Beta(a, b), jnp.array([0.0, 1.0])
    np.testing.assert_allclose(law.log_prob(x), stats.beta.logpdf(x, a, b), atol=1e-5)
    assert np.isfinite(jax.vmap(jax.grad(law.log_prob))(x)).all()


@pytest.mark.parametrize("name", CASES)
def test_draws_are_of_the_law(name):
    """By Kolmogorov and Smirnov: a right one fails in one seed of ten thousand."""
    law, exact, _ = CASES[name]
    x = np.asarray(law.sample(jax.random.key(1), (2000,)), float)
    assert stats.kstest(x, exact.cdf).pvalue > 1e-4


@pytest.mark.usefixtures("x64")
@pytest.mark.parametrize("scale", [0.01, 0.5, 1.5, 3.0])
@pytest.mark.parametrize("loc", [-4.0, 0.0, 1.2])
def test_moments_and_quantiles_of_the_logit_normal(loc, scale):
    law, normal = laws.LogitNormal(loc, scale), stats.norm(loc, scale)
    mean = normal.expect(special.expit, epsabs=1e-12)
    square = normal.expect(lambda x: special.expit(x) ** 2, epsabs=1e-12)
    np.testing.assert_allclose(law.mean, mean, rtol=1e-5)
    np.testing.assert_allclose(law.variance, square - mean**2, rtol=2e-3)
    q = np.linspace(0.01, 0.99, 9)
    np.testing.assert_allclose(law.icdf(q), special.expit(normal.ppf(q)), rtol=1e-12)


def test_logit_normal_at_its_bounds():
    law, x = laws.LogitNormal(0.3, 2.0), jnp.array([0.0, 1e-30, 1 - 1e-7, 1.0])
    assert not np.isnan(law.log_prob(x)).any()
    assert np.isfinite(jax.vmap(jax.grad(law.log_prob))(x)).all()


@pytest.mark.parametrize("link", [laws.IDENTITY, laws.LOG, laws.LOGIT])
def test_links_are_inverses(link):
    x = jnp.linspace(-3.0, 3.0, 13)
    np.testing.assert_allclose(link.forward(link.inverse(x)), x, atol=1e-5)
