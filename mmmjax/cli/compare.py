"""``mmmjax compare``: two runs side by side, and what differs between them moved."""

from pathlib import Path
from typing import Annotated, Any

import typer
import xarray as xr

from mmmjax import words
from mmmjax.cli import files, show
from mmmjax.cli.report import planned
from mmmjax.comparing import Spending
from mmmjax.comparing import compare as compared
from mmmjax.shapes import CHANNEL, GEO

__all__ = ["compare"]

TITLES = {
    "differ": "What is not the same",
    "scores": "Scores of training",
    "returns": "Returns of training",
    "curves": "Outcome a period at a constant spend",
    "parameters": "Parameters (scaled units)",
    "plans": "Plans",
    "gains": "What plan b brings beyond plan a",
}
MOST = 40  # rows printed; files have all

RunA = Annotated[Path, typer.Argument(help="Folder that `fit` wrote.", metavar="RUN1")]
RunB = Annotated[Path, typer.Argument(help="Another one.", metavar="RUN2")]
Folder = Annotated[
    Path | None, typer.Option(help="Folder for compare_*.csv and compare.json; or nothing.")
]


def compare(run1: RunA, run2: RunB, out: Folder = None) -> int:
    """Set two runs (and their plans) side by side; say what moved beyond chance.

    Compared is what both have; what only one has is named. Nothing is sampled.
    """
    if out is not None:
        files.folder(out)
    a, b = (files.load_run(run)[0] for run in (run1, run2))
    plans = [_spending(run) for run in (run1, run2)]
    names = [run.name or str(run.resolve().name) for run in (run1, run2)]
    names = names if names[0] != names[1] else [str(run1), str(run2)]
    names = names if names[0] != names[1] else ["a", "b"]
    found = compared(a, b, plans=None if None in plans else plans, names=names)
    show.say(f"a: {run1}; b: {run2}")
    tables = found.to_frames()
    for name, table in tables.items():
        heads, rows = words.columns(table)
        show.grid(TITLES[name], heads, rows[:MOST])
        if len(rows) > MOST:
            show.say(f"  the first {MOST} of {len(rows)} rows; --out writes all")
    show.findings_of(found.findings())
    if out is not None:
        out.mkdir(parents=True, exist_ok=True)
        told = {"a": str(run1), "b": str(run2), "window": found.window}
        told["findings"] = [one.to_dict() for one in found.findings()]
        paths = [
            files.table(out / f"compare_{n}.csv", table) for n, table in tables.items()
        ]
        show.files([*paths, files.text(out / "compare.json", files.as_json(told))])
    return 0


def _spending(run: Path) -> Spending | None:
    """What the plan of a run spends, if it has one no older than its fit."""
    found = planned(run) if run.is_dir() else None
    if found is None:
        return None
    money: Any = found.table.set_index([GEO, CHANNEL])["optimized"]
    order = [money.index.unique(dim) for dim in (GEO, CHANNEL)]
    wide: Any = money.unstack(CHANNEL).reindex(order[0])[order[1]]
    told = found.facts
    return Spending(
        xr.DataArray(wide.to_numpy(float), dict(zip((GEO, CHANNEL), order, strict=True))),
        told["periods"],
        told["per_period"],
        told["carry_in"],
        told["flighting"] == "even",
    )
