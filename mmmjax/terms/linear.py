"""Terms that are linear in what is sampled: the level, its trend, controls, seasons."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from jaxtyping import Array

from mmmjax import checks
from mmmjax.kernels.seasonality import fourier_features, names
from mmmjax.panel import Panel
from mmmjax.prior import Parameter, Prior
from mmmjax.shapes import CONTROL, FOURIER, GEO
from mmmjax.terms.base import Frame, Group, Named, Term

__all__ = ["Controls", "Intercept", "Trend", "Waves"]


@dataclass(frozen=True)
class Intercept(Term):
    """The level of the outcome."""

    kind: ClassVar[str] = "intercept"
    group: ClassVar[Group] = "baseline"
    name: str = "intercept"

    def parameters(self) -> Mapping[str, Parameter]:
        """A typical week sells somewhere between nothing and the best week.

        What a geo sells without media is within a few tenths of its best week of the
        others.
        """
        prior = Prior("Normal", loc=0.5, scale=0.3)
        return {"intercept": Parameter((), prior, linear=True, pooled=0.2)}

    def __call__(self, p: Mapping[str, Any], x: Mapping[str, Any]) -> Array:
        """The same in every period."""
        return p["intercept"][:, None]


@dataclass(frozen=True)
class Trend(Term):
    """A straight line over the training window, 0 at its first and 1 at its last period."""

    kind: ClassVar[str] = "linear"
    group: ClassVar[Group] = "baseline"
    data: ClassVar[Mapping[str, tuple[tuple[str, ...], str]]] = {
        "time": (("time",), "0 to 1 over training")
    }
    name: str = "trend"

    def parameters(self) -> Mapping[str, Parameter]:
        """The outcome may drift by half of its maximum over the training window."""
        prior = Prior("Normal", loc=0.0, scale=0.5)
        return {"trend_slope": Parameter((), prior, linear=True)}

    def inputs(self, frame: Frame) -> Named:
        """Training windows since the start of training."""
        steps = frame.start + np.arange(len(frame.dates))
        return {"time": (steps / max(frame.n_train - 1, 1), ("time",))}

    def __call__(self, p: Mapping[str, Any], x: Mapping[str, Any]) -> Array:
        """Slope times time."""
        return p["trend_slope"][:, None] * x["time"]


@dataclass(frozen=True)
class Controls(Term):
    """The controls of the panel, each by its coefficient."""

    kind: ClassVar[str] = "controls"
    group: ClassVar[Group] = "control"
    over: ClassVar[str] = CONTROL
    data: ClassVar[Mapping[str, tuple[tuple[str, ...], str]]] = {
        "controls": ((GEO, CONTROL, "time"), "")
    }
    name: str = "control"

    def parameters(self) -> Mapping[str, Parameter]:
        """A control on a scale of about 1 may move the outcome by half of its maximum."""
        prior = Prior("Normal", loc=0.0, scale=0.5)
        return {"gamma_control": Parameter((CONTROL,), prior, linear=True)}

    def inputs(self, frame: Frame) -> Named:
        """As given."""
        controls = np.swapaxes(frame.panel.controls, 1, 2)[..., frame.panel.history :]
        return {"controls": (controls, (GEO, CONTROL, "time"))}

    def __call__(self, p: Mapping[str, Any], x: Mapping[str, Any]) -> Array:
        """Coefficient times control."""
        return p["gamma_control"][..., None] * x["controls"]


@dataclass(frozen=True)
class Waves(Term):
    """Yearly seasonality: sine and cosine pairs of the day of the year.

    Args:
        order: Pairs; each adds two coefficients.
        name: Its name in results.
    """

    kind: ClassVar[str] = "fourier"
    group: ClassVar[Group] = "seasonality"
    dims: ClassVar[tuple[str, ...]] = (FOURIER,)
    data: ClassVar[Mapping[str, tuple[tuple[str, ...], str]]] = {
        "fourier": ((FOURIER, "time"), "")
    }
    order: int = 2
    name: str = "seasonality"

    def __post_init__(self) -> None:
        """Refuse what is no number of pairs."""
        order = checks.integer(f"{self.name} order", self.order, low=1, fix="order = 2")
        object.__setattr__(self, "order", order)

    def parameters(self) -> Mapping[str, Parameter]:
        """Yearly swings of a few tenths of the best week, most harmonics small.

        Seasons of geos are alike: they differ by half of what a swing is, or less.
        """
        prior = Prior("Laplace", loc=0.0, scale=0.2)
        return {"gamma_fourier": Parameter((FOURIER,), prior, linear=True, pooled=0.1)}

    def labels(self, panel: Panel | None) -> Mapping[str, tuple[str, ...]]:
        """sin_1 .. sin_N, cos_1 .. cos_N."""
        return {FOURIER: names(self.order)}

    def inputs(self, frame: Frame) -> Named:
        """The features of the dates."""
        days = frame.dates.day_of_year.to_numpy()
        return {"fourier": (fourier_features(days, self.order), (FOURIER, "time"))}

    def __call__(self, p: Mapping[str, Any], x: Mapping[str, Any]) -> Array:
        """Weighted sum of the features."""
        return p["gamma_fourier"] @ x["fourier"]

    def formula(self) -> str:
        """With what the features are."""
        waves = f"{self.order} yearly sine and cosine pairs"
        return f"gamma_fourier * fourier ({waves})"
