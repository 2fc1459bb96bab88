"""Pictures of what more knowledge would change: the best split of each draw, its worth."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from mmmjax import metrics
from mmmjax.checks import Phrase, fail
from mmmjax.plot import canvas as c
from mmmjax.plot.arrays import density_of
from mmmjax.plot.labels import large, span

__all__ = ["best_splits", "value_of_knowing"]

WIDEST = 0.42  # half the height of a violin, rows


class Spread(NamedTuple):
    """The best spend of one channel over draws, money."""

    name: str
    draws: np.ndarray
    lo: float
    hi: float


def spreads_of(optimum: Any, channels: Sequence[str] | None = None) -> list[Spread]:
    """Every channel's best spend by draw, with its 94% interval."""
    if isinstance(optimum, xr.DataArray):
        channels = [str(name) for name in optimum["channel"].to_numpy()]
        optimum = optimum.sum("geo") if "geo" in optimum.dims else optimum
        optimum = optimum.transpose(..., "channel").to_numpy().reshape(-1, len(channels))
    draws = np.asarray(optimum, float)
    if draws.ndim != 2 or len(draws) < 2 or draws.shape[1] != len(channels or ()):
        got = Phrase(f"shape {draws.shape}, {len(channels or ())} channels")
        fail("optimum", got, "", "two or more draws of every channel, (draw, channel)",
             "an array with a coordinate channel, or channels=[...]")  # fmt: skip
    pairs = zip(channels or (), draws.T, strict=True)
    return [Spread(str(n), x, *map(float, metrics.hdi(x, 0.94))) for n, x in pairs]


def best_splits(
    optimum: Any,
    *,
    channels: Sequence[str] | None = None,
    plan: Mapping[str, float] | None = None,
    currency: str = "",
    per: str = "over the window",
    colours: Mapping[str, str] | None = None,
    width: float = 5.4,
    ax: Axes | None = None,
) -> Figure:
    """Spend that would be best in each posterior draw, beside what the plan spends.

    Where a violin is wide the data do not settle how much a channel should get.

    Args:
        optimum: Best spend by draw, money, (draw, channel): ``allocation`` of
            ``mm.knowledge(fit)``, summed over geos here; or an array and ``channels``.
        channels: Names of the columns of an array.
        plan: Channel -> money of the plan, marked.
        currency: Label of money.
        per: What the money is for.
        colours: Channel -> colour; None: by the order here.
        width: Inches.
        ax: Axes to draw on; None makes a figure.
    """
    found = spreads_of(optimum, channels)
    widest = max(found, key=lambda one: one.hi - one.lo)
    best = f"{span(widest.hi, widest.lo, widest.hi)} {currency}".rstrip()
    title = f"{widest.name} is the least settled: best at {best}"
    if widest.hi - widest.lo <= 1e-9 * max(abs(widest.hi), 1e-300):
        title = "Every draw has the same best split"
    drawn = c.canvas(width, 1.5 + 0.5 * len(found), title, ax)
    ax = drawn.ax
    c.dress(ax, f"{c.with_unit('best spend', currency)} {per}", grid="x")
    names = [one.name for one in found]
    for row, (one, colour) in enumerate(
        zip(found, c.colours_of(names, colours), strict=True)
    ):
        _violin(ax, row, one, colour)
    marked = plan or {}
    for row, name in enumerate(names):
        if name in marked:
            ax.plot(marked[name], row, "D", color=c.INK, mec="white", ms=7, zorder=6)
    ax.set_xlim(left=0.0)
    notes = [("middle 94%", [" to ".join(c.amounts([x.lo, x.hi])) for x in found])]
    c.rows_on(drawn, names, notes)
    c.legend_below(drawn, [
        Patch(color=c.MODEL, alpha=0.5, label="best spend over draws"),
        Line2D([], [], color=c.INK, lw=2, label="94% interval"),
        *([Line2D([], [], color=c.INK, marker="D", ls="", mec="white", ms=7, label="plan")]
          if marked else []),
    ], gap=42.0)  # fmt: skip
    return drawn.figure


def _violin(ax: Axes, row: int, one: Spread, colour: str) -> None:
    """Density above and below the row, cut where the draws end."""
    if np.ptp(one.draws) > 1e-9 * max(abs(float(one.draws.max())), 1e-300):
        density = density_of(one.draws).inside(one.draws.min(), one.draws.max())
        half = WIDEST * density.height / (float(density.height.max()) or 1.0)
        ax.fill_between(density.at, row - half, row + half, color=colour, alpha=0.5, lw=0)
    ax.plot([one.lo, one.hi], [row, row], color=c.INK, lw=2, solid_capstyle="butt")


def value_of_knowing(
    worth: Any,
    *,
    error: Any = None,
    total: float | None = None,
    outcome: str = "outcome",
    colours: Mapping[str, str] | None = None,
    width: float = 5.4,
    ax: Axes | None = None,
) -> Figure:
    """What knowing the effect of each channel exactly would add to the best plan.

    Args:
        worth: Channel -> expected gain, outcome units: ``channel_value`` of
            ``mm.knowledge(fit)``, or a mapping.
        error: Channel -> Monte Carlo standard error, drawn as two of them either way.
        total: The same of knowing everything, ``evpi``; said under the title.
        outcome: Name of the outcome, with its unit if it has one.
        colours: Channel -> colour; None: by the order here.
        width: Inches.
        ax: Axes to draw on; None makes a figure.
    """
    worth, doubt = _by_channel(worth), _by_channel(error)
    paint = c.colours_of(list(worth), colours)
    rows = sorted(
        zip(worth, worth.values(), paint, strict=True),
        key=lambda row: -np.nan_to_num(row[1]),
    )
    if not rows:
        fail("worth", Phrase("no channel"), "", "{channel: expected gain}", "")
    names, values = [row[0] for row in rows], np.array([row[1] for row in rows])
    title = f"Learning about {names[0]} is worth most: {large(values[0])} {outcome}"
    if values[0] <= 0:
        title = "Knowing more would not change the plan"
    drawn = c.canvas(width, 1.2 + 0.36 * len(rows), title, ax)
    ax = drawn.ax
    c.dress(ax, f"expected {outcome} more", grid="x")
    ax.barh(range(len(rows)), values, 0.62, color=[row[2] for row in rows])
    spread = np.array([2 * doubt.get(name, 0.0) for name in names])
    if spread.any():
        ax.errorbar(values, range(len(rows)), xerr=spread, fmt="none", ecolor=c.INK,
                    elinewidth=1.2, capsize=2)  # fmt: skip
    ax.set_xlim(left=min(0.0, float(np.nanmin(values))))
    c.rows_on(drawn, names, [("worth", c.amounts(values))])
    if total is not None:
        c.say(drawn, f"Knowing everything: {large(total)} {outcome}. No experiment brings "
              "more than that.")  # fmt: skip
    return drawn.figure


def _by_channel(values: Any) -> dict[str, float]:
    if isinstance(values, xr.DataArray):
        names = [str(name) for name in values["channel"].to_numpy()]
        return dict(zip(names, map(float, values.to_numpy().ravel()), strict=True))
    return {str(name): float(value) for name, value in (values or {}).items()}
