"""The drawn structure: every node in its place, nothing on top of another."""

import itertools

import pytest

from mmmjax.graph import structure
from mmmjax.plot import graph as drawing
from mmmjax.plot.picture import to_png, to_svg
from mmmjax.spec import Spec
from tests.test_graph import CASES

GRAPHS = {name: structure(*case) for name, case in CASES.items()}
GRAPHS["without panel"] = structure(Spec(trend=True))


def rows(graph, *needed):
    """The table of a layer that has these columns."""
    for part in drawing.structure(graph).layer:
        if set(needed) <= set(part.data):
            yield from part.data.to_dict("records")


@pytest.mark.parametrize("name", GRAPHS)
def test_parents_stand_left_of_children_and_no_boxes_meet(name):
    graph = GRAPHS[name]
    boxes = {box.node.name: box for box in drawing.layout(graph)}
    assert list(boxes) == [node.name for node in graph.nodes]
    for start, end in graph.edges:
        assert boxes[start].column[1] < boxes[end].column[0]
    for one, two in itertools.combinations(boxes.values(), 2):
        apart_x = abs(one.x - two.x) >= (one.width + two.width) / 2
        apart_y = abs(one.y - two.y) >= (one.height + two.height) / 2 + 2
        assert apart_x or apart_y, (one.node.name, two.node.name)


@pytest.mark.parametrize("name", GRAPHS)
def test_every_text_lies_in_one_box_inside_the_picture(name):
    graph = GRAPHS[name]
    frames = list(rows(graph, "node", "x2"))
    assert sorted(f["node"] for f in frames) == sorted(node.name for node in graph.nodes)
    for text in rows(graph, "text"):
        half = len(text["text"]) * drawing.SIZE * 0.5 / 2
        inside = [
            f for f in frames
            if f["x"] <= text["x"] - half and text["x"] + half <= f["x2"]
            and f["y"] <= text["y"] <= f["y2"]
        ]  # fmt: skip
        assert len(inside) == 1, text["text"]
    spec = drawing.structure(graph).to_dict()
    assert max(f["x2"] for f in frames) <= spec["width"]
    assert max(f["y2"] for f in frames) <= spec["height"]


@pytest.mark.parametrize("name", GRAPHS)
def test_every_arrow_leads_from_parent_to_child(name):
    graph = GRAPHS[name]
    frames = {f["node"]: f for f in rows(graph, "node", "x2")}
    arrows = {}
    for row in next(iter_tables(graph)):
        arrows.setdefault(row["edge"], []).append((row["x"], row["y"]))
    assert len(arrows) == len(graph.edges)
    for (start, end), points in zip(graph.edges, arrows.values(), strict=True):
        assert points[0][0] == pytest.approx(frames[start]["x2"])
        assert points[-1][0] == pytest.approx(frames[end]["x"])
        assert frames[end]["y"] < points[-1][1] < frames[end]["y2"]


def iter_tables(graph):
    """Tables of the layers that have arrows, the lines first."""
    for part in drawing.structure(graph).layer:
        if "edge" in part.data:
            yield part.data.to_dict("records")


def test_boxes_say_names_priors_and_sizes():
    drawn = drawing.structure(GRAPHS["nested"])
    texts = list(rows(GRAPHS["nested"], "text"))
    said = [text["text"] for text in texts]
    for text in ("sales", "saturation_beta", "9 by geo, channel", "sum of its inputs",
                 "HalfNormal(scale=0.1)", "2 + y_nu_excess", "StudentT"):  # fmt: skip
        assert text in said
    assert drawn.to_dict()["title"]["text"] == ["Model of sales: 49 numbers to estimate"]
    bold = {text["text"] for text in texts if text["bold"]}
    assert "sales" in bold
    assert sum(text["bold"] for text in texts) == len(GRAPHS["nested"].nodes)
    kinds = {frame["kind"] for frame in rows(GRAPHS["nested"], "node")}
    scale = next(
        part["encoding"]["fill"]["scale"]
        for part in drawn.to_dict()["layer"]
        if "fill" in part["encoding"]
    )
    assert set(scale["domain"]) == kinds


def test_it_is_drawn_with_a_dash_for_what_is_derived_and_a_dollar():
    assert 'stroke-dasharray="4,3"' in to_svg(drawing.structure(GRAPHS["nested"]))
    spec, panel = CASES["no media"]
    named = type(panel)(**{**vars(panel), "outcome_name": r"$\frac$ <b>"})
    assert to_png(drawing.structure(structure(spec, named))).startswith(b"\x89PNG")
