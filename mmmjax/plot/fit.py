"""Pictures of how the model describes the data, and of whether its draws can be used."""

import json
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from mmmjax import metrics
from mmmjax.checks import fail
from mmmjax.draws import MAX_R_HAT, MIN_ESS_PER_CHAIN
from mmmjax.plot import picture as p
from mmmjax.plot.arrays import one_geo
from mmmjax.plot.colours import APART, GOOD, INK, MODEL, MUTED
from mmmjax.words import ALL, amount, capital, in_percent

__all__ = ["convergence", "fitted", "forecast", "prior_predictive"]

INNER = 0.5  # the band inside the band
OBSERVED, MEAN = "observed", "predicted mean"
WIDE, NARROW = "#d3dae1", "#a5b3c1"  # bands in the colour of the model
WITHIN, OUTSIDE = "within the limits", "outside the limits"
STATES = {WITHIN: MODEL, OUTSIDE: APART}
SERIES: dict[str, Any] = {"hides": "series", "date": "date"}
GREY = ("#e3e6ea", "#c6ccd3")  # bands of the prior

Predicted = pd.DataFrame | xr.Dataset
"""A table with the columns of forecast.csv, or a result of ``mm.predict``."""


def bands(
    found: Predicted, geo: str | None = None, prob: float = 0.94
) -> tuple[pd.DataFrame, list[str]]:
    """A prediction by geo and date, and the geos to choose from.

    Args:
        found: Table or draws; of draws, ``prob`` counts, and the 50% interval is known.
        geo: The geo; None: all of a table.
        prob: Probability inside [lo, hi].

    Returns:
        Columns geo, date, observed, mean, lo, hi, and inner_lo, inner_hi of draws; outcome
        units.
    """
    if isinstance(found, pd.DataFrame):
        rows, geos = p.per_geo(found, geo)
        table = rows[["geo", "date", "observed", "mean", "lo", "hi"]]
        table = table.assign(date=pd.to_datetime(table["date"]))
        return table.sort_values(["geo", "date"], ignore_index=True), geos
    one = one_geo(found, geo)
    table = pd.DataFrame(
        {"geo": str(one["geo"].to_numpy()), "date": one["date"].to_numpy()}
    )
    if "summary" in one.dims:
        mean, lo, hi = one["outcome"].sel(summary=["mean", "lo", "hi"]).to_numpy()
        more = {}
    else:
        draws = one["outcome"].transpose("chain", "draw", "date").to_numpy()
        draws = draws.reshape(-1, len(table))
        mean, (lo, hi) = draws.mean(axis=0), metrics.hdi(draws, prob)
        more = dict(zip(("inner_lo", "inner_hi"), metrics.hdi(draws, INNER), strict=True))
    known = {"observed": one["observed"].to_numpy(), "mean": mean, "lo": lo, "hi": hi}
    return table.assign(**known, **more), []


def series(drawn: Any, name: str, paint: Mapping[str, str]) -> Any:
    """A layer that is one series of a legend, and is hidden by its name."""
    named = drawn.transform_calculate(series=json.dumps(name))
    shown = named.transform_filter("indexof(hidden, datum['series']) < 0")
    return shown.encode(color=p.by("series", paint))


def draw_band(
    table: pd.DataFrame, prob: float, mean: str = MEAN, of: str = "predictions",
    shades: tuple[str, str] = (WIDE, NARROW), line: str = MODEL, apart: bool = False,
) -> tuple[list[Any], dict[str, str]]:  # fmt: skip
    """Layers of the bands, the mean and what was observed, and their colours.

    Args:
        table: As :func:`bands` has it; further columns group lines: ``fold``.
        prob: Probability inside the wide band.
        mean: Name of the mean.
        of: What lies in the bands.
        shades: Colours of the wide and of the narrow band.
        line: Colour of the mean.
        apart: Ring what was observed outside the wide band.
    """
    base, wide = p.chart(table), f"{prob:.0%} of {of}"
    bands = {wide: ("lo", "hi", shades[0])}
    if "inner_lo" in table:
        bands[f"{INNER:.0%} of {of}"] = ("inner_lo", "inner_hi", shades[1])
    paint = {OBSERVED: INK, mean: line} | {name: x for name, (_, _, x) in bands.items()}
    if apart:
        paint[f"outside the {prob:.0%} band"] = APART
    group: dict[str, Any] = {"detail": "fold:N"} if "fold" in table else {}
    x, y = p.dates(), p.grounded("mean", zero=False)
    dots = base.encode(x=x, y="observed:Q")
    areas = {
        name: base.mark_area().encode(x=x, y=f"{lo}:Q", y2=f"{hi}:Q", **group)
        for name, (lo, hi, _) in bands.items()
    }
    drawn = areas | {mean: base.mark_line().encode(x=x, y=y, **group)}
    drawn[OBSERVED] = dots.mark_point(size=22)
    if apart:
        beyond = "datum.observed < datum.lo || datum.observed > datum.hi"
        out = dots.transform_filter(f"isValid(datum.observed) && ({beyond})")
        drawn[[*paint][-1]] = out.mark_point(size=110, filled=False, strokeWidth=1.4)
    layers = [series(marks, name, paint) for name, marks in drawn.items()]
    told = {"observed": OBSERVED, "mean": mean, "lo": f"{prob:.0%} from", "hi": "to"}
    layers.append(p.pointer(base, "date", p.tips(told, ",.4~s")))
    return layers, paint


def share_inside(table: pd.DataFrame) -> float:
    """Share of the observations that lie in [lo, hi]; NaN of none."""
    known = table.loc[table["observed"].notna()]
    inside = known["observed"].between(known["lo"], known["hi"])
    return float(inside.mean()) if len(known) else float("nan")


def fitted(
    training: Predicted,
    test: Predicted | None = None,
    *,
    geo: str | None = None,
    outcome: str = "outcome",
    period: str = "period",
    prob: float = 0.94,
    width: int = p.WIDE,
) -> p.Layer:
    """Predicted outcome and its band against what was observed.

    Args:
        training: ``mm.predict(fit)``, whose draws give a 50% band too, or a table with the
            columns of fitted.csv; of several geos with ``total=True``.
        test: The same for the test window, ``mm.predict(fit, test)`` or forecast.csv; its
            background is tinted.
        prob: Probability inside the wide band.
    """
    table, geos = bands(training, geo, prob)
    table = table.assign(after=False)
    word, told = "", p.at_first(table, geos)
    if test is not None:
        later, _ = bands(test, geo, prob)
        word = "test, not fitted" if np.isfinite(later["observed"]).sum() else "forecast"
        table = pd.concat([table, later.assign(after=True)], ignore_index=True)
    layers, _ = draw_band(table, prob)
    back = p.tinted(table, "after", "date", word) if word else []
    about = (
        f"Observed {outcome} and predictions with their {prob:.0%} interval; "
        f"{in_percent(share_inside(told))} of the observations of training lie inside it"
    ) + (f"; then {word}" if word else "")
    unit = f"{outcome} a {period}; {prob:.0%} of the points should lie in the band"
    drawn = p.layer(*back, *layers)
    title = "Observed and predicted"
    return p.titled(drawn, title, unit, about, width, 300, geos=geos, **SERIES)


def prior_predictive(
    found: Predicted,
    *,
    geo: str | None = None,
    outcome: str = "outcome",
    period: str = "period",
    prob: float = 0.94,
    width: int = p.WIDE,
) -> p.Layer:
    """What the priors alone expect of the outcome, against what was observed.

    Args:
        prob: Probability inside the wide band.
    """
    table, geos = bands(found, geo, prob)
    layers, _ = draw_band(table, prob, "expected mean", "what is expected", GREY, MUTED)
    share, about = share_inside(p.at_first(table, geos)), ""
    if np.isfinite(share):
        about = (
            f"{in_percent(share)} of the observations lie inside the {prob:.0%} band: "
            "priors should allow the data without knowing them"
        )
    title = f"{capital(outcome)} that the priors alone expect, and the data"
    unit = f"{outcome} a {period}" + (f". {about}" if about else "")
    drawn = p.layer(*layers)
    return p.titled(drawn, title, unit, about, width, 300, geos=geos, **SERIES)


def forecast(
    test: Predicted,
    training: Predicted | None = None,
    *,
    geo: str | None = None,
    outcome: str = "outcome",
    period: str = "period",
    prob: float = 0.94,
    before: int = 13,
    width: int = p.WIDE,
) -> p.Layer:
    """The test window close up: what was forecast, what came, and how well it went.

    Args:
        test: ``mm.predict(fit, test)``, whose draws give a 50% band too, or a table with
            the columns of forecast.csv.
        training: The same for training; its last periods are drawn before the test.
        prob: Probability inside the wide band.
        before: Periods of training to draw.
    """
    part, geos = bands(test, geo, prob)
    if not len(part):
        fail("test", 0, "", "at least one period", "forecast_table(fit, test)")
    table = part.assign(after=True)
    if training is not None and before > 0:
        last = bands(training, geo, prob)[0].groupby("geo", sort=False).tail(before)
        table = pd.concat([last.assign(after=False), table], ignore_index=True)
    layers, _ = draw_band(table, prob, apart=share_inside(part) < 1)
    later = len(table) > len(part)
    back = p.tinted(table, "after", "date", "test, not fitted") if later else []
    known = p.at_first(part, geos).dropna(subset="observed")
    about = ""
    if len(known):
        came, said = float(known["observed"].sum()), float(known["mean"].sum())
        error = f" ({said / came - 1:+.1%})" if came else ""
        mape = metrics.mape(known["observed"].to_numpy(), known["mean"].to_numpy())
        of = f" of {'all geos' if geos[0] == ALL else geos[0]}" if geos else ""
        about = (
            f"Total{of}: {amount(said)} forecast, "
            f"{amount(came)} observed{error}. {in_percent(share_inside(known))} of the "
            f"observations lie inside the {prob:.0%} band, mean error {mape:.1%}"
        )
    title = f"{capital(outcome)} in the test window: forecast and what came"
    unit = f"{outcome} a {period}" + (f". {about}" if about else "")
    drawn = p.layer(*back, *layers)
    return p.titled(drawn, title, unit, about, width, 300, geos=geos, **SERIES)


def converged(parameters: pd.DataFrame, least: float) -> Any:
    """R-hat and the smaller effective sample size of the parameters that have both.

    Returns:
        Columns name, ess, r_hat, state (in words), and worst: whether no other has fewer
        effective draws, or a higher R-hat.
    """
    ess = parameters[["ess_bulk", "ess_tail"]].min(axis=1)
    index = parameters["index"].fillna("").astype(str)
    name = parameters["parameter"].astype(str) + np.where(
        index == "", "", "[" + index + "]"
    )
    found: Any = pd.DataFrame({"name": name, "ess": ess, "r_hat": parameters["r_hat"]})
    found = found.dropna()
    bad = (found["ess"] < least) | (found["r_hat"] > MAX_R_HAT)
    worst = (found["ess"] == found["ess"].min()) | (found["r_hat"] == found["r_hat"].max())
    return found.assign(state=np.where(bad, OUTSIDE, WITHIN), worst=worst)


def convergence(
    parameters: pd.DataFrame, *, chains: int = 4, width: int = p.WIDE
) -> p.Layer:
    """Effective sample size and R-hat of every parameter, with the limits of both.

    Rows without R-hat or effective sample size are left out.

    Args:
        chains: Number of chains; the limit of ESS is 100 for each.
    """
    least = MIN_ESS_PER_CHAIN * chains
    table = converged(parameters, least)
    ends = lambda name, none: (
        (table[name].min(), table[name].max()) if len(table) else (none, none)
    )
    (few, many), (near, far) = ends("ess", least), ends("r_hat", 1.0)
    left, right = max(1.0, min(0.7 * least, 0.8 * few)), max(2.0 * least, 1.35 * many)
    low, top = min(0.9993, near - 5e-4), max(1.014, 1 + 1.12 * (far - 1))
    title, log = "effective draws (the fewer of bulk and tail)", {"type": "log"}
    x = p.across("ess", title, "~s", 6, grid=True, domain=[left, right], **log)
    y = p.grounded("r_hat", "R-hat", ".3f", 6, domain=[low, top], nice=False)
    told = p.told(name="parameter")
    told += p.tips({"r_hat": "R-hat"}, ".4f") + p.tips({"ess": "effective draws"}, ",.0f")
    corner = {"ess": [least], "end": [right], "r_hat": [MAX_R_HAT], "low": [low]}
    base, limit = p.chart(table), p.chart(pd.DataFrame(corner))
    dots = base.mark_point(opacity=0.75, stroke="white", strokeWidth=0.5)
    worst = base.transform_filter("datum.worst").encode(x=x, y=y, text="name:N")
    beyond = f"datum.ess > {np.sqrt(left * right)}"  # the right half of the axis
    look: dict[str, Any] = {"baseline": "bottom", "dy": -6, "color": MUTED, "limit": 300}
    drawn = p.layer(
        limit.mark_rect(color=GOOD).encode(x=x, x2="end", y=y, y2="low"),
        limit.mark_rule(strokeDash=[4, 3]).encode(x="ess:Q"),
        limit.mark_rule(strokeDash=[4, 3]).encode(y="r_hat:Q"),
        dots.encode(x=x, y=y, color=p.by("state", STATES), tooltip=told),
        worst.transform_filter(beyond).mark_text(align="right", **look),
        worst.transform_filter(f"!({beyond})").mark_text(align="left", **look),
    )
    n_bad = int((table["state"] == OUTSIDE).sum())
    about = (
        f"{len(table)} parameters: R-hat at most {far:.3f}, at least {few:,.0f} effective "
        f"draws; {n_bad} outside the limits of {MAX_R_HAT} and {least:,}"
    )
    if not len(table):
        about = "No parameter has R-hat and effective sample size"
    unit = (
        f"{len(table)} parameters; green: R-hat at most {MAX_R_HAT}, effective draws at "
        f"least {least:,}"
    )
    title = "Did the chains agree?"
    return p.titled(drawn, title, unit, about, width, 300, hides="state")
