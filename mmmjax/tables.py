"""The tables of a run, by the names of their files: `tables.weekly(fit)` is weekly.csv.

Each is a function of a fit and gives a data frame with the columns that docs/files.md
lists, in original units (parameters: scaled). :func:`every` computes all of them abreast.
`counterfactual` and those of budgets (`scenarios`, `outcome`, `knowledge`) are of what
`mm.counterfactual`, `mm.evaluate`, `mm.forecast_plan` and `mm.knowledge` return.
"""

import importlib
import os
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

from threadpoolctl import threadpool_limits

from mmmjax.adequacy import judge
from mmmjax.arguments import checked
from mmmjax.counterfactuals import counterfactual_table as counterfactual
from mmmjax.criticism import prior_posterior as priors
from mmmjax.draws import Fit
from mmmjax.draws import diagnostics as diagnose
from mmmjax.draws import summary as parameters
from mmmjax.experiments import lift_tests_table as lift_tests
from mmmjax.experiments import tested
from mmmjax.panel import Panel
from mmmjax.posterior.campaigns import campaigns_table as campaigns
from mmmjax.posterior.explained import carryover_table as carryover
from mmmjax.posterior.explained import curves_table as curves
from mmmjax.posterior.explained import decomposition_table as decomposition
from mmmjax.posterior.explained import returns_table as returns
from mmmjax.posterior.explained import sweep_table as sweep
from mmmjax.posterior.frequency import optimal_frequency as frequency
from mmmjax.posterior.multipliers import multipliers
from mmmjax.posterior.shrinkage import pooled_over_geos
from mmmjax.posterior.shrinkage import shrinkage_table as shrinkage
from mmmjax.posterior.tables import channels_table as channels
from mmmjax.posterior.tables import weekly_table as weekly
from mmmjax.prediction import forecast_table as forecast
from mmmjax.prediction import judged, judged_through
from mmmjax.prediction import scores_table as scores
from mmmjax.terms import Reach

if TYPE_CHECKING:
    from mmmjax.budget.compare import scenarios_table as scenarios
    from mmmjax.budget.outcome import outcome_table as outcome
    from mmmjax.budget.regret import knowledge_table as knowledge
    from mmmjax.budget.taught import taught

__all__ = [
    "NAMES",
    "campaigns",
    "carryover",
    "channels",
    "counterfactual",
    "curves",
    "decomposition",
    "every",
    "fitted",
    "forecast",
    "frequency",
    "knowledge",
    "lift_tests",
    "multipliers",
    "outcome",
    "parameters",
    "priors",
    "returns",
    "scenarios",
    "scores",
    "shrinkage",
    "sweep",
    "taught",
    "weekly",
]


def __dir__() -> list[str]:
    """Public names only, for completion."""
    return list(__all__)


NAMES = (
    "channels", "weekly", "parameters", "priors", "fitted", "forecast", "returns", "curves",
    "sweep", "decomposition", "carryover", "campaigns", "frequency", "lift_tests",
    "taught", "multipliers", "shrinkage",
)  # fmt: skip
"""In the order in which they are written; the last six of a fit that has them."""

_OF_BUDGETS = {
    "knowledge": ("regret", "knowledge_table"),
    "outcome": ("outcome", "outcome_table"),
    "scenarios": ("compare", "scenarios_table"),
    "taught": ("taught", "taught"),
}


def __getattr__(name: str) -> Any:
    """Load a table of budgets on first use: those of a fit do without the optimizer."""
    if name not in _OF_BUDGETS:
        raise AttributeError(f"module 'mmmjax.tables' has no attribute {name!r}")
    module, function = _OF_BUDGETS[name]
    return getattr(importlib.import_module(f"mmmjax.budget.{module}"), function)


@checked
def fitted(fit: Fit) -> Any:
    """Prediction of the training window: the columns of :func:`forecast`."""
    return judged(fit)[0]


@checked
def every(
    fit: Fit, test: Panel | None = None, given: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """All tables, and beside them ``scores``, ``diagnostics`` and ``judged``.

    Args:
        fit: The fit.
        test: A panel that follows training; without one there is no ``forecast``.
        given: Results that are at hand; they are not computed again.
    """
    found = dict(given or {})
    names = ("fitted", "scores") if test is None else ("fitted", "forecast", "scores")

    def predicted() -> dict[str, Any]:
        made = judged(fit) if test is None else judged_through(fit, test)
        return dict(zip(names, made, strict=True))

    def sampled() -> dict[str, Any]:
        table = found["parameters"] if "parameters" in found else parameters(fit)
        prior = found["priors"] if "priors" in found else priors(fit, table)
        draws = found["diagnostics"] if "diagnostics" in found else diagnose(fit, table)
        each = (table, prior, draws, judge(fit, draws, table, prior))
        return dict(zip(verdicts, each, strict=True))

    def contributed() -> dict[str, Any]:  # the first has what the second is made of
        table = found["weekly"] if "weekly" in found else weekly(fit)
        return {"weekly": table, "decomposition": decomposition(fit)}

    jobs: dict[str, Callable[[], Any]] = {  # the long ones first
        "sampled": sampled,
        "sweep": lambda: sweep(fit),
        "returns": lambda: returns(fit),
        "contributed": contributed,
        "predicted": predicted,
        "curves": lambda: curves(fit),
        "carryover": lambda: carryover(fit),
        "campaigns": lambda: campaigns(fit),
        "frequency": lambda: frequency(fit),
    }
    if fit.panel.campaigns is None:
        del jobs["campaigns"]
    if tested(fit):
        jobs["lift_tests"] = lambda: lift_tests(fit)
        jobs["taught"] = lambda: __getattr__("taught")(fit)
    owners = {*fit.spec.owners(fit.panel).tolist()} if fit.panel.channels else ()
    if any(fit.spec.media[k].moving for k in owners):
        jobs["multipliers"] = lambda: multipliers(fit)
    if pooled_over_geos(fit):
        jobs["shrinkage"] = lambda: shrinkage(fit, None)
    if not any(isinstance(term, Reach) for term in fit.spec.media):
        del jobs["frequency"]
    verdicts = ("parameters", "priors", "diagnostics", "judged")
    made = {"sampled": verdicts, "predicted": names}
    made["contributed"] = ("weekly", "decomposition")
    needed = [job for job in jobs if any(n not in found for n in made.get(job, (job,)))]
    # compiling and sorting run abreast; threads of matrices would wait for each other
    with threadpool_limits(1, user_api="blas"), ThreadPoolExecutor(os.cpu_count()) as pool:
        waiting = {name: pool.submit(jobs[name]) for name in needed}
        done = {name: job.result() for name, job in waiting.items()}
    several = [done.pop(name, {}) for name in made]
    found = {n: x for part in several for n, x in part.items()} | done | found
    if "channels" not in found:
        found["channels"] = channels(fit, known=found["returns"])
    return found
