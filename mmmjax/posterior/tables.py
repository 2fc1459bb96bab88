"""The tables that a fit writes: channels.csv and weekly.csv, original units."""

from typing import Any

import numpy as np
import pandas as pd

from mmmjax.arguments import checked
from mmmjax.draws import Fit
from mmmjax.panel import Panel
from mmmjax.posterior.contributions import totals, weekly
from mmmjax.posterior.explained import returns_table
from mmmjax.posterior.fold import MEMORY
from mmmjax.posterior.returns import returns
from mmmjax.posterior.scope import ALL, PROB, Scope, summarise
from mmmjax.shapes import GEO
from mmmjax.words import long, spread

__all__ = [
    "BASELINE",
    "CONTROLS",
    "FITTED",
    "SEASONALITY",
    "channels_table",
    "weekly_table",
]

BASELINE = "baseline"
CONTROLS = "controls"
SEASONALITY = "seasonality"
FITTED = "fitted_mean"

_CALLED = {"mu": FITTED}
_STATISTICS = ("mean", "lo", "hi")


@checked
def channels_table(
    fit: Fit,
    carryover: bool = True,
    *,
    known: pd.DataFrame | None = None,
    prob: float = PROB,
    memory: int = MEMORY,
) -> pd.DataFrame:
    """One row per geo and channel, then geo = "ALL": the columns of channels.csv.

    Training window, original units. Columns: geo, channel, spend (money; empty for organic
    channels), contribution (outcome units), share (contribution / observed outcome, over
    the cells where it was observed), roas and mroas (outcome units per unit of money; empty
    without spend), each as _mean, _lo and _hi (highest density interval).

    Args:
        fit: The fit.
        carryover: ROAS and mROAS count the ``max_lag - 1`` periods after training too, the
            library's ROAS. False: the window only; without earlier media roas is then
            contribution / spend.
        known: The :func:`returns_table` of this fit with windows "all", if it is at hand:
            spend, roas and mroas are taken from it.
        prob: Probability inside [lo, hi].
        memory: Bound in bytes on what lives besides the result.
    """
    scope = Scope.of(fit)
    panel = scope.panel
    sums, observed = totals(fit, scope, memory=memory)
    outcome = np.nansum(scope.outcome, axis=1)
    whole = np.append(outcome, outcome.sum())
    whole = np.where(whole == 0, np.nan, whole)[:, None]
    measures: dict[str, np.ndarray] = {}
    spend = np.zeros((panel.n_geos + 1, 0))
    if observed is not None:
        shares = _with_all(observed) / whole
        measures["contribution"] = summarise(_with_all(sums["channel"]), prob)
        measures["share"] = summarise(shares, prob)
        spend = _returns(fit, measures, carryover, known, prob, memory)
    table: dict[str, Any] = {"spend": spend}
    for name in ("contribution", "share", "roas", "mroas"):
        table |= spread(f"{name}_", measures.get(name, np.zeros((3, 0))))
    names = np.array(panel.channels, object)
    return long({"geo": [*panel.geos, ALL], "channel": names}, table)


def _returns(
    fit: Fit, measures: dict[str, np.ndarray], carryover: bool, known: pd.DataFrame | None,
    prob: float, memory: int,
) -> np.ndarray:  # fmt: skip
    """Add roas and mroas, (3, geo, channel), the sum over geos last; spend of those."""
    names = ("roas", "mroas")
    if carryover:
        keep: dict[str, Any] = {"prob": prob, "memory": memory}
        known = returns_table(fit, ("all",), **keep) if known is None else known
        rows = known.loc[known["kind"] == "all"]
        shape = (fit.panel.n_geos + 1, -1)
        for name in names:
            columns = [rows[f"{name}_{s}"].to_numpy(float) for s in _STATISTICS]
            measures[name] = np.stack(columns).reshape(3, *shape)
        return rows["spend"].to_numpy(float).reshape(shape)
    found = returns(fit, carryover=False, memory=memory)
    for name in names:
        pair = [
            found[name].to_numpy(),
            found[f"{name}_total"].expand_dims(GEO, 2).to_numpy(),
        ]
        draws = np.concatenate(pair, axis=2)
        measures[name] = _paid(draws.reshape(-1, *draws.shape[2:]), prob)
    spend = found["spend"].to_numpy()
    return np.concatenate([spend, spend.sum(axis=0, keepdims=True)])


@checked
def weekly_table(
    fit: Fit,
    panel: Panel | None = None,
    *,
    prob: float = PROB,
    max_draws: int | None = None,
    memory: int = MEMORY,
) -> pd.DataFrame:
    """Mean, lo and hi of every component in every period: the columns of weekly.csv.

    Columns: geo, date, component, mean, lo, hi; original units. Components: every channel,
    "baseline" (intercept and trend), "controls" (their sum), "seasonality" and
    "fitted_mean" (mu, their sum), as far as the model has them. Periods in which a geo was
    not in the table are left out. Where there are several geos, geo = "ALL" is their sum.

    Args:
        fit: The fit.
        panel: A panel that follows training, or one of the training dates with other
            media; None for training.
        prob: Probability inside [lo, hi].
        max_draws: As for :func:`contributions`.
        memory: Bound in bytes on what lives besides the result.
    """
    scope = Scope.of(fit, panel)
    keep: dict[str, Any] = {"prob": prob, "max_draws": max_draws, "memory": memory}
    names, found = weekly(fit, panel, total=None, **keep)
    names = [_CALLED.get(name, name) for name in names]
    geos, dates = scope.coords(None)[GEO], scope.dates.to_numpy()
    labels = {"geo": geos, "date": dates, "component": names}
    table = long(labels, spread("", np.moveaxis(found, 2, -1)))
    return table.loc[np.isfinite(table["mean"])].reset_index(drop=True)


def _with_all(draws: np.ndarray) -> np.ndarray:
    """Draws (draw, geo, channel) with the sum over geos as a last geo."""
    return np.concatenate([draws, draws.sum(axis=1, keepdims=True)], axis=1)


def _paid(draws: np.ndarray, prob: float) -> np.ndarray:
    """Mean, lo and hi where there is a return; NaN elsewhere."""
    known = np.isfinite(draws[0])
    out = np.full((3, *known.shape), np.nan)
    out[:, known] = summarise(draws[:, known], prob)
    return out
