"""Plan: what to spend, compared with a reference, with the proof of how good it is."""

from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from mmmjax import words
from mmmjax.arguments import checked
from mmmjax.budget import wording
from mmmjax.budget.record import PlanRecord
from mmmjax.findings import Finding
from mmmjax.shapes import CHANNEL, GEO

__all__ = ["Plan"]

QUANTILES = (0.03, 0.25, 0.5, 0.75, 0.97)
AS_IT_IS = (  # what plan.json says in the words of a plan
    "objective", "reference_objective", "reference_is", "bounds_are", "reference_feasible",
    "probability_better", "outcome_value", "probability_net_gain", "gap_bound", "certified",
    "status", "utility", "starts", "budget", "up_to", "until_mroas", "target",
    "probability", "currency", "periods", "per_period", "carry_in", "memory",
    "fixed_geo_split", "kkt_residual", "shadow_price", "evaluations",
)  # fmt: skip
PRICES = ("cost_per_unit", "price_elasticity", "binding", "marginal", "bound_price")
NOTHING = "the objective is 0, and a better plan is not ruled out"


@checked
class Plan(PlanRecord):
    """A plan of spend per geo and channel over a window, and what it is expected to bring.

    Money is over the window, or a period if `per_period`; responses are sums over the
    window and its tail, over geos and paid channels, outcome units.

    Args:
        reference: Spend compared with, money, (geo, channel).
        optimized: Spend planned, money, (geo, channel).
        lower: Least spend allowed.
        upper: Largest spend allowed.
        binding: "lower", "upper", "fixed", "free" or "absent", (geo, channel).
        marginal: Outcome that the next unit of money brings at the plan, (geo, channel).
        bound_price: Utility of one more unit of money at a bound; below 0 at lower bounds.
        spend_by_period: Planned money in every period, (geo, channel, period).
        response: Draws of the response, (plan, draw); plan is "reference" or "optimized".
        response_by_channel: The same by channel, (plan, draw, channel).
        objective: Utility of the plan; outcome units for the mean response.
        reference_objective: Utility of the reference.
        reference_is: "past spend", "past split scaled to the budget", "as given", or the
            dates whose spend it is.
        largest: What the media of the largest period of training cost at the prices of the
            window (their mean over it), money, (geo, channel).
        cost_per_unit: Money per unit of media that the plan counts on, (geo, channel), or
            (geo, channel, period) where it changes; 1 with response curves.
        price_elasticity: How it rises with what is bought (:mod:`mmmjax.budget.prices`),
            (geo, channel); 0: it does not.
        gap_bound: No plan beats `objective` by more, outcome units; None if not proven.
        gap_reason: Why there is no gap bound; empty if there is one.
        status: How the solver ended, in words.
        kkt_residual: Largest entry of P(x + gradient) - x, scaled: 0 where stationary.
        shadow_price: Utility of one more unit of budget; None if nothing can take it.
        limits: Every limit besides bounds and budget.
        residuals: How far the plan misses budget and bounds, money.
        evaluations: Values with gradient that the solver computed.
        starts: Points it began from.
        budget: Total spend, money.
        periods: Length of the window.
        per_period: Whether money is a period's instead of the window's.
        carry_in: "zero" or "history".
        utility: What was maximised, as text.
        up_to: Whether the budget is a most.
        until_mroas: Utility that the last unit of money had to bring; None: any.
        target: Response that had to be reached with the smallest spend; None: not asked.
        probability: With which it had to be; None: on average.
        freq: Pandas frequency of a period, such as "W-SUN"; empty if not known.
        currency: Label of money.
        outcome_name: Label of the outcome.
        outcome_value: Money per unit of outcome; None: not known.
        bounds_are: What bounds are multiples of, in words.
        quarter: Whether `periods` is a quarter because no length was asked for.
        memory: Periods that an effect lasts, today included.
        fits: What it was made of, if at most 16: of more a fleet's table has the verdicts.
        n_fits: How many it was made of; 0 where that were curves.
        fixed_geo_split: Whether the split of channels over geos is that of the reference.
        national: Channels that are one decision, their split over geos being known.
        levers: What is set beside media, if that was asked.
        campaigns: If that was asked, columns of plan_campaigns.csv: geo, channel, campaign;
            reference and optimized (money); of the money of the channel share_reference,
            share (NaN of no money), share_least and share_most; binding ("lower", "upper",
            "fixed", "free", "off") and marginal, as of channels.
    """

    def to_frame(self) -> pd.DataFrame:
        """Columns of plan.csv: geo, channel, reference, optimized, lower, upper (money)."""
        names = ("reference", "optimized", "lower", "upper")
        labels = {dim: self.optimized[dim] for dim in (GEO, CHANNEL)}
        return words.long(labels, {name: getattr(self, name) for name in names})

    def periods_frame(self) -> pd.DataFrame:
        """Columns of plan_periods.csv: geo, channel, period, spend (money)."""
        labels: dict[str, Any] = {dim: self.optimized[dim] for dim in (GEO, CHANNEL)}
        labels["period"] = wording.period_labels(self)
        table = words.long(labels, {"spend": self.spend_by_period.to_numpy()})
        there = np.repeat(self._there.to_numpy(), self.spend_by_period.shape[-1])
        return table.loc[there].reset_index(drop=True)

    @property
    def _there(self) -> xr.DataArray:
        """Channels that a market has, (geo, channel)."""
        return self.binding != "absent"

    def to_dict(self) -> dict[str, Any]:
        """Content of plan.json: objective, proof, residuals and response of both plans."""
        unit = "money a period" if self.per_period else "money over the window"
        gap, beyond = self.relative_gap, self.extrapolated.notnull()
        below = self.campaigns
        told: dict[str, Any] = {name: getattr(self, name) for name in AS_IT_IS}
        told |= {
            "reference_breaks": list(self.reference_breaks),
            "gain": self.gain._asdict(),
            "net_gain": None if self.net_gain is None else self.net_gain._asdict(),
            "sampled": all(j.sampled.ok for j in self.judged) if self.judged else None,
            "adequate": all(j.adequate.ok for j in self.judged) if self.judged else None,
            "condition": wording.condition(self),
            "extrapolated": _rows(beyond, spend=self.largest_planned, largest=self.largest),
            "relative_gap": gap if gap is None or np.isfinite(gap) else None,
            "gap_reason": self.gap_reason if gap is None or np.isfinite(gap) else NOTHING,
            "utility_unit": wording.unit_of(self),
            "spent": wording.spent(self),
            "unit": unit,
            "periods_are_a_quarter_by_default": self.quarter,
            "national": list(self.national),
            "constraint_residuals": self.residuals,
            "limits": [_ends(limit._asdict()) for limit in self.limits],
            "prices": _rows(self._there, **{name: getattr(self, name) for name in PRICES}),
            "response": {
                str(name): _describe(self.response.sel(plan=name).to_numpy())
                for name in self.response["plan"].to_numpy()
            },
            **({"levers": _levers(self)} if self.levers else {}),
            **({} if below is None else {"campaigns": below.to_dict("records")}),
            "facts": [one.to_dict() for one in self.facts()],
            "findings": [one.to_dict() for one in self.findings()],
            "flighting": "not even" if wording.flighted(self) else "even",
        }
        if wording.flighted(self):
            rows = _rows(self._there, spend=self.spend_by_period)
            told["spend_by_period"] = {"period": wording.period_labels(self), "rows": rows}
        return told

    def _repr_html_(self) -> str:
        """The same words in a notebook."""
        return words.in_html(*wording.parts(self))

    def __repr__(self) -> str:
        """What to spend, what it brings and how sure that is the best."""
        return self.text()

    def facts(self) -> tuple[Finding, ...]:
        """What it changes and brings, how sure that is, what holds it: a record each."""
        return wording.facts(self, words.period_noun(self.freq))

    def findings(self) -> tuple[Finding, ...]:
        """What to know before spending: the verdicts on its models, curves beyond data."""
        return wording.findings(self, words.period_noun(self.freq))

    def text(self, noun: str = "period") -> str:
        """The plan in words; `noun` is what a period is called, such as "week"."""
        return wording.text(self, noun)


def _ends(limit: dict[str, Any]) -> dict[str, Any]:
    """A limit whose missing ends are None."""
    known = {k: v for k, v in limit.items() if isinstance(v, str) or np.isfinite(v)}
    return dict.fromkeys(limit) | known | {"binding": bool(limit["binding"])}


def _rows(where: xr.DataArray, **tables: xr.DataArray) -> list[dict[str, Any]]:
    """A row for every geo and channel where it is so: values of tables by name."""
    geos, channels = (where[dim].to_numpy().tolist() for dim in (GEO, CHANNEL))
    values = {name: table.to_numpy() for name, table in tables.items()}
    return [
        {GEO: geos[g], CHANNEL: channels[c]}
        | {n: x[g, c].tolist() for n, x in values.items()}
        for g, c in np.argwhere(where.to_numpy())
    ]


def _levers(plan: Plan) -> dict[str, Any]:
    """Levers, what they leave, and the same in words."""
    told = plan.levers
    assert told is not None
    rows = [
        {**one._asdict(), "extrapolated": not one.least <= one.planned <= one.most}
        for one in told.levers
    ]
    return {
        "levers": rows,
        "margin": dict(zip(("reference", "plan"), told.margin, strict=True)),
        "profit": {name: one._asdict() for name, one in told.profit.items()},
        "gain_over": {name: one._asdict() for name, one in told.gain.items()},
        "probability_over": told.better,
        "gap_bound": told.gap,
        "relative_gap": told.relative_gap,
        "tried": told.tried,
        "says": wording.levers(plan),
    }


def _describe(draws: np.ndarray) -> dict[str, Any]:
    levels = np.quantile(draws, QUANTILES)
    return {
        "mean": float(draws.mean()),
        "sd": float(draws.std(ddof=1)) if draws.size > 1 else 0.0,
        "quantiles": {f"{q:g}": float(v) for q, v in zip(QUANTILES, levels, strict=True)},
    }
