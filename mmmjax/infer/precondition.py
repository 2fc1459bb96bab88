r"""The exact density in coordinates in which a sampler moves easily.

Reparametrisations, none of which changes the posterior:

1. Positive parameters are scale * softplus(z) with a constant scale, unit ones sigmoid(z).
2. What is linear in the mean is moved against the media: by a constant gain in a model of
   one geo (:mod:`mmmjax.infer.frozen`), by its conditional law given all else where geos
   have parameters of their own (:mod:`mmmjax.infer.local`), which also centres those by
   what the data know of them, and where coefficients have scales of their own.
3. A Laplace fit in those coordinates whitens all of them: x = center + whiten z.

A :class:`Problem` carries all arrays, so that one compiled sampler serves every data set
of the same shape.
"""

import jax
import numpy as np

from mmmjax.infer import frozen, informed
from mmmjax.infer.density import Problem, constrain, log_density, rewhiten
from mmmjax.infer.laplace import Potential, whitened
from mmmjax.infer.sites import conditional, size_of
from mmmjax.model import ModelData
from mmmjax.spec import Spec

__all__ = [
    "Potential",
    "Problem",
    "constrain",
    "log_density",
    "outline",
    "precondition",
    "rewhiten",
    "shear",
    "whitened",
]


def precondition(spec: Spec, data: ModelData, seed: int = 0) -> tuple[Problem, float]:
    """Build the preconditioned problem of a spec and its data, in float64.

    Args:
        spec: Structure of the spec (hyperparameters come with the data).
        data: From :func:`mmmjax.model.model_data`.
        seed: Of the starts of the Laplace fit.

    Returns:
        The problem and the seconds spent compiling.
    """
    problem, seconds = shear(spec, data)
    problem, more = whitened(problem, spec, seed)
    return problem, seconds + more


def outline(spec: Spec, data: ModelData) -> Problem:
    """Zeros shaped as the problem that :func:`precondition` gives: to compile for."""
    room = informed if conditional(spec, data) else frozen
    block, scales, whiten = room.outline(spec, data)
    return Problem(data, scales, block, np.zeros(_size(spec, data)), whiten)


def shear(spec: Spec, data: ModelData) -> tuple[Problem, float]:
    """The first two reparametrisations; center 0 and whiten 1 are to be filled in."""
    room = informed if conditional(spec, data) else frozen
    with jax.enable_x64(True):
        data = data.astype(np.float64)
        block, scales, whiten, seconds = room.build(spec, data)
        center = np.zeros(_size(spec, data))
        return Problem(data, scales, block, center, whiten), seconds


def _size(spec: Spec, data: ModelData) -> int:
    members = data.inputs.sizes()
    return sum(size_of(s, members) for s in spec.sites(members))
