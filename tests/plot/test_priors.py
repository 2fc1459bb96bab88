"""What is drawn of priors: beside the posterior, contraction, shares and returns."""

import numpy as np
import pytest
import xarray as xr
from matplotlib.colors import to_hex

from mmmjax import plot
from mmmjax.checks import InputError
from mmmjax.plot.arrays import density_of
from mmmjax.plot.canvas import MODEL
from mmmjax.plot.priors import contractions_of, distribution_of, learned_of
from tests.plot import examples

COLOURS = plot.channel_colours(examples.CHANNELS)


def test_prior_and_posterior_of_every_scalar_with_the_contraction():
    prior, posterior = examples.draws(1, 900, seed=5), examples.draws()
    posterior["adstock_alpha"] *= 0.5
    figure = plot.prior_posterior(prior, posterior, ["adstock_alpha"], colours=COLOURS)
    cells = [ax for ax in figure.axes if ax.axison]
    for ax, name in zip(cells, examples.CHANNELS, strict=True):
        before, after = (x["adstock_alpha"].sel(channel=name) for x in (prior, posterior))
        for line, draws in zip(ax.lines, (before, after), strict=True):
            np.testing.assert_allclose(line.get_xydata(), np.transpose(density_of(draws)))
        contraction = 1 - np.var(after.to_numpy(), ddof=1) / np.var(
            before.to_numpy(), ddof=1
        )
        expected = f"adstock_alpha[{name}]: {contraction:.0%}"
        assert ax.get_title(loc="left") == expected
        assert ax.lines[1].get_color() == COLOURS[name]
        assert contraction > 0.5


def test_what_is_drawn_holds_the_posterior_and_the_middle_of_the_prior():
    rng = np.random.default_rng(0)
    prior, posterior = rng.standard_cauchy(4000), rng.normal(8.0, 0.1, 500)
    found = learned_of(prior, posterior)
    assert found.lo == pytest.approx(np.quantile(prior, 0.03))
    assert found.hi == pytest.approx(np.quantile(prior, 0.97))
    assert learned_of(posterior, prior).hi > 100


def test_a_parameter_without_prior_is_named():
    with pytest.raises(InputError, match=r'"adstock_alpha\[TV\]"'):
        plot.prior_posterior(examples.draws().drop_vars("adstock_alpha"), examples.draws())


def test_contraction_is_a_dot_a_scalar_at_most_a_doubling_below_zero():
    found = contractions_of(examples.priors())
    assert found.parameters == ["intercept", "adstock_alpha"]
    assert found.index == [[""], ["TV", "Search"]]
    axes = plot.contraction(examples.priors(), colours=COLOURS).axes[0]
    dots = [line for line in axes.lines if line.get_marker() == "o"]
    assert [float(dot.get_xdata()[0]) for dot in dots] == [0.75, 0.75, -1.0]
    assert [dot.get_color() for dot in dots] == [MODEL, COLOURS["TV"], COLOURS["Search"]]
    assert [round(float(dot.get_ydata()[0])) for dot in dots] == [0, 1, 1]
    labels = [t.get_text() for t in axes.get_legend().get_texts()]
    assert labels == ["TV", "Search", "other"]
    assert "-25%" in [t.get_text() for t in axes.texts]  # the median of 75% and -125%


def test_distribution_has_the_narrowest_interval():
    draws = np.random.default_rng(1).exponential(size=999)
    found = distribution_of([*draws, np.nan])
    x = np.sort(draws)
    inside = int(np.floor(0.94 * 999))
    widths = x[inside:] - x[: 999 - inside]
    best = int(np.argmin(widths))
    assert (found.lo, found.hi) == (x[best], x[best + inside])
    assert found.mean == pytest.approx(draws.mean())
    assert distribution_of([np.nan]) is None


def returns(seed):
    """Draws as ``mm.roas(fit)["roas_total"]``: the organic channel has none."""
    values = np.random.default_rng(seed).gamma(4.0, 1.0, (2, 300, 3))
    values[..., 2] = np.nan
    return xr.DataArray(
        values, {"channel": examples.CHANNELS}, ["chain", "draw", "channel"]
    )


def test_distributions_by_channel_with_the_prior_behind():
    posterior, prior = returns(0), 2 * returns(1)
    axes = plot.distributions(posterior, prior, colours=COLOURS).axes[0]
    assert [t.get_text() for t in axes.get_yticklabels()] == ["TV", "Search"]
    found = distribution_of(posterior.sel(channel="Search").to_numpy())
    assert axes.lines[2].get_xdata() == pytest.approx([found.lo, found.hi])
    assert axes.lines[3].get_xdata()[0] == pytest.approx(found.mean)
    paint = [to_hex(x.get_facecolor()[0]).upper() for x in axes.collections]
    assert paint[1::2] == [COLOURS["TV"], COLOURS["Search"]]
    assert len(paint) == 4
    top = distribution_of(prior.sel(channel="TV").to_numpy()).hi
    assert axes.get_xlim()[1] > top
    assert axes.get_legend() is not None


def test_distributions_of_plain_arrays_in_percent():
    draws = {"TV": np.linspace(0.1, 0.2, 101), "Search": np.linspace(0.0, 0.1, 101)}
    figure = plot.distributions(
        draws, of="Share of sales", under="the prior", percent=True, colours=COLOURS
    )
    axes = figure.axes[0]
    assert figure.get_suptitle() == "Share of sales of each channel under the prior"
    assert {"15.0%", "5.0%"} <= {t.get_text() for t in axes.texts}
    assert axes.get_legend() is None
    heights = [c.get_paths()[0].vertices[:, 1] for c in axes.collections]
    assert [(h.max(), h.min() > row - 0.7) for row, h in enumerate(heights)] == [
        (0, True), (1, True),
    ]  # fmt: skip
