"""Every figure of a report: a valid chart, true to its tables, with the same colours."""
# pyright: reportOptionalMemberAccess=false, reportArgumentType=false, reportAttributeAccessIssue=false

import json
from dataclasses import replace

import altair as alt
import numpy as np
import pandas as pd
import pytest

from mmmjax.plot.colours import channel_colours
from mmmjax.reporting import rows, sentences
from mmmjax.reporting.embed import Tables
from mmmjax.reporting.figures import figures
from mmmjax.standing import covered
from mmmjax.words import for_geo
from tests.reporting import examples
from tests.reporting.examples import CHANNELS, NASTY

ALL_OF_THEM = {
    "contributions", "decomposition", "returns", "bubbles", "periods", "timing", "curves",
    "sweep", "lags", "fitted", "residuals", "convergence", "contraction", "allocation",
    "backtest_scores", "backtest_forecasts", "stability",
}  # fmt: skip


@pytest.fixture(scope="module")
def found():
    return examples.evidence()


@pytest.fixture(scope="module")
def page(found):
    tables = Tables()
    return figures(found, tables), tables


@pytest.fixture(scope="module")
def drawn(page):
    return page[0]


def names_of(part):
    """Tables that a specification draws."""
    if isinstance(part, dict):
        own = part.get("data")
        if isinstance(own, dict) and "name" in own:
            yield own["name"]
        part = part.values()
    if not isinstance(part, str) and np.iterable(part):
        for inner in part:
            yield from names_of(inner)


def shown(page, name):
    """The rows of the first table of a figure, as the page has them."""
    return pd.DataFrame(page[1].columns[next(names_of(page[0][name].spec))])


def test_every_figure_is_drawn(drawn):
    assert set(drawn) == ALL_OF_THEM


@pytest.mark.parametrize("name", sorted(ALL_OF_THEM))
def test_figures_are_valid_charts_with_words_and_tables_of_the_page(page, name):
    one, tables = page[0][name], page[1].columns
    alt.Chart.from_dict({**one.spec, "datasets": {}})  # raises where it is none
    assert one.title
    assert one.alt
    assert len(one.alt) > len(one.title) or one.alt != one.title
    assert set(names_of(one.spec)) <= set(tables)
    assert list(one.spec["datasets"]) == [*dict.fromkeys(names_of(one.spec))]
    assert "NaN" not in json.dumps(one.spec)
    assert all(choice.options and choice.texts for choice in one.choices)


def test_a_channel_has_one_colour_in_all_figures(drawn):
    for name, colour in channel_colours(CHANNELS).items():
        for one in drawn.values():
            keys = [key.colour for key in one.keys if key.label == name]
            assert set(keys) <= {colour}, one.name
        assert any(key.label == name for key in drawn["contributions"].keys)


def test_what_can_be_hidden_is_in_the_legend_and_in_the_table(page):
    drawn = page[0]
    for name in ("contributions", "sweep", "backtest_scores", "fitted"):
        assert drawn[name].hides, name
        there = set(shown(page, name).get(drawn[name].hides, []))
        labels = {key.label for key in drawn[name].keys}
        assert not there or labels & there, name


def test_contributions_are_those_of_weekly_and_the_outcome_that_of_fitted(found, page):
    table = shown(page, "contributions")
    whole = table.loc[table["geo"] == "ALL"]
    rows = for_geo(found.weekly, None).set_index("component")["mean"]
    rest = rows["baseline"].to_numpy() + rows["seasonality"].to_numpy()
    drawn = {
        name: part["mean"].to_numpy(float) for name, part in whole.groupby("component")
    }
    np.testing.assert_allclose(drawn["without media"], rest, rtol=1e-5)
    for name in CHANNELS:
        np.testing.assert_allclose(drawn[name], rows[name], rtol=1e-5)
    seen = for_geo(found.fitted, None)
    np.testing.assert_allclose(drawn["observed"], seen["observed"], rtol=1e-5)


def test_geos_can_be_chosen_in_every_figure_of_a_table_with_geos(drawn):
    apart = {"convergence", "contraction", "lags", "backtest_scores", "stability"}
    for name in ALL_OF_THEM - apart:
        choices = {choice.name: choice for choice in drawn[name].choices}
        assert list(choices["geo"].options) == ["ALL", "north", "süd"], name
        assert list(choices["geo"].texts) == ["all geos", "north", "süd"], name


def test_one_geo_has_nothing_to_choose():
    bare = examples.evidence(("national",), more=None, forecast=None, plan=None, truth={})
    drawn = figures(bare, Tables())
    assert set(drawn) == {
        "contributions", "returns", "bubbles", "fitted", "residuals", "convergence",
    }  # fmt: skip
    assert all(not one.choices for one in drawn.values())


def test_windows_and_measures_are_chosen(drawn):
    texts = [list(choice.texts) for choice in drawn["periods"].choices]
    assert sorted(texts[0]) == ["by quarter", "by year"]
    assert len(drawn["sweep"].choices) == 2


def test_curves_show_today_as_the_mean_period(found, page):
    table, panel = shown(page, "curves"), found.fit.panel
    today = table.loc[(table["part"] == 3) & (table["geo"] == "ALL")].set_index("channel")
    spend = panel.spend[:, panel.history :, 0]
    count = np.maximum(panel.present[:, panel.history :].sum(axis=1), 1)
    wanted = (np.nansum(spend, axis=1) / count).sum()
    assert float(today.loc[NASTY, "level"]) == pytest.approx(wanted, rel=1e-4)


def test_a_return_below_one_is_explained_only_where_there_is_one(found, drawn):
    words = "Below 1 a unit of money brings less than one unit of sales."
    assert drawn["returns"].caption.endswith("the number is the mean.")
    low = found.channels.assign(mroas_mean=found.channels["mroas_mean"] - 0.2)
    less = figures(examples.evidence(channels=low), Tables())
    assert less["returns"].caption.endswith(words)


def test_returns_are_money_with_a_line_at_one_where_the_outcome_has_a_value(found, page):
    panel = replace(found.fit.panel, outcome_value=0.5)
    paid = replace(found, fit=replace(found.fit, panel=panel))
    assert found.returned.per == "sales per US$"
    assert paid.returned.per == "US$ per US$"
    tables = Tables()
    money = figures(paid, tables)
    for name in ("returns", "bubbles"):
        assert "ROAS" not in json.dumps(money[name].spec) + money[name].unit
        assert "ROAS" in json.dumps(page[0][name].spec) + page[0][name].unit
        assert "break" in money[name].caption
    before, after = (shown(x, "returns") for x in (page, (money, tables)))
    number = lambda table: table["mean"].astype(float).max()
    assert number(after) == pytest.approx(0.5 * number(before), rel=1e-4)
    before, after = (rows.channels(x) for x in (found, paid))
    assert before.heads[1:3] == ["ROAS", "mROAS at past spend"]
    assert after.heads[1:3] == ["return", "next return at past spend"]
    assert float(after.rows[0][1].main) == pytest.approx(
        0.5 * float(before.rows[0][1].main), rel=0.02
    )
    pd.testing.assert_frame_equal(after.frame, before.frame)  # files stay in outcome
    said = " ".join(tile.text + tile.answer for tile in sentences.tiles(paid))
    assert "US$ per US$" in said
    assert "sales per US$" not in said
    assert "Above 1 it earns more than it costs." in said


def test_no_share_is_minus_zero(found):
    table = found.table("decomposition")
    small = table["share_mean"].where(table["component"] != "seasonality", -1e-5)
    table = table.assign(share_mean=small, share_lo=-2e-5, share_hi=3e-4)
    tables = Tables()
    one = figures(examples.evidence(more={"decomposition": table}), tables)
    assert "-0.0%" not in json.dumps([tables.columns, one["decomposition"].alt])
    same = found.plan.table.assign(optimized=99.999)
    cells = rows.plan(found, found.plan._replace(table=same)).rows
    assert [row[3].main for row in cells] == ["+0.0%", "+0.0%"]
    assert rows.written(-1e-5, 3) == "0.000"
    assert rows.each("{:+z.0%}")({"better": [-1e-5]}, "better")[0].main == "+0%"


def test_a_year_that_is_covered_in_part_says_so():
    days = pd.date_range("2021-12-01", "2022-12-31", freq="7D")
    assert rows.year_heads(days, ["2021", "2022"]) == ["2021 (part)", "2022"]


def test_the_residuals_say_how_many_lie_inside(found, drawn):
    both = pd.concat([for_geo(found.fitted, None), for_geo(found.forecast, None)])
    both = both.loc[both["observed"].notna()]
    share = both["observed"].between(both["lo"], both["hi"]).mean()
    said = drawn["residuals"].caption
    assert f"{share:.0%} of {len(both)} {found.period}s (" in said
    assert f" inside the 94% interval, {covered(share, len(both))}; those" in said


def test_the_backtest_is_that_of_its_tables(found):
    table = rows.tables(found)["backtest"]
    assert [cell.main for cell in table.rows[0]] == [
        "1", "8 Mar 2022 to 1 Jun 2022", "9", "11", "17", "+18%", "+47%", "7.0%", "0.50",
        "90%", "usable",
    ]  # fmt: skip
