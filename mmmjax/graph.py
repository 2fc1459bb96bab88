"""Structure: what a spec makes of the data, as a graph of named nodes.

The program (:mod:`mmmjax.model`) samples exactly the parameters drawn here; a test compares
the two, so that text and picture cannot drift from what is fitted.
"""

import re
import textwrap
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from typing import Any, Literal

import numpy as np
import pandas as pd

from mmmjax import words
from mmmjax.arguments import checked
from mmmjax.arrays import TIME
from mmmjax.likelihood import OUTCOME
from mmmjax.panel import Panel
from mmmjax.prepare import with_scales
from mmmjax.prior import FAMILIES, DataValue, Prior, Site
from mmmjax.shapes import CAMPAIGN, DATE, GEO
from mmmjax.spec import Spec, among
from mmmjax.terms import Media
from mmmjax.terms.columns import Columns

__all__ = ["Node", "Structure", "data_priors", "structure"]

Kind = Literal["data", "parameter", "derived", "part", "outcome"]
LISTED = 4  # numbers of a list in a prior's text; longer ones are counted
WIDTH = 100  # characters of a line of text
_ORDER = {"data": 0, "parameter": 1, "derived": 1, "part": 2, "outcome": 3}
_SHAPES = {
    "data": 'shape=box, style=filled, fillcolor="#f3f5f7"',
    "parameter": "shape=ellipse",
    "derived": "shape=ellipse, style=dashed",
    "part": 'shape=box, style="rounded"',
    "outcome": 'shape=ellipse, style=filled, fillcolor="#c3cad3"',
}


@dataclass(frozen=True)
class Node:
    """One quantity of the model.

    Args:
        name: As in results (``adstock_alpha``, ``channel_contribution``, ``mu``); the
            outcome is ``y``.
        kind: "data"; "parameter" (sampled from its prior); "derived" (computed from
            sampled ones, such as a parameter with a nested prior); "part" (of the mean);
            "outcome" (observed).
        dims: What it varies over, of geo, channel, control, fourier, date.
        size: How many numbers it has; None if the panel is not known.
        text: The prior, or the formula.
    """

    name: str
    kind: Kind
    dims: tuple[str, ...]
    size: int | None
    text: str


@dataclass(frozen=True)
class Structure:
    """The model as a graph; print it, draw it, or give ``dot()`` to graphviz.

    Args:
        nodes: Parents before children.
        edges: (from, to), names of nodes.
        sizes: Members of each dim, as far as they are known.
        outcome: What the outcome is called in the data.
        notes: Scales and facts, one line each.
    """

    nodes: tuple[Node, ...]
    edges: tuple[tuple[str, str], ...]
    sizes: Mapping[str, int]
    outcome: str = "outcome"
    notes: tuple[str, ...] = ()

    def label(self, node: Node) -> str:
        """Name of a node for people."""
        return self.outcome if node.kind == "outcome" else node.name

    def __getitem__(self, name: str) -> Node:
        """The node of this name."""
        return next(node for node in self.nodes if node.name == name)

    def of_kind(self, *kinds: Kind) -> tuple[Node, ...]:
        """Nodes of these kinds."""
        return tuple(node for node in self.nodes if node.kind in kinds)

    def parents(self, name: str) -> tuple[str, ...]:
        """Names of the nodes that this one is computed from directly."""
        return tuple(start for start, end in self.edges if end == name)

    @property
    def n_parameters(self) -> int | None:
        """How many numbers are sampled; None if the panel is not known."""
        sizes = [node.size for node in self.of_kind("parameter")]
        known = [size for size in sizes if size is not None]
        return sum(known) if len(known) == len(sizes) else None

    def dot(self) -> str:
        """The graph in the language of graphviz."""
        lines = ["digraph model {", "  rankdir=LR;", '  node [fontname="sans-serif"];']
        for node in self.nodes:
            label = "\n".join(filter(None, [self.label(node), node.text, dims_of(node)]))
            lines.append(f"  {_quoted(node.name)} [label={_quoted(label)}, "
                         f"{_SHAPES[node.kind]}];")  # fmt: skip
        lines += [f"  {_quoted(a)} -> {_quoted(b)};" for a, b in self.edges]
        return "\n".join([*lines, "}"]) + "\n"

    def __str__(self) -> str:
        """Formulas, then parameters with their priors and dims."""
        count = self.n_parameters
        lines = ["Model" + (f": {count:,} numbers to estimate" if count else "")]
        for node in reversed(self.of_kind("part", "outcome")):
            sign = "~" if node.kind == "outcome" else "="
            line = f"{self.label(node)} {sign} {node.text}"
            lines += textwrap.wrap(
                line, WIDTH, initial_indent="  ", subsequent_indent="      "
            )
        lines += [f"  {note}" for note in self.notes]
        heads = ("parameter ", "values ", "prior ")
        rows = [
            (node.name, dims_of(node), node.text)
            for node in self.of_kind("parameter", "derived")
        ]
        return "\n".join([*lines, *(f"  {line}" for line in words.lines(heads, rows))])


@checked
def structure(spec: Spec, panel: Panel | None = None) -> Structure:
    """Nodes and edges of the model that a spec describes.

    Args:
        spec: The model.
        panel: The training panel; without it sizes are unknown, and the model is drawn
            with media and controls.
    """
    sizes = spec.sizes(panel)
    spec = with_scales(among(spec, sizes), panel) if panel else among(spec, sizes)
    name = panel.outcome_name if panel else "outcome"
    made = _Maker(dict(sizes) | ({DATE: panel.n_periods} if panel else {}))
    for site in spec.sites(sizes):
        made.parameter(site)
    derived = dict(spec.likelihood.formula())
    law = re.sub(r"\bmu\b", spec.likelihood.between.back.format("mu"), derived.pop(OUTCOME))
    for one, text in derived.items():
        made.add(one, "derived", spec.dims(one), text, made.named(text))
    terms, texts = _contributions(made, spec, sizes)
    text = " + ".join(texts)
    made.add("mu", "part", (GEO, DATE), text, terms)
    made.add(OUTCOME, "outcome", (GEO, DATE), law, made.named(law))
    nodes = sorted(made.nodes, key=lambda node: _ORDER[node.kind])
    known = panel.facts if panel else ()
    count = panel.n_geos if panel else None
    notes = (*_scales(spec, count), *(f"{fact.kind} {fact.formula()}" for fact in known))
    return Structure(tuple(nodes), tuple(made.edges), made.sizes, name, notes)


class _Maker:
    """Collects nodes and edges."""

    def __init__(self, sizes: dict[str, int]) -> None:
        self.sizes, self.nodes, self.edges = sizes, list[Node](), list[tuple[str, str]]()

    def add(
        self,
        name: str,
        kind: Kind,
        dims: tuple[str, ...],
        text: str,
        parents: Iterable[str],
    ) -> None:
        """Add a node and the edges from its parents."""
        known = [self.sizes[d] for d in dims if d in self.sizes]
        size = int(np.prod(known, dtype=int)) if len(known) == len(dims) else None
        if self.sizes.get(GEO) == 1:  # one market: geo is no dim worth a word
            dims = tuple(d for d in dims if d != GEO)
        self.nodes.append(Node(name, kind, dims, size, text))
        self.edges += [(parent, name) for parent in parents]

    def named(self, text: str) -> list[str]:
        """Names of nodes in a formula."""
        known = {node.name for node in self.nodes}
        return [word for word in re.findall(r"\w+", text) if word in known]

    def parameter(self, site: Site) -> None:
        """Add what is sampled; a nested or pooled parameter is derived from its offset."""
        if not site.offset:
            self.add(site.name, "parameter", site.dims, _law(site.name, site.prior), [])
            return
        name, level = site.makes, site.level
        if level:
            self.add(site.name, "parameter", site.dims, _law(site.name, site.prior), [])
            inside = [level.above, level.spread, site.name]
            above = level.link.name.format(level.group or "typical")
            text = level.link.back.format(f"{above} + spread * offset")
            self.add(name, "derived", site.dims, text, inside)
            return
        nested = {key: f"{name}_{key}" for key in site.prior.nested}
        self.add(site.name, "parameter", site.dims, _standard(site.prior), [])
        text = _law(name, site.prior)
        self.add(name, "derived", site.dims, text, [*nested.values(), site.name])


def _contributions(
    made: _Maker, spec: Spec, sizes: Mapping[str, int]
) -> tuple[list[str], list[str]]:
    """Add the terms of the mean; return the names of their nodes, and as summands."""
    present, terms, texts = spec.present(sizes), [], []
    for term in spec.parts:
        names = {name: spec.full(term, name) for name in term.parameters()}
        some = {name: full for name, full in names.items() if full in present}
        if not some or (isinstance(term, Media) and some != names):
            continue
        names = some
        if not term.data and list(names) == [term.name]:  # the parameter itself
            terms.append(term.name)
            texts.append(term.name)
            continue
        dims = (GEO, *((spec.dim(term, term.over),) if term.over else ()), DATE)
        short = "" if list(names) == list(names.values()) else f"{term.name}."
        if isinstance(term, Media):
            step = f"{short}media"
            effect = spec.full(term, "campaign_effect")
            if effect in present:
                inside = f"{short}campaigns"
                over = (GEO, spec.dim(term, CAMPAIGN), DATE)
                made.add(inside, "data", over, "media of each", [])
                text = f"sum of {inside}, weights exp({effect}) of mean 1 in a channel"
                made.add(step, "part", dims, text, [inside, effect])
            else:
                made.add(step, "data", dims, "", [])
            for kernel, record in term.steps():
                takes = [step, *(names[name] for name in record.parameters())]
                step = f"{short}{kernel}"
                own: Any = record
                numbers = [f"{f.name}={getattr(own, f.name)}" for f in fields(own)]
                inside = ", ".join([*takes, *numbers])
                made.add(step, "part", dims, f"{type(record).__name__}({inside})", takes)
            last = [names["saturation_beta"], step]
            if term.moving:
                takes = [spec.full(term, n) for m in term.movers for n in m.parameters()]
                inside = f"exp(f) / its mean over training, f of {', '.join(takes)}"
                made.add(f"{short}multiplier", "part", dims, inside, takes)
                last.append(f"{short}multiplier")
            text = " * ".join(last)
        else:
            text, last = term.formula(), list(names.values())
            for name, (axes, words) in term.data.items():
                over = tuple(spec.dim(term, DATE if d == TIME else d) for d in axes)
                node = f"{term.name}.{name}" if isinstance(term, Columns) else short + name
                made.add(node, "data", over, words, [])
                last.append(node)
        node = f"{term.name}_contribution"
        made.add(node, "part", dims, text, last)
        terms.append(node)
        texts.append(f"sum({node})" if term.over else node)
    return terms, texts


def data_priors(spec: Spec, panel: Panel, hyper: Mapping[str, Any]) -> pd.DataFrame:
    """What the data-derived hyperparameters, such as media_share, make of the priors.

    Args:
        spec: The model.
        panel: The training panel.
        hyper: Numbers of its priors, as in ``ModelData``.

    Returns:
        One row for each parameter, hyperparameter and channel: parameter, hyperparameter,
        source, channel ("" of what has no dim), value (of the hyperparameter; of those of
        several geos the mean), median and upper (95th percentile) of the prior, scaled
        units; NaN where the value is the scale of something that is itself uncertain.
    """
    sizes, labels = spec.sizes(panel), spec.labels(panel)
    spec = among(spec, sizes)
    rows = []
    for site in spec.sites(sizes):
        for key, value in site.prior.params:
            if not isinstance(value, DataValue):
                continue
            numbers: Any = hyper
            for part in site.path:
                numbers = numbers[part]
            members = labels[site.dims[-1]] if site.dims else ("",)
            given = {k: np.atleast_2d(numbers[k]).mean(0) for k, _ in site.prior.params}
            ends = [np.full(len(members), np.nan)] * 2
            if not site.offset:
                made = FAMILIES[site.prior.family].quantile
                each = (made(q, **given) for q in (0.5, 0.95))
                ends = [np.broadcast_to(end, len(members)) for end in each]
            rows += [
                (site.path[0], key, value.name, channel, *map(float, found))
                for channel, *found in zip(members, given[key], *ends, strict=True)
            ]
    names = ["parameter", "hyperparameter", "source", "channel", "value", "median", "upper"]
    return pd.DataFrame(rows, columns=names)


def _law(name: str, prior: Prior) -> str:
    """A prior with the names of its nested hyperparameters in their place."""
    parts = []
    for key, value in prior.params:
        text = f"{value!r}"
        if isinstance(value, Prior):
            text = f"{name}_{key}"
        elif isinstance(value, tuple):
            some = [f"{v:g}" for v in value[:LISTED]]
            text = f"[{', '.join(some)}, ... {len(value)} numbers]"
            text = f"{list(value)}" if len(value) <= LISTED else text
        parts.append(f"{key}={text}")
    return f"{prior.family}({', '.join(parts)})"


def _standard(prior: Prior) -> str:
    fixed = {"loc": 0.0, "scale": 1.0}
    own = dict(prior.params)
    parts = [f"{k}={fixed.get(k, own.get(k))}" for k in FAMILIES[prior.base].names]
    return f"{prior.base}({', '.join(parts)})"


def _scales(spec: Spec, geos: int | None) -> tuple[str, ...]:
    several = " in the geo, if several" if geos is None else " in the geo" * (geos > 1)
    said = {"shared": "", "geo": " in the geo", "population": " per head", "auto": several}

    def largest(kind: str) -> str:
        most = "its largest training value" + said[kind]
        return most + (", one outlier apart" if spec.scale == "robust" else "")

    outcome, media = largest(spec.outcome_scale), largest(spec.media_scale)
    if outcome == media:
        return (f"units: outcome and media, divided by {outcome}",)
    return (f"units: outcome / {outcome}, each channel's media / {media}",)


def dims_of(node: Node) -> str:
    """``7 by channel``; ``by channel`` if sizes are unknown."""
    over = f"by {', '.join(node.dims)}" if node.dims else ""
    size = "" if node.size is None else f"{node.size:,}"
    return f"{size} {over}".strip()


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'
