"""What is drawn of a plan."""

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from matplotlib.colors import to_hex

from mmmjax import plot
from mmmjax.plot.budget import allocate
from tests.plot import examples


def test_allocation_sums_over_geos():
    found = allocate(examples.plan(("north", "south")))
    assert found.channels == ["TV", "Search"]
    np.testing.assert_allclose(found.reference, [200, 200])
    np.testing.assert_allclose(found.optimized, [120, 280])
    np.testing.assert_allclose(found.change, [-0.4, 0.4])


def test_bars_are_reference_and_plan_in_the_channels_colours():
    colours = plot.channel_colours(["Mail", "Search", "TV"])
    figure = plot.allocation(examples.plan(), currency="EUR", colours=colours)
    axes = figure.axes[0]
    assert [bar.get_width() for bar in axes.patches] == [100, 100, 60, 140]
    paint = [to_hex(bar.get_facecolor()).upper() for bar in axes.patches[2:]]
    assert paint == [colours["TV"], colours["Search"]]
    assert axes.get_xlabel() == "spend (EUR) over the window"
    spans = [segment[:, 0].tolist() for segment in axes.collections[0].get_segments()]
    assert spans == [[50, 150], [50, 140]]  # without a limit the line ends at the bar


def test_no_reference_has_no_change():
    table = examples.plan().assign(reference=[0.0, 100.0])
    assert np.isnan(allocate(table).change[0])
    texts = [t.get_text() for t in plot.allocation(table).axes[0].texts]
    assert "+40%" in texts
    assert not any("nan" in text for text in texts)


def test_the_title_says_which_way_money_moves():
    found = allocate(examples.plan())
    assert found.finding == "Move spend from TV to Search"
    assert found._replace(optimized=np.array([100.0, 140.0])).finding == (
        "Spend more on Search"
    )
    assert found._replace(optimized=np.array([100.0, 50.0])).finding == (
        "Spend less on Search"
    )
    assert found._replace(optimized=found.reference).finding == "Keep the split as it is"


def test_channels_at_an_end_of_their_range_are_marked():
    table = examples.plan().assign(optimized=[50.0, 140.0], upper=[150.0, 140.0])
    assert allocate(table).held == ["least", "most"]
    fixed = table.assign(lower=[50.0, 140.0], upper=[150.0, 140.0])
    assert allocate(fixed).held == ["least", "fixed"]
    assert allocate(examples.plan()).held == ["", ""]
    texts = [t.get_text() for t in plot.allocation(table).axes[0].texts]
    assert {"held at", "most", "least"} <= set(texts)
    texts = [t.get_text() for t in plot.allocation(examples.plan()).axes[0].texts]
    assert "held at" not in texts


def test_a_range_far_beyond_all_spend_is_cut():
    table = examples.plan().assign(upper=[1e9, 200.0])
    figure = plot.allocation(table)
    assert figure.axes[0].get_xlim()[1] < 1000


def test_marginal_returns_are_slopes_of_the_curves():
    found = examples.curves()  # response = 10 sqrt(level)
    plan = examples.plan().assign(reference=[40.0, 10.0], optimized=[30.0, 20.0])
    figure = plot.marginal_returns(found, plan, price=1.0, outcome="sales", period="week")
    axes = [ax for ax in figure.axes if ax.lines]
    assert [ax.get_title(loc="left") for ax in axes] == ["TV", "Search"]
    curve = axes[0].lines[0]
    level, slope = curve.get_xdata(), curve.get_ydata()
    grid = examples.curves()["spend"].sel(geo="ALL", channel="TV").to_numpy()
    chords = np.diff(10 * np.sqrt(grid)) / np.diff(grid)
    middle = 0.5 * (grid[1:] + grid[:-1])
    np.testing.assert_allclose(slope, np.interp(level, middle, chords))
    marks = [line.get_xdata()[0] for line in axes[0].lines[2:]]
    assert marks == [40.0, 30.0]
    assert axes[0].get_ylim() == axes[1].get_ylim()
    half = plot.marginal_returns(found, plan, periods=2)
    assert half.axes[0].lines[1].get_xdata()[0] == 20.0


def test_marginal_returns_far_apart_are_drawn_on_a_logarithmic_axis():
    found, plan = examples.curves(), examples.plan()
    plan = plan.assign(reference=[90.0, 40.0], optimized=[80.0, 40.0])
    assert plot.marginal_returns(found, plan).axes[0].get_yscale() == "linear"
    figure = plot.marginal_returns(found, plan, price=0.001)
    assert {ax.get_yscale() for ax in figure.axes} == {"log"}


def test_a_plan_beyond_the_curve_has_no_mark_and_is_said():
    plan = examples.plan().assign(reference=[40.0, 10.0], optimized=[400.0, 20.0])
    axes = plot.marginal_returns(examples.curves(), plan).axes
    assert [t.get_text() for t in axes[0].texts] == ["plan: beyond the curve"]
    assert not axes[1].texts


def spend(values, dated=True):
    periods = pd.date_range("2024-01-07", periods=4, freq="W") if dated else [1, 2, 3, 4]
    return xr.DataArray(
        [values], {"geo": ["g"], "channel": ["TV", "Search"], "period": periods},
        ("geo", "channel", "period"),
    )  # fmt: skip


@pytest.mark.parametrize("dated", [True, False])
def test_spend_of_periods_is_stacked_and_the_title_says_how_even(dated):
    even = spend([[10.0] * 4, [5.0] * 4], dated)
    figure = plot.flighting(even, period="week")
    assert "the same in every week" in figure.get_suptitle()
    bars = figure.axes[0].patches
    assert [bar.get_height() for bar in bars] == [10.0] * 4 + [5.0] * 4
    assert [bar.get_y() for bar in bars] == [0.0] * 4 + [10.0] * 4
    pulsed = spend([[40.0, 0.0, 0.0, 0.0], [5.0] * 4], dated)
    title = plot.flighting(pulsed, currency="EUR", period="week").get_suptitle()
    assert title == "Spend is not even: from 5 to 45 EUR a week; TV on and off"


def test_spend_of_periods_from_the_file():
    pulsed = spend([[40.0, 0.0, 10.0, 0.0], [5.0] * 4])
    table = pulsed.to_dataframe("spend").reset_index()
    table["period"] = table["period"].dt.strftime("%Y-%m-%d")
    heights = [
        [bar.get_height() for bar in plot.flighting(x).axes[0].patches]
        for x in (pulsed, table)
    ]
    assert heights[0] == heights[1]
