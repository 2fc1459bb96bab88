"""Months as long as they are: everything against loops over months with their days."""

import calendar
from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
import pytest

import mmmjax as mm
from mmmjax import response
from mmmjax.budget.horizon import Form, make_window, response_of
from mmmjax.cli.app import run
from mmmjax.posterior.scope import Scope
from mmmjax.prepare import prepare
from mmmjax.response import make_inputs
from tests.fits import make_fit

LAG, MONTHS, AHEAD = 3, 26, 7
CARRY = mm.adstock.Geometric(max_lag=LAG)
LAWS = {
    "normal": mm.likelihood.Normal(),
    "log": mm.likelihood.Normal(link="log"),
    "counts": mm.likelihood.NegativeBinomial(),
    "log counts": mm.likelihood.Poisson(link="log"),
}


def days_of(dates, freq="MS"):
    """Days of months, or of quarters."""
    several = 3 if freq == "QS" else 1
    months = [[(d.month - 1 + k) % 12 + 1 for k in range(several)] for d in dates]
    return np.array(
        [
            sum(calendar.monthrange(d.year, m)[1] for m in of)
            for d, of in zip(dates, months, strict=True)
        ]
    )


def table(periods=MONTHS, geos=("a", "b"), start="2022-11-01", freq="MS", seed=0):
    rng, dates = (
        np.random.default_rng(seed),
        pd.date_range(start, periods=periods, freq=freq),
    )
    return pd.concat(
        pd.DataFrame(
            {
                "date": dates,
                "geo": geo,
                "sales": rng.integers(50, 150, periods).astype(float),
                "TV": rng.gamma(2.0, 1e3, periods),
                "Search": rng.gamma(2.0, 20.0, periods),
            }
        )
        for geo in geos
    )


def panel_of(frame, **change):
    named = {"date": "date", "outcome": "sales", "media": ["TV", "Search"], "geo": "geo"}
    return mm.Panel.from_frame(frame, **named | change)


def spec_of(**change):
    usual = {"adstock": CARRY, "seasonality": None}
    return mm.Spec(**usual | {"per_day": True} | change)


def made(law="normal", **change):
    spec = spec_of(likelihood=LAWS[law], **change)
    fit = make_fit(spec=spec, panel=panel_of(table()), draws=2, dtype=np.float64)
    params = dict(fit.draws.params)
    if "y_growth" in params:
        params["y_growth"] = params["y_growth"] * 0 + 0.5
    return replace(fit, draws=replace(fit.draws, params=params))


def one_draw(fit, number=0):
    at = divmod(number, fit.draws.n_draws)
    return {name: values[at] for name, values in fit.draws.params.items()}


def effects(p, spent, unit, length):
    """Loops: effects (geo, channel, month) a mean month, of money (geo, channel, month)."""
    weight = [[a**k for k in range(LAG)] for a in p["adstock_alpha"]]
    out = np.zeros(spent.shape)
    for g, c, t in np.ndindex(*spent.shape):
        carried = 0.0
        for k in range(min(LAG, t + 1)):
            rate = spent[g, c, t - k] / unit[g, c] / length[t - k]
            carried += weight[c][k] / sum(weight[c]) * rate
        e = np.exp(-p["saturation_lam"][c] * carried)
        out[g, c, t] = p["saturation_beta"][c] * (1 - e) / (1 + e)
    return out


def world(fit, spent, length, number=0):
    """Loops: the mean (geo, month), and what channels bring alone (geo, channel, month)."""
    p, (geos, channels, months) = one_draw(fit, number), spent.shape
    found = effects(p, spent, fit.scale.media, length)
    mean, alone = np.zeros((geos, months)), np.zeros(spent.shape)
    straight = fit.spec.likelihood.link == "identity"
    of = (lambda x: x) if straight else np.exp
    for g, t in np.ndindex(geos, months):
        unit = fit.scale.outcome[g] * length[t]
        whole = p["intercept"] + found[g, :, t].sum()
        mean[g, t] = unit * of(whole)
        for c in range(channels):
            alone[g, c, t] = unit * (of(whole) - of(whole - found[g, c, t]))
    return mean, alone


def in_jax(inputs):
    return jax.tree.map(jnp.asarray, inputs)


def money_of(panel):
    return np.swapaxes(panel.spend, 1, 2)


@pytest.mark.slow(parts=6)
@pytest.mark.usefixtures("x64")
@pytest.mark.parametrize("law", LAWS)
def test_the_mean_is_that_of_loops_over_months_and_parts_add_up_to_it(law):
    fit = made(law)
    days = days_of(fit.panel.dates)
    mean, alone = world(fit, money_of(fit.panel), days / days.mean())
    p, inputs, unit = one_draw(fit), in_jax(fit.inputs()), fit.scale.outcome[:, None]
    np.testing.assert_allclose(response.level(p, inputs, fit.spec) * unit, mean, rtol=1e-9)
    parts = response.parts(p, inputs, fit.spec)
    np.testing.assert_allclose(response.total(parts) * unit, mean, rtol=1e-9)
    if law in ("normal", "counts"):
        found = parts["channel"] * unit[..., None]
        np.testing.assert_allclose(found, alone, rtol=1e-9)
    gains = response.gains(p, inputs, fit.spec)(response.seen(p, inputs, fit.spec))
    np.testing.assert_allclose(gains * unit[..., None], alone, rtol=1e-9, atol=1e-12)
    long = mm.contributions(fit, total=False)["mu"]
    every = [world(fit, money_of(fit.panel), days / days.mean(), i)[0] for i in range(4)]
    got = long.sel(summary="mean").transpose("geo", "date")
    np.testing.assert_allclose(got, np.mean(every, 0), rtol=1e-5)


@pytest.mark.usefixtures("x64")
@pytest.mark.parametrize("law", ["normal", "log"])
def test_returns_are_of_money_and_count_the_days_of_months_after_the_window(law):
    fit, tail = made(law), LAG - 1
    dates = pd.date_range(fit.panel.dates[0], periods=MONTHS + tail, freq="MS")
    days = days_of(dates)
    length = days / days[:MONTHS].mean()
    spent = np.pad(money_of(fit.panel), [(0, 0), (0, 0), (0, tail)])
    _, alone = world(fit, spent, length)
    if law == "log":  # after the window all else is its mean of a mean month
        p, found = one_draw(fit), effects(one_draw(fit), spent, fit.scale.media, length)
        for g, c in np.ndindex(2, 2):
            rest = p["intercept"] + found[g, 1 - c, :MONTHS]
            usual = np.mean(np.exp(rest))
            for t in range(MONTHS, MONTHS + tail):
                more = fit.scale.outcome[g] * length[t] * usual
                alone[g, c, t] = more * np.expm1(found[g, c, t])
    got = mm.roas(fit).isel(chain=0, draw=0)
    want = alone.sum(-1) / spent.sum(-1)
    np.testing.assert_allclose(got["roas"], want, rtol=1e-5)


@pytest.mark.usefixtures("x64")
@pytest.mark.parametrize("law", ["normal", "log counts"])
def test_forecasts_of_months_have_their_own_days(law):
    fit = made(law)
    late = table(AHEAD, start="2025-01-01", seed=1).drop(columns="sales")
    after = fit.panel.read_future(late)
    dates = fit.panel.dates.append(after.dates)
    days = days_of(dates)
    spent = np.concatenate([money_of(fit.panel), money_of(after)], -1)
    mean, _ = world(fit, spent, days / days[:MONTHS].mean())
    inputs = make_inputs(fit.spec, after, fit.scale, after=fit.panel)
    level = response.level(one_draw(fit), in_jax(inputs), fit.spec)
    got = np.asarray(level) * fit.scale.outcome[:, None]
    np.testing.assert_allclose(got, mean[:, MONTHS:], rtol=1e-9)
    joined = in_jax(fit.inputs().then(inputs))
    whole = response.level(one_draw(fit), joined, fit.spec) * fit.scale.outcome[:, None]
    np.testing.assert_allclose(whole, mean, rtol=1e-9)
    padded = in_jax(inputs.padded(inputs.history + 2, AHEAD + 4))
    level = np.asarray(response.level(one_draw(fit), padded, fit.spec))[:, :AHEAD]
    np.testing.assert_allclose(
        level * fit.scale.outcome[:, None], mean[:, MONTHS:], rtol=1e-9
    )


@pytest.mark.usefixtures("x64")
@pytest.mark.parametrize("carry_in", ["zero", "history"])
@pytest.mark.parametrize("law", ["normal", "log"])
@pytest.mark.parametrize("free", [False, True])
def test_a_plan_brings_what_loops_over_its_months_bring(law, free, carry_in):
    fit, tail = made(law, adstock_first=True), LAG - 1
    prices = fit.scale.cost_per_unit[:, fit.panel.paid, None]
    window = make_window([fit], AHEAD, carry_in, [prices], free=free)
    form = Form(fit.spec.structure(), free_periods=AHEAD * free)
    rng = np.random.default_rng(2)
    money = rng.gamma(2.0, 500.0, (2, 2, AHEAD))
    if not free:
        money[:] = money[..., :1]
    given = money.ravel() if free else money.sum(-1).ravel()
    got = np.asarray(response_of(window, form)(jnp.asarray(given)))[0].reshape(2, 2)
    every = MONTHS + AHEAD + tail
    dates = pd.date_range(fit.panel.dates[0], periods=every, freq="MS")
    days = days_of(dates)
    length = days / days[:MONTHS].mean()
    before = money_of(fit.panel) * (carry_in == "history")
    spent = np.concatenate([before, money, np.zeros((2, 2, tail))], -1)
    idle = np.concatenate([before, 0 * money, np.zeros((2, 2, tail))], -1)
    rise = world(fit, spent, length)[0] - world(fit, idle, length)[0]
    if law == "normal":
        p, unit = one_draw(fit), fit.scale.outcome[:, None, None] * length
        more = effects(p, spent, fit.scale.media, length)
        more = (more - effects(p, idle, fit.scale.media, length)) * unit
        np.testing.assert_allclose(got, more[..., MONTHS:].sum(-1), rtol=1e-9)
    elif carry_in == "history":  # what the past brings is in both
        np.testing.assert_allclose(got.sum(1), rise[:, MONTHS:].sum(-1), rtol=1e-6)


@pytest.mark.slow(parts=6)
def test_a_plan_is_certified_and_its_forecast_has_its_gain():
    fit = made()
    plan = mm.optimize(fit, periods=AHEAD, budget=5e4, carry_in="history")
    assert plan.gap_bound is not None
    assert plan.gap_bound < 1e-5 * float(plan.response.sel(plan="optimized").mean())
    ahead = mm.forecast_plan(fit, plan)
    found = mm.evaluate(fit, {"now": None, "plan": plan}, periods=AHEAD)
    assert float(ahead["gain_mean"]) > 0
    assert np.isfinite(found["response_mean"]).all()
    free = mm.optimize(fit, periods=AHEAD, budget=5e4, flighting="optimal")
    even = mm.optimize(fit, periods=AHEAD, budget=5e4)
    both = [float(x.response.sel(plan="optimized").mean()) for x in (free, even)]
    assert both[0] >= both[1] * (1 - 1e-6)


@pytest.mark.usefixtures("x64")
def test_curves_are_of_a_mean_month():
    fit = made()
    found = mm.curves(fit, points=3, total=False)
    level = np.moveaxis(found["spend"].to_numpy(), -1, 0)
    for i, spend in enumerate(level):
        steady = np.repeat(spend[..., None], LAG, -1)
        each = []
        for number in range(4):
            p = one_draw(fit, number)
            each.append(effects(p, steady, fit.scale.media, np.ones(LAG))[..., -1])
        want = np.mean(each, 0) * fit.scale.outcome[:, None]
        got = found["response"].sel(summary="mean").isel(point=i)
        np.testing.assert_allclose(got, want, rtol=1e-5, atol=1e-9)


@pytest.mark.usefixtures("x64")
def test_an_event_brings_the_same_in_a_short_month_and_a_half_of_a_longer_one():
    event = mm.terms.Events({"day": ["2023-02-10", "2023-03-10"]})
    months = mm.terms.Events({"long": "2023-02-01:2023-03-31"}, name="long")
    fit = made(terms=(event, months))
    p = one_draw(fit)
    parts = response.parts(p, in_jax(fit.inputs()), fit.spec)
    got = np.asarray(jnp.broadcast_to(parts["events"], (2, MONTHS)))[0]
    at = [3, 4]  # February, March
    assert got[at[0]] == pytest.approx(got[at[1]], rel=1e-9)
    assert np.flatnonzero(got).tolist() == at
    long = np.asarray(parts["long"])[0]
    assert long[4] / long[3] == pytest.approx(31 / 28, rel=1e-9)


RICH = {
    "all": {
        "trend": True,
        "seasonality": mm.seasonality.Fourier(1),
        "terms": (
            mm.terms.Drift(basis=4),
            mm.terms.Interaction(["TV", "Search"]),
        ),
    },
    "moving": {
        "terms": (mm.terms.Media(adstock=CARRY, moving=mm.moving.Process(basis=3)),)
    },
    "two families": {
        "terms": (mm.terms.Media("tv", ["TV"], CARRY, mm.saturation.Tanh()),),
        "adstock_first": False,
    },
}


@pytest.mark.usefixtures("x64")
@pytest.mark.parametrize("law", ["normal", "log"])
@pytest.mark.parametrize("name", RICH)
def test_any_term_is_that_of_media_a_day_times_the_days_of_the_month(name, law):
    """The model without days, of media divided by them before, and its parts times them."""
    fit = made(law, **RICH[name])
    p, days = one_draw(fit), days_of(fit.panel.dates)
    length = days / days.mean()
    plain = replace(fit.panel, media=fit.panel.media / length[:, None])
    even = in_jax(make_inputs(fit.spec, plain, replace(fit.scale, days=None)))
    parts = response.parts(p, in_jax(fit.inputs()), fit.spec)
    usual = response.parts(p, even, fit.spec)
    assert list(parts) == list(usual)
    if law == "normal":
        for term, part in parts.items():
            np.testing.assert_allclose(part, usual[term] * length, rtol=1e-9, atol=1e-12)
    for kind in ("channel",):
        wanted = np.asarray(usual[kind]) * length
        np.testing.assert_allclose(parts[kind], wanted, rtol=1e-8, atol=1e-12)
    whole = [response.total(x) for x in (parts, usual)]
    np.testing.assert_allclose(whole[0], whole[1] * length, rtol=1e-9)


def daily_truth(years=8, seed=0, counts=False):
    """Months of a constant daily truth: sales = 100 + 30 tanh of TV a day, TV a day that
    changes little, so that most of what moves TV of a month is its days.
    """
    rng = np.random.default_rng(seed)
    dates = pd.date_range("2016-01-01", periods=12 * years, freq="MS")
    days = days_of(dates)
    daily = rng.uniform(0.97, 1.03, len(dates))
    mean = days * (100 + 30 * daily)
    sales = rng.poisson(mean) if counts else mean + rng.normal(0, 8.0, len(dates))
    frame = pd.DataFrame({"date": dates, "sales": sales * 1.0, "TV": daily * days})
    return frame, days, daily


def test_daily_effects_are_found_and_without_the_days_of_months_they_are_threefold():
    """Least squares first: its slope is the truth, 30, or beyond all days' 130."""
    frame, days, daily = daily_truth()
    slope = lambda x, y: np.polyfit(x, y, 1)[0]
    assert slope(daily, frame.sales / days) == pytest.approx(30, abs=2.0)
    without = slope(frame.TV, frame.sales)
    assert without > 90  # biased towards 130, all that sells on a day
    found = {}
    flat = mm.Prior("HalfNormal", scale=3.0)
    for per_day in (False, True):
        spec = spec_of(
            adstock=mm.adstock.NoAdstock(),
            saturation=mm.saturation.NoSaturation(),
            priors={"saturation_beta": flat},
            per_day=per_day,
        )
        panel = panel_of(frame, media=["TV"], geo=None)
        fit = mm.fit(spec, panel, mm.HMC(chains=4, warmup=150, draws=300), progress=False)
        draws = mm.roas(fit)["roas"].to_numpy().ravel()
        found[per_day] = draws.mean(), draws.std()
    assert found[True][0] == pytest.approx(30, abs=3 * found[True][1])
    assert found[True][1] < 2.0
    assert found[False][0] == pytest.approx(without, rel=0.05)


def test_what_cannot_be_is_refused_and_what_is_is_said():
    spec = spec_of()
    weekly = panel_of(table(60, freq="W-SUN"))
    with pytest.raises(mm.InputError, match="per_day: got true for data that are weekly"):
        prepare(spec, weekly)
    with pytest.raises(mm.InputError, match='per_day: got "yes"'):
        spec_of(per_day="yes")
    told = {f.code: f for f in prepare(spec, panel_of(table())).findings}
    assert "28 to 31 days" in told["per_day"].what
    told = {f.code: f for f in prepare(spec_of(per_day=False), panel_of(table())).findings}
    assert "per_day = true under [model]" in told["unequal_periods"].message
    codes = [f.code for f in prepare(spec_of(per_day=False), weekly).findings]
    assert not {"per_day", "unequal_periods"} & {*codes}
    frame = table(geos=("a",)).assign(times=2.0, cost=5.0)
    frame = frame.assign(people=frame.TV)
    own = {"TV": {"reach": "people", "frequency": "times", "spend": "cost"}}
    reach = panel_of(frame, media={**own, "Search": "Search"}, geo=None)
    term = mm.terms.Reach("tv", ["TV"])
    with pytest.raises(mm.InputError, match='per_day: got "tv" of kind "reach"'):
        prepare(spec_of(terms=(term,)), reach)


@pytest.mark.parametrize("freq", ["ME", "QS"])
def test_dates_at_the_end_and_quarters_have_their_days(freq):
    start = "2023-01-31" if freq == "ME" else "2023-01-01"
    panel = panel_of(table(16, geos=("a",), start=start, freq=freq), geo=None)
    found = prepare(spec_of(), panel)
    days = days_of(panel.dates, freq)
    assert found.scale.days == pytest.approx(days.mean())
    media = found.data.inputs["media"][0, 0]
    rate = panel.media[0, :, 0] / days
    np.testing.assert_allclose(media / media[0], rate / rate[0], rtol=1e-12)


def test_specs_and_fits_come_back(tmp_path):
    spec = spec_of()
    assert mm.Spec.from_toml(spec.to_toml()) == spec
    assert "per_day" not in mm.Spec().to_toml()
    assert hash(spec) != hash(spec_of(per_day=False))
    fit = made()
    again = mm.load(mm.save(fit, tmp_path / "fit.nc"))
    assert again.scale.days == fit.scale.days
    inputs = [x.inputs()["log_days"] for x in (fit, again)]
    np.testing.assert_array_equal(*inputs)
    usual = make_fit(spec=spec_of(per_day=False), panel=fit.panel)
    assert "log_days" not in usual.inputs().values
    back = mm.load(mm.save(usual, tmp_path / "usual.nc"))
    assert back.scale.days is None
    assert Scope.of(again).inputs.axes == fit.inputs().axes


@pytest.mark.slow(parts=6)
def test_later_months_join_and_folds_have_their_own(tmp_path):
    frame = table(32, ("a",))
    panel, later = (panel_of(x, geo=None) for x in (frame[:MONTHS], frame[MONTHS:]))
    spec, sampler = spec_of(), mm.HMC(chains=2, warmup=60, draws=50)
    fit = mm.fit(spec, panel, sampler, progress=False)
    again = mm.refresh(fit, later, progress=False)
    assert again.scale.days == fit.scale.days
    days = days_of(again.panel.dates) / fit.scale.days
    log_days = again.inputs()["log_days"][: len(days)]
    np.testing.assert_allclose(log_days, np.log(days), rtol=1e-6, atol=1e-6)
    found = mm.backtest(spec, again.panel, sampler, folds=2, horizon=3, progress=False)
    assert len(found.scores) > 0


@pytest.mark.slow(parts=6)
def test_a_fleet_has_the_months_of_each_market(tmp_path):
    markets = {n: panel_of(table(m, ("a",), seed=m), geo=None) for n, m in
               (("one", 26), ("two", 30))}  # fmt: skip
    fleet = mm.fit_fleet(
        spec_of(), markets, mm.HMC(chains=2, warmup=60, draws=50), progress=False,
        store=tmp_path / "fleet",
    )  # fmt: skip
    for name, panel in markets.items():
        fit = fleet[name]
        days = days_of(panel.dates)
        assert fit.scale.days == pytest.approx(days.mean())
        alone = fit.inputs()["log_days"][: len(days)]
        np.testing.assert_allclose(alone, np.log(days / days.mean()), atol=1e-6)
    plan = mm.optimize(fleet, periods=3, budget=1e4)
    assert plan.gap_bound is not None


def test_the_case_of_months(tmp_path, capsys):
    frame, _, _ = daily_truth(4)
    frame.to_csv(tmp_path / "months.csv", index=False)
    case = tmp_path / "case.toml"
    text = '[data]\npath = "months.csv"\ndate = "date"\noutcome = "sales"\n'
    text += 'media = ["TV"]\n[model]\nper_day = {}\n'
    for asked, said in (("true", "the model is of amounts a day"), ("false", "per_day =")):
        case.write_text(text.format(asked))
        assert run(["check", str(case)]) == 0
        assert said in " ".join(capsys.readouterr().out.split())
