"""The smallest spend that reaches a response, on average or with a given probability."""

import dataclasses
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import numpy as np

from mmmjax.budget.feasible import totals_of
from mmmjax.budget.prepare import Prepared
from mmmjax.budget.utility import as_utility, mean_response, value_at_risk
from mmmjax.checks import Phrase, fail, number

__all__ = ["Goal", "reach", "read"]

TURNS = 60
CLOSE = 1e-6  # relative width of the bracket of the spend at the end


class Goal(NamedTuple):
    """A response to reach, outcome units, and with which probability (None: on average)."""

    target: float
    probability: float | None


def read(target: Any, probability: Any, until_mroas: Any, utility: Any) -> Goal | None:
    """A goal, checked; None if there is none."""
    if target is None:
        if probability is not None:
            fix = "target=1e8, probability=0.9"
            fail("probability", probability, "", "a target to reach with it", fix)
        return None
    if until_mroas is not None:
        got = Phrase("target and until_mroas")
        fail("target", got, "", "one of the two", "leave until_mroas out")
    if as_utility(utility).kind != mean_response().kind:
        got, allowed = Phrase(f"with utility {as_utility(utility)}"), "no utility"
        fix = "leave the utility out: a target is reached on average, or with a probability"
        fail("target", got, "", allowed, fix)
    target = number("target", target, low=0.0, open_low=True, fix="target=1e8")
    if probability is not None:
        probability = number(
            "probability", probability, low=0.0, high=1.0, open_low=True, open_high=True,
            fix="probability=0.9",
        )  # fmt: skip
    return Goal(target, probability)


def reach(
    prepared: Prepared, goal: Goal, settle: Callable[[Prepared], tuple[Prepared, Any]]
) -> tuple[Prepared, Any]:
    """The plan with the smallest total, to a millionth, whose best response is the target.

    The best response rises with the total: bracketed, halved (regula falsi, Illinois).

    Args:
        prepared: The problem; its budget is the most that may be spent; of its utility
            takes the response, or its quantile, the place.
        goal: What to reach.
        settle: Solves one problem.

    Raises:
        InputError: A target that no allowed plan reaches.
    """
    aim, rank = mean_response(), 0
    if goal.probability is not None:
        # the draw that at least `probability` of the draws reach: no interpolated quantile
        draws = len(jax.tree.leaves(prepared.window.draws)[0])
        rank = draws - int(np.ceil(goal.probability * draws - 1e-9))
        level = 1.0 - rank / max(draws - 1, 1)
        aim = dataclasses.replace(value_at_risk(), parameters={"level": level})
    smooth = not aim.needs_smoothing
    concave = aim.concave_at_total and not prepared.doubt
    doubt = prepared.doubt or ("" if concave else f"{aim} is not known to be concave")
    prepared = dataclasses.replace(
        prepared, utility=aim, price=0.0, doubt=doubt, up_to=False,
        kind=dataclasses.replace(prepared.kind, concave=concave, smooth=smooth),
    )  # fmt: skip
    least, most = totals_of(prepared.region)

    def at(total: float) -> tuple[Prepared, Any, float]:
        region = prepared.region
        least_, most_ = np.array(region.least), np.array(region.most)
        most_[0] = total
        if not prepared.limits.on_off:  # these leave holes among the totals
            least_[0] = total
        one = dataclasses.replace(
            prepared, region=region._replace(least=least_, most=most_),
            layout=dataclasses.replace(prepared.layout, budget=total),
        )  # fmt: skip
        one, solved = settle(one)
        reached = solved.seen[1].utility
        if goal.probability is not None:
            reached = float(np.sort(solved.seen[1].samples.sum(1))[rank])
        return one, solved, reached - goal.target

    one, solved, above = at(most)
    if above < 0:
        sure = goal.probability
        with_ = "" if sure is None else f" with probability {sure:g}"
        best, budget = f"at most {goal.target + above:,.6g}", most / prepared.layout.unit
        allowed = f"{best}, what the best plan within bounds brings at {budget:,.6g}"
        fix = "raise the budget or the upper bounds, or lower the target"
        fail("target", Phrase(f"{goal.target:,.6g}{with_}"), "", allowed, fix)
    low, high, count, below = least, most, solved.evaluations, -goal.target
    if least > 0:
        first = at(least)
        if first[2] >= 0:
            return first[0], first[1]._replace(goal=goal)
        below = first[2]
    side, upper = 0, above
    for _ in range(TURNS):
        if high - low <= CLOSE * high:
            break
        middle = low + (high - low) * np.clip(-below / (upper - below), 0.02, 0.98)
        tried = at(float(middle))
        count += tried[1].evaluations
        if tried[2] >= 0:
            one, solved, above = tried
            high, upper = float(middle), tried[2]
            below = 0.5 * below if side > 0 else below
            side = 1
        else:
            low, below = float(middle), tried[2]
            upper = 0.5 * upper if side < 0 else upper
            side = -1
    status = f"smallest spend that reaches the target; {solved.status}"
    return one, solved._replace(evaluations=count, status=status, goal=goal)
