"""How near to the best is a plan, how far apart are seeds, and what each part is worth.

Every utility on four made-up posteriors (2, 4, 7 and 50 channels) and the case study where
its data are there: 500 draws, 26 periods, 0.3 to 2 times the past; and the mean of S-shaped
curves (0 to 3 times). For each: how far the plan falls short of the best that any seed,
part or start of SLSQP (on value and gradient of the same utility) found, and the spread
over seeds. Then the same with one part of the search left out at a time. Last a frontier of
13 prices of the tail over 4 channels. A row that the result file has is not made again, so
a run that was stopped goes on.
"""

import json
import sys
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from budget import slsqp
from common import HERE, compiled, options, show, write

sys.path.insert(0, str(HERE.parent))

import mmmjax as mm
from mmmjax.budget import search, solve
from mmmjax.budget.horizon import response_of
from mmmjax.budget.prepare import prepare
from mmmjax.budget.region import project
from mmmjax.budget.solve import scaled_problem
from tests.budget.cases import make_fit
from tests.budget.test_against_slsqp import SHARED, case_study
from tests.budget.test_search import hills

ASK: dict[str, Any] = {"periods": 26, "bounds": (0.3, 2.0)}
UTILITIES = (
    "mean_tightness(alpha=0.9)", "tightness_ratio", "-tail_distance()",
    "value_at_risk(level=0.9)", "adjusted_value_at_risk", "raroc",
    "roas(value_at_risk(level=0.9))", "probability_of", "sharpe", "diversification_ratio",
    "expected_shortfall", "conditional_value_at_risk(level=0.9)", "portfolio_entropy",
    "profit", "mean_response",
)  # fmt: skip
PARTS = ("nothing", "hops", "evolve", "starts")
PLAIN = {"hops": search.HOPS, "evolve": search.evolve, "starts": solve.starts_of}
AGAINST = 32  # random starts of SLSQP


def problems(smoke: bool) -> Iterator[tuple[str, Any, str, dict[str, Any]]]:
    """What is planned: name, fit, utility, what is asked."""
    draws = 20 if smoke else 500
    made: dict[str, Any] = {"2 channels": lambda: make_fit(2, draws=draws)}
    if not smoke:
        made["4 channels"] = lambda: make_fit(4, draws=draws, seed=7)
        made["7 channels"] = lambda: make_fit(7, draws=draws, seed=3)
        if (SHARED / "data" / "case_study.csv").exists():
            made["case study"] = case_study
        made["50 channels"] = lambda: make_fit(50, draws=draws)
    for what, make in made.items():
        fit = make()
        mean = float(mm.optimize(fit, **ASK).response.sel(plan="optimized").mean())
        spent = prepare(fit, **ASK).layout.budget
        own = {"probability_of": f"probability_of(target={mean})",
               "profit": f"profit(value={1.2 * spent / mean})"}  # fmt: skip
        for utility in UTILITIES[:2] if smoke else UTILITIES:
            yield what, fit, own.get(utility, utility), ASK
    for seed in () if smoke else range(3):
        yield f"S-curves {seed}", hills(4, 3.0, seed), "mean_response", {"bounds": (0, 3)}


def leave_out(part: str) -> None:
    """Put every part back but this one."""
    search.HOPS, search.evolve, solve.starts_of = PLAIN.values()
    if part == "hops":
        search.HOPS = 0
    if part == "evolve":
        search.evolve = lambda worth, region, x, value, *how: (x, value, 0)
    if part == "starts":
        solve.starts_of = lambda prepared, problem, count, seed: PLAIN["starts"](
            prepared, problem, 1, seed
        )
    jax.clear_caches()


def against(fit: Any, plan: mm.Plan, utility: str, ask: dict[str, Any]) -> float:
    """The best end of SLSQP from random starts: utility; NaN where money may be left."""
    prepared = prepare(fit, utility=utility, **ask)
    if prepared.up_to or plan.utility.startswith("profit"):
        return np.nan
    lower, upper = (x.to_numpy().ravel() / plan.budget for x in (plan.lower, plan.upper))
    with jax.enable_x64(True):
        problem = scaled_problem(prepared)[0]
        call, _ = compiled(partial(_both, form=prepared.kind.form), problem, lower)
        put, rng, best = jax.device_put(problem), np.random.default_rng(0), -np.inf
        for _ in range(AGAINST):
            start = lower + rng.random(len(lower)) * (upper - lower)
            start = project(jnp.asarray(start), put.region)[0]
            found = slsqp(lambda x: call(put, x), plan, start=start, maxiter=60)
            end = project(jnp.asarray(np.nan_to_num(found.x)), put.region)[0]
            value = float(call(put, end)[0])
            best = max(best, value if np.isfinite(value) else -np.inf)
        return best * float(put.size)


def _both(problem: Any, shares: Any, *, form: Any) -> Any:
    respond = response_of(problem.window, form)
    value = lambda x: search.worth(problem, respond(x * problem.budget), x)
    return jax.value_and_grad(value)(shares)


def run(
    smoke: bool, seeds: int, only: list[str], parts: list[str], out: Path
) -> list[dict[str, Any]]:
    """One row a problem, utility and part that is left out; written as it comes."""
    path = out / "budget_search.json"
    rows = json.loads(path.read_text())["rows"] if path.exists() and not smoke else []
    for part in parts or PARTS[: 2 if smoke else None]:
        leave_out(part)
        for what, fit, utility, ask in problems(smoke):
            name = utility.partition("(target")[0].partition("(value=")[0]
            key = {"what": what, "utility": name, "without": part}
            there = any(key.items() <= row.items() for row in rows)
            if there or (only and what not in only):
                continue
            found, seconds = [], []
            for seed in range(seeds if part == "nothing" else 2):
                begin = time.perf_counter()
                plan = mm.optimize(fit, utility=utility, seed=seed, **ask)
                seconds.append(time.perf_counter() - begin)
                found.append(plan.objective)
                if plan.starts == 1 and seed:
                    break  # nothing random
            slsqp_best = against(fit, plan, utility, ask) if part == "nothing" else np.nan
            size = abs(max(found)) or abs(float(plan.response.mean()))
            rows.append(key | {
                "objective": found[0], "most": float(np.nanmax([*found, slsqp_best])),
                "seeds": len(found), "spread": float(np.ptp(found) / size), "size": size,
                "first_s": seconds[0], "plan_s": float(np.median(seconds[1:])),
                "slsqp_short": float((max(found) - slsqp_best) / size),
                "certified": plan.certified,
                "evaluations": plan.evaluations,
            })  # fmt: skip
            for row in (r for r in rows if "most" in r):
                same = [r for r in rows if r["what"] == row["what"] and "most" in r]
                same = [r for r in same if r["utility"] == row["utility"]]
                most = max(r["most"] for r in same)
                row["short"] = (most - row["objective"]) / row["size"]
            print(rows[-1], flush=True)
            write("budget_search", rows, out)
    leave_out("nothing")
    return rows


def frontier(smoke: bool) -> dict[str, Any]:
    """Thirteen prices of the tail, and the worst of them beside a plan made alone."""
    fit = make_fit(4, draws=20 if smoke else 500, seed=7)
    alphas = np.linspace(0.0, 1.2, 3 if smoke else 13)
    ask = partial(mm.frontier, fit, alphas=alphas, **ASK)
    seconds, busy = [], []
    for _ in range(2 if smoke else 6):
        begin, cpu = time.perf_counter(), time.process_time()
        found = ask()
        seconds.append(time.perf_counter() - begin)
        busy.append(time.process_time() - cpu)
    alone = [
        mm.optimize(fit, utility=mm.utility.mean_tightness(alpha=float(a)), **ASK).objective
        for a in alphas
    ]
    short = float(np.max((alone - found.objective.to_numpy()) / np.abs(alone)))
    return {"what": f"frontier of {len(alphas)}", "utility": "mean_tightness",
            "without": "nothing", "first_s": seconds[0], "short": short,
            "plan_s": float(np.median(seconds[1:])), "least_s": min(seconds[1:]),
            "cpu_s": float(np.median(busy[1:])),
            "evaluations": float(found.evaluations.mean())}  # fmt: skip


def main() -> int:
    """Run, print, write."""
    parser = options(__doc__ or "")
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--only", action="append", default=[], help="problems; frontier")
    parser.add_argument("--without", action="append", default=[], help="parts left out")
    asked = parser.parse_args()
    only = asked.only
    rows = []
    if only != ["frontier"]:
        seeds = 2 if asked.smoke else asked.seeds
        rows = run(asked.smoke, seeds, only, asked.without, asked.out)
    if not only or "frontier" in only:
        path = asked.out / "budget_search.json"
        rows = json.loads(path.read_text())["rows"] if path.exists() else rows
        rows = [row for row in rows if not row["what"].startswith("frontier")]
        rows.append(frontier(asked.smoke))
        write("budget_search", rows, asked.out)
    columns = ("utility", "without", "short", "spread", "plan_s", "slsqp_short")
    shown = [[row["what"], *(row.get(column) for column in columns)] for row in rows]
    show("Search", ("what", *columns), shown)
    return 0


if __name__ == "__main__":
    sys.exit(main())
