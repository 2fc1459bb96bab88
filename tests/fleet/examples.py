"""Simulated tables of a fleet, with the columns of fleet.csv and channels.csv."""

import numpy as np
import pandas as pd

from mmmjax.fleet.summary import log_normal

STATUSES = ("converged", "refitted", "not converged", "refused", "failed")
NASTY = '</script><img src=x onerror="alert(1)"> & co'


def channels_of(mean, sd, markets=None, channel="TV", **more):
    """Rows of geo "ALL" whose posteriors are log-normal."""
    roas = np.stack(log_normal(np.asarray(mean, float), np.asarray(sd, float)))
    names = markets or [f"m{i}" for i in range(roas.shape[1])]
    table = {"market": names, "geo": "ALL", "channel": channel, "spend": 100.0}
    for name in ("contribution", "share", "roas", "mroas"):
        size = {"contribution": 100.0, "share": 0.1, "roas": 1.0, "mroas": 0.6}[name]
        table |= {f"{name}_{s}": size * roas[i] for i, s in enumerate(("mean", "lo", "hi"))}
    return pd.DataFrame(table | more)


def table_of(statuses, **columns):
    """A fleet.csv; fits that converged have good numbers unless given."""
    count = len(statuses)
    there = ~np.isin(statuses, ("refused", "failed"))
    fill = lambda value: np.where(there, value, np.nan)
    table = {
        "market": [f"m{i}" for i in range(count)],
        "status": statuses,
        "reason": ["" if s == "converged" else f"because {s}" for s in statuses],
        "r_hat": fill(1.004), "min_ess": fill(900.0), "divergences": 0,
        "seconds": fill(0.3), "crps": fill(4.0), "coverage": fill(0.95),
    }  # fmt: skip
    return pd.DataFrame(table | columns)


def fleet(markets=12, channels=("TV", "Search", NASTY), seed=0):
    """Both tables of a fleet in which every status occurs."""
    rng = np.random.default_rng(seed)
    statuses = ["converged"] * (markets - 4) + list(STATUSES[1:])
    names = [f"market {i:02d}" for i in range(markets - 1)] + [NASTY]
    table = table_of(
        statuses, market=names, r_hat=1 + rng.gamma(2, 0.002, markets),
        seconds=rng.gamma(9, 0.1, markets), coverage=rng.uniform(0.9, 0.98, markets),
    )  # fmt: skip
    table.loc[markets - 2 :, ["r_hat", "min_ess", "crps", "coverage"]] = np.nan
    table.loc[markets - 3, "r_hat"] = 1.3
    fitted = names[: markets - 2]
    parts = [
        channels_of(
            rng.normal(0.2 * k, 0.3, len(fitted)), rng.uniform(0.1, 0.5, len(fitted)),
            fitted, channel,
        )
        for k, channel in enumerate(channels)
    ]  # fmt: skip
    return table, pd.concat(parts, ignore_index=True)
