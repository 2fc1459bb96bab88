"""How a table is written: separator, encoding, lines above the header, marks of numbers.

Nothing is guessed in silence. A file that is not plain (cells between commas, points for
decimals, UTF-8, the header first) is refused with what it is and the lines of [data] that
read it; with these lines it is read.
"""

import codecs
import csv
import json
import re
import unicodedata
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, NamedTuple

from mmmjax.checks import Phrase, closest, fail, integer, listing, show
from mmmjax.panel.days import check_format
from mmmjax.panel.numbers import FULL, Marks

__all__ = [
    "BLANK",
    "CELLS",
    "KEYS",
    "Dialect",
    "Found",
    "decoded",
    "lines",
    "matched",
    "recognise",
]

SEPARATORS = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "pipes"}
THOUSANDS = (",", ".", " ", "'")
COMMENTS = ("#", "//", "%", "--")
BLANK = ' \t\r\n,;|"'  # of a line without any cell
LOOKED = 60  # lines in which a header is looked for
NO_UNIT = r"[\d,()+-]|(?<![^\W\d_])(?<!/)\."  # the point of Rs. and S/. is part of it
OLDER = ("windows-1252", "latin-1", "cp1250", "cp1251", "cp1253", "cp1254", "shift_jis")
OLDER = (*OLDER, "gb18030", "big5", "euc-kr", "mac-roman", "cp850")
BOMS = {
    "utf-32": (codecs.BOM_UTF32_LE, codecs.BOM_UTF32_BE),
    "utf-16": (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE),
}


def lines(keys: Mapping[str, Any], join: str = " and ") -> str:
    """Settings as lines of TOML: `separator = ";" and decimal = ","`."""

    def text(value: Any) -> str:
        if isinstance(value, Mapping):
            pairs = (
                f"{json.dumps(k, ensure_ascii=False)} = {text(v)}" for k, v in value.items()
            )
            return f"{{ {', '.join(pairs)} }}"
        return json.dumps(value, ensure_ascii=False)

    return join.join(f"{key} = {text(value)}" for key, value in keys.items())


@dataclass(frozen=True)
class Dialect:
    """How a table is written; every field is a key of [data].

    Args:
        separator: One character between cells; None: a comma.
        encoding: Of the text, such as "utf-16"; None: UTF-8.
        skip_rows: Lines above the header.
        comment: Lines that start with this text are left out.
        sheet: Name or number (from 1) of the sheet of a workbook.
        decimal: Mark before decimals, "." or ","; or {column: mark}.
        thousands: Mark between groups of digits, ",", ".", " " or "'"; or {column: mark}.
        strip: Texts beside numbers to take off, such as "EUR".
        accounting: Read (5), 5- and a long minus sign before 5 as -5.
        missing: Texts that stand for an unknown number.
        date_format: How the column of dates is written, such as "%d/%m/%Y", or "%G-W%V"
            for the Mondays of weeks; None: it is found.
    """

    separator: str | None = None
    encoding: str | None = None
    skip_rows: int | None = None
    comment: str | None = None
    sheet: str | int | None = None
    decimal: str | Mapping[str, str] | None = None
    thousands: str | Mapping[str, str] | None = None
    strip: str | Sequence[str] | None = None
    accounting: bool | None = None
    missing: str | Sequence[str] | None = None
    date_format: str | None = None

    def __post_init__(self) -> None:
        """Check every value."""
        _one_mark("separator", self.separator, None, 'separator = ";"')
        if self.encoding is not None:
            try:
                codecs.lookup(self.encoding)
                "a".encode(self.encoding)
            except (LookupError, TypeError, ValueError):
                allowed = 'the name of an encoding, such as "utf-16" or "windows-1252"'
                fail("encoding", self.encoding, "", allowed, 'encoding = "windows-1252"')
        if self.skip_rows is not None:
            integer("skip_rows", self.skip_rows, low=0, high=10**6, fix="skip_rows = 2")
        if self.comment is not None and (
            not isinstance(self.comment, str) or not self.comment.strip()
        ):
            fail("comment", self.comment, "", "text that starts a line", 'comment = "#"')
        if self.sheet is not None and (
            isinstance(self.sheet, bool) or not isinstance(self.sheet, (str, int))
        ):
            fail("sheet", self.sheet, "", "a name or a number from 1", 'sheet = "Data"')
        for key, allowed in (("decimal", (".", ",")), ("thousands", THOUSANDS)):
            value = getattr(self, key)
            for mark in value.values() if isinstance(value, Mapping) else [value]:
                _one_mark(key, mark, allowed, f'{key} = ","')
        for key, example in (("strip", '"EUR"'), ("missing", '["n/a", "-"]')):
            texts = getattr(self, key)
            texts = [texts] if isinstance(texts, str) else texts
            if texts is None:
                continue
            if not isinstance(texts, (list, tuple)) or not all(
                isinstance(text, str) and text.strip() for text in texts
            ):
                fail(key, getattr(self, key), "", "a text or texts", f"{key} = {example}")
            bad = [t for t in texts if re.search(NO_UNIT, t) and not re.fullmatch(FULL, t)]
            if key == "strip" and bad:
                allowed = "units and currencies, without digits, points, commas or signs"
                fail(key, bad[0], "", allowed, "accounting = true reads signs of offices")
            object.__setattr__(self, key, tuple(text.strip() for text in texts))
        check_format(self.date_format)
        if self.accounting is not None and not isinstance(self.accounting, bool):
            fail("accounting", self.accounting, "", "true or false", "accounting = true")
        for column in self.columns() or [""]:
            marks = self.marks(column)
            if marks.decimal == marks.thousands:
                got = Phrase(f"{show(marks.thousands)} as thousands and decimal")
                fail("thousands", got, "", "two marks that differ", "leave one of them out")

    def columns(self) -> list[str]:
        """Columns that have marks of their own."""
        own = (m for m in (self.decimal, self.thousands) if isinstance(m, Mapping))
        return list(dict.fromkeys(str(column) for marks in own for column in marks))

    def marks(self, column: str) -> Marks:
        """How the numbers of a column are written."""
        decimal, thousands = (
            value.get(column) if isinstance(value, Mapping) else value
            for value in (self.decimal, self.thousands)
        )
        usual, missing = "," if thousands == "." else ".", tuple(self.missing or ())
        beside = (tuple(self.strip or ()), bool(self.accounting), missing)
        return Marks(decimal or usual, thousands, *beside, said=decimal is not None)

    def given(self, names: Collection[str] | None = None) -> dict[str, Any]:
        """The keys that are not left out, all or those of `names`."""
        keys = {f.name: getattr(self, f.name) for f in fields(self)}
        keys = {k: list(v) if isinstance(v, tuple) else v for k, v in keys.items()}
        return {k: v for k, v in keys.items() if v is not None and k in (names or KEYS)}

    @property
    def of_numbers(self) -> dict[str, Any]:
        """The keys about numbers that are given."""
        return self.given(NUMBERS)


KEYS = tuple(f.name for f in fields(Dialect))
CELLS = KEYS[5:]
"""Keys about cells: they count for any table with columns of text."""
NUMBERS = CELLS[:-1]
"""Those of them about numbers."""


def _one_mark(key: str, value: Any, allowed: Collection[str] | None, fix: str) -> None:
    one = isinstance(value, str) and len(value) == 1 and value not in '"\r\n'
    if value is None or (one and (allowed is None or value in allowed)):
        return
    near = closest(value, SEPARATORS.values())
    if key == "separator" and near is not None:
        mark = next(mark for mark, name in SEPARATORS.items() if name == near)
        fix = lines({"separator": mark})
    fail(key, value, "", listing(allowed, 9, "or") if allowed else "one character", fix)


class Found(NamedTuple):
    """What a file is that was not said: in words, and as keys of [data]."""

    what: list[str]
    keys: dict[str, Any]


def plain(name: str) -> str:
    """A name with single blanks and accents in one form, as two spellings of it have it."""
    return " ".join(unicodedata.normalize("NFC", name).split())


def matched(header: Sequence[Any], wanted: Collection[str]) -> list[str]:
    """Names of columns; one that is asked for in another spelling (`plain`) as it is asked.

    Such spellings are blanks around and inside a name, no-break ones and line breaks too.
    """
    have, spelled = [str(cell) for cell in header], {plain(name): name for name in wanted}
    count = Counter(map(plain, have))
    other = lambda name: name not in wanted and count[plain(name)] == 1
    return [spelled.get(plain(n), n) if other(n) else n for n in have]


def decoded(
    content: bytes, encoding: str | None, found: Found, wanted: Collection[str] = ()
) -> str:
    """The text of a file; what it takes to read it is added to `found`."""
    for name, marks in BOMS.items() if encoding is None else ():
        if content.startswith(marks):
            encoding = found.keys["encoding"] = name
            found.what.append(f"{name.upper()} text")
            break
    if encoding is None and b"\0" in content[:1000]:
        start = content[: len(content[:1000]) // 2 * 2]
        encoding = (
            "utf-16-le" if start[1::2].count(0) > start[::2].count(0) else "utf-16-be"
        )
        found.keys["encoding"] = encoding
        found.what.append(f"{encoding.upper()} text")
    try:
        text = content.decode(encoding or "utf-8-sig").removeprefix("\ufeff")
    except (UnicodeDecodeError, UnicodeError) as error:
        if encoding is not None:
            allowed = f"text in {encoding}"
            fix = "leave encoding out, and a message will name the likely one"
            got = Phrase(f"bytes that are none ({error.args[-1]})")
            fail("encoding", got, "", allowed, fix)
        place = error.start if isinstance(error, UnicodeDecodeError) else 0
        name, text = _older(content, [w for w in wanted if not w.isascii()])
        line = content.count(b"\n", 0, place) + 1
        word = content[:place].decode(name, "replace").split("\n")[-1][-20:]
        word = re.split("[,;\t|]", word)[-1] + content[place : place + 20].decode(
            name, "replace"
        )
        word = re.split("[,;\t|\r\n]", word)[0].strip()
        found.keys["encoding"] = name
        found.what.append(
            f'text that is no UTF-8 (line {line}, "{word}" in {name.title()})'
        )
    if "\0" in text:
        got = Phrase(
            f"a NUL character in line {text[: text.index(chr(0))].count(chr(10)) + 1}"
        )
        fail("path", got, "", "a table of text", "export it again as CSV")
    return text


def _older(content: bytes, names: Collection[str]) -> tuple[str, str]:
    """The encoding of a file that is no UTF-8, and its text: the one that has the names."""
    first = None
    for name in OLDER:
        try:
            text = content.decode(name)
        except UnicodeDecodeError:
            continue
        first = first or (name, text)
        if all(unicodedata.normalize("NFC", one) in text for one in names):
            return name, text
    return first or ("latin-1", content.decode("latin-1"))


def cells_of(line: str, separator: str) -> list[str]:
    """The cells of one line."""
    try:
        return next(csv.reader([line], delimiter=separator), [])
    except csv.Error:
        return line.split(separator)


def recognise(
    text: str, dialect: Dialect, wanted: Collection[str], found: Found
) -> tuple[str, int]:
    """Find the header; what it takes to read it is added to `found`.

    Args:
        text: The file.
        dialect: What was said of it.
        wanted: Columns that the header should have.
        found: What is known so far.

    Returns:
        Separator and lines above the header.
    """
    rows = re.split("\r\n|\n|\r", text[: 1 << 20])[: LOOKED + (dialect.skip_rows or 0)]
    for i, row in enumerate(rows):  # a name with a line break between quotation marks
        if row.count('"') % 2:
            longer = ("\n".join(rows[i : i + many]) for many in range(2, 7))
            whole = next((text for text in longer if text.count('"') % 2 == 0), row)
            more = whole.count("\n")
            rows[i : i + more + 1] = [whole, *[""] * more]
    said, skip = dialect.separator or ",", dialect.skip_rows or 0
    mark = dialect.comment
    whole = [i for i, row in enumerate(rows) if row.strip(BLANK)]
    real = [i for i in whole if not (mark and rows[i].startswith(mark))]
    current = next((i for i in real if i >= skip), None)
    if current is None:
        return said, skip
    wanted = set(map(plain, wanted))

    def score(i: int, separator: str) -> int:
        return len(wanted & set(map(plain, cells_of(rows[i], separator))))

    separator, header = said, current
    best = score(current, said)
    if best < len(wanted) or not wanted:
        tries = [(i, s) for s in dict.fromkeys([said, *SEPARATORS]) for i in real]
        top = max(tries, key=lambda pair: score(*pair), default=(current, said))
        if score(*top) > max(best, 0):
            header, separator = top
        elif best == 0 and (alike := _alike(rows, real, current, said)):
            header, separator = alike
    if separator != said:
        found.keys["separator"] = separator
        found.what.append(f"{SEPARATORS.get(separator, show(separator))} between cells")
    if header != current:
        _above(rows, current, header, skip, found)
    rest = [i for i in real if i > header and rows[i].startswith(COMMENTS)]
    width = len(cells_of(rows[header], separator))
    rest = [i for i in rest if len(cells_of(rows[i], separator)) != width]
    if rest and "comment" not in found.keys and mark is None:
        found.keys["comment"] = next(m for m in COMMENTS if rows[rest[0]].startswith(m))
        found.what.append(f"a comment in line {rest[0] + 1}")
    return separator, found.keys.get("skip_rows", skip)


def _above(rows: list[str], current: int, header: int, skip: int, found: Found) -> None:
    """Say what stands above the header."""
    above = [row for row in rows[min(skip, header) : header] if row.strip(BLANK)]
    marks = [m for m in COMMENTS if above and all(row.startswith(m) for row in above)]
    if marks and header > current:
        found.keys["comment"] = marks[0]
        count = f"{len(above)} comment lines" if len(above) > 1 else "a comment line"
        found.what.append(f'{count} ("{above[0][:30]}")')
        return
    found.keys["skip_rows"] = header
    hint = [row for row in above if re.fullmatch('"?sep=.?"?', row.strip(), re.IGNORECASE)]
    if hint:
        found.what.append(f'a first line "{hint[0].strip()}", a hint for spreadsheets')
    titles = len(above) - len(hint)
    if titles > 0:
        first = next(row for row in above if row not in hint)
        count = f"{titles} title lines" if titles > 1 else "a title line"
        found.what.append(f'{count} above the header ("{first.strip()[:40]}")')
    if header < current:
        found.what.append(f"its header in line {header + 1}")


def _alike(
    rows: list[str], real: list[int], current: int, said: str
) -> tuple[int, str] | None:
    """Header and separator by the shape of the lines, where no column is known by name."""
    last = [rows[i] for i in real[-40:]]
    if len(cells_of(rows[current], said)) > 1:
        return None
    for mark in (";", "\t", "|", ","):
        counts = [len(cells_of(row, mark)) for row in last]
        usual = max(set(counts), key=counts.count)
        if usual > 1 and counts.count(usual) >= 0.8 * len(counts):
            first = next(i for i in real if len(cells_of(rows[i], mark)) == usual)
            return first, mark
    return None
