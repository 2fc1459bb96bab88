"""Every bad input is refused with a message that names the place and the fix."""

from typing import Any

import numpy as np
import pandas as pd
import pytest

from mmmjax.checks import InputError
from mmmjax.panel import Panel
from tests.tables import NAMES, weekly, with_cell

GEOS = ["North", "South"]


def refuse(df, *fragments, **names):
    """Reading `df` fails, and the message holds every fragment."""
    with pytest.raises(InputError) as error:
        Panel.from_frame(df, **(NAMES | names))
    for fragment in fragments:
        assert fragment in str(error.value)


# --- cells --------------------------------------------------------------------------


@pytest.mark.parametrize(
    "column, cell, fix",
    [
        ("tv", "1,234,567.5", "pass thousands=',' to read it as 1234567.5"),
        ("tv", "n/a", "write 0 if nothing happened"),
        ("tv", "-", "write 0 if nothing happened"),
        ("sales", "n/a", "leave the cell empty, which is a missing value"),
        ("tv", "12,5", "pass decimal={'tv': ','} to read it as 12.5"),
        ("tv", "1.234,5", "pass decimal={'tv': ','}, thousands={'tv': '.'}"),
        ("tv", "€ 12", "pass strip='€' to read it as 12, or write 12 in the cell"),
        ("tv", "$1,200.50", "pass thousands=',', strip='$' to read it as 1200.5"),
        ("tv", "1 200", "pass thousands=' ' to read it as 1200"),
        ("tv", "USD 1200", "pass strip='USD' to read it as 1200"),
        ("tv", "1200,50 EUR", "pass decimal={'tv': ','}, strip='EUR' to read it as 1200.5"),
        ("promo", "12%", "pass strip='%' to read it as 12"),
        ("promo", "yes", "write 1 for yes and 0 for no"),
        ("promo", "big sale", 'pd.get_dummies(df, columns=["promo"], dtype=float)'),
        ("radio", "spring flight", 'name another column than "radio"'),
    ],
)
def test_text_among_numbers(column, cell, fix):
    df = with_cell(column, 3, cell)
    df.loc[9, column] = cell
    field = {"sales": "outcome", "promo": "controls"}.get(column, "media")
    place = (
        f'{field}: got "{cell}" at column "{column}", row 3 (df.iloc[3]), date 2023-01-22'
    )
    refuse(df, place, "(2 such cells in this column)", "Allowed: numbers", fix)


@pytest.mark.parametrize(
    "column, cell, got, fix",
    [
        ("tv", np.nan, "media: got a missing value", 'df["tv"].fillna(0)'),
        ("tv", None, "media: got a missing value", 'df["tv"].fillna(0)'),
        ("tv", "", "media: got a missing value", 'df["tv"].fillna(0)'),
        ("promo", np.nan, "controls: got a missing value", "last known value"),
        ("tv", np.inf, "media: got inf", "division by zero"),
        ("promo", -np.inf, "controls: got -inf", "division by zero"),
        ("sales", np.inf, "outcome: got inf", "division by zero"),
        ("tv", -5.0, "media: got -5", "refunds"),
    ],
)
def test_numbers_that_cannot_be(column, cell, got, fix):
    place = f'at column "{column}", row 15 (df.iloc[15]), date 2023-01-22, geo "South"'
    df = with_cell(column, 15, cell, geos=GEOS)
    refuse(df, f"{got} {place}", "Allowed: finite numbers", fix, geo="geo")


def test_spend_is_read_as_strictly_as_media():
    df = weekly().assign(cost=1.0)
    df.loc[4, "cost"] = -1
    place = 'spend: got -1 at column "cost", row 4 (df.iloc[4]), date 2023-01-29'
    refuse(df, place, "refunds", spend={"tv": "cost"})
    df.loc[4, "cost"] = np.nan
    place = 'spend: got a missing value at column "cost", row 4'
    refuse(df, place, 'df["cost"].fillna(0)', spend={"tv": "cost"})


def test_dates_and_durations_are_no_numbers():
    df = weekly().assign(when=lambda d: d.date, lag=lambda d: d.date - d.date[0])
    refuse(df, "a column of type datetime64", 'column "when"', controls=["when"])
    refuse(df, "a column of type timedelta64", "name another column", controls=["lag"])


@pytest.mark.parametrize(
    "value, got", [(0.0, "got 0"), (-3.0, "got -3"), (None, "got NaN")]
)
def test_population_is_above_zero(value, got):
    df = with_cell("people", 3, value, geos=GEOS)
    place = f'population: {got} at column "people", row 3'
    refuse(df, place, 'geo "North"', "in all its rows", geo="geo", population="people")


# --- geos ---------------------------------------------------------------------------


@pytest.mark.parametrize("cell", [None, np.nan, "", "  "])
def test_a_row_without_geo(cell):
    place = 'geo: got no geo at column "geo", row 3'
    refuse(with_cell("geo", 3, cell, geos=GEOS), place, "line of totals", geo="geo")


def test_two_spellings_of_a_geo():
    place = 'geo: got "north " at column "geo", row 3'
    fix = 'df["geo"].replace("north ", "North")'
    refuse(with_cell("geo", 3, "north ", geos=GEOS), place, fix, geo="geo")
    fix = 'df["geo"].replace("North ", "north")'  # the one without a space stays
    df = weekly(geos=["North ", "South"])
    df.loc[3, "geo"] = "north"
    refuse(df, 'got "north" at column "geo", row 3', fix, geo="geo")


def test_totals_among_the_geos():
    df = weekly(geos=["North", "All"])
    refuse(df, 'got "All" at column "geo", row 12', "drop the rows of totals", geo="geo")


# --- dates --------------------------------------------------------------------------


def test_forgotten_geo_is_recognised():
    df = weekly(geos=GEOS).assign(id=range(24))
    place = "got 2 rows for one date at row 12 (df.iloc[12]) after row 0 (df.iloc[0])"
    refuse(df, place, "date 2023-01-01", 'geo = "geo"', "add them up")


def test_repeated_rows():
    df = pd.concat([weekly(), weekly().iloc[[4]].assign(sales=1.0)])
    row, said = "2 rows for one date at row 12", "name the column of geos"
    refuse(df, row, "after row 4", "date 2023-01-29", said)
    df = pd.concat([weekly(geos=GEOS), weekly(geos=GEOS).iloc[[4]]])
    place = "2 rows for one date and geo at row 24 (df.iloc[24]) after row 4"
    refuse(df, place, 'geo "North"', "df.drop_duplicates()", geo="geo")
    df = pd.concat([weekly(geos=GEOS), weekly(geos=GEOS).iloc[[4]].assign(tv=1.0)])
    refuse(df, place, "add the rows up or remove the wrong one", geo="geo")


def test_missing_periods():
    fix = "add the rows, with 0 where nothing ran and the outcome left empty"
    got = "date: got no row for 2 periods 2023-01-29 and 2023-02-05"
    refuse(weekly().drop([4, 5]), got, "weekly, on SUN", fix)
    df = weekly(geos=GEOS)
    got = "got no row for 1 period 2023-01-29 in any geo"
    refuse(df.drop([4, 16]), got, fix, geo="geo")
    got = '1 period 2023-01-29 for geo "South"'
    refuse(df.drop([16]), got, fix, geo="geo")


def test_a_missing_day():
    days = pd.date_range("2023-01-01", periods=41, freq="D").delete(7)
    got = "got no row for 1 period 2023-01-08"
    refuse(weekly(40).assign(date=days), got, "(daily)", "add the rows")


def test_a_missing_month():
    months = pd.date_range("2021-01-01", periods=25, freq="MS").delete(7)
    refuse(
        weekly(24).assign(date=months), "1 period 2021-08-01", "(monthly)", "add the rows"
    )


def test_dates_off_the_grid():
    df = weekly()
    df.loc[5, "date"] += pd.Timedelta("1D")
    got = "date: got 2023-02-06 (Mon) at row 5 (df.iloc[5])"
    refuse(df, got, "weekly, on SUN: 2023-02-05 or 2023-02-12", "correct the date")
    df = weekly()
    df.loc[:4, "date"] += pd.Timedelta("1D")
    refuse(df, "got 2023-01-02 (Mon) at row 0", "5 of 12 rows are off it", "one frequency")
    df = weekly(geos=GEOS)
    df.loc[12:, "date"] += pd.Timedelta("2D")
    refuse(df, "got 2023-01-01 (Sun) at row 0 (df.iloc[0])", 'geo "North"', geo="geo")


def test_irregular_dates():
    days = pd.to_datetime("2023-01-01") + pd.to_timedelta(np.cumsum(range(1, 13)), "D")
    got = "got steps of 2, 3, 4, 5 and 7 more days between dates"
    refuse(
        weekly().assign(date=days), got, 'up to months, df.resample("MS", on="date").sum('
    )


def uneven(kind):
    first = pd.Timestamp("2022-01-03")
    if kind == "halves of months":
        months = pd.date_range("2022-01-01", periods=24, freq="MS")
        return months.union(months + pd.Timedelta(14, "D"))
    if kind == "thirds of months":
        return pd.DatetimeIndex(
            [f"2022-{m:02}-{d:02}" for m in range(1, 13) for d in (1, 11, 21)]
        )
    steps = {"4-4-5": [28, 28, 35], "5-4-4": [35, 28, 28], "twice a week": [3, 4]}[kind]
    return first + pd.to_timedelta(np.cumsum([0, *steps * 12][:-1]), "D")


@pytest.mark.parametrize("geos", [None, GEOS])
@pytest.mark.parametrize(
    "kind, freq",
    [
        ("4-4-5", "QS"),
        ("5-4-4", "QS"),
        ("halves of months", "MS"),
        ("thirds of months", "MS"),
        ("twice a week", "W"),
    ],
)
def test_uneven_calendars_add_up_to_even_ones_by_the_line_that_is_said(kind, freq, geos):
    dates = uneven(kind)
    df = weekly(len(dates), **({"geos": geos} if geos else {}))
    df["date"] = np.tile(dates, len(geos or [None]))
    by = '.groupby("geo")' if geos else ""
    line = f'df{by}.resample("{freq}", on="date").sum(numeric_only=True).reset_index()'
    refuse(df, "the calendar is uneven", line, **({"geo": "geo"} if geos else {}))
    even = eval(line, {"df": df})
    names: dict[str, Any] = NAMES | ({"geo": "geo"} if geos else {})
    panel = Panel.from_frame(even, **names)
    assert len(panel.dates) < len(dates) / 1.9
    np.testing.assert_allclose(panel.outcome.sum(), df["sales"].sum())
    np.testing.assert_allclose(panel.media.sum((0, 1)), df[["tv", "radio"]].sum())


def test_months_in_the_middle():
    days = pd.date_range("2023-01-01", periods=12, freq="MS") + pd.Timedelta("14D")
    fix = 'df["date"].dt.to_period("M").dt.start_time'
    refuse(weekly().assign(date=days), "months dated 2023-01-15, 2023-02-15", fix)


def test_frequency_asked_for_must_fit():
    refuse(weekly(), "row 1", "11 of 12 rows", "freq, if you gave one", freq="M")
    refuse(weekly(), "no row for 66 periods", "(daily)", freq="D")
    refuse(weekly(), 'freq: got "week"', '"W-SUN"', "leave freq out", freq="week")
    refuse(weekly(1), "got a single date, 2023-01-01", 'freq="W"')


@pytest.mark.parametrize(
    "dates, got, fix",
    [
        (range(202301, 202313), "got 202301", "date_format='%Y%m' for months"),
        (range(1, 13), "got 1 ", "the date on which the period starts"),
        (range(44000, 44084, 7), "got 44000", 'unit="D", origin="1899-12-30"'),
        ([1672531200 + i for i in range(12)], "got 1672531200", 'unit="s"'),
        ([1672531200000 + i for i in range(12)], "got 1672531200000", 'unit="ms"'),
        (["hello"] * 12, 'got "hello"', "YYYY-MM-DD"),
        (["13/13/2023"] * 12, 'got "13/13/2023"', "YYYY-MM-DD"),
        ([f"2023-W{i:02d}" for i in range(1, 13)], 'got "2023-W01"', "'%G-W%V'"),
        ([None] * 12, "got a missing date", "drop the row"),
        (["0203-01-01"] * 12, 'got "0203-01-01"', "correct the year"),
    ],
)
def test_dates_that_cannot_be_read(dates, got, fix):
    df = weekly().assign(date=list(dates))
    refuse(df, f"date: {got}", 'at column "date", row 0 (df.iloc[0])', fix)


def test_one_date_that_cannot_be_read():
    df = weekly()
    df["date"] = df["date"].dt.strftime("%d/%m/%Y")
    df.loc[4, "date"] = "31/02/2023"
    place = 'got "31/02/2023" at column "date", row 4 (df.iloc[4])'
    refuse(df, place, "Allowed: a date", "YYYY-MM-DD")
    df.loc[4, "date"] = "Total"
    refuse(
        df, 'got "Total" at column "date", row 4', "drop the row if it is a line of totals"
    )


def test_day_and_month_that_may_be_swapped():
    df = weekly().assign(date=[f"01/{i:02d}/2023" for i in range(1, 13)])
    got = 'got "01/02/2023", which may be 2023-02-01 or 2023-01-02 at column "date", row 1'
    fix = "pass date_format='%d/%m/%Y' for 2023-02-01 or pass date_format='%m/%d/%Y' for"
    refuse(df, got, fix)


def test_time_of_day():
    df = weekly()
    df.loc[3, "date"] += pd.Timedelta("5h")
    place = 'got 2023-01-22 05:00:00 at column "date", row 3'
    refuse(df, place, "without a time of day", "dt.normalize()")


def test_midnight_of_another_time_zone():
    utc = weekly()["date"].dt.tz_localize("Europe/Berlin").dt.tz_convert("UTC")
    place = 'got 2022-12-31 23:00:00 at column "date", row 0'
    for dates in (utc, utc.astype(str), utc.dt.strftime("%Y-%m-%dT%H:%M:%SZ")):
        fix = 'utc=True).dt.tz_convert("Europe/Paris")'
        refuse(weekly().assign(date=dates), place, "midnight in their time zone", fix)


# --- columns ------------------------------------------------------------------------


@pytest.mark.parametrize(
    "names, got, fix",
    [
        ({"outcome": "Sales"}, 'outcome: got "Sales"', 'did you mean "sales"?'),
        ({"media": ["tvv"]}, 'media: got "tvv"', 'did you mean "tv"?'),
        ({"media": "tv, radio"}, 'media: got "tv, radio"', 'its own: ["tv", "radio"]'),
        ({"media": ["tv;radio"]}, 'media: got "tv;radio"', 'its own: ["tv", "radio"]'),
        ({"media": {"TV": "t.v"}}, 'media "TV": got "t.v"', 'did you mean "tv"?'),
        ({"geo": "region"}, 'geo: got "region"', "name a column of the table"),
        ({"population": "pop"}, 'population: got "pop"', "a column"),
        ({"spend": {"tv": "cost"}}, 'spend of "tv": got "cost"', "a column"),
        ({"controls": ["hldy_*"]}, 'controls: got "hldy_*"', "correct the pattern"),
        ({"controls": ["prom0*"]}, "a pattern that matches columns", '"promo"'),
        ({"media": ["tv", "tv"]}, 'media: got "tv" twice', "remove one"),
        ({"media": {"a": "tv", "b": "tv"}}, 'got "tv", which', "take"),
        ({"media": ["sales"]}, "the column of outcome too", 'take "sales" out'),
        ({"controls": ["tv"]}, "the column of media too", "out of controls"),
        ({"controls": ["*"]}, "the column of date too", "a glob may have caught it"),
        ({"media": {"TV": "tv", "tv ": "radio"}}, '"tv " beside "TV"', "another name"),
        ({"media": {"Promo": "tv"}}, '"promo" beside "Promo"', "another name"),
        ({"media": {" ": "tv"}}, 'media: got " "', "rename"),
        ({"media": {"Trend": "tv"}}, 'media: got "Trend"', '{"Trend channel": "Trend"}'),
        ({"media": {"tv": "TV", "radio": "R"}}, 'got {"tv": "TV"}', 'round, {"TV": "tv"}'),
        ({"spend": {"tvv": "sales"}}, 'spend: got "tvv"', 'did you mean "tv"?'),
        (
            {"spend": {"email": "sales"}},
            'spend: got "email"',
            "add it to media or remove it",
        ),
        ({"spend": {"people": "tv"}}, 'got {"people": "tv"}', '{"tv": "people"}'),
        (
            {"spend": ["people"]},
            "2 channels but spend columns",
            'spend={"channel": "column"}',
        ),
        (
            {"spend": {"tv": "people", "radio": "people"}},
            '"people"',
            "must be divided first",
        ),
    ],
)
def test_columns_are_found_and_used_once(names, got, fix):
    refuse(weekly().assign(people=1.0), got, "Allowed: ", fix, **names)


def test_tables_that_are_none():
    refuse(weekly().iloc[:0], "df: got a table without rows", "check the filter")
    refuse("sales.csv", "df: got an object of type str", "Panel.from_file(path")
    refuse([1], "got an object of type list", "pass a pandas DataFrame")
    refuse(weekly().set_index("date"), 'date: got "date"', "df.reset_index()")
    twins = pd.concat([weekly(), weekly()[["tv"]]], axis=1)
    refuse(twins, 'media: the table has 2 columns named "tv"', "rename or drop")


class Polars:
    def to_pandas(self):
        return weekly()


def test_other_tables_are_pointed_to_pandas():
    refuse(Polars(), "Polars", "pass df.to_pandas()")


# --- files --------------------------------------------------------------------------


def refuse_file(path, *fragments):
    with pytest.raises(InputError) as error:
        Panel.from_file(path, **NAMES)
    for fragment in fragments:
        assert fragment in str(error.value)


def test_cells_of_a_file_are_named_by_line(tmp_path):
    with_cell("tv", 3, "1,234").to_csv(tmp_path / "sales.csv", index=False)
    refuse_file(tmp_path / "sales.csv", 'got "1,234" at column "tv", line 5 of sales.csv')


def test_files_that_cannot_be_read(tmp_path):
    (tmp_path / "sales.csv").write_text("")
    refuse_file(tmp_path / "sale.csv", "a file that exists", 'did you mean "sales.csv"?')
    refuse_file(tmp_path / "no" / "x.csv", "a file that exists", "correct the path")
    refuse_file(tmp_path, "a file that exists", "name a file in this folder")
    refuse_file(tmp_path / "sales.csv", "a header and rows", "check the export")
    (tmp_path / "a.xlsx").write_text("x")
    refuse_file(tmp_path / "a.xlsx", "a readable workbook", "save it as .xlsx, or as CSV")
    (tmp_path / "a.json").write_text("x")
    refuse_file(tmp_path / "a.json", "a .csv, .parquet or .xlsx file", "save it as CSV")
    (tmp_path / "a.parquet").write_text("x")
    refuse_file(tmp_path / "a.parquet", "a readable Parquet file", "df.to_parquet(path)")
    (tmp_path / "long.csv").write_text("date,sales\n1,2\n1,2,3\n")
    refuse_file(
        tmp_path / "long.csv", "equally many cells", "line 3 has 3 cells and its header 2"
    )
    (tmp_path / "ends.csv").write_text("date,sales\n2023-01-01,1,\n2023-01-08,2,\n")
    refuse_file(tmp_path / "ends.csv", "equally many cells", "commas at the ends of lines")
    weekly().assign(x=1).rename(columns={"x": "tv"}).to_csv(tmp_path / "twice.csv")
    refuse_file(tmp_path / "twice.csv", 'the table has 2 columns named "tv"', "rename")
