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
    """Weak: from a tenth to most of the outcome; more than all of it in one draw of ten."""
    gained = mm.incremental(believed)
    total = (gained["now"] + gained["after"]).sum(("geo", "channel")).to_numpy().ravel()
    share = total / np.nansum(believed.panel.outcome)
    assert 0.15 < np.median(share) < 0.75
    assert np.quantile(share, 0.05) < 0.3
    assert np.mean(share > 1.0) < 0.1


def test_returns_are_alike_across_channels_before_the_data_speak(believed):
    """saturation_beta follows spend share, so no channel is favoured for its size."""
    returns = np.median(
        mm.roas(believed)["roas_total"].to_numpy().reshape(DRAWS, -1), axis=0
    )
    spend = mm.roas(believed)["spend"].to_numpy().ravel()
    assert returns.max() / returns.min() < 3.0
    assert spend.max() / spend.min() > 1.4  # though sizes differ
    overall = np.nansum(believed.panel.outcome) / spend.sum()
    assert np.all(returns < 2.0 * overall)


def test_prior_predictive_covers_the_outcome_without_absurdity(believed):
    drawn = mm.predict(believed, seed=1)["outcome"].to_numpy().reshape(DRAWS, -1)
    outcome = believed.panel.outcome.ravel()
    lo, hi = np.quantile(drawn, [0.03, 0.97], axis=0)
    assert np.mean((outcome > lo) & (outcome < hi)) == 1.0
    assert np.all(hi < 6.0 * outcome.max())
    assert np.all(lo > -3.0 * outcome.max())
