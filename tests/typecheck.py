"""The runtime type checker of the tests: beartype, int accepted where float is written.

Constructors are left alone: records check what people give them at their own door, with
messages that the tests must see.
"""

from beartype import BeartypeConf, beartype

_check = beartype(conf=BeartypeConf(is_pep484_tower=True))


def check(function):
    """Check the annotations of a function on every call."""
    return function if function.__name__ == "__init__" else _check(function)
