"""blackjax behind the interface: right beside long NUTS, or refused with a reason."""

import dataclasses

import jax
import numpy as np
import pytest

import mmmjax as mm
from mmmjax import programs
from mmmjax.infer import approximation, black, moves, tempering
from tests.infer.agreement import agree
from tests.infer.problems import CASES, panel, spec

NORMAL = "no media, no controls"  # a posterior close to a normal, quick to compile
NESTED = "geos with nested priors"  # scales of two geos: a funnel
LOOKS = ("laplace", "pathfinder")
QUICK = {
    "chees": mm.ChEES(chains=8, warmup=200, draws=200),
    "mclmc": mm.MCLMC(warmup=500, draws=200),
    "unadjusted": mm.MCLMC(warmup=500, draws=100, adjusted=False),
    "meads": mm.MEADS(warmup=200, draws=50),
    "smc": mm.SMC(draws=500, moves=5),
    "laplace": mm.Laplace(),
    "pathfinder": mm.Pathfinder(),
}
LONG = {
    "chees": mm.ChEES(warmup=1000, draws=1000),
    "mclmc": mm.MCLMC(warmup=2000, draws=4000),
    "unadjusted": mm.MCLMC(draws=2000, adjusted=False),
    "meads": mm.MEADS(warmup=2000, draws=600),
    "smc": mm.SMC(draws=2000),
    "laplace": mm.Laplace(proposals=100_000),
    "pathfinder": mm.Pathfinder(proposals=100_000),
}
# Steps so small that the funnel's narrow part is reached: 1% diverge at 0.9.
CAREFUL = {"draws": 4000, "target_accept": 0.99, "max_tree_depth": 12}
REFERENCE = {
    NESTED: mm.NUTS(warmup=1000, **CAREFUL),
    "national": mm.NUTS(warmup=500, draws=4000, target_accept=0.9),
}
_FITS = {}


def fitted(name, sampler, seed=0):
    """A fit, made once for all tests of this module."""
    key = (name, sampler, seed)
    if key not in _FITS:
        the_spec, the_panel = CASES[name]
        _FITS[key] = mm.fit(the_spec, the_panel, sampler, seed=seed, progress=False)
    return _FITS[key]


@pytest.mark.slow(parts=6)
@pytest.mark.parametrize("kind", list(QUICK))
def test_the_same_posterior_as_nuts(kind):
    """12 numbers within 5 errors: wrong once in 140,000."""
    ours = fitted(NORMAL, QUICK[kind])
    agree(ours, fitted(NORMAL, mm.NUTS(warmup=500, draws=1000), seed=1))
    stats = ours.draws.stats
    assert not stats["diverging"].any()
    assert {value.shape for value in stats.values()} == {ours.draws.params["y_sigma"].shape}
    if kind not in (*LOOKS, "smc"):
        assert ours.info["gradients"]["sample"] == stats["n_steps"].sum()
    assert mm.diagnostics(ours).max_r_hat < 1.05


@pytest.mark.slow(parts=12)
@pytest.mark.parametrize("name", list(REFERENCE))
@pytest.mark.parametrize("kind", list(LONG))
def test_the_same_posterior_as_nuts_or_a_refusal(kind, name):
    """A market: all but the looks agree. A funnel: each agrees or is refused."""
    ours = fitted(name, LONG[kind])
    judged = mm.diagnostics(ours)
    if not judged.converged:
        assert judged.verdict.startswith("not usable (")
        assert name == NESTED or kind in LOOKS, judged.verdict
        return
    theirs = fitted(name, REFERENCE[name], seed=1)
    assert mm.diagnostics(theirs).converged
    agree(ours, theirs)


@pytest.mark.slow(parts=6)
@pytest.mark.parametrize("kind", list(QUICK))
def test_other_data_of_the_same_shape_compile_nothing_and_seeds_repeat(kind):
    the_spec, the_panel = CASES[NORMAL]
    # not fitted(): other tests' programs may have taken the places of those of a kept fit
    one = mm.fit(the_spec, the_panel, QUICK[kind], progress=False)
    before = set(programs._PROGRAMS)
    two = mm.fit(the_spec, the_panel, QUICK[kind], progress=False)
    changed = spec(priors={"intercept": mm.Prior("Normal", loc=0.1, scale=0.7)})
    others = panel(seed=9, channels=0, controls=0)
    other = mm.fit(changed, others, QUICK[kind], seed=1, progress=False)
    assert set(programs._PROGRAMS) == before
    assert other.info["timings"]["compile_s"] == 0.0
    for name, value in one.draws.params.items():
        np.testing.assert_array_equal(value, two.draws.params[name])
        assert not np.array_equal(value, other.draws.params[name])


@pytest.mark.parametrize("kind", ["laplace", "pathfinder"])
def test_an_approximation_that_weights_do_not_correct_is_refused(kind):
    """A market whose saturation has a long tail: a normal does not reach it."""
    fit = fitted("national", QUICK[kind])
    judged = mm.diagnostics(fit)
    assert fit.info["pareto_k"] > 0.7
    assert judged.verdict.startswith("not usable (approximation: Pareto k")
    assert judged.max_r_hat < 1.01  # which is no evidence here
    table = mm.summary(fit)
    assert judged.min_ess_bulk <= fit.info["weights_ess"] < 4000
    assert table["ess_tail"].max() <= fit.info["weights_ess"]
    assert mm.diagnostics(fit, table).verdict == judged.verdict
    iid = table["sd"] / np.sqrt(fit.info["weights_ess"])
    np.testing.assert_allclose(table["mcse_mean"], iid, rtol=0.2)


def test_a_good_approximation_is_usable():
    fit = fitted(NORMAL, QUICK["laplace"])
    assert mm.diagnostics(fit).verdict == "usable"


def test_weights_of_known_laws():
    """Wide over narrow has bounded weights; narrow over wide has a k far above 0.7."""
    random = np.random.default_rng(0)
    x = random.standard_normal(20_000)
    weights, k = approximation.smoothed(-0.5 * (2 * x) ** 2 + 0.5 * x**2)
    assert k < 0.3
    assert weights.sum() == pytest.approx(1)
    error = np.sqrt(np.square(weights).sum())
    assert abs(weights @ x**2 - 0.25) < 5 * error
    assert approximation.smoothed(-0.5 * (x / 3) ** 2 + 0.5 * x**2)[1] > 0.7
    none = approximation.smoothed(np.full(100, -np.inf))
    assert none[1] == np.inf
    places = approximation.systematic(weights, 5000, random)
    counts = np.bincount(places, minlength=len(weights))
    assert np.abs(counts - 5000 * weights).max() <= 1 + 1e-9


def test_draws_of_normals_have_their_moments_and_density():
    normals = approximation.Normals(
        np.array([[0.0, 1.0], [4.0, -2.0]]), np.array([[[1.0, 0], [0.5, 2]], np.eye(2)])
    )
    random = np.random.default_rng(0)
    z, log_q = approximation._draw(normals, 200_000, random, 5.0)
    error = z.std(0) / np.sqrt(len(z))
    assert np.all(np.abs(z.mean(0) - [2.0, -0.5]) < 5 * error)
    area = np.exp(-0.5 * np.square(z).sum(1) - np.log(2 * np.pi) - log_q)
    assert abs(area.mean() - 1) < 5 * area.std() / np.sqrt(len(z))


def test_a_path_on_a_normal_ends_in_that_normal():
    random = np.random.default_rng(0)
    factor = np.tril(random.normal(size=(4, 4))) + 3 * np.eye(4)
    precision = np.linalg.inv(factor @ factor.T)
    mode = np.array([1.0, -2.0, 3.0, 0.0])
    steps = np.linalg.eigh(precision)[1].T  # conjugate, so that BFGS is exact after them
    points = mode + np.cumsum([5 * random.standard_normal(4), *steps], axis=0)
    found = approximation._normals(points, (points - mode) @ precision)
    np.testing.assert_allclose(found.means[-1], mode, atol=1e-8)
    cover = found.factors[-1] @ found.factors[-1].T
    np.testing.assert_allclose(cover, factor @ factor.T, atol=1e-8)


def test_unadjusted_moves_with_too_large_steps_are_refused(monkeypatch):
    monkeypatch.setattr(black, "ENERGY_ERROR", 0.05)
    fit = fitted(NORMAL, dataclasses.replace(QUICK["unadjusted"], warmup=600))
    assert fit.info["energy_error"] > 0.002
    assert "biased, take adjusted=True" in mm.diagnostics(fit).verdict
    monkeypatch.undo()
    few = fitted(NORMAL, QUICK["unadjusted"])
    assert "energy error" not in mm.diagnostics(few).verdict


def test_particles_that_have_not_arrived_drift():
    """Moves that keep a normal: draws of it stay, draws a tenth too wide do not."""
    random = np.random.default_rng(0)
    z = random.standard_normal((4, 1000, 30))
    noise = random.standard_normal(z.shape)
    moved = lambda z: 0.8 * z + 0.6 * noise
    assert tempering.drift(z, moved(z)) < 5
    assert tempering.drift(1.1 * z, moved(1.1 * z)) > 5
    assert tempering.drift(z + 0.2 * (np.arange(30) == 7), moved(z)) > 5
    assert tempering.drift(z, z) == np.inf  # nothing moved, nothing is known


def test_a_drift_is_refused_whatever_else_is_well():
    fit = fitted(NORMAL, QUICK["smc"])
    assert fit.info["drift"] < 5
    assert mm.diagnostics(fit).verdict == "usable"
    far = dataclasses.replace(fit, info=fit.info | {"drift": 13.5})
    assert mm.diagnostics(far).verdict.startswith("not usable (particles drift by 13.5")


def test_lengths_are_the_same_for_all_chains_and_evenly_spread():
    with jax.enable_x64(False):
        steps = np.array([int(moves._steps(np.int32(i), 8.0)) for i in range(64)])
    assert (steps.min(), steps.max()) == (1, 8)
    np.testing.assert_allclose(np.bincount(steps)[1:], 8, atol=1)
    taken = fitted(NORMAL, QUICK["chees"]).draws.stats["n_steps"]
    assert (taken == taken[0]).all()


@pytest.mark.parametrize("kind", ["mclmc", "smc", "laplace"])
def test_a_stored_fit_names_its_sampler(kind, tmp_path):
    fit = fitted(NORMAL, QUICK[kind])
    mm.save(fit, tmp_path / "fit.nc")
    back = mm.load(tmp_path / "fit.nc")
    assert back.sampler == QUICK[kind]
    assert mm.diagnostics(back).verdict == mm.diagnostics(fit).verdict


@pytest.mark.parametrize(
    "record, change, words",
    [
        (mm.Laplace, {"proposals": 3999}, "at least chains * draws, 4000"),
        (mm.Laplace, {"chains": 0}, "chains"),
        (mm.Pathfinder, {"paths": 0}, "paths"),
        (mm.Pathfinder, {"proposals": 10}, "proposals"),
        (mm.ChEES, {"chains": 4}, "chains"),
        (mm.ChEES, {"target_accept": 1.0}, "target_accept"),
        (mm.MCLMC, {"warmup": 100}, "warmup"),
        (mm.MCLMC, {"adjusted": "yes"}, "true or false"),
        (mm.MEADS, {"chains": 16}, "chains"),
        (mm.MEADS, {"chains": 66}, "multiple of 4"),
        (mm.SMC, {"target_ess": 1.0}, "target_ess"),
        (mm.SMC, {"draws": 10}, "draws"),
        (mm.SMC, {"dtype": "float16"}, "float64"),
    ],
)
def test_settings_that_cannot_be_meant_are_refused(record, change, words):
    with pytest.raises(mm.InputError) as error:
        record(**change)
    assert words in str(error.value)
