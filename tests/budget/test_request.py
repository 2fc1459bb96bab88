"""What a user may ask, in which units, and one clear message for what cannot be."""

import math

import numpy as np
import pytest

import mmmjax as mm
from mmmjax.budget.prepare import prepare
from mmmjax.budget.request import known_of, read
from mmmjax.checks import InputError
from tests.budget.cases import make_fit, make_panel

PLAIN = {
    "budget": None, "periods": 10, "bounds": 0.5, "reference": None, "fixed": None,
    "per_period": False,
}  # fmt: skip


def ask(panel=None, **changes):
    return read(known_of(panel or make_panel()), **PLAIN | changes)


def test_default_reference_is_historical_spend():
    panel = make_panel(geos=2)
    asked = ask(panel)
    np.testing.assert_allclose(asked.reference, 10 * panel.spend.mean(1))
    assert asked.budget == pytest.approx(asked.reference.sum())
    np.testing.assert_allclose(asked.lower, 0.5 * asked.reference)
    np.testing.assert_allclose(asked.upper, 1.5 * asked.reference)


def test_default_reference_follows_the_budget_and_a_given_one_does_not():
    assert ask(budget=500.0).reference.sum() == pytest.approx(500.0)
    given = {"c0": 100.0, "c1": 200.0, "c2": 300.0}
    asked = ask(budget=500.0, reference=given)
    np.testing.assert_array_equal(asked.reference, [[100.0, 200.0, 300.0]])
    assert asked.budget == 500.0
    assert ask(reference=given).budget == 600.0


def test_per_period_is_the_same_plan_in_other_words():
    given = {"c0": 100.0, "c1": 200.0, "c2": 300.0}
    bounds = {"c0": (50.0, 150.0), "c1": (0.0, math.inf)}
    total = ask(reference=given, bounds=bounds, fixed={"c2": 10.0}, budget=200.0)
    tenth = ask(
        reference={k: v / 10 for k, v in given.items()},
        bounds={"c0": (5.0, 15.0), "c1": (0.0, math.inf)},
        fixed={"c2": 1.0}, budget=20.0, per_period=True,
    )  # fmt: skip
    for name in ("reference", "lower", "upper", "budget"):
        np.testing.assert_allclose(getattr(total, name), getattr(tenth, name))


def test_bounds_in_all_forms():
    given = np.array([100.0, 200.0, 300.0])
    for bounds in (0.5, (0.5, 1.5)):
        asked = ask(reference=given, bounds=bounds)
        np.testing.assert_allclose(asked.upper, [[150.0, 300.0, 450.0]])
    asked = ask(reference=given, bounds=(0, math.inf))
    np.testing.assert_array_equal(asked.upper, [[600.0] * 3])
    asked = ask(reference=given, bounds={"c1": (0.0, 50.0)}, budget=500.0)
    np.testing.assert_array_equal(asked.lower, [[50.0, 0.0, 150.0]])
    np.testing.assert_array_equal(asked.upper, [[150.0, 50.0, 450.0]])


def test_bounds_with_a_default_and_exceptions():
    given = np.array([100.0, 200.0, 300.0])
    asked = ask(reference=given, bounds={"*": 0.3, "c1": (0.0, 900.0)})
    np.testing.assert_allclose(asked.lower, [[70.0, 0.0, 210.0]])
    np.testing.assert_allclose(asked.upper, [[130.0, 900.0, 390.0]])
    asked = ask(reference=given, bounds={"c1": (150.0, 250.0), "*": (0, math.inf)})
    np.testing.assert_array_equal(asked.lower, [[0.0, 150.0, 0.0]])
    np.testing.assert_array_equal(asked.upper, [[600.0, 250.0, 600.0]])


def test_largest_period_is_of_the_training_window_of_paid_channels():
    panel = make_panel(geos=2, organic=True)
    np.testing.assert_array_equal(known_of(panel).largest, panel.spend[..., 1:].max(1))


def test_fixed_by_money_or_at_the_reference():
    given = np.array([100.0, 200.0, 300.0])
    asked = ask(reference=given, fixed={"c1": 250.0, "c2": None})
    np.testing.assert_array_equal(asked.lower, [[50.0, 250.0, 300.0]])
    np.testing.assert_array_equal(asked.upper, [[150.0, 250.0, 300.0]])
    np.testing.assert_array_equal(asked.fixed, [[False, True, True]])
    assert ask(reference=given, fixed=["c1"]).upper[0, 1] == 200.0
    assert ask(reference=given, fixed="c1").upper[0, 1] == 200.0


def test_money_of_a_channel_is_shared_out_over_geos_as_the_reference():
    panel = make_panel(geos=2)
    history = panel.spend.mean(1)
    share = history[:, 0] / history[:, 0].sum()
    reference = {"c0": 100.0, "c1": [30.0, 10.0], "c2": 0.0}
    asked = ask(panel, reference=reference, bounds={"c1": (4.0, [60.0, 20.0])})
    np.testing.assert_allclose(asked.reference[:, 0], 100 * share)
    np.testing.assert_array_equal(asked.reference[:, 1], [30.0, 10.0])
    np.testing.assert_array_equal(asked.lower[:, 1], [3.0, 1.0])
    np.testing.assert_array_equal(asked.upper[:, 1], [60.0, 20.0])
    np.testing.assert_array_equal(asked.upper[:, 2], [0.0, 0.0])
    grid = np.arange(6.0).reshape(2, 3)
    np.testing.assert_array_equal(ask(panel, reference=grid).reference, grid)


def test_late_geos_count_from_their_first_row():
    panel = make_panel(geos=2)
    frame = panel.to_frame()
    late = frame[(frame["geo"] == "g0") | (frame["week"] > panel.dates[9])]
    asked = ask(mm.Panel.from_frame(
        late, date="week", outcome="sales", media=["c0", "c1"], geo="geo",
        spend={"c0": "c0 cost", "c1": "c1 cost"}))  # fmt: skip
    np.testing.assert_allclose(asked.reference[1], 10 * panel.spend[1, 10:, :2].mean(0))


BAD = [
    ({"periods": 0}, ["periods", "got 0", "in [1, 2000]"]),
    ({"periods": 2.5}, ["periods", "whole number"]),
    ({"budget": 0.0}, ["budget", "above 0"]),
    ({"budget": math.nan}, ["budget", "NaN"]),
    ({"budget": -1.0}, ["budget", "above 0"]),
    ({"reference": [1, 1]}, ["reference", "shape (2,)", '"c0"']),
    ({"reference": [1, 1, math.nan]}, ["reference", "c2", "finite"]),
    ({"reference": [0, 0, 0]}, ["reference", "no spend"]),
    ({"reference": {"c0": 1.0, "c1": 1.0}}, ["reference", 'no money for "c2"']),
    ({"reference": {"C0 ": 1.0}}, ["reference", 'did you mean "c0"']),
    ({"bounds": -0.1}, ["bounds", "got -0.1", "[0, 1]"]),
    ({"bounds": 3.0}, ["bounds", "(0, 3) wider"]),
    ({"bounds": math.nan}, ["bounds", "NaN"]),
    ({"bounds": (1.5, 0.5)}, ["bounds", "at least 1.5"]),
    ({"bounds": (-1, 2)}, ["bounds", "got -1"]),
    ({"bounds": "half"}, ["bounds", "half"]),
    ({"bounds": {"*": 3.0}}, ["bounds", "(0, 3) wider"]),
    ({"bounds": {"TV": (0, 1)}}, ["bounds", "TV", "paid channels"]),
    ({"bounds": {"c0": (-1.0, 1.0)}}, ["bounds", "c0", "at least 0"]),
    ({"bounds": {"c0": (5.0, 1.0)}}, ["bounds", "c0", "least <= largest"]),
    ({"bounds": {"c0": (math.nan, 1.0)}}, ["bounds", "c0", "finite"]),
    ({"bounds": {"c0": 5.0}}, ["bounds", "c0", "(least, largest)"]),
    ({"bounds": {"mail": (0, 1)}}, ["bounds", "mail", "organic"]),
    ({"fixed": {"mail": 0.0}}, ["fixed", "mail", "organic"]),
    ({"fixed": {"c0": -1.0}}, ["fixed", "c0", "at least 0"]),
    ({"fixed": {"c0": math.inf}}, ["fixed", "c0", "finite"]),
    ({"fixed": {"c0": "a lot"}}, ["fixed", "c0", "a lot"]),
    ({"fixed": 3.0}, ["fixed", "{channel: money}"]),
    ({"fixed": {"c0": [1.0, 2.0]}}, ["fixed", "c0", "one per geo (1)"]),
    ({"fixed": ["c0"], "bounds": {"c0": (0, 9e3)}}, ["fixed", "either fixed or bounded"]),
]


@pytest.mark.parametrize("changes, parts", BAD)
def test_bad_requests_say_what_and_how_to_fix_it(changes, parts):
    with pytest.raises(InputError) as error:
        ask(make_panel(organic=True), **changes)
    for part in parts:
        assert part in str(error.value)


CLASHES = [
    ({"budget": 1.0, "fixed": {"c0": 5.0}}, ["budget", "sum of the lower", "c0 5 (fixed)"]),
    ({"reference": [1, 1, 1], "budget": 9.0}, ["upper bounds, 4.5", "at most 4.5"]),
    ({"reference": [1, 1, 1], "budget": 1.0}, ["sum of the lower bounds, 1.5", "c0 0.5"]),
]


@pytest.mark.parametrize("changes, parts", CLASHES)
def test_budgets_that_bounds_do_not_allow(changes, parts):
    with pytest.raises(InputError) as error:
        prepare(make_fit(organic=True), **PLAIN | changes)
    for part in parts:
        assert part in str(error.value)


def test_a_panel_without_money_cannot_be_planned():
    frame = make_panel(organic=True).to_frame()
    panel = mm.Panel.from_frame(
        frame, date="week", outcome="sales", media=["mail"], spend={}
    )
    with pytest.raises(InputError, match="without paid channels"):
        ask(panel)
