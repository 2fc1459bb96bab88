r"""Which test next: what it would show, what it would change, and what that is worth.

A candidate is a lift test of one channel: its spend times a factor, for some periods, in
some geos. From the draws of a fit, no refit: what each draw says the test brings, D. Its
standard error s is that of placebos: how far windows of that length without a test were
off, the outcome of its geos beyond what the model and then the other geos say (of one
market: beyond the model). A reading that adjusts for less has a larger one. Then

- power: how often the estimate, Normal(D, s), is further from 0 than 1.96 s;
- contraction: how much less the variance of the channel's ROAS is expected to be, as draws
  are weighted by the density of a result, over results that they themselves predict;
- value: the expected value of sample information, $E_y[\max_x E[s(x) | y]] - \max_x
  E[s(x)]$, s(x) the response of the plan x: what planning again after the result is worth,
  at most the EVPI of :func:`mmmjax.knowledge`. The whole joint posterior is weighted, so
  that a test of one channel that also tells of another is worth that too.

Sources: Raiffa and Schlaifer (1961), chapter 4, for the value of sample information;
importance weights for it after Menzies (2016), "An efficient estimator for the expected
value of sample information", Med. Decis. Making 36.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import product
from typing import Any, NamedTuple, Unpack

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
from jaxtyping import Array, Float
from scipy import stats

from mmmjax import words
from mmmjax.arguments import checked
from mmmjax.budget.prepare import Asked, Prepared
from mmmjax.budget.regret import best_of, net_of, prepared_for, solve_mean
from mmmjax.budget.scenario import Plan
from mmmjax.budget.search import Kind, Problem
from mmmjax.budget.solve import Settings
from mmmjax.checks import Phrase, fail, integer, listing, number
from mmmjax.draws import Fit
from mmmjax.facts import LiftTest
from mmmjax.panel.calendar import following
from mmmjax.posterior.fold import thinned
from mmmjax.posterior.returns import roas
from mmmjax.prediction import predict
from mmmjax.response import make_inputs
from mmmjax.shapes import CHAIN, DRAW
from mmmjax.spec import Spec

__all__ = ["Tests", "design_test", "placebo_error", "values_of", "weights_of"]

DRAWS = 1000  # of the posterior, unless more are asked for; 400 praise a test by a fifth
RESULTS = 128  # of a test, drawn evenly over what the draws predict; few are worth much
SPLITS = 200  # random halves of the geos, of which the best balanced is taken
LIMIT = 500  # evaluations of one climb


@dataclass(frozen=True, eq=False)
class Tests:
    """Candidates, the one most worth its money first.

    Args:
        table: A row for each: test (its number), channel, factor, periods, geos, expected
            (outcome that the test arm has beyond the control arm), error (standard), power,
            roas_sd, roas_sd_after, contraction, value and value_error (outcome units),
            draws (effective ones behind value: few are a guess), spend (money more), and
            where the outcome has a value cost (that spend, less the money that its outcome
            is expected to bring) and net (value in money, less cost; a test that earns
            money costs nothing, and what it earns is the plan's to earn).
        left_out: Candidates that could not be, and why.
        currency: Label of money.
    """

    table: pd.DataFrame
    left_out: tuple[str, ...]
    currency: str
    _stubs: tuple[LiftTest, ...]

    def stub(self, test: int | None = None) -> str:
        """The [[data.fact]] of a test, to be filled in: of the first row if None."""
        if test is None:
            test = int(self.table["test"].iloc[0])
        test = integer("test", test, low=0, high=len(self._stubs) - 1)
        fact = self._stubs[test]
        lines = ["[[data.fact]]", 'kind = "lift_test"', f'channel = "{fact.channel[0]}"']
        lines += [f"start = {fact.start}", f"end = {fact.end}"]
        if fact.geos is not None:
            lines.append(f"geos = [{', '.join(f'"{geo}"' for geo in fact.geos)}]")
        factor = dict(fact.spend_test)[fact.channel[0]][1]
        lines += ['spend_test = "recorded"', 'of = "total"', f"tail = {fact.tail}"]
        back = "what it would have been: a number, or a list of one a period"
        if factor:
            lines.append(f'spend_control = "x{1 / factor:.6g}"')
        else:
            lines.append(f"spend_control = ...  # {back}")
        return "\n".join([*lines, "result = ...", "error = ..."])

    def __str__(self) -> str:
        """The table, and what was left out."""
        shown = words.lines(*words.columns(self.table))
        return "\n".join([*shown, *(f"Left out: {why}" for why in self.left_out)])


@checked
def design_test(
    fit: Fit,
    plan: Plan | None = None,
    *,
    channels: Sequence[str] | None = None,
    factors: Sequence[float] = (0.0, 1.5),
    lengths: Sequence[int] = (4, 8),
    parts: Sequence[float] = (0.5,),
    tail: int | None = None,
    seed: int = 0,
    **asked: Unpack[Asked],
) -> Tests:
    """Say which lift test would be worth most before spending as planned.

    Args:
        fit: The fit of one market or panel.
        plan: What would be acted on without a test: gives budget, periods and bounds; what
            is asked for here goes first. None: as :func:`mmmjax.optimize` takes it.
        channels: Paid channels to test; None: all.
        factors: What the spend of a channel is multiplied by in the test, at least 0 and
            not 1: 0 is a black-out.
        lengths: Periods of the test.
        parts: Of several geos: shares of the outcome, in (0, 1), whose geos are treated;
            the split is the one of 200 in which the others tell their outcome best.
        tail: Periods after the test that count too; None: half of the memory of the model.
        seed: Of splits and results.
        **asked: As :func:`mmmjax.knowledge` takes it.

    Raises:
        InputError: Numbers outside their ranges, a channel that is none, or no candidate
            that could be run.
    """
    panel, draws = fit.panel, asked.pop("max_draws", None) or DRAWS
    paid = [c for c, yes in zip(panel.channels, panel.paid, strict=True) if yes]
    names = paid if channels is None else list(dict.fromkeys(channels))
    if unknown := [name for name in names if name not in paid]:
        fix = f'channels=["{paid[0]}"]' if paid else "name what channels cost"
        fail("channels", unknown[0], "", f"paid channels ({listing(paid, 12)})", fix)
    for factor in factors:
        if number("factors", factor, low=0) == 1:
            fail("factors", factor, "", "other than 1", "factors=(0.0, 1.5)")
    for length in lengths:
        integer("lengths", length, low=1, high=panel.n_periods // 3)
    for part in parts:
        number("parts", part, low=0, high=1, open_low=True, open_high=True)
    tail = (
        fit.spec.memory // 2
        if tail is None
        else integer("tail", tail, low=0, high=panel.n_periods)
    )
    prepared = prepared_for(fit, plan, {**asked, "max_draws": draws})
    tests, left_out = candidates_of(fit, names, factors, lengths, parts, tail, seed)
    some = thinned(fit, draws)
    brought = brought_by(some, [one.fact for one in tests])  # (draw, test)
    error = np.array([one.error for one in tests])
    returns = roas(some)["roas_total"].stack(sample=(CHAIN, DRAW))
    own = np.stack([returns.sel(channel=t.fact.channel[0]).to_numpy() for t in tests], 1)
    weights = weights_of(brought, error, seed)  # (test, result, draw)
    table = pd.DataFrame([one.about for one in tests])
    table["expected"], table["error"] = brought.mean(0), error
    far = lambda sign: stats.norm.cdf(sign * brought / error - 1.96).mean(0)
    table["power"] = far(1) + far(-1)
    table["roas_sd"] = own.std(0)
    mean = np.einsum("trd,dt->tr", weights, own)
    square = np.einsum("trd,dt->tr", weights, own**2)
    table["roas_sd_after"] = np.sqrt((square - mean**2).mean(1))
    table["contraction"] = 1 - (table["roas_sd_after"] / table["roas_sd"]) ** 2
    value = values_of(prepared, weights)
    table["value"], table["value_error"] = value.mean(1), value.std(1) / RESULTS**0.5
    table["draws"] = (1 / (weights**2).sum(2)).mean(1)
    table["spend"] = [one.spend for one in tests]
    order = "value"
    if panel.outcome_value is not None:
        worth = panel.outcome_value
        table["cost"] = table["spend"] - worth * table["expected"]
        table["net"] = worth * table["value"] - table["cost"].clip(lower=0)
        order = "net"
    table = table.sort_values(order, ascending=False, ignore_index=True)
    return Tests(table, left_out, panel.currency, tuple(one.ahead for one in tests))


class _Candidate(NamedTuple):
    """A test as if it had been run at the end of training, and as it will be."""

    fact: LiftTest
    ahead: LiftTest
    error: float
    spend: float
    about: dict[str, Any]


def candidates_of(
    fit: Fit,
    names: Sequence[str],
    factors: Sequence[float],
    lengths: Sequence[int],
    parts: Sequence[float],
    tail: int,
    seed: int,
) -> tuple[list[_Candidate], tuple[str, ...]]:
    """Every candidate that could be run, and why others could not."""
    panel, found, left_out = fit.panel, list[_Candidate](), list[str]()
    outcome = np.where(panel.mask, panel.outcome, np.nan)[:, panel.window]
    gap = outcome - predict(fit, draws=False)["outcome"].sel(summary="mean").to_numpy()
    for length in lengths:
        splits = [
            (list(range(panel.n_geos)), placebo_error(gap.sum(0)[None], [0], length + tail))
        ]
        if panel.n_geos > 1:
            rng = np.random.default_rng(seed)
            size = np.nanmean(outcome, 1)
            splits = [_split(gap, size, part, length + tail, rng) for part in parts]
        last = len(panel.dates) - tail
        recent = panel.dates[last - length : last]
        ahead = following(panel.dates, panel.freq, length)
        for (own, error), name, factor in product(splits, names, factors):
            geos = tuple(panel.geos[g] for g in own)
            at = panel.channels.index(name)
            spent = float(panel.spend[own, last - length : last, at].sum())
            if spent <= 0:
                left_out.append(f"{name} did not run in the last {length} periods")
                continue
            whole = len(geos) == panel.n_geos
            same: dict[str, Any] = {"spend_test": f"x{factor:.12g}", "tail": tail}
            same |= {"of": "total", "result": 0.0, "error": 1.0}
            same["geos"] = None if whole else geos
            both = [
                LiftTest(name, f"{d[0]:%Y-%m-%d}", f"{d[-1]:%Y-%m-%d}", **same)
                for d in (recent, ahead)
            ]
            about = {"test": len(found), "channel": name, "factor": factor}
            about |= {"periods": length, "geos": "ALL" if whole else ", ".join(geos)}
            more = spent * (factor - 1)
            found.append(_Candidate(both[0], both[1], error, more, about))
    if not found:
        got = Phrase(listing(map(Phrase, left_out), 6))
        fail("channels", got, "", "a channel that ran lately", "name others")
    return found, tuple(dict.fromkeys(left_out))


def _split(
    gap: Float[np.ndarray, "geo period"],
    size: Float[np.ndarray, " geo"],
    part: float,
    length: int,
    rng: Any,
) -> tuple[list[int], float]:
    """Geos to treat, whose outcome the others tell best, and the error of a test there."""
    best = ([0], np.inf)
    for _ in range(SPLITS):
        order = rng.permutation(len(size))
        share = np.cumsum(size[order]) / size.sum()
        count = int(np.clip(np.argmin(np.abs(share - part)) + 1, 1, len(size) - 1))
        own = sorted(map(int, order[:count]))
        error = placebo_error(gap, own, length)
        if error / size[own].sum() < best[1] / size[best[0]].sum():
            best = (own, error)
    return best


def placebo_error(
    gap: Float[np.ndarray, "geo period"], own: list[int], length: int
) -> float:
    """Standard deviation of placebo effects, sums over windows of training.

    Of outcomes beyond the model (NaN where unknown), those of geos `own` less a line in
    those of the others.
    """
    known = np.isfinite(gap).all(0)
    treated = gap[own][:, known].sum(0)
    others = np.delete(gap, own, 0)[:, known].sum(0)
    design = np.stack([np.ones_like(others), others], 1)[:, : 1 + bool(others.any())]
    left = treated - design @ np.linalg.lstsq(design, treated, rcond=None)[0]
    sums = np.convolve(left, np.ones(length), "valid")
    return float(np.sqrt((sums**2).mean() * (1 + length / len(left))))


def brought_by(fit: Fit, tests: list[LiftTest]) -> Float[np.ndarray, "draw test"]:
    """What each test brings in every draw, outcome units."""
    with jax.enable_x64(True):
        inputs = make_inputs(fit.spec, fit.panel, fit.scale)
        x = LiftTest.stack(tests, fit.panel, fit.scale, fit.spec)
        x = {name: array[0] for name, array in x.items()}
        flat = {n: jnp.asarray(a, float) for n, a in fit.flat().items()}
        return np.asarray(predicted_by(flat, x, inputs, spec=fit.spec))


@partial(jax.jit, static_argnames=("spec",))
def predicted_by(flat: dict[str, Array], x: Any, inputs: Any, *, spec: Spec) -> Array:
    return jax.lax.map(lambda p: LiftTest.predicted(p, x, spec, inputs), flat)


def weights_of(
    brought: Float[np.ndarray, "draw test"], error: np.ndarray, seed: int
) -> Float[np.ndarray, "test result draw"]:
    """Weights of draws given results of each test, which evenly spread draws predict."""
    rng, found = np.random.default_rng([seed, 1]), []
    noise = stats.norm.ppf((np.arange(RESULTS) + 0.5) / RESULTS)
    for y, s in zip(brought.T, error, strict=True):
        at = np.sort(y)[((np.arange(RESULTS) + 0.5) / RESULTS * len(y)).astype(int)]
        results = at + s * rng.permutation(noise)
        log = -0.5 * ((results[:, None] - y) / s) ** 2
        weight = np.exp(log - log.max(1, keepdims=True))
        found.append(weight / weight.sum(1, keepdims=True))
    return np.stack(found)


def values_of(prepared: Prepared, weights: np.ndarray) -> Float[np.ndarray, "test result"]:
    """What planning again is worth given each result of each test."""
    settings = Settings.of(1, 0, 1e-7, LIMIT)
    count = weights.shape[-1]
    even = (np.arange(count) + 0.5) / count
    rows = np.stack(
        [np.searchsorted(np.cumsum(w), even) for w in weights.reshape(-1, count)]
    )
    rows = np.minimum(rows, count - 1)
    with jax.enable_x64(True):
        best = solve_mean(prepared, settings).spend
        how = rows, settings.tolerance, settings.limit
        found = gains_of(prepared.problem(), best, *how, kind=prepared.kind)
    return np.asarray(found).reshape(weights.shape[:2])


@partial(jax.jit, static_argnames=("kind",))
def gains_of(
    problem: Problem, best: Array, rows: Array, tolerance: Any, limit: Any, *, kind: Kind
) -> Array:
    form = replace(kind.form, block=2**30)

    def one(at: Array) -> Array:
        draws = jax.tree.map(lambda x: jnp.asarray(x)[at], problem.window.draws)
        known = problem._replace(window=problem.window._replace(draws=draws))
        return best_of(known, kind, best, tolerance, limit)[1] - net_of(known, form, best)

    return jax.lax.map(one, rows)
