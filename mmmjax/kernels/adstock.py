"""Adstock kernels: carry the effect of media forward in time.

Every kernel maps ``media`` (..., time) to carried-over media of the same shape and unit.
Parameters have the leading shape ``...`` or broadcast to it. All are pure and safe under
``jit``, ``vmap``, ``grad``, ``jvp`` and ``hessian``; none checks values, :func:`validate`
does.

Time is last because the sum over lags then runs along contiguous memory; the README of
the benchmarks has the measurements behind this file.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
import numpy as np
from jax.custom_derivatives import SymbolicZero
from jaxtyping import Array, ArrayLike, Float

from mmmjax import checks
from mmmjax.arguments import named
from mmmjax.kernels import mixed
from mmmjax.prior import FAMILIES, Parameter, Prior
from mmmjax.shapes import CHANNEL

__all__ = [
    "ADSTOCKS",
    "Adstock",
    "Binomial",
    "Delayed",
    "Geometric",
    "HalfLife",
    "Mixed",
    "NoAdstock",
    "WeibullCDF",
    "WeibullPDF",
    "carry",
    "geometric",
    "geometric_weights",
    "validate",
]


def __dir__() -> list[str]:
    """Public names only, for completion."""
    return list(__all__)


AUTO = "auto"
LONGEST = 366
"""Lags that are looked at for what comes after a window."""
TAIL, SURE, DRAWS = 0.05, 0.95, 4000
"""max_lag = "auto" leaves out at most 5% of the effect in 95% of draws from the prior."""
FLAT = 1e-6
"""Share of the largest weight that every lag has, where all others would be 0."""


def geometric_weights(
    retention: Float[ArrayLike, "*batch"], max_lag: int, normalize: bool = True
) -> Float[Array, "*batch max_lag"]:
    r"""Weights of geometric decay, $w_l \propto r^l$ for lags $l = 0, ..., L - 1$.

    Args:
        retention: $r$ in [0, 1), share of the effect left after one period (no unit).
        max_lag: $L$, number of periods that count, today included. Static under jit.
        normalize: Scale to sum one, so that total media is kept (no edge effects).

    Source: Jin et al. (2017), "Bayesian Methods for Media Mix Modeling with Carryover
    and Shape Effects", eq. 1 (normalised finite window); `retention` is its retain rate.
    """
    weights = _powers(jnp.asarray(retention, jnp.result_type(retention, float)), max_lag)
    return weights / weights.sum(-1, keepdims=True) if normalize else weights


def _powers(base: Float[Array, "*batch"], count: int) -> Float[Array, "*batch count"]:
    """base ** arange(count) by repeated squaring: exact at 0, derivatives included."""
    square, exponents = base[..., None], np.arange(count)
    powers = jnp.ones_like(square)
    for bit in range((count - 1).bit_length()):
        powers = powers * jnp.where(exponents >> bit & 1, square, 1)
        square = square * square
    return powers


def carry(
    media: Float[ArrayLike, "*batch time"], weights: Float[ArrayLike, "*#batch max_lag"]
) -> Float[Array, "*batch time"]:
    """Causal convolution: out[t] = sum over l of weights[l] * media[t - l].

    Media before the first period counts as zero. Raises InputError, at trace time, when
    there are more lags than periods.
    """
    media, weights = jnp.asarray(media), jnp.asarray(weights)
    time, max_lag = media.shape[-1], weights.shape[-1]
    _check_lags(max_lag, time)
    padded = jnp.pad(media, [(0, 0)] * (media.ndim - 1) + [(max_lag - 1, 0)])
    out = weights[..., :1] * media
    for lag in range(1, max_lag):  # shifted sums: one fused loop over contiguous time
        first = max_lag - 1 - lag
        out = out + weights[..., lag : lag + 1] * padded[..., first : first + time]
    return out


def geometric(
    media: Float[ArrayLike, "*batch time"],
    retention: Float[ArrayLike, "*#batch"],
    max_lag: int,
    normalize: bool = True,
) -> Float[Array, "*batch time"]:
    """Geometric adstock of media: :func:`carry` with :func:`geometric_weights`."""
    media, retention = jnp.asarray(media), jnp.asarray(retention)
    dtype = jnp.result_type(media, retention, float)
    weigh = partial(geometric_weights, max_lag=max_lag, normalize=normalize)
    return _carried(weigh, media.astype(dtype), retention.astype(dtype))


@partial(jax.custom_jvp, nondiff_argnums=(0,))
def _carried(
    weigh: Callable[..., Array], media: Float[Array, "*batch time"], *parameters: Array
) -> Float[Array, "*batch time"]:
    """Carry media by the weights of some parameters, with a cheap rule in these.

    ``weigh`` must be elementwise: parameters (...) to weights (..., max_lag). The barrier
    keeps XLA from recomputing the sum over lags inside the loops that read the result.
    """
    return jax.lax.optimization_barrier(carry(media, weigh(*parameters)))


@partial(_carried.defjvp, symbolic_zeros=True)
def _carried_jvp(
    weigh: Callable[..., Array], primals: tuple[Any, ...], tangents: tuple[Any, ...]
) -> tuple[Array, Array]:
    """One carry per moving parameter; in reverse its adjoint is one product and sum.

    Autodiff of the plain sum would reduce over time once for every lag. The derivative
    is carried by :func:`_carried` too, so the rule holds for every order.
    """
    media, *parameters = primals
    media_dot, *parameters_dot = tangents
    out = _carried(weigh, media, *parameters)
    out_dot = jnp.zeros_like(out)
    for index, dot in enumerate(parameters_dot):
        if not isinstance(dot, SymbolicZero):
            slope = partial(_slope, weigh, index)
            out_dot += _carried(slope, media, *parameters) * dot[..., None]
    if not isinstance(media_dot, SymbolicZero):
        out_dot += carry(media_dot, weigh(*parameters))
    return out, out_dot


def _slope(weigh: Callable[..., Array], index: int, *parameters: Array) -> Array:
    """Derivative of the weights in one of the parameters."""
    along = lambda p: weigh(*parameters[:index], p, *parameters[index + 1 :])
    here = parameters[index]
    return jax.jvp(along, (here,), (jnp.ones_like(here),))[1]


class Adstock:
    """What every adstock is: a frozen dataclass with these, its numbers its fields."""

    kind: ClassVar[str]
    least: ClassVar[int] = 1  # the shortest window that makes sense
    endless: ClassVar[bool] = False  # whether effects go on after a window, which cuts them
    max_lag: Any = 1  # periods that count, today included
    normalize: bool = True

    def __post_init__(self) -> None:
        """Refuse what cannot be a window."""
        fix = "1 is no carryover, 8 is two months of weeks"
        if self.max_lag == AUTO:
            made: Any = type(self)
            one, other = (made(max_lag=lags).parameters() for lags in (2, 3))
            if self.endless and one == other:
                return
            allowed = f"a number, as {self.kind} weights or their prior depend on it"
            checks.fail("adstock max_lag", AUTO, "", allowed, "max_lag = 8")
        max_lag = checks.integer("adstock max_lag", self.max_lag, low=self.least, fix=fix)
        object.__setattr__(self, "max_lag", max_lag)
        if not isinstance(self.normalize, bool):
            checks.fail(
                "adstock normalize", self.normalize, "", "true or false", "leave it out"
            )

    def parameters(self) -> Mapping[str, Parameter]:
        """What it needs sampled, by name."""
        raise NotImplementedError

    def weights(self, params: Mapping[str, ArrayLike]) -> Float[Array, "*batch max_lag"]:
        """Weights by lag, for parameters of any shape."""
        raise NotImplementedError

    def __call__(
        self, media: Float[ArrayLike, "*batch time"], params: Mapping[str, ArrayLike]
    ) -> Float[Array, "*batch time"]:
        """Carry media over; parameters broadcast to the leading shape of media."""
        media, names = jnp.asarray(media), tuple(self.parameters())
        given = [jnp.asarray(params[name]) for name in names]
        dtype = jnp.result_type(media, *given, float)
        shape = jnp.broadcast_shapes(*(x.shape for x in given))
        weigh = lambda *p: self.weights(dict(zip(names, p, strict=True)))
        return _carried(
            weigh,
            media.astype(dtype),
            *(jnp.broadcast_to(x, shape).astype(dtype) for x in given),
        )

    def concave(self, params: Mapping[str, Any]) -> Mapping[str, Any]:
        """Reasons against a concave response, and where they do not hold: a certificate.

        None: carried media are not known to grow with media.
        """
        return {}

    def cut(self, params: Mapping[str, ArrayLike]) -> Float[Array, "*batch"]:
        """Share of the effect that would come after the window, and that it leaves out."""
        if not self.endless:
            return jnp.zeros_like(self.weights(params)[..., 0])
        this: Any = self
        longer = replace(this, max_lag=max(LONGEST, 4 * self.max_lag), normalize=True)
        weights = longer.weights(params)
        return weights[..., self.max_lag :].sum(-1)

    def window(self, priors: Mapping[str, Prior]) -> int:
        """The shortest ``max_lag`` that leaves out little: :data:`TAIL` in most draws.

        Args:
            priors: Of its parameters, by its own names.

        Raises:
            InputError: More than half of :data:`LONGEST` periods.
        """
        rng = np.random.default_rng(0)

        def drawn(prior: Prior) -> Any:  # (draw, geo or 1, channel or 1)
            inner = {k: drawn(v) if isinstance(v, Prior) else v for k, v in prior.params}
            chance = rng.random((DRAWS, 1, 1))
            return FAMILIES[prior.family].quantile(
                chance, **{k: np.asarray(v, float) for k, v in inner.items()}
            )

        given = {name: drawn(prior.typical) for name, prior in priors.items()}
        this: Any = self
        weights = replace(this, max_lag=LONGEST, normalize=True).weights(given)
        left = 1.0 - np.cumsum(np.asarray(weights, np.float64), axis=-1)
        found = np.quantile((left > TAIL).sum(-1) + 1, SURE, axis=0, method="higher").max()
        if found > LONGEST // 2:
            fix = "max_lag = 13, or a prior of shorter effects"
            allowed = f"a prior whose effects end within {LONGEST // 2} periods"
            checks.fail("adstock max_lag", AUTO, "", allowed, fix)
        return int(max(found, self.least))


@named
@dataclass(frozen=True)
class Geometric(Adstock):
    """Geometric adstock as part of a Spec.

    Args:
        max_lag: Periods that count, today included; 1 means no carryover. "auto": the
            fewest that leave out at most 5% of the effect in 95% of draws from the prior,
            found when a Spec is made.
        normalize: Weights sum to one, so that carryover moves media and adds none.
    """

    kind: ClassVar[str] = "geometric"
    endless: ClassVar[bool] = True

    max_lag: Any = 8
    normalize: bool = True

    def parameters(self) -> Mapping[str, Parameter]:
        """Retention: most of the effect within the first weeks, mean 0.25."""
        prior = Prior("Beta", concentration1=1.0, concentration0=3.0)  # 1 in 8 above 0.5
        return {"adstock_alpha": Parameter((CHANNEL,), prior, "unit")}

    def weights(self, params: Mapping[str, ArrayLike]) -> Float[Array, "*batch max_lag"]:
        """Weights by lag, for retention ``adstock_alpha`` of any shape."""
        return geometric_weights(params["adstock_alpha"], self.max_lag, self.normalize)

    def __call__(
        self, media: Float[ArrayLike, "*batch time"], params: Mapping[str, ArrayLike]
    ) -> Float[Array, "*batch time"]:
        """Carry media over; ``adstock_alpha`` broadcasts to the leading shape of media."""
        return geometric(media, params["adstock_alpha"], self.max_lag, self.normalize)

    def concave(self, params: Mapping[str, Any]) -> Mapping[str, Any]:
        """Weights are not negative where retention is a share."""
        alpha = params["adstock_alpha"]
        return {"adstock_alpha is outside [0, 1]": (alpha >= 0) & (alpha <= 1)}


@named
@dataclass(frozen=True)
class Delayed(Adstock):
    r"""Delayed adstock as part of a Spec: $w_l \propto \alpha^{(l - \theta)^2}$ of lag l.

    Args:
        max_lag: Periods that count, today included; at least 2, else nothing can wait.
        normalize: Weights sum to one, so that carryover moves media and adds none.

    Source: Jin et al. (2017), "Bayesian Methods for Media Mix Modeling with Carryover
    and Shape Effects", eq. 2.
    """

    kind: ClassVar[str] = "delayed"
    least: ClassVar[int] = 2
    endless: ClassVar[bool] = True

    max_lag: int = 8
    normalize: bool = True

    def parameters(self) -> Mapping[str, Parameter]:
        """Retention, narrow or wide around the peak; the peak anywhere in the window.

        The peak is as likely at any lag, which favours neither quick nor late media.
        """
        alpha = Prior("Beta", concentration1=2.0, concentration0=2.0)
        theta = Prior("Uniform", low=0.0, high=self.max_lag - 1.0)
        return {
            "adstock_alpha": Parameter((CHANNEL,), alpha, "unit"),
            "adstock_theta": Parameter((CHANNEL,), theta, "interval"),
        }

    def weights(self, params: Mapping[str, ArrayLike]) -> Float[Array, "*batch max_lag"]:
        """Weights by lag, for parameters of any shape; those next to the peak largest."""
        alpha, theta = (jnp.asarray(params[name])[..., None] for name in self.parameters())
        tiny = jnp.finfo(jnp.result_type(alpha, theta, float)).tiny
        far = (jnp.arange(self.max_lag) - theta) ** 2
        log = jnp.log(jnp.maximum(alpha, tiny)) * far
        return jax.nn.softmax(log, axis=-1) if self.normalize else jnp.exp(log)

    def concave(self, params: Mapping[str, Any]) -> Mapping[str, Any]:
        """Weights are never negative, whatever the peak."""
        return {"adstock_alpha is negative": params["adstock_alpha"] >= 0}


@named
@dataclass(frozen=True)
class HalfLife(Adstock):
    r"""Geometric adstock by its half-life $h$: retention is $2^{-1/h}$.

    Args:
        max_lag: Periods that count, today included; or "auto", as of :class:`Geometric`.
        normalize: Weights sum to one, so that carryover moves media and adds none.
    """

    kind: ClassVar[str] = "half_life"
    endless: ClassVar[bool] = True

    max_lag: Any = 8
    normalize: bool = True

    def parameters(self) -> Mapping[str, Parameter]:
        """Half-life in periods: 0.16, 0.6 and 2.3 are 5%, 50%, 95%."""
        prior = Prior("LogNormal", loc=-0.5, scale=0.8)
        return {"adstock_half_life": Parameter((CHANNEL,), prior, "positive")}

    def weights(self, params: Mapping[str, ArrayLike]) -> Float[Array, "*batch max_lag"]:
        """Weights by lag, for half-lives of any shape; of 0.01 and less all at once."""
        life = jnp.maximum(jnp.asarray(params["adstock_half_life"]), 0.01)
        return geometric_weights(jnp.exp2(-1 / life), self.max_lag, self.normalize)

    def concave(self, params: Mapping[str, Any]) -> Mapping[str, Any]:
        """Weights are never negative."""
        return {"adstock_half_life is negative": params["adstock_half_life"] >= 0}


@named
@dataclass(frozen=True)
class Binomial(Adstock):
    r"""Binomial adstock: $w_l \propto (1 - l / L)^{1 / \alpha - 1}$ of lag l, L = max_lag.

    The decay is stretched over the window: nothing is left at lag L, whatever alpha.

    Args:
        max_lag: Periods that count, today included.
        normalize: Weights sum to one, so that carryover moves media and adds none.

    Source: the binomial `adstock_decay_spec` of Google's Meridian, whose max_lag is ours
    less 1.
    """

    kind: ClassVar[str] = "binomial"

    max_lag: int = 8
    normalize: bool = True

    def parameters(self) -> Mapping[str, Parameter]:
        """As Meridian has it: half of the effect anywhere in the window's first half."""
        prior = Prior("Uniform", low=0.0, high=1.0)
        return {"adstock_alpha": Parameter((CHANNEL,), prior, "unit")}

    def weights(self, params: Mapping[str, ArrayLike]) -> Float[Array, "*batch max_lag"]:
        """Weights by lag, for ``adstock_alpha`` of any shape; of 0 all at once."""
        alpha = jnp.maximum(jnp.asarray(params["adstock_alpha"])[..., None], 1e-6)
        left = np.log1p(-np.arange(self.max_lag) / self.max_lag)
        weights = jnp.exp((1 / alpha - 1) * left.astype(alpha.dtype))
        return weights / weights.sum(-1, keepdims=True) if self.normalize else weights

    def concave(self, params: Mapping[str, Any]) -> Mapping[str, Any]:
        """Weights are never negative."""
        return {"adstock_alpha is negative": params["adstock_alpha"] >= 0}


@named
@dataclass(frozen=True)
class WeibullCDF(Adstock):
    r"""Weibull adstock of the survival: $w_l = \prod_{j=1}^{l} e^{-(j / \lambda)^k}$.

    Retention changes with the lag: it falls for k above 0, ever faster above 1.

    Args:
        max_lag: Periods that count, today included; or "auto", as of :class:`Geometric`.
        normalize: Weights sum to one, so that carryover moves media and adds none.

    Source: `adstock_weibull` of Robyn, type "cdf" (its scale is a quantile of the window,
    ours periods), and `weibull_adstock` of PyMC-Marketing.
    """

    kind: ClassVar[str] = "weibull_cdf"
    endless: ClassVar[bool] = True

    max_lag: Any = 8
    normalize: bool = True

    def parameters(self) -> Mapping[str, Parameter]:
        """Scale in periods, 0.9, 2.5 and 6.7 at 5%, 50%, 95%; shapes from 0.7 to 3.4."""
        scale = Prior("LogNormal", loc=0.9, scale=0.6)
        shape = Prior("LogNormal", loc=0.4, scale=0.5)
        return {
            "adstock_lam": Parameter((CHANNEL,), scale, "positive"),
            "adstock_k": Parameter((CHANNEL,), shape, "positive"),
        }

    def weights(self, params: Mapping[str, ArrayLike]) -> Float[Array, "*batch max_lag"]:
        """Weights by lag, for parameters of any shape."""
        _, passed = _weibull(params, self.max_lag - 1)
        none = jnp.zeros_like(jnp.asarray(params["adstock_lam"])[..., None] * 1.0)
        gone = jnp.cumsum(jnp.concatenate([none, passed], axis=-1), axis=-1)
        weights = jnp.exp(-gone)
        return weights / weights.sum(-1, keepdims=True) if self.normalize else weights

    def concave(self, params: Mapping[str, Any]) -> Mapping[str, Any]:
        """Weights are never negative."""
        return {"adstock_lam is negative": params["adstock_lam"] >= 0}


@named
@dataclass(frozen=True)
class WeibullPDF(WeibullCDF):
    r"""Weibull adstock of the density: $w_l \propto f(l + 1) - \min f$, k and lambda of f.

    The effect peaks $\lambda (1 - 1 / k)^{1 / k} - 1$ periods after the media for k above
    1, at once else. As in its sources the least weight of the window is taken from all;
    where that leaves nothing the weights are equal.

    Args:
        max_lag: Periods that count, today included; or "auto", as of :class:`Geometric`.
        normalize: Weights sum to one; else the largest is one.

    Source: `adstock_weibull` of Robyn, type "pdf" (its scale is a quantile of the window,
    ours periods), and `weibull_adstock` of PyMC-Marketing.
    """

    kind: ClassVar[str] = "weibull_pdf"

    def weights(self, params: Mapping[str, ArrayLike]) -> Float[Array, "*batch max_lag"]:
        """Weights by lag, for parameters of any shape."""
        power, passed = _weibull(params, self.max_lag)
        log = power - passed - np.log(np.arange(1, self.max_lag + 1)).astype(power.dtype)
        height = jnp.exp(log - log.max(-1, keepdims=True))
        least = jnp.minimum(height[..., :1], height[..., -1:])  # of one peak: at an end
        weights = height - least + FLAT
        whole = weights.sum(-1, keepdims=True)
        return weights / (whole if self.normalize else weights.max(-1, keepdims=True))


def _weibull(params: Mapping[str, ArrayLike], lags: int) -> tuple[Array, Array]:
    """log((t / lambda)^k) and (t / lambda)^k of t = 1, ..., lags; straight where huge."""
    lam, k = (jnp.asarray(params[n])[..., None] for n in ("adstock_lam", "adstock_k"))
    dtype = jnp.result_type(lam, k, float)
    power = k * (np.log(np.arange(1, lags + 1)).astype(dtype) - jnp.log(lam))
    return power, jnp.exp(jnp.minimum(power, 10)) * (1 + jnp.maximum(power - 10, 0))


@named
@dataclass(frozen=True)
class NoAdstock(Adstock):
    """No carry-over: everything comes in the period of the media.

    Source: PyMC-Marketing's `NoAdstock`.
    """

    kind: ClassVar[str] = "none"

    def parameters(self) -> Mapping[str, Parameter]:
        """None."""
        return {}

    def weights(self, params: Mapping[str, ArrayLike]) -> Float[Array, "*batch max_lag"]:
        """One, at lag 0."""
        return jnp.ones((1, 1, 1))

    def __call__(
        self, media: Float[ArrayLike, "*batch time"], params: Mapping[str, ArrayLike]
    ) -> Float[Array, "*batch time"]:
        """Media as they are."""
        return jnp.asarray(media)

    def concave(self, params: Mapping[str, Any]) -> Mapping[str, Any]:
        """Always: media are carried nowhere."""
        return {"media are carried over": np.True_}


@named
@dataclass(frozen=True)
class Mixed(Adstock):
    """One of several adstocks in each draw: what :func:`mmmjax.stack` makes.

    It may be fitted too: ``adstock_which`` is then a jump that samplers of gradients are
    slow to make, and draws say so by their R-hat; stacked fits are the better way.

    Args:
        kernels: Records of ``mm.adstock``, all as likely before the data speak.
    """

    kind: ClassVar[str] = "mixed"

    kernels: tuple[Adstock, ...] = (Geometric(), Delayed())

    def __post_init__(self) -> None:
        """Refuse what is no adstock."""
        mixed.check("adstock", Adstock, self.kernels)
        if any(kernel.max_lag == AUTO for kernel in self.kernels):
            checks.fail("adstock max_lag", AUTO, "in Mixed", "a number", "max_lag = 8")

    @property
    def max_lag(self) -> int:  # pyright: ignore
        """The longest memory of all."""
        return max(kernel.max_lag for kernel in self.kernels)

    @property
    def normalize(self) -> bool:  # pyright: ignore
        """Whether the weights of all sum to one."""
        return all(kernel.normalize for kernel in self.kernels)

    def parameters(self) -> Mapping[str, Parameter]:
        """Those of all kernels, and ``adstock_which`` of them."""
        return mixed.parameters(self.kernels, "adstock_which")

    def weights(self, params: Mapping[str, ArrayLike]) -> Float[Array, "*batch max_lag"]:
        """Weights by lag of the kernel that each draw follows."""
        out: Any = 0.0
        for kernel, own, here in mixed.taken(self.kernels, params, "adstock_which"):
            weights = kernel.weights(own)
            more = [(0, 0)] * (weights.ndim - 1) + [(0, self.max_lag - weights.shape[-1])]
            out = out + jnp.where(here[..., None], jnp.pad(weights, more), 0.0)
        return out

    def concave(self, params: Mapping[str, Any]) -> Mapping[str, Any]:
        """Each draw has the reasons of its own kernel."""
        return mixed.certificates(self.kernels, params, "adstock_which")

    def cut(self, params: Mapping[str, ArrayLike]) -> Float[Array, "*batch"]:
        """What the window of the kernel that each draw follows leaves out."""
        out: Any = 0.0
        for kernel, own, here in mixed.taken(self.kernels, params, "adstock_which"):
            out = out + jnp.where(here, kernel.cut(own), 0.0)
        return out


KINDS = (Geometric, Delayed, HalfLife, Binomial, WeibullCDF, WeibullPDF, NoAdstock, Mixed)
ADSTOCKS: dict[str, type[Adstock]] = {c.kind: c for c in KINDS}


def validate(retention: ArrayLike, max_lag: int, n_time: int) -> None:
    """Check concrete values once, before they enter a kernel. Never call inside jit."""
    r = np.ravel(retention)
    bad = np.flatnonzero(~((r >= 0) & (r < 1)))  # written so that NaN counts as bad
    if bad.size:
        where = f"flat position {bad[0]} ({bad.size} bad in all)"
        fix = "a share of 1 never decays; 30 per cent is 0.3"
        checks.fail("adstock retention", r[bad[0]], where, "a share in [0, 1)", fix)
    checks.integer("adstock max_lag", max_lag, low=1, fix="1 means no carryover")
    _check_lags(max_lag, n_time)


def _check_lags(max_lag: int, n_time: int) -> None:
    if max_lag > n_time:
        allowed = f"at most the number of periods, {n_time}"
        fix = f"set max_lag={max(n_time, 1)} or less, or give more periods"
        checks.fail("adstock max_lag", max_lag, "", allowed, fix)
