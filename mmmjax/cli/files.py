"""The files of a run, each written whole or not at all; docs/files.md lists their columns.

``fit.nc`` comes first, so that nothing computed is lost by what follows. Files of an
earlier run in the same folder are removed once it is saved: a folder never mixes two fits.
"""

import contextlib
import json
import math
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd

import mmmjax as mm
from mmmjax import reporting, resources, store, tables
from mmmjax.adequacy import Judged
from mmmjax.checks import Phrase, fail
from mmmjax.cli import show
from mmmjax.draws import Diagnostics, Fit, diagnostics
from mmmjax.fleet.places import MARKETS
from mmmjax.panel import Panel
from mmmjax.posterior import thinned

__all__ = ["FIT", "REPORT", "folder", "load_run", "write_fit", "write_report"]

FIT, SPEC, DIAGNOSTICS, REPORT = "fit.nc", "spec.toml", "diagnostics.json", "report.html"
FORECAST = "forecast.csv"
MEDIA = "media.csv"
DRIFT, CONFLATION = "drift.csv", "conflation.csv"
OF_TWO = (DRIFT, CONFLATION)  # of this fit and others
OF_A_FIT = (SPEC, *(f"{n}.csv" for n in tables.NAMES), DIAGNOSTICS, REPORT, MEDIA, *OF_TWO)


def folder(path: Path) -> Path:
    """Refuse an output folder that cannot be one, before anything is computed."""
    resources.usable_path("--out", path)
    for place in (path.absolute(), *path.absolute().parents):
        if place.exists() and not place.is_dir():
            fail(
                "--out", Phrase(f"the file {place}"), "", "a folder", "name another folder"
            )
        if place.is_dir():
            if not os.access(place, os.W_OK):
                got = Phrase(f"{path}, where you may not write")
                fail("--out", got, "", "a folder of yours", "name another folder")
            break
    return path


class Written(NamedTuple):
    """A fit whose files are written, and what the command line says about it."""

    fit: Fit
    paths: list[Path]
    diagnostics: Diagnostics
    tables: dict[str, Any]  # what the report need not compute again

    @property
    def channels(self) -> pd.DataFrame:
        """The table of channels.csv."""
        return self.tables["channels"]


def write_fit(fit: Fit, out: Path, test: Panel | None = None) -> Written:
    """Write a fit and its tables; the report is apart."""
    out.mkdir(parents=True, exist_ok=True)
    try:
        store.save(fit, out / FIT)
    except resources.Unwritten as error:  # another disk may have room for what was sampled
        why = error.strerror
        with contextlib.suppress(OSError):
            spare = store.save(fit, Path(tempfile.mkdtemp(prefix="mmmjax-")) / FIT)
            why = f"{why}. The fit itself is whole in {spare}: make room and move it there"
        raise resources.Unwritten(error.errno, why, error.filename) from error
    paths = [out / FIT]
    for old in (out / name for name in OF_A_FIT):
        if old.is_file():
            old.unlink()
    found = tables.every(fit, test)
    frames = {name: found[name] for name in tables.NAMES if name in found}
    paths.append(text(out / SPEC, fit.spec.to_toml()))
    paths += [table(out / f"{name}.csv", frame) for name, frame in frames.items()]
    verdict, scores = found["diagnostics"], found["scores"]
    told = as_json(record(fit, verdict, scores, found["judged"]))
    paths.append(text(out / DIAGNOSTICS, told))
    return Written(fit, paths, verdict, found)


def write_report(
    fit: Fit, out: Path, tables: Mapping[str, Any], **about: Any
) -> list[Path]:
    """Write report.html, and media.csv: what it says of all channels together."""
    joint = reporting.media_of(fit)
    written = [] if joint is None else [table(out / MEDIA, joint.to_frame())]
    mm.report(fit, out / REPORT, tables={**tables, "media": joint}, **about)
    return [*written, out / REPORT]


def load_run(run: Path) -> tuple[Fit, Diagnostics]:
    """Load the fit of a run folder (or a fit file itself) and judge it."""
    path = run / FIT if run.is_dir() else run
    if not path.exists():
        of_fleet = sorted((run / MARKETS).glob("*.nc"))
        if of_fleet:
            got = Phrase(f"the folder of a fleet, {run}")
            fail("run", got, "", "one fit", f"name that of a market: {of_fleet[0]}")
        fail("run", str(run), "", f"a folder with {FIT}", "mmmjax fit case.toml --out run/")
    fit = store.load(path)
    if store.NO_DIGEST in fit.info.get("notes", []):
        show.notes([f"{path}: {store.NO_DIGEST}."])
    return fit, diagnostics(fit)


def record(
    fit: Fit, found: Diagnostics, scores: Mapping[str, float], judged: Judged
) -> dict[str, Any]:
    """Content of diagnostics.json."""
    info, draws = fit.info, thinned(fit).draws
    return {
        **judged.to_dict(),
        **found.to_dict(),
        **scores,
        "draws_used": draws.n_chains * draws.n_draws,
        "timings": {k.removesuffix("_s"): v for k, v in info.get("timings", {}).items()},
        "gradients": info.get("gradients"),
        "versions": info.get("versions"),
        "device": info.get("device"),
        "platform": info.get("platform"),
        "notes": info.get("notes", []),
        "seed": fit.seed,
        "data_hash": fit.panel.data_hash(),
        "currency": fit.panel.currency,
        "outcome": fit.panel.outcome_name,
        "outcome_value": fit.panel.outcome_value,
    }


def as_json(content: Any) -> str:
    """JSON in which what is not known (NaN, infinity) is null."""

    def known(value: Any) -> Any:
        if isinstance(value, dict):
            return {k: known(v) for k, v in value.items()}
        if isinstance(value, list | tuple):
            return [known(v) for v in value]
        return None if isinstance(value, float) and not math.isfinite(value) else value

    return json.dumps(known(content), indent=2, ensure_ascii=False) + "\n"


def text(path: Path, content: str) -> Path:
    """Write a text file in one step."""
    resources.replace_file(path.resolve(), content.encode())
    return path


def table(path: Path, frame: pd.DataFrame) -> Path:
    """Write a CSV file in one step; see :func:`mmmjax.resources.csv`."""
    return text(path, resources.csv(frame))


def copy(source: Path, out: Path) -> Path:
    """Copy a file into a folder."""
    out.mkdir(parents=True, exist_ok=True)
    resources.replace_file(out.resolve() / source.name, source.read_bytes())
    return out / source.name
