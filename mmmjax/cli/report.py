"""``mmmjax report``: the report of a run again, from the files in its folder.

Nothing is sampled. A table is read from its CSV file if that is no older than the fit and
has the columns it needs, and all of them only if diagnostics.json speaks of the same data
and seed; whatever is missing or stale is computed from the draws and written. The forecast
of a test window cannot be computed again, since the fit does not hold that window.
"""

import json
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import pandas as pd
import typer

import mmmjax as mm
from mmmjax import store, workbook
from mmmjax.checks import Phrase, choice, fail
from mmmjax.cli import files, plan_files, show
from mmmjax.cli.codes import code
from mmmjax.cli.options import Run
from mmmjax.draws import Diagnostics, Fit
from mmmjax.reporting.evidence import COLUMNS, Evidence, Planned, gather, missing
from mmmjax.resources import plain, replace_file

__all__ = ["planned", "read_table", "rebuild", "report"]

OF_A_BACKTEST = ("backtest", "backtest_forecast", "backtest_parameters")
OF_A_PLAN = {
    "campaigns": plan_files.CAMPAIGNS,
    "periods": plan_files.PERIODS,
    "draws": plan_files.PLAN_DRAWS,
    "scenarios": plan_files.SCENARIOS,
    "frontier": plan_files.FRONTIER,
}
COLUMNS_OF_A_PLAN = {
    plan_files.CAMPAIGNS: {"channel", "campaign", "reference", "optimized"},
    plan_files.PERIODS: {"channel", "period", "spend"},
    plan_files.PLAN_DRAWS: {"reference", "optimized"},
    plan_files.SCENARIOS: {"plan", "channel", "spend", "response_mean", "response_lo",
                      "response_hi", "gain_mean", "gain_lo", "gain_hi", "roas", "roas_lo",
                      "roas_hi", "probability_better", "extrapolated"},
    plan_files.FRONTIER: {"budget", "response_mean", "response_lo", "response_hi",
                     "shadow_price"},
}  # fmt: skip
SCORES = ("crps", "r2", "mape", "coverage")


def report(
    run: Run,
    out: Annotated[
        Path | None, typer.Option(help="File to write; RUN/report.html by default.")
    ] = None,
    truth: Annotated[
        Path | None, typer.Option(help="JSON file of the true ROAS, for simulated data.")
    ] = None,
    xlsx: Annotated[
        Path | None,
        typer.Option(help="Workbook to write too, a sheet a table (pip install openpyxl)."),
    ] = None,
    onepage: Annotated[
        Path | None,
        typer.Option(help="One page for print to write too: a .pdf, .png or .svg file."),
    ] = None,
) -> int:
    """Write report.html again from the files of a run; samples nothing."""
    if xlsx is not None:  # before anything is computed
        store.file_to_write(xlsx, "tables.xlsx")
        workbook.loaded()
    if onepage is not None:
        choice("--onepage", onepage.suffix.lower(), (".pdf", ".png", ".svg"))
        store.file_to_write(onepage, "onepage.pdf")
    written = rebuild(run, out, truth)
    show.files(written.paths)
    if onepage is not None:
        mm.onepage(written.fit, onepage, plan=written.plan, tables=written.tables)
        show.files([onepage])
    if xlsx is not None:
        replace_file(xlsx, workbook.workbook(written.sheets()))
        show.files([xlsx])
    return code(written.diagnostics)


class Rebuilt(NamedTuple):
    """What was written, and what the draws are worth."""

    paths: list[Path]
    diagnostics: Diagnostics
    tables: dict[str, Any]
    plan: Planned | None
    fit: Fit

    def sheets(self) -> dict[str, pd.DataFrame]:
        """The tables of the run, and those of its plan."""
        found = workbook.sheets_of(self.tables)
        if self.plan is not None:
            more = {
                f"plan_{n}" if n in ("campaigns", "periods", "draws") else n: x
                for n, x in self.plan.more.items()
            }
            found |= {"plan": self.plan.table, **more}
        return {name: _dated(table) for name, table in found.items()}


def _dated(table: pd.DataFrame) -> pd.DataFrame:
    """A table whose dates, which a CSV has as text, are dates."""
    texts = [c for c in ("date", "test_start", "test_end") if c in table]
    return table.assign(**{c: pd.to_datetime(table[c]) for c in texts})


def rebuild(run: Path, out: Path | None = None, truth: Path | None = None) -> Rebuilt:
    """Write the report of a run again.

    Args:
        run: Folder that ``mmmjax fit`` wrote, or a fit file.
        out: File to write; by default report.html beside the fit.
        truth: JSON file with the true ROAS, as ``mmmjax simulate`` writes it.

    Raises:
        InputError: No fit there, a place that cannot be written, or an unreadable truth.
    """
    folder = run if run.is_dir() else run.parent
    target = out or folder / files.REPORT
    store.file_to_write(target, files.REPORT)
    known_truth = None if truth is None else _truth(truth)
    fit, judged = files.load_run(run)
    of_a_run = run.is_dir() or run.name == files.FIT
    tables = _tables(folder, fit) if of_a_run else {}
    plan = planned(folder) if of_a_run else None
    tables["diagnostics"] = judged
    found = gather(fit, truth=known_truth, plan=plan, tables=tables)
    paths = _written(found, folder, tables) if of_a_run else []
    every = {**found.more, "scores": found.scores, "diagnostics": judged}
    every["judged"] = found.judged
    if found.media is not None:
        every["media"] = found.media
        if of_a_run and not _fresh(folder / files.MEDIA, folder):
            paths.append(files.table(folder / files.MEDIA, found.media.to_frame()))
    mm.report(fit, target, truth=known_truth, plan=plan, tables=every)
    own = {"channels": found.channels, "weekly": found.weekly, "forecast": found.forecast}
    own |= {"fitted": found.fitted, "parameters": found.parameters}
    return Rebuilt([*paths, target], judged, every | own, plan, fit)


def _tables(folder: Path, fit: Fit) -> dict[str, Any]:
    """Tables of a run that can be trusted, and its scores."""
    found: dict[str, Any] = {}
    record = _record(folder)
    if record.get("data_hash") == fit.panel.data_hash() and record.get("seed") == fit.seed:
        stems = [name for name in COLUMNS if name not in OF_A_BACKTEST]
        read = {name: read_table(folder / f"{name}.csv", folder) for name in stems}
        found = {name: table for name, table in read.items() if table is not None}
        kept = [f"{n}{end}" for n in SCORES for end in ("", "_train", "_test")]
        found["scores"] = {name: record[name] for name in kept if name in record}
    for name in OF_A_BACKTEST:
        for path in (folder / f"{name}.csv", folder / "backtest" / f"{name}.csv"):
            table = read_table(path)
            if table is not None:
                found[name] = table
    aside = read_table(folder / "conflation" / files.CONFLATION, folder)
    if aside is not None and "conflation" not in found:
        found["conflation"] = aside
    if "forecast" not in found and (folder / files.FORECAST).is_file():
        show.warn(f"{files.FORECAST} is not of this fit: the report has no forecast.")
    return found


def _record(folder: Path) -> dict[str, Any]:
    """Content of diagnostics.json, if it is no older than the fit."""
    path = folder / files.DIAGNOSTICS
    if not _fresh(path, folder):
        return {}
    try:
        return dict(json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return {}


def _fresh(path: Path, folder: Path) -> bool:
    """Whether a file is there and no older than the fit."""
    age = path.stat().st_mtime_ns if path.is_file() else -1
    return age >= (folder / files.FIT).stat().st_mtime_ns


def read_table(path: Path, folder: Path | None = None) -> pd.DataFrame | None:
    """A table with the columns it needs, no older than the fit in ``folder``; or None."""
    if not path.is_file() or (folder is not None and not _fresh(path, folder)):
        return None
    try:
        table = plain(pd.read_csv(path, keep_default_na=False, na_values=[""]))
    except (OSError, ValueError):
        return None
    if missing(path.stem, table):
        return None
    text = [c for c in ("geo", "channel", "component", "window", "index") if c in table]
    return table.assign(**{c: table[c].fillna("").astype(str) for c in text})


def planned(folder: Path) -> Planned | None:
    """The plan of the run, if there is one and it is no older than the fit."""
    for place in (folder / "plan", folder):
        path, facts = place / plan_files.PLAN, place / plan_files.PLAN_JSON
        if not (path.is_file() and facts.is_file()):
            continue
        if not _fresh(path, folder):
            show.warn(f"{path} is older than the fit: the report has no plan.")
            continue
        table = plain(pd.read_csv(path, dtype={"geo": str, "channel": str}))
        told = json.loads(facts.read_text(encoding="utf-8"))
        more = {name: _of_plan(place / file, folder) for name, file in OF_A_PLAN.items()}
        known = {name: x for name, x in more.items() if x is not None}
        return Planned(table.fillna({"upper": float("inf")}), told, more=known)
    return None


def _of_plan(path: Path, folder: Path) -> pd.DataFrame | None:
    """Another table of a plan, if it is there, no older than the fit and readable."""
    if not _fresh(path, folder):
        return None
    try:
        table = plain(pd.read_csv(path))
    except (OSError, ValueError):
        return None
    text = [c for c in ("geo", "channel", "plan") if c in table]
    table = table.assign(**{c: table[c].astype(str) for c in text})
    return table if COLUMNS_OF_A_PLAN[path.name] <= set(table) else None


def _truth(path: Path) -> dict[str, Any]:
    try:
        return dict(json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError) as error:
        got = Phrase(f"{path}, which cannot be read ({error})")
        fail("--truth", got, "", "a JSON file that mmmjax simulate wrote", "check the path")


def _written(found: Evidence, folder: Path, read: dict[str, Any]) -> list[Path]:
    """Write what had to be computed: tables, and the scores."""
    frames = {name: table for name, table in found.more.items() if name not in read}
    try:
        paths = [files.table(folder / f"{n}.csv", frame) for n, frame in frames.items()]
        if "scores" not in read or "adequate" not in _record(folder):
            told = files.record(found.fit, found.diagnostics, found.scores, found.judged)
            paths.append(files.text(folder / files.DIAGNOSTICS, files.as_json(told)))
        return paths
    except OSError as error:
        show.warn(f"computed tables could not be written ({error}).")
        return []
