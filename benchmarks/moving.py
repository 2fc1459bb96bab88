"""Effects that move: how near weekly contributions come to the truth, and what it costs.

Markets of two years of weeks, two channels. "drift": what TV brings falls to about half and
comes back, Search does not move; "constant": neither moves. Every market is fitted without
and with ``moving``, all of a truth as one fleet.

The error is that of weekly contributions: root mean square over weeks and channels, of the
posterior mean. Bars: with over without below 0.5 on drift and 1.1 on constant, and 85% of
the true ones inside the 94% interval.
"""

import sys

import numpy as np
import pandas as pd
from common import options, show, write

import mmmjax as mm

CHANNELS = ("TV", "Search")
WEEKS, NOISE = 104, 3.0


def market(seed: int, drifts: bool) -> tuple[mm.Panel, np.ndarray]:
    """A table, and the true contributions (channel, week)."""
    rng = np.random.default_rng([seed, drifts])
    weeks = pd.date_range("2023-01-01", periods=WEEKS, freq="W-SUN")
    media = rng.gamma(1.5, 40.0, (2, WEEKS)) * (rng.random((2, WEEKS)) < 0.8)
    weights = np.array([0.5, 0.4])[:, None] ** np.arange(6)
    weights /= weights.sum(1, keepdims=True)
    carried = np.array(
        [np.convolve(m, w)[:WEEKS] for m, w in zip(media, weights, strict=True)]
    )
    bent = np.tanh(carried / media.max(1, keepdims=True) * 1.2)
    log = np.zeros((2, WEEKS))
    if drifts:
        log[0] = 0.6 * np.cos(
            2 * np.pi * (np.arange(WEEKS) / WEEKS + rng.uniform(-0.1, 0.1))
        )
    by = np.exp(log) / np.exp(log).mean(1, keepdims=True)
    truth = np.array([90.0, 60.0])[:, None] * bent * by
    sales = 100.0 + truth.sum(0) + rng.normal(0, NOISE, WEEKS)
    frame = pd.DataFrame(
        {"week": weeks, "sales": sales, **dict(zip(CHANNELS, media, strict=True))}
    )
    panel = mm.Panel.from_frame(frame, date="week", outcome="sales", media=list(CHANNELS))
    return panel, truth


def spec_of(moves: bool) -> mm.Spec:
    """The model, with effects that move or without."""
    moving = (mm.moving.Process(),) if moves else ()
    term = mm.terms.Media(adstock=mm.adstock.Geometric(6), moving=moving)
    return mm.Spec(seasonality=None, terms=(term,))


def scored(fit: mm.Fit, truth: np.ndarray) -> tuple[float, float]:
    """Error of weekly contributions, and the share of them inside the interval."""
    found = mm.contributions(fit)["channel_contribution"].to_numpy()[:, 0]
    inside = (found[1] <= truth) & (truth <= found[2])
    return float(np.sqrt(((found[0] - truth) ** 2).mean())), float(inside.mean())


def measured(
    drifts: bool, markets: int, sampler: mm.HMC, moves: bool
) -> tuple[float, float]:
    """Mean error and coverage over markets, all of them one fleet."""
    made = {f"m{seed}": market(seed, drifts) for seed in range(markets)}
    panels = {name: panel for name, (panel, _) in made.items()}
    fleet = mm.fit_fleet(spec_of(moves), panels, sampler, refit=False, progress=False)
    error, inside = np.mean([scored(fleet[n], made[n][1]) for n in panels], axis=0)
    return float(error), float(inside)


def main() -> int:
    """Both truths, without and with effects that move."""
    parser = options(__doc__ or "")
    parser.add_argument("--seeds", type=int, default=20)
    asked = parser.parse_args()
    seeds, sampler = asked.seeds, mm.HMC(chains=4, warmup=300, draws=250, leapfrogs=16)
    if asked.smoke:
        seeds, sampler = 1, mm.HMC(chains=2, warmup=50, draws=50, until=None)
    rows, met = [], {}
    for truth, drifts, most in (("drift", True, 0.5), ("constant", False, 1.1)):
        still, _ = measured(drifts, seeds, sampler, False)
        moving, inside = measured(drifts, seeds, sampler, True)
        row = {"without": still, "with": moving, "ratio": moving / still}
        rows.append({"truth": truth, **row, "inside": inside})
        met[truth] = moving < most * still and inside >= 0.85
    names = list(rows[0])
    show("weekly contributions", names, [[row[name] for name in names] for row in rows])
    write("moving", rows, asked.out, seeds=seeds)
    print(met)
    return 0 if all(met.values()) or asked.smoke else 1


if __name__ == "__main__":
    sys.exit(main())
