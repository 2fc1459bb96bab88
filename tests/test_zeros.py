"""Periods that sell nothing: counts with more zeros than their law has, amounts with some.

Oracles: NumPyro's own inflated laws of counts, and SciPy's densities of amounts.
"""

import jax
import numpy as np
import numpyro.distributions as dist
import pandas as pd
import pytest
from scipy import stats

import mmmjax as mm
from mmmjax.likelihood import KINDS, Target

pytestmark = pytest.mark.usefixtures("x64")

RECORDS = [cls(zeros=True) for cls in KINDS[3:]]
every = pytest.mark.parametrize("record", RECORDS, ids=repr)
P = {"y_sigma": 0.3, "y_zero": 0.25}
UNIT = 40.0  # outcomes per unit of the mean


def target_of(y):
    one = np.ones((len(y), 1))
    return Target(y, np.ones(y.shape, bool), 0 * one, UNIT * one)


def by_hand(record, mean):
    """Log density at outcomes, that of those above 0 around mean / (1 - y_zero)."""
    level, s = mean / 0.75, 0.3
    if record.kind == "poisson":
        return dist.ZeroInflatedPoisson(0.25, rate=UNIT * level).log_prob
    if record.kind == "negative_binomial":
        base = dist.NegativeBinomial2(UNIT * level, s**-2)
        return dist.ZeroInflatedDistribution(base, gate=0.25).log_prob
    law = stats.gamma(s**-2, scale=level * s**2)
    if record.kind == "log_normal":
        law = stats.lognorm(s, scale=level * np.exp(-(s**2) / 2))
    return lambda y: np.where(y > 0, np.log(0.75) + law.logpdf(np.where(y > 0, y, 1.0)),
                              np.log(0.25))  # fmt: skip


def drawn(record, mean, n=20_000):
    law = record.law(np.full((1, n), mean), P, target_of(np.ones((1, n))))
    return np.asarray(law.sample(jax.random.key(0)), float), law


@every
@pytest.mark.parametrize("mean", [0.05, 0.6])
def test_the_density_is_that_of_others_and_the_mean_that_of_all(record, mean):
    y, law = drawn(record, mean)
    few = np.unique(np.append(y[0, :50], 0.0))[None]
    found = record.law(np.full(few.shape, mean), P, target_of(few)).log_prob(few)
    top = float(record.above(mean))
    np.testing.assert_allclose(found, by_hand(record, top)(few), rtol=1e-5)
    by = 1.0 if record.scaled else UNIT
    np.testing.assert_allclose(np.asarray(law.mean).mean(), by * top, rtol=1e-9)
    sd = np.sqrt(np.asarray(law.variance).mean())
    assert abs(y.mean() - by * top) < 4.5 * sd / np.sqrt(y.size)
    assert abs(y.std() / sd - 1) < 0.05
    spread = record.spread(np.full((1, 3), mean), P, target_of(y))
    rough = 0.02 if record.kind == "log_normal" else 1e-9  # its noise is that of a log
    np.testing.assert_allclose(by * spread, sd, rtol=rough)


@every
def test_residuals_are_normal_and_those_of_nothing_lie_lowest(record):
    y, _ = drawn(record, 0.6, 4000)
    z = record.deviates(np.full(y.shape, 0.6), P, target_of(y))
    assert stats.kstest(z.ravel(), "norm").pvalue > 1e-4
    assert z[y == 0].max() < z[y > 0].min() + 1e-9


@every
def test_it_is_written_said_and_asked_for_where_it_is_missing(record):
    spec = mm.Spec(likelihood=record)
    assert mm.Spec.from_toml(spec.to_toml()) == spec
    assert repr(record) == f"{type(record).__name__}(zeros=True)"
    assert record.formula()["y"].endswith("y_zero)")
    assert "zeros" not in type(record)().formula()["y"]
    with pytest.raises(mm.InputError, match="zeros = true"):
        mm.Spec(priors={"y_zero": mm.Prior("Beta", alpha=1.0, beta=1.0)})
    panel = world(record)
    record.check(panel)
    if record.scaled:
        with pytest.raises(mm.InputError, match=f'kind = "{record.kind}", zeros = true'):
            type(record)().check(panel)


def world(record, geos=1, weeks=60, seed=0):
    """A fifth of the weeks without any sale; others of a law without noise but its own."""
    rng, rows = np.random.default_rng(seed), []
    for g in range(geos):
        tv = rng.gamma(2.0, 100.0, weeks) * (rng.random(weeks) > 0.3)
        mean = 60.0 + 60.0 * np.tanh(tv / 200.0)
        y = rng.poisson(mean) if not record.scaled else mean * rng.gamma(25, 1 / 25, weeks)
        y = np.where(rng.random(weeks) < 0.2, 0.0, y)
        date = pd.date_range("2022-01-03", periods=weeks, freq="7D")
        rows.append(pd.DataFrame({"geo": "abc"[g], "date": date, "sales": y, "tv": tv}))
    names = {"date": "date", "outcome": "sales", "media": ["tv"]}
    frame = pd.concat(rows)
    return mm.Panel.from_frame(frame, geo="geo" if geos > 1 else None, **names)


@pytest.mark.slow(parts=6)
@pytest.mark.parametrize(("kind", "geos"), [("poisson", 1), ("gamma", 3)])
def test_a_world_with_zeros_is_recovered_forecast_and_kept(kind, geos, tmp_path):
    record = next(r for r in RECORDS if r.kind == kind)
    panel = world(record, geos)
    spec = mm.Spec(likelihood=record, seasonality=None, adstock=mm.adstock.NoAdstock())
    train, later = panel.split(panel.dates[-7])
    sampler = mm.NUTS(chains=2, warmup=200, draws=200, until=None)
    fit = mm.fit(spec, train, sampler, seed=1)
    assert mm.diagnostics(fit).max_r_hat < 1.06
    zero = fit.flat()["y_zero"]
    seen = train.outcome[np.isfinite(train.outcome)]
    assert abs(zero.mean() - (seen == 0).mean()) < 0.05
    assert not {"noise", "coverage", "tails", "spread"} & {
        f.code for f in mm.judge(fit).adequate.findings
    }
    found = mm.contributions(fit)
    sums = found["intercept_total"].sum("geo").to_numpy()
    sums = sums + found["channel_total"].sum(("geo", "channel")).to_numpy()
    y = mm.predict(fit)["outcome"]
    mean, error = sums.mean(), y.sum(("geo", "date")).std() / np.sqrt(400)
    assert abs(float(y.sum(("geo", "date")).mean()) - mean) < 4.5 * float(error)
    ahead = mm.predict(fit, later)["outcome"]
    assert abs(float((ahead == 0).mean()) - zero.mean()) < 0.05
    assert np.isfinite(mm.scores(fit, later)["crps_test"])
    mm.save(fit, tmp_path / "fit.nc")
    assert mm.load(tmp_path / "fit.nc").spec == fit.spec
    plan = mm.optimize(fit, periods=4)
    assert np.isfinite(plan.optimized).all()
