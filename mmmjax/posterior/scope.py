"""What a question is about (which panel, which cells) and how its answer is labelled."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from mmmjax import checks
from mmmjax.arrays import Arrays
from mmmjax.draws import Fit
from mmmjax.metrics import hdi
from mmmjax.panel import Panel, for_prediction, joined
from mmmjax.response import make_inputs
from mmmjax.shapes import CAMPAIGN, CHAIN, CHANNEL, CONTROL, DATE, DRAW, GEO

__all__ = [
    "ALL",
    "PROB",
    "SUMMARY",
    "Scope",
    "attributes",
    "per_draw",
    "summarise",
    "summary",
]

ALL = "ALL"
"""Name of the sum over geos where it stands beside them."""

SUMMARY = "summary"
"""Dimension of mean, lo and hi."""

PROB = 0.94
"""Probability inside [lo, hi], the highest density interval."""


@dataclass(frozen=True)
class Scope:
    """A panel as the forward function takes it, aligned with the fit.

    Args:
        panel: Geos, channels and controls in the order of training.
        inputs: Its arrays in scaled units.
        factor: Outcome units per scaled unit, (geo,).
    """

    panel: Panel
    inputs: Arrays
    factor: np.ndarray

    @classmethod
    def of(cls, fit: Fit, panel: Panel | None = None) -> "Scope":
        """The training panel (None), one of the same dates, or one that follows it.

        Raises:
            InputError: The dates neither are nor follow those of training, or a geo,
                channel or control is missing.
        """
        train = fit.panel
        if panel is None or panel is train:
            return cls(train, fit.inputs(), fit.scale.outcome)
        if not isinstance(panel, Panel):
            checks.fail(
                "panel", checks.Phrase(f"a {type(panel).__name__}"), "", "a Panel",
                "fit.panel.read_future(table), or panel.split(...) for a test panel",
            )  # fmt: skip
        if panel.dates.equals(train.dates):
            _same_names(train, panel)
            own = train.campaigns
            own = own and own.like(panel.campaigns, *panel.outcome.shape)
            panel = replace(panel, history=train.history, campaigns=own)
            return cls(panel, make_inputs(fit.spec, panel, fit.scale), fit.scale.outcome)
        panel = for_prediction(train, panel)
        inputs = make_inputs(fit.spec, panel, fit.scale, after=train)
        return cls(panel, inputs, fit.scale.outcome)

    def then(self, later: "Scope") -> "Scope":
        """This window and the one that follows it as one."""
        panel = joined(self.panel, later.panel)
        return replace(self, panel=panel, inputs=self.inputs.then(later.inputs))

    @property
    def dates(self) -> pd.DatetimeIndex:
        """Periods of the results: without the media history."""
        return self.panel.dates[self.panel.history :]

    @property
    def present(self) -> np.ndarray:
        """Cells (geo, time) where the table had a row."""
        return self.panel.present[:, self.panel.history :]

    @property
    def outcome(self) -> np.ndarray:
        """Observed outcome (geo, time), NaN where there is none."""
        return self.panel.outcome[:, self.panel.history :]

    @property
    def spend(self) -> np.ndarray:
        """Spend (geo, time, channel); NaN for organic channels."""
        return self.panel.spend[:, self.panel.history :]

    def coords(self, total: bool | None = False) -> dict[str, Any]:
        """Labels of the dims of results; a geo named ALL for the sum over geos.

        Alone (True), or behind the geos where there are several (None).
        """
        panel = self.panel
        whole = [ALL] if total or (total is None and panel.n_geos > 1) else []
        return {
            GEO: whole if total else [*panel.geos, *whole],
            CHANNEL: list(panel.channels),
            CONTROL: list(panel.control_names),
            CAMPAIGN: list(panel.campaigns.labels) if panel.campaigns else [],
            DATE: self.dates,
        }


def _same_names(train: Panel, panel: Panel) -> None:
    for field in ("geos", "channels", "control_names"):
        ours, theirs = getattr(train, field), getattr(panel, field)
        if ours != theirs:
            checks.fail(
                f"panel {field}", theirs, "a panel of the training dates",
                checks.listing(ours, 30), "change the numbers of the training panel only",
            )  # fmt: skip


def per_draw(fit: Fit, values: np.ndarray, dims: Sequence[str]) -> xr.Variable:
    """A result of every draw (draw_total, *dims) with chain and draw as dims."""
    shape = (fit.draws.n_chains, fit.draws.n_draws, *values.shape[1:])
    return xr.Variable((CHAIN, DRAW, *dims), values.reshape(shape))


def chain_coords(fit: Fit) -> dict[str, np.ndarray]:
    """Labels of chain and draw."""
    return {CHAIN: np.arange(fit.draws.n_chains), DRAW: np.arange(fit.draws.n_draws)}


def summarise(draws: np.ndarray, prob: float = PROB) -> np.ndarray:
    """Mean, lo and hi over the first axis: (3, ...)."""
    lo, hi = hdi(draws, prob=prob, axis=0)
    return np.stack([draws.mean(axis=0, dtype=np.float64), lo, hi])


def summary(values: np.ndarray, dims: Sequence[str]) -> xr.Variable:
    """Mean, lo and hi of a result, (3, *dims)."""
    return xr.Variable((SUMMARY, *dims), values)


def attributes(fit: Fit, **more: Any) -> Mapping[str, Any]:
    """What a picture or a table needs to name units, how many draws were used, and which
    geos are from the pooled prior.
    """
    panel = fit.panel
    more["draws_used"] = fit.draws.n_chains * fit.draws.n_draws
    if new := [geo for one in fit.info.get("added", []) for geo in one["where"]]:
        more["pooled_prior"] = new
    if panel.outcome_value is not None:
        more["outcome_value"] = panel.outcome_value
    return {"outcome": panel.outcome_name, "currency": panel.currency, **more}
