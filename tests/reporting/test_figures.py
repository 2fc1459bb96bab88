"""Every figure: valid for plotly, true to its tables, the same colours everywhere."""

import json
from dataclasses import replace

import numpy as np
import pandas as pd
import plotly.graph_objects as go
import pytest

from mmmjax.plot.colours import channel_colours
from mmmjax.plot.labels import for_geo
from mmmjax.reporting import (
    backtests,
    figure,
    fitted,
    media,
    responses,
    returns,
    rows,
    sentences,
)
from mmmjax.reporting.html import figures
from tests.reporting import examples
from tests.reporting.examples import CHANNELS, NASTY


@pytest.fixture(scope="module")
def found():
    return examples.evidence()


@pytest.fixture(scope="module")
def drawn(found):
    return {**figures(found), **{curve.name: curve for curve in responses.curves(found)}}


ALL_OF_THEM = {
    "contributions", "decomposition", "returns", "bubbles", "periods", "timing", "sweep",
    "lags", "half_lives", "fitted", "residuals", "convergence", "contraction",
    "allocation", "backtest_scores", "backtest_forecasts", "stability", "curve-0",
    "curve-1", "curve-2",
}  # fmt: skip


def traces(figure_, group=None, mode=None):
    return [
        t for t in figure_.data
        if (group is None or t.get("legendgroup") == group)
        and (mode is None or t.get("mode") == mode)
    ]  # fmt: skip


def test_every_figure_is_drawn(drawn):
    assert set(drawn) == ALL_OF_THEM


@pytest.mark.parametrize("name", sorted(ALL_OF_THEM))
def test_figures_are_valid_for_plotly_in_every_view(drawn, name):
    one = drawn[name]
    template = json.loads(figure.as_json(figure.TEMPLATE))
    content = json.loads(figure.payload(one))
    go.Figure(content["data"], {**content["layout"], "template": template})
    for view in content.get("views", []):
        assert len(view["data"]) == len(content["data"])
        patched = [a | b for a, b in zip(content["data"], view["data"], strict=True)]
        go.Figure(patched, {**content["layout"], **view["layout"]})
        assert view["unit"]
    assert one.title
    assert one.alt
    groups = {trace.get("legendgroup") for trace in one.data}
    assert all(key.traces in groups for key in one.legend)
    for trace in one.data:
        assert len(trace["x"]) == len(trace["y"])


def test_settings_are_plotly_settings_without_logo_or_link():
    assert figure.CONFIG["displaylogo"] is False
    assert figure.CONFIG["showLink"] is False
    go.Figure(layout={"template": figure.TEMPLATE})


def test_a_channel_has_one_colour_in_all_figures(drawn):
    for name, colour in channel_colours(CHANNELS).items():
        for one in drawn.values():
            used = {
                str(trace.get(part, {}).get("color"))
                for trace in traces(one, name)
                for part in ("line", "marker")
                if trace.get("hoverinfo") != "skip"
            } - {"None"}  # fmt: skip
            assert used <= {colour}, one.name
            keys = [key.colour for key in one.legend if key.label == name]
            assert set(keys) <= {colour}, one.name


def test_contributions_are_those_of_weekly(found, drawn):
    rows = for_geo(found.weekly, None).set_index("component")
    rest = rows.loc["baseline", "mean"].to_numpy() + rows.loc["seasonality", "mean"]
    by = {t["legendgroup"]: t for t in drawn["contributions"].data}
    np.testing.assert_allclose(by["without media"]["y"], rest, rtol=1e-5)
    for name in CHANNELS:
        np.testing.assert_allclose(by[name]["y"], rows.loc[name, "mean"], rtol=1e-5)
    stacked = sum(np.array(t["y"]) for g, t in by.items() if g != "observed")
    np.testing.assert_allclose(stacked, rows.loc["fitted_mean", "mean"], rtol=1e-4)
    seen = for_geo(found.fitted, None)
    np.testing.assert_allclose(by["observed"]["y"], seen["observed"], rtol=1e-8)
    assert by["observed"]["x"] == [f"{day:%Y-%m-%d}" for day in seen["date"]]


def test_geos_can_be_chosen_and_are_those_of_the_tables(found, drawn):
    for name, table in (("contributions", found.weekly), ("fitted", found.fitted)):
        one = drawn[name]
        assert [v.label for v in one.views] == ["all geos", "north", "süd"]
        patch = one.views[2].patches[1]
        rows = table.loc[table["geo"] == "süd"]
        if name == "contributions":
            wanted = rows.loc[rows["component"] == NASTY, "mean"]
        else:
            later = found.forecast.loc[found.forecast["geo"] == "süd"]
            wanted = pd.concat([rows["hi"], later["hi"]])
        np.testing.assert_allclose(patch["y"], wanted, rtol=1e-4)
        assert "x" not in patch  # the dates of the sum serve


def test_geos_are_left_out_where_they_would_be_too_large(found, monkeypatch):
    monkeypatch.setattr(media, "MOST_CELLS", 10)
    monkeypatch.setattr(fitted, "MOST_CELLS", 10)
    for one, file in (
        (media.contributions(found), "weekly"),
        (fitted.fitted(found), "fitted"),
    ):
        assert one.views == []
        assert f"{file}.csv has each geo" in one.caption


def test_a_geo_that_starts_late_keeps_its_dates():
    found = examples.evidence()
    late = found.weekly.loc[
        (found.weekly["geo"] != "süd") | (found.weekly["date"] > found.window[4])
    ]
    view = media.contributions(examples.evidence(weekly=late)).views[2]
    assert len(view.patches[0]["x"]) == len(view.patches[0]["y"]) == examples.WEEKS - 5


def test_the_waterfall_ends_at_one_hundred_percent(found, drawn):
    (bars,) = drawn["decomposition"].data
    starts, shares = np.array(bars["base"]), np.array(bars["x"])
    np.testing.assert_allclose((starts + shares)[:-2], starts[1:-1], atol=1e-6)
    assert shares[-1] == pytest.approx(1.0)
    assert starts[-1] == 0
    table = for_geo(found.table("decomposition"), None).set_index("component")
    order = ["baseline", "seasonality", *CHANNELS]
    np.testing.assert_allclose(shares[:-1], table.loc[order, "share_mean"], rtol=1e-5)
    assert bars["text"][2] == "20.0%"


def test_returns_are_those_of_channels(found, drawn):
    rows = for_geo(found.channels, None).set_index("channel")
    for group, kind in (("ROAS", "roas"), ("mROAS", "mroas")):
        lines = traces(drawn["returns"], group, "lines")
        dots = traces(drawn["returns"], group, "markers")
        for name, line, dot in zip(CHANNELS[:2], lines, dots, strict=True):
            ends = rows.loc[name, [f"{kind}_lo", f"{kind}_hi"]].tolist()
            np.testing.assert_allclose(line["x"], ends, rtol=1e-5)
            assert dot["x"] == [pytest.approx(rows.loc[name, f"{kind}_mean"])]
    (true,) = traces(drawn["returns"], "true ROAS")
    assert true["x"] == [2.4]


def test_a_return_below_one_is_explained_only_where_there_is_one(found, drawn):
    words = "Below 1 a unit of money brings less than one unit of sales."
    assert drawn["returns"].caption.endswith("the number is the mean.")
    low = found.channels.assign(mroas_mean=found.channels["mroas_mean"] - 0.2)
    assert returns.returns(examples.evidence(channels=low)).caption.endswith(words)


def test_returns_are_money_with_a_line_at_one_where_the_outcome_has_a_value(found):
    panel = replace(found.fit.panel, outcome_value=0.5)
    paid = replace(found, fit=replace(found.fit, panel=panel))
    assert found.returned.per == "sales per US$"
    assert paid.returned.per == "US$ per US$"
    for make in (returns.returns, returns.bubbles):
        before, after = make(found), make(paid)
        assert "shapes" not in before.layout
        (line,) = after.layout["shapes"]
        at = ("x0", "x1") if make is returns.returns else ("y0", "y1")
        assert [line[end] for end in at] == [1, 1]
        assert "ROAS" not in str(after)
    table = for_geo(found.channels, None).set_index("channel")
    drawn = traces(returns.returns(paid), "return", "markers")
    for name, dot in zip(CHANNELS[:2], drawn, strict=True):
        assert dot["x"] == [pytest.approx(0.5 * table.loc[name, "roas_mean"])]
    (true,) = traces(returns.returns(paid), "true return")
    assert true["x"] == [1.2]
    before, after = (rows.channels(x) for x in (found, paid))
    assert before.heads[1:3] == ["ROAS", "mROAS"]
    assert after.heads[1:3] == ["return", "next return"]
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
    one = media.decomposition(examples.evidence(more={"decomposition": table}))
    assert one.data[0]["text"][1] == "0.0%"
    shown = json.dumps([one.data[0]["text"], one.data[0]["customdata"], one.alt])
    assert "-0.0%" not in shown
    same = found.plan.table.assign(optimized=99.999)
    cells = rows.plan(found, found.plan._replace(table=same)).rows
    assert [row[3].main for row in cells] == ["+0.0%", "+0.0%"]
    assert rows.written(-1e-5, 3) == "0.000"
    assert backtests._against(1.0001, 1.0) == "+0%"


def test_circles_are_as_large_as_the_spend(drawn):
    sizes = [t["marker"]["size"][0] - 12 for t in traces(drawn["bubbles"], mode="markers")]
    assert sizes[0] / sizes[1] == pytest.approx(np.sqrt(0.5), abs=0.02)


def test_names_of_circles_do_not_cover_each_other():
    places = returns._places([0.1, 0.1], [1.0, 0.9], [20, 20], ["one", "two"])
    assert places[0] == "top center"
    assert places[1] != "top center"


def test_returns_by_window_are_those_of_the_table(found, drawn):
    one, table = drawn["periods"], for_geo(found.table("returns"), None)
    assert [view.label for view in one.views] == ["by year", "by quarter"]
    quarters = table.loc[(table["kind"] == "quarter") & (table["channel"] == NASTY)]
    patch = one.views[1].patches[0]
    assert patch["x"] == ["2022Q1", "2022Q2", "2022Q3"]
    np.testing.assert_allclose(patch["y"], quarters["roas_mean"], rtol=1e-5)
    up = quarters["roas_hi"] - quarters["roas_mean"]
    np.testing.assert_allclose(patch["error_y"]["array"], up, rtol=1e-4)


def test_a_year_that_is_covered_in_part_says_so():
    rows = pd.DataFrame({"kind": "year", "window": ["2021", "2022"]})
    days = pd.date_range("2021-12-01", "2022-12-31", freq="7D")
    assert returns.window_names(days, rows) == {"2021": "2021 (part)", "2022": "2022"}


def test_now_and_later_are_shares_of_the_quarters(drawn):
    now, after = drawn["timing"].data
    np.testing.assert_allclose(np.array(now["x"]) + after["x"], 1.0, rtol=1e-5)
    assert after["x"][0] == pytest.approx(20 / 100, rel=1e-5)


def test_curves_show_today_and_what_was_never_seen(found):
    curves = responses.curves(found)
    assert [curve.title for curve in curves] == list(CHANNELS)
    mean, beyond = traces(curves[0], "mean")[0], traces(curves[0], "extrapolated")[0]
    assert mean["x"][-1] == beyond["x"][0] == pytest.approx(120.0)  # they join
    assert beyond["line"]["dash"] == "dot"
    panel = found.fit.panel
    spend = panel.spend[:, panel.window, 0].mean(axis=1).sum()
    (today,) = traces(curves[0], "today")
    assert today["x"] == [pytest.approx(spend, rel=1e-5)]
    wanted = np.interp(spend, [0, 12, 24, 36, 48], 10 * np.sqrt([0, 0.1, 0.2, 0.3, 0.4]))
    assert today["y"] == [pytest.approx(wanted, rel=1e-3)]
    assert "media (organic)" in curves[2].layout["xaxis"]["title"]["text"]


def test_of_many_channels_the_largest_have_curves(found, monkeypatch):
    monkeypatch.setattr(responses, "MOST_CURVES", 2)
    assert [curve.title for curve in responses.curves(found)] == list(CHANNELS[:2])


def test_the_sweep_has_changes_and_marginal_returns(found, drawn):
    one, table = drawn["sweep"], for_geo(found.table("sweep"), None)
    rows = table.loc[table["channel"] == "Search"]
    for view, measure in zip(one.views, ("uplift", "marginal"), strict=True):
        lo, hi, mean = view.patches[3:6]
        for patch, statistic in ((lo, "lo"), (hi, "hi"), (mean, "mean")):
            assert patch["x"] == rows["multiplier"].tolist()
            np.testing.assert_allclose(
                patch["y"], rows[f"{measure}_{statistic}"], rtol=1e-5
            )
    assert one.views[1].unit == "sales of the next US$"
    edges = [t for t in one.data if t.get("hoverinfo") == "skip"]
    assert [t["meta"] for t in edges] == ["few"] * 6  # drawn only where few are on show
    mail = one.views[1].patches[8]
    assert mail["y"] == [None] * 4  # organic: no return


def test_carry_over_is_shown_by_geo_where_it_differs():
    found = examples.evidence()
    assert responses.lags(found).views == ()
    found.more["carryover"] = examples.carryover(("north", "süd"))
    lags, lasts = responses.lags(found), responses.half_lives(found)
    assert (
        [v.label for v in lags.views] == [v.label for v in lasts.views] == ["north", "süd"]
    )
    assert sum(lags.views[0].patches[0]["y"]) == pytest.approx(1.0, abs=1e-4)
    assert lasts.views[0].patches[1]["x"] == [pytest.approx(0.8)]
    assert lasts.views[1].patches[1]["x"] == [pytest.approx(1.8)]


def test_fitted_joins_training_and_test(found, drawn):
    one = drawn["fitted"]
    lo, hi, mean, observed = one.data
    parts = [for_geo(found.fitted, None), for_geo(found.forecast, None)]
    rows = pd.concat(parts)
    for trace, name in ((lo, "lo"), (hi, "hi"), (mean, "mean"), (observed, "observed")):
        np.testing.assert_allclose(trace["y"], rows[name], rtol=1e-5)
    (shape,) = one.layout["shapes"]
    assert parts[0]["date"].max() < pd.Timestamp(shape["x0"]) < parts[1]["date"].min()
    assert one.layout["annotations"][0]["text"] == "test, not fitted"
    future = examples.evidence(forecast=found.forecast.assign(observed=np.nan))
    assert fitted.fitted(future).layout["annotations"][0]["text"] == "forecast"


def test_residuals_outside_their_interval_are_red(found, drawn):
    bars = drawn["residuals"].data[-1]
    rows = pd.concat([for_geo(found.fitted, None), for_geo(found.forecast, None)])
    left = (rows["observed"] - rows["mean"]).to_numpy()
    np.testing.assert_allclose(bars["y"], left, rtol=1e-3, atol=1e-4)
    outside = np.abs(left) > 15
    assert 0 < outside.sum() < outside.size
    colours = np.array(bars["marker"]["color"])
    assert set(colours[outside]) == {"#b42318"}
    assert "#b42318" not in colours[~outside]


def test_parameters_outside_the_limits_are_red(drawn):
    (points,) = drawn["convergence"].data
    assert points["marker"]["color"].count("#b42318") == 1
    assert points["x"][0] == 150  # the fewer of bulk and tail


def test_contraction_is_that_of_the_priors(drawn):
    (points,) = drawn["contraction"].data
    assert points["legendgroup"] == "saturation_beta"
    assert points["x"] == [0.5, -0.2]  # the intercept is no channel's; Mail's is unknown
    assert points["y"] == [0, 1]
    assert "prior 1 ± 0.500" in points["text"][0]


def test_the_plan_is_summed_over_geos(drawn):
    reference, optimised, limits = drawn["allocation"].data
    assert reference["x"] == [200, 200]
    assert optimised["x"] == [120, 280]
    assert limits["x"] == [100, 300, None, 100, 280, None]  # no limit: up to the plan


def test_the_backtest_is_that_of_its_tables(found, drawn):
    scores = drawn["backtest_scores"]
    assert [t["y"] for t in scores.data] == [[9, 10], [11, 12], [17, 18]]
    table = backtests.folds(found)
    assert [cell.main for cell in table.rows[0]] == [
        "1", "8 Mar 2022 to 1 Jun 2022", "9", "11", "17", "+18%", "+47%", "7.0%", "0.50",
        "90%", "usable",
    ]  # fmt: skip
    stable = drawn["stability"]
    assert [t["y"] for t in stable.data] == [[3, 4], [3, 4]]
    bands = traces(drawn["backtest_forecasts"], "interval")
    rows = for_geo(found.table("backtest_forecast"), None)
    np.testing.assert_allclose(bands[0]["y"], rows.loc[rows["fold"] == 1, "lo"], rtol=1e-5)


def test_figures_need_only_the_tables_that_every_fit_has():
    bare = examples.evidence(("national",), more=None, forecast=None, plan=None, truth={})
    assert set(figures(bare)) == {
        "contributions", "returns", "bubbles", "fitted", "residuals", "convergence",
    }  # fmt: skip
    assert figures(bare)["contributions"].views == []
    assert responses.curves(bare) == []
