"""The exact density of a posterior in coordinates in which a sampler moves easily.

:mod:`mmmjax.infer.precondition` finds those coordinates; here is what they are, the density
in them and the way back to parameters.
"""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
from jaxtyping import Array, Float
from numpyro import handlers
from numpyro.infer.util import log_density as numpyro_log_density

from mmmjax import response
from mmmjax.model import ModelData, middle, program, sample_parameters
from mmmjax.prior import Site
from mmmjax.programs import compiled
from mmmjax.response import align
from mmmjax.spec import Spec

__all__ = [
    "Problem",
    "constrain",
    "hyperparameters",
    "joint",
    "law_of",
    "layout",
    "log_density",
    "positions",
    "rewhiten",
    "shape_of",
    "sites_of",
    "to_support",
    "unflatten",
]


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Problem:
    """A density over R^P and the way back to parameters; all arrays, P sampled scalars.

    Args:
        data: Inputs, target, hyperparameters.
        scales: Constants of the softplus transforms by site.
        design: D (geo * time, p): the mean's derivative in the linear block.
        gain: G (p, geo * time), 0 where the outcome is masked.
        base: g0 (p,).
        factor: L (p, p).
        center: (P,) sheared coordinates at z = 0.
        whiten: (P, P) sheared coordinates per unit of z.
    """

    data: ModelData
    scales: dict[str, Any]
    design: Any
    gain: Any
    base: Any
    factor: Any
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


def layout(spec: Spec, data: ModelData) -> tuple[list[Site], list[Site], dict[str, int]]:
    """Sites outside and inside the linear block, and the sizes of the dims."""
    members = data.inputs.sizes()
    every = spec.sites(members)
    linear = {name for name, one in spec.parameters.items() if one.linear}
    inside = [s for s in every if s.name in linear and s.support == "real"]
    inside = [s for s in inside if not s.offset]
    return [s for s in every if s not in inside], inside, members


def shape_of(site: Site, members: Mapping[str, int]) -> tuple[int, ...]:
    """Shape of a site."""
    return tuple(members[d] for d in site.dims)


def unflatten(
    flat: Array, sites: list[Site], members: Mapping[str, int]
) -> dict[str, Array]:
    """Values of sites out of one vector."""
    out, start = {}, 0
    for site in sites:
        shape = shape_of(site, members)
        size = int(np.prod(shape))
        out[site.name] = flat[start : start + size].reshape(shape)
        start += size
    return out


def hyperparameters(site: Site, data: ModelData) -> Mapping[str, Any]:
    """Hyperparameters of a site."""
    values: Any = data.hyper
    for key in site.path:
        values = values[key]
    return values


def law_of(site: Site, data: ModelData) -> dist.Distribution:
    """Prior of a site; of an offset, the one before location and scale."""
    values = hyperparameters(site, data)
    return site.prior.standard(values) if site.offset else site.prior.distribution(values)


def to_support(
    site: Site, x: Array, data: ModelData, scales: Mapping[str, Array]
) -> tuple[Array, Array]:
    """Value of a site and the log determinant for its unconstrained coordinates."""
    if site.support == "positive":
        scale = scales[site.name]
        log_det = jax.nn.log_sigmoid(x) + jnp.log(scale)
        return scale * jax.nn.softplus(x), log_det.sum()
    if site.support == "real":
        return x, jnp.zeros((), x.dtype)
    move = dist.biject_to(law_of(site, data).support)
    value = move(x)
    return value, jnp.sum(move.log_abs_det_jacobian(x, value))


def _resolve(
    x: Float[Array, " n"], problem: Problem, spec: Spec
) -> tuple[dict[str, Array], Array, Array]:
    """Site values, mean of the outcome (flat) and log determinant at sheared ``x``."""
    data = problem.data
    others, linear, members = layout(spec, data)
    n_linear = problem.base.shape[0]
    split = x.shape[0] - n_linear
    values: dict[str, Array] = {}
    log_det = jnp.zeros((), x.dtype)
    for name, raw in unflatten(x[:split], others, members).items():
        site = next(s for s in others if s.name == name)
        values[name], more = to_support(site, raw, data, problem.scales)
        log_det = log_det + more
    at_zero = unflatten(jnp.zeros(n_linear, x.dtype), linear, members)
    with handlers.block(), handlers.substitute(data={**values, **at_zero}):
        params = sample_parameters(spec, data)
    rest = response.mean(params, data.inputs, spec).reshape(-1)
    g = problem.base + problem.factor @ x[split:] - problem.gain @ rest
    values |= unflatten(g, linear, members)
    return values, rest + problem.design @ g, log_det


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
    others, linear, members = layout(spec, problem.data)
    return {s.makes: shape_of(s, members) for s in (*others, *linear)}


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
    return jax.vmap(lambda one: _position(one, problem, spec))(params)


def _position(params: dict[str, Array], problem: Problem, spec: Spec) -> Array:
    others, linear, _ = layout(spec, problem.data)
    parts = [_from_support(s, params, problem).ravel() for s in others]
    flat = jnp.concatenate([*parts, jnp.zeros(problem.base.shape)])
    flat = jnp.where(jnp.isfinite(flat), flat, 0.0)
    middle, _, _ = _resolve(flat, problem, spec)  # the linear block at u = 0
    join = lambda of: jnp.concatenate([jnp.ravel(of[s.name]) for s in linear])
    if linear:
        gap = join(params) - join(middle)
        gap = jnp.where(jnp.isfinite(gap), gap, 0.0)
        u = jnp.linalg.solve(problem.factor, gap)
        flat = flat.at[flat.shape[0] - u.shape[0] :].set(u)
    return jnp.linalg.solve(problem.whiten, flat - problem.center)


def _from_support(site: Site, params: Mapping[str, Array], problem: Problem) -> Array:
    """Unconstrained coordinates of a site's value; offsets of nested priors included."""
    data, value = problem.data, params[site.makes]
    if site.level:
        around, spread = middle(site, params, data.inputs)
        value = (site.level.link.forward(value) - around) / spread
    elif site.offset:
        values: Any = hyperparameters(site, data)
        used = {
            key: align(params[f"{site.makes}_{key}"], inner.dims or (), site.dims)
            for key, inner in site.prior.nested.items()
        }
        loc = used.get("loc", values.get("loc", 0.0))
        value = (site.prior.link.forward(value) - loc) / used.get(
            "scale", values.get("scale")
        )
    if site.support == "positive":
        ratio = value / problem.scales[site.name]
        return ratio + jnp.log(-jnp.expm1(-ratio))
    if site.support == "real":
        return value
    return dist.biject_to(law_of(site, data).support).inv(value)


def rewhiten(problem: Problem, mean: np.ndarray, chol: np.ndarray) -> Problem:
    """The same density with z = mean + chol z' as new coordinates (on the host)."""
    center, whiten = (np.asarray(x, float) for x in (problem.center, problem.whiten))
    return dataclasses.replace(problem, center=center + whiten @ mean, whiten=whiten @ chol)
