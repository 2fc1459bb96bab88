"""Distributions whose density holds the log of the gamma function, made to compile fast.

They are NumPyro's in everything but ``log_prob``. XLA's own log gamma, right for every real
number, is a thousand instructions each time it is called; priors call it for their
normalisers, which were a third of the compile time of a sampler. Ours is for positive
numbers, which is what hyperparameters are.

Beside them stand laws of outcomes that NumPyro has not, or not in every corner: a truncated
normal, errors that follow one another.
"""

import functools
import math
from collections.abc import Callable
from typing import Any, ClassVar, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
from jax.scipy.special import erfc, expit, logit, ndtri, xlog1py, xlogy
from jaxtyping import Array, ArrayLike, Float
from numpyro.distributions import constraints, transforms

__all__ = [
    "IDENTITY",
    "LOG",
    "LOGIT",
    "LOG_MEAN",
    "MINUS_LOG",
    "Autoregressive",
    "Beta",
    "Gamma",
    "InverseGamma",
    "Link",
    "LogitNormal",
    "LowerTruncatedNormal",
    "NegativeBinomial",
    "NegativeHalfNormal",
    "OrZero",
    "Poisson",
    "Scattered",
    "StudentT",
    "between",
    "log_gamma",
    "sample_truncated",
    "truncated_normal_logpdf",
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


class OrZero(dist.Distribution):
    """0 with probability ``gate``, else a draw of ``base``, a law of values of 0 or more.

    Of counts ``base`` has zeros of its own, so that they are inflated; of amounts it has
    none, and 0 is a hurdle: the density there is a probability.
    """

    arg_constraints: ClassVar = {"gate": constraints.unit_interval}
    pytree_data_fields = ("base",)

    def __init__(self, base: Any, gate: Any, *, validate_args: bool | None = None):
        """Broadcast the gate."""
        self.base, self.gate = base, gate
        shape = np.broadcast_shapes(base.batch_shape, jnp.shape(gate))
        super().__init__(batch_shape=shape, validate_args=validate_args)

    @constraints.dependent_property(event_dim=0)  # pyright: ignore
    def support(self) -> Any:
        """Whole numbers, or amounts, from 0."""
        counts = self.base.support.is_discrete
        return constraints.nonnegative_integer if counts else constraints.nonnegative

    def log_prob(self, value: Any) -> Array:
        """Log density, of 0 the log of its probability."""
        gate, none, counts = jnp.asarray(self.gate), value <= 0, self.support.is_discrete
        some = jnp.log1p(-gate) + self.base.log_prob(jnp.where(none, 1.0 - counts, value))
        zero = jnp.log(gate)
        return jnp.where(none, jnp.logaddexp(zero, some) if counts else zero, some)

    def cdf(self, value: Any) -> Array:
        """Chance of as much or less."""
        counts = self.support.is_discrete
        below = self.base.cdf(jnp.where(value > 0, value, 1.0 - counts))
        below = jnp.where((value > 0) | counts, below, 0.0)
        return jnp.where(value < 0, 0.0, self.gate + (1.0 - self.gate) * below)

    def sample(self, key: Array, sample_shape: tuple[int, ...] = ()) -> Array:
        """Draw both, and keep the one that the gate says."""
        first, second = jax.random.split(key)
        shape = sample_shape + self.batch_shape
        some = self.base.expand(self.batch_shape).sample(second, sample_shape)
        return jnp.where(jax.random.uniform(first, shape) < self.gate, 0 * some, some)

    @property
    def mean(self) -> Array:
        """Zeros counted."""
        return (1.0 - self.gate) * self.base.mean

    @property
    def variance(self) -> Array:
        """The same."""
        of_zero = self.gate * self.base.mean**2
        return (1.0 - self.gate) * (self.base.variance + of_zero)


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


_LEAST = 2.0**-24  # of a random number: noise of 5.4 scales at most
_FAR_TAIL = -10.0  # below it the series has a relative error under 1e-11


def _log_mills(z: Float[Array, "..."]) -> Float[Array, "..."]:
    r"""$\log\Phi(z) + z^2/2$ for z <= -10 by its asymptotic series.

    Source: Abramowitz and Stegun (1964), 26.2.12.
    """
    u = 1.0 / (z * z)
    series = jnp.ones_like(z)
    for k in range(21, 0, -2):  # 1 - u (1 - 3u (1 - 5u (...))), ten terms
        series = 1.0 - k * u * series
    return jnp.log(series) - jnp.log(-z) - _HALF_LOG_2PI


@jax.custom_jvp
def truncated_normal_logpdf(
    x: Float[ArrayLike, "..."],
    loc: Float[ArrayLike, "..."],
    scale: Float[ArrayLike, "..."],
    low: Float[ArrayLike, "..."],
) -> Float[Array, "..."]:
    r"""Log density of Normal(loc, scale) kept to x >= low.

    $\log p = -\tfrac12 (t - m)^2 - \log\Phi(m) - \log\sigma - \tfrac12\log 2\pi$ with
    $t = (x - low)/\sigma$, $m = (loc - low)/\sigma$. For m < -10 the two squares cancel
    analytically and $\log\Phi(m) + m^2/2$ comes from its asymptotic series, so that value
    and gradient stay accurate down to m = -1e3 in float32. The derivative is written out
    (hazard $\phi(m)/\Phi(m)$): autodiff evaluates erfc several times over.
    """
    return _log_density(x, loc, scale, low)[0]


def _log_density(
    x: Any, loc: Any, scale: Any, low: Any
) -> tuple[Array, Array, Array, Array]:
    """Log density, t, m and its derivative in m."""
    scale = jnp.asarray(scale)
    t, m, z = (x - low) / scale, (loc - low) / scale, (x - loc) / scale
    far = m < _FAR_TAIL
    near_m, far_m = jnp.where(far, _FAR_TAIL, m), jnp.where(far, m, 2 * _FAR_TAIL)
    half = 0.5 * erfc(jnp.where(near_m > 0, near_m, -near_m) * math.sqrt(0.5))
    log_cdf = jnp.log(jnp.where(near_m > 0, 1.0 - half, half))
    hazard = jnp.exp(-0.5 * near_m**2 - log_cdf - _HALF_LOG_2PI)
    log_mills, mills_slope = jax.jvp(_log_mills, (far_m,), (jnp.ones_like(far_m),))
    value = jnp.where(far, t * (far_m - 0.5 * t) - log_mills, -0.5 * z**2 - log_cdf)
    slope = jnp.where(far, t - mills_slope, -hazard)
    return value - jnp.log(scale) - _HALF_LOG_2PI, t, m, slope


@truncated_normal_logpdf.defjvp
def _truncated_normal_jvp(primals: Any, tangents: Any) -> tuple[Array, Array]:
    _, _, scale, _ = primals
    dx, dloc, dscale, dlow = tangents
    x, loc, _, _ = primals
    value, t, m, slope = _log_density(*primals)
    dt = (dx - dlow - t * dscale) / scale
    dm = (dloc - dlow - m * dscale) / scale
    z = (x - loc) / scale
    dz = (dx - dloc - z * dscale) / scale
    fit = jnp.where(m < _FAR_TAIL, (m - t) * dt, -z * dz)
    return value, fit + slope * dm - dscale / scale


class LowerTruncatedNormal(dist.Distribution):
    """Normal kept above ``low``; numpyro's own loses its normaliser in the far tail."""

    arg_constraints: ClassVar = {
        "loc": constraints.real,
        "scale": constraints.positive,
        "low": constraints.real,
    }
    reparametrized_params: ClassVar = ["loc", "scale", "low"]

    def __init__(
        self, loc: Any, scale: Any, low: Any, *, validate_args: bool | None = None
    ):
        """Broadcast the three."""
        shape = jnp.broadcast_shapes(jnp.shape(loc), jnp.shape(scale), jnp.shape(low))
        self.loc, self.scale, self.low = loc, scale, low
        super().__init__(batch_shape=shape, validate_args=validate_args)

    @constraints.dependent_property(is_discrete=False, event_dim=0)  # pyright: ignore
    def support(self) -> Any:
        """Everything from the bound upwards."""
        return constraints.greater_than_eq(self.low)

    def log_prob(self, value: Any) -> Array:
        """Density with its normaliser, finite however far the mean lies below the bound."""
        return truncated_normal_logpdf(value, self.loc, self.scale, self.low)

    def sample(self, key: Array, sample_shape: tuple[int, ...] = ()) -> Array:
        """Draw by :func:`sample_truncated`."""
        shape = sample_shape + self.batch_shape
        return sample_truncated(key, self.loc, self.scale, self.low, shape)


def sample_truncated(
    key: Array, loc: Any, scale: Any, low: Any, shape: tuple[int, ...]
) -> Array:
    r"""Draws of Normal(loc, scale) kept above low, right in the far tail too.

    Bulk (m > -4): inverse of the upper tail, $x = loc - \sigma\,\Phi^{-1}(u\,\Phi(m))$.
    Tail: exponential draws of rate -m as starting value (Robert 1995), four Newton steps on
    the log of the survival function, which is exact to rounding.

    The noise, in units of scale, is float32 whatever the type of the result: 24 bits of a
    random number are enough, and its quantile costs a third.
    """
    dtype = jnp.result_type(loc, scale, low, jnp.float32)
    log_u = jnp.log(jax.random.uniform(key, shape, jnp.float32, minval=_LEAST))
    m = jnp.broadcast_to((loc - low) / scale, shape).astype(jnp.float32)
    bulk = jnp.maximum(m, -4.0)
    inner = -jax.scipy.special.ndtri(jnp.exp(log_u) * jax.scipy.special.ndtr(bulk))
    a = -jnp.minimum(m, -4.0)  # x = low + scale * t with log S(a + t) - log S(a) = log u
    far = a > -_FAR_TAIL
    near_a, far_a = jnp.where(far, -_FAR_TAIL, a), jnp.where(far, a, -2 * _FAR_TAIL)
    near_base, far_base = jax.scipy.special.log_ndtr(-near_a), _log_mills(-far_a)

    def newton(_: Any, t: Array) -> Array:
        near = jax.scipy.special.log_ndtr(-(near_a + t))
        gone = jnp.where(
            far, -t * (a + 0.5 * t) + _log_mills(-(far_a + t)) - far_base, near - near_base
        )
        hazard = jnp.exp(-0.5 * (near_a + t) ** 2 - _HALF_LOG_2PI - near)
        hazard = jnp.where(a + t > 8.0, (a + t) * (1 + 1 / (a + t) ** 2), hazard)
        return jnp.maximum(t + (gone - log_u) / hazard, 0.0)

    steps = jnp.where(jnp.any(m <= -4.0), 4, 0)  # of a batch without tails: none
    t = jax.lax.fori_loop(0, steps, newton, -log_u / a)
    above = low + scale * jnp.maximum(t, 0.0)
    found = jnp.where(m > -4.0, jnp.maximum(loc + scale * inner, low), above)
    return found.astype(dtype)


class Autoregressive(dist.Distribution):
    r"""Normal errors along the last axis, each ``rho`` times the one before and new noise.

    $y_t = loc_t + scale_t z_t$ with $z_t = \rho z_{t-1} + \varepsilon_t$,
    $\varepsilon_t$ standard normal. ``log_prob`` is of each cell given those before it that
    were seen; over the seen cells of a row it adds up to their joint density: across a gap
    of k periods $z_t$ is Normal($\rho^k z_{t-k}$, $(1 - \rho^{2k}) / (1 - \rho^2)$).

    Args:
        loc, scale: Mean and size of the new noise.
        rho: Between -1 and 1, the same along the last axis.
        seen: Which cells count for later ones; None: all.
        start: What is expected of z before the first cell, (..., 1).
        known: Share of the long-run variance of z there that is known: 0 (and a start of
            0) before anything was seen, 1 where that z itself was.
    """

    arg_constraints: ClassVar = {"loc": constraints.real, "scale": constraints.positive}
    support = constraints.real  # pyright: ignore
    reparametrized_params: ClassVar = ["loc", "scale"]

    def __init__(
        self,
        loc: Any,
        scale: Any,
        rho: Any,
        seen: Any = None,
        start: Any = 0.0,
        known: Any = 0.0,
        *,
        validate_args: bool | None = None,
    ):
        """Broadcast mean, noise and correlation."""
        shape = jnp.broadcast_shapes(jnp.shape(loc), jnp.shape(scale), jnp.shape(rho))
        self.loc, self.scale, self.rho = loc, scale, rho
        self.seen, self.start, self.known = seen, start, known
        super().__init__(batch_shape=shape, validate_args=validate_args)

    def _ahead(self, k: Any, known: Any) -> tuple[Array, Array]:
        """Correlation with, and variance given, what is known k periods before."""
        rho = jnp.asarray(self.rho)
        far = rho ** jnp.asarray(k)
        rest = (1.0 - known * far**2) / ((1.0 - rho) * (1.0 + rho))
        return far, jnp.where((k == 1) & (known == 1.0), 1.0, rest)

    def _before(self, z: Array, seen: Any) -> tuple[Array, Array, Array]:
        """Last z that was seen before each cell and after all, how long ago, how known."""
        n = z.shape[-1]
        seen = jnp.broadcast_to(True if seen is None else seen, z.shape)
        at = jnp.where(seen, jnp.arange(n), -1)
        first = jnp.full((*z.shape[:-1], 1), -1)
        last = jnp.concatenate([first, jax.lax.cummax(at, axis=z.ndim - 1)], -1)
        there = jnp.take_along_axis(z, jnp.maximum(last, 0), -1)
        none = last < 0
        ago = jnp.arange(n + 1) - last
        return jnp.where(none, self.start, there), ago, jnp.where(none, self.known, 1.0)

    def given(self, z: Any) -> tuple[Array, Array]:
        """Mean and variance of each z given those seen before it in ``z``."""
        before, ago, known = (x[..., :-1] for x in self._before(z, self.seen))
        far, variance = self._ahead(ago, known)
        return far * before, variance

    def left(self, value: Any) -> dict[str, Array]:
        """``start`` and ``known`` of the periods that follow these outcomes, (..., 1)."""
        z = jnp.asarray((value - self.loc) / self.scale)
        before, ago, known = (x[..., -1:] for x in self._before(z, self.seen))
        far = jnp.asarray(self.rho) ** (ago - 1)
        return {"start": far * before, "known": known * far**2}

    def log_prob(self, value: Any) -> Array:
        """Log density of each cell given those seen before it."""
        z = (value - self.loc) / self.scale
        mean, variance = self.given(jnp.broadcast_to(z, self.batch_shape))
        size = jnp.log(self.scale) + 0.5 * jnp.log(variance)
        return -0.5 * (z - mean) ** 2 / variance - size - _HALF_LOG_2PI

    def sample(self, key: Array, sample_shape: tuple[int, ...] = ()) -> Array:
        """Whole paths, whatever was seen."""
        new = jax.random.normal(
            key, sample_shape + self.batch_shape, jnp.result_type(float)
        )
        far, variance = self._ahead(1, jnp.asarray(self.known))
        row = new.shape[:-1]
        of_row = lambda x: jnp.broadcast_to(jnp.asarray(x), (*row, 1))[..., 0]
        first = of_row(far * self.start) + of_row(jnp.sqrt(variance)) * new[..., 0]
        rho = of_row(self.rho)

        def step(z: Array, e: Array) -> tuple[Array, Array]:
            return (z := rho * z + e), z

        _, rest = jax.lax.scan(step, first, jnp.moveaxis(new[..., 1:], -1, 0))
        path = jnp.concatenate([first[..., None], jnp.moveaxis(rest, 0, -1)], -1)
        return self.loc + self.scale * path

    @property
    def mean(self) -> Array:
        """That of each cell, from what is known before the first."""
        far, _ = self._ahead(1 + jnp.arange(self.batch_shape[-1]), self.known)
        return jnp.broadcast_to(self.loc + self.scale * far * self.start, self.batch_shape)

    @property
    def variance(self) -> Array:
        """The same: it grows to the long-run variance."""
        _, rest = self._ahead(1 + jnp.arange(self.batch_shape[-1]), self.known)
        return jnp.broadcast_to(self.scale**2 * rest, self.batch_shape)
