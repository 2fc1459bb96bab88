"""Evidence of made-up markets: every table by hand, nothing computed from draws."""

from dataclasses import replace

import numpy as np
import pandas as pd

import mmmjax as mm
from mmmjax.adequacy import Judged, Verdict
from mmmjax.panel import Panel
from mmmjax.reporting.evidence import Brought, Evidence, Interval, Media, Move, Planned
from tests.fits import make_fit, make_panel, make_spec

NASTY = '<img src=x onerror="alert(1)">&"'  # a channel name that is not to be markup
CHANNELS = (NASTY, "Search", "Mail")  # Mail is organic
WEEKS = 30
TEST = 6


def spread(name, value, width=0.4):
    """Columns of a mean with its interval."""
    return {f"{name}_mean": value, f"{name}_lo": value * (1 - width),
            f"{name}_hi": value * (1 + width)}  # fmt: skip


def panel(geos=("north", "süd")):
    table = make_panel(geos, periods=WEEKS).to_frame()
    return Panel.from_frame(
        table, date="week", outcome="sales", geo="geo" if len(geos) > 1 else None,
        currency="US$", media={NASTY: "TV", "Search": "Search", "Mail": "Mail"},
        spend={NASTY: "TV cost", "Search": "Search"},
    )  # fmt: skip


def _every(geos):
    return [*geos, "ALL"] if len(geos) > 1 else list(geos)


def weekly(data):
    rng, rows = np.random.default_rng(0), []
    for geo in _every(data.geos):
        for date in data.dates:
            parts = dict(zip(CHANNELS, rng.uniform(1, 9, 3), strict=True))
            parts |= {"baseline": 60.0, "seasonality": rng.normal()}
            parts["fitted_mean"] = sum(parts.values())
            rows += [(geo, date, name, v, v - 1, v + 1) for name, v in parts.items()]
    return pd.DataFrame(rows, columns=["geo", "date", "component", "mean", "lo", "hi"])


def predicted(data, dates, known=True):
    rng, parts = np.random.default_rng(1), []
    for geo in _every(data.geos):
        mean = rng.uniform(60, 90, len(dates))
        seen = mean + rng.normal(0, 8, len(dates)) if known else np.nan
        table = {"geo": geo, "date": dates, "observed": seen, "mean": mean}
        parts.append(pd.DataFrame(table | {"lo": mean - 15, "hi": mean + 15}))
    return pd.concat(parts, ignore_index=True)


def channels(data):
    rows = []
    for geo in [*data.geos, "ALL"]:
        for i, name in enumerate(CHANNELS):
            paid = name != "Mail"
            row = {"geo": geo, "channel": name, "spend": 1e6 * (i + 1) if paid else np.nan}
            row |= spread("contribution", 2.5e6 / (i + 1)) | spread("share", 0.1 / (i + 1))
            for kind, value in (("roas", 2.5 - i), ("mroas", 1.5 - i / 2)):
                row |= spread(kind, value if paid else np.nan)
            rows.append(row)
    return pd.DataFrame(rows)


def parameters():
    names = [("intercept", ""), *(("saturation_beta", c) for c in CHANNELS)]
    n = len(names)
    return pd.DataFrame(
        {
            "parameter": [p for p, _ in names], "index": [i for _, i in names],
            "mean": np.linspace(0.1, 0.5, n), "sd": 0.1, "hdi_3": 0.05, "hdi_97": 0.7,
            "ess_bulk": np.linspace(150, 2000, n), "ess_tail": 900.0,
            "r_hat": [1.03, 1.001, 1.002, 1.003], "mcse_mean": 0.001,
        }
    )  # fmt: skip


def priors():
    table = parameters()[["parameter", "index"]]
    contraction = [0.9, 0.5, -0.2, np.nan]
    return table.assign(prior_mean=1.0, prior_sd=0.5, posterior_mean=0.3, posterior_sd=0.1,
                        contraction=contraction)  # fmt: skip


def decomposition(data):
    shares = dict(zip((*CHANNELS, "baseline", "seasonality"), (0.2, 0.1, 0.05, 0.7, -0.05),
                      strict=True))  # fmt: skip
    rows = [
        {"geo": geo, "component": name, **spread("share", s), **spread("total", 1e7 * s)}
        for geo in _every(data.geos)
        for name, s in shares.items()
    ]
    return pd.DataFrame(rows)


def curves(data):
    rows = []
    for geo in _every(data.geos):
        for i, name in enumerate(CHANNELS):
            for level in np.linspace(0, 1.2, 13):
                money = np.nan if name == "Mail" else 120.0 * level * (i + 1)
                mean = 10 * np.sqrt(level)
                rows.append((geo, name, money, 50 * level, mean, mean / 2, mean * 1.5,
                             level > 1 + 1e-9))  # fmt: skip
    names = ["geo", "channel", "spend", "media", "mean", "lo", "hi", "extrapolated"]
    return pd.DataFrame(rows, columns=names)


def carryover(geos=("ALL",)):
    rows = []
    for g, geo in enumerate(geos):
        for i, name in enumerate(CHANNELS):
            weight = (0.3 + 0.1 * i) ** np.arange(4)
            for lag, w in enumerate(weight / weight.sum()):
                row = {"channel": name, "geo": geo, "lag": lag, "mean": w, "lo": w / 2}
                rows.append(row | {"hi": w * 1.5} | spread("half_life", 0.8 + i + g))
    return pd.DataFrame(rows)


def sweep(data):
    rows = []
    for geo in _every(data.geos):
        for i, name in enumerate(CHANNELS):
            for m in (0.0, 0.5, 1.0, 1.5):
                total = 100.0 * (i + 1) * np.sqrt(m)
                row = {"geo": geo, "channel": name, "multiplier": m, "spend": 1e6 * m,
                       "mean": total, "lo": total / 2, "hi": total * 2}  # fmt: skip
                row |= spread("uplift", total - 100.0 * (i + 1))
                rows.append(row | spread("marginal", np.nan if name == "Mail" else 2 - m))
    return pd.DataFrame(rows)


def returns(data):
    windows = [("all", "all"), ("year", "2022"), ("quarter", "2022Q1"),
               ("quarter", "2022Q2"), ("quarter", "2022Q3")]  # fmt: skip
    rows = []
    for n, (kind, window) in enumerate(windows):
        for geo in [*data.geos, "ALL"]:
            for i, name in enumerate(CHANNELS):
                paid = name != "Mail"
                row = {"kind": kind, "window": window, "geo": geo, "channel": name,
                       "spend": 1e5 if paid else np.nan}  # fmt: skip
                row |= spread("roas", 2.5 - i + n / 10 if paid else np.nan)
                row |= spread("mroas", 1.5 - i / 2 if paid else np.nan)
                rows.append(row | {"now_mean": 80.0 + i, "after_mean": 20.0})
    return pd.DataFrame(rows)


def backtest():
    rows = []
    for fold in (1, 2):
        for model, score in (("mmm", 8.0), ("no_media", 10.0), ("seasonal_naive", 16.0)):
            for split in ("train", "test"):
                rows.append({
                    "fold": fold, "model": model, "split": split,
                    "train_end": pd.Timestamp(2022, 3 * fold, 1),
                    "test_start": pd.Timestamp(2022, 3 * fold, 8),
                    "test_end": pd.Timestamp(2022, 3 * fold + 3, 1),
                    "crps": score + fold, "r2": 0.5, "mape": 0.07, "coverage": 0.9,
                    "status": "usable",
                })  # fmt: skip
    return pd.DataFrame(rows)


def backtest_parameters():
    rows = [(fold, "roas", name, 2.0 + fold, 1.0, 4.0, "data")
            for fold in (1, 2) for name in CHANNELS[:2]]  # fmt: skip
    rows += [(fold, "intercept", "", 0.4, 0.3, 0.5, "data") for fold in (1, 2)]
    return pd.DataFrame(rows, columns=["fold", "parameter", "index", "mean", "lo", "hi",
                                       "source"])  # fmt: skip


def backtest_forecast(data):
    parts = [predicted(data, data.dates[10 * fold : 10 * fold + 8]).assign(fold=fold)
             for fold in (1, 2)]  # fmt: skip
    return pd.concat(parts, ignore_index=True)


def drift():
    """Two paid channels that moved, beside the organic one and all, which did not."""
    table = pd.DataFrame(
        {
            "channel": [*CHANNELS, "ALL"],
            "quantity": ["roas", "roas", "incremental", "roas"],
            "old": [2.0, 1.5, 5e5, 1.8],
            "new": [2.5, 1.2, 5.1e5, 1.81],
            "error": [0.02, 0.01, 1e4, 0.02],
            "old_sd": [0.4, 0.1, 1e5, 0.2],
        }
    )
    table["moved"] = table["new"] - table["old"]
    table["in_sds"] = table["moved"] / table["old_sd"]
    return table.assign(beyond_error=table["moved"].abs() > 3 * table["error"])


def conflation():
    """One channel that is told apart and one that is not."""
    table = pd.DataFrame(
        {
            "channel": CHANNELS[:2],
            "verdict": ["drift", "cannot tell"],
            "difference": [-25.9, 1.0],
            "difference_se": [5.2, 2.0],
            "overlap": [0.44, 0.9],
        }
    )
    ranges = {"strong_lo": 30e3, "strong_hi": 90e3, "weak_lo": np.nan, "weak_hi": np.nan}
    return table.assign(**ranges, shared=0.6, sampled=True, bad_k=0)


def judged(*against):
    """Draws that can be used, and a model against which these findings speak."""
    ok = not any(finding.level == "serious" for finding in against)
    first = f"Not adequate: {against[0].what}." if against else ""
    return Judged(Verdict(True, (), "Sampled well."),
                  Verdict(ok, against, "Adequate: nothing." if ok else first))  # fmt: skip


def plan(data):
    names = [(geo, name) for geo in data.geos for name in CHANNELS[:2]]
    table = pd.DataFrame(names, columns=["geo", "channel"]).assign(
        reference=100.0, optimized=[60.0, 140.0] * len(data.geos), lower=50.0,
        upper=[150.0, np.inf] * len(data.geos),
    )  # fmt: skip
    facts = {
        "objective": 105.0, "reference_objective": 100.0, "reference_feasible": True,
        "relative_gap": 1e-9, "gap_reason": "", "certified": True, "status": "converged",
        "utility": "mean", "budget": 400.0, "currency": "US$", "periods": 13,
        "per_period": False, "carry_in": "zero",
    }  # fmt: skip
    return Planned(table, facts, 0.93, Interval(5.0, -1.0, 11.0))


def evidence(geos=("north", "süd"), **changed):
    """Everything that a report can show; ``more=None`` leaves the optional tables out."""
    data = panel(geos)
    ahead = data.dates[-1] + pd.to_timedelta(7 * np.arange(1, TEST + 1), unit="D")
    fit = make_fit(chains=2, draws=20, panel=data, spec=replace(make_spec(), priors={}))
    some = Interval(2.0, 1.0, 3.0)
    tables = {
        "channels": channels(data), "weekly": weekly(data), "parameters": parameters(),
        "fitted": predicted(data, data.dates), "forecast": predicted(data, ahead),
    }  # fmt: skip
    more = {
        "decomposition": decomposition(data), "curves": curves(data),
        "carryover": carryover(), "sweep": sweep(data), "returns": returns(data),
        "priors": priors(), "backtest": backtest(),
        "backtest_forecast": backtest_forecast(data),
        "backtest_parameters": backtest_parameters(),
    }  # fmt: skip
    scores = {
        "crps_train": 7.5, "mape": 0.1, "r2": 0.6, "coverage": 0.93,
        "crps_test": 8.5, "mape_test": 0.12, "r2_test": 0.5, "coverage_test": 0.9,
    }  # fmt: skip
    media = Media(Interval(3.5e6, 1e6, 6e6), Interval(0.175, 0.05, 0.3), 3e6, some, 1.1,
                  [(NASTY, 0.7), ("Search", 0.3)], Move("Search", NASTY, 0.93),
                  Brought(Interval(3e6, 9e5, 5e6), Interval(0.15, 0.04, 0.27)),
                  Brought(Interval(5e5, 1e5, 1e6), Interval(0.025, 0.01, 0.03)),
                  )  # fmt: skip
    known = {"fit": fit, "scores": scores, "diagnostics": mm.diagnostics(fit),
             "judged": judged(),
             "media": media, "plan": plan(data), "truth": {NASTY: 2.4}}  # fmt: skip
    if changed.get("more", True) is None:
        changed["more"] = {}
    return Evidence(**({**known, **tables, "more": {**more, **tables}} | changed))
