"""What is drawn of plans beside each other."""

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from mmmjax import plot
from mmmjax.checks import InputError
from mmmjax.plot.plans import _apart, brings_of

RNG = np.random.default_rng(0)
BEFORE = RNG.normal(1e6, 2e5, 400)
RESPONSE = xr.DataArray(
    np.stack([BEFORE, BEFORE + RNG.normal(1e5, 1e5, 400)]),
    {"plan": ["reference", "optimized"]},
    ("plan", "draw"),
)


def said(figure):
    return figure.axes[0].get_title(loc="left").replace("\n", " ")


def legend(figure):
    return [text.get_text() for text in figure.axes[0].get_legend().get_texts()]


def test_two_plans_are_compared_draw_by_draw():
    figure = plot.plan_responses(RESPONSE, outcome="sales")
    gain = RESPONSE.values[1] - RESPONSE.values[0]
    assert "sales more than the reference" in figure.get_suptitle()
    assert f"{gain.mean():,.0f}" in figure.get_suptitle()
    assert f"more with probability {(gain > 0).mean():.0%}" in said(figure)
    assert [label.partition(":")[0] for label in legend(figure)] == ["reference", "plan"]
    means = [line.get_xdata()[0] for line in figure.axes[0].lines[1::3]]
    np.testing.assert_allclose(means, RESPONSE.mean("draw"))


def test_a_mapping_of_draws_is_the_same_as_an_array():
    given = dict(zip(["reference", "optimized"], RESPONSE.values, strict=True))
    first, second = (brings_of(x) for x in (RESPONSE, given))
    for one, two in zip(first, second, strict=True):
        np.testing.assert_array_equal(one.draws, two.draws)
    assert first[0].mean == pytest.approx(BEFORE.mean())
    assert first[0].risk == pytest.approx(BEFORE.mean() - np.quantile(BEFORE, 0.05))


def test_a_plan_that_brings_less_says_so():
    figure = plot.plan_responses(RESPONSE.assign_coords(plan=["optimized", "reference"]))
    assert "more than the plan" in figure.get_suptitle()
    swapped = RESPONSE[::-1].assign_coords(plan=["reference", "optimized"])
    assert "less than the reference" in plot.plan_responses(swapped).get_suptitle()


def test_the_best_of_several_plans_is_named():
    given = {"a": BEFORE, "b": BEFORE + 10, "c": BEFORE - 10, "d": BEFORE}
    assert "B brings the most" in plot.plan_responses(given).get_suptitle()
    assert "A brings" in plot.plan_responses({"a": BEFORE}).get_suptitle()


@pytest.mark.parametrize("given", [{}, {"a": [1.0]}, {"a": [np.nan] * 9}])
def test_no_draws_are_refused(given):
    with pytest.raises(InputError, match="response"):
        plot.plan_responses(given)


def test_mean_and_risk_say_what_safety_costs():
    given = {"bold": np.array([0.0, 400.0] * 50), "safe": np.array([170.0, 190.0] * 50)}
    figure = plot.mean_and_risk(given, outcome="sales")
    assert figure.get_suptitle().replace("\n", " ") == (
        '"safe" brings 10.0% less than "bold" on average, at 95% less risk'
    )
    both = plot.mean_and_risk({"bold": given["bold"], "best": given["safe"] + 100})
    assert '"best" brings the most, at the least risk too' in both.get_suptitle()
    assert [t.get_text() for t in figure.axes[0].texts] == ["bold", "safe"]


def test_labels_do_not_lie_on_each_other():
    heights = _apart(np.array([3.0, 1.0, 1.0, 1.1]), 0.5)
    np.testing.assert_allclose(heights, [3.0, 1.0, 1.5, 2.0])


TABLE = pd.DataFrame({
    "budget": [1e6, 2e6, 4e6], "response_mean": [1e6, 1.5e6, 2e6],
    "response_lo": [5e5, 7e5, 8e5], "response_hi": [2e6, 3e6, 4e6],
    "shadow_price": [0.8, 0.4, np.nan],
})  # fmt: skip


@pytest.mark.parametrize("kind", ["table", "dataset"])
def test_the_frontier_says_what_more_budget_brings(kind):
    found = TABLE
    if kind == "dataset":
        found = xr.Dataset.from_dataframe(TABLE.set_index("budget"))
    figure = plot.frontier(
        found, marks={"reference": (2e6, 1.2e6), "optimized": (2e6, 1.5e6)},
        outcome="sales", currency="EUR",
    )  # fmt: skip
    assert figure.get_suptitle().replace("\n", " ") == (
        "4 times the budget brings 2 times the sales of media"
    )
    assert "brings 0.800 sales at the lowest budget and 0.400 at the highest" in (
        said(figure)
    )
    assert legend(figure)[-2:] == ["reference", "plan"]


def test_a_table_that_is_no_frontier_is_refused():
    with pytest.raises(InputError, match="response_mean"):
        plot.frontier(TABLE[["budget"]])
