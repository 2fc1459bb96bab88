"""National media of a geo panel: divided over the geos, counted once, decided once."""

import dataclasses
import json

import numpy as np
import pytest
from scipy.optimize import minimize

import mmmjax as mm
from mmmjax.posterior.scope import Scope
from mmmjax.posterior.tables import channels_table
from mmmjax.prepare import prepare
from mmmjax.store import dumps, loads
from tests.fits import make_fit
from tests.test_population import GEOS, NAMES, WEEKS, spec, table

TV = 0  # the national channel: paid apart from its media
ASK = {"periods": 8, "bounds": (0.3, 2.0)}


def series():
    """What was paid and bought each week, nationally."""
    north = table()[table().geo == "north"]
    return north.tv.to_numpy(), north.cost.to_numpy()


def national(how="rows", weeks=WEEKS, growth=0.01):
    """The table with one series: in every row, in those of one geo, or once a date."""
    df = table(growth, weeks)
    one = df[df.geo == "north"]
    df = df.assign(tv=np.tile(one.tv, 3), cost=np.tile(one.cost, 3))
    if how != "rows":
        turn = {"geo": df.geo == "south", "date": np.tile(np.arange(weeks) % 3, 3)
                == df.geo.map(GEOS.index)}[how]  # fmt: skip
        empty = 0.0 if how == "geo" else np.nan
        df.loc[~turn, ["tv", "cost"]] = empty
    return df


def panel(df=None, **change):
    df = national() if df is None else df
    return mm.Panel.from_frame(df, **(NAMES | {"national": ["tv"]} | change))


def fit_of(the_panel, draws=12, **change):
    ready = prepare(spec(**change), the_panel)
    made = make_fit(1, draws, spec=ready.spec, panel=ready.panel, dtype=np.float64)
    return dataclasses.replace(made, scale=ready.scale)


@pytest.mark.parametrize("people", ["people", None])
@pytest.mark.parametrize("how", ["rows", "geo", "date"])
def test_a_series_is_divided_and_counted_once(how, people):
    df = national(how)
    found = prepare(spec(), panel(df, population=people)).panel
    media, money = series()
    mean = {geo: df[df.geo == geo].sales.mean() for geo in GEOS}
    for t, week in enumerate(found.dates):
        size = mean
        if people:
            size = {g: df[(df.geo == g) & (df.week == week)].people.item() for g in GEOS}
        for g, geo in enumerate(GEOS):
            share = size[geo] / sum(size.values())
            assert found.media[g, t, TV] == pytest.approx(share * media[t], rel=1e-12)
            assert found.spend[g, t, TV] == pytest.approx(share * money[t], rel=1e-12)
        assert found.spend[:, t, TV].sum() == pytest.approx(money[t], rel=1e-14)
    price = found.cost_per_unit()[:, TV]
    np.testing.assert_allclose(price, money.sum() / media.sum(), rtol=1e-12)
    assert len(set(price)) == 1


@pytest.mark.parametrize("people", ["people", None])
def test_the_model_sees_the_same_in_every_geo(people):
    ready = prepare(spec(), panel(population=people))
    seen = ready.data.inputs["media"][:, TV]
    np.testing.assert_allclose(seen, np.broadcast_to(seen[:1], seen.shape), rtol=1e-12)
    media, _ = series()
    heads = table().groupby("week").people.sum().to_numpy() if people else 1.0
    per_head = media / heads
    np.testing.assert_allclose(seen[0], per_head / per_head.max(), rtol=1e-12)


def test_it_is_what_division_by_hand_is():
    df = national()
    share = df.people / df.groupby("week").people.transform("sum")
    by_hand = mm.Panel.from_frame(
        df.assign(tv=df.tv * share, cost=df.cost * share), **NAMES
    )
    one, other = fit_of(panel(df)), fit_of(by_hand)
    other = dataclasses.replace(
        other, scale=dataclasses.replace(other.scale, cost_per_unit=one.scale.cost_per_unit)
    )
    for f in (mm.roas, mm.mroas, mm.contributions, mm.curves):
        ours, theirs = f(one), f(other)
        for name in ours.data_vars:
            np.testing.assert_allclose(ours[name], theirs[name], rtol=1e-7)


def test_returns_are_of_the_money_that_was_paid():
    fit, (_, money) = fit_of(panel()), series()
    parts = mm.contributions(fit)["channel_total"].sel(channel="tv").sum("geo")
    found = mm.roas(fit, carryover=False)
    assert float(found["spend"][:, TV].sum()) == pytest.approx(money.sum(), rel=1e-12)
    expected = parts.to_numpy() / money.sum()
    np.testing.assert_allclose(found["roas_total"][..., TV], expected, rtol=1e-5)
    table = channels_table(fit).set_index(["geo", "channel"]).loc[("ALL", "tv")]
    assert table.spend == pytest.approx(money.sum(), rel=1e-9)


def test_shares_are_those_of_training():
    df = national()
    df.loc[(df.geo == "south") & (df.week > "2022-05-30"), "sales"] *= 50  # held out
    whole = panel(df, population=None)
    train, test = whole.split("2022-05-30")
    ready = prepare(spec(), train)
    early = df[df.week <= "2022-05-30"]
    mean = np.array([early[early.geo == geo].sales.mean() for geo in GEOS])
    shares = mean / mean.sum()
    np.testing.assert_allclose(ready.panel.media[:, 0, TV] / series()[0][0], shares)
    fit = fit_of(train)
    np.testing.assert_allclose(
        Scope.of(fit, test).panel.media[..., TV],
        shares[:, None] * series()[0][None, len(train.dates) :], rtol=1e-12,
    )  # fmt: skip


@pytest.mark.parametrize("how", ["rows", "geo", "date"])
@pytest.mark.parametrize("given", ["both", "cost", "tv"])
def test_a_table_of_the_future_has_one_series_too(how, given):
    later = national(how, WEEKS + 6)
    later = later[later.week > table().week.max()].drop(columns="sales")
    drop = {"both": [], "cost": ["tv"], "tv": ["cost"]}[given]
    fit = fit_of(panel())
    future = fit.panel.read_future(later.drop(columns=drop))
    media, money = later.groupby("week")[["tv", "cost"]].max().to_numpy().T
    price = fit.scale.cost_per_unit[0, TV]
    media, money = (money / price if given == "cost" else media,
                    media * price if given == "tv" else money)  # fmt: skip
    aligned = Scope.of(fit, future).panel
    for got in (future, aligned):
        np.testing.assert_allclose(got.media[..., TV].sum(0), media, rtol=1e-12)
        np.testing.assert_allclose(got.spend[..., TV].sum(0), money, rtol=1e-12)
    seen = Scope.of(fit, future).inputs["media"][:, TV, -6:]
    np.testing.assert_allclose(seen, np.broadcast_to(seen[:1], seen.shape), rtol=1e-12)


def test_what_is_not_one_series_is_refused_with_its_cell():
    df = national()
    df.loc[WEEKS + 2, "tv"] *= 1.01
    with pytest.raises(mm.InputError, match=f"row {WEEKS + 2}|row 2 ") as caught:
        panel(df)
    assert "the same in all rows of a date" in str(caught.value)
    df = national("date").drop(columns="cost")
    df.loc[df.week == df.week[4], "tv"] = np.nan
    with pytest.raises(mm.InputError, match=r"no value of the date.*row 4"):
        panel(df, spend=None)
    with pytest.raises(mm.InputError, match=r'got "TV".*did you mean "tv"'):
        panel(national=["TV"])
    one = national()[national().geo == "north"]
    with pytest.raises(mm.InputError, match="a table with geos"):
        panel(one, geo=None)
    with pytest.raises(mm.InputError, match="got -1"):
        panel(national().assign(tv=-1.0))


def test_a_series_that_never_changes_teaches_nothing():
    with pytest.raises(mm.InputError, match="nothing to learn from"):
        prepare(spec(), panel(national().assign(tv=3e5)))


def test_organic_media_may_be_national():
    found = prepare(spec(), panel(spend={"radio": "radio"})).panel
    assert found.organic == ("tv",)
    np.testing.assert_allclose(found.media[..., TV].sum(0), series()[0], rtol=1e-12)


def test_rows_that_are_missing_get_nothing():
    df = national().drop(index=range(5))  # north opens in the sixth week
    found = prepare(spec(), panel(df)).panel
    assert (found.spend[0, :5, TV] == 0).all()
    np.testing.assert_allclose(found.spend[..., TV].sum(0), series()[1], rtol=1e-12)
    part = found.select(["south"])
    assert part.national == ("tv",)
    np.testing.assert_array_equal(part.spend[0], found.spend[1])


def test_it_is_kept_with_the_fit():
    fit = fit_of(panel())
    again = loads(dumps(fit), "f.nc")
    assert again.panel.national == ("tv",)
    assert again.panel.data_hash() == fit.panel.data_hash()
    bare = dataclasses.replace(fit.panel, national=())
    assert bare.data_hash() != fit.panel.data_hash()
    back = panel(fit.panel.to_frame())
    np.testing.assert_allclose(back.spend, fit.panel.spend, rtol=1e-12)
    notes = prepare(spec(), panel()).notes
    assert any("national: tv" in note and "counted once" in note for note in notes)


# -- plans ---------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def fit():
    return fit_of(panel(national(growth=0.0)))


def shares(fit):
    return fit.panel.population / fit.panel.population.sum()


@pytest.mark.slow(parts=6)
def test_a_plan_has_one_decision_of_the_national_money(fit):
    plan = mm.optimize(fit, **ASK)
    spend, before = plan.optimized.to_numpy(), plan.reference.to_numpy()
    np.testing.assert_allclose(spend[:, TV], shares(fit) * spend[:, TV].sum(), rtol=1e-9)
    assert before[:, TV].sum() == pytest.approx(8 * series()[1].mean(), rel=1e-9)
    assert plan.certified
    each = np.concatenate([[before[:, TV].sum()], before[:, 1]])

    def money(x):
        return np.column_stack([shares(fit) * x[0] * each[0], x[1:] * each[1:]])

    def brought(x):  # an independent search, evaluated as any plan is
        told = mm.evaluate(fit, money(x), periods=8)
        return -float(told.response_mean[1]) / plan.objective

    total = {"type": "eq", "fun": lambda x: x @ each / plan.budget - 1}
    found = minimize(brought, np.ones(4), bounds=[(0.3, 2.0)] * 4, constraints=total,
                     method="SLSQP", options={"eps": 1e-4, "maxiter": 40})  # fmt: skip
    assert -found.fun == pytest.approx(1.0, abs=1e-5)
    free = dataclasses.replace(fit, panel=dataclasses.replace(fit.panel, national=()))
    assert plan.objective < mm.optimize(free, **ASK).objective


def test_a_plan_says_what_is_national(fit):
    plan = mm.optimize(fit, **ASK)
    assert plan.to_dict()["national"] == ["tv"]
    assert json.dumps(plan.to_dict())
    assert '"tv": one decision each' in plan.text()
    known = mm.knowledge(fit, plan)
    best = known.allocation.to_numpy()[0]
    np.testing.assert_allclose(best[:, TV] / best[:, TV].sum(), shares(fit), rtol=1e-6)


@pytest.mark.slow(parts=6)
def test_money_for_a_national_channel_is_one_number(fit):
    whole = 1.2 * float(mm.optimize(fit, **ASK).reference[:, TV].sum())
    held = mm.optimize(fit, periods=8, fixed={"tv": whole}).optimized[:, TV]
    np.testing.assert_allclose(held, whole * shares(fit), rtol=1e-9)
    wide = mm.optimize(fit, periods=8, bounds={"tv": (0.9 * whole, whole)})
    assert 0.9 * whole * (1 - 1e-9) <= wide.optimized[:, TV].sum() <= whole * (1 + 1e-9)
    with pytest.raises(mm.InputError, match=r'national channel "tv".*one number'):
        mm.optimize(fit, periods=8, fixed={"tv": np.array([1.0, 1.0, 1.0])})
    least = mm.constraints.group("tv", at_most=0.8 * whole)
    limited = mm.optimize(fit, **ASK, constraints=[least])
    assert limited.optimized[:, TV].sum() <= 0.8 * whole * (1 + 1e-6)
    weeks = mm.optimize(fit, periods=3, flighting="optimal").spend_by_period[:, TV]
    each = weeks.to_numpy()
    np.testing.assert_allclose(each, shares(fit)[:, None] * each.sum(0), rtol=1e-6)
    both = mm.optimize(fit, **ASK, fixed_geo_split=True).optimized.to_numpy()
    np.testing.assert_allclose(both[:, TV], shares(fit) * both[:, TV].sum(), rtol=1e-9)


@pytest.mark.parametrize("people", ["people", None])
def test_a_plan_is_forecast_as_it_was_promised(people):
    fit = fit_of(panel(population=people))
    plan = mm.optimize(fit, **ASK)
    told = mm.evaluate(fit, plan)
    assert float(told.response_mean[1]) == pytest.approx(plan.objective, rel=1e-9)
    ahead = mm.forecast_plan(fit, plan, noise=False)
    assert float(ahead.spend.sel(plan="optimized", channel="tv").sum()) == pytest.approx(
        float(plan.optimized[:, TV].sum()), rel=1e-9
    )
    nothing = dataclasses.replace(plan, optimized=0 * plan.optimized,
                                  spend_by_period=0 * plan.spend_by_period)  # fmt: skip
    empty = mm.forecast_plan(fit, nothing, noise=False)
    gain = float(
        ahead.total_mean.sel(plan="optimized") - empty.total_mean.sel(plan="optimized")
    )
    assert 0 < gain < plan.objective * (1 + 1e-6)  # without its effect after the window
