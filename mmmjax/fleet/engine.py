"""A batch of markets of one shape: from panels to fits with a verdict each.

Nothing raises in the middle. A market whose data cannot be fitted is refused, one that
fails is reported, one that does not converge goes on with the others that do not, and is
then fitted alone by NUTS; none of them touches another.
"""

import dataclasses
import hashlib
import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import jax
import numpy as np
import pandas as pd

from mmmjax.checks import InputError, Phrase, fail, listing
from mmmjax.draws import Draws, Fit
from mmmjax.exploration import ends
from mmmjax.fleet.buckets import Shape, fitted_to
from mmmjax.fleet.scores import Scores, scores_of, verdict_of
from mmmjax.infer import lanes as engine
from mmmjax.infer.density import Problem
from mmmjax.infer.fit import machine, sampled
from mmmjax.infer.judge import Verdict
from mmmjax.infer.lanes import Lanes
from mmmjax.infer.laplace import whitened_together
from mmmjax.infer.lockstep import Draw
from mmmjax.infer.precondition import shear
from mmmjax.infer.progress import Progress
from mmmjax.infer.threads import go_on, in_batches, pool
from mmmjax.infer.warmup import warm_up
from mmmjax.model import ModelData
from mmmjax.panel import Panel
from mmmjax.prepare import prepare
from mmmjax.refreshing import REFRESHED, Renewed, renewed
from mmmjax.samplers import HMC, NUTS, most_draws
from mmmjax.scaling import Scale
from mmmjax.spec import Spec

__all__ = ["Before", "Done", "Ready", "alone", "market_seed", "ready", "sample", "scored"]

CONVERGED = "converged"
REFITTED = "refitted"  # converged, alone by NUTS after lock-step had not
NOT_CONVERGED = "not converged"
REFUSED = "refused"
FAILED = "failed"
USABLE = (CONVERGED, REFITTED)
WAVE = 16  # markets that are sampled together on a CPU
ALONE = NUTS(chains=4, warmup=1000, draws=1000, target_accept=0.9)

type Emit = Callable[["Done"], None]


@dataclass(frozen=True)
class Ready:
    """A market that can be fitted.

    Args:
        name: Of the market.
        spec: Its model.
        panel: Its training data.
        scale: Its units.
        data: Arrays, not yet padded.
        seed: Of everything random of this market.
        notes: What was said at the door.
        without: What of that its row says: columns that were left out.
        doubt: What its data leave in doubt: their ends, and what other markets have too.
        about: What the record of its fit says too.
    """

    name: str
    spec: Spec
    panel: Panel
    scale: Scale
    data: ModelData
    seed: int
    notes: tuple[str, ...]
    without: str = ""
    doubt: str = ""
    about: Mapping[str, Any] = field(default_factory=dict)

    def own(self, params: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Parameters of what the market has, out of those of its bucket's arrays."""
        sizes, dims = self.spec.sizes(self.panel), self.spec.dims
        absent = set(self.spec.parameters) - set(self.spec.present(sizes))
        without = lambda n: any(n == a or n.startswith(f"{a}_") for a in absent)
        cut = lambda n: (..., *(slice(sizes.get(d)) for d in dims(n)))
        return {n: x[cut(n)] for n, x in params.items() if not without(n)}

    def fit(self, sampler: Any, draws: Draws, info: dict[str, Any]) -> Fit:
        """A fit of this market."""
        known = info | dict(self.about)
        return Fit(self.spec, self.panel, self.scale, sampler, draws, self.seed, known)


class Before(NamedTuple):
    """What a market was, to be refreshed.

    Args:
        fit: Its fit; None: it has none.
        discount: How much of it still counts.
        channels: New and ended channels, as :func:`mmmjax.refresh` takes them; those that
            do not concern the market are no matter.
    """

    fit: Fit | None
    discount: float = 1.0
    channels: Mapping[str, str] = {}

    def renewed(self, panel: Panel) -> Renewed:
        """What is sampled of it now."""
        if self.fit is None:
            got, allowed = Phrase("none"), "a fit of the market"
            fail("fit", got, "before", allowed, "fit it with mm.fit_fleet")
        old, now = self.fit.panel.channels, panel.channels
        concerned = {n for n in old if n not in now} | {n for n in now if n not in old}
        channels = {n: like for n, like in self.channels.items() if n in concerned}
        return renewed(self.fit, panel, self.discount, channels)


@dataclass(frozen=True)
class Done:
    """How a market ended.

    Args:
        name: Of the market.
        status: "converged", "refitted", "not converged", "refused" or "failed".
        reason: Why, unless it converged at once; what went on before that.
        fit: The fit; None if it was refused or failed.
        verdict: R-hat, ESS and divergences of the fit.
        seconds: Its share of the time of its batch, compilation left out.
        crps: Of the posterior predictive over the training window, outcome units.
        coverage: Share of the observed outcomes inside their 94% interval.
        channels: The columns of channels.csv of this market.
        adequate: Whether the data leave the model uncontradicted; None: not judged.
        finding: What contradicts it most, or what else is worth knowing.
        data: What its data leave in doubt.
    """

    name: str
    status: str
    reason: str = ""
    fit: Fit | None = None
    verdict: Verdict | None = None
    seconds: float = math.nan
    crps: float = math.nan
    coverage: float = math.nan
    channels: pd.DataFrame | None = None
    adequate: bool | None = None
    finding: str = ""
    data: str = ""


def market_seed(seed: int, name: str) -> int:
    """Seed of a market: of its name and the fleet's seed, not of its place."""
    digest = hashlib.sha256(f"{seed}\0{name}".encode()).digest()
    return int.from_bytes(digest[:4], "little")


def ready(
    name: str, what: Spec | Before, panel: Panel, seed: int, on_empty: Any, doubt: str = ""
) -> Ready | Done:
    """Check and scale the data of a market; how it ended if they cannot be fitted.

    Args:
        name: Of the market.
        what: Its model, or the fit that is refreshed.
        panel: Its training data.
        seed: Of the fleet.
        on_empty: As :func:`mmmjax.fit` has it.
        doubt: What the other markets' data say about its own.
    """
    about: dict[str, Any] = {}
    try:
        if isinstance(what, Before):
            found = what.renewed(panel)
            about = {REFRESHED: found.record}
        else:
            found = prepare(what, panel, on_empty)
    except InputError as error:
        return Done(name, REFUSED, str(error))
    except Exception as error:  # another market's data must not end the fleet
        return Done(name, FAILED, f"{type(error).__name__}: {error}")
    kept, named = found.panel, (*panel.channels, *panel.control_names)
    gone = [n for n in named if n not in (*kept.channels, *kept.control_names)]
    why = "which the fit of before lacks" if about else "which never change"
    without = f"without {listing(gone)}, {why}" if gone else ""
    mine = market_seed(seed, name)
    place = f'[market."{name}".data]'
    said = [f"{f.what}. {f.remedy}".replace("[data]", place) for f in ends(panel)]
    doubt = "; ".join(filter(None, [doubt, *said]))
    notes = tuple(found.notes)
    parts = (found.spec, kept, found.scale, found.data, mine, notes, without, doubt, about)
    return Ready(name, *parts)


@dataclass
class _Run:
    """A market on its way: its problem, and the draws so far."""

    market: Ready
    problem: Problem
    compiled: float
    seconds: float = 0.0
    params: list[dict[str, np.ndarray]] = field(default_factory=list)
    stats: list[dict[str, np.ndarray]] = field(default_factory=list)
    restarts: list[str] = field(default_factory=list)

    @property
    def draws(self) -> Draws:
        """All draws so far."""
        join = lambda parts: {n: np.concatenate([p[n] for p in parts], 1) for n in parts[0]}
        return Draws(join(self.params), join(self.stats))


class _How(NamedTuple):
    """How the markets of a batch are fitted."""

    shape: Shape
    sampler: HMC
    width: int
    emit: Emit
    refit: bool


def sample(
    markets: Sequence[Ready],
    shape: Shape,
    sampler: HMC,
    width: int,
    emit: Emit,
    refit: bool = True,
) -> None:
    """Fit markets of one shape together; tell of each as soon as it has ended.

    On a CPU they go in waves: while one is sampled the next is prepared and the last is
    scored, which leaves no core waiting.

    Args:
        markets: Of one bucket.
        shape: Its shape.
        sampler: Settings; ``until`` says when a market is done.
        width: Lanes that one call of the program moves.
        emit: Told how each market ended, from a thread of its own.
        refit: Whether those that do not converge are fitted alone by NUTS.
    """
    how = _How(shape, sampler, width, emit, refit)
    size = len(markets) if in_batches() else max(WAVE, _at_once(how))
    waves = [markets[i : i + size] for i in range(0, len(markets), size)]
    ended: list[Future[None]] = []
    with pool(1) as after, pool(1) as ahead:
        try:
            coming = ahead.submit(_prepared, waves[0], how)
            for following in [*waves[1:], []]:
                runs = coming.result()
                coming = ahead.submit(_prepared, following, how)
                for run, verdict in _sampled(runs, how):
                    ended.append(after.submit(_end, run, verdict, how))
                for job in ended:
                    if job.done():
                        job.result()  # what could not be written ends the batch
        except KeyboardInterrupt:
            after.shutdown(cancel_futures=True)
            raise
    for job in ended:
        job.result()


def _at_once(how: _How) -> int:
    """Markets that one call of the program moves."""
    return max(1, how.width // (how.sampler.chains // engine.lane_size(how.sampler.chains)))


def _sampled(runs: list[_Run], how: _How) -> Iterator[tuple[_Run, Verdict]]:
    """Markets as they have what `until` asks for, or as many draws as they may."""
    if not runs:
        return
    began, sampler, total = time.perf_counter(), how.sampler, len(runs)
    structure = runs[0].market.spec.structure()
    n_warm, n_draw = (math.ceil(n / sampler.chunk) for n in (sampler.warmup, sampler.draws))
    with jax.enable_x64(sampler.dtype == "float64"):
        problems = [run.problem for run in runs]
        seeds = [run.market.seed for run in runs]
        lanes = Lanes(problems, structure, sampler, seeds, how.width)
        for at, found in warm_up(lanes, n_warm, _silent):
            for m, chains in found.items():
                runs[m].restarts += [f"chain {c} restarted at {at}" for c in chains]
        done, most = n_warm, n_warm + math.ceil(most_draws(sampler) / sampler.chunk)
        while runs:
            now = min(n_draw, most - done)
            _advance(lanes, runs, done, now)
            done += now
            verdicts = [Verdict.of(run.draws) for run in runs]
            left = [
                m for m, found in enumerate(verdicts)
                if done < most and not _enough(found, sampler)
            ]  # fmt: skip
            share = (time.perf_counter() - began - lanes.seconds) / total
            for m in sorted(set(range(len(runs))) - set(left)):
                runs[m].seconds += share
                yield runs[m], verdicts[m]
            if left:
                lanes = lanes.part(left)
            runs = [runs[m] for m in left]


def _silent(*_: Any) -> None:
    """No report."""


def _prepared(markets: Sequence[Ready], how: _How) -> list[_Run]:
    """Preconditioned problems; markets that fail here are told of."""
    began, runs = time.perf_counter(), []
    for market in markets:
        go_on()
        try:
            data = fitted_to(market.data, market.spec, how.shape)
            problem, compiled = shear(market.spec.structure(), data)
            runs.append(_Run(market, problem, compiled))
        except Exception as error:  # this market's; the others go on
            _failed(market, error, how)
    if not runs:
        return []
    problems, seeds = [run.problem for run in runs], [run.market.seed for run in runs]
    structure = runs[0].market.spec.structure()
    found, compiled = whitened_together(problems, structure, seeds, _at_once(how))
    runs[0].compiled += compiled
    share = time.perf_counter() - began - sum(run.compiled for run in runs)
    out = []
    for run, problem in zip(runs, found, strict=True):
        if isinstance(problem, Exception):
            _failed(run.market, problem, how)
        else:
            run.problem, run.seconds = problem, share / len(runs)
            out.append(run)
    return out


def _failed(market: Ready, error: Exception, how: _How) -> None:
    how.emit(Done(market.name, FAILED, f"{type(error).__name__}: {error}"))


def _advance(lanes: Lanes, runs: list[_Run], done: int, now: int) -> None:
    """So many more chunks of draws for every market."""
    draws = lanes.advance(done * lanes.sampler.chunk, now, False, _silent)
    params, stats = lanes.unfold(draws.z), _stats(lanes, draws, lanes.leaps(done, now))
    for m, run in enumerate(runs):
        run.params.append(run.market.own({n: x[m] for n, x in params.items()}))
        run.stats.append({n: x[m] for n, x in stats.items()})


def _stats(lanes: Lanes, draws: Draw, leaps: np.ndarray) -> dict[str, np.ndarray]:
    """Statistics (market, chain, draw)."""
    every = engine.statistics(draws, leaps)
    return {name: lanes.by_market(x) for name, x in every.items()}


def _enough(verdict: Verdict, sampler: HMC) -> bool:
    """Whether a market has what `until` asks for; without it every market has."""
    until = sampler.until
    return until is None or until.met(verdict.r_hat, verdict.ess, sampler.chains)


def _end(run: _Run, verdict: Verdict, how: _How) -> None:
    """Make the fit; where it cannot be used, fit the market alone; score it; tell of it."""
    began, market, sampler = time.perf_counter(), run.market, how.sampler
    info = machine() | {
        "timings": {"total_s": run.seconds},
        "n_parameters": run.draws.n_parameters,
        "notes": [*market.notes, *run.restarts],
    }
    fit = market.fit(sampler, run.draws, info)
    status, reason = CONVERGED, "; ".join(run.restarts)
    if verdict.fault:
        status, reason = NOT_CONVERGED, verdict.fault
    if verdict.fault and how.refit:
        try:
            again = alone(market, how.shape, sampler.dtype)
        except Exception as error:  # the draws of lock-step are kept
            reason = f"{verdict.fault}; alone: {type(error).__name__}: {error}"
        else:
            found = Verdict.of(again.draws)
            status = NOT_CONVERGED if found.fault else REFITTED
            reason = f"by NUTS {found.fault}" if found.fault else f"by HMC {verdict.fault}"
            fit, verdict = again, found
    reason = "; ".join(filter(None, (market.without, reason)))
    scores, reason = scored(how.shape, fit, reason)
    seconds = run.seconds + time.perf_counter() - began
    doubt = market.doubt
    how.emit(Done(market.name, status, reason, fit, verdict, seconds, *scores, doubt))


def scored(shape: Shape, fit: Fit, reason: str) -> tuple[Scores, str]:
    """Scores of a fit and the verdict on its model; the reason says what there is not."""
    found, reasons = Scores(), [reason]
    try:
        found = scores_of(fit, shape)
    except Exception as error:
        reasons.append(f"no scores: {type(error).__name__}: {error}")
    try:
        adequate, finding = verdict_of(fit, shape)
        found = found._replace(adequate=adequate, finding=finding)
    except Exception as error:
        reasons.append(f"model not judged: {type(error).__name__}: {error}")
    return found, "; ".join(filter(None, reasons))


def alone(market: Ready, shape: Shape, dtype: Any) -> Fit:
    """One market by NUTS, in the arrays of its bucket."""
    sampler = dataclasses.replace(ALONE, dtype=dtype)
    data = fitted_to(market.data, market.spec, shape)
    with Progress(sampler.chains, False) as silent:
        draws, info = sampled(market.spec, data, sampler, market.seed, silent)
    info["notes"] = [*market.notes, *info["notes"]]
    own = Draws(market.own(draws.params), draws.stats)
    return market.fit(sampler, own, info)
