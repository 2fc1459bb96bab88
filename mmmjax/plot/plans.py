"""Pictures that compare plans: what they bring, at what risk, and at which budget."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import altair as alt
import numpy as np
import pandas as pd
import xarray as xr

from mmmjax import metrics
from mmmjax.checks import Phrase, fail
from mmmjax.plot import picture as p
from mmmjax.plot.arrays import density_of
from mmmjax.plot.colours import INK, MODEL
from mmmjax.words import AFTER, amount, capital, large, shorten, span, with_unit

__all__ = ["frontier", "mean_and_risk", "plan_responses"]

Draws = xr.DataArray | Mapping[str, Any]
"""Draws of the response by plan: ``Plan.response``, (plan, draw), or {name: draws}."""

REFERENCE, OPTIMIZED = "reference", "optimized"
RISK = 0.05  # the risk of a plan is its mean less this quantile
GREY = "#8a94a3"  # of the reference
SHADES = (MODEL, "#D55E00", "#009E73", "#882255", "#56B4E9", "#E69F00", "#332288")
POINTS = 160  # of a density


class Brings(NamedTuple):
    """What one plan brings, outcome units."""

    name: str  # in words
    colour: str
    draws: np.ndarray

    @property
    def mean(self) -> float:
        """Posterior mean."""
        return float(self.draws.mean())

    @property
    def risk(self) -> float:
        """How far the mean is above what is exceeded in 95% of the draws."""
        return self.mean - float(np.quantile(self.draws, RISK))


def brings_of(response: Draws) -> list[Brings]:
    """Every plan's draws; the reference is grey."""
    if isinstance(response, xr.DataArray):
        names = [str(name) for name in response["plan"].to_numpy()]
        each = response.transpose("plan", ...).to_numpy().reshape(len(names), -1)
        response = dict(zip(names, each, strict=True))
    found: list[Brings] = []
    shades = iter(SHADES * (1 + len(response) // len(SHADES)))
    for name, values in response.items():
        draws = np.ravel(np.asarray(values, float))
        draws = draws[np.isfinite(draws)]
        if draws.size < 2:
            got = Phrase(f'{draws.size} finite draws of "{name}"')
            fail("response", got, "", "two or more", "Plan.response")
        said = "plan" if name == OPTIMIZED else shorten(str(name))
        found.append(Brings(said, GREY if name == REFERENCE else next(shades), draws))
    if not found:
        fail("response", Phrase("no plan"), "", "Plan.response, or {name: draws}", "")
    return found


def plan_responses(
    response: Draws, *, outcome: str = "outcome", width: int = p.WIDE
) -> p.Layer:
    """Distribution of what plans bring over the window, with means; best of a few.

    Two are compared draw by draw; of more, the best on average is named.
    """
    found = brings_of(response)
    keys = [f"{one.name}: mean {large(one.mean)}" for one in found]
    paint = {key: one.colour for key, one in zip(keys, found, strict=True)}
    parts = []
    for key, one in zip(keys, found, strict=True):
        at, height = density_of(one.draws, POINTS)
        top = float(np.interp(one.mean, at, height))
        own = {"plan": key, "at": [*at, one.mean], "height": [*height, top]}
        parts.append(pd.DataFrame(own | {"mean": [*[False] * len(at), True]}))
    long = pd.concat(parts, ignore_index=True)
    keyed = alt.Legend(symbolOpacity=1, symbolType="circle", columns=2)
    base = p.chart(long).encode(color=p.by("plan", paint, legend=keyed), tooltip="plan:N")
    x = p.across("at", zero=False)
    y = alt.Y("height:Q", axis=None, stack=None, scale=alt.Scale(zero=True, nice=False))
    curve = base.transform_filter("!datum.mean")
    mean = base.transform_filter("datum.mean").transform_calculate(zero="0")
    pale = 0.22 if len(found) <= 3 else 0.06
    drawn = p.layer(
        curve.mark_area(opacity=pale).encode(x=x, y=y),
        curve.mark_line().encode(x=x, y=y),
        mean.mark_rule(strokeDash=[4, 3], strokeWidth=1.5).encode(x=x, y=y, y2="zero:Q"),
        mean.mark_point(size=50, opacity=1).encode(x=x, y=alt.Y("zero:Q", axis=None)),
    )
    unit = f"{outcome} over the window, posterior distribution; dotted: means"
    said = _difference(found, outcome)
    about = f"{capital('; '.join(keys))} {outcome}"
    title = _finding(found, outcome)
    return p.titled(drawn, title, said or unit, about, width, 220, hides="plan")


def _finding(found: list[Brings], outcome: str) -> str:
    if len(found) == 1:
        return f"{capital(found[0].name)} brings {large(found[0].mean)} {outcome}"
    if len(found) > 2:
        best = max(found, key=lambda one: one.mean)
        return f"{capital(best.name)} brings the most {outcome} on average"
    before, after = found
    gain = after.mean - before.mean
    more = f"{outcome} {'more' if gain >= 0 else 'less'} than the {before.name}"
    return f"The {after.name} brings {large(abs(gain))} {more}"


def _difference(found: list[Brings], outcome: str) -> str:
    """How sure the difference of two plans is, draw by draw; empty for others."""
    if len(found) != 2 or found[0].draws.size != found[1].draws.size:
        return ""
    gain = found[1].draws - found[0].draws
    ends = (float(x) for x in metrics.hdi(gain, 0.94))
    better = float((gain > 0).mean())
    sure = (
        "over 99%" if better > 0.995 else "under 1%" if better < 0.005 else f"{better:.0%}"
    )
    return (
        f"{outcome} over the window. 94% interval of the difference: "
        f"{span(float(gain.mean()), *ends)}; more with probability {sure}"
    )


def mean_and_risk(
    response: Draws, *, outcome: str = "outcome", width: int = p.WIDE
) -> p.Layer:
    """Plans by what they bring on average and how far a bad case falls short of it.

    A bad case is the response that is exceeded with probability 95%.
    """
    found = brings_of(response)
    most, safe = (max(found, key=key) for key in (lambda x: x.mean, lambda x: -x.risk))
    title = f'"{most.name}" brings the most, at the least risk too'
    if most is not safe:
        cost, less = 1 - safe.mean / most.mean, 1 - safe.risk / most.risk
        title = f'"{safe.name}" brings {cost:.1%} less than "{most.name}" '
        title += f"on average, at {less:.0%} less risk"
    rows = [(one.name, one.risk, one.mean) for one in found]
    table: Any = pd.DataFrame(rows, columns=["plan", "risk", "mean"])
    ends = {}
    for name in ("risk", "mean"):
        low, high = float(table[name].min()), float(table[name].max())
        room = 0.2 * (high - low or 0.5 * abs(high) or 5.0)
        ends[name] = (low - room, high + room)
    least = 0.075 * (ends["mean"][1] - ends["mean"][0])
    heights, last = table["mean"].to_numpy(float).copy(), -np.inf
    for i in np.argsort(heights, kind="stable"):  # labels do not lie on each other
        heights[i] = last = max(heights[i], last + least)
    table = table.assign(label=heights, left=table["risk"] <= float(np.mean(ends["risk"])))
    base = p.chart(table)
    own = lambda name: {"ticks": 5, "domain": list(ends[name]), "nice": False}
    title_x = f"risk: mean less the 5% quantile ({outcome})"
    x = p.across("risk", title_x, grid=True, **own("risk"))
    y, z = (p.grounded(n, f"mean {outcome}", **own("mean")) for n in ("mean", "label"))
    told = ["plan:N", *p.tips({"mean": "mean", "risk": "risk"})]
    paint = p.by("plan", {one.name: one.colour for one in found}, legend=False)
    drawn = p.layer(
        base.mark_point(size=130, stroke="white", opacity=1).encode(
            x=x, y=y, color=paint, tooltip=told
        ),
        base.transform_filter("datum.left")
        .mark_text(align="left", dx=10)
        .encode(x=x, y=z, text="plan:N"),
        base.transform_filter("!datum.left")
        .mark_text(align="right", dx=-10)
        .encode(x=x, y=z, text="plan:N"),
    )
    said = "; ".join(f"{x.name} {large(x.mean)}, risk {large(x.risk)}" for x in found)
    unit = (
        "Better is higher and further left. Risk: how far a bad case (1 in 20) falls short"
    )
    about = f"Mean {outcome}: {said}"
    return p.titled(drawn, title, unit, about, width, 260, hides="plan")


COLUMNS = ("budget", "response_mean", "response_lo", "response_hi")


def frontier(
    found: xr.Dataset | pd.DataFrame,
    *,
    marks: Mapping[str, tuple[float, float]] | None = None,
    outcome: str = "outcome",
    currency: str = "",
    per: str = "over the window",
    width: int = p.WIDE,
) -> p.Layer:
    """What the best plan of every budget brings, with its interval.

    Args:
        marks: Plans to mark, name -> (money, mean response); "reference" is hollow.
    """
    lacking = [name for name in COLUMNS if name not in found]
    if lacking:
        got = Phrase(f"no {', '.join(lacking)}")
        fail("found", got, "", "mm.frontier(fit, budgets), or frontier.csv", "")
    asked = [*COLUMNS, *(["shadow_price"] if "shadow_price" in found else [])]
    table: Any = pd.DataFrame({n: np.asarray(found[n], float).ravel() for n in asked})
    table.columns = ["budget", "mean", "lo", "hi", "price"][: len(asked)]
    table = table.sort_values("budget", kind="stable").assign(kind="best plan")
    named = {
        ("plan" if n == OPTIMIZED else shorten(n)): at for n, at in (marks or {}).items()
    }
    rows = [{"kind": name, "budget": x, "mean": y} for name, (x, y) in named.items()]
    long = pd.concat([table, pd.DataFrame(rows)], ignore_index=True) if rows else table
    money = currency or "unit of money"
    titles = (f"{with_unit('budget', currency)} {per}", f"mean {outcome}")
    drawn = _best(long, list(named), titles, f"{AFTER} the next {money} brings")
    first, last = (table.iloc[i] if len(table) else None for i in (0, -1))
    title = capital(f"{outcome} of the best plan at every budget")
    about = ""
    if first is not None and last is not None:
        if first["mean"] > 0 and 0 < first["budget"] < last["budget"]:
            times = last[["budget", "mean"]] / first[["budget", "mean"]]
            title = (
                f"{times['budget']:.3g} times the budget brings {times['mean']:.3g} times "
            )
            title += f"the {outcome} of media"
        about = f"The best plan from a budget of {large(first['budget'])} to "
        about += f"{large(last['budget'])}: {large(first['mean'])} to {large(last['mean'])}"
    known: Any = table["price"].dropna() if "price" in table else []
    unit = f"{outcome} from paid media, best plan of every budget. "
    if len(known):
        low, high = (amount(float(known.iloc[i])) for i in (0, -1))
        unit += (
            f"{capital(AFTER)} the next {money} brings {low} {outcome} at the lowest "
            f"budget and {high} at "
        )
        unit += "the highest"
    return p.titled(drawn, title, unit.rstrip(". "), about, width, 270, hides="kind")


def _best(long: Any, named: list[str], titles: tuple[str, str], price: str) -> p.Layer:
    """Line and band of the best plans, and diamonds of those that are named."""
    band, (money, mean) = "94% interval", titles
    paint = {"best plan": MODEL, band: "#b9c8d6"} | dict.fromkeys(named, INK)
    base = p.chart(long)
    best = base.transform_filter("datum.kind === 'best plan'")
    other = base.transform_filter("datum.kind !== 'best plan'")
    low, high = (long[end].to_numpy(float) for end in ("lo", "hi"))
    zero = bool(np.nanmin(low, initial=np.inf) < 0.5 * np.nanmax(high, initial=0.0))
    y, lower = (p.grounded(n, zero=zero) for n in ("mean", "lo"))
    x = p.across("budget", money, zero=False, padding=14)
    shown = p.by("kind", paint)
    told = p.tips({"budget": money, "mean": mean})
    ends = p.tips({"lo": "94%: from", "hi": "to"})
    ends += p.tips({"price": price} if "price" in long else {})
    hollow = f"datum.kind === '{REFERENCE}'"
    white = alt.condition(hollow, alt.value("white"), alt.value(INK))
    kind = alt.Tooltip("kind:N", title="plan")
    return p.layer(
        best.transform_filter(f"indexof(hidden, '{band}') < 0")
        .mark_area(opacity=0.18)
        .encode(x=x, y=lower, y2="hi:Q"),
        best.mark_line(strokeWidth=2).encode(x=x, y=y, color=shown),
        best.mark_point(size=45, opacity=1).encode(
            x=x, y=y, color=shown, tooltip=[*told, *ends]
        ),
        other.mark_point(shape="diamond", size=120, strokeWidth=1.5, opacity=1).encode(
            x=x, y=y, fill=white, stroke=alt.value(INK), tooltip=[kind, *told]
        ),
    )
