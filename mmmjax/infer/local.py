r"""Coordinates of models whose geos have parameters of their own.

Every step is a change of variables with its Jacobian: the posterior stays what it is.

1. The typical effect of a channel over geos is sampled as the level of what it brings, not
   of its coefficient: m = log beta + nu(lam), nu the log of the mean of the saturated
   media, less the same at a fit. So it does not move with the curve.
2. A half-normal or half-Cauchy scale of coefficients is the quantile of a standard normal
   z: prior and Jacobian together are -z^2 / 2, without a left tail.
3. A geo's own parameter theta = mu + tau z is centred by what the data know: with constants
   H (information on theta) and hat (where the data see it), both of one fit,
   z = tau H (hat - m) / K + u / sqrt(K), K = 1 + tau^2 H. H = 0 is non-centred, a large H
   centred.
4. What is linear in the mean is sampled in its conditional law given all else:
   :mod:`mmmjax.infer.linear`.

Source: 3 after Kleppe (2019), "Dynamically rescaled Hamiltonian Monte Carlo", and Gorinova,
Moore and Hoffman (2020), "Automatic reparameterisation of probabilistic programs".
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from mmmjax import response
from mmmjax.infer.linear import Linear, Take, Values
from mmmjax.infer.sites import (
    Plan,
    amplitude,
    around,
    arrange,
    columns,
    from_support,
    halves,
    hyperparameters,
    link,
    parameters,
    shape_of,
    size_of,
    to_support,
)
from mmmjax.model import ModelData
from mmmjax.prior import Site
from mmmjax.shapes import GEO
from mmmjax.spec import Spec

__all__ = ["Local", "pieces"]


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Local:
    """Constants of the map.

    Args:
        linear: The linear block.
        know: By site, (geo, column): information on a geo's own parameter.
        seen: Where the data see it, on the link's scale.
        carried: By amplitude, (1, channel, bin): media as they are saturated, evenly from
            the smallest to the largest.
        level: (channel,): log of the mean saturated media at the fit.
    """

    linear: Linear
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
        found = pieces(x, arrange(spec, data))
        return self._walk(lambda name, _: found[name], data, scales, spec)

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
        kind = self.linear.outcome.dtype
        values = {
            s.name: jnp.full(shape_of(s, plan.members), 0.0 if s.offset else 0.5, kind)
            for s in (*plan.shared, *plan.local)
        }
        inside = (*plan.common, *plan.own)
        values |= {s.name: jnp.zeros(shape_of(s, plan.members), kind) for s in inside}
        log_det = jnp.zeros((), kind)
        last = {s.name for s in plan.levels.values()}
        half = halves(plan)
        if half:
            found, log_det = _spreads(half, take, data)
            values |= found
        for site in plan.shared:
            if site.name not in last and site not in half:
                back = lambda p, s=site: from_support(s, p, data, scales)
                raw = take(site.name, back)
                values[site.name], more = to_support(site, raw, data, scales)
                log_det += more
        late = [s for s in plan.local if s.offset and s.path[0] in plan.levels]
        params = parameters(values, spec, data)
        for site in plan.local:
            if site not in late:
                values[site.name], more = self._own(site, take, params, data, scales, 0.0)
                log_det += more
        for name, site in plan.levels.items():
            params = parameters(values, spec, data)
            nu = self.nu(name, params, spec)
            values[site.name], more = _level(site, take, nu, scales[site.name])
            log_det += more
            params[site.name] = values[site.name]
            (of,) = (s for s in late if s.path[0] == name)
            values[of.name], more = self._own(of, take, params, data, scales, nu)
            log_det += more
        params = parameters(values, spec, data)
        terms = [*spec.media, *plan.terms]
        parts = response.components(params, data.inputs, spec, terms)
        rest = response.total(parts) if parts else jnp.zeros_like(self.linear.outcome)
        linear, mu, more = self.linear.place(take, rest, params, plan, data, spec)
        return values | linear, mu.reshape(-1), log_det + more

    def nu(self, name: str, params: Mapping[str, Any], spec: Spec) -> Array:
        """Step 1: log of the mean saturated media, 0 at the fit; 0 where there are none."""
        (term,) = (t for t in spec.media if amplitude(t, spec) == name)
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
            back = lambda p: from_support(site, p, data, scales)
            return to_support(site, take(site.name, back), data, scales)
        loc, scale = around(site, params, data)
        shape = loc.shape
        know, seen = (of[site.name].reshape(shape) for of in (self.know, self.seen))
        k = 1.0 + scale * scale * know
        middle = scale * know * (seen - loc - nu) / k

        def back(p: Mapping[str, Array]) -> Array:
            z = (link(site).forward(p[site.makes]) - loc) / scale
            return (z - middle) * jnp.sqrt(k)

        u = take(site.name, back).reshape(shape)
        return middle + u / jnp.sqrt(k), -0.5 * jnp.log(k).sum()


def pieces(x: Any, plan: Plan) -> dict[str, Any]:
    """Coordinates by site, those of the linear block as "common" and "own"."""
    out: Values = {}
    at = 0
    for site in plan.shared:
        out[site.name] = x[at : at + size_of(site, plan.members)].reshape(
            shape_of(site, plan.members)
        )
        at += size_of(site, plan.members)
    k = sum(size_of(s, plan.members) for s in plan.common)
    out["common"] = x[at : at + k]
    geos = plan.members[GEO]
    blocks = x[at + k :].reshape(geos, -1)
    places = columns(plan.local, plan.members)
    for site, place in places.items():
        out[site.name] = blocks[:, place].reshape(shape_of(site, plan.members))
    done = max((p.stop for p in places.values()), default=0)
    out["own"] = blocks[:, done:]
    return out


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


@jax.custom_jvp
def _half_cauchy(z: Array) -> Array:
    """Quantile of a half-Cauchy of scale 1 where z is one of a normal."""
    tail = jnp.tan(0.5 * math.pi * jax.scipy.special.ndtr(-jnp.abs(z)))
    return jnp.where(z < 0, tail, 1.0 / tail)


@_half_cauchy.defjvp
def _half_cauchy_jvp(primals: tuple[Array], tangents: tuple[Array]) -> tuple[Array, Array]:
    (z,), (dz,) = primals, tangents
    value = _half_cauchy(z)
    slope = math.sqrt(math.pi / 8) * jnp.exp(-0.5 * z * z) * (1.0 + value * value)
    return value, slope * dz


def _un_half_cauchy(value: Array) -> Array:
    """The inverse of :func:`_half_cauchy`."""
    tail = 2.0 / math.pi * jnp.arctan(jnp.minimum(value, 1.0 / value))
    z = jax.scipy.special.ndtri(tail)
    return jnp.where(value < 1.0, z, -z)


QUANTILES = {
    "HalfNormal": (_half, _unhalf, lambda x: -0.5 * x @ x),
    "HalfCauchy": (_half_cauchy, _un_half_cauchy, lambda x: -jnp.log1p(x * x).sum()),
}
"""Of laws of scales: the quantile of a normal's, its inverse, the log density."""


def _spreads(sites: list[Site], take: Take, data: ModelData) -> tuple[Values, Array]:
    """Step 2 for all at once: values, and the log determinant but for a constant."""
    values: Values = {}
    log_det = jnp.zeros(())
    for family, (there, back, log_density) in QUANTILES.items():
        mine = [s for s in sites if s.prior.family == family]
        if not mine:
            continue
        scale = [jnp.asarray(hyperparameters(s, data)["scale"]) for s in mine]
        raw = [
            take(s.name, lambda p, n=s.name, by=by, back=back: back(p[n] / by))
            for s, by in zip(mine, scale, strict=True)
        ]
        z = jnp.concatenate([x.ravel() for x in raw])
        ratio, at = there(z), 0
        for site, by, x in zip(mine, scale, raw, strict=True):
            values[site.name] = by * ratio[at : at + x.size].reshape(x.shape)
            at += x.size
        log_det -= log_density(ratio) + 0.5 * z @ z
    return values, log_det


def _level(site: Site, take: Take, nu: Array, scale: Array) -> tuple[Array, Array]:
    """Step 1: the typical value of an amplitude, and the log determinant."""

    def back(p: Mapping[str, Array]) -> Array:
        ratio = p[site.name] * jnp.exp(nu) / scale
        return ratio + jnp.log(-jnp.expm1(-ratio))

    x = take(site.name, back)
    log_det = (jax.nn.log_sigmoid(x) + jnp.log(scale) - nu).sum()
    return scale * jax.nn.softplus(x) * jnp.exp(-nu), log_det
