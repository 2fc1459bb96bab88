"""Every benchmark runs in its smallest size and writes a result that names its origin."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
FILES = sorted(
    file for file in (ROOT / "benchmarks").glob("[a-z]*.py") if file.name != "common.py"
)


@pytest.mark.slow(parts=8)  # each in every eighth run
@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_runs_once_and_says_where_its_numbers_come_from(file, tmp_path):
    command = [sys.executable, str(file), "--smoke", "--out", str(tmp_path)]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-4000:]
    record = json.loads((tmp_path / f"{file.stem}.json").read_text())
    assert record["rows"]
    assert record["commit"]
    assert record["machine"]["cores"]
    assert record["versions"]["jax"]


def test_every_benchmark_is_listed_in_the_rules():
    text = (ROOT / "benchmarks" / "README.md").read_text()
    assert all(f"`{file.name}`" in text for file in FILES)
