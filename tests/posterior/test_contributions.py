"""Components add up to the fitted mean in original units; totals, shares, absent cells."""

from dataclasses import replace

import numpy as np
import pytest

from mmmjax import metrics
from mmmjax.checks import InputError
from mmmjax.draws import Draws
from mmmjax.posterior import contributions, decomposition
from mmmjax.posterior.contributions import weekly
from tests.fits import make_fit
from tests.posterior.examples import (
    FITS,
    bare_fit,
    flat,
    geo_fit,
    national_fit,
    one_draw,
    scaled_media,
)
from tests.reference import density, returns

COMPONENTS = ("intercept", "trend", "channel", "control", "seasonality")


def oracle_mean(fit, number):
    """The fitted mean of one draw, (geo, time), outcome units."""
    params, dims = one_draw(fit, number)
    panel, spec = fit.panel, fit.spec
    window = slice(panel.history, None)
    days = panel.dates[window].day_of_year
    order = spec.seasonality.order if spec.seasonality else 0
    controls = np.moveaxis(panel.controls[:, window], 1, 2)
    scaled = density.mean(
        params, dims, media=scaled_media(fit), controls=controls,
        features=density.fourier(days, order) if order else None,
        history=panel.history, n_periods=len(days), n_geos=panel.n_geos,
        max_lag=spec.adstock.max_lag, trend=spec.trend,
    )  # fmt: skip
    return scaled * fit.scale.outcome[:, None]


@pytest.mark.parametrize("kind", FITS)
@pytest.mark.parametrize("history", [0, 2])
def test_components_sum_to_the_fitted_mean(kind, history):
    fit = FITS[kind](history=history)
    found = contributions(fit)
    present = fit.panel.present[:, fit.panel.history :]
    oracle = np.stack([np.where(present, oracle_mean(fit, i), 0.0) for i in range(6)])
    totals = [
        flat(found[f"{name}_total"]).reshape(6, fit.panel.n_geos, -1).sum(-1)
        for name in COMPONENTS
        if f"{name}_total" in found
    ]
    np.testing.assert_allclose(sum(totals), flat(found["mu_total"]), rtol=1e-12)
    np.testing.assert_allclose(flat(found["mu_total"]), oracle.sum(-1), rtol=1e-10)
    mean = found.sel(summary="mean")
    parts = ["baseline", "seasonality_contribution", "controls"]
    known = sum(mean[name].to_numpy() for name in parts if name in found)
    known = known + mean["channel_contribution"].sum("channel").to_numpy()
    np.testing.assert_allclose(known[present], mean["mu"].to_numpy()[present], rtol=1e-12)
    np.testing.assert_allclose(known[present], oracle.mean(0)[present], rtol=1e-10)


@pytest.mark.parametrize("kind", FITS)
def test_channels_agree_with_loops(kind):
    fit = FITS[kind](history=2)
    found = contributions(fit)
    inside = fit.panel.present[:, None, fit.panel.history :]
    for i, total in enumerate(flat(found["channel_total"])):
        params, dims = one_draw(fit, i)
        effect = returns.effect(
            scaled_media(fit), params, dims,
            max_lag=fit.spec.adstock.max_lag, normalize=True, adstock_first=True,
        )[..., fit.panel.history :]  # fmt: skip
        expected = (effect * inside).sum(-1) * fit.scale.outcome[:, None]
        np.testing.assert_allclose(total, expected, rtol=1e-10)


def test_cells_without_a_row_are_unknown_and_count_as_zero():
    fit = geo_fit()
    absent = ~fit.panel.present[:, fit.panel.history :]
    assert absent.any()
    found = contributions(fit)
    assert np.isnan(found["mu"].to_numpy()[:, absent]).all()
    assert np.isfinite(found["mu"].to_numpy()[:, ~absent]).all()
    summed = contributions(fit, total=True)
    np.testing.assert_allclose(
        summed["mu"].sel(summary="mean", geo="ALL"),
        found["mu"].sel(summary="mean").sum("geo"),  # NaN skipped
        rtol=1e-12,
    )
    np.testing.assert_allclose(
        summed["channel_total"].sel(geo="ALL"), found["channel_total"].sum("geo")
    )


def test_shares_are_of_the_observed_outcome_where_it_was_observed():
    whole = national_fit()
    found = contributions(whole)
    np.testing.assert_allclose(
        found["channel_share"],
        found["channel_total"] / whole.panel.outcome.sum(),
        rtol=1e-12,
    )
    outcome = whole.panel.outcome.copy()
    outcome[0, 10:] = np.nan
    half = replace(whole, panel=replace(whole.panel, outcome=outcome))
    effect = contributions(half)["channel_contribution"].sel(summary="mean")
    expected = effect[..., :10].sum("date") / np.nansum(outcome)
    actual = contributions(half)["channel_share"].mean(("chain", "draw"))
    np.testing.assert_allclose(actual, expected, rtol=1e-12)


def test_labels_and_summary():
    fit = geo_fit(draws=200)
    found = contributions(fit)
    assert found["channel_contribution"].dims == ("summary", "geo", "channel", "date")
    assert found["channel_total"].dims == ("chain", "draw", "geo", "channel")
    assert list(found["channel"].values) == list(fit.panel.channels)
    assert list(found["date"].values) == list(fit.panel.dates[fit.panel.history :])
    lo, hi = found["mu"].sel(summary="lo"), found["mu"].sel(summary="hi")
    assert (lo.fillna(0) <= found["mu"].sel(summary="mean").fillna(0)).all()
    wider = contributions(fit, prob=0.99)["mu"]
    assert float((wider.sel(summary="hi") - wider.sel(summary="lo")).sum()) > float(
        (hi - lo).sum()
    )


def test_other_media_of_the_training_dates():
    fit = national_fit()
    nothing = replace(fit.panel, media=0 * fit.panel.media)
    assert float(abs(contributions(fit, nothing)["channel_total"]).max()) == 0.0
    with pytest.raises(InputError, match="channels"):
        contributions(fit, replace(fit.panel, channels=("TV", "Cinema")))


def test_forecast_continues_media_and_trend():
    fit = geo_fit(unbalanced=False)
    train, test = fit.panel.split(fit.panel.dates[-5])
    part = make_fit(2, 3, fit.spec, train, dtype=np.float64)
    part = replace(part, scale=fit.scale)
    ahead = contributions(part, test)["channel_contribution"]
    whole = contributions(replace(part, panel=fit.panel))["channel_contribution"]
    np.testing.assert_allclose(ahead, whole[..., -4:], rtol=1e-12)
    assert np.isnan(contributions(part, replace(test, outcome=test.outcome * np.nan))[
        "channel_share"]).all()  # fmt: skip


def test_model_without_media():
    fit = bare_fit()
    found = contributions(fit)
    assert "channel_contribution" not in found
    assert "mu" in found
    assert weekly(fit)[0] == ["baseline", "controls", "seasonality", "mu"]
    names = ["baseline", "controls", "seasonality"]
    assert list(decomposition(fit)["component"].values) == names


def oracle_parts(fit, number):
    """Sum of every component over the window in one draw, (geo, component), by hand.

    A component is what the fitted mean loses without it; baseline is what is left.
    """
    panel, history = fit.panel, fit.panel.history
    present = panel.present[:, history:]

    def without(**changed):
        params = {n: a * changed.get(n, 1.0) for n, a in fit.draws.params.items()}
        other = replace(fit, draws=replace(fit.draws, params=params))
        return np.where(present, oracle_mean(other, number), 0.0).sum(1)

    whole = without()
    parts = [
        whole
        - without(saturation_beta=np.where(np.arange(len(panel.channels)) == c, 0.0, 1.0))
        for c in range(len(panel.channels))
    ]
    rest = {"controls": "gamma_control", "seasonality": "gamma_fourier"}
    other = {n: whole - without(**{p: 0.0}) for n, p in rest.items()
             if p in fit.draws.params}  # fmt: skip
    baseline = whole - sum(parts) - sum(other.values())
    return np.stack([*parts, baseline, *other.values()], axis=-1), whole


@pytest.mark.parametrize("total", [False, True])
@pytest.mark.parametrize("kind", FITS)
@pytest.mark.parametrize("history", [0, 2])
def test_decomposition_is_the_fitted_mean(kind, history, total):
    fit = FITS[kind](history=history, draws=10)
    found = decomposition(fit, total=total, prob=0.5)
    parts, whole = (
        np.array(x) for x in zip(*(oracle_parts(fit, i) for i in range(20)), strict=True)
    )
    if total:
        parts, whole = parts.sum(1, keepdims=True), whole.sum(1, keepdims=True)
    for name, draws in (
        ("total", parts), ("share", parts / whole[..., None]), ("mu_total", whole),
    ):  # fmt: skip
        lo, hi = metrics.hdi(draws, 0.5)
        expected = [draws.mean(0), lo, hi]
        np.testing.assert_allclose(found[name], expected, rtol=1e-9, atol=1e-9)
    mean = found.sel(summary="mean")
    np.testing.assert_allclose(mean["share"].sum("component"), 1.0, rtol=0, atol=1e-14)
    np.testing.assert_allclose(mean["total"].sum("component"), mean["mu_total"], rtol=1e-14)
    names = [*fit.panel.channels, "baseline"]
    names += ["controls", "seasonality"] if kind == "geos" else []
    assert list(found["component"].values) == names


@pytest.mark.parametrize("kind", FITS)
def test_shares_of_every_draw_add_up_to_one(kind):
    fit = FITS[kind](draws=20)
    for i in range(5):  # a fit of one draw, twice: its summary is that draw
        params = {n: np.repeat(a[:1, i : i + 1], 20, axis=1) for n, a in
                  fit.draws.params.items()}  # fmt: skip
        one = replace(fit, draws=Draws(params))
        found = decomposition(one, prob=0.5)["share"].sum("component")
        np.testing.assert_allclose(found, 1.0, rtol=0, atol=1e-14)


def test_decomposition_of_other_panels():
    fit = geo_fit(unbalanced=False, draws=10)
    train, test = fit.panel.split(fit.panel.dates[-5])
    part = replace(fit, panel=train)
    ahead = contributions(part, test)["channel_total"]
    found = decomposition(part, test)["total"].sel(summary="mean")
    np.testing.assert_allclose(
        found.sel(component=list(train.channels)), ahead.mean(("chain", "draw")), rtol=1e-12
    )
    nothing = replace(fit.panel, media=0 * fit.panel.media)
    off = decomposition(fit, nothing)["share"].sel(component="TV")
    assert float(abs(off).max()) == 0.0
