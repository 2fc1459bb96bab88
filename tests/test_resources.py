"""What is written is whole or is not there; what does not fit is refused before."""

import errno
import io
import os
import re
import subprocess
import sys
import tempfile
import threading
from csv import reader

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

import mmmjax as mm
from mmmjax import resources, tables
from mmmjax.cli import files
from mmmjax.resources import csv, only_run, plain, replace_file, usable_path
from tests.fits import make_fit

STARTS = ("=", "+", "-", "@", "\t", "\r", "\n", *"\uff1d\uff0b\uff0d\uff20")
NASTY = st.text(st.sampled_from("=+-@'\t\r\n,;\"\uff1d\uff20 a1é"), max_size=6).filter(
    str.strip
)


class Full:
    """A disk that takes so many more files, and half of the next."""

    def __init__(self, monkeypatch, left):
        self.left, self.whole = left, resources.put
        monkeypatch.setattr(resources, "put", self.put)

    def put(self, path, content):
        self.left -= 1
        if self.left < 0:
            path.write_bytes(bytes(content)[: len(content) // 2])
            raise OSError(errno.ENOSPC, "No space left on device")
        self.whole(path, content)


# -- names of cells ------------------------------------------------------------------------


@given(st.lists(NASTY, min_size=1, max_size=5))
def test_no_cell_is_a_formula_and_every_text_comes_back(names):
    frame = pd.DataFrame({"=market": names, "value": np.arange(len(names)) - 1.5})
    text = csv(frame)
    cells = list(reader(io.StringIO(text, newline="")))  # Python's, not that of pandas
    assert not any(row[0].startswith(STARTS) for row in cells), text
    assert [row[1] for row in cells] == ["value", *map(str, frame["value"])]
    back = plain(pd.DataFrame(cells[1:], columns=cells[0]))
    assert list(back) == ["=market", "value"]
    assert list(back["=market"]) == [re.sub("\r\n?", "\n", name) for name in names]


# -- paths ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "path",
    ["a\0b", "a\nb", "\ud800", "x" * 300, "x" * 260 + "/y", "a/" * 2100, "", "\x1b[m"],
)
def test_paths_that_no_file_can_have_are_refused(path, tmp_path):
    if len(path) in (300, 262):
        path = str(tmp_path / path)
    with pytest.raises(mm.InputError) as error:
        usable_path("--out", path)
    assert str(error.value).isprintable()
    with pytest.raises(mm.InputError):
        mm.save(make_fit(draws=4), path)


def test_a_name_as_long_as_a_file_system_takes_can_be_written(tmp_path):
    target = tmp_path / ("x" * 255)  # the name of the temporary file is no longer
    replace_file(target, b"1")
    assert target.read_bytes() == b"1"


# -- left over -----------------------------------------------------------------------------


def test_only_what_dead_processes_left_is_removed(tmp_path, monkeypatch):
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    me, token = os.getpid(), "0123456789abcdef"
    name = lambda host, process, session: f".mmmjax-{host}-{process}-{session}01234567.tmp"
    gone = [name(resources.HOST, dead.pid, token[:8]), name(resources.HOST, me, token[:8])]
    stay = [
        name(resources.HOST, me, resources.SESSION), name(resources.HOST, 1, token[:8]),
        name("ffffffff", dead.pid, token[:8]), "mine.tmp", ".x.tmp",
    ]  # fmt: skip
    for file in gone + stay:
        (tmp_path / file).write_bytes(b"x")
    mm.save(make_fit(draws=4), tmp_path / "fit.nc")
    assert {p.name for p in tmp_path.iterdir()} == {*stay, "fit.nc"}
    resources.clean(tmp_path / "none")


# -- one run in a folder -------------------------------------------------------------------


def test_two_runs_in_a_folder_the_second_is_refused_and_a_dead_one_holds_nothing(tmp_path):
    place = tmp_path / "run"
    code = (
        "import sys, os, pathlib; from mmmjax.resources import only_run\n"
        "with only_run('--out', pathlib.Path(sys.argv[1])):\n"
        "    print('in', flush=True); sys.stdin.read(1); os.kill(os.getpid(), 9)"
    )
    command = [sys.executable, "-c", code, str(place)]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    with subprocess.Popen(command, **pipes) as other:
        assert other.stdout.readline() == "in\n"
        words = f"process {other.pid}.* is at work"
        with pytest.raises(mm.InputError, match=words), only_run("--out", place):
            pass
        other.stdin.write("x")
        other.stdin.close()
        assert other.wait() == -9
    with only_run("--out", place):  # its lock died with it
        found = []

        def again():
            try:
                with only_run("--out", place):
                    found.append("in")
            except mm.InputError:
                found.append("refused")

        thread = threading.Thread(target=again)
        thread.start()
        thread.join()
        assert found == ["refused"]
    assert not list(place.iterdir())


def test_a_folder_that_nothing_was_written_to_is_not_left(tmp_path):
    with pytest.raises(ZeroDivisionError), only_run("--out", tmp_path / "a" / "b"):
        raise ZeroDivisionError
    assert not (tmp_path / "a" / "b").exists()


# -- a full disk ---------------------------------------------------------------------------


def test_a_disk_full_at_any_file_of_a_run_leaves_whole_ones(tmp_path, monkeypatch):
    fit = make_fit(draws=20)
    computed = tables.every(fit)
    monkeypatch.setattr(tables, "every", lambda *_: computed)
    (tmp_path / "all").mkdir()
    files.write_fit(fit, tmp_path / "all")
    whole = {p.name: p.read_bytes() for p in (tmp_path / "all").iterdir()}
    assert len(whole) > 8
    out = tmp_path / "out"
    for left in range(len(whole)):
        with monkeypatch.context() as patch:
            Full(patch, left)
            with pytest.raises(resources.Unwritten, match="No space left"):
                files.write_fit(fit, out)
        written = {p.name: p.read_bytes() for p in out.iterdir()}
        assert len(written) == max(left, min(1, left)), left
        assert all(written[name] == whole[name] for name in written if name != "fit.nc")
        if left:
            assert mm.load(out / "fit.nc").seed == fit.seed


def test_a_fit_that_finds_its_disk_full_is_kept_on_another(tmp_path, monkeypatch):
    out, other, put = tmp_path / "out", tmp_path / "other", resources.put
    other.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(other))

    def full(path, content):
        if out in path.parents:
            raise OSError(errno.ENOSPC, "No space left on device")
        put(path, content)

    monkeypatch.setattr(resources, "put", full)
    with pytest.raises(resources.Unwritten, match=r"No space left.*whole in .*fit\.nc"):
        files.write_fit(make_fit(draws=4, seed=3), out)
    (kept,) = other.rglob("fit.nc")
    assert mm.load(kept).seed == 3


def test_a_full_disk_leaves_the_fit_that_was_there(tmp_path, monkeypatch):
    mm.save(make_fit(draws=4, seed=1), tmp_path / "fit.nc")
    Full(monkeypatch, 0)
    with pytest.raises(OSError, match=r"fit\.nc"):
        mm.save(make_fit(draws=4, seed=2), tmp_path / "fit.nc")
    assert mm.load(tmp_path / "fit.nc").seed == 1
    assert [p.name for p in tmp_path.iterdir()] == ["fit.nc"]


# -- memory and room -----------------------------------------------------------------------


def test_what_is_beyond_the_disk_is_refused_with_the_numbers(tmp_path):
    with pytest.raises(mm.InputError, match=r"about 1e\+0?3 TB.*are free"):
        resources.enough_disk("--out", tmp_path / "new" / "run", 1e15, "draws", "fewer")
    resources.enough_disk("--out", tmp_path / "new", 1e3, "draws", "fewer")
