"""Campaigns or creatives below a channel: its media are their sum, and these are shares."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from mmmjax.checks import Phrase, fail, listing

__all__ = ["CAMPAIGNS", "Campaigns", "columns_in", "named", "same_names"]

CAMPAIGNS = "campaigns"
"""Key of the table of campaigns of a channel."""


@dataclass(frozen=True, eq=False)
class Campaigns:
    """What channels are the sum of.

    Shares stay what they are where a channel's media or spend are changed, so a channel
    that is multiplied, divided over geos or emptied keeps its campaigns.

    Args:
        names: Of each campaign.
        channels: The channel of each.
        media: Its share of the media of its channel, (geo, time, campaign); 0 where the
            channel has none, or where it is not known: then they are as in training.
        spend: Its share of the spend of its channel; NaN where no column says.
    """

    names: tuple[str, ...]
    channels: tuple[str, ...]
    media: np.ndarray
    spend: np.ndarray

    @classmethod
    def of(
        cls, pairs: list[tuple[str, str]], media: np.ndarray, spend: np.ndarray
    ) -> "Campaigns | None":
        """From amounts (geo, time, campaign) and (channel, campaign); None of none."""
        if not pairs:
            return None
        channels, names = zip(*pairs, strict=True)
        same = np.array([[a == b for b in channels] for a in channels], float)

        def shares(x: np.ndarray) -> np.ndarray:
            whole, lack = np.nan_to_num(x) @ same, np.isnan(x) @ same > 0
            return np.where(lack, np.nan, x / np.where(whole > 0, whole, 1.0))

        return cls(names, channels, shares(media), shares(spend))

    @property
    def labels(self) -> tuple[str, ...]:
        """One name of each: "TV: Spot A"."""
        pairs = zip(self.channels, self.names, strict=True)
        return tuple(f"{channel}: {name}" for channel, name in pairs)

    def said(self) -> bytes:
        """All of it, for a hash."""
        plain = (np.where(np.isnan(x), np.nan, x + 0.0) for x in (self.media, self.spend))
        return repr(self.labels).encode() + b"".join(x.tobytes() for x in plain)

    def each(self, change: Callable[[np.ndarray], np.ndarray]) -> "Campaigns":
        """The same with both arrays changed alike."""
        return replace(self, media=change(self.media), spend=change(self.spend))

    def kept(self, keep: np.ndarray) -> "Campaigns | None":
        """Those that a mask has; a channel of one campaign is a plain one."""
        left = [c for c, yes in zip(self.channels, keep, strict=True) if yes]
        at = [i for i in np.flatnonzero(keep) if left.count(self.channels[i]) > 1]
        if not at:
            return None
        names, channels = (tuple(x[i] for i in at) for x in (self.names, self.channels))
        return Campaigns(names, channels, self.media[..., at], self.spend[..., at])

    def like(self, other: "Campaigns | None", geos: int, periods: int) -> "Campaigns":
        """These by their names with the shares of other cells, 0 where none are known."""
        if other is None:
            nothing = np.zeros((geos, periods, len(self.names)))
            return self.each(lambda x: nothing + 0.0 * x[:1, :1])  # NaN stays
        places = {label: i for i, label in enumerate(other.labels)}
        at = [places.get(label, -1) for label in self.labels]
        found = other.each(lambda x: np.where(np.array(at) < 0, 0.0, x[..., at]))
        return replace(found, names=self.names, channels=self.channels)


def named(field: str, channel: str, table: Mapping[str, Any]) -> dict[str, str]:
    """The column of each campaign of a channel, as [data] has them or by name.

    Args:
        field: media or spend.
        channel: Its name.
        table: {"campaigns": {name: column}}, or {name: column}.
    """
    inner: Any = table.get(CAMPAIGNS)
    inner = inner if isinstance(inner, Mapping) else table
    what, fix = f'{field} "{channel}"', f'"{channel}" = {{ campaigns = {{ "A" = "col_a", '
    fix += '"B" = "col_b" } }'
    if inner is not table and (more := [key for key in table if key != CAMPAIGNS]):
        fail(what, str(more[0]), "", "a table of campaigns only", f"write {fix}")
    for name, column in inner.items():
        if not isinstance(column, str):
            fail(f"{what} campaign {name}", column, "", "one column", f"write {fix}")
    found = {str(name): column for name, column in inner.items()}
    if len(found) < 2:
        one = next(iter(found.values()), "column")
        got = Phrase(f"{len(found)} campaign{'' if found else 's'}")
        plain = f'write "{channel}" = "{one}": a channel of one campaign is a plain one'
        fail(f"{what} campaigns", got, "", "two or more", plain)
    seen: dict[str, str] = {}
    for name in found:
        plain = name.strip().casefold()
        if not plain:
            fail(f"{what} campaigns", name, "", "a name with letters", "name the campaign")
        if plain in seen:
            got = Phrase(f'"{name}" beside "{seen[plain]}"')
            allowed = "names that differ by more than case and spaces"
            fail(f"{what} campaigns", got, "", allowed, "give one another name")
        seen[plain] = name
    return found


def columns_in(value: Any) -> list[Any]:
    """All columns that media, spend or a list names, those of campaigns too."""
    if isinstance(value, bool):  # organic
        return []
    if isinstance(value, Mapping):
        return [column for one in value.values() for column in columns_in(one)]
    many = isinstance(value, Iterable) and not isinstance(value, str)
    return list(value) if many else [value]


def same_names(channel: str, media: Mapping[str, str], spend: Mapping[str, str]) -> None:
    """Refuse a spend whose campaigns are not those of media."""
    if media.keys() == spend.keys():
        return
    got = Phrase(f"{listing(spend, 6)} beside {listing(media, 6) or 'none'} of media")
    fix = f'name the campaigns of "{channel}" alike in both, or give spend one column'
    fail(f'spend "{channel}" campaigns', got, "", "the campaigns of its media", fix)
