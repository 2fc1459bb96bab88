"""What the command line says on standard error: words, JSON lines, or nothing."""

import json
import logging

import pytest

import mmmjax as mm
from mmmjax.cli.app import run
from mmmjax.infer.progress import Progress
from tests.fits import make_panel
from tests.test_cli import SHORT, _no_cache, data

__all__ = ["_no_cache", "data"]  # fixtures


def test_version_and_mistyped_commands(capsys):
    assert run(["--version"]) == 0
    assert capsys.readouterr().out == f"mmmjax {mm.__version__}\n"
    for typed, meant in (("fti", "fit"), ("optimise", "optimize"), ("what-if", "whatif")):
        assert run([typed]) == 1
        assert f"Fix: mmmjax {meant}" in capsys.readouterr().err
    assert run(["--log", "xml", "check", "x.toml"]) == 1
    assert 'Allowed: "text" or "json"' in capsys.readouterr().err


@pytest.mark.parametrize("place", [0, 1, 2])
def test_json_is_a_line_each_wherever_the_option_stands(place, capsys):
    args = ["check", "nowhere.toml"]
    assert run([*args[:place], "--log", "json", *args[place:]]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    said = json.loads(line)
    assert said["level"] == "error"
    assert "nowhere.toml" in said["message"]
    assert run(["fit", "--nope", "--log=json"]) == 1
    assert "--nope" in json.loads(capsys.readouterr().err)["message"]
    assert run(args) == 1
    assert capsys.readouterr().err.startswith("Error ")  # nothing stays on


def test_a_fit_says_a_line_a_phase_or_all_as_json_or_nothing(data, tmp_path, capsys):
    args = ["fit", str(data / "tiny.toml"), *SHORT, "--sampler", "hmc"]
    run([*args, "--out", str(tmp_path / "a")])
    lines = capsys.readouterr().err.splitlines()
    phases = [line.partition(" after ")[0] for line in lines if " after " in line]
    assert phases[:3] == ["compile", "warm-up", "sample"]
    run([*args, "--out", str(tmp_path / "b"), "--log", "json"])
    said = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    assert [x["message"] for x in said if x["event"] == "phase"][:3] == phases[:3]
    drawn = [x for x in said if x["event"] == "draws"]
    assert {x["chain"] for x in drawn} == {0, 1}
    assert max(x["draws"] for x in drawn) >= 50
    assert any(x["event"] == "finding" for x in said)
    run([*args, "--out", str(tmp_path / "c"), "--quiet"])
    found = capsys.readouterr()
    assert found.out == ""
    assert "compile" not in found.err
    assert (tmp_path / "c" / "fit.nc").exists()


def test_python_logging_hears_what_a_fit_and_its_verdict_find(caplog):
    panel = make_panel(geos=("national",), periods=40)
    sampler = mm.HMC(chains=2, warmup=50, draws=50, until=None)
    with caplog.at_level(logging.INFO, "mmmjax"):
        fit = mm.fit(mm.Spec(seasonality=None), panel, sampler, progress=False)
        notes = [r.getMessage() for r in caplog.records if r.event == "finding"]
        assert notes == fit.info["notes"]
        caplog.clear()
        judged = mm.judge(fit)
        told = [r.getMessage() for r in caplog.records]
    assert told == [finding.message for finding in judged.adequate.findings]
    assert told


def test_python_logging_hears_the_phases(caplog):
    with caplog.at_level(logging.INFO, "mmmjax"):
        shown = Progress(2, False)
        for name in ("compile", "compile", "sample"):
            shown.phase(name)
    assert [r.getMessage() for r in caplog.records] == ["compile", "sample"]
    assert all(r.event == "phase" for r in caplog.records)
