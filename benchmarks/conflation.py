"""Drift or saturation: whether the report names what was planted, or says it cannot tell.

Markets of two years of weeks, two channels, whose spend on TV grows. "saturation": TV's
curve bends and stays; "drift": what TV brings is in proportion to its media, and fades;
"mild" markets of either kind bend or fade half as much. Each is fitted both ways, all
markets of a kind and way as one fleet. Bar: at least 16 of 20 of each kind named right or
"cannot tell".
"""

import sys

import numpy as np
import pandas as pd
from common import options, show, write

import mmmjax as mm
from mmmjax.conflating import as_drift_and_saturation, told

WEEKS, NOISE = 104, 3.0


def market(seed: int, drifts: bool, strength: float) -> mm.Panel:
    """A table whose TV spend grows from a third to its full level and varies around it."""
    rng = np.random.default_rng([seed, drifts])
    weeks = pd.date_range("2023-01-01", periods=WEEKS, freq="W-SUN")
    media = rng.gamma(4.0, 15.0, (2, WEEKS)) * (rng.random((2, WEEKS)) < 0.9)
    media[0] *= np.linspace(1 / 3, 1, WEEKS)
    weights = np.array([0.5, 0.4])[:, None] ** np.arange(6)
    weights /= weights.sum(1, keepdims=True)
    carried = np.array(
        [np.convolve(m, w)[:WEEKS] for m, w in zip(media, weights, strict=True)]
    )
    carried /= carried.max(1, keepdims=True)
    bend = 2.0 * strength
    truth = np.tanh(bend * carried) / np.tanh(bend)
    if drifts:
        by = np.exp(-1.2 * strength * np.arange(WEEKS) / WEEKS)
        truth[0] = carried[0] * by / by.mean()
    sales = 100 + np.array([60.0, 40.0]) @ truth + rng.normal(0, NOISE, WEEKS)
    frame = pd.DataFrame(
        {"week": weeks, "sales": sales, "TV": media[0], "Search": media[1]}
    )
    return mm.Panel.from_frame(frame, date="week", outcome="sales", media=["TV", "Search"])


def verdicts(
    drifts: bool, strength: float, seeds: int, sampler: mm.HMC, first: int
) -> list[dict[str, object]]:
    """The row of TV of every market of a kind."""
    panels = {f"m{s}": market(s, drifts, strength) for s in range(first, first + seeds)}
    spec = mm.Spec(adstock=mm.adstock.Geometric(6), seasonality=None)
    ways = as_drift_and_saturation(spec, panels[f"m{first}"], "TV")
    fleets = {
        way: mm.fit_fleet(one, panels, sampler, refit=False, progress=False)
        for way, one in ways.items()
    }
    return [told("TV", {way: fleets[way][name] for way in ways}) for name in panels]


def main() -> int:
    """Both kinds, strong and mild."""
    parser = options(__doc__ or "")
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--first", type=int, default=0)
    asked = parser.parse_args()
    seeds, sampler = asked.seeds, mm.HMC(chains=4, warmup=300, draws=250)
    if asked.smoke:
        seeds, sampler = 1, mm.HMC(chains=2, warmup=50, draws=50, until=None)
    rows = []
    for strength in (1.0, 0.5):
        for planted, drifts in (("saturation", False), ("drift", True)):
            found = verdicts(drifts, strength, seeds, sampler, asked.first)
            named = [row["verdict"] for row in found]
            row = {"strength": strength, "planted": planted, "markets": seeds}
            row |= {name: named.count(name) for name in ("saturation", "drift")}
            row["cannot tell"] = seeds - row["saturation"] - row["drift"]
            row["wrong"] = row["drift" if planted == "saturation" else "saturation"]
            for key in ("difference", "difference_se", "overlap", "shared"):
                row[key] = float(np.median([one[key] for one in found]))
            row["unsampled"] = sum(not one["sampled"] for one in found)
            rows.append(row)
            print(row, flush=True)
    names = list(rows[0])
    show("drift or saturation", names, [[row[name] for name in names] for row in rows])
    write("conflation", rows, asked.out, seeds=seeds, first=asked.first)
    met = all(row["wrong"] <= 0.2 * seeds for row in rows)
    return 0 if met or asked.smoke else 1


if __name__ == "__main__":
    sys.exit(main())
