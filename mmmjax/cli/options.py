"""Arguments and options that several commands take."""

from pathlib import Path
from typing import Annotated

import typer

from mmmjax.samplers import SAMPLERS

__all__ = [
    "X64", "CaseFile", "Chains", "Kept", "Kind", "NoReport", "Out", "Run", "Seed",
    "Strict", "Warmup",
]  # fmt: skip

CaseFile = Annotated[Path, typer.Argument(help="Case file (TOML).", metavar="CASE")]
Run = Annotated[Path, typer.Argument(help="Folder that `fit` wrote.", metavar="RUN")]
Out = Annotated[Path, typer.Option(help="Folder to write to; it is created.")]
NoReport = Annotated[bool, typer.Option("--no-report", help="Leave out report.html.")]
Kind = Annotated[
    str | None,
    typer.Option(
        "--sampler",
        help=f"{', '.join(SAMPLERS)}; with its own settings, not the case's.",
    ),
]
Chains = Annotated[int | None, typer.Option(help="Chains, instead of the case's.")]
Warmup = Annotated[int | None, typer.Option(help="Warm-up iterations a chain.")]
Kept = Annotated[
    int | None,
    typer.Option(
        "--draws",
        help="Kept draws a chain; nuts and hmc go on, up to four times as many, where they "
        "are not enough.",
    ),
]
Seed = Annotated[int | None, typer.Option(help="Seed; the same seed, the same draws.")]
X64 = Annotated[bool, typer.Option("--x64", help="Sample in float64.")]
Strict = Annotated[
    bool,
    typer.Option(
        "--strict",
        help="End with 2 also where it forecasts no better than without media.",
    ),
]
