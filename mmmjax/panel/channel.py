"""What the table of a channel says: its column, reach and frequency, money or none."""

from collections.abc import Mapping
from typing import Any

from mmmjax.checks import Phrase, closest, fail, listing
from mmmjax.panel.campaigns import CAMPAIGNS

__all__ = ["KEYS", "read_tables"]

KEYS = ("column", CAMPAIGNS, "spend", "organic")
"""Keys of the table of a channel: {column = "sends", organic = true}."""


def read_tables(media: Any, spend: Any) -> tuple[Any, Any]:
    """Media and spend as they are without tables of channels.

    Args:
        media: As given; of some channels a table of :data:`KEYS`.
        spend: As given.

    Returns:
        {channel: column} (of campaigns still a table) and {channel: column of money}; both
        as given where no channel has such a table.
    """
    if not isinstance(media, Mapping):
        return media, spend
    tables = {
        str(name): own
        for name, own in media.items()
        if isinstance(own, Mapping) and _of_roles(own)
    }
    if not tables:
        return media, spend
    plain = {str(name): own for name, own in media.items()}
    if spend is None:  # media are spend
        money: dict[str, Any] = {n: own for n, own in plain.items() if n not in tables}
    elif isinstance(spend, Mapping):
        money = {str(name): own for name, own in spend.items()}
    else:
        got, fix = Phrase(f"columns {listing(map(str, spend))}"), "write it as a table"
        fail("spend", got, "", "{channel: column} where media has tables of channels", fix)
    for name, own in tables.items():
        what = f'media "{name}"'
        for key in own:
            if key not in KEYS:
                near = closest(key, KEYS)
                fix = f'did you mean "{near}"?' if near else "leave it out"
                fail(what, str(key), "", f"keys {listing(KEYS)}", fix)
        ways = [key for key in ("column", CAMPAIGNS) if key in own]
        if len(ways) != 1:
            got = Phrase(f"both {listing(ways)}" if ways else f"only {listing(own)}")
            fix = f'{name} = {{ column = "sends", organic = true }}'
            fail(what, got, "", "the column of its media, or campaigns", fix)
        (way,) = ways
        plain[name] = own[way] if way == "column" else {CAMPAIGNS: own[CAMPAIGNS]}
        if way == "column" and not isinstance(own[way], str):
            fail(f"{what} column", own[way], "", "one column", 'column = "sends"')
        free, cost = own.get("organic", False), own.get("spend")
        if not isinstance(free, bool):
            fail(f"{what} organic", free, "", "true or false", "organic = true")
        if free and (cost is not None or money.get(name) is not None):
            got = Phrase(f'organic, with spend "{cost or money[name]}"')
            fix = "take organic away, or its column of spend"
            fail(what, got, "", "a channel that costs money, or is organic", fix)
        if cost is not None and money.get(name, cost) != cost:
            got = Phrase(f'spend "{cost}" beside "{money[name]}" of the table spend')
            fail(what, got, "", "one column of money", "leave one of them out")
        if cost is not None:
            money[name] = cost
        elif spend is None and not free:
            money[name] = plain[name]
    return plain, money


def _of_roles(own: Mapping[str, Any]) -> bool:
    """Whether it is no table of campaigns alone, of which one may be called "organic"."""
    several = isinstance(own.get(CAMPAIGNS), Mapping) and len(own) > 1
    flag = any(isinstance(value, bool) for value in own.values())
    return "column" in own or several or flag
