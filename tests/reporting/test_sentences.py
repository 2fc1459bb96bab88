"""The words of the first page: what is sure is said, what is not is not claimed."""

import numpy as np
import pytest

from mmmjax.reporting import sentences
from mmmjax.reporting.evidence import Interval, Media, true_roas
from mmmjax.reporting.sentences import chance, percent, share_span, span


@pytest.mark.parametrize(
    ("share", "text"),
    [(0.3149, "31%"), (0.0512, "5.1%"), (-0.02, "-2.0%"), (np.nan, "unknown")],
)  # fmt: skip
def test_percent(share, text):
    assert percent(share) == text


@pytest.mark.parametrize(
    ("probability", "text"),
    [(1.0, "over 99%"), (0.996, "over 99%"), (0.6, "60%"), (0.0, "under 1%")],
)
def test_nothing_is_said_to_be_certain(probability, text):
    assert chance(probability) == text


def test_spans():
    assert span(Interval(52.84, 0.0509, 114.02)) == "0.1 to 114.0"
    assert share_span(Interval(0.3, 0.08, 0.5)) == "8.0% to 50%"


def media(*best):
    some = Interval(1.0, 0.5, 1.5)
    return Media(some, some, 10.0, some, 1.0, list(best))


@pytest.mark.parametrize(
    ("probability", "words"),
    [(0.95, "TV clearly has"), (0.7, "TV probably has"), (0.4, "is not settled")],
)
def test_a_ranking_is_claimed_only_as_far_as_it_is_known(probability, words):
    rest = ("Search", 1 - probability)
    assert words in sentences._ranking(media(("TV", probability), rest))


def test_interval_of_draws():
    draws = np.random.default_rng(0).normal(size=20_000)
    found = Interval.of(draws)
    np.testing.assert_allclose(found, [0.0, -1.88, 1.88], atol=0.06)


def test_truth_is_read_from_a_mapping_or_a_simulation():
    assert true_roas(None) == {}
    assert true_roas({"TV": 2}) == {"TV": 2.0}
    rows = [
        {"geo": "ALL", "channel": "TV", "roas": 3.0},
        {"geo": "n", "channel": "TV", "roas": 1.0},
    ]
    assert true_roas({"channels": rows, "window": {}}) == {"TV": 3.0}


@pytest.mark.parametrize(
    ("scores", "words"),
    [
        ({"r2": 0.7, "coverage": 0.93, "coverage_test": 0.9}, ""),
        ({"r2": 0.7, "coverage": 0.93, "coverage_test": 0.5}, "too narrow"),
        ({"r2": 0.7, "coverage": 0.7}, "too narrow"),
        ({"r2": -1.0, "coverage": 0.9}, "no better than the plain mean"),
    ],
)
def test_good_draws_of_a_bad_model_are_not_praised(scores, words):
    warning = sentences._misfit(scores)
    assert words in warning
    assert bool(words) == bool(warning)
