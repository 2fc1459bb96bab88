"""mm.HMC for one market: windows of warm-up, then draws until they are enough."""

import math
import time

import jax
import numpy as np

from mmmjax.infer.judge import until_enough
from mmmjax.infer.lanes import Lanes, Report, build, statistics
from mmmjax.infer.lockstep import Draw
from mmmjax.infer.precondition import Problem
from mmmjax.infer.progress import Progress, Shown
from mmmjax.infer.result import Result
from mmmjax.infer.warmup import warm_up
from mmmjax.samplers import HMC
from mmmjax.spec import Spec

__all__ = ["build", "run"]


def run(
    problem: Problem, spec: Spec, sampler: HMC, seed: int, progress: Progress
) -> Result:
    """Warm up and sample all chains of one market.

    Args:
        problem: From :func:`mmmjax.infer.precondition.precondition`.
        spec: Structure of the spec.
        sampler: Settings; warm-up and draws are rounded up to whole chunks.
        seed: Of everything random; the same seed gives the same draws.
        progress: Where to show what happens.
    """
    progress.phase("compile")
    n_warm, n_draw = (math.ceil(n / sampler.chunk) for n in (sampler.warmup, sampler.draws))
    with jax.enable_x64(sampler.dtype == "float64"):
        lanes = Lanes([problem], spec, sampler, [seed])
        progress.begin(sampler.chunk, n_warm, n_draw, lanes.seconds)
        started = time.perf_counter()
        report = _reporter(lanes, progress)
        progress.phase("warm-up")
        restarts = warm_up(lanes, n_warm, report)
        middle = time.perf_counter()
        progress.phase("sample")

        def advance(done: int, now: int) -> tuple[Draw, dict[str, np.ndarray]]:
            begin = (n_warm + done) * sampler.chunk
            draws = lanes.advance(begin, now, False, report)
            found = lanes.unfold(draws.z)
            return draws._replace(z=()), {name: x[0] for name, x in found.items()}

        parts, params, judged = until_enough(sampler, advance, progress)
        kept: Draw = jax.tree.map(lambda *x: np.concatenate(x), *parts)
        ended = time.perf_counter()
    leaps = lanes.leaps(n_warm, len(kept.lp) // sampler.chunk)
    info = {
        "compile_s": lanes.seconds,
        "warmup_s": middle - started,
        "sample_s": ended - middle,
        "gradients": {
            "warmup": int(lanes.leaps(0, n_warm).sum()) * sampler.chains,
            "sample": int(leaps.sum()) * sampler.chains,
        },
        "warmup": n_warm * sampler.chunk,
        "draws": n_draw * sampler.chunk,
        "restarts": [
            f"chain {c} was stuck in warm-up at iteration {at}: restarted"
            for at, found in restarts
            for c in found.get(0, [])
        ],
        "until": judged,
    }  # fmt: skip
    stats = {n: lanes.by_market(x)[0] for n, x in statistics(kept, leaps).items()}
    return Result(params, stats, info)


def _reporter(lanes: Lanes, progress: Progress) -> Report:
    """Tells the display of every chain of a shard."""
    leaps = np.array([(1 + lanes.most) / 2])

    def report(shard: int, draws: Draw) -> None:
        _, width, chains = draws.diverging.shape
        for lane, c in np.ndindex(width, chains):
            shown = Shown(draws.diverging[:, lane, c], draws.step_size[:, lane], leaps)
            progress.advance((shard * width + lane) * chains + c, shown)

    return report
