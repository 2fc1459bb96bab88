"""Channels without money, said in [data.media]: at the door, and through everything."""

import re

import numpy as np
import pandas as pd
import pytest

import mmmjax as mm
from mmmjax.budget import request
from mmmjax.cli import case as cases

NEWS = {"column": "sends", "organic": True}
MEDIA = {"TV": "tv", "Search": "search", "News": NEWS}
QUICK = {"chains": 2, "warmup": 60, "draws": 30, "until": None}


def table(periods=44, seed=0):
    rng = np.random.default_rng(seed)
    dates = pd.date_range("2024-01-01", periods=periods, freq="W-MON")
    data = {"week": dates, "tv": rng.gamma(1, 90, periods) * (rng.random(periods) < 0.7)}
    data |= {"search": rng.gamma(3, 20, periods), "search_cost": rng.gamma(3, 9, periods)}
    data |= {"sends": 1e3 * rng.poisson(4, periods), "a": rng.gamma(2, 5, periods)}
    mean = 60 + 0.2 * data["tv"] + 4e-3 * data["sends"] + 0.1 * data["search"]
    return pd.DataFrame(data | {"sales": mean + rng.normal(0, 3, periods)})


def panel_of(media=MEDIA, spend=None, seed=0):
    df = table(seed=seed)
    return mm.Panel.from_frame(df, date="week", outcome="sales", media=media, spend=spend)


def test_the_others_are_money_where_no_spend_is_given():
    panel = panel_of()
    assert panel.organic == ("News",)
    assert panel.columns.spend == ("tv", "search", None)
    np.testing.assert_array_equal(panel.spend[..., :2], panel.media[..., :2])
    pd.testing.assert_series_equal(panel.to_frame()["sends"], table()["sends"])


def test_a_table_may_name_its_money_and_campaigns():
    media = {"TV": "tv", "Search": {"column": "search", "spend": "search_cost"}}
    panel = panel_of(media | {"News": NEWS})
    assert panel.columns.spend == ("tv", "search_cost", None)
    same = panel_of(
        {"TV": "tv", "Search": "search", "News": "sends"},
        {"TV": "tv", "Search": "search_cost"},
    )
    assert panel.data_hash() == same.data_hash()
    of = {"campaigns": {"A": "sends", "B": "a"}}
    panel = panel_of({"TV": "tv", "News": of | {"organic": True}})
    assert panel.organic == ("News",)
    assert panel.campaigns.labels == ("News: A", "News: B")
    paid = panel_of({"TV": "tv", "News": of, "Search": {**NEWS, "column": "search"}})
    assert paid.organic == ("Search",)
    assert np.isfinite(paid.campaigns.spend).all()
    named = panel_of({"TV": "tv", "Social": {"organic": "a", "paid": "search"}})
    assert named.campaigns.names == ("organic", "paid")  # campaigns of these names


WRONG = {
    "text": ({"News": NEWS | {"organic": "yes"}}, None, "true or false"),
    "key": ({"News": {"column": "sends", "organc": True}}, None, 'mean "organic"'),
    "no column": ({"News": {"organic": True}}, None, 'column = "sends"'),
    "two": ({"News": NEWS | {"campaigns": {"A": "a", "B": "tv"}}}, None, "or campaigns"),
    "list": ({"News": NEWS | {"column": ["sends"]}}, None, "one column"),
    "paid": ({"News": NEWS | {"spend": "a"}}, None, "take organic away"),
    "paid apart": ({"News": NEWS}, {"News": "a"}, "take organic away"),
    "twice": ({"TV": {"column": "tv", "spend": "a"}}, {"TV": "search"}, "one of them out"),
    "spend as list": ({"News": NEWS}, ["a"], "write it as a table"),
    "typing error": ({"News": NEWS | {"column": "snds"}}, None, 'mean "sends"'),
}


@pytest.mark.parametrize("media, spend, said", WRONG.values(), ids=list(WRONG))
def test_what_is_wrong_is_named(media, spend, said):
    with pytest.raises(mm.InputError, match="Fix:") as error:
        panel_of(media, spend)
    assert said in str(error.value)


def test_a_case_says_it_and_a_plan_gives_it_no_money(tmp_path):
    table().to_csv(tmp_path / "t.csv", index=False)
    text = """
    [data]
    path = "t.csv"
    date = "week"
    outcome = "sales"
    [data.media]
    TV = "tv"
    News = { column = "sends", organic = true }
    """
    (tmp_path / "case.toml").write_text(text)
    panel = cases.read(tmp_path / "case.toml").panel
    assert panel.organic == ("News",)
    with pytest.raises(mm.InputError, match='"News" is organic'):
        request.read(
            request.known_of(panel), budget=None, periods=4, bounds=0.5, reference=None,
            fixed={"News": 1.0}, per_period=False,
        )  # fmt: skip


def test_the_door_says_how_media_without_any_spend_are_organic():
    df = table().assign(nothing=0.0)
    media, spend = {"TV": "tv", "News": "sends"}, {"TV": "tv", "News": "nothing"}
    panel = mm.Panel.from_frame(df, date="week", outcome="sales", media=media, spend=spend)
    with pytest.raises(mm.InputError) as error:
        mm.fit(mm.Spec(), panel)
    (remedy,) = re.findall(r'"News" = (\{.*?\})', str(error.value))
    assert remedy == '{ column = "sends", organic = true }'
    assert panel_of(media | {"News": NEWS}).organic == ("News",)


@pytest.mark.slow
def test_everything_downstream(tmp_path):
    train, test = panel_of().split("2024-09-30")
    spec = mm.Spec(adstock=mm.adstock.Geometric(3), seasonality=None)
    fit = mm.fit(spec, train, mm.NUTS(**QUICK))
    rows = mm.tables.channels(fit).query("geo == 'ALL'").set_index("channel")
    news = rows.loc["News"]
    assert news["contribution_mean"] > 0
    assert np.isnan(news[["spend", "roas_mean", "mroas_mean"]].astype(float)).all()
    parts = mm.contributions(fit).sel(summary="mean")
    media = parts["channel_contribution"].sum("channel")
    np.testing.assert_allclose(parts["baseline"] + media, parts["mu"], rtol=1e-6)
    ahead = mm.predict(fit, test)["outcome"].mean(("chain", "draw"))
    table_ = test.to_frame().drop(columns="sales")
    with pytest.raises(mm.InputError, match='without "sends"'):
        train.read_future(table_.drop(columns="sends"))
    double = train.read_future(table_.assign(sends=2 * table_["sends"]))
    assert (mm.predict(fit, double)["outcome"].mean(("chain", "draw")) > ahead).all()
    mm.save(fit, tmp_path / "fit.nc")
    again = mm.load(tmp_path / "fit.nc")
    assert again.panel.organic == ("News",)
    plan = mm.optimize(again, periods=6)
    assert set(plan.optimized["channel"].values) == {"TV", "Search"}
    paid = float(train.spend[..., :2].mean(1).sum() * 6)
    np.testing.assert_allclose(plan.optimized.sum(), paid, rtol=1e-6)
    held = mm.forecast_plan(fit, plan)
    usual = float(train.media[..., 2].mean())
    same = mm.forecast_plan(fit, plan, organic={"News": usual})
    np.testing.assert_allclose(held["total_mean"], same["total_mean"], rtol=1e-6)
    more = mm.forecast_plan(fit, plan, organic={"News": 2 * usual})
    assert (more["total_mean"] > held["total_mean"]).all()
    mm.report(fit, tmp_path / "report.html", test=test)
    assert "organic" in (tmp_path / "report.html").read_text()
    rules = {"folds": 1, "horizon": 6, "least": 30, "baselines": False}
    found = mm.backtest(spec, panel_of(), mm.HMC(**QUICK), **rules, progress=False)
    assert np.isfinite(found.scores["crps"].sel(model="mmm")).all()
    markets = {"a": train, "b": panel_of(seed=1)}
    fleet = mm.fit_fleet(spec, markets, mm.HMC(**QUICK), refit=False, progress=False)
    assert fleet.channels.set_index("channel").loc["News", "roas_mean"].isna().all()


@pytest.mark.slow
def test_all_channels_may_be_organic(tmp_path):
    """No money anywhere: contributions, and a plan that says why there is none."""
    panel = panel_of({"News": NEWS, "Search": {"column": "search", "organic": True}})
    spec = mm.Spec(adstock=mm.adstock.Geometric(3), seasonality=None)
    fit = mm.fit(spec, panel, mm.NUTS(**QUICK))
    table_ = mm.tables.channels(fit)
    assert (table_["contribution_mean"] > 0).all()
    assert table_["roas_mean"].isna().all()
    mm.report(fit, tmp_path / "report.html")
    with pytest.raises(mm.InputError, match="at least one channel with spend"):
        mm.optimize(fit, periods=6)
