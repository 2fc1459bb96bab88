"""Plan spend: posterior draws and a budget in, a certified allocation out.

The problem is solved in float64, scaled: spend in shares of the budget, response in
shares of the reference response. Draws, budget, bounds, horizon and prices are arguments
of the compiled program; other values compile nothing.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple, cast

import jax
import jax.numpy as jnp
import numpy as np
import xarray as xr
from jaxtyping import Array, Float

from mmmjax.budget import request as requests
from mmmjax.budget.ascent import NOT_FINITE, STATUS, Ascent, ascend
from mmmjax.budget.constraints import Region, inside, project, residuals
from mmmjax.budget.horizon import CarryIn, Window, make_window, response_of
from mmmjax.budget.request import Bounds, Money, Request
from mmmjax.budget.scenario import Plan
from mmmjax.budget.utility import CONCAVE, Utility, mean_response
from mmmjax.checks import Phrase, choice, fail, integer, number
from mmmjax.draws import Fit
from mmmjax.shapes import CHANNEL, DRAW, GEO
from mmmjax.spec import Spec

__all__ = ["optimize"]

AT_BOUND = 1e-8  # share of its range within which a channel counts as at its bound
BLOCK_BYTES = 128 * 2**20  # memory of one block of draws
COPIES = 8  # arrays of (draw, geo, channel, level) alive in a gradient, about


def optimize(
    fit: Fit,
    *,
    budget: float | None = None,
    periods: int,
    bounds: Bounds = 0.5,
    reference: Mapping[str, Money] | np.ndarray | Sequence[float] | None = None,
    fixed: Mapping[str, Money | None] | Sequence[str] | None = None,
    per_period: bool = False,
    carry_in: CarryIn = "zero",
    cost_per_unit: Mapping[str, Money] | None = None,
    max_draws: int | None = None,
    tolerance: float = 1e-8,
    max_evaluations: int = 10_000,
) -> Plan:
    """Find the spend that maximises the posterior mean response over coming periods.

    Spend is constant over the window. The response is the sum over the window and the
    max_lag - 1 periods after it of the contributions of the paid channels, outcome units.
    Money is over the window, or a period with `per_period`; for a panel, money given for
    a channel is that of all geos, shared out as the reference is, and an array is one
    number per geo.

    Args:
        fit: The fit whose posterior decides.
        budget: Total spend, money; None: what the reference spends.
        periods: Length of the window, at least 1.
        bounds: 0.5 for +-50% of the reference, (lo, hi) multiples of the reference (hi
            may be inf), or {channel: (lo, hi)} in money; channels left out have +-50%, or
            what "*" says: {"*": 0.3, "TV": (0, 9e6)}.
        reference: Spend to compare with, {channel: money} or an array (channel,) or (geo,
            channel) of the paid channels; None: the historical mean a period times
            periods, rescaled to the budget if one is given.
        fixed: {channel: money} held there, or a list of channels held at their reference.
        per_period: Budget, bounds, reference and fixed are money a period.
        carry_in: "zero": nothing acts from before; "history": the last training periods
            still do, and the plan is credited with the increment over spending nothing.
        cost_per_unit: {channel: money per unit of media} for the window, where it differs
            from training.
        max_draws: Use at most this many draws, evenly spaced; None: all.
        tolerance: Relative gap at which the solver stops.
        max_evaluations: Values with gradient after which it gives up and says so.

    Raises:
        InputError: A request that cannot be planned: which part, and how to fix it.

    Source: design of the solver in :mod:`mmmjax.budget.ascent`.
    """
    choice("carry_in", carry_in, ("zero", "history"))
    number("tolerance", tolerance, low=0.0, fix="tolerance=1e-8")
    integer("max_evaluations", max_evaluations, low=1, fix="max_evaluations=10_000")
    asked = requests.read(
        fit.panel,
        budget=budget,
        periods=periods,
        bounds=bounds,
        reference=reference,
        fixed=fixed,
        per_period=per_period,
    )
    prices = requests.cost_of(fit.panel, fit.scale.cost_per_unit, cost_per_unit)
    window = make_window(fit, asked.periods, carry_in, prices, max_draws)
    with jax.enable_x64(True):
        solved = _solve_request(fit.spec, window, asked, tolerance, max_evaluations)
    largest = requests.largest_period(fit.panel)
    if cost_per_unit:  # what the media of that period cost at the prices of the window
        largest *= prices / fit.scale.cost_per_unit[:, fit.panel.paid]
    return _plan(fit, asked, carry_in, solved, largest)


class _Solved(NamedTuple):
    """Everything a plan is made of, as NumPy."""

    spend: np.ndarray  # (geo, channel), money over the window
    marginal: np.ndarray  # (geo, channel), outcome per money
    gap: float
    responses: np.ndarray  # (2, draw): reference, plan
    objectives: np.ndarray  # (2,)
    residual: float
    evaluations: int
    status: int
    doubt: str


def _solve_request(
    spec: Spec, window: Window, asked: Request, tolerance: float, limit: int
) -> _Solved:
    """Scale, solve, and evaluate both plans."""
    static: dict[str, Any] = {
        "spec": spec.structure(),
        "utility": mean_response,
        "block": _block(window),
    }
    before = asked.reference
    doubt = unproven(spec, window, mean_response)
    reference_samples, reference_value = _evaluate(window, before, asked.periods, **static)
    size = abs(float(reference_value)) or float(np.sum(window.outcome))
    if not np.isfinite(size):
        _fail_not_finite()
    region = asked.region
    shares = Region(*(np.asarray(part) / asked.budget for part in region))
    metric = np.minimum(
        (asked.upper - asked.lower).ravel(),
        asked.periods / np.asarray(window.media_per_money).ravel(),
    )
    end = _climb(
        window,
        shares,
        before.ravel() / asked.budget,
        np.maximum(metric, 1e-9 * (metric.max() or 1.0)) / asked.budget,
        asked.budget,
        float(asked.periods),
        size,
        not doubt,
        tolerance,
        limit,
        **static,
    )
    end = cast(Any, jax.tree.map(np.asarray, end))
    if int(end.status) == NOT_FINITE:
        _fail_not_finite()
    spend = _money(end.point, asked)
    plan_samples, plan_value = _evaluate(window, spend, asked.periods, **static)
    if plan_value < reference_value and inside(before.ravel(), region):  # by rounding
        spend, plan_samples, plan_value = before, reference_samples, reference_value
    return _Solved(
        spend,
        end.gradient.reshape(before.shape) * size / asked.budget,
        float(end.gap) * size,
        np.stack([reference_samples, plan_samples]),
        np.array([float(reference_value), float(plan_value)]),
        float(end.residual),
        int(end.evaluations),
        int(end.status),
        doubt,
    )


@partial(jax.jit, static_argnames=("spec", "utility", "block"))
def _evaluate(
    window: Window, spend: Array, periods: Any, *, spec: Spec, utility: Utility, block: int
) -> tuple[Float[Array, " draw"], Float[Array, ""]]:
    """Response draws and utility of spend over the window (money)."""
    samples = response_of(window, spec, block)(spend / periods).sum((1, 2))
    return samples, utility(samples, spend.ravel())


@partial(jax.jit, static_argnames=("spec", "utility", "block"))
def _climb(
    window: Window,
    region: Region,
    reference: Array,
    metric: Array,
    budget: Any,
    periods: Any,
    size: Any,
    concave: Any,
    tolerance: Any,
    limit: Any,
    *,
    spec: Spec,
    utility: Utility,
    block: int,
) -> Ascent:
    """Best shares of the budget.

    Args:
        window: See :class:`Window`.
        region: Bounds and total as shares of the budget.
        reference: First point, before it is projected.
        metric: See :func:`ascend`.
        budget: Money of share 1.
        periods: Length of the window.
        size: Utility that counts as 1.
        concave: See :func:`ascend`.
        tolerance: See :func:`ascend`.
        limit: See :func:`ascend`.
        spec: Structure of the model.
        utility: What is maximised.
        block: See :func:`response_of`.
    """
    objective = objective_of(window, budget, periods, size, spec, utility, block)
    start = project(reference, region, metric)
    return ascend(objective, region, start, metric, concave, tolerance, limit)


def objective_of(
    window: Window,
    budget: Any,
    periods: Any,
    size: Any,
    spec: Spec,
    utility: Utility,
    block: int,
) -> Callable[[Float[Array, " variable"]], Float[Array, ""]]:
    """The scaled problem: utility over `size` as a function of shares of `budget`."""
    shape = jnp.shape(window.media_per_money)
    respond = response_of(window, spec, block)

    def objective(shares: Float[Array, " variable"]) -> Float[Array, ""]:
        spend = shares * budget
        samples = respond(spend.reshape(shape) / periods).sum((1, 2))
        return utility(samples, spend) / size

    return objective


def _block(window: Window) -> int:
    geos, channels = np.shape(window.media_per_money)
    length = np.shape(window.history)[-1] + np.shape(window.spending)[0]
    return max(1, BLOCK_BYTES // (COPIES * 8 * geos * channels * length))


def unproven(spec: Spec, window: Window, utility: Utility) -> str:
    """Why the gap proves nothing; empty if it does."""
    if utility not in CONCAVE:
        return "the utility is not known to be concave"
    if not getattr(spec.saturation, "concave", False):
        return f"the response is not concave under {spec.saturation!r}"
    beta = np.asarray(window.draws["saturation_beta"])
    negative = (beta < 0).reshape(len(beta), -1).any(1)
    if negative.any():
        return f"saturation_beta is negative in {int(negative.sum())} of {len(beta)} draws"
    return ""


def _money(shares: np.ndarray, asked: Request) -> np.ndarray:
    """Shares of the budget as money; what is within rounding of a bound is put on it."""
    spend = shares.reshape(asked.reference.shape) * asked.budget
    for bound in (asked.lower, asked.upper):
        spend = np.where(np.abs(spend - bound) <= 1e-14 * asked.budget, bound, spend)
    return np.clip(spend, asked.lower, asked.upper)


def _fail_not_finite() -> None:
    fail(
        "fit",
        Phrase("a response that is not finite"),
        "the reference spend",
        "finite draws of the media parameters",
        "look at mm.diagnostics(fit) first",
    )


def _plan(
    fit: Fit, asked: Request, carry_in: str, solved: _Solved, largest: np.ndarray
) -> Plan:
    """Name the numbers, in the unit the user speaks."""
    coords = {GEO: list(asked.geos), CHANNEL: list(asked.channels)}
    unit = float(asked.periods) if asked.per_period else 1.0

    labelled = xr.DataArray(asked.reference / unit, coords, (GEO, CHANNEL))

    def named(values: np.ndarray) -> xr.DataArray:
        return labelled.copy(deep=False, data=values)  # labels are checked once: fast

    binding = _binding(asked, solved.spend)
    can_grow = np.isin(binding, ["free", "lower"])
    price = float(solved.marginal[can_grow].max()) if can_grow.any() else None
    misses = residuals(solved.spend.ravel(), asked.region)
    return Plan(
        reference=labelled,
        optimized=named(solved.spend / unit),
        lower=named(asked.lower / unit),
        upper=named(asked.upper / unit),
        binding=named(binding),
        marginal=named(solved.marginal),
        response=xr.DataArray(
            solved.responses, {"plan": ["reference", "optimized"]}, ("plan", DRAW)
        ),
        objective=float(solved.objectives[1]),
        reference_objective=float(solved.objectives[0]),
        reference_is=asked.reference_is,
        largest=named(largest),
        gap_bound=None if solved.doubt else solved.gap,
        gap_reason=solved.doubt,
        status=STATUS[solved.status],
        kkt_residual=solved.residual,
        shadow_price=price,
        residuals={name: miss / unit for name, miss in misses.items()},
        evaluations=solved.evaluations,
        budget=asked.budget / unit,
        periods=asked.periods,
        per_period=asked.per_period,
        carry_in=carry_in,
        utility=cast(Any, mean_response).__name__,
        freq=fit.panel.freq,
        currency=fit.panel.currency,
        outcome_name=fit.panel.outcome_name,
    )


def _binding(asked: Request, spend: np.ndarray) -> np.ndarray:
    """Which bound holds each variable: lower, upper, fixed (no room) or free."""
    room = asked.upper - asked.lower
    near = AT_BOUND * room
    cases = [room <= 0, spend - asked.lower <= near, asked.upper - spend <= near]
    return np.select(cases, ["fixed", "lower", "upper"], "free")
