"""Terms that are linear in what is sampled: the level, its trend, controls, seasons."""

from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar

import jax.numpy as jnp
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

SIGNS = ("positive", "negative")
FREE = "free"


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

    For many of which few matter give them a sparse prior: ``Spec(priors={"gamma_control":
    mm.Prior("Horseshoe", relevant=3)})``.

    Some may be levers, which one sets: price, depth of promotion, distribution. A lever
    adds coefficient * (value - baseline), so that its contribution is what it brought
    against its baseline, and the level of the outcome is that at the baseline.

    Args:
        levers: Controls that are levers, and the baseline of each: a number, or "first",
            "last", "mean", "min" or "max", of the values of training over all geos ("first"
            and "last": the mean over geos in that period).
        sign: Controls that can only raise the outcome ("positive") or only lower it
            ("negative"), by name: {"price": "negative"}.
        lag: Periods after which a control acts, by name: {"price": 1}; or several,
            {"price": [0, 1]}, each with a coefficient of its own.
        name: Its name in results.

    Raises:
        InputError: A baseline, sign or lag that is none; a control that the panel lacks.
    """

    kind: ClassVar[str] = "controls"
    group: ClassVar[Group] = "control"
    over: ClassVar[str] = CONTROL
    levers: Mapping[str, Any] = field(default=(), metadata={"table": True})  # type: ignore[assignment]
    sign: Mapping[str, str] = field(default=(), metadata={"table": True})  # type: ignore[assignment]
    lag: Mapping[str, Any] = field(default=(), metadata={"table": True})  # type: ignore[assignment]
    name: str = "control"

    def __post_init__(self) -> None:
        """Read baselines, signs and lags."""
        fix, read = 'levers = { price = "mean", promotion = 0.0 }', []
        for name, value in table_of(f"{self.name} levers", self.levers, fix):
            what = f"baseline of {name}"
            if isinstance(value, str):
                checks.choice(what, value, tuple(BASELINES))
            else:
                value = checks.number(what, value, fix=fix)
            read.append((name, value))
        object.__setattr__(self, "levers", tuple(read))
        signs = table_of(f"{self.name} sign", self.sign, 'sign = { price = "negative" }')
        for control, sign in signs:
            checks.choice(f"sign of {control}", sign, SIGNS)
        lags = []
        for control, given in table_of(f"{self.name} lag", self.lag, "lag = { price = 1 }"):
            what, fix = f"lag of {control}", "lag = 1, or lag = [0, 1]"
            several = given if isinstance(given, (list, tuple)) else (given,)
            each = tuple(checks.integer(what, k, low=0, fix=fix) for k in several)
            if not each or len({*each}) < len(each):
                checks.fail(what, given, "", "periods, each once", fix)
            lags.append((control, each))
        object.__setattr__(self, "sign", signs)
        object.__setattr__(self, "lag", tuple(lags))

    @classmethod
    def of(cls, table: Mapping[str, Any]) -> "Controls":
        """From [model.controls], options by control."""
        found: dict[str, dict[str, Any]] = {"lever": {}, "sign": {}, "lag": {}}
        for control, own in table.items():
            for key, value in (own if isinstance(own, Mapping) else {"": own}).items():
                if key not in found:
                    fix = f'"{control}" = {{ sign = "negative", lag = 1 }}'
                    where, got = f"[model.controls] {control}", key or own
                    checks.fail("key", got, where, f"of {', '.join(found)}", fix)
                found[key][control] = value
        return cls(found["lever"], found["sign"], found["lag"])

    def without(self, gone: Container[str]) -> "Controls":
        """The same for a panel that lacks some controls."""
        rest = lambda pairs: {n: value for n, value in dict(pairs).items() if n not in gone}
        levers, sign, lag = map(rest, (self.levers, self.sign, self.lag))
        return replace(self, levers=levers, sign=sign, lag=lag)

    @property
    def lead(self) -> int:
        """Periods before the first that it needs to know of."""
        return max((k for lags in dict(self.lag).values() for k in lags), default=0)

    @property
    def split(self) -> bool:
        """Whether there is more than one free coefficient for each control."""
        return bool(self.sign) or any(len(lags) > 1 for _, lags in self.lag)

    def columns(self, names: Sequence[str]) -> list[tuple[str, str, int, str]]:
        """(Label, control, lag, sign or "free") of each coefficient."""
        lags: dict[str, tuple[int, ...]] = dict(self.lag)
        signs, rows = dict(self.sign), []
        for control in (c for c in (*lags, *signs) if c not in names):
            what = "controls of the table"
            checks.unknown(f"controls of {self.name}", control, "", what, names)
        for control in names:
            every = lags.get(control, (0,))
            for k in every:
                label = f"{control} lag {k}" if len(every) > 1 else control
                rows.append((label, control, k, signs.get(control, FREE)))
        return rows

    @property
    def dims(self) -> tuple[str, ...]:  # type: ignore[override]
        """Those of free and of signed coefficients, where there are any."""
        signs = dict(self.sign).values()
        return (FREE, *(s for s in SIGNS if s in signs)) if self.split else ()

    @property
    def data(self) -> Mapping[str, tuple[tuple[str, ...], str]]:  # type: ignore[override]
        """Controls; or by sign a column for each coefficient, and the control it is of."""
        if not self.split:
            return {"controls": ((GEO, CONTROL, "time"), "")}
        columns = {kind: ((GEO, kind, "time"), "controls, by sign") for kind in self.dims}
        of = {f"of_{kind}": ((kind, CONTROL), "0 or 1") for kind in self.dims}
        return {**columns, **of}

    def parameters(self) -> Mapping[str, Parameter]:
        """A control on a scale of about 1 may move the outcome by half of its maximum."""
        prior = Prior("Normal", loc=0.0, scale=0.5)
        dim = FREE if self.split else CONTROL
        out = {"gamma_control": Parameter((dim,), prior, linear=True)}
        laws = {"positive": "HalfNormal", "negative": "NegativeHalfNormal"}
        for sign in (s for s in SIGNS if s in self.dims):
            prior = Prior(laws[sign], scale=0.5)
            out[f"gamma_control_{sign}"] = Parameter((sign,), prior, sign)  # type: ignore[arg-type]
        return out

    def labels(self, panel: Panel | None) -> Mapping[str, tuple[str, ...]]:
        """Names of the columns, all and by sign."""
        rows = [] if panel is None else self.columns(panel.control_names)
        if panel is None or not self.split:
            return {}
        return {d: tuple(r[0] for r in rows if d == r[-1]) for d in self.dims}

    def baselines(self, panel: Panel) -> Float[np.ndarray, " control"] | None:
        """What every control is counted from: 0 but of levers; None without levers.

        Raises:
            InputError: A lever that is no control of the panel.
        """
        out = np.zeros(len(panel.control_names))
        for name, value in dict(self.levers).items():
            if name not in panel.control_names:
                known, fix = panel.control_names, f'controls = ["{name}"]'
                checks.unknown("lever", name, "", "a control of the data", known, fix)
            at = panel.control_names.index(name)
            if isinstance(value, str):
                there = panel.present[:, panel.window].T
                seen = zip(panel.controls[:, panel.window, at].T, there, strict=True)
                rows = [values[some] for values, some in seen if some.any()]
                value = float(np.mean(BASELINES[value](rows)))
            out[at] = value
        return out if self.levers else None

    def inputs(self, frame: Frame) -> Named:
        """Each as given or from its baseline, now or some periods before."""
        panel, every = frame.panel, frame.panel.controls
        if frame.after is not None:
            every = np.concatenate([frame.after.controls, every], axis=1)
        if (origin := frame.scale.baseline) is not None:
            every = every - origin
        rows, lead = self.columns(panel.control_names), self.lead
        first = every.shape[1] - len(frame.dates)
        every = np.pad(every, ((0, 0), (lead, 0), (0, 0)))
        found = np.empty((len(every), len(rows), len(frame.dates)))
        for j, (_, control, k, _) in enumerate(rows):
            start, at = first + lead - k, panel.control_names.index(control)
            found[:, j] = every[:, start : start + len(frame.dates), at]
        if lead:  # of periods that are not modelled
            found = np.nan_to_num(found)
        if not self.split:
            return {"controls": (found, (GEO, CONTROL, "time"))}
        of = np.array([[r[1] == c for c in panel.control_names] for r in rows], float)
        out: dict[str, tuple[np.ndarray, tuple[str, ...]]] = {}
        for kind in self.dims:
            at = [j for j, row in enumerate(rows) if row[-1] == kind]
            out[kind] = found[:, at], (GEO, kind, "time")
            out[f"of_{kind}"] = of[at], (kind, CONTROL)
        return out

    def __call__(self, p: Mapping[str, Any], x: Mapping[str, Any]) -> Array:
        """Coefficient times control, summed over the lags of each."""
        if not self.split:
            return p["gamma_control"][..., None] * x["controls"]
        own = zip(self.parameters(), self.dims, strict=True)
        return sum(
            jnp.einsum("gjt,jk->gkt", p[name][..., None] * x[kind], x[f"of_{kind}"])
            for name, kind in own
            if name in p
        )  # type: ignore[return-value]

    def formula(self) -> str:
        """With what is counted from a baseline."""
        text = "sum(gamma * controls)" if self.split else "gamma_control * controls"
        if not self.levers:
            return text
        of = ", ".join(f"{name} from {value}" for name, value in dict(self.levers).items())
        return f"{text} (levers count from a baseline: {of})"


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
