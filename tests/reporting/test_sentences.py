"""The words of the first page: what is sure is said, what is not is not claimed."""

import re
from dataclasses import replace

import numpy as np
import pytest

from mmmjax.findings import Finding
from mmmjax.reporting import sentences
from mmmjax.reporting.evidence import Interval, Media, Move
from mmmjax.reporting.sentences import chance, share_span
from mmmjax.words import in_percent, large, span
from tests.reporting import examples


@pytest.mark.parametrize(
    ("share", "text"),
    [(0.3149, "31%"), (0.0512, "5.1%"), (-0.02, "-2.0%"), (np.nan, "unknown"),
     (-0.0001, "-0.01%"), (-0.0059, "-0.6%"), (0.00041, "0.041%"), (-1e-12, "0.0%")],
)  # fmt: skip
def test_percent(share, text):
    assert in_percent(share) == text


@pytest.mark.parametrize(
    ("probability", "text"),
    [(1.0, "over 99%"), (0.996, "over 99%"), (0.6, "60%"), (0.0, "under 1%")],
)
def test_nothing_is_said_to_be_certain(probability, text):
    assert chance(probability) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (7_614_917_202, "7.61 billion"), (999_600, "1 million"), (-2.5e6, "-2.5 million"),
        (12_345.6, "12,346"), (0.1234, "0.123"), (np.nan, ""),
    ],
)  # fmt: skip
def test_large_amounts_are_said_in_words(value, text):
    assert large(value) == text


def test_spans():
    assert span(52.84, 0.0509, 114.02) == "0.1 to 114.0"
    assert span(7.6e9, 4.2e9, 1.1e10) == "4.20 to 11.00 billion"
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


def usable(verdict="usable"):
    found = examples.evidence()
    return replace(found, diagnostics=replace(found.diagnostics, verdict=verdict))


@pytest.mark.parametrize(
    ("probability", "answer", "words"),
    [
        (0.97, "Move spend from Search to Mail", "more with probability 97%"),
        (0.76, "Move spend from Search to Mail", "move in steps and measure"),
        (0.6, "No clear move", "An experiment on Mail would tell most"),
    ],
)
def test_a_move_is_advised_only_where_it_probably_helps(probability, answer, words):
    found = usable()
    found.channels.loc[found.channels["channel"] == "Mail", "mroas_mean"] = 5.0
    tile = sentences._advice(found, Move("Search", "Mail", probability))
    assert tile.answer == answer
    assert words in tile.text
    assert "The next US$ at past spend brings about 5 sales in Mail" in tile.text


def test_what_is_mostly_the_prior_is_to_be_tested():
    tile = sentences._advice(usable(), Move("Mail", "Search", 0.9))  # contraction -0.2
    assert tile.answer == "Test moving spend from Mail to Search"
    assert "the data have said little about Search beyond what was assumed" in tile.text


def test_no_advice_from_draws_that_cannot_be_used():
    bad = usable("not usable (R-hat 1.2 of y_sigma above 1.01)")
    tile = sentences._advice(bad, Move("Search", "Mail", 0.99))
    assert tile.answer == "Do not act on it yet"
    assert tile.tone == "bad"
    told = sentences._plan(bad, bad.plan)
    assert (told.answer, told.tone) == ("Do not act on it yet", "bad")
    assert told.text.startswith("The computation did not settle")
    assert "The plan would move money" in told.text
    assert sentences._plan(usable(), bad.plan).tone == "plain"


@pytest.mark.parametrize(
    ("verdict", "tone"),
    [("usable", "good"), ("usable with care (E-BFMI 0.2 below 0.3)", "care"),
     ("not usable (one chain)", "bad")],
)  # fmt: skip
def test_the_verdict_has_a_tone_and_a_reason(verdict, tone):
    word, reason, found = sentences.verdict(usable(verdict))
    assert (word, found) == (verdict.partition(" (")[0], tone)
    assert reason == verdict.partition(" (")[2].removesuffix(")")


def planned(found, better, **columns):
    plan = found.plan
    return plan._replace(better=better, table=plan.table.assign(**columns))


def test_a_plan_that_surely_helps_says_which_way_money_moves():
    found = usable()
    found.more["priors"] = found.more["priors"].assign(contraction=0.6)
    tile = sentences._plan(found, planned(found, 0.95))
    assert tile.answer == f"Move money from {examples.NASTY} to Search"
    assert tile.text.startswith("5.0% more of what paid media bring (5 sales, 94% interval")
    panel = found.fit.panel
    mean = np.nanmean(panel.outcome[:, panel.window], axis=1).sum()
    assert f"; {in_percent(5 / (13 * mean))} of all sales)" in tile.text
    assert "better than the reference with probability 95%." in tile.text
    assert "It is another split of 400 US$ over 13 weeks." in tile.text


def test_a_plan_into_what_is_mostly_the_prior_is_to_be_tested():
    found = usable()  # the contraction of Search is -0.2
    tile = sentences._plan(found, planned(found, 0.95))
    assert tile.answer == f"Test this: move money from {examples.NASTY} to Search"
    assert (
        "said little about Search beyond what was assumed: make it an experiment"
        in tile.text
    )


@pytest.mark.parametrize(
    ("better", "words"),
    [(0.63, "better than the reference with probability 63% only"),
     (0.89, "better than the reference with probability 89% only"),
     (None, "whether it beats the reference, and how surely, is not known")],
)  # fmt: skip
def test_a_plan_that_may_not_help_is_no_clear_move(better, words):
    found = usable()
    tile = sentences._plan(found, planned(found, better))
    assert tile.answer == "No clear move"
    assert words in tile.text
    assert f"The plan would move money from {examples.NASTY} to Search: 5.0%" in tile.text
    assert f"An experiment on {found.media.move.target} would tell most." in tile.text


def test_a_plan_that_saves_more_than_it_loses_is_a_move_where_money_is_known():
    found = usable()
    less = planned(found, 0.01, optimized=found.plan.table["reference"] * 0.5)
    assert sentences._plan(found, less).answer == "No clear move"
    net = {"mean": 1.11e6, "lo": 0.4e6, "hi": 1.9e6}
    facts = {**less.facts, "net_gain": net, "probability_net_gain": 0.98}
    tile = sentences._plan(found, less._replace(facts=facts))
    assert tile.answer.startswith("Spend less on")
    assert "1.11 million" in tile.text
    assert "more after the cost of media" in tile.text
    assert "with probability 98%" in tile.text
    loses = {"mean": -1.11e6, "lo": -1.9e6, "hi": -0.4e6}
    facts |= {"net_gain": loses, "probability_net_gain": 0.02}
    assert sentences._plan(found, less._replace(facts=facts)).answer == "No clear move"


@pytest.mark.parametrize(
    ("optimized", "words", "budget"),
    [
        ([140.0, 150.0], "spend more on Search and ", "180 US$ more than the reference"),
        ([50.0, 100.0], "spend less on ", "100 US$ less than the reference"),
        ([100.0, 100.0], "keep the split", "another split"),
    ],
)
def test_a_plan_of_another_size_is_not_called_a_move(optimized, words, budget):
    found = usable()
    tile = sentences._plan(found, planned(found, 0.5, optimized=optimized * 2))
    assert f"The plan would {words}" in tile.text
    assert budget in tile.text


def test_what_is_still_the_prior_is_named():
    found = usable()
    (tile,) = sentences._taught(found)
    assert tile.answer == "Little about 1 of 2 channels"
    assert "effect of Search is still mostly what was assumed" in tile.text
    assert tile.tone == "care"
    found.more["priors"] = found.more["priors"].assign(contraction=[0.1, 0.4, 0.3, 0.9])
    (tile,) = sentences._taught(found)
    assert tile.answer == "Something about every channel"
    assert "Least about Search, where 30% of what was uncertain before is" in tile.text
    assert sentences._taught(replace(found, more={})) == []


@pytest.mark.parametrize(
    ("verdict", "answer", "tone"),
    [("usable", "Yes", "good"), ("usable with care (E-BFMI 0.2)", "Yes, with care", "care"),
     ("not usable (R-hat 1.2 of y_sigma above 1.01)", "No", "bad")],
)  # fmt: skip
def test_the_card_of_the_computation_is_about_that_alone(verdict, answer, tone):
    tile = sentences._computed(usable(verdict))
    assert tile.question == "Did the computation work?"
    assert (tile.answer, tile.tone) == (answer, tone)


def test_the_forecast_card_has_the_backtest_beside_it():
    found = usable()
    tile = sentences._forecast(found)
    assert "In a backtest it beats the model without media in 2 of 2 folds" in tile.text
    assert tile.tone == "plain"
    worse = found.more["backtest"].copy()
    worse.loc[worse["model"] == "mmm", "crps"] += 5
    tile = sentences._forecast(replace(found, more={**found.more, "backtest": worse}))
    assert "loses to the model without media in 2 of 2 folds and beats" in tile.text
    assert tile.tone == "bad"
    assert tile.answer == "No better than without media"
    assert tile.text.startswith("It forecasts worse than the same model without media")
    other = found.more["backtest"].copy()
    other.loc[other["model"] == "mmm", "crps"] += 1
    other.loc[other["model"] == "seasonal_naive", "crps"] = 8.0
    tile = sentences._forecast(replace(found, more={**found.more, "backtest": other}))
    assert (tile.answer, tile.tone) == ("Off by 12%", "care")
    assert "backtest" not in sentences._forecast(replace(found, more={})).text


def test_a_forecast_without_its_table_is_not_said_to_be_missing():
    found = replace(usable(), forecast=None)
    tile = sentences._forecast(found)
    assert (tile.question, tile.answer) == ("How well does it forecast?", "Off by 12%")
    assert "The forecast table is not there." in tile.text
    assert "Nothing was held back" not in tile.text
    no_error = {**found.scores, "mape_test": np.nan}  # an outcome of zero
    told = sentences._forecast(replace(found, scores=no_error))
    assert told.answer == "90% inside its range"
    none = {**found.scores, "crps_test": np.nan}
    assert "Nothing was held back" in sentences._forecast(replace(found, scores=none)).text


LATE = Finding("serious", "memory", "what is left over repeats itself (lag 1: 0.97)")
ALONE = Finding("serious", "media_above_outcome", "media add up to 214% of sales")
UNTESTED = Finding("warning", "untested", "nothing could be tested: 18 observed periods")


@pytest.mark.parametrize(
    ("against", "by"), [((LATE,), "the residuals"), ((ALONE, LATE), "the residuals"),
                        ((ALONE,), "its own results")],
)  # fmt: skip
def test_what_the_data_contradict_is_said_under_a_condition(against, by):
    """In the lead, on every card that claims something, in the plan and its facts."""
    found = replace(usable(), judged=examples.judged(*against))
    held = f"if the model holds, which {by} contradict"
    lead = sentences.lead(found)
    assert held in lead
    what = against[0].what.partition(" (")[0]
    assert what[1:] in lead
    assert "(probability" not in lead
    cards = sentences.tiles(found)
    assert [tile.question for tile in cards[:2]] == [
        "Does the model fit the data?", "Did the computation work?",
    ]  # fmt: skip
    assert (cards[0].answer, cards[0].tone) == ("No: it is contradicted", "bad")
    assert cards[0].text.startswith(f"{what[:1].upper()}{what[1:]}.")
    assert "lag" not in cards[0].text
    assert "experiment" in cards[0].text
    moved = sentences._advice(found, Move("Search", "Mail", 0.97))
    assert moved.answer == "Test moving spend from Search to Mail"
    sure = [t for t in [*cards, moved] if "probability" in t.text]
    assert len(sure) >= 2
    assert all(held in tile.text for tile in sure)


def test_a_model_that_fits_is_claimed_without_condition():
    found = usable()
    assert "if the model holds" not in sentences.lead(found)
    assert not any("if the model holds" in t.text for t in sentences.tiles(found))
    fits, computed, *_ = sentences.tiles(found)
    assert fits.answer == "Yes, as far as can be seen"
    assert "missing from the data" in fits.text
    assert computed.answer == "Yes"


def test_what_could_not_be_tested_is_not_said_to_fit():
    found = replace(usable(), judged=examples.judged(UNTESTED))
    assert found.judged.adequate.ok
    fits = sentences.tiles(found)[0]
    assert (fits.answer, fits.tone) == ("Nobody knows: too few data", "care")
    assert "do not contradict" not in sentences.lead(found)


def behind():
    """A backtest in which the model without media has the better forecasts."""
    found = usable()
    worse = found.more["backtest"].copy()
    worse.loc[worse["model"] == "mmm", "crps"] += 5
    return replace(found, more={**found.more, "backtest": worse})


def test_forecasts_worse_than_without_media_are_the_headline():
    """First in the lead, first of the cards, and no advice beside it."""
    found, words = behind(), "It forecasts worse than the same model without media"
    assert sentences.lead(found).startswith(words)
    first, *_ = sentences.tiles(found)
    assert (first.answer, first.tone) == ("No better than without media", "bad")
    for tile in (
        sentences._advice(found, Move("Search", "Mail", 0.99)),
        sentences._plan(found, found.plan),
    ):
        assert (tile.answer, tile.tone) == ("Do not act on it yet", "bad")
        assert words in tile.text
    assert words not in sentences.lead(usable())


@pytest.mark.parametrize(
    ("share", "tone", "words"),
    [((0.3, 0.1, 0.5), "plain", ""), ((0.9, 0.6, 1.2), "care", ""),
     ((1.07, 0.8, 1.3), "bad", "more than all there was"),
     ((-0.1, -0.3, 0.1), "bad", "less than nothing")],
)  # fmt: skip
def test_media_that_cannot_have_brought_so_much_are_red(share, tone, words):
    found = usable()
    found = replace(found, media=found.media._replace(share=Interval(*share)))
    tile = sentences._media_tiles(found, found.media)[0]
    assert tile.tone == tone
    assert words in tile.text


@pytest.mark.parametrize(
    ("changed", "tone"),
    [({}, "plain"), ({"mape_test": 0.5}, "bad"), ({"r2": -0.5}, "bad"),
     ({"r2_test": -0.5}, "care"), ({"coverage_test": 0.5}, "care")],
)  # fmt: skip
def test_a_large_error_is_red(changed, tone):
    found = usable()
    assert (
        sentences._forecast(replace(found, scores={**found.scores, **changed})).tone == tone
    )


JARGON = re.compile(
    r"CRPS|contraction|\bdraws?\b|R-hat|\bESS\b|posterior|\bprior\b|sampler|diverg|HDI|"
    r"saturation|beta|chains?\b"
)


@pytest.mark.parametrize(
    "verdict",
    ["usable", "usable with care (E-BFMI 0.2 below 0.3)", "not usable (one chain)"],
)
@pytest.mark.parametrize("plan", [True, False])
@pytest.mark.parametrize("more", [True, False])
def test_the_cards_are_in_a_managers_words(verdict, plan, more):
    found = examples.evidence(**({} if more else {"more": None}))
    found = replace(found, diagnostics=replace(found.diagnostics, verdict=verdict))
    if not plan:
        found = replace(found, plan=None)
    cases = [found, behind()]
    cases.append(replace(found, scores={**found.scores, "crps_test": np.nan, "r2": -1}))
    for one in cases:
        for tile in sentences.tiles(one):
            said = " ".join(tile[:3]).replace(examples.NASTY, "TV")
            assert not JARGON.search(said), said
        assert not JARGON.search(sentences.lead(one))


def test_the_glossary_explains_the_words_of_the_cards():
    found = usable()
    said = " ".join(f"{t.question} {t.answer} {t.text}" for t in sentences.tiles(found))
    terms = dict(sentences.GLOSSARY)
    assert "94% interval" in said
    assert "94% interval" in terms
    assert not JARGON.search(" ".join(terms))
