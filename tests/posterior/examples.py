"""Made-up fits of the shapes that matter: national and panel, with and without history."""

from dataclasses import replace

import numpy as np
import pandas as pd

from mmmjax.kernels.adstock import Geometric
from mmmjax.kernels.seasonality import Fourier
from mmmjax.likelihood import Normal
from mmmjax.panel import Panel
from mmmjax.prior import Prior
from mmmjax.scaling import Scale
from mmmjax.spec import Spec
from tests.fits import make_fit, shared

MAX_LAG = 4


def national_panel(periods=20, history=0, seed=4):
    """One market; spend is media; "Radio" is off in about half of the weeks."""
    rng = np.random.default_rng(seed)
    n = periods + history
    frame = pd.DataFrame(
        {
            "week": pd.date_range("2021-11-01", periods=n, freq="W-MON"),
            "sales": np.where(np.arange(n) < history, np.nan, rng.uniform(50, 150, n)),
            "TV": rng.gamma(2.0, 1e3, n),
            "Radio": rng.gamma(2.0, 20.0, n) * rng.integers(0, 2, n),
        }
    )
    return Panel.from_frame(frame, date="week", outcome="sales", media=["TV", "Radio"])


def geo_panel(periods=16, history=2, seed=2, unbalanced=True):
    """Three geos, media apart from spend, one organic channel, two controls.

    One outcome is missing; unless told otherwise, "c" starts late and "b" ends early.
    """
    rng = np.random.default_rng(seed)
    weeks = pd.date_range("2021-01-03", periods=periods + history, freq="W")
    rows = [
        {"geo": geo, "week": week, "step": t,
         "sales": rng.uniform(50, 150) * (g + 1) if t >= history else np.nan,
         "tv": rng.gamma(2.0, 1e3), "tv cost": rng.gamma(2.0, 9.0),
         "search": rng.gamma(2.0, 20.0), "mail": rng.gamma(2.0, 5.0),
         "price": rng.normal(), "promo": float(t % 3 == 0)}
        for g, geo in enumerate("abc")
        for t, week in enumerate(weeks)
    ]  # fmt: skip
    frame = pd.DataFrame(rows)
    frame.loc[history + 1, "sales"] = np.nan
    if unbalanced:
        late = (frame["geo"] == "c") & (frame["step"] < history + 3)
        early = (frame["geo"] == "b") & (frame["step"] > periods)
        frame = frame[~late & ~early]
    return Panel.from_frame(
        frame, date="week", outcome="sales", geo="geo", controls=["price", "promo"],
        media={"TV": "tv", "Search": "search", "Mail": "mail"},
        spend={"TV": "tv cost", "Search": "search"},
    )  # fmt: skip


def national_fit(history=0, draws=3, likelihood=None, **spec):
    """No seasonality and no trend unless given."""
    given = {"adstock": Geometric(MAX_LAG), "seasonality": None} | spec
    spec = Spec(likelihood=likelihood or Normal(), **given)
    return make_fit(2, draws, spec, national_panel(history=history), dtype=np.float64)


def geo_spec(likelihood=None):
    """Everything at once: trend, seasonality, parameters and scales per geo."""
    spec = Spec(
        adstock=Geometric(MAX_LAG),
        seasonality=Fourier(1),
        trend=True,
        likelihood=likelihood or Normal(),
        priors={
            "intercept": Prior("Normal", loc=0.4, scale=0.2, dims="geo"),
            "saturation_beta": Prior("HalfNormal", scale=1.0, dims=("geo", "channel")),
            "gamma_control": Prior("Normal", loc=0.0, scale=1.0, dims=("geo", "control")),
            "y_sigma": Prior("HalfNormal", scale=1.0, dims="geo"),
        },
        outcome_scale="geo",
        media_scale="geo",
    )
    return shared(spec)


def geo_fit(draws=3, likelihood=None, **panel):
    """The whole spec on three geos."""
    spec, data = geo_spec(likelihood), geo_panel(**panel)
    fit = make_fit(2, draws, spec, data, dtype=np.float64)
    return replace(fit, scale=Scale.fit(data, per_geo_outcome=True, per_geo_media=True))


FITS = {"national": national_fit, "geos": geo_fit}


def bare_fit(draws=3):
    """The geos without any media."""
    panel = geo_panel()
    bare = replace(
        panel, media=panel.media[..., :0], spend=panel.spend[..., :0], channels=(),
        columns=replace(panel.columns, media=(), spend=()),
    )  # fmt: skip
    return make_fit(2, draws, geo_spec(), bare, dtype=np.float64)


def one_draw(fit, number):
    """Parameters of one draw and their dims, as the oracles take them."""
    params = {name: array[number] for name, array in fit.flat().items()}
    return params, {name: fit.dims(name) for name in params}


def scaled_media(fit):
    """(geo, channel, all periods)."""
    return np.moveaxis(fit.panel.media / fit.scale.media[:, None, :], 1, 2)


def flat(array):
    """A labelled result (chain, draw, ...) as draws (draw_total, ...)."""
    values = array.transpose("chain", "draw", ...).to_numpy()
    return values.reshape(-1, *values.shape[2:])
