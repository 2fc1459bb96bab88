"""The notebooks run as scripts, shrunk; `make notebooks` runs them whole."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.py"))
SHARED = ROOT.parent / "shared" / "data" / "case_study.csv"
PICTURES = {
    "budget_allocation": 14, "budget_risk": 9, "case_study": 20, "fleet": 6,
    "geo_panel": 9, "baselines": 8, "curves_and_carryover": 11,
    "lift_tests": 5, "refresh": 1, "time_varying": 3,
}  # at least  # fmt: skip
SIMULATED = {
    "baselines", "budget_risk", "curves_and_carryover", "fleet", "geo_panel",
    "lift_tests", "time_varying",
}  # need no shared data  # fmt: skip


@pytest.mark.slow  # each in one of the parts
@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda path: path.stem)
def test_notebook_runs(notebook, tmp_path):
    if not SHARED.exists() and notebook.stem not in SIMULATED:
        pytest.skip("the shared data are not here")
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
    assert len(pictures) >= PICTURES[notebook.stem]
    assert all(path.stat().st_size > 5_000 for path in pictures)
