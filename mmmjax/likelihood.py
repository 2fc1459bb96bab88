"""Likelihoods: what the outcome looks like around its mean.

A record owns all that the library knows of its law: parameters with their default priors,
what outcomes it allows and how they are scaled, the distribution, and what adequacy and
baselines ask of it. A new one is one class and its name in :data:`LIKELIHOODS`. The
truncated normal is our own distribution: its density stays finite and accurate however
far the mean falls below the bound (see :func:`truncated_normal_logpdf`).
"""

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal

import jax
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
from jax.scipy.special import erfc
from jaxtyping import Array, ArrayLike, Float
from numpyro.distributions import constraints
from scipy import special

from mmmjax import checks, laws
from mmmjax.panel import Panel
from mmmjax.prior import Parameter, Prior
from mmmjax.scaling import Scale

__all__ = [
    "LIKELIHOODS",
    "LINKS",
    "OUTCOME",
    "Gamma",
    "Likelihood",
    "LogNormal",
    "NegativeBinomial",
    "Normal",
    "Poisson",
    "StudentT",
    "Target",
    "TruncatedNormal",
    "truncated_normal_logpdf",
]


def __dir__() -> list[str]:
    """Public names only, for completion."""
    return list(__all__)


OUTCOME = "y"
"""Name of the observed site, and of its node in the graph."""

Values = Mapping[str, Any]  # of parameters, by name

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


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Target:
    """The outcome of a window as a law sees it; every array begins with geo.

    Args:
        outcome: (geo, time), in units of the law; where masked a number that it allows.
        mask: Where it was observed, (geo, time).
        low: Smallest outcome that is allowed, (geo, 1), in units of the law; 0 where the
            law has no bound.
        unit: Outcome units per unit of the mean, (geo, 1).
    """

    outcome: Any
    mask: Any
    low: Any
    unit: Any

    def padded(self, periods: int) -> "Target":
        """The same with masked periods at the end, as long as ``periods`` in all."""
        more = ((0, 0), (0, periods - np.shape(self.mask)[1]))
        outcome, mask = np.pad(self.outcome, more, mode="edge"), np.pad(self.mask, more)
        return dataclasses.replace(self, outcome=outcome, mask=mask)


# noise is below the size of the outcome itself
# noise of geos differs by a half, rarely by threefold: small geos are noisier
_SIGMA = Parameter((), Prior("HalfNormal", scale=0.5), "positive", pooled=0.5)
# Juarez and Steel (2010): nu = 2 + Gamma(2, 0.1) keeps a finite variance
_NU_EXCESS = Parameter((), Prior("Gamma", concentration=2.0, rate=0.1), "positive")


LINKS = {"identity": laws.IDENTITY, "log": laws.LOG_MEAN}
"""Between the mean and the sum of the terms, by name."""

_MIDDLE = 0.5  # of the unit of the mean: where it usually is
_LOW = 0.05  # of that unit: an outcome whose log is taken is at least so large


class Likelihood:
    """What all likelihood records share, and what a new one has to say.

    In every method ``p`` are the record's parameters and what is derived from them, by
    name; they broadcast with ``mean``: (geo, 1) and (geo, time). All is in scaled units
    unless told otherwise.
    """

    kind: ClassVar[str]
    link: str = "identity"  # a field of the records that have a choice
    """Name of one of :data:`LINKS`: the mean is its inverse of the sum of the terms."""
    scaled: ClassVar[bool] = True
    """Whether outcomes are divided by the unit of the mean; counts would not be."""
    noise: ClassVar[str] = "y_sigma"
    """The parameter that is the size of the noise; empty where the law has none."""

    def parameters(self) -> Mapping[str, Parameter]:
        """What is sampled, in order."""
        return {"y_sigma": _SIGMA}

    @property
    def between(self) -> laws.Link:
        """The link itself."""
        return LINKS[self.link]

    @property
    def straight(self) -> bool:
        """Whether the mean is the sum of the terms, so that their effects add up."""
        return self.link == "identity"

    def levels(self) -> Mapping[str, Prior]:
        """Default priors of terms where the link makes another of them, by parameter.

        Under a log a typical period sells between a sixth and one and a half of the best.
        """
        return {} if self.straight else {"intercept": Prior("Normal", loc=-0.7, scale=0.6)}

    def derived(self, p: Values) -> Mapping[str, Any]:
        """What follows from parameters, elementwise, and is stored beside them."""
        return {}

    def structure(self) -> "Likelihood":
        """The record without the fields that reach :meth:`law` by the target alone."""
        return self

    def formula(self) -> Mapping[str, str]:
        """Text of the law of :data:`OUTCOME`, and of everything derived, by name."""
        own = dataclasses.asdict(self)  # pyright: ignore
        fields = [f"{n}={x}" for n, x in own.items() if n != "link"]
        takes = ", ".join(["mu", *self.parameters(), *fields])
        return {OUTCOME: f"{type(self).__name__}({takes})"}

    def check(self, panel: Panel) -> None:
        """Refuse outcomes that the law does not allow, with the place of the first."""

    def possible(self, outcome: np.ndarray) -> np.ndarray:
        """The nearest outcomes that the law allows, original units."""
        return outcome

    def target(self, panel: Panel, scale: Scale) -> Target:
        """The outcome of a panel, in training or after it (NumPy, float64)."""
        unit = np.array(scale.outcome[:, None])
        by, outcome = unit if self.scaled else 1.0, panel.outcome[:, panel.history :]
        mask, some = np.isfinite(outcome), self.possible(0.5 * unit) / by
        outcome = np.where(mask, outcome / by, some)
        return Target(outcome, mask, np.zeros_like(unit), unit)

    def law(self, mean: Any, p: Values, target: Target) -> dist.Distribution:
        """The outcome around its mean; reads what ``target`` says of a geo, not of a cell.

        So the same law serves the periods that are forecast.
        """
        raise TypeError(f"{type(self).__name__} is not a likelihood record")

    def around(self, predictor: Any, p: Values, target: Target) -> dist.Distribution:
        """:meth:`law` around the mean that the sum of the terms makes."""
        return self.law(self.between.inverse(predictor), p, target)

    def original(self, target: Target) -> Any:
        """Outcome units per unit of the law, (geo, 1)."""
        return target.unit if self.scaled else jnp.ones_like(target.unit)

    def working(self, target: Target) -> tuple[Any, Any]:
        """Response and weights of a weighted least-squares fit that is near the law's.

        Weights are relative, 0 where masked; (geo, time) both, on the scale of the link.
        """
        if self.straight:
            return target.outcome, target.mask * 1.0
        of = target.outcome.__array_namespace__()  # NumPy, or JAX where it is traced
        size = of.maximum(target.outcome, _LOW)
        return of.log(size), target.mask * (size / _MIDDLE) ** 2

    def variance(self, p: Values) -> Any:
        """Noise around :meth:`working` where its weights are 1, (geo, 1) or (1, 1)."""
        by = 1.0 if self.straight else _MIDDLE**2
        return p[self.noise] ** 2 / by if self.noise else jnp.ones((1, 1))

    def central(self, draws: Mapping[str, np.ndarray]) -> dict[str, Any]:
        """One number for each parameter from its draws (draw, ...)."""
        return {name: draws[name].mean(0) for name in self.parameters()}

    def spread(self, mean: np.ndarray, p: Values, target: Target) -> np.ndarray:
        """Size of the noise in units of the mean, (geo, 1)."""
        return p[self.noise]

    def freed(self, *dims: str) -> str:
        """What to write so that the data say how large the noise is, over these dims."""
        if not self.noise:
            return "Take a likelihood whose noise has a size of its own"
        one = self.parameters()[self.noise]
        told = one.prior.with_dims(dims) if dims and not one.pooled else one.prior
        return f"Write {self.noise} = {told.to_toml()} under [model.priors]"

    def deviates(self, mean: np.ndarray, p: Values, target: Target) -> np.ndarray:
        """Quantiles of the outcome under the law, as normal deviates (geo, time)."""
        with jax.enable_x64(True):
            return special.ndtri(np.asarray(self.law(mean, p, target).cdf(target.outcome)))


def _refuse(
    panel: Panel, bad: np.ndarray, allowed: str, other: str = "use the Normal likelihood"
) -> None:
    """Name the first observed outcome that a law does not allow, and another law."""
    found = np.argwhere(panel.mask & bad)
    if not found.size:
        return
    g, t = found[0]
    place = [f'column "{panel.outcome_name}"', f"date {checks.show(panel.dates[t])}"]
    place += [f'geo "{panel.geos[g]}"'] if panel.n_geos > 1 else []
    more = f" ({len(found)} such cells)" if len(found) > 1 else ""
    fix = f"correct the cell (empty means missing), or {other}"
    got = panel.outcome[g, t]
    checks.fail("outcome", got, ", ".join(place) + more, allowed, fix)


@dataclass(frozen=True, repr=False)
class _Linked(Likelihood):
    """A law whose mean may be the exponential of the sum of the terms.

    Args:
        link: "identity": effects add up. "log": they multiply, each is a share of what is
            there without it, and the mean is above 0.
    """

    link: Literal["identity", "log"] = field(default="identity", metadata={"usual": True})

    def __post_init__(self) -> None:
        """Check the choice."""
        checks.choice("likelihood link", self.link, tuple(LINKS))

    def __repr__(self) -> str:
        """As it would be written in Python."""
        return f"{type(self).__name__}({'' if self.straight else f'link={self.link!r}'})"


@dataclass(frozen=True, repr=False)
class Normal(_Linked):
    """Normal(mu, y_sigma)."""

    kind: ClassVar[str] = "normal"

    def law(self, mean: Any, p: Values, target: Target) -> dist.Distribution:
        """See :meth:`Likelihood.law`."""
        return dist.Normal(mean, p["y_sigma"])

    def deviates(self, mean: np.ndarray, p: Values, target: Target) -> np.ndarray:
        """See :meth:`Likelihood.deviates`."""
        return (target.outcome - mean) / p["y_sigma"]


@dataclass(frozen=True)
class TruncatedNormal(Likelihood):
    """Normal(mu, y_sigma) kept to outcomes >= low, with its normaliser in the density.

    Args:
        low: Smallest possible outcome, in original units. E[y] > mu: decompositions are of
            mu, forecasts and CRPS are of y.
    """

    kind: ClassVar[str] = "truncated_normal"
    low: float = 0.0

    def __post_init__(self) -> None:
        """Check the bound."""
        object.__setattr__(self, "low", checks.number("likelihood low", self.low))

    def check(self, panel: Panel) -> None:
        """See :meth:`Likelihood.check`."""
        allowed = f"outcomes of at least {self.low:g}, the bound of the likelihood"
        _refuse(panel, np.nan_to_num(panel.outcome) < self.low, allowed)

    def structure(self) -> "TruncatedNormal":
        """See :meth:`Likelihood.structure`: any bound is one program."""
        return TruncatedNormal()

    def possible(self, outcome: np.ndarray) -> np.ndarray:
        """See :meth:`Likelihood.possible`."""
        return np.maximum(outcome, self.low)

    def target(self, panel: Panel, scale: Scale) -> Target:
        """See :meth:`Likelihood.target`."""
        found = super().target(panel, scale)
        low = self.low / found.unit
        outcome = np.where(found.mask, found.outcome, low + 0.5)
        return dataclasses.replace(found, outcome=outcome, low=low)

    def law(self, mean: Any, p: Values, target: Target) -> dist.Distribution:
        """See :meth:`Likelihood.law`."""
        return LowerTruncatedNormal(mean, p["y_sigma"], target.low)

    def deviates(self, mean: np.ndarray, p: Values, target: Target) -> np.ndarray:
        """See :meth:`Likelihood.deviates`."""
        z = (target.outcome - mean) / p["y_sigma"]
        bound = (target.low - mean) / p["y_sigma"]
        below = special.log_ndtr(-z) - special.log_ndtr(-bound)
        return -special.ndtri_exp(np.minimum(below, 0.0))


@dataclass(frozen=True, repr=False)
class StudentT(_Linked):
    """StudentT(y_nu, mu, y_sigma) with y_nu = 2 + y_nu_excess: outliers weigh less."""

    kind: ClassVar[str] = "student_t"

    def parameters(self) -> Mapping[str, Parameter]:
        """See :meth:`Likelihood.parameters`."""
        return {"y_sigma": _SIGMA, "y_nu_excess": _NU_EXCESS}

    def derived(self, p: Values) -> Mapping[str, Any]:
        """See :meth:`Likelihood.derived`."""
        return {"y_nu": 2.0 + p["y_nu_excess"]}

    def formula(self) -> Mapping[str, str]:
        """See :meth:`Likelihood.formula`."""
        return {OUTCOME: "StudentT(mu, y_sigma, y_nu)", "y_nu": "2 + y_nu_excess"}

    def law(self, mean: Any, p: Values, target: Target) -> dist.Distribution:
        """See :meth:`Likelihood.law`."""
        return laws.StudentT(p["y_nu"], mean, p["y_sigma"])

    def variance(self, p: Values) -> Any:
        """See :meth:`Likelihood.variance`: the inverse of the information of a cell."""
        return super().variance(p) * (p["y_nu"] + 3.0) / (p["y_nu"] + 1.0)

    def central(self, draws: Mapping[str, np.ndarray]) -> dict[str, Any]:
        """See :meth:`Likelihood.central`; of y_nu_excess, long to the right, geometric."""
        log = np.log(draws["y_nu_excess"]).mean(0)
        return {**super().central(draws), "y_nu_excess": np.exp(log)}

    def deviates(self, mean: np.ndarray, p: Values, target: Target) -> np.ndarray:
        """See :meth:`Likelihood.deviates`."""
        z = (target.outcome - mean) / p["y_sigma"]
        return -np.sign(z) * special.ndtri(special.stdtr(p["y_nu"], -abs(z)))


_KNEE = 0.01  # of the unit of the mean: from ten times it on, it is its own mean to 1%


@dataclass(frozen=True, repr=False)
class _Positive(_Linked):
    """Laws of outcomes that cannot be negative, whose noise grows with the mean.

    The sum of the terms is the mean itself, so that contributions add up to what is
    predicted. Where it falls towards 0 or below, which priors allow, the law takes
    (mu + sqrt(mu^2 + 4 k^2)) / 2 with k = 0.01 of the unit in its place: always positive,
    above mu by k^2 / mu. Under a log link it is positive as it is.
    """

    def above(self, mean: Any) -> Any:
        """The mean that the law takes, positive."""
        if not self.straight:
            return mean
        root = jnp.sqrt(mean**2 + 4 * _KNEE**2)
        below = jnp.where(mean < 0, mean, -1.0)
        far = 2 * _KNEE**2 / (jnp.sqrt(below**2 + 4 * _KNEE**2) - below)
        return jnp.where(mean < 0, far, 0.5 * (mean + root))

    def working(self, target: Target) -> tuple[Any, Any]:
        """See :meth:`Likelihood.working`: the noise of a log is the same everywhere."""
        if self.straight:
            return super().working(target)
        by = target.unit if not self.scaled else 1.0
        least = _LOW if self.scaled else 0.5 / target.unit
        of = target.outcome.__array_namespace__()
        return of.log(of.maximum(target.outcome / by, least)), target.mask * 1.0

    def variance(self, p: Values) -> Any:
        """See :meth:`Likelihood.variance`: where the mean usually is."""
        return (p["y_sigma"] * (_MIDDLE if self.straight else 1.0)) ** 2

    def spread(self, mean: np.ndarray, p: Values, target: Target) -> np.ndarray:
        """See :meth:`Likelihood.spread`: that at the middle of a geo."""
        return p["y_sigma"] * np.asarray(self.above(mean)).mean(1, keepdims=True)

    def possible(self, outcome: np.ndarray) -> np.ndarray:
        """See :meth:`Likelihood.possible`."""
        return np.maximum(outcome, np.finfo(float).tiny)

    def check(self, panel: Panel) -> None:
        """See :meth:`Likelihood.check`."""
        allowed = f"outcomes above 0, as {type(self).__name__} has them"
        _refuse(panel, np.nan_to_num(panel.outcome, nan=1.0) <= 0, allowed)


@dataclass(frozen=True, repr=False)
class LogNormal(_Positive):
    """exp of Normal(log mu - y_sigma^2 / 2, y_sigma): its mean is mu, its noise a share."""

    kind: ClassVar[str] = "log_normal"

    def law(self, mean: Any, p: Values, target: Target) -> dist.Distribution:
        """See :meth:`Likelihood.law`."""
        sigma = p["y_sigma"]
        return dist.LogNormal(jnp.log(self.above(mean)) - 0.5 * sigma**2, sigma)

    def deviates(self, mean: np.ndarray, p: Values, target: Target) -> np.ndarray:
        """See :meth:`Likelihood.deviates`."""
        away = np.log(target.outcome) - np.log(np.asarray(self.above(mean)))
        return away / p["y_sigma"] + 0.5 * p["y_sigma"]


@dataclass(frozen=True, repr=False)
class Gamma(_Positive):
    """Gamma of mean mu and standard deviation y_sigma * mu."""

    kind: ClassVar[str] = "gamma"

    def law(self, mean: Any, p: Values, target: Target) -> dist.Distribution:
        """See :meth:`Likelihood.law`."""
        shape = p["y_sigma"] ** -2
        return laws.Scattered(shape, shape / self.above(mean))


@dataclass(frozen=True, repr=False)
class _Counts(_Positive):
    """Whole numbers, as they are: units of the mean are of the terms only."""

    scaled: ClassVar[bool] = False

    def possible(self, outcome: np.ndarray) -> np.ndarray:
        """See :meth:`Likelihood.possible`."""
        return np.maximum(np.round(outcome), 0.0)

    def check(self, panel: Panel) -> None:
        """See :meth:`Likelihood.check`."""
        seen = np.nan_to_num(panel.outcome)
        other = 'of amounts, such as money: likelihood = { kind = "log_normal" } or "gamma"'
        allowed = "whole numbers from 0, as of counts"
        _refuse(panel, seen != self.possible(seen), allowed, other)

    def working(self, target: Target) -> tuple[Any, Any]:
        """See :meth:`Likelihood.working`."""
        if self.straight:
            return target.outcome / target.unit, target.mask * 1.0
        return super().working(target)

    def deviates(self, mean: np.ndarray, p: Values, target: Target) -> np.ndarray:
        """See :meth:`Likelihood.deviates`: anywhere in the step of a count, at random.

        The seed is fixed: the same fit has the same residuals.

        Source: Dunn and Smyth (1996), "Randomized quantile residuals".
        """
        law, at = self.law(mean, p, target), np.random.default_rng(0)
        with jax.enable_x64(True):
            low, high = (np.asarray(law.cdf(target.outcome - k)) for k in (1, 0))
        low = np.where(target.outcome > 0, low, 0.0)
        inside = low + (high - low) * at.random(np.shape(high))
        return special.ndtri(np.clip(inside, np.finfo(float).tiny, 1 - 2.0**-53))


@dataclass(frozen=True, repr=False)
class Poisson(_Counts):
    """Poisson of mean mu, on the counts themselves, without noise of a size of its own."""

    kind: ClassVar[str] = "poisson"
    noise: ClassVar[str] = ""

    def parameters(self) -> Mapping[str, Parameter]:
        """See :meth:`Likelihood.parameters`: none."""
        return {}

    def law(self, mean: Any, p: Values, target: Target) -> dist.Distribution:
        """See :meth:`Likelihood.law`."""
        return laws.Poisson(target.unit * self.above(mean))

    def working(self, target: Target) -> tuple[Any, Any]:
        """See :meth:`Likelihood.working`: weights are the information of a cell."""
        if self.straight:
            return target.outcome / target.unit, target.mask * target.unit / _MIDDLE
        log, mask = super().working(target)
        return log, mask * target.unit * log.__array_namespace__().exp(log)

    def variance(self, p: Values) -> Any:
        """See :meth:`Likelihood.variance`."""
        return jnp.ones((1, 1))

    def spread(self, mean: np.ndarray, p: Values, target: Target) -> np.ndarray:
        """See :meth:`Likelihood.spread`."""
        middle = np.asarray(self.above(mean)).mean(1, keepdims=True)
        return np.sqrt(middle / target.unit)


@dataclass(frozen=True, repr=False)
class NegativeBinomial(_Counts):
    """Counts of mean mu and variance mu + (y_sigma mu)^2: more scatter than Poisson's."""

    kind: ClassVar[str] = "negative_binomial"

    def law(self, mean: Any, p: Values, target: Target) -> dist.Distribution:
        """See :meth:`Likelihood.law`."""
        return laws.NegativeBinomial(target.unit * self.above(mean), p["y_sigma"] ** -2)

    def spread(self, mean: np.ndarray, p: Values, target: Target) -> np.ndarray:
        """See :meth:`Likelihood.spread`."""
        middle = np.asarray(self.above(mean)).mean(1, keepdims=True)
        return np.sqrt(middle / target.unit + (p["y_sigma"] * middle) ** 2)


KINDS = (Normal, TruncatedNormal, StudentT, LogNormal, Gamma, Poisson, NegativeBinomial)
LIKELIHOODS: dict[str, type[Likelihood]] = {c.kind: c for c in KINDS}
