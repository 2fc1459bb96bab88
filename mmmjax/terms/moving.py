r"""Effects that move: what media bring is multiplied by a number that changes in time.

$$m_c(t) = \frac{e^{f_c(t)}}{\frac1T \sum_{s=1}^{T} e^{f_c(s)}}, \qquad
f_c(t) = \sum_k w_{ck} \phi_k(t), \qquad w_{ck} \sim \text{Normal}(0, \tau_c^2 S_k)$$

with T periods of training, so that the mean of m over training is 1 in every draw, and
saturation_beta stays the effect of a period that is like all of training. The date is that
of the effect, not of the money: carried-over, saturated media of a period, whenever they
ran, are multiplied by the m of that period. An amplitude of 0 is an effect that does not
move: tau has a half-normal prior, small, for each channel (or one for all), so where data
do not say that an effect moves it stays, and where it is 0.2 effects lie within about a
third of their mean. After training f goes on by its own law given the data: by columns
that reach beyond training, whose coefficients the data do not know.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
from jaxtyping import Array, ArrayLike, Float

from mmmjax import checks
from mmmjax.arguments import named
from mmmjax.arrays import AFTER, TRAINING
from mmmjax.kernels.seasonality import PERIODS, fourier_features, names, phase
from mmmjax.panel.calendar import offset
from mmmjax.prior import Parameter, Prior
from mmmjax.shapes import CHANNEL
from mmmjax.terms.base import Frame, Named
from mmmjax.terms.drift import LENGTH, MATERN, density_root, sines

__all__ = ["MOVING", "Moving", "Piecewise", "Process", "Seasons"]


def __dir__() -> list[str]:
    """Public names only, for completion."""
    return list(__all__)


YEAR = 365.25
BEYOND = 0.5
"""Training windows after training up to which f goes on; then it keeps its level."""


class Moving:
    """What every record is: columns over time, and the law of their coefficients.

    A frozen dataclass; the log of the multiplier is the sum of coefficients times columns.
    """

    kind: ClassVar[str]
    dims: ClassVar[tuple[str, ...]]
    """One: its columns."""
    over: str
    """"own": each channel of the term has its coefficients; "common": all have the same."""

    def __post_init__(self) -> None:
        """Refuse what is no choice."""
        checks.choice("over", self.over, ("own", "common"))

    def parameters(self) -> Mapping[str, Parameter]:
        """What it needs sampled, by name; the first are the coefficients, (..., column)."""
        raise NotImplementedError

    def labels(self) -> tuple[str, ...]:
        """Of its columns."""
        raise NotImplementedError

    def columns(
        self, time: Float[np.ndarray, " time"], dates: pd.DatetimeIndex
    ) -> Float[np.ndarray, "column time"]:
        """Its columns over some periods.

        Args:
            time: 0 to 1 in training, above 1 after it.
            dates: Of the periods.
        """
        raise NotImplementedError

    def sizes(self, p: Mapping[str, Any]) -> Any:
        """Standard deviations of coefficients at an amplitude of 1, (geo, column)."""
        return 1.0

    def __call__(
        self, p: Mapping[str, Any], columns: Float[ArrayLike, "column time"]
    ) -> Float[Array, "geo channel time"]:
        """Log of the multiplier, but for a constant; size 1 where all have the same."""
        weight = p[next(iter(self.parameters()))]
        weight = weight if self.over == "own" else weight[:, None]
        size = self.sizes(p)
        return (weight * (size if isinstance(size, float) else size[:, None])) @ columns

    def coefficients(self, name: str, amplitude: float) -> dict[str, Parameter]:
        """Normal around 0 with an amplitude that is half-normal, of a channel or of all."""
        dims = (CHANNEL,) if self.over == "own" else ()
        scale = Prior("HalfNormal", scale=amplitude, dims=dims)
        return {name: Parameter((*dims, *self.dims), Prior("Normal", loc=0.0, scale=scale))}


@named
@dataclass(frozen=True)
class Process(Moving):
    """A slow drift: a Gaussian process, as ``mm.terms.Drift`` has it.

    Args:
        over: "own" of each channel, or "common" to all of the term.
        basis: Functions; 12 show lengths from a fifth of the training window on.
        edge: Half-width of the box of the basis, training windows.
        kernel: "squared_exponential", "matern52" or "matern32".

    Raises:
        InputError: No basis, no kernel.
    """

    kind: ClassVar[str] = "process"
    dims: ClassVar[tuple[str, ...]] = ("sine",)
    over: str = "own"
    basis: int = 12
    edge: float = 1.5
    kernel: str = "squared_exponential"

    def __post_init__(self) -> None:
        """Refuse what is no basis."""
        super().__post_init__()
        basis = checks.integer("moving basis", self.basis, low=1, fix="basis = 12")
        edge = checks.number("moving edge", self.edge, low=1.0, fix="edge = 1.5")
        checks.choice("kernel", self.kernel, ("squared_exponential", *MATERN))
        object.__setattr__(self, "basis", basis)
        object.__setattr__(self, "edge", edge)

    def parameters(self) -> Mapping[str, Parameter]:
        """Effects within a third of their mean, which move over a fifth of training on."""
        drift = self.coefficients("moving_drift", 0.2)
        return {**drift, "moving_length": Parameter((), LENGTH, "positive")}

    def labels(self) -> tuple[str, ...]:
        """1 .. basis."""
        return tuple(map(str, range(1, self.basis + 1)))

    def columns(
        self, time: Float[np.ndarray, " time"], dates: pd.DatetimeIndex
    ) -> Float[np.ndarray, "column time"]:
        """Sines of the box, in which training is -1/2 to 1/2."""
        return sines(np.minimum(time, 1 + BEYOND) - 0.5, self.basis, self.edge)

    def sizes(self, p: Mapping[str, Any]) -> Any:
        """Roots of the spectral density."""
        omega = np.arange(1, self.basis + 1) * math.pi / (2 * self.edge)
        return density_root(self.kernel, p["moving_length"][:, None], omega)


@named
@dataclass(frozen=True)
class Piecewise(Moving):
    """Straight lines between knots; after training the next knots are as unknown as any.

    Args:
        over: "own" of each channel, or "common" to all of the term.
        knots: Over training, from its first period to its last.

    Raises:
        InputError: Fewer than two knots.
    """

    kind: ClassVar[str] = "piecewise"
    dims: ClassVar[tuple[str, ...]] = ("piece",)
    over: str = "own"
    knots: int = 6

    def __post_init__(self) -> None:
        """Refuse what is no line."""
        super().__post_init__()
        knots = checks.integer("moving knots", self.knots, low=2, high=100, fix="knots = 6")
        object.__setattr__(self, "knots", knots)

    def parameters(self) -> Mapping[str, Parameter]:
        """Effects at the knots within a third of their mean."""
        return self.coefficients("moving_knot", 0.2)

    def labels(self) -> tuple[str, ...]:
        """1 .. knots, and those after training."""
        return tuple(map(str, range(1, self.knots + self._later() + 1)))

    def columns(
        self, time: Float[np.ndarray, " time"], dates: pd.DatetimeIndex
    ) -> Float[np.ndarray, "column time"]:
        """1 at a knot, 0 at its neighbours."""
        places = np.arange(self.knots + self._later())[:, None]
        at = np.minimum(time, 1 + BEYOND) * (self.knots - 1)
        return np.maximum(1 - np.abs(at - places), 0.0)

    def _later(self) -> int:
        return max(math.ceil(BEYOND * (self.knots - 1)), 1)


@named
@dataclass(frozen=True)
class Seasons(Moving):
    """Seasons of effectiveness: waves of the year, or of another season.

    Args:
        over: "own" of each channel, or "common" to all of the term.
        order: Pairs of sines and cosines.
        period: "year", "quarter", "month", "week", or a number of days.

    Raises:
        InputError: No number of pairs, no season.
    """

    kind: ClassVar[str] = "seasons"
    dims: ClassVar[tuple[str, ...]] = ("season",)
    over: str = "own"
    order: int = 1
    period: str | float = "year"

    def __post_init__(self) -> None:
        """Refuse what is no number of pairs, and no season."""
        super().__post_init__()
        order = checks.integer("moving order", self.order, low=1, high=100, fix="order = 1")
        object.__setattr__(self, "order", order)
        if isinstance(self.period, str):
            checks.choice("period", self.period, PERIODS)
        else:
            fix = 'period = "year"'
            period = checks.number("moving period", self.period, low=2.0, fix=fix)
            object.__setattr__(self, "period", period)

    def parameters(self) -> Mapping[str, Parameter]:
        """Effects of a season within a third of their mean."""
        return self.coefficients("moving_season", 0.2)

    def labels(self) -> tuple[str, ...]:
        """sin_1 .. sin_N, cos_1 .. cos_N."""
        return names(self.order)

    def columns(
        self, time: Float[np.ndarray, " time"], dates: pd.DatetimeIndex
    ) -> Float[np.ndarray, "column time"]:
        """The waves of the dates."""
        return fourier_features(phase(dates, self.period) * YEAR, self.order)


def arrays(movers: tuple[Moving, ...], frame: Frame, memory: int) -> Named:
    """Columns that effects move by, of the window and of what effects reach after it, and
    of training, over which their multiplier has the mean 1.

    Args:
        movers: Records of a term.
        frame: The window.
        memory: Periods that an effect lasts, the first included.
    """
    out: dict[str, tuple[np.ndarray, tuple[str, ...]]] = {}
    if not movers:
        return out
    count, step = frame.start + len(frame.dates), offset(frame.panel.freq)
    more: Any = pd.date_range(frame.dates[-1], periods=memory, freq=step)[1:]
    dates: Any = pd.date_range(end=frame.dates[-1], periods=count, freq=step)
    dates = dates.append(more)
    time = np.arange(len(dates)) / max(frame.n_train - 1, 1)
    for one in movers:
        (dim,), every = one.dims, one.columns(time, dates)
        out[dim] = every[:, frame.start :], (dim, AFTER)
        out[f"{dim}_known"] = every[:, : frame.n_train], (dim, TRAINING)
    out["trained"] = np.ones(frame.n_train), (TRAINING,)
    return out


def multiplier(
    movers: tuple[Moving, ...], p: Mapping[str, Any], x: Mapping[str, Any]
) -> Float[Array, "geo channel time"]:
    """What effects are multiplied by, by the period in which they come.

    Args:
        movers: Records of a term.
        p: One draw of their parameters, each over (geo, *dims).
        x: From :func:`arrays`.
    """

    def log(end: str) -> Any:
        return sum(one(p, x[one.dims[0] + end]) for one in movers)

    sums = jax.nn.logsumexp(log("_known"), axis=-1, b=x["trained"], keepdims=True)
    return jnp.exp(log("") - (sums - jnp.log(x["trained"].sum())))


MOVING: dict[str, type[Moving]] = {c.kind: c for c in (Process, Piecewise, Seasons)}
"""Every record by its kind."""
