"""What the outcome itself will be under a plan: a forecast of both sides of the decision.

The response of a plan is what media bring; the outcome is that on top of baseline, trend,
seasonality, controls and what earlier media still do. Plan and reference are forecast for
the same dates with the same parameters and the same random numbers, so that they differ in
spend alone.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
import xarray as xr
from jaxtyping import Array

from mmmjax import response
from mmmjax.arguments import checked
from mmmjax.arrays import Arrays
from mmmjax.budget import request as requests
from mmmjax.budget.ahead import blank
from mmmjax.budget.given import costs_of
from mmmjax.budget.prices import Dearer, at_usual_price
from mmmjax.budget.record import PROB, intervals
from mmmjax.budget.scenario import Plan
from mmmjax.checks import Phrase, fail, integer, listing, number, numbers, show
from mmmjax.draws import Fit
from mmmjax.panel import Panel
from mmmjax.panel.calendar import following
from mmmjax.posterior.campaigns import bought
from mmmjax.posterior.fold import MEMORY, fold
from mmmjax.posterior.scope import ALL, Scope
from mmmjax.prediction import predict
from mmmjax.shapes import CAMPAIGN, CHANNEL, DATE, DRAW, GEO
from mmmjax.spec import Spec

__all__ = ["dates_of", "forecast_plan", "level", "outcome_table"]

PLAN = "plan"
SIDES = ("reference", "optimized")


@checked
def forecast_plan(
    fit: Fit,
    plan: Plan,
    *,
    controls: pd.DataFrame | Mapping[str, Any] | None = None,
    organic: Mapping[str, Any] | None = None,
    reference: Any = None,
    cost_per_unit: Any = None,
    seed: int = 0,
    noise: bool = True,
    total: bool = False,
    prob: float = PROB,
    memory: int = MEMORY,
) -> xr.Dataset:
    """Forecast the outcome over the window of a plan, under it and under its reference.

    What training media still do in the window counts on both sides, whatever `carry_in`
    the plan was made with; what the plan brings after it (the tail) is not in it.

    Args:
        fit: The fit the plan was made from; no plan of several markets.
        plan: The plan, with its flighting.
        controls: Values in the window; else 0, of levers the plan's, else the last. A
            DataFrame with a column per control, by date (its index, or the panel's date
            column; dates outside of the window are left out) and, if it has the panel's geo
            column, by geo; or {control: value}, one number, (period,) or (geo, period).
        organic: {channel: media per period} of channels without spend, in the same shapes;
            those left out are held at their training mean in each geo.
        reference: Spend, money, (geo, channel, period); None: the plan's, spread evenly.
        cost_per_unit: As in :func:`mmmjax.optimize`; None: that of the plan.
        seed: Of the noise, the same on both sides.
        noise: Forecast y, the outcome with its noise; False: mu, its mean untruncated.
        total: Sum over geos (one geo, "ALL").
        prob: Probability inside every [lo, hi], a highest-density interval.
        memory: Bound in bytes on what lives besides the result.

    Returns:
        Dataset, outcome units: ``outcome`` (plan, draw, geo, date), plan is "reference" or
        "optimized"; ``outcome_mean``, ``outcome_lo``, ``outcome_hi`` (plan, geo, date);
        ``spend`` (plan, geo, channel, date), money, of paid channels. Sums over geos and
        dates: ``total`` (plan, draw), ``total_mean``, ``total_lo``, ``total_hi`` (plan,),
        ``gain`` (draw,), optimized less reference, ``uplift`` (draw,), the gain in % of the
        reference (NaN where that is not positive), with ``gain_mean``, ``uplift_mean``,
        ``_lo`` and ``_hi``, and ``probability_better``, the share of draws with a gain
        above 0.

    Raises:
        InputError: A plan of another fit, or controls that cannot be read.
    """
    seed = integer("seed", seed, low=0, fix="seed=0")
    prob = number("prob", prob, low=0.0, high=1.0, open_low=True, open_high=True)
    dates, spends = dates_of(fit, plan), _spends(plan, reference)
    moved = plan.levers.sides if plan.levers else ({}, {})
    cost = costs_of(plan, fit) if cost_per_unit is None else cost_per_unit
    buys = requests.prices_of(requests.known_of(fit), cost, len(dates))
    sides = []
    for side, spend, values in zip(SIDES, spends, moved, strict=True):
        start = blank(fit, dates, controls, organic, levers=values)
        future = _with_campaigns(_with_spend(start, spend, *buys), fit, plan, side)
        if noise:
            found = predict(fit, future, seed=seed, total=total, memory=memory)
            draws = found["outcome"].to_numpy()
            draws = draws.reshape(-1, *draws.shape[2:])
        else:
            scope = Scope.of(fit, future)
            draws = fold(
                fit, level, scope.factor, inputs=scope.inputs, by_geo=True, memory=memory
            )
            draws = draws.sum(1, keepdims=True) if total else draws
        sides.append(draws)
    geos = [ALL] if total else list(fit.panel.geos)
    out = _dataset(np.stack(sides), geos, dates, prob)
    paid = [c for c in fit.panel.channels if c not in fit.panel.organic]
    money = np.stack(spends).sum(1, keepdims=True) if total else np.stack(spends)
    dims, coords = (PLAN, GEO, CHANNEL, DATE), {CHANNEL: paid}
    out = out.assign(spend=xr.DataArray(money, out.coords | coords, dims))
    return out.assign_attrs(
        outcome=fit.panel.outcome_name, currency=fit.panel.currency, seed=seed,
        noise=int(noise), prob=prob,
    )  # fmt: skip


@checked
def outcome_table(found: xr.Dataset) -> pd.DataFrame:
    """Two rows, reference and plan: the outcome over the window and what the plan adds.

    Columns: plan, total_mean, total_lo, total_hi, gain_mean, gain_lo, gain_hi (outcome
    units), uplift_mean, uplift_lo, uplift_hi (%), probability_better; empty for the
    reference where it is compared with itself.
    """
    ends = ("mean", "lo", "hi")
    rows = []
    for name in found[PLAN].to_numpy():
        row = {PLAN: name}
        row |= {f"total_{e}": float(found[f"total_{e}"].sel({PLAN: name})) for e in ends}
        if name != SIDES[0]:
            gains = [f"{kind}_{end}" for kind in ("gain", "uplift") for end in ends]
            row |= {key: float(found[key]) for key in (*gains, "probability_better")}
        rows.append(row)
    return pd.DataFrame(rows)


def dates_of(fit: Fit, plan: Plan) -> pd.DatetimeIndex:
    """Dates of the window; the plan has to be one of this fit."""
    known = requests.known_of(fit)
    ours = {GEO: known.geos, CHANNEL: known.channels}
    for dim, names in ours.items():
        got = tuple(str(name) for name in plan.optimized[dim].to_numpy())
        if got != names:
            fix = "forecast the plan of one fit with that fit"
            shown = Phrase(f"a plan for the {dim}s {listing(got)}")
            fail("plan", shown, "", f"the {dim}s of the fit: {listing(names, 12)}", fix)
    panel, periods = fit.panel, plan.spend_by_period.sizes["period"]
    dates = following(panel.dates, panel.freq, periods)
    period = plan.spend_by_period["period"].to_index()
    if isinstance(period, pd.DatetimeIndex) and not period.equals(dates):
        shown = Phrase(f"a plan from {show(period[0])} on")
        allowed = f"a window that follows training, from {show(dates[0])}"
        fail("plan", shown, "", allowed, "forecast the plan of one fit with that fit")
    return dates


def _spends(plan: Plan, reference: Any) -> list[np.ndarray]:
    """Money of reference and plan, (geo, channel, period) each."""
    spend = plan.spend_by_period.to_numpy()
    if reference is None:
        before = plan.reference.to_numpy() / (1 if plan.per_period else plan.periods)
        return [np.broadcast_to(before[..., None], spend.shape), spend]
    before = numbers(reference)
    fits = before is not None and before.shape == spend.shape
    if before is None or not fits or not ((before >= 0) & np.isfinite(before)).all():
        whole = before is None or before.shape == spend.shape
        got = reference if whole else Phrase(f"shape {np.shape(reference)}")
        allowed = f"finite money of at least 0, (geo, channel, period) {spend.shape}"
        fail("reference", got, "", allowed, "leave it out: the reference spread evenly")
    return [before, spend]


def _with_spend(window: Panel, spend: np.ndarray, cost: np.ndarray, rise: Dearer) -> Panel:
    """The window with paid media bought at `cost`, (geo, channel, period or 1)."""
    media, money = np.array(window.media), np.array(window.spend)
    money[..., window.paid] = np.moveaxis(spend, 1, 2)
    if rise.elasticity.any():
        with jax.enable_x64(True):
            spend = np.asarray(at_usual_price(jnp.asarray(spend), rise))
    media[..., window.paid] = np.moveaxis(spend / cost, 1, 2)
    return replace(window, media=media, spend=money)


def _with_campaigns(window: Panel, fit: Fit, plan: Plan, side: str) -> Panel:
    """The window with the money of channels split over campaigns as on a side of a plan.

    Of a plan of channels alone they are split as in training.
    """
    table, own = plan.campaigns, fit.panel.campaigns
    if table is None:
        return window
    if own is None:
        fix = "forecast the plan of one fit with that fit"
        fail("plan", Phrase("a plan of campaigns"), "", "a plan of channels", fix)
    column = "share" if side == SIDES[1] else "share_reference"
    known = table.set_index([GEO, CHANNEL, CAMPAIGN])[column].to_dict()
    pairs = list(zip(own.channels, own.names, strict=True))
    shares = [[known.get((geo, *pair), 0.0) for pair in pairs] for geo in fit.panel.geos]
    campaigns, more = bought(fit, np.nan_to_num(shares), len(window.dates))
    return replace(window, media=window.media * more[:, None], campaigns=campaigns)


def level(params: Mapping[str, Any], inputs: Arrays, spec: Spec, factor: Array) -> Array:
    """Mean of the outcome in one draw, (geo, time), outcome units."""
    return response.level(params, inputs, spec) * jnp.asarray(factor)[:, None]


def _dataset(
    draws: np.ndarray, geos: list[str], dates: pd.DatetimeIndex, prob: float
) -> xr.Dataset:
    """Name draws (plan, draw, geo, date), and sum them up."""
    totals = draws.sum((2, 3), dtype=np.float64)
    gain = totals[1] - totals[0]
    base = np.where(totals[0] > 0, totals[0], np.nan)
    uplift = 100.0 * gain / base
    data: dict[str, Any] = {
        "outcome": ((PLAN, DRAW, GEO, DATE), draws),
        "total": ((PLAN, DRAW), totals),
        "gain": ((DRAW,), gain),
        "uplift": ((DRAW,), uplift),
        "probability_better": ((), float((gain > 0).mean())),
    }
    sides = {"outcome": ((PLAN, GEO, DATE), draws), "total": ((PLAN,), totals)}
    data |= intervals(sides, prob, axis=1)
    data |= intervals({"gain": ((), gain), "uplift": ((), uplift)}, prob)
    return xr.Dataset(data, {PLAN: list(SIDES), GEO: geos, DATE: dates})
