"""What is drawn of the data before any model."""

import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_hex
from matplotlib.dates import date2num
from matplotlib.figure import Figure

from mmmjax.checks import InputError
from mmmjax.exploration import explore
from mmmjax.panel import Panel
from mmmjax.plot import canvas as c
from mmmjax.plot import data
from tests.tables import weekly

NAMES = {
    "date": "date",
    "outcome": "sales",
    "media": {"TV": "tv", "Radio": "radio"},
    "controls": ["promo", "holiday"],
    "currency": "EUR",
}
COLOURS = c.channel_colours(["TV", "Radio"])
SPLIT = "2023-12-10"


def panel(geos=(), **names):
    """60 weeks: an outlier, one on a holiday, a burst of TV; Radio is organic if asked."""
    df = weekly(60, geos=geos)
    df["tv"] += 5
    df["holiday"] = (df.groupby("geo").cumcount() if geos else df.index) % 26 == 5
    df["holiday"] = df["holiday"].astype(float)
    df.loc[[5, 20], "sales"] = [700.0, 900.0]
    df.loc[30, "tv"] = 120.0
    geo = {"geo": "geo"} if geos else {}
    return Panel.from_frame(df, **(NAMES | geo | names))


def found(geos=(), **names):
    return explore(*panel(geos, **names).split(SPLIT))


def texts(axes):
    return [text.get_text() for text in axes.texts]


def labels(legend):
    return [text.get_text() for text in legend.get_texts()]


def test_outcome_marks_what_stands_apart_and_the_test():
    look = found()
    figure = data.outcome(look)
    axes = figure.axes[0]
    level, series, apart, event = axes.lines[:4]
    np.testing.assert_allclose(series.get_ydata(), look["outcome"][0])
    np.testing.assert_allclose(series.get_xdata(orig=False), date2num(look["date"]))
    np.testing.assert_allclose(level.get_ydata(), look["outcome_level"][0])
    assert (apart.get_ydata().tolist(), event.get_ydata().tolist()) == ([900.0], [700.0])
    assert event.get_markerfacecolor() == "white"
    assert texts(axes) == ["21 May 2023"]
    dates = date2num(look["date"].to_numpy())
    assert axes.patches[0].get_x() == pytest.approx((dates[49] + dates[50]) / 2)
    assert labels(axes.get_legend())[-1] == "test window"
    assert figure._suptitle.get_text() == "Sales a week: 2 weeks stand apart"


def test_outcome_without_outliers_and_test():
    df = weekly(40)
    quiet = explore(Panel.from_frame(df, date="date", outcome="sales", media=["tv"]))
    figure = data.outcome(quiet)
    assert figure._suptitle.get_text() == "Sales a week: no week stands apart"
    assert len(figure.axes[0].lines) == 2
    assert not figure.axes[0].patches
    assert labels(figure.axes[0].get_legend()) == ["sales", "median over 13 weeks"]


def test_dates_at_the_right_edge_stand_left():
    df = weekly(60)
    df.loc[[2, 58], "sales"] = 900.0
    figure = data.outcome(explore(Panel.from_frame(df, date="date", outcome="sales",
                                                   media=["tv"])))  # fmt: skip
    sides = {text.get_text(): text.get_ha() for text in figure.axes[0].texts}
    assert sides == {"15 Jan 2023": "left", "11 Feb 2024": "right"}


def test_spend_has_a_cell_a_channel_with_its_own_scale():
    look = found()
    figure = data.spend(look, colours=COLOURS)
    assert [axes.get_title(loc="left") for axes in figure.axes] == ["TV", "Radio"]
    for axes, channel in zip(figure.axes, ["TV", "Radio"], strict=True):
        series = axes.lines[0]
        np.testing.assert_allclose(
            series.get_ydata(), look["spend"].sel(channel=channel)[0]
        )
        assert series.get_color() == COLOURS[channel]
        assert axes.get_ylim()[0] == 0
        assert len(axes.patches) == 1  # the test window
    marks = figure.axes[0].lines[1]
    assert marks.get_ydata().tolist() == [120.0]
    assert labels(figure.legends[0]) == ["test window", "far above the usual"]
    assert figure._suptitle.get_text() == "Spend (EUR) a week, channel by channel"


def test_an_organic_channel_is_drawn_in_media():
    look = found(spend={"TV": "tv"})
    figure = data.spend(look)
    assert figure.axes[1].get_title(loc="left") == "Radio: media (organic)"
    np.testing.assert_allclose(
        figure.axes[1].lines[0].get_ydata(), look["media"].sel(channel="Radio")[0]
    )
    shares = data.spend_shares(look)
    assert [bar.get_width() for bar in shares.axes[0].patches] == [1.0, 0.0]
    assert "organic" in texts(shares.axes[0])


def test_shares_are_of_training():
    whole = panel()
    train, test = whole.split(SPLIT)
    figure = data.spend_shares(explore(train, test), colours=COLOURS)
    spend = train.spend.sum((0, 1))
    bars = figure.axes[0].patches
    np.testing.assert_allclose([bar.get_width() for bar in bars], spend / spend.sum())
    assert [to_hex(b.get_facecolor()).upper() for b in bars] == list(COLOURS.values())
    said = texts(figure.axes[0])
    assert {"share", "spend (EUR)", "weeks on", f"{spend[0]:,.0f}", "100%"} <= set(said)


def test_media_against_outcome_with_the_correlation_of_training():
    whole = panel()
    train, _ = whole.split(SPLIT)
    figure = data.against_outcome(found())
    tv = figure.axes[0]
    old, new = tv.lines
    np.testing.assert_allclose(old.get_xdata(), train.media[0, :, 0])
    np.testing.assert_allclose(old.get_ydata(), train.outcome[0])
    np.testing.assert_allclose(new.get_xdata(), whole.media[0, 50:, 0])
    r = np.corrcoef(train.media[0, :, 0], train.outcome[0])[0, 1]
    assert tv.get_title(loc="left") == f"TV  r = {r:.2f}"
    assert tv.get_xlabel() == "spend (EUR) a week"
    assert labels(figure.legends[0]) == ["training", "test"]
    figure = data.against_outcome(explore(panel(spend={"TV": "tv"})))
    assert figure.axes[0].get_xlabel() == "media a week"
    assert not figure.legends


def test_the_matrix_shows_what_is_asked_for():
    look = found()
    figure = data.correlations(look)
    (image,) = figure.axes[0].images
    np.testing.assert_allclose(image.get_array(), look["correlations"])
    names = ["sales", "TV", "Radio", "promo", "holiday"]
    assert [t.get_text() for t in figure.axes[0].get_yticklabels()] == names
    assert len(texts(figure.axes[0])) == 5 * 4
    figure = data.correlations(look, variables=["Radio", "sales"])
    np.testing.assert_allclose(
        figure.axes[0].images[0].get_array(), look["correlations"][[2, 0], [2, 0]]
    )
    with pytest.raises(InputError, match='variables: got "Telly"'):
        data.correlations(look, variables=["Telly"])


def test_many_controls_are_left_out_of_the_matrix():
    df = pd.DataFrame(
        {f"c{i}": np.random.default_rng(i).normal(size=60) for i in range(14)}
    )
    df = pd.concat([weekly(60), df], axis=1)
    many = explore(Panel.from_frame(df, date="date", outcome="sales", media=["tv"],
                                    controls=["c*"]))  # fmt: skip
    figure = data.correlations(many)
    assert [t.get_text() for t in figure.axes[0].get_yticklabels()] == ["sales", "tv"]
    assert "of outcome and channels" in figure._suptitle.get_text()


def test_train_against_test_draws_the_differences():
    look = found()
    figure = data.train_test(look, colours=COLOURS)
    axes = figure.axes[0]
    dots = [line for line in axes.lines if line.get_marker() == "o"]
    np.testing.assert_allclose([d.get_xdata()[0] for d in dots], look["smd"])
    assert [d.get_color() for d in dots[1:3]] == list(COLOURS.values())
    assert {"training", "test", "above range"} <= set(texts(axes))
    with pytest.raises(InputError, match=r"explore\(panel, test\)"):
        data.train_test(explore(panel()))


def test_of_many_columns_the_outcome_and_channels_stay():
    df = pd.DataFrame({f"c{i}": np.arange(60.0) + i % 3 for i in range(20)})
    df = pd.concat([weekly(60), df], axis=1)
    names = {"date": "date", "outcome": "sales", "media": ["tv"], "controls": ["c*"]}
    look = explore(*Panel.from_frame(df, **names).split(SPLIT))
    figure = data.train_test(look)
    rows = [t.get_text() for t in figure.axes[0].get_yticklabels()]
    assert rows[:2] == ["sales", "tv"]
    assert len(rows) == 16
    assert figure._suptitle.get_text() == "Test against training, 16 of 22 columns"


def test_one_of_several_geos_is_chosen_and_named():
    look = found(geos=["North", "South"])
    for draw in (data.outcome, data.spend, data.spend_shares, data.against_outcome):
        with pytest.raises(InputError, match=r"geo: got None.*total=True"):
            draw(look)
        assert "in South" in draw(look, geo="South")._suptitle.get_text()
    figure = data.outcome(look, geo="South")
    np.testing.assert_allclose(figure.axes[0].lines[1].get_ydata(), look["outcome"][1])
    whole = explore(*panel(["North", "South"]).split(SPLIT), total=True)
    assert data.outcome(whole)._suptitle.get_text().startswith("Sales a week: ")


EVERY = {
    "outcome": data.outcome,
    "spend_shares": data.spend_shares,
    "correlations": data.correlations,
    "train_test": data.train_test,
}
GRIDS = {"spend": data.spend, "against_outcome": data.against_outcome}


@pytest.mark.parametrize("name", EVERY)
def test_axes_may_be_given(name):
    figure = Figure((12, 5))
    left, right = figure.subplots(1, 2)
    assert EVERY[name](found(), ax=right) is figure
    assert right.get_title(loc="left")
    assert right.has_data()
    assert not left.has_data()


@pytest.mark.parametrize("width", [4.0, 11.0])
@pytest.mark.parametrize("name", EVERY | GRIDS)
def test_legends_and_titles_lie_beside_the_data(name, width):
    figure = (EVERY | GRIDS)[name](found(), width=width)
    figure.draw_without_rendering()
    whole = figure.bbox
    frames = [axes.get_window_extent() for axes in figure.axes]
    title = figure._suptitle.get_window_extent()
    assert title.y0 >= max(frame.y1 for frame in frames)
    assert title.x1 <= whole.x1
    legends = [*figure.legends, *(axes.get_legend() for axes in figure.axes)]
    for legend in filter(None, legends):
        box = legend.get_window_extent()
        assert box.y1 <= min(frame.y0 for frame in frames)
        assert box.x1 <= whole.x1 + 1
        assert box.y0 >= whole.y0 - 1
    for axes in figure.axes:
        label = axes.xaxis.label.get_window_extent()
        for legend in figure.legends:
            assert not label.overlaps(legend.get_window_extent()) or not label.width


def test_a_dollar_in_a_name_is_a_dollar():
    look = found(media={"$a$": "tv", r"\$b^": "radio"}, currency="$")
    for draw in (EVERY | GRIDS).values():
        assert c.to_svg(draw(look)).startswith("<?xml")
