"""Dates as exports write them: read as meant, or refused with what gives what was meant."""

import re

import numpy as np
import pandas as pd
import pytest

from mmmjax.checks import InputError
from mmmjax.exploration import warnings
from mmmjax.panel import Panel
from mmmjax.panel.calendar import following
from tests.tables import NAMES, weekly
from tests.test_panel_reading import proposals

WEEKS = pd.date_range("2023-01-02", periods=60, freq="W-MON")
MONTHS = pd.date_range("2020-01-01", periods=40, freq="MS")
QUARTERS = pd.date_range("2013-01-01", periods=40, freq="QS")
DAYS = pd.date_range("2023-01-01", periods=365, freq="D")
GERMAN = (
    "Januar Februar März April Mai Juni Juli August September Oktober November Dezember"
)
FRENCH = "janv. févr. mars avr. mai juin juil. août sept. oct. nov. déc."
SPANISH = "enero febrero marzo abril mayo junio julio agosto septiembre octubre noviembre"
SPANISH += " diciembre"
BRAZIL = "jan fev mar abr mai jun jul ago set out nov dez"
ITALIAN = "gen feb mar apr mag giu lug ago set ott nov dic"


def read(dates, texts, **more):
    df = weekly(len(dates)).assign(date=list(texts), sales=np.arange(len(dates)) + 50.0)
    return Panel.from_frame(df, **(NAMES | more))


def right(panel, dates):
    assert panel.dates.equals(pd.DatetimeIndex(dates).as_unit("ns"))
    np.testing.assert_array_equal(panel.outcome[0], np.arange(len(dates)) + 50.0)


def named(day, names, form):
    return form.format(d=day, month=names.split()[day.month - 1])


# --- forms that are read --------------------------------------------------------------


@pytest.mark.parametrize(
    "form",
    ["%y-%m-%d", "%y.%m.%d", "%a, %b %d, %Y", "%A, %B %d, %Y", "%d%b%Y", "%d. %b %Y",
     "%Y年%m月%d日", "%m/%d/%Y 12:00:00 AM", "%d.%b.%Y", "%-d.%-m.%y"],
)  # fmt: skip
@pytest.mark.parametrize("dates", [WEEKS, MONTHS, DAYS])
def test_days_of_exports_are_read(form, dates):
    right(read(dates, dates.strftime(form)), dates)


@pytest.mark.parametrize(
    "form", ["%b %y", "%b'%y", "%b/%y", "%m/%Y", "%m.%Y", "%YM%m", "%B-%y"]
)
def test_months_of_exports_are_read(form):
    right(read(MONTHS, MONTHS.strftime(form)), MONTHS)


@pytest.mark.parametrize(
    "names, form, dates",
    [
        (GERMAN, "{d.day}. {month} {d.year}", WEEKS),
        (FRENCH, "{d.day} {month} {d.year}", DAYS),
        (SPANISH, "{d.day} de {month} de {d.year}", WEEKS),
        (BRAZIL, "{month}/{d:%y}", MONTHS),
        (ITALIAN, "{d:%d}-{month}-{d.year}", WEEKS),
        (GERMAN, "{month} {d.year}", MONTHS),
    ],
)
def test_months_have_names_in_other_languages(names, form, dates):
    right(read(dates, [named(day, names, form) for day in dates]), dates)


@pytest.mark.parametrize("form", ["%d/%m/%Y", "%m/%d/%Y", "%m/%d/%y", "%d-%m-%y"])
@pytest.mark.parametrize(
    "dates", [MONTHS, pd.date_range("2021-01-01", periods=9, freq="QS")]
)
def test_the_reading_that_is_regular_is_meant(form, dates):
    """Firsts of months may be days of January, or of a year that is a day: no panel is."""
    right(read(dates, dates.strftime(form)), dates)


# --- what is refused, and its remedies ------------------------------------------------


def test_two_regular_readings_are_asked_about():
    dates = pd.date_range("2023-01-01", periods=12, freq="D")
    texts = dates.strftime("%d/%m/%Y")
    with pytest.raises(InputError, match="may be 2023-01-02 or 2023-02-01") as error:
        read(dates, texts)
    forms = re.findall(r"date_format='([^']+)'", str(error.value))
    assert sorted(forms) == ["%d/%m/%Y", "%m/%d/%Y"]
    right(read(dates, texts, date_format="%d/%m/%Y"), dates)
    months = pd.date_range("2023-01-01", periods=12, freq="MS")
    right(read(months, texts, date_format="%m/%d/%Y"), months)


@pytest.mark.parametrize(
    "form", ["%G-W%V", "%GW%V", "%G W%V", "KW %V/%G", "W%V %G", "%G/%V", "%V/%G", "%G%V"]
)
def test_weeks_are_read_as_the_message_says(form, tmp_path):
    df = weekly(60).assign(date=WEEKS.strftime(form), sales=np.arange(60) + 50.0)
    df.to_csv(tmp_path / "t.csv", index=False)
    with pytest.raises(InputError, match="for the Mondays of weeks") as error:
        Panel.from_file(tmp_path / "t.csv", **NAMES)
    (keys,) = proposals(str(error.value))
    assert keys == {"date_format": form}
    right(Panel.from_file(tmp_path / "t.csv", **NAMES, **keys), WEEKS)


@pytest.mark.parametrize(
    "dates, text",
    [
        (WEEKS, lambda d: str((d - pd.Timestamp("1899-12-30")).days)),
        (WEEKS, lambda d: str(int(d.timestamp()))),
        (WEEKS, lambda d: str(int(d.timestamp()) * 1000)),
        (WEEKS, lambda d: f"{d:%Y-%m-%d} - {d + pd.Timedelta('6D'):%Y-%m-%d}"),
        (WEEKS, lambda d: f'="{d:%Y-%m-%d}"'),
        (WEEKS, lambda d: f"{d:%a, %d %b %Y} 00:00:00 GMT"),
        (QUARTERS, lambda d: f"Q{d.quarter} {d.year}"),
        (QUARTERS, lambda d: f"{d.year}-Q{d.quarter}"),
    ],
)  # fmt: skip
def test_a_label_is_told_its_date(dates, text, tmp_path):
    texts = [text(day) for day in dates]
    df = weekly(len(dates)).assign(date=texts)
    df.to_csv(tmp_path / "t.csv", index=False)
    with pytest.raises(InputError, match=r"^date: got") as error:
        Panel.from_file(tmp_path / "t.csv", **NAMES)
    assert f"{dates[0]:%Y-%m-%d}" in str(error.value).partition("Fix: ")[2]
    assert "pd." not in str(error.value)  # whoever has only the command line


def test_months_and_years_in_numbers_are_read_as_the_message_says():
    for dates, form in (
        (MONTHS, "%Y%m"),
        (pd.date_range("1990", periods=30, freq="YS"), "%Y"),
    ):
        texts = dates.strftime(form).astype(int)
        with pytest.raises(InputError) as error:
            read(dates, texts)
        assert f"pass date_format='{form}'" in str(error.value)
        right(read(dates, texts, date_format=form), dates)


@pytest.mark.parametrize("form", ["", "day first", "%d/%m", "%V", 3, "%H:%M", "%Y-%q"])
def test_a_form_that_says_no_date_is_refused(form):
    with pytest.raises(
        InputError, match=r'^date_format: got .* Fix: date_format = "%d/%m/%Y"'
    ):
        read(WEEKS, WEEKS.strftime("%Y-%m-%d"), date_format=form)


def test_a_form_that_does_not_fit_is_refused():
    with pytest.raises(InputError, match=r'got "2023-01-02".* date_format = "%d/%m/%Y"'):
        read(WEEKS, WEEKS.strftime("%Y-%m-%d"), date_format="%d/%m/%Y")
    with pytest.raises(InputError, match="for dates that are no text"):
        read(WEEKS, WEEKS, date_format="%Y-%m-%d")


# --- day and month exchanged in part of the rows ---------------------------------------


def half(day):
    """As a spreadsheet leaves days that it took for months."""
    return day if day.day > 12 else pd.Timestamp(day.year, day.day, day.month)


@pytest.mark.parametrize("geos", [("N",), ("N", "S")])
@pytest.mark.parametrize("dates", [WEEKS, DAYS, DAYS[::-1]])
@pytest.mark.parametrize("form", [None, "%Y-%m-%d", "%d/%m/%Y"])
def test_exchanged_days_and_months_are_found_by_their_order(dates, geos, form):
    turned = pd.DatetimeIndex([half(day) for day in dates] * len(geos))
    df = weekly(len(dates), geos=geos)
    df = df.assign(date=turned if form is None else turned.strftime(form))
    with pytest.raises(InputError, match="days and months in one order") as error:
        Panel.from_frame(df, geo="geo", **NAMES)
    row = next(i for i, day in enumerate(dates) if half(day) != day)
    assert f'at column "date", row {row} ' in str(error.value)
    assert f"this one to {dates[row]:%Y-%m-%d}" in str(error.value)


def test_rows_in_any_order_are_not_taken_for_exchanged():
    rng = np.random.default_rng(0)
    for dates in (WEEKS, DAYS):
        order = rng.permutation(len(dates))
        df = weekly(len(dates)).assign(date=dates)
        panel = Panel.from_frame(df.iloc[order], **NAMES)
        assert panel.dates.equals(dates.as_unit("ns"))


# --- midnight elsewhere ---------------------------------------------------------------


@pytest.mark.parametrize("zone", ["Asia/Tokyo", "Europe/Berlin", "Asia/Kolkata"])
def test_midnight_in_utc_of_a_zone_in_the_east_is_asked_about(zone):
    dates = pd.date_range("2023-11-05", periods=20, freq="W")
    utc = dates.tz_localize(zone).tz_convert("UTC")
    panel = read(dates, utc.strftime("%Y-%m-%d %H:%M:%S"))
    (found,) = panel.said
    assert (found.level, found.code) == ("warning", "clock")
    assert "the first day is 2023-11-05" in found.remedy
    assert found in warnings(panel)


@pytest.mark.parametrize("clock", ["12:00", "23:59:59", "00:00", "09:30"])
def test_a_usual_time_of_day_says_nothing(clock):
    panel = read(WEEKS, WEEKS.strftime(f"%Y-%m-%d {clock}"))
    assert not panel.said
    right(panel, WEEKS)


def test_midnight_in_utc_through_a_summer_is_told_the_day():
    utc = DAYS.tz_localize("Europe/Berlin").tz_convert("UTC")
    with pytest.raises(InputError, match="the first row is 2023-01-01") as error:
        read(DAYS, utc.strftime("%Y-%m-%d %H:%M:%S"))
    assert "normalize" not in str(error.value)  # it would move every day


def test_dates_that_follow_are_those_after_the_last_on_the_grid_or_off_it():
    ends = {"W-MON": ["2024-02-26", "2024-03-04"], "MS": ["2024-03-01", "2024-04-01"]}
    for freq, wanted in ends.items():
        for last in ("2024-02-19", "2024-02-22"):
            found = following(pd.DatetimeIndex(["2024-02-01", last]), freq, 2)
            assert found.strftime("%Y-%m-%d").tolist() == wanted
    assert not len(following(WEEKS, "W-MON", 0))
