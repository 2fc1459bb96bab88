"""The solver alone, on concave functions whose optimum another method finds."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mmmjax.budget.ascent import CONVERGED, LIMIT, NOT_FINITE, Local, ascend
from mmmjax.budget.region import project, simple
from tests.reference import budget as oracle

pytestmark = pytest.mark.usefixtures("x64")
seeds = st.integers(0, 2**32 - 1)


def curves(x, height, bend):
    return (height * jnp.tanh(bend * x)).sum()


@partial(jax.jit, static_argnames="f")
def climb(region, metric, height, bend, tolerance, limit, concave=True, f=curves):
    """Climb with a given metric; None: the curvature of each curve (Newton's)."""
    start = project(region.lower + 0.5 * (region.upper - region.lower), region)[0]

    def evaluate(x):
        value, gradient = jax.value_and_grad(f)(x, height, bend)
        slopes = lambda x: jax.grad(f)(x, height, bend)
        curvature = jax.jvp(slopes, (x,), (jnp.ones_like(x),))[1]
        return Local(value, gradient, curvature if metric is None else 1.0 / metric)

    return ascend(evaluate, region, start, concave, tolerance, limit)


def problem(seed, n=6):
    """Sum of height * tanh(bend * x) with an average value of order 1."""
    rng = np.random.default_rng(seed)
    height, bend = rng.gamma(2.0, 1.0, n) / n, np.exp(rng.normal(1.0, 1.5, n))
    lower = rng.uniform(0, 0.5, n) / n * (rng.random(n) < 0.5)
    upper = lower + rng.uniform(0, 4.0, n) / n * (rng.random(n) < 0.9)
    total = lower.sum() + rng.random() * (upper.sum() - lower.sum())
    return simple(lower, upper, total), height, bend


def optimum(region, height, bend):
    def at(x):
        t = np.tanh(bend * x)
        return height * t, height * bend * (1 - t * t)

    return oracle.best_plan(at, region.lower, region.upper, region.most[0])


@pytest.mark.parametrize("limit", [1, 3, 10, 2000])
@given(seed=seeds)
def test_gap_is_never_below_the_true_gap(limit, seed):
    region, height, bend = problem(seed)
    end = climb(region, None, height, bend, 1e-10, limit)
    _, best = optimum(region, height, bend)
    assert best - end.value <= end.gap + 1e-12
    assert abs(end.point.sum() - region.most[0]) < 1e-13
    if limit == 2000:
        assert end.status == CONVERGED
        assert end.gap <= 1e-10 * end.value


@given(seed=seeds)
def test_any_metric_leads_to_the_same_optimum(seed):
    region, height, bend = problem(seed)
    metric = 10.0 ** np.random.default_rng(seed).uniform(-2, 0, 6)
    metrics = (None, np.ones(6), metric)
    ends = [climb(region, m, height, bend, 1e-10, 5000) for m in metrics]
    np.testing.assert_allclose(ends[0].value, [e.value for e in ends[1:]], rtol=1e-9)


def test_the_curvature_of_separate_curves_makes_it_fast():
    slow, fast = [], []
    for seed in range(20):
        region, height, bend = problem(seed)
        slow.append(climb(region, np.ones(6), height, bend, 1e-10, 5000).evaluations)
        fast.append(climb(region, None, height, bend, 1e-10, 5000).evaluations)
    assert np.median(fast) <= 10
    assert np.median(fast) <= np.median(slow) / 2


@given(seed=seeds)
def test_optimum_equals_bisection_on_the_multiplier(seed):
    region, height, bend = problem(seed)
    end = climb(region, np.ones(6), height, bend, 1e-12, 5000)
    x, _ = optimum(region, height, bend)
    flat = height * bend * np.tanh(bend * x) * (1 - np.tanh(bend * x) ** 2) < 1e-4
    np.testing.assert_allclose(end.point[~flat], x[~flat], atol=1e-4)


def test_an_unfinished_climb_says_so_and_is_no_worse_than_the_start():
    region, height, bend = problem(3)
    first = climb(region, np.ones(6), height, bend, 1e-12, 1)
    later = climb(region, np.ones(6), height, bend, 1e-12, 4)
    assert first.status == LIMIT
    assert first.evaluations == 1
    assert later.value >= first.value
    assert later.gap <= first.gap


def test_a_function_that_is_not_finite_is_a_status():
    region, height, bend = problem(3)
    end = climb(region, np.ones(6), height * np.nan, bend, 1e-9, 100)
    assert end.status == NOT_FINITE


def test_a_function_without_slope_is_optimal_at_once():
    region, height, bend = problem(3)
    end = climb(region, np.ones(6), 0 * height, bend, 1e-9, 100)
    assert (int(end.status), int(end.evaluations), float(end.gap)) == (CONVERGED, 1, 0.0)


def valley(x, height, bend):
    return (x * x * bend).sum() + height.sum()


def test_without_concavity_it_climbs_to_a_stationary_point():
    region, height, bend = problem(5)
    end = climb(region, np.ones(6), height, bend, 1e-9, 2000, concave=False, f=valley)
    start = climb(region, np.ones(6), height, bend, 1e-9, 1, concave=False, f=valley).point
    assert end.value > valley(start, height, bend)
    assert end.residual < 1e-6
