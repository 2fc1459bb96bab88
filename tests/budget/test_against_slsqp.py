"""Every utility against the best of 256 random starts of SLSQP, polished (slow).

Three problems: two channels, the case study, fifty made-up channels; 500 draws, float64.
SLSQP gets exact values and gradients of the same utility of an independently written
response; its best end is polished by moving money between pairs.
"""

from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
import pytest
from scipy.optimize import minimize

import mmmjax as mm
from tests.budget.cases import make_fit
from tests.budget.test_case_study import COLUMNS
from tests.reference import budget as oracle

SHARED = Path(__file__).resolve().parents[2].parent / "shared"
STARTS, PERIODS = 256, 26
TIGHT = {"mean_response": 1e-6, "conditional_value_at_risk(level=0.9)": 1e-4}
UTILITIES = [
    *TIGHT, "mean_tightness(alpha=0.9)", "tightness_ratio", "-tail_distance()",
    "value_at_risk(level=0.9)", "adjusted_value_at_risk", "sharpe", "raroc",
    "roas(value_at_risk(level=0.9))", "expected_shortfall", "portfolio_entropy",
    "diversification_ratio", "mean_response + 0.5 * conditional_value_at_risk",
]  # fmt: skip
pytestmark = pytest.mark.slow(parts=42)  # about one of them in a run


def levels_of(fit):
    """Media of every level for one unit of money, (draw, channel, level), by a loop.

    An even profile has few levels: the weeks in the middle are alike, and counted.
    """
    flat, lag = fit.flat(), fit.spec.adstock.max_lag
    alpha = np.asarray(flat["adstock_alpha"], float)
    pattern = np.concatenate([np.ones(PERIODS), np.zeros(lag - 1)]) / PERIODS
    out = np.zeros((*alpha.shape, len(pattern)))
    for place in np.ndindex(alpha.shape):
        out[place] = oracle.carried(pattern, alpha[place], lag)
    alike = slice(lag - 1, PERIODS)
    np.testing.assert_allclose(np.ptp(out[..., alike], axis=-1), 0, atol=1e-12)
    keep = np.r_[0:lag, PERIODS : len(pattern)]
    times = np.ones(len(keep))
    times[lag - 1] = PERIODS - lag + 1
    unit = fit.scale.cost_per_unit * fit.scale.media
    return out[..., keep] / unit[0][:, None], times


def case_study():
    if not (SHARED / "data" / "case_study.csv").exists():
        pytest.skip("needs the shared data")
    frame = pd.read_csv(SHARED / "data" / "case_study.csv")
    panel = mm.Panel.from_frame(frame, date="wk_strt_dt", outcome="sales", media=COLUMNS)
    train, _ = panel.split("2018-02-01")
    spec = mm.Spec(adstock=mm.adstock.Geometric(max_lag=6))
    few = mm.NUTS(chains=2, warmup=500, draws=250, until=None)
    return mm.fit(spec, train, few, progress=False)


@pytest.fixture(scope="module", params=["two", "case study", "fifty"])
def problem(request):
    made = {
        "two": lambda: make_fit(2, draws=500),
        "fifty": lambda: make_fit(50, draws=500),
        "case study": case_study,
    }
    fit = made[request.param]()
    with jax.enable_x64(True):
        flat = {k: jnp.asarray(np.asarray(v, float)) for k, v in fit.flat().items()}
        factors, times = map(jnp.asarray, levels_of(fit))

        def samples(spend):
            media = spend[:, None] * factors
            lam, beta = flat["saturation_lam"], flat["saturation_beta"]
            curve = jnp.tanh(0.5 * lam[..., None] * media)
            return fit.scale.outcome[0] * beta * (curve @ times)

    return request.param, fit, samples


def feasible(x, lower, upper):
    """The point with all shares moved alike until they add up to 1 within bounds."""
    low, high = -1.0 - np.abs(x).max(), 1.0 + np.abs(x).max()
    for _ in range(80):
        middle = 0.5 * (low + high)
        less = np.clip(x + middle, lower, upper).sum() < 1
        low, high = (middle, high) if less else (low, middle)
    return np.clip(x + 0.5 * (low + high), lower, upper)


def polished(value, x, lower, upper, budget):
    """Move money between pairs, in ever smaller steps, while it helps."""
    best, step = value(x), 0.02 * budget
    while step > 1e-6 * budget:
        better = False
        order = np.argsort(-(upper - lower))[:8]
        for i in order:
            for j in order:
                give = min(step, x[i] - lower[i], upper[j] - x[j])
                if i == j or give <= 0:
                    continue
                y = x.copy()
                y[i], y[j] = y[i] - give, y[j] + give
                if (new := value(y)) > best:
                    best, x, better = new, y, True
        step = step if better else step / 3
    return best


@pytest.mark.parametrize("utility", UTILITIES)
def test_at_least_as_good_as_many_starts_of_slsqp(problem, utility):
    _, fit, samples = problem
    plan = mm.optimize(fit, periods=PERIODS, bounds=(0.3, 2.0), utility=utility)
    lower, upper = plan.lower.values[0], plan.upper.values[0]
    budget, size = plan.budget, abs(plan.objective)
    if size < 1e-9 * abs(float(plan.response.mean())):  # an optimum of 0 has no size
        size = abs(float(plan.response.mean()))
    with jax.enable_x64(True):
        reference = samples(jnp.asarray(plan.reference.values[0])).sum(1)
        chosen = mm.utility.bind(mm.utility.as_utility(utility), reference)
        worth = jax.jit(lambda x: chosen(samples(x * budget), x * budget) / size)
        both = jax.jit(jax.value_and_grad(lambda x: -worth(x)))
        rng, best, at = np.random.default_rng(0), -np.inf, None
        for _ in range(STARTS):
            start = lower + rng.random(len(lower)) * (upper - lower)
            found = minimize(
                lambda x: tuple(np.asarray(p, float) for p in both(x)),
                start / start.sum(), jac=True, method="SLSQP",
                bounds=list(zip(lower / budget, upper / budget, strict=True)),
                constraints={"type": "eq", "fun": lambda x: x.sum() - 1,
                             "jac": np.ones_like},
                options={"maxiter": 60},
            )  # fmt: skip
            end = np.where(np.isfinite(found.x), found.x, start / start.sum())
            x = feasible(end, lower / budget, upper / budget)
            if float(worth(x)) > best:
                best, at = float(worth(x)), x
        best = polished(lambda x: float(worth(x)), at, lower / budget, upper / budget, 1.0)
        assert float(worth(plan.optimized.values[0] / budget)) == pytest.approx(
            plan.objective / size, rel=1e-9, abs=1e-12
        )
    tolerance = TIGHT.get(utility, 1e-3)
    assert plan.objective / size >= best - tolerance * abs(best) - 1e-12
    if plan.gap_bound is not None:
        assert best - plan.objective / size <= plan.gap_bound / size + 1e-9
