r"""Reach and frequency: how many people saw media, and how often each of them.

With r_c[t] people of a channel reached in a period, f_c[t] exposures of each of them, and
impressions m = r f, which are its media (and money buys them, at the channel's cost per
impression),

$$\text{effect}_c = \beta_c\, \text{saturation}\Big(\text{adstock}\Big(
r_c[t]\, \frac{h(f_c[t])}{h(\bar f_c)}\, \bar f_c\Big)\Big), \qquad
h(f) = \frac{f^s}{f^s + \kappa^s}$$

where $\bar f_c$ is the usual frequency, impressions over reach of training in all geos,
frozen at fit, and the largest impressions of training are one unit. Without saturation, the
default, it is the model of Zhang et al. (2023), "Bayesian Hierarchical Media Mix Model
Incorporating Reach and Frequency Data", with their coefficient beta h(f bar) instead of
beta: at the usual frequency a channel is one on its impressions, whatever kappa and s. So
priors on returns, lift tests, curves and plans are of media at the usual frequency.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

import jax.numpy as jnp
from jaxtyping import Array, Float

from mmmjax.arguments import checked
from mmmjax.kernels.saturation import NoSaturation, Saturation, hill
from mmmjax.prior import Parameter, Prior
from mmmjax.shapes import CHANNEL
from mmmjax.terms.media import Media

__all__ = ["Exposures", "Reach"]

PRIOR = Prior("LogNormal", loc=0.7, scale=0.4)
"""0.9, 2, 4.3 are 3%, 50%, 97%: exposures of half the effect, and the slope."""


@dataclass(frozen=True)
class Exposures:
    """Hill curve of frequency; above a slope of 1 the first exposures do less."""

    def parameters(self) -> Mapping[str, Parameter]:
        """Exposures of half the effect, and how sharply they come."""
        one = Parameter((CHANNEL,), PRIOR, "positive")
        return {"frequency_kappa": one, "frequency_slope": one}

    def __call__(
        self, frequency: Float[Array, "*cell time"], p: Mapping[str, Any]
    ) -> Float[Array, "*cell time"]:
        """Effect of a person reached so often, of the limit 1."""
        return hill(frequency, p["frequency_kappa"], p["frequency_slope"])


@checked
@dataclass(frozen=True)
class Reach(Media):
    """Channels: saturation_beta * adstock(reach * curve(frequency)), curve 1 as usual.

    Args:
        name: "reach", or another: its parameters are "<name>.adstock_alpha" and so on,
            those of frequency "<name>.frequency_kappa" and "<name>.frequency_slope".
        channels: Those it is for, with columns of reach and frequency; None: all that no
            other term has.
        adstock: Record of ``mm.adstock``.
        saturation: Of what is carried over; none by default.
        adstock_first: Carry-over before saturation, or after it.

    Raises:
        InputError: Not a record of its kind; channels that are no list of names.
    """

    kind: ClassVar[str] = "reach"
    name: str = "reach"
    saturation: Saturation = field(default_factory=NoSaturation)

    @property
    def exposures(self) -> Exposures:
        """The curve of frequency."""
        return Exposures()

    def parameters(self) -> Mapping[str, Parameter]:
        """Those of media, and of the curve of frequency."""
        return {**super().parameters(), **self.exposures.parameters()}

    def heard(
        self,
        p: Mapping[str, Any],
        frequency: Float[Array, "*cell time"],
        usual: Float[Array, "*#cell"],
    ) -> Float[Array, "*cell time"]:
        """What an impression counts beside one at the usual frequency, which counts 1.

        Args:
            p: One draw of its parameters.
            frequency: At least 1; 0 where there are no impressions.
            usual: As in training.
        """
        usual = jnp.broadcast_to(usual, frequency.shape[:-1])[..., None]
        usual = jnp.where(usual > 0, usual, 1.0)
        often = jnp.where(frequency > 0, frequency, usual)
        return self.exposures(often, p) / self.exposures(usual, p) * (usual / often)

    def steps(self) -> list[tuple[str, Any]]:
        """See :meth:`Media.steps`; the curve of frequency comes before."""
        return [("exposures", self.exposures), *super().steps()]
