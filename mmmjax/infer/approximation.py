"""mm.Laplace and mm.Pathfinder: an approximation corrected by importance weights.

Both find normals in the preconditioned coordinates. Proposals come from Student laws at
their places, because the tails of a posterior are longer than a normal's; they are weighted
by exact density over that of the mixture and smoothed, matched to their weighted moments
in a few rounds, and resampled at last. The Pareto k of the weights, and of the weights
times squares, says whether they correct the approximation.

Paths are SciPy's L-BFGS on the host: blackjax's Pathfinder, one program with a line search
inside, took 100 s to compile for a model of 12 parameters, and its normals (1.7.1) lie on
the wrong side of each point, because it adds the gradient of the negative log density.

Sources: Vehtari, Simpson, Gelman, Yao and Gabry (2024), "Pareto smoothed importance
sampling"; Zhang, Carpenter, Gelman and Vehtari (2022), "Pathfinder: parallel quasi-Newton
variational inference"; Owen and Zhou (2000), "Safe and effective importance sampling", for
the density of the mixture in the weights.
"""

import math
import time
from typing import Any, NamedTuple

import jax
import numpy as np
from jaxtyping import Float
from scipy.linalg import solve_triangular
from scipy.optimize import minimize
from scipy.special import gammaln, logsumexp

from mmmjax.infer.density import Problem
from mmmjax.infer.laplace import Potential
from mmmjax.infer.pointwise import compile_unfold, densities
from mmmjax.infer.progress import Progress, Shown
from mmmjax.infer.result import Result
from mmmjax.programs import compiled
from mmmjax.samplers import Laplace, Pathfinder
from mmmjax.spec import Spec

__all__ = ["build", "run", "smoothed", "systematic"]

SPREAD = 2.0  # of the starts of paths, in sd of the Laplace approximation
BOUND_DRAWS = 30  # of the evidence bound at each point of a path
MEMORY = 10  # pairs that a quasi-Newton step remembers
FREEDOM = 5.0  # degrees of freedom of the Student laws
ROUNDS = 3  # in which mean and covariance of the weighted draws make the next proposals


class Programs(NamedTuple):
    """Compiled programs of one shape, and the seconds it took now."""

    density: Any
    unfold: Any
    seconds: float


class Normals(NamedTuple):
    """Normals with equal weights: means (normal, P) and lower factors (normal, P, P)."""

    means: np.ndarray
    factors: np.ndarray


def build(problem: Problem, spec: Spec, sampler: Laplace | Pathfinder) -> Programs:
    """Compile everything for problems of this shape."""
    with jax.enable_x64(sampler.dtype == "float64"):
        problem, dtype = problem.astype(sampler.dtype), sampler.dtype
        z = np.zeros((sampler.proposals, problem.center.shape[0]), dtype)
        density, seconds = compiled(densities, {"spec": spec}, z, problem)
        unfold, last = compile_unfold(sampler.chains, sampler.draws, problem, spec)
    return Programs(density, unfold, seconds + last)


def run(
    problem: Problem,
    spec: Spec,
    sampler: Laplace | Pathfinder,
    seed: int,
    progress: Progress,
) -> Result:
    """Approximate, weight, resample.

    Args:
        problem: From :func:`mmmjax.infer.precondition.precondition`.
        spec: Structure of the spec.
        sampler: Settings.
        seed: Of everything random; the same seed gives the same draws.
        progress: Where to show what happens.
    """
    progress.phase("compile")
    programs = build(problem, spec, sampler)
    potential = Potential(problem, spec)
    compiling = programs.seconds + potential.seconds
    progress.begin(sampler.draws, 0, 1, compiling)
    size = np.asarray(problem.center).size
    random = np.random.default_rng(seed)
    with jax.enable_x64(sampler.dtype == "float64"):
        data = problem.astype(sampler.dtype)
        started = time.perf_counter()
        progress.phase("warm-up")
        normals, gradients = Normals(np.zeros((1, size)), np.eye(size)[None]), 0
        if isinstance(sampler, Pathfinder):
            look = lambda z: _many(programs, data, z.astype(sampler.dtype), sampler)
            normals, gradients = _pathfinder(potential, look, sampler, random)
        middle = time.perf_counter()
        progress.phase("sample")
        for _ in range(ROUNDS):
            z, _, weights, _ = _weighted(normals, programs, data, sampler, random)
            normals = matched(z, weights, normals)
        z, log_p, weights, k = _weighted(normals, programs, data, sampler, random)
        kept = systematic(weights, sampler.chains * sampler.draws, random)
        shape = (sampler.chains, sampler.draws)
        params = programs.unfold(z[kept].reshape(*shape, size), data)
        params = jax.tree.map(np.asarray, params)
        ended = time.perf_counter()
    stats = {
        "diverging": np.zeros(shape, bool),
        "lp": log_p[kept].reshape(shape),
        "n_steps": np.zeros(shape, int),
    }
    for c in range(sampler.chains):
        progress.advance(c, Shown(stats["diverging"][c], np.zeros(1), stats["n_steps"][c]))
    info = {
        "compile_s": compiling,
        "warmup_s": middle - started,
        "sample_s": ended - middle,
        "gradients": {"warmup": gradients, "sample": 0},
        "warmup": 0,
        "draws": sampler.draws,
        "restarts": [],
        "pareto_k": k,
        "weights_ess": 1.0 / (np.square(weights).sum() + 1.0 / len(kept)),
    }
    return Result(params, stats, info)


def _draw(
    normals: Normals, n: int, random: np.random.Generator, freedom: float
) -> tuple[np.ndarray, np.ndarray]:
    """Draws of the mixture of Student laws, and its log density there."""
    count, size = normals.means.shape
    of = np.arange(n) % count
    u = random.standard_normal((n, size))
    u /= np.sqrt(random.chisquare(freedom, (n, 1)) / freedom)
    z = np.empty_like(u)
    for i in range(count):
        z[of == i] = normals.means[i] + u[of == i] @ normals.factors[i].T
    each = np.empty((count, n))
    for i, (mean, factor) in enumerate(zip(*normals, strict=True)):
        square = np.square(solve_triangular(factor, (z - mean).T, lower=True)).sum(0)
        each[i] = -0.5 * (freedom + size) * np.log1p(square / freedom)
        each[i] -= np.log(np.diag(factor)).sum()
    constant = gammaln((freedom + size) / 2) - gammaln(freedom / 2) - math.log(count)
    constant -= 0.5 * size * math.log(freedom * math.pi)
    return z, logsumexp(each, axis=0) + constant


def _weighted(
    normals: Normals,
    programs: Programs,
    data: Any,
    sampler: Laplace | Pathfinder,
    random: np.random.Generator,
) -> tuple[np.ndarray, np.ndarray, np.ndarray, float]:
    """Proposals, their log density, smoothed weights and the worst Pareto k.

    k is that of the weights, and of the weights times the square of every coordinate: a
    tail that the proposals hardly reach shows in the second one first.
    """
    z, log_q = _draw(normals, sampler.proposals, random, FREEDOM)
    z = z.astype(sampler.dtype)
    log_p = np.asarray(programs.density(z, data), float)
    ratio = log_p - log_q
    weights, k = smoothed(ratio)
    with np.errstate(divide="ignore"):
        squares = np.log(np.square(z - weights @ z))
    every = [smoothed(ratio + square)[1] for square in squares.T]
    return z, log_p, weights, max([k, *every])


def matched(z: np.ndarray, weights: np.ndarray, normals: Normals) -> Normals:
    """The normal with mean and covariance of weighted draws, shrunk to those before.

    Source: Paananen, Piironen, Buerkner and Vehtari (2021), "Implicitly adaptive importance
    sampling".
    """
    size, effective = z.shape[1], 1.0 / np.square(weights).sum()
    mean = weights @ z
    away = z - mean
    before = np.mean([factor @ factor.T for factor in normals.factors], axis=0)
    share = 2.0 * size / (effective + 2.0 * size)
    cover = (1 - share) * (away.T * weights) @ away + share * before
    return Normals(mean[None], np.linalg.cholesky(cover)[None])


def smoothed(log_weights: Float[np.ndarray, " n"]) -> tuple[np.ndarray, float]:
    """Pareto-smoothed weights that sum to 1, and Pareto k; infinite k where none is.

    Args:
        log_weights: Log density less log density of the approximation; points where it is
            not finite have no weight.
    """
    # Lazy: this import takes about a second.
    from arviz_stats.base.array import array_stats

    finite = np.isfinite(log_weights)
    if finite.sum() < 25:  # the smallest tail that a Pareto law is fitted to is 5
        return np.full(len(log_weights), 1.0 / len(log_weights)), math.inf
    found, k = array_stats.psislw(-log_weights[finite])
    found = np.asarray(found, float)
    weights = np.zeros(len(log_weights))
    weights[finite] = np.exp(found - found.max())
    return weights / weights.sum(), float(k) if np.isfinite(k) else math.inf


def systematic(
    weights: Float[np.ndarray, " n"], count: int, random: np.random.Generator
) -> np.ndarray:
    """``count`` places drawn by weight, evenly through the weights, in random order."""
    at = (np.arange(count) + random.random()) / count
    places = np.searchsorted(np.cumsum(weights), at)
    return random.permutation(np.minimum(places, len(weights) - 1))


def _many(programs: Programs, data: Any, z: np.ndarray, sampler: Any) -> np.ndarray:
    """Log density at any number of points, as many at a time as there are proposals."""
    n, at_once = len(z), sampler.proposals
    z = np.concatenate([z, np.zeros((-n % at_once, z.shape[1]), z.dtype)])
    parts = [programs.density(z[i : i + at_once], data) for i in range(0, n, at_once)]
    return np.concatenate([np.asarray(part, float) for part in parts])[:n]


def _pathfinder(
    potential: Potential, look: Any, sampler: Pathfinder, random: np.random.Generator
) -> tuple[Normals, int]:
    """The normal of the highest evidence bound of every path, and the gradients taken.

    Args:
        potential: Negative log density with gradient.
        look: Log density at many points.
        sampler: Settings.
        random: Where starts and draws come from.
    """
    size = potential.problem.center.shape[0]
    paths, gradients = [], 0
    for start in SPREAD * random.standard_normal((sampler.paths, size)):
        points, taken = _path(start, potential, sampler.iterations)
        gradients += taken
        paths.append(_normals(*points))
    every = Normals(*(np.concatenate(x) for x in zip(*paths, strict=True)))
    u = random.standard_normal((len(every.means), BOUND_DRAWS, size))
    z = every.means[:, None] + np.einsum("nij,nkj->nki", every.factors, u)
    log_p = look(z.reshape(-1, size)).reshape(u.shape[:2])
    log_p = np.where(np.isfinite(log_p), log_p, -np.inf)
    log_det = np.log(np.diagonal(every.factors, axis1=1, axis2=2)).sum(1)
    bound = log_p.mean(1) + log_det  # less a constant
    ends = np.cumsum([len(path.means) for path in paths])
    best = [
        end - len(path.means) + int(np.argmax(bound[end - len(path.means) : end]))
        for end, path in zip(ends, paths, strict=True)
    ]
    return Normals(every.means[best], every.factors[best]), gradients


def _path(
    start: np.ndarray, potential: Potential, iterations: int
) -> tuple[tuple[np.ndarray, np.ndarray], int]:
    """Points of an L-BFGS path and the gradients there; gradients that it took."""
    points = [start]
    found = minimize(
        potential, start, jac=True, method="L-BFGS-B",
        callback=lambda x: points.append(np.array(x)),
        options={"maxiter": iterations, "maxcor": MEMORY},
    )  # fmt: skip
    at = np.stack(points)
    return (at, potential.many(at)[1]), int(found.nfev) + len(points)


def _normals(points: np.ndarray, slopes: np.ndarray) -> Normals:
    """The normal at every point of a path: a Newton step away, inverse Hessian by BFGS.

    Source: Zhang et al. (2022), algorithms 1 and 3.
    """
    size = points.shape[1]
    diagonal = np.ones(size)
    pairs: list[tuple[np.ndarray, np.ndarray]] = []
    means, factors = [points[0]], [np.eye(size)]
    for k in range(1, len(points)):
        s, y = points[k] - points[k - 1], slopes[k] - slopes[k - 1]
        b = s @ y
        if b > 1e-12 * (y @ y):
            a, c = y @ (diagonal * y), s @ (s / diagonal)
            inverse = a / (b * diagonal) + y**2 / b - a * (s / diagonal) ** 2 / (b * c)
            if (inverse > 0).all():
                diagonal = 1.0 / inverse
            pairs = [*pairs, (s, y)][-MEMORY:]
        cover = np.diag(diagonal)
        for s, y in pairs:
            turn = np.eye(size) - np.outer(s, y) / (s @ y)
            cover = turn @ cover @ turn.T + np.outer(s, s) / (s @ y)
        try:
            factors.append(np.linalg.cholesky(0.5 * (cover + cover.T)))
        except np.linalg.LinAlgError:  # rounding; the path goes on without this point
            continue
        means.append(points[k] - cover @ slopes[k])
    return Normals(np.stack(means), np.stack(factors))
