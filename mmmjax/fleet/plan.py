"""What a fleet is going to do: buckets, batches that fit in memory, seconds. Estimates.

Memory of a market in a batch, with C chains, P sampled scalars, K kept draws a chain at
most, D of them in a step, b bytes a number, A the arrays of its problem (data, design,
whitening; sizes from the problem itself):

    host     C (P + 8) b (K + 4 D)      draws and statistics so far; those of a step as
                                        they came, unfolded, and joined
             + 8 A                      the problem, float64
    device   lanes b A                  the problem of every lane
             + C b (4 chunk (P + 8))    a chunk of draws, in and out
             + C b COLUMNS (H + T) w    what a gradient leaves on its way, w columns
             + C b chunk G (H + T) c    of pooled geos: c media of a chunk of draws

On a CPU host and device are the same memory. Half of a host and four fifths of a device
are used.

Seconds: gradients x periods x columns / rate of the device, and a compilation for every
bucket and worker. The rate of a CPU core was measured on the case study; that of an
accelerator is an assumption, no measurement.
"""

import math
from collections.abc import Callable, Container, Hashable, Iterator, Mapping, Sequence
from typing import NamedTuple

import jax
import numpy as np
from rich.table import Table

from mmmjax.arrays import TIME
from mmmjax.fleet.buckets import OWN, Bucket, Shape, buckets, fitted_to, shape_of
from mmmjax.fleet.devices import Machine
from mmmjax.fleet.engine import Ready
from mmmjax.fleet.places import Local, Remote
from mmmjax.fleet.schedule import Part
from mmmjax.infer.lanes import lane_size, most, unfolding
from mmmjax.infer.precondition import Problem, outline
from mmmjax.resources import enough_memory
from mmmjax.samplers import HMC, STATS, kept, most_draws
from mmmjax.shapes import CHANNEL, CONTROL

__all__ = [
    "BucketPlan",
    "FleetPlan",
    "Look",
    "Size",
    "batches_for",
    "plan_fleet",
    "size_of",
]

MOST_CPU = 64  # markets of a batch on a CPU: more gain nothing, fewer end sooner
LEAST = 8  # markets that fill a call of the program on a CPU
HOST, DEVICE = 0.5, 0.8  # of the memory that is used
COLUMNS = 6  # arrays of periods x columns alive in a gradient
RATE_CORE = 1.9e8  # periods x columns a second: 64 markets of the case study, 2 cores
RATE_ACCELERATOR = 1e10  # assumed, not measured
COMPILE = 8.0  # seconds a bucket


class Look(NamedTuple):
    """What the plan needs to know of a market."""

    shape: Shape
    key: Hashable

    @classmethod
    def of(cls, market: Ready) -> "Look":
        """Of a market that can be fitted; its arrays are not kept."""
        spec, sizes = market.spec, market.data.inputs.sizes()
        padded = (TIME, CHANNEL, CONTROL)
        fixed = tuple(sorted((d, n) for d, n in sizes.items() if d not in padded))
        facts = tuple(
            (kind, *((name, x.shape) for name, x in sorted(rows.items())))
            for kind, rows in market.data.facts.items()
        )
        weighed = market.data.target.weight is not None
        return cls(shape_of(market.data), (spec.structure(), fixed, facts, weighed))


class Size(NamedTuple):
    """Bytes of one market in a batch, and of its draws afterwards."""

    host: int
    device: int
    draws: int = 0  # of its draws and statistics, kept in memory or in its file


class BucketPlan(NamedTuple):
    """A bucket and what it is to cost.

    Args:
        bucket: Shape and markets.
        batch: Markets that are sampled together.
        size: Estimated bytes of a market.
        seconds: Estimated, on one worker, without compilation.
    """

    bucket: Bucket
    batch: int
    size: Size
    seconds: float

    @property
    def together(self) -> int:
        """Markets of its largest batch."""
        return min(self.batch, len(self.bucket.markets))

    @property
    def device_bytes(self) -> int:
        """Estimated peak of a batch on its device."""
        return self.together * self.size.device

    @property
    def host_bytes(self) -> int:
        """Estimated peak of a batch on the host."""
        return self.together * self.size.host


class FleetPlan(Sequence[Bucket]):
    """Buckets of a fleet with batches, bytes and seconds; as a sequence, its buckets.

    Args:
        rows: Of every bucket.
        machine: What a worker works on.
        workers: How many there are.
    """

    def __init__(self, rows: Sequence[BucketPlan], machine: Machine, workers: int):
        """Hold the parts."""
        self.rows, self.machine, self.workers = tuple(rows), machine, workers

    def __len__(self) -> int:
        """How many buckets."""
        return len(self.rows)

    def __getitem__(self, i):  # pyright: ignore
        """A bucket, or several."""
        return tuple(row.bucket for row in self.rows)[i]

    def __iter__(self) -> Iterator[Bucket]:
        """Its buckets."""
        return (row.bucket for row in self.rows)

    @property
    def batches(self) -> list[int]:
        """Markets of a batch of each bucket."""
        return [row.batch for row in self.rows]

    @property
    def seconds(self) -> float:
        """Estimate for the whole fleet on all workers, compilation included."""
        busy = [math.ceil(len(r.bucket.markets) / r.batch) for r in self.rows]
        used = max(1, min(self.workers, sum(busy)))
        return sum(row.seconds for row in self.rows) / used + COMPILE * len(self.rows)

    def parts(self) -> list[Part]:
        """Its batches, the same whatever has ended."""
        return [
            Part(i, row.bucket.markets[first : first + row.batch])
            for i, row in enumerate(self.rows)
            for first in range(0, len(row.bucket.markets), row.batch)
        ]

    def check_room(self, place: Local | Remote | None, ended: Container[str]) -> None:
        """Refuse what memory, or the disk of its place, has no room for.

        Args:
            place: Of the files; None: all fits stay in memory.
            ended: Markets that are done with.
        """
        fix = "fewer chains, or fewer draws in a chain"
        for row in self.rows:
            of = f'the draws of "{row.bucket.markets[0]}"'
            enough_memory("fleet", row.size.host, of, fix)
        left = [(sum(n not in ended for n in r.bucket.markets), r.size) for r in self.rows]
        needed = sum(count * size.draws for count, size in left)
        of = f"the draws of {sum(count for count, _ in left)} markets"
        if place is None:
            enough_memory("fleet", needed, of, 'store="runs/x", a folder; or fewer draws')
        else:
            place.room(needed, of)

    def table(self) -> Table:
        """For people, with estimates called so."""
        kind = self.machine.kind
        guess = "" if self.machine.platform == "cpu" else ", rate assumed, not measured"
        title = (
            f"plan: {sum(len(b.markets) for b in self)} markets in {len(self)} shapes on "
            f"{self.workers} x {kind}, about {_time(self.seconds)} (estimate{guess})"
        )
        table = Table(title=title, title_justify="left", box=None, padding=(0, 1))
        for name in ("periods", "channels", "controls", "markets", "batch", "memory",
                     "one worker"):  # fmt: skip
            table.add_column(name, justify="right")
        for row in self.rows:
            shape, peak = row.bucket.shape, max(row.device_bytes, row.host_bytes)
            table.add_row(
                str(shape.periods), str(shape.channels), str(shape.controls),
                str(len(row.bucket.markets)), str(row.batch), f"{peak / 1e6:.0f} MB",
                _time(row.seconds),
            )  # fmt: skip
        return table

    def __repr__(self) -> str:
        """A line for each bucket."""
        lines = [
            f"  {len(r.bucket.markets)} markets of {r.bucket.shape.periods} periods x "
            f"{r.bucket.shape.channels} channels in batches of {r.batch}: about "
            f"{max(r.device_bytes, r.host_bytes) / 1e6:.0f} MB, {_time(r.seconds)}"
            for r in self.rows
        ]
        head = f"FleetPlan: {len(self)} shapes, {self.workers} x {self.machine.kind}, about"
        return "\n".join([f"{head} {_time(self.seconds)} (estimates)", *lines])


def plan_fleet(
    looks: Mapping[str, Look],
    ready: Callable[[str], Ready],
    sampler: HMC,
    machine: Machine,
    workers: int = 1,
    batch: int | Sequence[int] | None = None,
) -> FleetPlan:
    """Buckets of markets, and how many of each are sampled together.

    Args:
        looks: Of the markets that can be fitted.
        ready: Makes one ready again; asked of one market of each bucket.
        sampler: Settings.
        machine: What every worker has.
        workers: How many work at a time.
        batch: Markets of a batch; one for each bucket, in the order of the plan; None
            chooses from the memory.
    """
    keys = {name: look.key for name, look in looks.items()}
    found = buckets({name: look.shape for name, look in looks.items()}, keys)
    sizes, leaps = [], []
    for bucket in found:
        first = ready(bucket.markets[0])
        data = fitted_to(first.data, first.spec, bucket.shape)
        problem = outline(first.spec.structure(), data)
        sizes.append(size_of(problem, sampler))
        leaps.append((most(problem, sampler) + 1) / 2)
    if batch is None:
        batch = batches_for(sizes, [len(b.markets) for b in found], machine, workers)
    each = [batch] * len(found) if isinstance(batch, int) else list(batch)
    if len(each) != len(found):
        each = batches_for(sizes, [len(b.markets) for b in found], machine, workers)
    rows = [
        BucketPlan(b, n, size, _seconds(b, sampler, machine, steps))
        for b, n, size, steps in zip(found, each, sizes, leaps, strict=True)
    ]
    return FleetPlan(rows, machine, workers)


def batches_for(
    sizes: Sequence[Size], counts: Sequence[int], machine: Machine, workers: int = 1
) -> list[int]:
    """Markets of a batch of each bucket: as many as memory takes, all workers busy.

    Args:
        sizes: Of a market of each bucket.
        counts: Markets of each bucket.
        machine: What every worker has.
        workers: How many work at a time.
    """
    cpu = machine.platform == "cpu"
    out = []
    for size, count in zip(sizes, counts, strict=True):
        if cpu:
            fit = HOST * machine.memory / (size.host + size.device)
        else:
            fit = min(
                DEVICE * machine.memory / size.device, HOST * machine.host / size.host
            )
        even = max(LEAST, math.ceil(count / workers))
        most = min(even, MOST_CPU) if cpu else even
        out.append(max(1, min(int(fit), most)))
    return out


def size_of(problem: Problem, sampler: HMC) -> Size:
    """Estimated bytes of one market in a batch; the module says of what."""
    numbers = sum(np.size(x) for x in jax.tree.leaves(problem))
    scalars, chains = problem.center.shape[0], sampler.chains
    wide = 8 if sampler.dtype == "float64" else 4
    together = most_draws(sampler) + 4 * sampler.draws
    host = chains * (scalars + STATS) * wide * together + 8 * numbers
    members = problem.data.inputs.sizes()
    periods = problem.data.inputs.history + members["time"]
    geos, columns = members["geo"], OWN + 2 * members["channel"] + members["control"]
    gradient = COLUMNS * geos * periods * columns
    lanes = chains // lane_size(chains)
    chunk = 4 * sampler.chunk * (scalars + STATS)
    device = wide * (lanes * numbers + chains * (chunk + gradient))
    device += unfolding(problem, sampler)
    return Size(int(host), int(device), kept(sampler, scalars)[0])


def _seconds(bucket: Bucket, sampler: HMC, machine: Machine, steps: float) -> float:
    """Estimate for a bucket on one worker; the module says how."""
    gradients = sampler.chains * (sampler.warmup + sampler.draws) * steps
    cpu = machine.platform == "cpu"
    rate = RATE_CORE * machine.cores if cpu else RATE_ACCELERATOR
    return gradients * bucket.work / rate


def _time(seconds: float) -> str:
    """Seconds for people."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
