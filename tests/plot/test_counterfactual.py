"""What is drawn of an uplift."""

import numpy as np
import pytest

from mmmjax import plot
from mmmjax.checks import InputError
from mmmjax.plot.counterfactual import uplift_of

DRAWS = np.random.default_rng(0).normal(0.05, 0.04, (2, 500, 1))


def test_uplift_has_mean_interval_and_probability():
    found = uplift_of(DRAWS)
    assert found.mean == pytest.approx(DRAWS.mean())
    assert found.probability == np.mean(DRAWS > 0)
    inside = np.abs(DRAWS - 0.5 * (found.lo + found.hi)) <= 0.5 * (found.hi - found.lo)
    assert inside.mean() == pytest.approx(0.94, abs=0.002)


def test_uplift_is_drawn_with_gain_and_loss_apart():
    found = uplift_of(DRAWS)
    axes = plot.uplift(DRAWS, of="sales", plan="twice the TV").axes[0]
    curve, zero, mean, interval = axes.lines
    np.testing.assert_array_equal(curve.get_ydata(), found.density.height)
    assert zero.get_xdata()[0] == 0.0
    assert mean.get_xdata()[0] == found.mean
    assert interval.get_xdata().tolist() == [found.lo, found.hi]
    loss, gain = (area.get_paths()[0].vertices[:, 0] for area in axes.collections)
    assert loss.max() == gain.min() == 0.0
    said = axes.get_title(loc="left").replace("\n", " ")
    assert said == (
        f"Mean {found.mean:+.1%}, 94% interval {found.lo:+.1%} to {found.hi:+.1%}; "
        f"probability of an uplift {found.probability:.0%}"
    )


@pytest.mark.parametrize(
    ("share", "text"),
    [(0.0, "0%"), (0.002, "below 1%"), (0.995, "above 99%"), (1.0, "100%")],
)
def test_a_probability_is_certain_only_where_it_is(share, text):
    draws = np.where(np.arange(1000) < 1000 * share, 1.0, -1.0) * np.linspace(1, 2, 1000)
    said = plot.uplift(draws).axes[0].get_title(loc="left").replace("\n", " ")
    assert said.endswith(f"uplift {text}")


def test_absolute_uplift_is_in_units():
    axes = plot.uplift(1e6 * DRAWS, of="sales", percent=False, unit="EUR").axes[0]
    assert axes.get_xlabel() == "change of sales against the actual media (EUR)"
    mean = f"+{1e6 * DRAWS.mean():,.0f}"
    assert axes.get_title(loc="left").startswith(f"Mean {mean}")


def test_no_draws_have_no_distribution():
    with pytest.raises(InputError, match="two or more"):
        plot.uplift([np.nan, 1.0])
