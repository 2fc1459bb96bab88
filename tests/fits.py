"""Small made-up fits: real spec, panel and scale; draws from a random generator."""

from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from mmmjax.draws import Draws, Fit
from mmmjax.kernels.adstock import Geometric
from mmmjax.kernels.seasonality import Fourier
from mmmjax.likelihood import TruncatedNormal
from mmmjax.panel import Panel
from mmmjax.prior import Prior
from mmmjax.samplers import NUTS
from mmmjax.scaling import Scale
from mmmjax.spec import Spec

MADE = {
    "interaction": {"channels": ["TV", "Search"]},
    "events": {"events": {"launch": "2021-02-03", "sale": ["2021-03-01:2021-03-09"]}},
    "holidays": {"country": "DE", "only": ["Good Friday", "Labor Day"], "after": 3},
    "steps": {"steps": {"shop": "2021-03-03"}, "ramp": 20},
    "piecewise": {"changes": ["2021-02-10", "2021-04-01"]},
}
"""Fields of terms that say nothing without them, by kind."""
POSITIVE = ("saturation_lam", "saturation_beta", "y_sigma", "y_nu_excess")


def make_panel(geos=("north", "süd"), periods=12, seed=0, controls=("holiday",)):
    """Weekly panel: TV is paid apart from its media, Search by it, Mail is organic."""
    rng = np.random.default_rng(seed)
    rows = [
        {"geo": geo, "week": week, "sales": rng.uniform(50, 150), "TV": rng.gamma(2.0, 1e3),
         "TV cost": rng.gamma(2.0, 10.0), "Search": rng.gamma(2.0, 20.0),
         "Mail": rng.gamma(2.0, 5.0), "holiday": float(t % 5 == 0), "people": 1e6}
        for geo in geos
        for t, week in enumerate(pd.date_range("2022-01-02", periods=periods, freq="W"))
    ]  # fmt: skip
    frame = pd.DataFrame(rows)
    frame.loc[3, "sales"] = np.nan
    return Panel.from_frame(
        frame, date="week", outcome="sales", media=["TV", "Search", "Mail"], geo="geo",
        spend={"TV": "TV cost", "Search": "Search"}, controls=list(controls),
        population="people", currency="EUR",
    )  # fmt: skip


def shared(spec):
    """The same with one value for all geos where the default is pooled."""
    return replace(spec, priors={n: p.typical for n, p in spec.priors.items()})


def make_spec():
    spec = Spec(
        adstock=Geometric(max_lag=3),
        seasonality=Fourier(order=1),
        likelihood=TruncatedNormal(low=0.0),
        priors={"intercept": Prior("Normal", loc=0.4, scale=0.2, dims="geo")},
        outcome_scale="shared",
        media_scale="shared",
    )
    return shared(spec)


def make_fit(
    chains=2, draws=5, spec=None, panel=None, seed=0, dtype: Any = np.float32, **changed
):
    """A fit of independent draws, so that it converges by construction if long enough.

    ``changed`` replaces draws of a parameter, (chain, draw, *dims).
    """
    rng = np.random.default_rng(seed)
    spec, panel = shared(spec or make_spec()), panel or make_panel()
    sizes = spec.sizes(panel)
    params = {}
    for name in spec.present(sizes):
        shape = (chains, draws, *(sizes[d] for d in spec.dims(name)))
        values = rng.normal(0.3, 0.1, shape)
        if name == "adstock_alpha":
            values = rng.beta(2.0, 4.0, shape)
        elif name in POSITIVE:
            values = rng.gamma(4.0, 0.1, shape)
        params[name] = values.astype(dtype)
    stats = {
        "diverging": np.zeros((chains, draws), bool),
        "n_steps": rng.integers(1, 16, (chains, draws)),
        "tree_depth": rng.integers(1, 5, (chains, draws)),
        "acceptance_rate": rng.uniform(0.6, 1.0, (chains, draws)).astype(np.float32),
        "energy": rng.normal(size=(chains, draws)).astype(np.float32),
        "lp": rng.normal(size=(chains, draws)).astype(np.float32),
        "step_size": np.full((chains, draws), 0.5, np.float32),
    }
    info = {
        "timings": {"compile_s": 1.5, "warmup_s": 0.25, "sample_s": 0.5},
        "gradients": {"warmup": 700, "sample": 300},
        "notes": ["draws rounded up to whole chunks"],
    }
    sampler = NUTS(chains=chains, warmup=50, draws=draws, target_accept=0.9)
    drawn = Draws({n: changed.get(n, a) for n, a in params.items()}, stats)
    scale = Scale.fit(panel, baseline=spec.baselines(panel), per_day=spec.per_day)
    return Fit(spec, panel, scale, sampler, drawn, seed, info)
