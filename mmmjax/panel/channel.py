"""What the table of a channel says: its column, reach and frequency, money or none."""

from collections.abc import Mapping
from typing import Any

from mmmjax.checks import Phrase, closest, fail, listing
from mmmjax.panel.campaigns import CAMPAIGNS

__all__ = ["FREQUENCY", "KEYS", "REACH", "read_tables"]

REACH, FREQUENCY = "reach", "frequency"
KEYS = ("column", CAMPAIGNS, REACH, FREQUENCY, "spend", "organic")
"""Keys of the table of a channel: {column = "sends", organic = true}."""


def read_tables(media: Any, spend: Any) -> tuple[Any, Any, dict[str, dict[str, str]]]:
    """Media and spend as they are without tables of channels.

    Args:
        media: As given; of some channels a table of :data:`KEYS`.
        spend: As given.

    Returns:
        {channel: column} (of campaigns still a table, of reach and frequency their columns
        with " * " between) and {channel: column of money}, both as given where no channel
        has such a table; and {channel: {"reach": column, "frequency": column}}.
    """
    if not isinstance(media, Mapping):
        return media, spend, {}
    tables = dict[str, Mapping[str, Any]]()
    for name, own in media.items():
        if not isinstance(own, Mapping):
            continue
        several = isinstance(own.get(CAMPAIGNS), Mapping) and len(own) > 1
        flag = any(isinstance(value, bool) for value in own.values())
        # else a table of campaigns, of which one may be called "organic"
        if "column" in own or several or flag or len({*own} & {*KEYS[2:5]}) > 1:
            tables[str(name)] = own
    reach = dict[str, dict[str, str]]()
    if not tables:
        return media, spend, reach
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
        ways = [key for key in ("column", CAMPAIGNS, REACH) if key in own]
        pair = {key: own[key] for key in (REACH, FREQUENCY) if key in own}
        if len(ways) != 1 or len(pair) == 1 or (pair and ways != [REACH]):
            got = Phrase(f"only {listing(own)}" if len(own) < 3 else f"{listing(own)}")
            allowed = "the column of its media, or campaigns, or reach and frequency"
            fix = f'{name} = {{ column = "sends", organic = true }}'
            if pair:
                fix = (
                    f'{name} = {{ reach = "people", frequency = "times", spend = "cost" }}'
                )
            fail(what, got, "", allowed, fix)
        for key in {"column": 0, **pair}:
            if key in own and not isinstance(own[key], str):
                fail(f"{what} {key}", own[key], "", "one column", f'{key} = "..."')
        plain[name] = own[ways[0]] if ways != [CAMPAIGNS] else {CAMPAIGNS: own[CAMPAIGNS]}
        if pair:
            reach[name], plain[name] = pair, " * ".join(pair.values())
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
            if pair:
                fix = f'spend = "cost" in its table, or organic = true if {name} is free'
                fail(what, Phrase("reach without spend"), "", "a column of money", fix)
            money[name] = plain[name]
    return plain, money, reach
