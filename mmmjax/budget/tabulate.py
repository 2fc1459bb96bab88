"""Name the numbers of a solved problem: the Plan, in the unit the user speaks."""

from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from mmmjax.budget import record
from mmmjax.budget.layout import ABSENT, Layout
from mmmjax.budget.prepare import Prepared, value_of
from mmmjax.budget.record import Limit, judgeable
from mmmjax.budget.region import residuals
from mmmjax.budget.scenario import Plan
from mmmjax.budget.search import AT_BOUND, AT_ROW, budget_price
from mmmjax.panel import Panel
from mmmjax.panel.calendar import following
from mmmjax.shapes import CAMPAIGN, CHANNEL, DRAW, GEO

__all__ = ["plan_of", "spend_by_period"]


def plan_of(prepared: Prepared, solved: Any) -> Plan:
    """The plan of a solved problem."""
    layout, unit = prepared.layout, prepared.layout.unit
    coords = {GEO: list(layout.geos), CHANNEL: list(layout.channels)}
    spend = prepared.cells(solved.spend)
    blank = xr.DataArray(layout.table(layout.reference / unit), coords, (GEO, CHANNEL))

    def named(values: np.ndarray, fill: Any = 0.0) -> xr.DataArray:
        return blank.copy(deep=False, data=layout.table(values, fill))  # fast

    binding = _binding(layout, spend)
    by_period = spend_by_period(prepared, solved.spend)
    prices = np.broadcast_to(layout.prices, (len(spend), layout.periods))
    cost = by_period.copy(data=layout.table(prices, np.nan))
    if layout.prices.shape[1] == 1:
        cost = cost.isel(period=0, drop=True)
    rises = np.concatenate([x.elasticity.ravel() for x in layout.dearer])
    fits = judgeable(prepared.markets.values())
    spec, kind = prepared.kind.form.spec, prepared.utility.kind
    before, after = solved.seen
    value = prepared.utility.parameters["value"] if kind == "profit" else None
    misses = residuals(solved.spend, prepared.region)
    samples = np.stack([before.samples, after.samples])
    plans = {"plan": ["reference", "optimized"]}
    reduced = _per_cell(prepared, solved, solved.gradient - _row_prices(prepared, solved))
    end = solved.gradient, solved.multipliers, solved.spend
    price = float(budget_price(*end, prepared.region, prepared.price))
    return Plan(
        reference=blank,
        optimized=named(spend / unit),
        lower=named(layout.lower / unit),
        upper=named(layout.upper / unit),
        binding=named(binding, ABSENT),
        marginal=named(_per_cell(prepared, solved, after.marginal), np.nan),
        bound_price=named(np.where(binding == "free", 0.0, reduced), np.nan),
        spend_by_period=by_period,
        response=xr.DataArray(samples.sum(2), plans, ("plan", DRAW)),
        response_by_channel=xr.DataArray(
            samples, plans | {CHANNEL: list(layout.channels)}, ("plan", DRAW, CHANNEL)
        ),
        objective=after.utility,
        reference_objective=before.utility,
        reference_is=layout.reference_is,
        largest=named(layout.largest),
        cost_per_unit=cost,
        price_elasticity=named(rises),
        gap_bound=None if prepared.doubt else float(solved.gap),
        gap_reason=prepared.doubt,
        status=solved.status,
        kkt_residual=solved.residual,
        shadow_price=None if np.isnan(price) else price,
        limits=_limits(prepared, solved),
        residuals={name: miss / unit for name, miss in misses.items()},
        evaluations=solved.evaluations,
        starts=solved.starts,
        budget=layout.budget / unit,
        periods=layout.periods,
        per_period=layout.per_period,
        carry_in=prepared.carry_in,
        utility=str(prepared.utility),
        up_to=prepared.up_to,
        until_mroas=prepared.price or None,
        target=getattr(solved.goal, "target", None),
        probability=getattr(solved.goal, "probability", None),
        freq=prepared.about.freq,
        currency=prepared.about.currency,
        outcome_name=prepared.about.outcome_name,
        outcome_value=value_of(prepared.markets) if value is None else value,
        bounds_are=layout.bounds_are,
        quarter=prepared.quarter,
        fixed_geo_split=prepared.fixed_geo_split,
        national=layout.national if len(layout.geos) > 1 else (),
        memory=1 if spec is None else spec.memory,
        campaigns=_campaigns(prepared, solved.spend, after.marginal),
        fits=tuple(fits) if len(fits) <= record.JUDGED else (),
        n_fits=len(fits),
    )


def _campaigns(
    prepared: Prepared, spend: np.ndarray, marginal: np.ndarray
) -> pd.DataFrame | None:
    """A row for every campaign of a channel that is split, if that was asked."""
    if (within := prepared.within) is None:
        return None
    layout, parts = prepared.layout, prepared.parts(spend)
    each = marginal if prepared.split is None else marginal[prepared.split[0]]
    money = within.whole(parts)[within.cell]
    share = np.where(money > 0, parts / np.where(money > 0, money, 1.0), np.nan)
    room = within.high - within.low
    near = AT_BOUND * room
    low, high = share - within.low <= near, within.high - share <= near
    names = ["off", "fixed", "lower", "upper"]
    columns = {
        GEO: np.array(layout.geos)[layout.geo[within.cell]],
        CHANNEL: np.array(layout.channels)[layout.channel[within.cell]],
        CAMPAIGN: np.array(within.campaign),
        "reference": within.share * layout.reference[within.cell] / layout.unit,
        "optimized": parts / layout.unit,
        "share_reference": within.share,
        "share": share,
        "share_least": within.low,
        "share_most": within.high,
        "binding": np.select([money <= 0, room <= near, low, high], names, "free"),
        "marginal": each,
    }
    own = within.at >= 0
    return pd.DataFrame({name: values[own] for name, values in columns.items()})


def spend_by_period(prepared: Prepared, spend: np.ndarray) -> xr.DataArray:
    """Money of every geo and channel in every period of the window, (geo, channel, period).

    Periods are dated where the panel has a frequency, else numbered from 1.
    """
    layout, periods = prepared.layout, prepared.layout.periods
    if prepared.free_periods:
        cells = spend.reshape(-1, periods)
        if prepared.split is not None:
            cells = cells[prepared.split[0]] * prepared.split[1][:, None]
    elif prepared.profile is not None:
        cells = prepared.cells(spend)[:, None] * prepared.profile
    else:
        cells = np.repeat(prepared.cells(spend)[:, None] / periods, periods, axis=1)
    panel, dates = prepared.about, np.arange(1, periods + 1)
    if isinstance(panel, Panel) and panel.freq:
        dates = following(panel.dates, panel.freq, periods)
    coords = {GEO: list(layout.geos), CHANNEL: list(layout.channels), "period": dates}
    return xr.DataArray(layout.table(cells), coords, (GEO, CHANNEL, "period"))


def _binding(layout: Layout, spend: np.ndarray) -> np.ndarray:
    """Which bound holds each cell: lower, upper, fixed (no room) or free."""
    room = layout.upper - layout.lower
    near = AT_BOUND * room
    cases = [room <= 0, spend - layout.lower <= near, layout.upper - spend <= near]
    names = np.select(cases, ["fixed", "lower", "upper"], "free")
    return names.astype(f"<U{len(ABSENT)}")


def _per_cell(prepared: Prepared, solved: Any, values: np.ndarray) -> np.ndarray:
    """A price of variables as one of cells: that of a unit spread as the plan is."""
    periods = max(prepared.free_periods, 1)
    spend = solved.spend.reshape(-1, periods)
    total = spend.sum(1, keepdims=True)
    weights = np.where(total > 0, spend / np.where(total > 0, total, 1.0), 1.0 / periods)
    each = (values.reshape(-1, periods) * weights).sum(1)
    each = each if prepared.split is None else each[prepared.split[0]]
    if (within := prepared.within) is None:
        return each
    parts = prepared.parts(solved.spend)
    money = within.whole(parts)[within.cell]
    weights = np.where(money > 0, parts / np.where(money > 0, money, 1.0), within.share)
    return within.whole(each * weights)


def _row_prices(prepared: Prepared, solved: Any) -> np.ndarray:
    """What the rows of the region charge each variable; those of its own cell excepted."""
    rows = np.asarray(prepared.region.rows)
    count = len(rows)
    if prepared.within is not None:  # the last: campaigns
        count = 1 + len(prepared.limits.rows)
    if prepared.free_periods:
        count -= len(solved.spend) // prepared.free_periods  # the last: bounds of cells
    return solved.multipliers[:count] @ rows[:count]


def _limits(prepared: Prepared, solved: Any) -> tuple[Limit, ...]:
    """Limits besides bounds and budget: where the plan stands, what easing them brings."""
    unit, budget = prepared.layout.unit, prepared.layout.budget
    rows = np.asarray(prepared.region.rows)
    least, most = np.asarray(prepared.region.least), np.asarray(prepared.region.most)
    out = []
    for i, words in enumerate(prepared.limits.words[1:], start=1):
        value = float(rows[i] @ solved.spend)
        low, high = value - least[i] <= AT_ROW * budget, most[i] - value <= AT_ROW * budget
        side = 1 if high else 0
        out.append(Limit(
            words[side] or words[1 - side], value / unit, float(least[i]) / unit,
            float(most[i]) / unit, bool(low or high), abs(float(solved.multipliers[i])),
            "",
        ))  # fmt: skip
    floors = zip(
        prepared.limits.floors, solved.floor_prices, solved.floor_roas, strict=True
    )
    for floor, price, reached in floors:
        near = reached - floor.level <= 1e-4 * floor.level
        out.append(Limit(
            floor.name, reached, floor.level, np.inf, bool(near), float(price),
            "Lagrangian",
        ))  # fmt: skip
    return tuple(out)
