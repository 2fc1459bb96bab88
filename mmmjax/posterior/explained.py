"""Long tables of what a fit says about media: the CSV files beside channels and weekly.

Original units; lo and hi are the ends of the highest density interval. Where there are
several geos, geo = "ALL" is their sum (in returns.csv it is always there, as in
channels.csv). A model without media has tables without rows.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from mmmjax import checks
from mmmjax.arguments import checked
from mmmjax.draws import Fit
from mmmjax.panel import Panel
from mmmjax.panel.calendar import period_days
from mmmjax.posterior.carryover import LAG, carryover
from mmmjax.posterior.contributions import COMPONENT, decomposition
from mmmjax.posterior.curves import MULTIPLIER, MULTIPLIERS, POINT, curves, sweep
from mmmjax.posterior.fold import MEMORY
from mmmjax.posterior.returns import WINDOW, Summaries, spans_of, summaries
from mmmjax.posterior.scope import ALL, PROB, SUMMARY, Scope
from mmmjax.shapes import CHANNEL, GEO
from mmmjax.words import long, spread

__all__ = [
    "KINDS",
    "carryover_table",
    "curves_table",
    "decomposition_table",
    "returns_table",
    "sweep_table",
]

KINDS = ("all", "year", "quarter", "month")
"""Kinds of windows of returns.csv."""


@checked
def curves_table(
    fit: Fit,
    points: int = 51,
    upto: float = 1.2,
    *,
    prob: float = PROB,
    max_draws: int | None = None,
    memory: int = MEMORY,
) -> pd.DataFrame:
    """Response curves, a row per geo, channel and level of spend: curves.csv.

    Columns: geo, channel, spend (money per period, empty for organic channels), media
    (media units per period), mean, lo, hi (contribution per period once carry-over is
    full), extrapolated (above the channel's largest period in training). Arguments as
    :func:`curves`.
    """
    keep: dict[str, Any] = {"prob": prob, "max_draws": max_draws, "memory": memory}
    found = curves(fit, points, upto, total=None, **keep)
    beyond = found["fraction"].to_numpy() > 1 + 1e-9
    return long(
        {GEO: found[GEO], CHANNEL: found[CHANNEL], POINT: beyond},
        {"spend": found["spend"], "media": found["media"]}
        | spread("", found["response"])
        | {"extrapolated": np.broadcast_to(beyond, found["media"].shape)},
    ).drop(columns=POINT)


@checked
def sweep_table(
    fit: Fit,
    multipliers: Sequence[float] = MULTIPLIERS,
    *,
    prob: float = PROB,
    max_draws: int | None = None,
    memory: int = MEMORY,
) -> pd.DataFrame:
    """Totals had a channel's spend been multiplied, a row per factor: sweep.csv.

    Columns: geo, channel, multiplier, spend (money, empty for organic channels), mean, lo,
    hi (total contribution), uplift_mean, _lo, _hi (over multiplier 1), marginal_mean, _lo,
    _hi (outcome of the next unit of money, empty without spend). Arguments as
    :func:`sweep`.
    """
    keep: dict[str, Any] = {"prob": prob, "max_draws": max_draws, "memory": memory}
    found = sweep(fit, multipliers, total=None, **keep)
    return long(
        {name: found[name] for name in (GEO, CHANNEL, MULTIPLIER)},
        {"spend": found["spend"]}
        | spread("", found["contribution"])
        | spread("uplift_", found["uplift"])
        | spread("marginal_", found["marginal"]),
    )


@checked
def carryover_table(fit: Fit, *, prob: float = PROB, memory: int = MEMORY) -> pd.DataFrame:
    """When the effect of a channel comes, a row per lag: carryover.csv.

    Columns: channel, geo, lag (periods), days (the same, of periods of mean length), mean,
    lo, hi (share of the effect, in [0, 1]),
    half_life_mean, _lo, _hi, t90_mean, _lo, _hi (periods until half and 90% of it has come)
    and cut_mean, _lo, _hi (share left out, as it would come after max_lag periods), the
    same in all rows of a channel; see :func:`carryover`. geo is "ALL" where several geos
    share the adstock.
    """
    found = carryover(fit, prob=prob, memory=memory)
    if GEO not in found.dims:
        only = fit.panel.geos[0] if fit.panel.n_geos == 1 else ALL
        found = found.expand_dims({GEO: [only]})
    found = found.transpose(SUMMARY, CHANNEL, GEO, LAG)
    columns = spread("", found["weight"])
    for name in ("half_life", "t90", "cut"):
        columns |= spread(f"{name}_", found[name].broadcast_like(found["weight"]))
    each = period_days(fit.panel.dates, fit.panel.freq)
    days = (found[LAG] * each).round(1).broadcast_like(found["weight"][0])
    names = {name: found[name] for name in (CHANNEL, GEO, LAG)}
    return long(names, {"days": days} | columns)


@checked
def returns_table(
    fit: Fit,
    kinds: Sequence[str] = ("all", "year", "quarter"),
    *,
    prob: float = PROB,
    max_draws: int | None = None,
    memory: int = MEMORY,
) -> pd.DataFrame:
    """Returns by window of spend, a row per window, geo and channel: returns.csv.

    Columns: kind, window ("all", or a label such as "2017" or "2017Q2"), geo, channel,
    spend (money in the window, empty for organic channels), roas_mean, _lo, _hi,
    mroas_mean, _lo, _hi (empty without spend), now_mean and after_mean (incremental outcome
    within the window and in the ``max_lag - 1`` periods after it, which roas counts too),
    t50_mean, _lo, _hi and t90_mean, _lo, _hi: periods until half and 90% of what media
    bring has come, as in :func:`carryover` (empty in "ALL" where geos differ in it).
    geo = "ALL", the sum over geos, is always there. Windows do not add up to a longer one,
    because saturation bends; see :func:`roas`.

    Args:
        fit: The fit.
        kinds: Of "all", "year", "quarter" and "month".
        prob: Probability inside [lo, hi].
        max_draws: As for :func:`contributions`.
        memory: Bound in bytes on what lives besides the result.
    """
    kinds = [checks.choice("kinds", kind, KINDS) for kind in kinds]
    dates, windows = Scope.of(fit).dates, []
    for kind in kinds:
        spans = spans_of(dates, None if kind == "all" else kind)
        windows += [(kind, label or "all", span) for label, span in spans.items()]
    spans = [span for *_, span in windows]
    keep: dict[str, Any] = {"prob": prob, "max_draws": max_draws, "memory": memory}
    both = summaries(fit, spans, total=None, **keep)
    if fit.panel.n_geos == 1:
        both = Summaries(*(x.repeat(2, axis=-3) for x in both))
    found = Summaries(*(np.moveaxis(x, -1, -3) for x in both))  # (window, geo, channel)
    labels = {"kind": range(len(windows)), GEO: [*fit.panel.geos, ALL]}
    times, when = dict[str, np.ndarray](), carryover(fit, prob=prob, memory=memory)
    when = when if GEO in when.dims else when.expand_dims({GEO: labels[GEO]})
    when = when.reindex({GEO: labels[GEO]}).transpose(SUMMARY, GEO, ...)
    for name, key in (("t50_", "half_life"), ("t90_", "t90")):
        times |= spread(name, when[key].to_numpy()[:, None])
    table = long(
        labels | {CHANNEL: fit.panel.channels},
        {"spend": found.spend}
        | spread("roas_", found.roas)
        | spread("mroas_", found.mroas)
        | {"now_mean": found.now, "after_mean": found.after}
        | times,
    )
    number = table["kind"].to_numpy(int)
    table["kind"] = np.array([kind for kind, *_ in windows], object)[number]
    table.insert(1, WINDOW, np.array([label for _, label, _ in windows], object)[number])
    return table


@checked
def decomposition_table(
    fit: Fit,
    panel: Panel | None = None,
    *,
    prob: float = PROB,
    memory: int = MEMORY,
) -> pd.DataFrame:
    """What the fitted mean is made of, a row per geo and component: decomposition.csv.

    Columns: geo, component, share_mean, _lo, _hi (of the fitted mean; means add up to 1),
    total_mean, _lo, _hi (outcome units); arguments and components as
    :func:`decomposition`.
    """

    found = decomposition(fit, panel, total=None, prob=prob, memory=memory)
    return long(
        {name: found[name] for name in (GEO, COMPONENT)},
        spread("share_", found["share"]) | spread("total_", found["total"]),
    )
