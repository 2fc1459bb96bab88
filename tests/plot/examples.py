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


def multipliers():
    """multipliers.csv of two channels, the last four weeks after training."""
    rows = [
        ("ALL", name, date, t >= len(DATES) - 4, v := 1 + 0.02 * t, v - 0.1, v + 0.1)
        for name in ("TV", "Search")
        for t, date in enumerate(DATES)
    ]
    return pd.DataFrame(
        rows, columns=["geo", "channel", "date", "after", "mean", "lo", "hi"]
    )


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


def predicted(start=0, draws=200):
    """A result of ``mm.predict`` with draws: mean 100, 101, ..., noise of width 4."""
    rng = np.random.default_rng(start)
    values = 100.0 + np.arange(6.0) + 4 * rng.normal(size=(2, draws, 1, 6))
    table = forecast(start)
    return xr.Dataset(
        {
            "outcome": (("chain", "draw", "geo", "date"), values),
            "observed": (("geo", "date"), table["observed"].to_numpy()[None]),
        },
        {"geo": ["ALL"], "date": table["date"].to_numpy()},
    )


def residuals():
    """A result of ``mm.residuals``; the autocorrelation of lag 2 is beyond the bound."""
    return xr.Dataset(
        {
            "residual": (("geo", "date"), [[1.0, -2.0, np.nan, 3.0, -1.0, 2.0]]),
            "autocorrelation": (("geo", "lag"), [[1.0, 0.1, -0.6, 0.2]]),
            "bound": (("geo",), [0.4]),
        },
        {"geo": ["ALL"], "date": DATES, "lag": range(4)},
    )


def draws(chains=2, n=300, seed=0):
    """Draws as ``fit.to_arviz()["posterior"]`` has them: a scalar, and one a channel."""
    rng = np.random.default_rng(seed)
    dims = ("chain", "draw", "channel")
    alpha = rng.beta(2.0, 4.0, (chains, n, 3))
    return xr.Dataset(
        {"intercept": (dims[:2], rng.normal(1.0, 0.1, (chains, n))),
         "adstock_alpha": (dims, alpha)},
        {"channel": CHANNELS},
    )  # fmt: skip


def decomposition(geos=("ALL",)):
    """decomposition.csv: shares add up to 1, controls take away."""
    parts = {"TV": 0.3, "Search": 0.1, "Mail": 0.05, "baseline": 0.6, "controls": -0.05}
    return pd.DataFrame(
        [
            {"geo": geo, "component": name, "share_mean": s, "share_lo": s - 0.04,
             "share_hi": s + 0.04, "total_mean": 1000 * s, "total_lo": 1000 * s - 40,
             "total_hi": 1000 * s + 40}
            for geo in geos for name, s in parts.items()
        ]
    )  # fmt: skip


def curves_table():
    """curves.csv of the same numbers as :func:`curves`."""
    found = curves()
    rows = []
    for name in CHANNELS:
        one = found.sel(geo="ALL", channel=name)
        media, largest = one["media"].to_numpy(), float(one["media_max"])
        mean, lo, hi = one["response"].to_numpy()
        rows.append(pd.DataFrame({
            "geo": "ALL", "channel": name, "spend": one["spend"].to_numpy(), "media": media,
            "mean": mean, "lo": lo, "hi": hi, "extrapolated": media > largest * (1 + 1e-9),
        }))  # fmt: skip
    return pd.concat(rows, ignore_index=True)


def sweep(geos=("ALL",)):
    """sweep.csv: contribution 100 m - 10 m^2 of TV, half of it for Search; Mail organic."""
    rows = []
    for geo in geos:
        for name, size, spend in (
            ("TV", 1.0, 200.0),
            ("Search", 0.5, 50.0),
            ("Mail", 0.2, np.nan),
        ):
            for m in (0.0, 0.5, 1.0, 1.5):
                values = {
                    "": size * (100 * m - 10 * m**2),
                    "uplift_": size * (100 * m - 10 * m**2 - 90),
                    "marginal_": size * (100 - 20 * m) / spend,
                }
                row = {"geo": geo, "channel": name, "multiplier": m, "spend": spend * m}
                for prefix, value in values.items():
                    row |= {f"{prefix}mean": value, f"{prefix}lo": value - 5 * size}
                    row |= {f"{prefix}hi": value + 5 * size}
                rows.append(row)
    return pd.DataFrame(rows)


def carryover():
    """carryover.csv of three lags: retention 0.5 for TV, nothing carried for Search."""
    rows = []
    for name, weights, half in (
        ("TV", (4 / 7, 2 / 7, 1 / 7), 0.875),
        ("Search", (1, 0, 0), 0.5),
    ):
        for lag, weight in enumerate(weights):
            rows.append({"channel": name, "geo": "ALL", "lag": lag, "mean": weight,
                         "lo": 0.8 * weight, "hi": min(1.1 * weight, 1.0),
                         "half_life_mean": half, "half_life_lo": 0.9 * half,
                         "half_life_hi": 1.2 * half})  # fmt: skip
    return pd.DataFrame(rows)


def returns(geos=("ALL",)):
    """returns.csv: all, two years, three quarters; no TV in 2021Q4; Mail organic."""
    windows = [("all", "all"), ("year", "2021"), ("year", "2022"), ("quarter", "2021Q4"),
               ("quarter", "2022Q1"), ("quarter", "2022Q2")]  # fmt: skip
    rows = []
    for i, (kind, window) in enumerate(windows):
        for geo in geos:
            for name, spend in (("TV", 20.0), ("Search", 10.0), ("Mail", np.nan)):
                spend = 0.0 if (name, window) == ("TV", "2021Q4") else spend
                roas = 2.0 + i if spend > 0 else np.nan
                row = {"kind": kind, "window": window, "geo": geo, "channel": name,
                       "spend": spend}  # fmt: skip
                for measure, value in (("roas", roas), ("mroas", 0.5 * roas)):
                    row |= {f"{measure}_mean": value, f"{measure}_lo": 0.5 * value,
                            f"{measure}_hi": 1.5 * value}  # fmt: skip
                value = np.nan_to_num(roas * spend, nan=7.0 if name == "Mail" else 0.0)
                rows.append(row | {"now_mean": 0.75 * value, "after_mean": 0.25 * value})
    return pd.DataFrame(rows)


def priors():
    """priors.csv: contraction of a scalar, of two channels, and none of the last."""
    return pd.DataFrame(
        {
            "parameter": ["intercept", "adstock_alpha", "adstock_alpha", "y_sigma"],
            "index": ["", "TV", "Search", ""],
            "prior_mean": [0.2, 0.25, 0.25, 1.0],
            "prior_sd": [0.1, 0.2, 0.2, np.nan],
            "posterior_mean": [0.3, 0.5, 0.3, 0.1],
            "posterior_sd": [0.05, 0.1, 0.3, 0.01],
            "contraction": [0.75, 0.75, -1.25, np.nan],
        }
    )


def rows_of(drawn):
    """The table of a chart: the one with most rows, as the chart's specification has it."""
    tables = drawn.to_dict()["datasets"].values()
    return pd.DataFrame(max(tables, key=len))


def layers_of(drawn):
    """Specifications of all marks of a chart, from the bottom up."""
    found = []

    def visit(part):
        if "mark" in part:
            found.append(part)
        for key in ("layer", "hconcat", "vconcat", "concat"):
            for child in part.get(key, ()):
                visit(child)
        if "spec" in part:
            visit(part["spec"])

    visit(drawn.to_dict())
    return found


def legend_of(drawn):
    """Name -> colour, of the first scale of colours that has a domain."""
    for part in layers_of(drawn):
        colour = part.get("encoding", {}).get("color", {})
        colour = colour.get("condition", colour) if "scale" not in colour else colour
        scale = colour.get("scale") or {}
        if "domain" in scale:
            return dict(zip(scale["domain"], scale["range"], strict=True))
    return {}


def params_of(drawn):
    """Names of what a page may set."""
    return {x["name"] for x in drawn.to_dict()["params"] if "select" not in x}


def words_of(drawn):
    """Title, subtitle and description."""
    spec = drawn.to_dict()
    title = spec["title"]
    return (
        " ".join(title["text"]), " ".join(title.get("subtitle", [])), spec["description"],
    )  # fmt: skip
