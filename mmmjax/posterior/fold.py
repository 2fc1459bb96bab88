"""Stream over posterior draws in bounded memory: the only loop over draws of this room.

A fit stores parameters only; contributions, returns, curves and predictions are computed
again when asked for, from functions of one draw. :func:`fold` keeps a result of every
draw, :func:`fold_cells` reduces over all draws of every (geo, time) cell. Both evaluate a
chunk of draws at a time in one compiled program, so that what lives besides the result
stays under a bound in bytes, whatever the number of draws, geos, periods and channels.

A function of one draw is ``f(params, inputs, spec, *args)``: one draw of the parameters,
:class:`mmmjax.arrays.Arrays` and arrays; data are arguments, so that a second fit of
the same shape compiles nothing. It is compiled once per function object, structure of the
spec and shape: pass functions of a module, not fresh lambdas. In a :func:`room` fits of
several shapes share the programs of one.
"""

import contextlib
import math
from collections.abc import Callable, Iterator, Mapping
from contextvars import ContextVar
from dataclasses import dataclass, replace
from typing import Any, Literal
from weakref import WeakKeyDictionary

import jax
import numpy as np
from jax.extend import core

from mmmjax import checks, convergence, programs
from mmmjax.arrays import TIME, Arrays
from mmmjax.draws import Draws, Fit
from mmmjax.resources import enough_memory
from mmmjax.shapes import GEO
from mmmjax.spec import Spec

__all__ = ["DTYPE", "MEMORY", "fold", "fold_cells", "room", "thinned"]

MEMORY = 256 * 2**20
"""Default bound in bytes on what lives besides the result."""

CHUNK = 32 * 2**20
"""Bytes alive in one compiled call at most: larger ones leave the caches and are slower."""

DRAWS = 100
"""Draws in one compiled call at most: traced at this number first, once where they fit."""

DTYPE: Literal["float32", "float64"] = "float64"
"""Default precision: differences and sums over time keep their last digits."""

ERROR = 0.11
"""Largest Monte Carlo error of the end of an interval in a table, in posterior sd."""

ENOUGH = math.ceil((1.15 / ERROR) ** 3)
"""Effective draws whose narrowest 94%, of a normal posterior, end within that error."""

LARGE = 2**25
"""Draws times geos, periods and channels up to which tables are made of every draw."""

_STEPS: WeakKeyDictionary[Fit, int] = WeakKeyDictionary()

Tree = Any
OneDraw = Callable[..., Tree]
type Timed = tuple[str, ...] | Mapping[str, tuple[str, ...]]

_ROOM: ContextVar[tuple[int, Mapping[str, int]] | None] = ContextVar("room", default=None)


@contextlib.contextmanager
def room(history: int, sizes: Mapping[str, int]) -> Iterator[None]:
    """Evaluate what is ``timed`` in arrays of at least these sizes; the answer is the same.

    What a fit has less of is zero inside, and cut off from the results: of a component of
    controls that it lacks nothing is left.

    Args:
        history: Context periods.
        sizes: Periods ("time"), channels and controls by the name of the dim.
    """
    token = _ROOM.set((history, sizes))
    try:
        yield
    finally:
        _ROOM.reset(token)


def thinned(fit: Fit, max_draws: int | None = None) -> Fit:
    """A fit with the draws that means and intervals of many cells are made of.

    All of them up to :data:`LARGE`. Beyond that every k-th draw of each chain, with the
    largest k that leaves each parameter :data:`ENOUGH` effective ones (ESS of the split
    chains that are kept); all draws where they have no more than that, or are weighted.

    Args:
        fit: The fit.
        max_draws: In place of that rule at most this many, evenly spaced over all chains.
    """
    draws, panel = fit.draws, fit.panel
    total = draws.n_chains * draws.n_draws
    if max_draws is not None:
        some = {n: a[None] for n, a in draws.flat(max_draws).items()}
        return fit if max_draws >= total else replace(fit, draws=Draws(some))
    if fit not in _STEPS:
        step = 1
        cells = panel.n_geos * panel.n_periods * max(len(panel.channels), 1)
        if total * cells > LARGE and "weights_ess" not in fit.info:
            rows = [a.reshape(*a.shape[:2], -1) for a in draws.params.values()]
            every = np.moveaxis(np.concatenate(rows, axis=2), 2, 0)
            step = max(1, min(total // ENOUGH, draws.n_draws // convergence.MIN_DRAWS))
            while step > 1:
                some = every[..., ::step]
                kept = (convergence.halves(some[b]) for b in convergence.blocks(some.shape))
                if all(convergence.ess(rows).min() >= ENOUGH for rows in kept):
                    break
                step -= 1
        _STEPS[fit] = step
    step = _STEPS[fit]
    if step == 1:
        return fit
    return replace(fit, draws=Draws({n: a[:, ::step] for n, a in draws.params.items()}))


def fold(
    fit: Fit,
    f: OneDraw,
    *args: Tree,
    inputs: Arrays | None = None,
    each: Mapping[str, np.ndarray] | None = None,
    by_geo: bool = False,
    memory: int = MEMORY,
    dtype: str = DTYPE,
    level: int = programs.QUICK,
    timed: Timed | None = None,
) -> Tree:
    """Evaluate a function of one draw at every draw; keep every result.

    Args:
        fit: Draws, spec and training data.
        f: ``f(params, inputs, spec, *args)`` -> pytree of arrays, small for one draw.
        *args: Arrays for ``f``, the same for all draws.
        inputs: In place of the training inputs of the fit.
        each: Further arrays (draw_total, ...) that join ``params``, e.g. random keys.
        by_geo: ``f`` treats geos apart: all its results and ``args`` begin with geo. Then
            geos are evaluated in blocks where one draw of all of them is too large.
        memory: Bound in bytes on intermediate arrays (at least one draw is evaluated).
        dtype: "float64" or "float32" inside.
        level: How much it is optimised: see :data:`mmmjax.programs.QUICK`.
        timed: It may be evaluated in a :func:`room`, and these are the dims of its results
            that a room makes larger: of every leaf, or by its key (others have none), from
            geo on. Time is the last axis of all ``args`` of two or more (or has size 1
            there), and ``f`` adds up over time only what they make zero elsewhere.

    Returns:
        The tree of ``f`` with NumPy arrays (draw_total, ...), chain after chain.
    """
    memory = checks.integer("memory", memory, low=1)
    with _precision(dtype):
        work = _Work.of(fit, f, args, inputs, each, dtype, level)
        work = work if timed is None else work.in_room(timed)
        sizes = [work.n_geos]
        if by_geo:  # halve until one draw fits
            while sizes[-1] > 1 and work.program(memory, sizes[-1]).bytes_per_draw > memory:
                sizes.append(math.ceil(sizes[-1] / 2))
        n_block = sizes[-1]
        program = work.program(memory, n_block if by_geo else None)
        forms = [
            ((work.n_draws, *_with_geos(shape, work.n_geos, by_geo)), kind)
            for shape, kind in program.out
        ]
        needed = sum(math.prod(shape) * kind.itemsize for shape, kind in forms)
        of = f"results of {work.n_draws:,} draws"
        enough_memory("fit", needed, of, "fewer draws, periods or geos")
        found = [np.empty(shape, kind) for shape, kind in forms]
        for geos in _blocks(work.n_geos, n_block if by_geo else work.n_geos):
            block = work.block(geos) if by_geo else work
            for draws, values in block.chunks(program):
                for whole, value in zip(found, values, strict=True):
                    if by_geo:
                        whole[draws, geos] = value
                    else:
                        whole[draws] = value
        return jax.tree.unflatten(program.run.tree, found)


def fold_cells(
    fit: Fit,
    f: OneDraw,
    reduce: Callable[[Tree, slice, slice], Tree],
    *args: Tree,
    inputs: Arrays | None = None,
    each: Mapping[str, np.ndarray] | None = None,
    by_geo: bool = True,
    memory: int = MEMORY,
    dtype: str = DTYPE,
    level: int = programs.QUICK,
    timed: Timed | None = None,
) -> Tree:
    """Reduce over all draws of every (geo, time) cell, a tile of cells at a time.

    Args:
        fit: Draws, spec and training data.
        f: ``f(params, inputs, spec, *args)`` -> pytree of arrays (geo, ..., time).
        reduce: ``reduce(tree, geos, times)`` takes arrays (draw_total, geo, ..., time) of
            one tile and its place, and gives a tree of arrays (k, geo, ..., time).
        *args: Arrays for ``f``, geo first.
        inputs: In place of the training inputs of the fit.
        each: Further arrays (draw_total, ...) that join ``params``, e.g. random keys.
        by_geo: ``f`` treats geos apart. False where it sums over them: then it sees all
            geos at once, and tiles differ in time only.
        memory: Bound in bytes on everything besides the result.
        dtype: "float64" or "float32" inside.
        level: As for :func:`fold`.
        timed: As for :func:`fold`.

    Returns:
        The tree of ``reduce`` over all cells, NumPy arrays (k, geo, ..., time).
    """
    memory = checks.integer("memory", memory, low=1)
    with _precision(dtype):
        work = _Work.of(fit, f, args, inputs, each, dtype, level)
        work = work if timed is None else work.in_room(timed)
        n_geos, n_times, program = _tile(work, by_geo, memory)
        geos_out = work.n_geos if by_geo else program.out[0][0][0]
        time_out = program.out[0][0][-1]
        found: list[np.ndarray] = []
        tree = None
        for geos in _blocks(geos_out, n_geos if by_geo else geos_out):
            block = work.block(geos) if by_geo else work
            for times in _blocks(time_out, n_times):
                tile = _gather(block, program, times)
                leaves, tree = jax.tree.flatten(reduce(tile, geos, times))
                if not found:
                    found = [
                        np.empty((x.shape[0], geos_out, *x.shape[2:-1], time_out), x.dtype)
                        for x in leaves
                    ]
                for whole, part in zip(found, leaves, strict=True):
                    whole[:, geos, ..., times] = part
        assert tree is not None
        return jax.tree.unflatten(tree, found)


@dataclass(frozen=True)
class _Chunk:
    """A function of one draw, as a program over ``n_draws`` of them.

    ``out``: shape and type of the leaves of the results of one draw, without what only the
    room has.
    """

    run: programs.Program
    n_draws: int
    out: list[tuple[tuple[int, ...], np.dtype]]

    @property
    def bytes_per_draw(self) -> int:
        """Alive at once inside."""
        return max(math.ceil(self.run.size / self.n_draws), 1)

    @property
    def bytes_out(self) -> int:
        """Size of the results of one draw."""
        return sum(math.prod(shape) * kind.itemsize for shape, kind in self.out)


def _over_draws(params: Tree, inputs: Arrays, args: Tree, f: OneDraw, spec: Spec) -> Tree:
    return jax.vmap(lambda draw: f(draw, inputs, spec, *args))(params)


def _live_bytes(jaxpr: Any) -> int:
    """Largest total of arrays alive at once, in program order: what one draw needs.

    XLA fuses elementwise chains and needs less; shared data are not counted.
    """

    def size(var: Any) -> int:  # of random keys too
        return math.prod(var.aval.shape) * var.aval.dtype.itemsize

    last = {v: i for i, e in enumerate(jaxpr.eqns) for v in e.invars if _is_variable(v)}
    last |= {v: len(jaxpr.eqns) for v in jaxpr.outvars if _is_variable(v)}
    alive: dict[Any, int] = {}
    peak = 0
    for i, equation in enumerate(jaxpr.eqns):
        inner = [_live_bytes(j) for j in core.jaxprs_in_params(equation.params)]
        alive |= {v: size(v) for v in equation.outvars if last.get(v, -1) > i}
        peak = max(peak, sum(alive.values()) + max(inner, default=0))
        for v in equation.invars:
            if _is_variable(v) and last[v] == i:
                alive.pop(v, None)
    return peak


def _is_variable(v: Any) -> bool:
    return not isinstance(v, core.Literal)


@dataclass(frozen=True)
class _Work:
    """What is evaluated: the function, parameters of all draws, inputs and arguments."""

    f: OneDraw
    spec: Spec
    params: dict[str, np.ndarray]  # as stored: chunks are cast, not all draws
    inputs: Arrays
    args: tuple[Tree, ...]
    dtype: str
    level: int
    added: Mapping[str, int]  # members of dims that only the room has
    timed: Timed = ()

    @classmethod
    def of(
        cls, fit: Fit, f: OneDraw, args: tuple[Tree, ...], inputs: Arrays | None,
        each: Mapping[str, np.ndarray] | None, dtype: str, level: int = programs.QUICK,
    ) -> "_Work":  # fmt: skip
        given = fit.inputs() if inputs is None else inputs
        given, args = jax.tree.map(lambda x: _cast(x, dtype), (given, args))
        params = fit.flat() | dict(each or {})
        return cls(f, fit.spec.structure(), params, given, args, dtype, level, {})

    @property
    def n_draws(self) -> int:
        return next(iter(self.params.values())).shape[0]

    @property
    def n_geos(self) -> int:
        return self.inputs.sizes()[GEO]

    def in_room(self, timed: Timed) -> "_Work":
        """The same in the arrays of the room, if there is one.

        Parameters of what is absent may be any.
        """
        if (asked := _ROOM.get()) is None:
            return self
        history, sizes = asked
        have = self.inputs.sizes()
        wide = {d: max(n, sizes.get(d, n)) for d, n in have.items()}
        history = max(history, self.inputs.history)
        inputs = self.inputs.padded(history, wide[TIME]).widened(wide)
        added = {d: wide[d] - n for d, n in have.items()}

        def longer(x: np.ndarray) -> np.ndarray:
            timed = x.ndim > 1 and x.shape[-1] >= have[TIME]
            return np.pad(x, [(0, 0)] * (x.ndim - 1) + [(0, added[TIME])]) if timed else x

        params = dict(self.params)
        for name in dict.fromkeys((*self.spec.present(wide), *params)):
            dims = self._dims(name)
            shape = (self.n_draws, *(have[d] for d in dims))
            x = params.get(name, np.zeros(shape))
            ends = [(0, 0), *((0, added[d]) for d in dims), *[(0, 0)] * (x.ndim - 1)]
            mode = "edge" if x.size else "constant"
            params[name] = np.pad(x, ends[: x.ndim], mode=mode)
        args = jax.tree.map(longer, self.args)
        wider: dict[str, Any] = {"params": params, "inputs": inputs, "args": args}
        return replace(self, **wider, added=added, timed=timed)

    def block(self, geos: slice) -> "_Work":
        """The same work for some geos; parameters stay views."""
        some = lambda name: (geos if d == GEO else slice(None) for d in self._dims(name))
        params = {n: a[(slice(None), *some(n))] for n, a in self.params.items()}
        args = jax.tree.map(lambda x: x[geos], self.args)
        return replace(self, params=params, inputs=self.inputs.block(geos), args=args)

    def _dims(self, name: str) -> tuple[str, ...]:
        try:
            return self.spec.dims(name)
        except KeyError:  # from `each`
            return ()

    def _draws(self, draws: slice) -> dict[str, np.ndarray]:
        return {n: _cast(a[draws], self.dtype) for n, a in self.params.items()}

    def program(
        self, memory: int | None, n_geos: int | None = None, about: int | None = None
    ) -> _Chunk:
        """The function of a chunk of draws, for blocks of geos (None: all as they are).

        ``memory`` None: to be measured, not run; ``about``: bytes of a draw, if known.
        """
        part = self if n_geos is None else self.block(slice(0, n_geos))
        one = {n: a[0] for n, a in part._draws(slice(0, 1)).items()}
        rest = jax.tree.map(_shape, (part.inputs, part.args))

        def of(n: int) -> _Chunk:
            many = {k: jax.ShapeDtypeStruct((n, *a.shape), a.dtype) for k, a in one.items()}
            static = {"f": self.f, "spec": self.spec}
            keep: dict[str, Any] = {"measure": _live_bytes, "level": self.level}
            made = programs.program(_over_draws, static, many, *rest, **keep)
            out = [(shape[1:], kind) for shape, kind in made.out]
            if any(part.added.values()):
                tree, timed = jax.tree.unflatten(made.tree, range(len(out))), self.timed
                for path, i in jax.tree_util.tree_leaves_with_path(tree):
                    key = str(getattr(path[-1], "key", "")) if path else ""
                    dims = timed if isinstance(timed, tuple) else timed.get(key, ())
                    more = [part.added.get(d, 0) for d in dims]
                    more += [0] * (len(out[i][0]) - len(more))
                    shape = (n - k for n, k in zip(out[i][0], more, strict=True))
                    out[i] = (tuple(shape), out[i][1])
            return _Chunk(made, n, out)

        most = lambda size: max(min(memory or CHUNK, CHUNK) // size, 1)
        chunk = of(_even(self.n_draws, min(DRAWS, most(about or 1))))
        fits = chunk.n_draws if memory is None else most(chunk.bytes_per_draw)
        return chunk if chunk.n_draws <= fits else of(_even(self.n_draws, fits))

    def chunks(self, chunk: _Chunk) -> Iterator[tuple[slice, list[Any]]]:
        """Results of chunks of draws; the last one overlaps, so that all have one shape."""
        rest = jax.device_put((self.inputs, self.args))
        for draws in _blocks(self.n_draws, chunk.n_draws):
            values = jax.tree.leaves(chunk.run(self._draws(draws), *rest))
            own = [(slice(None), *map(slice, shape)) for shape, _ in chunk.out]
            yield draws, [np.asarray(v)[cut] for v, cut in zip(values, own, strict=True)]


def _shape(x: Any) -> jax.ShapeDtypeStruct:
    return jax.ShapeDtypeStruct(np.shape(x), np.asarray(x).dtype)


def _even(total: int, most: int) -> int:
    """Size of the fewest blocks of about one size, none above ``most``."""
    return math.ceil(total / math.ceil(total / most))


def _cast(x: Any, dtype: str) -> np.ndarray:
    x = np.asarray(x)
    return x.astype(dtype, copy=False) if x.dtype.kind == "f" else x


def _gather(work: _Work, program: _Chunk, times: slice) -> Tree:
    """All draws of one tile on the host; those of a cell lie together, to be sorted."""
    n_times = times.stop - times.start
    tile = [
        np.moveaxis(np.empty((*s[:-1], n_times, work.n_draws), kind), -1, 0)
        for s, kind in program.out
    ]
    for draws, values in work.chunks(program):
        for whole, value in zip(tile, values, strict=True):
            whole[draws] = value[..., times]
    return jax.tree.unflatten(program.run.tree, tile)


def _tile(work: _Work, by_geo: bool, memory: int) -> tuple[int, int, _Chunk]:
    """Geos and periods of a tile: its draws fill half of what a compiled call leaves.

    The other half is for what the reduction copies.
    """
    n_geos = work.n_geos
    most = (memory - min(memory // 2, CHUNK)) // 2
    bytes_of = lambda p: work.n_draws * p.bytes_out
    if not by_geo:
        program = work.program(memory // 2)
    else:
        whole = work.program(None, n_geos)
        per_geo = math.ceil(bytes_of(whole) / n_geos)
        n_geos = _even(work.n_geos, max(most // per_geo, 1))
        about = math.ceil(whole.bytes_per_draw * n_geos / work.n_geos)
        program = work.program(memory // 2, n_geos, about)
        while n_geos > 1 and program.bytes_per_draw > memory // 2:
            n_geos = math.ceil(n_geos / 2)
            program = work.program(memory // 2, n_geos)
    n_times = program.out[0][0][-1]
    per_time = math.ceil(bytes_of(program) / n_times)
    return n_geos, _even(n_times, max(most // per_time, 1)), program


def _blocks(total: int, size: int) -> Iterator[slice]:
    """Slices of one size that cover everything; the last starts earlier where needed."""
    for start in range(0, total, size):
        first = min(start, total - size)
        yield slice(first, first + size)


def _with_geos(shape: tuple[int, ...], n_geos: int, by_geo: bool) -> tuple[int, ...]:
    return (n_geos, *shape[1:]) if by_geo else shape


def _precision(dtype: str) -> Any:
    checks.choice("dtype", dtype, ("float64", "float32"))
    return jax.enable_x64(dtype == "float64")
