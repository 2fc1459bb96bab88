"""Dates as people write them: forms that are read, and what a label that is none may mean.

A column has one form. Where several forms read every cell, the one whose dates are regular
is meant: the dates of a panel are. What a message proposes for a label was tried first.
"""

import re
import unicodedata
import warnings
from typing import Any

import pandas as pd

from mmmjax.checks import fail

__all__ = ["FORMATS", "as_told", "check_format", "english", "likely", "steady", "swapped"]

FORMATS = (
    "%Y-%m-%d", "%Y/%m/%d", "%Y%m%d", "%Y.%m.%d",
    "%d/%m/%Y", "%m/%d/%Y", "%d-%m-%Y", "%m-%d-%Y", "%d.%m.%Y",
    "%d/%m/%y", "%m/%d/%y", "%d-%m-%y", "%m-%d-%y", "%d.%m.%y",
    "%y-%m-%d", "%y/%m/%d", "%y.%m.%d",
    "%d %b %Y", "%d-%b-%Y", "%d-%b-%y", "%d %b %y", "%d.%b.%Y", "%d/%b/%Y", "%d%b%Y",
    "%b %d, %Y", "%b %d %Y", "%Y-%b-%d", "%d. %b %Y",
    "%d %B %Y", "%d. %B %Y", "%B %d, %Y", "%a, %b %d, %Y", "%a, %d %b %Y",
    "%A, %B %d, %Y", "%A, %d %B %Y", "%Y\u5e74%m\u6708%d\u65e5",
    "%b %Y", "%B %Y", "%b-%Y", "%b/%Y", "%b %y", "%b-%y", "%b/%y", "%B-%y",
    "%b'%y", "%b '%y", "%m/%Y", "%m.%Y", "%m-%Y", "%YM%m",
)  # fmt: skip
MONTHS = (  # first letters, in English, German, French, Spanish, Italian and the like
    "Jan ene gen|Feb fev|Mar mrz maa mrt|Apr avr abr|May mai mei mag|Jun juin giu|"
    "Jul juil lug|Aug aou ago|Sep set|Oct okt out ott|Nov|Dec dez dic"
)


def english(text: str) -> str:
    """A date with the month in English and short: "5. M\u00e4rz 2024" -> "5. Mar 2024"."""

    def name(found: re.Match[str]) -> str:
        plain = unicodedata.normalize("NFKD", found[1].casefold())
        word = "".join(filter(str.isalpha, plain))
        months = (
            starts.split()[0]
            for starts in MONTHS.split("|")
            if word.startswith((*starts.casefold().split(),))
        )
        return next(months, found[0])

    text = re.sub(r"(?<=\d)(st|nd|rd|th)\b|\bde\b", "", text, flags=re.IGNORECASE)
    return " ".join(re.sub(r"([^\W\d_]{3,})\.?", name, text).split())


def check_format(given: object) -> None:
    """Refuse what does not say how a year, month, week or day is written."""
    fix = 'date_format = "%d/%m/%Y"'
    allowed = "how dates are written, with %d, %m and %Y (of weeks %V and %G)"
    if given is None:
        return
    if not isinstance(given, str) or not re.search("%[YyG]", given):
        fail("date_format", given, "", allowed, fix)
    day = pd.Timestamp(2024, 10, 21)  # a Monday
    try:
        read = as_told(pd.Series([day.strftime(given)]), given).tolist()
    except ValueError:
        read = []
    if read not in ([day], [day.replace(day=1)], [day.replace(month=1, day=1)]):
        fail("date_format", given, "", allowed, fix)


def as_told(text: pd.Series, form: str) -> pd.Series:
    """Dates of a given form, NaT where a cell has another one; weeks by their Mondays."""
    ending = ""
    if "%V" in form and not re.search("%[uwaA]", form):
        form, ending = f"{form} %u", " 1"
    found = pd.to_datetime(text + ending, format=form, errors="coerce")
    if found.isna().any():
        other = text.map(english) + ending
        found = found.fillna(
            pd.to_datetime(other, format=form.replace("%B", "%b"), errors="coerce")
        )
    return found


def steady(dates: pd.Series) -> bool:
    """Whether dates, in any order, are all those of one frequency."""
    days = pd.DatetimeIndex(dates.unique()).sort_values()
    if len(days) < 3:
        return False
    with warnings.catch_warnings():  # on what a later pandas returns
        warnings.simplefilter("ignore")
        found: Any = pd.infer_freq(days)
    return found is not None and "WOM" not in str(getattr(found, "freqstr", found))


def swapped(dates: pd.Series) -> pd.Series:
    """Dates with day and month exchanged where both may be either."""
    days = dates.dt
    turned = pd.to_datetime(
        {"year": days.year, "month": days.day.clip(upper=12), "day": days.month}
    )
    return dates.where(days.day > 12, turned)


def likely(text: str) -> tuple[str, str]:
    """What a label that is no date probably means.

    Returns:
        The date as YYYY-MM-DD and the form to give as `date_format`; empty if unknown.
    """
    plain = text.strip().lstrip("=").strip("\"'").strip()
    letters = r"(?:Week|week|W|KW|CW|S|w|kw)"
    week = re.fullmatch(rf"(\d{{4}})([-/. ]?{letters}?[-/. ]?)(\d{{1,2}})", plain)
    other = re.fullmatch(rf"({letters}?[-/. ]?)(\d{{1,2}})([-/. ])(\d{{4}})", plain)
    if week or other:
        year, number = (week[1], week[3]) if week else (other[4], other[2])  # pyright: ignore[reportOptionalSubscript]
        form = f"%G{week[2]}%V" if week else f"{other[1]}%V{other[3]}%G"  # pyright: ignore[reportOptionalSubscript]
        if int(number) <= 53 and (int(number) > 12 or re.search("[a-zA-Z]", plain)):
            days = as_told(pd.Series([plain]), form).dropna()
            return (f"{days[0]:%Y-%m-%d}", form) if len(days) else ("", "")
    quarter = re.fullmatch(r"(\d{4})[- /]?Q([1-4])|Q([1-4])[- /]?(\d{4})", plain)
    if quarter:
        year, number = quarter[1] or quarter[4], int(quarter[2] or quarter[3])
        return f"{year}-{3 * number - 2:02d}-01", ""
    first = pd.Series(re.split(r"\s+(?:-|\u2013|to|bis|au|until)\s+", plain)[0])
    for way in FORMATS:
        for day in as_told(first, way).dropna():
            clear = day.day > 12 or not re.search("%d.%m|%m.%d.%Y|%m.%d.%y", way)
            return (f"{day:%Y-%m-%d}" if clear else ""), ""
    named = re.search(r"[^\W\d_]{3}", plain) and re.search(r"\d{4}", plain)
    guess = pd.to_datetime(pd.Series([plain] if named else []), errors="coerce").dropna()
    return "".join(f"{day:%Y-%m-%d}" for day in guess), ""
