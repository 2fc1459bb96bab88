"""fit_fleet: many markets, one spec, every market with a verdict."""

import dataclasses
import math
from collections.abc import Callable, Container, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple

import pandas as pd
import xarray as xr

from mmmjax import checks
from mmmjax.checks import Phrase, fail
from mmmjax.draws import Fit
from mmmjax.fleet.buckets import Bucket, Shape, buckets, shape_of
from mmmjax.fleet.engine import FAILED, USABLE, Done, Ready, ready, sample
from mmmjax.fleet.progress import FleetProgress
from mmmjax.fleet.store import Folder, row_of, table_of
from mmmjax.fleet.trees import channels_of, fleet_tree
from mmmjax.infer.lanes import lane_size
from mmmjax.infer.threads import in_batches
from mmmjax.panel import Panel
from mmmjax.samplers import HMC, Converged, Sampler
from mmmjax.spec import Spec

__all__ = ["USUAL", "Fleet", "fit_fleet"]

USUAL = HMC(chains=4, warmup=250, draws=800, until=Converged(), max_draws=4000)
WIDTH = 8  # lanes that a call of the program moves on a CPU: wider ones leave its caches
OUT_OF_MEMORY = ("RESOURCE_EXHAUSTED", "out of memory", "Out of memory")


class Fleet(Mapping[str, Fit]):
    """Fits by market, read from the folder when they are asked for.

    Args:
        table: A row for each market: market, status, reason, r_hat, min_ess, divergences,
            seconds. Refused and failed ones have no fit.
        plan: Which markets shared programs.
        fits: Fits in memory, or the folder that has them.
    """

    def __init__(
        self, table: pd.DataFrame, plan: Sequence[Bucket], fits: dict[str, Fit] | Folder
    ):
        """Hold the parts."""
        self.table, self.plan, self._fits = table, tuple(plan), fits
        have = set(fits.fitted() if isinstance(fits, Folder) else fits)
        self._names = [name for name in table["market"] if name in have]

    def __getitem__(self, name: str) -> Fit:
        """The fit of a market; KeyError where it has none, with the reason."""
        if name not in self._names:
            row = self.table[self.table["market"] == name]
            why = "no such market" if row.empty else f"{row.status.iloc[0]}: "
            raise KeyError(f"{name}: {why}{'' if row.empty else row.reason.iloc[0]}")
        if isinstance(self._fits, Folder):
            return self._fits.load(name)
        return self._fits[name]

    def __iter__(self) -> Iterator[str]:
        """Names of markets with a fit, in the order of the fleet."""
        return iter(self._names)

    def __len__(self) -> int:
        """How many markets have a fit."""
        return len(self._names)

    @property
    def usable(self) -> dict[str, Fit]:
        """Fits that converged: what a budget over markets should be made of."""
        good = set(self.table["market"][self.table["status"].isin(USABLE)])
        return {name: self[name] for name in self if name in good}

    def __repr__(self) -> str:
        """How many ended how, and what to ask next."""
        counts = self.table["status"].value_counts()
        said = ", ".join(f"{count} {status}" for status, count in counts.items())
        shapes = ", ".join(
            f"{len(b.markets)} of {b.shape.periods} periods x {b.shape.channels} channels"
            for b in self.plan
        )
        return (
            f"Fleet: {len(self.table)} markets: {said}\n"
            f"  shapes   {len(self.plan)}: {shapes}\n"
            f'  next     fleet.table, fleet["{next(iter(self), "")}"], '
            "mm.optimize(fleet.usable, ...)"
        )

    @property
    def channels(self) -> pd.DataFrame:
        """Rows of channels.csv of all markets with a fit, ``market`` first."""
        return channels_of(self._fits, self._names)

    def to_tree(self, markets: Iterable[str] | None = None) -> xr.DataTree:
        """One child for each market with a fit, opened lazily; see `trees`."""
        return fleet_tree(self._fits, self._names, markets)


def fit_fleet(
    spec: Spec | Mapping[str, Spec],
    panels: Mapping[str, Panel],
    sampler: Sampler | None = None,
    *,
    store: str | Path | None = None,
    seed: int = 0,
    on_empty: Literal["error", "drop", "prior"] = "error",
    refit: bool = True,
    batch: int = 64,
    progress: bool | None = None,
) -> Fleet:
    """Fit many independent markets; each ends with a status, none stops the others.

    Markets are padded to a few shapes and sampled in lock-step, a batch of a shape at a
    time. Those that do not converge go on with the others that do not, up to
    ``sampler.max_draws``, and are then fitted alone by NUTS. The seed of a market is made
    of ``seed`` and its name: its draws do not depend on the other markets.

    Args:
        spec: The model, or one for each market.
        panels: Training data by market; markets may differ in length, channels, controls.
            Those of different numbers of geos share no program.
        sampler: Settings; by default 4 chains of 250 + 800, until R-hat is at most 1.01
            and ESS at least 400, up to 4,000 draws a chain.
        store: Folder to keep every market in as it ends. The same call goes on with a
            folder whose run was stopped, repeats no market that has ended and gives the
            draws that it would have given. None: all fits stay in memory.
        seed: Of the fleet.
        on_empty: As for :func:`mmmjax.fit`.
        refit: Whether markets that do not converge are fitted alone by NUTS.
        batch: Markets that are sampled together: it bounds memory. Another one rounds
            otherwise, so a store goes on with its own only.
        progress: Show live progress; None shows it on a terminal only.

    Returns:
        The fleet: ``fleet.table`` has a row for each market, ``fleet[name]`` its fit.

    Raises:
        InputError: No markets, specs that are missing, settings out of range, or a store
            that holds another fleet. Bad data of a market are its status, no error.
    """
    sampler = USUAL if sampler is None else sampler
    seed = checks.integer("seed", seed, low=0, high=2**32 - 1)
    batch = checks.integer("batch", batch, low=1, fix="batch=64")
    specs = _specs(spec, panels)
    if not isinstance(sampler, HMC):
        fix = "mm.HMC(chains=4, until=mm.Converged())"
        fail("sampler", sampler, "", "mm.HMC: fleets are sampled in lock-step", fix)
    order = list(panels)
    folder = None
    if store is not None:
        folder = Folder(
            store, _manifest(specs, panels, sampler, seed, on_empty, refit, batch)
        )
    rows = folder.rows() if folder else {}
    fits: dict[str, Fit] = {}

    def emit(done: Done) -> None:
        rows[done.name] = folder.write(done) if folder else row_of(done)
        if done.fit is not None and folder is None:
            fits[done.name] = done.fit
        shown.ended(done.status)

    with FleetProgress(len(order), len(rows), progress) as shown:
        plan = _fit(specs, panels, sampler, seed, on_empty, refit, batch, rows, emit, shown)
    table = table_of(rows, order)
    if folder:
        folder.write_table(table)
    return Fleet(table, plan, folder or fits)


def _fit(
    specs: Mapping[str, Spec], panels: Mapping[str, Panel], sampler: HMC, seed: int,
    on_empty: Any, refit: bool, batch: int, rows: Mapping[str, Any], emit: Any,
    shown: FleetProgress,
) -> list[Bucket]:  # fmt: skip
    """Plan buckets of all markets, sample those that have not ended."""
    markets: dict[str, Ready] = {}
    for name, panel in panels.items():
        found = ready(name, specs[name], panel, seed, on_empty)
        if isinstance(found, Ready):
            markets[name] = found
        elif name not in rows:
            emit(found)
    keys = {n: (m.spec.structure(), m.panel.n_geos) for n, m in markets.items()}
    plan = buckets({n: shape_of(m.data) for n, m in markets.items()}, keys)
    width = _width(sampler, batch)
    for number, bucket in enumerate(plan, 1):
        todo = [markets[n] for n in bucket.markets if n not in rows]
        for first in range(0, len(todo), batch):
            shown.bucket(number, len(plan), bucket.shape)
            how = _How(bucket.shape, sampler, width, emit, refit, rows)
            _careful(todo[first : first + batch], how)
    return plan


def _width(sampler: HMC, batch: int) -> int:
    """Lanes of a call: all of a batch on an accelerator, a few in each thread on a CPU."""
    each = sampler.chains // lane_size(sampler.chains)
    return each * batch if in_batches() else min(WIDTH, each * batch)


class _How(NamedTuple):
    """How batches of a bucket are sampled."""

    shape: Shape
    sampler: HMC
    width: int
    emit: Callable[[Done], None]
    refit: bool
    ended: Container[str]


def _careful(markets: list[Ready], how: _How) -> None:
    """A batch; in halves where memory is short, and never an end of the fleet."""
    try:
        sample(markets, how.shape, how.sampler, how.width, how.emit, how.refit)
    except Exception as error:
        left = [market for market in markets if market.name not in how.ended]
        short = any(word in str(error) for word in OUT_OF_MEMORY)
        if not (short or isinstance(error, MemoryError)) or len(markets) == 1:
            for market in left:
                how.emit(Done(market.name, FAILED, f"{type(error).__name__}: {error}"))
            return
        half = math.ceil(len(left) / 2)
        less = how._replace(width=max(1, math.ceil(how.width / 2)))
        for part in (left[:half], left[half:]):
            if part:
                _careful(part, less)


def _specs(spec: Spec | Mapping[str, Spec], panels: Mapping[str, Panel]) -> dict[str, Spec]:
    """The spec of every market."""
    if not panels:
        fix = 'mm.fit_fleet(spec, {"de": panel_de, "fr": panel_fr})'
        fail("panels", Phrase("no markets"), "", "panels by market", fix)
    if isinstance(spec, Spec):
        return dict.fromkeys(panels, spec)
    missing = [name for name in panels if name not in spec]
    if missing:
        fix = "give one for every market, or one Spec for all"
        fail("spec", Phrase(f'none for "{missing[0]}"'), "", "specs by market", fix)
    return {name: spec[name] for name in panels}


def _manifest(
    specs: Mapping[str, Spec], panels: Mapping[str, Panel], sampler: HMC, seed: int,
    on_empty: str, refit: bool, batch: int,
) -> dict[str, Any]:  # fmt: skip
    """What decides the draws of a fleet."""
    return {
        "seed": seed,
        "sampler": {"kind": sampler.kind, **dataclasses.asdict(sampler)},
        "on_empty": on_empty,
        "refit": refit,
        "batch": batch,
        "spec": {name: s.to_dict() for name, s in specs.items()},
        "data": {name: panel.data_hash() for name, panel in panels.items()},
    }
