"""What every test shares: runtime type checks, seeds, float64 on request, the slow part."""

import functools
import os
import subprocess
import sys
import zlib
from pathlib import Path

import jax
import jaxtyping
import pytest
import typecheck
from hypothesis import settings

MOST_MAPPINGS = 30_000  # of memory, a process of tests
PARTS = 8  # `--slow=rotate` runs one of so many parts of the slow tests

settings.register_profile(
    "mmmjax",
    deadline=None,
    max_examples=20,
    derandomize=bool(os.environ.get("CI")),  # a red CI must be red again
    database=None,
)
settings.load_profile("mmmjax")
# Not a `with` block: the rooms of mmmjax load lazily, long after this line.
jaxtyping.jaxtyped = typecheck.jaxtyped  # what the hook puts on all functions and classes
jaxtyping.install_import_hook("mmmjax", "typecheck.check")


@pytest.fixture(scope="module")
def x64():
    """Opt into float64 for one test or module; the rest runs in default precision."""
    with jax.enable_x64(True):
        yield


@pytest.fixture(autouse=True, scope="module")
def few_mappings():
    """Forget compiled programs before a process has more memory mappings than it may.

    Every program of XLA on CPU maps some pages; Linux allows 65,530 mappings a process by
    default, and a compiler that is refused one more crashes.
    """
    yield
    maps = Path("/proc/self/maps")
    if maps.exists() and maps.read_text().count("\n") > MOST_MAPPINGS:
        jax.clear_caches()
        programs = sys.modules.get("mmmjax.programs")
        if programs is not None:
            programs._PROGRAMS.clear()


@pytest.fixture(autouse=True, scope="module")
def nothing_left_behind():
    """Take back what a file's tests may leave to those that its process runs next.

    ``--quiet`` of the command line, and scripts of one name in two folders (`common`).
    """
    before = set(sys.modules)
    yield
    scripts = [Path(__file__).parent / "cases", Path(__file__).parents[1] / "benchmarks"]
    for name in set(sys.modules) - before:
        file = getattr(sys.modules[name], "__file__", None)
        if file and any(folder in Path(file).parents for folder in scripts):
            del sys.modules[name]
    progress = sys.modules.get("mmmjax.infer.progress")
    if progress is not None:
        progress.Display.live_by_default = True


def pytest_addoption(parser):
    parser.addoption(
        "--slow",
        default="skip",
        help=f"slow tests: skip (default), all, rotate (one of {PARTS} parts, chosen by "
        "the commit), or a part such as 2/3",
    )


def chosen_part(option: str, parts: int) -> set[int]:
    """Parts 1..parts of slow tests to run; `k/PARTS` takes every PARTS-th of many parts."""
    every = set(range(1, parts + 1))
    if option in ("skip", "all"):
        return every if option == "all" else set()
    if option == "rotate":  # the same commit always picks the same part
        root = Path(__file__).parent
        count = subprocess.run(
            ["git", "rev-list", "--count", "HEAD"], cwd=root, capture_output=True, text=True
        ).stdout.strip()
        return {int(count or 0) % parts + 1}
    part, _, total = option.partition("/")
    if not part.isdigit() or total != str(PARTS) or not 1 <= int(part) <= PARTS:
        raise pytest.UsageError(
            f"--slow={option}: expected skip, all, rotate or one of "
            + ", ".join(f"{k}/{PARTS}" for k in range(1, PARTS + 1))
        )
    return {k for k in every if k % PARTS == int(part) % PARTS}


def pytest_report_header(config):
    parts = sorted(chosen_part(config.getoption("--slow"), PARTS))
    names = ", ".join(f"--slow={k}/{PARTS}" for k in parts) or "none (--slow=all)"
    return f"slow tests of this run: {names}"


def pytest_collection_modifyitems(config, items):
    option = config.getoption("--slow")
    chosen = functools.cache(functools.partial(chosen_part, option))
    skip = pytest.mark.skip(reason="slow; not in this run's part")
    for item in items:
        slow = item.get_closest_marker("slow")
        if slow is None:
            continue
        parts = slow.kwargs.get("parts", PARTS)  # more parts for tests that are very slow
        if zlib.crc32(item.nodeid.encode()) % parts + 1 not in chosen(parts):
            item.add_marker(skip)
