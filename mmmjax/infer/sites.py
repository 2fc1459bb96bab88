"""Sampled sites as arrays: their sizes, laws, supports, and values out of one vector."""

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
from jaxtyping import Array

from mmmjax.model import ModelData, middle
from mmmjax.prior import Site
from mmmjax.response import align
from mmmjax.spec import Spec

__all__ = [
    "from_support",
    "hyperparameters",
    "law_of",
    "layout",
    "shape_of",
    "to_support",
    "typical",
    "unflatten",
]


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


def from_support(
    site: Site, params: Mapping[str, Array], data: ModelData, scales: Mapping[str, Array]
) -> Array:
    """Unconstrained coordinates of a site's value; offsets of nested priors included."""
    value = params[site.makes]
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
        ratio = value / scales[site.name]
        return ratio + jnp.log(-jnp.expm1(-ratio))
    if site.support == "real":
        return value
    return dist.biject_to(law_of(site, data).support).inv(value)


def typical(site: Site, data: ModelData) -> Array:
    """Prior mean of a positive site, or its scale where it has none: a constant of size."""
    mean = jnp.asarray(law_of(site, data).mean)
    values = {} if site.offset else hyperparameters(site, data)
    size = jnp.asarray(values.get("scale", values.get("rate", 1.0)))
    return jnp.where(jnp.isfinite(mean) & (mean > 0), mean, size)
