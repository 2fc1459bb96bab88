r"""Levers beside media in one plan: a price, a discount, what costs money by the point.

What is left of a plan, money, over its window (and what its media bring after it, at the
same margin):

$$\text{profit} = m(x) \cdot \Big(Y + \sum_j s_j (x_j - r_j) + R\Big) - \text{media}
- \sum_j c_j x_j T,$$

with Y the outcome without paid media at the reference values r, s_j what one unit of lever
j adds to it, R the response of the media planned, T periods. m is the margin, money kept of
one unit of outcome: price p times (1 - discount d), less the unit cost. For given x the
best media are the plan that :func:`mmmjax.optimize` makes with m for ``outcome_value``.

One lever may set the margin, any number cost by the point. Their mean worth is what is
maximised. What media leave, G(m) = max(m R - media), is the largest of functions that are
linear in m and so convex in it: between two margins it lies below its chord, and the profit
below a quadratic. By this bound the range of the lever is searched until nothing better is
left (branch and bound); a lever that costs by the point is at an end of its range.
"""

import dataclasses
import itertools
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np

from mmmjax.budget import ahead, outcome
from mmmjax.budget.record import Moved, Set, gain_of, relative_gap
from mmmjax.budget.scenario import Plan
from mmmjax.budget.utility import as_utility, mean_response, profit
from mmmjax.checks import Phrase, choice, closest, fail, listing, number
from mmmjax.draws import Fit
from mmmjax.posterior.fold import fold, thinned
from mmmjax.posterior.levers import of_levers
from mmmjax.posterior.scope import Scope

__all__ = ["joint"]

KINDS = {"price": "unit_cost", "discount": "unit_cost", "cost": "cost"}
"""Kinds of levers, and the key that each has besides `kind`, `range`, `reference`."""
EXAMPLE = 'levers = { price = { kind = "price", unit_cost = 1.1, range = [1.8, 2.4] } }'
MOST = 64  # values of the lever that are tried
STRAIGHT = 1e-6  # relative bend from which a lever is not a straight line


def joint(
    fit: Any,
    given: Any,
    controls: Any,
    utility: Any,
    max_draws: int | None,
    plan_at: Callable[[Any], Plan],
) -> Plan:
    """The best media and levers together, with a bound on what could be better.

    Args:
        fit: One fit.
        given: {lever: {"kind": ..., ...}}.
        controls: Values of the other controls in the window, as `forecast_plan` takes them;
            those not given are held at their mean of training.
        utility: "mean_response" (the budget is spent) or "profit".
        max_draws: As of the plan.
        plan_at: The plan of media for a utility.

    Raises:
        InputError: Levers that cannot be planned: which, and how to fix it.
    """
    if not isinstance(fit, Fit):
        got = Phrase("several fits, or curves")
        fail("levers", got, "", "one fit", "plan the levers of one market at a time")
    if not fit.spec.likelihood.straight:
        got = Phrase(f'link = "{fit.spec.likelihood.link}"')
        fix = "plan media alone, and compare values of levers with mm.counterfactual"
        fail("levers", got, "the fit", "levers that add to the outcome", fix)
    wanted, whole = as_utility(utility), profit()
    usual = (mean_response().kind, whole.kind)
    if wanted.kind not in usual or wanted.parameters.get("value") is not None:
        allowed = '"mean_response", which spends the budget, or "profit"'
        fix = "leave the utility out: levers give the margin, their mean worth is planned"
        fail("utility", Phrase(f"{wanted} with levers"), "", allowed, fix)
    levers = _read(fit, given)
    margin_of, lever = _margin(levers, fit.panel.outcome_value)
    plans: dict[float, Plan] = {}

    def media(margin: float) -> Plan:
        key = margin if wanted.kind == whole.kind else 0.0
        if key not in plans:
            plans[key] = plan_at(profit(margin) if key else wanted)
        return plans[key]

    start = {one.name: one.reference for one in levers}
    before = media(margin_of(start))
    world = _world(fit, before, levers, controls, max_draws)
    found, bound, tried = _search(world, levers, lever, margin_of, media)
    sides = {
        "reference": (start, before.response.sel(plan="reference"), before.reference),
        "media alone": (start, before.response.sel(plan="optimized"), before.optimized),
        "plan": (found.values, found.plan.response.sel(plan="optimized"),
                 found.plan.optimized),
    }  # fmt: skip
    worth = {
        name: world.profit(values, margin_of(values), response.to_numpy(), money)
        for name, (values, response, money) in sides.items()
    }
    moves = {n: worth["plan"] - worth[n] for n in ("media alone", "reference")}
    gap = max(bound - found.worth, 0.0) if np.isfinite(bound) else None
    close = None if gap is None else relative_gap(gap, found.worth)
    record = Moved(
        tuple(one._replace(planned=found.values[one.name]) for one in levers),
        (margin_of(start), margin_of(found.values)),
        {name: gain_of(draws) for name, draws in worth.items()},
        {name: gain_of(draws) for name, draws in moves.items()},
        {name: float((draws > 0).mean()) for name, draws in moves.items()},
        gap,
        close,
        tried,
    )
    return dataclasses.replace(found.plan, levers=record, outcome_value=record.margin[1])


class _World(NamedTuple):
    """Means and draws of everything that a plan does not decide.

    Args:
        level: Outcome over the window without paid media at the reference, (draw,).
        slopes: What one unit more of a lever adds to it, by lever, (draw,).
        levers: The levers.
        periods: Length of the window.
        each: Times that a plan's money is counted, 1 or `periods`.
    """

    level: np.ndarray
    slopes: dict[str, np.ndarray]
    levers: tuple[Set, ...]
    periods: int
    each: int

    def profit(
        self, values: Mapping[str, float], margin: float, response: Any, money: Any
    ) -> Any:
        """Profit in every draw."""
        outcome = self.level + response
        for one in self.levers:
            outcome = outcome + self.slopes[one.name] * (values[one.name] - one.reference)
        paid = sum(one.cost * values[one.name] for one in self.levers) * self.periods
        return margin * outcome - self.each * float(money.sum()) - paid


class _Node(NamedTuple):
    """A value of the margin's lever, solved.

    Args:
        at: The value.
        values: Of all levers.
        worth: Mean profit.
        most: Bound on what is convex in the margin: media and levers that cost.
        plan: Of media.
    """

    at: float
    values: dict[str, float]
    worth: float
    most: float
    plan: Plan


def _search(
    world: _World,
    levers: tuple[Set, ...],
    lever: Set | None,
    margin_of: Callable[[Mapping[str, float]], float],
    media: Callable[[float], Plan],
) -> tuple[_Node, float, int]:
    """The best node, a bound on the profit of any value (inf: none), values tried."""
    level, times = float(world.level.mean()), world.periods
    slope = {name: float(draws.mean()) for name, draws in world.slopes.items()}
    start = {one.name: min(max(one.reference, one.low), one.high) for one in levers}

    def own(values: Mapping[str, float]) -> float:
        """The quadratic: the margin times what its levers leave of the outcome."""
        of = (one for one in levers if one.kind != "cost")
        return margin_of(values) * (
            level + sum(slope[o.name] * (values[o.name] - o.reference) for o in of)
        )

    def solve(at: float) -> _Node:
        values = start | ({} if lever is None else {lever.name: at})
        margin = margin_of(values)
        for one in levers:
            if one.kind == "cost":
                pays = margin * slope[one.name] > one.cost * times
                values[one.name] = one.high if pays else one.low
        plan = media(margin)
        response = float(plan.response.sel(plan="optimized").mean())
        worth = float(world.profit(values, margin, response, plan.optimized).mean())
        slack = plan.gap_bound or 0.0
        slack *= 1.0 if plan.utility.startswith("profit") else margin
        return _Node(at, values, worth, worth - own(values) + slack, plan)

    if lever is None or lever.high <= lever.low:
        node = solve(0.0 if lever is None else lever.low)
        bound = own(node.values) + node.most
        return node, bound if node.plan.gap_bound is not None else np.inf, 1
    nodes = [solve(lever.low), solve(lever.high)]
    while True:
        best = max(nodes, key=lambda node: node.worth)
        ends = [_between(a, b, own, lever) for a, b in itertools.pairwise(nodes)]
        bound, at = max(ends)
        small = bound - best.worth <= 1e-7 * max(abs(best.worth), 1e-12)
        inside = all(abs(at - n.at) > 1e-9 * (lever.high - lever.low) for n in nodes)
        if small or not inside or len(nodes) >= MOST:
            proven = all(node.plan.gap_bound is not None for node in nodes)
            return best, max(bound, best.worth) if proven else np.inf, len(nodes)
        nodes = sorted([*nodes, solve(at)], key=lambda node: node.at)


def _between(
    a: _Node, b: _Node, own: Callable[[Mapping[str, float]], float], lever: Set
) -> tuple[float, float]:
    """Bound on the profit between two nodes, and where it is reached."""
    share = np.array([0.0, 0.5, 1.0])
    places = a.at + share * (b.at - a.at)
    chord = a.most + share * (b.most - a.most)
    heights = np.array([own(a.values | {lever.name: x}) for x in places]) + chord
    bend, rise, base = np.polyfit(share, heights, 2)
    top = [0.0, 1.0]
    if bend < 0 and 0 < (peak := -rise / (2 * bend)) < 1:
        top.append(float(peak))
    high = max(top, key=lambda x: (bend * x + rise) * x)
    return float((bend * high + rise) * high + base), a.at + high * (b.at - a.at)


def _read(fit: Fit, given: Any) -> tuple[Set, ...]:
    """The levers as asked, ranges filled in by what training has seen."""
    if not isinstance(given, Mapping) or not given:
        fail("levers", given, "", "a table of levers", EXAMPLE)
    out = []
    for name, known in of_levers(fit, given).items():
        table = given[name]
        if not isinstance(table, Mapping) or "kind" not in table:
            allowed = f"a table with kind: {listing(KINDS, 3, 'or')}"
            fail("levers", table, name, allowed, EXAMPLE)
        kind = choice(f"kind of {name}", table["kind"], tuple(KINDS))
        keys = ("kind", "range", "reference", key := KINDS[kind])
        for other in table:
            if other not in keys:
                near = closest(other, keys)
                fix = f'did you mean "{near}"?' if near else "remove it"
                fail("key", other, f"levers {name}", listing(keys, 9), fix)
        ends = table.get("range", (known.least, known.most))
        if isinstance(ends, str) or not isinstance(ends, (list, tuple)) or len(ends) != 2:
            fail(f"range of {name}", ends, "", "[least, most]", EXAMPLE)
        low, high = (number(f"range of {name}", x, fix=EXAMPLE) for x in ends)
        if low > high:
            fix = f"range = [{high:g}, {low:g}]"
            fail(f"range of {name}", list(ends), "", "[least, most]", fix)
        reference = number(f"reference of {name}", table.get("reference", known.last))
        each = number(f"{key} of {name}", table.get(key, 0.0), low=0.0, fix=f"{key} = 1.0")
        if kind == "cost" and "cost" not in table:
            got = Phrase("none")
            fix = f"[levers.{name}] cost = 1000.0, or 0.0 where it costs nothing"
            fail(f"cost of {name}", got, "", "money per point and period", fix)
        if kind == "discount":
            for end in (low, high, reference):
                number(f"range of {name}", end, low=0.0, high=1.0, fix="range = [0.0, 0.3]")
        ends = low, high, known.least, known.most
        one = Set(name, kind, reference, *ends, planned=reference)
        out.append(one._replace(**{key: each}))
    return tuple(out)


def _margin(
    levers: tuple[Set, ...], value: float | None
) -> tuple[Callable[[Mapping[str, float]], float], Set | None]:
    """Money kept of a unit of outcome as a function of the levers; which one sets it."""
    both = {kind: [o for o in levers if o.kind == kind] for kind in ("price", "discount")}
    for kind, found in both.items():
        if len(found) > 1:
            got = Phrase(listing([o.name for o in found], 4))
            fail("levers", got, "", f"one of kind {kind}", "make the others cost = 0.0")
    price, discount = (found[0] if found else None for found in both.values())
    free = [one for one in (price, discount) if one is not None and one.low < one.high]
    if len(free) > 1:
        fix = f"hold one of them: range = [{free[1].reference:g}, {free[1].reference:g}] "
        fix += f"in [levers.{free[1].name}]"
        got = Phrase(f"{free[0].name} and {free[1].name}, both with a range")
        fail("levers", got, "", "one that sets the margin", fix)
    cost = max([o.unit_cost for o in (price, discount) if o is not None], default=0.0)
    if price is None and value is None:
        got, fix = Phrase("no outcome_value"), "outcome_value = 1.0 under [data]"
        fail("levers", got, "", "the margin of one unit of outcome, or a price", fix)
    usual = 0.0 if value is None else value + cost

    def margin(values: Mapping[str, float]) -> float:
        full = usual if price is None else values[price.name]
        return full * (1 - (0.0 if discount is None else values[discount.name])) - cost

    own = [one for one in (price, discount) if one is not None]
    for values in itertools.product(*[{o.low, o.high, o.reference} for o in own]):
        at = dict(zip([o.name for o in own], values, strict=True))
        if (kept := margin(at)) <= 0:
            where = ", ".join(f"{name} {x:g}" for name, x in at.items())
            fix = "narrow the range, or mend unit_cost"
            fail("margin", Phrase(f"{kept:g}"), f"at {where}", "above 0", fix)
    held = own[0] if own else None
    return margin, (free[0] if free else held)


def _world(
    fit: Fit, plan: Plan, levers: tuple[Set, ...], controls: Any, max_draws: int | None
) -> _World:
    """The outcome without paid media, and what levers add to it, of every draw."""
    some = fit if max_draws is None else thinned(fit, max_draws)
    dates = outcome.dates_of(fit, plan)
    for name in () if controls is None else controls:
        if name in [one.name for one in levers]:
            fix = f"reference = ... in [levers.{name}]"
            fail("controls", name, "a lever of the plan", "controls besides levers", fix)

    def level(values: Mapping[str, float]) -> np.ndarray:
        window = ahead.blank(fit, dates, controls, None, levers=values, average=True)
        scope = Scope.of(fit, window)
        keep: dict[str, Any] = {"inputs": scope.inputs, "by_geo": True}
        return fold(some, outcome.level, scope.factor, **keep).sum((1, 2), dtype=float)

    start = {one.name: one.reference for one in levers}
    base, slopes = level(start), dict[str, np.ndarray]()
    for one in levers:
        step = max(abs(one.high - one.low), 1e-3 * max(abs(one.reference), 1.0))
        first = level(start | {one.name: one.reference + step}) - base
        second = level(start | {one.name: one.reference + 2 * step}) - base
        if np.abs(second - 2 * first).max() > STRAIGHT * np.abs(base).max():
            got = Phrase(f"{one.name}, whose effect depends on the level of the outcome")
            fix = "compare values with mm.counterfactual, or fit with an identity link"
            fail("levers", got, "", "levers that add to the outcome", fix)
        slopes[one.name] = first / step
    each = plan.periods if plan.per_period else 1
    return _World(base, slopes, levers, plan.periods, each)
