"""The report of a fleet: true to its tables, self-contained, small; and in a browser."""
# pyright: reportOptionalMemberAccess=false, reportCallIssue=false

import base64
import gzip
import json
import re

import numpy as np
import pandas as pd
import pytest

import mmmjax as mm
from mmmjax.checks import InputError
from mmmjax.words import amount, span
from tests.fleet.examples import NASTY, channels_of, fleet, table_of
from tests.reporting import examples
from tests.reporting.test_browser import Opened
from tests.reporting.test_html import VEGA, Page


def write(tmp_path, table, channels, **more):
    """The report of two tables, as text."""
    path = mm.fleet_report(table, channels, tmp_path / "fleet.html", **more)
    return path.read_text("utf-8")


@pytest.fixture(scope="module")
def both():
    return fleet(40)


@pytest.fixture(scope="module")
def path(both, tmp_path_factory):
    file = tmp_path_factory.mktemp("fleet") / "fleet.html"
    return mm.fleet_report(*both, file, outcome="sales", currency="EUR")


@pytest.fixture(scope="module")
def page(path):
    return Page(path.read_text("utf-8"))


def test_nothing_is_loaded_from_elsewhere_and_names_are_text(path, page):
    ours = path.read_text("utf-8").replace(VEGA, "")
    assert not re.search(r"https?:|@import|url\(|fetch\(|XMLHttp|<img", ours)
    for tag, attributes in page.tags:
        assert tag not in ("iframe", "object", "embed", "base", "img", "form")
        assert not any(name.startswith("on") for name in attributes)
        for name in ("src", "href"):
            assert attributes.get(name, "#").startswith(("data:", "#"))
    run = [script for attributes, script in page.scripts if "type" not in attributes]
    assert len(run) == 2
    (policy,) = [a["content"] for t, a in page.tags if t == "meta" and "http-equiv" in a]
    assert policy.count("'sha256-") == 2
    names = [a["id"] for _, a in page.tags if "id" in a]
    assert len(names) == len(set(names))


def test_the_numbers_are_those_of_the_tables(both, page):
    table, channels = both
    said, found = page.said(), mm.fleet_returns(channels, table)
    assert "37 of 40 markets can be used." in said
    assert "36 converged, 1 when fitted alone by NUTS." in said
    assert "1 failed, 1 refused, 1 not converged." in said
    for row in found.channels.to_dict("records"):
        assert amount(row["typical"]) in said
        assert span(row["typical"], row["new_lo"], row["new_hi"]) in said
    assert "because refused" in said
    assert NASTY in said
    (opened,) = [block for block in page.data() if "markets" in block]
    ranking = mm.fleet_ranking(table)
    assert len(opened["markets"]) == 40
    place = ranking.index[ranking.market == "market 03"][0]
    own = found.markets[found.markets.market == "market 03"].set_index("channel")
    _, _, rows = opened["markets"][place]
    assert [row[0] for row in rows] == ["TV", "Search", NASTY]
    for row in rows:
        cells = dict(zip(opened["heads"], row, strict=True))
        for head, name in (("ROAS", "roas"), ("ROAS given all markets", "shrunk")):
            three = [float(x) for x in cells[head].replace(" to ", "|").split("|")]
            wanted = own.loc[row[0], [f"{name}_{s}" for s in ("mean", "lo", "hi")]]
            np.testing.assert_allclose(three, wanted.astype(float), rtol=0.01, atol=0.006)
        assert cells["own weight"] == f"{own.loc[row[0], 'weight']:.0%}"
    assert opened["markets"][0] == ["because failed", ranking.next[0], []]


def test_with_a_value_of_the_outcome_returns_are_money_and_break_even_at_one(
    both, tmp_path
):
    table, channels = both
    value = np.where(table["status"] == "refused", np.nan, np.linspace(0.2, 0.6, 40))
    text = write(tmp_path, table.assign(outcome_value=value), channels, currency="EUR")
    page = Page(text)
    assert "ROAS" not in page.said()
    assert "EUR per EUR" in page.said()
    (opened,) = [block for block in page.data() if "markets" in block]
    assert opened["heads"][2:6] == [
        "return",
        "return given all markets",
        "own weight",
        "next return at past spend",
    ]
    usable = table["status"].isin(["converged", "refitted"])
    by_hand = channels.merge(pd.DataFrame({"market": table["market"], "value": value}))
    names = [f"roas_{end}" for end in ("mean", "lo", "hi")]
    by_hand[names] = by_hand[names].mul(by_hand["value"], axis=0)
    wanted = mm.fleet_returns(by_hand[by_hand["market"].isin(table["market"][usable])])
    found = mm.fleet_returns(channels, table.assign(outcome_value=value))
    pd.testing.assert_frame_equal(found.channels, wanted.channels)
    assert (found.in_money, wanted.in_money) == (True, False)
    assert "Dotted: 1, where spend breaks even." in page.said()
    half = table.assign(outcome_value=np.where(np.arange(40) == 3, np.nan, 0.4))
    assert not mm.fleet_returns(channels, half).in_money  # a usable market has none
    assert "ROAS" in Page(write(tmp_path, half, channels)).said()


def test_a_fleet_without_a_usable_market_has_a_report(tmp_path):
    table = table_of(["refused", "failed"])
    empty = channels_of([0.0], [0.1]).iloc[:0]
    said = Page(write(tmp_path, table, empty)).said()
    assert "0 of 2 markets can be used." in said
    assert "Channels over markets" not in said
    assert "Diagnostics" not in said
    timed = write(tmp_path, table.assign(seconds=[0.2, 0.4]), empty)
    assert "Diagnostics" in Page(timed).said()


def test_markets_whose_data_contradict_the_model_are_counted(both, tmp_path):
    table, channels = both
    judged = table.assign(adequate=table["status"].isin(["converged", "refitted"]))
    assert "Do the models fit their data?" not in Page(write(tmp_path, *both)).said()
    said = Page(write(tmp_path, judged.assign(finding=""), channels)).said()
    assert "Yes, as far as can be seen" in said
    judged.loc[[2, 5, 9], "adequate"] = False
    judged["finding"] = np.where(judged["adequate"], "", "the level breaks (12%)")
    said = Page(write(tmp_path, judged, channels)).said()
    assert "Not in 3 of 37" in said
    assert "Most often: the level breaks (3)" in said
    assert "3 not adequate" in said


def test_one_market_has_no_spread_between_markets(tmp_path):
    said = Page(write(tmp_path, table_of(["converged"]), channels_of([0.1], [0.2]))).said()
    assert "A fleet of 1 market " in said
    assert "Do returns differ" not in said
    assert "nan" not in said.lower()


def test_a_thousand_markets_stay_small(tmp_path):
    rng = np.random.default_rng(0)
    names = [f"market {i}" for i in range(1000)]
    channels = pd.concat(
        channels_of(rng.normal(size=1000), rng.uniform(0.1, 0.6, 1000), names, f"c{k}")
        for k in range(8)
    )
    text = write(tmp_path, table_of(["converged"] * 1000, market=names), channels)
    assert len(text.encode()) < 3_000_000
    packed = re.search(r'id="tables">(.*?)</script>', text, re.S).group(1)
    stored = json.loads(gzip.decompress(base64.b64decode(packed)))
    (forest,) = [t for t in stored.values() if {"rough", "market"} <= set(t)]
    table = pd.DataFrame(forest)
    own = channels[channels.channel == "c5"].sort_values("roas_mean", ascending=False)
    mine = table.loc[(table["channel"] == "c5") & table["kind"].str.contains("own")]
    drawn = mine.sort_values("place")["mean"].astype(float)
    np.testing.assert_allclose(drawn, own["roas_mean"], rtol=1e-4)


def test_requests_that_cannot_be_met_are_refused(both, tmp_path):
    with pytest.raises(mm.InputError, match="folder"):
        mm.fleet_report(*both, tmp_path / "missing" / "fleet.html")
    with pytest.raises(mm.InputError, match="no column crps"):
        write(tmp_path, both[0].drop(columns="crps"), both[1])
    with pytest.raises(mm.InputError, match="size"):
        write(tmp_path, *both, size={})
    assert list(tmp_path.iterdir()) == []


def test_in_a_browser_markets_sort_filter_and_open(browser, path, both):
    shown = Opened(browser, path, viewport={"width": 390, "height": 800})
    page = shown.page
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    shown.figure("forest").locator("button", has_text="Search").click()
    body = page.locator("#fleet > tbody > tr")
    first = lambda: body.first.locator(".open").inner_text()
    assert body.count() == 40
    assert first() == mm.fleet_ranking(both[0]).market[0]
    head = page.locator("#fleet .sort", has_text="R-hat")
    head.click()
    head.click()
    assert first() == both[0].market[both[0].r_hat.idxmax()]
    page.locator("#find").fill("MARKET 03")
    assert page.locator("#counted").inner_text() == "1 of 40 shown"
    only = page.locator("#fleet .open:visible")
    only.click()
    assert only.get_attribute("aria-expanded") == "true"
    more = page.locator("#fleet tr.more")
    assert more.locator("tbody tr").count() == 3
    assert more.locator("tbody td").first.is_visible()  # on a phone, too
    assert NASTY in more.inner_text()
    page.locator("#find").fill("")
    page.locator("#kind").select_option("refused")
    assert not more.is_visible()
    assert page.locator("#counted").inner_text() == "1 of 40 shown"
    name, rows = shown.saved(page.locator('[data-name="fleet"] [data-do="csv"]'))
    assert name == "fleet.csv"
    assert len(rows) == 41
    assert rows[0][-1] == "unit"
    assert rows[1][-1].startswith("crps: sales of a period")
    saved = shown.saved(page.locator('[data-name="spread"] [data-do="csv"]'))[1]
    assert saved[0][-1] == "unit"
    assert saved[1][-1].startswith("sales per EUR")
    assert (shown.asked, shown.errors, shown.dialogs) == ([shown.url], [], [])


@pytest.mark.parametrize("value", [None, 2.0])
def test_what_moved_since_the_last_fit_is_shown_market_by_market(both, tmp_path, value):
    table, channels = both
    names, said_as = [NASTY, "market 03"], "ROAS" if value is None else "Return"
    if value is not None:
        table = table.assign(outcome_value=value)
    drift = pd.concat([examples.drift().assign(market=name) for name in names])
    drift = drift.sort_values("in_sds", key=lambda x: -x.abs(), kind="stable")
    page = Page(write(tmp_path, table, channels, outcome="sales", drift=drift))
    said = page.said()
    part = said[said.index("Returns of the periods that both fits") :]
    assert "4 of 8 moved beyond three Monte Carlo errors, in 2 of 2 markets." in part
    old, new = (amount((value or 1.0) * x) for x in (1.5, 1.2))
    assert f"{said_as} of Search in market 03 moved from {old} to {new}, 3 of its" in part
    (shown,) = [
        x for x in page.data() if isinstance(x, dict) and "in_sds" in x.get("heads", ())
    ]
    rows = pd.DataFrame(shown["rows"], columns=shown["heads"])
    paid = (drift["quantity"] == "roas").to_numpy()
    times = np.where(paid, value or 1.0, 1.0)
    for name in ("old", "new", "moved", "error"):
        np.testing.assert_allclose(rows[name].astype(float), drift[name] * times, rtol=1e-9)
    assert "What moved" not in Page(write(tmp_path, table, channels)).said()


def test_a_drift_without_markets_is_refused(both, tmp_path):
    with pytest.raises(InputError, match="drift: got no column market"):
        write(tmp_path, *both, drift=examples.drift())
