"""What is drawn of media: stacks, shares, returns, curves."""

import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_hex
from matplotlib.dates import date2num

from mmmjax import plot
from mmmjax.checks import InputError
from mmmjax.plot import media
from mmmjax.plot.canvas import PALETTE, REST
from tests.plot import examples

COLOURS = plot.channel_colours(examples.CHANNELS)


def edges(collection):
    """Lower and upper edge of a filled area at its dates, (2, time)."""
    points = collection.get_paths()[0].vertices
    times = np.unique(points[:, 0])
    at = [points[points[:, 0] == t, 1] for t in times]
    return np.array([[min(y) for y in at], [max(y) for y in at]])


def wide(table):
    return table.pivot_table("mean", "date", "component")


def test_stack_adds_up_and_its_top_is_the_fitted_mean():
    table = examples.weekly()
    figure = plot.contributions(table, colours=COLOURS)
    numbers = wide(table)
    rest = numbers["baseline"] + numbers["controls"] + numbers["seasonality"]
    expected = np.cumsum([rest, *(numbers[n] for n in examples.CHANNELS)], axis=0)
    areas = figure.axes[0].collections
    assert len(areas) == 4
    for area, below, above in zip(areas, [0 * rest, *expected[:-1]], expected, strict=True):
        np.testing.assert_allclose(edges(area), [below, above])
    (line,) = figure.axes[0].lines
    np.testing.assert_allclose(line.get_ydata(), numbers["fitted_mean"])
    np.testing.assert_allclose(expected[-1], numbers["fitted_mean"])
    np.testing.assert_allclose(line.get_xdata(orig=False), date2num(examples.DATES))
    paint = [to_hex(a.get_facecolor()[0]).upper() for a in areas]
    assert paint == [REST.upper(), *COLOURS.values()]


def test_only_media_starts_at_zero():
    table = examples.weekly()
    figure = plot.contributions(table, only_media=True)
    np.testing.assert_allclose(edges(figure.axes[0].collections[0])[0], 0.0)
    top = edges(figure.axes[0].collections[-1])[1]
    np.testing.assert_allclose(top, wide(table)[examples.CHANNELS].sum(axis=1))


def test_tables_from_a_file_are_as_good(tmp_path):
    examples.weekly().to_csv(tmp_path / "weekly.csv", index=False)
    read = media.stack(pd.read_csv(tmp_path / "weekly.csv"))
    made = media.stack(examples.weekly())
    assert read.names == made.names
    np.testing.assert_array_equal(read.dates, made.dates)
    np.testing.assert_allclose(read.values, made.values)


def test_waterfall_adds_up_to_the_whole():
    table = examples.weekly(("north", "ALL"))
    figure = plot.decomposition(table, outcome="sales", colours=COLOURS)
    bars = figure.axes[0].patches
    totals = wide(table[table["geo"] == "ALL"]).sum()
    names = ["baseline", "seasonality", "controls", *examples.CHANNELS]
    shares = totals[names].to_numpy() / totals["fitted_mean"]
    np.testing.assert_allclose([b.get_width() for b in bars], [*shares, 1.0])
    starts = np.cumsum(shares) - shares
    np.testing.assert_allclose([b.get_x() for b in bars], [*starts, 0.0], atol=1e-12)
    assert sum(shares) == pytest.approx(1.0)
    labels = [t.get_text() for t in figure.axes[0].get_yticklabels()]
    assert labels == [*names, "fitted mean"]
    assert [to_hex(b.get_facecolor()).upper() for b in bars[3:6]] == list(COLOURS.values())


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
    assert media.returns(table).channels == ["TV", "Search"]
    table["channel"] = ["Search", "TV", "Mail"]  # colours follow the channel, not the row
    figure = plot.roas(table, marginal=False, colours=COLOURS)
    dots = [line for line in figure.axes[0].lines if line.get_marker() == "o"]
    assert [dot.get_color() for dot in dots] == [PALETTE[1], PALETTE[0]]


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
    one = media.curve_of(examples.curves(), "Mail")
    assert not one.paid
    assert (one.today, one.largest) == (2.0, 8.0)
    figure = plot.curve(examples.curves(), "Mail")
    assert figure.axes[0].get_xlabel() == "media a period"


@pytest.mark.parametrize("width", [4.0, 9.0])
def test_curves_has_a_cell_a_channel_and_one_for_the_legend(width):
    figure = plot.curves(examples.curves(), width=width)
    titles = [axes.get_title(loc="left") for axes in figure.axes if axes.axison]
    assert titles == examples.CHANNELS
    assert figure.axes[3].get_legend() is not None


def test_curves_of_several_geos_must_be_chosen():
    found = examples.curves()
    several = found.reindex(geo=["north", "south"], fill_value=1.0)
    with pytest.raises(InputError, match="total=True"):
        media.curve_of(several, "TV")
    assert media.curve_of(several, "TV", "south").paid
