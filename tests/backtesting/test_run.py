"""Backtest: no look ahead, one compilation, scores as of plain fits, nothing lost."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

import mmmjax as mm
from mmmjax import prediction, programs
from mmmjax.backtesting import backtest
from mmmjax.backtesting import run as runs
from mmmjax.samplers import NUTS
from tests.backtesting.examples import NAIVE_TOO, OPTIONS, PERIODS, QUICK, changed, cut_at
from tests.infer.problems import panel, spec


@pytest.fixture(scope="module")
def data():
    return panel(periods=NAIVE_TOO, controls=1, missing=True)


@pytest.fixture(scope="module")
def found(data):
    """Three folds of one national market."""
    return backtest(spec(trend=True), data, QUICK, seed=3, **OPTIONS)


def test_the_future_does_not_change_a_fold(data, found):
    """Another future, ten times as large: the first fold draws the same bits."""
    cut = found.layout.folds[0].train.stop
    rng = np.random.default_rng(8)

    def other(x):
        x[:, cut:] = 10 * rng.uniform(50, 900, x[:, cut:].shape)

    future = changed(data, outcome=other, media=other, spend=other, controls=other)
    again = backtest(spec(trend=True), future, QUICK, seed=3, **OPTIONS)
    for name, draws in found.fits[1].draws.params.items():
        np.testing.assert_array_equal(draws, again.fits[1].draws.params[name])
    assert not np.array_equal(
        found.fits[2].draws.params["intercept"], again.fits[2].draws.params["intercept"]
    )
    train = {"split": "train", "fold": 1}
    for name in ("crps", "r2", "coverage"):
        one, two = (x.scores[name].sel(train).to_numpy() for x in (found, again))
        np.testing.assert_array_equal(one, two)


def test_the_longest_fold_draws_what_a_plain_fit_draws(data, found):
    """It is not padded, so even the rounding is the same."""
    train = cut_at(data, found.layout.folds[-1].train.stop)
    fit = mm.fit(spec(trend=True), train, QUICK, seed=3, progress=False)
    for name, draws in fit.draws.params.items():
        np.testing.assert_array_equal(draws, found.fits[3].draws.params[name])
    assert found.fits[3].panel.data_hash() == fit.panel.data_hash()


def mcse(draws):
    """Monte Carlo error of the mean by batch means within chains (20 batches a chain)."""
    chains, n = draws.shape[:2]
    means = draws[:, : n - n % 20].reshape(chains, 20, -1, *draws.shape[2:]).mean(2)
    flat = means.reshape(chains * 20, *draws.shape[2:])
    return flat.std(0, ddof=1) / np.sqrt(len(flat))


def agree(ours, theirs):
    """Means within 5 combined Monte Carlo errors: 1 number in 2 million by chance."""
    for name, draws in theirs.items():
        a, b = draws.astype(float), ours[name].astype(float)
        z = (a.mean((0, 1)) - b.mean((0, 1))) / np.hypot(mcse(a), mcse(b))
        assert np.all(np.abs(z) < 5), (name, z)


@pytest.mark.slow
def test_padded_folds_have_the_posterior_of_a_plain_fit(data):
    long = NUTS(chains=4, warmup=500, draws=2000)
    settings = OPTIONS | {"folds": 2, "step": 20}
    bt = backtest(spec(trend=True), data, long, baselines=False, **settings)
    train = cut_at(data, bt.layout.folds[0].train.stop)
    fit = mm.fit(spec(trend=True), train, long, seed=1, progress=False)
    assert bt.converged
    agree(bt.fits[1].draws.params, fit.draws.params)


@pytest.mark.slow
def test_media_of_zero_is_the_model_without_media(data):
    """The posterior of all other parameters, and so the forecast."""
    long = NUTS(chains=4, warmup=500, draws=2000)
    bare = replace(
        data, media=data.media[..., :0], spend=data.spend[..., :0], channels=(),
        columns=replace(data.columns, media=(), spend=()),
    )  # fmt: skip
    settings = OPTIONS | {"folds": 1}
    with_media = backtest(spec(), data, long, **settings)
    without = backtest(spec(), bare, long, **settings)
    assert list(without.scores["model"]) == ["mmm", "seasonal_naive"]
    one = with_media.cells.sel(model="no_media")
    other = without.cells.sel(model="mmm")
    scale = float(np.nanstd(data.outcome))
    np.testing.assert_allclose(one["mean"], other["mean"], atol=0.05 * scale)
    np.testing.assert_allclose(one["crps"], other["crps"], atol=0.05 * scale)


def test_more_folds_compile_nothing(data, found):
    """Everything was compiled for the longest fold; other folds have its shape."""
    before = set(programs._PROGRAMS)
    backtest(spec(trend=True), data, QUICK, **(OPTIONS | {"folds": 5, "step": 2}))
    other = panel(periods=NAIVE_TOO, controls=1, seed=5)
    backtest(spec(trend=True), other, QUICK, **(OPTIONS | {"folds": 1}))
    assert set(programs._PROGRAMS) == before
    assert all(f.info["timings"]["compile_s"] == 0 for n, f in found.fits.items() if n > 1)


def test_scores_are_those_of_the_fit(data, found):
    """Training and test, as anyone can ask of the fits that are kept."""
    for number, fold in enumerate(found.layout.folds, 1):
        fit = found.fits[number]
        test = data.split(data.dates[fold.train.stop - 1])[1]
        if number < 3:
            test = test.split(data.dates[fold.test.stop - 1])[0]
        theirs = prediction.scores(fit, test, seed=3)
        ours = found.scores.sel(fold=number, model="mmm")
        for name in ("crps", "r2", "mape", "coverage"):
            key = "crps_train" if name == "crps" else name
            got = float(ours[name].sel(split="train"))
            np.testing.assert_allclose(got, theirs[key], rtol=1e-6)
            got = float(ours[name].sel(split="test"))
            np.testing.assert_allclose(got, theirs[f"{name}_test"], rtol=1e-6)
        table = prediction.forecast_table(fit, test, seed=3)
        mine = found.forecast[found.forecast["fold"] == number].drop(columns="fold")
        pd.testing.assert_frame_equal(mine.reset_index(drop=True), table)


def test_skill_compares_on_the_cells_of_both(found):
    scores = found.scores
    test = scores["crps"].sel(split="test")
    for base in ("no_media", "seasonal_naive"):
        expected = 1 - test.sel(model="mmm") / test.sel(model=base)
        got = scores[f"skill_{base}"].sel(split="test", model="mmm")
        np.testing.assert_allclose(got, expected.to_numpy())
    train = scores["cells"].sel(split="train", fold=1)
    assert list(train.to_numpy()) == [83, 83, 31]  # 3 of 86 missing, 3 a year later


def test_overall_is_over_all_test_cells(found):
    whole = found.overall()
    cells = found.cells
    for model in ("mmm", "no_media", "seasonal_naive"):
        row = whole.loc[model]
        crps = cells["crps"].sel(model=model)
        np.testing.assert_allclose(row["crps"], crps.mean())
        y = cells["observed"].to_numpy()
        lo, hi = (cells[end].sel(model=model).to_numpy() for end in ("lo", "hi"))
        np.testing.assert_allclose(row["coverage"], np.mean((lo <= y) & (y <= hi)))
        assert row["cells"] == 18
    base = whole.loc["seasonal_naive", "crps"]
    np.testing.assert_allclose(
        whole.loc["mmm", "skill_seasonal_naive"], 1 - whole.loc["mmm", "crps"] / base
    )
    assert np.isnan(whole.loc["seasonal_naive", "skill_seasonal_naive"])


def test_frames_have_the_columns_of_the_files(found, data):
    frames = found.to_frames()
    assert list(frames) == ["backtest", "backtest_parameters", "backtest_forecast"]
    table = frames["backtest"]
    assert list(table) == [
        "fold", "train_start", "train_end", "test_start", "test_end", "model", "split",
        "cells", "crps", "r2", "mape", "coverage", "skill_no_media",
        "skill_seasonal_naive", "status", "reason", "max_r_hat", "min_ess", "divergences",
    ]  # fmt: skip
    assert len(table) == 3 * 3 * 2
    assert list(table["model"][:4]) == ["mmm", "mmm", "no_media", "no_media"]
    assert list(table["split"][:2]) == ["train", "test"]
    first = table.iloc[0]
    assert first["train_end"] + pd.Timedelta(days=7) == first["test_start"]
    assert first["test_end"] - first["test_start"] == pd.Timedelta(days=35)
    parameters = frames["backtest_parameters"]
    assert list(parameters) == ["fold", "parameter", "index", "mean", "lo", "hi", "source"]
    assert set(parameters["source"]) == {"data"}
    one = parameters[(parameters["fold"] == 2) & (parameters["parameter"] == "roas")]
    roas = mm.roas(found.fits[2])["roas_total"]
    np.testing.assert_allclose(one["mean"], roas.mean(("chain", "draw")))
    assert list(one["index"]) == list(data.channels)
    alpha = parameters[
        (parameters["fold"] == 3) & (parameters["parameter"] == "adstock_alpha")
    ]
    expected = found.fits[3].draws.params["adstock_alpha"].mean((0, 1))
    np.testing.assert_allclose(alpha["mean"], expected, rtol=1e-5)


def test_it_prints_what_matters(found):
    said = repr(found)
    parts = ["3 folds, expanding window, horizon 6, step 5", "CRPS of y;", "covered"]
    parts += ["no media  naive  vs no media", "ROAS, mean", "m0", "all "]
    for part in parts:
        assert part in said, part


def test_a_fold_that_cannot_be_fitted_keeps_the_others(data):
    """The outcome does not move before the first cut."""
    still = changed(data, outcome=lambda y: y[:, :86].fill(100.0))
    bt = backtest(spec(trend=True), still, QUICK, **OPTIONS)
    status = bt.runs.set_index(["fold", "model"])["status"]
    assert status[1, "mmm"] == status[1, "no_media"] == "refused"
    assert set(bt.fits) == {2, 3}
    assert not bt.converged
    reason = bt.runs.set_index(["fold", "model"])["reason"][1, "mmm"]
    assert "100 in all 86 observed periods" in reason
    assert reason in repr(bt)
    scores = bt.scores["crps"].sel(split="test", model="mmm")
    assert list(np.isnan(scores)) == [True, False, False]
    assert bt.overall().loc["mmm", "cells"] == 12


@pytest.mark.parametrize(
    "error, status", [(RuntimeError, "failed"), (KeyboardInterrupt, "interrupted")]
)
def test_an_error_or_ctrl_c_keeps_what_was_done(data, monkeypatch, error, status):
    calls, real = [], runs.sampled

    def sampled(*args):
        calls.append(1)
        if len(calls) == 3:
            raise error("stop here")
        return real(*args)

    monkeypatch.setattr(runs, "sampled", sampled)
    bt = backtest(spec(trend=True), data, QUICK, **OPTIONS)
    found = bt.runs.set_index(["fold", "model"])["status"]
    assert found[2, "mmm"] == status
    assert found[3, "mmm"] == ("interrupted" if bt.interrupted else "not converged")
    assert (2 in bt.fits, 1 in bt.fits) == (False, True)
    assert found[3, "seasonal_naive"] == "usable"
    assert len(bt.to_frames()["backtest"]) == 18


def test_channels_and_controls_that_come_later():
    """The first fold knows neither m1 nor x0: the prior, and no effect of m1 ahead."""
    cut = 86
    of = panel(periods=NAIVE_TOO, controls=1)
    late = lambda x: x[:, :cut, -1].fill(0.0)
    of = changed(of, media=late, spend=late, controls=late)
    bt = backtest(spec(trend=True), of, QUICK, **OPTIONS)
    assert "m1 had not run by the cut: the forecast leaves its effect out" in "".join(
        bt.notes
    )
    note = next(n for n in bt.notes if "had not varied" in n)
    assert note.startswith("fold 1: m1 and x0")
    table = bt.parameters
    prior = table[table["source"] == "prior"]
    assert set(prior["fold"]) == {1}
    assert set(prior["parameter"] + prior["index"]) == {
        "roasm1", "adstock_alpham1", "saturation_lamm1", "saturation_betam1",
        "gamma_controlx0",
    }  # fmt: skip
    roas = prior[prior["parameter"] == "roas"]
    assert roas["mean"].isna().all()
    draws = bt.fits[1].draws.params["adstock_alpha"][..., 1]
    assert abs(draws.mean() - 0.25) < 0.08  # Beta(1, 3)
    test = of.split(of.dates[cut - 1])[1].split(of.dates[cut + 5])[0]
    silent = changed(test, media=lambda x: x[..., 1].fill(0.0))
    table = prediction.forecast_table(bt.fits[1], silent)
    mine = bt.forecast[bt.forecast["fold"] == 1]
    np.testing.assert_allclose(mine["mean"], table["mean"])


@pytest.mark.slow(parts=6)
def test_geos_are_scored_over_all_cells():
    of = panel(geos=2, periods=PERIODS, channels=2, controls=1)
    the_spec = spec(
        seasonality=None, outcome_scale="geo", media_scale="geo",
        priors={"intercept": mm.Prior("Normal", loc=0.5, scale=0.3, dims="geo")},
    )  # fmt: skip
    bt = backtest(the_spec, of, QUICK, window="rolling", **OPTIONS)
    assert bt.cells["crps"].shape == (3, 3, 2, 6)
    assert int(bt.scores["cells"].sel(fold=1, model="mmm", split="test")) == 12
    table = bt.forecast
    assert list(dict.fromkeys(table["geo"])) == ["g0", "g1", "ALL"]
    whole = table[table["geo"] == "ALL"].set_index(["fold", "date"])
    parts = table[table["geo"] != "ALL"].groupby(["fold", "date"])
    np.testing.assert_allclose(whole["mean"], parts["mean"].sum().loc[whole.index])
    np.testing.assert_allclose(whole["observed"], parts["observed"].sum().loc[whole.index])
    run = bt.runs.set_index(["fold", "model"]).loc[(1, "seasonal_naive")]
    assert run["status"] == "no data"  # not a year of errors
    assert "no data" not in set(bt.runs.loc[bt.runs["model"] == "mmm", "status"])
    scored = prediction.scores(bt.fits[3], of.split(of.dates[65])[1])
    got = bt.scores["crps"].sel(fold=3, model="mmm", split="test")
    np.testing.assert_allclose(float(got), scored["crps_test"], rtol=1e-6)


def test_baselines_can_be_left_out(data):
    bt = backtest(
        spec(trend=True), data, QUICK, baselines=False, **(OPTIONS | {"folds": 1})
    )
    assert list(bt.scores["model"]) == ["mmm"]
    assert "naive" not in repr(bt)
    assert "skill_no_media" not in bt.to_frames()["backtest"]
