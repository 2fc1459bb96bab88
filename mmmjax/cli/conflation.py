"""``mmmjax conflation``: drift or saturation, and the weeks that would tell."""

from pathlib import Path
from typing import Annotated

import numpy as np
import pandas as pd
import typer

from mmmjax.cli import files, show
from mmmjax.cli.codes import code
from mmmjax.cli.options import Run, Seed
from mmmjax.cli.plan import Texts
from mmmjax.cli.report import read_table
from mmmjax.conflating import conflation as conflated
from mmmjax.separating import separate

__all__ = ["conflation"]


def conflation(
    run: Run,
    channel: Annotated[Texts, typer.Option(help="Channel; again for more; or all.")] = None,
    separating: Annotated[
        int | None,
        typer.Option(
            "--separate", help="Plan so many coming periods that tell the two apart best."
        ),
    ] = None,
    seed: Seed = None,
    out: Annotated[
        Path | None,
        typer.Option(
            help="Folder for conflation.csv and plans; RUN/conflation by default, where "
            "the report finds them; of a fit file nothing is written without it."
        ),
    ] = None,
) -> int:
    """Say whether drift or saturation explains each channel, or that data cannot tell.

    Fits each channel both ways.
    """
    if out is None and run.is_dir():
        out = run / "conflation"
    if out is not None:
        files.folder(out)
    fit, found = files.load_run(run)
    report = conflated(fit, channels=channel or None, seed=seed or 0)
    show.say(str(report))
    tables = {files.CONFLATION: report.table}
    paid = [name for name in fit.panel.channels if name not in fit.panel.organic]
    for i, name in enumerate(paid if separating is not None else ()):
        if name in report.fits:
            plan = separate(report, name, periods=separating or 0, seed=seed or 0)
            show.say(f"\n{plan}")
            tables[f"separate_{i + 1}.csv"] = plan.table.assign(channel=name)
    if out is not None:
        here = out.resolve() == (run / "conflation").resolve()  # another may be of any fit
        known = read_table(out / files.CONFLATION, run) if here else None
        if known is not None:  # what was found of other channels stays
            both = pd.concat([known, report.table]).drop_duplicates("channel", keep="last")
            place = [fit.panel.channels.index(name) for name in both["channel"]]
            tables[files.CONFLATION] = both.iloc[np.argsort(place)]
        out.mkdir(parents=True, exist_ok=True)
        show.files([files.table(out / name, table) for name, table in tables.items()])
    return code(found)
