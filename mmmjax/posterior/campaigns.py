"""Campaigns: what each brought of its channel, and its return.

What a channel brought is divided by the carried, weighted media of its campaigns, period by
period (:mod:`mmmjax.terms.media` has the equation): contributions and incremental outcome
add up to the channel's in every draw.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
import xarray as xr
from jaxtyping import Array, Float

from mmmjax import checks, response
from mmmjax.arguments import checked
from mmmjax.arrays import Arrays
from mmmjax.draws import Fit
from mmmjax.panel.campaigns import Campaigns
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

__all__ = ["bought", "campaigns", "campaigns_table", "money_effects"]


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


def money_effects(
    fit: Fit, max_draws: int | None
) -> Float[np.ndarray, "draw geo_campaign"]:
    """What money of each campaign in each geo does, of what the channel's does as usual."""
    own, flat, inputs = fit.panel.campaigns, fit.flat(max_draws), fit.inputs()
    if own is None:
        return np.ones((len(next(iter(flat.values()))), 0))
    flat = {name: np.asarray(x, np.float64) for name, x in flat.items()}
    with jax.enable_x64(True):
        weights = lambda p: response.weights_of_campaigns(p, inputs, fit.spec)
        found = np.asarray(jax.lax.map(weights, jax.tree.map(jnp.asarray, flat)))
    return (found * _cheapness(fit)).reshape(len(found), -1)


def bought(
    fit: Fit, shares: Float[np.ndarray, "geo campaign"], periods: int
) -> tuple[Campaigns, Float[np.ndarray, "geo channel"]]:
    """What money buys that channels split over their campaigns in some shares.

    Args:
        fit: The fit of a panel with campaigns.
        shares: Of the money of each channel; all 0 where it is split as in training.
        periods: Length of a window.

    Returns:
        The campaigns of the window, and media of each channel beside those of the same
        money split as in training.
    """
    own = fit.panel.campaigns
    assert own is not None
    channels = [[c == name for name in fit.panel.channels] for c in own.channels]
    of, media = np.array(channels, float), shares * _cheapness(fit)
    whole = media @ of
    each = media / (np.where(whole > 0, whole, 1.0) @ of.T)
    every = lambda x: np.repeat(x[:, None], periods, axis=1)
    window = replace(own, media=every(each), spend=every(shares))
    return window, np.where(whole > 0, whole, 1.0)


def _cheapness(fit: Fit) -> Float[np.ndarray, "geo campaign"]:
    """Media that money of a campaign bought, of what that of its channel did."""
    panel, own = fit.panel, fit.panel.campaigns
    assert own is not None
    at = [panel.channels.index(name) for name in own.channels]
    pairs = ((panel.media, own.media), (panel.spend, own.spend))
    media, money = ((x[..., at] * s)[:, panel.window].sum(1) for x, s in pairs)
    cost = np.asarray(fit.scale.cost_per_unit, np.float64)[:, at]
    known, each = (media > 0) & (money > 0), media / np.where(money > 0, money, 1.0)
    some = np.where(known, money, 0.0).sum(0)
    usual = np.where(known, money * each * cost, 0.0).sum(0) / np.where(some > 0, some, 1)
    usual = np.where(some > 0, usual, 1.0)  # of geos that never had it, that of the others
    return np.where(known, each * cost, usual)


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
    return {
        "weight": response.weights_of_campaigns(params, inputs, spec),
        "contribution": (every * (factor[:, None] * present)[:, None]).sum(-1),
        "incremental": gain.sum(-1) * factor[:, None],
    }
