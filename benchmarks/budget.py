"""How fast is a certified plan, beside scipy SLSQP on the same objective and gradient?

Made-up posteriors of 7 and 50 channels, 500 draws, float64, 26 periods; warm times. SLSQP
gets the same compiled value and gradient and starts from the same reference; its time has
no certificate in it. Every gradient is compared with central differences, and the best
SLSQP value with the bound that our plan proves.
"""

import sys
import time
from functools import partial
from typing import Any

import jax
import numpy as np
import pandas as pd
from common import compiled, medians, options, show, write
from scipy.optimize import minimize

import mmmjax as mm
from mmmjax.budget.horizon import Window, make_window
from mmmjax.budget.solve import objective_of
from mmmjax.budget.utility import mean_response
from mmmjax.draws import Draws, Fit
from mmmjax.scaling import Scale

PERIODS, MAX_LAG = 26, 8
SIZES = [(7, 500), (7, 4000), (50, 500)]  # channels, draws
SMOKE = [(3, 20)]
BOUNDS = {"+-50%": 0.5, "0 to 3x": (0.0, 3.0)}
TIGHT = {"ftol": 1e-12, "maxiter": 1000}
TOLERANCE = 1e-6
COLUMNS = ("first_call_s", "plan_ms", "evaluations", "relative_gap", "slsqp_ms",
           "slsqp_default_ms", "slsqp_evaluations", "slsqp_shortfall",
           "slsqp_default_shortfall", "gradient_ms", "gradient_all_periods_ms")  # fmt: skip


def made_up_fit(channels: int, draws: int, seed: int = 0) -> Fit:
    """A fit of random draws: channels of very different size, cost and strength."""
    rng = np.random.default_rng(seed)
    names = [f"channel {i}" for i in range(channels)]
    spend = np.exp(rng.normal(10.0, 1.0, channels)) * rng.gamma(2.0, 1.0, (104, channels))
    frame = pd.DataFrame(spend, columns=names)
    frame["week"] = pd.date_range("2022-01-02", periods=104, freq="W")
    frame["sales"] = rng.uniform(5e6, 1e7, 104)
    panel = mm.Panel.from_frame(frame, date="week", outcome="sales", media=names)
    spec = mm.Spec(adstock=mm.adstock.Geometric(max_lag=MAX_LAG), seasonality=None)
    share = spend.sum(0) / spend.sum()
    strength = np.sqrt(share / channels) * rng.uniform(0.3, 1.5, channels)
    params = {
        "adstock_alpha": rng.beta(1.0, 3.0, (1, draws, channels)),
        "saturation_lam": rng.gamma(3.0, 1.0, (1, draws, channels)),
        "saturation_beta": np.abs(rng.normal(0.0, 1.0, (1, draws, channels))) * strength,
    }
    scale = Scale.fit(panel)
    return Fit(spec, panel, scale, mm.NUTS(), Draws(params), seed)


def every_period(window: Window) -> Window:
    """The same window with each of its periods evaluated, instead of distinct levels."""
    spending = np.concatenate([np.ones(PERIODS), np.zeros(MAX_LAG - 1)])
    return window._replace(spending=spending, periods=np.ones_like(spending))


def slsqp(evaluate: Any, window: Window, plan: mm.Plan, **settings: Any) -> Any:
    """Solve the scaled problem of a plan by SLSQP; `evaluate` is value and gradient."""
    start, lower, upper = (
        getattr(plan, name).to_numpy().ravel() / plan.budget
        for name in ("reference", "lower", "upper")
    )

    def negative(shares: np.ndarray) -> tuple[float, np.ndarray]:
        value, gradient = evaluate(window, shares, plan.budget, plan.reference_objective)
        return -float(value), -np.asarray(gradient)

    return minimize(
        negative, start, jac=True, method="SLSQP", options=settings,
        bounds=list(zip(lower, upper, strict=True)),
        constraints={"type": "eq", "fun": lambda z: z.sum() - 1.0, "jac": np.ones_like},
    )  # fmt: skip


def gradient_error(evaluate: Any, window: Window, plan: mm.Plan) -> float:
    """Largest error of the gradient against central differences, relative."""
    at = plan.optimized.to_numpy().ravel() / plan.budget
    rest = (plan.budget, plan.reference_objective)
    gradient = np.asarray(evaluate(window, at, *rest)[1])
    steps = 1e-5 * np.diag(at)
    differences = [
        (evaluate(window, at + h, *rest)[0] - evaluate(window, at - h, *rest)[0])
        / 2
        / h.sum()
        for h in steps
    ]
    return float(np.abs(gradient - differences).max() / np.abs(gradient).max())


def measure(channels: int, draws: int, label: str, rounds: int) -> dict[str, Any]:
    """One problem: first call, warm plan, SLSQP tight and default, single gradients."""
    fit = made_up_fit(channels, draws)
    ask = partial(mm.optimize, fit, periods=PERIODS, bounds=BOUNDS[label])
    begin = time.perf_counter()
    plan = ask()
    first = time.perf_counter() - begin
    window = make_window(fit, PERIODS, "zero", fit.scale.cost_per_unit)
    spec = fit.spec.structure()

    def scaled(window: Window, shares: Any, budget: Any, size: Any) -> Any:
        objective = objective_of(window, budget, PERIODS, size, spec, mean_response, draws)
        return jax.value_and_grad(objective)(shares)

    args = (plan.optimized.to_numpy().ravel() / plan.budget, plan.budget,
            plan.reference_objective)  # fmt: skip
    short, _ = compiled(scaled, window, *args)
    full, _ = compiled(scaled, every_period(window), *args)
    found = {
        "tight": slsqp(short, window, plan, **TIGHT),
        "default": slsqp(short, window, plan),
    }
    times = medians(
        {
            "plan": ask,
            "tight": lambda: slsqp(short, window, plan, **TIGHT).x,
            "default": lambda: slsqp(short, window, plan).x,
            "short": lambda: short(window, *args),
            "full": lambda: full(every_period(window), *args),
        },
        rounds,
    )
    value = plan.objective / plan.reference_objective
    below = {name: 1.0 + float(end.fun) / value for name, end in found.items()}
    return {
        "channels": channels, "draws": draws, "bounds": label, "first_call_s": first,
        "plan_ms": 1e3 * times["plan"], "evaluations": plan.evaluations,
        "relative_gap": plan.relative_gap, "certified": plan.certified,
        "slsqp_ms": 1e3 * times["tight"], "slsqp_default_ms": 1e3 * times["default"],
        "slsqp_evaluations": int(found["tight"].nfev), "slsqp_shortfall": below["tight"],
        "slsqp_default_shortfall": below["default"], "gradient_ms": 1e3 * times["short"],
        "gradient_all_periods_ms": 1e3 * times["full"],
        "gradient_error": gradient_error(short, window, plan),
    }  # fmt: skip


def main() -> int:
    """Run, print, write; exit 1 if a plan, a bound or a gradient is wrong."""
    asked = options(__doc__ or "").parse_args()
    rounds = 1 if asked.smoke else 7
    rows = []
    with jax.enable_x64(True):
        for channels, draws in SMOKE if asked.smoke else SIZES:
            rows += [measure(channels, draws, label, rounds) for label in BOUNDS]
    show(
        f"plans over {PERIODS} periods, max_lag {MAX_LAG}, float64; shortfall below ours",
        ("", *(f"{r['channels']} x {r['draws']} {r['bounds']}" for r in rows)),
        [[name, *(row[name] for row in rows)] for name in COLUMNS],
    )
    write("budget", rows, asked.out)
    wrong = [
        row for row in rows
        if not row["certified"]
        or row["slsqp_shortfall"] < -row["relative_gap"] - 1e-9
        or row["gradient_error"] > TOLERANCE
    ]  # fmt: skip
    for row in wrong:
        print(f"WRONG: {row}", file=sys.stderr)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
