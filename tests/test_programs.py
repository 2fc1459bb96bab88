"""A program that was kept is the program; whatever it depends on is in its name."""

import contextlib
import platform

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mmmjax import programs
from mmmjax.kernels.adstock import Geometric
from mmmjax.spec import Spec

TRACES = []


def scaled(x, key, by):
    """Something with noise and structure in its result."""
    TRACES.append(x.shape)
    noise = jax.random.normal(jax.random.wrap_key_data(key), x.shape)
    return {"sum": (x * by).sum(), "each": (x * by + noise, x)}


scaled.__module__ = "mmmjax.made_up"  # only functions of the package are kept
ARGS = np.arange(4.0, dtype=np.float32), np.array([1, 2], np.uint32)


@contextlib.contextmanager
def configured(name, value):
    """A setting of JAX for a while."""
    before = getattr(jax.config, name)
    jax.config.update(name, value)
    yield
    jax.config.update(name, before)


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """JAX's persistent cache in a folder of its own, and nothing in memory."""
    monkeypatch.setattr(programs, "_PROGRAMS", {})
    TRACES.clear()
    with configured("jax_compilation_cache_dir", str(tmp_path)):
        yield tmp_path


def wrapping(f):
    def wrapped(*args):
        return f(*args)

    wrapped.__module__ = "mmmjax.made_up"
    return wrapped


def run(by=2.0):
    call, _ = programs.compiled(scaled, {"by": by}, *ARGS)
    return call, jax.tree.map(np.asarray, call(*ARGS))


def forget():
    programs._PROGRAMS.clear()
    TRACES.clear()


def kept(folder):
    return sorted(folder.glob(f"*{programs.SUFFIX}"))


def test_another_process_traces_nothing_and_gets_the_same(cache):
    _, first = run()
    assert TRACES
    assert len(kept(cache)) == 1
    forget()
    call, second = run()
    assert not TRACES
    assert jax.tree.structure(first) == jax.tree.structure(second)
    jax.tree.map(np.testing.assert_array_equal, first, second)
    assert [shape for shape, _ in call.out] == [(4,), (4,), ()]
    assert not [p for p in cache.iterdir() if p.name.startswith(".")]  # nothing half done


def test_static_arguments_shapes_sources_and_precision_have_their_own(cache, monkeypatch):
    run()
    run(by=3.0)
    assert len(kept(cache)) == 2
    wide = np.arange(5.0, dtype=np.float32), ARGS[1]
    programs.compiled(scaled, {"by": 2.0}, *wide)
    assert len(kept(cache)) == 3
    with jax.enable_x64(True):
        run()
    assert len(kept(cache)) == 4
    forget()
    monkeypatch.setattr(programs, "_sources", lambda: "edited")
    run()
    assert TRACES
    assert len(kept(cache)) == 5


def test_a_damaged_file_is_traced_again_and_replaced(cache):
    _, first = run()
    (path,) = kept(cache)
    whole = path.read_bytes()
    for damage in (b"", whole[:40], b"\x00" * len(whole)):
        path.write_bytes(damage)
        forget()
        _, again = run()
        assert TRACES
        jax.tree.map(np.testing.assert_array_equal, first, again)
        assert len(path.read_bytes()) > 40


def test_what_measure_says_is_kept(cache):
    measure = lambda jaxpr: len(jaxpr.eqns)
    first = programs.program(scaled, {"by": 2.0}, *ARGS, measure=measure).size
    assert first > 3
    forget()
    assert programs.program(scaled, {"by": 2.0}, *ARGS, measure=measure).size == first
    assert not TRACES


def test_functions_of_others_are_not_kept(cache, monkeypatch):
    monkeypatch.setattr(scaled, "__module__", "elsewhere")
    run()
    assert not kept(cache)
    forget()
    run()
    assert TRACES  # traced in every process


def test_nothing_is_kept_where_the_cache_is_off(cache):
    with configured("jax_enable_compilation_cache", False):
        run()
    assert not kept(cache)


def test_names_say_all_that_matters():
    spec = Spec(adstock=Geometric(max_lag=4)).structure()
    other = Spec(adstock=Geometric(max_lag=5)).structure()
    assert programs._named(spec) != programs._named(other)
    assert programs._named(spec) == programs._named(Spec(adstock=Geometric(4)).structure())
    assert "scaled" in programs._named(wrapping(scaled))  # what a closure holds counts
    for foreign in (lambda x: x, np.zeros(2), jnp.sum, object()):
        with pytest.raises(TypeError):
            programs._named(foreign)


def test_it_is_compiled_in_the_precision_of_its_trace():
    """Also by a thread, or after a block, that has another one."""

    def noisy(x, *, by):
        return x * by + jax.random.normal(jax.random.key(0), x.shape, x.dtype)

    x = np.linspace(0, 1, 5)
    with jax.enable_x64(True):
        made = programs.program(noisy, {"by": 1 / 3}, x)
    assert made.executable is not None  # outside
    with jax.enable_x64(True):
        np.testing.assert_array_equal(
            made(x), jax.jit(noisy, static_argnames="by")(x, by=1 / 3)
        )


def test_memory_holds_a_bounded_number_those_in_use(monkeypatch):
    monkeypatch.setattr(programs, "_PROGRAMS", {})
    monkeypatch.setattr(programs, "MOST", 3)
    first = programs.program(scaled, {"by": 0.0}, *ARGS)
    for by in range(1, 6):
        programs.program(scaled, {"by": float(by)}, *ARGS)
        assert programs.program(scaled, {"by": 0.0}, *ARGS) is first
    assert len(programs._PROGRAMS) == 3


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="another C library")
def test_memory_that_compilers_freed_is_given_back(monkeypatch):
    monkeypatch.setattr(programs, "_TIDY", {"at": 0, "mappings": 0})
    blocks = [np.ones(500) for _ in range(50_000)]  # 200 MB
    del blocks[:-1]  # the last one lies on top of what is free
    before = programs._held()
    programs._tidy()
    assert programs._held() < before - 150e6
    programs._tidy()
    assert programs._TIDY["at"] == pytest.approx(programs._held() + programs.LEFT, rel=0.1)


@pytest.mark.skipif(platform.system() != "Linux", reason="mappings are counted on Linux")
def test_programs_are_forgotten_before_mappings_run_out(cache, monkeypatch):
    """Many models in one process: a compiler that is refused a mapping crashes."""
    first, expected = run(2.0)
    made = [jax.jit(lambda x, k=k: jnp.sin(x * k) @ x) for k in range(40)]
    for each in made:
        each(np.arange(9.0))
    monkeypatch.setattr(programs, "_TIDY", {"at": 2**60, "mappings": 0})
    truly, counts, seen = programs._mappings, iter([40_000, 41_000, 42_000]), []
    monkeypatch.setattr(programs, "_mappings", lambda: seen.append(truly()) or next(counts))
    second, _ = run(3.0)
    assert second.ready
    assert not programs._PROGRAMS
    assert seen[1] < seen[0] - 40  # of 40 programs and more
    run(4.0)  # not again at once, where what is mapped is not ours
    assert len(programs._PROGRAMS) == 1
    assert next(counts, None) is None
    counts = iter([0, 0])
    for again in (first(*ARGS), run(2.0)[1]):
        for a, b in zip(jax.tree.leaves(again), jax.tree.leaves(expected), strict=True):
            np.testing.assert_array_equal(a, b)
