"""Effects that move: multipliers against loops, plans against forecasts, and recovery."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
import pytest
from scipy import stats

import mmmjax as mm
from mmmjax import response
from mmmjax.budget.horizon import Form, make_window, response_of
from mmmjax.prepare import prepare
from mmmjax.terms import Frame
from tests.fits import make_fit, make_panel

CARRY = mm.adstock.Geometric(3)
ALL = (mm.moving.Process(basis=5), mm.moving.Piecewise(knots=4), mm.moving.Seasons(order=2))


def spec_of(*moving, **fields):
    """A model whose channels all move."""
    media = mm.terms.Media(adstock=CARRY, moving=moving, **fields)
    return mm.Spec(seasonality=None, terms=(media,))


def made(spec, periods=30, draws=6, seed=0):
    """A fit of some draws, one value for all geos."""
    panel, rng = make_panel(periods=periods), np.random.default_rng(seed)
    spec = prepare(spec, panel).spec
    spec = dataclasses.replace(spec, priors={n: p.typical for n, p in spec.priors.items()})
    sizes = spec.sizes(panel)
    shape = lambda n: (2, draws, *(sizes[d] for d in spec.dims(n)))
    names = [n for n in spec.present(sizes) if n.startswith("moving")]
    drawn = {n: rng.normal(0.0, 0.5, shape(n)) for n in names}
    if "moving_length" in drawn:
        drawn["moving_length"] = rng.uniform(0.3, 0.8, (2, draws))
    return make_fit(2, draws, spec, panel, dtype=np.float64, **drawn)


@pytest.mark.usefixtures("x64")
@pytest.mark.parametrize("over", ["own", "common"])
def test_multipliers_are_those_of_loops_and_have_mean_one(over):
    term = mm.terms.Media(
        adstock=CARRY, moving=tuple(dataclasses.replace(m, over=over) for m in ALL)
    )
    rng, n, channels = np.random.default_rng(1), 20, 2 if over == "own" else 1
    frame = Frame(
        make_panel(), None, pd.date_range("2024-01-01", periods=n, freq="W-SUN"), 0, n
    )
    x = {name: array for name, (array, _) in term.inputs(frame).items()}
    widths = {"moving_drift": 5, "moving_knot": 6, "moving_season": 4}
    shape = (1, channels) if over == "own" else (1,)
    p = {name: jnp.asarray(rng.normal(size=(*shape, k))) for name, k in widths.items()}
    found = term.multiplier(p | {"moving_length": jnp.array([0.4])}, x)
    assert found.shape == (1, channels, n + 2)
    np.testing.assert_allclose(found[..., :n].mean(-1), 1.0, rtol=1e-12)
    log = np.zeros((channels, n + 2))
    day = pd.date_range("2024-01-07", periods=n + 2, freq="W-SUN").day_of_year
    for c in range(channels):
        of = {
            name: np.asarray(values).reshape(channels, -1)[c] for name, values in p.items()
        }
        for t in range(n + 2):
            time = t / (n - 1)
            for k in range(1, 6):
                omega = k * np.pi / 3.0
                density = np.sqrt(2 * np.pi) * 0.4 * np.exp(-0.5 * (0.4 * omega) ** 2)
                sine = np.sin(omega * (time + 1.0)) / np.sqrt(1.5)
                log[c, t] += of["moving_drift"][k - 1] * np.sqrt(density) * sine
            log[c, t] += np.interp(3 * min(time, 1.5), np.arange(6), of["moving_knot"])
            angle = 2 * np.pi * day[t] / 365.25
            waves = np.sin(angle), np.sin(2 * angle), np.cos(angle), np.cos(2 * angle)
            log[c, t] += of["moving_season"] @ waves
    raw = np.exp(log)
    np.testing.assert_allclose(found[0], raw / raw[:, :n].mean(1, keepdims=True), rtol=1e-9)


@pytest.mark.usefixtures("x64")
@pytest.mark.parametrize("mover", ALL, ids=repr)
def test_after_training_the_law_is_the_prior_again(mover):
    """Far from training f has the prior's size, whatever the data say of training."""
    time = np.array([0.5, 1.0, 1.5, 4.0])
    dates = pd.date_range("2024-01-01", periods=4, freq="W-MON")
    columns = mover.columns(time, dates)
    size = mover.sizes({"moving_length": np.array([0.3])}) * np.ones((1, len(columns)))
    sd = np.sqrt(((size[0, :, None] * columns) ** 2).sum(0))
    if mover.kind != "seasons":
        np.testing.assert_allclose(columns[:, 2], columns[:, 3])
        assert sd[2] > 0.7 * sd[0]
    assert (sd > 0.5).all()


def test_parts_and_returns_have_the_multiplier_of_their_date():
    fit = made(spec_of(*ALL))
    parts = mm.contributions(fit).sel(summary="mean")
    sums = parts["channel_contribution"].sum("channel") + parts["baseline"]
    np.testing.assert_allclose(sums + parts["controls"], parts["mu"], rtol=1e-6)
    still = dataclasses.replace(fit, draws=mm.Draws({
        n: 0 * x if n.startswith("moving") and n != "moving_length" else x
        for n, x in fit.draws.params.items()
    }))  # fmt: skip
    with jax.enable_x64(True):
        inputs = jax.tree.map(jnp.asarray, fit.inputs())
        draw = lambda of, i: {n: jnp.asarray(x[i]) for n, x in of.flat().items()}
        (term,) = fit.spec.media
        by = [response.multiplier(draw(fit, i), inputs, fit.spec, term) for i in range(2)]
        one = lambda of, i: response.components(draw(of, i), inputs, fit.spec)["channel"]
        for i in range(2):
            both = one(still, i) * by[i][..., : inputs.sizes()["time"]]
            np.testing.assert_allclose(one(fit, i), both, rtol=1e-9)
    whole, months = mm.roas(fit), mm.incremental(fit, "quarter")
    now = float((whole["incremental"]).mean())
    assert np.isfinite(now)
    assert months.sizes["window"] > 1
    # a curve is of training on average: that of effects which do not move
    np.testing.assert_allclose(
        mm.curves(fit)["response"], mm.curves(still)["response"], rtol=1e-9
    )


@pytest.mark.parametrize(
    ("free", "carry_in", "fields"),
    [
        (False, "history", {}),
        (False, "zero", {"adstock_first": False}),
        (True, "history", {}),
    ],
)
def test_a_plan_counts_on_the_multipliers_of_its_window(free, carry_in, fields):
    """What a plan brings is what a forecast of its spend adds, period by period."""
    fit, periods = made(spec_of(*ALL, **fields)), 5
    if carry_in == "zero":  # a forecast carries in what there is: nothing
        media = np.array(fit.panel.media)
        media[:, -3:] = 0.0
        fit = dataclasses.replace(fit, panel=dataclasses.replace(fit.panel, media=media))
    panel, rng = fit.panel, np.random.default_rng(3)
    paid = np.flatnonzero(panel.paid)
    spend = np.repeat(rng.uniform(5, 50, (panel.n_geos, len(paid), 1)), periods, axis=2)
    cost = fit.scale.cost_per_unit[:, paid]
    dates = pd.date_range(panel.dates[-1], periods=periods + 3, freq="W-SUN")[1:]
    totals = []
    for share in (1.0, 0.0):
        media = np.zeros((panel.n_geos, len(dates), len(panel.channels)))
        media[:, :periods, paid] = np.swapaxes(share * spend / cost[..., None], 1, 2)
        future = dataclasses.replace(
            panel, dates=dates, media=media, spend=media, history=0,
            outcome=np.full(media.shape[:2], np.nan),
            present=np.ones(media.shape[:2], bool),
            controls=np.zeros((*media.shape[:2], 1)),
        )  # fmt: skip
        totals.append(mm.contributions(fit, future)["channel_total"].to_numpy()[..., paid])
    added = (totals[0] - totals[1]).reshape(-1, panel.n_geos * len(paid))
    with jax.enable_x64(True):
        window = make_window([fit], periods, carry_in, [cost[..., None]], free=free)
        form = Form(fit.spec.structure(), None, periods if free else 0)
        money = spend.reshape(-1, periods)
        money = money.ravel() if free else money.sum(1)
        found = response_of(window, form)(jnp.asarray(money))
    np.testing.assert_allclose(found, added, rtol=1e-6)


def test_a_dated_lift_test_sees_the_multiplier_of_its_dates():
    fit = made(spec_of(*ALL), draws=2)
    panel = fit.panel
    media = np.array(panel.media)
    media[:, 12:14, panel.channels.index("TV")] = 0.0
    end = f"{panel.dates[13] + pd.Timedelta(days=6):%Y-%m-%d}"
    days = {"start": f"{panel.dates[12]:%Y-%m-%d}", "end": end, "tail": 1}
    fact = mm.facts.LiftTest(
        "TV", result=30.0, of="total", error=4.0, spend_control=0.0, **days
    )
    p = {n: jnp.asarray(v[0]) for n, v in fit.draws.flat().items()}
    with jax.enable_x64(True):
        sides = []
        for one in (panel, dataclasses.replace(panel, media=media)):
            x = jax.tree.map(jnp.asarray, response.make_inputs(fit.spec, one, fit.scale))
            every = response.components(p, x, fit.spec)["channel"].sum(1)[:, 12:15]
            sides.append((every * fit.scale.outcome[:, None]).sum())
        x = fact.arrays(panel, fit.scale, fit.spec)
        x = jax.tree.map(jnp.asarray, x)
        got = float(fact.log_density(p, x, fit.spec, fit.inputs()))
    wanted = stats.norm.logpdf(30.0, float(sides[0] - sides[1]), 4.0)
    assert got == pytest.approx(wanted, rel=1e-6)


def test_the_table_has_the_multipliers_of_training_and_after():
    fit = made(spec_of(mm.moving.Process(basis=5)))
    table = mm.multipliers(fit, after=4)
    assert set(table["geo"]) == {"ALL"}
    assert set(table["channel"]) == set(fit.panel.channels)
    training = table.loc[~table["after"]]
    np.testing.assert_allclose(training.groupby("channel")["mean"].mean(), 1.0, rtol=1e-9)
    assert len(table) == len(fit.panel.channels) * (30 + 4)
    assert table.loc[table["after"], "date"].min() > fit.panel.dates[-1]
    with pytest.raises(mm.InputError, match="moving"):
        mm.multipliers(make_fit())


TINY = mm.NUTS(chains=2, warmup=60, draws=50, until=None)


@pytest.mark.slow
@pytest.mark.parametrize("geos", [("north",), ("a", "b", "c")])
def test_everything_downstream_takes_it(geos, tmp_path):
    """Pooled geos or one market, by a case file: nothing knows of it but its term."""
    text = """
    [model]
    adstock = { max_lag = 3 }
    seasonality = false
    [model.channels]
    TV = { moving = { kind = "process", basis = 4, over = "common" } }
    Search = { moving = [{ kind = "seasons" }, { kind = "piecewise", knots = 3 }] }
    """
    spec, panel = mm.Spec.from_toml(text), make_panel(geos=geos, periods=40)
    assert mm.Spec.from_toml(spec.to_toml()) == spec
    train, test = panel.split(panel.dates[-7])
    told = [f for f in prepare(spec, train).findings if f.code == "moving_effects"]
    assert [f.where for f in told] == [("TV", "Search")]
    fit = mm.fit(spec, train, TINY, seed=0)
    mm.save(fit, tmp_path / "fit.nc")
    again = mm.load(tmp_path / "fit.nc")
    assert again.spec == fit.spec
    parts = mm.contributions(again).sel(summary="mean")
    sums = parts["channel_contribution"].sum("channel") + parts["baseline"]
    np.testing.assert_allclose(sums + parts["controls"], parts["mu"], rtol=1e-6)
    forecast = mm.predict(again, test)["outcome"]
    assert np.isfinite(forecast).all()
    assert np.isfinite(mm.counterfactual(again, {"TV": 1.2})["outcome"]).all()
    plan = mm.optimize(again, periods=4)
    assert plan.certified


@pytest.mark.usefixtures("x64")
def test_the_best_plan_is_that_of_a_grid():
    """Multipliers are above 0, so curves stay concave and the plan is certified."""
    fit = made(spec_of(*ALL))
    panel = dataclasses.replace(
        fit.panel,
        **{n: getattr(fit.panel, n)[:1] for n in ("outcome", "media", "spend", "controls")},
        present=fit.panel.present[:1], geos=fit.panel.geos[:1],
        population=fit.panel.population[:1],
    )  # fmt: skip
    fit = make_fit(
        2, 6, fit.spec, panel, dtype=np.float64,
        **{n: x for n, x in fit.draws.params.items() if n.startswith("moving")},
    )  # fmt: skip
    plan = mm.optimize(fit, budget=3000.0, periods=4, bounds=(0.0, np.inf))
    assert plan.certified, plan.gap_reason
    cost = fit.scale.cost_per_unit[:, panel.paid][..., None]
    window = make_window([fit], 4, "zero", [cost])
    respond = response_of(window, Form(fit.spec.structure(), None, 0))
    share = jnp.linspace(0, 1, 401)
    worth = lambda s: respond(3000.0 * jnp.stack([s, 1 - s])).sum(1).mean()
    brought = np.asarray(jax.vmap(worth)(share))
    planned = plan.optimized.to_numpy().ravel() * (4 if plan.per_period else 1)
    best = int(np.argmax(brought))
    assert 0 < best < 400
    assert planned[0] / 3000.0 == pytest.approx(float(share[best]), abs=1 / 400)
    assert float(worth(planned[0] / 3000.0)) >= brought.max() * (1 - 1e-9)


def weekly_errors(drifts, markets=3, weeks=104):
    """Errors of weekly contributions without and with effects that move, and coverage."""
    panels, truths = {}, {}
    for seed in range(markets):
        rng = np.random.default_rng([seed, drifts])
        media = rng.gamma(1.5, 40.0, (2, weeks)) * (rng.random((2, weeks)) < 0.8)
        kernel = 0.45 ** np.arange(6) / (0.45 ** np.arange(6)).sum()
        carried = np.array([np.convolve(m, kernel)[:weeks] for m in media])
        bent = np.tanh(1.2 * carried / media.max(1, keepdims=True))
        log = np.zeros((2, weeks))
        log[0] = drifts * 0.6 * np.cos(2 * np.pi * np.arange(weeks) / weeks)
        by = np.exp(log) / np.exp(log).mean(1, keepdims=True)
        truth = np.array([[90.0], [60.0]]) * bent * by
        frame = pd.DataFrame({
            "week": pd.date_range("2023-01-01", periods=weeks, freq="W-SUN"),
            "sales": 100 + truth.sum(0) + rng.normal(0, 3.0, weeks),
            "TV": media[0], "Search": media[1],
        })  # fmt: skip
        panels[f"m{seed}"] = mm.Panel.from_frame(
            frame, date="week", outcome="sales", media=["TV", "Search"]
        )
        truths[f"m{seed}"] = truth
    errors, inside = [], []
    sampler = mm.HMC(chains=4, warmup=300, draws=400, leapfrogs=16, until=None)
    for moving in ((), (mm.moving.Process(),)):
        media = mm.terms.Media(adstock=mm.adstock.Geometric(6), moving=moving)
        spec = mm.Spec(seasonality=None, terms=(media,))
        fleet = mm.fit_fleet(spec, panels, sampler, refit=False, progress=False)
        squares = []
        for name, truth in truths.items():
            found = mm.contributions(fleet[name])["channel_contribution"].to_numpy()[:, 0]
            squares.append(np.sqrt(((found[0] - truth) ** 2).mean()))
            inside.append(((found[1] <= truth) & (truth <= found[2])).mean())
        errors.append(np.mean(squares))
    return *errors, np.mean(inside[markets:])


@pytest.mark.slow
@pytest.mark.parametrize("drifts", [True, False])
def test_drift_is_found_and_what_does_not_move_stays(drifts):
    still, moving, inside = weekly_errors(drifts)
    assert moving < (0.5 * still if drifts else 1.1 * still)
    assert inside >= 0.85
