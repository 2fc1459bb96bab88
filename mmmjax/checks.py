"""Errors at the door: which field, what was got, where, what is allowed, how to fix it.

Every check of user input ends in :func:`fail`, so that all messages have the same parts
in the same order and the command line can tell bad input from a defect of ours. Used
when a record or a panel is built; never inside compiled functions.
"""

import datetime
import difflib
import math
import re
import unicodedata
from collections.abc import Collection, Iterable, Mapping
from decimal import Decimal
from fractions import Fraction
from typing import Any, NoReturn

import numpy as np
import pandas as pd

__all__ = [
    "InputError",
    "Phrase",
    "amount",
    "choice",
    "closest",
    "exact",
    "fail",
    "finite",
    "integer",
    "listing",
    "name",
    "number",
    "numbers",
    "show",
    "texts",
    "unknown",
]


UNWRITABLE = ("Cc", "Cs", "Zl", "Zp")  # control, surrogates, separators of lines
TINY = 1e-5  # an amount below it is shown as a power of ten
LARGE = 10**40  # whole numbers from here on are shown by their digits


class InputError(ValueError):
    """Input that cannot be used. The message says which field, where and how to fix it."""


class Phrase(str):
    """A description in words; :func:`show` prints it without quotes."""


def show(value: object) -> str:
    """Print a value as a person would write it in a message, on one line."""
    if isinstance(value, Phrase):
        return _printable(value)
    if value is pd.NaT or value is pd.NA:
        return "a missing value"
    if isinstance(value, (pd.Timestamp, np.datetime64)):
        stamp: Any = pd.Timestamp(value)
        return str(stamp.date()) if stamp == stamp.normalize() else str(stamp)
    if isinstance(value, datetime.date | datetime.time):
        return value.isoformat()
    if isinstance(value, (bool, np.bool_)):
        return str(bool(value))
    if isinstance(value, (float, np.floating)):
        return "NaN" if math.isnan(value) else f"{float(value):.10g}"
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, str):
        text = f'"{value}"' if len(value) <= 60 else f'"{value[:57]}..."'
        return _printable(text.replace("\n", r"\n"))
    if isinstance(value, type):
        return f"the class {value.__name__}"
    if isinstance(value, int) and abs(value) >= LARGE:
        return f"a whole number of about {int(value.bit_length() * math.log10(2))} digits"
    try:
        text = " ".join(repr(value).split())
    except Exception:  # of another library, or too many digits inside
        return f"an object of type {type(value).__name__}"
    if text.startswith("<"):  # how Python shows what has no text of its own
        return f"an object of type {type(value).__name__}"
    return _printable(text if len(text) <= 120 else f"{text[:117]}...")


def amount(value: float) -> str:
    """A number as text: thousands separators, three digits if below 1,000."""
    if not np.isfinite(value):
        return ""
    if 0 < abs(value) < TINY:
        return f"{value:.2e}"
    if abs(value) >= 999.5 or value == round(value):
        return f"{value:z,.0f}"
    digits = 2 if value == 0 else int(np.clip(2 - np.floor(np.log10(abs(value))), 0, 8))
    return f"{value:,.{digits}f}"


def exact(value: float) -> str:
    """A limit as text, which people compare: whole from 1,000 on, else six digits."""
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:,.6g}"


def _printable(text: str) -> str:
    r"""Text; what does not show, or cannot be written, as Python escapes it: ``\x00``."""
    if text.isprintable():
        return str(text)
    return "".join(
        c if c.isprintable() or c == "\n" else c.encode("unicode_escape").decode()
        for c in text
    )


def listing(values: Iterable[object], limit: int = 6, last: str = "and") -> str:
    """Show the first few of many values: `"a", "b" and 3 more`."""
    shown = [show(value) for value in values]
    if len(shown) > limit:
        shown = [*shown[:limit], f"{len(shown) - limit} more"]
    return f" {last} ".join([", ".join(shown[:-1]), shown[-1]] if shown[1:] else shown)


def fail(field: str, got: object, where: str, allowed: str, fix: str) -> NoReturn:
    """Raise :class:`InputError` with one readable message.

    Args:
        field: What the user was setting, in the user's words (`media`, `max_lag`).
        got: The offending value; a :class:`Phrase` where words say it better.
        where: Row, date, geo, column; empty where the field itself is the place. Starts
            with its own preposition (in, for, from) if "at" would read badly.
        allowed: What would have been accepted.
        fix: The most likely remedy, as code where possible.
    """
    at = "" if where.startswith(("in ", "for ", "from ")) else "at "
    place = f" {at}{where}" if where else ""
    remedy = f" Fix: {fix}" if fix else ""  # no full stop: code is copied from here
    raise InputError(f"{field}: got {show(got)}{place}. Allowed: {allowed}.{remedy}")


def closest(name: object, options: Iterable[object]) -> str | None:
    """Return the option most like `name`, ignoring case and spaces; None if none is."""
    plain = {str(option).strip().casefold(): str(option) for option in options}
    found = difflib.get_close_matches(str(name).strip().casefold(), plain, 1, 0.6)
    return plain[found[0]] if found else None


def unknown(
    field: str,
    got: object,
    where: str,
    what: str,
    options: Collection[object],
    fix: str = "leave it out",
) -> NoReturn:
    """Refuse a name that is none of `options`, with the nearest of them.

    Args:
        field: As for :func:`fail`.
        got: The name.
        where: As for :func:`fail`.
        what: What the options are, "paid channels".
        options: The names that are known.
        fix: The most likely remedy where none is near.
    """
    allowed, near = f"{what} ({listing(options, 12) or 'none'})", closest(got, options)
    fail(field, got, where, allowed, f'did you mean "{near}"?' if near else fix)


def name(field: str, value: object, *, also: str = "", fix: str = "rename it") -> str:
    """Return `value` if it is a name that can be shown, written and found again.

    Args:
        field: What is called so.
        value: A text with letters; no control characters (NUL, line breaks, tabs), no
            lone halves of surrogate pairs.
        also: Characters that are fine here all the same.
        fix: The most likely remedy.
    """
    if not isinstance(value, str) or not value.strip():
        fail(field, value, "", "a text that is not empty", fix)
    for c in value:
        if unicodedata.category(c) in UNWRITABLE and c not in also:
            allowed = f"letters that can be shown and written, not {show(c)}"
            fail(field, value, "", allowed, fix)
    return value


def choice(field: str, value: object, options: Collection[str]) -> str:
    """Return `value` if it is one of `options`."""
    if isinstance(value, str) and value in options:
        return value
    near = closest(value, options)
    fix = f'did you mean "{near}"?' if near else f'write {field}="{next(iter(options))}"'
    fail(field, value, "", listing(options, 20, "or"), fix)


def _interval(
    low: float | None, high: float | None, open_low: bool, open_high: bool
) -> str:
    if low is not None and high is not None:
        left, right = "(" if open_low else "[", ")" if open_high else "]"
        return f" in {left}{low:g}, {high:g}{right}"
    if low is not None:
        return f" {'above' if open_low else 'of at least'} {low:g}"
    if high is not None:
        return f" {'below' if open_high else 'of at most'} {high:g}"
    return ""


def number(
    field: str,
    value: object,
    *,
    low: float | None = None,
    high: float | None = None,
    open_low: bool = False,
    open_high: bool = False,
    infinite: bool = False,
    fix: str = "",
) -> float:
    """Return `value` as a float, if it is one finite number in the range.

    Args:
        field: What the user was setting.
        value: The value to check, a real number of Python, NumPy or JAX. NaN, infinity,
            complex numbers, text, bytes, booleans and arrays are refused.
        low: Smallest allowed value, itself allowed unless `open_low`.
        high: Largest allowed value, itself allowed unless `open_high`.
        open_low: Whether `low` itself is refused.
        open_high: Whether `high` itself is refused.
        infinite: Whether infinity is a number too.
        fix: The most likely remedy.
    """
    allowed = f"a finite number{_interval(low, high, open_low, open_high)}"
    one: Any = value
    kind = getattr(getattr(value, "dtype", None), "kind", None)
    real = isinstance(value, (int, float, Decimal, Fraction)) and not isinstance(
        value, bool
    )
    if not (real or (kind in ("i", "u", "f") and one.shape == ())):
        if isinstance(value, str) and re.fullmatch(r"\s*-?\d+(\.\d+)?\s*", value):
            fix = f"write {value.strip()} without quotation marks"
        fail(field, value, "", allowed, fix)
    try:
        result = float(one)
    except (OverflowError, ValueError):  # 10**400, a signalling NaN
        fail(field, value, "", allowed, fix)
    above = low is None or (result > low if open_low else result >= low)
    below = high is None or (result < high if open_high else result <= high)
    known = not math.isnan(result) if infinite else math.isfinite(result)
    if not (known and above and below):
        fail(field, result, "", allowed, fix)
    return result


def integer(
    field: str,
    value: object,
    *,
    low: int | None = None,
    high: int | None = None,
    fix: str = "",
) -> int:
    """Return `value` as an int, if it is one whole number in [low, high]."""
    result, one = number(field, value, low=low, high=high, fix=fix), value
    if result != int(result):
        fail(field, value, "", f"a whole number{_interval(low, high, False, False)}", fix)
    return int(one)  # type: ignore[call-overload]  # exact, also above 2**53


def numbers(value: object) -> np.ndarray | None:
    """Return any value as an array of float64; None where it has other members."""
    try:
        array = np.asarray(value)
        return array.astype(np.float64) if array.dtype.kind in "iuf" else None
    except (TypeError, ValueError, OverflowError):  # members of several kinds or sizes
        return None


def texts(field: str, value: object, allowed: str, fix: str) -> tuple[str, ...]:
    """Return the members of a list of texts; refuse one text, none and other members."""
    one = isinstance(value, str | bytes | Mapping) or not isinstance(value, Iterable)
    found: tuple[Any, ...] = () if one else tuple(value)  # pyright: ignore[reportArgumentType]
    if not found or not all(isinstance(one, str) and one.strip() for one in found):
        fail(field, value, "", allowed, fix)
    return found


def finite(field: str, array: Any, coords: Mapping[str, Collection[Any]]) -> None:
    """Refuse NaN and infinity, naming the first bad cell by its coordinates.

    Args:
        field: What the array is, in the user's words.
        array: Numbers whose axes are the keys of `coords`, in order.
        coords: Name of each axis and its labels.
    """
    values = np.asarray(array, dtype=float)
    bad = np.argwhere(~np.isfinite(values))
    if not bad.size:
        return
    labels = zip(coords.items(), bad[0], strict=True)
    where = ", ".join(f"{axis} {show(list(names)[i])}" for (axis, names), i in labels)
    more = f" ({len(bad)} bad cells in all)" if len(bad) > 1 else ""
    fix = f"fill or remove the missing cells of {field}"
    fail(field, values[tuple(bad[0])], where + more, "finite numbers", fix)
