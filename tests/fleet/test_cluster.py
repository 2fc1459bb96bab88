"""A fleet on a Ray cluster of two workers, one of them killed in the middle."""

import builtins
import errno
import os
import signal
import threading

import jax
import numpy as np
import pytest

import mmmjax as mm
from mmmjax import programs, resources
from mmmjax.fleet import cluster
from tests.infer.problems import panel, spec

QUICK = mm.HMC(chains=4, warmup=50, draws=50, until=None)
ASK = {"seed": 3, "refit": False, "progress": False, "batch": 1}


@pytest.fixture
def two_workers(monkeypatch):
    """Ray on this machine, of two cores, started and stopped here."""
    ray = pytest.importorskip("ray", reason="the extra `ray` is not installed")
    monkeypatch.setenv("RAY_AUTH_MODE", "disabled")
    monkeypatch.setenv("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    monkeypatch.setenv("RAY_USAGE_STATS_ENABLED", "0")
    ray.init(address="local", num_cpus=2, include_dashboard=False, log_to_driver=False,
             logging_level="ERROR", object_store_memory=10**8)  # fmt: skip
    yield
    ray.shutdown()


@pytest.fixture
def shared_programs(tmp_path, monkeypatch):
    """Compiled programs are kept, for workers as for this process."""
    monkeypatch.setenv("XLA_FLAGS", cluster.ONE_THREAD)  # part of the name of a program
    settings = {
        "jax_compilation_cache_dir": str(tmp_path / "cache"),
        "jax_persistent_cache_min_compile_time_secs": 0.0,
    }
    before = {name: getattr(jax.config, name) for name in settings}
    for name, value in settings.items():
        jax.config.update(name, value)
    jax.clear_caches()
    programs._PROGRAMS.clear()
    yield
    for name, value in before.items():
        jax.config.update(name, value)


@pytest.mark.slow(parts=6)
@pytest.mark.filterwarnings(
    "ignore::ResourceWarning", "ignore::FutureWarning",
    r"ignore:os.fork\(\) was called:RuntimeWarning",  # Ray starts its own processes
)  # fmt: skip
def test_a_killed_worker_costs_nothing(tmp_path, monkeypatch, shared_programs, two_workers):
    """All markets end, none twice, with the draws of a run without a cluster."""
    markets = {f"m{i}": panel(channels=1, controls=0, seed=i) for i in range(4)}
    killed, told, first = [], [], threading.Event()

    class Watched(cluster.OnActor):
        """The first process that has ended a market is killed in its next batch."""

        def run(self, part, stop):
            if first.is_set() and not killed:
                killed.append(self.hello.pid)
                threading.Timer(0.3, os.kill, (self.hello.pid, signal.SIGKILL)).start()
            hear, self.told = self.told, lambda row: (told.append(row["market"]), hear(row))
            super().run(part, stop)
            self.told = hear
            first.set()

    alone = mm.fit_fleet(spec(), markets, QUICK, **ASK)  # compiles for the workers too
    monkeypatch.setattr(cluster, "OnActor", Watched)
    found = mm.fit_fleet(
        spec(), markets, QUICK, store=tmp_path / "run", cluster="auto", **ASK
    )
    assert len(killed) == 1
    assert len(told) == len(set(told)) == len(markets)
    assert sorted(found.table.market) == list(markets)
    assert set(found.table.status) <= {"converged", "not converged"}
    for name in markets:
        for parameter, draws in alone[name].draws.params.items():
            np.testing.assert_array_equal(draws, found[name].draws.params[parameter])


@pytest.mark.slow
@pytest.mark.filterwarnings(
    "ignore::ResourceWarning", "ignore::FutureWarning",
    r"ignore:os.fork\(\) was called:RuntimeWarning",
)  # fmt: skip
@pytest.mark.slow(parts=4)
def test_a_full_disk_of_a_worker_is_no_verdict_and_the_same_call_goes_on(
    tmp_path, monkeypatch, shared_programs, two_workers
):
    markets = {f"m{i}": panel(channels=1, controls=0, seed=i) for i in range(4)}
    place, usual = tmp_path / "run", cluster.Process

    class FullDisk:
        """Its disk takes the files of one market and half of one more."""

        def __init__(self, *given):
            left, whole = [3], resources.put

            def put(path, content):
                left[0] -= 1
                if left[0] < 0:
                    path.write_bytes(bytes(content)[: len(content) // 2])
                    raise OSError(errno.ENOSPC, "No space left on device")
                whole(path, content)

            resources.put = put
            self.usual = cluster.Process(*given)  # in the worker it is the one of ours

        def hello(self):
            return self.usual.hello()

        def sees(self):
            return self.usual.sees()

        def fit(self, job):
            return self.usual.fit(job)

        def news(self):
            return self.usual.news()

    monkeypatch.setattr(cluster, "Process", FullDisk)
    ask = ASK | {"store": place, "cluster": "auto"}
    with pytest.raises(resources.Unwritten, match="No space left on device") as caught:
        mm.fit_fleet(spec(), markets, QUICK, **ask)
    assert caught.value.errno == errno.ENOSPC
    assert str(place / "markets") in str(caught.value)
    ended = (mm.open_fleet(place).table["status"] != "pending").sum()
    assert f"{ended} of 4 markets have ended and are whole" in str(caught.value)
    assert 1 <= ended <= 3
    monkeypatch.setattr(cluster, "Process", usual)
    found = mm.fit_fleet(spec(), markets, QUICK, **ask)
    assert set(found.table.status) <= {"converged", "not converged"}
    assert list(found) == list(markets)


def test_without_ray_it_says_what_to_install(monkeypatch, tmp_path):
    real = builtins.__import__

    def none(name, *args, **more):
        if name == "ray":
            raise ImportError(name)
        return real(name, *args, **more)

    monkeypatch.setattr(builtins, "__import__", none)
    with pytest.raises(mm.InputError, match=r"pip install \"mmmjax\[ray\]\""):
        mm.fit_fleet(spec(), {"a": panel()}, QUICK, store=tmp_path / "run", cluster="auto")


def test_workers_find_their_settings_before_jax_does(monkeypatch):
    monkeypatch.delenv("XLA_FLAGS", raising=False)
    monkeypatch.setenv("JAX_COMPILATION_CACHE_DIR", "/shared/cache")
    core = cluster.Cluster(0, 2, 2).options()
    assert (core["num_cpus"], core["num_gpus"]) == (1, 0)
    assert core["runtime_env"]["env_vars"]["JAX_PLATFORMS"] == "cpu"
    assert "intra_op_parallelism_threads=1" in core["runtime_env"]["env_vars"]["XLA_FLAGS"]
    gpu = cluster.Cluster(8, 96, 8)
    assert gpu.workers == 8
    assert gpu.options()["num_gpus"] == 1
    found = gpu.options()["runtime_env"]["env_vars"]
    assert "JAX_PLATFORMS" not in found
    assert found["JAX_COMPILATION_CACHE_DIR"] == "/shared/cache"
    assert found["XLA_PYTHON_CLIENT_PREALLOCATE"] == "false"
    monkeypatch.setenv("XLA_PYTHON_CLIENT_PREALLOCATE", "true")
    found = gpu.options()["runtime_env"]["env_vars"]
    assert found["XLA_PYTHON_CLIENT_PREALLOCATE"] == "true"
