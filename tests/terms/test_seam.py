"""Records that were added last go through everything that knows nothing of them.

Hill, Delayed and Drift, with a second media term of other kernels beside, in fits that are
too short to be used for anything else.
"""

import numpy as np
import pytest

import mmmjax as mm
from tests.fits import make_panel

pytestmark = pytest.mark.slow

SHORT = {"chains": 2, "warmup": 50, "draws": 20, "until": None, "dtype": "float64"}
SPEC = mm.Spec(
    adstock=mm.adstock.Delayed(max_lag=4),
    saturation=mm.saturation.Hill(),
    seasonality=None,
    terms=(
        mm.terms.Drift(basis=4),
        mm.terms.Media(name="tv", channels=["TV"], adstock_first=False),
        mm.terms.Events({"fair": ["2022-03-01:2022-03-09", "2023-01-17"]}, after=5),
        mm.terms.Holidays("DE", only=["Good Friday", "Christmas Day"], before=6),
        mm.terms.Steps({"shop": "2022-06-01"}),
        mm.terms.Piecewise(3),
        mm.terms.Knots(5),
        mm.terms.Waves(1, "month", grows=True, name="months"),
    ),
)
OWN = {
    "adstock_theta", "saturation_kappa", "saturation_slope", "drift_scale", "drift_length",
    "drift_offset", "gamma_event", "gamma_holiday", "gamma_step", "piecewise_slope",
    "piecewise_change", "gamma_knot", "months.gamma_fourier", "tv.adstock_alpha",
    "tv.saturation_lam", "tv.saturation_beta",
}  # fmt: skip
PANEL = make_panel(periods=60)
TRAIN, TEST = PANEL.split(PANEL.dates[51])


@pytest.fixture(scope="module")
def fit():
    return mm.fit(SPEC, TRAIN, mm.NUTS(**SHORT), seed=1)


def test_parameters_are_sampled_and_named(fit):
    assert set(fit.spec.parameters) >= OWN
    of_a_term = ("_typical", "_spread")  # what geos are pooled about is not joined
    names = set(fit.draws.params)
    sampled = {n if n.endswith(of_a_term) else n.removeprefix("tv.") for n in names}
    assert set(mm.summary(fit)["parameter"]) == sampled
    assert {node.name for node in mm.structure(SPEC, TRAIN).nodes} >= OWN
    assert set(mm.prior_posterior(fit)["parameter"]) == sampled
    assert all(np.isfinite(x).all() for x in fit.draws.params.values())


def test_parts_add_up_and_tables_hold_them(fit):
    parts = mm.contributions(fit).sel(summary="mean")
    slow = ("intercept", "drift", "steps", "piecewise", "knots")
    alone = sum(parts[f"{name}_contribution"] for name in slow)
    np.testing.assert_allclose(alone, parts["baseline"], rtol=1e-9)
    given = parts["control_contribution"].sum("control") + parts["events_contribution"]
    np.testing.assert_allclose(given, parts["controls"], rtol=1e-9)
    season = parts["holidays_contribution"] + parts["months_contribution"]
    whole = alone + given + season + parts["channel_contribution"].sum("channel")
    np.testing.assert_allclose(whole, parts["mu"], rtol=1e-9)
    assert set(mm.tables.channels(fit)["channel"]) == set(TRAIN.channels)
    assert len(mm.tables.weekly(fit))
    assert list(mm.carryover(fit)["channel"].values) == list(TRAIN.channels)


def test_report_and_verdict(fit, tmp_path):
    mm.report(fit, tmp_path / "report.html", test=TEST)
    text = (tmp_path / "report.html").read_text()
    assert not {
        name for name in ("drift_scale", "adstock_theta", "hill") if name not in text
    }
    assert mm.judge(fit).adequate.sentence


def test_saved_loaded_and_forecast_alike(fit, tmp_path):
    mm.save(fit, tmp_path / "fit.nc")
    again = mm.load(tmp_path / "fit.nc")
    assert again.spec == fit.spec
    one, two = (mm.predict(f, TEST, seed=2)["outcome"] for f in (fit, again))
    np.testing.assert_array_equal(one, two)
    assert np.isfinite(one).all()


def test_a_plan_says_that_some_draws_have_an_s(fit):
    plan = mm.optimize(fit, periods=6, starts=2)
    slopes = fit.draws.params["saturation_slope"].reshape(40, -1)[:, 0:1]
    assert (slopes > 1).any()
    assert not plan.certified
    assert "saturation_slope is above 1 in" in plan.gap_reason


@pytest.mark.slow
def test_backtest():
    rules = {"folds": 1, "horizon": 6, "least": 40, "baselines": False}
    found = mm.backtest(SPEC, PANEL, mm.HMC(**SHORT), **rules, progress=False)
    assert np.isfinite(found.scores["crps"].sel(model="mmm")).all()


@pytest.mark.slow
def test_fleet_of_two():
    panels = {name: make_panel(periods=40 + k, seed=k) for k, name in enumerate("ab")}
    fleet = mm.fit_fleet(SPEC, panels, mm.HMC(**SHORT), refit=False, progress=False)
    assert set(fleet.table["market"]) == {"a", "b"}
    assert np.isfinite(fleet.table["crps"]).all()
