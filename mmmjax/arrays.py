"""Arrays: what the forward function takes besides parameters, every axis with its name."""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import jax
import numpy as np

from mmmjax.shapes import GEO

__all__ = ["AFTER", "PAST", "TIME", "TRAINING", "WHOLE", "Arrays"]

TIME = "time"
"""Axis of the periods that are modelled."""

PAST = "past+time"
"""Axis of those periods with ``history`` periods of context before them."""

AFTER = "time+after"
"""Axis of those periods with some more after them, which effects still reach."""

WHOLE = "past+time+after"
"""Axis of them all: context, periods that are modelled, and those after them."""

TRAINING = "training"
"""Axis of the periods of training, whatever the window."""


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Arrays:
    """Arrays of a panel in scaled units, and what their axes are.

    Args:
        values: By name, "media" or "<term>.<name>"; axes named "time" come last.
        axes: (name, names of its axes) of every array: "geo", "time", "past+time",
            "time+after", "past+time+after", "training", or any dim of a term.
        history: Periods of context before the first that is modelled.
    """

    values: dict[str, Any]
    axes: tuple[tuple[str, tuple[str, ...]], ...] = field(metadata={"static": True})
    history: int = field(default=0, metadata={"static": True})

    def __getitem__(self, name: str) -> Any:
        """One array."""
        return self.values[name]

    def of(self, term: str) -> dict[str, Any]:
        """The arrays of a term by their own names."""
        start = f"{term}."
        return {n[len(start) :]: x for n, x in self.values.items() if n.startswith(start)}

    def sizes(self) -> dict[str, int]:
        """Members of every dim, periods that are modelled included ("time")."""
        out: dict[str, int] = {}
        for name, dims in self.axes:
            out |= dict(zip(dims, np.shape(self.values[name]), strict=True))
        if PAST in out:
            out[TIME] = out.pop(PAST) - self.history
        return {dim: n for dim, n in out.items() if dim not in (AFTER, WHOLE, TRAINING)}

    def replace(self, **values: Any) -> "Arrays":
        """The same with other values of some arrays."""
        return dataclasses.replace(self, values=self.values | values)

    def without(self, name: str) -> "Arrays":
        """The same without an array, if it is there."""
        values = {n: x for n, x in self.values.items() if n != name}
        axes = tuple(pair for pair in self.axes if pair[0] != name)
        return Arrays(values, axes, self.history)

    def astype(self, dtype: Any) -> "Arrays":
        """The same in another float type; whole numbers stay."""

        def cast(x: Any) -> np.ndarray:
            x = np.asarray(x)
            return x.astype(dtype) if x.dtype.kind == "f" else x

        return jax.tree.map(cast, self)

    def block(self, geos: slice) -> "Arrays":
        """Those of some geos."""
        return self._each(lambda x, dims: x[geos] if dims[:1] == (GEO,) else x)

    def padded(self, history: int, periods: int) -> "Arrays":
        """The same in arrays of other lengths, zeros where nothing was.

        Args:
            history: Context periods, at least as many as now; the new ones come first.
            periods: Periods, at least as many as now; the new ones come last.
        """
        before, after = history - self.history, periods - self.sizes()[TIME]
        ends = {dim: (0, after) for dim in (TIME, AFTER, TRAINING)} | {
            PAST: (before, after),
            WHOLE: (before, after),
        }
        longer = self._each(lambda x, dims: np.pad(x, [ends.get(d, (0, 0)) for d in dims]))
        return dataclasses.replace(longer, history=history)

    def widened(self, sizes: Mapping[str, int]) -> "Arrays":
        """The same with more members of some dims, which are zero everywhere and last."""
        have = self.sizes()
        more = {d: (0, sizes.get(d, n) - n) for d, n in have.items()}
        return self._each(lambda x, dims: np.pad(x, [more.get(d, (0, 0)) for d in dims]))

    def then(self, later: "Arrays") -> "Arrays":
        """These periods and those that follow them as one."""

        def join(name: str, dims: tuple[str, ...]) -> Any:
            first, second = self.values[name], later.values[name]
            if dims[-1:] in ((PAST,), (WHOLE,)):
                second = second[..., later.history :]
            if dims[-1:] in ((AFTER,), (WHOLE,)):
                kept = self.sizes()[TIME] + self.history * (dims[-1:] == (WHOLE,))
                first = first[..., :kept]
            ends = dims[-1:] in ((TIME,), (PAST,), (AFTER,), (WHOLE,))
            return np.concatenate([first, second], axis=-1) if ends else first

        return dataclasses.replace(self, values={n: join(n, d) for n, d in self.axes})

    def _each(self, change: Any) -> "Arrays":
        new = {name: change(self.values[name], dims) for name, dims in self.axes}
        return dataclasses.replace(self, values=new)
