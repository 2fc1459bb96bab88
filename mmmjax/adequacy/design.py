"""What residuals are looked at with: what the model could have fitted, and what not.

A :class:`Design` belongs to one geo. Its ``basis`` spans what the model could have fitted
there, and is projected out of the residuals and out of the simulated noise alike. Where the
draws move less than that, residuals are smaller than noise by what the fit followed; they
are made as large again (`y - E[mu | y]` has the covariance ``1 - H`` of noise, where ``H``
is the posterior covariance of the mean). Where a prior holds an effect far below what the
data say, carry-over and curve give way for it, and draws do not move as far as the model
could: all directions of such a channel are projected out. The sets of columns are the
departures that are looked for, each beyond the basis. A curve that is an S moves every
channel one way, so that they are also looked for together and in that direction only.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

import jax
import numpy as np
import pandas as pd

from mmmjax.adequacy.evidence import Evidence
from mmmjax.arrays import TIME
from mmmjax.draws import Fit
from mmmjax.kernels.seasonality import YEAR, fourier_features
from mmmjax.shapes import GEO

__all__ = ["Columns", "Design", "design"]

DRAWS = 100  # whose spread of the mean spans what the model could have fitted
FOLLOWED = 0.75  # of the noise: what the fit follows in a direction that is projected out
HELD = 3  # directions of a channel: its effect, carry-over and curve
LEAST = 0.02  # of the noise: what is followed less is as if it were not
WAVES = 6  # a year beyond those of the spec
CUTS = 70  # dates at most at which a break is looked for
EDGES = (0.25, 0.5, 1.0, 1.5, 2.5)  # of max_lag: windows of lags
BENDS = (0.3, 0.5, 0.7)  # of what runs: where an S is steepest
STEEP = 3.0  # slope of that S
RUNS = 0.02  # of its largest effect: below it a channel rests
TOGETHER = "all channels"
LOST = 1e-3  # of its length: what is left of a column that the basis holds


class Columns(NamedTuple):
    """A set of columns that a departure would move along.

    Args:
        code: Which departure.
        label: Which of its kind: a channel, a pair, a date, a number of waves.
        values: (time, column).
        signed: Whether the one column is a departure only as it is, not turned about.
    """

    code: str
    label: str
    values: np.ndarray
    signed: bool = False


@dataclass(frozen=True)
class Design:
    """What the residuals of one geo are looked at with.

    Args:
        seen: Periods with an outcome, (time,).
        basis: Orthonormal columns that the model could have fitted, (time, known).
        partly: Orthonormal columns that it followed in part, (time, some).
        rest: What noise keeps of its size along them, (some,).
        sets: Code and label of every set.
        columns: Orthonormal within a set and beyond the basis, (time, set * width); zeros
            where a set has fewer directions than its width.
        starts: First column of every set.
        degrees: Directions of every set.
        signed: Whether a set is one column that counts only as it is.
        weight: Of every set among those of its code, adding up to 1.
        level: Fitted mean, standardised, 0 where nothing was seen, (time,).
    """

    seen: np.ndarray
    basis: np.ndarray
    partly: np.ndarray
    rest: np.ndarray
    sets: tuple[tuple[str, str], ...]
    columns: np.ndarray
    starts: np.ndarray
    degrees: np.ndarray
    signed: np.ndarray
    weight: np.ndarray
    level: np.ndarray

    def whitened(self, left: np.ndarray) -> np.ndarray:
        """Residuals (time,) as noise of one size: what the fit took in part given back."""
        left = left - self.basis @ (self.basis.T @ left)
        return left + self.partly @ ((1 / self.rest - 1) * (self.partly.T @ left))

    @property
    def free(self) -> int:
        """Degrees of freedom that the model leaves."""
        return int(self.seen.sum()) - self.basis.shape[1]


def design(fit: Fit, seen: Evidence, geo: int, held: Sequence[int] = ()) -> Design:
    """What the residuals of one geo are looked at with.

    Args:
        fit: The fit.
        seen: What its draws say.
        geo: Which geo.
        held: Channels whose effect is held by its prior.
    """
    here = seen.seen[geo]
    x, spread = seen.inputs, seen.sigma[geo]
    mean = seen.mu[:, geo].mean(0)
    effect = seen.channel[:, geo].mean(0)  # (channel, time)
    law, noise = fit.spec.likelihood, {n: p[geo] for n, p in seen.noise.items()}
    target = jax.tree.map(lambda a: a[geo], law.target(fit.panel, fit.scale))
    whitened = lambda a: law.whitened(a, mean, noise, target)  # as residuals are
    own = (x[n][geo] if d[0] == GEO else x[n] for n, d in x.axes if d[-1] == TIME)
    followed = [part.reshape(-1, len(here)) for part in own]  # by the other terms
    few = slice(None, None, max(1, len(seen.mu) // DRAWS))
    given = []
    for c in held:
        moves = whitened(seen.channel[few, geo, c] - effect[c]) * here
        square, turn = np.linalg.eigh(moves @ moves.T)
        turn = turn * (square > LOST**2 * square[-1])
        given.append(turn[:, -HELD:].T @ moves)
    linear = whitened(np.concatenate([np.ones((1, len(here))), *followed, effect]))
    linear = np.concatenate([linear, *given])
    basis = beyond(linear.T[None] * here[:, None])[0]
    some = whitened(seen.mu[few, geo] - mean)
    some = np.where(here, some, 0.0) / (np.sqrt(len(some)) * spread)
    some -= (some @ basis) @ basis.T
    followed, turn = np.linalg.eigh(some @ some.T)
    turn, followed = turn[:, followed > LEAST], followed[followed > LEAST]
    moved = some.T @ turn / np.sqrt(followed)
    basis = np.concatenate([basis, moved[:, followed > FOLLOWED]], 1)
    basis = beyond(basis[None])[0]
    basis = basis[:, basis.any(0)]
    part = followed <= FOLLOWED
    partly, rest = moved[:, part], np.sqrt(1 - followed[part])
    sets = list(departures(fit, seen, geo, effect, mean))
    columns: list[np.ndarray] = [np.zeros((0, 0))] * len(sets)
    for width in {c.values.shape[1] for c in sets}:  # sets of one width in one step
        own = [i for i, c in enumerate(sets) if c.values.shape[1] == width]
        values = np.stack([sets[i].values for i in own])
        values = np.swapaxes(whitened(np.swapaxes(values, 1, 2)), 1, 2) * here[:, None]
        values += partly @ ((rest - 1)[:, None] * (partly.T @ values))
        for i, v, q in zip(own, values, beyond(values, basis), strict=True):
            columns[i] = q * np.sign((q * v).sum() or 1.0) if sets[i].signed else q
    widths = [q.shape[1] for q in columns]
    level = np.where(here, mean - mean[here].mean(), 0.0) if here.any() else 0 * mean
    return Design(
        here,
        basis,
        partly,
        rest,
        tuple((c.code, c.label) for c in sets),
        np.concatenate(columns, 1),
        np.cumsum([0, *widths[:-1]]),
        np.array([int(q.any(0).sum()) for q in columns]),
        np.array([c.signed for c in sets]),
        weights([(c.code, c.label) for c in sets]),
        level / (np.sqrt(np.mean(level[here] ** 2)) if level.any() else 1.0),
    )


def weights(sets: Sequence[tuple[str, str]]) -> np.ndarray:
    """Of each set among those of its code: half for what all channels do together."""
    found = np.empty(len(sets))
    for code in {code for code, _ in sets}:
        mine = np.array([own == code for own, _ in sets])
        every = np.array([label == TOGETHER for _, label in sets]) & mine
        for part in (mine & ~every, every):
            found[part] = 1.0 if not every.any() else 0.5
            found[part] /= max(part.sum(), 1)
    return found


def beyond(values: np.ndarray, basis: np.ndarray | None = None) -> np.ndarray:
    """Orthonormal columns of every set (set, time, column) beyond a basis; else zeros."""
    if not values.shape[-1]:
        return values
    size = np.linalg.norm(values, axis=1, keepdims=True)
    values = np.divide(values, size, out=np.zeros_like(values), where=size > 0)
    if basis is not None:  # of all sets in one product
        flat = np.moveaxis(values, 1, 0).reshape(len(basis), -1)
        flat = flat - basis @ (basis.T @ flat)
        values = np.moveaxis(flat.reshape(len(basis), len(values), -1), 0, 1)
    # through the small matrices of products: no threads start for a few columns
    square, turn = np.linalg.eigh(np.einsum("stc,std->scd", values, values))
    kept = square > LOST**2
    turn = turn * (kept / np.sqrt(np.where(kept, square, 1.0)))[:, None]
    return np.einsum("stc,scd->std", values, turn)


def departures(
    fit: Fit, seen: Evidence, geo: int, effect: np.ndarray, mean: np.ndarray
) -> Iterator[Columns]:
    """Every set of columns of one geo.

    Args:
        fit: The fit.
        seen: What its draws say.
        geo: Which geo.
        effect: Mean contribution of each channel, (channel, time).
        mean: Fitted mean, (time,).
    """
    spec, names = fit.spec, fit.panel.channels
    dates = fit.panel.dates[fit.panel.window]
    n = len(dates)
    now = np.linspace(-0.5, 0.5, n)
    yield Columns("trend", "", np.stack([now, now**2, now**3], 1))
    cuts = np.arange(int(0.1 * n) + 1, int(0.9 * n), max(1, round(0.8 * n / CUTS)))
    t = np.arange(n)
    for cut, day in zip(cuts, dates[cuts].strftime("%Y-%m-%d"), strict=True):
        step = np.stack([t >= cut, np.maximum(t - cut, 0) / n], 1)
        yield Columns("break", day, step)
        yield Columns("break", day, step[:, :1])
        yield Columns("break", day, step[:, 1:])
    yield from calendar(dates, spec.waves, now)
    bent = (mean - mean.mean()) / (mean.std() or 1.0)
    yield Columns("curvature", "", np.stack([bent**2, bent**3], 1))
    if not names:
        return
    media, past = seen.inputs["media"][geo], seen.inputs.history
    padded = np.pad(media, [(0, 0), (n, 3)])  # media at period t: column n + past + t
    lagged = lambda k: padded[:, n + past - k : 2 * n + past - k]
    edges = np.ceil(spec.memory * np.array(EDGES)).astype(int)
    edges = np.unique(np.clip(edges, 1, max(n // 4, 2)))
    late = [np.mean([lagged(k) for k in range(a, b)], 0) for a, b in pairwise(edges)]
    ahead = [lagged(-1), (lagged(-2) + lagged(-3)) / 2]
    x = lagged(0)
    kinds = {
        "carryover": late,
        "leads": ahead,
        "shape": [effect**2, np.sqrt(np.abs(effect)), x],
        "drift": [effect * now, effect * now**2],
    }
    decay = np.power(1 - 1 / (1 + spec.memory), np.arange(n + past))
    whole = padded[:, n : 2 * n + past]
    long = np.stack([np.convolve(row, decay)[past : n + past] for row in whole])
    one_way = {"carryover": [long], "shape": [curved(effect, part) for part in BENDS]}
    worth = effect.sum(1) / np.where(x.sum(1) > 0, x.sum(1), 1.0)
    for code, parts in kinds.items():
        # all together, each by its effect
        weight = worth[:, None] if code in ("carryover", "leads") else 1.0
        for which, pick in [
            *((name, np.eye(len(names))[c]) for c, name in enumerate(names)),
            *([(TOGETHER, np.ones(len(names)))] if len(names) > 1 else []),
        ]:
            columns = [pick @ (weight * part) for part in parts]
            yield Columns(code, which, np.stack(columns, 1))
            for part in one_way.get(code, ()):
                yield Columns(code, which, (pick @ (weight * part))[:, None], True)
    apart = effect - effect.mean(1, keepdims=True)
    for i, first in enumerate(names):
        for j in range(i):
            pair = f"{names[j]} and {first}"
            yield Columns("synergy", pair, (apart[i] * apart[j])[:, None])


def curved(effect: np.ndarray, part: float) -> np.ndarray:
    """Effects (channel, time) of the same mean, bent to an S at a quantile of what runs."""
    u = np.abs(effect) / np.maximum(np.abs(effect).max(1, keepdims=True), 1e-12)
    runs = np.where(u > RUNS, u, np.nan)
    bend = np.array([np.nanquantile(r, part) if (r > 0).any() else 1.0 for r in runs])
    bent = u**STEEP / (u**STEEP + bend[:, None] ** STEEP)
    return bent / np.maximum(bent.mean(1, keepdims=True), 1e-12) * effect.mean(1)[:, None]


def calendar(dates: pd.DatetimeIndex, order: int, now: np.ndarray) -> Iterator[Columns]:
    """Waves of the year that the spec lacks, and days of the week where there are days."""
    days = pd.Timedelta(dates[-1] - dates[0]).days / max(len(dates) - 1, 1)
    most = min(order + WAVES, int((YEAR / days - 1) / 2))
    if len(dates) * days >= 0.9 * YEAR and most >= 1:
        waves = fourier_features(dates.day_of_year.to_numpy(), most)
        for k in range(order, most):
            yield Columns("season", str(k + 1), waves[[k, most + k]].T)
        if len(dates) * days >= 2 * YEAR:
            yield Columns("season", "changing", (waves[[0, most]] * now).T)
    if len(dates) * days >= 1.8 * YEAR and days < 8:  # the same days of each year
        day = dates.day_of_year.to_numpy() % 364
        middle = pd.date_range("2023-01-15", periods=52, freq="7D").strftime("%B %d")
        for start, label in zip(range(0, 364, 7), middle, strict=True):
            yield Columns("holiday", label, ((day - start) % 364 < 28)[:, None] * 1.0)
    if days < 2:
        week = dates.day_of_week.to_numpy()[:, None] == np.unique(dates.day_of_week)[:-1]
        yield Columns("weekday", "", week.astype(float))
