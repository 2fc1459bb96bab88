"""Many plans at once: each of them is the plan that is made alone."""

import inspect
from typing import get_type_hints

import jax
import numpy as np
import pytest

import mmmjax as mm
from mmmjax.budget import many, record, wording
from mmmjax.budget.compare import scenarios_table
from mmmjax.budget.prepare import Asked, prepare
from tests.adequacy.worlds import fit_of
from tests.budget.cases import make_fit

FIT = make_fit()
HOW = {"periods": 6, "bounds": (0, 3), "reference": {"c0": 2e3, "c1": 1e3, "c2": 3e3}}
LEVELS = [3e3, 6e3, 9e3]


def same_plan(found, plan, rtol=1e-6):
    """One point of a table against a plan made alone."""
    np.testing.assert_allclose(found.objective, plan.objective, rtol=rtol)
    np.testing.assert_allclose(found.reference_objective, plan.reference_objective)
    brought = plan.response.sel(plan="optimized").mean()
    np.testing.assert_allclose(found.response_mean, brought, rtol=rtol)
    assert bool(found.certified) == plan.certified
    # flat at the optimum: an objective within 1e-6 leaves 1e-3 of the money open
    atol = 2e-3 * plan.budget
    np.testing.assert_allclose(
        found.spend.values.reshape(-1), plan.optimized.values.reshape(-1), atol=atol
    )


def test_every_budget_is_planned_as_if_alone():
    found = mm.frontier(FIT, LEVELS, **HOW)
    assert found.sizes["budget"] == 3
    for level in LEVELS:
        same_plan(found.sel(budget=level), mm.optimize(FIT, budget=level, **HOW))
    assert (np.diff(found.objective) > 0).all()
    assert (np.diff(found.shadow_price) < 0).all()  # every next unit brings less


def test_python_logging_hears_phases_and_what_is_found(caplog):
    said = lambda event: [
        (r.levelname, r.getMessage()) for r in caplog.records if r.event == event
    ]
    with caplog.at_level("INFO", "mmmjax"):
        plan = mm.optimize(FIT, budget=1.7e4, **HOW)
        assert said("phase") == [("INFO", "search")]
        (proof, *others) = said("finding")
        assert proof == ("INFO", f"proof: {wording.proof(plan)}")
        assert {level for level, _ in others} == {"WARNING"}
        assert any(text.startswith("beyond: c") for _, text in others)
        assert all(text.removeprefix("beyond: ") in repr(plan) for _, text in others)
        caplog.clear()
        mm.optimize(FIT, utility="sharpe", starts=2, **HOW)
        assert said("finding")[0][0] == "WARNING"  # nothing is proven
        caplog.clear()
        mm.frontier(FIT, LEVELS, **HOW)
        assert said("phase") == [("INFO", "search of 3 plans")]
        assert said("finding")[-1] == ("INFO", "proof: 3 of 3 plans certified")
        caplog.clear()
        mm.knowledge(FIT, max_draws=8, channels=False, **HOW)
        assert said("phase") == [("INFO", "search of every draw's plan")]


@pytest.mark.parametrize(
    "limits",
    [
        {},
        {"up_to": True, "until_mroas": 50.0},
        {"constraints": [mm.constraints.group(["c0", "c1"], at_most=0.4)]},
    ],
    ids=["budget", "mroas", "group"],
)
def test_shadow_price_is_what_a_little_more_brings(limits):
    level, step = 6e3, 6.0
    asked = HOW | limits
    found = mm.frontier(FIT, [level], tolerance=1e-10, **asked).isel(budget=0)
    plan = mm.optimize(FIT, budget=level, tolerance=1e-12, **asked)
    np.testing.assert_allclose(found.shadow_price, plan.shadow_price, rtol=1e-4)
    if limits.get("until_mroas"):  # not all is spent: the last unit brings the target
        assert float(plan.optimized.sum()) < 0.99 * plan.budget
        np.testing.assert_allclose(plan.shadow_price, 50.0, rtol=1e-4)
    else:
        less, more = (
            mm.optimize(FIT, budget=level + change, tolerance=1e-12, **asked)
            for change in (-step, step)
        )
        slope = (more.objective - less.objective) / (2 * step)
        np.testing.assert_allclose(plan.shadow_price, slope, rtol=1e-3)


@pytest.mark.slow
def test_alphas_price_the_tail():
    alphas = [0.0, 0.5, 1.0]
    found = mm.frontier(FIT, alphas=alphas, **HOW)
    assert found.alpha.values.tolist() == alphas
    mean = mm.optimize(FIT, **HOW)
    np.testing.assert_allclose(found.objective[0], mean.objective, rtol=1e-5)
    for i, alpha in enumerate(alphas[1:], start=1):
        utility = mm.utility.mean_tightness(alpha=alpha)
        alone = mm.optimize(FIT, utility=utility, **HOW)
        np.testing.assert_allclose(found.objective[i], alone.objective, rtol=1e-3)


@pytest.mark.slow(parts=6)
def test_no_plan_of_a_frontier_is_beaten_by_that_of_a_neighbour():
    fit, alphas = make_fit(4, draws=60, seed=7), np.linspace(0.0, 1.2, 5)
    ask = {"periods": 6, "bounds": (0.3, 2.0)}
    utilities = [mm.utility.mean_tightness(alpha=float(a)) for a in alphas]
    found = mm.frontier(fit, alphas=alphas, **ask)
    plans = {f"{a:g}": spend for a, spend in zip(alphas, found.spend.values, strict=True)}
    seen = mm.evaluate(fit, plans, periods=6, utilities=utilities).utility_value.values
    own = np.diagonal(seen)
    np.testing.assert_allclose(own, found.objective, rtol=1e-9)
    others = np.array([np.delete(seen[:, i], i).max() for i in range(len(alphas))])
    assert (own >= others - 1e-6 * np.abs(own)).all()
    alone = mm.optimize(fit, utility=utilities[-1], **ask)
    assert found.objective[-1] >= alone.objective - 1e-4 * abs(alone.objective)


def test_tables_of_plans_carry_what_they_are_subject_to():
    noise = np.random.default_rng(3).normal(size=120)
    broken, good = fit_of(left=noise + 4.0 * (np.arange(120) > 60)), fit_of(left=noise)
    words = "if the model holds, which the residuals contradict"
    found = mm.scenarios({"a": broken, "b": good, "c": FIT}, periods=6)
    assert found.condition.values.tolist() == [words, "", ""]
    assert mm.frontier(broken, [1e3, 2e3], periods=6).condition.item() == words
    for fit, held in ((broken, words), (good, "")):
        seen = mm.evaluate(fit, None, periods=6)
        assert seen.attrs["condition"] == held
        assert set(scenarios_table(seen).condition) == {held}


def test_tables_of_too_many_markets_say_that_nothing_was_judged(monkeypatch):
    monkeypatch.setattr(record, "JUDGED", 1)
    fits = {"a": fit_of(), "b": fit_of()}
    assert set(mm.scenarios(fits, periods=6).condition.values) == {record.UNJUDGED}
    assert mm.evaluate(fits, None, periods=6).attrs["condition"] == record.UNJUDGED


@pytest.mark.slow(parts=6)
def test_markets_of_different_shapes_share_a_table():
    fits = {"de": FIT, "fr": make_fit(seed=4), "ch": make_fit(2, 1, seed=5)}
    utilities = ["mean_response", "conditional_value_at_risk(level=0.8)"]
    ask = {"periods": 6, "bounds": (0, 3)}
    found = mm.scenarios(fits, [2e3, 4e3], utilities, **ask)
    assert dict(found.sizes)["market"] == 3
    assert found.spend.dims == ("market", "utility", "budget", "geo", "channel")
    for market, fit in fits.items():
        for u, utility in enumerate(utilities):
            plan = mm.optimize(fit, budget=4e3, utility=utility, **ask)
            one = found.sel(market=market, budget=4e3).isel(utility=u)
            np.testing.assert_allclose(one.objective, plan.objective, rtol=1e-5)
            assert one.certified
    missing = found.spend.sel(market="ch", channel="c2")
    assert missing.isnull().all()  # no such channel there, which is not a spend of 0
    assert found.spend.sel(market="de").isel(geo=0).notnull().all()


def test_a_second_table_compiles_nothing():
    mm.frontier(FIT, LEVELS, **HOW)
    before = many._lanes._cache_size()
    mm.frontier(make_fit(seed=9), [4e3, 5e3, 8e3], **(HOW | {"bounds": (0.5, 2)}))
    assert many._lanes._cache_size() == before


def test_memory_does_not_grow_with_the_number_of_plans():
    """Working memory of the compiled program, apart from its arguments and results."""

    def working(count):
        cube = [prepare(FIT, budget=1e3 + i, **HOW) for i in range(count)]
        lanes = many._stacked([many._lane(p, 0) for p in cube])
        problem, _, _ = many.scaled_problem(cube[0])
        windows = many._stacked([cube[0].window])
        problem = problem._replace(window=windows, utility=None)
        starts = many.starts_of(cube[0], problem, 8, 0)
        known = many.Known(np.full(count, -np.inf), np.zeros_like(lanes.reference))
        arrays = lanes, known, lanes.reference[0], starts
        how = {"kind": cube[0].kind, "starts": 8, "batched": False}
        lowered = many._lanes.lower(problem, *arrays, 1e-6, 10_000, **how)
        return lowered.compile().memory_analysis().temp_size_in_bytes

    with jax.enable_x64(True):
        few, lots = working(4), working(400)
    assert lots < few * 1.5 + 400 * 256  # some hundred bytes a plan, not its draws


def test_requests_that_cannot_be_planned_are_refused():
    bad = [
        (lambda: mm.frontier(FIT, **HOW), "exactly one of them"),
        (lambda: mm.frontier(FIT, [1e3], alphas=[0.1], **HOW), "exactly one of them"),
        (lambda: mm.frontier(FIT, [], **HOW), "budgets"),
        (lambda: mm.frontier(FIT, [1e3, np.nan], **HOW), "budget"),
        (lambda: mm.frontier(FIT, [1e3, -1.0], **HOW), "budget"),
        (lambda: mm.frontier(FIT, alphas=[-1.0], **HOW), "alpha"),
        (lambda: mm.scenarios({}, [1e3], **HOW), "fits"),
        (lambda: mm.scenarios(FIT, [1e3], [], **HOW), "utilities"),
        (
            lambda: mm.frontier(
                FIT, [1e3], constraints=[mm.constraints.minimum_if_on({"c0": 5.0})], **HOW
            ),
            "one by one",
        ),
    ]
    for ask, words in bad:
        with pytest.raises(mm.InputError) as error:
            ask()
        assert words in str(error.value), str(error.value)


def test_one_description_of_a_plan():
    """Whatever `optimize` takes to describe a plan, tables of plans take too."""
    described = set(get_type_hints(Asked))
    taken = set(inspect.signature(prepare).parameters) - {"fits", "window"}
    search = {"fit", "target", "probability", "starts", "seed", "tolerance"}
    search |= {"max_evaluations", "levers", "controls"}  # a search over margins around it
    assert described == taken
    assert described == set(inspect.signature(mm.optimize).parameters) - search
