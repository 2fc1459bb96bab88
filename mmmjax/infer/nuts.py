"""NUTS around NumPyro's tree builder: data as arguments, one compilation per shape.

One chain is one sequence of calls of one compiled program of ``chunk`` iterations. On CPU
every chain has a thread of its own (XLA releases the interpreter), so that all cores work
and no chain waits for another's longer tree; on an accelerator the chains are one batch.
Adaptation is ours: step sizes by dual averaging per chain, the metric pooled over all
chains at the end of each window, folded into the problem's whitening.
"""

import math
import threading
import time
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import export
from jaxtyping import Array
from numpyro.infer.hmc_util import (
    IntegratorState,
    build_tree,
    euclidean_kinetic_energy,
    velocity_verlet,
)

from mmmjax.infer import adaptation, whitening
from mmmjax.infer.adaptation import averaging
from mmmjax.infer.density import Problem, constrain, log_density, rewhiten
from mmmjax.infer.judge import until_enough
from mmmjax.infer.laplace import Potential
from mmmjax.infer.progress import Progress
from mmmjax.infer.result import Result
from mmmjax.infer.threads import in_batches, in_threads
from mmmjax.programs import compiled
from mmmjax.samplers import NUTS
from mmmjax.spec import Spec

__all__ = ["State", "init", "run", "step"]

_MAX_ENERGY_ERROR = 1000.0
_WINDOWS = (0.1, 0.25, 0.5, 0.85)  # ends of the metric windows as shares of warm-up


class State(NamedTuple):
    """One chain: position and gradient, and its step size with the averaging behind it."""

    z: Any
    potential: Any
    gradient: Any
    averaging: Any
    step_size: Any


class Draw(NamedTuple):
    """What one iteration leaves behind."""

    z: Any
    params: dict[str, Any]
    diverging: Any
    n_steps: Any
    tree_depth: Any
    acceptance_rate: Any
    energy: Any
    lp: Any
    step_size: Any


for kind in (State, Draw):  # so that compiled programs can be kept on disk
    export.register_namedtuple_serialization(kind, serialized_name=f"mmm.{kind.__name__}")


def init(seed: Sequence[int], potential: Potential, dtype: Any) -> State:
    """Start a chain at the best finite one of a few Laplace draws."""
    z, value, slope = adaptation.start(seed, potential)
    size = np.asarray(adaptation.FIRST_STEP, dtype)
    cast = lambda x: np.asarray(x, dtype)
    return State(cast(z), cast(value), cast(slope), averaging(size), size)


def step(
    state: State, key: Array, problem: Problem, spec: Spec, depth: int
) -> tuple[State, Any, Array]:
    """One NUTS transition with unit metric: state, NumPyro's tree, acceptance."""
    key_momentum, key_tree = jax.random.split(key)
    potential = lambda z: -log_density(z, problem, spec)
    _, verlet = velocity_verlet(potential, euclidean_kinetic_energy)
    momentum = jax.random.normal(key_momentum, state.z.shape, state.z.dtype)
    tree = build_tree(
        verlet,
        euclidean_kinetic_energy,
        IntegratorState(state.z, momentum, state.potential, state.gradient),
        jnp.ones_like(state.z),
        state.step_size,
        key_tree,
        _MAX_ENERGY_ERROR,
        depth,
    )
    moved = state._replace(
        z=tree.z_proposal, potential=tree.z_proposal_pe, gradient=tree.z_proposal_grad
    )
    return moved, tree, tree.sum_accept_probs / tree.num_proposals


def chunk(
    state: State,
    key: Array,
    start: Array,
    adapt: Array,
    target: Array,
    problem: Problem,
    spec: Spec,
    length: int,
    depth: int,
) -> tuple[State, Draw]:
    """``length`` iterations of one chain; iteration i always has the same key.

    ``key`` are the data of a random key, (2,).
    """
    key = jax.random.wrap_key_data(key)

    def body(state: State, i: Array) -> tuple[State, Draw]:
        used = state.step_size
        state, tree, accept = step(state, jax.random.fold_in(key, i), problem, spec, depth)
        learned, size = adaptation.learn(target - accept, state.averaging)
        state = state._replace(
            averaging=jax.tree.map(
                lambda a, b: jnp.where(adapt, a, b), learned, state.averaging
            ),
            step_size=jnp.where(adapt, size, used),
        )
        return state, Draw(
            state.z,
            constrain(state.z, problem, spec),
            tree.diverging,
            tree.num_proposals,
            tree.depth,
            accept,
            tree.z_proposal_energy,
            -state.potential,
            used,
        )

    return jax.lax.scan(body, state, start + jnp.arange(length))


def settle(state: State) -> State:
    """End a window: step size to its average, averaging restarted around it."""
    size = np.exp(np.asarray(state.averaging[1]))
    return state._replace(step_size=size, averaging=averaging(size))


def build(
    problem: Problem, spec: Spec, sampler: NUTS, batched: bool | None = None
) -> tuple[Any, float]:
    """Compile the program of one chunk for problems of this shape; it and the seconds."""
    batched = in_batches() if batched is None else batched
    wide = sampler.dtype == "float64"
    with jax.enable_x64(wide):
        problem = problem.astype(sampler.dtype)
        z, one = np.zeros(problem.center.shape, sampler.dtype), np.ones((), sampler.dtype)
        state, key = State(z, one, z, averaging(one), one), np.zeros(2, np.uint32)
        if batched:
            state = jax.tree.map(lambda x: np.stack([x] * sampler.chains), state)
            key = np.stack([key] * sampler.chains)
        static = {"spec": spec, "length": sampler.chunk, "depth": sampler.max_tree_depth}
        args = (state, key, *_runtime(0, True, sampler), problem)
        return compiled(_batch_chunk if batched else chunk, static, *args)


def _runtime(start: int, adapt: bool, sampler: NUTS) -> tuple[np.ndarray, ...]:
    target = np.asarray(sampler.target_accept, sampler.dtype)
    return np.asarray(start, np.int32), np.asarray(adapt), target


class _Lanes:
    """Runs the same program for every chain: threads on CPU, one batch elsewhere."""

    def __init__(
        self, problem: Problem, spec: Spec, sampler: NUTS, seed: int, batched: bool
    ):
        self.batched, self.sampler, self.seed = batched, sampler, seed
        keys = [jax.random.fold_in(jax.random.key(seed), c) for c in range(sampler.chains)]
        self.keys = [np.asarray(jax.random.key_data(key)) for key in keys]
        self.spec, self.seconds = spec, 0.0
        self.states: Any = self._held(self.starts(problem, 0))
        self.program, seconds = build(problem, spec, sampler, batched)
        self.seconds += seconds

    def starts(self, problem: Problem, round: int) -> list[State]:
        """A fresh start for every chain in the problem's present coordinates."""
        potential = Potential(problem, self.spec)
        self.seconds += potential.seconds
        seeds = [(self.seed, c, round) for c in range(self.sampler.chains)]
        return [init(s, potential, self.sampler.dtype) for s in seeds]

    def advance(
        self, problem: Problem, start: int, chunks: int, adapt: bool, progress: Progress
    ) -> list[list[Draw]]:
        """Run ``chunks`` chunks on every chain; the draws, chain by chain, as NumPy."""
        out: list[list[Draw]] = [[] for _ in self.keys]

        def one(c: int, stop: threading.Event) -> None:
            for k in range(chunks):
                if stop.is_set():
                    return
                args = _runtime(start + k * self.sampler.chunk, adapt, self.sampler)
                state, draws = self.program(self.states[c], self.keys[c], *args, problem)
                self.states[c] = state
                out[c].append(jax.tree.map(np.asarray, draws))
                progress.advance(c, out[c][-1])

        def together() -> None:
            keys = np.stack(self.keys)
            for k in range(chunks):
                args = _runtime(start + k * self.sampler.chunk, adapt, self.sampler)
                self.states, draws = self.program(self.states, keys, *args, problem)
                host = jax.tree.map(np.asarray, draws)
                for c in range(len(self.keys)):
                    out[c].append(jax.tree.map(lambda x, c=c: x[c], host))
                    progress.advance(c, out[c][-1])

        if self.batched:
            together()
        else:
            in_threads(one, len(self.keys))
        return out

    def update(self, change: Callable[[list[State]], list[State]]) -> None:
        """Apply a change to the list of chain states, however they are held."""
        states = self.states
        if self.batched:
            chains = range(len(self.keys))
            states = [jax.tree.map(lambda x, c=c: x[c], self.states) for c in chains]
        self.states = self._held(change(states))

    def _held(self, states: list[State]) -> Any:
        return jax.tree.map(lambda *x: np.stack(x), *states) if self.batched else states


def _batch_chunk(
    states: State,
    keys: Array,
    start: Array,
    adapt: Array,
    target: Array,
    problem: Problem,
    spec: Spec,
    length: int,
    depth: int,
) -> tuple[State, Draw]:
    one = lambda s, k: chunk(s, k, start, adapt, target, problem, spec, length, depth)
    return jax.vmap(one)(states, keys)


def run(
    problem: Problem,
    spec: Spec,
    sampler: NUTS,
    seed: int,
    progress: Progress,
    batched: bool | None = None,
) -> Result:
    """Warm up and sample all chains.

    Args:
        problem: From :func:`mmmjax.infer.precondition.precondition`.
        spec: Structure of the spec.
        sampler: Settings; warm-up and draws are rounded up to whole chunks.
        seed: Of everything random; the same seed gives the same draws.
        progress: Where to show what happens.
        batched: Chains as one batch instead of threads; None decides by device.
    """
    batched = in_batches() if batched is None else batched
    progress.phase("compile")
    with jax.enable_x64(sampler.dtype == "float64"):
        problem = problem.astype(sampler.dtype)
        lanes = _Lanes(problem, spec, sampler, seed, batched)
        n_warm = math.ceil(sampler.warmup / sampler.chunk)
        n_draw = math.ceil(sampler.draws / sampler.chunk)
        progress.begin(sampler.chunk, n_warm, n_draw, lanes.seconds)
        started = time.perf_counter()
        problem, events, warm_steps = _warm_up(problem, lanes, n_warm, progress)
        middle = time.perf_counter()
        progress.phase("sample")
        lanes.update(lambda states: [settle(s) for s in states])

        def advance(done: int, now: int) -> tuple[Draw, dict[str, np.ndarray]]:
            begin = (n_warm + done) * sampler.chunk
            chains = lanes.advance(problem, begin, now, False, progress)
            joined = [jax.tree.map(lambda *x: np.concatenate(x), *one) for one in chains]
            draws: Draw = jax.tree.map(lambda *x: np.stack(x), *joined)
            return draws._replace(z=None, params={}), draws.params

        parts, params, judged = until_enough(sampler, advance, progress)
        every: Draw = jax.tree.map(lambda *x: np.concatenate(x, 1), *parts)
        ended = time.perf_counter()
    stats = {f: getattr(every, f) for f in Draw._fields if f not in ("z", "params")}
    info = {
        "compile_s": lanes.seconds,
        "warmup_s": middle - started,
        "sample_s": ended - middle,
        "gradients": {"warmup": warm_steps, "sample": int(every.n_steps.sum())},
        "warmup": n_warm * sampler.chunk,
        "draws": n_draw * sampler.chunk,
        "restarts": events,
        "until": judged,
    }
    return Result(params, stats, info)


def _warm_up(
    problem: Problem, lanes: _Lanes, n_chunks: int, progress: Progress
) -> tuple[Problem, list[str], int]:
    """Windows of step-size adaptation, each ending in a pooled metric for all chains."""
    progress.phase("warm-up")
    ends = sorted({max(1, round(share * n_chunks)) for share in _WINDOWS if n_chunks > 1})
    bounds = [0, *[e for e in ends if e < n_chunks], n_chunks]
    events: list[str] = []
    steps = 0
    for first, last in pairwise(bounds):
        begin = first * lanes.sampler.chunk
        window = lanes.advance(problem, begin, last - first, True, progress)
        chains = [jax.tree.map(lambda *x: np.concatenate(x), *draws) for draws in window]
        steps += sum(int(c.n_steps.sum()) for c in chains)
        stuck = _stuck(chains)
        if stuck:
            _restart(lanes, stuck, begin, problem, events)
        healthy = [c for i, c in enumerate(chains) if i not in stuck]
        if last < n_chunks and healthy:
            problem = _pool(problem, lanes, healthy, first == 0)
    return problem, events, steps


def _stuck(chains: list[Draw]) -> list[int]:
    lp, steps = (np.stack([getattr(c, f) for c in chains]) for f in ("lp", "step_size"))
    return adaptation.stuck(lp, steps, chains[0].z.shape[-1])


def _restart(
    lanes: _Lanes,
    stuck: list[int],
    begin: int,
    problem: Problem,
    events: list[str],
) -> None:
    """Put stuck chains on new starts from the current whitening and say so."""
    fresh = lanes.starts(problem, begin + 1)

    def change(states: list[State]) -> list[State]:
        others = [float(s.step_size) for c, s in enumerate(states) if c not in stuck]
        size = np.asarray(np.median(others or [adaptation.FIRST_STEP]), lanes.sampler.dtype)
        ready = [f._replace(step_size=size, averaging=averaging(size)) for f in fresh]
        return [ready[c] if c in stuck else s for c, s in enumerate(states)]

    lanes.update(change)
    events += [
        f"chain {c} was stuck in warm-up at iteration {begin}: restarted" for c in stuck
    ]


def _pool(problem: Problem, lanes: _Lanes, chains: list[Draw], early: bool) -> Problem:
    """Re-whiten by the pooled, shrunk covariance; positions and gradients are mapped."""
    z = np.concatenate([c.z[len(c.z) // 2 if early else 0 :] for c in chains]).astype(float)
    mean, factor = whitening.pooled(problem.whiten, z)
    dtype = problem.center.dtype

    def change(states: list[State]) -> list[State]:
        out = []
        for s in map(settle, states):
            z = whitening.solve(factor, np.asarray(s.z, float) - mean)
            gradient = whitening.turned(factor, np.asarray(s.gradient, float))
            out.append(s._replace(z=z.astype(dtype), gradient=gradient.astype(dtype)))
        return out

    lanes.update(change)
    return rewhiten(problem, mean, factor).astype(dtype)
