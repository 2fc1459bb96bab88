"""Parts of case files that a case and a fleet's have in common.

Everything wrong with a file is said at once: each part is read on its own and what is
wrong with it collected in :class:`Problems`.
"""

import dataclasses
import tomllib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from mmmjax import checks, facts
from mmmjax.checks import InputError, Phrase
from mmmjax.panel import DIALECT, Panel, date_of
from mmmjax.panel.container import dialect_of
from mmmjax.prior import Prior
from mmmjax.roles import ROLES
from mmmjax.samplers import SAMPLERS
from mmmjax.spec import KEYS, Spec

__all__ = [
    "COLUMNS", "LABELS", "Problems", "agreed", "columns_of", "joined", "known", "parse",
    "part", "spec_of", "trained", "tried",
]  # fmt: skip

CASE_FILE = "write one (docs/files.md), or `mmmjax simulate --out demo`"
COLUMNS = ("date", "outcome", "media", "controls", "geo", "spend", "population")
COLUMNS = (*COLUMNS, "groups", "national")
LABELS = ("freq", "currency", "outcome_value", "leave_empty", "fact", "lift_tests")
NAMES = {"media": " or a table name = column", "controls": "", "groups": "", "national": ""}
NAMES["spend"] = NAMES["media"]
TEXT = ("geo", "population", "freq", "currency", "lift_tests")
HOMES = {
    "[data]": {"path", *COLUMNS, *LABELS, *DIALECT, "train_until"},
    "[model]": {*KEYS},
    "[sampler]": {
        "seed",
        *(f.name for kind in SAMPLERS.values() for f in dataclasses.fields(kind)),
    },
    "[model] seasonality = { order = 2 }": {"order"},
} | {
    f'[model] {role} = {{ kind = "{kind}", ... }}': {f.name for f in dataclasses.fields(of)}
    for role in ("adstock", "saturation", "likelihood")
    for kind, of in ROLES[role].kinds.items()
    if kind != "mixed"
}
"""Keys by the place where they are written, for a file that has one elsewhere."""

type Collect = Callable[[Callable[[], Any]], Any]


class Problems:
    """What is wrong with a file, in the order of reading."""

    def __init__(self) -> None:
        """Nothing so far."""
        self.said: list[str] = []

    def collect[T](self, read_part: Callable[[], T]) -> T | None:
        """What a part reads to; None if it cannot be used, which is noted."""
        try:
            return read_part()
        except InputError as error:
            self.said.append(str(error))
            return None

    def under(self, where: str) -> Collect:
        """The same, with ``where`` before what is noted."""

        def collect(read_part: Callable[[], Any]) -> Any:
            before = len(self.said)
            found = self.collect(read_part)
            self.said[before:] = [f"{where}: {text}" for text in self.said[before:]]
            return found

        return collect


def joined(path: str | Path, problems: list[str]) -> str:
    """One message of all problems of a file."""
    name = Path(path).name
    if len(problems) == 1:
        return f"{name}: {problems[0]}"
    lines = "\n".join(f"  {i}. {text}" for i, text in enumerate(problems, 1))
    return f"{name} has {len(problems)} errors:\n{lines}"


def parse(path: Path, field: str = "case file", fix: str = CASE_FILE) -> dict[str, Any]:
    """The tables of a TOML file."""
    try:
        if not path.is_file():
            got = Phrase("a folder" if path.is_dir() else "no such file")
            checks.fail(field, got, str(path), "a TOML file", fix)
        return tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except RecursionError:
        why = "brackets in brackets, deeper than anything can be read"
    except OSError as error:  # a name that is too long, a file that may not be read
        raise InputError(f"{field}: {path} cannot be read: {error.strerror}.") from None
    except InputError:
        raise
    except ValueError as error:  # not TOML, not UTF-8, a number of too many digits
        why = "a number of too many digits" if "int_max" in str(error) else str(error)
    why = checks.show(Phrase(why))
    raise InputError(f"{field}: {path} is not TOML: {why}. One key a line; text in quotes.")


def part(parent: Mapping[str, Any], name: str, where: str = "") -> dict[str, Any]:
    """A table of a file or of another table; empty if it is left out."""
    value = parent.get(name, {})
    if not isinstance(value, dict):
        checks.fail(name, value, "", "a table", f"start it with [{where}{name}]")
    return value


def known(key: str, allowed: tuple[str, ...], where: str, what: str = "key") -> None:
    """Refuse a key that nothing reads."""
    if key not in allowed:
        near = checks.closest(key, allowed)
        fix = f'did you mean "{near}"?' if near else "remove it"
        if home := next((place for place, keys in HOMES.items() if key in keys), ""):
            fix = f"write it in {home}"
        if home and where.startswith(home):  # of another kind; a fleet's is HMC
            has = [n for n, s in SAMPLERS.items() if key in s.__dataclass_fields__]
            other = f", or write kind = {checks.listing(has, 4, 'or')}"
            fix = "remove it" + other * (where == "[sampler]")
        checks.fail(what, key, where, f"one of {', '.join(allowed)}", fix)


def agreed(key: str, tables: Mapping[str, Mapping[str, Any]], default: Any = None) -> Any:
    """The value of a key that several tables may give, if they give the same one."""
    given = {name: table[key] for name, table in tables.items() if key in table}
    values = list(given.values())
    if any(value != values[0] for value in values[1:]):
        said = " and ".join(f"{checks.show(v)} in [{name}]" for name, v in given.items())
        fix = f"keep the one of [{next(iter(given))}]"
        checks.fail(key, Phrase(said), "", "one value of a key", fix)
    return values[0] if values else default


def columns_of(
    data: Mapping[str, Any], needed: tuple[str, ...], folder: Path
) -> dict[str, Any]:
    """Arguments of :meth:`mmmjax.Panel.from_frame` that a table [data] gives.

    Args:
        data: The table.
        needed: Keys that it must have.
        folder: That of the file, which the path of lift tests is relative to.
    """
    missing = [key for key in needed if key not in data]
    if missing:
        checks.fail(
            "[data]",
            Phrase(f"no {', '.join(missing)}"),
            "",
            f"{', '.join(needed)} are needed",
            f'add {missing[0]} = "..."',
        )
    for key, value in data.items():
        if key in NAMES:
            many = [value] if isinstance(value, str) else value
            if isinstance(value, dict) and key in ("media", "spend"):
                tables = [one for one in value.values() if isinstance(one, dict)]
                many = [one for one in value.values() if one not in tables]
            if not (isinstance(many, list) and all(isinstance(v, str) for v in many)):
                allowed = f"a column, a list of columns{NAMES[key]}"
                checks.fail(f"[data] {key}", value, "", allowed, f'{key} = ["..."]')
        elif key in (*needed, *TEXT) and not isinstance(value, str):
            checks.fail(f"[data] {key}", value, "", "text", f'{key} = "..."')
        elif key == "outcome_value":
            checks.number(f"[data] {key}", value, low=0, open_low=True, fix=f"{key} = 1.0")
    found = {k: data[k] for k in (*COLUMNS, *LABELS, *DIALECT) if k in data}
    found.setdefault("media", [])
    told = facts.read(found.pop("fact", []), "data.fact")
    if "lift_tests" in found:
        written = dialect_of({k: data[k] for k in DIALECT if k in data})
        told += facts.of_table(folder / found.pop("lift_tests"), written)
    if told:
        found["facts"] = told
    return found


def trained(panel: Panel, until: Any) -> tuple[Panel, Panel]:
    """The panel up to `train_until`, read as the table's dates are, and what follows."""
    date = date_of("[data] train_until", until, panel.columns.date_format, panel.dates)
    return panel.split(date)


def spec_of(model: Mapping[str, Any], collect: Collect) -> Spec | None:
    """The spec; its keys and priors are tried one by one, so that all errors are said."""
    return collect(lambda: Spec.from_dict(model)) if tried(model, collect) else None


def tried(model: Mapping[str, Any], collect: Collect) -> bool:
    """Whether each key and prior of a table [model] can be read by itself."""
    found: list[Any] = []
    priors = model.get("priors", {})
    for key, value in model.items():
        if key not in KEYS:
            collect(lambda key=key: known(key, KEYS, "[model]"))
            found.append(None)
        elif key != "priors":
            found.append(collect(lambda key=key, value=value: Spec.from_dict({key: value})))
    if not isinstance(priors, Mapping):
        collect(
            lambda: checks.fail("[model] priors", priors, "", "a table", "[model.priors]")
        )
        return False
    for name, value in priors.items():
        found.append(collect(lambda name=name, value=value: _prior(name, value)))
    return not any(part is None for part in found)


def _prior(name: str, value: Any) -> Prior:
    try:
        return Prior.from_dict(value)
    except InputError as error:
        raise InputError(f"[model.priors] {name}: {error}") from None
