"""Colours, numbers, dates and text of all pictures; nothing global is touched."""

import itertools
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure

from mmmjax import plot
from mmmjax.checks import InputError
from mmmjax.plot import canvas as c
from tests.plot import examples

# Machado, Oliveira and Fernandes (2009), severity 1: how linear RGB looks to a reader
SIGHTS = {
    "normal": np.eye(3),
    "red-blind": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216],
                  [-0.003882, -0.048116, 1.051998]],
    "green-blind": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413],
                    [-0.011820, 0.042940, 0.968881]],
    "blue-blind": [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602],
                   [0.004733, 0.691367, 0.303900]],
}  # fmt: skip
XYZ = [[0.4124564, 0.3575761, 0.1804375], [0.2126729, 0.7151522, 0.0721750],
       [0.0193339, 0.1191920, 0.9503041]]  # fmt: skip


def linear(colour):
    rgb = np.array([int(colour[i : i + 2], 16) for i in (1, 3, 5)]) / 255
    return np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)


def lab(rgb):
    x, y, z = np.array(XYZ) @ np.clip(rgb, 0, 1) / [0.95047, 1.0, 1.08883]
    f = [np.cbrt(v) if v > 0.008856 else 7.787 * v + 16 / 116 for v in (x, y, z)]
    return np.array([116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])])


@pytest.mark.parametrize("sight", SIGHTS)
def test_every_two_colours_of_the_palette_stay_apart(sight):
    seen = [lab(np.array(SIGHTS[sight]) @ linear(colour)) for colour in c.PALETTE]
    assert min(np.linalg.norm(a - b) for a, b in itertools.combinations(seen, 2)) > 15


@pytest.mark.parametrize("text", [c.INK, c.MUTED])
def test_text_has_accessible_contrast(text):
    light, dark = (linear(x) @ [0.2126, 0.7152, 0.0722] for x in (c.TINT, text))
    assert (light + 0.05) / (dark + 0.05) >= 4.5  # WCAG 2.1, level AA


def test_colours_belong_to_places_in_the_users_order():
    names = [f"channel {i}" for i in range(24)]
    every = plot.channel_colours(names)
    assert list(every.values())[:8] == list(c.PALETTE)
    assert len(set(every.values())) == 24
    assert c.colours_of(["channel 5", "channel 2"], every) == [c.PALETTE[5], c.PALETTE[2]]
    assert c.colours_of(["unknown"], every) == [c.REST]


@pytest.mark.parametrize(
    ("value", "text"),
    [(12345678.4, "12,345,678"), (999.6, "1,000"), (12.345, "12.3"), (0.01234, "0.0123"),
     (2.0, "2"), (-1234.0, "-1,234"), (0.0, "0"), (float("nan"), ""), (float("inf"), "")],
)  # fmt: skip
def test_amount(value, text):
    assert c.amount(value) == text


def test_amounts_of_a_column_share_their_decimals():
    assert c.amounts([33.6, 0.0, 125.66]) == ["33.6", "0.0", "125.7"]
    assert c.amounts([33.6, 0.0004, 125.66]) == ["33.6", "0.000400", "125.7"]
    assert c.amounts([1e6, 2.5e6, np.nan]) == ["1,000,000", "2,500,000", ""]
    assert c.amounts([]) == []


@pytest.mark.parametrize(
    ("ticks", "percent", "texts"),
    [([0, 2e7, 4e7], False, ["0", "20,000,000", "40,000,000"]),
     ([0, 0.25, 0.5], False, ["0.00", "0.25", "0.50"]),
     ([-0.0, 0.5, 1.0], True, ["0%", "50%", "100%"]),
     ([1.002, 1.004], False, ["1.002", "1.004"])],
)  # fmt: skip
def test_ticks_have_separators_and_the_decimals_of_their_steps(ticks, percent, texts):
    assert c.Amount(percent).format_ticks(ticks) == texts


@pytest.mark.parametrize("days", [1, 5, 40, 200, 700, 2000, 9000, 40000])
@pytest.mark.parametrize("most", [5, 9])
def test_dates_are_few_round_and_name_their_year(days, most):
    first = pd.Timestamp("2019-11-30")
    ticks, labels = c.date_ticks(first, first + pd.Timedelta(days=days), most)
    assert 1 <= len(ticks) == len(labels) <= most
    assert len(ticks) >= 2 or days < 5
    assert str(ticks[0].year) in labels[0]
    years = [t.year for t in ticks]
    assert all(
        str(y) in text for text in labels for y in [text[-4:]] if text[-4:].isdigit()
    )
    assert sum(text[-4:].isdigit() for text in labels) >= len(set(years))


@pytest.mark.parametrize(
    ("freq", "noun"), [("W-SUN", "week"), ("D", "day"), ("MS", "month"), ("13D", "period")]
)
def test_period_noun(freq, noun):
    assert c.period_noun(freq) == noun


def test_geo_is_the_sum_the_only_one_or_the_one_asked_for():
    both = examples.weekly(("north", "ALL"))
    assert set(c.for_geo(both, None)["geo"]) == {"ALL"}
    assert set(c.for_geo(both, "north")["geo"]) == {"north"}
    assert set(c.for_geo(examples.weekly(("national",)), None)["geo"]) == {"national"}
    with pytest.raises(InputError, match=r"geo: got \"south\".*\"north\""):
        c.for_geo(both, "south")


def test_a_dollar_is_a_dollar():
    table = examples.channels().replace({"channel": {"TV": r"$\frac$"}})
    figure = plot.roas(table, outcome="$a$", currency=r"$\broken$")
    assert plot.to_svg(figure).startswith("<?xml")  # mathematics would not parse


def test_pictures_touch_nothing_global_and_are_the_same_in_threads():
    before = dict(mpl.rcParams)

    def draw(_):
        return plot.to_png(plot.contributions(examples.weekly(), width=4.0), dpi=40)

    alone = draw(0)
    with ThreadPoolExecutor(4) as pool:
        assert set(pool.map(draw, range(8))) == {alone}
    assert dict(mpl.rcParams) == before


def test_pyplot_is_never_loaded():
    code = (
        "import sys, mmmjax.plot as p; every = [getattr(p, n) for n in p.__all__]; "
        "sys.exit('matplotlib.pyplot' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_the_users_settings_do_not_leak_in():
    with mpl.rc_context({"axes.facecolor": "black", "figure.facecolor": "black"}):
        figure = plot.decomposition(examples.weekly())
    assert figure.get_facecolor() == figure.axes[0].get_facecolor() == (1, 1, 1, 1)


EVERY = {
    "contributions": lambda **k: plot.contributions(examples.weekly(), **k),
    "decomposition": lambda **k: plot.decomposition(examples.weekly(), **k),
    "roas": lambda **k: plot.roas(examples.channels(), truth={"TV": 1.0}, **k),
    "curve": lambda **k: plot.curve(examples.curves(), "TV", **k),
    "fitted": lambda **k: plot.fitted(examples.forecast(), examples.forecast(6), **k),
    "convergence": lambda **k: plot.convergence(examples.parameters(), **k),
    "allocation": lambda **k: plot.allocation(examples.plan(), **k),
    "contraction": lambda **k: plot.contraction(examples.priors(), **k),
    "distributions": lambda **k: plot.distributions(
        {"TV": np.arange(9.0)}, {"TV": np.arange(99.0)}, **k
    ),
    "energy": lambda **k: plot.energy(np.random.default_rng(0).normal(size=(4, 50)), **k),
    "forecast": lambda **k: plot.forecast(examples.predicted(6), examples.predicted(), **k),
    "now_and_after": lambda **k: plot.now_and_after(examples.returns(), **k),
    "now_and_after of one": lambda **k: plot.now_and_after(examples.returns(), "all", **k),
    "prior_predictive": lambda **k: plot.prior_predictive(examples.predicted(), **k),
    "share_and_roas": lambda **k: plot.share_and_roas(examples.channels(), **k),
    "shares": lambda **k: plot.shares(examples.channels(), **k),
    "sweep": lambda **k: plot.sweep(examples.sweep(), **k),
    "uplift": lambda **k: plot.uplift(np.linspace(-0.1, 0.3, 99), **k),
}
GRIDS = {
    "carryover": lambda **k: plot.carryover(examples.carryover(), period="week", **k),
    "curves": lambda **k: plot.curves(examples.curves(), currency="EUR", **k),
    "multipliers": lambda **k: plot.multipliers(examples.multipliers(), **k),
    "prior_posterior": lambda **k: plot.prior_posterior(
        examples.draws(), examples.draws(), **k
    ),
    "ranks": lambda **k: plot.ranks(examples.draws(), **k),
    "residuals": lambda **k: plot.residuals(examples.residuals(), **k),
    "roas_over_time": lambda **k: plot.roas_over_time(examples.returns(), **k),
    "trace": lambda **k: plot.trace(examples.draws(), **k),
}


@pytest.mark.parametrize("width", [4.0, 9.0])
@pytest.mark.parametrize("name", GRIDS)
def test_cells_of_a_grid_do_not_touch_and_the_legend_lies_under_them(name, width):
    figure = GRIDS[name](width=width)
    figure.draw_without_rendering()
    boxes = [ax.get_tightbbox() for ax in figure.axes if ax.axison]
    for one, other in itertools.combinations(boxes, 2):
        both = mpl.transforms.Bbox.intersection(one, other)
        assert both is None or min(both.width, both.height) < 2
    (legend,) = figure.legends
    box, title = legend.get_window_extent(), figure._suptitle.get_window_extent()
    assert box.y0 >= -1
    assert box.y1 <= min(b.y0 for b in boxes) + 1
    assert box.x1 <= figure.bbox.x1 + 1
    assert title.y0 >= max(b.y1 for b in boxes) - 1
    assert all(ax.get_window_extent().width > 0.8 * figure.dpi for ax in figure.axes)


@pytest.mark.parametrize("name", EVERY)
def test_axes_may_be_given(name):
    figure = Figure((12, 5))
    left, right = figure.subplots(1, 2)
    assert EVERY[name](ax=right) is figure
    assert right.get_title(loc="left")
    assert right.has_data()
    assert not left.has_data()


@pytest.mark.parametrize("width", [4.0, 11.0])
@pytest.mark.parametrize("name", EVERY)
def test_legends_and_titles_lie_beside_the_data_inside_the_figure(name, width):
    figure = EVERY[name](width=width)
    figure.draw_without_rendering()
    axes = figure.axes[0]
    frame, whole = axes.get_window_extent(), figure.bbox
    assert frame.width > 0.25 * whole.width
    title = figure._suptitle.get_window_extent()
    assert title.y0 >= frame.y1
    assert title.x1 <= whole.x1
    assert axes._left_title.get_window_extent().x1 <= whole.x1
    if (legend := axes.get_legend()) is not None:
        box = legend.get_window_extent()
        assert box.y1 <= frame.y0
        assert box.x1 <= whole.x1 + 1
        assert box.y0 >= whole.y0 - 1


def test_long_names_and_large_numbers_leave_room_for_the_data():
    table = examples.channels().replace(
        {"channel": {"TV": "a channel with a very long name"}}
    )
    table[["roas_mean", "roas_lo", "roas_hi"]] *= 1e7
    figure = plot.roas(table, width=4.0)
    figure.draw_without_rendering()
    assert figure.axes[0].get_window_extent().width / figure.dpi > 0.8
    assert "a channel with a very long …" in [
        t.get_text() for t in figure.axes[0].get_yticklabels()
    ]
