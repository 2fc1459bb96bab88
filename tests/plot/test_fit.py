"""What is drawn of the fit: predictions against data, and the state of the draws."""

import json

import numpy as np
import pandas as pd
import pytest

from mmmjax import plot
from mmmjax.checks import InputError
from mmmjax.plot.fit import bands
from mmmjax.plot.picture import to_png
from tests.plot import examples
from tests.plot.examples import layers_of, legend_of, params_of, rows_of, words_of

NASTY = 'O\'Neil "x" [1] .a <b>'


def test_fitted_holds_both_windows_and_marks_the_test():
    training, test = examples.forecast(), examples.forecast(6)
    drawn = plot.fitted(training, test, outcome="sales", period="week")
    rows = rows_of(drawn)
    for part, table in ((~rows["after"], training), (rows["after"], test)):
        for name in ("observed", "mean", "lo", "hi"):
            np.testing.assert_allclose(
                rows.loc[part, name].astype(float), table[name], equal_nan=True
            )
        assert pd.to_datetime(rows.loc[part, "date"]).tolist() == table["date"].tolist()
    title, unit, about = words_of(drawn)
    assert title == "Observed and predicted"
    assert unit == "sales a week; 94% of the points should lie in the band"
    assert "100% of the observations of training" in about
    assert about.endswith("then test, not fitted")
    assert '"test, not fitted"' in json.dumps(drawn.to_dict())
    ahead = plot.fitted(training, test.assign(observed=np.nan))
    assert words_of(ahead)[2].endswith("then forecast")
    assert {"hidden", "since"} == params_of(drawn)
    assert list(legend_of(drawn)) == ["observed", "predicted mean", "94% of predictions"]


def test_every_series_is_hidden_by_its_name_in_the_legend():
    drawn = plot.fitted(examples.predicted())
    named = [
        json.loads(t["calculate"])
        for x in layers_of(drawn)
        for t in x.get("transform", ())
        if t.get("as") == "series"
    ]
    assert sorted(named) == sorted(legend_of(drawn))


def test_fitted_without_test_has_no_test_window():
    drawn = plot.fitted(examples.forecast(), width=480)
    assert not [x for x in layers_of(drawn) if x["mark"]["type"] == "rect"]
    assert drawn.to_dict()["width"] == 480


def test_geos_are_a_choice_with_their_sum_first():
    table = pd.concat([examples.forecast(geo=g) for g in ("north", NASTY, "ALL")])
    drawn = plot.fitted(table)
    (choice,) = (x for x in drawn.to_dict()["params"] if x["name"] == "geo")
    assert choice["value"] == "ALL"
    assert choice["bind"]["options"] == ["ALL", "north", NASTY]
    assert len(rows_of(drawn)) == 18
    one = plot.fitted(table, geo=NASTY)
    assert "geo" not in params_of(one)
    assert words_of(plot.forecast(table))[2].startswith("Total of all geos: 513 forecast")
    some = words_of(plot.forecast(table.loc[table["geo"] != "ALL"]))[2]
    assert some.startswith("Total of north: 513 forecast")
    assert len(rows_of(one)) == 6


def test_bands_of_draws_are_the_narrowest_intervals():
    found = examples.predicted()
    table, _ = bands(found)
    draws = found["outcome"].to_numpy()[:, :, 0].reshape(400, 6)
    np.testing.assert_allclose(table["mean"], draws.mean(0))
    for lo, hi, prob in (("lo", "hi", 0.94), ("inner_lo", "inner_hi", 0.5)):
        for t in range(6):
            x, inside = np.sort(draws[:, t]), int(prob * 400)
            best = min(range(400 - inside), key=lambda i: x[i + inside] - x[i])
            assert (table[lo][t], table[hi][t]) == (x[best], x[best + inside])
    numbers = table[["mean", "lo", "hi"]].to_numpy().T[:, None]
    summary = found.assign(outcome=(("summary", "geo", "date"), numbers))
    summary = summary.assign_coords(summary=["mean", "lo", "hi"])
    again, _ = bands(summary)
    np.testing.assert_allclose(again["hi"], table["hi"])
    assert "inner_lo" not in again
    names = list(legend_of(plot.fitted(found)))
    assert names[2:] == ["94% of predictions", "50% of predictions"]


def test_bands_are_in_order_of_date():
    table, _ = bands(examples.forecast().iloc[::-1].astype({"date": str}))
    assert table["date"].is_monotonic_increasing
    np.testing.assert_allclose(table["mean"], 100 + np.arange(6.0))


def test_prior_predictive_says_how_much_of_the_data_it_allows():
    found = examples.predicted()
    observed = found["observed"].to_numpy().copy()
    observed[0, :2] = 1000.0
    found["observed"] = (("geo", "date"), observed)
    drawn = plot.prior_predictive(found, outcome="sales")
    title, unit, about = words_of(drawn)
    assert title == "Sales that the priors alone expect, and the data"
    assert about.startswith("60% of the observations lie inside")  # 3 of 5 known
    assert about in unit
    np.testing.assert_array_equal(rows_of(drawn)["observed"].astype(float), observed[0])


def test_forecast_is_scored_over_what_was_observed():
    table = examples.forecast(6)
    table.loc[0, "observed"] = 200.0
    drawn = plot.forecast(table, examples.forecast(), before=2, outcome="sales")
    rows = rows_of(drawn)
    np.testing.assert_allclose(rows["mean"], [104, 105, *table["mean"]])
    assert rows["after"].tolist() == [False] * 2 + [True] * 6
    about = words_of(drawn)[2]
    known = table.dropna()
    mape = (np.abs(known["observed"] - known["mean"]) / known["observed"]).mean()
    assert about.startswith("Total: 513 forecast, 615 observed (-16.6%). 80% of the")
    assert about.endswith(f"mean error {mape:.1%}")
    assert "outside the 94% band" in legend_of(drawn)
    rings = [x for x in layers_of(drawn) if x["mark"].get("filled") is False]
    assert len(rings) == 1
    alone = plot.forecast(examples.forecast())
    assert "outside the 94% band" not in legend_of(alone)
    assert not [x for x in layers_of(alone) if x["mark"]["type"] == "rect"]


def test_forecast_of_the_future_has_nothing_to_score():
    table = examples.forecast(6).assign(observed=np.nan)
    assert words_of(plot.forecast(table, outcome="sales"))[1] == "sales a period"
    with pytest.raises(InputError, match="at least one period"):
        plot.forecast(table.head(0))


def test_convergence_shows_what_is_outside_the_limits():
    drawn = plot.convergence(examples.parameters(), chains=4)
    rows = rows_of(drawn)
    names = ["intercept", "saturation_beta[TV]", "saturation_beta[Search]"]
    assert rows["name"].tolist() == names
    np.testing.assert_allclose(rows["ess"], [1500, 900, 150])
    np.testing.assert_allclose(rows["r_hat"], [1.001, 1.002, 1.03])
    within, outside = legend_of(drawn)
    assert rows["state"].tolist() == [within, within, outside]
    title, unit, about = words_of(drawn)
    assert title == "Did the chains agree?"
    assert "effective draws at least 400" in unit
    assert "R-hat at most 1.030, at least 150 effective draws; 1 outside" in about
    assert [*rows_of(plot.convergence(examples.parameters(), chains=1))["state"]] == [
        within, within, outside,
    ]  # fmt: skip


def test_convergence_of_nothing_known_is_an_empty_picture():
    drawn = plot.convergence(examples.parameters().iloc[3:])
    assert words_of(drawn)[1].startswith("0 parameters")
    assert "No parameter" in words_of(drawn)[2]


@pytest.mark.parametrize("name", ["fitted", "forecast", "prior_predictive", "convergence"])
def test_pictures_are_drawn(name):
    table = examples.parameters() if name == "convergence" else examples.forecast()
    assert to_png(getattr(plot, name)(table))[:4] == b"\x89PNG"
