"""``mmmjax backtest``: how a case would have forecast before; a table and three files."""

from pathlib import Path
from typing import Annotated, Any, cast

import typer

from mmmjax.backtesting import Backtest
from mmmjax.backtesting import backtest as cross_validate
from mmmjax.checks import choice
from mmmjax.cli import case as cases
from mmmjax.cli import files, show
from mmmjax.cli.codes import INTERRUPTED, NOT_CONVERGED
from mmmjax.cli.options import (
    X64,
    CaseFile,
    Chains,
    Kept,
    Kind,
    Out,
    Seed,
    Strict,
    Warmup,
)

__all__ = ["backtest", "write"]


def backtest(
    case: CaseFile,
    out: Out = Path("run/backtest"),
    folds: Annotated[int, typer.Option(help="Cuts to fit and forecast at.")] = 5,
    horizon: Annotated[
        int | None,
        typer.Option(help="Periods forecast at each.", show_default="a quarter of a year"),
    ] = None,
    step: Annotated[
        int | None,
        typer.Option(help="Periods between cuts.", show_default="the horizon"),
    ] = None,
    window: Annotated[
        str, typer.Option(help="Training windows: expanding, rolling.")
    ] = "expanding",
    least: Annotated[
        int | None,
        typer.Option(help="Fewest training periods; the length of rolling windows."),
    ] = None,
    no_baselines: Annotated[
        bool,
        typer.Option("--no-baselines", help="Only the model: no media-free, no naive one."),
    ] = False,
    sampler: Kind = None,
    chains: Chains = None,
    warmup: Warmup = None,
    draws: Kept = None,
    seed: Seed = None,
    x64: X64 = False,
    strict: Strict = False,
) -> int:
    """Fit at several past dates and score each forecast on what came after.

    All periods of the case are used, those after train_until too. With --strict it ends
    with 2 also where the model forecasts no better than itself without media.
    """
    files.folder(out)
    given = {"chains": chains, "warmup": warmup, "draws": draws, "seed": seed}
    asked = cases.read(case, given | {"kind": sampler, "dtype": "float64" if x64 else None})
    options: dict[str, Any] = {"folds": folds, "horizon": horizon, "step": step}
    found = cross_validate(
        asked.spec,
        asked.panel,
        asked.sampler,
        window=cast(Any, choice("--window", window, ("expanding", "rolling"))),
        least=least,
        baselines=not no_baselines,
        seed=asked.seed,
        on_empty=asked.on_empty,
        **options,
    )
    show.notes(found.notes)
    show.say(repr(found))
    show.files(write(found, out))
    return _code(found, strict)


def write(found: Backtest, out: Path) -> list[Path]:
    """Write backtest.csv, backtest_parameters.csv and backtest_forecast.csv."""
    out.mkdir(parents=True, exist_ok=True)
    frames = found.to_frames()
    return [files.table(out / f"{name}.csv", frame) for name, frame in frames.items()]


def _code(found: Backtest, strict: bool) -> int:
    if found.interrupted:
        return INTERRUPTED
    code = 0
    if not found.converged:
        show.warn(
            "some folds cannot be used (above). Everything was written; for chains that "
            "did not converge, raise max_draws or warmup in [sampler]."
        )
        code = NOT_CONVERGED
    if worse := found.headline:
        show.warn(worse)
        code = NOT_CONVERGED if strict else code
    return code
