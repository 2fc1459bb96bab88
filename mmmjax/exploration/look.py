"""The numbers of a panel: one row a column (describe), or all that is drawn (explore)."""

from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from mmmjax.arguments import checked
from mmmjax.exploration import tables
from mmmjax.exploration.outliers import LIMIT, Outliers, events, outliers, quarter
from mmmjax.exploration.windows import difference
from mmmjax.metrics import condition_number, vif
from mmmjax.panel import Panel, for_prediction
from mmmjax.shapes import CHANNEL, CONTROL, DATE, GEO

__all__ = ["condition", "describe", "explore"]

VARIABLE, OTHER = "variable", "other"
_DESCRIBED = ("kind", "total", "largest", "spend", "share", "active", "first", "last",
              "correlation", "vif")  # fmt: skip


def describe(panel: Panel) -> pd.DataFrame:
    """Return one row per channel and control with its numbers in the modelled window.

    Columns: kind, total and largest value of a cell (media units), spend (money), share
    of the paid spend, active (share of cells above or below 0), first and last active
    date, correlation with the outcome within geos, vif among all channels and controls.
    """
    values, present = tables.features(panel), panel.present[:, panel.window]
    on = values != 0
    correlation = tables.correlations(panel).pooled[0, 1:]
    table = tables.within(panel, values)
    factors = vif(table)
    spend = tables.money(panel).sum(0)
    total = np.nansum(spend)
    rows = []
    kinds = ["media"] * len(panel.channels) + ["control"] * len(panel.control_names)
    for i, kind in enumerate(kinds):
        inside = values[:, panel.window, i]
        active = present & on[:, panel.window, i]
        when = panel.dates[panel.window][active.any(0)]
        money = spend[i] if kind == "media" else np.nan
        rows.append(
            {
                "kind": kind,
                "total": inside[present].sum(),
                "largest": inside[present].max(initial=0.0),
                "spend": money,
                "share": money / total if total > 0 else money,
                "active": active[present].mean(),
                "first": when[0] if len(when) else pd.NaT,
                "last": when[-1] if len(when) else pd.NaT,
                "correlation": correlation[i],
                "vif": factors[i] if len(table) else np.nan,
            }
        )
    index = pd.Index(tables.names(panel), name="name")
    return pd.DataFrame(rows, index=index, columns=_DESCRIBED)


def condition(panel: Panel) -> float:
    """Condition number of the media within geos; NaN without observed cells."""
    media = tables.within(panel, panel.media)
    return condition_number(media) if len(media) else float("nan")


@checked
def explore(panel: Panel, test: Panel | None = None, *, total: bool = False) -> xr.Dataset:
    """Everything there is to see in the data before any model.

    Series cover training, then test; all other numbers are of the training window unless
    they compare the two. Media history before the first outcome is left out. For one of
    many geos: ``explore(panel.select("North"))``.

    Args:
        panel: The training panel.
        test: The panel that follows it, or None.
        total: Sum over geos first (controls are averaged); the one geo is "ALL".

    Returns:
        A dataset. Dims: geo, date, channel, control; variable and other (the outcome,
        then channels, then controls). Coordinates ``in_test`` (date) and ``kind``
        (variable: outcome, media or control). Variables, NaN where there is no cell:

        - ``outcome`` (geo, date), ``media`` and ``spend`` (geo, date, channel; NaN spend
          if organic), ``controls`` (geo, date, control): original units
        - ``outcome_level`` (outcome units), ``outcome_z``, ``outcome_outlier`` (geo, date)
          and ``media_z``, ``media_times``, ``media_outlier`` (geo, date, channel): robust
          z and outliers as :mod:`mmmjax.exploration.outliers` defines them; ``event`` (geo,
          date): whether an event control is not 0
        - ``spend_total`` (money) and ``spend_share`` (of the geo's paid spend), (geo,
          channel); ``active`` (geo, channel): share of periods in which the channel ran
        - ``correlation`` (geo, variable): with the geo's outcome; ``correlations``
          (variable, other): pooled within geos; ``vif`` (variable): of channels and
          controls among each other; ``condition_number``: of the media
        - with a test panel, ``train_mean``, ``test_mean``, ``smd``, ``beyond``, ``times``
          (variable) as :class:`mmmjax.exploration.windows.Difference` defines them

    Raises:
        InputError: The test panel does not follow the training panel.
    """
    test = None if test is None else for_prediction(panel, test)
    if total:
        panel = tables.over_geos(panel)
        test = test and tables.over_geos(test)
    whole = tables.joined(panel, test)
    series = _series(whole, outliers(panel, test))
    found = xr.Dataset(series | _training(panel), _coords(panel, whole))
    if test is not None:
        of = difference(panel, test)
        parts = {"train_mean": of.train, "test_mean": of.test, "smd": of.smd,
                 "beyond": of.beyond, "times": of.times}  # fmt: skip
        found = found.assign({n: (VARIABLE, values) for n, values in parts.items()})
    found.attrs = {
        "outcome": panel.outcome_name,
        "currency": panel.currency,
        "freq": panel.freq,
        "limit": LIMIT,
        "level_periods": quarter(panel.freq),
    }
    return found


def _coords(panel: Panel, whole: Panel) -> dict[str, Any]:
    variables = [panel.outcome_name, *tables.names(panel)]
    kinds = ["outcome", *["media"] * len(panel.channels)]
    kinds += ["control"] * len(panel.control_names)
    dates = whole.dates[whole.window]
    return {
        GEO: list(panel.geos),
        DATE: dates,
        CHANNEL: list(panel.channels),
        CONTROL: list(panel.control_names),
        VARIABLE: variables,
        OTHER: variables,
        "in_test": (DATE, np.arange(len(dates)) >= panel.n_periods),
        "kind": (VARIABLE, kinds),
    }


def _series(whole: Panel, of: Outliers) -> dict[str, Any]:
    there = whole.present[:, whole.window, None]
    cell, series = (GEO, DATE), (GEO, DATE, CHANNEL)

    def known(array: np.ndarray) -> np.ndarray:
        return np.where(there, array[:, whole.window], np.nan)

    return {
        "outcome": (cell, whole.outcome[:, whole.window]),
        "media": (series, known(whole.media)),
        "spend": (series, known(whole.spend)),
        "controls": ((GEO, DATE, CONTROL), known(whole.controls)),
        "outcome_level": (cell, of.outcome.level),
        "outcome_z": (cell, of.outcome.z),
        "outcome_outlier": (cell, of.outcome_apart),
        "event": (cell, events(whole)),
        "media_z": (series, of.media_z),
        "media_times": (series, of.times),
        "media_outlier": (series, of.media_apart),
    }


def _training(panel: Panel) -> dict[str, Any]:
    spend, by_channel = tables.money(panel), (GEO, CHANNEL)
    paid = np.nansum(spend, axis=1, keepdims=True)
    there = panel.present[:, panel.window, None]
    on = ((panel.media[:, panel.window] > 0) & there).sum(1)
    count = there.sum(1)
    of = tables.correlations(panel)
    table = tables.within(panel, tables.features(panel))
    factors = vif(table) if len(table) else np.full(table.shape[1], np.nan)
    blank = np.full(on.shape, np.nan)
    return {
        "spend_total": (by_channel, spend),
        "spend_share": (by_channel, np.divide(spend, paid, blank.copy(), where=paid > 0)),
        "active": (by_channel, np.divide(on, count, blank.copy(), where=count > 0)),
        "correlation": ((GEO, VARIABLE), of.by_geo),
        "correlations": ((VARIABLE, OTHER), of.pooled),
        "vif": (VARIABLE, np.append(np.nan, factors)),
        "condition_number": condition(panel),
    }
