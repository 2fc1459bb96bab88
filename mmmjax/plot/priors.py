"""Pictures of what was assumed and what the data added to it."""

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
from mmmjax.plot import canvas as c
from mmmjax.plot.arrays import Density, contraction_of, density_of, scalars

__all__ = ["contraction", "distributions", "prior_posterior"]


class Learned(NamedTuple):
    """One parameter before and after the data."""

    prior: Density
    posterior: Density
    contraction: float
    lo: float  # what is drawn
    hi: float


def learned_of(prior: np.ndarray, posterior: np.ndarray) -> Learned:
    """Densities of prior and posterior draws, and the contraction between them.

    Drawn are all of the posterior and the middle 94% of the prior.
    """
    before, after = density_of(prior), density_of(posterior)
    middle = np.quantile(prior, [0.03, 0.97])
    lo, hi = min(middle[0], after.at[0]), max(middle[1], after.at[-1])
    contraction = contraction_of(prior, posterior)
    return Learned(before, after, contraction, float(lo), float(hi))


def prior_posterior(
    prior: Mapping[Any, Any],
    posterior: Mapping[Any, Any],
    names: Sequence[str] | None = None,
    *,
    colours: Mapping[str, str] | None = None,
    width: float = 9.0,
) -> Figure:
    """Density of each parameter under its prior and its posterior, with the contraction.

    Contraction is 1 - posterior variance / prior variance: 100% where the data said
    everything, 0% where they said nothing, negative where the posterior is the wider.

    Args:
        prior: Parameter -> prior draws (chain, draw, ...), such as
            ``mm.sample_prior(spec, panel).draws.params``, or the ``posterior`` group of its
            ``to_arviz()``, which names the channels.
        posterior: The same of the fit.
        names: Parameters, or labels such as "saturation_beta[TV]"; None: all (at most 30).
        colours: Channel -> colour, from ``channel_colours(all channels)``, for parameters
            that belong to a channel.
        width: Inches.
    """
    after = scalars(posterior, names)
    before = scalars(prior, list(after))
    figure, cells = c.grid(len(after), width, 1.6, "What the data added to the priors")
    known = colours or {}
    for ax, (label, values) in zip(cells, after.items(), strict=True):
        found = learned_of(before[label], values)
        channel = label.partition("[")[2].removesuffix("]")
        colour = known.get(channel, c.MODEL)
        c.dress(ax, grid="x")
        ax.fill_between(*found.prior, color=c.REST, alpha=0.7, lw=0)
        ax.plot(*found.prior, color=c.MUTED, lw=1)
        ax.fill_between(*found.posterior, color=colour, alpha=0.35, lw=0)
        ax.plot(*found.posterior, color=colour, lw=1.8)
        ax.set_xlim(found.lo, found.hi)
        ax.set_ylim(bottom=0.0)
        ax.set_yticks([])
        learned = "" if np.isnan(found.contraction) else f": {found.contraction:.0%}"
        c.name_cell(ax, c.shorten(label, 34) + learned, 44)
        c.numbers_on(ax.xaxis, most=4, room=2.2)
    c.legend_under(figure, [
        Patch(fc=c.REST, ec=c.MUTED, label="prior"),
        Patch(fc=c.MODEL, ec=c.MODEL, alpha=0.5, label="posterior"),
        Line2D([], [], ls="", label="percentage: contraction of the variance"),
    ])  # fmt: skip
    return figure


class Contraction(NamedTuple):
    """Contraction of every scalar, by parameter in the order of the table."""

    parameters: list[str]
    index: list[list[str]]  # labels of each parameter's cells
    values: list[np.ndarray]


def contractions_of(priors: pd.DataFrame) -> Contraction:
    """Contractions of priors.csv by parameter; those without one are left out."""
    rows = priors.loc[np.isfinite(priors["contraction"].to_numpy(float))]
    names = list(dict.fromkeys(rows["parameter"].astype(str)))
    each = [rows.loc[rows["parameter"].astype(str) == name] for name in names]
    index = [part["index"].fillna("").astype(str).tolist() for part in each]
    return Contraction(names, index, [p["contraction"].to_numpy(float) for p in each])


def contraction(
    priors: pd.DataFrame,
    *,
    colours: Mapping[str, str] | None = None,
    width: float = 5.4,
    ax: Axes | None = None,
) -> Figure:
    """How much the data narrowed every prior: a row a parameter, a dot a scalar.

    Values below -100% are drawn there.

    Args:
        priors: Table with the columns of priors.csv.
        colours: Channel -> colour, from ``channel_colours(all channels)``: dots of
            parameters that belong to a channel have its colour.
        width: Inches.
        ax: Axes to draw on; None makes a figure.
    """
    found, known = contractions_of(priors), colours or {}
    height = 1.5 + 0.42 * max(len(found.parameters), 1)
    drawn = c.canvas(width, height, "How much the data narrowed each prior", ax)
    ax = drawn.ax
    c.dress(ax, "contraction: 1 - posterior variance / prior variance", grid="x")
    lowest, seen = 0.0, []
    for row, (labels, values) in enumerate(zip(found.index, found.values, strict=True)):
        shown = np.maximum(values, -1.0)
        lowest = min(lowest, float(shown.min(initial=0.0)))
        shift = np.linspace(-0.22, 0.22, len(labels)) if len(labels) > 1 else [0.0]
        for x, y, label in zip(shown, shift, labels, strict=True):
            colour = known.get(label, c.MODEL)
            seen += [label] if label in known and label not in seen else []
            ax.plot(x, row + y, "o", color=colour, ms=5, alpha=0.85, mec="white", mew=0.4)
    ax.axvline(0.0, color=c.MUTED, lw=1)
    ax.set_xlim(min(1.05 * lowest, -0.03), 1.03)
    middle = [f"{np.median(v):.0%}" for v in found.values]
    c.rows_on(drawn, found.parameters, [("median", middle)], percent=True)
    dot: dict[str, Any] = {"ls": "", "marker": "o", "ms": 5}
    handles = [Line2D([], [], color=known[name], label=c.plain(c.shorten(name)), **dot)
               for name in seen]  # fmt: skip
    c.legend_below(drawn, [*handles, Line2D([], [], color=c.MODEL, label="other", **dot)],
                   gap=42.0)  # fmt: skip
    return drawn.figure


class Distribution(NamedTuple):
    """Draws of one quantity of one channel."""

    density: Density
    mean: float
    lo: float
    hi: float


def distribution_of(draws: Any, prob: float = 0.94) -> Distribution | None:
    """Density, mean and highest density interval; None where nothing is finite."""
    values = np.ravel(np.asarray(draws, float))
    values = values[np.isfinite(values)]
    if not values.size:
        return None
    lo, hi = (float(x) for x in metrics.hdi(values, prob))
    return Distribution(density_of(values), float(values.mean()), lo, hi)


def by_channel(draws: Mapping[str, Any] | xr.DataArray) -> dict[str, np.ndarray]:
    """Draws of every channel from a mapping, or from an array with a dimension channel."""
    if isinstance(draws, xr.DataArray):
        names = [str(name) for name in draws["channel"].to_numpy()]
        return {n: draws.sel(channel=n).to_numpy().ravel() for n in names}
    return {str(name): np.ravel(np.asarray(x, float)) for name, x in draws.items()}


def distributions(
    draws: Mapping[str, Any] | xr.DataArray,
    prior: Mapping[str, Any] | xr.DataArray | None = None,
    *,
    of: str = "ROAS",
    label: str = "",
    under: str = "the posterior",
    percent: bool = False,
    prob: float = 0.94,
    colours: Mapping[str, str] | None = None,
    width: float = 5.4,
    ax: Axes | None = None,
) -> Figure:
    """Distribution of one quantity of every channel: densities, means and intervals.

    For what the priors say of shares and returns, give draws of
    ``mm.sample_prior(spec, panel)``; ``prior=`` puts them behind those of a fit.

    Args:
        draws: Channel -> draws; or an array with a dimension channel, such as
            ``mm.roas(fit)["roas_total"]`` or
            ``mm.contributions(fit, total=True)["channel_share"]``. Channels without
            finite draws are left out.
        prior: The same under the prior, drawn grey behind.
        of: What is drawn, for the title.
        label: Of the x axis, with unit.
        under: What the draws are of, for the title: "the prior".
        percent: Write values as percentages.
        prob: Probability inside the interval.
        colours: Channel -> colour, from ``channel_colours(all channels)``.
        width: Inches.
        ax: Axes to draw on; None makes a figure.
    """
    every = {n: distribution_of(x, prob) for n, x in by_channel(draws).items()}
    found = {n: d for n, d in every.items() if d is not None}
    paint = c.channel_colours(list(every)) if colours is None else colours
    behind = {} if prior is None else by_channel(prior)
    before = {n: distribution_of(behind[n], prob) for n in found if n in behind}
    with_prior = " and the prior" if prior is not None else ""
    height = 1.3 + 0.5 * max(len(found), 1) + (0.25 if prior is not None else 0.0)
    drawn = c.canvas(width, height, f"{of} of each channel under {under}{with_prior}", ax)
    ax = drawn.ax
    c.dress(ax, label or of, grid="x")
    for row, (name, one) in enumerate(found.items()):
        if (old := before.get(name)) is not None:
            _half_violin(ax, row, old, c.REST, 0.6)
        colour = paint.get(name, c.REST)
        _half_violin(ax, row, one, colour, 0.4)
        ax.plot([one.lo, one.hi], [row + 0.06] * 2, color=colour, lw=2.4)
        ax.plot(one.mean, row + 0.06, "o", color=colour, ms=6)
    shown = [*found.values(), *(d for d in before.values() if d is not None)]
    top, low = max((d.hi for d in shown), default=1.0), min([0.0, *(d.lo for d in shown)])
    ax.set_xlim(low, top + 0.04 * (top - low))
    notes = _notes(list(found.values()), percent, prob)
    c.rows_on(drawn, list(found), notes, percent)
    if prior is not None:
        c.legend_below(drawn, [Patch(color=c.REST, label="prior"),
                               Patch(color=c.MODEL, alpha=0.5, label="posterior")],
                       gap=42.0)  # fmt: skip
    return drawn.figure


def _notes(
    found: Sequence[Distribution], percent: bool, prob: float
) -> list[tuple[str, list[str]]]:
    """Means and intervals as text."""
    numbers = np.array([(d.mean, d.lo, d.hi) for d in found]).reshape(-1, 3)
    texts = [f"{x:.1%}" for x in numbers.ravel()] if percent else c.amounts(numbers)
    rows = [texts[i : i + 3] for i in range(0, len(texts), 3)]
    means = [mean for mean, _, _ in rows]
    return [("mean", means), (f"{prob:.0%}", [f"{lo} to {hi}" for _, lo, hi in rows])]


def _half_violin(ax: Axes, row: int, one: Distribution, colour: str, alpha: float) -> None:
    """A density above its row, as high as the row allows."""
    part = one.density
    height = 0.62 * part.height / (part.height.max(initial=0.0) or 1.0)
    ax.fill_between(part.at, row, row - height, color=colour, alpha=alpha, lw=0)
