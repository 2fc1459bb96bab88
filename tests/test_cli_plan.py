"""The commands predict and optimize on tiny data: files, what is said, exit codes."""

import json
import re
import shutil

import numpy as np
import pandas as pd
import pytest

from mmmjax import store
from mmmjax.cli.app import run
from tests.test_cli import ROOT, TABLES, _no_cache, data, fitted, names

__all__ = ["_no_cache", "data", "fitted"]  # fixtures


def test_predict_writes_a_forecast_or_says_what_is_missing(fitted, data, tmp_path, capsys):
    run_folder, _ = fitted
    table = pd.read_csv(data / "tiny.csv").tail(8).drop(columns="sales")
    table.to_csv(tmp_path / "future.csv", index=False)
    args = ["predict", str(run_folder), str(tmp_path / "future.csv"), "--out"]
    assert run([*args, str(tmp_path / "next")]) == 0
    found = pd.read_csv(tmp_path / "next" / "forecast.csv")
    assert list(found) == TABLES["forecast.csv"].split(",")
    assert found["observed"].isna().all()
    known = pd.read_csv(run_folder / "forecast.csv")  # the same weeks, with outcomes
    assert list(found["date"]) == list(known["date"])
    np.testing.assert_allclose(found["mean"], known["mean"], rtol=1e-9)

    table.drop(columns=["tv_spend", "price_index"]).to_csv(
        tmp_path / "future.csv", index=False
    )
    assert run([*args, str(tmp_path / "other")]) == 1
    said = capsys.readouterr().err
    assert "tv_spend" in said
    assert "price_index" in said
    assert not (tmp_path / "other").exists()


def test_predict_leaves_the_run_alone_and_says_what_comes(fitted, data, tmp_path, capsys):
    run_folder, _ = fitted
    before = (run_folder / "forecast.csv").read_bytes()
    table = pd.read_csv(data / "tiny.csv")
    top = table.loc[:51, "tv_spend"].max()
    table = table.tail(8).drop(columns="sales").reset_index(drop=True)
    table["tv_spend"] = table["tv_spend"].clip(upper=top)
    table["search_spend"] = 0.0
    table.to_csv(tmp_path / "future.csv", index=False)
    args = ["predict", str(run_folder), str(tmp_path / "future.csv")]
    try:
        assert run(args) == 0
        found = pd.read_csv(run_folder / "next" / "forecast.csv")
        quiet = capsys.readouterr()
        table.loc[[2, 5], "tv_spend"] = [1.5 * top, 2.5 * top]
        table.to_csv(tmp_path / "future.csv", index=False)
        assert run(args) == 0
        loud = capsys.readouterr()
    finally:
        shutil.rmtree(run_folder / "next", ignore_errors=True)
    assert (run_folder / "forecast.csv").read_bytes() == before
    total = f"{found['mean'].sum():,.0f} sales in total (sum of the means) over 8 weeks, "
    assert total + f"{found['date'].iloc[0]} to {found['date'].iloc[-1]}" in quiet.out
    assert "above the largest" not in quiet.err
    assert f'"TV" (first {table["date"][2]}, up to 2.50 times)' in loud.err
    assert "Search" not in loud.err


def test_optimize_writes_a_plan(fitted, tmp_path, capsys):
    run_folder, _ = fitted
    plan = tmp_path / "plan"
    args = ["optimize", str(run_folder), "--periods", "10", "--budget", "1.9e6"]
    bounds = ["--bounds", "TV=0:8e5", "--bounds", "Search=1e5:1.2e6"]
    assert run([*args, *bounds, "--out", str(plan)]) == 0
    assert names(plan) == {"plan.csv", "plan.json", "plan_draws.csv", "scenarios.csv"}
    table = pd.read_csv(plan / "plan.csv")
    assert list(table) == ["geo", "channel", "reference", "optimized", "lower", "upper"]
    assert table["optimized"].sum() == pytest.approx(1.9e6)
    assert list(table["upper"]) == [8e5, 1.2e6]
    found = json.loads((plan / "plan.json").read_text())
    words = set(re.findall(r"[a-z_0-9]+", (ROOT / "docs" / "files.md").read_text()))
    assert set(found) | set(found["response"]) | set(found["gain"]) <= words
    assert {"gain", "probability_better", "extrapolated", "reference_is"} <= set(found)
    assert found["reference_is"] == "past split scaled to the budget"
    fit = store.load(run_folder / "fit.nc")
    most = fit.panel.spend[0, fit.panel.window].max(0)
    beyond = table["optimized"] / 10 > most
    assert beyond.any()
    rows = found["extrapolated"]
    assert [row["channel"] for row in rows] == list(table.loc[beyond, "channel"])
    assert [set(row) for row in rows] == [{"geo", "channel", "spend", "largest"}] * len(
        rows
    )
    assert found["certified"] is True
    assert found["objective"] == pytest.approx(found["response"]["optimized"]["mean"])
    said = capsys.readouterr().out
    assert "over 10 weeks" in said
    assert "reference: past split scaled to 1.90 M" in said
    assert "EUR a week, largest so far" in said
    assert "better with probability" in said


def test_optimize_takes_a_default_bound_and_exceptions(fitted, tmp_path):
    run_folder, _ = fitted
    args = ["optimize", str(run_folder), "--periods", "10", "--out", str(tmp_path)]
    assert run([*args, "--bounds", "0.3", "--bounds", "TV=0:9e6"]) == 0
    table = pd.read_csv(tmp_path / "plan.csv").set_index("channel")
    assert table.loc["TV", ["lower", "upper"]].tolist() == [0, 9e6]
    search = table.loc["Search"]
    assert search["upper"] == pytest.approx(1.3 * search["reference"])
    assert json.loads((tmp_path / "plan.json").read_text())["reference_is"] == "past spend"


def test_optimize_options(fitted, tmp_path):
    run_folder, _ = fitted
    args = ["optimize", str(run_folder), "--periods", "10", "--per-period",
            "--budget", "1e5", "--carry-in", "history", "--bounds", "0:inf",
            "--fix", "TV=0",
            "--out", str(tmp_path)]  # fmt: skip
    assert run([*args, "--reference", "TV=5e4", "--reference", "Search=6e4"]) == 0
    table = pd.read_csv(tmp_path / "plan.csv")
    assert list(table["reference"]) == [5e4, 6e4]
    assert list(table["optimized"]) == pytest.approx([0, 1e5])
    assert json.loads((tmp_path / "plan.json").read_text())["carry_in"] == "history"


@pytest.mark.parametrize(
    "extra, hint",
    [
        (["--bounds", "wide"], "a number"),
        (["--bounds", "0.5", "--bounds", "0.3"], "ranges of money"),
        (["--bounds", "TV=0:1", "--bounds", "TV=0:2"], "ranges of money"),
        (["--fix", "Tv=0"], 'did you mean "TV"'),
        (["--fix", "TV=all"], "a number"),
        (["--reference", "TV"], "CHANNEL=NUMBER"),
        (["--bounds", "TV=0:1", "--bounds", "Search=0:1"], "upper bounds"),
        (["--carry-in", "past"], "history"),
    ],
)
def test_bad_plan_requests(fitted, tmp_path, capsys, extra, hint):
    run_folder, _ = fitted
    out = tmp_path / "plan"
    args = ["optimize", str(run_folder), "--periods", "10", "--out", str(out)]
    assert run([*args, *extra]) == 1
    assert hint in capsys.readouterr().err
    assert not out.exists()
