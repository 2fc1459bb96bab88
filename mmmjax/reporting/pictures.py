"""The pictures of a report, inlined as SVG; those of the page's width also for a phone."""

import base64
from collections.abc import Callable
from typing import Any, NamedTuple

from matplotlib.figure import Figure

from mmmjax import plot
from mmmjax.plot.canvas import amount, for_geo, period_noun
from mmmjax.plot.media import decompose, returns
from mmmjax.reporting.evidence import Evidence

__all__ = ["Picture", "curve_pictures", "pictures"]

WIDE, HALF, PHONE, CELL = 9.8, 4.5, 4.0, 3.5  # inches; 96 CSS pixels each


class Picture(NamedTuple):
    """A picture as data URIs, with what it shows in words."""

    wide: str
    phone: str  # empty: the other fits a phone too
    alt: str
    caption: str


def pictures(found: Evidence) -> dict[str, Picture]:
    """Every picture that the evidence allows, by name."""
    outcome, told = found.fit.panel.outcome_name, found.diagnostics
    drawn = {
        "decomposition": _half(
            lambda width: plot.decomposition(
                found.weekly, outcome=outcome, colours=_colours(found), width=width
            ),
            _shares(found),
            "Posterior means; the shares add up to 100% of the fitted mean.",
        ),
        "fitted": _wide(
            lambda width: plot.fitted(
                found.training, found.forecast, outcome=outcome, width=width
            ),
            f"Observed {outcome} and predictions with their 94% interval over time",
            "The band holds what a single period is expected to be, noise included: 94% of "
            "the points should lie in it.",
        ),
        "convergence": _half(
            lambda width: plot.convergence(
                found.parameters, chains=told.n_chains, width=width
            ),
            f"R-hat at most {told.max_r_hat:.3f}, effective sample size at least "
            f"{told.min_ess_bulk:,.0f} (bulk) and {told.min_ess_tail:,.0f} (tail)",
            "Every point is a parameter. In the green corner chains agree and there are "
            "enough independent draws.",
        ),
    }
    if found.media is not None:
        drawn |= _media(found, outcome)
    if found.plan is not None:
        drawn["allocation"] = _allocation(found)
    return drawn


def _media(found: Evidence, outcome: str) -> dict[str, Picture]:
    panel, colours = found.fit.panel, _colours(found)
    drawn = {
        "contributions": _wide(
            lambda width: plot.contributions(
                found.weekly, outcome=outcome, colours=colours, width=width
            ),
            f"Contribution of every channel to {outcome} over time",
            "The grey area is what the model expects without media: baseline, seasonality "
            "and controls. The line on top is the fitted mean.",
        )
    }
    names = returns(found.channels)
    if names.channels:
        each = zip(names.channels, names.roas[0], strict=True)
        drawn["roas"] = _half(
            lambda width: plot.roas(
                found.channels, truth=found.truth, outcome=outcome,
                currency=panel.currency, colours=colours, width=width,
            ),
            "ROAS: " + ", ".join(f"{name} {amount(value)}" for name, value in each),
            "Carry-over after the training window counts. Hollow: what the next unit of "
            "money brings, lower where a channel is saturated.",
        )  # fmt: skip
    return drawn


def curve_pictures(found: Evidence, most: int = 24) -> list[Picture]:
    """One small picture a channel, in the user's order; the page puts them side by side.

    Of more than ``most`` channels, those that brought the most.
    """
    panel, curves = found.fit.panel, found.curves
    if curves is None:
        return []
    rows = for_geo(found.channels, None).sort_values("contribution_mean", ascending=False)
    chosen = set(rows["channel"].iloc[:most])
    look: dict[str, Any] = {
        "outcome": panel.outcome_name, "currency": panel.currency,
        "period": period_noun(panel.freq), "colours": _colours(found),
    }  # fmt: skip
    drawn = []
    for channel in (name for name in panel.channels if name in chosen):
        figure = plot.curve(curves, channel, brief=True, width=CELL, **look)
        alt = f"Response of {panel.outcome_name} to {channel} at other levels of spend"
        drawn.append(Picture(_inline(figure), "", alt, ""))
    return drawn


def _allocation(found: Evidence) -> Picture:
    plan = found.plan
    if plan is None:
        raise ValueError("no plan")
    noun = period_noun(found.fit.panel.freq)
    return _half(
        lambda width: plot.allocation(
            plan.to_frame(), currency=plan.currency, colours=_colours(found), width=width,
            per=f"a {noun}" if plan.per_period else f"over {plan.periods} {noun}s",
        ),
        "Reference and optimised spend of every channel; the table has the numbers",
        "The thin line is the range that was allowed; a bar at its end is held there.",
    )  # fmt: skip


def _colours(found: Evidence) -> dict[str, str]:
    return plot.channel_colours(found.fit.panel.channels)


def _shares(found: Evidence) -> str:
    parts = decompose(found.weekly)
    each = zip(parts.names, parts.shares, strict=True)
    return "Shares of the fitted mean: " + ", ".join(f"{n} {s:.1%}" for n, s in each)


def _half(draw: Callable[[float], Figure], alt: str, caption: str) -> Picture:
    return Picture(_inline(draw(HALF)), "", alt, caption)


def _wide(draw: Callable[[float], Figure], alt: str, caption: str) -> Picture:
    return Picture(_inline(draw(WIDE)), _inline(draw(PHONE)), alt, caption)


def _inline(figure: Any) -> str:
    content = base64.b64encode(plot.to_svg(figure).encode()).decode("ascii")
    return f"data:image/svg+xml;base64,{content}"
