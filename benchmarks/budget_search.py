"""What each part of the search for a plan is worth: left out one at a time.

Utilities that are not concave, on made-up posteriors of 4 and 7 channels (500 draws, 0.3 to
2 times the past, 26 periods) and the mean of S-shaped curves (0 to 3 times). For each part
that is left out: how far the plan falls short of the best that any variant and seed found,
and its warm time. The whole search is repeated with other seeds, for their spread. At the
end a frontier of 13 prices of the tail over 4 channels, warm.
"""

import sys
import time
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from common import HERE, options, show, write

sys.path.insert(0, str(HERE.parent))

import mmmjax as mm
from mmmjax.budget import search, solve, starts
from mmmjax.budget.region import project
from tests.budget.cases import make_fit
from tests.budget.test_search import hills

UTILITIES = (
    "mean_tightness(alpha=0.9)", "tightness_ratio", "-tail_distance()",
    "value_at_risk(level=0.9)", "adjusted_value_at_risk", "raroc", "sharpe",
)  # fmt: skip
WIDER = ("-tail_distance()",)  # with 7 channels: its tops are many
PARTS = ("nothing", "polish", "evolve", "starts", "grid")
PLAIN = {name: getattr(search, name) for name in ("polish", "evolve")}
USUAL = {"starts_of": solve.starts_of, "grid_start": starts.grid_start}


def leave_out(part: str) -> None:
    """Put every part back but this one."""
    search.polish, search.evolve = PLAIN["polish"], PLAIN["evolve"]
    solve.starts_of, starts.grid_start = USUAL["starts_of"], USUAL["grid_start"]
    if part == "polish":
        search.polish = lambda respond, worth, region, x, value, slope: (x, value, 0)
    if part == "evolve":
        search.evolve = lambda worth, region, x, value: (x, value, 0)
    if part == "starts":
        solve.starts_of = lambda prepared, problem, count, seed: USUAL["starts_of"](
            prepared, problem, 1, seed
        )
    if part == "grid":
        starts.grid_start = lambda problem, form: project(
            jnp.asarray(problem.region.lower), problem.region
        )[0]
    jax.clear_caches()


def rows_of(smoke: bool, seeds: int, out: Path) -> list[dict[str, Any]]:
    """One row a problem, utility and part that is left out; written part by part."""
    draws = 20 if smoke else 500
    ask: dict[str, Any] = {"periods": 26, "bounds": (0.3, 2.0)}
    fits = {n: make_fit(n, draws=draws, seed=seed) for n, seed in ((4, 7), (7, 3))}
    problems = [(f"{n} channels", fits[n], utility, ask)
                for n, some in ((4, UTILITIES), (7, WIDER))
                for utility in some]  # fmt: skip
    problems += [(f"S-curves {i}", hills(4, 3.0, i), "mean_response", {"bounds": (0, 3)})
                 for i in range(3)]  # fmt: skip
    rows = []
    for part in PARTS[:2] if smoke else PARTS:
        leave_out(part)
        for what, fit, utility, asked in problems[:1] if smoke else problems:
            found, seconds = [], []
            for seed in range(max(seeds, 2) if part == "nothing" else 2):
                begin = time.perf_counter()
                plan = mm.optimize(fit, utility=utility, seed=seed, **asked)
                seconds.append(time.perf_counter() - begin)
                found.append(plan.objective)
            rows.append({
                "what": what, "utility": utility, "without": part, "objective": found[0],
                "most": max(found), "spread": float(np.ptp(found) / abs(max(found))),
                "plan_s": float(np.median(seconds[1:])), "evaluations": plan.evaluations,
            })  # fmt: skip
            print(rows[-1], flush=True)
        for row in rows:
            same = (row["what"], row["utility"])
            best = max(r["most"] for r in rows if (r["what"], r["utility"]) == same)
            row["short"] = (best - row["objective"]) / abs(best)
        write("budget_search", rows, out)
    leave_out("nothing")
    return rows


def frontier(smoke: bool) -> dict[str, Any]:
    """Thirteen prices of the tail, and the worst of them beside a plan made alone."""
    fit = make_fit(4, draws=20 if smoke else 500, seed=7)
    alphas = np.linspace(0.0, 1.2, 3 if smoke else 13)
    ask: dict[str, Any] = {"periods": 26, "bounds": (0.3, 2.0)}
    mm.frontier(fit, alphas=alphas, **ask)
    begin = time.perf_counter()
    found = mm.frontier(fit, alphas=alphas, **ask)
    seconds = time.perf_counter() - begin
    alone = [
        mm.optimize(fit, utility=mm.utility.mean_tightness(alpha=float(a)), **ask).objective
        for a in alphas
    ]
    short = float(np.max((alone - found.objective.to_numpy()) / np.abs(alone)))
    return {"what": f"frontier of {len(alphas)}", "utility": "mean_tightness",
            "without": "nothing", "plan_s": seconds, "short": short}  # fmt: skip


def main() -> int:
    """Run, print, write."""
    parser = options(__doc__ or "")
    parser.add_argument("--seeds", type=int, default=20)
    asked = parser.parse_args()
    rows = rows_of(asked.smoke, 2 if asked.smoke else asked.seeds, asked.out)
    rows.append(frontier(asked.smoke))
    columns = ("what", "utility", "without", "short", "spread", "plan_s")
    shown = [[row.get(column) for column in columns[1:]] for row in rows]
    titles = [[f"{row['what']}", *cells] for row, cells in zip(rows, shown, strict=True)]
    show("Search", columns, titles)
    write("budget_search", rows, asked.out)
    return 0


if __name__ == "__main__":
    sys.exit(main())
