"""Plan spend: posterior draws and a budget in, an allocation with its proof out.

The problem is solved in float64, scaled: spend in shares of the budget, utility in shares
of that of the reference. Draws, budget, bounds, horizon, prices and risk settings are
arguments of the compiled program; other values compile nothing.
"""

import dataclasses
import logging
import time
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple, NoReturn

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from mmmjax.arguments import checked
from mmmjax.budget import goal as goals
from mmmjax.budget import switches
from mmmjax.budget.ascent import NOT_FINITE, STATUS
from mmmjax.budget.constraints import Constraint
from mmmjax.budget.evolve import MOST_CELLS
from mmmjax.budget.goal import Goal
from mmmjax.budget.horizon import CarryIn, Form, response_of, slopes_of
from mmmjax.budget.levers import joint
from mmmjax.budget.piecewise import climbed
from mmmjax.budget.prepare import Fits, Flighting, Prepared, prepare
from mmmjax.budget.region import Region, inside
from mmmjax.budget.scenario import Plan
from mmmjax.budget.search import Problem, cell_members, search
from mmmjax.budget.starts import starts_of
from mmmjax.budget.tabulate import plan_of
from mmmjax.budget.utility import Utility, bind
from mmmjax.budget.wording import said
from mmmjax.checks import Phrase, fail, integer, number
from mmmjax.findings import LOG, phase

__all__ = ["Settings", "Solved", "fail_not_finite", "optimize", "scaled_problem", "solve"]

HOPS = 12  # climbs from near the best plan, where clouds learn too slowly
MISSED = 1e-4  # relative miss of a curved limit that is refused
ROUNDING = 1e-14  # shares within which a plan is put on a bound


@checked
def optimize(
    fit: Fits,
    *,
    budget: float | None = None,
    periods: int | None = None,
    bounds: Any = 0.5,
    reference: Any = None,
    fixed: Mapping[str, Any] | Sequence[str] | None = None,
    per_period: bool = False,
    up_to: bool = False,
    until_mroas: float | str | None = None,
    target: float | None = None,
    probability: float | None = None,
    utility: Any = "mean_response",
    constraints: Sequence[Constraint] = (),
    flighting: Flighting = "even",
    carry_in: CarryIn = "zero",
    cost_per_unit: Any = None,
    fixed_geo_split: bool = False,
    campaigns: Any = None,
    levers: Mapping[str, Any] | None = None,
    controls: Any = None,
    max_draws: int | None = None,
    starts: int = 24,
    seed: int = 0,
    tolerance: float = 1e-8,
    max_evaluations: int = 10_000,
) -> Plan:
    """Find the spend that maximises a utility of the response over coming periods.

    The response is the sum over the window and the max_lag - 1 periods after it of the
    contributions of the paid channels, outcome units. Money is over the window, or a period
    with `per_period`; money of a channel is that of all geos, shared out as the reference
    is, and an array is one number per geo. Solver: :mod:`mmmjax.budget.search`.

    Args:
        fit: A fit; fits by market, {"de": fit, "fr": fit}, under one budget (bounds,
            reference, fixed, cost_per_unit by market too); or :class:`ResponseCurves`.
        budget: Total spend, money; None: what the reference spends.
        periods: Length of the window, at least 1; None: a quarter (1 with response curves).
        bounds: 0.5 for +-50% of the reference, (lo, hi) multiples of it (hi may be inf), or
            by channel: (lo, hi) in money, ("0.8x", "1.2x") or 0.2; "*": all others (0.5).
        reference: Spend to compare with, {channel: money}, an array (channel,) or (geo,
            channel), or two dates, whose mean spend counts; None: past spend, or its split.
        fixed: {channel: money} held there, or a list of channels held at their reference.
        per_period: Budget, bounds, reference and fixed are money a period.
        up_to: Spend at most the budget, instead of exactly it.
        until_mroas: Spend, up to the budget, while the next unit of money brings this much
            utility; "break-even": while it returns itself.
        target: Spend as little as brings this response, outcome units, at most the budget.
        probability: With which the target is reached; None: on average.
        utility: Of :mod:`mmmjax.budget.utility`, a text such as "mean_tightness(alpha=0.9)"
            or a function (samples (draw,), budgets) -> scalar.
        constraints: Of :mod:`mmmjax.budget.constraints`.
        flighting: "even"; "optimal": every period a variable, at most 3 times the even
            share of the upper bound; weights (period,), or {channel: weights}.
        carry_in: "history": the last training periods still act, and the plan is credited
            with the increment over spending nothing; "zero": they do not.
        cost_per_unit: {channel: money per unit of media} where it differs from training:
            one number, (geo,), (geo or 1, period), or a table of periods. {"price": 12.5,
            "elasticity": 0.2}: of media that get dearer (:mod:`mmmjax.budget.prices`).
        fixed_geo_split: Hold the split of every channel over geos as in the reference.
        campaigns: Split the money of channels over their campaigns too, each at most so
            far from its past share: True (0.5), 0.2, or by channel, {"TV": {"Spot A":
            ("0.5x", "2x"), "Spot B": (0.1, 0.4)}}, shares of the channel; "*": all others.
        levers: What is planned beside media, {lever: {"kind": "price", ...}}: see
            :mod:`mmmjax.budget.levers`.
        controls: With levers: the other controls in the window, as `forecast_plan` takes
            them; those left out are at their mean of training.
        max_draws: Use at most this many draws, evenly spaced; None: all.
        starts: Points a search begins from where nothing is proven (weeks as variables: 2).
        seed: Of the random numbers of the search.
        tolerance: Relative gap at which the solver stops.
        max_evaluations: Points of one climb after which it gives up and says so.

    Raises:
        InputError: A request that cannot be planned: which part, and how to fix it.
    """
    return _planned(**locals())


def _planned(
    *, fit: Fits, target: Any, probability: Any, until_mroas: Any, utility: Any,
    up_to: bool, levers: Any, controls: Any, starts: int, seed: int, tolerance: float,
    max_evaluations: int, **asked: Any,
) -> Plan:  # fmt: skip
    """The plan, media alone or with levers, and what is found of it said."""
    began = time.perf_counter()
    settings = Settings.of(starts, seed, tolerance, max_evaluations)
    aim = goals.read(target, probability, until_mroas, utility)
    asked |= {"up_to": up_to or aim is not None, "until_mroas": until_mroas}

    def of(utility: Any) -> Plan:
        prepared = prepare(fit, utility=utility, **asked)
        phase("search", began)
        return _made(prepared, aim, settings)

    if levers is None:
        if controls is not None:
            got, allowed = Phrase("controls"), "levers too: media alone do not ask for them"
            fail("controls", got, "", allowed, "give them to mm.forecast_plan")
        plan = of(utility)
    else:
        if aim is not None or until_mroas is not None:
            got, fix = Phrase("a target, or until_mroas, too"), 'utility="profit"'
            fail("levers", got, "", "the budget, or the largest profit", fix)
        plan = joint(fit, levers, controls, utility, asked["max_draws"], of)
    for i, text in enumerate(said(plan)):
        level = logging.WARNING if i or plan.gap_reason else logging.INFO
        LOG.log(level, "%s", text, extra={"event": "finding"})
    return plan


def _made(prepared: Prepared, aim: Any, settings: "Settings") -> Plan:
    """Search, with every combination of what may be off."""

    def settle(prepared: Prepared) -> tuple[Prepared, Solved]:
        if prepared.limits.on_off:
            return switches.best(prepared, partial(solve, settings=settings))
        return prepared, solve(prepared, settings)

    with jax.enable_x64(True):
        found = settle(prepared) if aim is None else goals.reach(prepared, aim, settle)
        return plan_of(*found)


@dataclasses.dataclass(frozen=True)
class Settings:
    """How hard to search."""

    starts: int
    seed: int
    tolerance: float
    limit: int

    @staticmethod
    def of(starts: Any, seed: Any, tolerance: Any, limit: Any) -> "Settings":
        """Settings, checked."""
        return Settings(
            integer("starts", starts, low=1, fix="starts=24"),
            integer("seed", seed, low=0, fix="seed=0"),
            number("tolerance", tolerance, low=0.0, fix="tolerance=1e-8"),
            integer("max_evaluations", limit, low=1, fix="max_evaluations=10_000"),
        )


class Seen(NamedTuple):
    """A plan evaluated, exactly.

    Args:
        samples: Response of every channel, (draw, channel).
        cell_means: Mean response of every cell, (cell,).
        marginal: Mean response that one more unit of money of each variable brings.
        utility: What is maximised, of the samples.
    """

    samples: np.ndarray
    cell_means: np.ndarray
    marginal: np.ndarray
    utility: float


class Solved(NamedTuple):
    """Everything a plan is made of, money and utility as the user counts them.

    Args:
        spend: Money of every variable over the window.
        reference: The reference, in variables.
        seen: Reference and plan, evaluated.
        gap: No plan is better by more, if nothing is in doubt.
        gradient: Utility that one more unit of money of each variable brings.
        multipliers: Utility that one more unit of each row of the region brings.
        floor_prices: Utility per unit of money of easing each curved limit.
        residual: See :class:`mmmjax.budget.search.Found`.
        floor_roas: What the plan reaches of each curved limit.
        evaluations: Points evaluated.
        starts: Points the search began from.
        status: How it ended, in words.
        goal: What had to be reached with the smallest spend, if that was asked.
    """

    spend: np.ndarray
    reference: np.ndarray
    seen: tuple[Seen, Seen]
    gap: float
    gradient: np.ndarray
    multipliers: np.ndarray
    floor_prices: np.ndarray
    residual: float
    floor_roas: list[float]
    evaluations: int
    starts: int
    status: str
    goal: Goal | None = None


def solve(prepared: Prepared, settings: Settings) -> Solved:
    """Scale, search, and evaluate both plans; float64 is the caller's."""
    problem, reference, seen = scaled_problem(prepared)
    size = problem.size
    starts = starts_of(prepared, problem, settings.starts, settings.seed)
    how = settings.tolerance, settings.limit, settings.seed
    found = jax.tree.map(np.asarray, _search(problem, prepared.kind, starts, *how))
    if int(found.status) == NOT_FINITE:
        fail_not_finite()
    if prepared.kind.rough(problem) and not problem.utility.per_channel:
        hops = HOPS if len(found.point) > MOST_CELLS else 0
        top, looks = climbed(problem, prepared.kind, found.point, hops, settings.seed)
        end = jax.tree.map(np.asarray, _search(problem, prepared.kind, top[None], *how))
        tried = found.evaluations + end.evaluations + looks
        found = max(found, end, key=lambda one: one.value)._replace(evaluations=tried)
    budget = prepared.layout.budget
    spend = _money(found.point, prepared.region, budget)
    planned = _seen(problem, spend, _samples(problem, spend, prepared.kind.form))
    _check_floors(prepared, spend, planned)
    pairs = ((seen, reference), (planned, spend))
    net = [s.utility - prepared.price * x.sum() for s, x in pairs]
    if net[1] < net[0] and _allowed(prepared, reference, seen):
        spend, planned = reference, seen
    scale = size / budget
    return Solved(
        spend, reference, (seen, planned), float(found.gap) * size, found.gradient * scale,
        found.multipliers * scale, found.floor_prices * scale, float(found.residual),
        roas_of_floors(prepared, spend, planned), int(found.evaluations), len(starts),
        "best of several starts" if len(starts) > 1 else STATUS[int(found.status)],
    )  # fmt: skip


def scaled_problem(prepared: Prepared) -> tuple[Problem, np.ndarray, Seen]:
    """The problem with its scales and the draws of its reference; this, evaluated."""
    reference, problem = prepared.variables(prepared.layout.reference), prepared.problem()
    before = _samples(problem, reference, prepared.kind.form)
    money = reference @ problem.members
    problem = problem._replace(utility=bind(prepared.utility, before[0].sum(1), money))
    seen = _seen(problem, reference, before)
    size = _size(problem, seen, reference)
    return problem._replace(size=size, spread=_spread(before[0])), reference, seen


_search = jax.jit(search, static_argnames="kind")


@partial(jax.jit, static_argnames=("form",))
def _evaluate(problem: Problem, spend: Array, *, form: Form) -> tuple[Array, ...]:
    respond = response_of(problem.window, form)
    if form.joint:
        samples, back = jax.vjp(respond, spend)
        marginal = back(jnp.full_like(samples, 1.0 / samples.shape[0]))[0]
    else:
        samples, slopes, _ = slopes_of(respond, spend)
        marginal = slopes.mean(0)
    members = cell_members(problem.members, samples.shape[1])
    return samples @ members, samples.mean(0), marginal


@jax.jit
def _worth(utility: Utility, samples: Array, budgets: Array) -> Array:
    return utility(samples, budgets)


def _samples(problem: Problem, spend: np.ndarray, form: Form) -> tuple[np.ndarray, ...]:
    parts = tuple(np.asarray(x) for x in _evaluate(problem, spend, form=form))
    if not np.isfinite(parts[0]).all():
        fail_not_finite()
    return parts


def _seen(problem: Problem, spend: np.ndarray, parts: tuple[np.ndarray, ...]) -> Seen:
    worth = _worth(problem.utility, parts[0], spend @ problem.members)
    samples, cell_means, marginal = parts
    return Seen(samples, cell_means, marginal, float(worth))


def _size(problem: Problem, seen: Seen, reference: np.ndarray) -> float:
    """Utility that counts as 1."""
    size = abs(seen.utility - float(problem.price) * float(reference.sum()))
    if not np.isfinite(size):
        fail_not_finite()
    return size or abs(float(seen.samples.sum(1).mean())) or 1.0


def _spread(samples: Float[np.ndarray, "draw channel"]) -> float:
    total = samples.sum(1)
    return float(total.std()) or 0.1 * abs(float(total.mean())) or 1.0


def _money(shares: np.ndarray, region: Region, budget: float) -> np.ndarray:
    """Shares of the budget as money; what is within rounding of a bound is put on it."""
    lower, upper = np.asarray(region.lower), np.asarray(region.upper)
    spend = shares * budget
    for bound in (lower, upper):
        spend = np.where(np.abs(spend - bound) <= ROUNDING * budget, bound, spend)
    return np.clip(spend, lower, upper)


def _allowed(prepared: Prepared, spend: np.ndarray, seen: Seen) -> bool:
    """Whether a plan keeps every bound and limit."""
    reached = roas_of_floors(prepared, spend, seen)
    floors = zip(prepared.limits.floors, reached, strict=True)
    return inside(spend, prepared.region) and all(r >= f.level for f, r in floors)


def roas_of_floors(prepared: Prepared, spend: np.ndarray, seen: Seen) -> list[float]:
    """Mean response over money of the cells of every curved limit."""
    cells, out = prepared.cells(spend), []
    for floor in prepared.limits.floors:
        money = float(cells[floor.variables].sum())
        some = np.isin(np.arange(len(cells)), floor.variables).astype(float)
        brought = float(prepared.members_of(some) @ seen.cell_means)
        out.append(brought / money if money > 0 else np.inf)
    return out


def _check_floors(prepared: Prepared, spend: np.ndarray, seen: Seen) -> None:
    """Refuse a plan that misses a curved limit: as far as the search sees, all do."""
    reached = roas_of_floors(prepared, spend, seen)
    for floor, roas in zip(prepared.limits.floors, reached, strict=True):
        if roas < floor.level * (1 - MISSED):
            got, where = Phrase(floor.name), "within bounds and budget"
            allowed = f"about {roas:.4g}, the most that the search reached under all limits"
            fix = "lower the floor, widen the bounds, or spend less (up_to=True)"
            fail("constraints", got, where, allowed, fix)


def fail_not_finite(where: str = "the reference spend") -> NoReturn:
    """Refuse draws whose response is no number."""
    got, fix = Phrase("a response that is not finite"), "look at mm.diagnostics(fit) first"
    fail("fit", got, where, "finite draws of the media parameters", fix)
