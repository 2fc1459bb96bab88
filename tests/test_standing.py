"""Who wins a backtest: every case is said, none is left to a general remark."""

import math
from dataclasses import replace

import numpy as np
import pytest

from mmmjax.reporting.embed import Tables
from mmmjax.reporting.figures import figures
from mmmjax.standing import (
    Standing,
    covered,
    headline,
    held_out,
    misfit,
    standings,
    tally,
    verdict_of,
)
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


def stand(**added):
    return standings(scored(**added).table("backtest"))


def test_folds_are_counted_where_both_have_a_score():
    without, year = stand()
    assert without == Standing(WITHOUT, 2, 2, 0, pytest.approx(9.5 / 11.5 - 1))
    assert year == Standing(YEAR, 2, 2, 0, pytest.approx(9.5 / 17.5 - 1))
    assert (without.ahead, year.ahead) == (True, True)
    assert stand(mmm=[3, 0])[0][:4] == (WITHOUT, 2, 1, 1)
    assert stand(seasonal_naive=[np.nan, 0])[1].folds == 1
    assert [s.name for s in stand(seasonal_naive=[np.nan] * 2)] == [WITHOUT]
    assert standings(None) == []
    assert stand(mmm=[np.nan] * 2) == []


def test_a_tally_says_who_loses_to_whom():
    text = tally([Standing(WITHOUT, 3, 0, 3, 0.2), Standing(YEAR, 3, 2, 1, -0.1)])
    assert text == (
        "In a backtest it loses to the model without media in 3 of 3 folds and beats what "
        "was a year before in 2 of 3 folds."
    )
    assert Standing(YEAR, 2, 1, 1, -0.1).text.endswith("in 1 of 2 folds only")
    assert tally([]) == ""


@pytest.mark.parametrize(
    ("more", "words"),
    [(0.25, "forecasts worse than the same model without media (25% more error over 4"),
     (0.001, "forecasts no better than the same model without media (over 4 past dates)"),
     (-0.001, "no better"), (40.0, "many times the error"), (-0.02, ""), (-0.5, "")],
)  # fmt: skip
def test_media_that_add_nothing_are_the_headline(more, words):
    found = headline([Standing(YEAR, 4, 0, 4, 9.0), Standing(WITHOUT, 4, 1, 3, more)])
    assert words in found
    assert bool(words) == bool(found)
    assert bool(words) == ("Move no money on it" in found)


def test_without_that_comparison_there_is_no_headline():
    assert headline([]) == headline([Standing(YEAR, 4, 0, 4, 9.0)]) == ""


@pytest.mark.parametrize(
    ("scores", "words", "useless"),
    [
        ({"r2": 0.7, "coverage": 0.93, "coverage_test": 0.9}, "", False),
        ({"r2": 0.7, "coverage": 0.93, "coverage_test": 0.5}, "too narrow", False),
        ({"r2": 0.7, "coverage": 0.7}, "too narrow", False),
        ({"r2": -1.0, "coverage": 0.9}, "no better than the plain mean", True),
        ({"r2": 0.7, "coverage": 0.9, "r2_test": -0.1}, "known afterwards", False),
        ({"r2": 0.7, "coverage": 0.9, "mape_test": 0.45}, "error of 45%", True),
        ({"r2": 0.7, "coverage": 0.9, "mape": 0.31}, "error of 31%", True),
        ({"r2": 0.7, "coverage": 0.9, "mape": np.nan, "mape_test": np.nan}, "", False),
    ],
)
def test_good_draws_of_a_bad_model_are_not_praised(scores, words, useless):
    text, bad = misfit(scores)
    assert words in text
    assert (bool(words), useless) == (bool(text), bad)


def test_a_forecast_has_a_line_of_its_own():
    scores = {"r2": 0.7, "coverage": 0.9, "mape_test": 0.082, "coverage_test": 0.917}
    assert held_out(scores, 12, "week", 12) == (
        "off by 8.2% on average over 12 weeks it had not seen, 92% of what came inside the "
        "94% interval, as expected of so few (11 of 12)."
    )
    worse = held_out(scores | {"r2_test": -2.0}, 1, "week", 1)
    assert "over 1 week it" in worse
    assert worse.endswith(
        "It did no better than the mean of these periods, known afterwards."
    )
    assert held_out({"r2": 0.7, "coverage": 0.9}, 12, "week", 12) == ""


@pytest.mark.parametrize("count", [5, 13, 52, 400])
def test_the_binomial_law_judges_how_many_lie_inside(count):
    law = [math.comb(count, k) * 0.94**k * 0.06 ** (count - k) for k in range(count + 1)]
    for inside in range(count + 1):
        text = covered(inside / count, count)
        few, many = sum(law[: inside + 1]), sum(law[inside:])
        assert text.startswith("too few") == (few < 0.025)
        assert text.startswith("more than promised") == (many < 0.025)
        if 1e-5 < few < 0.025:
            assert f"1 of {1 / few:,.0f} such tests" in text
    assert covered(float("nan"), count) == covered(0.9, 0) == ""


def test_ranges_are_too_narrow_only_where_chance_does_not_explain_it():
    scores = {"r2": 0.7, "coverage": 0.95, "coverage_test": 0.75}
    assert misfit(scores, 4) == ("", False)  # 3 of 4: 1 of 5 by chance
    assert "too narrow" in misfit(scores, 40)[0]
    assert "too narrow" in misfit(scores)[0]


@pytest.mark.slow(parts=6)
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
    found, told = scored(**added), stand(**added)
    assert words in verdict_of(told)
    drawn = figures(found, Tables())
    assert drawn["backtest_scores"].caption.endswith(verdict_of(told))
