"""Scores and channels of a market of a fleet, by programs that all of its bucket share.

The questions are those of a fit alone; they are asked of the market in the arrays of its
bucket, in which what it does not have is zero and marked as absent.
"""

import dataclasses
import functools
import math
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from pandas.tseries.frequencies import to_offset

from mmmjax import exploration, prediction
from mmmjax.adequacy import judge_model
from mmmjax.adequacy.evidence import evidence
from mmmjax.arrays import Arrays
from mmmjax.draws import Draws, Fit, summary
from mmmjax.findings import ranked
from mmmjax.fleet.buckets import Shape, fitted_to
from mmmjax.model import ModelData
from mmmjax.panel import Columns, Panel
from mmmjax.posterior.scope import Scope
from mmmjax.posterior.tables import channels_table
from mmmjax.scaling import Scale

__all__ = ["DRAWS", "Scores", "scores_of", "verdict_of"]

DRAWS = 800  # over all chains, evenly spaced: their noise is below that of the chains


class Scores(NamedTuple):
    """What ``fleet.csv`` and ``channels.csv`` say of a fit.

    Args:
        crps: Over the training window, outcome units.
        coverage: Share of the observed outcomes inside their 94% interval.
        channels: The columns of a fit's channels.csv.
        adequate: Whether the data leave the model uncontradicted; None: not judged.
        finding: What contradicts it most, or what else is worth knowing.
    """

    crps: float = math.nan
    coverage: float = math.nan
    channels: pd.DataFrame | None = None
    adequate: bool | None = None
    finding: str = ""


def scores_of(fit: Fit, data: ModelData, shape: Shape) -> Scores:
    """Score a fit of at most :data:`DRAWS` of its draws.

    Args:
        fit: Of the market, in its own arrays.
        data: Its arrays, not padded.
        shape: Of its bucket.
    """
    wide = _widened(fit, fitted_to(data, fit.spec, shape).inputs, shape)
    scope = Scope.of(wide)
    found = prediction.cell_scores(scope.outcome, prediction.cells(wide, scope))
    table = channels_table(wide)
    own = table.loc[table["channel"].isin(fit.panel.channels)].reset_index(drop=True)
    return Scores(found["crps"], found["coverage"], own)


def verdict_of(fit: Fit, data: ModelData, shape: Shape) -> tuple[bool, str]:
    """Whether the model is adequate, and the finding that matters most; empty: none.

    Args:
        fit: Of the market, in its own arrays.
        data: Its arrays, not padded.
        shape: Of its bucket.
    """
    wide = _widened(fit, fitted_to(data, fit.spec, shape).inputs, shape)
    some = Draws({name: x[None] for name, x in fit.draws.flat(DRAWS).items()})
    parameters = summary(dataclasses.replace(fit, draws=some))
    told = judge_model(fit, evidence(fit, wide), parameters)
    found = ranked((*told.findings, *exploration.warnings(fit.panel)))
    return told.ok, found[0].what.partition(". ")[0] if found else ""


@dataclass(frozen=True, repr=False)
class _Wide(Fit):
    """A fit in the arrays of its bucket."""

    arrays: Arrays | None = None

    def inputs(self) -> Arrays:
        """The padded ones: the trend of the panel, not of the padding."""
        assert self.arrays is not None
        return self.arrays


def _widened(fit: Fit, inputs: Arrays, shape: Shape) -> Fit:
    """The same fit in wider arrays, of fewer draws."""
    scale = fit.scale
    pad = lambda x: _grown(x, -1, shape.channels, 1.0)
    costs = pad(scale.cost_per_unit)
    scale = Scale(scale.outcome, pad(scale.media), costs, scale.people)
    panel, draws = _wide_panel(fit.panel, shape), _wide_draws(fit, shape)
    return _Wide(fit.spec, panel, scale, fit.sampler, draws, fit.seed, arrays=inputs)


def _wide_draws(fit: Fit, shape: Shape) -> Draws:
    """Parameters of everything that the arrays have; of what is absent any will do."""
    own, spec = fit.draws.flat(DRAWS), fit.spec
    count = len(next(iter(own.values())))
    sizes = spec.sizes(fit.panel)
    wide = sizes | {"channel": shape.channels, "control": shape.controls}
    params = {}
    for name in dict.fromkeys((*spec.present(wide), *own)):
        dims = spec.dims(name)
        x = own.get(name, np.zeros((count, *(sizes[d] for d in dims))))
        more = [(0, wide[d] - n) for d, n in zip(dims, x.shape[1:], strict=True)]
        mode: Any = "edge" if 0 not in x.shape else "constant"
        params[name] = np.pad(x, [(0, 0), *more], mode=mode)[None]
    return Draws(params)


def _wide_panel(panel: Panel, shape: Shape) -> Panel:
    """Rows before and after that were never in the table; channels that did nothing."""
    before = shape.history - panel.history
    after = shape.periods - (len(panel.dates) - panel.history)
    first: Any = panel.dates[0]
    dates = _dates(first, panel.freq, before, len(panel.dates) + after)
    around, people = [(0, 0), (before, after)], panel.people
    rows = lambda x, fill: np.pad(x, around + [(0, 0)] * (x.ndim - 2), constant_values=fill)
    spend = rows(panel.spend, 0.0)
    spend[:, :, ~panel.paid] = np.nan
    names = lambda what, have, most: (*have, *(f"no {what} {i}" for i in range(most)))[
        :most
    ]
    return dataclasses.replace(
        panel,
        outcome=rows(panel.outcome, np.nan),
        media=_grown(rows(panel.media, 0.0), -1, shape.channels, 0.0),
        spend=_grown(spend, -1, shape.channels, 0.0),
        controls=_grown(rows(panel.controls, 0.0), -1, shape.controls, 0.0),
        present=rows(panel.present, False),
        population=None if people is None else np.pad(people, around, mode="edge"),
        dates=dates,
        channels=names("channel", panel.channels, shape.channels),
        control_names=names("control", panel.control_names, shape.controls),
        history=shape.history,
        columns=Columns(),
    )


@functools.lru_cache(256)  # markets of a fleet have much the same dates
def _dates(first: pd.Timestamp, freq: str, before: int, after: int) -> pd.DatetimeIndex:
    """So many periods before a first one, and from it on."""
    step = to_offset(freq)
    return pd.date_range(first - before * step, periods=before + after, freq=step)


def _grown(x: np.ndarray, axis: int, size: int, fill: float) -> np.ndarray:
    """Of this size on an axis, the new part filled."""
    more = [(0, 0)] * x.ndim
    more[axis] = (0, size - x.shape[axis])
    return np.pad(x, more, constant_values=fill)
