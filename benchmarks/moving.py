"""Effects that move: how near weekly contributions come to the truth, and what it costs.

Markets of two years of weeks, two channels. "drift": what TV brings falls to about half and
comes back, Search does not move; "constant": neither moves. Every market is fitted without
and with ``moving``, all of a truth as one fleet.

    python benchmarks/moving.py [--markets 20] [--draws 250]

Prints for both truths: the error of weekly contributions (root mean square over weeks and
channels, of the posterior mean) with over without, and how many of the true ones lie in the
94% interval.
"""

import argparse

import numpy as np
import pandas as pd

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


def measured(drifts: bool, markets: int, draws: int, moves: bool) -> np.ndarray:
    """Error and coverage of every market, (market, 2); NaN of those that did not end."""
    made = {f"m{seed}": market(seed, drifts) for seed in range(markets)}
    sampler = mm.HMC(chains=4, warmup=300, draws=draws, max_draws=4 * draws)
    panels = {name: panel for name, (panel, _) in made.items()}
    fleet = mm.fit_fleet(spec_of(moves), panels, sampler, refit=False, progress=False)
    usable = fleet.table["status"].astype(str).isin(["ok", "not converged"])
    rows = [
        scored(fleet[n], made[n][1]) if usable.get(n, True) else (np.nan, np.nan)
        for n in panels
    ]
    return np.array(rows)


def main() -> None:
    """Both truths, without and with effects that move."""
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("--markets", type=int, default=20)
    asked.add_argument("--draws", type=int, default=250)
    given = asked.parse_args()
    for truth, drifts in (("drift", True), ("constant", False)):
        still, moving = (
            measured(drifts, given.markets, given.draws, moves) for moves in (False, True)
        )
        for name, found in (("without", still), ("with", moving)):
            error, inside = np.nanmean(found, axis=0)
            print(f"{truth}, {name}: error {error:.2f}, {inside:.1%} inside")
        ratio = moving[:, 0] / still[:, 0]
        sums = np.nansum(moving[:, 0]) / np.nansum(still[:, 0])
        print(f"{truth}: error with over without, mean {np.nanmean(ratio):.3f}")
        print(f"{truth}: the same of the sums over markets {sums:.3f}")


if __name__ == "__main__":
    main()
