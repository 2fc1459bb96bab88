"""The case study in PyMC-Marketing: data path and sampler in, one line of JSON out.

Runs in an environment of its own (see ../one_market.py). Same data, priors, chains, draws
and target acceptance; dims are set per channel explicitly.
"""

import json
import sys
import time

STARTED = time.perf_counter()
import arviz as az  # noqa: E402
import numpy as np  # noqa: E402
import pandas as pd  # noqa: E402
from pymc_extras.prior import Prior  # noqa: E402
from pymc_marketing.mmm import GeometricAdstock, LogisticSaturation  # noqa: E402
from pymc_marketing.mmm.multidimensional import MMM  # noqa: E402

IMPORTED = time.perf_counter()
CHANNELS = {
    "Direct Mail": "mdsp_dm",
    "Insert": "mdsp_inst",
    "Newspaper": "mdsp_nsp",
    "Online Display": "mdsp_on",
    "Radio": "mdsp_audtr",
    "Social Media": "mdsp_so",
    "TV": "mdsp_vidtr",
}


def model(frame, channels, controls):
    """The model of the case study."""
    share = (frame[channels].sum() / frame[channels].sum().sum()).to_numpy()
    half = Prior("HalfNormal", sigma=1)
    priors = {
        "intercept": Prior("Normal", mu=0.2, sigma=0.05),
        "adstock_alpha": Prior("Beta", alpha=1, beta=3, dims="channel"),
        "saturation_lam": Prior("Gamma", alpha=3, beta=1, dims="channel"),
        "saturation_beta": Prior("HalfNormal", sigma=share, dims="channel"),
        "gamma_control": Prior("Normal", mu=0, sigma=1, dims="control"),
        "gamma_fourier": Prior("Laplace", mu=0, b=1, dims="fourier_mode"),
        "likelihood": Prior("TruncatedNormal", lower=0, sigma=half, dims="date"),
    }
    return MMM(
        date_column="date",
        target_column="sales",
        channel_columns=channels,
        control_columns=controls,
        adstock=GeometricAdstock(l_max=6),
        saturation=LogisticSaturation(),
        yearly_seasonality=5,
        model_config=priors,
    )


def main(path, sampler):
    """Fit and print one line of JSON."""
    frame = pd.read_csv(path).rename(columns={v: k for k, v in CHANNELS.items()})
    frame["date"] = pd.to_datetime(frame.pop("wk_strt_dt"))
    frame = frame[frame["date"] <= "2018-02-01"].reset_index(drop=True)
    channels = list(CHANNELS)
    controls = [c for c in frame if c.startswith("hldy_")]
    mmm = model(frame, channels, controls)
    began = time.perf_counter()
    trace = mmm.fit(
        X=frame[["date", *channels, *controls]],
        y=frame["sales"],
        nuts_sampler=sampler,
        chains=4,
        tune=1000,
        draws=1000,
        target_accept=0.9,
        random_seed=0,
        progressbar=False,
    )
    fitted = time.perf_counter() - began
    names = ["intercept_contribution", "intercept", "adstock_alpha", "saturation_lam",
             "saturation_beta", "gamma_control", "gamma_fourier", "y_sigma"]  # fmt: skip
    post = trace.posterior
    names = [n for n in names if n in post and set(post[n].dims).isdisjoint({"date"})]
    ess = az.ess(post[names])
    flat = np.concatenate([np.ravel(ess[n]) for n in names])
    r_hat = az.rhat(post[names])
    stats = trace.sample_stats
    sampling = float(post.attrs.get("sampling_time", "nan"))
    steps = next((stats[k] for k in ("n_steps", "num_steps") if k in stats), None)
    total = None if steps is None else int(steps.sum())
    clock = sampling if sampling == sampling else fitted
    print(
        json.dumps(
            {
                "who": f"PyMC-Marketing {sampler}",
                "import_s": IMPORTED - STARTED,
                "fit_s": fitted,
                "sample_s": clock,
                "sample_s_is": "warm-up and draws" if sampling == sampling else "whole fit",
                "scalars": int(flat.size),
                "gradients_per_draw": None if total is None else total / 4000,
                "min_ess": float(flat.min()),
                "median_ess": float(np.median(flat)),
                "max_r_hat": max(float(r_hat[n].max()) for n in names),
                "divergences": int(stats["diverging"].sum()),
                "min_ess_per_s_with_warmup": float(flat.min()) / clock,
            }
        )
    )


if __name__ == "__main__":
    main(*sys.argv[1:])
