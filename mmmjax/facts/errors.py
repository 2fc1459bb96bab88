"""Errors of all lift tests together: what they have in common, and how they covary."""

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from mmmjax import checks
from mmmjax.checks import Phrase, fail

__all__ = ["Errors", "covarying", "joint"]


class Errors(NamedTuple):
    """Those of one test.

    Args:
        rows: Which results are its own.
        matrix: Covariance of their own errors, (own, own).
        shared: Standard deviation of the part that its group shares, (own,).
        rate: Unit of these per unit that the test is stated in.
    """

    rows: slice
    matrix: np.ndarray
    shared: np.ndarray
    rate: float


def covarying(fact: Any, at: str) -> tuple[tuple[str, float], ...] | None:
    """The covariances of a test, checked, as pairs of a name and a number.

    They are written as a table, pairs or text "name=0.4".
    """
    value, fix = fact.covariances, 'group = "geo tests 2025" and shared_error = ...'
    if (fact.group is None) == (fact.shared_error is not None or value is not None):
        lack = "group" if fact.group is None else "shared_error"
        fail(f"{lack} {at}", Phrase("none"), "", "both or neither", f"{fix}, or neither")
    if value is None:
        return None
    field, fix = f"covariances {at}", '{ "Search up" = 0.4 }'
    if not isinstance(fact.result, int | float):
        got = Phrase("a series of results")
        fail(field, got, "", "of tests of one result", "shared_error, or one result")
    given = value.items() if isinstance(value, Mapping) else value
    given = [given] if isinstance(given, str) else given
    try:
        pairs = [x.rpartition("=")[::2] if isinstance(x, str) else tuple(x) for x in given]
        return tuple((name.strip(), float(number)) for name, number in pairs)
    except (AttributeError, TypeError, ValueError):
        allowed = "a table of numbers by the name of another test"
        return fail(field, value, "", allowed, fix)


def joint(
    facts: Sequence[Any], errors: Sequence[Errors], members: Mapping[Any, Sequence[int]]
) -> tuple[np.ndarray, list[tuple[np.ndarray, float]]]:
    """Covariance of all results (result, result), and of each group its results and nu.

    Args:
        facts: Tests, with ``label``, ``nu`` and ``covariances``.
        errors: Of each.
        members: Numbers of the tests of each group.

    Raises:
        InputError: Laws that differ within a group, or covariances that cannot be.
    """
    matrix, blocks = np.zeros((errors[-1].rows.stop,) * 2), []
    for key, own in members.items():
        nu = {facts[i].nu for i in own}
        if len(nu) > 1:
            got = Phrase(f"different ones in the tests of group {checks.show(key)}")
            fail("nu", got, "", "one law of errors that have a part in common", "one nu")
        at = np.concatenate([np.r_[errors[i].rows] for i in own])
        common = np.concatenate([errors[i].shared for i in own])
        matrix[np.ix_(at, at)] = np.outer(common, common)
        for i in own:
            matrix[errors[i].rows, errors[i].rows] += errors[i].matrix
        by_name = {facts[i].label: i for i in own}
        pairs = [(i, n, v) for i in own for n, v in facts[i].covariances or ()]
        stated = dict[frozenset[int], float]()
        for i, j, value in ((i, by_name[n], v) for i, n, v in pairs if n in by_name):
            first = stated.setdefault(frozenset((i, j)), value)
            if not math.isclose(first, value) or i == j:
                got = Phrase(f"{first:g} and {value:g} of one pair" if i != j else "itself")
                where = f'in the lift test "{facts[i].label}"'
                fail("covariances", got, where, "one value of two tests", "state it once")
            one, other = (errors[k].rows.start for k in (i, j))
            shared = errors[i].shared[0] * errors[j].shared[0]
            both = shared + value * errors[i].rate * errors[j].rate
            matrix[one, other] = matrix[other, one] = both
        if np.linalg.eigvalsh(matrix[np.ix_(at, at)])[0] <= 0:
            got = Phrase(f"those of group {checks.show(key)}")
            allowed = "a positive definite matrix with the errors squared"
            fail("covariances", got, "", allowed, "smaller ones")
        blocks.append((at, next(iter(nu)) or 0.0))
    return matrix, blocks
