"""What is drawn of a backtest: the numbers of its tables, where they belong."""

import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_hex
from matplotlib.dates import date2num

from mmmjax import plot
from mmmjax.checks import InputError
from mmmjax.plot import validation as v
from mmmjax.plot.colours import channel_colours
from tests.plot import examples

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


def test_scores_of_every_model_stand_side_by_side():
    axes = plot.backtest_scores(scores(), outcome="sales").axes[0]
    for m, line in enumerate(axes.lines[:3]):
        y = np.asarray(line.get_ydata(), float)
        np.testing.assert_allclose(y, [10.0 + m if m < 2 else np.nan, 20.0 + m])
        x = np.asarray(line.get_xdata(), float)
        np.testing.assert_allclose(x, np.array([0.0, 1.0]) + 0.16 * (m - 1))
    ticks = [t.get_text() for t in axes.get_xticklabels()]
    assert ticks == ["1\nto Mar 2022", "2\nto Jun 2022"]
    assert axes.get_ylim()[0] == 0.0
    assert axes.get_ylabel() == "sales"
    labels = [t.get_text() for t in axes.get_legend().get_texts()]
    assert labels == ["this model", "the model without media", "a year before"]


def test_other_scores_and_splits():
    axes = plot.backtest_scores(scores(), "r2").axes[0]
    assert axes.get_ylim()[0] < -1.5
    train = v.scored(scores(), "crps", "train")
    np.testing.assert_allclose(train.values[0], [110, 120])
    only = v.scored(scores().query("model == 'mmm'"))
    assert only.models == ["mmm"]
    axes = plot.backtest_scores(scores(), "coverage").axes[0]
    assert any(np.allclose(line.get_ydata(), 0.94) for line in axes.lines)
    with pytest.raises(InputError, match='metric: got "crsp"'):
        plot.backtest_scores(scores(), "crsp")


def test_scores_of_folds_that_all_failed_are_an_empty_picture():
    table = scores().assign(crps=np.nan)
    axes = plot.backtest_scores(table).axes[0]
    assert len(axes.get_xticks()) == 2
    assert axes.get_legend().get_texts() == []


def test_forecasts_stand_at_their_dates_behind_their_cuts():
    table = forecast()
    axes = plot.backtest_forecasts(table, outcome="sales").axes[0]
    means = [ln for ln in axes.lines if ln.get_linestyle() == "-"]
    dots = [ln for ln in axes.lines if ln.get_marker() == "."]
    cuts = [ln for ln in axes.lines if ln.get_linestyle() == ":"]
    for k in range(2):
        part = table[table["fold"] == k + 1]
        np.testing.assert_allclose(means[k].get_ydata(), part["mean"])
        np.testing.assert_allclose(means[k].get_xdata(), date2num(part["date"]))
        np.testing.assert_allclose(dots[k].get_ydata(), part["observed"])
        band = axes.collections[k].get_paths()[0].vertices[:, 1]
        assert (band.min(), band.max()) == (part["lo"].min(), part["hi"].max())
        assert cuts[k].get_xdata()[0] == date2num(part["date"])[0] - 3.5
    assert [t.get_text().strip() for t in axes.texts] == ["fold 1", "fold 2"]


def test_stability_has_an_interval_for_every_channel_and_fold():
    table = parameters()
    figure = plot.stability(table)
    roas, alpha = figure.axes
    assert [t.get_text() for t in roas.get_yticklabels()] == examples.CHANNELS
    found = v.estimates(table, "adstock_alpha")
    np.testing.assert_allclose(found.values[0], [[0.1, 0.2], [0.2, 0.3], [0.3, 0.4]])
    assert found.prior.tolist() == [[False, False], [False, False], [True, False]]
    intervals = [ln for ln in alpha.lines if len(ln.get_xdata()) == 2]
    dots = [ln for ln in alpha.lines if len(ln.get_xdata()) == 1]
    assert len(intervals) == len(dots) == 6
    np.testing.assert_allclose(intervals[3].get_xdata(), [0.15, 0.6])  # Search, fold 2
    np.testing.assert_allclose([d.get_xdata()[0] for d in dots], found.values[0].ravel())
    heights = [d.get_ydata()[0] for d in dots]
    assert heights == sorted(heights)
    colours = channel_colours(examples.CHANNELS)
    assert to_hex(intervals[0].get_color()).upper() == colours["TV"]
    assert to_hex(intervals[4].get_color()) == v.c.REST  # the prior only
    assert roas.get_title(loc="left") == "ROAS"
    labels = [t.get_text() for t in figure.legends[0].get_texts()]
    assert labels[-1] == "had not run yet: the prior"


def test_a_phone_has_the_parameters_below_each_other():
    wide, narrow = (plot.stability(parameters(), width=w) for w in (9.0, 4.0))
    places = [[ax.get_position() for ax in f.axes] for f in (wide, narrow)]
    assert places[0][0].y0 == places[0][1].y0
    assert places[1][0].x0 == places[1][1].x0
    figure = plot.stability(parameters(), ["adstock_alpha"])
    assert len(figure.axes) == 1
