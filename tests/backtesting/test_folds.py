"""Where a panel is cut, and that the data of a fold are those of a plain fit."""

from dataclasses import replace
from functools import partial

import jax
import numpy as np
import pytest

from mmmjax.backtesting import backtest, folds
from mmmjax.backtesting import run as runs
from mmmjax.checks import InputError
from mmmjax.infer import precondition
from mmmjax.model import model_data
from mmmjax.scaling import Scale
from mmmjax.spec import among
from tests.backtesting.examples import NAIVE_TOO, OPTIONS, QUICK, changed, cut_at
from tests.infer.problems import CASES, panel, spec


@pytest.fixture(scope="module")
def data():
    return panel(periods=NAIVE_TOO, controls=1, missing=True)


def test_folds_end_at_the_last_outcome_and_start_least_periods_in():
    of = panel(periods=50)
    of = changed(of, outcome=lambda y: y[:, 47:].fill(np.nan))
    laid = folds.lay_out(of, 3, 3, 4, 6, "expanding", 20)
    assert [(f.train, f.test) for f in laid.folds] == [
        (slice(0, 31), slice(31, 35)),
        (slice(0, 37), slice(37, 41)),
        (slice(0, 43), slice(43, 47)),
    ]
    rolling = folds.lay_out(of, 3, 3, 4, 6, "rolling", 20).folds
    assert [f.train for f in rolling] == [slice(11, 31), slice(17, 37), slice(23, 43)]
    assert folds.lay_out(of, 3, 2, 4, None, "rolling", 2).step == 4


def test_defaults_are_a_quarter_and_a_year():
    laid = folds.lay_out(panel(periods=120), 3, 5, None, None, "rolling", None)
    assert (laid.horizon, laid.step, laid.season) == (13, 13, 52)
    assert laid.folds[0].train == slice(0, 55)
    assert {f.train.stop - f.train.start for f in laid.folds} == {55}


def test_windows_are_expanding_or_rolling():
    with pytest.raises(InputError, match=r'"sliding".*"rolling"'):
        folds.lay_out(panel(), 3, 2, 4, None, "sliding", 10)


@pytest.mark.parametrize(
    "freq, season",
    [("W-SUN", 52), ("2W-MON", 26), ("D", 364), ("B", 260), ("10D", 36), ("MS", 12),
     ("ME", 12), ("QS-JAN", 4), ("YS-JAN", 1)],
)  # fmt: skip
def test_a_season_is_a_year(freq, season):
    assert folds.season_of(freq) == season


@pytest.mark.parametrize(
    "options, parts",
    [
        ({"folds": 9}, ["folds: got 9 folds", "15 of 61 periods", "Fix: folds=4"]),
        ({"folds": 2, "horizon": 30}, ["least 40 periods", "smaller least"]),
        ({"horizon": 0}, ["horizon", "at least 1"]),
        ({"seed": -1}, ["seed", "[0, "]),
    ],
)
def test_a_request_that_cannot_be_met_says_what_can(options, parts):
    with pytest.raises(InputError) as error:
        backtest(spec(), panel(periods=61), QUICK, **(OPTIONS | options))
    for part in parts:
        assert part in str(error.value), part


@pytest.mark.slow(parts=6)
@pytest.mark.parametrize("name", list(CASES)[1:4])  # those with masks, trend and geos
def test_padding_changes_no_density(name, x64):
    """At random points of the coordinates that the sampler moves in."""
    the_spec, the_panel = CASES[name]
    scale = Scale.fit(the_panel, the_spec.outcome_scale == "geo")
    plain = model_data(the_spec, the_panel, scale)
    wide = plain.padded(3, plain.inputs.sizes()["time"] + 5)
    rng, structure = np.random.default_rng(0), the_spec.structure()
    both = (precondition.precondition(structure, d)[0] for d in (plain, wide))
    one, other = (problem.astype(float) for problem in both)
    np.testing.assert_allclose(one.center, other.center, atol=1e-2)
    same = replace(other, center=one.center, whiten=one.whiten)
    for _ in range(5):
        z = jax.numpy.asarray(rng.normal(size=one.center.size))
        a, b = (precondition.log_density(z, p, structure) for p in (one, same))
        np.testing.assert_allclose(a, b, rtol=1e-9)


@pytest.mark.parametrize("window", ["expanding", "rolling"])
def test_data_of_a_fold_are_those_of_a_plain_fit(data, window):
    """Scales, trend, media and outcomes: equal bit by bit, the rest masked.

    Priors but for rounding: sums over media are over another number of zeros.
    """
    the_spec = spec(trend=True)
    laid = folds.lay_out(data, 3, 3, 6, 5, window, 40)
    plan = runs._Plan.of(the_spec, data, QUICK, 0, laid, ("mmm",))
    for fold in laid.folds:
        ready = runs._Ready.of(plan, fold)
        start, stop = fold.train.start, fold.train.stop
        train = cut_at(data, stop)
        if start:  # what a user would do: outcomes from the start of the window on
            train = changed(train, outcome=lambda y, s=start: y[:, :s].fill(np.nan))
            train = replace(train, history=start)
        scale = Scale.fit(train)
        alone = among(the_spec, the_spec.sizes(train))
        plain = model_data(alone, train, scale)
        n = stop - start
        for name in ("outcome", "media", "cost_per_unit"):
            found = getattr(ready.found.scale, name)
            np.testing.assert_array_equal(found, getattr(scale, name))
        near = partial(np.testing.assert_allclose, rtol=1e-13)
        jax.tree.map(near, ready.data.hyper, plain.hyper)
        inputs, target = ready.data.inputs, ready.data.target
        for name in ("control.controls", "seasonality.fourier", "trend.time"):
            np.testing.assert_array_equal(inputs[name][..., :n], plain.inputs[name])
        at = inputs.history
        np.testing.assert_array_equal(
            inputs["media"][..., at : at + n], plain.inputs["media"][..., start:]
        )
        np.testing.assert_array_equal(
            inputs["media"][..., at - 2 : at],
            plain.inputs["media"][..., start - 2 : start] if start else 0,
        ) if at else None
        np.testing.assert_array_equal(target.mask[:, :n], plain.target.mask)
        np.testing.assert_array_equal(target.outcome[:, :n], plain.target.outcome)
        assert not target.mask[:, n:].any()
        assert not inputs["media"][..., at + n :].any()
        assert target.mask.shape == (1, plan.n_periods)
        assert at == plan.history == (2 if window == "rolling" else 0)
