"""Response curves of one's own: plan with any model, or with a handful of numbers.

What the planner relies on is tried out by values and derivatives, in every draw: that a
channel's response depends on its own spend alone, and that curves said to be concave are.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property, partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, ArrayLike, Float

from mmmjax.arguments import checked
from mmmjax.budget.horizon import slopes_of
from mmmjax.checks import Phrase, fail

__all__ = ["ResponseCurves"]

LEVELS = np.array([1e-6, 1e-4, 1e-3, 0.01, 0.03, *np.linspace(0.1, 1.0, 28)])
"""Where a curve is tried, shares of the range; between them a kink may hide."""
TRIED = 10.0  # times the reference up to which curves are tried when they are given
NOISE = 1e-9  # share of the largest slope, or response, that rounding explains
FLOOR = 1e-9  # of the reference's total: below it an infinite slope is a straight line


@checked
@dataclass(frozen=True, eq=False)
class ResponseCurves:
    """What spend brings, as a function of one's own, in place of a Fit.

    :func:`mmmjax.budget.solve.optimize` takes it where it takes a fit; horizon, carry-in
    and prices are then the function's own matter.

    Args:
        channels: Names of the channels.
        function: (parameters of one draw, spend (channel,)) -> response (channel,), pure
            JAX; spend is money over the window, each channel's response a function of its
            own spend alone, 0 at 0. A curve with infinite slope at 0 (a root) counts as
            straight below a billionth of the reference's total.
        draws: Parameters by name, (draw, ...); one draw is allowed.
        reference: Spend compared with, money over the window, (channel,).
        concave: Whether every curve is concave in every draw, so that a gap is a proof;
            tried up to ten times the reference here, and within its bounds in a plan.
        outcome_name: Label of the response.
        currency: Label of money.

    Raises:
        InputError: Arguments that do not fit together, a function that is not such, that
            mixes channels, or that is said to be concave and is not.
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
        self._check_apart()
        if self.concave and (said := self.bent(np.zeros_like(reference), self._most)):
            fix = "concave=False: plans then say that nothing is proven"
            fail("concave", True, "", f"curves that are: {said}", fix)

    @cached_property
    def _most(self) -> Float[np.ndarray, " channel"]:
        """Largest spend that curves are tried at."""
        mean = float(self.reference.mean()) or 1.0
        return TRIED * np.where(self.reference > 0, self.reference, mean)

    def _check_apart(self) -> None:
        """Refuse a function whose channels know each other, or that is not finite."""
        rng = np.random.default_rng(0)
        low, high = self._most * rng.random((2, 4, len(self.channels)))
        mixed = rng.random(low.shape) < 0.5
        tangent = rng.uniform(0.5, 1.5, low.shape)
        with jax.enable_x64(True):
            found = _mixed(self.function, self.draws, low, high, mixed, tangent)
        for here, apart in (np.asarray(pair) for pair in found):  # (point, draw, channel)
            size = np.abs(here).max()
            bad = ~(np.abs(here - apart) <= NOISE * size)
            if bad.any():
                name = self.channels[int(np.argwhere(bad)[0][2])]
                known = np.isfinite(here[bad]).all() and np.isfinite(apart[bad]).all()
                got = "changes with the spend of others" if known else "is not finite"
                got = Phrase(f'the response of "{name}" {got}')
                allowed = "finite responses, each of the channel's own spend alone"
                fix = "return one response a channel, of its own entry of spend"
                fail("function", got, "", allowed, fix)

    def bent(self, lower: ArrayLike, upper: ArrayLike) -> str:
        """Where some curve is not concave between two levels of spend; empty if nowhere.

        Args:
            lower: Least money, (channel,).
            upper: Largest money, (channel,).
        """
        low, high = np.asarray(lower, float), np.asarray(upper, float)
        with jax.enable_x64(True):
            spends = low + LEVELS[:, None] * (high - low)
            values, slopes, bends = (
                np.asarray(x) for x in _along(self.function, self.draws, spends)
            )
        width = np.diff(spends, axis=0)[:, None]
        chords = np.diff(values, axis=0) / np.where(width > 0, width, 1.0)
        slopes = np.where(np.isfinite(slopes), slopes, 0.0)  # no room there
        size = NOISE * np.abs(slopes[:-1])
        size += 1e-12 * np.abs(values[1:]) / np.where(width > 0, width, 1.0)  # of the chord
        bad = ~((slopes[1:] - size <= chords) & (chords <= slopes[:-1] + size))
        far = np.maximum(spends[:-1, None], 1e-300)
        bad |= ~(bends[:-1] * far <= 1e-6 * np.abs(slopes[:-1]) + size)
        bad &= width > 0
        if not bad.any():
            return ""
        k, draw, c = np.argwhere(bad)[0]
        return (
            f'the curve of "{self.channels[c]}" is not concave at a spend of '
            f"{spends[k, c]:,.4g} in draw {draw}"
        )

    @cached_property
    def floored(self) -> Callable[[Any, Any], Any]:
        """The function, straight up to a floor where its slope at 0 is infinite."""
        with jax.enable_x64(True):
            none = np.zeros((1, len(self.channels)))
            slopes = np.asarray(_along(self.function, self.draws, none)[1])
        steep = ~np.isfinite(slopes).all((0, 1))
        if not steep.any():
            return self.function
        return _Floored(self.function, tuple(steep.tolist()), self.floor)

    @property
    def floor(self) -> float:
        """Money below which a curve of infinite slope at 0 counts as straight."""
        return FLOOR * (float(self.reference.sum()) or 1.0)


@dataclass(frozen=True)
class _Floored:
    """Curves that are a straight line up to `floor` where `steep`; equal ones compile once.

    The line lies below a concave curve, is exact at 0 and from the floor on, and is concave
    with it.
    """

    function: Callable[[Any, Any], Any]
    steep: tuple[bool, ...]
    floor: float

    def __call__(self, draw: Any, spend: Array) -> Array:
        steep = np.array(self.steep)
        idle = self.function(draw, jnp.zeros_like(spend))
        at_least = jnp.where(steep, jnp.maximum(spend, self.floor), spend)
        brought = self.function(draw, at_least)
        share = jnp.where(steep, jnp.minimum(spend / self.floor, 1.0), 1.0)
        return idle + share * (brought - idle)


@partial(jax.jit, static_argnums=0)
def _along(function: Any, draws: Any, spends: Array) -> tuple[Array, Array, Array]:
    """Values, slopes and second derivatives at some levels, (level, draw, channel)."""

    curves = lambda spend: jax.vmap(lambda draw: function(draw, spend))(draws)
    return jax.lax.map(lambda spend: slopes_of(curves, spend), spends)


@partial(jax.jit, static_argnums=0)
def _mixed(
    function: Any, draws: Any, low: Array, high: Array, mixed: Array, tangent: Array
) -> list[tuple[Array, Array]]:
    """Pairs, equal where channels do not know each other, (point, draw, channel)."""

    def at(part: Any) -> list[tuple[Array, Array]]:
        one, other, where, way = part
        curves = lambda x: jax.vmap(lambda draw: function(draw, x))(draws)
        both = jnp.where(where, curves(one), curves(other))
        here, moved = jax.jvp(curves, (jnp.where(where, one, other),), (way,))
        alone = jax.jvp(curves, (jnp.where(where, one, other),), (jnp.ones_like(way),))[1]
        return [(here, both), (moved, alone * way)]

    return jax.lax.map(at, (low, high, mixed, tangent))
