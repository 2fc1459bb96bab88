"""Shrinkage over markets: against numerical integration, and where the truth is known."""

import math

import numpy as np
import pandas as pd
import pytest
from scipy import integrate, stats

import mmmjax as mm
from mmmjax.fleet import summary
from tests.fleet.examples import channels_of, table_of


def integrals(y, s, scale, what):
    """Expectation of what(mu, tau) by Simpson's rule over the joint density itself."""
    mu, tau = np.linspace(-7, 7, 1401)[:, None], np.linspace(0, 5 * scale, 801)
    log = stats.halfnorm.logpdf(tau, scale=scale)
    for each, sd in zip(y, s, strict=True):
        log = log + stats.norm.logpdf(each, mu, np.hypot(sd, tau))
    density = np.exp(log - log.max())
    over = lambda f: integrate.simpson(integrate.simpson(f, x=tau), x=mu[:, 0])
    return [over(g(mu, tau) * density) / over(density) for g in what]


def test_theta_mu_and_tau_agree_with_integrals_of_the_joint_density():
    y, s, scale = np.array([0.5, -0.2, 0.1, 0.9]), np.array([0.1, 0.3, 0.6, 0.2]), 0.7
    given = summary._between(y, s, scale)
    mean, sd, weight = summary._shrunk(y, s, given)
    i = 2  # the one that knows least
    own = lambda tau: tau**2 / (tau**2 + s[i] ** 2)
    theta = lambda mu, tau: mu + own(tau) * (y[i] - mu)
    square = lambda mu, tau: theta(mu, tau) ** 2 + own(tau) * s[i] ** 2
    wanted = integrals(y, s, scale, [
        theta, square, lambda mu, tau: own(tau), lambda mu, tau: tau,
        lambda mu, tau: mu, lambda mu, tau: tau <= 0.3,
    ])  # fmt: skip
    assert mean[i] == pytest.approx(wanted[0], abs=1e-4)
    assert sd[i] == pytest.approx(math.sqrt(wanted[1] - wanted[0] ** 2), abs=1e-4)
    assert weight[i] == pytest.approx(wanted[2], abs=1e-4)
    assert given.tau @ given.weight == pytest.approx(wanted[3], abs=1e-4)
    assert given.mu @ given.weight == pytest.approx(wanted[4], abs=1e-4)
    below = np.interp(0.3, given.tau, summary._cumulative(given))
    assert below == pytest.approx(wanted[5], abs=2e-3)


def test_quantiles_are_those_of_draws():
    given = summary._between(np.array([0.3, 0.1, 0.8]), np.array([0.2, 0.2, 0.3]), 1.0)
    rng = np.random.default_rng(1)
    k = rng.choice(len(given.tau), 200_000, p=given.weight)
    for spread in (0.0, 1.0):
        sd = np.sqrt(given.mu_var + spread * given.tau**2)
        draws = given.mu[k] + sd[k] * rng.standard_normal(k.size)
        for p in (0.03, 0.5, 0.97):
            found = summary._quantile(given, spread, p)
            error = math.sqrt(p * (1 - p) / k.size)
            assert abs(np.mean(draws < found) - p) < 5 * error


def test_intervals_cover_the_truth_as_often_as_they_say():
    """tau drawn from its prior, 200 channels of 8 markets; 4 binomial errors."""
    rng = np.random.default_rng(2)
    shape, scale = (200, 8), 0.5
    mu, tau = rng.normal(0, 0.5, shape[0]), np.abs(rng.normal(0, scale, shape[0]))
    theta = rng.normal(mu[:, None], tau[:, None], shape)
    s = rng.uniform(0.1, 0.9, shape)
    y = rng.normal(theta, s)
    parts = [channels_of(y[i], s[i], channel=str(i)) for i in range(shape[0])]
    found = mm.fleet_returns(pd.concat(parts), tau_scale=scale)
    m, c = found.markets, found.channels
    assert not m.rough.any()
    inside = lambda lo, x, hi: (lo < np.exp(x)) & (np.exp(x) < hi)
    of_mu = inside(c.typical_lo, mu, c.typical_hi)
    of_tau = (c.tau_lo < tau) & (tau < c.tau_hi)
    of_new = inside(c.new_lo, rng.normal(mu, tau), c.new_hi)
    for covered in (of_mu, of_tau, of_new):
        assert abs(covered.mean() - 0.94) < 4 * math.sqrt(0.94 * 0.06 / shape[0])
    shrunk = inside(m.shrunk_lo, theta.ravel(), m.shrunk_hi).to_numpy().reshape(shape)
    rate = shrunk.mean(axis=1)  # of a channel: its markets are not independent
    assert abs(rate.mean() - 0.94) < 4 * rate.std() / math.sqrt(shape[0])
    centre = np.log(m.shrunk_lo * m.shrunk_hi).to_numpy().reshape(shape) / 2  # its mode
    assert np.mean((centre - theta) ** 2) < 0.75 * np.mean((y - theta) ** 2)


def test_log_moments_undo_a_log_normal():
    mean, sd = np.array([-1.0, 0.0, 2.0, 0.5]), np.array([0.05, 0.4, 1.0, 1.4])
    y, s, rough = summary.log_moments(*summary.log_normal(mean, sd))
    np.testing.assert_allclose(y, mean, atol=1e-4)
    np.testing.assert_allclose(s, sd, atol=1e-4)
    assert not rough.any()
    _, lo, hi = summary.log_normal(mean, sd)
    dist = stats.lognorm(sd, scale=np.exp(mean))
    np.testing.assert_allclose(dist.cdf(hi) - dist.cdf(lo), 0.94, atol=1e-9)
    np.testing.assert_allclose(dist.pdf(lo), dist.pdf(hi), rtol=1e-6)  # highest density


@pytest.mark.parametrize(
    "draws, rough",
    [
        (lambda rng: np.exp(rng.normal(0, 0.6, 4000)), False),
        (lambda rng: rng.normal(1, 0.25, 4000), False),
        (lambda rng: np.abs(rng.normal(0, 1, 4000)), True),
        (lambda rng: rng.exponential(1, 4000), True),
        (lambda rng: rng.normal(0.4, 1, 4000), True),
    ],
)
def test_what_is_not_log_normal_is_marked(draws, rough):
    x = np.sort(draws(np.random.default_rng(0)))
    k = int(0.94 * len(x))
    i = np.argmin(x[k:] - x[:-k])
    y, _, marked = summary.log_moments(*np.array([[x.mean()], [x[i]], [x[i + k]]]))
    assert bool(marked[0]) is rough
    if not rough:
        assert abs(y[0] - np.log(x).mean()) < 0.05


def test_rows_that_count_and_rows_that_do_not():
    statuses = ["converged", "refitted", "not converged", "converged"]
    frame = channels_of([0.1, 0.3, 5.0, 0.2], [0.2] * 4)
    geo = frame.assign(geo="north", roas_mean=99.0)
    organic = frame.assign(
        channel="Email", **dict.fromkeys(("roas_mean", "roas_lo", "roas_hi"), np.nan)
    )
    found = mm.fleet_returns(
        pd.concat([geo, frame, organic], ignore_index=True), table_of(statuses)
    )
    assert found.markets["market"].tolist() == ["m0", "m1", "m3"]
    assert found.channels["channel"].tolist() == ["TV"]
    told = found.channels.iloc[0]
    assert told.markets == 3
    assert 1.0 < told.typical < 1.5
    assert told.new_lo < told.typical_lo < told.typical < told.typical_hi < told.new_hi
    assert 0 <= told.i2 < 0.6


def test_a_single_market_stays_where_it_is():
    found = mm.fleet_returns(channels_of([0.3], [0.4]))
    row = found.markets.iloc[0]
    np.testing.assert_allclose(
        [row.shrunk_mean, row.shrunk_lo, row.shrunk_hi],
        [row.roas_mean, row.roas_lo, row.roas_hi], rtol=1e-3,
    )  # fmt: skip
    assert np.isnan(found.channels.i2[0])


def test_a_negative_return_is_left_out_and_said():
    frame = channels_of([0.1, 0.2, 0.3], [0.2] * 3)
    frame.loc[1, ["roas_mean", "roas_lo", "roas_hi"]] = [-0.2, -0.5, 0.1]
    found = mm.fleet_returns(frame)
    assert np.isnan(found.markets.shrunk_mean[1])
    assert found.markets.rough.tolist() == [False, True, False]
    assert found.channels.rough[0] == 1


@pytest.mark.parametrize(
    "change, words",
    [
        (lambda f: f.drop(columns="roas_lo"), "no column roas_lo"),
        (lambda f: f.assign(geo="north"), 'no row of geo "ALL"'),
        (lambda f: pd.concat([f, f]), "two rows"),
        (lambda f: f.assign(roas_mean=np.nan), "no return"),
    ],
)
def test_tables_that_cannot_be_read_are_refused(change, words):
    with pytest.raises(mm.InputError, match=words):
        mm.fleet_returns(change(channels_of([0.1, 0.2], [0.2, 0.2])))
