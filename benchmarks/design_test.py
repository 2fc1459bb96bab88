"""Is the lift test that `mm.design_test` picks the one worth most, and is it worth that?

Simulated markets: 78 weeks, five channels whose spend moves together, so that what each
brings is not well known. Every market is fitted once and planned for 13 weeks (0.5 to 1.5
times the past); ten candidates, each channel dark or doubled for four weeks. No weight of a
draw is trusted here: for each candidate a draw of the posterior is taken for the truth, the
result of the test that it gives is drawn and added to the data as a lift test, and the
market is fitted again, all of a market as one fleet (truths and noise of a candidate at
even quantiles, so that few refits stand for all). The money is planned again on half of the
draws of every refit and judged on the other half, both ways, so that a plan is not praised
for the noise it was chosen on: what that brings beyond the plan of today, in the mean over
refits, is what the test is worth.

Bars: the pick is worth at least 90% of the best candidate, in the mean over markets; values
as `mm.design_test` says them lie within 15% of that mean and two standard errors of their
difference (95% of them). Every market is written when it is done, and what
is in the result file is not run again. ``--cases``, ``--refits`` for fewer.
"""

import json
import sys
from dataclasses import replace
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
from common import options, show, write
from scipy.stats import norm

import mmmjax as mm
from mmmjax.budget.regret import best_of, net_of, prepared_for
from mmmjax.budget.solve import Settings, solve
from mmmjax.budget.trials import LIMIT, brought_by, candidates_of

CHANNELS = ("TV", "Video", "Search", "Social", "Radio")
WEEKS, LAGS, LEVEL = 78, 4, 100.0
FACTORS, LENGTHS, TAIL = (0.0, 2.0), (4,), 2
ASK: dict[str, Any] = {"periods": 13, "bounds": (0.5, 1.5)}
SPEC = mm.Spec(adstock=mm.adstock.Geometric(LAGS), seasonality=None)
FIRST = mm.HMC(chains=4, warmup=300, draws=500)
AGAIN = mm.HMC(chains=2, warmup=250, draws=400, until=None)


def market(seed: int) -> mm.Panel:
    """Simulate one: spend of all channels follows one wave, for the most part."""
    rng = np.random.default_rng([17, seed])
    n = len(CHANNELS)
    wave = rng.standard_normal((WEEKS, 1))
    spend = np.exp(0.4 * (0.8 * wave + 0.6 * rng.standard_normal((WEEKS, n))))
    spend *= rng.uniform(0.5, 3.0, n)
    weights = rng.uniform(0.1, 0.6, n) ** np.arange(LAGS)[:, None]
    weights /= weights.sum(0)
    stock = np.stack(
        [
            np.convolve(x, w)[:WEEKS] / x.max()
            for x, w in zip(spend.T, weights.T, strict=True)
        ],
        1,
    )
    brought = np.tanh(0.5 * rng.uniform(1.0, 4.0, n) * stock) * rng.gamma(2.0, 8.0, n)
    sales = LEVEL + brought.sum(1) + rng.normal(0, 4.0, WEEKS)
    frame = pd.DataFrame(spend, columns=list(CHANNELS)).assign(sales=sales)
    frame["week"] = pd.date_range("2023-01-02", None, WEEKS, "7D")
    return mm.Panel.from_frame(frame, date="week", outcome="sales", media=list(CHANNELS))


@partial(jax.jit, static_argnames=("kind",))
def gains(problem: Any, draws: Any, plan: Any, *, kind: Any) -> Any:
    """What planning again brings beyond the plan of today, a refit after the other."""
    form = replace(kind.form, block=2**30)

    def half(known: Any, which: int) -> Any:
        draws = jax.tree.map(lambda x: x[which::2], known)
        return problem._replace(window=problem.window._replace(draws=draws))

    def one(known: Any) -> Any:
        halves, both = [half(known, 0), half(known, 1)], []
        for chosen, judged in (halves, halves[::-1]):
            found = best_of(chosen, kind, plan, 1e-7, LIMIT)[0]
            both.append(net_of(judged, form, found) - net_of(judged, form, plan))
        return (both[0] + both[1]) / 2

    return jax.lax.map(one, draws)


def refitted(
    panel: mm.Panel, tests: list[Any], results: np.ndarray, seed: int, sampler: mm.HMC
) -> list[mm.Fit]:
    """The market fitted again with each result of each test, (test, refit)."""
    panels = {
        f"{j}-{r}": panel.with_facts(
            [replace(test.fact, result=float(y), error=test.error)]
        )
        for j, test in enumerate(tests)
        for r, y in enumerate(results[j])
    }
    fleet = mm.fit_fleet(SPEC, panels, sampler, seed=seed, refit=False, progress=False)
    return [fleet[name] for name in panels]


def measured(seed: int, refits: int, first: mm.HMC, again: mm.HMC) -> dict[str, Any]:
    """One market: values as said, and as refits find them."""
    panel = market(seed)
    fit = mm.fit(SPEC, panel, first, seed=seed, progress=False)
    asked = {"factors": FACTORS, "lengths": LENGTHS, "tail": TAIL}
    said = mm.design_test(fit, seed=seed, **asked, **ASK).table.sort_values("test")
    tests, _ = candidates_of(fit, CHANNELS, FACTORS, LENGTHS, [0.5], TAIL, seed)
    brought = brought_by(fit, [test.fact for test in tests])
    rng = np.random.default_rng([18, seed])
    error = np.array([test.error for test in tests])
    even = (np.arange(refits) + 0.5) / refits
    truths = np.quantile(brought, even, axis=0, method="closest_observation")
    noise = rng.permuted(np.tile(norm.ppf(even), (len(tests), 1)), axis=1)
    results = truths.T + error[:, None] * noise
    fits = refitted(panel, tests, results, seed, again)
    prepared = prepared_for(fit, None, dict(ASK))
    with jax.enable_x64(True):
        plan = solve(prepared, Settings.of(12, 0, 1e-7, LIMIT)).spend
        windows = [
            prepared_for(one, None, ASK | {"max_draws": None}).problem().window.draws
            for one in fits
        ]
        draws = jax.tree.map(lambda *x: jnp.stack([jnp.asarray(a) for a in x]), *windows)
        found = gains(prepared.problem(), draws, plan, kind=prepared.kind)
    found = np.asarray(found).reshape(len(tests), refits)
    r_hat = [float(mm.diagnostics(one).max_r_hat) for one in fits[:: max(refits // 10, 1)]]
    return {
        "seed": seed,
        "refits": refits,
        "channel": said["channel"].tolist(),
        "factor": said["factor"].tolist(),
        "said": said["value"].tolist(),
        "said_error": said["value_error"].tolist(),
        "draws": said["draws"].tolist(),
        "found": found.mean(1).tolist(),
        "error": (found.std(1, ddof=1) / refits**0.5).tolist(),
        "r_hat": float(np.quantile(r_hat, 0.9)),
    }


def summed(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Regret of the pick, and how many values lie within 15% and two errors."""
    said, found, error = (
        np.array([row[name] for row in rows]) for name in ("said", "found", "error")
    )
    pick = np.take_along_axis(found, said.argmax(1)[:, None], 1)[:, 0]
    best = found.max(1)
    off = np.abs(said - found)
    error = np.hypot(error, np.array([row["said_error"] for row in rows]))
    return {
        "regret": float((best - pick).sum() / best.sum()),
        "regret of each": (1 - pick / best).tolist(),
        "regret of the mean candidate": float(1 - found.mean() / best.mean()),
        "within": float((off <= 0.15 * found + 2 * error).mean()),
        "ratio": float(said.sum() / found.sum()),
        "correlation": float(np.corrcoef(said.ravel(), found.ravel())[0, 1]),
        "error": float(np.median(error / found.max(1, keepdims=True))),
    }


def main() -> int:
    """Run what is not there yet, print, write; exit 1 if a bar does not hold."""
    parser = options(__doc__ or "")
    parser.add_argument("--cases", type=int, default=20)
    parser.add_argument("--refits", type=int, default=200)
    asked = parser.parse_args()
    cases, refits, samplers = asked.cases, asked.refits, (FIRST, AGAIN)
    if asked.smoke:
        short = mm.HMC(chains=2, warmup=50, draws=50, until=None)
        cases, refits, samplers = 1, 2, (short, short)
    file, rows = asked.out / "design_test.json", list[dict[str, Any]]()
    if file.exists() and not asked.smoke:
        rows = json.loads(file.read_text())["rows"]
    for seed in sorted({*range(cases)} - {row["seed"] for row in rows}):
        rows.append(measured(seed, refits, *samplers))
        write("design_test", rows, asked.out, summary=summed(rows))
        print(rows[-1], flush=True)
    summary = summed(rows)
    show(f"{len(rows)} markets", ("", "value"), [[k, str(v)] for k, v in summary.items()])
    held = summary["regret"] <= 0.1 and summary["within"] >= 0.95
    return 0 if held or asked.smoke else 1


if __name__ == "__main__":
    sys.exit(main())
