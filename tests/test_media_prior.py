"""The prior of media: the same return on money, and a stated share of the outcome."""

import dataclasses
import math

import numpy as np
import pandas as pd
import pytest
from scipy import stats

import mmmjax as mm
from mmmjax.criticism import prior_returns
from mmmjax.media_prior import brought, quantiles
from mmmjax.prediction import sample_prior
from mmmjax.prepare import prepare
from mmmjax.prior import Prior
from tests.posterior.examples import geo_panel, national_panel

MEAN = math.sqrt(2 / math.pi)  # of HalfNormal(1)
LEVELS = {"adstock_alpha": 0.4, "saturation_lam": 2.0}


def pinned(**values):
    """Priors that leave no doubt about the kernels."""
    return {
        n: Prior("Uniform", low=v * (1 - 1e-6), high=v * (1 + 1e-6))
        for n, v in values.items()
    }


def scale_of(spec, panel, on_empty="error", name="saturation_beta"):
    return prepare(spec, panel, on_empty).data.hyper[name]["scale"]


def curve(media, alpha=LEVELS["adstock_alpha"], lam=LEVELS["saturation_lam"], lags=4):
    """Logistic saturation of geometric adstock of one series, in plain loops."""
    weights = [alpha**lag for lag in range(lags)]
    out = np.zeros(len(media))
    for t in range(len(media)):
        for lag in range(min(lags, t + 1)):
            out[t] += weights[lag] / sum(weights) * media[t - lag]
    return (1 - np.exp(-lam * out)) / (1 + np.exp(-lam * out))


SPEC = mm.Spec(adstock=mm.adstock.Geometric(4), seasonality=None, priors=pinned(**LEVELS))


def gains(panel, g, c):
    """What a channel brings in the observed periods, and by the media of the window."""
    media, window = panel.media[g, :, c], panel.window
    x = np.append(media, np.zeros(3)) / media[window].max()
    every, before = curve(x), curve(x * (np.arange(len(x)) < panel.history))
    seen = every[panel.history : len(media)][panel.mask[g, window]].sum()
    return seen, (every - before).sum()


def test_scale_of_a_market_is_the_formula():
    """With media before the window, and a share of media of one's own."""
    panel = national_panel(history=3)
    got = scale_of(dataclasses.replace(SPEC, media_share=0.2), panel)
    y, spend = panel.outcome[0, panel.window], panel.spend[0, panel.window].sum(0)
    seen, gain = np.array([gains(panel, 0, c) for c in (0, 1)]).T
    each = spend / spend.sum() / gain
    wanted = 0.2 * each * (y.sum() / y.max()) / (MEAN * (each * seen).sum())
    np.testing.assert_allclose(got, wanted, rtol=1e-5)


def test_geos_one_effect_for_all_or_one_for_each():
    """Organic media, costs apart, missing outcomes, late geos; units of each geo."""
    panel = geo_panel()
    n, y = panel.n_geos, panel.outcome[:, panel.window]
    top = np.nanmax(y, 1)
    seen, gain = np.moveaxis(
        [[gains(panel, g, c) for c in range(3)] for g in range(n)], -1, 0
    )
    spend = np.where(panel.paid, panel.spend[:, panel.window].sum(1), 0.0)

    def wanted(seen, gain, spend, total):
        free = gain[2] / gain.sum()
        each = np.array([*((1 - free) * spend[:2] / spend[:2].sum()), free]) / gain
        return 0.3 * each * total / (MEAN * (each * seen).sum())

    spec = dataclasses.replace(SPEC, outcome_scale="geo", media_scale="geo")
    sums = [(top[:, None] * x).sum(0) for x in (seen, gain)]
    all_in = wanted(*sums, spend.sum(0), np.nansum(y))
    np.testing.assert_allclose(scale_of(spec, panel), all_in, rtol=1e-5)
    each = Prior("HalfNormal", scale=mm.media_share, dims=("geo", "channel"))
    spec = dataclasses.replace(spec, priors={**SPEC.priors, "saturation_beta": each})
    own = [wanted(seen[g], gain[g], spend[g], np.nansum(y[g]) / top[g]) for g in range(n)]
    np.testing.assert_allclose(scale_of(spec, panel), own, rtol=1e-5)


TYPICAL = {  # medians of the default priors
    "adstock_alpha": 1 - 0.5 ** (1 / 3), "saturation_lam": stats.gamma(3).median(),
    "saturation_kappa": math.exp(-0.7), "saturation_slope": 1.0, "adstock_theta": 1.0,
}  # fmt: skip
HILL = {"saturation": mm.saturation.Hill()}


@pytest.mark.parametrize(
    "changes",
    [
        {"adstock_first": False, "likelihood": mm.likelihood.StudentT()},
        {"adstock": mm.adstock.Delayed(3), **HILL, "outcome_scale": "geo"},
        {"terms": (mm.terms.Media(name="tv", channels=["TV"], **HILL),)},
    ],
    ids=["saturation first", "other kernels", "two terms"],
)
def test_media_bring_their_share_and_all_money_the_same(changes):
    """In the mean of saturation_beta, at the typical kernels, whatever they are."""
    beta = Prior("HalfNormal", scale=mm.media_share, dims=("channel",))  # of all geos
    names = ("saturation_beta", *(["tv.saturation_beta"] if "terms" in changes else []))
    usual = {"adstock": mm.adstock.Geometric(4), "seasonality": None}
    for panel in (geo_panel(), national_panel()):
        spec = mm.Spec(**usual | changes, priors=dict.fromkeys(names, beta))
        ready, params = prepare(spec, panel), {}
        sizes, hyper = ready.spec.sizes(panel), ready.data.hyper
        for name in hyper:
            shape, last = tuple(sizes[d] for d in spec.dims(name)), name.split(".")[-1]
            if last == "saturation_beta":
                params[name] = MEAN * hyper[name]["scale"][None]
            elif last == "adstock_alpha" and isinstance(spec.adstock, mm.adstock.Delayed):
                params[name] = np.full((1, *shape), 0.5)
            elif last in TYPICAL:
                params[name] = np.full((1, *shape), TYPICAL[last])
        unit = np.asarray(ready.data.target.unit)
        found = brought(params, ready.data.inputs, ready.spec, ready.data.target)
        seen, gain = ((unit * x[0]).sum(0) for x in found)
        outcome = np.nansum(panel.outcome[:, panel.window])
        np.testing.assert_allclose(seen.sum() / outcome, 0.3, rtol=1e-5)
        returns = (gain / panel.spend[:, panel.window].sum((0, 1)))[panel.paid]
        np.testing.assert_allclose(returns, returns[0], rtol=1e-5)


KINDS = [("saturation", k) for k in mm.registry()["saturation"]]
KINDS += [("adstock", k) for k in mm.registry()["adstock"]]


@pytest.mark.parametrize("role, kind", KINDS)
def test_whatever_the_kernel_media_are_believed_to_bring_as_much(role, kind):
    """Share of the outcome and ROAS before the data speak, doubt about kernels and all."""
    spec = mm.Spec(**{role: mm.registry()[role][kind]()}, seasonality=None)
    ready = prepare(spec, national_panel())
    table = prior_returns(ready.spec, ready.panel, ready.data, draws=4000)
    share, returns = table["share_median"][2], table["roas_median"].to_numpy()
    assert 0.19 < share < 0.3  # the mean is 0.3, the median of a HalfNormal 0.84 of it
    assert table["share_lo"][2] < 0.02
    assert 0.6 < table["share_hi"][2] < 1.1
    np.testing.assert_allclose(returns[0], returns[1], rtol=0.1)


def test_what_is_believed_is_what_prior_draws_say():
    """The same draws through contributions and ROAS; then medians, by their errors."""
    panel = geo_panel()
    prior = Prior("HalfNormal", scale=mm.media_share, dims=("geo", "channel"))
    spec = mm.Spec(priors={"saturation_beta": prior}, seasonality=None)
    fit, ready = sample_prior(spec, panel, draws=1500), prepare(spec, panel)
    unit = np.asarray(ready.data.target.unit)
    found = brought(fit.flat(), ready.data.inputs, ready.spec, ready.data.target)
    seen, gain = (unit * x for x in found)
    share = mm.contributions(fit)["channel_share"].to_numpy()[0]
    known = np.nansum(panel.outcome[:, panel.window], 1)
    np.testing.assert_allclose(seen / known[:, None], share, rtol=1e-5)
    found = mm.roas(fit)
    np.testing.assert_allclose(gain, found["incremental"].to_numpy()[0], rtol=1e-4)
    table = prior_returns(ready.spec, ready.panel, ready.data)
    assert table["channel"].tolist() == [*panel.channels, "ALL"]
    assert np.isnan(table["roas_median"][2])  # organic
    whole = (seen.sum((1, 2)) / known.sum())[:, None]
    for name, draws in (
        ("roas", found["roas_total"].to_numpy()[0, :, :2]),
        ("share", whole),
    ):
        rows = [0, 1] if name == "roas" else [3]
        for end, level in (("median", 0.5), ("hi", None)):
            column = table[f"{name}_{end}"].to_numpy()[rows]
            below = (draws < column).mean(0)
            if level is None:  # the interval holds 94%
                below = below - (draws < table[f"{name}_lo"].to_numpy()[rows]).mean(0)
                level = 0.94
            error = np.sqrt(level * (1 - level) * (1 / 1500 + 1 / 4000))
            assert (abs(below - level) < 4.5 * error).all()


def test_pooled_effects_are_believed_as_they_are_drawn():
    """Typical effects have the scale; geos scatter as in prior draws.

    Kolmogorov and Smirnov of two samples: a right one fails in one seed of ten thousand.
    """
    panel, name = geo_panel(), "saturation_beta"
    beta = mm.pooled(Prior("HalfNormal", scale=mm.media_share), over="geo")
    spec = mm.Spec(priors={name: beta}, seasonality=None)
    ready = prepare(spec, panel)
    prior, numbers = ready.spec.priors[name], ready.data.hyper[name]
    plain = mm.Spec(seasonality=None)
    np.testing.assert_allclose(numbers["scale"], scale_of(plain, panel))
    drawn = sample_prior(spec, panel, draws=4000).flat()[name]
    rng, sizes = np.random.default_rng(0), ready.spec.sizes(panel)
    found = quantiles(prior, numbers, sizes, lambda shape: rng.random((4000, *shape)))
    ratio = lambda b: b[:, 0, 0] / b[:, 2, 0]
    for x in (lambda b: b[:, 1, 2], lambda b: b.sum((1, 2)), ratio):
        assert stats.ks_2samp(x(found), x(drawn)).pvalue > 1e-4
    median = quantiles(prior, numbers, sizes, lambda shape: np.full(shape, 0.5))
    wanted = np.tile(stats.halfnorm.median() * numbers["scale"], (3, 1))
    np.testing.assert_allclose(median, wanted, rtol=1e-5)


def weekly(**columns):
    """Two years of sales with columns of spend, all of them channels."""
    rng = np.random.default_rng(0)
    dates = pd.date_range("2023-01-02", periods=104, freq="7D")
    frame = pd.DataFrame({"date": dates, "sales": 900 + 200 * rng.random(104)} | columns)
    return frame, {"date": "date", "outcome": "sales", "media": list(columns)}


def test_channels_without_money_or_media_have_a_finite_prior():
    """Never ran: no part of the share. Organic: as large a part as it is on."""
    rng = np.random.default_rng(1)
    always, rare = rng.uniform(50, 100, 104), np.zeros(104)
    rare[[20, 21]] = 80.0
    frame, names = weekly(tv=always, radio=rng.uniform(5, 9, 104), mail=rare, off=0 * rare)
    panel = mm.Panel.from_frame(
        frame, **names, spend={"tv": "tv", "radio": "radio", "off": "off"}
    )
    got = scale_of(SPEC, panel, "prior")
    assert np.isfinite(got).all()
    assert (got > 0).all()
    np.testing.assert_allclose(got[3], got[:3].mean())
    assert got[2] < 2 * got[:2].max()  # two weeks of mail do not bring a third of media
    nothing = mm.Panel.from_frame(frame, **names | {"media": ["off"]})
    y = frame["sales"]
    wanted = 0.3 * y.mean() / y.max() / MEAN  # as if on all the time
    np.testing.assert_allclose(scale_of(SPEC, nothing, "prior"), [wanted])
    free = mm.Panel.from_frame(frame, **names | {"media": ["tv", "mail"]}, spend={})
    equal = scale_of(SPEC, free)
    np.testing.assert_allclose(equal, equal[0])


def test_a_geo_where_a_channel_never_ran_takes_the_mean_of_its_others():
    frame, names = weekly(tv=np.r_[np.full(52, 3.0), np.zeros(52)], radio=np.full(104, 2.0))
    frame["tv"] *= np.random.default_rng(2).uniform(0.5, 1, 104)
    frame["radio"] *= np.random.default_rng(3).uniform(0.5, 1, 104)
    frame["geo"] = np.repeat(["north", "south"], 52)
    frame["date"] = np.tile(frame["date"][:52], 2)
    panel = mm.Panel.from_frame(frame, **names, geo="geo")
    each = Prior("HalfNormal", scale=mm.media_share, dims=("geo", "channel"))
    spec = dataclasses.replace(SPEC, priors={**SPEC.priors, "saturation_beta": each})
    got = scale_of(spec, panel)
    assert got.shape == (2, 2)
    assert (got > 0).all()
    np.testing.assert_allclose(got[1, 0], got[1, 1])


def test_flights_have_the_returns_of_what_is_always_on():
    """By median ROAS before the data speak; spend_share says a third for flights."""
    rng = np.random.default_rng(4)
    on = np.tile(np.r_[np.ones(6), np.zeros(20)], 4)
    frame, names = weekly(
        tv=rng.uniform(50, 100, 104), radio=on * rng.uniform(50, 100, 104)
    )
    panel = mm.Panel.from_frame(frame, **names)
    ratio = {}
    for what in (mm.media_share, mm.spend_share):
        spec = mm.Spec(priors={"saturation_beta": Prior("HalfNormal", scale=what)})
        ready = prepare(spec, panel)
        table = prior_returns(ready.spec, ready.panel, ready.data, draws=20_000)
        ratio[what.name] = table["roas_median"][1] / table["roas_median"][0]
    assert 1 / 1.2 < ratio["media_share"] < 1.2
    assert ratio["spend_share"] < 0.5
