"""Numbers of a plan: what is spent, what it brings, how good it is known to be."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import xarray as xr
from jaxtyping import Float

from mmmjax.adequacy import Judged, judge
from mmmjax.budget.region import ROUNDING
from mmmjax.draws import Fit
from mmmjax.metrics import hdi
from mmmjax.shapes import CHANNEL, GEO

__all__ = [
    "Gain",
    "Limit",
    "Moved",
    "PlanRecord",
    "Set",
    "condition_of",
    "gain_of",
    "interval",
    "intervals",
    "judgeable",
    "relative_gap",
]

CERTIFIED_GAP = 1e-6  # relative gap bound up to which a plan is called certified
PROB = 0.94  # of the interval of the gain
ENDS = ("mean", "lo", "hi")
JUDGED = 16  # fits at most that are judged where plans are told: it takes a moment for each
UNJUDGED = "if the models hold, which is not judged here"


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


class Set(NamedTuple):
    """A lever of a plan, one value in all periods and geos, its own units.

    Args:
        name: Its name.
        kind: "price", "discount" or "cost".
        reference: What it would be, by default its value in the last period of training.
        low: Least value allowed.
        high: Largest value allowed.
        least: Least value of training.
        most: Largest value of training.
        unit_cost: Cost of one unit of outcome, money.
        cost: Money per point and period.
        planned: What it is to be.
    """

    name: str
    kind: str
    reference: float
    low: float
    high: float
    least: float
    most: float
    unit_cost: float = 0.0
    cost: float = 0.0
    planned: float = 0.0


class Moved(NamedTuple):
    """Levers beside the media of a plan, money over the window.

    Args:
        levers: The levers.
        margin: Money kept of one unit of outcome, at the reference and as planned.
        profit: Of "reference", of "media alone" (planned with levers at the reference) and
            of "plan": margin times outcome, less media and the cost of levers.
        gain: Profit of the plan less that of "media alone" and of "reference".
        better: Share of draws in which that is above 0.
        gap: No media and levers within bounds have a mean profit that is more above the
            plan's; None if not proven.
        relative_gap: The same as a share of the profit.
        tried: Values of the lever of the margin that were tried.
    """

    levers: tuple[Set, ...]
    margin: tuple[float, float]
    profit: dict[str, Gain]
    gain: dict[str, Gain]
    better: dict[str, float]
    gap: float | None
    relative_gap: float | None
    tried: int

    @property
    def sides(self) -> tuple[dict[str, float], dict[str, float]]:
        """Values of the levers at the reference, and as planned."""
        return (
            {one.name: one.reference for one in self.levers},
            {one.name: one.planned for one in self.levers},
        )


@dataclass(frozen=True, eq=False, repr=False)
class PlanRecord:
    """Fields and numbers of a plan; :class:`mmmjax.Plan` says what they are."""

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
    price_elasticity: xr.DataArray
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
    national: tuple[str, ...] = ()
    levers: Moved | None = None
    campaigns: pd.DataFrame | None = None

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
    def at_most(self) -> bool:
        """Whether the budget need not be spent."""
        return self.up_to or self.until_mroas is not None

    @property
    def gain(self) -> Gain:
        """Response of the plan less that of the reference, over draws."""
        return gain_of(_gains(self))

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
        return None if self.outcome_value is None else gain_of(_net_gains(self))

    @property
    def probability_net_gain(self) -> float | None:
        """Share of draws in which `net_gain` is above 0; None as there."""
        known = self.outcome_value is not None
        return float((_net_gains(self) > 0).mean()) if known else None

    @property
    def reference_breaks(self) -> dict[str, list[str]]:
        """What the reference breaks: "bounds" and "fixed" with channels, "budget"."""
        slack = ROUNDING * self.budget
        low, high = self.lower - self.reference, self.reference - self.upper
        outside = (low > slack) | (high > slack)
        held = self.binding == "fixed"
        found = {"bounds": _channels(outside & ~held), "fixed": _channels(outside & held)}
        broken = {name: channels for name, channels in found.items() if channels}
        over = float(self.reference.sum()) - self.budget
        misses = (over if self.at_most else abs(over)) > slack
        return broken | ({"budget": []} if misses else {})

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
        each, largest = self.largest_planned.to_numpy(), self.largest.to_numpy()
        beyond = (each > largest * (1 + ROUNDING)) & (each > 0)
        none = largest <= 0
        times = np.where(none, np.inf, each / np.where(none, 1.0, largest))
        return self.optimized.copy(data=np.where(beyond, times, np.nan))

    @property
    def multiplier(self) -> xr.DataArray:
        """Planned over reference spend, (geo, channel); NaN without reference spend."""
        return self.optimized / self.reference.where(self.reference > 0)


def judgeable(fits: Iterable[Any]) -> list[Fit]:
    """Those that can be judged: draws of media alone are enough for a plan, curves too."""
    return [
        fit
        for fit in fits
        if isinstance(fit, Fit)
        and set(fit.spec.present(fit.spec.sizes(fit.panel))) <= set(fit.draws.params)
    ]


def condition_of(fits: Iterable[Any]) -> str:
    """What every claim made of some fits is subject to; empty: nothing contradicts them."""
    whole = judgeable(fits)
    if len(whole) > JUDGED:
        return UNJUDGED
    return next((held for fit in whole if (held := judge(fit).condition)), "")


def relative_gap(bound: float, objective: float) -> float:
    """A gap as a share of the objective; of an objective of 0 only a gap of 0 is none."""
    if objective == 0:
        return 0.0 if bound == 0 else np.inf
    return bound / abs(objective)


def _gains(plan: PlanRecord) -> np.ndarray:
    after, before = (plan.response.sel(plan=p) for p in ("optimized", "reference"))
    return after.to_numpy() - before.to_numpy()


def _net_gains(plan: PlanRecord) -> np.ndarray:
    more = float(plan.optimized.sum() - plan.reference.sum())
    cost = more * (plan.periods if plan.per_period else 1)
    return (plan.outcome_value or 0.0) * _gains(plan) - cost


def gain_of(draws: Float[np.ndarray, " draw"]) -> Gain:
    """Mean and 94% interval of some draws."""
    return Gain(*map(float, interval(draws)))


def interval(
    draws: Float[np.ndarray, "..."], prob: float = PROB, axis: int = 0
) -> tuple[Float[np.ndarray, "..."], ...]:
    """Mean, lo and hi over an axis: the highest-density interval; of few draws all."""
    mean, size = np.asarray(draws.mean(axis, dtype=np.float64)), draws.shape[axis]
    if not 1 <= int(np.floor(prob * size)) < size:
        return mean, np.asarray(draws.min(axis)), np.asarray(draws.max(axis))
    return mean, *hdi(draws, prob, axis=axis)


def intervals(
    found: Mapping[str, tuple[tuple[str, ...], Any]], prob: float, axis: int = 0
) -> dict[str, tuple[tuple[str, ...], Any]]:
    """Variables of a dataset: name_mean, name_lo and name_hi of (dims, draws) by name."""
    return {
        f"{name}_{end}": (dims, values)
        for name, (dims, draws) in found.items()
        for end, values in zip(ENDS, interval(draws, prob, axis), strict=True)
    }


def _channels(where: xr.DataArray) -> list[str]:
    """Channels for which it is so in some geo."""
    return [str(name) for name in where[CHANNEL].to_numpy()[where.any(GEO).to_numpy()]]
