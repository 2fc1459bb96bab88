"""What is drawn of a plan."""

from typing import Any

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from mmmjax import plot
from mmmjax.checks import InputError
from mmmjax.plot.colours import REST
from mmmjax.plot.picture import to_png
from tests.plot import examples, seen


def bars(picture, kind, geo="ALL"):
    rows = seen.table(picture)
    return rows[(rows["kind"] == kind) & (rows["geo"] == geo)].set_index("channel")


def test_allocation_sums_over_geos_and_each_can_be_chosen():
    table = examples.plan(("north", "south"))
    table.loc[table["geo"] == "south", "optimized"] = [100.0, 100.0]
    picture = plot.allocation(table)
    assert seen.params(picture) == {"hidden": [], "geo": ["ALL", "north", "south"]}
    assert bars(picture, "reference")["to"].to_dict() == {"TV": 200, "Search": 200}
    assert bars(picture, "optimised")["to"].to_dict() == {"TV": 160, "Search": 240}
    assert bars(picture, "optimised")["change"].tolist() == ["-20%", "+20%"]
    assert bars(picture, "optimised", "north")["change"].tolist() == ["-40%", "+40%"]
    assert (
        seen.told(picture)
        == "From reference to optimised: TV 200 to 160, Search 200 to 240"
    )


def test_bars_are_reference_and_plan_in_the_channels_colours():
    colours = plot.channel_colours(["Mail", "Search", "TV"])
    picture = plot.allocation(examples.plan(), currency="EUR", colours=colours)
    assert bars(picture, "reference")["to"].tolist() == [100, 100]
    assert bars(picture, "optimised")["to"].tolist() == [60, 140]
    assert seen.colours(picture, "kind")["reference"] == REST
    fills = [x for x in seen.every(seen.spec(picture), "fill") if isinstance(x, dict)]
    (paint,) = (
        dict(zip(x["scale"]["domain"], x["scale"]["range"], strict=True)) for x in fills
    )
    assert paint == {name: colours[name] for name in ("TV", "Search")}
    assert seen.axis(picture, "x") == {"spend (EUR) over the window"}
    span = bars(picture, "allowed range")[["from", "to"]]
    assert span.to_numpy().tolist() == [[50, 150], [50, 140]]  # no limit: ends at the bar
    assert "geo" not in seen.params(picture)


def test_no_reference_has_no_change():
    table = examples.plan().assign(reference=[0.0, 100.0])
    assert bars(plot.allocation(table), "optimised")["change"].tolist() == ["", "+40%"]


@pytest.mark.parametrize(
    ("planned", "title"),
    [
        ([60.0, 140.0], "Move money from TV to Search"),
        ([100.0, 140.0], "Spend more on Search"),
        ([100.0, 50.0], "Spend less on Search"),
        ([100.0, 100.2], "Keep the split"),
    ],
)
def test_the_title_says_which_way_money_moves(planned, title):
    picture = plot.allocation(examples.plan().assign(optimized=planned))
    assert seen.words(picture)[0] == title


def test_channels_at_an_end_of_their_range_are_marked():
    table = examples.plan().assign(optimized=[50.0, 140.0], upper=[150.0, 140.0])
    picture = plot.allocation(table)
    assert bars(picture, "held at its end")["to"].to_dict() == {"TV": 50, "Search": 140}
    assert bars(picture, "optimised")["held"].tolist() == ["least", "most"]
    assert "held at its end" in seen.colours(picture, "kind")
    fixed = plot.allocation(table.assign(lower=[50.0, 140.0]))
    assert bars(fixed, "optimised")["held"].tolist() == ["least", "fixed"]
    free = plot.allocation(examples.plan())
    assert bars(free, "optimised")["held"].tolist() == ["", ""]
    assert "held at its end" not in seen.colours(free, "kind")


def test_a_range_far_beyond_all_spend_is_cut():
    picture = plot.allocation(examples.plan().assign(upper=[1e9, 200.0]))
    span = bars(picture, "allowed range")
    assert span["cut"].tolist() == [True, False]
    assert span["to"].tolist() == [1.6 * 140, 200]
    assert "cut" in seen.words(picture)[1]


def test_marginal_returns_are_slopes_of_the_curves():
    found = examples.curves()  # response = 10 sqrt(level)
    plan = examples.plan().assign(reference=[40.0, 10.0], optimized=[30.0, 20.0])
    picture = plot.marginal_returns(found, plan, price=1.0, outcome="sales", period="week")
    rows = seen.table(picture)
    assert seen.spec(picture)["facet"]["sort"] == ["TV", "Search"]
    for name, part in rows.groupby("channel"):
        grid = found["spend"].sel(geo="ALL", channel=name).to_numpy()
        chords = np.diff(10 * np.sqrt(grid)) / np.diff(grid)
        middle = 0.5 * (grid[1:] + grid[:-1])
        np.testing.assert_allclose(part["slope"], np.interp(part["level"], middle, chords))
    tv = rows[rows["channel"] == "TV"].set_index("said")["level"]
    assert (tv["reference"], tv["plan"]) == (40.0, 30.0)
    assert {"datum": 1.0} in seen.every(seen.spec(picture), "y")
    half = seen.table(plot.marginal_returns(found, plan, periods=2))
    assert half.loc[half["said"] == "reference", "level"].tolist() == [20.0, 5.0]


def scales(picture):
    found = [x["scale"] for x in seen.every(seen.spec(picture), "y") if "scale" in x]
    return {(scale.get("type", "linear"), *scale["domain"]) for scale in found}


def test_marginal_returns_far_apart_are_drawn_on_a_logarithmic_axis():
    found, plan = examples.curves(), examples.plan()
    plan = plan.assign(reference=[90.0, 40.0], optimized=[80.0, 40.0])
    ((kind, low, _),) = scales(plot.marginal_returns(found, plan))
    assert (kind, low) == ("linear", 0)
    ((kind, low, _),) = scales(plot.marginal_returns(found, plan, price=0.001))
    assert (kind, low) == ("log", 0.0005)


def test_a_plan_beyond_the_curve_has_no_mark():
    plan = examples.plan().assign(reference=[40.0, 10.0], optimized=[400.0, 20.0])
    rows = seen.table(plot.marginal_returns(examples.curves(), plan))
    rows = rows[rows["said"] == "plan"].set_index("channel")
    assert np.isnan(rows.loc["TV", "slope"])
    assert np.isfinite(rows.loc["Search", "slope"])
    organic = plan.assign(channel=["TV", "Mail"])
    with pytest.raises(InputError, match="paid channels with a curve"):
        plot.marginal_returns(examples.curves(), organic)


def spend(values, dated=True, geos=("g",)):
    periods = pd.date_range("2024-01-07", periods=4, freq="W") if dated else [1, 2, 3, 4]
    values = [values] * len(geos)
    return xr.DataArray(
        values,
        {"geo": [*geos], "channel": ["TV", "Search"], "period": periods},
        ("geo", "channel", "period"),
    )


@pytest.mark.parametrize("dated", [True, False])
def test_spend_of_periods_is_stacked_and_the_title_says_how_even(dated):
    even = plot.flighting(spend([[10.0] * 4, [5.0] * 4], dated), period="week")
    assert "the same in every week" in seen.words(even)[0]
    pulsed = spend([[40.0, 0.0, 0.0, 0.0], [5.0] * 4], dated)
    picture = plot.flighting(pulsed, currency="EUR", period="week")
    assert seen.words(picture) == (
        "Spend is not even: from 5 to 45 EUR a week; TV on and off",
        "spend (EUR) a week",
    )
    rows = seen.table(picture)
    for name in ("TV", "Search"):
        kept = rows.loc[rows["channel"] == name, "spend"]
        np.testing.assert_array_equal(kept, pulsed.sel(geo="g", channel=name))
    assert ("since" in seen.params(picture)) is dated
    (stack,) = {str(x) for x in seen.every(seen.spec(picture), "stack")}
    assert stack == "spend"


def test_spend_of_periods_from_the_file_and_of_geos():
    pulsed = spend([[40.0, 0.0, 10.0, 0.0], [5.0] * 4], geos=("g", "h"))
    table = pulsed.to_dataframe("spend").reset_index()
    table["period"] = table["period"].dt.strftime("%Y-%m-%d")
    made, read = (seen.table(plot.flighting(x)) for x in (pulsed, table))
    pd.testing.assert_frame_equal(made, read)
    sums: Any = made[made["geo"] == "ALL"].groupby("channel")["spend"].sum()
    assert sums.to_dict() == {"TV": 100.0, "Search": 40.0}
    assert seen.params(plot.flighting(pulsed))["geo"] == ["ALL", "g", "h"]
    with pytest.raises(InputError, match="no periods"):
        plot.flighting(table.iloc[:0])


NASTY = {"TV": 'O\'Neil "x" [1] .a', "Search": "<b>"}


@pytest.mark.parametrize(
    "draw",
    [
        lambda: plot.allocation(examples.plan(("n", "s")).replace({"channel": NASTY})),
        lambda: plot.marginal_returns(examples.curves(), examples.plan(), price=0.001),
        lambda: plot.flighting(
            spend([[1.0] * 4] * 2).assign_coords(channel=[*NASTY.values()])
        ),
        lambda: plot.flighting(spend([[1.0] * 4] * 2, dated=False)),
    ],
)
def test_they_are_drawn(draw):
    assert to_png(draw(), 0.3).startswith(b"\x89PNG")
