"""NUTS: reproducible, the same in threads and as a batch, right beside plain NumPyro."""

import jax
import jax.numpy as jnp
import numpy as np
import numpyro
import pytest

import mmmjax as mm
from mmmjax import programs
from mmmjax.infer import nuts, precondition
from mmmjax.infer.progress import Progress
from mmmjax.model import program
from tests.infer.problems import CASES, data_of, panel, spec

QUICK = mm.NUTS(chains=2, warmup=100, draws=100, until=None, chunk=50)


def run(name="national", seed=0, batched=None, sampler=QUICK):
    the_spec, the_panel = CASES[name]
    structure = the_spec.structure()
    problem, _ = precondition.precondition(structure, data_of(the_spec, the_panel))
    return nuts.run(problem, structure, sampler, seed, Progress(2, False), batched)


def test_same_seed_same_draws_other_seed_other_draws():
    one, two, other = run(seed=3), run(seed=3), run(seed=4)
    for name, value in one.params.items():
        np.testing.assert_array_equal(value, two.params[name])
        assert not np.array_equal(value, other.params[name])
    assert one.params["adstock_alpha"].shape == (2, 100, 2)
    assert one.stats["diverging"].shape == (2, 100)
    assert len(np.unique(one.params["y_sigma"])) > 150


def test_a_batch_of_chains_samples_the_same_posterior_as_threads():
    """Rounding differs between the programs, so chains part; their distribution may not."""
    threads, batch = run(batched=False), run(batched=True)
    for name, value in threads.params.items():
        first = lambda p, n=name: p.params[n][:, :2].astype(float)
        assert batch.params[name].shape == value.shape
        spread = value.std((0, 1)) + 1e-6
        assert np.all(np.abs(batch.params[name].mean((0, 1)) - value.mean((0, 1))) < spread)
        assert np.isfinite(first(batch)).all()


def test_a_second_fit_of_other_data_of_the_same_shape_compiles_nothing():
    one = mm.fit(spec(), panel(seed=0), QUICK, progress=False)
    before = set(programs._PROGRAMS)
    changed = spec(priors={"intercept": mm.Prior("Normal", loc=0.1, scale=0.7)})
    two = mm.fit(changed, panel(seed=9), QUICK, seed=1, progress=False)
    assert set(programs._PROGRAMS) == before
    assert two.info["timings"]["compile_s"] == 0.0
    assert not np.allclose(one.draws.params["intercept"], two.draws.params["intercept"])


def test_rounding_up_to_chunks_is_said():
    few = mm.NUTS(chains=2, warmup=60, draws=30, until=None, chunk=50)
    found = mm.fit(spec(), panel(), few, progress=False)
    assert found.draws.params["intercept"].shape == (2, 50)
    text = " ".join(found.info["notes"])
    assert "draws rounded up from 30 to 50" in text
    assert "warmup rounded up from 60 to 100" in text


def chains_of(levels, steps, still=()):
    """Made-up windows of three chains: energy level, step size, who stands still."""
    rng = np.random.default_rng(0)
    out = []
    for c, (level, size) in enumerate(zip(levels, steps, strict=True)):
        lp = np.full(50, level) if c in still else level + rng.normal(size=50)
        fill = np.zeros(50)
        out.append(
            nuts.Draw(
                rng.normal(size=(50, 5)),
                {},
                fill,
                fill,
                fill,
                fill,
                fill,
                lp,
                np.full(50, size),
            )
        )
    return out


@pytest.mark.parametrize(
    "chains, expected",
    [
        (chains_of([0.0, 0.0, 0.0], [0.5, 0.5, 0.5]), []),
        (chains_of([0.0, 0.0, -500.0], [0.5, 0.5, 0.5]), [2]),
        (chains_of([0.0, 0.0, 0.0], [0.5, 1e-5, 0.5]), [1]),
        (chains_of([0.0, 0.0, 0.0], [0.5, 0.5, 0.5], still=(0,)), [0]),
        (chains_of([0.0, np.nan, 0.0], [0.5, 0.5, 0.5]), [1]),
    ],
)
def test_stuck_chains_are_seen(chains, expected):
    assert nuts._stuck(chains) == expected


def test_a_stuck_chain_is_restarted_and_reported():
    """Chain 1 is put where the density is flat nonsense; the fit must end well."""
    the_spec, the_panel = CASES["national"]
    structure = the_spec.structure()
    problem, _ = precondition.precondition(structure, data_of(the_spec, the_panel))
    with jax.enable_x64(False):
        single = problem.astype(np.float32)
        lanes = nuts._Lanes(single, structure, QUICK, 0, False)
        away = lanes.states[1]._replace(z=lanes.states[1].z + 1e4)
        lanes.states[1] = away._replace(
            potential=np.float32(1e12), gradient=0 * away.gradient
        )
        ready = nuts.settle(lanes.states[1]._replace(step_size=np.float32(1e-9)))
        lanes.states[1] = ready._replace(step_size=np.float32(1e-9))
        _, events, _ = nuts._warm_up(single, lanes, 4, Progress(2, False))
        assert any("chain 1 was stuck" in e for e in events)
        assert np.abs(np.asarray(lanes.states[1].z)).max() < 50


@pytest.mark.slow
@pytest.mark.parametrize(
    "name", ["truncated, masked, rank deficient", "geos with nested priors"]
)
def test_posterior_agrees_with_plain_numpyro_nuts_on_the_untransformed_density(name):
    """Means within 5 combined Monte Carlo errors (40 numbers: 1 in 40,000 by chance)."""
    the_spec, the_panel = CASES[name]
    ours = mm.fit(
        the_spec,
        the_panel,
        mm.NUTS(warmup=500, draws=2000, target_accept=0.9),
        progress=False,
    )
    with jax.enable_x64(True):
        data = jax.tree.map(jnp.asarray, data_of(the_spec, the_panel))
        kernel = numpyro.infer.NUTS(program, target_accept_prob=0.95, dense_mass=True)
        plain = numpyro.infer.MCMC(
            kernel, num_warmup=1500, num_samples=4000, num_chains=4,
            chain_method="vectorized", progress_bar=False,
        )  # fmt: skip
        plain.run(jax.random.key(1), the_spec, data)
        theirs = plain.get_samples(group_by_chain=True)
    checked = 0
    for label, value in ours.draws.params.items():
        a, b = value.astype(float), np.asarray(theirs[label], float)
        error = np.hypot(mcse(a), mcse(b))
        z = (a.mean((0, 1)) - b.mean((0, 1))) / error
        assert np.all(np.abs(z) < 5), (label, z)
        checked += z.size
    assert checked > 10


def mcse(draws):
    """Monte Carlo error of the mean by batch means within chains (40 batches a chain)."""
    chains, n = draws.shape[:2]
    means = draws[:, : n - n % 40].reshape(chains, 40, -1, *draws.shape[2:]).mean(2)
    flat = means.reshape(chains * 40, *draws.shape[2:])
    return flat.std(0, ddof=1) / np.sqrt(len(flat))


@pytest.mark.slow
def test_float32_and_float64_agree_within_monte_carlo_error():
    the_spec, the_panel = CASES["national"]
    settings = {"warmup": 500, "draws": 2000}
    single = mm.fit(the_spec, the_panel, mm.NUTS(**settings), progress=False)
    double = mm.fit(
        the_spec, the_panel, mm.NUTS(**settings, dtype="float64"), progress=False, seed=1
    )
    assert double.draws.params["intercept"].dtype == np.float64
    for label, value in single.draws.params.items():
        a, b = value.astype(float), double.draws.params[label]
        z = (a.mean((0, 1)) - b.mean((0, 1))) / np.hypot(mcse(a), mcse(b))
        assert np.all(np.abs(z) < 5), (label, z)
