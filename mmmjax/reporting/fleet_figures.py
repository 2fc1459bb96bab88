"""The figures of a fleet's report: returns over markets, and how the markets ended."""

from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from mmmjax.fleet import FleetReturns
from mmmjax.fleet.attention import ORDER
from mmmjax.fleet.engine import FAILED, NOT_CONVERGED, REFUSED
from mmmjax.plot.bins import FLEET, bins
from mmmjax.plot.colours import APART, INK, MODEL, MUTED, REST, channel_colours
from mmmjax.plot.labels import Return, amount, capital, decimals, span
from mmmjax.reporting import figure as f
from mmmjax.reporting.figure import Figure, Key, View

__all__ = ["distributions", "forest", "spread", "statuses"]

BAD = (FAILED, REFUSED, NOT_CONVERGED)
NAMED = 40  # markets up to which a forest names its rows
DRAWN = 1000  # markets in a forest; of more, evenly spaced ones
DOTS = 250  # markets of a channel beside the others, likewise
DOTTED = " Dotted: 1, where spend breaks even."
EVEN = ({
    "type": "line", "line": {"color": INK, "width": 1, "dash": "dot"}, "x0": 1, "x1": 1,
    "y0": 0, "y1": 1, "yref": "paper",
},)  # fmt: skip


def statuses(ranking: pd.DataFrame) -> Figure:
    """How many markets ended how."""
    ended = ranking["attention"].tolist()
    names = [name for name in ORDER if name in ended]
    values = [ended.count(name) for name in names]
    colours = [APART if name in BAD else MODEL for name in names]
    data = [{
        "type": "bar", "orientation": "h", "x": values, "y": list(range(len(names))),
        "name": "markets", "marker": {"color": colours},
        "text": [f"{v:,}" for v in values], "textposition": "outside", "cliponaxis": False,
        "hoverinfo": "skip",
    }]  # fmt: skip
    said = ", ".join(f"{v:,} {n}" for n, v in zip(names, values, strict=True))
    layout = f.rows_of([capital(name) for name in names], rangemode="tozero")
    layout["margin"]["r"] = 64
    return Figure(
        "statuses", "How the markets ended", data, layout | {"bargap": 0.35},
        f"Markets: {said}", unit="markets",
        caption="Converged markets are either fine or have odd scores; refitted ones "
        "converged alone, by NUTS.",
        height=70 + 38 * len(names), phone=70 + 38 * len(names),
    )  # fmt: skip


def spread(found: FleetReturns, unit: Return) -> Figure:
    """Every channel: its markets, the typical one, and what a new one may have."""
    names = found.channels["channel"].astype(str).tolist()
    data: list[dict[str, Any]] = []
    form = f".{decimals(found.channels['typical'])}f"
    for row, (name, colour) in enumerate(channel_colours(names).items()):
        own = found.markets.loc[found.markets["channel"].astype(str) == name]
        own = _evenly(own.loc[own["shrunk_mean"].notna()], "shrunk_mean", DOTS)
        data += _over_markets(row, colour, own, found.channels.iloc[row], form)
    reach = _reach(found, found.markets["shrunk_mean"], found.channels["new_hi"])
    cut = max(found.channels["markets"].tolist()) > DOTS
    some = f" Of many markets {DOTS} are drawn, evenly spaced." if cut else ""
    layout = f.rows_of(names, rangemode="tozero", range=[0, reach])
    layout["shapes"] = list(EVEN if found.in_money else ())
    return Figure(
        "spread", "What a channel returns over the markets", data, layout,
        "Each channel: its markets, the typical one and what a new one may have",
        unit=unit.per,
        caption="Small dots: markets, each leaning on the others. Ring and thick line: the "
        "typical (median) market. Thin line: where a market that is not in the fleet would "
        f"lie. 94% intervals; long lines are cut.{some}" + DOTTED * found.in_money,
        legend=[Key("markets", MODEL, "dot"),
                Key("typical market", MODEL, "ring", "typical"),
                Key("a new market", MODEL, "line", "new")],
        height=70 + 58 * len(names), phone=70 + 58 * len(names),
    )  # fmt: skip


def _over_markets(
    row: int, colour: str, own: pd.DataFrame, told: Any, form: str
) -> list[dict[str, Any]]:
    """One channel: markets as dots below the intervals of the typical and of a new one."""
    jitter = np.random.default_rng(row).uniform(-0.1, 0.1, len(own))
    name = f.plain(told["channel"])
    ring = {"color": "white", "size": 9, "line": {"color": colour, "width": 2}}
    text = (
        f"typical market: {amount(told['typical'])} (94%: {_span(told, 'typical')})<br>"
        f"a new one: {span(told['typical'], told['new_lo'], told['new_hi'])}<extra></extra>"
    )
    dots: dict[str, Any] = {
        "type": "scatter", "mode": "markers", "name": name, "legendgroup": "markets",
        "x": f.numbers(own["shrunk_mean"], 4), "y": f.numbers(row + 0.28 + jitter, 4),
        "marker": {"color": f.flag(colour, 0.45), "size": 5},
        "text": [f.plain(market) for market in own["market"]],
        "hovertemplate": f"%{{text}}: %{{x:{form}}}<extra></extra>",
    }  # fmt: skip
    typical: dict[str, Any] = {
        "type": "scatter", "mode": "markers", "name": name, "legendgroup": "typical",
        "x": f.numbers([told["typical"]]), "y": [row], "marker": ring,
        "hovertemplate": text,
    }  # fmt: skip
    return [
        dots,
        _line(told["new_lo"], told["new_hi"], row, colour, 2, "new"),
        _line(told["typical_lo"], told["typical_hi"], row, colour, 7, "typical"),
        typical,
    ]


def _evenly(rows: pd.DataFrame, by: str, most: int) -> pd.DataFrame:
    """Rows from the largest to the smallest; of many, so many of them evenly spaced."""
    few = np.linspace(0, len(rows) - 1, min(len(rows), most)).round().astype(int)
    return rows.sort_values(by, ascending=False, kind="stable").iloc[few]


def _line(
    lo: float, hi: float, row: int, colour: str, width: int, group: str
) -> dict[str, Any]:
    """A horizontal interval."""
    return {
        "type": "scatter", "mode": "lines", "x": f.numbers([lo, hi]), "y": [row, row],
        "name": f"{group} market, 94%", "legendgroup": group, "hoverinfo": "skip",
        "line": {"color": f.flag(colour, 0.55), "width": width},
    }  # fmt: skip


def _span(told: Any, name: str) -> str:
    return span(told[name], told[f"{name}_lo"], told[f"{name}_hi"])


def _reach(returns: FleetReturns, *values: Any) -> float:
    """Where an axis ends: past nearly all of the values, and past break-even."""
    found = np.concatenate([np.asarray(v, float) for v in values])
    known = found[np.isfinite(found)]
    reach = 1.08 * float(np.quantile(known, 0.98)) if known.size else 1.0
    return max(reach, 1.1) if returns.in_money else reach


class _Rows(NamedTuple):
    """The rows of one channel's forest, the highest own return on top."""

    table: pd.DataFrame
    told: Any
    of: int


def forest(found: FleetReturns, unit: Return) -> Figure:
    """Every market's own return and the shrunk one; a view for each channel."""
    parts = []
    for told in found.channels.to_dict("records"):
        own = found.markets.loc[found.markets["channel"] == told["channel"]]
        parts.append(_Rows(_evenly(own, "roas_mean", DRAWN), told, len(own)))
    traces = [_traces(part) for part in parts]
    views = [
        View(
            str(part.told["channel"]),
            _changes(traces[0], own),
            layout=_forest_layout(found, part),
        )
        for part, own in zip(parts, traces, strict=True)
    ]
    most = max(len(part.table) for part in parts)
    cut = any(part.of > DRAWN for part in parts)
    height = 90 + (24 * most if most <= NAMED else 560)
    return Figure(
        "forest", "Each market's own return, and the one given all markets", traces[0],
        dict(views[0].layout),
        f"Own and shrunk {unit.name} of every market with 94% intervals, by channel",
        unit=unit.per,
        caption=f"Sorted by own {unit.name}. Markets that know little lean on the others. "
        "Tinted: the typical market. Rings: a log-normal describes the own posterior "
        "poorly, often one that heaps up at 0; rely on its own interval."
        + (f" Shown are {DRAWN:,} markets, evenly spaced in that order." if cut else "")
        + DOTTED * found.in_money,
        legend=[Key("own", REST), Key("given all markets", MODEL, group="shrunk")],
        views=views if len(views) > 1 else (), views_label="Channel",
        height=height, phone=height,
    )  # fmt: skip


def _traces(part: _Rows) -> list[dict[str, Any]]:
    """Intervals and dots, own ones above shrunk ones; the same traces for each channel."""
    table, shift = part.table, 0.16 if len(part.table) <= NAMED else 0.0
    form = f".{decimals(table['roas_mean'])}f"
    names = [f.plain(name) for name in table["market"]]
    rough = np.where(table["rough"], "circle-open", "circle").tolist()
    drawn: list[dict[str, Any]] = []
    looks = [
        ("roas", "own", REST, MUTED, -shift),
        ("shrunk", "shrunk", MODEL, MODEL, shift),
    ]
    for name, group, line, dot, off in looks:
        rows = np.arange(len(table)) + off
        gaps = np.full(len(table), np.nan)
        x = np.column_stack([table[f"{name}_lo"], table[f"{name}_hi"], gaps]).ravel()
        y = np.column_stack([rows, rows, gaps]).ravel()
        drawn.append({
            "type": "scatter", "mode": "lines", "x": f.numbers(x, 4), "y": f.numbers(y, 5),
            "name": f"{group}, 94%", "legendgroup": group, "hoverinfo": "skip",
            "line": {"color": line if shift else f.flag(line, 0.6),
                     "width": 3 if shift else 1},
        })  # fmt: skip
        drawn.append({
            "type": "scatter", "mode": "markers", "x": f.numbers(table[f"{name}_mean"], 4),
            "y": f.numbers(rows, 5), "name": group, "legendgroup": group, "text": names,
            "marker": {"color": dot, "size": 7 if shift else 4,
                       "symbol": rough if name == "roas" else "circle"},
            "hovertemplate": f"%{{text}}: %{{x:{form}}}<extra>{group}</extra>",
        })  # fmt: skip
    return drawn


def _changes(
    first: list[dict[str, Any]], own: list[dict[str, Any]]
) -> list[dict[str, Any]]:
    """What a view changes of the first one: the page is a third smaller so."""
    return [
        {key: value for key, value in trace.items() if value != base[key]}
        for base, trace in zip(first, own, strict=True)
    ]


def _forest_layout(found: FleetReturns, part: _Rows) -> dict[str, Any]:
    """Axes of one channel, its typical market, and break-even."""
    table, told = part.table, part.told
    reach = _reach(found, table["roas_hi"], table["shrunk_hi"])
    layout = f.rows_of(table["market"].astype(str).tolist(), range=[0, reach])
    if len(table) > NAMED:
        layout["yaxis"] |= {"showticklabels": False, "range": [len(table), -1]}
        layout["margin"]["l"] = 16
    layout["shapes"] = list(EVEN if found.in_money else ())
    if np.isfinite(told["typical"]):
        layout["shapes"].append(f.tinted(told["typical_lo"], told["typical_hi"], "#e7eef5"))
    return layout


def distributions(table: pd.DataFrame) -> list[Figure]:
    """R-hat, ESS, seconds and coverage over the markets that have them."""
    drawn = [_histogram(name, title, table[name], mark) for name, title, mark in FLEET]
    return [figure for figure in drawn if figure is not None]


def _histogram(name: str, title: str, values: Any, mark: float | None) -> Figure | None:
    """Markets by size of a number; the few beyond the last bar are counted in it."""
    known = np.sort(np.asarray(values, float))
    known = known[np.isfinite(known)]
    if not known.size:
        return None
    edges, counts, beyond, marked = bins(known, mark)
    form = f".{min(decimals(known) + 1, 4)}f"
    texts = [f"{a:,{form}} to {b:,{form}}" for a, b in pairwise(edges)]
    if beyond:
        texts[-1] = f"{edges[-2]:,{form}} to {known[-1]:,{form}}"
    colours = [MODEL] * (len(counts) - 1) + [APART if beyond else MODEL]
    data = [{
        "type": "bar", "x": f.numbers((edges[1:] + edges[:-1]) / 2), "y": counts.tolist(),
        "name": "markets", "text": texts, "textposition": "none",
        "marker": {"color": colours},
        "hovertemplate": "%{text}: %{y:,} markets<extra></extra>",
    }]  # fmt: skip
    layout: dict[str, Any] = {
        "bargap": 0.06, "xaxis": {"showgrid": False, "fixedrange": True, "nticks": 6},
        "yaxis": {"fixedrange": True, "rangemode": "tozero", "tickformat": ",d",
                  "nticks": 5},
    }  # fmt: skip
    if marked is not None:
        line = {"color": INK, "width": 1, "dash": "dot"}
        layout["shapes"] = [{"type": "line", "xref": "x", "yref": "paper", "x0": mark,
                             "x1": mark, "y0": 0, "y1": 1, "line": line}]  # fmt: skip
    low, middle, high = (f"{x:,{form}}" for x in np.quantile(known, [0, 0.5, 1]))
    said = f"Median {middle}, from {low} to {high}."
    more = f" The last bar has the {beyond:,} beyond it too." if beyond else ""
    dotted = "" if marked is None else f" Dotted: {marked:g}."
    return Figure(
        name, title, data, layout, f"{title} of {known.size:,} markets. {said}",
        unit="markets", caption=said + dotted + more, height=240, phone=230,
    )  # fmt: skip
