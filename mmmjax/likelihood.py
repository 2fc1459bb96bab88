"""Likelihoods: what the outcome looks like around its mean.

A record owns all that the library knows of its law: parameters with their default priors,
what outcomes it allows and how they are scaled, the distribution, and what adequacy and
baselines ask of it. A new one is one class and its name in :data:`LIKELIHOODS`. The
truncated normal is our own distribution: its density stays finite and accurate however
far the mean falls below the bound (see :func:`truncated_normal_logpdf`).
"""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal

import jax
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
from scipy import special

from mmmjax import checks, laws
from mmmjax.laws import truncated_normal_logpdf
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
        weight: How much of each outcome counts, (geo, time); None: all of it.
    """

    outcome: Any
    mask: Any
    low: Any
    unit: Any
    weight: Any = None

    def padded(self, periods: int) -> "Target":
        """The same with masked periods at the end, as long as ``periods`` in all."""
        more = ((0, 0), (0, periods - np.shape(self.mask)[1]))
        outcome, mask = np.pad(self.outcome, more, mode="edge"), np.pad(self.mask, more)
        weight = None if self.weight is None else np.pad(self.weight, more)
        return dataclasses.replace(self, outcome=outcome, mask=mask, weight=weight)


# noise is below the size of the outcome itself
# noise of geos differs by a half, rarely by threefold: small geos are noisier
_SIGMA = Parameter((), Prior("HalfNormal", scale=0.5), "positive", pooled=0.5)
# Juarez and Steel (2010): nu = 2 + Gamma(2, 0.1) keeps a finite variance
_NU_EXCESS = Parameter((), Prior("Gamma", concentration=2.0, rate=0.1), "positive")


LINKS = {"identity": laws.IDENTITY, "log": laws.LOG_MEAN}
"""Between the mean and the sum of the terms, by name."""

_MIDDLE = 0.5  # of the unit of the mean: where it usually is
_NEVER_NONE = 1e-6  # of a variance that grows: what is left where the mean is 0
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
    autoregressive: bool = False  # so too
    """Whether errors follow one another, so that what was seen says more of what comes."""
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
        own = [f for f in dataclasses.fields(self) if not f.metadata]  # pyright: ignore
        fields = [f"{f.name}={getattr(self, f.name)}" for f in own]
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
        """The outcome around its mean; draws read what ``target`` says of geos, not cells.

        So the same law serves the periods that are forecast. Its density is of each cell,
        where errors follow one another given the cells before it.
        """
        raise TypeError(f"{type(self).__name__} is not a likelihood record")

    def around(self, predictor: Any, p: Values, target: Target) -> dist.Distribution:
        """:meth:`law` around the mean that the sum of the terms makes."""
        return self.law(self.between.inverse(predictor), p, target)

    def left(self, mean: Any, p: Values, target: Target) -> Mapping[str, Any]:
        """What the outcome of a window says of noise after it, (geo, 1): joins ``p``."""
        return {}

    def whitened(
        self, x: np.ndarray, mean: np.ndarray, p: Values, target: Target
    ) -> np.ndarray:
        """Changes x (..., time) of a geo's mean as :meth:`deviates` sees them, times the
        size of the noise; all of that geo, ``p`` numbers.
        """
        return x

    def original(self, target: Target) -> Any:
        """Outcome units per unit of the law, (geo, 1)."""
        return target.unit if self.scaled else jnp.ones_like(target.unit)

    def per(self, target: Target) -> Any:
        """Outcome units that its density is per, (geo, time or 1): 1 of probabilities."""
        return self.original(target)

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
        """Check the choices."""
        checks.choice("likelihood link", self.link, tuple(LINKS))
        for f in dataclasses.fields(self):
            chosen = getattr(self, f.name)
            if f.default is False and not isinstance(chosen, bool):
                allowed, fix = "true or false", f"{f.name} = true"
                checks.fail(f"likelihood {f.name}", chosen, "", allowed, fix)

    def __repr__(self) -> str:
        """As it would be written in Python."""
        told = [(f.name, f.default) for f in dataclasses.fields(self)]
        told = [(n, getattr(self, n)) for n, usual in told if getattr(self, n) != usual]
        return f"{type(self).__name__}({', '.join(f'{n}={x!r}' for n, x in told)})"


# what a model of sales lacks (weather, stock, competitors) lasts for weeks: rho is rarely
# below 0, and near 1 it would be a level that drifts, which is a term of its own
_RHO = Parameter(
    (), Prior("TruncatedNormal", loc=0.4, scale=0.4, low=-1.0, high=1.0), "interval"
)
# a share of a variance: noise of one size is as likely as noise that is a share of the mean
_GROWTH = Parameter((), Prior("Beta", concentration1=1.0, concentration0=1.0), "unit")


@dataclass(frozen=True, repr=False)
class _Symmetric(_Linked):
    """A law of errors around the mean whose noise may grow with it.

    Where it grows its variance is y_sigma^2 (1 - y_growth + y_growth (mu / m)^2), a part of
    one size and a part that is a share of the mean, m half the unit of the mean: there the
    noise is y_sigma. Unlike a power of the mean it needs no positive mean and does not
    vanish with it: where mu is near 0 it is y_sigma sqrt(1 - y_growth), the least it is.

    Args:
        link: See :data:`LINKS`.
        growing: Whether noise grows with the mean.
    """

    growing: bool = field(default=False, metadata={"usual": True})

    def parameters(self) -> Mapping[str, Parameter]:
        """See :meth:`Likelihood.parameters`."""
        return {"y_sigma": _SIGMA} | ({"y_growth": _GROWTH} if self.growing else {})

    def size(self, mean: Any, p: Values) -> Any:
        """Noise of each cell, NumPy or JAX as the mean is."""
        if not self.growing:
            return p["y_sigma"]
        rest = 1.0 + _NEVER_NONE - p["y_growth"]
        return p["y_sigma"] * (rest + p["y_growth"] * (mean / _MIDDLE) ** 2) ** 0.5

    def whitened(
        self, x: np.ndarray, mean: np.ndarray, p: Values, target: Target
    ) -> np.ndarray:
        """See :meth:`Likelihood.whitened`."""
        return x * (p["y_sigma"] / self.size(mean, p)) if self.growing else x


@dataclass(frozen=True, repr=False)
class Normal(_Symmetric):
    """Normal(mu, y_sigma).

    Args:
        link: See :data:`LINKS`.
        growing: Noise grows with the mean: its variance is y_sigma^2 (1 - y_growth +
            y_growth (mu / m)^2), m half the unit of the mean.
        autoregressive: Errors follow one another, an AR(1) for each geo: what is left over
            is y_rho times that of the period before, and new noise of size y_sigma. It
            starts from its long-run law; over a gap of k periods the correlation is
            y_rho^k. Forecasts go on from the last outcome that was seen. Where noise grows
            this is of errors in units of the noise.
    """

    kind: ClassVar[str] = "normal"
    autoregressive: bool = field(default=False, metadata={"usual": True})

    def parameters(self) -> Mapping[str, Parameter]:
        """See :meth:`Likelihood.parameters`."""
        return {**super().parameters(), **({"y_rho": _RHO} if self.autoregressive else {})}

    def formula(self) -> Mapping[str, str]:
        """See :meth:`Likelihood.formula`."""
        law = super().formula()[OUTCOME]
        return {OUTCOME: law.replace("Normal", "AR1") if self.autoregressive else law}

    def law(self, mean: Any, p: Values, target: Target) -> dist.Distribution:
        """See :meth:`Likelihood.law`."""
        if not self.autoregressive:
            return dist.Normal(mean, self.size(mean, p))
        more = (target.mask, p.get("y_start", 0.0), p.get("y_known", 0.0))
        return laws.Autoregressive(mean, self.size(mean, p), p["y_rho"], *more)

    def left(self, mean: Any, p: Values, target: Target) -> Mapping[str, Any]:
        """See :meth:`Likelihood.left`."""
        law = self.law(mean, p, target)
        if not isinstance(law, laws.Autoregressive):
            return {}
        return {f"y_{name}": x for name, x in law.left(target.outcome).items()}

    def deviates(self, mean: np.ndarray, p: Values, target: Target) -> np.ndarray:
        """See :meth:`Likelihood.deviates`: of an AR(1) the new noise."""
        left = (target.outcome - mean) / p["y_sigma"]
        return self.whitened(left, mean, p, target)

    def whitened(
        self, x: np.ndarray, mean: np.ndarray, p: Values, target: Target
    ) -> np.ndarray:
        """See :meth:`Likelihood.whitened`."""
        x = super().whitened(x, mean, p, target)
        if not self.autoregressive:
            return x
        with jax.enable_x64(True):
            law = laws.Autoregressive(0.0, 1.0, p["y_rho"], target.mask)
            expected, variance = map(np.asarray, law.given(jnp.asarray(x)))
        return np.where(target.mask, (x - expected) / np.sqrt(variance), x)


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
        return laws.LowerTruncatedNormal(mean, p["y_sigma"], target.low)

    def deviates(self, mean: np.ndarray, p: Values, target: Target) -> np.ndarray:
        """See :meth:`Likelihood.deviates`."""
        z = (target.outcome - mean) / p["y_sigma"]
        bound = (target.low - mean) / p["y_sigma"]
        below = special.log_ndtr(-z) - special.log_ndtr(-bound)
        return -special.ndtri_exp(np.minimum(below, 0.0))


@dataclass(frozen=True, repr=False)
class StudentT(_Symmetric):
    """StudentT(y_nu, mu, y_sigma) with y_nu = 2 + y_nu_excess: outliers weigh less.

    Args:
        link: See :data:`LINKS`.
        growing: As that of :class:`Normal`.
    """

    kind: ClassVar[str] = "student_t"

    def parameters(self) -> Mapping[str, Parameter]:
        """See :meth:`Likelihood.parameters`."""
        return {**super().parameters(), "y_nu_excess": _NU_EXCESS}

    def derived(self, p: Values) -> Mapping[str, Any]:
        """See :meth:`Likelihood.derived`."""
        return {"y_nu": 2.0 + p["y_nu_excess"]}

    def formula(self) -> Mapping[str, str]:
        """See :meth:`Likelihood.formula`."""
        law = super().formula()[OUTCOME].replace("y_nu_excess", "y_nu")
        return {OUTCOME: law, "y_nu": "2 + y_nu_excess"}

    def law(self, mean: Any, p: Values, target: Target) -> dist.Distribution:
        """See :meth:`Likelihood.law`."""
        return laws.StudentT(p["y_nu"], mean, self.size(mean, p))

    def variance(self, p: Values) -> Any:
        """See :meth:`Likelihood.variance`: the inverse of the information of a cell."""
        return super().variance(p) * (p["y_nu"] + 3.0) / (p["y_nu"] + 1.0)

    def central(self, draws: Mapping[str, np.ndarray]) -> dict[str, Any]:
        """See :meth:`Likelihood.central`; of y_nu_excess, long to the right, geometric."""
        log = np.log(draws["y_nu_excess"]).mean(0)
        return {**super().central(draws), "y_nu_excess": np.exp(log)}

    def deviates(self, mean: np.ndarray, p: Values, target: Target) -> np.ndarray:
        """See :meth:`Likelihood.deviates`."""
        z = (target.outcome - mean) / self.size(mean, p)
        return -np.sign(z) * special.ndtri(special.stdtr(p["y_nu"], -abs(z)))


# in most categories few periods sell nothing at all
_ZERO = Parameter((), Prior("Beta", concentration1=1.0, concentration0=3.0), "unit")
_KNEE = 0.01  # of the unit of the mean: from ten times it on, it is its own mean to 1%


@dataclass(frozen=True, repr=False)
class _Positive(_Linked):
    """Laws of outcomes that cannot be negative, whose noise grows with the mean.

    The sum of the terms is the mean itself, so that contributions add up to what is
    predicted. Where it falls towards 0 or below, which priors allow, the law takes
    (mu + sqrt(mu^2 + 4 k^2)) / 2 with k = 0.01 of the unit in its place: always positive,
    above mu by k^2 / mu. Under a log link it is positive as it is.

    Args:
        link: See :data:`LINKS`.
        zeros: Some periods have 0 whatever the mean, each with probability y_zero, or more
            of them than a law of counts has. The mean of the others is mu / (1 - y_zero),
            so that mu is the mean of all, and contributions add up to what is predicted.
    """

    zeros: bool = field(default=False, metadata={"usual": True})

    def parameters(self) -> Mapping[str, Parameter]:
        """See :meth:`Likelihood.parameters`."""
        size = super().parameters() if self.noise else {}
        return {**size, **({"y_zero": _ZERO} if self.zeros else {})}

    def positive(self, level: Any, p: Values, target: Target) -> dist.Distribution:
        """The law around a mean above 0, without the zeros."""
        raise NotImplementedError

    def law(self, mean: Any, p: Values, target: Target) -> dist.Distribution:
        """See :meth:`Likelihood.law`."""
        if not self.zeros:
            return self.positive(self.above(mean), p, target)
        level = self.above(mean) / (1.0 - p["y_zero"])
        return laws.OrZero(self.positive(level, p, target), p["y_zero"])

    def per(self, target: Target) -> Any:
        """See :meth:`Likelihood.per`: of 0 it is a probability, not a density."""
        unit = super().per(target)
        return jnp.where(target.outcome > 0, unit, 1.0) if self.zeros else unit

    def scatter(self, p: Values) -> Any:
        """Variance of the noise, in that of the mean squared, zeros counted."""
        own = p[self.noise] ** 2 if self.noise else 0.0
        odds = p["y_zero"] / (1.0 - p["y_zero"]) if self.zeros else 0.0
        return own * (1.0 + odds) + odds if self.zeros else own

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
        some = target.mask & (target.outcome > 0) if self.zeros else target.mask
        return of.log(of.maximum(target.outcome / by, least)), some * 1.0

    def variance(self, p: Values) -> Any:
        """See :meth:`Likelihood.variance`: where the mean usually is."""
        if self.zeros:
            return self.scatter(p) * (_MIDDLE if self.straight else 1.0) ** 2
        return (p["y_sigma"] * (_MIDDLE if self.straight else 1.0)) ** 2

    def spread(self, mean: np.ndarray, p: Values, target: Target) -> np.ndarray:
        """See :meth:`Likelihood.spread`: that at the middle of a geo."""
        middle = np.asarray(self.above(mean)).mean(1, keepdims=True)
        return self.scatter(p) ** 0.5 * middle

    def possible(self, outcome: np.ndarray) -> np.ndarray:
        """See :meth:`Likelihood.possible`."""
        return np.maximum(outcome, 0.0 if self.zeros else np.finfo(float).tiny)

    def check(self, panel: Panel) -> None:
        """See :meth:`Likelihood.check`."""
        name, seen = type(self).__name__, np.nan_to_num(panel.outcome, nan=1.0)
        least = "of 0 and more" if self.zeros else "above 0"
        other = "use the Normal likelihood"
        if not self.zeros and not (seen < 0).any():
            other = "where nothing was sold write likelihood = "
            other += f'{{ kind = "{self.kind}", zeros = true }}'
        bad = seen < 0 if self.zeros else seen <= 0
        _refuse(panel, bad, f"outcomes {least}, as {name} has them", other)

    def deviates(self, mean: np.ndarray, p: Values, target: Target) -> np.ndarray:
        """See :meth:`Likelihood.deviates`: anywhere in the step of a count or of 0.

        The seed is fixed: the same fit has the same residuals.

        Source: Dunn and Smyth (1996), "Randomized quantile residuals".
        """
        if self.scaled and not self.zeros:
            return super().deviates(mean, p, target)
        law, at = self.law(mean, p, target), np.random.default_rng(0)
        with jax.enable_x64(True):
            high = np.asarray(law.cdf(target.outcome))
            low = high if self.scaled else np.asarray(law.cdf(target.outcome - 1))
        low = np.where(target.outcome > 0, low, 0.0)
        inside = low + (high - low) * at.random(np.shape(high))
        return special.ndtri(np.clip(inside, np.finfo(float).tiny, 1 - 2.0**-53))


@dataclass(frozen=True, repr=False)
class LogNormal(_Positive):
    """exp of Normal(log mu - y_sigma^2 / 2, y_sigma): its mean is mu, its noise a share."""

    kind: ClassVar[str] = "log_normal"

    def positive(self, level: Any, p: Values, target: Target) -> dist.Distribution:
        """See :meth:`Likelihood.law`."""
        sigma = p["y_sigma"]
        return dist.LogNormal(jnp.log(level) - 0.5 * sigma**2, sigma)

    def deviates(self, mean: np.ndarray, p: Values, target: Target) -> np.ndarray:
        """See :meth:`Likelihood.deviates`."""
        if self.zeros:
            return super().deviates(mean, p, target)
        away = np.log(target.outcome) - np.log(np.asarray(self.above(mean)))
        return away / p["y_sigma"] + 0.5 * p["y_sigma"]


@dataclass(frozen=True, repr=False)
class Gamma(_Positive):
    """Gamma of mean mu and standard deviation y_sigma * mu."""

    kind: ClassVar[str] = "gamma"

    def positive(self, level: Any, p: Values, target: Target) -> dist.Distribution:
        """See :meth:`Likelihood.law`."""
        shape = p["y_sigma"] ** -2
        return laws.Scattered(shape, shape / level)


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

    def spread(self, mean: np.ndarray, p: Values, target: Target) -> np.ndarray:
        """See :meth:`Likelihood.spread`."""
        middle = np.asarray(self.above(mean)).mean(1, keepdims=True)
        return np.sqrt(middle / target.unit + self.scatter(p) * middle**2)


@dataclass(frozen=True, repr=False)
class Poisson(_Counts):
    """Poisson of mean mu, on the counts themselves, without noise of a size of its own."""

    kind: ClassVar[str] = "poisson"
    noise: ClassVar[str] = ""

    def positive(self, level: Any, p: Values, target: Target) -> dist.Distribution:
        """See :meth:`Likelihood.law`."""
        return laws.Poisson(target.unit * level)

    def working(self, target: Target) -> tuple[Any, Any]:
        """See :meth:`Likelihood.working`: weights are the information of a cell."""
        if self.straight:
            return target.outcome / target.unit, target.mask * target.unit / _MIDDLE
        log, mask = super().working(target)
        return log, mask * target.unit * log.__array_namespace__().exp(log)

    def variance(self, p: Values) -> Any:
        """See :meth:`Likelihood.variance`."""
        return jnp.ones((1, 1))


@dataclass(frozen=True, repr=False)
class NegativeBinomial(_Counts):
    """Counts of mean mu and variance mu + (y_sigma mu)^2: more scatter than Poisson's."""

    kind: ClassVar[str] = "negative_binomial"

    def positive(self, level: Any, p: Values, target: Target) -> dist.Distribution:
        """See :meth:`Likelihood.law`."""
        return laws.NegativeBinomial(target.unit * level, p["y_sigma"] ** -2)


KINDS = (Normal, TruncatedNormal, StudentT, LogNormal, Gamma, Poisson, NegativeBinomial)
LIKELIHOODS: dict[str, type[Likelihood]] = {c.kind: c for c in KINDS}
