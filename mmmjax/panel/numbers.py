"""Numbers as people write them: one grammar, and the settings under which a column reads.

A column has one decimal and one thousands mark, judged over all its cells. Where it cannot
be read, `settings` looks for what would read every cell of it: what a message proposes was
tried first, so that following it gives the numbers meant.
"""

import math
import re
import unicodedata
from collections.abc import Iterable
from decimal import Decimal
from fractions import Fraction
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from mmmjax.checks import closest, show

__all__ = ["FULL", "PLAIN", "Marks", "advice", "dotted", "read_cells", "settings"]

MISSING = ("", "NaN", "nan", "NA", "<NA>", "NULL", "null", "None")
FORMULA = re.compile(r"#[^\W\d_][\w/]*[!?]?|#+")  # #DIV/0!, #BEZUG!, ####
UNKNOWN = {
    *("na", "n/a", "n.a.", "n.a", "n.d.", "k.a.", "-", "--", "---", ".", "..", "?"),
    *("\u2013", "\u2014", "missing", "unknown", "tbd", "none", "nil", "null", "nan"),
}
YES_NO = re.compile(
    "yes|no|y|n|true|false|t|f|ja|nein|j|wahr|falsch|oui|non|vrai|faux|si|s\u00ed|sim|"
    "n\u00e3o|nee|nej"
)
SPACES = " \u00a0\u202f\u2009\u2007"  # plain, no-break, narrow no-break, thin, figure
MINUS = "-\u2212\u2010\u2011\u2012\u2013\u2014\ufe63\uff0d"
ALIKE = {" ": SPACES, "'": "'\u2019\u02bc\u00b4`"}  # what one thousands mark stands for
FULL = rf"[.,][{MINUS}]+$"
"""The end of an amount without decimals, as in 758.- and 758,-: no minus sign."""
LETTERS = r"[A-Z]{3}|kr\.?|zł|Kč|Rs\.?|Fr\."
"""Currencies in letters, which may stand beside some of the numbers only."""
PAIRS = [(d, t) for t in (None, ",", ".", " ", "'") for d in (".", ",") if d != t]
THOUSAND = re.compile(r"[1-9][0-9]{0,2}\.[0-9]{3}")


class Marks(NamedTuple):
    """How the numbers of a column are written.

    Args:
        decimal: Mark before the decimals, "." or ",".
        thousands: Mark between groups of digits: ",", ".", " " (of any kind), "'"; None.
        strip: Texts beside a number that are taken off, such as a currency.
        accounting: (5), 5- and a long minus sign before 5 are -5.
        missing: Texts that stand for an unknown number.
        said: Whether the decimal mark was said, not assumed.
    """

    decimal: str = "."
    thousands: str | None = None
    strip: tuple[str, ...] = ()
    accounting: bool = False
    missing: tuple[str, ...] = ()
    said: bool = False


PLAIN = Marks()


def read_cells(cells: Iterable[Any], marks: Marks = PLAIN) -> tuple[np.ndarray, np.ndarray]:
    """Read cells of text or numbers.

    Returns:
        Values (cell,), NaN where missing, and which cells (cell,) are no numbers.
    """
    cells, known, missing = list(cells), {}, {*MISSING, *marks.missing}
    whole, d = "[0-9]+", re.escape(marks.decimal)
    if marks.thousands is not None:
        t = f"[{re.escape(ALIKE.get(marks.thousands, marks.thousands))}]"
        whole = rf"(?:[0-9]+|[1-9][0-9]{{0,2}}(?:{t}[0-9]{{3}})+"
        if marks.thousands == ",":  # 12,34,567 as India writes it
            whole += rf"|[1-9][0-9]?(?:{t}[0-9]{{2}})+{t}[0-9]{{3}}"
        whole += ")"
    pattern = re.compile(rf"(?:{whole}(?:{d}[0-9]*)?|{d}[0-9]+)(?:[eE][+-]?[0-9]+)?")
    values, bad = np.full(len(cells), np.nan), np.zeros(len(cells), bool)
    for i, cell in enumerate(cells):
        if not isinstance(cell, str):
            found = _object(cell)
        elif cell in known:
            found = known[cell]
        else:
            found = known[cell] = _text(cell.strip(), marks, pattern, missing)
        bad[i] = found is None
        values[i] = np.nan if found is None else found
    if marks.thousands == "." and not marks.said and bad.any():
        # a column with points for decimals in a file with points for thousands
        points = any(isinstance(c, str) and THOUSAND.fullmatch(c.strip()) for c in cells)
        plain = marks._replace(decimal=".", thousands=None)
        other, wrong = read_cells(cells, plain)
        if not points and not wrong.any():
            return other, wrong
    return values, bad


def _text(
    text: str, marks: Marks, pattern: re.Pattern[str], missing: set[str]
) -> float | None:
    """The number of one cell of text; NaN if it is missing, None if it is no number."""
    if text in missing:
        return math.nan
    if re.fullmatch("[+-]?inf(inity)?", text, re.IGNORECASE):
        return float(text)
    units, signs, before = list(marks.strip), [], None
    minus = MINUS if marks.accounting else "-"
    while text and text != before:  # take off one thing at an end after the other
        before = text
        if units or signs:
            text = text.strip(SPACES)
        if marks.accounting and text[:1] == "(" and text[-1:] == ")":
            text, _ = text[1:-1], signs.append("-")
        elif text[:1] in minus or text[:1] == "+":
            text, _ = text[1:], signs.append(text[0])
            text = text.lstrip(SPACES) if marks.accounting else text
        elif (
            marks.accounting and text[-1:] in minus and not re.search(f"[0-9]{FULL}", text)
        ):
            text, _ = text[:-1].rstrip(SPACES), signs.append("-")
        for unit in units:
            if text.startswith(unit) or text.endswith(unit):
                units.remove(unit)
                if text.startswith(unit) and re.match(r"\.[0-9]", text[len(unit) :]):
                    return None  # Rs.500 is no half of one
                text = (
                    text.removeprefix(unit) if text.startswith(unit) else text[: -len(unit)]
                )
                text = text.strip(SPACES)
                break
    if len(signs) > 1 or not pattern.fullmatch(text):
        return None  # (-5): the minus of a minus, or the same said twice?
    for mark in ALIKE.get(marks.thousands or "", marks.thousands or ""):
        text = text.replace(mark, "")
    number = float(text.replace(marks.decimal, "."))
    return -number if signs and signs[0] != "+" else number


def _object(cell: Any) -> float | None:
    """The number of a cell that is no text."""
    if cell is None or cell is pd.NA or cell is pd.NaT:
        return math.nan
    if isinstance(cell, np.complexfloating | np.timedelta64) or not isinstance(
        cell, (int, float, np.number, np.bool_, Decimal, Fraction)
    ):
        return None
    try:
        return float(cell)
    except OverflowError:
        return math.inf if cell > 0 else -math.inf
    except ValueError:  # a signalling NaN
        return None


class _Parts(NamedTuple):
    """A cell taken apart: its digits, what stands beside them, how its sign is written."""

    digits: str
    unit: str
    accounting: bool


def _parts(text: str) -> _Parts | None:
    found = re.fullmatch(r"([^0-9]*?)([.,]?[0-9](?:.*[0-9])?[.,]?)([^0-9]*)", text)
    if found is None:
        return None
    before, digits, after = found.groups()
    if digits[0] == "." and before[-1:].isalpha():  # the point of Rs.500
        before, digits = f"{before}.", digits[1:]
    if re.search(f"[0-9]{FULL}", digits + after):
        return _Parts(digits[:-1], digits[-1] + after, accounting="(" in before)
    signs = re.escape(MINUS + "+()")
    odd = "(" in before or any(mark in after for mark in MINUS + ")")
    odd |= any(mark in before for mark in MINUS[1:]) or bool(re.search(r"[+-]\s", before))
    units = {re.sub(f"[{signs}{SPACES}]", "", side) for side in (before, after)} - {""}
    return _Parts(digits, units.pop() if len(units) == 1 else "".join(units), odd)


def settings(
    cells: Iterable[Any], marks: Marks, may_miss: bool
) -> list[tuple[dict[str, Any], np.ndarray]]:
    """Changes of `marks`, as keys of [data], under which every cell of a column is read.

    Args:
        cells: All cells of the column.
        marks: How they are read now.
        may_miss: Whether a number of the column may be unknown.

    Returns:
        Keys and the values they give; none where nothing does, several where the cells
        can be read in several ways.
    """
    cells = [c.strip() if isinstance(c, str) else c for c in cells]
    _, bad = read_cells(cells, marks)
    told = (c if isinstance(c, str) else None for c in cells)  # not all others hash
    failing = dict.fromkeys(c for c, wrong in zip(told, bad, strict=True) if wrong)
    gone, units, accounting = [], set(), marks.accounting
    for cell in failing:
        if not isinstance(cell, str):
            return []
        if FORMULA.fullmatch(cell) or cell.casefold() in UNKNOWN:
            gone.append(cell)
            continue
        if (parts := _parts(cell)) is None:
            return []
        accounting |= parts.accounting
        units |= {parts.unit} - {"", *marks.strip}
    written = [c for c in cells if isinstance(c, str) and c not in (*MISSING, *gone)]
    if len(units) > 1 or any(map(_scaled, units)) or (gone and not may_miss):
        return []
    for unit in units:  # a currency may stand beside some numbers; 12% not beside 0.12
        money = any(unicodedata.category(c) == "Sc" for c in unit)
        if not money and not re.fullmatch(rf"{LETTERS}|{FULL}", unit):
            bare = [cell for cell in written if unit not in cell]
            if np.nan_to_num(read_cells(bare, marks)[0], nan=1.0).any():
                return []
    strip, missing = (*marks.strip, *units), (*marks.missing, *gone)
    new = marks._replace(strip=strip, accounting=accounting, missing=missing, said=True)
    keys: dict[str, Any] = {}
    if units:
        keys["strip"] = new.strip[0] if len(new.strip) == 1 else list(new.strip)
    if accounting != marks.accounting:
        keys["accounting"] = True
    if gone:
        keys["missing"] = list(new.missing)
    found: list[tuple[dict[str, Any], np.ndarray]] = []
    assumed = marks.decimal == "." and not marks.said
    now = (marks.decimal, marks.thousands)
    for decimal, thousands in dict.fromkeys([now, *PAIRS]):
        if not assumed and decimal != marks.decimal:
            continue
        if marks.thousands is not None and thousands != marks.thousands:
            continue
        trial = new._replace(decimal=decimal, thousands=thousands)
        values, wrong = read_cells(cells, trial)
        if wrong.any() or any(np.array_equal(values, v, equal_nan=True) for _, v in found):
            continue
        more = {}
        comma = any("," in cell for cell in written)
        if decimal != marks.decimal and (thousands != "." or comma):
            more["decimal"] = decimal
        if thousands != marks.thousands:
            more["thousands"] = thousands
        found.append((more | keys, values))
    return found


def _scaled(unit: str) -> bool:
    """Whether a text beside a number multiplies it: k, M, Mio, k€, lakh."""
    words = r"k|K|m|M|B|T|mn|bn|Mn|Bn|Mio\.?|Mrd\.?|Tsd\.?|million|thousand|lakh|crore|mil"
    return bool(re.fullmatch(rf"[^A-Za-z]*({words})([^A-Za-z]*|[A-Z]{{3}})", unit))


def dotted(cells: Iterable[Any]) -> tuple[str, bool] | None:
    """A cell such as 1.250, where points may stand between thousands.

    Every cell is a whole number below 1000 or has three digits after one point. Certain
    is what no program writes for decimals: numbers without any beside a zero at the end
    of three, or values that lie closer together as whole numbers.

    Returns:
        The cell and whether it is certain; None where points are decimals.
    """
    texts = [c.strip().lstrip("+-") for c in cells if isinstance(c, str) and c.strip()]
    points = [text for text in texts if THOUSAND.fullmatch(text)]
    whole = [text for text in texts if re.fullmatch("0|[1-9][0-9]{0,2}", text)]
    if not points or len(points) + len(whole) != len(texts):
        return None
    at_end = [text for text in points if text.endswith("0")]
    cell = (at_end or points)[0]
    beside = [float(text) for text in whole if text != "0"]
    if not beside:
        return cell, bool(at_end and whole and len(at_end) < len(points))
    read = np.log([float(text) for text in points])
    apart = [np.std([*np.log(beside), *(read + shift)]) for shift in (0.0, np.log(1e3))]
    return cell, bool(apart[1] < apart[0])


def advice(cell: Any, cells: Iterable[Any], column: str, field: str) -> str:
    """The likely remedy for a cell that no setting reads."""
    text = str(cell).strip()
    known = "a missing outcome is allowed and masked"
    if FORMULA.fullmatch(text):
        what = "a column too narrow to print" if text[1:2] == "#" else "error of a formula"
        if field == "outcome":
            return f"{what}, not a number: leave the cell empty: {known}"
        return f"{what}, not a number: correct it where it is from, or write the number"
    if text.casefold() in UNKNOWN or closest(text, ("missing", "unknown")):
        if field == "outcome":
            return f"leave the cell empty: {known}"
        return f"write 0 if nothing happened, else the number: {field} may not be missing"
    marked = text.casefold() == "x" and {str(c).strip() for c in cells} <= {text, "", "nan"}
    if YES_NO.fullmatch(text.casefold()) or marked:
        return "write 1 for yes and 0 for no"
    plain = unicodedata.normalize("NFKC", text)
    read = settings([plain], PLAIN, may_miss=False)
    if plain != text and len(read) == 1 and not re.search("[²³¹]", text):
        return f"write {show(read[0][1][0])} in the cell, in the digits 0 to 9"
    parts = _parts(text)
    if parts is None or re.search("[A-Za-z]{3}", parts.digits):
        if field == "controls":
            return (
                "turn categories into columns of 0 and 1, one for each (pandas: "
                f'df = pd.get_dummies(df, columns=["{column}"], dtype=float))'
            )
        return f'correct the cell, or name another column than "{column}"'
    if "%" in parts.unit:
        return (
            "write all cells of the column in one unit, as shares (12% is 0.12) or as "
            "numbers of per cent (12)"
        )
    if _scaled(parts.unit):
        return f'write the number in full: "{parts.unit}" multiplies it'
    others = {p.unit for c in cells if isinstance(c, str) and (p := _parts(c.strip()))}
    if len(others - {""}) > 1:
        names = ", ".join(sorted(others - {""})[:4])
        return f"bring the column to one unit: beside its numbers stand {names}"
    return "write all numbers of the column in one way, such as 1234.5 and -1234.5"
