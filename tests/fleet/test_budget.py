"""One budget over the markets of a fleet: who gets the money, and is that the best?"""

import numpy as np
import pytest

import mmmjax as mm
from tests.fits import make_fit
from tests.fleet.examples import table_of
from tests.infer.problems import panel, spec


def test_a_budget_over_the_usable_markets_of_a_fleet():
    """Three markets that converged, of different size, and one that did not."""
    fits = {
        f"m{i}": make_fit(2, 30, spec(), panel(periods=40 + 4 * i, seed=i), i)
        for i in range(4)
    }
    statuses = ["converged", "refitted", "converged", "not converged"]
    fleet = mm.Fleet(table_of(statuses), [], fits)
    budget = 4000.0
    plan = mm.optimize(fleet.usable, budget=budget, periods=8, bounds=(0, 3))
    table = plan.to_frame()
    assert plan.certified
    assert plan.gap_bound <= 1e-6 * plan.objective
    assert list(dict.fromkeys(table["geo"])) == ["m0", "m1", "m2"]
    assert table["optimized"].sum() == pytest.approx(budget, rel=1e-9)
    markets = table.groupby("geo")[["reference", "optimized"]].sum()
    moved = (markets.optimized - markets.reference).abs().sum() / 2
    assert moved > 0.02 * budget  # between markets, not only inside them
    # The next unit of money brings no more where there is room above than where there is
    # room below: nothing can be gained by moving it, in whatever market it is.
    prices = plan.marginal.to_numpy().ravel()
    above = (table["optimized"] < table["upper"] - 1).to_numpy()
    below = (table["optimized"] > table["lower"] + 1).to_numpy()
    assert above.any()
    assert below.any()
    assert prices[above].max() <= prices[below].min() * (1 + 1e-3)

    # A market alone, given the money that it has in the plan, splits it alike.
    rows = table[table["geo"] == "m1"]
    limits = zip(rows.channel, rows.lower, rows.upper, strict=True)
    alone = mm.optimize(
        fleet["m1"],
        budget=float(markets.optimized["m1"]),
        periods=8,
        bounds={channel: (lo, hi) for channel, lo, hi in limits},
        reference=dict(zip(rows.channel, rows.reference, strict=True)),
    )
    np.testing.assert_allclose(
        alone.to_frame().optimized, rows.optimized, atol=1e-3 * budget
    )
