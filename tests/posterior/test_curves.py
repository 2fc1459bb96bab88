"""Curves and sweeps against loops by hand; positions in money; totals."""

import numpy as np
import pytest

from mmmjax import metrics
from mmmjax.checks import InputError
from mmmjax.posterior import contributions, curves, mroas, sweep
from tests.posterior.examples import (
    FITS,
    bare_fit,
    geo_fit,
    national_fit,
    one_draw,
    scaled_media,
)
from tests.reference import returns

HOW = {"max_lag": 4, "normalize": True, "adstock_first": True}


def steady(fit, i, media):
    """Contribution (geo, channel) of constant scaled media (geo, channel), by loops."""
    constant = np.repeat(media[..., None], 10, axis=-1)
    return (
        returns.effect(constant, *one_draw(fit, i), **HOW)[..., -1]
        * fit.scale.outcome[:, None]
    )


@pytest.mark.parametrize("kind", FITS)
def test_curve_is_the_response_to_constant_media(kind):
    fit = FITS[kind]()
    found = curves(fit, points=5, upto=2.0)
    levels = found["media"].to_numpy() / fit.scale.media[..., None]
    for p in range(5):
        draws = np.stack([steady(fit, i, levels[..., p]) for i in range(6)])
        actual = found["response"].sel(summary="mean")[..., p]
        np.testing.assert_allclose(actual, draws.mean(0), rtol=1e-9, atol=1e-12)
    assert (np.diff(found["response"].sel(summary="mean"), axis=-1) > 0).all()


def test_positions_are_in_the_units_of_the_table():
    fit = geo_fit(unbalanced=False)
    found = curves(fit, points=3, upto=1.0)
    window = slice(fit.panel.history, None)
    media, spend = fit.panel.media[:, window], fit.panel.spend[:, window]
    np.testing.assert_allclose(found["media"][..., -1], media.max(1))
    np.testing.assert_allclose(found["media_mean"], media.mean(1))
    np.testing.assert_allclose(
        found["spend_mean"].sel(channel=["TV", "Search"]), spend.mean(1)[:, :2], rtol=1e-12
    )
    assert np.isnan(found["spend"].sel(channel="Mail")).all()
    late = curves(geo_fit(), points=3)  # means are over the periods a geo was there
    there = geo_fit().panel
    expected = there.media[2, there.present[2]].mean(0)
    np.testing.assert_allclose(late["media_mean"].sel(geo="c"), expected, rtol=1e-12)


@pytest.mark.parametrize("f", [curves, sweep])
def test_total_is_the_sum_over_geos(f):
    fit = geo_fit()
    name = "response" if f is curves else "contribution"
    whole = f(fit, total=True)
    parts = f(fit)
    np.testing.assert_allclose(
        whole[name].sel(summary="mean", geo="ALL"),
        parts[name].sel(summary="mean").sum("geo"), rtol=1e-12,
    )  # fmt: skip
    np.testing.assert_allclose(
        whole["spend"].sel(geo="ALL"), parts["spend"].sum("geo", skipna=False), rtol=1e-12
    )


def test_sweep_multiplies_the_window_only():
    fit = national_fit(history=3)
    found = sweep(fit, [0, 0.5, 1, 2])["contribution"].sel(summary="mean", geo="national")
    media = scaled_media(fit)
    for m in (0, 0.5, 1, 2):
        changed = np.concatenate([media[..., :3], m * media[..., 3:]], axis=-1)
        draws = [
            returns.effect(changed, *one_draw(fit, i), **HOW)[0, :, 3:] for i in range(6)
        ]
        expected = np.mean(draws, 0).sum(-1) * fit.scale.outcome[0]
        np.testing.assert_allclose(found.sel(multiplier=m), expected, rtol=1e-9)
    today = contributions(fit)["channel_total"].mean(("chain", "draw"))[0]
    np.testing.assert_allclose(found.sel(multiplier=1), today, rtol=1e-12)


def swept(fit, m, i):
    """Contribution (geo, channel) of the window in one draw, its media multiplied."""
    history, media = fit.panel.history, scaled_media(fit)
    changed = np.concatenate([media[..., :history], m * media[..., history:]], axis=-1)
    effect = returns.effect(changed, *one_draw(fit, i), **HOW)[..., history:]
    there = fit.panel.present[:, None, history:]
    return (effect * there).sum(-1) * fit.scale.outcome[:, None]


@pytest.mark.parametrize("total", [False, True])
@pytest.mark.parametrize("kind", FITS)
def test_sweep_says_what_more_spend_would_add(kind, total):
    fit = FITS[kind](history=2, draws=10)
    levels, step, draws = [0.0, 0.4, 1.7], 1e-5, range(20)
    found = sweep(fit, levels, total=total, prob=0.5)  # 1 is not among them
    gather = (lambda x: x.sum(-2, keepdims=True)) if total else (lambda x: x)
    spend = gather(fit.panel.spend[:, fit.panel.history :].sum(1))
    paid = np.broadcast_to(np.isfinite(spend[0]), spend.shape)
    np.testing.assert_allclose(found["spend"], spend[..., None] * levels, rtol=1e-12)
    today = gather(np.array([swept(fit, 1.0, i) for i in draws]))
    for m in levels:
        at = found.sel(multiplier=m)
        now = gather(np.array([swept(fit, m, i) for i in draws]))
        up, down = (
            gather(np.array([swept(fit, m + d, i) for i in draws])) for d in (step, -step)
        )
        slope = ((up - down) / (2 * step) / spend)[:, paid]
        for name, expected in (("contribution", now), ("uplift", now - today)):
            lo, hi = metrics.hdi(expected, 0.5)
            np.testing.assert_allclose(
                at[name], [expected.mean(0), lo, hi], rtol=1e-9, atol=1e-9
            )
        lo, hi = metrics.hdi(slope, 0.5)
        np.testing.assert_allclose(
            at["marginal"].to_numpy()[:, paid], [slope.mean(0), lo, hi], rtol=1e-5
        )
        assert np.isnan(at["marginal"].to_numpy()[:, ~paid]).all()


def test_marginal_of_today_is_the_mroas_of_the_window():
    fit = geo_fit(draws=10)
    found = sweep(fit, [1.0])["marginal"].sel(summary="mean", multiplier=1.0)
    expected = mroas(fit, carryover=False)["mroas"].mean(("chain", "draw"))
    np.testing.assert_allclose(found, expected, rtol=1e-10)
    assert float(abs(sweep(fit, [1.0])["uplift"]).max()) == 0.0


@pytest.mark.parametrize("total", [False, True])
@pytest.mark.parametrize("f", [curves, sweep])
def test_model_without_media_has_no_curves(f, total):
    found = f(bare_fit(), total=total)
    assert found.sizes["channel"] == 0
    assert found.sizes["geo"] == (1 if total else 3)


@pytest.mark.parametrize(
    "call, said",
    [
        (lambda fit: curves(fit, points=1), "points"),
        (lambda fit: curves(fit, upto=0), "upto"),
        (lambda fit: sweep(fit, []), "at least one"),
        (lambda fit: sweep(fit, [-1]), "multiplier"),
    ],
)
def test_arguments_are_checked(call, said):
    with pytest.raises(InputError, match=said):
        call(national_fit())
