"""Pictures of plans: what to spend against what would be spent."""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from mmmjax.plot import canvas as c

__all__ = ["allocation"]


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
    drawn = c.canvas(width, height, "What to spend: reference and optimised", ax)
    ax = drawn.ax
    c.dress(ax, f"{c.with_unit('spend', currency)} {per}", grid="x")
    ax.barh(rows - 0.2, found.reference, 0.34, color=c.REST)
    ax.barh(rows + 0.2, found.optimized, 0.34, color=paint)
    upper = np.where(np.isfinite(found.upper), found.upper, found.optimized)
    ax.hlines(rows + 0.2, found.lower, upper, color=c.INK, lw=1)
    for ends in (found.lower, upper):
        ax.plot(ends, rows + 0.2, "|", color=c.INK, ms=8)
    change = ["" if np.isnan(x) else f"{x:+.0%}" for x in found.change]
    ax.set_xlim(left=0.0)
    c.rows_on(
        drawn,
        found.channels,
        [("optimised", c.amounts(found.optimized)), ("change", change)],
    )
    c.legend_below(drawn, [
        Patch(color=c.REST, label="reference"),
        Patch(color=c.MODEL, label="optimised (channel's colour)"),
        Line2D([], [], color=c.INK, marker="|", lw=1, label="allowed range"),
    ], gap=42.0)  # fmt: skip
    return drawn.figure
