"""What is drawn of the fit: predictions against data, and the state of the draws."""

import numpy as np
import pytest
from matplotlib.dates import date2num

from mmmjax import plot
from mmmjax.checks import InputError
from mmmjax.plot.fit import band, convergence_of, forecast_of
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


def test_bands_of_draws_are_the_narrowest_intervals():
    found = examples.predicted()
    part = band(found)
    draws = found["outcome"].to_numpy()[:, :, 0].reshape(400, 6)
    np.testing.assert_allclose(part.mean, draws.mean(0))
    for lo, hi, prob in ((part.lo, part.hi, 0.94), (*part.inner, 0.5)):
        for t in range(6):
            x, inside = np.sort(draws[:, t]), int(prob * 400)
            best = min(range(400 - inside), key=lambda i: x[i + inside] - x[i])
            assert (lo[t], hi[t]) == (x[best], x[best + inside])
    numbers = np.stack([part.mean, part.lo, part.hi])[:, None]
    summary = found.assign(outcome=(("summary", "geo", "date"), numbers))
    summary = summary.assign_coords(summary=["mean", "lo", "hi"])
    again = band(summary)
    np.testing.assert_allclose(again.hi, part.hi)
    assert again.inner is None


def test_fitted_of_draws_has_a_band_within_the_band():
    axes = plot.fitted(examples.predicted(), examples.predicted(6)).axes[0]
    wide, inner = (x.get_paths()[0].vertices[:, 1] for x in axes.collections[:2])
    part = band(examples.predicted())
    assert (wide.min(), wide.max()) == (part.lo.min(), part.hi.max())
    assert (inner.min(), inner.max()) == (part.inner.min(), part.inner.max())
    labels = [t.get_text() for t in axes.get_legend().get_texts()]
    assert labels[2:] == ["94% of predictions", "50% of predictions", "test window"]


def test_prior_predictive_says_how_much_of_the_data_it_allows():
    found = examples.predicted()
    observed = found["observed"].to_numpy().copy()
    observed[0, :2] = 1000.0
    found["observed"] = (("geo", "date"), observed)
    axes = plot.prior_predictive(found, outcome="sales").axes[0]
    assert axes.get_title(loc="left").startswith("60% of the observations")  # 3 of 5 known
    np.testing.assert_array_equal(axes.lines[1].get_ydata(), found["observed"][0])


def test_forecast_is_scored_over_what_was_observed():
    table = examples.forecast(6)
    table.loc[0, "observed"] = 200.0
    found = forecast_of(band(table))
    assert found.outside.tolist() == [True, False, False, False, False, False]
    assert found.coverage == pytest.approx(4 / 5)
    known = table.dropna()
    assert (found.observed, found.predicted) == (
        known["observed"].sum(),
        known["mean"].sum(),
    )
    errors = np.abs(known["observed"] - known["mean"]) / known["observed"]
    assert found.mape == pytest.approx(errors.mean())


def test_forecast_zooms_on_the_test_window_and_rings_what_is_outside():
    table = examples.forecast(6)
    table.loc[0, "observed"] = 200.0
    axes = plot.forecast(table, examples.forecast(), before=2, outcome="sales").axes[0]
    before, test = axes.lines[0], axes.lines[2]
    assert before.get_ydata().tolist() == [104, 105]
    np.testing.assert_allclose(test.get_ydata(), table["mean"])
    rings = [line for line in axes.lines if line.get_markersize() == 9]
    assert [line.get_ydata().tolist() for line in rings] == [[200.0]]
    border = date2num(examples.forecast()["date"])[-1] + 3.5
    assert axes.patches[0].get_x() == border
    said = axes.get_title(loc="left").replace("\n", " ")
    assert said.startswith("Total: 513 forecast, 615 observed (-16.6%). 80% of the")
    assert len(plot.forecast(table).axes[0].patches) == 0


def test_forecast_of_the_future_has_nothing_to_score():
    table = examples.forecast(6).assign(observed=np.nan)
    assert np.isnan(forecast_of(band(table)).mape)
    assert plot.forecast(table).axes[0].get_title(loc="left") == ""
    with pytest.raises(InputError, match="at least one period"):
        plot.forecast(table.head(0))


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
