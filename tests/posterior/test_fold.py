"""Every draw, whatever the chunk; one trace a shape; memory under the bound."""

import tracemalloc
from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mmmjax import response
from mmmjax.arrays import TIME
from mmmjax.checks import InputError
from mmmjax.draws import Draws
from mmmjax.kernels.adstock import Geometric
from mmmjax.likelihood import StudentT
from mmmjax.metrics import hdi
from mmmjax.posterior import contributions, curves
from mmmjax.posterior.explained import curves_table
from mmmjax.posterior.fold import (
    ENOUGH,
    ERROR,
    _live_bytes,
    _tile,
    _Work,
    fold,
    fold_cells,
    room,
    thinned,
)
from mmmjax.posterior.tables import channels_table
from mmmjax.prediction import predict, sample_prior, scores
from mmmjax.shapes import GEO
from mmmjax.spec import Spec
from mmmjax.terms import Media
from tests.fits import make_fit, make_panel
from tests.posterior.examples import geo_fit, geo_panel, national_fit, national_panel

TRACES = []


def counted(params, inputs, spec, factor):
    """Mean of the outcome, (geo, time); says that it was traced."""
    TRACES.append(inputs["media"].shape)
    return response.mean(params, inputs, spec) * factor[:, None]


def by_component(params, inputs, spec):
    return response.components(params, inputs, spec)


def over_time(params, inputs, spec):
    return jax.tree.map(lambda x: x.sum(-1), response.components(params, inputs, spec))


def keep_all(tile, geos, times):
    return tile


def first_and_mean(tile, geos, times):
    return {name: np.stack([x[0], x.mean(0)]) for name, x in tile.items()}


def test_is_a_loop_over_draws():
    fit = geo_fit()
    found = fold(fit, by_component)
    with jax.enable_x64(True):
        inputs = jax.tree.map(jnp.asarray, fit.inputs())
        for i in range(6):
            params = {n: a[i] for n, a in fit.flat().items()}
            for name, value in response.components(params, inputs, fit.spec).items():
                np.testing.assert_allclose(found[name][i], value, rtol=1e-12)


@pytest.mark.parametrize("memory", [1, 20_000, 10**9])
@pytest.mark.parametrize("by_geo", [True, False])
def test_results_do_not_depend_on_the_bound(memory, by_geo):
    fit = geo_fit(draws=4)  # 8 draws; chunks of 3 overlap
    whole, other = fold(fit, over_time), fold(fit, over_time, by_geo=by_geo, memory=memory)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-12), whole, other)
    cells = fold_cells(fit, by_component, first_and_mean, by_geo=by_geo, memory=memory)
    every = fold(fit, by_component)
    for name, values in every.items():
        np.testing.assert_allclose(cells[name][0], values[0], rtol=1e-12)
        np.testing.assert_allclose(cells[name][1], values.mean(0), rtol=1e-12, atol=1e-15)


def test_reduction_knows_its_place():
    fit = geo_fit()
    seen = np.zeros(fit.panel.outcome[:, fit.panel.history :].shape)

    def mark(tile, geos, times):
        seen[geos, times] += 1
        return tile["intercept"][:1]

    fold_cells(fit, by_component, mark, memory=1)
    assert (seen >= 1).all()


def test_second_fit_of_the_same_shape_traces_nothing():
    TRACES.clear()
    for seed in (0, 1):
        fit = make_fit(2, 3, panel=geo_panel(seed=seed), seed=seed)
        fold(fit, counted, fit.scale.outcome, by_geo=True)
    assert len(TRACES) == 1
    fold(fit, counted, fit.scale.outcome, by_geo=True, memory=1)  # blocks of geos, once
    blocks = len(TRACES)
    assert {shape[0] for shape in TRACES} == {3, 2, 1}  # halves
    fold(fit, counted, fit.scale.outcome, by_geo=True, memory=1)
    assert len(TRACES) == blocks


SPEC = Spec(adstock=Geometric(4), trend=True)
UPPER = (Media("upper", channels=["Search"], adstock=Geometric(2)),)
WIDE = {"time": 31, "channel": 7, "control": 4}
ROOMS = {  # what is made, and the room it stands in
    "pooled": (lambda: sample_prior(SPEC, geo_panel(), 7), WIDE),
    "no controls": (lambda: national_fit(likelihood=StudentT()), WIDE),
    "several media terms": (
        lambda: sample_prior(Spec(terms=UPPER), geo_panel(unbalanced=False), 5),
        {"time": 31, "control": 4},
    ),
    "smaller than the fit": (lambda: geo_fit(), {"time": 3, "channel": 1}),
}
TIMED = {t.name: (GEO, t.over, TIME) if t.over else (GEO, TIME) for t in SPEC.parts}
ASKED = [
    lambda fit: fold(fit, by_component, timed=TIMED)["channel"],
    lambda fit: fold(fit, by_component, by_geo=True, memory=1, timed=TIMED)["intercept"],
    lambda fit: channels_table(fit).select_dtypes("number"),
    lambda fit: curves_table(fit, 40).select_dtypes("number"),  # levels: not widened
    lambda fit: predict(fit, total=True)["outcome"],
    lambda fit: scores(fit),
]


@pytest.mark.slow(parts=6)
@pytest.mark.parametrize("case", ROOMS)
def test_a_room_changes_no_answer(case):
    make, sizes = ROOMS[case]
    fit = make()
    for ask in ASKED if case in ("pooled", "no controls") else ASKED[:2]:
        plain = ask(fit)
        with room(6, sizes):
            found = ask(fit)
        for a, b in zip(*map(jax.tree.leaves, (plain, found)), strict=True):
            np.testing.assert_allclose(np.asarray(b), np.asarray(a), rtol=1e-9)


def test_fits_of_several_shapes_share_the_program_of_their_room():
    TRACES.clear()
    spec = Spec(adstock=Geometric(4), seasonality=None)
    for periods, history in ((20, 0), (23, 2), (31, 1)):
        fit = sample_prior(spec, national_panel(periods, history), 6)
        with room(6, WIDE):
            found = fold(fit, counted, fit.scale.outcome, timed=(GEO, TIME))
        assert found.shape == (6, 1, periods)
    shapes = [shape[1:] for shape in TRACES]
    assert shapes == [(7, 37)]  # the program, and nothing else


def test_uneven_chunks_and_blocks_share_one_compilation():
    fit = make_fit(2, 5, panel=geo_panel(unbalanced=False))  # 10 draws, 3 geos

    with jax.enable_x64(True):
        work = _Work.of(fit, over_time, (), None, None, "float64")
        size = work.program(10**9, 2).bytes_per_draw
        program = work.program(4 * size, 2)
        for geos in (slice(0, 2), slice(1, 3)):
            sizes = [
                draws.stop - draws.start for draws, _ in work.block(geos).chunks(program)
            ]
            assert sizes == [4, 4, 4]  # the last overlaps
        assert program.run is work.program(4 * size, 2).run


def test_each_joins_the_parameters():
    fit = national_fit()
    numbers = np.arange(6)
    found = fold(fit, lambda p, i, s: p["number"] * 2, each={"number": numbers})
    np.testing.assert_array_equal(found, 2 * numbers)


def test_dtype_is_checked_and_used():
    fit = national_fit()
    assert fold(fit, over_time, dtype="float32")["intercept"].dtype == np.float32
    assert fold(fit, over_time)["intercept"].dtype == np.float64
    with pytest.raises(InputError, match="float16"):
        fold(fit, over_time, dtype="float16")


@pytest.mark.parametrize("memory", [1_000_000, 4_000_000])
def test_compiled_program_stays_under_its_share(memory):
    fit = make_fit(4, 500, panel=geo_panel(periods=60))
    with jax.enable_x64(True):
        work = _Work.of(fit, by_component, (), None, None, "float64")
        n_geos, n_times, program = _tile(work, True, memory)
        block = work.block(slice(0, n_geos))
        chunk, _ = next(block.chunks(program))
        need = program.run.executable.memory_analysis()
    assert need.temp_size_in_bytes + need.output_size_in_bytes <= memory // 2
    assert work.n_draws * program.bytes_out * n_times / 60 <= memory // 4
    assert chunk.stop - chunk.start >= 2  # not needlessly small


def test_host_peak_does_not_grow_with_draws_and_cells():
    def peak(draws, periods, memory=2_000_000):
        fit = make_fit(4, draws, panel=geo_panel(periods=periods, unbalanced=False))
        work = (fit, by_component, first_and_mean)
        found = fold_cells(*work, memory=memory)  # compile outside of the measurement
        held = sum(x.nbytes for x in jax.tree.leaves(found))
        tracemalloc.start()
        fold_cells(*work, memory=memory)
        high = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return high - held, 4 * draws * periods * 3 * 10 * 8

    small, materialised = peak(100, 20)
    large, materialised_large = peak(400, 60)
    assert materialised_large == 12 * materialised > 20_000_000
    assert max(small, large) <= 2_000_000


def test_estimate_counts_what_is_alive():
    def chain(x):
        y = x[:, None] * x[None, :]  # 100 x 100
        z = y + 1.0
        return z.sum()

    closed = jax.make_jaxpr(chain)(np.zeros(100, np.float32))
    assert 80_000 <= _live_bytes(closed.jaxpr) <= 120_000


def large(draws, repeat=1):
    """A fit of 4 chains with many cells, its independent draws each repeated."""
    panel = make_panel(geos=[f"g{i:02d}" for i in range(40)], periods=60)
    fit = make_fit(4, draws // repeat, panel=panel)
    params = {n: np.repeat(a, repeat, axis=1) for n, a in fit.draws.params.items()}
    return replace(fit, draws=Draws(params))


def test_draws_of_tables_are_counted_by_what_they_are_worth():
    small = geo_fit()
    assert thinned(small) is small
    assert contributions(small).attrs["draws_used"] == len(small.flat()["intercept"])
    few, same, sticky = large(2000), large(2000, repeat=4), large(2000, repeat=8)
    for fit in (few, same):
        some = thinned(fit).draws.params["intercept"]
        step = 2000 // some.shape[1]
        np.testing.assert_array_equal(some, fit.draws.params["intercept"][:, ::step])
        assert ENOUGH <= len(np.unique(some[..., 0])) <= 2000
    assert thinned(sticky) is sticky  # 1,000 different ones are fewer than enough
    assert thinned(few, 100).flat()["intercept"].shape[0] == 100
    assert thinned(few, 8000) is few


def test_an_interval_of_enough_draws_ends_within_the_error():
    draws = np.random.default_rng(5).standard_normal((ENOUGH, 2000))
    for end in hdi(draws, 0.94):
        assert end.std() < ERROR * (1 + 3 / np.sqrt(2 * 2000))


def test_tables_of_some_draws_are_those_of_all_within_the_error():
    fit = large(2000)
    found = contributions(fit)
    n, whole = found.attrs["draws_used"], found["mu_total"]
    assert ENOUGH <= n < 8000
    assert whole.sizes["draw"] == 2000  # totals are of every draw
    off = found["mu"].sel(summary="mean").sum("date") - whole.mean(("chain", "draw"))
    assert np.abs(off / whole.std(("chain", "draw"))).max() < 5 / np.sqrt(n)
    few, every = (curves(fit, 3, max_draws=k)["response"] for k in (None, 8000))
    sd = (every.sel(summary="hi") - every.sel(summary="lo")) / 3.76
    error = np.abs((few - every) / sd.where(sd > 0)).max(("geo", "channel", "point"))
    assert error.sel(summary="mean") < 5 / np.sqrt(n)
    assert error.sel(summary=["lo", "hi"]).max() < 5 * ERROR


def test_tiles_are_even_and_what_is_only_measured_is_not_compiled():
    """Seven geos where six fit are four and four, one of them twice: not six and six."""
    fit = make_fit(2, 40, panel=make_panel(geos=tuple("abcdefg"), periods=40))
    with jax.enable_x64(True):
        work = _Work.of(fit, by_component, (), None, None, "float64")
        whole = work.program(None, 7)
        per_geo = work.n_draws * whole.bytes_out / 7
        n_geos, n_times, program = _tile(work, True, int(4 * 6.5 * per_geo))
        assert (n_geos, n_times) == (4, 40)
        next(work.block(slice(0, n_geos)).chunks(program))
    assert program.run.ready
    assert not whole.run.ready
