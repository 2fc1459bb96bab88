"""What one market knows of returns as priors of another."""

import math
import tomllib

import numpy as np
import pandas as pd
import pytest

import mmmjax as mm
from mmmjax.checks import InputError
from mmmjax.cli.app import run
from mmmjax.inherited import log_returns
from mmmjax.metrics import hdi
from mmmjax.prepare import prepare

WEEKS = 60
LOOK = mm.Laplace(draws=150)
SPEC = mm.Spec(adstock=mm.adstock.Geometric(3), seasonality=None)


def market(names, unit=1.0, geos=1, seed=1, **more):
    """A table of weeks whose channels return 2, 3 and 1 units of money per unit of it."""
    rng = np.random.default_rng(seed)
    rows = []
    for geo in range(geos):
        spend = rng.gamma(2.0, 50.0, (WEEKS, 3)) * (1 + geo)
        sales = 2e3 * (1 + geo) + spend @ [2.0, 3.0, 1.0] + rng.normal(0, 60.0, WEEKS)
        frame = pd.DataFrame(spend, columns=names).assign(geo=f"G{geo}")
        frame["sales"] = sales / unit
        rows.append(frame.assign(week=pd.date_range("2024-01-01", None, WEEKS, "7D")))
    frame = pd.concat(rows, ignore_index=True)
    own = {"date": "week", "outcome": "sales", "media": names}
    return frame, mm.Panel.from_frame(frame, geo="geo" if geos > 1 else None, **own, **more)


@pytest.fixture(scope="module")
def abroad():
    """A fit of another market, its outcomes in money, three geos."""
    return mm.fit(
        SPEC, market(["TV", "Search", "Radio"], geos=3, outcome_value=1.0)[1], LOOK
    )


@pytest.mark.slow(parts=6)
@pytest.mark.parametrize("geos", [1, 3])
def test_returns_are_taken_in_money_with_a_wider_law(abroad, geos):
    _, panel = market(["TV", "Meta", "Radio"], 20.0, geos, seed=2, outcome_value=20.0)
    found = mm.transfer(abroad, panel, discount=0.25, channels={"Meta": "Search"})
    log = np.log(mm.roas(abroad)["roas_total"].transpose("channel", ...).to_numpy())
    log = log.reshape(3, -1)
    assert [fact.channel for fact in found.facts] == ["TV", "Radio", "Meta"]
    for fact, c in zip(found.facts, (0, 2, 1), strict=True):
        loc, scale = (value for _, value in fact.prior.params)
        np.testing.assert_allclose(loc, log[c].mean() - math.log(20), rtol=1e-5)
        np.testing.assert_allclose(scale, 2 * log[c].std(ddof=1), rtol=1e-5)
    ready = prepare(SPEC, found)  # of one market and of pooled geos
    assert "ROAS of Meta is known before the data speak" in "".join(ready.notes)


@pytest.mark.slow(parts=6)
def test_a_fleet_takes_it_and_a_saved_fit_has_it(abroad, tmp_path):
    panels = {
        str(seed): mm.transfer(
            abroad, market(["TV", "Search", "Radio"], seed=seed, outcome_value=1.0)[1]
        )
        for seed in (5, 6)
    }
    sampler = mm.HMC(chains=4, warmup=250, draws=250, until=None)
    fleet = mm.fit_fleet(SPEC, panels, sampler, refit=False, progress=False)
    for name, panel in panels.items():
        fit = mm.load(mm.save(fleet[name], tmp_path / f"{name}.nc"))
        assert fit.panel.facts == panel.facts
        draws = mm.roas(fit)["roas_total"].transpose("channel", ...).to_numpy()
        assert (draws.std((1, 2)) > 0).all()
        lo, hi = hdi(draws[1].ravel(), 0.999)
        assert lo < 3.0 < hi


def test_pooled_is_of_all_channels_and_discounted_too(abroad):
    _, panel = market(["A", "B", "C"], outcome_value=1.0)
    laws = []
    for discount in (1.0, 0.25):
        found = mm.transfer(abroad, panel, channels={"A": "pooled"}, discount=discount)
        (fact,) = found.facts
        laws.append([value for _, value in fact.prior.params])
    means = [mean for mean, _ in log_returns(abroad).values()]
    assert min(means) < laws[0][0] < max(means)
    np.testing.assert_allclose(laws[1], [laws[0][0], 2 * laws[0][1]], rtol=1e-12)


def test_what_cannot_be_transferred_is_refused(abroad):
    _, panel = market(["TV", "B", "C"], outcome_value=1.0)
    with pytest.raises(InputError, match=r"outcome_value.*in both, or in none"):
        mm.transfer(abroad, market(["TV", "B", "C"])[1])
    with pytest.raises(InputError, match='did you mean "Search"'):
        mm.transfer(abroad, panel, channels={"B": "Serch"})
    with pytest.raises(InputError, match="a paid channel of the panel"):
        mm.transfer(abroad, panel, channels={"D": "TV"})
    with pytest.raises(InputError, match='none of "A", "B" and "C"'):
        mm.transfer(abroad, market(["A", "B", "C"], outcome_value=1.0)[1])
    with pytest.raises(InputError, match="one a channel"):
        mm.transfer(abroad, mm.transfer(abroad, panel))
    with pytest.raises(InputError, match="discount: got 0"):
        mm.transfer(abroad, panel, discount=0)


def test_the_command_line_prints_facts_of_a_case(abroad, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("MMMJAX_CACHE", "off")
    mm.save(abroad, tmp_path / "fit.nc")
    frame, panel = market(["TV", "Meta", "Radio"], seed=2, outcome_value=1.0)
    frame.to_csv(tmp_path / "t.csv", index=False)
    text = """[data]
path = "t.csv"
date = "week"
outcome = "sales"
media = ["TV", "Meta", "Radio"]
outcome_value = 1.0
[model]
seasonality = false
"""
    case = tmp_path / "case.toml"
    case.write_text(text)
    assert run(["transfer", str(tmp_path), str(case), "--map", "Meta=Search"]) == 0
    told = capsys.readouterr().out
    wanted = mm.transfer(abroad, panel, channels={"Meta": "Search"}).facts
    assert mm.facts.read(tomllib.loads(told)["facts"]) == wanted
    case.write_text(text + told)
    assert run(["check", str(case)]) == 0
    assert "ROAS of Meta is known" in " ".join(capsys.readouterr().out.split())
