"""Do ragged and pathological markets all end with a verdict, in memory that a batch bounds?

Simulated markets of 52 to 260 weeks and 2 to 12 channels; one in twenty is pathological:
media that are all zero, a constant channel, a constant outcome, three weeks of data, or one
week a thousand times as large. A fleet of 100 and one of 500 run in processes of their own,
each into a store, so that their peak memories compare.
"""

import json
import resource
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

import jax
import numpy as np
import pandas as pd
from common import options, show, write

import mmmjax as mm
from mmmjax import programs
from mmmjax.fleet.run import USUAL
from mmmjax.infer import lockstep

EVERY = 20  # one market in so many is pathological
KINDS = ("no media", "constant channel", "constant outcome", "three weeks", "outlier")
WEEKS, CHANNELS = (52, 260), (2, 12)


def market(number: int, kind: str) -> mm.Panel:
    """One market: carried over, saturating channels, yearly seasonality and noise."""
    rng = np.random.default_rng(number)
    weeks = int(rng.integers(WEEKS[0], WEEKS[1] + 1))
    channels = int(rng.integers(CHANNELS[0], CHANNELS[1] + 1))
    media = rng.gamma(2.0, 10.0, (weeks, channels)) * (rng.random((weeks, channels)) < 0.8)
    weights = rng.uniform(0.1, 0.7, channels) ** np.arange(6)[:, None]
    padded = np.pad(media, [(5, 0), (0, 0)])
    carried = sum(w * padded[5 - k : 5 - k + weeks] for k, w in enumerate(weights))
    effect = np.tanh(carried / weights.sum(0) / 40.0) * rng.uniform(20.0, 80.0, channels)
    season = 15.0 * np.sin(2 * np.pi * np.arange(weeks) / 52.18)
    outcome = 300.0 + season + effect.sum(1) + 12.0 * rng.standard_normal(weeks)
    if kind == "no media":
        media[:] = 0.0
    if kind == "constant channel":
        media[:, 0] = 7.0
    if kind == "constant outcome":
        outcome[:] = 300.0
    if kind == "outlier":
        outcome[weeks // 2] *= 1000.0
    names = [f"c{i}" for i in range(channels)]
    frame = pd.DataFrame(media, columns=names).assign(
        y=outcome, week=pd.date_range("2020-01-06", periods=weeks, freq="W-MON")
    )
    if kind == "three weeks":
        frame = frame.tail(3)
    return mm.Panel.from_frame(frame, date="week", outcome="y", media=names)


def kind_of(number: int) -> str:
    """Which pathology a market has; empty for most."""
    return KINDS[number // EVERY % len(KINDS)] if number % EVERY == EVERY - 1 else ""


def measure(count: int, sampler: mm.HMC) -> dict[str, Any]:
    """Fit a fleet into a store; how its markets ended, time, memory, programs."""
    panels = {f"{n} {kind_of(n)}".strip(): market(n, kind_of(n)) for n in range(count)}
    spec = mm.Spec(
        adstock=mm.adstock.Geometric(max_lag=6), seasonality=mm.seasonality.Fourier(order=2)
    )
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    began = time.perf_counter()
    with tempfile.TemporaryDirectory() as store:
        fleet = mm.fit_fleet(spec, panels, sampler, store=store, progress=False)
    seconds = time.perf_counter() - began
    table = fleet.table
    bad = table["market"].str.contains(" ")
    samplers = [key for key in programs._PROGRAMS if key[0] is lockstep.chunk]
    return {
        "what": f"{count} markets",
        "seconds": seconds,
        "markets_per_minute": 60 * count / seconds,
        "buckets": len(fleet.plan),
        "sampler_programs": len(samplers),
        **Counter(table["status"]),
        "pathological": dict(Counter(table["status"][bad])),
        "without_reason": int(
            ((table["status"] != "converged") & (table["reason"] == "")).sum()
        ),
        "before_mb": before,
        "peak_memory_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }


def main() -> int:
    """Run each size in a process of its own, print, write; 1 if a market has no verdict."""
    parser = options(__doc__ or "")
    parser.add_argument("--count", type=int, help="one size, printed as JSON")
    asked = parser.parse_args()
    sampler = mm.HMC(chains=4, warmup=50, draws=50, until=None) if asked.smoke else USUAL
    if asked.count:
        jax.config.update("jax_enable_compilation_cache", False)
        print(json.dumps(measure(asked.count, sampler)))
        return 0
    rows = []
    for count in (21,) if asked.smoke else (100, 500):
        command = [sys.executable, str(Path(__file__)), "--count", str(count)]
        command += ["--smoke"] if asked.smoke else []
        done = subprocess.run(command, check=True, capture_output=True, text=True)
        rows.append(json.loads(done.stdout.splitlines()[-1]))
    columns = ("seconds", "markets_per_minute", "buckets", "sampler_programs", "converged",
               "refitted", "not converged", "refused", "failed", "before_mb",
               "peak_memory_mb")  # fmt: skip
    lines = [[row["what"], *(row.get(name, 0) for name in columns)] for row in rows]
    show("ragged markets, one in twenty pathological", ("", *columns), lines)
    write("fleet_ragged", rows, asked.out)
    return 1 if any(row["without_reason"] for row in rows) else 0


if __name__ == "__main__":
    sys.exit(main())
