"""How long does one market take, from shell to files and a draw, beside PyMC-Marketing?

The case study (183 weeks, 7 channels, 55 parameters; embedded data without ../shared), 4
chains x (1000 + 1000), target acceptance 0.9 on both sides, and mm.HMC as it comes. Ours:
three seeds in one process, the first one compiles; then the command line twice with a
cache folder of its own, cold and warm; without report by HMC too. Peer: PyMC-Marketing
with nutpie and with NumPyro in an environment that this script makes under .cache/peers
(--no-peers leaves it out). Effective sample sizes of both sides are bulk ESS by ArviZ,
over the model's parameters. The peer's samplers report warm-up and draws as one time, so
the ratio counts our warm-up too.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import Any

import jax
from common import HERE, options, show, write

import mmmjax as mm
from mmmjax.cli import case as cases

ROOT = HERE.parent
PEER = ROOT / ".cache" / "peers" / "pymc"
PEER_PACKAGES = (
    "pymc-marketing==0.18.2", "pymc==5.28.1", "nutpie==0.16.8", "arviz==0.23.4",
    "pytensor==2.38.2", "numpy<2.5", "pandas<3", "tfp-nightly", "numpyro", "jax",
)  # fmt: skip
CASE = HERE / "case_study" / "case.toml"
DATA = ROOT.parent / "shared" / "data" / "case_study.csv"
SEEDS = (0, 1, 2)
COLUMNS = ("compile_s", "warmup_s", "sample_s", "gradients_per_draw", "min_ess",
           "median_ess", "max_r_hat", "divergences", "min_ess_per_s",
           "min_ess_per_s_with_warmup",
           "min_ess_per_1000_gradients", "import_to_draws_s", "peak_memory_mb")  # fmt: skip


def ours(path: Path, seeds: tuple[int, ...], sampler: Any = None) -> dict[str, Any]:
    """Fit in this process; times of the first seed, medians of sampling over all."""
    jax.config.update("jax_enable_compilation_cache", False)
    case = cases.read(path)
    began = time.perf_counter()
    fits = [
        mm.fit(case.spec, case.train, sampler or case.sampler, seed=s, progress=False)
        for s in seeds
    ]
    seconds = time.perf_counter() - began
    tables = [mm.summary(f) for f in fits]
    found = [mm.diagnostics(f) for f in fits]
    sampled = [f.info["timings"]["sample_s"] for f in fits]
    least = [float(t["ess_bulk"].min()) for t in tables]
    gradients = [f.info["gradients"]["sample"] for f in fits]
    draws = fits[0].draws.n_chains * fits[0].draws.n_draws
    return {
        "who": f"mmmjax {fits[0].sampler.kind.upper()}",
        "chains": fits[0].draws.n_chains,
        "draws": fits[0].draws.n_draws,
        "seeds": len(seeds),
        "all_fits_s": seconds,
        "compile_s": fits[0].info["timings"]["compile_s"],
        "compile_again_s": max(f.info["timings"]["compile_s"] for f in fits[1:] or fits),
        "warmup_s": median(f.info["timings"]["warmup_s"] for f in fits),
        "sample_s": median(sampled),
        "gradients": median(gradients),
        "gradients_per_draw": median(gradients) / draws,
        "min_ess": median(least),
        "median_ess": median(float(t["ess_bulk"].median()) for t in tables),
        "max_r_hat": max(d.max_r_hat for d in found),
        "divergences": sum(d.divergences for d in found),
        "min_ess_per_s": median(e / s for e, s in zip(least, sampled, strict=True)),
        "min_ess_per_s_with_warmup": median(
            e / (f.info["timings"]["warmup_s"] + f.info["timings"]["sample_s"])
            for e, f in zip(least, fits, strict=True)
        ),
        "min_ess_per_1000_gradients": median(
            1e3 * e / g for e, g in zip(least, gradients, strict=True)
        ),
    }


def measured(command: list[str], **environment: str) -> tuple[float, int, str]:
    """Run a command; wall seconds, peak memory in MB, output."""
    with tempfile.NamedTemporaryFile("r") as note:
        wrap = (
            "import resource,subprocess,sys,time;"
            "t=time.perf_counter();d=subprocess.run(sys.argv[2:]);"
            "s=time.perf_counter()-t;"
            "m=resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss//1024;"
            "open(sys.argv[1],'w').write(f'{s} {m}');sys.exit(d.returncode)"
        )
        whole = [sys.executable, "-c", wrap, note.name, *command]
        done = subprocess.run(
            whole, capture_output=True, text=True, env=os.environ | environment
        )
        if done.returncode not in (0, 2):
            raise RuntimeError(f"{command} failed:\n{done.stdout}\n{done.stderr}")
        seconds, memory = note.read().split()
    return float(seconds), int(memory), done.stdout


def shell(path: Path, extra: list[str], what: str = "") -> list[dict[str, Any]]:
    """The command line from shell to all files, with an empty cache and a warm one."""
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for who in (f"shell, cold cache{what}", f"shell, warm cache{what}"):
            out = str(Path(folder) / who.split()[1])
            command = [sys.executable, "-m", "mmmjax.cli", "fit", str(path), "--out", out]
            cache = {"MMMJAX_CACHE": str(Path(folder) / "cache")}
            seconds, memory, _ = measured([*command, *extra], **cache)
            files = sorted(p.name for p in Path(out).iterdir())
            rows.append(
                {"who": who, "seconds": seconds, "peak_memory_mb": memory, "files": files}
            )
    return rows


def peer_environment() -> Path:
    """Python of the peer's environment, made on the first call."""
    python = PEER / "bin" / "python"
    if not (PEER / "ready").exists():
        print(f"making the peer's environment in {PEER}")
        subprocess.run([sys.executable, "-m", "venv", str(PEER)], check=True)
        pip = [str(python), "-m", "pip", "install", "--quiet", *PEER_PACKAGES]
        subprocess.run(pip, check=True)
        (PEER / "ready").touch()
    return python


def peers() -> list[dict[str, Any]]:
    """PyMC-Marketing on the same data and priors, with two samplers."""
    script = str(HERE / "peers" / "pymc_marketing_case.py")
    rows = []
    for sampler in ("nutpie", "numpyro"):
        command = [str(peer_environment()), script, str(DATA), sampler]
        seconds, memory, out = measured(command)
        row = json.loads(out.strip().splitlines()[-1])
        rows.append(row | {"import_to_draws_s": seconds, "peak_memory_mb": memory})
    return rows


def main() -> int:
    """Run, print, write; exit 1 if our fit did not converge."""
    parser = options(__doc__ or "")
    parser.add_argument("--no-peers", action="store_true", help="leave PyMC-Marketing out")
    asked = parser.parse_args()
    real = DATA.exists() and not asked.smoke
    path = CASE if real else ROOT / "mmmjax" / "datasets" / "demo.toml"
    short = mm.NUTS(chains=2, warmup=50, draws=50, until=None) if asked.smoke else None
    flags = ["--draws", "50", "--no-report"] if asked.smoke else []
    quick = mm.HMC(chains=2, warmup=50, draws=50, until=None) if asked.smoke else mm.HMC()
    seeds = SEEDS[:1] if asked.smoke else SEEDS
    rows = [ours(path, seeds, short), ours(path, seeds, quick)]
    shells = shell(path, flags)
    bare = [*flags[:2], "--no-report", "--sampler", "hmc"]
    shells += shell(path, bare, ", HMC, no report")
    rows += shells
    if real and not asked.no_peers:
        for row in peers():
            row["ours_times_as_fast"] = (
                rows[0]["min_ess_per_s_with_warmup"] / row["min_ess_per_s_with_warmup"]
            )
            rows.append(row)
    fits = [r for r in rows if "min_ess" in r]
    show(
        "one market: 4 chains x (1000 + 1000); HMC 8 x (250 + 800)",
        ("", *(r["who"] for r in fits)),
        [[name, *(r.get(name) for r in fits)] for name in (*COLUMNS, "ours_times_as_fast")],
    )
    runs = [[r["who"], r["seconds"], r["peak_memory_mb"]] for r in shells]
    show("mmmjax fit case.toml --out run/", ("", "seconds", "peak MB"), runs)
    write("one_market", rows, asked.out, data=str(path.relative_to(ROOT)))
    wrong = not asked.smoke and max(r["max_r_hat"] for r in rows[:2]) > 1.01
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
