"""The seasonal naive forecast against its definition, cell by cell."""

import numpy as np

from mmmjax.backtesting import baselines


def naive_oracle(y, cut, t, season, low):
    """One cell by the definition: draws and the lag used."""
    for lag in range(season, t + 1, season):
        errors = [y[s] - y[s - lag] for s in range(lag, cut)]
        errors = np.array([e for e in errors if np.isfinite(e)])
        if t - lag < cut and np.isfinite(y[t - lag]) and errors.size >= 8:
            draws = np.concatenate([y[t - lag] + errors, y[t - lag] - errors])
            return np.maximum(draws, low)
    return None


def test_naive_forecast_is_a_year_ago_with_its_past_errors():
    rng = np.random.default_rng(1)
    y = rng.uniform(20, 120, (2, 60))
    y[0, 35] = np.nan
    cut, season = 48, 10
    target = slice(40, 60)
    got = baselines.seasonal_naive(y, cut, target, season, lambda x: np.maximum(x, 0.0))
    assert got.shape == (4, 2, 20)
    for g in range(2):
        for i, t in enumerate(range(40, 60)):
            draws = naive_oracle(y[g], cut, t, season, 0.0)
            np.testing.assert_allclose(got[0, g, i], draws.mean())
            from_formula = (
                np.abs(draws - y[g, t]).mean() - 0.5 * np.abs(draws[:, None] - draws).mean()
            )
            np.testing.assert_allclose(got[3, g, i], from_formula)
    later = y.copy()
    later[:, cut:] = 1e6
    again = baselines.seasonal_naive(
        later, cut, target, season, lambda x: np.maximum(x, 0.0)
    )
    np.testing.assert_array_equal(got[:3], again[:3])


def test_naive_forecast_needs_a_year_and_errors():
    y = np.arange(30.0)[None]
    assert np.isnan(baselines.seasonal_naive(y, 20, slice(20, 30), 25)).all()
    assert np.isnan(baselines.seasonal_naive(y, 20, slice(20, 30), 13)).all()  # 7 errors
    assert np.isfinite(baselines.seasonal_naive(y, 20, slice(20, 30), 12)).all()
