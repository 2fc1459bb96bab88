"""The Fourier features: their definition, period, order and door."""

import math

import numpy as np
import pandas as pd
import pytest

from mmmjax.checks import InputError
from mmmjax.kernels import seasonality

WEEKS = pd.date_range("2014-08-03", periods=209, freq="7D")


@pytest.mark.parametrize("order", [1, 2, 5])
def test_matches_definition(order):
    found = seasonality.Fourier(order).features(WEEKS)
    assert found.shape == (2 * order, len(WEEKS))
    assert found.dtype == np.float64
    for t, date in enumerate(WEEKS):
        p = date.timetuple().tm_yday / 365.25
        for n in range(1, order + 1):
            assert found[n - 1, t] == pytest.approx(
                math.sin(2 * math.pi * n * p), abs=1e-12
            )
            cosine = math.cos(2 * math.pi * n * p)
            assert found[order + n - 1, t] == pytest.approx(cosine, abs=1e-12)


def test_same_day_has_same_features_every_year():
    dates = pd.DatetimeIndex(["2015-02-01", "2016-02-01", "2017-02-01"])
    found = seasonality.Fourier(5).features(dates)
    np.testing.assert_array_equal(found, found[:, :1].repeat(3, axis=1))


def test_leap_years_end_on_day_366():
    last = seasonality.Fourier(1).features(pd.DatetimeIndex(["2016-12-31"]))
    np.testing.assert_allclose(last[0, 0], np.sin(2 * np.pi * 366 / 365.25))


def test_names_follow_the_order_of_the_features():
    assert seasonality.names(2) == ("sin_1", "sin_2", "cos_1", "cos_2")
    assert seasonality.Fourier(5).names()[5] == "cos_1"


@pytest.mark.parametrize(
    ("bad", "fix"),
    [*((bad, "seasonality=None") for bad in (0, -2, 1.5, None)),
     ("2", "write 2 without quotation marks")],
)  # fmt: skip
def test_record_refuses_orders_that_are_none(bad, fix):
    with pytest.raises(InputError, match=f"seasonality order.*{fix}"):
        seasonality.Fourier(order=bad)


@pytest.mark.parametrize(
    ("freq", "most"),
    [("D", 182), ("B", 130), ("W-SUN", 26), ("2W-SUN", 13), ("MS", 5), ("ME", 5),
     ("QS-JAN", 1), ("YS-JAN", 0), ("6MS", 0)],
)  # fmt: skip
def test_periods_show_fewer_waves_than_half_their_number(freq, most):
    """One wave more is a wave of lower order at these dates, or none at all."""
    assert seasonality.most_pairs(freq) == most


def test_auto_is_a_choice():
    assert seasonality.Fourier(2) != seasonality.Fourier(2, auto=True)
    with pytest.raises(InputError, match="seasonality auto"):
        seasonality.Fourier(2, auto=1)
