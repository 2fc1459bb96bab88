"""Panel: the frozen container of outcome, media, spend and controls over (geo, time)."""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from mmmjax import checks
from mmmjax.arguments import checked
from mmmjax.checks import InputError, Phrase, closest, fail, listing, number, show
from mmmjax.findings import Finding
from mmmjax.panel.calendar import check_follows, describe, offset
from mmmjax.panel.cells import date_of
from mmmjax.panel.columns import Columns, Names
from mmmjax.panel.dialect import KEYS, Dialect
from mmmjax.panel.dialect import NUMBERS as OF_NUMBERS
from mmmjax.panel.files import load_table
from mmmjax.panel.national import by_period, weights
from mmmjax.panel.reading import first_outcome, read, read_future
from mmmjax.shapes import NATIONAL

__all__ = [
    "Panel",
    "asked",
    "check_names",
    "dialect_of",
    "joined",
    "known",
    "periods",
    "spread",
]

NUMBERS = ("outcome", "media", "spend", "controls", "present")


@checked
@dataclass(frozen=True, eq=False, repr=False)
class Panel:
    """Outcome, media, spend and controls of one or more geos over regular periods.

    Arrays are NumPy float64 and read only. A national market is one geo, "national".

    Args:
        outcome: What is explained, (geo, time), outcome units; NaN where not observed.
        media: What each channel's effect is modelled on, (geo, time, channel), >= 0.
        spend: What it cost, (geo, time, channel), money; NaN for organic channels.
        controls: (geo, time, control); may be NaN in the history only.
        present: Whether the table had a row, (geo, time).
        dates: Start of each period (time,).
        geos: Names of the geos.
        channels: Names of the channels, in the user's order.
        control_names: Names of the controls.
        population: People in each geo (geo,), or (geo, time) where they change; or None.
        currency: Label of money in tables and pictures.
        outcome_name: Label of the outcome.
        history: Leading periods before the first outcome: media context, not modelled.
        freq: Length of a period, as a pandas frequency.
        columns: Where in the user's table each part came from.
        outcome_value: Money per unit of outcome, above 0; None: not known.
        said: What reading the table found, for the findings of the data.
        facts: What is known beside the outcome: records of ``mm.facts``.
        national: Channels whose media are one series, divided over the geos.
        groups: The group of each geo (geo,) by the name of its column, the coarsest first.
    """

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

    def __post_init__(self) -> None:
        """Copy the arrays, check their shapes and make them read only."""
        _freeze(self)

    @classmethod
    @checked
    def from_frame(
        cls,
        df: Any,
        *,
        date: str,
        media: Iterable[str] | Mapping[str, str],
        outcome: str | None = None,
        controls: Iterable[str] = (),
        geo: str | None = None,
        spend: Iterable[str] | Mapping[str, str] | None = None,
        population: str | None = None,
        groups: Iterable[str] = (),
        national: Iterable[str] = (),
        currency: str = "",
        freq: str | None = None,
        outcome_value: float | None = None,
        leave_empty: Any = None,
        facts: Iterable[Any] = (),
        **written: Any,
    ) -> "Panel":
        """Read a pandas DataFrame with one row per date (and geo), in any order.

        Args:
            df: The table.
            date: Column of dates: the start of each period, at one regular frequency.
            media: Columns of media, one per channel, or {channel: column}.
            outcome: Column of the outcome; empty cells are masked. None: no outcome.
            controls: Columns of controls; globs such as "hldy_*" are allowed.
            geo: Column that names the geo of each row; None: one national market.
            spend: {channel: column} of money, the others organic. None: media are spend.
            population: Column of the population of the geo, above 0; it may change.
            groups: Columns of what geos lie in, the coarsest first: ("country", "region").
            national: Channels whose columns hold one series of all geos, the same in every
                row of a date or in one of them: divided over the geos, counted once.
            currency: Label of money in tables and pictures.
            freq: Pandas frequency such as "W-SUN"; found from the dates if None.
            outcome_value: Money per unit of outcome, above 0: 1.0 where it is money, its
                margin where only a part is kept. It changes no draw and no table.
            leave_empty: Where the outcome is taken as not known: "ends" (each geo's zeros
                before its first and after its last other outcome), dates and
                "first:last", or one of these by geo. Media there still carry over.
            facts: What is known beside the outcome: records of ``mm.facts``.
            **written: How numbers are written in columns of text: `decimal`, `thousands`,
                `strip`, `accounting` and `missing`, as in [data] of a case file.
        """
        own = (date, outcome, media, controls, geo, spend, population, groups, national)
        told = {"currency": currency, "outcome_value": outcome_value, "facts": tuple(facts)}
        dialect = dialect_of(written, OF_NUMBERS) if written else None
        panel = cls(**read(df, Names(*own), freq, dialect, leave_empty), **told)
        return check_names(spread(panel))

    @classmethod
    @checked
    def from_file(cls, path: str | Path, **names: Any) -> "Panel":
        """Read a CSV, Parquet or Excel file.

        Args:
            path: The file.
            **names: Arguments of `from_frame`, and how the file is written: `separator`,
                `encoding`, `skip_rows`, `comment`, `sheet`, as in [data] of a case file.
        """
        dialect = dialect_of({k: names.pop(k) for k in KEYS if k in names})
        wanted, texts = asked(**names)
        frame = load_table(path, dialect, wanted=wanted, texts=texts)
        return cls.from_frame(frame, **names)

    @checked
    def read_future(self, table: Any, **written: Any) -> "Panel":
        """Read the periods after this panel: the same columns, without outcome.

        A paid channel may be given by its media, its spend or both; what is missing
        follows from the cost per unit of this panel.

        Args:
            table: A DataFrame or a file. A file is read as the training table was where
                it is written so, else as a plain one.
            **written: How it is written, where it differs: see `from_file`.
        """
        return _read_future(self, table, written)

    @checked
    def with_facts(self, facts: Iterable[Any]) -> "Panel":
        """Return the panel with these records of ``mm.facts`` in place of those it has."""
        return replace(self, facts=tuple(facts))

    @checked
    def split(self, date: Any) -> "tuple[Panel, Panel]":
        """Return the panel up to `date`, with the facts known then, and what follows."""
        return _split(self, date)

    @checked
    def select(self, geos: str | Iterable[str]) -> "Panel":
        """Return some geos and the facts about them, without periods that none has."""
        return _select(self, [geos] if isinstance(geos, str) else list(geos))

    def to_frame(self) -> pd.DataFrame:
        """Return the table the panel was read from: its own columns, dates sorted."""
        return _to_frame(self)

    def data_hash(self) -> str:
        """Return the SHA-256 of all numbers, dates and names, in hexadecimal."""
        return _data_hash(self)

    def cost_per_unit(self) -> np.ndarray:
        """Return money per unit of media, (geo, channel); NaN for organic channels."""
        return _cost_per_unit(self)

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

    def __repr__(self) -> str:
        """Say what the panel holds, in a few lines."""
        return _summary(self)


def _freeze(panel: Panel) -> None:
    if panel.outcome_value is not None:
        fix = "outcome_value=1.0 where the outcome is money, or the margin of one unit"
        value = number("outcome_value", panel.outcome_value, low=0, open_low=True, fix=fix)
        object.__setattr__(panel, "outcome_value", value)
    for fact in panel.facts:
        if not callable(getattr(fact, "check", None)) or isinstance(fact, type):
            fix = 'mm.facts.Lift("TV", x=..., delta_x=..., delta_y=..., sigma=...)'
            fail("facts", fact, "", "records of mm.facts", fix)
        fact.check(panel)
    cells = (len(panel.geos), len(panel.dates))
    if unknown := [name for name in panel.national if name not in panel.channels]:
        near = closest(unknown[0], panel.channels)
        fix = f'did you mean "{near}"?' if near else "leave it out"
        fail("national", unknown[0], "", f"channels ({listing(panel.channels)})", fix)
    shapes = {
        "outcome": cells,
        "media": (*cells, len(panel.channels)),
        "spend": (*cells, len(panel.channels)),
        "controls": (*cells, len(panel.control_names)),
        "present": cells,
        "population": cells,
    }
    if panel.population is not None and np.ndim(panel.population) == 1:
        shapes["population"] = cells[:1]
    for name, shape in shapes.items():
        if (value := getattr(panel, name)) is None:
            continue
        array = np.array(value, bool if name == "present" else np.float64)
        if array.shape != shape:
            fix = "build panels with Panel.from_frame"
            fail(name, Phrase(f"shape {array.shape}"), "", f"shape {shape}", fix)
        if name == "population" and array.ndim == 2 and (array == array[:, :1]).all():
            array = array[:, 0].copy()
        array.setflags(write=False)
        object.__setattr__(panel, name, array)
    for name, labels in panel.groups.items():
        if len(labels) != len(panel.geos):
            fix = "build panels with Panel.from_frame"
            fail(f"groups {name}", labels, "", "one name for each geo", fix)
    if len(panel.columns.media) != len(panel.channels):
        paid = zip(panel.channels, panel.paid, strict=True)
        columns = Columns(
            "date",
            panel.outcome_name,
            panel.channels,
            tuple(name if is_paid else None for name, is_paid in paid),
            panel.control_names,
            None if panel.geos == (NATIONAL,) else "geo",
            None if panel.population is None else "population",
        )
        object.__setattr__(panel, "columns", columns)


def check_names(panel: Panel) -> Panel:
    """The panel, refused where a name of it could not be saved or shown."""
    checks.name("currency", panel.currency or "none", fix='currency="EUR"')
    at, of = "rename the column of the table", panel.columns
    for geo in panel.geos:
        checks.name("geo", geo, fix="rename it in the table")
    for channel in panel.channels:
        checks.name("channel", channel, fix='media={"another name": "column"}')
    for column in (panel.outcome_name, *panel.control_names):
        checks.name("column", column, fix=at)
    for column in (of.date, of.geo, of.population, *of.media, *of.spend):
        checks.name("column", column or "none", also="\t\r\n", fix=at)  # of workbooks
    return panel


def periods(panel: Panel, times: slice, history: int) -> Panel:
    """Return the panel of some periods, the first `history` of them not modelled."""
    arrays = {name: getattr(panel, name)[:, times] for name in NUMBERS}
    people = None if panel.people is None else panel.people[:, times]
    own = {"population": people, "dates": panel.dates[times], "history": history}
    return replace(panel, **arrays, **own)


def spread(panel: Panel, like: Panel | None = None) -> Panel:
    """Return the panel with national media divided over its geos.

    Args:
        panel: The panel, its national media divided in some way.
        like: The training panel that it follows, of the same geos; None: it is that.
    """
    of = panel if like is None else like
    here = [panel.channels.index(name) for name in panel.national]
    share = weights(of.outcome[:, of.window], panel.people, panel.present)[..., None]
    arrays = {"media": panel.media.copy(), "spend": panel.spend.copy()}
    for array in arrays.values():
        array[..., here] = share * array[..., here].sum(0)
    old = {name: getattr(panel, name) for name in arrays}
    if all(np.allclose(a, old[n], 1e-12, 0.0, True) for n, a in arrays.items()):
        return panel
    return replace(panel, **arrays)


def joined(first: Panel, second: Panel) -> Panel:
    """Return the panel of both, one after the other: the second is aligned and follows."""
    join = lambda name: np.concatenate([getattr(p, name) for p in (first, second)], axis=1)
    people = None if first.people is None else join("people")
    arrays = {name: join(name) for name in NUMBERS}
    dates = first.dates.append(second.dates)
    return replace(first, **arrays, population=people, dates=dates)


def known(panel: Panel) -> Panel:
    """Return the panel with the facts that were known at the end of its last period."""
    end: Any = panel.dates[-1] + offset(panel.freq)
    facts = (f for f in panel.facts if f.until is None or pd.Timestamp(f.until) < end)
    return replace(panel, facts=tuple(facts))


def _split(panel: Panel, date: Any) -> tuple[Panel, Panel]:
    first, last = panel.dates[panel.history], panel.dates[-1]
    allowed = f"a date from {show(first)} to before {show(last)}, the modelled periods"
    fix = "name the last date of training, such as " + show(
        panel.dates[-1 - panel.n_periods // 8]
    )
    moment = date_of("split", date, panel.columns.date_format, panel.dates)
    cut = 0 if pd.isna(moment) else int(np.sum(panel.dates <= moment))
    if cut <= panel.history or cut >= len(panel.dates):
        fail("split", moment, "", allowed, fix)
    train = periods(panel, slice(None, cut), panel.history)
    return known(train), periods(panel, slice(cut, None), 0)


def _select(panel: Panel, names: list[str]) -> Panel:
    for name in names:
        if name not in panel.geos:
            near = closest(name, panel.geos)
            fix = f'did you mean "{near}"?' if near else "name geos of the panel"
            fail("geos", name, "", f"geos of the panel ({listing(panel.geos)})", fix)
    if not names or len(set(names)) != len(names):
        fix = "name each geo once"
        fail("geos", names, "", "at least one geo, each once", fix)
    index = [panel.geos.index(name) for name in names]
    arrays = {name: getattr(panel, name)[index] for name in NUMBERS}
    people = None if panel.population is None else panel.population[index]
    facts = tuple(f for f in panel.facts if f.about(panel, names, panel.channels))
    groups = {name: tuple(own[i] for i in index) for name, own in panel.groups.items()}
    one = {"geos": tuple(names), "population": people, "facts": facts, "groups": groups}
    chosen = replace(panel, **arrays, **one)
    seen = np.flatnonzero(chosen.present.any(0))
    times = slice(int(seen[0]), int(seen[-1]) + 1) if seen.size else slice(None)
    outcome = chosen.outcome[:, times]
    forced = panel.history < first_outcome(panel.outcome)  # a test panel has no history
    history = 0 if forced else first_outcome(outcome)
    return periods(chosen, times, history)


def dialect_of(given: Mapping[str, Any], allowed: Iterable[str] = KEYS) -> Dialect:
    """The dialect of keys of [data]; refuse others than `allowed`."""
    for key in given:
        if key not in allowed:
            near = closest(key, allowed)
            fix = f'did you mean "{near}"?' if near else "leave it out"
            where = " of a table in memory" if key in KEYS else ""
            fail("argument", key, "", f"arguments{where}: {listing(allowed, 20)}", fix)
    return Dialect(**given)


def asked(
    *,
    date: Any = None,
    outcome: Any = None,
    media: Any = (),
    controls: Any = (),
    geo: Any = None,
    spend: Any = None,
    population: Any = None,
    groups: Any = (),
    **_: Any,
) -> tuple[set[str], set[str]]:
    """Names of the columns that are asked for, and those of them with text or dates."""
    many = [*(v.values() if isinstance(v, Mapping) else v or () for v in (media, spend))]
    more = (controls or (), groups or ())
    many = [[one] if isinstance(one, str) else one for one in (*many, *more)]
    listed = [str(name) for names in many if isinstance(names, Iterable) for name in names]
    plain = [name for name in listed if not any(mark in name for mark in "*?[")]
    alone = [str(name) for name in (date, outcome, geo, population) if name is not None]
    texts = {str(name) for name in (date, geo, *many[-1]) if name is not None}
    return {*plain, *alone}, texts


def _read_future(panel: Panel, table: Any, written: Mapping[str, Any]) -> Panel:
    columns, errors, fields = panel.columns, [], None
    file = isinstance(table, (str, Path))
    texts = {name for name in (columns.date, columns.geo) if name}
    wanted = texts | {name for name in (*columns.media, *columns.controls)}
    ways = [written] if written or not file else [columns.dialect, {}]
    for way in ways[: 1 + bool(columns.dialect)]:
        dialect = dialect_of(way)
        try:
            frame = table
            if file:
                frame = load_table(table, dialect, wanted=wanted, texts=texts, future=True)
            names, costs = (panel.channels, panel.geos), panel.cost_per_unit()
            fields = read_future(
                frame, columns, *names, costs, panel.freq, dialect, panel.national
            )
            break
        except InputError as error:
            errors.append(error)
    if fields is None:
        raise errors[-1]
    check_follows(fields["dates"], panel.dates[-1], panel.freq)
    same = ("groups", "outcome_name", "currency", "outcome_value")
    kept = {name: getattr(panel, name) for name in same}
    if fields["population"] is None and panel.people is not None:
        kept["population"] = panel.people[:, -1]
    return spread(Panel(**(fields | kept)), panel)


def _to_frame(panel: Panel) -> pd.DataFrame:
    """Write one row per date and geo that was present, under the original names."""
    geo, time = np.nonzero(panel.present)
    columns = panel.columns
    table: dict[str, Any] = {columns.date: panel.dates[time]}
    if columns.geo is not None or panel.n_geos > 1:
        table[columns.geo or "geo"] = np.array(panel.geos, dtype=object)[geo]
    if columns.outcome is not None:
        table[columns.outcome] = panel.outcome[geo, time]
    for i, (media, money) in enumerate(zip(columns.media, columns.spend, strict=True)):
        whole = panel.channels[i] in panel.national  # again in every row
        for name, array in ((media, panel.media), (money, panel.spend)):
            if name is not None and name not in table:
                table[name] = array[..., i].sum(0)[time] if whole else array[geo, time, i]
    for i, name in enumerate(columns.controls):
        table[name] = panel.controls[geo, time, i]
    if panel.people is not None:
        table[columns.population or "population"] = panel.people[geo, time]
    for name, own in panel.groups.items():
        table[name] = np.array(own, dtype=object)[geo]
    return pd.DataFrame(table)


def _data_hash(panel: Panel) -> str:
    digest = hashlib.sha256()
    names = (panel.geos, panel.channels, panel.control_names, panel.freq, panel.history)
    digest.update(repr(names).encode())
    digest.update(np.asarray(panel.dates, "datetime64[D]").astype("<i8").tobytes())
    people = np.zeros(0) if panel.population is None else panel.population
    for array in (*(getattr(panel, name) for name in NUMBERS), people):
        plain = np.where(np.isnan(array), np.nan, array + 0.0)  # one NaN, no minus zero
        digest.update(repr(array.shape).encode() + plain.astype("<f8").tobytes())
    if panel.national:
        digest.update(repr(panel.national).encode())
    if panel.facts:
        digest.update(repr(panel.facts).encode())
    if panel.groups:
        digest.update(repr(dict(panel.groups)).encode())
    return digest.hexdigest()


def _cost_per_unit(panel: Panel) -> np.ndarray:
    """Total spend / total media of the modelled periods, per geo.

    A geo without media or without spend of a channel takes the channel's overall ratio,
    and so do all geos of a national one; a channel with neither anywhere costs 1 a unit.
    """
    media = panel.media[:, panel.window].sum(1)
    spend = panel.spend[:, panel.window].sum(1)  # NaN for organic channels
    total_media, total_spend = media.sum(0), spend.sum(0)
    known = (total_media > 0) & (total_spend > 0)
    overall = np.divide(total_spend, total_media, np.ones_like(total_media), where=known)
    overall = np.where(panel.paid, overall, np.nan)
    both = (media > 0) & (spend > 0) & ~np.isin(panel.channels, panel.national)
    return np.divide(spend, media, np.broadcast_to(overall, media.shape).copy(), where=both)


def _summary(panel: Panel) -> str:
    span = f"{show(panel.dates[0])} to {show(panel.dates[-1])}"
    where = "national" if panel.geos == (NATIONAL,) else f"{panel.n_geos} geos"
    lines = [f"Panel: {where}, {len(panel.dates)} periods ({describe(panel.freq)}), {span}"]
    seen, cells = int(panel.mask[:, panel.window].sum()), panel.n_geos * panel.n_periods
    if seen:
        mean = np.nanmean(panel.outcome)
        lines.append(
            f"  {panel.outcome_name}: {seen} of {cells} observed, mean {mean:,.6g}"
        )
    else:
        lines.append("  outcome: none")
    if panel.history:
        lines.append(f"  history: {panel.history} leading periods of media only")
    if panel.n_geos > 1:
        lines.append(f"  geos: {listing(map(Phrase, panel.geos))}")
    money = panel.spend.sum((0, 1))
    unit = f" {panel.currency}" if panel.currency else ""
    paid = [
        Phrase(f"{name} {total:,.0f}")
        for name, total in zip(panel.channels, money, strict=True)
        if not np.isnan(total)
    ]
    if paid:
        lines.append(f"  spend{unit}: {listing(paid, 12)}")
    if panel.national:
        by = "outcome" if panel.population is None else "population"
        lines.append(
            f"  national, divided by {by}: {listing(map(Phrase, panel.national), 12)}"
        )
    if panel.organic:
        lines.append(f"  organic: {listing(map(Phrase, panel.organic), 12)}")
    if panel.control_names:
        named = listing(map(Phrase, panel.control_names), 12)
        lines.append(f"  controls: {len(panel.control_names)} ({named})")
    lines += [f"  {fact.kind} {fact.formula()}" for fact in panel.facts]
    return "\n".join(lines)
