"""Utilities: what a plan maximises, as plain functions (samples, budgets) -> scalar.

`samples` (draw,) is the response of one plan in every posterior draw, outcome units;
`budgets` (variable,) the money of the plan over its window. A utility is pure JAX, and
increasing in the samples. :data:`CONCAVE` lists those for which a concave response makes
a concave objective, so that a gap bound is a proof.
"""

from collections.abc import Callable

from jaxtyping import Array, Float

__all__ = ["CONCAVE", "Utility", "mean_response"]

type Utility = Callable[
    [Float[Array, " draw"], Float[Array, " variable"]], Float[Array, ""]
]


def mean_response(
    samples: Float[Array, " draw"], budgets: Float[Array, " variable"]
) -> Float[Array, ""]:
    """Posterior mean of the response, outcome units."""
    return samples.mean()


CONCAVE: frozenset[Utility] = frozenset({mean_response})
