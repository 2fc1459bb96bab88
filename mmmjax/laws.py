"""Distributions whose density holds the log of the gamma function, made to compile fast.

They are NumPyro's in everything but ``log_prob``. XLA's own log gamma, right for every real
number, is a thousand instructions each time it is called; priors call it for their
normalisers, which were a third of the compile time of a sampler. Ours is for positive
numbers, which is what hyperparameters are.
"""

import functools
import math
from collections.abc import Callable
from typing import Any, ClassVar, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
from jax.scipy.special import expit, logit, ndtri, xlog1py, xlogy
from jaxtyping import Array, ArrayLike, Float
from numpyro.distributions import constraints, transforms

__all__ = [
    "IDENTITY",
    "LOG",
    "LOGIT",
    "LOG_MEAN",
    "MINUS_LOG",
    "Beta",
    "Gamma",
    "InverseGamma",
    "Link",
    "LogitNormal",
    "NegativeBinomial",
    "NegativeHalfNormal",
    "Poisson",
    "Scattered",
    "StudentT",
    "between",
    "log_gamma",
]


Bound = float | tuple[float, ...]


class Link(NamedTuple):
    """Between a quantity and the real number that is modelled: x = forward(value).

    ``name`` and ``back`` are how it and its inverse are written around a text. Of a link
    between a mean and the sum of terms ``rise(start, step)`` is how much the mean grows per
    unit of the sum from ``start`` to ``start + step``.
    """

    forward: Callable[[Any], Any]
    inverse: Callable[[Any], Any]
    name: str = "{}"
    back: str = "{}"
    rise: Callable[[Any, Any], Any] = lambda start, step: 1.0


def _grown(start: Any, step: Any) -> Any:
    """(exp(start + step) - exp(start)) / step, exp(start) where the step is 0."""
    small = jnp.abs(step) < 1e-5
    safe = jnp.where(small, 1.0, step)
    return jnp.exp(start) * jnp.where(small, 1.0 + 0.5 * step, jnp.expm1(safe) / safe)


_FAR = 30.0  # of a log: 13 orders of magnitude; further on numbers would overflow

IDENTITY = Link(lambda value: value, lambda x: x)
LOG = Link(jnp.log, jnp.exp, "log({})", "exp({})")
LOG_MEAN = Link(
    jnp.log, lambda x: jnp.exp(jnp.clip(x, -_FAR, _FAR)), "log({})", "exp({})", _grown
)
LOGIT = Link(logit, expit, "logit({})", "expit({})")
MINUS_LOG = Link(lambda x: jnp.log(-x), lambda x: -jnp.exp(x), "log(-{})", "-exp({})")


@functools.lru_cache
def between(low: Bound, high: Bound) -> Link:
    """The whole line for values between bounds: the logit, where one is open the log.

    Args:
        low: Number, or a tuple with one for each member of the last axis; may be infinite.
        high: The same.
    """
    ends = np.broadcast_arrays(np.asarray(low, float), np.asarray(high, float))
    below, above = (np.isinf(end) for end in ends)
    a, b = (np.where(np.isinf(end), 0.0, end) for end in ends)
    width = np.where(below | above, 1.0, b - a)
    cases = [below & above, above, below]

    def forward(value: Any) -> Array:
        inside = jnp.where(below | above, 0.5, (value - a) / width)
        up = jnp.log(jnp.where(above & ~below, value - a, 1.0))
        down = -jnp.log(jnp.where(below & ~above, b - value, 1.0))
        return jnp.select(cases, [value + 0.0 * a, up, down], logit(inside))

    def inverse(x: Any) -> Array:
        up = a + jnp.exp(jnp.where(above & ~below, x, 0.0))
        down = b - jnp.exp(-jnp.where(below & ~above, x, 0.0))
        return jnp.select(cases, [x + 0.0 * a, up, down], a + width * expit(x))

    name = f"link({{}}, {low}, {high})"
    return Link(forward, inverse, name, f"inverse {name}")


_SHIFT = 8  # from here on the series has an error under 1e-14
_SERIES = (1 / 12, -1 / 360, 1 / 1260, -1 / 1680, 1 / 1188, -691 / 360360)
_HALF_LOG_2PI = 0.5 * math.log(2 * math.pi)


def log_gamma(x: Float[ArrayLike, "..."]) -> Float[Array, "..."]:
    r"""$\log\Gamma(x)$ for x > 0.

    Stirling's series from 8 on; below, $\Gamma(x) = \Gamma(x + 8) / (x (x+1) ... (x+7))$.

    Source: Abramowitz and Stegun (1964), 6.1.15 and 6.1.41.
    """
    x = jnp.asarray(x)
    below = x < _SHIFT
    small = jnp.where(below, x, 1.0)
    rising = math.prod((small + k for k in range(1, _SHIFT)), start=small)
    large = jnp.where(below, x + _SHIFT, x)
    stirling = (large - 0.5) * jnp.log(large) - large + _HALF_LOG_2PI + _tail(large)
    return stirling - jnp.where(below, jnp.log(rising), 0.0)


def _tail(x: Array) -> Array:
    """What Stirling's formula lacks, from 8 on."""
    inverse = 1.0 / x
    square, tail = inverse * inverse, jnp.zeros_like(x)
    for term in reversed(_SERIES):
        tail = term + square * tail
    return inverse * tail


def _lacking(x: Array) -> Array:
    """What Stirling's formula lacks, x > 0: without the difference of large numbers."""
    below = x < _SHIFT
    small = jnp.where(below, x, 1.0)
    near = log_gamma(small) - (small - 0.5) * jnp.log(small) + small - _HALF_LOG_2PI
    return jnp.where(below, near, _tail(jnp.where(below, 1.0 * _SHIFT, x)))


def _log_ratio(x: Array, y: Array) -> Array:
    """log(x / y) of positive numbers, with the precision of their difference."""
    d = (x - y) / y
    near = jnp.abs(d) < 0.5
    return jnp.where(near, jnp.log1p(jnp.where(near, d, 0.0)), jnp.log(x) - jnp.log(y))


def _numbers(*hyperparameters: Any) -> tuple[Array, ...]:
    return tuple(jnp.asarray(x) for x in hyperparameters)


class NegativeHalfNormal(dist.HalfNormal):
    """Minus HalfNormal(scale)."""

    support = constraints.less_than(0.0)

    def sample(self, key: Array, sample_shape: tuple[int, ...] = ()) -> Array:
        """Minus a draw of a half-normal."""
        return -super().sample(key, sample_shape)

    def log_prob(self, value: ArrayLike) -> Array:
        """Log density, of values below 0."""
        return self._normal.log_prob(value) + math.log(2.0)

    def cdf(self, value: ArrayLike) -> Array:
        """Chance of less."""
        return 2.0 * self._normal.cdf(value)

    def icdf(self, q: ArrayLike) -> Array:
        """Quantile of a probability."""
        return self._normal.icdf(0.5 * jnp.asarray(q))

    @property
    def mean(self) -> Array:
        """Minus that of a half-normal."""
        return -super().mean


class Gamma(dist.Gamma):
    """Gamma(concentration, rate)."""

    def log_prob(self, value: Any) -> Array:
        """Log density at ``value`` > 0."""
        a, b = _numbers(self.concentration, self.rate)
        return (a - 1) * jnp.log(value) - b * value + a * jnp.log(b) - log_gamma(a)


class InverseGamma(dist.InverseGamma):
    """1 / Gamma(concentration, rate)."""

    def log_prob(self, value: Any, intermediates: Any = None) -> Array:
        """Log density at ``value`` > 0."""
        a, b = _numbers(self.concentration, self.rate)
        return a * jnp.log(b) - (a + 1) * jnp.log(value) - b / value - log_gamma(a)


class Beta(dist.Beta):
    """Beta(concentration1, concentration0)."""

    def log_prob(self, value: Any) -> Array:
        """Log density at 0 <= ``value`` <= 1; at the bounds its gradient is 0."""
        a, b = _numbers(self.concentration1, self.concentration0)
        inside = (value > 0) & (value < 1)
        safe = jnp.where(inside, value, 0.5)
        density = (a - 1) * jnp.log(safe) + (b - 1) * jnp.log1p(-safe)
        bound = jax.lax.stop_gradient(xlogy(a - 1, value) + xlog1py(b - 1, -value))
        beta = log_gamma(a) + log_gamma(b) - log_gamma(a + b)
        return jnp.where(inside, density, bound) - beta


class StudentT(dist.StudentT):
    """StudentT(df, loc, scale)."""

    def log_prob(self, value: Any) -> Array:
        """Log density at ``value``."""
        n, loc, scale = _numbers(self.df, self.loc, self.scale)
        z = (value - loc) / scale
        normaliser = log_gamma(0.5 * n) - log_gamma(0.5 * (n + 1)) + jnp.log(scale)
        normaliser += 0.5 * (jnp.log(n) + math.log(math.pi))
        return -0.5 * (n + 1) * jnp.log1p(z * z / n) - normaliser


class Scattered(dist.Gamma):
    """Gamma(concentration, rate) of an outcome around its mean, concentration / rate.

    As the other laws of data below, its density is that at the mean, and a deviance: large
    numbers cancel before they are rounded, so that single precision is enough.
    """

    def log_prob(self, value: Any) -> Array:
        """Log density at ``value`` > 0."""
        k, rate, value = _numbers(self.concentration, self.rate, value)
        mean = k / rate
        top = 0.5 * jnp.log(k) - _HALF_LOG_2PI - _lacking(k) - jnp.log(value)
        return k * (_log_ratio(value, mean) - (value - mean) / mean) + top


class Poisson(dist.Poisson):
    """Poisson(rate)."""

    def log_prob(self, value: Any) -> Array:
        """Log probability of the whole number ``value`` >= 0."""
        (rate,) = _numbers(self.rate)
        some = value > 0
        y = jnp.where(some, value, 1.0).astype(rate.dtype)
        top = -0.5 * jnp.log(y) - _HALF_LOG_2PI - _lacking(y)
        return jnp.where(some, y * _log_ratio(rate, y) - (rate - y) + top, -rate)


class NegativeBinomial(dist.NegativeBinomial2):
    """NegativeBinomial(mean, concentration): variance mean + mean^2 / concentration."""

    def log_prob(self, value: Any) -> Array:
        """Log probability of the whole number ``value`` >= 0."""
        a, rate = _numbers(self.concentration, self.rate)
        mean, some = a / rate, value > 0
        y = jnp.where(some, value, 1.0).astype(a.dtype)
        top = 0.5 * (jnp.log(a) - jnp.log(y + a) - jnp.log(y)) - _HALF_LOG_2PI
        top += _lacking(y + a) - _lacking(a) - _lacking(y)
        away = y * _log_ratio(mean, y) - (y + a) * _log_ratio(mean + a, y + a)
        return jnp.where(some, away + top, -a * jnp.log1p(mean / a))


class LogitNormal(dist.TransformedDistribution):
    """1 / (1 + exp(-x)) with x of Normal(loc, scale)."""

    arg_constraints: ClassVar = dist.Normal.arg_constraints
    reparametrized_params: ClassVar = ["loc", "scale"]
    _nodes, _weights = np.polynomial.hermite_e.hermegauss(64)

    def __init__(self, loc: Any, scale: Any, *, validate_args: bool | None = None):
        """Broadcast location and scale, those of the logit."""
        base = dist.Normal(loc, scale)
        self.loc, self.scale = base.loc, base.scale
        super().__init__(base, transforms.SigmoidTransform(), validate_args=validate_args)

    def log_prob(self, value: Any, intermediates: Any = None) -> Array:
        """Log density at 0 <= ``value`` <= 1; at the bounds its gradient is 0."""
        inside = (value > 0) & (value < 1)
        safe = jnp.where(inside, value, 0.5)
        density = dist.Normal(self.loc, self.scale).log_prob(logit(safe))
        return jnp.where(inside, density - jnp.log(safe) - jnp.log1p(-safe), -jnp.inf)

    def icdf(self, q: Any) -> Array:
        """Quantile of probability ``q``."""
        return expit(self.loc + self.scale * ndtri(q))

    @property
    def mean(self) -> Array:
        """By quadrature: it has no closed form."""
        return self._moment(1)

    @property
    def variance(self) -> Array:
        """By quadrature."""
        return self._moment(2) - self._moment(1) ** 2

    def _moment(self, power: int) -> Array:
        loc, scale = jnp.asarray(self.loc)[..., None], jnp.asarray(self.scale)[..., None]
        x = expit(loc + scale * self._nodes.astype(loc.dtype))
        return (x**power * self._weights.astype(loc.dtype)).sum(-1) / math.sqrt(2 * math.pi)
