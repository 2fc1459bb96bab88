"""Carry-over against weights and half-lives by loops; shared and per geo; edges."""

from dataclasses import replace

import numpy as np
import pytest

from mmmjax import metrics
from mmmjax.kernels.adstock import Geometric
from mmmjax.posterior import carryover
from mmmjax.prior import Prior
from tests.fits import make_fit
from tests.posterior.examples import bare_fit, geo_fit, geo_panel, geo_spec, national_fit


def by_hand(alpha, max_lag):
    """Weights, their running sums and the half-life of one retention."""
    weights = [alpha**lag for lag in range(max_lag)]
    weights = [w / sum(weights) for w in weights]
    come, half_life = [0.0], None
    for lag, w in enumerate(weights):
        if half_life is None and come[-1] + w >= 0.5:
            half_life = lag + (0.5 - come[-1]) / w
        come.append(come[-1] + w)
    return weights, come[1:], half_life


def expected(alphas, max_lag, prob):
    """Mean, lo and hi over draws (draw, ...) of the three, lag last."""
    found = [by_hand(a, max_lag) for a in np.ravel(alphas)]
    for values in zip(*found, strict=True):
        draws = np.array(values).reshape(*alphas.shape, *np.shape(values[0]))
        yield np.array([draws.mean(0), *metrics.hdi(draws, prob)])


@pytest.mark.parametrize("normalize", [True, False])
@pytest.mark.parametrize("adstock_first", [True, False])
def test_carryover_is_the_share_by_lag(normalize, adstock_first):
    fit = national_fit(
        draws=20, adstock=Geometric(5, normalize), adstock_first=adstock_first
    )
    found = carryover(fit, prob=0.5)
    assert found["weight"].dims == ("summary", "channel", "lag")
    assert list(found["lag"].values) == [0, 1, 2, 3, 4]
    assert list(found["channel"].values) == list(fit.panel.channels)
    names = ("weight", "cumulative", "half_life")
    hand = expected(fit.flat()["adstock_alpha"], 5, 0.5)
    for name, values in zip(names, hand, strict=True):
        np.testing.assert_allclose(found[name], values, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("memory", [1, 2**28])
@pytest.mark.parametrize("dims", ["geo", ("geo", "channel"), ()])
def test_dims_of_the_retention(dims, memory):
    prior = Prior("Beta", concentration1=2.0, concentration0=4.0, dims=dims)
    spec = replace(geo_spec(), priors=geo_spec().priors | {"adstock_alpha": prior})
    fit = make_fit(2, 10, spec, geo_panel(), dtype=np.float64)
    found = carryover(fit, prob=0.5, memory=memory)
    alpha = fit.flat()["adstock_alpha"]  # (draw, *dims)
    shape = {"geo": (20, 3, 1), (): (20, 1)}.get(dims, alpha.shape)
    alpha = np.broadcast_to(alpha.reshape(shape), (*shape[:-1], 3))
    weight, come, half_life = expected(alpha, 4, 0.5)
    np.testing.assert_allclose(found["weight"], weight, rtol=1e-9)
    np.testing.assert_allclose(found["cumulative"], come, rtol=1e-9)
    np.testing.assert_allclose(found["half_life"], half_life, rtol=1e-9)
    geo = ("geo",) if dims else ()
    assert found["half_life"].dims == ("summary", *geo, "channel")


@pytest.mark.parametrize(
    "alpha, half_life",
    [(0.0, 0.5), (0.5, 1.0), (0.5**0.5, 2.0), (0.5 ** (1 / 7), 7.0)],
)  # log(1/2) / log(alpha) where that is whole
def test_half_life_of_geometric_decay(alpha, half_life):
    fit = national_fit(draws=10, adstock=Geometric(max_lag=20))
    params = fit.draws.params
    many = {"adstock_alpha": np.full_like(params["adstock_alpha"], alpha)}
    long = replace(fit, spec=replace(fit.spec, adstock=Geometric(max_lag=400)),
                   draws=replace(fit.draws, params=params | many))  # fmt: skip
    np.testing.assert_allclose(carryover(long)["half_life"], half_life, rtol=1e-9)


def test_everything_at_once_and_nothing_at_all():
    fit = national_fit(draws=10, adstock=Geometric(max_lag=1))
    found = carryover(fit, prob=0.5)
    np.testing.assert_array_equal(found["weight"], 1.0)
    np.testing.assert_array_equal(found["half_life"], 0.5)
    assert carryover(bare_fit())["weight"].shape == (3, 0, 4)
    assert "geo" not in carryover(geo_fit(draws=10), prob=0.5).dims


@pytest.mark.parametrize("alpha", [0.0, 0.3, 0.9, 0.99])
def test_what_a_window_cuts_off_and_when_nine_tenths_have_come(alpha):
    """Closed forms of geometric decay: what is left at lag L is alpha^L of the whole."""
    fit = national_fit(draws=10, adstock=Geometric(max_lag=8))
    params = fit.draws.params
    many = {"adstock_alpha": np.full_like(params["adstock_alpha"], alpha)}
    found = carryover(replace(fit, draws=replace(fit.draws, params=params | many)))
    rest = alpha**366  # of the lags that are looked at
    cut = (alpha**8 - rest) / (1 - rest)
    np.testing.assert_allclose(found["cut"], cut, rtol=1e-5, atol=1e-9)
    whole = np.concatenate([[0.0], np.cumsum(alpha ** np.arange(8.0))])
    t90 = np.interp(0.9, whole / whole[-1], np.arange(9.0))
    np.testing.assert_allclose(found["t90"], t90, rtol=1e-6)
    assert np.all(found["t90"] >= found["half_life"])
