"""The report as a file: whole, self-contained, escaped, true to its tables."""
# pyright: reportOptionalMemberAccess=false

import base64
import hashlib
import html
import itertools
import json
import re
from html.parser import HTMLParser
from importlib import resources

import numpy as np
import pandas as pd
import pytest

import mmmjax as mm
from mmmjax.checks import InputError
from mmmjax.criticism import prior_returns
from mmmjax.findings import Finding
from mmmjax.model import model_data
from mmmjax.reporting.evidence import Interval, Media
from mmmjax.reporting.html import render
from mmmjax.words import amount, amounts, for_geo, in_percent, large
from tests.reporting import examples
from tests.reporting.examples import NASTY

LIMIT = 6_000_000  # bytes of the largest report


class Page(HTMLParser):
    """Tags with their attributes, scripts, and the text that a reader sees."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.text, self.open, self.scripts = [], [], [], []
        self.feed(text)
        assert not self.open, f"not closed: {self.open}"

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in ("meta", "link", "img", "source", "input"):
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if "script" in self.open:
            self.scripts.append((self.tags[-1][1], data))
        elif "style" not in self.open:
            self.text.append(" ".join(data.split()))

    def said(self):
        return " ".join(filter(None, self.text))

    def data(self):
        """Content of the data blocks."""
        return [json.loads(s) for a, s in self.scripts if "json" in a.get("type", "")]


VEGA = resources.files("mmmjax.reporting").joinpath("vega.js").read_text("utf-8")


@pytest.fixture(scope="module")
def found():
    return examples.evidence()


@pytest.fixture(scope="module")
def text(found):
    return render(found).decode()


@pytest.fixture(scope="module")
def page(text):
    return Page(text)


def test_nothing_is_loaded_from_elsewhere(text, page):
    for tag, attributes in page.tags:
        assert tag not in ("iframe", "object", "embed", "base", "img", "form")
        for name in ("src", "srcset", "href", "data", "poster", "action"):
            value = attributes.get(name)
            assert value is None or value.startswith(("data:", "#")), (tag, value[:60])
        assert not any(name.startswith("on") for name in attributes)
    ours = text.replace(VEGA, "")
    assert not re.search(r"https?:|@import|url\(|fetch\(|XMLHttp", ours)


def test_the_policy_allows_the_two_scripts_of_the_page_and_no_network(page):
    (policy,) = [a["content"] for t, a in page.tags if t == "meta" and "http-equiv" in a]
    rules = dict(rule.strip().split(" ", 1) for rule in policy.split(";"))
    assert rules["default-src"] == "'none'"
    assert rules["img-src"] == "data: blob:"
    assert "unsafe" not in rules["script-src"]
    run = [script for attributes, script in page.scripts if "type" not in attributes]
    digests = [hashlib.sha256(script.encode()).digest() for script in run]
    hashes = [f"'sha256-{base64.b64encode(d).decode()}'" for d in digests]
    assert rules["script-src"].split() == hashes
    assert len(run) == 2


def test_names_of_the_user_are_text_not_markup(text, page):
    assert NASTY in page.said()
    assert "<img" not in text.replace(VEGA, "")
    assert not any(tag == "img" for tag, _ in page.tags)


def test_the_page_is_small_enough_and_whole(text):
    assert len(text.encode()) < LIMIT
    assert text.rstrip().endswith("</html>")


def test_the_first_screen_answers_the_manager(found, page):
    said = page.said()
    header = said[: said.index("What brought sales")]
    assert "Media brought 18% of sales (94% interval 5.0% to 30%)" in header
    assert f"{large(found.media.total.mean)} sales in 30 weeks" in header
    assert "Which channel pays best?" in header
    assert "What to do? Do not act on it yet" in header
    assert "5.0% more of what paid media bring" in header
    assert "(5 sales, 94% interval -1.00 to 11.00; " in header
    assert "better than the reference with probability 93%" in header
    assert "Off by 12%" in header
    assert "Did the computation work? No" in header
    assert "What these words mean" in header
    assert "94% interval the range that holds the answer with 94% probability" in header
    assert "What did the data teach? Little about 1 of 2 channels" in header
    assert "Paid media brought 15%, organic media 2.5%." in header
    assert "What did one US$ of paid media bring?" in header
    assert "of 1 channels" in header  # the truth


def test_tables_show_the_numbers_of_the_files(found, page):
    said = page.said()
    for geo in ("ALL", "süd"):
        rows = found.channels[found.channels["geo"] == geo]
        assert all(text in said for text in amounts(rows["spend"]) if text)
        texts = amounts(rows[["roas_mean", "roas_lo", "roas_hi"]].to_numpy())
        assert all(text in said for text in texts if text)
        assert all(in_percent(share) in said for share in rows["share_mean"])
    for row in found.parameters.to_dict("records"):
        assert f"{row['mean']:.3f}" in said
    assert amount(found.scores["crps_test"]) in said
    assert "A channel without spend (organic) has no return." in said
    assert "paid media 2 1.00 to 3.00 1.10 15% 4.0% to 27%" in said
    assert "organic media 2.5% 1.0% to 3.0%" in said
    assert "all media" not in said
    data = model_data(found.fit.spec, found.fit.panel, found.fit.scale)
    before = prior_returns(found.fit.spec, found.fit.panel, data)
    assert before["channel"].iloc[-1] == "ALL"
    texts = amounts(before[["roas_median", "roas_lo", "roas_hi"]].to_numpy())
    assert all(text in said for text in texts if text)
    assert all(in_percent(share) in said for share in before["share_hi"])
    assert "2 geos" in said
    assert "no limit" in said


def test_the_buttons_have_the_exact_numbers(found, page):
    tables = [block for block in page.data() if set(block) == {"heads", "rows"}]
    (channels,) = [t for t in tables if t["heads"][:2] == ["geo", "channel"]
                   and "share_lo" in t["heads"] and len(t["rows"]) == 3]  # fmt: skip
    table = pd.DataFrame(channels["rows"], columns=channels["heads"])
    wanted = for_geo(found.channels, None).reset_index(drop=True)
    names = wanted.select_dtypes("number").columns
    np.testing.assert_allclose(table[names].astype(float), wanted[names], rtol=1e-9)


def test_the_record_is_exact(found, text, page):
    said = page.said()
    assert found.fit.panel.data_hash() in said
    shown = re.search(r"<pre[^>]*>(.*?)</pre>", text, re.DOTALL).group(1)
    assert mm.Spec.from_toml(html.unescape(shown)) == found.fit.spec
    assert "compile 1.5, warmup 0.2, sample 0.5" in said
    assert "draws rounded up to whole chunks" in said
    assert "mmmjax optimize tells its worth" in said  # its plan.json knows no words
    assert "US$" in said


def test_everything_can_be_reached_without_a_mouse_or_eyes(page):
    assert page.tags[0] == ("html", {"lang": "en"})
    for tag, attributes in page.tags:
        if attributes.get("class") == "plot":
            assert attributes["role"] == "img"
            assert len(attributes["aria-label"]) > 10
        if attributes.get("class") == "scroll":
            assert (attributes["tabindex"], attributes["role"]) == ("0", "region")
        if tag == "button":
            assert attributes["type"] == "button"
    levels = [int(tag[1]) for tag, _ in page.tags if re.fullmatch(r"h[1-6]", tag)]
    assert levels[0] == 1
    assert all(b - a <= 1 for a, b in itertools.pairwise(levels))
    names = [a["id"] for _, a in page.tags if "id" in a]
    assert len(names) == len(set(names))
    links = [a["href"] for t, a in page.tags if t == "a"]
    assert {link[1:] for link in links} <= set(names)


def test_findings_are_listed_under_the_cards_with_what_to_try():
    nasty = Finding("serious", "x", "it <b>breaks</b>", (), 1.0, "why & how", "write it")
    more = Finding("warning", "y", "a pair hangs together", (), 0.9, "", "test them apart")
    page = Page(render(examples.evidence(judged=examples.judged(nasty, more))).decode())
    said = page.said()
    place = said.index("What speaks against the model, and what to try")
    listed = said[place : said.index("What these words mean")]
    for text in ("It <b>breaks</b>.", "Why & how.", "Try: Write it.",
                 "A pair hangs together.", "Try: Test them apart."):  # fmt: skip
        assert text in listed
    (details,) = [a for t, a in page.tags if t == "details" and a.get("class") == "against"]
    assert "open" in details
    bare = Page(render(examples.evidence()).decode()).said()
    assert "What speaks against the model" not in bare


def test_one_market_without_test_or_plan():
    scores = {"crps_train": 1.0, "crps_test": np.nan, "mape": 0.1, "r2": 0.5,
              "coverage": 0.9}  # fmt: skip
    bare = examples.evidence(
        ("national",), more=None, forecast=None, plan=None, truth={}, scores=scores
    )
    page = Page(render(bare).decode())
    said = page.said()
    assert "one market" in said
    assert "says nothing about forecasts" in said
    for absent in ("The plan", "Every geo", "Backtest", "More or less spend", "test "):
        assert absent not in said.replace("A test", ""), absent
    assert "#more" not in [a.get("href") for _, a in page.tags]


def test_a_model_without_media_has_no_returns():
    full = examples.evidence(("national",))
    weekly = full.weekly[~full.weekly["component"].isin(examples.CHANNELS)]
    panel = full.fit.panel
    data = mm.Panel.from_frame(panel.to_frame(), date="week", outcome="sales", media=[])
    fit = examples.make_fit(chains=2, draws=20, panel=data, spec=mm.Spec())
    bare = examples.evidence(
        ("national",), fit=fit, weekly=weekly, channels=full.channels.iloc[:0], media=None,
        more=None, plan=None, truth={},
    )  # fmt: skip
    said = Page(render(bare).decode()).said()
    assert "This model has no media" in said
    assert "ROAS" not in said
    assert "Which channel pays" not in said
    assert "What brought sales" in said


def test_organic_channels_alone_have_no_returns():
    some, full = Interval(1.0, 0.5, 1.5), examples.evidence()
    organic = full.channels.assign(
        **{c: np.nan for c in full.channels if "roas" in c or c == "spend"}
    )
    alone = Media(some, some, np.nan, None, np.nan, [])
    page = Page(
        render(examples.evidence(channels=organic, media=alone, plan=None)).decode()
    )
    assert "What did media bring?" in page.said()
    assert "pays best" not in page.said()
    assert "nan" not in page.said().lower().replace("financ", "")


def test_long_tables_are_cut_and_that_is_said():
    long = pd.concat([examples.parameters()] * 100, ignore_index=True)
    said = Page(render(examples.evidence(parameters=long, more=None)).decode()).said()
    assert (
        "The first 200 of 400 rows, the highest R-hat first; the CSV file has all." in said
    )


def test_what_cannot_be_written_is_refused_before_anything_is_computed(tmp_path, found):
    with pytest.raises(InputError, match="folder"):
        mm.report(found.fit, tmp_path / "missing" / "report.html")
    with pytest.raises(InputError, match="a file"):
        mm.report(found.fit, tmp_path)
    with pytest.raises(InputError, match="tables"):
        mm.report(found.fit, tmp_path / "report.html", tables={"weakly": None})
    lacking = found.table("curves").drop(columns=["media", "hi"])
    with pytest.raises(InputError, match=r'tables\["curves"\]: got no column media, hi'):
        mm.report(found.fit, tmp_path / "report.html", tables={"curves": lacking})
    assert list(tmp_path.iterdir()) == []
