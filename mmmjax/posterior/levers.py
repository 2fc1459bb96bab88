"""Levers of a fit: controls that one sets, in their own units."""

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np

from mmmjax import checks
from mmmjax.draws import Fit

__all__ = ["Lever", "levers_of", "of_levers"]


class Lever(NamedTuple):
    """A lever over training.

    Args:
        at: Its place among the controls.
        baseline: What its contribution is counted from.
        how: What the model says that is: a number, or "mean", "first" and the like.
        least: Least value.
        most: Largest value.
        last: Value in the last period, the mean over geos.
    """

    at: int
    baseline: float
    how: str
    least: float
    most: float
    last: float


def levers_of(fit: Fit) -> dict[str, Lever]:
    """The levers of a fit by name, in the model's order."""
    panel, base = fit.panel, fit.scale.baseline
    there, out = panel.present[:, panel.window], dict[str, Lever]()
    for name, how in fit.spec.levers.items():
        at = panel.control_names.index(name)
        values = panel.controls[:, panel.window, at]
        seen, last = values[there], np.flatnonzero(there.any(0))[-1]
        ends = float(seen.min()), float(seen.max())
        now = float(values[there[:, last], last].mean())
        origin = 0.0 if base is None else float(base[at])
        out[name] = Lever(at, origin, str(how), *ends, now)
    return out


def of_levers(fit: Fit, names: Iterable[str]) -> dict[str, Lever]:
    """The levers of these names.

    Raises:
        InputError: One that is none.
    """
    known = levers_of(fit)
    for name in names:
        if name in known:
            continue
        near = checks.closest(name, known)
        fix = f'did you mean "{near}"?' if near else "leave it out"
        if name in fit.panel.control_names:
            fix = f'kind = "controls" and levers = {{ "{name}" = "mean" }} '
            fix += "in a [[model.term]], and fit again"
        listed = checks.listing(known, 12) or "it has none"
        checks.fail("lever", name, "", f"a lever of the model ({listed})", fix)
    return {name: known[name] for name in names}
