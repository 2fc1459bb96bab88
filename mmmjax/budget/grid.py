"""A start for curves that are not concave: the best plan on a grid, by dynamic programming.

An S-shaped curve is worth nothing until enough is spent on it, so climbing from somewhere
finds the top of that hill only. The mean response is a sum over cells, so the best plan
whose shares are multiples of one step is found exactly, whatever the curves look like.
"""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from mmmjax.budget.horizon import Form, response_of
from mmmjax.budget.region import project
from mmmjax.budget.search import Problem

__all__ = ["grid_start"]

STEPS = 400  # of what is left above the lower bounds


def grid_start(problem: Problem, form: Form) -> Float[Array, " cell"]:
    """Shares that maximise the mean response on a grid, moved into the region.

    Args:
        problem: The problem; of its region the box and the most that may be spent count.
        form: The kind of response; every cell a variable.
    """
    region, budget = problem.region, jnp.asarray(problem.budget)
    lower = jnp.asarray(region.lower)
    room = jnp.minimum(region.most[0], jnp.asarray(region.upper).sum()) - lower.sum()
    step = jnp.maximum(room, 0.0) / STEPS
    counts = jnp.arange(STEPS + 1)
    respond = response_of(problem.window, form)

    def at(count: Array) -> Array:
        return respond((lower + count * step) * budget).mean(0)

    brought = jax.lax.map(at, counts).T  # (cell, step)
    paid = problem.price * counts * step * budget
    most = jnp.floor((region.upper - lower) / jnp.maximum(step, 1e-300) + 1e-9)
    worth = jnp.where(counts <= most[:, None], brought - paid, -jnp.inf)
    left = counts[:, None] - counts  # steps left for the cells before

    def add(best: Array, cell: Array) -> tuple[Array, Array]:
        options = jnp.where(left >= 0, best[jnp.maximum(left, 0)] + cell, -jnp.inf)
        return options.max(1), options.argmax(1)

    best = jnp.where(counts == 0, 0.0, -jnp.inf)
    best, choices = jax.lax.scan(add, best, worth)
    spent = jnp.where(region.least[0] == region.most[0], _last(best), jnp.argmax(best))

    def back(spent: Array, chosen: Array) -> tuple[Array, Array]:
        return spent - chosen[spent], chosen[spent]

    _, taken = jax.lax.scan(back, spent, choices, reverse=True)
    return project(lower + taken * step, region)[0]


def _last(best: Array) -> Array:
    """Largest total that can be reached: all of it, or as much as the bounds take."""
    reached = jnp.where(jnp.isfinite(best), jnp.arange(len(best)), 0)
    return reached.max()
