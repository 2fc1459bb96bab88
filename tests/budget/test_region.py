"""Projection, bounds and infeasible sets against independent oracles."""

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from jaxopt.projection import projection_box_section
from scipy.optimize import linprog, minimize

from mmmjax.budget.feasible import check_feasible
from mmmjax.budget.interior import interior, solver
from mmmjax.budget.region import (
    Region,
    best_vertex,
    inside,
    project,
    residuals,
    scaled,
    simple,
    support,
)
from mmmjax.checks import InputError
from tests.reference import budget as oracle

pytestmark = pytest.mark.usefixtures("x64")
seeds = st.integers(0, 2**32 - 1)
jitted = jax.jit(project)
batch = jax.jit(jax.vmap(project, in_axes=(0, None)))
bound = jax.jit(support)
inner = jax.jit(interior)
KINDS = ["disjoint", "laminar", "overlapping", "shares", "repeated"]


def random_region(seed, n):
    """Boxes from closed to a thousand wide, and a total anywhere between the two ends."""
    rng = np.random.default_rng(seed)
    lower = np.where(rng.random(n) < 0.3, 0.0, rng.random(n))
    upper = lower + np.where(rng.random(n) < 0.2, 0.0, 10.0 ** rng.uniform(-6, 3, n))
    share = rng.choice([0.0, 1.0, rng.random(), 1e-12])
    return rng, lower, upper, (1 - share) * lower.sum() + share * upper.sum()


def rows_of(kind, rng, m, n):
    """The total and m - 1 other rows."""
    owner = np.arange(n) * (m - 1) // n
    groups = (owner == np.arange(m - 1)[:, None]) * 1.0
    if kind == "laminar" and m > 2:
        groups[0] = groups[: 1 + m // 2].sum(0)
    elif kind == "overlapping":
        groups = (rng.random((m - 1, n)) < 0.5) * 1.0
    elif kind == "shares":
        groups = (rng.random((m - 1, n)) < 0.5) - rng.uniform(0.2, 0.8, (m - 1, 1))
    elif kind == "repeated":
        groups = np.repeat(groups[:1], m - 1, 0)
    return np.concatenate([np.ones((1, n)), groups])


def random_rows(seed, kind, m, n):
    """Equalities, ranges and one-sided rows around a feasible point; shares of a budget."""
    rng = np.random.default_rng(seed)
    lower = np.where(rng.random(n) < 0.3, 0.0, rng.random(n))
    upper = lower + np.where(rng.random(n) < 0.2, 0.0, 10.0 ** rng.uniform(-3, 0, n))
    size = upper.sum()
    lower, upper = lower / size, upper / size
    feasible = lower + rng.random(n) * (upper - lower)
    rows = rows_of(kind, rng, m, n)
    sums = rows @ feasible
    width = 10.0 ** rng.uniform(-4, 0, (2, m)) * (rng.random((2, m)) < 0.8)
    least, most = sums - width[0], sums + width[1]
    equal = rng.random(m) < 0.3
    equal[0] = rng.random() < 0.7
    least, most = np.where(equal, sums, least), np.where(equal, sums, most)
    open_, low = rng.random(m) < 0.3, rng.random(m) < 0.5
    least = np.where(open_ & low & ~equal, -np.inf, least)
    most = np.where(open_ & ~low & ~equal, np.inf, most)
    return rng, Region(lower, upper, rows, least, most), feasible


def kkt(x, multipliers, point, metric, region):
    """Worst of the conditions that make x the projection, by hand."""
    lower, upper, rows, least, most, _ = region
    slope = (x - point) / metric + multipliers @ rows
    moves = np.abs(x - np.clip(x - metric * slope, lower, upper)).max()
    sums = rows @ x
    misses = np.maximum(least - sums, sums - most).max(initial=0.0)
    outside = np.maximum(lower - x, x - upper).max(initial=0.0)
    room = np.where(multipliers > 0, most - sums, sums - least)
    loose = np.where(least == most, 0.0, np.minimum(np.abs(multipliers), room)).max()
    return max(moves, misses, outside, loose), max(misses, outside)


@pytest.mark.parametrize("n", [1, 2, 30])
@given(seed=seeds, size=st.sampled_from([1e-3, 1.0, 1e4]), ties=st.booleans())
def test_projection_on_a_total_is_the_nearest_point(n, seed, size, ties):
    rng, lower, upper, total = random_region(seed, n)
    point = size * rng.normal(size=n)
    point = np.round(point) if ties else point
    metric = np.ones(n) if ties else 10.0 ** rng.uniform(-4, 0, n)
    start = rng.normal(size=1)
    x, multiplier = map(
        np.asarray, jitted(point, simple(lower, upper, total), metric, start)
    )
    assert ((x >= lower) & (x <= upper)).all()
    scale = max(total, 1.0)
    assert abs(x.sum() - total) <= 1e-12 * scale
    expected = oracle.projection(point, lower, upper, total, metric)
    np.testing.assert_allclose(x, expected, rtol=0, atol=1e-11 * max(scale, size))
    again = np.clip(point - metric * multiplier, lower, upper)
    np.testing.assert_allclose(again, x, rtol=0, atol=1e-11 * max(scale, size))


@pytest.mark.parametrize("seed", range(4))
def test_projection_on_a_total_is_that_of_jaxopt(seed):
    """In coordinates x / sqrt(v) the nearest point is the Euclidean one."""
    rng = np.random.default_rng(seed)
    lower, width, metric = rng.uniform(0, 1, 12), rng.uniform(0, 3, 12), rng.gamma(2, 1, 12)
    total, point = lower.sum() + 0.4 * width.sum(), rng.normal(1, 4, 12)
    root = np.sqrt(metric)
    with jax.enable_x64(True):
        x, _ = project(jnp.asarray(point), simple(lower, lower + width, total), metric)
        box = (lower / root, (lower + width) / root, root, total)
        other = projection_box_section(jnp.asarray(point / root), box)
    np.testing.assert_allclose(x, root * other, rtol=0, atol=2e-5)  # it stops at 1e-5


@given(seed=seeds, where=st.sampled_from(["below", "between", "above"]))
def test_projection_on_a_range_goes_to_the_nearer_end(seed, where):
    rng = np.random.default_rng(seed)
    lower, upper = np.zeros(6), rng.uniform(0.5, 1.0, 6)
    point = rng.normal(size=6)
    free = np.clip(point, lower, upper)
    least, most = {"below": (1, 2), "between": (-1, 1), "above": (-2, -1)}[where]
    ends = np.clip(free.sum() + 0.1 * np.array([[least], [most]]), 1e-3, upper.sum())
    region = Region(lower, upper, np.ones((1, 6)), *ends)
    x, multiplier = jitted(point, region)
    total = np.clip(free.sum(), *ends[:, 0])
    nearest = oracle.projection(point, lower, upper, total, np.ones(6))
    np.testing.assert_allclose(x, nearest, rtol=0, atol=1e-12)
    if total == free.sum():
        assert multiplier[0] == 0
    else:
        assert np.sign(multiplier[0]) == np.sign(free.sum() - total)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("m, n", [(2, 7), (5, 12), (11, 60)])
@given(seed=seeds, size=st.sampled_from([0.1, 1.0, 100.0]), warm=st.booleans())
def test_projection_on_rows_meets_the_optimality_conditions(kind, m, n, seed, size, warm):
    rng, region, _ = random_rows(seed, kind, m, n)
    point = size * rng.normal(size=n)
    metric = np.ones(n) if rng.random() < 0.5 else 10.0 ** rng.uniform(-3, 0, n)
    start = rng.normal(size=m) * warm
    x, multipliers = map(np.asarray, jitted(point, region, metric, start))
    worst, infeasible = kkt(x, multipliers, point, metric, region)
    assert infeasible <= 1e-11
    assert worst <= 1e-6 * max(size, 1.0)  # far less but where rows repeat each other


@pytest.mark.parametrize("kind", ["exact", "ranges", "shares"])
@given(seed=seeds, size=st.sampled_from([0.01, 1.0, 100.0, 1e5]))
def test_projection_on_plans_is_exact(kind, seed, size):
    """Geos within +-50%: totals of geos (dependent on the budget's), shares of channels."""
    rng = np.random.default_rng(seed)
    reference = rng.lognormal(size=60)
    reference /= reference.sum()
    geo = (np.arange(60) // 6 == np.arange(10)[:, None]) * 1.0
    channel = (np.arange(60) % 6 == np.arange(6)[:, None]) * 1.0
    shares = np.concatenate([channel - channel @ reference[:, None]] * 2)[:10]
    rows = np.concatenate([np.ones((1, 60)), shares if kind == "shares" else geo])
    sums = rows @ reference
    slack = {"exact": 0.0, "ranges": 0.01, "shares": 0.02}[kind] * rng.random(11)
    slack[0] = 0.0
    region = Region(
        0.5 * reference, 1.5 * reference, rows, sums - slack / 10, sums + slack / 10
    )
    point, metric = reference + size * rng.normal(size=60) / 60, reference * 60
    x, multipliers = map(np.asarray, jitted(point, region, metric, np.zeros(11)))
    worst, infeasible = kkt(x, multipliers, point, metric, region)
    assert infeasible <= 1e-14
    assert worst <= 1e-12 * max(size, 1.0)


@pytest.mark.parametrize("kind", KINDS)
@given(seed=seeds)
def test_no_point_of_the_region_lies_nearer(kind, seed):
    """<point - x, z - x> <= 0 for every z of the region, z by HiGHS."""
    rng, region, _ = random_rows(seed, kind, 4, 8)
    point, metric = rng.normal(size=8), rng.uniform(0.5, 1.0, 8)
    x = np.asarray(jitted(point, region, metric)[0])
    away = (point - x) / metric
    assert maximum(away, region) - away @ x <= 1e-8


@pytest.mark.parametrize("seed", range(3))
def test_projection_on_rows_agrees_with_a_general_qp_solver(seed):
    rng = np.random.default_rng(seed)
    lower, upper = np.zeros(6), rng.uniform(0.2, 1.0, 6)
    rows = rows_of("shares", rng, 3, 6)
    sums = rows @ (0.5 * upper)
    region = Region(lower, upper, rows, np.array([sums[0], -np.inf, -np.inf]), sums)
    point = rng.normal(size=6)
    found = minimize(
        lambda z: ((z - point) ** 2).sum(), 0.5 * upper, method="SLSQP",
        jac=lambda z: 2 * (z - point), bounds=list(zip(lower, upper, strict=True)),
        constraints=[
            {"type": "eq", "fun": lambda z: rows[:1] @ z - sums[:1]},
            {"type": "ineq", "fun": lambda z: sums[1:] - rows[1:] @ z},
        ],
        options={"ftol": 1e-15, "maxiter": 500},
    )  # fmt: skip
    np.testing.assert_allclose(jitted(point, region)[0], found.x, atol=1e-6)


@given(seed=seeds)
def test_projection_leaves_feasible_points_and_shrinks_distances(seed):
    rng, region, feasible = random_rows(seed, "overlapping", 5, 12)
    np.testing.assert_allclose(jitted(feasible, region)[0], feasible, rtol=0, atol=1e-12)
    far = rng.normal(size=(2, 12))
    images = [np.asarray(jitted(p, region)[0]) for p in far]
    assert np.linalg.norm(images[0] - images[1]) <= np.linalg.norm(far[0] - far[1]) + 1e-11


@given(seed=seeds)
def test_a_batch_is_projected_as_its_members_are(seed):
    rng, region, _ = random_rows(seed, "disjoint", 5, 12)
    points = rng.normal(size=(4, 12)) * np.array([1e-3, 1e-1, 1.0, 1e2])[:, None]
    together = batch(points, region)[0]
    alone = np.stack([jitted(p, region)[0] for p in points])
    np.testing.assert_allclose(together, alone, rtol=0, atol=1e-9)


@pytest.mark.parametrize("kind", KINDS)
@given(seed=seeds)
def test_interior_point_finds_it_alone(kind, seed):
    rng, region, _ = random_rows(seed, kind, 5, 12)
    point = rng.normal(size=12)
    lower, upper, rows, least, most = map(jnp.asarray, region[:5])
    x, _ = inner(
        point, (lower, upper), rows, (least, most), jnp.ones(12), jnp.asarray(True)
    )
    np.testing.assert_allclose(x, jitted(point, region)[0], rtol=0, atol=1e-6)


def test_systems_of_dependent_rows_are_solved():
    rows = np.array([[1.0, 1, 1], [1, 0, 0], [0, 1, 1], [0, 0, 0]])
    matrix, right = jnp.asarray(rows @ rows.T), jnp.asarray(rows @ [0.1, 0.2, 0.3])
    found = solver(matrix)(right)
    np.testing.assert_allclose(matrix @ found, right, atol=1e-12)
    assert found[3] == 0
    assert np.isfinite(solver(-jnp.eye(4))(right)).all()


def test_everything_fixed_has_one_point():
    held = np.array([0.2, 0.3, 0.5])
    rows = np.array([[1.0, 1, 1], [1, 1, 0]])
    for region in (
        simple(held, held, 1.0),
        Region(held, held, rows, rows @ held, rows @ held),
    ):
        x, multipliers = jitted(jnp.array([9.0, -1.0, 0.0]), region)
        np.testing.assert_array_equal(x, held)
        assert np.isfinite(multipliers).all()
        gradient = jnp.array([1.0, 2.0, 3.0])
        np.testing.assert_array_equal(best_vertex(gradient, region), held)
        np.testing.assert_allclose(support(gradient, region, multipliers), gradient @ held)


def maximum(gradient, region):
    """The linear programme, by HiGHS."""
    lower, upper, rows, least, most, _ = region
    matrix, ends = np.concatenate([-rows, rows]), np.concatenate([-least, most])
    kept = np.isfinite(ends)
    found = linprog(
        -gradient, A_ub=matrix[kept], b_ub=ends[kept],
        bounds=list(zip(lower, upper, strict=True)),
        options={"primal_feasibility_tolerance": 1e-10},
    )  # fmt: skip
    assert found.status == 0
    return -found.fun


@given(seed=seeds, equal=st.booleans())
def test_best_vertex_solves_the_linear_programme(seed, equal):
    rng, lower, upper, total = random_region(seed, 6)
    region = simple(lower, upper, total)
    if not equal:
        region = region._replace(least=np.array([0.5 * total]))
    gradient = rng.normal(size=6)
    vertex = np.asarray(jax.jit(best_vertex)(gradient, region))
    assert residuals(vertex, region)["budget"] <= 1e-12 * max(total, 1.0)
    best = maximum(gradient, region)
    np.testing.assert_allclose(gradient @ vertex, best, rtol=1e-8, atol=1e-8)
    np.testing.assert_allclose(bound(gradient, region, np.zeros(1)), best, 1e-8, 1e-8)


@pytest.mark.parametrize("kind", KINDS)
@given(seed=seeds, right=st.booleans())
def test_support_bounds_the_linear_programme(kind, seed, right):
    rng, region, _ = random_rows(seed, kind, 5, 12)
    gradient = rng.normal(size=12)
    best = maximum(gradient, region)
    multipliers = rng.normal(size=5)
    if right:  # the projection from far along the gradient is a maximiser
        step = 1e5
        x, multipliers = jitted(step * gradient, region)
        multipliers = multipliers / step
        np.testing.assert_allclose(gradient @ x, best, rtol=1e-6, atol=1e-8)
    value = float(bound(gradient, region, multipliers))
    assert value >= best - 1e-9
    if right:
        assert value <= best + 1e-4


def test_kernels_trace_once():
    chex.clear_trace_counter()
    counted = [jax.jit(chex.assert_max_traces(f, n=1)) for f in (project, support)]
    for seed in range(3):
        rng, region, _ = random_rows(seed, "laminar", 4, 9)
        counted[0](rng.normal(size=9), region, np.ones(9), np.zeros(4))
        counted[1](rng.normal(size=9), region, np.zeros(4))


def test_scaled_keeps_what_is_inside():
    _, region, feasible = random_rows(3, "shares", 4, 9)
    money = scaled(region, 1e-7)
    assert inside(feasible * 1e7, money)
    assert inside(feasible, region)
    assert not inside(feasible * 2, region)
    off = residuals(feasible + 1.0, region)
    assert set(off) == {"budget", "bounds", "limits"}
    assert off["bounds"] > 0.5


@pytest.mark.parametrize(
    "total, parts",
    [
        (2.0, ["sum of the lower bounds, 3 ", "TV 2 (fixed), Radio 1", "at least 3"]),
        (9.0, ["sum of the upper bounds, 6 ", "Radio 4, TV 2 (fixed)", "at most 6"]),
    ],
)
def test_empty_region_names_what_clashes(total, parts):
    region = simple(np.array([1.0, 2.0]), np.array([4.0, 2.0]), total)
    with pytest.raises(InputError) as error:
        check_feasible(region, ["Radio", "TV"], np.array([False, True]))
    for part in parts:
        assert part in str(error.value)


def test_a_total_off_by_rounding_is_accepted_and_moved():
    lower = np.full(3, 1e7 / 3)
    region = simple(lower, 2 * lower, 1e7 * (1 - 1e-12))
    moved = check_feasible(region, ["a", "b", "c"], np.zeros(3, bool))
    assert moved.least[0] == moved.most[0] == lower.sum()
    assert inside(lower, moved)
    assert not inside(lower * 1.001, moved)


NAMES = ["Display", "Social", "TV", "Radio"]
WORDS = [
    ("the budget 1,000,000",) * 2,
    ('group "digital" at least 100,000', 'group "digital" at most 400,000'),
    ("", 'group "offline" at most 500,000'),
]


def clashing(digital, lower):
    """Two groups of two channels under a budget of a million."""
    rows = np.array([[1.0, 1, 1, 1], [1, 1, 0, 0], [0, 0, 1, 1]])
    least, most = np.array([1e6, 1e5, -np.inf]), np.array([1e6, digital, 5e5])
    return Region(np.asarray(lower, float), np.full(4, 9e5), rows, least, most)


@pytest.mark.parametrize(
    "digital, lower, named, absent",
    [
        (4e5, [0, 0, 0, 0],
         ["the budget 1,000,000", '"digital" at most 400,000', '"offline" at most 500,000',
          "miss by 33,333"], ["bounds", "at least 100,000"]),
        (4e5, [3e5, 2e5, 0, 0],
         ['"digital" at most 400,000', "lower bounds of Display 300,000, Social 200,000"],
         ["budget", "offline", "TV"]),
        (6e5, [0, 0, 3e5, 3e5],
         ['"offline" at most 500,000', "lower bounds of TV 300,000 (fixed), Radio 300,000"],
         ["budget", "digital"]),
    ],
)  # fmt: skip
def test_clashing_rows_are_named_and_no_others(digital, lower, named, absent):
    fixed = np.array([False, False, True, False])
    with pytest.raises(InputError) as error:
        check_feasible(clashing(digital, lower), NAMES, fixed, "money", WORDS)
    message = str(error.value)
    assert message.startswith("constraints: got ")
    for part in named:
        assert part in message
    got = message.split("Allowed:")[0]
    for part in absent:
        assert part not in got


@given(seed=seeds)
def test_a_feasible_region_is_left_and_an_empty_one_is_refused(seed):
    rng, region, _ = random_rows(seed, "overlapping", 5, 12)
    words = [("least", "most")] * 5
    labels = [f"c{i}" for i in range(12)]
    kept = check_feasible(region, labels, np.zeros(12, bool), "money", words)
    for part, whole in zip(kept[:5], region[:5], strict=True):
        np.testing.assert_allclose(part, whole, rtol=1e-8, atol=1e-9)
    off = 1.1 * (region.rows[1] * region.upper).sum() + 0.01
    empty = region._replace(least=region.least.copy(), most=region.most.copy())
    empty.least[1], empty.most[1] = off, off + rng.random()
    with pytest.raises(InputError, match="least and upper bounds of c"):
        check_feasible(empty, labels, np.zeros(12, bool), "money", words)


def test_rows_off_by_rounding_are_moved():
    region = clashing(5e5 * (1 - 1e-12), [0, 0, 0, 0])
    moved = check_feasible(region, NAMES, np.zeros(4, bool), "money", WORDS)
    x, _ = jitted(np.full(4, 1.0), moved)
    assert inside(np.asarray(x), region)
    assert max(residuals(x, moved).values()) <= 1e-9
