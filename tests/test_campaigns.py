"""Campaigns at the door, in files, and on their way through a panel."""

import dataclasses

import numpy as np
import pandas as pd
import pytest

import mmmjax as mm
from mmmjax.cli import case as cases
from mmmjax.panel import for_prediction, for_training, joined
from mmmjax.prepare import scale_of
from mmmjax.response import make_inputs

TV = {"Spot A": "tv_a", "Spot B": "tv_b"}
MEDIA = {"TV": {"campaigns": TV}, "Search": "search"}


def table(geos=1, periods=30, seed=0):
    rng = np.random.default_rng(seed)
    dates = pd.date_range("2024-01-01", periods=periods, freq="W-MON")
    rows = []
    for g in range(geos):
        on = rng.random((periods, 2)) < 0.7
        amounts = rng.gamma(2.0, 100.0, (periods, 2)) * on
        one = {"week": dates, "geo": f"g{g}", "sales": rng.uniform(50, 100, periods)}
        one |= {"tv_a": amounts[:, 0], "tv_b": amounts[:, 1]}
        one |= {"cost_a": 2 * amounts[:, 0], "cost_b": amounts[:, 1], "tv_cost": 7.0}
        rows.append(pd.DataFrame(one | {"search": rng.gamma(2.0, 50.0, periods)}))
    return pd.concat(rows, ignore_index=True)


def panel_of(df=None, geos=1, media=MEDIA, **more):
    df = table(geos) if df is None else df
    if geos > 1:
        more["geo"] = "geo"
    return mm.Panel.from_frame(df, date="week", outcome="sales", media=media, **more)


@pytest.mark.parametrize("media", [MEDIA, {"TV": TV, "Search": "search"}])
def test_a_channel_is_the_sum_of_its_campaigns(media):
    df, panel = table(), panel_of(media=media)
    own = panel.campaigns
    assert own is not None
    assert own.labels == ("TV: Spot A", "TV: Spot B")
    np.testing.assert_array_equal(panel.media[0, :, 0], df["tv_a"] + df["tv_b"])
    np.testing.assert_array_equal(panel.spend, panel.media)
    np.testing.assert_allclose(own.media[0, :, 0] * panel.media[0, :, 0], df["tv_a"])
    back = panel.to_frame()
    pd.testing.assert_frame_equal(back[["tv_a", "tv_b"]], df[["tv_a", "tv_b"]])
    assert "tv_a + tv_b" not in back


def test_spend_of_campaigns_of_the_channel_or_unknown():
    df = table()
    costs = {"Spot A": "cost_a", "Spot B": "cost_b"}
    panel = panel_of(spend={"TV": {"campaigns": costs}, "Search": "search"})
    np.testing.assert_array_equal(panel.spend[0, :, 0], df["cost_a"] + df["cost_b"])
    np.testing.assert_allclose(
        panel.campaigns.spend[0, :, 0] * panel.spend[0, :, 0], df["cost_a"]
    )
    assert {"cost_a", "cost_b"} < {*panel.to_frame()}
    whole = panel_of(spend={"TV": "tv_cost", "Search": "search"})
    np.testing.assert_array_equal(whole.spend[0, :, 0], df["tv_cost"])
    assert np.isnan(whole.campaigns.spend).all()
    assert "tv_cost" in whole.to_frame()
    organic = panel_of(spend={"Search": "search"})
    assert organic.organic == ("TV",)


def test_periods_geos_and_what_follows_keep_them():
    panel = panel_of(geos=3)
    train, test = panel.split("2024-05-06")
    assert test.campaigns.media.shape == (3, len(test.dates), 2)
    again = joined(train, test)
    np.testing.assert_array_equal(again.campaigns.media, panel.campaigns.media)
    some = panel.select(["g2", "g0"])
    np.testing.assert_array_equal(some.campaigns.media, panel.campaigns.media[[2, 0]])
    turned = panel.select(["g2", "g1", "g0"]).split("2024-05-06")[1]
    aligned = for_prediction(train, turned)
    np.testing.assert_array_equal(aligned.campaigns.media, test.campaigns.media)
    assert for_prediction(panel_of(geos=3).split("2024-05-06")[0], test).campaigns


def test_a_hash_is_of_campaigns_too():
    df = table()
    turned = df.rename(columns={"tv_a": "tv_b", "tv_b": "tv_a"})
    assert panel_of(df).data_hash() == panel_of(df).data_hash()
    assert panel_of(df).data_hash() != panel_of(turned).data_hash()


def test_a_future_table_has_their_columns():
    df = table(periods=40)
    train = panel_of(df.iloc[:30])
    ahead = train.read_future(df.iloc[30:].drop(columns=["sales"]))
    np.testing.assert_allclose(
        ahead.campaigns.media[0, :, 1] * ahead.media[0, :, 0], df["tv_b"].iloc[30:]
    )
    with pytest.raises(mm.InputError, match='without "tv_b"'):
        train.read_future(df.iloc[30:].drop(columns=["sales", "tv_b"]))
    costs = {"Spot A": "cost_a", "Spot B": "cost_b"}
    paid = panel_of(df.iloc[:30], spend={"TV": costs, "Search": "search"})
    less = df.iloc[30:].drop(columns=["sales", "cost_b"])
    price = paid.cost_per_unit()[0, 0]
    found = paid.read_future(less)
    money = less["cost_a"] + price * less["tv_b"]
    np.testing.assert_allclose(found.spend[0, :, 0], money)
    less = df.iloc[30:].drop(columns=["sales", "tv_a"])
    media = less["cost_a"] / price + less["tv_b"]
    np.testing.assert_allclose(paid.read_future(less).media[0, :, 0], media)


def test_a_national_channel_of_campaigns_counts_once():
    df = table(3)
    first = df["geo"] == "g0"
    for name in ("tv_a", "tv_b"):
        df[name] = np.tile(df.loc[first, name].to_numpy(), 3)
    panel = panel_of(df, geos=3, national=["TV"])
    whole = df.loc[first, "tv_a"] + df.loc[first, "tv_b"]
    np.testing.assert_allclose(panel.media[..., 0].sum(0), whole)
    np.testing.assert_allclose(panel.campaigns.media[0], panel.campaigns.media[2])


WRONG = {
    "one campaign": ({"TV": {"campaigns": {"A": "tv_a"}}}, '"TV" = "tv_a"'),
    "none": ({"TV": {"campaigns": {}}}, "two or more"),
    "another key": ({"TV": {"campaigns": TV, "cost": "tv_cost"}}, "cost"),
    "no column": ({"TV": {"A": "tv_a", "B": "tv_c"}}, 'campaign "B": got "tv_c"'),
    "a list": ({"TV": {"A": "tv_a", "B": ["tv_b"]}}, "one column"),
    "case and spaces": ({"TV": {"Spot": "tv_a", "spot ": "tv_b"}}, "more than case"),
    "blank": ({"TV": {" ": "tv_a", "B": "tv_b"}}, "a name with letters"),
    "twice": ({"TV": {"A": "tv_a", "B": "tv_a"}}, "another campaign"),
    "of a channel": ({"TV": TV, "X": "tv_a"}, '"tv_a", which is the column of media'),
    "two channels": ({"TV": TV, "X": {"A": "tv_a", "B": "search"}}, "another campaign"),
    "the outcome": ({"TV": {"A": "tv_a", "B": "sales"}}, "outcome"),
    "control character": ({"TV": {"A\n": "tv_a", "B": "tv_b"}}, "campaign"),
}


@pytest.mark.parametrize("media, said", WRONG.values(), ids=list(WRONG))
def test_what_is_wrong_is_named(media, said):
    with pytest.raises(mm.InputError, match="Fix:") as error:
        panel_of(media=media)
    assert said in str(error.value)


def test_spend_that_does_not_fit_is_named():
    for spend, said in (
        ({"TV": {"Spot A": "cost_a", "C": "cost_b"}}, 'and "C" beside'),
        ({"Search": {"A": "cost_a", "B": "cost_b"}}, "beside none of media"),
        ({"TV": {"Spot A": "cost_a", "Spot B": "nope"}}, "nope"),
    ):
        with pytest.raises(mm.InputError) as error:
            panel_of(spend=spend)
        assert said in str(error.value)


@pytest.mark.parametrize("cell, said", [(-1.0, "-1"), (np.nan, "missing"), ("x", '"x"')])
def test_a_bad_cell_is_named_by_its_column(cell, said):
    df = table().astype({"tv_b": object})
    df.loc[4, "tv_b"] = cell
    with pytest.raises(mm.InputError, match='"tv_b"') as error:
        panel_of(df)
    assert said in str(error.value)


def test_a_campaign_without_data():
    df = table()
    df["tv_c"] = 0.0
    media = {"TV": TV | {"Spot C": "tv_c"}, "Search": "search"}
    panel = panel_of(df, media=media)
    with pytest.raises(mm.InputError, match='campaign "TV: Spot C"'):
        for_training(panel, max_lag=2)
    left, notes = for_training(panel, max_lag=2, on_empty="drop")
    assert left.campaigns.names == ("Spot A", "Spot B")
    assert "tv_c" not in left.to_frame()
    assert any("left out" in note for note in notes)
    kept, _ = for_training(panel, max_lag=2, on_empty="prior")
    assert len(kept.campaigns.names) == 3
    df["tv_b"] = 0.0
    plain, _ = for_training(panel_of(df, media=media), max_lag=2, on_empty="drop")
    assert plain.campaigns is None
    assert plain.columns.media == ("tv_a", "search")
    ahead = df.drop(columns="sales").assign(week=df["week"] + pd.Timedelta(weeks=30))
    assert plain.read_future(ahead).campaigns is None


def test_parts_that_never_change_are_said():
    df = table()
    df["tv_b"] = 3 * df["tv_a"]
    _, notes = for_training(panel_of(df), max_lag=2)
    assert any("same parts" in note for note in notes)


def test_a_campaign_of_some_geos_only():
    df = table(2)
    df.loc[df["geo"] == "g1", "tv_b"] = 0.0
    panel, notes = for_training(panel_of(df, geos=2), max_lag=2)
    assert panel.campaigns.names == ("Spot A", "Spot B")
    assert not any("never ran" in note for note in notes)


def test_without_campaigns_there_is_no_array_and_no_parameter():
    df = table()
    df["tv"] = df["tv_a"] + df["tv_b"]
    plain = panel_of(df, media={"TV": "tv", "Search": "search"})
    spec = mm.Spec()
    sizes = spec.sizes(plain)
    assert "campaign_effect" not in spec.present(sizes)
    inputs = make_inputs(spec, plain, scale_of(spec, plain))
    assert not [name for name in inputs.values if name.startswith("channel.")]
    assert "campaign_effect" in spec.present(spec.sizes(panel_of(df)))


def test_a_case_file(tmp_path):
    table().to_csv(tmp_path / "data.csv", index=False)
    text = """[data]
path = "data.csv"
date = "week"
outcome = "sales"
media = { Search = "search", TV = { campaigns = { "Spot A" = "tv_a", "Spot B" = "tv_b" } } }
[model.priors]
campaign_effect = { dist = "Normal", scale = 0.2 }
"""
    (tmp_path / "case.toml").write_text(text)
    case = cases.read(tmp_path / "case.toml")
    assert case.train.campaigns.labels == ("TV: Spot A", "TV: Spot B")
    assert case.spec.priors["campaign_effect"].dims == ("campaign",)
    (tmp_path / "case.toml").write_text(text.replace('"tv_b"', "3"))
    with pytest.raises(mm.InputError, match="Spot B"):
        cases.read(tmp_path / "case.toml")
    inline = 'media = { Search = "search", TV'
    long = text.replace(inline, '[data.media]\nSearch = "search"\nTV')
    (tmp_path / "case.toml").write_text(long.replace("} } }", "} }"))
    assert cases.read(tmp_path / "case.toml").train.campaigns is not None


def test_wrong_shapes_are_refused():
    panel = panel_of()
    cut = panel.campaigns.each(lambda x: x[:, 1:])
    with pytest.raises(mm.InputError, match="campaigns"):
        dataclasses.replace(panel, campaigns=cut)
