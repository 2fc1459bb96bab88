"""The default priors before any data: media, returns and the outcome."""

import numpy as np
import pytest

import mmmjax as mm
from mmmjax.cli import case as cases
from mmmjax.prediction import sample_prior
from mmmjax.simulate import DEMO

DRAWS = 1000


@pytest.fixture(scope="module")
def believed():
    """Default priors on the embedded panel, as a fit whose draws are of the prior."""
    panel = cases.read(DEMO / "demo.toml").train
    return sample_prior(mm.Spec(trend=True), panel, draws=DRAWS, seed=0)


def test_media_bring_some_of_the_outcome_and_seldom_more_than_all(believed):
    """Weak: 30% in the mean, from a tenth to most of it; seldom more than all."""
    share = mm.contributions(believed)["channel_share"].sum(("geo", "channel")).to_numpy()
    error = share.std() / np.sqrt(DRAWS)
    assert abs(share.mean() - 0.3) < 0.3 * 0.1 + 4.5 * error  # kernels vary: within a tenth
    assert np.quantile(share, 0.05) < 0.15
    assert np.quantile(share, 0.95) > 0.45
    assert np.mean(share > 1.0) < 0.01


def test_returns_are_alike_across_channels_before_the_data_speak(believed):
    """Medians within 20%, though sizes differ and one channel runs in flights.

    The standard error of a median of 1,000 draws is about 4% here.
    """
    found = mm.roas(believed)
    draws = found["roas_total"].to_numpy().reshape(DRAWS, -1)
    returns, spend = np.median(draws, axis=0), found["spend"].to_numpy().ravel()
    assert returns.max() / returns.min() < 1.2 + 4.5 * 0.04 * np.sqrt(2)
    assert spend.max() / spend.min() > 1.4
    assert (believed.panel.spend[0, :, 3] == 0).mean() > 0.4
    money = 0.3 * np.nansum(believed.panel.outcome) / spend.sum()
    assert abs(draws.mean() / money - 1) < 0.2


def test_prior_predictive_covers_the_outcome_without_absurdity(believed):
    drawn = mm.predict(believed, seed=1)["outcome"].to_numpy().reshape(DRAWS, -1)
    outcome = believed.panel.outcome.ravel()
    lo, hi = np.quantile(drawn, [0.03, 0.97], axis=0)
    assert np.mean((outcome > lo) & (outcome < hi)) == 1.0
    assert np.all(hi < 6.0 * outcome.max())
    assert np.all(lo > -3.0 * outcome.max())
