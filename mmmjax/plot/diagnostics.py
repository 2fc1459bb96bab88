"""Pictures of the draws themselves and of what the model leaves over.

Sources: Vehtari et al. (2021), "Rank-normalization, folding, and localization: An improved
R-hat", for rank plots; Betancourt (2016), "Diagnosing suboptimal cotangent disintegrations
with the energy Bayesian fraction of missing information", for the energy plot.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from scipy.stats import binom, rankdata

from mmmjax.checks import Phrase, fail
from mmmjax.draws import MIN_BFMI, bfmi
from mmmjax.plot import canvas as c
from mmmjax.plot.arrays import Density, density_of, one_geo, scalars

__all__ = ["energy", "ranks", "residuals", "trace"]

CHAINS = ("#2b4257", "#7a9cb8", "#a68a64", "#b7c7d5", "#5f4b32", "#5b7f9e")
"""Colours of chains: not those of channels."""


def _chain_colours(number: int) -> list[str]:
    return [CHAINS[i % len(CHAINS)] for i in range(number)]


def _chain_legend(number: int) -> list[Any]:
    return [
        Line2D([], [], color=colour, lw=2, label=f"chain {i + 1}")
        for i, colour in enumerate(_chain_colours(number))
    ]


def trace(
    draws: Mapping[Any, Any],
    names: Sequence[str] | None = None,
    *,
    diverging: Any = None,
    width: float = 9.0,
) -> Figure:
    """Density of every chain, and its draws in order, with the divergences marked.

    Args:
        draws: Parameter -> array (chain, draw, ...): ``fit.draws.params``, or
            ``fit.to_arviz()["posterior"]`` for names of channels instead of numbers.
        names: Parameters, or labels such as "saturation_beta[TV]"; None: all (at most 30).
        diverging: Whether each transition diverged, (chain, draw):
            ``fit.draws.stats["diverging"]``. They are marked under the trace.
        width: Inches.
    """
    chosen = scalars(draws, names)
    first = next(iter(chosen.values()))
    bad = np.zeros(first.shape, bool) if diverging is None else np.asarray(diverging, bool)
    n_chains, n_draws = first.shape
    title = f"Draws of {n_chains} chains: density, and trace in the order of sampling"
    figure = c.blank(width, 0.9 + 1.25 * max(len(chosen), 1), title)
    figure.get_layout_engine().set(hspace=0.05)  # type: ignore[union-attr]
    ratios = [1.0, 1.2 if width < c.NARROW else 2.0]
    cells = figure.subplots(max(len(chosen), 1), 2, squeeze=False, width_ratios=ratios)
    for row, ((label, values), (left, right)) in enumerate(
        zip(chosen.items(), cells, strict=True)
    ):
        for ax in (left, right):
            c.dress(ax, grid="x" if ax is left else "y")
        for chain, colour in zip(values, _chain_colours(n_chains), strict=True):
            left.plot(*density_of(chain), color=colour, lw=1.2)
            right.plot(chain, color=colour, lw=0.5, alpha=0.8)
        left.set_ylim(bottom=0.0)
        left.set_yticks([])
        c.name_cell(left, label)
        c.numbers_on(left.xaxis, most=4, room=width / sum(ratios) - 0.4)
        c.numbers_on(right.yaxis, most=4)
        right.set_xlim(0, max(n_draws - 1, 1))
        if bad.any():
            at = np.nonzero(bad)[1]
            right.plot(at, np.zeros(at.size), "|", color=c.APART, ms=9, mew=1.2, zorder=4,
                       transform=right.get_xaxis_transform(), clip_on=False)  # fmt: skip
        c.numbers_on(right.xaxis, most=5)
        if row < len(chosen) - 1:
            right.tick_params(labelbottom=False)
    cells[-1, 1].set_xlabel("draw", fontsize=c.SMALL, color=c.MUTED)
    handles = _chain_legend(n_chains)
    if bad.any():
        label = f"divergence ({int(bad.sum())} of {bad.size:,} transitions)"
        handles.append(
            Line2D([], [], ls="", marker="|", ms=9, mew=1.4, color=c.APART, label=label)
        )
    c.legend_under(figure, handles)
    return figure


class Ranks(NamedTuple):
    """How often the draws of each chain fall into each bin of pooled ranks."""

    edges: np.ndarray  # (bin + 1,), ranks
    counts: np.ndarray  # (chain, bin)
    expected: float
    lo: float  # 94% of the counts of independent draws lie within
    hi: float


def ranks_of(values: np.ndarray, bins: int = 20) -> Ranks:
    """Histogram of the ranks of (chain, draw) among all draws; ties share a rank.

    Chains that explore the same distribution have every rank equally often: as many
    draws in each bin, up to binomial noise (more of it where draws are correlated).
    """
    n_draws = values.shape[1]
    bins = max(1, min(bins, n_draws))
    rank = np.reshape(rankdata(values), values.shape) - 0.5  # within [0, n]
    edges = np.linspace(0.0, values.size, bins + 1)
    counts = np.stack([np.histogram(chain, edges)[0] for chain in rank])
    lo, hi = binom.ppf([0.03, 0.97], n_draws, 1 / bins)
    return Ranks(edges, counts, n_draws / bins, float(lo), float(hi))


def ranks(
    draws: Mapping[Any, Any],
    names: Sequence[str] | None = None,
    *,
    bins: int = 20,
    width: float = 9.0,
) -> Figure:
    """Rank plots: each chain's draws ranked among those of all chains.

    Lines that stay within the band are chains that explore the same distribution. A slope
    is a shift between chains, a bow a difference in spread.

    Args:
        draws: As in :func:`trace`.
        names: Parameters, or labels such as "saturation_beta[TV]"; None: all (at most 30).
        bins: Bins of ranks.
        width: Inches.
    """
    chosen = scalars(draws, names)
    title = "Ranks of the draws of each chain among those of all chains"
    figure, cells = c.grid(len(chosen), width, 1.55, title)
    n_chains = next(iter(chosen.values())).shape[0]
    for ax, (label, values) in zip(cells, chosen.items(), strict=True):
        found = ranks_of(values, bins)
        c.dress(ax)
        ax.axhspan(found.lo, found.hi, color=c.GOOD, zorder=0, lw=0)
        ax.axhline(found.expected, color=c.MUTED, lw=0.8, ls="--")
        for counts, colour in zip(found.counts, _chain_colours(n_chains), strict=True):
            ax.stairs(counts, found.edges, color=colour, lw=1.3, baseline=None)
        ax.set_xlim(found.edges[0], found.edges[-1])
        ax.set_ylim(0.0, max(2 * found.expected, 1.08 * found.counts.max()))
        c.name_cell(ax, label)
        c.numbers_on(ax.xaxis, most=3, room=2.0)
        c.numbers_on(ax.yaxis, most=3)
    c.label_lowest(cells, "rank among all draws")
    figure.supylabel("draws in a bin of ranks", fontsize=c.SMALL, color=c.MUTED)
    label = "where 94% of independent draws' counts lie"
    c.legend_under(figure, [*_chain_legend(n_chains), Patch(color=c.GOOD, label=label)])
    return figure


class Energy(NamedTuple):
    """Energies of a run about their mean, and their changes from draw to draw."""

    marginal: Density
    transition: Density
    bfmi: np.ndarray  # (chain,)


def energy_of(energy: Any) -> Energy:
    """Densities of energy and of its transitions, and the E-BFMI of every chain."""
    values = np.asarray(energy, float)
    if values.ndim != 2 or values.shape[1] < 3:
        got = Phrase(f"shape {values.shape}")
        fail("energy", got, "", "(chain, draw)", "mm.plot.energy(fit)")
    steps = np.diff(values, axis=1)
    return Energy(density_of(values - values.mean()), density_of(steps), bfmi(values))


def energy(energy: Any, *, width: float = 5.4, ax: Axes | None = None) -> Figure:
    """Marginal energy against energy transitions: similar where the sampler moves freely.

    Args:
        energy: Energy of every draw, (chain, draw): ``fit.draws.stats["energy"]``.
        width: Inches.
        ax: Axes to draw on; None makes a figure.
    """
    found = energy_of(energy)
    drawn = c.canvas(width, 3.4, "Energy of the sampler: distribution and transitions", ax)
    ax = drawn.ax
    c.dress(ax, "energy about its mean, and its change from draw to draw", grid="x")
    kinds = ((found.marginal, c.MODEL, 0.25), (found.transition, CHAINS[2], 0.25))
    for density, colour, alpha in kinds:
        ax.fill_between(*density, color=colour, alpha=alpha, lw=0)
        ax.plot(*density, color=colour, lw=1.8)
    ax.set_yticks([])
    ax.set_ylim(bottom=0.0)
    c.numbers_on(ax.xaxis, most=6, room=drawn.width - 0.5)
    said = ", ".join(f"{value:.2f}" for value in found.bfmi)
    c.say(drawn, f"E-BFMI of the chains: {said} ({MIN_BFMI} or more is wanted)")
    labels = ("energy", "transitions of the energy")
    c.legend_below(drawn, [
        Line2D([], [], color=colour, lw=2, label=label)
        for (_, colour, _), label in zip(kinds, labels, strict=True)
    ], gap=42.0)  # fmt: skip
    return drawn.figure


class Residuals(NamedTuple):
    """Residuals over time (time,) and their autocorrelation from lag 1 on (lag,)."""

    dates: np.ndarray
    values: np.ndarray  # original units
    lag: np.ndarray
    correlation: np.ndarray
    bound: float
    outside: np.ndarray  # (lag,), beyond the bound


def residuals_of(found: xr.Dataset, geo: str | None = None) -> Residuals:
    """One geo of the result of ``mm.residuals``."""
    one = one_geo(found, geo)
    later = one.sel(lag=one["lag"] > 0)
    correlation, bound = later["autocorrelation"].to_numpy(), float(one["bound"])
    return Residuals(
        one["date"].to_numpy(), one["residual"].to_numpy(), later["lag"].to_numpy(),
        correlation, bound, np.abs(correlation) > bound,
    )  # fmt: skip


def residuals(
    found: xr.Dataset,
    *,
    geo: str | None = None,
    outcome: str = "outcome",
    period: str = "period",
    width: float = 9.0,
) -> Figure:
    """What the model leaves over, over time, and how long such errors last.

    Args:
        found: Result of ``mm.residuals(fit)``; of several geos with ``total=True``.
        geo: The geo drawn, where there are several.
        outcome: Name of the outcome, with its unit if it has one.
        period: Word for one period, such as "week".
        width: Inches.
    """
    one, narrow = residuals_of(found, geo), width < c.NARROW
    height = 5.4 if narrow else 3.4
    figure = c.blank(width, height, c.capital(f"{outcome}: observed minus predicted"))
    over, lasting = (
        figure.subplots(2, 1) if narrow else figure.subplots(1, 2, width_ratios=[1.9, 1])
    )
    c.dress(over, y=outcome)
    c.name_cell(over, "over time")
    over.axhline(0.0, color=c.MUTED, lw=1)
    over.vlines(one.dates, 0.0, one.values, color=c.MODEL, lw=1.2, alpha=0.7)
    over.plot(one.dates, one.values, ".", color=c.MODEL, ms=4)
    c.dates_on(c.Canvas(figure, over, False), one.dates[0], one.dates[-1])
    c.numbers_on(over.yaxis)
    _draw_correlation(lasting, one, period)
    handles: list[Any] = [
        Patch(color=c.GOOD, label="where 95% of the lags of independent errors lie")
    ]
    if one.outside.any():
        label = f"beyond it: {int(one.outside.sum())} of {one.lag.size} lags"
        handles.append(Line2D([], [], color=c.APART, marker="o", ms=4, lw=2, label=label))
    c.legend_under(figure, handles)
    return figure


def _draw_correlation(ax: Axes, one: Residuals, period: str) -> None:
    c.dress(ax, f"lag, {period}s", "autocorrelation")
    c.name_cell(ax, "how long they last")
    ax.axhspan(-one.bound, one.bound, color=c.GOOD, zorder=0, lw=0)
    ax.axhline(0.0, color=c.MUTED, lw=1)
    paint = np.where(one.outside, c.APART, c.MODEL).tolist()
    ax.vlines(one.lag, 0.0, one.correlation, color=paint, lw=2)
    ax.scatter(one.lag, one.correlation, s=14, color=paint, zorder=3)
    known = np.abs(one.correlation[np.isfinite(one.correlation)])
    limit = max(1.15 * float(known.max(initial=0.0)), 0.3)
    ax.set_ylim(-limit, limit)
    ax.set_xlim(0, float(one.lag.max(initial=0)) + 1)
    c.numbers_on(ax.xaxis, most=6)
    c.numbers_on(ax.yaxis, most=5)
