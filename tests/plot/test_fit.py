"""What is drawn of the fit: predictions against data, and the state of the draws."""

import numpy as np
from matplotlib.dates import date2num

from mmmjax import plot
from mmmjax.plot.fit import band, convergence_of
from tests.plot import examples


def test_fitted_draws_both_windows_and_tints_the_test():
    training, test = examples.forecast(), examples.forecast(6)
    axes = plot.fitted(training, test, outcome="sales").axes[0]
    for table, mean, dots in zip(
        (training, test), axes.lines[0:4:2], axes.lines[1:4:2], strict=True
    ):
        np.testing.assert_allclose(mean.get_ydata(), table["mean"])
        np.testing.assert_allclose(dots.get_ydata(), table["observed"])  # NaN stays a gap
        np.testing.assert_allclose(mean.get_xdata(orig=False), date2num(table["date"]))
    lows = axes.collections[1].get_paths()[0].vertices[:, 1]
    assert lows.min() == test["lo"].min()
    assert lows.max() == test["hi"].max()
    border = date2num(training["date"])[-1] + 3.5
    assert axes.patches[0].get_x() == border
    assert axes.patches[0].get_x() + axes.patches[0].get_width() == axes.get_xlim()[1]
    assert [t.get_text() for t in axes.get_legend().get_texts()][-1] == "test window"


def test_fitted_without_test_has_no_test_window():
    axes = plot.fitted(examples.forecast()).axes[0]
    assert len(axes.lines) == 2
    assert not axes.patches


def test_band_is_in_order_of_date_and_of_one_geo():
    table = examples.forecast().iloc[::-1].astype({"date": str})
    found = band(table)
    assert np.all(found.dates[1:] > found.dates[:-1])
    np.testing.assert_allclose(found.mean, 100 + np.arange(6.0))


def test_convergence_shows_what_is_outside_the_limits():
    found = convergence_of(examples.parameters())
    assert found.names == ["intercept", "saturation_beta[TV]", "saturation_beta[Search]"]
    np.testing.assert_allclose(found.ess, [1500, 900, 150])
    axes = plot.convergence(examples.parameters(), chains=4).axes[0]
    good, bad = axes.lines[:2]
    np.testing.assert_allclose(good.get_xydata(), [[1500, 1.001], [900, 1.002]])
    np.testing.assert_allclose(bad.get_xydata(), [[150, 1.03]])
    assert axes.get_ylim()[1] > 1.03
    assert "saturation_beta[Search]" in [t.get_text() for t in axes.texts]
    labels = [t.get_text() for t in axes.get_legend().get_texts()]
    assert labels[-1] == "R-hat at most 1.01, ESS at least 400"


def test_convergence_of_nothing_known_is_an_empty_picture():
    axes = plot.convergence(examples.parameters().iloc[3:]).axes[0]
    assert not any(len(line.get_xdata()) for line in axes.lines[:2])
