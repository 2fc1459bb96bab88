"""What is drawn of a backtest: the numbers of its tables, where they belong."""

import json

import numpy as np
import pandas as pd
import pytest

from mmmjax import plot
from mmmjax.checks import InputError
from mmmjax.plot.colours import channel_colours
from mmmjax.plot.picture import to_png
from tests.plot import examples
from tests.plot.examples import layers_of, legend_of, params_of, rows_of, words_of

MODELS = ("mmm", "no_media", "seasonal_naive")


def scores():
    """backtest.csv of two folds; the naive forecast of the first is not known."""
    rows = []
    for fold, end in ((1, "2022-03-28"), (2, "2022-06-27")):
        for m, model in enumerate(MODELS):
            for split in ("train", "test"):
                crps = 10.0 * fold + m + (100 if split == "train" else 0)
                known = (fold, model) != (1, "seasonal_naive")
                rows.append(
                    {"fold": fold, "test_end": end, "model": model, "split": split,
                     "crps": crps if known else np.nan, "r2": 0.5 - m, "coverage": 0.9}
                )  # fmt: skip
    return pd.DataFrame(rows)


def forecast():
    """backtest_forecast.csv: two folds of six weeks, one observation missing in each."""
    parts = [examples.forecast(6 * k, "x").assign(fold=k + 1) for k in range(2)]
    return pd.concat(parts, ignore_index=True)


def parameters():
    """backtest_parameters.csv: Mail is organic and had not run in the first fold."""
    rows = []
    for fold in (1, 2):
        for i, name in enumerate(examples.CHANNELS):
            none = name == "Mail"
            for parameter, mean in (
                ("roas", np.nan if none else fold + i), ("adstock_alpha", 0.1 * (fold + i)),
            ):  # fmt: skip
                rows.append((fold, parameter, name, mean, mean / 2, mean * 2,
                             "prior" if none and fold == 1 else "data"))  # fmt: skip
        rows.append((fold, "intercept", np.nan, 0.5, 0.4, 0.6, "data"))
    columns = ["fold", "parameter", "index", "mean", "lo", "hi", "source"]
    return pd.DataFrame(rows, columns=columns)


WORDS = ["this model", "the model without media", "what was a year before"]


def test_scores_of_every_model_stand_side_by_side():
    drawn = plot.backtest_scores(scores(), outcome="sales")
    rows = rows_of(drawn)
    for m, name in enumerate(WORDS):
        of = rows.loc[rows["model"] == name].set_index("fold")["score"].astype(float)
        np.testing.assert_allclose(of, [10.0 + m if m < 2 else np.nan, 20.0 + m])
    assert list(legend_of(drawn)) == WORDS
    assert list(dict.fromkeys(rows["place"])) == ["1|to Mar 2022", "2|to Jun 2022"]
    title, unit, about = words_of(drawn)
    assert title == "Would it have forecast well before?"
    assert unit == "CRPS in sales; smaller is better"
    assert "mean: this model 15, the model without media 16, what was a" in about
    many = pd.concat([scores().assign(fold=lambda t, k=k: t["fold"] + 2 * k)
                      for k in range(6)])  # fmt: skip
    assert "12" in set(rows_of(plot.backtest_scores(many))["place"])


def test_other_scores_and_splits():
    drawn = plot.backtest_scores(scores(), "r2", split="train")
    assert min(rows_of(drawn)["score"]) == -1.5
    assert words_of(drawn)[0] == "How well did it describe what it had seen?"
    train = rows_of(plot.backtest_scores(scores(), split="train"))
    assert train.loc[train["model"] == WORDS[0], "score"].tolist() == [110, 120]
    only = plot.backtest_scores(scores().query("model == 'mmm'"))
    assert list(legend_of(only)) == WORDS[:1]
    drawn = plot.backtest_scores(scores(), "coverage")
    assert layers_of(drawn)[-1]["encoding"]["y"] == {"datum": 0.94}
    assert "this model 90%" in words_of(drawn)[2]
    with pytest.raises(InputError, match='metric: got "crsp"'):
        plot.backtest_scores(scores(), "crsp")


def test_scores_of_folds_that_all_failed_are_an_empty_picture():
    drawn = plot.backtest_scores(scores().assign(crps=np.nan))
    assert words_of(drawn)[2] == "No fold has a score"
    assert to_png(drawn)[:4] == b"\x89PNG"


def test_forecasts_stand_at_their_dates_behind_their_cuts():
    table = forecast()
    drawn = plot.backtest_forecasts(table, outcome="sales", period="week")
    rows = rows_of(drawn)
    assert rows["fold"].tolist() == table["fold"].tolist()
    for name in ("mean", "lo", "hi", "observed"):
        np.testing.assert_allclose(rows[name].astype(float), table[name], equal_nan=True)
    assert pd.to_datetime(rows["date"]).tolist() == table["date"].tolist()
    assert f"datum.first - {3.5 * 86_400_000}" in json.dumps(drawn.to_dict())
    assert params_of(drawn) == {"hidden", "since"}
    assert words_of(drawn)[1].startswith("sales a week; ")
    both = pd.concat([table.assign(geo=geo) for geo in ("ALL", "north", "south")])
    assert params_of(plot.backtest_forecasts(both)) == {"hidden", "since", "geo"}


def test_stability_has_an_interval_for_every_channel_and_fold():
    drawn = plot.stability(parameters())
    rows = rows_of(drawn)
    alpha = rows.loc[rows["parameter"].str.startswith("adstock_alpha")]
    for i, name in enumerate(examples.CHANNELS):
        of = alpha.loc[alpha["channel"] == name].sort_values("fold")
        np.testing.assert_allclose(of["mean"], [0.1 * (1 + i), 0.1 * (2 + i)])
        np.testing.assert_allclose(of["lo"], of["mean"] / 2)
        np.testing.assert_allclose(of["hi"], of["mean"] * 2)
        assert of["prior"].tolist() == [name == "Mail", False]
    roas = rows.loc[rows["parameter"] == "ROAS"]
    assert set(roas["channel"]) == {"TV", "Search"}
    colours = channel_colours(examples.CHANNELS)
    assert legend_of(drawn) == colours
    assert "grey: had not run yet, the prior" in words_of(drawn)[1]
    assert params_of(drawn) == {"hidden"}


def test_returns_of_folds_are_money_where_an_outcome_has_a_value():
    drawn = plot.stability(parameters(), ["roas"], value=0.5, currency="EUR", width=400)
    rows = rows_of(drawn)
    np.testing.assert_allclose(rows["mean"], [0.5, 1.0, 1.0, 1.5])
    assert set(rows["parameter"]) == {"return"}
    assert words_of(drawn)[1].startswith("return: EUR per EUR; 2 folds")
    assert "facet" not in drawn.to_dict()
    assert drawn.to_dict()["width"] == 400


@pytest.mark.parametrize("draw", [
    lambda: plot.backtest_scores(scores()), lambda: plot.backtest_forecasts(forecast()),
    lambda: plot.backtest_forecasts(forecast().head(0)),
    lambda: plot.stability(parameters()), lambda: plot.stability(parameters().head(0)),
])  # fmt: skip
def test_pictures_are_drawn(draw):
    assert to_png(draw())[:4] == b"\x89PNG"


def test_folds_stand_below_each_other_in_every_cell():
    spec = plot.stability(parameters()).to_dict()
    assert len(spec["facet"]["sort"]) > 1
    assert (
        spec["resolve"]["scale"]["yOffset"] == "independent"
    )  # else they cover each other
