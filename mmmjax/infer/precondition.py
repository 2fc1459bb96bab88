r"""The exact density in coordinates in which a sampler moves easily.

Three reparametrisations, none of which changes the posterior:

1. Positive parameters are scale * softplus(z) with a constant scale, unit ones sigmoid(z).
2. The linear block g (intercept, trend, controls, Fourier) is moved against the media:
   $g = g_0 + L u - G\,m(\theta)$ with $G = (D'WD + \Lambda)^{-1} D'W$ from a ridge fit with
   design D, weights W (0 where masked) and prior precision $\Lambda$. Its determinant is
   that of L, a constant. Nothing assumes that D'D can be inverted.
3. A Laplace fit in those coordinates whitens all of them: x = center + whiten z.

A :class:`Problem` carries all arrays, so that one compiled sampler serves every data set
of the same shape.
"""

import math
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import export
from jaxtyping import Array
from numpyro import handlers

from mmmjax import response
from mmmjax.infer.density import (
    Problem,
    constrain,
    hyperparameters,
    law_of,
    layout,
    log_density,
    rewhiten,
    shape_of,
    to_support,
    unflatten,
)
from mmmjax.infer.laplace import Potential, whitened
from mmmjax.model import ModelData, sample_parameters
from mmmjax.prior import Site
from mmmjax.programs import compiled
from mmmjax.spec import Spec

__all__ = [
    "Potential",
    "Problem",
    "constrain",
    "log_density",
    "outline",
    "precondition",
    "rewhiten",
    "shear",
    "whitened",
]


def precondition(spec: Spec, data: ModelData, seed: int = 0) -> tuple[Problem, float]:
    """Build the preconditioned problem of a spec and its data, in float64.

    Args:
        spec: Structure of the spec (hyperparameters come with the data).
        data: From :func:`mmmjax.model.model_data`.
        seed: Of the starts of the Laplace fit.

    Returns:
        The problem and the seconds spent compiling.
    """
    problem, seconds = shear(spec, data)
    problem, more = whitened(problem, spec, seed)
    return problem, seconds + more


def outline(spec: Spec, data: ModelData) -> Problem:
    """Zeros shaped as the problem that :func:`precondition` gives: to compile for."""
    others, linear, members = layout(spec, data)
    size = lambda sites: sum(math.prod(shape_of(s, members)) for s in sites)
    p, total = size(linear), size(spec.sites(members))
    n = data.target.outcome.size
    positive = [s for s in others if s.support == "positive"]
    scales = {s.name: np.zeros(shape_of(s, members)) for s in positive}
    zeros = [np.zeros(s) for s in ((n, p), (p, n), p, (p, p), total, (total, total))]
    return Problem(data, scales, *zeros)


def shear(spec: Spec, data: ModelData) -> tuple[Problem, float]:
    """The first two reparametrisations; center 0 and whiten 1 are to be filled in."""
    with jax.enable_x64(True):
        data = data.astype(np.float64)
        look, seconds = compiled(_probe, {"spec": spec}, data)
        found = jax.tree.map(np.asarray, look(data))
        return _shear(spec, data, found), seconds


class _Look(NamedTuple):
    """What the shear needs to know of a problem."""

    scales: dict[str, Any]  # of positive sites
    design: Any  # (n, p)
    media: Any  # (n, channel): effects at a typical point
    mean: Any  # (p,) prior mean of the linear block
    variance: Any  # (p,)


export.register_namedtuple_serialization(_Look, serialized_name="mmm.Look")


def _typical(site: Site, data: ModelData) -> Array:
    """Prior mean of a positive site, or its scale where it has none: a constant of size."""
    mean = jnp.asarray(law_of(site, data).mean)
    values = {} if site.offset else hyperparameters(site, data)
    size = jnp.asarray(values.get("scale", values.get("rate", 1.0)))
    return jnp.where(jnp.isfinite(mean) & (mean > 0), mean, size)


def _probe(data: ModelData, spec: Spec) -> _Look:
    """Scales, design and prior of the linear block, channel effects at a typical point."""
    others, linear, members = layout(spec, data)
    positive = [s for s in others if s.support == "positive"]
    scales = {
        s.name: jnp.broadcast_to(_typical(s, data), shape_of(s, members)) for s in positive
    }
    n_linear = sum(int(np.prod(shape_of(s, members))) for s in linear)
    values = {
        s.name: to_support(s, jnp.zeros(shape_of(s, members)), data, scales)[0]
        for s in others
    }

    def parts(g: Array) -> dict[str, Array]:
        with (
            handlers.block(),
            handlers.substitute(data={**values, **unflatten(g, linear, members)}),
        ):
            params = sample_parameters(spec, data)
        return response.components(params, data.inputs, spec)

    def mean(g: Array) -> Array:
        return response.total(parts(g)).reshape(-1)

    origin = jnp.zeros(n_linear)
    design = jax.vmap(mean)(jnp.eye(n_linear)) - mean(origin)
    channels = parts(origin).get("channel")
    shape = data.target.outcome.shape
    media = jnp.zeros((shape[0], 0, shape[1])) if channels is None else channels
    effects = jnp.moveaxis(media, 1, -1)
    effects = effects.reshape(shape[0] * shape[1], -1 if media.size else 0)

    def gather(of: Any) -> Array:
        each = [jnp.broadcast_to(of(law_of(s, data)), shape_of(s, members)) for s in linear]
        return jnp.concatenate([jnp.ravel(x) for x in each] or [jnp.zeros(0)])

    mean_of, variance_of = gather(lambda law: law.mean), gather(lambda law: law.variance)
    return _Look(scales, design.T, effects, mean_of, variance_of)


def _shear(spec: Spec, data: ModelData, look: _Look) -> Problem:
    """Ridge fit of the linear block with media at a typical response beside it."""
    _, _, members = layout(spec, data)
    design, media = look.design, look.media
    precision = 1.0 / np.where(np.isfinite(look.variance), look.variance, 1e4)
    middle = np.where(np.isfinite(look.mean), look.mean, 0.0)
    y, relative = (np.asarray(x).ravel() for x in spec.likelihood.working(data.target))
    both = np.concatenate([design, media], axis=1)
    penalty = np.concatenate([precision, np.ones(media.shape[1])])
    target = np.concatenate([middle, np.ones(media.shape[1])])
    sd = max(float(np.std(y[relative > 0])), 1e-6)
    for _ in range(5):
        weight = relative / sd**2
        precise = (both.T * weight) @ both + np.diag(penalty)
        fitted = both @ np.linalg.solve(precise, (both.T * weight) @ y + penalty * target)
        residual = (y - fitted) * np.sqrt(relative)
        sd = max(float(np.sqrt((residual**2).sum() / relative.sum())), 1e-4)
    weight = relative / sd**2
    precise = (design.T * weight) @ design + np.diag(precision)
    gain = np.linalg.solve(precise, design.T * weight) if len(precise) else design.T
    base = (
        gain @ y + np.linalg.solve(precise, precision * middle) if len(precise) else middle
    )
    factor = np.linalg.inv(np.linalg.cholesky(precise)).T if len(precise) else precise
    total = sum(int(np.prod(shape_of(s, members))) for s in spec.sites(members))
    return Problem(
        data, look.scales, design, gain, base, factor, np.zeros(total), np.eye(total)
    )
