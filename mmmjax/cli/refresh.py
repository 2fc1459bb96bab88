"""``mmmjax refresh`` and ``transfer``: what a run knows, later and in another market."""

from pathlib import Path
from typing import Annotated

import tomli_w
import typer

from mmmjax.checks import fail
from mmmjax.cli import case as cases
from mmmjax.cli import files, fleet, show
from mmmjax.cli.codes import code
from mmmjax.cli.fitting import reported
from mmmjax.cli.options import CaseFile, NoReport, Out, Run, Seed
from mmmjax.fleet.store import read_manifest
from mmmjax.inherited import transfer as transferred
from mmmjax.prepare import prepare
from mmmjax.refreshing import drift
from mmmjax.refreshing import refresh as refreshed
from mmmjax.resources import only_run

__all__ = ["refresh", "transfer"]


def refresh(
    run: Run,
    case: CaseFile,
    out: Out = Path("refreshed"),
    discount: Annotated[
        float, typer.Option(help="How much older outcomes count, above 0 to 1.")
    ] = 1.0,
    causes: Annotated[
        bool, typer.Option("--causes", help="Fit what is between, to say what moved it.")
    ] = False,
    like: Annotated[
        list[str] | None,
        typer.Option(
            "--map",
            help='A new channel and the one it is like, "TikTok=Facebook" or '
            '"TikTok=pooled"; one that is gone, "Radio=ended". Again for another one.',
        ),
    ] = None,
    seed: Seed = None,
    no_report: NoReport = False,
) -> int:
    r"""Bring a run up to date with the rows of a case that came after it.

    The table is read as \[data] of CASE says; model, units and sampler are those of RUN.
    RUN may be the folder of a fleet: CASE is a fleet file then, which gives the sampler.
    """
    files.folder(out)
    if read_manifest(run) is not None:
        how = {"discount": discount, "channels": _mapped(like)}
        return fleet.refreshed(run, case, out, no_report, {"seed": seed}, causes, **how)
    fit, _ = files.load_run(run)
    asked = cases.read(case, {"seed": seed})
    if prepare(asked.spec, fit.panel, asked.on_empty).spec != fit.spec:
        show.warn(f"[model] of {case} is not that of {run}, which is kept: see spec.toml.")
    with only_run("--out", out):
        new = refreshed(
            fit, asked.train, discount=discount, channels=_mapped(like), seed=asked.seed
        )
        show.notes(new.info["notes"], logged=True)
        written = files.write_fit(new, out, asked.test)
    show.verdict(new, written.diagnostics, written.tables["judged"])
    moved = drift(fit, new, causes=causes, seed=asked.seed)
    show.say(str(moved))
    paths = [*written.paths, files.table(out / files.DRIFT, moved.table)]
    about = {"test": asked.test, "tables": {**written.tables, "drift": moved.table}}
    show.files([*paths, *reported(new, out, no_report, **about)])
    return code(written.diagnostics, written.tables["judged"])


def transfer(
    run: Run,
    case: CaseFile,
    discount: Annotated[
        float, typer.Option(help="How much of RUN counts, above 0 to 1.")
    ] = 0.25,
    like: Annotated[
        list[str] | None,
        typer.Option(
            "--map",
            help='A channel of CASE and the one of RUN that it is, "Meta=Facebook" or '
            '"Meta=pooled"; those of one name need none. Again for another one.',
        ),
    ] = None,
) -> int:
    r"""Print what RUN knows of returns, as [\[facts]] of the case of another market.

    Append them to CASE: check, fit, backtest and fleet read them.
    """
    fit, _ = files.load_run(run)
    train = cases.read(case).train
    found = transferred(fit, train, discount=discount, channels=_mapped(like))
    new = [fact.to_dict() for fact in found.facts if fact not in train.facts]
    typer.echo(tomli_w.dumps({cases.FACTS: new}), nl=False)
    return 0


def _mapped(like: list[str] | None) -> dict[str, str]:
    """Channels and what each is like, of --map."""
    channels = dict[str, str]()
    for one in like or ():
        name, sign, of = (part.strip() for part in one.partition("="))
        if not (name and sign and of):
            fix = '--map "TikTok=Facebook", --map "TikTok=pooled" or --map "Radio=ended"'
            fail("--map", one, "", "a channel, = and what it is like", fix)
        channels[name] = of
    return channels
