"""``mmmjax planner``: one page in which a split of the budget is tried, offline."""

from pathlib import Path
from typing import Annotated

import typer

import mmmjax as mm
from mmmjax import store
from mmmjax.checks import fail
from mmmjax.cli import asked, files, show
from mmmjax.cli.codes import code
from mmmjax.cli.options import Run
from mmmjax.cli.plan import Budget, Periods, PlanFile
from mmmjax.cli.report import planned

__all__ = ["PLANNER", "planner"]

PLANNER = "planner.html"


def planner(
    run: Run,
    periods: Periods = None,
    budget: Budget = None,
    plan: PlanFile = None,
    out: Annotated[
        Path | None, typer.Option(help="File to write; RUN/planner.html by default.")
    ] = None,
    draws: Annotated[
        int | None, typer.Option(help="Draws of its intervals; as many as 2 MB hold.")
    ] = None,
) -> int:
    """Write planner.html: sliders, what they bring and how sure, beside the best plan.

    The plan of RUN/plan is the best; where there is none, or a window, a budget or --plan
    is given, one is made.
    """
    folder = run if run.is_dir() else run.parent
    target = out or folder / PLANNER
    store.file_to_write(target, PLANNER)
    given = {"periods": periods, "budget": budget}
    wanted = asked.read(plan, given)
    for name in ("frontier", "discount_rate"):
        if (value := getattr(wanted, name)) is not None:
            fix = "leave it to mmmjax optimize"
            fail(name, value, "--plan", "what a planner shows", fix)
    fit, found = files.load_run(run)
    fresh = plan is not None or any(x is not None for x in given.values())
    best = None if fresh else planned(folder)
    if best is None:
        best = mm.optimize(fit, **wanted.plan)
    about = {"scenarios": wanted.scenarios, "max_draws": draws, "run": str(run)}
    mm.planner(fit, target, best, **about)
    show.files([target])
    return code(found)
