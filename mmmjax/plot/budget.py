"""Pictures of one plan: what to spend, what the next money returns, and when."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

import altair as alt
import numpy as np
import pandas as pd
import xarray as xr

from mmmjax.budget.wording import direction
from mmmjax.checks import Phrase, fail, listing
from mmmjax.plot import picture as p
from mmmjax.plot.colours import INK, MODEL, MUTED, REST
from mmmjax.plot.responses import Curves, levels
from mmmjax.words import ALL, amount, amounts, capital, for_geo, with_unit

__all__ = ["allocation", "flighting", "marginal_returns"]

AT_BOUND = 1e-6  # share of its range within which a channel counts as at its bound
BEYOND = 1.6  # of the largest spend: ranges that go on are cut there
TOP = 1.35  # of the marginal returns that matter, where the axis ends
FAR = 12.0  # ratio of marginal returns from which their axis is logarithmic
LEVELS = 120  # points of a curve of marginal returns
HELD = "held at its end"
KINDS = {"reference": REST, "optimised": MODEL, "allowed range": INK, HELD: INK}
SHAPES = ["square", "square", "stroke", "diamond"]  # of them


def allocation(
    plan: pd.DataFrame,
    *,
    currency: str = "",
    per: str = "over the window",
    colours: Mapping[str, str] | None = None,
    width: int = p.WIDE,
) -> p.Layer:
    """Reference and optimised spend of every channel, with the range it was allowed.

    Of several geos their sum is drawn, and each can be chosen.
    """
    sums, geos = _allocated(plan)
    whole: Any = sums.loc[sums["geo"] == sums["geo"].iloc[0]] if len(sums) else sums
    names, held = whole["channel"].tolist(), bool((sums["held"] != "").any())
    long = _parts(sums)
    kinds = {k: v for k, v in KINDS.items() if held or k != HELD}
    said = {
        "before": "reference",
        "after": "optimised",
        "change": "change",
        "held": "held at",
    }
    texts = {k: v for k, v in said.items() if k != "before" and (held or k != "held")}
    base = p.chart(long).encode(
        y=p.named_rows("channel", names, scale=alt.Scale(paddingInner=0.3)),
        yOffset=alt.YOffset("bar:N", sort=["reference", "optimised"]),
        tooltip=p.told(channel="channel", **said),
    )
    of = lambda kind: base.transform_filter(f"datum.kind === '{kind}'")
    keys = alt.Legend(symbolSize=90, symbolOpacity=1)
    colour = p.by("kind", kinds, legend=keys)
    shape = alt.Shape(
        "kind:N", scale=alt.Scale(domain=[*kinds], range=SHAPES[: len(kinds)])
    )
    paint = p.colours_for(names, colours)
    fill = alt.Scale(domain=names, range=[paint[name] for name in names])
    money = f"{with_unit('spend', currency)} {per}"
    x, to = p.across("from", money), p.across("to", money)
    span = of("allowed range")
    end = alt.condition(
        "datum.cut", alt.value("triangle-right"), alt.value("M-.1,-.7H.1V.7H-.1Z")
    )
    drawn = p.layer(
        of("reference").mark_bar().encode(x=x, x2="to:Q", color=colour),
        of("optimised")
        .mark_bar()
        .encode(x=x, x2="to:Q", fill=alt.Fill("channel:N", scale=fill, legend=None)),
        span.mark_rule().encode(x=x, x2="to:Q", color=colour),
        span.mark_tick(size=9, thickness=1.4).encode(x=x, color=colour),
        span.mark_point(size=50, strokeWidth=1.4).encode(x=to, color=colour, shape=end),
        of(HELD)
        .mark_point(size=70, stroke="white", strokeWidth=1)
        .encode(x=to, color=colour, shape=shape),
        *p.aside(of("optimised"), texts),
    )
    unit = f"{money}. Line: the range that was allowed"
    unit += "; a bar that ends in a diamond is held there" if held else ""
    unit += "; a range that goes on beyond the picture is cut" if long["cut"].any() else ""
    pairs = whole[["channel", "before", "after"]].itertuples(index=False)
    about = ", ".join(f"{name} {before} to {after}" for name, before, after in pairs)
    about = f"From reference to optimised: {about}" if about else ""
    moved = (whole["optimized"] - whole["reference"]).set_axis(names).to_dict()
    title = capital(direction(moved, float(whole["reference"].sum()))[0])
    own: dict[str, Any] = {"hides": "kind", "geos": geos}
    return p.titled(drawn, title, unit, about, width, alt.Step(19), **own)


def _over_geos(table: Any, columns: Sequence[str], *keys: str) -> tuple[Any, list[str]]:
    """Sums over geos, then each geo, by channel; and the geos to choose from."""
    rows: Any = table.assign(channel=table["channel"].astype(str))
    rows["geo"] = rows["geo"].astype(str) if "geo" in rows else ALL
    several = rows["geo"].nunique() > 1
    every: Any = pd.concat([rows.assign(geo=ALL), *([rows] if several else [])])
    by = every.groupby(["geo", "channel", *keys], sort=False)
    sums = by[[*columns]].sum().reset_index()
    return sums, [str(x) for x in sums["geo"].unique()] if several else []


def _allocated(plan: Any) -> tuple[Any, list[str]]:
    """Spend of every channel with what to say of it, and the geos to choose from."""
    columns = ["reference", "optimized", "lower", "upper"]
    sums, geos = _over_geos(plan, columns)
    before, money, lower, upper = sums[columns].to_numpy(float).T
    near = AT_BOUND * np.maximum(upper - lower, 1e-300)
    near = np.where(np.isfinite(near), near, 0.0)
    size = 1e-12 * sums.groupby("geo")["optimized"].transform("sum").clip(lower=1e-300)
    ends = [upper - lower <= size, upper - money <= near, money - lower <= near]
    with np.errstate(divide="ignore", invalid="ignore"):
        change = np.where(before > 0, money / before - 1, np.nan)
    said = {
        "before": amounts(before),
        "after": amounts(money),
        "held": np.select(ends, ["fixed", "most", "least"], "").tolist(),
        "change": ["" if np.isnan(x) else f"{x:+.0%}" for x in change],
    }
    return sums.assign(**said), geos


def _parts(sums: Any) -> Any:
    """A row for each bar, range and mark: kind, bar, from, to, and whether it is cut.

    A range without an end stops at its bar; one far beyond all spend is cut.
    """
    bars = sums[["reference", "optimized"]].max(axis=1)
    most = BEYOND * bars.groupby(sums["geo"]).transform("max").replace(0.0, 1.0)
    upper = sums["upper"].where(np.isfinite(sums["upper"]), sums["optimized"])
    kept = sums[["geo", "channel", "before", "after", "change", "held"]]
    kept = kept.assign(bar="optimised", cut=False)
    ends = kept["held"].isin(["most", "least"])
    parts = {
        "reference": (0.0, sums["reference"]),
        "optimised": (0.0, sums["optimized"]),
        "allowed range": (sums["lower"], np.minimum(upper, most)),
        HELD: (0.0, sums["optimized"]),
    }
    every = [
        kept.assign(kind=kind, **{"from": a, "to": b}) for kind, (a, b) in parts.items()
    ]
    every[0]["bar"] = "reference"
    every[2]["cut"] = upper > most
    every[3] = every[3][ends]
    return pd.concat(every, ignore_index=True)


def marginal_returns(
    found: Curves,
    plan: pd.DataFrame,
    *,
    periods: int = 1,
    price: float | None = None,
    geo: str | None = None,
    outcome: str = "outcome",
    currency: str = "",
    period: str = "period",
    colours: Mapping[str, str] | None = None,
    width: int = p.WIDE,
) -> p.Facet:
    """What the next unit of money returns at each level of spend, and where plans stand.

    The slope of the mean response curve at constant spend, carry-over full. Of a plan that
    nothing holds, the filled dots lie at about one height: money cannot be moved to do
    better. (Exactly so in ``Plan.marginal``, which knows that a window begins and ends.)

    Args:
        plan: A plan, or its table ``Plan.to_frame()``.
        periods: Length of the window that the plan's money is for; 1 if it is a period's.
        price: What the next unit of the whole budget brings (``Plan.shadow_price``), drawn
            as a line.
        geo: The geo drawn, where there are several.
    """
    sums: Any = _allocated(plan.drop(columns="geo", errors="ignore"))[0]
    table = for_geo(found, geo) if isinstance(found, pd.DataFrame) else found
    rows, names = levels(table, geo)[0], sums["channel"].tolist()
    pairs = sums[["reference", "optimized"]].to_numpy(float) / periods
    each = [_slopes(rows, name, spent) for name, spent in zip(names, pairs, strict=True)]
    long: Any = pd.concat(each, ignore_index=True)
    before, after = (long.loc[long["part"] == part, "slope"] for part in (1, 2))
    title = "What the next unit of money returns, in each channel"
    if float(after.max() - after.min()) < 0.5 * float(before.max() - before.min()):
        title = "The plan evens out what the next unit of money returns"
    marked = np.append(long.loc[long["part"] > 0, "slope"], [] if price is None else price)
    drawn = _marginal(marked, price, p.colours_for(names, colours))
    drawn = p.cells(drawn, long, "channel", names, width, 120)
    money = f"{with_unit('spend', currency)} a {period}"
    unit = f"{outcome} of the next {currency or 'unit of money'}, by {money}, every "
    unit += f"{period} alike. "
    unit += "Hollow: reference; filled: plan" + (
        "" if price is None else "; dotted: the next money of the budget"
    )
    said = [
        f"{name} {amount(a)} to {amount(b)}" if np.isfinite([a, b]).all() else name
        for name, a, b in zip(names, before, after, strict=True)
    ]
    about = f"Return of the next unit from reference to plan: {', '.join(said)}"
    return p.titled(drawn, title, unit, about, None, hides="channel")


def _marginal(marked: np.ndarray, price: float | None, paint: Mapping[str, str]) -> p.Layer:
    """One cell: the slope of a curve, both plans on it, and the price of the budget.

    All cells have the same axis of returns, logarithmic where they are far from each other.
    """
    known = marked[np.isfinite(marked) & (marked > 0)]
    low, high = (float(known.min()), float(known.max())) if known.size else (0.0, 1.0 / TOP)
    ends: dict[str, Any] = {"domain": [0.0, TOP * high], "nice": False}
    if high > FAR * low > 0:
        ends = {"type": "log", "domain": [low / 2, high * 2], "nice": False, "clamp": True}
    x, y = p.across("level", ticks=3), p.grounded("slope", ticks=3, **ends)
    base = p.Chart()
    dots = base.transform_filter("datum.part > 0 && isValid(datum.slope)")
    told = p.told(channel="channel", said="is")
    told += p.tips({"level": "spend", "slope": "the next unit returns"})
    filled = alt.condition("datum.part == 1", alt.value("white"), alt.value(INK))
    rim = alt.condition("datum.part == 1", alt.value(INK), alt.value("white"))
    lost = base.transform_filter("datum.part == 2 && !isValid(datum.slope)")
    return p.layer(
        *([] if price is None else [p.line_at("y", price, color=MUTED, strokeDash=[2, 2])]),
        base.transform_filter("datum.part == 0")
        .mark_line(strokeWidth=2, clip=True)
        .encode(x=x, y=y, color=p.by("channel", paint, legend=False), tooltip=told),
        dots.mark_point(size=60, opacity=1).encode(
            x=x, y=y, fill=filled, stroke=rim, tooltip=told
        ),
        lost.mark_text(align="right", baseline="top", color=MUTED, dy=2).encode(
            x=alt.value("width"), y=alt.value(0), text=alt.value("plan: beyond the curve")
        ),
    )


def _slopes(rows: Any, channel: str, spent: np.ndarray) -> pd.DataFrame:
    """Slope of one channel's mean curve (part 0), at reference (1) and plan (2)."""
    one = rows.loc[(rows["channel"] == channel) & (rows["part"] < 3)]
    if len(one) < 3 or not one["paid"].all():
        allowed = "paid channels with a curve"
        fail("plan", channel, "the curves drawn", allowed, "plot.curves")
    level, mean = one[["level", "mean"]].to_numpy(float).T
    middle, last = 0.5 * (level[1:] + level[:-1]), float(level[-1])
    end = max(1.15 * float(spent.max()), 1e-9 * last)
    at = np.append(np.linspace(0.0, min(end, last) or 1.0, LEVELS), spent)
    slope = np.interp(at, middle, np.diff(mean) / np.diff(level))
    part = np.r_[np.zeros(LEVELS, int), 1, 2]
    return pd.DataFrame(
        {
            "channel": channel,
            "level": at,
            "slope": np.where(at <= last, slope, np.nan),
            "part": part,
            "said": np.array(["curve", "reference", "plan"])[part],
        }
    )  # no curve, no slope


def flighting(
    spend: xr.DataArray | pd.DataFrame,
    *,
    currency: str = "",
    period: str = "period",
    colours: Mapping[str, str] | None = None,
    width: int = p.WIDE,
) -> p.Layer:
    """Planned spend of every period, channels on top of each other.

    Of several geos their sum is drawn, and each can be chosen.
    """
    if isinstance(spend, xr.DataArray):
        spend = spend.to_dataframe("spend").reset_index()
    if not len(spend):
        fail("spend", Phrase("no periods"), "", "Plan.spend_by_period", "")
    dated = not pd.api.types.is_numeric_dtype(spend["period"])
    spend = spend.assign(period=pd.to_datetime(spend["period"])) if dated else spend
    sums, geos = _over_geos(spend, ["spend"], "period")
    long: Any = sums.sort_values("period", kind="stable", ignore_index=True)
    whole = long.loc[long["geo"] == long["geo"].iloc[0]]
    wide: Any = whole.pivot_table("spend", "period", "channel", aggfunc="sum", sort=False)
    names, sums = list(wide.columns), wide.sum(axis=1)
    low, high = (
        f"{amount(float(x))} {currency}".rstrip() for x in (sums.min(), sums.max())
    )
    title = f"The plan spends the same in every {period}"
    if np.ptp(wide.to_numpy(), axis=0).max(initial=0.0) > 1e-6 * (sums.mean() or 1.0):
        on = (wide > 1e-3 * wide.mean()).sum()
        some = [Phrase(name) for name in names if 0 < on[name] < len(wide)]
        title = f"Spend is not even: from {amount(float(sums.min()))} to {high} a {period}"
        title += f"; {listing(some, 3)} on and off" if some else ""
    at, times = "datum.period", np.asarray(wide.index)
    if dated:  # milliseconds
        times = pd.DatetimeIndex(times).as_unit("ms").asi8
        at = "toNumber(toDate(datum.period))"
    half = 0.43 * float(np.diff(times).astype(float).min(initial=np.inf))
    half = half if np.isfinite(half) else 0.43 * (864e5 if dated else 1.0)
    stacked = (
        p.chart(long)
        .transform_calculate(rank=f"indexof({json.dumps(names)}, datum.channel)")
        .transform_stack(
            stack="spend",
            groupby=["period"],
            as_=["low", "high"],
            sort=[alt.SortField("rank")],
        )
        .transform_calculate(start=f"{at} - {half}", end=f"{at} + {half}")
    )
    ticks = alt.Axis(format="d", tickMinStep=1)
    free = alt.Scale(zero=False, nice=False)
    x = alt.X("start:Q", title=period, axis=ticks, scale=free)
    told = ["channel:N", alt.Tooltip("period:T" if dated else "period:Q")]
    told += p.tips({"spend": with_unit("spend", currency)})
    bars = stacked.mark_rect().encode(
        x=p.dates("start") if dated else x,
        x2="end",
        y=p.grounded("low"),
        y2="high:Q",
        color=p.by("channel", p.colours_for(names, colours)),
        tooltip=told,
    )
    over = p.unified(long, "period", "channel", "spend", names) if dated else None
    drawn = p.layer(*filter(None, [bars, over]))
    unit = f"{with_unit('spend', currency)} a {period}"
    about = f"Planned spend of each {period}, from {low} to {high}"
    own: dict[str, Any] = {"geos": geos, "date": "period" if dated else None}
    return p.titled(drawn, title, unit, about, width, 260, hides="channel", **own)
