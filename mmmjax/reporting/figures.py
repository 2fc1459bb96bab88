"""The charts of a report: which of them the evidence allows, and what is said below each.

A chart is made by :mod:`mmmjax.plot`, once; here it gets its tables and its caption.
"""

from dataclasses import dataclass, field
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


@dataclass
class Drawn:
    """The figures of a page.

    Args:
        found: The evidence.
        tables: Of the page; those of the charts are added.
        figures: What is drawn, by name.
    """

    found: Evidence
    tables: Tables
    figures: dict[str, Figure] = field(default_factory=dict)

    def add(
        self,
        name: str,
        table: Any,
        labels: str,
        caption: str = "",
        picture: str = "",
        **more: Any,
    ) -> None:
        """Draw a table, unless there is none.

        Args:
            name: Of the figure.
            table: What the picture draws.
            labels: What it says of the panel: names of arguments.
            caption: What is said below it.
            picture: Its name in ``mm.plot``, if it is another.
            more: Its other arguments.
        """
        if table is None:
            return
        found = self.found
        known = {
            "outcome": found.outcome, "currency": found.currency, "period": found.period,
            "colours": found.colours, "value": found.fit.panel.outcome_value,
        }  # fmt: skip
        said = {label: known[label] for label in labels.split()}
        chart = getattr(plot, picture or name)(table, **said, **more)
        self.figures[name] = embedded(name, chart, self.tables, caption)


def figures(found: Evidence, tables: Tables) -> dict[str, Figure]:
    """Every figure that the evidence allows, by name.

    Args:
        found: The evidence.
        tables: Of the page; those of the charts are added.
    """
    drawn = Drawn(found, tables)
    text = "Grey is what the model expects without media: baseline, seasonality and "
    text += "controls. Colours are the posterior means of what each channel added. Press a "
    text += "name to hide it, twice to see it alone."
    own, seen = "outcome colours", found.fitted
    drawn.add("contributions", found.weekly, own, text, observed=seen)
    text = "Posterior means; with the grey rows they add up to 100% of what the model "
    drawn.add("decomposition", found.table("decomposition"), own, f"{text}expects.")
    _described(found, drawn)
    if found.media is not None:
        _paid(found, drawn)
        _levels(found, drawn)
    if found.table("backtest") is not None:
        _tested(found, drawn)
    if found.plan is not None:
        _planned(found, found.plan, drawn)
    return drawn.figures


def _paid(found: Evidence, drawn: Drawn) -> None:
    """What spend returned, and when."""
    money, rows = "outcome currency value colours", for_geo(found.channels, None)
    paid, even = rows.loc[rows["roas_mean"].notna()], found.returned.value is not None
    text = "Full: what one unit of money brought on average, carry-over included. Hollow: "
    text += "what the next one brings, lower where a channel is saturated. The longer the "
    text += "line, the less is known; the number is the mean."
    text += " Dotted: 1, where spend breaks even." if even else ""
    if not even and (paid["mroas_mean"].to_numpy(float) < 1).any():
        text += f" Below 1 a unit of money brings less than one unit of {found.outcome}."
    table = None if paid.empty else found.channels
    drawn.add("returns", table, money, text, "roas", truth=found.truth or None)
    text = "The area of a circle is the spend. To the right: large contribution; up: large "
    text += f"return.{' Dotted: a return of 1, break-even.' * even}"
    table = found.channels if int((paid["spend"] > 0).sum()) > 1 else None
    drawn.add("bubbles", table, money, text, "share_and_roas")
    windows, moving, kinds = found.table("returns"), found.table("multipliers"), []
    if windows is not None:
        there = {*windows.loc[windows["roas_mean"].notna(), "kind"]}
        kinds = [kind for kind in ("quarter", "year", "month") if kind in there]
    text = "Each window of spend against spending nothing in it, carry-over after it "
    text += "included. "
    why = "The model holds each channel's curve fixed: returns move because spend moves "
    why += "along it."
    if moving is not None:
        why = "Returns move because spend moves along a channel's curve, and because "
        why += "effects move that are allowed to."
    for kind in kinds[:1]:
        drawn.add("periods", windows, money, f"{text}{why}", "roas_over_time")
        text = f"Full: within the {kind} of the spend. Pale: after it, by carry-over. Who "
        text += "counts the window alone misses the pale part."
        own: dict[str, Any] = {"window": kind, "share": True}
        drawn.add("timing", windows, "outcome colours", text, "now_and_after", **own)
    text = "What a channel brings in a period is its effect times this. Tinted: after "
    drawn.add("multipliers", moving, "colours", f"{text}training, what a plan counts on.")


def _levels(found: Evidence, drawn: Drawn) -> None:
    """What more or less spend would bring, and how it is spread over time."""
    panel, period = found.fit.panel, found.period
    here = slice(panel.history, None)
    amounts = np.where(panel.paid, panel.spend[:, here], panel.media[:, here])
    count = np.maximum(panel.present[:, here].sum(axis=1), 1)[:, None]
    means = (np.nan_to_num(amounts).sum(axis=1) / count).sum(axis=0).tolist()
    today = dict(zip(panel.channels, means, strict=True))  # the mean period of training
    text = f"The dark dot is the mean {period} so far. The tinted range was observed; "
    text += (
        "where a curve is dashed nothing like it ever was. Axes differ between channels."
    )
    own = "outcome currency period colours"
    drawn.add("curves", found.table("curves"), own, text, today=today)
    text = "One channel at a time, all others as they were, every period scaled up or down."
    own, measures = "outcome currency colours", ("uplift", "marginal")
    drawn.add("sweep", found.table("sweep"), own, text, measure=measures)
    text = f"Mean and 94% interval of the share that comes in each {period}."
    drawn.add("lags", found.table("carryover"), "period colours", text, "carryover")


def _described(found: Evidence, drawn: Drawn) -> None:
    """How the model describes the data, and how it was sampled."""
    known = [found.fitted, *([] if found.forecast is None else [found.forecast])]
    rows = for_geo(pd.concat(known, ignore_index=True), None)
    rows = rows.loc[rows["observed"].notna()]
    share, after = share_inside(rows), found.tested
    whole = f"{len(rows):,} {found.period}s"
    if after is not None:
        whole += f" ({len(rows) - len(after):,} of training, {len(after):,} after it)"
    text = "The band is what a single period is expected to be, noise included: 94% of the "
    text += "points should lie in it."
    own, later = "outcome period", found.forecast
    drawn.add("fitted", found.fitted, own, text, test=later)
    text = "Every point is a parameter. Left of the dotted line and above it chains "
    text += "disagree or draws are few; red is outside."
    chains = found.diagnostics.n_chains
    drawn.add("convergence", found.parameters, "", text, chains=chains)
    text = f"{in_percent(share)} of {whole} lie inside the 94% interval, "
    text += f"{covered(share, len(rows))}; those outside are red. Runs of one sign or a "
    text += "drift would mean that something is missing."
    drawn.add("residuals", found.fitted, own, text, test=later)
    text = "100%: the data decided. Near 0%: the answer is the prior's, that is, an "
    text += "assumption. Below 0%: the data widened what the prior said."
    drawn.add("contraction", found.table("priors"), "colours", text)


def _tested(found: Evidence, drawn: Drawn) -> None:
    """What each fold of the backtest would have said."""
    scores: Any = found.table("backtest")
    text = "Each fold was fitted on what was known then and judged on what came next. "
    text += verdict_of(standings(scores.loc[scores["split"] == "test"]))
    drawn.add("backtest_scores", scores, "outcome", text)
    drawn.add("backtest_forecasts", found.table("backtest_forecast"), "outcome period")
    text = "Intervals that move further than they are wide say that the answer depends on "
    table, own = found.table("backtest_parameters"), "outcome currency value colours"
    drawn.add("stability", table, own, f"{text}the window.", names=["roas"])


def _planned(found: Evidence, plan: Planned, drawn: Drawn) -> None:
    """What to spend, what it brings, when, and what other budgets would bring."""
    per = f"a {found.period}" if plan.facts["per_period"] else "over the window"
    text = "The thin line is the range that was allowed."
    drawn.add("allocation", plan.table, "currency colours", text, per=per)
    sure = plan.probability
    how = "" if sure is None else f"; more with probability {chance(sure)}"
    text = "Dotted: means. Both are sure or unsure together: the difference is "
    text += f"{span(*plan.gain)} (94% interval){how}{if_it_holds(found)}."
    drawn.add("plan_responses", plan.brings, "outcome", text)
    periods, other = plan.more.get("periods"), plan.more.get("frontier")
    if periods is not None and not periods.empty:
        drawn.add("plan_periods", periods, "currency period colours", "", "flighting")
    if other is not None and len(other) > 1:
        names = ("reference", "optimized")
        spent = (float(plan.sums[name].sum()) for name in names)
        marks = dict(zip(names, zip(spent, plan.responses(), strict=True), strict=True))
        text = "Bounds that are multiples of the reference grow with the budget."
        own: dict[str, Any] = {"marks": marks, "per": per}
        drawn.add("frontier", other, "outcome currency", text, **own)
