"""Run by test_devices in a process with two host devices; the argument is a folder."""

import dataclasses
import signal
import sys
import threading
import time
from pathlib import Path

import jax
import numpy as np

import mmmjax as mm
from mmmjax import programs
from mmmjax.fleet import run
from tests.infer.problems import panel, spec

QUICK = mm.HMC(chains=4, warmup=50, draws=50, until=None)
ASK = {"seed": 3, "refit": False, "progress": False, "batch": 1}


def main(place: Path) -> None:
    markets = {f"m{i}": panel(channels=1, controls=0, seed=i) for i in range(3)}
    two = mm.fit_fleet(spec(), markets, QUICK, **ASK)
    used = {key[-1][0] for key in programs._PROGRAMS}
    assert used == set(jax.devices()), used
    one = mm.fit_fleet(spec(), markets, QUICK, devices=jax.devices()[:1], **ASK)
    same(one, two, markets)
    interrupted(place, markets)
    again = mm.fit_fleet(spec(), markets, QUICK, store=place, **ASK)
    same(one, again, markets)
    long = dataclasses.replace(QUICK, draws=10**6)
    threading.Timer(1.5, press).start()
    seconds(lambda: mm.fit_fleet(spec(), markets, long, **ASK), 1.5)


def interrupted(place: Path, markets: dict) -> None:
    """Ctrl-C as soon as one market has ended: it is kept, the last is not begun."""
    write = run.Folder.write

    def noisy(self, done):
        row = write(self, done)
        if not ended:
            press()
        ended.append(done.name)
        return row

    ended: list[str] = []
    run.Folder.write = noisy
    seconds(lambda: mm.fit_fleet(spec(), markets, QUICK, store=place, **ASK), 0)
    run.Folder.write = write
    assert sorted(run.Folder.at(place).rows()) == sorted(ended)
    assert 1 <= len(ended) < 3, ended


def press() -> None:
    """Ctrl-C, which the system gives to the main thread."""
    signal.pthread_kill(threading.main_thread().ident, signal.SIGINT)


def seconds(call, least: float) -> None:
    """That a call is interrupted, and how soon after the sign."""
    began = time.monotonic()
    try:
        call()
    except KeyboardInterrupt:
        took = time.monotonic() - began - least
        print(f"stopped {took:.2f} s after it was told or began")
        assert took < 10
    else:
        raise AssertionError("was not interrupted")


def same(one, other, markets) -> None:
    assert list(one) == list(other) == list(markets)
    for name in markets:
        for parameter, draws in one[name].draws.params.items():
            np.testing.assert_array_equal(draws, other[name].draws.params[parameter])


if __name__ == "__main__":
    main(Path(sys.argv[1]))
