"""What does an accelerator make of a fleet, and from how many markets on does it pay?

Three parts. A fleet of 1,000 markets like the case study (16 where JAX has a CPU only), 4
chains each until R-hat is at most 1.01 and ESS at least 400, first with compilation, then
warm. One gradient of so many markets in lock-step, against the time that reading their
data once takes at the bandwidth that a plain copy reaches. The same markets on the host's
CPU and on the accelerator: the smallest number for which the accelerator is faster.
"""

import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from common import medians, options, show, write
from fleet import CASE, DATA, markets

import mmmjax as mm
from mmmjax.cli import case as cases
from mmmjax.fleet.batch import width_of
from mmmjax.fleet.run import USUAL
from mmmjax.infer.lanes import Lanes
from mmmjax.infer.precondition import precondition
from mmmjax.infer.threads import working_on
from mmmjax.model import model_data
from mmmjax.scaling import Scale

COPIED = 2**28  # bytes of the plain copy


def fleets(case: cases.Case, count: int, sampler: mm.HMC) -> list[dict[str, Any]]:
    """The same fleet twice; the second compiles nothing."""
    panels, rows = markets(case, count), []
    for what in ("cold", "warm"):
        began = time.perf_counter()
        fleet = mm.fit_fleet(case.spec, panels, sampler, progress=False)
        seconds = time.perf_counter() - began
        stats = jax.devices()[0].memory_stats() or {}
        usable = fleet.table["status"].isin(["converged", "refitted"])
        rows.append(
            {
                "what": f"{count} markets, {what}",
                "seconds": seconds,
                "markets_per_minute": 60 * count / seconds,
                "usable": int(usable.sum()),
                "max_r_hat": float(fleet.table["r_hat"].max()),
                "min_ess": float(fleet.table["min_ess"].min()),
                "batch": fleet.plan.batches[0] if fleet.plan else 0,
                "peak_device_mb": stats.get("peak_bytes_in_use", 0) / 2**20,
            }
        )
    return rows


def bandwidth(place: Any, size: int) -> float:
    """Bytes a second that a copy reads and writes there."""
    x = jax.device_put(jnp.zeros(size // 4, jnp.float32), place)
    copy = jax.jit(lambda x: x + 1.0)
    return 2 * size / medians({"copy": lambda: copy(x)})["copy"]


def gradients(
    case: cases.Case, counts: Sequence[int], sampler: mm.HMC, place: Any, copied: int
) -> list[dict[str, Any]]:
    """Seconds of one leapfrog of all chains, beside the least that the memory allows."""
    structure = case.spec.structure()
    data = model_data(case.spec, case.train, Scale.fit(case.train))
    rows = []
    with working_on(place):
        rate = bandwidth(place, copied)
        problem, _ = precondition(structure, data, 0)
        for count in counts:
            width = width_of(sampler, count)
            lanes = Lanes([problem] * count, structure, sampler, range(count), width)
            leapfrogs = int(lanes.leaps(0, 1).sum())
            run = lambda lanes=lanes: lanes.advance(0, 1, False, lambda *_: None)
            seconds = medians({"chunk": run}, rounds=5)["chunk"] / leapfrogs
            read = sum(np.asarray(x).nbytes for x in jax.tree.leaves(lanes.data))
            rows.append(
                {
                    "what": f"gradient, {place.platform}",
                    "markets": count,
                    "microseconds": 1e6 * seconds,
                    "microseconds_per_market": 1e6 * seconds / count,
                    "floor_microseconds": 1e6 * read / rate,
                    "bandwidth_gb_s": rate / 1e9,
                }
            )
    return rows


def crossover(rows: Sequence[dict[str, Any]]) -> int | None:
    """The smallest number of markets for which the accelerator is faster."""
    by: dict[int, dict[str, float]] = {}
    for row in rows:
        by.setdefault(row["markets"], {})[row["what"]] = row["microseconds"]
    faster = [
        count
        for count, times in sorted(by.items())
        if len(times) > 1 and min(times, key=lambda what: times[what]) != "gradient, cpu"
    ]
    return faster[0] if faster else None


def main() -> int:
    """Run, print, write; exit 1 if a market of the whole run cannot be used."""
    asked = options(__doc__ or "").parse_args()
    jax.config.update("jax_enable_compilation_cache", False)
    real = DATA.exists() and not asked.smoke
    demo = Path(mm.__file__).parent / "datasets" / "demo.toml"
    case = cases.read(CASE if real else demo)
    place, host = jax.devices()[0], jax.devices("cpu")[0]
    fast = place.platform != "cpu"
    sampler = mm.HMC(chains=4, warmup=50, draws=50, until=None) if asked.smoke else USUAL
    count = 2 if asked.smoke else 1000 if fast else 16
    counts = (1, 2) if asked.smoke else (1, 4, 16, 64, 256, 1000) if fast else (1, 4, 16)
    copied = COPIED // 64 if asked.smoke else COPIED
    whole = fleets(case, count, sampler)
    steps = gradients(case, counts, sampler, host, copied)
    if fast:
        steps += gradients(case, counts, sampler, place, copied)
    names = ("seconds", "markets_per_minute", "usable", "max_r_hat", "min_ess", "batch",
             "peak_device_mb")  # fmt: skip
    show(f"a fleet on {place.device_kind}", ("", *names),
         [[row["what"], *(row[name] for name in names)] for row in whole])  # fmt: skip
    names = ("markets", "microseconds", "microseconds_per_market", "floor_microseconds")
    show("one gradient of all chains", ("", *names),
         [[row["what"], *(row[name] for name in names)] for row in steps])  # fmt: skip
    found = {"what": "crossover", "markets": crossover(steps)}
    write("fleet_gpu", [*whole, *steps, found], asked.out, data="case" if real else "demo")
    wrong = [row for row in whole if row["usable"] < count]
    return 1 if wrong and not asked.smoke else 0


if __name__ == "__main__":
    sys.exit(main())
