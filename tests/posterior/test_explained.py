"""The long tables against their xarray sources: columns, rows, labels, empty cells."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from mmmjax import posterior as p
from mmmjax.checks import InputError
from mmmjax.prior import Prior
from tests.fits import make_fit
from tests.posterior.examples import (
    FITS,
    bare_fit,
    geo_fit,
    geo_panel,
    geo_spec,
    national_fit,
)

STATISTICS = ("mean", "lo", "hi")
COLUMNS = {
    p.curves_table: [
        "geo", "channel", "spend", "media", "mean", "lo", "hi", "extrapolated",
    ],
    p.sweep_table: [
        "geo", "channel", "multiplier", "spend", "mean", "lo", "hi", "uplift_mean",
        "uplift_lo", "uplift_hi", "marginal_mean", "marginal_lo", "marginal_hi",
    ],
    p.carryover_table: [
        "channel", "geo", "lag", "days", "mean", "lo", "hi", "half_life_mean",
        "half_life_lo", "half_life_hi", "t90_mean", "t90_lo", "t90_hi", "cut_mean",
        "cut_lo", "cut_hi",
    ],
    p.returns_table: [
        "kind", "window", "geo", "channel", "spend", "roas_mean", "roas_lo", "roas_hi",
        "mroas_mean", "mroas_lo", "mroas_hi", "now_mean", "after_mean", "t50_mean",
        "t50_lo", "t50_hi", "t90_mean", "t90_lo", "t90_hi",
    ],
    p.decomposition_table: [
        "geo", "component", "share_mean", "share_lo", "share_hi", "total_mean", "total_lo",
        "total_hi",
    ],
}  # fmt: skip
KEYS = {  # of the tables that follow a data set with total=True for the sum over geos
    p.curves_table: (p.curves, ["geo", "channel", "point"], {"": "response"}),
    p.sweep_table: (
        p.sweep, ["geo", "channel", "multiplier"],
        {"": "contribution", "uplift_": "uplift", "marginal_": "marginal"},
    ),
    p.decomposition_table: (
        p.decomposition, ["geo", "component"], {"share_": "share", "total_": "total"},
    ),
}  # fmt: skip


@pytest.mark.parametrize("kind", FITS)
@pytest.mark.parametrize("table", KEYS, ids=lambda f: f.__name__)
def test_tables_are_their_data_sets_row_by_row(table, kind):
    fit = FITS[kind](draws=10)
    f, keys, measures = KEYS[table]
    found = table(fit, prob=0.5)
    assert list(found.columns) == COLUMNS[table]
    geos = [*fit.panel.geos, *(["ALL"] if kind == "geos" else [])]
    assert list(dict.fromkeys(found["geo"])) == geos
    each, whole = f(fit, prob=0.5), f(fit, total=True, prob=0.5)
    for geo in geos:
        rows = found[found["geo"] == geo]
        source = (whole if geo == "ALL" else each).sel(geo=geo)
        named = source.to_dataframe().reset_index()
        named = named.drop_duplicates(keys[1:])
        for key in keys[1:]:
            if key != "point":  # in the order of the file already
                assert list(rows[key]) == list(named[key])
        for prefix, name in measures.items():
            values = source[name].to_numpy().reshape(3, -1)
            columns = [prefix + s for s in STATISTICS]
            np.testing.assert_allclose(rows[columns].to_numpy().T, values, rtol=1e-13)
        if "spend" in rows:
            np.testing.assert_array_equal(rows["spend"], source["spend"].to_numpy().ravel())


def test_curves_say_where_they_leave_the_data():
    fit = national_fit(draws=10)
    table = p.curves_table(fit, points=7, upto=1.5, prob=0.5)
    largest = dict(zip(fit.panel.channels, fit.panel.media[0].max(0), strict=True))
    beyond = table["media"] > 1.001 * table["channel"].map(largest)
    assert beyond.sum() == 2 * 2  # 1.25 and 1.5 of each channel; 1.0 is in the data
    np.testing.assert_array_equal(table["extrapolated"], beyond)
    assert table["extrapolated"].dtype == bool


def test_organic_channels_have_no_money():
    fit = geo_fit(draws=10)
    for table, money in (
        (p.curves_table, ["spend"]),
        (p.sweep_table, ["spend", "marginal_mean", "marginal_lo"]),
        (p.returns_table, ["spend", "roas_mean", "mroas_hi"]),
    ):
        found = table(fit, prob=0.5)
        organic = found["channel"] == "Mail"
        assert found.loc[organic, money].isna().all(axis=None), table
        assert found[~organic].notna().all(axis=None), table
        others = [c for c in found.columns if c not in ("spend", *money)
                  and not c.startswith(("roas", "mroas", "marginal"))]  # fmt: skip
        assert found.loc[organic, others].notna().all(axis=None), table


@pytest.mark.parametrize("dims, geos", [((), ["ALL"]), (("geo", "channel"), list("abc"))])
def test_carryover_table(dims, geos):
    prior = Prior("Beta", concentration1=2.0, concentration0=4.0, dims=dims)
    spec = replace(geo_spec(), priors=geo_spec().priors | {"adstock_alpha": prior})
    fit = make_fit(2, 10, spec, geo_panel(), dtype=np.float64)
    table, found = p.carryover_table(fit, prob=0.5), p.carryover(fit, prob=0.5)
    assert list(table.columns) == COLUMNS[p.carryover_table]
    names = [(c, g, lag) for c in fit.panel.channels for g in geos for lag in range(4)]
    assert list(zip(*(table[n] for n in ("channel", "geo", "lag")), strict=True)) == names
    for row in table.itertuples():
        pick = {"channel": row.channel, **({"geo": row.geo} if dims else {})}
        weight, half = (
            found["weight"].sel(**pick, lag=row.lag),
            found["half_life"].sel(**pick),
        )
        assert [row.mean, row.lo, row.hi] == list(weight.values)
        assert [row.half_life_mean, row.half_life_lo, row.half_life_hi] == list(half.values)
        assert [row.t90_mean, row.t90_lo, row.t90_hi] == list(found["t90"].sel(**pick))
        assert [row.cut_mean, row.cut_lo, row.cut_hi] == list(found["cut"].sel(**pick))
    returns = p.returns_table(fit, ["all"], prob=0.5).set_index(["geo", "channel"])
    np.testing.assert_array_equal(table["days"], 7.0 * table["lag"])
    first = table[table["lag"] == 0].set_index(["channel", "geo"])
    for geo, channel in returns.index:
        row = returns.loc[geo, channel]
        if geo == "ALL" and dims:
            assert np.isnan(row["t50_mean"])
            continue
        known = first.loc[channel, geo if dims else "ALL"]
        assert row["t50_mean"] == known["half_life_mean"]
        assert [row["t90_lo"], row["t90_hi"]] == [known["t90_lo"], known["t90_hi"]]


def test_carryover_of_one_market_is_named_after_it():
    assert set(p.carryover_table(national_fit(draws=10), prob=0.5)["geo"]) == {"national"}


@pytest.mark.parametrize("kind", FITS)
def test_returns_table(kind):
    fit = FITS[kind](draws=20)
    table = p.returns_table(fit, ("all", "year", "quarter", "month"), prob=0.5)
    assert list(table.columns) == COLUMNS[p.returns_table]
    keys = ["kind", "window", "geo", "channel"]
    assert not table.duplicated(keys).any()
    geos = [*fit.panel.geos, "ALL"]
    index = table.set_index(keys).sort_index()
    for window in ("year", "quarter", "month"):
        found, parts = p.returns(fit, window), p.incremental(fit, window)
        labels = list(found["window"].values)
        assert list(dict.fromkeys(table[table["kind"] == window]["window"])) == labels
        for name in ("roas", "mroas"):
            for label in labels:
                draws = found[name].sel(window=label).mean(("chain", "draw"))
                rows = index.loc[(window, label)][f"{name}_mean"].unstack()
                rows = rows.loc[geos, list(fit.panel.channels)]
                np.testing.assert_allclose(rows.iloc[:-1], draws, rtol=1e-9)
                total = found[f"{name}_total"].sel(window=label).mean(("chain", "draw"))
                np.testing.assert_allclose(rows.loc["ALL"], total, rtol=1e-9)
                now = parts["now"].sel(window=label).mean(("chain", "draw")).sum("geo")
                seen = index.loc[(window, label, "ALL"), "now_mean"]
                np.testing.assert_allclose(seen[list(fit.panel.channels)], now, rtol=1e-9)
    whole = index.loc[("all", "all")].reset_index()
    channels = p.channels_table(fit, prob=0.5)
    both = whole.merge(channels, on=["geo", "channel"], suffixes=("", "_known"))
    assert len(both) == len(channels)
    for name in ("spend", *(f"{n}_{s}" for n in ("roas", "mroas") for s in STATISTICS)):
        np.testing.assert_allclose(both[name], both[f"{name}_known"], rtol=1e-9)


def test_quarters_and_years_are_the_default_and_kinds_are_checked():
    fit = national_fit(draws=10)
    found = p.returns_table(fit, prob=0.5)
    assert list(dict.fromkeys(found["kind"])) == ["all", "year", "quarter"]
    assert list(found["window"].unique()) == ["all", "2021", "2022", "2021Q4", "2022Q1"]
    with pytest.raises(InputError, match=r'kinds: got "week".*"quarter"'):
        p.returns_table(fit, ["week"])


@pytest.mark.parametrize("table", COLUMNS, ids=lambda f: f.__name__)
def test_models_without_media_have_tables_too(table):
    found = table(bare_fit(draws=10), prob=0.5)
    assert list(found.columns) == COLUMNS[table]
    if table is p.decomposition_table:
        assert set(found["component"]) == {"baseline", "controls", "seasonality"}
    else:
        assert not len(found)


def test_tables_survive_a_csv_file(tmp_path):
    fit = geo_fit(draws=10)
    for table in COLUMNS:
        found = table(fit, prob=0.5)
        found.to_csv(tmp_path / "table.csv", index=False)
        again = pd.read_csv(tmp_path / "table.csv", dtype={"window": str})
        pd.testing.assert_frame_equal(again, found, check_dtype=False)
