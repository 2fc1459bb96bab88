"""What a user may ask of a plan: checked at the door, read into rows by hand-made sums."""

import math

import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mmmjax.budget.constraints import (
    group,
    limited,
    max_change,
    minimum_if_on,
    per_geo,
    read,
    roas_floor,
)
from mmmjax.budget.feasible import check_feasible
from mmmjax.budget.region import project, simple
from mmmjax.checks import InputError

CHANNELS, GEOS = ("TV", "Search", "Social"), ("north", "south")
LAST = np.array([[10.0, 0.0, 5.0], [20.0, 4.0, 1.0]])
CELLS = [f"{c} in {g}" for g in GEOS for c in CHANNELS]
FREE = np.zeros(len(CELLS), bool)


def limits_of(given, periods=4, unit=1.0, budget=1000.0):
    return read(
        given, channels=CHANNELS, geos=GEOS, last=LAST, periods=periods, unit=unit,
        budget=budget,
    )  # fmt: skip


def test_nothing_asked_limits_nothing():
    for nothing in (None, []):
        limits = limits_of(nothing)
        assert limits.rows.shape == (0, 6)
        assert limits.words == (("the budget 1,000", "the budget 1,000"),)
        assert (limits.lower == 0).all()
        assert np.isinf(limits.upper).all()
        assert limits.on_off == limits.floors == ()
    region = simple(np.zeros(6), np.full(6, 900.0), 1000.0)
    for part, whole in zip(limited(region, limits, CELLS, 1.0, FREE), region, strict=True):
        np.testing.assert_array_equal(part, whole)


@given(spend=st.lists(st.floats(0, 1e6), min_size=6, max_size=6), unit=st.floats(1, 52))
def test_rows_are_the_sums_a_person_would_make(spend, unit):
    table = np.reshape(spend, (2, 3))
    limits = limits_of(
        [
            group(["Social", "TV"], at_least=10.0, at_most=50.0),
            group("Search", at_most=0.6, at_least=0.1, share=True),
            per_geo({"south": 70.0, "north": (None, 30.0)}),
        ],
        unit=unit,
    )
    sums = limits.rows @ np.ravel(spend)
    total, search = table.sum(), table[:, 1].sum()
    expected = [
        table[:, [0, 2]].sum(),
        search - 0.1 * total,
        search - 0.6 * total,
        table[1].sum(),
        table[0].sum(),
    ]
    np.testing.assert_allclose(sums, expected, rtol=1e-12, atol=1e-8)
    np.testing.assert_allclose(
        limits.least, [10 * unit, 0, -math.inf, 70 * unit, -math.inf]
    )
    np.testing.assert_allclose(limits.most, [50 * unit, math.inf, 0, 70 * unit, 30 * unit])


def test_words_say_what_the_user_wrote():
    limits = limits_of(
        [
            group(CHANNELS, at_least=1e6, at_most=2e6, name="all of it"),
            group("TV", at_most=0.25, share=True),
            per_geo({"south": (5.0, math.inf), "north": 7.0}),
        ],
        unit=4.0,
    )
    assert limits.words == (
        ("the budget 250", "the budget 250"),
        ('group "all of it" at least 1,000,000', 'group "all of it" at most 2,000,000'),
        ("", "TV at most 0.25 of what is spent"),
        ("south at least 5", "south at most inf"),
        ("north at 7", "north at 7"),
    )


def test_change_is_measured_a_period_from_the_last_one():
    limits = limits_of([max_change(0.2), max_change(0.1, "TV")], periods=4)
    np.testing.assert_allclose(limits.lower, [36, 0, 16, 72, 12.8, 3.2])
    np.testing.assert_allclose(limits.upper, [44, 0, 24, 88, 19.2, 4.8])
    wide = limits_of(max_change(2.0))
    assert (wide.lower == 0).all()
    np.testing.assert_allclose(wide.upper, 3 * 4 * LAST.ravel())


def test_on_off_sets_and_floors_name_their_variables():
    limits = limits_of(
        [minimum_if_on({"TV": 5.0, "Social": 7.0}), roas_floor(1.5, ["Search", "TV"]),
         roas_floor(2.0)],
        unit=3.0,
    )  # fmt: skip
    tv, social = limits.on_off
    assert (tv.name, social.name) == ("TV", "Social")
    np.testing.assert_array_equal(tv.variables, [0, 3])
    np.testing.assert_array_equal(social.variables, [2, 5])
    assert (tv.minimum, social.minimum) == (15.0, 21.0)
    some, every = limits.floors
    np.testing.assert_array_equal(np.sort(some.variables), [0, 1, 3, 4])
    np.testing.assert_array_equal(every.variables, np.arange(6))
    assert (some.level, every.level) == (1.5, 2.0)
    assert some.name == "ROAS of Search + TV at least 1.5"
    assert len(limits.rows) == 0


@pytest.mark.usefixtures("x64")
def test_a_plan_respects_what_was_asked():
    asked = [group(["Search", "Social"], at_most=0.3, share=True), per_geo({"north": 400})]
    limits = limits_of(asked)
    box = simple(np.zeros(6), np.full(6, 900.0), 1000.0)
    region = limited(box, limits, CELLS, 1.0, FREE)
    region = check_feasible(region, CELLS, np.zeros(6, bool), "money", limits.words)
    x, _ = project(jnp.array([0.0, 500, 100, 0, 300, 300]), region)
    table = np.reshape(x, (2, 3))
    assert table.sum() == pytest.approx(1000, rel=1e-12)
    assert table[0].sum() == pytest.approx(400, rel=1e-12)
    assert table[:, 1:].sum() == pytest.approx(300, rel=1e-12)


def test_clashing_constraints_are_named_in_the_words_of_the_user():
    asked = [per_geo({"north": 400, "south": 500}), group("TV", at_least=10.0)]
    limits = limits_of(asked, unit=4.0, budget=4000.0)
    region = limited(simple(np.zeros(6), np.full(6, 4e3), 4000.0), limits, CELLS, 4.0, FREE)
    in_unit = region._replace(
        lower=region.lower / 4, upper=region.upper / 4, least=region.least / 4,
        most=region.most / 4,
    )  # fmt: skip
    with pytest.raises(InputError) as error:
        check_feasible(in_unit, CELLS, np.zeros(6, bool), "money a period", limits.words)
    got = str(error.value).split("Allowed")[0]
    for part in ("the budget 1,000", "north at 400", "south at 500", "money a period"):
        assert part in got
    assert "TV" not in got


def test_a_change_that_the_bounds_forbid_names_the_variable():
    limits = limits_of(max_change(0.1), periods=10, unit=10.0)
    box = simple(np.zeros(6), np.array([900.0, 900, 900, 100, 900, 900]), 1000.0)
    with pytest.raises(InputError) as error:
        limited(box, limits, CELLS, 10.0, FREE)
    for part in ("max_change(0.1)", "TV in south 18 to 22", "0 to 10"):
        assert part in str(error.value)


@pytest.mark.parametrize(
    "make, parts",
    [
        (lambda: group("TV"), ["group: got no limit", "at_least, at_most"]),
        (lambda: group([], at_most=1), ["names of channels"]),
        (lambda: group(["TV", "TV"], at_most=1), ['"TV" twice']),
        (lambda: group("TV", at_least=3, at_most=2), ["at least 3 and at most 2"]),
        (lambda: group("TV", at_most=60, share=True), ["at_most: got 60", "[0, 1]"]),
        (lambda: group("TV", at_most=-1.0), ["of at least 0"]),
        (lambda: group("TV", at_most=math.nan), ["finite"]),
        (lambda: per_geo({}), ["{geo: money}"]),
        (lambda: per_geo({"north": (3.0, 2.0)}), ['at geo "north"', "least <= most"]),
        (lambda: per_geo({"north": (1, 2, 3)}), ["money or (least, most)"]),
        (lambda: per_geo({"north": "much"}), ['got "much"']),
        (lambda: max_change(-0.1), ["max_change: got -0.1"]),
        (lambda: minimum_if_on({}), ["{channel: money}"]),
        (lambda: minimum_if_on({"TV": 0.0}), ["above 0"]),
        (lambda: roas_floor(0.0), ["above 0", "roas_floor(1.5)"]),
    ],
)
def test_what_cannot_be_meant_is_refused_when_it_is_written(make, parts):
    with pytest.raises(InputError) as error:
        make()
    for part in parts:
        assert part in str(error.value)


@pytest.mark.parametrize(
    "asked, parts",
    [
        (group("Serch", at_most=1.0), ['group: got "Serch"', 'did you mean "Search"?']),
        (max_change(0.1, "Radio"), ["max_change", '"TV", "Search"']),
        (minimum_if_on({"tv": 1.0}), ['did you mean "TV"?']),
        (roas_floor(1.0, ["TV", "Radio"]), ['roas_floor: got "Radio"']),
        (per_geo({"nord": 1.0}), ["geos of the fit", 'did you mean "north"?']),
    ],
)
def test_unknown_names_are_refused(asked, parts):
    with pytest.raises(InputError) as error:
        limits_of([group("TV", at_most=1.0), asked])
    for part in parts:
        assert part in str(error.value)
