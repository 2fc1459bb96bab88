r"""How the test window differs from the training window.

The standardised mean difference of a column is $(\bar x_1 - \bar x_0) /
\sqrt{(s_0^2 + s_1^2) / 2}$, test less training; with several geos all three are within
geos. Source: Austin (2009), "Balance diagnostics for comparing the distribution of
baseline covariates between treatment groups", Statistics in Medicine 28, section 2.
"""

from typing import NamedTuple

import numpy as np

from mmmjax.exploration.tables import variables
from mmmjax.panel import Panel, for_prediction

__all__ = ["Difference", "difference"]


class Difference(NamedTuple):
    """Test against training for the outcome, then channels, then controls: (variable,).

    Attributes:
        train: Mean of the training cells.
        test: Mean of the test cells.
        smd: Standardised mean difference, standard deviations; infinite where both are
            constant and differ.
        beyond: Share of test cells above the training maximum of their geo.
        times: Largest test cell as a multiple of that maximum; infinite above a maximum
            of 0, NaN where no multiple makes sense.
        new: Whether it is constant in training and takes other values in the test.
    """

    train: np.ndarray
    test: np.ndarray
    smd: np.ndarray
    beyond: np.ndarray
    times: np.ndarray
    new: np.ndarray


def difference(panel: Panel, test: Panel) -> Difference:
    """Compare the modelled cells of training with those of a test panel.

    Raises:
        InputError: The test panel does not follow the training panel.
    """
    old, new = variables(panel), variables(for_prediction(panel, test))
    centre = _mean(old, 1)[:, None]
    shift = _mean(new - centre, (0, 1))
    spread = _mean((old - centre) ** 2, (0, 1))
    spread += _mean((new - _mean(new, 1)[:, None]) ** 2, (0, 1))
    size = np.sqrt(spread / 2)
    flat = ~(size > 1e-12 * np.abs(np.nan_to_num(old)).max((0, 1)))
    jump = np.where(np.nan_to_num(shift) == 0, 0.0, np.copysign(np.inf, shift))
    smd = np.where(flat, jump, shift / np.where(flat, 1.0, size))
    smd = np.where(np.isnan(shift), np.nan, smd)
    top = np.where(np.isnan(old), -np.inf, old).max(1, keepdims=True)
    seen = ~np.isnan(new) & np.isfinite(top)
    above = seen & (np.nan_to_num(new) > top + 1e-9 * np.abs(np.where(seen, top, 0.0)))
    low = np.where(np.isnan(old), np.inf, old).min((0, 1))
    constant = low == top.max((0, 1))
    other = (seen & (np.nan_to_num(new) != low)).any((0, 1))
    return Difference(
        _mean(old, (0, 1)),
        _mean(new, (0, 1)),
        smd,
        _mean(np.where(seen, above, np.nan), (0, 1)),
        _multiple(new, top, seen),
        constant & other,
    )


def _multiple(new: np.ndarray, top: np.ndarray, seen: np.ndarray) -> np.ndarray:
    """Largest ratio of a test cell to its geo's training maximum, (variable,)."""
    base = np.where(seen & (top > 0), top, np.nan)
    ratio = np.where(seen & (top == 0) & (np.nan_to_num(new) > 0), np.inf, new / base)
    ratio = np.where(np.isnan(ratio), -np.inf, ratio).max((0, 1))
    return np.where(ratio == -np.inf, np.nan, ratio)


def _mean(values: np.ndarray, axis: int | tuple[int, ...]) -> np.ndarray:
    """Mean of what is not NaN; NaN where nothing is."""
    count = (~np.isnan(values)).sum(axis)
    total = np.nansum(values, axis=axis)
    return np.divide(total, count, np.full(np.shape(total), np.nan), where=count > 0)
