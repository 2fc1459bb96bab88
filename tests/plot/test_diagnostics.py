"""What is drawn of draws: traces, ranks, energies; and of residuals."""

import numpy as np
import pytest
from matplotlib.colors import to_hex

from mmmjax import plot
from mmmjax.checks import InputError
from mmmjax.plot.canvas import APART
from mmmjax.plot.diagnostics import energy_of, ranks_of, residuals_of
from tests.plot import examples


def texts(legend):
    return [t.get_text() for t in legend.get_texts()]


def test_trace_holds_the_draws_of_every_chain_and_marks_divergences():
    draws, bad = examples.draws(), np.zeros((2, 300), bool)
    bad[0, 7] = bad[1, 250] = True
    figure = plot.trace(draws, ["intercept", "adstock_alpha[Mail]"], diverging=bad)
    left, right = figure.axes[:2]
    assert left.get_title(loc="left") == "intercept"
    assert len(left.lines) == 2
    for chain, line in zip(draws["intercept"].to_numpy(), right.lines[:2], strict=True):
        np.testing.assert_array_equal(line.get_ydata(), chain)
    for axes in figure.axes[1::2]:
        assert axes.lines[2].get_xdata().tolist() == [7, 250]
        assert axes.lines[2].get_color() == APART
    assert texts(figure.legends[0])[-1] == "divergence (2 of 600 transitions)"


def test_trace_without_divergences_says_nothing_of_them():
    figure = plot.trace(examples.draws(), ["intercept"])
    assert len(figure.axes[1].lines) == 2
    assert texts(figure.legends[0]) == ["chain 1", "chain 2"]


def test_ranks_count_each_chains_place_among_all_draws():
    values = np.random.default_rng(0).normal(size=(3, 40))
    found = ranks_of(values, bins=8)
    order = {v: i for i, v in enumerate(sorted(values.ravel()))}
    for chain, counts in zip(values, found.counts, strict=True):
        expected = [0] * 8
        for v in chain:
            expected[order[v] * 8 // 120] += 1
        assert counts.tolist() == expected
    assert found.expected == 5.0
    assert found.lo < 5.0 < found.hi
    assert found.counts.sum() == 120


def test_ranks_of_equal_chains_lie_in_the_band_and_a_shift_does_not():
    values = np.random.default_rng(1).normal(size=(4, 1000))
    same = ranks_of(values)
    inside = (same.counts >= same.lo) & (same.counts <= same.hi)
    assert inside.mean() > 0.85  # 0.94 expected of 80 counts
    moved = ranks_of(values + np.array([[0.0], [0], [0], [2.0]]))
    assert moved.counts[3, -1] > 3 * moved.expected
    assert moved.counts[3, 0] < moved.lo


def test_ranks_of_ties_and_of_few_draws():
    tied = ranks_of(np.zeros((2, 10)), bins=20)
    assert tied.counts.sum() == 20
    assert tied.counts.shape == (2, 10)


def test_rank_plot_holds_the_counts():
    draws = examples.draws()
    figure = plot.ranks(draws, ["adstock_alpha"], bins=10)
    cells = [ax for ax in figure.axes if ax.axison]
    assert [ax.get_title(loc="left") for ax in cells] == [
        f"adstock_alpha[{name}]" for name in examples.CHANNELS
    ]
    found = ranks_of(draws["adstock_alpha"].sel(channel="Search").to_numpy(), 10)
    for counts, steps in zip(found.counts, cells[1].patches[1:], strict=True):
        np.testing.assert_array_equal(steps.get_data().values, counts)
    assert cells[1].patches[0].get_y() == found.lo


def test_energy_is_centred_and_slow_chains_have_a_low_bfmi():
    rng = np.random.default_rng(2)
    slow = np.cumsum(rng.normal(size=4000))
    energies = np.stack([slow - slow.mean(), rng.normal(0, slow.std(), 4000)]) + 1e4
    found = energy_of(energies)
    expected = [np.mean(np.diff(e) ** 2) / np.var(e, ddof=1) for e in energies]
    np.testing.assert_allclose(found.bfmi, expected)
    assert found.bfmi[0] < 0.3 < 1.5 < found.bfmi[1]
    middle = np.average(found.marginal.at, weights=found.marginal.height)
    assert abs(middle) < 0.1 * slow.std()
    axes = plot.energy(energies).axes[0]
    np.testing.assert_array_equal(axes.lines[0].get_ydata(), found.marginal.height)
    np.testing.assert_array_equal(axes.lines[1].get_xdata(), found.transition.at)
    assert f"{expected[1]:.2f} (0.3 or more is wanted)" in axes.get_title(loc="left")


def test_residuals_and_the_lags_beyond_the_bound():
    found = residuals_of(examples.residuals())
    assert found.lag.tolist() == [1, 2, 3]
    assert found.outside.tolist() == [False, True, False]
    figure = plot.residuals(examples.residuals(), outcome="sales", period="week")
    over, lasting = figure.axes
    np.testing.assert_array_equal(over.lines[1].get_ydata(), found.values)  # NaN is a gap
    bars = [segment[:, 1].tolist() for segment in lasting.collections[0].get_segments()]
    assert bars == [[0.0, 0.1], [0.0, -0.6], [0.0, 0.2]]
    paint = [to_hex(x) == APART.lower() for x in lasting.collections[0].get_colors()]
    assert paint == [False, True, False]
    assert lasting.patches[0].get_height() == pytest.approx(0.8)
    assert lasting.get_xlabel() == "lag, weeks"
    assert texts(figure.legends[0])[-1] == "beyond it: 1 of 3 lags"


def test_residuals_of_several_geos_must_be_chosen():
    several = examples.residuals().reindex(geo=["north", "south"], fill_value=0.0)
    with pytest.raises(InputError, match="total=True"):
        plot.residuals(several)
    assert plot.residuals(several, geo="south", width=4.0)
