"""The command line on tiny data: every file and column, every exit code."""

import ast
import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import mmmjax as mm
from mmmjax import simulate, store
from mmmjax.cli import case as cases
from mmmjax.cli.app import cache_folder, run
from mmmjax.samplers import HMC, SAMPLERS
from mmmjax.spec import Spec, among
from tests.tables import weekly

ROOT = Path(__file__).parent.parent
TINY = simulate.Process(
    seed=3, periods=60, test_periods=8, channels=2, controls=1, max_lag=3,
    seasonality=False, trend=False, flighted=1,
)  # fmt: skip
TABLES = {
    "channels.csv": "geo,channel,spend,contribution_mean,contribution_lo,contribution_hi,"
    "share_mean,share_lo,share_hi,roas_mean,roas_lo,roas_hi,mroas_mean,mroas_lo,mroas_hi",
    "weekly.csv": "geo,date,component,mean,lo,hi",
    "parameters.csv": "parameter,index,mean,sd,hdi_3,hdi_97,ess_bulk,ess_tail,r_hat,"
    "mcse_mean",
    "priors.csv": "parameter,index,prior_mean,prior_sd,posterior_mean,posterior_sd,"
    "contraction",
    "fitted.csv": "geo,date,observed,mean,lo,hi",
    "forecast.csv": "geo,date,observed,mean,lo,hi",
    "returns.csv": "kind,window,geo,channel,spend,roas_mean,roas_lo,roas_hi,mroas_mean,"
    "mroas_lo,mroas_hi,now_mean,after_mean,t50_mean,t50_lo,t50_hi,t90_mean,t90_lo,t90_hi",
    "curves.csv": "geo,channel,spend,media,mean,lo,hi,extrapolated",
    "sweep.csv": "geo,channel,multiplier,spend,mean,lo,hi,uplift_mean,uplift_lo,uplift_hi,"
    "marginal_mean,marginal_lo,marginal_hi",
    "decomposition.csv": "geo,component,share_mean,share_lo,share_hi,total_mean,total_lo,"
    "total_hi",
    "carryover.csv": "channel,geo,lag,days,mean,lo,hi,half_life_mean,half_life_lo,"
    "half_life_hi,t90_mean,t90_lo,t90_hi,cut_mean,cut_lo,cut_hi",
}
OF_A_FIT = {*TABLES, "fit.nc", "spec.toml", "diagnostics.json"}
SHORT = ["--chains", "2", "--warmup", "50", "--draws", "50", "--no-report"]


@pytest.fixture(autouse=True)
def _no_cache(monkeypatch):
    monkeypatch.setenv("MMMJAX_CACHE", "off")


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """A folder with tiny.csv, tiny.toml and its truth."""
    folder = tmp_path_factory.mktemp("data")
    simulate.generate(TINY).write(folder, "tiny")
    return folder


@pytest.fixture(scope="module")
def fitted(data, tmp_path_factory):
    """A converged run, with its exit code."""
    out = tmp_path_factory.mktemp("runs") / "deep" / "run"
    settings = ["--chains", "2", "--warmup", "300", "--draws", "1500", "--no-report"]
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MMMJAX_CACHE", "off")
        code = run(["fit", str(data / "tiny.toml"), "--out", str(out), *settings])
    return out, code


def names(folder):
    return {p.name for p in folder.iterdir()}


def edited(data, tmp_path, *changes, name="case.toml"):
    """The tiny case with (old, new) text replaced, its data path made absolute."""
    text = (data / "tiny.toml").read_text().replace("tiny.csv", str(data / "tiny.csv"))
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    path = tmp_path / name
    path.write_text(text)
    return str(path)


def test_fit_writes_every_file_and_column(fitted):
    out, code = fitted
    assert code == 0
    assert names(out) == OF_A_FIT  # and no temporary file is left
    for name, header in TABLES.items():
        assert (out / name).read_text().splitlines()[0] == header
    channels = pd.read_csv(out / "channels.csv")
    assert list(channels["geo"]) == ["national"] * 2 + ["ALL"] * 2
    assert channels.notna().all(axis=None)
    weekly = pd.read_csv(out / "weekly.csv", parse_dates=["date"])
    assert set(weekly["component"]) == {
        "TV",
        "Search",
        "baseline",
        "controls",
        "fitted_mean",
    }
    assert len(weekly) == 52 * 5
    forecast = pd.read_csv(out / "forecast.csv")
    assert len(forecast) == 8
    assert forecast["observed"].notna().all()
    assert (forecast["lo"] < forecast["mean"]).all()


def test_diagnostics_and_spec_say_what_ran(fitted, data):
    out, _ = fitted
    found = json.loads((out / "diagnostics.json").read_text())
    assert found["converged"] is True
    assert found["divergences"] <= 30
    assert found["max_r_hat"] <= 1.01
    assert found["min_ess_bulk"] >= 200
    assert found["seed"] == TINY.seed
    assert found["crps_train"] > 0
    assert found["crps_test"] > 0
    assert all(found["timings"][k] >= 0 for k in ("compile", "warmup", "sample"))
    assert found["versions"]["jax"]
    assert found["device"]
    fit = store.load(out / "fit.nc")
    assert found["data_hash"] == fit.panel.data_hash()
    assert fit.panel.currency == found["currency"] == "EUR"
    case = tomllib.loads((data / "tiny.toml").read_text())
    asked = among(Spec.from_dict(case["model"]), fit.spec.sizes(fit.panel))
    assert Spec.from_toml((out / "spec.toml").read_text()) == asked


def test_every_column_and_key_is_documented(fitted, data):
    out, _ = fitted
    words = set(re.findall(r"[a-z_0-9]+", (ROOT / "docs" / "files.md").read_text()))
    columns = {c for header in TABLES.values() for c in header.split(",")}
    plain = {re.sub(r"^(.+)_(lo|hi)$", r"\1_mean", c) for c in columns}
    keys = {re.sub(r"^worst_.*", "worst_", k) for k in json.loads(
        (out / "diagnostics.json").read_text())}  # fmt: skip
    keys = {k.removesuffix("_test") if k != "crps_test" else k for k in keys}
    truth = json.loads((data / "tiny_truth.json").read_text())
    rows = {k for row in truth["channels"] for k in row}
    assert plain | keys | set(truth) | rows <= words


def test_not_converged_is_exit_2_with_everything_written(data, tmp_path, capsys):
    out = tmp_path / "run"
    assert run(["fit", str(data / "tiny.toml"), "--out", str(out), *SHORT]) == 2
    assert names(out) == OF_A_FIT
    assert json.loads((out / "diagnostics.json").read_text())["converged"] is False
    assert "NOT CONVERGED" in capsys.readouterr().err

    # A second fit without a test window leaves nothing of the first; a report that cannot
    # be written costs the report only.
    case = edited(data, tmp_path, ('train_until = "2023-12-25"\n', ""))
    (out / "report.html").mkdir()
    assert run(["fit", case, "--out", str(out), *SHORT[:-1], "--x64"]) == 2
    assert names(out) == (OF_A_FIT - {"forecast.csv"}) | {"report.html", "media.csv"}
    assert "report.html could not be written" in capsys.readouterr().err
    assert store.load(out / "fit.nc").sampler.dtype == "float64"
    assert json.loads((out / "diagnostics.json").read_text())["crps_test"] is None

    future = pd.read_csv(data / "tiny.csv").tail(2)
    future["date"] = ["2024-02-26", "2024-03-04"]
    future.drop(columns="sales").to_csv(tmp_path / "future.csv", index=False)
    assert run(["predict", str(out), str(tmp_path / "future.csv")]) == 2
    assert "NOT CONVERGED" in capsys.readouterr().err


def test_another_sampler_has_its_own_settings(data, tmp_path):
    case = edited(data, tmp_path, ("chains = 4", "chains = 4\nmax_tree_depth = 7"))
    out = tmp_path / "run"
    code = run(["fit", case, "--out", str(out), "--sampler", "hmc", *SHORT])
    assert code in (0, 2)
    found = store.load(out / "fit.nc").sampler
    assert found == HMC(chains=2, warmup=50, draws=50)
    assert run(["fit", case, "--out", str(out), "--sampler", "gibbs"]) == 1


@pytest.mark.parametrize("kind", list(SAMPLERS))
def test_every_sampler_is_known_to_a_case_and_to_the_flag(data, tmp_path, kind):
    given = cases.read(Path(data / "tiny.toml"), {"kind": kind}).sampler
    assert given == SAMPLERS[kind]()
    text = (data / "tiny.toml").read_text()
    text = text[: text.index("[sampler]")]
    text += f'[sampler]\nkind = "{kind}"\nchains = 64\ndraws = 100\n'
    file = tmp_path / f"{kind}.toml"
    file.write_text(text.replace('path = "', f'path = "{data}/'))
    asked = cases.read(file, {})
    assert asked.sampler == SAMPLERS[kind](chains=64, draws=100)


def test_a_panel_of_geos_is_sampled_by_hmc_unless_another_is_meant(tmp_path):
    head = '[data]\npath = "t.csv"\ndate = "date"\noutcome = "sales"\nmedia = ["tv"]\n'
    for lines, kind in (
        ("", "nuts"), ('geo = "geo"\n', "hmc"),
        ('geo = "geo"\n[sampler]\nseed = 3\n', "hmc"),
        ('geo = "geo"\n[sampler]\nmax_tree_depth = 8\n', "nuts"),
        ('geo = "geo"\n[sampler]\nkind = "nuts"\n', "nuts"),
    ):  # fmt: skip
        table = weekly(30, geos=["a", "b"] if "geo" in lines else ())
        table.to_csv(tmp_path / "t.csv", index=False)
        (tmp_path / "case.toml").write_text(head + lines)
        assert cases.read(tmp_path / "case.toml", {}).sampler.kind == kind


def test_a_look_is_judged_and_written_like_any_fit(data, tmp_path, capsys):
    """No warm-up, no step size, no energy: every file is written all the same."""
    out = tmp_path / "run"
    few = ["--sampler", "laplace", "--draws", "100", "--no-report"]
    assert run(["fit", str(data / "tiny.toml"), "--out", str(out), *few]) == 2
    assert names(out) == OF_A_FIT
    assert "NOT CONVERGED" in capsys.readouterr().err
    assert run(["fit", str(data / "tiny.toml"), *few, "--warmup", "50"]) == 1
    assert '"warmup"' in capsys.readouterr().err


@pytest.mark.parametrize(
    "changes, hints",
    [
        (("[model]", "[modell]"), ['"modell"', 'did you mean "model"']),
        (("train_until", "train_untl"), ['"train_untl"', 'did you mean "train_until"']),
        (("chains = 4", "chain = 4"), ['"chain"', 'did you mean "chains"']),
        (('kind = "nuts"', 'kind = "nut"'), ['"nut"', 'did you mean "nuts"']),
        (("max_lag = 3", "max_lags = 3"), ["max_lags", "max_lag"]),
        (('"tv_spend"', '"tv_spent"'), ['"tv_spent"', '"tv_spend"']),
        (('"2023-12-25"', '"2034-01-01"'), ["2034-01-01", "date from"]),
        (('date = "date"', "date = 1"), ["[data] date", "text"]),
        (('outcome = "sales"\n', ""), ["no outcome", "are needed"]),
        (("seed = 3", "seed = -1"), ["seed", "at least 0"]),
        (("draws = 1000", "draws = 0"), ["draws", "[1, "]),
        (('currency = "EUR"', 'on_empty = "dropp"'), ['did you mean "drop"']),
        (("[data]", "[data"), ["is not TOML", "line 1"]),
    ],
)
def test_bad_case_is_one_message_and_nothing_written(
    data, tmp_path, capsys, changes, hints
):
    case, out = edited(data, tmp_path, changes), tmp_path / "run"
    assert run(["fit", case, "--out", str(out)]) == 1
    said = capsys.readouterr().err
    assert "case.toml" in said
    for hint in hints:
        assert hint in said
    assert "Traceback" not in said
    assert not out.exists()


def test_bad_data_is_one_message_and_nothing_written(data, tmp_path, capsys):
    table = pd.read_csv(data / "tiny.csv")
    table.loc[5, "tv_spend"] = np.nan
    table.to_csv(tmp_path / "tiny.csv", index=False)
    shutil.copy(data / "tiny.toml", tmp_path)
    out = tmp_path / "run"
    assert run(["fit", str(tmp_path / "tiny.toml"), "--out", str(out)]) == 1
    said = capsys.readouterr().err
    assert "tv_spend" in said
    assert "2023-02-06" in said
    assert not out.exists()


def test_check_says_what_would_be_fitted(data, capsys, monkeypatch):
    monkeypatch.chdir(data.parent)  # the data path is relative to the case, not to here
    assert run(["check", str(data / "tiny.toml")]) == 0
    said = capsys.readouterr().out
    for part in ("training  52 weeks", "held out  8 weeks", "TV", "%", "Findings",
                 "Held out against training", "HalfNormal(scale=media_share)", "all media",
                 "Model: 9 numbers", "sales ~ Normal(mu, y_sigma)",
                 "Geometric(media, adstock_alpha, max_lag=3", "NUTS(chains=4", "95% below",
                 "Ready"):  # fmt: skip
        assert part in said, part
    assert names(data) == {"tiny.csv", "tiny.toml", "tiny_truth.json"}


def test_check_says_all_errors_and_warnings_at_once(data, tmp_path, capsys):
    table = pd.read_csv(data / "tiny.csv")
    table["copy"], table["flat"] = 2 * table["price_index"], 1
    table.to_csv(tmp_path / "wide.csv", index=False)
    case = edited(
        data,
        tmp_path,
        (str(data / "tiny.csv"), "wide.csv"),
        ('"price_index"', '"price_*", "copy", "flat"'),
        ("chains = 4", "chians = 4"),
        ("[sampler]", '[model.priors]\ny_sigma = { dist = "HalfNorml", scale = 1.0 }\n'
         'intercept = { dist = "Normal", loc = 0.5 }\n[sampler]'),
    )  # fmt: skip
    assert run(["check", case]) == 1
    said = "".join(capsys.readouterr())
    for part in ("4 errors", "chians", "HalfNorml", "HalfNormal", "scale", "flat",
                 "warning", '"copy"', "52 weeks"):  # fmt: skip
        assert part in said, part


def test_check_reads_media_apart_from_spend_lists_and_globs(data, tmp_path, capsys):
    table = pd.read_csv(data / "tiny.csv")
    table["tv_views"], table["mail"] = table["tv_spend"] * 50, table["search_spend"] + 1
    table.to_parquet(tmp_path / "t.parquet")
    (tmp_path / "apart.toml").write_text(
        '[data]\npath = "t.parquet"\ndate = "date"\noutcome = "sales"\n'
        'media = ["tv_views", "mail"]\nspend = { tv_views = "tv_spend" }\n'
        'controls = ["pri*"]\ntrain_until = 2024-01-01\n'
    )
    assert run(["check", str(tmp_path / "apart.toml")]) == 0
    said = capsys.readouterr().out
    assert "organic" in said
    assert "100.0%" in said


def test_check_of_a_model_without_media(data, tmp_path, capsys):
    (tmp_path / "base.toml").write_text(
        f'[data]\npath = "{data / "tiny.csv"}"\ndate = "date"\noutcome = "sales"\n'
    )
    assert run(["check", str(tmp_path / "base.toml")]) == 0
    said = capsys.readouterr().out
    assert "Model: 6 numbers" in said
    assert "adstock_alpha" not in said
    assert "Channels" not in said


def test_check_groups_findings_and_explains_the_share_of_spend(data, tmp_path, capsys):
    table = pd.read_csv(data / "tiny.csv")
    table.loc[10, "sales"] *= 5
    table.loc[20, "tv_spend"] *= 30
    table.loc[55, "search_spend"] = 9 * table["search_spend"].max()
    table.to_csv(tmp_path / "odd.csv", index=False)
    prior = 'saturation_beta = { dist = "HalfNormal", scale = "spend_share" }'
    asked = ("[sampler]", f"[model.priors]\n{prior}\n[sampler]")
    case = edited(data, tmp_path, (str(data / "tiny.csv"), "odd.csv"), asked)
    assert run(["check", case]) == 0
    lines = capsys.readouterr().out.splitlines()
    start = lines.index("Findings")
    end = next(i for i, line in enumerate(lines) if line.startswith("Model: "))
    found = " ".join(" ".join(lines[start:end]).split())
    assert 'warning - largest values far above all others: "TV" 2023-05-22' in found
    assert "- sales: 2 of 52 periods far from the median" in found
    assert '"Search" (12% of the cells' in found
    assert len([line for line in lines[start:end] if line.startswith("  warning")]) == 1
    spend = table.loc[:51, ["tv_spend", "search_spend"]].sum()
    share = spend / spend.sum()
    last = next(i for i, line in enumerate(lines) if line.startswith("Before the data"))
    rows = {line.split()[0]: line.split() for line in lines[end:last] if "%" in line}
    for name, part in zip(["TV", "Search"], share, strict=True):
        assert rows[name] == [name, f"{part:.3f}", f"{0.6745 * part:.0%}",
                              f"{1.96 * part:.0%}"]  # fmt: skip
    assert all(len(line) <= 125 for line in lines)


def test_check_says_what_the_priors_believe_of_returns(data, tmp_path, capsys):
    """As prior draws have it; in money where an outcome has a value; nothing organic."""
    changes = (
        ("media_share = 0.3", "media_share = 0.2"),
        ("[data]", '[data]\noutcome_value = 0.5\nspend = { TV = "tv_spend" }'),
    )
    assert run(["check", edited(data, tmp_path, *changes)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert any("all media bring 20% of sales in the mean" in line for line in lines)
    start = next(i for i, line in enumerate(lines) if line.startswith("Before the data"))
    assert lines[start + 1].split()[:2] == ["channel", "return"]
    rows = {line.split()[0]: line.split()[1:] for line in lines[start + 2 : start + 5]}
    assert len(rows["TV"]) == 6  # median and interval of return and share
    assert len(rows["Search"]) == 3  # organic: a share alone
    share = [float(x.rstrip("%")) for x in rows["all"][4:]]
    assert 12 < share[0] < 25
    assert share[1] < 5
    assert 40 < share[2] < 65


def test_check_of_geos_with_events_and_other_controls(tmp_path, capsys):
    simulate.generate(
        simulate.Process(seed=1, periods=60, test_periods=0, channels=2, geos=3, controls=2)
    ).write(tmp_path, "geos")
    table = pd.read_csv(tmp_path / "geos.csv")
    table["eve"] = (table["date"] == table["date"][30]).astype(float)
    table.to_csv(tmp_path / "geos.csv", index=False)
    text = (tmp_path / "geos.toml").read_text()
    assert "controls = [" in text
    (tmp_path / "geos.toml").write_text(text.replace("controls = [", 'controls = ["eve", '))
    assert run(["check", str(tmp_path / "geos.toml")]) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "geos 3 (" in said
    assert "controls 1 event (on in 3 of 180 geo-weeks): eve 2 others: " in said
    assert "Held out" not in said
    assert "within geos" in said


def test_check_of_a_case_whose_priors_need_spend_says_all_errors(data, tmp_path, capsys):
    table = pd.read_csv(data / "tiny.csv")
    table["flat"] = 1.0
    table.to_csv(tmp_path / "flat.csv", index=False)
    organic = ('"price_index",\n]', '"price_index", "flat"]\nspend = {}')
    changes = [(str(data / "tiny.csv"), "flat.csv"), ("chains = 4", "chians = 4"), organic]
    case = edited(data, tmp_path, *changes)
    assert run(["check", case]) == 1
    said = "".join(capsys.readouterr())
    assert "2 errors" in said
    assert "Model: " in said
    assert "Prior from the data" not in said


@pytest.mark.parametrize(
    "case, numbers", [("case_study", 55), ("national", 27), ("geo", 517)]
)
def test_benchmark_cases_are_valid(case, numbers, capsys):
    path = ROOT / "benchmarks" / case / "case.toml"
    table = path.parent / tomllib.loads(path.read_text())["data"]["path"]
    if not table.is_file():
        pytest.skip(f"needs {table.name} in shared/data beside the repository")
    assert run(["check", str(path)]) == 0
    said = capsys.readouterr().out.splitlines()
    assert f"Model: {numbers} numbers to estimate" in said
    assert len(said) <= 73  # a page, and what the priors believe of each channel


@pytest.mark.parametrize(
    "argv, hint",
    [
        (["fitt"], "fitt"),
        (["fit"], "CASE"),
        (["fit", "none.toml"], "no such file"),
        (["fit", "x.toml", "--draws", "many"], "--draws"),
        (["optimize", "nowhere", "--periods", "4"], "fit.nc"),
        (["simulate", "--out", "x", "--collinear", "2"], "collinear"),
    ],
)
def test_bad_commands_are_exit_1_too(argv, hint, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert run(argv) == 1
    said = capsys.readouterr().err
    assert hint in said
    assert "Traceback" not in said
    assert not names(tmp_path)


def test_output_folder_must_be_one(data, tmp_path, capsys):
    (tmp_path / "taken").write_text("")
    args = ["fit", str(data / "tiny.toml"), "--out", str(tmp_path / "taken" / "run")]
    assert run(args) == 1
    assert "taken" in capsys.readouterr().err


@pytest.mark.parametrize(
    "command", ["demo", "simulate", "check", "fit", "predict", "optimize", "planner"]
)
def test_every_command_has_help(command, capsys):
    assert run([command, "--help"]) == 0
    assert "Usage: mmmjax " + command in capsys.readouterr().out


@pytest.mark.parametrize("command", ["predict", "transfer"])
def test_help_shows_the_tables_that_it_names(command, capsys):
    assert run([command, "--help"]) == 0
    said = capsys.readouterr().out
    assert {"predict": "a line of [data]", "transfer": "as [[facts]] of"}[command] in said


def test_no_help_has_brackets_that_the_help_page_takes_for_its_own():
    """A table such as [data] is written with a backslash, or it is not shown."""
    for file in (ROOT / "mmmjax" / "cli").glob("*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            texts = []
            if isinstance(node, ast.Call):
                found = [k.value for k in node.keywords if k.arg == "help"]
                texts = [k.value for k in found if isinstance(k, ast.Constant)]
            elif isinstance(node, ast.FunctionDef) and not node.name.startswith("_"):
                inside = any("typer" in ast.unparse(a) for a in node.args.args)
                texts = [ast.get_docstring(node) or ""] if inside else []
            for text in texts:
                assert not re.search(r"(?<!\\)\[[a-z]", text), (file.name, text)


def test_it_runs_as_a_module():
    ask = [sys.executable, "-m", "mmmjax", "--version"]
    said = subprocess.run(ask, cwd=ROOT, capture_output=True, text=True, check=True)
    assert said.stdout.strip() == f"mmmjax {mm.__version__}"


def test_the_folder_of_a_fleet_is_not_a_run(tmp_path, capsys):
    (tmp_path / "markets").mkdir()
    (tmp_path / "markets" / "de.nc").write_bytes(b"")
    assert run(["optimize", str(tmp_path)]) == 1
    said = " ".join(capsys.readouterr().err.split())
    assert "the folder of a fleet" in said
    assert "markets/de.nc" in said.replace(" ", "")


def test_demo_compares_with_its_truth_and_writes_everything(tmp_path, capsys):
    out = tmp_path / "demo-run"
    assert run(["demo", "--out", str(out), *SHORT[:-1]]) == 2  # 50 draws cannot converge
    assert names(out) == OF_A_FIT | {
        "plan.csv",
        "plan.json",
        "plan_draws.csv",
        "report.html",
        "planner.html",
        "media.csv",
        "data",
    }
    assert names(out / "data") == {"demo.csv", "demo.toml", "demo_truth.json"}
    said = capsys.readouterr().out
    for part in (
        "truth inside",
        "3.94",
        "of 4 intervals hold the truth",
        "Plan:",
        str(out),
    ):
        assert part in said.replace("\n", ""), part


def test_cache_folder_follows_the_environment(monkeypatch, tmp_path):
    assert cache_folder() is None  # off in these tests
    monkeypatch.setenv("MMMJAX_CACHE", str(tmp_path))
    assert cache_folder() == tmp_path
    monkeypatch.delenv("MMMJAX_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache_folder() == tmp_path / "mmmjax"


def test_command_in_a_process_of_its_own_keeps_what_it_compiled(tmp_path):
    env = os.environ | {"MMMJAX_CACHE": str(tmp_path / "cache")}
    args = ["simulate", "--out", str(tmp_path / "new"), "--geos", "2", "--periods", "60"]
    done = subprocess.run(
        [sys.executable, "-m", "mmmjax.cli", *args], env=env, capture_output=True, text=True
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert names(tmp_path / "new") == {"demo.csv", "demo.toml", "demo_truth.json"}
    assert any((tmp_path / "cache").iterdir())
