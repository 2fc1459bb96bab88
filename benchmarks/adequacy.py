"""How often is a good model called inadequate, and which wrong models are found?

Simulated weekly markets, written here in NumPy: 200 that the fitted model is true of, and
20 of each of 12 kinds that it is not. Every market is fitted (a fleet, `mm.HMC`) and judged
by `mm.judge`: an alarm is ``adequate.ok = false``. Fixed before the run that is committed:

- Markets: 104 to 208 weeks, 3 to 8 channels (about half run in flights), carry-over of 0.1
  to 0.6 over 8 weeks, tanh curves, media 20 to 40% of the outcome (returns of channels
  differ by a factor of exp(0.4) about a common one), two waves of seasonality, noise of 2
  to 6% of the mean outcome; half of them with two controls, half with a trend (which the
  fitted model then has).
- Kinds that leave a trace, at least 80% of each to be found; a noise sd is the unit:
  missed season (fitted without the waves, or sales of the four weeks before Christmas
  higher by 3); long lag (the two largest channels carry over with 0.92 for 40 weeks, fitted
  with 8); trend break (the slope changes so that the end is off by 4 to 6); level shift
  (1.5 to 3, from a week in the middle half on); drift (effects of all media fall from 175
  to 25% of themselves); heavy tails (t with 3 degrees of freedom, its quartiles those of
  normal noise); outlier (one week off by 7 to 12); S-curve (Hill of slope 4, bent at the
  median of what runs); synergy (product of the two largest effects, each centred, of sd 1).
- Kinds that leave little or none: hidden confounding (a driver of demand, in no column,
  sets half of the largest channel's spend and moves the outcome by 1.5); spend follows
  sales (half of the largest channel's spend is set by last week's outcome); mildly wrong
  curve (Michaelis-Menten in place of tanh).
- At most 6 of the 200 alarms may be false (1% family-wise is 2 expected; more than 6 has a
  probability of 0.5%).

The time of a verdict is taken warm at 200 weeks and 10 channels.
"""

import statistics
import sys
import tempfile
import time
from collections import Counter
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from common import options, show, write

import mmmjax as mm

TRACED = ("missed season", "long lag", "trend break", "level shift", "drift of effects",
          "heavy tails", "outlier", "S-curve", "synergy")  # fmt: skip
OTHERS = ("hidden confounding", "spend follows sales", "mildly wrong curve")
GOOD, EACH, SEED = 200, 20, 20261129
MOST_FALSE, LEAST_FOUND = 6, 0.8
SAMPLER = mm.HMC(chains=4, warmup=250, draws=300, max_draws=600)
WEEKS = (104, 130, 156, 182, 208)
LONG = 40  # weeks of the long carry-over


class World(NamedTuple):
    """A market: what is fitted to what."""

    panel: mm.Panel
    spec: mm.Spec


def carried(media: np.ndarray, alpha: np.ndarray, lags: int = 8) -> np.ndarray:
    """Geometric carry-over, weights that sum to 1, (time, channel)."""
    weights = np.power.outer(alpha, np.arange(lags)).T
    weights = weights / weights.sum(0)
    padded = np.pad(media, [(lags - 1, 0), (0, 0)])
    n = len(media)
    return sum(w * padded[lags - 1 - k : lags - 1 - k + n] for k, w in enumerate(weights))


def spend_of(rng: np.random.Generator, n: int, k: int, week: np.ndarray) -> np.ndarray:
    """Channels that always run, with the season and slow moods, and such in flights."""
    spend = rng.gamma(4.0, 0.25, (n, k))
    slow = np.zeros((n, k))
    for t in range(1, n):
        slow[t] = 0.8 * slow[t - 1] + 0.25 * rng.standard_normal(k)
    wave = rng.uniform(0.0, 0.4, k) * np.cos(week[:, None] - rng.uniform(0, 2 * np.pi, k))
    spend *= np.exp(slow + wave)
    for c in range(k):
        if rng.random() < 0.5:
            length = rng.integers(3, 9)
            on = rng.random(n // length + 1) < rng.uniform(0.3, 0.6)
            on[:2] = True, False
            spend[:, c] *= np.repeat(on, length)[:n]
    return spend * np.exp(rng.normal(4.0, 0.8, k))


def effects(
    kind: str, media: np.ndarray, alpha: np.ndarray, lam: np.ndarray, shares: np.ndarray
) -> np.ndarray:
    """Contributions, (time, channel), each with its share of 1,000 on average."""
    stock = carried(media, alpha)
    if kind == "long lag":
        both = np.argsort(-shares)[:2]
        stock[:, both] = carried(media[:, both], np.full(2, 0.92), LONG)
    x = stock / media.max(0)
    bent = np.tanh(lam * x / 2)
    if kind == "S-curve":
        runs = np.nanmedian(np.where(x > 0.02, x, np.nan), axis=0)
        bent = x**4 / (x**4 + runs**4)
    if kind == "mildly wrong curve":
        bent = x / (x + 1 / lam)
    return 1000.0 * shares * bent / bent.mean(0)


def world(kind: str, seed: int) -> World:
    """One market that is faulty in one way, or good (kind "")."""
    rng = np.random.default_rng(seed)
    n, k = int(rng.choice(WEEKS)), int(rng.integers(3, 9))
    with_controls, trend = rng.random(2) < 0.5
    dates = pd.date_range("2022-01-03", periods=n, freq="7D")
    week = 2 * np.pi * dates.day_of_year.to_numpy() / 365.25
    noise = 1000.0 * rng.uniform(0.02, 0.06)
    e = rng.standard_normal(n)
    spend = spend_of(rng, n, k, week)
    alpha, lam = rng.uniform(0.1, 0.6, k), rng.uniform(1.0, 4.0, k)
    returns = spend.sum(0) * np.exp(rng.normal(0.0, 0.4, k))
    shares = returns / returns.sum() * rng.uniform(0.2, 0.4)
    first, second = np.argsort(-shares)[:2]
    truth = alpha, lam, shares
    hidden = np.zeros(n)
    for t in range(1, n):
        hidden[t] = 0.6 * hidden[t - 1] + 0.8 * rng.standard_normal()
    if kind == "hidden confounding":
        usual = spend[:, first].mean()
        spend[:, first] = 0.5 * spend[:, first] + usual * np.exp(0.5 * hidden) / 2

    level = np.full(n, 1000.0 * (1 - shares.sum()))
    sizes = rng.uniform(0.02, 0.08, 4) * 1000.0
    level += sizes[0] * np.cos(week) + sizes[1] * np.sin(week)
    level += (sizes[2] * np.cos(2 * week) + sizes[3] * np.sin(2 * week)) / 2
    controls = np.stack([rng.standard_normal(n), rng.random(n) < 0.1], 1).astype(float)
    if with_controls:
        level += controls @ rng.uniform(-40.0, 40.0, 2)
    middle = int(rng.uniform(0.25, 0.75) * n)
    if trend:
        level += rng.uniform(-100.0, 200.0) * np.arange(n) / n
    if kind == "missed season" and seed % 2:
        level += 3.0 * noise * ((dates.day_of_year >= 330) & (dates.day_of_year < 358))
    if kind == "trend break":
        late = np.maximum(np.arange(n) - middle, 0) / (n - middle)
        level += rng.choice([-1, 1]) * rng.uniform(4.0, 6.0) * noise * late
    if kind == "level shift":
        size = rng.choice([-1, 1]) * rng.uniform(1.5, 3.0) * noise
        level += size * (np.arange(n) >= middle)
    if kind == "heavy tails":
        half = 0.6745 / 0.7649  # upper quartiles: normal, t with 3 degrees of freedom
        e = half * rng.standard_t(3, n)
    if kind == "outlier":
        e[middle] += rng.choice([-1, 1]) * rng.uniform(7.0, 12.0)
    if kind == "hidden confounding":
        level += 1.5 * noise * hidden

    if kind == "spend follows sales":
        usual = spend[:, first].mean()
        plain = level + effects(kind, spend, *truth).sum(1) + noise * e
        typical = (plain - plain.mean()) / plain.std()
        for t in range(1, n):
            asked = usual * np.exp(0.5 * typical[t - 1])
            spend[t, first] = (spend[t, first] + asked) / 2
    media = effects(kind, spend, *truth)
    if kind == "drift of effects":
        media = media * np.linspace(1.75, 0.25, n)[:, None]
    outcome = level + media.sum(1) + noise * e
    if kind == "synergy":
        apart = media - media.mean(0)
        both = apart[:, first] * apart[:, second]
        outcome += noise * both / both.std()

    names = [f"channel {c + 1}" for c in range(k)]
    frame = pd.DataFrame(spend, columns=names).assign(week=dates, sales=outcome)
    frame[["price", "event"]] = controls
    panel = mm.Panel.from_frame(
        frame, date="week", outcome="sales", media=names,
        controls=["price", "event"] if with_controls else [],
    )  # fmt: skip
    waves = None if kind == "missed season" and not seed % 2 else mm.seasonality.Fourier(2)
    adstock = mm.adstock.Geometric(max_lag=8)
    return World(panel, mm.Spec(adstock=adstock, seasonality=waves, trend=bool(trend)))


def judged(
    good: int, each: int, sampler: mm.HMC, seed: int, store: str
) -> list[dict[str, Any]]:
    """Fit every market into a store and judge it; a row each."""
    kinds = [""] * good + [kind for kind in (*TRACED, *OTHERS) for _ in range(each)]
    worlds = {f"{i}": world(kind, seed + i) for i, kind in enumerate(kinds)}
    rows = []
    fleet = mm.fit_fleet(
        {name: one.spec for name, one in worlds.items()},
        {name: one.panel for name, one in worlds.items()},
        sampler, store=store, on_empty="error", refit=False,
    )  # fmt: skip
    for (name, one), kind in zip(worlds.items(), kinds, strict=True):
        found = mm.judge(fleet[name])
        codes = {f.code: f.level for f in found.adequate.findings}
        rows.append({"kind": kind or "good", "seed": seed + int(name),
                     "weeks": one.panel.n_periods, "channels": len(one.panel.channels),
                     "sampled": found.sampled.ok, "alarm": not found.adequate.ok,
                     "findings": codes})  # fmt: skip
    return rows


def table(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """A row a kind: how many, alarms, and which findings raised them."""
    found = []
    for kind in ("good", *TRACED, *OTHERS):
        mine = [row for row in rows if row["kind"] == kind]
        codes: Counter[str] = Counter()
        for row in mine:
            codes.update(c for c, level in row["findings"].items() if level == "serious")
        bar = f"at most {MOST_FALSE}" if kind == "good" else ""
        if kind in TRACED:
            bar = f"at least {LEAST_FOUND:.0%}"
        found.append({"kind": kind, "fits": len(mine),
                      "sampled": sum(row["sampled"] for row in mine),
                      "alarms": sum(row["alarm"] for row in mine),
                      "bar": bar, "raised_by": dict(codes.most_common())})  # fmt: skip
    return found


def seconds(weeks: int, channels: int, rounds: int, sampler: mm.HMC) -> float:
    """Warm time of a verdict, its parameters' summary included."""
    rng = np.random.default_rng(0)
    dates = pd.date_range("2021-01-04", periods=weeks, freq="7D")
    spend = spend_of(rng, weeks, channels, np.linspace(0, 25, weeks))
    names = [f"channel {c + 1}" for c in range(channels)]
    frame = pd.DataFrame(spend, columns=names).assign(week=dates)
    frame["sales"] = 1000 + 40 * rng.standard_normal(weeks) + spend.sum(1) / 10
    panel = mm.Panel.from_frame(frame, date="week", outcome="sales", media=names)
    fit = mm.fit(mm.Spec(), panel, sampler, progress=False)
    times = []
    for _ in range(rounds + 1):
        anew = replace(fit)  # a fit that was judged is not judged again
        began = time.perf_counter()
        mm.judge(anew)
        times.append(time.perf_counter() - began)
    return statistics.median(times[1:])


def main() -> int:
    """Judge, print, write; 1 if a bar is missed."""
    parser = options(__doc__ or "")
    parser.add_argument("--seed", type=int, default=SEED, help="of the first market")
    parser.add_argument("--good", type=int, default=GOOD, help="good markets")
    parser.add_argument("--each", type=int, default=EACH, help="markets of each kind")
    parser.add_argument("--store", help="keep fits here; a run that was stopped goes on")
    asked = parser.parse_args()
    good, each, sampler = asked.good, asked.each, SAMPLER
    if asked.smoke:
        good, each = 2, 0
        sampler = mm.HMC(chains=2, warmup=50, draws=50, until=None)
    with tempfile.TemporaryDirectory() as spare:
        rows = judged(good, each, sampler, asked.seed, asked.store or spare)
    kinds = table(rows)
    took = seconds(200, 10, 1 if asked.smoke else 7, sampler)
    columns = ("fits", "sampled", "alarms", "bar", "raised_by")
    show("verdicts on simulated markets", ("kind", *columns),
         [[row["kind"], *(row[c] for c in columns)] for row in kinds])  # fmt: skip
    print(f"a verdict at 200 weeks and 10 channels takes {took:.2f} s warm")
    write("adequacy", kinds, asked.out, seconds=took, seed=asked.seed, markets=rows)
    missed = [
        row for row in kinds[: 1 + len(TRACED)]
        if (row["kind"] == "good" and row["alarms"] > MOST_FALSE)
        or (row["kind"] != "good" and row["alarms"] < LEAST_FOUND * row["fits"])
    ]  # fmt: skip
    return 1 if missed and not asked.smoke else 0


if __name__ == "__main__":
    sys.exit(main())
