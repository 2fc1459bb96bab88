"""What a term of the mean is."""

from collections.abc import Mapping
from typing import Any, ClassVar, Literal, NamedTuple

import numpy as np
import pandas as pd
from jaxtyping import Array

from mmmjax.panel import Panel
from mmmjax.prior import Parameter
from mmmjax.scaling import Scale

__all__ = ["Frame", "Group", "Named", "Term"]

Group = Literal["baseline", "channel", "control", "seasonality"]
"""What tables add a component up in."""

Named = Mapping[str, tuple[np.ndarray, tuple[str, ...]]]
"""Arrays with the names of their axes."""


class Frame(NamedTuple):
    """The window that a term is asked about.

    Args:
        panel: Its table, original units.
        scale: Units of the model, frozen at fit.
        dates: Periods that are modelled, (time,).
        start: Periods from the first of training to the first of these: 0 in training.
        n_train: Periods of training.
        after: The training panel, of a window after training.
    """

    panel: Panel
    scale: Scale
    dates: pd.DatetimeIndex
    start: int
    n_train: int
    after: Panel | None = None


class Term:
    """What every term is: a frozen dataclass with these, its numbers its fields.

    The names of its parameters, arrays and dims are its own: where its ``name`` is not the
    usual one of its kind, a spec puts "<name>." before them, so that several may stand
    side by side.
    """

    kind: ClassVar[str]
    group: ClassVar[Group]
    over: ClassVar[str] = ""
    """Dim of its component besides geo and time."""
    dims: ClassVar[tuple[str, ...]] = ()
    """Dims of its own, whose members :meth:`labels` names."""
    data: ClassVar[Mapping[str, tuple[tuple[str, ...], str]]] = {}
    """Its arrays, as the graph of the model shows them: axes and a word."""
    name: str

    def parameters(self) -> Mapping[str, Parameter]:
        """What it needs sampled, by name."""
        raise NotImplementedError

    def within(self) -> Mapping[str, Parameter]:
        """What is sampled beside, of the sums that its members are (campaigns)."""
        return {}

    def labels(self, panel: Panel | None) -> Mapping[str, tuple[str, ...]]:
        """Members of its own dims; those that need a panel only with one."""
        return {}

    def inputs(self, frame: Frame) -> Named:
        """Its arrays over a window, axes by name ("geo", "time", dims of its own or of the
        panel); time is the last axis, and a window after training continues it.
        """
        return {}

    def __call__(self, p: Mapping[str, Any], x: Mapping[str, Any]) -> Array:
        """Its part of the mean, scaled units: (geo, [member,] time), or broadcasting to it.

        Args:
            p: One draw of its parameters, each over (geo, *dims), size 1 where it does not
                vary.
            x: Its arrays.
        """
        raise NotImplementedError

    def formula(self) -> str:
        """As the graph of the model shows it."""
        return " * ".join([*self.parameters(), *self.data])
