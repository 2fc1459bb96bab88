"""Campaigns: what each brought of its channel, and its return.

What a channel brought is divided by the carried, weighted media of its campaigns, period by
period (:mod:`mmmjax.terms.media` has the equation): contributions and incremental outcome
add up to the channel's in every draw.
"""

from collections.abc import Mapping
from typing import Any

import jax.numpy as jnp
import numpy as np
import pandas as pd
import xarray as xr
from jaxtyping import Array

from mmmjax import checks, response
from mmmjax.arguments import checked
from mmmjax.arrays import Arrays
from mmmjax.draws import Fit
from mmmjax.posterior.fold import MEMORY, fold
from mmmjax.posterior.scope import (
    ALL,
    PROB,
    Scope,
    attributes,
    chain_coords,
    per_draw,
    summarise,
)
from mmmjax.shapes import CAMPAIGN, CHANNEL, GEO
from mmmjax.spec import Spec

__all__ = ["campaigns", "campaigns_table"]


@checked
def campaigns(fit: Fit, *, memory: int = MEMORY) -> xr.Dataset:
    """Weight, contribution and return of every campaign over the training window.

    Args:
        fit: The fit of a panel with campaigns.
        memory: Bound in bytes on what lives besides the result.

    Returns:
        Dataset of draws (chain, draw, geo, campaign): ``weight``, of its media beside those
        of its channel (their mean over the media of training is 1); ``contribution`` and
        ``incremental``, outcome units, which add up to those of the channel in `mm.roas`
        (carry-over after the window counted in the second); ``roas``, outcome per unit of
        money, NaN where no column has the spend of campaigns. ``spend`` and ``media``
        (geo, campaign); the coordinate ``channel`` says whose a campaign is.

    Raises:
        InputError: The panel has no campaigns.
    """
    scope, own = Scope.of(fit), fit.panel.campaigns
    if own is None:
        got = checks.Phrase("a fit without campaigns")
        fix = 'media = { TV = { campaigns = { "A" = "col_a", "B" = "col_b" } } }'
        checks.fail("campaigns", got, "", "a panel with campaigns", fix)
    args = (scope.factor, scope.present.astype(float))
    found = fold(fit, _values, *args, by_geo=True, memory=memory)
    data = {n: per_draw(fit, x, (GEO, CAMPAIGN)) for n, x in found.items()}
    panel = fit.panel
    at = [panel.channels.index(name) for name in own.channels]
    pairs = ((panel.media, own.media), (panel.spend, own.spend))
    media, spend = ((x[..., at] * s)[:, panel.window].sum(1) for x, s in pairs)
    data |= {"media": ((GEO, CAMPAIGN), media), "spend": ((GEO, CAMPAIGN), spend)}
    coords: dict[str, Any] = {GEO: list(scope.panel.geos), CAMPAIGN: list(own.labels)}
    coords[CHANNEL] = (CAMPAIGN, list(own.channels))
    made = xr.Dataset(data, chain_coords(fit) | coords, attributes(fit))
    return made.assign(roas=made["incremental"] / made["spend"].where(made["spend"] > 0))


@checked
def campaigns_table(fit: Fit, *, prob: float = PROB, memory: int = MEMORY) -> pd.DataFrame:
    """A row per geo and campaign, then geo = "ALL": the columns of campaigns.csv.

    Columns: geo, channel, campaign, media (units), spend (money; empty where no column has
    it), weight, contribution (outcome units), share (of the contribution of its channel)
    and roas (outcome per unit of money), each as _mean, _lo and _hi; see
    :func:`campaigns`. Of ALL the weight is that over the media of all geos.
    """
    found, own = campaigns(fit, memory=memory), fit.panel.campaigns
    assert own is not None
    flat = lambda name: found[name].to_numpy().reshape(-1, *found[name].shape[2:])
    media, spend = found["media"].to_numpy(), found["spend"].to_numpy()
    whole = lambda x: np.concatenate([x, x.sum(-2, keepdims=True)], -2)
    weight = flat("weight")
    heavy = np.where(media.sum(0) > 0, media, 1.0)
    overall = (weight * heavy).sum(1, keepdims=True) / heavy.sum(0)
    contribution, gain = whole(flat("contribution")), whole(flat("incremental"))
    money = whole(spend)
    same = np.array([[a == b for b in own.channels] for a in own.channels], float)
    channel = contribution @ same
    draws = {
        "weight": np.concatenate([weight, overall], 1),
        "contribution": contribution,
        "share": contribution / np.where(channel != 0, channel, np.nan),
        "roas": gain / np.where(money > 0, money, np.nan),
    }
    pairs = list(zip(own.channels, own.names, strict=True))
    index = [(geo, *pair) for geo in (*fit.panel.geos, ALL) for pair in pairs]
    table = pd.DataFrame(index, columns=[GEO, CHANNEL, CAMPAIGN])
    table["media"], table["spend"] = whole(media).ravel(), money.ravel()
    for name, values in draws.items():
        known = np.isfinite(values[0])
        out = np.full((3, *known.shape), np.nan)
        if known.any():
            out[:, known] = summarise(values[:, known], prob)
        for end, numbers in zip(("mean", "lo", "hi"), out, strict=True):
            table[f"{name}_{end}"] = numbers.ravel()
    return table


def _values(
    params: Mapping[str, Any], inputs: Arrays, spec: Spec, factor: Array, present: Array
) -> dict[str, Array]:
    """Weight, contribution and incremental outcome of one draw, (geo, campaign)."""
    past, n = inputs.history, present.shape[1]
    media = response.seen(params, inputs, spec)
    media = jnp.pad(media, ((0, 0), (0, 0), (0, spec.memory - 1)))
    window = media * (jnp.arange(media.shape[-1]) >= past)
    respond = response.gains(params, inputs, spec)
    effect = respond(media)
    before = respond(media - window)
    gain = response.of_campaigns(params, window, effect - before, spec, inputs)
    if spec.likelihood.straight:  # parts that add up, of channels that act together too
        effect = response.media_contribution(params, media, spec, inputs)
    every = response.of_campaigns(params, media, effect, spec, inputs)[..., past : past + n]
    weights, places = [], []
    for term in spec.media:
        x = inputs.of(term.name)
        if "share" in x:
            weights.append(response.campaign_weights(params, x, term, spec))
            places.append(x["place"])
    wide = [jnp.broadcast_to(w, (len(factor), w.shape[1])) for w in weights]
    order = jnp.argsort(jnp.concatenate(places))
    return {
        "weight": jnp.concatenate(wide, 1)[:, order],
        "contribution": (every * (factor[:, None] * present)[:, None]).sum(-1),
        "incremental": gain.sum(-1) * factor[:, None],
    }
