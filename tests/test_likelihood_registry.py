"""One table of checks that every listed likelihood passes.

A new record is tested by being listed; parameters that the table does not know yet get
their typical and edge values in TYPICAL and EDGES. `Counts` is no record of the library:
it is what a likelihood of another kind costs, one class.
"""

import dataclasses
import functools
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
import pandas as pd
import pytest
from numpyro import handlers
from numpyro.distributions import constraints
from scipy import stats

import mmmjax as mm
from mmmjax import laws, likelihood
from mmmjax.graph import structure
from mmmjax.likelihood import LIKELIHOODS, Likelihood
from mmmjax.model import model_data, sample_parameters
from mmmjax.prepare import prepare, scale_of
from mmmjax.spec import Spec
from tests.fits import make_fit
from tests.posterior.examples import geo_panel, national_panel

pytestmark = pytest.mark.usefixtures("x64")


@dataclass(frozen=True)
class Counts(Likelihood):
    """Poisson around the mean in outcome units, kept above 0."""

    kind: ClassVar[str] = "counts"
    scaled: ClassVar[bool] = False
    noise: ClassVar[str] = ""

    def parameters(self):
        return {}

    def check(self, panel):
        seen = panel.outcome[panel.mask]
        if not np.array_equal(seen, self.possible(seen)):
            raise mm.InputError("outcome: whole numbers of 0 and more")

    def possible(self, outcome):
        return np.maximum(np.round(outcome), 0.0)

    def law(self, mean, p, target):
        return dist.Poisson(target.unit * (jax.nn.softplus(10 * mean) / 10 + 1e-6))

    def working(self, target):
        return target.outcome / target.unit, target.mask * target.unit

    def spread(self, mean, p, target):
        return np.sqrt(np.maximum(mean, 0.1).mean(1, keepdims=True) / target.unit)

    def deviates(self, mean, p, target):
        law = self.law(mean, p, target)
        ends = [law.cdf(target.outcome - k) for k in (0, 1)]
        return stats.norm.ppf(np.mean(ends, axis=0))


TYPICAL = {"y_sigma": 0.2, "y_nu_excess": 3.0, "y_growth": 0.7, "y_zero": 0.3}
EDGES = {"y_sigma": (1e-3, 1e3), "y_nu_excess": (1e-6, 1e4), "y_growth": (0.0, 1.0)}
EDGES["y_zero"] = (1e-6, 0.999)
MEANS = (-10.0, 0.0, 0.4, 10.0)
BOUND = 20.0  # of the truncated normal, outcome units
RECORDS = [cls() for cls in (*LIKELIHOODS.values(), Counts)]
RECORDS += [likelihood.TruncatedNormal(low=BOUND)]
RECORDS += [likelihood.Normal(growing=True), likelihood.StudentT(growing=True)]
RECORDS += [cls(zeros=True) for cls in likelihood.KINDS[3:]]  # counts and amounts
every = pytest.mark.parametrize("record", RECORDS, ids=repr)


@pytest.fixture(autouse=True)
def listed(monkeypatch):
    """For these tests `Counts` is listed, which is all that a new record needs."""
    monkeypatch.setitem(LIKELIHOODS, Counts.kind, Counts)


def spec_of(record):
    return Spec(likelihood=record, adstock=mm.adstock.Geometric(4), seasonality=None)


def panel_of(record, periods=24):
    """Outcomes that the record allows."""
    panel = national_panel(periods)
    return replace(panel, outcome=record.possible(panel.outcome))


def target_of(record):
    panel = panel_of(record)
    return record.target(panel, scale_of(spec_of(record), panel))


def noise(record, value=None):
    """Each parameter and what follows from them, (1, 1)."""
    value = TYPICAL if value is None else value
    own = {n: np.full((1, 1), value[n]) for n in record.parameters()}
    return {**own, **record.derived(own)}


def outcomes(law, target):
    """A grid over what the law gives, and the mass of each of its points."""
    if law.support.is_discrete:
        grid = np.arange(10_000.0)
        return grid, np.exp(np.asarray(law.log_prob(grid)))
    bounded = isinstance(law, laws.LowerTruncatedNormal)
    low = float(target.low[0, 0]) if bounded else -200.0
    above = law.support is constraints.positive or isinstance(law, laws.OrZero)
    low = 1e-6 if above else low
    grid = np.linspace(low, 200.0, 2_000_001)
    mass = np.exp(np.asarray(law.log_prob(grid))) * (grid[1] - grid[0])
    mass[[0, -1]] *= 0.5
    if isinstance(law, laws.OrZero):
        return np.append(0.0, grid), np.append(law.gate, mass)
    return grid, mass


def one_law(record, mean=0.4):
    """The law of one cell and its target."""
    target = target_of(record)
    p, cell = jax.tree.map(np.squeeze, (noise(record), target))
    return record.law(mean, p, cell), target


def test_the_registry_is_by_kind():
    assert all(kind == record.kind for kind, record in LIKELIHOODS.items())


@every
def test_it_is_a_value_and_goes_through_toml(record):
    spec = spec_of(record)
    assert Spec.from_toml(spec.to_toml()) == spec
    assert hash(type(record)(**dataclasses.asdict(record))) == hash(record)
    assert spec.structure().likelihood == record.structure()


@every
def test_it_says_what_is_sampled_and_what_follows(record):
    spec, panel = spec_of(record), panel_of(record)
    for name, parameter in record.parameters().items():
        assert spec.priors[name].typical == parameter.prior.with_dims(parameter.dims)
        if parameter.support == "positive":
            with pytest.raises(mm.InputError, match=name):
                replace(spec, priors={name: mm.Prior("Normal", scale=1.0)})
    with handlers.seed(rng_seed=0), handlers.trace() as sites:
        params = sample_parameters(spec, model_data(spec, panel, scale_of(spec, panel)))
    own = {n: params[n] for n in record.parameters()}
    derived = record.derived(own)
    assert set(record.formula()) == {likelihood.OUTCOME, *derived}
    for name, value in derived.items():
        assert params[name] == value
        assert sites[name]["type"] == "deterministic"
        assert spec.dims(name) == ()
    graph = structure(spec, panel)
    named = {node.name for node in graph.nodes}
    assert {*record.parameters(), *derived} <= named
    follow = {*record.parameters(), *graph.parents(likelihood.OUTCOME)}
    follow |= {p for name in derived for p in graph.parents(name)}
    assert follow == {"mu", *record.parameters(), *derived}


@every
def test_a_derived_quantity_has_the_dims_of_what_it_follows_from(record):
    for name in record.derived({n: 1.0 for n in record.parameters()}):
        parent = structure(spec_of(record)).parents(name)[0]
        prior = record.parameters()[parent].prior.with_dims(("geo",))
        spec = replace(spec_of(record), priors={parent: prior})
        assert spec.dims(name) == ("geo",)
        assert make_fit(spec=spec, panel=geo_panel()).dims(name) == ("geo",)


@every
def test_the_target_masks_what_is_missing_and_keeps_units(record):
    panel = panel_of(record)
    outcome = panel.outcome.copy()
    outcome[0, [3, 7]] = np.nan
    panel = replace(panel, outcome=outcome)
    target = record.target(panel, scale_of(spec_of(record), panel))
    assert target.outcome.shape == target.mask.shape == (1, 24)
    assert target.low.shape == target.unit.shape == (1, 1)
    np.testing.assert_array_equal(target.mask, np.isfinite(outcome))
    back = target.outcome * np.asarray(record.original(target))
    np.testing.assert_allclose(back[target.mask], outcome[target.mask], rtol=1e-12)
    long = target.padded(34)
    assert not long.mask[:, 24:].any()
    for some in (target, long):
        law = record.law(np.full(some.mask.shape, 0.4), noise(record), some)
        assert np.isfinite(law.log_prob(some.outcome)).all()
    np.testing.assert_array_equal(long.outcome[:, :24], target.outcome)
    response, weight = record.working(target)
    assert response.shape == weight.shape == (1, 24)
    np.testing.assert_array_equal(weight > 0, target.mask)


@every
def test_outcomes_that_it_does_not_allow_are_refused_with_their_place(record):
    panel = national_panel(24)
    outcome = panel.outcome.copy()
    outcome[0, 5] = -7.5
    panel = replace(panel, outcome=outcome)
    allowed = record.possible(outcome)
    np.testing.assert_array_equal(record.possible(allowed), allowed)
    record.check(replace(panel, outcome=allowed))
    if not np.array_equal(allowed, outcome):
        for door in (record.check, lambda panel: prepare(spec_of(record), panel)):
            with pytest.raises(mm.InputError, match="outcome"):
                door(panel)


@every
@pytest.mark.parametrize("mean", [0.05, 0.4, 1.5])
def test_the_law_is_normalised_and_draws_have_its_mean(record, mean):
    law, target = one_law(record, mean)
    grid, mass = outcomes(law, target)
    assert mass.sum() == pytest.approx(1.0, abs=1e-6)
    expected = (grid * mass).sum()
    variance = ((grid - expected) ** 2 * mass).sum()
    drawn = np.asarray(law.sample(jax.random.key(0), (4000,)), float)
    assert abs(drawn.mean() - expected) < 4.5 * np.sqrt(variance / 4000)


@every
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_gradients_at_the_edges_are_finite(record, dtype):
    target = target_of(record)
    cast = lambda tree: jax.tree.map(lambda x: jnp.asarray(x, dtype), tree)
    target = replace(cast(target), mask=target.mask)

    traces = []

    @jax.jit
    @functools.partial(jax.value_and_grad, argnums=(0, 1))
    def total(mean, p):
        traces.append(1)
        p = {**p, **record.derived(p)}
        law = record.law(jnp.full((1, 24), mean), p, target).mask(target.mask)
        return law.log_prob(target.outcome).sum()

    names = list(record.parameters())
    points = [noise(record)] + [
        noise(record, {**TYPICAL, n: value}) for n in names for value in EDGES[n]
    ]
    for p in points:
        for mean in MEANS:
            found = total(dtype(mean), cast({n: p[n] for n in names}))
            assert all(np.isfinite(x).all() for x in jax.tree.leaves(found)), (p, mean)
    assert len(traces) == 1


@every
def test_deviates_are_the_quantiles_of_the_law(record):
    target = target_of(record)
    mean = np.full(target.mask.shape, 0.6)
    found = record.deviates(mean, noise(record), target)
    law, _ = one_law(record, 0.6)
    grid, mass = outcomes(law, target)
    if law.support.is_discrete and not isinstance(record, Counts):
        _anywhere_in_the_step(record, law)
        return
    below = np.cumsum(mass) - 0.5 * mass  # of whole numbers: the middle of a step
    expected = stats.norm.ppf(np.interp(target.outcome, grid, below))
    np.testing.assert_allclose(found, expected, atol=1e-4)


def _anywhere_in_the_step(record: Likelihood, law: Any) -> None:
    """Of counts: a normal deviate at random, whatever the mean, by 4,000 draws."""
    drawn = np.asarray(law.sample(jax.random.key(1), (1, 4000)), float)
    one = lambda x: np.full((1, 1), x)
    target = likelihood.Target(drawn, drawn >= 0, one(0.0), target_of(record).unit)
    z = record.deviates(np.full((1, 4000), 0.6), noise(record), target)[0]
    assert stats.kstest(z, "norm").pvalue > 1e-4
    ends = law.cdf(drawn[0] - 1), law.cdf(drawn[0])
    assert (
        (z >= stats.norm.ppf(ends[0]) - 1e-6) & (z <= stats.norm.ppf(ends[1]) + 1e-6)
    ).all()


@pytest.mark.parametrize("size", [3.0, 50.0, 1e5])
def test_single_precision_is_enough_for_counts_of_any_size(size):
    """Differences of the log density over a step of a sampler, against SciPy in float64."""
    rng = np.random.default_rng(0)
    y = rng.poisson(size, 24).astype(float)
    for near in (1.0, 1.0 + 0.3 / np.sqrt(size)):
        for name, law, exact in (
            ("poisson", lambda m: laws.Poisson(m), lambda m: stats.poisson.logpmf(y, m)),
            ("negative binomial", lambda m: laws.NegativeBinomial(m, np.float32(40.0)),
             lambda m: stats.nbinom.logpmf(y, 40.0, 40.0 / (40.0 + m))),
        ):  # fmt: skip
            with jax.enable_x64(False):
                found = np.asarray(law(np.float32(size * near)).log_prob(np.float32(y)))
            mean = float(np.float32(size * near))
            np.testing.assert_allclose(found, exact(mean), atol=2e-4, err_msg=name)


def test_gamma_around_its_mean_is_gamma():
    y = np.random.default_rng(0).gamma(2.0, 1.0, 50)
    for k in (0.3, 4.0, 1e4):
        found = np.asarray(laws.Scattered(k, k / 1.7).log_prob(y))
        np.testing.assert_allclose(
            found, stats.gamma.logpdf(y, k, scale=1.7 / k), rtol=1e-9
        )


@pytest.mark.slow(parts=6)
@every
def test_a_forecast_has_the_mean_and_the_density_of_the_law(record):
    panel = panel_of(record)
    same = {n: np.full((1, 4000), TYPICAL[n]) for n in record.parameters()}
    same |= {
        "intercept": np.full((1, 4000), 0.4),
        "saturation_beta": np.zeros((1, 4000, 2)),
    }
    fit = make_fit(1, 4000, spec_of(record), panel, dtype=np.float64, **same)
    target = record.target(panel, fit.scale)
    unit = float(np.asarray(record.original(target))[0, 0])
    law, _ = one_law(record)
    grid, mass = outcomes(law, target)
    expected = (grid * mass).sum()
    error = np.sqrt(((grid - expected) ** 2 * mass).sum() / 4000)
    drawn = mm.predict(fit, seed=1)["outcome"].to_numpy()[0, :, 0]
    z = (drawn.mean(0) / unit - expected) / error
    assert np.abs(z).max() < 4.5  # 24 periods
    np.testing.assert_allclose(record.possible(drawn), drawn, rtol=1e-12)
    density = mm.log_likelihood(fit)["outcome"].to_numpy()[0, 0, 0]
    each = np.asarray(law.log_prob(target.outcome[0])) - np.log(unit)
    np.testing.assert_allclose(density, each, rtol=1e-10)


@every
def test_the_middle_of_draws_is_among_them(record):
    rng = np.random.default_rng(0)
    draws = {n: rng.gamma(2.0, 1.0, (200, 3)) for n in record.parameters()}
    found = record.central(draws)
    assert set(found) == set(draws)
    for name, x in found.items():
        assert ((x > draws[name].min(0)) & (x < draws[name].max(0))).all()


def test_a_new_record_is_fitted_forecast_and_judged_by_being_listed(tmp_path):
    panel = panel_of(Counts())
    spec = Spec.from_dict({"likelihood": {"kind": "counts"}, "seasonality": False})
    fit = mm.fit(spec, panel, mm.NUTS(chains=2, warmup=100, draws=100), seed=1)
    mean = mm.predict(fit)["outcome"].mean(("chain", "draw")).to_numpy()
    assert abs(mean.mean() / panel.outcome.mean() - 1) < 0.05
    assert mm.judge(fit).adequate.sentence
    mm.save(fit, tmp_path / "fit.nc")
    again = mm.load(tmp_path / "fit.nc")
    assert again.spec == fit.spec


@pytest.mark.parametrize("kind", ["poisson", "negative_binomial"])
def test_amounts_are_sent_to_laws_of_amounts(kind):
    money = pd.DataFrame({"date": pd.date_range("2023-01-02", periods=20, freq="W-MON")})
    money["sales"], money["tv"] = np.linspace(10.5, 20.25, 20), np.arange(20.0)
    panel = mm.Panel.from_frame(money, date="date", outcome="sales", media=["tv"])
    text = f'[model]\nlikelihood = {{ kind = "{kind}" }}\n'
    with pytest.raises(mm.InputError, match="whole numbers from 0") as error:
        prepare(mm.Spec.from_toml(text), panel)
    line = str(error.value).partition("money: ")[2].partition(" or ")[0]
    prepare(mm.Spec.from_toml(f"[model]\n{line}\n"), panel)
