"""Utilities: what a plan maximises, a function of posterior draws and money.

``samples`` (draw, channel) is the response of one plan in every posterior draw, outcome
units over the window and its tail, summed over geos; ``budgets`` (channel,) the money of
the plan over its window. More is better. Utilities add, multiply and scale:
``mean_response() + 1e4 * portfolio_entropy()``; :func:`custom` makes one of any function.

Names follow PyMC-Marketing; what differs, on purpose: :func:`mean_tightness` is mean -
alpha * tail (its releases have that under this name or our :func:`tightness_ratio`);
:func:`conditional_value_at_risk` counts the draw at the edge of the tail in part (it
averages whole draws, and jumps when one crosses); :func:`raroc` divides by the capital at
risk (it divides by the budget: ``roas(mean_response() - risk_free)`` here);
:func:`diversification_ratio` is that of the response itself (it weighs responses, which
grow with spend already, with spend).
"""

import dataclasses
from collections.abc import Callable
from typing import Any, Final

import jax.numpy as jnp
from jaxtyping import Array, Float

from mmmjax.arguments import checked
from mmmjax.budget import smoothing as parts
from mmmjax.budget.algebra import (
    Kernel,
    Utility,
    Values,
    bind,
    by_channel,
    check,
    custom,
    has,
    plain,
)
from mmmjax.budget.formula import create, parse
from mmmjax.budget.smoothing import Smooth, Smoothing
from mmmjax.checks import Phrase, fail, number

__all__ = [
    "UTILITIES",
    "Smooth",
    "Smoothing",
    "Utility",
    "adjusted_value_at_risk",
    "as_utility",
    "bind",
    "check",
    "conditional_value_at_risk",
    "custom",
    "diversification_ratio",
    "expected_shortfall",
    "mean_response",
    "mean_tightness",
    "portfolio_entropy",
    "probability_of",
    "profit",
    "raroc",
    "roas",
    "sharpe",
    "tail_distance",
    "tightness_ratio",
    "value_at_risk",
]


def __dir__() -> list[str]:
    """Public names only, for completion."""
    return list(__all__)


def _level(level: float, usual: float = 0.95) -> float:
    return number(
        "level", level, low=0, high=1, open_low=True, open_high=True, fix=f"level={usual}"
    )


def _of_sum(
    kernel: Callable[[Values, Float[Array, " draw"], Smoothing], Any],
) -> Kernel:
    """Kernel of a utility that reads nothing but the summed samples."""

    def of_sum(p: Values, samples: Array, budgets: Array, how: Smoothing) -> Smooth:
        found = kernel(p, samples.sum(-1), how)
        return found if isinstance(found, Smooth) else plain(found)

    return of_sum


@checked
def mean_response() -> Utility:
    """Posterior mean of the response, outcome units. Concave."""
    return Utility({}, "mean_response", _mean_response, True, True)


@_of_sum
def _mean_response(p: Values, samples: Array, how: Smoothing) -> Array:
    return samples.mean()


@checked
def profit(value: float | None = None) -> Utility:
    """Worth of the mean response less the money spent: what is left, money. Concave.

    A plan for it need not spend its budget (None: as much as bounds allow) and stops where
    the next unit of money returns itself, at a marginal return of 1.

    Args:
        value: Money per unit of outcome, above 0; None: the panel's `outcome_value`.
    """
    if value is not None:
        value = number("value", value, low=0.0, open_low=True, fix="profit(value=0.4)")
    return Utility({"value": value}, "profit", _profit, True, True)


def _profit(p: Values, samples: Array, budgets: Array, how: Smoothing) -> Smooth:
    if p["value"] is None:
        fix = "outcome_value = 1.0 under [data] where the outcome is money, or its margin; "
        fix += 'or utility="profit(value=0.4)"'
        got = Phrase("a profit, and no outcome_value")
        fail("utility", got, "", "money per unit of outcome", fix)
    return plain(p["value"] * samples.sum(-1).mean() - budgets.sum())


@checked
def tail_distance(level: float = 0.75) -> Utility:
    r"""$|Q_c - m| + |m - Q_{1-c}|$, outcome units, m the mean: a distance, positive.

    More of it is more risk: maximise ``-tail_distance()``, or a part of it.

    Args:
        level: c in (0, 1).
    """
    p = {"level": _level(level, 0.75)}
    return Utility(p, "tail_distance", _tail_distance, needs_smoothing=True)


@_of_sum
def _tail_distance(p: Values, samples: Array, how: Smoothing) -> Array:
    return _tail(samples, p["level"], how)


def _tail(samples: Array, level: Any, how: Smoothing) -> Array:
    ends = parts.quantiles(samples, (level, 1.0 - level), how.share)
    high, low = (parts.soft_abs(end - samples.mean(), how) for end in ends)
    return high + low


@checked
def mean_tightness(alpha: float = 0.5, level: float = 0.75) -> Utility:
    """Mean - alpha * tail distance, outcome units: what a cautious planner expects.

    Args:
        alpha: Price of the tail, at least 0.
        level: See :func:`tail_distance`.
    """
    p = {"alpha": number("alpha", alpha, low=0.0, fix="alpha=0.5")}
    p["level"] = _level(level, 0.75)
    return Utility(p, "mean_tightness", _mean_tightness, needs_smoothing=True)


@_of_sum
def _mean_tightness(p: Values, samples: Array, how: Smoothing) -> Array:
    return samples.mean() - p["alpha"] * _tail(samples, p["level"], how)


@checked
def tightness_ratio(alpha: float = 0.5, level: float = 0.75) -> Utility:
    """1 - alpha * tail distance / mean, no unit; -1e9 or so at a mean of 0 or below.

    Where the response is 0 in every draw it is 1. It says nothing about how much comes in:
    for a given budget :func:`mean_tightness` does.

    Args:
        alpha: Price of the tail, at least 0.
        level: See :func:`tail_distance`.
    """
    p = {"alpha": number("alpha", alpha, low=0.0, fix="alpha=0.5")}
    p["level"] = _level(level, 0.75)
    return Utility(p, "tightness_ratio", _tightness_ratio, needs_smoothing=True)


@_of_sum
def _tightness_ratio(p: Values, samples: Array, how: Smoothing) -> Array:
    tail = _tail(samples, p["level"], how)
    return 1.0 - p["alpha"] * parts.ratio(tail, samples.mean(), jnp.abs(samples).mean())


@checked
def value_at_risk(level: float = 0.95) -> Utility:
    r"""Response that is exceeded with probability `level`: $Q_{1-level}$, outcome units.

    Args:
        level: In (0, 1).
    """
    return Utility(
        {"level": _level(level)}, "value_at_risk", _value_at_risk, needs_smoothing=True
    )


@_of_sum
def _value_at_risk(p: Values, samples: Array, how: Smoothing) -> Array:
    return parts.quantiles(samples, (1.0 - p["level"],), how.share)[0]


@checked
def adjusted_value_at_risk(level: float = 0.95, alpha: float = 0.8) -> Utility:
    """(1 - alpha) * mean + alpha * value at risk, outcome units.

    Args:
        level: See :func:`value_at_risk`.
        alpha: Aversion to risk, in [0, 1].
    """
    p = {"level": _level(level)}
    p["alpha"] = number("alpha", alpha, low=0.0, high=1.0, fix="alpha=0.8")
    return Utility(
        p, "adjusted_value_at_risk", _adjusted_value_at_risk, needs_smoothing=True
    )


@_of_sum
def _adjusted_value_at_risk(p: Values, samples: Array, how: Smoothing) -> Array:
    low = parts.quantiles(samples, (1.0 - p["level"],), how.share)[0]
    return (1.0 - p["alpha"]) * samples.mean() + p["alpha"] * low


@checked
def conditional_value_at_risk(level: float = 0.95) -> Utility:
    """Mean of the worst 1 - level of the draws, outcome units. Concave.

    Args:
        level: In (0, 1). The draw at the edge of the tail counts in part.
    """
    return Utility(
        {"level": _level(level)},
        "conditional_value_at_risk",
        _conditional_value_at_risk,
        True,
        True,
        needs_smoothing=True,
    )


@_of_sum
def _conditional_value_at_risk(p: Values, samples: Array, how: Smoothing) -> Smooth:
    return Smooth(*parts.worst_mean(samples, 1.0 - p["level"], how))


@checked
def sharpe(risk_free: float = 0.0) -> Utility:
    """(mean - risk_free) / standard deviation, no unit; within +-1e9 where that is 0.

    The deviation counts as at least 1e-9 of the mean |sample|, so that a plan without risk
    is finite, and very good; 0 / 0 is 0.

    Args:
        risk_free: Response that is had without risk, outcome units; ROAS inside
            :func:`roas`.
    """
    return Utility({"risk_free": _risk_free(risk_free)}, "sharpe", _sharpe)


def _risk_free(value: float) -> float:
    return number("risk_free", value, fix="risk_free=0.0")


@_of_sum
def _sharpe(p: Values, samples: Array, how: Smoothing) -> Array:
    gain = samples.mean() - p["risk_free"]
    return parts.ratio(gain, parts.spread(samples), jnp.abs(samples).mean())


@checked
def raroc(level: float = 0.95, risk_free: float = 0.0) -> Utility:
    r"""$(m - risk\_free) / |m - Q_{1-level}|$, no unit: mean gain per capital at risk.

    The capital counts as at least 1e-9 of the mean |sample|; 0 / 0 is 0.

    Args:
        level: In (0, 1); the capital at risk is what the response falls short of its mean
            with probability 1 - level.
        risk_free: See :func:`sharpe`.
    """
    p = {"level": _level(level), "risk_free": _risk_free(risk_free)}
    return Utility(p, "raroc", _raroc, needs_smoothing=True)


@_of_sum
def _raroc(p: Values, samples: Array, how: Smoothing) -> Array:
    mean = samples.mean()
    low = parts.quantiles(samples, (1.0 - p["level"],), how.share)[0]
    capital = parts.soft_abs(mean - low, how)
    return parts.ratio(mean - p["risk_free"], capital, jnp.abs(samples).mean())


@checked
def probability_of(target: float) -> Utility:
    """Probability that the response reaches a target.

    The share of draws is a step function, whose slope is 0; smoothed, every draw counts
    along a logistic curve of width share * size.

    Args:
        target: Outcome units; ROAS inside :func:`roas`.
    """
    value = number("target", target, fix="target=1_000_000.0")
    return Utility(
        {"target": value}, "probability_of", _probability_of, needs_smoothing=True
    )


@_of_sum
def _probability_of(p: Values, samples: Array, how: Smoothing) -> Array:
    return parts.reached(samples - p["target"], how)


@checked
def expected_shortfall(reference: float | None = None) -> Utility:
    r"""$-E[(reference - s)_+]$, outcome units, at most 0. Concave.

    How far the response stays below the reference, on average over all draws.

    Args:
        reference: Outcome units (ROAS inside :func:`roas`); None: draw by draw what the
            reference of the plan brings, see :func:`bind`.
    """
    if reference is not None:
        reference = number("reference", reference, fix="reference=1_000_000.0")
    p = {"reference": reference}
    return Utility(
        p, "expected_shortfall", _expected_shortfall, True, True, needs_smoothing=True
    )


@_of_sum
def _expected_shortfall(p: Values, samples: Array, how: Smoothing) -> Smooth:
    if p["reference"] is None:
        fix = "expected_shortfall(reference=1e6), or bind(utility, reference_samples)"
        allowed = "a number, or draws of the reference"
        fail("reference", None, "in expected_shortfall", allowed, fix)
    return Smooth(*parts.shortfall(samples - p["reference"], how))


@checked
def portfolio_entropy() -> Utility:
    """Entropy of the shares of the budget, nats, in [0, log(channels)]; 0 log 0 is 0.

    Concave among plans of one total; 0 where nothing is spent.
    """
    return Utility({}, "portfolio_entropy", _portfolio_entropy, False, True)


def _portfolio_entropy(p: Values, samples: Array, budgets: Array, how: Smoothing) -> Smooth:
    return plain(parts.entropy(budgets, how.share))


@checked
def diversification_ratio() -> Utility:
    """Sum of the channels' standard deviations over that of their sum, at least 1.

    Needs the samples of each channel. 1 where nothing varies; at most 1e9.
    """
    return Utility({}, "diversification_ratio", _diversification_ratio, per_channel=True)


def _diversification_ratio(
    p: Values, samples: Array, budgets: Array, how: Smoothing
) -> Smooth:
    each = parts.spread(by_channel(samples, budgets, "diversification_ratio")).sum()
    together = parts.spread(samples.sum(-1))
    return plain(jnp.where(each > 0, parts.ratio(each, together, each), 1.0))


@checked
def roas(of: Any = mean_response) -> Utility:
    """A utility of ROAS, outcome units per money: that of samples / sum of budgets.

    Concave among plans of one total if the utility is concave. Numbers of the utility
    (target, reference, risk_free) are ROAS. Where nothing is spent the ROAS is 0.

    Args:
        of: A utility, or its name.
    """
    of = as_utility(of)
    if has(of, "profit"):
        fix = "profit by itself, or a roas_floor as constraint"
        fail("roas", Phrase("profit in it"), "", "a utility of the response", fix)
    return dataclasses.replace(
        of, parameters={"of": of}, kind="roas", function=_roas, concave=False
    )


def _roas(p: Values, samples: Array, budgets: Array, how: Smoothing) -> Smooth:
    total = budgets.sum()
    spent = total > 0
    each = jnp.where(spent, 1.0 / jnp.where(spent, total, 1.0), 0.0)
    size = how.size * jnp.where(spent, each, 1.0)
    return p["of"].smooth(samples * each, budgets, Smoothing(how.share, size))


UTILITIES: Final[dict[str, Callable[..., Utility]]] = {
    "adjusted_value_at_risk": adjusted_value_at_risk,
    "conditional_value_at_risk": conditional_value_at_risk,
    "diversification_ratio": diversification_ratio,
    "expected_shortfall": expected_shortfall,
    "mean_response": mean_response,
    "mean_tightness": mean_tightness,
    "portfolio_entropy": portfolio_entropy,
    "probability_of": probability_of,
    "profit": profit,
    "raroc": raroc,
    "roas": roas,
    "sharpe": sharpe,
    "tail_distance": tail_distance,
    "tightness_ratio": tightness_ratio,
    "value_at_risk": value_at_risk,
}
"""Factories by the name that text may use; :func:`custom` needs a function."""


def as_utility(given: Any) -> Utility:
    """Read what a user gave as a utility.

    Args:
        given: A utility; a factory (``mean_response``); a function (samples (draw,),
            budgets) -> scalar; or text such as "mean_tightness(alpha=0.9)" or
            "mean_response + 0.1 * portfolio_entropy".

    Raises:
        InputError: Anything else.
    """
    made = given
    if isinstance(given, str):
        made = parse(given, UTILITIES)
    elif any(given is factory for factory in UTILITIES.values()):
        made = create(given.__name__, UTILITIES)
    elif callable(given) and not isinstance(given, (type, Utility)) and given != custom:
        made = custom(given)
    if isinstance(made, Utility):
        return made
    allowed = "a utility, its name, or a function (samples, budgets) -> scalar"
    return fail("utility", given, "", allowed, "utility=mm.utility.mean_response()")
