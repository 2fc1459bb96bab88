"""Likelihoods: what the outcome looks like around its mean.

Each record names its parameters and gives a numpyro distribution in scaled units. The
truncated normal is our own distribution: its density stays finite and accurate however
far the mean falls below the bound (see :func:`truncated_normal_logpdf`).
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
import numpyro.distributions as dist
from jax.scipy.special import erfc
from jaxtyping import Array, ArrayLike, Float
from numpyro.distributions import constraints

from mmmjax import checks, laws

__all__ = [
    "LIKELIHOODS",
    "Likelihood",
    "Normal",
    "StudentT",
    "TruncatedNormal",
    "truncated_normal_logpdf",
]


def __dir__() -> list[str]:
    """Public names only, for completion."""
    return list(__all__)


_LOG_SQRT_2PI = 0.5 * math.log(2 * math.pi)
_LEAST = 2.0**-24  # of a random number: noise of 5.4 scales at most
_TAIL = -10.0  # below it the series has a relative error under 1e-11


def _log_mills(z: Float[Array, "..."]) -> Float[Array, "..."]:
    r"""$\log\Phi(z) + z^2/2$ for z <= -10 by its asymptotic series.

    Source: Abramowitz and Stegun (1964), 26.2.12.
    """
    u = 1.0 / (z * z)
    series = jnp.ones_like(z)
    for k in range(21, 0, -2):  # 1 - u (1 - 3u (1 - 5u (...))), ten terms
        series = 1.0 - k * u * series
    return jnp.log(series) - jnp.log(-z) - _LOG_SQRT_2PI


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
    far = m < _TAIL
    near_m, far_m = jnp.where(far, _TAIL, m), jnp.where(far, m, 2 * _TAIL)
    half = 0.5 * erfc(jnp.where(near_m > 0, near_m, -near_m) * math.sqrt(0.5))
    log_cdf = jnp.log(jnp.where(near_m > 0, 1.0 - half, half))
    hazard = jnp.exp(-0.5 * near_m**2 - log_cdf - _LOG_SQRT_2PI)
    log_mills, mills_slope = jax.jvp(_log_mills, (far_m,), (jnp.ones_like(far_m),))
    value = jnp.where(far, t * (far_m - 0.5 * t) - log_mills, -0.5 * z**2 - log_cdf)
    slope = jnp.where(far, t - mills_slope, -hazard)
    return value - jnp.log(scale) - _LOG_SQRT_2PI, t, m, slope


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
    fit = jnp.where(m < _TAIL, (m - t) * dt, -z * dz)
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
    far = a > -_TAIL
    near_a, far_a = jnp.where(far, -_TAIL, a), jnp.where(far, a, -2 * _TAIL)
    near_base, far_base = jax.scipy.special.log_ndtr(-near_a), _log_mills(-far_a)

    def newton(_: Any, t: Array) -> Array:
        near = jax.scipy.special.log_ndtr(-(near_a + t))
        gone = jnp.where(
            far, -t * (a + 0.5 * t) + _log_mills(-(far_a + t)) - far_base, near - near_base
        )
        hazard = jnp.exp(-0.5 * (near_a + t) ** 2 - _LOG_SQRT_2PI - near)
        hazard = jnp.where(a + t > 8.0, (a + t) * (1 + 1 / (a + t) ** 2), hazard)
        return jnp.maximum(t + (gone - log_u) / hazard, 0.0)

    steps = jnp.where(jnp.any(m <= -4.0), 4, 0)  # of a batch without tails: none
    t = jax.lax.fori_loop(0, steps, newton, -log_u / a)
    above = low + scale * jnp.maximum(t, 0.0)
    found = jnp.where(m > -4.0, jnp.maximum(loc + scale * inner, low), above)
    return found.astype(dtype)


class Likelihood:
    """What all likelihood records share; see the records below."""

    kind: ClassVar[str]
    parameters: ClassVar[tuple[str, ...]] = ("y_sigma",)
    low: float | None = None

    def distribution(
        self, mu: Array, params: Mapping[str, Any], low: Any = None
    ) -> dist.Distribution:
        """Distribution of the outcome in scaled units around ``mu`` (geo, time).

        ``params`` are one draw with ``y_sigma`` (and ``y_nu``) broadcastable to ``mu``;
        ``low`` the bound in scaled units, broadcastable too.
        """
        raise TypeError(f"{type(self).__name__} is not a likelihood record")


@dataclass(frozen=True)
class Normal(Likelihood):
    """Normal(mu, y_sigma)."""

    kind: ClassVar[str] = "normal"

    def distribution(
        self, mu: Array, params: Mapping[str, Any], low: Any = None
    ) -> dist.Distribution:
        """See :meth:`Likelihood.distribution`."""
        return dist.Normal(mu, params["y_sigma"])


@dataclass(frozen=True)
class TruncatedNormal(Likelihood):
    """Normal(mu, y_sigma) kept to outcomes >= low, with its normaliser in the density.

    Args:
        low: Smallest possible outcome, in original units. E[y] > mu: decompositions are of
            mu, forecasts and CRPS are of y.
    """

    kind: ClassVar[str] = "truncated_normal"
    low: float = 0.0  # pyright: ignore[reportIncompatibleVariableOverride]

    def __post_init__(self) -> None:
        """Check the bound."""
        object.__setattr__(self, "low", checks.number("likelihood low", self.low))

    def distribution(
        self, mu: Array, params: Mapping[str, Any], low: Any = None
    ) -> dist.Distribution:
        """See :meth:`Likelihood.distribution`."""
        return LowerTruncatedNormal(mu, params["y_sigma"], low)


@dataclass(frozen=True)
class StudentT(Likelihood):
    """StudentT(y_nu, mu, y_sigma) with y_nu = 2 + y_nu_excess: outliers weigh less."""

    kind: ClassVar[str] = "student_t"
    parameters: ClassVar[tuple[str, ...]] = ("y_sigma", "y_nu_excess")

    def distribution(
        self, mu: Array, params: Mapping[str, Any], low: Any = None
    ) -> dist.Distribution:
        """See :meth:`Likelihood.distribution`."""
        return laws.StudentT(params["y_nu"], mu, params["y_sigma"])


LIKELIHOODS: dict[str, type[Likelihood]] = {
    c.kind: c for c in (Normal, TruncatedNormal, StudentT)
}
