"""Pictures of a backtest: scores and forecasts of its folds, and estimates over them."""

from collections.abc import Mapping, Sequence
from typing import Any

import altair as alt
import numpy as np
import pandas as pd

from mmmjax.checks import choice
from mmmjax.plot import picture as p
from mmmjax.plot.colours import MODEL, MUTED, REST
from mmmjax.plot.fit import SERIES, bands, draw_band
from mmmjax.standing import NAMES as MODELS
from mmmjax.words import Return, amount, capital, in_percent

__all__ = ["backtest_forecasts", "backtest_scores", "stability"]

COLOURS = (MODEL, REST, "#b7791f")
METRICS = {
    "crps": ("CRPS", "smaller is better"),
    "mape": ("mean absolute percentage error", "smaller is better"),
    "r2": ("R2", "larger is better"),
    "coverage": ("coverage", "share inside the 94% interval"),
}
NAMES = {
    "adstock_alpha": "adstock_alpha (carry-over)",
    "saturation_lam": "saturation_lam (scaled media)",
}
SHOWN = ("roas", "adstock_alpha", "saturation_lam")


def scored(table: pd.DataFrame, metric: str = "crps", split: str = "test") -> pd.DataFrame:
    """One score from backtest.csv; models without any are left out.

    Returns:
        Columns fold (number), end (last day of its test), model (in words), score.
    """
    rows: Any = table.loc[table["split"] == split]
    there = rows.loc[rows[metric].notna(), "model"].astype(str)
    known = [name for name in MODELS if name in set(there)]
    rows = rows.loc[rows["model"].isin(known)].sort_values("fold")
    return pd.DataFrame(
        {
            "fold": rows["fold"].astype(int),
            "end": pd.to_datetime(rows["test_end"]),
            "model": rows["model"].map(MODELS),
            "score": rows[metric].astype(float),
        }
    ).reset_index(drop=True)


def backtest_scores(
    scores: pd.DataFrame,
    metric: str = "crps",
    *,
    split: str = "test",
    outcome: str = "outcome",
    width: int = p.WIDE,
) -> p.Layer:
    """One score of every fold, beside that of the baselines.

    Args:
        metric: "crps", "mape", "r2" or "coverage".
        split: "test" or "train".
    """
    choice("metric", metric, tuple(METRICS))
    choice("split", split, ("test", "train"))
    table = scored(scores, metric, split)
    said = dict(zip(MODELS.values(), COLOURS, strict=True))
    paint = {name: x for name, x in said.items() if name in set(table["model"])}
    ends = table.drop_duplicates("fold")
    long = width / max(len(ends), 1) > 90
    heads = [f"{n}|to {x:%b %Y}" for n, x in zip(ends["fold"], ends["end"], strict=True)]
    labels = heads if long else [str(n) for n in ends["fold"]]
    places = dict(zip(ends["fold"], labels, strict=True))
    table["place"] = [places[fold] for fold in table["fold"]]
    share = metric in ("mape", "coverage")
    axis = alt.Axis(labelExpr="split(datum.label, '|')", labelAngle=0, ticks=False)
    form = ".1%" if share else ".3f" if metric == "r2" else ",.4~s"
    base = p.chart(table)
    bars = base.mark_bar().encode(
        x=alt.X("place:N", sort=labels, title=None, axis=axis),
        xOffset=alt.XOffset("model:N", sort=[*paint], scale=alt.Scale(paddingOuter=0.15)),
        y=p.grounded("score", format="~%" if share else None),
        color=p.by("model", paint),
        tooltip=[
            "fold:Q",
            alt.Tooltip("end:T", format=p.DAYS, title="tested to"),
            "model:N",
            *p.tips({"score": METRICS[metric][0]}, form),
        ],
    )
    line = [p.line_at("y", 0.94, strokeDash=[4, 3])] if metric == "coverage" else []
    name, better = METRICS[metric]
    mean: Any = table.groupby("model")["score"].mean()
    text = in_percent if share else amount
    each = ", ".join(f"{model} {text(float(mean[model]))}" for model in paint)
    of = "the forecast of each fold" if split == "test" else "the training of each fold"
    unit = f"{capital(name)}{f' in {outcome}' if metric == 'crps' else ''}; {better}"
    title = "Would it have forecast well before?"
    title = title if split == "test" else "How well did it describe what it had seen?"
    if not len(table):
        return p.nothing("No fold has a score", title, unit, width)
    about = f"{capital(name)} of {of}; mean: {each}"
    drawn = p.layer(bars, *line)
    return p.titled(drawn, title, unit, about, width, 260, hides="model")


def backtest_forecasts(
    forecast: pd.DataFrame,
    *,
    geo: str | None = None,
    outcome: str = "outcome",
    period: str = "period",
    prob: float = 0.94,
    width: int = p.WIDE,
) -> p.Layer:
    """What every fold forecast, and what came; each cut is a dotted line."""
    parts, geos = [], []
    for fold, rows in forecast.groupby("fold"):
        part, geos = bands(rows, geo, prob)
        parts.append(part.assign(fold=int(str(fold))))
    title = "What it would have said, and what came"
    if not parts:
        return p.nothing("No fold has a forecast", title, width=width)
    table = pd.concat(parts, ignore_index=True)
    layers, _ = draw_band(table, prob, "forecast, mean", "forecasts")
    days = np.unique(table["date"].to_numpy())
    half = np.diff(days).min() / 2 if len(days) > 1 else np.timedelta64(12, "h")
    n_folds = len(parts)
    cuts = (
        p.chart(table)
        .transform_calculate(
            _at="toNumber(toDate(datum['date']))",
            name=f"'{'fold ' if width / n_folds > 80 else ''}' + datum.fold",
        )
        .transform_aggregate(first="min(_at)", groupby=["fold", "name"])
        .transform_calculate(cut=f"datum.first - {half / np.timedelta64(1, 'ms')}")
    )
    rules = cuts.mark_rule(strokeDash=[2, 3]).encode(x="cut:T")
    names = cuts.mark_text(align="left", baseline="bottom", dy=-3, color=MUTED)
    heads = names.encode(x="cut:T", y=alt.value(0), text="name:N")
    unit = f"{outcome} a {period}; nothing after a dotted line was known to its forecast"
    about = f"Forecasts of {n_folds} folds with their {prob:.0%} interval, and what came"
    drawn = p.layer(rules, *layers, heads)
    return p.titled(drawn, title, unit, about, width, 300, geos=geos, **SERIES)


def estimates(
    table: pd.DataFrame, names: Sequence[str], unit: Return
) -> tuple[pd.DataFrame, list[str]]:
    """Parameters that have a value for each channel, from backtest_parameters.csv.

    Args:
        table: Columns fold, parameter, index, mean, lo, hi and, if known, source.
        names: Parameters, in order.
        unit: How returns are said.

    Returns:
        Columns parameter (in words), channel, fold, mean, lo, hi, prior (whether only the
        prior speaks); and the channels: those of ROAS, else of the first parameter.
    """
    rows = table.assign(index=table["index"].astype(object).where(table["index"].notna()))
    each = [rows.loc[rows["parameter"] == name, "index"].dropna() for name in SHOWN]
    channels = next((list(dict.fromkeys(x.astype(str))) for x in each if len(x)), [])
    words = {"roas": unit.name} | NAMES
    chosen = rows.loc[rows["parameter"].isin(names) & rows["index"].isin(channels)]
    times = np.where(chosen["parameter"] == "roas", unit.times, 1.0)
    source = chosen["source"] if "source" in chosen else pd.Series("", chosen.index)
    found = pd.DataFrame(
        {
            "parameter": chosen["parameter"].map(lambda name: words.get(name, name)),
            "channel": chosen["index"].astype(str),
            "fold": chosen["fold"].astype(int),
            **{end: times * chosen[end].astype(float) for end in ("mean", "lo", "hi")},
            "prior": source == "prior",
        }
    )
    return found.loc[np.isfinite(found["mean"])].reset_index(drop=True), channels


def stability(
    parameters: pd.DataFrame,
    names: Sequence[str] = SHOWN,
    *,
    outcome: str = "outcome",
    currency: str = "",
    value: float | None = None,
    prob: float = 0.94,
    colours: Mapping[str, str] | None = None,
    width: int = p.WIDE,
) -> p.Layer | p.Facet:
    """Intervals of each channel's estimates over folds, the first fold at the top.

    Estimates that move further than they are wide depend on the window of data.

    Args:
        names: Parameters with one value a channel; "roas" is in outcome per money.
    """
    unit = Return(outcome, currency, value)
    table, channels = estimates(parameters, names, unit)
    folds, kinds = sorted(set(table["fold"])), [*dict.fromkeys(table["parameter"])]
    paint = p.colours_for(channels, colours)
    title = "Would the answer have been the same before?"
    drawn: Any = forest(p.Chart(), channels, folds, paint, prob)
    height = alt.Step(step=10 + 10 * max(len(folds), 1), **{"for": "position"})
    if len(kinds) > 1:
        drawn = p.cells(drawn, table, "parameter", kinds, width, height, 200)
    elif kinds:
        drawn = drawn.properties(data=table, height=height)
    else:
        drawn = p.nothing("No fold has an estimate of a channel", title)
    of = f"{unit.name}: {unit.per}" if unit.name in kinds else "in the units of the model"
    grey = "; grey: had not run yet, the prior" if sum(table["prior"]) else ""
    said = f"{of}; {len(folds)} folds, the first on top, with {prob:.0%} intervals{grey}"
    about = (
        f"{', '.join(kinds)} of {len(channels)} channels in every fold. Intervals that "
        "move further than they are wide say that the answer depends on the window."
    )
    return p.titled(drawn, title, said, about, width, hides="channel")


def forest(
    base: Any,
    channels: Sequence[str],
    folds: Sequence[int],
    colours: Mapping[str, str],
    prob: float,
) -> p.Layer:
    """Rows of channels with an interval a fold, later ones darker.

    Args:
        base: Chart of the columns of :func:`estimates`, without a mark.
        folds: Numbers of the folds, in order.
        colours: Channel -> colour.
        prob: Probability inside [lo, hi].
    """
    paint = p.by("channel", colours, legend=False)
    ends = {"mean": "mean", "lo": f"{prob:.0%} from", "hi": "to"}
    first, last = min(folds, default=1), max(folds, default=1)
    shade = alt.Scale(domain=[first - 1, last], range=[0.4, 1])
    rows = base.encode(
        y=p.named_rows("channel", channels, scale=alt.Scale(paddingInner=0.1)),
        yOffset=alt.YOffset("fold:O", sort=folds, scale=alt.Scale(paddingOuter=0.6)),
        opacity=alt.Opacity("fold:Q", legend=None, scale=shade),
        tooltip=["channel:N", "fold:Q", *p.tips(ends)],
    )
    x = p.across("lo", ticks=5, grid=True, nice=True)
    line = alt.condition("datum.prior", alt.value(REST), paint)
    hollow = alt.condition("datum.prior", alt.value("white"), paint)
    dots = rows.mark_point(size=34, strokeWidth=1.2)
    return p.layer(
        rows.mark_rule(strokeWidth=2).encode(x=x, x2="hi:Q", color=line),
        dots.encode(x="mean:Q", fill=hollow, stroke=line),
    )
