"""The constants of a panel's coordinates, and what its data know of each geo."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from mmmjax import response
from mmmjax.infer.linear import Linear
from mmmjax.infer.local import Local, pieces
from mmmjax.infer.sites import (
    amplitude,
    around,
    arrange,
    centred,
    law_of,
    parameters,
    shape_of,
    size_of,
    to_support,
    typical,
)
from mmmjax.infer.whitening import Arrow, identity
from mmmjax.model import ModelData, noise_of
from mmmjax.prior import Site
from mmmjax.programs import compiled
from mmmjax.shapes import CHANNEL, GEO
from mmmjax.spec import Spec
from mmmjax.terms import Media, Term

__all__ = ["build", "held", "informed", "moved", "outline"]

BINS = 64  # of carried media
FAR = 3.0  # most that `seen` may lie beside the fit, on the link's scale


def outline(spec: Spec, data: ModelData) -> tuple[Local, dict[str, Any], Any]:
    """Zeros of the shapes that :func:`build` gives."""
    plan = arrange(spec, data)
    width = lambda sites: sum(size_of(s, plan.members) for s in sites)
    geos, periods = data.target.outcome.shape
    k, m = width(plan.common), width(plan.own) // geos
    n_shared, n_local = width(plan.shared) + k, width(plan.local) // geos + m
    own = {s.name: np.zeros((geos, width([s]) // geos)) for s in centred(plan)}
    channels = {n: plan.members[s.dims[-1]] for n, s in plan.levels.items()}
    carried = {n: np.zeros((1, size, BINS)) for n, size in channels.items()}
    level = {n: np.zeros(size) for n, size in channels.items()}
    linear = Linear.zeros(plan, periods)
    block = Local(linear, own, dict(own), carried, level)
    positive = [s for s in (*plan.shared, *plan.local) if s.sign]
    scales = {s.name: np.zeros(shape_of(s, plan.members)) for s in positive}
    cross, local = (geos, n_local, n_shared), (geos, n_local, n_local)
    zeros: Any = np.zeros((n_shared, n_shared))
    if n_local:
        zeros = Arrow(zeros, np.zeros(cross), np.zeros(local))
    return block, scales, zeros


def build(spec: Spec, data: ModelData) -> tuple[Local, dict[str, Any], Any, float]:
    """The block before anything is known, scales, the identity, compile seconds."""
    block, _, whiten = outline(spec, data)
    look, seconds = compiled(_probe, {"spec": spec}, data)
    found = jax.tree.map(np.asarray, look(data))
    working = spec.likelihood.working(data.target)
    linear = Linear.of(
        found["design"], found["own"], found["prior_mean"], found["prior_variance"],
        np.asarray(working[0]), np.asarray(working[1]), found["start"],
    )  # fmt: skip
    carried = {}
    for name, media in found["carried"].items():  # means of equal parts, in order
        flat = np.sort(np.moveaxis(media, 1, 0).reshape(media.shape[1], -1), 1)
        means = [p.mean(1) for p in np.array_split(flat, BINS, 1) if p.size]
        means += means[-1:] * (BINS - len(means))
        carried[name] = np.stack(means, 1)[None]
    block = replace(block, linear=linear, carried=carried)
    return block, found["scales"], identity(whiten), seconds


def held(spec: Spec, data: ModelData) -> np.ndarray:
    """Coordinates that stay at 0 in the fit which :func:`informed` reads: spreads."""
    plan = arrange(spec, data)
    names = {plan.spreads[s.name] for s in centred(plan)}
    flat = [np.full(size_of(s, plan.members), s.name in names) for s in plan.shared]
    total = sum(size_of(s, plan.members) for s in spec.sites(plan.members))
    begin = np.concatenate([np.zeros(0, bool), *flat])
    return np.concatenate([begin, np.zeros(total - len(begin), bool)])


def informed(
    block: Local, x: Array, data: ModelData, scales: Mapping[str, Array], spec: Spec
) -> tuple[Local, Array]:
    """The block with what the data know of geos' own parameters at the fit x.

    Returns:
        The block, and by how much less mass there is around x than its density says, log.
    """
    plan = arrange(spec, data)
    values, _, _ = block.resolve(x, data, scales, spec)
    params = parameters(values, spec, data)
    geos = plan.members[GEO]
    weight = jnp.asarray(spec.likelihood.working(data.target)[1])
    noise = jnp.asarray(spec.likelihood.variance(noise_of(params, spec)))
    know, seen, volume = {}, {}, jnp.zeros(())
    own = [around(s, params, data)[1].reshape(geos, -1) for s in plan.own]
    spread = jnp.concatenate([jnp.zeros((geos, 0)), *own], 1)
    free = noise * block.linear.variance + spread**2

    def mean(site: Site, z: Array) -> Array:
        there = values | {site.name: z.reshape(values[site.name].shape)}
        return response.mean(parameters(there, spec, data), data.inputs, spec)

    def information(column: Array, site: Site, z: Array, scale: Array) -> Array:
        move = jnp.zeros_like(z).at[:, column].set(1.0) / scale
        moved = jax.jvp(lambda z: mean(site, z), (z,), (move,))[1]
        fitted = jnp.einsum("gmt,gt->gm", block.linear.squares, moved)
        left = moved - jnp.einsum("mgt,gm->gt", block.linear.own, fitted)
        # own coefficients take what they can, as far as their spread lets them
        return (weight * left**2 / noise).sum(1) + (fitted**2 / free).sum(1)

    for site in centred(plan):
        loc, scale = (a.reshape(geos, -1) for a in around(site, params, data))
        z = values[site.name].reshape(geos, -1)
        if site.path[0] in spec.likelihood.parameters():
            noisy = site.path[0] == spec.likelihood.noise
            count = 2.0 * (weight > 0).sum(1, keepdims=True) * noisy
            knows = jnp.broadcast_to(count, z.shape)
        else:
            each = jax.vmap(information, (0, None, None, None))
            knows = each(jnp.arange(z.shape[1]), site, z, scale).T
        gap = jnp.clip(z / scale / jnp.maximum(knows, 1e-6), -FAR, FAR)
        know[site.name], seen[site.name] = knows, loc + scale * z + gap
        volume += 0.5 * jnp.log1p(scale**2 * knows).sum()
    level = {n: block.nu(n, params, spec) + block.level[n] for n in plan.levels}
    return replace(block, know=know, seen=seen, level=level), volume


def moved(
    x: np.ndarray, block: Local, new: Local, spec: Spec, data: ModelData
) -> np.ndarray:
    """About where the fit x of a block lies in one that it has informed."""
    plan = arrange(spec, data)
    x = np.array(x)
    parts = pieces(x, plan)  # views
    for site in centred(plan):
        parts[site.name][...] = 0.0
    for name, site in plan.levels.items():
        ratio = np.logaddexp(0.0, parts[site.name])
        ratio = ratio * np.exp(block.level[name] - new.level[name])
        parts[site.name][...] = ratio + np.log(-np.expm1(-ratio))
    return x


def _probe(data: ModelData, spec: Spec) -> dict[str, Any]:
    """Scales, design and priors of the linear block, and levels at a typical point."""
    plan = arrange(spec, data)
    outside = [*plan.shared, *plan.local]
    scales = {
        s.name: jnp.broadcast_to(typical(s, data), shape_of(s, plan.members))
        for s in outside
        if s.sign
    }
    values = {
        s.name: to_support(s, jnp.zeros(shape_of(s, plan.members)), data, scales)[0]
        for s in outside
    }
    inside = [*plan.common, *plan.own]
    values |= {s.name: jnp.zeros(shape_of(s, plan.members)) for s in inside}
    params = parameters(values, spec, data)
    terms = [t for t in spec.parts if not isinstance(t, Media)]

    def mean(change: Mapping[str, Array], of: list[Term] = terms) -> Array:
        now = parameters({**values, **change}, spec, data)
        parts = response.components(now, data.inputs, spec, of)
        nothing = jnp.zeros(data.target.outcome.shape)
        return response.total({"": nothing, **parts})

    at_zero = mean({})
    design, own, means, variances = [], [], [], []
    for site in plan.common:
        shape = shape_of(site, plan.members)
        size = size_of(site, plan.members)
        by = around(site, params, data)[1] if site.offset else jnp.ones(shape)

        def each(e: Array, s: Site = site, by: Array = by) -> Array:
            return mean({s.name: e.reshape(by.shape) / by}) - at_zero

        design.append(jax.vmap(each)(jnp.eye(size)))
        law = law_of(site, data)
        means.append(jnp.broadcast_to(law.mean, shape).ravel())
        variances.append(jnp.broadcast_to(law.variance, shape).ravel())
    for site in plan.own:
        shape = shape_of(site, plan.members)
        scale = around(site, params, data)[1] if site.offset else jnp.ones(shape)
        width = size_of(site, plan.members) // shape[0]

        def moved(e: Array, s: Site = site, shape: Any = shape, by: Array = scale) -> Array:
            return (
                mean({s.name: jnp.broadcast_to(e.reshape(shape[1:]), shape) / by}) - at_zero
            )

        own.append(jax.vmap(moved)(jnp.eye(width)))
    nothing = jnp.zeros((0, *at_zero.shape))
    still = [t for t in terms if t not in plan.terms]
    carried = {}
    for term in spec.media:
        if amplitude(term, spec) in plan.levels:
            media = data.inputs[response.MEDIA]
            if len(spec.media) > 1:
                media = media[:, data.inputs[spec.dim(term, CHANNEL)]]
            if term.adstock_first:
                media = term.carried(response.aligned(params, term, spec), media)
            carried[amplitude(term, spec)] = media[..., data.inputs.history :]
    return {
        "scales": scales,
        "design": jnp.concatenate([nothing, *design]),
        "own": jnp.concatenate([nothing, *own]),
        "prior_mean": jnp.concatenate([jnp.zeros(0), *means]),
        "prior_variance": jnp.concatenate([jnp.zeros(0), *variances]),
        "start": mean({}, still),
        "carried": carried,
    }
