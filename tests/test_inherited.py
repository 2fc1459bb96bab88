"""Channels that come and go at a refresh, and what another market knows of returns."""

import math
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

import mmmjax as mm
from mmmjax.checks import InputError
from mmmjax.cli.app import run
from mmmjax.convergence import ess
from mmmjax.inherited import LIKE, asleep, log_returns, with_channels
from mmmjax.model import model_data
from mmmjax.panel import periods

WEEKS, FIRST = 64, 52
LOOK = mm.Laplace(draws=150)
SPEC = mm.Spec(adstock=mm.adstock.Geometric(3), seasonality=None)
MEDIA = ("TV", "Search", "Radio")


def table(geos=1, seed=4):
    """Sales and media; TikTok (impressions and their cost) runs from week 54 on."""
    rng = np.random.default_rng(seed)
    rows = []
    for geo in range(geos):
        spend = rng.gamma(2.0, 50.0, (WEEKS, 4)) * (1 + geo)
        spend[:, 1] *= rng.random(WEEKS) < 0.6
        spend[: FIRST + 2, 3] = 0.0
        sales = 2e3 * (1 + geo) + spend @ [2.0, 3.0, 1.0, 2.5]
        sales += rng.normal(0, 100.0, WEEKS)
        frame = pd.DataFrame(spend, columns=[*MEDIA, "cost"])
        rows.append(frame.assign(geo=f"G{geo}", sales=sales, TikTok=40.0 * spend[:, 3]))
        rows[-1]["week"] = pd.date_range("2024-01-01", None, WEEKS, "7D")
    return pd.concat(rows, ignore_index=True)


def read(frame, media=(*MEDIA, "TikTok"), **more):
    spend = {name: "cost" if name == "TikTok" else name for name in media}
    geo = "geo" if frame["geo"].nunique() > 1 else None
    names = {"date": "week", "outcome": "sales", "media": list(media), "spend": spend}
    return mm.Panel.from_frame(frame, geo=geo, **names, **more)


def fitted(geos):
    """The table, and a fit of its first weeks, without TikTok."""
    frame = table(geos)
    first = frame[frame["week"] < frame["week"].unique()[FIRST]]
    return frame, mm.fit(SPEC, read(first, MEDIA), LOOK)


@pytest.fixture(scope="module")
def one():
    return fitted(1)


@pytest.fixture(scope="module")
def three():
    return fitted(3)


@pytest.fixture(params=["one", "three"])
def known(request):
    return request.getfixturevalue(request.param)


def told(panel):
    """(loc, scale) of the return that is asked of TikTok."""
    (fact,) = panel.facts
    return [value for _, value in fact.prior.params]


@pytest.mark.slow(parts=6)
def test_a_new_channel_has_the_return_of_the_one_it_is_like(known):
    frame, old = known
    spec, before, now, found = with_channels(old, read(frame), {"TikTok": "Search"})
    log = np.log(mm.roas(old)["roas_total"].sel(channel="Search").to_numpy())
    sd = math.sqrt(log.var(ddof=1) + LIKE**2)
    np.testing.assert_allclose(told(before), [log.mean(), sd], rtol=1e-6)
    assert (before.channels, now.channels) == ((*MEDIA, "TikTok"),) * 2
    assert spec == old.spec
    assert "like Search" in found[0].message


def test_pooled_is_what_is_known_of_the_next_channel(known):
    frame, old = known
    before = with_channels(old, read(frame), {"TikTok": "pooled"})[1]
    # random effects by brute force: mean flat, tau HalfNormal(0.5), the law of the next
    y, s = np.array(list(log_returns(old).values())).T
    mu, tau = np.linspace(-5, 7, 2401)[:, None], np.linspace(0, 3, 601)
    var = s[:, None, None] ** 2 + tau**2
    log = -0.5 * ((y[:, None, None] - mu) ** 2 / var + np.log(var)).sum(0) - 2 * tau**2
    p = np.exp(log - log.max()) / np.exp(log - log.max()).sum()
    mean = (p * mu).sum()
    sd = math.sqrt((p * ((mu - mean) ** 2 + tau**2)).sum())
    np.testing.assert_allclose(told(before), [mean, sd], rtol=0.01)


def test_before_its_data_its_return_is_that_prior_whatever_its_units(one):
    frame, old = one
    unseen = np.where(frame["week"] < frame["week"][FIRST + 2], frame["sales"], np.nan)
    now = read(frame.assign(sales=unseen))  # nothing is seen of it
    sampler = mm.HMC(chains=4, warmup=250, draws=1000, until=None)
    new = mm.refresh(old, now, sampler, channels={"TikTok": "TV"})
    log = np.log(mm.roas(new)["roas_total"].sel(channel="TikTok").to_numpy())
    loc, scale = told(new.panel)
    few = float(ess(log[None])[0])
    assert abs(log.mean() - loc) < 4 * scale / math.sqrt(few)
    assert abs(log.std() / scale - 1) < 4 / math.sqrt(2 * few)


def test_what_a_channel_did_in_training_moves_no_prior_of_others(one):
    frame, old = one
    frame = frame.copy()
    frame.loc[20:30, "TikTok"], frame.loc[20:30, "cost"] = 4000.0, 100.0
    new = mm.refresh(old, read(frame), LOOK, channels={"TikTok": "TV"})
    assert "ran in 11 periods of training already" in new.info["notes"][0]
    np.testing.assert_array_equal(new.panel.media[0, :, 3], frame["TikTok"])
    assert new.panel.facts[0].start == new.panel.dates[20].date()
    first = periods(asleep(new.panel.with_facts(()), ["TikTok"]), slice(0, FIRST), 0)
    hyper = [
        model_data(fit.spec, panel, fit.scale).hyper["saturation_beta"]["scale"]
        for fit, panel in ((old, old.panel), (new, first))
    ]
    np.testing.assert_allclose(hyper[1][:3], hyper[0], rtol=1e-12)


def test_priors_with_a_number_for_each_channel_and_terms_that_name_theirs():
    frame = table()
    late = mm.terms.Media("late", ("Search",), mm.adstock.Geometric(5))
    priors = {
        "adstock_alpha": mm.Prior("Beta", concentration1=[1.0, 3.0], concentration0=2.0),
        "late.saturation_beta": mm.Prior("HalfNormal", scale=[0.7]),
    }
    spec = mm.Spec(
        adstock=mm.adstock.Geometric(3), seasonality=None, terms=(late,), priors=priors
    )
    old = mm.fit(spec, read(frame[:FIRST], MEDIA), LOOK)
    likes = ("Search", "Radio", "pooled")
    found = [with_channels(old, read(frame), {"TikTok": like})[0] for like in likes]
    alpha = [dict(one.priors["adstock_alpha"].params)["concentration1"] for one in found]
    assert alpha == [(1.0, 3.0), (1.0, 3.0, 3.0), (1.0, 3.0, 2.0)]
    beta = [dict(one.priors["late.saturation_beta"].params)["scale"] for one in found]
    assert beta == [(0.7, 0.7), (0.7,), (0.7,)]
    own = next(term for term in found[0].media if term.name == "late")
    assert own.channels == ("Search", "TikTok")


@pytest.mark.parametrize("markets", ["one", pytest.param("three", marks=pytest.mark.slow)])
def test_channels_come_and_go_through_refreshes_that_are_saved(markets, request, tmp_path):
    frame, old = request.getfixturevalue(markets)
    now = read(frame)
    once = mm.refresh(old, now.split(now.dates[58])[0], LOOK, channels={"TikTok": "pooled"})
    # units of before stay; the new one's are its own largest week and price
    np.testing.assert_array_equal(once.scale.media[:, :3], old.scale.media)
    np.testing.assert_allclose(once.scale.cost_per_unit[:, 3], 1 / 40)
    most, next_ = np.sort(once.panel.media[..., 3], 1)[:, :-3:-1].T
    largest = np.where(most >= 2.5 * next_, next_, most)  # robust: one outlier is none
    np.testing.assert_allclose(once.scale.media[:, 3], largest)
    once = mm.load(mm.save(once, tmp_path / "once.nc"))
    left = read(frame, ("TikTok", "TV", "Search"))
    twice = mm.refresh(once, left, LOOK, channels={"Radio": "ended"})
    assert twice.info["notes"][0] == "Radio: not in the table, so 0 after training"
    assert twice.panel.facts == once.panel.facts  # the prior stays that of its first window
    np.testing.assert_array_equal(twice.scale.media, once.scale.media)
    np.testing.assert_array_equal(twice.panel.media[:, :59], once.panel.media)
    ended, still = (twice.panel.channels.index(name) for name in ("Radio", "TV"))
    assert not twice.panel.spend[:, 59:, ended].any()
    np.testing.assert_array_equal(twice.panel.media[..., still], now.media[..., still])
    moved = mm.drift(old, twice, causes=True)
    assert moved.causes == ("data",)
    assert list(moved.table["channel"]) == [*MEDIA, "ALL"]
    assert np.isfinite(mm.predict(twice, seed=1)["outcome"]).all()
    with pytest.raises(InputError, match=r'no "Radio".*channels=\{"Radio": "ended"\}'):
        mm.refresh(once, left)


@pytest.mark.parametrize(
    ("channels", "message"),
    [
        ({"TikTok": "Serach"}, 'did you mean "Search"'),
        ({"Tiktok": "TV"}, 'did you mean "TikTok"'),
        ({"TV": "Search"}, "channels of the table that the fit lacks"),
        ({"TV": "ended"}, "that the table lacks"),
    ],
)
def test_names_that_are_not_where_they_must_be_are_refused(known, channels, message):
    frame, old = known
    with pytest.raises(InputError, match=message):
        mm.refresh(old, read(frame), channels=channels)


def test_what_has_no_return_is_refused(one):
    frame, old = one
    with pytest.raises(InputError, match="no money"):
        mm.refresh(old, read(frame.assign(cost=0.0)), channels={"TikTok": "TV"})
    log = replace(old.spec, likelihood=mm.likelihood.Normal(link="log"))
    with pytest.raises(InputError, match="effects multiply"):
        mm.refresh(replace(old, spec=log), read(frame), channels={"TikTok": "TV"})


def test_geos_that_differ_are_refused_with_what_to_do(three):
    frame, old = three
    more = frame[frame["geo"] == "G0"].assign(geo="West")
    with pytest.raises(InputError, match=r'"West", new.*mm.add_geos\(refreshed, panel'):
        mm.refresh(old, read(pd.concat([frame, more]), MEDIA))
    with pytest.raises(InputError, match='geos of the table: got no "G1"'):
        mm.refresh(old, read(frame[frame["geo"] != "G1"], MEDIA))


def test_the_command_line_maps_channels(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("MMMJAX_CACHE", "off")
    frame = table()
    frame.to_csv(tmp_path / "now.csv", index=False)
    frame[:FIRST].to_csv(tmp_path / "old.csv", index=False)
    text = """[data]
path = "{}.csv"
date = "week"
outcome = "sales"
media = [{}]
[model]
adstock = {{ kind = "geometric", max_lag = 3 }}
seasonality = false
[sampler]
kind = "laplace"
draws = 100
"""
    old = ", ".join(f'"{name}"' for name in MEDIA)
    (tmp_path / "old.toml").write_text(text.format("old", old))
    (tmp_path / "now.toml").write_text(text.format("now", '"TV", "Search", "cost"'))
    out = [str(tmp_path / name) for name in ("run", "new")]
    run(["fit", str(tmp_path / "old.toml"), "--out", out[0], "--no-report"])
    base = ["refresh", out[0], str(tmp_path / "now.toml"), "--out", out[1]]
    assert run([*base, "--map", "cost:TV"]) == 1
    run([*base, "--map", "cost=TV", "--map", "Radio=ended", "--causes"])
    assert "like TV" in capsys.readouterr().err.replace("\n", " ")
    new = mm.load(tmp_path / "new" / "fit.nc")
    assert new.panel.channels == (*MEDIA, "cost")
    assert list(pd.read_csv(tmp_path / "new" / "drift.csv")["channel"]) == [*MEDIA, "ALL"]
    page = (tmp_path / "new" / "report.html").read_text(encoding="utf-8")
    assert "What moved since the last fit" in page
    assert "Before and now, over the same periods" in page
