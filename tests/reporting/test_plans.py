"""The section of the plan: figures, tables and plain words, from new and old folders."""
# pyright: reportOptionalMemberAccess=false, reportOperatorIssue=false

import json

import numpy as np
import pandas as pd
import pytest

import mmmjax as mm
from mmmjax.cli.plan_files import write_plan
from mmmjax.cli.report import planned
from mmmjax.reporting import rows as tabled
from mmmjax.reporting.embed import Tables
from mmmjax.reporting.figures import figures as figures_of
from mmmjax.reporting.html import render
from mmmjax.reporting.planned import Planned
from mmmjax.reporting.rows import tables
from tests.budget.cases import make_fit
from tests.reporting import examples
from tests.reporting.examples import NASTY

RNG = np.random.default_rng(0)
BEFORE = RNG.normal(100.0, 10.0, 200)


def facts(**changed):
    """plan.json of the example as it is written now."""
    return examples.plan(examples.panel(("national",))).facts | {
        "starts": 1, "spent": 400.0, "up_to": False, "until_mroas": None,
        "utility": "mean_response()", "utility_unit": "sales", "shadow_price": 0.25,
        "flighting": "even", "limits": [
            {"name": "TV + Search at most 300", "value": 300.0, "least": None,
             "most": 300.0, "binding": True, "price": 0.5, "bound": ""},
            {"name": "TV at most 0.5 of what is spent", "value": -5.0, "least": None,
             "most": 0.0, "binding": False, "price": 0.0, "bound": ""},
        ],
        "prices": [
            {"geo": "national", "channel": NASTY, "binding": "lower", "marginal": 0.1,
             "bound_price": -0.2},
            {"geo": "national", "channel": "Search", "binding": "free", "marginal": 0.3,
             "bound_price": 0.0},
        ],
        "extrapolated": [{"geo": "national", "channel": "Search", "spend": 90.0,
                          "largest": 45.0}],
        "gain": {"mean": 5.0, "lo": -1.0, "hi": 11.0}, "probability_better": 0.93,
        "facts": [
            {"code": "change", "what": f"move money from {NASTY} to Search: 40 US$"},
            {"code": "proof", "what": "certified: no better plan to rounding"},
        ],
        "response": {n: {"mean": m} for n, m in (("reference", 100), ("optimized", 105))},
    } | changed  # fmt: skip


def full(**changed):
    """A plan with everything its folder may hold."""
    dates = pd.date_range("2023-01-01", periods=3, freq="W").strftime("%Y-%m-%d")
    periods = pd.DataFrame({
        "geo": "national", "channel": [NASTY] * 3 + ["Search"] * 3,
        "period": [*dates, *dates], "spend": [60.0, 0.0, 0.0, 50.0, 50.0, 40.0],
    })  # fmt: skip
    ends = {f"{k}{e}": 1.0 for k in ("response", "gain") for e in ("_mean", "_lo", "_hi")}
    rows = [
        {"plan": name, "channel": channel, "spend": 200.0, "probability_better": better,
         "roas": 2.0, "roas_lo": 1.0, "roas_hi": 3.0, "extrapolated": "False"} | ends
        for name, better in (("reference", np.nan), ("plan", 0.93), (NASTY, 0.2))
        for channel in ("ALL", "Search")
    ]  # fmt: skip
    levels = pd.DataFrame({
        "budget": [100.0, 200.0, 400.0], "response_mean": [50.0, 80.0, 100.0],
        "response_lo": [40.0, 60.0, 70.0], "response_hi": [60.0, 99.0, 130.0],
        "shadow_price": [0.4, 0.2, 0.1],
    })  # fmt: skip
    more = {
        "draws": pd.DataFrame({"reference": BEFORE, "optimized": BEFORE + 5}),
        "periods": periods, "scenarios": pd.DataFrame(rows), "frontier": levels,
    }  # fmt: skip
    table = examples.plan(examples.panel(("national",))).table
    return Planned(table, facts(**changed), more=more)


@pytest.fixture(scope="module")
def found():
    return examples.evidence(("national",), plan=full())


def figures(found):
    return figures_of(found, Tables())


def test_every_part_of_a_folder_is_drawn(found):
    drawn, shown = figures(found), tables(found)
    assert {"allocation", "plan_responses", "plan_periods", "frontier"} <= set(drawn)
    assert {"plan", "plan_bounds", "plan_limits", "scenarios"} <= set(shown)
    text = render(found).decode()
    assert "<img src=x" not in text
    for part in ("What changes", "Is it the best split?", "Plans compared", "Limits"):
        assert part in text


def test_an_old_folder_shows_what_it_has():
    old = examples.evidence(("national",))  # plan.csv, and plan.json without the new keys
    assert "allocation" in figures(old)
    assert not {"plan_responses", "plan_periods", "frontier"} & set(figures(old))
    assert not {"plan_bounds", "plan_limits", "scenarios"} & set(tables(old))
    assert "mmmjax optimize" in dict(old.plan.told("findings"))["Note"]
    render(old)


def test_figures_are_titled_by_what_the_plan_does(found):
    drawn = figures(found)
    assert drawn["allocation"].title.endswith("to Search")
    assert "more with probability 93%" in drawn["plan_responses"].caption
    assert "brings 0.400 sales at the lowest budget and 0.100 at" in drawn["frontier"].unit


def test_the_frontier_marks_both_plans(found):
    tables = Tables()
    figures_of(found, tables)
    (levels,) = [t for t in tables.columns.values() if "budget" in t]
    rows = pd.DataFrame(levels)
    marked = rows.loc[rows["budget"].isin([200.0]) & rows["mean"].isin([100.0, 105.0])]
    assert sorted(marked["mean"]) == [100.0, 105.0]


def test_scenarios_are_one_row_a_plan(found):
    table = tabled.scenarios(found, found.plan)
    assert [row[0].main for row in table.rows] == ["reference", "plan", NASTY]
    assert [row[4].main for row in table.rows] == ["", "93%", "20%"]
    assert table.rows[0][3].main == ""  # the first is what others are compared with


def test_bounds_and_limits_come_with_their_prices(found):
    bounds, limits = (
        tabled.bounds(found, found.plan),
        tabled.limits(found, found.plan),
    )
    assert [[c.main for c in row] for row in bounds.rows] == [
        [NASTY, "0.100", "its least", "0.200 (less)"], ["Search", "0.300", "", ""],
    ]  # fmt: skip
    assert [[c.main for c in row] for row in limits.rows] == [
        ["TV + Search at most 300", "300", "reached", "0.500"],
        ["TV at most 0.5 of what is spent", "", "kept", ""],
    ]


def test_the_page_says_what_the_plan_says_of_itself():
    plan = mm.optimize(make_fit(), periods=6)
    given = Planned.of(plan)
    records = [*plan.facts(), *plan.findings()]
    told = [*given.told("findings"), *given.told("facts")]
    assert len(told) == len(records)
    text = lambda one: f"{one.what[:1].upper()}{one.what[1:]}."
    assert {text for _, text in told} == {text(one) for one in records}
    heads = [head for head, _ in given.told("findings")]
    assert heads[:2] == ["What changes", "What it brings"]
    assert "Is it the best split?" in heads
    assert "response" in dict(given.told("facts"))


def test_a_real_plan_goes_through_its_folder(tmp_path):
    plan = mm.optimize(make_fit(), periods=6, flighting="optimal", bounds=(0, 2))
    folder = tmp_path / "plan"
    (tmp_path / "fit.nc").touch()
    write_plan(plan, folder)
    read = planned(tmp_path)
    direct = Planned.of(plan)
    assert set(read.more) == {"draws", "periods"} == set(direct.more)
    assert read.facts == json.loads(json.dumps(direct.facts))
    pd.testing.assert_frame_equal(read.more["periods"], direct.more["periods"])
    np.testing.assert_allclose(read.more["draws"], direct.more["draws"], rtol=1e-9)
    assert read.responses() == pytest.approx(direct.responses())
    (folder / "plan_periods.csv").write_text("nothing\n")
    assert set(planned(tmp_path).more) == {"draws"}
