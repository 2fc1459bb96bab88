"""What analysts bring is read right, whatever its types and order; views keep it right."""

import datetime
from decimal import Decimal
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mmmjax.checks import InputError, amount
from mmmjax.panel import Columns, Panel, for_prediction, for_training
from tests.tables import NAMES, weekly, with_cell

GEOS = ["North", "South"]
DATA = Path(__file__).resolve().parents[1].parent / "shared" / "data"
needs_data = pytest.mark.skipif(not DATA.is_dir(), reason=f"no data in {DATA}")


def read(df, **names):
    return Panel.from_frame(df, **(NAMES | names))


def again(panel):
    """The panel written to a table and read from it."""
    names = panel.columns.names(panel.channels)._asdict()
    return Panel.from_frame(panel.to_frame(), **names, freq=panel.freq)


def test_cells_land_where_they_belong():
    df = weekly(geos=GEOS).assign(cost=lambda d: 2 * d.tv)
    panel = read(df, geo="geo", spend={"tv": "cost"}, population="people", currency="EUR")
    assert panel.geos == ("North", "South")
    assert panel.channels == ("tv", "radio")
    assert panel.control_names == ("promo",)
    assert (panel.n_geos, panel.n_periods, panel.history) == (2, 12, 0)
    assert (panel.freq, panel.currency, panel.outcome_name) == ("W-SUN", "EUR", "sales")
    for g, geo in enumerate(GEOS):
        rows = df[df.geo == geo]
        np.testing.assert_array_equal(panel.outcome[g], rows.sales)
        np.testing.assert_array_equal(panel.media[g], rows[["tv", "radio"]])
        np.testing.assert_array_equal(panel.spend[g, :, 0], rows.cost)
        np.testing.assert_array_equal(panel.controls[g, :, 0], rows.promo)
    assert np.isnan(panel.spend[..., 1]).all()
    assert panel.paid.tolist() == [True, False]
    assert panel.organic == ("radio",)
    assert panel.population.tolist() == [1000, 1000]
    assert panel.present.all()
    assert panel.mask.all()


def test_media_is_spend_unless_told():
    panel = read(weekly())
    np.testing.assert_array_equal(panel.spend, panel.media)
    assert panel.geos == ("national",)
    assert panel.population is None
    listed = read(weekly().assign(a=1.0, b=2.0), spend=["a", "b"])
    assert listed.spend[0, 0].tolist() == [1, 2]
    assert read(weekly(), spend={}).organic == ("tv", "radio")
    assert read(weekly(), spend={"tv": "tv", "radio": None}).organic == ("radio",)


def test_channels_keep_the_order_of_the_user():
    panel = read(weekly(), media={"Radio": "radio", "TV": "tv"})
    assert panel.channels == ("Radio", "TV")
    np.testing.assert_array_equal(panel.media[0, :, 1], weekly().tv)


def test_names_may_be_an_index_a_generator_or_one_text():
    df = weekly()
    assert read(df, media=df.columns[2:4]).channels == ("tv", "radio")
    assert read(df, media=(name for name in ["tv"])).channels == ("tv",)
    assert read(df, media="tv", controls="promo").control_names == ("promo",)


def test_globs_take_columns_in_table_order_and_exact_names_go_first():
    df = weekly().assign(h_b=np.arange(12.0), h_a=1.0).rename(columns={"radio": "ra[d]io"})
    panel = read(df, media=["tv", "ra[d]io"], controls=["h_*", "promo", "h_a"])
    assert panel.control_names == ("h_b", "h_a", "promo")
    assert panel.channels == ("tv", "ra[d]io")


def test_no_media_and_no_controls_are_legal():
    panel = read(weekly(), media=[], controls=[])
    assert panel.media.shape == panel.spend.shape == (1, 12, 0)
    assert panel.controls.shape == (1, 12, 0)
    assert for_training(panel, max_lag=4) == (panel, ())
    assert repr(panel).count("\n") == 1


@given(order=st.permutations(range(24)))
def test_the_order_of_rows_does_not_matter(order):
    df = weekly(geos=GEOS)
    shuffled = read(df.iloc[list(order)], geo="geo").select(GEOS)
    assert shuffled.data_hash() == read(df, geo="geo").data_hash()


@pytest.mark.parametrize(
    "kind",
    [
        "float32",
        "int64",
        "Int64",
        "Float64",
        "int64[pyarrow]",
        "double[pyarrow]",
        "decimal128(9, 2)[pyarrow]",
        "string",
        "string[pyarrow]",
        "object",
        "category",
    ],
)
def test_numbers_of_any_type(kind):
    df = weekly()
    df[["tv", "sales"]] = df[["tv", "sales"]].round().astype("int64")
    expected = read(df)
    if "decimal" in kind:
        changed = df.assign(tv=df.tv.map(Decimal))
    else:
        changed = df.astype({"tv": kind, "sales": kind})
    assert read(changed).data_hash() == expected.data_hash()


@pytest.mark.parametrize("kind", [bool, "boolean", "bool[pyarrow]", object])
def test_controls_may_be_true_or_false(kind):
    df = weekly()
    flags = df.assign(promo=(df.promo == 1).astype(kind))
    assert read(flags).data_hash() == read(df).data_hash()


@pytest.mark.parametrize("empty", [None, np.nan, pd.NA, "", " ", "NA", "NaN", "null"])
def test_missing_outcomes_are_masked(empty):
    panel = read(with_cell("sales", 5, empty))
    assert np.flatnonzero(~panel.mask[0]).tolist() == [5]
    assert panel.present.all()
    assert panel.history == 0


@pytest.mark.parametrize("kind", ["Float64", "double[pyarrow]"])
def test_missing_outcomes_of_nullable_types(kind):
    df = weekly()
    df.loc[5, "sales"] = np.nan
    assert read(df.astype({"sales": kind})).data_hash() == read(df).data_hash()


@pytest.mark.parametrize(
    "write",
    [
        lambda d: d.dt.strftime("%Y-%m-%d"),
        lambda d: d.dt.strftime("%Y-%m-%d 00:00:00"),
        lambda d: d.dt.strftime("%Y-%m-%dT00:00:00Z"),
        lambda d: d.dt.strftime("%Y-%m-%d 00:00:00+02:00"),
        lambda d: d.dt.strftime("%Y-%m-%d 12:00"),
        lambda d: d.dt.strftime("%d/%m/%Y"),
        lambda d: d.dt.strftime("%m/%d/%Y"),
        lambda d: d.dt.strftime("%m/%d/%Y 0:00"),
        lambda d: d.dt.strftime("%d.%m.%y"),
        lambda d: d.dt.strftime("%d-%b-%Y"),
        lambda d: d.dt.strftime("%B %d, %Y"),
        lambda d: " " + d.dt.strftime("%Y/%m/%d") + " ",
        lambda d: d.dt.strftime("%Y%m%d"),
        lambda d: d.dt.strftime("%Y%m%d").astype(int),
        lambda d: d.dt.strftime("%Y%m%d").astype(float),
        lambda d: d.dt.strftime("%Y-%m-%d").astype("category"),
        lambda d: d.dt.date,
        lambda d: d.dt.to_pydatetime().tolist(),
        lambda d: [x.tz_localize("Asia/Tokyo").to_pydatetime() for x in d],
        lambda d: d.astype("datetime64[s]"),
        lambda d: d.dt.tz_localize("Europe/Berlin"),
        lambda d: d.astype("date32[pyarrow]"),
        lambda d: d.astype("timestamp[us][pyarrow]"),
        lambda d: d.dt.to_period("D"),
    ],
)
def test_dates_of_any_form(write):
    df = weekly()
    assert read(df.assign(date=write(df.date))).data_hash() == read(df).data_hash()


def test_months_may_be_written_as_text():
    months = pd.date_range("2022-01-01", periods=12, freq="MS")
    for form in ("%Y-%m", "%b %Y", "%B %Y"):
        panel = read(weekly().assign(date=months.strftime(form)))
        assert panel.dates.equals(months.as_unit("ns"))


@pytest.mark.parametrize(
    "dates, freq",
    [
        (pd.date_range("2023-01-02", periods=12, freq="D"), "D"),
        (pd.date_range("2023-01-02", periods=12, freq="B"), "B"),
        (pd.date_range("2023-01-02", periods=12, freq="W-MON"), "W-MON"),
        (pd.date_range("2023-01-02", periods=12, freq="2W-MON"), "2W-MON"),
        (pd.date_range("2023-01-02", periods=12, freq="4W-MON"), "4W-MON"),
        (pd.date_range("2023-01-02", periods=12, freq="10D"), "10D"),
        (pd.date_range("2023-01-02", periods=12, freq="MS"), "MS"),
        (pd.date_range("2023-01-02", periods=12, freq="ME"), "ME"),
        (pd.date_range("2023-01-02", periods=12, freq="QS"), "QS-"),
        (pd.date_range("2023-01-02", periods=12, freq="QE-DEC"), "QE-"),
        (pd.date_range("2010-01-01", periods=12, freq="YS"), "YS-JAN"),
    ],
)
def test_frequencies_are_found(dates, freq):
    panel = read(weekly().assign(date=dates))
    assert panel.freq.startswith(freq)
    assert panel.dates.equals(dates.as_unit("ns"))
    training, test = panel.split(dates[8])
    assert len(for_prediction(training, test).dates) == 3
    assert repr(panel).startswith("Panel: national, 12 periods (")


@pytest.mark.parametrize("freq", ["W", "w-sun", "weekly", "W-SUN"])
def test_a_frequency_may_be_given(freq):
    assert read(weekly(), freq=freq).freq == "W-SUN"
    assert read(weekly(1), freq=freq).freq == "W-SUN"


def test_geos_of_any_type():
    df = weekly(geos=["10", "9"])
    for kind in (int, float, "category", "string[pyarrow]"):
        assert read(df.astype({"geo": kind}), geo="geo").geos == ("10", "9")
    unused = pd.Categorical(df.geo, categories=["10", "9", "8"])
    assert read(df.assign(geo=unused), geo="geo").geos == ("10", "9")


def test_unbalanced_panels_are_masked():
    panel = read(weekly(geos=GEOS).drop([0, 1, 22, 23]), geo="geo")
    assert panel.present.sum(1).tolist() == [10, 10]
    assert panel.mask.tolist() == panel.present.tolist()
    assert (panel.media[~panel.present] == 0).all()
    assert panel.history == 0


def test_history_is_media_before_the_first_outcome():
    df = weekly(geos=GEOS)
    df.loc[[0, 1, 2, 12, 13], "sales"] = np.nan
    df.loc[[0, 12, 13], "promo"] = np.nan  # controls of the history are not needed
    panel = read(df, geo="geo")
    assert panel.history == 2
    assert panel.n_periods == 10
    assert panel.dates[panel.window][0] == pd.Timestamp("2023-01-15")
    assert not np.isnan(panel.controls[:, panel.window]).any()
    training, test = panel.split(datetime.date(2023, 2, 26))
    assert (training.history, test.history) == (2, 0)


def test_a_table_without_outcome():
    panel = read(weekly(), outcome=None)
    assert panel.history == 0
    assert not panel.mask.any()
    assert "outcome: none" in repr(panel)


@pytest.mark.parametrize(
    "date", ["2023-02-26", "2023-03-01", pd.Timestamp("2023-02-26", tz="UTC")]
)
def test_split(date):
    training, test = read(weekly()).split(date)
    assert training.dates[-1] == pd.Timestamp("2023-02-26")
    assert test.dates[0] == pd.Timestamp("2023-03-05")
    np.testing.assert_array_equal(training.media, read(weekly()).media[:, :9])
    np.testing.assert_array_equal(test.outcome, read(weekly()).outcome[:, 9:])


@pytest.mark.parametrize("names", [["South"], ["South", "North"], "North"])
def test_selecting_geos_is_reading_their_rows(names):
    df = weekly(geos=[*GEOS, "West"]).drop([12, 13, 23])
    df.loc[[14, 35], "sales"] = np.nan
    wanted = [names] if isinstance(names, str) else names
    rows = pd.concat([df[df.geo == name] for name in wanted])
    panel = read(df, geo="geo", population="people").select(names)
    assert panel.data_hash() == read(rows, geo="geo", population="people").data_hash()


def test_a_test_panel_has_no_history_in_any_selection():
    df = weekly(geos=GEOS)
    df.loc[[9, 21], "sales"] = np.nan
    test = read(df, geo="geo").split("2023-02-26")[1]
    assert test.history == test.select("South").history == 0


@given(seed=st.integers(0, 1000), money=st.booleans(), history=st.integers(0, 3))
def test_a_panel_survives_its_table(seed, money, history):
    df = weekly(geos=["b", "a"], seed=seed).assign(cost=2.5).drop([23])
    df.loc[df.date.isin(df.date[:history]), "sales"] = np.nan
    spend = {"tv": "cost"} if money else None
    panel = read(df, geo="geo", population="people", spend=spend)
    assert again(panel).data_hash() == panel.data_hash()
    assert again(panel).columns == panel.columns


def test_the_hash_sees_every_change_of_the_data_and_no_other():
    df = weekly(geos=GEOS)
    panel = read(df, geo="geo", population="people")
    changes = [
        df.assign(sales=df.sales + (df.index == 7)),
        df.assign(tv=df.tv * (1 + 1e-15 * (df.index == 7))),
        df.assign(promo=1 - df.promo),
        df.assign(people=2.0),
        df.assign(date=df.date + pd.Timedelta("7D")),
        df.replace("North", "Nord"),
        df.drop([0]),
    ]
    hashes = {read(d, geo="geo", population="people").data_hash() for d in changes}
    assert len(hashes | {panel.data_hash()}) == len(changes) + 1
    same = read(
        df.assign(promo=df.promo.where(df.promo != 0, -0.0)), geo="geo", population="people"
    )
    assert same.data_hash() == panel.data_hash()
    renamed = df.rename(columns={"tv": "x"})
    named = read(
        renamed, geo="geo", population="people", media={"tv": "x", "radio": "radio"}
    )
    assert named.data_hash() == panel.data_hash()


def test_the_value_of_an_outcome_travels_and_is_no_datum():
    plain, panel = read(weekly()), read(weekly(), outcome_value=np.float64(0.5))
    assert plain.outcome_value is None
    assert type(panel.outcome_value) is float
    assert panel.data_hash() == plain.data_hash()
    train, test = panel.split("2023-02-26")
    fitted, _ = for_training(train, max_lag=4, on_empty="drop")
    future = train.read_future(test.to_frame().drop(columns="sales"))
    for part in (train, test, fitted, future, for_prediction(train, test),
                 panel.select("national")):  # fmt: skip
        assert part.outcome_value == 0.5
    for wrong in (0, -1.0, np.nan, np.inf):
        with pytest.raises(InputError, match=r"outcome_value: .*outcome_value=1.0 where"):
            read(weekly(), outcome_value=wrong)


def test_a_panel_cannot_be_changed():
    df = weekly()
    panel = read(df)
    with pytest.raises(ValueError, match="read-only"):
        panel.media[0, 0, 0] = 7.0
    df.loc[0, "tv"] = 7.0
    assert panel.media[0, 0, 0] == weekly().tv[0]


def test_a_panel_made_by_hand_names_its_own_columns():
    made = Panel(
        outcome=np.ones((1, 3)),
        media=np.ones((1, 3, 2)),
        spend=np.stack([np.ones((1, 3)), np.full((1, 3), np.nan)], -1),
        controls=np.ones((1, 3, 1)),
        present=np.ones((1, 3), bool),
        dates=pd.date_range("2023-01-01", periods=3, freq="W"),
        geos=("national",),
        channels=("tv", "seo"),
        control_names=("promo",),
    )
    columns = Columns(
        "date", "outcome", ("tv", "seo"), ("tv", None), ("promo",), None, None
    )
    assert made.columns == columns
    assert again(made).data_hash() == made.data_hash()


def test_repr_says_what_matters():
    df = weekly(geos=GEOS).assign(cost=100_000.0)
    df.loc[[0, 12, 4], "sales"] = np.nan
    panel = read(df, geo="geo", spend={"tv": "cost"}, currency="EUR")
    seen = df.sales[df.date > df.date.min()].dropna()
    assert repr(panel).splitlines() == [
        "Panel: 2 geos, 12 periods (weekly, on SUN), 2023-01-01 to 2023-03-19",
        f"  outcome: sales, {amount(seen.mean())} a week (from {amount(seen.min())} to "
        f"{amount(seen.max())}), 21 of 22 observed",
        "  history: 1 weeks before, of media only",
        "  geos: 2 (North and South)",
        "  spend EUR: tv 2,400,000",
        "  organic: radio",
        "  controls: 1 (promo)",
    ]


# --- the future -----------------------------------------------------------------------


def test_a_future_table_needs_no_outcome():
    df = weekly(geos=GEOS).assign(cost=lambda d: 2 * d.tv)
    panel = read(df, geo="geo", spend={"tv": "cost"}, population="people", currency="EUR")
    training, test = panel.split("2023-02-26")
    table = test.to_frame().sample(frac=1, random_state=0).drop(columns=["sales", "people"])
    future = training.read_future(table)
    assert not future.mask.any()
    np.testing.assert_array_equal(future.media, test.media)
    np.testing.assert_array_equal(future.spend, test.spend)
    np.testing.assert_array_equal(future.controls, test.controls)
    assert (future.geos, future.currency, future.history) == (panel.geos, "EUR", 0)
    assert future.population.tolist() == [1000, 1000]
    assert for_prediction(training, future).dates.equals(test.dates)


@pytest.mark.parametrize("given_column", ["tv", "cost"])
def test_media_and_spend_of_the_future_follow_from_each_other(given_column):
    df = weekly(geos=GEOS).assign(
        cost=lambda d: d.tv * np.where(d.geo == "North", 2.0, 3.0)
    )
    training, test = read(df, geo="geo", spend={"tv": "cost"}).split("2023-02-26")
    other = {"tv": "cost", "cost": "tv"}[given_column]
    table = test.to_frame().drop(columns=["sales", other]).iloc[::-1]  # South comes first
    future = training.read_future(table)
    np.testing.assert_allclose(future.media, test.media)
    np.testing.assert_allclose(future.spend, test.spend)


def test_one_future_week_and_a_future_file(tmp_path):
    training, test = read(weekly()).split("2023-03-12")
    test.to_frame().drop(columns="sales").to_csv(tmp_path / "next.csv", index=False)
    future = training.read_future(tmp_path / "next.csv")
    assert future.freq == training.freq
    np.testing.assert_array_equal(future.media, test.media)


def test_test_panels_are_put_in_the_order_of_training():
    df = weekly(geos=GEOS).assign(email=lambda d: d.tv + d.radio, temp=3.0)
    training, test = read(df, geo="geo").split("2023-02-26")
    other = df[df.date > "2023-02-26"].iloc[::-1]
    names = {"media": ["email", "radio", "tv"], "controls": ["temp", "promo"]}
    aligned = for_prediction(training, read(other, geo="geo", **names))
    assert aligned.data_hash() == test.data_hash()


def test_a_test_panel_without_its_first_outcomes_has_no_history():
    df = weekly()
    training, _ = read(df).split("2023-02-26")
    df.loc[9, "sales"] = np.nan
    late = read(df.iloc[9:])
    assert late.history == 1
    assert for_prediction(training, late).history == 0


# --- files ----------------------------------------------------------------------------


def test_csv_and_parquet_hold_the_same_panel(tmp_path):
    df = weekly(geos=["NA", "EU"])  # a geo called NA is a name, not a missing cell
    df.loc[3, "sales"] = np.nan
    df.to_csv(tmp_path / "a.csv", index=False)
    df.to_csv(tmp_path / "b.csv.gz", index=False, na_rep="NA", encoding="utf-8-sig")
    df.to_parquet(tmp_path / "c.parquet")
    expected = read(df, geo="geo").data_hash()
    for name in ("a.csv", "b.csv.gz", "c.parquet"):
        panel = Panel.from_file(str(tmp_path / name), geo="geo", **NAMES)
        assert panel.geos == ("NA", "EU")
        assert panel.data_hash() == expected


@needs_data
def test_the_case_study_loads():
    media = {"Direct Mail": "mdsp_dm", "TV": "mdsp_vidtr"}
    names = {
        "date": "wk_strt_dt",
        "outcome": "sales",
        "media": media,
        "controls": ["hldy_*"],
    }
    panel = Panel.from_file(DATA / "case_study.csv", **names)
    assert (panel.n_periods, len(panel.control_names), panel.freq) == (209, 22, "W-SUN")
    training, test = panel.split("2018-02-01")
    assert (training.n_periods, test.n_periods) == (183, 26)
    assert for_training(training, max_lag=6)[1] == ()
    assert test.spend.sum((0, 1)).tolist() == pytest.approx([12107275.13, 2610543.53])


@needs_data
@pytest.mark.parametrize(
    "file, geos", [("national_all_channels", 1), ("geo_all_channels", 40)]
)
def test_the_simulated_markets_load(file, geos):
    channels = [f"Channel{i}" for i in range(5)]
    panel = Panel.from_file(
        DATA / f"{file}.csv",
        date="time",
        outcome="conversions",
        media={c: f"{c}_impression" for c in channels}
        | {"Organic": "Organic_channel0_impression"},
        spend={c: f"{c}_spend" for c in channels},
        controls=["competitor_sales_control", "sentiment_score_control", "Promo"],
        geo="geo" if geos > 1 else None,
        population="population" if geos > 1 else None,
    )
    assert (panel.n_geos, panel.n_periods, panel.freq) == (geos, 156, "W-MON")
    assert panel.organic == ("Organic",)
    assert panel.mask.all()
    assert for_training(panel, max_lag=8)[1] == ()
    assert again(panel).data_hash() == panel.data_hash()
