"""What is drawn of priors: beside the posterior, contraction, shares and returns."""

import json

import numpy as np
import pytest
import xarray as xr

from mmmjax import plot
from mmmjax.checks import InputError
from mmmjax.plot.arrays import density_of
from mmmjax.plot.colours import MODEL, REST
from mmmjax.plot.picture import to_png
from tests.plot import examples
from tests.plot.examples import layers_of, legend_of, params_of, rows_of, words_of

COLOURS = plot.channel_colours(examples.CHANNELS)
NASTY = 'O\'Neil "x" [1] .a <b>'


def test_prior_and_posterior_of_every_scalar_with_the_contraction():
    prior, posterior = examples.draws(1, 900, seed=5), examples.draws()
    posterior["adstock_alpha"] *= 0.5
    drawn = plot.prior_posterior(prior, posterior, ["adstock_alpha"], colours=COLOURS)
    rows = rows_of(drawn)
    for name in examples.CHANNELS:
        before, after = (
            x["adstock_alpha"].sel(channel=name).to_numpy() for x in (prior, posterior)
        )
        share = 1 - np.var(after, ddof=1) / np.var(before, ddof=1)
        assert share > 0.5
        of = rows.loc[rows["cell"] == f"adstock_alpha[{name}]: {share:.0%}"]
        density = density_of(after, 128)
        found = of.loc[of["kind"] == name]
        np.testing.assert_allclose(found["at"], density.at)
        np.testing.assert_allclose(found["height"], density.height)
        assert np.trapezoid(found["height"], found["at"]) == pytest.approx(1, abs=0.01)
        known = of.loc[of["kind"] == "prior", "at"]
        low, high = np.quantile(before, [0.03, 0.97])  # the middle 94% of the prior
        assert known.min() == pytest.approx(min(low, density.at[0]), abs=1e-9)
        assert known.max() == pytest.approx(max(high, density.at[-1]), rel=0.02)
    assert legend_of(drawn) == {"prior": REST} | COLOURS
    assert params_of(drawn) == {"hidden"}
    assert drawn.to_dict()["facet"]["sort"] == list(dict.fromkeys(rows["cell"]))


def test_parameters_of_no_channel_have_the_colour_of_the_model():
    drawn = plot.prior_posterior(examples.draws(seed=3), examples.draws(), ["intercept"])
    assert legend_of(drawn) == {"prior": REST, "posterior": MODEL}
    assert words_of(drawn)[2].startswith("Prior and posterior density of 1 parameters")


def test_a_parameter_without_prior_is_named():
    with pytest.raises(InputError, match=r'"adstock_alpha\[TV\]"'):
        plot.prior_posterior(examples.draws().drop_vars("adstock_alpha"), examples.draws())


def test_contraction_is_a_dot_a_scalar_at_most_a_doubling_below_zero():
    drawn = plot.contraction(examples.priors(), colours=COLOURS)
    rows = rows_of(drawn)
    assert rows["parameter"].tolist() == ["intercept", "adstock_alpha", "adstock_alpha"]
    assert rows["shown"].tolist() == [0.75, 0.75, -1.0]
    assert rows["contraction"].tolist() == [0.75, 0.75, -1.25]
    assert rows["of"].tolist() == ["other", "TV", "Search"]
    assert rows["median"].tolist() == ["75%", "-25%", "-25%"]
    assert rows["prior"].tolist()[0] == "0.200 ± 0.100"
    seen = {name: COLOURS[name] for name in ("TV", "Search")}
    assert legend_of(drawn) == seen | {"other": MODEL}
    assert words_of(drawn)[2] == "Median contraction: intercept 75%, adstock_alpha -25%"
    none = plot.contraction(examples.priors().tail(1))
    assert words_of(none)[0] == "What the data taught, and what is still the prior"
    assert not layers_of(none)[0]["encoding"].get("color")


def returns(seed):
    """Draws as ``mm.roas(fit)["roas_total"]``: the organic channel has none."""
    values = np.random.default_rng(seed).gamma(4.0, 1.0, (2, 300, 3))
    values[..., 2] = np.nan
    return xr.DataArray(
        values, {"channel": examples.CHANNELS}, ["chain", "draw", "channel"]
    )


def narrowest(draws, prob=0.94):
    """The narrowest interval of sorted draws, by trying all."""
    x = np.sort(np.ravel(draws))
    inside = int(np.floor(prob * len(x)))
    best = min(range(len(x) - inside), key=lambda i: x[i + inside] - x[i])
    return x[best], x[best + inside]


def test_the_first_table_of_contraction_is_the_one_drawn():
    spec = plot.contraction(examples.priors(), colours=COLOURS).to_dict()
    assert list(spec["datasets"]) == [spec["data"]["name"]]  # what a page gives as CSV


def test_distributions_by_channel_with_the_prior_behind():
    posterior, prior = returns(0), 2 * returns(1)
    drawn = plot.distributions(posterior, prior, colours=COLOURS)
    tables = drawn.to_dict()["datasets"].values()
    (told,) = (t for t in tables if t and "said" in t[0])
    assert [row["channel"] for row in told] == ["TV", "Search"]  # Mail is organic
    for row in told:
        draws = posterior.sel(channel=row["channel"]).to_numpy()
        assert (row["lo"], row["hi"]) == pytest.approx(narrowest(draws))
        assert row["mean"] == pytest.approx(draws.mean())
    rows = rows_of(drawn)
    for i, name in enumerate(("TV", "Search")):
        of = rows.loc[(rows["channel"] == name) & (rows["kind"] == "posterior")]
        assert set(of["row"]) == {i}
        height = density_of(posterior.sel(channel=name), 128).height
        np.testing.assert_allclose(i - of["top"], 0.62 * height / height.max())
    assert set(rows["kind"]) == {"prior", "posterior"}
    ends = layers_of(drawn)[0]["encoding"]["x"]["scale"]["domain"]
    assert ends[0] == 0
    assert ends[1] > narrowest(prior.sel(channel="TV"))[1]
    title, unit, about = words_of(drawn)
    assert title == "ROAS of each channel under the posterior and the prior"
    assert unit == "ROAS; grey: the prior"
    assert "TV 4.0" in about


def test_distributions_of_plain_arrays_in_percent_under_any_name():
    draws = {"TV": np.linspace(0.1, 0.2, 101), NASTY: np.linspace(0.0, 0.1, 101)}
    drawn = plot.distributions(draws, of="Share of sales", under="the prior", percent=True)
    title, unit, about = words_of(drawn)
    assert title == "Share of sales of each channel under the prior"
    assert "grey" not in unit
    assert f"{NASTY} 5.0%" in about
    rows = layers_of(drawn)[0]["encoding"]["y"]["axis"]["labelExpr"]
    assert rows == f"{json.dumps(['TV', NASTY])}[datum.value]"
    assert to_png(drawn)[:4] == b"\x89PNG"


def test_distributions_of_nothing_say_so():
    drawn = plot.distributions({"TV": [np.nan]})
    assert "No channel has draws of it" in json.dumps(drawn.to_dict())


@pytest.mark.parametrize("draw", [
    lambda: plot.prior_posterior(examples.draws(1), examples.draws(), colours=COLOURS),
    lambda: plot.contraction(examples.priors(), width=400),
    lambda: plot.distributions(returns(0), returns(1)),
    lambda: plot.distributions({"TV": np.ones(50)}),
])  # fmt: skip
def test_pictures_are_drawn(draw):
    assert to_png(draw())[:4] == b"\x89PNG"
