"""The planner in a real browser: its numbers, buttons and files; offline, no errors."""

import shlex

import jax.numpy as jnp
import numpy as np
import pandas as pd
import pytest

import mmmjax as mm
from mmmjax.budget import ResponseCurves
from mmmjax.cli.app import run
from tests.budget.cases import make_fit
from tests.reporting.examples import NASTY
from tests.reporting.test_browser import CONTRAST, Opened

WEIGHTS = [3.0, 1.0, 0.0, 0.0, 2.0, 1.0]
RELATIVE, OF_MEAN = 0.005, 0.0005  # ends of an interval near 0: a share of the mean
LOOK = """splits => {
  const first = planner.look(splits[0]), keep = ({each, ...rest}) => rest;
  return splits.map(s => planner.look(s, first)).map(
    found => [...found.channels, found.total].map(keep));
}"""


def own():
    """A root, a curve that first rises and a straight line, of a channel of an odd name."""
    rng = np.random.default_rng(3)
    draws = {"size": rng.gamma(9.0, 30.0, (200, 3)), "half": rng.gamma(9.0, 9.0, (200, 1))}

    def curve(p, x):
        rise = x[1] ** 2 / (p["half"][0] ** 2 + x[1] ** 2)
        return p["size"] * jnp.stack([x[0] ** 0.5, 9 * rise, 0.1 * x[2]])

    return ResponseCurves([NASTY, "Search", "Mail"], curve, draws,
                          np.array([100.0, 60.0, 40.0]), outcome_name="sales")  # fmt: skip


CASES = {
    "one market": (lambda: make_fit(4, 1, draws=300), {"periods": 13}),
    "panel": (lambda: make_fit(3, 2, draws=250),
              {"periods": 6, "carry_in": "history", "per_period": True}),
    "in flights": (lambda: make_fit(2, 2, draws=100), {"periods": 6, "flighting": WEIGHTS}),
    "markets": (lambda: {"de": make_fit(2, 1, draws=80), "fr": make_fit(2, 2, draws=90)},
                {"periods": 6}),
    "curves": (own, {"periods": 1}),
}  # fmt: skip


def near(got, want, mean=0.0):
    got, want = np.asarray(got, float), np.asarray(want, float)
    assert (np.isnan(got) == np.isnan(want)).all()
    allowed = np.maximum(RELATIVE * np.abs(want), OF_MEAN * np.abs(mean)) + 1e-9
    np.testing.assert_array_less(
        np.nan_to_num(np.abs(got - want)), np.nan_to_num(allowed, nan=1)
    )


@pytest.mark.slow(parts=6)
@pytest.mark.parametrize("case", CASES)
def test_its_numbers_are_those_of_evaluate(browser, tmp_path, case):
    make, asked = CASES[case]
    fit, rng = make(), np.random.default_rng(7)
    plan = mm.optimize(fit, **asked)
    before, there = plan.reference.to_numpy(), plan.binding.to_numpy() != "absent"
    sizes = rng.uniform(0.0, 2.9, (6, *before.shape)) * (
        rng.random((6, *before.shape)) < 0.9
    )
    splits = {"before": before, "best": plan.optimized.to_numpy()}
    splits |= {f"random {i}": before * size for i, size in enumerate(sizes)}
    several = isinstance(fit, dict)
    keys = {name: asked[name] for name in asked if name != "carry_in"}
    want = mm.evaluate(fit, splits, carry_in=plan.carry_in, **keys,
                       reference=None if several else before)  # fmt: skip
    opened = Opened(browser, mm.planner(fit, tmp_path / "planner.html", plan))
    unit = plan.periods if plan.per_period else 1
    found = opened.page.evaluate(
        LOOK, [(unit * x[there]).tolist() for x in splits.values()]
    )

    def of(key, part):  # of every split; the last place is the sum over channels
        return [[np.nan if each[key] is None else each[key] for each in row[part]]
                for row in found]  # fmt: skip

    channels, whole = slice(0, -1), slice(-1, None)
    spent = want.spend.sum("geo").to_numpy() > 0
    for end in ("mean", "lo", "hi"):
        each, mean = want[f"channel_{end}"].to_numpy(), want["channel_mean"].to_numpy()
        near(of(end, channels), each, mean)
        total = want[f"response_{end}"].to_numpy()[:, None]
        near(of(end, whole), total, want["response_mean"].to_numpy()[:, None])
        gains = [row[-1]["gain"][end] for row in found[1:]]
        near(gains, want[f"gain_{end}"][1:], want["response_mean"][1:])
    near(of("roas", channels), np.where(spent, want["channel_roas"], np.nan))
    near(of("roas", whole), want["roas"].to_numpy()[:, None])
    next_ = np.where(spent | (case != "curves"), want["mroas"], np.nan)
    steep = np.array(of("next", channels), float)
    near(np.where(np.isnan(next_), np.nan, steep), next_)
    better = [row[-1]["gain"]["better"] for row in found[1:]]
    np.testing.assert_allclose(better, want["probability_better"][1:], atol=0.011)
    assert opened.errors == []
    opened.context.close()


@pytest.mark.parametrize("case", CASES)
def test_the_best_split_is_the_certified_one(browser, tmp_path, case):
    make, asked = CASES[case]
    fit = make()
    plan = mm.optimize(fit, bounds=(0.2, 2.5), **asked)
    opened = Opened(browser, mm.planner(fit, tmp_path / "planner.html", plan))
    opened.page.click("[data-do=fill]")
    look = "planner.look({}).total.mean"
    best = opened.page.evaluate(look.format("planner.plans()[1].spend"))
    mine = opened.page.evaluate(look.format("planner.state.spend"))
    assert mine == pytest.approx(best, rel=1e-5) if plan.certified else mine > 0.99 * best
    opened.context.close()


@pytest.fixture(scope="module")
def told(tmp_path_factory):
    folder = tmp_path_factory.mktemp("planner")
    fit = make_fit(3, 2, draws=200, dtype=np.float32)
    mm.save(fit, folder / "fit.nc")
    plan = mm.optimize(fit, periods=6, fixed=["c2"])
    page = mm.planner(fit, folder / "planner.html", plan, run=str(folder))
    return fit, plan, page


@pytest.fixture
def opened(browser, told):
    page = Opened(browser, told[2], viewport={"width": 1280, "height": 900})
    yield page
    assert page.asked[1:] == [page.url] * (len(page.asked) - 1)  # nothing but itself
    assert page.errors == []
    assert page.dialogs == []
    page.context.close()


def answer(opened, name):
    return opened.page.locator(f"#{name} .answer").inner_text()


def settled(opened):
    """Let what a slider need not wait for be done."""
    opened.page.wait_for_timeout(400)


def test_sliders_and_boxes_move_money(opened, told):
    page, plan = opened.page, told[1]
    assert answer(opened, "gained") == "the same"
    slide = page.get_by_label("c0: spend, slider")
    slide.focus()
    for _ in range(4):
        page.keyboard.press("ArrowRight")
    assert answer(opened, "gained").startswith("+")
    box = page.get_by_label("c1: spend, EUR")
    before = plan.reference.sel(channel="c1").to_numpy()
    box.fill(f"{before.sum() / 1e3:.3f}k")
    box.press("Enter")
    spend = np.reshape(page.evaluate("planner.state.spend"), (2, 3))
    np.testing.assert_allclose(spend[:, 1], before, rtol=1e-4)
    page.select_option("#geo", label="g1")  # money of one geo alone
    box.fill("0")
    box.press("Enter")
    spend = np.reshape(page.evaluate("planner.state.spend"), (2, 3))
    np.testing.assert_allclose(spend[:, 1], [before[0], 0.0], rtol=1e-4)
    assert "Outside its limits" in page.get_by_role("group", name="c1").inner_text()
    box.fill("plenty")
    box.press("Enter")
    assert "Write an amount" in page.locator("#said").inner_text()
    assert box.input_value() == "0"


def test_what_is_held_and_its_limits_are_kept(opened, told):
    page, plan = opened.page, told[1]
    assert page.get_by_label("c2: hold as it is").is_checked()
    page.get_by_label("c0: hold as it is").check()
    page.get_by_text("limits:").nth(1).click()
    most = plan.reference.sel(channel="c1").sum().item() * 1.1
    page.get_by_label("c1: at most, EUR").fill(f"{most:.4f}")
    page.get_by_label("c1: at most, EUR").press("Enter")
    page.fill("#budget", "1")
    page.click("[data-do=fill]")
    assert "Limits and held channels allow" in page.locator("#said").inner_text()
    whole = plan.reference.sum().item() + 0.05 * most / 1.1
    page.fill("#budget", f"{whole:.4f}")
    page.click("[data-do=fill]")
    spend = np.reshape(page.evaluate("planner.state.spend"), (2, 3))
    before = plan.reference.to_numpy()
    np.testing.assert_allclose(spend[:, [0, 2]], before[:, [0, 2]], rtol=1e-6)
    assert spend.sum() == pytest.approx(whole, rel=1e-6)
    assert (spend[:, 1] <= 1.1 * before[:, 1] * (1 + 1e-6)).all()


def test_scenarios_are_kept_compared_and_saved(opened, told, tmp_path):
    page, plan = opened.page, told[1]
    page.click("[data-do=to-best]")
    assert answer(opened, "short") == "you are there"
    page.fill("#named", "mine")
    page.click("[data-do=keep]")
    page.click("[data-do=to-before]")
    page.reload()
    page.wait_for_selector("html[data-ready]", state="attached")
    page.select_option("#against", label="mine")
    assert answer(opened, "gained").startswith("-")
    settled(opened)
    name, rows = opened.saved(page.locator("[data-do=save-all]"))
    table = pd.DataFrame(rows[1:], columns=rows[0]).set_index(["plan", "channel"])
    assert name == "scenarios.csv"
    mean = plan.response.mean("draw")
    for plan_, want in (("mine", "optimized"), ("Your split now", "reference")):
        got = float(table.loc[(plan_, "ALL"), "response_mean"])
        assert got == pytest.approx(mean.sel(plan=want).item(), rel=1e-4)
    page.get_by_role("button", name="Load mine").click()
    name, rows = opened.saved(page.locator("[data-do=save-split]"))
    table = pd.DataFrame(rows[1:], columns=rows[0])
    assert list(table) == list(plan.to_frame())
    got = table["optimized"].astype(float)
    np.testing.assert_allclose(got, plan.to_frame()["optimized"], rtol=1e-9)
    settled(opened)
    page.get_by_role("button", name="Remove mine").click()
    assert page.locator("#against option").all_inner_texts() == ["Past spend", "Best plan"]


def test_its_flags_plan_what_is_on_the_page(opened, told, tmp_path):
    page, plan = opened.page, told[1]
    settled(opened)
    words = shlex.split(page.locator("#flags").inner_text().replace("\\\n", " "))
    assert words[0] == "mmmjax"
    assert run([*words[1:], "--out", str(tmp_path / "plan")]) in (0, 2)  # few draws
    again = pd.read_csv(tmp_path / "plan" / "plan.csv")
    wanted = plan.to_frame()
    for name in ("reference", "optimized", "lower", "upper"):
        np.testing.assert_allclose(again[name], wanted[name], rtol=1e-4)


def test_text_has_accessible_contrast_and_controls_have_names(opened):
    assert opened.page.evaluate(CONTRAST) == []
    nameless = opened.page.evaluate("""() => [...document.querySelectorAll('input, select')]
        .filter(e => !e.labels.length && !e.getAttribute('aria-label')).length""")
    assert nameless == 0


def test_a_phone_scrolls_down_only_and_has_room_for_fingers(browser, told):
    phone = Opened(browser, told[2], viewport={"width": 390, "height": 844}, is_mobile=True,
                   has_touch=True)  # fmt: skip
    settled(phone)
    assert phone.page.evaluate("document.documentElement.scrollWidth") == 390
    cut = phone.page.evaluate("""() => [...document.querySelectorAll('main *')]
        .filter(e => e.getBoundingClientRect().right > 391).length""")
    assert cut == 0
    small = phone.page.evaluate("""() => [...document.querySelectorAll('button, summary')]
        .filter(e => e.offsetParent && e.getBoundingClientRect().height < 43.9)
        .map(e => e.textContent)""")
    assert small == []
    assert phone.page.pdf(format="A4").startswith(b"%PDF")
    assert phone.errors == []
    phone.context.close()


def test_a_name_is_text_and_a_page_is_small(browser, tmp_path):
    fit = make_fit(7, 1, draws=4000)
    page = mm.planner(fit, tmp_path / "planner.html")
    assert page.stat().st_size < 2_000_000
    odd = mm.planner(own(), tmp_path / "odd.html", scenarios={NASTY: {NASTY: 9.0}})
    opened = Opened(browser, odd)
    settled(opened)
    assert opened.page.locator("#rows .name").all_inner_texts() == [NASTY, "Search", "Mail"]
    opened.page.get_by_role("button", name=f"Load {NASTY}").click()
    assert opened.page.evaluate("planner.state.spend[0]") == pytest.approx(9.0)
    assert opened.errors == opened.dialogs == []
    opened.context.close()
