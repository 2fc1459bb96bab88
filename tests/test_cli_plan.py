"""The commands predict and optimize on tiny data: files, what is said, exit codes."""

import json
import re
import shutil
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from mmmjax import store
from mmmjax.checks import InputError
from mmmjax.cli import show
from mmmjax.cli.app import run
from mmmjax.cli.whatif import factors_of
from mmmjax.counterfactuals import counterfactual, counterfactual_table
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


@pytest.mark.slow(parts=6)
def test_a_plan_file_asks_for_rising_prices_and_present_values(fitted, tmp_path, capsys):
    run_folder, _ = fitted
    asked, worth = tmp_path / "plan.toml", tmp_path / "worth"
    worth.mkdir()
    fit = store.load(run_folder / "fit.nc")
    path = worth / "fit.nc"
    store.save(replace(fit, panel=replace(fit.panel, outcome_value=0.5)), path)
    asked.write_text(
        "periods = 10\ndiscount_rate = 0.08\n[cost_per_unit]\nTV = { elasticity = 0.4 }\n"
    )
    args = ["optimize", str(path), "--plan", str(asked), "--out", str(tmp_path / "plan")]
    assert run(args) == 0
    said = capsys.readouterr().out
    assert "net present value at 8.0% a year" in said
    table = pd.read_csv(tmp_path / "plan" / "scenarios.csv")
    assert table["npv_mean"].notna().all()
    assert {"probability_npv", "break_even"} <= set(table)
    told = json.loads((tmp_path / "plan" / "plan.json").read_text())
    rises = {row["channel"]: row["price_elasticity"] for row in told["prices"]}
    assert rises == {"TV": 0.4, "Search": 0.0}
    args[1] = str(run_folder / "fit.nc")
    assert run(args) == 1
    assert "no outcome_value" in capsys.readouterr().err


def test_planner_shows_the_plan_of_the_run_or_makes_one(fitted, tmp_path, capsys):
    folder = tmp_path / "run"
    shutil.copytree(fitted[0], folder)
    said = lambda: re.search(r'id="settings">(.*?)</script>', page.read_text(), re.S)[1]
    page = folder / "planner.html"
    ask = lambda *flags: run(["planner", str(folder), "--draws", "60", *flags])
    assert run(["optimize", str(folder), "--periods", "4", "--budget", "5e5"]) == 0
    assert ask() == 0
    told = json.loads(said())
    plan = pd.read_csv(folder / "plan" / "plan.csv")
    np.testing.assert_allclose([c["optimized"] for c in told["cells"]], plan["optimized"])
    assert told["draws"] == 60
    assert told["flags"].endswith("--periods 4")
    (tmp_path / "plan.toml").write_text("periods = 8\n[scenarios.much]\nTV = 1e5\n")
    assert (
        ask("--plan", str(tmp_path / "plan.toml"), "--out", str(tmp_path / "p.html")) == 0
    )
    page = tmp_path / "p.html"
    told = json.loads(said())
    assert told["flags"].endswith("--periods 8")
    assert [each["name"] for each in told["scenarios"]] == ["much"]
    (tmp_path / "plan.toml").write_text("frontier = [1e5, 2e5]")
    assert ask("--plan", str(tmp_path / "plan.toml")) == 1
    assert "mmmjax optimize" in capsys.readouterr().err


@pytest.mark.parametrize(
    "extra, hint",
    [
        (["--bounds", "wide"], "a number"),
        (["--bounds", "0.5", "--bounds", "0.3"], "ranges of money"),
        (["--bounds", "TV=0:1", "--bounds", "TV=0:2"], "ranges of money"),
        (["--fix", "Tv=0"], 'did you mean "TV"'),
        (["--fix", "TV=all"], "a number"),
        (["--reference", "TV"], "CHANNEL=NUMBER"),
        (["--bounds", "TV=0:2000", "--bounds", "Search=0:2000"], "upper bounds"),
        (["--bounds", "TV=0.8:1.2"], '"TV=0.8x:1.2x"'),
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


def test_returns_are_said_in_money_where_the_outcome_has_a_value(fitted, capsys):
    run_folder, _ = fitted
    table = pd.read_csv(run_folder / "channels.csv")
    panel = store.load(run_folder / "fit.nc").panel
    show.channels(table, panel)
    plain = capsys.readouterr().out
    assert "ROAS" in plain
    assert "Break-even" not in plain
    show.channels(table, replace(panel, outcome_value=0.5))
    money = capsys.readouterr().out
    assert "ROAS" not in money
    assert "at 0.5 an outcome. Break-even is 1" in money
    said = [float(x) for x in re.findall(r"([\d.]+) \[", money)]
    for row in table.to_dict("records"):
        for name in ("roas_mean", "mroas_mean"):
            assert any(x == pytest.approx(0.5 * row[name], rel=0.005) for x in said)


def test_whatif_says_and_writes_what_the_library_says(fitted, tmp_path, capsys):
    run_folder, _ = fitted
    fit = store.load(run_folder / "fit.nc")
    first, second = fit.panel.channels
    args = ["whatif", str(run_folder), f"{first}=+20%", f"{second}=0"]
    before = names(run_folder)
    assert run(args) == 0
    assert names(run_folder) == before
    assert run([*args, "--out", str(tmp_path / "what")]) == 0
    said = " ".join(capsys.readouterr().out.split())
    found = counterfactual(fit, {first: 1.2, second: 0.0})
    wanted = counterfactual_table(found)
    written = pd.read_csv(tmp_path / "what" / "whatif.csv")
    pd.testing.assert_frame_equal(written, wanted, check_dtype=False, rtol=1e-9)
    assert f"What if: {first} times 1.2 and {second} times 0" in said
    gain = float(found["difference_outcome"].mean())
    assert f"Change: sales {gain:+,.0f} [" in said
    assert "What comes after the window is not counted." in said


@pytest.mark.parametrize(
    "text, factor",
    [("TV=+20%", 1.2), ("TV=-20%", 0.8), ("TV=\N{MINUS SIGN}20%", 0.8), ("TV=x1.2", 1.2),
     ("TV=1.2x", 1.2), ("TV=1.2", 1.2), ("TV=0", 0.0), ("TV=-100%", 0.0),
     ("TV = + 5 %", 1.05), ("a=b=*.5", 0.5), ("TV=\N{MULTIPLICATION SIGN}2", 2.0)],
)  # fmt: skip
def test_changes_are_read(text, factor):
    name = text.rpartition("=")[0].strip()
    assert factors_of([text], ["TV", "a=b"]) == {name: pytest.approx(factor)}


@pytest.mark.parametrize(
    "texts, said",
    [
        (["tv=x2"], 'got "tv".*did you mean "TV"'),
        (["TV"], 'Fix: "TV=\\+20%"'),
        (["TV 1.2"], 'got "TV 1.2".*Fix: a change is "TV=\\+20%"'),
        (["TV=20%"], '"TV=\\+20%" for so much more, "TV=x0.2" for a part'),
        (["TV=+0.2"], 'Fix: "TV=\\+20%"'),
        (["TV=-0.1"], 'Fix: "TV=-10%"'),
        (["TV=-120%"], "at least -100%"),
        (["TV=1,2"], 'Fix: "TV=1.2", with a point'),
        (["TV=NaN"], 'got "TV=NaN"'),
        (["TV=1e3"], 'got "TV=1e3"'),
        (["TV="], 'got "TV="'),
        (["TV=0", "TV=x2"], "each channel once"),
    ],
)
def test_changes_of_another_form_are_refused_with_the_right_one(texts, said):
    with pytest.raises(InputError, match=said):
        factors_of(texts, ["TV", "Radio"])


def test_whatif_names_the_closest_channel_and_writes_nothing(fitted, tmp_path, capsys):
    run_folder, _ = fitted
    assert run(["whatif", str(run_folder), "tv =x2", "--out", str(tmp_path / "w")]) == 1
    assert 'did you mean "TV"?' in capsys.readouterr().err
    assert not (tmp_path / "w").exists()
