"""Response curves of one's own: plan with any model, or with a handful of numbers."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import jax
import numpy as np
from jaxtyping import Float

from mmmjax.checks import Phrase, fail

__all__ = ["ResponseCurves"]


@dataclass(frozen=True, eq=False)
class ResponseCurves:
    """What spend brings, as a function of one's own, in place of a Fit.

    :func:`mmmjax.budget.solve.optimize` takes it where it takes a fit; horizon, carry-in
    and prices are then the function's own matter.

    Args:
        channels: Names of the channels.
        function: (parameters of one draw, spend (channel,)) -> response (channel,), pure
            JAX; spend is money over the window, each channel's response a function of its
            own spend alone, 0 at 0.
        draws: Parameters by name, (draw, ...); one draw is allowed.
        reference: Spend compared with, money over the window, (channel,).
        concave: Whether every curve is concave in every draw, so that a gap is a proof.
        outcome_name: Label of the response.
        currency: Label of money.

    Raises:
        InputError: Arguments that do not fit together, or a function that is not such.
    """

    channels: Sequence[str]
    function: Callable[[Any, Any], Any]
    draws: Mapping[str, Any]
    reference: Float[np.ndarray, " channel"]
    concave: bool = False
    outcome_name: str = "response"
    currency: str = ""
    freq: str = field(default="")

    def __post_init__(self) -> None:
        """Check once."""
        channels = tuple(str(name) for name in self.channels)
        draws = {k: np.asarray(v, np.float64) for k, v in self.draws.items()}
        reference = np.asarray(self.reference, np.float64)
        read = {"channels": channels, "draws": draws, "reference": reference}
        for name, value in read.items():
            object.__setattr__(self, name, value)
        sizes = {k: v.shape[0] if v.ndim else 0 for k, v in draws.items()}
        if len(set(sizes.values())) != 1 or 0 in sizes.values():
            allowed = "arrays whose first axis is the draw, of one length"
            fail("draws", Phrase(f"lengths {sizes}"), "", allowed, "one draw: array[None]")
        if reference.shape != (len(channels),):
            allowed = f"one number per channel ({len(channels)})"
            fail("reference", Phrase(f"shape {reference.shape}"), "", allowed, "money")
        one = {k: jax.ShapeDtypeStruct(v.shape[1:], v.dtype) for k, v in draws.items()}
        spend = jax.ShapeDtypeStruct(reference.shape, reference.dtype)
        with jax.enable_x64(True):
            out = jax.eval_shape(self.function, one, spend)
        if getattr(out, "shape", None) != reference.shape:
            allowed = f"the response of every channel, shape {reference.shape}"
            fail("function", Phrase(f"returns {out}"), "", allowed, "do not sum channels")
