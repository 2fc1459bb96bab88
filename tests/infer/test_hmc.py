"""Lock-step HMC: right beside NUTS, blind to neighbours, going on until it is enough."""

import dataclasses

import jax
import numpy as np
import pytest
from scipy import stats

import mmmjax as mm
from mmmjax import programs
from mmmjax.infer import hmc, lanes, lockstep, precondition, warmup
from mmmjax.infer.laplace import Potential
from mmmjax.infer.progress import Progress
from tests.infer.agreement import agree
from tests.infer.problems import CASES, data_of, panel, spec

QUICK = mm.HMC(chains=4, warmup=100, draws=100, until=None)


def problem_of(name="national", seed=None):
    the_spec, the_panel = CASES[name]
    if seed is not None:
        the_panel = panel(seed=seed)
    structure = the_spec.structure()
    return precondition.precondition(structure, data_of(the_spec, the_panel))[0], structure


@pytest.mark.slow(parts=6)
def test_the_same_posterior_as_nuts():
    """24 numbers within 5 errors: wrong once in 70,000."""
    the_spec, the_panel = CASES["national"]
    ours = mm.fit(the_spec, the_panel, mm.HMC(draws=1000), progress=False)
    theirs = mm.fit(
        the_spec, the_panel, mm.NUTS(warmup=500, draws=1000), seed=1, progress=False
    )
    agree(ours, theirs)


@pytest.mark.slow
@pytest.mark.parametrize("name", list(CASES))
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_same_posterior_as_nuts_for_every_part_of_the_model(name, dtype):
    """Scales of two geos are a funnel, which the coordinates take out, too."""
    the_spec, the_panel = CASES[name]
    sampler = mm.HMC(warmup=400, draws=2000, dtype=dtype)
    ours = mm.fit(the_spec, the_panel, sampler, progress=False)
    theirs = mm.fit(
        the_spec, the_panel, mm.NUTS(warmup=500, draws=4000, target_accept=0.9), seed=1,
        progress=False,
    )  # fmt: skip
    agree(ours, theirs)


def test_same_seed_same_draws_other_seed_other_draws():
    problem, structure = problem_of()
    one, two, other = (
        hmc.run(problem, structure, QUICK, seed, Progress(4, False)) for seed in (3, 3, 4)
    )
    for name, value in one.params.items():
        np.testing.assert_array_equal(value, two.params[name])
        assert not np.array_equal(value, other.params[name])
    assert one.params["adstock_alpha"].shape == (4, 100, 2)
    assert set(one.stats) == {
        "diverging", "acceptance_rate", "energy", "lp", "step_size", "n_steps",
    }  # fmt: skip
    assert all(value.shape == (4, 100) for value in one.stats.values())
    assert one.info["gradients"]["sample"] == one.stats["n_steps"].sum()


@pytest.mark.slow(parts=6)
@pytest.mark.parametrize("width", [2, 3])
def test_a_market_does_not_feel_its_neighbours(width):
    """The same market beside others, in another place: the same draws, bit for bit."""
    mine, structure = problem_of()
    others = [problem_of(seed=seed)[0] for seed in (7, 8)]
    none = lambda *_: None

    def draws(order, seeds):
        with jax.enable_x64(False):
            found = lanes.Lanes(order, structure, QUICK, seeds, width)
            warmup.warm_up(found, 2, none)
            z = found.advance(100, 1, False, none).z
            return found.unfold(z)["adstock_alpha"][seeds.index(5)]

    first = draws([mine, others[0], others[1]], [5, 1, 2])
    np.testing.assert_array_equal(first, draws([mine, others[1], mine], [5, 8, 3]))
    np.testing.assert_array_equal(first, draws([others[1], others[0], mine], [2, 1, 5]))


def test_a_transition_is_that_of_a_plain_loop():
    """Leapfrogs and acceptance written out, at a step so long that many are rejected."""
    problem, structure = problem_of()
    with jax.enable_x64(True):
        sampler = dataclasses.replace(QUICK, dtype="float64")
        found = lanes.Lanes([problem], structure, sampler, [0])
        found.state = found.state._replace(step_size=np.full(1, 0.7))
        z, potential, slope = (np.array(x[0]) for x in found.state[:3])
        draws = found.advance(0, 1, False, lambda *_: None)
        at, rejected = Potential(problem, structure), 0
        for i, leaps in enumerate(found.leaps(0, 1)[:30]):
            key = jax.random.fold_in(jax.random.wrap_key_data(found.keys[0]), i)
            kick, chance = jax.random.split(key)
            momenta = np.asarray(jax.random.normal(kick, z.shape, "float64"))
            chances = np.asarray(jax.random.uniform(chance, (4,), "float64"))
            for c in range(4):
                x, p, value, g = z[c], momenta[c], potential[c], slope[c]
                before = value + 0.5 * p @ p
                for _ in range(leaps):
                    p = p - 0.35 * g
                    x = x + 0.7 * p
                    value, g = at(x)
                    p = p - 0.35 * g
                with np.errstate(over="ignore"):  # of what is rejected
                    after = value + 0.5 * p @ p
                if np.log(chances[c]) < before - after:
                    z[c], potential[c], slope[c] = x, value, g
                else:
                    rejected += 1
            np.testing.assert_allclose(draws.z[i, 0], z, rtol=1e-6, atol=1e-8)
    assert 10 < rejected < 110


def test_lengths_are_spread_evenly_and_known_to_all():
    leaps = lockstep.leaps(0, 800, 8)
    assert (leaps.min(), leaps.max()) == (1, 8)
    np.testing.assert_allclose(np.bincount(leaps)[1:], 100, atol=1)
    np.testing.assert_array_equal(leaps[300:350], lockstep.leaps(300, 50, 8))
    halton = stats.qmc.Halton(1, scramble=False)
    halton.fast_forward(1)
    np.testing.assert_array_equal(leaps, 1 + np.floor(8 * halton.random(800)[:, 0]))


@pytest.mark.slow(parts=6)
def test_coordinates_may_change_but_not_the_place():
    """Pooling moves the coordinates; parameters and energies of the chains stay."""
    problem, structure = problem_of("geos with nested priors")
    with jax.enable_x64(True):
        sampler = dataclasses.replace(QUICK, dtype="float64")
        found = lanes.Lanes([problem], structure, sampler, [0])
        draws = found.advance(0, 2, True, lambda *_: None)
        before = found.unfold(draws.z[-50:])
        state = found.state
        warmup._pool(found, draws, {})
        same = np.repeat(found.state.z[None], 50, 0)
        for name, value in found.unfold(same).items():
            np.testing.assert_allclose(value[:, :, -1], before[name][:, :, -1], rtol=1e-8)
        at = Potential(found.problems[0], structure)
        for lane, chain in np.ndindex(found.state.potential.shape):
            value, slope = at(found.state.z[lane, chain])
            np.testing.assert_allclose(slope, found.state.gradient[lane, chain], rtol=1e-6)
            np.testing.assert_allclose(value, state.potential[lane, chain], rtol=1e-9)


def test_a_stuck_chain_is_restarted_and_reported():
    problem, structure = problem_of()
    with jax.enable_x64(False):
        found = lanes.Lanes([problem], structure, QUICK, [0])
        found.state.z[0, 1] += 1e4
        found.state.potential[0, 1] = np.float32(1e12)
        found.state.gradient[0, 1] = 0.0
        restarts = warmup.warm_up(found, 4, lambda *_: None)
        assert restarts[:1] == [(0, {0: [1]})]
        assert np.abs(found.state.z).max() < 50


def test_it_goes_on_until_it_is_enough():
    the_spec, the_panel = CASES["national"]
    until = mm.Converged(r_hat=1.01, ess=1500)
    sampler = mm.HMC(draws=100, until=until, max_draws=3000)
    fit = mm.fit(the_spec, the_panel, sampler, progress=False)
    table = mm.summary(fit)
    assert fit.info["until"]["met"]
    assert table.r_hat.max() <= 1.01
    assert table[["ess_bulk", "ess_tail"]].min().min() >= 1500
    assert fit.draws.n_draws in range(200, 3001, 100)

    little = dataclasses.replace(sampler, max_draws=150)
    fit = mm.fit(the_spec, the_panel, little, progress=False)
    assert fit.draws.n_draws == 150
    assert any("stopped at 150 draws a chain" in note for note in fit.info["notes"])


def test_a_second_fit_of_other_data_of_the_same_shape_compiles_nothing():
    mm.fit(spec(), panel(seed=0), QUICK, progress=False)
    before = set(programs._PROGRAMS)
    changed = spec(priors={"intercept": mm.Prior("Normal", loc=0.1, scale=0.7)})
    two = mm.fit(changed, panel(seed=9), QUICK, seed=1, progress=False)
    assert set(programs._PROGRAMS) == before
    assert two.info["timings"]["compile_s"] == 0.0


def test_momentum_and_acceptance_are_those_of_a_gaussian():
    """Accepted or not, energy less potential is a kinetic energy: size / 2 on average."""
    problem, structure = problem_of()
    found = hmc.run(problem, structure, mm.HMC(draws=1000), 0, Progress(8, False))
    size = problem.center.shape[0]
    kinetic = found.stats["energy"] + found.stats["lp"]
    assert kinetic.min() >= 0
    assert stats.ttest_1samp(kinetic.mean(1), size / 2).pvalue > 1e-6
    assert 0.7 < found.stats["acceptance_rate"].mean() < 0.92
    assert not found.stats["diverging"].any()


def test_a_stored_fit_names_its_sampler(tmp_path):
    the_spec, the_panel = CASES["national"]
    sampler = dataclasses.replace(QUICK, until=mm.Converged(ess=10, r_hat=2.0))
    fit = mm.fit(the_spec, the_panel, sampler, progress=False)
    mm.save(fit, tmp_path / "fit.nc")
    assert mm.load(tmp_path / "fit.nc").sampler == sampler


@pytest.mark.parametrize(
    "change, words",
    [
        ({"leapfrogs": 0}, "leapfrogs"),
        ({"target_accept": 1.0}, "target_accept"),
        ({"until": 3}, "mm.Converged"),
        ({"until": {"rhat": 1.01}}, "r_hat"),
        ({"until": {"r_hat": 0.5}}, "r_hat"),
        ({"until": mm.Converged(), "max_draws": 10}, "raise max_draws"),
        ({"until": None, "max_draws": 0}, "max_draws"),
        ({"dtype": "float16"}, "float64"),
    ],
)
def test_settings_that_cannot_be_meant_are_refused(change, words):
    with pytest.raises(mm.InputError) as error:
        mm.HMC(**change)
    assert words in str(error.value)
