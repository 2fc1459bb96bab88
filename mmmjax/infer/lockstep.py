"""Lock-step HMC over lanes: no chain ever waits for the longer trajectory of another.

A lane is up to four chains of one market that share a step size. Every lane takes the
same number of leapfrogs in an iteration, from a Halton sequence, so that any number of
lanes is one program without waste. The program of one chunk of iterations serves warm-up
and sampling; data are arguments.

Source: Neal (2011), "MCMC using Hamiltonian dynamics"; Hoffman, Radul and Sountsov (2021)
for trajectory lengths by a Halton sequence shared by all chains.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import export
from jaxtyping import Array

from mmmjax.infer import adaptation
from mmmjax.infer.precondition import Problem, constrain, log_density
from mmmjax.spec import Spec

__all__ = ["Draw", "State", "chunk", "leaps", "unfold"]

MAX_ENERGY_ERROR = 1000.0


class State(NamedTuple):
    """Lanes: positions (lane, chain, P) with gradients, and the step size of each lane."""

    z: Any
    potential: Any
    gradient: Any
    averaging: Any
    step_size: Any


class Draw(NamedTuple):
    """What one iteration leaves behind, (lane, chain); step_size (lane,)."""

    z: Any
    diverging: Any
    acceptance_rate: Any
    energy: Any
    lp: Any
    step_size: Any


for kind in (State, Draw):  # so that compiled programs can be kept on disk
    name = f"mmm.hmc.{kind.__name__}"
    export.register_namedtuple_serialization(kind, serialized_name=name)


def leaps(start: int, length: int, most: int) -> np.ndarray:
    """Leapfrogs of iterations ``start`` and after: 1 to ``most``, evenly spread.

    By the Halton sequence of base 2: the bits of an iteration's number, mirrored at the
    point. (scipy.stats has it too, and takes 0.6 s to import.)
    """
    left, halton = np.arange(start + 1, start + length + 1), np.zeros(length)
    for bit in range(int(left[-1]).bit_length()):
        halton += (left >> bit & 1) / 2.0 ** (bit + 1)
    return (1 + np.floor(halton * most)).astype(np.int32)


def chunk(
    state: State,
    key: Array,
    start: Array,
    leaps: Array,
    adapt: Array,
    target: Array,
    problem: Problem,
    spec: Spec,
) -> tuple[State, Draw]:
    """As many iterations of all lanes as ``leaps`` has entries.

    Args:
        state: Where all lanes are.
        key: Data of a random key for each lane, (lane, 2); iteration i always has the
            same numbers.
        start: Index of the first iteration.
        leaps: Leapfrogs of each iteration.
        adapt: Whether step sizes are learned.
        target: Mean acceptance that they aim at.
        problem: Problems of all lanes, stacked.
        spec: Structure of their spec.
    """

    def body(state: State, at: tuple[Array, Array]) -> tuple[State, Draw]:
        i, n = at
        move = lambda s, k, p: _transition(s, k, i, n, p, spec)
        moved, draw = jax.vmap(move)(state, key, problem)
        missing = target - draw.acceptance_rate.mean(1)
        learned, size = jax.vmap(adaptation.learn)(missing, state.averaging)
        keep = lambda new, old: jnp.where(adapt, new, old)
        return moved._replace(
            averaging=jax.tree.map(keep, learned, state.averaging),
            step_size=keep(size, state.step_size),
        ), draw

    return jax.lax.scan(body, state, (start + jnp.arange(len(leaps)), leaps))


def _transition(
    state: State, key: Array, i: Array, n: Array, problem: Problem, spec: Spec
) -> tuple[State, Draw]:
    """One iteration of n leapfrogs for the chains of one lane."""
    key_momentum, key_accept = jax.random.split(
        jax.random.fold_in(jax.random.wrap_key_data(key), i)
    )
    slope = jax.vmap(jax.value_and_grad(lambda z: -log_density(z, problem, spec)))
    size, dtype = state.step_size, state.z.dtype
    momentum = jax.random.normal(key_momentum, state.z.shape, dtype)

    def leapfrog(_: Array, at: tuple[Array, ...]) -> tuple[Array, ...]:
        z, momentum, _, gradient = at
        momentum = momentum - 0.5 * size * gradient
        z = z + size * momentum
        potential, gradient = slope(z)
        return z, momentum - 0.5 * size * gradient, potential, gradient

    begin = (state.z, momentum, state.potential, state.gradient)
    end = jax.lax.fori_loop(0, n, leapfrog, begin)
    energy = lambda at: at[2] + 0.5 * jnp.square(at[1]).sum(1)
    before, after = energy(begin), energy(end)
    change = jnp.where(jnp.isfinite(after), before - after, -jnp.inf)
    uniform = jax.random.uniform(key_accept, change.shape, dtype)
    taken = jnp.log(uniform) < change
    pick = lambda new, old: jnp.where(taken.reshape(-1, *[1] * (new.ndim - 1)), new, old)
    z, _, potential, gradient = jax.tree.map(pick, end, begin)
    draw = Draw(
        z, change < -MAX_ENERGY_ERROR, jnp.exp(jnp.minimum(change, 0.0)),
        jnp.where(taken, after, before), -potential, size,
    )  # fmt: skip
    return state._replace(z=z, potential=potential, gradient=gradient), draw


def unfold(z: Array, problem: Problem, spec: Spec) -> dict[str, Array]:
    """Parameters, (lane, chain, draw, ...), at draws z (draw, lane, chain, P)."""
    one = lambda z, problem: constrain(z, problem, spec)
    over_draws = jax.vmap(jax.vmap(one, in_axes=(0, None)), in_axes=(1, None))
    return jax.vmap(over_draws, in_axes=(1, 0))(z, problem)
