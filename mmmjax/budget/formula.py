"""A utility written as text: "mean_response + 0.1 * portfolio_entropy()".

Names, numbers, calls with numbers or utilities, and + - * /: read with :mod:`ast`, never
evaluated, so that a command line or a file can hold one.
"""

import ast
import inspect
import operator
from collections.abc import Callable, Mapping
from typing import Any, Final, NoReturn

from mmmjax.checks import InputError, Phrase, closest, fail, listing

__all__ = ["create", "parse", "unknown"]

LONGEST = 1000  # characters; what is longer is no formula, and deep nesting ends Python
EXAMPLE = 'utility="mean_tightness(alpha=0.9)"'
OPERATIONS: Final[Mapping[type, Callable[[Any, Any], Any]]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
}
ELSEWHERE: Final = {  # what PyMC-Marketing and textbooks call them
    "adjusted_value_at_risk_score": "adjusted_value_at_risk",
    "average_response": "mean_response",
    "cvar": "conditional_value_at_risk",
    "mean": "mean_response",
    "mean_tightness_score": "tightness_ratio",
    "sharpe_ratio": "sharpe",
    "var": "value_at_risk",
}


def parse(text: str, names: Mapping[str, Callable[..., Any]]) -> Any:
    """Read a formula.

    Args:
        text: The formula.
        names: Factories by name; a name without parentheses is a call without arguments.

    Returns:
        What it makes: a utility, or a number.

    Raises:
        InputError: What is not understood, and what would be.
    """
    if len(text) > LONGEST:
        _refuse(text, f"a formula of more than {LONGEST} characters")
    try:
        tree = ast.parse(text.strip(), mode="eval")
        return _value(tree.body, text, names)
    except (SyntaxError, RecursionError, MemoryError, ValueError) as error:
        if isinstance(error, InputError):
            raise
        _refuse(text, "text that cannot be read")


def _value(node: ast.AST, text: str, names: Mapping[str, Callable[..., Any]]) -> Any:
    def read(part: ast.AST) -> Any:
        return _value(part, text, names)

    match node:
        case ast.Constant(value=None):
            return None
        case ast.Constant(value=bool() | str() | bytes() | complex()):
            _refuse(text, _part(node))
        case ast.Constant(value=number):
            return number
        case ast.Name(id=name):
            return create(name, names)
        case ast.Call(func=ast.Name(id=name), args=given, keywords=named):
            if any(isinstance(x, ast.Starred) for x in given) or any(
                x.arg is None for x in named
            ):
                _refuse(text, _part(node))
            values = {str(x.arg): read(x.value) for x in named}
            return create(name, names, *map(read, given), **values)
        case ast.UnaryOp(op=ast.USub(), operand=operand):
            return -_operand(read(operand), operand, text)
        case ast.UnaryOp(op=ast.UAdd(), operand=operand):
            return _operand(read(operand), operand, text)
        case ast.BinOp(left=left, op=op, right=right) if type(op) in OPERATIONS:
            pair = (_operand(read(x), x, text) for x in (left, right))
            try:
                return OPERATIONS[type(op)](*pair)
            except (TypeError, ZeroDivisionError, OverflowError):
                _refuse(text, _part(node))
    return _refuse(text, _part(node))


def _operand(value: Any, node: ast.AST, text: str) -> Any:
    if value is None:
        _refuse(text, _part(node))
    return value


def _part(node: ast.AST) -> str:
    return f'the part "{ast.unparse(node)}"'


def _refuse(text: str, place: str) -> NoReturn:
    allowed = "utilities by name, numbers, + - * and / by a number"
    fail("utility", text, f"in {place}", allowed, EXAMPLE)


def create(
    name: str, names: Mapping[str, Callable[..., Any]], *given: Any, **named: Any
) -> Any:
    """Call a factory by name; a wrong name or argument is refused in words.

    Args:
        name: Its name.
        names: Factories by name.
        *given: Arguments in order.
        **named: Arguments by name.
    """
    if name not in names:
        unknown(name, names)
    parameters = inspect.signature(names[name]).parameters
    spare = [key for key in named if key not in parameters]
    doubled = [key for key in list(parameters)[: len(given)] if key in named]
    missing = [
        key
        for key, parameter in list(parameters.items())[len(given) :]
        if parameter.default is parameter.empty and key not in named
    ]
    got = ""
    if len(given) > len(parameters):
        got = f"{len(given)} arguments"
    elif spare or doubled:
        got = f"the argument {(spare or doubled)[0]}{'' if spare else ' twice'}"
    elif missing:
        got = f"no {missing[0]}"
    if got:
        allowed = f"the arguments {', '.join(parameters)}" if parameters else "no arguments"
        near = closest(spare[0], parameters) if spare else None
        values = ", ".join(f"{key}=..." for key in parameters)
        fix = f"did you mean {near}=?" if near else f"{name}({values})"
        fail("utility", Phrase(got), f"in {name}", allowed, fix)
    return names[name](*given, **named)


def unknown(name: str, names: Mapping[str, Callable[..., Any]]) -> NoReturn:
    """Refuse a name, with the nearest one that exists."""
    near = ELSEWHERE.get(name.casefold()) or closest(name, names)
    fix = f'did you mean "{near}"?' if near else EXAMPLE
    fail("utility", name, "", listing(sorted(names), 20, "or"), fix)
