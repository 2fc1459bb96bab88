"""Projection and linear maximiser against independent oracles; infeasible sets named."""

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import linprog, minimize

from mmmjax.budget.constraints import Region, best_vertex, check_feasible, inside, project
from mmmjax.checks import InputError
from tests.reference import budget as oracle

pytestmark = pytest.mark.usefixtures("x64")
seeds = st.integers(0, 2**32 - 1)
jitted = jax.jit(project)


def random_region(seed, n):
    """Boxes from closed to a thousand wide, and a total anywhere between the two ends."""
    rng = np.random.default_rng(seed)
    lower = np.where(rng.random(n) < 0.3, 0.0, rng.random(n))
    upper = lower + np.where(rng.random(n) < 0.2, 0.0, 10.0 ** rng.uniform(-6, 3, n))
    share = rng.choice([0.0, 1.0, rng.random(), 1e-12])
    return rng, Region(lower, upper, (1 - share) * lower.sum() + share * upper.sum())


@pytest.mark.parametrize("n", [1, 2, 30])
@given(seed=seeds, size=st.sampled_from([1e-3, 1.0, 1e4]), ties=st.booleans())
def test_projection_is_the_nearest_point(n, seed, size, ties):
    rng, region = random_region(seed, n)
    point = size * rng.normal(size=n)
    point = np.round(point) if ties else point
    metric = np.ones(n) if ties else 10.0 ** rng.uniform(-4, 0, n)
    x = np.asarray(jitted(point, region, metric))
    assert ((x >= region.lower) & (x <= region.upper)).all()
    scale = max(region.total, 1.0)
    assert abs(x.sum() - region.total) <= 1e-12 * scale
    expected = oracle.projection(point, *region, metric)
    np.testing.assert_allclose(x, expected, rtol=0, atol=1e-11 * max(scale, size))


@pytest.mark.parametrize("seed", range(5))
def test_projection_agrees_with_a_general_qp_solver(seed):
    rng = np.random.default_rng(seed)
    lower, upper = np.zeros(5), rng.uniform(0.2, 1.0, 5)
    point = rng.normal(size=5)
    x = np.asarray(jitted(point, Region(lower, upper, 1.0), np.ones(5)))
    found = minimize(
        lambda z: ((z - point) ** 2).sum(), upper / upper.sum(), method="SLSQP",
        jac=lambda z: 2 * (z - point), bounds=list(zip(lower, upper, strict=True)),
        constraints={"type": "eq", "fun": lambda z: z.sum() - 1.0, "jac": np.ones_like},
        options={"ftol": 1e-15, "maxiter": 200},
    )  # fmt: skip
    np.testing.assert_allclose(x, found.x, atol=1e-7)


@given(seed=seeds)
def test_projection_leaves_feasible_points_and_shrinks_distances(seed):
    rng, region = random_region(seed, 8)
    a, b = (np.asarray(jitted(rng.normal(size=8), region, np.ones(8))) for _ in range(2))
    np.testing.assert_allclose(jitted(a, region, np.ones(8)), a, rtol=0, atol=1e-12)
    far = rng.normal(size=(2, 8))
    images = [np.asarray(jitted(p, region, np.ones(8))) for p in far]
    assert np.linalg.norm(images[0] - images[1]) <= np.linalg.norm(far[0] - far[1]) + 1e-12
    assert np.isfinite(b).all()


@given(seed=seeds)
def test_best_vertex_solves_the_linear_programme(seed):
    rng, region = random_region(seed, 6)
    gradient = rng.normal(size=6)
    vertex = np.asarray(jax.jit(best_vertex)(gradient, region))
    assert abs(vertex.sum() - region.total) <= 1e-12 * max(region.total, 1.0)
    found = linprog(
        -gradient, A_eq=np.ones((1, 6)), b_eq=[region.total],
        bounds=list(zip(region.lower, region.upper, strict=True)),
    )  # fmt: skip
    assert found.status == 0
    np.testing.assert_allclose(gradient @ vertex, -found.fun, rtol=1e-9, atol=1e-9)


def test_everything_fixed_has_one_point():
    held = np.array([0.2, 0.3, 0.5])
    region = Region(held, held, 1.0)
    np.testing.assert_array_equal(project(jnp.array([9.0, -1.0, 0.0]), region), held)
    np.testing.assert_array_equal(best_vertex(jnp.array([1.0, 2.0, 3.0]), region), held)


def test_projection_and_vertex_trace_once():
    chex.clear_trace_counter()
    for f, args in ((project, 2), (best_vertex, 1)):
        counted = jax.jit(chex.assert_max_traces(f, n=1))
        for seed in range(3):
            rng, region = random_region(seed, 4)
            counted(rng.normal(size=4), region, *[np.ones(4)] * (args - 1))


@pytest.mark.parametrize(
    "total, parts",
    [
        (2.0, ["sum of the lower bounds, 3 ", "TV 2 (fixed), Radio 1", "at least 3"]),
        (9.0, ["sum of the upper bounds, 6 ", "Radio 4, TV 2 (fixed)", "at most 6"]),
    ],
)
def test_empty_region_names_what_clashes(total, parts):
    region = Region(np.array([1.0, 2.0]), np.array([4.0, 2.0]), total)
    with pytest.raises(InputError) as error:
        check_feasible(region, ["Radio", "TV"], np.array([False, True]))
    for part in parts:
        assert part in str(error.value)


def test_a_total_off_by_rounding_is_accepted_and_moved():
    lower = np.full(3, 1e7 / 3)
    region = Region(lower, 2 * lower, 1e7 * (1 - 1e-12))
    moved = check_feasible(region, ["a", "b", "c"], np.zeros(3, bool))
    assert moved.total == lower.sum()
    assert inside(lower, moved)
    assert not inside(lower * 1.001, moved)
