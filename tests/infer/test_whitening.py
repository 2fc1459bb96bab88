"""An arrow is the matrix that it stands for."""

import numpy as np
import pytest

from mmmjax.infer import whitening
from mmmjax.infer.whitening import Arrow

GEOS, SHARED, OWN = 3, 4, 2
SIZE = SHARED + GEOS * OWN


def arrow(seed=0):
    rng = np.random.default_rng(seed)
    lower = lambda *shape: np.tril(rng.normal(size=shape)) + 3 * np.eye(shape[-1])
    cross = rng.normal(size=(GEOS, OWN, SHARED))
    return Arrow(lower(SHARED, SHARED), cross, lower(GEOS, OWN, OWN))


def dense(of):
    return np.stack([of @ e for e in np.eye(SIZE)], 1)


def test_products_and_inverses_are_those_of_the_matrix():
    one, other = arrow(0), arrow(1)
    a, b = dense(one), dense(other)
    x = np.random.default_rng(2).normal(size=(5, SIZE))
    np.testing.assert_allclose(dense(one @ other), a @ b, rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(whitening.solve(one, x), np.linalg.solve(a, x.T).T)
    np.testing.assert_allclose(whitening.turned(one, x), x @ a, rtol=1e-12, atol=1e-12)
    np.testing.assert_array_equal(dense(whitening.identity(one)), np.eye(SIZE))


def arrowhead(seed=3):
    """A precision whose geos are independent given what is shared."""
    inverse = 30 * np.linalg.inv(dense(arrow(seed)))  # within the bounds
    return inverse.T @ inverse


def test_map_of_a_hessian_whitens_it():
    hessian = arrowhead()
    like = whitening.identity(arrow())
    rows = whitening.directions(like) @ hessian
    made = dense(whitening.from_hessian(like, rows))
    np.testing.assert_allclose(made.T @ hessian @ made, np.eye(SIZE), atol=1e-10)


def test_eigenvalues_are_kept_within_bounds():
    like = whitening.identity(arrow())
    low, high = whitening.EIGENVALUES
    rows = whitening.directions(like) @ np.diag(np.geomspace(1e-12, 1e12, SIZE))
    found = np.linalg.eigvalsh(
        np.linalg.inv(dense(whitening.from_hessian(like, rows))) ** 2
    )
    assert found.min() >= low * (1 - 1e-9)
    assert found.max() <= high * (1 + 1e-9)


@pytest.mark.parametrize("kind", ["dense", "arrow"])
def test_factor_of_many_draws_is_that_of_their_covariance(kind):
    """Within Monte Carlo error of 40,000 draws and the pseudo-draws of the shrinkage."""
    true = dense(arrow(3)) / 3
    z = np.random.default_rng(4).normal(size=(40_000, SIZE)) @ true.T + 0.7
    like = whitening.identity(arrow()) if kind == "arrow" else np.eye(SIZE)
    mean, factor = whitening.pooled(like, z)
    made = dense(factor) if kind == "arrow" else factor
    sd = np.sqrt(np.diag(true @ true.T))
    np.testing.assert_allclose(mean, 0.7, atol=5 * sd.max() / 200)
    left = np.linalg.solve(made, true)
    np.testing.assert_allclose(left @ left.T, np.eye(SIZE), atol=6 * np.sqrt(2 / 40_000))
