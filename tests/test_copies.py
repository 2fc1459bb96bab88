# pyright: reportArgumentType=false, reportOptionalSubscript=false, reportAttributeAccessIssue=false
"""Tables that are counted several times: by their numbers, whatever they are called."""

import re
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from mmmjax.checks import InputError
from mmmjax.cli import case as cases
from mmmjax.exploration import copies_across, warnings
from mmmjax.panel import Panel

CASES = Path(__file__).parent / "cases"
NAMES = {
    "date": "date",
    "outcome": "sales",
    "media": ["tv", "search"],
    "controls": ["price"],
    "geo": "geo",
}


def table(geos=5, periods=70, seed=0, digits=2):
    """Geos of several sizes, rounded as tables are."""
    rng = np.random.default_rng(seed)
    parts = []
    for g in range(geos):
        tv, search = (g + 1) * rng.gamma([[1], [2]], [[50], [30]], (2, periods))
        base = (g + 1) * (500 + 100 * np.sin(np.arange(periods) / 8))
        sales = base + 2 * tv + search + (g + 1) * rng.normal(0, 40, periods)
        numbers = {"sales": sales, "tv": tv, "search": search}
        rounded = {name: np.round(x, digits) for name, x in numbers.items()}
        dates = pd.date_range("2022-01-03", periods=periods, freq="W-MON")
        price = rng.normal(5, 1, periods)
        parts.append(
            pd.DataFrame({"date": dates, "geo": f"g{g}", **rounded, "price": price})
        )
    return pd.concat(parts, ignore_index=True)


def total(df, name, geos=None):
    part = df if geos is None else df[df.geo.isin(geos)]
    whole = part.groupby("date", as_index=False)[["sales", "tv", "search"]].sum()
    return whole.assign(geo=name, price=np.arange(len(whole)) % 3.0)


def found(df, **names):
    """Findings by code."""
    return {f.code: f for f in warnings(Panel.from_frame(df, **(NAMES | names)))}


CODES = {"same_geos", "total_geo", "geo_spelling", "copied_media", "copied_channels",
         "outcome_copied"}  # fmt: skip


def test_ordinary_tables_raise_none():
    rng = np.random.default_rng(1)
    for seed in range(40):
        size = int(rng.integers(1, 12)), int(rng.integers(12, 120))
        df = table(*size, seed, int(rng.integers(-2, 3)))
        assert not CODES & found(df).keys(), (seed, size)


# --- a row a channel -----------------------------------------------------------------


def long(kind):
    """A table with a row a channel, the true wide one, and how it is asked for."""
    rng = np.random.default_rng(5)
    df = table(2 if kind == "geos" else 1, 30)
    ask = {k: v for k, v in NAMES.items() if k != "geo"} | {"media": ["cost"]}
    if kind == "geos":
        ask["geo"] = "geo"
    long = df.melt(["date", "geo", "sales", "price"], ["tv", "search"], "kind", "cost")
    if kind == "numbered":
        long["kind"] = long.kind.map({"tv": 1, "search": 2})
    if kind == "campaigns":  # several rows a channel, all with the outcome
        half = long.assign(cost=long.cost / 4, name="a")
        long = pd.concat([half, half.assign(cost=3 * half.cost, name="b")])
    if kind == "first":  # the outcome in the first row of a date only
        long = long.sort_values("date", kind="stable")
        long.loc[long.date.duplicated(), "sales"] = np.nan
    if kind == "zeros":
        long = long.sort_values("date", kind="stable")
        long.loc[long.date.duplicated(), "sales"] = 0.0
    if kind == "two":
        long["clicks"] = rng.integers(1, 50, len(long)) * 1.0
        ask |= {"media": {"ads": "clicks"}, "spend": {"ads": "cost"}}
    return long.sample(frac=1, random_state=1).reset_index(drop=True), df, ask


KINDS = ["plain", "geos", "campaigns", "first", "zeros", "numbered", "two"]


@pytest.mark.parametrize("kind", KINDS)
def test_a_row_a_channel_is_turned_as_the_message_says(kind):
    df, truth, ask = long(kind)
    with pytest.raises(InputError) as error:
        Panel.from_frame(df, **ask)
    message = str(error.value)
    same = "stands in one row" if kind in ("first", "zeros") else "is the same in all rows"
    assert f'"sales" {same} of a date' in message
    assert '"kind" seems to name channels' in message
    assert "geo = " not in message
    assert "add them up" not in message
    scope = {"df": df}
    exec(re.search(r"pandas: (.*)\. Then", message)[1], scope)
    label = {"numbered": {"tv": "1", "search": "2"}}.get(kind, {})
    columns = {c: f"{label.get(c, c)} cost" for c in ("tv", "search")}
    wide = Panel.from_frame(scope["wide"], **(ask | {"media": columns, "spend": None}))
    keys = {"geo": "geo"} if kind == "geos" else {}
    right = {k: v for k, v in NAMES.items() if k != "geo"} | keys
    true = Panel.from_frame(truth, **right)
    np.testing.assert_allclose(wide.media, true.media, rtol=1e-12)
    np.testing.assert_array_equal(wide.outcome, true.outcome)
    np.testing.assert_array_equal(wide.controls, true.controls)


@pytest.mark.parametrize("label, value", [("metric", "amount"), ("name", "value")])
def test_a_row_a_measure_is_turned_as_the_message_says(label, value):
    truth = table(1, 30)[["date", "sales", "tv", "search"]]
    df = truth.melt("date", ["sales", "tv", "search"], label, value)
    with pytest.raises(InputError, match="seems to name measures") as error:
        Panel.from_frame(df, date="date", outcome=value, media=[])
    assert "geo" not in str(error.value)
    scope = {"df": df}
    exec(re.search(r"pandas: (.*)\), and name", str(error.value))[1], scope)
    ask = {"date": "date", "outcome": "sales", "media": ["tv", "search"]}
    wide, true = (Panel.from_frame(one, **ask) for one in (scope["df"], truth))
    assert wide.data_hash() == true.data_hash()


def test_the_case_of_a_row_a_channel():
    with pytest.raises(InputError, match=r"seems to name channels") as error:
        cases.read(CASES / "long_by_channel/case.toml")
    assert "geo =" not in str(error.value)
    case = cases.read(CASES / "long_by_channel/as_advised.toml")
    (same,) = [f for f in warnings(case.train) if f.code == "same_geos"]
    assert (same.level, same.value) == ("serious", 4)
    assert "make each of them a column" in same.remedy


def test_media_in_use_are_not_taken_for_geos():
    df = pd.DataFrame({"date": np.repeat(pd.date_range("2023-01-01", periods=20), 2)})
    df = df.assign(sales=np.arange(40.0), tv=np.arange(40) % 7)
    with pytest.raises(InputError, match="delete the one too many"):
        Panel.from_frame(df, date="date", outcome="sales", media=["tv"])


# --- geos ----------------------------------------------------------------------------


def test_geos_with_one_outcome():
    df = table()
    twin = df[df.geo == "g2"].assign(geo="copy", tv=1.0 + df.search)
    near = twin.assign(geo="late fix")
    near.loc[near.index[3], "sales"] *= 1.2
    one = found(pd.concat([df, twin, near]))["same_geos"]
    assert (one.level, one.where, one.value) == ("serious", ("g2", "copy", "late fix"), 3)
    late = pd.concat([df, twin[twin.date > "2022-06-01"]])
    assert found(late)["same_geos"].where == ("g2", "copy")


def test_one_outcome_that_was_divided_by_population():
    df = table()
    share = df[df.geo == "g4"].assign(geo="small", sales=lambda d: (0.3 * d.sales).round())
    one = found(pd.concat([df, share]))["same_geos"]
    assert one.where == ("g4", "small")
    assert "in one proportion" in one.what


def test_a_total_is_found_by_its_numbers():
    df = table()
    whole = total(df, "Zone 9")
    one = found(pd.concat([df, whole]))["total_geo"]
    assert (one.level, one.where) == ("serious", ("Zone 9",))
    assert "and so are its media" in one.what
    assert 'Leave the rows of "Zone 9" out' in one.remedy
    assert not CODES & found(df).keys()  # the remedy
    rounded = whole.assign(sales=whole.sales.round(-1), tv=0.5 + whole.search)
    one = found(pd.concat([df, rounded]))["total_geo"]
    assert "media" not in one.what
    counts = df.assign(sales=np.random.default_rng(3).poisson(2, len(df)))
    assert "total_geo" in found(pd.concat([counts, total(counts, "x")]))


def test_totals_of_some_and_totals_of_totals():
    df = table(7)
    parts = [total(df, "N", ["g0", "g3", "g5"]), total(df, "S", ["g1", "g2"])]
    panel = Panel.from_frame(pd.concat([df, *parts, total(df, "T")]), **NAMES)
    told = [f for f in warnings(panel) if f.code == "total_geo"]
    assert {f.where[0] for f in told} == {"N", "S", "T"}
    one = found(pd.concat([df, parts[1]]))["total_geo"]
    assert one.what.startswith('geo "S" is the sum of "g1" and "g2"')


def test_a_total_over_markets_that_opened_late():
    df = table()
    df = df[(df.geo != "g1") | (df.date > "2022-09-01")]
    assert found(pd.concat([df, total(df, "EU")]))["total_geo"].where == ("EU",)


def test_a_mean_over_the_others_is_no_market():
    df = table()
    mean = total(df, "average").assign(sales=lambda d: (d.sales / 5).round(1))
    one = found(pd.concat([df, mean]))["total_geo"]
    assert one.what.startswith('geo "average" is 0.2 times the sum of "g0"')
    assert one.where == ("average",)


def test_one_geo_under_two_names():
    df = table()
    df.loc[(df.geo == "g1") & (df.date > "2022-09-01"), "geo"] = "G 1"
    one = found(df)["geo_spelling"]
    assert set(one.where) == {"g1", "G 1"}


# --- columns -------------------------------------------------------------------------


def test_media_that_stand_in_all_geos():
    df = table()
    df["tv"] = np.tile(df.tv[df.geo == "g0"], 5)
    one = found(df)["copied_media"]
    assert (one.level, one.where, one.value) == ("warning", ("tv",), 5)
    assert 'national = ["tv"] under [data]' in one.remedy
    assert "copied_media" not in found(df, national=["tv"])
    people = df.geo.str[1].astype(int) + 1
    divided = df.assign(tv=df.tv * people / 15)
    assert "copied_media" not in found(divided)  # the remedy
    grp = divided.assign(grp=df.tv)  # points a head are the same, money is divided
    media = {"media": {"tv": "grp", "search": "search"}}
    paid = {"spend": {"tv": "tv", "search": "search"}}
    assert "copied_media" not in found(grp, **media, **paid)
    some = df[(df.geo != "g3") | (df.date > "2022-06-01")].copy()
    some.loc[some.geo == "g2", "tv"] = 3 + some.search
    one = found(some)["copied_media"]
    assert (one.value, "divide it over the geos" in one.remedy) == (4, True)


def test_the_case_of_copied_media(tmp_path):
    case = cases.read(CASES / "media_copied/case.toml")
    (one,) = [f for f in warnings(case.train) if f.code == "copied_media"]
    assert (one.where, one.value) == (("TV",), 2)
    line = one.remedy.removeprefix("Then write ").removesuffix(" under [data]")
    text = (CASES / "media_copied/case.toml").read_text()
    (tmp_path / "case.toml").write_text(f"{text}\n{line}\n")
    shutil.copy(CASES / "media_copied/d.csv", tmp_path)
    told = cases.read(tmp_path / "case.toml")
    assert "copied_media" not in {f.code for f in warnings(told.train)}
    paid = pd.read_csv(CASES / "media_copied/d.csv").groupby("week").tv.first()
    tv, search = told.panel.spend.sum((0, 1))
    assert tv == pytest.approx(paid.sum(), rel=1e-12)  # what was paid, once
    assert search == pytest.approx(case.panel.spend[..., 1].sum())  # as it was
    assert case.panel.spend[..., 0].sum() == pytest.approx(2 * tv)


def test_channels_that_repeat_or_add_up_others():
    df = table(2)
    df = df.assign(digital=df.tv + df.search, again=df.tv.round(1), other=df.tv + df.price)
    one = found(df, media=["tv", "search", "digital"])["copied_channels"]
    assert (one.level, one.where) == ("serious", ("digital",))
    assert '"digital" is the sum of "tv" and "search"' in one.what
    assert found(df, media=["tv", "again"])["copied_channels"].where == ("again",)
    assert "copied_channels" not in found(df, media=["tv", "search", "other"])
    one = found(df, controls=["digital", "again"])["copied_channels"]
    assert one.where == ("digital", "again")
    clicks = {"tv": "other", "search": "price"}
    money = {"tv": "tv", "search": "again"}
    one = found(df.assign(price=df.price + 9), media=clicks, controls=[], spend=money)
    assert "the spend of" in one["copied_channels"].what


def test_columns_that_are_the_outcome():
    df = table(2)
    df = df.assign(leads=3 * df.sales + 7, twin=df.sales, near=df.sales + df.price)
    one = found(df, media=["tv", "twin"], controls=["leads"])["outcome_copied"]
    assert (one.level, set(one.where)) == ("serious", {"twin", "leads"})
    assert found(df, controls=["near", "price"])["outcome_copied"].where == ("near",)


# -- markets of a fleet --------------------------------------------------------------------


def markets(df, **names):
    """A panel a market."""
    named = {k: v for k, v in NAMES.items() if k != "geo"} | names
    parts = df.groupby("geo", sort=False)
    return {str(name): Panel.from_frame(part, **named) for name, part in parts}


def across(df):
    """Code, market and number of others of each finding."""
    return {(f.code, f.where, f.value) for f in copies_across(markets(df))}


def test_ordinary_markets_are_no_copies():
    for seed in range(10):
        assert not across(table(geos=8, seed=seed))
    assert not copies_across(markets(table(geos=1)))


def test_markets_that_add_up_others_or_repeat_one_are_found_by_their_numbers():
    df = table()
    of = lambda name: df[df.geo == name]
    assert across(pd.concat([df, total(df, "St. Total")])) == {
        ("total_market", ("St. Total",), 5)
    }
    assert across(pd.concat([df, total(df, "DACH", ["g1", "g3"])])) == {
        ("total_market", ("DACH",), 2)
    }
    assert across(pd.concat([df, of("g1").assign(geo="copy")])) == {
        ("same_markets", ("g1", "copy"), 2)
    }
    usd = of("g1").assign(geo="usd", sales=1.08 * of("g1").sales)
    assert across(pd.concat([df, usd])) == {("same_markets", ("g1", "usd"), 2)}


def test_markets_that_opened_late_or_lack_a_channel_are_compared_where_they_can_be():
    df = table()
    late = pd.concat([df[(df.geo != "g4") | (df.date > "2022-06-01")]])
    found = copies_across(
        markets(pd.concat([late, total(late, "all")]), media=["tv"])
        | {"other": markets(table(geos=1, seed=9), media=["search"])["g0"]}
    )
    assert [(f.code, f.where) for f in found] == [("total_market", ("all",))]
    monthly = df.groupby(["geo", df.date.dt.to_period("M").dt.start_time])
    summed = monthly[["sales", "tv", "search"]].sum().reset_index().assign(price=1.0)
    both = markets(df) | {
        f"{name} a month": panel for name, panel in markets(summed, controls=[]).items()
    }
    assert not copies_across(both)  # of another length of period: not compared
