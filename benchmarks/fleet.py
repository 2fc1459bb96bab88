"""How many markets a minute does a fleet fit, and does its memory follow the batch?

Markets like the case study (183 weeks, 7 channels, 55 parameters; embedded data without
../shared): the same media, the outcome with 5% noise of its own. Compilation is apart: the
programs are compiled before the clock starts. Beside a loop of PyMC-Marketing fits, whose
time for one market is taken from one_market.json (its nutpie, four chains), said so.
"""

import dataclasses
import json
import resource
import sys
import time
from pathlib import Path
from typing import Any

import jax
import numpy as np
from common import HERE, options, show, write

import mmmjax as mm
from mmmjax.cli import case as cases
from mmmjax.fleet.batch import WIDTH
from mmmjax.fleet.run import USUAL
from mmmjax.infer import lanes
from mmmjax.infer.precondition import outline
from mmmjax.model import model_data
from mmmjax.scaling import Scale

ROOT = HERE.parent
CASE = HERE / "case_study" / "case.toml"
DATA = ROOT.parent / "shared" / "data" / "case_study.csv"
NOISE = 0.05


def markets(case: cases.Case, count: int) -> dict[str, mm.Panel]:
    """Panels with the case's media and outcomes of their own."""
    rng = np.random.default_rng(0)
    noise = lambda: np.exp(NOISE * rng.standard_normal(case.train.outcome.shape))
    return {
        f"market {i}": dataclasses.replace(case.train, outcome=case.train.outcome * noise())
        for i in range(count)
    }


def compile_seconds(case: cases.Case, sampler: mm.HMC) -> float:
    """Compile what a fleet of such markets runs."""
    data = model_data(case.spec, case.train, Scale.fit(case.train))
    structure = case.spec.structure()
    return lanes.build(outline(structure, data), structure, sampler, WIDTH)[-1]


def measure(case: cases.Case, count: int, sampler: mm.HMC, refit: bool) -> dict[str, Any]:
    """Fit a fleet; seconds, verdicts, memory."""
    panels = markets(case, count)
    began = time.perf_counter()
    fleet = mm.fit_fleet(case.spec, panels, sampler, refit=refit, progress=False)
    seconds = time.perf_counter() - began
    table = fleet.table
    draws = [fleet[name].draws.n_draws for name in fleet]
    return {
        "what": f"{count} markets",
        "seconds": seconds,
        "markets_per_minute": 60 * count / seconds,
        "converged": int((table.status == "converged").sum()),
        "refitted": int((table.status == "refitted").sum()),
        "max_r_hat": float(table.r_hat.max()),
        "min_ess": float(table.min_ess.min()),
        "divergences": int(table.divergences.sum()),
        "continued": int((np.array(draws) > sampler.draws).sum()),
        "peak_memory_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }


def peer_markets_per_minute() -> float | None:
    """PyMC-Marketing with nutpie, one market after the other, from one_market.json."""
    file = HERE / "results" / "one_market.json"
    rows = json.loads(file.read_text())["rows"] if file.exists() else []
    seconds = [r["sample_s"] for r in rows if "nutpie" in r["who"] and "sample_s" in r]
    return 60 / seconds[0] if seconds else None


def main() -> int:
    """Run, print, write; exit 1 if a market of the real case did not converge."""
    asked = options(__doc__ or "").parse_args()
    jax.config.update("jax_enable_compilation_cache", False)
    real = DATA.exists() and not asked.smoke
    path = CASE if real else Path(mm.__file__).parent / "datasets" / "demo.toml"
    case = cases.read(path)
    sampler = mm.HMC(chains=4, warmup=50, draws=50, until=None) if asked.smoke else USUAL
    compiled = compile_seconds(case, sampler)
    counts = (2,) if asked.smoke else (2, 64, 128)
    rows = [measure(case, n, sampler, refit=not asked.smoke) for n in counts]
    rows = [row | {"compile_s": compiled} for row in rows]
    peer = peer_markets_per_minute()
    if peer is not None and not asked.smoke:
        rows.append({"what": "PyMC-Marketing, nutpie, one after the other, extrapolated",
                     "markets_per_minute": peer})  # fmt: skip
    columns = ("seconds", "markets_per_minute", "compile_s", "converged", "continued",
               "refitted", "max_r_hat", "min_ess", "peak_memory_mb")  # fmt: skip
    show("a fleet, 4 chains until R-hat <= 1.01 and ESS >= 400", ("", *columns),
         [[row["what"], *(row.get(name) for name in columns)] for row in rows])  # fmt: skip
    write("fleet", rows, asked.out, data=path.name)
    usable = lambda row: row.get("converged", 0) + row.get("refitted", 0)
    wrong = [r for r in rows if "converged" in r and usable(r) < int(r["what"].split()[0])]
    return 1 if wrong and not asked.smoke else 0


if __name__ == "__main__":
    sys.exit(main())
