"""Pictures that compare plans: what they bring, at what risk, and at which budget."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from mmmjax import metrics
from mmmjax.checks import Phrase, fail
from mmmjax.plot import canvas as c
from mmmjax.plot.arrays import Density, density_of
from mmmjax.plot.labels import large

__all__ = ["frontier", "mean_and_risk", "plan_responses"]

Draws = xr.DataArray | Mapping[str, Any]
"""Draws of the response by plan: ``Plan.response``, (plan, draw), or {name: draws}."""

REFERENCE, OPTIMIZED = "reference", "optimized"
RISK = 0.05  # the risk of a plan is its mean less this quantile
SHADES = (c.MODEL, "#D55E00", "#009E73", "#882255", "#56B4E9", "#E69F00", "#332288")


class Brings(NamedTuple):
    """What one plan brings, outcome units."""

    name: str
    draws: np.ndarray
    density: Density

    @property
    def mean(self) -> float:
        """Posterior mean."""
        return float(self.draws.mean())

    @property
    def risk(self) -> float:
        """How far the mean is above what is exceeded in 95% of the draws."""
        return self.mean - float(np.quantile(self.draws, RISK))


def brings_of(response: Draws) -> list[Brings]:
    """Every plan's draws and density."""
    if isinstance(response, xr.DataArray):
        names = [str(name) for name in response["plan"].to_numpy()]
        each = response.transpose("plan", ...).to_numpy().reshape(len(names), -1)
        response = dict(zip(names, each, strict=True))
    found = []
    for name, values in response.items():
        draws = np.ravel(np.asarray(values, float))
        draws = draws[np.isfinite(draws)]
        if draws.size < 2:
            got = Phrase(f'{draws.size} finite draws of "{name}"')
            fail("response", got, "", "two or more", "Plan.response")
        found.append(Brings(str(name), draws, density_of(draws)))
    if not found:
        fail("response", Phrase("no plan"), "", "Plan.response, or {name: draws}", "")
    return found


def _label(name: str) -> str:
    return "plan" if name == OPTIMIZED else c.shorten(name)


def _paint(found: Sequence[Brings]) -> list[str]:
    """The reference is grey."""
    shades = iter(SHADES * (1 + len(found) // len(SHADES)))
    return ["#8a94a3" if one.name == REFERENCE else next(shades) for one in found]


def plan_responses(
    response: Draws,
    *,
    outcome: str = "outcome",
    width: float = 5.4,
    ax: Axes | None = None,
) -> Figure:
    """Distribution of what plans bring over the window, with means; best of a few.

    Args:
        response: ``Plan.response``, (plan, draw), or {name: draws}; outcome units. With
            more than two, the first is what the others are compared with.
        outcome: Name of the outcome, with its unit if it has one.
        width: Inches.
        ax: Axes to draw on; None makes a figure.
    """
    found = brings_of(response)
    drawn = c.canvas(width, 3.3, _finding(found, outcome), ax)
    ax = drawn.ax
    c.dress(ax, f"{outcome} over the window", grid="x")
    handles, top = [], max(float(one.density.height.max()) for one in found)
    alpha = 0.22 if len(found) <= 3 else 0.06  # more areas over each other are mud
    for one, colour in zip(found, _paint(found), strict=True):
        ax.fill_between(*one.density, color=colour, alpha=alpha, lw=0)
        ax.plot(*one.density, color=colour, lw=1.8)
        height = float(np.interp(one.mean, *one.density))
        ax.plot([one.mean] * 2, [0.0, height], color=colour, lw=1.4, ls="--")
        ax.plot(one.mean, 0.0, "o", color=colour, ms=5, clip_on=False, zorder=5)
        handles.append(Patch(
            color=colour, alpha=0.7, label=f"{_label(one.name)}: mean {large(one.mean)}"
        ))  # fmt: skip
    ax.set_ylim(0.0, 1.08 * top)
    ax.set_yticks([])
    c.numbers_on(ax.xaxis, most=6, room=drawn.width - 0.5)
    if len(found) == 2:
        c.say(drawn, _difference(found, outcome))
    c.legend_below(drawn, handles, gap=42.0)
    return drawn.figure


def _paired(found: Sequence[Brings]) -> bool:
    """Whether the draws of two plans belong together, one by one."""
    return found[0].draws.size == found[1].draws.size


def _finding(found: Sequence[Brings], outcome: str) -> str:
    if len(found) == 1:
        return f"{c.capital(_label(found[0].name))} brings {large(found[0].mean)} {outcome}"
    if len(found) > 2:
        best = max(found, key=lambda one: one.mean)
        return f"{c.capital(_label(best.name))} brings the most {outcome} on average"
    before, after = found
    gain = after.mean - before.mean
    word = "more" if gain >= 0 else "less"
    text = f"The {_label(after.name)} brings {large(abs(gain))} {outcome} {word} than the "
    return f"{text}{_label(before.name)}"


def _difference(found: Sequence[Brings], outcome: str) -> str:
    """How sure the difference of two plans is, draw by draw."""
    if not _paired(found):
        return ""
    gain = found[1].draws - found[0].draws
    lo, hi = (float(x) for x in metrics.hdi(gain, 0.94))
    size = max(abs(lo), abs(hi), abs(float(gain.mean())))
    unit, word = next(((u, w) for u, w in ((1e9, " billion"), (1e6, " million"))
                       if size >= u), (1.0, ""))  # fmt: skip
    ends = c.amounts([lo / unit, hi / unit])
    better = float((gain > 0).mean())
    sure = (
        "over 99%" if better > 0.995 else "under 1%" if better < 0.005 else f"{better:.0%}"
    )
    return (
        f"94% interval of the difference {ends[0]} to {ends[1]}{word} {outcome}; more with "
        f"probability {sure}"
    )


def mean_and_risk(
    response: Draws,
    *,
    outcome: str = "outcome",
    width: float = 5.4,
    ax: Axes | None = None,
) -> Figure:
    """Plans by what they bring on average and how far a bad case falls short of it.

    A bad case is the response that is exceeded with probability 95%.

    Args:
        response: As for :func:`plan_responses`.
        outcome: Name of the outcome, with its unit if it has one.
        width: Inches.
        ax: Axes to draw on; None makes a figure.
    """
    found = brings_of(response)
    most, safe = (max(found, key=key) for key in (lambda x: x.mean, lambda x: -x.risk))
    title = f'"{_label(most.name)}" brings the most, at the least risk too'
    if most is not safe:
        cost, less = 1 - safe.mean / most.mean, 1 - safe.risk / most.risk
        title = f'"{_label(safe.name)}" brings {cost:.1%} less than "{_label(most.name)}" '
        title += f"on average, at {less:.0%} less risk"
    drawn = c.canvas(width, 3.5, title, ax)
    ax = drawn.ax
    c.dress(ax, f"risk: mean less the 5% quantile ({outcome})", f"mean {outcome}", "both")
    risks, means = (np.array([getattr(x, k) for x in found]) for k in ("risk", "mean"))
    for axis, values in ((ax.set_xlim, risks), (ax.set_ylim, means)):
        room = float(np.ptp(values)) or 0.1 * abs(float(values[0])) or 1.0
        axis(float(values.min()) - 0.2 * room, float(values.max()) + 0.2 * room)
    middle = float(np.mean(ax.get_xlim()))
    heights = _apart(means, 0.075 * float(np.ptp(ax.get_ylim())))
    for one, height, colour in zip(found, heights, _paint(found), strict=True):
        ax.plot(one.risk, one.mean, "o", color=colour, ms=9, mec="white", zorder=4)
        right = one.risk <= middle
        ax.annotate(
            c.plain(_label(one.name)), (one.risk, height), (9 if right else -9, 0),
            textcoords="offset points", ha="left" if right else "right", va="center",
            fontsize=c.SMALL, color=c.INK,
        )  # fmt: skip
    c.numbers_on(ax.xaxis, most=5, room=drawn.width - 1.2)
    c.numbers_on(ax.yaxis, most=5)
    return drawn.figure


def _apart(heights: np.ndarray, least: float) -> np.ndarray:
    """Heights of labels, moved up until no two are closer than `least`."""
    out, last = heights.astype(float).copy(), -np.inf
    for i in np.argsort(heights, kind="stable"):
        out[i] = last = max(out[i], last + least)
    return out


COLUMNS = ("budget", "response_mean", "response_lo", "response_hi")


def frontier(
    found: xr.Dataset | pd.DataFrame,
    *,
    marks: Mapping[str, tuple[float, float]] | None = None,
    outcome: str = "outcome",
    currency: str = "",
    per: str = "over the window",
    width: float = 5.4,
    ax: Axes | None = None,
) -> Figure:
    """What the best plan of every budget brings, with its interval.

    Args:
        found: Result of ``mm.frontier(fit, budgets)``, or a table with the columns of
            frontier.csv.
        marks: Plans to mark, name -> (money, mean response); "reference" is hollow.
        outcome: Name of the outcome, with its unit if it has one.
        currency: Label of money.
        per: What the money is for: "over the window" or "a week".
        width: Inches.
        ax: Axes to draw on; None makes a figure.
    """
    lacking = [name for name in COLUMNS if name not in found]
    if lacking:
        got = Phrase(f"no {', '.join(lacking)}")
        fail("found", got, "", "mm.frontier(fit, budgets), or frontier.csv", "")
    budget, mean, lo, hi = (np.asarray(found[n], float).ravel() for n in COLUMNS)
    drawn = c.canvas(width, 3.6, _growth(budget, mean, outcome), ax)
    ax = drawn.ax
    c.dress(ax, f"{c.with_unit('budget', currency)} {per}", outcome, "both")
    ax.fill_between(budget, lo, hi, color=c.MODEL, alpha=0.18, lw=0)
    ax.plot(budget, mean, color=c.MODEL, lw=2)
    dots = {"color": c.MODEL, "ms": 4, "mec": "white", "mew": 0.6}
    ax.plot(budget, mean, "o", **dots)
    handles: list[Any] = [
        Line2D([], [], color=c.MODEL, lw=2, marker="o", ms=4, label="best plan (mean)"),
        Patch(color=c.MODEL, alpha=0.18, lw=0, label="94% interval"),
    ]
    for name, place in (marks or {}).items():
        hollow = name == REFERENCE
        look: Any = {"marker": "D", "ms": 8, "ls": "", "mec": c.INK if hollow else "white",
                     "mfc": "white" if hollow else c.INK}  # fmt: skip
        ax.plot(*place, zorder=5, **look)
        handles.append(Line2D([], [], label=c.plain(_label(name)), **look))
    room = 0.04 * (float(np.ptp(budget)) or 1.0)
    ends = [x for x, _ in (marks or {}).values()]
    ax.set_xlim(min(budget.min(), *ends, np.inf) - room,
                max(budget.max(), *ends, -np.inf) + room)  # fmt: skip
    if lo.min() < 0.5 * hi.max():
        ax.set_ylim(bottom=min(0.0, float(lo.min())))
    if "shadow_price" in found:
        c.say(
            drawn, _prices(np.ravel(np.asarray(found["shadow_price"])), outcome, currency)
        )
    c.numbers_on(ax.xaxis, most=5, room=drawn.width - 1.2)
    c.numbers_on(ax.yaxis, most=5)
    c.legend_below(drawn, handles, gap=42.0)
    return drawn.figure


def _growth(budget: np.ndarray, mean: np.ndarray, outcome: str) -> str:
    first, last = int(budget.argmin()), int(budget.argmax())
    if not (mean[first] > 0 and budget[first] > 0):
        return c.capital(f"{outcome} of the best plan at every budget")
    money, more = budget[last] / budget[first], mean[last] / mean[first]
    return f"{money:.3g} times the budget brings {more:.3g} times the {outcome} of media"


def _prices(price: np.ndarray, outcome: str, currency: str) -> str:
    """What the next money brings at both ends."""
    known = np.flatnonzero(np.isfinite(price))
    if not known.size:
        return ""
    low, high = (c.amount(float(price[i])) for i in (known[0], known[-1]))
    return f"The next {currency or 'unit of money'} brings {low} {outcome} at the lowest " \
           f"budget and {high} at the highest"  # fmt: skip
