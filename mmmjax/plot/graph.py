"""Picture of a model's structure: data and priors at the left, the outcome at the right."""

import textwrap
from typing import NamedTuple

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import FancyBboxPatch, Patch, PathPatch
from matplotlib.path import Path

from mmmjax.graph import Node, Structure, dims_of
from mmmjax.plot import canvas as c

__all__ = ["structure"]

SIZE = 8.0  # points
LINE, PAD = SIZE * 1.35 / 72, 0.07  # inches of a line of text and around it
ACROSS, DOWN = 0.38, 0.12  # inches between layers and between rows
WRAP = 28  # characters
FILL = {"data": c.TINT, "parameter": "#FFF6E5", "derived": "#FFF6E5", "part": "white",
        "outcome": c.MODEL}  # fmt: skip
EDGE = {"data": c.MUTED, "parameter": "#B7791F", "derived": "#B7791F", "part": c.MODEL,
        "outcome": c.MODEL}  # fmt: skip
WORDS = {"data": "data", "parameter": "parameter and its prior", "part": "computed",
         "derived": "parameter from others", "outcome": "observed outcome"}  # fmt: skip


class Box(NamedTuple):
    """A node in its place: centre, size and ends of its column, inches from top left."""

    node: Node
    lines: tuple[str, ...]
    x: float
    y: float
    width: float
    height: float
    column: tuple[float, float]


def structure(graph: Structure, *, width: float = 9.0, ax: Axes | None = None) -> Figure:
    """Draw what a spec makes of the data.

    Args:
        graph: Result of ``mm.structure``.
        width: Inches, at least; a figure of ours grows with the model.
        ax: Axes to draw on, in smaller letters if need be; None makes a figure.
    """
    boxes = layout(graph)
    right = max(box.x + box.width / 2 for box in boxes) + PAD
    bottom = max(box.y + box.height / 2 for box in boxes) + PAD
    count = graph.n_parameters
    more = f": {count:,} numbers to estimate" if count else ""
    wide = max(width, right + 0.15)
    drawn = c.canvas(wide, bottom + 0.85, f"Model of {graph.outcome}{more}", ax)
    ax = drawn.ax
    ax.set_axis_off()
    shrink = 1.0
    if not drawn.own:
        place, inches = ax.get_position(), drawn.figure.get_size_inches()
        shrink = min(
            1.0, place.width * inches[0] / right, place.height * inches[1] / bottom
        )
    margin = (wide - 0.15 - right) / 2 if drawn.own else 0.0
    ax.set_xlim(-margin, right + margin)
    ax.set_ylim(bottom, 0.0)
    known = {box.node.name: box for box in boxes}
    for start, end in graph.edges:
        _arrow(ax, known[start], known[end])
    for box in boxes:
        _draw(ax, box, shrink)
    kinds = [kind for kind in WORDS if graph.of_kind(kind)]  # type: ignore[arg-type]
    handles = [Patch(facecolor=FILL[k], edgecolor=EDGE[k], label=WORDS[k],
                     ls="--" if k == "derived" else "-") for k in kinds]  # fmt: skip
    c.legend_below(drawn, handles, gap=4.0)
    return drawn.figure


def layout(graph: Structure) -> list[Box]:
    """Places of all nodes: a column for each step to the outcome, rows as in a tree."""
    (outcome,) = graph.of_kind("outcome")
    steps = {outcome.name: 0}
    for node in reversed(graph.nodes):  # children come after parents
        for parent in graph.parents(node.name):
            steps[parent] = max(steps.get(parent, 0), steps[node.name] + 1)
    lines = {node.name: _lines(graph, node) for node in graph.nodes}
    sizes = {name: _size(text) for name, text in lines.items()}
    deepest = max(steps.values())
    columns, left = {}, PAD
    for step in range(deepest, -1, -1):
        most = max(sizes[name][0] for name, at in steps.items() if at == step)
        columns[step] = (left, left + most)
        left += most + ACROSS
    middles: dict[str, float] = {}
    _stack(graph, outcome.name, 0.0, sizes, middles)
    boxes = []
    for node in graph.nodes:
        column, name = columns[steps[node.name]], node.name
        x, y = sum(column) / 2, middles[name]
        boxes.append(Box(node, lines[name], x, y, *sizes[name], column))
    return boxes


def _stack(
    graph: Structure,
    name: str,
    top: float,
    sizes: dict[str, tuple[float, float]],
    middles: dict[str, float],
) -> float:
    """Place a node beside its parents, which are stacked from `top`; return their end."""
    own, end = sizes[name][1] + DOWN, top
    placed = [p for p in graph.parents(name) if p not in middles]
    for parent in placed:
        end = _stack(graph, parent, end, sizes, middles)
    if end - top < own:  # the node is higher than all of its parents
        middles |= {p: middles[p] + (own - end + top) / 2 for p in placed[:1]}
        end = top + own
    middles[name] = (top + end) / 2
    if placed:
        middles[name] = (middles[placed[0]] + middles[placed[-1]]) / 2
    return end


def _lines(graph: Structure, node: Node) -> tuple[str, ...]:
    """Name, prior or formula, dims: what the arrows do not say already."""
    law = [_beside(node.text, graph.parents(node.name))] if node.text else []
    if node.kind == "part":
        law = ["sum of its inputs"] if node.name == "mu" else [law[0].partition(" (")[0]]
    if law and len(law[0]) > WRAP:
        family, _, inside = law[0].partition("(")
        rest = [f"({inside}"] if inside else []
        law = [part for text in [family, *rest]
               for part in textwrap.wrap(text, WRAP, break_long_words=False)]  # fmt: skip
    over = f"by {', '.join(node.dims)}" if node.dims else ""
    sampled = node.kind in ("parameter", "derived")
    last = dims_of(node) if sampled and node.dims else over
    return tuple(filter(None, [c.shorten(graph.label(node), WRAP + 4), *law, last]))


def _beside(text: str, parents: tuple[str, ...]) -> str:
    """A call without the arguments that arrows bring."""
    name, bracket, inside = text.partition("(")
    if " " in name or not bracket:
        return text
    kept = [part for part in inside.removesuffix(")").split(", ") if part not in parents]
    return f"{name}({', '.join(kept)})" if kept else name


def _size(lines: tuple[str, ...]) -> tuple[float, float]:
    """Width and height of a box, inches."""
    longest = max(len(lines[0]) * 1.12, *map(len, lines))  # the name is bold
    return longest * SIZE * 0.56 / 72 + 2 * PAD, len(lines) * LINE + 2 * PAD


def _draw(ax: Axes, box: Box, shrink: float) -> None:
    kind, dark = box.node.kind, box.node.kind == "outcome"
    corner = (box.x - box.width / 2, box.y - box.height / 2)
    rounded = (
        f"round,pad=0,rounding_size={0.12 if kind in ('parameter', 'derived') else 0.02}"
    )
    ax.add_patch(
        FancyBboxPatch(
            corner, box.width, box.height, boxstyle=rounded, facecolor=FILL[kind],
            edgecolor=EDGE[kind], lw=1.0, ls="--" if kind == "derived" else "-", zorder=2,
        )
    )  # fmt: skip
    for i, line in enumerate(box.lines):
        y = box.y - box.height / 2 + PAD + (i + 0.5) * LINE
        muted = "white" if dark else c.MUTED
        ax.text(
            box.x, y, c.plain(line), ha="center", va="center", zorder=3,
            fontsize=SIZE * shrink, weight="bold" if i == 0 else "normal",
            color=("white" if dark else c.INK) if i == 0 else muted,
        )  # fmt: skip


def _arrow(ax: Axes, start: Box, end: Box) -> None:
    """A line that bends between columns only, so that it meets no other box."""
    x0, x1 = start.x + start.width / 2, end.x - end.width / 2
    out, into = start.column[1], end.column[0]
    middle = (out + into) / 2
    points = [(x0, start.y), (out, start.y), (middle, start.y), (middle, end.y),
              (into, end.y), (x1, end.y)]  # fmt: skip
    codes = [Path.MOVETO, Path.LINETO, *[Path.CURVE4] * 3, Path.LINETO]
    line = Path(points, codes)
    ax.add_patch(PathPatch(line, facecolor="none", edgecolor=c.MUTED, lw=0.9, zorder=1))
    ax.add_line(Line2D([x1 - 0.05], [end.y], marker=">", ms=4, color=c.MUTED, zorder=1))
