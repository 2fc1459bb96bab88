"""Arguments of public functions: each is of the kind that its annotation says, or refused.

:func:`checked` reads the annotations, so that no function writes these checks itself. What
a value must be beyond its kind (a range, a name of the panel) stays the function's affair.
"""

import functools
import inspect
import numbers
import types
import typing
from abc import ABCMeta
from collections import abc
from collections.abc import Callable, Mapping
from decimal import Decimal
from itertools import zip_longest
from typing import Any, Literal, NoReturn

import numpy as np
import pandas as pd
import xarray as xr

from mmmjax.checks import Phrase, closest, fail, integer, listing, show

__all__ = ["MAKE", "bound", "checked", "complete", "kind_of", "meant", "named"]

type Kinds = tuple[Any, ...]

MAKE = {  # how a person comes by what is asked for
    "Adstock": "mm.adstock.Geometric(max_lag=8)",
    "Backtest": "cv = mm.backtest(spec, panel)",
    "DataFrame": "a table such as mm.tables.channels(fit)",
    "Dataset": "what a function such as mm.roas(fit) returned",
    "Draws": "fit.draws",
    "Figure": "figure = mm.plot.roas(fit)",
    "Fit": 'fit = mm.fit(spec, panel), or fit = mm.load("run/fit.nc")',
    "Fleet": 'fleet = mm.open_fleet("runs/x")',
    "Fourier": "mm.seasonality.Fourier(order=2), or None for none",
    "Likelihood": "mm.likelihood.Normal()",
    "Moving": "mm.moving.Process()",
    "Panel": 'panel = mm.Panel.from_frame(df, date="...", outcome="...", media=[...])',
    "Plan": "plan = mm.optimize(fit, budget=..., periods=...)",
    "Prior": 'one prior a parameter, mm.Prior("HalfNormal", scale=0.5); a list such as '
    "scale=[0.5, 0.2] has a number for each channel, in their order",
    "Saturation": "mm.saturation.Logistic()",
    "Scale": "fit.scale",
    "Spec": "spec = mm.Spec()",
    "Structure": "mm.structure(spec, panel)",
    "Term": "mm.terms.Piecewise()",
}
MAKE |= {
    n: f"mm.{n}()"
    for n in ("NUTS", "HMC", "Laplace", "Pathfinder", "ChEES", "MCLMC", "MEADS", "SMC")
}
WORDS = {
    "str": "text",
    "bool": "True or False",
    "int": "a whole number",
    "float": "a number",
    "NoneType": "None",
    "dict": "a dict",
    "Mapping": "a dict",
    "Callable": "a function",
    "PathLike": "a path",
    "Path": "a path",
    "ndarray": "an array",
    "tuple": "a tuple",
    "HMC": "an HMC",
    "MCLMC": "an MCLMC",
    "SMC": "an SMC",
    "Sequence": "a list",
    "Iterable": "a list",
    "Collection": "a list",
    "bytes": "bytes",
}
TABLES = (pd.DataFrame, xr.Dataset, xr.DataArray, xr.DataTree)
MANY = (list, tuple, np.ndarray, abc.Sequence, abc.Iterable, abc.Collection)
ONE = (str, bytes, Mapping, *TABLES)
WHOLE = {"seed": 2**63 - 1, "memory": None}  # whole numbers in all that take them
SPACES = ("adstock", "saturation", "seasonality", "constraints", "utility")
SELF = ("self", "cls")
KEYWORD = inspect.Parameter.KEYWORD_ONLY
TAKES_MANY = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)


def checked[F: Callable[..., Any]](thing: F, *, kinds: bool = True) -> F:
    """Decorate a public function or class: its arguments are of the kinds it annotates.

    Args:
        thing: The function or class.
        kinds: False where it looks at its values itself, and only their names are checked.

    Raises:
        InputError: From a call, before anything is done: which argument (of another kind,
            unknown, missing, twice), what was got, what it takes, how to come by that.
    """
    if isinstance(thing, type):
        record: Any = thing
        record.__init__ = checked(record.__init__, kinds=kinds)
        return typing.cast(F, thing)
    home = thing.__module__.rpartition(".")[2]
    place = f"{home}.{thing.__qualname__}" if home in SPACES else thing.__qualname__

    @functools.cache
    def known() -> tuple[inspect.Signature, dict[str, Kinds]]:
        hints, parameters = typing.get_type_hints(thing), []
        for p in inspect.signature(thing).parameters.values():
            inside = typing.get_args(hints.get(p.name, Any))
            if p.kind is p.VAR_KEYWORD and inside:  # Unpack of a TypedDict: each by name
                hints |= (more := typing.get_type_hints(inside[0]))
                parameters += [p.replace(name=n, kind=KEYWORD, default=...) for n in more]
            else:
                parameters.append(p)
        each = {
            p.name: _alternatives(hints.get(p.name, Any))
            for p in parameters
            if p.kind not in TAKES_MANY
        }
        return inspect.Signature(parameters), each

    @functools.wraps(thing)
    def door(*args: Any, **named: Any) -> Any:
        signature, each = known()
        given = bound(place, signature, each, args, named)
        for name, allowed in each.items() if kinds else ():
            if name in given and not any(_is(given[name], kind) for kind in allowed):
                default = signature.parameters[name].default
                none = default is signature.empty or default is ...
                _refuse(place, name, each, given, "" if none else f"{name}={default!r}")
        complete(place, signature, each, given)
        plain: dict[str | None, Any] = {}  # an array of names as a list, a Series as a dict
        for name, x in given.items() if kinds else ():
            if name in WHOLE:
                fix = f"leave {name} out"
                plain[name] = integer(name, x, low=0, high=WHOLE[name], fix=fix)
                continue
            of = {typing.get_origin(k) or k: typing.get_args(k) for k in each.get(name, ())}
            names = any(of.get(many, ())[:1] == (str,) for many in MANY)
            if isinstance(x, pd.Series) and {dict, Mapping} & of.keys():
                plain[name] = dict(x.items())
            elif names and isinstance(x, np.ndarray | pd.Index | pd.Series):
                plain[name] = x.tolist()
        places = [*signature.parameters][: len(args)]
        args = tuple(plain.get(n, x) for n, x in zip_longest(places, args))
        return thing(*args, **{n: plain.get(n, x) for n, x in named.items()})

    return typing.cast(F, door)


named = functools.partial(checked, kinds=False)
"""Decorate a public record that looks at its values itself."""


def bound(
    function: str,
    signature: inspect.Signature,
    kinds: Mapping[str, Kinds],
    args: tuple[Any, ...],
    named: Mapping[str, Any],
) -> dict[str, Any]:
    """The arguments of a call by name; some may be missing.

    Raises:
        InputError: An argument that the function does not have, or has twice.
    """
    try:
        return signature.bind_partial(*args, **named).arguments
    except TypeError:  # said in the house's words
        _unbound(function, signature, kinds, args, named)


def _unbound(
    function: str,
    signature: inspect.Signature,
    kinds: Mapping[str, Kinds],
    args: tuple[Any, ...],
    named: Mapping[str, Any],
) -> NoReturn:
    """Say which argument a function does not have, or has twice."""
    takes = [p.name for p in signature.parameters.values() if p.kind not in TAKES_MANY]
    places = [n for n in takes if signature.parameters[n].kind is not KEYWORD]
    order = [*places[: len(args)], *named]
    own = [n for n in takes if n not in SELF]
    allowed = f"the arguments {listing(map(Phrase, own), 40)}" if own else "no argument"
    for name in (n for n in named if n not in takes):
        of = (  # a setting of a record that another argument takes
            f"{p}=mm.{kind.__name__}({name}=...)"
            for p, all_kinds in kinds.items()
            for kind in all_kinds
            if name in getattr(kind, "__dataclass_fields__", ())
            and MAKE.get(kind.__name__) == f"mm.{kind.__name__}()"
        )
        near = closest(name, own)
        fix = next(of, f"did you mean {near}?" if near else "leave it out")
        fail(name, kind_of(named[name]), f"in {_call(function, order)}", allowed, fix)
    if len(args) > len(places):
        got = Phrase(f"{len(args)} arguments without a name")
        most = [n for n in places if n not in SELF]
        fix = f"give the others by name: {own[-1]}=..." if own else "leave them out"
        of_those = f"{len(most)} ({', '.join(most)})" if most else "none"
        fail("arguments", got, f"in {_call(function, order)}", of_those, fix)
    name = next(n for n in named if n in places[: len(args)])
    got = Phrase("two values, one by its place and one by its name")
    fail(name, got, f"in {_call(function, order)}", "one value", "leave one out")


def complete(
    function: str,
    signature: inspect.Signature,
    kinds: Mapping[str, Kinds],
    given: Mapping[str, Any],
    remedy: str = "",
) -> None:
    """Refuse a call without an argument that has no default.

    Raises:
        InputError: Which is missing, what it takes, how to come by that.
    """
    for name, p in signature.parameters.items():
        if name in given or p.default is not p.empty or p.kind in TAKES_MANY:
            continue
        allowed = kinds.get(name, ())
        taken = listing(map(Phrase, dict.fromkeys(map(_named, allowed))), 12, "or")
        names = [getattr(kind, "__name__", "") for kind in allowed]
        how = next((MAKE[n] for n in names if n in MAKE), f"{name}=...")
        where = f"in {_call(function, given)}"
        fail(name, Phrase("nothing"), where, taken or "a value", remedy or how)


def _call(function: str, names: abc.Iterable[str]) -> str:
    """A call as a person writes it."""
    name = function.removesuffix(".__init__")
    if name.endswith("_table"):
        name = f"tables.{name.removesuffix('_table')}"
    return f"mm.{name}({', '.join(n for n in names if n not in SELF)})"


def kind_of(value: Any) -> Phrase:
    """What a value is, in words: "a Panel", "a DataFrame", a plain one as it is."""
    if value is None or isinstance(value, str | numbers.Number):
        return Phrase(show(value))
    if isinstance(value, type):
        return Phrase(f"the class {value.__name__}")
    return Phrase(_named(type(value)))


def meant(base: type, value: Any) -> str:
    """How a person writes the record that is meant by its class, its kind or a table of it.

    Args:
        base: What the records derive from.
        value: What was given in place of one.

    Returns:
        As in ``"mm.adstock.Delayed()"``; empty where none is meant.
    """
    every = [base]
    for one in every:
        every += one.__subclasses__()
    own = [cls for cls in every if isinstance(vars(cls).get("kind"), str)]
    own.sort(key=_ours)  # of two of one name the library's
    kinds = {cls.__name__: cls for cls in own} | {cls.kind: cls for cls in own}
    word = value.get("kind") if isinstance(value, Mapping) else value
    near = closest(word.replace(" ", "_"), kinds) if isinstance(word, str) else None
    cls = kinds.get(near or getattr(word, "kind", None))
    if cls is None or not (near or cls is word):
        return ""
    home = MAKE[base.__name__].partition("(")[0].rpartition(".")[0] if _ours(cls) else ""
    told = value if isinstance(value, Mapping) else {}
    settings = ", ".join(f"{key}={x!r}" for key, x in told.items() if key != "kind")
    return f"{home}.{cls.__name__}({settings})".removeprefix(".")


def _named(kind: Any) -> str:
    """A kind in words, with its article."""
    name = getattr(typing.get_origin(kind) or kind, "__name__", str(kind))
    return WORDS.get(name) or f"{'an' if name[0] in 'AEIOUaeiou' else 'a'} {name}"


def _alternatives(hint: Any) -> Kinds:
    """The kinds that an annotation names."""
    if isinstance(hint, typing.TypeAliasType):
        return _alternatives(hint.__value__)
    if typing.get_origin(hint) in (typing.Union, types.UnionType):
        return tuple(one for part in typing.get_args(hint) for one in _alternatives(part))
    return (hint,)


def _is(value: Any, kind: Any) -> bool:
    """Whether a value is of a kind; kinds that are not told apart here take everything."""
    origin, inside = typing.get_origin(kind) or kind, typing.get_args(kind)
    if origin is Literal:
        return isinstance(value, type(inside[0]))
    if origin in (int, float):  # a number of any library, a dimensionless array too
        real = isinstance(value, numbers.Real | Decimal)
        return real or getattr(value, "ndim", None) == 0
    if origin is bool:
        return isinstance(value, bool | np.bool_)
    if origin is abc.Callable:
        return callable(value)
    if origin in MANY:
        one = isinstance(value, ONE[1:] if inside[:1] in ((str,), (Any,)) else ONE)
        many = isinstance(value, abc.Iterable) and getattr(value, "ndim", 1) > 0
        return many and not one and not _wrong(value, kind)
    if origin in (dict, Mapping):
        return isinstance(value, Mapping | pd.Series) and not _wrong(value, kind)
    # the others that isinstance tells; not those of jaxtyping, which look at shapes
    return type(origin) not in (type, ABCMeta) or isinstance(value, origin)


def _wrong(value: Any, kind: Any) -> tuple[Any, Any, Kinds] | None:
    """First member of a list or dict, with its key, that is not a record it takes."""
    inside = [one for one in typing.get_args(kind) if one is not Ellipsis]
    allowed = _alternatives(inside[-1]) if inside else ()
    if not allowed or not all(map(_ours, allowed)) or _ours(type(value)):
        return None  # a fleet reads each fit from its folder
    if not isinstance(value, abc.Sequence | Mapping):
        return None
    pairs: Any = value.items() if isinstance(value, Mapping) else enumerate(value)
    return next(
        (
            (key, member, allowed)
            for key, member in pairs
            if not any(_is(member, one) for one in allowed)
        ),
        None,
    )


def _ours(kind: Any) -> bool:
    return isinstance(kind, type) and kind.__module__.startswith("mmmjax")


def _refuse(
    function: str,
    name: str,
    kinds: Mapping[str, Kinds],
    given: Mapping[str, Any],
    usual: str,
) -> NoReturn:
    """Say what was got, what is taken, and the remedy that fits both."""
    value, allowed, field = given[name], kinds[name], name
    for kind in kinds[name]:
        takes = (dict, Mapping) if isinstance(value, Mapping) else MANY
        takes = () if isinstance(value, str) else takes
        inside = (typing.get_origin(kind) or kind) in takes and _wrong(value, kind)
        if inside:
            key, value, allowed = inside
            field = f"{name}[{show(key)}]"
            break
    call, name_of = _call(function, given), function.removesuffix(".__init__")
    classes = tuple(kind for kind in allowed if isinstance(kind, type))
    names = [kind.__name__ for kind in classes]
    fix = next((MAKE[n] for n in names if n in MAKE), usual or MAKE.get(name_of, ""))
    held: Any = vars(value) if _ours(type(value)) and hasattr(value, "__dict__") else {}
    parts = [
        n for n, part in held.items() if _ours(type(part)) and isinstance(part, classes)
    ]
    word = value.__name__ if isinstance(value, type) else value
    near = closest(word, [n for n in names if n in MAKE]) if isinstance(word, str) else ""
    inside = [k for kind in allowed for k in (kind, *typing.get_args(kind)) if _ours(k)]
    record = next((r for k in inside if k.__name__ in MAKE and (r := meant(k, value))), "")
    fit = next((n for n, other in given.items() if type(other).__name__ == "Fit"), "")
    if (
        value is not None
        and field == name
        and any(
            any(_is(value, kind) for kind in kinds[n])
            and any(_is(other, kind) for kind in allowed)
            for n, other in given.items()
            if n in kinds and n not in (name, "self")
        )
    ):
        fix = f"swap them: {call}"
    elif parts:
        fix = f"pass its {parts[0]}: {type(value).__name__.lower()}.{parts[0]}"
    elif near:
        fix = MAKE[near]
    elif record and not classes:  # one in place of several
        fix = f"{name}=({record},)"
    elif record:
        fix = record
    elif classes == (bool,):
        off = str(value).casefold() in ("", "0", "no", "off", "false", "none", "nan")
        fix = f"{name}={not off}"
    elif field == name and any(
        _is([value], kind) and _ours(type(value)) and typing.get_args(kind)
        for kind in kinds[name]
        if (typing.get_origin(kind) or kind) in MANY
    ):
        fix = f"put it in a list: {name}=[...]"
    elif _ours(type(value)) and any(
        (typing.get_origin(kind) or kind) in (dict, Mapping)
        and any(_is(value, one) for one in typing.get_args(kind)[1:])
        for kind in kinds[name]
    ):
        fix = f'name it: {name}={{"north": ...}}'
    elif fit and fix == MAKE["Panel"]:
        fix = f"{fit}.panel.read_future(df) reads later periods without an outcome; with "
        fix += f"one, {MAKE['Panel']}"
    taken = listing(map(Phrase, dict.fromkeys(map(_named, allowed))), 12, "or")
    fail(field, kind_of(value), f"in {call}", taken, fix)
