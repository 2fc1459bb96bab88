r"""The prior of many coefficients of which few matter: numbers that it takes from the data.

A ``Prior("Horseshoe", relevant=m, slab=c)`` over D coefficients says

$$\gamma_j = s_j z_j / \text{sd}_j, \quad z_j \sim \text{Normal}(0, 1), \quad
s_j = \frac{c r_j}{\sqrt{1 + r_j^2}}, \quad r_j = \tau \lambda_j / c, \quad
\lambda_j \sim \text{HalfCauchy}(1), \quad \tau \sim \text{HalfCauchy}(\tau_0)$$

with $\tau_0 = \frac{m}{D - m} \frac{\text{noise}}{\sqrt{n}}$: at $\tau_0$, of D columns
that are independent about m are let through. sd is the standard deviation of a
coefficient's column in training, within geos, so that $s_j z_j$ is what one standard
deviation of it moves the outcome, whatever its unit; a column that never varies has 1. n is
the number of outcomes. The noise is not known before the fit: it is taken to be half of the
standard deviation of the outcome within geos. The global scale has a heavy tail, so data
with more, or fewer, say so.

Source: Piironen and Vehtari (2017), "Sparsity information and regularization in the
horseshoe and other shrinkage priors", equations 2.8 (the slab) and 3.12 (the global scale).
"""

import numpy as np
from jaxtyping import Float

from mmmjax.arrays import TIME, Arrays
from mmmjax.likelihood import Target
from mmmjax.prior import HORSESHOE, few_relevant
from mmmjax.spec import Spec

__all__ = ["sparse_values"]

NOISE = 0.5  # of the standard deviation of the outcome


def sparse_values(spec: Spec, inputs: Arrays, target: Target) -> dict[str, np.ndarray]:
    """What priors of few relevant coefficients take from the training panel, by name.

    Args:
        spec: The model.
        inputs: Arrays of the panel.
        target: Its outcome.

    Returns:
        ``few_relevant``, (): noise over the root of the number of outcomes; and of each
        parameter "swing.<name>", (member,): standard deviations of its columns.
    """
    y, weight = (np.asarray(x, float) for x in spec.likelihood.working(target))
    least = NOISE * _swing(y, weight) / np.sqrt((weight > 0).sum())
    out = {few_relevant.name: np.asarray(least)}
    for name in spec.present(inputs.sizes()):
        if spec.priors[name].family != HORSESHOE:
            continue
        (dim,) = spec.dims(name)
        for array, axes in inputs.axes:
            if dim in axes and axes[-1] == TIME:
                x = np.moveaxis(np.asarray(inputs[array]), axes.index(dim), 0)
                x = x if x.ndim == 3 else x[:, None]
                swing = np.array([_swing(column, weight) for column in x])
                out[f"swing.{name}"] = np.where(swing > 0, swing, 1.0)
    return out


def _swing(
    x: Float[np.ndarray, "geo time"], weight: Float[np.ndarray, "geo time"]
) -> np.ndarray:
    """Standard deviation within geos."""
    x = np.where(weight > 0, x, 0.0)
    many = np.maximum(weight.sum(1, keepdims=True), 1e-12)
    left = x - (weight * x).sum(1, keepdims=True) / many
    swing = np.sqrt((weight * left**2).sum() / weight.sum())
    return np.where(swing > 1e-9 * np.abs(x).max(), swing, 0.0)
