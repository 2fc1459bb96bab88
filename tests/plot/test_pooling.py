"""What is drawn of pooling: own and pooled estimates of every geo."""

import numpy as np
import pandas as pd
import pytest

from mmmjax import plot
from mmmjax.plot import picture as p
from mmmjax.plot.colours import MODEL
from tests.plot.charts import params, scale, words


def pooled(geos=6, channels=("TV", "Search"), seed=0):
    """The columns of ``mm.tables.shrinkage``, numbers made up."""
    rng = np.random.default_rng(seed)
    rows = []
    for name in channels:
        for g in range(geos):
            own = float(np.exp(rng.normal()))
            middle = 0.5 * own + 0.5
            rows.append(
                {
                    "parameter": "saturation_beta",
                    "geo": f"g{g}",
                    "channel": name,
                    "own": own,
                    "own_lo": own - 9.0,
                    "own_hi": own + 9.0,
                    "pooled_mean": middle,
                    "pooled_lo": middle - 0.4,
                    "pooled_hi": middle + 0.4,
                    "population_mean": 1.0,
                    "population_lo": 0.8,
                    "population_hi": 1.2,
                    "weight": 0.5,
                }
            )
    return pd.DataFrame(rows)


def test_geos_stand_in_the_order_of_their_own_estimates():
    table = pooled()
    table.loc[2, ["own", "own_lo", "own_hi"]] = np.nan
    chart = plot.shrinkage(table, colours={"TV": "#123456"})
    assert scale(chart, "shape", "kind") == {
        "the geo's own data": p.RING,
        "pooled": "circle",
    }
    assert scale(chart, "color", "cell") == {"TV": "#123456", "Search": MODEL}
    assert params(chart) == {"hidden": []}
    for name, part in table.groupby("channel"):
        drawn = chart.data.loc[chart.data["cell"] == name]
        best = drawn.loc[drawn["kind"] == "pooled"].sort_values("rank")
        place = part["own"].fillna(part["pooled_mean"]).to_numpy().argsort()
        assert best["geo"].tolist() == part["geo"].iloc[place].tolist()
        for column in ("mean", "lo", "hi"):
            np.testing.assert_allclose(best[column], part[f"pooled_{column}"].iloc[place])
        np.testing.assert_allclose(best["typical"], 1.0)
        own = drawn.loc[drawn["own"]].sort_values("rank")
        lo, hi = part["pooled_lo"].min(), part["pooled_hi"].max()
        room = 0.5 * (hi - lo)  # own intervals are far wider: cut
        ends = own.dropna(subset=["lo"])
        np.testing.assert_allclose(
            ends["lo"], max(0.0, lo - room) if lo >= 0 else lo - room
        )
        np.testing.assert_allclose(ends["hi"], hi + room)


def test_some_of_many_geos_and_one_channel_are_drawn():
    chart = plot.shrinkage(pooled(geos=90), channel="TV", most=7)
    assert set(chart.data["cell"]) == {"TV"}
    own = chart.data.loc[chart.data["own"]]
    assert len(own) == 7
    values = pooled(geos=90).loc[lambda t: t["channel"] == "TV"].sort_values("own")
    assert {*values["geo"].iloc[[0, -1]]} <= {*own["geo"]}
    assert words(chart)[0] == "What pooling did to each geo"


def test_parameters_and_those_of_no_channel_have_cells_of_their_own():
    one, other = pooled(2, ("TV",)), pooled(2, ("",)).assign(parameter="intercept")
    assert set(plot.shrinkage(other).data["cell"]) == {"intercept"}
    both = plot.shrinkage(pd.concat([one, other]))
    assert set(both.data["cell"]) == {"saturation_beta TV", "intercept"}


@pytest.mark.parametrize("geos", [0, 1, 40])
def test_every_picture_is_drawn(geos):
    table = pooled(1).head(0) if geos == 0 else pooled(geos, ('O\'Neil "x" [1] .a', "<b>"))
    assert p.to_png(plot.shrinkage(table), 0.5).startswith(b"\x89PNG")
