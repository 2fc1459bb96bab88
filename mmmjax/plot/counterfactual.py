"""Pictures of what other media would have changed."""

from typing import Any, NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from mmmjax import metrics
from mmmjax.checks import Phrase, fail
from mmmjax.plot import canvas as c
from mmmjax.plot.arrays import Density, density_of

__all__ = ["uplift"]


class Uplift(NamedTuple):
    """Distribution of a difference between two plans."""

    density: Density
    mean: float
    lo: float
    hi: float
    probability: float  # of a difference above 0


def uplift_of(draws: Any, prob: float = 0.94) -> Uplift:
    """Density, mean, highest density interval and probability of being above 0."""
    values = np.ravel(np.asarray(draws, float))
    values = values[np.isfinite(values)]
    if values.size < 2:
        fail("draws", Phrase(f"{values.size} finite draws"), "", "two or more",
             "counterfactual(fit, panel).uplift_outcome")  # fmt: skip
    lo, hi = (float(x) for x in metrics.hdi(values, prob))
    above = float((values > 0).mean())
    return Uplift(density_of(values), float(values.mean()), lo, hi, above)


def uplift(
    draws: Any,
    *,
    of: str = "the outcome",
    plan: str = "the changed media",
    percent: bool = True,
    unit: str = "",
    prob: float = 0.94,
    width: float = 5.4,
    ax: Axes | None = None,
) -> Figure:
    """Distribution of what changed media bring, its mean, interval and probability.

    Args:
        draws: Draws of the uplift, any shape: ``uplift_outcome`` or
            ``uplift_contribution`` of ``mm.counterfactual(fit, panel)``, or its
            differences with ``percent=False``.
        of: What the uplift is of, for the title: "sales".
        plan: What it is compared with today, for the title.
        percent: Draws are relative: 0.1 is written 10%.
        unit: Unit of absolute draws, for the axis.
        prob: Probability inside the interval.
        width: Inches.
        ax: Axes to draw on; None makes a figure.
    """
    found = uplift_of(draws, prob)
    drawn = c.canvas(width, 3.5, f"Uplift of {of} under {plan}", ax)
    ax, density = drawn.ax, found.density
    label = f"change of {of} against the actual media"
    c.dress(ax, label if percent else c.with_unit(label, unit), grid="x")
    for part, colour in ((density.inside(-np.inf, 0.0), c.REST),
                         (density.inside(0.0, np.inf), c.MODEL)):  # fmt: skip
        ax.fill_between(*part, color=colour, alpha=0.55, lw=0)
    ax.plot(*density, color=c.MODEL, lw=1.6)
    top = float(density.height.max(initial=0.0)) or 1.0
    ax.axvline(0.0, color=c.MUTED, lw=1)
    ax.plot([found.mean] * 2, [0.0, 1.04 * top], color=c.INK, lw=1.4, ls="--")
    ax.plot([found.lo, found.hi], [-0.05 * top] * 2, color=c.INK, lw=3,
            solid_capstyle="butt")  # fmt: skip
    ax.set_ylim(-0.1 * top, 1.1 * top)
    ax.set_yticks([])
    c.numbers_on(ax.xaxis, percent, 6, drawn.width - 0.5)
    mean, lo, hi = _texts(found, percent)
    c.say(drawn, f"Mean {mean}, {prob:.0%} interval {lo} to {hi}; "
          f"probability of an uplift {_probability(found.probability)}")  # fmt: skip
    handles: list[Any] = [
        Line2D([], [], color=c.INK, lw=1.4, ls="--", label="mean"),
        Line2D([], [], color=c.INK, lw=3, label=f"{prob:.0%} interval"),
        Patch(color=c.MODEL, alpha=0.55, lw=0, label="gain"),
        Patch(color=c.REST, alpha=0.55, lw=0, label="loss"),
    ]
    c.legend_below(drawn, handles, gap=42.0)
    return drawn.figure


def _texts(found: Uplift, percent: bool) -> list[str]:
    numbers = (found.mean, found.lo, found.hi)
    if percent:
        return [f"{x:+.1%}" for x in numbers]
    return [f"{'+' if x > 0 else ''}{text}"
            for x, text in zip(numbers, c.amounts(numbers), strict=True)]  # fmt: skip


def _probability(p: float) -> str:
    """A share of draws; never certain where it is not."""
    if 0.0 < p < 0.01:
        return "below 1%"
    return "above 99%" if 0.99 < p < 1.0 else f"{p:.0%}"
