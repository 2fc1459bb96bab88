"""Plan: what to spend, compared with a reference, with the proof of how good it is."""

from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import xarray as xr

from mmmjax.adequacy import Judged, judge
from mmmjax.arguments import checked
from mmmjax.budget import wording
from mmmjax.budget.region import ROUNDING
from mmmjax.draws import Fit
from mmmjax.metrics import hdi
from mmmjax.shapes import CHANNEL, GEO

__all__ = ["CERTIFIED_GAP", "Gain", "Limit", "Plan", "relative_gap"]

CERTIFIED_GAP = 1e-6  # relative gap bound up to which a plan is called certified
QUANTILES = (0.03, 0.25, 0.5, 0.75, 0.97)
PROB = 0.94  # of the interval of the gain
NOTHING = "the objective is 0, and a better plan is not ruled out"


class Gain(NamedTuple):
    """Mean and 94% highest-density interval, outcome units or money."""

    mean: float
    lo: float
    hi: float


class Limit(NamedTuple):
    """A limit besides bounds and budget, and where the plan stands.

    Args:
        name: What the limit says.
        value: Money (or ROAS) of the plan.
        least: Least of it, -inf: none.
        most: Most of it, inf: none.
        binding: Whether the plan is at the limit.
        price: Utility that easing it by one unit of money brings.
        bound: "Lagrangian" where the limit is curved and the gap is of that kind.
    """

    name: str
    value: float
    least: float
    most: float
    binding: bool
    price: float
    bound: str


@checked
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
    """

    reference: xr.DataArray
    optimized: xr.DataArray
    lower: xr.DataArray
    upper: xr.DataArray
    binding: xr.DataArray
    marginal: xr.DataArray
    bound_price: xr.DataArray
    spend_by_period: xr.DataArray
    response: xr.DataArray
    response_by_channel: xr.DataArray
    objective: float
    reference_objective: float
    reference_is: str
    largest: xr.DataArray
    cost_per_unit: xr.DataArray
    gap_bound: float | None
    gap_reason: str
    status: str
    kkt_residual: float
    shadow_price: float | None
    limits: tuple[Limit, ...]
    residuals: dict[str, float]
    evaluations: int
    starts: int
    budget: float
    periods: int
    per_period: bool
    carry_in: str
    utility: str
    up_to: bool = False
    until_mroas: float | None = None
    target: float | None = None
    probability: float | None = None
    freq: str = ""
    currency: str = ""
    outcome_name: str = field(default="outcome")
    outcome_value: float | None = None
    bounds_are: str = ""
    quarter: bool = False
    memory: int = 1
    fits: tuple[Fit, ...] = ()
    n_fits: int = 0
    fixed_geo_split: bool = False

    @property
    def relative_gap(self) -> float | None:
        """Gap bound as a share of the objective; None if there is none."""
        bound = self.gap_bound
        return None if bound is None else relative_gap(bound, self.objective)

    @property
    def certified(self) -> bool:
        """Whether it is proven that no plan is better by more than a millionth."""
        return self.relative_gap is not None and bool(self.relative_gap <= CERTIFIED_GAP)

    @property
    def gain(self) -> Gain:
        """Response of the plan less that of the reference, over draws."""
        return _gain(_gains(self))

    @property
    def probability_better(self) -> float:
        """Share of draws in which the plan brings more than the reference."""
        return float((_gains(self) > 0).mean())

    @property
    def judged(self) -> tuple[Judged, ...]:
        """Verdicts on `fits`."""
        return tuple(judge(fit) for fit in self.fits)

    @property
    def net_gain(self) -> Gain | None:
        """What `gain` is worth less what it costs more, money over the window, over draws.

        None where `outcome_value` is not known.
        """
        return None if self.outcome_value is None else _gain(_net_gains(self))

    @property
    def probability_net_gain(self) -> float | None:
        """Share of draws in which `net_gain` is above 0; None as there."""
        known = self.outcome_value is not None
        return float((_net_gains(self) > 0).mean()) if known else None

    @property
    def reference_breaks(self) -> dict[str, list[str]]:
        """What the reference breaks: "bounds" and "fixed" with channels, "budget"."""
        return _breaks(self)

    @property
    def reference_feasible(self) -> bool:
        """Whether the reference respects bounds, fixed channels and budget."""
        return not self.reference_breaks

    @property
    def largest_planned(self) -> xr.DataArray:
        """Planned spend of the period with most media, at mean prices, (geo, channel)."""
        price = self.cost_per_unit
        if "period" not in price.dims:
            return self.spend_by_period.max("period")
        return (self.spend_by_period / price).max("period") * price.mean("period")

    @property
    def extrapolated(self) -> xr.DataArray:
        """Largest planned period over `largest`; NaN where training has seen as much."""
        return _extrapolated(self)

    @property
    def multiplier(self) -> xr.DataArray:
        """Planned over reference spend, (geo, channel); NaN without reference spend."""
        return self.optimized / self.reference.where(self.reference > 0)

    def to_frame(self) -> pd.DataFrame:
        """Columns of plan.csv: geo, channel, reference, optimized, lower, upper (money)."""
        return _frame(self)

    def periods_frame(self) -> pd.DataFrame:
        """Columns of plan_periods.csv: geo, channel, period, spend (money)."""
        return _periods(self)

    def to_dict(self) -> dict[str, Any]:
        """Content of plan.json: objective, proof, residuals and response of both plans."""
        return _record(self)

    def __repr__(self) -> str:
        """What to spend, what it brings and how sure that is the best."""
        return self.text()

    def text(self, noun: str = "period") -> str:
        """The plan in words; `noun` is what a period is called, such as "week"."""
        return wording.text(self, noun)


def relative_gap(bound: float, objective: float) -> float:
    """A gap as a share of the objective; of an objective of 0 only a gap of 0 is none."""
    if objective == 0:
        return 0.0 if bound == 0 else np.inf
    return bound / abs(objective)


def _gains(plan: Plan) -> np.ndarray:
    after, before = (plan.response.sel(plan=p) for p in ("optimized", "reference"))
    return after.to_numpy() - before.to_numpy()


def _net_gains(plan: Plan) -> np.ndarray:
    more = float(plan.optimized.sum() - plan.reference.sum())
    cost = more * (plan.periods if plan.per_period else 1)
    return (plan.outcome_value or 0.0) * _gains(plan) - cost


def _gain(gains: np.ndarray) -> Gain:
    if gains.size < 2:
        return Gain(*[float(gains.mean())] * 3)
    lo, hi = hdi(gains, PROB)
    return Gain(float(gains.mean()), float(lo), float(hi))


def _breaks(plan: Plan) -> dict[str, list[str]]:
    slack = ROUNDING * plan.budget
    low, high = plan.lower - plan.reference, plan.reference - plan.upper
    outside = (low > slack) | (high > slack)
    held = plan.binding == "fixed"
    found = {"bounds": _channels(outside & ~held), "fixed": _channels(outside & held)}
    broken = {name: channels for name, channels in found.items() if channels}
    over = float(plan.reference.sum()) - plan.budget
    misses = (over if wording.at_most(plan) else abs(over)) > slack
    return broken | ({"budget": []} if misses else {})


def _extrapolated(plan: Plan) -> xr.DataArray:
    each, largest = plan.largest_planned.to_numpy(), plan.largest.to_numpy()
    beyond = (each > largest * (1 + ROUNDING)) & (each > 0)
    none = largest <= 0
    times = np.where(none, np.inf, each / np.where(none, 1.0, largest))
    return plan.optimized.copy(data=np.where(beyond, times, np.nan))


def _record(plan: Plan) -> dict[str, Any]:
    unit = "money a period" if plan.per_period else "money over the window"
    gap = plan.relative_gap
    return {
        "objective": plan.objective,
        "reference_objective": plan.reference_objective,
        "reference_is": plan.reference_is,
        "bounds_are": plan.bounds_are,
        "reference_feasible": plan.reference_feasible,
        "reference_breaks": list(plan.reference_breaks),
        "gain": plan.gain._asdict(),
        "probability_better": plan.probability_better,
        "outcome_value": plan.outcome_value,
        "net_gain": None if plan.net_gain is None else plan.net_gain._asdict(),
        "probability_net_gain": plan.probability_net_gain,
        "adequate": all(j.adequate.ok for j in plan.judged) if plan.judged else None,
        "condition": wording.condition(plan),
        "extrapolated": _beyond(plan),
        "gap_bound": plan.gap_bound,
        "relative_gap": gap if gap is None or np.isfinite(gap) else None,
        "gap_reason": plan.gap_reason if gap is None or np.isfinite(gap) else NOTHING,
        "certified": plan.certified,
        "status": plan.status,
        "utility": plan.utility,
        "utility_unit": wording.unit_of(plan),
        "starts": plan.starts,
        "budget": plan.budget,
        "spent": wording.spent(plan),
        "up_to": plan.up_to,
        "until_mroas": plan.until_mroas,
        "target": plan.target,
        "probability": plan.probability,
        "unit": unit,
        "currency": plan.currency,
        "periods": plan.periods,
        "per_period": plan.per_period,
        "periods_are_a_quarter_by_default": plan.quarter,
        "carry_in": plan.carry_in,
        "memory": plan.memory,
        "fixed_geo_split": plan.fixed_geo_split,
        "constraint_residuals": plan.residuals,
        "kkt_residual": plan.kkt_residual,
        "shadow_price": plan.shadow_price,
        "limits": [_ends(limit._asdict()) for limit in plan.limits],
        "prices": _prices(plan),
        "evaluations": plan.evaluations,
        "response": {
            str(name): _describe(plan.response.sel(plan=name).to_numpy())
            for name in plan.response["plan"].to_numpy()
        },
        "flighting": "not even" if wording.flighted(plan) else "even",
        **(_by_period(plan) if wording.flighted(plan) else {}),
    }


def _ends(limit: dict[str, Any]) -> dict[str, Any]:
    """A limit whose missing ends are None."""
    known = {k: v for k, v in limit.items() if isinstance(v, str) or np.isfinite(v)}
    return dict.fromkeys(limit) | known | {"binding": bool(limit["binding"])}


def _prices(plan: Plan) -> list[dict[str, Any]]:
    """What holds each channel, and what its next money and easing its bound bring."""
    geos, channels = (plan.optimized[dim].to_numpy() for dim in (GEO, CHANNEL))
    at, marginal, price = (
        x.to_numpy() for x in (plan.binding, plan.marginal, plan.bound_price)
    )
    return [
        {
            "geo": str(geos[g]),
            "channel": str(channels[c]),
            "cost_per_unit": plan.cost_per_unit.to_numpy()[g, c].tolist(),
            "binding": str(at[g, c]),
            "marginal": float(marginal[g, c]),
            "bound_price": float(price[g, c]),
        }
        for g, c in np.argwhere(at != "absent")
    ]


def _by_period(plan: Plan) -> dict[str, Any]:
    """Planned money of every period, where it is not the same in all."""
    geos, channels = (plan.optimized[dim].to_numpy() for dim in (GEO, CHANNEL))
    spend = plan.spend_by_period.to_numpy()
    rows = [
        {"geo": str(geos[g]), "channel": str(channels[c]), "spend": spend[g, c].tolist()}
        for g, c in np.argwhere(plan.binding.to_numpy() != "absent")
    ]
    return {"spend_by_period": {"period": wording.period_labels(plan), "rows": rows}}


def _frame(plan: Plan) -> pd.DataFrame:
    names = ("reference", "optimized", "lower", "upper")
    arrays = {name: getattr(plan, name).to_numpy().ravel() for name in names}
    geos, channels = (plan.optimized[dim].to_numpy() for dim in (GEO, CHANNEL))
    index = {GEO: np.repeat(geos, channels.size), CHANNEL: np.tile(channels, geos.size)}
    return pd.DataFrame(index | arrays)


def _periods(plan: Plan) -> pd.DataFrame:
    spend = plan.spend_by_period.to_numpy()
    geos, channels = (plan.optimized[dim].to_numpy() for dim in (GEO, CHANNEL))
    index = pd.MultiIndex.from_product(
        [geos, channels, wording.period_labels(plan)], names=[GEO, CHANNEL, "period"]
    )
    table = index.to_frame(index=False)
    there = np.repeat(plan.binding.to_numpy().ravel() != "absent", spend.shape[-1])
    return table.assign(spend=spend.ravel()).loc[there].reset_index(drop=True)


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
    times, each = plan.extrapolated, plan.largest_planned.to_numpy()
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
