"""What is drawn of other levels of spend, and of carry-over."""

import numpy as np
import pandas as pd
import pytest

from mmmjax import plot
from mmmjax.checks import InputError
from mmmjax.plot import responses
from tests.plot import examples
from tests.plot.test_media import edges

COLOURS = plot.channel_colours(examples.CHANNELS)


def test_curve_is_dashed_where_nothing_was_observed():
    found = examples.curves()
    figure = plot.curve(found, "Search", outcome="sales", currency="EUR", period="week")
    axes = figure.axes[0]
    solid, dashed, drop, dot = axes.lines
    assert solid.get_xdata()[-1] == dashed.get_xdata()[0] == pytest.approx(50.0)
    assert dashed.get_xdata()[-1] == pytest.approx(60.0)
    assert dashed.get_linestyle() == "--"
    np.testing.assert_allclose(solid.get_ydata(), 10 * np.sqrt(solid.get_xdata()))
    assert dot.get_xdata()[0] == 12.5
    assert dot.get_ydata()[0] == drop.get_ydata()[1]
    assert (axes.patches[0].get_x(), axes.patches[0].get_width()) == (0.0, 50.0)
    assert axes.get_xlabel() == "spend (EUR) a week"
    assert axes.get_ylabel() == "sales a week"
    np.testing.assert_allclose(edges(axes.collections[0])[1], 15 * np.sqrt(
        found["spend"].sel(channel="Search").to_numpy()[0]))  # fmt: skip


def test_curve_of_an_organic_channel_is_in_media_units():
    one = responses.curve_of(examples.curves(), "Mail")
    assert not one.paid
    assert (one.today, one.largest) == (2.0, 8.0)
    figure = plot.curve(examples.curves(), "Mail")
    assert figure.axes[0].get_xlabel() == "media a period"


@pytest.mark.parametrize("width", [4.0, 9.0])
def test_curves_has_a_cell_a_channel_and_one_legend(width):
    figure = plot.curves(examples.curves(), currency="EUR", width=width)
    cells = [axes for axes in figure.axes if axes.axison]
    assert [axes.get_title(loc="left") for axes in cells] == examples.CHANNELS
    assert len(figure.legends) == 1
    assert cells[2].get_xlabel() == "media a period (organic)"
    assert cells[1].get_xlabel() == "spend (EUR) a period"


def test_curves_of_several_geos_must_be_chosen():
    found = examples.curves()
    several = found.reindex(geo=["north", "south"], fill_value=1.0)
    with pytest.raises(InputError, match="total=True"):
        responses.curve_of(several, "TV")
    assert responses.curve_of(several, "TV", "south").paid


def test_curves_csv_draws_the_same_curve_without_today():
    table, found = examples.curves_table(), examples.curves()
    for name in examples.CHANNELS:
        read, made = (responses.curve_of(x, name) for x in (table, found))
        assert (read.paid, read.largest) == (made.paid, pytest.approx(made.largest))
        for ours, theirs in zip(read[:4], made[:4], strict=True):
            np.testing.assert_allclose(ours, theirs)
        assert np.isnan(read.today)
    assert len(plot.curve(table, "TV").axes[0].lines) == 2
    *_, dot = plot.curve(table, "TV", today={"TV": 36.0}).axes[0].lines
    assert (dot.get_xdata()[0], dot.get_ydata()[0]) == (36.0, pytest.approx(60.0, rel=0.02))


def test_today_may_be_given_and_channels_must_be_known():
    assert responses.curve_of(examples.curves(), "TV", today={"TV": 7.0}).today == 7.0
    assert responses.curve_of(examples.curves(), "TV", today={"Mail": 7.0}).today == 25.0
    with pytest.raises(InputError, match=r'"Radio".*"TV", "Search" and "Mail"'):
        plot.curve(examples.curves(), "Radio")


@pytest.mark.parametrize("measure", responses.MEASURES)
def test_sweep_holds_the_measure_of_every_channel(measure):
    table = examples.sweep(("north", "ALL")).iloc[::-1]  # any order of rows
    axes = plot.sweep(table, measure=measure, colours=COLOURS).axes[0]
    column = {"contribution": "mean"}.get(measure, f"{measure}_mean")
    rows = table[table["geo"] == "ALL"].sort_values("multiplier")
    lines = {line.get_color(): line for line in axes.lines if len(line.get_xdata()) == 4}
    known = rows[rows[column].notna()]  # an organic channel has no marginal return
    assert len(lines) == known["channel"].nunique()
    for name, part in known.groupby("channel"):
        line = lines[COLOURS[name]]
        np.testing.assert_array_equal(line.get_xdata(), [0.0, 0.5, 1.0, 1.5])
        np.testing.assert_array_equal(line.get_ydata(), part[column])
    dots = [line for line in axes.lines if line.get_marker() == "o"]
    assert {float(dot.get_xdata()[0]) for dot in dots} == {1.0}
    assert len(axes.collections) == len(lines)  # bands
    part = known[known["channel"] == "TV"]
    lo = "lo" if measure == "contribution" else f"{measure}_lo"
    band = axes.collections[[*lines].index(COLOURS["TV"])]
    np.testing.assert_allclose(edges(band)[0], part[lo])


def test_sweep_in_money_leaves_organic_channels_out():
    axes = plot.sweep(
        examples.sweep(), relative=False, colours=COLOURS, currency="EUR"
    ).axes[0]
    lines = {line.get_color(): line for line in axes.lines if len(line.get_xdata()) == 4}
    assert set(lines) == {COLOURS["TV"], COLOURS["Search"]}
    assert lines[COLOURS["Search"]].get_xdata().tolist() == [0, 25, 50, 75]
    assert axes.get_xlabel() == "spend over the window (EUR)"


def test_sweep_of_many_channels_has_its_intervals_at_the_end():
    more = examples.sweep()
    more["channel"] += " 2"
    table = pd.concat([examples.sweep(), more], ignore_index=True)
    axes = plot.sweep(table).axes[0]
    assert not axes.collections
    bars = [line for line in axes.lines if len(line.get_xdata()) == 2
            and line.get_xdata()[0] == line.get_xdata()[1] > 1.5]  # fmt: skip
    assert len(bars) == 6
    assert len({float(bar.get_xdata()[0]) for bar in bars}) == 6  # beside each other
    assert bars[0].get_ydata().tolist() == [32.5, 42.5]  # uplift of TV at 1.5
    assert axes.get_title(loc="left") == "Bars at the end of the lines: 94% intervals"


def test_sweep_asks_for_known_things():
    with pytest.raises(InputError, match="measure"):
        plot.sweep(examples.sweep(), measure="roas")
    with pytest.raises(InputError, match="Radio"):
        plot.sweep(examples.sweep(), channels=["Radio"])
    axes = plot.sweep(examples.sweep(), channels=["Mail"]).axes[0]
    assert [t.get_text() for t in axes.get_legend().get_texts()] == ["Mail", "today"]


def test_carryover_is_split_in_half_by_its_half_life():
    found = responses.carried_of(examples.carryover())
    figure = plot.carryover(examples.carryover(), period="week", colours=COLOURS)
    for ax, (name, one) in zip(figure.axes, found.items(), strict=False):
        bars = ax.patches[:3]
        np.testing.assert_allclose([bar.get_height() for bar in bars], one.mean)
        np.testing.assert_allclose([bar.get_x() for bar in bars], one.lag + 0.05)
        half = one.half_life[0]
        before = np.clip(half - one.lag, 0, 1) @ one.mean
        assert before == pytest.approx(0.5)
        assert half in {line.get_xdata()[0] for line in ax.lines}
        assert ax.get_title(loc="left") == f"{name}: half-life {half:.1f} weeks"
    assert [ax.get_xlabel() for ax in figure.axes] == ["weeks since the media"] * 2
