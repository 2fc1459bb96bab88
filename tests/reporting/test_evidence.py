"""What a report is made of: joint numbers from draws, tables taken or computed."""
# pyright: reportOptionalSubscript=false, reportOptionalMemberAccess=false

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

import mmmjax as mm
from mmmjax import tables
from mmmjax.experiments import REFIT
from mmmjax.kernels.adstock import Geometric
from mmmjax.panel import Panel
from mmmjax.prior import Prior
from mmmjax.reporting import evidence
from mmmjax.reporting.evidence import (
    COLUMNS,
    Interval,
    Planned,
    gather,
    media_of,
    true_roas,
)
from mmmjax.reporting.rows import tables as tables_of
from mmmjax.spec import Spec
from tests.fits import make_fit, make_panel, make_spec


@pytest.fixture(scope="module")
def run():
    """A fit of one market, its test panel, and all that a report computes."""
    panel = make_panel(("north",), periods=20)
    train, test = panel.split(panel.dates[-5])
    spec = Spec(adstock=Geometric(max_lag=3), seasonality=None)
    fit = make_fit(chains=2, draws=60, panel=train, spec=spec)
    return fit, test, gather(fit, test)


def test_every_table_has_the_columns_that_are_asked_for(run):
    *_, found = run
    backtests = {name for name in COLUMNS if name.startswith("backtest")}
    backtests |= {"drift", "conflation"}  # of other fits too
    some = {
        "campaigns",
        "frequency",
        "lift_tests",
        "multipliers",
        "shrinkage",
        "taught",
    }  # it has none of them
    assert set(found.more) == set(COLUMNS) - backtests - some
    for name, table in found.more.items():
        assert evidence.missing(name, table) == []
        assert len(table)


def test_joint_numbers_agree_with_the_tables(run):
    *_, found = run
    every, media = found.channels.query("geo == 'ALL'"), found.media
    paid = every.query("spend > 0")
    spend = paid["spend"].sum()
    assert media.spend == pytest.approx(spend)
    assert media.total.mean == pytest.approx(every["contribution_mean"].sum(), rel=1e-4)
    assert media.share.mean == pytest.approx(every["share_mean"].sum(), rel=1e-4)
    for name, number in (("roas", media.returns.mean), ("mroas", media.marginal)):
        assert number == pytest.approx(
            (paid[f"{name}_mean"] * paid["spend"]).sum() / spend, rel=1e-4
        )
    for part, rows in ((media.paid, paid), (media.organic, every.query("~(spend > 0)"))):
        for number, name in ((part.total.mean, "contribution"), (part.share.mean, "share")):
            assert number == pytest.approx(rows[f"{name}_mean"].sum(), rel=1e-4)
    assert sum(p for _, p in media.best) == pytest.approx(1)
    assert {n for n, _ in media.best} == {"TV", "Search"}


def test_the_move_goes_from_the_lowest_to_the_highest_marginal_return(run):
    fit, _, found = run
    drawn = mm.mroas(fit)["mroas_total"].sel(channel=["TV", "Search"]).to_numpy()
    tv, search = drawn.reshape(-1, 2).T
    names = ("Search", "TV") if tv.mean() > search.mean() else ("TV", "Search")
    assert found.media.move[:2] == names
    more = (tv > search) if names[1] == "TV" else (search > tv)
    assert found.media.move.probability == pytest.approx(more.mean(), abs=1e-9)


def test_channels_with_next_to_no_spend_have_nothing_to_move():
    ahead = np.array([[1.0, 2.0, 3.0]] * 4)
    move = evidence._move(["a", "b", "c"], ahead, np.array([0.01, 5.0, 5.0]))
    assert move == ("b", "c", 1.0)
    assert evidence._move(["a"], ahead[:, :1], np.array([1.0])) is None
    assert evidence._move(["a", "b"], ahead[:, :2], np.array([0.0, 1.0])) is None


def test_what_is_given_is_not_computed_again(run, monkeypatch):
    fit, test, found = run
    monkeypatch.setattr(evidence, "media_of", None)
    for name in (*tables.NAMES, "judged", "diagnose"):
        monkeypatch.setattr(tables, name, None)
    given = {**found.more, "scores": found.scores, "diagnostics": found.diagnostics,
             "media": found.media}  # fmt: skip
    again = gather(fit, test, tables=given)
    assert again.scores == found.scores
    assert again.media is found.media
    assert all(again.more[name] is table for name, table in found.more.items())


def test_scores_alone_are_computed_where_the_tables_are_known(run):
    fit, test, found = run
    given = {**found.more, "diagnostics": found.diagnostics, "media": found.media}
    again = gather(fit, test, tables=given)
    assert again.fitted is found.fitted
    assert again.scores == found.scores
    assert np.isfinite(again.scores["crps_test"])


def test_without_media_there_is_nothing_to_explain():
    table = make_panel(("north",)).to_frame()
    panel = Panel.from_frame(table, date="week", outcome="sales", media=[])
    fit = make_fit(chains=2, draws=20, panel=panel, spec=make_spec())
    assert media_of(fit) is None
    found = gather(fit)
    assert found.media is None
    assert found.table("curves") is None
    assert set(found.table("decomposition")["component"]) == {"baseline", "seasonality"}


@pytest.mark.slow
def test_organic_channels_alone_have_no_returns(tmp_path):
    table = make_panel(("north",)).to_frame()
    panel = Panel.from_frame(table, date="week", outcome="sales", media=["Mail"], spend={})
    priors = {"saturation_beta": Prior("HalfNormal", scale=0.3)}
    spec = Spec(adstock=Geometric(max_lag=3), seasonality=None, priors=priors)
    fit = make_fit(chains=2, draws=20, panel=panel, spec=spec)
    found = media_of(fit)
    assert found.returns is None
    assert found.paid is None
    assert found.organic == (found.total, found.share)
    assert found.best == []
    text = mm.report(fit, tmp_path / "r.html").read_text(encoding="utf-8")
    assert "What did media bring?" in text
    assert "organic media" in text
    assert "paid media" not in text
    assert "pays best" not in text


@pytest.mark.slow
def test_a_plan_keeps_what_its_files_say(run):
    fit, *_ = run
    plan = mm.optimize(fit, periods=4)
    planned = Planned.of(plan)
    assert planned.facts == plan.to_dict()
    two = plan.response.transpose("plan", ...).to_numpy().reshape(2, -1)
    names = plan.response["plan"].to_numpy().tolist()
    more = two[names.index("optimized")] - two[names.index("reference")]
    assert planned.probability == pytest.approx((more > 0).mean())
    assert planned.gain == Interval.of(more)
    assert planned.before == pytest.approx(two[names.index("reference")].mean())
    pd.testing.assert_frame_equal(planned.table, plan.to_frame())
    assert planned.sums["optimized"].sum() == pytest.approx(plan.budget)


def test_what_the_files_of_a_plan_know_is_used():
    facts = {"objective": 9.0, "reference_objective": 4.0}
    bare = Planned(pd.DataFrame(), facts)
    assert bare.probability is None
    assert (bare.gain.mean, bare.before) == (5.0, 4.0)
    assert np.isnan([bare.gain.lo, bare.gain.hi]).all()
    response = {"reference": {"mean": 10.0}, "optimized": {"mean": 12.0}}
    old = Planned(pd.DataFrame(), facts | {"response": response})  # a utility is no mean
    assert (old.gain.mean, old.before) == (2.0, 10.0)
    told = {"probability_better": 0.6, "gain": {"mean": 2.0, "lo": -1.0, "hi": 4.0}}
    known = Planned(pd.DataFrame(), facts | told)
    assert (known.probability, known.gain) == (0.6, Interval(2.0, -1.0, 4.0))
    unknown = Planned(pd.DataFrame(), facts | told | {"probability_better": None})
    assert unknown.probability is None


def test_interval_of_draws():
    draws = np.random.default_rng(0).normal(size=20_000)
    found = Interval.of(draws)
    np.testing.assert_allclose(found, [0.0, -1.88, 1.88], atol=0.06)


def test_truth_is_read_from_a_mapping_or_a_simulation():
    assert true_roas(None) == {}
    assert true_roas({"TV": 2}) == {"TV": 2.0}
    rows = [
        {"geo": "ALL", "channel": "TV", "roas": 3.0},
        {"geo": "n", "channel": "TV", "roas": 1.0},
    ]
    assert true_roas({"channels": rows, "window": {}}) == {"TV": 3.0}


def test_joint_statements_are_a_table_of_the_same_numbers(run):
    media = run[2].media
    table = media.to_frame().set_index(["quantity", "channel"])
    assert tuple(table.loc[("contribution", "")]) == tuple(media.total)
    assert tuple(table.loc[("share", "")]) == tuple(media.share)
    assert table.loc[("spend", ""), "mean"] == media.spend
    best = table.loc["best_roas", "mean"]
    assert dict(best) == dict(media.best)
    assert best.sum() == pytest.approx(1.0)


def test_what_lift_tests_taught_is_a_table_of_the_report(run):
    *_, found = run
    part = {"without": "all tests", "tests": 2, "plan": "made", "periods": 13.0}
    part |= {"gain_mean": 5.0, "gain_lo": -1.0, "gain_hi": 9.0, "probability_better": 0.9}
    rows = [
        part | {"channel": c, "roas_mean": x, "roas_lo": x / 2, "roas_hi": 2 * x}
        for c, x in (("TV", 20.0), ("Search", 10.0))
    ]
    table = pd.DataFrame(rows).assign(how=[REFIT, "weights"])
    table = table.assign(spend=[300.0, 100.0], spend_rest=[200.0, 200.0])
    for name in ("mean", "lo", "hi"):
        table[f"roas_rest_{name}"] = [np.nan, 15.0]
    assert "taught" not in tables_of(found)
    more = found.more | {"taught": table}
    shown = tables_of(replace(found, more=more))["taught"]
    tv, radio = ([cell.main for cell in row] for row in shown.rows)
    assert tv == ["all tests", "TV", REFIT, "20.0", "200", "300"]
    assert radio == ["all tests", "Search", "15.0", "10.0", "200", "100"]
    assert "moves 25.0% of the money and brings 5 [-1, 9] sales more" in shown.note
