"""Plan: what to spend, compared with a reference, with the proof of how good it is."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from mmmjax.shapes import CHANNEL, GEO

__all__ = ["CERTIFIED_GAP", "Plan"]

CERTIFIED_GAP = 1e-6  # relative gap bound up to which a plan is called certified
QUANTILES = (0.03, 0.25, 0.5, 0.75, 0.97)
MOST_ROWS = 16  # a longer table is shown by channel, summed over geos


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
        reference_feasible: Whether the reference respects bounds and budget.
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
    reference_feasible: bool
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
    def multiplier(self) -> xr.DataArray:
        """Planned over reference spend, (geo, channel); NaN without reference spend."""
        return self.optimized / self.reference.where(self.reference > 0)

    def to_frame(self) -> pd.DataFrame:
        """Columns of plan.csv: geo, channel, reference, optimized, lower, upper (money)."""
        return _frame(self)

    def to_dict(self) -> dict[str, Any]:
        """Content of plan.json: objective, proof, residuals and response of both plans."""
        unit = "money a period" if self.per_period else "money over the window"
        return {
            "objective": self.objective,
            "reference_objective": self.reference_objective,
            "reference_feasible": self.reference_feasible,
            "gap_bound": self.gap_bound,
            "relative_gap": self.relative_gap,
            "gap_reason": self.gap_reason,
            "certified": self.certified,
            "status": self.status,
            "utility": self.utility,
            "budget": self.budget,
            "unit": unit,
            "currency": self.currency,
            "periods": self.periods,
            "per_period": self.per_period,
            "carry_in": self.carry_in,
            "constraint_residuals": self.residuals,
            "kkt_residual": self.kkt_residual,
            "shadow_price": self.shadow_price,
            "evaluations": self.evaluations,
            "response": {
                str(name): _describe(self.response.sel(plan=name).to_numpy())
                for name in self.response["plan"].to_numpy()
            },
        }

    def __repr__(self) -> str:
        """What to spend, what it brings and how sure that is the best."""
        return _text(self)


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


def _text(plan: Plan) -> str:
    unit = f" {plan.currency}" if plan.currency else ""
    each = " a period" if plan.per_period else ""
    gain = plan.objective - plan.reference_objective
    share = (
        f" ({gain / plan.reference_objective:+.2%})" if plan.reference_objective > 0 else ""
    )
    price = "every channel is at its upper bound"
    if plan.shadow_price is not None:
        price = (
            f"{plan.shadow_price:,.4g} {plan.outcome_name} for one more{unit or ' unit'}"
        )
    lines = [
        f"Plan: {_figure(plan.budget)}{unit}{each} over {plan.periods} period(s), "
        f"maximal {plan.utility}, carry-in {plan.carry_in}",
        *(f"  {line}" for line in _table(plan)),
        f"  response   {_figure(plan.objective)} {plan.outcome_name}, reference "
        f"{_figure(plan.reference_objective)}{share}",
        f"  proof      {_proof(plan)}",
        f"  next       {price}",
    ]
    if not plan.reference_feasible:
        lines.append("  note       the reference itself breaks the bounds or the budget")
    return "\n".join(lines)


def _proof(plan: Plan) -> str:
    if plan.relative_gap is None:
        return f"none ({plan.gap_reason}); {plan.status}"
    word = "certified" if plan.certified else "NOT certified"
    most = f"no plan is better by more than {plan.relative_gap:.1e} of it"
    return f"{word}: {most}; {plan.status}"


def _table(plan: Plan) -> list[str]:
    """Rows of variables, or of channels where those would be too many."""
    names = ("reference", "optimized", "lower", "upper", "binding")
    reference, optimized, lower, upper, binding = (
        getattr(plan, n).to_numpy() for n in names
    )
    geos, channels = (
        [str(x) for x in plan.optimized[dim].values] for dim in (GEO, CHANNEL)
    )
    if len(geos) > 1 and optimized.size > MOST_ROWS:
        held = (binding != "free").sum(0)
        binding = np.array([[f"{n} of {len(geos)} geos" if n else "free" for n in held]])
        sums = [x.sum(0, keepdims=True) for x in (reference, optimized, lower, upper)]
        reference, optimized, lower, upper = sums
        geos = ["all"]
    digits = 0 if optimized.max() >= 1000 else 2
    rows = [
        ["geo", "channel", "reference", "optimized", "change", "lower", "upper", "at bound"]
    ]
    for g, c in np.ndindex(optimized.shape):
        money = [f"{x[g, c]:,.{digits}f}" for x in (reference, optimized, lower, upper)]
        change = optimized[g, c] / reference[g, c] - 1 if reference[g, c] > 0 else None
        money.insert(2, "" if change is None else f"{change:+.1%}")
        rows.append([geos[g], channels[c], *money, str(binding[g, c]).replace("free", "")])
    if len(geos) == 1:
        rows = [row[1:] for row in rows]
    columns = [_aligned(column) for column in zip(*rows, strict=True)]
    return ["  ".join(cells).rstrip() for cells in zip(*columns, strict=True)]


def _aligned(column: tuple[str, ...]) -> list[str]:
    """Names to the left, numbers to the right."""
    side = "<" if column[0] in ("geo", "channel", "at bound") else ">"
    width = max(map(len, column))
    return [f"{cell:{side}{width}}" for cell in column]


def _figure(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:,.4g}"
