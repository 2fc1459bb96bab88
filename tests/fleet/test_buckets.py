"""Buckets: every market in one, in few shapes that hold it, and padding changes nothing."""

import jax
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpyro.infer.util import log_density
from scipy import special

import mmmjax as mm
from mmmjax.fleet.buckets import MOST, Shape, buckets, fitted_to, shape_of
from mmmjax.model import program
from tests.infer.problems import data_of, panel, spec

shapes = st.builds(
    Shape, st.just(0), st.integers(52, 260), st.integers(2, 12), st.integers(0, 3)
)


@given(st.lists(shapes, min_size=1, max_size=60), st.integers(1, 3))
def test_every_market_is_in_one_bucket_that_holds_it(found, kinds):
    every = {f"m{i}": shape for i, shape in enumerate(found)}
    keys = {name: i % kinds for i, name in enumerate(every)}
    made = buckets(every, keys)
    assert sorted(n for b in made for n in b.markets) == sorted(every)
    assert len(made) <= max(MOST, kinds)
    for bucket in made:
        own = [every[name] for name in bucket.markets]
        assert bucket.shape == Shape(*np.max(own, axis=0).tolist())  # no larger than needed
        assert {keys[name] for name in bucket.markets} == {bucket.key}
        assert list(bucket.markets) == sorted(bucket.markets, key=list(every).index)


def test_a_ragged_fleet_wastes_little():
    rng = np.random.default_rng(0)
    every = {
        f"m{i}": Shape(0, int(rng.integers(52, 261)), int(rng.integers(2, 13)), 2)
        for i in range(500)
    }
    made = buckets(every, dict.fromkeys(every, "one"))
    own = sum(b.work for name in every for b in buckets({name: every[name]}, {name: 0}))
    assert len(made) <= 6
    assert sum(b.work for b in made) < 1.7 * own
    alike = dict.fromkeys(every, Shape(0, 104, 5, 2))
    assert len(buckets(alike, dict.fromkeys(alike, 0))) == 1


def test_nearly_equal_shapes_share_a_program():
    every = {f"m{i}": Shape(0, 104 + i % 2, 5, 2) for i in range(10)}
    assert len(buckets(every, dict.fromkeys(every, 0))) == 1


PRIORS = {
    "saturation_beta": mm.Prior("HalfNormal", scale=mm.spend_share),
    "saturation_lam": mm.Prior("Gamma", concentration=[3.0, 2.0], rate=1.0),
    "adstock_alpha": mm.Prior("Beta", concentration1=2.0, concentration0=5.0),
}


@pytest.mark.parametrize("geos, controls", [(1, 2), (1, 0), (2, 2)])
def test_padding_changes_no_posterior(geos, controls):
    """The density differs by a constant, wherever the parameters are."""
    the_spec, the_panel = spec(priors=PRIORS), panel(geos=geos, controls=controls)
    data = data_of(the_spec, the_panel)
    own = shape_of(data)
    assert own == Shape(0, 40, 2, controls)
    wide = fitted_to(data, the_spec, Shape(3, 47, 4, 3))
    assert shape_of(wide) == Shape(3, 47, 4, 3)
    structure = the_spec.structure()
    with jax.enable_x64(True):
        found = [jax.tree.map(jax.numpy.asarray, one) for one in (data, wide)]
        rng, values = np.random.default_rng(0), []
        for _ in range(3):
            x: dict[str, np.ndarray] = {}
            pair = [density(one, structure, x, rng, own) for one in found]
            values.append(pair[1] - pair[0])
    np.testing.assert_allclose(values, values[0], rtol=0, atol=1e-8)


def test_priors_of_one_structure_share_arrays():
    """A number, one a channel or one of the data: the arrays of a bucket are alike."""
    scales = (0.5, [0.5, 0.2], mm.spend_share, mm.media_share)
    specs = [
        spec(priors={"saturation_beta": mm.Prior("HalfNormal", scale=s)}) for s in scales
    ]
    found = []
    for controls in (1, 0):
        for one in specs:
            data = data_of(one, panel(controls=controls))
            wide = fitted_to(data, one, Shape(2, 45, 3, 2))
            found.append(jax.tree.map(np.shape, wide))
    assert len({one.structure() for one in specs}) == 1
    assert all(shapes == found[0] for shapes in found)


def density(data, structure, x, rng, own):
    """Log density at parameters x; those of new members stay at one place."""
    members, values = data.inputs.sizes(), {}
    to = {"positive": np.exp, "unit": special.expit, "interval": special.expit}
    for site in structure.sites(members):
        shape = tuple(members[d] for d in site.dims)
        if site.name not in x:
            new = shape_of(data) != own  # a parameter that only the wide one has
            x[site.name] = np.zeros((0,) * len(shape)) if new else rng.normal(size=shape)
        value = np.full(shape, 0.3)
        kept = tuple(slice(0, n) for n in np.minimum(shape, x[site.name].shape))
        value[kept] = x[site.name][kept]
        values[site.name] = to.get(site.support, np.asarray)(value)
    return float(log_density(program, (structure, data), {}, values)[0])
