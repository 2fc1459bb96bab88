# pyright: reportArgumentType=false, reportOptionalSubscript=false
"""A panel the model could not learn from is refused; so is a future that does not fit."""

import numpy as np
import pandas as pd
import pytest

from mmmjax.checks import InputError
from mmmjax.panel import Panel, for_prediction, for_training
from tests.tables import NAMES, weekly

GEOS = ["North", "South"]


def train(df, max_lag=4, on_empty="error", **names):
    panel = Panel.from_frame(df, **(NAMES | names))
    return for_training(panel, max_lag=max_lag, on_empty=on_empty)


def refuse_training(df, *fragments, **arguments):
    with pytest.raises(InputError) as error:
        train(df, **arguments)
    for fragment in fragments:
        assert fragment in str(error.value)


def test_a_good_panel_passes_without_notes():
    panel = Panel.from_frame(weekly(), **NAMES)
    assert for_training(panel, max_lag=12) == (panel, ())


def test_fewer_periods_than_lags():
    got = "max_lag: got 13 for 12 periods, 2023-01-01 to 2023-03-19"
    refuse_training(weekly(), got, "at most as many lags", "set max_lag=3", max_lag=13)
    df = weekly()
    df.loc[:1, "sales"] = np.nan  # the history carries over but is not modelled
    refuse_training(df, "got 11 for 10 periods, 2023-01-15 to", max_lag=11)


def test_outcomes_without_information():
    fix = 'pass outcome="column"'
    refuse_training(weekly(), "got a panel without outcome", fix, outcome=None)
    fix = "name the right column as outcome"
    got = 'outcome: got 5 in all 12 observed periods in column "sales"'
    refuse_training(weekly().assign(sales=5.0), got, "that varies", fix)
    got = 'got no observed value in column "sales"'
    refuse_training(weekly().assign(sales=np.nan), got, fix)
    negative = weekly().assign(sales=lambda d: -d.sales)
    got = "got a largest value of -50.1369"
    refuse_training(negative, got, "above 0", "check the sign")


@pytest.mark.parametrize("sales", [5.0, np.nan])
def test_one_geo_without_information(sales):
    df = weekly(geos=GEOS)
    df.loc[12:, "sales"] = sales
    fix = 'if "geo" names channels and the outcome stands in the rows of one of them'
    refuse_training(df, 'for geo "South"', fix, geo="geo")


def test_empty_columns_are_a_choice():
    df = weekly().assign(tv=0.0, promo=1)
    got = 'media "tv" (all zero) and controls "promo" (always 1) from 2023-01-01'
    refuse_training(df, got, "to 2023-03-19", 'on_empty="drop"', '"prior"')
    panel, notes = train(df, on_empty="drop")
    assert (panel.channels, panel.control_names) == (("radio",), ())
    assert panel.columns.media == panel.columns.spend == ("radio",)
    assert panel.media.shape == (1, 12, 1)
    assert notes == (
        'media "tv" (all zero) and controls "promo" (always 1) never change from '
        "2023-01-01 to 2023-03-19: left out",
    )
    panel, notes = train(df, on_empty="prior")
    assert panel.channels == ("tv", "radio")
    assert "stays at the prior" in notes[0]
    refuse_training(df, 'on_empty: got "no"', '"drop" or "prior"', on_empty="no")


def test_columns_that_change_before_the_window_only_are_empty():
    df = weekly()
    df.loc[:2, "sales"] = np.nan
    df.loc[3:, "promo"] = 0
    refuse_training(df, 'controls "promo" (all zero) from 2023-01-22', "on_empty")


def test_media_without_money_and_money_without_media():
    df = weekly().assign(cost=0.0)
    got = 'spend: got 48.5438 units of media and no spend at all for channel "tv"'
    fix = 'media "tv" = { column = "tv", organic = true }'
    refuse_training(df, got, "2023-01-01 to 2023-03-19", fix, spend={"tv": "cost"})
    df = weekly().assign(cost=1.0, tv=0.0)
    got = 'media: got spend of 12 and no media at all for channel "tv"'
    refuse_training(df, got, 'media={"tv": "cost"}', spend={"tv": "cost"})


def test_what_is_masked_is_said():
    df = weekly(geos=GEOS).drop([0, 1, 22, 23])
    df.loc[5, "sales"] = np.nan
    assert train(df, geo="geo")[1] == (
        "unbalanced, masked where absent: North (2023-01-15 to 2023-03-19) and South "
        "(2023-01-01 to 2023-03-05)",
        "missing outcomes masked: 1 (first: 2023-02-05 in North)",
    )
    df = weekly()
    df.loc[[0, 1, 10, 11], "sales"] = np.nan
    assert train(df)[1] == (
        "2 periods before 2023-01-15 only carry media over",
        "missing outcomes masked: 2 (first: 2023-03-12)",
        "the last 2 periods have no outcome: split them off to forecast",
    )


def test_geos_that_pay_nothing_are_said():
    df = weekly(geos=GEOS).assign(cost=1.0)
    df.loc[12:, "cost"] = 0
    note = "tv has media but no spend in South: costs as overall there"
    assert train(df, geo="geo", spend={"tv": "cost"})[1] == (note,)


# --- what comes after training --------------------------------------------------------


def test_future_dates_follow_training():
    panel = Panel.from_frame(weekly(), **NAMES)
    training, test = panel.split("2023-02-26")
    assert for_prediction(training, test).dates.equals(test.dates)

    def refuse_test(future, *fragments):
        with pytest.raises(InputError) as error:
            for_prediction(training, future)
        for fragment in fragments:
            assert fragment in str(error.value)

    got = "test panel: got dates that start at 2023-01-01"
    fix = "drop the 9 periods up to 2023-02-26 from the test panel"
    refuse_test(panel, got, "training ends at 2023-02-26", fix)
    late = Panel.from_frame(weekly().iloc[10:], **NAMES)
    refuse_test(late, "start at 2023-03-12", "add the missing period 2023-03-05")
    daily = weekly().assign(date=pd.date_range("2023-03-05", periods=12))
    other = Panel.from_frame(daily, **NAMES)
    refuse_test(other, 'got "D"', "W-SUN", "bring both to one frequency")
    short = Panel.from_frame(weekly().iloc[9:], **(NAMES | {"media": ["tv"]}))
    refuse_test(short, 'test panel channels: got no "radio"', "training.read_future")


def test_future_geos_are_those_of_training():
    training, test = Panel.from_frame(weekly(geos=GEOS), geo="geo", **NAMES).split(
        "2023-02-26"
    )
    table = test.to_frame()
    for future, fragments in (
        (table.query("geo == 'North'"), ['no rows for geo "South"', "add its rows"]),
        (table.replace("South", "Soth"), ['got "Soth"', 'did you mean "South"?']),
    ):
        with pytest.raises(InputError) as error:
            training.read_future(future)
        for fragment in fragments:
            assert fragment in str(error.value)
        other = Panel.from_frame(future, geo="geo", **NAMES)
        with pytest.raises(InputError, match="test panel geos: got"):
            for_prediction(training, other)
    extra = table.replace("North", "West")
    extra = Panel.from_frame(
        pd.concat([table, extra.query("geo == 'West'")]), geo="geo", **NAMES
    )
    with pytest.raises(InputError, match=r'test panel geos: got "West".* drop its rows'):
        for_prediction(training, extra)


def test_a_future_table_says_all_it_lacks():
    panel = Panel.from_frame(weekly().assign(cost=1.0), **NAMES, spend={"tv": "cost"})
    with pytest.raises(InputError) as error:
        panel.read_future(weekly()[["sales"]])
    got = 'future table: got a table without "date", "promo", "tv" or "cost" and "radio"'
    assert str(error.value).startswith(got)
    assert "named as in training" in str(error.value)
    with pytest.raises(InputError, match=r"future table: .* drop the 12 periods"):
        panel.read_future(weekly())
    with pytest.raises(InputError, match="add the missing period 2023-03-26"):
        panel.read_future(weekly().assign(date=lambda d: d.date + pd.Timedelta("91D")))


@pytest.mark.parametrize("date", ["2022-12-31", "2023-03-19", "2024-01-01"])
def test_a_split_leaves_something_on_both_sides(date):
    panel = Panel.from_frame(weekly(), **NAMES)
    allowed = "a date from 2023-01-01 to before 2023-03-19, the modelled periods"
    with pytest.raises(InputError, match=f"split: got .*{allowed}. Fix: .* 2023-03-12"):
        panel.split(date)


@pytest.mark.parametrize("date", ["soon", None, 2023, 45000.0, "45000", True, b"2023"])
def test_a_split_is_at_a_date(date):
    panel = Panel.from_frame(weekly(), **NAMES)
    fix = 'Allowed: a date such as 2023-03-12. Fix: write "2023-03-12"'
    with pytest.raises(InputError, match=f"split: got .*{fix}"):
        panel.split(date)


def test_selected_geos_exist_and_differ():
    panel = Panel.from_frame(weekly(geos=GEOS), geo="geo", **NAMES)
    with pytest.raises(InputError, match=r'geos: got "Nort".*did you mean "North"\?'):
        panel.select(["Nort"])
    for names in ([], ["North", "North"]):
        with pytest.raises(InputError, match="at least one geo, each once"):
            panel.select(names)


def test_arrays_of_other_shapes_are_refused():
    panel = Panel.from_frame(weekly(), **NAMES)
    with pytest.raises(InputError, match=r"outcome: got shape \(1, 11\).*shape \(1, 12\)"):
        Panel(
            panel.outcome[:, 1:],
            panel.media,
            panel.spend,
            panel.controls,
            panel.present,
            panel.dates,
            panel.geos,
            panel.channels,
            panel.control_names,
        )
