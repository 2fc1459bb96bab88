"""``mmmjax backtest`` on tiny data: its files, what it says, every exit code."""

import dataclasses
import json
import re
from pathlib import Path

import pandas as pd
import pytest

from mmmjax import simulate
from mmmjax.backtesting import run as runs
from mmmjax.cli.app import run

ROOT = Path(__file__).parent.parent
TINY = simulate.Process(
    seed=3, periods=60, test_periods=8, channels=2, controls=1, max_lag=3,
    seasonality=False, trend=False, flighted=1,
)  # fmt: skip
FILES = {"backtest.csv", "backtest_parameters.csv", "backtest_forecast.csv"}
SHORT = ["--chains", "2", "--warmup", "50", "--draws", "50"]
FOLDS = ["--folds", "2", "--horizon", "6", "--step", "5", "--least", "40"]


@pytest.fixture(autouse=True)
def _no_cache(monkeypatch):
    monkeypatch.setenv("MMMJAX_CACHE", "off")


@pytest.fixture(scope="module")
def case(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data")
    simulate.generate(TINY).write(folder, "tiny")
    file = folder / "tiny.toml"
    file.write_text(file.read_text().replace("[sampler]\n", "[sampler]\nuntil = false\n"))
    return str(file)


def names(folder):
    return {p.name for p in folder.iterdir()}


def test_short_chains_are_exit_2_with_everything_written(case, tmp_path, capsys):
    out = tmp_path / "run" / "backtest"
    asked = ["backtest", case, "--out", str(out), *FOLDS, *SHORT]
    assert run(["--log", "json", *asked]) == 2
    assert names(out) == FILES
    said = capsys.readouterr()
    lines = [json.loads(line) for line in said.err.splitlines()]
    assert {"time", "level", "event", "message"} <= {*lines[0]}
    assert {"phase", "finding"} <= {line["event"] for line in lines}
    assert "2 folds, expanding window, horizon 6, step 5; 0 of 2 usable" in said.out
    assert "no media" in said.out
    assert "not usable" in said.out
    assert "cannot be used" in said.err
    assert said.out.startswith("Verdict: ")
    table = pd.read_csv(out / "backtest.csv")
    assert list(table["train_end"].unique()) == ["2023-12-04", "2024-01-08"]
    assert table["test_end"].max() == "2024-02-19"  # the test window of the case as well
    assert set(table["status"]) == {"not converged", "no data"}
    words = set(re.findall(r"[a-z_0-9]+", (ROOT / "docs" / "files.md").read_text()))
    for name in FILES:
        assert set(pd.read_csv(out / name)) <= words
    forecast = pd.read_csv(out / "backtest_forecast.csv")
    assert len(forecast) == 12
    assert (forecast["lo"] < forecast["hi"]).all()


def test_converged_is_exit_0(case, tmp_path):
    longer = ["--chains", "2", "--warmup", "500", "--draws", "5000", "--no-baselines"]
    options = ["--window", "rolling", "--seed", "1", "--x64", "--folds", "1"]
    args = ["backtest", case, "--out", str(tmp_path), *FOLDS, *longer, *options]
    assert run(args) == 0
    table = pd.read_csv(tmp_path / "backtest.csv")
    assert list(table["model"]) == ["mmm", "mmm"]
    assert list(table["status"]) == ["usable", "usable"]
    assert table["train_start"].iloc[0] == "2023-04-10"  # 40 periods


def test_forecasts_no_better_than_without_media_are_said_first_and_last(
    case, tmp_path, monkeypatch, capsys
):
    """By scores that are turned round: the headline, a warning, and 2 with --strict."""
    real = runs.collect

    def turned(panel, layout, done, notes):
        for fold in done:
            mine, bare = fold.runs["mmm"], fold.runs["no_media"]
            fold.runs["mmm"] = dataclasses.replace(mine, test=2 * bare.test)
        return real(panel, layout, done, notes)

    monkeypatch.setattr(runs, "collect", turned)
    longer = ["--chains", "2", "--warmup", "200", "--draws", "1000", "--folds", "1"]
    args = ["backtest", case, "--out", str(tmp_path), *FOLDS, *longer]
    assert run(args) == 0
    said = capsys.readouterr()
    words = "forecasts worse than the same model without media (100% more error over 1 past"
    assert said.out.startswith("Verdict: It ")
    assert words in said.out.splitlines()[0]
    assert words in said.err
    assert run([*args, "--strict"]) == 2


@pytest.mark.parametrize(
    "extra, hint",
    [
        (["--folds", "9"], "Fix: folds=3"),
        (["--window", "slide"], '"rolling"'),
        (["--horizon", "0"], "horizon"),
        (["--draws", "0"], "draws"),
    ],
)
def test_bad_requests_are_exit_1_and_write_nothing(case, tmp_path, capsys, extra, hint):
    out = tmp_path / "out"
    assert run(["backtest", case, "--out", str(out), *FOLDS, *extra]) == 1
    assert hint in capsys.readouterr().err
    assert not out.exists()


def test_ctrl_c_writes_the_folds_that_were_done(case, tmp_path, monkeypatch, capsys):
    calls, real = [], runs.sampled

    def sampled(*args):
        calls.append(1)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return real(*args)

    monkeypatch.setattr(runs, "sampled", sampled)
    assert run(["backtest", case, "--out", str(tmp_path), *FOLDS, *SHORT]) == 130
    assert names(tmp_path) == FILES
    table = pd.read_csv(tmp_path / "backtest.csv")
    status = table.loc[(table["model"] == "mmm") & (table["split"] == "test"), "status"]
    assert list(status) == ["not converged", "interrupted"]
    assert "interrupted" in capsys.readouterr().err


def test_help(capsys):
    assert run(["backtest", "--help"]) == 0
    assert "Usage: mmmjax backtest" in capsys.readouterr().out
