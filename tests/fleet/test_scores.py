"""Scores of a market in the arrays of its bucket are those of its fit alone."""

import dataclasses

import numpy as np
import pandas as pd
import pytest

import mmmjax as mm
from mmmjax import tables
from mmmjax.findings import ranked
from mmmjax.fleet.buckets import Shape
from mmmjax.fleet.scores import DRAWS, scores_of, verdict_of
from tests.infer.problems import panel, spec

QUICK = mm.HMC(chains=4, warmup=50, draws=DRAWS // 4, until=None)


@pytest.mark.slow(parts=6)
@pytest.mark.parametrize(
    "given", [{"controls": 1}, {"channels": 1, "controls": 0, "geos": 2}]
)
def test_padding_changes_no_score(given):
    the_spec = spec(trend=True)
    fit = mm.fit(the_spec, panel(seed=1, **given), QUICK, progress=False)
    found = scores_of(fit, Shape(3, 60, 4, 3))
    alone = mm.scores(fit)
    np.testing.assert_allclose(found.crps, alone["crps_train"], rtol=1e-9)
    np.testing.assert_allclose(found.coverage, alone["coverage"])
    pd.testing.assert_frame_equal(found.channels, tables.channels(fit), rtol=1e-9)
    told = mm.judge(fit)
    adequate, finding = verdict_of(fit, Shape(3, 60, 4, 3))
    assert adequate == told.adequate.ok
    first = next(iter(ranked((*told.adequate.findings, *told.data))), None)
    assert finding == ("" if first is None else first.what.partition(". ")[0])


def test_a_level_that_shifts_is_found_in_the_arrays_of_a_bucket():
    given = panel(seed=1, periods=90, channels=1, controls=0)
    outcome = given.outcome.copy()
    outcome[:, 50:] += 40.0  # ten standard deviations of the noise
    shifted = dataclasses.replace(given, outcome=outcome)
    fit = mm.fit(spec(), shifted, QUICK, progress=False)
    adequate, finding = verdict_of(fit, Shape(3, 110, 3, 1))
    assert not adequate
    assert finding == mm.judge(fit).adequate.findings[0].what
    assert "." not in finding.replace("0.", "")  # one sentence
