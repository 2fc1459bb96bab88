"""Read cells: dates, geos and numbers of one table, naming the first cell that is wrong."""

import re
from dataclasses import dataclass
from typing import Any, NoReturn

import numpy as np
import pandas as pd

from mmmjax.checks import Phrase, closest, fail, show

__all__ = ["Source", "read_dates", "read_geos", "read_numbers"]

MISSING = ("", "NaN", "nan", "NA", "<NA>", "NULL", "null", "None")
FORMATS = (
    "%Y-%m-%d", "%Y/%m/%d", "%Y%m%d", "%Y.%m.%d",
    "%d/%m/%Y", "%m/%d/%Y", "%d-%m-%Y", "%m-%d-%Y", "%d.%m.%Y",
    "%d/%m/%y", "%m/%d/%y", "%d-%m-%y", "%m-%d-%y", "%d.%m.%y",
    "%d %b %Y", "%d-%b-%Y", "%d-%b-%y", "%b %d, %Y", "%b %d %Y",
    "%d %B %Y", "%B %d, %Y", "%b %Y", "%B %Y", "%b-%y",
)  # fmt: skip
OFFSET = r"(?<=\d)\s*(?:Z|[+-]\d{2}:?\d{2})$"
CLOCK = r"[T ]\d{1,2}:\d{2}"


@dataclass(frozen=True)
class Source:
    """A table and how to point at its rows: lines of a file, positions of a frame.

    Args:
        frame: The table, all column names text.
        date: Column of dates.
        geo: Column of geos, if any.
        path: CSV file the table was read from, if it was.
        dates: Date of each row, once read.
        geos: Name of the geo of each row, once read.
    """

    frame: pd.DataFrame
    date: str
    geo: str | None = None
    path: str | None = None
    dates: Any = None
    geos: Any = None

    def column(self, name: str) -> Any:
        """Return one column, categories and strings of any kind as plain objects."""
        series = self.frame[name]
        if isinstance(series.dtype, pd.CategoricalDtype):
            series = series.astype(object)
        return series.reset_index(drop=True)

    def row(self, row: int) -> str:
        """Describe a row: its line in the file, or its position in the frame."""
        if not self.path:
            return f"row {row} (df.iloc[{row}])"
        label: Any = self.frame.index[row]  # of some rows of the file: their own lines
        line = int(label) if isinstance(label, int | np.integer) else row
        return f"line {line + 2} of {self.path}"

    def where(self, row: int, column: str | None = None) -> str:
        """Describe a cell: column, row or line, and its date and geo once known."""
        parts = [f'column "{column}"'] if column is not None else []
        parts.append(self.row(row))
        if self.dates is not None:
            parts.append(f"date {show(self.dates[row])}")
        if self.geos is not None:
            parts.append(f'geo "{self.geos[row]}"')
        return ", ".join(parts)


def read_dates(source: Source) -> np.ndarray:
    """Read the dates (datetime64[ns], at midnight), whatever way they are written."""
    column = source.date
    series = source.column(column)
    if series.isna().any():
        row = int(np.flatnonzero(series.isna())[0])
        fix = "fill in the date or drop the row"
        fail("date", Phrase("a missing date"), source.where(row, column), "a date", fix)
    if isinstance(series.dtype, pd.PeriodDtype):
        series = series.dt.start_time
    if isinstance(series.dtype, pd.ArrowDtype):
        series = series.astype(object)
    zone = getattr(series.dtype, "tz", None)
    kind = pd.api.types.infer_dtype(series, skipna=True)
    if kind in ("integer", "floating", "boolean", "decimal", "mixed-integer-float"):
        parsed = _numeric_dates(source, series)
    elif pd.api.types.is_datetime64_any_dtype(series.dtype):
        parsed = series.dt.tz_localize(None)  # the date that the clock showed there
    else:
        text = series.astype(str).str.strip()
        if text.str.contains(CLOCK, regex=True).any():
            zone = text[0][-6:] if text.str.contains(OFFSET, regex=True).any() else None
            text = text.str.replace(OFFSET, "", regex=True)
            text = text.str.replace(r"[T ]0?0:00(:00(\.0+)?)?$", "", regex=True)
        parsed = _text_dates(source, text)
    years = parsed.dt.year.to_numpy()
    odd = np.flatnonzero((years < 1900) | (years > 2200))
    if odd.size:
        row = int(odd[0])
        allowed = "years 1900 to 2200"
        fail("date", series[row], source.where(row, column), allowed, "correct the year")
    return _midnight(source, parsed.to_numpy(dtype="datetime64[ns]"), zone)


def _midnight(source: Source, dates: np.ndarray, zone: object) -> np.ndarray:
    """Take off the time of day, if all rows have the same and it can shift no date."""
    midnight = dates.astype("datetime64[D]").astype("datetime64[ns]")
    clock = dates - midnight
    usual = clock[0] if zone is None else np.timedelta64(0, "ns")
    if (clock != usual).any():
        row = int(np.flatnonzero(clock != usual)[0])
        this = f'df["{source.date}"]'
        allowed = "dates without a time of day"
        fix = f"add hours up to days, or {this} = pd.to_datetime({this}).dt.normalize()"
        if zone is not None:
            allowed += f", or midnight in their time zone ({zone})"
            local = f'pd.to_datetime({this}, utc=True).dt.tz_convert("Europe/Paris")'
            fix = f"go to the time zone of the business: {this} = {local}"
        where = source.where(row, source.date)
        fail("date", pd.Timestamp(dates[row]), where, allowed, fix)
    return midnight


def _numeric_dates(source: Source, series: pd.Series) -> pd.Series:
    numbers: Any = pd.to_numeric(series, errors="coerce")
    values = numbers.to_numpy(float, na_value=np.nan)
    if not ((values % 1 == 0) & (values >= 19000101) & (values <= 22001231)).all():
        fix = _numeric_fix(float(values[0]), f'df["{source.date}"]')
        where = source.where(0, source.date)
        fail("date", series.iloc[0], where, "dates such as 2024-01-31", fix)
    return _text_dates(source, pd.Series(values.astype(int).astype(str)))


def _numeric_fix(first: float, this: str) -> str:
    if 20000 < first < 80000:  # days since 1900, as spreadsheets store dates
        return f'{this} = pd.to_datetime({this}, unit="D", origin="1899-12-30")'
    if 1e8 < first < 1e19:
        unit = {10: "s", 13: "ms", 16: "us"}.get(len(str(int(first))), "ns")
        return f'{this} = pd.to_datetime({this}, unit="{unit}")'
    if 190001 <= first <= 220053:
        months = f'pd.to_datetime({this}.astype(str), format="%Y%m")'
        return f"for months, {this} = {months}; for weeks, the dates on which they start"
    return "turn week, month or year numbers into the date on which the period starts"


def _text_dates(source: Source, text: pd.Series) -> pd.Series:
    """Read dates in ISO form or in the one other form that fits every row."""
    iso = pd.to_datetime(text, format="ISO8601", errors="coerce")
    if iso.notna().all():
        return iso
    tried = {way: pd.to_datetime(text, format=way, errors="coerce") for way in FORMATS}
    whole = {way: dates for way, dates in tried.items() if dates.notna().all()}
    if not whole:
        _no_date(source, text, [iso, *tried.values()])
    ways = list(whole)
    for way in ways[1:]:
        if not whole[way].equals(whole[ways[0]]):
            _two_dates(source, text, whole[ways[0]], whole[way], (ways[0], way))
    return whole[ways[0]]


def _no_date(source: Source, text: Any, tried: list[pd.Series]) -> NoReturn:
    """Point at the first row that breaks the form most rows have."""
    best = max(tried, key=lambda dates: int(dates.notna().sum())).notna().to_numpy()
    row = int(np.flatnonzero(~best)[0])
    fix = "write it as YYYY-MM-DD, as in 2024-01-31"
    if re.fullmatch(r"\d{4}-?W\d{1,2}", text[row]):
        weeks = f'pd.to_datetime(df["{source.date}"] + "-1", format="%G-W%V-%u")'
        fix = f"turn ISO weeks into their Mondays: {weeks}"
    elif not re.search(r"\d", text[row]) and best.any():
        fix = "drop the row if it is a line of totals or notes, else write a date"
    fail("date", text[row], source.where(row, source.date), "a date", fix)


def _two_dates(
    source: Source,
    text: pd.Series,
    first: pd.Series,
    second: pd.Series,
    ways: tuple[str, str],
) -> NoReturn:
    row = int(np.flatnonzero((first != second).to_numpy())[0])
    got = f"{show(text[row])}, which may be {show(first[row])} or {show(second[row])}"
    this = f'df["{source.date}"]'
    fix = f'say which: {this} = pd.to_datetime({this}, format="{ways[0]}") (or "{ways[1]}")'
    place = source.where(row, source.date)
    fail("date", Phrase(got), place, "dates that can be read in one way only", fix)


def read_geos(source: Source) -> tuple[np.ndarray, tuple[str, ...]]:
    """Read the geos; return the code of each row and the names, in table order."""
    column = str(source.geo)
    series = source.column(column)
    missing = series.isna() | (series.astype(str).str.strip() == "")
    if missing.any():
        row = int(np.flatnonzero(missing)[0])
        fix = "name the geo or drop the row (is it a line of totals?)"
        fail("geo", Phrase("no geo"), source.where(row, column), "a name", fix)
    if pd.api.types.is_float_dtype(series.dtype) and (series % 1 == 0).all():
        series = series.astype("int64")  # codes that a missing cell once turned to floats
    codes, names = pd.factorize(series.astype(str))
    plain: dict[str, str] = {}
    for name in names:
        key = name.strip().casefold()
        if key == "all":
            row = int(np.flatnonzero(codes == list(names).index(name))[0])
            fix = "drop the rows of totals: they would count every sale twice"
            fail("geo", name, source.where(row, column), 'a name other than "ALL"', fix)
        if key in plain:
            row = int(np.flatnonzero(codes == list(names).index(name))[0])
            fix = f'df["{column}"] = df["{column}"].replace("{name}", "{plain[key]}")'
            allowed = f'one spelling per geo ("{plain[key]}" is another geo of the table)'
            fail("geo", name, source.where(row, column), allowed, fix)
        plain[key] = name
    return codes, tuple(str(name) for name in names)


def read_numbers(source: Source, column: str, field: str) -> np.ndarray:
    """Read a column as float64, missing cells as NaN; refuse text, dates and infinity."""
    series = source.column(column)
    dtype = series.dtype
    if pd.api.types.is_datetime64_any_dtype(dtype) or dtype.kind in "mc":
        fix = "name another column or turn it into numbers first"
        got = Phrase(f"a column of type {dtype}")
        fail(field, got, f'column "{column}"', "a column of numbers", fix)
    if pd.api.types.is_bool_dtype(dtype) or pd.api.types.is_numeric_dtype(dtype):
        values = series.to_numpy(dtype=float, na_value=np.nan)
    else:
        values = _text_numbers(source, column, field, series.astype(object))
    infinite = np.flatnonzero(np.isinf(values))
    if infinite.size:
        row = int(infinite[0])
        fix = f'look for a division by zero in "{column}"'
        fail(field, values[row], source.where(row, column), "finite numbers", fix)
    return values


def _text_numbers(source: Source, column: str, field: str, series: pd.Series) -> np.ndarray:
    plain = series.map(lambda cell: cell.strip() if isinstance(cell, str) else cell)
    missing = plain.isna() | plain.isin(MISSING)
    numbers: Any = pd.to_numeric(plain.where(~missing, np.nan), errors="coerce")
    values = numbers.to_numpy(dtype=float, na_value=np.nan)
    text = np.flatnonzero(np.isnan(values) & ~missing.to_numpy())
    if text.size:
        row = int(text[0])
        more = f" ({text.size} such cells in this column)" if text.size > 1 else ""
        fix = _text_fix(str(plain[row]), column, field)
        fail(field, plain[row], source.where(row, column) + more, "numbers", fix)
    return values


def _text_fix(cell: str, column: str, field: str) -> str:
    """Return the likely remedy for one cell of text in a column of numbers."""
    this = f'df["{column}"]'
    if re.fullmatch(r"-?\d{1,3}(,\d{3})+(\.\d+)?", cell):
        return f'remove the thousands commas: {this} = {this}.str.replace(",", "")'
    if re.fullmatch(r"-?(\d{1,3}(\.\d{3})+|\d+),\d+", cell):
        return (
            "this is a decimal comma: read the file with "
            'pd.read_csv(path, decimal=",", thousands=".")'
        )
    if re.fullmatch(r"\W*([A-Z]{3})?\W*\d[\d\s.,]*\W*([A-Z]{3})?", cell):
        strip = r'.str.replace(r"[^0-9.\-]", "", regex=True)'
        return f"keep only the number: {this} = {this}{strip}"
    if closest(cell, ("n/a", "#n/a", "missing", "unknown", "tbd")) or cell in "--.?":
        if field == "outcome":
            return "leave the cell empty: a missing outcome is allowed and masked"
        return f"write 0 if nothing happened, else the number: {field} may not be missing"
    if cell.casefold() in ("yes", "no", "y", "n", "true", "false", "t", "f"):
        return f'turn it into 0 and 1: {this} = ({this} == "{cell}").astype(float)'
    if field == "controls":
        return (
            "turn categories into columns of 0 and 1: "
            f'df = pd.get_dummies(df, columns=["{column}"], dtype=float)'
        )
    return f'correct the cell, or name another column than "{column}"'
