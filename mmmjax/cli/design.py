"""``mmmjax design``: which lift test would be worth most before money is spent."""

from pathlib import Path
from typing import Annotated, Any

import typer

from mmmjax.budget import design_test
from mmmjax.cli import asked, files, show
from mmmjax.cli.codes import code
from mmmjax.cli.options import Run, Seed
from mmmjax.cli.plan import Bounds, Budget, Periods, PlanFile, Texts

__all__ = ["design"]

TESTS, STUB = "tests.csv", "test.toml"
Numbers = Annotated[
    list[float] | None,
    typer.Option("--factor", help="Spend of the channel times this; 0: a black-out."),
]
Lengths = Annotated[
    list[int] | None, typer.Option("--length", help="Periods of the test; again for more.")
]
Parts = Annotated[
    list[float] | None,
    typer.Option("--part", help="Share of the outcome whose geos are treated."),
]


def design(
    run: Run,
    channel: Annotated[
        Texts, typer.Option(help="Channel to test; all if left out.")
    ] = None,
    factor: Numbers = None,
    length: Lengths = None,
    part: Parts = None,
    periods: Periods = None,
    budget: Budget = None,
    bounds: Bounds = None,
    plan: PlanFile = None,
    seed: Seed = None,
    out: Annotated[
        Path | None, typer.Option(help=f"Folder for {TESTS} and {STUB}; or nothing.")
    ] = None,
) -> int:
    """Say which lift test would be worth most before the coming periods are planned."""
    if out is not None:
        files.folder(out)
    flags = {"periods": periods, "budget": budget, "bounds": bounds}
    fit, found = files.load_run(run)
    own: dict[str, Any] = {"factors": factor, "lengths": length, "parts": part}
    own = {name: value for name, value in own.items() if value}
    wanted = asked.read(plan, flags).plan
    tests = design_test(fit, channels=channel or None, seed=seed or 0, **own, **wanted)
    show.say(str(tests))
    show.say(f"\nThe first, to be filled in once it has run:\n{tests.stub()}")
    if out is not None:
        out.mkdir(parents=True, exist_ok=True)
        written = [files.table(out / TESTS, tests.table)]
        show.files([*written, files.text(out / STUB, tests.stub() + "\n")])
    return code(found)
