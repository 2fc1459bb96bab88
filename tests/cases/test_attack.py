"""Strangers' attacks, each a script that prints a line OK or FAULT: no line FAULT.

A disk that is full for a moment (attack/disk_full_fleet.sh, as root) is
tests/fleet/test_store.py, by a hook in place of the one function that writes.
"""

import runpy
import sys
from pathlib import Path

import jaxtyping
import pytest

ATTACKS = Path(__file__).parent / "attack"
SAMPLES = pytest.param("tree_loses", marks=pytest.mark.slow)


@pytest.mark.parametrize(
    "name", ["cells_silent", "memory_unsaid", "nul_name", "toml_tracebacks", SAMPLES]
)
def test_no_attack_finds_a_fault(name, monkeypatch, capsys):
    monkeypatch.syspath_prepend(ATTACKS)
    monkeypatch.setenv("PYTHONPATH", str(ATTACKS.parents[2]))
    jaxtyping.config.update("jaxtyping_disable", True)  # users have no checks of types
    try:
        runpy.run_path(str(ATTACKS / f"{name}.py"))
    finally:
        jaxtyping.config.update("jaxtyping_disable", False)
        sys.modules.pop("common", None)
    found = capsys.readouterr().out
    assert "OK" in found
    assert "FAULT" not in found
