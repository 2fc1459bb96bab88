"""What is drawn of returns: forests, over time, against shares, now and after."""

import numpy as np
import pandas as pd
import pytest

from mmmjax import plot
from mmmjax.checks import InputError
from mmmjax.plot import picture as p
from mmmjax.plot.colours import PALETTE, REST
from mmmjax.plot.returns import PLACES
from tests.plot import examples
from tests.plot.charts import encodings, names_in_order, params, same, scale, words

COLOURS = plot.channel_colours(examples.CHANNELS)
BOTH = ("north", "south", "ALL")
NASTY = {"TV": 'O\'Neil "x" [1] .a', "Search": "<b> \\ & {datum}"}


def test_forest_has_means_intervals_and_the_truth():
    chart = plot.roas(examples.channels(("ALL",)), truth={"TV": 1.5, "Mail": 9.0})
    same(
        chart.data,
        channel=["TV", "Search"] * 2 + ["TV"],
        kind=["ROAS, 94% interval"] * 2
        + ["the next unit of money (mROAS at past spend)"] * 2
        + ["true ROAS"],
        mean=[2.0, 4.0, 1.0, 2.0, 1.5],
        lo=[1.0, 2.0, 0.5, 1.0, np.nan],
        hi=[3.0, 6.0, 1.5, 3.0, np.nan],
        text=["2.00", "4.00", "1.00", "2.00", "1.50"],
        span=["1.00 to 3.00", "2.00 to 6.00", "0.500 to 1.50", "1.00 to 3.00", ""],
    )
    shapes = scale(chart, "shape", "kind")
    assert list(shapes.values()) == ["circle", p.RING, "diamond"]
    assert names_in_order(chart, "channel") == ["TV", "Search"]
    assert params(chart) == {"hidden": []}
    assert words(chart)[0] == "Return on spend, with its uncertainty"
    assert chart.description == "ROAS: TV 2.00, Search 4.00"
    assert chart.to_dict()["width"] == p.WIDE
    assert plot.roas(examples.channels(("ALL",)), width=400).to_dict()["width"] == 400


def test_organic_channels_have_no_return_and_take_no_colour():
    table = examples.channels()
    table["channel"] = ["Search", "TV", "Mail"]  # colours follow the channel, not the row
    chart = plot.roas(table, marginal=False, colours=COLOURS)
    assert scale(chart, "color", "channel") == {"Search": PALETTE[1], "TV": PALETTE[0]}
    assert set(chart.data["kind"]) == {"ROAS, 94% interval"}
    grey = plot.roas(table, colours={"TV": "#123456"})
    assert scale(grey, "color", "channel") == {"Search": REST, "TV": "#123456"}


def test_shares_are_a_forest_in_percent():
    table = examples.channels()
    table.loc[2, "share_mean"] = np.nan
    chart = plot.shares(table, outcome="sales", colours=COLOURS)
    same(
        chart.data,
        mean=[0.1] * 2,
        lo=[0.05] * 2,
        hi=[0.15] * 2,
        text=["10.0%"] * 2,
        span=["5.0% to 15.0%"] * 2,
    )
    assert words(chart)[0] == "Share of sales that each channel brought"


def test_several_geos_are_a_choice_and_their_sum_is_the_first():
    table = examples.channels(BOTH)
    for draw in (plot.roas, plot.shares, plot.share_and_roas):
        chart = draw(table)
        assert params(chart)["geo"] == ["ALL", "north", "south"]
        assert set(chart.data["geo"]) == {*BOTH}
        one = draw(table, geo="north")
        assert "geo" not in params(one)
        assert set(one.data["geo"]) == {"north"}
        with pytest.raises(InputError, match='"west"'):
            draw(table, geo="west")
    known = plot.roas(table, truth={"TV": 1.5}).data  # of all geos together
    assert known.loc[known["kind"] == "true ROAS", "geo"].tolist() == ["ALL"]


def test_share_against_roas_has_both_intervals_and_areas_of_spend():
    table = examples.channels(("ALL",))
    chart = plot.share_and_roas(table, colours=COLOURS, currency="EUR")
    same(
        chart.data,
        channel=["TV", "Search"],
        spend=[20, 10],
        x_mean=[0.1, 0.1],
        x_lo=[0.05] * 2,
        x_hi=[0.15] * 2,
        y_mean=[2, 4],
        y_lo=[1, 2],
        y_hi=[3, 6],
        label=["TV (20)", "Search (10)"],
        paid=["20.0 EUR", "10.0 EUR"],
    )
    assert scale(chart, "color", "channel") == {n: COLOURS[n] for n in ("TV", "Search")}
    assert params(chart) == {"hidden": []}
    assert chart.description == "Share and ROAS: TV 10.0% at 2, Search 10.0% at 4"


def test_labels_of_bubbles_do_not_cover_each_other():
    rng = np.random.default_rng(0)
    one = examples.channels(("ALL",)).head(1)
    table = pd.concat([one.assign(channel=f"channel {i}") for i in range(30)])
    for name in ("share", "roas"):
        factor = rng.uniform(0.1, 2.0, 30)
        for statistic in ("mean", "lo", "hi"):
            table[f"{name}_{statistic}"] *= factor
    rows = plot.share_and_roas(table).data
    said = rows.loc[rows["label"] != ""]
    assert 3 < len(said) < 30
    assert {*said["align"]} <= {align for _, _, align in PLACES}
    x = said["x_mean"] / rows["x_hi"].max() * 320 + said["dx"]
    y = -said["y_mean"] / rows["y_hi"].max() * 330 + said["dy"]
    wide = 6.8 * said["label"].str.len()
    left = np.where(said["align"] == "left", x, x - wide)
    assert left.min() > -30
    covered = 0.0
    for i in range(len(said)):
        for j in range(i):
            across = min(left[i] + wide.iloc[i], left[j] + wide.iloc[j]) - max(
                left[i], left[j]
            )
            down = 14 - abs(y.iloc[i] - y.iloc[j])
            covered += max(across, 0) * max(down, 0)
    assert covered < 0.1 * 14 * wide.sum()


def test_roas_over_time_leaves_a_gap_where_nothing_was_spent():
    chart = plot.roas_over_time(examples.returns(BOTH), colours=COLOURS)
    table = chart.data
    assert [*dict.fromkeys(table["channel"])] == ["TV", "Search"]  # not the organic
    own = table.loc[(table["geo"] == "ALL") & (table["kind"] == "quarter")]
    same(
        own.loc[own["channel"] == "TV"],
        window=["2021Q4", "2022Q1", "2022Q2"],
        mean=[np.nan, 6.0, 7.0],
        lo=[np.nan, 3.0, 3.5],
        hi=[np.nan, 9.0, 10.5],
        whole=[2.0] * 3,
    )
    same(own.loc[own["channel"] == "Search"], mean=[5.0, 6.0, 7.0], lo=[2.5, 3.0, 3.5])
    days = pd.to_datetime(["2021-10-01", "2022-01-01", "2022-04-01"])
    assert own.loc[own["channel"] == "TV", "date"].tolist() == [*days]
    assert params(chart) == {
        "windows": ["quarter", "year"],
        "geo": ["ALL", "north", "south"],
        "since": -1e15,
    }
    spec = chart.to_dict()
    assert spec["facet"]["sort"] == ["TV", "Search"]
    assert scale(chart, "color", "channel") == {n: COLOURS[n] for n in ("TV", "Search")}
    assert words(chart)[0] == "ROAS over time"


def test_mroas_of_years_and_kinds_that_the_table_lacks():
    chart = plot.roas_over_time(examples.returns(), kind="year", measure="mroas")
    same(chart.data.loc[chart.data["channel"] == "TV"], mean=[1.5, 2.0], whole=[1.0, 1.0])
    assert params(chart) == {"since": -1e15}
    assert words(chart)[0] == "mROAS at past spend over time"
    with pytest.raises(InputError, match=r'"month".*"all", "year" and "quarter"'):
        plot.roas_over_time(examples.returns(), kind="month")
    alone = examples.returns().loc[lambda t: t["kind"] == "all"]
    with pytest.raises(InputError, match=r'"quarter".*"all"'):
        plot.roas_over_time(alone)
    with pytest.raises(InputError, match="measure"):
        plot.roas_over_time(examples.returns(), measure="share")


def test_now_and_after_of_windows_is_the_sum_of_the_paid_channels(tmp_path):
    examples.returns(BOTH).to_csv(tmp_path / "returns.csv", index=False)
    table = pd.read_csv(tmp_path / "returns.csv")
    chart = plot.now_and_after(table, outcome="sales")
    rows = chart.data.loc[chart.data["geo"] == "ALL"]
    whole = np.array([0 + 50, 120 + 60, 140 + 70])  # ROAS times spend, TV then Search
    same(
        rows,
        window=["2021Q4", "2022Q1", "2022Q2"] * 2,
        value=[*(0.75 * whole), *(0.25 * whole)],
    )
    parts = {"in that quarter": 1, "later (carry-over)": 0.4}
    assert scale(chart, "opacity", "part") == parts
    title = words(chart)[0]
    assert title == "Sales from each quarter's media spend: then, and later"
    assert params(chart) == {"geo": ["ALL", "north", "south"], "hidden": [], "since": -1e15}
    one = plot.now_and_after(examples.returns(), "year", channel="TV", colours=COLOURS)
    same(one.data, value=[45, 60, 15, 20])
    assert one.to_dict()["layer"][0]["mark"]["color"] == COLOURS["TV"]


def test_now_and_after_of_one_window_is_a_bar_a_channel():
    chart = plot.now_and_after(examples.returns(), "2022Q1", colours=COLOURS)
    same(chart.data, channel=["TV", "Search"] * 2, value=[90, 45, 30, 15])
    assert names_in_order(chart, "channel") == ["TV", "Search"]
    assert chart.data["later"].tolist() == ["", "", "25.0% later", "25.0% later"]
    assert chart.data["whole"].tolist() == ["", "", "120", "60"]
    assert scale(chart, "color", "channel") == {n: COLOURS[n] for n in ("TV", "Search")}
    with pytest.raises(InputError, match=r'"2030"'):
        plot.now_and_after(examples.returns(), "2030")
    with pytest.raises(InputError, match=r'channel: got "Radio"'):
        plot.now_and_after(examples.returns(), channel="Radio")


def test_shares_of_now_and_after_are_those_of_all_windows_of_a_kind():
    table = examples.returns()
    table.loc[table["channel"] == "TV", "after_mean"] *= 2
    chart = plot.now_and_after(table, "quarter", share=True)
    same(chart.data, channel=["TV", "Search"] * 2, value=[0.6, 0.75, 0.4, 0.25])
    assert words(chart)[0] == "Now or later: when spend pays back"
    assert chart.description.endswith("TV 40.0% later, Search 25.0% later")


def test_returns_are_money_where_the_outcome_has_a_value():
    table = examples.channels(("ALL",))
    chart = plot.roas(table, truth={"TV": 1.5}, value=0.5, currency="EUR")
    same(chart.data, mean=[1.0, 2.0, 0.5, 1.0, 0.75])
    said = " ".join([*words(chart), *scale(chart, "shape", "kind"), chart.description])
    assert "EUR per EUR" in said
    assert "breaks even" in said
    assert "ROAS" not in said
    assert len(chart.to_dict()["layer"]) == len(plot.roas(table).to_dict()["layer"]) + 1
    bubbles = plot.share_and_roas(table, value=0.5)
    same(bubbles.data, y_mean=[1, 2], x_mean=[0.1, 0.1])
    titles = [one.get("y", {}).get("title") for one in encodings(bubbles.to_dict())]
    assert "return: units of money per unit of money" in titles
    before = plot.roas_over_time(examples.returns())
    after = plot.roas_over_time(examples.returns(), value=0.5, currency="EUR")
    for name in ("mean", "lo", "hi", "whole"):
        np.testing.assert_allclose(after.data[name], 0.5 * before.data[name])
    assert words(after)[0] == "Return over time"


def renamed(table):
    return table.assign(channel=table["channel"].replace(NASTY))


def many(table, n=40):
    """A table of n channels, made of its first."""
    one = table.loc[table["channel"] == "TV"]
    return pd.concat([one.assign(channel=f"channel number {i}") for i in range(n)])


SHAPES = {
    "some geos": lambda t: t,
    "nasty names": renamed,
    "forty channels": many,
    "one row": lambda t: t.loc[t["channel"] == "Search"],
    "no mean": lambda t: (
        t.assign(roas_mean=np.nan, mroas_mean=np.nan, share_mean=np.nan)
        if "share_mean" in t
        else t
    ),
}


@pytest.mark.parametrize("shape", SHAPES)
def test_every_picture_is_drawn(shape):
    make = SHAPES[shape]
    found, windows = make(examples.channels(BOTH)), make(examples.returns(BOTH))
    charts = [
        plot.roas(found, value=2.0, currency="'€\"", truth={"TV": 1.0}),
        plot.shares(found),
        plot.share_and_roas(found, value=2.0),
        plot.roas_over_time(windows, value=2.0, outcome="sales"),
        plot.now_and_after(windows),
        plot.now_and_after(windows, "all"),
        plot.now_and_after(windows, share=True),
    ]
    for chart in charts:
        assert p.to_png(chart, 0.5).startswith(b"\x89PNG")


def test_a_table_without_rows_is_a_picture_with_its_words():
    empty = examples.channels().head(0)
    for draw in (plot.roas, plot.shares, plot.share_and_roas):
        assert p.to_png(draw(empty), 0.5).startswith(b"\x89PNG")


def test_one_geo_and_its_sum_leave_nothing_to_choose():
    chart = plot.roas(examples.channels(("national", "ALL")))
    assert "geo" not in params(chart)
    assert set(chart.data["geo"]) == {"ALL"}
