"""Facts: what is known of the model beside the outcome, such as a lift test.

They ride on :attr:`mmmjax.Panel.facts` and go wherever the panel goes. To add one: a frozen
dataclass of :class:`Fact` in a file of its own, listed in :data:`FACTS`; or one of your own
with :func:`mmmjax.register` above it.
"""

import dataclasses
from collections.abc import Iterable

from mmmjax import checks
from mmmjax.checks import Phrase
from mmmjax.facts.base import Fact, facts_from, stacked
from mmmjax.facts.correlated import check_named, correlated
from mmmjax.facts.experiment import LiftTest
from mmmjax.facts.files import of_markets, of_table, of_tables
from mmmjax.facts.lift import Lift
from mmmjax.facts.returns import Return
from mmmjax.roles import Role, check_class

__all__ = [
    "FACTS",
    "ROLE",
    "Fact",
    "Lift",
    "LiftTest",
    "Return",
    "check_facts",
    "correlated",
    "of_markets",
    "of_table",
    "read",
    "stacked",
]


def __dir__() -> list[str]:
    """Public names only, for completion."""
    return list(__all__)


FACTS: dict[str, type[Fact]] = {fact.kind: fact for fact in (Lift, LiftTest, Return)}
"""Every fact by its kind."""

OURS = frozenset(FACTS.values())
WRITE = 'mm.facts.Lift("TV", x=..., delta_x=..., delta_y=..., sigma=...)'
ROLE = Role(Fact, FACTS, ("arrays", "log_density"), WRITE)


def check_facts(classes: Iterable[type]) -> None:
    """Refuse classes of facts that could not be used, saved or told from others."""
    role = ROLE._replace(kinds=dict(FACTS))
    for cls in set(classes) - OURS:
        check_class("fact", cls, role)
        role.kinds[cls.kind] = cls
        names = {f.name for f in dataclasses.fields(cls)}  # pyright: ignore
        if "until" not in names and not hasattr(cls, "until"):
            where, fix = (
                f"in class {cls.__qualname__}",
                "until: datetime.date | None = None",
            )
            checks.fail("until", Phrase("none"), where, "a field, or None for all", fix)


def read(tables: object, where: str = "facts") -> tuple[Fact, ...]:
    """Facts of tables as :meth:`Fact.to_dict` gives them and [[data.fact]] writes them."""
    found = facts_from(of_tables(tables), FACTS, where)
    check_named(found)
    return found
