"""Numbers, periods, names and tables as text, the rows of one geo: once for the house."""

import html
import io
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from rich.console import Console
from rich.table import Table
from rich.text import Text

from mmmjax.checks import Phrase, amount, fail, listing

__all__ = [
    "AFTER",
    "ALL",
    "PAST",
    "Return",
    "amount",
    "amounts",
    "capital",
    "columns",
    "day",
    "decimals",
    "estimate",
    "for_geo",
    "grid",
    "in_html",
    "in_percent",
    "large",
    "lines",
    "long",
    "period_noun",
    "shorten",
    "span",
    "spread",
    "with_unit",
]  # fmt: skip

ALL = "ALL"  # the sum over geos where it stands beside them
PAST, AFTER = "at past spend", "after the plan"  # where the next unit of money comes


def long(labels: Mapping[str, Any], columns: Mapping[str, Any]) -> pd.DataFrame:
    """A row for every combination of labels, the last changing fastest, and its values.

    Args:
        labels: Labels of every axis, by the name of their column.
        columns: Values (axis, ...) by the name of their column, or what broadcasts to it.
    """
    grid = np.meshgrid(*map(np.asarray, labels.values()), indexing="ij")
    cells = {name: np.broadcast_to(x, grid[0].shape) for name, x in columns.items()}
    table = dict(zip(labels, grid, strict=True)) | cells
    return pd.DataFrame({name: x.ravel() for name, x in table.items()})


def spread(prefix: str, values: Any) -> dict[str, np.ndarray]:
    """Mean and ends of an interval, (3, ...), as columns."""
    names = (f"{prefix}{end}" for end in ("mean", "lo", "hi"))
    return dict(zip(names, np.asarray(values), strict=True))


def for_geo(table: pd.DataFrame, geo: str | None) -> pd.DataFrame:
    """Rows of one geo of a table; None: the sum over geos, or the only geo."""
    if not isinstance(table, pd.DataFrame) or "geo" not in table:
        got = Phrase(f"a {type(table).__name__}")
        allowed = "a data frame with the columns of the run's file"
        fail("table", got, "", allowed, "mm.tables has them: mm.tables.sweep(fit)")
    found = {str(label): label for label in table["geo"].unique()}
    geos = list(found)
    if geo is None:
        geo = ALL if ALL in geos or len(geos) > 1 else (geos[0] if geos else ALL)
    if geos and geo not in geos:
        fail("geo", geo, "the table drawn", listing(geos), f'geo="{geos[0]}"')
    return table.loc[table["geo"] == found.get(geo, geo)]


class Return(NamedTuple):
    """How a return on spend is said: in outcome, or in money where an outcome has a value.

    Args:
        outcome: Name of the outcome.
        currency: Label of money.
        value: Money per unit of outcome; None: not known.
    """

    outcome: str
    currency: str = ""
    value: float | None = None

    @property
    def times(self) -> float:
        """What turns outcome per unit of money into this return."""
        return 1.0 if self.value is None else self.value

    @property
    def name(self) -> str:
        """ROAS, or the return on money, whose break-even is 1."""
        return "ROAS" if self.value is None else "return"

    @property
    def next(self) -> str:
        """The same of the next unit of money on top of what was spent in training."""
        return f"{'mROAS' if self.value is None else 'next return'} {PAST}"

    @property
    def unit(self) -> str:
        """What is returned."""
        return self.outcome if self.value is None else (self.currency or "units of money")

    @property
    def per(self) -> str:
        """Unit of the return."""
        return f"{self.unit} per {self.currency or 'unit of money'}"

    def of(self, table: pd.DataFrame) -> pd.DataFrame:
        """A table whose columns of ROAS and mROAS are such returns."""
        if self.value is None:
            return table
        columns = [x for x in table if str(x).startswith(("roas_", "mroas_"))]
        return table.assign(**{str(x): self.value * table[x] for x in columns})


def taught(table: pd.DataFrame, outcome: str) -> str:
    """A sentence on what lift tests changed of the plan, by the table of that name."""
    row: Any = table.iloc[-1]
    if row["plan"] != "made":
        return f"What the tests changed of the plan: {row['plan']}."
    moved = (table["spend"] - table["spend_rest"]).dropna()
    share: Any = moved.abs().sum() / 2 / table["spend"].sum()
    if share < 5e-4:
        return "The plan made without the tests is that made with them."
    mean, lo, hi = (f"{row[name]:,.4g}" for name in ("gain_mean", "gain_lo", "gain_hi"))
    return (
        f"The plan of the next {row['periods']:.0f} periods made with the tests moves "
        f"{share:.1%} of the money and brings {mean} [{lo}, {hi}] {outcome} more than the "
        f"one made without, by all data (probability {row['probability_better']:.0%})."
    )


def amounts(values: Any) -> list[str]:
    """Numbers of one column as text, with the decimals that its typical one needs.

    One that would keep less than three digits has its own, if it is more than rounding.
    """
    digits, flat = decimals(values), np.ravel(np.asarray(values, float))
    least = 1e-9 * float(np.max(np.abs(flat[np.isfinite(flat)]), initial=0.0))
    own = [least < abs(v) < min(10.0 ** (2 - digits), 1.0) for v in flat]
    same = lambda v: f"{v:z,.{digits}f}" if np.isfinite(v) else ""
    return [amount(v) if one else same(v) for v, one in zip(flat, own, strict=True)]


def in_percent(share: float, whole: float = 0.0995) -> str:
    """A share as text: no decimals from `whole` on, two digits below 0.1%, else one."""
    if not np.isfinite(share):
        return "unknown"
    if 1e-9 < abs(share) < 0.00095:
        return f"{100 * share:.2g}%"
    return f"{share:.0%}" if abs(share) >= whole else f"{share:z.1%}"


def estimate(mean: float, lo: float, hi: float) -> tuple[str, str, str]:
    """Mean and ends with the decimals that the mean, or a 20th of the interval, needs."""
    digits = decimals([max(abs(mean), (hi - lo) / 20)])
    form = f"z,.{digits}f" if digits < 7 else ".2e"
    first, low, high = (format(x, form) for x in (mean, lo, hi))
    return first, low, high


def decimals(values: Any) -> int:
    """Decimals with which the typical one of some numbers has three digits."""
    known = np.abs(np.asarray(values, float))
    known = known[np.isfinite(known) & (known > 0)]
    size = float(np.median(known)) if known.size else 1.0
    return int(np.clip(2 - np.floor(np.log10(size) + 1e-9), 0, 8))


LARGE = ((1e12, "trillion"), (1e9, "billion"), (1e6, "million"))


def large(value: float) -> str:
    """An amount in prose: millions and billions as words, three digits."""
    size, word = _size(value)
    return f"{value / size:.3g} {word}" if word else amount(value)


def span(mean: float, lo: float, hi: float) -> str:
    """``lo to hi`` in the unit of the mean, with the decimals that the three need."""
    size, word = _size(mean)
    _, low, high = estimate(*(x / size for x in (mean, lo, hi)))
    return f"{low} to {high} {word}".rstrip()


def _size(value: float) -> tuple[float, str]:
    """The unit in which a large number is said; 1 and no word for others."""
    return next(((s, w) for s, w in LARGE if abs(value) >= 0.9995 * s), (1.0, ""))


def capital(text: str) -> str:
    """A text that begins a title."""
    return text[:1].upper() + text[1:]


def with_unit(text: str, unit: str) -> str:
    """``sales (EUR)``; the text alone without a unit."""
    return f"{text} ({unit})" if unit else text


def period_noun(freq: str) -> str:
    """One period in words: ``W-SUN`` is "week"."""
    nouns = {"D": "day", "B": "working day", "W": "week", "MS": "month", "ME": "month",
             "QS": "quarter", "QE": "quarter", "YS": "year", "YE": "year"}  # fmt: skip
    return nouns.get(freq.partition("-")[0], "period")


def day(date: Any) -> str:
    """A day as people write it: ``3 Jan 2022``."""
    return f"{date.day} {date:%b %Y}"


def shorten(name: str, most: int = 28) -> str:
    """A name that leaves room for the picture."""
    return name if len(name) <= most else name[: most - 1] + "…"


def grid(heads: Sequence[str], rows: Iterable[Sequence[object]]) -> Table:
    """A table for a terminal: columns whose head ends in a space hold words, left aligned.

    Args:
        heads: What stands over the columns.
        rows: Cells as text, a row each.
    """
    table = Table(box=None, padding=(0, 1), pad_edge=True)
    for head in heads:
        justify = "left" if head.endswith(" ") else "right"
        table.add_column(Text(head.strip()), justify=justify, overflow="fold")
    for row in rows:
        table.add_row(*(Text(str(cell)) for cell in row))
    return table


def lines(heads: Sequence[str], rows: Iterable[Sequence[object]]) -> list[str]:
    """The same as lines of plain text, as wide as they must be."""
    file = io.StringIO()
    Console(file=file, width=10_000, color_system=None).print(grid(heads, rows))
    return [line[1:].rstrip() for line in file.getvalue().splitlines()]


def columns(table: pd.DataFrame) -> tuple[list[str], list[list[str]]]:
    """Heads and cells of a data frame for :func:`grid`: words left, numbers as needed."""
    kinds = {str(name): table[name].dtype.kind in "if" for name in table}
    said = {"True": "yes", "False": "", "nan": ""}
    cells = [
        amounts(table[name]) if number else [said.get(str(x), str(x)) for x in table[name]]
        for name, number in kinds.items()
    ]
    heads = [name if number else f"{name} " for name, number in kinds.items()]
    return heads, [list(row) for row in zip(*cells, strict=True)]


def in_html(
    thing: object, heads: Sequence[str] = (), rows: Iterable[Sequence[object]] = ()
) -> str:
    """What a notebook shows of a thing: the lines of its text as a table, escaped.

    Args:
        thing: It, or its text: the first line is the caption, the others a row each, what
            two spaces or a colon set apart in a cell of its own.
        heads: Of a table that stands before the lines.
        rows: Its cells.
    """
    first, *rest = (thing if isinstance(thing, str) else repr(thing)).splitlines()
    of = lambda tag, cells: "".join(
        f'<{tag} style="text-align:{side}">{html.escape(str(x).strip())}</{tag}>'
        for x, side in cells
    )
    sides = ["left" if head.endswith(" ") else "right" for head in heads]
    body = [of("th", zip(heads, sides, strict=True))] if heads else []
    body += [of("td", zip(row, sides, strict=True)) for row in rows]
    parts = [re.split(r"\s{2,}|: ", line.strip(), maxsplit=1) for line in rest]
    told = [of("td", [(x, "left") for x in (*part, "")[:2]]) for part in parts]
    tables = ("".join(f"<tr>{row}</tr>" for row in part) for part in (body, told) if part)
    caption = f"<p><b>{html.escape(first)}</b></p>"
    return f"<div>{caption}{''.join(f'<table>{part}</table>' for part in tables)}</div>"
