"""The report as a file: whole, self-contained, escaped, true to its tables."""

import base64
import html
import re
from html.parser import HTMLParser

import numpy as np
import pandas as pd
import pytest

import mmmjax as mm
from mmmjax.checks import InputError
from mmmjax.kernels.adstock import Geometric
from mmmjax.kernels.seasonality import Fourier
from mmmjax.panel import Panel
from mmmjax.plot.canvas import amount, amounts
from mmmjax.reporting.evidence import TABLES, Evidence, Interval, Media, gather
from mmmjax.reporting.html import render
from mmmjax.reporting.pictures import curve_pictures
from mmmjax.reporting.sentences import percent
from mmmjax.spec import Spec
from tests.fits import make_fit, make_panel, make_spec
from tests.plot import examples

NASTY = '<img src=x onerror="alert(1)">&"'


class Page(HTMLParser):
    """Tags with their attributes, and the text that a reader sees."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.text, self.open = [], [], []
        self.feed(text)
        assert not self.open, f"not closed: {self.open}"

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in ("meta", "link", "img", "source"):
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if "style" not in self.open:
            self.text.append(" ".join(data.split()))

    def pictures(self):
        found = [a["src"] for t, a in self.tags if t == "img"]
        return found + [a["srcset"] for t, a in self.tags if t == "source"]

    def said(self):
        return " ".join(filter(None, self.text))


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A fit of two geos with everything that a report can show, and its page."""
    table = make_panel(periods=20).to_frame()
    panel = Panel.from_frame(
        table, date="week", outcome="sales", geo="geo", currency="US$",
        media={NASTY: "TV", "Search": "Search", "Mail": "Mail"},
        spend={NASTY: "TV cost", "Search": "Search"},
    )  # fmt: skip
    train, test = panel.split(panel.dates[-5])
    spec = Spec(adstock=Geometric(max_lag=3), seasonality=Fourier(order=1))
    fit = make_fit(chains=2, draws=60, panel=train, spec=spec)
    plan = mm.optimize(fit, periods=4)
    truth = {"channels": [{"geo": "ALL", "channel": NASTY, "roas": 1.0},
                          {"geo": "x", "channel": NASTY, "roas": 9.0}]}  # fmt: skip
    found = gather(fit, test, truth, plan)
    tables = {name: getattr(found, name) for name in TABLES}
    path = tmp_path_factory.mktemp("run") / "report.html"
    assert mm.report(fit, path, test=test, truth=truth, plan=plan, tables=tables) == path
    assert [p.name for p in path.parent.iterdir()] == ["report.html"]
    text = path.read_text(encoding="utf-8")
    return found, text, Page(text)


def test_nothing_is_loaded_from_elsewhere(run):
    _, text, page = run
    for tag, attributes in page.tags:
        assert tag not in ("script", "iframe", "object", "embed", "base")
        for name in ("src", "srcset", "href", "data", "poster", "action"):
            value = attributes.get(name)
            assert value is None or value.startswith(("data:", "#")), (tag, value[:60])
        assert not any(name.startswith("on") for name in attributes)
    assert not re.search(r"https?:|@import|url\(", re.sub(r'"data:[^"]*"', "", text))
    policy = [a["content"] for t, a in page.tags if t == "meta" and "http-equiv" in a]
    assert policy == ["default-src 'none'; img-src data:; style-src 'unsafe-inline'"]


def test_pictures_are_inside_and_load_nothing_either(run):
    _, _, page = run
    pictures = page.pictures()
    assert len(pictures) == 2 * 2 + 4 + 3  # two for a phone too, four halves, three curves
    for picture in pictures:
        kind, content = picture.split(",", 1)
        assert kind == "data:image/svg+xml;base64"
        drawn = base64.b64decode(content).decode()
        assert "</svg>" in drawn
        assert "<image" not in drawn
        assert not re.search(r'(?:href|src)="(?!#)', drawn)
    assert all(a["alt"] for t, a in page.tags if t == "img")


def test_names_of_the_user_are_text_not_markup(run):
    _, text, page = run
    assert "onerror" in page.said()
    assert "<img src=x" not in text


def test_the_first_screen_answers_the_manager(run):
    found, _, page = run
    said, plan = page.said(), found.plan
    header = said[: said.index("What brought sales")]
    every = found.channels.query("geo == 'ALL'")
    assert f"{amount(every['contribution_mean'].sum())} sales in 16 weeks" in header
    assert f"Media brought {percent(every['share_mean'].sum())} of sales" in header
    assert "Which channel pays best?" in header
    assert f"Off by {percent(found.scores['mape_test'])}" in header
    assert found.diagnostics.verdict.partition(" (")[0].capitalize() in header
    gain = plan.objective / plan.reference_objective - 1
    assert f"{percent(gain)} more sales from media" in header
    assert "of 1 channels" in header  # the truth of the geo "x" is not that of all


def test_joint_numbers_agree_with_the_tables(run):
    found, *_ = run
    every, media = found.channels.query("geo == 'ALL'"), found.media
    paid = every.query("spend > 0")
    spend = paid["spend"].sum()
    assert media.spend == pytest.approx(spend)
    assert media.total.mean == pytest.approx(every["contribution_mean"].sum(), rel=1e-4)
    assert media.share.mean == pytest.approx(every["share_mean"].sum(), rel=1e-4)
    for name, number in (("roas", media.returns.mean), ("mroas", media.marginal)):
        assert number == pytest.approx(
            (paid[f"{name}_mean"] * paid["spend"]).sum() / spend, rel=1e-4
        )
    assert sum(p for _, p in media.best) == pytest.approx(1)
    assert {n for n, _ in media.best} == {NASTY, "Search"}


def test_tables_show_the_numbers_of_the_files(run):
    found, _, page = run
    said = page.said()
    for geo in ("ALL", "süd"):
        rows = found.channels[found.channels["geo"] == geo]
        assert all(text in said for text in amounts(rows["spend"]) if text)
        texts = amounts(rows[["roas_mean", "roas_lo", "roas_hi"]].to_numpy())
        assert all(text in said for text in texts)
    for row in found.parameters.to_dict("records"):
        assert f"{row['mean']:.3f}" in said
    assert amount(found.scores["crps_test"]) in said
    assert "A channel without spend (organic) has no return." in said
    assert "2 geos" in said


def test_the_record_is_exact(run):
    found, text, page = run
    said = page.said()
    assert found.fit.panel.data_hash() in said
    shown = re.search(r"<pre>(.*?)</pre>", text, re.DOTALL).group(1)
    assert mm.Spec.from_toml(html.unescape(shown)) == found.fit.spec
    assert "compile 1.5, warmup 0.2, sample 0.5" in said
    assert "draws rounded up to whole chunks" in said
    assert found.plan.status in said
    assert "US$" in said


def test_what_cannot_be_written_is_refused_before_anything_is_computed(tmp_path, run):
    fit = run[0].fit
    with pytest.raises(InputError, match="folder"):
        mm.report(fit, tmp_path / "missing" / "report.html")
    with pytest.raises(InputError, match="a file"):
        mm.report(fit, tmp_path)
    with pytest.raises(InputError, match="tables"):
        mm.report(fit, tmp_path / "report.html", tables={"weakly": None})
    assert list(tmp_path.iterdir()) == []


def made(**changed):
    """Evidence of one national market from hand-made tables; nothing is computed."""
    table = make_panel(("north",)).to_frame()
    names = changed.pop("names", examples.CHANNELS)
    spend = {"TV": "TV cost", "Search": "Search"}
    panel = Panel.from_frame(
        table, date="week", outcome="sales", media=list(names),
        spend={name: column for name, column in spend.items() if name in names},
    )  # fmt: skip
    fit = make_fit(chains=2, draws=20, panel=panel, spec=make_spec())
    some = Interval(1.0, 0.5, 1.5)
    scores = {"crps_train": 1.0, "crps_test": np.nan, "mape": 0.1, "r2": 0.5}
    scores["coverage"] = 0.9
    told = mm.diagnostics(fit)
    media = Media(some, some, 30.0, some, 0.8, [("TV", 0.7), ("Search", 0.3)])
    tables = {
        "channels": examples.channels(),
        "weekly": examples.weekly(),
        "forecast": None,
    }
    tables |= {"parameters": examples.parameters(), "training": examples.forecast()}
    known = {"fit": fit, "test": None, "plan": None, "truth": {}, "scores": scores} | tables
    known |= {"diagnostics": told, "curves": examples.curves(), "media": media}
    return Evidence(**(known | changed))


def test_one_market_without_test_or_plan():
    said = Page(render(made())).said()
    assert "one market" in said
    assert "says nothing about forecasts" in said
    assert "TV probably has the highest return on spend" in said
    assert "per unit of money" in said
    assert "The plan" not in said
    assert "Every geo" not in said


def test_a_model_without_media_has_no_returns():
    weekly = examples.weekly()
    weekly = weekly[~weekly["component"].isin(examples.CHANNELS)]
    none = examples.channels().iloc[:0]
    said = Page(
        render(made(names=(), weekly=weekly, channels=none, curves=None, media=None))
    ).said()
    assert "This model has no media" in said
    assert "ROAS" not in said
    assert "Which channel pays" not in said
    assert "What brought sales" in said


def test_organic_channels_alone_have_no_returns():
    some, channels = Interval(1.0, 0.5, 1.5), examples.channels().iloc[2:]
    curves = examples.curves().sel(channel=["Mail"])
    alone = Media(some, some, np.nan, None, np.nan, [])
    page = Page(
        render(made(names=("Mail",), channels=channels, curves=curves, media=alone))
    )
    assert "What did media bring?" in page.said()
    assert "pays best" not in page.said()
    assert "nan" not in page.said()


def test_long_tables_are_cut_and_that_is_said():
    long = pd.concat([examples.parameters()] * 100, ignore_index=True)
    said = Page(render(made(parameters=long))).said()
    assert (
        "Shown are the 200 of 400 with the highest R-hat; parameters.csv has all." in said
    )


def test_of_many_channels_the_largest_have_curves():
    table = examples.channels()
    table.loc[table["channel"] == "TV", "contribution_mean"] = 1.0
    drawn = curve_pictures(made(channels=table), most=2)
    assert ["Search" in drawn[0].alt, "Mail" in drawn[1].alt, len(drawn)] == [True, True, 2]


@pytest.mark.slow
@pytest.mark.parametrize("media", [[], ["Mail"]])
def test_fits_without_returns_are_reported_from_their_draws(tmp_path, media):
    table = make_panel(("north",)).to_frame()
    panel = Panel.from_frame(table, date="week", outcome="sales", media=media, spend={})
    fit = make_fit(chains=2, draws=20, panel=panel, spec=make_spec())
    said = Page(mm.report(fit, tmp_path / "r.html").read_text(encoding="utf-8")).said()
    assert ("What did media bring?" in said) == bool(media)
    assert "pays best" not in said
