"""Sampled sites as arrays: their sizes, laws, supports, and values out of one vector."""

import math
from collections.abc import Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
from jaxtyping import Array
from numpyro import handlers

from mmmjax import laws
from mmmjax.model import ModelData, middle, nested_around, sample_parameters
from mmmjax.prior import HORSESHOE, Site, standard
from mmmjax.shapes import GEO
from mmmjax.spec import Spec
from mmmjax.terms import Media, Term

__all__ = [
    "Plan",
    "amplitude",
    "around",
    "arrange",
    "centred",
    "columns",
    "conditional",
    "from_support",
    "halves",
    "hyperparameters",
    "law_of",
    "layout",
    "link",
    "parameters",
    "shape_of",
    "size_of",
    "to_support",
    "typical",
    "unflatten",
]

AMPLITUDE = "saturation_beta"  # what a media term's effect is proportional to


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


def size_of(site: Site, members: Mapping[str, int]) -> int:
    """Numbers of a site."""
    return math.prod(shape_of(site, members))


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
    return standard(site.prior, values) if site.offset else site.prior.distribution(values)


def to_support(
    site: Site, x: Array, data: ModelData, scales: Mapping[str, Array]
) -> tuple[Array, Array]:
    """Value of a site and the log determinant for its unconstrained coordinates."""
    if site.sign:
        scale = scales[site.name]
        log_det = jax.nn.log_sigmoid(x) + jnp.log(scale)
        return site.sign * scale * jax.nn.softplus(x), log_det.sum()
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
        fixed = hyperparameters(site, data)
        loc, scale = nested_around(site.makes, site.prior, fixed, params)
        value = (site.prior.link.forward(value) - loc) / scale
    if site.sign:
        ratio = site.sign * value / scales[site.name]
        return ratio + jnp.log(-jnp.expm1(-ratio))
    if site.support == "real":
        return value
    return dist.biject_to(law_of(site, data).support).inv(value)


def typical(site: Site, data: ModelData) -> Array:
    """Size of the prior mean of a site of one sign, or its scale where it has none."""
    mean = site.sign * jnp.asarray(law_of(site, data).mean)
    values = {} if site.offset else hyperparameters(site, data)
    size = jnp.asarray(values.get("scale", values.get("rate", 1.0)))
    return jnp.where(jnp.isfinite(mean) & (mean > 0), mean, size)


class Plan(NamedTuple):
    """Where every site stands. Coordinates are those shared, then geo by geo its own."""

    shared: list[Site]  # outside the linear block
    common: list[Site]  # in it, offsets of nested priors too
    local: list[Site]  # of geos, outside the linear block
    own: list[Site]  # of geos, in it
    levels: dict[str, Site]  # by amplitude: the typical value, sampled as a level
    spreads: dict[str, str]  # by offset of geos: the site that is its spread
    terms: list[Term]  # besides media, those with anything outside the linear block
    members: dict[str, int]


def conditional(spec: Spec, data: ModelData) -> bool:
    """Whether what is linear is placed in its conditional law given all else.

    So where geos, more than one, have parameters of their own, and where coefficients have
    scales of their own (a Horseshoe).
    """
    members = data.inputs.sizes()
    every = spec.sites(members)
    own = members[GEO] > 1 and any(GEO in s.dims for s in every)
    return own or any(s.prior.family == HORSESHOE for s in every)


def arrange(spec: Spec, data: ModelData) -> Plan:
    """The plan of a spec with :func:`conditional`."""
    members = data.inputs.sizes()
    every = spec.sites(members)
    bent = {s.path[0] for s in every if s.offset and link(s) is not laws.IDENTITY}
    linear = {n for n, one in spec.parameters.items() if one.linear} - bent
    plan = Plan([], [], [], [], {}, {}, [], members)
    amplitudes = {amplitude(term, spec) for term in spec.media}
    for site in every:
        name, *inner = site.path
        over, level = GEO in site.dims, site.level
        straight = name in linear and site.support == "real"
        if straight and over and not inner:
            plan.own.append(site)
        elif straight and not over and inner in ([], ["loc"]):
            plan.common.append(site)
        else:
            (plan.local if over else plan.shared).append(site)
        if over and site.offset:
            plan.spreads[site.name] = level.spread if level else f"{site.makes}_scale"
        if level and over and name in amplitudes and level.above == level.typical:
            (typical,) = (s for s in every if s.name == level.typical)
            if typical.support == "positive" and len(typical.dims) == 1:
                plan.levels[name] = typical
    spreads = {*plan.spreads.values()}.union(*map(scales_of, plan.common))
    outside = (s for s in (*plan.shared, *plan.local) if s.name not in spreads)
    loose = {s.path[0] for s in outside}
    for term in spec.parts:
        names = {spec.full(term, n) for n in term.parameters()}
        if not isinstance(term, Media) and (names & loose or not names <= linear):
            plan.terms.append(term)
    return plan


def columns(sites: list[Site], members: Mapping[str, int]) -> dict[Site, slice]:
    """Columns of the sites of a geo, side by side."""
    out, at = {}, 0
    for site in sites:
        width = size_of(site, members) // members[GEO]
        out[site] = slice(at, at + width)
        at += width
    return out


def link(site: Site) -> laws.Link:
    """Between an offset's parameter and the scale that it is added on."""
    return site.level.link if site.level else site.prior.link


def scales_of(site: Site) -> set[str]:
    """Sites that say how far an offset reaches."""
    if site.level:
        return {site.level.spread}
    inside = site.prior.nested if site.offset else ()
    return {f"{site.makes}_{key}" for key in inside if key != "loc"}


def halves(plan: Plan) -> list[Site]:
    """Half-normal and half-Cauchy scales: those over geos, and of common coefficients."""
    names = {*plan.spreads.values()}.union(*map(scales_of, plan.common))
    mine = [s for s in plan.shared if s.name in names and not s.offset]
    return [s for s in mine if s.prior.family in ("HalfNormal", "HalfCauchy")]


def centred(plan: Plan) -> list[Site]:
    """Sites of geos that the data may centre: offsets on the real line."""
    return [s for s in plan.local if s.offset and s.support == "real"]


def parameters(values: Mapping[str, Array], spec: Spec, data: ModelData) -> dict[str, Any]:
    """Every parameter from the values of the sites."""
    with handlers.block(), handlers.substitute(data=dict(values)):
        return sample_parameters(spec, data)


def around(site: Site, params: Mapping[str, Any], data: ModelData) -> tuple[Array, Array]:
    """Location and scale of a site of geos, link's scale, over its dims."""
    shape = shape_of(site, data.inputs.sizes())
    if not site.offset:
        law = law_of(site, data)
        sd = jnp.sqrt(jnp.asarray(law.variance))
        sd = jnp.where(jnp.isfinite(sd), sd, 1.0)
        return jnp.broadcast_to(law.mean, shape), jnp.broadcast_to(sd, shape)
    if site.level:
        both = middle(site, params, data.inputs)
        return jnp.broadcast_to(both[0], shape), jnp.broadcast_to(both[1], shape)
    both = nested_around(site.makes, site.prior, hyperparameters(site, data), params)
    return jnp.broadcast_to(both[0], shape), jnp.broadcast_to(both[1], shape)


def amplitude(term: Media, spec: Spec) -> str:
    """The parameter that the effect of a media term is proportional to."""
    return spec.full(term, AMPLITUDE)
