"""Saturation kernels: the more media at once, the less a further unit adds.

Every kernel maps ``media`` (..., time), scaled and not negative, to a response of the same
shape: 0 at 0, increasing. Parameters have the leading shape ``...`` or broadcast to it. All
are pure and safe under ``jit``, ``vmap`` and ``grad``; none checks values, :func:`validate`
does.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, ArrayLike, Float

from mmmjax import checks
from mmmjax.arguments import named
from mmmjax.kernels import mixed
from mmmjax.prior import Parameter, Prior
from mmmjax.shapes import CHANNEL

__all__ = [
    "SATURATIONS",
    "Exponential",
    "Hill",
    "HillSigmoid",
    "InverseScaledLogistic",
    "Log",
    "Logistic",
    "MichaelisMenten",
    "Mixed",
    "NoSaturation",
    "Root",
    "Saturation",
    "Tanh",
    "hill",
    "logistic",
    "validate",
]


def __dir__() -> list[str]:
    """Public names only, for completion."""
    return list(__all__)


TRACE = 1e-6
"""Of the largest training period: less media than this is as good as none."""
HALF = Prior("LogNormal", loc=-0.7, scale=0.7)
"""Of the largest training period, half of the effect: 0.16, 0.5, 1.6 are 5%, 50%, 95%."""


def logistic(
    media: Float[ArrayLike, "*batch time"], lam: Float[ArrayLike, "*#batch"]
) -> Float[Array, "*batch time"]:
    r"""Logistic saturation $(1 - e^{-\lambda x}) / (1 + e^{-\lambda x})$.

    It is computed as $\tanh(\lambda x / 2)$, which is the same and overflows nowhere.
    Half of the limit 1 is reached at $x = \log(3) / \lambda$; the slope at 0 is
    $\lambda / 2$. Concave for $x \ge 0$.

    Args:
        media: $x \ge 0$, in units of the largest training period (no unit).
        lam: $\lambda > 0$, per unit of media.

    Source: the logistic form of PyMC-Marketing's `LogisticSaturation`.
    """
    return jnp.tanh(0.5 * jnp.asarray(lam)[..., None] * media)


def hill(
    media: Float[ArrayLike, "*batch time"],
    kappa: Float[ArrayLike, "*#batch"],
    slope: Float[ArrayLike, "*#batch"],
) -> Float[Array, "*batch time"]:
    r"""Hill saturation $x^s / (\kappa^s + x^s)$.

    Half of the limit 1 is reached at $x = \kappa$. Concave for $s \le 1$, else an S. At 0
    the slope is infinite for $s < 1$: below :data:`TRACE` the curve is its own chord, so
    that it stays concave, and a plan that spends nothing sees a steep slope, not none.

    Args:
        media: $x \ge 0$, in units of the largest training period (no unit).
        kappa: $\kappa > 0$, in units of media.
        slope: $s > 0$ (no unit).

    Source: Jin et al. (2017), "Bayesian Methods for Media Mix Modeling with Carryover
    and Shape Effects", eq. 5.
    """
    kappa, slope = jnp.asarray(kappa)[..., None], jnp.asarray(slope)[..., None]
    return _hill(jnp.asarray(media), kappa, slope)


def _more_than_a_trace(media: ArrayLike) -> tuple[Array, Array]:
    """Media, at least :data:`TRACE`, and the share of that which there is, at most 1."""
    media = jnp.asarray(media)
    return jnp.maximum(media, TRACE), jnp.minimum(media / TRACE, 1.0)


@jax.custom_jvp
def _hill(media: Array, kappa: Array, slope: Array) -> Array:
    """Hill saturation, :func:`hill`, of arrays that broadcast."""
    safe, share = _more_than_a_trace(media)
    return jax.nn.sigmoid(slope * (jnp.log(safe) - jnp.log(kappa))) * share


@_hill.defjvp
def _(primals: tuple[Array, ...], tangents: tuple[Array, ...]) -> tuple[Array, Array]:
    """The value and its slopes share logarithm and exponential."""
    media, kappa, slope = primals
    d_media, d_kappa, d_slope = tangents
    safe, share = _more_than_a_trace(media)
    distance = jnp.log(safe) - jnp.log(kappa)
    curve = jax.nn.sigmoid(slope * distance)
    bend = curve * (1.0 - curve) * share
    steep = jnp.where(media < TRACE, curve / TRACE, bend * slope / safe)
    along = bend * (distance * d_slope - slope / kappa * d_kappa)
    return curve * share, steep * d_media + along


@jax.custom_jvp
def _power(media: Array, alpha: Array) -> Array:
    """Powers of media; below :data:`TRACE` the chord."""
    safe, share = _more_than_a_trace(media)
    return jnp.exp(alpha * jnp.log(safe)) * share


@_power.defjvp
def _(primals: tuple[Array, Array], tangents: tuple[Array, Array]) -> tuple[Array, Array]:
    """The value and both slopes share logarithm and exponential."""
    media, alpha = primals
    safe, share = _more_than_a_trace(media)
    log = jnp.log(safe)
    curve = jnp.exp(alpha * log)
    steep = jnp.where(media < TRACE, 1.0, alpha) * curve / safe
    return curve * share, steep * tangents[0] + curve * share * log * tangents[1]


class Saturation:
    """What every saturation is: a frozen dataclass with these, its numbers its fields."""

    kind: ClassVar[str]

    def parameters(self) -> Mapping[str, Parameter]:
        """What it needs sampled, by name."""
        raise NotImplementedError

    def __call__(
        self, media: Float[ArrayLike, "*batch time"], params: Mapping[str, ArrayLike]
    ) -> Float[Array, "*batch time"]:
        """Saturate media; parameters broadcast to the leading shape of media."""
        raise NotImplementedError

    def concave(self, params: Mapping[str, Any]) -> Mapping[str, Any]:
        """Reasons against a concave curve, and where they do not hold: a certificate.

        None: the curve is not known to be concave, whatever its parameters.
        """
        return {}


@named
@dataclass(frozen=True)
class Logistic(Saturation):
    """Logistic saturation as part of a Spec."""

    kind: ClassVar[str] = "logistic"

    def parameters(self) -> Mapping[str, Parameter]:
        """Half-saturation (1.1 / lam) between a sixth of the best week and beyond it."""
        prior = Prior("Gamma", concentration=3.0, rate=1.0)
        return {"saturation_lam": Parameter((CHANNEL,), prior, "positive")}

    def __call__(
        self, media: Float[ArrayLike, "*batch time"], params: Mapping[str, ArrayLike]
    ) -> Float[Array, "*batch time"]:
        """Saturate media; ``saturation_lam`` broadcasts to the leading shape of media."""
        return logistic(media, params["saturation_lam"])

    def concave(self, params: Mapping[str, Any]) -> Mapping[str, Any]:
        """For media of 0 or more, whatever lam."""
        return {"saturation_lam is negative": params["saturation_lam"] >= 0}


@named
@dataclass(frozen=True)
class Hill(Saturation):
    """Hill saturation as part of a Spec: concave or an S, as the data say."""

    kind: ClassVar[str] = "hill"

    def parameters(self) -> Mapping[str, Parameter]:
        """Half-saturation between a sixth of the best week and beyond it, as Logistic has.

        A curve that is concave and one that is an S are as likely, from slope 0.4 to 2.3.
        """
        return {
            "saturation_kappa": Parameter((CHANNEL,), HALF, "positive"),
            "saturation_slope": Parameter(
                (CHANNEL,), Prior("LogNormal", loc=0.0, scale=0.5), "positive"
            ),
        }

    def __call__(
        self, media: Float[ArrayLike, "*batch time"], params: Mapping[str, ArrayLike]
    ) -> Float[Array, "*batch time"]:
        """Saturate media; parameters broadcast to the leading shape of media."""
        return hill(media, params["saturation_kappa"], params["saturation_slope"])

    def concave(self, params: Mapping[str, Any]) -> Mapping[str, Any]:
        """For media of 0 or more, where the slope is at most 1."""
        return {"saturation_slope is above 1": params["saturation_slope"] <= 1}


@named
@dataclass(frozen=True)
class Exponential(Saturation):
    r"""Exponential saturation $1 - e^{-\lambda x}$ as part of a Spec.

    Half of the limit 1 is reached at $x = \log(2) / \lambda$; the slope at 0 is $\lambda$.

    Source: the exponential of mmm-framework.
    """

    kind: ClassVar[str] = "exponential"

    def parameters(self) -> Mapping[str, Parameter]:
        """Half-saturation (0.69 / lam) as Logistic has it."""
        prior = Prior("Gamma", concentration=3.0, rate=1.6)
        return {"saturation_lam": Parameter((CHANNEL,), prior, "positive")}

    def __call__(
        self, media: Float[ArrayLike, "*batch time"], params: Mapping[str, ArrayLike]
    ) -> Float[Array, "*batch time"]:
        """Saturate media; ``saturation_lam`` broadcasts to the leading shape of media."""
        return -jnp.expm1(-jnp.asarray(params["saturation_lam"])[..., None] * media)

    def concave(self, params: Mapping[str, Any]) -> Mapping[str, Any]:
        """For media of 0 or more, whatever lam."""
        return {"saturation_lam is negative": params["saturation_lam"] >= 0}


@named
@dataclass(frozen=True)
class Tanh(Exponential):
    r"""Hyperbolic tangent $\tanh(\lambda x)$ as part of a Spec.

    Half of the limit 1 is reached at $x = 0.55 / \lambda$; the slope at 0 is $\lambda$.
    It is :class:`Logistic` of twice $\lambda$.

    Source: PyMC-Marketing's `tanh_saturation`, $b \tanh(x / (b c))$: b is
    ``saturation_beta``, and $\lambda = 1 / (b c)$.
    """

    kind: ClassVar[str] = "tanh"

    def parameters(self) -> Mapping[str, Parameter]:
        """Half-saturation (0.55 / lam) as Logistic has it."""
        prior = Prior("Gamma", concentration=3.0, rate=2.0)
        return {"saturation_lam": Parameter((CHANNEL,), prior, "positive")}

    def __call__(
        self, media: Float[ArrayLike, "*batch time"], params: Mapping[str, ArrayLike]
    ) -> Float[Array, "*batch time"]:
        """Saturate media; ``saturation_lam`` broadcasts to the leading shape of media."""
        return jnp.tanh(jnp.asarray(params["saturation_lam"])[..., None] * media)


@named
@dataclass(frozen=True)
class MichaelisMenten(Exponential):
    r"""Michaelis-Menten saturation $x / (\lambda + x)$ as part of a Spec.

    Half of the limit 1 is reached at $x = \lambda$; the slope at 0 is $1 / \lambda$. It is
    :class:`Hill` of slope 1.

    Source: PyMC-Marketing's `michaelis_menten`, its alpha is ``saturation_beta``; Robyn's
    `mic_men`, its Km is lam.
    """

    kind: ClassVar[str] = "michaelis_menten"

    def parameters(self) -> Mapping[str, Parameter]:
        """Half-saturation, between a sixth of the best week and beyond it."""
        return {"saturation_lam": Parameter((CHANNEL,), HALF, "positive")}

    def __call__(
        self, media: Float[ArrayLike, "*batch time"], params: Mapping[str, ArrayLike]
    ) -> Float[Array, "*batch time"]:
        """Saturate media; ``saturation_lam`` broadcasts to the leading shape of media."""
        media = jnp.asarray(media)
        return media / (jnp.asarray(params["saturation_lam"])[..., None] + media)


@named
@dataclass(frozen=True)
class InverseScaledLogistic(MichaelisMenten):
    r"""Logistic saturation by its half: $(1 - 3^{-x / \lambda}) / (1 + 3^{-x / \lambda})$.

    Half of the limit 1 is reached at $x = \lambda$; the slope at 0 is $0.55 / \lambda$.

    Source: PyMC-Marketing's `inverse_scaled_logistic_saturation`, eps at its log(3).
    """

    kind: ClassVar[str] = "inverse_scaled_logistic"

    def __call__(
        self, media: Float[ArrayLike, "*batch time"], params: Mapping[str, ArrayLike]
    ) -> Float[Array, "*batch time"]:
        """Saturate media; ``saturation_lam`` broadcasts to the leading shape of media."""
        return logistic(media, math.log(3.0) / jnp.asarray(params["saturation_lam"]))


@named
@dataclass(frozen=True)
class HillSigmoid(Saturation):
    r"""Sigmoid $1 / (1 + e^{-s (x - \lambda)}) - 1 / (1 + e^{s \lambda})$: always an S.

    It is steepest at $x = \lambda$ and bends upwards before; its limit is
    $1 / (1 + e^{-s \lambda})$. No plan under it is certified.

    Source: PyMC-Marketing's `hill_saturation_sigmoid`: its sigma is ``saturation_beta``,
    its beta, here $s$, is ``saturation_slope``.
    """

    kind: ClassVar[str] = "hill_sigmoid"

    def parameters(self) -> Mapping[str, Parameter]:
        """Steepest at 0.23 to 0.72 of the best week, 0.41 in the middle.

        From a tenth to nine tenths takes 0.4 to 2 of the best week, 0.9 in the middle.
        """
        steepest = Prior("LogNormal", loc=-0.9, scale=0.35)
        slope = Prior("LogNormal", loc=1.6, scale=0.5)
        return {
            "saturation_lam": Parameter((CHANNEL,), steepest, "positive"),
            "saturation_slope": Parameter((CHANNEL,), slope, "positive"),
        }

    def __call__(
        self, media: Float[ArrayLike, "*batch time"], params: Mapping[str, ArrayLike]
    ) -> Float[Array, "*batch time"]:
        """Saturate media; parameters broadcast to the leading shape of media."""
        lam = jnp.asarray(params["saturation_lam"])[..., None]
        slope = jnp.asarray(params["saturation_slope"])[..., None]
        half = (
            0.5 * slope
        )  # 1 / (1 + e^-z) is (1 + tanh(z / 2)) / 2, and tanh is odd: 0 at 0
        return 0.5 * (jnp.tanh(half * (media - lam)) + jnp.tanh(half * lam))

    def concave(self, params: Mapping[str, Any]) -> Mapping[str, Any]:
        """Nowhere below its steepest point."""
        return {"the sigmoid bends upwards": params["saturation_lam"] <= 0}


@named
@dataclass(frozen=True)
class Root(Saturation):
    r"""Root, or power, saturation $x^\alpha$ as part of a Spec: no limit.

    Half of the effect of the largest training period is reached at $2^{-1 / \alpha}$ of it.
    At 0 the slope is infinite: below :data:`TRACE` the curve is its own chord, as of
    :class:`Hill`.

    Source: PyMC-Marketing's `root_saturation`.
    """

    kind: ClassVar[str] = "root"

    def parameters(self) -> Mapping[str, Parameter]:
        """Half of what the best week brings, from 0.06 to 0.46 of its media, 0.32."""
        prior = Prior("Beta", concentration1=3.0, concentration0=2.0)
        return {"saturation_alpha": Parameter((CHANNEL,), prior, "unit")}

    def __call__(
        self, media: Float[ArrayLike, "*batch time"], params: Mapping[str, ArrayLike]
    ) -> Float[Array, "*batch time"]:
        """Saturate media; ``saturation_alpha`` broadcasts to the leading shape of media."""
        alpha = jnp.asarray(params["saturation_alpha"])[..., None]
        return _power(jnp.asarray(media), alpha)

    def concave(self, params: Mapping[str, Any]) -> Mapping[str, Any]:
        """For media of 0 or more, where alpha is a share."""
        alpha = params["saturation_alpha"]
        return {"saturation_alpha is outside [0, 1]": (alpha >= 0) & (alpha <= 1)}


@named
@dataclass(frozen=True)
class Log(Exponential):
    r"""Logarithmic saturation $\log(1 + \lambda x)$ as part of a Spec: no limit.

    The slope at 0 is $\lambda$. Half of the effect of the largest training period is
    reached at $(\sqrt{1 + \lambda} - 1) / \lambda$ of it.

    Source: the logarithmic response of econometrics, here finite at 0.
    """

    kind: ClassVar[str] = "log"

    def parameters(self) -> Mapping[str, Parameter]:
        """Half of what the best week brings, from 0.14 to 0.43 of its media, 0.29."""
        prior = Prior("LogNormal", loc=1.6, scale=1.2)
        return {"saturation_lam": Parameter((CHANNEL,), prior, "positive")}

    def __call__(
        self, media: Float[ArrayLike, "*batch time"], params: Mapping[str, ArrayLike]
    ) -> Float[Array, "*batch time"]:
        """Saturate media; ``saturation_lam`` broadcasts to the leading shape of media."""
        return jnp.log1p(jnp.asarray(params["saturation_lam"])[..., None] * media)


@named
@dataclass(frozen=True)
class NoSaturation(Saturation):
    """No saturation: twice the media, twice the effect.

    Source: PyMC-Marketing's `NoSaturation`.
    """

    kind: ClassVar[str] = "none"

    def parameters(self) -> Mapping[str, Parameter]:
        """None."""
        return {}

    def __call__(
        self, media: Float[ArrayLike, "*batch time"], params: Mapping[str, ArrayLike]
    ) -> Float[Array, "*batch time"]:
        """Media as they are."""
        return jnp.asarray(media)

    def concave(self, params: Mapping[str, Any]) -> Mapping[str, Any]:
        """Always: a straight line."""
        return {"a straight line bends": np.True_}


@named
@dataclass(frozen=True)
class Mixed(Saturation):
    """One of several saturations in each draw: what :func:`mmmjax.stack` makes.

    It may be fitted too: ``saturation_which`` is then a jump that samplers of gradients are
    slow to make, and draws say so by their R-hat; stacked fits are the better way.

    Args:
        kernels: Records of ``mm.saturation``, all as likely before the data speak.
    """

    kind: ClassVar[str] = "mixed"

    kernels: tuple[Saturation, ...] = (Logistic(), Hill())

    def __post_init__(self) -> None:
        """Refuse what is no saturation."""
        mixed.check("saturation", Saturation, self.kernels)

    def parameters(self) -> Mapping[str, Parameter]:
        """Those of all kernels, and ``saturation_which`` of them."""
        return mixed.parameters(self.kernels, "saturation_which")

    def __call__(
        self, media: Float[ArrayLike, "*batch time"], params: Mapping[str, ArrayLike]
    ) -> Float[Array, "*batch time"]:
        """Saturate media by the kernel that each draw follows."""
        out: Any = 0.0
        for kernel, own, here in mixed.taken(self.kernels, params, "saturation_which"):
            out = out + jnp.where(here[..., None], kernel(media, own), 0.0)
        return out

    def concave(self, params: Mapping[str, Any]) -> Mapping[str, Any]:
        """Each draw has the reasons of its own kernel."""
        return mixed.certificates(self.kernels, params, "saturation_which")


KINDS = (
    Logistic,
    Hill,
    Exponential,
    Tanh,
    InverseScaledLogistic,
    MichaelisMenten,
    HillSigmoid,
    Root,
    Log,
    NoSaturation,
    Mixed,
)
SATURATIONS: dict[str, type[Saturation]] = {c.kind: c for c in KINDS}


def validate(lam: ArrayLike) -> None:
    """Check concrete values once, before they enter a kernel. Never call inside jit."""
    values = np.ravel(lam)
    bad = np.flatnonzero(~((values > 0) & np.isfinite(values)))
    if bad.size:
        where = f"flat position {bad[0]} ({bad.size} bad in all)"
        fix = "a channel without effect has saturation_beta=0, not lam=0"
        checks.fail("saturation lam", values[bad[0]], where, "positive and finite", fix)
