"""Open the folder of a fleet: a finished run, or one that goes on or was stopped."""

import math
import os

from mmmjax.arguments import checked
from mmmjax.checks import Phrase, fail
from mmmjax.fleet.result import Fleet
from mmmjax.fleet.store import Folder, read_manifest, table_of

__all__ = ["PENDING", "open_fleet"]

PENDING = "pending"


@checked
def open_fleet(path: str | os.PathLike[str]) -> Fleet:
    """Read the folder that ``mm.fit_fleet(..., store=path)`` or ``mmmjax fleet`` wrote.

    Fits are loaded when they are asked for. Markets of a run that is not finished have the
    status "pending".

    Args:
        path: The folder, a local path or a URL that fsspec opens.

    Returns:
        The fleet: ``fleet.table``, ``fleet.channels``, ``fleet[name]`` and
        ``fleet.to_tree()``.

    Raises:
        InputError: No fleet there.
    """
    manifest = read_manifest(path)
    if manifest is None:
        fix = 'mm.fit_fleet(spec, panels, store="runs/x"), or name the folder of a run'
        fail("path", Phrase(f'"{os.fspath(path)}"'), "", "a folder with manifest.json", fix)
    folder = Folder.at(path)
    rows = folder.rows()
    order = [*manifest["markets"], *sorted(rows.keys() - manifest["markets"].keys())]
    numbers = ("r_hat", "min_ess", "seconds", "crps", "coverage", "adequate")
    unknown = dict.fromkeys(numbers, math.nan) | {"sampled": False, "finding": ""}
    for name in order:
        if name not in rows:
            reason = "the run has not come to it"
            row = {"market": name, "status": PENDING, "reason": reason, "divergences": 0}
            rows[name] = row | unknown
    return Fleet(table_of(rows, order), (), folder)
