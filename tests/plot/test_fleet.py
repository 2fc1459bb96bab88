"""Pictures of a fleet draw the numbers of its tables."""

import numpy as np
import pytest

import mmmjax as mm
from mmmjax.plot.bins import bins
from tests.fleet.examples import channels_of, fleet


@pytest.fixture(scope="module")
def returns():
    table, channels = fleet(14)
    return mm.fleet_returns(channels, table)


def test_a_forest_has_both_intervals_of_every_market(returns):
    figure = mm.plot.fleet_forest(returns, "Search", truth={"market 03": 1.3})
    (ax,) = figure.axes
    rows = returns.markets[returns.markets.channel == "Search"]
    rows = rows.sort_values("roas_mean", ascending=False)
    names = [label.get_text() for label in ax.get_yticklabels()]
    assert names == rows.market.tolist()
    lines = [np.array(c.get_segments()) for c in ax.collections if len(c.get_paths()) == 11
             and hasattr(c, "get_segments")]  # fmt: skip
    for found, name in zip(lines, ("roas", "shrunk"), strict=True):
        ends = rows[[f"{name}_lo", f"{name}_hi"]].to_numpy()
        np.testing.assert_allclose(found[:, :, 0], ends)
    (diamond,) = [line for line in ax.lines if line.get_marker() == "D"]
    assert diamond.get_xdata() == [1.3]
    assert diamond.get_ydata() == [names.index("market 03")]
    with pytest.raises(mm.InputError, match="Serch"):
        mm.plot.fleet_forest(returns, "Serch")


def test_a_forest_of_many_markets_names_none():
    many = mm.fleet_returns(channels_of(np.linspace(0, 1, 100), np.full(100, 0.2)))
    (ax,) = mm.plot.fleet_forest(many, "TV").axes
    assert list(ax.get_yticks()) == []


def test_the_spread_has_a_row_for_each_channel(returns):
    figure = mm.plot.fleet_spread(returns, truth={"TV": 1.0}, currency="EUR")
    (ax,) = figure.axes
    rings = [line for line in ax.lines if line.get_marker() == "o"]
    np.testing.assert_allclose(
        [float(np.ravel(r.get_xdata())[0]) for r in rings], returns.channels.typical
    )
    assert "per EUR" in ax.get_xlabel()


def test_in_money_break_even_is_marked():
    table, channels = fleet(14)
    paid = mm.fleet_returns(channels, table.assign(outcome_value=0.1))
    for figure in (
        mm.plot.fleet_forest(paid, "TV", outcome="sales", currency="EUR"),
        mm.plot.fleet_spread(paid, outcome="sales", currency="EUR"),
    ):
        (ax,) = figure.axes
        assert "EUR per EUR spent" in ax.get_xlabel()
        assert [1.0, 1.0] in [list(line.get_xdata()) for line in ax.lines]
        assert ax.get_xlim()[1] >= 1.1
        legends = [*figure.legends, *filter(None, [ax.get_legend()])]
        assert "break-even" in [t.get_text() for x in legends for t in x.get_texts()]


def test_histograms_count_every_market_once():
    table, _ = fleet(30)
    figure = mm.plot.fleet_diagnostics(table)
    columns = ("r_hat", "min_ess", "seconds", "coverage")
    for ax, name in zip(figure.axes, columns, strict=True):
        heights = [bar.get_height() for bar in ax.patches]
        assert sum(heights) == table[name].notna().sum()
    empty = mm.plot.fleet_diagnostics(table.assign(coverage=np.nan))
    assert not empty.axes[3].patches


def test_bars_end_before_the_few_that_are_far_away():
    rng = np.random.default_rng(0)
    values = np.append(1 + rng.gamma(2, 0.002, 200), [1.4, 2.5])
    found = bins(values, 1.01)
    assert found.beyond == 2
    assert found.edges[-1] < 1.1
    assert found.counts.sum() == 202
    assert found.mark == 1.01
    assert bins(np.ones(5)).counts.tolist() == [5]
    assert bins(np.array([2.0, 3.0]), 1.0).mark is None
