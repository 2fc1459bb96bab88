"""What a report is made of: tables computed once, or taken from whoever has them."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import xarray as xr

from mmmjax.budget import Plan
from mmmjax.checks import choice
from mmmjax.draws import Diagnostics, Fit, diagnostics, summary
from mmmjax.metrics import hdi
from mmmjax.panel import Panel
from mmmjax.plot.canvas import for_geo
from mmmjax.posterior import channels_table, curves, roas, weekly_table
from mmmjax.posterior.contributions import totals
from mmmjax.posterior.scope import ALL, Scope
from mmmjax.prediction import forecast_table, scores

__all__ = ["TABLES", "Evidence", "Interval", "Media", "gather"]

TABLES = (
    "channels", "weekly", "training", "forecast", "parameters", "scores", "diagnostics",
)  # fmt: skip
"""What may be given to a report instead of computed again."""


class Interval(NamedTuple):
    """Mean and highest density interval of a quantity."""

    mean: float
    lo: float
    hi: float

    @classmethod
    def of(cls, draws: np.ndarray) -> "Interval":
        """Summarise draws, (draw,)."""
        lo, hi = hdi(draws)
        return cls(float(draws.mean()), float(lo), float(hi))


class Media(NamedTuple):
    """All channels together in the training window, over all geos; paid ones for returns.

    ``best`` is the posterior probability of each paid channel to have the highest ROAS,
    highest first; ``marginal`` the posterior mean return of the next unit of money, spread
    as the spend was.
    """

    total: Interval  # outcome units
    share: Interval  # of the observed outcome
    spend: float  # money
    returns: Interval | None  # outcome units per unit of money
    marginal: float
    best: list[tuple[str, float]]


@dataclass(frozen=True, eq=False)
class Evidence:
    """Everything that a report shows, as numbers. Tables have the columns of the files."""

    fit: Fit
    test: Panel | None
    plan: Plan | None
    truth: dict[str, float]  # ROAS by channel, where it is known
    channels: pd.DataFrame
    weekly: pd.DataFrame
    training: pd.DataFrame
    forecast: pd.DataFrame | None
    parameters: pd.DataFrame
    scores: Mapping[str, float]
    diagnostics: Diagnostics
    curves: xr.Dataset | None
    media: Media | None


def gather(
    fit: Fit,
    test: Panel | None = None,
    truth: Mapping[str, Any] | None = None,
    plan: Plan | None = None,
    tables: Mapping[str, Any] | None = None,
) -> Evidence:
    """Compute what is not given."""
    given = dict(tables or {})
    for name in given:
        choice("tables", name, TABLES)
    has_media = bool(fit.panel.channels)

    def known(name: str, compute: Any) -> Any:
        return given[name] if given.get(name) is not None else compute()

    channels = known("channels", lambda: channels_table(fit))
    return Evidence(
        fit=fit,
        test=test,
        plan=plan,
        truth=true_roas(truth),
        channels=channels,
        weekly=known("weekly", lambda: weekly_table(fit)),
        training=known("training", lambda: forecast_table(fit, fit.panel)),
        forecast=None
        if test is None
        else known("forecast", lambda: forecast_table(fit, test)),
        parameters=known("parameters", lambda: summary(fit)),
        scores=_numbers(known("scores", lambda: scores(fit, test))),
        diagnostics=known("diagnostics", lambda: diagnostics(fit)),
        curves=curves(fit, total=True) if has_media else None,
        media=_media(fit, channels) if has_media else None,
    )


def _numbers(found: Mapping[str, Any]) -> dict[str, float]:
    """Scores, NaN where a file says null."""
    return {k: float("nan") if v is None else float(v) for k, v in found.items()}


def true_roas(truth: Mapping[str, Any] | None) -> dict[str, float]:
    """ROAS by channel over all geos, from {channel: ROAS} or the truth of a simulation."""
    if truth is None:
        return {}
    rows = truth.get("channels")
    if isinstance(rows, list):
        truth = {row["channel"]: row["roas"] for row in rows if row["geo"] == ALL}
    return {str(name): float(value) for name, value in truth.items()}


def _media(fit: Fit, channels: pd.DataFrame) -> Media:
    """Joint statements, which need draws and not only the intervals of a table."""
    scope = Scope.of(fit)
    sums, observed = totals(fit, scope)
    outcome = float(np.nansum(scope.outcome))
    share = np.asarray(observed).sum((1, 2)) / (outcome or np.nan)
    total, paid = sums["channel"].sum((1, 2)), scope.panel.paid
    if not paid.any():
        none = float("nan")
        return Media(Interval.of(total), Interval.of(share), none, None, none, [])
    found = roas(fit)
    spend = found["spend"].to_numpy()[:, paid].sum().item()
    gains = found["incremental"].to_numpy()[..., paid].sum((2, 3)).ravel()
    names = [
        name for name, is_paid in zip(scope.panel.channels, paid, strict=True) if is_paid
    ]
    each = found["roas_total"].to_numpy()[..., paid].reshape(-1, len(names))
    won = np.bincount(
        np.nanargmax(np.nan_to_num(each, nan=-np.inf), 1), minlength=len(names)
    )
    best = sorted(zip(names, (won / won.sum()).tolist(), strict=True), key=lambda x: -x[1])
    rows = for_geo(channels, None)
    each_next = np.asarray(rows["mroas_mean"], float) * np.asarray(rows["spend"], float)
    marginal = float(np.nansum(each_next)) / spend if spend else np.nan
    returns = Interval.of(gains / spend) if spend else None
    return Media(Interval.of(total), Interval.of(share), spend, returns, marginal, best)
