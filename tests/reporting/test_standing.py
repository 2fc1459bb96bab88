"""Who wins a backtest: every case is said, none is left to a general remark."""

from dataclasses import replace

import numpy as np
import pytest

from mmmjax.reporting import backtests
from mmmjax.reporting.standing import Standing, standings, tally, verdict_of
from tests.reporting import examples

WITHOUT, YEAR = "the model without media", "what was a year before"


def scored(**added):
    """Backtest of the examples, with so much added to the CRPS of models, a fold each."""
    found = examples.evidence()
    table = found.more["backtest"].copy()
    for model, more in added.items():
        for fold, value in enumerate(more, start=1):
            mine = (table["model"] == model) & (table["fold"] == fold)
            table.loc[mine & (table["split"] == "test"), "crps"] += value
    return replace(found, more={**found.more, "backtest": table})


def test_folds_are_counted_where_both_have_a_score():
    assert standings(scored()) == [
        Standing(WITHOUT, 2, 2, 0, True), Standing(YEAR, 2, 2, 0, True),
    ]  # fmt: skip
    assert standings(scored(mmm=[3, 0]))[0] == Standing(WITHOUT, 2, 1, 1, True)
    assert standings(scored(seasonal_naive=[np.nan, 0]))[1].folds == 1
    assert [s.name for s in standings(scored(seasonal_naive=[np.nan] * 2))] == [WITHOUT]
    assert standings(replace(scored(), more={})) == []
    assert standings(scored(mmm=[np.nan] * 2)) == []


def test_a_tally_says_who_loses_to_whom():
    text = tally([Standing(WITHOUT, 3, 0, 3, False), Standing(YEAR, 3, 2, 1, True)])
    assert text == (
        "In a backtest it loses to the model without media in 3 of 3 folds and beats what "
        "was a year before in 2 of 3 folds."
    )
    assert Standing(YEAR, 2, 1, 1, True).text.endswith("in 1 of 2 folds only")
    assert tally([]) == ""


@pytest.mark.parametrize(
    ("added", "words"),
    [
        ({}, f"beats both {WITHOUT} and {YEAR}."),
        ({"mmm": [4, 4]}, f"beats {YEAR} but not {WITHOUT}, which had"),
        ({"mmm": [20, 20]}, f"beats neither {WITHOUT} nor {YEAR}: it has no forecast"),
        ({"mmm": [20, 20], "seasonal_naive": [np.nan] * 2}, f"does not beat {WITHOUT}: it"),
        ({"seasonal_naive": [np.nan] * 2}, f"beats {WITHOUT}."),
        ({"no_media": [np.nan] * 2, "seasonal_naive": [np.nan] * 2}, "No simpler model"),
    ],
)
def test_the_caption_covers_every_case(added, words):
    found = scored(**added)
    assert words in verdict_of(standings(found))
    assert backtests.scores(found).caption.endswith(verdict_of(standings(found)))
