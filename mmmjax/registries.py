"""Kinds of one's own, registered by name; and the list of all."""

from typing import Any

from mmmjax.arguments import checked, kind_of
from mmmjax.budget.utility import UTILITIES, Utility
from mmmjax.checks import Phrase, fail, listing
from mmmjax.facts import FACTS, ROLE, Fact, check_facts
from mmmjax.roles import ROLES, check_class, same
from mmmjax.spec import Spec
from mmmjax.terms import Media

__all__ = ["register", "registry"]

OURS = frozenset(UTILITIES)


def register[T: type | Utility](thing: T) -> T:
    """Make a kind of your own known by its name, to files and to text.

    Args:
        thing: A frozen dataclass with a ``kind``, derived from ``mm.adstock.Adstock``,
            ``mm.saturation.Saturation``, ``mm.terms.Term``, ``mm.moving.Moving``,
            ``mm.likelihood.Likelihood`` (every field with a default) or ``mm.facts.Fact``:
            write ``@mm.register`` above it; or a ``mm.utility.custom(...)``, which text
            then finds by its name.

    Returns:
        The same.

    Raises:
        InputError: Another thing; a kind that is taken; what it lacks.
    """
    if isinstance(thing, Utility):
        _utility(thing)
        return thing
    cls: Any = thing
    if isinstance(cls, type) and issubclass(cls, Fact):
        check_facts([cls])
        FACTS[cls.kind] = cls
        return thing
    found = [
        name
        for name, role in ROLES.items()
        if isinstance(thing, type) and issubclass(thing, role.base)
    ]
    if not found:
        every = (*ROLES.values(), ROLE)
        bases = [f"{r.home}.{r.base.__name__}" for r in every]
        allowed = f"a class that derives from {listing(map(Phrase, bases), 6, 'or')}, or a "
        fix = "class Hill(mm.saturation.Saturation)"
        allowed += "mm.utility.custom(...)"
        if any(isinstance(thing, role.base) for role in every):
            fix = f"mm.register({type(thing).__name__}), the class itself"
        fail("thing", kind_of(thing), "in mm.register(thing)", allowed, fix)
    name = found[0]
    check_class(name, cls)
    part: dict[str, Any] = {"terms": (cls(),)} if name == "term" else {name: cls()}
    if name == "moving":
        part = {"terms": (Media(moving=cls()),)}
    Spec(**part)
    ROLES[name].kinds[cls.kind] = cls
    return thing


def _utility(made: Utility) -> None:
    """Give a user's utility a name that text may use."""
    name, own = made.kind, getattr(made.function, "function", None)
    if own is None:
        got, fix = Phrase(f"{made}"), 'mm.utility.custom(function, name="cautious")'
        fail("thing", got, "in mm.register(thing)", "a utility of mm.utility.custom", fix)
    if not name.isidentifier():
        fix = 'mm.utility.custom(function, name="cautious")'
        fail("name", name, "in mm.register(thing)", "letters, digits and _", fix)
    before: Any = UTILITIES[name]().function if name in {*UTILITIES} - OURS else None
    if name in OURS or not (before is None or same(before.function, own)):
        allowed, fix = "a name of its own", f'name="{name}_2"'
        got = Phrase(f'"{name}", which is taken')
        fail("name", got, "in mm.register(thing)", allowed, fix)
    UTILITIES[name] = lambda: made


@checked
def registry() -> dict[str, dict[str, Any]]:
    """Every kind by role: adstock, saturation, likelihood, term, fact and utility.

    Returns:
        {role: {kind: its class, or the factory of a utility}}, built in and your own.
    """
    parts = {name: dict(role.kinds) for name, role in ROLES.items()}
    return parts | {"fact": dict(FACTS), "utility": dict(UTILITIES)}
