r"""The prior of media, neutral in return: before the data speak, money is money.

``saturation_beta`` is the effect of a period at full saturation, so a prior on it says
nothing of returns until it is known how often a channel is on. With its default,
HalfNormal(:data:`mmmjax.media_share`), channel c has the scale

$$\text{scale}_c = k\,\text{share}_c / G_c, \qquad
k = \text{media\_share}\; Y \Big/ \Big(\sqrt{2/\pi}\,
\sum_c \text{share}_c\, S_c / G_c\Big)$$

where Y is the sum of the observed outcomes (their sizes) and, at a coefficient of 1 and the
medians of the priors of carry-over and saturation, S_c is what the channel brings in the
observed periods and G_c what its media of the training window bring, carry-over after it
counted: the numerator of ROAS, and nearly S_c. As sqrt(2/pi) is the mean of HalfNormal(1),
the prior mean of ROAS is the same for all paid channels, and that of what all channels
together bring is ``Spec.media_share`` of the observed outcome, the share of channels.csv:
exactly so at those kernels, nearly with the doubt about them. One saturation_beta for all
geos: S, G, Y and money are summed over geos, original units. One for each geo: all of it
geo by geo.

share_c is that of money. A channel that no money measures (organic, or nothing spent) has
G_c over the sum of G, which makes the scales of such channels equal; paid ones share the
rest. A channel that never ran has none; its scale is the mean of the others'. Where none
ran the scale is that of channels that are on all the time.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import numpy as np
from jaxtyping import Array
from scipy import special

from mmmjax.arrays import TIME, Arrays
from mmmjax.likelihood import Target
from mmmjax.panel import Panel
from mmmjax.prior import (
    FAMILIES,
    Prior,
    around,
    few_relevant,
    media_share,
    sites,
    spend_share,
)
from mmmjax.programs import compiled
from mmmjax.response import MEDIA, ORDER, media_contribution, places
from mmmjax.scaling import spend_share as shares_of_spend
from mmmjax.shapes import CHANNEL, GEO
from mmmjax.sparse import sparse_values
from mmmjax.spec import Spec, hyperparameters

__all__ = ["brought", "data_values", "quantiles"]

MEAN = math.sqrt(2 / math.pi)  # of HalfNormal(1)
LENGTH = 64  # arrays are padded to a multiple: markets of any length share few programs


def data_values(
    spec: Spec, panel: Panel, inputs: Arrays, target: Target
) -> dict[str, np.ndarray]:
    """Hyperparameters of a spec that are computed from its training panel, by name.

    Returns:
        Of those that are needed: ``spend_share`` (channel,); ``media_share`` (channel,)
        and, for a parameter of each geo, ``geo.media_share`` (geo, channel); those of
        :mod:`mmmjax.sparse`.
    """
    sizes = spec.sizes(panel)
    needed, values = spec.data_values(sizes), dict[str, np.ndarray]()
    if spend_share.name in needed:
        values[spend_share.name] = shares_of_spend(panel)
    if few_relevant.name in needed:
        values |= sparse_values(spec, inputs, target)
    if media_share.name not in needed:
        return values
    media = {spec.full(term, n) for term in spec.media for n in term.parameters()}
    effects = {spec.full(term, "saturation_beta") for term in spec.media}
    hyper = hyperparameters(
        spec, sizes, values, {*spec.parameters} - media | effects, places(spec, panel)
    )
    half = lambda shape: np.full((1, *shape), 0.5)
    of = inputs.values  # groups of geos are among them
    one = {n: quantiles(spec.priors[n], x, sizes, half, of) for n, x in hyper.items()}
    for name in effects & {*spec.present(sizes)}:
        one[name] = np.ones((1, *(sizes[d] for d in spec.dims(name))))
    straight = spec.likelihood.straight  # under a log effects are shares: no unit
    unit = np.asarray(spec.likelihood.original(target)) if straight else 1.0
    seen, gain = (unit * x[0] for x in brought(one, inputs, spec, target))
    spend = np.where(panel.paid, panel.spend[:, panel.window].sum(1), 0.0)
    total = spec.media_share * unit * np.where(target.mask, abs(target.outcome), 0.0)
    if not straight:
        total = -np.log1p(-min(spec.media_share, 0.95)) * target.mask
    whole = _scales(gain.sum(0), seen.sum(0), spend.sum(0), total.sum())
    always = total.sum() / (unit * target.mask).sum() / len(whole) / MEAN
    whole = np.where(whole > 0, whole, always)
    own = _scales(gain, seen, spend, total.sum(1, keepdims=True))
    own = np.where(own > 0, own, whole)
    return {**values, media_share.name: whole, f"{GEO}.{media_share}": own}


def _scales(
    gain: np.ndarray, seen: np.ndarray, spend: np.ndarray, total: Any
) -> np.ndarray:
    """Scales (..., channel) with which all together bring ``total`` in the mean.

    Not above 0 where nothing is known: no channel ran, or none when it was observed.

    Args:
        gain: What the media of each channel bring at a coefficient of 1.
        seen: What it brings in the observed periods.
        spend: Money.
        total: Of all channels together.
    """
    ran = gain > 0
    paid = ran & (spend > 0)
    with np.errstate(divide="ignore", invalid="ignore"):
        free = np.where(ran & ~paid, gain / gain.sum(-1, keepdims=True), 0.0)
        money = np.where(paid, spend / np.where(paid, spend, 0.0).sum(-1, keepdims=True), 0)
        share = free + (1.0 - free.sum(-1, keepdims=True)) * money
        each = np.where(ran, share / gain, 0.0)
        scale = each * total / (MEAN * (each * seen).sum(-1, keepdims=True))
        mean = scale.sum(-1, keepdims=True) / ran.sum(-1, keepdims=True)
        found = np.where(ran, scale, mean)
    return np.where(np.isfinite(found), found, 0.0)


def brought(
    params: Mapping[str, np.ndarray], inputs: Arrays, spec: Spec, target: Target
) -> tuple[np.ndarray, np.ndarray]:
    """What media bring, of draws (draw, *dims), in units of the mean, as tables count it.

    Returns:
        Sums over time (draw, geo, channel): in the observed periods; and by the media of
        the window, what follows it counted and what earlier media bring not.
    """
    history, n_time = inputs.history, inputs.sizes()[TIME]
    more = -(history + n_time + spec.memory - 1) % LENGTH + spec.memory - 1
    few = {MEDIA, ORDER, *(spec.dim(term, CHANNEL) for term in spec.media)}
    axes = tuple((name, dims) for name, dims in inputs.axes if name in few)
    values = {name: inputs[name] for name, _ in axes}
    values[MEDIA] = np.pad(values[MEDIA], ((0, 0), (0, 0), (0, more)))
    seen = np.pad(target.mask * 1.0, ((0, 0), (history, more)))[:, None]
    past = (np.arange(history + n_time + more) < history) * 1.0 if history else None
    args = (dict(params), Arrays(values, axes), seen, past)
    with jax.enable_x64(True):
        args = jax.tree.map(np.asarray, args)
        call, _ = compiled(_sums, {"spec": spec.structure()}, *args)
        observed, gained = call(*args)
        return np.asarray(observed), np.asarray(gained)


def _sums(
    params: dict[str, Array], inputs: Arrays, seen: Array, past: Array | None, spec: Spec
) -> tuple[Array, Array]:
    def one(p: dict[str, Array]) -> tuple[Array, Array]:
        every = media_contribution(p, inputs[MEDIA], spec, inputs)
        gained = every
        if past is not None:
            gained -= media_contribution(p, inputs[MEDIA] * past, spec, inputs)
        return (every * seen).sum(-1), gained.sum(-1)

    return jax.lax.map(one, params)


def quantiles(
    prior: Prior,
    values: Mapping[str, Any],
    sizes: Mapping[str, int],
    chance: Callable[[tuple[int, ...]], np.ndarray],
    groups: Mapping[str, Any] | None = None,
) -> np.ndarray:
    """Values of a parameter by the quantile functions of its prior and of those inside.

    Args:
        prior: With its dims.
        values: Its hyperparameters, from :func:`mmmjax.spec.hyperparameters`.
        sizes: Members of each dim.
        chance: Probabilities (..., *shape) of a shape: 0.5 everywhere gives the typical
            value, uniform random numbers give draws.
        groups: Arrays of the panel, "geo.<group>" among them where geos are in groups.
    """
    dims, family = prior.dims or (), FAMILIES[prior.family]

    def over(inner: Prior, key: str, dims: Sequence[str]) -> np.ndarray:
        found = quantiles(inner, values.get(key, values), sizes, chance, groups)
        has = inner.dims or ()
        return found[(..., *(slice(None) if d in has else None for d in dims))]

    if prior.pool:
        value: Any = None
        levels = [site for site in sites("", prior) if site.level]
        for site, (key, spread) in zip(levels, prior.spreads.items(), strict=True):
            assert site.level is not None
            offset = special.ndtri(chance(tuple(sizes[d] for d in site.dims)))
            link = site.level.link
            if site.level.group:
                of = (groups or {})[f"{site.level.over}.{site.level.group}"]
                value = np.take(value, of, offset.ndim - len(site.dims))
            else:
                value = over(prior.typical, "", site.dims)
            moved = link.forward(value) + over(spread, key, site.dims) * offset
            value = np.asarray(link.inverse(moved))
        return value
    used = {**values, **{k: over(v, k, dims) for k, v in prior.nested.items()}}
    q = chance(tuple(sizes[d] for d in dims))
    if not prior.nested:
        return np.asarray(family.quantile(q, **{k: used[k] for k, _ in prior.params}))
    base, fixed = FAMILIES[prior.base], {"loc": 0.0, "scale": 1.0}
    offset = base.quantile(q, **{k: fixed.get(k, used.get(k)) for k in base.names})
    loc, scale = around(prior, used)
    return np.asarray(family.link.inverse(loc + scale * offset))
