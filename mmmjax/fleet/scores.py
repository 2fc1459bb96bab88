"""Scores and channels of a market of a fleet, by programs that all of its bucket share.

The questions are those of a fit alone, asked in a room of the size of its bucket.
"""

import dataclasses
import math
from contextlib import AbstractContextManager
from typing import NamedTuple

import pandas as pd

from mmmjax import exploration, prediction
from mmmjax.adequacy import judge_model
from mmmjax.adequacy.evidence import evidence
from mmmjax.arrays import TIME
from mmmjax.draws import Draws, Fit, summary
from mmmjax.findings import ranked
from mmmjax.fleet.buckets import Shape
from mmmjax.posterior.fold import room
from mmmjax.posterior.scope import Scope
from mmmjax.posterior.tables import channels_table
from mmmjax.shapes import CHANNEL, CONTROL

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


def scores_of(fit: Fit, shape: Shape) -> Scores:
    """Score a fit of at most :data:`DRAWS` of its draws.

    Args:
        fit: Of the market.
        shape: Of its bucket.
    """
    some = _some(fit)
    with _room(shape):
        scope = Scope.of(some)
        found = prediction.cell_scores(scope.outcome, prediction.cells(some, scope))
        table = channels_table(some)
    return Scores(found["crps"], found["coverage"], table)


def verdict_of(fit: Fit, shape: Shape) -> tuple[bool, str]:
    """Whether the model is adequate, and the finding that matters most; empty: none.

    Args:
        fit: Of the market.
        shape: Of its bucket.
    """
    some = _some(fit)
    with _room(shape):
        told = judge_model(fit, evidence(some), summary(some))
    found = ranked((*told.findings, *exploration.warnings(fit.panel)))
    return told.ok, found[0].what.partition(". ")[0] if found else ""


def _some(fit: Fit) -> Fit:
    draws = {name: x[None] for name, x in fit.flat(DRAWS).items()}
    return dataclasses.replace(fit, draws=Draws(draws))


def _room(shape: Shape) -> AbstractContextManager[None]:
    sizes = {TIME: shape.periods, CHANNEL: shape.channels, CONTROL: shape.controls}
    return room(shape.history, sizes)
