"""Budgets: what to spend, with proof.

Asking: `request` reads what a market may spend, `constraints` what else a plan
respects, `curves` holds response curves of one's own, `layout` puts the cells of all
markets in a row and `prepare` makes a problem of arrays of it. Solving: `horizon`
evaluates the one forward function on a window (`ahead`: what else the window has),
`utility` (with `algebra`, `formula`, `smoothing`) is what a plan maximises,
`region` (with `interior`) projects, `ascent` climbs, `starts` and `evolve`
help where nothing is proven, `search` joins them, `piecewise` ends on the very top of a
quantile; `switches` and `goal` solve several
problems for one plan, `solve` one, `many` a whole table. Telling: `tabulate` names the
numbers, `record` holds them, `wording` is their text and `scenario` the Plan with both;
`compare` evaluates any plans (as `given` reads them), `outcome` forecasts under them,
`regret` says what knowing more would be worth, `trials` what a test
would. (No module is called `optimize`: a public function and a module of one name would
hide each other.)
"""

from mmmjax.budget.compare import evaluate as evaluate
from mmmjax.budget.curves import ResponseCurves as ResponseCurves
from mmmjax.budget.many import frontier as frontier
from mmmjax.budget.many import scenarios as scenarios
from mmmjax.budget.outcome import forecast_plan as forecast_plan
from mmmjax.budget.regret import knowledge as knowledge
from mmmjax.budget.scenario import Plan as Plan
from mmmjax.budget.solve import optimize as optimize
from mmmjax.budget.trials import design_test as design_test

__all__ = [
    "Plan",
    "ResponseCurves",
    "design_test",
    "evaluate",
    "forecast_plan",
    "frontier",
    "knowledge",
    "optimize",
    "scenarios",
]
