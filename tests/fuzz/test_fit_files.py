"""Fit files with damage of every kind: refused in one message, or every value as saved.

Oracle: the fit that was saved. The files of a fleet go through the same reader.
"""

import numpy as np
import pytest

from mmmjax import store
from mmmjax.checks import InputError
from tests.fits import make_fit, make_panel
from tests.fuzz.test_toml import HOW_MANY, clean
from tests.test_store import assert_same

COUNT = 100  # inputs in CI


def damaged(content, rng):
    """The bytes flipped, cut, doubled, moved, zeroed or mixed with noise, and how."""
    data = bytearray(content)
    at, to = sorted(int(x) for x in rng.integers(0, len(data), 2))
    size = int(rng.integers(1, 200))
    noise = rng.integers(0, 256, size, dtype=np.uint8).tobytes()
    how = str(rng.choice(["flip", "flips", "cut", "start", "zero", "noise", "more", "swap",
                          "text", "hole"]))  # fmt: skip
    if how == "flip":
        data[at] ^= int(2 ** rng.integers(8))
    elif how == "flips":
        for place in rng.integers(0, len(data), 20):
            data[place] ^= int(rng.integers(1, 256))
    elif how == "cut":
        del data[at:]
    elif how == "start":
        del data[8:at]
    elif how == "zero":
        data[at : at + size] = bytes(len(data[at : at + size]))
    elif how == "noise":
        data[at : at + size] = noise[: len(data[at : at + size])]
    elif how == "more":
        data[at:at] = noise
    elif how == "swap":
        data[at : at + 64], data[to : to + 64] = data[to : to + 64], data[at : at + 64]
    elif how == "text":  # the spec, names and dates lie in heaps as texts
        place = content.find(rng.choice([b"geometric", b"TV", b"seed", b"W-MON", b"scale"]))
        data[place] ^= 3
    else:
        del data[at : at + size]
    return bytes(data), how


@pytest.mark.parametrize("slow", HOW_MANY)
def test_fit_files(slow, capfd):
    fit = make_fit(panel=make_panel(periods=8))
    content = store.dumps(fit)
    failed, unharmed = [], 0
    for i in range(COUNT * (10 if slow else 1)):
        data, how = damaged(content, np.random.default_rng((5, i)))
        try:
            found = store.loads(data, "fit.nc")
            assert_same(found, fit)
            unharmed += 1
        except InputError as error:
            if not clean(str(error)):
                failed.append((i, how, f"message: {error}"))
        except Exception as error:
            failed.append((i, how, f"{type(error).__name__}: {error}"[:200]))
    assert not failed, f"{len(failed)}:\n" + "\n".join(map(str, failed[:20]))
    assert unharmed  # bytes that hold nothing
    assert capfd.readouterr().err == ""
