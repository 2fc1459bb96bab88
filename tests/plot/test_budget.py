"""What is drawn of a plan."""

import numpy as np
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
