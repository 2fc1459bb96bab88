"""Files in other dialects: refused by name, and read with the lines that are proposed."""

import csv
import re
from pathlib import Path
from typing import Any

import numpy as np
import openpyxl
import pandas as pd
import pytest

from mmmjax.checks import InputError
from mmmjax.cli import case as cases
from mmmjax.exploration import warnings
from mmmjax.panel import Panel
from tests.tables import NAMES, weekly
from tests.test_panel_reading import COMMAS, GERMAN, TRUTH, followed, numbers, table

CASES = Path(__file__).parent / "cases"
COMMA = {
    c: [f"{x:.15g}".replace(".", ",") for x in TRUTH[:, i]]
    for i, c in enumerate(["sales", "tv", "radio", "promo"])
}


def write(path, text, encoding="utf-8"):
    path.write_bytes(text.encode(encoding))
    return path


# --- dialects ------------------------------------------------------------------------

FILES = [
    (table(COMMA, ";"), "utf-8", "semicolons between cells and decimal commas"),
    (table({"sales": COMMAS}, ";"), "utf-8", "semicolons between cells"),
    (table(None, "\t"), "utf-8", "tabs between cells"),
    (table(None, "|"), "utf-8", "pipes between cells"),
    ("sep=,\n" + table(), "utf-8", 'a first line "sep=,"'),
    ("sep=;\n" + table(COMMA, ";"), "utf-8", 'a first line "sep=;"'),
    ('"sep=;"\r\n' + table(COMMA, ";"), "utf-16", "UTF-16 text"),
    (
        "Report\nJan - Mar, all\n\n" + table(),
        "utf-8",
        '2 title lines above the header ("Rep',
    ),
    ("Bericht;;\n" + table(COMMA, ";"), "utf-8", "a title line above the header"),
    ("# made by hand\n" + table(), "utf-8", "a comment line"),
    (table().replace("2023-02-05", "# moved\n2023-02-05"), "utf-8", "a comment in line 7"),
    (table(None, "\t"), "utf-16", "UTF-16 text"),
    (table(), "utf-16-le", "UTF-16-LE text"),
    (table(), "utf-32", "UTF-32 text"),
    (table().replace("radio", "Zürich"), "latin-1", "text that is no UTF-8 (line 1"),
    (table().replace("radio", "café €"), "cp1252", "in Windows-1252"),
    (table().replace("radio", "ラジオ"), "shift_jis", '"ラジオ'),
    (table().replace("radio", "广播"), "gb18030", '"广播'),
    (table().replace("radio", "радио"), "cp1251", '"радио'),
    (table().replace("radio", "głośny"), "cp1250", '"głośny'),
    (table().replace("radio", "Hörfunk"), "mac-roman", '"Hörfunk'),
]
OTHER = ("Zürich", "café €", "ラジオ", "广播", "радио", "głośny", "Hörfunk")


@pytest.mark.parametrize("text, encoding, what", FILES)
def test_a_dialect_is_named_and_read_as_the_message_says(tmp_path, text, encoding, what):
    path = write(tmp_path / "t.csv", text, encoding)
    radio = next((n for n in OTHER if n in text), "radio")
    names: dict[str, Any] = {"media": {"tv": "tv", "radio": radio}}
    with pytest.raises(InputError, match=re.escape(what)):
        Panel.from_file(path, **(NAMES | names))
    panel, added = followed(path, **names)
    assert added
    np.testing.assert_array_equal(numbers(panel), TRUTH)


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
def test_a_plain_file_needs_no_word(tmp_path, end, encoding):
    text = table().replace("\n", end)
    panel = Panel.from_file(write(tmp_path / "t.csv", text, encoding), **NAMES)
    np.testing.assert_array_equal(numbers(panel), TRUTH)


@pytest.mark.parametrize(
    "change",
    [
        lambda text: text.replace(",", ", "),
        lambda text: text.replace("tv", "tv\u00a0", 1).replace("sales", " sales", 1),
        lambda text: text.replace("date", '"date\n"', 1),
        lambda text: text + ",,,,\n" * 50,
        lambda text: ",,,,\n" + text.replace("2023-02-05", '"",,,,\n2023-02-05'),
        lambda text: text.replace("\n", ",,,\n"),
    ],
)
@pytest.mark.parametrize("kind", ["csv", "xlsx"])
def test_blanks_of_programs_are_no_matter(tmp_path, change, kind):
    path = write(tmp_path / "t.csv", change(table()))
    if kind == "xlsx":
        cells = list(csv.reader(change(table()).splitlines(keepends=True)))
        body = [[c if i == 0 or not c.strip() else float(c) for i, c in enumerate(row)]
                for row in cells if "2023" in row[0] or not any(row)]  # fmt: skip
        head = [row for row in cells if "promo" in "".join(row)]
        path = book(tmp_path / "t.xlsx", [*head, *body])
    panel = Panel.from_file(path, **NAMES)
    np.testing.assert_array_equal(numbers(panel), TRUTH)


def test_names_may_be_spelled_in_two_ways(tmp_path):
    for have, asked in (("Zu\u0308rich", "Zürich"), ("Zürich", "Zu\u0308rich")):
        path = write(tmp_path / "t.csv", table().replace("radio", have))
        panel = Panel.from_file(path, **(NAMES | {"media": {"tv": "tv", "radio": asked}}))
        np.testing.assert_array_equal(numbers(panel), TRUTH)
    names = {"outcome": "sales (net)"}
    path = write(tmp_path / "t.csv", table().replace("sales", '"sales\n(net)"'))
    np.testing.assert_array_equal(numbers(Panel.from_file(path, **(NAMES | names))), TRUTH)
    both = table().replace("radio", "tv ", 1)  # two columns of one name are no spelling
    with pytest.raises(InputError, match='got "radio"'):
        Panel.from_file(write(tmp_path / "t.csv", both), **NAMES)


def test_lines_below_the_table_are_named(tmp_path):
    for note, said in (("Source: SAP", '"Source: SAP"'), ("a\nb", "the 2 lines below")):
        path = write(tmp_path / "t.csv", f"{table()}{note}\n")
        with pytest.raises(InputError, match=f"Fix: delete .*{said}"):
            Panel.from_file(path, **NAMES)
    lines = table().splitlines()
    path = write(tmp_path / "t.csv", "\n".join([*lines[:7], lines[0], *lines[7:]]))
    with pytest.raises(InputError, match=r"line 8 .*the header stands there again"):
        Panel.from_file(path, **NAMES)


def test_the_marks_of_one_column_leave_the_others_alone(tmp_path):
    text = table({"sales": GERMAN}, ";")
    panel, added = followed(write(tmp_path / "t.csv", text))
    assert added["separator"] == ";"
    np.testing.assert_allclose(numbers(panel), TRUTH * [1000, 1, 1, 1], rtol=1e-12)


@pytest.mark.parametrize(
    "keys, allowed",
    [
        ({"separator": "semicolon"}, 'Fix: separator = ";"'),
        ({"separator": ""}, "one character"),
        ({"encoding": "utf8-with-bom"}, "the name of an encoding"),
        ({"encoding": "base64"}, "the name of an encoding"),
        ({"skip_rows": -1}, "skip_rows"),
        ({"skip_rows": "two"}, "skip_rows"),
        ({"decimal": ";"}, '"." or ","'),
        ({"thousands": "_"}, "thousands"),
        ({"thousands": ".", "decimal": "."}, "two marks that differ"),
        ({"decimal": {"radia": ","}}, 'did you mean "radio"?'),
        ({"comment": 3}, "text that starts a line"),
        ({"strip": "5"}, "without digits"),
        ({"missing": [0]}, "a text or texts"),
        ({"accounting": "yes"}, "true or false"),
        ({"sheet": "Data"}, "no sheet for a text table"),
        ({"delimiter": ";"}, "argument: got"),
    ],
)
def test_a_setting_that_cannot_be_is_refused(tmp_path, keys, allowed):
    with pytest.raises(InputError, match=re.escape(allowed)):
        Panel.from_file(write(tmp_path / "t.csv", table()), **NAMES, **keys)


# --- points between thousands ----------------------------------------------------------


def pointed(values):
    return [f"{v:,.0f}".replace(",", ".") for v in values]


def test_points_between_thousands_are_named_with_both_readings(tmp_path):
    values = np.linspace(700, 3400, 12).round(-1)
    path = write(tmp_path / "t.csv", table({"tv": pointed(values)}))
    both = r'"1\.190", which may be 1190 or 1\.19 at column "tv", line 4'
    with pytest.raises(InputError, match=both):
        Panel.from_file(path, **NAMES)
    meant = Panel.from_file(path, **NAMES, thousands={"tv": "."})
    np.testing.assert_array_equal(meant.media[0, :, 0], values)
    other = Panel.from_file(path, **NAMES, decimal={"tv": "."})
    np.testing.assert_array_equal(
        other.media[0, :, 0], np.where(values < 1000, values, values / 1000)
    )


def test_points_between_thousands_in_each_row_are_a_warning(tmp_path):
    values = np.linspace(1250, 3400, 12).round(0)
    path = write(tmp_path / "t.csv", table({"tv": pointed(values)}))
    panel = Panel.from_file(path, **NAMES)
    (said,) = panel.said
    assert (said.level, said.where) == ("warning", ("tv",))
    assert "which may be 1250 or 1.25" in said.what
    assert 'Write thousands = "." under [data] for 1250, or' in said.remedy
    assert said in warnings(panel)


@pytest.mark.parametrize(
    "cells",
    [
        ["0.125", "0.250", "0.375", "0.500", "1.125", "1.250"] * 2,
        ["1.25", "980", "1.255", "2", "3", "4.5"] * 2,
        ["12.125", "0.001", "3.500", "4.000", "5.125", "6.000"] * 2,
        ["1.0", "2.0", "3.0", "4.0", "5.0", "6.0"] * 2,
    ],
)
def test_three_decimals_are_no_thousands(tmp_path, cells):
    path = write(tmp_path / "t.csv", table({"tv": cells}))
    panel = Panel.from_file(path, **NAMES)
    assert not panel.said
    np.testing.assert_array_equal(panel.media[0, :, 0], [float(c) for c in cells])


# --- workbooks -----------------------------------------------------------------------


def book(path, rows, title="Data", others=()):
    made = openpyxl.Workbook()
    sheet = made.worksheets[0]
    sheet.title = title
    for row in rows:
        sheet.append(row)
    for name in others:
        made.create_sheet(name)
    made.save(path)
    return path


def rows():
    dates = pd.date_range("2023-01-01", periods=len(TRUTH), freq="W").to_pydatetime()
    body = [[day, *map(float, row)] for day, row in zip(dates, TRUTH, strict=True)]
    return [["date", "sales", "tv", "radio", "promo"], *body]


def test_a_workbook_is_read(tmp_path):
    panel = Panel.from_file(book(tmp_path / "t.xlsx", rows()), **NAMES)
    np.testing.assert_array_equal(numbers(panel), TRUTH)


def test_cells_of_a_workbook_may_be_text_dates_and_empty(tmp_path):
    table = rows()
    for row in table[1:]:
        row[0], row[2] = row[0].strftime("%d/%m/%Y"), f"{row[2]:,.2f} EUR"
    table[5][1] = None
    panel, added = followed(book(tmp_path / "t.xlsx", table))
    truth = TRUTH.copy()
    truth[4, 0] = np.nan
    np.testing.assert_array_equal(numbers(panel), truth)
    assert added == {"strip": "EUR"}
    assert panel.columns.date_format == "%d/%m/%Y"


def test_a_sheet_is_named_or_asked_for(tmp_path):
    path = book(tmp_path / "t.xlsx", rows(), others=["Notes"])
    with pytest.raises(InputError, match='which has 2 sheets: "Data" and "Notes"'):
        Panel.from_file(path, **NAMES)
    for sheet in ("Data", 1):
        panel = Panel.from_file(path, **NAMES, sheet=sheet)
        np.testing.assert_array_equal(numbers(panel), TRUTH)
    assert followed(path)[1] == {"sheet": "Data"}
    with pytest.raises(InputError, match='Fix: write sheet = "Data" under'):
        Panel.from_file(path, **NAMES, sheet="data ")
    with pytest.raises(InputError, match="a sheet of the workbook"):
        Panel.from_file(path, **NAMES, sheet=3)


def test_titles_and_lost_values_of_a_workbook_are_said(tmp_path):
    path = book(tmp_path / "t.xlsx", [["Weekly report"], [], *rows()])
    panel, added = followed(path)
    assert added == {"skip_rows": 2}
    np.testing.assert_array_equal(numbers(panel), TRUTH)
    table = rows()
    table[3][1] = "=1+1"
    with pytest.raises(
        InputError, match=r"a formula without its value \(=1\+1\) at cell B4"
    ):
        Panel.from_file(book(tmp_path / "f.xlsx", table), **NAMES)


# --- cases that were handed in -------------------------------------------------------


@pytest.mark.parametrize(
    "name, what, value",
    [
        ("paren", 'got "(412.30)" at column "sales", line 9', -412.3),
        ("minus", 'got "\u2212412.30" at column "sales", line 9', -412.3),
        ("trailing", 'got "412.30-" at column "sales", line 9', -412.3),
        ("error", 'got "#DIV/0!" at column "sales", line 9', np.nan),
    ],
)
def test_case_advice_sign(name, what, value, tmp_path):
    folder = CASES / "advice_sign"
    with pytest.raises(InputError, match=re.escape(what)):
        cases.read(folder / f"{name}.toml")
    names = {"date": "week", "outcome": "sales", "media": ["tv", "search"], "controls": []}
    panel, _ = followed(folder / f"{name}.csv", **names)
    assert panel.outcome[0, 7] == pytest.approx(value, nan_ok=True)


@pytest.mark.parametrize(
    "name, what",
    [
        ("semicolon", "semicolons between cells and decimal commas"),
        ("sepline", 'a first line "sep=,"'),
        ("title", '2 title lines above the header ("Weekly report")'),
        ("comment", 'a comment line ("# exported 2023-03-01")'),
        ("utf16", "UTF-16 text"),
    ],
)
def test_case_csv_dialects(name, what):
    folder = CASES / "csv_dialects"
    with pytest.raises(InputError, match=re.escape(what)):
        cases.read(folder / f"{name}.toml")
    names = {"date": "week", "outcome": "sales", "media": ["tv", "search"], "controls": []}
    panel, _ = followed(folder / f"{name}.csv", **names)
    assert panel.media[0, 0].tolist() == [1444.69, 137.18]
    assert panel.outcome[0, 0] == 7382.09


def test_case_dot_thousands():
    folder = CASES / "dot_thousands"
    with pytest.raises(InputError, match=r'"1\.210", which may be 1210 or 1\.21'):
        cases.read(folder / "case.toml")
    names = {"date": "week", "outcome": "sales", "media": ["tv", "search"], "controls": []}
    panel = Panel.from_file(folder / "d.csv", **(NAMES | names), thousands=".")
    frame = pd.read_csv(folder / "d.csv", dtype=str)
    meant = frame["tv"].str.replace(".", "").astype(float)
    np.testing.assert_array_equal(panel.media[0, :, 0], meant)
    np.testing.assert_array_equal(panel.outcome[0], frame["sales"].astype(float))


# --- dates that are settings ---------------------------------------------------------


def last(panel):
    return f"{panel.dates.max():%Y-%m-%d}"


def test_case_train_until_dayfirst():
    folder = CASES / "train_until_dayfirst"
    case = cases.read(folder / "case.toml")
    assert last(case.train) == "2023-09-04"
    assert last(case.panel.split("04/09/2023")[0]) == "2023-09-04"
    with pytest.raises(
        InputError, match=r"train_until: got 2023\. Allowed: a date such as"
    ):
        cases.read(folder / "number.toml")


DAILY = pd.date_range("2023-01-01", periods=300, freq="D")


def daily(way):
    df = weekly(300)
    return df.assign(date=DAILY.strftime(way) if way else DAILY)


@pytest.mark.parametrize(
    "way, given, meant",
    [
        ("%d/%m/%Y", "04/09/2023", "2023-09-04"),
        ("%m/%d/%Y", "04/09/2023", "2023-04-09"),
        ("%d.%m.%Y", "04.09.2023", "2023-09-04"),
        ("%d/%m/%Y", "2023-09-04", "2023-09-04"),
        ("%d/%m/%Y", "4/9/2023", "2023-09-04"),
        ("%d/%m/%Y", 20230904, "2023-09-04"),
        (None, "25/09/2023", "2023-09-25"),
        ("%Y%m%d", "20230904", "2023-09-04"),
        (None, pd.Timestamp("2023-09-04", tz="Europe/Paris"), "2023-09-04"),
        (None, np.datetime64("2023-09-04"), "2023-09-04"),
        (None, pd.Period("2023-09-04", "D"), "2023-09-04"),
        ("%d %b %Y", "04 Sep 2023", "2023-09-04"),
    ],
)
def test_a_date_given_is_read_as_the_column_is(way, given, meant):
    panel = Panel.from_frame(daily(way), **NAMES)
    assert last(panel.split(given)[0]) == meant


def test_a_date_of_two_readings_is_refused_where_the_column_is_iso():
    panel = Panel.from_frame(daily(None), **NAMES)
    with pytest.raises(InputError, match="may be 2023-04-09 or 2023-09-04"):
        panel.split("04/09/2023")
    with pytest.raises(InputError, match="which is 2023-09-01 to 2023-09-30"):
        panel.split("2023-09")
    with pytest.raises(InputError, match="which is 2023-09-01 to 2023-09-30"):
        panel.split(pd.Period("2023-09", "M"))
