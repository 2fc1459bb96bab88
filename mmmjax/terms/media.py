"""The term of media: what channels add, and all that plans and returns ask of it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

from jaxtyping import Array, Float

from mmmjax import checks
from mmmjax.arguments import checked
from mmmjax.kernels.adstock import Adstock, Geometric
from mmmjax.kernels.saturation import Logistic, Saturation
from mmmjax.prior import Parameter, Prior, media_share
from mmmjax.shapes import CHANNEL
from mmmjax.terms.base import Group, Term

__all__ = ["Media"]


@checked
@dataclass(frozen=True)
class Media(Term):
    """Channels: saturation_beta * saturation(adstock(media)).

    Args:
        name: "channel", or another where several stand side by side: its parameters are
            then called "<name>.adstock_alpha" and so on.
        channels: Those it is for; None: all that no other term has.
        adstock: Record of ``mm.adstock``.
        saturation: Record of ``mm.saturation``.
        adstock_first: Carry-over before saturation, or after it.

    Raises:
        InputError: Not a record of its kind; channels that are no list of names.
    """

    kind: ClassVar[str] = "media"
    group: ClassVar[Group] = "channel"
    over: ClassVar[str] = CHANNEL
    name: str = "channel"
    channels: Sequence[str] | None = None
    adstock: Adstock = field(default_factory=Geometric)
    saturation: Saturation = field(default_factory=Logistic)
    adstock_first: bool = True

    def __post_init__(self) -> None:
        """Check the choices."""
        if self.channels is None:
            return
        names = self.channels
        text = not isinstance(names, str) and all(isinstance(n, str) for n in names)
        if not (names and text):
            fix = 'channels=["TV"]'
            checks.fail(f"channels of {self.name}", names, "", "a list of names", fix)
        object.__setattr__(self, "channels", tuple(names))

    @property
    def memory(self) -> int:
        """Periods that an effect lasts, the first included."""
        return self.adstock.max_lag

    @property
    def factored(self) -> bool:
        """Whether :meth:`effect` is :meth:`settled` of :meth:`carried`, linear in media."""
        return self.adstock_first

    def parameters(self) -> Mapping[str, Parameter]:
        """Those of the kernels, and the effect at full saturation.

        Before the data speak, money brings the same return in every channel, on all the
        time or in flights, and all media together a share of the outcome that is stated.
        Effects of geos differ by a half, rarely by threefold.
        """
        prior = Prior("HalfNormal", scale=media_share)
        beta = {"saturation_beta": Parameter((CHANNEL,), prior, pooled=0.5)}
        out: dict[str, Parameter] = {}
        for part in (self.adstock.parameters(), self.saturation.parameters(), beta):
            for twice in out.keys() & part.keys():
                fix = "rename it in parameters() of your own kernel"
                checks.fail("parameter", twice, "spec", "a name that no other has", fix)
            out |= part
        return out

    def effect(
        self, p: Mapping[str, Any], media: Float[Array, "*cell time"]
    ) -> Float[Array, "*cell time"]:
        """What media bring, of any cells, parameters broadcasting to ``*cell``."""
        if self.adstock_first:
            return self.settled(p, self.carried(p, media))
        return p["saturation_beta"][..., None] * self.adstock(self.saturation(media, p), p)

    def carried(
        self, p: Mapping[str, Any], media: Float[Array, "*cell time"]
    ) -> Float[Array, "*cell time"]:
        """Media carried over in time: linear in media, whatever the kernel."""
        return self.adstock(media, p)

    def settled(
        self, p: Mapping[str, Any], carried: Float[Array, "*cell time"]
    ) -> Float[Array, "*cell time"]:
        """Effect of carried media, elementwise over time."""
        return p["saturation_beta"][..., None] * self.saturation(carried, p)

    def concave(self, p: Mapping[str, Any]) -> Mapping[str, Any] | None:
        """What would bend the response upwards, and the draws and cells where it does not.

        None where a kernel is not known to be concave whatever its parameters.
        """
        carry, curve = self.adstock.concave(p), self.saturation.concave(p)
        if not carry or not curve:
            return None
        return {**carry, **curve, "saturation_beta is negative": p["saturation_beta"] >= 0}

    def steps(self) -> list[tuple[str, Adstock | Saturation]]:
        """The kernels in the order in which media pass them."""
        both: list[tuple[str, Any]] = [("adstock", self.adstock)]
        both.append(("saturation", self.saturation))
        return both if self.adstock_first else both[::-1]
