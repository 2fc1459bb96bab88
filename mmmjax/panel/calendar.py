"""Make dates regular: one frequency, no gaps, and a clear word about any that break it."""

import warnings
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from mmmjax.checks import Phrase, fail, listing, show
from mmmjax.panel.cells import Source
from mmmjax.panel.columns import Columns
from mmmjax.panel.days import steady, swapped

__all__ = [
    "check_follows",
    "describe",
    "following",
    "no_gaps",
    "no_repeats",
    "offset",
    "period_days",
    "regular",
    "spans",
]

DAYS = ("MON", "TUE", "WED", "THU", "FRI", "SAT", "SUN")
MEASURES = {
    "metric",
    "measure",
    "variable",
    "kpi",
    "indicator",
    "kennzahl",
    "value",
    "wert",
}
UNEVEN = 0.3  # share of rows off the grid beyond which it may be the calendar, no slip
MONTHS = (
    "JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC",
)  # fmt: skip


def describe(freq: str) -> str:
    """Say a pandas frequency in words: `W-SUN` is "weekly, on SUN"."""
    words = {"D": "daily", "B": "every working day", "W": "weekly", "MS": "monthly"}
    words |= {"ME": "monthly, last day", "QS": "quarterly", "YS": "yearly"}
    base, _, anchor = freq.partition("-")
    days = base.removesuffix("D")
    text = words.get(base, f"every {days} days" if days.isdigit() else f"every {freq}")
    return f"{text}, on {anchor}" if base == "W" else text


def following(dates: pd.DatetimeIndex, freq: str, periods: int) -> pd.DatetimeIndex:
    """The next `periods` dates after some."""
    last: Any = dates[-1]
    later = pd.date_range(last, periods=periods + 1, freq=freq)
    return later[later > last][:periods]


def period_days(dates: pd.DatetimeIndex, freq: str) -> float:
    """Days of a period, in the mean of those of dates."""
    if len(dates) == 1:
        dates = pd.date_range(dates[0], periods=13, freq=freq)
    ends: Any = dates[[0, -1]]
    return (ends[1] - ends[0]).days / (len(dates) - 1)


def spans(
    dates: pd.DatetimeIndex, freq: str, dated: str = "auto"
) -> tuple[np.ndarray, np.ndarray]:
    """First days of periods, and first days after them, as days since 1970.

    Args:
        dates: Of the periods, regular.
        freq: Their frequency.
        dated: Whether a date is the "first" or the "last" day of its period; "auto": the
            last of months, quarters and years that are dated so, else the first.
    """
    step: Any = offset(freq)
    if dated == "auto":
        dated = "last" if freq.partition("-")[0].endswith("E") else "first"
    days = lambda of: of.to_numpy().astype("datetime64[D]").astype(int)
    if dated == "last":
        ends, before = days(dates), days(pd.DatetimeIndex([dates[0] - step]))
        return np.concatenate([before, ends[:-1]]) + 1, ends + 1
    first = days(dates)
    if freq == "B":
        return first, first + 1
    return first, np.append(first[1:], days(pd.DatetimeIndex([dates[-1] + step])))


def offset(freq: str, dates: pd.DatetimeIndex | None = None) -> pd.offsets.BaseOffset:
    """Return the pandas offset of `freq`; "W" means weekly on the weekday of the data."""
    name = str(freq).strip().upper()
    if name in ("W", "WEEKLY") and dates is not None and len(dates):
        name = f"W-{_weekday(dates)}"
    words = {"WEEKLY": "W", "DAILY": "D", "MONTHLY": "MS", "M": "MS", "QUARTERLY": "QS"}
    name = words.get(name, name)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            return pd.tseries.frequencies.to_offset(name)
    except (ValueError, Warning):
        allowed = 'a pandas frequency such as "D", "W-SUN", "MS" or "ME"'
        fix = "leave freq out, it is found from the dates"
        fail("freq", freq, "", allowed, fix)


def no_repeats(source: Source, codes: np.ndarray, columns: Columns) -> None:
    """Refuse two rows of one date and geo, and say which column may tell them apart."""
    key = pd.MultiIndex.from_arrays([source.dates, codes])
    repeated = key.duplicated(keep=False)
    if not repeated.any():
        return
    row = int(np.flatnonzero(repeated)[0])
    rows = np.flatnonzero(key == key[row])
    got = Phrase(f"{len(rows)} rows for one date" + (" and geo" if source.geo else ""))
    where = f"{source.row(int(rows[1]))} after {source.where(row)}"
    allowed = "one row per date" + (" and geo" if source.geo else "")
    twins = source.frame.iloc[rows[:2]]
    if repeated.mean() > 0.5 and (fix := _by_channel(source, key, columns)):
        fail("date", got, where, allowed, fix)
    if twins.duplicated().any():
        fix = "the rows are identical: delete one (pandas: df.drop_duplicates())"
    elif source.geo is None:
        allowed += " for one national market"
        fix = "delete the one too many, or name the column of geos as geo"
        if named := _tells_apart(source, columns):
            fix = f'name the column that tells the rows apart: geo = "{named}"'
        if named and {named.casefold(), str(columns.outcome).casefold()} & MEASURES:
            table = f'index="{source.date}", columns="{named}", values="{columns.outcome}"'
            fix = (
                f'"{named}" seems to name measures, each in rows of its own: make each of '
                "them a column, one row a date (in a spreadsheet: a pivot table; pandas: "
                f"df = df.pivot_table({table}).reset_index()), and name these columns"
            )
            fail("date", got, where, allowed, fix)
        fix += "; if they are not geos, add them up first"
    else:
        fix = "add the rows up or remove the wrong one"
    fail("date", got, where, allowed, fix)


def _by_channel(source: Source, key: pd.MultiIndex, columns: Columns) -> str:
    """How to turn a table with a row a channel: its outcome repeats in each of them."""
    outcome, labels = columns.outcome, key.to_flat_index()
    if outcome is None:
        return ""
    numbers: Any = pd.to_numeric(source.column(outcome), errors="coerce")
    known = numbers.replace(0.0, np.nan)
    once = known.groupby(labels).count().max() == 1  # 0 or nothing in the other rows
    values = (known if once else source.column(outcome)).groupby(labels)
    if values.nunique().max() != 1 or values.first().nunique() == 1:
        return ""
    index = [source.date, *([source.geo] if source.geo else [])]
    media = list(dict.fromkeys((*columns.media, *filter(None, columns.spend))))
    kept = [outcome, *columns.controls, *filter(None, [columns.population])]
    same = "stands in one row" if once else "is the same in all rows"
    same = f'"{outcome}" {same} of a {" and ".join(index)}'
    never = "It is no geo, and the outcome must not be added up: it would count once a row"
    several, name = 1, None
    for column in _labels(source, columns):
        series = source.column(column)
        most = int(series.groupby(labels).nunique().max())
        if most > several and series.nunique() <= max(12, 3 * most):
            several, name = most, column
    if name is None:
        return f"{same}: make it one row, with {listing(media)} added up. {never}"
    turned = (
        f"wide = df.pivot_table(index={index}, columns={name!r}, values={media}, "
        'aggfunc="sum", fill_value=0); wide.columns = [f"{b} {a}" for a, b in wide]; '
        f"wide = wide.join(df.groupby({index})[{kept}].max()).reset_index()"
    )
    channels = sorted(source.column(name).dropna().astype(str).unique())
    lists = listing((f"{c} {media[0]}" for c in channels), 4)
    return (
        f'{same}, so "{name}" seems to name channels: turn the table, one row each and '
        f"{lists} as columns (in a spreadsheet: a pivot table with rows {listing(index)}, "
        f'columns "{name}", sums of {listing(media)}, and beside it {listing(kept)} once). '
        f"pandas: {turned}. Then name these columns under media. {never}"
    )


def _labels(source: Source, columns: Columns) -> list[str]:
    """Columns that may name something: in no use, and no decimal numbers."""
    used = {name for _, name in columns.used()}
    free = [str(n) for n in source.frame if n not in used]
    return [n for n in free if not pd.api.types.is_float_dtype(source.column(n).dtype)]


def _tells_apart(source: Source, columns: Columns) -> str | None:
    """Find the column that makes dates unique: the geo column somebody forgot to name."""
    found = []
    for name in _labels(source, columns):
        series = source.column(name)
        if not 1 < series.nunique() < len(series):
            continue
        key = pd.MultiIndex.from_arrays([source.dates, series.astype(str)])
        if not key.has_duplicates:
            is_number = pd.api.types.is_numeric_dtype(series.dtype)
            found.append((is_number, series.nunique(), name))
    return min(found)[2] if found else None


def regular(
    source: Source, codes: np.ndarray, freq: str | None
) -> tuple[pd.DatetimeIndex, str]:
    """Return the regular dates the rows lie on, from first to last, and their frequency.

    Refuses dates off the grid and dates that no geo has.
    """
    _one_form(source, codes)
    dates = pd.DatetimeIndex(np.unique(source.dates))
    step = offset(freq, dates) if freq else _infer(source, codes, dates)
    name = step.freqstr
    grid = pd.date_range(dates[0], dates[-1], freq=step, unit="ns")
    off = ~np.isin(source.dates, grid.to_numpy())
    if off.any():
        row = int(np.lexsort((source.dates, ~off))[0])
        before = grid[grid < source.dates[row]]
        after = grid[grid > source.dates[row]]
        near = [show(day) for day in [*before[-1:], *after[:1]]]
        weekday = f" ({source.dates[row].astype('datetime64[D]').item():%a})"
        share = f"; {int(off.sum())} of {off.size} rows are off it" if off.sum() > 1 else ""
        fix = "correct the date, or bring all rows and geos to one frequency"
        if not freq and off.mean() > UNEVEN and _uneven(source, codes):
            fix = _added_up(source, codes)
        if freq:
            fix = "move the date onto the grid; freq, if you gave one, may be wrong"
        fail(
            "date",
            Phrase(f"{show(source.dates[row])}{weekday}"),
            replace(source, dates=None).where(row),
            f"one regular frequency, here {describe(name)}: {' or '.join(near)}{share}",
            fix,
        )
    missing = grid[~np.isin(grid.to_numpy(), dates.to_numpy())]
    if len(missing):
        _gap(missing, name, "in any geo" if source.geo else "")
    return grid, name


def _one_form(source: Source, codes: np.ndarray) -> None:
    """Refuse dates of which those up to the 12th have day and month exchanged.

    A program that took 2/1 for the other of the two leaves 13/1 as it is: rows that stand
    in order once they are turned back show it, even where the dates happen to be regular.
    """
    dates = pd.Series(source.dates)
    turned = swapped(dates)
    if not (changed := np.flatnonzero(turned != dates)).size or not steady(turned):
        return
    ordered = lambda of: all(
        x.is_monotonic_increasing or x.is_monotonic_decreasing for _, x in of.groupby(codes)
    )
    if ordered(turned) and not ordered(dates):
        row = int(changed[0])
        got = Phrase(f"{show(dates[row])} where {show(turned[row])} would be in order")
        fix = (
            "day and month are exchanged where the day is 12 or less, as programs do that "
            "expect another order of them: export the table again with dates as "
            f"YYYY-MM-DD, or correct these {changed.size} rows, this one to "
            f"{show(turned[row])}"
        )
        place = replace(source, dates=None).where(row, source.date)
        fail("date", got, place, "days and months in one order", fix)


def no_gaps(present: np.ndarray, grid: pd.DatetimeIndex, names: tuple[str, ...]) -> None:
    """Refuse a gap in the middle of a geo; late starts and early ends are fine."""
    seen = np.maximum.accumulate(present, 1)
    ahead = np.maximum.accumulate(present[:, ::-1], 1)[:, ::-1]
    holes = seen & ahead & ~present
    for geo in np.flatnonzero(holes.any(1))[:1]:
        _gap(grid[holes[geo]], grid.freqstr, f'for geo "{names[geo]}"')


def check_follows(
    dates: pd.DatetimeIndex, last: Any, freq: str, field: str = "future table"
) -> None:
    """Refuse future dates that overlap the training dates or leave a gap after them."""
    wanted = last + offset(freq)
    first: Any = dates[0]
    if first == wanted:
        return
    if first <= last:
        count = int(np.sum(dates <= last))
        allowed = f"dates from {show(wanted)} on: training ends at {show(last)}"
        fix = f"drop the {count} periods up to {show(last)} from the {field}"
        fail(field, Phrase(f"dates that start at {show(first)}"), "", allowed, fix)
    missing = pd.date_range(wanted, first, freq=offset(freq), inclusive="left")
    fail(
        field,
        Phrase(f"dates that start at {show(first)}"),
        "",
        f"dates that follow training directly, from {show(wanted)} on",
        f"add the missing {_periods(missing)}, with all media: carryover needs it",
    )


def _periods(missing: pd.DatetimeIndex) -> str:
    return f"{'period' if len(missing) == 1 else 'periods'} {listing(missing, 3)}"


def _gap(missing: pd.DatetimeIndex, freq: str, where: str) -> None:
    fail(
        "date",
        Phrase(f"no row for {len(missing)} {_periods(missing)}"),
        where,
        f"every period from first to last ({describe(freq)})",
        "add the rows, with 0 where nothing ran and the outcome left empty if unknown",
    )


def _weekday(dates: pd.DatetimeIndex) -> str:
    return DAYS[int(np.bincount(dates.day_of_week).argmax())]


def _infer(
    source: Source, codes: np.ndarray, dates: pd.DatetimeIndex
) -> pd.offsets.BaseOffset:
    """Find the frequency from the commonest step between the dates of one geo."""
    steps = _steps(source, codes)
    if not steps.size:
        steps = np.diff(dates.to_numpy().astype("datetime64[D]").astype(int))
    if not steps.size:
        fix = 'pass freq=, for example freq="W"'
        got = Phrase(f"a single date, {show(dates[0])}")
        fail("date", got, "", "at least two dates, or a frequency", fix)
    sizes, counts = np.unique(steps, return_counts=True)
    step = int(sizes[counts.argmax()])
    slack = 3 if step >= 28 else 0  # months and quarters are not equally long
    if counts[np.abs(sizes - step) <= slack].sum() < 0.5 * steps.size:
        usual = sizes[np.argsort(-counts, kind="stable")]
        got = Phrase(f"steps of {listing(usual.tolist(), 4)} days between dates")
        allowed, fix = (
            "one regular frequency: days, weeks, months",
            _added_up(source, codes),
        )
        fail("date", got, "", allowed, fix)
    if step == 1 and not (dates.day_of_week >= 5).any() and len(dates) > 5:
        return offset("B")
    if step == 1:
        return offset("D")
    if step % 7 == 0 and step != 91 and step != 364 and not _starts(dates):
        return offset(f"{step // 7 if step > 7 else ''}W-{_weekday(dates)}")
    ends = np.mean(dates.is_month_end) > 0.5
    if 28 <= step <= 31 and (ends or _starts(dates)):
        return offset("ME" if ends else "MS")
    if 89 <= step <= 92 and (ends or _starts(dates)):
        month = MONTHS[int(np.bincount(dates.month).argmax()) - 1]
        return offset(f"{'QE' if ends else 'QS'}-{month}")
    if step in (365, 366) and (ends or _starts(dates)):
        month = MONTHS[int(np.bincount(dates.month).argmax()) - 1]
        return offset(f"{'YE' if ends else 'YS'}-{month}")
    if 28 < step <= 31:
        this = f'df["{source.date}"]'
        fix = f'{this} = {this}.dt.to_period("M").dt.start_time'
        got = Phrase(f"months dated {show(dates[0])}, {show(dates[1])}")
        fail("date", got, "", "months dated by their first or last day", fix)
    return offset(f"{step}D")


def _steps(source: Source, codes: np.ndarray) -> np.ndarray:
    """Days from each date of a geo to its next."""
    order = np.lexsort((source.dates, codes))
    days = source.dates[order].astype("datetime64[D]").astype(int)
    return np.diff(days)[np.diff(codes[order]) == 0]


def _uneven(source: Source, codes: np.ndarray) -> bool:
    """Whether periods differ in length, in place of a few dates that are wrong."""
    counts = np.unique(_steps(source, codes), return_counts=True)[1]
    odd = counts.sum() - counts.max(initial=0)
    return bool(odd > max(0.1 * counts.sum(), 2 * (codes.max() + 1)))


def _added_up(source: Source, codes: np.ndarray) -> str:
    """How to add uneven periods up to even ones, each of which has a row."""
    longest = int(_steps(source, codes).max(initial=0))
    whole = (("W", 7, "weeks"), ("MS", 28, "months"), ("QS", 90, "quarters"))
    fit = [one for one in whole if longest <= one[1]]
    name, _, words = fit[0] if fit else ("YS", 365, "years")
    by = f'.groupby("{source.geo}")' if source.geo else ""
    return (
        f"the calendar is uneven (4-4-5 weeks, halves of months or the like): add the rows "
        f'up to {words}, df{by}.resample("{name}", on="{source.date}")'
        ".sum(numeric_only=True).reset_index(), with means in place of sums for prices and "
        "other controls (in a spreadsheet: a pivot table)"
    )


def _starts(dates: pd.DatetimeIndex) -> bool:
    return bool(np.mean(dates.day == 1) > 0.5)
