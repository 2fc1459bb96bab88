"""The commands: demo, simulate, check, fit, fleet, predict, optimize, backtest, report.

Exit codes: 0 a usable result; 1 bad input, one message and nothing written; 2 fitted but
not converged, everything written and said loudly; 130 interrupted. Unexpected errors keep
their traceback.
"""

import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

import jax
import typer

from mmmjax import simulate as simulation
from mmmjax.budget import optimize as best_plan
from mmmjax.checks import InputError
from mmmjax.cli import case as cases
from mmmjax.cli import files, show
from mmmjax.cli.backtest import backtest
from mmmjax.cli.fleet import fleet
from mmmjax.cli.options import (
    X64,
    CaseFile,
    Chains,
    Kept,
    Kind,
    NoReport,
    Out,
    Run,
    Seed,
    Warmup,
)
from mmmjax.cli.plan import plan
from mmmjax.cli.report import rebuild
from mmmjax.draws import Diagnostics, Fit
from mmmjax.infer.fit import fit as sample
from mmmjax.model import model_data
from mmmjax.panel import Panel, for_training
from mmmjax.prediction import forecast_table
from mmmjax.scaling import Scale
from mmmjax.spec import Spec

__all__ = ["app", "main", "run"]

BAD_INPUT, NOT_CONVERGED, INTERRUPTED = 1, 2, 130
UsageError: Any = typer.BadParameter.__base__  # of typer's own copy of click

app = typer.Typer(
    help="Bayesian media mix models: from spend and sales to a certified budget.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


@app.command()
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
    done = _fit(case, out)
    fit = done.fit
    show.recovered(done.channels, truth)
    best = best_plan(fit, periods=26)
    show.plan(best)
    written = [*done.paths, *files.write_plan(best, out)]
    written += [files.copy(p, out / "data") for p in sorted(simulation.DEMO.glob("demo*"))]
    about = {"test": case.test, "truth": truth, "plan": best, "tables": done.tables}
    written += _report(fit, out, no_report, **about)
    show.files(written)
    return _code(done.diagnostics)


@app.command()
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


@app.command()
def check(case: CaseFile) -> int:
    """Print what would be fitted and every warning, or what is wrong; sample nothing."""
    draft = cases.draft(case)
    problems, train, test, notes = list(draft.problems), None, None, ()
    if draft.panels:
        _, train, test = draft.panels
        show.panel(train, test)
    if train is not None:
        usable = draft.spec is not None
        try:
            train, notes = _prepared(draft.spec, train, draft.on_empty or "error")
        except InputError as error:
            problems.append(str(error))
            usable = False
        count = show.n_parameters(draft.spec, train) if draft.spec else None
        show.grouped(train, count, test)
        if draft.spec:
            show.spec(draft.spec, train)
        if draft.spec and usable:
            show.priors(draft.spec, train)
    if draft.drawn:
        sampler, seed = draft.drawn
        show.say(f"Sampler: {sampler!r}, seed {seed}")
    show.notes(notes)
    if problems:
        raise InputError(cases.joined(case, problems))
    show.say(f"Ready: mmmjax fit {case} --out run/")
    return 0


@app.command()
def fit(
    case: CaseFile,
    out: Out = Path("run"),
    sampler: Kind = None,
    chains: Chains = None,
    warmup: Warmup = None,
    draws: Kept = None,
    seed: Seed = None,
    x64: X64 = False,
    no_report: NoReport = False,
) -> int:
    """Fit a case and write the fit, its tables, diagnostics and report."""
    files.folder(out)
    given = {"chains": chains, "warmup": warmup, "draws": draws, "seed": seed}
    asked = cases.read(case, given | {"kind": sampler, "dtype": "float64" if x64 else None})
    done = _fit(asked, out)
    about = {"test": asked.test, "tables": done.tables}
    show.files([*done.paths, *_report(done.fit, out, no_report, **about)])
    return _code(done.diagnostics)


@app.command()
def predict(
    run: Run,
    table: Annotated[Path, typer.Argument(help="Future table.", metavar="TABLE")],
    out: Annotated[Path | None, typer.Option(help="Folder; RUN/next by default.")] = None,
) -> int:
    """Forecast the periods after training from planned spend (or media) and controls."""
    folder = files.folder(out or (run if run.is_dir() else run.parent) / "next")
    fit, found = files.load_run(run)
    future = fit.panel.read_future(table)
    forecast = forecast_table(fit, future)
    folder.mkdir(parents=True, exist_ok=True)
    written = files.table(folder / files.FORECAST, forecast)
    show.beyond(fit.panel, future)
    show.forecast(forecast, fit.panel)
    show.files([written])
    return _code(found)


app.command()(fleet)
app.command(name="optimize")(plan)
app.command()(backtest)


@app.command()
def report(
    run: Run,
    out: Annotated[
        Path | None, typer.Option(help="File to write; RUN/report.html by default.")
    ] = None,
    truth: Annotated[
        Path | None, typer.Option(help="JSON file of the true ROAS, for simulated data.")
    ] = None,
) -> int:
    """Write report.html again from the files of a run; samples nothing."""
    written = rebuild(run, out, truth)
    show.files(written.paths)
    return _code(written.diagnostics)


def _prepared(
    spec: Spec | None, train: Panel, on_empty: Literal["error", "drop", "prior"]
) -> tuple[Panel, tuple[str, ...]]:
    """The panel that would be fitted and its notes, refused as a fit would refuse it."""
    lags, bound = (spec.adstock.max_lag, spec.likelihood.low) if spec else (1, None)
    train, notes = for_training(train, max_lag=lags, lower_bound=bound, on_empty=on_empty)
    if spec:
        scale = Scale.fit(train, spec.outcome_scale == "geo", spec.media_scale == "geo")
        model_data(spec, train, scale)
    return train, notes


def _fit(case: cases.Case, out: Path) -> files.Written:
    """Sample, write the fit and its tables, and say what was found on the way."""
    show.findings(case.train, show.n_parameters(case.spec, case.train), case.test)
    fit = sample(
        case.spec, case.train, case.sampler, seed=case.seed, on_empty=case.on_empty
    )
    show.notes(fit.info.get("notes", []))
    written = files.write_fit(fit, out, case.test)
    show.verdict(fit, written.diagnostics)
    if len(written.channels):
        show.channels(written.channels, fit.panel.currency)
    return written


def _report(fit: Fit, out: Path, leave_out: bool, **about: Any) -> list[Path]:
    """Write the report; its failure must not cost the fit, which is written by now."""
    if leave_out:
        return []
    try:
        return files.write_report(fit, out, **about)
    except Exception as error:
        show.warn(f"{files.REPORT} could not be written ({type(error).__name__}: {error}).")
        return []


def _code(found: Diagnostics) -> int:
    if found.converged:
        return 0
    show.not_converged(found)
    return NOT_CONVERGED


def cache_folder() -> Path | None:
    """Folder of compiled programs: $MMMJAX_CACHE ("off": none), or the user's cache."""
    asked = os.environ.get("MMMJAX_CACHE")
    if asked == "off":
        return None
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(asked) if asked else Path(base) / "mmmjax"


def _keep_compiled() -> None:
    """Turn on JAX's persistent compilation cache, unless the user has set one."""
    place = cache_folder()
    if place is None or jax.config.jax_compilation_cache_dir:
        return
    try:
        place.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        show.warn(f"compiled programs are not kept ({error}).")
        return
    jax.config.update("jax_compilation_cache_dir", str(place))
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)


def run(argv: Sequence[str]) -> int:
    """Run one command and return its exit code."""
    command = typer.main.get_command(app)
    _keep_compiled()
    try:
        code = command.main(list(argv), prog_name="mmmjax", standalone_mode=False)
    except UsageError as error:
        error.show()
        return BAD_INPUT
    except InputError as error:
        show.error(str(error))
        return BAD_INPUT
    except (typer.Abort, KeyboardInterrupt):
        code = INTERRUPTED
    if code == INTERRUPTED:
        show.error("interrupted. Files that were written are whole.")
    return code or 0


def main() -> None:
    """Entry point of the ``mmmjax`` command."""
    sys.exit(run(sys.argv[1:]))
