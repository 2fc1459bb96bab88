"""R-hat and ESS of many parameters at once: the verdict that a running sampler needs.

The statistics are those of :func:`mmmjax.draws.summary` (rank-normalised split R-hat, bulk
and tail ESS), for all parameters in a few array operations instead of one by one.

The autocovariances come from real transforms in float32, of draws of size 1: they are read
to three digits.

Source: Vehtari et al. (2021), "Rank-normalization, folding, and localization: An improved
R-hat for assessing convergence of MCMC", Bayesian Analysis 16.
"""

import math
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float

from mmmjax import convergence
from mmmjax.convergence import MIN_DRAWS
from mmmjax.draws import MAX_DIVERGENCE_RATE, MAX_R_HAT, MIN_ESS_PER_CHAIN, Draws
from mmmjax.infer.progress import Progress
from mmmjax.samplers import HMC, NUTS, most_draws

__all__ = ["Verdict", "statistics", "until_enough", "worst"]

type Params = dict[str, np.ndarray]


def statistics(
    values: Float[np.ndarray, "chain draw parameter"], dtype: Any = np.float32
) -> tuple[Float[np.ndarray, " parameter"], Float[np.ndarray, " parameter"]]:
    """R-hat, and the smaller of bulk and tail ESS, of every parameter.

    R-hat is infinity and ESS 0 where draws are not finite, do not move in some chain, or
    are fewer than four.

    Args:
        values: Draws.
        dtype: Of the autocovariances; with float64 it is what `diagnostics` says.
    """
    chains, draws, size = values.shape
    r_hat, ess = np.full(size, np.inf), np.zeros(size)
    good = np.isfinite(values).all((0, 1)) & (np.ptp(values, axis=1) > 0).all(0)
    if draws < MIN_DRAWS or chains < 2 or not good.any():
        return r_hat, ess
    x = np.ascontiguousarray(np.moveaxis(values[..., good], 2, 0))
    with np.errstate(all="ignore"):
        found = convergence.judged(x, dtype)
    r_hat[good] = found.r_hat
    ess[good] = np.nan_to_num(np.fmin(found.ess_bulk, found.ess_tail))
    return r_hat, ess


class Verdict(NamedTuple):
    """Whether draws can be used: the thresholds of :func:`mmmjax.diagnostics`."""

    r_hat: float
    ess: float
    divergences: int
    fault: str  # empty: none

    @classmethod
    def of(cls, draws: Draws) -> "Verdict":
        """Judge draws."""
        r_hat, ess = worst(draws.params)
        diverging = draws.stats["diverging"]
        least, faults = MIN_ESS_PER_CHAIN * draws.n_chains, []
        if not r_hat <= MAX_R_HAT:
            faults.append(f"R-hat {r_hat:.3f} above {MAX_R_HAT}")
        if not ess >= least:
            faults.append(f"ESS {ess:.0f} below {least}")
        if (rate := diverging.mean()) > MAX_DIVERGENCE_RATE:
            faults.append(f"{diverging.sum()} divergences, {rate:.1%} of the draws")
        return cls(r_hat, ess, int(diverging.sum()), "; ".join(faults))


def worst(params: Mapping[str, np.ndarray], dtype: Any = np.float32) -> tuple[float, float]:
    """Largest R-hat and smallest ESS, bulk or tail, of parameters (chain, draw, ...)."""
    columns = [np.asarray(x).reshape(*x.shape[:2], -1) for x in params.values()]
    every = np.concatenate(columns, 2).T  # (parameter, draw, chain)
    some = (every[rows].T.astype(float) for rows in convergence.blocks(every.shape))
    r_hat, ess = map(
        np.concatenate, zip(*(statistics(x, dtype) for x in some), strict=True)
    )
    return float(r_hat.max()), float(ess.min())


def until_enough(
    sampler: NUTS | HMC,
    advance: Callable[[int, int], tuple[Any, Params]],
    progress: Progress,
) -> tuple[list[Any], Params, dict[str, Any] | None]:
    """Draw, and go on while draws are not what ``sampler.until`` asks for.

    One chain alone has no R-hat: it never goes on.

    Args:
        sampler: Settings.
        advance: Draws so many chunks after so many: what the sampler keeps of them, and
            their parameters (chain, draw, ...).
        progress: Told what is missing whenever it goes on.

    Returns:
        What ``advance`` kept, all parameters, and for the record: R-hat and ESS at the
        end, whether that was enough, and the draws a chain at each look.
    """
    until, chunk = sampler.until, sampler.chunk
    each, most = (math.ceil(n / chunk) for n in (sampler.draws, most_draws(sampler)))
    done, parts, looks = 0, [], []
    params: Params = {}
    while True:
        now = min(each, most - done)
        part, new = advance(done, now)
        done += now
        parts.append(part)
        known = params or {name: x[:, :0] for name, x in new.items()}
        params = {name: np.concatenate([known[name], x], 1) for name, x in new.items()}
        if until is None or sampler.chains < 2:
            return parts, params, None
        looks.append(done * chunk)
        r_hat, ess = worst(params, np.float64)
        met = until.met(r_hat, ess, sampler.chains)
        if met or done >= most:
            return parts, params, {"r_hat": r_hat, "ess": ess, "met": met, "looks": looks}
        more = min(each, most - done) * chunk
        progress.extend(more, f"R-hat {r_hat:.3f}, ESS {ess:.0f}: {more:,} draws more")
