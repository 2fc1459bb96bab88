"""The house's charts: they compose, save themselves offline, and leave Altair as it was."""

import json

import altair as alt
import numpy as np
import pandas as pd
import pytest

from mmmjax.checks import InputError
from mmmjax.plot import picture as p

TABLE = pd.DataFrame(
    {
        "geo": ["ALL", "north", "ALL", "north"],
        "channel": ["TV", "TV", "Mail", "Mail"],
        "date": pd.to_datetime(["2024-01-01", "2024-01-01", "2024-01-08", "2024-01-08"]),
        "mean": [1.0, 0.5, 3.0, np.nan],
    }
)


def bars():
    return p.chart(TABLE).mark_bar().encode(x="mean:Q", y=p.named_rows("channel"))


def test_composed_charts_stay_in_the_look_of_the_house():
    titled = p.titled(bars(), "One")
    made = {
        p.Layer: bars() + bars(),
        p.HConcat: titled | titled,
        p.VConcat: titled & bars(),
    }
    for kind, both in made.items():
        assert type(both) is kind
        assert both.to_dict()["config"]["font"] == p.CONFIG["font"]
        assert p.to_png(both).startswith(b"\x89PNG")
    inner = (titled | titled).to_dict()["hconcat"][0]
    assert "config" not in inner  # once, at the top


def test_nothing_of_altair_is_changed():
    before = (alt.theme.active, alt.data_transformers.active, alt.renderers.active)
    options = dict(alt.data_transformers.options)
    bars().to_dict()
    after = (alt.theme.active, alt.data_transformers.active, alt.renderers.active)
    assert (after, dict(alt.data_transformers.options)) == (before, options)
    assert "font" not in alt.Chart(TABLE).mark_bar().to_dict()["config"]


def test_a_setting_of_the_user_wins():
    own = bars().configure_axis(labelFontSize=20).to_dict()["config"]["axis"]
    assert own["labelFontSize"] == 20
    assert own["gridColor"] == p.CONFIG["axis"]["gridColor"]


@pytest.mark.parametrize("end", ["png", "svg", "pdf", "html", "json"])
def test_a_chart_saves_itself(tmp_path, end):
    path = tmp_path / f"one.{end}"
    p.titled(bars(), "Returns <b>", "EUR </script>").save(path)
    start = {"png": b"\x89PNG", "svg": b"<svg", "pdf": b"%PDF", "json": b"{"}
    found = path.read_bytes()
    assert found.startswith(start.get(end, b""))
    if end == "html":
        text = found.decode()
        assert '<script src="http' not in text  # whole in itself
        assert text.count("</script>") == text.count("<script")
        assert "EUR </script>" not in text


def test_more_rows_than_altair_allows_are_drawn():
    many = pd.DataFrame({"x": np.arange(6000.0), "y": 1.0})
    spec = p.chart(many).mark_point().encode(x="x:Q", y="y:Q").to_dict()
    (rows,) = spec["datasets"].values()
    assert len(rows) == 6000


def test_a_notebook_gets_the_chart_and_a_still_picture():
    bundle = bars()._repr_mimebundle_()
    kinds = sorted(bundle)
    assert kinds[0].startswith("application/vnd.vegalite.v")
    assert bundle["image/png"].startswith(b"\x89PNG")


def test_controls_are_parameters_that_filter_their_columns():
    own = {"hides": "channel", "date": "date", "geos": ["ALL", "north"]}
    spec = p.titled(p.layer(bars()), "One", **own).to_dict()
    params = {one["name"]: one for one in spec["params"]}
    assert set(params) == {"hidden", "since", "geo"}
    assert params["geo"]["bind"]["labels"] == ["all geos", "north"]
    text = json.dumps(spec["transform"])
    for part in ("indexof(hidden, datum['channel']) < 0", "datum['geo'] === geo",
                 "toDate(datum['date']) >= since"):  # fmt: skip
        assert part in text
    assert p.choice_of(bars(), "geo", "geo", ["ALL"]).to_dict().get("params") is None


def test_the_sum_over_geos_is_first_and_one_geo_is_no_choice():
    several = pd.DataFrame({"geo": ["b", "a", "ALL"]})
    assert p.per_geo(several, None)[1] == ["ALL", "b", "a"]
    assert p.per_geo(several, "a")[1] == []
    assert p.per_geo(several.iloc[:1], None)[1] == []


def test_cells_stand_beside_other_charts_and_a_width_in_inches_is_refused():
    drawn = p.layer(p.Chart().mark_line().encode(x=p.dates(), y=p.grounded("mean")))
    cells = p.cells(drawn, TABLE, "channel", ["TV", "Mail"], 640, 80)
    cells = p.titled(cells, "One", hides="channel")
    for both in (cells & bars(), bars() | cells, cells & cells):
        assert p.to_png(both).startswith(b"\x89PNG")
    with pytest.raises(InputError, match=r"width: got 9.*pixels, at least 80"):
        p.titled(bars(), "One", width=9)


def test_a_copy_changes_nothing_of_what_it_is_of():
    """Altair copies charts while they are composed; ours share what it leaves as it is."""
    point = alt.selection_point(name="pointed", fields=["channel"])
    one = p.layer(bars().add_params(point), p.chart(TABLE).mark_rule().encode(x="mean:Q"))
    before = one.to_dict()
    other = p.titled(one, "Two", hides="channel", geos=["ALL", "north"])
    wide = (other | bars()).properties(title="Both")
    inside = p.cells(one, TABLE, "channel", ["TV", "Mail"], 640, 90)
    whole = [made.to_dict() for made in (other, wide, inside)]
    assert one.to_dict() == before
    assert [made.to_dict() for made in (other, wide, inside)] == whole
    names = [x["name"] for x in whole[0]["params"]]
    assert sorted(names) == ["geo", "hidden", "pointed"]


def test_a_page_names_the_tables_itself():
    kept = {}

    def name_of(table):
        return kept.setdefault(id(table), f"table {len(kept)}")

    drawn = p.titled(p.layer(bars(), bars().mark_rule()), "One", geos=["ALL", "north"])
    usual, named = drawn.to_dict(), drawn.to_dict(context={"name_of": name_of})
    assert list(kept.values()) == ["table 0"]
    (name,) = usual.pop("datasets")
    assert "datasets" not in named
    assert json.loads(json.dumps(usual).replace(name, "table 0")) == named
