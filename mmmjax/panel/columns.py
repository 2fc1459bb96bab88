"""Find the columns a user named: every name exists, is used once and clashes with none."""

import dataclasses
import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any, NamedTuple

import pandas as pd

from mmmjax.checks import InputError, Phrase, closest, fail, listing, show
from mmmjax.panel.campaigns import named, same_names
from mmmjax.panel.channel import read_tables

__all__ = ["Columns", "Names", "resolve"]

RESERVED = ("baseline", "controls", "fitted", "intercept", "mean", "seasonality", "trend")
"""Components beside the channels in every table of results."""


class Names(NamedTuple):
    """What the user asked for, before it is looked up: see `Panel.from_frame`."""

    date: str
    outcome: str | None
    media: Iterable[str] | Mapping[str, Any]
    controls: Iterable[str] = ()
    geo: str | None = None
    spend: Iterable[str] | Mapping[str, Any] | None = None
    population: str | None = None
    groups: Iterable[str] = ()
    national: Iterable[str] = ()


@dataclass(frozen=True)
class Columns:
    """Which columns of the user's table a panel was read from.

    Args:
        date: Column of dates.
        outcome: Column of the outcome; None for a table without one.
        media: Column of each channel's media, in channel order; of a channel of campaigns
            their columns, with " + " between, of reach and frequency with " * ".
        spend: Column of each channel's spend; the media column where media is spend,
            None for organic channels.
        controls: Column of each control.
        geo: Column of geos; None for one national market.
        population: Column of the population of each geo.
        date_format: How the dates are written, such as "%d/%m/%Y"; None: ISO, or no text.
        dialect: How the table is written, as keys of [data].
        groups: Columns of groups of geos, the coarsest first.
        campaigns: By channel, the column of the media of each of its campaigns.
        costs: The same of their spend, where that has columns of its own.
        reach: By channel, its columns of "reach" and "frequency".
    """

    date: str = "date"
    outcome: str | None = "outcome"
    media: tuple[str, ...] = ()
    spend: tuple[str | None, ...] = ()
    controls: tuple[str, ...] = ()
    geo: str | None = None
    population: str | None = None
    date_format: str | None = None
    dialect: dict[str, Any] = dataclasses.field(default_factory=dict, hash=False)
    groups: tuple[str, ...] = ()
    campaigns: dict[str, Any] = dataclasses.field(default_factory=dict, hash=False)
    costs: dict[str, Any] = dataclasses.field(default_factory=dict, hash=False)
    reach: dict[str, Any] = dataclasses.field(default_factory=dict, hash=False)

    def names(self, channels: tuple[str, ...]) -> Names:
        """Return what to ask for to read the same columns again."""
        paired = list(zip(channels, self.spend, strict=True))
        same = zip(channels, self.media, self.spend, strict=True)
        summed = {name for name, media, money in same if media == money}
        return Names(
            self.date,
            self.outcome,
            dict(zip(channels, self.media, strict=True)) | self.campaigns | self.reach,
            self.controls,
            self.geo,
            {name: column for name, column in paired if column is not None}
            | {name: own for name, own in self.campaigns.items() if name in summed}
            | self.costs,
            self.population,
            self.groups,
        )

    def used(self) -> Iterator[tuple[str, str]]:
        """Yield (field, column) for every use of a column that must be the only one."""
        for field in ("date", "geo", "outcome", "population"):
            if (column := getattr(self, field)) is not None:
                yield field, column
        every = (*self.campaigns.values(), *self.costs.values())
        sums = {" + ".join(own.values()) for own in every}
        sums |= {" * ".join(own.values()) for own in self.reach.values()}
        yield from (pair for own in self.reach.values() for pair in own.items())
        yield from (("media", column) for column in self.media if column not in sums)
        yield from (
            ("campaigns", c) for own in self.campaigns.values() for c in own.values()
        )
        yield from (("controls", column) for column in self.controls)
        yield from (("groups", column) for column in self.groups)
        paid = zip(self.spend, self.media, strict=True)
        apart = (money for money, media in paid if money and money != media)
        yield from (("spend", money) for money in apart if money not in sums)
        yield from (("spend", c) for own in self.costs.values() for c in own.values())

    def without(self, labels: Iterable[str]) -> "Columns":
        """Those that are left without some campaigns, "TV: Spot A"."""
        gone, tables, sums = {*labels}, list[dict[str, Any]](), dict[str | None, str]()
        for of in (self.campaigns, self.costs):
            tables.append({})
            for channel, own in of.items():
                left = {n: c for n, c in own.items() if f"{channel}: {n}" not in gone}
                sums[" + ".join(own.values())] = " + ".join(left.values())
                tables[-1] |= {channel: left} if len(left) > 1 else {}
        media = tuple(sums.get(name, name) for name in self.media)
        spend = tuple(sums.get(name, name) for name in self.spend)
        campaigns, costs = tables
        return dataclasses.replace(
            self, media=media, spend=spend, campaigns=campaigns, costs=costs
        )


def resolve(frame: pd.DataFrame, names: Names) -> tuple[Columns, tuple[str, ...]]:
    """Find what a user named among the columns of `frame`; return it and the channels."""
    have = [str(column) for column in frame.columns]
    for field in ("date", "outcome", "geo", "population"):
        if (column := getattr(names, field)) is not None:
            _exists(field, column, have, frame)
    media, spend, reach = read_tables(names.media, names.spend)
    campaigns, costs = dict[str, Any](), dict[str, Any]()
    if isinstance(media, Mapping):
        media, campaigns = _summed("media", media, have, frame)
        alone = {k: v for k, v in media.items() if k not in {**campaigns, **reach}}
        _direction("media", alone, have)
        pairs = {str(name): str(column) for name, column in media.items()}
        for name, column in alone.items():
            _exists(f'media "{name}"', str(column), have, frame)
        for name, own in reach.items():
            for key, column in own.items():
                _exists(f'{key} of "{name}"', column, have, frame)
        channels, media_columns = tuple(pairs), tuple(pairs.values())
    else:
        channels = media_columns = _expand("media", media, have, frame)
    if isinstance(spend, Mapping):
        spend, costs = _summed("spend", spend, have, frame)
        for name, own in costs.items():
            same_names(name, campaigns.get(name, {}), own)
    columns = Columns(
        names.date,
        names.outcome,
        media_columns,
        _spend(spend, channels, media_columns, have, frame, costs),
        _expand("controls", names.controls, have, frame),
        names.geo,
        names.population,
        groups=_expand("groups", names.groups, have, frame),
        campaigns=campaigns,
        costs={name: own for name, own in costs.items() if own != campaigns[name]},
        reach=reach,
    )
    _used_once(columns, have)
    _no_clash(channels, columns.controls)
    return columns, channels


def _exists(field: str, column: str, have: list[str], frame: pd.DataFrame) -> None:
    if column in have:
        return
    if column in [str(name) for name in frame.index.names]:
        fix = f'"{column}" is the index: pass df.reset_index()'
    elif len(several := re.split(r"\s*[,;|]\s*", column.strip())) > 1 and {*several} <= {
        *have
    }:
        fix = f"write each in quotation marks of its own: {json.dumps(several)}"
    elif near := closest(column, have):
        fix = f'did you mean "{near}"?'
    elif len(have) == 1 and (marks := [mark for mark in ";\t|" if mark in have[0]]):
        decimal = ', decimal=","' if marks[0] == ";" else ""
        fix = (
            "the table was read as a single column, its separator is not a comma: read it "
            f"with pd.read_csv(path, sep={marks[0]!r}{decimal}) and Panel.from_frame"
        )
    else:
        fix = "name a column of the table"
    fail(field, column, "", f"a column of the table ({listing(have, 12)})", fix)


def _summed(
    field: str, given: Mapping[str, Any], have: list[str], frame: pd.DataFrame
) -> tuple[dict[str, Any], dict[str, dict[str, str]]]:
    """Columns by channel, those of campaigns with + between, and those of each campaign."""
    tables = {str(name): own for name, own in given.items() if isinstance(own, Mapping)}
    campaigns = {name: named(field, name, own) for name, own in tables.items()}
    for channel, own in campaigns.items():
        for name, column in own.items():
            _exists(f'{field} "{channel}" campaign "{name}"', column, have, frame)
    sums = {channel: " + ".join(own.values()) for channel, own in campaigns.items()}
    return {str(name): sums.get(str(name), own) for name, own in given.items()}, campaigns


def _direction(field: str, mapping: Mapping[str, str], have: list[str]) -> None:
    """Tell {column: name} from the {name: column} that is meant."""
    turned = [k for k, v in mapping.items() if str(k) in have and str(v) not in have]
    if mapping and len(turned) == len(mapping):
        key, value = next(iter(mapping.items()))
        fail(
            field,
            Phrase(f"{{{show(key)}: {show(value)}}}"),
            "",
            "{channel name: column of the table}",
            f"turn it round, {{{show(value)}: {show(key)}}}, or name columns that exist",
        )


def _expand(
    field: str, names: Iterable[str], have: list[str], frame: pd.DataFrame
) -> tuple[str, ...]:
    """Replace globs by the columns they match, in table order; exact names go first."""
    names = [names] if isinstance(names, str) else [str(name) for name in names]
    twice = next((name for name, count in Counter(names).items() if count > 1), None)
    if twice is not None:
        fail(field, Phrase(f'"{twice}" twice'), "", "each name once", "remove one")
    found, known = {}, set(have)
    for name in names:
        if name in known or not any(mark in name for mark in "*?["):
            _exists(field, name, have, frame)
            found[name] = None
            continue
        matched = [column for column in have if fnmatchcase(column, name)]
        if not matched:
            near = closest(name.rstrip("*"), have)
            fix = "correct the pattern or leave it out"
            fix += f'; the table has, for example, "{near}"' if near else ""
            allowed = f"a pattern that matches columns ({listing(have, 12)})"
            fail(field, name, "", allowed, fix)
        found.update(dict.fromkeys(matched))
    return tuple(found)


def _spend(
    spend: Iterable[str] | Mapping[str, str] | None,
    channels: tuple[str, ...],
    media_columns: tuple[str, ...],
    have: list[str],
    frame: pd.DataFrame,
    costs: Mapping[str, Any],
) -> tuple[str | None, ...]:
    if spend is None:
        return media_columns
    if not isinstance(spend, Mapping):
        listed = _expand("spend", spend, have, frame)
        if len(listed) != len(channels):
            fail(
                "spend",
                Phrase(f"{len(channels)} channels but spend columns {listing(listed)}"),
                "",
                "one column per channel, in the order of media, or a mapping",
                'pass spend={"channel": "column"}; channels left out of it are organic',
            )
        return listed
    spend = {name: column for name, column in spend.items() if column is not None}
    for name, column in spend.items():
        if str(name) not in channels:
            near = closest(name, channels)
            if near is None and str(column) in channels:
                _direction("spend", spend, [str(name)])
            fix = f'did you mean "{near}"?' if near else "add it to media or remove it"
            fail("spend", str(name), "", f"a channel of media ({listing(channels)})", fix)
        if str(name) not in costs:
            _exists(f'spend of "{name}"', str(column), have, frame)
    given = {str(name): str(column) for name, column in spend.items()}
    return tuple(given.get(name) for name in channels)


def _used_once(columns: Columns, have: list[str]) -> None:
    seen: dict[str, str] = {}
    times = Counter(have)
    for field, column in columns.used():
        if column in seen:
            of = "another campaign" if field == "campaigns" else "another channel"
            other = of if seen[column] == field else seen[column]
            got = Phrase(f'"{column}", which is the column of {other} too')
            fail(field, got, "", "each column used once", _twice(field, column))
        if (count := times[column]) > 1:
            raise InputError(
                f'{field}: the table has {count} columns named "{column}". Allowed: '
                "one. Fix: rename or drop all but one of them."
            )
        seen[column] = field


def _twice(field: str, column: str) -> str:
    if field == "spend":
        return "give each channel its own spend; a shared bill must be divided first"
    if field == "controls":
        return f'take "{column}" out of controls (a glob may have caught it)'
    return f'take "{column}" out of one of them'


def _no_clash(channels: tuple[str, ...], controls: tuple[str, ...]) -> None:
    seen: dict[str, str] = {}
    for kind, names in (("media", channels), ("controls", controls)):
        for name in names:
            plain = name.strip().casefold()
            if not plain:
                fail(kind, name, "", "a name with letters", "rename the column")
            if kind == "media" and plain in RESERVED:
                allowed = f"a channel name other than {listing(RESERVED, 20, 'or')}"
                fix = f'rename it: media={{"{name} channel": "{name}"}}'
                fail(kind, name, "", allowed, fix)
            if plain in seen:
                got = Phrase(f'"{name}" beside "{seen[plain]}"')
                allowed = "names that differ by more than case and spaces"
                fix = 'give the channel another name: media={"name": "column"}'
                fail(kind, got, "", allowed, fix)
            seen[plain] = name
