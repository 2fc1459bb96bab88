"""Pictures of a fleet draw the numbers of its tables."""

import numpy as np
import pytest

import mmmjax as mm
from mmmjax.plot import fleet as drawing
from mmmjax.plot.bins import bins
from mmmjax.plot.picture import to_png
from tests.fleet.examples import channels_of, fleet
from tests.plot import seen


@pytest.fixture(scope="module")
def returns():
    table, channels = fleet(14)
    return mm.fleet_returns(channels, table)


def test_a_forest_has_both_intervals_of_every_market(returns):
    picture = mm.plot.fleet_forest(returns, "Search", truth={"market 03": 1.3})
    drawn = seen.table(picture)
    rows = returns.markets[returns.markets.channel == "Search"]
    rows = rows.sort_values("roas_mean", ascending=False)
    for kind, name in ((drawing.OWN, "roas"), (drawing.SHRUNK, "shrunk")):
        part = drawn[drawn["kind"] == kind]
        assert part["market"].tolist() == rows["market"].tolist()
        assert part["place"].tolist() == [*range(len(rows))]
        ends = [f"{name}_{end}" for end in ("mean", "lo", "hi")]
        np.testing.assert_array_equal(part[["mean", "lo", "hi"]], rows[ends])
    (truth,) = drawn[drawn["kind"] == "truth"].to_dict("records")
    assert (truth["market"], truth["mean"]) == ("market 03", 1.3)
    (typical,) = drawn[drawn["kind"] == drawing.TYPICAL].to_dict("records")
    told = returns.channels.set_index("channel").loc["Search"]
    assert (typical["lo"], typical["hi"]) == (told["typical_lo"], told["typical_hi"])
    assert seen.params(picture) == {"hidden": []}
    assert seen.words(picture)[0].startswith("Search: each market's own return")
    with pytest.raises(mm.InputError, match="Serch"):
        mm.plot.fleet_forest(returns, "Serch")


def test_a_forest_of_no_channel_has_all_to_choose_from(returns):
    picture = mm.plot.fleet_forest(returns)
    names = returns.channels["channel"].tolist()
    assert seen.params(picture)["channel"] == names
    drawn = seen.table(picture)
    own = drawn[drawn["kind"] == drawing.OWN]
    assert own.groupby("channel").size().to_dict() == (
        returns.markets.groupby("channel").size().to_dict()
    )
    assert "truth" not in seen.colours(picture, "kind")


def test_a_forest_of_many_markets_names_none(monkeypatch):
    many = mm.fleet_returns(channels_of(np.linspace(0, 1, 100), np.full(100, 0.2)))
    picture = mm.plot.fleet_forest(many, "TV")
    assert "market" not in {x.get("field") for x in seen.every(seen.spec(picture), "y")}
    monkeypatch.setattr(drawing, "DRAWN", 40)
    few = seen.table(drawing.fleet_forest(many, "TV"))
    own = few.loc[few["kind"] == drawing.OWN, "mean"].to_numpy()
    assert own.size == 40
    assert (own[0], own[-1]) == (
        many.markets["roas_mean"].max(),
        many.markets["roas_mean"].min(),
    )


def test_the_spread_has_a_row_for_each_channel(returns):
    picture = mm.plot.fleet_spread(returns, truth={"TV": 1.0}, currency="EUR")
    drawn = seen.table(picture)
    rows = drawn[drawn["kind"] == "channel"]
    told = returns.channels
    assert rows["channel"].tolist() == told["channel"].tolist()
    for name in ("typical", "typical_lo", "typical_hi", "new_lo", "new_hi"):
        np.testing.assert_array_equal(rows[name], told[name])
    assert rows["truth"].dropna().tolist() == [1.0]
    dots = drawn[drawn["kind"] == "market"]
    for name, part in returns.markets.groupby("channel"):
        np.testing.assert_array_equal(
            np.sort(dots.loc[dots["channel"] == name, "mean"]), np.sort(part["shrunk_mean"])
        )
    assert "outcome per EUR spent" in seen.words(picture)[1]


def test_in_money_break_even_is_marked(returns):
    table, channels = fleet(14)
    paid = mm.fleet_returns(channels, table.assign(outcome_value=0.1))
    even = {"datum": 1}
    for draw in (mm.plot.fleet_forest, mm.plot.fleet_spread):
        picture = draw(paid, outcome="sales", currency="EUR")
        assert seen.axis(picture, "x") == {"EUR per EUR spent"}
        assert even in seen.every(seen.spec(picture), "x")
        scales = [
            x["scale"]["domain"]
            for x in seen.every(seen.spec(picture), "x")
            if "scale" in x
        ]
        assert all(high >= 1.1 for _, high in scales)
        assert "Dotted: 1, where spend breaks even" in seen.words(picture)[1]
        assert even not in seen.every(seen.spec(draw(returns)), "x")


def test_histograms_count_every_market_once():
    table, _ = fleet(30)
    drawn = seen.table(mm.plot.fleet_diagnostics(table))
    sums = drawn.groupby("what", sort=False)["markets"].sum()
    known = [
        table[name].notna().sum() for name in ("r_hat", "min_ess", "seconds", "coverage")
    ]
    assert sums.tolist() == known
    empty = seen.table(mm.plot.fleet_diagnostics(table.assign(coverage=np.nan)))
    assert empty["what"].nunique() == 3


def test_statuses_are_counted_and_the_bad_are_red():
    picture = drawing.statuses({"failed": 3, "fine": 1200}, ("failed",))
    rows = seen.table(picture)
    assert rows[["ended", "markets", "needs"]].to_numpy().tolist() == [
        ["Failed", 3, True],
        ["Fine", 1200, False],
    ]
    assert seen.told(picture) == "3 failed, 1,200 fine"


def test_bars_end_before_the_few_that_are_far_away():
    rng = np.random.default_rng(0)
    values = np.append(1 + rng.gamma(2, 0.002, 200), [1.4, 2.5])
    found = bins(values, 1.01)
    assert found.beyond == 2
    assert found.edges[-1] < 1.1
    assert found.counts.sum() == 202
    assert found.mark == 1.01
    assert bins(np.ones(5)).counts.tolist() == [5]
    assert bins(np.array([2.0, 3.0]), 1.0).mark is None


def test_a_page_of_a_chart_runs_no_name_as_script(tmp_path, returns):
    name = returns.channels["channel"].tolist()[-1]
    assert name.startswith("</script><img")
    mm.plot.fleet_forest(returns, name).save(tmp_path / "forest.html")
    page = (tmp_path / "forest.html").read_text()
    assert "</script><img" not in page
    assert "\\u003c/script>\\u003cimg" in page


def test_they_are_drawn(returns):
    table, channels = fleet(14)
    paid = mm.fleet_returns(channels, table.assign(outcome_value=0.1))
    for picture in (
        mm.plot.fleet_forest(returns, truth={"market 03": 1.3}),
        mm.plot.fleet_spread(paid, truth={"TV": 1.0}),
        mm.plot.fleet_diagnostics(table.assign(coverage=np.nan)),
        drawing.statuses({"fine": 3}, ()),
    ):
        assert to_png(picture, 0.3).startswith(b"\x89PNG")
