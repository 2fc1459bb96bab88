"""What samplers learn in warm-up: step size, pooled metric, chains that are stuck."""

import math
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float
from numpyro.infer.hmc_util import dual_averaging

from mmmjax.infer.laplace import POINTS, Potential

__all__ = ["FIRST_STEP", "averaging", "candidates", "learn", "start", "stuck"]

FIRST_STEP = 0.25


def start(
    seed: Sequence[int], potential: Potential
) -> tuple[np.ndarray, float, np.ndarray]:
    """The best finite one of a few Laplace draws: position, potential, gradient."""
    starts = candidates(seed, potential.problem.center.shape[0])
    values, slopes = potential.many(starts)
    best = int(values.argmin())
    return starts[best], float(values[best]), slopes[best]


def candidates(seed: Sequence[int], size: int) -> np.ndarray:
    """Draws that a chain may start from, (candidate, size)."""
    starts = np.random.default_rng(seed).standard_normal((POINTS, size))
    starts[-1] *= 0.1  # close to the mode, should the others be nowhere
    return starts


def averaging(step_size: Any) -> tuple[np.ndarray, ...]:
    """Dual averaging restarted around twice the given step sizes, which it starts from."""
    begin, _ = dual_averaging()
    size = np.asarray(step_size)
    center: Any = np.log(2.0 * size)
    last, _, *rest = begin(center)  # the average is overwritten by the first update
    every = (last, np.log(size), *rest)
    return tuple(np.broadcast_to(np.asarray(x, size.dtype), size.shape) for x in every)


def learn(missing: Array, state: Any) -> tuple[Any, Array]:
    """Dual averaging after an iteration with so much acceptance missing; new step size.

    Source: Hoffman and Gelman (2014), section 3.2, with NumPyro's constants
    (gamma 0.05, t0 10, averaging weight t^-0.75).
    """
    _, update = dual_averaging()
    learned = jax.tree.map(
        lambda new, old: jnp.asarray(new, jnp.asarray(old).dtype),
        update(missing, state),
        state,
    )
    return learned, jnp.exp(learned[0])


def stuck(
    lp: Float[np.ndarray, "chain draw"], steps: Float[np.ndarray, "chain draw"], size: int
) -> list[int]:
    """Chains that stand still, whose step collapsed, or whose energy is far off.

    Args:
        lp: Log density of a window.
        steps: Step sizes.
        size: Dimensions of the density.
    """
    half = lp.shape[1] // 2
    late = lp[:, half:]
    with np.errstate(invalid="ignore"):
        level, still = late.mean(1), np.ptp(late, axis=1) == 0
    typical = np.median(steps[:, half:], axis=1)
    allowed = 6.0 * math.sqrt(size / 2) + 10.0
    low = ~np.isfinite(level) | (level < np.nanmedian(level) - allowed)
    collapsed = typical < 1e-2 * np.median(typical)
    return [int(i) for i in np.flatnonzero(still | low | collapsed)]
