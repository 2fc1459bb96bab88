"""Pictures of a fleet: returns over markets, and how its markets ended."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from mmmjax.checks import choice
from mmmjax.fleet import FleetReturns
from mmmjax.plot import canvas as c
from mmmjax.plot.bins import FLEET, bins
from mmmjax.plot.labels import Return

__all__ = ["fleet_diagnostics", "fleet_forest", "fleet_spread"]

NAMED = 60  # markets up to which a forest names its rows


def fleet_forest(
    returns: FleetReturns,
    channel: str,
    *,
    outcome: str = "outcome",
    currency: str = "",
    truth: Mapping[str, float] | None = None,
    width: float = 7.2,
    ax: Axes | None = None,
) -> Figure:
    """One channel: every market's own ROAS, and the one given all markets.

    Args:
        returns: Of :func:`mmmjax.fleet_returns`; in money, break-even is marked.
        channel: The channel drawn.
        outcome: Name of the outcome, with its unit if it has one.
        currency: Label of money.
        truth: True return by market, where it is known (simulated data); in money where
            ``returns`` is.
        width: Inches.
        ax: Axes to draw on; None makes a figure.

    Raises:
        InputError: A channel that no usable market has.
    """
    choice("channel", channel, returns.channels["channel"].astype(str).tolist())
    rows = returns.markets.loc[returns.markets["channel"].astype(str) == channel]
    rows = rows.sort_values("roas_mean", ascending=False)
    told = returns.channels.set_index("channel").loc[channel]
    named, unit = len(rows) <= NAMED, Return(outcome, currency, returns.in_money or None)
    height = 1.6 + (0.27 * len(rows) if named else 6.0)
    drawn = c.canvas(width, height, f"{channel}: return on spend of every market", ax)
    ax = drawn.ax
    c.dress(ax, f"{unit.per} spent", grid="x")
    ax.axvspan(told["typical_lo"], told["typical_hi"], color=c.GRID, zorder=0)
    place = np.arange(len(rows))
    shift = 0.17 if named else 0.0
    looks = (("roas", c.REST, c.MUTED, -shift), ("shrunk", c.MODEL, c.MODEL, shift))
    for name, line, dot, off in looks:
        mean, lo, hi = rows[[f"{name}_{s}" for s in ("mean", "lo", "hi")]].to_numpy(float).T
        ax.hlines(place + off, lo, hi, color=line, lw=2.4 if named else 0.6)
        fill = np.where(rows["rough"] & (name == "roas"), "white", dot)
        ax.scatter(mean, place + off, s=26 if named else 4, color=fill, edgecolors=dot,
                   zorder=3)  # fmt: skip
    names = rows["market"].astype(str).tolist()
    known = {k: truth[n] for k, n in enumerate(names) if truth and n in truth}
    ax.plot(list(known.values()), list(known), "D", color=c.INK, ms=5, mec="white", ls="")
    ax.set_xlim(0, 1.08 * float(np.nanquantile(rows[["roas_hi", "shrunk_hi"]], 0.98)))
    if named:
        c.rows_on(drawn, names, [])
    else:
        ax.set_yticks([])
        ax.set_ylim(len(rows), -1)
    even = _break_even(returns, ax)
    handles = _forest_legend(bool(known), bool(rows["rough"].any()))
    c.legend_below(drawn, [*handles, *even], gap=42.0)
    return drawn.figure


def _break_even(returns: FleetReturns, ax: Axes) -> list[Any]:
    """A line at 1 and its entry of the legend, where returns are of money."""
    if not returns.in_money:
        return []
    ax.axvline(1.0, color=c.INK, lw=1, ls=":")
    ax.set_xlim(right=max(ax.get_xlim()[1], 1.1))
    return [Line2D([], [], color=c.INK, lw=1, ls=":", label="break-even")]


def _forest_legend(truth: bool, rough: bool) -> list[Any]:
    """What stands for what."""
    line = lambda colour, dot, label: Line2D(
        [], [], color=colour, lw=2.4, marker="o", ms=5, mfc=dot, mec=dot, label=label
    )
    handles = [
        line(c.REST, c.MUTED, "its own, 94% interval"),
        line(c.MODEL, c.MODEL, "given all markets"),
        Line2D([], [], color=c.GRID, lw=9, label="the typical market"),
    ]
    bare: dict[str, Any] = {"ls": "", "color": c.MUTED, "ms": 5}
    if rough:
        text = "own posterior not log-normal"
        handles.append(Line2D([], [], marker="o", mfc="white", label=text, **bare))
    if truth:
        look: dict[str, Any] = {
            "marker": "D",
            "mfc": c.INK,
            "mec": "white",
            "label": "truth",
        }
        handles.append(Line2D([], [], **(bare | look)))
    return handles


def fleet_spread(
    returns: FleetReturns,
    *,
    outcome: str = "outcome",
    currency: str = "",
    truth: Mapping[str, float] | None = None,
    colours: Mapping[str, str] | None = None,
    width: float = 7.2,
    ax: Axes | None = None,
) -> Figure:
    """Every channel over its markets: the typical one, and where a new one would lie.

    Args:
        returns: Of :func:`mmmjax.fleet_returns`; in money, break-even is marked.
        outcome: Name of the outcome, with its unit if it has one.
        currency: Label of money.
        truth: True return of the typical market by channel, where it is known; in money
            where ``returns`` is.
        colours: Channel -> colour, from ``channel_colours(all channels)``.
        width: Inches.
        ax: Axes to draw on; None makes a figure.
    """
    names = returns.channels["channel"].astype(str).tolist()
    paint = c.colours_of(names, colours)
    unit = Return(outcome, currency, returns.in_money or None)
    drawn = c.canvas(width, 1.6 + 0.62 * len(names), "Return on spend over markets", ax)
    ax = drawn.ax
    c.dress(ax, f"{unit.per} spent", grid="x")
    for row, told in enumerate(returns.channels.to_dict("records")):
        own = returns.markets.loc[returns.markets["channel"] == told["channel"]]
        jitter = np.random.default_rng(row).uniform(-0.1, 0.1, len(own))
        ax.scatter(own["shrunk_mean"], row + 0.27 + jitter, s=12, color=paint[row],
                   alpha=0.5, lw=0)  # fmt: skip
        ax.hlines(row, told["new_lo"], told["new_hi"], color=paint[row], lw=1.4)
        ax.hlines(row, told["typical_lo"], told["typical_hi"], color=paint[row], lw=5)
        ax.plot(told["typical"], row, "o", ms=7, mfc="white", mec=paint[row], mew=1.8)
        if truth and told["channel"] in truth:
            ax.plot(truth[told["channel"]], row, "D", color=c.INK, ms=6, mec="white")
    reach = returns.markets["shrunk_mean"], returns.channels["new_hi"]
    ax.set_xlim(0, 1.08 * float(np.nanquantile(np.concatenate(reach), 0.98)))
    notes = [
        ("new market", [f"{lo:.2f} to {hi:.2f}" for lo, hi in
                        returns.channels[["new_lo", "new_hi"]].to_numpy(float)]),
        ("markets", [f"{n:,}" for n in returns.channels["markets"]]),
    ]  # fmt: skip
    c.rows_on(drawn, names, notes)
    look: dict[str, Any] = {"color": c.MODEL}
    handles = [
        Line2D([], [], marker="o", ls="", ms=4, alpha=0.6, label="a market", **look),
        Line2D([], [], marker="o", lw=5, mfc="white", label="the typical one, 94%", **look),
        Line2D([], [], lw=1.4, label="a new one, 94%", **look),
    ]
    if truth:
        text = "typical market, truth"
        handles.append(Line2D([], [], color=c.INK, marker="D", ls="", ms=5, label=text))
    c.legend_below(drawn, [*handles, *_break_even(returns, ax)], gap=42.0)
    return drawn.figure


def fleet_diagnostics(table: pd.DataFrame, *, width: float = 7.2) -> Figure:
    """How the sampler and the models did over the markets: four histograms.

    Args:
        table: ``fleet.table`` or fleet.csv.
        width: Inches.
    """
    figure, cells = c.grid(len(FLEET), width, 2.1, "How the markets did")
    for ax, (name, title, mark) in zip(cells, FLEET, strict=True):
        values = table[name].dropna().to_numpy(float)
        c.dress(ax, y="markets")
        c.name_cell(ax, title)
        if not values.size:
            ax.set_axis_off()
            continue
        found = bins(values, mark)
        ax.bar(found.edges[:-1], found.counts, 0.93 * np.diff(found.edges), align="edge",
               color=c.MODEL)  # fmt: skip
        if found.beyond:
            text = f"{found.beyond:,} beyond, in the last bar"
            ax.set_xlabel(text, fontsize=c.SMALL, color=c.MUTED)
        if found.mark is not None:
            ax.axvline(found.mark, color=c.INK, lw=1, ls=":")
        c.numbers_on(ax.xaxis, most=5, room=2.4)
        ax.yaxis.set_major_locator(MaxNLocator(5, integer=True))
    return figure
