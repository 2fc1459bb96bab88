"""What is drawn of returns: forests, over time, against shares, now and after."""

import numpy as np
import pandas as pd
import pytest

from mmmjax import plot
from mmmjax.checks import InputError
from mmmjax.plot import returns
from mmmjax.plot.canvas import PALETTE
from tests.plot import examples

COLOURS = plot.channel_colours(examples.CHANNELS)


def test_forest_marks_means_intervals_and_the_truth():
    figure = plot.roas(examples.channels(("ALL",)), truth={"TV": 1.5, "Mail": 9.0})
    lines = figure.axes[0].lines
    spans = [line.get_xdata() for line in lines if len(line.get_xdata()) == 2]
    np.testing.assert_allclose(spans, [[1.0, 3.0], [2.0, 6.0], [0.5, 1.5], [1.0, 3.0]])
    dots = [float(line.get_xdata()[0]) for line in lines if line.get_marker() == "o"]
    assert dots == [2.0, 4.0, 1.0, 2.0]  # ROAS, then mROAS
    assert [line.get_xdata()[0] for line in lines if line.get_marker() == "D"] == [1.5]
    texts = [t.get_text() for t in figure.axes[0].texts]
    assert "2.00" in texts
    assert "1.00 to 3.00" in texts


def test_organic_channels_have_no_return_and_take_no_colour():
    table = examples.channels()
    assert returns.returns(table).channels == ["TV", "Search"]
    table["channel"] = ["Search", "TV", "Mail"]  # colours follow the channel, not the row
    figure = plot.roas(table, marginal=False, colours=COLOURS)
    dots = [line for line in figure.axes[0].lines if line.get_marker() == "o"]
    assert [dot.get_color() for dot in dots] == [PALETTE[1], PALETTE[0]]


def test_shares_are_a_forest_in_percent():
    table = examples.channels()
    table.loc[2, "share_mean"] = np.nan
    axes = plot.shares(table, outcome="sales", colours=COLOURS).axes[0]
    spans = [line.get_xdata().tolist() for line in axes.lines[::2]]
    np.testing.assert_allclose(spans, [[0.05, 0.15]] * 2)
    assert [float(line.get_xdata()[0]) for line in axes.lines[1::2]] == [0.1, 0.1]
    assert "5.0% to 15.0%" in [t.get_text() for t in axes.texts]


def test_share_against_roas_has_both_intervals_and_areas_of_spend():
    table = examples.channels(("north", "ALL"))
    axes = plot.share_and_roas(table, colours=COLOURS, currency="EUR").axes[0]
    places = [tuple(dot.get_offsets()[0]) for dot in axes.collections]
    np.testing.assert_allclose(places, [(0.1, 2.0), (0.1, 4.0)])  # the largest first
    sizes = [float(dot.get_sizes()[0]) for dot in axes.collections]
    assert sizes[0] == pytest.approx(2 * sizes[1])
    crosses = [line.get_xydata().tolist() for line in axes.lines]
    np.testing.assert_allclose(crosses[0], [[0.05, 2.0], [0.15, 2.0]])
    np.testing.assert_allclose(crosses[1], [[0.1, 1.0], [0.1, 3.0]])
    labels = [t.get_text() for t in axes.get_legend().get_texts()]
    assert labels == ["TV (20.0)", "Search (10.0)"]


def test_roas_over_time_leaves_a_gap_where_nothing_was_spent():
    found = returns.history_of(examples.returns(("north", "ALL")), "quarter")
    assert found.windows == ["2021Q4", "2022Q1", "2022Q2"]
    np.testing.assert_array_equal(found.values["TV"][0], [np.nan, 6.0, 7.0])
    assert found.whole == {"TV": 2.0, "Search": 2.0}
    figure = plot.roas_over_time(examples.returns(), colours=COLOURS)
    cells = [ax for ax in figure.axes if ax.axison]
    assert [ax.get_title(loc="left") for ax in cells] == ["TV", "Search"]  # not the organic
    level, dots = cells[1].lines
    assert level.get_ydata()[0] == 2.0
    assert dots.get_ydata().tolist() == [5.0, 6.0, 7.0]
    spans = [line[:, 1].tolist() for line in cells[1].collections[0].get_segments()]
    np.testing.assert_allclose(spans, [[2.5, 7.5], [3.0, 9.0], [3.5, 10.5]])


def test_mroas_of_years_and_kinds_that_the_table_lacks():
    figure = plot.roas_over_time(examples.returns(), kind="year", measure="mroas")
    assert figure.axes[0].lines[1].get_ydata().tolist() == [1.5, 2.0]
    assert [t.get_text() for t in figure.axes[0].get_xticklabels()][::-1] == [
        "2021",
        "2022",
    ]
    with pytest.raises(InputError, match=r'"month".*"all", "year" and "quarter"'):
        plot.roas_over_time(examples.returns(), kind="month")
    with pytest.raises(InputError, match="measure"):
        plot.roas_over_time(examples.returns(), measure="share")


def test_value_of_windows_is_the_sum_of_the_paid_channels(tmp_path):
    table = examples.returns(("north", "ALL"))
    table.to_csv(tmp_path / "returns.csv", index=False)
    found = returns.value_of(pd.read_csv(tmp_path / "returns.csv"), "quarter")
    whole = [0 + 50, 120 + 60, 140 + 70]  # ROAS times spend, TV then Search
    np.testing.assert_allclose(found.now, 0.75 * np.array(whole))
    np.testing.assert_allclose(found.after, 0.25 * np.array(whole))
    assert found.spend.tolist() == [10, 30, 30]
    one = returns.value_of(table, "2022Q2")
    assert one.names == ["TV", "Search"]
    np.testing.assert_allclose(one.now + one.after, [140, 70])


def test_now_and_after_are_stacked_over_windows():
    figure = plot.now_and_after(examples.returns(), outcome="sales")
    axes = figure.axes[0]
    found = returns.value_of(examples.returns(), "quarter")
    now, after = axes.patches[:3], axes.patches[3:]
    np.testing.assert_allclose([bar.get_height() for bar in now], found.now)
    np.testing.assert_allclose([bar.get_height() for bar in after], found.after)
    np.testing.assert_allclose([bar.get_y() for bar in after], found.now)
    labels = [t.get_text() for t in axes.get_legend().get_texts()]
    assert labels == ["in that quarter", "later (carry-over)"]
    assert figure.get_suptitle() == "Sales from each quarter's media spend: then, and later"
    one = plot.now_and_after(examples.returns(), "year", channel="TV", colours=COLOURS)
    assert [bar.get_height() for bar in one.axes[0].patches[:2]] == [45, 60]


def test_now_and_after_of_one_window_is_a_bar_a_channel():
    axes = plot.now_and_after(examples.returns(), "2022Q1", colours=COLOURS).axes[0]
    assert [bar.get_width() for bar in axes.patches] == [90, 45, 30, 15]
    assert [bar.get_x() for bar in axes.patches[2:]] == [90, 45]
    assert [t.get_text() for t in axes.get_yticklabels()] == ["TV", "Search"]
    assert [t.get_text() for t in axes.texts].count("25.0%") == 2
    with pytest.raises(InputError, match=r'"2030"'):
        plot.now_and_after(examples.returns(), "2030")


def test_years_are_named_where_there_is_room():
    months = [str(x) for x in pd.period_range("2014-11", "2018-01", freq="M")]
    two = examples.returns().head(2)
    table = pd.concat([two.assign(kind="month", window=month) for month in months])
    axes = plot.now_and_after(table, "month", width=4.0).axes[0]
    found = {t.get_text(): x for t, x in zip(axes.get_xticklabels(), axes.get_xticks(),
                                             strict=True)}  # fmt: skip
    assert found == {"2015": 2, "2016": 14, "2017": 26, "2018": 38}


def test_returns_are_money_where_the_outcome_has_a_value():
    table = examples.channels(("ALL",))
    axes = plot.roas(table, truth={"TV": 1.5}, value=0.5, currency="EUR").axes[0]
    dots = [float(x.get_xdata()[0]) for x in axes.lines if x.get_marker() == "o"]
    assert dots == [1.0, 2.0, 0.5, 1.0]
    assert [x.get_xdata()[0] for x in axes.lines if x.get_marker() == "D"] == [0.75]
    assert [1.0, 1.0] in [list(x.get_xdata()) for x in axes.lines]
    words = [t.get_text() for t in axes.get_legend().get_texts()] + [axes.get_xlabel()]
    assert "break-even" in words
    assert "EUR per EUR spent" in words
    assert not any("ROAS" in text for text in words)
    axes = plot.share_and_roas(table, value=0.5).axes[0]
    places = [tuple(dot.get_offsets()[0]) for dot in axes.collections]
    np.testing.assert_allclose(places, [(0.1, 1.0), (0.1, 2.0)])
    assert axes.get_ylabel() == "return: units of money per unit of money"
    plain = plot.roas(table).axes[0]
    assert [1.0, 1.0] not in [list(x.get_xdata()) for x in plain.lines]


def test_returns_over_time_are_money_where_the_outcome_has_a_value():
    before = plot.roas_over_time(examples.returns())
    figure = plot.roas_over_time(examples.returns(), value=0.5, currency="EUR")
    for old, new in zip(before.axes, figure.axes, strict=True):
        dots = [next(x for x in a.lines if x.get_marker() == "o") for a in (old, new)]
        np.testing.assert_allclose(
            dots[1].get_ydata(), 0.5 * np.asarray(dots[0].get_ydata())
        )
        assert [1, 1] in [list(x.get_ydata()) for x in new.lines]
