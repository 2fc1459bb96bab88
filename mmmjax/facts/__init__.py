"""Facts: what is known of the model beside the outcome, such as a lift test.

They ride on :attr:`mmmjax.Panel.facts` and go wherever the panel goes. To add one: a frozen
dataclass of :class:`Fact` in a file of its own, listed in :data:`FACTS`.
"""

from mmmjax.facts.base import Fact, facts_from, stacked
from mmmjax.facts.lift import Lift

__all__ = ["FACTS", "Fact", "Lift", "read", "stacked"]


def __dir__() -> list[str]:
    """Public names only, for completion."""
    return list(__all__)


FACTS: dict[str, type[Fact]] = {fact.kind: fact for fact in (Lift,)}
"""Every fact by its kind."""


def read(tables: object, where: str = "facts") -> tuple[Fact, ...]:
    """Facts of tables as :meth:`Fact.to_dict` gives them and [[data.fact]] writes them."""
    return facts_from(tables, FACTS, where)
