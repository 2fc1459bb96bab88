"""The density, and the parameters, at many points; few at a time, so that memory holds."""

from typing import Any

import jax
import numpy as np
from jaxtyping import Array, Float

from mmmjax.infer.density import Problem, constrain, log_density
from mmmjax.programs import compiled
from mmmjax.spec import Spec

__all__ = ["compile_unfold", "densities", "unfold"]

AT_ONCE = 50  # points that are in memory at the same time


def densities(
    z: Float[Array, "point size"], problem: Problem, spec: Spec
) -> Float[Array, " point"]:
    """Log density at each point."""
    return jax.lax.map(lambda at: log_density(at, problem, spec), z, batch_size=AT_ONCE)


def unfold(
    z: Float[Array, "chain draw size"], problem: Problem, spec: Spec
) -> dict[str, Array]:
    """Parameters, (chain, draw, ...), at draws of z."""
    flat = z.reshape(-1, z.shape[-1])
    found = jax.lax.map(lambda at: constrain(at, problem, spec), flat, batch_size=AT_ONCE)
    return jax.tree.map(lambda x: x.reshape(*z.shape[:2], *x.shape[1:]), found)


def compile_unfold(
    chains: int, draws: int, problem: Problem, spec: Spec
) -> tuple[Any, float]:
    """The program of :func:`unfold` for so many draws, and the seconds it took now."""
    size = problem.center.shape[0]
    z = np.zeros((chains, draws, size), problem.center.dtype)
    return compiled(unfold, {"spec": spec}, z, problem)
