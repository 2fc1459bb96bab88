"""Figures of what other levels of spend would bring: curves, sweep, carry-over."""

from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from mmmjax.plot.colours import INK, MODEL, MUTED, REST, TINT
from mmmjax.plot.labels import amount, for_geo, large, with_unit
from mmmjax.reporting import figure as f
from mmmjax.reporting.evidence import Evidence
from mmmjax.reporting.figure import Figure, Key, View

__all__ = ["CURVE_KEYS", "curves", "half_lives", "lags", "sweep"]

MOST_CURVES = 24  # of more channels, those that brought the most
ROW = 34  # pixels of a row with a name

CURVE_KEYS = (
    Key("mean", MODEL), Key("extrapolated", MODEL, "dash"),
    Key("94% interval", MODEL, "band"), Key("observed range", TINT, "area"),
    Key("today", INK, "dot"),
)  # fmt: skip


def curves(found: Evidence) -> list[Figure]:
    """One small figure a channel, in the user's order."""
    table = found.table("curves")
    if table is None:
        return []
    rows, panel = for_geo(table, None), found.fit.panel
    ranking = for_geo(found.channels, None).sort_values(
        "contribution_mean", ascending=False
    )
    chosen = set(ranking["channel"].iloc[:MOST_CURVES])
    parts = {str(name): part for name, part in rows.groupby("channel", sort=False)}
    names = [name for name in panel.channels if name in chosen and name in parts]
    return [_curve(found, i, name, parts[name]) for i, name in enumerate(names)]


class _Level(NamedTuple):
    """What is on the x axis of a channel's curve: money, or media if organic."""

    column: str
    label: str
    unit: str
    today: float


def _level(found: Evidence, name: str) -> _Level:
    """Today is the mean period of training, summed over geos."""
    panel = found.fit.panel
    here, channel = slice(panel.history, None), panel.channels.index(name)
    paid = bool(panel.paid[channel])
    amounts = (panel.spend if paid else panel.media)[:, here, channel]
    count = np.maximum(panel.present[:, here].sum(axis=1), 1)
    today = float((amounts.sum(axis=1) / count).sum())
    if paid:
        return _Level("spend", with_unit("spend", found.currency), found.currency, today)
    return _Level("media", "media (organic)", "", today)


def _curve(found: Evidence, number: int, name: str, rows: pd.DataFrame) -> Figure:
    level, colour = _level(found, name), found.colours.get(name, REST)
    rows = rows.sort_values(level.column)
    x = rows[level.column].to_numpy(float)
    mean, lo, hi = (rows[s].to_numpy(float) for s in ("mean", "lo", "hi"))
    beyond = rows["extrapolated"].to_numpy(bool)
    joint = int(np.flatnonzero(~beyond)[-1]) if (~beyond).any() else 0
    text = np.array(
        [told.replace(" (", "<br>").rstrip(")") for told in f.interval(rows, "")]
    )
    shown = f.hover(f"%{{x}} {f.plain(level.unit)}<br>brings %{{text}}", name="")
    data = f.band(f.numbers(x), lo, hi, colour, f"{f.plain(name)}, 94%", "94% interval")
    for part, label, dash in ((slice(0, joint + 1), "mean", "solid"),
                              (slice(joint, None), "extrapolated", "dot")):  # fmt: skip
        data.append({
            "type": "scatter", "mode": "lines", "name": label, "legendgroup": label,
            "x": f.numbers(x[part]), "y": f.numbers(mean[part]),
            "text": text[part].tolist(),
            "line": {"color": colour, "width": 2.4, "dash": dash}, "hovertemplate": shown,
        })  # fmt: skip
    at = float(np.interp(level.today, x, mean))
    said = f"{large(at)} {found.outcome} a {found.period} at {large(level.today)}"
    data.append({
        "type": "scatter", "mode": "markers", "name": "today", "legendgroup": "today",
        "x": f.numbers([level.today]), "y": f.numbers([at]),
        "marker": {"color": INK, "size": 9, "line": {"color": "white", "width": 1.5}},
        "hovertemplate": f.hover(f"today<br>%{{x}} {f.plain(level.unit)}", name=""),
    })  # fmt: skip
    layout = {
        "hovermode": "closest", "hoverdistance": 60,
        "margin": {"l": 44, "r": 12, "t": 8, "b": 40},
        "shapes": [f.tinted(0, f.numbers([x[joint]])[0], TINT)],
        "xaxis": {"rangemode": "tozero", "hoverformat": f.number_format(x), "nticks": 5,
                  "showgrid": False, "fixedrange": True,
                  "title": {"text": f"{f.plain(level.label)} a {found.period}"}},
        "yaxis": {"rangemode": "tozero", "fixedrange": True, "nticks": 5},
    }  # fmt: skip
    return Figure(
        f"curve-{number}", name, data, layout,
        f"Response of {found.outcome} to {name}: {said} {level.unit}".strip(),
        unit=f"{found.outcome} a {found.period}", height=250, phone=230,
    )  # fmt: skip


def sweep(found: Evidence) -> Figure | None:
    """What more or less spend of one channel would have changed."""
    table = found.table("sweep")
    if table is None:
        return None
    rows = for_geo(table, None)
    names = [n for n in found.fit.panel.channels if n in set(rows["channel"])]
    measures = {"uplift": f"{found.outcome} over the window, against today's spend",
                "marginal": f"{found.outcome} of the next {found.money}"}  # fmt: skip
    drawn = {m: [p for n in names for p in _swept(rows, n, m)] for m in measures}
    data: list[dict[str, Any]] = []
    for name in names:
        colour = found.colours.get(name, REST)
        data += f.band([], [], [], colour, f"{f.plain(name)}, 94%", name, meta="few")
        data.append({
            "type": "scatter", "mode": "lines+markers", "name": f.plain(name),
            "legendgroup": name, "line": {"color": colour, "width": 2},
            "marker": {"color": colour, "size": 6}, "hovertemplate": f.hover("%{text}"),
        })  # fmt: skip
    data = [trace | patch for trace, patch in zip(data, drawn["uplift"], strict=True)]
    labels = {"uplift": "change of outcome", "marginal": "the next unit"}
    today = {"type": "line", "x0": 1, "x1": 1, "yref": "paper", "y0": 0, "y1": 1,
             "line": {"color": MUTED, "width": 1, "dash": "dot"}}  # fmt: skip
    layout = {
        "hovermode": "x unified", "shapes": [today],
        "xaxis": {"tickformat": ".0%", "fixedrange": True,
                  "title": {"text": "spend of the channel, today = 100%"}},
        "yaxis": {"zeroline": True, "fixedrange": True},
    }  # fmt: skip
    views = [View(labels[m], drawn[m], measures[m]) for m in measures]
    return Figure(
        "sweep", "What if a channel had had more, or less?", data, layout,
        "Change of the outcome for every channel as its spend changes",
        unit=measures["uplift"],
        caption="One channel at a time, all others as they were, every period scaled up or "
        "down. With three channels or fewer on show, their 94% intervals appear as bands.",
        legend=[Key(name, found.colours.get(name, REST)) for name in names],
        views=views, views_label="measure", height=400, phone=330,
    )  # fmt: skip


def _swept(rows: pd.DataFrame, name: str, measure: str) -> list[dict[str, Any]]:
    """Lower edge, upper edge and mean of one measure of one channel."""
    of = rows.loc[rows["channel"] == name].sort_values("multiplier")
    x = f.numbers(of["multiplier"])
    mean, lo, hi = (of[f"{measure}_{s}"] for s in ("mean", "lo", "hi"))
    return [{"x": x, "y": f.numbers(lo)}, {"x": x, "y": f.numbers(hi)},
            {"x": x, "y": f.numbers(mean), "text": f.interval(of, measure)}]  # fmt: skip


def lags(found: Evidence) -> Figure | None:
    """How the effect of one period's media is spread over the following ones."""
    parts = _carried(found)
    if not parts:
        return None
    rows = next(iter(parts.values()))
    names = _names(found, rows)
    views = [View(geo, [_lagged(of, name) for name in names]) for geo, of in parts.items()]
    data = []
    for name, patch in zip(names, views[0].patches, strict=True):
        colour = found.colours.get(name, REST)
        data.append({
            "type": "scatter", "mode": "lines+markers", "name": f.plain(name),
            "legendgroup": name, "hovertemplate": f.hover("%{text}"),
            "line": {"color": colour, "width": 2}, "marker": {"color": colour, "size": 6},
            **patch,
        })  # fmt: skip
    few = int(rows["lag"].to_numpy().max()) <= 13
    layout = {
        "hovermode": "x unified",
        "xaxis": {"fixedrange": True, "showgrid": False, **({"dtick": 1} if few else {}),
                  "title": {"text": f"{found.period}s after the media"}},
        "yaxis": {"tickformat": ".0%", "rangemode": "tozero", "fixedrange": True},
    }  # fmt: skip
    return Figure(
        "lags", "When the effect comes", data, layout,
        "Share of the effect by lag, for every channel", unit="share of the effect",
        caption="Posterior means; point at a line for the 94% interval.",
        legend=[Key(name, found.colours.get(name, REST)) for name in names],
        views=views if len(views) > 1 else (), views_label="geo", height=330, phone=290,
    )  # fmt: skip


def _lagged(rows: pd.DataFrame, name: str) -> dict[str, Any]:
    of = rows.loc[rows["channel"] == name].sort_values("lag")
    text = [f"{mean:z.1%} (94%: {lo:z.1%} to {hi:z.1%})"
            for mean, lo, hi in of[["mean", "lo", "hi"]].to_numpy(float)]  # fmt: skip
    return {"x": f.numbers(of["lag"]), "y": f.numbers(of["mean"], 5), "text": text}


def half_lives(found: Evidence) -> Figure | None:
    """Periods until half of the effect has come, with intervals."""
    parts = _carried(found)
    if not parts:
        return None
    rows = next(iter(parts.values()))
    names = _names(found, rows)
    views = [View(geo, _lasting(of, names)) for geo, of in parts.items()]
    data: list[dict[str, Any]] = []
    for i, name in enumerate(names):
        colour = found.colours.get(name, REST)
        data += [
            {"type": "scatter", "mode": "lines", "y": [i, i], "hoverinfo": "skip",
             "name": f"{f.plain(name)}, 94%", "line": {"color": colour, "width": 3}},
            {"type": "scatter", "mode": "markers", "y": [i], "name": f.plain(name),
             "marker": {"color": colour, "size": 10},
             "hovertemplate": f.hover("%{text}", f"{found.period}s")},
        ]  # fmt: skip
    data = [a | b for a, b in zip(data, views[0].patches, strict=True)]
    first: Any = rows.drop_duplicates("channel").set_index("channel")["half_life_mean"]
    said = ", ".join(f"{name} {amount(float(first[name]))}" for name in names)
    height = 60 + ROW * len(names)
    return Figure(
        "half_lives", "How long it lasts", data,
        f.rows_of(names, rangemode="tozero", zeroline=True),
        f"Half-life: {said}",
        unit=f"{found.period}s until half of the effect has come",
        caption="Mean and 94% interval. A share is taken to come evenly within its "
        f"{found.period}: half a {found.period} where all comes at once.",
        views=views if len(views) > 1 else (), views_label="geo", height=height,
        phone=height,
    )  # fmt: skip


def _lasting(rows: pd.DataFrame, names: list[str]) -> list[dict[str, Any]]:
    """Interval and mean of every half-life."""
    first = rows.drop_duplicates("channel").set_index("channel").loc[names]
    told, patches = f.interval(first, "half_life"), []
    for text, (_, row) in zip(told, first.iterrows(), strict=True):
        lo, hi, mean = f.numbers([row[f"half_life_{s}"] for s in ("lo", "hi", "mean")])
        patches += [{"x": [lo, hi]}, {"x": [mean], "text": [text]}]
    return patches


def _names(found: Evidence, rows: pd.DataFrame) -> list[str]:
    """Channels of a table in the user's order."""
    there = set(rows["channel"])
    return [name for name in found.fit.panel.channels if name in there]


def _carried(found: Evidence) -> dict[str, pd.DataFrame]:
    """Carry-over by geo: one entry where the geos share it; none without a table."""
    table = found.table("carryover")
    if table is None:
        return {}
    return {str(geo): rows for geo, rows in table.groupby("geo", sort=False)}
