"""Panel: the frozen container of outcome, media, spend and controls over (geo, time)."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from mmmjax import checks
from mmmjax.arguments import checked
from mmmjax.checks import InputError, closest, fail, listing, show, unknown
from mmmjax.panel.calendar import check_follows
from mmmjax.panel.campaigns import columns_in
from mmmjax.panel.cells import date_of
from mmmjax.panel.columns import Names
from mmmjax.panel.dialect import CELLS, KEYS, Dialect
from mmmjax.panel.files import load_table
from mmmjax.panel.national import weights
from mmmjax.panel.reading import first_outcome, read, read_future
from mmmjax.panel.record import PanelRecord, known, numbers, periods

__all__ = [
    "Panel",
    "asked",
    "check_names",
    "dialect_of",
    "spread",
]


@checked
@dataclass(frozen=True, eq=False, repr=False)
class Panel(PanelRecord):
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
        campaigns: What some channels are sums of.
        frequency: Exposures of each reached, (geo, time, channel); else NaN.
    """

    @classmethod
    @checked
    def from_frame(
        cls,
        df: Any,
        *,
        date: str,
        media: Iterable[str] | Mapping[str, Any],
        outcome: str | None = None,
        controls: Iterable[str] = (),
        geo: str | None = None,
        spend: Iterable[str] | Mapping[str, Any] | None = None,
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
            media: Columns of media, one per channel, or {channel: column}; of a channel
                that is a sum of campaigns (creatives) {campaign: column}, spend alike; or
                {"column": "sends", "organic": True}, or {"reach": ..., "frequency": ...}.
            outcome: Column of the outcome; empty cells are masked. None: no outcome.
            controls: Columns of controls; globs such as "hldy_*" are allowed.
            geo: Column that names the geo of each row; None: one national market.
            spend: {channel: column} of money, the others organic. None: media are spend.
            population: Column of the population of the geo, above 0; it may change.
            groups: Columns of what geos lie in, the coarsest first: ("country", "region").
            national: Channels of one series of all geos, in every row of a date or in one.
            currency: Label of money in tables and pictures.
            freq: Pandas frequency such as "W-SUN"; found from the dates if None.
            outcome_value: Money per unit of outcome, above 0: 1.0 where it is money.
            leave_empty: Where the outcome is not known: "ends" (each geo's zeros before its
                first and after its last other outcome), dates, "first:last", or by geo.
            facts: What is known beside the outcome: records of ``mm.facts``.
            **written: How text is written: `decimal`, `date_format` and the like of [data].
        """
        own = (date, outcome, media, controls, geo, spend, population, groups, national)
        told = {"currency": currency, "outcome_value": outcome_value, "facts": tuple(facts)}
        dialect = dialect_of(written, CELLS) if written else None
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
        follows from the cost per unit of this panel. Geos that this panel lacks come last
        (of a fit without them see :func:`mmmjax.add_geos`): their people and groups are in
        the table where this panel has such columns.

        Args:
            table: A DataFrame or a file. A file is read as the training table was where
                it is written so, else as a plain one.
            **written: How it is written, where it differs: see `from_file`.
        """
        columns, errors, fields = self.columns, [], None
        file = isinstance(table, (str, Path))
        texts = {name for name in (columns.date, columns.geo) if name}
        wanted = texts | {name for name in (*columns.media, *columns.controls)}
        wanted |= {*columns_in(columns.campaigns), *columns_in(columns.reach)}
        ways = [written] if written or not file else [columns.dialect, {}]
        for way in ways[: 1 + bool(columns.dialect)]:
            dialect = dialect_of(way)
            try:
                frame = table
                if file:
                    frame = load_table(
                        table, dialect, wanted=wanted, texts=texts, future=True
                    )
                fields = read_future(frame, self, self.cost_per_unit(new=1), dialect)
                break
            except InputError as error:
                errors.append(error)
        if fields is None:
            raise errors[-1]
        check_follows(fields["dates"], self.dates[-1], self.freq)
        return spread(Panel(**fields), self)

    @checked
    def with_facts(self, facts: Iterable[Any]) -> "Panel":
        """Return the panel with these records of ``mm.facts`` in place of those it has."""
        return replace(self, facts=tuple(facts))

    @checked
    def split(self, date: Any) -> "tuple[Panel, Panel]":
        """Return the panel up to `date`, with the facts known then, and what follows."""
        first, last = self.dates[self.history], self.dates[-1]
        allowed = f"a date from {show(first)} to before {show(last)}, the modelled periods"
        near = show(self.dates[-1 - self.n_periods // 8])
        fix = f"name the last date of training, such as {near}"
        moment = date_of("split", date, self.columns.date_format, self.dates)
        cut = 0 if pd.isna(moment) else int(np.sum(self.dates <= moment))
        if cut <= self.history or cut >= len(self.dates):
            fail("split", moment, "", allowed, fix)
        train = periods(self, slice(None, cut), self.history)
        return known(train), periods(self, slice(cut, None), 0)

    @checked
    def select(self, geos: str | Iterable[str]) -> "Panel":
        """Return some geos and the facts about them, without periods that none has."""
        names = [geos] if isinstance(geos, str) else list(geos)
        for name in names:
            if name not in self.geos:
                fix = "name geos of the panel"
                unknown("geos", name, "", "geos of the panel", self.geos, fix)
        if not names or len(set(names)) != len(names):
            fail("geos", names, "", "at least one geo, each once", "name each geo once")
        index = [self.geos.index(name) for name in names]
        arrays = numbers(self, lambda x: x[index])
        people = None if self.population is None else self.population[index]
        facts = tuple(f for f in self.facts if f.about(self, names, self.channels))
        groups = {name: tuple(own[i] for i in index) for name, own in self.groups.items()}
        one = {"geos": tuple(names), "population": people, "facts": facts, "groups": groups}
        own = self.campaigns and self.campaigns.each(lambda x: x[index])
        chosen = replace(self, **arrays, **one, campaigns=own)
        seen = np.flatnonzero(chosen.present.any(0))
        times = slice(int(seen[0]), int(seen[-1]) + 1) if seen.size else slice(None)
        forced = self.history < first_outcome(self.outcome)  # a test panel has no history
        history = 0 if forced else first_outcome(chosen.outcome[:, times])
        return periods(chosen, times, history)

    def cost_per_unit(self, new: int = 0) -> np.ndarray:
        """Return money per unit of media, (geo, channel); NaN for organic channels.

        Total spend / total media of the modelled periods. A geo without media or without
        spend of a channel takes the channel's overall ratio, and so do all geos of a
        national one; a channel with neither anywhere costs 1 a unit. So many new geos,
        of which nothing is known, come last.
        """
        media = np.pad(self.media[:, self.window].sum(1), ((0, new), (0, 0)))
        spend = self.spend[:, self.window].sum(1)  # NaN for organic channels
        spend = np.pad(spend, ((0, new), (0, 0)))
        total_media, total_spend = media.sum(0), spend.sum(0)
        known = (total_media > 0) & (total_spend > 0)
        overall = np.divide(
            total_spend, total_media, np.ones_like(total_media), where=known
        )
        overall = np.where(self.paid, overall, np.nan)
        both = (media > 0) & (spend > 0) & ~np.isin(self.channels, self.national)
        return np.divide(
            spend, media, np.broadcast_to(overall, media.shape).copy(), where=both
        )


def check_names(panel: Panel) -> Panel:
    """The panel, refused where a name of it could not be saved or shown."""
    checks.name("currency", panel.currency or "none", fix='currency="EUR"')
    at, of = "rename the column of the table", panel.columns
    for geo in panel.geos:
        checks.name("geo", geo, fix="rename it in the table")
    for channel in panel.channels:
        checks.name("channel", channel, fix='media={"another name": "column"}')
    for campaign in panel.campaigns.names if panel.campaigns else ():
        checks.name("campaign", campaign, fix='campaigns={"another name": "column"}')
    for column in (panel.outcome_name, *panel.control_names):
        checks.name("column", column, fix=at)
    for column in (of.date, of.geo, of.population, *of.media, *of.spend):
        checks.name("column", column or "none", also="\t\r\n", fix=at)  # of workbooks
    return panel


def spread(panel: Panel, like: Panel | None = None) -> Panel:
    """Return the panel with national media divided over its geos.

    Args:
        panel: The panel, its national media divided in some way.
        like: The training panel that it follows, of the same geos; None: it is that.
    """
    if not panel.national:
        return panel
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
    many = [columns_in(one or ()) for one in (media, spend, controls, groups)]
    listed = [str(name) for names in many if isinstance(names, Iterable) for name in names]
    plain = [name for name in listed if not any(mark in name for mark in "*?[")]
    alone = [str(name) for name in (date, outcome, geo, population) if name is not None]
    texts = {str(name) for name in (date, geo, *many[-1]) if name is not None}
    return {*plain, *alone}, texts
