import numpy as np
import pytest
from arviz_stats.base import array_stats
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import norm

from mmmjax import metrics


def crps_pairs(y, draws):
    """The definition, all pairs of draws: O(n^2)."""
    near = np.mean([abs(x - y) for x in draws])
    apart = np.mean([[abs(a - b) for b in draws] for a in draws])
    return near - apart / 2


def regression_vif(table):
    """One least-squares regression per column, on all others and a constant."""
    factors = []
    for j in range(table.shape[1]):
        others = np.column_stack([np.ones(len(table)), np.delete(table, j, 1)])
        fitted = others @ np.linalg.lstsq(others, table[:, j])[0]
        left = np.sum((table[:, j] - fitted) ** 2)
        factors.append(np.sum((table[:, j] - table[:, j].mean()) ** 2) / left)
    return np.array(factors)


@pytest.mark.parametrize("samples", [1, 2, 7, 50])
def test_crps_agrees_with_all_pairs(samples):
    rng = np.random.default_rng(samples)
    draws, y = rng.normal(size=(samples, 3, 2)), rng.normal(size=(3, 2))
    oracle = [[crps_pairs(y[i, j], draws[:, i, j]) for j in range(2)] for i in range(3)]
    np.testing.assert_allclose(metrics.crps_cells(y, draws), oracle, rtol=1e-12)
    assert metrics.crps(y, draws) == pytest.approx(np.mean(oracle))


def test_crps_of_a_normal_has_a_closed_form():
    quantiles = norm.ppf((np.arange(20_000) + 0.5) / 20_000)
    for y in (-1.0, 0.0, 2.5):
        exact = y * (2 * norm.cdf(y) - 1) + 2 * norm.pdf(y) - 1 / np.sqrt(np.pi)
        assert metrics.crps([y], quantiles[:, None]) == pytest.approx(exact, abs=1e-4)


@given(shift=st.floats(-1e6, 1e6), factor=st.floats(1e-3, 1e6))
def test_crps_moves_with_units_and_not_with_origin(shift, factor):
    rng = np.random.default_rng(0)
    draws, y = rng.normal(size=(40, 3)), rng.normal(size=3)
    moved = metrics.crps_cells(factor * y + shift, factor * draws + shift)
    expected = factor * metrics.crps_cells(y, draws)
    np.testing.assert_allclose(moved, expected, rtol=1e-6, atol=1e-9 * abs(shift))


def test_crps_ignores_missing_observations():
    draws = np.random.default_rng(0).normal(size=(30, 4))
    y = np.array([0.0, np.nan, 1.0, np.nan])
    assert np.isnan(metrics.crps_cells(y, draws)).tolist() == [False, True, False, True]
    known = metrics.crps(y[[0, 2]], draws[:, [0, 2]])
    assert metrics.crps(y, draws) == pytest.approx(known)
    assert np.isnan(metrics.crps([np.nan], draws[:, :1]))


def test_crps_refuses_other_shapes():
    with pytest.raises(ValueError, match=r"draws \(5, 3\) must be \(sample, \*\(2,\)\)"):
        metrics.crps(np.zeros(2), np.zeros((5, 3)))


@pytest.mark.parametrize("prob", [0.5, 0.89, 0.94])
def test_hdi_agrees_with_arviz(prob):
    draws = np.random.default_rng(1).gamma(2.0, size=(401, 2, 5))
    low, high = metrics.hdi(draws, prob)
    expected = array_stats.hdi(draws, prob, axis=0)
    np.testing.assert_array_equal(np.stack([low, high], -1), expected)


def test_hdi_agrees_with_arviz_across_blocks():
    draws = np.random.default_rng(2).normal(size=(4000, 2000)).astype(np.float32)
    low, high = metrics.hdi(draws)
    some = [0, 1, 998, 999, 1000, 1001, 1999]
    expected = array_stats.hdi(draws[:, some].astype(float), 0.94, axis=0)
    np.testing.assert_array_equal(np.stack([low[some], high[some]], -1), expected)


@pytest.mark.parametrize("prob", [0.3, 0.94])
def test_hdi_in_single_precision_is_of_the_same_draws(prob):
    draws = np.random.default_rng(6).normal(size=(500, 300)).astype(np.float32)
    draws[3, 5] = np.nan
    found = [metrics.hdi(x, prob) for x in (draws, draws.astype(float))]
    np.testing.assert_array_equal(*found)


def test_hdi_takes_any_axis_and_keeps_missing_cells_missing():
    draws = np.random.default_rng(3).normal(size=(3, 100))
    draws[1, 7] = np.nan
    low, high = metrics.hdi(draws, 0.8, axis=1)
    assert np.isnan(low).tolist() == np.isnan(high).tolist() == [False, True, False]
    np.testing.assert_array_equal(low, metrics.hdi(draws.T, 0.8)[0])


@given(prob=st.floats(0.05, 0.95))
def test_hdi_holds_its_share_and_no_interval_is_narrower(prob):
    draws = np.random.default_rng(4).exponential(size=200)
    low, high = metrics.hdi(draws, prob)
    assert ((draws >= low) & (draws <= high)).mean() >= prob
    centre = np.quantile(draws, [(1 - prob) / 2, (1 + prob) / 2], method="linear")
    assert high - low <= centre[1] - centre[0] + np.diff(np.sort(draws)).max()


@pytest.mark.parametrize("prob", [0.0, 1.0, 0.001])
def test_hdi_without_an_interval_is_refused(prob):
    with pytest.raises(ValueError, match=r"^prob: got"):
        metrics.hdi(np.zeros(50), prob)


def test_coverage_counts_observations_inside():
    draws = np.random.default_rng(5).normal(size=(4000, 3))
    assert metrics.coverage([0.0, 5.0, np.nan], draws) == 0.5
    rng = np.random.default_rng(6)
    draws, y = rng.normal(size=(1000, 1500)), rng.normal(size=1500)
    # a share of 1,500 has standard error 0.0061; four of them fail once in 16,000 seeds
    assert metrics.coverage(y, draws, 0.94) == pytest.approx(0.94, abs=0.025)


def test_r2_and_mape_by_hand():
    y, mean = np.array([1.0, 2.0, 4.0, np.nan]), np.array([1.5, 2.0, 3.0, 7.0])
    assert metrics.r2(y, mean) == pytest.approx(1 - 1.25 / (14 / 3))
    assert metrics.mape(y, mean) == pytest.approx((0.5 + 0 + 0.25) / 3)
    assert metrics.mape([0.0, 2.0], [1.0, 1.0]) == 0.5
    assert metrics.r2(y, np.full(4, 7 / 3)) == pytest.approx(0)
    assert np.isnan(metrics.r2([2.0, 2.0], [1.0, 2.0]))
    with pytest.raises(ValueError, match="must have the shape"):
        metrics.r2(y, mean[:2])


@given(seed=st.integers(0, 1000))
def test_vif_agrees_with_regressions(seed):
    rng = np.random.default_rng(seed)
    table = rng.normal(size=(40, 4)) @ rng.normal(size=(4, 4)) + rng.normal(size=4)
    np.testing.assert_allclose(metrics.vif(table), regression_vif(table), rtol=1e-6)


def test_vif_is_infinite_exactly_where_others_determine_a_column():
    rng = np.random.default_rng(7)
    a, b, c = rng.normal(size=(3, 50))
    table = np.column_stack([a, b, 3 - 2 * a, c, np.full(50, 5.0)])
    assert np.isinf(metrics.vif(table)).tolist() == [True, False, True, False, True]
    free = metrics.vif(np.column_stack([a, b, c]))
    np.testing.assert_allclose(metrics.vif(table)[[1, 3]], free[1:], rtol=1e-9)


@given(scale=st.floats(1e-6, 1e6))
def test_collinearity_does_not_depend_on_units(scale):
    table = np.random.default_rng(8).normal(size=(30, 3))
    units = table * [1, scale, 1] + [0, 10 * scale, 0]
    np.testing.assert_allclose(metrics.vif(units), metrics.vif(table), rtol=1e-6)
    condition = metrics.condition_number(units)
    assert condition == pytest.approx(metrics.condition_number(table), rel=1e-6)


def test_condition_number():
    x = np.array([[1.0, 1.0], [1.0, -1.0], [-1.0, 1.0], [-1.0, -1.0]])
    assert metrics.condition_number(x) == pytest.approx(1)
    mixed = x @ np.array([[1.0, 0.6], [0.0, 0.8]])  # correlation 0.6
    assert metrics.condition_number(mixed) == pytest.approx(np.sqrt(1.6 / 0.4))
    assert metrics.condition_number(x[:, [0, 0]]) == np.inf
    assert metrics.condition_number(np.ones((2, 3))) == np.inf
    assert metrics.condition_number(np.zeros((4, 0))) == 1


def test_dependences_name_the_columns():
    rng = np.random.default_rng(9)
    a, b, c = rng.normal(size=(3, 60))
    table = np.column_stack([a, b, c])
    assert metrics.dependences(table) == ()
    found = metrics.dependences(np.column_stack([table, 5 * b]))
    assert len(found) == 1
    assert {found[0].column, *found[0].others} == {1, 3}
    found = metrics.dependences(np.column_stack([table, 2 * a - c + 7]))
    assert len(found) == 1
    assert {found[0].column, *found[0].others} == {0, 2, 3}


def test_dependences_count_the_intercept():
    season = np.eye(4)[np.arange(40) % 4]  # dummies of all four seasons add up to one
    assert len(metrics.dependences(season)) == 1
    assert metrics.dependences(season[:, :3]) == ()
    assert metrics.dependences(np.ones((5, 1))) == (metrics.Dependence(0, ()),)
    assert metrics.dependences(np.zeros((0, 2))) == ()


@pytest.mark.parametrize(
    ("values", "largest"),
    [
        ([3.0, 1.0, 2.0], 3.0),
        ([10.0, 4.0, 1.0], 4.0),  # 2.5 times
        ([9.99, 4.0, 1.0], 9.99),
        ([50.0, 50.0, 1.0], 50.0),  # two of a kind are no accident
        ([7.0, 0.0, 0.0], 7.0),  # on once: nothing to compare it with
        ([7.0], 7.0),
        ([np.nan, 90.0, 3.0, np.nan, 2.0], 3.0),
        ([np.nan, np.nan], -np.inf),
        ([-4.0, -1.0], -1.0),
    ],
)
def test_robust_largest(values, largest):
    assert metrics.robust_largest(values) == largest
    table = np.array([values, values]).T
    np.testing.assert_array_equal(metrics.robust_largest(table, axis=0), [largest] * 2)
