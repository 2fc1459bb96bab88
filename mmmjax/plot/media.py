"""Pictures of what the outcome is made of: contributions over time, decomposition."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from mmmjax.plot import canvas as c

__all__ = ["contributions", "decomposition", "multipliers"]

FITTED = "fitted_mean"
OTHER = ("baseline", "seasonality", "controls")


class Stack(NamedTuple):
    """Components over time, original units; their sum is ``total``."""

    dates: np.ndarray  # (time,)
    names: list[str]  # what is not media first, then channels in the user's order
    values: np.ndarray  # (component, time)
    total: np.ndarray  # (time,)


def stack(weekly: pd.DataFrame, geo: str | None = None) -> Stack:
    """Mean of every component in every period of one geo, from weekly.csv."""
    rows = c.for_geo(weekly, geo)
    order = list(dict.fromkeys(rows["component"].astype(str)))
    rows = rows.assign(date=pd.to_datetime(rows["date"]))
    wide = rows.pivot_table("mean", "date", "component", sort=True, observed=True)
    channels = [name for name in order if name not in (*OTHER, FITTED)]
    names = [name for name in OTHER if name in order] + channels
    dates = wide.index.to_numpy()
    return Stack(dates, names, wide[names].to_numpy().T, wide[FITTED].to_numpy())


def contributions(
    weekly: pd.DataFrame,
    *,
    geo: str | None = None,
    outcome: str = "outcome",
    only_media: bool = False,
    colours: Mapping[str, str] | None = None,
    width: float = 9.0,
    ax: Axes | None = None,
) -> Figure:
    """Contribution of every channel over time, stacked on what comes without media.

    Baseline, seasonality and controls are one area, since the last two go below zero; its
    top is the outcome expected without media, the top of the stack is the fitted mean.

    Args:
        weekly: Table with the columns of weekly.csv.
        geo: The geo drawn; None: the sum over geos.
        outcome: Name of the outcome, with its unit if it has one.
        only_media: Leave out what is not media.
        colours: Channel -> colour, from ``channel_colours(all channels)``.
        width: Inches.
        ax: Axes to draw on; None makes a figure.
    """
    found = stack(weekly, geo)
    rest = [i for i, name in enumerate(found.names) if name in OTHER]
    media = [i for i in range(len(found.names)) if i not in rest]
    names = [found.names[i] for i in media]
    layers = list(
        zip(names, c.colours_of(names, colours), found.values[media], strict=True)
    )
    if not only_media:
        layers.insert(0, ("without media", c.REST, found.values[rest].sum(0)))
    title = f"{outcome}: what each channel brought"
    if not only_media:
        title = f"{outcome} expected without media, and what each channel adds"
    drawn = c.canvas(width, 3.7, c.capital(title), ax)
    ax = drawn.ax
    c.dress(ax, y=outcome)
    ax.stackplot(
        found.dates, [values for _, _, values in layers],
        colors=[colour for _, colour, _ in layers], edgecolor="white", linewidth=0.3,
    )  # fmt: skip
    handles: list[Any] = [Patch(color=colour, label=c.plain(c.shorten(name)))
                          for name, colour, _ in layers]  # fmt: skip
    if not only_media:
        ax.plot(found.dates, found.total, color=c.INK, lw=0.9)
        handles.append(Line2D([], [], color=c.INK, lw=1.2, label="fitted mean"))
    c.dates_on(drawn, found.dates[0], found.dates[-1])
    c.numbers_on(ax.yaxis)
    c.legend_below(drawn, handles)
    return drawn.figure


class Decomposition(NamedTuple):
    """Every component over the window; shares of the fitted mean add up to 1."""

    names: list[str]  # what is not media first, then channels in the user's order
    totals: np.ndarray  # (component,), original units
    shares: np.ndarray  # (component,)
    ends: np.ndarray | None  # interval of each share, (2, component), where it is known


def decompose(table: pd.DataFrame, geo: str | None = None) -> Decomposition:
    """Totals and shares of the fitted mean, from decomposition.csv or from weekly.csv.

    The shares of weekly.csv are those of the posterior means, without intervals.
    """
    if "share_mean" not in table:
        found = stack(table, geo)
        totals = found.values.sum(axis=1)
        return Decomposition(found.names, totals, totals / found.total.sum(), None)
    rows = c.for_geo(table, geo)
    every = rows["component"].astype(str).tolist()
    names = [n for n in OTHER if n in every] + [n for n in every if n not in OTHER]
    order = [every.index(name) for name in names]
    total, share, lo, hi = (
        rows[name].to_numpy(float)[order]
        for name in ("total_mean", "share_mean", "share_lo", "share_hi")
    )
    return Decomposition(names, total, share, np.stack([lo, hi]))


def decomposition(
    table: pd.DataFrame,
    *,
    geo: str | None = None,
    outcome: str = "outcome",
    prob: float = 0.94,
    colours: Mapping[str, str] | None = None,
    width: float = 6.6,
    ax: Axes | None = None,
) -> Figure:
    """Waterfall of the fitted mean: what each component added, up to 100%.

    Args:
        table: Table with the columns of decomposition.csv, whose intervals are drawn as
            thin lines from the start of each bar; or of weekly.csv, without intervals.
        geo: The geo drawn; None: the sum over geos.
        outcome: Name of the outcome, with its unit if it has one.
        prob: Probability inside the intervals.
        colours: Channel -> colour, from ``channel_colours(all channels)``.
        width: Inches.
        ax: Axes to draw on; None makes a figure.
    """
    found = decompose(table, geo)
    names = [*found.names, "fitted mean"]
    shares = np.append(found.shares, 1.0)
    starts = np.append(np.cumsum(found.shares) - found.shares, 0.0)
    totals = np.append(found.totals, found.totals.sum())
    channels = [name for name in found.names if name not in OTHER]
    chosen = dict(zip(channels, c.colours_of(channels, colours), strict=True))
    paint = [chosen.get(name, c.REST) for name in found.names] + [c.MODEL]
    drawn = c.canvas(width, 1.2 + 0.3 * len(names), f"Where {outcome} came from", ax)
    ax = drawn.ax
    c.dress(ax, f"share of the fitted mean of {outcome}", grid="x")
    rows = np.arange(len(names))
    ax.barh(rows, shares, left=starts, color=paint, height=0.62)
    for row, edge in enumerate((starts + shares)[:-1]):  # each bar starts where one ended
        ax.plot([edge, edge], [row + 0.31, row + 0.69], color=c.MUTED, lw=0.7)
    edges, notes = starts + shares, [("share", [c.in_percent(s, np.inf) for s in shares])]
    if found.ends is not None:
        ends = starts[:-1] + found.ends
        ax.hlines(rows[:-1], *ends, color=c.INK, lw=1)
        edges = np.concatenate([edges, ends.ravel()])
        spans = [
            " to ".join(c.in_percent(x, np.inf) for x in ends) for ends in found.ends.T
        ]
        notes.append((f"{prob:.0%}", [*spans, ""]))
    low, high = min(0.0, float(edges.min())), max(1.0, float(edges.max()))
    ax.set_xlim(low * 1.05, high + 0.03 * (high - low))
    c.rows_on(drawn, names, [*notes, (outcome, c.amounts(totals))], percent=True)
    return drawn.figure


def multipliers(
    table: pd.DataFrame,
    *,
    geo: str | None = None,
    prob: float = 0.94,
    colours: Mapping[str, str] | None = None,
    width: float = 9.0,
) -> Figure:
    """What the effects of every channel are multiplied by over time, and after training.

    Args:
        table: Table with the columns of multipliers.csv.
        geo: The geo drawn, where they do not share them; None: the first.
        prob: Probability inside the bands.
        colours: Channel -> colour, from ``channel_colours(all channels)``.
        width: Inches.
    """
    rows = c.for_geo(table, geo or str(table["geo"].iloc[0]))
    names = list(dict.fromkeys(rows["channel"].astype(str)))
    paint = c.channel_colours(names) if colours is None else colours
    title = "Effects that move: what an effect is multiplied by"
    figure, cells = c.grid(len(names), width, 1.9, title)
    for ax, name in zip(cells, names, strict=True):
        own, colour = rows.loc[rows["channel"].astype(str) == name], paint.get(name, c.REST)
        dates, late = pd.to_datetime(own["date"]).to_numpy(), own["after"].to_numpy(bool)
        c.dress(ax)
        c.name_cell(ax, name)
        ax.axhline(1.0, color=c.MUTED, lw=1, ls=":")
        ax.fill_between(dates, own["lo"], own["hi"], color=colour, alpha=0.18, lw=0)
        ax.plot(dates, own["mean"], color=colour, lw=1.6)
        if late.any():
            ax.axvspan(dates[late][0], dates[-1], color=c.TINT, lw=0, zorder=0)
        ax.set_ylim(bottom=0.0)
        years = pd.DatetimeIndex(dates).year
        first = np.flatnonzero(np.diff(years, prepend=years[0] - 1))
        ax.set_xticks(dates[first], [str(year) for year in years[first]])
        c.numbers_on(ax.yaxis, most=4)
    handles: list[Any] = [
        Line2D([], [], color=c.MODEL, lw=1.6, label=f"mean, {prob:.0%} interval"),
        Line2D([], [], color=c.MUTED, lw=1, ls=":", label="the mean of training"),
        Patch(color=c.TINT, label="after training"),
    ]
    c.legend_under(figure, handles)
    return figure
