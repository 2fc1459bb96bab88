"""Late and early data: said with the line that leaves them out, and then no more."""

import re
import tomllib

import numpy as np
import pandas as pd
import pytest

from mmmjax.checks import InputError
from mmmjax.cli import case as cases
from mmmjax.exploration import ends, warnings
from mmmjax.panel import Panel
from tests.tables import NAMES, weekly

CASE = (
    'path = "t.csv"\ndate = "date"\noutcome = "sales"\nmedia = ["tv", "radio"]\n'
    'controls = ["promo"]\n'
)


def series(rng, weeks=104):
    """Ordinary sales of one of many kinds."""
    t = np.arange(weeks)
    season = 1 + rng.uniform(0, 0.5) * np.sin(2 * np.pi * t / 52 + rng.uniform(0, 6))
    level = 100 * season * np.exp(rng.uniform(-0.006, 0.006) * t)
    kind = rng.integers(5)
    if kind == 0:
        return rng.poisson(rng.uniform(0.3, 6), weeks) * 1.0
    if kind == 1:
        return rng.poisson(level) * 1.0
    if kind == 2:  # Christmas and Easter
        level = level * np.where(t % 52 == 50, 2.5, 1) * np.where(t % 52 == 14, 0.7, 1)
    if kind == 3:  # a step
        level = level * np.where(t > rng.integers(weeks), rng.choice([0.5, 2]), 1)
    return level * rng.lognormal(0, rng.uniform(0.02, 0.6), weeks)


def table(sales, seed=0):
    df = weekly(len(sales), seed=seed)
    return df.assign(sales=sales)


def said(df, **names):
    return ends(Panel.from_frame(df, **(NAMES | names)))


def followed(finding, tmp_path, df, more=""):
    """The panel of a case file with the line that the finding proposes."""
    df.to_csv(tmp_path / "t.csv", index=False)
    line = re.search(r"(leave_empty = .*) under \[data\]", finding.remedy)[1]
    (tmp_path / "c.toml").write_text(f"[data]\n{CASE}{more}{line}\n")
    return cases.read(tmp_path / "c.toml").panel


def test_ordinary_outcomes_raise_nothing():
    rng = np.random.default_rng(0)
    false = 0
    for i in range(400):
        y = series(rng, int(rng.integers(30, 160)))
        false += bool(said(table(y + (y.max() == 0), i)))
    assert false <= 16  # about 2% expected


def test_a_last_period_that_is_not_complete_is_found():
    rng = np.random.default_rng(1)
    hits = 0
    for i in range(40):
        y = 100 * rng.lognormal(0, 0.1, 80) * (1 + 0.2 * np.sin(np.arange(80) / 8))
        y[-1] *= 3 / 7
        found = said(table(y, i))
        hits += [f.code for f in found] == ["late"] and found[0].value == 1
    assert hits >= 36


ENDS = {
    "late": (slice(-3, None), 0.0, "serious", "sales is 0 at the end"),
    "one": (slice(-1, None), 0.0, "serious", "sales is 0 at the end"),
    "falling": (slice(-2, None), [30.0, 9.0], "warning", "the last sales falls far below"),
    "early": (slice(0, 25), 0.0, "serious", "sales is 0 at the start"),
    "first": (slice(0, 1), 20.0, "warning", "the first sales is far below"),
}


@pytest.mark.parametrize("kind", ENDS)
def test_what_is_proposed_leaves_it_out(kind, tmp_path):
    where, value, level, words = ENDS[kind]
    y = 100 + 10 * np.random.default_rng(2).normal(size=90)
    y[where] = value
    df = table(y)
    (found,) = said(df)
    assert (found.level, found.code) == (
        level,
        {"early": "early", "first": "early"}.get(kind, "late"),
    )
    assert found.what.startswith(words)
    assert found in warnings(Panel.from_frame(df, **NAMES))
    panel = followed(found, tmp_path, df)
    assert ends(panel) == []
    right = df.assign(sales=df.sales.mask(np.isin(np.arange(90), np.arange(90)[where])))
    true = Panel.from_frame(right, **NAMES)
    np.testing.assert_array_equal(panel.outcome, true.outcome)
    assert panel.history == true.history == {"early": 25, "first": 1}.get(kind, 0)


def test_a_market_that_opened_late_and_had_no_media_before(tmp_path):
    df = table(100 + 10 * np.random.default_rng(3).normal(size=150))
    df.loc[:59, ["sales", "tv", "radio"]] = 0.0
    (found,) = said(df)
    assert "no media ran at the start: 2023-01-01 to 2024-02-18" in found.what
    assert "many times too strong" in found.means
    panel = followed(found, tmp_path, df)
    assert (panel.history, panel.n_periods) == (60, 90)
    same = Panel.from_frame(df, **NAMES, leave_empty="ends")
    assert same.data_hash() == panel.data_hash()


def test_negative_outcomes_are_no_zeros():
    y = 100 + 10 * np.random.default_rng(3).normal(size=60)
    y[[0, -1]] = -5.0  # returned goods
    assert said(table(y)) == []
    panel = Panel.from_frame(table(y), **NAMES, leave_empty="ends")
    assert np.isfinite(panel.outcome).all()


def test_geos_are_named_and_left_out_one_by_one(tmp_path):
    df = weekly(60, geos=["North", "South"])
    df.loc[(df.geo == "South") & (df.date < "2023-04-01"), "sales"] = 0.0
    df.loc[(df.geo == "North") & (df.date > "2024-02-01"), "sales"] = 0.0
    found = said(df, geo="geo")
    assert {f.where for f in found} == {("South",), ("North",)}
    for one in found:
        panel = followed(one, tmp_path, df, 'geo = "geo"\n')
        assert len(ends(panel)) == 1
    ours = Panel.from_frame(df, **NAMES, geo="geo", leave_empty={"South": "ends"})
    assert np.isnan(ours.outcome).sum() == 13
    assert np.isnan(ours.outcome[ours.geos.index("South")]).sum() == 13


def test_spend_that_is_not_booked_yet():
    df = table(100 + 10 * np.random.default_rng(4).normal(size=80))
    df[["tv", "radio"]] += 5
    df.loc[75:, ["tv", "radio"]] = 0.0
    (found,) = said(df)
    assert (found.level, found.what.split(":")[0]) == (
        "warning", "spend of all channels is 0 at the end",
    )  # fmt: skip
    on = (df.index % 4 == 1)[:, None]  # flighted: three weeks without are usual
    df[["tv", "radio"]] = np.where(on, 5.0 + df[["tv", "radio"]], 0.0)
    assert said(df) == []


def test_the_end_of_training_is_not_the_end_of_the_table():
    df = table(np.r_[np.full(80, 100.0) + np.arange(80) % 7, np.full(8, 101.0)])
    df.loc[71, "sales"] = 30.0
    panel = Panel.from_frame(df, **NAMES)
    train, test = panel.split(df.date[71])
    assert "late" in {f.code for f in warnings(train)}
    assert "late" not in {f.code for f in warnings(train, test)}


DATES = [
    ("2023-02-05", 1), (["2023-02-05"], 1), (["2023-02-05:2023-02-19", "2023-03-05"], 4),
    ([pd.Timestamp("2023-02-05").date()], 1), ("2023-02-19:2023-02-05", 3), ([], 0),
]  # fmt: skip


@pytest.mark.parametrize("given, count", DATES)
def test_periods_that_are_named_are_left_out(given, count):
    panel = Panel.from_frame(weekly(20), **NAMES, leave_empty=given)
    assert np.isnan(panel.outcome).sum() == count


def test_dates_are_read_as_the_column_is():
    df = weekly(60).assign(date=lambda d: d.date.dt.strftime("%d/%m/%Y"))
    panel = Panel.from_frame(df, **NAMES, leave_empty=["05/02/2023"])
    assert panel.dates[np.isnan(panel.outcome[0])][0] == pd.Timestamp("2023-02-05")


@pytest.mark.parametrize(
    "given, words",
    [
        ("2029-01-01", "periods of the table, such as 2023-05-14"),
        ({"Nord": "ends"}, "geos of the table"),
        ("end", 'Fix: leave_empty = "ends"'),
        (["2023-01-01:2023-02-01:2023-03-01"], '"ends", dates, "first:last"'),
        (True, "a date such as"),
        ([7], "a date such as"),
    ],
)
def test_what_names_no_period_is_refused(given, words):
    with pytest.raises(InputError, match=re.escape(words)) as error:
        Panel.from_frame(weekly(20), **NAMES, leave_empty=given)
    assert str(error.value).startswith("leave_empty: got ")


def test_a_line_of_the_case_file_is_read(tmp_path):
    weekly(30).to_csv(tmp_path / "t.csv", index=False)
    lines = 'leave_empty = ["2023-01-01:2023-01-15"]\ntrain_until = "2023-06-04"\n'
    (tmp_path / "c.toml").write_text(f"[data]\n{CASE}{lines}")
    assert tomllib.loads(lines)["leave_empty"] == ["2023-01-01:2023-01-15"]
    case = cases.read(tmp_path / "c.toml")
    assert (case.train.history, len(case.train.dates)) == (3, 23)
