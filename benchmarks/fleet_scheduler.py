"""What does a fleet cost besides sampling: door, scheduler, store, resuming?

Sampling is replaced by 10 ms of sleep for each market; everything else is what a fleet
runs: checks of the data, buckets, plan, manifest, the queue with eight workers (host
devices), the files of every market, the table, and the same call again with all ended.
Rows with fits write a real fit (4 x 400 draws) for each market; the others its record.
The manifest of 100,000 markets is measured by writing it.
"""

import os

os.environ.setdefault("XLA_FLAGS", "--xla_force_host_platform_device_count=8")

import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import jax
import numpy as np
import pandas as pd
from common import options, show, write

import mmmjax as mm
from mmmjax.fleet import batch
from mmmjax.fleet.engine import CONVERGED, Done
from mmmjax.fleet.store import Folder
from mmmjax.infer.judge import Verdict

FIT = 0.01  # seconds that a market is pretended to take
BATCH = 8


def panel(weeks: int = 52, channels: int = 3) -> mm.Panel:
    """A small market."""
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({f"m{c}": rng.gamma(2.0, 50.0, weeks) for c in range(channels)})
    frame["y"] = 100.0 + 20 * np.tanh(frame["m0"] / 150) + rng.normal(0, 4, weeks)
    frame["date"] = pd.date_range("2023-01-02", periods=weeks, freq="W-MON")
    media = [f"m{c}" for c in range(channels)]
    return mm.Panel.from_frame(frame, date="date", outcome="y", media=media)


def pretending(fit: mm.Fit | None) -> Any:
    """A sampler of batches that sleeps and hands over the same fit."""

    def sample(markets: Any, shape: Any, sampler: Any, width: int, emit: Any, refit: bool):
        for market in markets:
            time.sleep(FIT)
            emit(Done(market.name, CONVERGED, "", fit, Verdict(1.0, 400.0, 0, ""), FIT))
        return 0.0

    return sample


def measure(count: int, one: mm.Panel, fit: mm.Fit | None) -> dict[str, Any]:
    """A fleet of so many markets into a new folder, and the same call again."""
    markets = {f"market {i}": one for i in range(count)}
    with tempfile.TemporaryDirectory() as place:
        ask = {"store": place, "batch": BATCH, "progress": False}
        real, batch.sample = batch.sample, pretending(fit)
        try:
            began = time.perf_counter()
            fleet = mm.fit_fleet(mm.Spec(), markets, **ask)
            seconds = time.perf_counter() - began
            began = time.perf_counter()
            again = mm.fit_fleet(mm.Spec(), markets, **ask)
            resumed = time.perf_counter() - began
        finally:
            batch.sample = real
        began = time.perf_counter()
        rows = Folder.at(place).rows()
        read = time.perf_counter() - began
        files = [file for file in Path(place).rglob("*") if file.is_file()]
        workers = jax.device_count()
        if not len(rows) == len(fleet.table) == len(again.table) == count:
            raise AssertionError(f"{len(rows)} of {count} markets are there")
        return {
            "what": f"{count} markets, {'fits' if fit else 'records'}",
            "seconds": seconds,
            "ideal_s": FIT * count / workers,
            "overhead_ms": 1e3 * (seconds - FIT * count / workers) / count,
            "per_minute": 60 * count / seconds,
            "resume_s": resumed,
            "rows_s": read,
            "manifest_mb": (Path(place) / "manifest.json").stat().st_size / 1e6,
            "files": len(files),
            "mb": sum(file.stat().st_size for file in files) / 1e6,
        }


def manifest(count: int, one: mm.Panel) -> dict[str, Any]:
    """Size of a manifest of so many markets under one spec, written and checked."""
    digest = one.data_hash()
    names = [f"market {i}" for i in range(count)]
    asked = {
        "seed": 0, "sampler": {}, "batch": 64,
        "spec": dict.fromkeys(names, mm.Spec().to_dict()),
        "data": dict.fromkeys(names, digest),
    }  # fmt: skip
    with tempfile.TemporaryDirectory() as place:
        began = time.perf_counter()
        Folder(place, asked)
        written = time.perf_counter() - began
        began = time.perf_counter()
        Folder(place, asked)
        size = (Path(place) / "manifest.json").stat().st_size / 1e6
        return {
            "what": f"manifest of {count} markets", "seconds": written,
            "resume_s": time.perf_counter() - began, "manifest_mb": size,
        }  # fmt: skip


def main() -> int:
    """Run, print, write."""
    asked = options(__doc__ or "").parse_args()
    one = panel(40, 1) if asked.smoke else panel()
    draws = 50 if asked.smoke else 400
    sampler = mm.HMC(chains=4, warmup=50, draws=draws, until=None)
    ask = {"refit": False, "progress": False, "devices": jax.devices()[:1]}
    fit = mm.fit_fleet(mm.Spec(), {"a": one}, sampler, **ask)["a"]
    sizes = ((16, fit), (16, None)) if asked.smoke else ((200, fit), (10_000, None))
    rows = [measure(count, one, what) for count, what in sizes]
    rows.append(manifest(100 if asked.smoke else 100_000, one))
    columns = ("seconds", "ideal_s", "overhead_ms", "per_minute", "resume_s", "rows_s",
               "manifest_mb", "files", "mb")  # fmt: skip
    title = f"a fleet of markets that take {FIT:g} s, {jax.device_count()} workers"
    show(title, ("", *columns), [[r["what"], *(r.get(c) for c in columns)] for r in rows])
    write("fleet_scheduler", rows, asked.out, fit_s=FIT, workers=jax.device_count())
    return 0


if __name__ == "__main__":
    sys.exit(main())
