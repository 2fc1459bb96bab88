"""The window after training without paid media, and the mean of the outcome in it."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Float

from mmmjax import response
from mmmjax.checks import Phrase, fail, finite, listing, show, unknown
from mmmjax.draws import Fit
from mmmjax.panel import Panel
from mmmjax.panel.calendar import following
from mmmjax.posterior.fold import fold, thinned
from mmmjax.posterior.levers import levers_of
from mmmjax.posterior.multipliers import drawn
from mmmjax.posterior.scope import Scope
from mmmjax.shapes import DATE, GEO

__all__ = ["blank", "lengths_of", "multipliers_of", "rest_of"]


def rest_of(
    fit: Fit, periods: int, max_draws: int | None
) -> Float[np.ndarray, "draw geo period"]:
    """Sum of the terms without paid media in the periods after training, scaled.

    Trend and seasonality go on, levers stay as they were last, other controls and organic
    channels at their mean of training.
    """
    dates = following(fit.panel.dates, fit.panel.freq, periods)
    scope = Scope.of(fit, blank(fit, dates, None, None, levers={}, average=True))
    media = np.array(scope.inputs["media"])
    media[:, fit.panel.paid] = 0.0  # what they did before the window is theirs too
    inputs = scope.inputs.replace(media=media)
    some = fit if max_draws is None else thinned(fit, max_draws)
    return fold(some, response.mean, inputs=inputs, by_geo=True)


def lengths_of(fits: Sequence[Fit], periods: int) -> Float[np.ndarray, "cell period"]:
    """Days of periods to come, see :meth:`Scale.lengths`; of no cell if all are 1."""
    out = []
    for fit in fits if any(fit.scale.days for fit in fits) else ():
        dates = following(fit.panel.dates, fit.panel.freq, periods)
        days = fit.scale.lengths(dates, fit.panel.freq)
        out.append(np.tile(days, (fit.panel.n_geos * int(np.sum(fit.panel.paid)), 1)))
    return np.concatenate(out) if out else np.zeros((0, periods))


def multipliers_of(
    fit: Fit, periods: int, max_draws: int | None
) -> Float[np.ndarray, "draw cell level"]:
    """Multipliers of the periods of a window after training, and of its tail."""
    dates = following(fit.panel.dates, fit.panel.freq, periods)
    found = drawn(fit, dates, fit.panel.n_periods, max_draws)[:, :, fit.panel.paid]
    return found.reshape(len(found), -1, found.shape[-1])


def blank(
    fit: Fit,
    dates: pd.DatetimeIndex,
    controls: Any,
    organic: Mapping[str, Any] | None,
    *,
    levers: Mapping[str, float],
    average: bool = False,
) -> Panel:
    """The window without paid media: dates, controls, organic channels.

    Args:
        fit: The fit.
        dates: Of the window.
        controls: As :func:`forecast_plan` takes them.
        organic: The same.
        levers: Values of levers that are not among the controls given; of those left out
            their last value.
        average: Hold other controls that are not given at their mean of training, not at 0.
    """
    train = fit.panel
    shape = (train.n_geos, len(dates))
    media = np.zeros((*shape, len(train.channels)))
    seen = train.present[:, train.window, None]
    count = np.maximum(seen.sum(1), 1)
    mean = np.where(seen, train.media[:, train.window], 0.0).sum(1) / count
    spend = np.full_like(media, np.nan)
    spend[..., train.paid] = 0.0
    free = [train.channels.index(name) for name in train.organic]
    media[..., free] = mean[:, None, free]
    for name, value in (organic or {}).items():
        if name not in train.organic:
            known = f"organic channels ({listing(train.organic, 12) or 'none'})"
            fail("organic", name, "", known, "paid channels are those of the plan")
        values = _over_window("organic", name, value, train, dates)
        if (values < 0).any():
            fail("organic", value, f'channel "{name}"', "media of at least 0", "write 0.0")
        media[..., train.channels.index(name)] = values
    usual = np.where(seen, train.controls[:, train.window], 0.0).sum(1) / count
    usual = usual if average else np.zeros_like(usual)
    for name, lever in levers_of(fit).items():
        usual[:, lever.at] = levers.get(name, lever.last)
    given = _controls(train, dates, controls, usual)
    last = None if train.people is None else train.people[:, -1]
    return replace(
        train, outcome=np.full(shape, np.nan), media=media, spend=spend, population=last,
        controls=given, present=np.ones(shape, bool), dates=dates, history=0,
        campaigns=None, frequency=None,
    )  # fmt: skip


def _over_window(
    field: str, name: str, value: Any, train: Panel, dates: pd.DatetimeIndex
) -> np.ndarray:
    """One number, (period,) or (geo, period) as (geo, period)."""
    shape = (train.n_geos, len(dates))
    try:
        array = np.asarray(value, np.float64)
    except (TypeError, ValueError):
        array = np.asarray(np.nan)
    if array.shape not in ((), shape[1:], shape):
        allowed = f"one number, {shape[1:]} or {shape} (geo, period)"
        fail(field, Phrase(f"shape {array.shape}"), f'"{name}"', allowed, "one number")
    whole = np.broadcast_to(array, shape)
    finite(f'{field} "{name}"', whole, {GEO: train.geos, DATE: dates})
    return whole


def _controls(
    train: Panel, dates: pd.DatetimeIndex, given: Any, usual: np.ndarray
) -> np.ndarray:
    """Controls in the window, (geo, period, control); `usual` where not given."""
    out = np.repeat(usual[:, None], len(dates), axis=1)
    if isinstance(given, pd.DataFrame):
        given = _by_date(train, dates, given)
    for name, value in (given or {}).items():
        if name not in train.control_names:
            unknown("controls", name, "", "controls of the fit", train.control_names)
        at = train.control_names.index(name)
        out[..., at] = _over_window("controls", name, value, train, dates)
    return out


def _by_date(
    train: Panel, dates: pd.DatetimeIndex, frame: pd.DataFrame
) -> dict[str, np.ndarray]:
    """Columns of a table as {control: (geo, period)}."""
    columns = train.columns
    frame = frame.reset_index() if columns.date in frame.index.names else frame
    if columns.date in frame:
        frame = frame.set_index(columns.date)
    index = pd.to_datetime(pd.Index(frame.index), errors="coerce")
    known = dict(zip(columns.controls, train.control_names, strict=False))
    named = {c: known.get(c, c) for c in frame if known.get(c, c) in train.control_names}
    where = columns.geo if columns.geo in frame else None
    out = {str(name): np.zeros((train.n_geos, len(dates))) for name in named.values()}
    for g, geo in enumerate(train.geos):
        rows = np.ones(len(frame), bool)
        if where is not None:
            rows = (frame[where].astype(str) == geo).to_numpy()
        part = frame[rows].set_axis(index[rows], axis=0)
        missing, twice = dates.difference(part.index), part.index.duplicated()
        place = f'for geo "{geo}"' if where is not None else ""
        if len(missing):
            got = Phrase(f"no row of {show(missing[0])}")
            allowed = f"every date from {show(dates[0])} to {show(dates[-1])}"
            fail(
                "controls", got, place, allowed, "give the whole window, 0 where nothing is"
            )
        if twice.any():
            got = Phrase(f"two rows of {show(part.index[twice][0])}")
            fail("controls", got, place, "one row per date", "remove one of them")
        for column, name in named.items():
            out[str(name)][g] = part.loc[dates, column].to_numpy(np.float64)
    return out
