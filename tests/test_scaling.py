from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import mmmjax
from mmmjax.checks import InputError
from mmmjax.panel import Panel
from mmmjax.scaling import Scale, spend_share
from tests.tables import NAMES, weekly

GEOS = ["North", "South"]


def paid(df, **names):
    """A panel with tv bought for `cost` and radio organic."""
    return Panel.from_frame(df, **(NAMES | {"geo": "geo", "spend": {"tv": "cost"}} | names))


def table():
    df = weekly(geos=GEOS)
    df["tv"] *= np.where(df.geo == "North", 1, 5)
    df["sales"] *= np.where(df.geo == "North", 1, 3)
    return df.assign(cost=lambda d: d.tv * np.where(d.geo == "North", 2.0, 3.0))


def test_scales_are_maxima_of_the_window():
    df = table()
    df.loc[[0, 12], "sales"] = np.nan
    df.loc[[0, 12], "tv"] = 1e6  # history: not in the window
    panel = paid(df)
    window = df.drop([0, 12])
    shared = Scale.fit(panel)
    assert shared.outcome.tolist() == [window.sales.max()] * 2
    assert shared.media.tolist() == [[window.tv.max(), window.radio.max()]] * 2
    own = Scale.fit(panel, per_geo_outcome=True, per_geo_media=True)
    by_geo = window.groupby("geo")[["sales", "tv", "radio"]].max()
    np.testing.assert_array_equal(own.outcome, by_geo.sales)
    np.testing.assert_array_equal(own.media, by_geo[["tv", "radio"]])
    assert own.outcome.shape == (2,)


def test_cost_per_unit_is_spend_over_media_per_geo():
    df = table()
    df.loc[[0, 12], ["sales", "cost"]] = [np.nan, 1e6]  # history: other prices
    scale = Scale.fit(paid(df))
    np.testing.assert_allclose(scale.cost_per_unit[:, 0], [2, 3])
    assert np.isnan(scale.cost_per_unit[:, 1]).all()


@pytest.mark.parametrize("column", ["tv", "cost"])
def test_a_geo_without_media_or_spend_costs_as_overall(column):
    df = table()
    df.loc[12:, column] = 0
    overall = df.cost.sum() / df.tv.sum()
    assert paid(df).cost_per_unit()[:, 0].tolist() == pytest.approx([2, overall])


def test_a_channel_that_never_ran_has_scale_and_cost_one():
    df = table().assign(tv=0.0, cost=0.0)
    scale = Scale.fit(paid(df), per_geo_media=True)
    assert scale.media[:, 0].tolist() == [1, 1]
    assert scale.cost_per_unit[:, 0].tolist() == [1, 1]


@given(factor=st.floats(1e-3, 1e9))
def test_scaled_numbers_do_not_depend_on_currency(factor):
    df = table()
    panel, other = paid(df), paid(df.assign(sales=df.sales * factor, cost=df.cost * factor))
    a, b = Scale.fit(panel), Scale.fit(other)
    one, two = a.scale_outcome(panel.outcome), b.scale_outcome(other.outcome)
    np.testing.assert_allclose(one, two, rtol=1e-12)
    np.testing.assert_allclose(b.unscale_outcome(two), other.outcome, rtol=1e-12)
    np.testing.assert_allclose(b.cost_per_unit, factor * a.cost_per_unit, rtol=1e-12)
    np.testing.assert_allclose(spend_share(panel), spend_share(other), rtol=1e-12)
    assert a.scale_media(panel.media).max((0, 1)).tolist() == [1, 1]


def test_an_outcome_must_be_positive_somewhere():
    df = table()
    df.loc[12:, "sales"] *= -1
    Scale.fit(paid(df))
    place = r'outcome: got a largest value of .* at geo "South".* leave the geo out'
    with pytest.raises(InputError, match=place):
        Scale.fit(paid(df), per_geo_outcome=True)
    with pytest.raises(InputError, match="name the right column"):
        Scale.fit(paid(df.assign(sales=-1.0)))
    with pytest.raises(InputError, match="got a largest value of -inf"):
        Scale.fit(paid(df, outcome=None))


def test_spend_share_is_over_paid_channels_of_the_window():
    df = weekly().assign(seo=1.0)
    df.loc[0, ["sales", "tv"]] = [np.nan, 1e6]
    names = NAMES | {
        "media": ["tv", "radio", "seo"],
        "spend": {"tv": "tv", "radio": "radio"},
    }
    share = spend_share(Panel.from_frame(df, **names))
    total = df.tv[1:].sum() + df.radio[1:].sum()
    np.testing.assert_allclose(
        share, [df.tv[1:].sum() / total, df.radio[1:].sum() / total, 0.5]
    )


def test_a_channel_that_spent_nothing_has_a_share_with_width():
    """A prior of scale 0 has no density; the others still add up to one."""
    df = weekly().assign(seo=0.0)
    names = NAMES | {"media": ["tv", "radio", "seo"]}
    share = spend_share(Panel.from_frame(df, **names))
    np.testing.assert_allclose(share[:2].sum(), 1.0)
    np.testing.assert_allclose(share[2], 0.5)


def test_spend_share_needs_a_paid_channel():
    panel = Panel.from_frame(weekly(), **NAMES, spend={})
    with pytest.raises(InputError, match=r'spend_share: .* scale = "media_share"'):
        spend_share(panel)


def test_a_scale_cannot_be_changed():
    with pytest.raises(ValueError, match="read-only"):
        Scale.fit(paid(table())).outcome[0] = 1.0


def test_one_outlier_moves_no_units():
    df = table()
    df.loc[5, ["tv", "cost", "sales"]] *= 20
    plain, hit = Scale.fit(paid(table())), Scale.fit(paid(df))
    north = df[df.geo == "North"].drop(5)
    own = Scale.fit(paid(df), per_geo_outcome=True, per_geo_media=True)
    assert own.outcome[0] == north.sales.max()
    assert own.media[0, 0] == north.tv.max()
    np.testing.assert_array_equal(hit.media, plain.media)  # South is larger
    np.testing.assert_array_equal(hit.outcome, plain.outcome)
    largest = Scale.fit(paid(df), robust=False)
    assert largest.outcome.tolist() == [df.sales.max()] * 2
    assert largest.media[:, 0].tolist() == [df.tv.max()] * 2


def test_the_same_week_in_every_geo_is_still_an_outlier():
    df = table()
    weeks = df.date == df.date[5]
    df.loc[weeks, ["tv", "radio"]] = (15 * df[["tv", "radio"]].max()).to_list()
    found = Scale.fit(paid(df)).media[0]
    np.testing.assert_array_equal(found, df.loc[~weeks, ["tv", "radio"]].max())
    assert Scale.fit(paid(df), robust=False).media[0, 0] == df.tv.max()


@pytest.mark.parametrize("name", ["demo", "case study"])
def test_demo_and_case_study_are_scaled_by_their_largest_values(name):
    """Bit by bit: no draw of theirs moves."""
    if name == "demo":
        file = Path(mmmjax.__file__).parent / "datasets" / "demo.csv"
        media = ["tv_spend", "search_spend", "social_spend", "radio_spend"]
        names, cut = {"date": "date", "outcome": "sales", "media": media}, "2025-09-22"
    else:
        file = Path(__file__).parents[2] / "shared" / "data" / "case_study.csv"
        if not file.is_file():
            pytest.skip(f"no {file}")
        media = ["mdsp_dm", "mdsp_inst", "mdsp_nsp", "mdsp_on", "mdsp_audtr", "mdsp_so"]
        names, cut = (
            {"date": "wk_strt_dt", "outcome": "sales", "media": media},
            "2018-02-01",
        )
    whole = Panel.from_file(file, **names)
    for panel in (whole, whole.split(cut)[0]):
        robust, largest = Scale.fit(panel), Scale.fit(panel, robust=False)
        np.testing.assert_array_equal(robust.media, largest.media)
        np.testing.assert_array_equal(robust.outcome, largest.outcome)
        assert robust.media[0].tolist() == panel.media[0].max(0).tolist()
