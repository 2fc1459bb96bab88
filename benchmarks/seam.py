"""Did a rebuild of the model's middle change anything?

Four works, each in a process of its own: the case study (its own sampler, shortened), four
geos of a panel (mm.HMC; priors with a dim of geos, one of them nested, one of geo x
channel), the demo with StudentT, and a fleet of 12 ragged markets (mm.HMC; 40 to 120 weeks,
2 to 5 channels and 0 to 2 controls, one channel that never runs, gaps in the outcome). Kept
as ``results/seam_before.json``, made at the commit before; ``--against`` compares:

- ``--digests``: SHA-256 of the bytes of every array: draws, statistics of the sampler,
  contributions, returns, curves, log likelihoods, a forecast, prior draws, a plan, the
  prepared problem with its log density and gradient. Bar: all equal; where one is not, the
  difference of three numbers made of it says whether it is rounding; ``--rounding 1e-12``
  lets that of results pass, not that of draws. Traces and
  compilations of each step are counted by JAX's own events. Bar: not more.
- ``--speed``: with ``--other``, a checkout of the commit before, processes of both
  take turns. Seconds to compile the gradient of the log density and the programs of NUTS
  and of HMC: medians of fresh processes, the persistent cache off. Bar: 1.1. Time of a
  gradient inside a program: the median over pairs of turns. Bar: 1.03. Seconds are those
  of the processor, all threads together, which the machine's other work moves less; wall
  seconds are shown without a bar. The two gradients agree to 1e-3 before they are timed.
- ``--ess``: ten seeds. Smallest bulk ESS per 1000 gradients: mean and standard error. Bar:
  not lower by more than two standard errors of the difference. Means of every scalar
  parameter over the seeds: Welch's t test, Bonferroni over all. Bar: p of at least 0.01,
  which is the bar where draws may differ, but not their law.

All three without a flag. The default prior of saturation_beta has moved since, to
mm.media_share: the works ask for spend_share, the default of then. Bits depend on the
processor and on versions: a file of another machine is compared with a warning. What is
reached below the public door is in `opened`, `height` and `building`, to be adapted where
those names change.
"""

import dataclasses
import hashlib
import json
import os
import statistics
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np
import pandas as pd
import xarray as xr
from common import HERE, commit, machine, options, show, versions, write
from scipy.stats import ttest_ind_from_stats

import mmmjax as mm
from mmmjax.cli import case as cases
from mmmjax.infer.density import log_density
from mmmjax.infer.fit import engine
from mmmjax.infer.precondition import precondition
from mmmjax.infer.threads import single_blas
from mmmjax.prepare import prepare
from mmmjax.programs import compiled

ROOT = HERE.parent
WORKS = ("case study", "geo panel", "demo", "fleet")
REAL = ("case study", "geo panel")  # works whose data are in ../shared
BARS = {"compile": 1.1, "gradient": 1.03, "ess": 2.0, "p": 0.01}
PROCESSES, TURNS = 6, 40  # pairs of processes, and pairs of turns of each
STEPS, LEAST = 200, 0.02  # gradients of a program, seconds of a turn
SEEDS = 10
EVENTS = {
    "traces": "/jax/core/compile/jaxpr_trace_duration",
    "compilations": "/jax/core/compile/backend_compile_duration",
}

type Groups = dict[str, dict[str, str]]


class Work(NamedTuple):
    """A spec and its markets, one where it is not a fleet; what follows the training."""

    spec: mm.Spec
    train: dict[str, mm.Panel]
    test: dict[str, mm.Panel]
    sampler: Any


class Opened(NamedTuple):
    """A posterior below the public door: what programs depend on, and its arrays."""

    structure: Any
    problem: Any
    arrays: dict[str, Any]


def opened(spec: mm.Spec, panel: mm.Panel) -> Opened:
    """The posterior in the coordinates of a sampler, float64."""
    ready = prepare(spec, panel)
    structure = ready.spec.structure()
    with single_blas():
        problem, _ = precondition(structure, ready.data, seed=0)
    whole = {**vars(problem), **vars(problem.block)}  # of several geos: maps of arrays too
    arrays = {n: x for n, x in whole.items() if isinstance(x, np.ndarray)}
    return Opened(structure, problem, arrays | problem.scales)


def height(z: Any, problem: Any, spec: Any) -> Any:
    """Log density at sampler coordinates z (P,)."""
    return log_density(z, problem, spec)


def building(sampler: Any, found: Opened) -> Any:
    """Compile the program of a sampler."""
    return engine(sampler).build(found.problem, found.structure, sampler)


def gradient(z: Any, problem: Any, spec: Any) -> Any:
    """Log density and gradient."""
    return jax.value_and_grad(height)(z, problem, spec)


def walk(z: Any, problem: Any, spec: Any) -> Any:
    """As many gradients as a program of a sampler computes in a row; where that ends."""

    def step(at: Any, _: Any) -> tuple[Any, Any]:
        return at + 1e-6 * gradient(at, problem, spec)[1], None

    return jax.lax.scan(step, z, None, length=STEPS)[0]


def ragged(count: int) -> tuple[dict[str, mm.Panel], dict[str, mm.Panel]]:
    """Markets that differ in length, channels and controls: training and what follows."""
    train, test = {}, {}
    for number in range(count):
        rng = np.random.default_rng(number)
        weeks, channels = 40 + 16 * (number * 5 % 6), 2 + number % 4
        media = rng.gamma(2.0, 10.0, (weeks, channels))
        media *= rng.random((weeks, channels)) < 0.8
        controls = rng.standard_normal((weeks, number % 3))
        weights = rng.uniform(0.1, 0.6, channels) ** np.arange(4)[:, None]
        stock = sum(w * np.roll(media, k, 0) for k, w in enumerate(weights))
        effect = np.tanh(stock / weights.sum(0) / 30.0) * rng.uniform(20.0, 60.0, channels)
        season = 12.0 * np.sin(2 * np.pi * np.arange(weeks) / 52.18)
        outcome = 200.0 + season + effect.sum(1) + 6.0 * controls.sum(1)
        outcome += 8.0 * rng.standard_normal(weeks) + 0.1 * np.arange(weeks)
        if number % 5 == 3:
            media[:, 0] = 0.0
        if number % 4 == 2:
            outcome[[7, 8, 21]] = np.nan
        named = [f"c{i}" for i in range(channels)], [f"x{i}" for i in range(number % 3)]
        frame = pd.DataFrame(np.hstack([media, controls]), columns=[*named[0], *named[1]])
        frame["y"], frame["week"] = outcome, pd.date_range("2022-01-03", None, weeks, "7D")
        panel = mm.Panel.from_frame(
            frame, date="week", outcome="y", media=named[0], controls=named[1]
        )
        name = f"market {number:02d}"
        train[name], test[name] = panel.split(panel.dates[-7])
    return train, test


def work(what: str, house: Path, smoke: bool = False) -> Work:
    """One of the works; the case files and ../shared are those of a house."""
    short: dict[str, Any] = (
        {"warmup": 50, "draws": 50} if smoke else {"warmup": 100, "draws": 100}
    )
    short |= {"until": None, "chains": 2}
    then = {"saturation_beta": mm.Prior("HalfNormal", scale=mm.spend_share)}
    if what == "fleet":
        spec = mm.Spec(
            adstock=mm.adstock.Geometric(max_lag=4), trend=True,
            seasonality=mm.seasonality.Fourier(order=2), priors=then,
        )  # fmt: skip
        quick = dataclasses.replace(mm.HMC(), **short | {"chains": 4})
        return Work(spec, *ragged(3 if smoke else 12), quick)
    if what == "demo":
        case = cases.read(house / "mmmjax" / "datasets" / "demo.toml")
        student, priors = mm.likelihood.StudentT(), {**case.spec.priors, **then}
        spec = dataclasses.replace(case.spec, likelihood=student, priors=priors)
        train, test, sampler = case.train, case.test, case.sampler
    else:
        place = house / "benchmarks" / what.split()[0].replace("case", "case_study")
        case = cases.read(place / "case.toml")
        spec, train, test, sampler = case.spec, case.train, case.test, case.sampler
    if what == "geo panel":
        few = case.panel.select([f"Geo{i}" for i in (0, 7, 20, 33)])
        train, test = few.split(few.dates[-14])
        level = mm.Prior("Normal", loc=0.5, scale=0.3)
        spread = mm.Prior("HalfNormal", scale=0.2)
        priors = dict(spec.priors) | {
            "intercept": mm.Prior("Normal", loc=level, scale=spread, dims=("geo",)),
            "saturation_beta": mm.Prior("HalfNormal", scale=0.3, dims=("geo", "channel")),
            "y_sigma": mm.Prior("HalfNormal", scale=0.5, dims=("geo",)),
        }
        spec, sampler = dataclasses.replace(spec, priors=priors), mm.HMC()
    if test is None:
        raise ValueError(f"{what}: nothing follows the training")
    return Work(spec, {what: train}, {what: test}, dataclasses.replace(sampler, **short))


def told(array: Any) -> str:
    """Digest of an array, its mean and size, and its product with random numbers.

    The last three differ by rounding only where the array does.
    """
    x = np.ascontiguousarray(array)
    digest = hashlib.sha256(f"{x.dtype} {x.shape} ".encode() + x.tobytes()).hexdigest()
    flat = np.nan_to_num(x.astype(float).ravel())
    rms = float(np.sqrt(np.mean(flat**2))) if flat.size else 0.0
    along = np.random.default_rng(0).standard_normal(flat.size) @ flat
    along /= max(flat.size, 1) ** 0.5
    mean = flat.mean() if flat.size else 0.0
    return f"{digest[:32]} {mean:.12g} {rms:.12g} {along:.12g}"


def arrays(found: Any, prefix: str = "") -> dict[str, str]:
    """What is told of all numbers of a result, by name."""
    if isinstance(found, xr.Dataset):
        found = {name: array.values for name, array in found.data_vars.items()}
    elif isinstance(found, pd.DataFrame):
        numbers = found.select_dtypes(["number", "bool"]).drop(
            columns="seconds", errors="ignore"
        )
        found = {name: column.to_numpy() for name, column in numbers.items()}
    elif dataclasses.is_dataclass(found):
        fields = {f.name: getattr(found, f.name) for f in dataclasses.fields(found)}
        kinds = (xr.DataArray, float, int)
        found = {n: np.asarray(x) for n, x in fields.items() if isinstance(x, kinds)}
    every = {f"{prefix}{name}": np.asarray(x) for name, x in found.items()}
    return {name: told(x) for name, x in every.items() if x.dtype.kind in "fiub"}


def digests(what: str, house: Path, smoke: bool) -> dict[str, Any]:
    """Do one work; what is told of every number, traces and compilations of every step."""
    began, made = time.perf_counter(), work(what, house, smoke)
    names = {event: name for name, event in EVENTS.items()}
    counts: Counter[str] = Counter()

    def heard(event: str, duration_secs: float, **kwargs: str | int) -> None:
        counts.update([names[event]] if event in names else [])

    jax.monitoring.register_event_duration_secs_listener(heard)
    groups: Groups = {}
    counted: dict[str, dict[str, int]] = {}

    def step(name: str, compute: Callable[[], Mapping[str, str]]) -> None:
        counts.clear()
        groups[name] = dict(compute())
        counted[name] = {event: counts[event] for event in EVENTS}

    fits: dict[str, mm.Fit] = {}
    tables: dict[str, Any] = {}

    def sample() -> dict[str, str]:
        if what == "fleet":
            ask: dict[str, Any] = {"refit": False, "progress": False, "seed": 0}
            fleet = mm.fit_fleet(made.spec, made.train, made.sampler, **ask)
            fits.update(fleet)
            tables.update(table=fleet.table, channels=fleet.channels)
        else:
            train = made.train[what]
            fits[what] = mm.fit(made.spec, train, made.sampler, seed=0, progress=False)
        return joined(lambda fit: fit.draws.params, every=True)

    def joined(of: Callable[[mm.Fit], Any], every: bool = False) -> dict[str, str]:
        few = list(fits.items()) if every else some()
        return {k: v for name, fit in few for k, v in arrays(of(fit), f"{name}: ").items()}

    def some() -> list[
        tuple[str, mm.Fit]
    ]:  # one of a fleet's has gaps, one lacks a channel
        return list(fits.items())[2::3][:3] if what == "fleet" else list(fits.items())

    def forecast(fit: mm.Fit) -> xr.Dataset:
        name = next(name for name, one in fits.items() if one is fit)
        return mm.predict(fit, made.test[name], seed=1)

    def plan() -> dict[str, str]:
        chosen = dict(some()) if what == "fleet" else fits[what]
        return arrays(mm.optimize(chosen, bounds=(0.2, 2.0), periods=8))

    def density() -> dict[str, str]:
        found = opened(made.spec, next(iter(made.train.values())))
        z = np.random.default_rng(0).standard_normal(len(found.arrays["center"]))
        wide = {}
        for dtype in ("float32", "float64"):
            with jax.enable_x64(dtype == "float64"):
                args = z.astype(dtype), found.problem.astype(dtype)
                call, _ = compiled(gradient, {"spec": found.structure}, *args)
                value, slope = map(np.asarray, call(*args))
            wide |= {f"value, {dtype}": value, f"gradient, {dtype}": slope}
        return arrays(found.arrays | wide)

    step("draws", sample)
    step("statistics", lambda: joined(lambda fit: fit.draws.stats, every=True))
    for name, table in tables.items():
        groups[name] = arrays(table)
    step("contributions", lambda: joined(mm.contributions))
    step("roas", lambda: joined(mm.roas))
    step("mroas", lambda: joined(mm.mroas))
    step("curves", lambda: joined(mm.curves))
    step("log likelihood", lambda: joined(mm.log_likelihood))
    step("forecast", lambda: joined(forecast))
    first = next(iter(made.train.values()))
    prior = lambda: mm.sample_prior(made.spec, first, 20, seed=2).draws.params
    step("prior", lambda: arrays(prior()))
    step("plan", plan)
    step("density", density)
    return {
        "part": "digests", "what": what, "seconds": round(time.perf_counter() - began, 1),
        "counts": counted, "groups": groups,
    }  # fmt: skip


def worker(house: Path, smoke: bool) -> None:
    """Compile, say how long it took, then time a turn for every line that comes in."""
    what = "demo" if smoke else "case study"
    made = {name: work(name, house) for name in ({what} if smoke else REAL)}
    calls, told_of = {}, {}
    for name, one in made.items():
        found = opened(one.spec, one.train[name])
        z = np.random.default_rng(0).standard_normal(len(found.arrays["center"]))
        args = z.astype("float32"), found.problem.astype("float32")
        static = {"spec": found.structure}
        makers: dict[str, Callable[[], Any]] = {
            "gradient": lambda static=static, args=args: compiled(gradient, static, *args)
        }
        if name == what:
            makers["nuts"] = lambda found=found: building(mm.NUTS(), found)
            makers["hmc"] = lambda found=found: building(mm.HMC(), found)
        row = told_of.setdefault(name, {})
        for key, make in makers.items():
            wall, cpu = time.perf_counter(), time.process_time()
            make()
            row[f"{key}_compile_wall_s"] = time.perf_counter() - wall
            row[f"{key}_compile_s"] = time.process_time() - cpu
        once, _ = compiled(gradient, static, *args)
        row["slope"] = np.asarray(once(*args)[1]).astype(float).tolist()
        call, _ = compiled(walk, static, *args)
        if not np.isfinite(np.asarray(call(*args))).all():
            raise ValueError(f"{name}: the gradient is not finite")
        calls[name] = call, args
    print(json.dumps(told_of), flush=True)
    for line in sys.stdin:
        call, args = calls[line.strip()]
        began, count = time.process_time(), 0
        while time.process_time() - began < (0.01 if smoke else LEAST):
            jax.block_until_ready(call(*args))
            count += 1
        print((time.process_time() - began) / count / STEPS, flush=True)


def speed(house: Path, other: Path | None, smoke: bool) -> list[dict[str, Any]]:
    """Compile and gradient seconds here, and of another checkout in turns with it.

    Each checkout is measured by its own copy of this file, if it has one.
    """
    sides = {"after": ROOT} | ({"before": other.resolve()} if other else {})
    found: dict[str, dict[str, Any]] = {}
    for process in range(1 if smoke else PROCESSES):
        opened_now = {}
        for side in sorted(sides, reverse=process % 2 == 1):
            script = sides[side] / "benchmarks" / "seam.py"
            command = [sys.executable, str(script if script.exists() else __file__)]
            command += ["--worker", "--house", str(house)] + (["--smoke"] if smoke else [])
            opened_now[side] = subprocess.Popen(
                command, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                env=os.environ | {"PYTHONPATH": str(sides[side])},
            )  # fmt: skip
            for name, values in json.loads(said(opened_now[side])).items():
                for key, value in values.items():
                    row = found.setdefault(name, {}).setdefault(key, {})
                    row.setdefault(side, []).append(value)
        for turn in range(2 if smoke else TURNS):
            for name, row in found.items():
                for side in sorted(sides, reverse=turn % 2 == 1):
                    asked = opened_now[side].stdin
                    print(name, file=asked, flush=True)
                    seconds = float(said(opened_now[side]))
                    row.setdefault("gradient_s", {}).setdefault(side, []).append(seconds)
        for one in opened_now.values():
            one.communicate()
    return [{"part": "speed", "what": name} | timed(row) for name, row in found.items()]


def said(process: "subprocess.Popen[str]") -> str:
    """The next line of a worker."""
    line = process.stdout.readline() if process.stdout else ""
    if not line:
        raise RuntimeError(f"a worker ended: {process.args}")
    return line


def timed(found: dict[str, dict[str, list[Any]]]) -> dict[str, Any]:
    """Medians of each side, ratios of the other to them, and how far gradients differ."""
    slopes = {side: np.array(values[0]) for side, values in found.pop("slope").items()}
    row: dict[str, Any] = {"pairs": len(found["gradient_s"]["after"]), "median": {}}
    for key, sides in found.items():
        row["median"][key] = {side: statistics.median(s) for side, s in sides.items()}
    if "before" in slopes:
        size = np.linalg.norm(slopes["before"])
        row["gradients_differ"] = float(
            np.linalg.norm(slopes["after"] - slopes["before"]) / size
        )
        row["ratio"] = {
            key: of["after"] / of["before"] for key, of in row["median"].items()
        }
        pairs = zip(
            found["gradient_s"]["after"], found["gradient_s"]["before"], strict=True
        )
        ratios = np.array([a / b for a, b in pairs])
        row["ratio"]["gradient_s"] = float(np.median(ratios))
        row["ratio_quartiles"] = np.quantile(ratios, [0.25, 0.75]).tolist()
    return row


def ess(what: str, kind: str, house: Path, smoke: bool) -> dict[str, Any]:
    """Fits of ten seeds: effective samples per 1000 gradients, means of all scalars."""
    made = work(what, house, smoke)
    length: dict[str, Any] = (
        {"warmup": 50, "draws": 50} if smoke else {"warmup": 250, "draws": 250}
    )
    chains = 4 if what == "fleet" or kind == "nuts" else 8
    length |= {"chains": chains, "until": None}
    sampler = mm.NUTS(target_accept=0.9) if kind == "nuts" else mm.HMC()
    sampler = dataclasses.replace(sampler, **length)
    rates, means = [], []
    for seed in range(2 if smoke else SEEDS):
        ask: dict[str, Any] = {"seed": seed, "progress": False}
        if what == "fleet":
            fits = mm.fit_fleet(made.spec, made.train, sampler, refit=False, **ask)
        else:
            fits = {what: mm.fit(made.spec, made.train[what], sampler, **ask)}
        tables: list[Any] = [mm.summary(fit) for fit in fits.values()]
        least = [float(table["ess_bulk"].min()) for table in tables]
        used = [int(fit.draws.stats["n_steps"].sum()) for fit in fits.values()]
        rates.append(1e3 * sum(least) / sum(used))
        draws = [x for fit in fits.values() for _, x in sorted(fit.draws.params.items())]
        means.append(np.concatenate([x.mean((0, 1)).ravel() for x in draws]))
    mean, sd = np.mean(means, 0), np.std(means, 0, ddof=1)
    text = lambda of: " ".join(f"{x:.9g}" for x in of)
    return {
        "part": "ess", "what": f"{what}, {kind}", "seeds": len(rates),
        "ess_per_1000_gradients": statistics.mean(rates),
        "standard_error": statistics.stdev(rates) / len(rates) ** 0.5,
        "means": text(mean), "sds": text(sd),
    }  # fmt: skip


class Check(NamedTuple):
    """One line of the comparison."""

    part: str
    what: str
    before: Any
    after: Any
    bar: str
    ok: bool | None  # None: shown only


def compare(
    before: list[dict[str, Any]], after: list[dict[str, Any]], rounding: float
) -> list[Check]:
    """Hold what was measured now against what was measured before."""
    checks: list[Check] = []
    for row in (row for row in after if row["part"] == "speed"):
        for key, ratio in row.get("ratio", {}).items():
            old, new = row["median"][key]["before"], row["median"][key]["after"]
            bar = BARS["gradient" if key == "gradient_s" else "compile"]
            held, ok = f"at most {bar} times", ratio <= bar
            if key.endswith("wall_s"):
                held, ok = "", None
            shown = f"{old:.4g}", f"{new:.4g} ({ratio:.3f})"
            checks.append(Check("speed", f"{row['what']}: {key}", *shown, held, ok))
        if "gradients_differ" in row:
            name, far = f"{row['what']}: gradients differ by", row["gradients_differ"]
            checks.append(
                Check("speed", name, "", f"{far:.1e}", "at most 1e-3", far <= 1e-3)
            )
    for part, hold in {"digests": same, "ess": as_good}.items():
        old = {row["what"]: row for row in before if row["part"] == part}
        new = {row["what"]: row for row in after if row["part"] == part}
        for what in sorted({*old, *new}) if new else ():
            if what in old and what in new:
                checks += hold(old[what], new[what], rounding)
            else:
                there = ("there" if what in rows else "absent" for rows in (old, new))
                checks.append(Check(part, what, *there, "in both", False))
    return checks


def same(before: dict[str, Any], after: dict[str, Any], rounding: float) -> list[Check]:
    """Digests and counts of one work; draws are equal, results may differ by rounding."""
    checks, what = [], after["what"]
    for name, old in before["groups"].items():
        new = after["groups"].get(name, {})
        gone = [key for key in old if key not in new]
        far = {k: apart(old[k], new[k]) for k in old if k in new and old[k] != new[k]}
        said = "equal"
        if far:
            worst = max(far, key=far.__getitem__)
            size = f"{far[worst]:.1e}" if far[worst] > 1e-12 else "rounding"
            said = f"{len(far)} differ, most by {size} ({worst})"
        if gone:
            said = f"{len(gone)} gone ({gone[0]}), {said}"
        count = f"{len(old)} arrays"
        most = 0.0 if name in ("draws", "statistics") else rounding
        ok = not gone and (not far or 0 < most >= max(far.values()))
        held = f"within {most:g}" if most else "equal"
        checks.append(Check("digests", f"{what}: {name}", count, said, held, ok))
        if counts := before["counts"].get(name):
            now = after["counts"].get(name, {})
            shown = [str(tuple(of.values())) for of in (counts, now)]
            name = f"{what}: {name}, {' and '.join(EVENTS)}"
            ok = all(now.get(event, 0) <= n for event, n in counts.items())
            checks.append(Check("traces", name, *shown, "not more", ok))
    return checks


def apart(before: str, after: str) -> float:
    """Relative difference of what is told of two arrays, NaN counted as 0."""
    old, new = (np.array(text.split()[1:], float) for text in (before, after))
    size = max(float(np.abs(old).max()), 1e-300)
    return float(np.abs(new - old).max() / size)


def as_good(before: dict[str, Any], after: dict[str, Any], _: float) -> list[Check]:
    """Effective samples per gradient, and means of all scalars, over the seeds."""
    key, what = "ess_per_1000_gradients", after["what"]
    error = float(np.hypot(before["standard_error"], after["standard_error"]))
    shown = [f"{row[key]:.3g} +- {row['standard_error']:.2g}" for row in (before, after)]
    ok = after[key] >= before[key] - BARS["ess"] * error
    checks = [Check("ess", f"{what}: per 1000 gradients", *shown, "not lower by 2 se", ok)]
    read = lambda text: np.array(text.split(), float)
    old, new = ([read(row[k]) for k in ("means", "sds")] for row in (before, after))
    p, said = 0.0, f"{len(new[0])} means"
    if len(old[0]) == len(new[0]):
        moved = (old[0] != new[0]) | (old[1] != new[1])
        each = ttest_ind_from_stats(*old, before["seeds"], *new, after["seeds"], False)
        least = float(np.min(each.pvalue[moved], initial=1.0))
        p = min(1.0, least * max(int(moved.sum()), 1))
        said = f"p {p:.2g}" if moved.any() else "equal"
    held = f"p at least {BARS['p']}"
    count = f"{len(old[0])} means"
    return [*checks, Check("ess", f"{what}: means", count, said, held, p >= BARS["p"])]


def lines_of(checks: list[Check]) -> list[list[str]]:
    """Lines of a table; of digests and traces that pass, one for each work."""
    few = [c for c in checks if c.part in ("speed", "ess") or c.before == "absent"]
    few += [c for c in checks if c not in few and not (c.ok and "differ" not in c.after)]
    passed = Counter((c.part, c.what.split(":")[0]) for c in checks if c not in few)
    lines = [
        [p, what, f"{n} groups", "equal", "equal", "pass"]
        for (p, what), n in passed.items()
    ]
    return lines + [[*c[:-1], {True: "pass", False: "FAIL", None: ""}[c.ok]] for c in few]


def parts(asked: Any) -> list[dict[str, Any]]:
    """Do what is asked for, every work in a process of its own."""
    every = not (asked.digests or asked.speed or asked.ess)
    there = asked.house.resolve().parent / "shared" / "data" / "case_study.csv"
    works = [w for w in WORKS if w not in REAL or (there.exists() and not asked.smoke)]
    if left := [w for w in WORKS if w not in works]:
        print(f"left out: {', '.join(left)} (no {there}, or --smoke)")
    jobs: list[list[str]] = []
    if asked.digests or every:
        jobs += [
            ["--digests", "--work", what] for what in works[-1 if asked.smoke else 0 :]
        ]
    if asked.ess or every:
        kinds = [(what, "hmc") for what in works if what != "fleet" or not asked.smoke]
        kinds += [("case study", "nuts")] if "case study" in works else []
        jobs += [["--ess", "--work", what, "--kind", kind] for what, kind in kinds]

    def run(job: list[str]) -> dict[str, Any]:
        command = [sys.executable, __file__, "--house", str(asked.house), *job]
        command += ["--smoke"] if asked.smoke else []
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode:
            raise RuntimeError(f"{command} failed:\n{done.stdout}\n{done.stderr}")
        return json.loads(done.stdout.splitlines()[-1])

    with ThreadPoolExecutor(2) as pool:
        rows = list(pool.map(run, jobs))
    if asked.speed or every:
        rows += speed(asked.house, asked.other, asked.smoke)
    return rows


def main() -> int:
    """Measure, compare, print, write; 1 if a bar is missed."""
    parser = options(__doc__ or "")
    for flag in ("--digests", "--speed", "--ess"):
        parser.add_argument(flag, action="store_true", help="this part only")
    parser.add_argument("--against", type=Path, help="result file of the commit before")
    parser.add_argument("--rounding", type=float, default=0.0, help="of results, not draws")
    parser.add_argument("--other", type=Path, help="checkout of it, for --speed")
    parser.add_argument("--name", default="seam", help="of the result file")
    parser.add_argument("--house", type=Path, default=ROOT, help="whose cases and data")
    parser.add_argument("--work", choices=WORKS, help="one work, printed as JSON")
    parser.add_argument("--kind", choices=("nuts", "hmc"), help="its sampler, for --ess")
    parser.add_argument("--worker", action="store_true", help="a process of --speed")
    asked = parser.parse_args()
    if asked.worker or asked.work:
        jax.config.update("jax_enable_compilation_cache", False)
    if asked.worker:
        worker(asked.house, asked.smoke)
        return 0
    if asked.work:
        one = (asked.work, asked.kind) if asked.ess else (asked.work,)
        print(json.dumps((ess if asked.ess else digests)(*one, asked.house, asked.smoke)))
        return 0
    rows, more = parts(asked), {}
    if asked.against:
        kept = json.loads(asked.against.read_text())
        for name, now in {"machine": machine(), "versions": versions()}.items():
            changed = [k for k in now if k != "load" and now[k] != kept[name].get(k)]
            if changed:
                print(f"warning: before and after differ in {name}: {', '.join(changed)}")
        checks = compare(kept["rows"], rows, asked.rounding)
        more = {"before": kept["commit"], "checks": [c._asdict() for c in checks]}
        title = f"before ({kept['commit']}) and after ({commit()})"
        show(title, ("part", "what", "before", "after", "bar", ""), lines_of(checks))
        held = [c.ok for c in checks if c.ok is not None]
        bad = held.count(False)
        print(f"{len(held) - bad} of {len(held)} bars held")
    else:
        bad = 0
        lines = [[row["part"], row["what"], row.get("seconds")] for row in rows]
        show("measured", ("part", "what", "seconds"), lines)
    write(asked.name, rows, asked.out, **more)
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
