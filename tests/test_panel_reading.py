"""Strangers' tables: what a message proposes is followed, and must give what was meant."""

import re
import tomllib
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from mmmjax.checks import InputError
from mmmjax.panel import Panel
from tests.tables import NAMES, weekly

CASES = Path(__file__).parent / "cases"
WEEKS = 12
TRUTH = np.round(weekly(WEEKS)[["sales", "tv", "radio", "promo"]].to_numpy() * 37, 2)
TRUTH[:, 3] = np.arange(WEEKS) % 2


def proposals(message):
    """The settings that a message proposes, one dict for each `write ... under [data]`."""
    parts = message.partition("Fix: ")[2].split(" under [data]")[:-1]
    found = [re.split(r"\b(?:write|or) ", part)[-1] for part in parts]
    return [tomllib.loads(text.replace(" and ", "\n")) for text in found]


def followed(path, most=4, **names):
    """Read a file, doing what each message says; the panel and all that was added."""
    added = {}
    for _ in range(most):
        try:
            return Panel.from_file(path, **(NAMES | names | added)), added
        except InputError as error:
            (keys,) = proposals(str(error))
            added |= keys
    raise AssertionError(added)


def table(texts=None, separator=",", truth=TRUTH):
    """The text of a file; `texts` are the cells of columns, those of the truth else."""
    columns = ["sales", "tv", "radio", "promo"]
    cells = {c: [f"{x:.15g}" for x in truth[:, i]] for i, c in enumerate(columns)}
    cells |= texts or {}
    dates = pd.date_range("2023-01-01", periods=len(truth), freq="W").strftime("%Y-%m-%d")
    rows = [dates, *(cells[c] for c in columns)]
    lines = [separator.join(row) for row in zip(*rows, strict=True)]
    return "\n".join([separator.join(["date", *columns]), *lines, ""])


def numbers(panel):
    """Outcome, media and controls as the columns of the truth."""
    parts = (panel.outcome[0][:, None], panel.media[0], panel.controls[0])
    return np.concatenate(parts, axis=1)


# --- numbers as people write them ----------------------------------------------------

GROUPED = [f"{x:,.2f}" for x in TRUTH[:, 0] * 1000]
SWISS = [text.replace(",", "'") for text in GROUPED]
GERMAN = [text.translate(str.maketrans(",.", ".,")) for text in GROUPED]


MEANT = {
    -412.3: ["(412.30)", "\u2212412.30", "\u2013412.30", "412.30-", "- 412.3", "-$412.3"],
    -5.0: ["\uff0d5", "$-5", "($5)", "€5-", "(5 EUR)"],
    -1412.3: ["(1,412.30)", "1,412.30-", "-1,412.30 USD"],
    1200.5: ["£1,200.50", "1200.50 €", "1200.50\u00a0€", "EUR 1200.50", "1,200.50 EUR"],
    1234567.0: ["1,234,567", "12,34,567", "1 234 567", "1\u00a0234\u00a0567", "1.234567e6"],
    1234567.5: ["1\u202f234\u202f567.5", "1'234'567.5", "1\u2019234\u2019567.5"],
    500.0: [
        "Rs.500",
        "Rs. 500.00",
        "500.-",
        "500,\u2013",
        "500.\u2014",
        "500,--",
        "Fr. 500",
    ],
    12.0: ["+12", "\uff11\uff12", "12."],
}
CELLS = [(written, meant) for meant, cells in MEANT.items() for written in cells]
PLAIN = ("+12", "12.", "1.234567e6", "- 412.3")


@pytest.mark.parametrize("written, meant", CELLS)
def test_one_cell_written_otherwise(tmp_path, written, meant):
    texts = [f"{x:.15g}" for x in TRUTH[:, 0]]
    texts[4] = f'"{written}"'
    (tmp_path / "t.csv").write_text(table({"sales": texts}), encoding="utf-8")
    truth = TRUTH.copy()
    truth[4, 0] = meant
    try:
        panel, _ = followed(tmp_path / "t.csv")
        np.testing.assert_array_equal(numbers(panel), truth)
    except ValueError:  # no setting is proposed: the other remedy is the one
        assert written == "\uff11\uff12"
    # the other remedy, which needs no setting
    try:
        Panel.from_file(tmp_path / "t.csv", **NAMES)
        assert written in PLAIN
    except InputError as error:
        (edit,) = re.findall(r"write (\S+) in the cell", str(error))
        texts[4] = edit
    (tmp_path / "t.csv").write_text(table({"sales": texts}), encoding="utf-8")
    panel = Panel.from_file(tmp_path / "t.csv", **NAMES)
    np.testing.assert_array_equal(numbers(panel), truth)


COMMAS = [f"{x:.2f}".replace(".", ",") for x in TRUTH[:, 0]]
COLUMNS = [
    (GROUPED, 1000, {"thousands": ","}),
    (SWISS, 1000, {"thousands": "'"}),
    ([text.replace(",", "\u202f") for text in GROUPED], 1000, {"thousands": " "}),
    (GERMAN, 1000, {"decimal": {"sales": ","}, "thousands": {"sales": "."}}),
    ([f"{text} €" for text in GERMAN], 1000, None),
    (COMMAS, 1, {"decimal": {"sales": ","}}),
    ([f"CHF {text}" for text in SWISS], 1000, {"thousands": "'", "strip": "CHF"}),
    ([f"{x:.4f}%" for x in TRUTH[:, 0]], 1, {"strip": "%"}),
    ([f"Rs.{x}" for x in GROUPED], 1000, {"thousands": ",", "strip": "Rs."}),
    ([f"{text[:-3]}.-" for text in SWISS], 1000, {"thousands": "'", "strip": ".-"}),
]


@pytest.mark.parametrize("texts, factor, settings", COLUMNS)
def test_a_column_written_otherwise(tmp_path, texts, factor, settings):
    quoted = [f'"{text}"' for text in texts]
    (tmp_path / "t.csv").write_text(table({"sales": quoted}), encoding="utf-8")
    panel, added = followed(tmp_path / "t.csv")
    truth = TRUTH * [factor, 1, 1, 1]
    np.testing.assert_allclose(numbers(panel), truth, rtol=1e-12, atol=0.51 * (factor > 1))
    assert settings is None or added == settings


def test_decimal_commas_are_judged_over_the_whole_column(tmp_path):
    texts = ['"1,234"'] * WEEKS
    (tmp_path / "t.csv").write_text(table({"sales": texts}))
    with pytest.raises(InputError, match=r"which may be 1\.234 or 1234") as error:
        Panel.from_file(tmp_path / "t.csv", **NAMES)
    for keys in proposals(str(error.value)):
        panel = Panel.from_file(tmp_path / "t.csv", **NAMES, **keys)
        assert panel.outcome[0, 0] == (1.234 if "decimal" in keys else 1234)
    texts[3] = '"1,23"'
    (tmp_path / "t.csv").write_text(table({"sales": texts}))
    panel, _ = followed(tmp_path / "t.csv")
    np.testing.assert_array_equal(panel.outcome[0, [0, 3]], [1.234, 1.23])


ERRORS = ["#DIV/0!", "#N/A", "#VALUE!", "#REF!", "#NAME?", "#NUM!", "#NULL!", "#####"]


@pytest.mark.parametrize(
    "cell", [*ERRORS, "#BEZUG!", "#NV", "n/a", "N.A.", "-", "\u2014", "NaN", "unknown"]
)
def test_what_is_no_number_is_missing_and_never_zero(tmp_path, cell):
    texts = [f"{x:.15g}" for x in TRUTH[:, 0]]
    texts[4] = cell
    (tmp_path / "t.csv").write_text(table({"sales": texts}), encoding="utf-8")
    panel, _ = followed(tmp_path / "t.csv")
    assert np.isnan(panel.outcome[0, 4])
    assert panel.mask.sum() == WEEKS - 1
    (tmp_path / "t.csv").write_text(table({"tv": texts}), encoding="utf-8")
    with pytest.raises(InputError, match=r"media: got (?!.*fillna\(0\).*replace)"):
        Panel.from_file(tmp_path / "t.csv", **NAMES, missing=[cell])


@pytest.mark.parametrize(
    "cell, advice",
    [
        ("12k", 'write the number in full: "k" multiplies it'),
        ("1.5 M", 'write the number in full: "M" multiplies it'),
        ("3 Mio.", "write the number in full"),
        ("1,2,3", "in one way, such as 1234.5"),
        ("1.2.3", "in one way, such as 1234.5"),
        ("(-5)", "in one way, such as 1234.5 and -1234.5"),
        ("yes", "write 1 for yes and 0 for no"),
        ("nein", "write 1 for yes and 0 for no"),
        ("VRAI", "write 1 for yes and 0 for no"),
    ],
)
def test_what_could_be_several_numbers_is_not_guessed(tmp_path, cell, advice):
    texts = [f"{x:.15g}" for x in TRUTH[:, 3]]
    texts[4] = f'"{cell}"'
    (tmp_path / "t.csv").write_text(table({"promo": texts}))
    with pytest.raises(InputError, match=re.escape(advice)):
        Panel.from_file(tmp_path / "t.csv", **NAMES)
