r"""What a fit says of its lift tests: what each measured beside what the rest predicts.

The posterior has seen every test and leans towards it. What it would say without one is
had from the draws, by weights $w \propto 1 / p(y \mid \theta, \text{the others})$ smoothed
by Pareto (Vehtari, Gelman and Gabry 2017, "Practical Bayesian model evaluation using
leave-one-out cross-validation"); where their k is above 0.7 the test is divided out as
normal: with posterior mean $m$ and variance $v$ of what it measured, and its $y$ and $s^2$,
the rest says $N(m', v')$, $1/v' = 1/v - 1/s^2$, so that

$$\text{pull} = \frac{y - m'}{\sqrt{s^2 + v'}} = \frac{y - m}{\sqrt{s^2 - v}}.$$

Errors that tests have in common are conditioned on those of the other tests.
"""

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import jax
import numpy as np
import pandas as pd
from jaxtyping import Array
from scipy import stats

from mmmjax.added import without_added
from mmmjax.arguments import checked
from mmmjax.arrays import Arrays
from mmmjax.draws import Draws, Fit
from mmmjax.facts import FACTS, Fact, stacked
from mmmjax.findings import Finding
from mmmjax.model import model_data
from mmmjax.posterior.fold import MEMORY, fold
from mmmjax.posterior.returns import returns
from mmmjax.posterior.scope import PROB, summarise
from mmmjax.prediction import prior_params
from mmmjax.spec import Spec

__all__ = ["conflicts", "lift_tests_table", "results", "tested"]

MOST = 0.7  # Pareto k up to which weights are believed
FLAGGED = 0.01  # p-value below which a test and the rest are in conflict
SPREAD = ("mean", "lo", "hi")
COLUMNS = (
    *("test", "channel", "geo", "start", "end", "of", "measured", "error"),
    *(f"{which}{name}" for which in ("prior_", "rest_", "") for name in SPREAD),
    *("pull", "p_value", "how", "pareto_k", "contraction", "roas", "roas_rest"),
)
WEIGHTS, NORMAL, NONE = "weights", "normal", "not known"


def tested(fit: Fit) -> tuple[Fact, ...]:
    """The facts of a fit that are tests, of kinds that are registered."""
    facts = (f for f in fit.panel.facts if FACTS.get(f.kind) is type(f))
    return tuple(fact for fact in facts if fact.rows())


def results(
    p: Mapping[str, Any], inputs: Arrays, spec: Spec, x: Mapping[str, Any]
) -> dict[str, Array]:
    """Results of all tests by one draw, in units of their errors, by kind (result,).

    Args:
        p: One draw of every parameter.
        inputs: Of training.
        spec: The model.
        x: Their arrays, of :func:`mmmjax.facts.stacked`.
    """
    out: dict[str, Array] = {}
    for kind, rows in x.items():
        law = FACTS[kind].predicted
        each = jax.vmap(lambda row, law=law: law(p, row, spec, inputs))
        out[kind] = each(rows).reshape(-1)
    return out


@checked
def lift_tests_table(
    fit: Fit, *, prob: float = PROB, draws: int = 1000, seed: int = 0, memory: int = MEMORY
) -> pd.DataFrame:
    """What each lift test measured, beside prior, the rest of the data, and all of it.

    A row a test, in the unit that it is stated in (a cost per outcome as its reciprocal, of
    "roas"; a series added up, one of percent averaged). Columns: test, channel, geo, start,
    end, of; measured, error; prior_mean, _lo, _hi; rest_mean, _lo, _hi: what everything but
    the test says (mean and a normal interval); mean, lo, hi: the posterior; pull: measured
    less the rest, in standard deviations of that difference; p_value, two-sided; how: the
    test was taken out by "weights", or divided out as "normal", or "not known", where the
    posterior says nothing beside the test; pareto_k; contraction: 1 - posterior variance /
    variance without the test, and roas, roas_rest: posterior mean with and without it
    (one channel, all of training), these empty where pareto_k is above 0.7.

    Args:
        fit: The fit.
        prob: Probability inside [lo, hi].
        draws: Of the prior.
        seed: Of those.
        memory: Bound in bytes on what lives besides the result.
    """
    fit, rows = without_added(fit), []
    facts = tested(fit)
    if not facts:
        return pd.DataFrame(columns=list(COLUMNS))
    x = stacked(fit.panel.with_facts(facts), fit.scale, fit.spec)
    after = fold(fit, results, x, memory=memory)
    data = model_data(fit.spec, fit.panel, fit.scale)
    drawn = prior_params(fit.spec, data, draws, seed, tuple(fit.draws.params))
    drawn = replace(fit, draws=Draws({n: a[None] for n, a in drawn.items()}))
    before = fold(drawn, results, x, memory=memory)
    roas = returns(fit, memory=memory)["roas_total"].to_numpy()
    roas = roas.reshape(-1, roas.shape[-1])
    for kind in x:
        each = [fact.rows() for fact in facts if fact.kind == kind]
        said = [row for some in each for row in some]
        first = 0
        for some in each:
            mine, row = np.arange(first, first + len(some)), some[0]
            scale = np.array([one["error"] for one in some])
            scale = scale / (len(some) if row["of"] == "percent" else 1.0)
            out = {n: row[n] for n in COLUMNS[:6]}
            out |= _compared(after[kind], said, x[kind], mine, scale, prob)
            for prefix, values in (("prior_", before[kind]), ("", after[kind])):
                told = summarise(values[:, mine] @ scale, prob)
                out |= {f"{prefix}{n}": float(v) for n, v in zip(SPREAD, told, strict=True)}
            weights = out.pop("weights")
            if weights is not None and row["channel"] in fit.panel.channels:
                own = roas[:, fit.panel.channels.index(row["channel"])]
                out |= {"roas": float(own.mean()), "roas_rest": float(weights @ own)}
            rows.append(out)
            first += len(some)
    return pd.DataFrame(rows, columns=list(COLUMNS))


def _compared(
    here: np.ndarray,
    said: list[dict[str, Any]],
    x: Mapping[str, np.ndarray],
    own: np.ndarray,
    scale: np.ndarray,
    prob: float,
) -> dict[str, Any]:
    """A test beside what the rest says of it: see :func:`lift_tests_table`.

    Args:
        here: Posterior draws of all results of the kind, (draw, result), units of errors.
        said: Their rows.
        x: Their arrays.
        own: Which results are of the test.
        scale: What each counts in the one number of the test, (own,).
        prob: Probability of the interval.
    """
    y = np.array([one["result"] / one["error"] for one in said])
    matrix, nu, others = np.eye(len(y)), 0.0, np.zeros(0, int)
    if "solve" in x:
        factor = np.linalg.inv(x["solve"][0])
        matrix = factor @ factor.T
        block = x["block"][0][:, own[0]].argmax()
        nu = float(x["nu"][0][block])
        others = np.setdiff1d(np.flatnonzero(x["block"][0][block]), own)
    left, known = y - here, matrix[np.ix_(others, others)]
    across = matrix[np.ix_(own, others)] @ np.linalg.inv(known)
    error = left[:, own] - left[:, others] @ across.T
    covariance = matrix[np.ix_(own, own)] - across @ matrix[np.ix_(others, own)]
    square = np.einsum("si,ij,sj->s", error, np.linalg.inv(covariance), error)
    seen = np.einsum("si,ij,sj->s", left[:, others], np.linalg.inv(known), left[:, others])
    law, log_density = stats.norm, -0.5 * square
    if nu:
        law, whole = stats.t(nu), len(own) + len(others)
        log_density = 0.5 * (nu + len(others)) * np.log1p(seen / nu)
        log_density -= 0.5 * (nu + whole) * np.log1p((seen + square) / nu)
    # Lazy: this import takes about a second.
    from arviz_stats.base.array import array_stats

    smoothed, k = array_stats.psislw(log_density)
    k, weights, how = float(k), None, WEIGHTS
    if np.isfinite(k) and k <= MOST:
        weights = np.exp(smoothed - np.max(smoothed))
        weights = weights / weights.sum()
        middle = weights @ error
        around = (error - middle).T @ ((error - middle) * weights[:, None])
    else:
        middle, spread = error.mean(0), np.atleast_2d(np.cov(error.T))
        room, how = covariance - spread, NORMAL
        if np.linalg.eigvalsh(room).min() <= 0.02 * np.linalg.eigvalsh(covariance).min():
            how, middle, around = NONE, np.full(len(own), np.nan), spread * np.nan
        else:
            gain = covariance @ np.linalg.inv(room)
            middle, around = gain @ middle, gain @ spread
    measured = float(y[own] @ scale)
    size = float(np.sqrt(scale @ matrix[np.ix_(own, own)] @ scale))
    rest, sd = measured - float(scale @ middle), float(np.sqrt(scale @ around @ scale))
    pull = float(scale @ middle) / math.sqrt(scale @ (covariance + around) @ scale)
    wide = sd * float(stats.norm.ppf(0.5 + prob / 2))
    contraction = math.nan
    if weights is not None:
        mine = here[:, own] @ scale
        contraction = 1.0 - mine.var() / float(weights @ (mine - weights @ mine) ** 2)
    p_value = float(2 * law.sf(abs(pull)))
    told = {"measured": measured, "error": size, "rest_mean": rest}
    told |= {"rest_lo": rest - wide, "rest_hi": rest + wide, "pull": pull, "how": how}
    told |= {"p_value": p_value, "pareto_k": k, "contraction": contraction}
    return told | {"weights": weights}


def conflicts(fit: Fit) -> tuple[Finding, ...]:
    """Tests that the rest of the data contradict, p < 0.01."""
    if not tested(fit):
        return ()
    table, found = lift_tests_table(fit, draws=2), []
    flagged: Any = table[table["p_value"] < FLAGGED]
    for row in flagged.to_dict("records"):
        half = (row["rest_hi"] - row["rest_lo"]) / 2
        what = (
            f'the lift test "{row["test"]}" says {row["measured"]:,.4g} +- '
            f"{row['error']:,.2g} ({row['of']}), the series and the other tests "
            f"{row['rest_mean']:,.4g} +- {half:,.2g}: {abs(row['pull']):.1f} standard "
            f"deviations apart, p = {row['p_value']:.1g}"
        )
        means = (
            "One of them is wrong, or the series is confounded: what moved the spend of "
            f"{row['channel']} moved the outcome too. The posterior lies between them"
        )
        remedy = (
            "Check dates, geos, arms, unit and error of the test. Where they are right, "
            "add a column with the logarithm of the spend and name it under controls: then "
            "the tests tell the channel's effect from what else moves with its spend"
        )
        where, value = (row["channel"],), float(row["pull"])
        found.append(Finding("warning", "lift_conflict", what, where, value, means, remedy))
    return tuple(found)
