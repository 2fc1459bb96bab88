"""The report in a real browser: offline, without errors, every button does what it says.

Playwright drives Debian's Chromium; where either is missing these tests are skipped.
"""

import csv
import io
import time

import numpy as np
import pandas as pd
import pytest

from mmmjax.reporting.html import render
from mmmjax.words import for_geo
from tests.reporting import examples
from tests.reporting.examples import NASTY

LOAD_LIMIT = 15.0  # seconds, on a busy machine; an idle one needs two
SIZE_LIMIT = 2_000_000  # bytes


class Opened:
    """A page of the report and all that it asked for or complained about."""

    def __init__(self, browser, path, **context):
        self.context = browser.new_context(**context)
        self.context.set_offline(True)
        self.page = self.context.new_page()
        self.asked, self.errors, self.dialogs = [], [], []
        self.page.on("request", lambda request: self.asked.append(request.url))
        self.page.on("pageerror", lambda error: self.errors.append(str(error)))
        self.page.on("dialog", lambda dialog: self.dialogs.append(dialog.message))
        self.page.on("console", self.heard)
        self.url = path.as_uri()
        start = time.perf_counter()
        self.page.goto(self.url)
        self.page.wait_for_selector("html[data-ready]", state="attached")
        self.seconds = time.perf_counter() - start

    def heard(self, message):
        if message.type in ("error", "warning", "trace"):
            self.errors.append(message.text)

    def figure(self, name):
        """A figure, scrolled to and drawn."""
        place = self.page.locator(f"#figure-{name}")
        place.scroll_into_view_if_needed()
        place.locator(".plot[data-drawn]").wait_for()
        return place

    def shown(self, name, column="component"):
        """Values of a column among the marks that a chart shows."""
        script = """([name, column]) => {
            const found = new Set();
            const walk = (item) => {
              for (const d of [item.datum].flat()) {
                if (d && d[column] != null) found.add(d[column]);
              }
              (item.items || []).forEach(walk);
            };
            walk(document.querySelector(`#figure-${name} .plot`).view.scenegraph().root);
            return [...found];
        }"""
        return set(self.page.evaluate(script, [name, column]))

    def shows(self, name, wanted, column="component"):
        """Wait until a chart shows these values and no others."""
        self.until(lambda: self.shown(name, column) == wanted)

    def until(self, holds, seconds=5.0):
        """Wait for something; the page's policy forbids Playwright's own way."""
        end = time.perf_counter() + seconds
        while not holds():
            assert time.perf_counter() < end, "waited in vain"
            self.page.wait_for_timeout(20)

    def saved(self, button):
        """Rows of the CSV file that a button saves."""
        with self.page.expect_download() as download:
            button.click()
        with open(download.value.path(), encoding="utf-8-sig", newline="") as file:
            return download.value.suggested_filename, list(
                csv.reader(io.StringIO(file.read()))
            )


@pytest.fixture(scope="module")
def found():
    return examples.evidence()


@pytest.fixture(scope="module")
def path(found, tmp_path_factory):
    file = tmp_path_factory.mktemp("report") / "report.html"
    file.write_bytes(render(found))
    return file


@pytest.fixture(scope="module")
def desktop(browser, path):
    opened = Opened(browser, path, viewport={"width": 1280, "height": 900})
    yield opened
    opened.context.close()


def test_it_opens_offline_asks_for_nothing_and_draws_everything(desktop, path, capsys):
    assert path.stat().st_size < SIZE_LIMIT
    assert desktop.seconds < LOAD_LIMIT
    desktop.figure("contributions")
    names = desktop.page.eval_on_selector_all("figure[data-name]", "x => x.map(f => f.id)")
    desktop.page.evaluate(
        "document.querySelectorAll('details').forEach(d => d.open = true)"
    )
    for name in names:
        desktop.figure(name.removeprefix("figure-"))
    assert desktop.page.locator(".plot svg.marks").count() == len(names)
    assert desktop.asked == [desktop.url]
    assert desktop.errors == []
    assert desktop.dialogs == []  # the channel's name is text
    with capsys.disabled():
        print(
            f" [{path.stat().st_size / 1e6:.2f} MB, ready in {desktop.seconds:.1f} s]",
            end="",
        )


def test_an_old_browser_is_told_why_figures_are_missing(browser, path):
    page = browser.new_page()
    page.add_init_script("delete window.DecompressionStream")
    page.goto(path.as_uri())
    page.get_by_text("The figures need a browser of 2023 or later").wait_for()
    page.close()


def test_a_click_on_a_key_hides_a_channel_and_two_leave_it_alone(desktop):
    figure = desktop.figure("contributions")
    key = figure.locator(".key", has_text="Search")
    every = {"without media", NASTY, "Search", "Mail", "observed"}
    desktop.shows("contributions", every)
    key.click()
    assert key.get_attribute("aria-pressed") == "false"
    desktop.shows("contributions", every - {"Search"})
    key.press("Enter")  # the keyboard does the same
    desktop.shows("contributions", every)
    key.dblclick()
    desktop.shows("contributions", {"Search"})
    key.dblclick()
    desktop.shows("contributions", every)
    assert desktop.errors == []


def test_geos_and_measures_are_chosen_by_buttons(desktop, found):
    figure = desktop.figure("contributions")
    figure.get_by_role("button", name="süd").click()
    desktop.shows("contributions", {"süd"}, "geo")
    _, rows = desktop.saved(figure.locator('[data-do="csv"]'))
    place = {name: i for i, name in enumerate(rows[0])}
    drawn = [float(r[place["mean"]]) for r in rows[1:] if r[place["component"]] == NASTY]
    wanted = found.weekly.query("geo == 'süd' and component == @NASTY")
    np.testing.assert_allclose(drawn, wanted["mean"], rtol=1e-4)
    sweep = desktop.figure("sweep")
    assert desktop.shown("sweep", "measure") == {"uplift"}
    sweep.locator(".controls button").nth(1).click()
    desktop.shows("sweep", {"marginal"}, "measure")
    assert desktop.errors == []


def test_a_date_range_is_chosen_by_buttons(desktop, found):
    figure = desktop.figure("fitted")
    first = "document.querySelector('#figure-fitted .plot').view.scale('x').domain()[0] * 1"
    whole = desktop.page.evaluate(first)
    figure.get_by_role("button", name="6 months").click()
    last = pd.to_datetime(found.forecast["date"]).max()
    since = (last - pd.DateOffset(months=6)).timestamp() * 1000
    desktop.until(lambda: whole < desktop.page.evaluate(first) >= since - 86_400_000)
    figure.get_by_role("button", name="All", exact=True).click()
    desktop.until(lambda: desktop.page.evaluate(first) == whole)
    assert desktop.errors == []


def test_pointing_says_the_number_with_its_thousands(desktop):
    figure = desktop.figure("decomposition")
    bars = figure.locator(".mark-rect.role-mark path").first
    bars.hover()
    label = desktop.page.locator("#vg-tooltip-element.visible")
    label.wait_for()
    said = label.inner_text()
    for part in ("baseline", "70.0%", "42.0% to 98.0%", "7,000,000"):
        assert part in said


def test_csv_buttons_save_the_tables(desktop, found):
    button = desktop.page.locator('.table[data-name="channels"] [data-do="csv"]')
    name, rows = desktop.saved(button)
    assert name == "channels.csv"
    wanted = for_geo(found.channels, None)
    assert rows[0] == [*wanted.columns, "unit"]
    assert rows[1][1] == NASTY
    column = rows[0].index("roas_mean")
    assert float(rows[1][column]) == pytest.approx(wanted["roas_mean"].iloc[0])
    assert rows[3][column] == ""  # organic
    figure = desktop.figure("returns")
    name, rows = desktop.saved(figure.locator('[data-do="csv"]'))
    assert name == "returns.csv"
    place = {head: i for i, head in enumerate(rows[0])}
    own = [row for row in rows[1:] if row[place["channel"]] == NASTY]
    assert 2.5 in [float(row[place["mean"]]) for row in own]


def test_pictures_can_be_saved(desktop):
    with desktop.page.expect_download() as download:
        desktop.figure("bubbles").locator('[data-do="png"]').click()
    assert download.value.suggested_filename == "bubbles.png"
    assert download.value.path().read_bytes().startswith(b"\x89PNG")
    assert desktop.errors == []


def test_copying_puts_a_table_on_the_clipboard(desktop):
    desktop.context.grant_permissions(["clipboard-read", "clipboard-write"])
    desktop.page.locator('.table[data-name="scores"] [data-do="copy"]').click()
    desktop.until(lambda: "Copied" in desktop.page.inner_text("#said"))
    copied = desktop.page.evaluate("navigator.clipboard.readText()")
    assert copied.splitlines()[0] == "score\ttraining\ttest\tunit"


def test_sections_open_and_close(desktop):
    desktop.page.evaluate(
        "document.querySelectorAll('details').forEach(d => d.open = false)"
    )
    table = desktop.page.locator('.table[data-name="parameters"]')
    assert not table.is_visible()
    desktop.page.get_by_text("Every parameter, with its prior").click()
    assert table.is_visible()
    desktop.page.get_by_text("Every parameter, with its prior").click()
    assert not table.is_visible()


CONTRAST = """() => {
  const light = ([r, g, b]) => [r, g, b].map(c => c / 255)
    .map(c => c <= 0.03928 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4)
    .reduce((sum, c, i) => sum + c * [0.2126, 0.7152, 0.0722][i], 0);
  const rgb = text => (text.match(/[\\d.]+/g) || []).map(Number);
  const behind = e => {
    for (; e; e = e.parentElement) {
      const c = rgb(getComputedStyle(e).backgroundColor);
      if (c.length === 3 || c[3] > 0.5) return c;
    }
    return [255, 255, 255];
  };
  const bad = [];
  for (const e of document.querySelectorAll('body *')) {
    const own = [...e.childNodes].some(n => n.nodeType === 3 && n.textContent.trim());
    if (!own || e.closest('svg, script, style, noscript') || !e.offsetParent) continue;
    const style = getComputedStyle(e);
    const [a, b] = [light(rgb(style.color)), light(behind(e))];
    const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    const large = parseFloat(style.fontSize) >= 24;
    if (ratio < (large ? 3 : 4.5)) bad.push([e.tagName, e.textContent.slice(0, 40), ratio]);
  }
  return bad;
}"""


def test_text_has_accessible_contrast(desktop):
    assert desktop.page.evaluate(CONTRAST) == []


@pytest.fixture(scope="module")
def phone(browser, path):
    opened = Opened(
        browser, path, viewport={"width": 390, "height": 844}, is_mobile=True,
        has_touch=True, device_scale_factor=2,
    )  # fmt: skip
    yield opened
    opened.context.close()


def test_a_phone_scrolls_down_only_and_its_tables_are_cards(phone):
    for name in ("contributions", "returns", "curves", "fitted"):
        phone.figure(name)
    assert phone.page.evaluate("document.documentElement.scrollWidth") == 390
    wide = phone.page.evaluate("""() => [...document.querySelectorAll('.plot svg')]
        .filter(s => s.getBoundingClientRect().right > 391).length""")
    assert wide == 0
    box = phone.page.locator('.table[data-name="channels"] .scroll')
    assert box.evaluate("e => e.scrollWidth <= e.clientWidth")  # rows are cards
    assert box.locator("td").first.evaluate("e => getComputedStyle(e, '::before').content")
    assert phone.errors == []


def test_a_phone_has_buttons_for_fingers(phone):
    small = phone.page.evaluate("""() => [...document.querySelectorAll('button, summary')]
        .filter(e => e.offsetParent && e.getBoundingClientRect().height < 43.9)
        .map(e => e.textContent)""")
    assert small == []
    key = phone.figure("contributions").locator(".key", has_text="Search")
    key.tap()
    phone.until(lambda: "Search" not in phone.shown("contributions"))


def test_paper_has_every_figure_and_nothing_to_press(phone):
    phone.page.wait_for_selector("html[data-complete]", state="attached")
    assert phone.page.pdf(format="A4").startswith(b"%PDF")
    drawn = phone.page.locator(".plot[data-drawn]").count()
    assert drawn == phone.page.locator("figure[data-name]").count()
    phone.page.emulate_media(media="print")
    assert not phone.page.locator(".buttons").first.is_visible()
    phone.page.emulate_media(media="screen")
    assert phone.errors == []
