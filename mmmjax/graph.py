"""Structure: what a spec makes of the data, as a graph of named nodes.

The program (:mod:`mmmjax.model`) samples exactly the parameters drawn here; a test compares
the two, so that text and picture cannot drift from what is fitted.
"""

import dataclasses
import re
import textwrap
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pandas as pd

from mmmjax.arguments import checked
from mmmjax.likelihood import OUTCOME
from mmmjax.panel import Panel
from mmmjax.prior import DataValue, Prior, Site
from mmmjax.response import sizes_of
from mmmjax.scaling import spend_share
from mmmjax.shapes import CHANNEL, CONTROL, DATE, FOURIER, GEO
from mmmjax.spec import Spec, hyperparameters

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
        notes: Scales, one line each.
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
        rows = [("parameter", "values", "prior")]
        rows += [
            (node.name, dims_of(node), node.text)
            for node in self.of_kind("parameter", "derived")
        ]
        return "\n".join([*lines, *(f"  {line}" for line in _aligned(rows))])


@checked
def structure(spec: Spec, panel: Panel | None = None) -> Structure:
    """Nodes and edges of the model that a spec describes.

    Args:
        spec: The model.
        panel: The training panel; without it sizes are unknown, and the model is drawn
            with media and controls.
    """
    known = {FOURIER: 2 * spec.seasonality.order if spec.seasonality else 0}
    sizes = sizes_of(panel, spec) if panel else known
    name = panel.outcome_name if panel else "outcome"
    made = _Maker(dict(sizes) | ({DATE: panel.n_periods} if panel else {}))
    for site in spec.sites(sizes):
        made.parameter(site)
    derived = dict(spec.likelihood.formula())
    law = derived.pop(OUTCOME)
    for one, text in derived.items():
        made.add(one, "derived", spec.dims(one), text, made.named(text))
    terms = ["intercept", *_contributions(made, spec, sizes)]
    summed = ("channel_contribution", "control_contribution")
    text = " + ".join(f"sum({term})" if term in summed else term for term in terms)
    made.add("mu", "part", (GEO, DATE), text, terms)
    made.add(OUTCOME, "outcome", (GEO, DATE), law, made.named(law))
    nodes = sorted(made.nodes, key=lambda node: _ORDER[node.kind])
    return Structure(tuple(nodes), tuple(made.edges), made.sizes, name, _scales(spec))


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
        """Add what is sampled; a nested prior's parameter is derived from its offset."""
        if not site.offset:
            self.add(site.name, "parameter", site.dims, _law(site.name, site.prior), [])
            return
        name = site.name.removesuffix("_offset")
        nested = {key: f"{name}_{key}" for key in site.prior.nested}
        self.add(site.name, "parameter", site.dims, _standard(site.prior), [])
        text = _law(name, site.prior)
        self.add(name, "derived", site.dims, text, [*nested.values(), site.name])


def _contributions(made: _Maker, spec: Spec, sizes: Mapping[str, int]) -> list[str]:
    """Add the terms of the mean besides the intercept; return their names."""
    present, terms, over = spec.present(sizes), [], (GEO, DATE)
    if spec.trend:
        made.add("time", "data", (DATE,), "0 to 1 over training", [])
        text = "trend_slope * time"
        made.add("trend_contribution", "part", over, text, ["trend_slope", "time"])
        terms.append("trend_contribution")
    if "saturation_beta" in present:
        made.add("media", "data", (GEO, CHANNEL, DATE), "", [])
        steps = [("adstock", spec.adstock), ("saturation", spec.saturation)]
        last = "media"
        for step, record in steps if spec.adstock_first else reversed(steps):
            takes = [last, *record.parameters]
            numbers = [f"{name}={x}" for name, x in dataclasses.asdict(record).items()]
            text = f"{type(record).__name__}({', '.join([*takes, *numbers])})"
            made.add(step, "part", (GEO, CHANNEL, DATE), text, takes)
            last = step
        text, dims = f"saturation_beta * {last}", (GEO, CHANNEL, DATE)
        made.add("channel_contribution", "part", dims, text, ["saturation_beta", last])
        terms.append("channel_contribution")
    if "gamma_control" in present:
        made.add("controls", "data", (GEO, CONTROL, DATE), "", [])
        text, dims = "gamma_control * controls", (GEO, CONTROL, DATE)
        made.add("control_contribution", "part", dims, text, ["gamma_control", "controls"])
        terms.append("control_contribution")
    if "gamma_fourier" in present:
        waves = f"{sizes[FOURIER] // 2} yearly sine and cosine pairs"
        made.add("fourier", "data", (FOURIER, DATE), waves, [])
        text = f"gamma_fourier * fourier ({waves})"
        parents = ["gamma_fourier", "fourier"]
        made.add("seasonality_contribution", "part", over, text, parents)
        terms.append("seasonality_contribution")
    return terms


def data_priors(spec: Spec, panel: Panel) -> pd.DataFrame:
    """What the data-derived hyperparameters, such as spend_share, make of the priors.

    Returns:
        One row for each parameter, hyperparameter and channel: parameter, hyperparameter,
        source, channel, value (of the hyperparameter), median and upper (95th percentile)
        of the prior, scaled units; NaN where the family has no quantile function.
    """
    sizes = sizes_of(panel, spec)
    needed = spec.data_values(sizes)
    known = {"spend_share": spend_share}
    data = {name: known[name](panel) for name in needed}
    hyper = hyperparameters(spec, sizes, data) if needed else {}
    rows = []
    for site in spec.sites(sizes):
        for key, value in site.prior.params:
            if not isinstance(value, DataValue):
                continue
            numbers = hyper
            for part in site.path:
                numbers = numbers[part]
            ends = [_quantile(site, numbers, q, sizes[CHANNEL]) for q in (0.5, 0.95)]
            columns = zip(panel.channels, data[value.name], *ends, strict=True)
            rows += [
                (site.path[0], key, value.name, channel, float(number), *quantiles)
                for channel, number, *quantiles in columns
            ]
    names = ["parameter", "hyperparameter", "source", "channel", "value", "median", "upper"]
    return pd.DataFrame(rows, columns=names)


def _quantile(
    site: Site, numbers: Mapping[str, Any], q: float, channels: int
) -> list[float]:
    if site.offset:
        return [float("nan")] * channels
    try:
        found = site.prior.distribution(numbers).icdf(np.float32(q))
    except (NotImplementedError, ImportError):  # some quantiles need another package
        return [float("nan")] * channels
    return np.broadcast_to(np.asarray(found, float), (channels,)).tolist()


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
    parts = [f"{key}={fixed.get(key, value)}" for key, value in prior.params]
    return f"{prior.base}({', '.join(parts)})"


def _scales(spec: Spec) -> tuple[str, ...]:
    def largest(kind: str) -> str:
        most = "its largest training value" + (" in the geo" if kind == "geo" else "")
        return most + (", one outlier apart" if spec.scale == "robust" else "")

    outcome, media = largest(spec.outcome_scale), largest(spec.media_scale)
    if outcome == media:
        return (f"units: outcome and each channel's media, divided by {outcome}",)
    return (f"units: outcome / {outcome}, each channel's media / {media}",)


def dims_of(node: Node) -> str:
    """``7 by channel``; ``by channel`` if sizes are unknown."""
    over = f"by {', '.join(node.dims)}" if node.dims else ""
    size = "" if node.size is None else f"{node.size:,}"
    return f"{size} {over}".strip()


def _aligned(rows: Iterable[tuple[str, ...]]) -> list[str]:
    """Rows of text in columns."""
    table = list(rows)
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    padded = [[f"{text:<{n}}" for text, n in zip(r, widths, strict=True)] for r in table]
    return ["  ".join(row).rstrip() for row in padded]


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'
