# pyright: reportArgumentType=false, reportCallIssue=false
"""Values of the right place and the wrong kind: one clean message, or what was meant.

Found by giving every argument of the newer functions some sixty values. The runtime type
checker of the tests is off: users have none.
"""

import datetime
from decimal import Decimal

import jaxtyping
import numpy as np
import pandas as pd
import pytest

import mmmjax as mm
from mmmjax.checks import InputError
from tests.fits import make_fit, make_panel


@pytest.fixture(autouse=True)
def unchecked():
    """As users run it."""
    before = jaxtyping.config.jaxtyping_disable
    jaxtyping.config.update("jaxtyping_disable", True)
    yield
    jaxtyping.config.update("jaxtyping_disable", before)


@pytest.fixture(scope="module")
def fit():
    return make_fit(draws=30, panel=make_panel(geos=("national",), periods=20))


def refuse(call, field, *told):
    with pytest.raises(InputError) as error:
        call()
    message = str(error.value)
    assert message.startswith(field), message
    assert "Allowed: " in message
    for one in told:
        assert one in message
    assert len(message) < 700


# --- seeds and counts -----------------------------------------------------------------

NO_SEED = [-1, 0.5, float("nan"), float("inf"), 10**19, True, "1", Decimal("0.5"), [1]]
SEEDED = {
    "sample_prior": lambda fit, seed: mm.sample_prior(fit.spec, fit.panel, 5, seed),
    "prior_predictive": lambda fit, seed: mm.prior_predictive(fit.spec, fit.panel, 5, seed),
    "prior_posterior": lambda fit, seed: mm.prior_posterior(fit, seed=seed),
    "drift": lambda fit, seed: mm.drift(fit, fit, seed=seed),
    "stack": lambda fit, seed: mm.stack({"a": fit, "b": fit}, seed=seed),
    "design_test": lambda fit, seed: mm.design_test(fit, periods=4, seed=seed),
    "refresh": lambda fit, seed: mm.refresh(fit, fit.panel, seed=seed),
    "add_geos": lambda fit, seed: mm.add_geos(fit, fit.panel, seed=seed),
}


@pytest.mark.parametrize("name", SEEDED)
@pytest.mark.parametrize("seed", NO_SEED)
def test_a_seed_is_a_whole_number(fit, name, seed):
    refuse(lambda: SEEDED[name](fit, seed), "seed: got")


def test_a_seed_of_any_library_is_the_number_that_it_is(fit):
    draws = [
        mm.sample_prior(fit.spec, fit.panel, 5, seed).draws.params["intercept"]
        for seed in (3, np.int8(3), np.uint64(3), 3.0)
    ]
    for other in draws[1:]:
        np.testing.assert_array_equal(other, draws[0])


@pytest.mark.parametrize("count", [0, -1, 1.5, float("nan"), "3", True, None])
def test_counts_are_counts(fit, count):
    refuse(lambda: mm.prior_posterior(fit, draws=count), "draws: got")
    refuse(lambda: mm.sample_prior(fit.spec, fit.panel, draws=count), "draws: got")
    refuse(lambda: mm.curves(fit, points=count), "points: got")
    refuse(lambda: mm.decomposition(fit, memory=count), "memory: got")


def test_what_no_machine_holds_is_refused(fit):
    refuse(lambda: mm.curves(fit, points=10**19), "points: got")
    for draws in (10**12, 10**308, 1e308):
        refuse(lambda d=draws: mm.sample_prior(fit.spec, fit.panel, draws=d), "draws: got")
    refuse(lambda: mm.design_test(fit, periods=4, lengths=(4,), tail=10**19), "tail: got")


# --- arrays, tables, names ------------------------------------------------------------


@pytest.mark.parametrize(
    "wrong", ["", "x", [], [1.0], [None], ["a"], np.ones((2, 2)), set()]
)
def test_crps_of_what_does_not_match(fit, wrong):
    predicted = np.ones((5, 1, 20))
    refuse(lambda: mm.crps(wrong, predicted), ("observed", "predicted"))
    refuse(lambda: mm.crps(np.ones((1, 20)), wrong), "predicted: got")
    assert mm.crps(np.ones(20), predicted) == 0
    assert mm.crps([1] * 20, predicted.tolist()) == 0


@pytest.mark.parametrize("table", [pd.DataFrame(), pd.DataFrame({"mean": [1.0]})])
def test_a_table_that_is_no_summary_of_the_fit(fit, table):
    good = mm.summary(fit)
    for wrong in (table, good.iloc[1:], good.drop(columns="r_hat")):
        refuse(lambda t=wrong: mm.diagnostics(fit, t), "table: got", "mm.summary(fit)")
        refuse(lambda t=wrong: mm.prior_posterior(fit, t), "table: got", "mm.summary(fit)")
    assert mm.diagnostics(fit, good) == mm.diagnostics(fit)


NO_NAMES = [
    3,
    0.5,
    True,
    b"N",
    [1],
    ["N", None],
    np.array([0.5]),
    {"N": 1},
    pd.NaT,
    [" "],
    "",
]


@pytest.mark.parametrize("wrong", [*NO_NAMES, "", "N", np.array([]), object()])
def test_lists_of_names_in_terms(wrong):
    dates = {"launch": "2024-03-04"}
    refuse(lambda: mm.terms.Events(dates, geos=wrong), "events geos: got")
    refuse(lambda: mm.terms.Holidays("DE", only=wrong), "holidays only: got")
    refuse(lambda: mm.terms.Holidays("DE", categories=wrong), "holidays categories: got")


@pytest.mark.parametrize("wrong", [{"N": 1}, {"N": None}, {"N": ("DE", "FR")}])
def test_countries_are_codes(wrong):
    refuse(lambda: mm.terms.Holidays(wrong), "holidays country: got")


def test_media_terms_take_records_and_names():
    for wrong in (np.array([0.5]), pd.Series([0.5]), "process", 3, [1], {"a": 1}):
        refuse(lambda w=wrong: mm.terms.Media(moving=w), "moving")
    two = [mm.moving.Process(), mm.moving.Seasons()]
    assert mm.terms.Media(moving=two) == mm.terms.Media(moving=tuple(two))
    named = mm.terms.Media(channels=np.array(["TV"]))
    assert named == mm.terms.Media(channels=["TV"])


@pytest.mark.parametrize("wrong", [*NO_NAMES, ""])
def test_channels_and_geos_of_lift_tests(wrong):
    asked = {
        "channel": "TV", "start": "2023-02-06", "end": "2023-02-27", "result": 1.0,
        "of": "total", "spend_control": 0.0, "error": 1.0,
    }  # fmt: skip
    for field in ("channel", "geos"):
        refuse(lambda f=field: mm.facts.LiftTest(**(asked | {f: wrong})), f"{field}")
    many = mm.facts.LiftTest(**(asked | {"channel": np.array(["TV", "Radio"])}))
    assert many.channel == ("TV", "Radio")


@pytest.mark.parametrize(
    "wrong", [[1], np.array([1]), {}, {"a": 1}, range(3), 3, 1.5, True]
)
def test_a_day_is_no_number(wrong):
    studies = [{"mean": 2.0, "error": 0.4, "date": "2025-03-01"}]
    refuse(lambda: mm.combine_studies(studies, now=wrong, half_life=2.0), "now: got")
    for right in ("2025-06-01", datetime.date(2025, 6, 1), np.datetime64("2025-06-01")):
        assert mm.combine_studies(studies, now=right, half_life=2.0)


@pytest.mark.parametrize("wrong", ["", 3, pd.NA, np.array([]), pd.DataFrame(), ["a"]])
def test_the_name_of_a_utility_is_a_text(wrong):
    refuse(lambda: mm.utility.custom(lambda s, b: s.mean(), name=wrong), "name: got")


# --- plans ----------------------------------------------------------------------------


@pytest.mark.parametrize("wrong", [["x"], ["2020"], [None], np.ones((2, 2)), [True]])
def test_levels_of_budgets_are_numbers(fit, wrong):
    refuse(lambda: mm.scenarios(fit, wrong, periods=4), "budgets: got")
    refuse(lambda: mm.frontier(fit, wrong, periods=4), "budget")


def test_what_a_forecast_of_a_plan_is_compared_with(fit):
    plan = mm.optimize(fit, budget=500.0, periods=4, starts=1)
    for wrong in (
        10**400,
        1j,
        "x",
        {},
        {"TV": 1.0},
        pd.Timestamp("2024-01-01"),
        [0.5, "x"],
    ):
        refuse(lambda w=wrong: mm.forecast_plan(fit, plan, reference=w), "reference: got")
    asked = {"budget": 5.0, "periods": 4, "reference": 10**400}
    refuse(lambda: mm.optimize(fit, **asked), "reference")


def test_a_series_is_a_dict_and_an_array_a_list(fit):
    changed = [mm.reweight(fit, one) for one in ({"TV": 1.2}, pd.Series({"TV": 1.2}))]
    assert changed[0].data_hash() == changed[1].data_hash()
    several = [mm.constraints.group(one, at_most=5.0) for one in (["TV"], np.array(["TV"]))]
    assert several[0] == several[1]
    empty = mm.transfer(fit, fit.panel, channels=pd.Series(dtype=object))
    assert empty.data_hash() == mm.transfer(fit, fit.panel, channels={}).data_hash()
