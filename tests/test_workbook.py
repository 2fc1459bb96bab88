"""Workbooks, read back by openpyxl: numbers, dates, names, and texts that do not run."""

import io
import sys

import numpy as np
import openpyxl
import pandas as pd
import pytest

import mmmjax as mm
from mmmjax.checks import InputError
from mmmjax.cli import app
from mmmjax.workbook import workbook
from tests.fits import make_fit

ODD = ["=1+1", "+49 89", "-2", "@SUM(A1)", "plain", "\x07bell", "'=quoted"]


def read(content, **how):
    return openpyxl.load_workbook(io.BytesIO(content), **how)


def test_cells_are_what_they_were_and_no_text_is_a_formula():
    table = pd.DataFrame({
        "=channel": ODD,
        "spend": [1.5, np.nan, np.inf, -np.inf, 0.0, 1e15, 2.0],
        "n": range(7),
        "date": pd.date_range("2024-01-01", periods=7),
        "ok": [True, False, None, True, True, False, True],
    })  # fmt: skip
    sheet = read(workbook({"channels": table}))["channels"]
    heads, *rows = [list(row) for row in sheet.iter_rows()]
    assert [c.value for c in heads] == ["=channel", "spend", "n", "date", "ok"]
    assert {c.data_type for c in heads} == {"s"}
    texts = [row[0] for row in rows]
    assert [c.value for c in texts] == [*ODD[:5], "bell", ODD[6]]
    assert {c.data_type for c in texts} == {"s"}
    assert [bool(c.quotePrefix) for c in texts] == [True] * 4 + [False] * 2 + [True]
    assert [row[1].value for row in rows] == [1.5, None, None, None, 0, 1e15, 2]
    assert [row[2].value for row in rows] == list(range(7))
    assert [row[3].value for row in rows] == [x.to_pydatetime() for x in table["date"]]
    assert [row[4].value for row in rows][:3] == [True, False, None]


def test_names_of_sheets_are_ones_that_a_workbook_takes():
    table, long = pd.DataFrame({"x": [1]}), "a long name of a sheet that goes on"
    names = [long + " and on", long + " and off", "of/two: [parts]?", "Of/Two: [PARTS]?"]
    found = read(workbook(dict.fromkeys(names, table))).sheetnames
    assert len({name.casefold() for name in found}) == 4
    assert all(len(name) <= 31 and not set(name) & set("[]:*?/\\") for name in found)
    assert found[0] == long[:31]


def test_what_does_not_fit_or_is_not_installed_is_refused(monkeypatch, tmp_path):
    with pytest.raises(InputError, match="weekly: got 1,048,576 rows"):
        workbook({"weekly": pd.DataFrame({"x": np.zeros(2**20, np.int8)})})
    fit = make_fit()
    with pytest.raises(InputError, match="a file in a folder that exists"):
        mm.to_excel(fit, tmp_path / "no folder" / "tables.xlsx")
    monkeypatch.setitem(sys.modules, "openpyxl", None)
    with pytest.raises(InputError, match=r'pip install "mmmjax\[excel\]"'):
        mm.to_excel(fit, tmp_path / "tables.xlsx")
    assert not (tmp_path / "tables.xlsx").exists()


@pytest.mark.slow
def test_a_run_and_its_plan_are_one_workbook(tmp_path):
    fit = make_fit(chains=4, draws=50)
    run = tmp_path / "run"
    run.mkdir()
    mm.save(fit, run / "fit.nc")
    assert app.run(["optimize", str(run), "--periods", "6"]) in (0, 2)
    book = tmp_path / "all.xlsx"
    assert app.run(["report", str(run), "--xlsx", str(book)]) in (0, 2)
    found = read(book.read_bytes())
    assert found.sheetnames[:3] == ["findings", "scores", "channels"]
    assert {"weekly", "returns", "plan", "plan_draws", "scenarios"} <= {*found.sheetnames}
    own = pd.read_csv(run / "channels.csv")
    rows = list(found["channels"].values)
    assert list(rows[0]) == list(own)
    spend = [row[2] for row in rows[1:]]
    np.testing.assert_allclose(np.array(spend, float), own["spend"], rtol=1e-9)
    direct = read(mm.to_excel(fit, tmp_path / "direct.xlsx").read_bytes())
    assert {*direct.sheetnames} <= {*found.sheetnames}
    again = [row[2] for row in list(direct["channels"].values)[1:]]
    np.testing.assert_allclose(np.array(again, float), own["spend"], rtol=1e-9)
