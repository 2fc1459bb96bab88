"""What a fact is."""

import dataclasses
import datetime
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, ClassVar

import jax
import numpy as np
import pandas as pd
from jaxtyping import Array

from mmmjax.arrays import Arrays
from mmmjax.checks import Phrase, closest, fail, listing
from mmmjax.findings import Finding
from mmmjax.panel import Panel
from mmmjax.scaling import Scale
from mmmjax.spec import Spec

__all__ = ["Fact", "day_of", "facts_from", "stacked"]


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

    def within(self, dates: pd.DatetimeIndex, freq: str) -> bool:
        """Whether all periods that it is about are among some; a cut leaves others out."""
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

    @classmethod
    def stack(
        cls, facts: Sequence[Any], panel: Panel, scale: Scale, spec: Spec
    ) -> dict[str, np.ndarray]:
        """Arrays of all facts of the kind, one row each; of facts that know each other one.

        The density of a kind is the sum of :meth:`log_density` over the rows.
        """
        rows = [fact.arrays(panel, scale, spec) for fact in facts]
        return {name: np.stack([one[name] for one in rows]) for name in rows[0]}

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

    def dated(self, panel: Panel) -> "Fact":
        """The same with dates in it, where what it leaves out is the training window's."""
        return self

    def rows(self) -> list[dict[str, Any]]:
        """What the table of tests says of each of its results; of what is none nothing.

        "test" (its name), "channel", "geo", "start", "end", "of" (the unit), "result" and
        "error", as they are compared with :meth:`predicted`.
        """
        return []

    @staticmethod
    def predicted(
        p: Mapping[str, Any], x: Mapping[str, Any], spec: Spec, inputs: Arrays
    ) -> Array:
        """Results of a test by the model, in units of their errors; as log_density."""
        raise NotImplementedError

    @classmethod
    def log_densities(
        cls,
        p: Mapping[str, Any],
        held: Mapping[str, Any],
        rows: Mapping[str, Any],
        spec: Spec,
        data: Any,
    ) -> Array:
        """Log density of every fact of the kind, (row,): that of :meth:`log_density`.

        Args:
            p: One draw of every parameter, by its full name.
            held: The same as their sites hold them: see :meth:`placed`.
            rows: Their arrays, one row a fact.
            spec: The model, or its structure.
            data: The arrays of the program: ``inputs``, ``target``, ``hyper``.
        """
        law = cls.log_density
        return jax.vmap(lambda x: law(p, x, spec, data.inputs))(rows)

    @classmethod
    def replaces(
        cls, rows: Mapping[str, Any], spec: Spec, inputs: Arrays
    ) -> Mapping[str, Any]:
        """Members, True, of sampled sites whose own prior does not hold, by site."""
        return {}

    @classmethod
    def placed(
        cls, p: Mapping[str, Any], rows: Mapping[str, Any], spec: Spec, data: Any
    ) -> Mapping[str, Any]:
        """Parameters, by factors of what their sites hold, where that is another thing."""
        return {}

    @classmethod
    def drawn(
        cls, p: Mapping[str, Any], rows: Mapping[str, Any], spec: Spec, data: Any, key: Any
    ) -> Mapping[str, Any]:
        """A draw of the priors, of which the facts are a part; most are none."""
        return p

    def to_dict(self) -> dict[str, Any]:
        """As plain text and numbers; what is None is left out."""
        fields = {f.name: getattr(self, f.name) for f in dataclasses.fields(self)}  # pyright: ignore
        fields = {name: value for name, value in fields.items() if value is not None}
        days = {n: str(x) for n, x in fields.items() if isinstance(x, datetime.date)}
        return {"kind": self.kind} | fields | days


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


DATES = (datetime.date, np.datetime64)


def day_of(field: str, value: Any) -> datetime.date:
    """A date of a fact, as text the year first."""
    iso = value[4:5] == "-" if isinstance(value, str) else isinstance(value, DATES)
    day: Any = pd.to_datetime(value, errors="coerce") if iso else pd.NaT  # pyright: ignore
    if pd.isna(day):
        fix = f'{field.partition(" ")[0]}="2025-03-30"'
        fail(field, value, "", "a date such as 2025-03-30", fix)
    return day.date()


def _tuples(value: Any) -> Any:
    return tuple(map(_tuples, value)) if isinstance(value, list) else value


def stacked(panel: Panel, scale: Scale, spec: Spec) -> dict[str, dict[str, np.ndarray]]:
    """Arrays of a panel's facts by kind, sorted, one row a fact; of no facts nothing."""
    known: dict[str, list[Fact]] = {}
    for fact in panel.facts:
        known.setdefault(fact.kind, []).append(fact)
    return {
        kind: type(facts[0]).stack(facts, panel, scale, spec)
        for kind, facts in sorted(known.items())
    }
