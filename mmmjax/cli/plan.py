"""``mmmjax optimize``: a plan of spend with its proof, and what it is compared with."""

from pathlib import Path
from typing import Annotated, Any

import typer

from mmmjax.budget import Plan, optimize
from mmmjax.budget.compare import evaluate, scenarios_table
from mmmjax.budget.many import frontier as many
from mmmjax.cli import asked, files, show
from mmmjax.cli.codes import NOT_CONVERGED, code
from mmmjax.cli.options import Run
from mmmjax.cli.plan_files import frontier_table, say_due, say_plan, write_plan
from mmmjax.draws import Fit

__all__ = ["plan"]

Texts = list[str] | None
"""What of a flag that may be repeated."""

Periods = Annotated[
    int | None,
    typer.Option(help="Length of the window; by default a quarter.", show_default=False),
]
Budget = Annotated[
    float | None, typer.Option(help="Total spend; by default the reference's.")
]
UpTo = Annotated[
    bool | None,
    typer.Option("--up-to/--exactly", help="Spend at most the budget, or all of it."),
]
PlanOut = Annotated[Path | None, typer.Option(help="Folder; RUN/plan by default.")]
Bounds = Annotated[
    Texts,
    typer.Option(
        help='0.5 (+-50%), 0:3 (times the reference), "TV=0:2e6" (money) or '
        '"TV=0.8x:1.2x" (times the reference); with both kinds, the first is for the '
        "channels not named."
    ),
]
Fix = Annotated[Texts, typer.Option(help='"TV=0" (money), or "TV" at its reference.')]
Reference = Annotated[
    Texts,
    typer.Option(
        help='"TV=1e6", every channel, or the spend of "2025-01-01:2025-03-31". Left out: '
        "past spend, or with --budget the past split scaled to the budget."
    ),
]
PerPeriod = Annotated[
    bool | None, typer.Option("--per-period/--whole-window", help="Money a period.")
]
Wanted = Annotated[
    str | None,
    typer.Option(
        help='What is maximised, such as "mean_tightness(alpha=0.9)" or profit (which need '
        "not spend the budget); by default the mean response."
    ),
]
Limits = Annotated[
    Texts,
    typer.Option(
        help="'group([\"TV\", \"Radio\"], at_most=1e6)', 'roas_floor(2.0)', "
        "'max_change(0.3)', 'minimum_if_on({\"TV\": 5e5})', 'per_geo({\"north\": 1e6})'; "
        "again for another one."
    ),
]
Flighting = Annotated[
    str | None, typer.Option(help="Spend over the periods: even, optimal.")
]
Target = Annotated[
    float | None, typer.Option(help="Spend the least that brings this response.")
]
Probability = Annotated[
    float | None, typer.Option(help="With which the target is reached; else on average.")
]
UntilMroas = Annotated[
    str | None,
    typer.Option(
        help="Spend, up to the budget, while the next unit brings this, or break-even: "
        "while it returns itself (with outcome_value)."
    ),
]
DiscountRate = Annotated[
    float | None,
    typer.Option(help="Money a year later is worth less by 0.08: net present value."),
]
GeoSplit = Annotated[
    bool | None,
    typer.Option(
        "--fixed-geo-split/--free-geo-split",
        help="Hold the split of every channel over geos as in the reference.",
    ),
]
OverCampaigns = Annotated[
    Texts,
    typer.Option(
        help="Split channels over their campaigns too, each at most so far from its past "
        'share: 0.5 for all, "TV=0.3" for one channel; again for another one.'
    ),
]
CarryIn = Annotated[
    str | None, typer.Option(help="What acts from before: zero (default), history.")
]
Starts = Annotated[
    int | None, typer.Option(help="Points of the search where nothing is proven.")
]
OfStarts = Annotated[int | None, typer.Option(help="Seed of these points.")]
Frontier = Annotated[
    str | None,
    typer.Option(
        help='Best plans of several budgets too: "10e6:40e6:13" (least, largest, count) or '
        '"1e6,2e6,4e6".'
    ),
]
PlanFile = Annotated[
    Path | None,
    typer.Option(help="TOML file with these settings as keys; flags win over it."),
]


def plan(
    run: Run,
    periods: Periods = None,
    budget: Budget = None,
    up_to: UpTo = None,
    out: PlanOut = None,
    bounds: Bounds = None,
    fix: Fix = None,
    reference: Reference = None,
    per_period: PerPeriod = None,
    utility: Wanted = None,
    constraint: Limits = None,
    flighting: Flighting = None,
    target: Target = None,
    probability: Probability = None,
    until_mroas: UntilMroas = None,
    discount_rate: DiscountRate = None,
    fixed_geo_split: GeoSplit = None,
    campaigns: OverCampaigns = None,
    carry_in: CarryIn = None,
    starts: Starts = None,
    seed: OfStarts = None,
    frontier: Frontier = None,
    plan: PlanFile = None,
) -> int:
    """Plan the spend of coming periods, and say how good the plan is."""
    flags = {k: v for k, v in locals().items() if k not in ("run", "out", "plan")}
    flags["constraints"] = flags.pop("constraint")
    folder = files.folder(out or (run if run.is_dir() else run.parent) / "plan")
    wanted = asked.read(plan, flags)
    fit, found = files.load_run(run)
    made = optimize(fit, **wanted.plan)
    tables = _compared(fit, made, wanted)
    say_plan(made)
    if wanted.discount_rate is not None:
        say_due(tables["scenarios"], wanted.discount_rate, made.currency)
    show.files(write_plan(made, folder, **tables))
    if not made.certified and not made.gap_reason:
        show.warn(f"the solver stopped before the best plan: {made.status}.")
        return NOT_CONVERGED
    return code(found)


def _compared(fit: Fit, made: Plan, wanted: asked.Asked) -> dict[str, Any]:
    """The tables of scenarios.csv and frontier.csv."""
    before = made.reference.to_numpy()
    plans = {"reference": before, "plan": made, **wanted.scenarios}
    scenarios = evaluate(
        fit, plans, reference=before, utilities=[made.utility], **wanted.of_scenarios
    )
    tables = {"scenarios": scenarios_table(scenarios)}
    if wanted.frontier is not None:
        levels = many(fit, wanted.frontier, **wanted.of_frontier)
        tables["frontier"] = frontier_table(levels)
    return tables
