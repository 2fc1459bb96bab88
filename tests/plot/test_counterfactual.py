"""What is drawn of an uplift."""

import numpy as np
import pytest

from mmmjax import plot
from mmmjax.checks import InputError
from mmmjax.plot import picture as p
from mmmjax.plot.colours import MODEL, REST
from tests.plot.charts import scale, words

DRAWS = np.random.default_rng(0).normal(0.05, 0.04, (2, 500, 1))


def rows(chart, part):
    return chart.data.loc[chart.data["part"] == part]


def test_uplift_has_gain_and_loss_apart_its_mean_and_interval():
    chart = plot.uplift(DRAWS, of="sales", plan="twice the TV")
    loss, gain = rows(chart, "loss"), rows(chart, "gain")
    assert loss["x"].max() == gain["x"].min() == 0.0
    assert max(loss["y"].max(), gain["y"].max()) == pytest.approx(1.0, abs=1e-3)
    for part, above in ((loss, False), (gain, True)):  # areas are probabilities
        area = np.trapezoid(part["y"], part["x"])
        both = sum(np.trapezoid(x["y"], x["x"]) for x in (loss, gain))
        assert area / both == pytest.approx(np.mean((DRAWS > 0) == above), abs=0.02)
    assert rows(chart, "mean")["x"].item() == pytest.approx(DRAWS.mean())
    interval = rows(chart, "interval")
    inside = (interval["x"].item() <= DRAWS) & (interval["x2"].item() >= DRAWS)
    assert inside.mean() == pytest.approx(0.94, abs=0.002)
    assert scale(chart, "color", "part") == {"gain": MODEL, "loss": REST}
    title, said = words(chart)
    assert title == "Uplift of sales under twice the TV"
    lo, hi = interval["x"].item(), interval["x2"].item()
    assert said == chart.description
    assert said == (
        f"Mean {DRAWS.mean():+.1%}, 94% interval {lo:+.1%} to {hi:+.1%}; "
        f"probability of an uplift {np.mean(DRAWS > 0):.0%}"
    )


def test_an_absolute_uplift_has_its_unit():
    chart = plot.uplift(1e6 * DRAWS, percent=False, unit="EUR", prob=0.5, width=400)
    assert words(chart)[1].startswith(f"Mean +{1e6 * DRAWS.mean():,.0f}, 50% interval +")
    spec = chart.to_dict()
    titles = [one["encoding"]["x"].get("title") for one in spec["layer"]]
    assert titles[0] == "change of the outcome against the actual media (EUR)"
    assert spec["width"] == 400


@pytest.mark.parametrize(
    ("share", "text"),
    [(0.0, "0%"), (0.002, "below 1%"), (0.995, "above 99%"), (1.0, "100%")],
)
def test_a_probability_is_certain_only_where_it_is(share, text):
    draws = np.where(np.arange(1000) < 1000 * share, 1.0, -1.0) * np.linspace(1, 2, 1000)
    assert words(plot.uplift(draws))[1].endswith(f"uplift {text}")


def test_too_few_draws_are_refused():
    with pytest.raises(InputError, match="draws: got 1 finite draws"):
        plot.uplift(np.array([1.0, np.nan, np.inf]))


@pytest.mark.parametrize("draws", [DRAWS, np.ones(5), -DRAWS * 1e9, [0.0, 0.0]])
def test_every_picture_is_drawn(draws):
    assert p.to_png(plot.uplift(draws, of="'sales\" <b>"), 0.5).startswith(b"\x89PNG")
