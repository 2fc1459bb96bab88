"""What pooling did to the geos: a forest of a parameter by geo and channel."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from mmmjax.plot import canvas as c

__all__ = ["shrinkage"]

REACH = 1.5  # times the widest pooled interval: own ones are cut there


def shrinkage(
    table: pd.DataFrame,
    *,
    channel: str | None = None,
    most: int = 40,
    colours: Mapping[str, str] | None = None,
    width: float = 9.0,
) -> Figure:
    """Own, pooled and population estimate of every geo, a cell a channel.

    Geos are in the order of their own estimates. Intervals of own estimates that leave
    what the pooled ones span are cut.

    Args:
        table: With the columns of ``mm.tables.shrinkage``.
        channel: The one drawn; None: all.
        most: Geos drawn at most, evenly over the order.
        colours: Channel -> colour, from ``channel_colours(all channels)``.
        width: Inches.
    """
    rows = table if channel is None else table.loc[table["channel"] == channel]
    names = list(dict.fromkeys(rows["channel"].astype(str)))
    known = colours or {}
    geos = min(len(set(rows["geo"])), most)
    figure, cells = c.grid(
        len(names), width, 0.9 + 0.17 * geos, "What pooling did to each geo", least=2.9
    )
    for ax, name in zip(cells, names, strict=True):
        part = rows.loc[rows["channel"].astype(str) == name]
        part = part.assign(at=part["own"].fillna(part["pooled_mean"])).sort_values("at")
        keep = np.linspace(0, len(part) - 1, min(most, len(part))).round().astype(int)
        part = part.iloc[keep]
        y, colour = np.arange(len(part)), known.get(name, c.MODEL)
        c.dress(ax, "scaled units", grid="x")
        lo, hi = part["pooled_lo"].min(), part["pooled_hi"].max()
        middle = part.iloc[0]
        one = part["population_mean"].nunique() == 1
        if one:
            ax.axvspan(
                middle["population_lo"], middle["population_hi"], color=c.REST, alpha=0.5
            )
            ax.axvline(middle["population_mean"], color=c.INK, lw=1, ls=":")
        else:
            ax.plot(part["population_mean"], y, "|", color=c.INK, ms=6)
        room = (REACH - 1) * (hi - lo)
        left, right = lo - room if lo < 0 else max(0.0, lo - room), hi + room
        ends = part[["own_lo", "own_hi"]].clip(left, right)
        ax.hlines(y + 0.18, ends["own_lo"], ends["own_hi"], color=c.MUTED, lw=0.8)
        inside = part["own"].between(left, right)
        ax.plot(part["own"].where(inside), y + 0.18, "o", color=c.MUTED, ms=3, mfc="white")
        ax.hlines(y - 0.14, part["pooled_lo"], part["pooled_hi"], color=colour, lw=1.8)
        ax.plot(part["pooled_mean"], y - 0.14, "o", color=colour, ms=3.6)
        ax.set_yticks(y, [c.plain(c.shorten(str(g), 14)) for g in part["geo"]], fontsize=7)
        ax.set_xlim(left, right)
        ax.set_ylim(len(part) - 0.4, -0.6)
        c.name_cell(ax, name or str(part["parameter"].iloc[0]))
        c.numbers_on(ax.xaxis, most=4, room=2.0)
    dot: dict[str, Any] = {"marker": "o", "ms": 3.3}
    own = Line2D(
        [], [], color=c.MUTED, lw=0.8, mfc="white", label="the geo's own data", **dot
    )
    pooled = Line2D([], [], color=c.MODEL, lw=1.8, label="pooled", **dot)
    typical = Patch(fc=c.REST, alpha=0.5, label="typical value of the population")
    c.legend_under(figure, [own, pooled, typical])
    return figure
