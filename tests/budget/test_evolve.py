"""Clouds of points: kinks that stop a search are climbed along, limits are kept."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.optimize import linprog

from mmmjax.budget.evolve import GENERATIONS, POINTS, evolve
from mmmjax.budget.region import Region, project
from mmmjax.budget.search import SPREADS

pytestmark = pytest.mark.usefixtures("x64")


def simplex(cells, rng):
    """Shares that add up to 1, each between bounds."""
    lower, upper = rng.uniform(0, 0.3, cells) / cells, rng.uniform(1.5, 4, cells) / cells
    row, one = np.ones((1, cells)), np.ones(1)
    return Region(lower, upper, row, one, one)


@pytest.mark.parametrize("cells, left", [(2, 0.01), (6, 0.02), (12, 0.1)])
def test_the_ridge_of_many_pieces_is_climbed(cells, left):
    """The least of random planes; its top by linear programming."""
    rng = np.random.default_rng(cells)
    region = simplex(cells, rng)
    slopes, levels = rng.normal(size=(8, cells)), rng.normal(size=8) * 0.1
    worth = lambda x: (jnp.asarray(slopes) @ x + levels).min()
    start = project(jnp.full(cells, 1 / cells), region)[0]
    run = jax.jit(lambda x, spread: evolve(worth, region, x, worth(x), spread))
    x, count = start, 0
    for spread in SPREADS:
        x, value, more = run(x, spread)
        count += int(more)
    top = linprog(
        np.append(np.zeros(cells), -1.0),
        A_ub=np.column_stack([-slopes, np.ones(8)]), b_ub=levels,
        A_eq=np.append(np.ones(cells), 0.0)[None], b_eq=[1.0],
        bounds=[*zip(region.lower, region.upper, strict=True), (None, None)],
    )  # fmt: skip
    assert value == pytest.approx(float(worth(x)), rel=1e-12)
    assert float(worth(start)) <= value <= -top.fun + 1e-9
    assert -top.fun - value <= left * (-top.fun - float(worth(start)))
    assert abs(x.sum() - 1) < 1e-12
    assert ((x >= region.lower) & (x <= region.upper)).all()
    assert count <= len(SPREADS) * (POINTS + 1) * GENERATIONS


def test_a_top_is_never_left_and_nan_never_taken():
    region = simplex(4, np.random.default_rng(0))
    top = project(jnp.asarray([0.4, 0.2, 0.2, 0.2]), region)[0]
    worth = lambda x: jnp.where(x[0] > top[0], jnp.nan, -jnp.abs(x - top).sum())
    x, value, _ = evolve(worth, region, top, worth(top))
    np.testing.assert_array_equal(x, top)
    assert value == 0
