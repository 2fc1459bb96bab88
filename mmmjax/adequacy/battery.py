"""Residuals against what they would be if the model were true: tests by one simulation.

Residuals are the quantiles of the outcome under the fitted law, as normal deviates: normal
noise if the model is true, whatever the likelihood. Each statistic of theirs is compared
with its law under noise of which the same columns are projected out, that the model could
have fitted (:mod:`mmmjax.adequacy.design`). Geos have noise in common as far as the
residuals have. A kind of departure has one statistic: the likelihood ratio averaged over
its sets of columns, were the size of the departure normal. All statistics are judged
together: one is found where its p-value is below what the smallest of all of them falls
below in 1 of 100 fits of a true model, by 4,999 simulations in every verdict.

Sources: Dunn and Smyth (1996), "Randomized quantile residuals"; Andrews (1993), "Tests for
parameter instability and structural change with unknown change point", for the break;
Andrews and Ploberger (1994), "Optimal tests when a nuisance parameter is present only
under the alternative", for the average; Ljung and Box (1978); Ramsey (1969) for the
curvature; Westfall and Young (1993), "Resampling-based multiple testing", for the
smallest p.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from mmmjax.adequacy.design import Design
from mmmjax.adequacy.evidence import Evidence
from mmmjax.draws import Fit

__all__ = ["LEAST_FREE", "Tested", "battery", "deviates", "family", "statistics"]

SIMULATIONS = 4999
USUAL = 10.0  # variance of a departure along a column, in that of the noise
NEVER = -60.0  # log likelihood ratio of what cannot be
LEVEL = 0.01  # chance that a true model is found wanting, over all statistics together
LEAST_FREE = 12  # degrees of freedom of a geo whose residuals are looked at
LAGS = 8  # of autocorrelations
HEAVY = 5  # degrees of freedom of the Student t that noise is held against
FARTHEST = 8.0  # standard deviations: where a quantile ends
MEMORY = 64 * 2**20  # bytes of simulated noise at once
SERIES = (
    "cusum",
    "kurtosis",
    "heavy",
    "largest",
    "skewness",
    "spread_level",
    "spread_time",
)


@dataclass(frozen=True)
class Tested:
    """What the tests found.

    Args:
        p: Statistic -> its p-value against its own law.
        limit: A p-value below it is found.
        family: Probability of such a smallest p if the model is true.
        share: Code -> largest share of the residual variance that one set explains.
        label: Code -> that set.
        lag: Mean autocorrelation of neighbours.
        common: Mean correlation of geos.
        free: Degrees of freedom of each geo.
        left: Residuals as normal deviates, (geo, time), NaN where nothing was observed.
    """

    p: dict[str, float]
    limit: float
    family: float
    share: dict[str, float]
    label: dict[str, str]
    lag: float
    common: float
    free: tuple[int, ...]
    left: np.ndarray

    @property
    def found(self) -> tuple[str, ...]:
        """Codes of the statistics below the limit."""
        low = [name for name, p in self.p.items() if p <= self.limit]
        return tuple(dict.fromkeys(name.partition(":")[0] for name in low))


def deviates(fit: Fit, seen: Evidence) -> np.ndarray:
    """Quantiles of the outcome under the fitted law, as normal deviates, (geo, time)."""
    law = fit.spec.likelihood
    target = law.target(fit.panel, fit.scale)
    z = law.deviates(seen.mu.mean(0), seen.noise, target)
    return np.where(target.mask, np.clip(z, -FARTHEST, FARTHEST), np.nan)


def battery(designs: Sequence[Design], left: np.ndarray, seed: int = 0) -> Tested | None:
    """Judge the residuals of a fit; None where too few degrees of freedom are left.

    Args:
        designs: One for each geo.
        left: Residuals as normal deviates, (geo, time), NaN where there is none.
        seed: Seed of the noise.
    """
    free = tuple(d.free for d in designs)
    geos = [g for g, n in enumerate(free) if n >= LEAST_FREE]
    if not geos:
        return None
    own = [designs[g] for g in geos]
    rows = zip(own, np.nan_to_num(left[geos]), strict=True)
    observed = np.stack([d.whitened(np.where(d.seen, x, 0.0)) for d, x in rows])[None]
    common = shared(own, observed[0])
    names, now, detail = statistics(own, observed)
    rng = np.random.default_rng(seed)
    most = max(1, MEMORY // (8 * observed[0].size))
    law = np.empty((0, len(names)))
    while (rest := SIMULATIONS - len(law)) > 0:
        size = (min(most, rest), len(own), observed.shape[-1])
        law = np.concatenate([law, statistics(own, noise(rng, size, common))[1]])
    p, limit, whole = family(now, law)
    sets, gain = np.array(own[0].sets), detail["gain"]
    total = sum(d.seen.sum() for d in own)
    share, label = {}, {}
    for code in dict.fromkeys(sets[:, 0]):
        mine = np.flatnonzero(sets[:, 0] == code)
        best = mine[detail["ratio"][mine].argmax()]
        share[code], label[code] = float(gain[best] / total), str(sets[best, 1])
    return Tested(
        dict(zip(names, p[0].tolist(), strict=True)),
        limit,
        float(whole[0]),
        share,
        label,
        float(detail["lag"]) / len(own),
        common,
        free,
        left,
    )


def noise(
    rng: np.random.Generator, size: tuple[int, int, int], common: float
) -> np.ndarray:
    """Standard normal noise (row, geo, time) that geos have in common in part."""
    own = rng.standard_normal(size, np.float32)
    if common == 0:
        return own
    both = rng.standard_normal((size[0], 1, size[2]), np.float32)
    return np.float32(np.sqrt(1 - common)) * own + np.float32(np.sqrt(common)) * both


def shared(designs: Sequence[Design], left: np.ndarray) -> float:
    """Mean correlation of the residuals of two geos, at least 0, (geo, time)."""
    here = np.stack([d.seen for d in designs])
    rows = [x - (x @ d.basis) @ d.basis.T for x, d in zip(left, designs, strict=True)]
    size = [
        max(np.sqrt((x**2).sum() / d.free), 1e-12)
        for x, d in zip(rows, designs, strict=True)
    ]
    z = np.stack(rows) / np.array(size)[:, None]
    pairs = (here.sum(0) * (here.sum(0) - 1)).sum()
    both = (np.square(z.sum(0)) - np.square(z).sum(0)).sum()
    return float(np.clip(both / pairs, 0.0, 0.95)) if pairs else 0.0


def statistics(
    designs: Sequence[Design], left: np.ndarray
) -> tuple[list[str], np.ndarray, dict[str, Any]]:
    """Every statistic of rows of residuals (row, geo, time): names, and (row, statistic).

    Also what :func:`combined` says of the first row, and its ``lag`` summed over geos.
    """
    n_rows, n_geos, _ = left.shape
    pooled: np.ndarray | float = 0.0
    worst, centre, size = [], np.empty((n_rows, n_geos)), np.empty((n_rows, n_geos))
    for g, d in enumerate(designs):
        x = np.where(d.seen, left[:, g], 0).astype(np.float32)
        centre[:, g] = x.sum(1) / d.seen.sum()
        basis = d.basis.astype(np.float32)
        x -= (x @ basis) @ basis.T
        size[:, g] = np.square(x).sum(1) / d.free
        scale = np.sqrt(np.maximum(np.square(x).sum(1) / d.seen.sum(), 1e-12))
        x /= scale[:, None]
        mine = measured(x, d)
        pooled = pooled + mine
        worst.append(combined(mine, d, d.degrees)[1])
    degrees = np.sum([d.degrees for d in designs], 0)
    names, found, detail = combined(np.asarray(pooled), designs[0], degrees)
    if n_geos > 1:
        # a departure of one geo drowns in the sum of many: the worst of each code too
        apart = np.max(worst, 0)
        counts = np.array([d.seen.sum() for d in designs])
        middle = (centre * counts).sum(1, keepdims=True) / counts.sum()
        unit = np.maximum((size * counts).sum(1) / counts.sum(), 1e-12)
        level = (counts * np.square(centre - middle)).sum(1) / unit
        log = np.log(np.maximum(size, 1e-12))
        dof = np.array([d.free for d in designs])
        log -= (log * dof).sum(1, keepdims=True) / dof.sum()
        spread = (dof * np.square(log)).sum(1)
        names += [f"{name}:worst" for name in names] + ["geo_level", "geo_noise"]
        found = np.concatenate([found, apart, level[:, None], spread[:, None]], 1)
    return names, found, {**detail, "lag": np.asarray(pooled)[len(designs[0].sets), 0]}


def measured(x: np.ndarray, d: Design) -> np.ndarray:
    """What statistics are made of, of rows of one geo: (set + lag + series, row)."""
    y, n = np.ascontiguousarray(x.T), d.seen.sum()  # (time, row)
    along = d.columns.T.astype(np.float32) @ y
    as_is = along[d.starts[d.signed]]
    square = np.square(along, out=along)
    gain, width = square[d.starts], np.diff(d.starts, append=len(along))
    for k in range(1, width.max(initial=1)):  # a third of the time of np.add.reduceat
        gain[width > k] += square[d.starts[width > k] + k]
    gain[d.signed] = as_is
    lags = min(LAGS, len(y) // 4)
    rho = [np.einsum("tr,tr->r", y[k:], y[:-k]) / n for k in range(1, lags + 1)]
    square = y * y
    now = np.where(d.seen, np.linspace(-1, 1, len(d.seen)), 0.0).astype(np.float32)
    series = [
        np.abs(np.cumsum(y, 0)).max(0) / np.sqrt(n),
        (square * square).sum(0) / n,
        np.log1p(square / (HEAVY - 2)).sum(0) / n,
        np.sqrt(square.max(0)),
        (square * y).sum(0) / n,
        d.level.astype(np.float32) @ square / n,
        now @ square / n,
    ]
    return np.concatenate([gain, np.stack(rho + series)])


def combined(
    x: np.ndarray, d: Design, degrees: np.ndarray
) -> tuple[list[str], np.ndarray, dict[str, np.ndarray]]:
    """Statistics from :func:`measured`, of one geo or summed over geos.

    Of a code: the log of the mean likelihood ratio over its sets, were departures of a
    usual size. Also the ``gain`` and log ``ratio`` of every set in the first row.
    """
    n_sets, one = len(d.sets), d.signed
    gain, free = x[:n_sets].copy(), np.where(one, np.minimum(degrees, 1), degrees)
    score = gain[one] / np.sqrt(np.maximum(degrees[one], 1)).astype(np.float32)[:, None]
    gain[one] = np.square(np.maximum(score, 0.0))
    size, cost = USUAL / (2 * (1 + USUAL)), 0.5 * free * np.log1p(USUAL)
    ratio = np.float32(size) * gain
    ratio -= cost.astype(np.float32)[:, None]
    ratio[one] = np.where(score > 0, ratio[one] + np.float32(np.log(2)), NEVER)
    ratio[free == 0] = NEVER
    codes = np.array([code for code, _ in d.sets])
    names, found = [], []
    for code in dict.fromkeys(codes.tolist()):
        mine = ratio[codes == code]
        most = mine.max(0)
        mine -= most
        weight = d.weight[codes == code].astype(np.float32)
        names.append(code)
        found.append(most + np.log(weight @ np.exp(mine, out=mine)))
    rho, series = x[n_sets : -len(SERIES)], np.abs(x[-len(SERIES) :])
    series[SERIES.index("heavy")] *= -1  # it is small where tails are heavy
    names += ["lag1", "ljung_box", *SERIES]
    found += [np.abs(rho[0]), np.square(rho).sum(0), *series]
    return names, np.stack(found, 1), {"gain": gain[:, 0], "ratio": ratio[:, 0]}


def family(now: np.ndarray, law: np.ndarray) -> tuple[np.ndarray, float, np.ndarray]:
    """P-values of rows of statistics against simulated ones, and over all together.

    Args:
        now: Observed, (row, statistic).
        law: Simulated, (simulation, statistic).

    Returns:
        P-values (row, statistic); what the smallest of a true model falls below at
        :data:`LEVEL`; the probability of as small a smallest one, (row,).
    """
    n = len(law)
    p, smallest = np.empty(now.shape), np.full(n, np.inf)
    for k in range(law.shape[1]):
        order = np.sort(law[:, k])
        p[:, k] = (1 + n - np.searchsorted(order, now[:, k], "left")) / (1 + n)
        own = (n - np.searchsorted(order, law[:, k], "left")) / (1 + n)
        smallest = np.minimum(smallest, own)
    smallest = np.sort(smallest)
    whole = (1 + np.searchsorted(smallest, p.min(1) + 1e-12, "right")) / (1 + n)
    steps = np.unique(smallest)
    chance = (1 + np.searchsorted(smallest, steps + 1e-12, "right")) / (1 + n)
    below = steps[chance <= LEVEL]
    return p, float(below[-1]) if below.size else 0.0, whole
