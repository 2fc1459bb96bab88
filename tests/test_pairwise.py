"""Every two parts of a model work together, whatever the others: see `covering`.

A row is a model of one adstock, saturation, baseline, likelihood and pooling; each pair of
two such parts is in some row. A run has a rotating part of the rows.
"""

import dataclasses
import functools
import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
import pytest

import mmmjax as mm
from mmmjax import response
from mmmjax.kernels.adstock import ADSTOCKS
from mmmjax.kernels.saturation import SATURATIONS
from mmmjax.likelihood import LIKELIHOODS, LINKS
from mmmjax.model import program
from mmmjax.prepare import prepare
from mmmjax.terms import TERMS
from tests.fits import MADE, shared

LAG, PERIODS, AHEAD = 3, 30, 4
USUAL = ("intercept", "controls")  # in every row
JOINED = ("mixed",)  # what `mm.stack` makes of fits of the others: tests/test_stacking.py


def with_lag(cls):
    lag = {"max_lag": LAG} if "max_lag" in {f.name for f in dataclasses.fields(cls)} else {}
    return cls(**lag)


def laws():
    """Every likelihood, its log link, and every switch of it."""
    out = {}
    for kind, cls in LIKELIHOODS.items():
        fields = {f.name: f.default for f in dataclasses.fields(cls)}
        out[kind] = cls()
        if "link" in fields:
            out |= {
                f"{kind} {link}": cls(link=link) for link in LINKS if link != cls().link
            }
        for name in (n for n, usual in fields.items() if usual is False):
            out[f"{kind} {name}"] = cls(**{name: True})
    return out


def terms():
    """No further term, and every one that is of no channel."""
    out = {"level": None}
    for kind, cls in TERMS.items():
        if cls.group != "channel" and kind not in USUAL:
            out[kind] = cls(**MADE.get(kind, {}))
    return out


AXES = {
    "adstock": {k: with_lag(cls) for k, cls in ADSTOCKS.items() if k not in JOINED},
    "saturation": {k: cls() for k, cls in SATURATIONS.items() if k not in JOINED},
    "baseline": terms(),
    "likelihood": laws(),
    "pooling": {"one geo": 1, "shared": 2, "pooled": 3, "own": 2},
}


def pairs_of(row):
    return set(itertools.combinations(enumerate(row), 2))


def covering(axes, seed=0):
    """Few rows, one of each axis, in which every two members of two axes meet.

    Each row begins with a pair that has not met and takes of each other axis, in random
    order, the member that meets most of those it has not met.
    """
    rng, found = np.random.default_rng(seed), []
    places = range(len(axes))
    missing = {
        ((i, a), (j, b))
        for i, j in itertools.combinations(places, 2)
        for a, b in itertools.product(axes[i], axes[j])
    }
    while missing:
        row = dict(min(missing))
        for place in rng.permutation([i for i in places if i not in row]).tolist():
            names = rng.permutation(axes[place]).tolist()
            met = [
                len({tuple(sorted([(place, n), x])) for x in row.items()} & missing)
                for n in names
            ]
            row[place] = names[int(np.argmax(met))]
        found.append(tuple(row[i] for i in places))
        missing -= pairs_of(found[-1])
    return found


ROWS = covering([list(axis) for axis in AXES.values()])
# up to 30 s a test on an idle core, and about one test a share
rotating = pytest.mark.slow(parts=3 * len(ROWS))
each = pytest.mark.parametrize("row", ROWS, ids=", ".join)


@functools.cache
def panels(geos):
    """Training and what follows: whole numbers above 0, so that any law allows them."""
    rng = np.random.default_rng(geos)
    rows = [
        {"date": date, "geo": f"g{g}", "sales": rng.poisson(200) + 1.0,
         "TV": rng.gamma(2.0, 100.0), "Search": rng.gamma(2.0, 40.0),
         "price": rng.normal()}
        for g in range(geos)
        for date in pd.date_range("2021-01-04", periods=PERIODS + AHEAD, freq="W-MON")
    ]  # fmt: skip
    whole = mm.Panel.from_frame(
        pd.DataFrame(rows), date="date", outcome="sales", media=["TV", "Search"],
        controls=["price"], geo="geo" if geos > 1 else None,
    )  # fmt: skip
    return whole.split(whole.dates[PERIODS - 1])


def model(row):
    """The spec of a row, and its panels."""
    adstock, curve, term, law, pooling = (
        axis[name] for axis, name in zip(AXES.values(), row, strict=True)
    )
    spec = mm.Spec(
        adstock, curve, seasonality=None, likelihood=law,
        terms=() if term is None else (term,),
    )  # fmt: skip
    if row[-1] in ("shared", "own"):
        spec = shared(spec)
    if row[-1] == "own":
        level = spec.priors["intercept"].with_dims(("geo",))
        spec = dataclasses.replace(spec, priors={**spec.priors, "intercept": level})
    return spec, *panels(pooling)


def test_every_two_parts_meet_in_some_row():
    met = set().union(*map(pairs_of, ROWS))
    for (i, one), (j, other) in itertools.combinations(enumerate(AXES.values()), 2):
        for a, b in itertools.product(one, other):
            assert ((i, a), (j, b)) in met
    most = sorted(map(len, AXES.values()))[-2:]
    assert most[0] * most[1] <= len(ROWS) <= 1.6 * most[0] * most[1]


@rotating
@each
def test_gradients_are_finite_without_media_and_with_an_empty_channel(row):
    spec, train, _ = model(row)
    ready = prepare(spec, train)
    draw = jax.random.key(0)
    data = jax.tree.map(jnp.asarray, ready.data.astype(np.float32))
    params = prior_of(ready.spec, data, draw)
    media = data.inputs["media"]
    for given in (media, 0 * media, media.at[:, 1].set(0.0)):
        for at in (params, {**params, **zeros_of(params)}):
            inputs = data.inputs.replace(media=given)
            grad = jax.grad(lambda p, x: response.level(p, x, ready.spec).sum())
            slopes = grad(at, inputs)
            for name, slope in slopes.items():
                assert np.isfinite(slope).all(), name


def prior_of(spec, data, key):
    from numpyro import handlers

    trace = handlers.trace(handlers.seed(program, key)).get_trace(spec, data)
    names = {n for n in spec.present(data.inputs.sizes())}
    return {n: site["value"] for n, site in trace.items() if n in names}


def zeros_of(params):
    none = ("adstock_alpha", "adstock_half_life")
    return {n: 0 * x for n, x in params.items() if n in none}


@rotating
@each
def test_it_is_fitted_kept_explained_forecast_and_planned(row, tmp_path):
    spec, train, later = model(row)
    sampler = mm.NUTS(chains=1, warmup=50, draws=20, until=None)
    fit = mm.fit(spec, train, sampler, progress=False)
    again = mm.load(mm.save(fit, tmp_path / "fit.nc"))
    assert again.spec == fit.spec
    for name, values in fit.draws.params.items():
        assert np.isfinite(values).all(), name
        np.testing.assert_array_equal(again.draws.params[name], values)
    ahead = mm.predict(again, later)["outcome"]
    assert np.isfinite(ahead).all()
    assert ahead.sizes["date"] == AHEAD
    found = mm.contributions(again).sel(summary="mean")
    parts = [found[n] for n in found if n.endswith("_contribution")]
    whole = sum(x.sum([d for d in x.dims if d not in ("geo", "date")]) for x in parts)
    level = jax.vmap(lambda p, x: response.level(p, x, fit.spec), (0, None))
    inputs = jax.tree.map(jnp.asarray, fit.inputs().astype(np.float32))
    mean = np.asarray(level(fit.flat(), inputs)).mean(0) * fit.scale.outcome[:, None]
    np.testing.assert_allclose(whole.transpose("geo", "date"), mean, rtol=1e-3)
    plan = mm.optimize(again, periods=AHEAD, budget=3000.0, starts=2)
    money = plan.optimized.to_numpy()
    assert (money >= -1e-9).all()
    assert money.sum() == pytest.approx(3000.0, rel=1e-6)
    assert np.isfinite(plan.response).all()
    assert plan.certified or plan.gap_reason


@rotating
@each
def test_it_is_backtested_and_in_a_fleet(row, tmp_path):
    spec, train, _ = model(row)
    sampler = mm.HMC(chains=2, warmup=50, draws=50, until=None)
    scores = mm.backtest(
        spec, train, sampler, folds=1, horizon=AHEAD, least=20, baselines=False,
        progress=False,
    ).scores  # fmt: skip
    assert len(scores) > 0
    markets = {"one": train, "two": train}
    fleet = mm.fit_fleet(spec, markets, sampler, refit=False, progress=False)
    for name in markets:
        for values in fleet[name].draws.params.values():
            assert np.isfinite(values).all()
