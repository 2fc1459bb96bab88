"""Channels that are off or spend a minimum: every combination of on and off is a plan."""

import dataclasses
import itertools
from collections.abc import Callable
from typing import Any

import numpy as np

from mmmjax.budget.constraints import OnOff
from mmmjax.budget.feasible import is_empty
from mmmjax.budget.prepare import Prepared
from mmmjax.budget.region import Region, with_nesting
from mmmjax.checks import InputError, Phrase, fail

__all__ = ["MOST", "best"]

MOST = 10  # channels with a minimum; 2^10 combinations are solved


def best(prepared: Prepared, solve: Callable[[Prepared], Any]) -> tuple[Prepared, Any]:
    """The best of all combinations of on and off; its bound holds for all of them.

    Args:
        prepared: A problem whose limits have on/off channels, at most :data:`MOST`.
        solve: Solves one combination.

    Raises:
        InputError: Too many of them, or no combination that keeps all other limits.
    """
    switches = prepared.limits.on_off
    if len(switches) > MOST:
        allowed = f"at most {MOST} (every combination of on and off is solved)"
        fix = "give a plain lower bound to channels that will be on anyway"
        fail("minimum_if_on", Phrase(f"{len(switches)} channels"), "", allowed, fix)
    found: list[tuple[float, Prepared, Any]] = []
    refused: InputError | None = None
    ceiling, evaluations, tried = -np.inf, 0, 0
    for states in itertools.product((True, False), repeat=len(switches)):
        combination = _switched(prepared, switches, states)
        if combination is None:
            continue
        tried += 1
        try:
            solved = solve(combination)
        except InputError as error:  # a floor that this combination cannot keep
            refused = error
            continue
        net = solved.seen[1].utility - prepared.price * solved.spend.sum()
        ceiling = max(ceiling, net + solved.gap)
        evaluations += solved.evaluations
        found.append((net, combination, solved))
    if not found and refused is not None:
        raise refused
    if not found:
        unit = prepared.layout.unit
        minima = [f"{s.name} at least {s.minimum / unit:,.6g}" for s in switches]
        got = f"{', '.join(minima)} if on: no combination of on and off keeps "
        got += f"{prepared.limits.words[0][0]}, bounds and limits"
        fix = "lower the minima, widen the bounds or change the budget"
        fail("minimum_if_on", Phrase(got), "", "minima that leave a plan", fix)
    value, chosen, solved = max(found, key=lambda entry: entry[0])
    status = f"best of {tried} combinations of on and off; {solved.status}"
    solved = solved._replace(
        gap=max(ceiling - value, 0.0), evaluations=evaluations, status=status
    )
    return chosen, solved


def _switched(
    prepared: Prepared, switches: tuple[OnOff, ...], states: tuple[bool, ...]
) -> Prepared | None:
    """The problem with every switch set; None if no plan is left."""
    region, repeat = prepared.region, max(prepared.free_periods, 1)
    lower, upper = np.array(region.lower), np.array(region.upper)
    rows, least = [np.asarray(region.rows)], [np.asarray(region.least)]
    most = [np.asarray(region.most)]
    for switch, on in zip(switches, states, strict=True):
        members = np.zeros(len(prepared.layout.lower))
        members[switch.variables] = 1.0
        members = np.repeat(prepared.members_of(members), repeat)
        if not on:
            if (lower[members > 0] > 0).any():
                return None
            upper = np.where(members > 0, 0.0, upper)
        if repeat == 1 and members.sum() == 1:  # one cell: a bound
            lower = np.maximum(lower, np.where(members > 0, on * switch.minimum, 0.0))
            continue
        rows.append(members[None])
        least.append(np.array([on * switch.minimum]))
        most.append(np.array([np.inf]))
    if (lower > upper).any():
        return None
    limits = map(np.concatenate, (rows, least, most))
    switched = with_nesting(Region(lower, upper, *limits))
    if is_empty(switched):
        return None
    layout = prepared.layout
    if repeat == 1:
        low = np.maximum(layout.lower, prepared.cells(lower))
        high = np.minimum(layout.upper, prepared.cells(upper))
        layout = dataclasses.replace(layout, lower=low, upper=high)
    return dataclasses.replace(prepared, region=switched, layout=layout)
