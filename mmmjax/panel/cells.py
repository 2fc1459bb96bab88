"""Read cells: dates, geos and numbers of one table, naming the first cell that is wrong."""

import datetime
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, NoReturn

import numpy as np
import pandas as pd

from mmmjax.checks import Phrase, fail, listing, show
from mmmjax.findings import Finding
from mmmjax.panel.days import FORMATS, as_told, english, likely, steady
from mmmjax.panel.dialect import Dialect
from mmmjax.panel.files import Origin, agreed
from mmmjax.panel.numbers import advice, dotted, read_cells, settings

__all__ = ["Source", "date_of", "read_dates", "read_geos", "read_numbers"]

OFFSET = r"(?<=\d)\s*(?:Z|[+-]\d{2}:?\d{2})$"
CLOCK = r"[T ]\d{1,2}:\d{2}"
MIDNIGHT = r"[T ](0?0:00(:00(\.0+)?)?|12:00(:00)? ?[Aa][Mm])$"
EAST = 12  # hour from which on a clock may be midnight of a time zone east of UTC


@dataclass(frozen=True)
class Source:
    """A table and how to point at its rows: lines of a file, positions of a frame.

    Args:
        frame: The table, all column names text.
        date: Column of dates.
        geo: Column of geos, if any.
        origin: File the table was read from, if it was.
        dialect: How numbers are written in columns of text.
        numbers: Field of every column that is read as numbers.
        dates: Date of each row, once read.
        geos: Name of the geo of each row, once read.
        said: What reading found, for the panel.
    """

    frame: pd.DataFrame
    date: str
    geo: str | None = None
    origin: Origin | None = None
    dialect: Dialect = field(default_factory=Dialect)
    numbers: Mapping[str, str] = field(default_factory=dict)
    dates: Any = None
    geos: Any = None
    said: list[Finding] = field(default_factory=list)

    def column(self, name: str) -> Any:
        """Return one column, categories and strings of any kind as plain objects."""
        series = self.frame[name]
        if isinstance(series.dtype, pd.CategoricalDtype):
            series = series.astype(object)
        return series.reset_index(drop=True)

    def row(self, row: int) -> str:
        """Describe a row: its line in the file, or its position in the frame."""
        if self.origin is None:
            return f"row {row} (df.iloc[{row}])"
        label: Any = self.frame.index[row]  # of some rows of the file: their own lines
        line = int(label) if isinstance(label, int | np.integer) else row
        return f"{self.origin.row} {line + 2} of {self.origin.name}"

    def settings(self, keys: dict[str, Any]) -> str:
        """Say how to give settings: lines of [data], or arguments."""
        if self.origin is None:
            return f"pass {', '.join(f'{k}={v!r}' for k, v in keys.items())}"
        return self.origin.settings(keys)

    def where(self, row: int, column: str | None = None) -> str:
        """Describe a cell: column, row or line, and its date and geo once known."""
        parts = [f'column "{column}"'] if column is not None else []
        parts.append(self.row(row))
        if self.dates is not None:
            parts.append(f"date {show(self.dates[row])}")
        if self.geos is not None:
            parts.append(f'geo "{self.geos[row]}"')
        return ", ".join(parts)


def read_dates(source: Source) -> tuple[np.ndarray, str | None]:
    """Read the dates (datetime64[ns], at midnight), whatever way they are written.

    Returns:
        Dates of the rows and how they are written, such as "%d/%m/%Y"; None: ISO, or none
            of text.
    """
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
    zone, way = getattr(series.dtype, "tz", None), source.dialect.date_format
    kind = pd.api.types.infer_dtype(series, skipna=True)
    numbers = ("integer", "floating", "boolean", "decimal", "mixed-integer-float")
    if pd.api.types.is_datetime64_any_dtype(series.dtype):
        if way is not None:
            got, fix = Phrase(f'"{way}" for dates that are no text'), "leave it out"
            fail("date_format", got, f'column "{column}"', "a column of text", fix)
        parsed = series.dt.tz_localize(None)  # the date that the clock showed there
    elif kind in numbers:
        parsed, way = _numeric_dates(source, series)
    else:
        text = series.astype(str).str.strip()
        if text.str.contains(CLOCK, regex=True).any():
            zone = text[0][-6:] if text.str.contains(OFFSET, regex=True).any() else None
            text = text.str.replace(OFFSET, "", regex=True)
            text = text.str.replace(MIDNIGHT, "", regex=True)
        digits = text.str.fullmatch(r"\d+(\.0)?").all()
        how = _numeric_dates if digits else _text_dates
        parsed, way = how(source, text.astype(object) if digits else text)
    years = parsed.dt.year.to_numpy()
    odd = np.flatnonzero((years < 1900) | (years > 2200))
    if odd.size:
        row = int(odd[0])
        allowed = "years 1900 to 2200"
        fail("date", series[row], source.where(row, column), allowed, "correct the year")
    return _midnight(source, parsed.to_numpy(dtype="datetime64[ns]"), zone), way


def _midnight(source: Source, dates: np.ndarray, zone: object) -> np.ndarray:
    """Take off the time of day, if all rows have the same and it can shift no date."""
    midnight = dates.astype("datetime64[D]").astype("datetime64[ns]")
    clock, this = dates - midnight, f'df["{source.date}"]'
    usual = clock[0] if zone is None else np.timedelta64(0, "ns")
    hours = np.unique(clock) / np.timedelta64(1, "h")
    east = zone is None and hours[0] >= EAST and np.ptp(hours) <= 1 and hours[-1] % 0.5 == 0
    day = show(midnight[0] + np.timedelta64(1, "D"))
    local = f'{this} = pd.to_datetime({this}, utc=True).dt.tz_convert("Europe/Paris")'
    if (clock != usual).any():
        row = int(np.flatnonzero(clock != usual)[0])
        allowed = "dates without a time of day"
        fix = f"add hours up to days, or {this} = pd.to_datetime({this}).dt.normalize()"
        if zone is not None:
            allowed += f", or midnight in their time zone ({zone})"
            fix = f"go to the time zone of the business: {local}"
        elif east:
            fix = f"if it is midnight of a time zone, said in UTC, the first row is {day}: "
            fix += f"write dates without a time, in pandas {local}"
        where = source.where(row, source.date)
        fail("date", pd.Timestamp(dates[row]), where, allowed, fix)
    if east and hours[0] > EAST:
        what = (
            f'dates at {pd.Timestamp(dates[0]):%H:%M}, the first "{pd.Timestamp(dates[0])}"'
        )
        means = (
            f"They were read as the days that they name, the first as {show(midnight[0])}"
        )
        remedy = (
            f"If that is midnight of a time zone, said in UTC, the first day is {day}: "
        )
        remedy += f"write dates without a time, in pandas {local}"
        where = (source.date,)
        source.said.append(Finding("warning", "clock", what, where, None, means, remedy))
    return midnight


def _numeric_dates(source: Source, series: pd.Series) -> tuple[pd.Series, str | None]:
    numbers: Any = pd.to_numeric(series, errors="coerce")
    values = numbers.to_numpy(float, na_value=np.nan)
    whole = (values % 1 == 0).all()
    told = source.dialect.date_format is not None
    if not (whole and (told or ((values >= 19000101) & (values <= 22001231)).all())):
        where, got = source.where(0, source.date), series.iloc[0]
        got = Phrase(got) if isinstance(got, str) else got
        fail("date", got, where, "dates such as 2024-01-31", _numeric_fix(source, values))
    return _text_dates(source, pd.Series(values.astype(int).astype(str)))


def _numeric_fix(source: Source, values: np.ndarray) -> str:
    """What numbers probably are: days or seconds from some day on, months, weeks, years."""
    first, this = float(values[0]), f'df["{source.date}"]'
    unit, start = {10: "s", 13: "ms", 16: "us"}.get(len(f"{abs(first):.0f}"), "ns"), ""
    if 20000 < first < 80000:  # days since 1900, as spreadsheets store dates
        unit, start = "D", ', origin="1899-12-30"'
    if start or 1e8 < first < 9e18:
        day = pd.to_datetime(first, unit=unit, origin="1899-12-30" if start else "unix")
        if source.origin is None:
            return (
                f'{this} = pd.to_datetime({this}, unit="{unit}"{start}), here {show(day)}'
            )
        if start:
            fix = "in the spreadsheet give the column the format of a date, YYYY-MM-DD"
            return f"{fix}: there it is {show(day)}"
        words = {"s": "seconds", "ms": "milliseconds", "us": "microseconds"}
        words = words.get(unit, "nanoseconds")
        return f"write dates: as {words} since 1970 it is {show(day)}"
    if (values % 1 == 0).all() and ((values >= 190001) & (values <= 220053)).all():
        weeks = source.settings({"date_format": "%G%V"}) + " for the Mondays of weeks"
        if (values % 100 > 12).any():
            return weeks
        return f"{source.settings({'date_format': '%Y%m'})} for months, or {weeks}"
    if ((values >= 1900) & (values <= 2200)).all():
        return source.settings({"date_format": "%Y"})
    return "turn week, month or year numbers into the date on which the period starts"


def _text_dates(source: Source, text: pd.Series) -> tuple[pd.Series, str | None]:
    """Read dates in the form that is given, in ISO form or in the one that fits all."""
    if (way := source.dialect.date_format) is not None:
        found = as_told(text, way)
        if found.isna().any():
            row = int(np.flatnonzero(found.isna())[0])
            where, fix = source.where(row, source.date), "correct the cell, or date_format"
            fail("date", text[row], where, f'dates written as date_format = "{way}"', fix)
        return found, way
    iso = pd.to_datetime(text, format="ISO8601", errors="coerce")
    if iso.notna().all():
        return iso, None
    tried, whole = dict[str, Any](), dict[str, Any]()
    for texts in (text, text.map(english)):
        if not whole:
            read = lambda way, texts=texts: pd.to_datetime(
                texts, format=way, errors="coerce"
            )
            tried = {way: read(way) for way in FORMATS}
            whole = {way: dates for way, dates in tried.items() if dates.notna().all()}
    if not whole:
        _no_date(source, text, [iso, *tried.values()])
    ways: dict[str, Any] = {}
    for way, dates in whole.items():
        if not any(dates.equals(other) for other in ways.values()):
            ways[way] = dates
    if len(ways) > 1:  # a panel is regular: is only one of them?
        regular = {way: dates for way, dates in ways.items() if steady(dates)}
        span = {way: dates.max() - dates.min() for way, dates in ways.items()}
        near = {way: ways[way] for way in ways if span[way] < 3 * min(span.values())}
        ways = regular or near  # years of a day: 23-01-05
    if len(ways) > 1:
        _two_dates(source, text, ways)
    return next(iter(ways.values())), next(iter(ways))


def _no_date(source: Source, text: Any, tried: list[pd.Series]) -> NoReturn:
    """Point at the first row that breaks the form most rows have."""
    best = max(tried, key=lambda dates: int(dates.notna().sum())).notna().to_numpy()
    row = int(np.flatnonzero(~best)[0])
    day, form = likely(text[row])
    fix = f"write it as YYYY-MM-DD, {f'here {day}' if day else 'as in 2024-01-31'}"
    if form and as_told(text, form).notna().all():
        fix = source.settings({"date_format": form})
        fix += f" for the Mondays of weeks, here {day}"
    elif text[row] == source.date:
        fix = "the header stands there again: leave the row out"
    elif not re.search(r"\d", text[row]) and best.any():
        fix = "drop the row if it is a line of totals or notes, else write a date"
    fail("date", text[row], source.where(row, source.date), "a date", fix)


def _two_dates(source: Source, text: pd.Series, ways: Mapping[str, Any]) -> NoReturn:
    """Ask which of two forms is meant."""
    first, second = list(ways)[:2]
    row = int(np.flatnonzero((ways[first] != ways[second]).to_numpy())[0])
    days = [show(ways[way][row]) for way in (first, second)]
    got = f"{show(text[row])}, which may be {days[0]} or {days[1]}"
    pairs = zip((first, second), days, strict=True)
    told = [f"{source.settings({'date_format': way})} for {day}" for way, day in pairs]
    place, fix = source.where(row, source.date), listing(map(Phrase, told), 2, "or")
    fail("date", Phrase(got), place, "dates that can be read in one way only", fix)


def date_of(field: str, value: Any, way: str | None, dates: pd.DatetimeIndex) -> Any:
    """One date given as a setting, read as the dates of the table are.

    Args:
        field: The setting.
        value: A date, a text or 20240131.
        way: How the column of dates is written (`Columns.date_format`); None: ISO.
        dates: Periods of the panel: a month is read where it is one of them.

    Raises:
        InputError: No date, or one that may be two.
    """
    example = show(dates[-1 - len(dates) // 8])
    allowed, fix = f"a date such as {example}", f'write "{example}"'
    text = str(value).strip() if isinstance(value, (str, int, np.integer)) else ""
    if isinstance(value, (bool, np.bool_)) or value is None or value is pd.NaT:
        fail(field, value, "", allowed, fix)
    if isinstance(value, pd.Period) or re.fullmatch(r"\d{4}-\d{2}", text):
        return _month(field, value, text, dates, allowed)
    if not text:
        if not isinstance(value, (datetime.date, np.datetime64)):
            fail(field, value, "", allowed, fix)
        stamp: Any = pd.Timestamp(value)
        return stamp if pd.isna(stamp) or stamp.tzinfo is None else stamp.tz_localize(None)
    iso = pd.to_datetime(text, format="ISO8601", errors="coerce")
    if re.match(r"\d{4}-\d{2}-\d{2}", text) and not pd.isna(iso):
        return iso if iso.tzinfo is None else iso.tz_localize(None)
    if way is not None and (day := as_told(pd.Series([text]), way)).notna().all():
        return day[0]
    read = {f: pd.to_datetime(text, format=f, errors="coerce") for f in FORMATS}
    read = {f: day for f, day in read.items() if not pd.isna(day)}
    if way is not None and "%d" in way and len(set(read.values())) > 1:
        first = way.index("%d") < way.replace("%b", "%m").replace("%B", "%m").index("%m")
        read = {f: d for f, d in read.items() if (f.find("%d") < f.find("%m")) == first}
    days = sorted(set(read.values()))
    if not days or (text.isdigit() and len(text) != 8):
        fail(field, value if isinstance(value, str) else Phrase(text), "", allowed, fix)
    if len(days) > 1:
        got = Phrase(f'"{text}", which may be {show(days[0])} or {show(days[1])}')
        fail(
            field,
            got,
            "",
            "a date that can be read in one way only",
            f'write "{show(days[0])}"',
        )
    if all("%d" not in f for f in read):
        return _month(field, pd.Period(days[0], "M"), text, dates, allowed)
    return days[0]


def _month(field: str, value: Any, text: str, dates: pd.DatetimeIndex, allowed: str) -> Any:
    """The one period of a month or other span; refused where it holds more of them."""
    span: Any = value if isinstance(value, pd.Period) else pd.Period(text, "M")
    inside = dates[(dates >= span.start_time) & (dates <= span.end_time)]
    if len(inside) != 1:
        first, last = show(span.start_time), show(span.end_time.normalize())
        got = Phrase(f"{text or span}, which is {first} to {last}")
        fail(field, got, "", allowed, f'write "{first}" or "{last}"')
    return inside[0]


def read_geos(
    source: Source, column: str | None = None
) -> tuple[np.ndarray, tuple[str, ...]]:
    """Read the geos; return the code of each row and the names, in table order.

    With the name of another column, the groups that it names.
    """
    field = "geo" if column is None else f"groups {column}"
    column = column or str(source.geo)
    series = source.column(column)
    missing = series.isna() | (series.astype(str).str.strip() == "")
    if missing.any():
        row = int(np.flatnonzero(missing)[0])
        got = Phrase("no geo" if field == "geo" else "no name")
        fix = "name it or drop the row (is it a line of totals?)"
        fail(field, got, source.where(row, column), "a name", fix)
    if pd.api.types.is_float_dtype(series.dtype) and (series % 1 == 0).all():
        series = series.astype("int64")  # codes that a missing cell once turned to floats
    elif source.origin is not None and series.astype(str).str.fullmatch(r"\d+\.0").all():
        series = series.astype(str).str.removesuffix(".0")
    codes, names = pd.factorize(series.astype(str))
    plain: dict[str, str] = {}
    for name in names:
        key = name.strip().casefold()
        if key == "all":
            row = int(np.flatnonzero(codes == list(names).index(name))[0])
            fix = "drop the rows of totals: they would count every sale twice"
            fail(field, name, source.where(row, column), 'a name other than "ALL"', fix)
        if key in plain:
            row = int(np.flatnonzero(codes == list(names).index(name))[0])
            other = plain[key]
            old, new = (other, name) if other != other.strip() else (name, other)
            fix = f'df["{column}"] = df["{column}"].replace("{old}", "{new}")'
            allowed = f'one spelling of a name ("{other}" is another of the table)'
            fail(field, name, source.where(row, column), allowed, fix)
        plain[key] = name
    return codes, tuple(str(name) for name in names)


def read_numbers(source: Source, column: str, field: str) -> np.ndarray:
    """Read a column as float64, missing cells as NaN; refuse text, dates and infinity."""
    series = source.column(column)
    dtype = series.dtype
    marks = source.dialect.marks(column)
    if (
        pd.api.types.is_datetime64_any_dtype(dtype)
        or isinstance(dtype, pd.PeriodDtype)
        or dtype.kind in "mc"
    ):
        fix = "name another column or turn it into numbers first"
        got = Phrase(f"a column of type {dtype}")
        fail(field, got, f'column "{column}"', "a column of numbers", fix)
    points = None if source.origin is None else source.origin.points.get(column)
    if pd.api.types.is_bool_dtype(dtype) or pd.api.types.is_numeric_dtype(dtype):
        values = series.to_numpy(dtype=float, na_value=np.nan)
        unknown = [float(text) for text in marks.missing if re.fullmatch(r"-?[\d.]+", text)]
        values = np.where(np.isin(values, unknown), np.nan, values) if unknown else values
    else:
        cells = series.astype(object).tolist()
        values, bad = read_cells(cells, marks)
        if bad.any():
            _no_number(source, column, field, cells, np.flatnonzero(bad))
        plain = marks.thousands is None and not marks.said
        points = dotted(cells) if plain and points is None else points
    if points is not None:
        _two_readings(source, column, field, values, *points)
    infinite = np.flatnonzero(np.isinf(values))
    if infinite.size:
        row = int(infinite[0])
        fix = f'look for a division by zero in "{column}"'
        fail(field, values[row], source.where(row, column), "finite numbers", fix)
    return values


def _two_readings(
    source: Source, column: str, field: str, values: np.ndarray, cell: str, certain: bool
) -> None:
    """Say of 1.250 that it may be 1250: refuse what is certain, note what is not."""
    row = int(np.flatnonzero(np.isclose(np.abs(values), float(cell)))[0])
    both = f'"{cell}", which may be {float(cell) * 1000:.0f} or {float(cell):g}'
    ways = _for_column(source, column, [{"thousands": "."}, {"decimal": "."}])
    first, second = (source.settings(keys) for keys in ways)
    fix = f"{first} for {float(cell) * 1000:.0f}, or {second.removeprefix('write ')} "
    fix = fix.removesuffix(" ").replace("or pass", "or") + f" for {float(cell):g}"
    where = source.where(row, column)
    if certain:
        fail(field, Phrase(both), where, "numbers that can be read in one way only", fix)
    if field != "controls":
        what = f"{field}: {both}, at {where}, in a column of numbers with three digits"
        means = f"It was read as {float(cell):g}"
        remedy = fix[:1].upper() + fix[1:]
        known = Finding("warning", "points", f"{what} after a point", (column,))
        source.said.append(replace(known, means=means, remedy=remedy))


def _for_column(
    source: Source, column: str, ways: list[dict[str, Any]]
) -> list[dict[str, Any]]:
    """Settings for one column: its marks by its name where others would read otherwise."""
    found, cells = [], {c: _written(source, c) for c in source.numbers}
    for keys in ways:
        trial = replace(source.dialect, **keys)
        for other, texts in cells.items():
            now, lost = read_cells(texts, source.dialect.marks(other))
            new, bad = read_cells(texts, trial.marks(other))
            changed = not np.array_equal(new[~lost], now[~lost], equal_nan=True)
            if other != column and (changed or (bad & ~lost).any()) and not dotted(texts):
                marks = {"decimal", "thousands"} & keys.keys()
                keys = keys | {k: {column: keys[k]} for k in marks}
                break
        found.append(keys)
    return found


def _written(source: Source, column: str) -> list[Any]:
    """The cells of a column as text, numbers as they would be written."""
    series = source.column(column)
    if not pd.api.types.is_numeric_dtype(series.dtype):
        return series.astype(object).tolist()
    points = {} if source.origin is None else source.origin.points
    digits = "{:.3f}" if column in points else "{:.15g}"
    return [
        "" if x != x else f"{x:.0f}" if x % 1 == 0 else digits.format(x) for x in series
    ]


def _no_number(
    source: Source, column: str, field: str, cells: list[Any], bad: np.ndarray
) -> NoReturn:
    """Refuse a column with text among its numbers: with the settings that would read it."""
    row = int(bad[0])
    cell = cells[row].strip() if isinstance(cells[row], str) else cells[row]
    more = f" ({bad.size} such cells in this column)" if bad.size > 1 else ""
    marks, allowed = source.dialect.marks(column), "numbers"
    ways = settings(cells, marks, field in ("outcome", "controls"))
    fix = advice(cell, cells, column, field)
    if len(ways) == 1:
        keys, values = ways[0]
        every = {c: _written(source, c) for c in source.numbers}
        free = [c for c, kind in source.numbers.items() if kind in ("outcome", "controls")]
        common = agreed(source.dialect, every, free)
        keys = common or _for_column(source, column, [keys])[0]
        fix = source.settings(keys)
        if np.isnan(values[row]):
            fix = f"leave the cell empty, which is a missing value, or {fix}"
        else:
            number = show(values[row])
            fix += f" to read it as {number}, or write {number} in the cell"
        if "%" in keys.get("strip", ""):
            share = show(values[row] / 100)
            fix += f"; as a share it is {share}: then write shares in all cells"
    elif len(ways) > 1:
        each = _for_column(source, column, [keys for keys, _ in ways])
        pairs = zip(each, ways, strict=True)
        apart = [f"{source.settings(keys)} for {show(v[row])}" for keys, (_, v) in pairs]
        cell = Phrase(
            f"{show(cell)}, which may be {' or '.join(show(v[row]) for _, v in ways)}"
        )
        fix, allowed = (
            listing(map(Phrase, apart), 3, "or"),
            "numbers that read in one way only",
        )
    fail(field, cell, source.where(row, column) + more, allowed, fix)
