"""How often does the verdict on a model alarm, on true models and on false ones?

Worlds are made here in NumPy, apart from mmmjax.simulate, fitted as fleets with mm.HMC and
judged by mm.judge. A false alarm is ``adequate.ok = false`` where the fitted model is the
one that made the data. Kinds, sizes and thresholds were fixed before the run that is kept,
whose seed (20261129) none of them was tried on.

good          104 to 208 weeks, 3 to 8 channels (some in flights), 0 to 2 controls, half with
              a trend, a yearly wave of order 2, noise 2-6% of the mean outcome, media 20-50%
              of it, geometric carry-over of 8 weeks, logistic saturation; the fit knows all
The faulty ones differ in one thing each, noise 2-4%, media 35-55%:
missed_season a yearly wave (2-4 noise sds) that the spec does not have
long_lag      the two largest channels carry over 0.9 a week, 40 weeks, from week 3 on
trend_break   the slope changes at one date, by 4-8 noise sds until the end
level_shift   1.5-3 noise sds from one date on
drift         the effect of the two largest channels goes from 1.8 to 0.2 times its mean
heavy_tails   noise of t with 3 degrees of freedom
outlier       one week of 6 to 9 noise sds
s_curve       Hill saturation with slope 4 and half saturation at half the largest week
synergy       the two largest channels add the product of their effects, 1 noise sd
These three need not leave a trace and are counted only:
confounding   what no column has (1 noise sd, correlation 0.6 week to week) moves spend too
follows_sales spend of the largest channel follows the last four weeks of the outcome
mild_curve    x / (x + k) in place of the logistic curve
"""

import time
from typing import Any

import numpy as np
import pandas as pd

import mmmjax as mm
from mmmjax.adequacy import judge

SEED = 20261129
TRACED = ("missed_season", "long_lag", "trend_break", "level_shift", "drift", "heavy_tails",
          "outlier", "s_curve", "synergy")  # fmt: skip
COUNTED = ("confounding", "follows_sales", "mild_curve")


def carried(x: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Media (channel, time) carried over."""
    return np.stack([np.convolve(row, weights)[: row.size] for row in x])


def persistent(rng: np.random.Generator, shape: tuple[int, ...], rho: float) -> np.ndarray:
    """AR(1) rows of variance 1."""
    out = rng.standard_normal(shape)
    for t in range(1, shape[-1]):
        out[..., t] = rho * out[..., t - 1] + np.sqrt(1 - rho**2) * out[..., t]
    return out


def world(kind: str, rng: np.random.Generator) -> tuple[mm.Panel, mm.Spec]:
    """One table and the model that is fitted to it."""
    good = kind == "good"
    n, c = int(rng.integers(104, 209)), int(rng.integers(3, 9))
    k, trend = int(rng.integers(0, 3)), bool(rng.integers(2))
    sd = rng.uniform(0.02, 0.06 if good else 0.04)
    hidden = sd * persistent(rng, (n,), 0.6)
    common, own = persistent(rng, (1, n), 0.6), persistent(rng, (c, n), 0.5)
    log = np.sqrt(0.2) * common + np.sqrt(0.8) * own
    if kind == "confounding":
        log = 0.8 * log + 0.6 * hidden / sd
    x = np.exp(0.6 * log)
    for i in range(c // 2, c):  # flights
        on: list[float] = []
        while len(on) < n:
            on += [1.0] * int(rng.integers(3, 8)) + [0.0] * int(rng.integers(3, 9))
        x[i] *= on[:n]
    x *= rng.uniform(1, 5, c)[:, None]
    t = np.arange(n)
    share = np.sort(rng.dirichlet(np.full(c, 2.0)))[::-1]
    rank = rng.permutation(c)  # largest two: rank[0], rank[1]
    whole = rng.uniform(0.2, 0.5) if good else rng.uniform(0.35, 0.55)
    alpha, lam = rng.uniform(0.1, 0.6, c), rng.uniform(1.0, 4.0, c)
    noise = sd * rng.standard_normal(n)
    if kind == "heavy_tails":
        noise = sd * rng.standard_t(3, n) / np.sqrt(3)
    phase = rng.uniform(0, 2 * np.pi, 2)
    size = np.array([0.06, 0.03]) * rng.uniform(0.5, 1.5)
    if kind == "missed_season":
        size = sd * np.array([rng.uniform(2, 4), rng.uniform(1, 2)])
    angle = 2 * np.pi * t / (365.25 / 7)
    base = (
        1
        - whole
        + size[0] * np.sin(angle + phase[0])
        + size[1] * np.sin(2 * angle + phase[1])
    )
    base += (0.15 * t / n) * trend
    controls = rng.standard_normal((k, n))
    base = base + 0.03 * controls.sum(0) + noise
    cut = int(rng.uniform(0.25, 0.75) * n)
    sign = rng.choice([-1, 1])
    if kind == "trend_break":
        base += sign * sd * rng.uniform(4, 8) * np.maximum(t - cut, 0) / (n - cut)
    if kind == "level_shift":
        base += sign * sd * rng.uniform(1.5, 3) * (t >= cut)
    if kind == "outlier":
        base[cut] += sign * sd * rng.uniform(6, 9)
    if kind == "confounding":
        base += hidden

    def effects(x: np.ndarray) -> np.ndarray:
        scaled = x / x.max(1, keepdims=True)
        out = np.empty_like(x)
        for i in range(c):
            lags = np.arange(8)
            weights = alpha[i] ** lags
            if kind == "long_lag" and i in rank[:2]:
                weights = np.where(np.arange(40) >= 3, 0.9 ** np.arange(40), 0.0)
            a = carried(scaled[i : i + 1], weights / weights.sum())[0]
            curve = (1 - np.exp(-lam[i] * a)) / (1 + np.exp(-lam[i] * a))
            if kind == "s_curve":
                curve = a**4 / (a**4 + 0.5**4)
            if kind == "mild_curve":
                curve = a / (a + 1.0 / lam[i])
            out[i] = curve
        worth = np.empty(c)
        worth[rank] = whole * share
        return out * (worth / out.mean(1))[:, None]

    if kind == "follows_sales":
        outcome, i = base.copy(), rank[0]
        level = x[i].mean()
        for s in range(n):  # one week after the other
            if s >= 4:
                past = outcome[s - 4 : s].mean() / outcome[:s].mean() - 1
                x[i, s] = level * np.exp(8 * past + 0.3 * own[i, s])
            outcome[s] = (base + effects(np.maximum(x, 1e-9)).sum(0))[s]
    parts = effects(x)
    if kind == "drift":
        way = np.linspace(1.8, 0.2, n)[:: rng.choice([-1, 1])]
        parts[rank[:2]] *= way
    outcome = base + parts.sum(0)
    if kind == "synergy":
        a, b = (parts[i] / parts[i].std() for i in rank[:2])
        both = (a - a.mean()) * (b - b.mean())
        outcome += sd * both / both.std()
    table = {f"m{i}": row for i, row in enumerate(x)}
    table |= {f"c{i}": row for i, row in enumerate(controls)}
    frame = pd.DataFrame(
        {"week": pd.date_range("2020-01-06", periods=n, freq="7D"), **table}
    )
    frame["sales"] = 1e6 * np.maximum(outcome, 0.01)
    media, names = [f"m{i}" for i in range(c)], [f"c{i}" for i in range(k)]
    panel = mm.Panel.from_frame(
        frame, date="week", outcome="sales", media=media, controls=names
    )
    season = None if kind == "missed_season" else mm.seasonality.Fourier(order=2)
    return panel, mm.Spec(seasonality=season, trend=trend)


def judged(kind: str, count: int, seed: int, sampler: mm.HMC) -> list[dict[str, Any]]:
    """Fit and judge so many worlds of a kind."""
    made = [
        world(kind, np.random.default_rng([seed, *kind.encode(), i])) for i in range(count)
    ]
    rows = []
    for trend in (False, True):
        panels = {str(i): p for i, (p, spec) in enumerate(made) if spec.trend == trend}
        if not panels:
            continue
        spec = next(s for _, s in made if s.trend == trend)
        fleet = mm.fit_fleet(spec, panels, sampler, refit=False, progress=False)
        for name in panels:
            fit = fleet[name]
            began = time.perf_counter()
            verdict = judge(fit)
            rows.append(
                {
                    "world": int(name),
                    "weeks": len(fit.panel.dates),
                    "channels": len(fit.panel.channels),
                    "sampled": verdict.sampled.ok,
                    "ok": verdict.adequate.ok,
                    "codes": [
                        f.code for f in verdict.adequate.findings if f.level == "serious"
                    ],
                    "others": [
                        f.code for f in verdict.adequate.findings if f.level != "serious"
                    ],
                    "seconds": time.perf_counter() - began,
                }
            )
    return rows
