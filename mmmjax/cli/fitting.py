"""``mmmjax check``, ``fit`` and ``predict``: a case, its fit and its tables, a forecast."""

import tomllib
from pathlib import Path
from typing import Annotated, Any

import typer

from mmmjax.added import add_geos
from mmmjax.adequacy import judge
from mmmjax.checks import InputError, Phrase, fail
from mmmjax.cli import case as cases
from mmmjax.cli import files, show
from mmmjax.cli.asked import pair
from mmmjax.cli.codes import code
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
from mmmjax.draws import Fit
from mmmjax.exploration import controls_beyond
from mmmjax.infer.fit import fit as sample
from mmmjax.panel import for_training
from mmmjax.prediction import forecast_table
from mmmjax.prepare import prepare
from mmmjax.resources import enough_disk, only_run
from mmmjax.samplers import kept
from mmmjax.standing import held_out
from mmmjax.words import period_noun

__all__ = ["check", "fit", "fitted", "predict", "reported"]


def check(case: CaseFile) -> int:
    """Print what would be fitted and every warning, or what is wrong; sample nothing."""
    draft = cases.draft(case)
    problems, train, test, notes = list(draft.problems), None, None, ()
    spec, found, data = draft.spec, (), None
    if draft.panels:
        _, train, test = draft.panels
        show.panel(train, test)
    if train is not None:
        on_empty = draft.on_empty or "error"
        try:
            if spec is None:
                train, notes = for_training(train, max_lag=1, on_empty=on_empty)
            else:
                ready = prepare(spec, train, on_empty)
                train, spec, found = ready.panel, ready.spec, ready.findings
                data = ready.data
                notes = ready.notes[: len(ready.notes) - len(found)]
        except InputError as error:
            problems.append(str(error))
        count = show.n_parameters(spec, train) if spec else None
        show.grouped(train, count, test, found)
        if spec:
            show.spec(spec, train)
        if spec and data:
            show.priors(spec, train, data)
    if draft.drawn:
        show.sampler(*draft.drawn)
    show.notes(notes)
    if problems:
        raise InputError(cases.joined(case, problems))
    show.say(f"Ready: mmmjax fit {case} --out run/")
    return 0


OfAFit = Annotated[
    bool,
    typer.Option("--strict", help="End with 2 also where the data contradict the model."),
]


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
    strict: OfAFit = False,
) -> int:
    """Fit a case and write the fit, its tables, diagnostics and report.

    Ends with 0 where it sampled well, adequate or not (with --strict that is 2), with 2
    where it did not.
    """
    files.folder(out)
    given = {"chains": chains, "warmup": warmup, "draws": draws, "seed": seed}
    asked = cases.read(case, given | {"kind": sampler, "dtype": "float64" if x64 else None})
    done = fitted(asked, out)
    about = {"test": asked.test, "tables": done.tables}
    show.files([*done.paths, *reported(done.fit, out, no_report, **about)])
    return code(done.diagnostics, done.tables["judged"], strict)


def predict(
    run: Run,
    table: Annotated[Path, typer.Argument(help="Future table.", metavar="TABLE")],
    out: Annotated[Path | None, typer.Option(help="Folder; RUN/next by default.")] = None,
    read: Annotated[
        list[str] | None,
        typer.Option(
            help="How TABLE is written, where it differs from training: a line of "
            "\\[data], such as 'decimal = \",\"'; again for another one."
        ),
    ] = None,
    outcome_mean: Annotated[
        list[str] | None,
        typer.Option(
            help='Mean outcome a period of a geo that training lacks, "North=1000", where '
            "no population says how large it is; again for another one."
        ),
    ] = None,
) -> int:
    """Forecast the periods after training from planned spend (or media) and controls.

    Geos that training lacks are from the pooled prior, and said.
    """
    folder = files.folder(out or (run if run.is_dir() else run.parent) / "next")
    fit, found = files.load_run(run)
    try:
        written = tomllib.loads("\n".join(read or []))
    except tomllib.TOMLDecodeError as error:
        fix = "--read 'separator = \";\"'"
        fail("--read", Phrase(f"{read}: {error}"), "", "lines of [data]", fix)
    future = fit.panel.read_future(table, **written)
    judged = judge(fit, found)
    sizes: dict[str, Any] = dict(
        pair("--outcome-mean", x, allowed="GEO=NUMBER") for x in outcome_mean or ()
    )
    if sizes or set(future.geos) > set(fit.panel.geos):
        fit = add_geos(fit, future, outcome_mean=sizes)
        show.warn(f"{fit.info['notes'][-1]}.")
    forecast = forecast_table(fit, future)
    folder.mkdir(parents=True, exist_ok=True)
    written = files.table(folder / files.FORECAST, forecast)
    show.beyond(fit.panel, future)
    for finding in controls_beyond(fit.panel, future):
        show.warn(finding.message + ".")
    show.forecast(forecast, fit.panel)
    show.say(f"Verdict: {judged.sentence}")
    show.files([written])
    return code(found, judged)


def fitted(case: cases.Case, out: Path) -> files.Written:
    """Sample, write the fit and its tables, and say what was found on the way."""
    count = show.n_parameters(case.spec, case.train)
    show.findings(case.train, count, case.test)
    needed, of = kept(case.sampler, count or 0)
    fix = "make room, ask for fewer draws, or name a folder on another disk"
    enough_disk("--out", out, needed, of, fix)
    with only_run("--out", out):
        fit = sample(
            case.spec, case.train, case.sampler, seed=case.seed, on_empty=case.on_empty
        )
        show.notes(fit.info.get("notes", []), logged=True)
        written = files.write_fit(fit, out, case.test)
    show.verdict(fit, written.diagnostics, written.tables["judged"])
    if case.test is not None:
        noun, count = period_noun(fit.panel.freq), len(case.test.dates)
        cells = int(case.test.mask.sum())
        text = held_out(written.tables["scores"], count, noun, cells)
        show.say(f"Forecast: {text or 'nothing was observed to judge it by'}")
    if len(written.channels):
        show.channels(written.channels, fit.panel)
    if "lift_tests" in written.tables:
        show.lift_tests(written.tables["lift_tests"])
        show.taught(written.tables["taught"], fit.panel)
    return written


def reported(fit: Fit, out: Path, leave_out: bool, **about: Any) -> list[Path]:
    """Write the report; its failure must not cost the fit, which is written by now."""
    if leave_out:
        return []
    try:
        return files.write_report(fit, out, **about)
    except Exception as error:
        show.warn(f"{files.REPORT} could not be written ({type(error).__name__}: {error}).")
        return []
