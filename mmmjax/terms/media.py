r"""The term of media: what channels add, and all that plans and returns ask of it.

A channel whose media are a sum of campaigns (or creatives), m_ck[t] of campaign k, enters
its carry-over as

$$x_c[t] = \sum_k w_k m_{ck}[t], \qquad w_k = e^{e_k} \Big/ \sum_{j \in c} s_j e^{e_j},
\qquad e_k \sim \text{Normal}(0, \text{spread}), \quad
\text{spread} \sim \text{HalfNormal}(0.3)$$

with s_k the part of campaign k in the media of its channel over training, frozen at fit. So
$\sum_k s_k w_k = 1$ and $\sum_k s_k (w_k - 1) = 0$: a zero-sum weighted by media. Whatever
the effects of campaigns, the channel's media of training add up to what they are, and money
that is split as in training meets the channel's own curve. w_k > 0 keeps curves monotone
and, where they are concave in media, concave. One carry-over and one saturation are of the
channel. Effects of all campaigns of a term share the spread; where the parts of a channel's
campaigns never change, the data say nothing of e and it stays at its prior.

What a campaign brought is its part of the carried, weighted media, times what the channel
brought: A(w_k m_k) / A(x), as A is linear; where saturation comes first, its part of x
before carry-over. The parts add up to the channel in every draw and period.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

import jax.numpy as jnp
from jaxtyping import Array, Float

from mmmjax import checks
from mmmjax.arguments import checked, meant
from mmmjax.kernels.adstock import Adstock, Geometric
from mmmjax.kernels.saturation import Logistic, Saturation
from mmmjax.panel import Panel
from mmmjax.prior import Parameter, Prior, media_share
from mmmjax.shapes import CAMPAIGN, CHANNEL
from mmmjax.terms.base import Frame, Group, Named, Term
from mmmjax.terms.moving import Moving, arrays, multiplier

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
        sign: "positive", or "any" of channels that may lower the outcome: their
            saturation_beta is as likely below 0 as above, of the same size. Returns may
            be negative then, and plans are certified where no draw is.
        moving: Record of ``mm.moving``, or several, whose multipliers are multiplied: what
            media bring changes in time. Its mean over training is 1.

    Raises:
        InputError: Not a record of its kind; channels that are no list of names; two of
            one kind in ``moving``.
    """

    kind: ClassVar[str] = "media"
    group: ClassVar[Group] = "channel"
    over: ClassVar[str] = CHANNEL
    name: str = "channel"
    channels: Sequence[str] | None = None
    adstock: Adstock = field(default_factory=Geometric)
    saturation: Saturation = field(default_factory=Logistic)
    adstock_first: bool = True
    sign: str = "positive"
    moving: Moving | tuple[Moving, ...] = field(default=(), metadata={"usual": True})

    def __post_init__(self) -> None:
        """Check the choices."""
        checks.choice("sign", self.sign, ("positive", "any"))
        given: Any = self.moving
        given = tuple(given) if isinstance(given, tuple | list) else (given,)
        for one in given:
            if not isinstance(one, Moving):
                fix = f"moving={meant(Moving, one) or 'mm.moving.Process()'}"
                what = f"moving of {self.name}"
                checks.fail(what, one, "", "a record of mm.moving, or several", fix)
        object.__setattr__(self, "moving", given)
        kinds = [one.kind for one in self.movers]
        for kind in (k for k in kinds if kinds.count(k) > 1):
            fix = f'leave one {{ kind = "{kind}" }} out'
            checks.fail(f"moving of {self.name}", kind, "", "each kind once", fix)
        if self.channels is None:
            return
        what, fix = f"channels of {self.name}", 'channels=["TV"]'
        names = checks.texts(what, self.channels, "a list of names", fix)
        object.__setattr__(self, "channels", names)

    @property
    def movers(self) -> tuple[Moving, ...]:
        """What its effects move by: ``moving`` as it is read."""
        return self.moving  # type: ignore[return-value]

    @property
    def dims(self) -> tuple[str, ...]:  # type: ignore[override]
        """Those of the columns that effects move by."""
        return tuple(dim for one in self.movers for dim in one.dims)

    def labels(self, panel: Panel | None) -> Mapping[str, tuple[str, ...]]:
        """Of those columns."""
        return {dim: one.labels() for one in self.movers for dim in one.dims}

    def inputs(self, frame: Frame) -> Named:
        """Columns that effects move by."""
        return arrays(self.movers, frame, self.memory)

    def multiplier(self, p: Mapping[str, Any], x: Mapping[str, Any]) -> Array:
        """See :func:`mmmjax.terms.moving.multiplier`."""
        return multiplier(self.movers, p, x)

    def ahead(
        self, p: Mapping[str, Any], frame: Frame
    ) -> Float[Array, "geo channel time"] | None:
        """What a plan counts on: :meth:`multiplier` of a window after training, and of the
        periods after it that effects reach; None where effects do not move.
        """
        if not self.moving:
            return None
        return self.multiplier(
            p, {n: array for n, (array, _) in self.inputs(frame).items()}
        )

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
        prior, spread = Prior("HalfNormal", scale=media_share), 0.5
        if self.sign == "any":  # of geos they differ by as much as they are
            prior, spread = Prior("Normal", loc=0.0, scale=media_share), media_share
        beta = {"saturation_beta": Parameter((CHANNEL,), prior, pooled=spread)}
        out: dict[str, Parameter] = {}
        for part in (self.adstock.parameters(), self.saturation.parameters(), beta):
            for twice in out.keys() & part.keys():
                fix = "rename it in parameters() of your own kernel"
                checks.fail("parameter", twice, "spec", "a name that no other has", fix)
            out |= part
        return out

    def within(self) -> Mapping[str, Parameter]:
        """Those of campaigns, where the panel has any, and those that effects move by.

        Effects of a channel's campaigns differ by a third, rarely twofold.
        """
        prior = Prior("Normal", loc=0.0, scale=Prior("HalfNormal", scale=0.3))
        out = {"campaign_effect": Parameter((CAMPAIGN,), prior)}
        for one in self.movers:
            out |= one.parameters()
        return out

    def weights(
        self, effect: Float[Array, "geo campaign"], x: Mapping[str, Any]
    ) -> Float[Array, "geo campaign"]:
        """Weights of campaigns, whose mean over the media of training is 1 in a channel.

        Args:
            effect: campaign_effect of one draw.
            x: "member" (channel, campaign), 1 where a campaign is of a channel, and "part"
                (campaign,), its part of the media of the channel in training.
        """
        raw = jnp.exp(effect)
        return raw / ((raw * x["part"]) @ x["member"].T @ x["member"])

    def parts(
        self,
        p: Mapping[str, Any],
        media: Float[Array, "*cell time"],
        own: Float[Array, "*cell time"],
    ) -> Float[Array, "*cell time"]:
        """Part of an effect that is of a campaign: with the whole it adds up to 1.

        Args:
            p: Parameters of the campaign's channel.
            media: Weighted media of the channel.
            own: Those of the campaign.
        """
        if self.adstock_first:
            whole, mine = self.carried(p, media), self.carried(p, own)
        else:
            bent = self.saturation(media, p)
            ratio = own / jnp.where(media > 0, media, 1.0)
            whole, mine = self.adstock(bent, p), self.adstock(bent * ratio, p)
        return mine / jnp.where(whole > 0, whole, 1.0)

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
