"""The drawn structure against the program itself, and its text."""

import re
from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from numpyro import handlers
from numpyro.infer.inspect import get_model_relations
from scipy import stats

import mmmjax as mm
from mmmjax import response
from mmmjax.graph import data_priors, structure
from mmmjax.kernels.adstock import Geometric
from mmmjax.kernels.seasonality import Fourier
from mmmjax.model import model_data, program
from mmmjax.prepare import prepare
from mmmjax.prior import Prior, spend_share
from mmmjax.scaling import Scale
from mmmjax.spec import Spec, among
from tests.posterior.examples import geo_panel, geo_spec, national_panel

NESTED = {
    "intercept": Prior("Normal", loc=0.2, scale=Prior("HalfNormal", scale=0.1), dims="geo"),
    "saturation_lam": Prior(
        "LogNormal", loc=Prior("Normal", scale=1.0), scale=0.5, dims=("geo", "channel")
    ),
    "saturation_beta": Prior(
        "HalfNormal",
        scale=Prior("HalfNormal", scale=Prior("HalfNormal", scale=1.0), dims="channel"),
        dims=("geo", "channel"),
    ),
}
LAWS = {"TruncatedNormal": "LeftTruncatedDistribution"}
CASES = {
    "national": (
        Spec(adstock=Geometric(4), likelihood=mm.likelihood.TruncatedNormal(low=0.0)),
        national_panel(),
    ),
    "geos": (geo_spec(), geo_panel()),
    "nested": (
        Spec(
            adstock=Geometric(4), adstock_first=False, trend=True, seasonality=Fourier(1),
            likelihood=mm.likelihood.StudentT(), priors=NESTED,
        ),
        geo_panel(),
    ),
    "no media": (
        Spec(seasonality=None),
        replace(
            national_panel(), channels=(), media=np.zeros((1, 20, 0)),
            spend=np.zeros((1, 20, 0)),
        ),
    ),
}  # fmt: skip


def data_of(spec, panel):
    scale = Scale.fit(panel, spec.outcome_scale == "geo", spec.media_scale == "geo")
    return jax.tree.map(jnp.asarray, model_data(spec, panel, scale))


def resolved(case):
    spec, panel = CASES[case]
    return among(spec, spec.sizes(panel)), panel


def ancestors(graph, name):
    found = set()
    for parent in graph.parents(name):
        found |= {parent} | ancestors(graph, parent)
    return found


def upstream(graph, name, known):
    """The nearest nodes above that the program names."""
    found = set()
    for parent in graph.parents(name):
        found |= {parent} if parent in known else upstream(graph, parent, known)
    return found


@pytest.mark.filterwarnings("ignore:jax.core:DeprecationWarning")
@pytest.mark.parametrize("case", CASES)
def test_nodes_and_edges_are_those_of_the_program(case):
    spec, panel = resolved(case)
    graph = structure(spec, panel)
    found = get_model_relations(program, (spec, data_of(spec, panel)))
    laws = found["sample_dist"]
    derived = {name for name, law in laws.items() if law == "Deterministic"}
    sampled = set(laws) - derived - {"y"}
    assert {node.name for node in graph.of_kind("parameter")} == sampled
    assert {node.name for node in graph.of_kind("derived")} == derived
    assert found["observed"] == [node.name for node in graph.of_kind("outcome")]
    for name in sampled:
        family = graph[name].text.partition("(")[0]
        assert LAWS.get(family, family) == laws[name]
    for name in {*sampled, *derived, "y"}:
        assert upstream(graph, name, set(laws)) == set(found["sample_sample"][name]), name


@pytest.mark.parametrize("case", CASES)
def test_sizes_are_those_of_the_samples(case):
    spec, panel = resolved(case)
    graph = structure(spec, panel)
    seeded = handlers.seed(program, jax.random.key(0))
    trace = handlers.trace(seeded).get_trace(spec, data_of(spec, panel))
    nodes = graph.of_kind("parameter", "derived", "outcome")
    assert {n.name: n.size for n in nodes} == {
        name: int(np.size(site["value"])) for name, site in trace.items()
    }
    sampled = [n for n in nodes if n.kind == "parameter"]
    assert graph.n_parameters == sum(np.size(trace[n.name]["value"]) for n in sampled)


@pytest.mark.parametrize("case", CASES)
def test_each_parameter_moves_the_parts_drawn_below_it(case):
    spec, panel = resolved(case)
    graph, data = structure(spec, panel), data_of(spec, panel)
    rng = np.random.default_rng(0)
    names = spec.present(spec.sizes(panel))
    params = {n: rng.uniform(0.2, 0.8, max(graph[n].size, 1)) for n in names}
    sizes = graph.sizes
    shaped = {n: v.reshape([sizes[d] for d in spec.dims(n)]) for n, v in params.items()}
    before = response.components(shaped, data.inputs, spec)
    parts = {"channel": "channel_contribution", "control": "control_contribution",
             "seasonality": "seasonality_contribution", "trend": "trend_contribution",
             "intercept": "intercept"}  # fmt: skip
    assert {parts[p] for p in before} == set(graph.parents("mu"))
    for name in shaped:
        after = response.components(shaped | {name: shaped[name] + 0.1}, data.inputs, spec)
        moved = {parts[p] for p in before if not np.allclose(before[p], after[p])}
        drawn = {p for p in graph.parents("mu") if p == name or name in ancestors(graph, p)}
        assert moved == drawn, name


def test_parents_come_before_children():
    for spec, panel in CASES.values():
        graph = structure(spec, panel)
        order = [node.name for node in graph.nodes]
        assert len(set(order)) == len(order)
        assert all(order.index(a) < order.index(b) for a, b in graph.edges)


def test_the_order_of_the_kernels_is_drawn():
    spec, panel = CASES["nested"]
    assert structure(spec, panel).parents("saturation") == ("media", "saturation_lam")
    assert structure(*CASES["national"]).parents("saturation") == (
        "adstock", "saturation_lam",
    )  # fmt: skip


def test_text_has_formulas_priors_and_sizes():
    spec, panel = CASES["nested"]
    text = str(structure(spec, panel))
    lines = [" ".join(line.split()) for line in text.splitlines()]
    assert lines[0] == "Model: 49 numbers to estimate"
    for line in (
        "sales ~ StudentT(mu, y_sigma, y_nu)",
        "adstock = Geometric(saturation, adstock_alpha, max_lag=4, normalize=True)",
        "intercept 3 by geo Normal(loc=0.2, scale=intercept_scale)",
        "intercept_offset 3 by geo Normal(loc=0.0, scale=1.0)",
        "saturation_lam 9 by geo, channel LogNormal(loc=saturation_lam_loc, scale=0.5)",
        "saturation_lam_offset 9 by geo, channel Normal(loc=0.0, scale=1.0)",
        "saturation_beta 9 by geo, channel HalfNormal(scale=saturation_beta_scale)",
        "y_nu 1 2 + y_nu_excess",
    ):
        assert line in lines
    assert max(map(len, text.splitlines())) <= 100


def test_scales_are_said():
    assert "divided by its largest training value" in str(structure(*CASES["national"]))
    assert "training value in the geo" in str(structure(*CASES["geos"]))
    spec = replace(geo_spec(), media_scale="shared")
    text = str(structure(spec))
    apart = "its largest training value in the geo, one outlier apart"
    assert f"outcome / {apart}, each channel's media /" in text
    assert "apart" not in str(structure(replace(spec, scale="max")))


def test_without_a_panel_sizes_are_unknown():
    graph = structure(Spec())
    assert graph.n_parameters is None
    assert graph["adstock_alpha"].size is None
    assert graph["gamma_fourier_typical"].size == 4
    assert "by channel" in str(graph)
    assert str(graph).splitlines()[:2] == ["Model", "  outcome ~ Normal(mu, y_sigma)"]


def test_long_lists_of_numbers_are_counted():
    spec = Spec(priors={"saturation_beta": Prior("HalfNormal", scale=[1.0] * 9)})
    assert "[1, 1, 1, 1, ... 9 numbers]" in str(structure(spec))


def test_dot_names_every_node_and_edge_once_and_quotes_names():
    spec, panel = CASES["geos"]
    graph = structure(spec, replace(panel, outcome_name='new "sales"\\'))
    text = graph.dot()
    assert text.startswith("digraph model {")
    assert text.endswith("}\n")
    assert re.findall(r'^  "(\w+)" -> "(\w+)";$', text, re.M) == list(graph.edges)
    assert re.findall(r'^  "(\w+)" \[', text, re.M) == [n.name for n in graph.nodes]
    assert 'label="new \\"sales\\"\\\\\\nNormal(mu, y_sigma)' in text


def test_data_priors_are_the_quantiles_of_the_prior():
    panel = geo_panel()
    spec = Spec(priors={"saturation_beta": Prior("HalfNormal", scale=spend_share)})
    table = data_priors(spec, panel, prepare(spec, panel).data.hyper)
    spend = panel.spend[:, panel.history :].sum((0, 1))
    share = spend[:2] / spend[:2].sum()
    assert table["channel"].tolist() == ["TV", "Search", "Mail"]
    assert set(table["parameter"]) == {"saturation_beta"}
    np.testing.assert_allclose(table["value"], [*share, 0.5])  # organic: the mean share
    np.testing.assert_allclose(table["median"], 0.67449 * table["value"], rtol=1e-4)
    np.testing.assert_allclose(table["upper"], 1.95996 * table["value"], rtol=1e-4)


def test_data_priors_of_every_family_and_of_none():
    panel = geo_panel()
    gamma = Prior("Gamma", concentration=2.0, rate=spend_share)
    for prior in (gamma, Prior("HalfNormal", scale=spend_share, dims=("geo", "channel"))):
        spec = Spec(priors={"saturation_beta": prior})
        table = data_priors(spec, panel, prepare(spec, panel).data.hyper)
        law = stats.gamma(2.0) if prior is gamma else stats.halfnorm()
        size = 1 / table["value"] if prior is gamma else table["value"]
        np.testing.assert_allclose(table["median"], size * law.median())
        np.testing.assert_allclose(table["upper"], size * law.ppf(0.95))
    level = Prior("Normal", loc=0.0, scale=spend_share, dims="channel")
    deep = Prior("LogNormal", loc=level, scale=0.3, dims=("geo", "channel"))
    spec = Spec(priors={"saturation_beta": deep})
    table = data_priors(spec, panel, prepare(spec, panel).data.hyper)
    np.testing.assert_allclose(table["median"], 0.0)
    fixed = Spec(priors={"saturation_beta": Prior("HalfNormal", scale=1.0)})
    assert len(data_priors(fixed, panel, prepare(fixed, panel).data.hyper)) == 0


def test_columns_of_two_terms_are_two_nodes():
    terms = [
        mm.terms.Steps({"shop": "2023-09-04"}),
        mm.terms.Events({"sale": "2023-05-01"}),
    ]
    found = {node.name: node for node in structure(Spec(terms=terms)).nodes}
    for term, dim in (("steps", "step"), ("events", "event")):
        assert dim in found[f"{term}.columns"].dims
