"""Workers on a Ray cluster: one process for each device, which writes to the store itself.

The driver holds the queue (`schedule`); an actor gets a batch, fits it on its device and
writes every market that ends to the store. Only rows of the table come back. A process
that dies is replaced; what it had written counts.
"""

import os
import socket
import threading
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import jax

from mmmjax.checks import Phrase, fail
from mmmjax.fleet.batch import Asked, How, carefully
from mmmjax.fleet.devices import Machine, machine_of
from mmmjax.fleet.engine import Done
from mmmjax.fleet.schedule import Lost, Part, Unavailable
from mmmjax.fleet.store import Folder, read_manifest
from mmmjax.infer.threads import Stopped, working_on
from mmmjax.programs import device

__all__ = ["Cluster", "Job", "OnActor", "absolute", "connected"]

START = 300.0  # seconds until a process must be up: JAX's import and the device's start
POLL = 0.25  # seconds between looks at a process
KEPT = (  # settings of the driver that its workers get
    "XLA_PYTHON_CLIENT_PREALLOCATE", "XLA_PYTHON_CLIENT_MEM_FRACTION", "XLA_FLAGS",
    "JAX_COMPILATION_CACHE_DIR", "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS",
    "JAX_DEFAULT_MATMUL_PRECISION", "JAX_ENABLE_X64",
)  # fmt: skip
ONE_THREAD = "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1"


class Job(NamedTuple):
    """A batch on its way to a worker."""

    markets: list[Asked]
    how: How


class Hello(NamedTuple):
    """What a process says first."""

    host: str
    pid: int
    machine: Machine


class Process:
    """What runs inside an actor: one device, one store.

    Args:
        store: The folder.
        beside: Processes of this kind on its host, itself included.
    """

    def __init__(self, store: str, beside: int):
        """Open the store."""
        self.store, self.folder = store, Folder.at(store)
        self.machine = machine_of(device()).shared(beside)
        self.rows: deque[dict[str, Any]] = deque()  # `fit` puts in, `news` takes out

    def hello(self) -> Hello:
        """Where it is and what it has."""
        return Hello(socket.gethostname(), os.getpid(), self.machine)

    def sees(self) -> bool:
        """Whether the store's manifest is there."""
        return read_manifest(self.store) is not None

    def fit(self, job: Job) -> None:
        """Fit a batch and write what ends."""
        ended: set[str] = set()

        def emit(done: Done) -> None:
            row = self.folder.write(done)
            self.rows.append(row)
            ended.add(done.name)

        with working_on(device(), self.machine.cores):
            carefully(job.markets, job.how, emit, ended)

    def news(self) -> list[dict[str, Any]]:
        """Rows since the last time; called while ``fit`` works."""
        return [self.rows.popleft() for _ in range(len(self.rows))]


class Cluster(NamedTuple):
    """A Ray cluster that is there.

    Args:
        gpus: Devices, whole ones; a process is started on each.
        cpus: Cores; where there are no GPUs a process is started on each.
        beside: Most processes on one host.
    """

    gpus: int
    cpus: int
    beside: int

    @property
    def workers(self) -> int:
        """How many processes to start."""
        return self.gpus or self.cpus

    def options(self) -> dict[str, Any]:
        """Of an actor: what it occupies, and the environment set before it imports JAX."""
        return {
            "num_gpus": 1 if self.gpus else 0,
            "num_cpus": 0 if self.gpus else 1,
            "max_restarts": 0,
            "max_concurrency": 2,  # news while it fits
            "runtime_env": {"env_vars": environment(self.gpus > 0)},
        }


def environment(gpu: bool) -> dict[str, str]:
    """Variables of a worker, set before its Python starts."""
    usual = {"XLA_PYTHON_CLIENT_PREALLOCATE": "false"}  # a dead one may not be gone yet
    if not gpu:
        usual |= {"JAX_PLATFORMS": "cpu", "XLA_FLAGS": ONE_THREAD}
    cache = jax.config.jax_compilation_cache_dir
    if cache:
        usual["JAX_COMPILATION_CACHE_DIR"] = str(cache)
        usual["JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS"] = "0"
    return usual | {name: os.environ[name] for name in KEPT if name in os.environ}


def absolute(store: str | Path) -> str:
    """A folder as every process sees it."""
    return str(store) if "://" in str(store) else str(Path(store).resolve())


def connected(address: str) -> Cluster:
    """Connect to Ray, or start it here with "auto" where none runs.

    Raises:
        InputError: Ray is not installed, nothing answers, or this process holds a GPU.
    """
    ray = _ray()
    if not ray.is_initialized():
        to = {} if address == "auto" else {"address": address}
        try:
            ray.init(**to, log_to_driver=False, logging_level="ERROR")
        except (ConnectionError, RuntimeError, ValueError, TimeoutError) as error:
            got = Phrase(f'"{address}", where no Ray answers ({error})')
            fail("cluster", got, "", '"auto" or the address of a Ray cluster',
                 'start one: ray start --head; then cluster="auto"')  # fmt: skip
    found = ray.cluster_resources()
    kind = "GPU" if found.get("GPU") else "CPU"
    each = [int(n["Resources"].get(kind, 0)) for n in ray.nodes() if n["Alive"]]
    gpus, cpus = (int(found.get(name, 0)) for name in ("GPU", "CPU"))
    cluster = Cluster(gpus, cpus, max([1, *each]))
    if not cluster.workers:
        fail("cluster", Phrase("one without CPU or GPU"), "", "a cluster with resources",
             "add nodes: ray start --address=...")  # fmt: skip
    if cluster.gpus and jax.default_backend() != "cpu":
        got = Phrase("a driver that holds a GPU itself")
        fail("cluster", got, "", "one JAX process on a GPU, which is the worker's",
             "JAX_PLATFORMS=cpu for the driver; workers have their own")  # fmt: skip
    return cluster


def _ray() -> Any:
    """Ray, if it is installed."""
    try:
        import ray
    except ImportError:
        fail("cluster", Phrase("no Ray"), "", "an environment with the extra `ray`",
             'pip install "mmmjax[ray]"')  # fmt: skip
    return ray


class OnActor:
    """A process on the cluster, as the scheduler sees it.

    Args:
        cluster: Where.
        store: The folder, as every process sees it.
        job: Makes a batch of what is left of a part.
        told: Gets the row of every market that ended, some twice.
        stop: Set when it is no longer wanted.

    Raises:
        Unavailable: The cluster has no place for it, or it did not come up.
    """

    def __init__(
        self, cluster: Cluster, store: str, job: Callable[[Part], Job],
        told: Callable[[dict[str, Any]], None], stop: threading.Event | None = None,
    ):  # fmt: skip
        """Start it and wait until it is up."""
        self.ray, self.store, self.job, self.told = _ray(), store, job, told
        self.looked = False
        actor: Any = self.ray.remote(Process)
        self.actor = actor.options(**cluster.options()).remote(store, cluster.beside)
        self.hello = self._up(stop or threading.Event())

    def _up(self, stop: threading.Event) -> Hello:
        first, until = self.actor.hello.remote(), time.monotonic() + START
        while time.monotonic() < until and not stop.is_set():
            if self.ray.wait([first], timeout=POLL)[0]:
                try:
                    return self.ray.get(first)
                except _deaths(self.ray) as error:
                    raise Unavailable(f"a worker did not start: {_short(error)}") from None
        self.close()
        if stop.is_set():
            raise Stopped
        raise Unavailable(f"the cluster had no place for a worker within {START:.0f} s")

    def run(self, part: Part, stop: threading.Event) -> None:
        """Send a batch, hear of every market that ends."""
        try:
            self._look()
            busy = self.actor.fit.remote(self.job(part))
            while not self.ray.wait([busy], timeout=POLL)[0]:
                if stop.is_set():
                    raise Stopped
                self._hear()
            self.ray.get(busy)
            self._hear()
        except (*_deaths(self.ray), self.ray.exceptions.RayTaskError) as error:
            mine = set(part.markets)  # written, but not heard of
            for name, row in Folder.at(self.store).rows().items():
                if name in mine:
                    self.told(row)
            cause = getattr(error, "cause", None)
            if isinstance(cause, OSError):  # a full disk, as this process would meet it
                raise cause from None
            if isinstance(error, self.ray.exceptions.RayTaskError):
                raise
            where = f"{self.hello.host}, process {self.hello.pid}"
            raise Lost(f"its worker died ({where}): {_short(error)}") from None

    def _look(self) -> None:
        if not self.looked and not self.ray.get(self.actor.sees.remote()):
            got = Phrase(f'"{self.store}", which {self.hello.host} does not see')
            fail("store", got, "", "a folder that all machines of the cluster share, or a "
                 "URL", 'store="s3://bucket/run"')  # fmt: skip
        self.looked = True

    def _hear(self) -> None:
        for row in self.ray.get(self.actor.news.remote()):
            self.told(row)

    def close(self) -> None:
        """End the process; what it had written is whole."""
        self.ray.kill(self.actor)


def _deaths(ray: Any) -> tuple[type[BaseException], ...]:
    """What is raised when a process, its machine or its memory is gone."""
    errors = ray.exceptions
    return (
        errors.RayActorError, errors.WorkerCrashedError, errors.NodeDiedError,
        errors.OutOfMemoryError,
    )  # fmt: skip


def _short(error: BaseException) -> str:
    """The first line of an error that says something."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[0] if lines else type(error).__name__
