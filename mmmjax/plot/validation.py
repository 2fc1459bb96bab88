"""Pictures of a backtest: scores and forecasts of its folds, and estimates over them."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.dates import date2num
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from mmmjax.checks import choice
from mmmjax.plot import canvas as c
from mmmjax.plot.fit import Band, band

__all__ = ["backtest_forecasts", "backtest_scores", "stability"]

MODELS: dict[str, tuple[str, dict[str, Any]]] = {
    "mmm": ("this model", {"color": c.MODEL, "marker": "o", "ms": 8}),
    "no_media": ("the model without media", {"color": "#8a94a3", "marker": "s", "ms": 6}),
    "seasonal_naive": ("a year before", {"color": "#B4770F", "marker": "D", "ms": 5.5}),
}
METRICS = {
    "crps": ("CRPS (smaller is better)", ""),
    "mape": ("Mean absolute percentage error", "smaller is better"),
    "r2": ("R2", "larger is better"),
    "coverage": ("Coverage", "share inside the 94% interval"),
}
NAMES = {
    "roas": "ROAS",
    "adstock_alpha": "adstock_alpha (carry-over)",
    "saturation_lam": "saturation_lam (scaled media)",
}
SHOWN = ("roas", "adstock_alpha", "saturation_lam")


class Scored(NamedTuple):
    """One score of every model in every fold."""

    folds: list[int]
    ends: pd.DatetimeIndex  # last date of each fold's test
    models: list[str]
    values: np.ndarray  # (model, fold)


def scored(table: pd.DataFrame, metric: str = "crps", split: str = "test") -> Scored:
    """One score from backtest.csv; models without any are left out."""
    rows = table.loc[table["split"] == split]
    wide = rows.pivot_table(metric, "model", "fold", dropna=False, observed=True)
    folds = sorted(int(f) for f in rows["fold"].unique())
    wide = wide.reindex(index=[m for m in MODELS if m in wide.index], columns=folds)
    wide = wide.dropna(how="all")
    ends = rows.drop_duplicates("fold").set_index("fold")["test_end"].reindex(folds)
    dates = pd.DatetimeIndex(pd.to_datetime(ends))
    return Scored(folds, dates, [str(m) for m in wide.index], wide.to_numpy(float))


def backtest_scores(
    scores: pd.DataFrame,
    metric: str = "crps",
    *,
    split: str = "test",
    outcome: str = "outcome",
    width: float = 5.4,
    ax: Axes | None = None,
) -> Figure:
    """One score of every fold, beside that of the baselines.

    Args:
        scores: Table with the columns of backtest.csv.
        metric: "crps", "mape", "r2" or "coverage".
        split: "test" or "train".
        outcome: Name of the outcome, the unit of CRPS.
        width: Inches.
        ax: Axes to draw on; None makes a figure.
    """
    choice("metric", metric, tuple(METRICS))
    choice("split", split, ("test", "train"))
    found = scored(scores, metric, split)
    what = "forecast" if split == "test" else "training"
    name, unit = METRICS[metric]
    drawn = c.canvas(width, 3.5, f"{name} of the {what} of each fold", ax)
    ax = drawn.ax
    c.dress(ax, y=outcome if metric == "crps" else unit)
    places = np.arange(len(found.folds), dtype=float)
    n_models = len(found.models)
    for i, (model, values) in enumerate(zip(found.models, found.values, strict=True)):
        at = places + 0.16 * (i - (n_models - 1) / 2)
        ax.plot(at, values, ls="", mec="white", mew=0.8, zorder=3, **MODELS[model][1])
        ax.vlines(at, 0.0, values, color=MODELS[model][1]["color"], lw=1.6, alpha=0.55)
    if metric == "coverage":
        ax.axhline(0.94, color=c.MUTED, lw=1, ls="--")
    labels = [
        f"{fold}\nto {end:%b %Y}" if drawn.width / max(len(places), 1) > 0.9 else f"{fold}"
        for fold, end in zip(found.folds, found.ends, strict=True)
    ]
    ax.set_xticks(places, labels)
    ax.set_xlim(-0.5, len(places) - 0.5)
    ax.tick_params(axis="x", length=0)
    ax.set_ylim(bottom=min(0.0, float(np.nanmin(found.values, initial=0.0)) * 1.1))
    ax.axhline(0.0, color=c.MUTED, lw=0.8)
    c.numbers_on(ax.yaxis, percent=metric in ("mape", "coverage"))
    handles = [
        Line2D([], [], ls="", mec="white", label=MODELS[m][0], **MODELS[m][1])
        for m in found.models
    ]
    c.legend_below(drawn, handles, gap=40.0)
    return drawn.figure


def forecasts_of(forecast: pd.DataFrame, geo: str | None = None) -> dict[int, Band]:
    """The forecast of every fold of one geo, from backtest_forecast.csv."""
    return {int(str(fold)): band(rows, geo) for fold, rows in forecast.groupby("fold")}


def backtest_forecasts(
    forecast: pd.DataFrame,
    *,
    geo: str | None = None,
    outcome: str = "outcome",
    prob: float = 0.94,
    width: float = 9.0,
    ax: Axes | None = None,
) -> Figure:
    """What every fold forecast, and what came; each cut is a dotted line.

    Args:
        forecast: Table with the columns of backtest_forecast.csv.
        geo: The geo drawn; None: the sum over geos.
        outcome: Name of the outcome.
        prob: Probability inside [lo, hi], for the legend.
        width: Inches.
        ax: Axes to draw on; None makes a figure.
    """
    found = forecasts_of(forecast, geo)
    title = c.capital(f"{outcome}: what each fold forecast, and what came")
    drawn = c.canvas(width, 3.7, title, ax)
    ax = drawn.ax
    c.dress(ax, y=outcome)
    dates = np.unique(np.concatenate([part.dates for part in found.values()]))
    c.dates_on(drawn, dates[0], dates[-1])
    step = float(np.diff(date2num(dates)).min()) if len(dates) > 1 else 1.0
    for i, (fold, part) in enumerate(found.items()):
        at = date2num(part.dates)
        edges = at[0] - step / 2, at[-1] + step / 2
        if i % 2:
            ax.axvspan(*edges, color=c.TINT, zorder=0, lw=0)
        ax.axvline(edges[0], color=c.MUTED, lw=0.9, ls=":")
        ax.fill_between(at, part.lo, part.hi, color=c.MODEL, alpha=0.25, lw=0)
        ax.plot(at, part.mean, color=c.MODEL, lw=1.5)
        ax.plot(at, part.observed, ".", color=c.INK, ms=5, zorder=3)
        name = f" fold {fold}" if drawn.width / len(found) > 0.9 else f" {fold}"
        ax.text(edges[0], 1.0, name, transform=ax.get_xaxis_transform(), va="top",
                fontsize=c.SMALL, color=c.MUTED)  # fmt: skip
    c.numbers_on(ax.yaxis)
    handles: list[Any] = [
        Line2D([], [], color=c.INK, marker=".", ls="", label="observed"),
        Line2D([], [], color=c.MODEL, lw=1.6, label="forecast, mean"),
        Patch(color=c.MODEL, alpha=0.25, lw=0, label=f"{prob:.0%} of forecasts"),
        Line2D([], [], color=c.MUTED, lw=0.9, ls=":", label="cut: nothing later was known"),
    ]
    c.legend_below(drawn, handles)
    return drawn.figure


class Estimates(NamedTuple):
    """A parameter of every channel in every fold; NaN where there is none."""

    channels: list[str]
    folds: list[int]
    values: np.ndarray  # (3: mean, lo, hi, channel, fold)
    prior: np.ndarray  # (channel, fold): only the prior speaks


def estimates(table: pd.DataFrame, parameter: str) -> Estimates:
    """One parameter that has a value for each channel, from backtest_parameters.csv."""
    channels = _channels(table)
    folds = sorted(int(f) for f in table["fold"].unique())
    rows = table.loc[table["parameter"] == parameter]
    values = np.full((3, len(channels), len(folds)), np.nan)
    prior = np.zeros((len(channels), len(folds)), bool)
    for row in rows.to_dict("records"):
        if (name := str(row["index"])) in channels:
            at = channels.index(name), folds.index(int(row["fold"]))
            values[:, *at] = [row[end] for end in ("mean", "lo", "hi")]
            prior[at] = row.get("source") == "prior"
    return Estimates(channels, folds, values, prior)


def _channels(table: pd.DataFrame) -> list[str]:
    """Names of the channels: those of ROAS, else of the first parameter shown that is."""
    for name in SHOWN:
        rows = table.loc[table["parameter"] == name, "index"].dropna()
        if len(rows):
            return list(dict.fromkeys(rows.astype(str)))
    return []


def stability(
    parameters: pd.DataFrame,
    names: Sequence[str] = SHOWN,
    *,
    prob: float = 0.94,
    colours: Mapping[str, str] | None = None,
    width: float = 9.0,
) -> Figure:
    """Intervals of each channel's estimates over folds, the first fold at the top.

    Estimates that move further than they are wide depend on the window of data.

    Args:
        parameters: Table with the columns of backtest_parameters.csv.
        names: Parameters with one value a channel; "roas" is in outcome per money.
        prob: Probability inside [lo, hi].
        colours: Channel -> colour, from ``channel_colours(all channels)``.
        width: Inches.
    """
    each = {name: estimates(parameters, name) for name in names}
    each = {n: e for n, e in each.items() if np.isfinite(e.values).any()}
    channels, folds = _channels(parameters), [*{f for e in each.values() for f in e.folds}]
    paint = c.colours_of(channels, colours)
    n_cells = max(len(each), 1)
    n_columns = n_cells if width >= c.NARROW else 1
    n_rows = -(-n_cells // n_columns)
    row_height = 0.22 + 0.075 * len(folds)
    height = n_rows * (0.75 + row_height * max(len(channels), 1)) + 0.3
    title = "Would the estimates have been the same before?"
    figure = c.blank(width, height, title)
    cells = figure.subplots(n_rows, n_columns, squeeze=False, sharey=True).ravel()
    for ax, (name, found) in zip(cells, each.items(), strict=False):
        _draw_estimates(ax, found, paint)
        low = float(np.nanmin(found.values))
        ax.set_xlim(left=min(0.0, 1.05 * low))
        if name == "adstock_alpha":
            ax.set_xlim(right=1.0)
        c.name_cell(ax, NAMES.get(name, name))
        c.numbers_on(ax.xaxis, most=5, room=width / n_columns - 1.0)
    for ax in cells:
        ax.set_yticks(range(len(channels)), [c.plain(c.shorten(n, 20)) for n in channels])
        ax.tick_params(axis="y", length=0)
        ax.set_ylim(len(channels) - 0.5, -0.5)
    c.legend_under(figure, _stability_legend(folds, each, prob))
    return figure


def _draw_estimates(ax: Axes, found: Estimates, paint: Sequence[str]) -> None:
    c.dress(ax, grid="x")
    n_folds = len(found.folds)
    for row, colour in enumerate(paint):
        if row % 2:
            ax.axhspan(row - 0.5, row + 0.5, color=c.TINT, zorder=0, lw=0)
        for k in range(n_folds):
            mean, lo, hi = found.values[:, row, k]
            y = row + 0.7 * ((k + 0.5) / n_folds - 0.5)
            only = bool(found.prior[row, k])
            look = {"color": c.REST if only else colour, "alpha": _alpha(k, n_folds)}
            ax.plot([lo, hi], [y, y], lw=1.8, solid_capstyle="butt", **look)
            ax.plot(mean, y, "o", ms=4.5, mfc="white" if only else None, mew=0.8, **look)


def _alpha(k: int, n_folds: int) -> float:
    """Later folds are drawn darker."""
    return 0.4 + 0.6 * (k + 1) / n_folds


def _stability_legend(
    folds: Sequence[int], each: Mapping[str, Estimates], prob: float
) -> list[Any]:
    look: dict[str, Any] = {"color": c.MODEL, "marker": "o", "ms": 4.5, "lw": 1.8}
    n = len(folds)
    first = Line2D([], [], alpha=_alpha(0, n), label=f"first fold, {prob:.0%}", **look)
    last = Line2D([], [], label=f"last fold (fold {folds[-1]})" if n else "last", **look)
    handles = [first, last] if n > 1 else [last]
    if any(e.prior.any() for e in each.values()):
        look |= {"color": c.REST, "mfc": "white"}
        handles.append(Line2D([], [], label="had not run yet: the prior", **look))
    return handles
