"""Forecast of the outcome under a plan: against plain predictions and plan responses."""

import numpy as np
import pandas as pd
import pytest

from mmmjax.budget.outcome import forecast_plan, outcome_table
from mmmjax.budget.solve import optimize
from mmmjax.checks import InputError
from mmmjax.kernels.adstock import Geometric
from mmmjax.likelihood import TruncatedNormal
from mmmjax.prediction import predict
from mmmjax.spec import Spec
from tests import fits


def make_fit(**changed):
    return fits.make_fit(2, 30, dtype=np.float64, **changed)


@pytest.fixture(scope="module")
def fit():
    return make_fit()


@pytest.fixture(scope="module")
def plan(fit):
    return optimize(fit, periods=6, bounds=(0, 3), flighting=[1, 2, 3, 0, 1, 1])


def test_it_is_the_prediction_of_a_future_table(fit, plan):
    found = forecast_plan(fit, plan, controls={"holiday": [0, 1, 0, 0, 2, 0]}, seed=5)
    panel = fit.panel
    mean = panel.media.mean(1)  # (geo, channel)
    for i in range(2):
        spend = plan.spend_by_period.to_numpy()
        if i == 0:
            spend = np.repeat(plan.reference.to_numpy()[..., None] / 6, 6, 2)
        cost = panel.spend.sum(1) / panel.media.sum(1)
        rows = [
            {"week": date, "geo": geo, "TV": spend[g, 0, t] / cost[g, 0],
             "Search": spend[g, 1, t], "Mail": mean[g, 2],
             "holiday": [0, 1, 0, 0, 2, 0][t]}
            for g, geo in enumerate(panel.geos)
            for t, date in enumerate(found.date.to_numpy())
        ]  # fmt: skip
        future = panel.read_future(pd.DataFrame(rows))
        expected = predict(fit, future, seed=5)["outcome"].to_numpy()
        expected = expected.reshape(-1, *expected.shape[2:])
        np.testing.assert_allclose(found.outcome[i], expected, rtol=1e-9)
    assert found.date[0] == panel.dates[-1] + pd.Timedelta(weeks=1)


def test_without_noise_the_gain_is_that_of_the_response():
    spec = Spec(adstock=Geometric(max_lag=1), seasonality=None,
                likelihood=TruncatedNormal(low=0.0))  # fmt: skip
    fit = make_fit(spec=spec)
    plan = optimize(fit, periods=6, bounds=(0, 3))
    found = forecast_plan(fit, plan, noise=False)
    gains = plan.response.sel(plan="optimized") - plan.response.sel(plan="reference")
    np.testing.assert_allclose(found.gain, gains, rtol=1e-9, atol=1e-9)
    assert found.probability_better == plan.probability_better
    total = found.total.to_numpy()
    np.testing.assert_allclose(found.uplift, 100 * (total[1] / total[0] - 1), rtol=1e-9)


def test_both_sides_have_the_same_luck(fit):
    same = optimize(fit, periods=6, bounds=0.0)
    found = forecast_plan(fit, same, seed=2)
    np.testing.assert_allclose(found.gain, 0.0, atol=1e-9)
    other = forecast_plan(fit, same, seed=3)
    assert not np.allclose(other.outcome, found.outcome)
    quiet = forecast_plan(fit, same, noise=False)
    assert quiet.outcome.std() < found.outcome.std()


def test_controls_and_organic_media_move_both_sides_alike(fit, plan):
    plain = forecast_plan(fit, plan, noise=False)
    moved = forecast_plan(
        fit, plan, noise=False, controls={"holiday": 1.0}, organic={"Mail": 0.0}
    )
    gamma = fit.flat()["gamma_control"][:, 0]
    assert not np.allclose(moved.total, plain.total)
    np.testing.assert_allclose(moved.gain, plain.gain, rtol=1e-8, atol=1e-8)
    only = forecast_plan(fit, plan, noise=False, controls={"holiday": 1.0})
    shift = (only.outcome - plain.outcome).to_numpy()
    expected = gamma[:, None, None] * np.asarray(fit.scale.outcome)[:, None]
    np.testing.assert_allclose(shift[0], np.broadcast_to(expected, shift[0].shape))
    mean = fit.panel.media[..., 2].mean(1)
    same = forecast_plan(
        fit, plan, noise=False, organic={"Mail": np.repeat(mean[:, None], 6, 1)}
    )
    np.testing.assert_allclose(same.outcome, plain.outcome)


def test_controls_by_date(fit, plan):
    dates = pd.date_range(fit.panel.dates[-1], periods=10, freq=fit.panel.freq)[1:]
    values = np.arange(9.0)
    frame = pd.DataFrame({"holiday": values}, index=dates)
    by_dict = forecast_plan(fit, plan, controls={"holiday": values[:6]})
    by_index = forecast_plan(fit, plan, controls=frame)
    np.testing.assert_array_equal(by_index.outcome, by_dict.outcome)
    by_column = forecast_plan(fit, plan, controls=frame.rename_axis("week").reset_index())
    np.testing.assert_array_equal(by_column.outcome, by_dict.outcome)
    both = pd.concat([frame.assign(geo=geo) for geo in fit.panel.geos])
    by_geo = forecast_plan(fit, plan, controls=both)
    np.testing.assert_array_equal(by_geo.outcome, by_dict.outcome)
    with pytest.raises(InputError, match="no row of"):
        forecast_plan(fit, plan, controls=frame.iloc[1:])
    with pytest.raises(InputError, match="two rows of"):
        forecast_plan(fit, plan, controls=pd.concat([frame, frame]))


def test_totals_and_table(fit, plan):
    found = forecast_plan(fit, plan)
    np.testing.assert_allclose(found.total, found.outcome.sum(("geo", "date")), rtol=1e-9)
    whole = forecast_plan(fit, plan, total=True)
    assert whole.outcome.dims == ("plan", "draw", "geo", "date")
    np.testing.assert_allclose(whole.total, found.total, rtol=1e-6)
    np.testing.assert_allclose(whole.spend.sum(), found.spend.sum())
    rows = outcome_table(found)
    assert list(rows.plan) == ["reference", "optimized"]
    np.testing.assert_allclose(rows.gain_mean[1], np.diff(rows.total_mean)[0], rtol=1e-9)
    assert rows.probability_better[1] == (found.gain > 0).mean()
    assert np.isnan(rows.uplift_mean[0])


def test_reference_of_ones_own(fit, plan):
    spend = plan.spend_by_period.to_numpy()
    found = forecast_plan(fit, plan, reference=spend)
    np.testing.assert_array_equal(found.gain, 0.0)
    with pytest.raises(InputError, match="reference"):
        forecast_plan(fit, plan, reference=spend[..., :2])


@pytest.mark.parametrize(
    "more, words",
    [
        ({"controls": {"holidays": 1.0}}, 'did you mean "holiday"'),
        ({"controls": {"holiday": [1.0, 2.0]}}, "one number"),
        ({"controls": {"holiday": np.nan}}, "finite"),
        ({"organic": {"TV": 1.0}}, "organic channels"),
        ({"organic": {"Mail": -1.0}}, "at least 0"),
        ({"cost_per_unit": {"TV": 0.0}}, "above 0"),
        ({"seed": -1}, "seed"),
    ],
)
def test_errors_at_the_door(fit, plan, more, words):
    with pytest.raises(InputError, match=words):
        forecast_plan(fit, plan, **more)


def test_a_plan_of_another_fit_is_refused(plan):
    with pytest.raises(InputError, match="geos"):
        forecast_plan(make_fit(panel=fits.make_panel(geos=("north",))), plan)
    with pytest.raises(InputError, match="follows training"):
        forecast_plan(make_fit(panel=fits.make_panel(periods=14)), plan)
