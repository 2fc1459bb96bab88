import datetime
from decimal import Decimal
from fractions import Fraction

import jax.numpy as jnp
import numpy as np
import pandas as pd
import pytest

from mmmjax.checks import (
    InputError,
    Phrase,
    choice,
    closest,
    fail,
    finite,
    integer,
    listing,
    number,
    show,
    unknown,
)


def test_a_message_has_its_parts_in_order():
    with pytest.raises(InputError) as error:
        fail("media", "1,234", 'column "tv", row 3', "numbers", "remove the comma")
    assert str(error.value) == (
        'media: got "1,234" at column "tv", row 3. Allowed: numbers. Fix: remove the comma'
    )


def test_empty_parts_leave_no_trace():
    with pytest.raises(InputError) as error:
        fail("chains", 0, "", "a whole number of at least 1", "")
    assert str(error.value) == "chains: got 0. Allowed: a whole number of at least 1."


@pytest.mark.parametrize("where", ["for 3 periods", 'in column "y"', "from 2023 to 2024"])
def test_a_place_with_its_own_preposition_gets_no_other(where):
    with pytest.raises(InputError, match=f"got 1 {where}. Allowed"):
        fail("x", 1, where, "y", "z")


@pytest.mark.parametrize(
    "value, text",
    [
        (Phrase("two rows"), "two rows"),
        ("two", '"two"'),
        (np.float64(0.1), "0.1"),
        (float("nan"), "NaN"),
        (np.int64(3), "3"),
        (np.bool_(True), "True"),
        (pd.Timestamp("2023-01-01"), "2023-01-01"),
        (np.datetime64("2023-01-01T05:00"), "2023-01-01 05:00:00"),
        (pd.NaT, "a missing value"),
        (pd.NA, "a missing value"),
        ([1, 2], "[1, 2]"),
        ("x" * 100, '"' + "x" * 57 + '..."'),
    ],
)
def test_values_are_shown_as_people_write_them(value, text):
    assert show(value) == text


@pytest.mark.parametrize(
    "values, text",
    [
        (["a"], '"a"'),
        (["a", "b"], '"a" and "b"'),
        (["a", "b", "c"], '"a", "b" and "c"'),
        (range(9), "0, 1, 2, 3, 4, 5 and 3 more"),
        ([], ""),
    ],
)
def test_lists_stay_short(values, text):
    assert listing(values) == text


@pytest.mark.parametrize(
    "name, near", [("Sales", "sales"), (" sale ", "sales"), ("x", None)]
)
def test_closest_ignores_case_and_spaces(name, near):
    assert closest(name, ["date", "sales", "tv"]) == near


def test_numbers_in_range_pass():
    assert number("x", np.float32(0.5), low=0, high=1, open_low=True) == 0.5
    assert integer("n", np.int64(4), low=1) == 4
    assert isinstance(integer("n", 4.0), int)


@pytest.mark.parametrize(
    "value", [float("nan"), np.inf, -1, 0.0, 1.5, "half", None, True, [1, 2], np.ones(2)]
)
def test_numbers_out_of_range_are_refused(value):
    with pytest.raises(InputError, match=r"scale: got .* in \(0, 1\]\. Fix: pass 0.5"):
        number("scale", value, low=0, high=1, open_low=True, fix="pass 0.5")


@pytest.mark.parametrize(
    "limits, text",
    [
        ({}, "a finite number."),
        ({"low": 0}, "of at least 0"),
        ({"low": 0, "open_low": True}, "above 0"),
        ({"high": 1}, "of at most 1"),
        ({"high": 1, "open_high": True}, "below 1"),
        ({"low": 0, "high": 1, "open_high": True}, r"in \[0, 1\)"),
    ],
)
def test_the_allowed_range_is_said(limits, text):
    with pytest.raises(InputError, match=text):
        number("x", float("nan"), **limits)


@pytest.mark.parametrize("text", ["4", " -2.5 ", "0.1"])
def test_a_number_in_quotation_marks_is_told_to_lose_them(text):
    with pytest.raises(InputError, match=f"write {text.strip()} without quotation marks"):
        number("chains", text, fix="chains = 8")
    with pytest.raises(InputError, match="Fix: chains = 8"):
        number("chains", f"{text} or so", fix="chains = 8")


def test_whole_numbers_only():
    with pytest.raises(InputError, match=r"max_lag: got 2.5. Allowed: a whole number"):
        integer("max_lag", 2.5, low=1)
    with pytest.raises(InputError, match=r"max_lag: got 0. Allowed: .* at least 1"):
        integer("max_lag", 0, low=1)


def test_a_choice_suggests_the_nearest():
    assert choice("on_empty", "drop", ("error", "drop")) == "drop"
    with pytest.raises(InputError, match=r'"error" or "drop"\. Fix: did you mean "drop"\?'):
        choice("on_empty", "drops", ("error", "drop"))
    with pytest.raises(InputError, match='Fix: write on_empty="error"'):
        choice("on_empty", 7, ("error", "drop"))


def test_finite_names_the_first_bad_cell():
    coords = {"geo": ["N", "S"], "date": pd.date_range("2023-01-01", periods=2)}
    finite("media", np.ones((2, 2)), coords)
    with pytest.raises(InputError, match=r'got NaN at geo "S", date 2023-01-02.* finite'):
        finite("media", [[1, 2], [3, np.nan]], coords)
    with pytest.raises(InputError, match=r'got inf at geo "N".*\(2 bad cells in all\)'):
        finite("media", [[np.inf, 2], [3, np.nan]], coords)


class Hostile:
    def __repr__(self):
        raise RuntimeError("no")


@pytest.mark.parametrize(
    "value",
    [1 + 2j, np.complex128(1), True, np.True_, "12", b"5", None, 10**400, -(10**400),
     Decimal("NaN"), Decimal("sNaN"), Decimal("Infinity"), [3.0], (1,), {}, np.array([3.0]),
     np.datetime64("2020"), np.timedelta64(5, "D"), pd.Period("2020", "D"), pd.NA, pd.NaT,
     pd.Timestamp("2020"), pd.Timedelta(5), datetime.date(2020, 1, 1), pd.Series([1.0]),
     jnp.ones(2), jnp.array(True), float("nan"), float("inf"), Hostile(), object],
    ids=lambda value: type(value).__name__,
)  # fmt: skip
def test_what_is_no_real_number_is_refused_never_converted(value):
    for check in (number, integer):
        with pytest.raises(InputError, match=r"^x: got "):
            check("x", value)


@pytest.mark.parametrize(
    "value",
    [3, 3.0, np.int8(3), np.uint64(3), np.float16(3), np.float64(3), np.array(3),
     np.array(3.0), jnp.array(3), jnp.float32(3), Decimal(3), Fraction(3)],
    ids=lambda value: type(value).__name__,
)  # fmt: skip
def test_a_real_number_of_any_library_is_that_number(value):
    assert number("x", value) == 3.0
    assert integer("x", value) == 3
    assert type(integer("x", value)) is int


def test_large_whole_numbers_stay_exact():
    assert integer("seed", 2**53 + 1) == 2**53 + 1
    assert integer("seed", np.uint64(2**63 + 1)) == 2**63 + 1


@pytest.mark.parametrize(
    "value, text",
    [(10**400, "a whole number of about 400 digits"), ("a\0b", r'"a\x00b"'),
     (-(10**5000), "a whole number of about 5000 digits"), ("\ud800", r'"\ud800"'),
     ("\x1b[31m", r'"\x1b[31m"'), (Hostile(), "an object of type Hostile"),
     ([10**5000], "an object of type list"), ("a\nb", r'"a\nb"'),
     (Phrase("two\0 rows"), r"two\x00 rows"), (pd.Series([1.0]), "0 1.0 dtype: float64")],
    ids=range(10),
)  # fmt: skip
def test_what_does_not_show_is_escaped_and_nothing_fails_in_a_message(value, text):
    assert show(value) == text


def test_an_unknown_name_is_refused_with_the_nearest():
    with pytest.raises(InputError) as error:
        unknown("fixed", "tv", "", "paid channels", ["Radio", "TV"])
    assert str(error.value) == (
        'fixed: got "tv". Allowed: paid channels ("Radio" and "TV"). '
        'Fix: did you mean "TV"?'
    )
    with pytest.raises(InputError, match=r"controls \(none\). Fix: leave it out"):
        unknown("controls", "price", "", "controls", [])
