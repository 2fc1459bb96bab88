"""Figures of returns on spend: how large, how sure, of what size, and when they come."""

from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from mmmjax.plot.colours import INK, MODEL, REST
from mmmjax.plot.labels import amount, amounts, for_geo, in_percent
from mmmjax.reporting import figure as f
from mmmjax.reporting.evidence import Evidence
from mmmjax.reporting.figure import Figure, Key, View

__all__ = ["bubbles", "periods", "returns", "timing", "window_names"]

ROW = 34  # pixels of a row with a name
EVEN = {"type": "line", "line": {"color": INK, "width": 1, "dash": "dot"}}  # break-even


def _paid(found: Evidence) -> pd.DataFrame:
    """Rows of channels.csv over all geos that have a return, in the user's order."""
    rows = for_geo(found.returned.of(found.channels), None)
    return rows.loc[rows["roas_mean"].notna()]


def returns(found: Evidence) -> Figure | None:
    """ROAS of every channel with its interval, and below it what the next unit brings."""
    rows = _paid(found)
    if rows.empty:
        return None
    names = rows["channel"].astype(str).tolist()
    data: list[dict[str, Any]] = []
    unit = found.returned
    kinds = (("roas", unit.name, -0.14, 3.0, 10, "circle"),
             ("mroas", unit.next, 0.2, 1.6, 8, "circle-open"))  # fmt: skip
    for kind, group, shift, width, size, symbol in kinds:
        told = f.interval(rows, kind)
        for i, name in enumerate(names):
            mean, lo, hi = (f.numbers([rows[f"{kind}_{s}"].iloc[i]])[0]
                            for s in ("mean", "lo", "hi"))  # fmt: skip
            colour = found.colours.get(name, REST)
            line = {"type": "scatter", "y": [i + shift] * 2, "x": [lo, hi], "mode": "lines",
                    "line": {"color": colour, "width": width}, "hoverinfo": "skip",
                    "name": f"{f.plain(name)}, {group} 94%"}  # fmt: skip
            dot = {"type": "scatter", "y": [i + shift], "x": [mean], "mode": "markers",
                   "marker": {"color": colour, "size": size, "symbol": symbol,
                              "line": {"width": 2, "color": colour}},
                   "name": f"{f.plain(name)}, {group}", "text": [told[i]],
                   "hovertemplate": f.hover("%{text}")}  # fmt: skip
            data += [part | {"legendgroup": group} for part in (line, dot)]
    data.append({
        "type": "scatter", "mode": "text", "name": unit.name, "legendgroup": unit.name,
        "x": f.numbers(rows["roas_hi"]), "y": [i - 0.14 for i in range(len(names))],
        "text": [f" {text}" for text in amounts(rows["roas_mean"])],
        "textposition": "middle right", "textfont": {"color": INK}, "hoverinfo": "skip",
        "cliponaxis": False,
    })  # fmt: skip
    ahead = f"the next {found.money} ({unit.next})"
    keys = [
        Key(f"{unit.name}, 94% interval", MODEL, "dot", unit.name),
        Key(ahead, MODEL, "ring", unit.next),
    ]
    if found.truth:
        data.append(_true(found, names))
        keys.append(Key(f"true {unit.name}", INK, "diamond"))
    said = ", ".join(
        f"{name} {amount(value)}"
        for name, value in zip(names, rows["roas_mean"], strict=True)
    )
    ends = rows[["roas_lo", "roas_hi"]].to_numpy(float)
    low, high = min(0.0, float(ends.min())), float(ends.max())
    wide = [1.03 * low, high + 0.16 * (high - low)]
    layout = f.rows_of(names, range=wide, zeroline=True)
    if unit.value is not None:
        wide[1] = max(wide[1], 1.1)
        layout["shapes"] = [EVEN | {"x0": 1, "x1": 1, "y0": 0, "y1": 1, "yref": "paper"}]
    height = 60 + int(1.3 * ROW * len(names))
    return Figure(
        "returns", "Return on spend, with its uncertainty", data, layout,
        f"{unit.name}: {said}", unit=unit.per,
        caption="Full: what one unit of money brought on average, carry-over included. "
        "Hollow: what the next one brings, lower where a channel is saturated. The longer "
        f"the line, the less is known; the number is the mean.{_below_one(found, rows)}",
        legend=keys, height=height, phone=height,
    )  # fmt: skip


def _below_one(found: Evidence, rows: pd.DataFrame) -> str:
    """What a return below 1 means, where a channel's next unit of money has one."""
    if found.returned.value is not None:
        return " Dotted: 1, where spend breaks even."
    if not (rows["mroas_mean"].to_numpy(float) < 1).any():
        return ""
    money = "a unit of money"
    return f" Below 1 {money} brings less than one unit of {f.plain(found.outcome)}."


def _true(found: Evidence, names: Sequence[str]) -> dict[str, Any]:
    times = found.returned.times
    known = [
        (i, times * found.truth[name])
        for i, name in enumerate(names)
        if name in found.truth
    ]
    return {
        "type": "scatter", "mode": "markers", "name": f"true {found.returned.name}",
        "legendgroup": f"true {found.returned.name}", "y": [i - 0.14 for i, _ in known],
        "x": f.numbers([value for _, value in known]),
        "marker": {"symbol": "diamond", "size": 10, "color": INK,
                   "line": {"color": "white", "width": 1}},
        "hovertemplate": f.hover("%{x:,.3~r}"),
    }  # fmt: skip


def bubbles(found: Evidence) -> Figure | None:
    """Share of the outcome against ROAS, as large as the spend."""
    rows = _paid(found)
    rows = rows.loc[rows["spend"] > 0]
    if len(rows) < 2:
        return None
    largest, data = float(rows["spend"].max()), []
    sizes = (12 + 44 * np.sqrt(rows["spend"].to_numpy(float) / largest)).round(1).tolist()
    labels = [f.wrapped(str(name), 14) for name in rows["channel"]]
    places = _places(rows["share_mean"], rows["roas_mean"], sizes, labels)
    told = zip(f.percentages(rows, "share"), f.interval(rows, "roas"), strict=True)
    texts: list[dict[str, Any]] = []  # above all circles
    for row, (share, roas), size, label, place in zip(
        rows.to_dict("records"), told, sizes, labels, places, strict=True
    ):
        name = str(row["channel"])
        words = (
            f"share of {f.plain(found.outcome)} {share}<br>"
            f"{found.returned.name} {roas}<br>spend "
            f"{amount(row['spend'])} {f.plain(found.currency)}"
        )
        one: dict[str, Any] = {
            "type": "scatter", "name": f.plain(name), "legendgroup": name,
            "x": f.numbers([row["share_mean"]]), "y": f.numbers([row["roas_mean"]]),
        }  # fmt: skip
        data.append(one | {
            "mode": "markers", "customdata": [words],
            "hovertemplate": f.hover("%{customdata}"),
            "marker": {"color": found.colours.get(name, REST), "opacity": 0.85,
                       "size": [size], "line": {"color": "white", "width": 1}},
        })  # fmt: skip
        texts.append(one | {
            "mode": "markers+text", "text": [label], "textposition": place,
            "textfont": {"color": INK, "size": 12}, "hoverinfo": "skip",
            "marker": {"size": [size], "opacity": 0},
        })  # fmt: skip
    top, right = float(rows["roas_mean"].max()), float(rows["share_mean"].max())
    layout: dict[str, Any] = {
        "xaxis": {"tickformat": ".1~%", "zeroline": True,
                  "range": [-0.12 * right, 1.22 * right],
                  "title": {"text": f"share of {f.plain(found.outcome)}"}},
        "yaxis": {"zeroline": True, "range": [-0.14 * top, 1.28 * top],
                  "title": {"text": found.returned.name}},
    }  # fmt: skip
    if found.returned.value is not None:
        layout["shapes"] = [EVEN | {"y0": 1, "y1": 1, "x0": 0, "x1": 1, "xref": "paper"}]
    each = zip(rows["channel"], rows["share_mean"], rows["roas_mean"], strict=True)
    said = ", ".join(
        f"{name} {in_percent(share, np.inf)} at {amount(roas)}"
        for name, share, roas in each
    )
    names = rows["channel"].astype(str)
    return Figure(
        "bubbles", "Who brings much, who brings it cheaply", data + texts, layout,
        f"Share and {found.returned.name}: {said}",
        unit=f"{found.returned.name} in {found.returned.per}",
        caption="The area of a circle is the spend. To the right: large contribution; up: "
        "large return. Posterior means; the intervals show when you point at a circle."
        + " Dotted: a return of 1, break-even." * (found.returned.value is not None),
        legend=[Key(name, found.colours.get(name, REST), "dot") for name in names],
        height=400, phone=340,
    )  # fmt: skip


CANVAS = (300.0, 240.0)  # pixels, about those of a phone
PLACES = {"top center": (0, 1), "bottom center": (0, -1), "middle right": (1, 0),
          "middle left": (-1, 0)}  # fmt: skip


def _places(x: Any, y: Any, sizes: Sequence[float], names: Sequence[str]) -> list[str]:
    """Where the name of each point stands, so that names cover little else.

    One after the other takes the place that overlaps least with circles and names placed
    before; all in pixels.
    """
    at = np.column_stack([np.asarray(v, float) / (np.max(v) or 1.0) for v in (x, y)])
    at *= np.array(CANVAS) / 1.35
    boxes = [(*point, size / 2, size / 2) for point, size in zip(at, sizes, strict=True)]
    chosen = []
    for point, size, name in zip(at, sizes, names, strict=True):
        lines = name.split("<br>")
        half = (3.3 * max(map(len, lines)), 7.5 * len(lines))
        tried = {}
        for place, (right, up) in PLACES.items():
            gap = size / 2 + 3
            box = (
                point[0] + right * (gap + half[0]),
                point[1] + up * (gap + half[1]),
                *half,
            )
            out = max(0.0, box[0] + half[0] - CANVAS[0]) * half[1]
            tried[place] = (sum(_overlap(box, other) for other in boxes) + out, box)
        best = min(tried, key=lambda place: tried[place][0])
        chosen.append(best)
        boxes.append(tried[best][1])
    return chosen


def _overlap(a: tuple[float, ...], b: tuple[float, ...]) -> float:
    """Area that two boxes (centre and half sizes) share."""
    wide, high = (a[k + 2] + b[k + 2] - abs(a[k] - b[k]) for k in (0, 1))
    return max(wide, 0.0) * max(high, 0.0)


KINDS = {"year": "by year", "quarter": "by quarter", "month": "by month"}


def periods(found: Evidence) -> Figure | None:
    """ROAS of every channel in every year or quarter, with intervals."""
    table = _windows(found)
    there = set(table["kind"])
    kinds = [kind for kind in KINDS if kind in there]
    if not kinds:
        return None
    there = set(table["channel"])
    channels = [name for name in found.fit.panel.channels if name in there]
    drawn = {k: _by_window(found, table.loc[table["kind"] == k], channels) for k in kinds}
    data = []
    for i, name in enumerate(channels):
        colour = found.colours.get(name, REST)
        data.append({
            "type": "scatter", "name": f.plain(name), "legendgroup": name,
            "line": {"color": colour, "width": 1.5}, "marker": {"color": colour},
            "hovertemplate": f.hover("%{text}"), **drawn[kinds[0]][i],
        })  # fmt: skip
    views = [View(KINDS[kind], drawn[kind]) for kind in kinds]
    why = "The model holds each channel's curve fixed: returns move because spend moves "
    why = (
        why + "along it."
        if found.table("multipliers") is None
        else (
            "Returns move because spend moves along a channel's curve, and because effects "
            "move that are allowed to."
        )
    )
    return Figure(
        "periods", "Return on spend over time", data,
        {"hovermode": "x unified", "scattermode": "group", "scattergap": 0.35,
         "hoverdistance": 100, "xaxis": {"type": "category", "showgrid": False},
         "yaxis": {"rangemode": "tozero", "fixedrange": True, "zeroline": True}},
        f"{found.returned.name} of every channel in every {' and '.join(kinds)}",
        unit=f"{found.returned.per} spent in the window",
        caption="Each window of spend against spending nothing in it, carry-over after it "
        f"included. {why} Bars: 94% intervals, shown where there is room.",
        legend=[Key(name, found.colours.get(name, REST)) for name in channels],
        views=views if len(views) > 1 else (), views_label="windows", height=380, phone=320,
    )  # fmt: skip


def _windows(found: Evidence) -> pd.DataFrame:
    """Returns of windows over all geos; no rows where there are none."""
    table = found.table("returns")
    if table is None:
        return pd.DataFrame({"kind": [], "channel": []})
    return for_geo(found.returned.of(table), None).loc[lambda t: t["roas_mean"].notna()]


def _by_window(
    found: Evidence, rows: pd.DataFrame, channels: Sequence[str]
) -> list[dict[str, Any]]:
    """A patch a channel; points with error bars, or lines where there are many windows."""
    parts, few = [], len(set(rows["window"])) * len(channels) <= 48
    names = window_names(found.window, rows)
    for name in channels:
        of = rows.loc[rows["channel"] == name]
        mean, lo, hi = (of[f"roas_{s}"].to_numpy(float) for s in ("mean", "lo", "hi"))
        bars = {"type": "data", "symmetric": False, "array": f.numbers(hi - mean),
                "arrayminus": f.numbers(mean - lo), "thickness": 1, "width": 3,
                "visible": few}  # fmt: skip
        parts.append({
            "x": [names[str(label)] for label in of["window"]], "y": f.numbers(mean),
            "text": f.interval(of, "roas"), "error_y": bars,
            "mode": "markers" if few else "lines+markers",
            "marker": {"size": 9 if few else 5, "color": found.colours.get(name, REST)},
            "offsetgroup": name if few else "",
        })  # fmt: skip
    return parts


def window_names(window: pd.DatetimeIndex, rows: pd.DataFrame) -> dict[str, str]:
    """Labels of windows by label; a year that training covers only in part says so."""
    kind = str(rows["kind"].iloc[0])
    labels = list(dict.fromkeys(rows["window"].astype(str)))
    if kind != "year":
        return {label: label for label in labels}
    count = Counter(str(day.year) for day in window)
    whole = 0.9 * max(count.values())
    part = {label: label in count and count[label] < whole for label in labels}
    return {label: f"{label} (part)" if part[label] else label for label in labels}


def timing(found: Evidence) -> Figure | None:
    """How much of what spend brings comes in its own window, and how much later."""
    table = _windows(found)
    there = set(table["kind"])
    kind = next((k for k in ("quarter", "year", "all") if k in there), None)
    if kind is None:
        return None
    sums = table.loc[table["kind"] == kind].groupby("channel", sort=False)
    parts = sums[["now_mean", "after_mean"]].sum()
    names = [name for name in found.fit.panel.channels if name in parts.index]
    parts, rows = parts.loc[names], list(range(len(names)))
    shares = parts.div(parts.sum(axis=1), axis=0)
    data = []
    for column, label, alpha in (("now_mean", "in the window", 1.0),
                                 ("after_mean", "after it", 0.4)):  # fmt: skip
        told = [
            f"{amount(value)} {f.plain(found.outcome)}, {share:z.1%}"
            for value, share in zip(parts[column], shares[column], strict=True)
        ]
        paint = [f.flag(found.colours.get(name, REST), alpha) for name in names]
        data.append({
            "type": "bar", "orientation": "h", "name": label, "legendgroup": label,
            "y": rows, "x": f.numbers(shares[column]), "marker": {"color": paint},
            "width": 0.66, "customdata": told, "hovertemplate": f.hover("%{customdata}"),
            "text": [f"{share:z.0%}" for share in shares[column]],
            "textposition": "auto", "insidetextanchor": "middle", "constraintext": "none",
            "textangle": 0, **({} if alpha == 1.0 else {"textfont": {"color": INK}}),
        })  # fmt: skip
    word = {"quarter": "quarter", "year": "year", "all": "training window"}[kind]
    later = {n: f"{s:z.0%}" for n, s in shares["after_mean"].items()}
    return Figure(
        "timing", "Now or later: when spend pays back", data,
        f.rows_of(names, tickformat=".0%", range=[0, 1.001], dtick=0.25)
        | {"barmode": "stack"},
        f"Share that comes after the {word}: "
        + ", ".join(f"{name} {text}" for name, text in later.items()),
        unit=f"share of what a {word}'s spend brings",
        caption=f"Full: within the {word} of the spend. Pale: after it, by carry-over. "
        "A cut at the end of a window forgets the pale part.",
        legend=[Key(f"in the {word}", MODEL, "area", "in the window"),
                Key("after it", REST, "area")],
        height=60 + ROW * len(names), phone=60 + ROW * len(names),
    )  # fmt: skip
