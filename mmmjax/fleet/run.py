"""fit_fleet: many markets, one spec, every market with a verdict."""

import contextlib
import dataclasses
import functools
import json
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import pandas as pd

from mmmjax import checks
from mmmjax.arguments import checked
from mmmjax.checks import Phrase, fail
from mmmjax.draws import Fit
from mmmjax.exploration import copies_across
from mmmjax.fleet import cluster as ray_cluster
from mmmjax.fleet.batch import Asked, How, carefully
from mmmjax.fleet.devices import Machine, OnDevice, chosen, machine_of
from mmmjax.fleet.engine import FAILED, Before, Done, Ready, ready
from mmmjax.fleet.places import place
from mmmjax.fleet.plan import FleetPlan, Look, plan_fleet
from mmmjax.fleet.progress import FleetProgress
from mmmjax.fleet.result import Fleet
from mmmjax.fleet.schedule import Make, Part, schedule
from mmmjax.fleet.store import Folder, check_market, read_manifest, row_of, table_of
from mmmjax.panel import Panel
from mmmjax.resources import Unwritten
from mmmjax.samplers import HMC, Sampler, most_draws
from mmmjax.spec import Spec

__all__ = ["USUAL", "fit_fleet", "refresh_fleet"]

USUAL = HMC(chains=4, warmup=250, draws=800, max_draws=4000)


@checked
def fit_fleet(
    spec: Spec | Mapping[str, Spec],
    panels: Mapping[str, Panel],
    sampler: Sampler | None = None,
    *,
    store: str | Path | None = None,
    seed: int = 0,
    on_empty: Literal["error", "drop", "prior"] = "drop",
    refit: bool = True,
    batch: int | None = None,
    devices: Sequence[Any] | None = None,
    cluster: str | None = None,
    check_precision: bool | None = None,
    progress: bool | None = None,
) -> Fleet:
    """Fit many independent markets; each ends with a status, none stops the others.

    Markets are padded to a few shapes and sampled in lock-step, a batch of a shape at a
    time, each batch on one device. Those that do not converge go on with the others that
    do not, up to ``sampler.max_draws``, and are then fitted alone by NUTS. The seed of a
    market is made of ``seed`` and its name: its draws do not depend on the other markets.

    Args:
        spec: The model, or one for each market.
        panels: Training data by market; markets may differ in length, channels, controls.
            Those of different numbers of geos share no program.
        sampler: Settings; by default 4 chains of 250 + 800, until R-hat is at most 1.01
            and ESS at least 100 a chain, up to 4,000 draws a chain.
        store: Folder to keep every market in as it ends. The same call goes on with a
            folder whose run was stopped, repeats no market that has ended and gives the
            draws that it would have given. None: all fits stay in memory.
        seed: Of the fleet.
        on_empty: As for :func:`mmmjax.fit`; by default a market is fitted without what
            never changes in it, and its row says so.
        refit: Whether markets that do not converge are fitted alone by NUTS.
        batch: Markets that are sampled together. Another one rounds otherwise, so a store
            goes on with its own only. None takes the store's, and in a new one what the
            memory of the devices holds (at most 64 on a CPU); ``fleet.plan`` says it.
        devices: Where to fit, a batch on each at a time; None: all local devices.
        cluster: Fit on a Ray cluster, one process on each of its GPUs (on each core where
            it has none), which write to ``store``: the address, or "auto" for the one that
            runs here, started if there is none. A process that dies is replaced.
        check_precision: Whether the float32 log densities of two converged markets of each
            batch are compared with float64, and markets where they vary by more than 0.1
            nat refitted in float64. None: on accelerators.
        progress: Show the plan and live progress; None shows them on a terminal only.

    Returns:
        The fleet: ``fleet.table`` has a row for each market, ``fleet[name]`` its fit.

    Raises:
        InputError: No markets, specs that are missing, settings out of range, a store that
            holds another fleet, devices or a cluster that cannot be used. Bad data of a
            market are its status, no error.
        Unavailable: No worker of the cluster could be started, or all keep dying.
        Unwritten: (an OSError) A full disk; what has ended is kept, the same call goes on.
    """
    specs = _specs(spec, panels)
    sampler, seed, batch = _settings(sampler, seed, batch)
    doubts: dict[str, str] = {}
    for finding in copies_across(panels):
        for name in finding.where:
            doubts.setdefault(name, f"{finding.what}. {finding.remedy}")
    run = _Run(specs, panels, sampler, seed, on_empty, refit, check_precision, doubts)
    return run.done(store, batch, devices, cluster, progress)


@checked
def refresh_fleet(
    fleet: Mapping[str, Fit],
    panels: Mapping[str, Panel],
    sampler: Sampler | None = None,
    *,
    discount: float = 1.0,
    channels: Mapping[str, str] | None = None,
    store: str | Path | None = None,
    seed: int = 0,
    refit: bool = True,
    batch: int | None = None,
    devices: Sequence[Any] | None = None,
    cluster: str | None = None,
    check_precision: bool | None = None,
    progress: bool | None = None,
) -> Fleet:
    """Bring every market of a fleet up to date with the rows that came after its fit.

    Each market is what :func:`mmmjax.refresh` makes of it, in the units, priors and clock
    of its fit; they are sampled together as :func:`fit_fleet` does, and each ends with a
    status. :func:`mmmjax.drift` of both fleets says what moved.

    Args:
        fleet: Fits by market; of a fleet that was opened they are read as needed.
        panels: The tables of now, by market; markets that are not in it are left out, one
            without a fit, or without rows after its training, is refused.
        sampler: As for :func:`fit_fleet`, not that of the earlier fits.
        discount: How much of what was known still counts, (0, 1].
        channels: As for :func:`mmmjax.refresh`; each market takes what concerns it.
        store: A folder of its own, as for :func:`fit_fleet`.
        seed: Of the fleet.
        refit: As for :func:`fit_fleet`, like all that follow.
        batch: Markets that are sampled together.
        devices: Where to fit.
        cluster: Address of a Ray cluster, or "auto".
        check_precision: Whether float32 is checked against float64.
        progress: Show live progress; None shows it on a terminal only.

    Returns:
        The fleet of now, with a row for each market of ``panels``.

    Raises:
        InputError: No markets, settings out of range, a store that holds another fleet,
            devices or a cluster that cannot be used.
        Unavailable: No worker of the cluster could be started, or all keep dying.
        Unwritten: (an OSError) A full disk; what has ended is kept.
    """
    discount = checks.number("discount", discount, low=0, high=1, open_low=True)
    sampler, seed, batch = _settings(sampler, seed, batch)
    _named(panels)
    known = {"discount": discount, "channels": dict(channels or {})}
    specs = {name: fleet[name].spec for name in panels if name in fleet}
    run = _Run(
        specs, panels, sampler, seed, "error", refit, check_precision, {}, fleet, known
    )
    return run.done(store, batch, devices, cluster, progress)


def _settings(
    sampler: Sampler | None, seed: int, batch: int | None
) -> tuple[HMC, int, int | None]:
    """Settings of a fleet, checked."""
    sampler = USUAL if sampler is None else sampler
    seed = checks.integer("seed", seed, low=0, high=2**32 - 1)
    if batch is not None:
        batch = checks.integer("batch", batch, low=1, fix="batch=64")
    if not isinstance(sampler, HMC):
        fix = "mm.HMC(chains=4)"
        fail("sampler", sampler, "", "mm.HMC: fleets are sampled in lock-step", fix)
    return sampler, seed, batch


def _cluster(address: str, store: Any, devices: Any) -> ray_cluster.Cluster:
    """A cluster that can be used for this."""
    if not isinstance(address, str) or not address:
        fix = 'cluster="auto"'
        fail("cluster", address, "", '"auto" or the address of a Ray cluster', fix)
    if store is None:
        fail("store", None, "for a cluster", "a folder that all its machines share, or a "
             "URL: workers write finished markets there", 'store="runs/x"')  # fmt: skip
    if devices is not None:
        fail("devices", Phrase("some, and a cluster"), "", "devices of this machine or a "
             "cluster", "leave devices out: workers have their own")  # fmt: skip
    return ray_cluster.connected(address)


@dataclasses.dataclass(frozen=True)
class _Run:
    """What is asked, wherever it is done."""

    specs: Mapping[str, Spec]
    panels: Mapping[str, Panel]
    sampler: HMC
    seed: int
    on_empty: Any
    refit: bool
    check: bool | None
    doubts: Mapping[str, str]
    fleet: Mapping[str, Fit] | None = None  # what is refreshed
    known: Mapping[str, Any] = dataclasses.field(default_factory=dict)  # and how

    def done(
        self,
        store: Any,
        batch: int | None,
        devices: Any,
        cluster: str | None,
        progress: Any,
    ) -> Fleet:
        """Fit, wherever that is asked."""
        where = None if cluster is None else _cluster(cluster, store, devices)
        with contextlib.nullcontext() if store is None else place(store).only_run():
            if where is None:
                return self.here(chosen(devices), store, batch, progress)
            there = ray_cluster.absolute(store or "")
            return self.there(where, there, batch, progress)

    def what(self, name: str) -> Spec | Before:
        """What is fitted to a market's data: its model, or the fit that is refreshed."""
        if self.fleet is None:
            return self.specs[name]
        return Before(self.fleet[name] if name in self.specs else None, **self.known)

    def here(
        self, devices: Sequence[Any], store: Any, batch: int | None, progress: Any
    ) -> Fleet:
        """Fit on devices of this process, a thread for each."""
        machine = machine_of(devices[0]).shared(len(devices))
        board = _Board(self)
        makes = [
            lambda _, d=device: OnDevice(d, machine.cores, board.fit) for device in devices
        ]
        return self._fit(board, makes, machine, store, batch, progress)

    def there(
        self, where: ray_cluster.Cluster, store: str, batch: int | None, progress: Any
    ) -> Fleet:
        """Fit on a cluster; its first process says what machines it has."""
        board = _Board(self)
        new = functools.partial(ray_cluster.OnActor, where, store, board.job, board.told)
        spare = [new()]

        def make(stop: threading.Event) -> ray_cluster.OnActor:
            try:
                return spare.pop()
            except IndexError:
                return new(stop)

        try:
            machine, makes = spare[0].hello.machine, [make] * where.workers
            return self._fit(board, makes, machine, store, batch, progress)
        finally:
            for worker in spare:
                worker.close()

    def _fit(
        self, board: "_Board", makes: Sequence[Make], machine: Machine, store: Any,
        batch: int | None, progress: bool | None,
    ) -> Fleet:  # fmt: skip
        """Plan, open the store, fit what has not ended."""
        looks, refused = {}, []
        for name in self.panels:
            found = self.ready(name)
            if isinstance(found, Ready):
                looks[name] = Look.of(found)
            else:
                refused.append(found)
        known = read_manifest(store) if batch is None and store is not None else None
        used = (known or {}).get("batch", batch)
        plan = plan_fleet(looks, self.ready, self.sampler, machine, len(makes), used)
        board.plan = plan
        if store is not None:
            used = used if isinstance(used, int) else plan.batches
            board.folder = Folder(store, self._manifest(used))
            board.rows = board.folder.rows()
        plan.check_room(board.folder and board.folder.place, board.rows)
        order = list(self.panels)
        try:
            with FleetProgress(len(order), len(board.rows), progress) as board.shown:
                board.shown.plan(plan)
                for done in refused:
                    if done.name not in board.rows:
                        board.emit(done)
                schedule(plan.parts(), makes, board.left, board.kills)
            table = table_of(board.rows, order)
            if board.folder:
                board.folder.write_tables(order)
        except OSError as error:
            kept = f"{len(board.rows)} of {len(order)} markets have ended and are whole"
            why = f"{error.strerror}. {kept}. Make room, and the same call goes on"
            raise Unwritten(error.errno, why, error.filename or str(store)) from error
        return Fleet(table, plan, board.folder or board.fits, board.channels)

    def ready(self, name: str) -> Any:
        """A market's data checked and scaled, or how it ended."""
        doubt = self.doubts.get(name, "")
        what, panel = self.what(name), self.panels[name]
        return ready(name, what, panel, self.seed, self.on_empty, doubt)

    def _manifest(self, batch: int | list[int]) -> dict[str, Any]:
        """What decides the draws of a fleet."""
        sampler, until = self.sampler, None
        if sampler.until is not None:  # in numbers: what they come from may change
            least = sampler.until.least(sampler.chains)
            until = {"r_hat": sampler.until.r_hat, "ess": least}
        how = {"until": until, "max_draws": most_draws(sampler)}
        refreshed: dict[str, Any] = {}
        if self.fleet is not None:
            asked = json.dumps(self.known, sort_keys=True)
            of = lambda fit: f"{fit.panel.data_hash()} {fit.seed} {fit.draws.n_draws}"
            refreshed["refreshed"] = {
                name: f"{of(self.fleet[name])} {asked}" for name in self.specs
            }
        specs = _dicts(self.specs)
        return {
            "seed": self.seed,
            "sampler": {"kind": sampler.kind, **dataclasses.asdict(sampler), **how},
            "on_empty": self.on_empty,
            "refit": self.refit,
            "batch": batch,
            "check_precision": self.check,
            "spec": {name: specs.get(name, {}) for name in self.panels},
            "data": {name: panel.data_hash() for name, panel in self.panels.items()},
            **refreshed,
        }


class _Board:
    """What has ended, for all workers."""

    def __init__(self, run: _Run):
        """Nothing has."""
        self.run, self.turn = run, threading.Lock()
        self.rows: dict[str, dict[str, Any]] = {}
        self.fits: dict[str, Fit] = {}
        self.channels: dict[str, pd.DataFrame] = {}
        self.folder: Folder | None = None
        self.plan: FleetPlan
        self.shown: FleetProgress

    def left(self, part: Part) -> list[str]:
        """Markets of a part that have not ended."""
        return [name for name in part.markets if name not in self.rows]

    def emit(self, done: Done) -> None:
        """A market has ended here."""
        row = self.folder.write(done) if self.folder else row_of(done)
        if done.fit is not None and self.folder is None:
            self.fits[done.name] = done.fit
            if done.channels is not None:
                self.channels[done.name] = done.channels
        self.told(row)

    def told(self, row: dict[str, Any]) -> None:
        """A market has ended, and was written, here or elsewhere."""
        with self.turn:
            if row["market"] not in self.rows:
                self.rows[row["market"]] = row
                self.shown.ended(row["status"])

    def kills(self, name: str, how: str) -> None:
        """A market that its worker does not survive."""
        self.emit(Done(name, FAILED, how))

    def job(self, part: Part) -> ray_cluster.Job:
        """What is left of a part, and how it is fitted."""
        run, row = self.run, self.plan.rows[part.bucket]
        self.shown.bucket(part.bucket + 1, len(self.plan), row.bucket.shape)
        how = How(
            row.bucket.shape, run.sampler, run.seed, run.on_empty, row.batch, run.refit,
            run.check,
        )  # fmt: skip
        asked = [
            Asked(n, run.what(n), run.panels[n], run.doubts.get(n, ""))
            for n in self.left(part)
        ]
        return ray_cluster.Job(asked, how)

    def fit(self, part: Part) -> None:
        """Fit a part on this thread's device."""
        asked, how = self.job(part)
        carefully(asked, how, self.emit, self.rows)


def _specs(spec: Spec | Mapping[str, Spec], panels: Mapping[str, Panel]) -> dict[str, Spec]:
    """The spec of every market."""
    _named(panels)
    if isinstance(spec, Spec):
        return dict.fromkeys(panels, spec)
    missing = [name for name in panels if name not in spec]
    if missing:
        fix = "give one for every market, or one Spec for all"
        fail("spec", Phrase(f'none for "{missing[0]}"'), "", "specs by market", fix)
    return {name: spec[name] for name in panels}


def _named(panels: Mapping[str, Panel]) -> None:
    """Refuse no markets, and names that no file can have."""
    if not panels:
        fix = 'mm.fit_fleet(spec, {"de": panel_de, "fr": panel_fr})'
        fail("panels", Phrase("no markets"), "", "panels by market", fix)
    for name in panels:
        check_market(name)


def _dicts(specs: Mapping[str, Spec]) -> dict[str, Any]:
    """Specs as data; those that are equal are one object."""
    made: dict[Spec, Any] = {}
    for one in specs.values():
        if one not in made:
            made[one] = one.to_dict()
    return {name: made[one] for name, one in specs.items()}
