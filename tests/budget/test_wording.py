"""A plan in words: utilities, limits, budgets that need not be spent, flighting."""

import dataclasses
import json

import numpy as np
import pytest

import mmmjax as mm
from mmmjax import words
from mmmjax.budget import constraints, wording
from mmmjax.checks import amount
from tests.budget.cases import make_fit

FIT = make_fit(7, draws=30)


def line(plan, label, noun="week"):
    """What stands behind a label; empty if it is not there."""
    rows = [x.strip() for x in plan.text(noun).splitlines()]
    found = [x.removeprefix(label).strip() for x in rows if x.startswith(label + " ")]
    return "; ".join(found)


@pytest.fixture(scope="module")
def plain():
    return mm.optimize(FIT, periods=8)


@pytest.mark.parametrize(
    "utility, unit",
    [
        ("mean_response()", "sales"),
        ("mean_response", "sales"),
        ("mean_tightness(alpha=0.9, level=0.75)", "sales"),
        ("2 * mean_response() - 100", "sales"),
        ("mean_response() - 0.5 * tail_distance(level=0.75)", "sales"),
        ("-tail_distance(level=0.75)", "sales"),
        ("sharpe(risk_free=0)", ""),
        ("portfolio_entropy()", ""),
        ("mean_response() + 1000 * portfolio_entropy()", ""),
        ("mean_response() * sharpe(risk_free=0)", ""),
        ("roas(of=mean_response())", "sales per EUR"),
        ("roas(of=sharpe(risk_free=0))", ""),
        ("my own rule", ""),
        ("custom", ""),
    ],
)
def test_units_of_utilities(plain, utility, unit):
    assert wording.unit_of(dataclasses.replace(plain, utility=utility)) == unit


def test_a_plan_of_seven_channels_is_a_screen(plain):
    text = plain.text("week")
    assert len(text.splitlines()) <= 20
    assert line(plain, "utility") == ""
    assert "sales for one more EUR" in line(plain, "next")
    assert line(plain, "weeks") == line(plain, "limit") == ""


def test_records_are_the_lines_of_the_text_and_of_the_file(plain):
    records = [*plain.facts(), *plain.findings()]
    rows = [row.strip() for row in plain.text("week").splitlines()]
    assert rows[-len(records) :] == [f"{one.code:<11}{one.what}" for one in records]
    told = json.loads(json.dumps(plain.to_dict()))
    assert told["facts"] == [one.to_dict() for one in plain.facts()]
    assert told["findings"] == [one.to_dict() for one in plain.findings()]
    of = {one.code: one for one in plain.facts()}
    gain = plain.response.sel(plan="optimized") - plain.response.sel(plan="reference")
    assert of["gain"].value == pytest.approx(float(gain.mean()))
    assert of["next"].value == plain.shadow_price
    assert (of["proof"].level, plain.certified) == ("note", True)
    stopped = dataclasses.replace(plain, gap_bound=None, gap_reason="not concave")
    assert {one.code: one.level for one in stopped.facts()}["proof"] == "warning"


@pytest.mark.parametrize(
    ("moved", "text", "to"),
    [
        ({"a": 5.0, "b": -5.0}, "move money from b to a", ["a"]),
        ({"a": 0.4, "b": -0.4}, "keep the split", []),
        ({"a": 5.0, "b": 0.0}, "spend more on a", ["a"]),
        ({"a": -5.0, "b": 0.1}, "spend less on a", []),
        ({"a": 4.0, "b": 3.0, "c": 2.0, "d": 1.0, "e": -9.0},
         "move money from e to a, b and 2 more", ["a", "b", "c", "d"]),
    ],
)  # fmt: skip
def test_where_money_goes_is_said_of_moves_that_matter(moved, text, to):
    assert wording.direction(moved, 100.0) == (text, to)


def test_what_changes_adds_up_over_channels(plain):
    more = (plain.optimized - plain.reference).sum("geo").to_numpy()
    share = more[more > 0].sum() / float(plain.reference.sum())
    assert line(plain, "change").endswith(f"{words.in_percent(share)} of all spend")


def test_bounds_that_cost_most_come_first(plain):
    said = line(plain, "bounds")
    prices = plain.bound_price.to_numpy()[0]
    top = int(np.abs(prices).argmax())
    name = plain.optimized["channel"].to_numpy()[top]
    assert said.startswith(
        f"one EUR {'more' if prices[top] > 0 else 'less'} for {name} than allowed would "
        f"bring {amount(abs(prices[top]))} sales; "
    )
    held = int((plain.binding != "free").sum())
    assert said.endswith(f"; {held - 3} more hold")
    loose = mm.optimize(FIT, periods=8, bounds=(0, 100))
    assert (loose.binding == "free").all() or line(loose, "bounds")


def test_another_utility_is_said_beside_the_response():
    plan = mm.optimize(FIT, periods=8, utility="sharpe", starts=2)
    mean = float(plan.response.sel(plan="optimized").mean())
    assert line(plan, "response").startswith(f"{mean:,.0f} sales, reference ")
    assert line(plan, "utility").startswith(f"{amount(plan.objective)}, reference ")
    assert line(plan, "utility").endswith("sharpe(risk_free=0)")
    assert "of utility for one more EUR" in line(plan, "next")
    proof = line(plan, "proof")
    assert proof.startswith("none, a better plan may exist (sharpe")
    assert "best of 2 starts" in proof
    assert "from one start" in wording.proof(
        dataclasses.replace(plan, starts=1, status="x")
    )


def test_limits_say_what_they_cost():
    pair = [constraints.group(["c0", "c4"], at_most=2e4, name="big"),
            constraints.group(["c5"], at_least=0.01, share=True),
            constraints.group(["c6"], at_most=1e9)]  # fmt: skip
    plan = mm.optimize(FIT, periods=8, budget=3e4, bounds=(0, 6), constraints=pair)
    said = line(plan, "limit").split("; ")
    assert said[0].startswith('group "big" at most 20,000: ')
    assert ("reached" in said[0]) == plan.limits[0].binding
    assert said[1].endswith(": kept")
    assert said[2].startswith("c6 at most 1,000,000,000: kept, at ")
    told = plan.to_dict()
    json.dumps(told, allow_nan=False)
    assert [x["name"] for x in told["limits"]] == [x.name for x in plan.limits]
    assert told["limits"][0]["least"] is None
    assert len(told["prices"]) == 7


def test_money_that_is_not_spent_is_said():
    plan = mm.optimize(FIT, periods=8, until_mroas=40.0, bounds=(0, 2))
    spent, budget = float(plan.optimized.sum()), plan.budget
    assert spent < budget
    assert f"Plan: {spent:,.0f} of up to {budget:,.0f} EUR over 8 weeks" in plan.text(
        "week"
    )
    assert "as long as one more unit brings 40" in plan.text()
    assert line(plan, "next") == "less than 40 for one more EUR after the plan: so it stops"
    assert line(plan, "gain").endswith("less money")
    assert "budget" not in line(plan, "note")
    told = plan.to_dict()
    assert (told["spent"], told["until_mroas"]) == (pytest.approx(spent), 40.0)
    full = mm.optimize(FIT, periods=8, up_to=True, bounds=0.2, budget=2e5)
    if float(full.optimized.sum()) < full.budget * (1 - 1e-9):
        assert line(full, "next") == "nothing: bounds and limits leave no use for more"


def test_the_least_spend_of_a_target_is_called_that():
    plan = mm.optimize(FIT, periods=8, target=3e5, bounds=(0, 2))
    assert "the least that brings 300,000 sales on average, carry-in" in plan.text()
    assert plan.to_dict()["target"] == 3e5
    assert "budget" not in line(plan, "note")
    sure = dataclasses.replace(plan, probability=0.9)
    assert "brings 300,000 sales with probability 0.9, carry-in" in sure.text()


def test_spend_that_is_not_even_says_when():
    plan = mm.optimize(FIT, periods=4, flighting=[4, 0, 0, 1])
    assert wording.flighted(plan)
    dates = wording.period_labels(plan)
    said = line(plan, "weeks")
    assert said.startswith(f"most in {dates[0]} (")
    assert f"least in {dates[1]} (0.00)" in said
    assert "c0 in 2" in said
    assert said.endswith("of 4")
    told = plan.to_dict()
    assert told["spend_by_period"]["period"] == dates
    row = told["spend_by_period"]["rows"][0]
    assert row["spend"][1] == 0.0
    assert sum(row["spend"]) == pytest.approx(float(plan.optimized[0, 0]))
    table = plan.periods_frame()
    assert list(table) == ["geo", "channel", "period", "spend"]
    assert table["spend"].sum() == pytest.approx(plan.budget)


def test_the_period_that_gets_most_counts_as_extrapolation():
    even = mm.optimize(FIT, periods=4, bounds=0.0)
    assert not (even.extrapolated > 1).any()
    pulsed = mm.optimize(FIT, periods=4, bounds=0.0, flighting=[1, 0, 0, 0])
    times = pulsed.largest_planned / pulsed.largest
    np.testing.assert_allclose(pulsed.extrapolated, times.where(times > 1))
    assert (pulsed.extrapolated > 1).any()
    assert "largest so far" in line(pulsed, "beyond")
