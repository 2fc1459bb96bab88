"""Pictures of what spend was worth: returns, shares, and when the value came."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from mmmjax.checks import choice, fail, listing
from mmmjax.plot import canvas as c
from mmmjax.plot.labels import Return

__all__ = ["now_and_after", "roas", "roas_over_time", "share_and_roas", "shares"]

KINDS = ("year", "quarter", "month")
STATISTICS = ("mean", "lo", "hi")


def _three(rows: pd.DataFrame, measure: str) -> np.ndarray:
    """Mean, lo and hi of one measure, (3, row)."""
    return rows[[f"{measure}_{s}" for s in STATISTICS]].to_numpy(float).T


class Returns(NamedTuple):
    """Returns of the paid channels: mean, lo, hi as (3, channel); NaN without spend."""

    channels: list[str]
    roas: np.ndarray
    mroas: np.ndarray


def returns(channels: pd.DataFrame, geo: str | None = None) -> Returns:
    """ROAS and mROAS of every channel that has one, from channels.csv."""
    rows = c.for_geo(channels, geo)
    rows = rows.loc[rows["roas_mean"].notna()]
    names = rows["channel"].astype(str).tolist()
    return Returns(names, _three(rows, "roas"), _three(rows, "mroas"))


def roas(
    channels: pd.DataFrame,
    *,
    geo: str | None = None,
    truth: Mapping[str, float] | None = None,
    marginal: bool = True,
    outcome: str = "outcome",
    currency: str = "",
    value: float | None = None,
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
        value: Money per unit of outcome, where it is known: returns are then money per
            money, with a line at 1, where spend breaks even.
        prob: Probability inside [lo, hi].
        colours: Channel -> colour, from ``channel_colours(all channels)``.
        width: Inches.
        ax: Axes to draw on; None makes a figure.
    """
    said = Return(outcome, currency, value)
    found, truth = returns(said.of(channels), geo), truth or {}
    paint = c.colours_of(found.channels, colours)
    money = currency or "unit of money"
    height = 1.55 + 0.42 * max(len(found.channels), 1)
    drawn = c.canvas(width, height, f"Return on spend: {said.per}", ax)
    ax = drawn.ax
    c.dress(ax, f"{said.per} spent", grid="x")
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
            ax.plot(
                said.times * truth[channel],
                row + kinds[0][1],
                "D",
                color=c.INK,
                ms=6,
                mec="white",
            )
    if value is not None:
        ax.axvline(1.0, color=c.INK, lw=1, ls=":")
    ax.set_xlim(left=min(0.0, float(np.min(found.roas, initial=0.0)) * 1.05))
    texts = np.reshape(c.amounts(found.roas), found.roas.shape)
    spans = [f"{lo} to {hi}" for lo, hi in texts[1:].T]
    notes = [(said.name, texts[0].tolist()), (f"{prob:.0%}", spans)]
    c.rows_on(drawn, found.channels, notes)
    c.legend_below(
        drawn, _forest_legend(marginal, bool(truth), money, prob, said), gap=42.0
    )
    return drawn.figure


def _forest_legend(
    marginal: bool, truth: bool, money: str, prob: float, said: Return
) -> Sequence[Any]:
    handles = [Line2D([], [], color=c.MODEL, lw=2.4, marker="o", ms=7,
                      label=f"{said.name}, {prob:.0%} interval")]  # fmt: skip
    if marginal:
        label = c.plain(f"the next {money} ({said.next})")
        handles.append(
            Line2D(
                [], [], color=c.MODEL, lw=1.1, marker="o", ms=4.5, mfc="white", label=label
            )
        )
    if truth:
        handles.append(Line2D([], [], color=c.INK, marker="D", ls="", ms=5.5, mec="white",
                              label=f"true {said.name}"))  # fmt: skip
    if said.value is not None:
        handles.append(Line2D([], [], color=c.INK, lw=1, ls=":", label="break-even"))
    return handles


class Shares(NamedTuple):
    """Share of every channel in the observed outcome: mean, lo, hi as (3, channel)."""

    channels: list[str]
    share: np.ndarray


def shares_of(channels: pd.DataFrame, geo: str | None = None) -> Shares:
    """Shares of every channel that has one, from channels.csv."""
    rows = c.for_geo(channels, geo)
    rows = rows.loc[rows["share_mean"].notna()]
    return Shares(rows["channel"].astype(str).tolist(), _three(rows, "share"))


def shares(
    channels: pd.DataFrame,
    *,
    geo: str | None = None,
    outcome: str = "outcome",
    prob: float = 0.94,
    colours: Mapping[str, str] | None = None,
    width: float = 5.4,
    ax: Axes | None = None,
) -> Figure:
    """Share of the observed outcome that every channel brought, with its interval.

    Args:
        channels: Table with the columns of channels.csv.
        geo: The geo drawn; None: all geos.
        outcome: Name of the outcome.
        prob: Probability inside [lo, hi].
        colours: Channel -> colour, from ``channel_colours(all channels)``.
        width: Inches.
        ax: Axes to draw on; None makes a figure.
    """
    found = shares_of(channels, geo)
    height = 1.25 + 0.34 * max(len(found.channels), 1)
    drawn = c.canvas(width, height, f"Share of {outcome} that each channel brought", ax)
    c.dress(drawn.ax, f"share of the observed {outcome}", grid="x")
    for row, colour in enumerate(c.colours_of(found.channels, colours)):
        mean, lo, hi = found.share[:, row]
        drawn.ax.plot([lo, hi], [row, row], color=colour, lw=2.4)
        drawn.ax.plot(mean, row, "o", color=colour, ms=7)
    drawn.ax.set_xlim(left=min(0.0, float(np.min(found.share, initial=0.0)) * 1.05))
    spans = [
        " to ".join(c.in_percent(x, np.inf) for x in ends) for ends in found.share[1:].T
    ]
    notes = [
        ("share", [c.in_percent(s, np.inf) for s in found.share[0]]),
        (f"{prob:.0%}", spans),
    ]
    c.rows_on(drawn, found.channels, notes, percent=True)
    return drawn.figure


class Places(NamedTuple):
    """Share, return and spend of every paid channel."""

    channels: list[str]
    share: np.ndarray  # mean, lo, hi: (3, channel)
    roas: np.ndarray  # the same
    spend: np.ndarray  # (channel,), money


def places_of(channels: pd.DataFrame, geo: str | None = None) -> Places:
    """Share and ROAS of the channels that have both, from channels.csv."""
    rows = c.for_geo(channels, geo)
    rows = rows.loc[rows["share_mean"].notna() & rows["roas_mean"].notna()]
    names = rows["channel"].astype(str).tolist()
    spend = rows["spend"].to_numpy(float)
    return Places(names, _three(rows, "share"), _three(rows, "roas"), spend)


def share_and_roas(
    channels: pd.DataFrame,
    *,
    geo: str | None = None,
    outcome: str = "outcome",
    currency: str = "",
    value: float | None = None,
    prob: float = 0.94,
    colours: Mapping[str, str] | None = None,
    width: float = 6.6,
    ax: Axes | None = None,
) -> Figure:
    """How much each channel brought against what a unit of money brought, by spend.

    Args:
        channels: Table with the columns of channels.csv.
        geo: The geo drawn; None: all geos.
        outcome: Name of the outcome.
        currency: Label of money.
        value: Money per unit of outcome, where it is known: returns are then money per
            money, with a line at 1, where spend breaks even.
        prob: Probability inside the intervals.
        colours: Channel -> colour, from ``channel_colours(all channels)``.
        width: Inches.
        ax: Axes to draw on; None makes a figure.
    """
    said = Return(outcome, currency, value)
    found = places_of(said.of(channels), geo)
    title = f"Share of {outcome} against return on spend, by channel"
    drawn = c.canvas(width, 4.3, title, ax)
    ax = drawn.ax
    c.dress(ax, f"share of the observed {outcome}", f"{said.name}: {said.per}", "both")
    paint = c.colours_of(found.channels, colours)
    area = 900 * found.spend / (found.spend.max(initial=0.0) or 1.0)
    for i in np.argsort(-area):
        (x, x0, x1), (y, y0, y1), colour = found.share[:, i], found.roas[:, i], paint[i]
        ax.plot([x0, x1], [y, y], color=colour, lw=1.1, alpha=0.8)
        ax.plot([x, x], [y0, y1], color=colour, lw=1.1, alpha=0.8)
        ax.scatter(x, y, s=max(area[i], 20.0), color=colour, alpha=0.75, lw=0.8,
                   edgecolors="white", zorder=3)  # fmt: skip
    if value is not None:
        ax.axhline(1.0, color=c.INK, lw=1, ls=":")
    ax.set_xlim(left=min(0.0, float(np.min(found.share, initial=0.0)) * 1.05))
    ax.set_ylim(bottom=min(0.0, float(np.min(found.roas, initial=0.0)) * 1.05))
    c.numbers_on(ax.xaxis, True, 6, drawn.width - 1.0)
    c.numbers_on(ax.yaxis)
    texts = c.amounts(found.spend)
    handles = [
        Line2D([], [], color=colour, marker="o", ls="", ms=7,
               label=c.plain(f"{c.shorten(name)} ({text})"))
        for name, colour, text in zip(found.channels, paint, texts, strict=True)
    ]  # fmt: skip
    even = "" if value is None else "; dotted: break-even"
    c.say(drawn, f"Areas and numbers: spend{f' in {currency}' if currency else ''}; "
          f"lines: {prob:.0%} intervals{even}")  # fmt: skip
    c.legend_below(drawn, handles, gap=42.0)
    return drawn.figure


def windows_of(returns: pd.DataFrame, kind: str, geo: str | None = None) -> pd.DataFrame:
    """Rows of one kind of window of returns.csv, in the order of the table."""
    kinds = returns["kind"].astype(str)
    if kind not in set(kinds):
        fail("kind", kind, "the table drawn", listing(dict.fromkeys(kinds)),
             f'returns_table(fit, kinds=["all", "{kind}"])')  # fmt: skip
    return c.for_geo(returns.loc[kinds == kind], geo)


def _window_ticks(ax: Axes, labels: Sequence[str], most: int) -> None:
    """The year under the first window of each, as far as there is room."""
    first = [i for i, x in enumerate(labels) if i == 0 or x[:4] != labels[i - 1][:4]]
    kept: list[int] = []
    for i in reversed(first):  # a first year of few windows gives way to the next
        if not kept or kept[-1] - i > len(labels) / (1.2 * most):
            kept.append(i)
    ax.set_xticks(kept, [labels[i][:4] for i in kept])
    ax.set_xlim(-0.7, len(labels) - 0.3)


class History(NamedTuple):
    """Returns of every window of a kind."""

    windows: list[str]
    every: list[str]  # channels in the user's order
    values: dict[str, np.ndarray]  # of paid channels: mean, lo, hi (3, window)
    whole: dict[str, float]  # means over the training window, where the table has them


def history_of(
    returns: pd.DataFrame, kind: str, measure: str = "roas", geo: str | None = None
) -> History:
    """Returns of the paid channels by window, from returns.csv; NaN without spend."""
    rows = windows_of(returns, kind, geo)
    channel = rows["channel"].astype(str)
    every = list(dict.fromkeys(channel))
    values = {name: _three(rows.loc[channel == name], measure) for name in every}
    values = {n: v for n, v in values.items() if np.isfinite(v[0]).any()}
    all_ = c.for_geo(returns.loc[returns["kind"].astype(str) == "all"], geo)
    means = dict(zip(all_["channel"].astype(str), all_[f"{measure}_mean"], strict=True))
    whole = {n: float(x) for n, x in means.items() if np.isfinite(x)}
    return History(list(dict.fromkeys(rows["window"].astype(str))), every, values, whole)


def roas_over_time(
    returns: pd.DataFrame,
    *,
    kind: str = "quarter",
    measure: str = "roas",
    geo: str | None = None,
    outcome: str = "outcome",
    currency: str = "",
    value: float | None = None,
    prob: float = 0.94,
    colours: Mapping[str, str] | None = None,
    width: float = 9.0,
) -> Figure:
    """Return on the spend of every year, quarter or month, channel by channel.

    Windows without spend have no return: a gap. Each channel has its own scale.

    Args:
        returns: Table with the columns of returns.csv.
        kind: "year", "quarter" or "month", as far as the table has it.
        measure: "roas" or "mroas".
        geo: The geo drawn; None: all geos.
        outcome: Name of the outcome, with its unit if it has one.
        currency: Label of money.
        value: Money per unit of outcome, where it is known: returns are then money per
            money, with a line at 1, where spend breaks even.
        prob: Probability inside the intervals.
        colours: Channel -> colour, from ``channel_colours(all channels)``.
        width: Inches.
    """
    choice("kind", kind, KINDS)
    choice("measure", measure, ("roas", "mroas"))
    said = Return(outcome, currency, value)
    found = history_of(said.of(returns), kind, measure, geo)
    paint = c.channel_colours(found.every) if colours is None else colours
    of_what = said.name if measure == "roas" else said.next
    title = c.capital(f"{of_what} of each {kind}'s spend, by channel")
    figure, cells = c.grid(len(found.values), width, 1.75, title)
    at, many = np.arange(len(found.windows)), len(found.windows) > 20
    for ax, (name, (mean, lo, hi)) in zip(cells, found.values.items(), strict=True):
        colour = paint.get(name, c.REST)
        c.dress(ax)
        c.name_cell(ax, name)
        if name in found.whole:
            ax.axhline(found.whole[name], color=c.MUTED, lw=1, ls=":")
        ax.vlines(at, lo, hi, color=colour, lw=1.2 if many else 2.2, alpha=0.7)
        ax.plot(at, mean, "o", color=colour, ms=3 if many else 5)
        if value is not None:
            ax.axhline(1.0, color=c.INK, lw=1, ls="-.")
        ax.set_ylim(bottom=min(0.0, float(np.nanmin(lo)) * 1.05))
        _window_ticks(ax, found.windows, 5)
        c.numbers_on(ax.yaxis, most=4)
    figure.supylabel(c.plain(said.per), fontsize=c.SMALL, color=c.MUTED)
    label = f"{kind}, {prob:.0%} interval"
    handles = [Line2D([], [], color=c.MODEL, lw=2, marker="o", ms=5, label=label)]
    if found.whole:
        label = "the whole training window"
        handles.append(Line2D([], [], color=c.MUTED, lw=1, ls=":", label=label))
    if value is not None:
        label = "break-even"
        handles.append(Line2D([], [], color=c.INK, lw=1, ls="-.", label=label))
    c.legend_under(figure, handles)
    return figure


class Value(NamedTuple):
    """Value of spend, within its window and after it, (row,), original units."""

    names: list[str]  # channels, or windows
    now: np.ndarray
    after: np.ndarray
    spend: np.ndarray  # money


def value_of(
    returns: pd.DataFrame, window: str, channel: str | None = None, geo: str | None = None
) -> Value:
    """Value of one window by channel, or of every window of a kind (summed over channels).

    Args:
        returns: Table with the columns of returns.csv.
        window: A label ("all", "2017", "2017Q2"), or "year", "quarter" or "month".
        channel: With a kind: this channel only.
        geo: The geo; None: all geos.
    """
    if window in KINDS:
        rows, key = windows_of(returns, window, geo), "window"
    else:
        known = list(dict.fromkeys(returns["window"].astype(str)))
        choice("window", window, [*known, *KINDS])
        rows, key = returns.loc[returns["window"].astype(str) == window], "channel"
        rows = c.for_geo(rows, geo)
    if channel is not None:
        choice("channel", channel, list(dict.fromkeys(rows["channel"].astype(str))))
        rows = rows.loc[rows["channel"].astype(str) == channel]
    rows = rows.loc[rows["spend"].notna()]  # organic channels have no spend to value
    sums = rows.groupby(key, sort=False)[["now_mean", "after_mean", "spend"]].sum()
    return Value([str(n) for n in sums.index], *sums.to_numpy(float).T)


def now_and_after(
    returns: pd.DataFrame,
    window: str = "quarter",
    *,
    channel: str | None = None,
    geo: str | None = None,
    outcome: str = "outcome",
    colours: Mapping[str, str] | None = None,
    width: float = 6.6,
    ax: Axes | None = None,
) -> Figure:
    """What a window's spend brought within it, and what it brings afterwards, stacked.

    Posterior means of the incremental outcome; both parts together are what ROAS counts.

    Args:
        returns: Table with the columns of returns.csv.
        window: "year", "quarter" or "month": a bar a window. Or a label of the table
            ("all", "2017", "2017Q2"): a bar a channel.
        channel: One channel only; None: every one, or their sum where windows are drawn.
        geo: The geo drawn; None: all geos.
        outcome: Name of the outcome, with its unit if it has one.
        colours: Channel -> colour, from ``channel_colours(all channels)``.
        width: Inches.
        ax: Axes to draw on; None makes a figure.
    """
    found, over = value_of(returns, window, channel, geo), window in KINDS
    every = list(dict.fromkeys(returns["channel"].astype(str)))
    paint = c.channel_colours(every) if colours is None else colours
    title, then = _when(returns, window, channel)
    height = 3.6 if over else 1.5 + 0.34 * max(len(found.names), 1)
    drawn = c.canvas(width, height, c.capital(f"{outcome} from {title}"), ax)
    ax, at = drawn.ax, np.arange(len(found.names))
    if over:
        colour = paint.get(channel or "", c.MODEL)
        c.dress(ax, y=outcome)
        ax.bar(at, found.now, 0.75, color=colour)
        ax.bar(at, found.after, 0.75, bottom=found.now, color=colour, alpha=0.4)
        _window_ticks(ax, found.names, 9)
        c.numbers_on(ax.yaxis)
    else:
        colour = c.MODEL
        c.dress(ax, f"incremental {outcome}", grid="x")
        bars = [paint.get(name, c.REST) for name in found.names]
        ax.barh(at, found.now, 0.62, color=bars)
        ax.barh(at, found.after, 0.62, left=found.now, color=bars, alpha=0.4)
        ax.set_xlim(left=0.0)
        whole = found.now + found.after
        later = np.divide(found.after, whole, out=np.zeros_like(whole), where=whole != 0)
        notes = [(outcome, c.amounts(whole)), ("later", [f"{x:.1%}" for x in later])]
        c.rows_on(drawn, found.names, notes)
    c.legend_below(drawn, [
        Patch(color=colour, label=then),
        Patch(color=colour, alpha=0.4, label="later (carry-over)"),
    ], gap=30.0 if over else 42.0)  # fmt: skip
    return drawn.figure


def _when(returns: pd.DataFrame, window: str, channel: str | None) -> tuple[str, str]:
    """Title, and what the time of the spend is called."""
    media = f"spend on {channel}" if channel else "media spend"
    if window in KINDS:
        return f"each {window}'s {media}: then, and later", f"in that {window}"
    if window == "all":
        return f"the {media} of the training window: then, and later", "in that window"
    kind = returns.loc[returns["window"].astype(str) == window, "kind"].iloc[0]
    return f"the {media} of {window}: then, and later", f"in that {kind}"
