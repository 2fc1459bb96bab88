"""What every test shares: runtime type checks, seeds, float64 on request, the slow part."""

import os
import subprocess
import zlib
from pathlib import Path

import jax
import pytest
from hypothesis import settings
from jaxtyping import install_import_hook

PARTS = 3  # `--slow=rotate` runs one of so many parts of the slow tests

settings.register_profile(
    "mmmjax",
    deadline=None,
    max_examples=20,
    derandomize=bool(os.environ.get("CI")),  # a red CI must be red again
    database=None,
)
settings.load_profile("mmmjax")
# Not a `with` block: the rooms of mmmjax load lazily, long after this line.
install_import_hook("mmmjax", "typecheck.check")


@pytest.fixture(scope="module")
def x64():
    """Opt into float64 for one test or module; the rest runs in default precision."""
    with jax.enable_x64(True):
        yield


def pytest_addoption(parser):
    parser.addoption(
        "--slow",
        default="skip",
        help=f"slow tests: skip (default), all, rotate (one of {PARTS} parts, chosen by "
        "the commit), or a part such as 2/3",
    )


def chosen_parts(option: str) -> set[int]:
    """Parts 1..PARTS of the slow tests to run."""
    if option in ("skip", "all"):
        return set() if option == "skip" else set(range(1, PARTS + 1))
    if option == "rotate":  # the same commit always picks the same part
        root = Path(__file__).parent
        count = subprocess.run(
            ["git", "rev-list", "--count", "HEAD"], cwd=root, capture_output=True, text=True
        ).stdout.strip()
        return {int(count or 0) % PARTS + 1}
    part, _, total = option.partition("/")
    if not part.isdigit() or total != str(PARTS) or not 1 <= int(part) <= PARTS:
        raise pytest.UsageError(
            f"--slow={option}: expected skip, all, rotate or one of "
            + ", ".join(f"{k}/{PARTS}" for k in range(1, PARTS + 1))
        )
    return {int(part)}


def pytest_report_header(config):
    parts = sorted(chosen_parts(config.getoption("--slow")))
    names = ", ".join(f"--slow={k}/{PARTS}" for k in parts) or "none (--slow=all)"
    return f"slow tests of this run: {names}"


def pytest_collection_modifyitems(config, items):
    parts = chosen_parts(config.getoption("--slow"))
    skip = pytest.mark.skip(reason="slow; not in this run's part")
    for item in items:
        part = zlib.crc32(item.nodeid.encode()) % PARTS + 1
        if "slow" in item.keywords and part not in parts:
            item.add_marker(skip)
