"""Kinds of plans: utilities, limits, flighting, curves of one's own, markets, goals."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import linprog, minimize

import mmmjax as mm
from mmmjax.budget.horizon import response_of
from mmmjax.budget.layout import ABSENT
from mmmjax.budget.prepare import prepare
from mmmjax.budget.region import project
from mmmjax.budget.search import worth
from mmmjax.budget.solve import scaled_problem
from mmmjax.budget.starts import starts_of
from tests.budget.cases import make_fit
from tests.reference import budget as oracle

seeds = st.integers(0, 2**32 - 1)
TAIL = 0.8  # level of the tails here: 4 of 20 draws


def hill(draw, spend):
    power = spend ** draw["slope"]
    return draw["top"] * power / (draw["half"] ** draw["slope"] + power)


def exponential(draw, spend):
    return draw["top"] * (1.0 - jnp.exp(-spend / draw["half"]))


def hills(channels, slope, seed):
    rng = np.random.default_rng(seed)
    top, half, reference = rng.uniform(0.5, 2.0, (3, channels))
    draws = {"top": top[None], "half": half[None], "slope": np.full((1, channels), slope)}
    return mm.ResponseCurves([f"c{i}" for i in range(channels)], hill, draws, reference)


def best_on_a_grid(curves, low, high, steps=3000):
    """Dynamic programming over multiples of one step, written out (an oracle)."""
    draw = {k: v[0] for k, v in curves.draws.items()}
    lower, upper = low * curves.reference, high * curves.reference
    step = (curves.reference.sum() - lower.sum()) / steps
    best = np.where(np.arange(steps + 1) == 0, 0.0, -np.inf)
    for i in range(len(lower)):
        x = lower[i] + np.arange(steps + 1) * step
        x = x[x <= upper[i] + 1e-9]
        power = x ** draw["slope"][i]
        worth = draw["top"][i] * power / (draw["half"][i] ** draw["slope"][i] + power)
        new = np.full(steps + 1, -np.inf)
        for k, w in enumerate(worth):
            new[k:] = np.maximum(new[k:], best[: steps + 1 - k] + w)
        best = new
    return best[-1]


@pytest.mark.slow(parts=6)
@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize(
    "channels, slope, low, high", [(4, 2.0, 0.7, 1.3), (4, 3.0, 0, 3), (3, 3.0, 0, 2)]
)
def test_s_curves_reach_the_optimum_of_dynamic_programming(
    channels, slope, low, high, seed
):
    curves = hills(channels, slope, seed)
    plan = mm.optimize(curves, bounds=(low, high))
    best = best_on_a_grid(curves, low, high)
    assert plan.objective >= best * (1 - 1e-3)
    assert plan.optimized.sum() == pytest.approx(curves.reference.sum(), rel=1e-9)
    assert not plan.certified
    assert "not said to be concave" in plan.gap_reason
    assert plan.starts > 1


def tail_of(curves, spend, level):
    """Mean of the worst draws, the edge of the tail counted in part (NumPy)."""
    total = (curves.draws["top"] * (1 - np.exp(-spend / curves.draws["half"]))).sum(1)
    count = (1 - level) * len(total)
    weights = np.clip(count - np.arange(len(total)), 0.0, 1.0)
    return float((np.sort(total) * weights).sum() / count)


def cutting_planes(curves, lower, upper, level, turns=400):
    """Largest conditional value at risk by Kelley's cuts: (best value, upper bound)."""
    top, half, x = curves.draws["top"], curves.draws["half"], curves.reference
    n, draws, count = len(x), len(top), (1 - level) * len(top)
    cuts, rights, best, bound = [], [], -np.inf, np.inf
    for _ in range(turns):
        samples = (top * (1 - np.exp(-x / half))).sum(1)
        weights = np.zeros(draws)
        weights[np.argsort(samples)] = np.clip(count - np.arange(draws), 0.0, 1.0) / count
        value = float(weights @ samples)
        gradient = weights @ (top / half * np.exp(-x / half))
        best = max(best, value)
        cuts.append(np.append(-gradient, 1.0))
        rights.append(value - gradient @ x)
        found = linprog(
            np.append(np.zeros(n), -1.0), A_ub=np.array(cuts), b_ub=np.array(rights),
            A_eq=np.append(np.ones(n), 0.0)[None], b_eq=[curves.reference.sum()],
            bounds=[*zip(lower, upper, strict=True), (None, None)], method="highs",
        )  # fmt: skip
        x, bound = found.x[:n], -found.fun
        if bound - best < 1e-7 * abs(best):
            break
    return best, bound


def random_curves(seed, channels=4, draws=40):
    rng = np.random.default_rng(seed)
    drawn = {
        "top": rng.gamma(2.0, 1.0, (draws, channels)),
        "half": rng.gamma(3.0, 0.5, (draws, channels)),
    }
    names = [f"c{i}" for i in range(channels)]
    reference = rng.uniform(0.5, 1.5, channels)
    return mm.ResponseCurves(names, exponential, drawn, reference, concave=True)


@pytest.mark.slow(parts=6)
@pytest.mark.parametrize("utility", ["tail", "mean and tail"])
@settings(max_examples=8)
@given(seed=seeds)
def test_the_bound_of_a_concave_tail_is_never_below_the_true_gap(utility, seed):
    curves = random_curves(seed)
    tail = mm.utility.conditional_value_at_risk(level=TAIL)
    plan = mm.optimize(curves, bounds=(0.0, 3.0), utility=tail)
    lower, upper = 0.0 * curves.reference, 3.0 * curves.reference
    best, bound = cutting_planes(curves, lower, upper, TAIL)
    spend = plan.optimized.values[0]
    assert plan.objective == pytest.approx(tail_of(curves, spend, TAIL), rel=1e-12)
    assert best - plan.objective <= plan.gap_bound + 1e-12
    assert plan.objective >= bound * (1 - 1e-4)
    assert plan.relative_gap <= 1e-4
    if utility != "tail":
        both = mm.optimize(
            curves, bounds=(0, 3.0), utility=mm.utility.mean_response() + 0.5 * tail
        )
        mean = mm.optimize(curves, bounds=(0, 3.0))
        assert both.relative_gap <= 1e-4
        assert both.objective >= mean.objective + 0.5 * tail_of(
            curves, mean.optimized.values[0], TAIL
        ) - 1e-4 * abs(both.objective)


RISKS = [
    "mean_tightness(alpha=0.9)", "value_at_risk(level=0.8)", "sharpe",
    "roas(value_at_risk(level=0.8))", "raroc", "diversification_ratio",
    "mean_response + 0.2*portfolio_entropy",
]  # fmt: skip


@pytest.mark.slow(parts=6)
@pytest.mark.parametrize("utility", RISKS)
def test_risk_utilities_beat_slsqp_from_many_starts(utility):
    curves = random_curves(3, draws=200)
    chosen = mm.utility.as_utility(utility)
    plan = mm.optimize(curves, bounds=(0.2, 3.0), utility=utility)
    rng, reference = np.random.default_rng(0), curves.reference
    draws = {k: jnp.asarray(v) for k, v in curves.draws.items()}
    with jax.enable_x64(True):

        @jax.jit
        @jax.value_and_grad
        def negative(x):
            samples = jax.vmap(lambda d: exponential(d, x))(draws)
            return -chosen(samples, x)

        best = -np.inf
        for _ in range(12):
            start = reference * rng.uniform(0.2, 3.0, len(reference))
            found = minimize(
                lambda x: tuple(np.asarray(part) for part in negative(jnp.asarray(x))),
                start * reference.sum() / start.sum(), jac=True, method="SLSQP",
                bounds=[(0.2 * r, 3.0 * r) for r in reference],
                constraints={"type": "eq", "fun": lambda x: x.sum() - reference.sum()},
            )  # fmt: skip
            if abs(found.x.sum() - reference.sum()) < 1e-9:
                best = max(best, -found.fun)
    assert plan.objective >= best - 1e-3 * abs(best)
    assert plan.objective >= plan.reference_objective


def test_starts_differ_beside_a_channel_with_nearly_all_the_money():
    """Distances count in ranges: in shares of the budget all of them were one start."""
    fit = make_fit(7, seed=3)
    prepared = prepare(fit, periods=26, bounds=(0.3, 2.0), utility="value_at_risk")
    with jax.enable_x64(True):
        problem = scaled_problem(prepared)[0]
        found = starts_of(prepared, problem, 24, 0)
    lower, upper = (np.asarray(part) for part in problem.region[:2])
    at = (found - lower) / (upper - lower)
    assert (upper - lower).max() > 0.9 * (upper - lower).sum()
    apart = np.abs(at[:, None] - at).mean(-1)[np.triu_indices(len(at), 1)]
    assert (apart > 0.01).mean() > 0.98
    inner = (at > 1e-6) & (at < 1 - 1e-6)
    assert inner.sum(1).max() == 7  # not corners alone


@pytest.mark.slow(parts=6)
@pytest.mark.parametrize("utility", ["raroc", "tightness_ratio"])
def test_no_small_step_from_a_plan_is_better(utility):
    """Ends of a search are tops of the exact utility, kinks or not."""
    fit = make_fit(4, draws=60, seed=7)
    plan = mm.optimize(fit, periods=8, bounds=(0.3, 2.0), utility=utility)
    ask = {"periods": 8, "bounds": (0.3, 2.0), "utility": utility}
    prepared = prepare(fit, **ask)
    with jax.enable_x64(True):
        problem = jax.tree.map(jnp.asarray, scaled_problem(prepared)[0])
        respond = response_of(problem.window, prepared.kind.form)
        value = jax.jit(lambda x: worth(problem, respond(x * problem.budget), x))
        at = plan.optimized.to_numpy().ravel() / plan.budget
        best = float(value(at))
        assert best * float(problem.size) == pytest.approx(plan.objective, rel=1e-9)
        region = problem.region
        ranges, rng = np.asarray(region.upper - region.lower), np.random.default_rng(0)
        step = jax.jit(lambda x: project(x, region, ranges)[0])
        for far in (0.1, 1e-2, 1e-3):
            for _ in range(200):
                near = step(at + far * ranges * rng.normal(size=len(at)))
                assert float(value(near)) <= best + 1e-4 * abs(best)


def test_a_function_of_the_user_is_a_utility():
    fit = make_fit()
    mean = mm.optimize(fit, periods=6, bounds=(0, 3))
    own = mm.optimize(
        fit, periods=6, bounds=(0, 3), utility=lambda samples, money: samples.mean()
    )
    assert own.objective == pytest.approx(mean.objective, rel=1e-6)
    assert not own.certified
    promised = mm.utility.custom(lambda samples, money: samples.mean(), concave=True)
    assert mm.optimize(fit, periods=6, bounds=(0, 3), utility=promised).certified


def test_other_risk_settings_compile_nothing(caplog):
    fit = make_fit()
    ask = {"periods": 6, "starts": 2}
    utility = mm.utility.mean_tightness
    mm.optimize(fit, utility=utility(alpha=0.9), **ask)
    with jax.log_compiles(), caplog.at_level("WARNING"):
        mm.optimize(fit, utility=utility(alpha=0.3, level=0.6), **ask)
    assert not [r for r in caplog.records if "Compiling" in r.getMessage()]


def test_group_limits_bind_and_their_price_is_a_derivative():
    fit = make_fit(4)
    free = mm.optimize(fit, periods=6, bounds=(0, 3))
    two = float(free.optimized[0, :2].sum())

    def limited(money):
        rule = mm.constraints.group(["c0", "c1"], at_most=money)
        return mm.optimize(fit, periods=6, bounds=(0, 3), constraints=[rule])

    plan, eased = limited(0.8 * two), limited(0.8 * two * (1 + 1e-4))
    (limit,) = plan.limits
    assert plan.certified
    assert limit.binding
    assert float(plan.optimized[0, :2].sum()) == pytest.approx(0.8 * two)
    rise = (eased.objective - plan.objective) / (0.8e-4 * two)
    assert limit.price == pytest.approx(rise, rel=0.01)
    assert limited(2 * two).objective == pytest.approx(free.objective, rel=1e-7)


def test_geo_totals_are_kept_and_proven():
    fit = make_fit(3, geos=4)
    before = mm.optimize(fit, periods=6, bounds=0).reference.sum("channel")
    totals = {g: (0.9 * float(m), 1.1 * float(m)) for g, m in zip(
        before.geo.values, before.values, strict=True)}  # fmt: skip
    rule = mm.constraints.per_geo(totals)
    plan = mm.optimize(fit, periods=6, bounds=(0, 3), constraints=[rule])
    after = plan.optimized.sum("channel")
    assert plan.certified
    assert (after >= 0.9 * before - 1e-6).all()
    assert (after <= 1.1 * before + 1e-6).all()
    assert plan.residuals["limits"] <= 1e-9 * plan.budget


def test_bound_prices_are_derivatives_of_the_best_objective():
    fit = make_fit(4)
    plan = mm.optimize(fit, periods=6, bounds=0.3)
    at = int(np.argmax(plan.binding.values[0] == "upper"))
    name, upper = str(plan.optimized.channel.values[at]), float(plan.upper[0, at])
    low, step = float(plan.lower[0, at]), 1e-4 * upper
    eased = mm.optimize(fit, periods=6, bounds={"*": 0.3, name: (low, upper + step)})
    rise = (eased.objective - plan.objective) / step
    assert float(plan.bound_price[0, at]) == pytest.approx(rise, rel=1e-2)


def test_a_floor_of_roas_is_kept_and_an_impossible_one_is_refused():
    fit, ask = make_fit(4), {"periods": 6, "bounds": (0, 8)}
    free = mm.optimize(fit, **ask)
    mean = free.response_by_channel.sel(plan="optimized").mean("draw")
    some = ["c0", "c1"]
    roas = float(mean.sel(channel=some).sum() / free.optimized.sel(channel=some).sum())
    rule = mm.constraints.roas_floor(1.05 * roas, some)
    plan = mm.optimize(fit, **ask, constraints=[rule])
    (limit,) = plan.limits
    assert limit.value >= 1.05 * roas * (1 - 1e-6)
    assert limit.bound == "Lagrangian"
    assert plan.relative_gap <= 1e-6
    assert plan.objective <= free.objective
    # no plan with any given money for the two that keeps the floor is better
    tried = []
    for share in np.linspace(0, 1, 11):
        money = share * float(free.optimized.sel(channel=some).sum())
        only = mm.constraints.group(some, at_most=max(money, 1e-9))
        try:
            other = mm.optimize(fit, **ask, constraints=[only])
        except mm.InputError:
            continue
        brought = other.response_by_channel.sel(plan="optimized", channel=some).mean("draw")
        spent = float(other.optimized.sel(channel=some).sum())
        if float(brought.sum()) >= 1.05 * roas * spent:
            tried.append(other.objective)
    assert tried
    assert max(tried) <= plan.objective + plan.gap_bound + 1e-9 * plan.objective
    with pytest.raises(mm.InputError, match="the most that the search reached"):
        mm.optimize(fit, **ask, constraints=[mm.constraints.roas_floor(1e9)])


def test_on_or_off_is_the_best_of_all_combinations():
    fit = make_fit(4)
    free = mm.optimize(fit, periods=6, bounds=(0, 3))
    minima = {
        "c0": 2.0 * float(free.optimized[0, 0]),
        "c1": 5.0 + float(free.optimized[0, 1]),
    }
    rule = mm.constraints.minimum_if_on(minima)
    plan = mm.optimize(fit, periods=6, bounds=(0, 4), constraints=[rule])
    best = -np.inf
    for first in (True, False):
        for second in (True, False):
            held = {}
            bounds = {"*": (0, 4)}
            for on, name in ((first, "c0"), (second, "c1")):
                top = 4.0 * float(free.reference.sel(channel=name)[0])
                if on:
                    bounds[name] = (minima[name], max(top, minima[name]))
                else:
                    held[name] = 0.0
            try:
                tried = mm.optimize(fit, periods=6, bounds=bounds, fixed=held)
            except mm.InputError:
                continue
            best = max(best, tried.objective)
    assert plan.objective == pytest.approx(best, rel=1e-6)
    for name, least in minima.items():
        spent = float(plan.optimized.sel(channel=name)[0])
        assert spent == 0.0 or spent >= least * (1 - 1e-9)
    assert "combinations" in plan.status


@pytest.mark.slow(parts=6)
def test_weeks_as_variables_are_never_worse_than_even_ones():
    fit = make_fit(3, draws=10)
    ask = {"periods": 5, "bounds": (0.0, 2.0), "carry_in": "history"}
    even, free = mm.optimize(fit, **ask), mm.optimize(fit, **ask, flighting="optimal")
    assert free.certified
    assert free.objective >= even.objective
    money = free.spend_by_period.sum("period")
    np.testing.assert_allclose(money, free.optimized, rtol=1e-12)
    np.testing.assert_allclose(free.optimized.sum(), even.budget, rtol=1e-9)
    profile = free.spend_by_period.values[0] / money.values[0][:, None]
    weights = dict(zip(free.optimized.channel.values, profile, strict=True))
    given_ = mm.optimize(fit, **ask, flighting=weights)
    assert given_.objective == pytest.approx(free.objective, rel=1e-5)


def test_weeks_against_slsqp():
    fit = make_fit(2, draws=5)
    plan = mm.optimize(fit, periods=4, bounds=(0.5, 1.5), flighting="optimal")
    scale, budget = fit.scale, plan.budget
    lower, upper = plan.lower.values.ravel(), plan.upper.values.ravel()
    flat, lag = fit.flat(), fit.spec.adstock.max_lag

    def response(x):
        total = 0.0
        for d in range(5):
            for c in range(2):
                media = x.reshape(2, 4)[c] / scale.cost_per_unit[0, c] / scale.media[0, c]
                media = np.append(media, np.zeros(lag - 1))
                effect = oracle.effect(
                    fit.spec,
                    media,
                    flat["adstock_alpha"][d, c],
                    flat["saturation_lam"][d, c],
                )
                total += flat["saturation_beta"][d, c] * effect.sum() * scale.outcome[0]
        return total / 5

    assert response(plan.spend_by_period.values.ravel()) == pytest.approx(
        plan.objective, rel=1e-9
    )
    rules = [{"type": "eq", "fun": lambda z: z.sum() - 1.0}]
    for c in range(2):
        rules += [
            {
                "type": "ineq",
                "fun": lambda z, c=c: upper[c] / budget - z.reshape(2, 4)[c].sum(),
            },
            {
                "type": "ineq",
                "fun": lambda z, c=c: z.reshape(2, 4)[c].sum() - lower[c] / budget,
            },
        ]
    found = minimize(
        lambda z: -response(z * budget) / plan.objective,
        np.repeat(plan.reference.values.ravel() / 4, 4) / budget,
        bounds=[(0.0, 3 * upper[i // 4] / 4 / budget) for i in range(8)],
        constraints=rules, method="SLSQP", options={"ftol": 1e-12, "maxiter": 300},
    )  # fmt: skip
    assert plan.objective >= -found.fun * plan.objective * (1 - 1e-7)


def test_markets_under_one_budget_have_one_price():
    fits = {"de": make_fit(3, seed=1), "fr": make_fit(2, seed=2)}
    plan = mm.optimize(fits, periods=6, bounds=(0, np.inf))
    assert plan.certified
    assert list(plan.optimized.geo.values) == ["de", "fr"]
    assert plan.binding.sel(geo="fr", channel="c2") == ABSENT
    free = plan.binding.values == "free"
    np.testing.assert_allclose(plan.marginal.values[free], plan.shadow_price, rtol=1e-3)
    alone = [mm.optimize(fit, periods=6, bounds=(0, np.inf)) for fit in fits.values()]
    assert plan.budget == pytest.approx(sum(p.budget for p in alone))
    assert plan.objective >= sum(p.objective for p in alone) * (1 - 1e-9)
    named = mm.optimize(fits, periods=6, fixed={"fr": ["c0"]}, budget=1e4)
    assert named.optimized.sum() == pytest.approx(1e4)
    with pytest.raises(mm.InputError, match="names of markets"):
        mm.optimize(fits, periods=6, fixed={"c0": 1.0})


def test_spend_until_the_next_unit_brings_too_little():
    fit = make_fit()
    ask = {"periods": 6, "bounds": (0, np.inf)}
    price = 1.3 * mm.optimize(fit, **ask).shadow_price
    plan = mm.optimize(fit, until_mroas=price, **ask)
    assert plan.certified
    free = plan.binding.values == "free"
    assert free.any()
    np.testing.assert_allclose(plan.marginal.values[free], price, rtol=1e-4)
    assert (
        plan.marginal.values[plan.binding.values == "lower"] <= price * (1 + 1e-6)
    ).all()
    all_of_it = mm.optimize(fit, up_to=True, **ask)
    assert float(all_of_it.optimized.sum()) == pytest.approx(all_of_it.budget)


@pytest.mark.slow(parts=6)
@pytest.mark.parametrize("probability", [None, 0.8])
def test_smallest_spend_that_reaches_a_target(probability):
    fit = make_fit()
    ask = {"periods": 6, "bounds": (0, 3)}
    full = mm.optimize(fit, **ask)
    target = 0.5 * full.objective
    plan = mm.optimize(fit, target=target, probability=probability, starts=4, **ask)
    draws = plan.response.sel(plan="optimized").values
    if probability is None:
        assert draws.mean() >= target * (1 - 1e-9)
    else:  # the promise itself: a quantile between two draws may keep it or not
        assert (draws >= target * (1 - 1e-9)).mean() >= probability
    assert plan.budget < full.budget
    if probability is None:
        less = mm.optimize(
            fit, periods=6, bounds=dict(
                zip(plan.optimized.channel.values, zip(
                    plan.lower.values[0], plan.upper.values[0], strict=True), strict=True)
            ), budget=plan.budget * (1 - 1e-4),
        )  # fmt: skip
        assert less.objective < target


def test_smallest_spend_keeps_what_may_be_off_and_what_must_be_spent():
    fit = make_fit()
    ask = {"periods": 6, "bounds": (0, 3)}
    free = mm.optimize(fit, **ask)
    target = 0.5 * free.objective
    least = float(free.reference.sel(channel="c1").sum()) * 2.5
    limits = [mm.constraints.minimum_if_on({"c1": least})]
    plan = mm.optimize(fit, target=target, constraints=limits, **ask)
    spent = float(plan.optimized.sel(channel="c1").sum())
    assert spent == pytest.approx(0.0, abs=1e-6) or spent >= least * (1 - 1e-9)
    assert plan.objective >= target * (1 - 1e-9)
    options = [{"c1": (0.0, 0.0)}, {"c1": (least, 3 * least)}]
    alone = []
    for option in options:  # each of the two by itself, an oracle for the choice
        bounds = {"*": (0, 3)} | option
        alone.append(mm.optimize(fit, target=target, periods=6, bounds=bounds))
    totals = [float(p.optimized.sum()) for p in alone]
    np.testing.assert_allclose(float(plan.optimized.sum()), min(totals), rtol=1e-5)

    group = [mm.constraints.group(["c0", "c2"], at_least=0.4 * free.budget)]
    plan = mm.optimize(fit, target=1.0, constraints=group, **ask)  # the limit alone is more
    np.testing.assert_allclose(float(plan.optimized.sum()), 0.4 * free.budget, rtol=1e-6)


def test_requests_that_cannot_be_planned_are_refused():
    fit = make_fit()
    bad = [
        ({"periods": 0}, "periods"),
        ({"budget": 1.0, "bounds": {"c0": (5.0, 9.0)}}, "below the sum of the lower"),
        ({"budget": np.nan}, "budget"),
        ({"bounds": {"c9": (0.0, 1.0)}}, '"c0", "c1" and "c2"'),
        ({"bounds": {"c0": (-1.0, 1.0)}}, "at least 0"),
        ({"utility": "value_at_risk(level=1.5)"}, "level"),
        ({"utility": "mean_respons"}, "mean_response"),
        ({"utility": lambda samples, money: samples}, "utility"),
        ({"utility": lambda samples, money: samples.mean() * jnp.nan}, "utility"),
        ({"target": 1e30}, "at most"),
        ({"probability": 0.9}, "target"),
        ({"target": 1e3, "utility": "sharpe"}, "leave the utility out"),
        ({"flighting": [1.0, 2.0]}, "flighting"),
        ({"constraints": [mm.constraints.group(["c0"], at_least=1e12)]}, "c0"),
    ]
    for change, words in bad:
        with pytest.raises(mm.InputError) as error:
            mm.optimize(fit, **({"periods": 6} | change))
        assert words in str(error.value), (change, str(error.value))
        assert len(str(error.value)) < 600


@pytest.mark.slow(parts=6)
def test_never_worse_than_a_feasible_reference():
    fit = make_fit(seed=5)
    for utility in ("sharpe", "-tail_distance()"):
        plan = mm.optimize(fit, periods=6, bounds=0.2, utility=utility, starts=1)
        assert plan.objective >= plan.reference_objective
    changed = dataclasses.replace(fit, seed=1)
    assert mm.optimize(changed, periods=6).certified
