"""Moves and warm-ups of blackjax: pure functions on one chain, or on all of them.

A move takes a chain from one place to the next: ``move(state, key, at, tuning, density)``
gives the new state and a :class:`Move`. ``at`` is the number of the move, the same for all
chains, so that trajectories of random length have the same length in all of them. A state
is a tuple that begins with z, its log density and the gradient.
"""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, cast

import jax
import jax.numpy as jnp
import optax
from blackjax.adaptation.chees_adaptation import chees_adaptation
from blackjax.adaptation.meads_adaptation import meads_adaptation
from blackjax.mcmc import adjusted_mclmc_dynamic, dynamic_hmc, ghmc, mclmc
from blackjax.mcmc.dynamic_hmc import DynamicHMCState, halton_sequence
from blackjax.mcmc.ghmc import GHMCState
from blackjax.mcmc.integrators import IntegratorState
from jax import export
from jaxtyping import Array

from mmmjax.infer.adaptation import FIRST_STEP
from mmmjax.infer.density import Problem, log_density
from mmmjax.spec import Spec

__all__ = ["Draw", "Move", "chunk", "warm_chees", "warm_meads"]

GRADIENTS = 2  # of a step of the isokinetic McLachlan integrator
HALTON_BITS = 20
CHEES_RATE = 0.025  # of Adam, as in Hoffman, Radul and Sountsov (2021)

type Tuning = Mapping[str, Any]
type Density = Callable[[Array], Array]


class Move(NamedTuple):
    """What one move leaves behind."""

    diverging: Any
    acceptance_rate: Any
    energy: Any
    error: Any  # squared change of energy of a step, per dimension
    n_steps: Any


class Draw(NamedTuple):
    """One kept draw: where it is and what its moves were."""

    z: Any
    lp: Any
    move: Move


for kind in (Move, Draw):  # so that compiled programs can be kept on disk
    name = f"mmm.black.{kind.__name__}"
    export.register_namedtuple_serialization(kind, serialized_name=name)


def _steps(at: Any, most: Any) -> Array:
    """Steps of the move ``at``, from 1 to ``most``, evenly spread over moves."""
    return jnp.maximum(1, jnp.ceil(halton_sequence(at, HALTON_BITS) * most)).astype(int)


def _at(state: Any, at: Array) -> DynamicHMCState:
    z, lp, slope = state
    return DynamicHMCState(z, lp, slope, at)


def chees(state: Any, key: Array, at: Array, tuning: Tuning, density: Density) -> Any:
    """HMC with a diagonal mass matrix and lengths of a Halton sequence."""
    kernel = cast(Any, dynamic_hmc.build_kernel)(
        next_random_arg_fn=lambda i: i + 1, integration_steps_fn=_steps
    )
    moved, info = kernel(
        key, _at(state, at), density, tuning["step_size"], tuning["scale"],
        (tuning["length"],),
    )  # fmt: skip
    kinetic = 0.5 * jnp.sum(tuning["scale"] * jnp.square(info.momentum))
    energy = jnp.where(info.is_accepted, info.energy, kinetic - state[1])
    steps = info.num_integration_steps
    move = Move(info.is_divergent, info.acceptance_rate, energy, 0.0 * energy, steps)
    return tuple(moved[:3]), move


def adjusted(state: Any, key: Array, at: Array, tuning: Tuning, density: Density) -> Any:
    """Isokinetic trajectory that is accepted or not (Metropolis-adjusted MCLMC)."""
    kernel = cast(Any, adjusted_mclmc_dynamic.build_kernel)(
        integration_steps_fn=_steps, next_random_arg_fn=lambda i: i + 1
    )
    size = tuning["step_size"]
    moved, info = kernel(
        key, _at(state, at), density, size,
        integration_steps_params=(tuning["length"] / size,),
    )  # fmt: skip
    nothing = 0.0 * info.energy
    steps = GRADIENTS * info.num_integration_steps
    move = Move(info.is_divergent, info.acceptance_rate, nothing, nothing, steps)
    return tuple(moved[:3]), move


def unadjusted(state: Any, key: Array, at: Array, tuning: Tuning, density: Density) -> Any:
    """One step of microcanonical Langevin dynamics, never refused."""
    z, lp, slope, momentum = state
    moved, info = mclmc.build_kernel()(
        key, IntegratorState(z, momentum, lp, slope), density, jnp.ones_like(z),
        tuning["length"], tuning["step_size"],
    )  # fmt: skip
    error = jnp.square(info.energy_change) / z.shape[0]
    one = jnp.ones((), z.dtype)
    move = Move(~info.nonans, one, 0.0 * error, error, GRADIENTS * jnp.ones((), int))
    return (moved.position, moved.logdensity, moved.logdensity_grad, moved.momentum), move


def meads(state: Any, key: Array, at: Array, tuning: Tuning, density: Density) -> Any:
    """One leapfrog with a momentum that lasts (generalised HMC)."""
    z, lp, slope, momentum, level = state
    kernel = cast(Any, ghmc.build_kernel)()
    moved, info = kernel(
        key, GHMCState(z, momentum, lp, slope, level), density,
        tuning["step_size"], tuning["scale"], tuning["alpha"], tuning["delta"],
    )  # fmt: skip
    nothing, rate = 0.0 * moved.logdensity, info.is_accepted.astype(z.dtype)
    move = Move(info.is_divergent, rate, nothing, nothing, jnp.ones((), int))
    return (*(moved.position, moved.logdensity, moved.logdensity_grad), *moved[1:2],
            moved.slice), move  # fmt: skip


MOVES = {"chees": chees, "adjusted": adjusted, "unadjusted": unadjusted, "meads": meads}


def chunk(
    state: Any,
    key: Array,
    start: Array,
    tuning: Tuning,
    problem: Problem,
    spec: Spec,
    kind: str,
    length: int,
    thin: int,
) -> tuple[Any, Draw]:
    """``length`` kept draws of some chains, ``thin`` moves each.

    Args:
        state: Of the chains, (chain, ...).
        key: Data of a random key for each chain; move i always has the same numbers.
        start: Number of the first move.
        tuning: What the warm-up learned, the same for all chains.
        problem: Where they are.
        spec: Structure of its spec.
        kind: Which move.
        length: Draws.
        thin: Moves a draw.
    """
    density = lambda z: log_density(z, problem, spec)
    keys = jax.random.wrap_key_data(key)

    def move(state: Any, at: Array) -> tuple[Any, Move]:
        one = lambda s, k: MOVES[kind](s, jax.random.fold_in(k, at), at, tuning, density)
        return jax.vmap(one)(state, keys)

    def draw(state: Any, first: Array) -> tuple[Any, Draw]:
        state, moves = jax.lax.scan(move, state, first + jnp.arange(thin))
        whole = Move(
            moves.diverging.any(0), moves.acceptance_rate.mean(0), moves.energy[-1],
            moves.error.mean(0), moves.n_steps.sum(0),
        )  # fmt: skip
        return state, Draw(state[0], state[1], whole)

    return jax.lax.scan(draw, state, start + thin * jnp.arange(length))


def warm_chees(
    z: Array,
    key: Array,
    target: Array,
    problem: Problem,
    spec: Spec,
    steps: int,
    leapfrogs: int,
) -> tuple[Any, dict[str, Array], Array]:
    """blackjax's warm-up of ChEES: places, tuning, gradients of a chain."""
    warm = cast(Any, chees_adaptation)(
        lambda z: log_density(z, problem, spec),
        len(z),
        target_acceptance_rate=target,
        max_leapfrog_steps=leapfrogs,
        adaptation_info_fn=lambda state, info, _: Taken(info.num_integration_steps),
        mass_matrix_estimation="diagonal",  # without it the trajectories collapse
    )
    (state, found), info = warm.run(
        jax.random.wrap_key_data(key), z, FIRST_STEP, optax.adam(CHEES_RATE), steps
    )
    tuning = {
        "step_size": found["step_size"],
        "scale": found["inverse_mass_matrix"],
        "length": found["integration_steps_params"][0],
    }
    return tuple(state[:3]), tuning, info.steps[:, 0].sum()


class Taken(NamedTuple):
    """Leapfrogs of an iteration of warm-up."""

    steps: Any


def warm_meads(
    z: Array, key: Array, problem: Problem, spec: Spec, steps: int
) -> tuple[Any, dict[str, Array], Array]:
    """blackjax's warm-up of MEADS: places, tuning, gradients of a chain."""
    warm = cast(Any, meads_adaptation)(
        lambda z: log_density(z, problem, spec),
        len(z),
        adaptation_info_fn=lambda state, info, _: None,
    )
    (state, found), _ = warm.run(jax.random.wrap_key_data(key), z, steps)
    tuning = {
        "step_size": found["step_size"],
        "scale": found["momentum_inverse_scale"],
        "alpha": found["alpha"],
        "delta": found["delta"],
    }
    places = state.position, state.logdensity, state.logdensity_grad
    return (*places, state.momentum, state.slice), tuning, jnp.asarray(steps)
