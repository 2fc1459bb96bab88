"""Campaigns all the way: a case file, a backtest, several geos, a fleet."""

import dataclasses
import json

import numpy as np
import pandas as pd
import pytest

import mmmjax as mm
from mmmjax.cli.app import run
from tests.posterior.test_campaigns import columns, table

QUICK = mm.NUTS(chains=2, warmup=100, draws=100, until=None)
SPEC = mm.Spec(adstock=mm.adstock.Geometric(max_lag=3), seasonality=None)
CASE = """
[data]
path = "t.csv"
date = "week"
outcome = "sales"
outcome_value = 2.0
media = { TV = { campaigns = { A = "TV A", B = "TV B", C = "TV C" } }, Radio = "Radio" }
train_until = "2024-11-25"

[model]
adstock = { kind = "geometric", max_lag = 3 }
seasonality = false

[sampler]
kind = "nuts"
chains = 2
warmup = 100
draws = 100
"""


def panel_of(geos, seed=0, periods=52):
    return mm.Panel.from_frame(
        table(geos, periods, seed), date="week", outcome="sales", media=columns(),
        geo="geo" if geos > 1 else None,
    )  # fmt: skip


@pytest.fixture(autouse=True)
def _no_cache(monkeypatch):
    monkeypatch.setenv("MMMJAX_CACHE", "off")


@pytest.mark.slow(parts=6)
def test_a_run_of_the_command_line(tmp_path, capsys):
    table(1, 52).to_csv(tmp_path / "t.csv", index=False)
    (tmp_path / "case.toml").write_text(CASE)
    out = tmp_path / "run"
    assert run(["fit", str(tmp_path / "case.toml"), "--out", str(out)]) in (0, 2)
    rows = pd.read_csv(out / "campaigns.csv")
    assert list(rows["campaign"][:3]) == ["A", "B", "C"]
    channels = pd.read_csv(out / "channels.csv").set_index(["geo", "channel"])
    brought = rows.groupby(["geo", "channel"])["contribution_mean"].sum()
    whole = channels.loc[brought.index, "contribution_mean"]
    np.testing.assert_allclose(brought, whole, rtol=1e-6)
    assert "Spot" not in (page := (out / "report.html").read_text())
    assert "campaign" in page

    asked = ["optimize", str(out), "--periods", "5", "--campaigns", "TV=0.3"]
    capsys.readouterr()
    assert run(asked) in (0, 2)
    assert "share of TV: " in capsys.readouterr().out
    made = pd.read_csv(out / "plan" / "plan_campaigns.csv")
    assert list(made["campaign"]) == ["A", "B", "C"]
    assert (abs(made["share"] / made["share_reference"] - 1) <= 0.3 + 1e-9).all()
    plan = pd.read_csv(out / "plan" / "plan.csv").set_index("channel")
    assert made["optimized"].sum() == pytest.approx(plan.loc["TV", "optimized"])
    told = json.loads((out / "plan" / "plan.json").read_text())
    assert [row["campaign"] for row in told["campaigns"]] == ["A", "B", "C"]
    assert told["certified"]
    compared = pd.read_csv(out / "plan" / "scenarios.csv")
    means = compared[compared["channel"] == "ALL"].set_index("plan")["response_mean"]
    assert means["plan"] == pytest.approx(told["response"]["optimized"]["mean"])

    (tmp_path / "plan.toml").write_text(
        'periods = 5\n[campaigns.TV]\nA = [0.1, 0.5]\nB = ["0.5x", "2x"]\n"*" = 0.4\n'
    )
    again = ["optimize", str(out), "--plan", str(tmp_path / "plan.toml")]
    assert run(again) in (0, 2)
    made = pd.read_csv(out / "plan" / "plan_campaigns.csv").set_index("campaign")
    assert made.loc["A", "share_least"] == pytest.approx(0.1)
    assert run(["optimize", str(out), "--periods", "5"]) in (0, 2)
    assert not (out / "plan" / "plan_campaigns.csv").exists()
    for given, words in (("TV=far", "number"), ("Rodio=0.2", "TV"), ("2", "1")):
        assert run([*asked[:-1], given]) == 1
        assert words in capsys.readouterr().err


@pytest.mark.slow(parts=6)
def test_a_backtest_forecasts_with_the_campaigns_that_were_bought():
    """Other campaigns after the last cut: the same draws, other scores of its test."""
    panel = panel_of(1)
    how = {"folds": 2, "horizon": 4, "step": 4, "least": 30, "progress": False}
    found = mm.backtest(SPEC, panel, QUICK, seed=2, **how)
    assert found.fits[2].panel.campaigns.labels == panel.campaigns.labels
    cut = found.layout.folds[1].train.stop
    turned = np.array(panel.campaigns.media)
    turned[:, cut:, :3] = turned[:, cut:, 2::-1]  # of TV
    other = dataclasses.replace(panel.campaigns, media=turned)
    again = mm.backtest(
        SPEC, dataclasses.replace(panel, campaigns=other), QUICK, seed=2, **how
    )
    for name, draws in found.fits[2].draws.params.items():
        np.testing.assert_array_equal(draws, again.fits[2].draws.params[name])
    a, b = (x.scores["crps"].isel(model=0) for x in (found, again))
    assert float(a.sel(fold=1, split="test")) == float(b.sel(fold=1, split="test"))
    assert float(a.sel(fold=2, split="train")) == float(b.sel(fold=2, split="train"))
    assert float(a.sel(fold=2, split="test")) != float(b.sel(fold=2, split="test"))
    parts = mm.campaigns(found.fits[2])
    whole = mm.roas(found.fits[2])["incremental"].sel(channel="TV")
    mine = parts["incremental"].isel(campaign=np.flatnonzero(parts["channel"] == "TV"))
    np.testing.assert_allclose(mine.sum("campaign"), whole, rtol=1e-9)


@pytest.mark.slow(parts=6)
@pytest.mark.slow(parts=6)
def test_three_geos_are_sampled_and_planned():
    fit = mm.fit(SPEC, panel_of(3), mm.HMC(chains=2, warmup=100, draws=100), seed=1)
    rows = mm.tables.campaigns(fit)
    assert list(rows["geo"].unique()) == ["g0", "g1", "g2", "ALL"]
    each = rows[rows["geo"] != "ALL"].groupby(["channel", "campaign"])["contribution_mean"]
    total = rows[rows["geo"] == "ALL"].set_index(["channel", "campaign"])
    np.testing.assert_allclose(each.sum(), total["contribution_mean"].loc[each.sum().index])
    plan = mm.optimize(fit, periods=4, campaigns=0.2)
    assert plan.certified
    assert len(plan.campaigns) == 15
    ahead = mm.forecast_plan(fit, plan, noise=False)
    assert float(ahead["gain_mean"]) > 0


@pytest.mark.slow(parts=6)
def test_a_fleet_has_campaigns_in_every_market(tmp_path):
    """Markets of other campaigns side by side, each as its own fit says; planned as one."""
    panels = {"de": panel_of(1, 0), "fr": panel_of(1, 1)}
    sampler, folder = mm.HMC(chains=2, warmup=100, draws=100), tmp_path / "fleet"
    mm.fit_fleet(SPEC, panels, sampler, store=folder, seed=3, refit=False)
    fleet = mm.open_fleet(folder)
    fits = {name: fleet[name] for name in panels}
    for name, fit in fits.items():
        assert fit.panel.campaigns.labels == panels[name].campaigns.labels
        parts, whole = mm.campaigns(fit), mm.roas(fit)["incremental"]
        mine = parts["incremental"].groupby("channel").sum()
        np.testing.assert_allclose(
            mine.sel(channel="TV").transpose("chain", "draw", "geo"),
            whole.sel(channel="TV").transpose("chain", "draw", "geo"), rtol=1e-9,
        )  # fmt: skip
    plan = mm.optimize(fits, periods=4, campaigns=True)
    assert plan.certified
    assert set(plan.campaigns["geo"]) == {"de", "fr"}
