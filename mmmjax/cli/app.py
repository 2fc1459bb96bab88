"""The commands, in the order of :data:`COMMANDS`.

Each is loaded when it is asked for: a fit does not wait for the optimizer to be imported.
Exit codes are those of :mod:`mmmjax.cli.codes`. Unexpected errors keep their traceback.
"""

import importlib
import io
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import jax
import typer
from typer.core import TyperGroup

from mmmjax import __version__
from mmmjax.checks import InputError, Phrase, choice, closest, fail, listing
from mmmjax.checks import show as show_value
from mmmjax.cli import show
from mmmjax.cli.codes import BAD_INPUT, INTERRUPTED
from mmmjax.cli.log import FORMS, listen
from mmmjax.infer.progress import Display
from mmmjax.resources import Unwritten

__all__ = ["app", "main", "run"]

UsageError: Any = typer.BadParameter.__base__  # of typer's own copy of click
SETTINGS: dict[str, Any] = {
    "add_completion": False,
    "pretty_exceptions_enable": False,
    "context_settings": {"help_option_names": ["-h", "--help"]},
}
OF_DEVICES = ("JAX_PLATFORMS", "JAX_PLATFORM_NAME", "JAX_NUM_CPU_DEVICES")
COMMANDS = {  # in the order of the help: name, and the module and function behind it
    "demo": ("demo", "demo"),
    "simulate": ("demo", "simulate"),
    "check": ("fitting", "check"),
    "fit": ("fitting", "fit"),
    "predict": ("fitting", "predict"),
    "refresh": ("refresh", "refresh"),
    "transfer": ("refresh", "transfer"),
    "fleet": ("fleet", "fleet"),
    "optimize": ("plan", "plan"),
    "planner": ("planner", "planner"),
    "whatif": ("whatif", "whatif"),
    "design": ("design", "design"),
    "conflation": ("conflation", "conflation"),
    "backtest": ("backtest", "backtest"),
    "compare": ("compare", "compare"),
    "report": ("report", "report"),
}


class Commands(TyperGroup):
    """The commands, each loaded on first use."""

    def list_commands(self, ctx: Any) -> list[str]:
        """Names, in the order of the help."""
        return list(COMMANDS)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """One command; one of no such name is refused with the nearest."""
        if cmd_name not in COMMANDS:
            near = closest(cmd_name, COMMANDS)
            known = listing(map(Phrase, COMMANDS), 20)
            fail("command", cmd_name, "", known, f"mmmjax {near or '--help'}")
        module, function = COMMANDS[cmd_name]
        alone = typer.Typer(**SETTINGS)
        behind = importlib.import_module(f"mmmjax.cli.{module}")
        alone.command(name=cmd_name)(getattr(behind, function))
        return typer.main.get_command(alone)


app = typer.Typer(
    cls=Commands,
    help="Bayesian media mix models: from spend and sales to a certified budget.",
    no_args_is_help=True,
    **SETTINGS,
)


def _version(asked: bool) -> bool:
    if asked:
        print(f"mmmjax {__version__}")
        raise typer.Exit
    return asked


@app.callback()
def _all(
    version: Annotated[
        bool,
        typer.Option("--version", callback=_version, is_eager=True, help="Print it."),
    ] = False,
    quiet: Annotated[
        bool,
        typer.Option("--quiet", help="Warnings and errors only; before or after COMMAND."),
    ] = False,
    log: Annotated[
        str,
        typer.Option(
            help="What standard error is: text, or json (a line a phase, chunk of draws, "
            "finding, error); before or after COMMAND."
        ),
    ] = "text",
) -> None:
    """Bayesian media mix models: from spend and sales to a certified budget."""
    as_json = choice("--log", log, FORMS) == "json"
    show.out.quiet, show.err.quiet = quiet, as_json
    Display.live_by_default = not (quiet or as_json)
    words = "text" if not (quiet or show.err.is_terminal) else None
    listen("json" if as_json else words)


def cache_folder() -> Path | None:
    """Folder of compiled programs: $MMMJAX_CACHE ("off": none), or the user's cache."""
    asked = os.environ.get("MMMJAX_CACHE")
    if asked == "off":
        return None
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(asked) if asked else Path(base) / "mmmjax"


def _keep_compiled() -> None:
    """Turn on JAX's persistent compilation cache, unless the user has set one."""
    place = cache_folder()
    if place is None or jax.config.jax_compilation_cache_dir:
        return
    try:
        place.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        show.warn(f"compiled programs are not kept ({error}).")
        return
    jax.config.update("jax_compilation_cache_dir", str(place))
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)


def _devices() -> list[Any]:
    """Devices of JAX; none where the platforms that were asked for are not there."""
    try:
        return jax.local_devices()
    except Exception:  # of which kind depends on the platform that is missing
        return []


def _ordered(argv: Sequence[str]) -> list[str]:
    """The arguments, those for all commands first, wherever they were written."""
    first, rest, items = [], [], iter(argv)
    for item in items:
        if item == "--quiet" or item.startswith("--log="):
            first.append(item)
        elif item == "--log":
            first += [item, *([value] if (value := next(items, None)) else [])]
        else:
            rest.append(item)
    return [*first, *rest]


def run(argv: Sequence[str]) -> int:
    """Run one command and return its exit code."""
    command = typer.main.get_command(app)
    show.out.quiet, show.err.quiet = False, False
    _keep_compiled()
    try:
        for place, item in enumerate(argv, 1):
            if not item or (item.startswith("--") and item.endswith("=")):
                remedy = "leave it out, or see which variable of the shell is empty"
                fail("argument", item, f"place {place}", "a text that says what", remedy)
        code = command.main(_ordered(argv), prog_name="mmmjax", standalone_mode=False)
    except UsageError as error:
        if show.err.quiet:
            show.error(error.format_message())
        else:
            error.show()
        return BAD_INPUT
    except InputError as error:
        show.error(str(error))
        return BAD_INPUT
    except Unwritten as error:
        show.error(f"{error}. Files that were written are whole.")
        return BAD_INPUT
    except OSError as error:
        named = f"{show_value(error.filename)}: " if error.filename else ""
        show.error(f"{named}{error.strerror or error}")
        return BAD_INPUT
    except MemoryError:
        show.error("out of memory: ask for fewer draws, chains or periods")
        return BAD_INPUT
    except Exception:
        asked = {name: os.environ[name] for name in OF_DEVICES if name in os.environ}
        if not asked or _devices():
            raise
        for name, value in asked.items():
            got = f"{name}: got {show_value(value)}"
            show.error(f"{got}, with which JAX finds no device. Fix: unset {name}")
        return BAD_INPUT
    except (typer.Abort, KeyboardInterrupt):
        code = INTERRUPTED
    if code == INTERRUPTED:
        show.error("interrupted. Files that were written are whole.")
    return code or 0


def main() -> None:
    """Entry point of the ``mmmjax`` command."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # a terminal or a pipe may be ASCII only
            stream.reconfigure(errors="backslashreplace")
    code = run(sys.argv[1:])
    try:
        print(end="", flush=True)
    except OSError:  # a full disk or a closed pipe, which was said: no second time at exit
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    sys.exit(code)
