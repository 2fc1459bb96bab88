"""The drawn structure: every node in its place, nothing on top of another."""

import itertools

import numpy as np
import pytest
from matplotlib.figure import Figure
from matplotlib.patches import FancyBboxPatch

from mmmjax.graph import structure
from mmmjax.plot import canvas as c
from mmmjax.plot import graph as drawing
from mmmjax.spec import Spec
from tests.test_graph import CASES

GRAPHS = {name: structure(*case) for name, case in CASES.items()}
GRAPHS["without panel"] = structure(Spec(trend=True))


@pytest.mark.parametrize("name", GRAPHS)
def test_parents_stand_left_of_children_and_no_boxes_meet(name):
    graph = GRAPHS[name]
    boxes = {box.node.name: box for box in drawing.layout(graph)}
    assert list(boxes) == [node.name for node in graph.nodes]
    for start, end in graph.edges:
        assert boxes[start].column[1] < boxes[end].column[0]
    for one, two in itertools.combinations(boxes.values(), 2):
        apart_x = abs(one.x - two.x) >= (one.width + two.width) / 2
        apart_y = abs(one.y - two.y) >= (one.height + two.height) / 2 + 0.02
        assert apart_x or apart_y, (one.node.name, two.node.name)


@pytest.mark.parametrize("name", GRAPHS)
def test_texts_fit_their_boxes_inside_the_figure(name):
    figure = drawing.structure(GRAPHS[name])
    figure.draw_without_rendering()
    axes = figure.axes[0]
    patches = [p for p in axes.patches if isinstance(p, FancyBboxPatch)]
    frames = [patch.get_window_extent() for patch in patches]
    assert len(frames) == len(GRAPHS[name].nodes)
    assert len(axes.patches) - len(frames) == len(GRAPHS[name].edges)
    for text in axes.texts:
        box = text.get_window_extent()
        inside = [f for f in frames if f.x0 <= box.x0 and box.x1 <= f.x1
                  and f.y0 <= box.y0 + 1 and box.y1 - 1 <= f.y1]  # fmt: skip
        assert len(inside) == 1, text.get_text()
    lowest = min(frame.y0 for frame in frames)
    assert axes.get_legend().get_window_extent().y1 <= lowest
    assert all(figure.bbox.x0 <= f.x0 and f.x1 <= figure.bbox.x1 for f in frames)


def test_boxes_say_names_priors_and_sizes():
    figure = drawing.structure(GRAPHS["nested"])
    said = [text.get_text() for text in figure.axes[0].texts]
    for text in ("sales", "saturation_beta", "9 by geo, channel", "sum of its inputs",
                 "HalfNormal(scale=0.1)", "2 + y_nu_excess", "StudentT"):  # fmt: skip
        assert text in said
    assert figure._suptitle.get_text() == "Model of sales: 49 numbers to estimate"
    bold = [t.get_text() for t in figure.axes[0].texts if t.get_weight() == "bold"]
    assert bold[-1] == "sales"
    assert len(bold) == len(GRAPHS["nested"].nodes)


def test_axes_may_be_given_and_letters_shrink():
    figure = Figure((9, 4))
    left, right = figure.subplots(1, 2)
    assert drawing.structure(GRAPHS["national"], ax=right) is figure
    assert not left.has_data()
    assert max(text.get_fontsize() for text in right.texts) < drawing.SIZE
    assert np.isclose(drawing.structure(GRAPHS["national"]).axes[0].texts[0].get_fontsize(),
                      drawing.SIZE)  # fmt: skip


def test_an_outcome_with_a_dollar():
    spec, panel = CASES["no media"]
    named = type(panel)(**{**vars(panel), "outcome_name": r"$\frac$"})
    assert c.to_svg(drawing.structure(structure(spec, named))).startswith("<?xml")
