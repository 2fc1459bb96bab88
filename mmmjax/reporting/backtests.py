"""The backtest of a report: scores of every fold, its forecasts, and how returns moved."""

from typing import Any

import numpy as np
import pandas as pd

from mmmjax.plot.colours import INK, MODEL, REST
from mmmjax.plot.labels import amount, capital, for_geo, in_percent
from mmmjax.reporting import figure as f
from mmmjax.reporting.evidence import Evidence
from mmmjax.reporting.figure import Figure, Key
from mmmjax.reporting.rows import Cell, Table, written
from mmmjax.standing import MMM, NAMES, standings, verdict_of

__all__ = ["folds", "forecasts", "parameters", "scores", "stability"]

COLOURS = (MODEL, REST, "#b7791f")
MODELS = {
    name: (label, colour)
    for (name, label), colour in zip(NAMES.items(), COLOURS, strict=True)
}
MAX_ROWS = 200


def _tested(found: Evidence) -> pd.DataFrame | None:
    """Scores of the test periods, a row per fold and model."""
    table = found.table("backtest")
    if table is None:
        return None
    rows = table.loc[table["split"] == "test"]
    ends = pd.to_datetime(rows["test_end"])
    return rows.assign(
        name=[
            f"{n}: to {day.day} {day:%b %Y}"
            for n, day in zip(rows["fold"], ends, strict=True)
        ]
    )


def _models(rows: pd.DataFrame) -> list[str]:
    """Models that have a score, this one first."""
    there = set(rows.loc[rows["crps"].notna(), "model"].astype(str))
    return [name for name in MODELS if name in there]


def scores(found: Evidence) -> Figure | None:
    """CRPS of every fold beside that of simpler models."""
    rows = _tested(found)
    if rows is None or not _models(rows):
        return None
    data, form = [], f.number_format(rows["crps"].dropna())
    for model in _models(rows):
        name, colour = MODELS[model]
        of = rows.loc[rows["model"] == model]
        data.append({
            "type": "bar", "name": name, "legendgroup": model, "x": of["name"].tolist(),
            "y": f.numbers(of["crps"]), "marker": {"color": colour},
            "hovertemplate": f.hover(f"%{{y:{form}}}", found.outcome),
        })  # fmt: skip
    means: Any = rows.groupby("model")["crps"].mean()
    said = ", ".join(f"{MODELS[m][0]} {amount(float(means[m]))}" for m in _models(rows))
    return Figure(
        "backtest_scores", "Would it have forecast well before?", data,
        {"barmode": "group", "hovermode": "x unified",
         "xaxis": {"type": "category", "showgrid": False},
         "yaxis": {"fixedrange": True, "rangemode": "tozero"}},
        f"Mean CRPS: {said}", unit=f"CRPS in {found.outcome}; smaller is better",
        caption="Each fold was fitted on what was known then and judged on what came next. "
        f"{verdict_of(standings(rows))}",
        legend=[Key(MODELS[m][0], MODELS[m][1], "area", m) for m in _models(rows)],
        height=330, phone=300,
    )  # fmt: skip


def forecasts(found: Evidence) -> Figure | None:
    """What each fold said would come, and what came."""
    table = found.table("backtest_forecast")
    if table is None:
        return None
    rows = for_geo(table, None)
    rows = rows.assign(date=pd.to_datetime(rows["date"])).sort_values(["fold", "date"])
    form = f.number_format(rows["mean"])
    shown = f.hover(f"%{{y:{form}}}")
    data: list[dict[str, Any]] = []
    for fold, of in rows.groupby("fold"):
        x = f.dates(of["date"])
        data += f.band(x, of["lo"], of["hi"], MODEL, f"fold {fold}, 94%", "interval")
        data.append({
            "type": "scatter", "mode": "lines", "name": f"forecast of fold {fold}",
            "legendgroup": "forecast", "x": x, "y": f.numbers(of["mean"]),
            "line": {"color": MODEL, "width": 1.8}, "hovertemplate": shown,
        })  # fmt: skip
    seen = rows.drop_duplicates("date").sort_values("date")
    data.append({
        "type": "scatter", "mode": "markers", "name": "observed", "legendgroup": "observed",
        "x": f.dates(seen["date"]), "y": f.numbers(seen["observed"]),
        "marker": {"color": INK, "size": 5}, "hovertemplate": shown,
    })  # fmt: skip
    return Figure(
        "backtest_forecasts", "What it would have said, and what came", data,
        {"hovermode": "x unified",
         "xaxis": f.days(f"{found.outcome} a {found.period}"),
         "yaxis": {"fixedrange": True}},
        "Forecasts of every fold with their 94% interval, and what was observed",
        unit=f"{found.outcome} a {found.period}",
        legend=[Key("observed", INK, "dot"), Key("forecast", MODEL),
                Key("94% interval", MODEL, "band", "interval")],
        height=330, phone=290, zoom=f.months(rows["date"]),
    )  # fmt: skip


def stability(found: Evidence) -> Figure | None:
    """ROAS of every channel as each fold knew it."""
    table = found.table("backtest_parameters")
    if table is None:
        return None
    rows = table.loc[(table["parameter"] == "roas") & table["mean"].notna()]
    there = set(rows["index"])
    names = [name for name in found.fit.panel.channels if name in there]
    if not names:
        return None
    data, unit = [], found.returned
    for name in names:
        of = rows.loc[rows["index"] == name].sort_values("fold")
        of = of.assign(**{s: unit.times * of[s] for s in ("mean", "lo", "hi")})
        mean, lo, hi = (of[s].to_numpy(float) for s in ("mean", "lo", "hi"))
        colour = found.colours.get(name, REST)
        data.append({
            "type": "scatter", "mode": "markers", "name": f.plain(name),
            "legendgroup": name, "offsetgroup": name,
            "x": [f"fold {n}" for n in of["fold"]], "y": f.numbers(mean),
            "text": f.interval(of, ""), "hovertemplate": f.hover("%{text}"),
            "marker": {"color": colour, "size": 9},
            "error_y": {"type": "data", "symmetric": False, "array": f.numbers(hi - mean),
                        "arrayminus": f.numbers(mean - lo), "thickness": 1, "width": 3},
        })  # fmt: skip
    return Figure(
        "stability", "Would the answer have been the same before?", data,
        {"hovermode": "x unified", "scattermode": "group", "scattergap": 0.35,
         "hoverdistance": 100, "xaxis": {"type": "category", "showgrid": False},
         "yaxis": {"rangemode": "tozero", "fixedrange": True, "zeroline": True}},
        f"{unit.name} of every channel in every fold", unit=unit.per,
        caption=f"{capital(unit.name)} of the training window of each fold. Intervals that "
        "move further than they are wide say that the answer depends on the window.",
        legend=[Key(name, found.colours.get(name, REST)) for name in names],
        height=360, phone=310,
    )  # fmt: skip


def folds(found: Evidence) -> Table | None:
    """A row a fold: what was tested, the scores, and those of simpler models."""
    rows = _tested(found)
    if rows is None:
        return None
    models = list(dict.fromkeys(rows["model"].astype(str)))
    baselines = [name for name in models if name != MMM]
    wide: Any = rows.set_index(["fold", "model"])
    body = []
    for fold in dict.fromkeys(rows["fold"]):
        if (fold, MMM) not in wide.index:
            continue
        row = wide.loc[(fold, MMM)]
        ends = [pd.Timestamp(row[c]) for c in ("test_start", "test_end")]
        days = [f"{day.day} {day:%b %Y}" for day in ends]
        others = [float(wide["crps"].get((fold, name), np.nan)) for name in baselines]
        score = float(row["crps"])
        body.append([
            Cell(str(fold)), Cell(" to ".join(days)), Cell(amount(score)),
            *(Cell(amount(other)) for other in others),
            *(Cell(_against(score, other)) for other in others),
            Cell(in_percent(float(row["mape"]))), Cell(written(float(row["r2"]), 2)),
            Cell(in_percent(float(row["coverage"]))), Cell(str(row["status"])),
        ])  # fmt: skip
    named = [MODELS.get(name, (name, ""))[0] for name in baselines]
    heads = ["fold", "tested", "CRPS", *(f"CRPS, {name}" for name in named),
             *(f"better than {name} by" for name in named), "MAPE", "R²",
             "inside 94% interval", "status"]  # fmt: skip
    note = (
        f"CRPS in {found.outcome}, smaller is better; all scores are of the test periods."
    )
    unit = f"crps: {found.outcome}; other scores: none"
    return Table("backtest", heads, body, 2, note, found.table("backtest"), unit)


def _against(score: float, other: float) -> str:
    """How much smaller a score is than another, as a share."""
    known = np.isfinite(score) and np.isfinite(other) and other > 0
    return f"{1 - score / other:+z.0%}" if known else ""


def parameters(found: Evidence) -> Table | None:
    """Estimates of every fold as they are."""
    table = found.table("backtest_parameters")
    if table is None:
        return None
    shown = table.iloc[:MAX_ROWS]
    rows = [
        [Cell(str(row["fold"])), Cell(str(row["parameter"])),
         Cell("" if row["index"] != row["index"] else str(row["index"])),
         *(Cell(amount(float(row[n]))) for n in ("mean", "lo", "hi"))]
        for row in shown.to_dict("records")
    ]  # fmt: skip
    cut = f"The first {MAX_ROWS} of {len(table):,} rows; the CSV file has all."
    note = cut if len(table) > MAX_ROWS else ""
    heads = ["fold", "parameter", "of", "mean", "94% from", "to"]
    unit = f"roas: {found.outcome} per {found.money}; others: scaled units of the model"
    return Table("backtest_parameters", heads, rows, 3, note, table, unit)
