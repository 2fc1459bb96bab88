"""Warm-up of lanes: step sizes, stuck chains, and a metric pooled over all chains."""

from itertools import pairwise

import jax
import numpy as np

from mmmjax.infer import adaptation, whitening
from mmmjax.infer.adaptation import averaging
from mmmjax.infer.density import rewhiten
from mmmjax.infer.lanes import Lanes, Report
from mmmjax.infer.local import Local
from mmmjax.infer.lockstep import Draw, State

__all__ = ["warm_up"]

WINDOWS = (0.2, 0.4, 0.8)  # ends of the windows, as shares of the warm-up
POOLED = (1, 2)  # windows after which the metric is learned: the second and the third

type Stuck = dict[int, list[int]]  # chains by market


def warm_up(lanes: Lanes, n_chunks: int, report: Report) -> list[tuple[int, Stuck]]:
    """Windows of warm-up; the iterations at which chains were restarted, and which.

    Step sizes are averaged and their averaging restarted at the end of each window; after
    the second and the third the covariance of all chains of a market whitens it again.

    Args:
        lanes: Fresh lanes; they end ready to sample.
        n_chunks: Length of the warm-up.
        report: Told of every chunk.
    """
    ends = [max(1, round(share * n_chunks)) for share in WINDOWS]
    bounds = [0, *sorted({end for end in ends if end < n_chunks}), n_chunks]
    restarts, chunk = [], lanes.sampler.chunk
    for window, (first, last) in enumerate(pairwise(bounds)):
        draws = lanes.advance(first * chunk, last - first, True, report)
        found = _stuck(lanes, draws)
        _settle(lanes)
        if found:
            _restart(lanes, found, first * chunk)
            restarts.append((first * chunk, found))
        if window in POOLED and last < n_chunks:
            _pool(lanes, draws, found)
    return restarts


def _settle(lanes: Lanes) -> None:
    """End a window: step sizes to their averages, averaging restarted around them.

    Where geos have parameters of their own, to one average of all lanes of a market.
    """
    log = np.asarray(lanes.state.averaging[1])
    if isinstance(lanes.problems[0].block, Local):
        each = log.reshape(-1, lanes.each).mean(1, keepdims=True)
        log = np.broadcast_to(each, (len(each), lanes.each)).ravel()
    size = np.exp(log)
    lanes.state = lanes.state._replace(step_size=size, averaging=averaging(size))


def _stuck(lanes: Lanes, draws: Draw) -> Stuck:
    steps = np.broadcast_to(draws.step_size[..., None], draws.lp.shape)
    lp, steps = lanes.by_market(draws.lp), lanes.by_market(steps)
    size = lanes.problems[0].center.shape[0]
    found = {m: adaptation.stuck(lp[m], steps[m], size) for m in range(len(lp))}
    return {m: chains for m, chains in found.items() if chains}


def _restart(lanes: Lanes, stuck: Stuck, begin: int) -> None:
    """Put stuck chains on new starts; their lanes take the step size of the others."""
    state = jax.tree.map(np.array, lanes.state)
    for m, chains in stuck.items():
        fresh = [x[0] for x in lanes.starts([m], chains, begin + 1)]
        places = [divmod(m * lanes.sampler.chains + c, lanes.chains) for c in chains]
        ill = sorted({lane for lane, _ in places})
        own = range(m * lanes.each, (m + 1) * lanes.each)
        well = [float(state.step_size[lane]) for lane in own if lane not in ill]
        for i, (lane, chain) in enumerate(places):
            for name, value in zip(State._fields[:3], fresh, strict=True):
                getattr(state, name)[lane, chain] = value[i]
        state.step_size[ill] = np.median(well or [adaptation.FIRST_STEP])
    lanes.state = state._replace(averaging=averaging(state.step_size))


def _pool(lanes: Lanes, draws: Draw, without: Stuck) -> None:
    """Re-whiten every market by the covariance of its chains, which keep their places.

    Gradients are mapped with the positions: no evaluation is needed.
    """
    z = lanes.to_market(np.asarray(lanes.state.z, float))
    slope = lanes.to_market(np.asarray(lanes.state.gradient, float))
    seen = lanes.to_market(np.moveaxis(draws.z, 0, 2))  # (market, chain, iteration, P)
    for m, problem in enumerate(lanes.problems):
        healthy = np.delete(seen[m], without.get(m, []), 0)
        if not len(healthy):
            continue
        try:
            flat = healthy.reshape(-1, z.shape[-1]).astype(float)
            mean, factor = whitening.pooled(problem.whiten, flat)
        except np.linalg.LinAlgError:  # this market keeps its whitening, others go on
            continue
        z[m] = whitening.solve(factor, z[m] - mean)
        slope[m] = whitening.turned(factor, slope[m])
        lanes.problems[m] = rewhiten(problem, mean, factor)
    moved = {"z": lanes.to_lanes(z), "gradient": lanes.to_lanes(slope)}
    lanes.state = lanes.cast(lanes.state._replace(**moved))
    lanes.refresh()
