"""Which markets share arrays of one shape: few shapes, few compilations, little padding."""

from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from mmmjax.arrays import TIME
from mmmjax.model import ModelData
from mmmjax.shapes import CHANNEL, CONTROL
from mmmjax.spec import Spec

__all__ = ["Bucket", "Shape", "buckets", "fitted_to", "shape_of"]

MOST = 6  # shapes of a fleet, unless its models differ more
COMPILATION = 2e5  # work that takes as long as one compilation, some 25 usual markets
OWN = 8.0  # work of a period besides channels and controls: likelihood, seasonality


class Shape(NamedTuple):
    """Sizes of the arrays of a market."""

    history: int
    periods: int
    channels: int
    controls: int

    def joined(self, other: "Shape") -> "Shape":
        """The smallest shape that holds both."""
        return Shape(*map(max, self, other))


@dataclass(frozen=True)
class Bucket:
    """Markets that share compiled programs.

    Args:
        shape: Sizes of the arrays; smaller markets are padded and masked.
        markets: Their names, in the order of the fleet.
        key: What else they have in common: structure of the spec, number of geos.
    """

    shape: Shape
    markets: tuple[str, ...]
    key: Hashable

    @property
    def work(self) -> float:
        """Size of a gradient of all markets, in periods x columns."""
        return len(self.markets) * float(_work(np.array([self.shape]))[0])


def shape_of(data: ModelData) -> Shape:
    """Sizes of the arrays of one market."""
    sizes = data.inputs.sizes()
    return Shape(data.inputs.history, sizes[TIME], sizes[CHANNEL], sizes[CONTROL])


def fitted_to(data: ModelData, spec: Spec, shape: Shape) -> ModelData:
    """A market's data in arrays of a bucket's shape; its posterior is the same."""
    data = data.padded(shape.history, shape.periods)
    return data.widened(spec, {CHANNEL: shape.channels, CONTROL: shape.controls})


def buckets(
    shapes: Mapping[str, Shape], keys: Mapping[str, Hashable], most: int = MOST
) -> list[Bucket]:
    """Group markets by shape, joining the two groups that waste least until few are left.

    Args:
        shapes: Of every market.
        keys: Markets of different keys never share a bucket, nor do those with and without
            channels.
        most: Buckets at most, if the keys alone are not more.

    Returns:
        Buckets, the largest work first.
    """
    groups: dict[tuple[Hashable, bool], dict[Shape, list[str]]] = {}
    for name, shape in shapes.items():
        found = groups.setdefault((keys[name], shape.channels > 0), {})
        found.setdefault(shape, []).append(name)
    order = {name: i for i, name in enumerate(shapes)}
    every = [_Groups(key, list(group.items())) for (key, _), group in groups.items()]
    while True:
        open_ = [group for group in every if len(group.members) > 1]
        if not open_:
            break
        best = min(open_, key=lambda group: group.cheapest()[0])
        few = sum(len(group.members) for group in every) <= most
        if few and best.cheapest()[0] > COMPILATION:
            break
        best.join()
    made = [
        Bucket(shape, tuple(sorted(names, key=order.__getitem__)), group.key)
        for group in every
        for shape, names in group.members
    ]
    return sorted(made, key=lambda bucket: -bucket.work)


class _Groups:
    """Groups of markets of one key, and which two of them to join next."""

    def __init__(self, key: Hashable, members: list[tuple[Shape, list[str]]]):
        self.key, self.members = key, members
        self._next: tuple[float, int, int] | None = None

    def cheapest(self) -> tuple[float, int, int]:
        """Work that the best pair to join adds, and the pair."""
        if self._next is None:
            shapes = np.array([shape for shape, _ in self.members])
            counts = np.array([len(names) for _, names in self.members])
            own = _work(shapes) * counts
            joined = _work(np.maximum(shapes[:, None], shapes))
            added = joined * (counts[:, None] + counts) - own[:, None] - own
            added[np.tril_indices(len(counts))] = np.inf
            i, j = np.unravel_index(int(added.argmin()), added.shape)
            self._next = float(added[i, j]), int(i), int(j)
        return self._next

    def join(self) -> None:
        """Join that pair."""
        _, i, j = self.cheapest()
        (one, first), (other, second) = self.members[i], self.members[j]
        rest = [group for k, group in enumerate(self.members) if k not in (i, j)]
        self.members = [*rest, (one.joined(other), first + second)]
        self._next = None


def _work(shapes: np.ndarray) -> np.ndarray:
    """Size of one gradient, (..., 4) to (...)."""
    history, periods, channels, controls = np.moveaxis(shapes, -1, 0)
    return (history + periods) * (OWN + 2.0 * channels + controls)
