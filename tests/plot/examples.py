"""Small tables with the columns of the files a run writes, numbers chosen by hand."""

import numpy as np
import pandas as pd
import xarray as xr

CHANNELS = ["TV", "Search", "Mail"]  # Mail is organic
DATES = pd.date_range("2022-01-03", periods=6, freq="7D")


def weekly(geos=("ALL",)):
    """weekly.csv: components add up to fitted_mean; controls below zero in places."""
    rng = np.random.default_rng(0)
    rows = []
    for geo in geos:
        for t, date in enumerate(DATES):
            parts = {"TV": 10 + t, "Search": 5.0, "Mail": 1.0, "baseline": 100.0}
            parts |= {"controls": -3.0 * (t % 2), "seasonality": rng.normal()}
            parts["fitted_mean"] = sum(parts.values())
            rows += [(geo, date, name, v, v - 1, v + 1) for name, v in parts.items()]
    columns = ["geo", "date", "component", "mean", "lo", "hi"]
    return pd.DataFrame(rows, columns=columns)


def channels(geos=("ALL",)):
    """channels.csv with returns of TV and Search."""
    rows = []
    for geo in geos:
        for name, spend, roas in (
            ("TV", 20.0, 2.0),
            ("Search", 10.0, 4.0),
            ("Mail", None, None),
        ):
            row = {"geo": geo, "channel": name, "spend": spend}
            marginal = None if roas is None else 0.5 * roas
            measures = {"contribution": 40.0, "share": 0.1, "roas": roas, "mroas": marginal}
            for kind, value in measures.items():
                for statistic, factor in (("mean", 1.0), ("lo", 0.5), ("hi", 1.5)):
                    number = np.nan if value is None else value * factor
                    row[f"{kind}_{statistic}"] = number
            rows.append(row)
    return pd.DataFrame(rows)


def forecast(start=0, geo="ALL"):
    """forecast.csv, one observation missing."""
    mean = 100.0 + np.arange(6.0)
    observed = mean + np.array([1.0, -1.0, np.nan, 2.0, 0.0, 1.0])
    dates = DATES + pd.Timedelta(days=7 * start)
    table = {
        "date": dates,
        "observed": observed,
        "mean": mean,
        "lo": mean - 5,
        "hi": mean + 5,
    }
    return pd.DataFrame({"geo": geo, **table})


def parameters():
    """parameters.csv: one parameter outside the limits, one without statistics."""
    return pd.DataFrame(
        {
            "parameter": [
                "intercept",
                "saturation_beta",
                "saturation_beta",
                "adstock_alpha",
            ],
            "index": ["", "TV", "Search", "TV"],
            "mean": [0.5, 0.2, 0.3, np.nan],
            "sd": [0.1, 0.1, 0.1, np.nan],
            "hdi_3": [0.3, 0.0, 0.1, np.nan],
            "hdi_97": [0.7, 0.4, 0.5, np.nan],
            "ess_bulk": [2000.0, 900.0, 150.0, np.nan],
            "ess_tail": [1500.0, 1000.0, 300.0, np.nan],
            "r_hat": [1.001, 1.002, 1.03, np.nan],
        }
    )


def plan(geos=("national",)):
    """plan.csv; no upper bound for Search."""
    return pd.DataFrame(
        [
            (geo, name, 100.0, best, 50.0, upper)
            for geo in geos
            for name, best, upper in (("TV", 60.0, 150.0), ("Search", 140.0, np.inf))
        ],
        columns=["geo", "channel", "reference", "optimized", "lower", "upper"],
    )


def curves():
    """A result of ``mm.curves``: response = 10 sqrt(level), Mail organic."""
    fraction = np.linspace(0.0, 1.2, 7)
    largest = np.array([[100.0, 50.0, 8.0]])
    media = largest[..., None] * fraction
    spend = np.where(np.arange(3)[:, None] == 2, np.nan, media)
    mean = 10 * np.sqrt(media)
    dims, flat = ("geo", "channel", "point"), ("geo", "channel")
    money = np.where(np.arange(3) == 2, np.nan, largest)
    return xr.Dataset(
        {
            "response": (("summary", *dims), np.stack([mean, 0.5 * mean, 1.5 * mean])),
            "media": (dims, media),
            "spend": (dims, spend),
            "media_mean": (flat, largest / 4),
            "spend_mean": (flat, money / 4),
            "media_max": (flat, largest),
            "spend_max": (flat, money),
        },
        {"summary": ["mean", "lo", "hi"], "geo": ["ALL"], "channel": CHANNELS},
    )
