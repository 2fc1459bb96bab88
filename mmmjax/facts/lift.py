"""A lift test in the steady state: more spend in every period brought more outcome."""

import datetime
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from mmmjax import checks, response
from mmmjax.arguments import checked
from mmmjax.arrays import Arrays
from mmmjax.facts.base import Fact, day_of
from mmmjax.findings import Finding
from mmmjax.panel import Panel
from mmmjax.scaling import Scale
from mmmjax.spec import Spec

__all__ = ["Lift"]


@checked
@dataclass(frozen=True)
class Lift(Fact):
    """At a constant spend ``x``, ``delta_x`` more brought ``delta_y`` more outcome.

    delta_y ~ Normal(response(x + delta_x) - response(x), sigma), where the response is
    what the channel brings in a period once carry-over is full.

    Args:
        channel: Its name.
        x: Spend a period without the test, >= 0: money, or media of an organic channel.
        delta_x: How much more, in the same unit; negative where spend was cut, not 0, and
            x + delta_x >= 0.
        delta_y: Outcome more a period, outcome units.
        sigma: Its standard error, > 0, outcome units.
        geo: Where; None: all geos together, spend spread over them as the channel's was.
        until: Last day of the test: a backtest and `Panel.split` leave out what was not
            known at the cut. None: known before the data.

    Raises:
        InputError: A number outside its range, or no date.

    Source: PyMC-Marketing's ``add_lift_test_measurements``, whose columns these are. Its
    law is a Gamma of scaled lifts; this one is a Normal in original units, which an
    estimate of the other sign is possible under.
    """

    kind: ClassVar[str] = "lift"
    channel: str
    x: float
    delta_x: float
    delta_y: float
    sigma: float
    geo: str | None = None
    until: str | datetime.date | None = None  # pyright: ignore

    def __post_init__(self) -> None:
        """Check the numbers and read the date."""
        at, own = f'of the lift of "{self.channel}"', {}
        own["x"] = checks.number(f"x {at}", self.x, low=0)
        own["delta_x"] = checks.number(f"delta_x {at}", self.delta_x)
        own["delta_y"] = checks.number(f"delta_y {at}", self.delta_y)
        fix = "its standard error in units of the outcome, a period"
        own["sigma"] = checks.number(
            f"sigma {at}", self.sigma, low=0, open_low=True, fix=fix
        )
        if own["delta_x"] == 0 or own["x"] + own["delta_x"] < 0:
            allowed = f"other than 0, and at least {-own['x']:g}: x + delta_x is spend too"
            fix = "what was spent more than x in a period, below 0 where it was cut"
            checks.fail(f"delta_x {at}", own["delta_x"], "", allowed, fix)
        if self.until is not None:
            own["until"] = day_of(f"until {at}", self.until)
        for name, value in own.items():
            object.__setattr__(self, name, value)

    def check(self, panel: Panel) -> None:
        """See :meth:`Fact.check`."""
        for field, got, have in (
            ("channel", self.channel, panel.channels),
            ("geo", self.geo, panel.geos),
        ):
            if got is not None and got not in have:
                what, fix = f"{field}s of the panel", "leave the lift out"
                checks.unknown(f"{field} of a lift", got, "", what, have, fix)

    def about(self, panel: Panel, geos: Iterable[str], channels: Iterable[str]) -> bool:
        """See :meth:`Fact.about`; what is of all geos together is not of some."""
        where = set(panel.geos) if self.geo is None else {self.geo}
        return self.channel in channels and where <= set(geos)

    def without_unit(self, panel: Panel, spec: Spec) -> str:
        """See :meth:`Fact.without_unit`: a curve is in units of its largest media."""
        ran = panel.media[:, panel.window, panel.channels.index(self.channel)].any(1)
        if spec.media_scale == "geo" and self.geo is not None:
            ran = ran[[panel.geos.index(self.geo)]]
        place = f' in geo "{self.geo}"' if self.geo is not None and len(ran) == 1 else ""
        return "" if ran.any() else f'"{self.channel}" never ran in training{place}'

    def findings(self) -> tuple[Finding, ...]:
        """Say that more spend brought less."""
        if self.delta_y * self.delta_x >= 0:
            return ()
        more, gain = f"{self.delta_x:+,.6g}", f"{self.delta_y:+,.6g}"
        apart = abs(self.delta_y) / self.sigma
        means = (
            "No effect of media that is not negative does that: the channel is drawn to 0"
        )
        remedy = f"Check the signs; the test is {apart:.1f} standard errors below 0"
        what = f'the lift test of "{self.channel}" has {gain} outcome for {more} spend'
        where = (self.channel,)
        return (Finding("note", "fact_sign", what, where, self.delta_y, means, remedy),)

    def formula(self) -> str:
        """See :meth:`Fact.formula`."""
        end = f"response({self.x:g} + {self.delta_x:g}) - response({self.x:g})"
        return f"{self.channel}: {self.delta_y:g} ~ Normal({end}, {self.sigma:g})"

    def arrays(self, panel: Panel, scale: Scale, spec: Spec) -> Mapping[str, np.ndarray]:
        """The channel, its two levels (2, geo), and the lift in units of one geo's."""
        c = panel.channels.index(self.channel)
        cost = scale.cost_per_unit[:, c]
        cost = np.where(np.isnan(cost), 1.0, cost)  # of an organic channel: media
        if self.geo is None:
            spread = panel.media[:, panel.window, c].sum(1) * cost
            spread = spread if spread.any() else np.ones_like(spread)
            used = np.ones(panel.n_geos)
        else:
            used = spread = np.array([g == self.geo for g in panel.geos], float)
        per_unit = spread / spread.sum() / cost / scale.media[:, c]
        unit = scale.outcome[used > 0].max()
        return {
            "channel": np.array(c, np.int32),
            "levels": np.array([self.x, self.x + self.delta_x])[:, None] * per_unit,
            "weight": used * scale.outcome / unit,
            "lift": np.array(self.delta_y / unit),
            "error": np.array(self.sigma / unit),
        }

    @staticmethod
    def log_density(
        p: Mapping[str, Any], x: Mapping[str, Any], spec: Spec, inputs: Arrays
    ) -> Array:
        """Normal density of the lift, in units of ``unit`` of :meth:`arrays`."""
        z = x["lift"] / x["error"] - Lift.predicted(p, x, spec, inputs)
        return -0.5 * z**2 - jnp.log(x["error"]) - 0.5 * math.log(2 * math.pi)

    def rows(self) -> list[dict[str, Any]]:
        """See :meth:`Fact.rows`."""
        name = f"{self.channel} {self.x:g} {self.delta_x:+g}"
        about = {"test": name, "channel": self.channel, "geo": self.geo or "ALL"}
        about |= {"start": "", "end": str(self.until or ""), "of": "per_period"}
        return [about | {"result": self.delta_y, "error": self.sigma}]

    @staticmethod
    def predicted(
        p: Mapping[str, Any], x: Mapping[str, Any], spec: Spec, inputs: Arrays
    ) -> Array:
        """See :meth:`Fact.predicted`."""
        geos, channels = inputs[response.MEDIA].shape[:2]
        respond = response.gains(p, inputs, spec, steady=True)

        def at(level: Array) -> Array:
            media = jnp.zeros((geos, channels, spec.memory), level.dtype)
            media = media.at[:, x["channel"]].set(level[:, None])
            steady = respond(media)[..., -1]
            return (steady[:, x["channel"]] * x["weight"]).sum()

        low, high = jax.vmap(at)(x["levels"])
        return (high - low) / x["error"]
