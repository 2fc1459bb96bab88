"""What a user asks of a plan in flags and in plan.toml, and what of it is refused."""

import json
import re

import numpy as np
import pandas as pd
import pytest

from mmmjax import store
from mmmjax.budget import constraints
from mmmjax.checks import InputError
from mmmjax.cli import asked
from mmmjax.cli.app import run
from tests.test_cli import ROOT, _no_cache, data, fitted, names

__all__ = ["_no_cache", "data", "fitted"]  # fixtures

PLAN = """
periods = 10
budget = 1.6e6
up_to = true
utility = "mean_tightness(alpha=0.5)"
starts = 3
seed = 4
bounds = { "*" = 0.6, TV = [0, 1.5e6] }
fix = ["Search"]
constraints = ["group(['TV'], at_most=1e6)"]
frontier = [1e6, 1.5e6, 2e6]
carry_in = "history"

[reference]
TV = 1e6
Search = 5e5

[scenarios."last year"]
TV = 9e5
"""


def write(tmp_path, text):
    path = tmp_path / "plan.toml"
    path.write_text(text)
    return path


def test_a_plan_file_has_the_keys_of_the_flags(tmp_path):
    found = asked.read(write(tmp_path, PLAN), {})
    assert found.plan == {
        "periods": 10, "budget": 1.6e6, "up_to": True, "per_period": False,
        "fixed_geo_split": False,
        "utility": "mean_tightness(alpha=0.5)", "starts": 3, "seed": 4,
        "bounds": {"*": 0.6, "TV": (0, 1.5e6)}, "fixed": {"Search": None},
        "reference": {"TV": 1e6, "Search": 5e5}, "carry_in": "history",
        "constraints": [constraints.group(["TV"], at_most=1e6)],
    }  # fmt: skip
    assert found.frontier == [1e6, 1.5e6, 2e6]
    assert found.scenarios == {"last year": {"TV": 9e5}}
    assert "budget" not in found.of_frontier


def test_flags_win_over_the_plan_file(tmp_path):
    flags = {"periods": 5, "up_to": False, "bounds": ["0.3"], "fix": [], "budget": None,
             "constraints": ["max_change(0.2)"], "frontier": "1:3:3"}  # fmt: skip
    found = asked.read(write(tmp_path, PLAN), flags)
    assert (found.plan["periods"], found.plan["budget"]) == (5, 1.6e6)
    assert found.plan["up_to"] is False
    assert found.plan["bounds"] == {"*": 0.3}
    assert found.plan["fixed"] == {"Search": None}
    assert found.plan["constraints"] == [constraints.max_change(0.2)]
    assert found.frontier == [1, 2, 3]


@pytest.mark.parametrize(
    "given, bounds",
    [
        (["0:3"], {"*": (0, 3)}),
        (["0,3"], {"*": (0, 3)}),
        (["0.2", "TV=0:9e6", "Radio=1,2"], {"*": 0.2, "TV": (0, 9e6), "Radio": (1, 2)}),
        ([], 0.5),
        (["TV=0.8x:1.2x", "Radio=0:2x"], {"TV": ("0.8x", "1.2x"), "Radio": (0, "2x")}),
    ],
)
def test_bounds_of_flags(given, bounds):
    assert asked.read(None, {"periods": 4, "bounds": given}).plan["bounds"] == bounds


MULTIPLES = '{ TV = ["0.8x", "1.2x"], Radio = 0.2, Search = "0x:3x" }'
READ = {"TV": ("0.8x", "1.2x"), "Radio": 0.2, "Search": "0x:3x"}


@pytest.mark.parametrize(
    "text, bounds", [("0.3", 0.3), ("[0, 3]", (0, 3)), (MULTIPLES, READ)]
)
def test_bounds_of_a_plan_file(tmp_path, text, bounds):
    path = write(tmp_path, f"periods = 4\nbounds = {text}\n")
    assert asked.read(path, {}).plan["bounds"] == bounds


def test_prices_by_period_and_dates_of_a_reference_in_a_plan_file(tmp_path):
    text = "reference = [2025-01-01, 2025-03-31]\n[cost_per_unit]\nTV = [[2, 3]]\nRadio = 4"
    plan = asked.read(write(tmp_path, text), {}).plan
    assert plan["reference"] == ("2025-01-01", "2025-03-31")
    assert plan["cost_per_unit"] == {"TV": ((2, 3),), "Radio": 4}
    flags = {"reference": ["2025-01-01:2025-03-31"]}
    assert asked.read(None, flags).plan["reference"] == plan["reference"]


@pytest.mark.parametrize(
    "text, wanted",
    [
        ('group(["TV", "Radio"], at_most=1e6)',
         constraints.group(["TV", "Radio"], at_most=1e6)),
        (" group('TV', at_least=0.1, share=True, name='x')",
         constraints.group("TV", at_least=0.1, share=True, name="x")),
        ("roas_floor(2.0)", constraints.roas_floor(2.0)),
        ('minimum_if_on({"TV": 5e5})', constraints.minimum_if_on({"TV": 5e5})),
        ("max_change(share=0.3)", constraints.max_change(0.3)),
        ('per_geo({"north": (1e5, None)})', constraints.per_geo({"north": (1e5, None)})),
    ],
)  # fmt: skip
def test_constraints_are_read_as_they_are_written_in_python(text, wanted):
    assert asked.constraint_of(text) == wanted


@pytest.mark.parametrize(
    "text, hint",
    [
        ("grupo(['TV'])", 'did you mean "group"'),
        ("group(['TV'], at_mos=1)", "at_mos"),
        ("group(['TV'])", "at_least, at_most or both"),
        ("group", "a call of group"),
        ("__import__('os').system('true')", "a call of group"),
        ("group(open('x'))", "a call of group"),
        ("group(*['TV'], at_most=1)", "a call of group"),
        ("max_change(**{'share': 1})", "a call of group"),
        ("max_change(0.1); 1", "a call of group"),
        ("max_change(" + "-" * 5000 + "1)", "a call of group"),
        ("(" * 20_000, "a call of group"),
        (3, "a call of group"),
    ],
)
def test_constraints_that_are_none(text, hint):
    with pytest.raises(InputError, match=re.escape(hint)):
        asked.constraint_of(text)


@pytest.mark.parametrize(
    "text, hint",
    [
        ("periods = 4\nutilty = 'mean'\n", 'did you mean "utility"'),
        ("periods = 4\nfixed = {TV = 0}\n", 'did you mean "fix"'),
        ("periods = 4\nup_to = 'yes'\n", "true or false"),
        ("periods = 4\nprobability = 0.9\n", "a target to reach"),
        ("periods = 4\ntarget = 9\nutility = 'sharpe'\n", "leave out --utility"),
        ("periods = 4\ntarget = 9\nfrontier = '1:2:3'\n", "leave out --target"),
        ("periods = 4\nfrontier = '1:2:one'\n", "a number"),
        ("periods = 4\nfrontier = [1e6]\n", "two or more budgets"),
        ("periods = 4\nfrontier = '-1:2:3'\n", "two or more budgets"),
        ("periods = 4\nscenarios = 3\n", "[scenarios.last_year]"),
        ("periods = 4\n[scenarios.plan]\nTV = 1\n", "a name of its own"),
        ("periods = 4\n[scenarios.x]\nTV = 'much'\n", "a finite number"),
        ("periods = \n", "is not TOML"),
    ],
)
def test_plan_files_that_are_refused(tmp_path, text, hint):
    with pytest.raises(InputError, match=re.escape(hint)):
        asked.read(write(tmp_path, text), {})


def test_no_plan_file():
    with pytest.raises(InputError, match=r"a TOML file"):
        asked.read(asked.Path("nowhere.toml"), {"periods": 3})


@pytest.mark.slow(parts=6)
def test_everything_at_once_is_planned_and_written(fitted, tmp_path, capsys):
    run_folder, _ = fitted
    out = tmp_path / "plan"
    path = write(tmp_path, PLAN)
    args = ["optimize", str(run_folder), "--plan", str(path), "--out", str(out)]
    assert run([*args, "--carry-in", "zero"]) == 0
    files = {"plan.csv", "plan.json", "plan_draws.csv", "scenarios.csv", "frontier.csv"}
    assert names(out) == files
    told = json.loads((out / "plan.json").read_text())
    words = set(re.findall(r"[a-z_0-9]+", (ROOT / "docs" / "files.md").read_text()))
    assert set(told) <= words
    assert set(told["limits"][0]) | set(told["prices"][0]) <= words
    assert (told["carry_in"], told["starts"], told["up_to"]) == ("zero", 3, True)
    assert told["utility"].startswith("mean_tightness(alpha=0.5")
    assert told["utility_unit"] == "sales"
    assert told["limits"][0]["name"] == "TV at most 1,000,000"
    assert set(asked.KEYS) <= words
    table = pd.read_csv(out / "plan.csv").set_index("channel")
    assert table.loc["Search", "optimized"] == pytest.approx(5e5)
    assert table.loc["TV", "optimized"] <= 1e6 * (1 + 1e-9)
    draws = pd.read_csv(out / "plan_draws.csv")
    assert draws.mean().to_dict() == pytest.approx(
        {name: told["response"][name]["mean"] for name in ("reference", "optimized")}
    )
    plans = pd.read_csv(out / "scenarios.csv")
    assert list(dict.fromkeys(plans["plan"])) == ["reference", "plan", "last year"]
    whole = plans.loc[plans["channel"] == "ALL"].set_index("plan")
    assert whole.loc["last year", "spend"] == pytest.approx(1.4e6)
    assert whole.loc["plan", "response_mean"] == pytest.approx(draws["optimized"].mean())
    levels = pd.read_csv(out / "frontier.csv")
    assert list(levels["budget"]) == [1e6, 1.5e6, 2e6]
    assert set(levels) - {"spend_TV", "spend_Search"} <= words
    spent = levels[["spend_TV", "spend_Search"]].sum(axis=1)
    assert (spent <= levels["budget"] * (1 + 1e-9)).all()
    said = capsys.readouterr().out
    assert "none, a better plan may exist" in said
    assert "best of 3 starts" in said


@pytest.mark.slow(parts=6)
def test_spend_that_is_not_even_has_a_file_of_its_own(fitted, tmp_path, capsys):
    run_folder, _ = fitted
    args = ["optimize", str(run_folder), "--periods", "6", "--out", str(tmp_path)]
    assert run([*args, "--flighting", "optimal"]) == 0
    told = json.loads((tmp_path / "plan.json").read_text())
    assert told["flighting"] == "not even"
    table = pd.read_csv(tmp_path / "plan_periods.csv")
    assert list(table) == ["geo", "channel", "period", "spend"]
    fit = store.load(run_folder / "fit.nc")
    dates = pd.to_datetime(table["period"])
    assert dates.min() == fit.panel.dates[-1] + pd.Timedelta(weeks=1)
    whole = pd.read_csv(tmp_path / "plan.csv").set_index("channel")["optimized"]
    sums = table.groupby("channel")["spend"].sum()
    np.testing.assert_allclose(sums[whole.index], whole)
    assert "weeks      most in " in capsys.readouterr().out
    assert run(args) == 0
    assert "plan_periods.csv" not in names(tmp_path)
    assert "spend_by_period" not in json.loads((tmp_path / "plan.json").read_text())
