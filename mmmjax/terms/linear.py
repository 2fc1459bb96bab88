"""Terms that are linear in what is sampled: the level, its trend, controls, seasons."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np
from jaxtyping import Array, Float

from mmmjax import checks
from mmmjax.kernels.seasonality import PERIODS, YEAR, fourier_features, names, phase
from mmmjax.panel import Panel
from mmmjax.prior import Parameter, Prior
from mmmjax.shapes import CONTROL, FOURIER, GEO
from mmmjax.terms.base import Frame, Group, Named, Term
from mmmjax.terms.columns import table_of

__all__ = ["BASELINES", "Controls", "Intercept", "Trend", "Waves"]

BASELINES = {
    "first": lambda periods: periods[0],
    "last": lambda periods: periods[-1],
    "mean": np.concatenate,
    "min": lambda periods: np.concatenate(periods).min(keepdims=True),
    "max": lambda periods: np.concatenate(periods).max(keepdims=True),
}
"""Values of a lever, by period, that its baseline is the mean of."""


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
    """The controls of the panel, each by its coefficient.

    Some may be levers, which one sets: price, depth of promotion, distribution. A lever
    adds coefficient * (value - baseline), so that its contribution is what it brought
    against its baseline, and the level of the outcome is that at the baseline.

    Args:
        levers: Controls that are levers, and the baseline of each: a number, or "first",
            "last", "mean", "min" or "max", of the values of training over all geos ("first"
            and "last": the mean over geos in that period).
        name: Its name in results.

    Raises:
        InputError: A baseline that is neither.
    """

    kind: ClassVar[str] = "controls"
    group: ClassVar[Group] = "control"
    over: ClassVar[str] = CONTROL
    data: ClassVar[Mapping[str, tuple[tuple[str, ...], str]]] = {
        "controls": ((GEO, CONTROL, "time"), "")
    }
    levers: Mapping[str, Any] = field(default=(), metadata={"table": True})  # type: ignore[assignment]
    name: str = "control"

    def __post_init__(self) -> None:
        """Read the baselines."""
        fix, read = 'levers = { price = "mean", promotion = 0.0 }', []
        for name, value in table_of(f"{self.name} levers", self.levers, fix):
            what = f"baseline of {name}"
            if isinstance(value, str):
                checks.choice(what, value, tuple(BASELINES))
            else:
                value = checks.number(what, value, fix=fix)
            read.append((name, value))
        object.__setattr__(self, "levers", tuple(read))

    def parameters(self) -> Mapping[str, Parameter]:
        """A control on a scale of about 1 may move the outcome by half of its maximum."""
        prior = Prior("Normal", loc=0.0, scale=0.5)
        return {"gamma_control": Parameter((CONTROL,), prior, linear=True)}

    def baselines(self, panel: Panel) -> Float[np.ndarray, " control"] | None:
        """What every control is counted from: 0 but of levers; None without levers.

        Raises:
            InputError: A lever that is no control of the panel.
        """
        out = np.zeros(len(panel.control_names))
        for name, value in dict(self.levers).items():
            if name not in panel.control_names:
                near = checks.closest(name, panel.control_names)
                fix = f'did you mean "{near}"?' if near else f'controls = ["{name}"]'
                known = checks.listing(panel.control_names, 12) or "none"
                checks.fail("lever", name, "", f"a control of the data ({known})", fix)
            at = panel.control_names.index(name)
            if isinstance(value, str):
                there = panel.present[:, panel.window].T
                seen = zip(panel.controls[:, panel.window, at].T, there, strict=True)
                rows = [values[some] for values, some in seen if some.any()]
                value = float(np.mean(BASELINES[value](rows)))
            out[at] = value
        return out if self.levers else None

    def inputs(self, frame: Frame) -> Named:
        """As given; levers from their baselines."""
        controls, origin = frame.panel.controls, frame.scale.baseline
        controls = controls if origin is None else controls - origin
        controls = np.swapaxes(controls, 1, 2)[..., frame.panel.history :]
        return {"controls": (controls, (GEO, CONTROL, "time"))}

    def __call__(self, p: Mapping[str, Any], x: Mapping[str, Any]) -> Array:
        """Coefficient times control."""
        return p["gamma_control"][..., None] * x["controls"]

    def formula(self) -> str:
        """With what is counted from a baseline."""
        if not self.levers:
            return super().formula()
        of = ", ".join(f"{name} from {value}" for name, value in dict(self.levers).items())
        return f"gamma_control * controls (levers count from a baseline: {of})"


@dataclass(frozen=True)
class Waves(Term):
    """Seasonality: sine and cosine pairs of the day of the year, or of another season.

    Args:
        order: Pairs; each adds two coefficients.
        period: "year", "quarter", "month", "week", or a number of days.
        grows: Each wave has a second coefficient, times time, so that a season may grow or
            move over training; a forecast goes on so.
        name: Its name in results.

    Raises:
        InputError: No number of pairs, no season.
    """

    kind: ClassVar[str] = "fourier"
    group: ClassVar[Group] = "seasonality"
    dims: ClassVar[tuple[str, ...]] = (FOURIER,)
    data: ClassVar[Mapping[str, tuple[tuple[str, ...], str]]] = {
        "fourier": ((FOURIER, "time"), "")
    }
    order: int = 2
    period: str | float = "year"
    grows: bool = False
    name: str = "seasonality"

    def __post_init__(self) -> None:
        """Refuse what is no number of pairs, and no season."""
        order = checks.integer(f"{self.name} order", self.order, low=1, fix="order = 2")
        object.__setattr__(self, "order", order)
        if not isinstance(self.grows, bool):
            checks.fail(f"{self.name} grows", self.grows, "", "true or false", "grows=True")
        if isinstance(self.period, str):
            checks.choice("period", self.period, PERIODS)
        else:
            what, fix = f"{self.name} period", 'period = "month"'
            period = checks.number(what, self.period, low=2.0, fix=fix)
            object.__setattr__(self, "period", period)

    @property
    def days(self) -> float:
        """Days of a season."""
        return PERIODS[self.period] if isinstance(self.period, str) else self.period

    @property
    def season(self) -> str:
        """Its period as an adjective."""
        words = {"year": "yearly", "quarter": "quarterly", "month": "monthly"}
        return (words | {"week": "weekly"}).get(str(self.period), f"{self.days:g}-day")

    def parameters(self) -> Mapping[str, Parameter]:
        """Swings of a few tenths of the best week, most harmonics small.

        Seasons of geos are alike: they differ by half of what a swing is, or less.
        """
        prior = Prior("Laplace", loc=0.0, scale=0.2)
        return {"gamma_fourier": Parameter((FOURIER,), prior, linear=True, pooled=0.1)}

    def labels(self, panel: Panel | None) -> Mapping[str, tuple[str, ...]]:
        """sin_1 .. sin_N, cos_1 .. cos_N; of those that grow the same with "_growth"."""
        waves = names(self.order)
        more = tuple(f"{wave}_growth" for wave in waves) if self.grows else ()
        return {FOURIER: (*waves, *more)}

    def inputs(self, frame: Frame) -> Named:
        """The features of the dates."""
        day = phase(frame.dates, self.period) * YEAR
        if self.period == "year":
            day = frame.dates.day_of_year.to_numpy()
        waves = fourier_features(day, self.order)
        if self.grows:
            steps = frame.start + np.arange(len(frame.dates))
            waves = np.concatenate([waves, waves * steps / max(frame.n_train - 1, 1)])
        return {"fourier": (waves, (FOURIER, "time"))}

    def __call__(self, p: Mapping[str, Any], x: Mapping[str, Any]) -> Array:
        """Weighted sum of the features."""
        return p["gamma_fourier"] @ x["fourier"]

    def formula(self) -> str:
        """With what the features are."""
        growing = ", growing" if self.grows else ""
        waves = f"{self.order} {self.season} sine and cosine pairs{growing}"
        return f"gamma_fourier * fourier ({waves})"
