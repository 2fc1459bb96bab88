"""Laplace fits: modes and curvatures of densities, several of one shape at a time.

The minimizer is scipy's L-BFGS-B. Its runs (some starts of some problems) go in step, so
that one call of one compiled program answers all of them; the results of a run do not
depend on those beside it.

``jaxopt.LBFGS`` batched over the same runs, with its backtracking search, reaches the same
values (to 0.001) and costs more. Processor seconds to compile and to run: the case study
13.0 and 3.9 against 2.2 and 0.4 here (35 iterations, 29 calls); a fleet of 12 in one batch
10.9 and 9.8 against 1.8 and 5.5 (142, 58): all runs take the steps of the slowest; a pooled
panel of 10 geos x 100 weeks x 4 channels 36.7 and 11.5 against 7.9 and 3.2 (203, 220).
"""

import dataclasses
import math
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float
from scipy.optimize import minimize

from mmmjax.infer import informed, whitening
from mmmjax.infer.density import Problem, joint
from mmmjax.infer.local import Local
from mmmjax.infer.sites import law_of
from mmmjax.infer.threads import in_threads
from mmmjax.programs import compiled
from mmmjax.spec import Spec

__all__ = ["POINTS", "Potential", "Potentials", "whitened", "whitened_together"]

POINTS = 4  # of a problem in one call: the starts of a Laplace fit, or of a chain
STEP = 1e-4  # of the central differences, in coordinates of prior size
LBFGS = {"maxiter": 1000, "maxcor": 20, "ftol": 1e-6}  # a tenth of a sd from the mode
LONGER = {"maxiter": 3000, "maxcor": 20, "ftol": 1e-9}  # of hundreds of parameters of geos

type Values = tuple[Float[np.ndarray, "..."], Float[np.ndarray, "..."]]


class Potentials:
    """Negative log densities and gradients of problems of one shape, on the host, float64.

    Compiled once per shape and width.

    Args:
        problems: Of one shape.
        spec: Structure of their spec.
        smooth: Replace the kink of Laplace priors by a parabola of the same variance, for
            a Hessian.
        width: Problems that one call of the program evaluates; the last call is filled up.
    """

    def __init__(
        self, problems: Sequence[Problem], spec: Spec, smooth: bool = False, width: int = 1
    ):
        """Compile, or take the compiled one of this shape."""
        self.count, self.width = len(problems), width
        self.size = problems[0].center.shape[0]
        with jax.enable_x64(True):
            self.smooth = jnp.asarray(float(smooth))
            last = self.count - 1
            self.shards = [
                jax.tree.map(
                    lambda *x: np.stack(x),
                    *(problems[min(i, last)] for i in range(first, first + width)),
                ).astype(np.float64)
                for first in range(0, self.count, width)
            ]
            z = np.zeros((width, POINTS, self.size))
            args = (z, self.shards[0], self.smooth)
            self.run, self.seconds = compiled(_slopes, {"spec": spec}, *args)

    def __call__(self, z: Float[np.ndarray, "problem point size"]) -> Values:
        """Values (problem, point) and gradients (problem, point, size).

        Infinity and zeros where either is not finite.
        """
        count, points, size = z.shape
        rows = len(self.shards) * self.width
        columns = math.ceil(points / POINTS) * POINTS
        at = np.pad(
            z, [(0, rows - count), (0, columns - points), (0, 0)], mode="edge"
        ).astype(float)
        values, slopes = np.empty((rows, columns)), np.empty((rows, columns, size))

        def one(i: int, stop: threading.Event) -> None:
            mine = slice(i * self.width, (i + 1) * self.width)
            for first in range(0, columns, POINTS):
                if stop.is_set():
                    return
                some = slice(first, first + POINTS)
                with jax.enable_x64(True):
                    found = self.run(at[mine, some], self.shards[i], self.smooth)
                values[mine, some], slopes[mine, some] = map(np.asarray, found)

        if len(self.shards) == 1:
            one(0, threading.Event())
        else:
            in_threads(one, len(self.shards))
        bad = ~(np.isfinite(values) & np.isfinite(slopes).all(-1))
        values[bad], slopes[bad] = np.inf, 0.0
        return values[:count, :points], slopes[:count, :points]


class Potential:
    """Negative log density and gradient of one problem, on the host, float64.

    Arguments as :class:`Potentials`.
    """

    def __init__(self, problem: Problem, spec: Spec, smooth: bool = False):
        """Compile, or take the compiled one of this shape."""
        self.problem, self.spec = problem, spec
        self.several = Potentials([problem], spec, smooth)
        self.seconds = self.several.seconds

    def __call__(self, z: Float[np.ndarray, " size"]) -> tuple[float, np.ndarray]:
        """Value and gradient; where either is not finite, infinity and zeros."""
        values, slopes = self.many(np.asarray(z)[None])
        return float(values[0]), slopes[0]

    def many(self, z: Float[np.ndarray, "point size"]) -> Values:
        """The same at several points."""
        values, slopes = self.several(z[None])
        return values[0], slopes[0]


def whitened(problem: Problem, spec: Spec, seed: int) -> tuple[Problem, float]:
    """A problem in coordinates whitened by its Laplace fit, and the seconds of compiling.

    Args:
        problem: In sheared coordinates: center 0 and whiten 1.
        spec: Structure of its spec.
        seed: Of the starts of the fit.
    """
    (found,), seconds = whitened_together([problem], spec, [seed])
    if isinstance(found, Exception):
        raise found
    return found, seconds


def whitened_together(
    problems: Sequence[Problem], spec: Spec, seeds: Sequence[int], width: int = 1
) -> tuple[list[Problem | Exception], float]:
    """:func:`whitened` of problems of one shape; an error is that of its problem alone."""
    potentials = Potentials(problems, spec, smooth=True, width=width)
    begin, seconds = np.zeros((len(problems), potentials.size)), potentials.seconds
    if isinstance(problems[0].block, Local):
        held = informed.held(spec, problems[0].data)
        runs = _runs(potentials, seeds, begin, ~held)
        problems, begin, more = _informed(problems, spec, *runs)
        potentials = Potentials(problems, spec, smooth=True, width=width)
        seconds += more + potentials.seconds
    points, values = _runs(potentials, seeds, begin)
    best = np.arange(len(points)), values.argmin(1)
    modes, least = points[best], values[best]
    hessians = _hessians(potentials, modes, problems[0].whiten)
    made: list[Problem | Exception] = []
    for problem, mode, value, hessian in zip(problems, modes, least, hessians, strict=True):
        if not (np.isfinite(value) and np.isfinite(hessian).all()):
            made.append(FloatingPointError("the density is finite at no start"))
            continue
        whiten = whitening.from_hessian(problem.whiten, hessian)
        made.append(dataclasses.replace(problem, center=mode, whiten=whiten))
    return made, seconds


def _informed(
    problems: Sequence[Problem], spec: Spec, points: np.ndarray, values: np.ndarray
) -> tuple[list[Problem], np.ndarray, float]:
    """Problems with what their data know at the best fit of each, and the fits in them.

    The best has most mass around it: a density may be highest in a corner that has none.
    """
    found, places, seconds = [], [], 0.0
    with jax.enable_x64(True):
        for problem, runs, least in zip(problems, points, values, strict=True):
            old: Any = problem.block
            wide = problem.astype(np.float64)
            call, more = compiled(_know, {"spec": spec}, runs[0], wide)
            each = [jax.tree.map(np.asarray, call(run, wide)) for run in runs]
            score = np.array([volume for _, volume in each]) + least
            best = int(np.nanargmin(np.where(np.isfinite(score), score, np.inf)))
            block = each[best][0]
            found.append(dataclasses.replace(problem, block=block))
            places.append(informed.moved(runs[best], old, block, spec, problem.data))
            seconds += more
    return found, np.stack(places), seconds


def _know(x: Array, problem: Problem, spec: Spec) -> tuple[Local, Array]:
    block: Any = problem.block
    return informed.informed(block, x, problem.data, problem.scales, spec)


def _runs(
    potentials: Potentials,
    seeds: Sequence[int],
    begin: np.ndarray,
    free: np.ndarray | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Ends of several L-BFGS runs, (problem, run, size), and their values.

    Runs start around ``begin``; coordinates that are not ``free`` stay there.
    """
    move = np.ones(potentials.size) if free is None else free.astype(float)
    spread = np.linspace(0.0, 1.0, POINTS)[:, None]
    shape = (POINTS, potentials.size)
    normal = lambda seed: np.random.default_rng(seed).standard_normal(shape)
    starts = np.stack(
        [b + move * spread * normal(seed) for b, seed in zip(begin, seeds, strict=True)]
    )

    def evaluate(z: np.ndarray) -> Values:
        values, slopes = potentials(z)
        return values, slopes * move

    gather = _Gather(evaluate, starts)
    options = LONGER if isinstance(potentials.shards[0].block, Local) else LBFGS

    def run(i: int) -> Any:
        place = divmod(i, POINTS)
        try:
            return minimize(
                lambda z: gather.ask(place, z), starts[place], jac=True,
                method="L-BFGS-B", options=options,
            )  # fmt: skip
        finally:
            gather.leave()

    n_runs = len(seeds) * POINTS
    with ThreadPoolExecutor(n_runs) as pool:  # all must run at once
        found = list(pool.map(run, range(n_runs)))
    values = np.array([float(result.fun) for result in found]).reshape(-1, POINTS)
    points = np.stack([result.x for result in found]).reshape(*values.shape, -1)
    return points, np.where(np.isfinite(values), values, np.inf)


class _Gather:
    """Lets threads that each ask for a point be answered by one call.

    Args:
        evaluate: Points (problem, point, size) to values and gradients.
        starts: Where each run begins.
    """

    def __init__(self, evaluate: Callable[[np.ndarray], Values], starts: np.ndarray):
        """Nobody has asked yet."""
        self.evaluate, self.points = evaluate, starts.copy()
        self.turn, self.round = threading.Condition(), 0
        self.active, self.asked = starts.shape[0] * starts.shape[1], 0
        self.error: BaseException | None = None

    def ask(self, place: tuple[int, int], z: np.ndarray) -> tuple[float, np.ndarray]:
        """Value and gradient at z, when all that still run have asked."""
        with self.turn:
            self.points[place] = z
            self.asked += 1
            mine = self.round
            self._answer()
            while self.round == mine and self.error is None:
                self.turn.wait()
            if self.error is not None:
                raise self.error
            return float(self.values[place]), self.slopes[place].copy()

    def leave(self) -> None:
        """A run has ended."""
        with self.turn:
            self.active -= 1
            self._answer()

    def _answer(self) -> None:
        if not self.active or self.asked < self.active:
            return
        try:
            self.values, self.slopes = self.evaluate(self.points)
        except BaseException as error:
            self.error = error
        self.asked, self.round = 0, self.round + 1
        self.turn.notify_all()


def _hessians(potentials: Potentials, modes: np.ndarray, like: Any) -> np.ndarray:
    """Central differences of the gradients in the directions that a whitening needs.

    Returns:
        (problem, direction, size): see :func:`mmmjax.infer.whitening.from_hessian`.
    """
    steps = STEP * whitening.directions(like)
    slopes = potentials(modes[:, None] + np.concatenate([steps, -steps]))[1]
    up, down = np.split(slopes, 2, axis=1)
    return (up - down) / (2 * STEP)


def _slopes(z: Array, problems: Problem, smooth: Array, spec: Spec) -> tuple[Array, Array]:
    """Potentials (problem, point) and their gradients."""
    every = jax.vmap(_slope, (0, None, None, None))
    return jax.vmap(lambda z, problem: every(z, problem, smooth, spec))(z, problems)


def _slope(z: Array, problem: Problem, smooth: Array, spec: Spec) -> tuple[Array, Array]:
    def potential(z: Array) -> Array:
        log_density, values = joint(z, problem, spec)
        excess = jnp.zeros(())
        for site in spec.sites(problem.data.inputs.sizes()):
            if site.prior.family == "Laplace" and not site.offset:
                law: Any = law_of(site, problem.data)
                t = (values[site.name] - law.loc) / law.scale
                excess += jnp.sum(t * t / 4 - jnp.abs(t))
        return smooth * excess - log_density

    return jax.value_and_grad(potential)(z)
