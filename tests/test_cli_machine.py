"""The command line on machines that are not as usual: one line each, never a traceback."""

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


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("JAX_PLATFORMS", "bogus"),
        ("JAX_ENABLE_X64", "maybe"),  # refused by JAX, before anything of ours runs
    ],
)
def test_a_setting_of_jax_that_is_not_there_is_one_line(name, value):
    done = command("check", DEMO, MMMJAX_CACHE="off", **{name: value})
    assert done.returncode == 1
    lines = [x for x in done.stderr.splitlines() if not x.startswith(("W", "I", "E0"))]
    assert len(lines) == 1
    assert lines[0].startswith("Error ")
    assert name in lines[0]
    assert value in lines[0]


@pytest.fixture(scope="module")
def accents(tmp_path_factory):
    """A case whose names are not ASCII."""
    folder = tmp_path_factory.mktemp("accents")
    table = pd.read_csv(simulate.DEMO / "demo.csv")
    table.rename(columns={"sales": "Umsatz_€"}).to_csv(folder / "demo.csv", index=False)
    text = DEMO.read_text().replace('"sales"', '"Umsatz_€"').replace("TV =", '"TÜV" =')
    (folder / "ü.toml").write_text(text, encoding="utf-8")
    return folder / "ü.toml"


def test_a_terminal_without_the_letters_of_the_names_shows_them_escaped(accents):
    done = command("check", accents, PYTHONIOENCODING="ascii", HOME="/proc/none")
    assert done.returncode == 0, done.stderr
    assert r"Umsatz_\u20ac" in done.stdout
    assert "Ready" in done.stdout
    assert done.stderr.startswith("Warning compiled programs are not kept")
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.parametrize(
    ("args", "close"),
    [
        (("check", DEMO), ">/dev/full"),
        (("--help",), ">&-"),
        (("--help",), "| head -n 1"),
        (("check", b"a\xffb.toml"), ">&-"),
    ],
)
def test_an_output_that_is_closed_or_full_is_no_traceback(args, close):
    done = command(*args, close=close, MMMJAX_CACHE="off")
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
