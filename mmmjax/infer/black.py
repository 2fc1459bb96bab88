"""mm.ChEES, mm.MCLMC and mm.MEADS: blackjax's moves on the preconditioned density.

ChEES and MEADS learn their tuning from all chains at once, by blackjax's own warm-ups.
MCLMC is warmed up in windows like mm.HMC: step size from all chains, then the pooled
covariance whitens the density again. Afterwards the tuning is fixed and chains are
independent; a few of them are one call of one compiled program, on all cores.
"""

import math
import threading
import time
from itertools import pairwise
from typing import Any, NamedTuple

import jax
import numpy as np

from mmmjax.infer import adaptation, moves, whitening
from mmmjax.infer.density import Problem, rewhiten
from mmmjax.infer.lanes import lane_size
from mmmjax.infer.laplace import Potential
from mmmjax.infer.moves import Draw
from mmmjax.infer.pointwise import compile_unfold
from mmmjax.infer.progress import Progress, Shown
from mmmjax.infer.result import Result
from mmmjax.infer.threads import in_batches, in_threads
from mmmjax.programs import compiled
from mmmjax.samplers import MCLMC, MEADS, ChEES
from mmmjax.spec import Spec

__all__ = ["build", "run"]

THIN = {"chees": 1, "adjusted": 1, "unadjusted": 20, "meads": 20}  # moves a kept draw
TARGET_ACCEPT = 0.9  # of adjusted MCLMC, as in Robnik, Cohn-Gordon and Seljak (2025)
ENERGY_ERROR = 1e-4  # of unadjusted MCLMC: variance of a step's energy change, per dim
TRAJECTORY = math.pi  # longest of adjusted MCLMC, in sd times the root of the dimensions
DECOHERENCE = 1.0  # length of unadjusted MCLMC in the same unit
FIRST = 0.5  # step size of MCLMC at first, in the same unit
WINDOWS = (0.2, 0.4, 0.8)  # ends of MCLMC's windows, as shares of the warm-up
POOLED = (1, 2)  # windows after which the metric is learned

type Settings = ChEES | MCLMC | MEADS


class Programs(NamedTuple):
    """Compiled programs of one shape, and the seconds it took now."""

    warm: Any
    chunk: Any
    unfold: Any
    seconds: float


def kind_of(sampler: Settings) -> str:
    """Name of the move."""
    if isinstance(sampler, MCLMC):
        return "adjusted" if sampler.adjusted else "unadjusted"
    return sampler.kind


def _length(n: int, sampler: Settings) -> int:
    return math.ceil(n / sampler.chunk) * sampler.chunk


def build(problem: Problem, spec: Spec, sampler: Settings) -> Programs:
    """Compile everything for problems of this shape."""
    with jax.enable_x64(sampler.dtype == "float64"):
        return _build(problem.astype(sampler.dtype), spec, sampler)


def _build(problem: Problem, spec: Spec, sampler: Settings) -> Programs:
    kind, dtype, size = kind_of(sampler), np.dtype(sampler.dtype), problem.center.shape[0]
    chains = sampler.chains
    width = chains if in_batches() else lane_size(chains)
    z, keys = np.zeros((chains, size), dtype), np.zeros((chains, 2), np.uint32)
    key, warm = keys[0], None
    seconds = 0.0
    tuning = {"step_size": dtype.type(1), "length": dtype.type(1)}
    ahead = {"spec": spec, "steps": _length(sampler.warmup, sampler)}
    if isinstance(sampler, ChEES):
        ahead |= {"leapfrogs": sampler.max_leapfrogs}
        target = dtype.type(sampler.target_accept)
        warm, seconds = compiled(moves.warm_chees, ahead, z, key, target, problem)
        tuning |= {"scale": z[0]}
    if isinstance(sampler, MEADS):
        warm, seconds = compiled(moves.warm_meads, ahead, z, key, problem)
        one = dtype.type(1)
        tuning = {"step_size": one, "scale": z[0], "alpha": one, "delta": one}
    few, one = z[:width], np.zeros(width, dtype)
    extra = {"unadjusted": (few,), "meads": (few, one)}.get(kind, ())
    static = {"spec": spec, "kind": kind, "length": sampler.chunk, "thin": THIN[kind]}
    state = (few, one, few, *extra)
    start = np.zeros((), np.int32)
    chunk, more = compiled(moves.chunk, static, state, keys[:width], start, tuning, problem)
    draws = _length(sampler.draws, sampler)
    unfold, last = compile_unfold(chains, draws, problem, spec)
    return Programs(warm, chunk, unfold, seconds + more + last)


class Chains:
    """All chains of one market: where they are and what they learned."""

    def __init__(
        self, problem: Problem, spec: Spec, sampler: Settings, seed: int, progress: Progress
    ):
        """Compile, or take what is compiled."""
        self.problem, self.sampler, self.seed = problem, sampler, seed
        self.progress = progress
        self.spec, self.programs = spec, build(problem, spec, sampler)
        self.seconds = self.programs.seconds + Potential(problem, spec).seconds
        self.width = sampler.chains if in_batches() else lane_size(sampler.chains)
        keys = [jax.random.fold_in(jax.random.key(seed), c) for c in range(sampler.chains)]
        self.keys = np.stack([np.asarray(jax.random.key_data(key)) for key in keys])
        self.tuning: dict[str, Any] = {}
        self.events: list[str] = []  # chains that were restarted
        self.state: Any = ()
        self.refresh()

    def refresh(self) -> None:
        """Put the present coordinates on the device."""
        self.data = self.problem.astype(self.sampler.dtype)

    def starts(self, chains: Any, round: int) -> np.ndarray:
        """Fresh places (chain, P) in the present coordinates."""
        potential = Potential(self.problem, self.spec)
        found = [adaptation.start((self.seed, c, round), potential)[0] for c in chains]
        return np.stack(found).astype(self.sampler.dtype)

    def place(self, z: np.ndarray) -> None:
        """Put the chains of MCLMC at z (chain, P), each in a random direction."""
        value, slope = Potential(self.problem, self.spec).many(np.asarray(z, float))
        random = np.random.default_rng((self.seed, len(self.events)))
        momentum = random.standard_normal(z.shape)
        momentum /= np.linalg.norm(momentum, axis=1, keepdims=True)
        cast = lambda x: np.asarray(x, self.sampler.dtype)
        state = (cast(z), -cast(value), -cast(slope))
        adjusted = kind_of(self.sampler) == "adjusted"
        self.state = state if adjusted else (*state, cast(momentum))

    def advance(self, start: int, chunks: int) -> Draw:
        """Run every chain for so many chunks; draws (iteration, chain, ...)."""
        shards = [
            slice(i, i + self.width) for i in range(0, self.sampler.chains, self.width)
        ]
        states = [jax.tree.map(lambda x, s=s: np.asarray(x)[s], self.state) for s in shards]
        length, thin = self.sampler.chunk, THIN[kind_of(self.sampler)]
        out: list[list[Draw]] = [[] for _ in shards]

        def one(i: int, stop: threading.Event) -> None:
            for k in range(chunks):
                if stop.is_set():
                    return
                at = np.asarray((start + k * length) * thin, np.int32)
                states[i], draws = self.programs.chunk(
                    states[i], self.keys[shards[i]], at, self.tuning, self.data
                )
                out[i].append(jax.tree.map(np.asarray, draws))
                self._report(shards[i].start, out[i][-1])

        in_threads(one, len(shards))
        whole = [jax.tree.map(lambda *x: np.concatenate(x), *draws) for draws in out]
        self.state = jax.tree.map(lambda *x: np.concatenate(x), *states)
        return jax.tree.map(lambda *x: np.concatenate(x, 1), *whole)

    def _report(self, first: int, draws: Draw) -> None:
        step = np.full(len(draws.lp), float(self.tuning["step_size"]))
        for c in range(draws.lp.shape[1]):
            move = draws.move
            shown = Shown(move.diverging[:, c], step, move.n_steps[:, c])
            self.progress.advance(first + c, shown)


def run(
    problem: Problem, spec: Spec, sampler: Settings, seed: int, progress: Progress
) -> Result:
    """Warm up and sample all chains of one market.

    Args:
        problem: From :func:`mmmjax.infer.precondition.precondition`.
        spec: Structure of the spec.
        sampler: Settings; warm-up and draws are rounded up to whole chunks.
        seed: Of everything random; the same seed gives the same draws.
        progress: Where to show what happens.
    """
    progress.phase("compile")
    n_warm, n_draw = (math.ceil(n / sampler.chunk) for n in (sampler.warmup, sampler.draws))
    with jax.enable_x64(sampler.dtype == "float64"):
        chains = Chains(problem, spec, sampler, seed, progress)
        shown = n_warm if isinstance(sampler, MCLMC) else 0  # the others' is one call
        progress.begin(sampler.chunk, shown, n_draw, chains.seconds)
        started = time.perf_counter()
        progress.phase("warm-up")
        warm_up = _windows if isinstance(sampler, MCLMC) else _whole
        gradients = warm_up(chains, n_warm)
        middle = time.perf_counter()
        progress.phase("sample")
        kept = chains.advance(n_warm * sampler.chunk, n_draw)
        z = np.ascontiguousarray(np.swapaxes(kept.z, 0, 1))
        params = jax.tree.map(np.asarray, chains.programs.unfold(z, chains.data))
        ended = time.perf_counter()
    info = {
        "compile_s": chains.seconds,
        "warmup_s": middle - started,
        "sample_s": ended - middle,
        "gradients": {"warmup": gradients, "sample": int(kept.move.n_steps.sum())},
        "warmup": n_warm * sampler.chunk,
        "draws": n_draw * sampler.chunk,
        "restarts": chains.events,
    }
    if kind_of(sampler) == "unadjusted":
        info["energy_error"] = float(kept.move.error.mean())
    return Result(params, _statistics(chains, kept), info)


def _statistics(chains: Chains, kept: Draw) -> dict[str, np.ndarray]:
    """Statistics of draws, (chain, draw); those that the move has."""
    move, kind = kept.move, kind_of(chains.sampler)
    step = np.full(kept.lp.shape, chains.tuning["step_size"])
    found = {
        "diverging": move.diverging, "lp": kept.lp, "n_steps": move.n_steps,
        "step_size": step,
    }  # fmt: skip
    if kind != "unadjusted":
        found["acceptance_rate"] = move.acceptance_rate
    if kind == "chees":
        found["energy"] = move.energy
    return {name: np.ascontiguousarray(x.T) for name, x in found.items()}


def _whole(chains: Chains, n_chunks: int) -> int:
    """blackjax's warm-up of ChEES or MEADS, one call; gradients it took."""
    sampler = chains.sampler
    z = chains.starts(range(sampler.chains), 0)
    key = np.asarray(jax.random.key_data(jax.random.key(chains.seed)))
    args: tuple[Any, ...] = (z, key)
    if isinstance(sampler, ChEES):
        args += (np.asarray(sampler.target_accept, sampler.dtype),)
    state, tuning, steps = chains.programs.warm(*args, chains.data)
    chains.state = state
    chains.tuning = jax.tree.map(np.asarray, tuning)
    return int(steps) * sampler.chains


def _windows(chains: Chains, n_chunks: int) -> int:
    """Warm-up of MCLMC: step sizes chunk by chunk, the metric after two windows."""
    sampler, dtype = chains.sampler, np.dtype(chains.sampler.dtype).type
    root = math.sqrt(chains.problem.center.shape[0])
    kind = kind_of(sampler)
    learn = _by_acceptance if kind == "adjusted" else _by_energy
    length = TRAJECTORY if kind == "adjusted" else DECOHERENCE
    size = FIRST * root
    chains.place(chains.starts(range(sampler.chains), 0))
    bounds = sorted({max(1, round(share * n_chunks)) for share in WINDOWS})
    bounds = [0, *[end for end in bounds if end < n_chunks], n_chunks]
    gradients = 0
    for window, (first, last) in enumerate(pairwise(bounds)):
        seen, sizes = [], []
        for k in range(first, last):
            chains.tuning = {"step_size": dtype(size), "length": dtype(length * root)}
            seen.append(chains.advance(k * sampler.chunk, 1))
            gradients += int(seen[-1].move.n_steps.sum())
            sizes.append(size)
            size *= learn(seen[-1])
        draws: Draw = jax.tree.map(lambda *x: np.concatenate(x), *seen)
        stuck = _restart(chains, draws, first * sampler.chunk)
        if window in POOLED and last < n_chunks:
            _pool(chains, draws, stuck)
        size = math.exp(np.mean(np.log([*sizes[len(sizes) // 2 + 1 :], size])))
    chains.tuning["step_size"] = dtype(size)
    return gradients


def _by_acceptance(draws: Draw) -> float:
    """Factor of the step size towards the acceptance aimed at."""
    return math.exp(float(draws.move.acceptance_rate.mean()) - TARGET_ACCEPT)


def _by_energy(draws: Draw) -> float:
    """Factor of the step size towards the energy error aimed at, which is of order 6."""
    error = draws.move.error[np.isfinite(draws.move.error)]
    error = float(error.mean()) if len(error) else np.inf
    return float(np.clip((ENERGY_ERROR / max(error, 1e-12)) ** (1 / 6), 0.5, 2.0))


def _restart(chains: Chains, draws: Draw, begin: int) -> list[int]:
    """Put stuck chains on new starts and say so; which they were."""
    steps = np.full(draws.lp.T.shape, float(chains.tuning["step_size"]))
    stuck = adaptation.stuck(draws.lp.T, steps, draws.z.shape[-1])
    if stuck:
        z = np.array(chains.state[0], float)
        z[stuck] = chains.starts(stuck, begin + 1)
        chains.place(z)
    chains.events += [
        f"chain {c} was stuck in warm-up at iteration {begin}: restarted" for c in stuck
    ]
    return stuck


def _pool(chains: Chains, draws: Draw, without: list[int]) -> None:
    """Whiten again by the covariance of all chains, which keep their places."""
    seen = np.delete(draws.z, without, 1)
    if not seen.size:
        return
    flat = seen.reshape(-1, seen.shape[-1]).astype(float)
    mean, factor = whitening.pooled(chains.problem.whiten, flat)
    z = whitening.solve(factor, np.asarray(chains.state[0], float) - mean)
    chains.problem = rewhiten(chains.problem, mean, factor)
    chains.refresh()
    chains.place(z)
