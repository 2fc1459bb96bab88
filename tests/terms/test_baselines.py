"""Columns of steps, changes of slope, knots and waves against closed forms."""

import dataclasses

import jax.numpy as jnp
import numpy as np
import pandas as pd
import pytest
from scipy.interpolate import BSpline

import mmmjax as mm
from mmmjax import response
from mmmjax.kernels.seasonality import phase
from mmmjax.prepare import prepare
from mmmjax.spec import Spec
from mmmjax.terms import Frame, Knots, Piecewise, Steps, Waves
from tests.fits import make_fit, make_panel
from tests.terms.test_events import panel_of

NEW = [
    Steps({"shop": "2022-02-16", "web": "2022-07-01"}, ramp=10),
    Piecewise(3),
    Knots(6),
    Waves(2, "month", name="months"),
    Waves(1, grows=True),
    mm.terms.Drift(kernel="matern32"),
]


def arrays(term, freq="W-MON", start=0, periods=60, n_train=None):
    panel = panel_of(freq, start + periods)
    frame = Frame(panel, None, panel.dates[start:], start, n_train or start + periods)
    return {n: x for n, (x, _) in term.inputs(frame).items()}, panel.dates[start:]


@pytest.mark.parametrize("ramp", [0, 1, 10])
@pytest.mark.parametrize("freq", ["D", "W-MON", "MS"])
def test_steps_are_the_days_after_them(freq, ramp):
    term = Steps({"a": "2022-02-16", "b": "2022-01-03"}, ramp=ramp)
    found, dates = arrays(term, freq, periods=12 if freq == "MS" else 60)
    step = pd.tseries.frequencies.to_offset(freq)
    for row, start in zip(found["columns"], ("2022-02-16", "2022-01-03"), strict=True):
        for t, date in enumerate(dates):
            every = pd.date_range(date, date + step, inclusive="left")
            after = [(d - pd.Timestamp(start)).days + 1 for d in every]
            mean = np.mean([min(max(k, 0) / max(ramp, 1), 1) for k in after])
            assert row[t] == pytest.approx(mean)


def test_a_slope_changes_where_it_is_said():
    found, dates = arrays(Piecewise(["2022-02-14", "2022-05-02"]))
    time = np.arange(60) / 59
    np.testing.assert_allclose(found["time"], time)
    for row, day in zip(found["since"], ("2022-02-14", "2022-05-02"), strict=True):
        at = (dates < day).sum() / 59
        np.testing.assert_allclose(row, np.maximum(time - at, 0), atol=1e-12)
    found, _ = arrays(Piecewise(4))
    places = [0.2, 0.4, 0.6, 0.8]
    wanted = np.maximum(time - np.array(places)[:, None], 0)
    np.testing.assert_allclose(found["since"], wanted, atol=1e-12)


def test_a_date_between_two_weeks_lies_between_them():
    found, dates = arrays(Piecewise(["2022-02-16"]))  # a Wednesday
    at = ((dates < "2022-02-16").sum() - 1 + 2 / 7) / 59
    np.testing.assert_allclose(
        found["since"][0], np.maximum(np.arange(60) / 59 - at, 0), atol=1e-12
    )


def test_the_last_slope_goes_on():
    term = Piecewise(5)
    later, _ = arrays(term, start=40, periods=20, n_train=40)
    p = {"piecewise_slope": jnp.array([0.3])}
    p["piecewise_change"] = jnp.array([[0.1, -0.4, 0.2, 0.5, -0.1]])
    line = np.asarray(term(p, later))[0]
    np.testing.assert_allclose(np.diff(line), (0.3 + 0.3) / 39, rtol=1e-4)


@pytest.mark.parametrize("degree", [1, 2, 3])
def test_knots_are_a_b_spline(degree):
    term = Knots(7, degree)
    found, _ = arrays(term, periods=70, n_train=50)
    rng = np.random.default_rng(0)
    steps = rng.normal(size=(2, 6))
    got = np.asarray(term({"gamma_knot": jnp.asarray(steps)}, found))
    inner = np.linspace(0, 1, 7 - degree + 1)
    places = np.concatenate([np.zeros(degree), inner, np.ones(degree)])
    for row, step in zip(got, steps, strict=True):
        level = np.concatenate([[0], np.cumsum(step)])
        spline = BSpline(places, level, degree)
        np.testing.assert_allclose(row[:50], spline(np.arange(50) / 49), atol=1e-5)
        np.testing.assert_allclose(row[50:], level[-1], atol=1e-5)  # the last level stays


@pytest.mark.parametrize("period", ["year", "quarter", "month", "week", 10, 91.25])
def test_waves_repeat_after_a_season(period):
    dates = pd.date_range("2022-01-01", "2025-12-31")
    for day, part in zip(dates, phase(dates, period), strict=True):
        length = {"year": 365.25, "week": 7}.get(period, period)
        if period == "year":
            passed = day.day_of_year
        elif period == "week":
            passed = day.day_of_week
        elif period == "month":
            passed, length = day.day - 1, day.days_in_month
        elif period == "quarter":
            whole = day.to_period("Q")
            length = (whole.end_time - whole.start_time).days + 1
            passed = (day - whole.start_time).days
        else:
            passed = (day - pd.Timestamp("1970-01-01")).days % period
        assert part == pytest.approx(passed / length)


def test_weekly_waves_have_any_day_of_the_week():
    found, dates = arrays(Waves(3, "week", name="days"), "D")
    x = np.column_stack([np.ones(60), found["fourier"].T])
    y = np.array([3.0, 1, 4, 1, 5, 9, 2])[dates.day_of_week]
    np.testing.assert_allclose(x @ np.linalg.lstsq(x, y)[0], y, atol=1e-9)


def test_a_growing_season_is_the_waves_times_one_and_time():
    found, _ = arrays(Waves(2, grows=True), start=30, periods=10, n_train=30)
    plain, _ = arrays(Waves(2), start=30, periods=10, n_train=30)
    time = np.arange(30, 40) / 29
    np.testing.assert_allclose(found["fourier"][:4], plain["fourier"])
    np.testing.assert_allclose(found["fourier"][4:], plain["fourier"] * time)


@pytest.mark.parametrize(
    ("freq", "term", "word"),
    [
        ("W-MON", Waves(3, "month", name="m"), "at most 2 pairs of monthly waves"),
        ("W-MON", Waves(1, "week", name="w"), "no weekly waves"),
        ("MS", Waves(2, "quarter", name="q"), "at most 1 pairs of quarterly waves"),
        ("D", Waves(3, 6, name="s"), "at most 2 pairs of 6-day waves"),
    ],
)
def test_what_periods_cannot_show_is_refused(freq, term, word):
    panel = panel_of(freq, 30)
    with pytest.raises(mm.InputError, match=word):
        prepare(mm.Spec(seasonality=None, terms=[term]), panel)


@pytest.mark.parametrize(
    ("make", "word"),
    [
        (lambda: Steps({}), "none"),
        (lambda: Steps({"a": "1.2.2022"}), "YYYY-MM-DD"),
        (lambda: Steps({"a": ["2022-01-01"]}), "YYYY-MM-DD"),
        (lambda: Steps({"a": "2022-01-01"}, ramp=-1), "ramp"),
        (lambda: Piecewise(0), "changes"),
        (lambda: Piecewise(["2022-01-01", "2022-01-01"]), "each once"),
        (lambda: Piecewise(["soon"]), "YYYY-MM-DD"),
        (lambda: Knots(3), "at least 4"),
        (lambda: Knots(8, degree=0), "degree"),
        (lambda: Waves(1, "monthly"), "period"),
        (lambda: Waves(1, 1.5), "period"),
        (lambda: Waves(1, grows=1), "grows"),
        (lambda: mm.terms.Drift(kernel="matern"), "kernel"),
    ],
)
def test_what_is_none_is_refused(make, word):
    with pytest.raises(mm.InputError, match=word):
        make()


@pytest.mark.parametrize("term", NEW, ids=lambda t: t.kind)
def test_forecasts_read_no_outcome(term):
    whole = make_panel(periods=40)
    train, test = whole.split(whole.dates[29])
    spec = mm.Spec(seasonality=None, terms=[term])
    assert Spec.from_toml(spec.to_toml()) == spec
    fit = make_fit(spec=spec, panel=train)
    changed = dataclasses.replace(test, outcome=test.outcome * 7)
    one, two = (mm.predict(fit, p, seed=1)["outcome"] for p in (test, changed))
    np.testing.assert_array_equal(one, two)
    made = [response.make_inputs(fit.spec, p, fit.scale, train) for p in (test, changed)]
    for name, values in made[0].values.items():
        np.testing.assert_array_equal(values, made[1][name])
