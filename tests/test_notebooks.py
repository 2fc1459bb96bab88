"""The notebooks run as scripts, shrunk; `make notebooks` runs them whole."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.py"))
SHARED = ROOT.parent / "shared" / "data" / "case_study.csv"


@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda path: path.stem)
@pytest.mark.skipif(not SHARED.exists(), reason="the shared data are not here")
def test_notebook_runs(notebook, tmp_path):
    small = {"MMMJAX_SMOKE": "1", "MMMJAX_NOTEBOOK_OUT": str(tmp_path / "out")}
    done = subprocess.run(
        [sys.executable, str(notebook)],
        cwd=tmp_path,
        env=os.environ | small,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    pictures = sorted((tmp_path / "out").glob("*.png"))
    assert len(pictures) >= 20
    assert all(path.stat().st_size > 5_000 for path in pictures)
