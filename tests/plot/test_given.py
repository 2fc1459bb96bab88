"""Pictures of a Fit, Plan, Backtest, Fleet or Panel are those of their tables, labelled."""

import json
import re

import numpy as np
import pandas as pd
import pytest
import xarray as xr

import mmmjax as mm
from mmmjax import plot, tables
from mmmjax.backtesting.folds import Layout
from mmmjax.backtesting.result import Backtest
from mmmjax.checks import InputError
from tests.fits import make_fit
from tests.fleet import examples as fleets
from tests.plot.test_validation import forecast, parameters, scores
from tests.posterior.examples import geo_fit, national_fit

FIT, GEOS = national_fit(draws=40), geo_fit(draws=20)
PANEL = FIT.panel
POOLED = mm.sample_prior(mm.Spec(seasonality=None), GEOS.panel, 50)
MOVES = mm.Spec(
    seasonality=None, terms=(mm.terms.Media(moving=mm.moving.Process(basis=3)),)
)
MOVES = make_fit(2, 10, MOVES, PANEL)
TRAIN, TEST = PANEL.split(PANEL.dates[-6])
SHORT = national_fit(draws=40)
SHORT = mm.Fit(SHORT.spec, TRAIN, SHORT.scale, SHORT.sampler, SHORT.draws, 0)
PLAN = mm.optimize(FIT, periods=4)
WEEKLY = mm.optimize(FIT, periods=4, per_period=True)
DRAWS = FIT.to_arviz()["posterior"]
FLEET_TABLE, FLEET_CHANNELS = fleets.fleet()


def backtest():
    """The tables of a backtest in their record."""
    table = scores()
    keys = ["fold", "model", "split"]
    folds = pd.DataFrame(
        {"train_start": ["2021-01-04"] * 2, "train_end": ["2022-01-31", "2022-05-02"],
         "test_start": ["2022-02-07", "2022-05-09"],
         "test_end": ["2022-03-28", "2022-06-27"], "n_train": [56, 69]},
        index=pd.Index([1, 2], name="fold"),
    )  # fmt: skip
    runs = table[["fold", "model"]].drop_duplicates()
    runs = runs.assign(status="usable", reason="", max_r_hat=1.0, min_ess=1.0,
                       divergences=0.0, seconds=0.0)  # fmt: skip
    numbers = table.drop(columns="test_end").set_index(keys).to_xarray()
    return Backtest(folds, runs, numbers, xr.Dataset(), forecast(), parameters(), {},
                    Layout((), "expanding", 6, 6, 52), (), "revenue")  # fmt: skip


CV = backtest()
MARKETS = {n: x.drop(columns="market") for n, x in FLEET_CHANNELS.groupby("market")}
FLEET = mm.Fleet(FLEET_TABLE, (), dict.fromkeys(MARKETS, FIT), MARKETS)
LABELS = {
    "outcome": PANEL.outcome_name, "currency": PANEL.currency, "period": "week",
    "colours": plot.channel_colours(PANEL.channels),
}  # fmt: skip
KNOWN = mm.knowledge(FIT, periods=4)
WHATIF = mm.counterfactual(FIT, {"TV": 1.2})


def labels(*names):
    return {name: LABELS[name] for name in names}


MONEY = ("outcome", "currency", "colours")
SAME = {  # what a person writes, and the same from the table
    "allocation": (
        lambda: plot.allocation(PLAN),
        lambda: plot.allocation(PLAN.to_frame(), **labels("currency")),
    ),
    "allocation a week": (
        lambda: plot.allocation(WEEKLY),
        lambda: plot.allocation(WEEKLY.to_frame(), per="a week", **labels("currency")),
    ),
    "flighting": (
        lambda: plot.flighting(PLAN),
        lambda: plot.flighting(PLAN.spend_by_period, **labels("currency", "period")),
    ),
    "plan_responses": (
        lambda: plot.plan_responses(PLAN),
        lambda: plot.plan_responses(PLAN.response, **labels("outcome")),
    ),
    "mean_and_risk": (
        lambda: plot.mean_and_risk(PLAN),
        lambda: plot.mean_and_risk(PLAN.response, **labels("outcome")),
    ),
    "marginal_returns": (
        lambda: plot.marginal_returns(FIT, PLAN),
        lambda: plot.marginal_returns(
            mm.curves(FIT), PLAN.to_frame(), periods=4, price=PLAN.shadow_price, **LABELS
        ),
    ),
    "uplift": (lambda: plot.uplift(WHATIF), lambda: plot.uplift(WHATIF["uplift_outcome"])),
    "outcome": (lambda: plot.outcome(FIT), lambda: plot.outcome(mm.explore(PANEL))),
    "spend": (
        lambda: plot.spend(PANEL),
        lambda: plot.spend(mm.explore(PANEL), **labels("colours")),
    ),
    "spend_shares": (
        lambda: plot.spend_shares(GEOS),
        lambda: plot.spend_shares(
            mm.explore(GEOS.panel, total=True),
            colours=plot.channel_colours(GEOS.panel.channels),
        ),
    ),
    "against_outcome": (
        lambda: plot.against_outcome(FIT),
        lambda: plot.against_outcome(mm.explore(PANEL), **labels("colours")),
    ),
    "correlations": (
        lambda: plot.correlations(FIT),
        lambda: plot.correlations(mm.explore(PANEL)),
    ),
    "trace": (
        lambda: plot.trace(FIT),
        lambda: plot.trace(DRAWS, diverging=FIT.draws.stats["diverging"]),
    ),
    "ranks": (lambda: plot.ranks(FIT), lambda: plot.ranks(DRAWS)),
    "energy": (lambda: plot.energy(FIT), lambda: plot.energy(FIT.draws.stats["energy"])),
    "residuals": (
        lambda: plot.residuals(FIT),
        lambda: plot.residuals(mm.residuals(FIT), **labels("outcome", "period")),
    ),
    "fitted": (
        lambda: plot.fitted(SHORT, TEST),
        lambda: plot.fitted(
            mm.predict(SHORT), mm.predict(SHORT, TEST), **labels("outcome", "period")
        ),
    ),
    "forecast": (
        lambda: plot.forecast(SHORT, TEST),
        lambda: plot.forecast(
            mm.predict(SHORT, TEST), mm.predict(SHORT), **labels("outcome", "period")
        ),
    ),
    "prior_predictive": (
        lambda: plot.prior_predictive(FIT),
        lambda: plot.prior_predictive(
            mm.prior_predictive(FIT.spec, PANEL), **labels("outcome", "period")
        ),
    ),
    "convergence": (
        lambda: plot.convergence(FIT),
        lambda: plot.convergence(mm.summary(FIT), chains=2),
    ),
    "contraction": (
        lambda: plot.contraction(FIT),
        lambda: plot.contraction(tables.priors(FIT), **labels("colours")),
    ),
    "prior_posterior": (
        lambda: plot.prior_posterior(FIT),
        lambda: plot.prior_posterior(
            mm.sample_prior(FIT.spec, PANEL).to_arviz()["posterior"],
            DRAWS,
            **labels("colours"),
        ),
    ),
    "distributions": (
        lambda: plot.distributions(FIT),
        lambda: plot.distributions(mm.roas(FIT)["roas_total"], **labels("colours")),
    ),
    "structure": (
        lambda: plot.structure(FIT),
        lambda: plot.structure(mm.structure(FIT.spec, PANEL)),
    ),
    "best_splits": (
        lambda: plot.best_splits(KNOWN, plan=PLAN),
        lambda: plot.best_splits(
            KNOWN["allocation"],
            plan=PLAN.optimized.sum("geo").to_series().to_dict(),
            **labels("currency"),
        ),
    ),
    "value_of_knowing": (
        lambda: plot.value_of_knowing(KNOWN),
        lambda: plot.value_of_knowing(
            KNOWN["channel_value"],
            error=KNOWN["channel_value_error"],
            total=float(KNOWN["evpi"]),
        ),
    ),
    "contributions": (
        lambda: plot.contributions(FIT),
        lambda: plot.contributions(tables.weekly(FIT), **labels("outcome", "colours")),
    ),
    "multipliers": (
        lambda: plot.multipliers(MOVES),
        lambda: plot.multipliers(tables.multipliers(MOVES), **labels("colours")),
    ),
    "decomposition": (
        lambda: plot.decomposition(FIT),
        lambda: plot.decomposition(
            tables.decomposition(FIT), **labels("outcome", "colours")
        ),
    ),
    "carryover": (
        lambda: plot.carryover(FIT),
        lambda: plot.carryover(tables.carryover(FIT), **labels("period", "colours")),
    ),
    "curve": (
        lambda: plot.curve(FIT, "TV"),
        lambda: plot.curve(mm.curves(FIT), "TV", **LABELS),
    ),
    "curves": (
        lambda: plot.curves(GEOS, colours=LABELS["colours"]),
        lambda: plot.curves(
            mm.curves(GEOS, total=True),
            outcome=GEOS.panel.outcome_name,
            currency=GEOS.panel.currency,
            period="week",
            colours=LABELS["colours"],
        ),
    ),
    "curves of a geo": (
        lambda: plot.curves(GEOS, geo=GEOS.panel.geos[0], colours={}),
        lambda: plot.curves(
            mm.curves(GEOS),
            geo=GEOS.panel.geos[0],
            outcome=GEOS.panel.outcome_name,
            currency=GEOS.panel.currency,
            period="week",
            colours={},
        ),
    ),
    "sweep": (
        lambda: plot.sweep(FIT),
        lambda: plot.sweep(tables.sweep(FIT), **labels(*MONEY)),
    ),
    "roas": (
        lambda: plot.roas(FIT),
        lambda: plot.roas(tables.channels(FIT), **labels(*MONEY)),
    ),
    "shares": (
        lambda: plot.shares(FIT),
        lambda: plot.shares(tables.channels(FIT), **labels("outcome", "colours")),
    ),
    "share_and_roas": (
        lambda: plot.share_and_roas(FIT),
        lambda: plot.share_and_roas(tables.channels(FIT), **labels(*MONEY)),
    ),
    "roas_over_time": (
        lambda: plot.roas_over_time(FIT),
        lambda: plot.roas_over_time(tables.returns(FIT), **labels(*MONEY)),
    ),
    "months": (
        lambda: plot.roas_over_time(FIT, kind="month"),
        lambda: plot.roas_over_time(
            tables.returns(FIT, ["all", "month"]), kind="month", **labels(*MONEY)
        ),
    ),
    "now_and_after": (
        lambda: plot.now_and_after(FIT),
        lambda: plot.now_and_after(tables.returns(FIT), **labels("outcome", "colours")),
    ),
    "backtest_scores": (
        lambda: plot.backtest_scores(CV),
        lambda: plot.backtest_scores(CV.to_frames()["backtest"], outcome="revenue"),
    ),
    "backtest_forecasts": (
        lambda: plot.backtest_forecasts(CV),
        lambda: plot.backtest_forecasts(forecast(), outcome="revenue"),
    ),
    "stability": (
        lambda: plot.stability(CV),
        lambda: plot.stability(parameters(), outcome=CV.outcome),
    ),
    "fleet_forest": (
        lambda: plot.fleet_forest(FLEET, "TV"),
        lambda: plot.fleet_forest(
            mm.fleet_returns(FLEET.channels, FLEET_TABLE),
            "TV",
            **labels("outcome", "currency"),
        ),
    ),
    "fleet_spread": (
        lambda: plot.fleet_spread(FLEET),
        lambda: plot.fleet_spread(
            mm.fleet_returns(FLEET.channels, FLEET_TABLE), **labels("outcome", "currency")
        ),
    ),
    "shrinkage": (
        lambda: plot.shrinkage(POOLED),
        lambda: plot.shrinkage(
            tables.shrinkage(POOLED), colours=plot.channel_colours(POOLED.panel.channels)
        ),
    ),
    "fleet_diagnostics": (
        lambda: plot.fleet_diagnostics(FLEET),
        lambda: plot.fleet_diagnostics(FLEET_TABLE),
    ),
}
NO_RECORD = {"frontier", "train_test", "channel_colours", "to_png", "to_svg"}


def test_every_picture_is_here():
    assert {*SAME} - {"allocation a week", "curves of a geo", "months"} == {
        *plot.__all__
    } - NO_RECORD


def numbered(spec):
    """A specification without the random names of its views."""
    return re.sub(r"view_[0-9a-f]+", "view", json.dumps(spec, default=str))


@pytest.mark.parametrize("name", SAME)
def test_a_picture_of_a_record_is_that_of_its_table(name):
    mine, theirs = (numbered(make().to_dict()) for make in SAME[name])
    assert mine == theirs


def test_labels_that_are_given_win_and_money_is_known():
    words = plot.roas(FIT, outcome="leads", currency="CHF").to_dict()["title"]
    assert "leads per CHF" in " ".join(words["subtitle"])
    assert plot.channel_colours(FIT) == LABELS["colours"]
    worth = mm.Fit(FIT.spec, mm.Panel(**{**vars(PANEL), "outcome_value": 0.5}), FIT.scale,
                   FIT.sampler, FIT.draws, 0)  # fmt: skip
    assert "break" in json.dumps(plot.roas(worth).to_dict())


WRONG = {
    "Spec": FIT.spec, "text": "run/", "int": 3, "None": None, "list": [],
    "Prior": mm.Prior("Normal", loc=0, scale=1), "DataFrame": pd.DataFrame({"a": [1]}),
    "Dataset": xr.Dataset({"a": 1}), "Fit": FIT, "Panel": PANEL, "Plan": PLAN,
    "Backtest": CV, "Fleet": FLEET, "class": mm.Fit,
}  # fmt: skip


RECORDS = ("Fit", "Panel", "Plan", "Backtest", "Fleet")


@pytest.mark.parametrize("name", plot.__all__)
def test_a_wrong_thing_is_told_what_is_drawn_and_how_to_draw_it(name):
    told, drawn = {}, set()
    for kind, thing in WRONG.items():
        try:
            getattr(plot, name)(thing)
            drawn.add(kind)
        except InputError as error:
            if "got nothing in " in str(error):  # taken, and a second argument is missing
                drawn.add(kind)
            else:
                told[kind] = str(error)
    assert drawn <= {*RECORDS, "list"}
    assert {"Spec", "text", "int", "None", "Prior", "class"} <= {*told}
    for kind in (*RECORDS, "DataFrame", "Dataset", "Spec", "None"):
        if kind in told:
            assert "Allowed: " in told[kind]
            assert f"mm.plot.{name}" in told[kind].partition(" Fix: ")[2]


@pytest.mark.parametrize("name", plot.__all__)
def test_a_picture_of_nothing_and_one_with_an_unknown_argument_are_refused(name):
    with pytest.raises(InputError, match=rf"got nothing in mm\.plot\.{name}\("):
        getattr(plot, name)()
    with pytest.raises(InputError, match=r"colour: got 3 in .*Allowed: the argument"):
        getattr(plot, name)(FIT, colour=3)


def test_what_a_second_argument_may_be_is_said():
    with pytest.raises(InputError, match=r'channel: got nothing .*"TV"') as refused:
        plot.curve(FIT)
    assert "Fix: mm.plot.curve" in str(refused.value)
    with pytest.raises(InputError, match=r"plan: got nothing .*mm\.optimize") as refused:
        plot.marginal_returns(FIT)
    assert "Allowed: a Plan or a DataFrame" in str(refused.value)


def test_the_wrong_table_is_refused_with_the_right_one():
    with pytest.raises(InputError) as refused:
        plot.roas(tables.weekly(FIT))
    text = str(refused.value)
    assert 'without "channel", "roas_mean" and "mroas_mean"' in text
    assert "a table with the columns of channels.csv" in text
    assert "Fix: mm.plot.roas(fit), or of mm.tables.channels(fit)" in text
    with pytest.raises(InputError, match=r"Fix: mm.plot.forecast\(fit, test\)"):
        plot.forecast(FIT)
    with pytest.raises(InputError, match=r"mm.explore\(panel, test\)"):
        plot.train_test(PANEL)
    with pytest.raises(InputError, match=r"mm.frontier\(fit, "):
        plot.frontier(FIT)
    assert np.isfinite(PLAN.objective)
