"""Linear maps that whiten coordinates: dense, or an arrow of what geos share and have.

A dense map is an array. An :class:`Arrow` grows with the number of geos, not with its
square: what is shared is dense, every geo has a block of its own and a regression on what
is shared. Both take ``map @ z``.
"""

from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

__all__ = [
    "EIGENVALUES",
    "Arrow",
    "directions",
    "from_hessian",
    "identity",
    "pooled",
    "solve",
    "turned",
]

EIGENVALUES = (0.3, 1e6)  # of the Laplace precision, in coordinates of prior size
REGRESSION = 10  # pseudo-draws for each shared coordinate that a block is regressed on


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Arrow:
    """x = (shared z_s, cross z_s + local z_l geo by geo).

    Args:
        shared: (S, S).
        cross: (geo, L, S).
        local: (geo, L, L).
    """

    shared: Any
    cross: Any
    local: Any

    def split(self, x: Any) -> tuple[Any, Any]:
        """Shared coordinates (..., S) and those of geos (..., geo, L)."""
        n = self.shared.shape[-1]
        blocks = self.cross.shape[-3:-1]
        return x[..., :n], x[..., n:].reshape(*x.shape[:-1], *blocks)

    def join(self, shared: Any, local: Any) -> Any:
        """The inverse of :meth:`split`."""
        xp = np if isinstance(shared, np.ndarray) else jnp
        flat = local.reshape(*local.shape[:-2], -1)
        return xp.concatenate([shared, flat], -1)

    def __matmul__(self, other: Any) -> Any:
        """The image of a vector, or this map after another arrow."""
        if isinstance(other, Arrow):
            cross = self.cross @ other.shared + self.local @ other.cross
            return Arrow(self.shared @ other.shared, cross, self.local @ other.local)
        shared, local = self.split(other)
        own = (self.local * local[:, None, :]).sum(-1)
        return self.join(self.shared @ shared, self.cross @ shared + own)


def identity(like: Any) -> Any:
    """The identity, of the kind and size of another map."""
    if not isinstance(like, Arrow):
        return np.eye(like.shape[-1])
    local = np.broadcast_to(np.eye(like.local.shape[-1]), like.local.shape).copy()
    return Arrow(np.eye(like.shared.shape[-1]), np.zeros(like.cross.shape), local)


def solve(whiten: Any, x: Any) -> Any:
    """The vectors z (..., P) whose images are x."""
    xp: Any = np if isinstance(x, np.ndarray) else jnp
    if not isinstance(whiten, Arrow):
        return xp.linalg.solve(whiten, x.T).T
    shared, local = whiten.split(x)
    z = xp.linalg.solve(whiten.shared, shared.T).T
    rest = local - xp.einsum("gls,...s->...gl", whiten.cross, z)
    return whiten.join(z, xp.linalg.solve(whiten.local, rest[..., None])[..., 0])


def turned(whiten: Any, gradient: Any) -> Any:
    """Gradients (..., P) in the coordinates that the map takes."""
    if not isinstance(whiten, Arrow):
        return gradient @ whiten
    shared, local = whiten.split(gradient)
    both = shared @ whiten.shared + np.einsum("gls,...gl->...s", whiten.cross, local)
    return whiten.join(both, np.einsum("gij,...gi->...gj", whiten.local, local))


def pooled(like: Any, z: Float[np.ndarray, "draw size"]) -> tuple[np.ndarray, Any]:
    """Mean of draws and a factor of their covariance, shrunk to the whitening so far.

    Args:
        like: The whitening so far, which says of what kind the factor is.
        z: Draws.
    """
    if not isinstance(like, Arrow):
        return _dense(z)
    shared, local = like.split(z)
    n, size = shared.shape
    middle, factor = _dense(shared)
    white = np.linalg.solve(factor, (shared - middle).T).T
    mean = local.mean(0)
    gap = local - mean
    weight = REGRESSION * size * np.eye(size)
    cross = np.einsum("ns,ngl->gls", white, gap)
    cross = np.linalg.solve(
        white.T @ white + weight, np.moveaxis(cross, -1, 0).reshape(size, -1)
    )
    cross = np.moveaxis(cross.reshape(size, *mean.shape), 0, -1)
    gap = gap - np.einsum("gls,ns->ngl", cross, white)
    spread = np.einsum("ngi,ngj->gij", gap, gap)
    weight = 4.0 * mean.shape[-1]
    spread = (spread + weight * np.eye(mean.shape[-1])) / (n + weight)
    return like.join(middle, mean), Arrow(factor, cross, np.linalg.cholesky(spread))


def _dense(z: Float[np.ndarray, "draw size"]) -> tuple[np.ndarray, np.ndarray]:
    n, size = z.shape
    mean = z.mean(0)
    spread = (z - mean).T @ (z - mean)
    weight = 2.0 * size  # pseudo-draws from the whitening so far
    return mean, np.linalg.cholesky((spread + weight * np.eye(size)) / (n + weight))


def directions(like: Any) -> np.ndarray:
    """Directions, (direction, P), whose Hessian rows :func:`from_hessian` takes."""
    if not isinstance(like, Arrow):
        return np.eye(like.shape[-1])
    geos, size, n = like.cross.shape
    every = np.tile(np.eye(size), (1, geos))
    above, below = np.zeros((n, every.shape[1])), np.zeros((size, n))
    return np.block([[np.eye(n), above], [below, every]])


def from_hessian(like: Any, rows: np.ndarray) -> Any:
    """The map that makes a precision 1, its eigenvalues kept within :data:`EIGENVALUES`.

    Args:
        like: Says of what kind and size.
        rows: Of a dense map the Hessian, (P, P). Of an arrow its first S rows, and after
            them the sums over geos of the rows of every coordinate of a geo: (S + L, P).
    """
    if not isinstance(like, Arrow):
        values, vectors = np.linalg.eigh(0.5 * (rows + rows.T))
        return vectors / np.sqrt(np.clip(values, *EIGENVALUES))
    n = like.shared.shape[-1]
    shared, coupling = like.split(rows[:n])  # (S, S), (S, geo, L)
    own = np.moveaxis(like.split(rows[n:])[1], 0, -1)  # (geo, L, L)
    values, vectors = np.linalg.eigh(0.5 * (own + np.swapaxes(own, -1, -2)))
    values = np.clip(values, *EIGENVALUES)
    local = vectors / np.sqrt(values)[:, None, :]
    inverse = local @ np.swapaxes(local, -1, -2)
    slope = -np.einsum("gij,sgj->gis", inverse, coupling)
    left = shared + np.einsum("sgl,glr->sr", coupling, slope)
    top = from_hessian(np.zeros((n, n)), left)
    return Arrow(top, slope @ top, local)
