"""PyMC-Marketing's budget optimizer on the case study: data path in, one line of JSON out.

Runs in an environment of its own (see ../budget.py). 500 draws of the posterior of
pymc_marketing_case.py; every call of `optimize_budget` rebuilds and compiles its graph,
which is in the time here as it is in its users'.
"""

import json
import sys
import time

import numpy as np
import pandas as pd
from pymc_marketing.mmm.budget_optimizer import optimizer_xarray_builder
from pymc_marketing.mmm.multidimensional import MultiDimensionalBudgetOptimizerWrapper
from pymc_marketing.mmm.utils import mean_tightness_score
from pymc_marketing_case import CHANNELS, model


def main(path):
    """Fit briefly, optimize, print."""
    frame = pd.read_csv(path).rename(columns={v: k for k, v in CHANNELS.items()})
    frame["date"] = pd.to_datetime(frame.pop("wk_strt_dt"))
    test = frame[frame["date"] > "2018-02-01"]
    frame = frame[frame["date"] <= "2018-02-01"].reset_index(drop=True)
    channels = list(CHANNELS)
    controls = [c for c in frame if c.startswith("hldy_")]
    mmm = model(frame, channels, controls)
    mmm.fit(
        X=frame[["date", *channels, *controls]], y=frame["sales"], nuts_sampler="nutpie",
        chains=2, tune=500, draws=250, target_accept=0.9, random_seed=0, progressbar=False,
    )  # fmt: skip
    each = (test[channels].sum() / len(test)).to_numpy()
    bounds = optimizer_xarray_builder(
        np.stack([0.5 * each, 1.5 * each], axis=1),
        channel=channels,
        bound=["lower", "upper"],
    )
    wrapper = MultiDimensionalBudgetOptimizerWrapper(
        model=mmm,
        start_date=str(test["date"].min().date()),
        end_date=str(test["date"].max().date()),
    )
    rows = []
    for name, more in (
        ("mean", {}),
        (
            "mean_tightness(alpha=0.9)",
            {"utility_function": mean_tightness_score(alpha=0.9)},
        ),
    ):
        times, result = [], None
        for _ in range(3):
            began = time.perf_counter()
            _, result = wrapper.optimize_budget(
                budget=float(each.sum()), budget_bounds=bounds, **more
            )
            times.append(time.perf_counter() - began)
        rows.append(
            {
                "what": f"PyMC-Marketing 0.18.2, case study, 500 draws, {name}",
                "plan_ms": 1e3 * float(np.median(times)),
                "evaluations": int(result.nfev),
                "status": str(result.message),
                "includes": "the rebuild of its graph in every call",
            }
        )
    print(json.dumps(rows))


if __name__ == "__main__":
    main(*sys.argv[1:])
