"""The NumPyro program against the hand-written density of tests/reference/density.py.

Term by term: every prior site, the mean cell by cell, the likelihood cell by cell. In
float64 to 1e-10 and in float32 to 1e-5, absolute plus relative; in float32 the oracle
gets the same rounded inputs, and the likelihood's oracle the mean as it was rounded.
"""

from dataclasses import dataclass, field, replace
from functools import cache

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from numpyro import handlers
from numpyro.infer.util import log_density

from mmmjax import response
from mmmjax.arrays import Arrays
from mmmjax.kernels.adstock import Geometric
from mmmjax.kernels.seasonality import Fourier
from mmmjax.likelihood import Normal, StudentT, Target, TruncatedNormal
from mmmjax.model import ModelData, model_data, program
from mmmjax.prior import Prior, spend_share
from mmmjax.scaling import Scale
from mmmjax.spec import Spec, hyperparameters
from tests.fits import make_panel, shared
from tests.reference import density as oracle

TOLERANCE = {np.float64: 1e-10, np.float32: 1e-5}
SHARE = np.array([0.5, 0.3, 0.2])  # of spend, by channel
PERIODS = 24


@dataclass
class Case:
    """A spec, and what it means, written down a second time by hand."""

    name: str
    spec: Spec
    kind: str
    laws: dict  # sampled site -> (family, hyperparameters)
    dims: dict  # parameter the mean or the likelihood reads -> dims
    mean: dict = field(default_factory=dict)  # arguments of oracle.mean
    n_geos: int = 1
    n_channels: int = 3
    n_controls: int = 2
    history: int = 0
    composed: object = None  # sites -> parameters, where priors are nested


MEDIA = {
    "adstock_alpha": ("channel",),
    "saturation_lam": ("channel",),
    "saturation_beta": ("channel",),
}
DEFAULT_MEDIA_LAWS = {
    "adstock_alpha": ("Beta", {"concentration1": 1.0, "concentration0": 3.0}),
    "saturation_lam": ("Gamma", {"concentration": 3.0, "rate": 1.0}),
    "saturation_beta": ("HalfNormal", {"scale": SHARE}),
}


def national():
    """One market: the families of the case study, truncated at 0."""
    spec = Spec(
        adstock=Geometric(max_lag=6),
        seasonality=Fourier(order=2),
        likelihood=TruncatedNormal(low=0.0),
        priors={
            "intercept": Prior("Normal", loc=0.2, scale=0.05),
            "gamma_control": Prior("Normal", loc=0.0, scale=1.0),
            "gamma_fourier": Prior("Laplace", loc=0.0, scale=1.0),
            "saturation_beta": Prior("HalfNormal", scale=spend_share),
            "saturation_lam": Prior("Gamma", concentration=3.0, rate=1.0),
            "adstock_alpha": Prior("Beta", alpha=1.0, beta=3.0),
            "y_sigma": Prior("HalfNormal", scale=1.0),
        },
    )
    laws = DEFAULT_MEDIA_LAWS | {
        "intercept": ("Normal", {"loc": 0.2, "scale": 0.05}),
        "gamma_control": ("Normal", {"loc": 0.0, "scale": 1.0}),
        "gamma_fourier": ("Laplace", {"loc": 0.0, "scale": 1.0}),
        "y_sigma": ("HalfNormal", {"scale": 1.0}),
    }
    dims = MEDIA | {
        "intercept": (),
        "gamma_control": ("control",),
        "gamma_fourier": ("fourier",),
        "y_sigma": (),
    }
    return Case("national", shared(spec), "truncated_normal", laws, dims, {"max_lag": 6})


def panel():
    """Geos: nested and per-geo parameters, one shared, a trend, media history."""
    spec = Spec(
        adstock=Geometric(max_lag=4, normalize=False),
        seasonality=Fourier(order=1),
        trend=True,
        likelihood=TruncatedNormal(low=2.0),
        priors={
            "intercept": Prior(
                "Normal",
                loc=Prior("Normal", loc=0.4, scale=0.2),
                scale=Prior("Exponential", rate=5.0),
                dims="geo",
            ),
            "trend_slope": Prior("StudentT", nu=4.0, scale=0.5, dims="geo"),
            "adstock_alpha": Prior("Uniform", low=0.0, high=1.0, dims=()),
            "saturation_lam": Prior("LogNormal", loc=0.5, scale=0.4, dims="geo"),
            "saturation_beta": Prior(
                "HalfNormal",
                scale=Prior("HalfNormal", scale=spend_share, dims="channel"),
                dims=("geo", "channel"),
            ),
            "gamma_control": Prior("Normal", scale=[0.5, 1.5], dims=("geo", "control")),
            "gamma_fourier": Prior("Laplace", scale=0.2, dims=("geo", "fourier")),
            "y_sigma": Prior("HalfCauchy", scale=0.3, dims="geo"),
        },
    )
    laws = {
        "intercept_loc": ("Normal", {"loc": 0.4, "scale": 0.2}),
        "intercept_scale": ("Exponential", {"rate": 5.0}),
        "intercept_offset": ("Normal", {"loc": 0.0, "scale": 1.0}),
        "trend_slope": ("StudentT", {"df": 4.0, "loc": 0.0, "scale": 0.5}),
        "adstock_alpha": ("Uniform", {"low": 0.0, "high": 1.0}),
        "saturation_lam": ("LogNormal", {"loc": 0.5, "scale": 0.4}),
        "saturation_beta_scale": ("HalfNormal", {"scale": SHARE}),
        "saturation_beta_offset": ("HalfNormal", {"scale": 1.0}),
        "gamma_control": ("Normal", {"loc": 0.0, "scale": np.array([0.5, 1.5])}),
        "gamma_fourier": ("Laplace", {"loc": 0.0, "scale": 0.2}),
        "y_sigma": ("HalfCauchy", {"scale": 0.3}),
    }
    dims = {
        "intercept": ("geo",),
        "trend_slope": ("geo",),
        "adstock_alpha": (),
        "saturation_lam": ("geo",),
        "saturation_beta": ("geo", "channel"),
        "gamma_control": ("geo", "control"),
        "gamma_fourier": ("geo", "fourier"),
        "y_sigma": ("geo",),
    }

    def composed(s):
        intercept = s["intercept_loc"] + s["intercept_scale"] * s["intercept_offset"]
        beta = s["saturation_beta_scale"] * s["saturation_beta_offset"]
        return s | {"intercept": intercept, "saturation_beta": beta}

    return Case(
        "panel", shared(spec), "truncated_normal", laws, dims,
        {"max_lag": 4, "normalize": False, "trend": True},
        n_geos=2, history=5, composed=composed,
    )  # fmt: skip


def student():
    """Saturation before adstock, outlying weeks, the remaining families."""
    spec = Spec(
        adstock=Geometric(max_lag=8),
        seasonality=None,
        adstock_first=False,
        likelihood=StudentT(),
        priors={
            "intercept": Prior("TruncatedNormal", loc=0.3, scale=9.0, low=-15.0, high=12.0),
            "saturation_lam": Prior("InverseGamma", concentration=3.0, rate=4.0),
        },
    )
    laws = DEFAULT_MEDIA_LAWS | {
        "intercept": (
            "TruncatedNormal",
            {"loc": 0.3, "scale": 9.0, "low": -15.0, "high": 12.0},
        ),
        "saturation_lam": ("InverseGamma", {"concentration": 3.0, "rate": 4.0}),
        "gamma_control": ("Normal", {"loc": 0.0, "scale": 0.5}),
        "y_sigma": ("HalfNormal", {"scale": 0.5}),
        "y_nu_excess": ("Gamma", {"concentration": 2.0, "rate": 0.1}),
    }
    dims = MEDIA | {
        "intercept": (),
        "gamma_control": ("control",),
        "y_sigma": (),
        "y_nu": (),
    }
    composed = lambda s: s | {"y_nu": 2.0 + s["y_nu_excess"]}
    mean = {"max_lag": 8, "adstock_first": False}
    return Case(
        "student", shared(spec), "student_t", laws, dims, mean, history=3, composed=composed
    )


def baseline():
    """No media and no controls: the model that others are compared with."""
    spec = Spec(seasonality=Fourier(order=1), likelihood=Normal())
    laws = {
        "intercept": ("Normal", {"loc": 0.5, "scale": 0.3}),
        "gamma_fourier": ("Laplace", {"loc": 0.0, "scale": 0.2}),
        "y_sigma": ("HalfNormal", {"scale": 0.5}),
    }
    dims = {"intercept": (), "gamma_fourier": ("fourier",), "y_sigma": ()}
    return Case("baseline", shared(spec), "normal", laws, dims, n_channels=0, n_controls=0)


def linked():
    """Parameters that are pooled on the log and on the logit."""
    spec = Spec(
        adstock=Geometric(max_lag=4),
        seasonality=None,
        likelihood=Normal(),
        priors={
            "intercept": Prior(
                "LogNormal", loc=Prior("Normal", loc=-1.0, scale=0.3), scale=0.4, dims="geo"
            ),
            "adstock_alpha": Prior(
                "LogitNormal",
                loc=Prior("Normal", loc=-1.0, scale=0.5),
                scale=Prior("HalfNormal", scale=0.5, dims="channel"),
                dims=("geo", "channel"),
            ),
            "saturation_lam": Prior("LogitNormal", loc=0.5, scale=1.5),
            "saturation_beta": Prior(
                "LogNormal",
                loc=-2.0,
                scale=Prior("HalfNormal", scale=0.5, dims="channel"),
                dims=("geo", "channel"),
            ),
        },
    )
    standard = ("Normal", {"loc": 0.0, "scale": 1.0})
    laws = {
        "intercept_loc": ("Normal", {"loc": -1.0, "scale": 0.3}),
        "intercept_offset": standard,
        "adstock_alpha_loc": ("Normal", {"loc": -1.0, "scale": 0.5}),
        "adstock_alpha_scale": ("HalfNormal", {"scale": 0.5}),
        "adstock_alpha_offset": standard,
        "saturation_lam": ("LogitNormal", {"loc": 0.5, "scale": 1.5}),
        "saturation_beta_scale": ("HalfNormal", {"scale": 0.5}),
        "saturation_beta_offset": standard,
        "gamma_control": ("Normal", {"loc": 0.0, "scale": 0.5}),
        "y_sigma": ("HalfNormal", {"scale": 0.5}),
    }
    dims = {
        "intercept": ("geo",),
        "adstock_alpha": ("geo", "channel"),
        "saturation_lam": ("channel",),
        "saturation_beta": ("geo", "channel"),
        "gamma_control": ("control",),
        "y_sigma": (),
    }

    def composed(s):
        logit = s["adstock_alpha_scale"] * s["adstock_alpha_offset"]
        logit = logit + s["adstock_alpha_loc"]
        log = s["saturation_beta_scale"] * s["saturation_beta_offset"] - 2.0
        return s | {
            "intercept": np.exp(s["intercept_loc"] + 0.4 * s["intercept_offset"]),
            "adstock_alpha": 1 / (1 + np.exp(-logit)),
            "saturation_beta": np.exp(log),
        }

    return Case(
        "linked", shared(spec), "normal", laws, dims, {"max_lag": 4}, n_geos=2, history=3,
        composed=composed,
    )  # fmt: skip


CASES = {f.__name__: f for f in (national, panel, student, baseline, linked)}
SIZES = {"geo": "n_geos", "channel": "n_channels", "control": "n_controls"}


def sizes(case):
    order = case.spec.seasonality.order if case.spec.seasonality else 0
    return {d: getattr(case, n) for d, n in SIZES.items()} | {"fourier": 2 * order}


def make_data(case, rng):
    """Scaled inputs by hand; about one outcome in ten is missing."""
    n = sizes(case)
    dates = np.arange(PERIODS) * 7 % 365 + 1
    media = rng.gamma(0.7, 0.3, (n["geo"], n["channel"], case.history + PERIODS))
    controls = rng.normal(size=(n["geo"], n["control"], PERIODS))
    features = oracle.fourier(dates, n["fourier"] // 2).reshape(n["fourier"], PERIODS)
    trend = np.arange(PERIODS) / (PERIODS - 1)
    low = np.full((n["geo"], 1), 0.1) * np.arange(n["geo"])[:, None]
    outcome = low + rng.uniform(0.05, 1.0, (n["geo"], PERIODS))
    mask = rng.uniform(size=outcome.shape) > 0.1
    hyper = hyperparameters(case.spec, n, {"spend_share": SHARE, "media_share": SHARE})
    target = Target(np.where(mask, outcome, low + 0.5), mask, low, np.ones_like(low))
    every = {
        "media": (media, ("geo", "channel", "past+time")),
        "control.controls": (controls, ("geo", "control", "time")),
        "seasonality.fourier": (features, ("fourier", "time")),
        "trend.time": (trend, ("time",)),
    }
    terms = {term.name for term in case.spec.parts}
    own = {n: x for n, x in every.items() if n == "media" or n.split(".")[0] in terms}
    values, axes = ({n: x[i] for n, x in own.items()} for i in (0, 1))
    return ModelData(Arrays(values, tuple(axes.items()), case.history), target, hyper)


def make_sites(case, rng, **extreme):
    """A random point in the support of every site; ``extreme`` overrides by name."""
    dims = {s.name: s.dims for s in case.spec.sites(sizes(case))}
    assert set(dims) == set(case.laws)
    out = {}
    for name, (family, _) in case.laws.items():
        shape = tuple(sizes(case)[d] for d in dims[name])
        real = family in ("Normal", "Laplace", "StudentT", "TruncatedNormal")
        unit = family in ("Beta", "Uniform", "LogitNormal")
        out[name] = (
            rng.normal(0.2, 0.3, shape)
            if real
            else rng.uniform(0.05, 0.95, shape) if unit else rng.gamma(2.0, 0.5, shape)
        )  # fmt: skip
        for target, value in extreme.items():
            if name in (target, _LEADING.get(target)):
                out[name] = np.full(shape, value)
    return out


# the site that moves a parameter as a whole where its prior is nested
_LEADING = {"intercept": "intercept_loc", "saturation_beta": "saturation_beta_scale"}

EXTREME = {
    "retention near 0": {"adstock_alpha": 1e-7},
    "retention near 1": {"adstock_alpha": 1 - 2.0**-20},
    "tiny sigma": {"y_sigma": 1e-3},
    "huge sigma": {"y_sigma": 1e3},
    "mean far below the bound, z = -1e3": {"intercept": -10.0, "y_sigma": 1e-2},
    "mean far below the bound, z = -30": {"intercept": -3.0, "y_sigma": 0.1},
    "mean below the bound, z = -5": {"intercept": -1.0, "y_sigma": 0.2},
    "mean far above the bound": {"intercept": 10.0, "y_sigma": 1e-2},
    "no saturation": {"saturation_lam": 1e-6},
    "full saturation": {"saturation_lam": 1e3},
    "no effect": {"saturation_beta": 1e-12},
}


def rounded(tree, dtype):
    """The same numbers after rounding to ``dtype``, as float64."""
    return jax.tree.map(
        lambda x: x if x.dtype == bool else x.astype(dtype).astype(np.float64), tree
    )


def close(actual, expected, dtype, what):
    """Absolute plus relative, both the tolerance of the dtype."""
    tolerance = TOLERANCE[dtype]
    actual = np.asarray(actual, np.float64)
    assert np.isfinite(actual).all(), f"{what}: not finite"
    np.testing.assert_allclose(
        actual, expected, rtol=tolerance, atol=tolerance, err_msg=what
    )


@cache
def compiled(name):
    """Log density of each site, the mean it used, and the gradient; compiled once."""
    spec = CASES[name]().spec

    def total(sites, data):
        means = []

        def mean(params, inputs, spec):
            means.append(response.mean(params, inputs, spec))
            return means[-1]

        replayed = handlers.substitute(handlers.seed(program, 0), sites)
        trace = handlers.trace(replayed).get_trace(spec, data, mean)
        sampled = {n: s for n, s in trace.items() if s["type"] == "sample"}
        terms = {n: s["fn"].log_prob(s["value"]) for n, s in sampled.items()}
        return sum(jnp.sum(term) for term in terms.values()), (terms, means[0])

    return jax.jit(jax.grad(total, has_aux=True))


def oracle_mean(case, data, sites):
    params = case.composed(sites) if case.composed else sites
    x = data.inputs
    return params, oracle.mean(
        params, case.dims,
        media=x["media"], controls=x["control.controls"],
        features=x["seasonality.fourier"] if case.spec.seasonality else None,
        history=case.history, n_periods=PERIODS, n_geos=case.n_geos, **case.mean,
    )  # fmt: skip


def check_point(case, data, sites, dtype):
    """Every term of one point against the oracle at the same rounded numbers."""
    cast = jax.tree.map(lambda x: jnp.asarray(x, dtype), sites)
    slopes, (terms, mu) = compiled(case.name)(cast, data.astype(dtype))
    for name, slope in slopes.items():
        assert np.isfinite(slope).all(), f"gradient in {name}: {slope}"
    mu = np.asarray(mu, np.float64)
    data, sites = rounded(data, dtype), rounded(sites, dtype)
    assert set(terms) == {"y", *case.laws}
    for name, (family, hyper) in case.laws.items():
        hyper = rounded({k: np.asarray(v, float) for k, v in hyper.items()}, dtype)
        cells = oracle.FAMILIES[family](sites[name], **hyper)
        close(terms[name], np.sum(cells), dtype, f"prior of {name}")
    params, expected_mu = oracle_mean(case, data, sites)
    close(mu, expected_mu, dtype, "mean")
    outcome = np.where(data.target.mask, data.target.outcome, np.nan)
    cells = oracle.log_likelihood(
        case.kind, outcome, mu, params, case.dims, data.target.low[:, 0]
    )
    close(terms["y"], cells, dtype, "likelihood")


DTYPES = [np.float32, np.float64]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", CASES)
def test_every_term_at_random_points(name, dtype):
    case, rng = CASES[name](), np.random.default_rng(1)
    data = make_data(case, rng)
    with jax.enable_x64(dtype == np.float64):
        for _ in range(4):
            check_point(case, data, make_sites(case, rng), dtype)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("extreme", EXTREME)
@pytest.mark.parametrize("name", ["national", "panel", "student"])
def test_every_term_and_gradient_at_extreme_points(name, extreme, dtype):
    case, rng = CASES[name](), np.random.default_rng(2)
    with jax.enable_x64(dtype == np.float64):
        sites = make_sites(case, rng, **EXTREME[extreme])
        check_point(case, make_data(case, rng), sites, dtype)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("sigma", [1e-4, 1e-2, 1e2])
@pytest.mark.parametrize("name", CASES)
def test_every_term_where_the_mean_fits(name, sigma, dtype):
    """Outcomes within a few sigma of the mean, however small sigma is."""
    case, rng = CASES[name](), np.random.default_rng(5)
    data, sites = make_data(case, rng), make_sites(case, rng, y_sigma=sigma)
    mu = oracle_mean(case, data, sites)[1]
    outcome = np.maximum(mu + sigma * rng.normal(size=mu.shape), data.target.low)
    data = replace(data, target=replace(data.target, outcome=outcome))
    with jax.enable_x64(dtype == np.float64):
        check_point(case, data, sites, dtype)


@pytest.mark.parametrize("name", CASES)
def test_gradient_is_that_of_the_oracle(name, x64):
    """Along random directions, by central differences of the hand-written density."""
    case, rng = CASES[name](), np.random.default_rng(4)
    data = make_data(case, rng)

    def by_hand(sites):
        params, mu = oracle_mean(case, data, sites)
        outcome = np.where(data.target.mask, data.target.outcome, np.nan)
        cells = oracle.log_likelihood(
            case.kind, outcome, mu, params, case.dims, data.target.low[:, 0]
        )
        laws = case.laws.items()
        return cells.sum() + sum(
            np.sum(oracle.FAMILIES[family](sites[n], **hyper))
            for n, (family, hyper) in laws
        )

    sites = make_sites(case, rng)
    slopes, (terms, _) = compiled(name)(sites, data)
    total = sum(np.sum(term) for term in terms.values())
    np.testing.assert_allclose(total, by_hand(sites), rtol=1e-10)
    if name == "baseline":  # NumPyro adds nothing of its own
        arrays = jax.tree.map(jnp.asarray, data)
        whole = log_density(program, (case.spec, arrays), {}, sites)[0]
        np.testing.assert_allclose(whole, total, rtol=1e-12)
    for _ in range(3):
        way = {n: rng.normal(size=np.shape(v)) for n, v in sites.items()}
        step = 1e-6
        ahead, behind = (
            by_hand({n: v + sign * step * way[n] for n, v in sites.items()})
            for sign in (1, -1)
        )
        actual = sum(np.sum(np.asarray(slopes[n]) * way[n]) for n in sites)
        np.testing.assert_allclose(actual, (ahead - behind) / (2 * step), rtol=1e-5)


@pytest.mark.parametrize("shared", [True, False])
def test_data_of_the_program_from_a_panel(shared):
    """Scales, features, mask, bound and spend share, by hand from the table."""
    panel = make_panel(geos=("north", "south"), periods=20)
    outcome = panel.outcome.copy()
    outcome[:, :5] = np.nan
    panel = replace(panel, outcome=outcome, history=5)
    how = "shared" if shared else "geo"
    spec = Spec(
        seasonality=Fourier(order=2), trend=True, likelihood=TruncatedNormal(low=10.0),
        outcome_scale=how, media_scale=how,
        priors={"saturation_beta": Prior("HalfNormal", scale=spend_share)},
    )  # fmt: skip
    scale = Scale.fit(panel, per_geo_outcome=not shared, per_geo_media=not shared)
    data = model_data(spec, panel, scale)
    assert data.inputs.history == 5
    for g in range(2):
        geos = [0, 1] if shared else [g]
        largest = max(y for i in geos for y in outcome[i] if np.isfinite(y))
        observed = np.isfinite(outcome[g, 5:])
        np.testing.assert_array_equal(data.target.mask[g], observed)
        np.testing.assert_allclose(
            data.target.outcome[g][observed], outcome[g, 5:][observed] / largest
        )
        np.testing.assert_allclose(data.target.low[g], 10.0 / largest)
        for c in range(3):
            most = max(panel.media[i, t, c] for i in geos for t in range(5, 20))
            np.testing.assert_allclose(
                data.inputs["media"][g, c], panel.media[g, :, c] / most
            )
        np.testing.assert_array_equal(
            data.inputs["control.controls"][g, 0], panel.controls[g, 5:, 0]
        )
    days = [date.timetuple().tm_yday for date in panel.dates[5:]]
    np.testing.assert_allclose(
        data.inputs["seasonality.fourier"], oracle.fourier(days, 2), atol=1e-14
    )
    np.testing.assert_allclose(data.inputs["trend.time"], [t / 14 for t in range(15)])
    paid = panel.spend[:, 5:, :2].sum(axis=(0, 1))
    share = [*(paid / paid.sum()), 0.5]  # the organic channel has the mean share
    np.testing.assert_allclose(data.hyper["saturation_beta"]["scale"], share)
