"""A log link: effects multiply, and everything downstream is of the mean itself.

Every law that has a choice of link is tested by being listed.
"""

import dataclasses
from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
import pytest
from scipy import integrate

import mmmjax as mm
from mmmjax import response
from mmmjax.graph import structure
from mmmjax.likelihood import LIKELIHOODS, OUTCOME
from mmmjax.model import model_data
from mmmjax.posterior.fold import room
from mmmjax.posterior.scope import Scope
from mmmjax.prepare import scale_of
from mmmjax.spec import Spec
from tests.fits import make_fit
from tests.posterior.examples import geo_panel, national_panel

pytestmark = pytest.mark.usefixtures("x64")

LINKED = [
    cls(link="log")
    for cls in LIKELIHOODS.values()
    if "link" in {f.name for f in dataclasses.fields(cls)}
]
every = pytest.mark.parametrize("record", LINKED, ids=repr)
SIZES = {"y_sigma": 0.2, "y_nu_excess": 3.0}


def spec_of(record, **more):
    return Spec(likelihood=record, adstock=mm.adstock.Geometric(4), trend=True, **more)


def counted(panel, record):
    return replace(panel, outcome=record.possible(panel.outcome))


def log_fit(record=LINKED[0], panel=None, draws=3):
    """Draws near what a log link is about, of a panel with gaps."""
    panel = counted(geo_panel() if panel is None else panel, record)
    fit = make_fit(1, draws, spec_of(record, seasonality=None), panel, dtype=np.float64)
    params = {n: np.abs(x) * 0.3 for n, x in fit.draws.params.items()}
    params |= {n: np.full(x.shape, SIZES[n]) for n, x in params.items() if n in SIZES}
    params["intercept"] = params["intercept"] - 0.7
    return replace(
        fit, draws=mm.Draws(params) if hasattr(mm, "Draws") else type(fit.draws)(params)
    )


def one_draw(fit):
    params = {n: jnp.asarray(x[0]) for n, x in fit.flat().items()}
    return params, jax.tree.map(jnp.asarray, fit.inputs()), fit.spec


@every
def test_it_is_a_value_and_says_what_it_is(record):
    spec = spec_of(record)
    assert Spec.from_toml(spec.to_toml()) == spec
    assert spec.structure().likelihood.link == "log"
    assert spec != spec_of(type(record)())
    assert "link" not in spec_of(type(record)()).to_toml()
    assert repr(type(record)()) == f"{type(record).__name__}()"
    assert "exp(mu)" in {n.name: n.text for n in structure(spec).nodes}[OUTCOME]
    with pytest.raises(mm.InputError, match="link"):
        type(record)(link="logit")


@every
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_density_and_gradient_are_finite_however_far_the_sum_goes(record, dtype):
    panel = counted(national_panel(40), record)
    target = record.target(panel, scale_of(spec_of(record), panel))
    p = {n: jnp.full((1, 1), SIZES[n], dtype) for n in record.parameters()}
    p = {**p, **record.derived(p)}

    @jax.jit
    @jax.value_and_grad
    def total(x):
        law = record.around(jnp.full((1, 40), x), p, target)
        return jnp.asarray(law.log_prob(target.outcome)).sum()

    for x in (-100.0, -29.0, -1.0, 0.0, 2.0):
        assert all(np.isfinite(v) for v in total(dtype(x))), x
    law = record.around(np.full((1, 40), -0.4), p, target)
    unit = np.asarray(record.original(target))
    wanted = np.exp(-0.4) * target.unit / unit
    np.testing.assert_allclose(np.asarray(law.mean), np.broadcast_to(wanted, (1, 40)), 1e-5)


@every
def test_the_working_response_is_the_log_and_its_noise_that_of_the_law(record):
    panel = counted(national_panel(40), record)
    outcome = panel.outcome.copy()
    outcome[0, 3] = np.nan
    panel = replace(panel, outcome=outcome)
    target = record.target(panel, scale_of(spec_of(record), panel))
    y, weight = record.working(target)
    np.testing.assert_array_equal(weight > 0, target.mask)
    seen = target.mask[0]
    mean = outcome[0, seen] / target.unit[0, 0]
    np.testing.assert_allclose(y[0, seen], np.log(mean), rtol=1e-6)
    p = {n: np.full((1, 1), SIZES[n]) for n in record.parameters()}
    p = {**p, **record.derived(p)}
    law = record.around(np.log(mean)[None], p, target)
    found = np.asarray(record.variance(p) / weight[:, seen])
    exact = np.asarray(law.variance) / np.asarray(law.mean) ** 2  # delta method
    rough = {"student_t": 2.0, "negative_binomial": 4.0}.get(record.kind, 1.05)
    assert np.all(found < rough * exact)
    assert np.all(exact < rough * found)


@pytest.mark.slow(parts=6)
def test_parts_are_mean_marginal_effects_along_the_way_and_add_up():
    params, inputs, spec = one_draw(log_fit())
    found = response.parts(params, inputs, spec)
    whole = response.level(params, inputs, spec)
    np.testing.assert_allclose(response.total(found), whole, rtol=1e-12)
    one = {n: np.asarray(x) for n, x in response.components(params, inputs, spec).items()}
    g, t = 1, 6
    cell = {n: x[g, ..., t] for n, x in one.items()}
    base, trend = cell["intercept"], cell["trend"]
    along = lambda start, step: integrate.quad(lambda u: np.exp(start + u * step), 0, 1)[0]
    wanted = {"intercept": np.exp(base), "trend": trend * along(base, trend)}
    start, controls, media = base + trend, cell["control"], cell["channel"]
    wanted["control"] = controls * along(start, controls.sum())
    wanted["channel"] = media * along(start + controls.sum(), media.sum())
    for name, value in wanted.items():
        np.testing.assert_allclose(found[name][g, ..., t], value, rtol=1e-9)
    eta = np.asarray(response.mean(params, inputs, spec))
    gone = whole - np.exp(eta - one["channel"].sum(1))
    np.testing.assert_allclose(found["channel"].sum(1), gone, rtol=1e-9)
    none = response.parts(params | {"saturation_beta": 0 * params["saturation_beta"]},
                          inputs, spec)  # fmt: skip
    assert np.all(np.asarray(none["channel"]) == 0)
    assert np.isfinite(jax.grad(lambda b: response.parts(
        params | {"saturation_beta": b}, inputs, spec)["channel"].sum()
    )(0 * params["saturation_beta"])).all()  # fmt: skip


@pytest.mark.slow(parts=6)
@pytest.mark.parametrize("record", [LINKED[0], LINKED[-1]], ids=repr)
def test_tables_reconcile_and_returns_are_what_goes_with_a_channel(record):
    fit = log_fit(record)
    found = mm.contributions(fit)
    groups = ("channel_total", "control_total", "intercept_total", "trend_total")
    sums = [found[n].sum([d for d in found[n].dims if d in ("channel", "control")])
            for n in groups]  # fmt: skip
    np.testing.assert_allclose(sum(sums), found["mu_total"], rtol=1e-10)
    mean = mm.predict(fit, draws=True)["outcome"]
    assert mean.shape[-1] == len(fit.panel.dates) - fit.panel.history
    params, inputs, spec = one_draw(fit)
    gone = mm.incremental(fit)["now"].to_numpy()[0, 0]  # (geo, channel)
    unit = fit.scale.outcome[:, None] * fit.panel.present[:, fit.panel.history :]
    with_all = response.level(params, inputs, spec)
    for c in range(len(fit.panel.channels)):
        media = np.array(inputs["media"])
        media[:, c, inputs.history :] = 0.0
        less = response.level(params, inputs.replace(media=jnp.asarray(media)), spec)
        wanted = ((with_all - less) * unit).sum(1)
        np.testing.assert_allclose(gone[:, c], wanted, rtol=1e-9)
    swept = mm.sweep(fit, [0.0, 1.0, 1.5])["uplift"].to_numpy()[0]
    assert (np.diff(swept, axis=-1) >= -1e-9).all()


def test_a_room_changes_no_answer():
    fit = log_fit()
    ask = lambda: (mm.roas(fit)["roas"], mm.contributions(fit)["channel_total"])
    plain = ask()
    with room(6, {"time": 31, "channel": 7, "control": 4}):
        wide = ask()
    for a, b in zip(plain, wide, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-9)


def test_a_lift_is_of_the_outcome_at_the_mean_of_everything_else():
    panel = national_panel(30)
    test = mm.facts.Lift(panel.channels[0], 10.0, 5.0, 3.0, 1.0)
    fit = log_fit(panel=replace(panel, facts=(test,)), draws=1)
    data = model_data(fit.spec, fit.panel, fit.scale)
    (rows,) = data.facts.values()
    params, inputs, spec = one_draw(fit)
    found = test.log_density(params, jax.tree.map(lambda x: x[0], rows), spec, inputs)
    one = response.components(params, inputs, spec)
    eta = np.asarray(response.mean(params, inputs, spec))
    rest = np.exp(eta[0] - one["channel"][0, 0]).mean()
    ends = []
    for spend in (10.0, 15.0):
        media = np.zeros((1, len(panel.channels), spec.memory))
        media[0, 0] = spend / fit.scale.cost_per_unit[0, 0] / fit.scale.media[0, 0]
        c = response.media_contribution(params, jnp.asarray(media), spec, inputs)
        ends.append(rest * np.exp(float(c[0, 0, -1])))
    lift = (ends[1] - ends[0]) * fit.scale.outcome[0]
    far = -0.5 * (3.0 - lift) ** 2 - np.log(1.0) - 0.5 * np.log(2 * np.pi)
    np.testing.assert_allclose(found - np.log(fit.scale.outcome[0]), far, rtol=1e-8)


PLANNED = 6  # periods; the adstock of these fits lasts 4


def brought(fit, spends, carry_in, periods):
    """Outcome with spend, (geo, channel, period or 1), over that without: (plan, draw).

    By the forward function: controls and free media at their mean, spend, then the tail.
    """
    train, tail = fit.panel, fit.spec.memory - 1
    seen = train.present[:, train.window]
    means = lambda x: np.array(
        [x[g, train.window][seen[g]].mean(0) for g in range(train.n_geos)]
    )
    days = pd.date_range(train.dates[-1], periods=periods + tail + 1, freq=train.freq)[1:]
    every = (train.n_geos, len(days))
    media = np.broadcast_to(means(train.media)[:, None], (*every, len(train.channels)))
    after = replace(
        train, dates=days, history=0, media=np.array(media), facts=(),
        controls=np.repeat(means(train.controls)[:, None], len(days), 1),
        outcome=np.full(every, np.nan), present=np.ones(every, bool),
        spend=np.zeros((*every, len(train.channels))),
    )  # fmt: skip
    cost, paid = train.cost_per_unit(), np.flatnonzero(train.paid)

    @jax.jit
    def of(media):
        each = lambda p: response.level(p, inputs.replace(media=media), fit.spec)
        whole = jax.lax.map(each, fit.flat())
        return (whole * fit.scale.outcome[:, None]).sum((1, 2))

    inputs, out = Scope.of(fit, after).inputs, []
    for spend in (np.zeros_like(spends[0]), *spends):
        media = np.array(inputs["media"])
        if carry_in == "zero":
            media[:, paid, : inputs.history] = 0.0
        bought = spend / (cost * fit.scale.media)[:, paid, None]
        media[:, paid, inputs.history :] = 0.0
        media[:, paid, inputs.history : inputs.history + periods] = bought
        out.append(np.asarray(of(media)))
    return np.array(out[1:]) - out[0]


ASKED = [
    (national_panel, "zero", {"periods": 2}),  # shorter than the memory
    (geo_panel, "history", {}),
    (national_panel, "history", {"flighting": [3, 1, 0, 0, 2, 1.0]}),
    (geo_panel, "zero", {"flighting": "optimal", "max_evaluations": 3}),
]


@pytest.mark.slow(parts=6)
@pytest.mark.parametrize(("panel", "carry_in", "more"), ASKED)
def test_a_plan_counts_the_whole_predictor(panel, carry_in, more):
    fit = log_fit(panel=panel(), draws=4)
    ask = {"periods": PLANNED, "carry_in": carry_in, "starts": 2} | more
    plan = mm.optimize(fit, **ask)
    assert not plan.certified
    assert plan.gap_reason == 'effects multiply (link = "log")'
    spend = plan.spend_by_period.to_numpy()  # (geo, channel, period)
    found = brought(fit, [spend], carry_in, ask["periods"])[0]
    np.testing.assert_allclose(plan.response.sel(plan="optimized"), found, rtol=1e-6)
    by = plan.response_by_channel.sel(plan="optimized").sum("channel")
    np.testing.assert_allclose(by, found, rtol=1e-6)
    judged = mm.evaluate(fit, {"it": plan}).sel(plan="it")
    np.testing.assert_allclose(judged["response"], found, rtol=1e-6)
    if "flighting" not in more:
        np.testing.assert_allclose(judged["marginal"], plan.marginal, rtol=1e-6)
        up = spend * (1 + 1e-4 * (np.arange(spend.shape[1]) == 0)[:, None])
        rise = (brought(fit, [up], carry_in, ask["periods"])[0] - found).mean()
        slope = (plan.marginal * plan.optimized).isel(channel=0).sum()
        assert rise / 1e-4 == pytest.approx(float(slope), rel=1e-2)


def best_on_a_grid(fit, plan, worth_of):
    total = plan.budget / PLANNED
    least = max(plan.lower[0, 0], plan.budget - plan.upper[0, 1]) / PLANNED
    most = min(plan.upper[0, 0], plan.budget - plan.lower[0, 1]) / PLANNED
    first = np.linspace(float(least), float(most), 201)
    spends = np.stack([first, total - first], -1)[:, None, :, None]
    return worth_of(brought(fit, list(spends), "zero", PLANNED)).max()


ASK = {"periods": PLANNED, "bounds": (0.1, 3.0), "starts": 8}


@pytest.mark.slow(parts=6)
def test_no_split_on_a_grid_is_better():
    fit = log_fit(panel=national_panel(40), draws=10)
    plan = mm.optimize(fit, **ASK)
    best = best_on_a_grid(fit, plan, lambda x: x.mean(1))
    assert best * (1 - 1e-3) <= plan.objective <= best * (1 + 1e-2)
    with pytest.raises(mm.InputError, match="multiply"):
        mm.knowledge(fit, periods=PLANNED)


@pytest.mark.slow
def test_risk_markets_and_budgets_are_planned_too():
    fit, other = (log_fit(panel=national_panel(40, seed=s), draws=10) for s in (4, 9))
    plan = mm.optimize(fit, utility="sharpe", **ASK)
    best = best_on_a_grid(fit, plan, lambda x: x.mean(1) / x.std(1, ddof=1))
    assert best * (1 - 1e-3) <= plan.objective <= best * (1 + 1e-2)
    two = mm.optimize({"x": fit, "y": other}, starts=2, periods=PLANNED)
    spends = two.spend_by_period.to_numpy()[:, None]
    each = [brought(f, [x], "zero", PLANNED)[0].mean() for f, x in
            zip((fit, other), spends, strict=True)]  # fmt: skip
    assert two.objective == pytest.approx(sum(each), rel=1e-9)
    alone = mm.optimize(fit, **ASK)
    levels = np.array([0.8, 1.0, 1.2]) * alone.budget
    line = mm.frontier(fit, levels, reference=[*map(float, alone.reference[0])], **ASK)
    assert (np.diff(line["objective"]) > 0).all()
    assert float(line["objective"][1]) == pytest.approx(alone.objective, rel=1e-3)
    assert not line["certified"].any()


@pytest.mark.slow(parts=6)
def test_a_world_of_products_is_fitted_judged_forecast_and_kept(tmp_path):
    rng = np.random.default_rng(3)
    weeks, n = 80, 3
    panel = national_panel(weeks)
    media = panel.media[0] / panel.media[0].max(0)
    carried = sum(0.5**k * np.roll(media, k, 0) for k in range(4)) / 1.875
    log = 5.0 + np.log1p(carried[:, 0]) * 0.8
    outcome = np.exp(log) * (1 + 0.03 * rng.standard_normal(len(log)))
    panel = replace(panel, outcome=outcome[None])
    train, later = panel.split(panel.dates[-9])
    spec = Spec(likelihood=mm.likelihood.Gamma(link="log"), seasonality=None,
                adstock=mm.adstock.Geometric(4))  # fmt: skip
    fit = mm.fit(spec, train, mm.HMC(chains=2, warmup=150, draws=150), seed=n)
    ahead = mm.predict(fit, later)["outcome"].mean(("chain", "draw")).to_numpy()
    seen = later.outcome[:, later.history :]
    assert abs(ahead / seen - 1).mean() < 0.15
    told = {one.code: one for one in mm.judge(fit).findings}
    assert "not_additive" in told
    mm.save(fit, tmp_path / "fit.nc")
    again = mm.load(tmp_path / "fit.nc")
    assert again.spec == fit.spec
    found = mm.counterfactual(fit, {train.channels[0]: 0.0})
    assert float(found["difference_outcome"].mean()) < 0


@every
def test_the_working_response_is_the_same_when_it_is_traced(record):
    """Panels whose geos are pooled ask for it inside a compiled program."""
    target = record.target(counted(geo_panel(), record), scale_of(Spec(), geo_panel()))
    pairs = zip(record.working(target), jax.jit(record.working)(target), strict=True)
    for here, traced in pairs:
        np.testing.assert_allclose(here, traced, rtol=1e-6)
