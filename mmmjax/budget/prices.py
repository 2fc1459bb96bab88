"""Media that get dearer the more of them is bought."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

__all__ = ["Dearer", "at_usual_price", "of_cells", "paid"]


class Dearer(NamedTuple):
    """A straight supply curve: in a period a unit of media costs p (1 + e (m / m0 - 1)).

    p is the price at the usual amount m0, and e in [0, 1) the elasticity of the price
    there: with e = 0.2, 10% more media make every unit 2% dearer.

    Args:
        elasticity: e, (..., 1).
        usual: p m0, money, (..., period or 1).
    """

    elasticity: Any
    usual: Any


def paid(worth: Float[np.ndarray, "*cells"], e: Any, usual: Any) -> np.ndarray:
    """Money that media cost which at the usual price would cost `worth`."""
    more = np.where(np.asarray(e) > 0, worth, 0.0)  # curves of one's own: no largest, inf
    return worth * (1.0 - e + e * more / np.where(usual > 0, usual, np.inf))


def at_usual_price(money: Float[Array, "*cells"], dearer: Dearer) -> Array:
    """What the media that `money` buys would cost at the usual price: `paid` inverted.

    Concave in money, with a slope of 1 / (1 - e) at 0.
    """
    e, usual = map(jnp.asarray, dearer)
    bend = 4.0 * e * money / jnp.where(usual > 0, usual, jnp.inf)
    return 2.0 * money / (1.0 - e + jnp.sqrt((1.0 - e) ** 2 + bend))


def of_cells(each: Sequence[Dearer]) -> Dearer | tuple[()]:
    """Those of several markets, (geo, channel, ...), in one row of cells; () if none."""
    if not any(rise.elasticity.any() for rise in each):
        return ()
    flat = [
        [x.reshape(-1, x.shape[-1]) for x in field] for field in zip(*each, strict=True)
    ]
    wide = max(x.shape[-1] for x in flat[1])
    usual = [np.broadcast_to(x, (len(x), wide)) for x in flat[1]]
    return Dearer(np.concatenate(flat[0]), np.concatenate(usual))
