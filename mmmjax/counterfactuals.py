"""What if media had been otherwise: another panel of the same dates against the actual one.

Both sides are predicted from the same draws of the parameters and the same noise (common
random numbers), so that their difference is what the panels differ in. Without that the
noise of two predictions would hide small differences.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
import xarray as xr
from jaxtyping import Array

from mmmjax import checks, prediction, response
from mmmjax.arguments import checked
from mmmjax.arrays import Arrays
from mmmjax.draws import Fit
from mmmjax.likelihood import Target
from mmmjax.panel import Panel
from mmmjax.posterior.fold import MEMORY, fold
from mmmjax.posterior.levers import levers_of, of_levers
from mmmjax.posterior.pooling import over_geos, pooled
from mmmjax.posterior.returns import span_of
from mmmjax.posterior.scope import (
    ALL,
    PROB,
    Scope,
    attributes,
    chain_coords,
    per_draw,
    summarise,
)
from mmmjax.shapes import CHAIN, CHANNEL, CONTROL, DRAW, GEO
from mmmjax.spec import Spec
from mmmjax.words import long, spread

__all__ = ["SCENARIO", "counterfactual", "counterfactual_table", "held", "reweight"]

LEVER = "lever"
SCENARIO = "scenario"
"""Dimension of the two sides of a comparison."""

SIDES = ("actual", "changed")
_DIMS = {"contribution": (GEO, SCENARIO, CHANNEL), LEVER: (GEO, SCENARIO, CONTROL)}


@checked
def counterfactual(
    fit: Fit,
    panel: Panel | Mapping[str, float],
    window: Sequence[Any] | None = None,
    seed: int = 0,
    *,
    actual: Panel | None = None,
    total: bool = True,
    memory: int = MEMORY,
) -> xr.Dataset:
    """Compare a changed panel with the actual one: media contribution and outcome.

    Args:
        fit: The fit.
        panel: A factor of 0 or more for each channel that changes, {"TV": 1.2} for 20%
            more of it in every period of the actual panel (its spend and its media, so
            that total spend changes; organic channels too), and a value for each lever
            that does, {"price": 2.2}, held in every period and geo. Or the changed panel:
            the training dates with other media or controls (such as :func:`reweight`
            makes), or dates that follow training.
        window: First and last date of the periods that are summed, both included (None
            for an open end); None for all. The panels may differ outside of it: what is
            carried into the window counts, what comes after it does not.
        seed: Seed of the noise of the predicted outcome, the same on both sides.
        actual: What it is compared with, the same dates; None: the training panel. A panel
            that follows training needs it.
        total: Sum over geos (one geo, "ALL"). False: each geo.
        memory: Bound in bytes on what lives besides the result.

    Returns:
        Dataset of sums over the window, in outcome units: ``contribution`` (scenario,
        chain, draw, geo, channel) of media to the fitted mean and ``outcome`` (scenario,
        chain, draw, geo), predicted, noise included, with scenario "actual" and "changed";
        ``difference_contribution`` and ``difference_outcome`` (chain, draw, geo), changed
        minus actual, over all channels; ``uplift_contribution`` and ``uplift_outcome``,
        the same divided by actual (NaN where that is 0); ``probability_contribution`` and
        ``probability_outcome`` (geo,), the share of draws with a difference above 0;
        ``spend`` (scenario, geo, channel), money, NaN for organic channels; of levers
        ``lever_contribution`` (scenario, chain, draw, geo, lever), counted from their
        baselines. Cells without a row in the table count as zero.

    Raises:
        InputError: The panels differ in dates or in the cells that have a row; a factor
            of a channel that is none, or below 0; a lever that is none.
    """
    if not isinstance(panel, Panel):
        channels = fit.panel.channels
        values = {n: x for n, x in panel.items() if n in fit.panel.control_names}
        for name in values:
            if name in channels:
                allowed, fix = "one of them", "name the channel or the control otherwise"
                checks.fail("panel", name, "a channel and a control", allowed, fix)
        factors = {n: x for n, x in panel.items() if n not in values}
        panel = reweight(fit, factors, keep_total=False, panel=actual)
        panel = held(fit, values, panel)
    sides = _sides(fit, panel, actual)
    known, span = sides[0], span_of(sides[0].dates, window)
    counted = np.zeros(known.present.shape)
    counted[:, span] = known.present[:, span]
    both = {
        name: np.stack([side.inputs[name] for side in sides], axis=1)
        for name, dims in known.inputs.axes
        if dims[0] == GEO
    }
    f = over_geos(_compared) if total else _compared
    options: dict[str, Any] = prediction._options(fit, known, seed) | {"timed": _DIMS}
    more = prediction._arguments(fit, known)
    found = fold(fit, f, both, counted, *more, by_geo=not total, memory=memory, **options)
    every = known.coords(total)
    spend = np.stack([side.spend[:, span].sum(axis=1) for side in sides])
    dates = known.dates[span]
    return xr.Dataset(
        _measures(fit, found)
        | {"spend": ((SCENARIO, GEO, CHANNEL), pooled(spend, total, axis=1))},
        chain_coords(fit)
        | {SCENARIO: list(SIDES), GEO: every[GEO], CHANNEL: every[CHANNEL]}
        | ({LEVER: list(levers_of(fit))} if LEVER in found else {}),
        attributes(fit, seed=seed, start=str(dates[0]), end=str(dates[-1])),
    )


def _sides(fit: Fit, panel: Panel, actual: Panel | None) -> list[Scope]:
    """The actual and the changed panel, aligned with the fit, of the same cells."""
    changed = Scope.of(fit, panel)
    if actual is None and not changed.dates.equals(Scope.of(fit).dates):
        got = checks.Phrase(
            f"a panel that follows training, from {changed.dates[0]:%Y-%m-%d}"
        )
        checks.fail(
            "actual", got, "", "with such a panel, another one to compare it with",
            "counterfactual(fit, panel, actual=test)",
        )  # fmt: skip
    known = Scope.of(fit, actual)
    if not known.dates.equals(changed.dates):
        span = f"{checks.show(known.dates[0])} to {checks.show(known.dates[-1])}"
        got = f"{checks.show(changed.dates[0])} to {checks.show(changed.dates[-1])}"
        checks.fail(
            "panel", checks.Phrase(got), "", f"the dates of the actual panel, {span}",
            "compare panels of the same dates; window= counts some of them",
        )  # fmt: skip
    if not np.array_equal(known.present, changed.present):
        geo, time = np.argwhere(known.present != changed.present)[0]
        where = f'geo "{known.panel.geos[geo]}", date {checks.show(known.dates[time])}'
        checks.fail(
            "panel", checks.Phrase("a row in one panel only"), where,
            "the same rows in both", "change the numbers of the actual panel only",
        )  # fmt: skip
    return [known, changed]


def _measures(fit: Fit, found: Mapping[str, np.ndarray]) -> dict[str, Any]:
    """Variables of the result from sums of every draw, (draw, geo, scenario, ...)."""
    data, own = dict[str, Any](), dict(found)
    if (of := own.pop(LEVER, None)) is not None:
        of = of[..., [lever.at for lever in levers_of(fit).values()]]
        sides = [per_draw(fit, of[:, :, i], (GEO, LEVER)) for i in range(len(SIDES))]
        data[f"{LEVER}_contribution"] = xr.Variable.concat(sides, SCENARIO)
    for name, values in own.items():
        dims = (GEO, CHANNEL) if values.ndim == 4 else (GEO,)
        sides = [per_draw(fit, values[:, :, i], dims) for i in range(len(SIDES))]
        data[name] = xr.Variable.concat(sides, SCENARIO)
        before, after = (s.sum(CHANNEL) if CHANNEL in s.dims else s for s in sides)
        gain = after - before
        data[f"difference_{name}"] = gain
        data[f"uplift_{name}"] = gain / before.where(before != 0)
        data[f"probability_{name}"] = (gain > 0).mean((CHAIN, DRAW))
    return data


def _compared(
    params: Mapping[str, Any], inputs: Arrays, spec: Spec, both: Mapping[str, Array],
    counted: Array, target: Target, *rest: Array,
) -> dict[str, Array]:  # fmt: skip
    """Sums over the counted cells of both sides: (geo, scenario[, channel])."""

    def of_side(side: dict[str, Array]) -> dict[str, Array]:
        given = inputs.replace(**side)
        parts = response.parts(params, given, spec)
        media = parts.get("channel")
        if media is None:
            media = jnp.zeros((counted.shape[0], 0, counted.shape[1]))
        y = prediction._outcome(params, given, spec, target, *rest)
        y = jnp.where(counted > 0, y, 0.0)
        unit = (target.unit * counted)[:, None]
        out = {"contribution": (media * unit).sum(-1), "outcome": y.sum(-1)}
        if spec.levers:
            out[LEVER] = (parts[CONTROL] * unit).sum(-1)
        return out

    return jax.vmap(of_side, in_axes=1, out_axes=1)(dict(both))


@checked
def counterfactual_table(found: xr.Dataset, *, prob: float = PROB) -> pd.DataFrame:
    """Both sides of a comparison, a row per geo and quantity: whatif.csv.

    Columns: geo, quantity ("contribution" of a channel, then "media", all of them, with
    channel "ALL"; "lever", counted from its baseline, its name in channel; "outcome", noise
    included, with channel "ALL"), channel, spend_actual and spend_changed (money, empty for
    organic channels and levers), actual, changed and difference, each
    as _mean, _lo and _hi (highest density interval, outcome units), and probability, the
    share of draws with a difference above 0.

    Args:
        found: What :func:`counterfactual` returned.
        prob: Probability inside [lo, hi].
    """
    if SCENARIO not in found.dims:
        got, fix = checks.Phrase("another Dataset"), 'mm.counterfactual(fit, {"TV": 1.2})'
        checks.fail("found", got, "", "a comparison", fix)
    each = found["contribution"].transpose(SCENARIO, CHAIN, DRAW, GEO, CHANNEL)
    draws = each.to_numpy().reshape(len(SIDES), -1, *each.shape[3:])
    outcome = found["outcome"].transpose(SCENARIO, CHAIN, DRAW, GEO).to_numpy()
    outcome = outcome.reshape(len(SIDES), -1, each.sizes[GEO], 1)
    names, own = (
        [str(x) for x in found[LEVER].to_numpy()] if LEVER in found.dims else [],
        outcome[..., :0],
    )
    if names:
        own = found[f"{LEVER}_contribution"].transpose(SCENARIO, CHAIN, DRAW, GEO, LEVER)
        own = own.to_numpy().reshape(*outcome.shape[:-1], len(names))
    draws = np.concatenate([draws, draws.sum(-1, keepdims=True), own, outcome], axis=-1)
    spend = found["spend"].transpose(SCENARIO, GEO, CHANNEL).to_numpy()
    whole = np.nansum(spend, axis=-1, keepdims=True)
    none = np.full((*whole.shape[:-1], len(names)), np.nan)
    spend = np.concatenate([spend, whole, none, whole], axis=-1)
    channels = [str(name) for name in found[CHANNEL].to_numpy()]
    quantities = ["contribution"] * len(channels)
    quantities += ["media", *[LEVER] * len(names), "outcome"]
    table: dict[str, Any] = {"channel": [*channels, ALL, *names, ALL]}
    table |= {f"spend_{side}": spend[i] for i, side in enumerate(SIDES)}
    gain = draws[1] - draws[0]
    for name, values in zip((*SIDES, "difference"), (*draws, gain), strict=True):
        table |= spread(f"{name}_", summarise(values, prob))
    table["probability"] = (gain > 0).mean(0)
    return long({"geo": found[GEO].astype(str), "quantity": quantities}, table)


def held(fit: Fit, values: Mapping[str, float], panel: Panel) -> Panel:
    """A panel with levers held at a value in every period of its window, own units.

    Raises:
        InputError: No lever of the fit.
    """
    controls = np.array(panel.controls)
    for name, lever in of_levers(fit, values).items():
        what, fix = f"value of {name}", f"{name}={lever.last:g}"
        controls[:, panel.window, lever.at] = checks.number(what, values[name], fix=fix)
    return replace(panel, controls=controls)


@checked
def reweight(
    fit: Fit,
    weights: Mapping[str, float],
    keep_total: bool = True,
    panel: Panel | None = None,
) -> Panel:
    """A panel with the spend of each channel multiplied; media follows spend.

    Args:
        fit: The fit.
        weights: Channel -> factor of 0 or more; channels left out keep factor 1. Organic
            channels, whose media is multiplied, only where the total need not be kept.
        keep_total: Rescale all paid channels by one further factor, so that the total
            spend of the window (over channels, periods and geos) stays as it was.
        panel: The training panel, or one that follows it; None: the training panel.

    Returns:
        A panel for :func:`counterfactual` or any question that takes one. Media history
        before the training window stays as it was.
    """
    panel = fit.panel if panel is None else panel
    named = [c for c in panel.channels if not (keep_total and c in panel.organic)]
    factors = np.ones(len(panel.channels))
    for name, value in weights.items():
        if name not in named:
            near = checks.closest(name, named)
            fix = f'did you mean "{near}"?' if near else ""
            if name in panel.channels:
                fix = "organic channels have no spend to move: keep_total=False"
            kind = "paid channels" if keep_total else "channels"
            checks.fail("weights", name, "", f"{kind}: {checks.listing(named, 30)}", fix)
        factor = checks.number(f"weight of {name}", value, low=0)
        factors[panel.channels.index(name)] = factor
    if keep_total:
        spend = np.nansum(panel.spend[:, panel.window], axis=(0, 1))
        if not (factors * spend).sum() > 0:
            checks.fail(
                "weights", dict(weights), "", "some spend left where the total is kept",
                "keep_total=False, or give some paid channel a factor above 0",
            )  # fmt: skip
        common = spend.sum() / (factors * spend).sum()
        factors = np.where(panel.paid, common * factors, 1.0)
    changed = np.ones((len(panel.dates), len(panel.channels)))
    changed[panel.window] = factors
    return replace(panel, media=panel.media * changed, spend=panel.spend * changed)
