"""A table of lift tests: one row a test, its columns the fields of their records."""

import contextlib
from collections.abc import Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

from mmmjax import checks
from mmmjax.checks import InputError
from mmmjax.facts.base import Fact
from mmmjax.facts.correlated import check_named
from mmmjax.facts.experiment import LiftTest
from mmmjax.facts.lift import Lift
from mmmjax.panel.dialect import Dialect
from mmmjax.panel.files import load_table

__all__ = ["of_markets", "of_table", "of_tables"]

ENDS = ("low", "high")  # of an interval, which no cell holds
LIST = "|"
MARKET = "market"  # column of a fleet
NAMES = (MARKET, "channel", "geos", "geo", "of", "spend_of", "group", "name")
COLUMNS = {
    "lift_test": (*(f.name for f in fields(LiftTest)), *ENDS),
    "lift": tuple(f.name for f in fields(Lift)),
}


def of_table(path: Path, dialect: Dialect | None = None) -> tuple[Fact, ...]:
    """Lift tests of a CSV, Parquet or Excel file; an empty cell is a field left out.

    A row with a start is a test as it was run, one with an x is in the steady state. A list
    has "|" between its members, an interval is in the columns low and high.

    Args:
        path: The file.
        dialect: Of the table of the panel, which is tried where it is not written plainly.

    Raises:
        InputError: The line and what is wrong there.
    """
    return tuple(fact for _, fact in _rows(path, dialect, ()))


def of_markets(
    path: Path, dialect: Dialect | None, markets: Sequence[str]
) -> dict[str, tuple[Fact, ...]]:
    """Lift tests of a fleet's one table by market, as :func:`of_table` reads them.

    The column "market" has the market of a test; where it is empty, or there is none, the
    test is of every market.

    Args:
        path: The file.
        dialect: Of the table of the panels.
        markets: All of the fleet.

    Raises:
        InputError: The line and what is wrong there, a market that the fleet lacks too.
    """
    rows = _rows(path, dialect, tuple(markets))
    return {name: tuple(f for m, f in rows if m in ("", name)) for name in markets}


def _rows(
    path: Path, dialect: Dialect | None, markets: tuple[str, ...]
) -> list[tuple[str, Fact]]:
    """Tests of a table and the market of each, empty where it has none.

    Without markets there is no column of them.
    """
    texts = dict.fromkeys(name for names in COLUMNS.values() for name in names)
    texts = (*texts, MARKET)
    try:
        table = load_table(path, wanted=("channel",), texts=texts)
        dialect = None
    except InputError as error:
        if dialect in (None, Dialect()):
            raise InputError(f"lift_tests: {error}") from None
        table = load_table(path, dialect, wanted=("channel",), texts=texts)
    point = "," if dialect is not None and dialect.decimal == "," else "."
    found = []
    for line, row in enumerate(table.to_dict("records"), 2):
        cells = {str(n): _cell(str(n), x, point) for n, x in row.items() if x == x}
        cells = {n: x for n, x in cells.items() if x not in ("", None)}
        if not cells:
            continue
        kind, market = "lift_test" if cells.get("start") else "lift", ""
        if markets and MARKET in cells:
            market = str(cells.pop(MARKET))
            if market not in markets:
                near = checks.closest(market, markets)
                fix = f'did you mean "{near}"?' if near else "leave the test out"
                where, allowed = f"{path.name} line {line}", checks.listing(markets, 12)
                checks.fail("market of a lift test", market, where, allowed, fix)
        for name in cells:
            if name not in COLUMNS[kind]:
                near = checks.closest(name, COLUMNS[kind])
                fix = f'did you mean "{near}"?' if near else "leave the column out"
                where, allowed = f"{path.name} line {line}", checks.listing(COLUMNS[kind])
                checks.fail("column of lift_tests", name, where, allowed, fix)
        ends = [cells.pop(name) for name in ENDS if name in cells]
        cells |= {"interval": tuple(ends)} if ends else {}
        try:
            fact = (LiftTest if kind == "lift_test" else Lift)(**cells)
        except InputError as error:
            raise InputError(f"{path.name} line {line}: {error}") from None
        found.append((market, fact))
    check_named(fact for _, fact in found)
    return found


def _cell(name: str, value: Any, point: str) -> Any:
    """What a cell holds: names, dates, a number, a list of either."""
    if not isinstance(value, str):
        return value
    text = value.strip()
    if LIST in text:
        return tuple(_cell(name, part, point) for part in text.split(LIST))
    if name not in NAMES:
        with contextlib.suppress(ValueError):
            signed = name.startswith("spend") and text[:1] in ("+", "-")
            return text if signed else float(text.replace(point, "."))
    return text


def of_tables(tables: Any) -> Any:
    """Tables of [[data.fact]], a lift that has a start as the kind that it is."""
    if not isinstance(tables, list):
        return tables
    dated = lambda t: isinstance(t, Mapping) and t.get("kind") == "lift" and "start" in t
    return [{**t, "kind": LiftTest.kind} if dated(t) else t for t in tables]
