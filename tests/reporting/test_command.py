"""``mmmjax report``: the report again from the files of a run; nothing is sampled."""

import json
import os
import shutil

import numpy as np
import pandas as pd
import pytest

import mmmjax as mm
from mmmjax import tables
from mmmjax.cli import files
from mmmjax.cli.app import run
from mmmjax.kernels.adstock import Geometric
from mmmjax.spec import Spec
from tests.fits import make_fit, make_panel
from tests.reporting import examples


@pytest.fixture(autouse=True)
def _no_cache(monkeypatch):
    monkeypatch.setenv("MMMJAX_CACHE", "off")


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """A run folder with the tables of a fit that converged by construction."""
    panel = make_panel(("north",), periods=20)
    train, test = panel.split(panel.dates[-5])
    spec = Spec(adstock=Geometric(max_lag=3), seasonality=None)
    fit = make_fit(chains=2, draws=600, panel=train, spec=spec)
    out = tmp_path_factory.mktemp("runs") / "run"
    files.write_fit(fit, out, test)
    return out


@pytest.fixture
def folder(written, tmp_path):
    """A copy that may be changed, its times kept."""
    return shutil.copytree(written, tmp_path / "run", copy_function=shutil.copy2)


def read(folder):
    return (folder / "report.html").read_text(encoding="utf-8")


def age(folder):
    """Make everything older than the fit."""
    before = (folder / files.FIT).stat().st_mtime - 60
    for path in folder.rglob("*.*"):
        if path.name != files.FIT:
            os.utime(path, (before, before))


def test_tables_beside_the_fit_are_read_and_not_computed(folder, monkeypatch, capsys):
    for name in (*tables.NAMES, "judged", "diagnose"):
        monkeypatch.setattr(tables, name, None)
    before = {p.name: p.stat().st_mtime_ns for p in folder.iterdir()}
    assert run(["report", str(folder)]) == 0
    after = {p.name: p.stat().st_mtime_ns for p in folder.iterdir()}
    assert set(after) - set(before) == {"report.html", "media.csv"}
    assert all(after[name] == time for name, time in before.items())
    text = read(folder)
    assert "How well does it forecast?" in text  # forecast.csv and diagnostics.json
    assert "What if a channel had had more, or less?" in text
    assert "report.html" in capsys.readouterr().out


def test_a_run_of_before_models_were_judged_is_judged_again(folder, capsys):
    path = folder / files.DIAGNOSTICS
    old = json.loads(path.read_text())
    now = {name: old.pop(name) for name in ("sampled", "adequate", "sentence")}
    path.write_text(json.dumps(old))
    assert run(["report", str(folder)]) == 0
    again = json.loads(path.read_text())
    for found in now["adequate"]["findings"]:  # sums behind a stored scale are rounded
        if found["value"] is not None:
            found["value"] = pytest.approx(found["value"], rel=1e-6)
    assert {name: again[name] for name in now} == now
    assert "Does the model fit the data?" in read(folder)


def test_what_is_missing_or_stale_is_computed_and_written(folder, capsys):
    before = {p.name: pd.read_csv(p) for p in folder.glob("*.csv")}
    (folder / "curves.csv").unlink()
    age(folder)
    assert run(["report", str(folder)]) == 0
    said = "".join(capsys.readouterr())
    assert "forecast.csv is not of this fit: the report has no forecast" in said
    assert "curves.csv" in said
    for name in ("curves.csv", "channels.csv", "priors.csv"):
        again = pd.read_csv(folder / name)
        pd.testing.assert_frame_equal(again, before[name], rtol=1e-6)
    record = json.loads((folder / "diagnostics.json").read_text())
    assert record["crps_test"] is None
    assert record["seed"] == 0
    assert "says nothing about forecasts" in read(folder)
    # now all is fresh: the next report reads it
    times = {p.name: p.stat().st_mtime_ns for p in folder.glob("*.csv")}
    assert run(["report", str(folder)]) == 0
    assert times == {p.name: p.stat().st_mtime_ns for p in folder.glob("*.csv")}


def test_tables_of_another_fit_or_shape_are_not_trusted(folder):
    path = folder / "diagnostics.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"seed": 7}))
    channels = pd.read_csv(folder / "channels.csv")
    channels.assign(roas_mean=-98765.25).to_csv(folder / "channels.csv", index=False)
    assert run(["report", str(folder)]) == 0
    pd.testing.assert_frame_equal(pd.read_csv(folder / "channels.csv"), channels, rtol=1e-6)
    assert "-98,765" not in read(folder)


def test_plans_and_backtests_of_the_run_are_shown(folder):
    data = examples.panel(("national",))
    plan = examples.plan(data)
    place = folder / "plan"
    place.mkdir()
    rename = {examples.NASTY: "TV"}
    plan.table.replace({"channel": rename}).to_csv(place / "plan.csv", index=False)
    (place / "plan.json").write_text(json.dumps(plan.facts))
    (folder / "backtest").mkdir()
    examples.backtest().to_csv(folder / "backtest" / "backtest.csv", index=False)
    assert run(["report", str(folder)]) == 0
    text = read(folder)
    assert "5.0% more of what paid media bring" in text
    assert "how surely, is not known" in text
    assert "no limit" in text
    assert "Backtest: what it would have said before" in text
    known = {"probability_better": 0.7, "gain": {"mean": 5.0, "lo": -2.0, "hi": 12.0}}
    (place / "plan.json").write_text(json.dumps(plan.facts | known))
    assert run(["report", str(folder)]) == 0
    assert "94% interval -2.00 to 12.00" in read(folder)
    assert "better than the reference with probability 70% only" in read(folder)
    age(folder)
    assert run(["report", str(folder)]) == 0
    assert "of what paid media bring" not in read(folder)


def test_another_place_and_known_truth(folder, tmp_path):
    (tmp_path / "truth.json").write_text(json.dumps({"TV": 1.0}))
    out = tmp_path / "elsewhere.html"
    asked = [
        "report",
        str(folder),
        "--out",
        str(out),
        "--truth",
        str(tmp_path / "truth.json"),
    ]
    assert run(asked) == 0
    assert "These data were simulated" in out.read_text(encoding="utf-8")
    assert not (folder / "report.html").exists()


def test_a_fit_file_alone_is_enough(folder, tmp_path):
    alone = tmp_path / "alone"
    alone.mkdir()
    shutil.copy(folder / files.FIT, alone / "mine.nc")
    (alone / "channels.csv").write_text("geo,channel\n")
    assert run(["report", str(alone / "mine.nc")]) == 0
    assert {p.name for p in alone.iterdir()} == {"mine.nc", "channels.csv", "report.html"}
    assert (alone / "channels.csv").read_text() == "geo,channel\n"


def test_draws_that_cannot_be_used_are_exit_2(tmp_path, capsys):
    fit = make_fit(chains=2, draws=10, panel=make_panel(("north",)),
                   spec=Spec(adstock=Geometric(max_lag=3), seasonality=None))  # fmt: skip
    mm.save(fit, tmp_path / files.FIT)
    assert run(["report", str(tmp_path)]) == 2
    assert "NOT CONVERGED" in capsys.readouterr().err
    assert "Do not act on it yet" in read(tmp_path)
    table = pd.read_csv(tmp_path / "channels.csv")
    assert np.isfinite(table["contribution_mean"]).all()


@pytest.mark.parametrize(
    "arguments, hints",
    [
        (["nowhere"], ["fit.nc", "mmmjax fit"]),
        (["{run}", "--out", "{tmp}/none/r.html"], ["a folder that exists"]),
        (["{run}", "--truth", "{tmp}/no.json"], ["--truth", "cannot be read"]),
    ],
)
def test_bad_input_is_one_message_and_exit_1(written, tmp_path, capsys, arguments, hints):
    given = [a.format(run=written, tmp=tmp_path) for a in arguments]
    assert run(["report", *given]) == 1
    said = capsys.readouterr().err
    assert all(hint in said for hint in hints)
    assert "Traceback" not in said
    assert not (written / "report.html").exists()
