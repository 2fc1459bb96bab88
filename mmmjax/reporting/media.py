"""Figures of what brought the outcome: contributions over time, decomposition."""

from typing import Any

import numpy as np
import pandas as pd

from mmmjax.plot.colours import INK, MODEL, MUTED, REST, TINT
from mmmjax.plot.labels import ALL, amount, capital, for_geo, large
from mmmjax.posterior.tables import BASELINE, CONTROLS, SEASONALITY
from mmmjax.reporting import figure as f
from mmmjax.reporting.evidence import Evidence
from mmmjax.reporting.figure import Figure, Key, View

__all__ = ["contributions", "decomposition", "multipliers"]

OTHER = (BASELINE, SEASONALITY, CONTROLS)  # what is not media, in this order
REST_NAME, OBSERVED = "without media", "observed"
MOST_CELLS = 60_000  # numbers of all geos that a figure carries along; more are left out
ROW = 34  # pixels of a row with a name


def contributions(found: Evidence) -> Figure:
    """What each channel added to what would have come without media, and the outcome."""
    parts = _stacks(found)
    first, names = parts[None], list(parts[None].columns[:-1])
    geos = [geo for geo in parts if geo is not None]
    size = sum(part.size for part in parts.values())
    views = []
    if geos and size <= MOST_CELLS:
        views = [_geo_view(geo, part, first.index) for geo, part in parts.items()]
    x = f.dates(first.index)
    form = f.number_format(first[names].to_numpy().sum(axis=1))
    line: dict[str, Any] = {
        "type": "scatter", "mode": "lines", "x": x,
        "hovertemplate": f.hover(f"%{{y:{form}}}"),
    }  # fmt: skip
    data: list[dict[str, Any]] = []
    for name in names:
        colour = found.colours.get(name, REST)
        data.append(line | {
            "stackgroup": "mean", "name": f.plain(name), "legendgroup": name,
            "y": f.numbers(first[name]), "fillcolor": colour,
            "line": {"width": 0.5, "color": colour},
        })  # fmt: skip
    data.append(line | {
        "name": "observed", "legendgroup": "observed", "y": f.numbers(first[OBSERVED], 9),
        "line": {"width": 1.6, "color": INK},
    })  # fmt: skip
    keys = [Key(name, found.colours.get(name, REST), "area") for name in names]
    total = first[names].sum().drop(REST_NAME).sort_values(ascending=False)
    said = ", ".join(f"{name} {large(value)}" for name, value in total.items())
    cut = " Sums over geos; weekly.csv has each geo." if geos and not views else ""
    return Figure(
        "contributions", f"{capital(found.outcome)} over time, and what brought it",
        data, _over_time(found), f"Contributions over the window: {said or 'no media'}",
        unit=f"{found.outcome} a {found.period}",
        caption="Grey is what the model expects without media: baseline, seasonality and "
        "controls. Colours are the posterior means of what each channel added. Press a "
        f"name to hide it, twice to see it alone; drag across to zoom.{cut}",
        legend=[*keys, Key("observed", INK)], views=views, views_label="geo",
        height=420, phone=320, zoom=f.months(first.index),
    )  # fmt: skip


def _stacks(found: Evidence) -> dict[str | None, pd.DataFrame]:
    """By geo, and None for all together: what is not media, each channel, the outcome.

    Posterior means and observed outcomes, (date, component).
    """
    days: list[Any] = [
        t.assign(date=pd.to_datetime(t["date"])) for t in (found.weekly, found.fitted)
    ]
    means, seen = (table.set_index(["geo", "date"]) for table in days)
    means = means.set_index("component", append=True)["mean"].unstack("component")
    rest = means[[name for name in OTHER if name in means]].sum(axis=1)
    channels = [name for name in found.fit.panel.channels if name in means]
    wide = means[channels].assign(**{OBSERVED: seen["observed"]})
    wide.insert(0, REST_NAME, rest)
    geos = [str(geo) for geo in found.fit.panel.geos]
    whole = ALL if len(geos) > 1 else geos[0]
    parts: dict[str | None, pd.DataFrame] = {
        str(geo): part.droplevel("geo") for geo, part in wide.groupby("geo", sort=False)
    }
    first: dict[str | None, pd.DataFrame] = {None: parts[whole]}
    return first | ({geo: parts[geo] for geo in geos} if len(geos) > 1 else {})


def _geo_view(geo: str | None, part: pd.DataFrame, index: pd.Index) -> View:
    """One geo; its dates only where they are not those of the sum."""
    x = {} if part.index.equals(index) else {"x": f.dates(part.index)}
    patches = [x | {"y": f.numbers(part[name], 5)} for name in part]
    return View(geo or "all geos", patches)


def _over_time(found: Evidence) -> dict[str, Any]:
    return {
        "hovermode": "x unified",
        "xaxis": f.days(f"{found.outcome} a {found.period}"),
        "yaxis": {"fixedrange": True, "rangemode": "tozero"},
    }


def decomposition(found: Evidence) -> Figure | None:
    """Waterfall of the fitted mean: every component, up to 100%."""
    table = found.table("decomposition")
    if table is None:
        return None
    rows = for_geo(table, None).set_index("component")
    channels = [name for name in found.fit.panel.channels if name in rows.index]
    names = [name for name in OTHER if name in rows.index] + channels
    rows = rows.loc[names]
    shares = rows["share_mean"].to_numpy(float)
    ends = np.cumsum(shares)
    starts = np.append(ends - shares, 0.0)
    shares, labels = np.append(shares, ends[-1]), [*names, "fitted mean"]
    paint = [found.colours.get(name, REST) for name in names] + [MODEL]
    told = [
        f"{a} of the fitted mean<br>{b} {f.plain(found.outcome)}"
        for a, b in zip(
            f.percentages(rows, "share"), f.interval(rows.reset_index(), "total"),
            strict=True,
        )
    ]  # fmt: skip
    whole = f"{amount(float(rows['total_mean'].sum()))} {f.plain(found.outcome)}"
    data = [{
        "type": "bar", "orientation": "h", "name": "share of the fitted mean",
        "y": list(range(len(labels))), "base": f.numbers(starts), "x": f.numbers(shares),
        "marker": {"color": paint}, "width": 0.66, "customdata": [*told, whole],
        "text": [f"{share:z.1%}" for share in shares], "textposition": "outside",
        "cliponaxis": False, "textfont": {"color": INK},
        "hovertemplate": f.hover("%{customdata}", name=""),
    }]  # fmt: skip
    links = [
        {"type": "line", "x0": end, "x1": end, "y0": row + 0.33, "y1": row + 0.67,
         "line": {"color": MUTED, "width": 1}}
        for row, end in enumerate(ends.round(6).tolist())
    ]  # fmt: skip
    low, high = min(0.0, *starts, *ends), max(1.0, *ends)
    wide = [1.04 * low, low + 1.18 * (high - low)]
    layout = f.rows_of(labels, tickformat=".0%", range=wide) | {"shapes": links}
    said = ", ".join(f"{n} {s:z.1%}" for n, s in zip(labels, shares, strict=True))
    return Figure(
        "decomposition", f"Where {found.outcome} came from", data, layout,
        f"Shares of the fitted mean: {said}", unit="share of the fitted mean",
        caption="Posterior means; with the grey rows they add up to 100% of what the "
        "model expects.", height=64 + ROW * len(labels), phone=64 + ROW * len(labels),
    )  # fmt: skip


def multipliers(found: Evidence) -> Figure | None:
    """What the effects that move are multiplied by, over training and after it."""
    table = found.table("multipliers")
    if table is None:
        return None
    rows = table.loc[table["geo"] == table["geo"].iloc[0]]
    rows = rows.assign(date=pd.to_datetime(rows["date"]))
    data: list[dict[str, Any]] = []
    names = list(dict.fromkeys(rows["channel"].astype(str)))
    for name in names:
        own, colour = rows.loc[rows["channel"] == name], found.colours.get(name, REST)
        x = f.dates(own["date"])
        data += f.band(x, own["lo"], own["hi"], colour, f"{f.plain(name)} 94%", name)
        data.append(
            {
                "type": "scatter",
                "mode": "lines",
                "x": x,
                "y": f.numbers(own["mean"]),
                "name": f.plain(name),
                "legendgroup": name,
                "hovertemplate": f.hover("%{y:.2f}"),
                "line": {"width": 1.8, "color": colour},
            }
        )
    later, unit = rows.loc[rows["after"]], f"a {found.period}, a factor"
    layout = {
        "hovermode": "x unified",
        "xaxis": f.days(unit),
        "yaxis": {"rangemode": "tozero", "fixedrange": True},
    }
    if not later.empty:
        ends = f.dates([later["date"].min(), later["date"].max()])
        layout["shapes"] = [f.tinted(ends[0], ends[1], TINT)]
    wide = (rows["hi"] - rows["lo"]).groupby(rows["channel"]).mean()
    said = ", ".join(f"{name} +-{wide[name] / 2:.2f}" for name in names)
    return Figure(
        "multipliers",
        "Effects that move",
        data,
        layout,
        f"What effects are multiplied by over time; half of a band on average: {said}",
        unit="1 is the effect of an average period of training",
        caption="What a channel brings in a period is its effect times this. Bands: 94% "
        "intervals. Tinted: after training, what a plan counts on.",
        legend=[Key(name, found.colours.get(name, REST)) for name in names],
        height=340,
        phone=300,
        zoom=f.months(rows["date"]),
    )
