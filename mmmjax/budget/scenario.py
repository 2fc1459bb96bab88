"""Plan: what to spend, compared with a reference, with the proof of how good it is."""

from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import xarray as xr

from mmmjax.budget import wording
from mmmjax.budget.constraints import ROUNDING
from mmmjax.metrics import hdi
from mmmjax.shapes import CHANNEL, GEO

__all__ = ["CERTIFIED_GAP", "Gain", "Plan"]

CERTIFIED_GAP = 1e-6  # relative gap bound up to which a plan is called certified
QUANTILES = (0.03, 0.25, 0.5, 0.75, 0.97)
PROB = 0.94  # of the interval of the gain


class Gain(NamedTuple):
    """Mean and 94% highest-density interval, outcome units."""

    mean: float
    lo: float
    hi: float


@dataclass(frozen=True, eq=False, repr=False)
class Plan:
    """A plan of spend per geo and channel over a window, and what it is expected to bring.

    Money is over the window, or a period if `per_period`; responses are sums over the
    window and its tail, over geos and paid channels, outcome units.

    Args:
        reference: Spend compared with, money, (geo, channel).
        optimized: Spend planned, money, (geo, channel).
        lower: Least spend allowed.
        upper: Largest spend allowed.
        binding: "lower", "upper", "fixed" or "free", (geo, channel).
        marginal: Outcome that the next unit of money brings at the plan, (geo, channel).
        response: Draws of the response, (plan, draw); plan is "reference" or "optimized".
        objective: Utility of the plan, outcome units.
        reference_objective: Utility of the reference.
        reference_is: Where the reference comes from: "past spend", "past split scaled to
            the budget" or "as given".
        largest: Largest spend of a single period of training, money, (geo, channel).
        gap_bound: No plan beats `objective` by more, outcome units; None if not proven.
        gap_reason: Why there is no gap bound; empty if there is one.
        status: How the solver ended, in words.
        kkt_residual: Largest entry of P(x + gradient) - x in shares of budget and of the
            reference response: 0 at a stationary point.
        shadow_price: Outcome that one more unit of budget brings; None if every channel
            is at its upper bound.
        residuals: How far the plan misses budget and bounds, money.
        evaluations: Values with gradient that the solver computed.
        budget: Total spend, money.
        periods: Length of the window.
        per_period: Whether money is a period's instead of the window's.
        carry_in: "zero" or "history".
        utility: Name of what was maximised.
        freq: Pandas frequency of a period, such as "W-SUN"; empty if not known.
        currency: Label of money.
        outcome_name: Label of the outcome.
    """

    reference: xr.DataArray
    optimized: xr.DataArray
    lower: xr.DataArray
    upper: xr.DataArray
    binding: xr.DataArray
    marginal: xr.DataArray
    response: xr.DataArray
    objective: float
    reference_objective: float
    reference_is: str
    largest: xr.DataArray
    gap_bound: float | None
    gap_reason: str
    status: str
    kkt_residual: float
    shadow_price: float | None
    residuals: dict[str, float]
    evaluations: int
    budget: float
    periods: int
    per_period: bool
    carry_in: str
    utility: str
    freq: str = ""
    currency: str = ""
    outcome_name: str = field(default="outcome")

    @property
    def relative_gap(self) -> float | None:
        """Gap bound as a share of the objective; None if there is none."""
        if self.gap_bound is None:
            return None
        size = abs(self.objective)
        return self.gap_bound / size if size else 0.0

    @property
    def certified(self) -> bool:
        """Whether it is proven that no plan is better by more than a millionth."""
        return self.relative_gap is not None and self.relative_gap <= CERTIFIED_GAP

    @property
    def gain(self) -> Gain:
        """Response of the plan less that of the reference, over draws."""
        gains = self._gains()
        if gains.size < 2:
            return Gain(*[float(gains.mean())] * 3)
        lo, hi = hdi(gains, PROB)
        return Gain(float(gains.mean()), float(lo), float(hi))

    @property
    def probability_better(self) -> float:
        """Share of draws in which the plan brings more than the reference."""
        return float((self._gains() > 0).mean())

    @property
    def reference_breaks(self) -> dict[str, list[str]]:
        """What the reference breaks: "bounds" and "fixed" with channels, "budget"."""
        return _breaks(self)

    @property
    def reference_feasible(self) -> bool:
        """Whether the reference respects bounds, fixed channels and budget."""
        return not self.reference_breaks

    @property
    def spend_a_period(self) -> xr.DataArray:
        """Planned spend a period, money, (geo, channel)."""
        return self.optimized if self.per_period else self.optimized / self.periods

    @property
    def extrapolated(self) -> xr.DataArray:
        """Planned spend a period over `largest`, (geo, channel); NaN where not above 1.

        Above 1 no period of training has seen so much spend: the response there is the
        shape of the curve, not data. Infinite where there was none.
        """
        return _extrapolated(self)

    @property
    def multiplier(self) -> xr.DataArray:
        """Planned over reference spend, (geo, channel); NaN without reference spend."""
        return self.optimized / self.reference.where(self.reference > 0)

    def to_frame(self) -> pd.DataFrame:
        """Columns of plan.csv: geo, channel, reference, optimized, lower, upper (money)."""
        return _frame(self)

    def to_dict(self) -> dict[str, Any]:
        """Content of plan.json: objective, proof, residuals and response of both plans."""
        return _record(self)

    def __repr__(self) -> str:
        """What to spend, what it brings and how sure that is the best."""
        return self.text()

    def text(self, noun: str = "period") -> str:
        """The plan in words; `noun` is what a period is called, such as "week"."""
        return wording.text(self, noun)

    def _gains(self) -> np.ndarray:
        plan, reference = (self.response.sel(plan=p) for p in ("optimized", "reference"))
        return plan.to_numpy() - reference.to_numpy()


def _breaks(plan: Plan) -> dict[str, list[str]]:
    slack = ROUNDING * plan.budget
    low, high = plan.lower - plan.reference, plan.reference - plan.upper
    outside = (low > slack) | (high > slack)
    held = plan.binding == "fixed"
    found = {"bounds": _channels(outside & ~held), "fixed": _channels(outside & held)}
    broken = {name: channels for name, channels in found.items() if channels}
    misses = abs(float(plan.reference.sum()) - plan.budget) > slack
    return broken | ({"budget": []} if misses else {})


def _extrapolated(plan: Plan) -> xr.DataArray:
    each, largest = plan.spend_a_period.to_numpy(), plan.largest.to_numpy()
    beyond = (each > largest * (1 + ROUNDING)) & (each > 0)
    none = largest <= 0
    times = np.where(none, np.inf, each / np.where(none, 1.0, largest))
    return plan.optimized.copy(data=np.where(beyond, times, np.nan))


def _record(plan: Plan) -> dict[str, Any]:
    unit = "money a period" if plan.per_period else "money over the window"
    return {
        "objective": plan.objective,
        "reference_objective": plan.reference_objective,
        "reference_is": plan.reference_is,
        "reference_feasible": plan.reference_feasible,
        "reference_breaks": list(plan.reference_breaks),
        "gain": plan.gain._asdict(),
        "probability_better": plan.probability_better,
        "extrapolated": _beyond(plan),
        "gap_bound": plan.gap_bound,
        "relative_gap": plan.relative_gap,
        "gap_reason": plan.gap_reason,
        "certified": plan.certified,
        "status": plan.status,
        "utility": plan.utility,
        "budget": plan.budget,
        "unit": unit,
        "currency": plan.currency,
        "periods": plan.periods,
        "per_period": plan.per_period,
        "carry_in": plan.carry_in,
        "constraint_residuals": plan.residuals,
        "kkt_residual": plan.kkt_residual,
        "shadow_price": plan.shadow_price,
        "evaluations": plan.evaluations,
        "response": {
            str(name): _describe(plan.response.sel(plan=name).to_numpy())
            for name in plan.response["plan"].to_numpy()
        },
    }


def _frame(plan: Plan) -> pd.DataFrame:
    names = ("reference", "optimized", "lower", "upper")
    arrays = {name: getattr(plan, name).to_numpy().ravel() for name in names}
    geos, channels = (plan.optimized[dim].to_numpy() for dim in (GEO, CHANNEL))
    index = {GEO: np.repeat(geos, channels.size), CHANNEL: np.tile(channels, geos.size)}
    return pd.DataFrame(index | arrays)


def _describe(draws: np.ndarray) -> dict[str, Any]:
    levels = np.quantile(draws, QUANTILES)
    return {
        "mean": float(draws.mean()),
        "sd": float(draws.std(ddof=1)) if draws.size > 1 else 0.0,
        "quantiles": {f"{q:g}": float(v) for q, v in zip(QUANTILES, levels, strict=True)},
    }


def _channels(where: xr.DataArray) -> list[str]:
    """Channels for which it is so in some geo."""
    return [str(name) for name in where[CHANNEL].to_numpy()[where.any(GEO).to_numpy()]]


def _beyond(plan: Plan) -> list[dict[str, Any]]:
    """Where the plan spends more in a period than training ever did, money a period."""
    times, each = plan.extrapolated, plan.spend_a_period.to_numpy()
    geos, channels = (times[dim].to_numpy() for dim in (GEO, CHANNEL))
    return [
        {
            "geo": str(geos[g]),
            "channel": str(channels[c]),
            "spend": float(each[g, c]),
            "largest": float(plan.largest.to_numpy()[g, c]),
        }
        for g, c in np.argwhere(~np.isnan(times.to_numpy()))
    ]
