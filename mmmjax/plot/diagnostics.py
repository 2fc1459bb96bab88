"""Pictures of the draws themselves and of what the model leaves over.

Sources: Vehtari et al. (2021), "Rank-normalization, folding, and localization: An improved
R-hat", for rank plots; Betancourt (2016), "Diagnosing suboptimal cotangent disintegrations
with the energy Bayesian fraction of missing information", for the energy plot.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import altair as alt
import numpy as np
import pandas as pd
import xarray as xr
from scipy.stats import binom, rankdata

from mmmjax import metrics
from mmmjax.checks import Phrase, fail
from mmmjax.draws import MIN_BFMI, bfmi
from mmmjax.plot import picture as p
from mmmjax.plot.arrays import density_of, one_geo, scalars
from mmmjax.plot.colours import APART, GOOD, MODEL
from mmmjax.plot.fit import bands, series
from mmmjax.words import in_percent

__all__ = ["energy", "ranks", "residuals", "trace"]

CHAINS = ("#2b4257", "#7a9cb8", "#a68a64", "#b7c7d5", "#5f4b32", "#5b7f9e")
"""Colours of chains: not those of channels."""
POINTS = 128  # of a density
MOST = 30_000  # draws in one picture; of more, every so many
LAGS = 26
RESIDUAL, OUTSIDE, AROUND = "residual", "outside the 94% interval", "94% interval"
PALE = "#eceff2"  # the interval


def _chains(draws: Mapping[str, np.ndarray]) -> dict[str, str]:
    """Colours of the chains."""
    number = next(iter(draws.values())).shape[0]
    return {f"chain {i + 1}": CHAINS[i % len(CHAINS)] for i in range(number)}


def trace(
    draws: Mapping[Any, Any],
    names: Sequence[str] | None = None,
    *,
    diverging: Any = None,
    width: int = p.WIDE,
) -> p.HConcat:
    """Density of every chain, and its draws in order, with the divergences marked.

    Of more than 30,000 draws every so many are drawn, which is said.

    Args:
        diverging: Whether each transition diverged, (chain, draw):
            ``fit.draws.stats["diverging"]``. They are marked under the trace.
    """
    chosen = scalars(draws, names)
    paint, shape = _chains(chosen), next(iter(chosen.values())).shape
    bad = np.zeros(shape, bool) if diverging is None else np.asarray(diverging, bool)
    step = -(-len(chosen) * bad.size // MOST)
    hills, lines = [], []
    for label, values in chosen.items():
        for chain, at, name in zip(values, bad, paint, strict=True):
            of = {"parameter": label, "chain": name}
            hills.append(pd.DataFrame(of | density_of(chain, POINTS)._asdict()))
            kept = np.flatnonzero((np.arange(shape[1]) % step == 0) | at)
            lines.append(
                pd.DataFrame(of | {"draw": kept, "value": chain[kept], "bad": at[kept]})
            )
    tables = pd.concat(hills, ignore_index=True), pd.concat(lines, ignore_index=True)
    colour = p.by("chain", paint)
    free: dict[str, Any] = {"zero": False, "nice": False}
    hill = (
        p.Chart()
        .mark_line(strokeWidth=1.3)
        .encode(
            x=p.across("at", ticks=4, **free), y=alt.Y("height:Q", axis=None), color=colour
        )
    )
    x = p.across("draw", ticks=5, **free)
    line = p.Chart().mark_line(strokeWidth=0.6, opacity=0.8)
    line = line.encode(x=x, y=p.grounded("value", ticks=4, **free), color=colour)
    apart = p.Chart().transform_filter("datum.bad")
    ticks = apart.mark_tick(orient="vertical", color=APART, thickness=1.4, size=10)
    right = p.layer(line, *([ticks.encode(x=x, y=alt.value(84))] if bad.any() else []))
    left = int(0.3 * width)
    stacked = lambda drawn, table, wide, named: p.cells(
        drawn, table, "parameter", [*chosen], wide, 84, wide, named
    )
    drawn = stacked(hill, tables[0], left + 62, True)
    drawn = drawn | stacked(right, tables[1], width - left - 8, False)
    n_bad = int(bad.sum())
    said = f"red: {n_bad} divergences of {bad.size:,} transitions" if n_bad else ""
    thin = f"one of {step} draws is drawn" if step > 1 else ""
    unit = "; ".join(filter(None, ["trace in the order of sampling", said, thin]))
    title = f"Draws of {shape[0]} chains: density, and trace"
    about = f"{title} of {', '.join(chosen)}; {n_bad} divergences"
    return p.titled(drawn, title, unit, about, width)


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
    width: int = p.WIDE,
) -> p.Facet:
    """Rank plots: each chain's draws ranked among those of all chains.

    Lines that stay within the band are chains that explore the same distribution. A slope
    is a shift between chains, a bow a difference in spread.

    Args:
        bins: Bins of ranks.
    """
    chosen = scalars(draws, names)
    each = {label: ranks_of(values, bins) for label, values in chosen.items()}
    paint, one = _chains(chosen), next(iter(each.values()))
    table = pd.concat(
        [
            pd.DataFrame(
                {"parameter": label, "chain": chain, "rank": found.edges,
                 "count": [*counts, counts[-1]]}
            )
            for label, found in each.items()
            for chain, counts in zip(paint, found.counts, strict=True)
        ],
        ignore_index=True,
    )  # fmt: skip
    once = p.Chart().transform_filter("datum.rank === 0 && datum.chain === 'chain 1'")
    x, y = p.across("rank", ticks=3), p.grounded("count", ticks=3)
    drawn = p.layer(
        once.mark_rect(color=GOOD).encode(y=alt.datum(one.lo), y2=alt.datum(one.hi)),
        once.mark_rule(strokeDash=[4, 3]).encode(y=alt.datum(one.expected)),
        p.Chart()
        .mark_line(interpolate="step-after", strokeWidth=1.3)
        .encode(x=x, y=y, color=p.by("chain", paint)),
    )
    title = "Ranks of the draws of each chain among those of all chains"
    unit = (
        "draws in a bin of ranks, by rank; green: where the counts of 94% of independent "
        "draws lie"
    )
    about = f"{title}: {', '.join(chosen)}"
    drawn = p.cells(drawn, table, "parameter", [*chosen], width, 90)
    return p.titled(drawn, title, unit, about, width, hides="chain")


def energy(energy: Any, *, width: int = p.WIDE) -> p.Layer:
    """Energy and its transitions: distributed alike where the sampler moves freely."""
    values = np.asarray(energy, float)
    if values.ndim != 2 or values.shape[1] < 3:
        got = Phrase(f"shape {values.shape}")
        fail("energy", got, "", "(chain, draw)", "mm.plot.energy(fit)")
    paint = {"energy": MODEL, "transitions of the energy": CHAINS[2]}
    each = values - values.mean(), np.diff(values, axis=1)
    parts = [
        pd.DataFrame({"kind": kind} | density_of(x)._asdict())
        for kind, x in zip(paint, each, strict=True)
    ]
    base = p.chart(pd.concat(parts, ignore_index=True)).encode(
        x=p.across("at", "energy about its mean, and its change from draw to draw"),
        y=alt.Y("height:Q", axis=None, stack=None),
        color=p.by("kind", paint),
    )
    drawn = p.layer(base.mark_area(opacity=0.25), base.mark_line(strokeWidth=1.8))
    said = ", ".join(f"{value:.2f}" for value in bfmi(values))
    unit = f"E-BFMI of the chains: {said} ({MIN_BFMI} or more is wanted)"
    title = "Energy of the sampler: distribution and transitions"
    return p.titled(drawn, title, unit, unit, width, 230, hides="kind")


Left = pd.DataFrame | xr.Dataset
"""A table with the columns of fitted.csv, or a result of ``mm.residuals``."""


def left_over(found: Left, geo: str | None) -> tuple[Any, Any, list[str]]:
    """Residuals and their autocorrelation, and the geos to choose from.

    Returns:
        Columns geo, date, left, lo, hi (of the interval about the prediction; NaN where it
        is not known), state; and columns geo, lag (from 1 on), correlation, bound.
    """
    if isinstance(found, xr.Dataset):
        one = one_geo(found, geo)
        name, days = str(one["geo"].to_numpy()), one["date"].to_numpy()
        left = one["residual"].to_numpy()
        table = pd.DataFrame({"geo": name, "date": days, "left": left, "lo": np.nan})
        table = table.assign(hi=np.nan, state=RESIDUAL)
        lags = pd.DataFrame(
            {"geo": name, "lag": one["lag"], "correlation": one["autocorrelation"]}
        )
        lags = lags.loc[lags["lag"] > 0].assign(bound=float(one["bound"]))
        return table.dropna(subset="left"), lags, []
    rows, geos = bands(found, geo)
    left = rows["observed"] - rows["mean"]
    lo, hi = rows["lo"] - rows["mean"], rows["hi"] - rows["mean"]
    state = np.where(left.between(lo, hi), RESIDUAL, OUTSIDE)
    table = rows[["geo", "date"]].assign(left=left, lo=lo, hi=hi, state=state)
    parts = [pd.DataFrame({x: [] for x in ("geo", "lag", "correlation", "bound")})]
    for name, of in table.groupby("geo", sort=False):
        values = of["left"].to_numpy()
        last = min(LAGS, len(values) - 1)
        known = max(np.isfinite(values).sum(), 1)
        found_ = {"geo": name, "lag": np.arange(1, last + 1), "bound": 1.96 / known**0.5}
        correlation = metrics.autocorrelation(values[None], last)[0, 1:] if last > 0 else []
        parts.append(pd.DataFrame(found_ | {"correlation": correlation}))
    lags = pd.concat(parts[1:] or parts, ignore_index=True)
    return table.dropna(subset="left"), lags, geos


def residuals(
    found: Left,
    test: Left | None = None,
    *,
    geo: str | None = None,
    outcome: str = "outcome",
    period: str = "period",
    width: int = p.WIDE,
) -> p.HConcat | p.VConcat:
    """What the model leaves over, over time, and how long such errors last.

    Args:
        test: The same for the test window, whose background is tinted.
    """
    table, lags, geos = left_over(found, geo)
    shown, lasting = p.at_first(table, geos), p.at_first(lags, geos)
    table = table.assign(after=False)
    if test is not None:
        later = left_over(test, geo)[0]
        table = pd.concat([table, later.assign(after=True)], ignore_index=True)
    tested = sum(table["after"]) > 0
    # lags stand at the last day, which is among the days shown, whatever they are
    both = pd.concat([table, lags.assign(date=table["date"].max())], ignore_index=True)
    drawn = draw_residuals(both, tested, period, width, width < 460)
    beyond = int((lasting["correlation"].abs() > lasting["bound"]).sum())
    lag = f"{beyond} of {len(lasting)} lags beyond what independent errors allow"
    about = f"Observed minus predicted; {lag}"
    if np.isfinite(shown["lo"]).any():
        share = float((shown["state"] == RESIDUAL).mean())
        about += f"; {in_percent(share)} of {len(shown):,} periods lie inside the interval"
    unit = f"{outcome} a {period}, observed minus predicted; runs of one sign or a drift: "
    unit += "something is missing"
    title, own = "What the model does not explain", {"hides": "series", "date": "date"}
    return p.titled(drawn, title, unit, about, width, geos=geos, **own)


def draw_residuals(
    both: Any, tested: bool, period: str, width: int, stacked: bool
) -> p.HConcat | p.VConcat:
    """Residuals over time beside their autocorrelation, or above it.

    Args:
        both: Columns of both tables of :func:`left_over`, and after: whether a day is of
            the test window.
        tested: Whether any is.
        period: Word for one period.
        width: Pixels of both.
        stacked: Whether they stand below each other.
    """
    known = {OUTSIDE: APART} if (both["state"] == OUTSIDE).any() else {}
    spread = {AROUND: PALE} if np.isfinite(both["lo"]).any() else {}
    paint = {RESIDUAL: MODEL} | known | spread
    days = p.Chart().transform_filter("isValid(datum.left)")
    back = p.tinted(None, "after", "date", "test, not fitted") if tested else []
    x = p.dates(ticks=5)
    area = days.mark_area().encode(x=x, y="lo:Q", y2="hi:Q")
    each = days.transform_calculate(series="datum.state")
    each = each.transform_filter("indexof(hidden, datum['series']) < 0")
    told = [p.DAY, *p.tips({"left": "observed minus predicted"}, ",.4~s")]
    y, colour = p.grounded("left", ticks=5), p.by("series", paint)
    each = each.encode(x=x, y=y, color=colour, tooltip=told)
    over = p.layer(
        *back,
        *([series(area, AROUND, paint)] if spread else []),
        each.mark_rule(strokeWidth=1.6).encode(y2=alt.datum(0)),
        each.mark_point(size=14),
    )
    lags = p.Chart().transform_filter("isValid(datum.lag)")
    lags = lags.transform_calculate(
        low="-datum.bound", outside="abs(datum.correlation) > datum.bound"
    )
    x = alt.X(
        "lag:Q",
        title=f"lag, {period}s",
        scale=alt.Scale(zero=True),
        axis=alt.Axis(tickMinStep=1, tickCount=6),
    )
    y = p.grounded("correlation", format=".1f", ticks=5)
    colour = alt.condition("datum.outside", alt.value(APART), alt.value(MODEL))
    told = p.tips({"lag": "lag", "correlation": "autocorrelation"})
    bars = lags.encode(x=x, y=y, color=colour, tooltip=told)
    lasting = p.layer(
        lags.transform_filter("datum.lag === 1")
        .mark_rect(color=GOOD)
        .encode(y="bound:Q", y2="low:Q"),
        bars.mark_rule(strokeWidth=2).encode(y2=alt.datum(0)),
        bars.mark_point(size=26),
    )
    left, right = (width, width) if stacked else (int(0.62 * width), int(0.38 * width) - 70)
    size = lambda text: {"text": text, "fontSize": 12}
    parts: Any = [
        over.properties(width=left, height=230, title=size("over time")),
        lasting.properties(width=right, height=230, title=size("how long they last")),
    ]
    if stacked:
        return p.VConcat(data=both, vconcat=parts)
    return p.HConcat(data=both, hconcat=parts, bounds="flush", spacing=64)
