"""Geos that training lacks: their law draw by draw, their units, and who says so."""

from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import stats

import mmmjax as mm
from mmmjax.added import without_added
from mmmjax.cli.app import run
from mmmjax.simulate import generate
from tests.reference.density import adstock, saturate

OLD, NEW, LAG = ("a", "b", "c", "d"), ("e", "f"), 3
COUNTRY = dict(zip("abcdef", ["x", "x", "y", "y", "x", "z"], strict=True))


def table(geos=(*OLD, *NEW), periods=30, seed=0) -> Any:
    rng, rows = np.random.default_rng(seed), []
    for g, geo in enumerate(geos):
        size = 1.0 + g
        people = 1e5 * size * rng.uniform(0.8, 1.2)
        for week in pd.date_range("2024-01-01", periods=periods, freq="W-MON"):
            tv, search = rng.gamma(2.0, 100.0, 2) * size
            sales = 50 * size + 0.05 * tv + rng.normal(0, 3)
            rows.append({"week": week, "geo": geo, "sales": sales, "tv": tv, "grp": tv / 7,
                         "search": search, "price": rng.normal(), "people": people,
                         "country": COUNTRY[geo]})  # fmt: skip
    return pd.DataFrame(rows)


def panel_of(df, **more):
    return mm.Panel.from_frame(
        df, date="week", outcome="sales", geo="geo", controls=["price"],
        media={"TV": "grp", "Search": "search"}, spend={"TV": "tv", "Search": "search"},
        **more,
    )  # fmt: skip


def spec_of(**more):
    given = {"adstock": mm.adstock.Geometric(LAG), "seasonality": None}
    return mm.Spec(**(given | more))


def cut(df, geos, late=False) -> Any:
    """Rows of geos in the 24 periods of training, or in the 6 that follow."""
    end = pd.Timestamp("2024-06-10")
    return df[df["geo"].isin(geos) & ((df["week"] > end) == late)]


def fit_of(df, spec=None, draws=300, **more):
    fit = mm.sample_prior(spec or spec_of(), panel_of(cut(df, OLD), **more), draws)
    return replace(fit, sampler=mm.NUTS())


def values(fit, name):
    return fit.draws.params[name][0].astype(float)


def test_what_is_shared_or_was_trained_stays_to_the_bit():
    df = table()
    fit = fit_of(df)
    wide = mm.add_geos(fit, panel_of(cut(df, NEW)))
    assert wide.panel.geos == (*OLD, *NEW)
    assert wide.draws.params.keys() == fit.draws.params.keys()
    for name, old in fit.draws.params.items():
        new = wide.draws.params[name]
        kept = (slice(4 if d == "geo" else None) for d in fit.dims(name))
        np.testing.assert_array_equal(new[(..., *kept)] if new.ndim > 2 else new, old)
    back = without_added(wide)
    assert back.panel.data_hash() == fit.panel.data_hash()
    np.testing.assert_array_equal(back.scale.media, fit.scale.media)
    assert without_added(fit) is fit


@pytest.mark.parametrize("name, link", [("intercept", lambda x: x), ("y_sigma", np.log),
                                        ("saturation_beta", np.log)])  # fmt: skip
def test_their_own_is_drawn_around_the_typical_value_of_each_draw(name, link):
    """Offsets are standard normal and independent: Kolmogorov, 1 in 1,000 by chance."""
    df = table()
    fit = fit_of(df, draws=1500)
    wide = mm.add_geos(fit, panel_of(cut(df, NEW)))
    z = []
    for d in range(1500):  # the oracle: a loop over draws
        typical, spread = (
            values(fit, f"{name}_typical")[d],
            values(fit, f"{name}_spread")[d],
        )
        z.append((link(values(wide, name)[d][4:]) - link(typical)) / spread)
    z = np.array(z).reshape(1500, -1)
    for column in z.T:
        assert stats.kstest(column, "norm").pvalue > 1e-3
    away = np.abs(np.corrcoef(z.T) - np.eye(z.shape[1])).max()
    assert away < 4 / np.sqrt(1500)
    other = mm.add_geos(fit, panel_of(cut(df, NEW)), seed=1)
    assert (values(other, name)[:, 4:] != values(wide, name)[:, 4:]).all()


def test_forecasts_contributions_and_returns_against_loops():
    df = table()
    fit = fit_of(df, draws=12)
    wide = mm.add_geos(fit, panel_of(cut(df, NEW)))
    test = panel_of(cut(df, (*OLD, *NEW), late=True))
    ahead = mm.contributions(wide, test)["mu"].sel(summary="mean")
    mu, gain = np.zeros((2, 6)), np.zeros((12, 2, 2))
    for d in range(12):
        p = {n: x[0, d] for n, x in wide.draws.params.items()}
        for i, geo in enumerate(NEW):
            own = df[df["geo"] == geo]
            out = np.full(30, float(p["intercept"][4 + i]))
            out += p["gamma_control"][0] * own["price"].to_numpy()
            for c, column in enumerate(("grp", "search")):
                x = own[column].to_numpy() / wide.scale.media[4 + i, c]
                lam, beta = p["saturation_lam"][c], p["saturation_beta"][4 + i, c]
                effect = lambda x, c=c, lam=lam, beta=beta, p=p: (
                    beta * saturate(adstock(x, p["adstock_alpha"][c], LAG), lam)
                )
                out += effect(x)
                full = np.concatenate([x[:24], np.zeros(LAG - 1)])
                gain[d, i, c] = effect(full).sum() * wide.scale.outcome[4 + i]
            mu[i] += out[24:] * wide.scale.outcome[4 + i] / 12
    np.testing.assert_allclose(ahead[4:], mu, rtol=1e-5)
    roas = mm.roas(wide)
    np.testing.assert_allclose(roas["incremental"][0, :, 4:], gain, rtol=1e-5)
    spend = cut(df, NEW).groupby("geo")[["tv", "search"]].sum()
    np.testing.assert_allclose(roas["spend"][4:], spend)
    predicted = mm.predict(wide, test)
    assert predicted.attrs["pooled_prior"] == [*NEW]
    assert np.isfinite(predicted["outcome"]).all()
    assert list(predicted["geo"].to_numpy()) == [*OLD, *NEW]


def test_a_group_of_training_and_a_new_one():
    df = table()
    prior = mm.pooled(mm.Prior("Normal", loc=0.5, scale=0.2), over=["country", "geo"],
                      spread=[0.3, 0.1])  # fmt: skip
    groups = {"groups": ["country"]}
    fit = fit_of(df, spec_of(priors={"intercept": prior}), draws=1500, **groups)
    wide = mm.add_geos(fit, panel_of(cut(df, NEW), **groups))
    country, geo = values(wide, "intercept_country"), values(wide, "intercept")
    np.testing.assert_array_equal(country[:, :2], values(fit, "intercept_country"))
    inner, outer = (values(fit, f"intercept_{x}spread") for x in ("", "country_"))
    above = (country[:, 2] - values(fit, "intercept_typical")) / outer
    own = [(geo[:, 4] - country[:, 0]) / inner, (geo[:, 5] - country[:, 2]) / inner]
    for z in (above, *own):
        assert stats.kstest(z, "norm").pvalue > 1e-3
    with pytest.raises(mm.InputError, match="country of new geos"):
        mm.add_geos(fit, panel_of(cut(df, NEW)))


@pytest.mark.slow(parts=6)
def test_a_parameter_that_is_not_pooled_is_its_prior():
    df = table()
    prior = mm.Prior("Normal", loc=0.4, scale=0.1, dims="geo")
    fit = fit_of(df, spec_of(priors={"intercept": prior}), draws=1500)
    wide = mm.add_geos(fit, panel_of(cut(df, NEW)))
    for column in values(wide, "intercept")[:, 4:].T:
        assert stats.kstest(column, stats.norm(0.4, 0.1).cdf).pvalue > 1e-3
    listed = mm.Prior("Normal", loc=[0.1, 0.2, 0.3, 0.4], scale=0.1, dims="geo")
    fit = fit_of(df, spec_of(priors={"intercept": listed}), draws=4)
    with pytest.raises(mm.InputError, match="new geos: prior of intercept"):
        mm.add_geos(fit, panel_of(cut(df, NEW)))


def test_units_follow_the_rule_that_is_said():
    df = table()
    fit = fit_of(df, draws=4)
    rows = cut(df, OLD).pivot(index="week", columns="geo", values="sales").to_numpy()
    some = cut(df, NEW)[lambda d: d["week"] >= "2024-05-01"]
    wide = mm.add_geos(fit, panel_of(some))
    late = rows[-len(some) // 2 :]
    ratio = np.exp(np.mean(np.log(fit.scale.outcome / late.mean(0))))
    mean = some.groupby("geo")["sales"].mean()
    np.testing.assert_allclose(wide.scale.outcome[4:], ratio * mean)
    assert "by its sales in 6 periods" in wide.info["notes"][-1]
    beside = np.log(fit.scale.media / fit.scale.outcome[:, None]).mean(0)
    media = wide.scale.outcome[4:, None] * np.exp(beside)
    np.testing.assert_allclose(wide.scale.media[4:], media)
    known = mm.add_geos(fit, panel_of(cut(df, NEW)))
    two = cut(df, NEW).groupby("geo")[["grp", "search"]]
    first, second = (two.apply(lambda x, k=k: np.sort(x, 0)[-k]) for k in (1, 2))
    first, second = (np.stack(x.to_list()) for x in (first, second))
    largest = np.where(first >= 2.5 * second, second, first)
    np.testing.assert_allclose(known.scale.media[4:], largest)
    later = panel_of(cut(df, (*OLD, *NEW), late=True))
    with pytest.raises(mm.InputError, match="say its mean sales"):
        mm.add_geos(fit, later)
    stated = mm.add_geos(fit, later, outcome_mean={"e": 200.0, "f": 300})
    ratio = np.exp(np.mean(np.log(fit.scale.outcome / rows.mean(0))))
    np.testing.assert_allclose(stated.scale.outcome[4:], ratio * np.array([200.0, 300.0]))
    assert "of 200, as stated" in stated.info["notes"][-1]
    assert not stated.panel.present[4:].any()
    assert not stated.panel.media[4:].any()


def test_by_population_the_scatter_of_a_heads_outcome_is_drawn():
    df = table()
    fit = fit_of(df, draws=1500, population="people")
    later = panel_of(cut(df, (*OLD, *NEW), late=True), population="people")
    wide = mm.add_geos(fit, later)
    people = df.groupby("geo")["people"].first().to_numpy()
    logs = np.log(fit.scale.outcome / people[:4])
    np.testing.assert_allclose(wide.scale.outcome[4:], np.exp(logs.mean()) * people[4:])
    heads = fit.scale.media[0] / people[0]
    np.testing.assert_allclose(wide.scale.media[4:], heads * people[4:, None])
    assert wide.scale.people is not None
    np.testing.assert_allclose(wide.scale.people[4:], people[4:])
    noise, level = values(wide, "y_sigma"), values(wide, "y_sigma_typical")
    z = np.log(noise[:, 4]) - np.log(level)
    mean = cut(df, OLD).groupby("geo")["sales"].mean().to_numpy()
    heads, own = (np.log(mean / x).var(ddof=1) for x in (people[:4], fit.scale.outcome))
    assert heads > own
    expected = np.hypot(values(fit, "y_sigma_spread"), np.sqrt(1.25 * (heads - own)))
    assert stats.kstest(z / expected, "norm").pvalue > 1e-3
    assert "a head's sales differs" in wide.info["notes"][-1]


def test_under_a_log_link_the_scatter_is_added_to_the_level():
    df = table()
    law = mm.likelihood.LogNormal(link="log")
    fit = fit_of(df, spec_of(likelihood=law), draws=1500, population="people")
    later = panel_of(cut(df, (*OLD, *NEW), late=True), population="people")
    wide = mm.add_geos(fit, later)
    people = df.groupby("geo")["people"].first().to_numpy()[:4]
    mean = cut(df, OLD).groupby("geo")["sales"].mean().to_numpy()
    heads, own = (np.log(mean / x).var(ddof=1) for x in (people, fit.scale.outcome))
    z = values(wide, "intercept")[:, 4] - values(fit, "intercept_typical")
    expected = np.hypot(values(fit, "intercept_spread"), np.sqrt(1.25 * (heads - own)))
    assert stats.kstest(z / expected, "norm").pvalue > 1e-3
    z = np.log(values(wide, "y_sigma")[:, 4] / values(fit, "y_sigma_typical"))
    assert stats.kstest(z / values(fit, "y_sigma_spread"), "norm").pvalue > 1e-3


def test_one_outcome_unit_for_all_needs_no_size():
    df = table()
    fit = fit_of(df, spec_of(outcome_scale="shared", media_scale="shared"), draws=4)
    wide = mm.add_geos(fit, panel_of(cut(df, (*OLD, *NEW), late=True)))
    assert (wide.scale.outcome == fit.scale.outcome[0]).all()
    assert (wide.scale.media == fit.scale.media[0]).all()


@pytest.fixture(scope="module")
def drawn():
    df = table()
    return df, fit_of(df, draws=100)


@pytest.mark.slow(parts=6)
def test_the_wide_fit_goes_everywhere(drawn, tmp_path):
    df, fit = drawn
    wide = mm.add_geos(fit, panel_of(cut(df, NEW)))
    found = mm.judge(wide)
    assert [f.where for f in found.findings if f.code == "pooled_prior"] == [NEW]
    assert found.sampled.sentence == mm.judge(fit).sampled.sentence
    assert wide.findings() == found.findings
    rows = mm.tables.every(wide)
    assert set(rows["channels"]["geo"]) == {*OLD, *NEW, "ALL"}
    assert set(rows["fitted"]["geo"]) == {*OLD, *NEW, "ALL"}
    assert not set(rows["priors"]["index"]) & {*NEW}
    mm.save(wide, tmp_path / "fit.nc")
    again = mm.load(tmp_path / "fit.nc")
    assert again.info["added"] == wide.info["added"]
    ours, theirs = mm.curves(wide), mm.curves(again)
    np.testing.assert_array_equal(ours.to_array(), theirs.to_array())
    plan = mm.optimize(wide, periods=3, bounds=0.2)
    assert {*NEW} <= {*plan.to_frame()["geo"]}
    more = mm.add_geos(wide, panel_of(cut(table((*OLD, *NEW, "a")), ["e"]).assign(geo="g")))
    assert [one["where"] for one in more.info["added"]] == [["e", "f"], ["g"]]
    assert without_added(more).panel.geos == OLD


def test_prediction_adds_them_by_itself_and_says_so(drawn):
    df, fit = drawn
    people = panel_of(cut(df, OLD), population="people")
    fit = mm.sample_prior(spec_of(), people, 100)
    future = fit.panel.read_future(cut(df, (*OLD, *NEW), late=True).drop(columns="sales"))
    assert future.geos == (*OLD, *NEW)
    assert mm.predict(fit, future).attrs["pooled_prior"] == [*NEW]
    assert "pooled_prior" not in mm.predict(fit).attrs
    rows = mm.tables.forecast(fit, future)
    assert list(rows["geo"].unique()) == [*OLD, *NEW, "ALL"]
    with pytest.raises(mm.InputError, match="add_geos"):
        mm.contributions(fit, future)
    test = panel_of(cut(df, (*OLD, *NEW), late=True), population="people")
    assert np.isfinite(mm.scores(fit, test)["crps_test"])
    assert set(mm.tables.scores(fit, test)["geo"]) == {*OLD, *NEW, "ALL"}


WRONG = {
    "no new one": (lambda df: panel_of(cut(df, OLD)), {}, "a geo that training lacks"),
    "who is that": (lambda df: panel_of(cut(df, NEW)), {"outcome_mean": {"ee": 1.0}},
                    'did you mean "e"'),
    "no size": (lambda df: panel_of(cut(df, NEW)), {"outcome_mean": {"e": 0.0}}, "above 0"),
    "another channel": (
        lambda df: mm.Panel.from_frame(cut(df, NEW), date="week", outcome="sales",
                                       geo="geo", media=["search"]), {}, 'no "TV"'),
    "other days": (
        lambda df: panel_of(cut(df.assign(week=df["week"] + pd.Timedelta("1D")), NEW)),
        {}, "one frequency"),
}  # fmt: skip


@pytest.mark.parametrize("made, more, said", WRONG.values(), ids=list(WRONG))
def test_what_is_wrong_is_named(drawn, made, more, said):
    df, fit = drawn
    with pytest.raises(mm.InputError) as error:
        mm.add_geos(fit, made(df), **more)
    assert said in str(error.value)


def test_one_geo_or_national_media_are_refused(drawn):
    df, _ = drawn
    one = mm.sample_prior(spec_of(), panel_of(cut(df, ["a"])), 4)
    with pytest.raises(mm.InputError, match="a fit of one geo"):
        mm.add_geos(one, panel_of(cut(df, NEW)))
    same = df.assign(grp=df.groupby("week")["grp"].transform("first"),
                     tv=df.groupby("week")["tv"].transform("first"))  # fmt: skip
    fit = fit_of(same, draws=4, national=["TV"])
    with pytest.raises(mm.InputError, match="national"):
        mm.add_geos(fit, panel_of(cut(same, NEW)))
    with pytest.raises(mm.InputError, match="national"):
        fit.panel.read_future(cut(same, (*OLD, *NEW), late=True))


def test_a_name_that_is_misspelt_is_no_new_geo(drawn):
    df, _ = drawn
    later = cut(df, OLD, late=True).drop(columns="sales")
    long = {"a": "North", "b": "South", "c": "East", "d": "Midwest"}
    train = panel_of(cut(df, OLD).assign(geo=lambda d: d["geo"].map(long)))
    later = later.assign(geo=later["geo"].map(long))
    for rows in (later["geo"] == "South", later.index == later.index[-1]):
        name = later.loc[rows, "geo"].iloc[0]
        wrong = later.assign(geo=later["geo"].mask(rows, name[:-1]))
        with pytest.raises(mm.InputError, match=f'did you mean "{name}"'):
            train.read_future(wrong)
    with pytest.raises(mm.InputError, match="no rows for geo"):
        train.read_future(later[later["geo"] != "South"])
    people = panel_of(cut(df, OLD), population="people", groups=["country"])
    rows = cut(df, (*OLD, *NEW), late=True)
    for gone in ("people", "country"):
        with pytest.raises(mm.InputError, match=f'without "{gone}"'):
            people.read_future(rows.drop(columns=gone))
    future = people.read_future(rows)
    assert future.groups == {"country": ("x", "x", "y", "y", "x", "z")}
    prices = people.cost_per_unit(new=1)
    np.testing.assert_allclose(prices[-1], [7.0, 1.0])


def test_the_command_line(drawn, tmp_path, capsys):
    df, fit = drawn
    (tmp_path / "run").mkdir()
    mm.save(fit, tmp_path / "run" / "fit.nc")
    later = cut(df, (*OLD, *NEW), late=True).drop(columns="sales")
    later.to_csv(tmp_path / "next.csv", index=False)
    asked = ["predict", str(tmp_path / "run"), str(tmp_path / "next.csv")]
    assert run(asked) == 1
    said = " ".join(capsys.readouterr().err.split())
    assert '--outcome-mean "e=1000"' in said
    assert run([*asked, "--outcome-mean", "e"]) == 1
    assert "GEO=NUMBER" in capsys.readouterr().err
    sizes = ["--outcome-mean", "e=300", "--outcome-mean", "f=350"]
    assert run([*asked, *sizes]) in (0, 2)
    out = capsys.readouterr()
    text = " ".join((out.err + out.out).split())
    assert '"e" and "f": not in training' in text or "e and f: not in training" in text
    assert "none before" not in text
    rows = pd.read_csv(tmp_path / "run" / "next" / "forecast.csv")
    assert set(rows["geo"]) == {*OLD, *NEW, "ALL"}


@pytest.mark.slow(parts=6)
@pytest.mark.parametrize("seed", [1, 2])
@pytest.mark.parametrize("heads", [0.0, 0.4])
def test_left_out_geos_are_covered(seed, heads):
    """94% intervals of geos that the fit never saw, sized by population.

    Where what a head brings differs (log sd ``heads``), all cells of a geo stand or fall
    with it: of five geos three at least by half (2 or fewer: 1 in 500 a case). Where it
    does not, intervals are too wide, as pooling counts the noise of units, and all hold.
    """
    made = generate(geos=15, periods=65, channels=2, controls=1, max_lag=4, seed=seed)
    rng, whole = np.random.default_rng(seed), made.panel
    size = np.exp(heads * rng.standard_normal((15, 1)))
    whole = replace(whole, outcome=whole.outcome * size)
    left = whole.geos[::3]
    train = whole.select([g for g in whole.geos if g not in left])
    spec = mm.Spec(adstock=mm.adstock.Geometric(max_lag=4), seasonality=None)
    sampler = mm.HMC(chains=4, draws=250, until=None)
    fit = mm.fit(spec, train, sampler, seed=seed, progress=False)
    held = whole.select(left)
    wide = mm.add_geos(fit, replace(held, outcome=np.full_like(held.outcome, np.nan)))
    found = mm.predict(wide, draws=False)["outcome"][:, len(train.geos) :].to_numpy()
    inside = ((held.outcome >= found[1]) & (held.outcome <= found[2])).mean(1)
    print("covered", inside)
    assert (inside > 0.5).sum() >= (3 if heads else 5)
    width = np.log(found[2] / np.maximum(found[1], 1e-9)).mean(1)
    assert (width < 4 * max(heads, 0.3) * 2).all(), width
