"""Where a search begins: at the reference, and where nothing is proven also elsewhere."""

import dataclasses
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from mmmjax.budget.horizon import Form, response_of
from mmmjax.budget.prepare import Prepared
from mmmjax.budget.region import best_vertex, project, ranges_of
from mmmjax.budget.search import Kind, Problem, search, worth
from mmmjax.budget.utility import mean_response

__all__ = ["starts_of"]

SCREENED = 1024  # points tried for a place among the starts
COMMON = 2  # the first: reference, best on average
CLOSE = 0.03  # mean distance, in ranges of the cells, below which two starts are one


def starts_of(
    prepared: Prepared, problem: Problem, count: int, seed: int
) -> Float[np.ndarray, "start variable"]:
    """Starts of a search, (start, variable), shares of the budget.

    After the reference: the best plan on average; then the best of many random mixtures and
    corners of the region, none close to another, whatever the seed; a sixth of the places
    goes to random ones of the seed, whatever they are worth. Where every period is a
    variable only the first two.

    Args:
        prepared: What was asked.
        problem: The problem, scaled.
        count: How many; one where the problem is concave.
        seed: Of the random points.
    """
    reference = prepared.variables(prepared.layout.reference) / prepared.layout.budget
    if not prepared.doubt or count == 1:
        return reference[None]
    kind, points = prepared.kind, [reference]
    average = problem._replace(utility=mean_response())
    average = average._replace(size=float(_mean(average, reference, form=kind.form)) or 1.0)
    climb = dataclasses.replace(kind, smooth=True, concave=True)
    points.append(np.asarray(_climb(average, points[-1][None], kind=climb)))
    if kind.form.free_periods:  # thousands of variables: time goes into few climbs
        return np.stack(points[:count])
    rngs = ((np.random.default_rng(0), SCREENED), (np.random.default_rng([1, seed]), count))
    drawn = np.concatenate([
        rng.random((many, len(reference))) ** rng.choice([0.5, 1.0, 3.0], (many, 1))
        for rng, many in rngs
    ])  # fmt: skip
    drawn, values = (np.asarray(x) for x in _screen(problem, drawn, form=kind.form))
    values = np.where(np.isfinite(values), values, -np.inf)[:SCREENED]
    order = np.argsort(-values, kind="stable")
    best = 1 + (5 * count) // 6
    ranges = ranges_of(problem.region)
    for i in order:
        if len(points) >= best:
            break
        if min((np.abs(drawn[i] - point) / ranges).mean() for point in points) > CLOSE:
            points.append(drawn[i])
    return np.stack([*points, *drawn[SCREENED:]][:count])


@partial(jax.jit, static_argnames=("form",))
def _mean(problem: Problem, shares: Array, *, form: Form) -> Array:
    return response_of(problem.window, form)(shares * problem.budget).sum(1).mean()


@partial(jax.jit, static_argnames=("kind",))
def _climb(problem: Problem, starts: Array, *, kind: Kind) -> Array:
    return search(problem, kind, starts, 1e-6, 1000).point


@partial(jax.jit, static_argnames=("form",))
def _screen(problem: Problem, drawn: Array, *, form: Form) -> tuple[Array, Array]:
    """Random numbers in [0, 1] as points of the region, and what they are worth.

    Two of three become mixtures between the bounds, one of three the corner that is best
    for prices made of them.
    """
    region = jax.tree.map(jnp.asarray, problem.region)
    respond, ranges = response_of(problem.window, form), ranges_of(region)

    def one(item: tuple[Array, Array]) -> tuple[Array, Array]:
        index, pull = item
        mixed = region.lower + pull * (region.upper - region.lower)
        corner = best_vertex(pull, region)
        point = project(jnp.where(index % 3 == 2, corner, mixed), region, ranges)[0]
        return point, worth(problem, respond(point * problem.budget), point)

    return jax.lax.map(one, (jnp.arange(len(drawn)), drawn))
