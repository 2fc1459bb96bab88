"""Climbs by linear programs: tops of quantiles against programs and grids."""

import jax
import numpy as np
import pytest
from scipy.optimize import linprog

import mmmjax as mm
from mmmjax.budget.piecewise import climbed
from mmmjax.budget.prepare import prepare
from mmmjax.budget.solve import scaled_problem

ROOM = {"bounds": (0.2, 3.0)}


def straight(draw, spend):
    return draw["slope"] * spend


def bent(draw, spend):
    return draw["top"] * (1.0 - np.e ** (-spend / draw["half"]))


def lines(draws, channels, seed):
    rng = np.random.default_rng(seed)
    slope = rng.gamma(2.0, 1.0, (draws, channels))
    names = [f"c{i}" for i in range(channels)]
    return mm.ResponseCurves(names, straight, {"slope": slope}, np.ones(channels))


def curves(draws, channels, seed):
    rng = np.random.default_rng(seed)
    made = {"top": rng.gamma(2.0, 1.0, (draws, channels)),
            "half": rng.uniform(0.3, 2.0, (draws, channels))}  # fmt: skip
    names = [f"c{i}" for i in range(channels)]
    return mm.ResponseCurves(names, bent, made, np.ones(channels))


def ended(fit, utility, start, hops=0, **ask):
    """Money of the end of a climb, and its utility."""
    prepared = prepare(fit, utility=utility, **ask)
    with jax.enable_x64(True):
        problem, _, _ = scaled_problem(prepared)
        point, looks = climbed(problem, prepared.kind, start / start.sum(), hops, 0)
    assert looks > 0
    return point * start.sum()


@pytest.mark.parametrize("seed", range(3))
def test_the_least_of_straight_lines_is_a_linear_program(seed):
    """The lowest draw as large as can be: one program in spend and that draw."""
    fit = lines(20, 6, seed)
    slope = fit.draws["slope"]
    found = ended(fit, mm.utility.value_at_risk(level=1 - 1e-12), np.ones(6), **ROOM)
    best = linprog(
        np.r_[np.zeros(6), -1.0], np.c_[-slope, np.ones(20)], np.zeros(20),
        [np.r_[np.ones(6), 0.0]], [6.0], [(0.2, 3.0)] * 6 + [(None, None)],
    )  # fmt: skip
    np.testing.assert_allclose((slope @ found).min(), -best.fun, rtol=1e-6)


LOW, RATIO, BOTH = (
    "value_at_risk(level=0.8)",
    "raroc(level=0.8)",
    "-tail_distance(level=0.8)",
)


@pytest.mark.parametrize("utility", [LOW, RATIO, BOTH])
def test_no_point_near_the_end_is_better(utility):
    """A dense grid of the plane of two channels of three around it, in NumPy."""
    fit = curves(30, 3, 1)
    found = ended(fit, utility, np.ones(3), **ROOM)
    near = np.linspace(-0.02, 0.02, 201)
    a, b = (x.ravel() for x in np.meshgrid(near, near))
    points = np.clip(found + np.stack([a, b, -a - b], 1), 0.2, 3.0)
    points = points[np.abs(points.sum(1) - 3.0) < 1e-12]

    def worth(x):
        top, half = fit.draws["top"], fit.draws["half"]
        totals = (top * (1 - np.exp(-x[:, None] / half))).sum(-1)
        low, high = np.quantile(totals, [0.2, 0.8], axis=1)
        mean = totals.mean(1)
        ratio, both = mean / (mean - low), -abs(mean - low) - abs(high - mean)
        return {LOW: low, RATIO: ratio, BOTH: both}[utility]

    assert len(points) > 10_000
    end, before = worth(found[None])[0], worth(np.ones((1, 3)))[0]
    assert end >= worth(points).max() - 1e-6 * abs(end)
    assert end > before + 0.001 * abs(before)


def test_rows_of_limits_and_fixed_channels_hold():
    fit = curves(40, 5, 2)
    limit = mm.constraints.group(["c0", "c1"], at_most=0.3, share=True)
    ask = {**ROOM, "constraints": [limit], "fixed": {"c4": 1.0}}
    start = np.array([0.5, 0.7, 1.4, 1.4, 1.0])
    found = ended(fit, "value_at_risk(level=0.8)", start, 3, **ask)
    np.testing.assert_allclose(found.sum(), 5.0, rtol=1e-12)
    assert found[4] == pytest.approx(1.0, rel=1e-12)
    assert found[:2].sum() <= 1.5 * (1 + 1e-9)
    assert np.all((found >= 0.2 - 1e-12) & (found <= 3.0 + 1e-12))


@pytest.mark.slow(parts=6)
def test_a_plan_of_many_channels_ends_above_what_gradients_reach():
    """The best of 8 starts of the search without it, from which no gradient leads on."""
    fit = curves(60, 30, 3)
    ask = {"utility": "raroc(level=0.8)", **ROOM, "starts": 8}
    plan = mm.optimize(fit, **ask)
    found = ended(fit, ask["utility"], plan.optimized.values[0], **ROOM)
    top, half = fit.draws["top"], fit.draws["half"]

    def worth(x):
        totals = (top * (1 - np.exp(-x / half))).sum(-1)
        return totals.mean() / (totals.mean() - np.quantile(totals, 0.2))

    assert plan.objective == pytest.approx(worth(plan.optimized.values[0]), rel=1e-9)
    assert worth(found) <= plan.objective * (1 + 1e-6)  # the plan is on its top already
    rng, others = np.random.default_rng(0), []
    for _ in range(20):
        x = np.clip(plan.optimized.values[0] + rng.normal(0, 0.01, 30), 0.2, 3.0)
        x += (30.0 - x.sum()) / 30
        others.append(worth(x))
    assert max(others) < plan.objective
