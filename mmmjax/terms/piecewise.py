"""Terms of a baseline with knots: a trend that changes its slope, a smooth level."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import pandas as pd
from jaxtyping import Array
from scipy.interpolate import BSpline

from mmmjax import checks
from mmmjax.panel import Panel
from mmmjax.panel.calendar import offset
from mmmjax.prior import Parameter, Prior
from mmmjax.terms.base import Frame, Group, Named, Term
from mmmjax.terms.columns import Columns, day_of, days

__all__ = ["Knots", "Piecewise"]


@dataclass(frozen=True)
class Piecewise(Term):
    """A straight line that may change its slope; its last one continues in a forecast.

    Args:
        changes: Number of places where it may, evenly over the first four fifths of
            training; or their dates.
        name: Its name in results; "trend" takes the place of the straight line.

    Raises:
        InputError: No number, no date.

    Source: Taylor and Letham (2018), "Forecasting at scale", eq. 3, for the sparse prior.
    """

    kind: ClassVar[str] = "piecewise"
    group: ClassVar[Group] = "baseline"
    dims: ClassVar[tuple[str, ...]] = ("bend",)
    data: ClassVar[Mapping[str, tuple[tuple[str, ...], str]]] = {
        "time": (("time",), "0 to 1 over training"),
        "since": (("bend", "time"), "time since each change"),
    }
    changes: int | Sequence[str] = 8
    name: str = "piecewise"

    def __post_init__(self) -> None:
        """Read the places."""
        given, what = self.changes, f"{self.name} changes"
        if isinstance(given, (list, tuple)) and given:
            dates = tuple(day_of(what, one) for one in given)
            if len({*dates}) < len(dates):
                fix = "leave out what stands twice"
                checks.fail(what, given, "", "dates, each once", fix)
            object.__setattr__(self, "changes", dates)
        else:
            fix = "changes = 8"
            number = checks.integer(what, given, low=1, high=100, fix=fix)
            object.__setattr__(self, "changes", number)

    def parameters(self) -> Mapping[str, Parameter]:
        """Half of the maximum over the window; most changes small, a few large."""
        slope = Prior("Normal", loc=0.0, scale=0.5)
        change = Prior("Laplace", loc=0.0, scale=0.1)
        return {
            "piecewise_slope": Parameter((), slope, linear=True),
            "piecewise_change": Parameter(("bend",), change, linear=True),
        }

    def labels(self, panel: Panel | None) -> Mapping[str, tuple[str, ...]]:
        """The dates, or 1 .. changes."""
        given: Any = self.changes
        every = given if isinstance(given, tuple) else map(str, range(1, given + 1))
        return {"bend": tuple(every)}

    def inputs(self, frame: Frame) -> Named:
        """Training windows since the start of training, and since each change."""
        window, given = max(frame.n_train - 1, 1), self.changes
        steps = frame.start + np.arange(len(frame.dates))
        if isinstance(given, int):
            places = 0.8 * np.arange(1, given + 1) / given
        else:
            step: Any = offset(frame.panel.freq)
            end, count = frame.dates[-1], frame.start + len(frame.dates)
            every = days(pd.date_range(end=end, periods=count, freq=step))
            at = days(pd.DatetimeIndex(list(given)))
            places = np.interp(at, every, np.arange(count)) / window
        time = steps / window
        since = np.maximum(time - places[:, None], 0.0)
        return {"time": (time, ("time",)), "since": (since, ("bend", "time"))}

    def __call__(self, p: Mapping[str, Any], x: Mapping[str, Any]) -> Array:
        """Slope times time, and every change times the time since it."""
        line = p["piecewise_slope"][:, None] * x["time"]
        return line + p["piecewise_change"] @ x["since"]

    def formula(self) -> str:
        """A line and its changes."""
        return "piecewise_slope * time + piecewise_change @ since"


@dataclass(frozen=True)
class Knots(Columns):
    r"""A smooth level: a B-spline over training whose coefficients walk in small steps.

    The columns are sums $\sum_{k \ge j} B_k(t)$, so that a coefficient is a step from one
    B-spline to the next. In a forecast it keeps its last level.

    Args:
        knots: B-splines, evenly over training.
        degree: Of the pieces: 1 is straight lines between knots, 3 smooth.
        name: Its name in results.

    Raises:
        InputError: Fewer knots than a piece of the degree has.
    """

    kind: ClassVar[str] = "knots"
    group: ClassVar[Group] = "baseline"
    dims: ClassVar[tuple[str, ...]] = ("knot",)
    data: ClassVar[Mapping[str, tuple[tuple[str, ...], str]]] = {
        "columns": (("knot", "time"), "0 to 1, each a step from knot to knot")
    }
    knots: int = 8
    degree: int = 3
    name: str = "knots"

    def __post_init__(self) -> None:
        """Refuse what is no spline."""
        degree = checks.integer(f"{self.name} degree", self.degree, low=1, high=5)
        least, fix = degree + 1, "knots = 8"
        knots = checks.integer(f"{self.name} knots", self.knots, low=least, fix=fix)
        object.__setattr__(self, "degree", degree)
        object.__setattr__(self, "knots", knots)

    def parameters(self) -> Mapping[str, Parameter]:
        """A tenth of the best period from knot to knot."""
        prior = Prior("Normal", loc=0.0, scale=0.1)
        return {"gamma_knot": Parameter(("knot",), prior, linear=True)}

    def labels(self, panel: Panel | None) -> Mapping[str, tuple[str, ...]]:
        """2 .. knots: the first is the intercept's."""
        return {"knot": tuple(map(str, range(2, self.knots + 1)))}

    def inputs(self, frame: Frame) -> Named:
        """Tails of the sum of B-splines, which is 1."""
        steps = frame.start + np.arange(len(frame.dates))
        t = np.minimum(steps / max(frame.n_train - 1, 1), 1.0)
        inner = np.linspace(0, 1, self.knots - self.degree + 1)
        places = np.pad(inner, self.degree, mode="edge")
        every = BSpline.design_matrix(t, places, self.degree).toarray()
        tails = np.cumsum(every[:, ::-1], 1)[:, -2::-1]
        return {"columns": (tails.T, ("knot", "time"))}
