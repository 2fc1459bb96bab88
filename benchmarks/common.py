"""What every benchmark shares: options, timing, the record of the machine, the result file.

The rules are in README.md beside this file.
"""

import argparse
import json
import os
import platform
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

import jax
from rich.console import Console
from rich.table import Table

HERE = Path(__file__).resolve().parent
PACKAGES = ("mmmjax", "jax", "jaxlib", "numpyro", "blackjax", "numpy", "scipy")


def options(description: str) -> argparse.ArgumentParser:
    """Options of every benchmark; add others to the parser returned."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--smoke", action="store_true", help="smallest sizes, once")
    parser.add_argument(
        "--out", type=Path, default=HERE / "results", help="folder of the result file"
    )
    return parser


def compiled(function: Callable[..., Any], *args: Any) -> tuple[Callable[..., Any], float]:
    """Compile for these arguments, without the persistent cache; seconds apart."""
    cached = jax.config.jax_enable_compilation_cache  # pyright: ignore
    jax.config.update("jax_enable_compilation_cache", False)
    try:
        start = time.perf_counter()
        program = jax.jit(function).lower(*args).compile()
        return program, time.perf_counter() - start
    finally:
        jax.config.update("jax_enable_compilation_cache", cached)


def medians(
    calls: Mapping[str, Callable[[], Any]], rounds: int = 7, least: float = 0.02
) -> dict[str, float]:
    """Median seconds of each call, warm and blocked until ready.

    Alternatives take turns within a round, so that a busy moment of the machine hits all
    of them; each turn lasts at least ``least`` seconds.
    """
    turns = {name: _turns(call, least) for name, call in calls.items()}
    samples: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(rounds):
        for name, call in calls.items():
            samples[name].append(_seconds(call, turns[name]))
    return {name: statistics.median(times) for name, times in samples.items()}


def _turns(call: Callable[[], Any], least: float) -> int:
    jax.block_until_ready(call())  # warm
    count = 1
    while (taken := _seconds(call, count) * count) < least:
        count = max(2 * count, int(count * least / max(taken, 1e-9)))
    return count


def _seconds(call: Callable[[], Any], count: int) -> float:
    start = time.perf_counter()
    for _ in range(count):
        jax.block_until_ready(call())
    return (time.perf_counter() - start) / count


def machine() -> dict[str, Any]:
    """What the numbers were taken on."""
    cpu = Path("/proc/cpuinfo")
    lines = cpu.read_text().splitlines() if cpu.exists() else []
    models = [line.split(":", 1)[1].strip() for line in lines if "model name" in line]
    return {
        "cpu": models[0] if models else platform.processor(),
        "cores": os.cpu_count(),
        "memory_gb": round(
            os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9, 1
        ),
        "load": round(os.getloadavg()[0], 2),
        "system": platform.platform(),
        "devices": [str(device.device_kind) for device in jax.devices()],
    }


def versions(packages: Iterable[str] = PACKAGES) -> dict[str, str]:
    """Versions of Python and of the packages that matter."""
    found = {"python": platform.python_version()}
    for name in packages:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            found[name] = "absent"
    return found


def commit() -> str:
    """The commit the numbers belong to; with + where the tree had changes."""

    def git(*words: str) -> str:
        done = subprocess.run(["git", *words], cwd=HERE, capture_output=True, text=True)
        return done.stdout.strip()

    changed = git("status", "--porcelain", "--", "../mmmjax", ".", ":!results")
    return (git("rev-parse", "--short", "HEAD") or "unknown") + ("+" if changed else "")


def show(title: str, columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """Print a table; numbers to three significant digits, a dash for None."""
    table = Table(title=title, title_justify="left")
    for i, column in enumerate(columns):
        table.add_column(column, justify="left" if i == 0 else "right", no_wrap=True)
    for row in rows:
        table.add_row(*(_cell(value) for value in row))
    width = None if sys.stdout.isatty() else 140
    Console(width=width).print(table)


def _cell(value: Any) -> str:
    if value is None:
        return "-"
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def write(name: str, rows: Sequence[Mapping[str, Any]], out: Path, **more: Any) -> Path:
    """Write the rows of a benchmark with machine, versions and commit as JSON."""
    record = {
        "benchmark": name,
        "when": datetime.now(UTC).isoformat(timespec="seconds"),
        "commit": commit(),
        "machine": machine(),
        "versions": versions(),
        "peak_memory_mb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024),
        **more,
        "rows": list(rows),
    }
    out.mkdir(parents=True, exist_ok=True)
    path = out / f"{name}.json"
    path.write_text(json.dumps(record, indent=1) + "\n")
    print(f"wrote {path}")
    return path
