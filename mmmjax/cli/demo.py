"""``mmmjax demo`` and ``simulate``: data whose truth is known."""

import json
from pathlib import Path
from typing import Annotated

import typer

import mmmjax as mm
from mmmjax import simulate as simulation
from mmmjax.budget import optimize as best_plan
from mmmjax.cli import case as cases
from mmmjax.cli import files, show
from mmmjax.cli.codes import code
from mmmjax.cli.fitting import fitted, reported
from mmmjax.cli.options import Chains, Kept, NoReport, Out, Seed, Warmup
from mmmjax.cli.plan_files import say_plan, write_plan
from mmmjax.cli.planner import PLANNER

__all__ = ["demo", "simulate"]


def demo(
    out: Out = Path("demo-run"),
    chains: Chains = None,
    warmup: Warmup = None,
    draws: Kept = None,
    seed: Seed = None,
    no_report: NoReport = False,
) -> int:
    """Fit the embedded dataset, compare with its known truth, plan a budget."""
    given = {"chains": chains, "warmup": warmup, "draws": draws, "seed": seed}
    files.folder(out)
    case = cases.read(simulation.DEMO / "demo.toml", given)
    truth = json.loads((simulation.DEMO / "demo_truth.json").read_text(encoding="utf-8"))
    show.panel(case.train, case.test)
    done = fitted(case, out)
    fit = done.fit
    show.recovered(done.channels, truth)
    best = best_plan(fit, periods=26)
    say_plan(best)
    written = [*done.paths, *write_plan(best, out)]
    written += [files.copy(p, out / "data") for p in sorted(simulation.DEMO.glob("demo*"))]
    about = {"test": case.test, "truth": truth, "plan": best, "tables": done.tables}
    written += reported(fit, out, no_report, **about)
    if not no_report:
        mm.planner(fit, out / PLANNER, best, run=str(out))
        written.append(out / PLANNER)
    show.files(written)
    return code(done.diagnostics)


def simulate(
    out: Annotated[Path, typer.Option(help="Folder to write to.", show_default=False)],
    name: Annotated[str, typer.Option(help="First part of the file names.")] = "demo",
    seed: Annotated[int, typer.Option(help="Seed of everything random.")] = 0,
    periods: Annotated[int, typer.Option(help="Weeks, test weeks included.")] = 156,
    test_periods: Annotated[int, typer.Option(help="Last weeks, not fitted.")] = 13,
    channels: Annotated[int, typer.Option(help="Number of paid channels.")] = 4,
    geos: Annotated[int, typer.Option(help="Number of geos.")] = 1,
    controls: Annotated[int, typer.Option(help="Number of controls.")] = 2,
    seasonality: Annotated[bool, typer.Option(help="Yearly waves.")] = True,
    trend: Annotated[bool, typer.Option(help="A linear rise.")] = True,
    collinear: Annotated[
        float, typer.Option(help="Correlation of log spends, 0 to 1.")
    ] = 0.3,
    flighted: Annotated[int, typer.Option(help="Channels that are on and off.")] = 1,
    noise: Annotated[float, typer.Option(help="Noise sd, share of the outcome.")] = 0.03,
    media_share: Annotated[float, typer.Option(help="Share that media bring.")] = 0.3,
) -> int:
    """Write data with known truth: NAME.csv, NAME_truth.json and the case NAME.toml."""
    settings = {k: v for k, v in locals().items() if k not in ("out", "name")}
    show.files(simulation.generate(**settings).write(files.folder(out), name))
    return 0
