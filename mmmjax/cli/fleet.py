"""``mmmjax fleet``: many markets from one file, a folder that a killed run goes on with."""

from pathlib import Path
from typing import Annotated

import pandas as pd
import typer

from mmmjax.cli import files, fleet_case, show
from mmmjax.fleet import Fleet, fit_fleet, open_fleet
from mmmjax.fleet.engine import NOT_CONVERGED, REFUSED, USABLE, Done
from mmmjax.fleet.store import Folder

__all__ = ["fleet"]

NOT_USABLE = 2
SHOWN = 5  # markets whose reasons are printed
FILES = "manifest.json, fleet.csv, channels.csv, markets/"

FleetFile = Annotated[
    Path, typer.Argument(help="Fleet file (TOML): docs/files.md.", metavar="FLEET")
]
Place = Annotated[
    str,
    typer.Option(
        help="Folder to write to, or a URL such as s3://bucket/runs/x; created. The same "
        "command goes on with a run that was stopped."
    ),
]
FleetSeed = Annotated[
    int | None, typer.Option(help="Seed, instead of the file's; each market has its own.")
]
Batch = Annotated[
    int | None, typer.Option(help="Markets sampled together; it bounds memory.")
]
NoRefit = Annotated[
    bool,
    typer.Option(
        "--no-refit", help="Do not fit again, alone by NUTS, what does not converge."
    ),
]


def fleet(
    case: FleetFile,
    out: Place = "fleet-run",
    seed: FleetSeed = None,
    batch: Batch = None,
    no_refit: NoRefit = False,
) -> int:
    """Fit many markets of one long table or of a list of files, each with a verdict.

    No market stops another: one whose data cannot be fitted is refused, with the reason.
    Ends with 0 if every market is usable, 2 if some are not (all is written).
    """
    if "://" not in out:
        files.folder(Path(out))
    given = {"seed": seed, "batch": batch, "refit": False if no_refit else None}
    asked = fleet_case.read(case, given)
    fit_fleet(asked.specs, asked.panels, asked.sampler, store=out, **asked.settings)
    folder = Folder.at(out)
    for name, reason in asked.unread.items():
        folder.write(Done(name, REFUSED, reason))
    folder.write_tables(asked.order)
    found = open_fleet(out)
    bad = _summary(found, out)
    if bad.empty:
        return 0
    _loudly(bad, len(found.table))
    return NOT_USABLE


def _summary(found: Fleet, out: str) -> pd.DataFrame:
    """Say how the markets ended; those that cannot be used."""
    table = found.table
    counts = table["status"].value_counts()
    rows = [(str(status), f"{count:,}") for status, count in counts.items()]
    show.grid(f"Fleet of {len(table):,} markets", ("status ", "markets"), rows)
    known = table.dropna(subset=["r_hat", "min_ess"]).reset_index(drop=True)
    if len(known):
        names = known["market"]
        worst, least = int(known["r_hat"].argmax()), int(known["min_ess"].argmin())
        r_hat, ess = known["r_hat"].iloc[worst], known["min_ess"].iloc[least]
        show.say(
            f"  largest R-hat {r_hat:.4g} ({names.iloc[worst]}), least ESS {ess:,.0f} "
            f"({names.iloc[least]})"
        )
    show.say(f"Wrote {out.rstrip('/')}/: {FILES}")
    show.say(
        f'Next: fleet = mm.open_fleet("{out}"); fleet.table, fleet.channels, '
        "mm.optimize(fleet.usable, periods=26)"
    )
    return table.loc[~table["status"].isin(USABLE)]


def _loudly(bad: pd.DataFrame, total: int) -> None:
    """Say last, to standard error, what cannot be used and why."""
    lines = [
        f"{row['market']}: {row['status']}: {row['reason']}"
        for row in bad.head(SHOWN).to_dict("records")
    ]
    more = f"\n  and {len(bad) - SHOWN} more: see fleet.csv" if len(bad) > SHOWN else ""
    longer = ""
    if NOT_CONVERGED in set(bad["status"]):
        longer = (
            "\n  For what did not converge: raise max_draws in [sampler], or tighten the "
            "priors of what its data do not inform; into another folder."
        )
    show.warn(
        f"{len(bad)} of {total} markets cannot be used. Everything was written:\n  "
        + "\n  ".join(lines)
        + more
        + longer
    )
