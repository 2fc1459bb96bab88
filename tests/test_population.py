"""Population: media per head, in training, in forecasts, curves and plans."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
import pytest

import mmmjax as mm
from mmmjax.backtesting.folds import padded
from mmmjax.budget.horizon import Form, make_window, response_of
from mmmjax.posterior.scope import Scope
from mmmjax.prepare import prepare, scale_of
from mmmjax.response import make_inputs
from mmmjax.scaling import Scale
from mmmjax.spec import Spec
from tests.fits import make_fit

LAG, WEEKS = 3, 30
GEOS = ("north", "south", "east")
SIZE = {"north": 5e6, "south": 2e5, "east": 1e6}
NAMES = {"date": "week", "outcome": "sales", "geo": "geo", "population": "people",
         "media": ["tv", "radio"], "spend": {"tv": "cost", "radio": "radio"}}  # fmt: skip


def table(growth=0.01, weeks=WEEKS):
    """Geos of three sizes; the first grows by `growth` a week."""
    rng = np.random.default_rng(3)
    rows = [
        {"geo": geo, "week": week, "sales": SIZE[geo] / 1e3 * rng.uniform(1, 2),
         "tv": SIZE[geo] * rng.gamma(2.0), "radio": SIZE[geo] / 1e2 * rng.gamma(2.0)}
        for geo in GEOS
        for t, week in enumerate(pd.date_range("2022-01-03", periods=weeks, freq="7D"))
    ]  # fmt: skip
    df = pd.DataFrame(rows)
    grown = 1 + growth * np.tile(np.arange(weeks), 3) * (df.geo == "north")
    df["people"] = df.geo.map(SIZE) * grown
    return df.assign(cost=df.tv * 0.02 * rng.uniform(0.9, 1.1, len(df)))


def panel(growth=0.01, weeks=WEEKS, **change):
    return mm.Panel.from_frame(table(growth, weeks), **(NAMES | change))


def spec(**change):
    return Spec(adstock=mm.adstock.Geometric(max_lag=LAG), seasonality=None, **change)


def fit_of(the_panel, **change):
    ready = prepare(spec(**change), the_panel)
    made = make_fit(1, 3, spec=ready.spec, panel=ready.panel)
    return dataclasses.replace(made, scale=ready.scale)


def by_hand(df, geo, channel, week, largest):
    """Scaled media of one cell: per head, over the largest per head of all."""
    row = df[(df.geo == geo) & (df.week == week)].iloc[0]
    return row[channel] / row.people / largest[channel]


def largest_per_head(df):
    """By channel: each geo's largest, one outlier apart, and the largest of these."""
    out = {}
    for channel in ("tv", "radio"):
        best = []
        for geo in GEOS:
            own = df[df.geo == geo]
            values = sorted(x / p for x, p in zip(own[channel], own.people, strict=True))
            best.append(values[-2] if values[-1] >= 2.5 * values[-2] else values[-1])
        out[channel] = max(best)
    return out


@pytest.mark.parametrize("growth", [0.0, 0.01])
def test_media_per_head_in_scaled_units(growth):
    df, the_panel = table(growth), panel(growth)
    ready = prepare(spec(), the_panel)
    assert (ready.spec.media_scale, ready.spec.outcome_scale) == ("population", "geo")
    largest, got = largest_per_head(df), ready.data.inputs["media"]
    for g, geo in enumerate(GEOS):
        for c, channel in enumerate(("tv", "radio")):
            for t, week in enumerate(the_panel.dates):
                expected = by_hand(df, geo, channel, week, largest)
                assert got[g, c, t] == pytest.approx(expected, rel=1e-12)
    assert (the_panel.population.ndim == 1) == (growth == 0)
    means = [df[df.geo == geo].people.mean() for geo in GEOS]
    np.testing.assert_allclose(ready.scale.people, means, rtol=1e-12)


def test_an_outlier_of_media_per_head_moves_no_unit():
    df = table(0.0)
    df.loc[7, "tv"] *= 1e3
    largest = largest_per_head(df)
    scale = scale_of(spec(), mm.Panel.from_frame(df, **NAMES))
    np.testing.assert_allclose(
        scale.media[:, 0], [largest["tv"] * SIZE[g] for g in GEOS], rtol=1e-12
    )


def test_what_the_default_is_follows_the_panel():
    several, bare = panel(), panel(population=None)
    one, plain = several.select("south"), bare.select("south")
    for the_panel, outcome, media in (
        (several, "geo", "population"), (bare, "geo", "geo"), (one, "auto", "auto"),
        (plain, "auto", "auto"),
    ):  # fmt: skip
        found = prepare(spec(), the_panel).spec
        assert (found.outcome_scale, found.media_scale) == (outcome, media)
    asked = spec(outcome_scale="shared", media_scale="shared")
    assert prepare(asked, several).spec == asked
    then, now = Scale.fit(plain), prepare(spec(), plain).scale
    for name in ("outcome", "media", "cost_per_unit"):
        assert np.array_equal(getattr(then, name), getattr(now, name))
    alike = prepare(spec(), one).data.inputs["media"]
    assert np.array_equal(alike, prepare(spec(), plain).data.inputs["media"])
    with pytest.raises(mm.InputError, match='population = "column" under \\[data\\]'):
        prepare(spec(media_scale="population"), bare)


def test_one_geo_that_grows_can_have_media_per_head():
    one = panel().select("north")
    found = prepare(spec(media_scale="population"), one).data.inputs["media"][0, 0]
    heads = one.media[0, :, 0] / one.people[0]
    np.testing.assert_allclose(found, heads / heads.max(), rtol=1e-12)


def test_forecasts_take_the_people_that_are_given_or_the_last_known():
    df, train = table(weeks=WEEKS + 4), panel()
    fit, later = fit_of(train), table(weeks=WEEKS + 4)
    later = later[later.week > train.dates[-1]].drop(columns="sales")
    largest = largest_per_head(table())
    whole = panel(weeks=WEEKS + 4)
    split = whole.split(train.dates[-1])[1]
    given = train.read_future(later)
    last = train.read_future(later.drop(columns="people"))
    for future, people in (
        (split, None), (given, None),
        (last, {g: df[(df.geo == g) & (df.week == train.dates[-1])].people.item()
                for g in GEOS}),
    ):  # fmt: skip
        found = Scope.of(fit, future).inputs["media"]
        for g, geo in enumerate(GEOS):
            for t, week in enumerate(future.dates):
                row = df[(df.geo == geo) & (df.week == week)].iloc[0]
                heads = row.people if people is None else people[geo]
                expected = row.tv / heads / largest["tv"]
                assert found[g, 0, LAG - 1 + t] == pytest.approx(expected, rel=1e-12)
    np.testing.assert_array_equal(
        make_inputs(fit.spec, split, fit.scale, after=train)["media"],
        Scope.of(fit, split).inputs["media"],
    )
    both = Scope.of(fit).then(Scope.of(fit, split)).panel
    np.testing.assert_array_equal(both.people, whole.people)


def one_cell(fit, draw, geo, channel, levels):
    """Effect of a course of scaled media in one cell and draw, outcome units."""
    own = {n: np.asarray(fit.draws.params[n][0, draw]) for n in
           ("adstock_alpha", "saturation_lam", "saturation_beta")}  # fmt: skip
    alpha, lam, beta = (own[n][channel] for n in own)
    weights = [alpha**k for k in range(LAG)]
    total = 0.0
    for t in range(len(levels) + LAG - 1):
        carried = sum(
            w * levels[t - k] for k, w in enumerate(weights) if 0 <= t - k < len(levels)
        )
        total += beta * np.tanh(lam * carried / sum(weights) / 2)
    return total * fit.scale.outcome[geo]


def test_a_plan_buys_media_for_the_people_of_the_last_week():
    fit, df = fit_of(panel()), table()
    largest, money, periods = largest_per_head(df), 1e5, 4
    costs = [fit.scale.cost_per_unit[..., None]]
    window = make_window([fit], periods, "zero", costs)
    respond = response_of(window, Form(fit.spec.structure()))
    with jax.enable_x64(True):
        found = np.asarray(respond(jnp.full(6, money)))
    for g, geo in enumerate(GEOS):
        own = df[df.geo == geo]
        for c, channel in enumerate(("tv", "radio")):
            price = own.cost.sum() / own.tv.sum() if channel == "tv" else 1.0
            heads = own.people.iloc[-1]
            level = money / periods / price / heads / largest[channel]
            for draw in range(3):
                expected = one_cell(fit, draw, g, c, [level] * periods)
                assert found[draw, 2 * g + c] == pytest.approx(expected, rel=1e-5)


def test_curves_are_for_the_people_of_the_last_week():
    fit, df = fit_of(panel()), table()
    largest, found = largest_per_head(df), mm.curves(fit, points=3)
    for g, geo in enumerate(GEOS):
        heads = df[df.geo == geo].people.iloc[-1]
        level = float(found["media"].sel(geo=geo, channel="tv")[2]) / heads / largest["tv"]
        draws = [
            fit.scale.outcome[g]
            * fit.draws.params["saturation_beta"][0, d, 0]
            * np.tanh(fit.draws.params["saturation_lam"][0, d, 0] * level / 2)
            for d in range(3)
        ]
        got = float(found["response"].sel(summary="mean", geo=geo, channel="tv")[2])
        assert got == pytest.approx(np.mean(draws), rel=1e-5)


@pytest.mark.parametrize("growth", [0.0, 0.01])
def test_a_fit_is_saved_with_its_people(growth, tmp_path):
    fit = fit_of(panel(growth))
    again = mm.load(mm.save(fit, tmp_path / "f.nc"))
    assert np.array_equal(again.panel.people, fit.panel.people)
    assert np.array_equal(again.scale.people, fit.scale.people)
    assert again.panel.data_hash() == fit.panel.data_hash()
    assert np.array_equal(again.inputs()["media"], fit.inputs()["media"])


def test_a_population_goes_with_its_rows():
    df = table()
    whole = mm.Panel.from_frame(df, **NAMES)
    back = mm.Panel.from_frame(whole.to_frame(), **NAMES)
    assert back.data_hash() == whole.data_hash() != panel(0.0).data_hash()
    late = df.drop(index=[0, 1, WEEKS, WEEKS + 1])  # two weeks that north and south lack
    people = mm.Panel.from_frame(late, **NAMES).people
    assert (people[0, :2] == people[0, 2]).all()
    assert (people[1] == SIZE["south"]).all()
    wide = padded(whole, 2, WEEKS + 3)
    assert (wide.people[:, :2] == whole.people[:, :1]).all()
    assert (wide.people[:, -3:] == whole.people[:, -1:]).all()
    train, test = whole.split(whole.dates[19])
    assert np.array_equal(np.concatenate([train.people, test.people], 1), whole.people)
    assert np.array_equal(whole.select(["east"]).people, whole.people[2:])


def test_the_drawn_model_says_that_media_are_per_head():
    said = str(mm.structure(spec(), panel()))
    assert "outcome / its largest training value in the geo, one outlier apart" in said
    assert "media / its largest training value per head, one outlier apart" in said
    assert "media / its largest training value in the geo" not in said
