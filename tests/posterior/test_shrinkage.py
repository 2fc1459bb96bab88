"""Own estimates are what the data of a geo say, in the algebra of normal laws."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

import mmmjax as mm
from mmmjax import plot, tables
from mmmjax.checks import InputError
from mmmjax.draws import Draws
from tests.fits import make_fit, make_panel

DRAWS = 20_000


def pooled_fit():
    """Draws of a posterior in closed form: 9 geos, what is known of each, and the truth."""
    geos = [f"geo {g}" for g in range(9)]
    panel = make_panel(geos=geos, periods=30)
    fit = mm.sample_prior(mm.Spec(seasonality=None), panel, DRAWS)
    rng = np.random.default_rng(1)
    own, error = 0.4 + 0.2 * rng.standard_normal((2, 9)), rng.uniform(0.05, 0.4, (2, 9))
    middle = 0.4 + 0.03 * rng.standard_normal((2, DRAWS, 1))
    precision = 1 / 0.15**2 + 1 / error[:, None] ** 2
    mean = (middle / 0.15**2 + (own / error**2)[:, None]) / precision
    value = mean + rng.standard_normal(mean.shape) / np.sqrt(precision)
    params = dict(fit.draws.params)
    params["intercept"] = value[:1]
    params["intercept_typical"] = middle[:1, :, 0]
    params["intercept_spread"] = np.full((1, DRAWS), 0.15)
    effects = params["saturation_beta"].copy()
    typical, spread = (params[f"saturation_beta_{n}"].copy() for n in ("typical", "spread"))
    effects[0, ..., 1], typical[0, :, 1] = np.exp(value[1]), np.exp(middle[1, :, 0])
    spread[0, :, 1] = 0.15
    params |= {"saturation_beta": effects, "saturation_beta_typical": typical}
    params["saturation_beta_spread"] = spread
    return replace(fit, draws=Draws(params)), own, error


FIT, OWN, ERROR = pooled_fit()


@pytest.mark.parametrize("parameter", ["intercept", "saturation_beta"])
def test_dividing_the_population_out_leaves_what_the_data_said(parameter):
    k = int(parameter == "saturation_beta")
    table = tables.shrinkage(FIT, parameter)
    link = np.log if k else lambda x: x
    rows = table if not k else table.loc[table["channel"] == FIT.panel.channels[1]]
    np.testing.assert_array_equal(rows["geo"], FIT.panel.geos)
    # a relative error of r in a variance of the draws is one of r / (1 - weight) here
    off = np.sqrt(2 / DRAWS) / (1 - rows["weight"]) + 0.03**2 / 0.15**2
    sd = link(rows["own_hi"]) - link(rows["own_lo"])
    assert (np.abs(sd / (2 * 1.8808 * ERROR[k]) - 1) < 4 * off).all()
    assert (np.abs(link(rows["own"]) - OWN[k]) < 4 * off * (ERROR[k] + 0.4)).all()
    weight = ERROR[k] ** 2 / (ERROR[k] ** 2 + 0.15**2)
    np.testing.assert_allclose(rows["weight"], weight, atol=0.08)
    np.testing.assert_allclose(
        rows["pooled_mean"], FIT.draws.params[parameter][0, ..., *([1] * k)].mean(0)
    )


@pytest.mark.slow(parts=6)
def test_all_pooled_parameters_stand_under_each_other_and_in_the_report(tmp_path):
    few = {name: x[:, :50] for name, x in FIT.draws.params.items()}
    fit = replace(FIT, draws=Draws(few), sampler=mm.NUTS())
    every = tables.shrinkage(fit, None)
    assert list(every["parameter"].unique()) == ["intercept", "saturation_beta", "y_sigma"]
    one = every.loc[every["parameter"] == "intercept"]
    pd.testing.assert_frame_equal(one, tables.shrinkage(fit, "intercept"))
    found = tables.every(fit)
    pd.testing.assert_frame_equal(found["shrinkage"], every)
    mm.report(fit, tmp_path / "report.html", tables=found)
    text = (tmp_path / "report.html").read_text()
    assert 'data-name="shrinkage"' in text
    assert "weight of all geos" in text
    alone = mm.sample_prior(
        mm.Spec(seasonality=None), make_panel(geos=("a",), periods=30), 9
    )
    assert tables.NAMES[-1] == "shrinkage"
    with pytest.raises(InputError, match="pools nothing over geos"):
        tables.shrinkage(alone, None)


def test_what_is_not_pooled_has_no_such_table():
    with pytest.raises(InputError, match=r"parameter: got intercept, in a fit that pools"):
        tables.shrinkage(make_fit(2, 20), "intercept")
    with pytest.raises(InputError, match=r"parameter: got \"adstock_alpha\""):
        tables.shrinkage(FIT, "adstock_alpha")


def test_every_geo_is_drawn_once_a_channel():
    drawn = plot.shrinkage(FIT).data
    assert list(drawn["cell"].unique()) == list(FIT.panel.channels)
    each = drawn.groupby(["cell", "kind"])["geo"]
    assert (each.nunique() == len(FIT.panel.geos)).all()
    assert (each.size() == len(FIT.panel.geos)).all()
    assert plot.shrinkage(FIT, channel="TV", most=4).data["geo"].nunique() == 4


def test_scores_by_geo_are_those_of_its_cells():
    fit = make_fit(2, 100)
    table = tables.scores(fit).set_index("geo")
    found = mm.scores(fit)
    assert list(table.index) == [*fit.panel.geos, "ALL"]
    assert table.loc["ALL", "crps"] == pytest.approx(found["crps_train"])
    cells = fit.panel.mask[:, fit.panel.window].sum(1)
    np.testing.assert_allclose(
        table["crps"].iloc[:-1] @ cells / cells.sum(), found["crps_train"]
    )


def test_contributions_of_geos_add_up_to_the_whole_in_every_draw():
    fit = make_fit(2, 50)
    each, whole = (mm.contributions(fit, total=total) for total in (False, True))
    for name in ("channel_total", "control_total", "baseline_total", "mu_total"):
        if name in each:
            summed = each[name].sum("geo").to_numpy()
            np.testing.assert_array_equal(whole[name].squeeze("geo", drop=True), summed)
