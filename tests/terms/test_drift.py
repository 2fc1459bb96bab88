"""The basis of a drift against the covariance that it stands for."""

import numpy as np
import pandas as pd
import pytest

import mmmjax as mm
from mmmjax.terms import Drift, Frame
from tests.fits import make_panel

pytestmark = pytest.mark.usefixtures("x64")


def arrays(term, start=0, periods=50, n_train=50):
    dates = pd.date_range("2024-01-01", periods=periods, freq="W-MON")
    frame = Frame(make_panel(), None, dates, start, n_train)
    return {name: values for name, (values, _) in term.inputs(frame).items()}


def weights(term, length, scale, x):
    """Functions times their roots of the spectral density, one row a coordinate."""
    rows = []
    for k in range(term.basis):
        offset = np.eye(term.basis)[k][None]
        p = {"drift_length": [length], "drift_scale": [scale], "drift_offset": offset}
        rows.append(np.asarray(term({n: np.array(v) for n, v in p.items()}, x))[0])
    return np.array(rows)


@pytest.mark.parametrize("length", [0.22, 0.3, 0.45])
def test_covariance_is_squared_exponential(length):
    """Within 1 per cent of the variance, as Riutort-Mayol et al. ask of a good basis."""
    term = Drift()
    rows = weights(term, length, 0.3, arrays(term))
    t = np.arange(50) / 49
    exact = 0.09 * np.exp(-0.5 * ((t[:, None] - t) / length) ** 2)
    np.testing.assert_allclose(rows.T @ rows, exact, atol=0.01 * 0.09)


@pytest.mark.parametrize("kernel", ["matern32", "matern52"])
def test_covariance_is_matern(kernel):
    """Within 2 per cent of the variance, with functions enough for the rougher one."""
    term = Drift(basis=60, kernel=kernel)
    rows = weights(term, 0.3, 0.3, arrays(term))
    t = np.arange(50) / 49
    far = np.abs(t[:, None] - t) / 0.3
    r = np.sqrt(3 if kernel == "matern32" else 5) * far
    exact = 0.09 * np.exp(-r) * (1 + r + (r**2 / 3 if kernel == "matern52" else 0))
    np.testing.assert_allclose(rows.T @ rows, exact, atol=0.02 * 0.09)


def test_it_goes_back_to_nothing_after_a_window():
    term = Drift()
    late = arrays(term, start=50, periods=100)
    there = np.abs(weights(term, 0.3, 1.0, late)).max(0)
    assert there[0] > 0.3
    np.testing.assert_allclose(there[50:], 0.0, atol=1e-12)


@pytest.mark.parametrize("given", [{"basis": 0}, {"basis": 2.5}, {"edge": 0.5}])
def test_what_is_no_basis_is_refused(given):
    with pytest.raises(mm.InputError, match=next(iter(given))):
        Drift(**given)
