"""The charts of a report: which of them the evidence allows, and what is said below each.

A chart is made by :mod:`mmmjax.plot`, once; here it gets its tables and its caption.
"""

from typing import Any

import numpy as np
import pandas as pd

from mmmjax import plot
from mmmjax.plot.fit import share_inside
from mmmjax.reporting.embed import Figure, Tables, embedded
from mmmjax.reporting.evidence import Evidence, Planned
from mmmjax.reporting.sentences import chance, if_it_holds
from mmmjax.standing import covered, standings, verdict_of
from mmmjax.words import for_geo, in_percent, span

__all__ = ["figures"]


def figures(found: Evidence, tables: Tables) -> dict[str, Figure]:
    """Every figure that the evidence allows, by name.

    Args:
        found: The evidence.
        tables: Of the page; those of the charts are added.
    """
    drawn = _brought(found) | _described(found)
    if found.media is not None:
        drawn |= _paid(found) | _levels(found)
    if found.table("backtest") is not None:
        drawn |= _tested(found)
    if found.plan is not None:
        drawn |= _planned(found, found.plan)
    return {
        name: embedded(name, chart, tables, caption)
        for name, (chart, caption) in drawn.items()
    }


type Drawn = dict[str, tuple[Any, str]]


def _said(found: Evidence, *names: str) -> dict[str, Any]:
    """Labels that pictures share."""
    known = {
        "outcome": found.outcome, "currency": found.currency, "colours": found.colours,
        "value": found.fit.panel.outcome_value, "period": found.period,
    }  # fmt: skip
    return {name: known[name] for name in names}


def _brought(found: Evidence) -> Drawn:
    """What each channel added, and where the outcome came from."""
    said = _said(found, "outcome", "colours")
    drawn: Drawn = {
        "contributions": (
            plot.contributions(found.weekly, observed=found.fitted, **said),
            "Grey is what the model expects without media: baseline, seasonality and "
            "controls. Colours are the posterior means of what each channel added. Press a "
            "name to hide it, twice to see it alone.",
        )
    }
    table = found.table("decomposition")
    if table is not None:
        caption = (
            "Posterior means; with the grey rows they add up to 100% of what the model "
            "expects."
        )
        drawn["decomposition"] = (plot.decomposition(table, **said), caption)
    return drawn


def _paid(found: Evidence) -> Drawn:
    """What spend returned, and when."""
    said, channels = _said(found, "outcome", "currency", "value", "colours"), found.channels
    rows = for_geo(channels, None)
    paid = rows.loc[rows["roas_mean"].notna()]
    drawn: Drawn = {}
    if not paid.empty:
        below = " Dotted: 1, where spend breaks even."
        if found.returned.value is None:
            low = (paid["mroas_mean"].to_numpy(float) < 1).any()
            below = (
                f" Below 1 a unit of money brings less than one unit of {found.outcome}."
                if low
                else ""
            )
        drawn["returns"] = (
            plot.roas(channels, truth=found.truth or None, **said),
            "Full: what one unit of money brought on average, carry-over included. Hollow: "
            "what the next one brings, lower where a channel is saturated. The longer the "
            f"line, the less is known; the number is the mean.{below}",
        )
    if int((paid["spend"] > 0).sum()) > 1:
        drawn["bubbles"] = (
            plot.share_and_roas(channels, **said),
            "The area of a circle is the spend. To the right: large contribution; up: "
            "large return."
            + " Dotted: a return of 1, break-even."
            * (found.returned.value is not None),
        )
    windows, moving = found.table("returns"), found.table("multipliers")
    kinds = [] if windows is None else [k for k in ("year", "quarter", "month") if k in set(
        windows.loc[windows["roas_mean"].notna(), "kind"])]  # fmt: skip
    if windows is not None and kinds:
        why = (
            "The model holds each channel's curve fixed: returns move because spend moves "
            "along it."
            if moving is None
            else "Returns move because spend moves along a channel's curve, and because "
            "effects move that are allowed to."
        )
        drawn["periods"] = (
            plot.roas_over_time(windows, **said),
            "Each window of spend against spending nothing in it, carry-over after it "
            f"included. {why}",
        )
        kind = "quarter" if "quarter" in kinds else kinds[0]
        drawn["timing"] = (
            plot.now_and_after(
                windows, kind, share=True, **_said(found, "outcome", "colours")
            ),
            f"Full: within the {kind} of the spend. Pale: after it, by carry-over. Who "
            "counts the window alone misses the pale part.",
        )
    if moving is not None:
        drawn["multipliers"] = (
            plot.multipliers(moving, **_said(found, "colours")),
            "What a channel brings in a period is its effect times this. Tinted: after "
            "training, what a plan counts on.",
        )
    return drawn


def _levels(found: Evidence) -> Drawn:
    """What more or less spend would bring, and how it is spread over time."""
    drawn: Drawn = {}
    every = _said(found, "outcome", "currency", "period", "colours")
    table = found.table("curves")
    if table is not None:
        drawn["curves"] = (
            plot.curves(table, today=_today(found), **every),
            f"The dark dot is the mean {found.period} so far. The tinted range was "
            "observed; where a curve is dashed nothing like it ever was. Axes differ "
            "between channels.",
        )
    table = found.table("sweep")
    if table is not None:
        drawn["sweep"] = (
            plot.sweep(
                table,
                measure=("uplift", "marginal"),
                **_said(found, "outcome", "currency", "colours"),
            ),
            "One channel at a time, all others as they were, every period scaled up or "
            "down.",
        )
    table = found.table("carryover")
    if table is not None:
        drawn["lags"] = (
            plot.carryover(table, **_said(found, "period", "colours")),
            f"Mean and 94% interval of the share that comes in each {found.period}.",
        )
    return drawn


def _today(found: Evidence) -> dict[str, float]:
    """Spend of the mean period of training, over all geos; media of organic channels."""
    panel = found.fit.panel
    here = slice(panel.history, None)
    amounts = np.where(panel.paid, panel.spend[:, here], panel.media[:, here])
    count = np.maximum(panel.present[:, here].sum(axis=1), 1)[:, None]
    today = (np.nan_to_num(amounts).sum(axis=1) / count).sum(axis=0)
    return dict(zip(panel.channels, today.tolist(), strict=True))


def _described(found: Evidence) -> Drawn:
    """How the model describes the data, and how it was sampled."""
    said = _said(found, "outcome", "period")
    rows = for_geo(pd.concat([found.fitted, *([] if found.forecast is None else
                              [found.forecast])], ignore_index=True), None)  # fmt: skip
    rows = rows.loc[rows["observed"].notna()]
    share, after = share_inside(rows), found.tested
    whole = f"{len(rows):,} {found.period}s"
    if after is not None:
        whole += f" ({len(rows) - len(after):,} of training, {len(after):,} after it)"
    drawn: Drawn = {
        "fitted": (
            plot.fitted(found.fitted, found.forecast, **said),
            "The band is what a single period is expected to be, noise included: 94% of "
            "the points should lie in it.",
        ),
        "convergence": (
            plot.convergence(found.parameters, chains=found.diagnostics.n_chains),
            "Every point is a parameter. Left of the dotted line and above it chains "
            "disagree or draws are few; red is outside.",
        ),
    }
    drawn["residuals"] = (
        plot.residuals(found.fitted, found.forecast, **said),
        f"{in_percent(share)} of {whole} lie inside the 94% interval, "
        f"{covered(share, len(rows))}; those outside are red. Runs of one sign or a drift "
        "would mean that something is missing.",
    )
    priors = found.table("priors")
    if priors is not None:
        drawn["contraction"] = (
            plot.contraction(priors, **_said(found, "colours")),
            "100%: the data decided. Near 0%: the answer is the prior's, that is, an "
            "assumption. Below 0%: the data widened what the prior said.",
        )
    return drawn


def _tested(found: Evidence) -> Drawn:
    """What each fold of the backtest would have said."""
    drawn: Drawn = {}
    scores = found.table("backtest")
    if scores is not None:
        rows: Any = scores.loc[scores["split"] == "test"]
        drawn["backtest_scores"] = (
            plot.backtest_scores(scores, **_said(found, "outcome")),
            "Each fold was fitted on what was known then and judged on what came next. "
            f"{verdict_of(standings(rows))}",
        )
    table = found.table("backtest_forecast")
    if table is not None:
        drawn["backtest_forecasts"] = (
            plot.backtest_forecasts(table, **_said(found, "outcome", "period")),
            "",
        )
    table = found.table("backtest_parameters")
    if table is not None:
        said = _said(found, "outcome", "currency", "value", "colours")
        drawn["stability"] = (
            plot.stability(table, ["roas"], **said),
            "Intervals that move further than they are wide say that the answer depends on "
            "the window.",
        )
    return drawn


def _planned(found: Evidence, plan: Planned) -> Drawn:
    """What to spend, what it brings, when, and what other budgets would bring."""
    each = f"a {found.period}" if plan.facts["per_period"] else "over the window"
    drawn: Drawn = {
        "allocation": (
            plot.allocation(plan.table, currency=found.currency, per=each,
                            colours=found.colours),
            "The thin line is the range that was allowed.",
        )
    }  # fmt: skip
    draws = plan.more.get("draws")
    if draws is not None and len(draws) > 1:
        gain, sure = plan.gain, plan.probability
        how = "" if sure is None else f"; more with probability {chance(sure)}"
        drawn["plan_responses"] = (
            plot.plan_responses(
                {name: draws[name].to_numpy() for name in draws}, outcome=found.outcome
            ),
            "Dotted: means. Both are sure or unsure together: the difference is "
            f"{span(*gain)} (94% interval){how}{if_it_holds(found)}.",
        )
    table = plan.more.get("periods")
    if table is not None and not table.empty:
        drawn["plan_periods"] = (
            plot.flighting(table, **_said(found, "currency", "period", "colours")),
            "",
        )
    table = plan.more.get("frontier")
    if table is not None and len(table) > 1:
        drawn["frontier"] = (
            plot.frontier(
                table,
                marks=_marks(plan),
                per=each,
                **_said(found, "outcome", "currency"),
            ),
            "Bounds that are multiples of the reference grow with the budget.",
        )
    return drawn


def _marks(plan: Planned) -> dict[str, tuple[float, float]]:
    """Money and mean response of reference and plan."""
    names = ("reference", "optimized")
    spent = (float(plan.sums[name].sum()) for name in names)
    return dict(zip(names, zip(spent, plan.responses(), strict=True), strict=True))
