from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from mmmjax.checks import InputError
from mmmjax.exploration import describe, explore, rare, robust_z, warnings
from mmmjax.exploration.outliers import quarter
from mmmjax.findings import Finding
from mmmjax.panel import Panel
from mmmjax.scaling import Scale
from tests.tables import NAMES, weekly

GEOS = ["North", "South"]
CASE = Path(__file__).resolve().parents[1].parent / "shared" / "data" / "case_study.csv"


def look(df, n_parameters=None, until=None, **names):
    """Findings by code, of the panel up to a date against the periods after it."""
    panel, test = Panel.from_frame(df, **(NAMES | names)), None
    if until is not None:
        panel, test = panel.split(until)
    return {f.code: f for f in warnings(panel, test, n_parameters)}


def test_good_data_raise_nothing():
    assert look(weekly(40)) == {}
    assert look(weekly(40, geos=GEOS), geo="geo", n_parameters=80) == {}


def test_more_parameters_than_data():
    found = look(weekly(40), n_parameters=41)["parameters"]
    assert found.level == "serious"
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
    assert found.level == "warning"
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


def test_media_that_are_no_money_are_named():
    df = weekly(60).assign(tv_impressions=lambda d: d["tv"] * 1e4)
    names = NAMES | {"media": ["tv_impressions", "radio"]}
    (found,) = [f for f in warnings(Panel.from_frame(df, **names)) if f.code == "not_money"]
    assert found.where == ("tv_impressions",)
    assert "columns of money under spend" in found.message
    apart = Panel.from_frame(df, **names, spend={"tv_impressions": "tv", "radio": "radio"})
    assert "not_money" not in {f.code for f in warnings(apart)}


def test_spend_above_the_outcome_is_said():
    df = weekly(60).assign(tv=lambda d: d["tv"] * 1e6)
    (found,) = [f for f in warnings(Panel.from_frame(df, **NAMES)) if f.code == "not_money"]
    assert "times the outcome" in found.message


def test_media_that_cost_nothing_in_a_period_are_said():
    df = weekly(60).assign(cost=lambda d: d["tv"] * 2.0)
    df.loc[[7, 9], "cost"] = 0.0
    panel = Panel.from_frame(df, **NAMES, spend={"tv": "cost", "radio": "radio"})
    (found,) = [f for f in warnings(panel) if f.code == "unpaid"]
    assert found.where == ("tv",)
    assert f"(2, first {df['date'][7]:%Y-%m-%d})" in found.message


def test_missing_outcomes_are_a_note():
    df = weekly(40)
    df.loc[10:15, "sales"] = np.nan
    found = look(df)["missing"]
    assert found.level == "note"
    assert "15% of the outcomes are missing (first: 2023-03-12)" in found.message


def test_the_most_severe_come_first():
    df = weekly(40)
    df.loc[10:15, "sales"] = np.nan
    df["radio"] = df.tv
    found = warnings(Panel.from_frame(df, **NAMES), n_parameters=99)
    levels = [f.level for f in found]
    assert set(levels) == {"serious", "warning", "note"}
    assert levels == sorted(levels, key=["serious", "warning", "note"].index)
    assert all(isinstance(f, Finding) for f in found)


@pytest.mark.parametrize("periods", [2, 3])
def test_tiny_tables_do_not_break_it(periods):
    look(weekly(periods), n_parameters=2)
    look(weekly(periods), until="2023-01-01")
    describe(Panel.from_frame(weekly(periods), **NAMES))
    explore(Panel.from_frame(weekly(periods), **NAMES))
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
    train, test = Panel.from_file(CASE, **names).split("2018-02-01")
    found = warnings(train, test, 54)
    assert [f.code for f in found] == ["rank", "outcome_outliers", "media_outliers"]
    assert '"hldy_Christmas Day" and "hldy_Day after Christmas"' in found[0].message
    assert "Thanksgiving" in found[0].message
    assert "3 of them without an event control: 2017-12-17" in found[1].message
    assert found[2].where == ("mdsp_so",)


def z_by_loop(series, window):
    """The definition, one period at a time."""
    half, n = window // 2, len(series)
    level = [np.median(series[max(t - half, 0) : t + half + 1]) for t in range(n)]
    rest = series - np.array(level)
    apart = rest - np.median(rest)
    return np.array(level), apart / (1.4826 * np.median(np.abs(apart)))


@pytest.mark.parametrize("window", [5, 13])
def test_robust_z_is_its_definition(window):
    series = np.random.default_rng(0).gamma(2.0, 10.0, (2, 3, 40))
    found = robust_z(series, window)
    for i, j in np.ndindex(2, 3):
        level, z = z_by_loop(series[i, j], window)
        np.testing.assert_allclose(found.level[i, j], level)
        np.testing.assert_allclose(found.z[i, j], z)


def test_robust_z_at_the_edges():
    flat = np.full(30, 7.0)
    assert (robust_z(flat, 5).z == 0).all()
    spike = flat.copy()
    spike[11] = 70.0  # the median absolute deviation is 0: the mean one takes its place
    assert robust_z(spike, 5).z[11] == pytest.approx(63 / (1.2533 * 63 / 30))
    holes = np.random.default_rng(1).normal(size=30)
    holes[[3, 4]] = np.nan
    z = robust_z(holes, 5).z
    assert np.isnan(z).tolist() == np.isnan(holes).tolist()
    assert (robust_z(np.arange(7.0) ** 9, 5).z == 0).all()  # too few to say
    assert np.isnan(robust_z(np.full((2, 9), np.nan), 5).z).all()


def test_the_scale_may_come_from_the_first_periods():
    series = np.random.default_rng(0).normal(size=60)
    later = np.concatenate([series, 50 * series[:20]])
    z = robust_z(later, 5, 60).z
    np.testing.assert_allclose(z[:55], robust_z(series, 5).z[:55], rtol=0.2)
    assert np.abs(z[60:]).max() > 20


@pytest.mark.parametrize(
    ("freq", "periods"), [("W-SUN", 13), ("D", 91), ("MS", 5), ("B", 65), ("YS", 5)]
)
def test_a_quarter_in_periods(freq, periods):
    assert quarter(freq) == periods


def test_outliers_of_the_outcome_are_told_from_events():
    df = weekly(60)
    df["holiday"] = (df.index % 26 == 5).astype(float)
    df.loc[[5, 31], "sales"] = 900.0
    said = look(df, controls=["promo", "holiday"])["outcome_outliers"]
    assert said.level == "note"
    assert "2 of 60 periods" in said.message
    assert "all with an event control" in said.message
    df.loc[40, "sales"] = 800.0
    said = look(df, controls=["promo", "holiday"])["outcome_outliers"]
    assert said.level == "warning"
    assert "3 of 60 periods" in said.message
    assert "1 of them without an event control: 2023-10-08 (z +" in said.message
    assert said.where == ("sales",)
    panel = Panel.from_frame(df, **(NAMES | {"controls": ["promo", "holiday"]}))
    assert rare(panel).tolist() == [False, True]


def test_noise_alone_rarely_has_outliers_worth_a_word():
    rng, df, said = np.random.default_rng(0), weekly(156), 0
    for _ in range(60):
        said += "outcome_outliers" in look(df.assign(sales=rng.normal(100, 10, 156)))
    assert said <= 6  # 2 to 3% measured; 60 draws exceed 6 once in 10,000


def test_outliers_of_geos_say_where():
    df = pd.concat([weekly(50).assign(geo=f"g{i}") for i in range(8)], ignore_index=True)
    assert "outcome_outliers" not in look(df, geo="geo")
    df.loc[20, "sales"] = 900
    said = look(df, geo="geo")["outcome_outliers"]
    assert "g0 2023-05-21" in said.message
    assert "1 of 400 geo-periods" in said.message


def test_a_typing_error_is_a_warning_that_says_what_the_scale_does():
    df = weekly(60)
    df["tv"] += 5
    df.loc[30, "tv"] *= 10
    df.loc[12, "sales"] = 290.0
    found = look(df)
    said = found["recorded_outlier"]
    assert said.level == "warning"
    assert said.where == ("sales", "tv")
    second = df.tv.drop(30).max()
    times = df.tv[30] / second
    assert f'"tv" 2023-07-30 ({times:.1f} times the second largest)' in said.message
    assert "divides by the second largest instead" in said.message
    assert said.value == pytest.approx(times)
    assert Scale.fit(Panel.from_frame(df, **NAMES)).media[0, 0] == second
    assert "media_outliers" not in found


def test_two_typing_errors_squeeze_the_rest():
    df = weekly(60)
    df["tv"] += 5
    df.loc[[30, 40], "tv"] *= 10
    said = look(df)["media_outliers"]
    assert said.level == "warning"
    assert said.where == ("tv",)
    assert '"tv" 2023-' in said.message
    assert "squeezed" in said.message


def test_recorded_outliers_are_found_in_every_table():
    """Of 25 tables with 15 times in one week all are found, of those without hardly any."""
    rng, false = np.random.default_rng(0), 0
    for _ in range(25):
        on = rng.random((104, 2)) < 0.7  # flighted, of very different sizes
        df = weekly(104).assign(sales=rng.normal(100, 10, 104))
        df[["tv", "radio"]] = on * rng.lognormal(3, 0.35, (104, 2))
        false += "recorded_outlier" in look(df)
        df.loc[rng.choice(np.flatnonzero(on.all(1))), ["tv", "radio"]] *= 15
        assert set(look(df)["recorded_outlier"].where) == {"tv", "radio"}
    assert false <= 1


def test_an_outlier_of_spend_alone_is_found_but_does_not_squeeze_media():
    df = weekly(60).assign(tv=lambda d: d.tv + 5, cost=lambda d: 2 * d.tv)
    df.loc[30, "cost"] *= 20
    said = look(df, spend={"tv": "cost"})["media_outliers"]
    assert said.level == "note"
    assert "typing error" in said.message


def test_bursts_of_a_flighted_channel_are_no_outliers():
    df = weekly(60)
    df["tv"] = np.where(np.arange(60) % 10 < 2, df.tv + 20, 0.0)
    assert "media_outliers" not in look(df)


def test_test_media_beyond_training_are_said():
    df = weekly(60)
    df["radio"] = df.radio[::-1].cummax()
    df.loc[50:, "tv"] = 9.5
    said = look(df, until="2023-12-10")["beyond_training"]
    assert said.level == "warning"
    assert said.where == ("tv",)
    assert '"tv" (100% of the cells, ' in said.message
    df = weekly(60)
    df.loc[:49, "tv"] = df.loc[:49, "tv"].clip(upper=5)
    df.loc[50:, "tv"] = [*[1.0] * 9, 5.1]
    assert look(df, until="2023-12-10")["beyond_training"].level == "note"
    df["tv"], df["radio"] = np.arange(60)[::-1], df.radio[::-1].cummax()
    assert "beyond_training" not in look(df, until="2023-12-10")


def test_columns_that_only_change_in_the_test_are_said_once():
    df = weekly(60)
    df["sale"] = (df.index == 55).astype(float)
    df.loc[:49, "radio"] = 0.0
    found = look(df, controls=["promo", "sale"], until="2023-12-10")
    assert found["new_in_test"].where == ("radio", "sale")
    assert found["new_in_test"].level == "warning"
    assert "beyond_training" not in found  # of a channel that never ran there is no range


def test_messages_stay_short_with_many_columns():
    rng = np.random.default_rng(0)
    df = weekly(60)
    names = [f"channel {i}" for i in range(30)]
    df = pd.concat([df, pd.DataFrame(rng.uniform(1, 9, (60, 30)), columns=names)], axis=1)
    df.loc[30, names] = 500.0
    df.loc[58, names] = 900.0
    df["sales"] = np.where(df.index % 7 == 0, 900.0, df.sales)
    said = []
    for finding in look(df, media=names, until="2023-12-10").values():
        assert len(finding.message) < 440, finding.message
        said.append("and 27 more" in finding.message)
    assert any(said)


def test_explore_has_the_series_of_both_windows():
    df = weekly(40, geos=GEOS).assign(cost=lambda d: 2 * d.tv)
    df.loc[df.date < "2023-01-10", "sales"] = np.nan
    panel = Panel.from_frame(df, **NAMES, geo="geo", spend={"tv": "cost"}, currency="EUR")
    train, test = panel.split("2023-08-01")
    found = explore(train, test)
    assert dict(found.sizes) == {
        "geo": 2, "date": 38, "channel": 2, "control": 1, "variable": 4, "other": 4,
    }  # fmt: skip
    assert found["in_test"].to_numpy().sum() == len(test.dates)
    assert found["variable"].to_numpy().tolist() == ["sales", "tv", "radio", "promo"]
    assert found["kind"].to_numpy().tolist() == ["outcome", "media", "media", "control"]
    south = df[(df.geo == "South") & (df.date > "2023-01-10")]
    one = found.sel(geo="South")
    np.testing.assert_allclose(one["outcome"], south.sales)
    np.testing.assert_allclose(one["spend"].sel(channel="tv"), south.cost)
    assert found["spend"].sel(channel="radio").isnull().all()
    np.testing.assert_allclose(one["controls"].sel(control="promo"), south.promo)
    assert found.attrs["outcome"] == "sales"
    assert found.attrs["currency"] == "EUR"


def test_explore_counts_training_by_geo():
    df = weekly(40, geos=GEOS).assign(cost=lambda d: 2 * d.tv, fee=lambda d: d.radio)
    df.loc[:9, "tv"] = 0.0
    panel = Panel.from_frame(df, **NAMES, geo="geo", spend={"tv": "cost", "radio": "fee"})
    train, test = panel.split("2023-08-01")
    for found in (explore(train), explore(train, test)):
        old = df[df.date <= "2023-08-01"]
        for geo, part in old.groupby("geo"):
            one = found.sel(geo=geo)
            spend = part[["cost", "fee"]].sum()
            np.testing.assert_allclose(one["spend_total"], spend)
            np.testing.assert_allclose(one["spend_share"], spend / spend.sum())
            np.testing.assert_allclose(one["active"], (part[["tv", "radio"]] > 0).mean())
            matrix = part[["sales", "tv", "radio", "promo"]].corr()
            np.testing.assert_allclose(one["correlation"], matrix["sales"])
        columns = ["sales", "tv", "radio", "promo"]
        inside = old[columns] - old.groupby("geo")[columns].transform("mean")
        np.testing.assert_allclose(found["correlations"], inside.corr())
        table = describe(train)
        np.testing.assert_allclose(found["vif"][1:], table.vif)
        np.testing.assert_allclose(found["correlations"][0, 1:], table.correlation)


def test_train_against_test_is_its_definition():
    df = weekly(40, geos=GEOS)
    df["income"] = np.where(df.geo == "North", 3.0, 1.0) + df.index / 100
    df.loc[75:, "radio"] += 9
    panel = Panel.from_frame(df, **(NAMES | {"controls": ["promo", "income"]}), geo="geo")
    train, test = panel.split("2023-08-01")
    found = explore(train, test)
    df["new"] = df.date > "2023-08-01"
    for name in ("sales", "tv", "radio", "promo", "income"):
        one = found.sel(variable=name)
        old, new = df[~df.new], df[df.new]
        assert float(one["train_mean"]) == pytest.approx(old[name].mean())
        assert float(one["test_mean"]) == pytest.approx(new[name].mean())
        centre = old.groupby("geo")[name].mean()
        shift = (new[name] - new.geo.map(centre)).mean()
        spread = [((x[name] - x.groupby("geo")[name].transform("mean")) ** 2).mean()
                  for x in (old, new)]  # fmt: skip
        assert float(one["smd"]) == pytest.approx(shift / np.sqrt(sum(spread) / 2))
        top = new.geo.map(old.groupby("geo")[name].max())
        assert float(one["beyond"]) == pytest.approx((new[name] > top).mean())
        assert float(one["times"]) == pytest.approx((new[name] / top).max())


def test_constant_columns_have_no_standardised_difference():
    df = weekly(40)
    df["sale"], df["never"] = (df.index > 35) * 1.0, 0.0
    df["level"] = np.where(df.index > 29, 2.0, 1.0)
    names = NAMES | {"controls": ["sale", "never", "level"]}
    train, test = Panel.from_frame(df, **names).split("2023-07-25")
    found = explore(train, test)
    smd = found["smd"].sel(variable=["sale", "never", "level"]).to_numpy()
    assert np.isfinite(smd[0])
    assert smd[1] == 0
    assert np.isposinf(smd[2])
    assert np.isnan(found["correlations"].sel(variable="never", other="sales"))


def test_totals_are_sums_over_geos():
    df = weekly(40, geos=GEOS)
    train, test = Panel.from_frame(df, **NAMES, geo="geo").split("2023-08-01")
    found = explore(train, test, total=True)
    assert found["geo"].to_numpy().tolist() == ["ALL"]
    whole = df.groupby("date")[["sales", "tv", "radio"]].sum()
    np.testing.assert_allclose(found["outcome"][0], whole.sales)
    np.testing.assert_allclose(found["media"][0], whole[["tv", "radio"]])
    np.testing.assert_allclose(found["controls"][0, :, 0], df.promo[:40])
    old = whole[whole.index <= "2023-08-01"]
    np.testing.assert_allclose(
        found["correlation"][0, 1], old.sales.corr(old.tv), atol=1e-12
    )
    df.loc[3, "sales"] = np.nan  # a total with a part missing is not known
    panel = Panel.from_frame(df, **NAMES, geo="geo")
    gap = explore(panel, total=True)["outcome"][0]
    assert np.flatnonzero(np.isnan(gap)).tolist() == [3]


def test_outliers_of_training_do_not_depend_on_the_size_of_the_test():
    df = weekly(60)
    df.loc[[20, 58], "sales"] = 900.0
    train, test = Panel.from_frame(df, **NAMES).split("2023-12-10")
    alone, both = explore(train), explore(train, test)
    np.testing.assert_allclose(
        both["outcome_z"][0, :40], alone["outcome_z"][0, :40], rtol=0.1
    )
    assert np.flatnonzero(both["outcome_outlier"][0]).tolist() == [20, 58]
    said = {f.code: f for f in warnings(train, test)}["outcome_outliers"]
    assert "1 of 50 periods" in said.message


def test_a_test_panel_must_follow():
    train, test = Panel.from_frame(weekly(40), **NAMES).split("2023-08-01")
    for function in (explore, warnings):
        with pytest.raises(InputError, match="test panel"):
            function(test, train)


@pytest.mark.parametrize("total", [False, True])
def test_late_geos_and_missing_cells_do_not_break_it(total):
    df = weekly(40, geos=GEOS)
    df = df.drop(df[(df.geo == "South") & (df.date < "2023-03-01")].index)
    df.loc[5, "sales"] = np.nan
    train, test = Panel.from_frame(df, **NAMES, geo="geo").split("2023-08-01")
    found = explore(train, test, total=total)
    assert np.isfinite(found["smd"]).all()
    assert np.isfinite(found["active"]).all()
    if not total:
        late = found.sel(geo="South", channel="tv")["media"].to_numpy()
        assert np.isnan(late[:9]).all()
        assert np.isfinite(late[9:]).all()
        assert float(found["active"].sel(geo="South", channel="tv")) == 1.0
    empty = Panel.from_frame(df, **(NAMES | {"media": [], "controls": []}), geo="geo")
    assert explore(empty, total=total).sizes["channel"] == 0


def test_a_control_that_follows_media_is_named():
    df = weekly(60)
    noise = np.random.default_rng(0).normal(size=60)
    slow = df.tv + 0.5 * df.tv.shift(1, fill_value=0) + 0.25 * df.tv.shift(2, fill_value=0)
    df = df.assign(visits=3 * df.tv + noise, slow=slow + 0.3 * noise, own=noise)
    found = look(df, controls=["promo", "visits", "slow", "own"])["control_media"]
    assert (found.level, found.where) == ("warning", ("visits", "slow"))
    assert '"visits" with "tv" (+0.9' in found.what
    assert "control_media" not in look(df, controls=["promo", "own"])
    geos = pd.concat([df.assign(geo="N"), df.assign(geo="S", visits=90 - df.tv, tv=df.tv)])
    found = look(geos.assign(sales=geos.sales + noise[0]), geo="geo", controls=["visits"])
    assert "control_media" not in found  # +1 in one geo, -1 in the other: no one story


def test_controls_beyond_training_are_said():
    df = weekly(60).assign(price=10.0 + np.arange(60) % 5, temp=np.arange(60) % 7 * 1.0)
    df.loc[50:, "price"] = 22.0
    df.loc[55:, "temp"] = 6.3
    names = {"controls": ["promo", "price", "temp"]}
    found = look(df, until=df.date[44], **names)["controls_beyond"]
    assert (found.level, found.where) == ("warning", ("price", "temp"))
    first = df.date[50].date()
    assert f'"price" (first {first}, up to 200% of its range beyond)' in found.what
    assert found.value == pytest.approx(2.0)
    df["price"] = 10.0 + np.arange(60) % 5
    assert look(df, until=df.date[44], **names)["controls_beyond"].level == "note"
    df["temp"] = df.temp.clip(upper=6)
    assert "controls_beyond" not in look(df, until=df.date[44], **names)
    df.loc[52, "price"] = -1.0  # below
    assert "275%" in look(df, until=df.date[44], **names)["controls_beyond"].what


def test_what_a_population_does_is_said():
    df = weekly(40, geos=GEOS)
    found = look(df, geo="geo", population="people")["population"]
    assert (found.level, "divides media" in found.what) == ("note", True)
    assert 'media_scale = "geo"' in found.remedy
    df.loc[(df.geo == GEOS[1]) & (df.date >= df.date[20]), "people"] *= 1000
    found = look(df, geo="geo", population="people")["population"]
    assert (found.level, found.value) == ("warning", pytest.approx(1000))
    assert f"{df.date[20]:%Y-%m-%d} in {GEOS[1]}" in found.what
    one = df[df.geo == GEOS[0]]
    assert (
        "no number of one geo"
        in look(one, geo="geo", population="people")["population"].what
    )
