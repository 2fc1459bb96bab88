"""Small panels and specs that between them use every part of the model."""

import numpy as np
import pandas as pd

import mmmjax as mm
from mmmjax.model import model_data
from mmmjax.prepare import scale_of
from mmmjax.spec import among


def panel(
    geos=1, periods=40, channels=2, controls=2, seed=0, missing=False, deficient=False,
    freq="W-MON",
):  # fmt: skip
    """Weekly panel with a real media effect; ``deficient`` repeats a control."""
    rng = np.random.default_rng(seed)
    rows = []
    for g in range(geos):
        spend = rng.gamma(2.0, 50.0, (periods, channels)) * (1 + g)
        control = rng.normal(size=(periods, controls))
        if deficient:
            control[:, -1] = control[:, 0]
        effect = np.tanh(spend / 150.0) @ (20.0 + 10.0 * np.arange(channels))
        sales = (
            100.0 * (1 + g)
            + effect
            + 5.0 * control[:, :1].sum(1)
            + rng.normal(0, 4, periods)
        )
        for t, date in enumerate(pd.date_range("2022-01-03", periods=periods, freq=freq)):
            row = {"date": date, "geo": f"g{g}", "y": sales[t]}
            row |= {f"m{c}": spend[t, c] for c in range(channels)}
            row |= {f"x{k}": control[t, k] for k in range(controls)}
            rows.append(row)
    frame = pd.DataFrame(rows)
    if missing:
        frame.loc[[5, 6, 17], "y"] = np.nan
    return mm.Panel.from_frame(
        frame,
        date="date",
        outcome="y",
        media=[f"m{c}" for c in range(channels)],
        controls=[f"x{k}" for k in range(controls)],
        geo="geo" if geos > 1 else None,
    )


def spec(**changes):
    """A quick spec: short lags, two harmonics at most."""
    settings = {
        "adstock": mm.adstock.Geometric(max_lag=3),
        "seasonality": mm.seasonality.Fourier(order=1),
    }
    return mm.Spec(**(settings | changes))


CASES = {
    "national": (spec(), panel()),
    "truncated, masked, rank deficient": (
        spec(
            likelihood=mm.likelihood.TruncatedNormal(low=0.0),
            priors={"gamma_fourier": mm.Prior("Normal", loc=0.1, scale=0.3)},
        ),
        panel(missing=True, deficient=True),
    ),
    "student, trend, saturation first": (
        spec(likelihood=mm.likelihood.StudentT(), trend=True, adstock_first=False),
        panel(),
    ),
    "months": (spec(per_day=True, trend=True), panel(freq="MS")),
    "months of geos that multiply": (
        spec(per_day=True, likelihood=mm.likelihood.Normal(link="log")),
        panel(geos=2, freq="MS"),
    ),
    "geos with nested priors": (
        spec(
            seasonality=None,
            outcome_scale="geo",
            priors={
                "intercept": mm.Prior(
                    "Normal", loc=0.5, scale=mm.Prior("HalfNormal", scale=0.2), dims="geo"
                ),
                "saturation_beta": mm.Prior(
                    "HalfNormal",
                    scale=mm.Prior("HalfNormal", scale=0.3),
                    dims=("geo", "channel"),
                ),
                "y_sigma": mm.Prior("HalfNormal", scale=0.5, dims="geo"),
                "adstock_alpha": mm.Prior("Uniform", low=0.05, high=0.8),
            },
        ),
        panel(geos=2),
    ),
    "geos pooled on the log and the logit": (
        spec(
            seasonality=None,
            priors={
                "intercept": mm.Prior(
                    "LogNormal",
                    loc=mm.Prior("Normal", loc=-0.5, scale=0.3),
                    scale=0.2,
                    dims="geo",
                ),
                "saturation_beta": mm.Prior(
                    "LogNormal",
                    loc=mm.Prior("Normal", loc=-1.5, scale=0.5),
                    scale=mm.Prior("HalfNormal", scale=0.3),
                    dims=("geo", "channel"),
                ),
                "adstock_alpha": mm.Prior(
                    "LogitNormal",
                    loc=mm.Prior("Normal", loc=-1.0, scale=0.5),
                    scale=0.3,
                    dims=("geo", "channel"),
                ),
                "saturation_lam": mm.Prior("LogitNormal", loc=0.0, scale=1.0),
            },
        ),
        panel(geos=2),
    ),
    "all pooled": (
        spec(
            outcome_scale="geo",
            media_scale="geo",
            trend=True,
            likelihood=mm.likelihood.StudentT(),
            priors={
                "intercept": mm.pooled(mm.Prior("Normal", loc=0.5, scale=0.3), spread=0.3),
                "gamma_fourier": mm.pooled(mm.Prior("Laplace", scale=0.2), spread=0.1),
                "saturation_beta": mm.pooled(mm.Prior("HalfNormal", scale=0.3)),
                "adstock_alpha": mm.pooled(
                    mm.Prior("Beta", concentration1=1.0, concentration0=3.0)
                ),
                "y_sigma": mm.pooled(mm.Prior("HalfNormal", scale=0.5)),
            },
        ),
        panel(geos=3, missing=True),
    ),
    "few of many controls": (
        spec(priors={"gamma_control": mm.Prior("Horseshoe", relevant=1)}),
        panel(controls=5, deficient=True),
    ),
    "few of many controls of geos, and swings of one size": (
        spec(
            priors={
                "gamma_control": mm.Prior("Horseshoe", relevant=2, slab=0.2),
                "gamma_fourier": mm.Prior(
                    "Normal", scale=mm.Prior("HalfNormal", scale=0.2), dims=("fourier",)
                ),
            },
        ),
        panel(geos=3, controls=5, missing=True),
    ),
    "no media, no controls": (spec(), panel(channels=0, controls=0)),
}
CASES = {
    name: (among(the_spec, the_spec.sizes(the_panel)), the_panel)
    for name, (the_spec, the_panel) in CASES.items()
}


def data_of(the_spec, the_panel):
    """Model data as the fit builds them."""
    return model_data(the_spec, the_panel, scale_of(the_spec, the_panel))
