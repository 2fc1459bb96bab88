"""The runtime type checks of the tests: beartype, int accepted where float is written.

Names of axes must agree within a call, which jaxtyping sees to; that wrapper takes longer
than most functions do, so it goes around those whose annotations name axes and no others.
Functions made within a call are checked only where they name axes, as checks are compiled
each time one is made. Constructors are left alone: records check what people give them at
their own door, with messages that the tests must see.
"""

import functools
import typing
from types import FunctionType

import jaxtyping
from beartype import BeartypeConf, beartype

check = beartype(conf=BeartypeConf(is_pep484_tower=True))
_theirs = jaxtyping.jaxtyped


def names_axes(annotation: object) -> bool:
    """Whether there is an array with named axes somewhere within an annotation."""
    if isinstance(annotation, typing.TypeAliasType):
        return names_axes(annotation.__value__)
    if isinstance(annotation, type) and issubclass(annotation, jaxtyping.AbstractArray):
        return True
    parts = annotation if isinstance(annotation, list) else typing.get_args(annotation)
    text = isinstance(annotation, str) and "[" in annotation
    return text or any(map(names_axes, parts))


def jaxtyped(*things, typechecker):
    """In place of jaxtyping's decorator of this name: for functions that name axes."""
    if not things:
        return functools.partial(jaxtyped, typechecker=typechecker)
    (thing,) = things
    if not isinstance(thing, FunctionType) or thing.__name__ == "__init__":
        return thing
    if any(map(names_axes, thing.__annotations__.values())):
        return _theirs(thing, typechecker=typechecker)
    return thing if "<locals>" in thing.__qualname__ else _switched(thing, typechecker)


def _switched(function, typechecker):
    """A checked function, unless jaxtyping is told to leave checks out."""
    careful = typechecker(function)

    @functools.wraps(function)
    def call(*args, **named):
        off = jaxtyping.config.jaxtyping_disable
        return (function if off else careful)(*args, **named)

    return call
