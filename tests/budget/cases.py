"""Small fits to plan with: real records, random draws, media apart from money."""

import numpy as np
import pandas as pd

from mmmjax.draws import Draws, Fit
from mmmjax.kernels.adstock import Geometric
from mmmjax.panel import Panel
from mmmjax.samplers import NUTS
from mmmjax.scaling import Scale
from mmmjax.spec import Spec
from tests.fits import shared


def make_panel(channels=3, geos=1, periods=20, seed=0, organic=False, currency="EUR"):
    """Weekly panel whose channels cost between 0.1 and 10 a unit, some off now and then."""
    rng = np.random.default_rng(seed)
    names = [f"c{i}" for i in range(channels)]
    price = np.exp(rng.uniform(-2.3, 2.3, channels))
    size = np.exp(rng.normal(0.0, 1.0, channels))
    weeks = pd.date_range("2022-01-02", periods=periods, freq="W")
    frames = []
    for g in range(geos):
        media = 1e3 * size * rng.gamma(2.0, 1.0, (periods, channels)) * rng.uniform(0.3, 1)
        media *= rng.random((periods, channels)) < 0.9
        noise = rng.uniform(0.9, 1.1, media.shape)
        frame = pd.DataFrame(media, columns=names)
        costs = pd.DataFrame(media * price * noise, columns=[f"{n} cost" for n in names])
        frame = pd.concat([frame, costs], axis=1)
        frame["week"], frame["geo"] = weeks, f"g{g}"
        frame["sales"] = rng.uniform(5e5, 1e6, periods)
        frame["mail"] = rng.uniform(1.0, 2.0, periods)
        frames.append(frame)
    media = ["mail", *names] if organic else names  # first, so that indices shift
    return Panel.from_frame(
        pd.concat(frames), date="week", outcome="sales", media=media, currency=currency,
        spend={n: f"{n} cost" for n in names}, geo="geo" if geos > 1 else None,
    )  # fmt: skip


def make_fit(
    channels=3, geos=1, draws=20, max_lag=4, seed=0, organic=False, dtype=np.float64, **spec
):
    """A fit with random draws of the media parameters, each channel of its own strength."""
    rng = np.random.default_rng(seed + 1)
    panel = make_panel(channels, geos, seed=seed, organic=organic)
    spec = shared(Spec(adstock=Geometric(max_lag=max_lag), seasonality=None, **spec))
    sizes = {"geo": geos, "channel": len(panel.channels)}

    def shape(name):
        return (1, draws, *(sizes[dim] for dim in spec.dims(name)))

    params = {
        "adstock_alpha": rng.beta(1.0, 3.0, shape("adstock_alpha")),
        "saturation_lam": rng.gamma(3.0, 1.0, shape("saturation_lam")),
        "saturation_beta": np.abs(rng.normal(0, 0.1, shape("saturation_beta"))),
    }
    params["saturation_beta"] *= rng.uniform(0.3, 1.0, shape("saturation_beta")[-1:])
    drawn = Draws({n: a.astype(dtype) for n, a in params.items()})
    scale = Scale.fit(
        panel,
        per_geo_outcome=spec.outcome_scale == "geo",
        per_geo_media=spec.media_scale == "geo",
    )
    return Fit(spec, panel, scale, NUTS(chains=1, draws=draws), drawn, seed)
