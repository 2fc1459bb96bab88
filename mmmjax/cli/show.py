"""What the command line says: tables and verdicts, no computation of its own."""

import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from mmmjax import checks, exploration
from mmmjax.budget import Plan
from mmmjax.draws import Diagnostics, Fit
from mmmjax.panel import Panel
from mmmjax.response import sizes_of
from mmmjax.spec import Spec

# a file or a pipe has no width: wide enough that tables need not fold
out = Console(highlight=False, width=None if sys.stdout.isatty() else 100)
err = Console(stderr=True, highlight=False)


def error(message: str) -> None:
    """Say what cannot be used, to standard error."""
    err.print(f"[bold red]Error[/] {escape(message)}", soft_wrap=True)


def warn(message: str) -> None:
    """Say what should not be overlooked, to standard error."""
    err.print(f"[bold yellow]Warning[/] {escape(message)}", soft_wrap=True)


def say(message: str) -> None:
    """Print one plain line."""
    out.print(escape(message), soft_wrap=True)


def money(value: Any) -> str:
    """A sum of money or of outcomes for people; empty where there is none."""
    if not np.isfinite(value):
        return ""
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:,.4g}"


def over_geos(table: pd.DataFrame) -> list[dict[Any, Any]]:
    """Rows of channels.csv of all geos together."""
    return table.loc[table["geo"] == "ALL"].to_dict("records")


def grid(title: str, columns: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Print a table; columns whose names end in a space hold words, others numbers."""
    table = Table(box=None, padding=(0, 1))
    for name in columns:
        justify = "left" if name.endswith(" ") else "right"
        table.add_column(name.strip(), justify=justify, overflow="fold")
    for row in rows:
        table.add_row(*(escape(str(cell)) for cell in row))
    out.print(f"[bold]{escape(title)}[/]", soft_wrap=True)
    out.print(table)


def panel(train: Panel, test: Panel | None) -> None:
    """Say what the data are: the panel, its windows, each channel and control."""
    say(repr(train))
    if test is not None:
        span = f"{checks.show(test.dates[0])} to {checks.show(test.dates[-1])}"
        say(f"  held out: {len(test.dates)} periods, {span}")
    if not train.channels:
        return
    found = exploration.describe(train)
    unit = f" {train.currency}" if train.currency else ""
    media = found[found["kind"] == "media"]
    rows = [
        [
            str(name),
            money(row["spend"]) or "organic",
            f"{row['share']:.1%}" if np.isfinite(row["share"]) else "",
            money(row["total"]),
            f"{row['active']:.0%}",
            f"{row['correlation']:.2f}",
            f"{row['vif']:.1f}",
        ]
        for name, row in media.iterrows()
    ]
    spent = f"{money(media['spend'].sum())}{unit}"
    grid(
        f"Channels (spend in training {spent})",
        ("channel ", "spend", "share", "media", "active", "corr. outcome", "VIF"),
        rows,
    )


def spec(model: Spec, train: Panel) -> int:
    """Say what the model is and what it would estimate; return the number of parameters."""
    sizes = sizes_of(train, model)
    count = n_parameters(model, train)
    for line in repr(model).splitlines()[1:]:
        if line.strip() == "priors":
            break
        say(line)
    rows = []
    for name in model.present(sizes):
        prior = model.priors[name]
        dims = model.dims(name)
        shape = " x ".join(f"{sizes[d]} {d}" for d in dims)
        rows.append([name, shape or "1", repr(prior.with_dims(()))])
    grid(f"Parameters ({count} numbers)", ("parameter ", "values ", "prior "), rows)
    return count


def n_parameters(model: Spec, train: Panel) -> int:
    """Count the scalars that would be sampled."""
    sizes = sizes_of(train, model)
    return sum(
        int(np.prod([sizes[d] for d in s.dims], dtype=int)) for s in model.sites(sizes)
    )


def findings(train: Panel, count: int | None) -> None:
    """Say what the data make hard, before any model."""
    for finding in exploration.warnings(train, n_parameters=count):
        warn(finding.message + ".")


def notes(texts: Iterable[str]) -> None:
    """Say what was done to the data or to the request."""
    for note in texts:
        err.print(f"[bold]Note[/] {escape(note)}", soft_wrap=True)


def verdict(fit: Fit, found: Diagnostics) -> None:
    """Say whether the draws can be used, and what they took."""
    style = "green" if found.converged else "bold red"
    first, *rest = str(found).splitlines()
    out.print(f"[{style}]Draws: {escape(first)}[/]", soft_wrap=True)
    say("\n".join(rest))
    seconds = {k.removesuffix("_s"): v for k, v in fit.info.get("timings", {}).items()}
    say("  seconds       " + ", ".join(f"{k} {v:.1f}" for k, v in seconds.items()))


def not_converged(found: Diagnostics) -> None:
    """Say loudly, and last, that the numbers cannot be trusted."""
    err.print(
        f"[bold red]NOT CONVERGED[/] {escape(found.verdict)}. Everything was written, but "
        "do not trust the numbers: run longer (--warmup, --draws), raise target_accept, or "
        "tighten the priors of what the data do not inform.",
        soft_wrap=True,
    )


def channels(table: pd.DataFrame, currency: str) -> None:
    """Print share and returns of each channel over all geos."""
    rows = [
        [
            row["channel"],
            money(row["spend"]),
            _interval(row, "share", "{:.1f}", 100.0),
            _interval(row, "roas", "{:.2f}"),
            _interval(row, "mroas", "{:.2f}"),
        ]
        for row in over_geos(table)
    ]
    unit = f" {currency}" if currency else ""
    grid(
        "Channels over the training window (mean, 94% interval)",
        (
            "channel ",
            f"spend{unit}",
            "% of outcome",
            "ROAS",
            "marginal ROAS",
        ),
        rows,
    )


def recovered(table: pd.DataFrame, truth: dict[str, Any]) -> None:
    """Print true beside recovered ROAS, and whether the interval holds the truth."""
    true = {r["channel"]: r["roas"] for r in truth["channels"] if r["geo"] == "ALL"}
    rows, inside = [], 0
    for row in over_geos(table):
        value = true[row["channel"]]
        holds = row["roas_lo"] <= value <= row["roas_hi"]
        inside += holds
        rows.append(
            [
                row["channel"],
                f"{value:.2f}",
                f"{row['roas_mean']:.2f}",
                f"{row['roas_lo']:.2f}",
                f"{row['roas_hi']:.2f}",
                "yes" if holds else "NO",
            ]
        )
    grid(
        "ROAS: the truth and what the fit recovered (94% interval)",
        ("channel ", "true", "mean", "lo", "hi", "truth inside"),
        rows,
    )
    say(f"  {inside} of {len(rows)} intervals hold the truth")


def plan(found: Plan) -> None:
    """Print a plan."""
    say(repr(found))


def files(paths: Sequence[Path]) -> None:
    """Say where the files are, a line a folder."""
    for folder in dict.fromkeys(p.parent for p in paths):
        names = ", ".join(p.name for p in paths if p.parent == folder)
        say(f"Wrote {folder}/: {names}")


def _interval(row: dict[str, Any], name: str, form: str, times: float = 1.0) -> str:
    mean, lo, hi = (times * row[f"{name}_{end}"] for end in ("mean", "lo", "hi"))
    if not np.isfinite(mean):
        return ""
    return f"{form.format(mean)} [{form.format(lo)}, {form.format(hi)}]"
