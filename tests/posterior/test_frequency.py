"""The best frequency against its closed form, and responses against a loop."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
import pytest

import mmmjax as mm
from mmmjax import response
from tests.fits import make_fit
from tests.terms.test_reach import SPEC, panel_of

_WEEK = pd.Timedelta(days=7)


def made(spec=SPEC, geos=1, **params):
    """A fit of six draws, whose curves of frequency differ, and its draws."""
    panel, rng = panel_of(geos=geos), np.random.default_rng(0)
    fit = make_fit(2, 3, spec, panel, dtype=np.float64)
    drawn = {n: rng.uniform(0.3, 0.7, x.shape) for n, x in fit.draws.params.items()}
    drawn["video.frequency_kappa"] = rng.uniform(1.0, 4.0, (2, 3, 1))
    drawn["video.frequency_slope"] = np.array([[0.7, 1.0, 1.5], [2.0, 2.5, 3.0]])[..., None]
    return make_fit(2, 3, spec, panel, dtype=np.float64, **(drawn | params))


def test_the_best_is_the_closed_form():
    fit = made()
    kappa, slope = (
        fit.draws.params[f"video.frequency_{n}"].ravel() for n in ("kappa", "slope")
    )
    inner = kappa * np.maximum(slope - 1, 0.0) ** (1 / slope)
    (row,) = mm.optimal_frequency(fit, upto=3.0).to_dict("records")
    best = np.clip(inner, 1.0, 3.0)
    assert row["best_mean"] == pytest.approx(best.mean(), rel=1e-9)
    assert row["at_end"] == pytest.approx(((inner <= 1) | (inner >= 3)).mean())
    assert 0 < row["at_end"] < 1
    assert row["upto"] == 3.0
    assert row["geo"] == "ALL"


CHANGED = {
    "usual": {},
    "bent": {"saturation": mm.saturation.Logistic()},
    "moving": {"moving": mm.moving.Seasons()},
}


@pytest.mark.parametrize("changed", CHANGED)
def test_responses_are_those_of_the_model_with_that_frequency(changed, x64):
    """A panel with the frequency everywhere, less one without the channel's media."""
    spec = SPEC
    if changed != "usual":
        term = dataclasses.replace(SPEC.terms[0], **CHANGED[changed])
        spec = dataclasses.replace(SPEC, terms=(term,), priors={})
    fit = made(spec)
    panel, (row,) = fit.panel, mm.optimal_frequency(fit).to_dict("records")
    # what is carried out of training counts too: periods of nothing follow
    quiet = panel.read_future(
        panel.to_frame()
        .assign(week=lambda x: x["week"] + (x["week"].max() - x["week"].min()) + _WEEK)
        .assign(tv=0.0, people=0.0, times=1.0, cost=0.0)
        .drop(columns="sales")
    )
    assert row["usual"] == panel.usual_frequency()[1]

    def brought(frequency):
        now = dataclasses.replace(panel, frequency=frequency)
        both = [
            response.make_inputs(fit.spec, now, fit.scale),
            response.make_inputs(fit.spec, quiet, fit.scale, after=now),
        ]
        total = []
        for draw in range(6):
            p = {n: x.reshape(6, *x.shape[2:])[draw] for n, x in fit.draws.params.items()}
            every = [jax.tree.map(jnp.asarray, x) for x in both]
            parts = [response.components(p, x, fit.spec)["channel"] for x in every]
            total.append(sum(float(x[0, 1].sum()) for x in parts))
        return np.array(total) * fit.scale.outcome[0]

    now = brought(panel.frequency)
    assert row["response_mean"] == pytest.approx(now.mean(), rel=1e-6)
    even = np.where(panel.media > 0, row["frequency"], np.nan)
    then = brought(even)
    assert row["gain_mean"] == pytest.approx((then - now).mean(), rel=1e-6)
    spend = panel.spend[..., 1].sum()
    assert row["roas_mean"] == pytest.approx(now.mean() / spend, rel=1e-6)
    assert row["roas_best_mean"] == pytest.approx(then.mean() / spend, rel=1e-6)
    for other in (1.0, 2.0, row["upto"]):  # of 41, none has a larger mean
        even = np.where(panel.media > 0, other, np.nan)
        assert brought(even).mean() <= then.mean() * (1 + 2e-3)


def test_geos_with_curves_of_their_own_have_rows_of_their_own():
    prior = mm.Prior("LogNormal", loc=0.7, scale=0.4, dims=("geo", "channel"))
    spec = dataclasses.replace(
        SPEC, priors={"video.frequency_kappa": prior}, terms=SPEC.terms
    )
    kappa = np.array([1.5, 4.0])[None, None, :, None] * np.ones((2, 3, 1, 1))
    fit = made(spec, 2, **{"video.frequency_kappa": kappa})
    table = mm.optimal_frequency(fit).set_index("geo")
    assert list(table.index) == ["g0", "g1", "ALL"]
    assert table.loc["g0", "best_mean"] < table.loc["g1", "best_mean"]
    assert np.isnan(table.loc["ALL", "best_mean"])
    total = table.loc[["g0", "g1"], "response_mean"].sum()
    assert table.loc["ALL", "response_mean"] == pytest.approx(total, rel=1e-9)


def test_without_a_term_of_reach_it_says_how_to_have_one():
    panel = panel_of()
    fit = make_fit(2, 2, mm.Spec(seasonality=None), panel)
    with pytest.raises(mm.InputError, match="channels of reach and frequency"):
        mm.optimal_frequency(fit)
    with pytest.raises(mm.InputError, match="upto"):
        mm.optimal_frequency(made(), upto=1.0)
