r"""The term of two channels that act together (synergy).

$$\gamma\, s_a[t]\, s_b[t]$$

with s of a channel its carried, saturated media, what its own effect is $\beta s$ of. It is
part of the effects of the channels, half of it each: the Shapley value of a product, as a
channel adds nothing where the other has not come yet, and all of it where it has. So the
parts of the channels add up to the mean. A return, a curve or a sweep of one channel has
all of it: without the channel the product is gone. Those of both channels count it twice.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from jaxtyping import Array

from mmmjax import checks
from mmmjax.panel import Panel
from mmmjax.prior import Parameter, Prior
from mmmjax.shapes import CHANNEL
from mmmjax.terms.base import Frame, Group, Named, Term

__all__ = ["Interaction"]


@dataclass(frozen=True)
class Interaction(Term):
    """Two channels that bring more, or less, together than each by itself.

    Args:
        channels: The two.
        name: Its name; another for each pair.

    Raises:
        InputError: Not two names; a channel that the panel lacks.
    """

    kind: ClassVar[str] = "interaction"
    group: ClassVar[Group] = "channel"
    over: ClassVar[str] = CHANNEL
    dims: ClassVar[tuple[str, ...]] = ("pair",)
    data: ClassVar[Mapping[str, tuple[tuple[str, ...], str]]] = {
        "pair": (("pair",), "the two channels")
    }
    channels: Sequence[str] = ()
    name: str = "interaction"

    def __post_init__(self) -> None:
        """Refuse what is no pair."""
        names, fix = self.channels, 'channels = ["TV", "Search"]'
        several = isinstance(names, (list, tuple)) and len({*map(str, names)}) == 2
        if not several or len(names) != 2 or not all(isinstance(n, str) for n in names):
            checks.fail(f"channels of {self.name}", names, "", "two names", fix)
        object.__setattr__(self, "channels", tuple(names))

    def parameters(self) -> Mapping[str, Parameter]:
        """Both at full saturation add or take up to a fifth of the best period together."""
        prior = Prior("Normal", loc=0.0, scale=0.1)
        return {"gamma_interaction": Parameter((), prior)}

    def labels(self, panel: Panel | None) -> Mapping[str, tuple[str, ...]]:
        """The two channels."""
        for name in self.channels:
            if panel is not None and name not in panel.channels:
                field, have = f"channels of {self.name}", panel.channels
                what, fix = "channels of the panel", "leave the term out"
                checks.unknown(field, name, "spec", what, have, fix)
        return {"pair": tuple(self.channels)}

    def inputs(self, frame: Frame) -> Named:
        """Where the two stand among the channels of the panel."""
        at = [frame.panel.channels.index(name) for name in self.channels]
        return {"pair": (np.array(at), ("pair",))}

    def __call__(self, p: Mapping[str, Any], x: Mapping[str, Any]) -> Array:
        """All of it, of any cells: ``x`` has the carried, saturated media of both."""
        return p["gamma_interaction"][..., None] * x["first"] * x["second"]

    def formula(self) -> str:
        """With the names of the channels."""
        return f"gamma_interaction * pair of saturated media ({' * '.join(self.channels)})"
