r"""Returns on spend: incremental outcome, ROAS and mROAS of a window of spend.

The value of a window of spend is a counterfactual: the response to what was spent, minus
the response with that window's spend of the channel set to zero and all other spend as it
was. It has two parts that add up: "now", inside the window, and "after", in the
``max_lag - 1`` periods behind it (spend after the training window counts as zero in both
responses). ROAS is that value divided by the channel's spend in the window; mROAS is its
derivative with respect to a common scaling of the channel's spend in the window, divided
by that spend. Saturation bends, so the windows of a year do not add up to the year.

A channel's contribution depends on its own media only, so one evaluation with the window
of all channels set to zero holds every channel's counterfactual. Organic channels, and
channels without spend in the window, have no return: NaN.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
import xarray as xr
from jaxtyping import Array

from mmmjax import checks, response
from mmmjax.draws import Fit
from mmmjax.posterior.fold import MEMORY, fold
from mmmjax.posterior.scope import Scope, attributes, chain_coords, per_draw
from mmmjax.response import Inputs
from mmmjax.shapes import CHANNEL, GEO
from mmmjax.spec import Spec

__all__ = ["WINDOW", "incremental", "mroas", "roas"]

WINDOW = "window"
"""Dimension of several windows of spend."""


Window = Sequence[Any] | str | None  # checked in spans_of

_PERIODS = {"year": "Y", "quarter": "Q", "month": "M"}


def incremental(fit: Fit, window: Window = None, *, memory: int = MEMORY) -> xr.Dataset:
    """Outcome that a window of spend brought, against spending nothing in it.

    Args:
        fit: The fit.
        window: First and last date (both included; None for an open end), "year",
            "quarter" or "month" for all of them, or None for the training window.
        memory: Bound in bytes on what lives besides the result.

    Returns:
        Dataset: ``now`` and ``after`` (chain, draw, geo, channel) in outcome units, and
        ``spend`` (geo, channel) in money, NaN for organic channels; with a leading dim
        ``window`` where there are several.
    """
    return _windows(fit, window, _gain, memory)


def roas(
    fit: Fit,
    window: Window = None,
    carryover: bool = True,
    *,
    memory: int = MEMORY,
) -> xr.Dataset:
    """Return on spend: outcome that a window of spend brought, per unit of money.

    Args:
        fit: The fit.
        window: See :func:`incremental`.
        carryover: Count the ``max_lag - 1`` periods after the window too (the default).
            False counts the window only: for the whole training window without earlier
            media that is contribution / spend.
        memory: Bound in bytes on what lives besides the result.

    Returns:
        Dataset: ``roas`` (chain, draw, geo, channel) and ``roas_total`` (chain, draw,
        channel) over all geos, outcome units per unit of money; ``incremental`` and
        ``spend`` are what they were divided from. With a leading dim ``window`` where
        there are several.
    """
    return _ratio(incremental(fit, window, memory=memory), "roas", carryover)


def mroas(
    fit: Fit,
    window: Window = None,
    carryover: bool = True,
    *,
    memory: int = MEMORY,
) -> xr.Dataset:
    """Marginal return: outcome of the next unit of money, spread as the window's spend.

    Arguments and result as :func:`roas`, with ``mroas`` and ``mroas_total``;
    ``incremental`` is the derivative with respect to a common scaling of the spend.
    """
    found = _windows(fit, window, _slope, memory)
    return _ratio(found, "mroas", carryover)


def _ratio(found: xr.Dataset, name: str, carryover: bool) -> xr.Dataset:
    value = found["now"] + found["after"] if carryover else found["now"]
    spend = found["spend"]
    total = value.sum(GEO) / _positive(spend.sum(GEO, skipna=False))
    data = {name: value / _positive(spend), f"{name}_total": total}
    attrs = found.attrs | {"carryover": int(carryover)}
    return xr.Dataset({**data, "incremental": value, "spend": spend}, attrs=attrs)


def _positive(spend: xr.DataArray) -> xr.DataArray:
    return spend.where(spend > 0)  # nothing spent has no return; so has NaN, organic


def _windows(fit: Fit, window: Window, f: Callable[..., Any], memory: int) -> xr.Dataset:
    scope = Scope.of(fit)
    spans = spans_of(scope.dates, window)
    found = [_one_window(fit, scope, span, f, memory) for span in spans.values()]
    if isinstance(window, str):
        return xr.concat(found, pd.Index(list(spans), name=WINDOW))
    return found[0]


def _one_window(
    fit: Fit, scope: Scope, span: slice, f: Callable[..., Any], memory: int
) -> xr.Dataset:
    """Evaluate one window; its masks are arguments, so all windows share a program."""
    tail = fit.spec.adstock.max_lag - 1
    n_geos, n_times = scope.present.shape
    chosen = np.zeros(n_times + tail)
    chosen[span] = 1.0
    counted = np.zeros(n_times + tail)
    counted[span.start : span.stop + tail] = 1.0
    here = np.zeros((n_geos, n_times + tail))
    here[:, :n_times] = scope.present
    now = chosen * here
    inside = np.concatenate([np.zeros(scope.inputs.history), chosen])
    args = (
        scope.factor,
        np.broadcast_to(inside, (n_geos, inside.size)),
        np.stack([now, counted - now], axis=1),
    )
    values = fold(fit, f, *args, by_geo=True, memory=memory)
    spend = scope.spend[:, span].sum(axis=1)  # NaN for organic channels
    data = {
        name: per_draw(fit, values[:, :, i], (GEO, CHANNEL))
        for i, name in enumerate(("now", "after"))
    }
    coords = {k: v for k, v in scope.coords().items() if k in (GEO, CHANNEL)}
    attrs = attributes(fit, start=str(scope.dates[span][0]), end=str(scope.dates[span][-1]))
    return xr.Dataset(
        {**data, "spend": ((GEO, CHANNEL), spend)}, {**chain_coords(fit), **coords}, attrs
    )


def _gain(
    params: Mapping[str, Any], inputs: Inputs, spec: Spec, factor: Array, inside: Array,
    counted: Array,
) -> Array:  # fmt: skip
    """Response to all spend minus that without the window's: (geo, now|after, channel)."""
    if not inputs.media.shape[1]:
        return jnp.zeros((*counted.shape[:2], 0))
    media = _with_tail(inputs, spec)
    without = media * (1.0 - inside[:, None])
    gain = response.media_contribution(params, media, spec)
    gain = gain - response.media_contribution(params, without, spec)
    return _count(gain, inputs, factor, counted)


def _slope(
    params: Mapping[str, Any], inputs: Inputs, spec: Spec, factor: Array, inside: Array,
    counted: Array,
) -> Array:  # fmt: skip
    """Derivative of :func:`_gain` with respect to a scaling of the window's spend, at 1."""
    if not inputs.media.shape[1]:
        return jnp.zeros((*counted.shape[:2], 0))
    media = _with_tail(inputs, spec)
    _, slope = jax.jvp(
        lambda m: response.media_contribution(params, m, spec),
        (media,),
        (media * inside[:, None],),
    )
    return _count(slope, inputs, factor, counted)


def _with_tail(inputs: Inputs, spec: Spec) -> Array:
    """Media continued by ``max_lag - 1`` periods without spend."""
    return jnp.pad(inputs.media, ((0, 0), (0, 0), (0, spec.adstock.max_lag - 1)))


def _count(value: Array, inputs: Inputs, factor: Array, counted: Array) -> Array:
    value = value[..., inputs.history :] * factor[:, None, None]
    return jnp.einsum("gct,gwt->gwc", value, counted)


def spans_of(dates: pd.DatetimeIndex, window: Window) -> dict[str, slice]:
    """Windows as slices of the training periods, by label."""
    if isinstance(window, str):
        checks.choice("window", window, tuple(_PERIODS))
        labels = dates.to_period(_PERIODS[window])
        codes, names = pd.factorize(labels, sort=True)
        edges = np.searchsorted(codes, np.arange(len(names) + 1))
        return {
            str(n): slice(int(a), int(b))
            for n, a, b in zip(names, edges[:-1], edges[1:], strict=True)
        }
    first, last = (None, None) if window is None else _pair(window)
    start = 0 if first is None else int(dates.searchsorted(first, side="left"))
    stop = len(dates) if last is None else int(dates.searchsorted(last, side="right"))
    if start >= stop:
        got = checks.Phrase(f"{checks.show(first)} to {checks.show(last)}")
        span = f"{checks.show(dates[0])} to {checks.show(dates[-1])}"
        checks.fail(
            "window", got, "", f"dates inside the training window ({span})",
            'window=("2017-01-01", "2017-12-31"), "year", or None for all of it',
        )  # fmt: skip
    return {"": slice(start, stop)}


def _pair(window: Sequence[Any]) -> tuple[Any, Any]:
    try:
        first, last = (None if x is None else pd.Timestamp(x) for x in window)
    except (TypeError, ValueError):
        checks.fail(
            "window", window, "", "a first and a last date, or year, quarter, month",
            'window=("2017-01-01", "2017-12-31")',
        )  # fmt: skip
    return first, last
