"""A workbook of a run: one sheet a table, for people who live in spreadsheets."""

import importlib
import io
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from mmmjax import tables as of_a_fit
from mmmjax.arguments import checked
from mmmjax.checks import InputError, Phrase, fail
from mmmjax.draws import Fit
from mmmjax.panel import Panel
from mmmjax.resources import FORMULA, replace_file
from mmmjax.store import file_to_write

__all__ = ["sheets_of", "to_excel", "workbook"]

NAME = 31  # characters of a sheet's name
ROWS = 2**20  # of a sheet, its heads included
WIDE = 40  # characters of a column at most
MISSING = (
    "openpyxl: not installed. Allowed: openpyxl 3.1 or newer, which writes workbooks. "
    'Fix: pip install "mmmjax[excel]"'
)


@checked
def to_excel(
    fit: Fit,
    path: str | os.PathLike[str],
    *,
    test: Panel | None = None,
    tables: Mapping[str, Any] | None = None,
) -> Path:
    """Write the tables of a fit to a workbook, one sheet a table, its findings first.

    Numbers stay numbers and dates dates; a text that a spreadsheet would run as a formula
    is written as text.

    Args:
        fit: The fit.
        path: Where to, ``.xlsx``; its folder must exist.
        test: A panel that follows training: adds the forecast.
        tables: What is at hand, by name, as :func:`mmmjax.tables.every` takes it; further
            data frames get a sheet too.

    Returns:
        The path written.

    Raises:
        InputError: The path cannot be written, a table has too many rows for a sheet, or
            openpyxl (the extra ``excel``) is not installed.
    """
    target = file_to_write(path, "tables.xlsx")
    loaded()
    replace_file(target, workbook(sheets_of(of_a_fit.every(fit, test, tables))))
    return target


def sheets_of(found: Mapping[str, Any]) -> dict[str, pd.DataFrame]:
    """What :func:`mmmjax.tables.every` found as data frames: the findings first."""
    told = [one.to_dict() for one in found["judged"].findings]
    columns = ["level", "what", "where", "value", "means", "try", "code"]
    findings = pd.DataFrame(told, columns=columns)
    findings["where"] = [", ".join(x) for x in findings["where"]]
    scores = pd.Series(found["scores"], dtype=float).rename_axis("score")
    first = {"findings": findings, "scores": scores.reset_index(name="value")}
    names = [*of_a_fit.NAMES, *(name for name in found if name not in of_a_fit.NAMES)]
    rest = {name: found.get(name) for name in names}
    return first | {n: x for n, x in rest.items() if isinstance(x, pd.DataFrame)}


def loaded() -> Any:
    """Openpyxl, which only this needs."""
    try:
        return importlib.import_module("openpyxl")
    except ImportError as error:
        raise InputError(MISSING) from error


def workbook(sheets: Mapping[str, pd.DataFrame]) -> bytes:
    """The file of a workbook.

    Args:
        sheets: Tables by the name of their sheet; what no name may have becomes "_", and
            what is too long is cut.
    """
    excel = loaded()
    cells: Any = importlib.import_module("openpyxl.cell.cell")
    styles: Any = importlib.import_module("openpyxl.styles")
    letter = importlib.import_module("openpyxl.utils").get_column_letter
    book, taken, bold = excel.Workbook(write_only=True), set[str](), styles.Font(bold=True)

    def cell(sheet: Any, value: Any, head: bool = False) -> Any:
        if isinstance(value, str):
            value = cells.ILLEGAL_CHARACTERS_RE.sub("", value)
        made = cells.WriteOnlyCell(sheet, value=value)
        if isinstance(value, str):
            made.data_type = "s"  # "=1+1" too
            made.quotePrefix = bool(re.match(FORMULA, value))
        if head:
            made.font = bold
        return made

    for asked, table in sheets.items():
        if len(table) >= ROWS:
            got, allowed = Phrase(f"{len(table):,} rows"), f"up to {ROWS - 1:,} in a sheet"
            fail(asked, got, "", allowed, "take the CSV file")
        name = stem = re.sub(r"[\[\]:*?/\\]", "_", asked)[:NAME].strip("'") or "table"
        while name.casefold() in taken:  # two names that are cut to one
            end = f"_{len(taken)}"
            name = stem[: NAME - len(end)] + end
        taken.add(name.casefold())
        sheet = book.create_sheet(name)
        sheet.freeze_panes = "A2"
        columns = [_plain(table.iloc[:, i]) for i in range(table.shape[1])]
        for i, (head, column) in enumerate(zip(table.columns, columns, strict=True), 1):
            longest = max((len(str(x)) for x in (head, *column[:100])), default=0)
            sheet.column_dimensions[letter(i)].width = min(longest + 2, WIDE)
        sheet.append([cell(sheet, str(head), True) for head in table.columns])
        for row in zip(*columns, strict=True):
            sheet.append([cell(sheet, value) for value in row])
    file = io.BytesIO()
    book.save(file)
    return file.getvalue()


def _plain(column: pd.Series) -> list[Any]:
    """Values as a workbook has them: numbers, dates, texts; None where not known."""
    if column.dtype.kind == "M":
        days = bool((column.dropna() == column.dropna().dt.normalize()).all())
        of = pd.Timestamp.date if days else pd.Timestamp.to_pydatetime
        return [None if pd.isna(x) else of(x) for x in column]
    if column.dtype.kind == "f":
        return [float(x) if np.isfinite(x) else None for x in column]
    plain = (int, float, str)
    known = (x.item() if isinstance(x, np.generic) else x for x in column)
    return [
        None if x is None or x is pd.NA or x != x else x if isinstance(x, plain) else str(x)
        for x in known
    ]
