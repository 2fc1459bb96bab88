"""What is drawn of other levels of spend, and of carry-over."""

import numpy as np
import pandas as pd
import pytest

from mmmjax import plot
from mmmjax.checks import InputError
from mmmjax.plot.picture import to_png
from tests.plot import examples, seen

COLOURS = plot.channel_colours(examples.CHANNELS)
NASTY = 'O\'Neil "x" [1] .a'


def two_geos(table):
    """The sum over geos, and two geos with half of everything."""
    halved = table.select_dtypes("number").columns.difference(["multiplier", "lag"])
    south = table.assign(geo="south")
    south[halved] = south[halved] / 2
    return pd.concat([south, table, south.assign(geo="north")], ignore_index=True)


def test_curve_is_dashed_where_nothing_was_observed():
    found = examples.curves()
    picture = plot.curve(found, "Search", outcome="sales", currency="EUR", period="week")
    rows = seen.table(picture)
    assert set(rows["channel"]) == {"Search"}
    line = rows[rows["part"] < 3]
    np.testing.assert_allclose(line["level"], np.linspace(0.0, 60.0, 7))
    np.testing.assert_allclose(line["mean"], 10 * np.sqrt(line["level"]))
    np.testing.assert_allclose(line["hi"], 15 * np.sqrt(line["level"]))
    last = line.loc[line["part"] == 1, "level"].tolist()  # the last observed
    assert last == pytest.approx([50.0])
    assert line.loc[line["part"] == 2, "level"].tolist() == [60.0]
    (dot,) = rows[rows["part"] == 3].to_dict("records")
    assert dot["level"] == 12.5
    assert dot["mean"] == pytest.approx(np.interp(12.5, line["level"], line["mean"]))
    assert seen.axis(picture, "x") == {"spend (EUR) a week"}
    title, unit = seen.words(picture)
    assert title == "Search: sales at other levels of spend"
    assert unit.startswith("sales a week. Line: mean, dashed beyond")
    assert seen.colours(picture, "channel") == {"Search": COLOURS["Search"]}
    assert "at 12.5 EUR, the mean week" in seen.told(picture)


def test_curve_of_an_organic_channel_is_in_media_units():
    picture = plot.curve(examples.curves(), "Mail", brief=True)
    assert seen.axis(picture, "x") == {"media (organic) a period"}
    assert seen.words(picture) == ("Mail", "outcome a period")
    rows = seen.table(picture)
    assert rows.loc[rows["part"] == 3, "level"].tolist() == [2.0]
    assert rows.loc[rows["part"] == 1, "level"].tolist() == pytest.approx([8.0])


def test_curves_has_a_cell_a_channel():
    picture = plot.curves(examples.curves(), currency="EUR", colours=COLOURS, width=900)
    made = seen.spec(picture)
    assert made["facet"]["sort"] == ["TV", "Search", "Mail (organic: media)"]
    assert made["columns"] == 3
    assert seen.params(picture) == {"hidden": []}
    assert seen.colours(picture, "channel") == COLOURS
    rows = seen.table(picture)
    assert rows.groupby("channel", sort=False).size().to_dict() == dict.fromkeys(COLOURS, 8)
    assert "spend (EUR) a period" in seen.words(picture)[1]


def test_geos_of_a_table_are_chosen_and_today_is_of_the_sum():
    table = two_geos(examples.curves_table())
    picture = plot.curves(table, today={"TV": 36.0})
    assert seen.params(picture) == {"hidden": [], "geo": ["ALL", "south", "north"]}
    rows = seen.table(picture)
    (dot,) = rows[rows["part"] == 3].to_dict("records")
    assert (dot["geo"], dot["channel"], dot["level"]) == ("ALL", "TV", 36.0)
    one = seen.table(plot.curve(table, "TV", geo="south"))
    assert set(one["geo"]) == {"south"}
    np.testing.assert_allclose(one["mean"], 5 * np.sqrt(2 * one["level"]))


def test_curves_of_several_geos_must_be_chosen():
    several = examples.curves().reindex(geo=["north", "south"], fill_value=1.0)
    with pytest.raises(InputError, match="total=True"):
        plot.curves(several)
    assert set(seen.table(plot.curves(several, geo="south"))["geo"]) == {"south"}


def test_curves_csv_draws_the_same_curve_without_today():
    read = seen.table(plot.curves(examples.curves_table()))
    made = seen.table(plot.curves(examples.curves()))
    pd.testing.assert_frame_equal(
        read, made[made["part"] < 3].reset_index(drop=True), check_dtype=False
    )


def test_today_may_be_given_and_channels_must_be_known():
    rows = seen.table(plot.curves(examples.curves(), today={"TV": 7.0}))
    at = rows[rows["part"] == 3].set_index("channel")["level"]
    assert at.to_dict() == {"TV": 7.0, "Search": 12.5, "Mail": 2.0}
    with pytest.raises(InputError, match=r'"Radio".*"TV", "Search" and "Mail"'):
        plot.curve(examples.curves(), "Radio")


@pytest.mark.parametrize("measure", ["contribution", "uplift", "marginal"])
def test_sweep_holds_the_measure_of_every_channel(measure):
    table = examples.sweep(("north", "south", "ALL")).iloc[::-1]  # any order of rows
    picture = plot.sweep(table, measure=measure, colours=COLOURS, geo="ALL")
    before = "" if measure == "contribution" else f"{measure}_"
    rows = table[table["geo"] == "ALL"].sort_values("multiplier")
    known = rows[rows[f"{before}mean"].notna()]  # organic: no marginal return
    drawn = seen.table(picture)
    assert set(drawn["channel"]) == set(known["channel"])
    assert set(seen.colours(picture, "channel")) == set(known["channel"])
    for name, part in known.groupby("channel"):
        line = drawn[drawn["channel"] == name]
        assert line["x"].tolist() == [0.0, 0.5, 1.0, 1.5]
        for end in ("mean", "lo", "hi"):
            np.testing.assert_array_equal(line[end], part[before + end])
        assert seen.colours(picture, "channel")[name] == COLOURS[name]


def test_measures_and_geos_of_a_sweep_are_chosen():
    table = examples.sweep(("north", "south", "ALL"))
    picture = plot.sweep(table, measure=["uplift", "marginal"], outcome="sales")
    found = seen.params(picture)
    assert found == {
        "measure": ["uplift", "marginal"],
        "geo": ["ALL", "north", "south"],
        "hidden": [],
    }
    labels = [x for bind in seen.every(seen.spec(picture), "labels") for x in bind]
    assert "sales of the next one" in labels
    # TV of the sum, the one that is at hand first: 100 m - 10 m^2 - 90 at 1.5
    assert "TV 37.5 (32.5 to 42.5)" in seen.told(picture)
    rows = seen.table(picture)
    assert rows.groupby("measure").size().to_dict() == {"uplift": 36, "marginal": 24}


def test_sweep_in_money_leaves_organic_channels_out():
    picture = plot.sweep(examples.sweep(), relative=False, currency="EUR")
    rows = seen.table(picture)
    assert set(rows["channel"]) == {"TV", "Search"}
    assert rows.loc[rows["channel"] == "Search", "x"].tolist() == [0, 25, 50, 75]
    assert seen.axis(picture, "x") == {"spend over the window (EUR)"}


def test_sweep_of_many_channels_has_its_intervals_at_the_end():
    more = examples.sweep()
    more["channel"] += " 2"
    picture = plot.sweep(pd.concat([examples.sweep(), more], ignore_index=True))
    rows = seen.table(picture)
    ends = rows[rows["end"].notna()]
    assert ends["multiplier"].tolist() == [1.5] * 6
    assert ends["end"].nunique() == 6  # beside each other
    assert ends["end"].min() > 1.5
    assert "Bars at the end of the lines: 94% intervals" in seen.words(picture)[1]
    assert {"expr": "6 - length(hidden) <= 3 ? 0.15 : 0"} in (
        seen.every(seen.spec(picture), "opacity")
    )


def test_sweep_asks_for_known_things():
    with pytest.raises(InputError, match="measure"):
        plot.sweep(examples.sweep(), measure="roas")
    with pytest.raises(InputError, match="Radio"):
        plot.sweep(examples.sweep(), channels=["Radio"])
    assert set(seen.table(plot.sweep(examples.sweep(), channels=["Mail"]))["channel"]) == {
        "Mail"
    }


def test_carryover_is_split_in_half_by_its_half_life():
    picture = plot.carryover(examples.carryover(), period="week", colours=COLOURS)
    rows = seen.table(picture)
    table = examples.carryover()
    for end in ("mean", "lo", "hi"):
        np.testing.assert_array_equal(rows[end], table[end])
    for name, part in rows.groupby("channel"):
        half = part["half_mean"].dropna()
        assert len(half) == 1  # said once a channel
        before = np.clip(half.iloc[0] - part["lag"], 0, 1) @ part["mean"]
        assert before == pytest.approx(0.5)
        assert part["said"].dropna().tolist() == [f"half-life {half.iloc[0]:.1f} weeks"]
        assert seen.colours(picture, "channel")[name] == COLOURS[name]
    assert "TV 0.875 (0.787 to 1.050)" in seen.told(picture)


def test_carryover_that_differs_by_geo_is_chosen():
    south, north = (examples.carryover().assign(geo=g) for g in ("south", "north"))
    picture = plot.carryover(pd.concat([south, north], ignore_index=True))
    assert seen.params(picture)["geo"] == ["south", "north"]
    assert "geo" not in seen.params(plot.carryover(south))


def nasty(table):
    """The same with names that a language might read as its own."""
    return table.assign(
        channel=table["channel"].map({"TV": NASTY, "Search": "<b>", "Mail": "a:Q"}),
        geo=table["geo"].map({"ALL": "ALL", "south": NASTY, "north": "north"}),
    )


@pytest.mark.parametrize(
    "draw",
    [
        lambda: plot.curve(nasty(two_geos(examples.curves_table())), NASTY),
        lambda: plot.curves(nasty(two_geos(examples.curves_table())), today={"<b>": 7.0}),
        lambda: plot.curves(examples.curves_table().iloc[:1]),
        lambda: plot.sweep(
            nasty(two_geos(examples.sweep())), measure=["uplift", "marginal"]
        ),
        lambda: plot.sweep(examples.sweep().iloc[:0]),
        lambda: plot.carryover(nasty(two_geos(examples.carryover()))),
        lambda: plot.carryover(examples.carryover().iloc[:0]),
    ],
)
def test_they_are_drawn(draw):
    assert to_png(draw(), 0.3).startswith(b"\x89PNG")
