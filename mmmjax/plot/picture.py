"""What all pictures share: Altair charts in the house's look, their axes and controls.

A picture is an Altair chart of one labelled table. It composes with ``+``, ``|`` and
``&``, shows itself in notebooks and is saved with ``.save("roas.png")`` (svg, pdf, html,
json), all without a network. Nothing global is touched: the look is laid under a chart
when it is written, not enabled as a theme.

Title, subtitle (unit), description (a text for those who cannot see it), colours, legend
and controls are parts of the chart. The report shows the very same chart: it takes these
parts from it and makes buttons of the legend and controls, so nothing is said twice.
"""

import io
import json
import textwrap
from collections.abc import Mapping, Sequence
from typing import Any

import altair as alt
import pandas as pd
from altair.utils import update_nested

from mmmjax.checks import fail
from mmmjax.plot.colours import GRID, INK, MODEL, MUTED, REST, TINT, channel_colours
from mmmjax.words import ALL, for_geo

__all__ = ["to_png", "to_svg"]

WIDE, LEAST = 640, 80  # pixels: usual, and the least
AMOUNT = "abs(datum.value) < 1000 ? format(datum.value, '~g') : "
AMOUNT += "replace(format(datum.value, '~s'), 'G', 'B')"  # 0.5, 20, 1.5k, 3M, 2B
ROW = 34  # pixels of a row with a name, which may have two lines of numbers
DAYS = "%-d %b %Y"
DAY = alt.Tooltip("date:T", format=DAYS, title="day")
SOLID = alt.Legend(symbolOpacity=1, symbolType="circle")  # in the full colour
RING = "M1,0A1,1 0 1 1 -1,0A1,1 0 1 1 1,0ZM.5,0A.5,.5 0 1 0 -.5,0A.5,.5 0 1 0 .5,0Z"
FONT = 'system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif'
CONFIG: dict[str, Any] = {
    "background": "white", "font": FONT, "padding": 6, "view": {"stroke": None},
    "title": {"anchor": "start", "frame": "bounds", "color": INK, "fontSize": 15,
              "fontWeight": 600, "subtitleColor": MUTED, "subtitleFontSize": 12,
              "subtitlePadding": 4, "offset": 12},
    "axis": {"labelColor": INK, "labelFontSize": 12, "labelLimit": 220, "title": None,
             "titleColor": MUTED, "titleFontSize": 12, "titleFontWeight": "normal",
             "gridColor": GRID, "domainColor": MUTED, "tickColor": MUTED, "tickSize": 3,
             "labelOverlap": True},
    "axisX": {"grid": False}, "axisY": {"domain": False, "ticks": False},
    "legend": {"title": None, "orient": "bottom", "labelColor": INK, "labelFontSize": 12,
               "labelLimit": 240, "columns": 4, "symbolLimit": 60, "symbolStrokeWidth": 2,
               "offset": 10},
    "header": {"title": None, "labelAnchor": "start", "labelColor": INK,
               "labelFontSize": 12, "labelFontWeight": 600},
    "facet": {"spacing": 22}, "concat": {"spacing": 26}, "bar": {"color": MODEL},
    "line": {"color": MODEL, "strokeWidth": 1.8}, "rule": {"color": MUTED},
    "point": {"filled": True, "size": 70, "opacity": 1},
    "text": {"color": INK, "fontSize": 12}, "area": {"line": False},
}  # fmt: skip
"""The look of all pictures."""


alt.data_transformers.register("mmmjax", lambda data, name_of: {"name": name_of(data)})


class Inside(json.JSONEncoder):
    """JSON that ends no script element, whatever names it holds."""

    def encode(self, o: Any) -> str:
        """The text of a value."""
        return super().encode(o).replace("<", "\\u003c")


class House:
    """A chart in the house's look, which also works offline."""

    def __deepcopy__(self, memo: Any) -> Any:
        """What Altair takes before it changes a chart in place: only that is copied.

        Those are parameters and, by their constructors, the charts inside. Encodings, marks
        and transforms are shared: while it is composed a chart is copied some hundred
        times.
        """
        made: Any = self.copy(deep=False)  # type: ignore[attr-defined]
        if (known := made["params"]) is not alt.Undefined:
            made["params"] = [one.copy() for one in known]
        return made

    def to_dict(self, *args: Any, **named: Any) -> dict[str, Any]:
        """The Vega-Lite specification; of the whole chart with the look under it.

        Where the ``context`` has a function ``name_of``, tables are not written into it but
        the names that the function gives them.
        """
        context = named.get("context") or {}
        whole, own = context.get("top_level", True), {"name_of": context.get("name_of")}
        kept = ("mmmjax", own) if own["name_of"] else ("default", {"max_rows": None})
        with alt.data_transformers.enable(kept[0], **kept[1]):
            made: dict[str, Any] = super().to_dict(*args, **named)  # type: ignore[misc]
        if whole:
            made["config"] = update_nested(CONFIG, made["config"], copy=True)
            if {"hconcat", "vconcat", "concat"} & set(made):
                _count_ticks(made, {"width": WIDE, "height": 300})
        return made

    def save(self, fp: Any, format: Any = None, **named: Any) -> None:
        """Write the chart: png, svg, pdf, html (whole in itself) or json.

        Args:
            fp: Path, whose ending says the format, or an open file.
            format: The format of an open file.
            named: Anything else of Altair's ``save``.
        """
        kind = format or str(getattr(fp, "name", fp)).rpartition(".")[-1]
        own: dict[str, Any] = {
            "html": {"inline": True, "json_kwds": {"cls": Inside}},
            "png": {"scale_factor": 2.0},
        }
        super().save(fp, format, **(own.get(kind, {}) | named))  # type: ignore[misc]

    def _repr_mimebundle_(self, *args: Any, **named: Any) -> Any:
        """Interactive where a notebook knows Vega-Lite, else a still picture."""
        kind = f"application/vnd.vegalite.v{alt.SCHEMA_VERSION[1:].split('.')[0]}+json"
        return {kind: self.to_dict(), "image/png": to_png(self)}

    def __add__(self, other: Any) -> "Layer":
        both: Any = [self, other]
        return Layer(layer=both)

    def __or__(self, other: Any) -> "HConcat":
        both: Any = [self, other]
        return HConcat(hconcat=both)

    def __and__(self, other: Any) -> "VConcat":
        both: Any = [self, other]
        return VConcat(vconcat=both)


def _count_ticks(part: Any, size: Mapping[str, float]) -> None:
    """Ticks that follow the size of a chart, as numbers: parts of a page know no size."""
    if isinstance(part, dict):
        own = {k: part[k] for k in size if isinstance(part.get(k), int | float)}
        size = {**size, **own}
        if isinstance(asked := part.get("tickCount"), dict):
            name, _, step = asked["expr"].partition(" / ")
            part["tickCount"] = max(2, int(size[name] / float(step)))
    for inner in part.values() if isinstance(part, dict) else part:
        if isinstance(inner, dict | list):
            _count_ticks(inner, size)


class Chart(House, alt.Chart):
    """One layer."""


class Layer(House, alt.LayerChart):
    """Several layers on the same axes."""


class HConcat(House, alt.HConcatChart):
    """Charts side by side."""


class VConcat(House, alt.VConcatChart):
    """Charts below each other."""


class Concat(House, alt.ConcatChart):
    """Charts in rows and columns."""


class Facet(House, alt.FacetChart):
    """The same chart for every part of its table."""


def chart(table: pd.DataFrame) -> Chart:
    """A chart of a table, yet without a mark."""
    return Chart(table)


def layer(*charts: Any) -> Layer:
    """Charts on the same axes, the last on top; one without data has that of the others."""
    tables = [one.data for one in charts if one.data is not alt.Undefined]
    shared = tables[:1] if all(table is tables[0] for table in tables) else []
    return Layer(layer=list(charts), **({"data": shared[0]} if shared else {}))


def nothing(why: str, title: str, unit: str = "", width: int = WIDE) -> Layer:
    """What stands where there is nothing to draw."""
    one = alt.Chart(alt.Data(values=[{}])).mark_text(color=MUTED, text=why, align="left")
    drawn = layer(one.encode(x=alt.value(0), y=alt.value(12)))
    return titled(drawn, title, unit, why, width, 30)


def cells(
    drawn: Any,
    table: pd.DataFrame,
    field: str,
    names: Sequence[str],
    width: int,
    height: Any,
    least: int = 190,
    named: bool = True,
) -> Facet:
    """One cell for every name, each with axes of its own.

    Args:
        drawn: The chart of a cell, without data and size.
        table: The table of all cells.
        field: Column that says the cell.
        names: Cells in their order.
        width: Pixels of all columns together.
        height: Pixels of a cell, or a step a row.
        least: Pixels that a column has at least.
        named: Whether the names are said.
    """
    columns = max(1, min(width // least, len(names)))
    size = {"width": width // columns - 62, "height": height}
    # a mark, not a header: that one stands higher where the labels of an axis reach over
    name = alt.Chart().transform_aggregate(groupby=[field]).encode(text=f"{field}:N")
    look: dict[str, Any] = {"align": "left", "dy": -12, "fontWeight": 600}
    name = name.mark_text(limit=width // columns - 10, **look)
    name = name.encode(x=alt.value(0), y=alt.value(0))
    name = name.properties(name="view_1")  # which Altair looks for beside other charts
    return Facet(
        data=table,
        spec=layer(*([name] if named else []), drawn).properties(**size),
        facet=alt.Facet(
            f"{field}:N",
            sort=list(names),
            header=alt.Header(labelExpr="''", labelFontSize=1, labelPadding=0),
        ),
        columns=columns,
        bounds="flush",  # cells and names stand in line, however wide the axes' texts are
        spacing={"row": 52, "column": 62},
        resolve=alt.Resolve(
            scale=alt.ScaleResolveMap(
                x="independent", y="independent", yOffset="independent"
            ),
            axis=alt.AxisResolveMap(x="independent", y="independent"),
        ),
    )


def titled(
    drawn: Any,
    title: str,
    unit: str = "",
    about: str = "",
    width: int | None = WIDE,
    height: Any = None,
    *,
    hides: str | None = None,
    date: str | None = None,
    geos: Sequence[str] = (),
) -> Any:
    """A chart with its words, size and controls.

    ``hidden``, the values of ``hides`` that are left out, and ``since``, before which dates
    are, in milliseconds of Unix time, are parameters that a page (or ``.add_params``) sets.

    Args:
        drawn: The chart.
        title: What it shows.
        unit: What the numbers are, in small letters below the title.
        about: The same for those who cannot see it; the title where it is empty.
        width: Pixels, of words alone where the chart is of cells or others, which have
            their own; None: it has its own.
        height: Pixels, or a step a row; None: it has its own.
        hides: Column of what can be hidden.
        date: Column of dates, of which the last months alone can be shown.
        geos: To choose from.
    """
    if width is not None and not width >= LEAST:
        fail("width", width, "a picture", f"pixels, at least {LEAST}", f"width={WIDE}")
    letters = max(int(width or WIDE) // 8, 24)
    lines = textwrap.wrap(title, letters) or [""]
    below = textwrap.wrap(unit, int(letters * 1.25))
    words: dict[str, Any] = {"text": lines} | ({"subtitle": below} if below else {})
    size = {k: v for k, v in (("width", width), ("height", height)) if v is not None}
    size = size if isinstance(drawn, Chart | Layer) else {}
    if hides:
        drawn = drawn.add_params(alt.param(name="hidden", value=[]))
        drawn = drawn.transform_filter(f"indexof(hidden, datum[{hides!r}]) < 0")
    if date:
        drawn = drawn.add_params(alt.param(name="since", value=-1e15))
        drawn = drawn.transform_filter(f"toDate(datum[{date!r}]) >= since")
    drawn = choice_of(drawn, "geo", "geo", geos)
    return drawn.properties(
        title=alt.TitleParams(**words), description=about or title, **size
    )


def per_geo(table: pd.DataFrame, geo: str | None) -> tuple[Any, list[str]]:
    """Rows of the geo asked for; of None all rows, and the geos to choose from.

    The sum over geos comes first where the table has it. Geos to choose from are none where
    the table has one geo only, with or without its sum.
    """
    names = [str(name) for name in table["geo"].unique()] if "geo" in table else []
    apart = [name for name in names if name != ALL]
    if geo is not None or len(apart) < 2:
        return for_geo(table, geo), []
    return table, [ALL] * (ALL in names) + apart


def at_first(table: Any, geos: Sequence[str]) -> Any:
    """Rows that are shown before a geo is chosen."""
    return table.loc[table["geo"].astype(str) == geos[0]] if geos else table


def choice_of(
    drawn: Any, name: str, field: str, options: Sequence[str], texts: Sequence[str] = ()
) -> Any:
    """A chart that shows the rows of one option at a time; the first at the start.

    Args:
        drawn: The chart.
        name: What is chosen, in words: "geo", "windows".
        field: Column of the option.
        options: Values of the column; fewer than two: nothing to choose.
        texts: How they are called.
    """
    if len(options) < 2:
        return drawn
    said = list(texts or ["all geos" if option == ALL else option for option in options])
    bind = alt.binding_select(options=list(options), labels=said, name=f"{name} ")
    picked = alt.param(name=name, value=options[0], bind=bind)
    return drawn.add_params(picked).transform_filter(f"datum[{field!r}] === {name}")


def colours_for(names: Sequence[str], given: Mapping[str, str] | None) -> dict[str, str]:
    """Colours by name: those given, those of this order where none are, grey for others."""
    chosen = channel_colours(names) if given is None else given
    return {name: chosen.get(name, REST) for name in names}


def by(field: str, colours: Mapping[str, str], legend: Any = True, **more: Any) -> Any:
    """A colour for every value of a column, in this order, with or without a legend."""
    scale = alt.Scale(domain=list(colours), range=list(colours.values()))
    legend = None if not colours else legend  # one without names has no size
    shown = {} if legend is True else {"legend": legend or None}
    return alt.Color(f"{field}:N", scale=scale, sort=list(colours), **shown, **more)


def dates(field: str = "date", ticks: int | None = None, **scale: Any) -> alt.X:
    """An x axis of days, with about so many ticks; None: by the width."""
    axis = alt.Axis(labelFlush=False, tickCount=ticks or {"expr": "width / 80"})
    more: dict[str, Any] = {"scale": alt.Scale(**scale)} if scale else {}
    return alt.X(f"{field}:T", title=None, axis=axis, **more)


def across(
    field: str,
    title: str | None = None,
    format: str | None = None,
    ticks: Any = None,
    *,
    grid: bool = False,
    **scale: Any,
) -> alt.X:
    """An x axis that begins at zero and ends where the numbers end.

    Args:
        field: Column.
        title: Of the axis.
        format: D3's; None: that of amounts.
        ticks: About so many; None: by the size (cells have none that is known).
        grid: Whether lines cross the picture.
        scale: Anything else of Altair's ``Scale``.
    """
    parts = _number(format, ticks or {"expr": "width / 70"}, grid, {"nice": False} | scale)
    return alt.X(f"{field}:Q", title=title, **parts)


def grounded(
    field: str,
    title: str | None = None,
    format: str | None = None,
    ticks: Any = None,
    *,
    stack: Any = alt.Undefined,
    **scale: Any,
) -> alt.Y:
    """A y axis that begins at zero and ends at a round number; otherwise as ``across``."""
    parts = _number(format, ticks or {"expr": "height / 50"}, True, {"nice": True} | scale)
    return alt.Y(f"{field}:Q", title=title, stack=stack, **parts)


def _number(
    format: str | None, ticks: Any, grid: bool, scale: Mapping[str, Any]
) -> dict[str, Any]:
    """Axis and scale of numbers; zero is in it unless a domain says where it ends."""
    said: dict[str, Any] = {"labelExpr": AMOUNT} if format is None else {"format": format}
    zero = {} if "domain" in scale else {"zero": True}
    axis = alt.Axis(grid=grid, tickCount=ticks, **said)
    return {"axis": axis, "scale": alt.Scale(**{**zero, **scale})}


def line_at(axis: str, value: float, **look: Any) -> Chart:
    """A line at a value of one axis, in each cell once."""
    one = Chart().transform_aggregate(rows="count()").mark_rule(**look)
    return one.encode(**{axis: alt.datum(value)})


def named_rows(field: str, names: Sequence[str] | None = None, **more: Any) -> alt.Y:
    """A y axis with one name a row, the first on top; None: in the order of the table."""
    axis = alt.Axis(labelLimit=170, domain=False, ticks=False, labelPadding=6)
    return alt.Y(f"{field}:N", sort=names and list(names), title=None, axis=axis, **more)


def numbered_rows(field: str, names: Sequence[str], ends: Sequence[float]) -> alt.Y:
    """A y axis of the numbers of rows, called by these names, the first on top.

    Args:
        field: Column of numbers.
        names: Of the rows 0, 1, ...
        ends: Where the axis begins and ends, in rows.
    """
    axis = alt.Axis(
        values=list(range(len(names))),
        labelExpr=f"{json.dumps(list(names))}[datum.value]",
        labelLimit=170,
        labelPadding=6,
        grid=False,
    )
    down = alt.Scale(domain=list(ends), reverse=True, nice=False)
    return alt.Y(f"{field}:Q", title=None, axis=axis, scale=down)


def tinted(table: pd.DataFrame | None, flag: str, date: str, word: str = "") -> list[Any]:
    """A background from the first to the last day of the rows with a flag, and its name.

    Args:
        table: Table of the chart that it is laid under; None: that of the cell.
        flag: Column that says whether a row lies in the window.
        date: Column of days, half a period before and after which belong to the window.
        word: What the window is.
    """
    rows = Chart() if table is None else Chart(table)
    at = rows.transform_calculate(_at=f"toNumber(toDate(datum[{date!r}]))")
    found = (
        at.transform_joinaggregate(
            _days="distinct(_at)", _first="min(_at)", _last="max(_at)", groupby=[]
        )
        .transform_filter(f"datum[{flag!r}]")
        .transform_calculate(
            _half="(datum._last - datum._first) / max(datum._days - 1, 1) / 2"
        )
        .transform_aggregate(
            start="min(_at)", end="max(_at)", half="max(_half)", groupby=[flag]
        )
        .transform_calculate(start="datum.start - datum.half", end="datum.end + datum.half")
    )
    back = found.mark_rect(color=TINT).encode(x="start:T", x2="end:T")
    said = found.mark_text(align="right", baseline="bottom", dy=-3, color=MUTED)
    text = said.encode(x="end:T", y=alt.value(0), text=alt.value(word))
    return [back, text] if word else [back]


def aside(rows: Chart, texts: Mapping[str, str]) -> list[Any]:
    """Columns of text beside rows with names, under their heads.

    Args:
        rows: The chart whose y axis names the rows, with its table.
        texts: Column of text -> its head.
    """
    found, at, table = [], 0.0, pd.DataFrame(rows.data)
    for field, head in texts.items():
        at += 14 + 6.6 * max([len(head), *table[field].astype(str).str.len()])
        put: dict[str, Any] = {"align": "right", "dx": at, "clip": False}
        found.append(
            rows.mark_text(**put).encode(
                x=alt.value("width"), text=f"{field}:N", color=alt.value(INK)
            )
        )
        one = Chart(rows.data).transform_aggregate(_rows="count()")  # the same table
        name = one.mark_text(baseline="bottom", color=MUTED, text=head, **put)
        found.append(name.encode(x=alt.value("width"), y=alt.value(-4)))
    return found


def beside(rows: Chart, text: str, small: str) -> list[Any]:
    """A column of text to the right of rows, and one in small print below it."""
    texts = rows.encode(x=alt.value("width"))
    look: dict[str, Any] = {"align": "left", "dx": 8}
    return [
        texts.mark_text(dy={"expr": f"datum.{small} ? -7 : 0"}, **look).encode(
            text=f"{text}:N"
        ),
        texts.mark_text(dy=8, fontSize=10.5, color=MUTED, **look).encode(text=f"{small}:N"),
    ]


def pointer(drawn: Any, date: str, told: Sequence[Any]) -> Any:
    """A line where the pointer is, which tells some columns of that day.

    Args:
        drawn: The table that it is laid over, as a chart without a mark.
        date: Column of days.
        told: Tooltips.
    """
    point = alt.selection_point(
        name="pointed", fields=[date], nearest=True, on="pointermove", empty=False,
        clear="pointerout",
    )  # fmt: skip
    day = alt.Tooltip(f"{date}:T", format=DAYS, title="day")
    shown = alt.condition(point, alt.value(0.7), alt.value(0.0), empty=False)
    line = drawn.mark_rule(color=MUTED, strokeWidth=1)
    return line.encode(x=f"{date}:T", tooltip=[day, *told], opacity=shown).add_params(point)


def tips(named: Mapping[str, str], format: str = ",.3~r") -> list[Any]:
    """Numbers in a tooltip: what each column is called, and D3's format of all."""
    return [alt.Tooltip(f"{k}:Q", format=format, title=v) for k, v in named.items()]


def told(**named: str) -> list[Any]:
    """Texts in a tooltip: column and what it is called."""
    return [alt.Tooltip(f"{field}:N", title=name) for field, name in named.items()]


def unified(
    table: pd.DataFrame,
    date: str,
    series: str,
    value: str,
    names: Sequence[str],
    format: str = ",.3~r",
) -> Chart:
    """A line where the pointer is, which tells every series on that day.

    Args:
        table: Table of the chart that it is laid over, or a part of it.
        date: Column of days.
        series: Column of names.
        value: Column of numbers.
        names: Series in the order in which they are told.
        format: D3's format of the numbers.
    """
    place = f"'s' + indexof({json.dumps(list(names))}, datum[{series!r}])"
    each = [
        alt.Tooltip(f"s{i}:Q", format=format, title=name.replace("\\", "/"))
        for i, name in enumerate(names)  # a backslash breaks Vega-Lite's text for the blind
    ]
    wide = Chart(table).transform_calculate(_place=place)
    wide = wide.transform_pivot("_place", value=value, groupby=[date])
    return pointer(wide, date, each)


def to_png(picture: Any, scale: float = 2.0) -> bytes:
    """A picture as PNG.

    Args:
        scale: Dots a pixel.
    """
    kept = io.BytesIO()
    picture.save(kept, format="png", scale_factor=scale)
    return kept.getvalue()


def to_svg(picture: Any) -> str:
    """A picture as SVG, to stand inside a page."""
    kept = io.StringIO()
    picture.save(kept, format="svg")
    return kept.getvalue()
