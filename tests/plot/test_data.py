"""What is drawn of the data before any model."""

import json

import numpy as np
import pandas as pd
import pytest

from mmmjax.checks import InputError
from mmmjax.exploration import explore
from mmmjax.panel import Panel
from mmmjax.plot import data
from mmmjax.plot.colours import INK, channel_colours
from mmmjax.plot.picture import to_png
from tests.plot.examples import layers_of, legend_of, params_of, rows_of, words_of
from tests.tables import weekly

NAMES = {
    "date": "date",
    "outcome": "sales",
    "media": {"TV": "tv", "Radio": "radio"},
    "controls": ["promo", "holiday"],
    "currency": "EUR",
}
COLOURS = channel_colours(["TV", "Radio"])
SPLIT = "2023-12-10"


def panel(geos=(), **names):
    """60 weeks: an outlier, one on a holiday, a burst of TV; Radio is organic if asked."""
    df = weekly(60, geos=geos)
    df["tv"] += 5
    df["holiday"] = (df.groupby("geo").cumcount() if geos else df.index) % 26 == 5
    df["holiday"] = df["holiday"].astype(float)
    df.loc[[5, 20], "sales"] = [700.0, 900.0]
    df.loc[30, "tv"] = 120.0
    geo = {"geo": "geo"} if geos else {}
    return Panel.from_frame(df, **(NAMES | geo | names))


def found(geos=(), **names):
    return explore(*panel(geos, **names).split(SPLIT))


def numbers(rows, name):
    return rows[name].astype(float).to_numpy()


def test_outcome_marks_what_stands_apart_and_the_test():
    look = found()
    drawn = data.outcome(look)
    rows = rows_of(drawn)
    np.testing.assert_allclose(numbers(rows, "value"), look["outcome"][0])
    np.testing.assert_allclose(numbers(rows, "level"), look["outcome_level"][0])
    assert pd.to_datetime(rows["date"]).tolist() == look.indexes["date"].tolist()
    apart = rows.loc[rows["state"] == "far from it"]
    event = rows.loc[rows["state"] == "far from it, with an event control"]
    assert (apart["value"].tolist(), event["value"].tolist()) == ([900.0], [700.0])
    assert rows.loc[rows["named"], "date"].str[:10].tolist() == ["2023-05-21"]
    assert rows["after"].tolist() == [False] * 50 + [True] * 10
    assert "test window" in json.dumps(drawn.to_dict())
    title, unit, about = words_of(drawn)
    assert (title, unit) == ("Sales a week: 2 weeks stand apart", "sales")
    assert about.endswith(" to 900")
    assert params_of(drawn) == {"hidden", "since"}


def test_outcome_without_outliers_and_test():
    df = weekly(40)
    quiet = explore(Panel.from_frame(df, date="date", outcome="sales", media=["tv"]))
    drawn = data.outcome(quiet)
    assert words_of(drawn)[0] == "Sales a week: no week stands apart"
    assert list(legend_of(drawn)) == ["sales", "median over 13 weeks"]
    assert not [x for x in layers_of(drawn) if x["mark"]["type"] == "rect"]


def test_spend_has_a_cell_a_channel_with_its_own_scale():
    look = found()
    drawn = data.spend(look, colours=COLOURS)
    rows = rows_of(drawn)
    for channel in ("TV", "Radio"):
        of = rows.loc[rows["cell"] == channel]
        np.testing.assert_allclose(
            numbers(of, "value"), look["spend"].sel(channel=channel)[0]
        )
    assert rows.loc[rows["apart"], "value"].tolist() == [120.0]
    assert legend_of(drawn) == COLOURS
    spec = drawn.to_dict()
    assert spec["facet"]["sort"] == ["TV", "Radio"]
    assert spec["resolve"]["scale"]["y"] == "independent"
    title, unit, _ = words_of(drawn)
    assert title == "Spend (EUR) a week, channel by channel"
    assert "red: far above the usual week" in unit
    assert "tinted: the test window" in unit


def test_an_organic_channel_is_drawn_in_media():
    look = found(spend={"TV": "tv"})
    rows = rows_of(data.spend(look))
    of = rows.loc[rows["cell"] == "Radio: media (organic)"]
    np.testing.assert_allclose(numbers(of, "value"), look["media"].sel(channel="Radio")[0])
    shares = rows_of(data.spend_shares(look))
    assert shares["share"].tolist() == [1.0, 0.0]
    assert shares["said"].tolist() == ["100.0%", "organic"]


def test_shares_are_of_training():
    train, test = panel().split(SPLIT)
    drawn = data.spend_shares(explore(train, test), colours=COLOURS)
    spend = train.spend.sum((0, 1))
    rows = rows_of(drawn)
    np.testing.assert_allclose(rows["share"], spend / spend.sum())
    assert rows["total"].tolist() == [f"{spend[0]:,.0f}", f"{spend[1]:,.0f}"]
    assert rows["on"].tolist() == ["100%", "100%"]
    assert legend_of(drawn) == COLOURS
    heads = {x["mark"].get("text") for x in layers_of(drawn)}
    assert {"share", "spend (EUR)", "weeks on"} <= heads


def test_media_against_outcome_with_the_correlation_of_training():
    whole = panel()
    train, _ = whole.split(SPLIT)
    drawn = data.against_outcome(found())
    rows = rows_of(drawn)
    tv = rows.loc[rows["channel"] == "TV"]
    old, new = tv.loc[~tv["after"]], tv.loc[tv["after"]]
    np.testing.assert_allclose(old["media"], train.media[0, :, 0])
    np.testing.assert_allclose(old["outcome"], train.outcome[0])
    np.testing.assert_allclose(new["media"], whole.media[0, 50:, 0])
    r = np.corrcoef(train.media[0, :, 0], train.outcome[0])[0, 1]
    assert set(tv["cell"]) == {f"TV  r = {r:.2f}"}
    assert (
        words_of(drawn)[1]
        == "sales (up) by spend (EUR) (across), a week each; hollow: test"
    )
    alone = data.against_outcome(explore(panel(spend={"TV": "tv"})))
    assert words_of(alone)[1] == "sales (up) by media (across), a week each"


def test_the_matrix_shows_what_is_asked_for():
    look = found()
    drawn = data.correlations(look)
    names = ["sales", "TV", "Radio", "promo", "holiday"]
    wide = rows_of(drawn).pivot(index="row", columns="column", values="value")
    np.testing.assert_allclose(wide.loc[names, names], look["correlations"])
    assert layers_of(drawn)[0]["encoding"]["y"]["sort"] == names
    assert len(layers_of(drawn)) == 2
    assert "the strongest is" in words_of(drawn)[2]
    some = rows_of(data.correlations(look, variables=["Radio", "sales"]))
    np.testing.assert_allclose(
        some["value"], look["correlations"].to_numpy()[[2, 2, 0, 0], [2, 0, 2, 0]]
    )
    with pytest.raises(InputError, match='variables: got "Telly"'):
        data.correlations(look, variables=["Telly"])


def test_many_controls_are_left_out_of_the_matrix():
    df = pd.DataFrame(
        {f"c{i}": np.random.default_rng(i).normal(size=60) for i in range(14)}
    )
    df = pd.concat([weekly(60), df], axis=1)
    many = explore(Panel.from_frame(df, date="date", outcome="sales", media=["tv"],
                                    controls=["c*"]))  # fmt: skip
    drawn = data.correlations(many)
    assert layers_of(drawn)[0]["encoding"]["y"]["sort"] == ["sales", "tv"]
    assert "of outcome and channels" in words_of(drawn)[0]
    every = [str(x) for x in many["variable"].to_numpy()]
    assert len(layers_of(data.correlations(many, variables=every))) == 1  # no numbers


def test_train_against_test_draws_the_differences():
    look = found()
    drawn = data.train_test(look, colours=COLOURS)
    rows = rows_of(drawn)
    np.testing.assert_allclose(rows["drawn"], look["smd"])
    assert rows["colour"].tolist()[:3] == [INK, *COLOURS.values()]
    heads = {x["mark"].get("text") for x in layers_of(drawn)}
    assert {"training", "test", "above range"} <= heads
    assert words_of(drawn)[2].startswith(
        f"{rows['name'][np.abs(look['smd'].to_numpy()).argmax()]} differs most"
    )
    with pytest.raises(InputError, match=r"explore\(panel, test\)"):
        data.train_test(explore(panel()))


def test_of_many_columns_the_outcome_and_channels_stay():
    df = pd.DataFrame({f"c{i}": np.arange(60.0) + i % 3 for i in range(20)})
    df = pd.concat([weekly(60), df], axis=1)
    names = {"date": "date", "outcome": "sales", "media": ["tv"], "controls": ["c*"]}
    look = explore(*Panel.from_frame(df, **names).split(SPLIT))
    drawn = data.train_test(look)
    rows = rows_of(drawn)["name"].tolist()
    assert rows[:2] == ["sales", "tv"]
    assert len(rows) == 16
    assert words_of(drawn)[0] == "Test against training, 16 of 22 columns"


def test_one_of_several_geos_is_chosen_and_named():
    look = found(geos=["North", "South"])
    for draw in (data.outcome, data.spend, data.spend_shares, data.against_outcome):
        with pytest.raises(InputError, match=r"geo: got None.*total=True"):
            draw(look)
        assert "in South" in words_of(draw(look, geo="South"))[0]
    rows = rows_of(data.outcome(look, geo="South"))
    np.testing.assert_allclose(numbers(rows, "value"), look["outcome"][1])
    whole = explore(*panel(["North", "South"]).split(SPLIT), total=True)
    assert words_of(data.outcome(whole))[0].startswith("Sales a week: ")


EVERY = {
    "outcome": data.outcome,
    "spend_shares": data.spend_shares,
    "correlations": data.correlations,
    "train_test": data.train_test,
    "spend": data.spend,
    "against_outcome": data.against_outcome,
}


@pytest.mark.parametrize("name", EVERY)
def test_names_are_the_users(name):
    tv, radio = 'O\'Neil "x" [1] .a <b>', r"\$b^"
    look = found(media={tv: "tv", radio: "radio"}, currency="$")
    drawn = EVERY[name](look, width=400)
    assert to_png(drawn)[:4] == b"\x89PNG"
    if name != "outcome":
        assert json.dumps(tv) in json.dumps(drawn.to_dict())
    if "facet" not in drawn.to_dict():
        assert drawn.to_dict()["width"] == 400
