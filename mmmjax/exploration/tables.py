"""The cells and columns of a panel that inform a fit, as plain tables."""

from dataclasses import replace
from typing import NamedTuple

import numpy as np

from mmmjax.panel import Panel, for_prediction
from mmmjax.panel import joined as both

__all__ = [
    "ALL",
    "cells",
    "correlations",
    "features",
    "joined",
    "money",
    "names",
    "over_geos",
    "variables",
    "within",
]

ALL = "ALL"
"""Name of the sum over geos."""


def names(panel: Panel) -> list[str]:
    """Names of channels, then controls."""
    return [*panel.channels, *panel.control_names]


def cells(panel: Panel) -> np.ndarray:
    """Cells (geo, time) that inform the fit: in the window, with an observed outcome."""
    found = panel.mask.copy()
    found[:, : panel.history] = False
    return found


def features(panel: Panel) -> np.ndarray:
    """Media, then controls: (geo, time, column)."""
    return np.concatenate([panel.media, panel.controls], axis=2)


def variables(panel: Panel) -> np.ndarray:
    """Outcome, media, controls of the window, (geo, time, variable); NaN where absent."""
    values = np.concatenate([panel.outcome[..., None], features(panel)], axis=2)
    return np.where(panel.present[..., None], values, np.nan)[:, panel.window]


def money(panel: Panel) -> np.ndarray:
    """Spend of the window by geo and channel, (geo, channel); NaN for organic channels."""
    return np.where(panel.paid, panel.spend[:, panel.window].sum(1), np.nan)


def within(panel: Panel, values: np.ndarray) -> np.ndarray:
    """Return (cell, column), less each geo's mean: what an intercept per geo leaves."""
    informed = cells(panel)
    parts = [
        row[seen] - row[seen].mean(0)
        for row, seen in zip(values, informed, strict=True)
        if seen.any()
    ]
    if not parts:
        return np.zeros((0, values.shape[2]))
    rest = np.concatenate(parts)
    flat = np.abs(rest).max(0) <= 1e-12 * np.abs(values[informed]).max(0)
    return np.where(flat, 0.0, rest)  # rounding alone is no variation


class Correlations(NamedTuple):
    """Pearson correlations of the outcome, channels and controls; NaN if one is constant.

    ``pooled`` (variable, variable) is within geos, ``by_geo`` (geo, variable) is each
    geo's with its own outcome.
    """

    pooled: np.ndarray
    by_geo: np.ndarray


def correlations(panel: Panel) -> Correlations:
    """Correlations in the cells that inform the fit."""
    values = np.concatenate([panel.outcome[..., None], features(panel)], axis=2)
    whole = _correlation(within(panel, values))
    if panel.n_geos == 1:
        return Correlations(whole, whole[:1])
    rows = []
    for g in range(panel.n_geos):
        seen = cells(panel)[g]
        table = values[g][seen] - values[g][seen].mean(0) if seen.any() else values[g][:0]
        rows.append(_correlation(table)[0])
    return Correlations(whole, np.stack(rows))


def _correlation(table: np.ndarray) -> np.ndarray:
    """Correlation of centred columns."""
    length = np.linalg.norm(table, axis=0)
    unit = np.divide(table, length, np.full(table.shape, np.nan), where=length > 0)
    if not len(table):
        return np.full((table.shape[1],) * 2, np.nan)
    return np.clip(unit.T @ unit, -1.0, 1.0)


def joined(panel: Panel, test: Panel | None) -> Panel:
    """The training panel with the periods of the test panel behind it."""
    return panel if test is None else both(panel, for_prediction(panel, test))


def over_geos(panel: Panel) -> Panel:
    """One geo, "ALL": sums of outcome, media and spend, means of the controls.

    The outcome is summed where every geo that has a row is observed.
    """
    here = panel.present[..., None]
    known = np.where(panel.present, panel.outcome, 0.0).sum(0)
    count = np.maximum(here.sum(0), 1)
    arrays = {
        "outcome": np.where(panel.present.any(0), known, np.nan),
        "media": panel.media.sum(0),
        "spend": panel.spend.sum(0),
        "controls": np.where(here, panel.controls, 0.0).sum(0) / count,
        "present": panel.present.any(0),
    }
    one = {name: array[None] for name, array in arrays.items()}
    none = {"population": None, "facts": (), "groups": {}, "campaigns": None}
    none["frequency"] = None
    return replace(panel, **one, **none, geos=(ALL,))
