"""What is drawn of the outcome and its components: stacks, waterfalls, multipliers."""

import numpy as np
import pandas as pd
import pytest

from mmmjax import plot
from mmmjax.checks import InputError
from mmmjax.plot import picture as p
from mmmjax.plot.colours import INK, MODEL, REST
from tests.plot import examples
from tests.plot.charts import names_in_order, params, same, scale, words

COLOURS = plot.channel_colours(examples.CHANNELS)
BOTH = ("north", "south", "ALL")
NASTY = {"TV": 'O\'Neil "x" [1] .a', "Search": "<b> \\ & {datum}"}


def wide(table):
    return table.pivot_table("mean", "date", "component")


def test_stack_adds_up_and_its_top_is_the_fitted_mean():
    table = examples.weekly()
    chart = plot.contributions(table, colours=COLOURS)
    numbers, drawn = wide(table), wide(chart.data)
    rest = numbers["baseline"] + numbers["controls"] + numbers["seasonality"]
    np.testing.assert_allclose(drawn["without media"], rest)
    np.testing.assert_allclose(drawn[examples.CHANNELS], numbers[examples.CHANNELS])
    np.testing.assert_allclose(drawn["fitted mean"], numbers["fitted_mean"])
    stacked = drawn.drop(columns="fitted mean").sum(axis=1)
    np.testing.assert_allclose(stacked, numbers["fitted_mean"])
    paint = {"without media": REST} | COLOURS | {"fitted mean": INK}
    assert scale(chart, "color", "component") == paint
    assert params(chart) == {"hidden": [], "since": -1e15}
    assert chart.description == "Contributions over the window: TV 75, Search 30, Mail 6"


def test_the_observed_outcome_takes_the_place_of_the_fitted_mean():
    seen = pd.concat([examples.forecast(geo=geo) for geo in BOTH])
    chart = plot.contributions(examples.weekly(BOTH), observed=seen, outcome="sales")
    rows = chart.data.loc[chart.data["component"] == "observed"]
    np.testing.assert_array_equal(rows["mean"], seen["observed"])
    assert [*scale(chart, "color", "component")][-1] == "observed"
    assert params(chart)["geo"] == ["ALL", "north", "south"]
    assert words(chart) == ("Sales over time, and what brought it", "sales")
    one = plot.contributions(examples.weekly(BOTH), observed=seen, geo="north").data
    assert set(one["geo"]) == {"north"}


def test_only_media_has_channels_alone():
    chart = plot.contributions(examples.weekly(), only_media=True)
    assert set(chart.data["component"]) == {*examples.CHANNELS}
    assert scale(chart, "color", "component") == COLOURS
    assert words(chart)[0] == "Outcome: what each channel brought"


def test_tables_from_a_file_are_as_good(tmp_path):
    examples.weekly().to_csv(tmp_path / "weekly.csv", index=False)
    read = plot.contributions(pd.read_csv(tmp_path / "weekly.csv"))
    made = plot.contributions(examples.weekly())
    pd.testing.assert_frame_equal(read.data, made.data, check_dtype=False)


def test_waterfall_adds_up_to_the_whole():
    table = examples.weekly(BOTH)
    chart = plot.decomposition(table, outcome="sales", colours=COLOURS)
    rows = chart.data.loc[chart.data["geo"] == "ALL"]
    totals = wide(table[table["geo"] == "ALL"]).sum()
    names = ["baseline", "seasonality", "controls", *examples.CHANNELS]
    shares = totals[names].to_numpy() / totals["fitted_mean"]
    ends = np.cumsum(shares)
    same(
        rows,
        component=[*names, "fitted mean"],
        start=[*(ends - shares), 0.0],
        end=[*ends, 1.0],
    )
    assert rows["next"].tolist()[:-1] == [*names[1:], "fitted mean"]  # where rules end
    assert rows["next"].isna().tolist() == [False] * 6 + [True]
    grey = dict.fromkeys(names[:3], REST)
    assert scale(chart, "color", "component") == grey | COLOURS | {"fitted mean": MODEL}
    assert names_in_order(chart, "component") == [*names, "fitted mean"]
    assert params(chart)["geo"] == ["ALL", "north", "south"]
    assert rows["lo"].isna().all()
    assert not any(rows["span"])


def test_waterfall_of_decomposition_csv_has_its_intervals():
    table = examples.decomposition(BOTH)
    chart = plot.decomposition(table, outcome="sales", colours=COLOURS)
    rows = chart.data.loc[chart.data["geo"] == "ALL"]
    names = ["baseline", "controls", *examples.CHANNELS]
    shares = np.array([0.6, -0.05, 0.3, 0.1, 0.05])
    starts = np.cumsum(shares) - shares
    same(rows, start=[*starts, 0.0], end=[*(starts + shares), 1.0])
    same(rows.iloc[:-1], lo=starts + shares - 0.04, hi=starts + shares + 0.04)
    assert rows["text"].tolist()[:2] == ["60.0% (600)", "-5.0% (-50)"]
    assert rows["span"].tolist()[0] == "56.0% to 64.0%"
    assert rows["text"].tolist()[-1] == "100.0% (1,000)"
    said = ", ".join(f"{n} {s}" for n, s in zip(names, rows["share"], strict=False))
    assert chart.description == f"Shares of the fitted mean: {said}, fitted mean 100.0%"
    assert words(chart)[0] == "Where sales came from"


def test_both_tables_of_a_decomposition_agree():
    weekly = examples.weekly()
    totals = wide(weekly).sum().drop("fitted_mean")
    table = examples.decomposition().set_index("component")
    table["share_mean"] = totals / totals.sum()
    table["total_mean"] = totals
    table = table.dropna().reset_index()
    some = weekly[weekly["component"].isin([*table["component"], "fitted_mean"])]
    one, other = plot.decomposition(some).data, plot.decomposition(table).data
    known = ["component", "next"]
    pd.testing.assert_frame_equal(one[known], other[known])
    part = totals[table["component"]].sum() / totals.sum()
    assert other["end"].iloc[-1] == pytest.approx(part)


def test_multipliers_are_those_of_the_table():
    table = examples.multipliers()
    chart = plot.multipliers(table, colours=COLOURS)
    pd.testing.assert_frame_equal(chart.data[[*table]], table)
    assert scale(chart, "color", "channel") == {n: COLOURS[n] for n in ("TV", "Search")}
    assert chart.to_dict()["facet"]["sort"] == ["TV", "Search"]
    assert params(chart) == {"since": -1e15}
    assert chart.description.endswith("TV +-0.10, Search +-0.10")
    assert "tinted: after training" in words(chart)[1]
    two = pd.concat([table.assign(geo="a"), table.assign(geo="b")])
    assert params(plot.multipliers(two))["geo"] == ["a", "b"]
    assert set(plot.multipliers(two, geo="b").data["geo"]) == {"b"}
    with pytest.raises(InputError, match='"c"'):
        plot.multipliers(two, geo="c")


SHAPES = {
    "some geos": lambda t: t,
    "nasty names": lambda t: t.replace({"component": NASTY, "channel": NASTY}),
    "no rows": lambda t: t.head(0),
    "below zero": lambda t: t.assign(
        **{x: -t[x] for x in t if x in ("mean", "share_mean")}
    ),
}


@pytest.mark.parametrize("shape", SHAPES)
def test_every_picture_is_drawn(shape):
    make = SHAPES[shape]
    weekly = make(examples.weekly(BOTH))
    charts = [
        plot.contributions(weekly, outcome="'sales\" <b>"),
        plot.contributions(weekly, only_media=True),
        plot.decomposition(make(examples.decomposition(BOTH)), outcome="'sales\" <b>"),
        plot.decomposition(weekly),
        plot.multipliers(make(examples.multipliers())),
    ]
    for chart in charts:
        assert p.to_png(chart, 0.5).startswith(b"\x89PNG")
