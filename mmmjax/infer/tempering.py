"""mm.SMC: populations of particles from a wide normal to the posterior, by blackjax.

The log density is log q + t (log p - log q) with q a normal twice as wide as the Laplace
approximation in every direction, and t from 0 to 1. Each population finds its own
temperatures, so that populations are independent and R-hat compares them. Step sizes
follow the acceptance at the temperature before. Resampling is systematic: descendants of
a particle stay side by side, so that the effective sample size sees them as correlated.

Populations begin alike, so that R-hat is small wherever they stop on the way. What says
that they have arrived is that more moves, with finer steps, leave them as they are.
"""

import math
import threading
import time
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from blackjax.mcmc import hmc
from blackjax.smc import adaptive_tempered
from blackjax.smc.resampling import systematic
from blackjax.smc.tempered import TemperedSMCState
from jax import export
from jaxtyping import Array

from mmmjax.checks import InputError
from mmmjax.infer.density import Problem, log_density
from mmmjax.infer.pointwise import compile_unfold, densities
from mmmjax.infer.progress import Progress, Shown
from mmmjax.infer.result import Result
from mmmjax.infer.threads import in_threads
from mmmjax.programs import compiled
from mmmjax.samplers import SMC
from mmmjax.spec import Spec

__all__ = ["build", "drift", "run"]

WIDE = 2.0  # sd of the normal at temperature 0, in sd of the Laplace approximation
TARGET_ACCEPT = 0.9
FIRST = 0.5  # step size at temperature 0
LENGTHS = (0.5, 1.5)  # least and longest trajectory, in quarter turns of a unit normal
LONGEST = 64  # leapfrogs
LAST = 5  # rounds of moves at temperature 1
CHECKS = 3  # more rounds, with finer steps, that must leave the particles as they are
FINER = 4  # times
NOWHERE = -1e30  # log density
BATCHES = 20  # of particles of a population, for the errors of what the checks move
MOST = 500  # temperatures before it is given up


class Rise(NamedTuple):
    """Particles after one temperature, and what their moves were."""

    z: Any
    weights: Any
    temperature: Any
    acceptance_rate: Any
    diverging: Any


export.register_namedtuple_serialization(Rise, serialized_name="mmm.smc.Rise")


def rise(
    z: Array,
    weights: Array,
    temperature: Array,
    key: Array,
    step_size: Array,
    leapfrogs: Array,
    problem: Problem,
    spec: Spec,
    target_ess: float,
    moves: int,
) -> Rise:
    """Resample, move at this temperature, weigh for the next one.

    Args:
        z: Particles (particle, P).
        weights: Theirs, sum 1.
        temperature: Theirs; 0 is the wide normal, 1 the posterior.
        key: Data of a random key.
        step_size: Of the HMC moves.
        leapfrogs: Of a move.
        problem: The problem.
        spec: Structure of its spec.
        target_ess: Share of effective particles after the next rise.
        moves: HMC moves of each particle.
    """
    wide = lambda z: -0.5 * jnp.sum(jnp.square(z / WIDE))
    # Where the density is not a number no particle goes; infinity times 0 would be none.
    tilt = lambda z: jnp.nan_to_num(
        log_density(z, problem, spec) - wide(z), nan=NOWHERE, posinf=NOWHERE, neginf=NOWHERE
    )
    kernel = adaptive_tempered.build_kernel(
        wide,
        tilt,
        hmc.build_kernel(),
        hmc.init,
        systematic,
        target_ess,
    )
    settings = {
        "step_size": step_size[None],
        "inverse_mass_matrix": jnp.ones_like(z[:1]),
        "num_integration_steps": leapfrogs[None],
    }
    state, info = kernel(
        jax.random.wrap_key_data(key), TemperedSMCState(z, weights, temperature), moves,
        settings,
    )  # fmt: skip
    done = info.update_info
    return Rise(
        state.particles, state.weights, state.tempering_param,
        done.acceptance_rate.mean(), done.is_divergent.reshape(len(z), -1).any(1),
    )  # fmt: skip


class Programs(NamedTuple):
    """Compiled programs of one shape, and the seconds it took now."""

    rise: Any
    density: Any
    unfold: Any
    seconds: float


def build(problem: Problem, spec: Spec, sampler: SMC) -> Programs:
    """Compile everything for problems of this shape."""
    with jax.enable_x64(sampler.dtype == "float64"):
        problem, dtype = problem.astype(sampler.dtype), np.dtype(sampler.dtype)
        z = np.zeros((sampler.draws, problem.center.shape[0]), dtype)
        static = {"spec": spec, "target_ess": sampler.target_ess, "moves": sampler.moves}
        one, key = np.zeros((), dtype), np.zeros(2, np.uint32)
        few = np.zeros((), np.int32)
        stage, seconds = compiled(rise, static, z, z[:, 0], one, key, one, few, problem)
        density, more = compiled(densities, {"spec": spec}, z, problem)
        unfold, last = compile_unfold(sampler.chains, sampler.draws, problem, spec)
    return Programs(stage, density, unfold, seconds + more + last)


class Population(NamedTuple):
    """A finished population."""

    z: np.ndarray
    before: np.ndarray  # the checks
    lp: np.ndarray
    diverging: np.ndarray
    gradients: int  # of a particle: those of its moves, and the one they begin with
    step_size: float


def run(
    problem: Problem, spec: Spec, sampler: SMC, seed: int, progress: Progress
) -> Result:
    """Bring every population to the posterior.

    Args:
        problem: From :func:`mmmjax.infer.precondition.precondition`.
        spec: Structure of the spec.
        sampler: Settings.
        seed: Of everything random; the same seed gives the same draws.
        progress: Where to show what happens.
    """
    progress.phase("compile")
    programs = build(problem, spec, sampler)
    progress.begin(sampler.draws, 0, 1, programs.seconds)
    found: list[Any] = [None] * sampler.chains
    with jax.enable_x64(sampler.dtype == "float64"):
        data = problem.astype(sampler.dtype)
        started = time.perf_counter()
        progress.phase("sample")

        def one(c: int, stop: threading.Event) -> None:
            found[c] = _population(programs, data, sampler, (seed, c), stop)
            last = found[c]
            progress.advance(
                c,
                Shown(
                    last.diverging,
                    np.full(1, last.step_size),
                    np.full(1, last.gradients),
                ),
            )

        in_threads(one, sampler.chains)
        z = np.stack([p.z for p in found])
        params = jax.tree.map(np.asarray, programs.unfold(z, data))
        ended = time.perf_counter()
    taken = np.array([p.gradients for p in found])
    every = lambda name: np.stack([getattr(p, name) for p in found])
    stats = {
        "diverging": every("diverging"),
        "lp": every("lp"),
        "step_size": np.repeat(every("step_size")[:, None], sampler.draws, 1),
        "n_steps": np.repeat(taken[:, None], sampler.draws, 1),
    }
    info = {
        "compile_s": programs.seconds,
        "warmup_s": 0.0,
        "sample_s": ended - started,
        "gradients": {"warmup": 0, "sample": int(taken.sum()) * sampler.draws},
        "warmup": 0,
        "draws": sampler.draws,
        "restarts": [],
        "drift": drift(every("before"), z),
    }
    return Result(params, stats, info)


def _population(
    programs: Programs,
    data: Any,
    sampler: SMC,
    seed: tuple[int, int],
    stop: threading.Event,
) -> Population:
    """One population from the wide normal to the posterior."""
    random = np.random.default_rng(seed)
    dtype = np.dtype(sampler.dtype)
    size = data.center.shape[0]
    z: Any = (WIDE * random.standard_normal((sampler.draws, size))).astype(dtype)
    weights: Any = np.full(sampler.draws, 1.0 / sampler.draws, dtype)
    temperature, step, left = dtype.type(0), FIRST, LAST + CHECKS
    gradients, diverging, before = 0, np.zeros(sampler.draws, bool), z
    for _ in range(MOST):
        if stop.is_set():
            break
        key = random.integers(0, 2**32, 2, np.uint32)
        left -= temperature >= 1
        finer = FINER if left < CHECKS else 1
        if left == CHECKS - 1:
            before = np.asarray(z)
        length = 0.5 * math.pi * random.uniform(*LENGTHS)
        leaps = finer * min(max(1, round(length / step)), LONGEST)
        gradients += 1 + sampler.moves * leaps
        args = (key, dtype.type(step / finer), np.int32(leaps), data)
        found = programs.rise(z, weights, temperature, *args)
        z, weights, temperature = found[:3]
        temperature = np.asarray(temperature)
        if left < LAST + CHECKS:
            diverging = diverging | np.asarray(found.diverging)
        if left == 0:
            lp = np.asarray(programs.density(z, data))
            return Population(np.asarray(z), before, lp, diverging, gradients, step)
        if finer == 1:
            step *= math.exp(float(found.acceptance_rate) - TARGET_ACCEPT)
    raise InputError(
        f"mm.SMC: got temperature {float(temperature):.3g} after {MOST} rises. Allowed: 1. "
        "Fix: more particles (draws) or a lower target_ess, or fit with mm.NUTS()."
    )


def drift(before: Any, after: Any) -> float:
    """Largest change of a mean, or of a mean square, in errors of that change.

    Moves that leave the posterior as it is change neither, where particles are draws of
    it. Errors are by batches of neighbours, because relatives are side by side. Of a
    hundred numbers the largest is above 5 once in 3,000.

    Args:
        before: Particles (population, particle, P).
        after: The same particles some moves later.
    """
    at = before.shape[1] // BATCHES * BATCHES
    a, b = before[:, :at].astype(float), after[:, :at].astype(float)
    center = b.mean((0, 1))
    moved = np.concatenate([b - a, np.square(b - center) - np.square(a - center)], -1)
    means = moved.reshape(len(a) * BATCHES, -1, moved.shape[-1]).mean(1)
    error = means.std(0, ddof=1) / math.sqrt(len(means))
    with np.errstate(divide="ignore", invalid="ignore"):
        found = np.abs(means.mean(0)) / error
    return float(np.where(np.isfinite(found), found, math.inf).max())
