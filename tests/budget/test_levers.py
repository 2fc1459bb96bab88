"""Levers beside media against brute force, their proof, and what is refused."""

import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from scipy.optimize import minimize

import mmmjax as mm
from mmmjax.budget.outcome import forecast_plan
from mmmjax.checks import InputError
from mmmjax.cli.app import run
from mmmjax.panel import Panel
from mmmjax.spec import Spec
from mmmjax.terms import Controls
from tests.fits import make_fit
from tests.reference import budget as oracle

PERIODS, UNIT = 6, 1.1
PRICE = {"price": {"kind": "price", "unit_cost": UNIT, "range": [1.4, 3.5]}}
POINTS = {"points": {"kind": "cost", "cost": 2.0, "range": [40.0, 80.0]}}
PROMO = {"promo": {"kind": "discount", "unit_cost": UNIT, "range": [0.0, 0.4]}}


def fit_of(draws=20, chains=1, value=0.9):
    """Pieces that sell less at a price, more in a promotion and with distribution."""
    rng = np.random.default_rng(5)
    weeks = pd.date_range("2022-01-02", periods=24, freq="W")
    frame = pd.DataFrame({"week": weeks, "units": rng.uniform(500, 1000, 24)})
    frame["TV"], frame["Radio"] = rng.gamma(2.0, 40, 24), rng.gamma(2.0, 20, 24)
    frame["rain"], frame["price"] = rng.normal(1.0, 1.0, 24), rng.uniform(1.8, 2.4, 24)
    frame["promo"], frame["points"] = rng.uniform(0, 0.3, 24), rng.uniform(50, 70, 24)
    panel = Panel.from_frame(
        frame, date="week", outcome="units", media=["TV", "Radio"], currency="EUR",
        controls=["rain", "price", "promo", "points"], outcome_value=value,
    )  # fmt: skip
    levers = Controls(levers={"price": "mean", "promo": 0.0, "points": "first"})
    spec = Spec(mm.adstock.Geometric(max_lag=3), seasonality=None, terms=(levers,))
    middle = np.array([0.05, -0.35, 3.0, 0.004])
    size = (chains, draws, 4)
    gamma = rng.normal(middle, 0.1 * np.abs(middle), size)
    level = rng.normal(0.6, 0.02, (chains, draws))
    beta = rng.gamma(4.0, 0.12, (chains, draws, 2))
    changed = {"gamma_control": gamma, "intercept": level, "saturation_beta": beta}
    return make_fit(chains, draws, spec, panel, 3, np.float64, **changed)


def world(fit, kinds):
    """Profit of (levers, spend) by loops over draws and periods, mean over draws."""
    panel, flat, unit = fit.panel, fit.flat(), fit.scale.outcome[0]
    names, lag = list(panel.control_names), fit.spec.adstock.max_lag
    media = (panel.media[0] / fit.scale.media[0]).T
    rain = panel.controls[0, :, 0].mean()
    respond, level, gammas = oracle.separable(fit, PERIODS), 0.0, np.zeros(4)
    count = len(flat["intercept"])
    for d in range(count):
        for _ in range(PERIODS):
            level += (flat["intercept"][d] + flat["gamma_control"][d, 0] * rain) * unit
        for c in range(2):
            alpha, lam, beta = (
                flat[n][d, c]
                for n in ("adstock_alpha", "saturation_lam", "saturation_beta")
            )
            x = np.concatenate([media[c, -lag + 1 :], np.zeros(PERIODS)])
            late = np.tanh(lam * oracle.carried(x, alpha, lag) / 2)[lag - 1 :]
            level += beta * late.sum() * unit
        gammas += flat["gamma_control"][d] * unit * PERIODS / count
    level /= count
    base = {n: panel.controls[0, :, i] for i, n in enumerate(names)}
    base = {"price": base["price"].mean(), "promo": 0.0, "points": base["points"][0]}

    def profit(values, spend):
        values = {n: panel.controls[0, -1, names.index(n)] for n in base} | values
        outcome = level + respond(spend[None])[0].sum()
        for n, x in values.items():
            outcome += gammas[names.index(n)] * (x - base[n])
        full = values["price"] if "price" in kinds else panel.outcome_value + UNIT
        full *= 1 - (values["promo"] if "promo" in kinds else 0.0)
        cost = UNIT if {"price", "promo"} & set(kinds) else 0.0
        full -= 0.0 if {"price", "promo"} & set(kinds) else UNIT
        paid = kinds.get("points", {}).get("cost", 0.0) * values["points"] * PERIODS
        return (full - cost) * outcome - spend.sum() - paid

    return profit


def brute(profit, kinds, plan, free):
    """The best of a grid of the levers with media by SciPy, then all of it by SciPy."""
    names = list(kinds)
    ends = np.array([kinds[n]["range"] for n in names])
    box = np.stack([plan.lower.to_numpy()[0], plan.upper.to_numpy()[0]], 1)
    total = float(plan.budget)

    def worth(z):
        return -profit(dict(zip(names, z[: len(names)], strict=True)), z[len(names) :])

    rule = [] if free else [{"type": "eq", "fun": lambda z: z[-2:].sum() / total - 1}]
    best, at = np.inf, None
    for shares in np.stack(np.meshgrid(*[np.linspace(0, 1, 3)] * len(names)), -1).reshape(
        -1, len(names)
    ):
        x = ends[:, 0] + shares * (ends[:, 1] - ends[:, 0])
        start = np.concatenate([x, plan.reference.to_numpy()[0]])
        found = minimize(
            worth, start, method="SLSQP", bounds=[*ends, *box], constraints=rule,
            options={"ftol": 1e-13, "maxiter": 100},
        )  # fmt: skip
        if found.fun < best:
            best, at = found.fun, found.x
    return -best, at


@pytest.mark.parametrize("utility", ["mean_response", "profit"])
@pytest.mark.parametrize(
    "kinds", [PRICE, PROMO, POINTS, PRICE | POINTS, PROMO | POINTS], ids="-".join
)
def test_plans_with_levers_are_the_best_of_brute_force(kinds, utility):
    fit = fit_of()
    plan = mm.optimize(
        fit, levers=kinds, periods=PERIODS, bounds=(0.0, 3.0), utility=utility
    )
    told, profit = plan.levers, world(fit, kinds)
    spend = plan.optimized.to_numpy()[0]
    values = {one.name: one.planned for one in told.levers}
    assert told.profit["plan"].mean == pytest.approx(profit(values, spend), rel=1e-9)
    best, at = brute(profit, kinds, plan, utility == "profit")
    assert told.relative_gap <= 1e-6
    assert best <= told.profit["plan"].mean + told.gap + 1e-9 * best
    assert told.profit["plan"].mean >= best * (1 - 1e-9)
    np.testing.assert_allclose(list(values.values()), at[: len(values)], 2e-3, 1e-3)
    alone, held = told.profit["media alone"].mean, told.profit["reference"].mean
    assert told.profit["plan"].mean >= alone - 1e-9 * abs(alone)
    assert alone >= held - 1e-9 * abs(held)


def test_media_alone_misallocate_where_a_promotion_moves_the_margin():
    """Media planned at the margin of today are not those of the margin that is best."""
    fit, kinds = fit_of(), {"promo": PROMO["promo"] | {"reference": 0.0}}
    keep = {"periods": PERIODS, "bounds": (0.0, 3.0), "utility": "profit"}
    plan = mm.optimize(fit, levers=kinds, **keep)
    alone = mm.optimize(fit, **keep)
    profit = world(fit, kinds)
    values = {one.name: one.planned for one in plan.levers.levers}
    best = profit(values, plan.optimized.to_numpy()[0])
    assert best > profit(values, alone.optimized.to_numpy()[0]) * (1 + 1e-4)
    assert best > plan.levers.profit["media alone"].mean * 1.01
    assert 0.0 < values["promo"] < 0.4
    assert float(alone.optimized.sum()) > float(plan.optimized.sum()) * 1.1


def test_forecasts_of_a_plan_have_its_levers():
    fit = fit_of()
    plan = mm.optimize(fit, levers=PRICE, periods=PERIODS)
    found = forecast_plan(fit, plan, noise=False)
    (lever,) = plan.levers.levers
    step = fit.flat()["gamma_control"][:, 1] * fit.scale.outcome[0] * PERIODS
    own = forecast_plan(fit, replace(plan, levers=None), noise=False)
    expected = own["gain"].to_numpy() + step * (lever.planned - lever.reference)
    np.testing.assert_allclose(found["gain"], expected, rtol=1e-9)
    given = forecast_plan(fit, plan, controls={"price": 2.0}, noise=False)
    np.testing.assert_allclose(given["gain"], own["gain"], rtol=1e-9)


def test_text_files_and_report_say_the_levers(tmp_path, capsys):
    fit = fit_of(draws=60, chains=2)
    mm.save(fit, tmp_path / "fit.nc")
    asked = tmp_path / "plan.toml"
    asked.write_text(
        'periods = 6\n[levers.price]\nkind = "price"\nunit_cost = 1.1\nrange = [1.8, 4]\n'
        '[levers.points]\nkind = "cost"\ncost = 2.0\n[controls]\nrain = 1.5\n'
    )
    assert run(["optimize", str(tmp_path), "--plan", str(asked)]) in (0, 2)
    said = " ".join(capsys.readouterr().out.split())
    told = json.loads((tmp_path / "plan" / "plan.json").read_text())["levers"]
    price, points = told["levers"]
    assert f"price (price) {price['planned']:.6g}, reference" in said
    assert "certified: no levers and media within bounds" in said
    assert "against the best media alone (94% interval" in said
    assert points["extrapolated"] is False
    assert price["extrapolated"] is (price["planned"] > price["most"])
    levers = {"price": {"kind": "price", "unit_cost": 1.1, "range": [1.8, 4]}}
    levers |= {"points": {"kind": "cost", "cost": 2.0}}
    plan = mm.optimize(fit, periods=6, levers=levers, controls={"rain": 1.5})
    assert told["profit"]["plan"]["mean"] == pytest.approx(plan.levers.profit["plan"].mean)
    assert told["says"] == plan.to_dict()["levers"]["says"]
    rows = pd.read_csv(tmp_path / "plan" / "scenarios.csv")
    rows = rows[rows["channel"] == "ALL"].set_index("plan")
    margin, more = plan.levers.margin[1], rows["spend"].diff()["plan"]
    assert margin > 1.3 * fit.panel.outcome_value  # net money is at the planned one
    net = margin * rows["gain_mean"]["plan"] - more
    assert rows["net_mean"]["plan"] == pytest.approx(net, rel=1e-5)


@pytest.mark.parametrize(
    ("levers", "more", "words"),
    [
        ({}, {}, "a table of levers"),
        ({"price": [1.8, 2.4]}, {}, "a table with kind"),
        ({"rain": {"kind": "price"}}, {}, 'levers = { "rain" = "mean" }'),
        ({"price": {"kind": "prize"}}, {}, "price"),
        ({"price": {"kind": "price", "cost": 1.0}}, {}, "key"),
        ({"price": {"kind": "price", "range": [3.0, 2.0]}}, {}, "range = .2, 3"),
        ({"points": {"kind": "cost"}}, {}, "money per point and period"),
        ({"promo": {"kind": "discount", "range": [0, 2]}}, {}, "range of promo"),
        ({"price": {"kind": "price", "unit_cost": 3.0}}, {}, "margin"),
        (PRICE | PROMO, {}, "hold one"),
        (PRICE, {"utility": "sharpe"}, "mean_response"),
        (PRICE, {"utility": "profit(value=2.0)"}, "mean_response"),
        (PRICE, {"target": 10.0}, "a target"),
        (PRICE, {"controls": {"price": 2.0}}, "besides levers"),
        (None, {"controls": {"rain": 2.0}}, "media alone"),
    ],
)
def test_what_cannot_be_planned_is_refused(levers, more, words):
    with pytest.raises(InputError, match=words):
        mm.optimize(fit_of(), levers=levers, periods=PERIODS, **more)


def test_several_fits_and_outcomes_without_a_value_are_refused():
    fit = fit_of(value=None)
    with pytest.raises(InputError, match="one market at a time"):
        mm.optimize({"a": fit, "b": fit}, levers=PRICE)
    with pytest.raises(InputError, match="outcome_value"):
        mm.optimize(fit, levers=POINTS)
    assert mm.optimize(fit, levers=PRICE, periods=PERIODS).levers.margin[0] > 0
