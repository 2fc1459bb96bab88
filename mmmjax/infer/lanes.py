"""Lanes of one shape: their programs, where they are, and how warm-up moves them.

On CPU the lanes are shared among threads (XLA releases the interpreter), on an accelerator
they are one batch. A market's draws depend on its own seed, not on the lanes beside it.
"""

import copy
import dataclasses
import math
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import numpy as np

from mmmjax.arrays import TIME
from mmmjax.infer import adaptation, lockstep
from mmmjax.infer.adaptation import averaging
from mmmjax.infer.density import Problem
from mmmjax.infer.laplace import Potentials
from mmmjax.infer.local import Local
from mmmjax.infer.lockstep import Draw, State
from mmmjax.infer.threads import in_batches, in_threads, pool
from mmmjax.programs import compiled
from mmmjax.samplers import HMC
from mmmjax.seeds import key_data
from mmmjax.shapes import CHANNEL, GEO
from mmmjax.spec import Spec

__all__ = ["Lanes", "Programs", "build", "lane_size", "most", "statistics", "unfolding"]

SHARED = 4  # most chains of a lane, which share a step size

type Report = Callable[[int, Draw], None]


class Programs(NamedTuple):
    """Compiled: a chunk of iterations, its draws as parameters; seconds it took now."""

    chunk: Any
    unfold: Any
    seconds: float


def lane_size(chains: int) -> int:
    """Chains of a lane: as many as divide the chains evenly, up to four."""
    return max(size for size in range(1, SHARED + 1) if chains % size == 0)


def stack(problems: Sequence[Problem], dtype: Any) -> Problem:
    """Problems of one shape as one, lanes first, in the sampler's float type."""
    return jax.tree.map(lambda *x: np.stack(x), *problems).astype(dtype)


def build(problem: Problem, spec: Spec, sampler: HMC, width: int | None = None) -> Programs:
    """Compile for ``width`` lanes of problems of this shape; None: those of one market."""
    dtype, chains, size = sampler.dtype, lane_size(sampler.chains), problem.center.shape[0]
    if width is None:
        width = sampler.chains // chains if in_batches() else 1
    zeros = lambda *shape: np.zeros((width, *shape), dtype)
    many = stack([problem] * width, dtype)
    z, one = zeros(chains, size), np.ones(width, dtype)
    state = State(z, zeros(chains), z, averaging(one), one)
    keys, path = np.zeros((width, 2), np.uint32), np.stack([z] * sampler.chunk)

    def make(function: Any, *args: Any) -> tuple[Any, float]:
        with jax.enable_x64(dtype == "float64"):  # a setting of each thread
            return compiled(function, {"spec": spec}, *args)

    began = time.perf_counter()
    with pool(1) as other:
        ahead = other.submit(make, lockstep.unfold, path, many)
        chunk, seconds = make(
            lockstep.chunk,
            state,
            keys,
            *_runtime(0, True, sampler, most(problem, sampler)),
            many,
        )
        unfold, more = ahead.result()
    spent = time.perf_counter() - began if seconds + more > 0 else 0.0
    return Programs(chunk, unfold, spent)


def statistics(draws: Draw, leaps: np.ndarray) -> dict[str, np.ndarray]:
    """Statistics of draws, (iteration, lane, chain).

    Args:
        draws: From :meth:`Lanes.advance`.
        leaps: Leapfrogs of its iterations.
    """
    shape = draws.lp.shape
    fields = ("diverging", "acceptance_rate", "energy", "lp")
    return {f: getattr(draws, f) for f in fields} | {
        "step_size": np.broadcast_to(draws.step_size[..., None], shape),
        "n_steps": np.broadcast_to(leaps[:, None, None], shape),
    }


def most(problem: Problem, sampler: HMC) -> int:
    """Most leapfrogs of an iteration."""
    return sampler.most(isinstance(problem.block, Local))


def unfolding(problem: Problem, sampler: HMC) -> int:
    """Bytes alive while a chunk of draws of a market becomes parameters.

    Where geos have parameters of their own the media of every draw: what is linear is
    placed given them.
    """
    if not isinstance(problem.block, Local):
        return 0
    inputs, wide = problem.data.inputs, np.dtype(sampler.dtype).itemsize
    sizes = inputs.sizes()
    cells = sizes[GEO] * (inputs.history + sizes[TIME]) * sizes[CHANNEL]
    return sampler.chains * sampler.chunk * cells * wide


def _runtime(start: int, adapt: bool, sampler: HMC, most: int) -> tuple[np.ndarray, ...]:
    leaps = lockstep.leaps(start, sampler.chunk, most)
    target = np.asarray(sampler.target_accept, sampler.dtype)
    return np.asarray(start, np.int32), leaps, np.asarray(adapt), target


def _best(
    z: np.ndarray, value: np.ndarray, slope: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Of the candidates of each chain, the third axis, the one of least potential."""
    best = value.argmin(2)[:, :, None, None]
    every = (z, value[..., None], slope)
    z, value, slope = (np.take_along_axis(x, best, 2)[:, :, 0] for x in every)
    return z, value[..., 0], slope


class Lanes:
    """The lanes of some markets of one shape, and where they are.

    Args:
        problems: One for each market, float64, on the host.
        spec: Structure of their spec.
        sampler: Settings.
        seeds: One for each market.
        width: Lanes that a call of the program moves; None: those of one market. The last
            call is filled up with lanes that nobody looks at.
    """

    def __init__(
        self, problems: Sequence[Problem], spec: Spec, sampler: HMC, seeds: Sequence[int],
        width: int | None = None,
    ):  # fmt: skip
        """Compile, and put every chain on a start."""
        self.problems, self.spec, self.sampler = list(problems), spec, sampler
        self.seeds, self.most = list(seeds), most(problems[0], sampler)
        self.chains = lane_size(sampler.chains)
        self.each = sampler.chains // self.chains  # lanes of a market
        self.programs = build(problems[0], spec, sampler, width)
        self.width = self.each if in_batches() else 1
        self.width = self.width if width is None else width
        self.seconds = self.programs.seconds
        self._place()
        z, value, slope = self.starts(range(len(problems)), range(sampler.chains), 0)
        size = np.full(self.count, adaptation.FIRST_STEP)
        self.state = self.cast(
            State(self.to_lanes(z), self.to_lanes(value), self.to_lanes(slope), (), size)
        )
        self.state = self.state._replace(averaging=averaging(self.state.step_size))

    def _place(self) -> None:
        """Give every market its lanes, fill the last shard, put the data on the device."""
        self.count = self.each * len(self.problems)
        used = range(math.ceil(self.count / self.width) * self.width)
        self.lanes = [min(lane, self.count - 1) for lane in used]
        self.keys = np.stack([self._key(lane) for lane in self.lanes])
        self.data = [
            stack([self.problems[lane // self.each] for lane in shard], self.sampler.dtype)
            for shard in self._shards(self.lanes)
        ]

    def part(self, markets: Sequence[int]) -> "Lanes":
        """Some of the markets, where they are; they go on as if nothing happened."""
        new = copy.copy(self)
        new.problems = [self.problems[m] for m in markets]
        new.seeds = [self.seeds[m] for m in markets]
        rows = np.array([m * self.each + g for m in markets for g in range(self.each)])
        new.state = jax.tree.map(lambda x: x[rows], self.state)
        new._place()
        return new

    def leaps(self, first: int, chunks: int) -> np.ndarray:
        """Leapfrogs of every iteration of some chunks."""
        length = self.sampler.chunk
        return lockstep.leaps(first * length, chunks * length, self.most)

    def _key(self, lane: int) -> np.ndarray:
        market, group = divmod(lane, self.each)
        return key_data(self.seeds[market], group)

    def _shards(self, of: Any) -> list[Any]:
        return [of[i : i + self.width] for i in range(0, len(self.lanes), self.width)]

    def to_lanes(self, x: np.ndarray) -> np.ndarray:
        """(market, chain, ...) to (lane, chain, ...)."""
        return x.reshape(self.count, self.chains, *x.shape[2:])

    def by_market(self, x: np.ndarray) -> np.ndarray:
        """(..., lane, chain) to (market, chain, ...)."""
        moved = np.moveaxis(x, (-2, -1), (0, 1))
        return moved.reshape(len(self.problems), self.sampler.chains, *moved.shape[2:])

    def cast(self, state: State) -> State:
        """In the sampler's float type."""
        return jax.tree.map(lambda x: np.asarray(x, self.sampler.dtype), state)

    def starts(
        self, markets: Sequence[int], chains: Sequence[int], round: int
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Fresh positions, potentials and gradients (market, chain, ...).

        In the present coordinates: for each chain the best of a few Laplace draws.
        """
        problems = [self.problems[m] for m in markets]
        of = Potentials(problems, self.spec, width=max(1, self.width // self.each))
        self.seconds += of.seconds
        draw = lambda m, c: adaptation.candidates((self.seeds[m], c, round), of.size)
        z = np.stack([[draw(m, c) for c in chains] for m in markets])
        value, slope = of(z.reshape(len(markets), -1, of.size))
        return _best(z, value.reshape(z.shape[:-1]), slope.reshape(z.shape))

    def advance(self, start: int, chunks: int, adapt: bool, report: Report) -> Draw:
        """Run ``chunks`` chunks on every lane; draws (iteration, lane, ...) as NumPy."""
        shards = self._shards(np.array(self.lanes))
        states = [jax.tree.map(lambda x, s=s: x[s], self.state) for s in shards]
        keys = self._shards(self.keys)
        out: list[list[Draw]] = [[] for _ in shards]

        def one(i: int, stop: threading.Event) -> None:
            for k in range(chunks):
                if stop.is_set():
                    return
                begin = start + k * self.sampler.chunk
                at = _runtime(begin, adapt, self.sampler, self.most)
                states[i], draws = self.programs.chunk(
                    states[i], keys[i], *at, self.data[i]
                )
                out[i].append(jax.tree.map(np.asarray, draws))
                report(i, out[i][-1])

        in_threads(one, len(shards))
        whole = [jax.tree.map(lambda *x: np.concatenate(x), *draws) for draws in out]
        self.state = jax.tree.map(lambda *x: np.concatenate(x)[: self.count], *states)
        return jax.tree.map(lambda *x: np.concatenate(x, 1)[:, : self.count], *whole)

    def unfold(self, z: np.ndarray) -> dict[str, np.ndarray]:
        """Parameters at draws z (iteration, lane, chain, P): (market, chain, draw, ...)."""
        length, shards = self.sampler.chunk, self._shards(np.array(self.lanes))
        out: list[list[Any]] = [[] for _ in shards]

        def one(i: int, stop: threading.Event) -> None:
            for first in range(0, len(z), length):
                if not stop.is_set():
                    part = z[first : first + length, shards[i]]
                    found = self.programs.unfold(part, self.data[i])
                    out[i].append(jax.tree.map(np.asarray, found))

        in_threads(one, len(shards))
        join = lambda *x: np.concatenate(x, 2)
        lanes = [jax.tree.map(join, *parts) for parts in out]
        every = jax.tree.map(lambda *x: np.concatenate(x)[: self.count], *lanes)
        return {name: self.to_market(x) for name, x in every.items()}

    def to_market(self, x: np.ndarray) -> np.ndarray:
        """(lane, chain, ...) to (market, chain, ...)."""
        return x.reshape(len(self.problems), self.sampler.chains, *x.shape[2:])

    def refresh(self) -> None:
        """Put the present coordinates of all markets on the device."""
        of = [self.problems[lane // self.each] for lane in self.lanes]
        put = lambda name, shard: jax.tree.map(
            lambda *x: jax.device_put(np.stack(x).astype(self.sampler.dtype)),
            *(getattr(p, name) for p in shard),
        )
        self.data = [
            dataclasses.replace(data, center=put("center", s), whiten=put("whiten", s))
            for data, s in zip(self.data, self._shards(of), strict=True)
        ]
