"""The command line on machines that are not as usual: one line each, never a traceback."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

import mmmjax as mm
from mmmjax import resources, simulate
from mmmjax.cli.app import run
from tests.fits import make_fit
from tests.test_resources import Full

LONG = "x" * 300
DEMO = simulate.DEMO / "demo.toml"


def command(*args, close="", **environment):
    """A command in a process of its own; ``close`` is a redirection of the shell."""
    base = {"PATH": "/usr/bin:/bin", "PYTHONPATH": str(Path(__file__).parents[1])}
    return subprocess.run(
        ["sh", "-c", f'"$0" -m mmmjax.cli "$@" {close}', sys.executable, *args],
        env=base | environment, capture_output=True, text=True, check=False,
    )  # fmt: skip


COMMANDS = """
import io, json, os, runpy, subprocess, sys, warnings
import jax
import mmmjax.cli.app  # once for all; no device of JAX and no thread yet, so forks are safe

warnings.simplefilter("ignore")  # JAX warns of any fork
for args, out, said, encoding, environment in json.loads(sys.argv[1]):
    if (child := os.fork()) == 0:
        os.environ.update(environment)
        jax.config.update("jax_platforms", os.environ.get("JAX_PLATFORMS"))  # as at import
        os.dup2(os.open(said, os.O_WRONLY | os.O_CREAT), 2)
        if out == "head":
            head = subprocess.Popen(["head", "-n", "1"], stdin=-1, stdout=-3)
            place = head.stdin.fileno()
        elif out:
            place = os.open(out, os.O_WRONLY | os.O_CREAT)
        os.dup2(place, 1) if out else os.close(1)
        for name, number in (("stdout", 1 if out else None), ("stderr", 2)):
            stream = number and io.TextIOWrapper(open(number, "wb"), encoding)
            setattr(sys, name, stream)
            setattr(sys, f"__{name}__", stream)
        sys.argv = ["mmmjax", *args]
        sys.exit(runpy.run_module("mmmjax.cli", run_name="__main__"))
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
"""
WITHOUT = {"MMMJAX_CACHE": "off"}


@pytest.fixture(scope="module")
def ended(accents, tmp_path_factory):
    """Commands that end differently by where their output goes: code, stdout, stderr."""
    folder = tmp_path_factory.mktemp("ended")
    asked = {
        "ascii": (("check", accents), folder / "ascii", "ascii", {"HOME": "/proc/none"}),
        "full": (("check", DEMO), "/dev/full", "utf-8", WITHOUT),
        "head": (("--help",), "head", "utf-8", WITHOUT),
        "closed": (("--help",), "", "utf-8", WITHOUT),
        "bogus": (("check", DEMO), "/dev/null", "utf-8",
                  WITHOUT | {"JAX_PLATFORMS": "bogus"}),
    }  # fmt: skip
    cases = [
        ([*map(str, args)], str(out), str(folder / f"{name}.said"), *rest)
        for name, (args, out, *rest) in asked.items()
    ]
    done = subprocess.run(
        [sys.executable, "-c", COMMANDS, json.dumps(cases)], text=True, check=True,
        capture_output=True,
        env=os.environ | {"PYTHONPATH": str(Path(__file__).parents[1])},
    )  # fmt: skip
    codes = map(int, done.stdout.split())
    said = {name: (folder / f"{name}.said").read_text() for name in asked}
    return dict(zip(asked, zip(codes, said.values(), strict=True), strict=True)), folder


def one_line(code, said, name, value):
    """One error that names what was set."""
    lines = [x for x in said.splitlines() if not x.startswith(("W", "I", "E0"))]
    assert code == 1
    assert len(lines) == 1
    assert lines[0].startswith("Error ")
    assert name in lines[0]
    assert value in lines[0]


def test_a_platform_of_jax_that_is_not_there_is_one_line(ended):
    one_line(*ended[0]["bogus"], "JAX_PLATFORMS", "bogus")


def test_a_setting_that_jax_refuses_before_anything_of_ours_runs_is_one_line():
    done = command("check", DEMO, MMMJAX_CACHE="off", JAX_ENABLE_X64="maybe")
    one_line(done.returncode, done.stderr, "JAX_ENABLE_X64", "maybe")


@pytest.fixture(scope="module")
def accents(tmp_path_factory):
    """A case whose names are not ASCII."""
    folder = tmp_path_factory.mktemp("accents")
    table = pd.read_csv(simulate.DEMO / "demo.csv")
    table.rename(columns={"sales": "Umsatz_€"}).to_csv(folder / "demo.csv", index=False)
    text = DEMO.read_text().replace('"sales"', '"Umsatz_€"').replace("TV =", '"TÜV" =')
    (folder / "ü.toml").write_text(text, encoding="utf-8")
    return folder / "ü.toml"


def test_a_terminal_without_the_letters_of_the_names_shows_them_escaped(ended):
    (code, said), folder = ended[0]["ascii"], ended[1]
    shown = (folder / "ascii").read_text("ascii")
    assert code == 0, said
    assert r"Umsatz_\u20ac" in shown
    assert "Ready" in shown
    assert said.startswith("Warning compiled programs are not kept")
    assert len(said.splitlines()) == 1


@pytest.mark.parametrize("where", ["full", "head", "closed"])
def test_an_output_that_is_full_or_read_no_further_is_no_traceback(where, ended):
    said = ended[0][where][1]
    assert "Traceback" not in said
    assert len(said.splitlines()) <= 1


def test_an_output_that_is_closed_from_the_start_is_no_traceback():
    done = command("check", b"a\xffb.toml", close=">&-", MMMJAX_CACHE="off")
    assert "Traceback" not in done.stderr
    assert len(done.stderr.splitlines()) <= 1


@pytest.mark.parametrize(
    "args",
    [
        ("check", f"{LONG}.toml"), ("fit", f"{LONG}.toml"), ("report", LONG),
        ("fit", DEMO, "--out", LONG), ("fit", DEMO, "--out", f"{LONG}/{LONG}/run"),
        ("predict", LONG, "t.csv"), ("optimize", LONG), ("whatif", LONG, "TV=0"),
        ("backtest", DEMO, "--out", LONG), ("fleet", LONG), ("demo", "--out", LONG),
        ("fleet", DEMO, "--out", LONG), ("simulate", "--out", LONG),
        ("simulate", "--out", "s", "--name", LONG), ("fit", DEMO, "--draws", "-1"),
        ("simulate", "--out", "s", "--noise", "nan"),
        ("simulate", "--out", "s", "--periods", "1000000000"),
        ("fit", DEMO, "--out", ""), ("fit", DEMO, "--out="), ("check", ""), ("check", "."),
        ("fit", DEMO, "--seed", "9" * 400), ("fit", DEMO, "--chains", "1e3"), (LONG,),
        ("check", "/dev/null"),
    ],
    ids=lambda args: " ".join(ascii(str(a))[1:12] for a in args),
)  # fmt: skip
def test_arguments_that_cannot_be_meant_are_one_message(
    args, capsys, monkeypatch, tmp_path
):
    monkeypatch.chdir(tmp_path)
    assert run([*map(str, args)]) in (1, 2)
    told = capsys.readouterr().err
    assert told.strip()
    assert told.count("Error ") <= 1
    assert "Traceback" not in told
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


def test_a_full_disk_is_one_message_and_what_is_there_stays(tmp_path, monkeypatch, capsys):
    mm.save(make_fit(draws=4), tmp_path / "fit.nc")
    whole = (tmp_path / "fit.nc").read_bytes()
    Full(monkeypatch, 0)
    out = tmp_path / "s"
    assert run(["simulate", "--out", str(out)]) == 1
    told = capsys.readouterr().err
    assert "No space left on device" in told
    assert told.count("Error") == 1
    assert not list(out.iterdir())
    with pytest.raises(resources.Unwritten):
        mm.save(make_fit(draws=5), tmp_path / "fit.nc")
    assert (tmp_path / "fit.nc").read_bytes() == whole
