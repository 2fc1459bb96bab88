"""Are the posteriors of pooled panels calibrated? Simulation-based calibration.

Parameters are drawn from the prior of the default spec for six geos, an outcome from them,
and the default mm.HMC() samples the posterior of that outcome: the rank of each drawn value
among the posterior's draws is uniform if, and only if, prior, likelihood, geometry and
sampler agree (Talts et al. 2018, arXiv:1804.06788). Every number that is sampled is tested,
own values of geos, what they are pooled about and their spreads, by a chi-squared test over
equal bins; the false-alarm rate of :data:`LEVEL` is over all of them (Holm 1979).

Units are fixed: scales and the prior of media stay those of one simulated panel, or the
prior would follow the outcome that it made.
"""

import argparse
import sys
from dataclasses import replace
from typing import Any

import numpy as np
from common import options, show, write
from scipy.stats import chi2

import mmmjax as mm
from mmmjax.infer.fit import sampled
from mmmjax.infer.progress import Progress
from mmmjax.prepare import prepare
from mmmjax.simulate import generate

LEVEL = 0.01
KEPT = 99  # draws of a posterior that a value is ranked among: evenly spaced, all chains
BINS = 5


def world(geos: int = 6, periods: int = 91) -> tuple[mm.Spec, mm.Panel]:
    """The default spec, with a carry-over of 4 weeks, and a panel without a test window."""
    made = generate(geos=geos, periods=periods + 13, channels=3, controls=1, max_lag=4)
    panel, _ = made.panel.split(made.train_until)
    return mm.Spec(adstock=mm.adstock.Geometric(max_lag=4)), panel


def ranks(
    spec: mm.Spec, panel: mm.Panel, replicas: range, seed: int, sampler: Any
) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Ranks of drawn values (replica, *dims) by parameter, and each fit's largest R-hat."""
    ready = prepare(spec, panel)
    prior = mm.sample_prior(spec, panel, replicas.stop, seed)
    outcome = mm.predict(prior, seed=seed)["outcome"].to_numpy()[0]
    found: dict[str, list[np.ndarray]] = {name: [] for name in prior.draws.params}
    r_hats = []
    for i in replicas:
        drawn = replace(ready.panel, outcome=outcome[i])
        target = ready.spec.likelihood.target(drawn, ready.scale)
        data = replace(ready.data, target=target)
        with Progress(sampler.chains, False) as shown:
            draws, info = sampled(ready.spec, data, sampler, seed + i, shown)
        fit = mm.Fit(ready.spec, drawn, ready.scale, sampler, draws, seed, info)
        r_hats.append(mm.diagnostics(fit).max_r_hat)
        for name, values in draws.params.items():
            flat = values.reshape(-1, *values.shape[2:])
            kept = flat[np.linspace(0, len(flat) - 1, KEPT).round().astype(int)]
            found[name].append((kept < prior.draws.params[name][0, i]).sum(0))
    return {name: np.stack(all_) for name, all_ in found.items()}, np.array(r_hats)


def p_values(found: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Of uniform ranks, by chi-squared over equal bins, for each number of a parameter."""
    out = {}
    for name, each in found.items():
        rows = each.reshape(len(each), -1) * BINS // (KEPT + 1)
        expected = len(each) / BINS
        counts = np.stack([(rows == b).sum(0) for b in range(BINS)])
        out[name] = chi2.sf(((counts - expected) ** 2 / expected).sum(0), BINS - 1)
    return out


def alarms(p: dict[str, np.ndarray]) -> list[str]:
    """Numbers whose ranks are not uniform, at LEVEL over all of them by Holm's steps."""
    flat = [(value, f"{n}[{i}]") for n, x in p.items() for i, value in enumerate(x)]
    out = []
    for step, (value, name) in enumerate(sorted(flat)):
        if value > LEVEL / (len(flat) - step):
            break
        out.append(name)
    return out


def main() -> int:
    """Run, print, write; exit 1 if a rank is not uniform."""
    parser = options(__doc__ or "")
    parser.add_argument("--panels", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    asked: argparse.Namespace = parser.parse_args()
    spec, panel = world()
    sampler = mm.HMC()
    if asked.smoke:
        asked.panels, sampler = 3, mm.HMC(chains=4, warmup=50, draws=50, until=None)
    found, r_hats = ranks(spec, panel, range(asked.panels), asked.seed, sampler)
    p = p_values(found)
    bad = alarms(p)
    worse = int((r_hats > 1.01).sum())
    rows: list[dict[str, Any]] = [
        {
            "parameter": name, "numbers": values.size, "p_least": values.min(),
            "mean_rank": found[name].mean() / KEPT,
            "sd_rank_over_uniform": found[name].std() / np.sqrt(((KEPT + 1) ** 2 - 1) / 12),
        }
        for name, values in p.items()
    ]  # fmt: skip
    show(f"{asked.panels} panels, R-hat at most {r_hats.max():.4f}, "
         f"above 1.01 in {worse}; alarms: {bad or 'none'}",
         tuple(rows[0]), [[*row.values()] for row in rows])  # fmt: skip
    whole = {"panels": asked.panels, "alarms": bad, "level": LEVEL,
             "r_hat_max": r_hats.max(), "r_hat_above_1.01": worse}  # fmt: skip
    write("panel_sbc", [whole, *rows], asked.out)
    return 0 if asked.smoke or not bad else 1


if __name__ == "__main__":
    sys.exit(main())
