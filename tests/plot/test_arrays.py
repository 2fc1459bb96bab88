"""Densities against an independent kernel density, labels of draws, one geo."""

import numpy as np
import pytest
import xarray as xr
from scipy.stats import gaussian_kde

from mmmjax.checks import InputError
from mmmjax.plot.arrays import contraction_of, density_of, one_geo, scalars
from tests.plot import examples


def mass(density):
    return np.trapezoid(density.height, density.at)


def test_density_is_that_of_scipy_away_from_borders():
    x = np.random.default_rng(0).normal(-3.0, 2.0, 500)
    quarters = np.quantile(x, [0.25, 0.75])
    width = 0.9 * min(x.std(), np.ptp(quarters) / 1.34) * 500**-0.2
    expected = gaussian_kde(x, width / x.std(ddof=1))
    found = density_of(x)
    np.testing.assert_allclose(
        found.height, expected(found.at), atol=2e-3 * found.height.max()
    )
    assert found.at[0] == pytest.approx(x.min() - 3 * width)


@pytest.mark.parametrize("unit", [1.0, 1e9, 1e-7])
def test_density_integrates_to_one_in_any_unit(unit):
    x = np.random.default_rng(1).gamma(3.0, unit, (2, 700))
    assert mass(density_of(x)) == pytest.approx(1.0, abs=5e-3)


@pytest.mark.parametrize("name", ["exponential", "uniform"])
def test_density_does_not_sag_where_the_quantity_ends(name):
    found = density_of(getattr(np.random.default_rng(2), name)(size=20_000))
    assert found.at[0] == 0.0
    assert found.height[0] == pytest.approx(1.0, abs=0.1)  # the true one; 0.5 if it sagged
    if name == "uniform":
        assert found.at[-1] == 1.0
        assert found.height[-1] == pytest.approx(1.0, abs=0.1)
    assert mass(found) == pytest.approx(1.0, abs=5e-3)


def test_density_of_what_may_be_negative_is_not_cut():
    found = density_of(np.random.default_rng(3).normal(size=400))
    assert found.at[0] < -2
    assert mass(found.inside(-np.inf, 0.0)) == pytest.approx(0.5, abs=0.05)
    assert found.inside(0.0, 1.0).at[[0, -1]].tolist() == [0.0, 1.0]
    assert not found.inside(50.0, np.inf).at.size


def test_density_of_nothing_and_of_a_constant():
    assert density_of([np.nan, np.inf]).height.tolist() == [0.0]
    same = density_of(np.full(50, 7.0))
    assert same.at[np.argmax(same.height)] == pytest.approx(7.0, rel=1e-4)
    np.testing.assert_allclose(mass(same), 1.0, atol=0.02)


def test_scalars_are_named_by_their_coordinates_or_by_number():
    found = scalars(examples.draws())
    assert list(found) == ["intercept", *(f"adstock_alpha[{n}]" for n in examples.CHANNELS)]
    plain = scalars({n: x.to_numpy() for n, x in examples.draws().items()})
    assert list(plain)[1:] == [f"adstock_alpha[{i}]" for i in range(3)]
    expected = examples.draws()["adstock_alpha"].sel(channel="Search").to_numpy()
    np.testing.assert_array_equal(found["adstock_alpha[Search]"], expected)
    np.testing.assert_array_equal(plain["adstock_alpha[1]"], expected)


def test_scalars_keep_the_names_asked_for_in_their_order():
    found = scalars(examples.draws(), ["adstock_alpha[Mail]", "intercept"])
    assert list(found) == ["adstock_alpha[Mail]", "intercept"]
    with pytest.raises(InputError, match=r'"sigma".*"intercept" and "adstock_alpha"'):
        scalars(examples.draws(), ["sigma"])
    with pytest.raises(InputError, match="at most 30"):
        scalars({"gamma": np.zeros((2, 5, 31))})


def test_contraction():
    rng = np.random.default_rng(4)
    prior, posterior = rng.normal(0, 2, 4000), rng.normal(5, 1, 4000)
    assert contraction_of(prior, posterior) == pytest.approx(0.75, abs=0.02)
    assert contraction_of(posterior, prior) == pytest.approx(-3.0, abs=0.3)
    assert np.isnan(contraction_of(np.ones(9), posterior))


def test_one_geo_must_be_chosen_among_several():
    found = xr.Dataset({"x": ("geo", [1.0, 2.0])}, {"geo": ["north", "south"]})
    assert float(one_geo(found, "south")["x"]) == 2.0
    assert float(one_geo(found.isel(geo=[0]), None)["x"]) == 1.0
    with pytest.raises(InputError, match=r'geo.*"north" and "south".*total=True'):
        one_geo(found, None)
