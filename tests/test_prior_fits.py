"""Draws of the prior answer every question; what needs a sampler says so."""

import pytest

import mmmjax as mm
from tests.fits import make_panel


def test_draws_of_the_prior_are_not_saved(tmp_path):
    prior = mm.sample_prior(mm.Spec(seasonality=None), make_panel(), 5)
    with pytest.raises(mm.InputError, match="fit: got draws of the prior"):
        mm.save(prior, tmp_path / "prior.nc")
    assert not list(tmp_path.iterdir())
