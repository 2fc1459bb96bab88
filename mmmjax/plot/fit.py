"""Pictures of how the model describes the data, and of whether its draws can be used."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.dates import date2num
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from mmmjax.plot import canvas as c

__all__ = ["convergence", "fitted"]

MAX_R_HAT = 1.01
MIN_ESS_PER_CHAIN = 100


class Band(NamedTuple):
    """A series with its interval and what was observed, all (time,), original units."""

    dates: np.ndarray
    observed: np.ndarray
    mean: np.ndarray
    lo: np.ndarray
    hi: np.ndarray


def band(table: pd.DataFrame, geo: str | None = None) -> Band:
    """One geo of a table with the columns of forecast.csv, in order of date."""
    rows = c.for_geo(table, geo)
    rows = rows.assign(date=pd.to_datetime(rows["date"])).sort_values("date")
    numbers = (rows[n].to_numpy(float) for n in ("observed", "mean", "lo", "hi"))
    return Band(rows["date"].to_numpy(), *numbers)


def fitted(
    training: pd.DataFrame,
    test: pd.DataFrame | None = None,
    *,
    geo: str | None = None,
    outcome: str = "outcome",
    prob: float = 0.94,
    width: float = 9.0,
    ax: Axes | None = None,
) -> Figure:
    """Predicted outcome and its band against what was observed.

    Args:
        training: Table with the columns of forecast.csv for the training window:
            ``forecast_table(fit, fit.panel)``.
        test: The same for the test window; its background is tinted.
        geo: The geo drawn; None: the sum over geos.
        outcome: Name of the outcome.
        prob: Probability inside [lo, hi], for the legend.
        width: Inches.
        ax: Axes to draw on; None makes a figure.
    """
    parts = [band(training, geo)] + ([band(test, geo)] if test is not None else [])
    when = ", training and test" if test is not None else ""
    drawn = c.canvas(width, 3.7, c.capital(f"{outcome}: observed and predicted{when}"), ax)
    ax = drawn.ax
    c.dress(ax, y=outcome)
    for part in parts:
        ax.fill_between(part.dates, part.lo, part.hi, color=c.MODEL, alpha=0.25, lw=0)
        ax.plot(part.dates, part.mean, color=c.MODEL, lw=1.4)
        ax.plot(part.dates, part.observed, ".", color=c.INK, ms=4, zorder=3)
    handles: list[Any] = [
        Line2D([], [], color=c.INK, marker=".", ls="", label="observed"),
        Line2D([], [], color=c.MODEL, lw=1.6, label="predicted mean"),
        Patch(color=c.MODEL, alpha=0.25, lw=0, label=f"{prob:.0%} of predictions"),
    ]
    c.dates_on(drawn, parts[0].dates[0], parts[-1].dates[-1])
    if len(parts) > 1:
        start = float(np.mean(date2num([parts[0].dates[-1], parts[1].dates[0]])))
        ax.axvspan(start, ax.get_xlim()[1], color=c.TINT, zorder=0, lw=0)
        ax.axvline(start, color=c.MUTED, lw=1, ls=":")
        handles.append(
            Patch(facecolor=c.TINT, edgecolor=c.MUTED, ls=":", label="test window")
        )
    c.numbers_on(ax.yaxis)
    c.legend_below(drawn, handles)
    return drawn.figure


class Convergence(NamedTuple):
    """What is known of every parameter's draws: names, smallest ESS, R-hat."""

    names: list[str]
    ess: np.ndarray
    r_hat: np.ndarray


def convergence_of(parameters: pd.DataFrame) -> Convergence:
    """The smaller of bulk and tail ESS, and R-hat, of every row that has both."""
    ess = parameters[["ess_bulk", "ess_tail"]].min(axis=1).to_numpy(float)
    r_hat = parameters["r_hat"].to_numpy(float)
    index = parameters["index"].fillna("").astype(str)
    names = [f"{p}[{i}]" if i else str(p)
             for p, i in zip(parameters["parameter"], index, strict=True)]  # fmt: skip
    known = np.isfinite(ess) & np.isfinite(r_hat)
    kept = [name for name, is_known in zip(names, known, strict=True) if is_known]
    return Convergence(kept, ess[known], r_hat[known])


def convergence(
    parameters: pd.DataFrame,
    *,
    chains: int = 4,
    width: float = 5.4,
    ax: Axes | None = None,
) -> Figure:
    """Effective sample size and R-hat of every parameter, with the limits of both.

    Args:
        parameters: Table with the columns of parameters.csv.
        chains: Number of chains; the limit of ESS is 100 for each.
        width: Inches.
        ax: Axes to draw on; None makes a figure.
    """
    found, least = convergence_of(parameters), MIN_ESS_PER_CHAIN * chains
    title = f"R-hat and effective sample size of {len(found.names)} parameters"
    drawn = c.canvas(width, 3.9, title, ax)
    ax = drawn.ax
    c.dress(ax, "effective sample size (smaller of bulk and tail)", "R-hat", grid="both")
    bad = (found.ess < least) | (found.r_hat > MAX_R_HAT)
    for chosen, colour, marker in ((~bad, c.MODEL, "o"), (bad, "#B42318", "X")):
        ax.plot(found.ess[chosen], found.r_hat[chosen], marker, ls="", color=colour, ms=6,
                alpha=0.75, mec="white", mew=0.5)  # fmt: skip
    top = max(1.014, 1 + 1.12 * (found.r_hat.max(initial=1.0) - 1))
    bottom = 1 - 0.06 * (top - 1)
    right = max(found.ess.max(initial=0.0) * 1.35, 2.0 * least)
    left = min(found.ess.min(initial=float(right)) * 0.8, 0.7 * least)
    ax.set(xscale="log", ylim=(min(bottom, found.r_hat.min(initial=1.0) - 1e-3), top),
           xlim=(max(left, 1.0), right))  # fmt: skip
    ax.fill_between([least, right], MAX_R_HAT, ax.get_ylim()[0], color="#E7F3EC", zorder=0)
    ax.axhline(MAX_R_HAT, color=c.MUTED, lw=1, ls="--")
    ax.axvline(least, color=c.MUTED, lw=1, ls="--")
    ticks = [t * 10**k for k in range(7) for t in (1, 2, 5)]
    ax.set_xticks([t for t in ticks if left <= t <= right], minor=False)
    ax.set_xticks([], minor=True)
    ax.xaxis.set_major_formatter(c.Amount())
    _name_worst(drawn, found)
    c.legend_below(drawn, _limits(least, bool(bad.any())), gap=44.0)
    return drawn.figure


def _limits(least: int, any_bad: bool) -> Sequence[Any]:
    good = Line2D([], [], color=c.MODEL, marker="o", ls="", label="within the limits")
    bad = Line2D([], [], color="#B42318", marker="X", ls="", label="outside the limits")
    area = Patch(
        color="#E7F3EC", label=f"R-hat at most {MAX_R_HAT}, ESS at least {least:,}"
    )
    return [good, bad, area] if any_bad else [good, area]


def _name_worst(drawn: c.Canvas, found: Convergence) -> None:
    """Name the parameter with the highest R-hat and the one with the smallest ESS."""
    ax, width = drawn.ax, drawn.width * 72 * 0.8
    if not found.names:
        return
    left, right = np.log(ax.get_xlim())
    for i in dict.fromkeys([int(np.argmin(found.ess)), int(np.argmax(found.r_hat))]):
        name = c.shorten(found.names[i], 34)
        room = (np.log(found.ess[i]) - left) / (right - left) * width
        beside = room > len(name) * c.SMALL * 0.6  # else above, to the right
        ax.annotate(
            c.plain(name), (found.ess[i], found.r_hat[i]), (-7, 0) if beside else (-4, 6),
            textcoords="offset points", va="center" if beside else "bottom",
            ha="right" if beside else "left", fontsize=c.SMALL - 1, color=c.MUTED,
        )  # fmt: skip
