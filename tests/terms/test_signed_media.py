"""Channels that may lower the outcome."""

import numpy as np
import pandas as pd
import pytest

import mmmjax as mm
from mmmjax.prepare import prepare
from tests.posterior.examples import geo_panel

ANY = """
[model]
adstock = { max_lag = 3 }
seasonality = false

[model.channels]
Search = { sign = "any" }
"""


def test_the_prior_has_both_signs_and_check_says_so():
    spec, panel = mm.Spec.from_toml(ANY), geo_panel()
    assert mm.Spec.from_toml(spec.to_toml()) == spec
    prior = spec.priors["search.saturation_beta"]
    assert prior.family == "Normal"
    assert dict(prior.pool)["geo"].to_dict()["scale"] == "media_share"
    (told,) = (f for f in prepare(spec, panel).findings if f.code == "signed_media")
    assert told.where == ("Search",)
    assert "certified only where no draw is" in told.means
    plain = prepare(mm.Spec(adstock=mm.adstock.Geometric(3), seasonality=None), panel)
    assert not [f for f in plain.findings if f.code == "signed_media"]


def test_a_prior_of_both_signs_is_said_too():
    wide = {"saturation_beta": mm.Prior("Normal", loc=0.0, scale=0.3)}
    spec = mm.Spec(adstock=mm.adstock.Geometric(3), seasonality=None, priors=wide)
    (told,) = (f for f in prepare(spec, geo_panel()).findings if f.code == "signed_media")
    assert told.where == ("TV", "Search", "Mail")


def test_another_sign_is_refused():
    with pytest.raises(mm.InputError, match='"any"'):
        mm.terms.Media(sign="negative")


@pytest.mark.slow
@pytest.mark.parametrize("geos", [1, 3])
def test_harm_is_found_returned_and_not_planned(geos, tmp_path):
    """Radio takes 15 from sales of 100 where TV brings 20; its budget goes to the floor."""
    rng = np.random.default_rng(geos)
    rows = [
        pd.DataFrame({
            "geo": f"g{g}", "week": pd.date_range("2022-01-02", periods=110, freq="W"),
            "tv": rng.gamma(2.0, 50.0, 110), "radio": rng.gamma(2.0, 50.0, 110),
        })
        for g in range(geos)
    ]  # fmt: skip
    frame = pd.concat(rows)
    bent = lambda x: np.tanh(x / 2 / frame[x.name].max())
    frame["sales"] = 100 + 60 * bent(frame["tv"]) - 45 * bent(frame["radio"])
    frame["sales"] += rng.normal(0, 2.0, len(frame))
    media, geo = ["tv", "radio"], {"geo": "geo"} if geos > 1 else {}
    panel = mm.Panel.from_frame(frame, date="week", outcome="sales", media=media, **geo)
    train, test = panel.split(panel.dates[99])
    channels = (mm.terms.Media("radio", ["radio"], mm.adstock.Geometric(3), sign="any"),)
    spec = mm.Spec(adstock=mm.adstock.Geometric(3), seasonality=None, terms=channels)
    fit = mm.fit(spec, train, mm.HMC(chains=2, warmup=300, draws=200, until=None), seed=1)
    beta = fit.draws.params["radio.saturation_beta"]
    assert (beta < 0).mean() > 0.99
    returns = mm.roas(fit)["roas_total"].sel(channel="radio")
    lo, hi = np.quantile(returns, [0.01, 0.99])
    carried = frame["radio"].to_numpy().reshape(geos, -1)[:, :100]
    lost = -45 * np.tanh(carried / 2 / frame["radio"].max()).sum() / carried.sum()
    assert lo < lost < hi < 0
    plan = mm.optimize(fit, periods=8, starts=2)
    assert not plan.certified
    assert "saturation_beta is negative in" in plan.gap_reason
    assert {f.code for f in mm.judge(fit).adequate.findings} >= {"negative_effect"}
    mm.report(fit, tmp_path / "report.html", test=test)
    parts = mm.contributions(fit).sel(summary="mean")
    sums = parts["channel_contribution"].sum("channel") + parts["baseline"]
    np.testing.assert_allclose(sums, parts["mu"], rtol=1e-6)
    assert np.isfinite(mm.predict(fit, test)["outcome"]).all()
