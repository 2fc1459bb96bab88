"""One table of checks that every listed term passes: a new one is tested by being listed.

Each term takes its place in a small model: under its usual name, and under another one,
where its parameters, arrays and dims carry that name.
"""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import mmmjax as mm
from mmmjax import response
from mmmjax.graph import structure
from mmmjax.model import model_data
from mmmjax.prepare import scale_of
from mmmjax.shapes import CHANNEL, GEO
from mmmjax.spec import Spec
from mmmjax.terms import TERMS, Frame, Media, Reach
from tests.fits import MADE, make_fit, shared
from tests.posterior.examples import geo_panel

pytestmark = pytest.mark.usefixtures("x64")

NEAR = {
    "real": (-1e3, 0.0, 1e3), "positive": (1e-6, 1.0, 1e3), "unit": (0.0, 0.5, 1.0),
    "negative": (-1e3, -1.0, -1e-6),
}  # fmt: skip
"""Edges of what a parameter can be, by its support; of an interval those of its prior."""
IN_PLACE = {**MADE, "reach": {"name": CHANNEL}}  # of the usual media
USUAL = [cls(**IN_PLACE.get(kind, {})) for kind, cls in TERMS.items()]
SIGNED = {"sign": {"price": "negative"}, "lag": {"price": [0, 1], "promo": 2}}
USUAL.append(mm.terms.Controls(**SIGNED))
MOVERS = (mm.moving.Process(basis=4), mm.moving.Seasons(), mm.moving.Piecewise("common"))
USUAL.append(mm.terms.Media(adstock=mm.adstock.Geometric(3), moving=MOVERS))
OTHER = [dataclasses.replace(term, name="own") for term in USUAL]
every = pytest.mark.parametrize("term", USUAL + OTHER, ids=repr)


def spec_of(term, **changes):
    """A model with the term; beside another of its kind where it has not its name."""
    if isinstance(term, Media) and term.name != CHANNEL:
        term = dataclasses.replace(term, channels=["Search"])
    spec = Spec(
        adstock=mm.adstock.Geometric(3), seasonality=mm.seasonality.Fourier(1),
        terms=(term,), **changes,
    )  # fmt: skip
    return shared(spec)


def in_spec(spec, term):
    """The term as the spec has it."""
    return next(one for one in spec.parts if one.name == term.name)


@functools.cache
def panels():
    """Training, what follows, and both."""
    whole = geo_panel(periods=30, history=2, unbalanced=False)
    often = np.random.default_rng(0).uniform(1.0, 4.0, whole.media.shape)
    whole = dataclasses.replace(whole, frequency=often)
    return (*whole.split(whole.dates[-7]), whole)


def inputs_of(spec):
    train = panels()[0]
    found = response.make_inputs(spec, train, scale_of(spec, train))
    return jax.tree.map(jnp.asarray, found)


def one_draw(spec, seed=0):
    """Positive numbers that any parameter can be."""
    sizes, rng = spec.sizes(panels()[0]), np.random.default_rng(seed)
    shape = lambda name: tuple(sizes[d] for d in spec.dims(name))
    return {n: rng.uniform(0.2, 0.8, shape(n)) for n in spec.present(sizes)}


def part(spec, term, params, inputs):
    """What the term adds, (geo, [member,] time)."""
    found = response.components(params, inputs, spec)
    return found[CHANNEL] if term.group == CHANNEL else found[term.name]


def test_the_registry_is_by_kind():
    assert all(kind == term.kind for kind, term in TERMS.items())


@every
def test_it_is_a_value_and_goes_through_toml(term):
    spec = spec_of(term)
    again = Spec.from_toml(spec.to_toml())
    assert again == spec
    assert hash(again) == hash(spec)
    assert in_spec(again, term) == in_spec(spec, term)
    assert repr(in_spec(spec, term)) in repr(spec)
    assert spec.structure() == again.structure()


@every
def test_labels_are_as_many_as_sizes_and_arrays_have_them(term):
    spec, (train, *_) = spec_of(term), panels()
    labels, sizes = spec.labels(train), spec.sizes(train)
    assert sizes == {dim: len(names) for dim, names in labels.items()}
    own = {spec.dim(term, dim) for dim in term.dims}
    assert own <= set(labels)
    inputs = inputs_of(spec)
    found = inputs.sizes()
    assert found == {**sizes, "time": train.n_periods} | {
        dim: found[dim] for dim in found if dim not in sizes and dim != "time"
    }
    for name, dims in inputs.axes:
        assert len(dims) == np.ndim(inputs[name])
    places = {CHANNEL} if len(spec.media) > 1 else set()  # where its channels stand
    heard = {"frequency", "usual"} if isinstance(term, Reach) else set()
    own = [dim for one in getattr(term, "moving", ()) for dim in one.dims]
    moves = {*own, *(f"{dim}_known" for dim in own), *(["trained"] if own else [])}
    assert set(inputs.of(term.name)) - places == set(term.data) | heard | moves
    for name, (axes, _) in term.data.items():
        got = dict(inputs.axes)[f"{term.name}.{name}"]
        assert got == tuple(spec.dim(term, d) for d in axes)


@every
def test_its_part_has_geo_its_members_and_time(term):
    spec, (train, *_) = spec_of(term), panels()
    out = part(spec, term, one_draw(spec), inputs_of(spec))
    members = {CHANNEL: train.channels, "control": train.control_names}
    middle = (len(members[term.over]),) if term.over else ()
    assert out.shape == (train.n_geos, *middle, train.n_periods)
    assert np.isfinite(out).all()


@every
def test_every_parameter_may_vary_over_geos(term):
    """One value a geo is the model of each geo by itself."""
    spec, train = spec_of(term), panels()[0]
    own = in_spec(spec, term)
    names = {*own.parameters(), *own.within()} - {"campaign_effect"}
    names = {n: spec.full(term, n) for n in names}
    priors = {
        full: spec.priors[full].with_dims((GEO, *spec.dims(full)))
        for full in names.values()
    }
    wide = dataclasses.replace(spec, priors={**spec.priors, **priors})
    params, inputs = one_draw(wide), inputs_of(wide)
    together = part(wide, term, params, inputs)
    for geo in range(train.n_geos):
        alone = {n: v[geo] if n in priors else v for n, v in params.items()}
        np.testing.assert_allclose(
            together[geo], part(spec, term, alone, inputs)[geo], rtol=1e-12
        )


@every
def test_parts_add_up_to_the_mean(term):
    spec = spec_of(term)
    params, inputs = one_draw(spec), inputs_of(spec)
    parts = response.components(params, inputs, spec)
    whole = sum(x.sum(1) if x.ndim == 3 else x for x in parts.values())
    np.testing.assert_allclose(response.mean(params, inputs, spec), whole, rtol=1e-12)


@every
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_gradients_at_the_edges_are_finite(term, dtype):
    spec = spec_of(term)
    inputs = jax.tree.map(jnp.asarray, inputs_of(spec).astype(dtype))
    base, own = one_draw(spec), in_spec(spec, term)
    f = jax.jit(jax.grad(lambda p: response.mean(p, inputs, spec).sum()))
    moves = {n: one for n, one in own.within().items() if n != "campaign_effect"}
    for name, one in (own.parameters() | moves).items():
        ends = dict(one.prior.params)
        near = NEAR[one.support] if one.support in NEAR else (ends["low"], ends["high"])
        for edge in near:
            full = spec.full(own, name)
            params = base | {full: np.full_like(base[full], edge)}
            found = f({n: v.astype(dtype) for n, v in params.items()})
            assert all(np.isfinite(x).all() for x in found.values()), (name, edge)


@every
def test_padded_and_widened_are_as_before(term):
    spec, (train, *_) = spec_of(term), panels()
    params, inputs = one_draw(spec), inputs_of(spec)
    before = response.mean(params, inputs, spec)
    longer = inputs.padded(inputs.history + 3, train.n_periods + 5)
    longer = jax.tree.map(jnp.asarray, longer)
    after = response.mean(params, longer, spec)[:, : train.n_periods]
    np.testing.assert_allclose(after, before, rtol=1e-12)
    data = model_data(spec, train, scale_of(spec, train))
    more = {d: n + 2 for d, n in spec.sizes(train).items() if d == "control"}
    if len(spec.media) == 1:
        more[CHANNEL] = len(train.channels) + 1
    wide = data.widened(spec, more)
    sizes = wide.inputs.sizes()
    padded = {}
    for name, value in params.items():
        dims = zip(spec.dims(name), value.shape, strict=True)
        more_of = [(0, sizes[d] - have) for d, have in dims]
        padded[name] = np.pad(value, more_of, constant_values=0.4) if more_of else value
    found = response.mean(padded, jax.tree.map(jnp.asarray, wide.inputs), spec)
    np.testing.assert_allclose(found, before, rtol=1e-12)


@every
def test_a_forecast_continues_training(term):
    spec, (train, later, whole) = spec_of(term), panels()
    scale = scale_of(spec, train)
    first = response.make_inputs(spec, train, scale)
    after = response.make_inputs(spec, later, scale, after=train)
    one, own = first.then(after), in_spec(spec, term)
    dates = whole.dates[whole.window]
    frame = Frame(whole, scale, dates, 0, train.n_periods)
    for name, (array, _) in own.inputs(frame).items():
        np.testing.assert_allclose(one[f"{own.name}.{name}"], array, rtol=1e-12)
    params = one_draw(spec)
    device = lambda x: jax.tree.map(jnp.asarray, x)
    parts = [response.mean(params, device(x), spec) for x in (first, after)]
    joined = response.mean(params, device(one), spec)
    np.testing.assert_allclose(joined, np.concatenate(parts, 1), rtol=1e-10)


@every
def test_the_graph_names_every_parameter_and_array(term):
    spec = spec_of(term)
    for panel in (panels()[0], None):
        graph = structure(spec, panel)
        named = {node.name for node in graph.nodes}
        own = in_spec(spec, term)
        present = spec.present(spec.sizes(panel))
        assert {*spec.parameters} - {*present} <= {"campaign_effect", "own.campaign_effect"}
        assert {*present} <= named
        parents = {p for node in graph.nodes for p in graph.parents(node.name)}
        assert {spec.full(own, name) for name in own.parameters()} <= parents
        assert all(name in str(graph) for name in present)


@every
def test_one_trace_for_all_numbers(term):
    spec, traces = spec_of(term), []
    inputs = inputs_of(spec)

    @jax.jit
    def f(p, x):
        traces.append(1)
        return jax.grad(lambda p: response.mean(p, x, spec).sum())(p)

    f(one_draw(spec), inputs)
    f(one_draw(spec, seed=1), inputs.replace(media=jnp.asarray(inputs["media"]) * 2.0))
    assert len(traces) == 1


@pytest.mark.slow(parts=6)
@every
def test_a_fit_with_it_is_saved_explained_and_forecast(term, tmp_path):
    spec, (train, later, _) = spec_of(term), panels()
    sizes = spec.sizes(train)
    rng = np.random.default_rng(0)
    shape = lambda n: (2, 4, *(sizes[d] for d in spec.dims(n)))
    drawn = {n: rng.uniform(0.1, 0.5, shape(n)) for n in spec.present(sizes)}
    fit = make_fit(2, 4, spec, train, **drawn)
    mm.save(fit, tmp_path / "fit.nc")
    again = mm.load(tmp_path / "fit.nc")
    assert again.spec == spec
    for name, values in fit.draws.params.items():
        np.testing.assert_array_equal(again.draws.params[name], values)
        assert again.dims(name) == spec.dims(name)
    parts = mm.contributions(again)
    name = CHANNEL if term.group == CHANNEL else term.name
    assert f"{name}_contribution" in parts
    assert np.isfinite(mm.predict(again, later)["outcome"]).all()
