"""What is drawn of plans beside each other."""

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from mmmjax import plot
from mmmjax.checks import InputError
from mmmjax.plot.picture import to_png
from tests.plot import seen

RNG = np.random.default_rng(0)
BEFORE = RNG.normal(1e6, 2e5, 400)
RESPONSE = xr.DataArray(
    np.stack([BEFORE, BEFORE + RNG.normal(1e5, 1e5, 400)]),
    {"plan": ["reference", "optimized"]},
    ("plan", "draw"),
)


def title(picture):
    return seen.words(picture)[0]


def test_two_plans_are_compared_draw_by_draw():
    picture = plot.plan_responses(RESPONSE, outcome="sales")
    gain = RESPONSE.values[1] - RESPONSE.values[0]
    assert (
        title(picture)
        == f"The plan brings {gain.mean():,.0f} sales more than the reference"
    )
    assert f"more with probability {(gain > 0).mean():.0%}" in seen.words(picture)[1]
    keys = list(seen.colours(picture, "plan"))
    assert [key.partition(":")[0] for key in keys] == ["reference", "plan"]
    rows = seen.table(picture)
    np.testing.assert_allclose(rows.loc[rows["mean"], "at"], RESPONSE.mean("draw"))
    for _, part in rows[~rows["mean"]].groupby("plan"):  # densities
        assert np.trapezoid(part["height"], part["at"]) == pytest.approx(1.0, abs=0.01)
    assert seen.params(picture) == {"hidden": []}


def test_a_mapping_of_draws_is_the_same_as_an_array():
    given = dict(zip(["reference", "optimized"], RESPONSE.values, strict=True))
    first, second = (plot.plan_responses(x).to_dict() for x in (RESPONSE, given))
    assert first == second


def test_a_plan_that_brings_less_says_so():
    turned = RESPONSE.assign_coords(plan=["optimized", "reference"])
    assert "more than the plan" in title(plot.plan_responses(turned))
    swapped = RESPONSE[::-1].assign_coords(plan=["reference", "optimized"])
    assert "less than the reference" in title(plot.plan_responses(swapped))


def test_the_best_of_several_plans_is_named():
    given = {"a": BEFORE, "b": BEFORE + 10, "c": BEFORE - 10, "d": BEFORE}
    assert "B brings the most" in title(plot.plan_responses(given))
    assert "A brings" in title(plot.plan_responses({"a": BEFORE}))


@pytest.mark.parametrize("given", [{}, {"a": [1.0]}, {"a": [np.nan] * 9}])
def test_no_draws_are_refused(given):
    with pytest.raises(InputError, match="response"):
        plot.plan_responses(given)


def test_mean_and_risk_say_what_safety_costs():
    given = {"bold": np.array([0.0, 400.0] * 50), "safe": np.array([170.0, 190.0] * 50)}
    picture = plot.mean_and_risk(given, outcome="sales")
    assert title(picture) == (
        '"safe" brings 10.0% less than "bold" on average, at 95% less risk'
    )
    rows = seen.table(picture).set_index("plan")
    for name, draws in given.items():
        assert rows.loc[name, "mean"] == draws.mean()
        assert rows.loc[name, "risk"] == draws.mean() - np.quantile(draws, 0.05)
    assert rows["left"].to_dict() == {"bold": False, "safe": True}
    both = plot.mean_and_risk({"bold": given["bold"], "best": given["safe"] + 100})
    assert '"best" brings the most, at the least risk too' in title(both)


def test_labels_do_not_lie_on_each_other():
    given = {name: BEFORE + more for name, more in (("a", 0), ("b", 0), ("c", 9e5))}
    rows = seen.table(plot.mean_and_risk(given))
    gaps = np.diff(np.sort(rows["label"]))
    assert gaps.min() >= 0.07 * np.ptp(rows["mean"])
    assert rows.loc[0, "label"] == rows.loc[0, "mean"]


TABLE = pd.DataFrame(
    {
        "budget": [1e6, 2e6, 4e6],
        "response_mean": [1e6, 1.5e6, 2e6],
        "response_lo": [5e5, 7e5, 8e5],
        "response_hi": [2e6, 3e6, 4e6],
        "shadow_price": [0.8, 0.4, np.nan],
    }
)


@pytest.mark.parametrize("kind", ["table", "dataset"])
def test_the_frontier_says_what_more_budget_brings(kind):
    found = TABLE.iloc[::-1]
    if kind == "dataset":
        found = xr.Dataset.from_dataframe(TABLE.set_index("budget"))
    marks = {"reference": (2e6, 1.2e6), "optimized": (2e6, 1.5e6)}
    picture = plot.frontier(found, marks=marks, outcome="sales", currency="EUR")
    assert title(picture) == "4 times the budget brings 2 times the sales of media"
    unit = seen.words(picture)[1]
    assert "brings 0.800 sales at the lowest budget and 0.400 at the highest" in unit
    assert list(seen.colours(picture, "kind"))[-2:] == ["reference", "plan"]
    rows = seen.table(picture)
    best = rows[rows["kind"] == "best plan"]
    columns = ["budget", "mean", "lo", "hi", "price"]
    np.testing.assert_array_equal(best[columns].astype(float), TABLE.to_numpy())
    assert rows.loc[rows["kind"] == "plan", ["budget", "mean"]].to_numpy().tolist() == [
        [2e6, 1.5e6]
    ]


def test_a_table_that_is_no_frontier_is_refused():
    with pytest.raises(InputError, match="response_mean"):
        plot.frontier(TABLE[["budget"]])
    one = plot.frontier(TABLE.iloc[:1].drop(columns="shadow_price"))
    assert title(one) == "Outcome of the best plan at every budget"


@pytest.mark.parametrize(
    "draw",
    [
        lambda: plot.plan_responses(
            {'O\'Neil "x" [1] .a': BEFORE, "<b>": BEFORE, "c": BEFORE}
        ),
        lambda: plot.mean_and_risk({'O\'Neil "x" [1] .a': BEFORE, "<b>": 2 * BEFORE}),
        lambda: plot.frontier(TABLE, marks={"reference": (2e6, 1.2e6)}),
    ],
)
def test_they_are_drawn(draw):
    assert to_png(draw(), 0.3).startswith(b"\x89PNG")
