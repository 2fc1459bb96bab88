"""``mmmjax fleet``: many markets from one file, a folder that a killed run goes on with."""

import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import pandas as pd
import typer

from mmmjax import checks, reporting
from mmmjax.cli import files, fleet_case, show
from mmmjax.cli.codes import BAD_INPUT, NOT_CONVERGED
from mmmjax.cli.files import DRIFT
from mmmjax.exploration import copies_across
from mmmjax.fleet import Fleet, engine, fit_fleet, open_fleet, refresh_fleet
from mmmjax.fleet.attention import contradicted
from mmmjax.fleet.engine import REFUSED, USABLE, Done, ready
from mmmjax.fleet.places import place
from mmmjax.fleet.store import Folder
from mmmjax.panel import Panel
from mmmjax.refreshing import FleetDrift, drift
from mmmjax.resources import csv
from mmmjax.words import period_noun

__all__ = ["finished", "fleet", "refreshed"]

MARKETS = 40  # that --check lists
SHOWN = 5  # markets whose reasons are printed
REPORT = "fleet.html"
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
Cluster = Annotated[
    str | None,
    typer.Option(
        help='Fit on a Ray cluster: its address, or "auto" (docs/fleets.md). --out must be '
        "seen by all its machines."
    ),
]
OfAFleet = Annotated[
    bool,
    typer.Option("--strict", help="End with 2 unless all markets are usable and adequate."),
]
OnlyCheck = Annotated[
    bool,
    typer.Option(
        "--check", help="Say what would be fitted and what is wrong; sample nothing."
    ),
]
WithoutReport = Annotated[bool, typer.Option("--no-report", help="Leave out fleet.html.")]


def fleet(
    case: FleetFile,
    out: Place = "fleet-run",
    seed: FleetSeed = None,
    batch: Batch = None,
    no_refit: NoRefit = False,
    cluster: Cluster = None,
    no_report: WithoutReport = False,
    strict: OfAFleet = False,
    check: OnlyCheck = False,
) -> int:
    """Fit many markets of one long table or of a list of files, each with a verdict.

    No market stops another: one whose data cannot be fitted is refused, with the reason.
    Ends with 0 if some market is usable, and says how many are not; with 2 if none is, or
    with --strict if not all are usable and adequate.
    """
    if "://" not in out and not check:
        files.folder(Path(out))
    given = {"seed": seed, "batch": batch, "refit": False if no_refit else None}
    asked = fleet_case.read(case, given)
    if check:
        return _checked(case, asked)
    fit_fleet(
        asked.specs, asked.panels, asked.sampler, store=out, cluster=cluster, progress=True,
        **asked.settings,
    )  # fmt: skip
    return finished(asked, out, no_report, strict)


def refreshed(
    old: Path, case: Path, out: Path, no_report: bool, given: Any, causes: bool, **how: Any
) -> int:
    """Bring the fleet of a folder up to date with the tables of a fleet file.

    Args:
        old: Its folder.
        case: The file; its [model] and on_empty are no matter.
        out: Another folder.
        no_report: Leave out fleet.html.
        given: Settings instead of the file's.
        causes: Fit what is between, to say what moved it.
        how: discount and channels, of :func:`mmmjax.refresh_fleet`.
    """
    asked, before = fleet_case.read(case, given), open_fleet(old)
    settings = {k: v for k, v in asked.settings.items() if k != "on_empty"}
    refresh_fleet(
        before, asked.panels, asked.sampler, store=out, progress=True, **settings, **how
    )
    return finished(asked, str(out), no_report, since=before, causes=causes)


def finished(
    asked: fleet_case.FleetCase,
    out: str,
    no_report: bool,
    strict: bool = False,
    since: Fleet | None = None,
    causes: bool = False,
) -> int:
    """Write the tables and the report of a fleet whose markets have ended; say it."""
    folder = Folder.at(out)
    for name, reason in asked.unread.items():
        folder.write(Done(name, REFUSED, reason))
    folder.write_tables(asked.order)
    found = open_fleet(out)
    moved = drift(since, found, causes=causes) if since is not None and len(found) else None
    if moved is not None:
        place(out).write(DRIFT, csv(moved.table).encode())
    shown = not no_report and _report(found, asked.panels, out, moved)
    also = [name for name, yes in ((DRIFT, moved), (REPORT, shown)) if yes]
    written = ", ".join([FILES, *also])
    if moved is not None:
        show.say(str(moved))
    bad = _summary(found, out, written)
    if len(bad):
        _loudly(bad, len(found.table))
    rows = found.table[["market", "data"]].fillna("").to_numpy().tolist()
    if doubtful := [name for name, data in rows if data]:
        names = checks.listing(doubtful, 3)
        show.warn(
            f"the data of {len(doubtful)} markets are doubtful (zeros or falling periods "
            f"at their ends, or the sum or a copy of other markets): {names}. fleet.csv "
            "says in `data` what and what to do."
        )
    wrong = int(contradicted(found.table).sum())
    if wrong:
        show.warn(
            f"{wrong} of {len(found.table) - len(bad)} usable markets are not adequate: "
            "their data contradict the model. fleet.csv says why in `finding`; "
            "mm.fleet_ranking(fleet.table) puts them in order."
        )
    none = len(bad) == len(found.table)
    return NOT_CONVERGED if none or (strict and len(bad) + wrong) else 0


def _checked(case: Path, asked: fleet_case.FleetCase) -> int:
    """Say what each market's data are, and what is wrong or doubtful."""
    on_empty, seed = asked.settings.get("on_empty", "drop"), asked.settings.get("seed", 0)
    rows, said = [], [f"{name}: refused: {why}" for name, why in asked.unread.items()]
    for name, panel in asked.panels.items():
        found = ready(name, asked.specs[name], panel, seed, on_empty)
        periods = f"{panel.n_periods} {period_noun(panel.freq)}s"
        size = (periods, str(len(panel.channels)), str(len(panel.control_names)))
        rows.append((name, *size, found.status if isinstance(found, Done) else "ready"))
        told = found.reason if isinstance(found, Done) else found.doubt or found.without
        said += [f"{name}: {told}"] if told else []
    said += [f.message for f in copies_across(asked.panels)]
    rows += [(name, "", "", "", REFUSED) for name in asked.unread]
    heads = ("market ", "training", "channels", "controls", "")
    show.grid(f"Fleet of {len(rows):,} markets", heads, rows[:MARKETS])
    if len(rows) > MARKETS:
        show.say(f"  and {len(rows) - MARKETS:,} more")
    for line in said:
        show.entry("", f"- {line}", 0)
    usable = sum(row[-1] == "ready" for row in rows)
    show.say(f"Ready ({usable:,} of {len(rows):,} markets): mmmjax fleet {case} --out RUN")
    return 0 if usable else BAD_INPUT


def _report(
    found: Fleet, panels: Mapping[str, Panel], out: str, moved: FleetDrift | None
) -> bool:
    """Write fleet.html if any market has a fit; whether it did."""
    channels = found.channels
    if channels.empty:
        return False
    known = {name: panel.outcome[panel.mask] for name, panel in panels.items()}
    size = {name: float(outcome.mean()) for name, outcome in known.items() if outcome.size}
    one, money = next(iter(panels.values())), {p.currency for p in panels.values()}
    with tempfile.TemporaryDirectory() as folder:
        page = reporting.fleet_report(
            found.table, channels, Path(folder) / REPORT, outcome=one.outcome_name,
            currency=one.currency if len(money) == 1 else "", size=size,
            drift=None if moved is None else moved.table,
        )  # fmt: skip
        place(out).write(REPORT, page.read_bytes())
    return True


def _summary(found: Fleet, out: str, written: str) -> pd.DataFrame:
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
    show.say(f"Wrote {out.rstrip('/')}/: {written}")
    show.say(
        f'Next: fleet = mm.open_fleet("{out}"); mm.fleet_ranking(fleet.table), '
        "mm.fleet_returns(fleet.channels), mm.optimize(fleet.usable, periods=26)"
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
    if engine.NOT_CONVERGED in set(bad["status"]):
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
