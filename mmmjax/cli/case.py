"""Case files: TOML with tables [data], [model] and [sampler] -> panel, spec, sampler.

Everything wrong with a case is said at once: each table, each prior and the data are
read on their own and their errors collected into one :class:`InputError`.
"""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from mmmjax import checks
from mmmjax.checks import InputError, Phrase, fail
from mmmjax.cli.parts import (
    COLUMNS,
    LABELS,
    Problems,
    agreed,
    columns_of,
    joined,
    known,
    parse,
    part,
    spec_of,
    trained,
)
from mmmjax.panel import DIALECT, Panel
from mmmjax.samplers import HMC, SAMPLERS, Sampler
from mmmjax.spec import Spec

__all__ = ["Case", "Draft", "draft", "joined", "read"]

TABLES = ("data", "model", "sampler", "fleet")
FACTS = "facts"
SHARED = ("seed", "on_empty")  # keys of [fleet] that a case reads too
DATA = ("path", *COLUMNS, *LABELS, *DIALECT, "train_until", "on_empty")
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
    tables = parse(path)
    named = tables["data"] if isinstance(tables.get("data"), dict) else {}
    if "market" in tables or "market" in named or "files" in named:
        fix = f"mmmjax fleet {path} --check"
        fail("case file", Phrase("a fleet file"), str(path), "a case of one market", fix)
    given = {k: v for k, v in (overrides or {}).items() if v is not None}
    problems = Problems()
    collect = problems.collect
    if isinstance(told := tables.pop(FACTS, None), list):  # as [[data.fact]]
        tables["data"] = {**named, "fact": [*named.get("fact", []), *told]}
    for key in tables:
        collect(lambda key=key: known(key, TABLES, path.name, "table"))
    parts = {name: collect(lambda name=name: part(tables, name)) for name in TABLES}
    for key in parts["data"] or {}:
        collect(lambda key=key: known(key, DATA, "[data]"))
    for key in parts["fleet"] or {}:
        collect(lambda key=key: known(key, SHARED, "[fleet] of a case"))
    data = {k: v for k, v in (parts["data"] or {}).items() if k in DATA}
    drawn = _chosen(parts["sampler"] or {}, given)
    fleet = {k: v for k, v in (parts["fleet"] or {}).items() if k not in given}
    seed = {"sampler": drawn, "fleet": fleet}
    empty = {"data": data, "fleet": fleet}
    told = collect(lambda: agreed("seed", seed, 0))
    drawn["seed"] = 0 if told is None else told  # None: two that differ, collected
    told = collect(lambda: agreed("on_empty", empty, "error"))
    on_empty = "error" if told is None else told
    panels = collect(lambda: _panels(data, path.parent))
    if panels and panels[0].n_geos > 1 and not {*drawn} - {"seed", *vars(HMC())}:
        drawn.setdefault("kind", HMC.kind)
    return Draft(
        panels=panels,
        spec=spec_of(parts["model"] or {}, collect),
        drawn=collect(lambda: _sampler(drawn)),
        on_empty=collect(lambda: checks.choice("[data] on_empty", on_empty, ON_EMPTY)),
        problems=problems.said,
    )


def _panels(data: Mapping[str, Any], folder: Path) -> tuple[Panel, Panel, Panel | None]:
    """Read the table and cut it at train_until: (all, train, test or None)."""
    args = columns_of(data, NEEDED, folder)
    panel = Panel.from_file(folder / data["path"], **args)
    if "train_until" not in data:
        return panel, panel, None
    return (panel, *trained(panel, data["train_until"]))


def _chosen(table: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
    """[sampler] with what the command line says; settings of another kind are left."""
    if "kind" in given and given["kind"] != table.get("kind", "nuts"):
        table = {key: table[key] for key in ("seed",) if key in table}
    return {**table, **given}


def _sampler(table: Mapping[str, Any]) -> tuple[Sampler, int]:
    kind = checks.choice("[sampler] kind", table.get("kind", "nuts"), tuple(SAMPLERS))
    record = SAMPLERS[kind]
    fields = tuple(f.name for f in dataclasses.fields(record))
    for key in table:
        known(key, ("kind", "seed", *fields), "[sampler]")
    seed = checks.integer("[sampler] seed", table.get("seed", 0), low=0)
    return record(**{k: v for k, v in table.items() if k in fields}), seed
