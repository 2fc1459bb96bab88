"""Charts inside a page: their words as HTML, their tables once, buttons for their legends.

A chart of :mod:`mmmjax.plot` carries its title, unit, description, legend and controls.
Here they are taken out of its specification, so that the page can show them as text and
buttons, and its tables are put where every chart of the page finds them, column by column.
"""

import base64
import gzip
import hashlib
import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from altair.utils import sanitize_pandas_dataframe

from mmmjax.plot.colours import MODEL

__all__ = ["Choice", "Figure", "Key", "Tables", "as_json", "embedded", "numbers"]

HIDES = re.compile(r"indexof\(hidden, datum\[(?P<q>['\"])([^'\"]+)(?P=q)\]\)")
SINCE = re.compile(r"toDate\(datum\[(?P<q>['\"])([^'\"]+)(?P=q)\]\) >= since")
LEGENDS = ("color", "fill", "stroke", "shape")
SHAPES = {"circle": "dot", "diamond": "diamond", "square": "square"}
MARKS = {"area": "area", "bar": "area", "rect": "area", "point": "dot", "circle": "dot"}


class Key(NamedTuple):
    """An entry of the legend; a button where it can be hidden."""

    label: str
    colour: str
    mark: str = "line"  # line, area, dot, ring, diamond, square: a class of the style sheet


class Choice(NamedTuple):
    """Something that is chosen, by a parameter of the chart."""

    name: str  # of the parameter
    label: str
    options: Sequence[Any]
    texts: Sequence[str]


@dataclass(frozen=True)
class Figure:
    """A chart and what the page says beside it."""

    name: str
    title: str
    alt: str
    spec: dict[str, Any]
    unit: str = ""
    caption: str = ""
    keys: Sequence[Key] = ()
    hides: str = ""  # column of what the keys hide; empty: they hide nothing
    choices: Sequence[Choice] = ()
    date: str = ""  # column of dates, of which the last ones can be chosen
    months: float = 0.0  # that they cover


@dataclass
class Tables:
    """Tables of all charts of a page by the name in their specifications, each once."""

    columns: dict[str, dict[str, Any]] = field(default_factory=dict)
    names: dict[int, tuple[pd.DataFrame, str]] = field(default_factory=dict)

    def name_of(self, table: pd.DataFrame) -> str:
        """Keep a table, if it is not there yet, with short numbers; its name."""
        if id(table) not in self.names:
            columns = {str(name): _column(table[name]) for name in table}
            name = f"data-{hashlib.md5(as_json(columns).encode()).hexdigest()}"
            self.columns[name], self.names[id(table)] = columns, (table, name)
        return self.names[id(table)][1]

    def packed(self) -> str:
        """All of them as base64 of gzipped JSON, a third of it; page.js unpacks it."""
        return base64.b64encode(
            gzip.compress(as_json(self.columns).encode(), 9, mtime=0)
        ).decode()


def embedded(name: str, chart: Any, tables: Tables, caption: str = "") -> Figure:
    """A chart as a figure of a page, and its tables into the page's.

    Args:
        name: Of the figure: its place in the page and the files saved from it.
        chart: From ``mmmjax.plot``.
        tables: Of the page.
        caption: What is said below it.
    """
    spec = chart.to_dict(validate=False, context={"name_of": tables.name_of})
    words, text = spec.pop("title", {}), json.dumps(spec)
    given = [key for key in tables.columns if key in text]
    spec["datasets"] = dict.fromkeys(sorted(given, key=text.index))  # page.js fills them
    del spec["config"], spec["$schema"]  # the house's, once a page; that of Vega here
    bound = [x for x in spec.get("params", ()) if "bind" in x]
    choices = [
        Choice(
            x["name"],
            x["bind"].get("name", x["name"]).strip(),
            x["bind"]["options"],
            x["bind"].get("labels") or list(map(str, x["bind"]["options"])),
        )
        for x in bound
        if "options" in x["bind"]
    ]
    for x in bound:
        del x["bind"]
    hides, since = HIDES.search(_plain(text)), SINCE.search(_plain(text))
    date = since[2] if since else ""
    first = tables.columns[next(iter(spec["datasets"]))] if given else {}
    days = pd.to_datetime(pd.Series(first.get(date, []), dtype=object).dropna())
    return Figure(
        name,
        " ".join(_lines(words.get("text", ""))),
        spec.pop("description", ""),
        spec,
        " ".join(_lines(words.get("subtitle", ""))),
        caption,
        _keys(spec),
        hides[2] if hides else "",
        choices,
        date,
        float((days.max() - days.min()).days / 30.4) if len(days) else 0.0,
    )


def as_json(content: Any) -> str:
    """JSON that ends no script element and holds no NaN."""
    text = json.dumps(content, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    return text.replace("<", "\\u003c").replace("\u2028", " ").replace("\u2029", " ")


def numbers(values: Any, digits: int = 6) -> list[Any]:
    """Numbers for JSON: so many significant digits, None where there is none."""
    x = np.asarray(values, float)
    known = np.isfinite(x)
    x = np.where(known & (np.abs(x) > 1e-280), x, 0.0)  # smaller ones are rounding
    size = np.floor(np.log10(np.where(x == 0, 1.0, np.abs(x))))
    power = digits - 1 - size
    fine, coarse = 10.0 ** np.maximum(power, 0), 10.0 ** np.maximum(-power, 0)
    rounded = np.round(x * fine / coarse) * coarse / fine
    return [
        (int(v) if v == int(v) and abs(v) < 1e15 else v) if there else None
        for v, there in zip(rounded.tolist(), known.tolist(), strict=True)
    ]


def _plain(text: str) -> str:
    """A specification's text with the quotes inside its strings as they were."""
    return text.replace('\\"', '"').replace("\\\\", "\\")


def _lines(text: Any) -> list[str]:
    return [text] if isinstance(text, str) else list(text)


def _column(column: Any) -> list[Any]:
    """A column as JSON; of texts and dates each value is put into words once."""
    if column.dtype.kind in "fiu":
        return numbers(column.to_numpy())
    if column.dtype == object:
        return _short(sanitize_pandas_dataframe(column.to_frame())[column.name])
    codes, seen = pd.factorize(column)
    each = sanitize_pandas_dataframe(pd.DataFrame({column.name: seen}))
    texts = [*_short(each[column.name]), None]  # the last of what is not there, code -1
    return [texts[code] for code in codes]


def _short(column: Any) -> list[Any]:
    """Objects as JSON: numbers, yes and no, or texts."""
    values: Any = column.to_numpy()
    if column.dtype.kind == "O" and column.map(lambda x: isinstance(x, float | int)).all():
        return numbers(values.astype(float))
    known = [bool(x) if isinstance(x, bool | np.bool_) else str(x) for x in values]
    return [None if out else x for x, out in zip(known, column.isna(), strict=True)]


def _walk(part: Any) -> Iterator[dict[str, Any]]:
    """Every object inside a specification that has encodings."""
    if isinstance(part, dict):
        if "encoding" in part:
            yield part
        for inner in part.values():
            yield from _walk(inner)
    elif isinstance(part, list):
        for inner in part:
            yield from _walk(inner)


def _keys(spec: dict[str, Any]) -> list[Key]:
    """The legend of a chart, from the first kind of encoding that states its scale.

    Of layers that share a scale, an area stands for all, else a point, else a line.
    """
    for channel in LEGENDS:
        found: dict[str, list[Key]] = {}
        for part in _walk(spec):
            of = part["encoding"].get(channel, {})
            scale = of.get("scale") or {}
            if not isinstance(scale, dict) or of.get("legend", {}) is None:
                continue
            names, looks = scale.get("domain") or (), scale.get("range") or ()
            if not names or len(names) != len(looks):
                continue
            mark = part.get("mark", "line")
            kind = MARKS.get(mark if isinstance(mark, str) else mark["type"], "line")
            pairs = zip(map(str, names), map(str, looks), strict=True)
            if channel == "shape":
                looked = [
                    Key(name, MODEL, SHAPES.get(look, "ring")) for name, look in pairs
                ]
                found.setdefault("dot", looked)
            else:
                found.setdefault(kind, [Key(name, look, kind) for name, look in pairs])
        for kind in ("area", "dot", "line"):
            if kind in found:
                return found[kind]
    return []
