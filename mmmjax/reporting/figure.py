"""A figure as plain data: traces and layout as plotly documents them, and its words.

Nothing here imports plotly: the page brings its own copy of plotly.js, and figures reach it
as JSON. Every figure has the same parts: what is drawn (``data``, ``layout``), what is said
(title, unit, a text for those who cannot see it, a caption), a legend that the page makes
buttons of, and views that replace parts of the data (another geo, another measure).
"""

import json
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import unescape
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from mmmjax.plot.colours import GRID, INK, MUTED
from mmmjax.plot.labels import decimals, in_percent, large, span

__all__ = [
    "CONFIG", "TEMPLATE", "Figure", "Key", "View", "as_json", "band", "dates", "days",
    "flag", "hover", "interval", "months", "number_format", "numbers", "payload",
    "percentages", "plain", "rows_of", "tinted", "wrapped",
]  # fmt: skip

FONT = 'system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif'
AXIS: dict[str, Any] = {
    "gridcolor": GRID, "linecolor": MUTED, "tickcolor": MUTED, "tickfont": {"color": MUTED},
    "title": {"font": {"color": MUTED, "size": 12}, "standoff": 8},
    "zeroline": False, "zerolinecolor": MUTED, "exponentformat": "B",
    "separatethousands": True, "ticks": "",
}  # fmt: skip
TEMPLATE: dict[str, Any] = {
    "layout": {
        "font": {"family": FONT, "size": 13, "color": INK},
        "paper_bgcolor": "white", "plot_bgcolor": "white", "showlegend": False,
        "margin": {"l": 48, "r": 14, "t": 10, "b": 36},
        "hoverlabel": {"bgcolor": "white", "bordercolor": MUTED, "align": "left",
                       "namelength": -1,
                       "font": {"color": INK, "size": 13, "family": FONT}},
        "hovermode": "closest", "xaxis": AXIS | {"automargin": "bottom"},
        "yaxis": AXIS | {"automargin": "left"},
    }
}  # fmt: skip
"""What all figures share, once a page."""

CONFIG: dict[str, Any] = {
    "displaylogo": False, "displayModeBar": False, "responsive": True,
    "doubleClick": "reset", "showTips": False, "showLink": False, "plotlyServerURL": "",
}  # fmt: skip
"""Settings of plotly.js: no logo, no link to anywhere."""


class Key(NamedTuple):
    """An entry of the legend: it shows and hides the traces of its ``legendgroup``."""

    label: str
    colour: str
    mark: str = "line"  # line, dash, area, dot, ring, diamond: a class of the style sheet
    group: str = ""  # the label, if empty

    @property
    def traces(self) -> str:
        """The legend group it stands for."""
        return self.group or self.label


class View(NamedTuple):
    """One choice of what a figure shows: a patch a trace, laid over the first view."""

    label: str
    patches: list[dict[str, Any]]
    unit: str = ""  # the unit of the figure, if empty
    layout: Mapping[str, Any] = {}


@dataclass(frozen=True)
class Figure:
    """Everything that the page needs to draw one figure and to talk about it."""

    name: str
    title: str
    data: list[dict[str, Any]]
    layout: dict[str, Any]
    alt: str
    unit: str = ""
    caption: str = ""
    legend: Sequence[Key] = ()
    views: Sequence[View] = ()
    views_label: str = ""  # what is chosen: "geo", "period"
    height: int = 360  # CSS pixels
    phone: int = 300  # the same below 480 pixels of width
    zoom: float = 0.0  # months along x, of which the last ones can be chosen; 0: none


def payload(figure: Figure) -> str:
    """The part of a figure that plotly.js draws, as JSON that is safe inside a page."""
    content: dict[str, Any] = {"data": figure.data, "layout": figure.layout}
    if figure.views:
        content["views"] = [
            {"data": v.patches, "layout": v.layout, "unit": v.unit or figure.unit}
            for v in figure.views
        ]
    return as_json(content)


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
        (int(v) if v == int(v) else v) if there else None
        for v, there in zip(rounded.tolist(), known.tolist(), strict=True)
    ]


def dates(values: Any) -> list[str]:
    """Days as ISO text; with the time of day where there is one."""
    index = pd.DatetimeIndex(values)
    whole = bool((index == index.normalize()).all())
    return index.strftime("%Y-%m-%d" if whole else "%Y-%m-%dT%H:%M").tolist()


def plain(text: object) -> str:
    """User text for a figure: shown as it is, never markup and never a template."""
    safe = str(text).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return safe.replace("%{", "%&#123;").replace("$", "&#36;")


def wrapped(name: str, most: int = 18, lines: int = 3) -> str:
    """A name in short lines, for an axis that a phone can show."""
    parts = textwrap.wrap(name, most, max_lines=lines, placeholder="…") or [name]
    return "<br>".join(plain(part) for part in parts)


def number_format(values: Any) -> str:
    """D3's format with thousands separators and the decimals that the numbers need."""
    return f",.{decimals(values)}f"


def hover(value: str, unit: str = "", name: str = "%{fullData.name}") -> str:
    """A hover text: the value with its unit, then the name of the series."""
    end = f" {plain(unit)}" if unit else ""
    return f"{value}{end}<extra>{name}</extra>"


def interval(table: pd.DataFrame, name: str) -> list[str]:
    """Text ``mean (94%: lo to hi)`` of every row of ``name_mean, _lo, _hi``; or of mean."""
    columns = [f"{name}_{s}" if name else s for s in ("mean", "lo", "hi")]
    values = table[columns].to_numpy(float).tolist()
    return [
        f"{large(row[0])} (94%: {span(*row)})" if np.isfinite(row[0]) else ""
        for row in values
    ]


def percentages(rows: pd.DataFrame, name: str) -> list[str]:
    """The same of shares."""
    values = rows[[f"{name}_{s}" for s in ("mean", "lo", "hi")]].to_numpy(float)
    texts = [[in_percent(x, np.inf) for x in row] for row in values]
    return [f"{mean} (94%: {lo} to {hi})" for mean, lo, hi in texts]


def flag(colour: str, alpha: float) -> str:
    """A colour with an opacity, as CSS."""
    red, green, blue = (int(colour[i : i + 2], 16) for i in (1, 3, 5))
    return f"rgba({red},{green},{blue},{alpha:g})"


def band(
    x: list[Any], lo: Any, hi: Any, colour: str, name: str, group: str, **more: Any
) -> list[dict[str, Any]]:
    """An interval over x as a tinted area: its lower edge, then its upper edge.

    Args:
        x: Dates or levels.
        lo: Lower ends.
        hi: Upper ends.
        colour: Colour of the area.
        name: Of the interval; its edges are called "name from" and "name to".
        group: Legend group.
        more: Anything else of both traces.
    """
    edge: dict[str, Any] = {
        "type": "scatter", "mode": "lines", "x": x, "legendgroup": group,
        "line": {"width": 0, "color": colour}, "hoverinfo": "skip",
    }  # fmt: skip
    area = {"fill": "tonexty", "fillcolor": flag(colour, 0.18)}
    return [
        edge | {"name": f"{name} from", "y": numbers(lo)} | more,
        edge | area | {"name": f"{name} to", "y": numbers(hi)} | more,
    ]


def months(index: Any) -> float:
    """Months that some dates cover."""
    known: Any = pd.DatetimeIndex(index)
    return float((known.max() - known.min()).days / 30.4) if len(known) else 0.0


def days(unit: str, **more: Any) -> dict[str, Any]:
    """An x axis of dates, whose hover names the day and the unit."""
    return {
        "type": "date", "hoverformat": "%-d %b %Y", "showgrid": False,
        "unifiedhovertitle": {"text": f"%{{x|%-d %b %Y}}, {plain(unit)}"}, **more,
    }  # fmt: skip


def rows_of(names: Sequence[str], **x: Any) -> dict[str, Any]:
    """Layout with one name a row, the first on top, and room for the names at the left.

    Args:
        names: Names.
        x: Anything of the x axis.
    """
    lines = [wrapped(name) for name in names]
    longest = max(
        (len(unescape(part)) for x in lines for part in x.split("<br>")), default=0
    )
    axis = {
        "tickvals": list(range(len(names))), "ticktext": lines, "automargin": False,
        "range": [len(names) - 0.4, -0.6], "showgrid": False, "fixedrange": True,
        "tickfont": {"color": INK},
    }  # fmt: skip
    return {
        "xaxis": {"fixedrange": True, "automargin": False, **x},
        "yaxis": axis,
        "margin": {"l": 16 + 7 * longest, "r": 32, "t": 10, "b": 36},
    }


def tinted(start: Any, end: Any, colour: str) -> dict[str, Any]:
    """A rectangle behind a range of x, over the whole height."""
    return {
        "type": "rect", "xref": "x", "yref": "paper", "x0": start, "x1": end, "y0": 0,
        "y1": 1, "fillcolor": colour, "line": {"width": 0}, "layer": "below",
    }  # fmt: skip
