"""Pictures of what other levels of spend would bring, and of when the effect comes."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from mmmjax.checks import choice, fail, listing
from mmmjax.plot import canvas as c
from mmmjax.plot.arrays import one_geo

__all__ = ["carryover", "curve", "curves", "sweep"]

DASHED = (0, (2, 1.2))
BANDS = 3  # channels whose intervals can be drawn over each other

Curves = xr.Dataset | pd.DataFrame
"""A result of ``mm.curves``, or a table with the columns of curves.csv."""


class Curve(NamedTuple):
    """Response of one channel at constant spend (or media, if organic) per period."""

    level: np.ndarray  # (point,)
    mean: np.ndarray  # (point,)
    lo: np.ndarray
    hi: np.ndarray
    today: float  # mean level of the training window; NaN where it is not known
    largest: float  # end of the observed range
    paid: bool

    def at(self, level: float) -> float:
        """Mean response at a level of spend."""
        return float(np.interp(level, self.level, self.mean))


def curve_of(
    found: Curves,
    channel: str,
    geo: str | None = None,
    today: Mapping[str, float] | None = None,
) -> Curve:
    """One channel of the response curves; see :func:`curve`."""
    names = _channels(found)
    if channel not in names:
        fail("channel", channel, "the curves drawn", listing(names), f'"{names[0]}"')
    if isinstance(found, pd.DataFrame):
        rows = c.for_geo(found, geo)
        rows = rows.loc[rows["channel"].astype(str) == channel]
        paid = bool(rows["spend"].notna().all())
        level, mean, lo, hi = (
            rows[n].to_numpy(float)
            for n in ("spend" if paid else "media", "mean", "lo", "hi")
        )
        seen = level[~rows["extrapolated"].to_numpy(bool)]
        at = float((today or {}).get(channel, np.nan))
        return Curve(level, mean, lo, hi, at, float(seen.max(initial=0.0)), paid)
    one = one_geo(found, geo).sel(channel=channel)
    paid = bool(np.isfinite(one["spend"]).all())
    kind = "spend" if paid else "media"
    at, largest = (float(one[f"{kind}_{which}"]) for which in ("mean", "max"))
    at = float((today or {}).get(channel, at))
    mean, lo, hi = one["response"].sel(summary=["mean", "lo", "hi"]).to_numpy()
    return Curve(one[kind].to_numpy(), mean, lo, hi, at, largest, paid)


def curve(
    found: Curves,
    channel: str,
    *,
    geo: str | None = None,
    today: Mapping[str, float] | None = None,
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
    extrapolated and dashed. The dot is the mean period of the training window.

    Args:
        found: Result of ``mm.curves(fit)``; of several geos, with ``total=True``. Or a
            table with the columns of curves.csv, which does not know today's position.
        channel: The channel.
        geo: The geo drawn, where there are several.
        today: Channel -> today's level of spend a period (media, if organic), in place of
            the mean of the training window.
        outcome: Name of the outcome, with its unit if it has one.
        currency: Label of money.
        period: Word for one period, such as "week".
        brief: The channel as title and no legend, for a row of such figures.
        colours: Channel -> colour; None: by the order in ``found``.
        width: Inches.
        ax: Axes to draw on; None makes a figure.
    """
    one = curve_of(found, channel, geo, today)
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
    found: Curves,
    *,
    geo: str | None = None,
    today: Mapping[str, float] | None = None,
    outcome: str = "outcome",
    currency: str = "",
    period: str = "period",
    colours: Mapping[str, str] | None = None,
    width: float = 9.0,
) -> Figure:
    """The curves of all channels side by side; axes differ. Arguments as :func:`curve`."""
    names = _channels(found)
    colours = colours or c.channel_colours(names)
    title = c.capital(f"{outcome} at other levels of spend")
    figure, cells = c.grid(len(names), width, 2.2, title)
    money = f"{c.with_unit('spend', currency)} a {period}"
    every = [curve_of(found, name, geo, today) for name in names]
    for ax, name, one in zip(cells, names, every, strict=True):
        c.dress(ax, "" if one.paid else f"media a {period} (organic)")
        c.name_cell(ax, name)
        _draw_curve(ax, one, colours.get(name, c.REST), 1.6)
    if any(one.paid for one in every):
        c.label_lowest(cells, money, [one.paid for one in every])
    figure.supylabel(c.plain(f"{outcome} a {period}"), fontsize=c.SMALL, color=c.MUTED)
    c.legend_under(figure, _curve_legend(period, c.MODEL))
    return figure


def _curve_legend(period: str, colour: str) -> Sequence[Any]:
    return [
        Line2D([], [], color=colour, lw=2, label="mean"),
        Line2D([], [], color=colour, lw=2, ls=DASHED, label="extrapolated"),
        Patch(color=colour, alpha=0.2, lw=0, label="94% interval"),
        Patch(facecolor=c.TINT, edgecolor=c.GRID, label="observed range"),
        Line2D([], [], color=c.INK, marker="o", ls="", ms=5,
               label=f"today: the mean {period}"),
    ]  # fmt: skip


def _draw_curve(ax: Axes, one: Curve, colour: str, room: float) -> None:
    inside = one.level <= one.largest * (1 + 1e-9)
    joint = max(int(inside.sum()) - 1, 0)
    ax.axvspan(0.0, one.largest, color=c.TINT, zorder=0, lw=0)
    ax.fill_between(one.level, one.lo, one.hi, color=colour, alpha=0.2, lw=0)
    ax.plot(one.level[inside], one.mean[inside], color=colour, lw=2)
    ax.plot(one.level[joint:], one.mean[joint:], color=colour, lw=2, ls=DASHED)
    if np.isfinite(one.today):
        ax.plot([one.today] * 2, [0.0, one.at(one.today)], color=c.INK, lw=0.8, ls=":")
        ax.plot(one.today, one.at(one.today), "o", color=c.INK, ms=5, zorder=4)
    ax.set_xlim(0.0, float(one.level[-1]) or 1.0)
    ax.set_ylim(bottom=min(0.0, float(one.lo.min())))
    c.numbers_on(ax.xaxis, most=3, room=room)
    c.numbers_on(ax.yaxis, most=4)


def _channels(found: Curves) -> list[str]:
    return list(dict.fromkeys(str(name) for name in found["channel"].to_numpy()))


class Swept(NamedTuple):
    """One channel of a sweep, all (multiplier,)."""

    multiplier: np.ndarray
    spend: np.ndarray  # money over the window; NaN for organic channels
    mean: np.ndarray
    lo: np.ndarray
    hi: np.ndarray


MEASURES = ("contribution", "uplift", "marginal")


def sweep_of(
    table: pd.DataFrame, measure: str = "uplift", geo: str | None = None
) -> dict[str, Swept]:
    """One measure of sweep.csv by channel, in order of the multiplier."""
    choice("measure", measure, MEASURES)
    before = "" if measure == "contribution" else f"{measure}_"
    columns = ["multiplier", "spend", *(before + s for s in ("mean", "lo", "hi"))]
    rows = c.for_geo(table, geo).sort_values("multiplier", kind="stable")
    parts = {str(n): part for n, part in rows.groupby("channel", sort=False)}
    found = {}
    for name in _channels(c.for_geo(table, geo)):  # type: ignore[arg-type]
        found[name] = Swept(*parts[name][columns].to_numpy(float).T)
    return found


def sweep(
    table: pd.DataFrame,
    *,
    measure: str = "uplift",
    relative: bool = True,
    channels: Sequence[str] | None = None,
    geo: str | None = None,
    outcome: str = "outcome",
    currency: str = "",
    prob: float = 0.94,
    colours: Mapping[str, str] | None = None,
    width: float = 6.6,
    ax: Axes | None = None,
) -> Figure:
    """What more or less spend of one channel would change, all others as they were.

    Args:
        table: Table with the columns of sweep.csv.
        measure: "contribution": what the channel would have brought over the window;
            "uplift": the same against today's spend; "marginal": what the next unit of
            money would bring there.
        relative: Spend as percentage of today's. False: money over the window; organic
            channels have none and are left out.
        channels: The channels drawn; None: all that have numbers.
        geo: The geo drawn; None: the sum over geos.
        outcome: Name of the outcome, with its unit if it has one.
        currency: Label of money.
        prob: Probability inside the intervals: bands of up to three channels, else lines
            at the end.
        colours: Channel -> colour, from ``channel_colours(all channels)``.
        width: Inches.
        ax: Axes to draw on; None makes a figure.
    """
    every = sweep_of(table, measure, geo)
    paint = c.channel_colours(list(every)) if colours is None else colours
    kept = _drawn(every, channels, relative)
    title, label = _sweep_words(measure, outcome, currency or "unit of money")
    drawn = c.canvas(width, 3.9, c.capital(f"{outcome}: {title}"), ax)
    ax = drawn.ax
    spend = "spend of the channel, today = 100%"
    c.dress(
        ax, spend if relative else c.with_unit("spend over the window", currency), label
    )
    _draw_sweep(ax, kept, paint, relative)
    c.numbers_on(ax.xaxis, relative, 6, drawn.width - 1.2)
    c.numbers_on(ax.yaxis)
    handles: list[Any] = [
        Line2D([], [], color=paint.get(n, c.REST), lw=2, label=c.plain(c.shorten(n)))
        for n in kept
    ]
    handles.append(
        Line2D([], [], color=c.MODEL, ls="", marker="o", ms=6, mec="white", label="today")
    )
    where = "Bands" if len(kept) <= BANDS else "Bars at the end of the lines"
    c.say(drawn, f"{where}: {prob:.0%} intervals")
    c.legend_below(drawn, handles, gap=42.0)
    return drawn.figure


def _drawn(
    every: Mapping[str, Swept], channels: Sequence[str] | None, relative: bool
) -> dict[str, Swept]:
    """The channels asked for that have numbers."""
    for name in channels or ():
        choice("channels", name, list(every))
    return {
        name: one
        for name, one in every.items()
        if (channels is None or name in channels)
        and np.isfinite(one.mean).any()
        and (relative or np.isfinite(one.spend).any())
    }


def _sweep_words(measure: str, outcome: str, money: str) -> tuple[str, str]:
    """What a measure is in a title, and on the axis."""
    return {
        "contribution": ("what each channel would bring", f"{outcome} over the window"),
        "uplift": ("what more or less spend would change", f"change of {outcome}"),
        "marginal": (f"what the next {money} would bring", f"{outcome} per {money}"),
    }[measure]


def _draw_sweep(
    ax: Axes, kept: Mapping[str, Swept], paint: Mapping[str, str], relative: bool
) -> None:
    """Lines with bands, or, of more channels, with the intervals of their last points."""
    end = max((float(np.max(one.multiplier)) for one in kept.values()), default=1.0)
    for i, (name, one) in enumerate(kept.items()):
        x, colour = one.multiplier if relative else one.spend, paint.get(name, c.REST)
        if len(kept) <= BANDS:
            ax.fill_between(x, one.lo, one.hi, color=colour, alpha=0.15, lw=0)
        else:  # beside each other where all lines end at the same spend
            at = x[-1] + (0.022 * end * (i + 1) if relative else 0.0)
            ax.plot([at, at], [one.lo[-1], one.hi[-1]], color=colour, lw=1.4)
            ax.plot(at, one.mean[-1], "o", color=colour, ms=3)
        ax.plot(x, one.mean, color=colour, lw=2)
        now = np.isclose(one.multiplier, 1.0)
        ax.plot(x[now], one.mean[now], "o", color=colour, ms=6, mec="white", zorder=4)
    if relative:
        ax.axvline(1.0, color=c.MUTED, lw=1, ls=":")
    ax.axhline(0.0, color=c.MUTED, lw=1)
    ax.margins(x=0.015)
    ax.set_xlim(left=0.0)


class Carried(NamedTuple):
    """When the effect of one channel comes: shares by lag (lag,), and the half-life."""

    lag: np.ndarray
    mean: np.ndarray
    lo: np.ndarray
    hi: np.ndarray
    half_life: np.ndarray  # mean, lo, hi, periods


def carried_of(table: pd.DataFrame, geo: str | None = None) -> dict[str, Carried]:
    """Carry-over of every channel from carryover.csv."""
    rows = c.for_geo(table, geo).sort_values("lag", kind="stable")
    found = {}
    for name in _channels(rows):
        part = rows.loc[rows["channel"].astype(str) == name]
        lag, mean, lo, hi = part[["lag", "mean", "lo", "hi"]].to_numpy(float).T
        half = part[[f"half_life_{s}" for s in ("mean", "lo", "hi")]].to_numpy(float)[0]
        found[name] = Carried(lag, mean, lo, hi, half)
    return found


def carryover(
    table: pd.DataFrame,
    *,
    geo: str | None = None,
    period: str = "period",
    colours: Mapping[str, str] | None = None,
    width: float = 9.0,
) -> Figure:
    """When the effect of each channel comes: its adstock, a bar a period, and half-life.

    The bar over [l, l + 1] is the share that comes l periods after the media; half of the
    effect has come at the dotted line, the half-life.

    Args:
        table: Table with the columns of carryover.csv.
        geo: The geo drawn, where the adstock differs between geos.
        period: Word for one period, such as "week".
        colours: Channel -> colour, from ``channel_colours(all channels)``.
        width: Inches.
    """
    found = carried_of(table, geo)
    paint = c.colours_of(list(found), colours)
    title = "When the effect of each channel comes (adstock), and its half-life"
    figure, cells = c.grid(len(found), width, 1.75, title)
    top = max((float(one.hi.max()) for one in found.values()), default=1.0)
    for ax, (name, one), colour in zip(cells, found.items(), paint, strict=True):
        c.dress(ax)
        half, lo, hi = one.half_life
        c.name_cell(ax, f"{c.shorten(name, 18)}: half-life {half:.1f} {period}s", 60)
        ax.bar(one.lag + 0.5, one.mean, 0.9, color=colour, alpha=0.75)
        ax.vlines(one.lag + 0.5, one.lo, one.hi, color=c.INK, lw=1)
        ax.axvspan(lo, hi, color=c.GRID, zorder=0, lw=0)
        ax.axvline(half, color=c.INK, lw=1.2, ls=":")
        ax.set_xlim(0.0, float(one.lag[-1]) + 1)
        ax.set_ylim(0.0, min(1.05 * top, 1.02) if top <= 1 else 1.05 * top)
        c.numbers_on(ax.xaxis, most=6)
        c.numbers_on(ax.yaxis, percent=True, most=4)
    c.label_lowest(cells, f"{period}s since the media")
    figure.supylabel("share of the effect", fontsize=c.SMALL, color=c.MUTED)
    c.legend_under(figure, [
        Patch(color=c.MODEL, alpha=0.75, label=f"share that comes in each {period}"),
        Line2D([], [], color=c.INK, lw=1, label="94% interval"),
        Line2D([], [], color=c.INK, lw=1.2, ls=":", label=f"half-life, {period}s"),
        Patch(color=c.GRID, label="its 94% interval"),
    ])  # fmt: skip
    return figure
