"""Put a table together: rows of any order become arrays over (geo, time)."""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from mmmjax.checks import InputError, Phrase, closest, fail, listing, unknown
from mmmjax.panel.calendar import no_gaps, no_repeats, regular
from mmmjax.panel.campaigns import Campaigns
from mmmjax.panel.cells import Source, read_dates, read_geos, read_numbers
from mmmjax.panel.channel import FREQUENCY, REACH
from mmmjax.panel.columns import Columns, Names, resolve
from mmmjax.panel.dialect import Dialect
from mmmjax.panel.empty import left_empty
from mmmjax.panel.files import ORIGIN, Origin
from mmmjax.panel.national import one_series
from mmmjax.panel.record import NUMBERS, PanelRecord
from mmmjax.shapes import (
    CAMPAIGN,
    CHAIN,
    CHANNEL,
    CONTROL,
    DATE,
    DRAW,
    FOURIER,
    GEO,
    NATIONAL,
)

__all__ = ["first_outcome", "read", "read_future"]

DIMS = (
    GEO,
    DATE,
    CHANNEL,
    CAMPAIGN,
    CONTROL,
    FOURIER,
    CHAIN,
    DRAW,
    "time",
    "media",
    "order",
)
"""Names that dims and arrays have already, so that no group has them."""


def read(
    df: Any,
    names: Names,
    freq: str | None,
    dialect: Dialect | None = None,
    leave_empty: Any = None,
) -> dict[str, Any]:
    """Return the fields of a `Panel` read from `df`; see `Panel.from_frame`."""
    frame = _frame(df)
    columns, channels = resolve(frame, names)
    origin: Origin | None = frame.attrs.get(ORIGIN)
    dialect = dialect or (Dialect() if origin is None else origin.dialect)
    numbers = {
        column: field
        for field, column in columns.used()
        if field not in ("date", "geo", "groups")
    }
    for own in dialect.columns() if origin is None or not origin.future else ():
        if own not in numbers:
            unknown("decimal, thousands", own, "", "a column of numbers", numbers)
    source = Source(frame, names.date, names.geo, origin, dialect, numbers)
    dates, way = read_dates(source)
    columns = replace(columns, date_format=way, dialect=dialect.given())
    source = replace(source, dates=dates)
    codes, geos = np.zeros(len(frame), int), (NATIONAL,)
    if names.geo is not None:
        codes, geos = read_geos(source)
        source = replace(source, geos=np.array(geos, dtype=object)[codes])
    no_repeats(source, codes, columns)
    dates, freq = regular(source, codes, freq)
    cells = (codes, np.searchsorted(dates.to_numpy(), source.dates))
    present = np.zeros((len(geos), len(dates)), bool)
    present[cells] = True
    no_gaps(present, dates, geos)
    national = [names.national] if isinstance(names.national, str) else names.national
    whole = tuple(map(str, national))
    if whole and names.geo is None:
        fix = 'geo = "the column of geos", or leave national out'
        fail("national", whole[0], "", "channels of a table with geos", fix)
    values = _values(source, columns, channels, cells, present, np.isin(channels, whole))
    if leave_empty is not None:
        values["outcome"] = left_empty(leave_empty, values["outcome"], dates, geos, way)
    history = first_outcome(values["outcome"]) if names.outcome else 0
    _controls_known(source, columns, values["controls"], cells, history)
    people = _population(source, names.population, cells, present)
    if people is not None and columns.reach:
        _at_most_all(source, columns, channels, values, people, cells, whole)
    return {
        **values,
        "present": present,
        "dates": dates,
        "geos": geos,
        "channels": channels,
        "control_names": columns.controls,
        "population": people,
        "national": whole,
        "groups": _groups(source, columns.groups, codes, len(geos)),
        "outcome_name": names.outcome or "outcome",
        "history": history,
        "freq": freq,
        "columns": columns,
        "said": tuple(source.said),
    }


def first_outcome(outcome: np.ndarray) -> int:
    """Return the first period in which any geo has an outcome; 0 if none ever has."""
    return int(np.isfinite(outcome).any(0).argmax())


def _frame(df: Any) -> pd.DataFrame:
    if not isinstance(df, pd.DataFrame):
        fix = "pass a pandas DataFrame"
        if isinstance(df, (str, Path)):
            fix = "read a file with Panel.from_file(path, ...)"
        elif hasattr(df, "to_pandas"):
            fix = "pass df.to_pandas()"
        kind = f"{type(df).__module__}.{type(df).__name__}".removeprefix("builtins.")
        got = Phrase(f"an object of type {kind}")
        fail("df", got, "", "a pandas DataFrame", fix)
    if not len(df):
        fix = "check the filter or the file that made it"
        fail("df", Phrase("a table without rows"), "", "one row per date and geo", fix)
    return df.set_axis([str(column) for column in df.columns], axis=1)


def _values(
    source: Source,
    columns: Columns,
    channels: tuple[str, ...],
    cells: tuple[np.ndarray, np.ndarray],
    present: np.ndarray,
    national: np.ndarray,
) -> dict[str, Any]:
    """Read all numbers onto the grid: 0 where a geo has no row, NaN for what is unknown."""
    shape = present.shape
    outcome = np.full(shape, np.nan)
    if columns.outcome is not None:
        outcome[cells] = read_numbers(source, columns.outcome, "outcome")
    media = np.zeros((*shape, len(columns.media)))
    spend, frequency = np.zeros_like(media), np.full_like(media, np.nan)
    pairs, parts = list[tuple[str, str]](), (list[np.ndarray](), list[np.ndarray]())
    for i, (column, money) in enumerate(zip(columns.media, columns.spend, strict=True)):
        kind = _whole if national[i] else _amounts

        def grids(field: str, names: Iterable[str], kind: Any = kind) -> list[np.ndarray]:
            found = [np.zeros(shape) for _ in names]
            for grid, name in zip(found, names, strict=True):
                grid[cells] = kind(source, name, field, cells, present)
            return found

        name = channels[i]
        own, costs = columns.campaigns.get(name, {}), columns.costs.get(name, {})
        pair = columns.reach.get(name)
        if pair:
            (reached,) = grids(REACH, [pair[REACH]])
            often = np.full(shape, np.nan)
            often[cells] = _frequency(
                source, pair, reached[cells], cells if national[i] else None, present
            )
            frequency[..., i] = np.where(reached > 0, often, np.nan)
            each = [np.where(reached > 0, reached * often, 0.0)]
        else:
            each = grids("media", own.values() or [column])
        media[..., i] = sum(each[1:], start=each[0])
        bought = each
        if money is None:
            spend[..., i], bought = np.nan, [np.full(shape, np.nan) for _ in each]
        elif money != column:
            bought = grids("spend", costs.values() or [money])
            spend[..., i] = sum(bought[1:], start=bought[0])
            bought = bought if costs else [np.full(shape, np.nan) for _ in each]
        else:
            spend[..., i] = media[..., i]
        if own:
            pairs += [(name, campaign) for campaign in own]
            parts[0].extend(each)
            parts[1].extend(bought)
    controls = np.zeros((*shape, len(columns.controls)))
    for i, column in enumerate(columns.controls):
        controls[..., i][cells] = read_numbers(source, column, "controls")
    stacked = (np.stack(part, -1) if part else np.zeros((*shape, 0)) for part in parts)
    campaigns = Campaigns.of(pairs, *stacked)
    found = {"outcome": outcome, "media": media, "spend": spend, "controls": controls}
    found["frequency"] = frequency if columns.reach else None
    return found | {"campaigns": campaigns}


def _frequency(
    source: Source,
    pair: Mapping[str, str],
    reached: np.ndarray,
    cells: tuple[np.ndarray, np.ndarray] | None,
    present: np.ndarray,
) -> np.ndarray:
    """Exposures of each person reached, of every row; at least 1 where there are any.

    Args:
        source: The table.
        pair: Columns of reach and frequency.
        reached: People reached, of every row.
        cells: Of a national channel, whose frequency stands in all rows of a date or in
            one; None of another.
        present: Whether there is a row, (geo, time).
    """
    column = pair[FREQUENCY]
    values = read_numbers(source, column, FREQUENCY)
    if cells is not None:
        grid = np.full(present.shape, np.nan)
        grid[cells] = values
        series, other = one_series(grid)
        if (bad := np.flatnonzero(other[cells])).size:
            got, fix = Phrase("another than in other rows of the date"), "write the same"
            where = source.where(int(bad[0]), column)
            fail("national frequency", got, where, "one value a date", fix)
        values = series[cells[1]]
    if (bad := np.flatnonzero((reached > 0) & ~(values >= 1))).size:
        row = int(bad[0])
        more = f" ({bad.size} such cells in this column)" if bad.size > 1 else ""
        got = "a missing value" if np.isnan(values[row]) else f"{values[row]:.10g}"
        got = Phrase(f"{got} where {reached[row]:,.10g} are reached")
        fix = (
            f'exposures a period divided by "{pair[REACH]}", the people reached at least '
            "once in it: write it so, or swap the two columns if they are swapped"
        )
        where = source.where(row, column) + more
        fail(FREQUENCY, got, where, "numbers of 1 or more", fix)
    return values


def _at_most_all(
    source: Source,
    columns: Columns,
    channels: tuple[str, ...],
    values: Mapping[str, Any],
    people: np.ndarray,
    cells: tuple[np.ndarray, np.ndarray],
    whole: tuple[str, ...],
) -> None:
    """Refuse more people reached in a period than there are."""
    for name, pair in columns.reach.items():
        i = channels.index(name)
        reached, there = values["media"][..., i] / values["frequency"][..., i], people
        if name in whole:
            reached = np.broadcast_to(np.nansum(reached, 0), people.shape)
            there = np.broadcast_to(people.sum(0), people.shape)
        bad = np.flatnonzero((reached > there * (1 + 1e-9))[cells])
        if bad.size:
            at = tuple(int(index[bad[0]]) for index in cells)
            got = Phrase(f"{reached[at]:,.10g} of a population of {there[at]:,.10g}")
            fix = (
                "count each person once in a period (impressions are reach times "
                "frequency), in the unit of the population"
            )
            where = source.where(int(bad[0]), pair[REACH])
            fail(REACH, got, where, "at most the population", fix)


def _whole(
    source: Source,
    column: str,
    field: str,
    cells: tuple[np.ndarray, np.ndarray],
    present: np.ndarray,
) -> np.ndarray:
    """Read national media or spend; each row gets the same part of its date's value."""
    values = _amounts(source, column, field, gaps=True)
    grid = np.full(present.shape, np.nan)
    grid[cells] = values
    series, other = one_series(grid)
    told = f"{column}, one value a date"
    if (bad := np.flatnonzero(np.isnan(grid).all(0)[cells[1]])).size:
        where = source.where(int(bad[0]), column)
        fix = "write it in one row of the date, or in all; 0 where nothing ran"
        fail(field, Phrase("no value of the date"), where, told, fix)
    if (bad := np.flatnonzero(other[cells])).size:
        row = int(bad[0])
        got = Phrase(f"{values[row]:.10g} beside {series[cells[1][row]]:.10g}")
        fix = "write the same in all rows of a date, or in one of them and 0 in the others"
        fix += "; what differs by geo is not national: take it out of national"
        fail(f"national {field}", got, source.where(row, column), told, fix)
    return (series / present.sum(0))[cells[1]]


def _amounts(
    source: Source, column: str, field: str, *_: Any, gaps: bool = False
) -> np.ndarray:
    """Read media or spend: known in every row, unless with gaps; never negative."""
    values = read_numbers(source, column, field)
    if (bad := np.flatnonzero(np.isnan(values))).size and not gaps:
        more = f" ({bad.size} missing cells in this column)" if bad.size > 1 else ""
        where = source.where(int(bad[0]), column) + more
        fix = f'write 0 where nothing ran (pandas: df["{column}"].fillna(0))'
        fail(field, Phrase("a missing value"), where, "finite numbers of 0 or more", fix)
    if (bad := np.flatnonzero(values < 0)).size:
        more = f" ({bad.size} negative cells in this column)" if bad.size > 1 else ""
        where = source.where(int(bad[0]), column) + more
        fix = "book refunds and corrections in the period of the original bill, or write 0"
        fail(field, values[bad[0]], where, "finite numbers of 0 or more", fix)
    return values


def _controls_known(
    source: Source,
    columns: Columns,
    controls: np.ndarray,
    cells: tuple[np.ndarray, np.ndarray],
    history: int,
) -> None:
    """Refuse missing controls from the first outcome on; the history needs media only."""
    unknown = np.isnan(controls[cells]) & (cells[1] >= history)[:, None]
    for i in np.flatnonzero(unknown.any(0))[:1]:
        bad, column = np.flatnonzero(unknown[:, i]), columns.controls[i]
        more = f" ({bad.size} missing cells in this column)" if bad.size > 1 else ""
        where = source.where(int(bad[0]), column) + more
        fix = (
            "fill it: with 0 for something that did not happen, with the last known "
            f'value for a level such as a price (df["{column}"].ffill())'
        )
        fail("controls", Phrase("a missing value"), where, "finite numbers", fix)


def _population(
    source: Source,
    column: str | None,
    cells: tuple[np.ndarray, np.ndarray],
    present: np.ndarray,
) -> np.ndarray | None:
    """People in every period (geo, time); where a geo has no row, as in the row before."""
    if column is None:
        return None
    values = read_numbers(source, column, "population")
    if (bad := np.flatnonzero(~(values > 0))).size:
        where = source.where(int(bad[0]), column)
        fix = "fill in the population of the geo, in all its rows"
        fail("population", values[bad[0]], where, "numbers above 0", fix)
    people = np.full(present.shape, np.nan)
    people[cells] = values
    return pd.DataFrame(people).ffill(axis=1).bfill(axis=1).to_numpy()


def _groups(
    source: Source, columns: tuple[str, ...], codes: np.ndarray, geos: int
) -> dict[str, tuple[str, ...]]:
    """The groups that each geo lies in, the same in all its rows."""
    if columns and source.geo is None:
        fix = 'geo="the column of geos", or leave groups out'
        fail("groups", columns[0], "", "groups of geos: a geo column", fix)
    out: dict[str, tuple[str, ...]] = {}
    for column in columns:
        if not column.isidentifier() or column in DIMS:
            allowed = f"a name of letters, digits and _, none of {listing(DIMS, 20)}"
            fail("groups", column, "", allowed, "rename the column of the table")
        own, names = read_geos(source, column)
        first = np.zeros(geos, int)
        first[codes[::-1]] = own[::-1]
        if (bad := np.flatnonzero(own != first[codes])).size:
            row = int(bad[0])
            got = Phrase(f'"{names[own[row]]}" after "{names[first[codes[row]]]}"')
            fix = "correct the cell, or name two geos apart where they share a name"
            allowed = f"one {column} per geo, the same in all its rows"
            fail(f"groups {column}", got, source.where(row, column), allowed, fix)
        out[column] = tuple(names[k] for k in first)
    return out


def read_future(
    df: Any, train: PanelRecord, cost_per_unit: np.ndarray, dialect: Dialect | None = None
) -> dict[str, Any]:
    """Return the fields of a panel that follows `train`: its columns, without outcome.

    A paid channel may come as media, as spend, or as both: what is missing follows from
    `cost_per_unit` (geo, channel), its last row that of new geos. These come last. Money of
    a channel of reach buys impressions, at the frequency in its column or the usual one.
    """
    columns, channels, geos = train.columns, train.channels, train.geos
    national, frame = train.national, _frame(df)
    have = set(frame.columns)
    _all_there(columns, channels, have)
    origin: Origin | None = frame.attrs.get(ORIGIN)
    dialect = dialect or (Dialect() if origin is None else origin.dialect)
    source = Source(frame, columns.date, columns.geo, origin, dialect)
    codes, names, new = np.zeros(len(frame), int), (NATIONAL,), []
    if columns.geo is not None:
        codes, names = read_geos(source)
        new = _new_geos(train, names, have)
        codes = np.array([geos.index(n) if n in geos else len(geos) for n in names])[codes]
    for i, (media, money) in enumerate(zip(columns.media, columns.spend, strict=True)):
        gaps, own = channels[i] in national, columns.campaigns.get(channels[i], {})
        if own:
            cost = cost_per_unit[codes, i]
            frame = _bought(source, frame, own, columns.costs.get(channels[i], {}), cost)
            if money in (None, media) or columns.costs.get(channels[i]) or money in have:
                continue
            amounts = [_amounts(source, c, "media", gaps=gaps) for c in own.values()]
            frame = frame.assign(**{money: sum(amounts) * cost})
        elif pair := columns.reach.get(channels[i]):
            cost, alone = cost_per_unit[codes, i], codes[:0]
            if pair[REACH] not in have:
                seen = _amounts(source, str(money), "spend", gaps=gaps) / cost
                times: Any = train.usual_frequency()[i]
                if pair[FREQUENCY] in have:
                    times = _frequency(source, pair, seen, None, alone)
                    times = np.where(seen > 0, times, 1.0)
                both = {pair[REACH]: seen / times, pair[FREQUENCY]: times}
                frame = frame.assign(**both)
            elif money is not None and money not in have:
                reached = _amounts(source, pair[REACH], REACH, gaps=gaps)
                times = _frequency(source, pair, reached, None, alone)
                seen = np.where(reached > 0, reached * times, 0.0)
                frame = frame.assign(**{money: seen * cost})
        elif media not in have and money is not None:
            known = _amounts(source, money, "spend", gaps=gaps)
            frame = frame.assign(**{media: known / cost_per_unit[codes, i]})
        elif money is not None and money not in have:
            known = _amounts(source, media, "media", gaps=gaps)
            frame = frame.assign(**{money: known * cost_per_unit[codes, i]})
    people = columns.population if columns.population in have else None
    asked = columns.names(channels)._replace(outcome=None, population=people)
    asked = asked._replace(national=national, groups=columns.groups if new else ())
    frame.attrs = df.attrs
    fields = read(frame, asked, train.freq, dialect)
    there = dict(zip(fields["geos"], fields["present"], strict=True))
    for name in new:  # with the very rows that one of nearly its name lacks
        near = closest(name, geos)
        if near and not (there[name] & there[near]).any():
            known = f"the geos of training ({listing(geos)})"
            fail("future table", name, "geo", known, f'did you mean "{near}"?')
    found, late, groups = fields["geos"], fields["groups"], dict(train.groups)
    for name in groups if new else ():
        groups[name] = (*groups[name], *(late[name][found.index(geo)] for geo in new))
    order = [found.index(name) for name in (*geos, *new)]
    for name in (*NUMBERS, FREQUENCY, "population"):
        fields[name] = fields[name] if fields[name] is None else fields[name][order]
    if fields["campaigns"] is not None:
        fields["campaigns"] = fields["campaigns"].each(lambda x: x[order])
    if fields["population"] is None and train.people is not None:
        fields["population"] = train.people[:, -1]
    same = ("columns", "outcome_name", "currency", "outcome_value")
    kept = {name: getattr(train, name) for name in same}
    return fields | kept | {"geos": (*geos, *new), "groups": groups}


def _bought(
    source: Source,
    frame: pd.DataFrame,
    media: Mapping[str, str],
    costs: Mapping[str, str],
    cost: np.ndarray,
) -> pd.DataFrame:
    """With media of campaigns where only their spend is given, and the other way round."""
    for name, money in costs.items():
        if media[name] not in frame:
            known = _amounts(source, money, "spend", gaps=True)
            frame = frame.assign(**{media[name]: known / cost})
        elif money not in frame:
            known = _amounts(source, media[name], "media", gaps=True)
            frame = frame.assign(**{money: known * cost})
    return frame


def _new_geos(train: PanelRecord, names: tuple[str, ...], have: set[str]) -> list[str]:
    """Geos of a future table that training lacks; all of training must be there.

    Refused where the table does not say of them what a fit needs.
    """
    geos, known = train.geos, f"the geos of training ({listing(train.geos)})"
    new = [name for name in names if name not in geos]
    absent = [name for name in geos if name not in names]
    for name in new:
        if near := closest(name, absent):
            fail("future table", name, "geo", known, f'did you mean "{near}"?')
    if absent:
        raise InputError(
            f"future table: no rows for geo {listing(absent)}. Allowed: every geo of "
            "training. Fix: add its rows, with 0 where nothing is planned."
        )
    wanted = [train.columns.population, *train.columns.groups]
    lacks = [Phrase(f'"{name}"') for name in wanted if name and name not in have]
    if new and train.national:
        got = Phrase(f"geo {listing(new, 6)} beside national {listing(train.national, 6)}")
        fix = "leave out its rows, or fit again with its rows of training"
        fail("future table", got, "", f"{known}: national media are divided over them", fix)
    if new and lacks:
        got = Phrase(f"geo {listing(new, 6)} without {listing(lacks, 6)}")
        allowed, fix = "the columns of training for new geos", "add them in all rows"
        fail("future table", got, "", allowed, fix)
    return new


def _all_there(columns: Columns, channels: tuple[str, ...], have: set[str]) -> None:
    """Say everything a future table lacks at once."""
    wanted = [columns.date, columns.geo, *columns.controls]
    missing = [Phrase(f'"{name}"') for name in wanted if name and name not in have]
    of_campaigns = [
        (column, columns.costs.get(channel, {}).get(name))
        for channel, own in columns.campaigns.items()
        for name, column in own.items()
    ]
    sums = {" + ".join(own.values()) for own in columns.campaigns.values()}
    sums |= {" * ".join(own.values()) for own in columns.reach.values()}
    plain = zip(columns.media, columns.spend, strict=True)
    for media, money in (*(pair for pair in plain if pair[0] not in sums), *of_campaigns):
        if media not in have and money not in have:
            either = f'"{media}"' if money in (None, media) else f'"{media}" or "{money}"'
            missing.append(Phrase(either))
    for channel, own in columns.reach.items():
        money = columns.spend[channels.index(channel)]
        if {*own.values()} - have and (money not in have or own[REACH] in have):
            lacks = [f'"{name}"' for name in own.values() if name not in have]
            other = f' (or "{money}" in place of both)' if money else ""
            missing.append(Phrase(" and ".join(lacks) + other))
    if missing:
        fix = (
            "add these columns, named as in training: the spend (or media) planned for "
            "each channel and the value of each control"
        )
        got = Phrase(f"a table without {listing(missing, 40)}")
        fail("future table", got, "", "the columns of the training table", fix)
