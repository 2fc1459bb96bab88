"""Devices and the plan: what fits in memory, who gets what, whether float32 is enough."""

import dataclasses
import os
import subprocess
import sys
import threading
from pathlib import Path

import jax
import numpy as np
import pytest

import mmmjax as mm
from mmmjax.fleet import batch, devices, precision
from mmmjax.fleet.buckets import Shape
from mmmjax.fleet.devices import Machine
from mmmjax.fleet.engine import CONVERGED, REFITTED, Done, ready
from mmmjax.fleet.plan import Size, batches_for, size_of
from mmmjax.infer import density
from mmmjax.infer import precondition as room
from mmmjax.infer.lanes import unfolding
from mmmjax.infer.threads import Stopped, cores, in_threads, working_on
from mmmjax.prepare import prepare
from tests.fits import make_panel
from tests.infer.problems import CASES, data_of, panel, spec

QUICK = mm.HMC(chains=4, warmup=50, draws=50, until=None)
ASK = {"seed": 3, "refit": False, "progress": False}
GB = 10**9
ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.slow
def test_two_devices_give_the_draws_of_one_and_stop_when_told(tmp_path):
    """In a process of its own, which must start with two host devices."""
    environment = os.environ | {
        "PYTHONPATH": str(ROOT),
        "XLA_FLAGS": "--xla_force_host_platform_device_count=2",
    }
    command = [sys.executable, "-m", "tests.fleet.on_two_devices", str(tmp_path / "run")]
    done = subprocess.run(
        command, capture_output=True, text=True, env=environment, cwd=ROOT, timeout=300
    )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-4000:]


def machine(platform="gpu", memory=80 * GB, host=500 * GB):
    return Machine(platform, "any", memory, host, 16)


@pytest.mark.parametrize(
    "size, count, where, workers, batch",
    [
        (Size(10**7, 10**7), 1000, machine(), 1, 1000),  # all at once
        (Size(10**7, 10**7), 1000, machine(), 8, 125),  # every device has some
        (Size(10**7, 10**8), 1000, machine(), 1, 640),  # 80% of the device
        (Size(10**9, 10**7), 1000, machine(), 1, 250),  # half of the host
        (Size(10**12, 10**12), 1000, machine(), 1, 1),  # tried, at least
        (Size(10**6, 10**6), 1000, machine("cpu"), 1, 64),
        (Size(10**9, 10**9), 1000, machine("cpu", 40 * GB), 1, 10),
        (Size(10**6, 10**6), 40, machine("cpu"), 2, 20),
        (Size(10**6, 10**6), 4, machine("cpu"), 2, 8),  # fills a call
    ],
)
def test_a_batch_is_what_memory_takes(size, count, where, workers, batch):
    assert batches_for([size], [count], where, workers) == [batch]


@pytest.fixture
def unsampled(monkeypatch):
    """No market is sampled; names of those that would be, batch by batch."""
    seen = []

    def pretend(markets, shape, sampler, width, emit, refit):
        seen.append([market.name for market in markets])
        for market in markets:
            emit(Done(market.name, CONVERGED))

    monkeypatch.setattr(batch, "sample", pretend)
    return seen


@pytest.mark.slow(parts=6)
def test_the_plan_is_recorded_and_taken_again(tmp_path, monkeypatch, unsampled):
    markets = {f"m{i:02}": panel(channels=1 + i % 2, seed=i) for i in range(11)}
    whole = mm.fit_fleet(spec(), markets, QUICK, store=tmp_path, **ASK)
    assert whole.plan.batches == [11] * len(whole.plan)
    assert sorted(n for b in whole.plan for n in b.markets) == list(markets)
    assert [list(part.markets) for part in whole.plan.parts()] == unsampled
    said = repr(whole.plan)
    assert "estimates" in said
    assert "in batches of 11" in said
    monkeypatch.setattr(devices, "host_memory", lambda: 1)  # another machine
    again = mm.fit_fleet(spec(), markets, QUICK, store=tmp_path, **ASK)
    assert again.plan.batches == whole.plan.batches
    poor = mm.fit_fleet(spec(), markets, QUICK, **ASK)
    assert poor.plan.batches == [1] * len(whole.plan)
    four = mm.fit_fleet(spec(), markets, QUICK, batch=4, **ASK)
    assert four.plan.batches == [4] * len(whole.plan)


def test_a_stopped_run_goes_on_with_the_same_batches(tmp_path, unsampled):
    """What has ended is left out of its batch; nothing moves to another."""
    markets = {f"m{i}": panel(seed=i) for i in range(5)}
    mm.fit_fleet(spec(), markets, QUICK, store=tmp_path, batch=2, **ASK)
    for name in ("m1", "m4"):
        (tmp_path / "markets" / f"{name}.json").unlink()
    unsampled.clear()
    mm.fit_fleet(spec(), markets, QUICK, store=tmp_path, **ASK)
    assert unsampled == [["m1"], ["m4"]]


@pytest.mark.parametrize(
    "change, words",
    [
        ({"devices": []}, "one or more"),
        ({"devices": "cpu"}, "sequence of jax.Device"),
        ({"devices": ["cpu:0"]}, "jax.local_devices"),
        ({"devices": jax.devices()[:1] * 2}, "twice"),
        ({"cluster": "auto"}, "workers write"),
        ({"cluster": "", "store": "x"}, '"auto" or the address'),
        ({"cluster": "auto", "store": "x", "devices": jax.devices()}, "leave devices out"),
    ],
)
def test_devices_that_cannot_be_meant_are_refused(change, words):
    with pytest.raises(mm.InputError) as error:
        mm.fit_fleet(spec(), {"a": panel()}, QUICK, **(ASK | change))
    assert words in str(error.value)


def test_threads_work_where_their_maker_does():
    seen = []

    def look(i, stop):
        seen.append((jax.config.jax_default_device, cores(), jax.config.jax_enable_x64))

    place = jax.devices()[-1]
    with working_on(place, 1), jax.enable_x64(True):
        in_threads(look, 2)
    assert seen == [(place, 1, True)] * 2
    assert cores() == os.cpu_count()
    assert jax.config.jax_default_device is None


def test_work_that_is_stopped_is_not_taken_for_whole():
    stop = threading.Event()
    with working_on(jax.devices()[0], 2, stop), pytest.raises(Stopped):
        in_threads(lambda i, sign: stop.set() or sign.is_set() or 1 / 0, 2)


@pytest.mark.slow(parts=6)
@pytest.mark.parametrize("case", [n for n in CASES if n != "no media, no controls"])
def test_positions_invert_what_draws_were_made_by(case):
    the_spec, the_panel = CASES[case]
    data, structure = data_of(the_spec, the_panel), the_spec.structure()
    problem, _ = room.shear(structure, data)
    rng = np.random.default_rng(0)
    size = problem.center.size
    whiten = np.eye(size) + 0.1 * rng.standard_normal((size, size))
    problem = dataclasses.replace(problem, center=0.1 * np.ones(size), whiten=whiten)
    z = rng.standard_normal((3, size))
    with jax.enable_x64(True):
        wide = problem.astype(np.float64)
        params = jax.vmap(lambda one: room.constrain(one, wide, structure))(z)
    wanted = {n: params[n] for n in density.sites_of(problem, structure)}
    np.testing.assert_allclose(density.positions(problem, structure, wanted), z, atol=1e-6)


@pytest.fixture(scope="module")
def narrow():
    """A market in the arrays of a larger one, with its fit in a fleet."""
    markets = {"a": panel(channels=1, controls=1), "b": panel(periods=44)}
    market = ready("a", spec(), markets["a"], ASK["seed"], "error")
    fleet = mm.fit_fleet(spec(), markets, QUICK, **ASK)
    assert [bucket.shape for bucket in fleet.plan] == [Shape(0, 44, 2, 2)]
    return market, fleet["a"], Shape(0, 44, 2, 2)


@pytest.mark.slow(parts=6)
def test_the_estimate_of_memory_is_of_the_size_of_the_arrays(narrow):
    """Draws that are kept, and the problem of a lane, beside their estimates."""
    market, fit, _ = narrow
    problem = room.outline(market.spec.structure(), market.data)
    small, large = (
        size_of(problem, dataclasses.replace(QUICK, draws=n)) for n in (50, 1050)
    )
    kept = sum(x.nbytes for x in fit.draws.params.values()) / fit.draws.n_draws
    assert 1000 * kept < large.host - small.host < 20 * 1000 * kept
    assert large.device == small.device
    arrays = sum(np.asarray(x).nbytes for x in jax.tree.leaves(problem))
    assert arrays / 2 < small.device < 100 * arrays  # float32


def test_the_estimate_of_memory_counts_geos():
    """A chunk of draws is unfolded with the media of every geo, and a gradient as well."""
    each = []
    for n in (2, 4, 8):
        many = make_panel(geos=tuple(f"g{i}" for i in range(n)))
        found = prepare(mm.Spec(), many)
        problem = room.outline(found.spec.structure(), found.data)
        least = QUICK.chains * QUICK.chunk * many.media.size * 4
        assert unfolding(problem, QUICK) >= least
        each.append(size_of(problem, QUICK).device)
    assert 1.8 < (each[2] - each[1]) / (each[1] - each[0]) < 2.2  # with geos, not squared


@pytest.mark.slow(parts=6)
def test_the_error_of_a_float_type_is_that_of_its_densities(narrow):
    """None against itself; in float32 small; in float16 as large as its rounding."""
    market, fit, shape = narrow
    found = {t: precision.error_of(market, fit, shape, t) for t in ("float64", "float32")}
    assert found["float64"] == 0
    assert 0 < found["float32"] < 1e-3
    assert precision.error_of(market, fit, shape, "float16") > 30 * found["float32"]


def test_a_market_that_float32_does_not_serve_is_refitted(narrow, monkeypatch):
    market, fit, shape = narrow
    done = Done("a", CONVERGED, fit=fit, seconds=1.0)
    assert precision.checked(market, done, shape) is done
    monkeypatch.setattr(precision, "MOST", 1e-12)
    worse = precision.checked(market, done, shape, refit=False)
    assert worse.status == "not converged"
    assert "nat" in worse.reason
    alone = mm.NUTS(chains=4, warmup=100, draws=100, until=None)
    monkeypatch.setattr(precision.engine, "ALONE", alone)
    again = precision.checked(market, done, shape)
    assert again.fit.sampler == dataclasses.replace(alone, dtype="float64")
    assert again.status in (REFITTED, "not converged")
    assert "by NUTS in float64" in again.reason


def test_two_markets_of_a_batch_are_checked_and_only_where_it_matters(
    monkeypatch, unsampled
):
    seen = []

    def record(market, done, shape, refit):
        seen.append(market.name)
        return done

    monkeypatch.setattr(batch, "checked", record)
    markets = {f"m{i}": panel(seed=i) for i in range(4)}
    for check, count in ((None, 0), (True, 2), (False, 0)):
        mm.fit_fleet(spec(), markets, QUICK, check_precision=check, **ASK)
        assert len(seen) == count, check
        seen.clear()
    wide = dataclasses.replace(QUICK, dtype="float64")
    mm.fit_fleet(spec(), markets, wide, check_precision=True, **ASK)
    assert not seen
