"""Case files: TOML with tables [data], [model] and [sampler] -> panel, spec, sampler.

Everything wrong with a case is said at once: each table, each prior and the data are
read on their own and their errors collected into one :class:`InputError`.
"""

import dataclasses
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from mmmjax import checks
from mmmjax.checks import InputError, Phrase
from mmmjax.panel import Panel
from mmmjax.prior import Prior
from mmmjax.samplers import SAMPLERS, Sampler
from mmmjax.spec import Spec

__all__ = ["Case", "Draft", "draft", "joined", "read"]

TABLES = ("data", "model", "sampler")
COLUMNS = ("date", "outcome", "media", "controls", "geo", "spend", "population")
DATA = ("path", *COLUMNS, "freq", "train_until", "currency", "on_empty")
NEEDED = ("path", "date", "outcome")
ON_EMPTY = ("error", "drop", "prior")


@dataclass(frozen=True)
class Case:
    """What a case file asks for, read and checked."""

    panel: Panel
    train: Panel
    test: Panel | None
    spec: Spec
    sampler: Sampler
    seed: int
    on_empty: Literal["error", "drop", "prior"]


@dataclass(frozen=True)
class Draft:
    """As much of a case as could be read, and everything that is wrong with it."""

    panels: tuple[Panel, Panel, Panel | None] | None
    spec: Spec | None
    drawn: tuple[Sampler, int] | None
    on_empty: Any
    problems: list[str]


def read(path: str | Path, overrides: Mapping[str, Any] | None = None) -> Case:
    """Read a case file; arguments as in :func:`draft`.

    Raises:
        InputError: All that is wrong with the case, in one message.
    """
    found = draft(path, overrides)
    if found.problems or not (found.panels and found.spec and found.drawn):
        raise InputError(joined(path, found.problems))
    return Case(*found.panels, found.spec, *found.drawn, found.on_empty)


def draft(path: str | Path, overrides: Mapping[str, Any] | None = None) -> Draft:
    """Read each part of a case file on its own and collect what is wrong.

    Args:
        path: The TOML file; the data path in it is relative to its folder.
        overrides: Keys of [sampler] to replace, from the command line; None is no change.

    Raises:
        InputError: The file is missing or is not TOML.
    """
    path = Path(path)
    table = _parse(path)
    given = {k: v for k, v in (overrides or {}).items() if v is not None}
    problems: list[str] = []

    def collect[T](read_part: Callable[[], T]) -> T | None:
        try:
            return read_part()
        except InputError as error:
            problems.append(str(error))
            return None

    for key in table:
        collect(lambda key=key: _known(key, TABLES, path.name, "table"))
    parts = {name: collect(lambda name=name: _table(table, name)) for name in TABLES}
    for key in parts["data"] or {}:
        collect(lambda key=key: _known(key, DATA, "[data]"))
    data = {k: v for k, v in (parts["data"] or {}).items() if k in DATA}
    on_empty = data.get("on_empty", "error")
    return Draft(
        panels=collect(lambda: _panels(data, path.parent)),
        spec=_spec(parts["model"] or {}, collect),
        drawn=collect(lambda: _sampler(_chosen(parts["sampler"] or {}, given))),
        on_empty=collect(lambda: checks.choice("[data] on_empty", on_empty, ON_EMPTY)),
        problems=problems,
    )


def joined(path: str | Path, problems: list[str]) -> str:
    """One message of all problems of a case."""
    name = Path(path).name
    if len(problems) == 1:
        return f"{name}: {problems[0]}"
    lines = "\n".join(f"  {i}. {text}" for i, text in enumerate(problems, 1))
    return f"{name} has {len(problems)} errors:\n{lines}"


def _parse(path: Path) -> dict[str, Any]:
    if path.is_dir() or not path.exists():
        got = Phrase("a folder") if path.is_dir() else Phrase("no such file")
        checks.fail(
            "case file",
            got,
            str(path),
            "a TOML file",
            "write one (docs/files.md), or `mmmjax simulate --out demo`",
        )
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InputError(
            f"case file: {path} is not TOML: {error}. One key a line; text in quotes."
        ) from None


def _table(table: Mapping[str, Any], name: str) -> dict[str, Any]:
    value = table.get(name, {})
    if not isinstance(value, dict):
        checks.fail(name, value, "", "a table", f"start it with [{name}]")
    return value


def _known(key: str, allowed: tuple[str, ...], where: str, what: str = "key") -> None:
    if key not in allowed:
        near = checks.closest(key, allowed)
        checks.fail(
            what,
            key,
            where,
            f"one of {', '.join(allowed)}",
            f'did you mean "{near}"?' if near else "remove it",
        )


def _panels(data: Mapping[str, Any], folder: Path) -> tuple[Panel, Panel, Panel | None]:
    """Read the table and cut it at train_until: (all, train, test or None)."""
    missing = [key for key in NEEDED if key not in data]
    if missing:
        checks.fail(
            "[data]",
            Phrase(f"no {', '.join(missing)}"),
            "",
            f"{', '.join(NEEDED)} are needed",
            f'add {missing[0]} = "..."',
        )
    for key in ("path", "date", "outcome", "geo", "population", "freq", "currency"):
        if key in data and not isinstance(data[key], str):
            checks.fail(f"[data] {key}", data[key], "", "text", f'{key} = "..."')
    args = {k: data[k] for k in (*COLUMNS, "freq", "currency") if k in data}
    args.setdefault("media", [])
    panel = Panel.from_file(folder / data["path"], **args)
    if "train_until" not in data:
        return panel, panel, None
    return (panel, *panel.split(data["train_until"]))


def _spec(model: Mapping[str, Any], collect: Callable[..., Any]) -> Spec | None:
    """The spec; its keys and priors are tried one by one, so that all errors are said."""
    found: list[Any] = []
    priors = model.get("priors", {})
    for key, value in model.items():
        if key != "priors":
            found.append(collect(lambda key=key, value=value: Spec.from_dict({key: value})))
    if not isinstance(priors, Mapping):
        return collect(
            lambda: checks.fail("[model] priors", priors, "", "a table", "[model.priors]")
        )
    for name, value in priors.items():
        found.append(collect(lambda name=name, value=value: _prior(name, value)))
    if any(part is None for part in found):
        return None
    return collect(lambda: Spec.from_dict(model))


def _prior(name: str, value: Any) -> Prior:
    try:
        return Prior.from_dict(value)
    except InputError as error:
        raise InputError(f"[model.priors] {name}: {error}") from None


def _chosen(table: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
    """[sampler] with what the command line says; settings of another kind are left."""
    kind = table.get("kind", "nuts")
    if given.get("kind", kind) != kind:
        table = {key: table[key] for key in ("seed",) if key in table}
    return {**table, **given}


def _sampler(table: Mapping[str, Any]) -> tuple[Sampler, int]:
    kind = checks.choice("[sampler] kind", table.get("kind", "nuts"), tuple(SAMPLERS))
    record = SAMPLERS[kind]
    fields = tuple(f.name for f in dataclasses.fields(record))
    for key in table:
        _known(key, ("kind", "seed", *fields), "[sampler]")
    seed = checks.integer("[sampler] seed", table.get("seed", 0), low=0)
    return record(**{k: v for k, v in table.items() if k in fields}), seed
