"""Is the default prior of media neutral in return?

Simulated markets, 104 weeks, three channels that are always on and two in flights (runs of
3 to 6 weeks, pauses of 3 to 9), fitted as one fleet (mm.HMC) under each of two priors of
saturation_beta: media_share, the default, and spend_share, the default before. The form of
the model is right and spend follows no demand, so that what is measured is the prior.

Truth is drawn from no prior of ours: ROAS of every channel log-normal with median 2 and sd
0.4 whatever its kind, retention uniform in [0.1, 0.7], lam in [1, 4], spend of all channels
8% to 22% of the outcome, split by factors of up to five, noise 3% to 8% of the outcome.
All is made in NumPy; the library is not asked.

Bars, over markets, for media_share:

- bias of total media: of posterior means, as mean relative error and as the error of the
  sum over markets; of absolute size at most 5% + 2 standard errors;
- coverage of the 94% intervals of contributions, of total media and of the channels: within
  3 standard errors, by market, of 0.94 (for the total those of a right interval);
- prior median ROAS of flighted over always-on channels: within 20% of 1.

Beside them the root mean square of the relative error of channels, and bias by thirds of
the true share of media, which say where the prior pulls. ``--markets`` for fewer.
"""

import sys
import time
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from common import options, show, write

import mmmjax as mm
from mmmjax.criticism import prior_returns
from mmmjax.fleet.run import USUAL
from mmmjax.metrics import hdi
from mmmjax.prepare import prepare

WEEKS, LAGS, KINDS = 104, 8, np.array([False, False, False, True, True])  # in flights?
MARKETS = 400
PRIORS = {"media_share": mm.media_share, "spend_share": mm.spend_share}


class Market(NamedTuple):
    """A panel and what its channels brought, outcome units."""

    panel: mm.Panel
    brought: np.ndarray


def market(seed: int) -> Market:
    """Simulate one."""
    rng = np.random.default_rng([14, seed])
    n = len(KINDS)
    log = np.zeros((WEEKS, n + 1))
    for t in range(WEEKS):
        last = log[t - 1] if t else 0.0
        log[t] = 0.6 * last + 0.8 * rng.standard_normal(n + 1)
    spend = np.exp(0.4 * (0.55 * log[:, :1] + 0.84 * log[:, 1:]))
    for c in np.flatnonzero(KINDS):
        on: list[float] = []
        while len(on) < WEEKS:
            runs, pause = int(rng.integers(3, 7)), int(rng.integers(3, 10))
            on += [1.0] * runs + [0.0] * pause
        spend[:, c] *= np.roll(on, rng.integers(8))[:WEEKS]
    spend *= rng.uniform(1.0, 5.0, n)
    level = 1e6
    spend *= rng.uniform(0.08, 0.22) * level * WEEKS / spend.sum()
    weights = rng.uniform(0.1, 0.7, n) ** np.arange(LAGS)[:, None]
    weights /= weights.sum(0)
    stock = np.zeros_like(spend)
    for lag in range(LAGS):
        stock[lag:] += weights[lag] * spend[: WEEKS - lag]
    effect = np.tanh(0.5 * rng.uniform(1.0, 4.0, n) * stock / spend.max(0))
    brought = 2.0 * np.exp(0.4 * rng.standard_normal(n)) * spend.sum(0)
    effect *= brought / effect.sum(0)
    week = np.arange(WEEKS)
    wave = rng.uniform(0.03, 0.12) * np.sin(2 * np.pi * (week / 52.18 + rng.random()))
    base = level - brought.sum() / WEEKS
    outcome = base + level * (wave + rng.uniform(-0.1, 0.1) * week / WEEKS)
    outcome += effect.sum(1) + level * rng.uniform(0.03, 0.08) * rng.standard_normal(WEEKS)
    names = [f"{'flight' if kind else 'always'} {c}" for c, kind in enumerate(KINDS)]
    frame = pd.DataFrame(spend, columns=names)
    frame["sales"], frame["week"] = outcome, pd.date_range("2023-01-02", None, WEEKS, "7D")
    panel = mm.Panel.from_frame(frame, date="week", outcome="sales", media=names)
    return Market(panel, brought)


def measured(name: str, markets: dict[str, Market], sampler: mm.HMC) -> dict[str, Any]:
    """Fit a fleet under one prior; what is found of the truth, with standard errors."""
    beta = {"saturation_beta": mm.Prior("HalfNormal", scale=PRIORS[name])}
    wave = mm.seasonality.Fourier(order=1)
    spec = mm.Spec(seasonality=wave, trend=True, priors=beta)
    began = time.perf_counter()
    panels = {key: one.panel for key, one in markets.items()}
    fleet = mm.fit_fleet(spec, panels, sampler, progress=False)
    seconds, table = time.perf_counter() - began, pd.DataFrame(fleet.table)
    usable = table["status"].isin(["converged", "refitted"]).to_numpy()
    rows: list[dict[str, Any]] = []
    for key, fit in fleet.items():
        truth = markets[key].brought
        draws = mm.contributions(fit)["channel_total"].to_numpy().reshape(-1, len(KINDS))
        draws = np.column_stack([draws, draws.sum(1)])
        true = np.append(truth, truth.sum())
        lo, hi = hdi(draws)
        ready = prepare(spec, panels[key])
        believed = prior_returns(ready.spec, ready.panel, ready.data, draws=2000)
        median = believed["roas_median"].to_numpy()[: len(KINDS)]
        rows.append(
            {
                "truth": true,
                "mean": draws.mean(0),
                "inside": (lo < true) & (true < hi),
                "share": true[-1] / panels[key].outcome.sum(),
                "ratio": median[KINDS].mean() / median[~KINDS].mean(),
                "always": median[~KINDS].mean(),
                "flights": median[KINDS].mean(),
            }
        )
    of = {n: np.stack([row[n] for row in rows]) for n in rows[0]}
    error = of["mean"] / of["truth"] - 1
    total, count = error[:, -1], len(rows)
    se = lambda x: float(x.std(ddof=1) / np.sqrt(len(x)))
    whole, true = of["mean"][:, -1], of["truth"][:, -1]
    sums = whole.sum() / true.sum() - 1
    residual = (whole - (1 + sums) * true) / true.mean()
    inside = of["inside"][:, :-1].mean(1)
    third = np.argsort(np.argsort(of["share"])) * 3 // count
    bias = {f"bias_third_{k + 1}": float(total[third == k].mean()) for k in range(3)}
    kinds = {
        f"bias_{kind}": float(error[:, :-1][:, at].mean())
        for kind, at in (("always", ~KINDS), ("flights", KINDS))
    }
    return {
        "prior": name,
        "markets": count,
        "seconds": seconds,
        "usable": int(usable.sum()),
        "max_r_hat": float(table["r_hat"].to_numpy(float).max()),
        "true_share": float(of["share"].mean()),
        "bias": float(total.mean()),
        "bias_se": se(total),
        "bias_of_sum": float(sums),
        "bias_of_sum_se": se(residual),
        "coverage_total": float(of["inside"][:, -1].mean()),
        "coverage_total_se": float(np.sqrt(0.94 * 0.06 / count)),
        "coverage_channels": float(inside.mean()),
        "coverage_channels_se": se(inside),
        "channel_rmse": float(np.sqrt((error[:, :-1] ** 2).mean())),
        "prior_roas_always": float(of["always"].mean()),
        "prior_roas_flights": float(of["flights"].mean()),
        "prior_roas_ratio": float(of["ratio"].mean()),
        **bias,
        **kinds,
    }


def bars(row: dict[str, Any]) -> dict[str, bool]:
    """Which of the bars hold."""
    near = lambda name, far: abs(row[name] - 0.94) <= far * row[f"{name}_se"]
    small = lambda name: abs(row[name]) <= 0.05 + 2 * row[f"{name}_se"]
    return {
        "bias": small("bias"),
        "bias_of_sum": small("bias_of_sum"),
        "coverage_total": near("coverage_total", 3),
        "coverage_channels": near("coverage_channels", 3),
        "prior_roas_ratio": 1 / 1.2 <= row["prior_roas_ratio"] <= 1.2,
    }


def main() -> int:
    """Run, print, write; exit 1 if a bar does not hold for media_share."""
    parser = options(__doc__ or "")
    parser.add_argument("--markets", type=int, default=MARKETS, help="how many")
    asked = parser.parse_args()
    count = 4 if asked.smoke else asked.markets
    sampler = mm.HMC(chains=4, warmup=50, draws=50, until=None) if asked.smoke else USUAL
    markets = {f"market {i}": market(i) for i in range(count)}
    rows = [measured(name, markets, sampler) for name in PRIORS]
    for row in rows:
        row["bars"] = bars(row)
    names = [n for n in rows[0] if n not in ("prior", "bars")]
    heads = ("", *(row["prior"] for row in rows))
    show(f"{count} markets", heads, [[n, *(row[n] for row in rows)] for n in names])
    held = [[n, *(str(row["bars"][n]) for row in rows)] for n in rows[0]["bars"]]
    show("bars that hold", heads, held)
    write("media_prior", rows, asked.out)
    return 0 if asked.smoke or all(rows[0]["bars"].values()) else 1


if __name__ == "__main__":
    sys.exit(main())
