"""Picture of a model's structure: data and priors at the left, the outcome at the right."""

import textwrap
from typing import Any, NamedTuple

import altair as alt
import numpy as np
import pandas as pd

from mmmjax.graph import Node, Structure, dims_of
from mmmjax.plot import picture as p
from mmmjax.plot.colours import INK, MODEL, MUTED, TINT
from mmmjax.words import shorten

__all__ = ["structure"]

SIZE = 11.0  # pixels of letters
LINE, PAD = SIZE * 1.35, 7.0  # pixels of a line of text and around it
ACROSS, DOWN = 40.0, 12.0  # pixels between layers and between rows
WRAP = 28  # characters
WORDS = {
    "data": "data",
    "parameter": "parameter and its prior",
    "part": "computed",
    "derived": "parameter from others",
    "outcome": "observed outcome",
}
FILL: dict[str, str] = {
    "data": TINT, "parameter": "#FFF6E5", "part": "#FFFFFF", "derived": "#FFF6E5",
    "outcome": MODEL,
}  # fmt: skip
EDGE: dict[str, str] = {
    "data": MUTED, "parameter": "#B7791F", "part": MODEL, "derived": "#B7791F",
    "outcome": MODEL,
}  # fmt: skip


class Box(NamedTuple):
    """A node in its place: centre, size and ends of its column, pixels from top left."""

    node: Node
    lines: tuple[str, ...]
    x: float
    y: float
    width: float
    height: float
    column: tuple[float, float]


def structure(graph: Structure, *, width: int = p.WIDE) -> p.Layer:
    """Draw what a spec makes of the data.

    Args:
        width: Pixels, at least; the picture grows with the model.
    """
    boxes = layout(graph)
    known = {box.node.name: box for box in boxes}
    right = max(box.x + box.width / 2 for box in boxes) + PAD
    bottom = max(box.y + box.height / 2 for box in boxes) + PAD
    wide, count = max(width, int(np.ceil(right))), graph.n_parameters
    kinds = [WORDS[kind] for kind in WORDS if graph.of_kind(kind)]  # type: ignore[arg-type]
    frames = pd.DataFrame(
        {
            "node": box.node.name,
            "kind": WORDS[box.node.kind],
            "x": box.x - box.width / 2,
            "x2": box.x + box.width / 2,
            "y": box.y - box.height / 2,
            "y2": box.y + box.height / 2,
        }
        for box in boxes
    )
    texts = pd.DataFrame(
        {
            "text": line,
            "x": box.x,
            "y": box.y - box.height / 2 + PAD + (i + 0.5) * LINE,
            "bold": i == 0,
            "dark": box.node.kind == "outcome",
        }
        for box in boxes
        for i, line in enumerate(box.lines)
    )
    arrows = pd.DataFrame(
        {"edge": edge, "place": i, "x": x, "y": y}
        for edge, (start, end) in enumerate(graph.edges)
        for i, (x, y) in enumerate(_arrow(known[start], known[end]))
    )
    x = alt.X("x:Q", axis=None, scale=alt.Scale(domain=[0, wide], nice=False))
    down = alt.Scale(domain=[0, bottom], reverse=True, nice=False)
    y = alt.Y("y:Q", axis=None, scale=down)
    fill = alt.Fill("kind:N", sort=kinds, scale=_scale(FILL, kinds))
    stroke = alt.Stroke("kind:N", sort=kinds, scale=_scale(EDGE, kinds))
    ends: Any = (
        arrows.loc[arrows["place"] == arrows["place"].max()] if len(arrows) else (arrows)
    )
    where = {"x": x, "y": y}
    ink = alt.condition("datum.dark", alt.value("white"), alt.value(INK))
    drawn = p.layer(
        *(
            [
                p.chart(arrows)
                .mark_line(color=MUTED, strokeWidth=1)
                .encode(**where, detail="edge:N", order="place:Q"),
                p.chart(ends)
                .mark_point(shape="triangle-right", size=26, color=MUTED, xOffset=-3)
                .encode(**where),
            ]
            if len(arrows)
            else []
        ),
        *(
            p.chart(part)
            .mark_rect(cornerRadius=4, strokeDash=[4, 3] if dashed else [1, 0])
            .encode(**where, x2="x2:Q", y2="y2:Q", fill=fill, stroke=stroke)
            for dashed, part in frames.groupby(frames["kind"] == WORDS["derived"])
        ),
        *(
            p.chart(part)
            .mark_text(fontSize=SIZE, fontWeight="bold" if bold else "normal")
            .encode(**where, text="text:N", color=ink)
            for bold, part in texts.groupby("bold", sort=False)
        ),
    )
    title = f"Model of {graph.outcome}{f': {count:,} numbers to estimate' if count else ''}"
    about = f"Model of {graph.outcome}: {len(boxes)} quantities, {len(graph.edges)} arrows"
    return p.titled(drawn, title, "", about, wide, int(np.ceil(bottom)))


def _scale(colours: dict[str, str], kinds: list[str]) -> alt.Scale:
    """Colours of the kinds of nodes that there are."""
    paint = {word: colours[kind] for kind, word in WORDS.items() if word in kinds}
    return alt.Scale(domain=[*paint], range=[*paint.values()])


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
        law = [
            part
            for text in [family, *rest]
            for part in textwrap.wrap(text, WRAP, break_long_words=False)
        ]
    over = f"by {', '.join(node.dims)}" if node.dims else ""
    sampled = node.kind in ("parameter", "derived")
    last = dims_of(node) if sampled and node.dims else over
    return tuple(filter(None, [shorten(graph.label(node), WRAP + 4), *law, last]))


def _beside(text: str, parents: tuple[str, ...]) -> str:
    """A call without the arguments that arrows bring."""
    name, bracket, inside = text.partition("(")
    if " " in name or not bracket:
        return text
    kept = [part for part in inside.removesuffix(")").split(", ") if part not in parents]
    return f"{name}({', '.join(kept)})" if kept else name


def _size(lines: tuple[str, ...]) -> tuple[float, float]:
    """Width and height of a box, pixels."""
    longest = max(len(lines[0]) * 1.12, *map(len, lines))  # the name is bold
    return longest * SIZE * 0.56 + 2 * PAD, len(lines) * LINE + 2 * PAD


def _arrow(start: Box, end: Box) -> list[tuple[float, float]]:
    """A line that bends between columns only, so that it meets no other box."""
    x0, x1 = start.x + start.width / 2, end.x - end.width / 2
    out, into = start.column[1], end.column[0]
    t = np.linspace(0.0, 1.0, 12)
    bend = 3 * t**2 - 2 * t**3  # level at both ends
    curve = zip(out + (into - out) * t, start.y + (end.y - start.y) * bend, strict=True)
    return [(x0, start.y), *((float(x), float(y)) for x, y in curve), (x1, end.y)]
