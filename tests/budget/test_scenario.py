"""What a plan says of itself: table, JSON and text."""

import json
import math

import numpy as np
import pytest

import mmmjax as mm
from tests.budget.cases import make_fit


@pytest.fixture(scope="module")
def plan():
    return mm.optimize(make_fit(geos=2), periods=8, fixed={"c1": 500.0})


def test_frame_has_the_columns_of_plan_csv(plan):
    frame = plan.to_frame()
    assert list(frame) == ["geo", "channel", "reference", "optimized", "lower", "upper"]
    assert list(frame["geo"]) == ["g0"] * 3 + ["g1"] * 3
    assert list(frame["channel"]) == ["c0", "c1", "c2"] * 2
    np.testing.assert_array_equal(frame["optimized"], plan.optimized.values.ravel())
    assert frame["optimized"].sum() == pytest.approx(plan.budget)
    assert frame.loc[frame["channel"] == "c1", "optimized"].sum() == pytest.approx(500.0)


def test_dict_is_the_content_of_plan_json(plan):
    table = json.loads(json.dumps(plan.to_dict(), allow_nan=False))
    assert table["objective"] == plan.objective
    assert table["gap_bound"] / table["objective"] <= 1e-6
    assert (table["status"], table["utility"]) == ("converged", "mean_response")
    assert table["constraint_residuals"]["budget"] <= 1e-9 * plan.budget
    assert table["constraint_residuals"]["bounds"] == 0.0
    assert table["currency"] == "EUR"
    for name in ("reference", "optimized"):
        draws = plan.response.sel(plan=name).values
        said = table["response"][name]
        assert said["mean"] == pytest.approx(draws.mean())
        assert said["sd"] == pytest.approx(draws.std(ddof=1))
        assert said["quantiles"]["0.5"] == pytest.approx(np.median(draws))
    assert table["response"]["optimized"]["mean"] == pytest.approx(plan.objective)


def test_text_says_what_to_spend_and_how_sure(plan):
    text = repr(plan)
    for part in ("EUR over 8 period(s)", "carry-in zero", "g1   c2", "fixed", "certified",
                 "for one more EUR", "breaks the bounds"):  # fmt: skip
        assert part in text


def test_text_of_a_large_panel_is_by_channel():
    plan = mm.optimize(make_fit(4, geos=5), periods=8)
    text = repr(plan)
    assert "g4" not in text
    assert "of 5 geos" in text
    assert len(text.splitlines()) < 12
    assert len(plan.to_frame()) == 20


def test_per_period_is_said_and_kept():
    fit = make_fit()
    total = mm.optimize(fit, periods=8)
    each = mm.optimize(fit, periods=8, per_period=True)
    np.testing.assert_allclose(each.optimized, total.optimized / 8)
    assert each.budget == pytest.approx(total.budget / 8)
    assert each.objective == pytest.approx(total.objective, rel=1e-12)
    assert each.shadow_price == pytest.approx(total.shadow_price)
    assert "a period over 8" in repr(each)
    assert each.to_dict()["unit"] == "money a period"


def test_multiplier_is_empty_without_reference_spend():
    plan = mm.optimize(
        make_fit(), periods=8, reference={"c0": 1e4, "c1": 1e3, "c2": 0.0},
        bounds={"c2": (0.0, math.inf)},
    )  # fmt: skip
    assert np.isnan(plan.multiplier.sel(channel="c2")).all()
    assert plan.optimized.sel(channel="c2") > 0
