"""What is drawn of the outcome and its components: stacks, waterfalls."""

import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_hex
from matplotlib.dates import date2num

from mmmjax import plot
from mmmjax.plot import media
from mmmjax.plot.canvas import REST
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


def test_waterfall_of_decomposition_csv_has_its_intervals():
    table = examples.decomposition(("north", "ALL"))
    figure = plot.decomposition(table, outcome="sales", colours=COLOURS)
    axes = figure.axes[0]
    rows = table[table["geo"] == "ALL"].set_index("component")
    names = ["baseline", "controls", *examples.CHANNELS]
    shares = rows.loc[names, "share_mean"].to_numpy()
    np.testing.assert_allclose([b.get_width() for b in axes.patches], [*shares, 1.0])
    starts = np.cumsum(shares) - shares
    lefts = [b.get_x() for b in axes.patches][:-1]
    np.testing.assert_allclose(lefts, starts, atol=1e-12)
    spans = np.array([line[:, 0] for line in axes.collections[0].get_segments()])
    np.testing.assert_allclose(spans[:, 0], starts + rows.loc[names, "share_lo"])
    np.testing.assert_allclose(spans[:, 1], starts + rows.loc[names, "share_hi"])
    texts = [t.get_text() for t in axes.texts]
    assert {"30.0%", "26.0% to 34.0%", "-5.0%", "100.0%", "1,000"} <= set(texts)


def test_both_tables_of_a_decomposition_agree():
    weekly = examples.weekly()
    totals = wide(weekly).sum().drop("fitted_mean")
    table = examples.decomposition().set_index("component")
    table["share_mean"] = totals / totals.sum()
    table["total_mean"] = totals
    table = table.dropna().reset_index()
    some = weekly[weekly["component"].isin([*table["component"], "fitted_mean"])]
    one, other = media.decompose(some), media.decompose(table)
    assert one.names == other.names
    np.testing.assert_allclose(one.totals, other.totals)
    np.testing.assert_allclose(one.shares, other.shares)
