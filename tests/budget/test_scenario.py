"""What a plan says of itself: table, JSON and text."""

import dataclasses
import json
import math

import numpy as np
import pytest
import xarray as xr

import mmmjax as mm
from mmmjax.budget import record
from mmmjax.budget.wording import short
from tests.adequacy.worlds import fit_of
from tests.budget.cases import make_fit


@pytest.fixture(scope="module")
def plan():
    return mm.optimize(make_fit(geos=2), periods=8, fixed={"c1": 500.0})


def test_a_plan_of_a_contradicted_model_says_so_wherever_it_claims():
    """In the text, in plan.json; not where the model fits, nor of draws of media alone."""
    noise = np.random.default_rng(3).normal(size=120)
    for left, held in ((noise + 4.0 * (np.arange(120) > 60), True), (noise, False)):
        made = mm.optimize(fit_of(left=left), periods=8)
        told, text = made.to_dict(), str(made)
        words = "if the model holds, which the residuals contradict"
        assert (told["condition"] == words) == held == (not told["adequate"])
        assert (words in text) == held
        assert ("Not adequate: " in text) == held
    alone = mm.optimize(make_fit(), periods=8)
    assert (alone.fits, alone.to_dict()["adequate"]) == ((), None)
    two = mm.optimize({"a": fit_of(left=noise), "b": fit_of(left=noise)},
                      periods=8)  # fmt: skip
    assert two.n_fits == 2
    assert two.to_dict()["adequate"]


def test_plans_of_many_markets_say_that_nothing_was_judged(monkeypatch):
    monkeypatch.setattr(record, "JUDGED", 1)
    fit = fit_of()
    made = mm.optimize({"a": fit, "b": fit}, periods=8)
    assert (made.fits, made.n_fits) == ((), 2)
    assert made.to_dict()["adequate"] is None
    assert "whether the data contradict these 2 models is not judged here" in str(made)
    assert made.to_dict()["condition"] == record.UNJUDGED
    assert record.UNJUDGED in str(made)


def test_a_plan_of_draws_that_cannot_be_used_says_so():
    few, rng = fit_of(), np.random.default_rng(5)
    many = {
        name: x.mean((0, 1)) * (1 + 0.02 * rng.normal(size=(2, 600, *x.shape[2:])))
        for name, x in few.draws.params.items()
    }
    plenty = dataclasses.replace(few, draws=dataclasses.replace(few.draws, params=many))
    for fit, well in ((few, False), (plenty, True)):
        made = mm.optimize(fit, periods=8)
        assert made.to_dict()["sampled"] == well
        assert ("Not sampled well: R-hat" in str(made)) == (not well)


def test_frame_has_the_columns_of_plan_csv(plan):
    frame = plan.to_frame()
    assert list(frame) == ["geo", "channel", "reference", "optimized", "lower", "upper"]
    assert list(frame["geo"]) == ["g0"] * 3 + ["g1"] * 3
    assert list(frame["channel"]) == ["c0", "c1", "c2"] * 2
    np.testing.assert_array_equal(frame["optimized"], plan.optimized.values.ravel())
    assert frame["optimized"].sum() == pytest.approx(plan.budget)
    assert frame.loc[frame["channel"] == "c1", "optimized"].sum() == pytest.approx(500.0)


def test_dict_is_the_content_of_plan_json(plan):
    table = json.loads(json.dumps(plan.to_dict(), allow_nan=False))
    assert table["objective"] == plan.objective
    assert table["gap_bound"] / table["objective"] <= 1e-6
    assert (table["status"], table["utility"]) == ("converged", "mean_response()")
    assert table["constraint_residuals"]["budget"] <= 1e-9 * plan.budget
    assert table["constraint_residuals"]["bounds"] == 0.0
    assert table["currency"] == "EUR"
    for name in ("reference", "optimized"):
        draws = plan.response.sel(plan=name).values
        said = table["response"][name]
        assert said["mean"] == pytest.approx(draws.mean())
        assert said["sd"] == pytest.approx(draws.std(ddof=1))
        assert said["quantiles"]["0.5"] == pytest.approx(np.median(draws))
    assert table["response"]["optimized"]["mean"] == pytest.approx(plan.objective)


def test_text_says_what_to_spend_and_how_sure(plan):
    text = repr(plan)
    for part in ("EUR over 8 periods", "carry-in zero", "g1   c2", "fixed", "certified",
                 "for one more EUR", "breaks what is fixed (c1)", "reference: past spend (",
                 "search within the model, not about the data"):  # fmt: skip
        assert part in text


def test_text_of_a_large_panel_is_by_channel():
    plan = mm.optimize(make_fit(4, geos=5), periods=8)
    text = repr(plan)
    assert "\n  g4" not in text
    assert "of 5 geos" in text
    assert len(text.splitlines()) < 14
    assert len(plan.to_frame()) == 20


def test_per_period_is_said_and_kept():
    fit = make_fit()
    total = mm.optimize(fit, periods=8)
    each = mm.optimize(fit, periods=8, per_period=True)
    np.testing.assert_allclose(each.optimized, total.optimized / 8)
    assert each.budget == pytest.approx(total.budget / 8)
    assert each.objective == pytest.approx(total.objective, rel=1e-12)
    assert each.shadow_price == pytest.approx(total.shadow_price)
    assert "a period over 8" in repr(each)
    assert each.to_dict()["unit"] == "money a period"


def test_multiplier_is_empty_without_reference_spend():
    plan = mm.optimize(
        make_fit(), periods=8, reference={"c0": 1e4, "c1": 1e3, "c2": 0.0},
        bounds={"c2": (0.0, math.inf)},
    )  # fmt: skip
    assert np.isnan(plan.multiplier.sel(channel="c2")).all()
    assert plan.optimized.sel(channel="c2") > 0


def with_gains(plan, gains):
    """The plan with other draws: the reference brings 1e9 in each."""
    draws = 1e9 + np.stack([np.zeros(len(gains)), gains])
    return dataclasses.replace(plan, response=xr.DataArray(
        draws, {"plan": ["reference", "optimized"]}, ("plan", "sample")))  # fmt: skip


def test_gain_is_over_draws_of_the_difference(plan):
    gains = np.random.default_rng(0).normal(1e6, 2e6, 500)
    found = with_gains(plan, gains)
    ordered, inside = np.sort(gains), 470  # the narrowest window of 94% of 500 draws
    starts = np.arange(500 - inside)
    widths = ordered[inside + starts] - ordered[starts]
    first = int(widths.argmin())
    assert found.gain.mean == pytest.approx(gains.mean())
    assert found.gain.lo == pytest.approx(ordered[first])
    assert found.gain.hi == pytest.approx(ordered[first + inside])
    assert found.probability_better == (gains > 0).mean()
    said = found.to_dict()
    assert said["gain"] == found.gain._asdict()
    assert said["probability_better"] == found.probability_better
    better = f"better with probability {found.probability_better:.2f}: not decisive"
    assert better in repr(found)
    mean, lo, hi = (f"{x / 1e6:+.2f} M" for x in found.gain)
    assert f"gain       {mean} sales (94% interval {lo} to {hi})" in repr(found)


@pytest.mark.parametrize("negative, decisive", [(10, True), (11, False)])
def test_not_decisive_below_nine_in_ten(plan, negative, decisive):
    gains = np.where(np.arange(100) < negative, -1.0, 2.0)
    assert ("not decisive" in repr(with_gains(plan, gains))) is not decisive


def test_gain_of_one_draw_and_of_the_reference_itself(plan):
    assert with_gains(plan, np.array([5.0])).gain == (5.0, 5.0, 5.0)
    same = mm.optimize(make_fit(), periods=8, bounds=0.0)
    assert "none: the plan is the reference" in repr(same)
    assert same.probability_better <= 1.0


@pytest.mark.parametrize("per_period", [False, True])
def test_spend_above_the_largest_period_of_training_is_named(per_period):
    fit = make_fit(geos=2)
    largest = fit.panel.spend.max(1)
    wanted = np.array([[0.5, 2.0, 1.0], [0.9, 3.0, 0.1]]) * largest
    given = wanted if per_period else wanted * 8
    plan = mm.optimize(fit, periods=8, reference=given, bounds=0.0, per_period=per_period)
    np.testing.assert_allclose(plan.largest, largest)
    expected = [[np.nan, 2.0, np.nan], [np.nan, 3.0, np.nan]]
    np.testing.assert_allclose(plan.extrapolated, expected)
    said = plan.to_dict()["extrapolated"]
    assert [(row["geo"], row["channel"]) for row in said] == [("g0", "c1"), ("g1", "c1")]
    assert said[1]["spend"] == pytest.approx(3 * said[1]["largest"])
    assert said[1]["largest"] == pytest.approx(largest[1, 1])
    text = plan.text("week")
    assert "c1 in 2 of 2 geos, most in g1: " in text
    assert "EUR a week, largest so far" in text
    assert text.count("not data") == 1
    assert "beyond" not in repr(mm.optimize(fit, periods=8, bounds=0.0))


def test_largest_period_follows_the_prices_of_the_window():
    fit = make_fit()
    plain = mm.optimize(fit, periods=8)
    now = 2 * fit.scale.cost_per_unit[0, 0]
    dear = mm.optimize(fit, periods=8, cost_per_unit={"c0": now})
    np.testing.assert_allclose(dear.largest / plain.largest, [[2.0, 1.0, 1.0]])


def test_spend_where_there_was_none_is_beyond_too(plan):
    found = dataclasses.replace(plan, largest=0 * plan.largest)
    assert np.isinf(found.extrapolated).all()


def test_reference_says_what_it_is_and_what_it_breaks():
    fit, given = make_fit(), {"c0": 100.0, "c1": 200.0, "c2": 300.0}
    past = mm.optimize(fit, periods=8)
    scaled = mm.optimize(fit, periods=8, budget=4e7)
    told = mm.optimize(
        fit, periods=8, reference=given, budget=500.0, bounds={"c1": (0, 150)},
        fixed={"c2": 290.0},
    )  # fmt: skip
    kinds = ["past spend", "past split scaled to the budget", "as given"]
    assert [p.to_dict()["reference_is"] for p in (past, scaled, told)] == kinds
    assert "reference: past split scaled to 40.0 M\n" in repr(scaled)
    assert "reference: as given (600)\n" in repr(told)
    total = f"{float(past.reference.sum()):,.0f}"
    assert f"reference: past spend ({total})\n" in repr(past)
    assert past.reference_feasible
    assert past.reference_breaks == {}
    assert "note" not in repr(past)
    assert told.reference_breaks == {"bounds": ["c1"], "fixed": ["c2"], "budget": []}
    assert told.to_dict()["reference_breaks"] == ["bounds", "fixed", "budget"]
    assert not told.to_dict()["reference_feasible"]
    words = "breaks the bounds (c1) and what is fixed (c2) and the budget (it spends 600, "
    assert words + "not 500)" in repr(told)


def test_gap_of_nothing_is_said_in_words(plan):
    text = repr(dataclasses.replace(plan, gap_bound=0.0))
    assert "certified: no better plan to rounding" in text
    assert "0.0e+00" not in text
    assert "by more than 1.0e-03" in repr(
        dataclasses.replace(plan, gap_bound=1e-3 * plan.objective)
    )


def test_amounts_in_words():
    assert short(1.5e6) == "1.50 M"
    assert short(4e7) == "40.0 M"
    assert short(1.234e10) == "12.3 bn"
    assert short(1234.4) == "1,234"
    assert short(1e5, "+", 3e7) == "+0.10 M"
