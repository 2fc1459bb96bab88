"""Two panels under the same draws and noise: identities, windows, continuation, errors."""

from dataclasses import replace

import numpy as np
import pytest

from mmmjax.checks import InputError
from mmmjax.counterfactuals import counterfactual, counterfactual_table, reweight
from mmmjax.likelihood import Normal, StudentT, TruncatedNormal
from mmmjax.posterior import contributions, sweep
from mmmjax.prediction import predict
from tests.fits import make_fit
from tests.posterior.examples import FITS, bare_fit, flat, geo_fit, national_fit

LIKELIHOODS = {
    "normal": Normal(), "student": StudentT(), "truncated": TruncatedNormal(low=0.0),
}  # fmt: skip
WHATIF = [
    "geo",
    "quantity",
    "channel",
    "spend_actual",
    "spend_changed",
    *(
        f"{side}_{end}"
        for side in ("actual", "changed", "difference")
        for end in ("mean", "lo", "hi")
    ),
    "probability",
]
WEIGHTS = {"national": {"TV": 0.5, "Radio": 2.0}, "geos": {"TV": 1.5, "Search": 0.0}}


@pytest.mark.parametrize("total", [True, False])
@pytest.mark.parametrize("kind", FITS)
def test_both_sides_are_what_contributions_and_predict_say(kind, total):
    fit = FITS[kind](history=2)
    panel = reweight(fit, WEIGHTS[kind])
    found = counterfactual(fit, panel, seed=3, total=total)
    assert found["outcome"].dims == ("scenario", "chain", "draw", "geo")
    for side, given in (("actual", fit.panel), ("changed", panel)):
        at = found.sel(scenario=side)
        brought = contributions(fit, given, total=total)["channel_total"]
        np.testing.assert_allclose(at["contribution"], brought, rtol=1e-9)
        there = fit.panel.present[:, fit.panel.history :]
        outcome = predict(fit, given, seed=3)["outcome"].where(there, 0.0).sum("date")
        outcome = outcome.sum("geo", keepdims=True) if total else outcome
        np.testing.assert_allclose(at["outcome"], outcome, rtol=1e-9)
        spend = given.spend[:, given.window].sum(1)
        spend = spend.sum(0, keepdims=True) if total else spend
        np.testing.assert_allclose(at["spend"], spend, rtol=1e-12)
    assert list(found["geo"].values) == (["ALL"] if total else list(fit.panel.geos))


@pytest.mark.parametrize("kind", FITS)
def test_uplift_is_the_relative_difference(kind):
    fit = FITS[kind](draws=20)
    weights = {"national": {"TV": 0.6, "Radio": 1.8}, "geos": {"TV": 1.7, "Search": 0.6}}
    found = counterfactual(fit, reweight(fit, weights[kind], keep_total=False))
    for name in ("contribution", "outcome"):
        draws = found[name].sum("channel") if name == "contribution" else found[name]
        gain = draws.sel(scenario="changed") - draws.sel(scenario="actual")
        np.testing.assert_allclose(found[f"difference_{name}"], gain, rtol=1e-12)
        relative = gain / draws.sel(scenario="actual")
        np.testing.assert_allclose(found[f"uplift_{name}"], relative, rtol=1e-12)
        positive = (gain > 0).mean(("chain", "draw"))
        assert 0 < float(positive.squeeze()) < 1, "the example says nothing"
        np.testing.assert_array_equal(found[f"probability_{name}"], positive)


@pytest.mark.slow(parts=6)
@pytest.mark.parametrize("law", LIKELIHOODS)
def test_noise_is_the_same_on_both_sides(law):
    fit = geo_fit(likelihood=LIKELIHOODS[law])
    same = counterfactual(fit, fit.panel, seed=1)
    for name in ("contribution", "outcome"):
        np.testing.assert_array_equal(same[f"difference_{name}"], 0.0)
        np.testing.assert_array_equal(same[f"uplift_{name}"], 0.0)
        np.testing.assert_array_equal(same[f"probability_{name}"], 0.0)
    found = counterfactual(fit, reweight(fit, {"TV": 3.0}, keep_total=False), seed=1)
    gain, mean = found["difference_outcome"], found["difference_contribution"]
    if law == "truncated":  # less than one to one near the bound, never another sign
        assert (gain > 0).all()
        assert (gain < mean * (1 + 1e-9)).all()
    else:
        np.testing.assert_allclose(gain, mean, rtol=1e-9)
    other = counterfactual(fit, fit.panel, seed=2)
    assert (other["outcome"] != same["outcome"]).all()


@pytest.mark.parametrize("kind", FITS)
def test_window_counts_its_own_periods(kind):
    fit = FITS[kind](history=2)
    panel = reweight(fit, WEIGHTS[kind])
    dates = fit.panel.dates[fit.panel.history :]
    found = counterfactual(fit, panel, (dates[4], dates[9]), total=False)
    y = predict(fit, panel)["outcome"].where(fit.panel.present[:, fit.panel.history :], 0.0)
    np.testing.assert_allclose(
        found["outcome"].sel(scenario="changed"), y[..., 4:10].sum("date"), rtol=1e-9
    )
    parts = [counterfactual(fit, panel, w, total=False) for w in
             ((None, dates[3]), (dates[4], dates[9]), (dates[10], None))]  # fmt: skip
    whole = counterfactual(fit, panel, total=False)
    for name in ("contribution", "outcome", "spend"):
        summed = sum(part[name] for part in parts)
        np.testing.assert_allclose(summed, whole[name], rtol=1e-9)
    assert found.attrs["start"].startswith(f"{dates[4]:%Y-%m-%d}")


@pytest.mark.parametrize("kind", FITS)
def test_panels_that_follow_training(kind):
    whole = FITS[kind](**({"unbalanced": False} if kind == "geos" else {}))
    train, test = whole.panel.split(whole.panel.dates[-6])
    fit = make_fit(2, 3, whole.spec, train, dtype=np.float64)
    fit = replace(fit, scale=whole.scale)
    more = replace(test, media=2 * test.media, spend=2 * test.spend)
    found = counterfactual(fit, more, actual=test, total=False, seed=4)
    for side, panel in (("actual", test), ("changed", more)):
        at = found.sel(scenario=side)
        np.testing.assert_allclose(
            at["outcome"], predict(fit, panel, seed=4)["outcome"].sum("date"), rtol=1e-9
        )
        brought = contributions(fit, panel)["channel_total"]
        np.testing.assert_allclose(at["contribution"], brought, rtol=1e-9)
    assert (found["probability_contribution"] == 1).all()
    with pytest.raises(InputError, match=r"actual: .* follows training.*actual=test"):
        counterfactual(fit, more)
    with pytest.raises(InputError, match="dates of the actual panel"):
        counterfactual(fit, train, actual=test)
    absent = test.present.copy()
    absent[0, 2] = False
    other = replace(test, present=absent)
    with pytest.raises(InputError, match="a row in one panel only"):
        counterfactual(fit, other, actual=test)


def test_other_controls_change_the_outcome_and_not_what_media_brought():
    fit = geo_fit()
    panel = replace(fit.panel, controls=fit.panel.controls + 1.0)
    found = counterfactual(fit, panel, total=False)
    np.testing.assert_array_equal(found["difference_contribution"], 0.0)
    there = fit.panel.present[:, fit.panel.history :].sum(1)
    gamma = fit.flat()["gamma_control"].sum(-1) * fit.scale.outcome * there
    np.testing.assert_allclose(flat(found["difference_outcome"]), gamma, rtol=1e-9)


@pytest.mark.parametrize("total", [True, False])
def test_results_do_not_depend_on_the_memory(total):
    fit = geo_fit(draws=5)
    panel = reweight(fit, WEIGHTS["geos"])
    whole = counterfactual(fit, panel, total=total)
    small = counterfactual(fit, panel, total=total, memory=1)
    for name in whole:
        np.testing.assert_allclose(small[name], whole[name], rtol=1e-9)


def test_model_without_media():
    fit = bare_fit()
    found = counterfactual(fit, replace(fit.panel, controls=fit.panel.controls + 1.0))
    assert found.sizes["channel"] == 0
    assert np.isnan(found["uplift_contribution"]).all()
    assert np.isfinite(found["uplift_outcome"]).all()


@pytest.mark.parametrize("kind", FITS)
def test_reweight_keeps_the_total_and_the_ratios(kind):
    fit = FITS[kind](history=2)
    panel, weights = reweight(fit, WEIGHTS[kind]), WEIGHTS[kind]
    before = np.nansum(fit.panel.spend[:, 2:], axis=(0, 1))
    after = np.nansum(panel.spend[:, 2:], axis=(0, 1))
    assert after.sum() == pytest.approx(before.sum(), rel=1e-12)
    common = before.sum() / sum(
        weights.get(c, 1.0) * money
        for c, money in zip(fit.panel.channels, before, strict=True)
    )
    for i, channel in enumerate(fit.panel.channels):
        factor = common * weights.get(channel, 1.0) if fit.panel.paid[i] else 1.0
        for name in ("media", "spend"):
            now, then = getattr(panel, name)[..., i], getattr(fit.panel, name)[..., i]
            np.testing.assert_allclose(now[:, 2:], factor * then[:, 2:], rtol=1e-12)
            np.testing.assert_array_equal(now[:, :2], then[:, :2])
    np.testing.assert_array_equal(panel.outcome, fit.panel.outcome)


def test_reweight_of_one_channel_is_the_sweep():
    fit = national_fit(history=3)
    found = counterfactual(fit, reweight(fit, {"Radio": 0.5}, keep_total=False))
    mean = found["contribution"].mean(("chain", "draw")).sel(scenario="changed")[0]
    swept = sweep(fit, [0.5, 1.0])["contribution"].sel(summary="mean")[0]
    np.testing.assert_allclose(
        mean, [swept.sel(channel="TV")[1], swept.sel(channel="Radio")[0]], rtol=1e-9
    )


@pytest.mark.parametrize(
    "weights, said",
    [
        ({"tv": 2.0}, 'weights: got "tv".*did you mean "TV"'),
        ({"Mail": 2.0}, "Mail.*organic channels have no spend.*keep_total=False"),
        ({"TV": -1.0}, "weight of TV: got -1"),
        ({"TV": float("nan")}, "weight of TV: got NaN"),
        ({"TV": 0.0, "Search": 0}, "keep_total=False"),
    ],
)
def test_weights_are_checked(weights, said):
    fit = geo_fit()
    with pytest.raises(InputError, match=said):
        reweight(fit, weights)


@pytest.mark.parametrize("kind", FITS)
def test_factors_are_the_panel_that_they_make(kind):
    fit, factors = FITS[kind](history=2), {"TV": 1.2, FITS[kind]().panel.channels[-1]: 0}
    made = np.ones((len(fit.panel.dates), len(fit.panel.channels)))
    for channel, factor in factors.items():
        made[2:, fit.panel.channels.index(channel)] = factor
    panel = replace(fit.panel, media=fit.panel.media * made, spend=fit.panel.spend * made)
    found, same = counterfactual(fit, factors, seed=3), counterfactual(fit, panel, seed=3)
    for name in found:
        np.testing.assert_array_equal(found[name], same[name])
    spend = found["spend"].sum("channel")
    assert (spend.sel(scenario="changed") != spend.sel(scenario="actual")).all()


def test_factors_of_a_panel_that_follows_training():
    whole = national_fit()
    train, test = whole.panel.split(whole.panel.dates[-6])
    fit = replace(make_fit(2, 3, whole.spec, train, dtype=np.float64), scale=whole.scale)
    more = replace(test, media=2 * test.media, spend=2 * test.spend)
    found = counterfactual(fit, dict.fromkeys(test.channels, 2.0), actual=test)
    same = counterfactual(fit, more, actual=test)
    np.testing.assert_array_equal(found["outcome"], same["outcome"])


@pytest.mark.parametrize("kind", FITS)
def test_the_table_says_what_the_draws_say(kind):
    fit = FITS[kind](draws=20)
    organic = fit.panel.organic
    found = counterfactual(fit, {"TV": 1.5} | dict.fromkeys(organic, 2.0), total=False)
    table = counterfactual_table(found, prob=0.8)
    assert list(table.columns) == WHATIF
    assert len(table) == fit.panel.n_geos * (len(fit.panel.channels) + 2)
    for row in table.to_dict("records"):
        at = found.sel(geo=row["geo"])
        draws = at["outcome"] if row["quantity"] == "outcome" else at["contribution"]
        spend = at["spend"]
        if row["quantity"] == "contribution":
            draws, spend = (
                draws.sel(channel=row["channel"]),
                spend.sel(channel=row["channel"]),
            )
        elif row["quantity"] == "media":
            draws = draws.sum("channel")
        sides = {side: flat(draws.sel(scenario=side)) for side in ("actual", "changed")}
        sides["difference"] = sides["changed"] - sides["actual"]
        for name, values in sides.items():
            assert row[f"{name}_mean"] == pytest.approx(values.mean(), rel=1e-9, abs=1e-9)
            inside = (values >= row[f"{name}_lo"]) & (values <= row[f"{name}_hi"])
            assert inside.mean() >= 0.8
        assert row["probability"] == (sides["difference"] > 0).mean()
        for side in ("actual", "changed"):
            if row["channel"] in organic:
                assert np.isnan(row[f"spend_{side}"])
            else:
                money = float(spend.sel(scenario=side).sum())
                assert row[f"spend_{side}"] == pytest.approx(money)


def test_the_table_is_of_a_comparison():
    with pytest.raises(InputError, match=r"Fix: mm.counterfactual\(fit"):
        counterfactual_table(sweep(national_fit(), [0.5, 1.0]))


def test_everything_may_stop_where_the_total_need_not_stay():
    fit = national_fit()
    panel = reweight(fit, {"TV": 0.0, "Radio": 0.0}, keep_total=False)
    found = counterfactual(fit, panel)
    np.testing.assert_allclose(found["uplift_contribution"], -1.0, rtol=1e-12)
    back = counterfactual(fit, fit.panel, actual=panel)
    assert np.isnan(back["uplift_contribution"]).all()  # relative to nothing


def test_window_is_checked():
    fit = national_fit()
    with pytest.raises(InputError, match="2021-11-01 to 2022-03-14"):
        counterfactual(fit, fit.panel, ("2030-01-01", None))
    with pytest.raises(InputError, match="a first and a last date"):
        counterfactual(fit, fit.panel, "year")
