from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from mmmjax.exploration import Finding, describe, warnings
from mmmjax.panel import Panel
from tests.tables import NAMES, weekly

GEOS = ["North", "South"]
CASE = Path(__file__).resolve().parents[1].parent / "shared" / "data" / "case_study.csv"


def look(df, n_parameters=None, **names):
    """Findings by code."""
    panel = Panel.from_frame(df, **(NAMES | names))
    return {f.code: f for f in warnings(panel, n_parameters=n_parameters)}


def test_good_data_raise_nothing():
    assert look(weekly(40)) == {}
    assert look(weekly(40, geos=GEOS), geo="geo", n_parameters=80) == {}


def test_more_parameters_than_data():
    found = look(weekly(40), n_parameters=41)["parameters"]
    assert found.severity == "serious"
    assert "41 parameters for 40 observed outcomes" in str(found)


def test_collinear_channels_are_named_once_with_their_partner():
    df = weekly(60).assign(seo=np.arange(60) % 7)
    df["radio"] = 3 * df.tv + 1 + 0.01 * df.radio
    found = look(df, media=["tv", "radio", "seo"])["collinear"]
    assert found.where == ("tv", "radio")
    assert 'correlation 1.00 with "tv"' in found.message
    assert found.message.count("correlation") == 1
    assert "condition number of the media 650" in found.message
    assert "lift test" in found.message


def test_a_channel_that_follows_a_control_is_collinear():
    df = weekly(60)
    df["tv"] = 2 + df.promo + 0.01 * df.tv
    found = look(df)["collinear"]
    assert found.where == ("tv",)
    assert 'with "promo"' in found.message


def test_channels_that_move_together_within_geos_only():
    df = weekly(40, geos=GEOS)
    df["radio"] = df.tv + np.where(df.geo == "North", 0, 1e4)  # not collinear over geos
    assert look(df, geo="geo")["collinear"].where == ("tv", "radio")


def test_dependent_controls_are_named():
    df = weekly(60)
    df = df.assign(
        temp=df.tv * df.radio,
        eve=df.promo,
        day=2 * df.promo + 1,
        sum=lambda d: d.temp - d.index,
        week=df.index,
    )
    found = look(df, controls=["promo", "eve", "day", "temp", "week", "sum"])["rank"]
    assert found.severity == "warning"
    assert '"promo", "eve" and "day" always move together' in found.message
    assert "is a combination of" in found.message
    assert set(found.where) == {"promo", "eve", "day", "temp", "week", "sum"}


def test_dummies_that_add_up_to_one_are_dependent():
    df = pd.get_dummies(weekly(40).assign(q=np.arange(40) % 4), columns=["q"], dtype=float)
    assert set(look(df, controls=["q_*"])["rank"].where) == {"q_0", "q_1", "q_2", "q_3"}


def test_columns_constant_within_geos():
    df = weekly(40, geos=GEOS)
    df["income"] = np.where(df.geo == "North", 31_234.7, 28_111.3)
    found = look(df, geo="geo", controls=["promo", "income"])
    assert found["geo_constant"].where == ("income",)
    assert list(found) == ["geo_constant"]


def test_sparse_channels_are_counted():
    df = weekly(60)
    df.loc[4:, "tv"] = 0
    found = look(df)["sparse"]
    assert found.where == ("tv",)
    assert '"tv" (4)' in found.message
    assert "60 periods" in found.message


def test_missing_outcomes_are_a_note():
    df = weekly(40)
    df.loc[10:15, "sales"] = np.nan
    found = look(df)["missing"]
    assert found.severity == "note"
    assert "15% of the outcomes are missing (first: 2023-03-12)" in found.message


def test_the_most_severe_come_first():
    df = weekly(40)
    df.loc[10:15, "sales"] = np.nan
    df["radio"] = df.tv
    found = warnings(Panel.from_frame(df, **NAMES), n_parameters=99)
    assert [f.severity for f in found] == ["serious", "warning", "note"]
    assert all(isinstance(f, Finding) for f in found)


@pytest.mark.parametrize("periods", [2, 3])
def test_tiny_tables_do_not_break_it(periods):
    look(weekly(periods), n_parameters=2)
    describe(Panel.from_frame(weekly(periods), **NAMES))
    describe(Panel.from_frame(weekly(periods).assign(tv=0.0), **NAMES))
    empty = Panel.from_frame(weekly(periods), **(NAMES | {"media": [], "controls": []}))
    assert warnings(empty) == ()
    assert len(describe(empty)) == 0


def test_a_panel_without_outcome_can_be_described():
    assert look(weekly(), outcome=None) == {}
    assert (
        describe(Panel.from_frame(weekly(), **(NAMES | {"outcome": None}))).vif.isna().all()
    )


def test_describe_counts_the_window():
    df = weekly(30).assign(cost=lambda d: 2 * d.tv)
    df.loc[:1, "sales"] = np.nan
    df.loc[2:5, "tv"] = 0
    panel = Panel.from_frame(df, **NAMES, spend={"tv": "cost"})
    table = describe(panel)
    window = df[2:]
    assert table.index.tolist() == ["tv", "radio", "promo"]
    assert table.kind.tolist() == ["media", "media", "control"]
    tv = table.loc["tv"]
    assert tv.total == pytest.approx(window.tv.sum())
    assert tv.largest == window.tv.max()
    assert tv.spend == pytest.approx(window.cost.sum())
    assert tv.share == 1
    assert tv.active == pytest.approx(24 / 28)
    assert tv["first"] == pd.Timestamp("2023-02-12")
    assert tv["last"] == df.date.iloc[-1]
    assert tv.correlation == pytest.approx(window.tv.corr(window.sales))
    assert np.isnan(table.loc["radio", "spend"])
    assert (table.vif >= 1).all()


@pytest.mark.skipif(not CASE.is_file(), reason=f"no {CASE}")
def test_the_holidays_of_the_case_study_share_weeks():
    media = ["mdsp_dm", "mdsp_inst", "mdsp_nsp", "mdsp_on", "mdsp_audtr", "mdsp_so"]
    names = {"date": "wk_strt_dt", "outcome": "sales", "media": media, "controls": "hldy_*"}
    found = warnings(Panel.from_file(CASE, **names), n_parameters=55)
    assert [f.code for f in found] == ["rank"]
    assert '"hldy_Christmas Day" and "hldy_Day after Christmas"' in found[0].message
    assert "Thanksgiving" in found[0].message
