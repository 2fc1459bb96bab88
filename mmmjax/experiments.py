r"""What a fit says of its lift tests: what each measured beside what the rest predicts.

The posterior has seen every test and leans towards it. What it would say without one is
had from the draws, by weights $w \propto 1 / p(y \mid \theta, \text{the others})$ smoothed
by Pareto (Vehtari, Gelman and Gabry 2017, "Practical Bayesian model evaluation using
leave-one-out cross-validation"); where their k is above 0.7 the test is divided out as
normal: with posterior mean $m$ and variance $v$ of what it measured, and its $y$ and $s^2$,
the rest says $N(m', v')$, $1/v' = 1/v - 1/s^2$, so that

$$\text{pull} = \frac{y - m'}{\sqrt{s^2 + v'}} = \frac{y - m}{\sqrt{s^2 - v}}.$$

Errors that tests have in common are conditioned on those of the other tests. Several tests
are taken out together in the same way, by the product of their densities or as a normal of
several numbers: with $m$ and $V$ of what the posterior leaves of them and $S$ of their
errors, $m^T (S - V)^{-1} m$ is chi-square where the rest and they agree.
"""

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, NamedTuple

import jax
import numpy as np
import pandas as pd
from jaxtyping import Array
from scipy import linalg, stats

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

__all__ = [
    "REFIT",
    "conflicts",
    "lift_tests_table",
    "results",
    "taught_table",
    "tested",
    "without_tests",
]

MOST = 0.7  # Pareto k up to which weights are believed
LEAST = 50.0  # effective draws below which weights are not believed
FLAGGED = 0.01  # p-value below which a test and the rest are in conflict
SPREAD = ("mean", "lo", "hi")
COLUMNS = (
    *("test", "channel", "geo", "start", "end", "of", "measured", "error"),
    *(f"{which}{name}" for which in ("prior_", "rest_", "") for name in SPREAD),
    *("pull", "p_value", "how", "pareto_k", "contraction", "roas", "roas_rest"),
)
TAUGHT = (
    *("without", "tests", "channel"),
    *(f"{which}_{name}" for which in ("roas", "roas_rest") for name in SPREAD),
    *("contraction", "p_value", "pareto_k", "ess", "how"),
)
WEIGHTS, NORMAL, NONE = "weights", "normal", "not known"
EVERY = "all tests"
REFIT = "cannot be told without a refit"
"""What is said of a return or a plan without tests that weights do not tell."""


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
    fit = without_added(fit)
    if not tested(fit):
        return pd.DataFrame(columns=list(COLUMNS))
    return _beside(fit, _found(fit, memory), prob, draws, seed, memory)


def _beside(
    fit: Fit, found: "_Found", prob: float, draws: int, seed: int, memory: int
) -> pd.DataFrame:
    """The table of :func:`lift_tests_table`, of results that are there."""
    rows = list[dict[str, Any]]()
    data = model_data(fit.spec, fit.panel, fit.scale)
    drawn = prior_params(fit.spec, data, draws, seed, tuple(fit.draws.params))
    drawn = replace(fit, draws=Draws({n: a[None] for n, a in drawn.items()}))
    before = fold(drawn, results, found.x, memory=memory)
    before = np.concatenate([before[kind] for kind in found.x], 1)
    for some, own in zip(found.rows, found.own, strict=True):
        row = some[0]
        scale = np.array([one["error"] for one in some])
        scale = scale / (len(some) if row["of"] == "percent" else 1.0)
        out = {n: row[n] for n in COLUMNS[:6]}
        out |= _compared(found.here, found.said, found.errors, own, scale, prob)
        for prefix, values in (("prior_", before), ("", found.here)):
            told = summarise(values[:, own] @ scale, prob)
            out |= {f"{prefix}{n}": float(v) for n, v in zip(SPREAD, told, strict=True)}
        weights = out.pop("weights")
        if weights is not None and row["channel"] in fit.panel.channels:
            mine = found.roas[:, fit.panel.channels.index(row["channel"])]
            out |= {"roas": float(mine.mean()), "roas_rest": float(weights @ mine)}
        rows.append(out)
    return pd.DataFrame(rows, columns=list(COLUMNS))


@checked
def taught_table(fit: Fit, *, prob: float = PROB, memory: int = MEMORY) -> pd.DataFrame:
    """What tests taught: the return of every channel with and without them.

    Rows by what is left out ("without": a test, all of a channel, "all tests"; "tests": how
    many) and paid channel. Columns: roas_mean, _lo, _hi: the posterior, all of training;
    roas_rest_mean, _lo, _hi: without those tests, by weights; contraction: 1 - variance
    with / variance without; p_value: of all that is left out, against what is kept
    (chi-square, by weights or as a normal; empty where the posterior says nothing beside
    the tests); pareto_k and ess (effective draws) of the weights; how: "weights", or
    "cannot be told without a refit" where k is above 0.7 or fewer than 50 draws count: the
    rest is then empty.

    Args:
        fit: The fit.
        prob: Probability inside [lo, hi].
        memory: Bound in bytes on what lives besides the result.
    """
    fit = without_added(fit)
    if not tested(fit):
        return pd.DataFrame(columns=list(TAUGHT))
    found, rows = _found(fit, memory), []
    for name, (count, own) in found.groups().items():
        rest = _rest(found.left, found.errors, own)
        told, use = {"without": name, "tests": count}, rest.ess >= LEAST
        told |= {"p_value": rest.p_value, "pareto_k": rest.k, "ess": rest.ess}
        told["how"] = WEIGHTS if use else REFIT
        for c in np.flatnonzero(fit.panel.paid):
            mine, out = found.roas[:, c], told | {"channel": fit.panel.channels[c]}
            parts = {"roas": mine}
            if use:
                parts["roas_rest"] = mine[_taken(rest.weights)]
                out["contraction"] = 1.0 - mine.var() / parts["roas_rest"].var()
            for which, draws in parts.items():
                pairs = zip(SPREAD, summarise(draws, prob), strict=True)
                out |= {f"{which}_{n}": float(v) for n, v in pairs}
            rows.append(out)
    return pd.DataFrame(rows, columns=list(TAUGHT))


def without_tests(fit: Fit, *, memory: int = MEMORY) -> Fit | None:
    """The fit as if no test had been run, its draws taken by weights; None: see REFIT."""
    fit = without_added(fit)
    found = _found(fit, memory)
    rest = _rest(found.left, found.errors, np.arange(len(found.said)))
    if rest.ess < LEAST:
        return None
    taken, shape = _taken(rest.weights), (fit.draws.n_chains, fit.draws.n_draws)
    params = {
        n: a[taken].reshape(*shape, *a.shape[1:]) for n, a in fit.draws.flat().items()
    }
    kept = tuple(fact for fact in fit.panel.facts if not fact.rows())
    return replace(fit, draws=Draws(params), panel=fit.panel.with_facts(kept))


class _Found(NamedTuple):
    """All results of a fit's tests, kind after kind.

    Args:
        x: Arrays of the tests by kind.
        rows: What is said of each result, by test.
        own: Numbers of the results of each test.
        here: Posterior draws of the results, (draw, result), units of errors.
        errors: "solve", "block" and "nu" of all of them, as a :class:`LiftTest` has them.
        roas: Posterior draws of returns over training, (draw, channel).
    """

    x: Mapping[str, Mapping[str, np.ndarray]]
    rows: list[list[dict[str, Any]]]
    own: list[np.ndarray]
    here: np.ndarray
    errors: dict[str, np.ndarray]
    roas: np.ndarray

    @property
    def said(self) -> list[dict[str, Any]]:
        """What is said of each result."""
        return [row for some in self.rows for row in some]

    @property
    def left(self) -> np.ndarray:
        """What was measured less the posterior, (draw, result), units of errors."""
        return np.array([one["result"] / one["error"] for one in self.said]) - self.here

    def groups(self) -> dict[str, tuple[int, np.ndarray]]:
        """What may be left out: how many tests, and their results."""
        names = [some[0]["test"] for some in self.rows]
        twice = {name for name in names if names.count(name) > 1}
        labels = [f"{n}, {i + 1}" if n in twice else n for i, n in enumerate(names)]
        found = {n: (1, own) for n, own in zip(labels, self.own, strict=True)}
        channels = [some[0]["channel"] for some in self.rows]
        for channel in dict.fromkeys(channels):
            mine = [own for c, own in zip(channels, self.own, strict=True) if c == channel]
            if 1 < len(mine) < len(self.own):
                found[f"all of {channel}"] = (len(mine), np.concatenate(mine))
        if len(self.own) > 1:
            found[EVERY] = (len(self.own), np.concatenate(self.own))
        return found


def _found(fit: Fit, memory: int) -> _Found:
    """Tests of a fit, which has some."""
    facts = tested(fit)
    x = stacked(fit.panel.with_facts(facts), fit.scale, fit.spec)
    after = fold(fit, results, x, memory=memory)
    rows = [fact.rows() for kind in x for fact in facts if fact.kind == kind]
    ends = np.cumsum([len(some) for some in rows])
    own = np.split(np.arange(ends[-1]), ends[:-1])
    errors: dict[str, list[np.ndarray]] = {"solve": [], "block": [], "nu": []}
    for kind in x:
        n = after[kind].shape[1]
        alone = {"solve": np.eye(n)[None], "block": np.eye(n)[None], "nu": np.zeros((1, n))}
        for name, parts in errors.items():
            parts.append((x[kind] if "solve" in x[kind] else alone)[name][0])
    joined: dict[str, Any] = {
        n: linalg.block_diag(*errors[n])[None] for n in ("solve", "block")
    }
    joined["nu"] = np.concatenate(errors["nu"])[None]
    roas = returns(fit, memory=memory)["roas_total"].to_numpy()
    here = np.concatenate([after[kind] for kind in x], 1)
    return _Found(x, rows, own, here, joined, roas.reshape(-1, roas.shape[-1]))


class _Rest(NamedTuple):
    """Some results, and what everything but them says of them; units of errors.

    Args:
        middle: Measured less the rest, (own,).
        around: Covariance of what the rest says.
        error: Covariance of their errors, given those of the other tests.
        weights: Of the draws, summing to 1; None where they are not believed.
        k: Pareto k of the weights.
        how: WEIGHTS, NORMAL or NONE.
        nu: Degrees of freedom of their errors, the fewest; 0: normal.
    """

    middle: np.ndarray
    around: np.ndarray
    error: np.ndarray
    weights: np.ndarray | None
    k: float
    how: str
    nu: float

    @property
    def ess(self) -> float:
        """Draws that the weights are worth; 0 without them."""
        return 0.0 if self.weights is None else float(1.0 / (self.weights**2).sum())

    @property
    def p_value(self) -> float:
        """How often chance alone sets them further apart."""
        n = len(self.middle)
        if self.how == NONE:
            return math.nan
        square = self.middle @ np.linalg.solve(self.error + self.around, self.middle)
        return float(
            stats.f.sf(square / n, n, self.nu) if self.nu else stats.chi2.sf(square, n)
        )


def _taken(weights: Any) -> np.ndarray:
    """Numbers of draws that stand for weighted ones, as many, evenly over their sum."""
    whole = np.cumsum(weights)
    at = (np.arange(len(whole)) + 0.5) / len(whole)
    return np.minimum(np.searchsorted(whole, at), len(whole) - 1)


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
    rest, k = _rest(y - here, x, own), len(own)
    law = stats.t(rest.nu) if rest.nu else stats.norm
    factor = np.linalg.inv(x["solve"][0])[own] if "solve" in x else np.eye(k)
    size = float(np.linalg.norm(factor.T @ scale))
    measured, apart = float(y[own] @ scale), float(scale @ rest.middle)
    sd = float(np.sqrt(scale @ rest.around @ scale))
    pull = apart / math.sqrt(scale @ (rest.error + rest.around) @ scale)
    wide = sd * float(stats.norm.ppf(0.5 + prob / 2))
    contraction = math.nan
    if rest.weights is not None:
        mine = here[:, own] @ scale
        spread = rest.weights @ (mine - rest.weights @ mine) ** 2
        contraction = 1.0 - mine.var() / float(spread)
    told = {"measured": measured, "error": size, "rest_mean": measured - apart}
    told |= {"rest_lo": measured - apart - wide, "rest_hi": measured - apart + wide}
    told |= {"pull": pull, "how": rest.how, "p_value": float(2 * law.sf(abs(pull)))}
    told |= {"pareto_k": rest.k, "contraction": contraction}
    return told | {"weights": rest.weights}


def _rest(left: np.ndarray, x: Mapping[str, np.ndarray], own: np.ndarray) -> _Rest:
    """What everything but some results says of them.

    Args:
        left: Measured less the posterior, (draw, result), units of errors.
        x: "solve", "block" and "nu" of the errors; none: each for itself, normal.
        own: Which results are left out.
    """
    n = left.shape[1]
    matrix, block, nu = np.eye(n), np.eye(n, dtype=bool), np.zeros(n)
    if "solve" in x:
        factor = np.linalg.inv(x["solve"][0])
        matrix, block, nu = factor @ factor.T, x["block"][0] > 0, x["nu"][0]
    touched = np.flatnonzero(block[:, own].any(1))
    log_density = np.zeros(len(left))
    for b in touched:  # density of the own results of a block, given its others
        mine = np.flatnonzero(block[b])
        others = np.setdiff1d(mine, own)
        squares = []
        for at in (mine, others):
            inverse = np.linalg.inv(matrix[np.ix_(at, at)])
            squares.append(np.einsum("si,ij,sj->s", left[:, at], inverse, left[:, at]))
        if nu[b]:
            for at, square, sign in zip((mine, others), squares, (-1, 1), strict=True):
                log_density += sign * 0.5 * (nu[b] + len(at)) * np.log1p(square / nu[b])
        else:
            log_density -= 0.5 * (squares[0] - squares[1])
    others = np.setdiff1d(np.flatnonzero(block[touched].any(0)), own)
    known = matrix[np.ix_(others, others)]
    across = matrix[np.ix_(own, others)] @ np.linalg.inv(known)
    error = left[:, own] - left[:, others] @ across.T
    covariance = matrix[np.ix_(own, own)] - across @ matrix[np.ix_(others, own)]
    # Lazy: this import takes about a second.
    from arviz_stats.base.array import array_stats

    smoothed, k = array_stats.psislw(log_density)
    k, weights, how = float(k), None, WEIGHTS
    heavy = min((v for v in nu[touched] if v), default=0.0)
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
    return _Rest(middle, around, covariance, weights, k, how, float(heavy))


def conflicts(fit: Fit) -> tuple[Finding, ...]:
    """Tests that the rest of the data contradict, p < 0.01; those of a channel together
    where none of them does alone: each has the others on its side.
    """
    if not tested(fit):
        return ()
    fit = without_added(fit)
    together, found = _found(fit, MEMORY), []
    table = _beside(fit, together, PROB, 2, 0, MEMORY)
    means = (
        "One of them is wrong, or the series is confounded: what moved the spend of {} "
        "moved the outcome too. The posterior lies between them"
    )
    remedy = (
        "Check dates, geos, arms, unit and error of the test. Where they are right, add "
        "the spend of the channel and its logarithm as columns and name them under "
        "controls: then the tests tell its effect from what else moves with its spend"
    )
    flagged: Any = table[table["p_value"] < FLAGGED]
    for row in flagged.to_dict("records"):
        half = (row["rest_hi"] - row["rest_lo"]) / 2
        what = (
            f'the lift test "{row["test"]}" says {row["measured"]:,.4g} +- '
            f"{row['error']:,.2g} ({row['of']}), the series and the other tests "
            f"{row['rest_mean']:,.4g} +- {half:,.2g}: {abs(row['pull']):.1f} standard "
            f"deviations apart, p = {row['p_value']:.1g}"
        )
        where, value = (row["channel"],), float(row["pull"])
        means_of = means.format(row["channel"])
        found.append(
            Finding("warning", "lift_conflict", what, where, value, means_of, remedy)
        )
    for channel in dict.fromkeys(table["channel"]):
        mine = np.flatnonzero(table["channel"] == channel)
        if len(mine) == 1 or channel in set(flagged["channel"]):
            continue
        own = np.concatenate([together.own[i] for i in mine])
        rest = _rest(together.left, together.errors, own)
        if not rest.p_value < FLAGGED:
            continue
        y = together.left[0, own] + together.here[0, own]
        says = y - rest.middle
        times = float(says @ y / (says @ says))
        what = (
            f'the {len(mine)} lift tests of "{channel}" together measured {times:.2g} '
            f"times what the series and the other tests say, p = {rest.p_value:.1g}; each "
            "has the others on its side, so that none stands out alone"
        )
        where, means_of = (channel,), means.format(channel)
        found.append(
            Finding("warning", "lift_conflict", what, where, times, means_of, remedy)
        )
    return tuple(found)
