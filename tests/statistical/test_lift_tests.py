"""What lift tests make of simulated markets; 20 seeds are in benchmarks/lift_tests.py."""

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import mmmjax as mm


@pytest.fixture
def bench(monkeypatch):
    root = Path(__file__).resolve().parents[2]
    monkeypatch.setattr(sys, "path", [str(root / "benchmarks"), *sys.path])
    import lift_tests

    return lift_tests


def fitted(bench, panels):
    sampler = replace(bench.SAMPLER, draws=150, max_draws=300)
    return mm.fit_fleet(bench.SPEC, panels, sampler, refit=False, progress=False)


@pytest.mark.slow
def test_four_tests_and_a_control_set_a_confounded_market_right(bench):
    """Of 6 intervals of 94% at least 4 hold: fewer has a probability of 0.4%."""
    markets, panels = bench.worlds(3)
    names = [f"{world} {s}" for world in ("none", "told") for s in range(3)]
    fleet = fitted(bench, {name: panels[name] for name in names})
    inside, regret = 0, {"none": [], "told": []}
    for name in names:
        world, seed = name.split()
        regret[world].append(markets[f"hidden {seed}"].regret(fleet[name]))
        table = mm.tables.channels(fleet[name]).query("geo == 'ALL'")
        if world == "told":
            assert table["roas_mean"].iloc[0] > 1.5 * table["roas_mean"].iloc[1]
            holds = (table["roas_lo"] <= bench.ROAS) & (table["roas_hi"] >= bench.ROAS)
            inside += int(holds.sum())
    assert inside >= 4
    assert np.mean(regret["told"]) < np.mean(regret["none"]) / 3


@pytest.mark.slow
def test_a_dated_test_with_a_tail_tells_carry_over_from_size(bench):
    """And a test that is off by four of its errors is found."""
    _, panels = bench.worlds(2)
    names = [f"{world} {s}" for world in ("dated", "steady", "five") for s in range(2)]
    fleet = fitted(bench, {name: panels[name] for name in names})
    for s in range(2):
        dated, steady = (
            fleet[f"{world} {s}"].draws.params["adstock_alpha"][..., 0].std()
            for world in ("dated", "steady")
        )
        assert dated <= 0.5 * steady
        table = mm.tables.lift_tests(fleet[f"five {s}"]).set_index("test")
        assert table.loc["TV 85 off", "p_value"] < 0.01
