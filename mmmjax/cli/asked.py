"""What a user asks of a plan: flags and plan.toml -> arguments of ``mm.optimize``.

A plan file has the keys of the flags, with underscores; a flag that is given wins over the
file. Text is read with :mod:`ast` literals, never evaluated.
"""

import ast
import inspect
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NoReturn

import numpy as np

from mmmjax.budget import constraints
from mmmjax.budget.prepare import EVEN_OUT
from mmmjax.budget.request import OTHERS
from mmmjax.checks import (
    Phrase,
    choice,
    closest,
    fail,
    integer,
    listing,
    number,
)
from mmmjax.cli.parts import parse

__all__ = ["Asked", "constraint_of", "pair", "read"]

KEYS = (
    "periods", "budget", "bounds", "fix", "reference", "per_period", "carry_in", "up_to",
    "until_mroas", "target", "probability", "utility", "constraints", "flighting",
    "starts", "seed", "frontier", "scenarios", "cost_per_unit", "max_draws",
    "discount_rate", "fixed_geo_split", "campaigns", "levers", "controls",
)  # fmt: skip
PLAIN = ("budget", "periods", "until_mroas", "target", "probability", "utility",
         "flighting", "starts", "seed", "cost_per_unit", "max_draws")  # fmt: skip
FACTORIES: dict[str, Callable[..., Any]] = {
    "group": constraints.group,
    "max_change": constraints.max_change,
    "minimum_if_on": constraints.minimum_if_on,
    "per_geo": constraints.per_geo,
    "roas_floor": constraints.roas_floor,
}
CONSTRAINT = """--constraint 'group(["TV", "Radio"], at_most=1e6)'"""
LONGEST = 10_000  # characters of a constraint
MOST_LEVELS = 1000  # budgets of a frontier


@dataclass(frozen=True)
class Asked:
    """A plan as it is asked for.

    Args:
        plan: Keyword arguments of :func:`mmmjax.optimize`.
        frontier: Budget levels, money in the unit of the plan; None: no frontier.
        scenarios: Further plans to compare, {name: {channel: money}}.
        discount_rate: What money loses a year; None: not asked.
    """

    plan: dict[str, Any]
    frontier: list[float] | None = None
    scenarios: dict[str, Any] = field(default_factory=dict)
    discount_rate: float | None = None

    @property
    def of_frontier(self) -> dict[str, Any]:
        """Keyword arguments of :func:`mmmjax.frontier`, the levels apart."""
        return {k: v for k, v in self.plan.items() if k != "budget"}

    @property
    def of_scenarios(self) -> dict[str, Any]:
        """Keyword arguments of :func:`mmmjax.budget.compare.evaluate`."""
        kept = {k: self.plan[k] for k in ("cost_per_unit", "max_draws") if k in self.plan}
        return kept | {"discount_rate": self.discount_rate}


def read(file: Path | None, flags: Mapping[str, Any]) -> Asked:
    """Read a plan file and lay the flags over it.

    Args:
        file: A TOML file, or None.
        flags: Values of the flags by key, None or empty: not given. ``bounds``, ``fix``,
            ``reference`` and ``constraints`` are lists of texts.

    Raises:
        InputError: An unknown key, or a value that cannot be read: which, and the fix.
    """
    told = {} if file is None else _file(file)
    given = {k: v for k, v in flags.items() if v is not None and v != []}
    plan = {k: given.get(k, told.get(k)) for k in PLAIN}
    plan = {k: _plain(k, v) for k, v in plan.items() if v is not None}
    plan["bounds"] = _bounds(given.get("bounds", told.get("bounds")))
    plan["fixed"] = _fixed(given.get("fix", told.get("fix")))
    plan["reference"] = _money(given.get("reference", told.get("reference")))
    carry_in = given.get("carry_in", told.get("carry_in", "zero"))
    plan["carry_in"] = choice("carry_in", carry_in, ("zero", "history"))
    for key in ("per_period", "up_to", "fixed_geo_split"):
        plan[key] = _flag(key, given.get(key, told.get(key, False)))
    texts = given.get("constraints", told.get("constraints", []))
    plan["constraints"] = [constraint_of(text) for text in _list(texts)]
    below = given.get("campaigns", told.get("campaigns"))
    if below is not None:
        plan["campaigns"] = _campaigns(below)
    _together(plan)
    for key in ("levers", "controls"):
        if key in told:
            if not isinstance(told[key], Mapping):
                fail(key, told[key], "", "a table", f"[{key}]")
            plan[key] = told[key]
    levels = given.get("frontier", told.get("frontier"))
    if levels is not None:
        levels = _levels(levels)
        if "target" in plan:
            got = Phrase("a target too")
            fail("frontier", got, "", "budget levels, or a target", "leave out --target")
        if "levers" in plan:
            got, fix = Phrase("levers too"), "leave out --frontier, or [levers]"
            fail("frontier", got, "", "budget levels of media alone", fix)
    rate = given.get("discount_rate", told.get("discount_rate"))
    rate = None if rate is None else _plain("discount_rate", rate)
    return Asked(plan, levels, _scenarios(told.get("scenarios", {})), rate)


def _plain(key: str, value: Any) -> Any:
    """A value of its kind: a number, a whole number, a text, or a table of money."""
    if key in ("periods", "starts", "seed", "max_draws"):
        return integer(key, value, fix=f"{key} = 10")
    if key == "cost_per_unit":
        return _amounts(key, value)
    if key == "until_mroas" and isinstance(value, str):
        return value if value == EVEN_OUT else _figure("--until-mroas", value)
    if key not in ("utility", "flighting"):
        return number(key, value, fix=f"{key} = 1e6")
    return (
        value if isinstance(value, str) else fail(key, value, "", "text", f'{key} = "..."')
    )


def _amounts(key: str, table: Any) -> dict[str, Any]:
    """A table of a number for each channel, or of a list: a geo's, a period's, bounds."""
    if not isinstance(table, Mapping):
        fail(key, table, "", "a table with a number for each channel", f"[{key}]")

    def read(what: str, value: Any, depth: int) -> Any:
        if isinstance(value, list) and value and depth:
            return tuple(read(what, one, depth - 1) for one in value)
        if key == "cost_per_unit" and isinstance(value, Mapping):
            return {part: read(f"{part} of {what}", x, depth) for part, x in value.items()}
        if key == "bounds" and isinstance(value, str):  # "0.8x"
            return value
        fix = f'"{what}" = 1e6 under [{key}]'
        return number(f"{key} of {what}", value, infinite=key == "bounds", fix=fix)

    deep = 2 if key == "cost_per_unit" else 1
    return {channel: read(channel, value, deep) for channel, value in table.items()}


def _together(plan: Mapping[str, Any]) -> None:
    """Refuse what makes no sense together."""
    if "probability" in plan and "target" not in plan:
        got, fix = Phrase("no --target"), "--target 1e8 --probability 0.9"
        fail("--probability", got, "", "a target to reach with it", fix)
    if "target" in plan and ("until_mroas" in plan or plan.get("utility")):
        other = "--until-mroas" if "until_mroas" in plan else "--utility"
        allowed = "a target (the least spend that reaches it), or what to maximise"
        fail("--target", Phrase(f"{other} too"), "", allowed, f"leave out {other}")


def _file(path: Path) -> dict[str, Any]:
    told = parse(path, "--plan", "see docs/files.md for its keys")
    for key in told:
        if key not in KEYS:
            near = closest(key, KEYS)
            fix = f'did you mean "{near}"?' if near else "remove it"
            fail("key", key, f"in {path.name}", f"one of {', '.join(KEYS)}", fix)
    return told


def _flag(key: str, value: Any) -> bool:
    if not isinstance(value, bool):
        fail(key, value, "", "true or false", f"{key} = true")
    return value


def _list(value: Any) -> list[Any]:
    return list(value) if isinstance(value, list | tuple) else [value]


def _figure(option: str, text: Any) -> float:
    try:
        return number(option, float(text) if isinstance(text, str) else text, infinite=True)
    except ValueError:
        fail(option, text, "", "a number such as 0.5 or 2e6", "write digits only")


def pair(
    option: str, item: Any, optional: bool = False, allowed: str = "CHANNEL=NUMBER"
) -> tuple[str, float | None]:
    """Read NAME=NUMBER; NAME alone is None where that is allowed."""
    name, equals, value = item.rpartition("=") if isinstance(item, str) else ("", "", "")
    if not equals and optional and isinstance(item, str):
        return item, None
    if not equals:
        example = "TV=1e6" if allowed.startswith("CHANNEL") else "North=1000"
        fail(option, item, "", allowed, f'{option} "{example}"')
    return name.strip(), _figure(option, value)


def _fixed(given: Any) -> Any:
    """Texts "TV=0" or "TV", or a table or list of a plan file."""
    if given is None or isinstance(given, Mapping):
        return given if given is None else _amounts("fix", given)
    return dict(pair("--fix", item, optional=True) for item in _list(given)) or None


def _campaigns(given: Any) -> Any:
    """Texts "0.5" or "TV=0.3", or what a plan file has: true, a number, a table."""
    if isinstance(given, Mapping):
        each = {k: _campaigns(v) for k, v in given.items()}
        return {k: tuple(v) if isinstance(v, list) else v for k, v in each.items()}
    if not isinstance(given, list) or not all("=" in str(item) for item in given):
        one = given[0] if isinstance(given, list) and len(given) == 1 else given
        return _figure("--campaigns", one) if isinstance(one, str) else one
    return dict(pair("--campaigns", item) for item in given)


def _money(given: Any) -> Any:
    """Texts "TV=1e6", two dates "2025-01-01:2025-03-31", or what a plan file has."""
    if given is None or isinstance(given, Mapping):
        return given if given is None else _amounts("reference", given)
    items = _list(given)
    if not any("=" in str(item) for item in items):
        dates = str(items[0]).split(":") if len(items) == 1 else [str(d) for d in items]
        if len(dates) == 2:
            return dates[0].strip(), dates[1].strip()
    return dict(pair("--reference", item) for item in items) or None


def _bounds(given: Any) -> Any:
    """Bounds as ``optimize`` takes them.

    Texts 0.5, LEAST:LARGEST or LEAST,LARGEST (times the reference), and
    CHANNEL=LEAST:LARGEST (money, or 0.8x: times the reference), one a channel; or what a
    plan file says: a number, a pair, or a table {channel: pair}, "*" for the channels not
    named.
    """
    if given is None:
        return 0.5
    if isinstance(given, Mapping):
        return _amounts("bounds", given)
    items = _list(given)
    if items and not isinstance(items[0], str):
        pair = tuple(number("bounds", x, infinite=True, fix="bounds = 0.5") for x in items)
        return pair if isinstance(given, list) else pair[0]
    ranges: dict[str, Any] = {}
    for item in map(str, items):
        name, equals, text = item.rpartition("=")
        parts = text.replace(",", ":").split(":")
        times = equals and any(part.strip().endswith("x") for part in parts)
        ends: list[Any] = [
            part.strip()
            if times and part.strip().endswith("x")
            else _figure("--bounds", part)
            for part in parts
        ]
        name = name.strip() if equals else OTHERS
        if len(ends) > 2 or (equals and len(ends) != 2) or name in ranges:
            fail(
                "--bounds",
                item,
                "",
                "one share such as 0.5 or range such as 0:3 (times the reference), and "
                "ranges of money (or 0.8x:1.2x, times the reference), one a channel",
                '--bounds 0.3 --bounds "TV=0:2e6" --bounds "Radio=0.8x:1.2x"',
            )
        ranges[name] = ends[0] if len(ends) == 1 else (ends[0], ends[1])
    return ranges or 0.5


def _levels(given: Any) -> list[float]:
    """Budget levels: "LEAST:LARGEST:COUNT", "1e6,2e6,3e6", or a list of numbers."""
    allowed = "LEAST:LARGEST:COUNT, or two or more budgets above 0"
    fix = '--frontier "10e6:40e6:13" or --frontier "10e6,20e6,30e6"'
    parts = given.split(":") if isinstance(given, str) else []
    if len(parts) == 3:
        low, high = (_figure("--frontier", part) for part in parts[:2])
        count = integer("--frontier", _figure("--frontier", parts[2]), low=2,
                        high=MOST_LEVELS, fix=fix)  # fmt: skip
        known = math.isfinite(high - low)
        levels = np.linspace(low, high, count).tolist() if known else [low, high]
    else:
        items = given.split(",") if isinstance(given, str) else _list(given)
        levels = [_figure("--frontier", item) for item in items]
    good = all(math.isfinite(x) and x > 0 for x in levels)
    if not good or len(set(levels)) < 2 or len(levels) > MOST_LEVELS:
        fail("--frontier", given, "", allowed, fix)
    return sorted(set(levels))


def _scenarios(given: Any) -> dict[str, Any]:
    fix = "[scenarios.last_year] with a line a channel: TV = 2e6"
    if not isinstance(given, Mapping):
        fail("scenarios", given, "", "a table of plans", fix)
    for name, spend in given.items():
        if name in ("plan", "reference"):
            fail("scenarios", name, "", "a name of its own", "call it otherwise")
        if not isinstance(spend, Mapping):
            fail("scenarios", spend, f"for {name}", "{channel: money}", fix)
        for channel, money in spend.items():
            number("scenarios", money, low=0.0, fix=f"{channel} = 1e6 in {name}")
    return {str(name): dict(spend) for name, spend in given.items()}


def constraint_of(text: Any) -> Any:
    """Read 'group(["TV", "Radio"], at_most=1e6)': one call of a constraint, literals only.

    Args:
        text: The call.

    Raises:
        InputError: What is not understood, and what would be.
    """
    if not isinstance(text, str) or len(text) > LONGEST:
        _refuse(text)
    try:
        body = ast.parse(text.strip(), mode="eval").body
    except (SyntaxError, RecursionError, MemoryError, ValueError):
        _refuse(text)
    if isinstance(body, ast.Call) and isinstance(body.func, ast.Name):
        return _called(text, body.func.id, body.args, body.keywords)
    return _refuse(text)


def _called(text: str, name: str, args: list[ast.expr], keywords: list[ast.keyword]) -> Any:
    if name not in FACTORIES:
        near = closest(name, FACTORIES)
        fix = f'did you mean "{near}"?' if near else CONSTRAINT
        fail("constraint", name, "", listing(map(Phrase, FACTORIES), 9, "or"), fix)
    if any(k.arg is None for k in keywords):
        _refuse(text)
    try:
        values = [ast.literal_eval(node) for node in args]
        named = {str(k.arg): ast.literal_eval(k.value) for k in keywords}
    except (ValueError, TypeError, SyntaxError, RecursionError, MemoryError):
        _refuse(text)
    signature = inspect.signature(FACTORIES[name])
    try:
        signature.bind(*values, **named)
    except TypeError as error:
        usage = ", ".join(signature.parameters)
        fail("constraint", Phrase(f"{text}: {error}"), "", f"{name}({usage})", CONSTRAINT)
    return FACTORIES[name](*values, **named)


def _refuse(text: Any) -> NoReturn:
    allowed = f"a call of {listing(map(Phrase, FACTORIES), 9, 'or')}"
    fail("constraint", text, "", f"{allowed}, with numbers, texts and lists", CONSTRAINT)
