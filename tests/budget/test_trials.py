"""Which test next: against closed forms, the value of knowing all, and tests by hand."""

import tomllib
from dataclasses import replace

import numpy as np
import pytest

import mmmjax as mm
from mmmjax.budget.regret import prepared_for
from mmmjax.budget.trials import (
    brought_by,
    candidates_of,
    placebo_error,
    values_of,
    weights_of,
)
from mmmjax.checks import InputError
from mmmjax.facts import read
from tests.fits import make_fit, make_panel

ASKED = {"periods": 4, "bounds": 0.5, "max_draws": 24}


def fit(geos=("north", "süd"), draws=12):
    return make_fit(draws=draws, panel=make_panel(geos, periods=30))


@pytest.mark.parametrize("error", [0.5, 1.0, 3.0])
def test_contraction_of_a_normal_is_the_closed_form(error):
    """Var(d | y) of d ~ N(0, 1), y ~ N(d, s) is s^2 / (1 + s^2)."""
    d = np.random.default_rng(3).standard_normal((20_000, 1))
    (weight,) = weights_of(d, np.array([error]), 0)
    mean = weight @ d[:, 0]
    after = (weight @ d[:, 0] ** 2 - mean**2).mean()
    assert after == pytest.approx(error**2 / (1 + error**2), rel=0.03)
    between = mean.var()  # of what is expected after each result
    assert between == pytest.approx(1 / (1 + error**2), rel=0.25)


def test_a_result_that_tells_all_is_worth_what_knowing_all_is():
    one = fit()
    known = mm.knowledge(one, **ASKED, channels=False)
    every = np.eye(24)[None]
    value = values_of(prepared_for(one, None, dict(ASKED)), every)
    assert value.mean() == pytest.approx(float(known["evpi"]), rel=1e-4)
    nothing = values_of(prepared_for(one, None, dict(ASKED)), np.full((1, 2, 24), 1 / 24))
    assert np.abs(nothing).max() < 1e-6 * float(known["response"].mean())


@pytest.mark.parametrize("geos", [("north",), ("north", "süd", "west")])
def test_what_a_test_brings_is_the_difference_of_two_histories(geos):
    one = fit(geos)
    found, _ = candidates_of(one, ["TV"], [0.5], [3], [0.5], 2, 0)
    brought = brought_by(one, [found[0].fact])[:, 0]
    own = [g for g, name in enumerate(geos) if name in (found[0].fact.geos or geos)]
    media, spend = one.panel.media.copy(), one.panel.spend.copy()
    media[own, -5:-2, 0] *= 0.5
    spend[own, -5:-2, 0] *= 0.5
    panels = (replace(one.panel, media=media, spend=spend), one.panel)
    test, control = (mm.contributions(one, panel)["channel_total"] for panel in panels)
    gain = (test - control).sum(["geo", "channel"]).to_numpy().ravel()
    np.testing.assert_allclose(brought, gain, rtol=1e-5)
    assert found[0].spend == pytest.approx(-one.panel.spend[own, -5:-2, 0].sum() / 2)


def test_the_error_of_a_placebo():
    rng = np.random.default_rng(0)
    alone = rng.standard_normal((1, 4000))
    assert placebo_error(alone, [0], 9) == pytest.approx(3.0, rel=0.1)
    common = 5 * rng.standard_normal(4000)
    pair = np.stack([alone[0] + common, common])
    assert placebo_error(pair, [0], 9) == pytest.approx(3.0, rel=0.1)  # the others tell it


@pytest.mark.parametrize("geos", [("north",), ("north", "süd", "west")])
def test_tests_are_ranked_and_their_stub_is_a_fact_to_fill_in(geos):
    one = fit(geos)
    tests = mm.design_test(one, **ASKED, lengths=(3,), channels=["TV", "Search"])
    table = tests.table
    assert len(table) == 4
    assert list(table["value"]) == sorted(table["value"])[::-1]
    evpi = float(mm.knowledge(one, **ASKED, channels=False)["evpi"])
    assert table["value"].between(-1e-3 * evpi, 1.05 * evpi).all()
    assert table["power"].between(0.05 - 1e-9, 1).all()
    assert (table["geos"] == "ALL").all() == (len(geos) == 1)
    row = table[table["factor"] == 1.5].iloc[0]
    text = tests.stub(int(row["test"]))
    (fact,) = read(
        tomllib.loads(
            text.replace("result = ...", "result = 3.0").replace(
                "error = ...", "error = 1.0"
            )
        )["data"]["fact"]
    )
    assert fact.start > one.panel.dates[-1].date()
    assert fact.spend_control == ((row["channel"], ("x", pytest.approx(1 / 1.5, 1e-5))),)
    assert str(tests).startswith("test ")


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"channels": ["Mail"]}, 'channels: got "Mail"'),
        ({"factors": [1.0]}, "other than 1"),
        ({"lengths": [11]}, "lengths"),
        ({"parts": [1.0]}, "parts"),
    ],
)
def test_what_is_no_test_is_refused(asked, message):
    with pytest.raises(InputError, match=message):
        mm.design_test(fit(), **ASKED, **asked)
