"""Pictures of what media brought: contributions, decomposition, returns, curves."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from mmmjax.checks import fail, listing
from mmmjax.plot import canvas as c

__all__ = ["contributions", "curve", "curves", "decomposition", "roas"]

FITTED = "fitted_mean"
DASHED = (0, (2, 1.2))
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
    """Sum of every component over the window; shares of the fitted mean add up to 1."""

    names: list[str]
    totals: np.ndarray  # (component,), original units
    shares: np.ndarray  # (component,)


def decompose(weekly: pd.DataFrame, geo: str | None = None) -> Decomposition:
    """Totals and shares of the fitted mean, from weekly.csv."""
    found = stack(weekly, geo)
    totals = found.values.sum(axis=1)
    return Decomposition(found.names, totals, totals / found.total.sum())


def decomposition(
    weekly: pd.DataFrame,
    *,
    geo: str | None = None,
    outcome: str = "outcome",
    colours: Mapping[str, str] | None = None,
    width: float = 5.4,
    ax: Axes | None = None,
) -> Figure:
    """Waterfall of the fitted mean: what each component added, up to 100%.

    Arguments as :func:`contributions`.
    """
    found = decompose(weekly, geo)
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
    ax.set_xlim(min(0.0, float(np.min(starts + shares)) * 1.05), None)
    notes = [("share", [f"{s:.1%}" for s in shares]), (outcome, c.amounts(totals))]
    c.rows_on(drawn, names, notes, percent=True)
    return drawn.figure


class Returns(NamedTuple):
    """Returns of the paid channels: mean, lo, hi as (3, channel); NaN without spend."""

    channels: list[str]
    roas: np.ndarray
    mroas: np.ndarray


def returns(channels: pd.DataFrame, geo: str | None = None) -> Returns:
    """ROAS and mROAS of every channel that has one, from channels.csv."""
    rows = c.for_geo(channels, geo)
    rows = rows.loc[rows["roas_mean"].notna()]
    roas_, mroas_ = (
        np.stack([np.asarray(rows[f"{kind}_{s}"], float) for s in ("mean", "lo", "hi")])
        for kind in ("roas", "mroas")
    )
    return Returns(rows["channel"].astype(str).tolist(), roas_, mroas_)


def roas(
    channels: pd.DataFrame,
    *,
    geo: str | None = None,
    truth: Mapping[str, float] | None = None,
    marginal: bool = True,
    outcome: str = "outcome",
    currency: str = "",
    prob: float = 0.94,
    colours: Mapping[str, str] | None = None,
    width: float = 5.4,
    ax: Axes | None = None,
) -> Figure:
    """Return on spend of every paid channel with its interval: a forest.

    Args:
        channels: Table with the columns of channels.csv.
        geo: The geo drawn; None: all geos.
        truth: True ROAS by channel, where it is known (simulated data).
        marginal: Draw the return of the next unit of money (mROAS) below each ROAS.
        outcome: Name of the outcome, with its unit if it has one.
        currency: Label of money.
        prob: Probability inside [lo, hi].
        colours: Channel -> colour, from ``channel_colours(all channels)``.
        width: Inches.
        ax: Axes to draw on; None makes a figure.
    """
    found, truth = returns(channels, geo), truth or {}
    paint = c.colours_of(found.channels, colours)
    money = currency or "unit of money"
    height = 1.55 + 0.42 * max(len(found.channels), 1)
    drawn = c.canvas(width, height, f"Return on spend: {outcome} per {money}", ax)
    ax = drawn.ax
    c.dress(ax, f"{outcome} per {money} spent", grid="x")
    kinds = [(found.roas, -0.13 if marginal else 0.0, True)]
    if marginal:
        kinds.append((found.mroas, 0.2, False))
    for values, shift, full in kinds:
        for row, colour in enumerate(paint):
            mean, lo, hi = values[:, row]
            ax.plot([lo, hi], [row + shift] * 2, color=colour, lw=2.4 if full else 1.1)
            ax.plot(mean, row + shift, "o", color=colour, ms=7 if full else 4.5,
                    mfc=colour if full else "white")  # fmt: skip
    for row, channel in enumerate(found.channels):
        if channel in truth:
            ax.plot(truth[channel], row + kinds[0][1], "D", color=c.INK, ms=6, mec="white")
    ax.set_xlim(left=min(0.0, float(np.min(found.roas, initial=0.0)) * 1.05))
    texts = np.reshape(c.amounts(found.roas), found.roas.shape)
    spans = [f"{lo} to {hi}" for lo, hi in texts[1:].T]
    notes = [("ROAS", texts[0].tolist()), (f"{prob:.0%}", spans)]
    c.rows_on(drawn, found.channels, notes)
    c.legend_below(drawn, _forest_legend(marginal, bool(truth), money, prob), gap=42.0)
    return drawn.figure


def _forest_legend(marginal: bool, truth: bool, money: str, prob: float) -> Sequence[Any]:
    handles = [Line2D([], [], color=c.MODEL, lw=2.4, marker="o", ms=7,
                      label=f"ROAS, {prob:.0%} interval")]  # fmt: skip
    if marginal:
        label = c.plain(f"the next {money} (mROAS)")
        handles.append(
            Line2D(
                [], [], color=c.MODEL, lw=1.1, marker="o", ms=4.5, mfc="white", label=label
            )
        )
    if truth:
        handles.append(Line2D([], [], color=c.INK, marker="D", ls="", ms=5.5, mec="white",
                              label="true ROAS"))  # fmt: skip
    return handles


class Curve(NamedTuple):
    """Response of one channel at constant spend (or media, if organic) per period."""

    level: np.ndarray  # (point,)
    mean: np.ndarray  # (point,)
    lo: np.ndarray
    hi: np.ndarray
    today: float  # mean level of the training window
    largest: float  # end of the observed range
    paid: bool

    def at(self, level: float) -> float:
        """Mean response at a level of spend."""
        return float(np.interp(level, self.level, self.mean))


def curve_of(found: xr.Dataset, channel: str, geo: str | None = None) -> Curve:
    """One channel of the result of ``mm.curves``; see :func:`curve`."""
    geos = [str(g) for g in found["geo"].to_numpy()]
    geo = geos[0] if geo is None and len(geos) == 1 else geo
    if geo not in geos:
        fail("geo", geo, "the curves drawn", listing(geos),
             "curves(fit, total=True) for the sum over geos")  # fmt: skip
    one = found.sel(geo=geo, channel=channel)
    paid = bool(np.isfinite(one["spend"]).all())
    kind = "spend" if paid else "media"
    today, largest = (float(one[f"{kind}_{which}"]) for which in ("mean", "max"))
    mean, lo, hi = one["response"].sel(summary=["mean", "lo", "hi"]).to_numpy()
    return Curve(one[kind].to_numpy(), mean, lo, hi, today, largest, paid)


def curve(
    found: xr.Dataset,
    channel: str,
    *,
    geo: str | None = None,
    outcome: str = "outcome",
    currency: str = "",
    period: str = "period",
    brief: bool = False,
    colours: Mapping[str, str] | None = None,
    width: float = 5.4,
    ax: Axes | None = None,
) -> Figure:
    """What one channel brings a period at other levels of spend, carry-over included.

    The range that was observed is shaded and drawn as a line; beyond it the curve is
    extrapolated and dashed. The dot is the mean spend of the training window.

    Args:
        found: Result of ``mm.curves(fit)``; of several geos, with ``total=True``.
        channel: The channel.
        geo: The geo drawn, where there are several.
        outcome: Name of the outcome, with its unit if it has one.
        currency: Label of money.
        period: Word for one period, such as "week".
        brief: The channel as title and no legend, for a row of such figures.
        colours: Channel -> colour; None: by the order in ``found``.
        width: Inches.
        ax: Axes to draw on; None makes a figure.
    """
    one = curve_of(found, channel, geo)
    colour = (colours or c.channel_colours(_channels(found))).get(channel, c.REST)
    title = channel if brief else f"{channel}: {outcome} at other levels of spend"
    drawn = c.canvas(width, 2.5 if brief else 3.4, title, ax)
    level = c.with_unit("spend", currency) if one.paid else "media"
    c.dress(drawn.ax, f"{level} a {period}", f"{outcome} a {period}")
    _draw_curve(drawn.ax, one, colour, drawn.width - 1.1)
    if not brief:
        c.legend_below(drawn, _curve_legend(period, colour), gap=42.0)
    return drawn.figure


def curves(
    found: xr.Dataset,
    *,
    geo: str | None = None,
    outcome: str = "outcome",
    currency: str = "",
    period: str = "period",
    colours: Mapping[str, str] | None = None,
    width: float = 9.0,
) -> Figure:
    """The curves of all channels side by side; axes differ. Arguments as :func:`curve`."""
    names = _channels(found)
    colours = colours or c.channel_colours(names)
    n_columns = min(3 if width >= c.NARROW else 1, max(len(names), 1))
    n_rows = -(-(len(names) + 1) // n_columns)  # the last cell holds the legend
    figure = c.blank(
        width, 0.7 + 2.2 * n_rows, c.capital(f"{outcome} at other levels of spend")
    )
    figure.get_layout_engine().set(hspace=0.08, wspace=0.04)  # type: ignore[union-attr]
    cells = figure.subplots(n_rows, n_columns, squeeze=False).ravel()
    for i, (ax, name) in enumerate(zip(cells, names, strict=False)):
        one = curve_of(found, name, geo)
        level = f"{c.with_unit('spend', currency)} a {period}" if one.paid else (
            f"media a {period} (organic)")  # fmt: skip
        lowest = i + n_columns >= len(names)
        c.dress(ax, level if lowest or not one.paid else "")
        ax.set_title(c.plain(c.shorten(name)), loc="left", fontsize=c.TEXT, color=c.INK)
        _draw_curve(ax, one, colours.get(name, c.REST), width / n_columns - 1.1)
    for ax in cells[len(names) :]:
        ax.set_axis_off()
    cells[len(names)].legend(handles=_curve_legend(period, c.MODEL), loc="center left",
                             borderaxespad=0.0, **c.LEGEND)  # fmt: skip
    figure.supylabel(c.plain(f"{outcome} a {period}"), fontsize=c.SMALL, color=c.MUTED)
    return figure


def _curve_legend(period: str, colour: str) -> Sequence[Any]:
    return [
        Line2D([], [], color=colour, lw=2, label="mean"),
        Line2D([], [], color=colour, lw=2, ls=DASHED, label="extrapolated"),
        Patch(color=colour, alpha=0.2, lw=0, label="94% interval"),
        Patch(facecolor=c.TINT, edgecolor=c.GRID, label="observed range"),
        Line2D([], [], color=c.INK, marker="o", ls="", ms=5, label=f"mean {period} so far"),
    ]


def _draw_curve(ax: Axes, one: Curve, colour: str, room: float) -> None:
    inside = one.level <= one.largest * (1 + 1e-9)
    joint = max(int(inside.sum()) - 1, 0)
    ax.axvspan(0.0, one.largest, color=c.TINT, zorder=0, lw=0)
    ax.fill_between(one.level, one.lo, one.hi, color=colour, alpha=0.2, lw=0)
    ax.plot(one.level[inside], one.mean[inside], color=colour, lw=2)
    ax.plot(one.level[joint:], one.mean[joint:], color=colour, lw=2, ls=DASHED)
    ax.plot([one.today] * 2, [0.0, one.at(one.today)], color=c.INK, lw=0.8, ls=":")
    ax.plot(one.today, one.at(one.today), "o", color=c.INK, ms=5, zorder=4)
    ax.set_xlim(0.0, float(one.level[-1]) or 1.0)
    ax.set_ylim(bottom=min(0.0, float(one.lo.min())))
    c.numbers_on(ax.xaxis, most=3, room=room)
    c.numbers_on(ax.yaxis, most=4)


def _channels(found: xr.Dataset) -> list[str]:
    return [str(name) for name in found["channel"].to_numpy()]
