"""Contributions: what each component added to the fitted mean, in original units.

All are of mu, the mean before truncation, and come from :func:`response.parts`.
Cells without a row in the table (a geo that had not started, or had left) count as zero.
"""

from collections.abc import Mapping
from typing import Any
from weakref import WeakKeyDictionary

import jax
import jax.numpy as jnp
import numpy as np
import xarray as xr
from jaxtyping import Array

from mmmjax import response
from mmmjax.arguments import checked
from mmmjax.arrays import Arrays
from mmmjax.draws import Fit
from mmmjax.panel import Panel
from mmmjax.posterior.fold import DTYPE, MEMORY, fold, fold_cells, thinned
from mmmjax.posterior.pooling import Total, over_geos, pooled, reduce_geos
from mmmjax.posterior.scope import (
    PROB,
    SUMMARY,
    Scope,
    attributes,
    chain_coords,
    per_draw,
    summarise,
    summary,
)
from mmmjax.shapes import CAMPAIGN, CHANNEL, DATE, GEO
from mmmjax.spec import Spec

__all__ = ["COMPONENT", "contributions", "decomposition", "weekly"]

COMPONENT = "component"
"""Dimension of the components of the fitted mean: channels, then what is not media."""

GROUPS = ("baseline", "controls", "seasonality", "mu")
"""What stands behind the channels in weekly.csv."""

KEPT = 64 * 2**20
_TOTALS: WeakKeyDictionary[Fit, "Totals"] = WeakKeyDictionary()

type Totals = tuple[dict[str, np.ndarray], np.ndarray | None]


@checked
def contributions(
    fit: Fit,
    panel: Panel | None = None,
    *,
    total: bool = False,
    prob: float = PROB,
    max_draws: int | None = None,
    memory: int = MEMORY,
) -> xr.Dataset:
    """Contribution of every component, per period and in total, in outcome units.

    Args:
        fit: The fit.
        panel: A panel that follows training, or one of the training dates with other
            media; None for training.
        total: Sum over geos (one geo, "ALL") instead of each geo.
        prob: Probability inside the interval [lo, hi].
        max_draws: Draws of what is per period, evenly spaced; None: as many as the error
            of an interval asks for (:func:`mmmjax.posterior.fold.thinned`), "draws_used"
            in the attributes. Totals are of every draw.
        memory: Bound in bytes on what lives besides the result.

    Returns:
        Dataset. Per period, dims (summary, geo, [channel | control,] date) with summary
        mean, lo, hi (highest density interval): ``channel_contribution``,
        ``control_contribution``, ``intercept_contribution``, ``trend_contribution``,
        ``seasonality_contribution``, ``baseline`` (intercept and trend), ``controls``
        (their sum) and ``mu`` (the fitted mean); of campaigns ``campaign_contribution``,
        which adds up to that of their channels. Draws of totals over the window, dims
        (chain, draw, geo, ...): ``channel_total`` and so on; ``channel_share``, of the
        observed outcome over the cells where it was observed; ``outcome_total`` (geo,)
        is that outcome. Components that the model does not have are left out.
    """
    scope = Scope.of(fit, panel)
    some = thinned(fit, max_draws)
    f, args = _all_parts, (scope.factor, scope.present.astype(float))
    keep: dict[str, Any] = {"inputs": scope.inputs, "memory": memory}
    each = lambda tile, *_: {n: summarise(draws, prob) for n, draws in tile.items()}
    if total:
        found = fold_cells(some, over_geos(f), each, *args, by_geo=False, **keep)
    else:
        found = fold_cells(some, f, each, *args, **keep)
    if not total and not scope.present.all():
        for values in found.values():
            np.moveaxis(values, -1, 2)[:, ~scope.present] = np.nan
    over = {CHANNEL: (CHANNEL,), CAMPAIGN: (CAMPAIGN,)}
    over |= {t.name: (t.over,) for t in fit.spec.parts if t.over}
    terms = {CHANNEL, CAMPAIGN, *(t.name for t in fit.spec.parts)}
    data = {
        f"{n}_contribution" if n in terms else n: summary(v, (GEO, *over.get(n, ()), DATE))
        for n, v in found.items()
    }
    sums, observed = _sums_of(fit, scope, memory)
    outcome = np.nansum(scope.outcome, axis=1)
    if total:
        sums, observed = jax.tree.map(lambda x: x.sum(1, keepdims=True), (sums, observed))
        outcome = outcome.sum(keepdims=True)
    for name, values in sums.items():
        data[f"{name}_total"] = per_draw(fit, values.copy(), (GEO, *over.get(name, ())))
    known = np.where(outcome == 0, np.nan, outcome)
    if observed is not None:
        data["channel_share"] = per_draw(fit, observed / known[:, None], (GEO, CHANNEL))
    data["outcome_total"] = xr.Variable((GEO,), known)
    coords = {SUMMARY: ["mean", "lo", "hi"], **chain_coords(fit), **scope.coords(total)}
    used = {d for variable in data.values() for d in variable.dims}
    kept = {d: labels for d, labels in coords.items() if d in used}
    return xr.Dataset(data, kept, attributes(some, prob=prob, share_of="observed outcome"))


@checked
def decomposition(
    fit: Fit,
    panel: Panel | None = None,
    *,
    total: Total = False,
    prob: float = PROB,
    memory: int = MEMORY,
) -> xr.Dataset:
    """What the fitted mean is made of over the window: total and share of each component.

    Components: every channel, "baseline" (intercept and trend), "controls" (their sum)
    and "seasonality", as far as the model has them. In every draw the totals add up to
    the fitted mean and the shares to 1; seasonality and controls may be negative.

    Args:
        fit: The fit.
        panel: A panel that follows training, or one of the training dates with other
            media; None for training.
        total: Sum over geos (one geo, "ALL") instead of each geo; None: each geo, and then
            the sum where there are several.
        prob: Probability inside [lo, hi].
        memory: Bound in bytes on what lives besides the draws of the totals.

    Returns:
        Dataset: ``share`` and ``total`` (summary, geo, component), of the fitted mean and
        in outcome units; ``mu_total`` (summary, geo), the fitted mean. Periods in which a
        geo was not in the table count as zero; no share where the mean is zero.
    """
    scope = Scope.of(fit, panel)
    sums, _ = totals(fit, scope, memory=memory)
    sums = {name: pooled(values, total, axis=1) for name, values in sums.items()}
    groups = [name for name in sums if name != CHANNEL]
    parts = [x if name == CHANNEL else x[..., None] for name, x in sums.items()]
    draws = np.concatenate(parts, axis=-1)
    whole = draws.sum(axis=-1, keepdims=True)
    shares = draws / np.where(whole == 0, np.nan, whole)
    every, names = scope.coords(total), [*scope.panel.channels, *groups]
    data = {
        "share": summary(summarise(shares, prob), (GEO, COMPONENT)),
        "total": summary(summarise(draws, prob), (GEO, COMPONENT)),
        "mu_total": summary(summarise(whole[..., 0], prob), (GEO,)),
    }
    coords = {SUMMARY: ["mean", "lo", "hi"], GEO: every[GEO], COMPONENT: names}
    about = attributes(thinned(fit), prob=prob, share_of="fitted mean")
    return xr.Dataset(data, coords, about)


def weekly(
    fit: Fit,
    panel: Panel | None = None,
    *,
    total: Total = False,
    prob: float = PROB,
    max_draws: int | None = None,
    memory: int = MEMORY,
) -> tuple[list[str], np.ndarray]:
    """Mean, lo and hi per period of channels and of the groups of weekly.csv.

    Returns:
        Names of the components: channels, then of :data:`GROUPS` those that the model has;
        (3, geo, component, time), NaN where a geo was not in the table. Arguments as in
        :func:`contributions`.
    """
    scope, some = Scope.of(fit, panel), thinned(fit, max_draws)
    sizes = scope.inputs.sizes()
    has = [t.group for t in fit.spec.parts if not t.over or sizes[t.over]]
    has = ["controls" if group == "control" else group for group in has]
    names = [name for name in GROUPS if name in (*has, "mu")]
    observed = np.isfinite(scope.outcome)
    n_channels, n_times = len(scope.panel.channels), len(scope.dates)
    sums, seen = [
        np.zeros((some.draws.n_chains * some.draws.n_draws, len(observed), n))
        for n in (n_channels + len(names), n_channels)
    ]
    kept = panel is None and max_draws is None and not total

    def reduce(draws: np.ndarray, geos: slice | None, times: slice) -> np.ndarray:
        nonlocal kept
        kept = kept and times == slice(0, n_times)
        if kept and geos is not None:
            sums[:, geos] = draws.sum(-1, dtype=float)
            there = draws[:, :, :n_channels] * observed[geos, None]
            seen[:, geos] = there.sum(-1, dtype=float)
        return summarise(draws, prob)

    found = reduce_geos(
        some, _grouped, reduce, scope.factor, scope.present.astype(float), total=total,
        n_last=n_times, inputs=scope.inputs, memory=memory,
        dtype=DTYPE if some is fit else "float32",
    )  # fmt: skip
    if kept:
        channels = {CHANNEL: sums[..., :n_channels]} if n_channels else {}
        own = [name for name in dict.fromkeys(has) if name in names]
        groups = {name: sums[..., n_channels + names.index(name)] for name in own}
        _keep(fit, (channels | groups, seen if n_channels else None))
    if not total:  # the sum over geos, if it is there, has every period
        away = ~scope.present
        np.moveaxis(found[:, : len(away)], -1, 2)[:, away] = np.nan
    return [*scope.panel.channels, *names], found


def totals(fit: Fit, scope: Scope, *, memory: int = MEMORY) -> Totals:
    """Sums over the window of the draws that tables are made of.

    Those of training are kept beside a fit, up to :data:`KEPT` bytes: several tables are
    made of them, and :func:`weekly` has them by the way.

    Returns:
        "channel" (draw, geo, channel), and groups of the other components (draw, geo);
        channels over the observed periods only (None without).
    """
    if scope.panel is fit.panel and fit in _TOTALS:
        return _TOTALS[fit]
    sums, observed = _sums_of(thinned(fit), scope, memory)
    channels = {CHANNEL: sums[CHANNEL]} if CHANNEL in sums else {}
    made = channels | response.grouped(sums, fit.spec, -1), observed
    if scope.panel is fit.panel:
        _keep(fit, made)
    return made


def _keep(fit: Fit, made: Totals) -> None:
    if sum(x.nbytes for x in jax.tree.leaves(made)) <= KEPT:
        _TOTALS[fit] = made


def _sums_of(fit: Fit, scope: Scope, memory: int) -> Totals:
    """Sums over the window of every draw: components, and channels where observed."""
    observed = np.isfinite(scope.outcome)
    args = (scope.factor, scope.present.astype(float), observed.astype(float))
    dims = {t.name: (GEO, t.over) for t in fit.spec.parts if t.over}
    dims |= {CHANNEL: (GEO, CHANNEL), "observed": (GEO, CHANNEL)}
    keep: dict[str, Any] = {"by_geo": True, "memory": memory, "timed": dims}
    found = fold(fit, _sums, *args, inputs=scope.inputs, **keep)
    return found["present"], found.get("observed")


def _parts(
    params: Mapping[str, Any], inputs: Arrays, spec: Spec, factor: Array, cells: Array
) -> dict[str, Array]:
    """Components in original units, zero outside ``cells`` (geo, time)."""
    unit = factor[:, None] * cells
    return {
        name: value * (unit[:, None] if value.ndim == 3 else unit)
        for name, value in response.parts(params, inputs, spec).items()
    }


def _all_parts(
    params: Mapping[str, Any], inputs: Arrays, spec: Spec, factor: Array, cells: Array
) -> dict[str, Array]:
    parts = _parts(params, inputs, spec, factor, cells)
    groups = response.grouped(parts, spec, 1)
    sums = {n: groups[n] for n in ("baseline", "controls") if n in groups}
    every = {**parts, **sums, "mu": response.total(parts)}
    return every | _campaigns(params, inputs, spec, factor[:, None] * cells)


def _campaigns(
    params: Mapping[str, Any], inputs: Arrays, spec: Spec, unit: Array
) -> dict[str, Array]:
    """Those of campaigns, (geo, campaign, time), where there are any."""
    if not any("share" in inputs.of(term.name) for term in spec.media):
        return {}
    media = response.seen(params, inputs, spec)
    effect = response.media_contribution(params, media, spec, inputs)
    found = response.of_campaigns(params, media, effect, spec, inputs)
    if not spec.likelihood.straight:  # as much of each effect as of that of all channels
        ways = (response.parts, response.components)
        part, whole = (way(params, inputs, spec)[CHANNEL].sum(1) for way in ways)
        unit = unit * jnp.where(whole == 0, 0.0, part / jnp.where(whole == 0, 1.0, whole))
    return {CAMPAIGN: found[..., inputs.history :] * unit[:, None]}


def _grouped(
    params: Mapping[str, Any], inputs: Arrays, spec: Spec, factor: Array, cells: Array
) -> Array:
    """Channels, then :data:`GROUPS`: (geo, component, time)."""
    parts = _parts(params, inputs, spec, factor, cells)
    every = response.grouped(parts, spec, 1) | {"mu": response.total(parts)}
    groups = jnp.stack([every[name] for name in GROUPS if name in every], axis=1)
    channels = [parts["channel"]] if "channel" in parts else []
    return jnp.concatenate([*channels, groups], axis=1)


def _sums(
    params: Mapping[str, Any], inputs: Arrays, spec: Spec, factor: Array, present: Array,
    observed: Array,
) -> dict[str, Any]:  # fmt: skip
    parts = _parts(params, inputs, spec, factor, present)
    sums = {name: value.sum(-1) for name, value in parts.items()}
    sums["mu"] = response.total(parts).sum(-1)
    own = _campaigns(params, inputs, spec, factor[:, None] * present)
    sums |= {name: value.sum(-1) for name, value in own.items()}
    if "channel" not in parts:
        return {"present": sums}
    seen = (parts["channel"] * observed[:, None]).sum(-1)
    return {"present": sums, "observed": seen}
