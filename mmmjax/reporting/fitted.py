"""Figures of how the model describes the data, and of its draws."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from mmmjax.draws import MAX_R_HAT, MIN_ESS_PER_CHAIN
from mmmjax.plot.colours import INK, MODEL, MUTED, REST, TINT
from mmmjax.plot.labels import amount, for_geo
from mmmjax.reporting import figure as f
from mmmjax.reporting.evidence import Evidence
from mmmjax.reporting.figure import Figure, Key, View

__all__ = ["contraction", "convergence", "fitted", "residuals"]

MOST_CELLS = 60_000  # numbers of all geos that a figure carries along
SERIES = ("lo", "hi", "mean", "observed")
CONTRACTED = (MODEL, "#b7791f", "#7a2e5d", "#1a7f4b", "#1d4f91", "#9b1c12")
SHAPES = ("dot", "diamond", "square", "dot", "dot", "dot")  # of the legend, as MARKS
ROW = 34  # pixels of a row with a name


def fitted(found: Evidence) -> Figure:
    """Observed outcome and predictions with their band, training and what follows."""
    rows = _both(found)
    geos = [str(geo) for geo in found.fit.panel.geos] if found.fit.panel.n_geos > 1 else []
    first = _series(for_geo(rows, None))
    keep = bool(geos) and len(SERIES) * len(rows) <= MOST_CELLS
    views = []
    if keep:
        parts = {str(geo): part for geo, part in rows.groupby("geo", sort=False)}
        each = [View(geo, _series(parts[geo], first)) for geo in geos]
        views = [View("all geos", first), *each]
    form = f.number_format(rows["mean"])
    lo, hi, mean, observed = first
    shown = f.hover(f"%{{y:{form}}}")
    edges = f.band([], [], [], MODEL, "94%", "interval")
    for edge in edges:
        edge |= {"hoverinfo": "all", "hovertemplate": shown}
    data = [
        edges[0] | lo, edges[1] | hi,
        {"type": "scatter", "mode": "lines", "name": "predicted mean",
         "legendgroup": "mean", "line": {"color": MODEL, "width": 1.8},
         "hovertemplate": shown, **mean},
        {"type": "scatter", "mode": "markers", "name": "observed",
         "legendgroup": "observed", "marker": {"color": INK, "size": 5},
         "hovertemplate": shown, **observed},
    ]  # fmt: skip
    marks, words = _ahead(found)
    layout = _axes(found) | {"yaxis": {"fixedrange": True}} | marks
    cut = "" if keep or not geos else " Sums over geos; fitted.csv has each geo."
    return Figure(
        "fitted", "Observed and predicted", data, layout,
        f"Observed {found.outcome} and predictions with their 94% interval{words}",
        unit=f"{found.outcome} a {found.period}",
        caption="The band is what a single period is expected to be, noise included: 94% "
        f"of the points should lie in it.{cut}",
        legend=[Key("observed", INK, "dot"), Key("predicted mean", MODEL, "line", "mean"),
                Key("94% interval", MODEL, "band", "interval")],
        views=views, views_label="geo", height=380, phone=300, zoom=f.months(rows["date"]),
    )  # fmt: skip


def _both(found: Evidence) -> pd.DataFrame:
    """Training, then what follows it."""
    parts = [found.fitted] + ([] if found.forecast is None else [found.forecast])
    rows = pd.concat(parts, ignore_index=True)
    return rows.assign(date=pd.to_datetime(rows["date"]))


def _series(
    rows: pd.DataFrame, like: list[dict[str, Any]] | None = None
) -> list[dict[str, Any]]:
    """Values of lo, hi, mean and observed of one geo; dates where they are not ``like``."""
    rows = rows.sort_values("date")
    x = {"x": f.dates(rows["date"])}
    if like is None:
        digits = [6, 6, 6, 9]
    else:
        x, digits = ({} if x["x"] == like[0]["x"] else x), [5] * len(SERIES)
    each = zip(SERIES, digits, strict=True)
    return [x | {"y": f.numbers(rows[name], n)} for name, n in each]


def _axes(found: Evidence) -> dict[str, Any]:
    """Dates from the first to the last, half a period beyond each."""
    last = found.window[-1:] if found.forecast is None else found.forecast["date"]
    ends = pd.DatetimeIndex([found.window[0], pd.to_datetime(last).max()])
    half = _half(found)
    return {
        "hovermode": "x unified",
        "xaxis": f.days(f"{found.outcome} a {found.period}",
                        range=f.dates([ends[0] - half, ends[1] + half])),
    }  # fmt: skip


def _half(found: Evidence) -> Any:
    """Half a period."""
    days = found.window
    return (days[-1] - days[-2]) / 2 if len(days) > 1 else pd.Timedelta(0)


def _ahead(found: Evidence) -> tuple[dict[str, Any], str]:
    """A tinted window for what follows training, and its name in words."""
    if found.forecast is None:
        return {}, ""
    days = pd.to_datetime(found.forecast["date"])
    half = _half(found)
    start, end = f.dates([days.min() - half, days.max() + half])
    word = "forecast" if found.tested is None else "test, not fitted"
    note = {
        "x": end, "y": 1, "yref": "paper", "text": word, "showarrow": False,
        "xanchor": "right", "yanchor": "top", "font": {"color": MUTED, "size": 12},
    }  # fmt: skip
    return {"shapes": [f.tinted(start, end, TINT)], "annotations": [note]}, f", {word}"


def residuals(found: Evidence) -> Figure:
    """Observed minus predicted over time, beside what the interval allows."""
    rows = for_geo(_both(found), None).sort_values("date")
    rows = rows.loc[rows["observed"].notna()]
    x, mean = f.dates(rows["date"]), rows["mean"].to_numpy(float)
    left = rows["observed"].to_numpy(float) - mean
    lo, hi = (rows[s].to_numpy(float) - mean for s in ("lo", "hi"))
    inside = (left >= lo) & (left <= hi)
    shown = f.hover(f"%{{y:+{f.number_format(left)}}}")
    bars = {"type": "bar", "name": "observed minus predicted", "legendgroup": "residual",
            "x": x, "y": f.numbers(left), "hovertemplate": shown,
            "marker": {"color": np.where(inside, MODEL, "#b42318").tolist()}}  # fmt: skip
    data = [*f.band(x, lo, hi, REST, "94% around the prediction", "interval"), bars]
    for edge in data[:2]:
        edge["fillcolor"] = f.flag(REST, 0.25)
    marks, _ = _ahead(found)
    yaxis = {"fixedrange": True, "zeroline": True}
    share = float(inside.mean()) if inside.size else float("nan")
    return Figure(
        "residuals", "What the model does not explain", data,
        _axes(found) | {"yaxis": yaxis, "bargap": 0.25} | marks,
        f"Residuals over time; {share:.0%} lie inside the 94% interval",
        unit=f"{found.outcome} a {found.period}, observed minus predicted",
        caption=f"{share:.0%} of {len(rows):,} periods lie inside the 94% interval; those "
        "outside are red. Runs of one sign or a drift would mean that something is "
        "missing.",
        legend=[Key("residual", MODEL, "area"),
                Key("94% interval", REST, "area", "interval")],
        height=270, phone=240, zoom=f.months(rows["date"]),
    )  # fmt: skip


def convergence(found: Evidence) -> Figure:
    """R-hat against effective sample size, a point a parameter."""
    table, told = found.parameters, found.diagnostics
    rows = table.loc[table["r_hat"].notna()]
    least = np.minimum(rows["ess_bulk"], rows["ess_tail"])
    needed = MIN_ESS_PER_CHAIN * told.n_chains
    good = ((rows["r_hat"] <= MAX_R_HAT) & (least >= needed)).to_numpy()
    names = [_name(row) for row in rows.to_dict("records")]
    data = [{
        "type": "scatter", "mode": "markers", "name": "parameter", "x": f.numbers(least),
        "y": f.numbers(rows["r_hat"]), "text": [f.plain(name) for name in names],
        "marker": {"color": np.where(good, MODEL, "#b42318").tolist(), "size": 8,
                   "opacity": 0.75},
        "hovertemplate": "%{text}<br>R-hat %{y:.4f}<br>effective draws %{x:,.0f}"
        "<extra></extra>",
    }]  # fmt: skip
    limits = [
        {
            "type": "line",
            "xref": "paper",
            "x0": 0,
            "x1": 1,
            "y0": MAX_R_HAT,
            "y1": MAX_R_HAT,
        },
        {"type": "line", "yref": "paper", "y0": 0, "y1": 1, "x0": needed, "x1": needed},
    ]
    line = {"line": {"color": MUTED, "width": 1, "dash": "dot"}}
    ends = [0.999, MAX_R_HAT, *rows["r_hat"]]
    layout = {
        "xaxis": {"rangemode": "tozero",
                  "title": {"text": "effective draws (the fewer of bulk and tail)"}},
        "yaxis": {"title": {"text": "R-hat"}, "tickformat": ".3f",
                  "range": [float(min(ends)) - 0.001, float(max(ends)) + 0.002]},
        "shapes": [limit | line for limit in limits],
    }  # fmt: skip
    return Figure(
        "convergence", "Did the chains agree?", data, layout,
        f"R-hat at most {told.max_r_hat:.3f}, effective sample size at least "
        f"{told.min_ess_bulk:,.0f} (bulk) and {told.min_ess_tail:,.0f} (tail)",
        caption=f"Every point is a parameter. Below R-hat {MAX_R_HAT} and right of "
        f"{needed:,} effective draws (dotted) chains agree and there are enough draws; red "
        "is outside.",
        height=330, phone=290,
    )  # fmt: skip


def _name(row: Mapping[str, Any]) -> str:
    index = row["index"]
    return f"{row['parameter']}[{index}]" if isinstance(index, str) and index else (
        str(row["parameter"]))  # fmt: skip


MARKS = ("circle", "diamond", "square", "triangle-up", "x", "star")


def contraction(found: Evidence) -> Figure | None:
    """How much the data narrowed the priors of each channel's parameters."""
    table, channels = found.table("priors"), list(found.fit.panel.channels)
    if table is None or not channels:
        return None
    last = table["index"].fillna("").astype(str).str.split(", ").str[-1]
    rows = table.assign(channel=last)
    rows = rows.loc[rows["channel"].isin(channels) & rows["contraction"].notna()]
    if rows.empty:
        return None
    kinds, data = list(dict.fromkeys(rows["parameter"].astype(str))), []
    columns = ["prior_mean", "prior_sd", "posterior_mean", "posterior_sd"]
    for i, kind in enumerate(kinds):
        of = rows.loc[rows["parameter"] == kind]
        told = [
            "{}: {:z.0%}<br>prior {} ± {}<br>posterior {} ± {}".format(
                f.plain(index), share, *(amount(v) for v in numbers)
            )
            for index, share, numbers in zip(
                of["index"], of["contraction"], of[columns].to_numpy(float), strict=True
            )
        ]
        shift = 0.16 * (i - (len(kinds) - 1) / 2)
        data.append({
            "type": "scatter", "mode": "markers", "name": kind, "legendgroup": kind,
            "x": f.numbers(of["contraction"].clip(lower=-1)), "text": told,
            "y": [round(channels.index(name) + shift, 3) for name in of["channel"]],
            "marker": {"color": CONTRACTED[i % len(CONTRACTED)], "size": 10,
                       "symbol": MARKS[i % len(MARKS)]},
            "hovertemplate": "%{text}<extra>%{fullData.name}</extra>",
        })  # fmt: skip
    keys = [Key(kind, CONTRACTED[i % len(CONTRACTED)], SHAPES[i % len(MARKS)])
            for i, kind in enumerate(kinds)]  # fmt: skip
    low = float(rows["contraction"].clip(lower=-1).min())
    height = 70 + ROW * len(channels)
    layout = f.rows_of(channels, tickformat=".0%", range=[min(-0.05, 1.1 * low), 1.05],
                       zeroline=True)  # fmt: skip
    layout["yaxis"]["showgrid"] = True
    return Figure(
        "contraction", "What the data taught, and what is still the prior", data, layout,
        "Contraction from prior to posterior of every channel's parameters",
        unit="1 - posterior variance / prior variance",
        caption="100%: the data decided. Near 0%: the answer is the prior's, that is, an "
        "assumption. Below 0%: the data widened what the prior said. All other parameters "
        "are in the table.",
        legend=keys, height=height, phone=height,
    )  # fmt: skip
