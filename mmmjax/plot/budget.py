"""Pictures of one plan: what to spend, what the next money returns, and when."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.dates import date2num
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

from mmmjax.checks import Phrase, fail
from mmmjax.plot import canvas as c
from mmmjax.plot.responses import Curves, curve_of

__all__ = ["allocation", "flighting", "marginal_returns"]

LEAST_MOVED = 0.005  # of all spend: smaller changes of a channel are not named
MOST_NAMED = 2  # channels of a title
AT_BOUND = 1e-6  # share of its range within which a channel counts as at its bound
TOP = 1.35  # of the marginal returns that matter, where the axis ends
FAR = 12.0  # ratio of marginal returns from which their axis is logarithmic
LEVELS = 200  # points of a curve of marginal returns


class Allocation(NamedTuple):
    """Spend of every channel over all geos, money, (channel,)."""

    channels: list[str]
    reference: np.ndarray
    optimized: np.ndarray
    lower: np.ndarray
    upper: np.ndarray

    @property
    def change(self) -> np.ndarray:
        """Planned over reference spend, minus 1; NaN without reference spend."""
        known = np.where(self.reference > 0, self.reference, np.nan)
        return self.optimized / known - 1

    @property
    def held(self) -> list[str]:
        """Which end of its range holds each channel: "most", "least", "fixed" or ""."""
        near = AT_BOUND * np.maximum(self.upper - self.lower, 1e-300)
        near = np.where(np.isfinite(near), near, 0.0)
        size = AT_BOUND * max(float(self.optimized.sum()), 1e-300)
        cases = [
            self.upper - self.lower <= size * 1e-6,
            self.upper - self.optimized <= near,
            self.optimized - self.lower <= near,
        ]
        return np.select(cases, ["fixed", "most", "least"], "").tolist()

    @property
    def finding(self) -> str:
        """Which way money moves, in words."""
        more = self.optimized - self.reference
        least = LEAST_MOVED * max(float(self.reference.sum()), 1e-300)
        order = np.argsort(more, kind="stable")
        down = [self.channels[i] for i in order if more[i] < -least]
        up = [self.channels[i] for i in order[::-1] if more[i] > least]
        if up and down:
            return f"Move spend from {listed(down)} to {listed(up)}"
        if up:
            return f"Spend more on {listed(up)}"
        return f"Spend less on {listed(down)}" if down else "Keep the split as it is"


def listed(names: Sequence[str], most: int = MOST_NAMED) -> str:
    """``a, b and 3 more``."""
    shown = [c.shorten(name, 24) for name in names[:most]]
    if len(names) > most:
        shown = [*shown, f"{len(names) - most} more"]
    return " and ".join(filter(None, [", ".join(shown[:-1]), shown[-1]]))


def allocate(plan: pd.DataFrame) -> Allocation:
    """Sum a table with the columns of plan.csv over geos (and periods)."""
    columns = ["reference", "optimized", "lower", "upper"]
    names = plan["channel"].astype(str)
    channels = list(dict.fromkeys(names))
    sums = [plan.loc[names == name, columns].sum().tolist() for name in channels]
    return Allocation(channels, *np.reshape(sums, (len(channels), 4)).T)


def allocation(
    plan: pd.DataFrame,
    *,
    currency: str = "",
    per: str = "over the window",
    colours: Mapping[str, str] | None = None,
    width: float = 5.4,
    ax: Axes | None = None,
) -> Figure:
    """Reference and optimised spend of every channel, with the range it was allowed.

    Args:
        plan: Table with the columns of plan.csv: ``Plan.to_frame()``.
        currency: Label of money.
        per: What the money is for: "over the window" or "a period".
        colours: Channel -> colour, from ``channel_colours(all channels)``.
        width: Inches.
        ax: Axes to draw on; None makes a figure.
    """
    found = allocate(plan)
    rows = np.arange(len(found.channels))
    paint = c.colours_of(found.channels, colours)
    height = 1.55 + 0.46 * max(len(rows), 1)
    drawn = c.canvas(width, height, found.finding, ax)
    ax = drawn.ax
    c.dress(ax, f"{c.with_unit('spend', currency)} {per}", grid="x")
    ax.barh(rows - 0.2, found.reference, 0.34, color=c.REST)
    ax.barh(rows + 0.2, found.optimized, 0.34, color=paint)
    largest = float(np.max([found.reference, found.optimized], initial=0.0)) or 1.0
    upper, cut = _shown_upper(found, largest)
    ax.hlines(rows + 0.2, found.lower, upper, color=c.INK, lw=1)
    ax.plot(found.lower, rows + 0.2, "|", color=c.INK, ms=8)
    ax.plot(upper[~cut], (rows + 0.2)[~cut], "|", color=c.INK, ms=8)
    ax.plot(upper[cut], (rows + 0.2)[cut], ">", color=c.INK, ms=4)
    held = np.array([name in ("most", "least") for name in found.held], bool)
    ax.plot(found.optimized[held], (rows + 0.2)[held], "D", color=c.INK, ms=5,
            mec="white", mew=0.8, zorder=5, clip_on=False)  # fmt: skip
    change = ["" if np.isnan(x) else f"{x:+.0%}" for x in found.change]
    notes = [("optimised", c.amounts(found.optimized)), ("change", change)]
    if any(found.held):
        notes.append(("held at", found.held))
    ax.set_xlim(left=0.0)
    c.rows_on(drawn, found.channels, notes)
    c.legend_below(drawn, [
        Patch(color=c.REST, label="reference"),
        Patch(color=c.MODEL, label="optimised (channel's colour)"),
        Line2D([], [], color=c.INK, marker="|", lw=1, label="allowed range"),
        *([Line2D([], [], color=c.INK, marker="D", ls="", ms=5, label="held at its end")]
          if held.any() else []),
    ], gap=42.0)  # fmt: skip
    return drawn.figure


def _shown_upper(found: Allocation, largest: float) -> tuple[np.ndarray, np.ndarray]:
    """Where the ranges end in the picture, and which go on beyond it.

    A range without an end stops at its bar; one far beyond all spend is cut.
    """
    upper = np.where(np.isfinite(found.upper), found.upper, found.optimized)
    cut = upper > 1.6 * largest
    return np.where(cut, 1.6 * largest, upper), cut


def marginal_returns(
    found: Curves,
    plan: pd.DataFrame,
    *,
    periods: int = 1,
    price: float | None = None,
    geo: str | None = None,
    outcome: str = "outcome",
    currency: str = "",
    period: str = "period",
    colours: Mapping[str, str] | None = None,
    width: float = 9.0,
) -> Figure:
    """What the next unit of money returns at each level of spend, and where plans stand.

    The slope of the mean response curve at constant spend, carry-over full. Of a plan that
    nothing holds, the filled dots lie at about one height: money cannot be moved to do
    better. (Exactly so in ``Plan.marginal``, which knows that a window begins and ends.)

    Args:
        found: Result of ``mm.curves(fit)``; of several geos, with ``total=True``. Or a
            table with the columns of curves.csv.
        plan: Table with the columns of plan.csv: ``Plan.to_frame()``.
        periods: Length of the window that the plan's money is for; 1 if it is a period's.
        price: What the next unit of the whole budget brings (``Plan.shadow_price``), drawn
            as a line.
        geo: The geo drawn, where there are several.
        outcome: Name of the outcome, with its unit if it has one.
        currency: Label of money.
        period: Word for one period, such as "week".
        colours: Channel -> colour; None: by the order of the plan.
        width: Inches.
    """
    spent = allocate(plan)
    paint = c.colours_of(spent.channels, colours)
    each = [
        _marginal(found, name, geo, np.array([before, after]) / periods)
        for name, before, after in zip(
            spent.channels, spent.reference, spent.optimized, strict=True
        )
    ]
    marked = np.array([one.marked for one in each])
    spread = [float(np.nanmax(x) - np.nanmin(x)) for x in marked.T]
    title = "What the next unit of money returns, in each channel"
    if spread[1] < 0.5 * spread[0]:
        title = "The plan evens out what the next unit of money returns"
    figure, cells = c.grid(len(each), width, 2.1, title)
    ends = _ends(np.append(marked, [] if price is None else price))
    for ax, name, one, colour in zip(cells, spent.channels, each, paint, strict=True):
        c.dress(ax)
        c.name_cell(ax, name)
        ax.plot(one.level, one.slope, color=colour, lw=2)
        if price is not None:
            ax.axhline(price, color=c.MUTED, lw=1, ls=":")
        ax.plot(*one.marks[0], "o", mfc="white", mec=c.INK, ms=6.5, zorder=5)
        ax.plot(*one.marks[1], "o", color=c.INK, mec="white", ms=6.5, zorder=6)
        ax.set_xlim(0.0, float(one.level[-1]))
        if np.isnan(one.marked[1]):
            look = {"fontsize": c.SMALL, "color": c.MUTED, "ha": "right", "va": "top"}
            ax.text(0.98, 0.94, "plan: beyond the curve", transform=ax.transAxes, **look)
        c.numbers_on(ax.xaxis, most=3, room=1.6)
        _returns_on(ax, *ends)
    c.label_lowest(cells, f"{c.with_unit('spend', currency)} a {period}")
    label = f"{outcome} of the next {currency or 'unit of money'}"
    figure.supylabel(c.plain(label), fontsize=c.SMALL, color=c.MUTED)
    line = Line2D([], [], color=c.MUTED, lw=1, ls=":", label="next money of the budget")
    c.legend_under(figure, [
        Line2D([], [], color=c.MODEL, lw=2, label="return of the next unit (mean)"),
        Line2D([], [], marker="o", ls="", mfc="white", mec=c.INK, label="reference"),
        Line2D([], [], marker="o", ls="", color=c.INK, mec="white", label="plan"),
        *([] if price is None else [line]),
    ])  # fmt: skip
    return figure


def _ends(returns: np.ndarray) -> tuple[float, float]:
    """Ends of the shared axis of returns; the lower one is 0 unless it is logarithmic."""
    known = returns[np.isfinite(returns) & (returns > 0)]
    if not known.size:
        return 0.0, 1.0
    low, high = float(known.min()), float(known.max())
    return (low / 2, high * 2) if high > FAR * low else (0.0, TOP * high)


def _returns_on(ax: Axes, low: float, high: float) -> None:
    """The axis of returns, logarithmic where they are far from each other."""
    if low > 0:
        ax.set_yscale("log")
        ax.set_ylim(low, high)
        ax.yaxis.set_major_locator(LogLocator(10, numticks=5))
        ax.yaxis.set_minor_locator(NullLocator())
        ax.yaxis.set_major_formatter(FuncFormatter(lambda x, _: f"{x:,.6g}"))
        return
    ax.set_ylim(low, high)
    c.numbers_on(ax.yaxis, most=4)


class Marginal(NamedTuple):
    """Slope of one channel's mean curve, and the two plans on it."""

    level: np.ndarray  # (point,) money a period
    slope: np.ndarray  # (point,) outcome per money
    marks: list[tuple[float, float]]  # reference and plan

    @property
    def marked(self) -> list[float]:
        """Marginal return of reference and plan."""
        return [slope for _, slope in self.marks]


def _marginal(found: Curves, channel: str, geo: str | None, spent: np.ndarray) -> Marginal:
    one = curve_of(found, channel, geo)
    if not one.paid or one.level.size < 3:
        fail(
            "plan", channel, "the curves drawn", "paid channels with a curve", "plot.curves"
        )
    end = max(1.15 * float(spent.max()), 1e-9 * one.level[-1])
    level = np.linspace(0.0, min(end, float(one.level[-1])) or 1.0, LEVELS)
    middle = 0.5 * (one.level[1:] + one.level[:-1])
    slopes = np.diff(one.mean) / np.diff(one.level)

    def at(x: np.ndarray) -> np.ndarray:
        seen = np.interp(x, middle, slopes)
        return np.where(x <= one.level[-1], seen, np.nan)  # no curve, no slope

    marks = zip(spent.tolist(), at(spent).tolist(), strict=True)
    return Marginal(level, at(level), list(marks))


def flighting(
    spend: xr.DataArray | pd.DataFrame,
    *,
    currency: str = "",
    period: str = "period",
    colours: Mapping[str, str] | None = None,
    width: float = 9.0,
    ax: Axes | None = None,
) -> Figure:
    """Planned spend of every period, channels on top of each other.

    Args:
        spend: ``Plan.spend_by_period``, (geo, channel, period), or a table with the
            columns of plan_periods.csv.
        currency: Label of money.
        period: Word for one period, such as "week".
        colours: Channel -> colour; None: by the order here.
        width: Inches.
        ax: Axes to draw on; None makes a figure.
    """
    channels, periods, money = _by_period(spend)
    whole = money.sum(0)
    title = f"The plan spends the same in every {period}"
    if np.ptp(money, axis=1).max(initial=0.0) > 1e-6 * (whole.mean() or 1.0):
        on = (money > 1e-3 * money.mean(1, keepdims=True)).sum(1)
        some = [name for name, n in zip(channels, on, strict=True) if 0 < n < len(periods)]
        title = f"Spend is not even: from {c.amount(float(whole.min()))} to "
        title += f"{c.amount(float(whole.max()))} {currency}".rstrip() + f" a {period}"
        title += f"; {listed(some)} on and off" if some else ""
    drawn = c.canvas(width, 3.4, title, ax)
    ax = drawn.ax
    c.dress(ax, "", f"{c.with_unit('spend', currency)} a {period}")
    dated = not np.issubdtype(periods.dtype, np.number)
    x = date2num(periods) if dated else periods.astype(float)
    step = float(np.diff(x).min()) if x.size > 1 else 1.0
    base = np.zeros(len(x))
    for name, row, colour in zip(
        channels, money, c.colours_of(channels, colours), strict=True
    ):
        ax.bar(x, row, 0.86 * step, base, color=colour, label=c.plain(c.shorten(name)))
        base = base + row
    if dated:
        ticks, labels = c.date_ticks(periods[0], periods[-1], 5 if drawn.narrow else 9)
        ax.set_xticks(date2num(ticks.to_numpy()), labels)
    else:
        c.dress(ax, period, f"{c.with_unit('spend', currency)} a {period}")
        c.numbers_on(ax.xaxis)
    ax.set_xlim(x[0] - 0.6 * step, x[-1] + 0.6 * step)
    ax.set_ylim(0.0, 1.05 * (float(whole.max(initial=0.0)) or 1.0))
    c.numbers_on(ax.yaxis)
    c.legend_below(drawn, ax.get_legend_handles_labels()[0], gap=42.0 if dated else 36.0)
    return drawn.figure


def _by_period(
    spend: xr.DataArray | pd.DataFrame,
) -> tuple[list[str], np.ndarray, np.ndarray]:
    """Channels, periods and money (channel, period) over geos."""
    if isinstance(spend, pd.DataFrame):
        wide = spend.pivot_table(
            "spend", "channel", "period", aggfunc="sum", sort=False, fill_value=0.0
        ).sort_index(axis=1)
        names, labels = [str(x) for x in wide.index], np.asarray(wide.columns)
        money = wide.to_numpy(float)
    else:
        sums = spend.sum("geo") if "geo" in spend.dims else spend
        sums = sums.transpose("channel", "period")
        names = [str(x) for x in sums["channel"].to_numpy()]
        labels, money = sums["period"].to_numpy(), sums.to_numpy()
    if not len(labels):
        fail("spend", Phrase("no periods"), "", "Plan.spend_by_period", "")
    if not np.issubdtype(labels.dtype, np.number):
        labels = pd.DatetimeIndex(pd.to_datetime(labels)).to_numpy()
    return names, labels, money
