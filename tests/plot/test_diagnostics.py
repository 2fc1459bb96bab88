"""What is drawn of draws: traces, ranks, energies; and of residuals."""

import numpy as np
import pandas as pd
import pytest

from mmmjax import plot
from mmmjax.checks import InputError
from mmmjax.plot.arrays import density_of
from mmmjax.plot.colours import APART, MODEL
from mmmjax.plot.diagnostics import CHAINS, ranks_of, residuals
from mmmjax.plot.picture import to_png
from tests.plot import examples
from tests.plot.examples import layers_of, legend_of, params_of, rows_of, words_of


def tables(drawn):
    """The tables of a chart, those with most rows first."""
    found = drawn.to_dict()["datasets"].values()
    return [pd.DataFrame(x) for x in sorted(found, key=len, reverse=True)]


def test_trace_holds_the_draws_of_every_chain_and_marks_divergences():
    draws, bad = examples.draws(), np.zeros((2, 300), bool)
    bad[0, 7] = bad[1, 250] = True
    drawn = plot.trace(draws, ["intercept", "adstock_alpha[Mail]"], diverging=bad)
    lines, hills = tables(drawn)
    assert lines["parameter"].unique().tolist() == ["intercept", "adstock_alpha[Mail]"]
    values = lines.loc[lines["parameter"] == "intercept"]
    for i, chain in enumerate(draws["intercept"].to_numpy()):
        of = values.loc[values["chain"] == f"chain {i + 1}"]
        np.testing.assert_array_equal(of["value"], chain)
        assert of["draw"].tolist() == list(range(300))
        assert of.loc[of["bad"], "draw"].tolist() == [[7], [250]][i]
        density = density_of(chain, 128)
        here = hills.loc[
            (hills["parameter"] == "intercept") & (hills["chain"] == of["chain"].iloc[0])
        ]
        np.testing.assert_allclose(here["height"], density.height)
    assert legend_of(drawn) == {"chain 1": CHAINS[0], "chain 2": CHAINS[1]}
    assert "red: 2 divergences of 600 transitions" in words_of(drawn)[1]


def test_of_many_draws_every_so_many_and_all_divergences_are_drawn():
    draws = {"a": np.random.default_rng(0).normal(size=(4, 10_000))}
    bad = np.zeros((4, 10_000), bool)
    bad[2, 4321] = True
    drawn = plot.trace(draws, diverging=bad)
    lines = tables(drawn)[0]
    assert len(lines) == 20_001
    assert lines.loc[lines["bad"], "draw"].tolist() == [4321]
    assert "one of 2 draws is drawn" in words_of(drawn)[1]
    assert words_of(plot.trace(examples.draws(), ["intercept"]))[1] == (
        "trace in the order of sampling"
    )


def test_ranks_count_each_chains_place_among_all_draws():
    values = np.random.default_rng(0).normal(size=(3, 40))
    found = ranks_of(values, bins=8)
    order = {v: i for i, v in enumerate(sorted(values.ravel()))}
    for chain, counts in zip(values, found.counts, strict=True):
        expected = [0] * 8
        for v in chain:
            expected[order[v] * 8 // 120] += 1
        assert counts.tolist() == expected
    assert found.expected == 5.0
    assert found.lo < 5.0 < found.hi
    assert found.counts.sum() == 120


def test_ranks_of_equal_chains_lie_in_the_band_and_a_shift_does_not():
    values = np.random.default_rng(1).normal(size=(4, 1000))
    same = ranks_of(values)
    inside = (same.counts >= same.lo) & (same.counts <= same.hi)
    assert inside.mean() > 0.85  # 0.94 expected of 80 counts
    moved = ranks_of(values + np.array([[0.0], [0], [0], [2.0]]))
    assert moved.counts[3, -1] > 3 * moved.expected
    assert moved.counts[3, 0] < moved.lo


def test_ranks_of_ties_and_of_few_draws():
    tied = ranks_of(np.zeros((2, 10)), bins=20)
    assert tied.counts.sum() == 20
    assert tied.counts.shape == (2, 10)


def test_rank_plot_holds_the_counts():
    draws = examples.draws()
    drawn = plot.ranks(draws, ["adstock_alpha"], bins=10)
    names = [f"adstock_alpha[{name}]" for name in examples.CHANNELS]
    assert drawn.to_dict()["facet"]["sort"] == names
    values = draws["adstock_alpha"].sel(channel="Search").to_numpy()
    order = np.argsort(np.argsort(values.ravel())).reshape(values.shape)
    rows = rows_of(drawn)
    for i, of in enumerate(order):
        found = rows.loc[
            (rows["parameter"] == names[1]) & (rows["chain"] == f"chain {i + 1}")
        ]
        counts = np.bincount(of * 10 // 600, minlength=10)
        np.testing.assert_array_equal(found["count"], [*counts, counts[-1]])
        np.testing.assert_allclose(found["rank"], np.linspace(0, 600, 11))


def test_energy_is_centred_and_slow_chains_have_a_low_bfmi():
    rng = np.random.default_rng(2)
    slow = np.cumsum(rng.normal(size=4000))
    energies = np.stack([slow - slow.mean(), rng.normal(0, slow.std(), 4000)]) + 1e4
    expected = [np.mean(np.diff(e) ** 2) / np.var(e, ddof=1) for e in energies]
    assert expected[0] < 0.3 < 1.5 < expected[1]
    drawn = plot.energy(energies)
    said = f"{expected[0]:.2f}, {expected[1]:.2f} (0.3 or more is wanted)"
    assert said in words_of(drawn)[1]
    rows = rows_of(drawn)
    whole = rows.loc[rows["kind"] == "energy"]
    middle = np.average(whole["at"], weights=whole["height"])
    assert abs(middle) < 0.1 * slow.std()
    steps = density_of(np.diff(energies, axis=1))
    np.testing.assert_allclose(rows.loc[rows["kind"] != "energy", "at"], steps.at)
    with pytest.raises(InputError, match=r"\(chain, draw\)"):
        plot.energy(energies[0])


def test_residuals_and_the_lags_beyond_the_bound():
    drawn = plot.residuals(examples.residuals(), outcome="sales", period="week")
    rows = rows_of(drawn)
    known = rows["left"].dropna().astype(float).tolist()
    assert known == [1.0, -2.0, 3.0, -1.0, 2.0]  # nothing where nothing was observed
    lags = rows.loc[rows["lag"].notna()]
    assert lags["lag"].tolist() == [1, 2, 3]
    np.testing.assert_allclose(lags["correlation"].astype(float), [0.1, -0.6, 0.2])
    assert set(lags["bound"]) == {0.4}
    title, unit, about = words_of(drawn)
    assert title == "What the model does not explain"
    assert unit.startswith("sales a week, observed minus predicted")
    assert (
        about
        == "Observed minus predicted; 1 of 3 lags beyond what independent errors allow"
    )
    assert legend_of(drawn) == {"residual": MODEL}
    assert len(drawn.to_dict()["hconcat"]) == 2
    phone = plot.residuals(examples.residuals(), width=380)
    assert len(phone.to_dict()["vconcat"]) == 2


def test_residuals_of_a_table_have_its_interval_and_are_those_of_the_dataset():
    table = examples.forecast()
    table.loc[1, "observed"] = table["hi"][1] + 1
    drawn = residuals(table, examples.forecast(6))
    rows = rows_of(drawn)
    days = rows.loc[rows["left"].notna()]
    known = pd.concat([table, examples.forecast(6)]).dropna()
    np.testing.assert_allclose(
        days["left"].astype(float), known["observed"] - known["mean"]
    )
    np.testing.assert_allclose(days["hi"].astype(float), known["hi"] - known["mean"])
    assert days["after"].tolist() == [False] * 5 + [True] * 5
    assert days["state"].tolist().index("outside the 94% interval") == 1
    assert legend_of(drawn)["outside the 94% interval"] == APART
    assert "80% of 5 periods lie inside the interval" in words_of(drawn)[2]
    x = (table["observed"] - table["mean"]).to_numpy()
    centred = x - np.nanmean(x)
    lagged = np.nansum(centred[1:] * centred[:-1]) / np.nansum(centred**2)
    lags = rows.loc[rows["lag"] == 1]
    assert float(lags["bound"].iloc[0]) == pytest.approx(1.96 / np.sqrt(5))
    assert np.sign(lags["correlation"].iloc[0]) == np.sign(lagged)


def test_residuals_of_several_geos_must_be_chosen():
    several = examples.residuals().reindex(geo=["north", "south"], fill_value=0.0)
    with pytest.raises(InputError, match="total=True"):
        plot.residuals(several)
    assert "geo" not in params_of(plot.residuals(several, geo="south"))
    table = pd.concat([examples.forecast(geo=g) for g in ("ALL", "n", "s")])
    assert "geo" in params_of(residuals(table))


@pytest.mark.parametrize("draw", [
    lambda: plot.trace(examples.draws(), ["intercept"]),
    lambda: plot.ranks(examples.draws()),
    lambda: plot.energy(np.random.default_rng(0).normal(size=(2, 50))),
    lambda: plot.residuals(examples.residuals(), width=400),
    lambda: residuals(examples.forecast(), examples.forecast(6)),
    lambda: residuals(examples.forecast().head(1)),
])  # fmt: skip
def test_pictures_are_drawn(draw):
    assert to_png(draw())[:4] == b"\x89PNG"


def test_divergences_are_marked_where_there_are_any():
    bad = np.zeros((2, 300), bool)
    for there in (False, True):
        bad[0, 3] = there
        drawn = plot.trace(examples.draws(), ["intercept"], diverging=bad)
        marks = [x["mark"]["type"] for x in layers_of(drawn)]
        assert ("tick" in marks) == there
