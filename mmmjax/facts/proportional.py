r"""What is known of a return before the data speak, as the exact prior of that return.

In every draw a return is proportional to the coefficient $\beta_c$ of its channel:

$$r = \beta_c\, G_c(\alpha, \lambda), \qquad
G_c = \Big(\sum_{t} s(A(x_c))_t - s(A(x_c 1_{t \notin W}))_t\Big) \Big/
\sum_{t \in W} \text{spend}_{ct}$$

for ROAS of the window W, carry-over after it counted, in outcome units and over all geos.
For marginal ROAS the numerator of G is the derivative of that sum by a common factor of the
window's media at 1, exactly; for a share it is what the channel brings in the observed
periods of W, over the observed outcome of these. So a prior of r is a prior of beta given
all other parameters, with dr / d beta = G:

$$p(\beta_c \mid \alpha, \lambda) = p_r(\beta_c G_c)\, G_c.$$

It takes the place of the channel's own prior of ``saturation_beta``, and r has the
distribution that was asked for whatever carry-over and saturation are. Where geos are
pooled, beta_gc = typical_c exp(spread_c z_gc): beta above is the typical value, G the sum
over geos, and r that of all geos together. Cost per outcome is 1 / r.

The share T of all media together: among effects beta_c ~ HalfNormal(s_c) the composition is
independent of $\rho^2 = \sum (\beta_c / s_c)^2$, so that, given the composition, T has the
density $\chi_C(\rho)\, \rho / T$. The prior of T takes its place; the composition stays.

Source: Zhang, Wurm, Li, Wakim, Kelly, Price and Liu (2024), "Media mix model calibration
with Bayesian priors", Google; Google's Meridian, which parametrises by ROI, marginal ROI or
contribution. The returns themselves: Jin, Wang, Sun, Chan and Koehler (2017), "Bayesian
methods for media mix modeling with carryover and shape effects", Google.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
from jaxtyping import Array

from mmmjax import response
from mmmjax.arrays import Arrays
from mmmjax.facts.base import Fact
from mmmjax.prior import FAMILIES
from mmmjax.shapes import CHANNEL
from mmmjax.spec import Spec

__all__ = ["LAWS", "Proportional"]

LAWS = ("LogNormal", "Gamma", "HalfNormal", "Beta", "Normal")
"""Families that a return can have."""


class Proportional(Fact):
    """A prior of what is proportional to effects; :meth:`arrays` say of what.

    "channel" (-1: all together); "start" and "stop" of its window, periods of training;
    "unit" (geo,) of outcome; "middle", its usual size; "inverse", whether its law is that
    of 1 / it. Those of "roas", "mroas" and "share" that a panel has, 1 where it is that;
    those of :data:`LAWS`, their numbers, and "law", the place of the one that holds. With
    "total" the only row is that of all media together.
    """

    @classmethod
    def log_densities(
        cls,
        p: Mapping[str, Any],
        held: Mapping[str, Any],
        rows: Mapping[str, Any],
        spec: Spec,
        data: Any,
    ) -> Array:
        """See :meth:`Fact.log_densities`: of returns, minus those of what they replace."""
        at = _amplitudes(held, rows, spec, data)
        slope = jnp.zeros(rows["channel"].shape)  # log, up to a constant
        value = rows["middle"] * (at.mine @ (at.size / at.scale))
        if "total" in rows or any(spec.priors[name].pool for name, _ in at.places):
            gain = _gain(held, rows, spec, data)
            value = jnp.where(at.pooled, (gain * at.size).sum(1), value)
            slope = jnp.where(at.pooled, jnp.log(gain.sum(1)), slope)
        if "total" in rows:
            value = (gain * at.size).sum(1)
            ran = (data.inputs[response.MEDIA] > 0).any((0, 2))
            square = jnp.where(ran, (at.size / at.scale) ** 2, 0.0).sum()
            far = jnp.log(jnp.maximum(square, 1e-30))
            slope = jnp.log(value) - 0.5 * (ran.sum() * far - square)
        value = jnp.where(rows["inverse"], 1.0 / value, value)
        slope += jnp.where(rows["inverse"], 2.0 * jnp.log(value), 0.0)
        out = jnp.full(value.shape, -jnp.inf)
        for k, name in ((k, name) for k, name in enumerate(LAWS) if name in rows):
            support = FAMILIES[name].support
            inside = (rows["law"] == k) & ((value > 0) | (support == "real"))
            inside &= (value < 1) | (support != "unit")
            found = _law(rows, name).log_prob(jnp.where(inside, value, 0.5))
            out = jnp.where(inside, found, out)
        return out + slope

    @classmethod
    def placed(
        cls, p: Mapping[str, Any], rows: Mapping[str, Any], spec: Spec, data: Any
    ) -> Mapping[str, Any]:
        """See :meth:`Fact.placed`: sites hold the return, in units of its middle."""
        if "total" in rows:
            return {}
        at = _amplitudes(p, rows, spec, data)
        if all(spec.priors[name].pool for name, _ in at.places):
            return {}
        gain = _gain(p, rows, spec, data)
        unit = rows["middle"][:, None] / jnp.where(gain > 0, gain, 1.0) / at.scale
        own = (gain > 0) & ~at.pooled[:, None]
        factor = jnp.where(own, unit, 1.0).prod(0)
        return {name: p[name] * factor[place] for name, place in at.places}

    @classmethod
    def replaces(
        cls, rows: Mapping[str, Any], spec: Spec, inputs: Arrays
    ) -> Mapping[str, Any]:
        """See :meth:`Fact.replaces`: of single channels; that of all is divided out."""
        return {
            f"{name}_typical" if spec.priors[name].pool else name: (
                rows["channel"][:, None] == place
            ).any(0)
            for name, place in _places(spec, inputs)
        }

    @classmethod
    def drawn(
        cls, p: Mapping[str, Any], rows: Mapping[str, Any], spec: Spec, data: Any, key: Any
    ) -> Mapping[str, Any]:
        """See :meth:`Fact.drawn`: effects are multiplied by what makes the return."""
        at, gain = _amplitudes(p, rows, spec, data), _gain(p, rows, spec, data)
        wanted, value = jnp.zeros(len(gain)), (gain * at.size).sum(1)
        for k, (name, one) in enumerate(zip(LAWS, jax.random.split(key, 5), strict=True)):
            if name in rows:
                found = _law(rows, name).sample(one)
                wanted = jnp.where(rows["law"] == k, found, wanted)
        wanted = jnp.where(rows["inverse"], 1.0 / wanted, wanted)
        factor = jnp.where(gain > 0, (wanted / value)[:, None], 1.0).prod(0)
        out = dict(p)
        for name, place in at.places:
            prior = spec.priors[name]
            above = [f"{name}_typical", *(f"{name}_{d}" for d, _ in prior.pool[:-1])]
            for one in (name, *(above if prior.pool else ())):
                out[one] = p[one] * factor[place]
        return out


def _law(rows: Mapping[str, Any], name: str) -> dist.Distribution:
    """One of the laws with the numbers of each row."""
    family = FAMILIES[name]
    return family.make(*rows[name][:, : len(family.names)].T)


class _Amplitudes(NamedTuple):
    """Coefficients of media (typical, where geos are pooled).

    Args:
        places: Their parameters, and where the channels of each stand among all.
        size: The coefficients (channel,).
        scale: Of their priors, 1 where these have none.
        mine: 1 where a row is about a channel, (row, channel).
        pooled: Whether the row is of pooled geos, (row,).
    """

    places: list[tuple[str, Any]]
    size: Array
    scale: Array
    mine: Array
    pooled: Array


def _places(spec: Spec, inputs: Arrays) -> list[tuple[str, Any]]:
    several, every = len(spec.media) > 1, np.arange(inputs[response.MEDIA].shape[1])
    place = lambda term: inputs[spec.dim(term, CHANNEL)] if several else every
    return [(spec.full(term, "saturation_beta"), place(term)) for term in spec.media]


def _amplitudes(
    p: Mapping[str, Any], rows: Mapping[str, Any], spec: Spec, data: Any
) -> _Amplitudes:
    places = _places(spec, data.inputs)
    n = data.inputs[response.MEDIA].shape[1]
    size, scale, pooled = jnp.ones(n), jnp.ones(n), jnp.zeros(n)
    for name, place in places:
        prior = spec.priors[name]
        typical = jnp.asarray(p[f"{name}_typical"] if prior.pool else p[name])
        pooled = pooled.at[place].set(bool(prior.pool))
        if typical.size == place.size and not prior.nested:
            known = jnp.reshape(data.hyper[name].get("scale", 1.0), (-1,))
            scale = scale.at[place].set(known)
            size = size.at[place].set(typical.reshape(-1))
    whose = jnp.asarray(rows["channel"])[:, None]
    mine = jnp.asarray((whose == jnp.arange(n)) | (whose < 0), size.dtype)
    return _Amplitudes(places, size, scale, mine, mine @ pooled > 0)


def _gain(p: Mapping[str, Any], rows: Mapping[str, Any], spec: Spec, data: Any) -> Array:
    """What each row's quantity is at coefficients of 1, (row, channel); else 0."""
    inputs, at = data.inputs, _amplitudes(p, rows, spec, data)
    pairs = {spec.full(term, "gamma_interaction") for term in spec.interactions}
    one = {name: value for name, value in p.items() if name not in pairs}
    for name, _ in at.places:
        pool, beta = spec.priors[name].pool, jnp.asarray(p[name])
        one[name] = beta / p[f"{name}_typical"] if pool else jnp.ones_like(beta)
    media = response.seen(one, inputs, spec)
    media = jnp.pad(media, ((0, 0), (0, 0), (0, spec.memory - 1)))
    time = jnp.arange(media.shape[-1]) - inputs.history
    first, last = rows["start"][:, None], rows["stop"][:, None]
    inside = jnp.asarray((time >= first) & (time < last), media.dtype)
    window = at.mine.T @ inside  # a channel is in one row at most
    respond = jax.vmap(response.gains(one, inputs, spec))
    point, found = jnp.stack([media, media * (1.0 - window)]), dict[str, Array]()
    if "mroas" in rows:
        along = jnp.stack([media * window, 0.0 * media])
        both, slope = jax.jvp(respond, (point,), (along,))
        found["mroas"] = slope[0].sum(-1)
    else:
        both = respond(point)
    if "roas" in rows:
        found["roas"] = (both[0] - both[1]).sum(-1)
    if "share" in rows:
        ends = ((0, 0), (inputs.history, spec.memory - 1))
        seen = jnp.pad(data.target.mask * 1.0, ends)[:, None]
        found["share"] = (both[0] * seen * window).sum(-1)
    each = sum(jnp.einsum("gc,r->rgc", x, rows[name]) for name, x in found.items())
    return jnp.einsum("rgc,rg,rc->rc", each, rows["unit"], at.mine)
