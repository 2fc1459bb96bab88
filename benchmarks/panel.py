"""Do panels of geos converge, how fast, and is what they say true?

Worlds of three sizes: ``shared`` (40 geos x 156 weeks x 5 channels, data of another
library, skipped where they are not), ``middle`` (40 x 120 x 8 with 2 controls, simulated)
and ``large`` (50 x 208 x 30 with 8 controls, simulated); ``tiny`` is for tests. Each is
fitted with the default spec (and a carry-over of 8 weeks) by mm.HMC, one process a fit, so
that seconds from the start of the process include imports and compiling, the persistent
cache off; the second fit of a process is warm. Peaks of memory are of the first fit, and of
that process at the end of all tables and the report.

Truth of simulated worlds is hierarchical, made in NumPy, the library is not asked: effects
log-normal around a channel's own with sd 0.15 to 0.5, levels, noise and seasons of each geo
its own, half of the channels in flights, geos of very different size.

Beside convergence, of simulated worlds: coverage of the 94% intervals of what each channel
brought in each geo; the root mean square of its error, as a share of the outcome of a geo,
against that of a model whose effects all geos share; the sd of the total of media and its
error against the least sd that any method can have (:func:`limit`); what a plan of 13
weeks is truly worth, and whether it was certified.
"""

import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from common import HERE, options, show, write
from scipy.stats import chi2

BEGAN = time.perf_counter()
SIZES = {"tiny": (4, 60, 2, 1), "middle": (40, 120, 8, 2), "large": (50, 208, 30, 8)}
DATA = HERE.parent.parent / "shared" / "data" / "geo_all_channels.csv"
LAGS, AHEAD = 8, 13


class World(NamedTuple):
    """A table and the truth behind it.

    Args:
        frame: One row a geo and week.
        media: Columns of media.
        controls: Of controls.
        beta: (geo, channel), outcome units at full saturation.
        alpha: (channel,) retention; ``lam`` (channel,) steepness.
        peak: (geo, channel): largest media.
        brought: (geo, channel): what each channel brought, outcome units.
        rest: What else is true, per head: see :func:`limit`.
    """

    frame: pd.DataFrame
    media: list[str]
    controls: list[str]
    beta: Any = None
    alpha: Any = None
    lam: Any = None
    peak: Any = None
    brought: Any = None
    rest: Any = None

    def response(self, spend: np.ndarray) -> float:
        """What spend (geo, channel, week) truly brings, its tail counted."""
        more = np.pad(spend, ((0, 0), (0, 0), (0, LAGS - 1))) / self.peak[..., None]
        carried = carry(more, self.alpha)
        return float((self.beta[..., None] * bend(carried, self.lam)).sum())


def carry(media: np.ndarray, alpha: np.ndarray) -> np.ndarray:
    """Geometric carry-over of (geo, channel, week) with weights of sum 1."""
    weights = alpha[:, None] ** np.arange(LAGS)
    weights /= weights.sum(1, keepdims=True)
    out = np.zeros_like(media)
    for lag in range(LAGS):
        out[..., lag:] += weights[:, lag, None] * media[..., : media.shape[-1] - lag]
    return out


def bend(carried: np.ndarray, lam: np.ndarray) -> np.ndarray:
    """Logistic saturation of (geo, channel, week)."""
    return np.tanh(0.5 * lam[:, None] * carried)


def simulate(size: str, seed: int) -> World:
    """A hierarchical world."""
    geos, weeks, channels, controls = SIZES[size]
    rng = np.random.default_rng([14, seed])
    dates = pd.date_range("2021-01-04", periods=weeks, freq="W-MON")
    alpha, lam = rng.beta(2, 4, channels), rng.gamma(6, 0.5, channels)
    typical = rng.uniform(0.03, 0.18, channels) * min(1.0, 8 / channels)
    spread = rng.uniform(0.15, 0.5, channels)
    offset = rng.standard_normal((geos, channels))
    effect = typical * np.exp(spread * offset)
    on = rng.random((geos, channels, weeks)) < rng.uniform(0.4, 1.0, (geos, channels, 1))
    people = np.exp(0.8 * rng.standard_normal(geos))[:, None, None]
    media = 100 * people * on * rng.gamma(2.0, 1.0, on.shape)
    peak = media.max(2)
    parts = effect[..., None] * bend(carry(media / peak[..., None], alpha), lam)
    day = 2 * np.pi * dates.day_of_year.to_numpy() / 365.25
    waves = np.stack([np.sin(day), np.sin(2 * day), np.cos(day), np.cos(2 * day)])
    turn = rng.standard_normal((geos, 4))
    swing = [0.05, 0.02, -0.04, 0.01] + 0.01 * turn
    known = rng.standard_normal((geos, controls, weeks))
    level = rng.standard_normal((geos, 1))
    mean = 0.4 + 0.12 * level + swing @ waves + parts.sum(1)
    coefficients = 0.03 * rng.standard_normal(controls)
    mean += np.einsum("k,gkt->gt", coefficients, known)
    noise = 0.05 * np.exp(0.3 * rng.standard_normal((geos, 1)))
    unit = 1000 * people[:, 0]
    outcome = unit * np.maximum(mean + noise * rng.standard_normal(mean.shape), 1e-3)
    names = [f"channel {c}" for c in range(channels)]
    columns = {f"control {k}": known[:, k].ravel() for k in range(controls)}
    columns |= {n: media[:, c].ravel() for c, n in enumerate(names)}
    geo = np.repeat([f"geo {g:02d}" for g in range(geos)], weeks)
    frame = pd.DataFrame({"week": np.tile(dates, geos), "geo": geo, **columns})
    frame["sales"] = outcome.ravel()
    return World(
        frame, names, [n for n in columns if n.startswith("control")],
        effect * unit, alpha, lam, peak, unit * parts.sum(2),
        {"typical": np.log(typical), "spread": spread, "offset": offset, "level": level,
         "turn": turn, "control": coefficients, "noise": noise, "unit": unit,
         "waves": waves, "known": known, "media": media / peak[..., None]},
    )  # fmt: skip


def limit(world: World) -> float:
    """The least sd of the total of media, a share of it: by Laplace at the truth.

    The information of the data about all that is unknown (levels, waves, effects of geos
    and what they are pooled about and by, carry-over, steepness, controls) at their true
    values, that of a standard normal for each offset of a geo, and the delta method.
    """
    import jax
    import jax.numpy as jnp
    from jax.flatten_util import ravel_pytree

    rest = world.rest
    constant = ("noise", "unit", "waves", "known", "media")
    truth = {k: v for k, v in rest.items() if k not in constant}
    truth |= {"alpha": world.alpha, "lam": world.lam, "level_about": 0.4,
              "level_spread": 0.12, "turn_about": np.array([0.05, 0.02, -0.04, 0.01]),
              "turn_spread": np.full(4, 0.01)}  # fmt: skip
    with jax.enable_x64(True):
        at, back = ravel_pytree(truth)

        def parts(p: Any) -> Any:
            lags = p["alpha"][:, None] ** jnp.arange(LAGS)
            lags = lags / lags.sum(1, keepdims=True)
            late = jnp.pad(rest["media"], ((0, 0), (0, 0), (LAGS - 1, 0)))
            weeks = rest["media"].shape[-1]
            carried = sum(lags[:, k, None] * late[..., LAGS - 1 - k :][..., :weeks]
                          for k in range(LAGS))  # fmt: skip
            effect = jnp.exp(p["typical"] + p["spread"] * p["offset"])[..., None]
            return effect * jnp.tanh(0.5 * p["lam"][:, None] * carried)

        def mean(x: Any) -> Any:
            p = back(x)
            swing = p["turn_about"] + p["turn_spread"] * p["turn"]
            base = p["level_about"] + p["level_spread"] * p["level"]
            known = jnp.einsum("k,gkt->gt", p["control"], rest["known"])
            return (base + swing @ rest["waves"] + known + parts(p).sum(1)) / rest["noise"]

        total = lambda x: (rest["unit"] * parts(back(x)).sum(2)).sum()
        jacobian = jax.jacfwd(mean)(at).reshape(-1, at.size)
        own = ("offset", "level", "turn")
        prior = {k: np.full(np.shape(v), float(k in own)) for k, v in truth.items()}
        held = np.diag(ravel_pytree(prior)[0])
        slope = jax.grad(total)(at)
        found = slope @ jnp.linalg.solve(jacobian.T @ jacobian + held, slope)
        return float(jnp.sqrt(found) / world.brought.sum())


def shared() -> World:
    """The simulated data of another library, whose truth is not known."""
    frame = pd.read_csv(DATA).rename(columns={"time": "week", "conversions": "sales"})
    media = [f"Channel{c}_impression" for c in range(5)]
    return World(frame, media, ["competitor_sales_control", "sentiment_score_control"])


def one(size: str, seed: int, quick: bool) -> dict[str, Any]:
    """Fit a world, cold and warm, and look at what came out: in a process of its own."""
    import mmmjax as mm
    from mmmjax import reporting

    world = shared() if size == "shared" else simulate(size, seed)
    panel = mm.Panel.from_frame(
        world.frame, date="week", outcome="sales", geo="geo", media=world.media,
        controls=world.controls,
    )  # fmt: skip
    carry = mm.adstock.Geometric(max_lag=LAGS)
    spec = mm.Spec(adstock=carry, trend=size == "large")
    settings = {"warmup": 50, "draws": 50, "until": None} if quick else {}
    sampler = mm.HMC(**settings)
    fit = mm.fit(spec, panel, sampler, seed=seed, progress=False)
    cold = time.perf_counter() - BEGAN
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    began = time.perf_counter()
    mm.fit(spec, panel, sampler, seed=seed + 1, progress=False)
    warm = time.perf_counter() - began
    began, used = time.perf_counter(), time.process_time()
    found = mm.tables.every(fit)
    found["media"] = reporting.media_of(fit)
    with tempfile.TemporaryDirectory() as folder:
        mm.report(fit, Path(folder) / "report.html", tables=found)
    tables, tables_cpu = time.perf_counter() - began, time.process_time() - used
    judged = found["diagnostics"]
    ess = found["parameters"]["ess_bulk"].to_numpy(float)  # nested and derived ones too
    gradients = fit.info["gradients"]
    spent = fit.info["timings"]["warmup_s"] + fit.info["timings"]["sample_s"]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "fit.nc"
        mm.save(fit, path)
        stored = path.stat().st_size / 1e6
    row = {
        "world": size, "seed": seed, "parameters": fit.info["n_parameters"],
        "cold_s": cold, "warm_s": warm, "gradients": sum(gradients.values()),
        "ms_per_gradient": 1e3 * spent / sum(gradients.values()),
        "ess_min": judged.min_ess_bulk,
        "ess_per_1000_min": 1e3 * judged.min_ess_bulk / gradients["sample"],
        "ess_per_1000_median": float(1e3 * np.nanmedian(ess) / gradients["sample"]),
        "tail_ess_min": judged.min_ess_tail,
        "r_hat": judged.max_r_hat,
        "divergences": judged.divergences,
        "file_mb": stored,
        "peak_gb": peak,
        "tables_s": tables,
        "tables_cpu_s": tables_cpu,
        "tables_peak_gb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6,
        "load": os.getloadavg()[0],
    }  # fmt: skip
    if world.brought is not None and size != "large":
        row |= _truth(world, panel, fit, spec, sampler, seed)
    return row


def _truth(
    world: World, panel: Any, fit: Any, spec: Any, sampler: Any, seed: int
) -> dict[str, Any]:
    """Coverage and error of contributions by geo, and the true worth of a plan."""
    import mmmjax as mm

    def totals(fit: Any) -> np.ndarray:
        every = mm.contributions(fit)["channel_total"]  # (chain, draw, geo, channel)
        return every.to_numpy().reshape(-1, *world.brought.shape)

    draws = totals(fit)
    lo, hi = np.quantile(draws, [0.03, 0.97], axis=0)
    inside = (lo < world.brought) & (world.brought < hi)
    common = {"saturation_beta": mm.Prior("HalfNormal", scale=mm.media_share,
                                          dims=("channel",))}  # fmt: skip
    alike = mm.Spec(adstock=spec.adstock, trend=spec.trend, priors=common)
    other = totals(mm.fit(alike, panel, sampler, seed=seed, progress=False))
    size = panel.outcome.sum(1)[:, None]
    rmse = lambda x: float(np.sqrt((((x.mean(0) - world.brought) / size) ** 2).mean()))
    plan = mm.optimize(fit, periods=AHEAD)
    spend = lambda x: np.repeat(np.asarray(x, float)[..., None] / AHEAD, AHEAD, 2)
    wide = plan.to_frame().pivot(index="geo", columns="channel")
    money = lambda name: wide[name].loc[list(panel.geos), list(panel.channels)].to_numpy()
    before = world.response(spend(money("reference")))
    after = world.response(spend(money("optimized")))
    true = world.brought.sum()
    total = draws.sum((1, 2))
    return {
        "coverage": float(inside.mean()),
        "rmse": rmse(draws),
        "rmse_shared": rmse(other),
        "total_error": float(total.mean() / true - 1),
        "total_sd": float(total.std() / true),
        "total_sd_least": limit(world),
        "plan_gain_true": after / before - 1,
        "certified": str(plan.status),
    }


def bars(rows: list[dict[str, Any]]) -> dict[str, bool]:
    """Which of the bars hold, over the seeds of a simulated world."""
    mean = lambda name: float(np.mean([row[name] for row in rows]))
    each = lambda name: [row[name] for row in rows]
    found = {
        "r_hat at most 1.01": max(each("r_hat")) <= 1.01,
        "ESS at least 400": min(each("ess_min")) >= 400,
        "no divergences": sum(each("divergences")) == 0,
    }
    if rows[0]["world"] == "large":
        found |= {
            "cold under 10 minutes": max(each("cold_s")) < 600,
            "peak under 3 GB": max(each("tables_peak_gb")) < 3,
            "file under 200 MB": max(each("file_mb")) < 200,
        }
    if rows[0]["world"] == "shared":
        found["peak under 1.5 GB"] = max(each("tables_peak_gb")) < 1.5
    if "coverage" in rows[0]:
        least = np.array(each("total_sd_least"))
        found |= {
            "sd of the total within 10% of the least": bool(
                abs(np.median(each("total_sd") / least) - 1) < 0.1
            ),
            "mean of (error / least)^2 below its 99.9% point": bool(
                ((np.array(each("total_error")) / least) ** 2).mean()
                < chi2.ppf(0.999, len(rows)) / len(rows)
            ),
            "cold under 60 s": max(each("cold_s")) < 60,
            "warm under 20 s": max(each("warm_s")) < 20,
            "tables under 12 s": max(each("tables_s")) < 12,
            "coverage 0.90 to 0.97": 0.90 <= mean("coverage") <= 0.97,
            "error below that of shared effects": mean("rmse") < mean("rmse_shared"),
            "plans better in the mean": mean("plan_gain_true") > 0,
            "no plan 1% worse": min(each("plan_gain_true")) > -0.01,
        }
    return found


def main() -> int:
    """Run, print, write; exit 1 if a bar does not hold."""
    parser = options(__doc__ or "")
    parser.add_argument("--worlds", default="shared,middle,large")
    parser.add_argument("--seeds", type=int, default=10, help="of the middle world")
    parser.add_argument("--one", nargs=2, metavar=("WORLD", "SEED"), help="this process")
    asked = parser.parse_args()
    if asked.one:
        print(json.dumps(one(asked.one[0], int(asked.one[1]), asked.smoke)))
        return 0
    worlds = ["tiny"] if asked.smoke else asked.worlds.split(",")
    rows, ok = [], True
    for world in worlds:
        if world == "shared" and not DATA.exists():
            print(f"{world}: left out, {DATA} is not there")
            continue
        mine = []
        for seed in range(asked.seeds if world == "middle" else 1):
            words = [sys.executable, __file__, "--one", world, str(seed)]
            words += ["--smoke"] if asked.smoke else []
            done = subprocess.run(words, capture_output=True, text=True)
            if done.returncode:
                print(done.stderr[-2000:])
                return 1
            mine.append(json.loads(done.stdout.splitlines()[-1]))
        names = [n for n in mine[0] if n not in ("world",)]
        show(world, ("", *(f"seed {row['seed']}" for row in mine)),
             [[n, *(row[n] for row in mine)] for n in names])  # fmt: skip
        held = bars(mine)
        show(f"{world}: bars", ("", "holds"), [[n, str(x)] for n, x in held.items()])
        ok &= asked.smoke or all(held.values())
        rows += [row | {"bars": held} for row in mine]
    write("panel", rows, asked.out)
    return 0 if ok else 1


if __name__ == "__main__":
    sys.exit(main())
