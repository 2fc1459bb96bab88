"""Lift tests whose errors covary."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from mmmjax import checks
from mmmjax.arguments import checked
from mmmjax.checks import Phrase, fail
from mmmjax.facts.base import Fact
from mmmjax.facts.experiment import LiftTest

__all__ = ["check_named", "correlated"]


@checked
def correlated(
    tests: Sequence[LiftTest], covariance: Sequence[Any] | np.ndarray, group: str
) -> tuple[LiftTest, ...]:
    """Tests of one result each whose errors covary.

    Args:
        tests: With names of their own; their errors are replaced.
        covariance: Of the errors, (test, test), units of the results.
        group: What they are called together.

    Raises:
        InputError: Names that are no test's own, or no covariance of so many.
    """
    names = [getattr(test, "label", "") for test in tests]
    if "" in names or len(names) < 2:
        got, fix = Phrase(f"{len(names)} things"), 'mm.facts.LiftTest("TV", ...)'
        fail("tests that are correlated", got, "", "lift tests, 2 or more", fix)
    try:
        matrix = np.array(covariance, float)
    except (TypeError, ValueError):
        matrix = np.array(np.nan)
    if len(set(names)) < len(names):
        got, fix = Phrase(checks.listing(names)), 'name="Search up"'
        fail("names of correlated tests", got, "", "names of their own", fix)
    square = matrix.shape == (len(names),) * 2 and np.isfinite(matrix).all()
    if (
        not square
        or not np.allclose(matrix, matrix.T)
        or np.linalg.eigvalsh(matrix)[0] <= 0
    ):
        allowed = f"{len(names)} x {len(names)} numbers, symmetric, positive definite"
        got, fix = Phrase(f"of shape {matrix.shape}"), "the square of each error first"
        fail("covariance of correlated tests", got, "", allowed, fix)
    told: dict[str, Any] = {"interval": None, "probability": None, "covariance": None}
    return tuple(
        replace(
            test,
            error=math.sqrt(matrix[i, i]),
            group=group,
            covariances={n: matrix[i, j] for j, n in enumerate(names) if j != i} or None,
            **told,
        )
        for i, test in enumerate(tests)
    )


def check_named(facts: Iterable[Fact]) -> None:
    """Refuse a covariance with a test that is not there; a later cut may leave it out."""
    tests = [fact for fact in facts if isinstance(fact, LiftTest)]
    for test in tests:
        for name, _ in test.covariances or ():
            others = [t.label for t in tests if t.group == test.group and t is not test]
            if name not in others:
                what, fix = "another test of its group", "name and group of both tests"
                where = f'in the lift test "{test.label}"'
                checks.unknown("name in covariances", name, where, what, others, fix)
