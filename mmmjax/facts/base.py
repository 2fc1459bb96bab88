"""What a fact is."""

import dataclasses
import datetime
from collections.abc import Iterable, Mapping
from typing import Any, ClassVar

import numpy as np
from jaxtyping import Array

from mmmjax.arrays import Arrays
from mmmjax.checks import Phrase, closest, fail, listing
from mmmjax.findings import Finding
from mmmjax.panel import Panel
from mmmjax.scaling import Scale
from mmmjax.spec import Spec

__all__ = ["Fact", "facts_from", "stacked"]


class Fact:
    """What every fact is: a frozen dataclass with these, its numbers its fields.

    The program adds :meth:`log_density` of every fact to the density of the outcome. It is
    compiled once for each number of facts of a kind; what differs are :meth:`arrays`.
    """

    kind: ClassVar[str]
    until: datetime.date | None
    """Day from which it is known; None: from before the data."""

    def check(self, panel: Panel) -> None:
        """Refuse a panel that it cannot be about."""

    def about(self, panel: Panel, geos: Iterable[str], channels: Iterable[str]) -> bool:
        """Whether it still holds of some geos and channels of a panel."""
        return True

    def without_unit(self, panel: Panel, spec: Spec) -> str:
        """Why a training panel gives its numbers no unit; empty where it does."""
        return ""

    def findings(self) -> tuple[Finding, ...]:
        """What is worth knowing before it is believed."""
        return ()

    def formula(self) -> str:
        """As the text of the model shows it."""
        return self.kind

    def arrays(self, panel: Panel, scale: Scale, spec: Spec) -> Mapping[str, np.ndarray]:
        """Its numbers in scaled units (NumPy), of the same shapes for all of its kind."""
        raise NotImplementedError

    @staticmethod
    def log_density(
        p: Mapping[str, Any], x: Mapping[str, Any], spec: Spec, inputs: Arrays
    ) -> Array:
        """Log density of what is known, scaled units, up to a constant: one number.

        Args:
            p: One draw of every parameter, by its full name.
            x: Its arrays.
            spec: The model, or its structure.
            inputs: Arrays of the panel: which term has which channel, how many geos.
        """
        raise NotImplementedError

    def to_dict(self) -> dict[str, Any]:
        """As plain text and numbers; what is None is left out."""
        fields = {f.name: getattr(self, f.name) for f in dataclasses.fields(self)}  # pyright: ignore
        fields = {name: value for name, value in fields.items() if value is not None}
        if self.until is not None:
            fields["until"] = str(self.until)
        return {"kind": self.kind} | fields


def facts_from(
    tables: Any, known: Mapping[str, type[Fact]], where: str
) -> tuple[Fact, ...]:
    """Facts of tables with the key "kind"."""
    if not isinstance(tables, list) or not all(isinstance(t, Mapping) for t in tables):
        fix = f'write [[{where}]] above kind = "{next(iter(known))}"'
        fail(where, tables, "", "a list of tables", fix)
    made = []
    for number, table in enumerate(tables, 1):
        if table.get("kind") not in tuple(known):
            got = table.get("kind", Phrase("none"))
            near = closest(got, known) or next(iter(known))
            fix = f'kind = "{near}"; one of your own: first import what registers it'
            fail(f"kind of {where} {number}", got, "", listing(known, last="or"), fix)
        cls = known[table["kind"]]
        made.append(cls(**{k: _tuples(v) for k, v in table.items() if k != "kind"}))
    return tuple(made)


def _tuples(value: Any) -> Any:
    return tuple(map(_tuples, value)) if isinstance(value, list) else value


def stacked(panel: Panel, scale: Scale, spec: Spec) -> dict[str, dict[str, np.ndarray]]:
    """Arrays of a panel's facts by kind, sorted, one row a fact; of no facts nothing."""
    rows: dict[str, list[Mapping[str, np.ndarray]]] = {}
    for fact in panel.facts:
        rows.setdefault(fact.kind, []).append(fact.arrays(panel, scale, spec))
    return {
        kind: {name: np.stack([one[name] for one in every]) for name in every[0]}
        for kind, every in sorted(rows.items())
    }
