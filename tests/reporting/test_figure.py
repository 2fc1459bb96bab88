"""What a figure is made of: numbers, names and dates that are safe inside a page."""

import json

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mmmjax.reporting import figure as f


@given(st.lists(st.floats(allow_nan=True, allow_infinity=True), max_size=8))
def test_numbers_keep_six_digits_and_drop_what_is_not_a_number(values):
    for got, value in zip(f.numbers(values), values, strict=True):
        if np.isfinite(value) and abs(value) > 1e-270:
            assert got == pytest.approx(value, rel=5.1e-6)
        elif np.isfinite(value):
            assert got is not None
        else:
            assert got is None


def test_whole_numbers_are_written_without_a_point():
    text = f.as_json(f.numbers([1234567.0, 0.25, -3.0, np.nan]))
    assert text == "[1234570,0.25,-3,null]"


def test_json_cannot_end_a_script_or_hide_a_line_end():
    text = f.as_json({"name": "</script><!--\u2028"})
    assert "<" not in text
    assert "\u2028" not in text
    assert json.loads(text) == {"name": "</script><!-- "}
    with pytest.raises(ValueError, match="JSON"):
        f.as_json([float("nan")])


def test_user_text_is_neither_markup_nor_template():
    assert f.plain("<b>&%{x}") == "&lt;b&gt;&amp;%&#123;x}"
    assert f.wrapped("a long name of a channel", 10) == "a long<br>name of a<br>channel"
    assert f.wrapped("x" * 90, 10).count("<br>") == 2
    assert "<b>" not in f.wrapped("<b>" * 9, 10)


def test_days_are_iso_and_keep_the_time_where_there_is_one():
    assert f.dates(["2020-01-05", "2021-02-01"]) == ["2020-01-05", "2021-02-01"]
    assert f.dates([pd.Timestamp("2020-01-05 06:30")]) == ["2020-01-05T06:30"]


def test_intervals_in_words_share_the_unit_of_the_mean():
    table = pd.DataFrame(
        {"mean": [7.6e9, 0.5, np.nan], "lo": [4.2e9, 0.05, 0], "hi": [1.1e10, 1.2, 1]}
    )
    assert f.interval(table, "") == [
        "7.6 billion (94%: 4.20 to 11.00 billion)", "0.500 (94%: 0.050 to 1.200)", "",
    ]  # fmt: skip


def test_formats_have_thousands_and_the_decimals_that_are_needed():
    assert f.number_format([12345.6, 20000.0]) == ",.0f"
    assert f.number_format([0.1234]) == ",.3f"


def test_a_band_is_two_edges_of_one_group():
    low, high = f.band(["a", "b"], [1, 2], [3, 4], "#0072B2", "TV, 94%", "TV", meta="few")
    assert (low["y"], high["y"]) == ([1, 2], [3, 4])
    assert (low["name"], high["name"]) == ("TV, 94% from", "TV, 94% to")
    assert "fill" not in low
    assert high["fillcolor"] == "rgba(0,114,178,0.18)"
    assert low["legendgroup"] == high["legendgroup"] == "TV"
    assert low["meta"] == "few"


def test_rows_leave_room_for_the_longest_line():
    short, long = f.rows_of(["a"]), f.rows_of(["a", "a longer name"])
    assert long["margin"]["l"] > short["margin"]["l"]
    assert long["yaxis"]["ticktext"] == ["a", "a longer name"]
    assert f.rows_of(["<" * 10])["margin"]["l"] == f.rows_of(["x" * 10])["margin"]["l"]
