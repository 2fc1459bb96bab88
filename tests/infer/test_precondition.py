"""The coordinates change, the posterior does not."""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from numpyro.infer.util import log_density as numpyro_log_density

from mmmjax import programs
from mmmjax.infer import density, laplace
from mmmjax.infer import precondition as room
from mmmjax.infer.whitening import Arrow
from mmmjax.model import program
from tests.infer.problems import CASES, data_of, panel, spec

pytestmark = pytest.mark.usefixtures("x64")


def random_points(problem, n=6, seed=1):
    return np.random.default_rng(seed).normal(size=(n, problem.center.shape[0]))


@pytest.mark.slow(parts=6)
@pytest.mark.parametrize("name", sorted(CASES))
def test_density_is_the_numpyro_density_times_the_jacobian(name):
    """Change of variables: log p(values) + log |d values / dz| - log q(z) is constant."""
    the_spec, the_panel = CASES[name]
    structure = the_spec.structure()
    data = data_of(the_spec, the_panel)
    problem = room.precondition(structure, data)[0].astype(np.float64)

    def values(z):
        x = problem.center + problem.whiten @ z
        return density._resolve(x, problem, structure)[0]

    @jax.jit
    def gap(z):
        flat = lambda z: jnp.concatenate([jnp.ravel(v) for v in values(z).values()])
        _, log_det = jnp.linalg.slogdet(jax.jacfwd(flat)(z))
        exact, _ = numpyro_log_density(program, (structure, problem.data), {}, values(z))
        return exact + log_det - room.log_density(z, problem, structure)

    gaps = [float(gap(z)) for z in random_points(problem)]
    np.testing.assert_allclose(gaps, gaps[0], rtol=1e-9, atol=1e-8)


@pytest.mark.slow(parts=6)
@pytest.mark.parametrize("name", sorted(CASES))
def test_whitened_density_is_about_standard_normal_at_its_mode(name):
    the_spec, the_panel = CASES[name]
    structure = the_spec.structure()
    problem, _ = room.precondition(structure, data_of(the_spec, the_panel))
    potential = room.Potential(problem, structure, smooth=True)
    size = problem.center.shape[0]
    value, slope = potential(np.zeros(size))
    assert np.isfinite(value)
    assert np.abs(slope).max() < 0.2  # near the mode, in units of posterior sd
    h = 1e-3
    rows = [potential(h * e)[1] - potential(-h * e)[1] for e in np.eye(size)]
    curvature = np.linalg.eigvalsh(np.stack(rows) / (2 * h))
    # 1 where not clipped, below 1 where the density is flat; an arrow leaves out what
    # common coefficients make two geos share
    assert curvature.max() < (1.2 if isinstance(problem.whiten, Arrow) else 1.1)


@pytest.mark.slow(parts=6)
@pytest.mark.parametrize("name", sorted(CASES))
def test_positions_are_the_inverse_of_constrain(name):
    the_spec, the_panel = CASES[name]
    structure = the_spec.structure()
    problem, _ = room.precondition(structure, data_of(the_spec, the_panel))
    z, wide = random_points(problem, 3), problem.astype(np.float64)
    found = jax.vmap(lambda z: room.constrain(z, wide, structure))(z)
    values = {n: np.array(found[n]) for n in density.sites_of(problem, structure)}
    back = density.positions(problem, structure, values)
    np.testing.assert_allclose(back, z, rtol=1e-7, atol=1e-7)
    if "gamma_control" not in values:
        return
    values["gamma_control"][:, -1] = np.nan  # a member that only pads: all others stay
    back = density.positions(problem, structure, values)
    again = jax.vmap(lambda z: room.constrain(z, wide, structure))(back)
    for name, value in values.items():
        there = np.isfinite(value)
        np.testing.assert_allclose(np.asarray(again[name])[there], value[there], rtol=1e-6)


@pytest.mark.slow(parts=6)
@pytest.mark.parametrize("name", sorted(CASES))
def test_outline_has_the_shapes_of_the_problem(name):
    """The sampler compiles for the outline while the problem is still being built."""
    the_spec, the_panel = CASES[name]
    structure, data = the_spec.structure(), data_of(the_spec, the_panel)
    problem, _ = room.precondition(structure, data)
    shapes = lambda p: jax.tree.map(lambda x: (x.shape, x.dtype), p.astype(np.float32))
    assert shapes(room.outline(structure, data)) == shapes(problem)


def test_rewhitening_maps_points_without_changing_values():
    the_spec, the_panel = CASES["national"]
    structure = the_spec.structure()
    problem = room.precondition(structure, data_of(the_spec, the_panel))[0].astype(
        np.float64
    )
    size = problem.center.shape[0]
    rng = np.random.default_rng(0)
    mean, chol = rng.normal(size=size) * 0.1, np.tril(rng.normal(size=(size, size))) * 0.1
    chol += np.eye(size)
    moved = room.rewhiten(problem, mean, chol)
    for z in random_points(problem):
        old = room.log_density(jnp.asarray(mean + chol @ z), problem, structure)
        np.testing.assert_allclose(
            room.log_density(jnp.asarray(z), moved, structure), old, rtol=1e-9
        )


def test_starts_far_out_are_finite_or_refused():
    the_spec, the_panel = CASES["truncated, masked, rank deficient"]
    structure = the_spec.structure()
    problem, _ = room.precondition(structure, data_of(the_spec, the_panel))
    potential = room.Potential(problem, structure)
    for z in 30.0 * random_points(problem, 20):
        value, slope = potential(z)
        assert value > -1e6  # never a good point by overflow
        assert np.isfinite(slope).all()


def test_another_panel_of_the_same_shape_compiles_nothing():
    the_spec = spec()
    structure = the_spec.structure()
    room.precondition(structure, data_of(the_spec, panel(seed=0)))
    before = len(programs._PROGRAMS)
    other = dataclasses.replace(
        the_spec, priors={"intercept": the_spec.priors["intercept"].with_dims(())}
    )
    _, seconds = room.precondition(other.structure(), data_of(other, panel(seed=5)))
    assert seconds == 0.0
    assert len(programs._PROGRAMS) == before


@pytest.mark.slow(parts=6)
def test_problems_prepared_together_are_those_prepared_alone():
    """To the last bit, whatever stands beside them; one that fails harms no other."""
    the_spec = spec()
    structure = the_spec.structure()
    sheared = [
        room.shear(structure, data_of(the_spec, panel(seed=seed)))[0] for seed in range(3)
    ]
    block: Any = sheared[1].block
    block = dataclasses.replace(block, base=np.full_like(block.base, np.nan))
    bad = dataclasses.replace(sheared[1], block=block)
    together, _ = laplace.whitened_together(
        [sheared[0], bad, sheared[2]], structure, [7, 8, 9], width=2
    )
    assert isinstance(together[1], FloatingPointError)
    again, _ = laplace.whitened_together([sheared[2]], structure, [9], width=2)
    for name in ("center", "whiten"):
        np.testing.assert_array_equal(getattr(together[2], name), getattr(again[0], name))
    single, _ = laplace.whitened(sheared[0], structure, 7)
    assert not isinstance(together[0], Exception)
    np.testing.assert_allclose(together[0].center, single.center, atol=1e-5)


def test_a_failing_evaluation_ends_all_that_wait(monkeypatch):
    the_spec = spec()
    problem, _ = room.shear(the_spec.structure(), data_of(the_spec, panel()))

    def broken(*_):
        raise MemoryError("no room")

    monkeypatch.setattr(laplace.Potentials, "__call__", broken)
    with pytest.raises(MemoryError, match="no room"):
        laplace.whitened(problem, the_spec.structure(), 0)


@pytest.mark.slow(parts=6)
def test_curvature_is_that_of_automatic_differentiation():
    """Of several problems at once, each at a place of its own."""
    the_spec = spec()
    structure = the_spec.structure()
    problems = [
        room.shear(structure, data_of(the_spec, panel(seed=seed)))[0] for seed in range(3)
    ]
    potentials = laplace.Potentials(problems, structure, smooth=True, width=2)
    at = 0.3 * np.random.default_rng(0).standard_normal((3, potentials.size))
    found = laplace._hessians(potentials, at, problems[0].whiten)
    with jax.enable_x64(True):
        for problem, z, hessian in zip(problems, at, found, strict=True):
            wide = problem.astype(np.float64)
            slope = lambda z, p=wide: laplace._slope(z, p, jnp.ones(()), structure)[1]
            exact = jax.jacfwd(slope)(jnp.asarray(z))
            np.testing.assert_allclose(hessian, exact, rtol=1e-4, atol=1e-3)
