"""Plans as people give them, read and checked: money of every cell, and its profile."""

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import numpy as np
import xarray as xr
from jaxtyping import Float

from mmmjax.budget.layout import Layout, markets_of
from mmmjax.budget.prepare import Fits, Prepared
from mmmjax.budget.request import known_of, numbers_of, shared_out, shares_of
from mmmjax.budget.scenario import Plan
from mmmjax.checks import Phrase, fail, finite, listing, unknown
from mmmjax.shapes import CAMPAIGN, CHANNEL, GEO

__all__ = [
    "REFERENCE",
    "Spend",
    "campaigns_of",
    "costs_of",
    "named_plans",
    "places_of",
    "spend_of",
]

PLAN, REFERENCE = "plan", "reference"  # names of a single plan and what it is compared with


class Spend(NamedTuple):
    """Money of every cell over the window, (cell,), and its share of every period.

    The profile (cell, period) is None where it is even. Where cells are split over
    campaigns `share` is that of every part in the money of its cell, (part,).
    """

    money: np.ndarray
    profile: np.ndarray | None
    share: np.ndarray | None = None

    def shares(self, periods: int) -> Float[np.ndarray, "cell period"]:
        """Share of every period, of an even profile too."""
        even = np.full((len(self.money), periods), 1.0 / periods)
        return even if self.profile is None else self.profile


def costs_of(plan: Plan, fits: Fits) -> dict[str, Any]:
    """The `cost_per_unit` that a plan was made with, as :func:`optimize` takes it."""
    prices, rises = plan.cost_per_unit.to_numpy(), plan.price_elasticity.to_numpy()
    prices = prices.reshape(*prices.shape[:2], -1)  # (geo, channel, period or 1)
    out: dict[str, Any] = {}
    for market, (rows, columns) in places_of(plan, fits).items():
        out[market] = {name: prices[rows, c] for name, c in columns.items()}
        if rises[rows].any():
            out[market] = {
                name: {"price": price, "elasticity": rises[rows, columns[name]]}
                for name, price in out[market].items()
            }
    return out if len(out) > 1 else next(iter(out.values()))


def places_of(plan: Plan, fits: Fits) -> dict[str, tuple[slice, dict[str, int]]]:
    """Rows of each market in the tables of a plan, and columns of its channels by name.

    No columns where the plan has not so many rows.
    """
    names = [str(name) for name in plan.optimized[CHANNEL].to_numpy()]
    out, start = {}, 0
    for market, known in ((m, known_of(fit)) for m, fit in markets_of(fits).items()):
        rows = slice(start, start := start + len(known.geos))
        there = enumerate(names if start <= len(plan.optimized) else ())
        out[market] = rows, {n: c for c, n in there if n in known.channels}
    return out


def named_plans(plans: Any, prepared: Prepared, reference: Any) -> dict[str, Any]:
    """Plans by name; a single one behind its reference."""
    if isinstance(plans, Mapping) and not _is_spend(plans, prepared):
        named = {str(name): plan for name, plan in plans.items()}
    elif isinstance(plans, list | tuple) and not (plans and all(map(_is_number, plans))):
        named = {f"plan {i}": plan for i, plan in enumerate(plans, start=1)}
    elif isinstance(plans, Plan) and reference is None:
        unit = plans.periods if plans.per_period else 1
        before = plans.reference.to_numpy() * (unit / prepared.layout.unit)
        named = {REFERENCE: before, PLAN: plans}
    else:
        named = {REFERENCE: None, PLAN: plans}
    if not named:
        fix = 'plans={"cautious": plan_a, "bold": {"TV": 2e6}}'
        fail("plans", Phrase("none"), "", "at least one plan", fix)
    return named


def _is_spend(plans: Mapping[Any, Any], prepared: Prepared) -> bool:
    """Whether a mapping is {channel: money} or {market: {channel: money}}: one plan."""
    values = list(plans.values())
    if any(map(_is_number, values)):
        return True
    if not values or any(isinstance(value, Plan | xr.DataArray) for value in values):
        return False
    if any(name in prepared.markets for name in plans):  # a wrong one fails later
        return all(isinstance(v, Mapping) and not _is_inner(v) for v in values)
    inner = any(isinstance(value, Mapping) or value is None for value in values)
    return not inner and all(name in prepared.layout.channels for name in plans)


def _is_inner(value: Mapping[Any, Any]) -> bool:
    return any(isinstance(x, Mapping | Plan) for x in value.values())


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float | np.number) and not isinstance(value, bool)


def campaigns_of(plans: Iterable[Plan], fits: Fits) -> dict[str, Any] | None:
    """Channels that some plan splits over campaigns, as :func:`optimize` takes them."""
    out: dict[str, dict[str, float]] = {}
    for plan in plans:
        if (table := plan.campaigns) is not None:
            geos = plan.optimized[GEO].to_numpy().tolist()
            pairs = list(zip(table[GEO], table[CHANNEL], strict=True))
            for market, (rows, _) in places_of(plan, fits).items():
                own = {channel: 0.0 for geo, channel in pairs if geo in geos[rows]}
                out.setdefault(market, {}).update(own)
    every = {market: own for market, own in out.items() if own}
    return every.get("", every) or None


def spend_of(prepared: Prepared, field: str, given: Any) -> Spend:
    """Money of one plan, checked, split over campaigns as it says, else as in the past."""
    spend, within = _spend_of(prepared, field, given), prepared.within
    table = given.campaigns if isinstance(given, Plan) else None
    if within is None:
        if table is not None:
            fix = "leave campaigns out of mm.optimize"
            fail(field, Phrase("one of campaigns"), "", "a plan of channels alone", fix)
        return spend
    share, layout = np.array(within.share), prepared.layout
    if table is not None:
        known = table.set_index([GEO, CHANNEL, CAMPAIGN])["share"].to_dict()
        pairs = zip(within.cell, within.campaign, strict=True)
        for i, (cell, name) in enumerate(pairs):
            key = layout.geos[layout.geo[cell]], layout.channels[layout.channel[cell]], name
            planned = known.get(key, np.nan)  # NaN: no money to split
            share[i] = share[i] if np.isnan(planned) else planned
    return spend._replace(share=share)


def _spend_of(prepared: Prepared, field: str, given: Any) -> Spend:
    layout = prepared.layout
    if isinstance(given, Plan):
        return _of_plan(prepared, field, given)
    money = np.array(layout.reference)
    if isinstance(given, Mapping):
        whole = np.ones(len(money), bool)
        if given and all(isinstance(value, Mapping) for value in given.values()):
            markets = list(prepared.markets)
            for name, inner in given.items():
                if name not in markets:
                    unknown(field, name, "", "markets", markets)
                own = layout.market == markets.index(name)
                _fill(layout, field, money, inner, own)
        else:
            _fill(layout, field, money, given, whole)
    elif given is not None:
        array, shape = numbers_of(given), layout.table(money).shape
        if array.shape == shape[1:]:
            named = dict(zip(layout.channels, array, strict=True))
            return _spend_of(prepared, field, named)
        if array.shape != shape:
            allowed = f"{{channel: money}}, or an array of shape {shape[1:]} or {shape}"
            fix = f"the paid channels are {listing(layout.channels, 12)}"
            fail(field, Phrase(f"shape {array.shape}"), "", allowed, fix)
        coords = {GEO: layout.geos, CHANNEL: layout.channels}
        array = np.where(layout.table(np.ones(len(money), bool), False), array, 0.0)
        finite(field, array, coords)
        if (array < 0).any():
            g, c = np.argwhere(array < 0)[0]
            where = f'geo "{layout.geos[g]}", channel "{layout.channels[c]}"'
            fail(field, array[g, c], where, "money of at least 0", "write 0.0")
        money = layout.unit * array[layout.geo, layout.channel]
    return Spend(money, prepared.profile)


def _fill(
    layout: Layout, field: str, money: np.ndarray, given: Mapping[Any, Any],
    among: np.ndarray,
) -> None:  # fmt: skip
    """Write {channel: money} into cells; one number is shared out as the reference is."""
    for channel, value in given.items():
        if channel not in layout.channels:
            unknown(field, channel, "", "paid channels", layout.channels)
        own = among & (layout.channel == layout.channels.index(channel))
        shares = shares_of(layout.reference[own])
        money[own] = layout.unit * shared_out(field, channel, value, shares)


def _of_plan(prepared: Prepared, field: str, plan: Plan) -> Spend:
    """Money and profile of a Plan for the same cells and window."""
    layout = prepared.layout
    same = {
        "channels": (tuple(plan.optimized[CHANNEL].to_numpy()), layout.channels),
        "geos": (tuple(plan.optimized[GEO].to_numpy()), layout.geos),
        "periods": (plan.periods, layout.periods),
        "carry_in": (plan.carry_in, prepared.carry_in),
    }
    for what, (got, ours) in same.items():
        if got != ours:
            fix = "evaluate plans of one fit and one window together"
            fail(field, Phrase(f"{what} {got}"), "", f"{what} {ours}", fix)
    spend = plan.spend_by_period.to_numpy()[layout.geo, layout.channel]
    money = plan.optimized.to_numpy() * (plan.periods if plan.per_period else 1)
    money = money[layout.geo, layout.channel]
    if (spend == spend[:, :1]).all():
        return Spend(money, None)
    whole = spend.sum(1, keepdims=True)
    even = np.full_like(spend, 1.0 / layout.periods)
    return Spend(money, np.where(whole > 0, spend / np.where(whole > 0, whole, 1.0), even))
