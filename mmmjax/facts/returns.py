"""The record of what is known of a return: see :mod:`mmmjax.facts.proportional`."""

import datetime
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np
import pandas as pd

from mmmjax import checks
from mmmjax.arguments import checked
from mmmjax.checks import Phrase
from mmmjax.facts.base import day_of
from mmmjax.facts.proportional import LAWS, Proportional
from mmmjax.findings import Finding
from mmmjax.panel import Panel
from mmmjax.panel.calendar import offset
from mmmjax.prior import FAMILIES, Prior, media_share
from mmmjax.scaling import Scale
from mmmjax.shapes import CHANNEL, GEO
from mmmjax.spec import Spec

__all__ = ["Return"]

COST = "cost_per_outcome"
QUANTITIES = ("roas", "mroas", "share", COST)


@checked
@dataclass(frozen=True)
class Return(Proportional):
    """The prior of a return of a channel over a window, in place of that of its effect.

    Give one of ``roas``, ``mroas``, ``share`` and ``cost_per_outcome``; it is of all geos
    together.

    Args:
        channel: Its name; None: all media together, which have a ``share``.
        roas: Prior of the outcome per unit of money, as ``mm.roas`` counts it.
        mroas: Prior of the outcome of the next unit of money, as ``mm.mroas`` counts it.
        share: Prior of the part of the observed outcome that it brought: 0.1 is 10%.
        cost_per_outcome: Prior of 1 / ROAS: money per unit of outcome.
        start: First day of the window; None: of training.
        end: Last day of the window; None: of training.
        until: Day from which it is known; None: known before the data.

    Raises:
        InputError: No prior or several, a family that a return cannot have, no date.

    Example:
        ``mm.facts.Return("TV", roas=mm.Prior("LogNormal", loc=0.7, scale=0.3))``: a median
        of 2, between 1.1 and 3.5 with 94%.
    """

    kind: ClassVar[str] = "return"
    channel: str | None = None
    roas: Any = None
    mroas: Any = None
    share: Any = None
    cost_per_outcome: Any = None
    start: str | datetime.date | None = None
    end: str | datetime.date | None = None
    until: str | datetime.date | None = None  # pyright: ignore

    def __post_init__(self) -> None:
        """Read the prior and the dates."""
        given = [name for name in QUANTITIES if getattr(self, name) is not None]
        line = 'roas = { dist = "LogNormal", loc = 0.7, scale = 0.3 }'
        if len(given) != 1:
            got = Phrase(checks.listing(given) if given else "none")
            allowed = f"one of {', '.join(QUANTITIES)}"
            checks.fail(f"prior of {self.named}", got, "", allowed, line)
        (name,) = given
        if self.channel is None and name != "share":
            fix, allowed = 'channel = "TV"', "a share, where it is of all media together"
            checks.fail(name, Phrase("a return of no channel"), "", allowed, fix)
        prior = getattr(self, name)
        prior = Prior.from_dict(prior) if isinstance(prior, Mapping) else prior
        what, fix = f"{name} of {self.named}", line.replace("roas", name)
        plain = isinstance(prior, Prior) and not (prior.nested or prior.pool or prior.dims)
        if not plain or not all(isinstance(v, float) for _, v in prior.params):
            checks.fail(what, prior, "", "a prior of one number", fix)
        if prior.family not in LAWS:
            fix = f"{name} = {_lognormal(prior)}"
            checks.fail(what, prior.family, "", checks.listing(LAWS, last="or"), fix)
        if self.channel is None and prior.support == "real":
            allowed = "a family of what is positive: with several effects it has no sign"
            fix = 'share = { dist = "Beta", concentration1 = 6.0, concentration0 = 14.0 }'
            checks.fail(what, prior.family, "", allowed, fix)
        object.__setattr__(self, name, prior)
        for field in ("start", "end", "until"):
            if (value := getattr(self, field)) is not None:
                value = day_of(f"{field} of {self.named}", value)
            object.__setattr__(self, field, value)
        first, last = self.start, self.end
        if first is not None and last is not None and first > last:  # pyright: ignore
            allowed, fix = f"a day from {first} on", "swap start and end"
            checks.fail(f"end of {self.named}", str(last), "", allowed, fix)

    @property
    def named(self) -> str:
        """As messages call it."""
        whole = "the return of all media"
        return whole if self.channel is None else f'the return of "{self.channel}"'

    @property
    def quantity(self) -> str:
        """Which one is known."""
        return next(name for name in QUANTITIES if getattr(self, name) is not None)

    @property
    def prior(self) -> Prior:
        """What is known of it."""
        return getattr(self, self.quantity)

    def check(self, panel: Panel) -> None:
        """See :meth:`Fact.check`."""
        if (name := self.channel) is not None:
            if name not in panel.channels:
                what = "channels of the panel"
                checks.unknown("channel of a return", name, "", what, panel.channels)
            if name in panel.organic and self.quantity != "share":
                fix = f'"{name}" = "its column of money" under [data.spend], or share = '
                fix += "{ ... } in place of it"
                got = Phrase(f'"{name}", which has no money')
                checks.fail(f"{self.quantity} of a return", got, "", "a paid channel", fix)
        every = [f for f in panel.facts if isinstance(f, Return)]
        mine = [f for f in every if None in (f.channel, name) or f.channel == name]
        if len(mine) > 1:
            got = Phrase(" and ".join(f.formula() for f in mine[:2]))
            allowed = "one a channel, or one of all media: each sets an effect's prior"
            fix = "mm.combine_studies makes one prior of several studies"
            checks.fail(f"facts about {self.named}", got, "", allowed, fix)

    def about(self, panel: Panel, geos: Iterable[str], channels: Iterable[str]) -> bool:
        """See :meth:`Fact.about`: a return is of all geos together."""
        known = self.channel is None or self.channel in channels
        return known and set(panel.geos) <= set(geos)

    def _window(self, panel: Panel) -> slice:
        """Its periods, counted from the first of training."""
        dates, n = panel.dates[panel.history :], panel.n_periods
        first, last = self.start, self.end
        begin = 0 if first is None else int(dates.searchsorted(np.datetime64(first)))
        end = n if last is None else int(dates.searchsorted(np.datetime64(last), "right"))
        return slice(begin, end)

    def dated(self, panel: Panel) -> "Return":
        """See :meth:`Fact.dated`: rows that come later do not move what is known."""
        days = panel.dates[panel.window].date
        return replace(self, start=self.start or days[0], end=self.end or days[-1])

    def without_unit(self, panel: Panel, spec: Spec) -> str:
        """See :meth:`Fact.without_unit`."""
        dates, span = panel.dates[panel.history :], self._window(panel)
        step = offset(panel.freq)
        ends: Any = (dates[0] - step, dates[-1] + step)
        early = self.start is not None and pd.Timestamp(self.start) < ends[0]
        late = self.end is not None and pd.Timestamp(self.end) > ends[1]
        about = "media" if self.channel is None else f'"{self.channel}"'
        if early or late or span.start >= span.stop:
            return f"{self.named} is of periods outside training"
        at = slice(None) if self.channel is None else panel.channels.index(self.channel)
        if not panel.media[:, panel.window, at][:, span].any():
            return f"{about} never ran in the window of {self.named}"
        known = panel.mask[:, panel.window][:, span].any()
        if self.quantity == "share" and not known:
            return f"no outcome is known in the window of {self.named}"
        return ""

    def _quantiles(self) -> list[float]:
        """Its 3%, 50% and 97%."""
        values, of = dict(self.prior.params), FAMILIES[self.prior.family].quantile
        return [float(of(np.asarray(q), **values)) for q in (0.03, 0.5, 0.97)]

    def findings(self) -> tuple[Finding, ...]:
        """Say what is believed of the return, in numbers."""
        lo, mid, hi = self._quantiles()
        name = self.quantity.replace("_", " ").replace("roas", "ROAS")
        who = "all media" if self.channel is None else self.channel
        what = f"{name} of {who} is known before the data speak: {mid:.3g}, between "
        what += f"{lo:.3g} and {hi:.3g} with 94%"
        means = "Its saturation_beta follows from that in every draw, not from its prior"
        return (Finding("note", "return_known", what, (who,), mid, means),)

    def formula(self) -> str:
        """See :meth:`Fact.formula`."""
        who = "all media" if self.channel is None else self.channel
        span = ""
        if self.start is not None or self.end is not None:
            span = f", {self.start or 'start'} to {self.end or 'end'}"
        return f"{who}: {self.quantity} ~ {self.prior!r}{span}"

    def to_dict(self) -> dict[str, Any]:
        """See :meth:`Fact.to_dict`."""
        return super().to_dict() | {self.quantity: self.prior.to_dict()}

    def arrays(self, panel: Panel, scale: Scale, spec: Spec) -> Mapping[str, np.ndarray]:
        """See :class:`Proportional`."""
        _check_model(self, panel, spec)
        span = self._window(panel)
        c = -1 if self.channel is None else panel.channels.index(self.channel)
        if self.quantity == "share":
            seen = panel.mask[:, panel.window][:, span]
            worth = panel.outcome[:, panel.window][:, span][seen].sum()
        else:
            worth = np.nansum(panel.spend[:, panel.window, c][:, span])
        every = [f for f in panel.facts if isinstance(f, Return)]
        asked = {"roas" if f.quantity == COST else f.quantity for f in every}
        numbers = {f.prior.family: np.ones(2) for f in every}
        own = [value for _, value in self.prior.params]
        numbers[self.prior.family][: len(own)] = own
        _, usual, most = self._quantiles()
        if self.prior.support == "real":
            usual = abs(usual) + most - usual
        mine = "roas" if self.quantity == COST else self.quantity
        return {
            "channel": np.array(c, np.int32),
            "start": np.array(span.start, np.int32),
            "stop": np.array(span.stop, np.int32),
            "unit": scale.outcome / worth,
            "middle": np.array(1.0 / usual if self.quantity == COST else usual),
            "inverse": np.array(self.quantity == COST),
            "law": np.array(LAWS.index(self.prior.family), np.int32),
            **({"total": np.array(1.0)} if self.channel is None else {}),
            **{name: np.array(float(name == mine)) for name in sorted(asked)},
            **dict(sorted(numbers.items())),
        }


def _check_model(fact: Return, panel: Panel, spec: Spec) -> None:
    """Refuse a model in which a return is not proportional to a coefficient of its own."""
    at = f"facts about {fact.named}"
    if not spec.likelihood.straight:
        got = Phrase("a model in which effects multiply")
        allowed = "effects that add up: else a return depends on all that sells beside it"
        fix = 'leave out link = "log" in likelihood, or say it as a lift test'
        checks.fail(at, got, "", allowed, fix)
    for pair in spec.interactions:
        if fact.channel is None or fact.channel in pair.channels:
            got = Phrase(f"channels that act together ({checks.listing(pair.channels)})")
            allowed = "channels that act alone: a pair's part is of two coefficients"
            fix = 'leave out [[model.term]] kind = "interaction", or this fact'
            checks.fail(at, got, "", allowed, fix)
    owners, asked = spec.owners(panel), fact.prior
    if fact.channel is not None:
        owners = owners[[panel.channels.index(fact.channel)]]
    for term in (spec.media[k] for k in sorted(set(owners.tolist()))):
        name = spec.full(term, "saturation_beta")
        prior, dims = spec.priors[name].typical, spec.priors[name].typical.dims or ()
        signed = prior.support == "real" and not spec.priors[name].pool
        wrong = {
            "numbers in it": bool(prior.nested),
            "pooled geos: a return of all says not what each brings": (
                GEO in dims and panel.n_geos > 1
            ),
            "a value for each channel": spec.dim(term, CHANNEL) not in dims,
            "a family of what is positive": not signed and prior.support != "positive",
            "HalfNormal, where all media are asked about": (
                fact.channel is None and prior.family != "HalfNormal"
            ),
        }
        for allowed in (text for text, bad in wrong.items() if bad):
            free = Prior("HalfNormal", scale=media_share).to_toml()
            fix = f"{name} = {free} under [model.priors]"
            checks.fail(f"{at}: prior of {name}", spec.priors[name], "", allowed, fix)
        if signed != (asked.support == "real"):
            allowed = "LogNormal, Gamma, HalfNormal or Beta: effects are positive"
            fix = f"{fact.quantity} = {_lognormal(asked)}"
            if signed:
                allowed = 'Normal: effects have any sign (sign = "any")'
                fix = 'leave out sign = "any" of this channel, or write Normal'
            checks.fail(at, asked, "", allowed, fix)
        if signed and fact.quantity == COST:
            allowed, fix = (
                "roas where effects have any sign: 1 / 0 is no cost",
                "roas = ...",
            )
            checks.fail(at, Phrase("cost_per_outcome"), "", allowed, fix)


def _lognormal(prior: Prior) -> str:
    """The LogNormal of the same mean and spread as a Normal, as one writes it."""
    values = dict(prior.params)
    mean, sd = values.get("loc", 0.0), values.get("scale", 1.0)
    if "Normal" not in prior.family or not mean > 0:
        mean, sd = 2.0, 0.6
    scale = math.sqrt(math.log1p((sd / mean) ** 2))
    loc = math.log(mean) - 0.5 * scale**2
    return f'{{ dist = "LogNormal", loc = {loc:.3g}, scale = {scale:.3g} }}'
