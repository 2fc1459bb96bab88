"""Data with known truth: what a fit should recover, written down before it is fitted.

The process is the model itself run forwards (:mod:`mmmjax.response`), so that a fit and
its truth have the same units and definitions. Per geo g and period t

    outcome = intercept_g + trend + sum of channel contributions + controls + seasonality
              + noise,   noise ~ Normal(0, noise * mean outcome)

with spend drawn as persistent lognormal series (:func:`_spend`). A target ROAS is drawn
for every channel and ``saturation_beta`` solved from it, so that the truth is believable
in money first and only then in parameters. Everything random comes from one seed, every
ingredient from its own stream: switching one option leaves the other draws alone.

``mmmjax simulate --out mmmjax/datasets --name demo`` writes the embedded dataset.
"""

import json
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import jax
import numpy as np
import pandas as pd
import tomli_w

from mmmjax import checks
from mmmjax.checks import show
from mmmjax.kernels.adstock import Geometric
from mmmjax.kernels.seasonality import Fourier
from mmmjax.panel import Panel
from mmmjax.resources import enough_memory, replace_file
from mmmjax.response import components, make_inputs, media_contribution
from mmmjax.scaling import Scale
from mmmjax.shapes import GEO
from mmmjax.spec import Spec

__all__ = ["DEMO", "SIMULATED", "Process", "Simulated", "generate", "is_demo"]

DEMO = Path(__file__).parent / "datasets"
"""Folder of the embedded dataset: demo.csv, demo_truth.json, demo.toml."""
COPIES = 10  # of a table that are alive at a time, about
SIMULATED = "Simulated data: the embedded example of mmmjax. No company, no real money."

CHANNELS = ("TV", "Search", "Social", "Radio", "Display", "Print", "Outdoor", "Video")
CONTROLS = ("price_index", "promotion")
RETENTION, LAM, ROAS = (0.2, 0.7), (1.5, 4.0), (0.8, 4.0)  # ranges of the true values
SEASON = (0.08, 0.03)  # amplitude of the yearly wave and of its half, share of the outcome
TREND = 0.1  # rise over the training window, share of the outcome
CONTROL = 0.04  # effect of one unit of a control, share of the outcome
LINEAR = (
    "intercept",
    "trend_slope",
    "saturation_beta",
    "gamma_control",
    "gamma_fourier",
)


def is_demo(panel: Panel) -> bool:
    """Whether a panel's outcomes are those of the embedded dataset, number by number."""
    table = pd.read_csv(DEMO / "demo.csv", index_col="date", parse_dates=True)
    if panel.n_geos > 1 or not panel.dates.isin(table.index).all():
        return False
    seen, known = table.loc[panel.dates, "sales"].to_numpy(), panel.mask[0]
    return bool(known.any() and np.allclose(panel.outcome[0][known], seen[known], 1e-6, 0))


@dataclass(frozen=True)
class Process:
    """Settings of the data-generating process.

    Args:
        seed: Seed of everything random.
        periods: Weeks in all, the test weeks included.
        test_periods: Last weeks that are left out of the fit (``train_until``).
        channels: Number of channels, all paid, modelled on their spend.
        geos: Number of geos; more than one adds the columns geo and population.
        seasonality: A yearly wave with its first overtone.
        trend: A linear rise.
        controls: Number of controls: a price index, promotion weeks (0 or 1), then noise.
        collinear: Correlation in [0, 1) of the channels' log spend.
        flighted: Number of channels (the last ones) that are on for some weeks, then off.
        noise: Standard deviation of the noise, share of the mean outcome.
        media_share: Share of the outcome that media bring, about.
        outcome_level: Mean outcome of one geo and week, about, in money.
        max_lag: Weeks over which the effect of media is carried, today included.
        start: First date.
        currency: Label of money.
    """

    seed: int = 0
    periods: int = 156
    test_periods: int = 13
    channels: int = 4
    geos: int = 1
    seasonality: bool = True
    trend: bool = True
    controls: int = 2
    collinear: float = 0.3
    flighted: int = 1
    noise: float = 0.03
    media_share: float = 0.3
    outcome_level: float = 1e6
    max_lag: int = 8
    start: str = "2023-01-02"
    currency: str = "EUR"

    def __post_init__(self) -> None:
        """Refuse settings that cannot be simulated; all numbers become plain ones."""
        number, whole = checks.number, checks.integer
        found: dict[str, float] = {}
        for name in ("seed", "controls", "test_periods"):
            found[name] = whole(name, getattr(self, name), low=0)
        for name in ("channels", "geos", "max_lag"):
            found[name] = whole(name, getattr(self, name), low=1)
        least = int(found["test_periods"] + max(found["max_lag"], 26))
        fix = f"periods={least + 78} leaves about two years to fit"
        found["periods"] = whole("periods", self.periods, low=least, fix=fix)
        most = int(found["channels"])
        found["flighted"] = whole("flighted", self.flighted, low=0, high=most)
        found["collinear"] = number(
            "collinear", self.collinear, low=0, high=1, open_high=True
        )
        for name, high in (("noise", None), ("outcome_level", None), ("media_share", 1)):
            found[name] = number(name, getattr(self, name), low=0, high=high, open_low=True)
        for name, value in found.items():
            object.__setattr__(self, name, value)
        try:
            pd.Timestamp(self.start)
        except ValueError:
            checks.fail("start", self.start, "", "a date", 'start="2023-01-02"')

    @property
    def spec(self) -> Spec:
        """The model that made the data, with the default priors.

        One value of each parameter for all geos, but for the intercept; effects are in
        money, and so are the units.
        """
        usual = Spec(
            adstock=Geometric(max_lag=self.max_lag),
            seasonality=Fourier(order=2) if self.seasonality else None,
            trend=self.trend,
            outcome_scale="shared",
            media_scale="shared",
        )
        own = {"intercept": (GEO,) if self.geos > 1 else ()}
        priors = {
            name: one.prior.with_dims(own.get(name, one.dims))
            for name, one in usual.parameters.items()
        }
        return replace(usual, priors=priors)


@dataclass(frozen=True, eq=False)
class Simulated:
    """A simulated dataset: the table, the same as a panel, the model and the truth.

    ``truth`` is plain data (the JSON file; docs/files.md lists its keys): parameters in
    the scaled units of a fit of the training window, returns by geo and channel as in
    channels.csv, components by geo and date in original units.
    """

    process: Process
    frame: pd.DataFrame
    panel: Panel
    spec: Spec
    truth: dict[str, Any]

    @property
    def train_until(self) -> str:
        """Last date of the training window, as YYYY-MM-DD."""
        return show(self.panel.dates[-1 - self.process.test_periods])

    def case(self, path: str) -> str:
        """The case file (TOML) that fits the table stored at ``path``."""
        process, names = self.process, _columns(self.process.channels)
        data: dict[str, Any] = {"path": path, "date": "date", "outcome": "sales"}
        if process.controls:
            data["controls"] = _controls(process.controls)
        if process.geos > 1:
            data |= {"geo": "geo", "population": "population"}
        if process.test_periods:
            data["train_until"] = self.train_until
        own: dict[str, Any] = {"outcome_scale": "auto", "media_scale": "auto"}
        several = own if process.geos > 1 else {}  # as a newcomer fits geos: all defaults
        model = replace(self.spec, priors={}, **several).to_dict()
        del model["priors"]
        sampler = {"kind": "nuts", "chains": 4, "warmup": 1000, "draws": 1000}
        return tomli_w.dumps(
            {
                "data": {**data, "currency": process.currency, "media": names},
                "model": model,
                "sampler": {**sampler, "seed": process.seed},
            }
        )

    def write(self, folder: str | Path, name: str = "demo") -> list[Path]:
        """Write ``name.csv``, ``name_truth.json`` and the case ``name.toml``."""
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        table, truth, case = (
            folder / f"{name}{end}" for end in (".csv", "_truth.json", ".toml")
        )
        dates: dict[str, Any] = {"date_format": "%Y-%m-%d", "lineterminator": "\n"}
        contents = {
            table: self.frame.to_csv(index=False, **dates),
            truth: _json(self.truth),
            case: self.case(table.name),
        }
        for path, content in contents.items():
            replace_file(path.resolve(), content.encode())
        return [table, truth, case]


def generate(process: Process | None = None, **settings: Any) -> Simulated:
    """Simulate a dataset and its truth.

    Args:
        process: Settings; the default makes the embedded dataset.
        **settings: Fields of :class:`Process` to change.
    """
    process = replace(process or Process(), **settings)
    spec = process.spec
    cells = process.periods * process.geos
    needed = 8 * COPIES * cells * (process.channels + process.controls)
    enough_memory("periods", needed, f"{cells:,} rows", "fewer periods or geos")
    frame = _inputs(process)
    panel = _panel(process, frame.assign(sales=1.0))  # outcome scale 1: units are money
    train, test = _split(process, panel)
    scale = Scale.fit(train)
    with jax.enable_x64(True):
        params = _parameters(process, spec, train, scale)
        parts = _forward(spec, params, train, test, scale)
        reach = _reach(spec, params, train, scale)
    mean = np.sum(list(parts.values()), axis=0)
    sd = process.noise * mean.mean()
    outcome = mean + sd * _stream(process, "noise").standard_normal(mean.shape)
    frame["sales"] = outcome.round(2).ravel()
    panel = _panel(process, frame)
    train, _ = _split(process, panel)
    fitted = Scale.fit(train)
    params = params | {spec.likelihood.noise: np.asarray(sd)}
    linear = (*LINEAR, spec.likelihood.noise)
    scaled = {
        n: params[n] / (fitted.outcome[0] if n in linear else 1.0)
        for n in spec.parameters
        if n in params
    }
    truth = {
        "process": asdict(process),
        "window": {"first": show(train.dates[0]), "last": show(train.dates[-1])},
        "scale": {
            "outcome": float(fitted.outcome[0]),
            "media": dict(zip(panel.channels, fitted.media[0].tolist(), strict=True)),
        },
        "parameters": {n: np.asarray(v).tolist() for n, v in scaled.items()},
        "dims": {n: list(spec.dims(n)) for n in scaled},
        "channels": _returns(train, parts, reach),
        "baseline": _baseline(train, parts),
        "components": _components(panel, parts, mean),
    }
    return Simulated(process, frame, panel, spec, truth)


_contribution = jax.jit(media_contribution, static_argnums=2)
_parts = jax.jit(components, static_argnums=2)


def _stream(process: Process, what: str) -> np.random.Generator:
    return np.random.default_rng([process.seed, *what.encode()])


def _columns(channels: int) -> dict[str, str]:
    """Channel name -> spend column."""
    extra = [f"Channel {i + 1}" for i in range(len(CHANNELS), channels)]
    names = [*CHANNELS[:channels], *extra]
    return {name: f"{name.lower().replace(' ', '_')}_spend" for name in names}


def _controls(number: int) -> list[str]:
    extra = [f"control_{i + 1}" for i in range(len(CONTROLS), number)]
    return [*CONTROLS[:number], *extra]


def _persistent(
    rng: np.random.Generator, shape: tuple[int, int, int], retention: float = 0.6
) -> np.ndarray:
    """AR(1) series with mean 0 and variance 1 along the second axis."""
    shocks = rng.standard_normal(shape)
    out = shocks.copy()
    for t in range(1, shape[1]):
        out[:, t] = retention * out[:, t - 1] + np.sqrt(1 - retention**2) * shocks[:, t]
    return out


def _spend(process: Process, size: np.ndarray) -> np.ndarray:
    """Weekly spend (geo, time, channel): lognormal, persistent, collinear or flighted.

    Budgets of the channels differ by a factor of up to five; a market's spend is
    proportional to its size. On air weeks come in runs of 3 to 6, pauses in runs of 3 to 8.
    """
    shape = (process.geos, process.periods, process.channels)
    own = _persistent(_stream(process, "spend"), shape)
    common = _persistent(_stream(process, "common"), (*shape[:2], 1))
    rho = process.collinear
    log = 0.4 * (np.sqrt(rho) * common + np.sqrt(1 - rho) * own)
    level = _stream(process, "budgets").uniform(1.0, 5.0, process.channels)
    spend = size[:, None, None] * level * np.exp(log)
    rng = _stream(process, "flights")
    for channel in range(process.channels - process.flighted, process.channels):
        on: list[float] = []
        while len(on) < process.periods:
            on += [1.0] * int(rng.integers(3, 7)) + [0.0] * int(rng.integers(3, 9))
        spend[:, :, channel] *= np.array(on[: process.periods])
    return spend


def _inputs(process: Process) -> pd.DataFrame:
    """The table without the outcome: one row per geo and week."""
    geos, periods = process.geos, process.periods
    size = _stream(process, "geos").uniform(0.5, 1.5, geos) if geos > 1 else np.ones(1)
    size /= size.mean()
    roas = _targets(process)["roas"]
    spend = _spend(process, size)
    worth = (spend * roas).sum() / (geos * periods)  # outcome per geo and week, about
    spend *= process.media_share * process.outcome_level / worth
    dates = pd.date_range(process.start, periods=periods, freq="7D")
    frame = pd.DataFrame({"date": np.tile(dates, geos)})
    if geos > 1:
        names = [f"Geo {g + 1:0{len(str(geos))}d}" for g in range(geos)]
        frame.insert(0, "geo", np.repeat(names, periods))
        frame["population"] = np.repeat((size * 1e6).round(), periods)
    frame["sales"] = np.nan
    for c, column in enumerate(_columns(process.channels).values()):
        frame[column] = spend[..., c].round(2).ravel()
    rng = _stream(process, "controls")
    series = _persistent(rng, (geos, periods, process.controls))
    for k, column in enumerate(_controls(process.controls)):
        values = series[..., k].round(3)
        if column == "promotion":  # the same weeks everywhere, about one in seven
            values = np.tile(rng.random(periods) < 0.15, (geos, 1)).astype(int)
        frame[column] = values.ravel()
    return frame


def _panel(process: Process, frame: pd.DataFrame) -> Panel:
    several = process.geos > 1
    return Panel.from_frame(
        frame,
        date="date",
        outcome="sales",
        media=_columns(process.channels),
        controls=_controls(process.controls),
        geo="geo" if several else None,
        population="population" if several else None,
        currency=process.currency,
    )


def _split(process: Process, panel: Panel) -> tuple[Panel, Panel | None]:
    if not process.test_periods:
        return panel, None
    return panel.split(panel.dates[-1 - process.test_periods])


def _targets(process: Process) -> dict[str, np.ndarray]:
    """True retention, saturation and ROAS of every channel."""
    rng = _stream(process, "media")
    ranges = {"adstock_alpha": RETENTION, "saturation_lam": LAM, "roas": ROAS}
    return {n: rng.uniform(*r, process.channels) for n, r in ranges.items()}


def _parameters(
    process: Process, spec: Spec, train: Panel, scale: Scale
) -> dict[str, np.ndarray]:
    """True parameters; those linear in the outcome in money, as the scale of it is 1."""
    targets, level = _targets(process), process.outcome_level
    roas = targets.pop("roas")
    spent = train.spend.sum(axis=(0, 1))
    unit = targets | {"saturation_beta": np.ones(process.channels)}
    share = 1.0 if train.population is None else train.population / train.population.mean()
    params = targets | {
        "intercept": (1 - process.media_share) * level * np.asarray(share),
        "saturation_beta": roas * spent / _reach(spec, unit, train, scale).sum(axis=(0, 2)),
    }
    if spec.trend:
        params["trend_slope"] = np.asarray(TREND * level)
    if process.controls:
        sign = (-1.0) ** (np.arange(process.controls) + 1)  # a higher price sells less
        params["gamma_control"] = CONTROL * level * sign
    if spec.seasonality:
        phase = _stream(process, "seasonality").uniform(0, 2 * np.pi, 2)
        waves = np.array(SEASON) * level
        params["gamma_fourier"] = np.concatenate(
            [waves * np.sin(phase), waves * np.cos(phase)]
        )
    return params


def _reach(
    spec: Spec, params: dict[str, np.ndarray], train: Panel, scale: Scale
) -> np.ndarray:
    """Channel contributions (geo, channel, time) of training spend, its tail included.

    Without media before the window, the contribution is the difference to spending
    nothing: adstock and saturation of zero are zero.
    """
    media = np.swapaxes(scale.scale_media(train.media, train), 1, 2)
    tail = np.zeros((*media.shape[:2], spec.memory - 1))
    media = np.concatenate([media, tail], axis=-1)
    inputs = make_inputs(spec, train, scale)
    return np.asarray(_contribution(params, media, spec, inputs))


def _forward(
    spec: Spec,
    params: dict[str, np.ndarray],
    train: Panel,
    test: Panel | None,
    scale: Scale,
) -> dict[str, np.ndarray]:
    """Components (geo, time) in money over all periods; channels and controls by name."""
    pieces = [make_inputs(spec, train, scale)]
    if test is not None:
        pieces.append(make_inputs(spec, test, scale, after=train))
    found = [_parts(params, piece.astype(np.float64), spec) for piece in pieces]
    parts = {n: np.concatenate([np.asarray(f[n]) for f in found], -1) for n in found[0]}
    names = {"channel": train.channels, "control": train.control_names}
    out: dict[str, np.ndarray] = {}
    for part, values in parts.items():
        if part in names:
            out |= {n: values[:, i] for i, n in enumerate(names[part])}
        else:
            out[part] = values
    return out


def _returns(
    train: Panel, parts: dict[str, np.ndarray], reach: np.ndarray
) -> list[dict[str, Any]]:
    """True rows of channels.csv: per geo and channel, and over all geos ("ALL")."""
    time = train.n_periods
    spent = train.spend.sum(axis=1)
    inside = np.stack([parts[c][:, :time].sum(1) for c in train.channels], axis=1)
    total, outcome = reach.sum(axis=2), train.outcome.sum(axis=1)
    rows = []
    for geo, chosen in _groups(train).items():
        for c, channel in enumerate(train.channels):
            money = spent[chosen, c].sum()
            brought = inside[chosen, c].sum()
            rows.append(
                {
                    "geo": geo,
                    "channel": channel,
                    "spend": float(money),
                    "contribution": float(brought),
                    "share": float(brought / outcome[chosen].sum()),
                    "roas": float(total[chosen, c].sum() / money),
                    "roas_in_window": float(brought / money),
                }
            )
    return rows


def _baseline(train: Panel, parts: dict[str, np.ndarray]) -> list[dict[str, Any]]:
    """Intercept and trend over the training window, by geo and over all ("ALL")."""
    weekly = (parts["intercept"] + parts.get("trend", 0.0))[:, : train.n_periods]
    rows = []
    for geo, chosen in _groups(train).items():
        total = float(weekly[chosen].sum())
        outcome = float(train.outcome[chosen].sum())
        rows.append({"geo": geo, "contribution": total, "share": total / outcome})
    return rows


def _groups(train: Panel) -> dict[str, slice]:
    """Each geo as in channels.csv, and all of them."""
    return {g: slice(i, i + 1) for i, g in enumerate(train.geos)} | {"ALL": slice(None)}


def _components(
    panel: Panel, parts: dict[str, np.ndarray], mean: np.ndarray
) -> dict[str, Any]:
    """Weekly truth by geo: component -> list over dates, the mean last."""
    weekly = {
        geo: {n: v[g].tolist() for n, v in (parts | {"mean": mean}).items()}
        for g, geo in enumerate(panel.geos)
    }
    return {"dates": [show(d) for d in panel.dates], "geos": weekly}


def _json(truth: Any) -> str:
    """JSON with numbers to ten significant digits, a list of numbers on one line."""

    def rounded(value: Any) -> Any:
        if isinstance(value, dict):
            return {k: rounded(v) for k, v in value.items()}
        if isinstance(value, list):
            return [rounded(v) for v in value]
        return float(f"{value:.10g}") if isinstance(value, float) else value

    def text(value: Any, indent: str) -> str:
        inner = indent + "  "
        if isinstance(value, dict) and value:
            body = (f"{inner}{json.dumps(k)}: {text(v, inner)}" for k, v in value.items())
            return "{\n" + ",\n".join(body) + f"\n{indent}}}"
        if isinstance(value, list) and value and isinstance(value[0], dict):
            return "[\n" + ",\n".join(inner + json.dumps(v) for v in value) + f"\n{indent}]"
        return json.dumps(value)

    return text(rounded(truth), "") + "\n"
