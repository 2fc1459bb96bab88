"""Numbers as text: three digits at any size, in tables, cards and on the screen."""

import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from mmmjax.cli import show
from mmmjax.cli.app import run
from mmmjax.panel import Panel
from mmmjax.words import amount, amounts, estimate, in_percent, span
from tests.tables import NAMES, weekly

CASE = Path(__file__).parent / "cases/small_returns"


def digits(text):
    """Significant digits of a number as it is written."""
    shown = re.sub(r"e.*$", "", text.strip("%-").replace(",", "")).replace(".", "")
    return len(shown.lstrip("0"))


@pytest.mark.parametrize("power", range(-14, 12))
@pytest.mark.parametrize("lead", [1.004, 2.13, 9.996, -4.51])
def test_three_digits_at_any_size(power, lead):
    x = lead * 10.0**power
    text = amount(x)
    assert digits(text) >= 3
    assert float(text.replace(",", "")) == pytest.approx(x, rel=6e-3)
    mean, lo, hi = estimate(x, x - abs(x) / 3, x + abs(x) / 3)
    assert digits(mean) >= 3
    assert len({lo, mean, hi}) == 3
    share = in_percent(x)
    if abs(x) > 1e-8:  # one decimal at most, below 0.1% two digits
        near = pytest.approx(100 * x, rel=6e-2, abs=0.06 * (abs(x) > 9e-4))
        assert float(share.strip("%").replace(",", "")) == near
        assert abs(x) < 9e-4 or len(share.strip("%").partition(".")[2]) <= 1
    assert len(set(span(x, 0.7 * x, 1.3 * x).split(" to "))) == 2


def test_a_column_of_all_sizes_keeps_each_apart():
    column = [2.31, 0.000213, 1.2e-8, 0.0, 41.0, 1_234.5, np.nan, -0.0031]
    text = amounts(column)
    assert text[:2] == ["2.31", "0.000213"]
    assert text[3] in ("0", "0.00", "0.000")
    assert text[6] == ""
    assert text[7] == "-0.00310"
    assert amounts([1.0, 1.0, 2e-13]) == ["1.00", "1.00", "0.00"]  # of rounding only


def test_an_interval_has_the_digits_of_its_mean():
    assert estimate(0.000213, 0.00018, 0.00025) == ("0.000213", "0.000180", "0.000250")
    assert estimate(2.31, -0.0004, 4.0) == ("2.31", "0.00", "4.00")
    assert estimate(1e-9, -0.5, 0.5) == ("0.0000", "-0.5000", "0.5000")
    assert estimate(0.0, 0.0, 0.0) == ("0.00", "0.00", "0.00")


@pytest.mark.parametrize("size", [1e-9, 2e-4, 1.0, 3e7])
def test_the_channels_on_the_screen_can_be_told_apart(size, capsys, monkeypatch):
    monkeypatch.setattr(show.out, "width", 160)
    rows = []
    for channel, x in (("TV", 1.02), ("Search", 1.98)):
        row = {"geo": "ALL", "channel": channel, "spend": 5e4 / size}
        for name, times in (("share", 1e-4), ("roas", size), ("mroas", size / 2)):
            row |= {
                f"{name}_{e}": times * x * f
                for e, f in (("mean", 1), ("lo", 0.7), ("hi", 1.3))
            }
        rows.append(row)
    panel = Panel.from_frame(weekly(20), **NAMES, currency="USD")
    show.channels(pd.DataFrame(rows), panel)
    lines = [line for line in capsys.readouterr().out.splitlines() if "[" in line]
    numbers = [re.findall(r"(\S+) \[(\S+), (\S+)\]", line) for line in lines]
    assert [len(n) for n in numbers] == [3, 3]
    for one, other in zip(*numbers, strict=True):
        assert not set(one) & set(other)
        assert digits(one[0]) >= 3


@pytest.mark.slow
def test_the_case_of_small_returns(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(show.out, "width", 160)
    assert run(["fit", str(CASE / "case.toml"), "--out", str(tmp_path), "--no-report"]) in (
        0,
        2,
    )
    lines = [line for line in capsys.readouterr().out.splitlines() if " [" in line]
    for name in ("TV", "Search"):
        (line,) = [line for line in lines if line.split()[0] == name]
        cells = re.findall(r"(\S+) \[(\S+), (\S+)\]", line)
        assert len(cells) == 3
        assert all(digits(cell[0]) >= 3 for cell in cells)
        assert all(float(cell[2]) > 0 for cell in cells)
