"""Budgets: what to spend, with proof.

`request` reads what was asked, `horizon` evaluates the one forward function on a window,
`constraints` holds exact projections, `ascent` climbs, `solve` joins them, `scenario` is
the Plan that comes out and `wording` its text. Utilities live in `utility`. (No module is
called `optimize`: a public function and a module of one name would hide each other.)
"""

from mmmjax.budget.scenario import Plan as Plan
from mmmjax.budget.solve import optimize as optimize

__all__ = ["Plan", "optimize"]
