"""How forecasts stand, in words: against simpler models in a backtest, against what came.

One place for the terminal and the report. Whoever decides reads the headline: a model that
forecasts no better than itself without media has no forecast that speaks for its media.
"""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy.stats import binom

__all__ = [
    "MMM", "NAMES", "Standing", "covered", "headline", "held_out", "misfit", "standings",
    "tally", "verdict_of",
]  # fmt: skip

MMM, NO_MEDIA = "mmm", "no_media"
NAMES = {
    MMM: "this model",
    NO_MEDIA: "the model without media",
    "seasonal_naive": "what was a year before",
}
PROMISED = 0.94  # probability of the intervals that are counted
RARE = 0.025  # in one tail: what chance alone seldom does
LEVEL = 0.005  # of the mean error: smaller differences are none
LEAST_COVERAGE = 0.8  # of intervals that should hold 94%
LARGE_ERROR = 0.3  # of the outcome: predictions that are so far off are of no use


class Standing(NamedTuple):
    """Folds with scores of both, how many this model wins and loses, and the mean CRPS."""

    name: str
    folds: int
    wins: int
    losses: int
    more: float  # mean CRPS beyond the other's over these folds, a share of it

    @property
    def ahead(self) -> bool:
        """Whether this model has the smaller mean CRPS."""
        return self.more < 0

    @property
    def text(self) -> str:
        """``loses to the model without media in 3 of 3 folds``."""
        count = f"of {self.folds} fold{'s' if self.folds > 1 else ''}"
        if self.losses > self.wins:
            return f"loses to {self.name} in {self.losses} {count}"
        only = " only" if 2 * self.wins <= self.folds else ""
        return f"beats {self.name} in {self.wins} {count}{only}"


def standings(table: pd.DataFrame | None) -> list[Standing]:
    """One for every simpler model that was scored on the test of the same folds.

    Args:
        table: Columns of backtest.csv; None: there was no backtest.
    """
    if table is None:
        return []
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
        mine, other = both.mean(axis=0)
        more = float(mine / other - 1) if other > 0 else float(np.sign(mine))
        found.append(Standing(NAMES[model], len(both), wins, losses, more))
    return found


def tally(found: list[Standing]) -> str:
    """Every comparison in one sentence; empty if there is none."""
    return f"In a backtest it {' and '.join(s.text for s in found)}." if found else ""


def headline(found: list[Standing]) -> str:
    """That media add nothing to the forecasts, where it is so; else empty."""
    one = next((s for s in found if s.name == NAMES[NO_MEDIA]), None)
    if one is None or one.more <= -LEVEL:
        return ""
    dates = f"{one.folds} past date{'s' if one.folds > 1 else ''}"
    size = f"{one.more:.0%} more error" if one.more < 10 else "many times the error"
    how = f"worse than the same model without media ({size} over {dates})"
    if one.more < LEVEL:
        how = f"no better than the same model without media (over {dates})"
    return (
        f"It forecasts {how}: nothing in its forecasts speaks for what it says of media. "
        "Move no money on it before a test has shown the effect."
    )


def covered(share: float, count: int) -> str:
    """What a share inside 94% intervals says of them, by the binomial law.

    Observations are taken as independent: neighbours that go wrong together are rarer than
    the law says in a model whose intervals are right.

    Args:
        share: Of the observations inside, 0 to 1.
        count: Observations.
    """
    if not count or not np.isfinite(share):
        return ""
    inside = round(share * count)
    few, many = binom.cdf(inside, count, PROMISED), binom.sf(inside - 1, count, PROMISED)
    odds = lambda p: f"1 of {1 / p:,.0f}" if p > 1e-6 else "fewer than 1 of a million"
    if few < RARE:
        return f"too few: by chance alone as few in {odds(few)} such tests"
    if many < RARE:
        return "more than promised: the intervals are wider than they need be"
    return "as expected" + (f" of so few ({inside} of {count})" if count < 30 else "")


def misfit(scores: Mapping[str, float], tested: int | None = None) -> tuple[str, bool]:
    """What speaks against the predictions, empty if nothing; whether they are of no use.

    Args:
        scores: Of :func:`mmmjax.scores`.
        tested: Observations after training; None: not known.
    """
    error = max(
        (x for n in ("mape", "mape_test") if np.isfinite(x := scores.get(n, np.nan))),
        default=0.0,
    )
    if scores["r2"] <= 0:
        return "In training it predicts no better than the plain mean of the data.", True
    if error > LARGE_ERROR:
        return f"An error of {error:.0%} is too large to plan with.", True
    if scores.get("r2_test", 1.0) <= 0:
        return "It did no better than the mean of these periods, known afterwards.", False
    after = scores.get("coverage_test", 1.0)
    chance = tested is not None and not covered(after, tested).startswith("too few")
    if min(scores["coverage"], 1.0 if chance else after) < LEAST_COVERAGE:
        return "Its ranges are too narrow: too much of what came lay outside.", False
    return "", False


def held_out(scores: Mapping[str, float], periods: int, noun: str, cells: int) -> str:
    """How a forecast of periods that were not fitted did, in one line.

    Args:
        scores: Of :func:`mmmjax.scores` with a test panel.
        periods: How many were held out.
        noun: What one is called.
        cells: Observations in them, over all geos.
    """
    error, inside = scores.get("mape_test", np.nan), scores.get("coverage_test", np.nan)
    if not np.isfinite(inside):
        return ""
    size = f"off by {error:.1%} on average" if np.isfinite(error) else "scored"
    text = f"{size} over {periods:,} {noun}{'s' if periods != 1 else ''} it had not seen, "
    text += f"{inside:.0%} of what came inside the 94% interval, {covered(inside, cells)}"
    return f"{text}. {misfit(scores, cells)[0]}".strip()


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
    neither = f"does not beat {lost[0]}"
    if len(lost) > 1:
        neither = f"beats neither {' nor '.join(lost)}"
    return f"On average this model {neither}: it has no forecast to offer."
