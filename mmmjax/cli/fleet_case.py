"""Fleet files: TOML with [data], [model], [sampler], [fleet] and what differs by market.

The tables are those of a case (`case`), for all markets; ``[market."DE".data]`` and
``[market."DE".model]`` lie over them for one. Everything wrong with the file is said at
once; data of one market that cannot be read are its own affair: it is refused, with the
reason.
"""

import dataclasses
import glob
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from mmmjax import checks
from mmmjax.checks import InputError, Phrase, fail
from mmmjax.cli.case import ON_EMPTY
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
    tried,
)
from mmmjax.facts import of_markets
from mmmjax.fleet.run import USUAL
from mmmjax.fleet.store import check_market
from mmmjax.panel import DIALECT, Panel
from mmmjax.panel.container import asked, dialect_of
from mmmjax.panel.dialect import CELLS
from mmmjax.panel.files import load_table
from mmmjax.samplers import HMC
from mmmjax.spec import Spec

__all__ = ["FleetCase", "read"]

TABLES = ("data", "model", "sampler", "fleet", "market")
OF_A_MARKET = (*COLUMNS, *LABELS, *DIALECT, "train_until")
DATA = ("path", "files", "market", "on_empty", *OF_A_MARKET)
FLEET = ("seed", "batch", "on_empty", "refit")
SAMPLER = ("kind", "seed", *(f.name for f in dataclasses.fields(HMC)))
NEEDED = ("date", "outcome")
SHOWN = 3  # markets that a message names

type Sources = dict[str, pd.DataFrame | Path]


@dataclass(frozen=True)
class FleetCase:
    """What a fleet file asks for, read and checked.

    Args:
        order: All markets, as the file has them.
        panels: Training data of those whose data can be read.
        unread: Why the data of the other markets cannot be read.
        specs: The model of every market in ``panels``.
        sampler: Settings.
        settings: Further arguments of :func:`mmmjax.fit_fleet`, those that were given.
    """

    order: list[str]
    panels: dict[str, Panel]
    unread: dict[str, str]
    specs: dict[str, Spec]
    sampler: HMC
    settings: dict[str, Any]


@dataclass(frozen=True)
class _Market:
    """How a market is read: arguments of the panel, the last date of training, its spec."""

    columns: dict[str, Any]
    train_until: Any
    spec: Spec


def read(path: Path, overrides: Mapping[str, Any] | None = None) -> FleetCase:
    """Read a fleet file.

    Args:
        path: The TOML file; the paths in it are relative to its folder.
        overrides: Keys of [fleet] to replace, from the command line; None is no change.

    Raises:
        InputError: All that is wrong with the file, or with a table of all markets, in one
            message; or no market whose data can be read.
    """
    tables, problems = parse(path), Problems()
    collect = problems.collect
    for key in tables:
        collect(lambda key=key: known(key, TABLES, path.name, "table"))
    found = {name: collect(lambda name=name: part(tables, name)) or {} for name in TABLES}
    given = {k: v for k, v in (overrides or {}).items() if v is not None}
    for name, allowed in (("data", DATA), ("sampler", SAMPLER), ("fleet", FLEET)):
        for key in found[name]:
            collect(lambda key=key, n=name, allowed=allowed: _known(key, allowed, n))
    sources = collect(lambda: _sources(found["data"], path.parent))
    for name in sources or ():
        collect(lambda name=name: check_market(name))
    how = _markets(found, sources, problems, path.parent)
    sampler = collect(lambda: _sampler(found["sampler"]))
    settings = found["fleet"] | given
    for key, table in (("seed", "sampler"), ("on_empty", "data")):
        both = {"fleet": settings}
        if key not in given:
            both[table] = found[table]
        value = collect(lambda key=key, both=both: agreed(key, both))
        settings |= {} if value is None else {key: value}
    settings = _settings(settings, problems)
    if problems.said or sources is None or sampler is None:
        raise InputError(joined(path, problems.said))
    panels, unread = _read(sources, how)
    if not panels:
        raise InputError(joined(path, [_none(unread)]))
    specs = {name: how[name].spec for name in panels}
    return FleetCase(list(sources), panels, unread, specs, sampler, settings)


def _read(
    sources: Sources, how: Mapping[str, _Market]
) -> tuple[dict[str, Panel], dict[str, str]]:
    """Panels by market, and why the other markets have none."""
    panels, unread = {}, {}
    for name, source in sources.items():
        market = how[name]
        try:
            if isinstance(source, Path):
                panel = Panel.from_file(source, **market.columns)
            else:
                whole = set(DIALECT) - set(CELLS)  # the one table was read so already
                names = {k: v for k, v in market.columns.items() if k not in whole}
                panel = Panel.from_frame(source, **names)
            cut = market.train_until
            panels[name] = panel if cut is None else trained(panel, cut)[0]
        except InputError as error:
            unread[name] = str(error)
        except Exception as error:  # another market's data must not end the fleet
            unread[name] = f"{type(error).__name__}: {error}"
    return panels, unread


def _none(unread: Mapping[str, str]) -> str:
    """What is said where no market can be read."""
    first = [f'"{name}": {why}' for name, why in list(unread.items())[:SHOWN]]
    rest = f"\n     and {len(unread) - SHOWN} more" if len(unread) > SHOWN else ""
    return f"no market can be read:\n     {'\n     '.join(first)}{rest}"


def _known(key: str, allowed: tuple[str, ...], name: str) -> None:
    """Refuse a key that nothing reads there; say so where another table has it."""
    if key not in allowed and name != "fleet" and key in FLEET:
        fail("key", key, f"[{name}]", f"one of {', '.join(allowed)}", "write it in [fleet]")
    known(key, allowed, f"[{name}]" + " of a fleet" * (name == "sampler"))


def _sources(data: Mapping[str, Any], folder: Path) -> Sources:
    """Where the data of each market are: its rows of the one table, or its file."""
    path, files, market = (data.get(key) for key in ("path", "files", "market"))
    if files is not None:
        if path is not None or market is not None:
            got = Phrase("path or market too")
            fail("[data] files", got, "", "a file for each market", "leave them out")
        if not (isinstance(files, dict) and files) or not _texts(list(files.values())):
            fail(
                "[data] files",
                files,
                "",
                "a table market = file",
                'files = { de = "de.csv" }',
            )
        return {str(name): _file(folder, file) for name, file in files.items()}
    if market is not None:
        if not isinstance(market, str) or not isinstance(path, str):
            field, value = ("market", market) if isinstance(path, str) else ("path", path)
            fix = 'path = "all.csv" and market = "country"'
            got = Phrase("nothing") if value is None else value
            fail(f"[data] {field}", got, "", "one table and its column of markets", fix)
        dialect = dialect_of({k: data[k] for k in DIALECT if k in data})
        wanted, texts = asked(**{k: data[k] for k in COLUMNS if k in data})
        wanted, texts = wanted | {market}, texts | {market}
        frame = load_table(folder / path, dialect, wanted=wanted, texts=texts)
        return _rows(frame, market)
    paths: list[Any] = path if isinstance(path, list) else [path]
    one = isinstance(path, str) and not glob.has_magic(path)
    if one or not _texts(paths):
        got = Phrase("no path") if path is None else path
        allowed = "one table with a column of markets, or a file for each market"
        fix = 'market = "country" beside path, or path = ["de.csv", "fr.csv"] or "*.csv"'
        fail("[data] path", got, "", allowed, fix)
    return _listed(paths, folder)


def _texts(values: list[Any]) -> bool:
    return bool(values) and all(isinstance(value, str) for value in values)


def _file(folder: Path, name: str) -> Path:
    """A file that is there; whether it can be read is the market's affair."""
    file = folder / name
    if not file.is_file():
        here = [p.name for p in file.parent.iterdir()] if file.parent.is_dir() else []
        near = checks.closest(file.name, here)
        fix = f'did you mean "{near}"?' if near else "correct the path"
        fail("[data] file", str(file), "", "a file that exists", fix)
    return file


def _listed(patterns: list[str], folder: Path) -> Sources:
    """Files by name, globs in the order of the alphabet."""
    found: dict[str, pd.DataFrame | Path] = {}
    for pattern in patterns:
        if glob.has_magic(pattern):
            names = sorted(glob.glob(pattern, root_dir=folder, recursive=True))
            if not names:
                where = f"in {folder.resolve()}"
                fail("[data] path", pattern, where, "a pattern of files", "correct it")
        else:
            names = [pattern]
        for file in (_file(folder, name) for name in names):
            market = file.name.removesuffix(".gz").rpartition(".")[0] or file.name
            if market in found:
                got = Phrase(f'two files of a market "{market}", one of them {file}')
                fix = 'name the markets: files = { de = "a/x.csv", fr = "b/x.csv" }'
                fail("[data] path", got, "", "files of different names", fix)
            found[market] = file
    return found


def _rows(frame: pd.DataFrame, column: str) -> Sources:
    """The rows of each market, in the order in which they first appear."""
    if column not in frame:
        near = checks.closest(column, map(str, frame.columns))
        fix = f'did you mean "{near}"?' if near else "name the column of the markets"
        allowed = checks.listing(map(Phrase, map(str, frame.columns)), 12)
        fail("[data] market", column, "", f"a column: {allowed}", fix)
    empty = np.flatnonzero(frame[column].isna())
    if empty.size or not len(frame):
        count = empty.size
        first = f" (first: line {frame.index[empty[0]] + 2})" if count else ""
        got = Phrase(f"{count} empty cells{first}" if count else "a table without rows")
        fix = "fill in the market, or drop the rows"
        fail("[data] market", got, f'in column "{column}"', "a market in each row", fix)
    found = {}
    for name, rows in frame.groupby(frame[column].astype(str), sort=False):
        rows.attrs = frame.attrs
        found[str(name)] = rows
    return found


def _markets(
    tables: Mapping[str, Any], sources: Sources | None, problems: Problems, folder: Path
) -> dict[str, _Market]:
    """How each market is read, what is common under what is its own."""
    own = tables["market"]
    names = list(own) if sources is None else list(sources)
    for name in own:
        if name not in names:
            near = checks.closest(name, names)
            fix = f'did you mean "{near}"?' if near else "remove it, or correct the name"
            allowed = f"a market of the data ({checks.listing(map(Phrase, names), 6)})"
            problems.collect(lambda n=name, a=allowed, f=fix: fail("market", n, "", a, f))
    spec = spec_of(tables["model"], problems.collect)
    data = {k: v for k, v in tables["data"].items() if k in (*OF_A_MARKET, "market")}
    tests: dict[str, Any] = {}
    if sources is not None and isinstance(data.get("lift_tests"), str):
        written = dialect_of({k: data[k] for k in DIALECT if k in data})
        file = folder / data.pop("lift_tests")
        tests = problems.collect(lambda: of_markets(file, written, names)) or {}
    plain = sources is None or any(name not in own for name in names)
    common = _common(data, spec, problems if plain else Problems(), folder)
    found = {}
    for name in [*names, *(name for name in own if name not in names)]:
        collect = problems.under(f'[market."{name}"]')
        market = common
        if name in own:
            market = _market(own[name], data, tables["model"], spec, collect, folder)
        if market is not None:
            told = market.columns.get("facts", ())
            its = own.get(name, {})
            if name in tests and "lift_tests" not in its.get("data", {}):
                told = (*told, *tests[name])
            columns = market.columns | ({"facts": told} if told else {})
            found[name] = dataclasses.replace(market, columns=columns)
    return found


def _common(
    data: Mapping[str, Any], spec: Spec | None, problems: Problems, folder: Path
) -> _Market | None:
    columns = problems.collect(lambda: columns_of(data, NEEDED, folder))
    if columns is None or spec is None:
        return None
    return _Market(columns, data.get("train_until"), spec)


def _market(
    own: Any, data: Mapping[str, Any], model: Mapping[str, Any], spec: Spec | None,
    collect: Any, folder: Path,
) -> _Market | None:  # fmt: skip
    """A market with tables of its own."""
    if not isinstance(own, dict):
        fix = '[market."DE".model.priors]'
        return collect(lambda: fail("market", own, "", "a table", fix))
    for key in own:
        collect(lambda key=key: known(key, ("data", "model"), "", "table"))
    mine = {name: collect(lambda n=name: part(own, n)) or {} for name in ("data", "model")}
    one = tuple(k for k in OF_A_MARKET if "market" not in data or k not in DIALECT[:5])
    for key in mine["data"]:
        collect(lambda key=key: known(key, one, "[data]"))
    merged = {**data, **{k: v for k, v in mine["data"].items() if k in OF_A_MARKET}}
    columns = collect(lambda: columns_of(merged, NEEDED, folder))
    if mine["model"]:
        if not tried(mine["model"], collect) or spec is None:
            return None
        priors = {**model.get("priors", {}), **mine["model"].get("priors", {})}
        whole = {**model, **mine["model"], "priors": priors}
        spec = collect(lambda: Spec.from_dict(whole))
    if columns is None or spec is None:
        return None
    return _Market(columns, merged.get("train_until"), spec)


def _sampler(table: Mapping[str, Any]) -> HMC:
    """The fleet's usual sampler, with what is given."""
    kind = table.get("kind", HMC.kind)
    if kind != HMC.kind:
        allowed = f'"{HMC.kind}": fleets are sampled in lock-step'
        fail("[sampler] kind", kind, "", allowed, f'kind = "{HMC.kind}"')
    given = {k: v for k, v in table.items() if k in SAMPLER and k not in ("kind", "seed")}
    return dataclasses.replace(USUAL, **given)


def _settings(table: Mapping[str, Any], problems: Problems) -> dict[str, Any]:
    """Checked values of [fleet], those that are given."""
    check = {
        "seed": lambda v: checks.integer("[fleet] seed", v, low=0, high=2**32 - 1),
        "batch": lambda v: checks.integer("[fleet] batch", v, low=1, fix="batch = 64"),
        "on_empty": lambda v: checks.choice("[fleet] on_empty", v, ON_EMPTY),
        "refit": lambda v: v if isinstance(v, bool) else _not_a_flag("refit", v),
    }
    given = {k: v for k, v in table.items() if k in check}
    return {k: problems.collect(lambda k=k, v=v: check[k](v)) for k, v in given.items()}


def _not_a_flag(key: str, value: Any) -> Any:
    return fail(f"[fleet] {key}", value, "", "true or false", f"{key} = true")
