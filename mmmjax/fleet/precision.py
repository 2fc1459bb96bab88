"""Is float32 enough for a market? Its log density there, in both types, says so.

A sampler in float32 accepts by differences of log densities. An error that is the same
everywhere cancels; one that varies with standard deviation s changes the log of the
acceptance ratio by about s, so 0.1 nat moves acceptance by some 10%.
"""

import dataclasses
import time

import jax
import numpy as np
from jaxtyping import Array

from mmmjax.draws import Fit
from mmmjax.fleet import engine
from mmmjax.fleet.buckets import Shape, fitted_to
from mmmjax.fleet.engine import NOT_CONVERGED, REFITTED, Done, Ready
from mmmjax.infer.density import Problem, log_density, positions, sites_of
from mmmjax.infer.judge import Verdict
from mmmjax.infer.precondition import outline, precondition
from mmmjax.programs import compiled
from mmmjax.spec import Spec

__all__ = ["checked", "error_of"]

MOST = 0.1  # nat, standard deviation of the error
DRAWS = 64


def checked(market: Ready, done: Done, shape: Shape, refit: bool = True) -> Done:
    """A converged market as it was, or refitted in float64 where float32 is too coarse.

    Args:
        market: Its data.
        done: How it ended, with a fit in float32.
        shape: Of the arrays it was sampled in.
        refit: Whether to refit; else it counts as not converged.
    """
    if done.fit is None:
        return done
    began = time.perf_counter()
    try:
        error = error_of(market, done.fit, shape)
    except Exception as wrong:  # the draws are judged by R-hat and ESS as ever
        reason = f"float32 was not checked: {type(wrong).__name__}: {wrong}"
        return dataclasses.replace(
            done, reason="; ".join(filter(None, (done.reason, reason)))
        )
    if error <= MOST:
        return done
    coarse = f"float32 log density off by {error:.2g} nat (sd), more than {MOST}"
    coarse = "; ".join(filter(None, (market.without, coarse)))
    worse = dataclasses.replace(done, status=NOT_CONVERGED, reason=coarse)
    if not refit:
        return worse
    try:
        fit = engine.alone(market, shape, "float64")
    except Exception as wrong:
        again = f"{coarse}; alone: {type(wrong).__name__}: {wrong}"
        return dataclasses.replace(worse, reason=again)
    verdict = Verdict.of(fit.draws)
    seconds = done.seconds + time.perf_counter() - began
    reason = f"{coarse}; by NUTS in float64 {verdict.fault}".rstrip()
    status = NOT_CONVERGED if verdict.fault else REFITTED
    scores, reason = engine.scored(shape, fit, reason)
    doubt = market.doubt
    return Done(market.name, status, reason, fit, verdict, seconds, *scores, doubt)


def error_of(
    market: Ready, fit: Fit, shape: Shape, dtype: str = "float32", draws: int = DRAWS
) -> float:
    """Standard deviation over kept draws of the error of a narrow log density, in nat.

    Args:
        market: Its data.
        fit: Its draws.
        shape: Of the arrays it was sampled in.
        dtype: The narrow type.
        draws: Of all chains, evenly spread.

    Returns:
        The standard deviation; infinity where a density is not finite in one type only.
    """
    structure = market.spec.structure()
    problem, _ = precondition(structure, fitted_to(market.data, market.spec, shape),
                              market.seed)  # fmt: skip
    z = positions(problem, structure, _some(fit, problem, structure, draws))
    true, found = (_densities(problem, structure, z, t) for t in ("float64", dtype))
    good = np.isfinite(true)
    if not good.any() or not np.isfinite(found[good]).all():
        return np.inf
    return float(np.std(found[good] - true[good]))


def _some(fit: Fit, problem: Problem, spec: Spec, most: int) -> dict[str, np.ndarray]:
    """Some draws of every parameter, (draw, ...), NaN for members that only pad."""
    params = fit.draws.params
    total = fit.draws.n_chains * fit.draws.n_draws
    rows = np.unique(np.linspace(0, total - 1, min(most, total)).round().astype(int))
    wide = sites_of(outline(spec, problem.data), spec)
    out = {}
    for name, dims in wide.items():
        own = params.get(name)
        out[name] = np.full((len(rows), *dims), np.nan)
        if own is not None:
            part = tuple(slice(n) for n in own.shape[2:])
            out[name][(slice(None), *part)] = own.reshape(total, *own.shape[2:])[rows]
    return out


def _densities(problem: Problem, spec: Spec, z: np.ndarray, dtype: str) -> np.ndarray:
    """Log density at every row of z, computed in one type."""
    with jax.enable_x64(dtype == "float64"):
        args = z.astype(dtype), problem.astype(dtype)
        call, _ = compiled(_each, {"spec": spec}, *args)
        return np.asarray(call(*args), float)


def _each(z: Array, problem: Problem, spec: Spec) -> Array:
    return jax.vmap(lambda one: log_density(one, problem, spec))(z)
