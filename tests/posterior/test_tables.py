"""The columns and rows of channels.csv and weekly.csv, against their xarray sources."""

import numpy as np
import pandas as pd
import pytest

from mmmjax import metrics
from mmmjax.posterior import (
    channels_table,
    contributions,
    decomposition,
    mroas,
    returns_table,
    roas,
    weekly_table,
)
from mmmjax.posterior.contributions import totals
from mmmjax.posterior.returns import over_all
from mmmjax.posterior.scope import Scope
from tests.posterior.examples import FITS, flat, geo_fit, national_fit

CHANNELS = [
    "geo", "channel", "spend", "contribution_mean", "contribution_lo", "contribution_hi",
    "share_mean", "share_lo", "share_hi", "roas_mean", "roas_lo", "roas_hi",
    "mroas_mean", "mroas_lo", "mroas_hi",
]  # fmt: skip


@pytest.mark.parametrize("kind", FITS)
def test_channels_table(kind):
    fit = FITS[kind](draws=30)
    table = channels_table(fit)
    assert list(table.columns) == CHANNELS
    names = [(g, c) for g in (*fit.panel.geos, "ALL") for c in fit.panel.channels]
    assert list(zip(table["geo"], table["channel"], strict=True)) == names
    index = table.set_index(["geo", "channel"])
    parts, value, slope = contributions(fit), roas(fit), mroas(fit)
    sources = {
        "contribution": (parts["channel_total"], parts["channel_total"].sum("geo")),
        "roas": (value["roas"], value["roas_total"]),
        "mroas": (slope["mroas"], slope["mroas_total"]),
    }
    for name, (each, total) in sources.items():
        for geo, channel in names:
            draws = total if geo == "ALL" else each.sel(geo=geo)
            draws = flat(draws.sel(channel=channel))
            lo, hi = metrics.hdi(draws, 0.94)
            row = index.loc[(geo, channel), [f"{name}_{s}" for s in ("mean", "lo", "hi")]]
            np.testing.assert_allclose(row.astype(float), [draws.mean(), lo, hi], rtol=1e-9)
    outcome = np.nansum(fit.panel.outcome)
    share = parts["channel_share"] * parts["outcome_total"] / outcome
    np.testing.assert_allclose(
        index.loc["ALL", "share_mean"], flat(share.sum("geo")).mean(0), rtol=1e-9
    )


def test_single_geo_has_its_row_and_all():
    table = channels_table(national_fit())
    assert list(table["geo"]) == ["national"] * 2 + ["ALL"] * 2
    numbers = table.drop(columns="geo").groupby("channel", sort=False)
    assert (numbers.nunique() == 1).all(axis=None)


def test_organic_channels_are_empty_not_zero():
    table = channels_table(geo_fit())
    organic = table[table["channel"] == "Mail"]
    money = ["spend", *(c for c in CHANNELS if "roas" in c)]
    assert organic[money].isna().all(axis=None)
    assert table[table["channel"] != "Mail"].notna().all(axis=None)
    assert (organic["contribution_mean"] > 0).all()


def test_carryover_is_the_default():
    fit = national_fit()
    counted, inside = channels_table(fit), channels_table(fit, carryover=False)
    more = counted["roas_mean"] - inside["roas_mean"]
    assert (more >= -1e-15 * counted["roas_mean"]).all()
    assert (more[counted["channel"] == "TV"] > 0).all()
    ratio = inside["contribution_mean"] / inside["spend"]
    np.testing.assert_allclose(inside["roas_mean"], ratio, rtol=1e-12)


def test_weekly_table():
    fit = geo_fit(draws=30)
    table = weekly_table(fit)
    assert list(table.columns) == ["geo", "date", "component", "mean", "lo", "hi"]
    names = ["TV", "Search", "Mail", "baseline", "controls", "seasonality", "fitted_mean"]
    assert list(dict.fromkeys(table["component"])) == names
    present = fit.panel.present[:, fit.panel.history :]
    each = table[table["geo"] != "ALL"]
    assert len(each) == present.sum() * len(names)
    assert pd.api.types.is_datetime64_any_dtype(table["date"])
    wide = table.pivot(index=["geo", "date"], columns="component", values="mean")
    np.testing.assert_allclose(
        wide[names[:-1]].sum(axis=1), wide["fitted_mean"], rtol=1e-12
    )
    summed = each.groupby(["date", "component"])["mean"].sum()
    whole = table[table["geo"] == "ALL"].set_index(["date", "component"])["mean"]
    np.testing.assert_allclose(whole, summed.reindex(whole.index), rtol=1e-9)
    one = contributions(fit)["channel_contribution"].sel(geo="b", channel="Search")
    rows = table[(table["geo"] == "b") & (table["component"] == "Search")]
    np.testing.assert_allclose(rows[["mean", "lo", "hi"]], one.dropna("date").T, rtol=1e-12)


def test_weekly_table_of_one_market_has_no_sum():
    table = weekly_table(national_fit())
    assert set(table["geo"]) == {"national"}
    assert list(dict.fromkeys(table["component"])) == [
        "TV",
        "Radio",
        "baseline",
        "fitted_mean",
    ]


@pytest.mark.parametrize("make", [national_fit, geo_fit])
def test_returns_at_hand_give_the_same_channels(make):
    fit = make()
    known = returns_table(fit, ("year", "all"))
    pd.testing.assert_frame_equal(
        channels_table(fit, known=known), channels_table(fit), rtol=1e-12
    )


@pytest.mark.parametrize("kind", FITS)
def test_what_one_table_keeps_for_others_is_what_they_make_alone(kind):
    fit, again = FITS[kind](draws=30), FITS[kind](draws=30)
    weekly_table(fit)
    returns_table(fit)
    kept, alone = (totals(x, Scope.of(x)) for x in (fit, again))
    assert list(kept[0]) == list(alone[0])
    for name, values in alone[0].items():
        np.testing.assert_allclose(kept[0][name], values, rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(kept[1], alone[1], rtol=1e-9, atol=1e-9)
    both = (decomposition(x, total=None) for x in (fit, again))
    np.testing.assert_allclose(*(x["share"].to_numpy() for x in both), rtol=1e-9)
    found = flat(roas(fit)["roas_total"]), flat(mroas(fit)["mroas_total"])
    for x in (fit, again):
        for values, draws in zip(over_all(x), found, strict=True):
            np.testing.assert_allclose(values, draws, rtol=1e-9)
