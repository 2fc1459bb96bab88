"""The exact density of a posterior in coordinates in which a sampler moves easily.

:mod:`mmmjax.infer.precondition` finds those coordinates; here is what they are, the density
in them and the way back to parameters.
"""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import jax
import numpy as np
from jaxtyping import Array, Float
from numpyro import handlers
from numpyro.infer.util import log_density as numpyro_log_density

from mmmjax.infer import whitening
from mmmjax.infer.frozen import Frozen
from mmmjax.infer.local import Local
from mmmjax.infer.sites import shape_of
from mmmjax.model import ModelData, at_sites, program, sample_parameters
from mmmjax.programs import compiled
from mmmjax.spec import Spec

__all__ = [
    "Problem",
    "constrain",
    "joint",
    "log_density",
    "positions",
    "rewhiten",
    "sites_of",
]


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Problem:
    """A density over R^P and the way back to parameters; all arrays, P sampled scalars.

    Args:
        data: Inputs, target, hyperparameters.
        scales: Constants of the softplus transforms by site.
        block: What is moved against what: of one geo, or of several.
        center: (P,) coordinates of the block at z = 0.
        whiten: Coordinates of the block per unit of z: (P, P), or an arrow over geos.
    """

    data: ModelData
    scales: dict[str, Any]
    block: Frozen | Local
    center: Any
    whiten: Any

    def astype(self, dtype: Any) -> "Problem":
        """Cast to the sampler's float type and put on the device."""
        wide = np.dtype(dtype) == np.float64

        def cast(x: Any) -> Any:
            x = np.asarray(x)
            return jax.device_put(x.astype(dtype) if x.dtype.kind == "f" else x)

        with jax.enable_x64(wide):
            return jax.tree.map(cast, self)


def _resolve(
    x: Float[Array, " n"], problem: Problem, spec: Spec
) -> tuple[dict[str, Array], Array, Array]:
    """Site values, mean of the outcome (flat) and log determinant at coordinates ``x``."""
    return problem.block.resolve(x, problem.data, problem.scales, spec)


def log_density(z: Float[Array, " n"], problem: Problem, spec: Spec) -> Float[Array, ""]:
    """Log density of the posterior at z, up to the linear maps' constant determinants."""
    return joint(z, problem, spec)[0]


def joint(z: Array, problem: Problem, spec: Spec) -> tuple[Array, dict[str, Array]]:
    """:func:`log_density`, and the values of the sites."""
    values, mu, log_det = _resolve(problem.center + problem.whiten @ z, problem, spec)
    shape = problem.data.target.outcome.shape
    args = (spec, problem.data, lambda *_: mu.reshape(shape))
    return numpyro_log_density(program, args, {}, values)[0] + log_det, values


def constrain(z: Float[Array, " n"], problem: Problem, spec: Spec) -> dict[str, Array]:
    """Parameters of the model at z, nested and derived ones included."""
    values, _, _ = _resolve(problem.center + problem.whiten @ z, problem, spec)
    with handlers.block(), handlers.substitute(data=values):
        return sample_parameters(spec, problem.data)


def sites_of(problem: Problem, spec: Spec) -> dict[str, tuple[int, ...]]:
    """Shapes of the parameters that are sampled, nested ones included."""
    members = problem.data.inputs.sizes()
    return {s.makes: shape_of(s, members) for s in spec.sites(members)}


def positions(problem: Problem, spec: Spec, params: Mapping[str, Any]) -> np.ndarray:
    """Where the sampler was, (draw, P) in float64: the inverse of :func:`constrain`.

    Args:
        problem: The problem, float64.
        spec: Structure of its spec.
        params: Values (draw, ...) by name, of the shapes of :func:`sites_of`; NaN takes
            the middle of a parameter's coordinate.
    """
    with jax.enable_x64(True):
        values = {n: np.asarray(x, float) for n, x in params.items()}
        args = (values, problem.astype(np.float64))
        call, _ = compiled(_positions, {"spec": spec}, *args)
        return np.asarray(call(*args))


def _positions(params: dict[str, Array], problem: Problem, spec: Spec) -> Array:
    def one(params: dict[str, Array]) -> Array:
        params = at_sites(spec, problem.data, params)
        x = problem.block.position(params, problem.data, problem.scales, spec)
        return whitening.solve(problem.whiten, x - problem.center)

    return jax.vmap(one)(params)


def rewhiten(problem: Problem, mean: np.ndarray, factor: Any) -> Problem:
    """The same density with z = mean + factor z' as new coordinates (on the host)."""
    wide = lambda tree: jax.tree.map(lambda x: np.asarray(x, float), tree)
    center, whiten = wide((problem.center, problem.whiten))
    return dataclasses.replace(
        problem, center=center + whiten @ mean, whiten=whiten @ factor
    )
