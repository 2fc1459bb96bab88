"""What is drawn of the best split of each draw, and of what knowing more is worth."""

import numpy as np
import pytest
import xarray as xr

from mmmjax import plot
from mmmjax.checks import InputError
from mmmjax.plot import picture
from mmmjax.plot.knowledge import best_of

RNG = np.random.default_rng(0)
DRAWS = RNG.gamma(5.0, [100.0, 400.0], (300, 2))
NAMES = ["TV", "Search"]


def test_the_widest_channel_is_named():
    figure = plot.best_splits(DRAWS, channels=NAMES, plan={"TV": 300.0}, currency="EUR")
    (title,) = figure.to_dict()["title"]["text"]
    assert title.startswith("Search is the least settled: best at ")
    assert title.endswith(" EUR")
    rows = figure.layer[1].data
    np.testing.assert_array_equal(rows["plan"], [300.0, np.nan])
    violins = figure.layer[0].data
    for row, column in enumerate(DRAWS.T):
        own = violins[violins["channel"] == NAMES[row]]
        assert own["at"].min() == column.min()
        assert own["at"].max() == column.max()
        np.testing.assert_allclose((own["row"] + own["end"]) / 2, row)
        assert (own["end"] - own["row"]).max() == pytest.approx(0.84)
        inside = (column >= rows["lo"][row]) & (column <= rows["hi"][row])
        assert inside.mean() == pytest.approx(0.94, abs=0.01)
    assert picture.to_png(figure).startswith(b"\x89PNG")


def test_geos_are_summed():
    found = xr.DataArray(
        np.stack([DRAWS, 2 * DRAWS], 1),
        {"geo": ["a", "b"], "channel": NAMES},
        ("draw", "geo", "channel"),
    )
    for draws, column in zip(best_of(found).values(), DRAWS.T, strict=True):
        np.testing.assert_allclose(draws, 3 * column)


def test_one_best_split_for_all_draws():
    figure = plot.best_splits(np.tile([10.0, 20.0], (5, 1)), channels=NAMES)
    assert figure.to_dict()["title"]["text"] == ["Every draw has the same best split"]


@pytest.mark.parametrize("draws", [np.ones((1, 2)), np.ones(4), np.ones((4, 3))])
def test_arrays_that_do_not_fit_are_refused(draws):
    with pytest.raises(InputError, match="optimum"):
        plot.best_splits(draws, channels=NAMES)


def test_bars_of_the_value_of_knowing_are_in_order():
    given = {"TV": 10.0, "Search": 300.0, "Mail": 0.0}
    colours = plot.channel_colours(list(given))
    figure = plot.value_of_knowing(
        given, error={"TV": 1.0}, total=400.0, outcome="sales", colours=colours
    )
    words = figure.to_dict()["title"]
    assert words["text"] == ["Learning about Search is worth most: 300 sales"]
    assert "Knowing everything: 400 sales" in " ".join(words["subtitle"])
    bars = figure.data
    assert bars["channel"].tolist() == ["Search", "TV", "Mail"]
    assert bars["worth"].tolist() == [300, 10, 0]
    assert (bars["hi"] - bars["lo"]).tolist() == [0, 4, 0]  # two errors either way
    array = xr.DataArray(list(given.values()), {"channel": list(given)}, ("channel",))
    assert plot.value_of_knowing(array).data["worth"].tolist() == [300, 10, 0]


def test_nothing_worth_knowing():
    figure = plot.value_of_knowing({"TV": 0.0, "Search": 0.0})
    title = figure.to_dict()["title"]["text"]
    assert title == ["Knowing more would not change the plan"]
    with pytest.raises(InputError, match="worth"):
        plot.value_of_knowing({})
