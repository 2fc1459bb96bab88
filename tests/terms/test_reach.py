"""Reach and frequency: at the door, the equation, and everything downstream."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
import pytest

import mmmjax as mm
from mmmjax import response
from mmmjax.exploration.findings import warnings
from mmmjax.model import model_data
from mmmjax.panel import for_prediction, joined
from mmmjax.prepare import prepare, scale_of
from tests.fits import shared

VIDEO = {"reach": "people", "frequency": "times", "spend": "cost"}
MEDIA = {"TV": "tv", "Video": VIDEO}
SPEC = mm.Spec(
    adstock=mm.adstock.Geometric(3), seasonality=None,
    terms=(mm.terms.Reach("video", ["Video"], mm.adstock.Geometric(4)),),
)  # fmt: skip
QUICK = {"chains": 2, "warmup": 60, "draws": 30, "until": None}


def table(geos=1, periods=40, seed=0):
    rng, rows = np.random.default_rng(seed), []
    for g in range(geos):
        reach = rng.integers(1_000, 9_000, periods) * (rng.random(periods) < 0.8)
        times = np.where(reach > 0, np.round(1 + rng.gamma(2, 1, periods), 2), np.nan)
        one = {"week": pd.date_range("2024-01-01", periods=periods, freq="W-MON")}
        one |= {"geo": f"g{g}", "tv": rng.gamma(2, 50, periods), "people": reach}
        one |= {"times": times, "cost": 0.01 * reach * np.nan_to_num(times)}
        one["sales"] = 60 + 0.1 * one["tv"] + 2e-3 * reach + rng.normal(0, 4, periods)
        rows.append(pd.DataFrame(one | {"all": 10_000.0}))
    return pd.concat(rows, ignore_index=True)


def panel_of(df=None, media=MEDIA, geos=1, **more):
    df = table(geos) if df is None else df
    if geos > 1:
        more["geo"] = "geo"
    return mm.Panel.from_frame(df, date="week", outcome="sales", media=media, **more)


def draw(spec, panel):
    sizes = spec.sizes(panel)
    shape = lambda n: tuple(sizes[d] for d in spec.dims(n))
    return {n: jnp.full(shape(n), 0.6) for n in spec.present(sizes)}


@pytest.fixture(scope="module")
def split():
    return panel_of().split("2024-08-05")


@pytest.fixture(scope="module")
def fit(split):
    return mm.fit(SPEC, split[0], mm.NUTS(**QUICK))


def test_media_are_impressions_and_the_table_comes_back():
    df, panel = table(), panel_of()
    seen = (df["people"] * df["times"]).fillna(0.0)
    np.testing.assert_allclose(panel.media[0, :, 1], seen)
    np.testing.assert_array_equal(panel.frequency[0, :, 1], df["times"])
    assert panel.reached == ("Video",)
    usual = [1.0, seen.sum() / df["people"].sum()]
    np.testing.assert_allclose(panel.usual_frequency(), usual)
    np.testing.assert_allclose(panel.cost_per_unit()[0], [1.0, 0.01])
    names = ["people", "times", "cost"]
    pd.testing.assert_frame_equal(
        panel.to_frame()[names], df[names], check_dtype=False, check_exact=False
    )
    other = panel_of(df.assign(people=df["people"] * 2, times=df["times"] / 2 + 0.5))
    assert other.data_hash() != panel.data_hash()


def test_periods_geos_and_what_follows_keep_it():
    panel = panel_of(geos=3)
    train, test = panel.split("2024-08-05")
    again = joined(train, test)
    np.testing.assert_array_equal(again.frequency, panel.frequency)
    np.testing.assert_array_equal(panel.select("g1").frequency[0], panel.frequency[1])
    turned = panel.select(["g2", "g1", "g0"]).split("2024-08-05")[1]
    aligned = for_prediction(train, turned)
    np.testing.assert_array_equal(aligned.frequency, test.frequency)


def test_a_national_channel_is_one_series():
    df = table(2)
    first = df["geo"] == "g0"
    for name in ("people", "times", "cost"):
        df[name] = np.tile(df.loc[first, name].to_numpy(), 2)
    panel = panel_of(df, geos=2, national=["Video"], population="all")
    whole = (df["people"] * df["times"])[first].fillna(0.0)
    np.testing.assert_allclose(panel.media[..., 1].sum(0), whole)
    np.testing.assert_array_equal(panel.frequency[0], panel.frequency[1])


@pytest.mark.parametrize("lacks", [[], ["cost"], ["people"], ["people", "times"]])
def test_a_future_table_gives_reach_or_money(split, lacks):
    train, test = split
    ahead = train.read_future(test.to_frame().drop(columns=["sales", *lacks]))
    np.testing.assert_allclose(ahead.media, test.media, rtol=1e-12)
    np.testing.assert_allclose(ahead.spend, test.spend, rtol=1e-12)
    usual = train.usual_frequency()[1]
    often = np.where(test.media[..., 1] > 0, usual, np.nan)
    often = often if "times" in lacks else test.frequency[..., 1]
    np.testing.assert_allclose(ahead.frequency[..., 1], often)


def test_a_future_table_without_either_is_refused(split):
    train, test = split
    later = test.to_frame().drop(columns="sales")
    for lacks in (["people", "times", "cost"], ["times"]):
        with pytest.raises(mm.InputError, match='"times" \\(or "cost" in place of both'):
            train.read_future(later.drop(columns=lacks))


def changed(column, row, value):
    df = table()
    df.loc[row, column] = value
    return df


WRONG = {
    "below one": (changed("times", 1, 0.5), {}, "got 0.5 where"),
    "missing": (changed("times", 1, np.nan), {}, "got a missing value where"),
    "reach": (changed("people", 1, np.nan), {}, "reach: got a missing value"),
    "negative": (changed("people", 1, -5), {}, "reach: got -5"),
    "too many": (changed("people", 1, 20_000), {"population": "all"}, "of a population"),
    "half": (table(), {"media": {"Video": {"reach": "people", "spend": "cost"}}}, "only"),
    "no money": (
        table(), {"media": {"Video": {"reach": "people", "frequency": "times"}}},
        "organic = true if Video is free",
    ),
    "both": (table(), {"media": {"Video": VIDEO | {"column": "tv"}}}, "got "),
    "unknown": (table(), {"media": {"Video": VIDEO | {"frequency": "time"}}}, '"times"?'),
    "twice": (table(), {"media": MEDIA | {"More": "people"}}, "used once"),
}  # fmt: skip


@pytest.mark.parametrize("df, more, said", WRONG.values(), ids=list(WRONG))
def test_what_is_wrong_is_named(df, more, said):
    with pytest.raises(mm.InputError, match="Fix:") as error:
        panel_of(df, **more)
    assert said in str(error.value)


def test_reach_that_costs_nothing_is_found_or_organic():
    df = changed("cost", 1, 0.0)
    assert df.loc[1, "people"] > 0
    assert "unpaid" in {finding.code for finding in warnings(panel_of(df))}
    free = {"reach": "people", "frequency": "times", "organic": True}
    assert panel_of(df, {"TV": "tv", "Video": free}).organic == ("Video",)


def test_the_equation_against_loops():
    """effect = beta adstock(reach h(f) / h(usual) usual), impressions of one unit."""
    panel = panel_of(geos=2)
    spec = shared(SPEC)
    scale = scale_of(spec, panel)
    inputs = jax.tree.map(jnp.asarray, response.make_inputs(spec, panel, scale))
    p = {"saturation_beta": [0.3], "saturation_lam": [1.0], "adstock_alpha": [0.5]}
    p |= {"video.saturation_beta": [0.7], "video.adstock_alpha": [0.4]}
    p |= {"video.frequency_kappa": [2.5], "video.frequency_slope": [1.7]}
    p = draw(spec, panel) | {name: jnp.asarray(x) for name, x in p.items()}
    found = np.asarray(response.components(p, inputs, spec)["channel"])[:, 1]
    h = lambda f: f**1.7 / (f**1.7 + 2.5**1.7)
    weights = 0.4 ** np.arange(4)
    weights /= weights.sum()
    df, usual = table(2), panel.usual_frequency()[1]
    for g in range(2):
        rows = df[df["geo"] == f"g{g}"]
        reach, times = rows["people"].to_numpy(), rows["times"].to_numpy()
        for t in range(len(rows)):
            expected = sum(
                weights[lag] * reach[t - lag] * h(times[t - lag]) / h(usual) * usual
                for lag in range(min(4, t + 1))
                if reach[t - lag] > 0
            )
            expected *= 0.7 / scale.media[g, 1]
            np.testing.assert_allclose(found[g, t], expected, rtol=2e-5)


def test_at_the_usual_frequency_it_is_a_channel_on_impressions():
    panel = panel_of()
    usual = np.where(panel.media > 0, panel.usual_frequency(), np.nan)
    even = dataclasses.replace(panel, frequency=usual)
    linear = mm.terms.Media("video", ["Video"], mm.adstock.Geometric(4),
                            mm.saturation.NoSaturation())  # fmt: skip
    plain = dataclasses.replace(SPEC, terms=(linear,), priors={})
    data = [prepare(spec, even).data for spec in (SPEC, plain)]
    one = draw(shared(SPEC), panel)
    means = [
        response.mean(one, jax.tree.map(jnp.asarray, d.inputs), shared(spec))
        for d, spec in zip(data, (SPEC, plain), strict=True)
    ]
    np.testing.assert_allclose(means[0], means[1], rtol=1e-5)
    hyper = [d.hyper["video.saturation_beta"] for d in data]  # the prior of returns too
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-12), *hyper)


def test_a_market_with_more_channels_has_no_nan(x64):
    panel = panel_of(media={"Video": VIDEO})
    spec = shared(mm.Spec(seasonality=None, terms=(mm.terms.Reach("channel"),)))
    wide = model_data(spec, panel, scale_of(spec, panel)).widened(spec, {"channel": 2})
    p = draw(spec, panel)
    p = {n: np.full(2, 0.5) if x.shape == (1,) else x for n, x in p.items()}
    inputs = jax.tree.map(jnp.asarray, wide.inputs)
    slope = jax.grad(lambda p: response.mean(p, inputs, spec).sum())(p)
    assert all(np.isfinite(x).all() for x in jax.tree.leaves(slope))


def test_a_term_of_reach_needs_columns_and_columns_are_told_of():
    term = mm.terms.Reach("own", ["TV"])
    with pytest.raises(mm.InputError, match='"TV" without reach and frequency') as error:
        prepare(mm.Spec(terms=(term,)), panel_of())
    assert 'media "TV" = { reach = "people", frequency = "times"' in str(error.value)
    plain = prepare(mm.Spec(seasonality=None), panel_of()).findings
    (told,) = (f for f in plain if f.code == "frequency_unused")
    assert '"Video" = { kind = "reach" } under [model.channels]' in told.remedy
    said = {"adstock": {"max_lag": 3}, "saturation": {"kind": "hill"}}
    own = mm.Spec.from_dict({**said, "channels": {"Video": {"kind": "reach"}}})
    assert own.media[1].saturation == mm.saturation.NoSaturation()
    assert own.media[1].adstock == mm.adstock.Geometric(3)
    assert mm.Spec.from_toml(own.to_toml()) == own
    assert not [f for f in prepare(own, panel_of()).findings if f.code == told.code]
    graph = str(mm.structure(own, panel_of()))
    assert "video.exposures = Exposures(video.media, video.frequency_kappa" in graph


@pytest.mark.slow
def test_everything_downstream(fit, split, tmp_path):
    train, test = split
    parts = mm.contributions(fit).sel(summary="mean")
    whole = parts["baseline"] + parts["channel_contribution"].sum("channel")
    np.testing.assert_allclose(whole, parts["mu"], rtol=1e-6)
    rows = mm.tables.channels(fit).query("geo == 'ALL'").set_index("channel")
    assert (rows["roas_mean"] > 0).all()
    assert rows.loc["Video", "spend"] == pytest.approx(train.spend[..., 1].sum())
    mm.save(fit, tmp_path / "fit.nc")
    again = mm.load(tmp_path / "fit.nc")
    assert again.spec == fit.spec
    assert again.panel.reached == ("Video",)
    np.testing.assert_array_equal(mm.roas(again)["roas"], mm.roas(fit)["roas"])
    often = test.frequency * 3
    more = mm.predict(fit, dataclasses.replace(test, frequency=often))["outcome"]
    assert (more.mean() < mm.predict(again, test)["outcome"].mean()).item()
    mm.report(fit, tmp_path / "report.html", test=test)
    assert "frequency_kappa" in (tmp_path / "report.html").read_text()
    rules = {"folds": 1, "horizon": 6, "least": 30, "baselines": False}
    found = mm.backtest(SPEC, panel_of(), mm.HMC(**QUICK), **rules, progress=False)
    assert np.isfinite(found.scores["crps"].sel(model="mmm")).all()


@pytest.mark.slow
def test_money_buys_reach_at_the_usual_frequency(fit, split):
    """What a plan says money brings is what a forecast of the reach it buys brings."""
    train, _ = split
    plan = mm.optimize(fit, periods=6, carry_in="history")
    assert plan.certified
    table_ = train.to_frame().iloc[:6].drop(columns="sales")
    table_["week"] = pd.date_range(train.dates[-1], periods=7, freq=train.freq)[1:]
    usual, cost = train.usual_frequency()[1], train.cost_per_unit()[0, 1]

    def outcome(money):
        table_["tv"], table_["cost"] = money[0] / 6, money[1] / 6
        table_["times"], table_["people"] = usual, money[1] / 6 / cost / usual
        ahead = train.read_future(table_)
        found = mm.contributions(fit, ahead)["channel_total"]
        return float(found.mean(("chain", "draw")).sum())

    both = [side.to_numpy()[0] for side in (plan.optimized, plan.reference)]
    gain = outcome(both[0]) - outcome(both[1])
    found = mm.forecast_plan(fit, plan, noise=False)
    assert gain == pytest.approx(float(found["gain_mean"]), rel=1e-4)


@pytest.mark.slow
def test_a_fleet_has_it():
    markets = {name: panel_of(table(seed=k)) for k, name in enumerate("ab")}
    fleet = mm.fit_fleet(SPEC, markets, mm.HMC(**QUICK), refit=False, progress=False)
    roas = fleet.channels.set_index("channel").loc["Video", "roas_mean"]
    assert np.isfinite(roas).all()
