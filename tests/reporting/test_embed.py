"""Charts inside a page: their words, their legends, their tables."""

import importlib.metadata
import json
from importlib import resources

import altair as alt
import numpy as np
import pandas as pd
import pytest

from mmmjax.plot import picture as p
from mmmjax.reporting.embed import Tables, as_json, embedded, numbers

NASTY = 'O\'Neil "x" [1] .a </script><img src=x onerror="alert(1)">'


def long():
    dates = pd.date_range("2023-01-02", periods=60, freq="7D")
    rng = np.random.default_rng(0)
    rows = [
        (geo, date, name, rng.lognormal(3, 4), i % 7 == 0)
        for geo in ("ALL", "north", "süd")
        for i, date in enumerate(dates)
        for name in (NASTY, "TV")
    ]
    table = pd.DataFrame(rows, columns=["geo", "date", "channel", "mean", "late"])
    table.loc[3, "mean"] = np.nan
    table.loc[5, "channel"] = None
    return table


def drawn(table):
    colours = p.colours_for([NASTY, "TV"], None)
    line = p.chart(table).mark_line()
    line = line.encode(x=p.dates(), y=p.grounded("mean"), color=p.by("channel", colours))
    words = ("Sales over time", "sales a week", "TV brought most")
    geos = ["ALL", "north", "süd"]
    return p.titled(p.layer(line), *words, hides="channel", date="date", geos=geos)


def test_words_leave_the_specification_and_controls_become_the_pages():
    figure = embedded("over_time", drawn(long()), Tables(), "Press a name.")
    assert (figure.title, figure.unit) == ("Sales over time", "sales a week")
    assert (figure.alt, figure.caption) == ("TV brought most", "Press a name.")
    left = {"title", "description", "config"} & set(figure.spec)
    assert not left
    assert list(figure.spec["datasets"].values()) == [None]  # whose rows the page has
    assert [key.label for key in figure.keys] == [NASTY, "TV"]
    assert figure.keys[0].colour == p.colours_for([NASTY], None)[NASTY]
    assert (figure.hides, figure.date) == ("channel", "date")
    (choice,) = figure.choices
    assert (choice.name, choice.options) == ("geo", ["ALL", "north", "süd"])
    assert choice.texts == ["all geos", "north", "süd"]
    assert "bind" not in json.dumps(figure.spec)
    assert figure.months == pytest.approx(59 * 7 / 30.4)


def test_a_table_comes_back_row_by_row():
    table, kept = long(), Tables()
    embedded("a", drawn(table), kept)
    (columns,) = kept.columns.values()
    rows = pd.DataFrame(columns)
    np.testing.assert_allclose(rows["mean"].astype(float), table["mean"], rtol=5e-6)
    for name in ("geo", "channel"):
        there = [[None if pd.isna(x) else x for x in t[name]] for t in (rows, table)]
        assert there[0] == there[1]
    assert (pd.to_datetime(rows["date"]) == table["date"]).all()
    assert rows["late"].tolist() == table["late"].tolist()


def test_charts_of_one_table_share_it():
    table, kept = long(), Tables()
    names = set()
    for name in ("a", "b"):
        spec = embedded(name, drawn(table), kept).spec
        names |= {spec.get("data", spec["layer"][0].get("data"))["name"]}
    assert names == set(kept.columns)
    assert len(names) == 1


def test_json_of_a_page_ends_no_script_and_holds_no_nan():
    kept = Tables()
    figure = embedded("a", drawn(long()), kept)
    text = as_json(kept.columns) + as_json(figure.spec)
    assert "</" not in text
    assert "NaN" not in text
    assert numbers([1.23456789, np.nan, np.inf, 12345678.0, 0.0]) == [
        1.23457, None, None, 12345700, 0,
    ]  # fmt: skip


def test_a_legend_that_hides_nothing_and_a_chart_without_one():
    table = pd.DataFrame({"x": [1.0, 2.0], "kind": ["own", "shrunk"]})
    base = p.chart(table).mark_point()
    shape = alt.Shape("kind:N", scale=alt.Scale(domain=["own"], range=["circle"]))
    figure = embedded("a", base.encode(x="x:Q", shape=shape), Tables())
    assert [(key.label, key.mark) for key in figure.keys] == [("own", "dot")]
    assert figure.hides == ""
    quiet = p.by("kind", {"own": "#000000"}, legend=False)
    assert embedded("b", base.encode(x="x:Q", color=quiet), Tables()).keys == []


def test_the_runtime_is_the_one_of_the_renderer():
    vl_convert = pytest.importorskip("vl_convert")
    if not importlib.metadata.version("vl-convert-python").startswith("1.9.0"):
        pytest.skip("vega.js is of vl-convert-python 1.9.0")
    kept = resources.files("mmmjax.reporting").joinpath("vega.js").read_text("utf-8")
    assert kept == vl_convert.javascript_bundle()


def test_tables_of_a_page_are_the_rows_that_altair_writes():
    """Dates, texts, flags, whole numbers, categories and what is not there."""
    table = long()
    table["number"] = np.arange(len(table))
    table["kind"] = pd.Categorical(np.where(table["late"], "late", "early"))
    table["mixed"] = pd.Series([1, "two", None, 2.5] * 90, dtype=object)
    drawn_ = p.chart(table).mark_point().encode(x="date", y="mean", color="kind")
    ((_, rows),) = drawn_.to_dict()["datasets"].items()
    kept = Tables()
    spec = embedded("a", p.titled(drawn_, "One"), kept).spec
    ((name, columns),) = kept.columns.items()
    assert list(spec["datasets"]) == [name]
    assert spec["encoding"]["x"]["type"] == "temporal"  # said by the table
    assert list(columns) == list(rows[0])
    for column, found in columns.items():
        told = [row[column] for row in rows]
        if column == "mean":
            told = numbers([np.nan if x is None else x for x in told])
        if column == "mixed":  # as texts
            told = [None if x is None else str(x) for x in told]
        assert found == told
