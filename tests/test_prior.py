"""Priors: names, dims, nesting, and what the messages say."""

import tomllib

import jax
import numpy as np
import numpyro.distributions as dist
import pandas as pd
import pytest
from scipy import special, stats

import mmmjax as mm
from mmmjax import InputError
from mmmjax.media_prior import quantiles
from mmmjax.prediction import sample_prior
from mmmjax.prior import FAMILIES, HORSESHOE, Prior, sites, spend_share
from tests.posterior.examples import geo_panel

VALUES = {
    "loc": 0.3, "scale": 0.7, "df": 4.0, "rate": 1.5, "concentration": 2.0,
    "concentration1": 1.0, "concentration0": 3.0, "low": 0.1, "high": 0.9,
}  # fmt: skip

ALONE = sorted({*FAMILIES} - {HORSESHOE})  # with a law of one number


@pytest.mark.parametrize("family", ALONE)
def test_every_family_round_trips_and_gives_its_distribution(family):
    names = FAMILIES[family].names
    prior = Prior(family, dims=("channel",), **{n: VALUES[n] for n in names})
    assert Prior.from_dict(prior.to_dict()) == prior
    assert hash(Prior.from_dict(prior.to_dict())) == hash(prior)
    law = prior.distribution({n: np.float32(VALUES[n]) for n in names})
    assert np.isfinite(law.log_prob(np.float32(0.5)))
    other = Prior(family, dims=("channel",), **{n: VALUES[n] * 1.01 for n in names})
    assert other != prior
    assert other.structure() == prior.structure()


@pytest.mark.parametrize("family", FAMILIES)
def test_what_is_no_number_is_refused_with_one_that_is_taken(family):
    """Also for hyperparameters that take no value of the data: `write low=1.0`."""
    right = {n: VALUES.get(n, 3.0) for n in FAMILIES[family].names}
    for name in right:
        for wrong in ("few", None, [], object()):
            with pytest.raises(InputError, match=f"{family} {name}") as caught:
                Prior(family, **right | {name: wrong})
            allowed, fix = str(caught.value).split("Allowed: ")[1].split(". Fix: write ")
            key, _, number = fix.partition("=")
            more = {"high": 2.0} if name == "low" else {}
            assert dict(Prior(family, **right | {key: float(number)} | more).params)[name]
            for data in ("media_share", "spend_share"):
                if data in allowed:
                    Prior(family, **right | {name: data})
    with pytest.raises(InputError, match="hyperparameters") as caught:
        Prior(family)
    assert not any(n in str(caught.value) for n in FAMILIES[family].optional)


def test_pymc_names_are_understood():
    assert Prior("Normal", mu=0.2, sigma=0.05) == Prior("Normal", loc=0.2, scale=0.05)
    assert Prior("Beta", alpha=1, beta=3) == Prior(
        "Beta", concentration1=1, concentration0=3
    )
    assert Prior("Gamma", alpha=3, beta=1) == Prior("Gamma", concentration=3, rate=1)
    law = Prior("Gamma", alpha=3, beta=1).distribution({"concentration": 3.0, "rate": 1.0})
    assert isinstance(law, dist.Gamma)


def test_nested_priors_are_sampled_non_centred_and_round_trip():
    scale = Prior("HalfNormal", scale=0.1)
    prior = Prior("Normal", loc=0.0, scale=scale, dims=("geo",))
    assert Prior.from_dict(prior.to_dict()) == prior
    found = sites("intercept", prior)
    assert [s.name for s in found] == ["intercept_scale", "intercept_offset"]
    assert found[0].path == ("intercept", "scale")
    assert found[1].offset


LINKS = {"LogNormal": (np.log, np.exp), "LogitNormal": (special.logit, special.expit)}


@pytest.mark.parametrize("family", ALONE)
def test_quantiles_of_every_family_are_those_of_its_distribution(family):
    """Against the cumulative distribution of NumPyro, where it has one, or 20,000 draws."""
    q, given = (
        np.array([0.03, 0.3, 0.5, 0.97]),
        {n: VALUES[n] for n in FAMILIES[family].names},
    )
    found = FAMILIES[family].quantile(q, **given)
    law = Prior(family, **given).distribution(given)
    try:
        np.testing.assert_allclose(law.cdf(found), q, rtol=2e-4)
    except NotImplementedError:
        drawn = np.asarray(law.sample(jax.random.key(0), (20_000,)))
        bound = 4.5 * np.sqrt(q * (1 - q) / 20_000)
        assert (abs((drawn[:, None] < found).mean(0) - q) < bound).all()


@pytest.mark.parametrize("family", LINKS)
def test_quantiles_of_nested_priors_are_typical_values_and_draws(family):
    """At 0.5 the link of the typical location; with random numbers the law of draws."""
    prior = Prior(
        family,
        loc=Prior("Normal", loc=-1.0, scale=0.6, dims="channel"),
        scale=Prior("HalfNormal", scale=0.5),
        dims=("geo", "channel"),
    )
    values = {"loc": {"loc": np.array([-1.0, 0.5]), "scale": 0.6}, "scale": {"scale": 0.5}}
    sizes, rng = {"geo": 3, "channel": 2}, np.random.default_rng(0)
    typical = quantiles(prior, values, sizes, lambda shape: np.full(shape, 0.5))
    _, inverse = LINKS[family]
    np.testing.assert_allclose(typical, np.tile(inverse([-1.0, 0.5]), (3, 1)), rtol=1e-6)
    drawn = quantiles(prior, values, sizes, lambda shape: rng.random((4000, *shape)))
    x = LINKS[family][0](drawn.astype(float))
    assert x.shape == (4000, 3, 2)
    # variance 0.6^2 + 0.5^2, in common 0.6^2; fourth moments are below 9 variances squared
    spread = 0.6**2 + 0.5**2
    error = 4.5 * 3 * spread / np.sqrt(4000)
    np.testing.assert_allclose(x.var(0), spread, atol=error)
    assert abs(np.cov(x[:, 0, 0], x[:, 1, 0])[0, 1] - 0.36) < error


def test_quantiles_of_members_of_groups_move_with_their_group():
    """Variances of the log: typical 0.5^2, groups 0.6^2, geos 0.3^2; errors as above."""
    fixed = lambda s: Prior("Uniform", low=s, high=s + 1e-9)
    law = Prior("LogNormal", loc=-1.0, scale=0.5)
    prior = mm.pooled(law, over=("region", "geo"), spread=[fixed(0.6), fixed(0.3)])
    spreads = {k: dict(s.params) for k, s in prior.spreads.items()}
    values = {"loc": -1.0, "scale": 0.5, **spreads}
    rng, sizes = np.random.default_rng(0), {"geo": 3, "region": 2}
    groups = {"geo.region": np.array([0, 1, 0])}
    prior = prior.with_dims(("geo",))
    draw = lambda shape: rng.random((20_000, *shape))
    x = np.log(quantiles(prior, values, sizes, draw, groups).astype(float))
    found, whole = np.cov(x.T), 0.5**2 + 0.6**2 + 0.3**2
    wanted = np.array([[whole, 0.25, 0.61], [0.25, whole, 0.25], [0.61, 0.25, whole]])
    np.testing.assert_allclose(found, wanted, atol=4.5 * 3 * whole / np.sqrt(20_000))


@pytest.mark.parametrize("family", LINKS)
def test_priors_nest_on_the_log_and_on_the_logit(family):
    prior = Prior(
        family,
        loc=Prior("Normal", loc=-1.0, scale=0.6),
        scale=Prior("HalfNormal", scale=0.1),
        dims=("geo", "channel"),
    )
    assert Prior.from_dict(prior.to_dict()) == prior
    assert Prior.from_dict(tomllib.loads(f"x = {prior.to_toml()}")["x"]) == prior
    spec = mm.Spec(priors={"adstock_alpha": prior} if family == "LogitNormal" else {
        "saturation_lam": prior})  # fmt: skip
    assert mm.Spec.from_toml(spec.to_toml()) == spec
    name = next(n for n, p in spec.priors.items() if p.nested)
    found = sites(name, prior)
    assert [(s.name, s.support) for s in found] == [
        (f"{name}_loc", "real"), (f"{name}_scale", "positive"), (f"{name}_offset", "real"),
    ]  # fmt: skip
    with pytest.raises(InputError, match="positive"):
        Prior(family, loc=0.0, scale=Prior("Normal", scale=1.0))


@pytest.mark.slow(parts=6)
@pytest.mark.parametrize("family", LINKS)
def test_pooled_values_have_the_law_of_the_hierarchy(family):
    """link(value) - loc over the scale is standard, and link(value) is Normal in all.

    By Kolmogorov and Smirnov: a right one fails in one seed of ten thousand.
    """
    forward, _ = LINKS[family]
    prior = Prior(
        family, loc=Prior("Normal", loc=-1.0, scale=0.6), scale=0.8, dims=("geo", "channel")
    )
    name = "adstock_alpha" if family == "LogitNormal" else "saturation_lam"
    drawn = sample_prior(mm.Spec(priors={name: prior}), geo_panel(), draws=3000).flat()
    x = forward(drawn[name])
    z = (x - drawn[f"{name}_loc"][:, None, None]) / 0.8
    assert stats.kstest(z.ravel(), "norm").pvalue > 1e-4
    assert stats.kstest(x[:, 1, 2], stats.norm(-1.0, 1.0).cdf).pvalue > 1e-4
    # what a location in common does to two geos: correlation 0.36
    found = np.corrcoef(x[:, 0, 0], x[:, 1, 0])[0, 1]
    assert abs(found - 0.36) < 4.5 * (1 - 0.36**2) / np.sqrt(3000)


@pytest.mark.slow(parts=6)
def test_a_pooled_fit_runs_and_is_stored(tmp_path):
    """All values are in their support; the file gives them back."""
    priors = {
        "saturation_beta": Prior(
            "LogNormal", loc=Prior("Normal", loc=-2.0, scale=0.5), scale=0.3,
            dims=("geo", "channel"),
        ),
        "adstock_alpha": Prior(
            "LogitNormal", loc=Prior("Normal", loc=-1.0, scale=0.5, dims="channel"),
            scale=Prior("HalfNormal", scale=0.3), dims=("geo", "channel"),
        ),
        "intercept": Prior("HalfNormal", scale=Prior("HalfNormal", scale=0.5), dims="geo"),
    }  # fmt: skip
    spec = mm.Spec(priors=priors, adstock=mm.adstock.Geometric(3), seasonality=None)
    fit = mm.fit(spec, geo_panel(periods=30), mm.NUTS(chains=2, warmup=150, draws=50))
    x = fit.draws.params
    assert ((x["adstock_alpha"] > 0) & (x["adstock_alpha"] < 1)).all()
    assert (x["saturation_beta"] > 0).all()
    mm.save(fit, tmp_path / "fit.nc")
    again = mm.load(tmp_path / "fit.nc")
    assert again.spec == fit.spec
    for name, values in fit.draws.params.items():
        np.testing.assert_array_equal(again.draws.params[name], values)


@pytest.mark.parametrize(
    "make, words",
    [
        (lambda: Prior("Norml", loc=0, scale=1), ["Norml", "Normal", "did you mean"]),
        (lambda: Prior("Normal", loc=0), ["scale", "scale=..."]),
        (lambda: Prior("Normal", loc=0, scale=0.0), ["scale", "0", "above 0"]),
        (lambda: Prior("Normal", loc=np.nan, scale=1), ["loc", "nan"]),
        (lambda: Prior("Normal", loc=0, scael=1), ["scael", "scale"]),
        (lambda: Prior("HalfNormal", scale="spendshare"), ["spendshare", "spend_share"]),
        (lambda: Prior("HalfNormal", scale=1, dims=("chanel",)), ["chanel", "channel"]),
        (lambda: Prior("Uniform", low=1, high=0), ["high", "low"]),
        (lambda: Prior("Gamma", concentration=Prior("Normal", scale=1), rate=1), ["Gamma"]),
        (
            lambda: Prior("Normal", scale=Prior("Normal", scale=1)),
            ["positive", "HalfNormal"],
        ),
        (lambda: Prior.from_dict({"loc": 0}), ["dist"]),
    ],
)
def test_messages_name_the_value_and_the_fix(make, words):
    with pytest.raises(InputError) as caught:
        make()
    for word in words:
        assert word.lower() in str(caught.value).lower()


def test_spend_share_prints_as_in_toml():
    prior = Prior("HalfNormal", scale=spend_share)
    assert prior.to_dict() == {"dist": "HalfNormal", "scale": "spend_share"}
    assert "spend_share" in repr(prior)


@pytest.mark.parametrize(
    "given",
    [{"scale": v} for v in ([True], ["1"], "1", b"5", [b"5"], 1 + 2j, [1j], 10**400, [],
                            [[1.0]], np.ones((1, 1)), float("inf"), None, pd.NA)]
    + [{"dims": 5, "scale": 1.0}, {"dims": [["geo"]], "scale": 1.0}],
    ids=str,
)  # fmt: skip
def test_hyperparameters_are_real_numbers_never_converted(given):
    with pytest.raises(InputError):
        Prior("HalfNormal", **given)


@pytest.mark.parametrize(
    "table",
    [5, "Normal", [], {"dist": ["Normal"]}, {"dist": {}}, {"dist": "Normal", "dims": 5},
     {"dist": "Uniform", "low": 0.0, "high": "spend_share"},
     {"dist": "Uniform", "low": [0.0, 0.0], "high": [1.0, 1.0, 1.0]},
     {"dist": "Uniform", "low": 0.0, "high": float("inf")}],
    ids=str,
)  # fmt: skip
def test_tables_that_are_no_prior_are_refused(table):
    with pytest.raises(InputError):
        Prior.from_dict(table)


def test_only_bounds_of_a_truncated_normal_may_be_infinite():
    prior = Prior("TruncatedNormal", loc=0.0, scale=1.0, low=0.0, high=float("inf"))
    assert dict(prior.params)["high"] == float("inf")
