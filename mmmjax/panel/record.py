"""What a panel holds, and what follows from it."""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pandas as pd

from mmmjax import words
from mmmjax.checks import Phrase, amount, fail, listing, number, show, unknown
from mmmjax.findings import Finding
from mmmjax.panel.calendar import describe, offset
from mmmjax.panel.campaigns import Campaigns
from mmmjax.panel.channel import FREQUENCY, REACH
from mmmjax.panel.columns import Columns
from mmmjax.panel.national import by_period
from mmmjax.shapes import NATIONAL

__all__ = ["NUMBERS", "PanelRecord", "joined", "known", "numbers", "periods", "told"]

NUMBERS = ("outcome", "media", "spend", "controls", "present")


class Seen:
    """What follows from the numbers of a panel."""

    outcome: np.ndarray
    media: np.ndarray
    spend: np.ndarray
    dates: pd.DatetimeIndex
    geos: tuple[str, ...]
    channels: tuple[str, ...]
    population: np.ndarray | None
    history: int
    columns: Columns
    frequency: np.ndarray | None

    @property
    def mask(self) -> np.ndarray:
        """Whether the outcome was observed, (geo, time)."""
        return np.isfinite(self.outcome)

    @property
    def paid(self) -> np.ndarray:
        """Whether each channel has a spend, (channel,); the others are organic."""
        return ~np.isnan(self.spend).all((0, 1))

    @property
    def organic(self) -> tuple[str, ...]:
        """Names of the channels without spend."""
        return tuple(self.channels[i] for i in np.flatnonzero(~self.paid))

    @property
    def reached(self) -> tuple[str, ...]:
        """Names of the channels whose media are reach times frequency."""
        if self.frequency is None:
            return ()
        known = np.isfinite(self.frequency).any((0, 1))
        pairs = zip(self.channels, known, strict=True)
        return tuple(n for n, yes in pairs if yes or n in self.columns.reach)

    def usual_frequency(self) -> np.ndarray:
        """Impressions over reach of the window and all geos, (channel,); 1 if unknown."""
        if self.frequency is None:
            return np.ones(len(self.channels))
        seen = np.where(np.isfinite(self.frequency), self.media, 0.0)[:, self.window]
        reached = seen / np.where(seen > 0, self.frequency[:, self.window], 1.0)
        seen, reached = seen.sum((0, 1)), reached.sum((0, 1))
        return np.divide(seen, reached, np.ones_like(seen), where=reached > 0)

    @property
    def people(self) -> np.ndarray | None:
        """Population in every period, (geo, time); None where it is not known."""
        return by_period(self.population, len(self.dates))

    @property
    def window(self) -> slice:
        """The modelled periods: all after the history."""
        return slice(self.history, None)

    @property
    def n_geos(self) -> int:
        """Number of geos."""
        return len(self.geos)

    @property
    def n_periods(self) -> int:
        """Number of modelled periods, the history not counted."""
        return len(self.dates) - self.history


@dataclass(frozen=True, eq=False, repr=False)
class PanelRecord(Seen):
    """Fields and numbers of a panel; :class:`mmmjax.Panel` says what they are."""

    outcome: np.ndarray
    media: np.ndarray
    spend: np.ndarray
    controls: np.ndarray
    present: np.ndarray
    dates: pd.DatetimeIndex
    geos: tuple[str, ...]
    channels: tuple[str, ...]
    control_names: tuple[str, ...] = ()
    population: np.ndarray | None = None
    currency: str = ""
    outcome_name: str = "outcome"
    history: int = 0
    freq: str = "W-SUN"
    columns: Columns = field(default_factory=Columns)
    outcome_value: float | None = None
    said: tuple[Finding, ...] = ()
    facts: tuple[Any, ...] = ()
    groups: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    national: tuple[str, ...] = ()
    campaigns: Campaigns | None = None
    frequency: np.ndarray | None = None

    def __post_init__(self) -> None:
        """Copy the arrays, check their shapes and make them read only."""
        if self.outcome_value is not None:
            fix = "outcome_value=1.0 where the outcome is money, or the margin of one unit"
            value = number(
                "outcome_value", self.outcome_value, low=0, open_low=True, fix=fix
            )
            object.__setattr__(self, "outcome_value", value)
        for fact in self.facts:
            if not callable(getattr(fact, "check", None)) or isinstance(fact, type):
                fix = 'mm.facts.Lift("TV", x=..., delta_x=..., delta_y=..., sigma=...)'
                fail("facts", fact, "", "records of mm.facts", fix)
            fact.check(self)
        cells = (len(self.geos), len(self.dates))
        for name in self.national:
            if name not in self.channels:
                unknown("national", name, "", "channels", self.channels)
        shapes = {
            "outcome": cells,
            "media": (*cells, len(self.channels)),
            "spend": (*cells, len(self.channels)),
            "controls": (*cells, len(self.control_names)),
            "present": cells,
            "population": cells,
            "frequency": (*cells, len(self.channels)),
        }
        if self.population is not None and np.ndim(self.population) == 1:
            shapes["population"] = cells[:1]
        for name, shape in shapes.items():
            if (value := getattr(self, name)) is None:
                continue
            array = np.array(value, bool if name == "present" else np.float64)
            if array.shape != shape:
                fix = "build panels with Panel.from_frame"
                fail(name, Phrase(f"shape {array.shape}"), "", f"shape {shape}", fix)
            if name == "population" and array.ndim == 2 and (array == array[:, :1]).all():
                array = array[:, 0].copy()
            array.setflags(write=False)
            object.__setattr__(self, name, array)
        if self.campaigns is not None:
            array, shape = self.campaigns.media, (*cells, len(self.campaigns.names))
            if array.shape != shape or not {*self.campaigns.channels} <= {*self.channels}:
                fix = "build panels with Panel.from_frame"
                fail("campaigns", Phrase(f"shape {array.shape}"), "", f"shape {shape}", fix)
        for name, labels in self.groups.items():
            if len(labels) != len(self.geos):
                fix = "build panels with Panel.from_frame"
                fail(f"groups {name}", labels, "", "one name for each geo", fix)
        if len(self.columns.media) != len(self.channels):
            paid = zip(self.channels, self.paid, strict=True)
            columns = Columns(
                "date",
                self.outcome_name,
                self.channels,
                tuple(name if is_paid else None for name, is_paid in paid),
                self.control_names,
                None if self.geos == (NATIONAL,) else "geo",
                None if self.population is None else "population",
            )
            object.__setattr__(self, "columns", columns)

    def to_frame(self) -> pd.DataFrame:
        """Return the table the panel was read from: its own columns, dates sorted."""
        geo, time = np.nonzero(self.present)
        columns = self.columns
        table: dict[str, Any] = {columns.date: self.dates[time]}
        if columns.geo is not None or self.n_geos > 1:
            table[columns.geo or "geo"] = np.array(self.geos, dtype=object)[geo]
        if columns.outcome is not None:
            table[columns.outcome] = self.outcome[geo, time]
        for i, (media, money) in enumerate(zip(columns.media, columns.spend, strict=True)):
            whole = self.channels[i] in self.national  # again in every row
            amounts = [(media, self.media[..., i]), (money, self.spend[..., i])]
            if (own := columns.campaigns.get(self.channels[i])) is not None:
                amounts = _of_campaigns(self, i, own, columns.costs.get(self.channels[i]))
                if self.channels[i] not in columns.costs and money != media:
                    amounts.append((money, self.spend[..., i]))
            if (pair := columns.reach.get(self.channels[i])) and self.frequency is not None:
                often = self.frequency[..., i]
                people = np.where(np.isnan(often), 0.0, self.media[..., i] / often)
                amounts = [(pair[REACH], people), amounts[1]]
                table[pair[FREQUENCY]] = often[geo, time]
            for name, array in amounts:
                if name is not None and name not in table:
                    table[name] = array.sum(0)[time] if whole else array[geo, time]
        for i, name in enumerate(columns.controls):
            table[name] = self.controls[geo, time, i]
        if self.people is not None:
            table[columns.population or "population"] = self.people[geo, time]
        for name, own in self.groups.items():
            table[name] = np.array(own, dtype=object)[geo]
        return pd.DataFrame(table)

    def data_hash(self) -> str:
        """Return the SHA-256 of all numbers, dates and names, in hexadecimal."""
        digest = hashlib.sha256()
        names = (self.geos, self.channels, self.control_names, self.freq, self.history)
        digest.update(repr(names).encode())
        digest.update(np.asarray(self.dates, "datetime64[D]").astype("<i8").tobytes())
        people = np.zeros(0) if self.population is None else self.population
        for array in (*(getattr(self, name) for name in NUMBERS), people):
            plain = np.where(np.isnan(array), np.nan, array + 0.0)  # one NaN, no minus zero
            digest.update(repr(array.shape).encode() + plain.astype("<f8").tobytes())
        if self.national:
            digest.update(repr(self.national).encode())
        if self.campaigns is not None:
            digest.update(self.campaigns.said())
        if self.facts:
            digest.update(repr(self.facts).encode())
        if self.groups:
            digest.update(repr(dict(self.groups)).encode())
        if self.frequency is not None:
            digest.update(b"frequency" + self.frequency.astype("<f8").tobytes())
        return digest.hexdigest()

    _repr_html_ = words.in_html

    def __repr__(self) -> str:
        """Say what the panel holds, in a few lines."""
        span = f"{show(self.dates[0])} to {show(self.dates[-1])}"
        where = "national" if self.geos == (NATIONAL,) else f"{self.n_geos} geos"
        head = f"Panel: {where}, {len(self.dates)} periods ({describe(self.freq)}), {span}"
        rest = (f"  {label}: {text}" for label, text in told(self) if label != "training")
        return "\n".join([head, *rest])


def told(panel: PanelRecord) -> list[tuple[str, str]]:
    """What a panel holds, label and text, as repr, `mmmjax check` and the report say it."""
    noun, days = words.period_noun(panel.freq), panel.dates[panel.window]
    seen = panel.outcome[:, panel.window][panel.mask[:, panel.window]]
    outcome, cells = "none", panel.n_geos * panel.n_periods
    if seen.size:
        least, most = amount(seen.min()), amount(seen.max())
        outcome = f"{panel.outcome_name}, {amount(seen.mean())} a {noun} (from {least} to "
        outcome += f"{most}), {seen.size:,} of {cells:,} observed"
    span = f"{show(days[0])} to {show(days[-1])} ({describe(panel.freq)})"
    by = "outcome" if panel.population is None else "population"
    money = dict(zip(panel.channels, panel.spend.sum((0, 1)), strict=True))
    many: dict[str, Sequence[str]] = {
        "geos": panel.geos if panel.n_geos > 1 else (),
        f"spend {panel.currency}".strip(): [
            f"{n} {x:,.0f}" for n, x in money.items() if not np.isnan(x)
        ],
        "national": [f"{name}, divided by {by}" for name in panel.national],
        "campaigns": [] if panel.campaigns is None else panel.campaigns.labels,
        "organic": panel.organic,
        "reach": [
            f"{name}, seen {panel.usual_frequency()[panel.channels.index(name)]:.1f} times"
            for name in panel.reached
        ],
        "controls": panel.control_names,
    }
    named = {n: listing(map(Phrase, names), 12) for n, names in many.items() if names}
    for name in {"geos", "controls"} & named.keys():
        named[name] = f"{len(many[name])} ({named[name]})"
    before = [("history", f"{panel.history} {noun}s before, of media only")]
    return [
        ("outcome", outcome),
        ("training", f"{len(days)} {noun}s, {span}"),
        *(before if panel.history else ()),
        *named.items(),
        *((fact.kind, fact.formula()) for fact in panel.facts),
    ]


def numbers(
    panel: PanelRecord, change: Callable[[np.ndarray], np.ndarray]
) -> dict[str, np.ndarray]:
    """Return the arrays over (geo, time) that a panel has, each changed alike."""
    names = (*NUMBERS, *(["frequency"] if panel.frequency is not None else []))
    return {name: change(getattr(panel, name)) for name in names}


def periods[P: PanelRecord](panel: P, times: slice, history: int) -> P:
    """Return the panel of some periods, the first `history` of them not modelled."""
    arrays = numbers(panel, lambda x: x[:, times])
    people = None if panel.people is None else panel.people[:, times]
    own = {"population": people, "dates": panel.dates[times], "history": history}
    modelled = panel.dates[times][history:]
    own["facts"] = tuple(f for f in panel.facts if f.within(modelled, panel.freq))
    own["campaigns"] = panel.campaigns and panel.campaigns.each(lambda x: x[:, times])
    return replace(panel, **arrays, **own)


def joined[P: PanelRecord](first: P, second: P) -> P:
    """Return the panel of both, one after the other: the second is aligned and follows."""
    join = lambda name: np.concatenate([getattr(p, name) for p in (first, second)], axis=1)
    people = None if first.people is None else join("people")
    arrays = {name: join(name) for name in NUMBERS}
    if first.frequency is not None:
        nothing = np.full(second.media.shape, np.nan)
        then = nothing if second.frequency is None else second.frequency
        arrays["frequency"] = np.concatenate([first.frequency, then], axis=1)
    dates, own = first.dates.append(second.dates), first.campaigns
    if own is not None:
        then = own.like(second.campaigns, *second.outcome.shape)
        media = np.concatenate([own.media, then.media], axis=1)
        own = replace(own, media=media, spend=np.concatenate([own.spend, then.spend], 1))
    return replace(first, **arrays, population=people, dates=dates, campaigns=own)


def known[P: PanelRecord](panel: P) -> P:
    """Return the panel with the facts that were known at the end of its last period."""
    end: Any = panel.dates[-1] + offset(panel.freq)
    facts = (f for f in panel.facts if f.until is None or pd.Timestamp(f.until) < end)
    return replace(panel, facts=tuple(facts))


def _of_campaigns(
    panel: PanelRecord, i: int, own: Mapping[str, str], costs: Mapping[str, str] | None
) -> list[tuple[Any, np.ndarray]]:
    """Column and amounts (geo, time) of the campaigns of a channel."""
    channel, known = panel.channels[i], panel.campaigns
    found = []
    for name in own:
        label = f"{channel}: {name}"
        at = known.labels.index(label) if known and label in known.labels else None
        for kind, x, of in (("media", panel.media, own), ("spend", panel.spend, costs)):
            if of:
                share = 0.0 if at is None else getattr(known, kind)[..., at]
                found.append((of[name], x[..., i] * share))
    return found
