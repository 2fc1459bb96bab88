"""Response curves: what a channel brings at other levels of spend, in original units."""

from collections.abc import Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import xarray as xr
from jaxtyping import Array

from mmmjax import checks, response
from mmmjax.arguments import checked
from mmmjax.arrays import Arrays
from mmmjax.draws import Fit
from mmmjax.posterior.fold import DTYPE, MEMORY, fold, thinned
from mmmjax.posterior.pooling import Total, pooled, reduce_geos
from mmmjax.posterior.scope import (
    PROB,
    SUMMARY,
    Scope,
    attributes,
    summarise,
    summary,
)
from mmmjax.shapes import CHANNEL, GEO
from mmmjax.spec import Spec

__all__ = ["MULTIPLIER", "MULTIPLIERS", "POINT", "curves", "sweep"]

POINT = "point"
"""Dimension of the levels of spend of a curve."""

MULTIPLIER = "multiplier"
"""Dimension of the factors of a sweep."""

MULTIPLIERS = (0.0, 0.25, 0.5, 0.75, 1.0, 1.25, 1.5)
"""Factors of a sweep unless others are given."""


@checked
def curves(
    fit: Fit,
    points: int = 51,
    upto: float = 1.2,
    *,
    total: Total = False,
    prob: float = PROB,
    max_draws: int | None = None,
    memory: int = MEMORY,
) -> xr.Dataset:
    """Contribution per period of each channel at constant spend, once carry-over is full.

    Args:
        fit: The fit; media per head count on the population of its last period.
        points: Levels of spend, evenly from 0.
        upto: The highest level, as a multiple of the channel's largest period in training.
        total: Sum over geos, each at the same fraction of its own largest period; None:
            each geo, and then the sum where there are several.
        prob: Probability inside [lo, hi].
        max_draws: As for :func:`contributions`.
        memory: Bound in bytes on what lives besides the result.

    Returns:
        Dataset: ``response`` (summary, geo, channel, point), outcome units per period;
        ``spend`` (geo, channel, point), money per period (NaN for organic channels), and
        ``media``, media units; ``spend_mean``, ``media_mean``, ``spend_max`` and
        ``media_max`` (geo, channel) are those of the training window: today's position
        and the end of the observed range.
    """
    points = checks.integer("points", points, low=2, high=10_000)
    upto = checks.number("upto", upto, low=0, open_low=True)
    scope, some = Scope.of(fit), thinned(fit, max_draws)
    dtype = DTYPE if some is fit else "float32"
    panel, fraction = scope.panel, np.linspace(0.0, upto, points)
    media = panel.media[:, panel.history :]
    largest = media.max(axis=1)  # (geo, channel)
    count = np.maximum(scope.present.sum(axis=1), 1)[:, None]
    levels = largest[..., None] * fraction
    args = (scope.factor, levels / fit.scale.media_next(panel)[..., None])
    values = _reduce(some, _steady, args, total, prob, memory=memory, dtype=dtype)
    dims, cost = (GEO, CHANNEL, POINT), fit.scale.cost_per_unit
    data = {}
    for name, amount in {
        "": levels,
        "_mean": media.sum(axis=1) / count,
        "_max": largest,
    }.items():
        money = amount * (cost[..., None] if amount.ndim == 3 else cost)
        for kind, array in (("media", amount), ("spend", money)):
            data[kind + name] = xr.Variable(dims[: array.ndim], pooled(array, total))
    return xr.Dataset(
        {"response": summary(values, dims), **data},
        _coords(scope, total) | {"fraction": (POINT, fraction)},
        attributes(some, prob=prob),
    )


@checked
def sweep(
    fit: Fit,
    multipliers: Sequence[float] = MULTIPLIERS,
    *,
    total: Total = False,
    prob: float = PROB,
    max_draws: int | None = None,
    memory: int = MEMORY,
) -> xr.Dataset:
    """Total contribution of each channel had its spend in training been multiplied.

    Media history before the window stays as it was; the window only is counted, so that
    multiplier 1 gives the total contribution.

    Args:
        fit: The fit.
        multipliers: Factors of 0 or more, applied to one channel at a time.
        total: Sum over geos; None: each geo, and then the sum where there are several.
        prob: Probability inside [lo, hi].
        max_draws: As for :func:`contributions`.
        memory: Bound in bytes on what lives besides the result.

    Returns:
        Dataset: ``contribution`` (summary, geo, channel, multiplier), outcome units;
        ``uplift``, its difference to that of multiplier 1 in the same draw; ``marginal``,
        outcome of the next unit of money at that level, spread as the spend was (its
        derivative in the spend; NaN without spend); ``spend`` (geo, channel, multiplier),
        money, NaN for organic channels.
    """
    factors = np.array([checks.number("multiplier", m, low=0) for m in multipliers])
    if not factors.size:
        checks.fail("multipliers", multipliers, "", "at least one", "sweep(fit, [0.5, 1])")
    scope, some = Scope.of(fit), thinned(fit, max_draws)
    n_geos, dtype = scope.panel.n_geos, DTYPE if some is fit else "float32"
    asked = factors if (factors == 1).any() else np.append(factors, 1.0)
    now = np.full(n_geos, np.flatnonzero(asked == 1)[0], np.int32)
    args = (scope.factor, scope.present.astype(float), now, np.tile(asked, (n_geos, 1)))
    keep: dict[str, Any] = {"memory": memory, "dtype": dtype}
    values = _reduce(some, _multiplied, args, total, prob, rows=(3,), **keep)
    values = values[..., : factors.size]
    spend = pooled(scope.spend.sum(axis=1), total)[..., None]  # NaN for organic channels
    dims = (GEO, CHANNEL, MULTIPLIER)
    data = {
        "contribution": summary(values[:, :, 0], dims),
        "uplift": summary(values[:, :, 1], dims),
        "marginal": summary(values[:, :, 2] / np.where(spend > 0, spend, np.nan), dims),
        "spend": (dims, spend * factors),
    }
    coords = _coords(scope, total) | {MULTIPLIER: factors}
    return xr.Dataset(data, coords, attributes(some, prob=prob))


def curve_draws(fit: Fit, media: np.ndarray, *, memory: int = MEMORY) -> np.ndarray:
    """What :func:`curves` summarises, in every draw: (chain, draw, geo, channel, point).

    Args:
        fit: The fit.
        media: Media a period, (geo, channel, point), media units.
        memory: Bound in bytes on what lives besides the result.
    """
    scope = Scope.of(fit)
    levels = media / fit.scale.media_next(scope.panel)[..., None]
    found = fold(fit, _steady, scope.factor, levels, by_geo=True, memory=memory)
    return found.reshape(fit.draws.n_chains, fit.draws.n_draws, *found.shape[1:])


def _coords(scope: Scope, total: Total) -> dict[str, Any]:
    every = scope.coords(total)
    return {SUMMARY: ["mean", "lo", "hi"], GEO: every[GEO], CHANNEL: every[CHANNEL]}


def _reduce(
    fit: Fit, f: Any, args: tuple[Any, ...], total: Total, prob: float,
    rows: tuple[int, ...] = (), **options: Any,
) -> np.ndarray:  # fmt: skip
    """Mean, lo and hi over draws of what ``f`` gives, (3, geo, *rows, channel, level)."""
    n_levels = args[-1].shape[-1]
    if not fit.panel.channels:
        return pooled(np.zeros((3, fit.panel.n_geos, *rows, 0, n_levels)), total, axis=1)
    return reduce_geos(
        fit, f, lambda draws, *_: summarise(draws, prob), *args,
        total=total, n_last=n_levels, **options,
    )  # fmt: skip


def _steady(
    params: Mapping[str, Any], inputs: Arrays, spec: Spec, factor: Array, levels: Array
) -> Array:
    """Contribution (geo, channel, point) at the end of ``memory`` periods of one level."""

    def at(level: Array) -> Array:
        media = jnp.broadcast_to(level[..., None], (*level.shape, spec.memory))
        return respond(media)[..., -1]

    respond = response.gains(params, inputs, spec, steady=True)
    return jax.vmap(at, in_axes=-1, out_axes=-1)(levels) * factor[:, None, None]


def _multiplied(
    params: Mapping[str, Any], inputs: Arrays, spec: Spec, factor: Array, present: Array,
    now: Array, multipliers: Array,
) -> Array:  # fmt: skip
    """Contribution of the window under scaled spend: (geo, 3, channel, multiplier).

    Rows: contribution, its difference to that of multiplier 1 (the one numbered ``now``,
    in every geo), its slope in the multiplier.
    """
    unit = (factor[:, None] * present)[:, None]
    spent = response.seen(params, inputs, spec)
    inside = np.arange(spent.shape[-1]) >= inputs.history
    carry, respond = response.linear_gains(params, inputs, spec)
    before, window = carry(jnp.where(inside, 0.0, spent)), carry(spent * inside)

    def at(multiplier: Array) -> Array:  # (geo,), the same in each
        value = respond(before + window * multiplier[:, None, None])
        value = value[..., inputs.history :]
        return (value * unit).sum(-1)

    def both(multiplier: Array) -> tuple[Array, Array]:
        return jax.jvp(at, (multiplier,), (jnp.ones_like(multiplier),))

    value, slope = jax.lax.map(both, multipliers.T)  # (multiplier, geo, channel)
    found = jnp.stack([value, value - value[now[0]], slope])
    return jnp.transpose(found, (2, 0, 3, 1))
