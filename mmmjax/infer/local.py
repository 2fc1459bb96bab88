r"""Coordinates of models whose geos have parameters of their own.

Every step is a change of variables with its Jacobian: the posterior stays what it is.

1. The typical effect of a channel over geos is sampled as the level of what it brings, not
   of its coefficient: m = log beta + nu(lam), nu the log of the mean of the saturated
   media, less the same at a fit. So it does not move with the curve.
2. A half-normal spread over geos is the quantile of a standard normal z: prior and Jacobian
   together are -z^2 / 2, without a left tail.
3. A geo's own parameter theta = mu + tau z is centred by what the data know: with constants
   H (information on theta) and hat (where the data see it), both of one fit,
   z = tau H (hat - m) / K + u / sqrt(K), K = 1 + tau^2 H. H = 0 is non-centred, a large H
   centred.
4. What is linear in the mean is sampled in its conditional law given all else: common
   coefficients g = L^-T (L^-1 b + e), A = L L', and coefficients of geos given those.
   A and b use each geo's own least squares, taken as uncorrelated, so that this costs one
   small factorisation; whatever the likelihood, its density is evaluated exactly at the
   result.

Source: 3 after Kleppe (2019), "Dynamically rescaled Hamiltonian Monte Carlo", and Gorinova,
Moore and Hoffman (2020), "Automatic reparameterisation of probabilistic programs".
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float
from numpyro import handlers

from mmmjax import laws, response
from mmmjax.infer import sites as room
from mmmjax.infer.sites import hyperparameters, law_of, shape_of, to_support
from mmmjax.infer.whitening import Arrow, identity
from mmmjax.model import ModelData, middle, noise_of, sample_parameters
from mmmjax.prior import Site
from mmmjax.programs import compiled
from mmmjax.response import align
from mmmjax.shapes import CHANNEL, GEO
from mmmjax.spec import Spec
from mmmjax.terms import Media, Term

__all__ = ["Local", "has_own"]

AMPLITUDE = "saturation_beta"  # what a media term's effect is proportional to
BINS = 64  # of carried media
FAR = 3.0  # most that `seen` may lie beside the fit, on the link's scale

type Values = dict[str, Array]
type Take = Callable[[str, Callable[[Mapping[str, Array]], Array]], Array]


class Plan(NamedTuple):
    """Where every site stands. Coordinates are those shared, then geo by geo its own."""

    shared: list[Site]  # outside the linear block
    common: list[Site]  # in it
    local: list[Site]  # of geos, outside the linear block
    own: list[Site]  # of geos, in it
    levels: dict[str, Site]  # by amplitude: the typical value, sampled as a level
    spreads: dict[str, str]  # by offset of geos: the site that is its spread
    terms: list[Term]  # besides media, those with anything outside the linear block
    members: dict[str, int]


def has_own(spec: Spec, data: ModelData) -> bool:
    """Whether geos, more than one, have parameters of their own."""
    members = data.inputs.sizes()
    return members[GEO] > 1 and any(GEO in s.dims for s in spec.sites(members))


def arrange(spec: Spec, data: ModelData) -> Plan:
    """The plan of a spec with :func:`has_own`."""
    members = data.inputs.sizes()
    every = spec.sites(members)
    bent = {s.path[0] for s in every if s.offset and _link(s) is not laws.IDENTITY}
    linear = {n for n, one in spec.parameters.items() if one.linear} - bent
    plan = Plan([], [], [], [], {}, {}, [], members)
    amplitudes = {_amplitude(term, spec) for term in spec.media}
    for site in every:
        name, *inner = site.path
        over = GEO in site.dims
        straight = name in linear and site.support == "real"
        if straight and over and not inner:
            plan.own.append(site)
        elif straight and not (over or site.offset) and inner in ([], ["loc"]):
            plan.common.append(site)
        else:
            (plan.local if over else plan.shared).append(site)
        if over and site.offset:
            level = site.level
            plan.spreads[site.name] = level.spread if level else f"{site.makes}_scale"
        direct = site.level and site.level.above == site.level.typical
        if direct and over and name in amplitudes:
            (typical,) = (s for s in every if s.name == site.level.typical)
            if typical.support == "positive":
                plan.levels[name] = typical
    spreads = plan.spreads.values()
    outside = (s for s in (*plan.shared, *plan.local) if s.name not in spreads)
    loose = {s.path[0] for s in outside}
    for term in spec.parts:
        names = {spec.full(term, n) for n in term.parameters()}
        if not isinstance(term, Media) and (names & loose or not names <= linear):
            plan.terms.append(term)
    return plan


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Local:
    """Constants of the map: k common and m own linear scalars, of each geo.

    Args:
        design: (k, geo, time): the mean's derivative in common coefficients.
        across: (k, geo, time): the part of ``design`` that own coefficients cannot make,
            times the weights of the outcome.
        inner: (geo, k, k): its sums of squares.
        shift: (geo, k, m): the rest of ``design`` as own coefficients.
        precision: (k,) of the prior; ``base`` (k,) its mean.
        own: (m, geo, time): the mean's derivative in own coefficients.
        squares: (geo, m, time): least squares of own coefficients.
        variance: (geo, m): of those, at noise 1.
        outcome: (geo, time): working response; ``start`` the mean where all linear
            coordinates are 0, without media.
        know: By site, (geo, column): information on a geo's own parameter; ``seen`` where.
        carried: By amplitude, (1, channel, bin): media as they are saturated, evenly from
            the smallest to the largest.
        level: (channel,): log of the mean saturated media at the fit.
    """

    design: Any
    across: Any
    inner: Any
    shift: Any
    precision: Any
    base: Any
    own: Any
    squares: Any
    variance: Any
    outcome: Any
    start: Any
    know: dict[str, Any]
    seen: dict[str, Any]
    carried: dict[str, Any]
    level: dict[str, Any]

    def resolve(
        self,
        x: Float[Array, " n"],
        data: ModelData,
        scales: Mapping[str, Array],
        spec: Spec,
    ) -> tuple[Values, Array, Array]:
        """Site values, mean of the outcome (flat) and log determinant at ``x``."""
        pieces = _pieces(x, arrange(spec, data), self)
        return self._walk(lambda name, _: pieces[name], data, scales, spec)

    def position(
        self,
        params: Mapping[str, Array],
        data: ModelData,
        scales: Mapping[str, Array],
        spec: Spec,
    ) -> Float[Array, " n"]:
        """The inverse of :meth:`resolve` from all that is sampled; 0 where it is NaN."""
        found: Values = {}

        def take(name: str, back: Callable[[Mapping[str, Array]], Array]) -> Array:
            raw = back(params)
            found[name] = jnp.where(jnp.isfinite(raw), raw, 0.0)
            return found[name]

        self._walk(take, data, scales, spec)
        plan = arrange(spec, data)
        shared = [found[s.name].ravel() for s in plan.shared]
        geos = plan.members[GEO]
        local = [found[s.name].reshape(geos, -1) for s in plan.local]
        blocks = jnp.concatenate([*local, found["own"]], 1)
        return jnp.concatenate([*shared, found["common"], blocks.ravel()])

    def _walk(
        self, take: Take, data: ModelData, scales: Mapping[str, Array], spec: Spec
    ) -> tuple[Values, Array, Array]:
        """:meth:`resolve` from coordinates that ``take`` gives one after the other.

        It is told the site and the inverse of its map, which needs the sites before.
        """
        plan = arrange(spec, data)
        kind = self.outcome.dtype
        values = {
            s.name: jnp.full(shape_of(s, plan.members), 0.0 if s.offset else 0.5, kind)
            for s in (*plan.shared, *plan.local)
        }
        values |= {s.name: jnp.zeros(shape_of(s, plan.members), kind)
                   for s in (*plan.common, *plan.own)}  # fmt: skip
        log_det = jnp.zeros((), kind)
        last = {s.name for s in plan.levels.values()}
        halves = _halves(plan)
        if halves:
            found, log_det = _spreads(halves, take, data)
            values |= found
        for site in plan.shared:
            if site.name not in last and site not in halves:
                back = lambda p, s=site: room.from_support(s, p, data, scales)
                raw = take(site.name, back)
                values[site.name], more = to_support(site, raw, data, scales)
                log_det += more
        late = [s for s in plan.local if s.offset and s.path[0] in plan.levels]
        params = _params(values, spec, data)
        for site in plan.local:
            if site not in late:
                values[site.name], more = self._own(site, take, params, data, scales, 0.0)
                log_det += more
        for name, site in plan.levels.items():
            params = _params(values, spec, data)
            nu = self._nu(name, params, spec)
            values[site.name], more = _level(site, take, nu, scales[site.name])
            log_det += more
            params[site.name] = values[site.name]
            (of,) = (s for s in late if s.path[0] == name)
            values[of.name], more = self._own(of, take, params, data, scales, nu)
            log_det += more
        params = _params(values, spec, data)
        terms = [*spec.media, *plan.terms]
        parts = response.components(params, data.inputs, spec, terms)
        rest = response.total(parts) if parts else jnp.zeros_like(self.outcome)
        linear, mu, more = self._linear(take, rest, params, plan, data, spec)
        return values | linear, mu.reshape(-1), log_det + more

    def _nu(self, name: str, params: Mapping[str, Any], spec: Spec) -> Array:
        """Step 1: log of the mean saturated media, 0 at the fit; 0 where there are none."""
        (term,) = (t for t in spec.media if _amplitude(t, spec) == name)
        curve = term.saturation(self.carried[name], response.aligned(params, term, spec))
        mean = curve.mean((0, 2))
        some = mean > 0
        log = jnp.where(some, jnp.log(jnp.where(some, mean, 1.0)), 0.0)
        return log - self.level[name]

    def _own(
        self,
        site: Site,
        take: Take,
        params: Mapping[str, Any],
        data: ModelData,
        scales: Mapping[str, Array],
        nu: Any,
    ) -> tuple[Array, Array]:
        """Step 3: value of a geo's own site, and the log determinant."""
        if site.name not in self.know:
            back = lambda p: room.from_support(site, p, data, scales)
            return to_support(site, take(site.name, back), data, scales)
        loc, scale = _around(site, params, data)
        shape = loc.shape
        know, seen = (of[site.name].reshape(shape) for of in (self.know, self.seen))
        k = 1.0 + scale * scale * know
        middle = scale * know * (seen - loc - nu) / k

        def back(p: Mapping[str, Array]) -> Array:
            z = (_link(site).forward(p[site.makes]) - loc) / scale
            return (z - middle) * jnp.sqrt(k)

        u = take(site.name, back).reshape(shape)
        return middle + u / jnp.sqrt(k), -0.5 * jnp.log(k).sum()

    def _linear(
        self,
        take: Take,
        rest: Array,
        params: Mapping[str, Any],
        plan: Plan,
        data: ModelData,
        spec: Spec,
    ) -> tuple[Values, Array, Array]:
        """Step 4: values of linear sites, the mean (geo, time), the log determinant."""
        geos = plan.members[GEO]
        noise = spec.likelihood.variance(noise_of(params, spec))
        noise = jnp.broadcast_to(jnp.asarray(noise), (geos, 1))
        flat = lambda x: x.reshape(geos, -1)
        both = [_around(s, params, data) for s in plan.own]
        empty = jnp.zeros((geos, 0), rest.dtype)
        loc = jnp.concatenate([empty, *(0.0 * flat(a) if s.offset else flat(a)
                                        for s, (a, _) in zip(plan.own, both, strict=True))],
                              1)  # fmt: skip
        scale = jnp.concatenate([empty, *(flat(b) for _, b in both)], 1)
        left = self.outcome - rest - self.start
        least = jnp.einsum("gmt,gt->gm", self.squares, left) - loc
        total = noise * self.variance + scale * scale
        a = jnp.diag(self.precision) + jnp.einsum("g,gkl->kl", 1 / noise[:, 0], self.inner)
        a += jnp.einsum("gkm,gm,glm->kl", self.shift, 1 / total, self.shift)
        b = self.precision * self.base + jnp.einsum("kgt,gt->k", self.across, left / noise)
        b += jnp.einsum("gkm,gm->k", self.shift, least / total)
        factor = jnp.linalg.cholesky(a)
        tri = lambda x, **how: jax.lax.linalg.triangular_solve(
            factor, x[:, None], left_side=True, lower=True, **how
        )[:, 0]
        middle = tri(b)
        join = lambda p, of: jnp.concatenate(
            [jnp.ravel(p[s.makes]) for s in of] or [jnp.zeros(0)]
        )
        e = take("common", lambda p: factor.T @ join(p, plan.common) - middle)
        g = tri(middle + e, transpose_a=True)
        know = 1 / (noise * self.variance)
        k = 1.0 + scale * scale * know
        gap = scale * know * (least - jnp.einsum("gkm,k->gm", self.shift, g)) / k

        def back(p: Mapping[str, Array]) -> Array:
            z = [empty]
            for site in plan.own:
                loc, scale = _around(site, p, data)
                z.append(flat((p[site.makes] - loc) / scale))
            return (jnp.concatenate(z, 1) - gap) * jnp.sqrt(k)

        z = gap + take("own", back) / jnp.sqrt(k)
        log_det = -jnp.log(jnp.diagonal(factor)).sum() - 0.5 * jnp.log(k).sum()
        values = room.unflatten(g, plan.common, plan.members)
        for site, place in _columns(plan.own, plan.members).items():
            shape = shape_of(site, plan.members)
            moved = z if site.offset else loc + scale * z
            values[site.name] = moved[:, place].reshape(shape)
        mean = rest + self.start + jnp.einsum("kgt,k->gt", self.design, g)
        return values, mean + (self.own * (loc + scale * z).T[..., None]).sum(0), log_det

    @classmethod
    def outline(cls, spec: Spec, data: ModelData) -> tuple["Local", dict[str, Any], Arrow]:
        """Zeros of the shapes that :meth:`build` gives."""
        plan = arrange(spec, data)
        width = lambda sites: sum(int(np.prod(shape_of(s, plan.members))) for s in sites)
        geos, periods = data.target.outcome.shape
        k, m = width(plan.common), width(plan.own) // geos
        n_shared, n_local = width(plan.shared) + k, width(plan.local) // geos + m
        own = {s.name: np.zeros((geos, width([s]) // geos)) for s in _centred(plan)}
        channels = {n: plan.members[s.dims[-1]] for n, s in plan.levels.items()}
        carried = {n: np.zeros((1, size, BINS)) for n, size in channels.items()}
        level = {n: np.zeros(size) for n, size in channels.items()}
        block = cls(*(np.zeros(s) for s in (
            (k, geos, periods), (k, geos, periods), (geos, k, k), (geos, k, m), (k,), (k,),
            (m, geos, periods), (geos, m, periods), (geos, m),
            (geos, periods), (geos, periods),
        )), own, dict(own), carried, level)  # fmt: skip
        positive = [s for s in (*plan.shared, *plan.local) if s.support == "positive"]
        scales = {s.name: np.zeros(shape_of(s, plan.members)) for s in positive}
        cross, local = (geos, n_local, n_shared), (geos, n_local, n_local)
        zeros = Arrow(np.zeros((n_shared, n_shared)), np.zeros(cross), np.zeros(local))
        return block, scales, zeros

    @classmethod
    def build(
        cls, spec: Spec, data: ModelData
    ) -> tuple["Local", dict[str, Any], Arrow, float]:
        """The block before anything is known, scales, the identity, compile seconds."""
        block, _, whiten = cls.outline(spec, data)
        look, seconds = compiled(_probe, {"spec": spec}, data)
        found = jax.tree.map(np.asarray, look(data))
        y, weight = (np.asarray(x) for x in spec.likelihood.working(data.target))
        design, own = found["design"], found["own"]
        squares = np.einsum("mgt,gt,ngt->gmn", own, weight, own)
        ridge = 1e-9 * np.einsum("gmm->g", squares)[:, None, None] + 1e-12
        inverse = np.linalg.inv(squares + ridge * np.eye(squares.shape[-1]))
        least = np.einsum("gmn,ngt,gt->gmt", inverse, own, weight)
        shift = np.einsum("kgt,gmt->gkm", design, least)
        left = design - np.einsum("gkm,mgt->kgt", shift, own)
        variance = found["prior_variance"]
        precision = 1.0 / np.where(np.isfinite(variance), variance, 1e4)
        mean = np.where(np.isfinite(found["prior_mean"]), found["prior_mean"], 0.0)
        block = replace(
            block, design=design, across=left * weight, shift=shift, own=own,
            inner=np.einsum("kgt,gt,lgt->gkl", left, weight, left), precision=precision,
            base=mean, squares=least, variance=np.einsum("gmm->gm", inverse),
            outcome=y * 1.0, start=found["start"], carried=_binned(found["carried"]),
        )  # fmt: skip
        return block, found["scales"], identity(whiten), seconds

    def held(self, spec: Spec, data: ModelData) -> np.ndarray:
        """Coordinates that stay at 0 in the fit which :meth:`informed` reads: spreads."""
        plan = arrange(spec, data)
        names = {plan.spreads[s.name] for s in _centred(plan)}
        flat = [
            np.full(int(np.prod(shape_of(s, plan.members))), s.name in names)
            for s in plan.shared
        ]
        total = sum(
            int(np.prod(shape_of(s, plan.members))) for s in spec.sites(plan.members)
        )
        begin = np.concatenate([np.zeros(0, bool), *flat])
        return np.concatenate([begin, np.zeros(total - len(begin), bool)])

    def informed(
        self, x: Array, data: ModelData, scales: Mapping[str, Array], spec: Spec
    ) -> "Local":
        """The block with what the data know of geos' own parameters at the fit x."""
        plan = arrange(spec, data)
        values, _, _ = self.resolve(x, data, scales, spec)
        params = _params(values, spec, data)
        geos = plan.members[GEO]
        weight = jnp.asarray(spec.likelihood.working(data.target)[1])
        noise = jnp.asarray(spec.likelihood.variance(noise_of(params, spec)))
        know, seen = {}, {}

        def mean(site: Site, z: Array) -> Array:
            there = values | {site.name: z.reshape(values[site.name].shape)}
            return response.mean(_params(there, spec, data), data.inputs, spec)

        def information(column: Array, site: Site, z: Array, scale: Array) -> Array:
            move = jnp.zeros_like(z).at[:, column].set(1.0) / scale
            moved = jax.jvp(lambda z: mean(site, z), (z,), (move,))[1]
            fitted = jnp.einsum("gmt,gt->gm", self.squares, moved)
            left = moved - jnp.einsum("mgt,gm->gt", self.own, fitted)
            return (weight * left**2 / noise).sum(1)

        for site in _centred(plan):
            loc, scale = (a.reshape(geos, -1) for a in _around(site, params, data))
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
        level = {n: self._nu(n, params, spec) + self.level[n] for n in plan.levels}
        return replace(self, know=know, seen=seen, level=level)

    def moved(self, x: np.ndarray, new: "Local", spec: Spec, data: ModelData) -> np.ndarray:
        """About where the fit x of this block lies in one that it has informed."""
        plan = arrange(spec, data)
        x = np.array(x)
        pieces = _pieces(x, plan, self)  # views
        for site in _centred(plan):
            pieces[site.name][...] = 0.0
        for name, site in plan.levels.items():
            ratio = np.logaddexp(0.0, pieces[site.name])
            ratio = ratio * np.exp(self.level[name] - new.level[name])
            pieces[site.name][...] = ratio + np.log(-np.expm1(-ratio))
        return x


def _pieces(x: Array, plan: Plan, block: Local) -> Values:
    """Coordinates by site, those of the linear block as "common" and "own"."""
    size = lambda s: int(np.prod(shape_of(s, plan.members)))
    out: Values = {}
    at = 0
    for site in plan.shared:
        out[site.name] = x[at : at + size(site)].reshape(shape_of(site, plan.members))
        at += size(site)
    k = block.base.shape[0]
    out["common"] = x[at : at + k]
    geos = plan.members[GEO]
    blocks = x[at + k :].reshape(geos, -1)
    places = _columns(plan.local, plan.members)
    for site, place in places.items():
        out[site.name] = blocks[:, place].reshape(shape_of(site, plan.members))
    done = max((p.stop for p in places.values()), default=0)
    out["own"] = blocks[:, done:]
    return out


def _columns(sites: list[Site], members: Mapping[str, int]) -> dict[Site, slice]:
    """Columns of the sites of a geo, side by side."""
    out, at = {}, 0
    for site in sites:
        width = int(np.prod(shape_of(site, members))) // members[GEO]
        out[site] = slice(at, at + width)
        at += width
    return out


def _link(site: Site) -> laws.Link:
    """Between an offset's parameter and the scale that it is added on."""
    return site.level.link if site.level else site.prior.link


def _halves(plan: Plan) -> list[Site]:
    """Half-normal spreads over geos."""
    names = set(plan.spreads.values())
    mine = [s for s in plan.shared if s.name in names and not s.offset]
    return [s for s in mine if s.prior.family == "HalfNormal"]


def _centred(plan: Plan) -> list[Site]:
    """Sites of geos that the data may centre: offsets on the real line."""
    return [s for s in plan.local if s.offset and s.support == "real"]


def _params(values: Mapping[str, Array], spec: Spec, data: ModelData) -> dict[str, Any]:
    with handlers.block(), handlers.substitute(data=dict(values)):
        return sample_parameters(spec, data)


def _around(site: Site, params: Mapping[str, Any], data: ModelData) -> tuple[Array, Array]:
    """Location and scale of a site of geos, link's scale, over its dims."""
    shape = _shape(site, data)
    if not site.offset:
        law = law_of(site, data)
        sd = jnp.sqrt(jnp.asarray(law.variance))
        sd = jnp.where(jnp.isfinite(sd), sd, 1.0)
        return jnp.broadcast_to(law.mean, shape), jnp.broadcast_to(sd, shape)
    if site.level:
        both = middle(site, params, data.inputs)
        return jnp.broadcast_to(both[0], shape), jnp.broadcast_to(both[1], shape)
    fixed = hyperparameters(site, data)
    name = site.makes
    found = []
    for key, default in (("loc", 0.0), ("scale", 1.0)):
        inner = site.prior.nested.get(key)
        if inner is None:
            value = jnp.asarray(fixed.get(key, default))
        else:
            value = align(params[f"{name}_{key}"], inner.dims or (), site.dims)
        found.append(jnp.broadcast_to(value, shape))
    return found[0], found[1]


def _shape(site: Site, data: ModelData) -> tuple[int, ...]:
    return shape_of(site, data.inputs.sizes())


@jax.custom_jvp
def _half(z: Array) -> Array:
    """Quantile of a half-normal of scale 1 where z is one of a normal."""
    low, high = jnp.minimum(z, 0.0), jnp.maximum(z, 0.0)
    below = math.sqrt(2.0) * jax.scipy.special.erfinv(jax.scipy.special.ndtr(low))
    above = -jax.scipy.special.ndtri(0.5 * jax.scipy.special.ndtr(-high))
    return jnp.where(z < 0, below, above)


@_half.defjvp
def _half_jvp(primals: tuple[Array], tangents: tuple[Array]) -> tuple[Array, Array]:
    (z,), (dz,) = primals, tangents
    value = _half(z)
    return value, 0.5 * jnp.exp(0.5 * (value * value - z * z)) * dz


def _unhalf(value: Array) -> Array:
    """The inverse of :func:`_half`."""
    ratio = value * math.sqrt(0.5)
    upper = -jax.scipy.special.ndtri(jax.scipy.special.erfc(ratio))
    lower = jax.scipy.special.ndtri(jax.scipy.special.erf(ratio))
    return jnp.where(ratio > 0.5, upper, lower)


def _spreads(sites: list[Site], take: Take, data: ModelData) -> tuple[Values, Array]:
    """Step 2 for all at once: values, and the log determinant but for a constant."""
    scale = {s.name: jnp.asarray(hyperparameters(s, data)["scale"]) for s in sites}
    raw = [take(s.name, lambda p, n=s.name: _unhalf(p[n] / scale[n])) for s in sites]
    z = jnp.concatenate([x.ravel() for x in raw])
    ratio = _half(z)
    values, at = {}, 0
    for site, x in zip(sites, raw, strict=True):
        values[site.name] = scale[site.name] * ratio[at : at + x.size].reshape(x.shape)
        at += x.size
    return values, 0.5 * (ratio @ ratio - z @ z)


def _level(site: Site, take: Take, nu: Array, scale: Array) -> tuple[Array, Array]:
    """Step 1: the typical value of an amplitude, and the log determinant."""

    def back(p: Mapping[str, Array]) -> Array:
        ratio = p[site.name] * jnp.exp(nu) / scale
        return ratio + jnp.log(-jnp.expm1(-ratio))

    x = take(site.name, back)
    log_det = (jax.nn.log_sigmoid(x) + jnp.log(scale) - nu).sum()
    return scale * jax.nn.softplus(x) * jnp.exp(-nu), log_det


def _amplitude(term: Media, spec: Spec) -> str:
    return spec.full(term, AMPLITUDE)


def _binned(carried: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Means of equal parts of media (geo, channel, time) in order: (1, channel, bin)."""
    out = {}
    for name, media in carried.items():
        flat = np.sort(np.moveaxis(media, 1, 0).reshape(media.shape[1], -1), 1)
        parts = np.array_split(flat, BINS, 1)
        means = [p.mean(1) if p.size else flat.mean(1) for p in parts]
        out[name] = np.stack(means, 1)[None]
    return out


def _probe(data: ModelData, spec: Spec) -> dict[str, Any]:
    """Scales, design and priors of the linear block, and levels at a typical point."""
    plan = arrange(spec, data)
    outside = [*plan.shared, *plan.local]
    scales = {
        s.name: jnp.broadcast_to(room.typical(s, data), shape_of(s, plan.members))
        for s in outside
        if s.support == "positive"
    }
    values = {
        s.name: to_support(s, jnp.zeros(shape_of(s, plan.members)), data, scales)[0]
        for s in outside
    }
    inside = [*plan.common, *plan.own]
    values |= {s.name: jnp.zeros(shape_of(s, plan.members)) for s in inside}
    params = _params(values, spec, data)
    terms = [t for t in spec.parts if not isinstance(t, Media)]

    def mean(change: Mapping[str, Array], of: list[Term] = terms) -> Array:
        now = _params(values | change, spec, data)
        parts = response.components(now, data.inputs, spec, of)
        nothing = jnp.zeros(data.target.outcome.shape)
        return response.total({"": nothing, **parts})

    at_zero = mean({})
    design, own, means, variances = [], [], [], []
    for site in plan.common:
        shape = shape_of(site, plan.members)
        size = int(np.prod(shape))
        each = lambda e, s=site, shape=shape: mean({s.name: e.reshape(shape)}) - at_zero
        design.append(jax.vmap(each)(jnp.eye(size)))
        law = law_of(site, data)
        means.append(jnp.broadcast_to(law.mean, shape).ravel())
        variances.append(jnp.broadcast_to(law.variance, shape).ravel())
    for site in plan.own:
        shape = shape_of(site, plan.members)
        scale = _around(site, params, data)[1] if site.offset else jnp.ones(shape)
        width = int(np.prod(shape)) // shape[0]

        def moved(e: Array, s: Site = site, shape: Any = shape, by: Array = scale) -> Array:
            return (
                mean({s.name: jnp.broadcast_to(e.reshape(shape[1:]), shape) / by}) - at_zero
            )

        own.append(jax.vmap(moved)(jnp.eye(width)))
    nothing = jnp.zeros((0, *at_zero.shape))
    still = [t for t in terms if t not in plan.terms]
    carried = {}
    for term in spec.media:
        if _amplitude(term, spec) in plan.levels:
            media = data.inputs[response.MEDIA]
            if len(spec.media) > 1:
                media = media[:, data.inputs[spec.dim(term, CHANNEL)]]
            if term.adstock_first:
                media = term.carried(response.aligned(params, term, spec), media)
            carried[_amplitude(term, spec)] = media[..., data.inputs.history :]
    return {
        "scales": scales,
        "design": jnp.concatenate([nothing, *design]),
        "own": jnp.concatenate([nothing, *own]),
        "prior_mean": jnp.concatenate([jnp.zeros(0), *means]),
        "prior_variance": jnp.concatenate([jnp.zeros(0), *variances]),
        "start": mean({}, still),
        "carried": carried,
    }
