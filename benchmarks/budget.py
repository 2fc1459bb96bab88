"""How fast is a certified plan, and how many of them fit in a second?

Made-up posteriors, float64, 26 periods, warm times: single plans of 7 to 200 channels, 800
cells of a panel, 1,300 weeks and channels, a frontier of 50 budgets and 1,000 scenarios.
Beside them scipy SLSQP on the same compiled value and gradient, from the same reference;
its time has no certificate in it, and its value is compared with the bound that our plan
proves. PyMC-Marketing's optimizer, in an environment of its own under .cache/peers where
benchmarks/one_market.py has made one, on the case study: each of its calls rebuilds and
compiles its graph, and that is in its time, as it is in its users'.
"""

import json
import resource
import subprocess
import sys
import time
from functools import partial
from typing import Any

import jax
import numpy as np
import pandas as pd
from common import HERE, compiled, medians, options, show, write
from scipy.optimize import minimize

import mmmjax as mm
from mmmjax.budget.horizon import response_of
from mmmjax.budget.prepare import prepare
from mmmjax.budget.search import worth
from mmmjax.draws import Draws, Fit
from mmmjax.scaling import Scale

PERIODS, MAX_LAG = 26, 8
TOLERANCE = 1e-6
WIDE = (0.0, 3.0)
PEER = HERE.parent / ".cache" / "peers" / "pymc"
DATA = HERE.parent.parent / "shared" / "data" / "case_study.csv"
COLUMNS = ("first_call_s", "plan_ms", "target_ms", "evaluations", "relative_gap",
           "slsqp_ms", "slsqp_evaluations", "slsqp_shortfall", "gradient_ms")  # fmt: skip


def made_up_fit(channels: int, draws: int, geos: int = 1, seed: int = 0) -> Fit:
    """A fit of random draws: channels of very different size, cost and strength."""
    rng = np.random.default_rng(seed)
    names, weeks = [f"channel {i}" for i in range(channels)], 104
    size = np.exp(rng.normal(10.0, 1.0, channels))
    frames, total = [], np.zeros(channels)
    for geo in range(geos):
        spend = size * rng.uniform(0.3, 1.0) * rng.gamma(2.0, 1.0, (weeks, channels))
        frame = pd.DataFrame(spend, columns=names)
        frame["week"] = pd.date_range("2022-01-02", periods=weeks, freq="W")
        frame["geo"], frame["sales"] = f"geo {geo}", rng.uniform(5e6, 1e7, weeks)
        frames.append(frame)
        total += spend.sum(0)
    panel = mm.Panel.from_frame(
        pd.concat(frames), date="week", outcome="sales", media=names,
        geo="geo" if geos > 1 else None,
    )  # fmt: skip
    spec = mm.Spec(adstock=mm.adstock.Geometric(max_lag=MAX_LAG), seasonality=None)
    strength = np.sqrt(total / total.sum() / channels) * rng.uniform(0.3, 1.5, channels)
    params = {
        "adstock_alpha": rng.beta(1.0, 3.0, (1, draws, channels)),
        "saturation_lam": rng.gamma(3.0, 1.0, (1, draws, channels)),
        "saturation_beta": np.abs(rng.normal(0.0, 1.0, (1, draws, channels))) * strength,
    }
    return Fit(spec, panel, Scale.fit(panel), mm.NUTS(), Draws(params), seed)


def cases(smoke: bool) -> list[dict[str, Any]]:
    """Single plans: what is asked, and the milliseconds it may take."""
    if smoke:
        small, panel = made_up_fit(3, 20), made_up_fit(2, 20, geos=2)
        return [
            {"what": "3 x 20", "fit": small, "ask": {"bounds": WIDE}, "slsqp": True},
            {"what": "2 geos", "fit": panel, "ask": {"bounds": WIDE}},
            {"what": "weeks", "fit": small, "ask": {"flighting": "optimal"}},
        ]
    single = [(7, 500, 15.0), (50, 500, 120.0), (200, 500, 600.0), (50, 4000, 2000.0)]
    asked = [
        {
            "what": f"{c} channels x {d} draws {label}", "fit": made_up_fit(c, d),
            "ask": {"bounds": bounds}, "target_ms": most, "slsqp": c <= 50,
        }
        for c, d, most in single
        for label, bounds in (("+-50%", 0.5), ("0 to 3x", WIDE))
    ]  # fmt: skip
    tail = "conditional_value_at_risk(level=0.9)"
    panel, fifty = made_up_fit(20, 500, geos=40), made_up_fit(50, 500)
    spent = prepare(panel, periods=PERIODS).layout
    totals = np.bincount(spent.geo, spent.reference)
    pairs = zip(spent.geos, totals, strict=True)
    rule = mm.constraints.per_geo({geo: (0.8 * m, 1.2 * m) for geo, m in pairs})
    return [
        *asked,
        {"what": "7 x 500, tail of 10%", "fit": made_up_fit(7, 500),
         "ask": {"bounds": WIDE, "utility": tail}},
        {"what": "40 geos x 20 channels", "fit": panel, "ask": {"bounds": WIDE},
         "target_ms": 2000.0},
        {"what": "the same, each geo +-20%", "fit": panel,
         "ask": {"bounds": WIDE, "constraints": [rule]}, "target_ms": 2000.0},
        {"what": "26 weeks x 50 channels", "fit": fifty,
         "ask": {"flighting": "optimal"}, "target_ms": 5000.0},
    ]  # fmt: skip


def slsqp(evaluate: Any, plan: mm.Plan, start: Any = None, **settings: Any) -> Any:
    """Solve the scaled problem of a plan by SLSQP; `evaluate` is value and gradient."""
    usual, lower, upper = (
        getattr(plan, name).to_numpy().ravel() / plan.budget
        for name in ("reference", "lower", "upper")
    )
    start = usual if start is None else start

    def negative(shares: np.ndarray) -> tuple[float, np.ndarray]:
        value, gradient = evaluate(shares)
        return -float(value), -np.asarray(gradient)

    return minimize(
        negative, start, jac=True, method="SLSQP", options=settings,
        bounds=list(zip(lower, upper, strict=True)),
        constraints={"type": "eq", "fun": lambda z: z.sum() - 1.0, "jac": np.ones_like},
    )  # fmt: skip


def gradient_error(evaluate: Any, at: np.ndarray) -> float:
    """Largest error of the gradient against central differences, relative."""
    gradient = np.asarray(evaluate(at)[1])
    differences = [
        (evaluate(at + h)[0] - evaluate(at - h)[0]) / 2 / h.sum()
        for h in 1e-5 * np.diag(np.maximum(at, 1e-3))
    ]
    return float(np.abs(gradient - differences).max() / np.abs(gradient).max())


def measure(case: dict[str, Any], rounds: int) -> dict[str, Any]:
    """One plan: first call, warm, and SLSQP on the same objective."""
    ask = partial(
        mm.optimize, case["fit"], periods=PERIODS, tolerance=TOLERANCE, **case["ask"]
    )
    begin = time.perf_counter()
    plan = ask()
    row: dict[str, Any] = {
        "what": case["what"], "first_call_s": time.perf_counter() - begin,
        "target_ms": case.get("target_ms"), "evaluations": plan.evaluations,
        "relative_gap": plan.relative_gap, "certified": plan.certified,
        "status": plan.status,
    }  # fmt: skip
    calls = {"plan": ask}
    if case.get("slsqp"):
        prepared = prepare(case["fit"], periods=PERIODS, **case["ask"])
        problem = prepared.problem(size=plan.reference_objective)
        from_shares = partial(_value_and_gradient, form=prepared.kind.form)
        program, _ = compiled(from_shares, problem, plan.optimized.to_numpy().ravel())
        put = jax.device_put(problem)
        evaluate = lambda shares: program(put, shares)
        found = slsqp(evaluate, plan, ftol=1e-12, maxiter=1000)
        at = plan.optimized.to_numpy().ravel() / plan.budget
        calls["slsqp"] = lambda: slsqp(evaluate, plan, ftol=1e-12, maxiter=1000).x
        calls["gradient"] = lambda: evaluate(at)
        row["slsqp_evaluations"] = int(found.nfev)
        row["slsqp_shortfall"] = 1 + found.fun * plan.reference_objective / plan.objective
        row["gradient_error"] = gradient_error(evaluate, at)
    for name, seconds in medians(calls, rounds).items():
        row[f"{name}_ms"] = 1e3 * seconds
    return row


def _value_and_gradient(problem: Any, shares: Any, *, form: Any) -> Any:
    respond = response_of(problem.window, form)

    def value(shares: Any) -> Any:
        return worth(problem, respond(shares * problem.budget), shares)

    return jax.value_and_grad(value)(shares)


def many(smoke: bool, rounds: int) -> list[dict[str, Any]]:
    """A frontier, and scenarios per second with the memory that more of them take."""
    fit, counts = (
        (made_up_fit(3, 20), (4, 8)) if smoke else (made_up_fit(7, 500), (50, 1000))
    )
    usual = prepare(fit, periods=PERIODS).layout.budget
    rows = []
    for count, target in zip(counts, (300.0, None), strict=True):
        budgets = usual * np.linspace(0.4, 2.0, count)
        ask = partial(mm.frontier, fit, budgets, periods=PERIODS, bounds=WIDE)
        found = ask()
        seconds = medians({"plan": ask}, rounds)["plan"]
        rows.append({
            "what": f"{count} budgets", "plan_ms": 1e3 * seconds, "target_ms": target,
            "scenarios_per_s": count / seconds, "certified": bool(found.certified.all()),
            "relative_gap": float(found.gap.max()),
            "evaluations": float(found.evaluations.mean()),
            "peak_memory_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        })  # fmt: skip
    return rows


def peers() -> list[dict[str, Any]]:
    """PyMC-Marketing's optimizer on the case study, where its environment is there."""
    python = PEER / "bin" / "python"
    if not (PEER / "ready").exists() or not DATA.exists():
        return []
    script = str(HERE / "peers" / "pymc_marketing_budget.py")
    done = subprocess.run([str(python), script, str(DATA)], capture_output=True, text=True)
    if done.returncode:
        print(done.stderr[-2000:], file=sys.stderr)
        return []
    return json.loads(done.stdout.strip().splitlines()[-1])


def main() -> int:
    """Run, print, write; exit 1 if a plan, a bound or a gradient is wrong."""
    parser = options(__doc__ or "")
    parser.add_argument("--no-peers", action="store_true", help="leave PyMC-Marketing out")
    asked = parser.parse_args()
    rounds = 1 if asked.smoke else 5
    with jax.enable_x64(True):
        rows = [measure(case, rounds) for case in cases(asked.smoke)]
        rows += many(asked.smoke, rounds)
    theirs = [] if asked.smoke or asked.no_peers else peers()
    show(
        f"plans over {PERIODS} periods, max_lag {MAX_LAG}, float64; shortfall below ours",
        ("", *COLUMNS),
        [[row["what"], *(row.get(name) for name in COLUMNS)] for row in rows],
    )
    for row in theirs:
        print(row)
    write("budget", rows + theirs, asked.out)
    wrong = [
        row for row in rows
        if not row["certified"]
        or row.get("slsqp_shortfall", 0.0) < -row["relative_gap"] - 1e-9
        or row.get("gradient_error", 0.0) > TOLERANCE
    ]  # fmt: skip
    for row in wrong:
        print(f"WRONG: {row}", file=sys.stderr)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
