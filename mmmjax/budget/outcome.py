"""What the outcome itself will be under a plan: a forecast of both sides of the decision.

The response of a plan is what media bring; the outcome is that on top of baseline, trend,
seasonality, controls and what earlier media still do. Plan and reference are forecast for
the same dates with the same parameters and the same random numbers, so that they differ in
spend alone.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import jax.numpy as jnp
import numpy as np
import pandas as pd
import xarray as xr
from jaxtyping import Array

from mmmjax import response
from mmmjax.arguments import checked
from mmmjax.arrays import Arrays
from mmmjax.budget import request as requests
from mmmjax.budget.given import costs_of
from mmmjax.budget.record import PROB
from mmmjax.budget.scenario import Plan
from mmmjax.checks import Phrase, closest, fail, finite, integer, listing, number, show
from mmmjax.draws import Fit
from mmmjax.metrics import hdi
from mmmjax.panel import Panel
from mmmjax.posterior.fold import MEMORY, fold
from mmmjax.posterior.levers import levers_of
from mmmjax.posterior.scope import ALL, Scope
from mmmjax.prediction import predict
from mmmjax.shapes import CHANNEL, DATE, DRAW, GEO
from mmmjax.spec import Spec

__all__ = ["blank", "dates_of", "forecast_plan", "level", "outcome_table"]

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
    cost = requests.cost_of(requests.known_of(fit), cost, len(dates))
    sides = []
    for spend, values in zip(spends, moved, strict=True):
        start = blank(fit, dates, controls, organic, levers=values)
        future = _with_spend(start, spend, cost)
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
    last = panel.dates[-1]
    dates = pd.date_range(last, periods=periods + 1, freq=panel.freq)
    dates = dates[dates > last][:periods]
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
    before = np.asarray(reference, np.float64)
    if before.shape != spend.shape or not (np.isfinite(before) & (before >= 0)).all():
        got = Phrase(f"shape {before.shape}") if before.shape != spend.shape else reference
        allowed = f"finite money of at least 0, (geo, channel, period) {spend.shape}"
        fail("reference", got, "", allowed, "leave it out: the reference spread evenly")
    return [before, spend]


def blank(
    fit: Fit,
    dates: pd.DatetimeIndex,
    controls: Any,
    organic: Mapping[str, Any] | None,
    *,
    levers: Mapping[str, float],
    average: bool = False,
) -> Panel:
    """The window without paid media: dates, controls, organic channels.

    Args:
        fit: The fit.
        dates: Of the window.
        controls: As :func:`forecast_plan` takes them.
        organic: The same.
        levers: Values of levers that are not among the controls given; of those left out
            their last value.
        average: Hold other controls that are not given at their mean of training, not at 0.
    """
    train = fit.panel
    shape = (train.n_geos, len(dates))
    media = np.zeros((*shape, len(train.channels)))
    seen = train.present[:, train.window, None]
    count = np.maximum(seen.sum(1), 1)
    mean = np.where(seen, train.media[:, train.window], 0.0).sum(1) / count
    spend = np.full_like(media, np.nan)
    spend[..., train.paid] = 0.0
    free = [train.channels.index(name) for name in train.organic]
    media[..., free] = mean[:, None, free]
    for name, value in (organic or {}).items():
        if name not in train.organic:
            known = f"organic channels ({listing(train.organic, 12) or 'none'})"
            fail("organic", name, "", known, "paid channels are those of the plan")
        values = _over_window("organic", name, value, train, dates)
        if (values < 0).any():
            fail("organic", value, f'channel "{name}"', "media of at least 0", "write 0.0")
        media[..., train.channels.index(name)] = values
    usual = np.where(seen, train.controls[:, train.window], 0.0).sum(1) / count
    usual = usual if average else np.zeros_like(usual)
    for name, lever in levers_of(fit).items():
        usual[:, lever.at] = levers.get(name, lever.last)
    given = _controls(train, dates, controls, usual)
    last = None if train.people is None else train.people[:, -1]
    return replace(
        train, outcome=np.full(shape, np.nan), media=media, spend=spend, population=last,
        controls=given, present=np.ones(shape, bool), dates=dates, history=0,
        campaigns=None, frequency=None,
    )  # fmt: skip


def _with_spend(window: Panel, spend: np.ndarray, cost: np.ndarray) -> Panel:
    """The window with paid media bought at `cost`, (geo, channel, period or 1)."""
    media, money = np.array(window.media), np.array(window.spend)
    money[..., window.paid] = np.moveaxis(spend, 1, 2)
    media[..., window.paid] = money[..., window.paid] / np.swapaxes(cost, 1, 2)
    return replace(window, media=media, spend=money)


def _over_window(
    field: str, name: str, value: Any, train: Panel, dates: pd.DatetimeIndex
) -> np.ndarray:
    """One number, (period,) or (geo, period) as (geo, period)."""
    shape = (train.n_geos, len(dates))
    try:
        array = np.asarray(value, np.float64)
    except (TypeError, ValueError):
        array = np.asarray(np.nan)
    if array.shape not in ((), shape[1:], shape):
        allowed = f"one number, {shape[1:]} or {shape} (geo, period)"
        fail(field, Phrase(f"shape {array.shape}"), f'"{name}"', allowed, "one number")
    whole = np.broadcast_to(array, shape)
    finite(f'{field} "{name}"', whole, {GEO: train.geos, DATE: dates})
    return whole


def _controls(
    train: Panel, dates: pd.DatetimeIndex, given: Any, usual: np.ndarray
) -> np.ndarray:
    """Controls in the window, (geo, period, control); `usual` where not given."""
    out = np.repeat(usual[:, None], len(dates), axis=1)
    if isinstance(given, pd.DataFrame):
        given = _by_date(train, dates, given)
    for name, value in (given or {}).items():
        if name not in train.control_names:
            near = closest(name, train.control_names)
            fix = f'did you mean "{near}"?' if near else "leave it out"
            known = f"controls of the fit ({listing(train.control_names, 12) or 'none'})"
            fail("controls", name, "", known, fix)
        at = train.control_names.index(name)
        out[..., at] = _over_window("controls", name, value, train, dates)
    return out


def _by_date(
    train: Panel, dates: pd.DatetimeIndex, frame: pd.DataFrame
) -> dict[str, np.ndarray]:
    """Columns of a table as {control: (geo, period)}."""
    columns = train.columns
    frame = frame.reset_index() if columns.date in frame.index.names else frame
    if columns.date in frame:
        frame = frame.set_index(columns.date)
    index = pd.to_datetime(pd.Index(frame.index), errors="coerce")
    known = dict(zip(columns.controls, train.control_names, strict=False))
    named = {c: known.get(c, c) for c in frame if known.get(c, c) in train.control_names}
    where = columns.geo if columns.geo in frame else None
    out = {str(name): np.zeros((train.n_geos, len(dates))) for name in named.values()}
    for g, geo in enumerate(train.geos):
        rows = np.ones(len(frame), bool)
        if where is not None:
            rows = (frame[where].astype(str) == geo).to_numpy()
        part = frame[rows].set_axis(index[rows], axis=0)
        missing, twice = dates.difference(part.index), part.index.duplicated()
        place = f'for geo "{geo}"' if where is not None else ""
        if len(missing):
            got = Phrase(f"no row of {show(missing[0])}")
            allowed = f"every date from {show(dates[0])} to {show(dates[-1])}"
            fail(
                "controls", got, place, allowed, "give the whole window, 0 where nothing is"
            )
        if twice.any():
            got = Phrase(f"two rows of {show(part.index[twice][0])}")
            fail("controls", got, place, "one row per date", "remove one of them")
        for column, name in named.items():
            out[str(name)][g] = part.loc[dates, column].to_numpy(np.float64)
    return out


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
    measures = {
        "outcome": ((PLAN, GEO, DATE), draws, 1),
        "total": ((PLAN,), totals, 1),
        "gain": ((), gain, 0),
        "uplift": ((), uplift, 0),
    }
    for name, (dims, values, axis) in measures.items():
        for end, part in zip(
            ("mean", "lo", "hi"), _summary(values, prob, axis), strict=True
        ):
            data[f"{name}_{end}"] = (dims, part)
    return xr.Dataset(data, {PLAN: list(SIDES), GEO: geos, DATE: dates})


def _summary(draws: np.ndarray, prob: float, axis: int) -> tuple[np.ndarray, ...]:
    """Mean and highest-density interval; the range where there are few draws."""
    mean, size = np.asarray(draws.mean(axis, dtype=np.float64)), draws.shape[axis]
    if not 1 <= int(np.floor(prob * size)) < size:
        return mean, np.asarray(draws.min(axis)), np.asarray(draws.max(axis))
    return mean, *hdi(draws, prob, axis=axis)
