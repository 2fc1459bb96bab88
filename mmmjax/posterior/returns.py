r"""Returns on spend: incremental outcome, ROAS and mROAS of a window of spend.

The value of a window of spend is a counterfactual: the response to what was spent, minus
the response with that window's spend of the channel set to zero and all other spend as it
was. It has two parts that add up: "now", inside the window, and "after", in the
``max_lag - 1`` periods behind it (spend after the training window counts as zero in both
responses). ROAS is that value divided by the channel's spend in the window; mROAS is its
derivative with respect to a common scaling of the channel's spend in the window, divided
by that spend. Saturation bends, so the windows of a year do not add up to the year.

A channel's contribution depends on its own media only, so one evaluation with the window
of all channels set to zero holds every channel's counterfactual. In the same way windows
that lie ``max_lag - 1`` periods or more apart are set to zero together: all quarters of
any number of years take two evaluations. Organic channels, and channels without spend in
the window, have no return: NaN.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple
from weakref import WeakKeyDictionary

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
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
    Scope,
    attributes,
    chain_coords,
    per_draw,
    summarise,
)
from mmmjax.shapes import CHANNEL, GEO
from mmmjax.spec import Spec

__all__ = ["WINDOW", "incremental", "mroas", "returns", "roas", "span_of", "spans_of"]

WINDOW = "window"
"""Dimension of several windows of spend."""

Window = Sequence[Any] | str | None  # checked in spans_of

_PERIODS = {"year": "Y", "quarter": "Q", "month": "M"}
LEVEL = 3  # of _values, which transposes large arrays: twice as fast as at 1
_DIMS = (GEO, "row", CHANNEL)  # of _values
_WHOLE: WeakKeyDictionary[Fit, np.ndarray] = WeakKeyDictionary()


@checked
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
    return _windows(fit, window, memory)[["now", "after", "spend"]]


@checked
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
    found = _windows(fit, window, memory)
    return _ratio(found, "roas", ("now", "after"), carryover)


@checked
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
    found = _windows(fit, window, memory)
    return _ratio(found, "mroas", ("slope_now", "slope_after"), carryover)


def returns(
    fit: Fit,
    window: Window = None,
    carryover: bool = True,
    *,
    memory: int = MEMORY,
) -> xr.Dataset:
    """ROAS and mROAS from one pass over the draws.

    Arguments as :func:`roas`; ``roas``, ``roas_total``, ``mroas``, ``mroas_total`` and
    ``spend`` as there.
    """
    found = _windows(fit, window, memory)
    gain = _ratio(found, "roas", ("now", "after"), carryover)
    slope = _ratio(found, "mroas", ("slope_now", "slope_after"), carryover)
    return gain.drop_vars("incremental").assign(
        {name: slope[name] for name in ("mroas", "mroas_total")}
    )


def _ratio(
    found: xr.Dataset, name: str, parts: tuple[str, str], carryover: bool
) -> xr.Dataset:
    value = found[parts[0]] + found[parts[1]] if carryover else found[parts[0]]
    spend = found["spend"]
    total = value.sum(GEO) / _positive(spend.sum(GEO, skipna=False))
    data = {name: value / _positive(spend), f"{name}_total": total}
    attrs = found.attrs | {"carryover": int(carryover)}
    return xr.Dataset({**data, "incremental": value, "spend": spend}, attrs=attrs)


def _positive(spend: xr.DataArray) -> xr.DataArray:
    return spend.where(spend > 0)  # nothing spent has no return; so has NaN, organic


def _windows(fit: Fit, window: Window, memory: int) -> xr.Dataset:
    """Gain and slope of every draw, now and after, of one window or of several."""
    scope = Scope.of(fit)
    spans = spans_of(scope.dates, window)
    plan = _Rounds.of(scope, list(spans.values()), fit.spec.memory - 1)
    keep: dict[str, Any] = {"memory": memory, "level": LEVEL, "timed": _DIMS}
    found = fold(fit, _values, *plan.args, by_geo=True, **keep)
    several = isinstance(window, str)
    first = (WINDOW,) if several else ()
    data = {}
    for row, name in enumerate(("now", "after", "slope_now", "slope_after")):
        values = found[:, :, row][..., plan.place]  # (draw, geo, channel, window)
        each = [per_draw(fit, values[..., w], (GEO, CHANNEL)) for w in range(len(spans))]
        data[name] = xr.Variable.concat(each, WINDOW) if several else each[0]
    spend = _spend(scope, list(spans.values()))  # NaN for organic channels
    data["spend"] = ((*first, GEO, CHANNEL), spend if several else spend[0])
    coords = {k: v for k, v in scope.coords().items() if k in (GEO, CHANNEL)}
    coords |= {WINDOW: list(spans)} if several else {}
    start = min(span.start for span in spans.values())
    stop = max(span.stop for span in spans.values())
    ends = {"start": str(scope.dates[start]), "end": str(scope.dates[stop - 1])}
    return xr.Dataset(data, chain_coords(fit) | coords, attributes(fit, **ends))


def _spend(scope: Scope, spans: Sequence[slice]) -> np.ndarray:
    """Money (window, geo, channel), NaN for organic channels."""
    return np.stack([scope.spend[:, span].sum(axis=1) for span in spans])


class Summaries(NamedTuple):
    """Returns of windows without their draws, (3, geo, channel, window) or without the 3.

    ROAS and mROAS (mean, lo, hi) count carry-over; ``now`` and ``after`` are posterior
    means of the incremental outcome.
    """

    roas: np.ndarray
    mroas: np.ndarray
    now: np.ndarray
    after: np.ndarray
    spend: np.ndarray


def summaries(
    fit: Fit,
    spans: Sequence[slice],
    *,
    total: Total,
    prob: float,
    max_draws: int | None = None,
    memory: int = MEMORY,
) -> Summaries:
    """Mean, lo and hi of the returns of windows, in memory that does not grow with draws.

    Args:
        fit: The fit.
        spans: Windows as slices of the training periods; they may overlap.
        total: Sum over geos; None: each geo, and then the sum where there are several.
        prob: Probability inside [lo, hi].
        max_draws: As for :func:`contributions`.
        memory: Bound in bytes on what lives besides the result.
    """
    scope, some = Scope.of(fit), thinned(fit, max_draws)
    dtype = DTYPE if some is fit else "float32"
    spend = pooled(np.moveaxis(_spend(scope, spans), 0, -1), total)
    if not fit.panel.channels:
        nothing = np.zeros((3, *spend.shape))
        return Summaries(nothing, nothing, spend, spend, spend)
    plan = _Rounds.of(scope, spans, fit.spec.memory - 1)
    whole = slice(0, len(scope.dates))
    at = int(plan.place[spans.index(whole)]) if whole in spans else plan.n_slots
    at = plan.n_slots if max_draws is not None or total is False else at

    def reduce(draws: np.ndarray, geos: slice | None, slots: slice) -> dict[str, Any]:
        if (geos is None or scope.panel.n_geos == 1) and slots.start <= at < slots.stop:
            _WHOLE[fit] = draws[:, 0, ..., at - slots.start].astype(float)
        now, after, slope, slope_after = np.moveaxis(draws, 2, 0)
        means = [part.mean(axis=0, keepdims=True) for part in (now, after)]
        return {
            "gain": summarise(now + after, prob),
            "slope": summarise(slope + slope_after, prob),
            "parts": np.concatenate(means),
        }

    found = reduce_geos(
        some, _values, reduce, *plan.args,
        total=total, n_last=plan.n_slots, memory=memory, level=LEVEL, dtype=dtype,
        timed=_DIMS,
    )  # fmt: skip
    gain, slope, (now, after) = (
        found[name][..., plan.place] for name in ("gain", "slope", "parts")
    )
    paid = np.where(spend > 0, spend, np.nan)
    return Summaries(gain / paid, slope / paid, now, after, spend)


def over_all(fit: Fit) -> tuple[np.ndarray, np.ndarray]:
    """Draws of ROAS and mROAS of training over all geos, (draw, channel); NaN unpaid.

    Of the draws that tables are made of; :func:`summaries` has them by the way.
    """
    if fit not in _WHOLE:
        summaries(fit, [slice(0, fit.panel.n_periods)], total=True, prob=PROB)
    now, after, slope, slope_after = np.moveaxis(_WHOLE[fit], 1, 0)
    spend = _spend(Scope.of(fit), [slice(None)])[0].sum(0)
    paid = np.where(spend > 0, spend, np.nan)
    return (now + after) / paid, (slope + slope_after) / paid


class _Rounds(NamedTuple):
    """Windows in rounds: those of one round are apart, so one evaluation serves them all.

    Args:
        args: Of :func:`_values`, geo first; masks are arguments, so that windows of equal
            number share a program.
        place: Where each window stands in its result, (window,).
        n_slots: Size of the last axis of that.
    """

    args: tuple[np.ndarray, ...]
    place: np.ndarray
    n_slots: int

    @classmethod
    def of(cls, scope: Scope, spans: Sequence[slice], tail: int) -> "_Rounds":
        n_geos, n_times = scope.present.shape
        rounds: list[list[int]] = []
        for i in sorted(range(len(spans)), key=lambda i: spans[i].start):
            apart = (r for r in rounds if spans[r[-1]].stop + tail <= spans[i].start)
            if (fits := next(apart, None)) is not None:
                fits.append(i)
            else:
                rounds.append([i])
        slots = max(map(len, rounds))
        periods = np.zeros((len(rounds), slots, 2, n_times + tail))  # in it, then after
        place = np.zeros(len(spans), int)
        for r, members in enumerate(rounds):
            for s, i in enumerate(members):
                stop = spans[i].stop
                periods[r, s, 0, spans[i]] = 1.0
                periods[r, s, 1, stop : stop + tail] = 1.0
                place[i] = r * slots + s
        emptied = np.broadcast_to(
            periods[:, :, 0].sum(1), (n_geos, len(rounds), n_times + tail)
        )
        counted = np.broadcast_to(periods, (n_geos, *periods.shape))
        if not scope.present.all():  # what comes while a geo is away comes after
            here = np.pad(scope.present.astype(float), ((0, 0), (0, tail)))[:, None, None]
            now, after = counted[..., 0, :], counted[..., 1, :]
            counted = np.stack([now * here, after + now * (1 - here)], axis=3)
        return cls((scope.factor, emptied, counted), place, len(rounds) * slots)


def _values(
    params: Mapping[str, Any], inputs: Arrays, spec: Spec, factor: Array, emptied: Array,
    counted: Array,
) -> Array:  # fmt: skip
    """Value and slope of windows in original units: (geo, 4, channel, round * slot).

    Rows: the gain over spending nothing in the window, inside it and after it, then the
    derivative of that gain with respect to a scaling of the window's spend, at 1.
    ``emptied`` (geo, round, time) are the periods of all windows of a round, ``counted``
    (geo, round, slot, now | after, time) those in which the effect of each comes.
    """
    n_geos, n_rounds, n_slots = counted.shape[:3]
    media = response.seen(params, inputs, spec)
    media = jnp.pad(media, ((0, 0), (0, 0), (0, spec.memory - 1)))
    if not media.shape[1]:
        return jnp.zeros((n_geos, 4, 0, n_rounds * n_slots))

    carry, respond = response.linear_gains(params, inputs, spec)
    whole = carry(media)

    def change(inside: Array) -> Array:  # (geo, time) of one round
        own = media * inside[:, None]
        actual, slope = jax.jvp(respond, (whole,), (carry(own),))
        # not whole less carry(own): what rounding leaves of nothing, a root makes large
        return jnp.stack([actual - respond(carry(media - own)), slope], axis=1)

    inside = jnp.pad(emptied, ((0, 0), (0, 0), (inputs.history, 0)))
    both = jax.vmap(change, in_axes=1, out_axes=1)(inside)[..., inputs.history :]
    parts = jnp.einsum("grvct,grskt->grvcsk", both, counted)  # one product per round
    parts = jnp.einsum("grvcsk,g->gvkcrs", parts, factor)
    return parts.reshape(n_geos, 4, media.shape[1], n_rounds * n_slots)


def spans_of(dates: pd.DatetimeIndex, window: Window) -> dict[str, slice]:
    """Windows as slices of periods, by label; a single one is labelled ""."""
    if not isinstance(window, str):
        return {"": span_of(dates, window)}
    checks.choice("window", window, tuple(_PERIODS))
    labels = dates.to_period(_PERIODS[window])
    codes, names = pd.factorize(labels, sort=True)
    edges = np.searchsorted(codes, np.arange(len(names) + 1))
    return {
        str(n): slice(int(a), int(b))
        for n, a, b in zip(names, edges[:-1], edges[1:], strict=True)
    }


def span_of(dates: pd.DatetimeIndex, window: Sequence[Any] | None) -> slice:
    """Periods from a first to a last date, both included; None for an open end, or all."""
    first, last = (None, None) if window is None else _pair(window)
    start = 0 if first is None else int(dates.searchsorted(first, side="left"))
    stop = len(dates) if last is None else int(dates.searchsorted(last, side="right"))
    if start >= stop:
        got = checks.Phrase(f"{checks.show(first)} to {checks.show(last)}")
        span = f"{checks.show(dates[0])} to {checks.show(dates[-1])}"
        checks.fail(
            "window", got, "", f"dates inside the periods asked about ({span})",
            'window=("2017-01-01", "2017-12-31"), or None for all of them',
        )  # fmt: skip
    return slice(start, stop)


def _pair(window: Sequence[Any]) -> tuple[Any, Any]:
    try:
        first, last = (None if x is None else pd.Timestamp(x) for x in window)
    except (TypeError, ValueError):
        checks.fail(
            "window", window, "", "a first and a last date (None for an open end)",
            'window=("2017-01-01", "2017-12-31")',
        )  # fmt: skip
    return first, last
