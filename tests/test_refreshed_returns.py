"""What is known of a return is of the window that it was stated for."""

from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

import mmmjax as mm
from mmmjax import simulate


@pytest.mark.slow(parts=6)
def test_a_return_that_is_known_stays_that_of_the_first_window():
    made = simulate.generate(periods=90, channels=2, controls=1, seed=2, test_periods=0)
    train, _ = made.panel.split(made.panel.dates[71])
    media, spend = (getattr(made.panel, n).copy() for n in ("media", "spend"))
    for x in (media, spend):
        x[:, 72:, 0] *= 20  # what is known of TV is not of so much
    asked = mm.facts.Return("TV", roas=mm.Prior("LogNormal", loc=0.3, scale=0.4))
    later = replace(made.panel, media=media, spend=spend)
    look = mm.Laplace(draws=100)
    old = mm.fit(made.spec, train.with_facts([asked]), look)
    middle = later.split(later.dates[80])[0]
    once = mm.refresh(old, middle.with_facts([asked]), look)
    twice = mm.refresh(once, later.with_facts([asked]), look)
    ends = train.dates[train.window][[0, -1]]
    law = stats.lognorm(0.4, scale=np.exp(0.3))
    for new in (once, twice):
        assert len(new.panel.facts) == 1
        prior = mm.sample_prior(new.spec, new.panel, 500, seed=3)
        found = mm.roas(prior, tuple(ends))["roas_total"].sel(channel="TV")
        assert stats.kstest(found.values.ravel(), law.cdf).pvalue > 1e-4
