"""Projections of plans with totals of geos, channels and groups, on every path."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from scipy.optimize import linprog

from mmmjax.budget.region import (
    Region,
    _project_rows,
    project,
    project_nested,
    with_nesting,
)

pytestmark = pytest.mark.usefixtures("x64")
seeds = st.integers(0, 2**32 - 1)
reach = st.sampled_from([1e-3, 0.1, 1.0, 10.0, 1e3])  # of the points, in budgets
spread = st.sampled_from([1.0, 1e3, 1e6])  # of the metric
jitted = jax.jit(project)
general = jax.jit(_project_rows)
many = jax.jit(jax.vmap(_project_rows, in_axes=(0, None, None, None)))
nested = jax.jit(project_nested)
CLASSES = ["geos", "flighting", "crossed", "shares", "repeated"]


def rows_of(kind, rng, n, m):
    """The total and about m other rows of one kind of plan over n variables."""
    geos = (np.arange(n) * m // n == np.arange(m)[:, None]) * 1.0
    channels = (np.arange(n) % m == np.arange(m)[:, None]) * 1.0
    groups = {
        "geos": geos,
        "flighting": np.concatenate([channels[:2].sum(0, keepdims=True), channels]),
        "crossed": np.concatenate([geos[: m // 2], channels[m // 2 :]]),
        "shares": (rng.random((m, n)) < 0.5) - rng.uniform(0.2, 0.8, (m, 1)),
        "repeated": geos[np.arange(m) // 2] * rng.choice([0.5, 1.0], (m, 1)),
    }[kind]
    return np.concatenate([np.ones((1, n)), groups])


def plan(kind, seed, n, m, far=1.0, wide=1e3):
    """A budget of 1 in a region around a plan that is feasible, a point and a metric."""
    rng = np.random.default_rng(seed)
    plan = rng.lognormal(size=n)
    plan /= plan.sum()
    lower = np.where(rng.random(n) < 0.5, 0.0, plan * rng.random(n))
    upper = plan * rng.choice([1.2, 3.0, 10.0])
    fixed = rng.random(n) < rng.choice([0.0, 0.2])
    lower, upper = np.where(fixed, plan, lower), np.where(fixed, plan, upper)
    rows = rows_of(kind, rng, n, m)
    sums, m = rows @ plan, len(rows)
    slack = rng.choice([0.2, 1e-2, 1e-5]) * rng.random((2, m)) * (np.abs(rows) @ plan)
    slack[0, rng.random(m) < 0.2] = np.inf
    slack[1, rng.random(m) < 0.2] = np.inf
    slack[:, rng.random(m) < rng.choice([0.0, 0.3, 1.0])] = 0.0
    slack[:, 0] = rng.choice([0.0, 0.0, 0.1])
    least, most = sums - slack[0], sums + slack[1] + rng.choice([0.0, 2e-16])
    metric = wide ** -rng.random(n) * plan ** rng.choice([0.0, 1.0])
    moved = np.full(n, 1 / n) if rng.random() < 0.5 else metric / metric.max()
    point = plan + far * moved * rng.normal(size=n)
    return rng, Region(lower, upper, rows, least, most), point, metric


def conditions(x, multipliers, point, metric, region):
    """How far the conditions that make x the projection are missed, in budgets."""
    lower, upper, rows, least, most, _ = region
    sums = rows @ x
    outside = max(np.maximum(lower - x, x - upper).max(), 0.0)
    missed = max(np.maximum(least - sums, sums - most).max(), 0.0)
    priced = np.clip(point - metric * (multipliers @ rows), lower, upper)
    room = np.where(multipliers > 0, most - sums, sums - least)
    loose = np.minimum(np.abs(multipliers) * (rows**2 @ metric), room)
    scale = max(1.0, np.abs(point).max())
    return max(outside, missed), max(np.abs(x - priced).max() / scale, loose.max())


@pytest.mark.slow(parts=6)
@pytest.mark.parametrize("kind", CLASSES)
@pytest.mark.parametrize("n, m", [(12, 3), (400, 40)])
@example(seed=1595, far=0.001, wide=1.0)  # rows and bounds leave a point
@example(seed=0, far=1e3, wide=1e3)  # a row is near its end and not at it
@example(seed=95, far=0.001, wide=1.0)  # a point that the box alone keeps
@example(seed=134, far=0.001, wide=1.0)
@example(seed=117, far=0.1, wide=1e6)  # rows held that are sums of each other
@given(seed=seeds, far=reach, wide=spread)
def test_plans_of_every_class_meet_the_optimality_conditions(kind, n, m, seed, far, wide):
    _, region, point, metric = plan(kind, seed, n, m, far, wide)
    start = jnp.zeros(len(region.rows))
    paths = [general(jnp.asarray(point), region, metric, start)]
    paths += [jitted(point, with_nesting(region), metric, start)] * (kind == "geos")
    for x, multipliers in paths:
        answer = np.asarray(x), np.asarray(multipliers)
        infeasible, worst = conditions(*answer, point, metric, region)
        assert infeasible <= 1e-12
        # 1e-12 but rarely; metrics over six decades: 4 of 22,500 miss, by 3e-7 at most
        assert worst <= (1e-6 if kind == "repeated" or wide > 1e3 else 1e-9)
    if len(paths) > 1:
        np.testing.assert_allclose(paths[0][0], paths[1][0], rtol=0, atol=1e-10 * (1 + far))


@pytest.mark.parametrize("kind", CLASSES)
@given(seed=seeds, far=st.sampled_from([0.1, 1.0, 10.0]))
def test_no_feasible_plan_lies_nearer(kind, seed, far):
    """<point - x, z - x> <= 0 for every plan z; the best z by HiGHS."""
    _, region, point, metric = plan(kind, seed, 12, 3, far, 10.0)
    lower, upper, rows, least, most, _ = region
    x = np.asarray(general(jnp.asarray(point), region, metric, jnp.zeros(len(rows)))[0])
    away = (point - x) / metric
    away /= np.abs(away).max() or 1.0
    matrix, ends = np.concatenate([-rows, rows]), np.concatenate([-least, most])
    kept = np.isfinite(ends)
    found = linprog(
        -away, A_ub=matrix[kept], b_ub=ends[kept] + 1e-12,
        bounds=list(zip(lower, upper, strict=True)),
        options={"primal_feasibility_tolerance": 1e-10},
    )  # fmt: skip
    assert found.status == 0
    assert -found.fun - away @ x <= 1e-8


@given(seed=seeds)
def test_totals_of_forty_geos_far_below_the_wish(seed):
    """Wishes of several budgets, geos within 20%, metrics from small to large cells."""
    rng = np.random.default_rng(seed)
    plan = rng.lognormal(0, 0.8, (40, 1)) * rng.lognormal(0, 1.0, (1, 20))
    plan = (plan / plan.sum()).ravel()
    rows = np.concatenate([np.ones((1, 800)), np.repeat(np.eye(40), 20, 1)])
    least, most = 0.8 * rows @ plan, 1.2 * rows @ plan
    least[0], most[0] = 1.0, 1.0 - 7e-16  # a range that rounding made, the wrong way round
    least[0], most[0] = np.sort([least[0], most[0]])
    region = Region(0 * plan, 3 * plan, rows, least, most)
    metric = 0.04 * plan / plan.max()
    point = plan * rng.uniform(2, 6) + 10 ** rng.uniform(-2, 1) * metric * rng.normal()
    x, multipliers = general(jnp.asarray(point), region, metric, jnp.zeros(41))
    answer = np.asarray(x), np.asarray(multipliers)
    infeasible, worst = conditions(*answer, point, metric, region)
    assert infeasible <= 1e-14
    assert worst <= 1e-12
    quick = jitted(point, with_nesting(region), metric)[0]
    np.testing.assert_allclose(quick, x, rtol=0, atol=1e-13)


@given(seed=seeds, far=reach, wide=spread)
def test_a_batch_of_plans_is_projected_as_its_members_are(seed, far, wide):
    rng, region, point, metric = plan("crossed", seed, 30, 6, far, wide)
    points = jnp.asarray(point + rng.normal(size=(3, 30)) * far / 30)
    start = jnp.zeros(len(region.rows))
    together = many(points, region, jnp.asarray(metric), start)[0]
    alone = [general(p, region, jnp.asarray(metric), start)[0] for p in points]
    np.testing.assert_allclose(together, np.stack(alone), rtol=0, atol=1e-10 * (1 + far))


@given(seed=seeds, far=reach)
def test_nested_multipliers_tell_the_side_that_binds(seed, far):
    """Positive at most, negative at least, 0 in between; variables in no group; fixed."""
    rng, region, point, metric = plan("geos", seed, 40, 8, far)
    keep = np.append(0, 1 + rng.choice(8, 5, replace=False))  # the others are no groups
    region = Region(*region[:2], *(part[keep] for part in region[2:5]))
    lower, upper, rows, least, most, _ = region
    parts = (jnp.asarray(point), (lower, upper), rows[1:], least, most, metric)
    x, multipliers = map(np.asarray, nested(*parts))
    sums, unit = rows @ x, 1e-11 * (1 + far)
    assert (sums[multipliers > 0] >= most[multipliers > 0] - unit).all()
    assert (sums[multipliers < 0] <= least[multipliers < 0] + unit).all()
    assert ((x >= lower) & (x <= upper)).all()
    assert x[lower == upper] == pytest.approx(lower[lower == upper], abs=0)
    infeasible, worst = conditions(x, multipliers, point, metric, region)
    assert max(infeasible, worst) <= unit
    other = general(jnp.asarray(point), region, metric, jnp.zeros(len(rows)))[0]
    np.testing.assert_allclose(x, other, rtol=0, atol=unit)


@pytest.mark.parametrize("end, sign", [((0.2, 0.4), 1), ((0.8, 0.9), -1), ((0.4, 0.7), 0)])
def test_nested_total_goes_to_the_nearer_end_of_its_range(end, sign):
    point, ones = jnp.asarray([0.1, 0.2, 0.3]), jnp.ones(3)
    groups = jnp.asarray([[1.0, 1.0, 0.0]])
    least, most = jnp.asarray([end[0], 0.0]), jnp.asarray([end[1], 1.0])
    x, multipliers = nested(point, (0 * ones, ones), groups, least, most, ones)
    assert x.sum() == pytest.approx(np.clip(0.6, *end), abs=1e-15)
    assert np.sign(multipliers[0]) == sign
    assert multipliers[1] == 0


def test_only_disjoint_groups_are_marked_as_nested():
    kinds = {
        kind: with_nesting(plan(kind, 1, 24, 4)[1]).nested is not None for kind in CLASSES
    }
    assert kinds == {kind: kind == "geos" for kind in CLASSES}
    alone = plan("geos", 1, 24, 4)[1]
    alone = Region(*alone[:2], *(part[:1] for part in alone[2:5]))
    assert with_nesting(alone).nested is None
