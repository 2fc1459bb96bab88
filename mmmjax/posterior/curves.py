"""Response curves: what a channel brings at other levels of spend, in original units."""

from collections.abc import Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import xarray as xr
from jaxtyping import Array

from mmmjax import checks, response
from mmmjax.draws import Fit
from mmmjax.posterior.fold import MEMORY, fold_cells
from mmmjax.posterior.scope import (
    PROB,
    SUMMARY,
    Scope,
    attributes,
    summarise,
    summary,
)
from mmmjax.response import Inputs
from mmmjax.shapes import CHANNEL, GEO
from mmmjax.spec import Spec

__all__ = ["MULTIPLIER", "POINT", "curves", "sweep"]

POINT = "point"
"""Dimension of the levels of spend of a curve."""

MULTIPLIER = "multiplier"
"""Dimension of the factors of a sweep."""


def curves(
    fit: Fit,
    points: int = 51,
    upto: float = 1.2,
    *,
    total: bool = False,
    prob: float = PROB,
    memory: int = MEMORY,
) -> xr.Dataset:
    """Contribution per period of each channel at constant spend, once carry-over is full.

    Args:
        fit: The fit.
        points: Levels of spend, evenly from 0.
        upto: The highest level, as a multiple of the channel's largest period in training.
        total: Sum over geos, each at the same fraction of its own largest period.
        prob: Probability inside [lo, hi].
        memory: Bound in bytes on what lives besides the result.

    Returns:
        Dataset: ``response`` (summary, geo, channel, point), outcome units per period;
        ``spend`` (geo, channel, point), money per period (NaN for organic channels), and
        ``media``, media units; ``spend_mean``, ``media_mean``, ``spend_max`` and
        ``media_max`` (geo, channel) are those of the training window: today's position
        and the end of the observed range.
    """
    points = checks.integer("points", points, low=2)
    upto = checks.number("upto", upto, low=0, open_low=True)
    scope = Scope.of(fit)
    panel, fraction = scope.panel, np.linspace(0.0, upto, points)
    media = panel.media[:, panel.history :]
    largest = media.max(axis=1)  # (geo, channel)
    count = np.maximum(scope.present.sum(axis=1), 1)[:, None]
    levels = largest[..., None] * fraction
    args = (scope.factor, levels / fit.scale.media[..., None])
    values = _reduce(fit, _STEADY[total], args, total, prob, memory)
    dims, cost = (GEO, CHANNEL, POINT), fit.scale.cost_per_unit
    data = {}
    for name, amount in {
        "": levels,
        "_mean": media.sum(axis=1) / count,
        "_max": largest,
    }.items():
        money = amount * (cost[..., None] if amount.ndim == 3 else cost)
        for kind, array in (("media", amount), ("spend", money)):
            array = array.sum(axis=0, keepdims=True) if total else array
            data[kind + name] = xr.Variable(dims[: array.ndim], array)
    return xr.Dataset(
        {"response": summary(values, dims), **data},
        _coords(scope, total) | {"fraction": (POINT, fraction)},
        attributes(fit, prob=prob),
    )


def sweep(
    fit: Fit,
    multipliers: Sequence[float] = (0.0, 0.25, 0.5, 0.75, 1.0, 1.25, 1.5),
    *,
    total: bool = False,
    prob: float = PROB,
    memory: int = MEMORY,
) -> xr.Dataset:
    """Total contribution of each channel had its spend in training been multiplied.

    Media history before the window stays as it was; the window only is counted, so that
    multiplier 1 gives the total contribution.

    Args:
        fit: The fit.
        multipliers: Factors of 0 or more, applied to one channel at a time.
        total: Sum over geos.
        prob: Probability inside [lo, hi].
        memory: Bound in bytes on what lives besides the result.

    Returns:
        Dataset: ``contribution`` (summary, geo, channel, multiplier), outcome units;
        ``spend`` (geo, channel, multiplier), money, NaN for organic channels.
    """
    factors = np.array([checks.number("multiplier", m, low=0) for m in multipliers])
    if not factors.size:
        checks.fail("multipliers", multipliers, "", "at least one", "sweep(fit, [0.5, 1])")
    scope = Scope.of(fit)
    n_geos = scope.panel.n_geos
    args = (scope.factor, scope.present.astype(float), np.tile(factors, (n_geos, 1)))
    values = _reduce(fit, _MULTIPLIED[total], args, total, prob, memory)
    spend = scope.spend.sum(axis=1)  # NaN for organic channels
    spend = spend.sum(axis=0, keepdims=True) if total else spend
    dims = (GEO, CHANNEL, MULTIPLIER)
    data = {
        "contribution": summary(values, dims),
        "spend": (dims, spend[..., None] * factors),
    }
    coords = _coords(scope, total) | {MULTIPLIER: factors}
    return xr.Dataset(data, coords, attributes(fit, prob=prob))


def _coords(scope: Scope, total: bool) -> dict[str, Any]:
    every = scope.coords(total)
    return {SUMMARY: ["mean", "lo", "hi"], GEO: every[GEO], CHANNEL: every[CHANNEL]}


def _reduce(
    fit: Fit, f: Any, args: tuple[Any, ...], total: bool, prob: float, memory: int
) -> np.ndarray:
    def reduce(tile: np.ndarray, *_: slice) -> np.ndarray:
        return summarise(tile, prob)

    return fold_cells(fit, f, reduce, *args, by_geo=not total, memory=memory)


def _steady(
    params: Mapping[str, Any], inputs: Inputs, spec: Spec, factor: Array, levels: Array
) -> Array:
    """Contribution (geo, channel, point) at the end of ``max_lag`` periods of one level."""

    def at(level: Array) -> Array:
        media = jnp.broadcast_to(level[..., None], (*level.shape, spec.adstock.max_lag))
        return response.media_contribution(params, media, spec)[..., -1]

    return jax.vmap(at, in_axes=-1, out_axes=-1)(levels) * factor[:, None, None]


def _multiplied(
    params: Mapping[str, Any], inputs: Inputs, spec: Spec, factor: Array, present: Array,
    multipliers: Array,
) -> Array:  # fmt: skip
    """Contribution (geo, channel, multiplier) of the window under scaled spend."""
    unit = (factor[:, None] * present)[:, None]
    inside = np.arange(inputs.media.shape[-1]) >= inputs.history

    def at(multiplier: Array) -> Array:  # (geo,), the same in each
        media = inputs.media * jnp.where(inside, multiplier[:, None, None], 1.0)
        value = response.media_contribution(params, media, spec)[..., inputs.history :]
        return (value * unit).sum(-1)

    return jax.vmap(at, in_axes=-1, out_axes=-1)(multipliers)


def _steady_total(*args: Any) -> Array:
    return _steady(*args).sum(0, keepdims=True)


def _multiplied_total(*args: Any) -> Array:
    return _multiplied(*args).sum(0, keepdims=True)


_STEADY = {False: _steady, True: _steady_total}
_MULTIPLIED = {False: _multiplied, True: _multiplied_total}
