"""Read files: CSV in any declared dialect, Parquet and sheets of workbooks, as tables.

A table keeps where it is from in `DataFrame.attrs`, and the line of each row as its index
label, so that messages point at lines of the file.
"""

import csv
import gzip
import importlib.util
import io
import warnings
import zlib
from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple, NoReturn

import numpy as np
import pandas as pd

from mmmjax.checks import InputError, Phrase, closest, fail, listing, show
from mmmjax.panel.dialect import (
    BLANK,
    KEYS,
    Dialect,
    Found,
    decoded,
    lines,
    matched,
    recognise,
)
from mmmjax.panel.numbers import dotted, read_cells, settings

__all__ = ["ORIGIN", "Origin", "agreed", "load_table"]

ORIGIN = "mmmjax_origin"
"""Key in `DataFrame.attrs` of the file a table was read from."""
TABLES = (".csv", ".txt", ".tsv", ".parquet", ".pq", ".xlsx", ".xlsm")
PLAIN_FILE = (
    "a table with the header first, commas between cells and decimal points, in UTF-8"
)


class Origin(NamedTuple):
    """The file of a table.

    Attributes:
        name: Of the file, and of the sheet.
        row: What its rows are called: line or row.
        dialect: How it was read.
        points: Columns in which points may stand between thousands: a cell, and whether
            that is certain.
        future: Whether it is the table of a forecast: settings are flags there.
    """

    name: str
    row: str = "line"
    dialect: Dialect = Dialect()
    points: Mapping[str, tuple[str, bool]] = {}
    future: bool = False

    def settings(self, keys: dict[str, Any]) -> str:
        """Say how to give settings."""
        if self.future:
            return "add " + " ".join(f"--read '{lines({k: v})}'" for k, v in keys.items())
        return f"write {lines(keys)} under [data]"


def load_table(
    path: str | Path,
    dialect: Dialect | None = None,
    *,
    wanted: Collection[str] = (),
    texts: Collection[str] = (),
    future: bool = False,
) -> pd.DataFrame:
    """Read a CSV, Parquet or Excel file. In a CSV only empty cells are missing.

    Args:
        path: The file; CSV may be compressed by gzip.
        dialect: How it is written; None: plain.
        wanted: Columns that are asked for, which tell the header from other lines.
        texts: Columns of names and dates, whose cells are kept as they are written.
        future: Whether it is the table of a forecast.
    """
    path, dialect = Path(path), dialect or Dialect()
    kind = "".join(path.suffixes[-2:]).lower().removesuffix(".gz")
    kind = next((end for end in TABLES if kind.endswith(end)), "")
    if not path.is_file():
        here = path.parent
        near = closest(path.name, (p.name for p in here.iterdir())) if here.is_dir() else ""
        fix = f'did you mean "{near}"?' if near else "correct the path"
        fix = "name a file in this folder" if path.is_dir() else fix
        fail("path", str(path), "", "a file that exists", fix)
    if not kind:
        old = path.suffix.lower() in (".xls", ".xlsb", ".ods", ".numbers")
        fix = "save it as .xlsx or as CSV" if old else "save it as CSV"
        fail("path", str(path), "", "a .csv, .parquet or .xlsx file", fix)
    book, parquet = kind in (".xlsx", ".xlsm"), kind in (".parquet", ".pq")
    useless = ("separator", "encoding", "comment") if book else ("sheet",)
    useless = KEYS[:5] if parquet else useless
    for key in dialect.given(useless):
        what = "Parquet" if parquet else "a workbook" if book else "a text table"
        fail(key, getattr(dialect, key), "", f"no {key} for {what}", "leave it out")
    origin = Origin(path.name, "line", dialect, {}, future)
    if parquet:
        frame = _parquet(path)
    elif book:
        frame, origin = _sheet(path, origin, wanted)
    else:
        frame, origin = _csv(path, origin, wanted, texts)
    frame.attrs[ORIGIN] = origin
    return frame


def _csv(
    path: Path, origin: Origin, wanted: Collection[str], texts: Collection[str]
) -> tuple[pd.DataFrame, Origin]:
    """A table of text, in the dialect that was said; refused if it has another one."""
    dialect, found = origin.dialect, Found([], {})
    try:
        content = path.read_bytes()
        content = gzip.decompress(content) if path.suffix.lower() == ".gz" else content
    except (OSError, EOFError, zlib.error) as error:
        fail("path", str(path), "", "a file that can be read", f"copy it again ({error})")
    text = decoded(content, dialect.encoding, found, wanted)
    if not text.strip():
        fail("path", str(path), "", "a CSV file with a header and rows", "check the export")
    separator, skip = recognise(text, dialect, wanted, found)
    if found.keys:
        _refuse(path, origin, text, found, wanted, texts)
    frame = _parsed(path, dialect, text, separator, skip, texts, wanted)

    points = {}
    if not dialect.of_numbers and (small := _pointed(frame, texts, wanted)):
        as_text = replace(dialect, accounting=True)
        written = _parsed(path, as_text, text, separator, skip, (), wanted)
        for i, fine in small:
            point = dotted(written.iloc[:, i].dropna())
            if point is not None and (point[1] or not fine):
                points[str(frame.columns[i])] = point
    return frame, origin._replace(points=points)


def _refuse(
    path: Path,
    origin: Origin,
    text: str,
    found: Found,
    wanted: Collection[str],
    texts: Collection[str],
) -> NoReturn:
    """Name the dialect of a file and the settings that read it, its numbers included."""
    said = replace(origin.dialect, **found.keys)
    numbers, what = {}, list(found.what)
    try:
        as_text = replace(said, accounting=True)
        place = (said.separator or ",", said.skip_rows or 0)
        frame = _parsed(path, as_text, text, *place, (), wanted)
        columns = [c for c in frame.columns.unique() if c not in texts]
        columns = [c for c in columns if c in wanted or not wanted]
        cells = {c: frame[c].tolist() for c in columns if isinstance(frame[c], pd.Series)}
        numbers = agreed(said, cells, ()) or {}
    except InputError:
        pass  # what is wrong beyond the dialect is said once it is read
    if numbers.get("decimal"):
        what.append("decimal commas")
    if numbers.get("thousands"):
        what.append("marks between thousands")
    other = "save it as comma-separated UTF-8"
    if not {*found.keys, *numbers} - {"skip_rows", "comment"}:
        other = "delete these lines"
    fix = f"{origin.settings(found.keys | numbers)}, or {other}"
    got = Phrase(f'"{path}", which has {listing(map(Phrase, what))}')
    fail("path", got, "", PLAIN_FILE, fix)


def agreed(
    dialect: Dialect, cells: dict[str, list[Any]], may_miss: Iterable[str]
) -> dict[str, Any] | None:
    """Keys under which all columns read, each as it alone would; None if there are none.

    Args:
        dialect: How they are read now.
        cells: Cells of each column of numbers.
        may_miss: Columns whose numbers may be unknown.
    """
    alone: dict[str, list[tuple[dict[str, Any], np.ndarray]]] = {}
    may_miss = set(may_miss)
    for column, values in cells.items():
        if read_cells(values, dialect.marks(column))[1].any():
            alone[column] = settings(values, dialect.marks(column), column in may_miss)
            if not alone[column]:
                return None
    sure = {column: ways[0] for column, ways in alone.items() if len(ways) == 1}
    if not alone or not sure:
        return None
    pairs = [
        {k: way[k] for k in ("decimal", "thousands") if k in way}
        for way, _ in sure.values()
    ]
    for column, ways in alone.items():
        same = [
            w for w in ways if all(w[0].get(k) == v for p in pairs for k, v in p.items())
        ]
        if column not in sure:
            if len(same) != 1:
                return None
            sure[column] = same[0]
    keys: dict[str, Any] = {}
    for way, _ in sure.values():
        for key, value in way.items():
            if key == "accounting":
                keys[key] = True
            elif key in ("strip", "missing"):
                old, new = (
                    [v] if isinstance(v, str) else v for v in (keys.get(key, []), value)
                )
                keys[key] = [*old, *(text for text in new if text not in old)]
            else:
                keys.setdefault(key, value)
    keys = {k: v[0] if k == "strip" and len(v) == 1 else v for k, v in keys.items()}
    if _reads(dialect, keys, cells, sure):
        return keys
    for key in ("decimal", "thousands"):
        if key in keys:
            keys[key] = {
                column: way[key] for column, (way, _) in sure.items() if key in way
            }
    return keys if _reads(dialect, keys, cells, sure) else None


def _reads(
    dialect: Dialect,
    keys: dict[str, Any],
    cells: dict[str, list[Any]],
    sure: dict[str, Any],
) -> bool:
    """Whether the keys give every column the values it should have."""
    try:
        trial = replace(dialect, **keys)
    except InputError:
        return False
    for column, values in cells.items():
        now = (
            sure[column][1]
            if column in sure
            else read_cells(values, dialect.marks(column))[0]
        )
        new, bad = read_cells(values, trial.marks(column))
        if bad.any() or not np.array_equal(now, new, equal_nan=True):
            return False
    return True


def _parsed(
    path: Path,
    dialect: Dialect,
    text: str,
    separator: str,
    skip: int,
    texts: Collection[str],
    wanted: Collection[str],
) -> pd.DataFrame:
    """The table of a text whose dialect is known; its index holds lines less two."""
    records, body = _records(path, text, separator, skip, dialect.comment)
    allowed = "a CSV file with equally many cells in each line"
    if len(records) < 2:
        fix = "check the export"
        fail("path", str(path), "", "a CSV file with a header and rows", fix)
    width = records[0][1]
    if wrong := [record for record in records[1:] if record[1] != width]:
        line, count, last = wrong[0]
        where = f"whose line {line} has {count} cells and its header {width}"
        fix = "is a text with a comma not quoted, or the line cut short? Correct that line"
        fix += f" ({len(wrong)} such lines)" if len(wrong) > 1 else ""
        if len(wrong) == len(records) - 1 and count == width + 1 and not last:
            fix = (
                "name every column in the first line, or remove commas at the ends of lines"
            )
        if count == 1 and all(few == 1 for _, few, _ in records[-len(wrong) :]):
            notes = f"{len(wrong)} lines" if len(wrong) > 1 else "line"
            fix = f"delete the {notes} below the table ({show(last[:40])})"
        fail("path", Phrase(f'"{path}", {where}'), "", allowed, fix)
    reader = csv.reader(io.StringIO(body), delimiter=separator)
    header = matched(next(row for row in reader if any(map(str.strip, row))), wanted)
    body = "".join(io.StringIO(body).readlines()[reader.line_num :])
    kept: dict[str, Any] = {"keep_default_na": False, "na_values": [""], "header": None}
    kept |= {"sep": separator, "low_memory": False, "names": range(width), "dtype": str}
    if not dialect.of_numbers:
        kept["dtype"] = {i: str for i, name in enumerate(header) if name in texts}
    try:
        frame = pd.read_csv(io.StringIO(body), **kept)
    except (pd.errors.ParserError, csv.Error) as error:
        what = str(error).rpartition("C error: ")[2].strip().rstrip(".")
        fix = f"close the quotes; is a quotation mark inside a text not doubled? ({what})"
        fail("path", str(path), "", allowed, fix)
    if len(frame) != len(records) - 1 or len(header) != width:
        fix = "write every text between quotation marks, those inside it doubled"
        got = Phrase(f'"{path}", whose quotation marks do not match')
        fail("path", got, "", allowed, fix)
    first, last = records[1][0] - 2, records[-1][0] - 2
    frame.index = pd.RangeIndex(first, last + 1)[: len(frame)]
    if last - first + 1 != len(frame):
        frame.index = pd.Index([line - 2 for line, _, _ in records[1:]])
    frame.columns = header
    return frame


def _records(
    path: Path, text: str, separator: str, skip: int, comment: str | None
) -> tuple[list[tuple[int, int, str]], str]:
    """Line, number of cells and last cell of the header and each row; the text of these."""
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    lines = io.StringIO(text)
    numbers, kept, quoted = [], [], False
    for number, line in enumerate(lines, 1):
        note = comment is not None and not quoted and line.startswith(comment)
        note |= not (quoted or line.strip(BLANK) or line.count('"') % 2)
        if number > skip and not note:
            numbers.append(number)
            kept.append(line)
            quoted ^= line.count('"') % 2 == 1
    body = "".join(kept)
    if '"' not in body:
        found = [
            (number, line.count(separator) + 1, line.rpartition(separator)[2].strip())
            for number, line in zip(numbers, kept, strict=True)
            if line.strip()
        ]
        return found, body
    reader, found, start = csv.reader(kept, delimiter=separator), [], 0
    try:
        for cells in reader:
            if cells and (len(cells) > 1 or cells[0].strip()):
                found.append((numbers[start], len(cells), cells[-1]))
            start = reader.line_num
    except csv.Error as error:
        fail("path", str(path), f"line {numbers[start]}", "cells of a table", str(error))
    return found, body


def _pointed(
    frame: pd.DataFrame, texts: Collection[str], wanted: Collection[str]
) -> list[tuple[int, bool]]:
    """Columns in which points may stand between thousands.

    Returns:
        Place of each such column, and whether another column has three decimals for sure.
    """
    small, fine = [], False
    names = zip(frame.columns, frame.dtypes, strict=True)
    for i, (name, kind) in enumerate(names):  # a table may have 40,000 columns
        if name in texts or (wanted and name not in wanted) or kind.kind != "f":
            continue
        values = frame.iloc[:, i]
        x = np.abs(values.to_numpy()[np.isfinite(values.to_numpy())])
        if (np.abs(x * 1000 - np.rint(x * 1000)) > 1e-6).any():
            continue
        if ((x == 0) | ((x >= 1) & (x < 1000))).all():
            small.append(i)
        else:
            fine |= bool((np.abs(x * 100 - np.rint(x * 100)) > 1e-4).any())
    return [(i, fine) for i in small]


def _parquet(path: Path) -> pd.DataFrame:
    try:
        frame = pd.read_parquet(path)
    except ImportError:
        fix = "pip install pyarrow, or save the table as CSV"
        fail("path", str(path), "", "a .csv file: no Parquet reader is installed", fix)
    except (OSError, ValueError):
        allowed = "a readable Parquet file"
        fail("path", str(path), "", allowed, "write it again with df.to_parquet(path)")
    return frame


def _sheet(
    path: Path, origin: Origin, wanted: Collection[str]
) -> tuple[pd.DataFrame, Origin]:
    """One sheet of a workbook: cells as the program stored them."""
    if importlib.util.find_spec("openpyxl") is None:
        fix = 'pip install "mmmjax[excel]", or save the sheet as CSV'
        fail("path", str(path), "", "a .csv file: no reader of workbooks is installed", fix)
    import openpyxl  # an extra: heavy, and needed here only

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # on styles and extensions it does not keep
            book = openpyxl.load_workbook(path, data_only=True)
    except Exception as error:  # zip, XML and key errors of a library that names none
        fix = "open it in the program it is from and save it as .xlsx, or as CSV"
        got = Phrase(f'"{path}" ({type(error).__name__})')
        fail("path", got, "", "a readable workbook", fix)
    names, dialect = [sheet.title for sheet in book.worksheets], origin.dialect
    sheet = dialect.sheet
    if sheet is None and len(names) > 1:
        got = Phrase(f'"{path}", which has {len(names)} sheets: {listing(names, 12)}')
        fail("path", got, "", "one sheet", origin.settings({"sheet": names[0]}))
    name = sheet if isinstance(sheet, str) else None
    if isinstance(sheet, int) and 1 <= sheet <= len(names):
        name = names[sheet - 1]
    name = names[0] if sheet is None else name
    if name not in names:
        near = closest(name, names) or names[0]
        fix = origin.settings({"sheet": near})
        fail("sheet", sheet, "", f"a sheet of the workbook: {listing(names, 12)}", fix)
    cells = [list(row) for row in book[name].iter_rows(values_only=True)]
    rows = [
        (i, row) for i, row in enumerate(cells, 1) if any(c not in (None, "") for c in row)
    ]
    skip = dialect.skip_rows or 0
    at = next((k for k, (i, _) in enumerate(rows) if i > skip), None)
    if at is None or at + 1 >= len(rows):
        where = f'in sheet "{name}"'
        fail("path", str(path), where, "a header and rows", "name another sheet")
    best = max(
        range(len(rows[:60])),
        key=lambda k: (len({*matched(rows[k][1], wanted)} & set(wanted)), k == at),
    )
    if best != at and {*matched(rows[best][1], wanted)} & set(wanted):
        first = next(c for c in rows[at][1] if c not in (None, ""))
        got = Phrase(
            f'"{path}", whose header is in row {rows[best][0]} (above it "{first}")'
        )
        keys = {"skip_rows": rows[best][0] - 1}
        fail("path", got, "", "a sheet with the header first", origin.settings(keys))
    header, body = rows[at][1], rows[at + 1 :]
    width = max(k + 1 for k, cell in enumerate(header) if cell not in (None, ""))
    header = matched(header[:width], wanted)
    _calculated(path, name, body, header, wanted)
    table = [[None if c == "" else c for c in row[:width]] for _, row in body]
    frame = pd.DataFrame(table, columns=header, dtype=object)
    frame = frame.infer_objects()
    frame.index = pd.Index([i - 2 for i, _ in body])
    return frame, origin._replace(name=f'sheet "{name}" of {path.name}', row="row")


def _calculated(
    path: Path, name: str, body: list[Any], header: list[Any], wanted: Collection[str]
) -> None:
    """Refuse formulas whose values the file does not have: they would look empty."""
    used = [k for k, c in enumerate(header) if not wanted or str(c) in wanted]
    if all(row[k] is not None for _, row in body for k in used if k < len(row)):
        return
    import openpyxl

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        written = openpyxl.load_workbook(path)[name]
    for i, row in body:
        for k in used:
            cell = written.cell(i, k + 1)
            if k < len(row) and row[k] is None and cell.data_type == "f":
                got = Phrase(f"a formula without its value ({cell.value})")
                where = f'cell {cell.coordinate} of sheet "{name}"'
                fix = "open and save the file in the spreadsheet program, or save it as CSV"
                fail("path", got, where, "values", fix)
