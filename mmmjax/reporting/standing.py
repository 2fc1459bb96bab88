"""How the model stands against simpler ones in a backtest: who wins how many folds."""

from typing import NamedTuple

import numpy as np
import pandas as pd

from mmmjax.reporting.evidence import Evidence

__all__ = ["MMM", "NAMES", "Standing", "standings", "tally", "verdict_of"]

MMM = "mmm"
NAMES = {
    MMM: "this model",
    "no_media": "the model without media",
    "seasonal_naive": "what was a year before",
}


class Standing(NamedTuple):
    """Folds with scores of both, how many this model wins and loses, and the mean CRPS."""

    name: str
    folds: int
    wins: int
    losses: int
    ahead: bool  # a smaller mean CRPS over these folds

    @property
    def text(self) -> str:
        """``loses to the model without media in 3 of 3 folds``."""
        count = f"of {self.folds} fold{'s' if self.folds > 1 else ''}"
        if self.losses > self.wins:
            return f"loses to {self.name} in {self.losses} {count}"
        only = " only" if 2 * self.wins <= self.folds else ""
        return f"beats {self.name} in {self.wins} {count}{only}"


def standings(found: Evidence) -> list[Standing]:
    """One for every simpler model that was scored on the test of the same folds."""
    table = found.table("backtest")
    return [] if table is None else _standings(table)


def _standings(table: pd.DataFrame) -> list[Standing]:
    rows = table.loc[table["split"] == "test"]
    wide = rows.pivot_table(index="fold", columns="model", values="crps", aggfunc="mean")
    if MMM not in wide:
        return []
    found = []
    for model in (name for name in NAMES if name != MMM and name in wide):
        both = wide[[MMM, model]].dropna().to_numpy(float)
        if not len(both):
            continue
        ahead = np.sign(both[:, 1] - both[:, 0])
        wins, losses = int((ahead > 0).sum()), int((ahead < 0).sum())
        mean = both.mean(axis=0)
        found.append(
            Standing(NAMES[model], len(both), wins, losses, bool(mean[0] < mean[1]))
        )
    return found


def tally(found: list[Standing]) -> str:
    """Every comparison in one sentence; empty if there is none."""
    return f"In a backtest it {' and '.join(s.text for s in found)}." if found else ""


def verdict_of(found: list[Standing]) -> str:
    """What the mean CRPS over the folds says, in every case: all, some or none beaten."""
    if not found:
        return "No simpler model has a score, so these numbers have nothing beside them."
    won, lost = ([s.name for s in found if s.ahead is is_won] for is_won in (True, False))
    if not lost:
        both = "both " if len(won) > 1 else ""
        return f"On average this model beats {both}{' and '.join(won)}."
    if won:
        return (
            f"On average this model beats {' and '.join(won)} but not "
            f"{' and '.join(lost)}, which had the better forecasts."
        )
    neither = f"beats neither {' nor '.join(lost)}" if len(lost) > 1 else (
        f"does not beat {lost[0]}")  # fmt: skip
    return f"On average this model {neither}: it has no forecast to offer."
