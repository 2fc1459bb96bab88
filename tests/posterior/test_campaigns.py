"""What campaigns brought, against loops; they add up to their channels exactly."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
import pytest

import mmmjax as mm
from mmmjax.draws import Draws, Fit
from mmmjax.prepare import prepare
from mmmjax.response import components, seen
from mmmjax.samplers import NUTS
from mmmjax.terms import Media

NAMES = {"TV": ("A", "B", "C"), "Search": ("A", "B")}
LAG = 4


def table(geos, periods=26, seed=0):
    rng = np.random.default_rng(seed)
    dates = pd.date_range("2024-01-01", periods=periods, freq="W-MON")
    rows = []
    for g in range(geos):
        one = {"week": dates, "geo": f"g{g}", "sales": rng.uniform(50, 100, periods)}
        one["sales"][:3] = np.nan if g == 0 or geos == 1 else one["sales"][:3]
        one |= {f"{c} {k}": rng.gamma(2.0, 100.0, periods) * (rng.random(periods) < 0.6)
                for c, names in NAMES.items() for k in names}  # fmt: skip
        rows.append(pd.DataFrame(one | {"Radio": rng.gamma(2.0, 50.0, periods)}))
    return pd.concat(rows, ignore_index=True)


def columns(drop=()):
    media = {c: {k: f"{c} {k}" for k in names} for c, names in NAMES.items()}
    return {c: x for c, x in media.items() if c not in drop} | {"Radio": "Radio"}


def fit_of(spec, geos=2, draws=6, seed=1):
    """A fit of made-up draws."""
    panel = mm.Panel.from_frame(
        table(geos), date="week", outcome="sales", media=columns(),
        geo="geo" if geos > 1 else None,
    )  # fmt: skip
    ready = prepare(spec, panel)
    rng, sizes = np.random.default_rng(seed), ready.spec.sizes(panel)
    params = {}
    for name in ready.spec.present(sizes):
        shape = (2, draws, *(sizes[d] for d in ready.spec.dims(name)))
        kind = name.rpartition(".")[2]
        params[name] = rng.normal(0.0, 0.4, shape)
        if kind != "campaign_effect":
            params[name] = rng.uniform(0.1, 0.6, shape)
    return Fit(ready.spec, ready.panel, ready.scale, NUTS(), Draws(params), 0)


SPECS = {
    "usual": mm.Spec(adstock=mm.adstock.Geometric(max_lag=LAG), seasonality=None),
    "saturation first": mm.Spec(
        adstock=mm.adstock.Geometric(max_lag=LAG), adstock_first=False, seasonality=None
    ),
    "by geo": mm.Spec(
        adstock=mm.adstock.Geometric(max_lag=LAG), seasonality=None,
        priors={"campaign_effect": mm.Prior("Normal", scale=0.3, dims=["geo", "campaign"])},
    ),
    "two terms": mm.Spec(
        adstock=mm.adstock.Geometric(max_lag=LAG), seasonality=None,
        terms=(Media("lower", ["Search", "Radio"], mm.adstock.Geometric(max_lag=2)),),
    ),
}  # fmt: skip


def loops(fit, chain, draw):
    """Weights and contributions (geo, campaign[, time]), one period at a time."""
    panel, own = fit.panel, fit.panel.campaigns
    one = {n: x[chain, draw] for n, x in fit.draws.params.items()}
    weights, brought = {}, {}
    for channel, names in NAMES.items():
        media = {k: amounts(panel, f"{channel} {k}") for k in names}
        for g in range(panel.n_geos):
            of = Of(fit, one, channel, g)
            total = sum(x[:, panel.history :].sum() for x in media.values())
            mean = sum(
                np.exp(of.effect(k)) * x[:, panel.history :].sum() / total
                for k, x in media.items()
            )
            mine = {k: np.exp(of.effect(k)) / mean for k in names}
            parts = np.stack([mine[k] * media[k][g] / of.unit for k in names])
            for k, row in zip(names, of.brought(parts), strict=True):
                weights[g, f"{channel}: {k}"] = mine[k]
                brought[g, f"{channel}: {k}"] = row[panel.history :]
    geos = range(panel.n_geos)
    pair = lambda of: np.array([[of[g, k] for k in own.labels] for g in geos])
    return pair(weights), pair(brought)


def amounts(panel, column):
    """(geo, time) of a column of the table."""
    frame = panel.to_frame()
    if "geo" not in frame:
        return frame[column].to_numpy()[None]
    return np.stack([frame.loc[frame["geo"] == g, column] for g in panel.geos])


class Of:
    """Numbers of a channel in a geo and draw."""

    def __init__(self, fit, one, channel, g):
        spec, panel = fit.spec, fit.panel
        owner = (t for t in spec.media[::-1] if t.channels is None or channel in t.channels)
        self.term, labels = next(owner), spec.labels(panel)
        self.members = labels[spec.dim(self.term, "campaign")]
        c = labels[spec.dim(self.term, "channel")].index(channel)
        self.channel, self.unit = channel, fit.scale.media[g, panel.channels.index(channel)]
        pick = lambda x: x[g] if x.ndim == 2 else x
        named = lambda n: pick(one[spec.full(self.term, n)])
        self.effects, self.size = named("campaign_effect"), fit.scale.outcome[g]
        kernel = ("adstock_alpha", "saturation_lam", "saturation_beta")
        self.alpha, self.lam, self.beta = (float(named(n)[c]) for n in kernel)

    def effect(self, k):
        return float(self.effects[self.members.index(f"{self.channel}: {k}")])

    def brought(self, parts):
        """Of weighted media (campaign, time)."""
        if not self.term.adstock_first:
            parts = parts * self.bent(parts.sum(0))
        lags = self.term.adstock.max_lag
        decay = self.alpha ** np.arange(lags)
        decay /= decay.sum()
        carried = np.zeros_like(parts)
        for t in range(parts.shape[1]):
            for i in range(min(lags, t + 1)):
                carried[:, t] += decay[i] * parts[:, t - i]
        if self.term.adstock_first:
            carried = carried * self.bent(carried.sum(0))
        return self.beta * carried * self.size

    def bent(self, x):
        """Saturation of x for each unit of it."""
        curve = (1 - np.exp(-self.lam * x)) / (1 + np.exp(-self.lam * x))
        return curve / np.where(x > 0, x, 1.0)


@pytest.mark.slow(parts=6)
@pytest.mark.parametrize("geos", [1, 2])
@pytest.mark.parametrize("spec", SPECS.values(), ids=list(SPECS))
def test_against_loops(spec, geos):
    if geos == 1 and any(
        "geo" in (p.dims or ()) for p in spec.priors.values() if not p.pool
    ):
        pytest.skip("one geo")
    fit = fit_of(spec, geos)
    found = mm.campaigns(fit)
    total = mm.contributions(fit)
    weights, brought = loops(fit, 1, 3)
    np.testing.assert_allclose(found["weight"][1, 3], weights, rtol=1e-9)
    np.testing.assert_allclose(found["contribution"][1, 3], brought.sum(-1), rtol=1e-9)
    np.testing.assert_allclose(total["campaign_total"][1, 3], brought.sum(-1), rtol=1e-9)
    every = np.stack([loops(fit, c, d)[1] for c in range(2) for d in range(6)])
    mean = total["campaign_contribution"].sel(summary="mean")
    np.testing.assert_allclose(mean, every.mean(0), rtol=1e-9, atol=1e-9)


@pytest.mark.slow(parts=6)
@pytest.mark.parametrize("spec", SPECS.values(), ids=list(SPECS))
def test_they_add_up_to_the_channel_in_every_draw(spec):
    fit = fit_of(spec)
    found, returns, total = mm.campaigns(fit), mm.roas(fit), mm.contributions(fit)
    for channel in NAMES:
        mine = found.isel(campaign=np.flatnonzero(found["channel"] == channel))
        whole = total["channel_total"].sel(channel=channel)
        np.testing.assert_allclose(mine["contribution"].sum("campaign"), whole, rtol=1e-12)
        gain = returns["incremental"].sel(channel=channel)
        np.testing.assert_allclose(mine["incremental"].sum("campaign"), gain, rtol=1e-12)
        spent = returns["spend"].sel(channel=channel)
        np.testing.assert_allclose(mine["spend"].sum("campaign"), spent, rtol=1e-12)
        parts = total["campaign_contribution"].sel(summary="mean")
        parts = parts.sel(campaign=mine["campaign"]).sum("campaign")
        each = total["channel_contribution"].sel(summary="mean", channel=channel)
        np.testing.assert_allclose(parts, each, rtol=1e-12, atol=1e-9)


def test_weights_leave_the_media_of_training_as_they_are():
    """A zero-sum by media, over all geos; one value moves nothing where all are equal."""
    fit = fit_of(SPECS["usual"])
    found, panel = mm.campaigns(fit), fit.panel
    for channel in NAMES:
        at = np.flatnonzero(found["channel"] == channel)
        media = found["media"].isel(campaign=at).sum("geo")
        weights = found["weight"].isel(campaign=at, geo=0)
        np.testing.assert_allclose((weights * media).sum("campaign") / media.sum(), 1.0)
    one = {n: x[0, 0] for n, x in fit.draws.params.items()}
    one["campaign_effect"] = np.full_like(one["campaign_effect"], 0.7)
    device = lambda x: jax.tree.map(jnp.asarray, x)
    inputs = device(fit.inputs())
    np.testing.assert_allclose(seen(one, inputs, fit.spec), inputs["media"], rtol=1e-6)
    plain = dataclasses.replace(panel, campaigns=None)
    bare = prepare(SPECS["usual"], plain)
    ours = components(one, inputs, fit.spec)["channel"]
    theirs = components(one, device(bare.data.inputs), bare.spec)["channel"]
    np.testing.assert_allclose(ours, theirs, rtol=1e-5)


def test_the_table_and_the_door():
    fit = fit_of(SPECS["usual"])
    table_ = mm.tables.campaigns(fit)
    assert list(table_["geo"].unique()) == ["g0", "g1", "ALL"]
    assert list(table_["campaign"][:5]) == ["A", "B", "C", "A", "B"]
    sums = table_.groupby(["geo", "channel"])["share_mean"].sum()
    np.testing.assert_allclose(sums, 1.0)
    channels = mm.tables.channels(fit).set_index(["geo", "channel"])["contribution_mean"]
    mine = table_.groupby(["geo", "channel"])["contribution_mean"].sum()
    np.testing.assert_allclose(mine, channels.loc[mine.index])
    assert (table_["roas_lo"] < table_["roas_mean"]).all()
    bare = dataclasses.replace(fit.panel, campaigns=None)
    ready = prepare(fit.spec, bare)
    kept = {n: x for n, x in fit.draws.params.items() if not n.startswith("campaign")}
    without = Fit(ready.spec, bare, ready.scale, NUTS(), Draws(kept), 0)
    with pytest.raises(mm.InputError, match="without campaigns"):
        mm.campaigns(without)
    assert "campaigns" not in mm.tables.every(without)


def test_saved_and_loaded(tmp_path):
    fit = fit_of(SPECS["two terms"])
    mm.save(fit, tmp_path / "fit.nc")
    again = mm.load(tmp_path / "fit.nc")
    assert again.panel.data_hash() == fit.panel.data_hash()
    a, b = mm.campaigns(fit), mm.campaigns(again)
    np.testing.assert_array_equal(a["roas"], b["roas"])
    assert again.scale.campaigns is not None


def test_a_forecast_goes_on_with_the_last_of_training():
    """A split panel forecasts what the whole one says of those periods."""
    whole = fit_of(SPECS["usual"], geos=1, draws=4)
    train, test = whole.panel.split("2024-05-06")
    ready = prepare(SPECS["usual"], train)
    fit = Fit(ready.spec, train, ready.scale, NUTS(), whole.draws, 0)
    ahead = mm.contributions(fit, test)["campaign_contribution"].sel(summary="mean")
    joint = dataclasses.replace(whole, scale=ready.scale)
    every = mm.contributions(joint)["campaign_contribution"].sel(summary="mean")
    np.testing.assert_allclose(ahead, every.sel(date=ahead["date"]), rtol=1e-9)


def test_a_plan_carries_in_what_campaigns_left():
    """With the history of a plan weighed, it is the increment of the forward function."""
    fit = fit_of(SPECS["usual"], geos=1, draws=4)
    spend = {"TV": 900.0, "Search": 500.0, "Radio": 300.0}
    plan = mm.evaluate(fit, {"mine": spend}, periods=3, carry_in="history")
    found = []
    for c in range(2):
        for d in range(4):
            one = {n: x[c, d] for n, x in fit.draws.params.items()}
            past = np.asarray(seen(one, fit.inputs(), fit.spec))[0]
            found.append(_increment(one, past, fit, spend))
    value = float(plan["response_mean"].to_numpy()[0])
    np.testing.assert_allclose(value, np.mean(found), rtol=1e-6)


def _increment(one, past, fit, spend):
    total = 0.0
    for c, channel in enumerate(fit.panel.channels):
        unit = fit.scale.media[0, c]
        alpha, lam, beta = (
            one[n][c] for n in ("adstock_alpha", "saturation_lam", "saturation_beta")
        )
        decay = alpha ** np.arange(LAG)
        decay /= decay.sum()
        new = np.full(3, spend[channel] / 3 / unit)
        series = lambda x, c=c: np.concatenate(
            [past[c][-(LAG - 1) :], x, np.zeros(LAG - 1)]
        )
        bend = lambda x, lam=lam: np.tanh(lam * x / 2)
        with_, without = (
            bend(np.convolve(series(x), decay)[LAG - 1 : 2 * LAG + 1]).sum()
            for x in (new, 0 * new)
        )
        total += beta * (with_ - without) * fit.scale.outcome[0]
    return total
