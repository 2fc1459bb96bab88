"""Pictures of how the model describes the data, and of whether its draws can be used."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.dates import date2num
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from mmmjax import metrics
from mmmjax.checks import fail
from mmmjax.plot import canvas as c
from mmmjax.plot.arrays import one_geo

__all__ = ["convergence", "fitted", "forecast", "prior_predictive"]

MAX_R_HAT = 1.01
MIN_ESS_PER_CHAIN = 100
INNER = 0.5  # the band inside the band

Predicted = pd.DataFrame | xr.Dataset
"""A table with the columns of forecast.csv, or a result of ``mm.predict``."""


class Band(NamedTuple):
    """A series with its interval and what was observed, all (time,), original units."""

    dates: np.ndarray
    observed: np.ndarray
    mean: np.ndarray
    lo: np.ndarray
    hi: np.ndarray
    inner: np.ndarray | None  # ends of the 50% interval, (2, time), where draws are known


def band(found: Predicted, geo: str | None = None, prob: float = 0.94) -> Band:
    """One geo of a prediction, in order of date; ``prob`` counts where draws are given."""
    if isinstance(found, xr.Dataset):
        return _band_of_draws(one_geo(found, geo), prob)
    rows = c.for_geo(found, geo)
    rows = rows.assign(date=pd.to_datetime(rows["date"])).sort_values("date")
    observed, mean, lo, hi = (
        rows[n].to_numpy(float) for n in ("observed", "mean", "lo", "hi")
    )
    return Band(rows["date"].to_numpy(), observed, mean, lo, hi, None)


def _band_of_draws(one: xr.Dataset, prob: float) -> Band:
    dates, observed = one["date"].to_numpy(), one["observed"].to_numpy()
    if "summary" in one.dims:
        mean, lo, hi = one["outcome"].sel(summary=["mean", "lo", "hi"]).to_numpy()
        return Band(dates, observed, mean, lo, hi, None)
    draws = one["outcome"].transpose("chain", "draw", "date").to_numpy()
    draws = draws.reshape(-1, dates.size)
    lo, hi = metrics.hdi(draws, prob)
    inner = np.stack(metrics.hdi(draws, INNER))
    return Band(dates, observed, draws.mean(axis=0), lo, hi, inner)


def _draw_band(ax: Axes, part: Band, colour: str = c.MODEL) -> None:
    ax.fill_between(part.dates, part.lo, part.hi, color=colour, alpha=0.25, lw=0)
    if part.inner is not None:
        ax.fill_between(part.dates, *part.inner, color=colour, alpha=0.35, lw=0)
    ax.plot(part.dates, part.mean, color=colour, lw=1.4)
    ax.plot(part.dates, part.observed, ".", color=c.INK, ms=4, zorder=3)


def _band_legend(part: Band, prob: float, colour: str = c.MODEL) -> list[Any]:
    handles: list[Any] = [
        Line2D([], [], color=c.INK, marker=".", ls="", label="observed"),
        Line2D([], [], color=colour, lw=1.6, label="predicted mean"),
        Patch(color=colour, alpha=0.25, lw=0, label=f"{prob:.0%} of predictions"),
    ]
    if part.inner is not None:
        label = f"{INNER:.0%} of predictions"
        handles.append(Patch(color=colour, alpha=0.55, lw=0, label=label))
    return handles


def _tint_test(ax: Axes, before: Any, first: Any) -> Patch:
    """Tint the axes from between two dates on."""
    start = float(np.mean(date2num([before, first])))
    ax.axvspan(start, ax.get_xlim()[1], color=c.TINT, zorder=0, lw=0)
    ax.axvline(start, color=c.MUTED, lw=1, ls=":")
    return Patch(facecolor=c.TINT, edgecolor=c.MUTED, ls=":", label="test window")


def fitted(
    training: Predicted,
    test: Predicted | None = None,
    *,
    geo: str | None = None,
    outcome: str = "outcome",
    prob: float = 0.94,
    width: float = 9.0,
    ax: Axes | None = None,
) -> Figure:
    """Predicted outcome and its band against what was observed.

    Args:
        training: ``mm.predict(fit)``, whose draws give a 50% band too, or a table with the
            columns of fitted.csv; of several geos with ``total=True``.
        test: The same for the test window, ``mm.predict(fit, test)`` or forecast.csv; its
            background is tinted.
        geo: The geo drawn; None: the sum over geos.
        outcome: Name of the outcome.
        prob: Probability inside the wide band.
        width: Inches.
        ax: Axes to draw on; None makes a figure.
    """
    given = [training] if test is None else [training, test]
    parts = [band(part, geo, prob) for part in given]
    when = ", training and test" if test is not None else ""
    drawn = c.canvas(width, 3.7, c.capital(f"{outcome}: observed and predicted{when}"), ax)
    ax = drawn.ax
    c.dress(ax, y=outcome)
    for part in parts:
        _draw_band(ax, part)
    handles = _band_legend(parts[0], prob)
    c.dates_on(drawn, parts[0].dates[0], parts[-1].dates[-1])
    if len(parts) > 1:
        handles.append(_tint_test(ax, parts[0].dates[-1], parts[1].dates[0]))
    c.numbers_on(ax.yaxis)
    c.legend_below(drawn, handles)
    return drawn.figure


def prior_predictive(
    found: Predicted,
    *,
    geo: str | None = None,
    outcome: str = "outcome",
    prob: float = 0.94,
    width: float = 9.0,
    ax: Axes | None = None,
) -> Figure:
    """What the priors alone expect of the outcome, against what was observed.

    Args:
        found: Result of ``mm.prior_predictive(spec, panel)``.
        geo: The geo drawn, where there are several.
        outcome: Name of the outcome.
        prob: Probability inside the wide band.
        width: Inches.
        ax: Axes to draw on; None makes a figure.
    """
    part = band(found, geo, prob)
    title = c.capital(f"{outcome} that the priors alone expect, and the data")
    drawn = c.canvas(width, 3.7, title, ax)
    ax = drawn.ax
    c.dress(ax, y=outcome)
    _draw_band(ax, part, c.MUTED)
    known = np.isfinite(part.observed)
    inside = ((part.observed >= part.lo) & (part.observed <= part.hi))[known]
    if known.any():
        c.say(drawn, f"{inside.mean():.0%} of the observations lie inside the {prob:.0%} "
              "band: priors should allow the data without knowing them")  # fmt: skip
    c.dates_on(drawn, part.dates[0], part.dates[-1])
    c.numbers_on(ax.yaxis)
    c.legend_below(drawn, _band_legend(part, prob, c.MUTED))
    return drawn.figure


class Forecast(NamedTuple):
    """How a forecast went, over the periods that were observed."""

    outside: np.ndarray  # (time,), observed outside the wide band
    coverage: float
    mape: float
    observed: float  # totals, original units
    predicted: float


def forecast_of(part: Band) -> Forecast:
    """Score a forecast against what came; NaN where nothing was observed."""
    known = np.isfinite(part.observed)
    outside = known & ((part.observed < part.lo) | (part.observed > part.hi))
    if not known.any():
        return Forecast(outside, *[float("nan")] * 4)
    return Forecast(
        outside, float(1 - outside[known].mean()),
        metrics.mape(part.observed, part.mean),
        float(part.observed[known].sum()), float(part.mean[known].sum()),
    )  # fmt: skip


def forecast(
    test: Predicted,
    training: Predicted | None = None,
    *,
    geo: str | None = None,
    outcome: str = "outcome",
    prob: float = 0.94,
    before: int = 13,
    width: float = 9.0,
    ax: Axes | None = None,
) -> Figure:
    """The test window close up: what was forecast, what came, and how well it went.

    Args:
        test: ``mm.predict(fit, test)``, whose draws give a 50% band too, or a table with
            the columns of forecast.csv.
        training: The same for training; its last periods are drawn before the test.
        geo: The geo drawn; None: the sum over geos.
        outcome: Name of the outcome.
        prob: Probability inside the wide band.
        before: Periods of training to draw.
        width: Inches.
        ax: Axes to draw on; None makes a figure.
    """
    part = band(test, geo, prob)
    if not part.dates.size:
        fail("test", 0, "", "at least one period", "forecast_table(fit, test)")
    title = f"{outcome} in the test window: forecast and what came"
    drawn = c.canvas(width, 3.9, c.capital(title), ax)
    ax, found, first = drawn.ax, forecast_of(part), part.dates[0]
    c.dress(ax, y=outcome)
    earlier = None if training is None else _last(band(training, geo, prob), before)
    if earlier is not None:
        _draw_band(ax, earlier)
        first = earlier.dates[0]
    _draw_band(ax, part)
    ax.plot(part.dates, part.observed, "o", color=c.INK, ms=4.5, zorder=3)
    ax.plot(part.dates[found.outside], part.observed[found.outside], "o", ms=9, mfc="none",
            mec=c.APART, mew=1.3, zorder=4)  # fmt: skip
    handles = _band_legend(part, prob)
    if found.outside.any():
        label = f"outside the {prob:.0%} band"
        handles.insert(1, Line2D([], [], ls="", marker="o", ms=8, mfc="none", mec=c.APART,
                                 label=label))  # fmt: skip
    if np.isfinite(found.observed):
        c.say(drawn, _went(found, prob))
    c.dates_on(drawn, first, part.dates[-1])
    if earlier is not None:
        handles.append(_tint_test(ax, earlier.dates[-1], part.dates[0]))
    c.numbers_on(ax.yaxis)
    c.legend_below(drawn, handles)
    return drawn.figure


def _last(part: Band, periods: int) -> Band | None:
    if periods < 1 or not part.dates.size:
        return None
    return Band(*(None if a is None else a[..., -periods:] for a in part))  # type: ignore[arg-type]


def _went(found: Forecast, prob: float) -> str:
    error = found.predicted / found.observed - 1 if found.observed else float("nan")
    more = f" ({error:+.1%})" if np.isfinite(error) else ""
    return (
        f"Total: {c.amount(found.predicted)} forecast, {c.amount(found.observed)} observed"
        f"{more}. {found.coverage:.0%} of the observations lie inside the {prob:.0%} band, "
        f"mean error {found.mape:.1%}"
    )


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
    for chosen, colour, marker in ((~bad, c.MODEL, "o"), (bad, c.APART, "X")):
        ax.plot(found.ess[chosen], found.r_hat[chosen], marker, ls="", color=colour, ms=6,
                alpha=0.75, mec="white", mew=0.5)  # fmt: skip
    top = max(1.014, 1 + 1.12 * (found.r_hat.max(initial=1.0) - 1))
    bottom = 1 - 0.06 * (top - 1)
    right = max(found.ess.max(initial=0.0) * 1.35, 2.0 * least)
    left = min(found.ess.min(initial=float(right)) * 0.8, 0.7 * least)
    ax.set(xscale="log", ylim=(min(bottom, found.r_hat.min(initial=1.0) - 1e-3), top),
           xlim=(max(left, 1.0), right))  # fmt: skip
    ax.fill_between([least, right], MAX_R_HAT, ax.get_ylim()[0], color=c.GOOD, zorder=0)
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
    bad = Line2D([], [], color=c.APART, marker="X", ls="", label="outside the limits")
    area = Patch(color=c.GOOD, label=f"R-hat at most {MAX_R_HAT}, ESS at least {least:,}")
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
