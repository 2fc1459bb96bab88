"""ROAS and mROAS against counterfactuals by hand; identities; windows; organic channels."""

import dataclasses

import numpy as np
import pytest

from mmmjax import metrics, response
from mmmjax.checks import InputError
from mmmjax.draws import Draws
from mmmjax.kernels.adstock import Geometric
from mmmjax.kernels.saturation import Hill, Root
from mmmjax.posterior import contributions, incremental, mroas, roas
from mmmjax.posterior import returns as both_returns
from mmmjax.posterior.returns import summaries
from tests.posterior.examples import (
    FITS,
    MAX_LAG,
    flat,
    geo_fit,
    national_fit,
    one_draw,
    scaled_media,
)
from tests.reference import returns

WINDOWS = {
    "all": (0, None),
    "middle": (5, 11),
    "start": (0, 3),
    "end": (13, None),
    "one": (7, 8),
}


def dates_of(fit, first, stop):
    dates = fit.panel.dates[fit.panel.history :]
    return dates[first], dates[(stop or len(dates)) - 1]


def by_hand(f, fit, first, stop, **how):
    """(draw, now | after, geo, channel) in outcome units."""
    history = fit.panel.history
    start, end = history + first, len(fit.panel.dates) if stop is None else history + stop
    how = {"max_lag": MAX_LAG, "normalize": True, "adstock_first": True} | how
    found = [
        f(scaled_media(fit), *one_draw(fit, i), start, end, **how)
        for i in range(len(flat_draws(fit)))
    ]
    return np.array(found) * fit.scale.outcome[:, None]


def flat_draws(fit):
    return fit.flat()["adstock_alpha"]


@pytest.mark.parametrize("window", WINDOWS)
@pytest.mark.parametrize("kind", FITS)
def test_incremental_is_the_counterfactual(kind, window):
    fit = FITS[kind](history=2, **({"unbalanced": False} if kind == "geos" else {}))
    first, stop = WINDOWS[window]
    expected = by_hand(returns.value_of_window, fit, first, stop)
    found = incremental(fit, dates_of(fit, first, stop))
    np.testing.assert_allclose(flat(found["now"]), expected[:, 0], rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(flat(found["after"]), expected[:, 1], rtol=1e-9, atol=1e-12)
    assert float(found["after"].max()) > 0  # something is still to come


@pytest.mark.parametrize(
    "how", [{"adstock_first": False}, {"adstock": Geometric(3, False)}]
)
def test_incremental_of_other_kernels(how):
    fit = national_fit(**how)
    adstock = how.get("adstock", Geometric(MAX_LAG))
    expected = by_hand(
        returns.value_of_window, fit, 5, 11, max_lag=adstock.max_lag,
        normalize=adstock.normalize, adstock_first=how.get("adstock_first", True),
    )  # fmt: skip
    found = incremental(fit, dates_of(fit, 5, 11))
    np.testing.assert_allclose(flat(found["now"]), expected[:, 0], rtol=1e-9)
    np.testing.assert_allclose(flat(found["after"]), expected[:, 1], rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("kernel", [Root(), Hill()])
def test_a_window_with_all_media_is_worth_all_that_they_bring(kernel):
    """Nothing is left outside of it: not what rounding leaves, whose root is 1e-4."""
    fit = national_fit(saturation=kernel)
    params = {n: x.astype(np.float32) for n, x in fit.draws.params.items()}
    fit = dataclasses.replace(fit, draws=Draws(params))
    media = fit.panel.media * ((np.arange(fit.panel.n_periods) // 5) == 1)[:, None]
    fit = dataclasses.replace(fit, panel=dataclasses.replace(fit.panel, media=media))
    own, every = (incremental(fit, window) for window in (dates_of(fit, 5, 10), None))
    left = incremental(fit, dates_of(fit, 10, None))
    total = lambda x: np.asarray(x["now"] + x["after"])
    np.testing.assert_allclose(total(left), 0.0, atol=1e-12)
    np.testing.assert_allclose(total(own), total(every), rtol=1e-12)


@pytest.mark.parametrize("carryover", [True, False])
@pytest.mark.parametrize("window", ["all", "middle"])
def test_roas_is_value_over_spend(window, carryover):
    fit = geo_fit(unbalanced=False)
    first, stop = WINDOWS[window]
    value = by_hand(returns.value_of_window, fit, first, stop)
    value = value.sum(1) if carryover else value[:, 0]
    spend = fit.panel.spend[:, fit.panel.history :][:, first:stop].sum(1)
    found = roas(fit, dates_of(fit, first, stop), carryover)
    np.testing.assert_allclose(flat(found["roas"]), value / spend, rtol=1e-9)
    total = value.sum(1) / spend.sum(0)
    np.testing.assert_allclose(flat(found["roas_total"]), total, rtol=1e-9)
    assert list(found["channel"].values) == ["TV", "Search", "Mail"]
    for name in ("roas", "roas_total", "spend"):
        assert np.isnan(found[name].sel(channel="Mail")).all()
        assert np.isfinite(found[name].sel(channel=["TV", "Search"])).all()
    assert np.isfinite(found["incremental"]).all()


@pytest.mark.parametrize("kind", FITS)
def test_in_window_roas_of_all_training_is_contribution_over_spend(kind):
    fit = FITS[kind](history=0)
    found = roas(fit, carryover=False)
    ratio = contributions(fit)["channel_total"] / found["spend"]
    np.testing.assert_allclose(
        found["roas"], ratio.transpose(*found["roas"].dims), rtol=1e-12
    )
    assert (found["roas"].fillna(0) <= roas(fit)["roas"].fillna(0) + 1e-12).all()


@pytest.mark.parametrize("carryover", [True, False])
@pytest.mark.parametrize("kind", FITS)
def test_mroas_is_the_slope_by_hand(kind, carryover):
    fit = FITS[kind](history=2, **({"unbalanced": False} if kind == "geos" else {}))
    for first, stop in (WINDOWS["all"], WINDOWS["middle"]):
        slope = by_hand(returns.slope_of_window, fit, first, stop)
        slope = slope.sum(1) if carryover else slope[:, 0]
        spend = fit.panel.spend[:, fit.panel.history :][:, first:stop].sum(1)
        found = mroas(fit, dates_of(fit, first, stop), carryover)
        np.testing.assert_allclose(flat(found["mroas"]), slope / spend, rtol=1e-6)
        total = slope.sum(1) / spend.sum(0)
        np.testing.assert_allclose(flat(found["mroas_total"]), total, rtol=1e-6)


def test_concave_saturation_means_mroas_below_roas():
    fit = national_fit(draws=20)
    assert (mroas(fit)["mroas"] < roas(fit)["roas"]).all()


def test_two_parts_of_unbalanced_panels_add_up():
    fit = geo_fit()
    expected = by_hand(returns.value_of_window, fit, 0, None).sum(1)
    found = incremental(fit)
    actual = flat(found["now"] + found["after"])
    np.testing.assert_allclose(actual, expected, rtol=1e-9, atol=1e-12)


def test_periods_of_the_year():
    fit = national_fit()  # 2021-11-01 to 2022-03-14
    found = roas(fit, "month")
    assert list(found["window"].values) == [
        "2021-11",
        "2021-12",
        "2022-01",
        "2022-02",
        "2022-03",
    ]
    assert found["roas"].dims == ("window", "chain", "draw", "geo", "channel")
    alone = roas(fit, ("2022-01-01", "2022-01-31"))
    np.testing.assert_allclose(
        found["roas"].sel(window="2022-01"), alone["roas"], rtol=1e-12
    )
    np.testing.assert_allclose(found["spend"].sum("window"), roas(fit)["spend"], rtol=1e-12)
    assert list(roas(fit, "year")["window"].values) == ["2021", "2022"]
    assert list(roas(fit, "quarter")["window"].values) == ["2021Q4", "2022Q1"]


@pytest.mark.slow(parts=6)
@pytest.mark.parametrize("length", [1, 2, 5])
@pytest.mark.parametrize("kind", FITS)
def test_windows_taken_together_are_those_taken_alone(kind, length):
    fit = FITS[kind](history=2, draws=10)  # geos: late and early ones too
    n = fit.panel.n_periods
    spans = [slice(a, min(a + length, n)) for a in range(0, n, length)]
    spans += [slice(0, n), slice(3, 9)]  # overlapping ones
    found = summaries(fit, spans, total=False, prob=0.8, memory=2**20)
    whole = summaries(fit, spans, total=True, prob=0.8, memory=2**20)
    for w, span in enumerate(spans):
        alone = both_returns(fit, dates_of(fit, span.start, span.stop))
        parts = incremental(fit, dates_of(fit, span.start, span.stop))
        np.testing.assert_allclose(found.spend[..., w], parts["spend"])
        for part in ("now", "after"):
            np.testing.assert_allclose(
                getattr(found, part)[..., w],
                flat(parts[part]).mean(0),
                rtol=1e-9,
                atol=1e-9,
            )
        for name in ("roas", "mroas"):
            for result, draws in ((found, alone[name]), (whole, alone[f"{name}_total"])):
                draws = flat(draws).reshape(20, -1, len(fit.panel.channels))
                some = np.isfinite(draws[0])
                values = getattr(result, name)[..., w]
                lo, hi = metrics.hdi(draws[:, some], 0.8)
                expected = [draws[:, some].mean(0), lo, hi]
                np.testing.assert_allclose(values[:, some], expected, rtol=1e-7, atol=1e-9)
                assert np.isnan(values[:, ~some]).all()


@pytest.mark.parametrize("kind", FITS)
def test_short_windows_are_the_counterfactual_by_hand(kind):
    fit = FITS[kind](history=2, **({"unbalanced": False} if kind == "geos" else {}))
    spans = [slice(a, a + 2) for a in range(0, 16, 2)]  # shorter than the carry-over
    found = summaries(fit, spans, total=False, prob=0.5, memory=2**28)
    for w, span in enumerate(spans):
        expected = by_hand(returns.value_of_window, fit, span.start, span.stop).mean(0)
        np.testing.assert_allclose(found.now[..., w], expected[0], rtol=1e-9, atol=1e-11)
        np.testing.assert_allclose(found.after[..., w], expected[1], rtol=1e-9, atol=1e-11)


def test_returns_are_roas_and_mroas():
    fit = geo_fit()
    for carryover in (True, False):
        found = both_returns(fit, "month", carryover)
        for f, name in ((roas, "roas"), (mroas, "mroas")):
            alone = f(fit, "month", carryover)
            for label in (name, f"{name}_total", "spend"):
                np.testing.assert_array_equal(found[label], alone[label])


def test_windows_of_one_number_share_a_program(monkeypatch):
    traces = []
    actual = response.media_contribution
    monkeypatch.setattr(
        response, "media_contribution", lambda *a, **k: traces.append(1) or actual(*a, **k)
    )
    fit = national_fit(draws=7)  # a shape of its own
    roas(fit, dates_of(fit, 2, 9))
    once = len(traces)
    assert once > 0
    mroas(fit, dates_of(fit, 5, 16))
    roas(fit)
    assert len(traces) == once


def test_no_spend_in_the_window_has_no_return():
    fit = national_fit()
    off = int(np.flatnonzero(fit.panel.spend[0, :, 1] == 0)[0])
    found = roas(fit, dates_of(fit, off, off + 1))
    assert np.isnan(found["roas"].sel(channel="Radio")).all()
    assert np.isfinite(found["roas"].sel(channel="TV")).all()
    assert float(abs(found["incremental"].sel(channel="Radio")).max()) < 1e-12


@pytest.mark.parametrize(
    "window, said",
    [(("2019-01-01", "2019-12-31"), "2021-11-01 to 2022-03-14"), ("week", "quarter"),
     (("2022-01-01",), "first and a last"), (("2022-02-01", "2022-01-01"), "2022-02-01")],
)  # fmt: skip
def test_windows_are_checked(window, said):
    with pytest.raises(InputError, match=said):
        roas(national_fit(), window)


def test_open_ends():
    fit = national_fit()
    whole = roas(fit)["roas"]
    np.testing.assert_array_equal(roas(fit, (None, None))["roas"], whole)
    assert roas(fit, ("2022-02-01", None)).attrs["end"].startswith("2022-03-14")
