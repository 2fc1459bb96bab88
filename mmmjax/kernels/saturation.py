"""Saturation kernels: the more media at once, the less a further unit adds.

Every kernel maps ``media`` (..., time), scaled and not negative, to a response of the same
shape: 0 at 0, increasing. Parameters have the leading shape ``...`` or broadcast to it. All
are pure and safe under ``jit``, ``vmap`` and ``grad``; none checks values, :func:`validate`
does.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, ArrayLike, Float

from mmmjax import checks
from mmmjax.arguments import named
from mmmjax.prior import Parameter, Prior
from mmmjax.shapes import CHANNEL

__all__ = ["SATURATIONS", "Hill", "Logistic", "Saturation", "hill", "logistic", "validate"]


def __dir__() -> list[str]:
    """Public names only, for completion."""
    return list(__all__)


TRACE = 1e-6
"""Of the largest training period: less media than this is as good as none."""


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
    media = jnp.asarray(media)
    kappa, slope = jnp.asarray(kappa)[..., None], jnp.asarray(slope)[..., None]
    little = media < TRACE
    safe = jnp.where(little, TRACE, media)
    share = jnp.where(little, media / TRACE, 1.0)
    return jax.nn.sigmoid(slope * (jnp.log(safe) - jnp.log(kappa))) * share


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
        half = Prior("LogNormal", loc=-0.7, scale=0.7)  # 0.16, 0.5, 1.6: 5%, 50%, 95%
        return {
            "saturation_kappa": Parameter((CHANNEL,), half, "positive"),
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


SATURATIONS: dict[str, type[Saturation]] = {c.kind: c for c in (Logistic, Hill)}


def validate(lam: ArrayLike) -> None:
    """Check concrete values once, before they enter a kernel. Never call inside jit."""
    values = np.ravel(lam)
    bad = np.flatnonzero(~((values > 0) & np.isfinite(values)))
    if bad.size:
        where = f"flat position {bad[0]} ({bad.size} bad in all)"
        fix = "a channel without effect has saturation_beta=0, not lam=0"
        checks.fail("saturation lam", values[bad[0]], where, "positive and finite", fix)
