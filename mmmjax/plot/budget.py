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
    sums = plan.groupby("channel", sort=False)[columns].sum()
    return Allocation([str(n) for n in sums.index], *sums.to_numpy(float).T)


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
    figure, ax = c.canvas(width, 1.5 + 0.46 * max(len(rows), 1), ax)
    c.dress(ax, "What to spend: reference and optimised", grid="x",
            x=f"{c.with_unit('spend', currency)} {per}")  # fmt: skip
    ax.barh(rows - 0.2, found.reference, 0.34, color=c.REST)
    ax.barh(rows + 0.2, found.optimized, 0.34, color=paint)
    upper = np.where(np.isfinite(found.upper), found.upper, found.optimized)
    ax.hlines(rows + 0.2, found.lower, upper, color=c.INK, lw=1)
    for ends in (found.lower, upper):
        ax.plot(ends, rows + 0.2, "|", color=c.INK, ms=8)
    notes = [f"{c.amount(s)}  {'' if np.isnan(g) else f'{g:+.0%}'}"
             for s, g in zip(found.optimized, found.change, strict=True)]  # fmt: skip
    ax.set_xlim(left=0.0)
    c.numbers_on(ax.xaxis, most=4)
    c.rows_on(ax, found.channels, notes, "optimised")
    c.legend_below(ax, [
        Patch(color=c.REST, label="reference"),
        Patch(color=c.MODEL, label="optimised (channel's colour)"),
        Line2D([], [], color=c.INK, marker="|", lw=1, label="allowed range"),
    ], gap=42.0)  # fmt: skip
    return figure
