"""Tables as text and in notebooks: what stands where, and that nothing runs."""

import re
from html.parser import HTMLParser

import pandas as pd
import pytest

import mmmjax as mm
from mmmjax import words
from tests.fits import make_fit, make_panel


class Cells(HTMLParser):
    """The tags and the texts of a page."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.texts = [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)

    def handle_data(self, data):
        self.texts.append(data)


def test_columns_are_aligned_by_kind_and_as_wide_as_they_must_be():
    found = words.lines(["name ", "n"], [["a", "1"], ["a longer one", "1,000"]])
    assert found == [
        "name              n",
        "a                 1",
        "a longer one  1,000",
    ]
    wide = "x" * 300 + " [bold]not markup[/bold]"
    assert wide in words.lines(["a "], [[wide]])[1]


def test_a_data_frame_is_told_with_the_digits_that_its_numbers_need():
    table = pd.DataFrame(
        {"name": ["a", "b"], "x": [1234.5, float("nan")], "ok": [True, False]}
    )
    heads, rows = words.columns(table)
    assert heads == ["name ", "x", "ok "]
    assert rows == [["a", "1,234", "yes"], ["b", "", ""]]


@pytest.fixture(scope="module")
def things(tmp_path_factory):
    panel = make_panel(geos=("north", "<b>süd</b>"))
    fit = make_fit(chains=4, draws=50, panel=panel)
    place = tmp_path_factory.mktemp("html") / "fit.nc"
    fleet = mm.fit_fleet(
        mm.Spec(seasonality=None),
        {"de": make_panel(("one",), 40)},
        mm.HMC(chains=2, warmup=50, draws=50),
    )
    return {
        "panel": panel,
        "spec": fit.spec,
        "fit": mm.load(mm.save(fit, place)),
        "plan": mm.optimize(fit, periods=6, max_draws=50),
        "fleet": fleet,
    }


@pytest.mark.slow(parts=6)
@pytest.mark.parametrize("name", ["panel", "spec", "fit", "plan", "fleet"])
def test_a_notebook_shows_the_words_of_repr_and_nothing_else(things, name):
    thing = things[name]
    page = Cells(thing._repr_html_())
    assert set(page.tags) <= {"div", "p", "b", "table", "tr", "td", "th"}
    assert page.tags.count("b") == 1  # the caption: names are escaped
    bare = lambda text: sorted(re.sub(r"[:\s]+", " ", text).split())
    assert bare(" ".join(page.texts)) == bare(repr(thing))
