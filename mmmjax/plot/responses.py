"""Pictures of what other levels of spend would bring, and of when the effect comes."""

from collections.abc import Mapping, Sequence
from typing import Any

import altair as alt
import numpy as np
import pandas as pd
import xarray as xr

from mmmjax.checks import choice, fail, listing
from mmmjax.plot import picture as p
from mmmjax.plot.arrays import one_geo
from mmmjax.plot.colours import GRID, INK, MUTED, TINT
from mmmjax.words import amount, capital, large, span, with_unit

__all__ = ["carryover", "curve", "curves", "sweep"]

BANDS = 3  # channels whose intervals can be drawn over each other
ENDS = ("mean", "lo", "hi")

Curves = xr.Dataset | pd.DataFrame
"""A result of ``mm.curves``, or a table with the columns of curves.csv."""


def levels(
    found: Curves, geo: str | None = None, today: Mapping[str, float] | None = None
) -> tuple[Any, list[str]]:
    """Curves as rows, and the geos to choose from.

    Columns: geo, channel, level (money, or media if organic), mean, lo, hi, paid, and part:
    0 observed, 1 the last observed point, 2 beyond it, 3 today, where that is known.
    """
    if isinstance(found, pd.DataFrame):
        table, geos = p.per_geo(found, geo)
        beyond, now = table["extrapolated"].astype(bool), pd.Series(np.nan, table.index)
        table = table.assign(beyond=beyond, now=now)
    else:
        one = one_geo(found, geo)
        ends = one["response"].sel(summary=list(ENDS)).to_dataset("summary")
        flat = one[["media", "spend", "media_mean", "spend_mean", "media_max"]]
        table, geos = flat.merge(ends, compat="override").to_dataframe().reset_index(), []
        table["beyond"] = table["media"] > table["media_max"] * (1 + 1e-9)
        table["now"] = table["spend_mean"].fillna(table["media_mean"])
    cell = table.groupby(["geo", "channel"], sort=False).ngroup().to_numpy()
    paid = table["spend"].notna().groupby(cell).transform("all")
    level = table["spend"].where(paid, table["media"])
    order = np.lexsort((level, cell))
    every = table.assign(channel=table["channel"].astype(str), level=level, paid=paid)
    every, cell = every.iloc[order], cell[order]
    last = (~every["beyond"]).groupby(cell).transform("sum").clip(lower=1) - 1
    every["part"] = np.sign(every.groupby(cell).cumcount() - last) + 1
    first = np.flatnonzero(np.diff(cell, prepend=-1))
    at = every["now"].to_numpy(float)[first]
    for k, (place, name) in enumerate(every[["geo", "channel"]].to_numpy()[first]):
        if not geos or place == geos[0]:  # today is of the sum, or of the geo asked for
            at[k] = (today or {}).get(name, at[k])
    x, y = every["level"].to_numpy(float), every["mean"].to_numpy(float)
    known, own = np.flatnonzero(np.isfinite(at)), np.split(np.arange(len(cell)), first[1:])
    brings = [np.interp(at[k], x[own[k]], y[own[k]]) for k in known]
    points = every.iloc[first[known]].assign(level=at[known], part=3)
    points = points.assign(mean=brings, lo=np.nan, hi=np.nan)
    behind = np.argsort(np.append(cell, cell[first[known]]), kind="stable")
    columns = ["geo", "channel", "level", *ENDS, "paid", "part"]
    return pd.concat([every, points]).iloc[behind][columns].reset_index(drop=True), geos


def curve(
    found: Curves,
    channel: str,
    *,
    geo: str | None = None,
    today: Mapping[str, float] | None = None,
    outcome: str = "outcome",
    currency: str = "",
    period: str = "period",
    brief: bool = False,
    colours: Mapping[str, str] | None = None,
    width: int = p.WIDE,
) -> p.Layer:
    """What one channel brings a period at other levels of spend, carry-over included.

    The range that was observed is tinted and drawn as a line; beyond it the curve is
    extrapolated and dashed. The dot is the mean period of the training window.

    Args:
        channel: The channel.
        today: Channel -> today's level of spend a period (media, if organic), in place of
            the mean of the training window.
        brief: The channel as title, and no words on what is drawn how, for a row of such.
    """
    rows, geos = levels(found, geo, today)
    names = list(dict.fromkeys(rows["channel"]))
    if channel not in names:
        fail("channel", channel, "the curves drawn", listing(names), f'"{names[0]}"')
    own = rows.loc[rows["channel"] == channel].drop(columns="paid")
    paid = bool(rows.loc[own.index[0], "paid"])
    money = with_unit("spend", currency) if paid else "media (organic)"
    paint = p.colours_for(names, colours)
    drawn = _curves(own, {channel: paint[channel]}, f"{money} a {period}", period)
    title = channel if brief else f"{channel}: {outcome} at other levels of spend"
    unit = f"{outcome} a {period}" + ("" if brief else f". {_how(period)}")
    at = own.loc[(own["part"] == 3) & (not geos or own["geo"] == geos[0])]
    about = f"Response of {outcome} to {channel}"
    if len(at):
        level, brings = float(at["level"].iloc[0]), float(at["mean"].iloc[0])
        said = f"{large(level)} {currency if paid else 'of media'}".rstrip()
        about += f": {large(brings)} a {period} at {said}, the mean {period}"
    return p.titled(drawn, title, unit, about, width, 190 if brief else 280, geos=geos)


def curves(
    found: Curves,
    *,
    geo: str | None = None,
    today: Mapping[str, float] | None = None,
    outcome: str = "outcome",
    currency: str = "",
    period: str = "period",
    colours: Mapping[str, str] | None = None,
    width: int = p.WIDE,
) -> p.Facet:
    """The curves of all channels side by side; axes differ. Otherwise as :func:`curve`.

    Args:
        today: Channel -> today's level of spend a period (media, if organic), in place of
            the mean of the training window.
    """
    rows, geos = levels(found, geo, today)
    names = list(dict.fromkeys(rows["channel"]))
    organic = dict(zip(rows["channel"], ~rows["paid"].astype(bool), strict=True))
    cell = {name: f"{name} (organic: media)" if organic[name] else name for name in names}
    rows = rows.assign(cell=rows["channel"].map(cell)).drop(columns="paid")
    drawn = _curves(None, p.colours_for(names, colours), None, period)
    drawn = p.cells(drawn, rows, "cell", list(cell.values()), width, 130)
    money = with_unit("spend", currency)
    unit = f"{outcome} a {period}, by {money} a {period}. {_how(period)}"
    at = rows.loc[(rows["part"] == 3) & (not geos or rows["geo"] == geos[0])]
    said = [
        f"{name} {large(mean)} at {large(level)}"
        for name, level, mean in at[["channel", "level", "mean"]].itertuples(index=False)
    ]
    about = f"A period brings at the mean {period}: {', '.join(said)}" if said else ""
    title = capital(f"{outcome} at other levels of spend")
    return p.titled(drawn, title, unit, about, None, hides="channel", geos=geos)


def _how(period: str) -> str:
    text = "Line: mean, dashed beyond what was observed (tinted); band: 94% interval; "
    return f"{text}dot: today, the mean {period}"


def _curves(
    table: pd.DataFrame | None, paint: Mapping[str, str], money: str | None, period: str
) -> p.Layer:
    """Tinted range, band, line and dot of one channel's rows, or of each cell's."""
    base = p.Chart() if table is None else p.chart(table)
    few: dict[str, Any] = {} if money else {"ticks": 3}  # in a cell
    x, y = p.across("level", money, **few), p.grounded("mean", **few)
    colour = p.by("channel", paint, legend=False)
    line = base.encode(x=x, y=y, color=colour)
    zero = base.transform_calculate(zero="0")
    now = "datum.part == 3"  # the others are there to be pointed at
    seen_only = alt.condition(now, alt.value(1), alt.value(0))
    size = alt.condition(now, alt.value(70), alt.value(220))
    said = {"level": money or "level", "mean": f"brings a {period}"}
    told = ["channel:N", *p.tips(said | {"lo": "94%: from", "hi": "to"})]
    seen = zero.transform_filter("datum.part == 1").mark_rect(color=TINT)
    curved = base.transform_filter("datum.part < 3")
    return p.layer(
        seen.encode(x="zero:Q", x2="level:Q"),
        curved.mark_area(opacity=0.2).encode(
            x=x, y=p.grounded("lo", **few), y2="hi:Q", color=colour
        ),
        line.transform_filter("datum.part < 2").mark_line(strokeWidth=2),
        line.transform_filter("datum.part == 1 || datum.part == 2").mark_line(
            strokeWidth=2, strokeDash=[5, 3]
        ),
        zero.mark_rule(color=INK, strokeDash=[2, 2]).encode(
            x=x, y=y, y2="zero:Q", opacity=seen_only
        ),
        base.mark_point(color=INK, stroke="white").encode(
            x=x, y=y, opacity=seen_only, size=size, tooltip=told
        ),
    )


MEASURES = ("contribution", "uplift", "marginal")


def sweep(
    table: pd.DataFrame,
    *,
    measure: str | Sequence[str] = "uplift",
    relative: bool = True,
    channels: Sequence[str] | None = None,
    geo: str | None = None,
    outcome: str = "outcome",
    currency: str = "",
    prob: float = 0.94,
    colours: Mapping[str, str] | None = None,
    width: int = p.WIDE,
) -> p.Layer:
    """What more or less spend of one channel would change, all others as they were.

    Bands are intervals while up to three channels are on show, else lines at the end.

    Args:
        measure: "contribution": what the channel would have brought over the window;
            "uplift": the same against today's spend; "marginal": what the next unit of
            money would bring there. Of several one is chosen in the picture.
        relative: Spend as percentage of today's. False: money over the window; organic
            channels have none and are left out.
        channels: The channels drawn; None: all that have numbers.
    """
    asked = [measure] if isinstance(measure, str) else list(measure)
    for one in asked:
        choice("measure", one, MEASURES)
    rows, geos = p.per_geo(table, geo)
    every = list(dict.fromkeys(map(str, rows["channel"])))
    for name in channels or ():
        choice("channels", name, every)
    paint = p.colours_for(every, colours)
    long = pd.concat([_measured(rows, one) for one in asked], ignore_index=True)
    long = long.loc[long["mean"].notna() & (relative or long["spend"].notna())]
    if channels is not None:
        long = long.loc[long["channel"].isin(list(channels))]
    names = [name for name in every if name in set(long["channel"])]
    if relative:  # beside each other where all lines end at the same spend
        place: Any = long["channel"].map({name: i + 1 for i, name in enumerate(names)})
        long["x"] = long["multiplier"]
        step = min(0.022, 0.25 / max(len(names), 1)) * long["multiplier"].max()
        long["end"] += step * place.astype(float)
    else:
        long["x"] = long["spend"]
    drawn = _sweep(long, {name: paint[name] for name in names}, relative, currency)
    money = currency or "unit of money"
    words = {
        "contribution": ("What each channel would bring", f"{outcome} over the window"),
        "uplift": (
            "What if a channel had had more, or less?",
            f"change of {outcome} over the window",
        ),
        "marginal": (f"What the next {money} would bring", f"{outcome} of the next one"),
    }
    title, unit = words["uplift" if len(asked) > 1 else asked[0]]
    if len(asked) > 1:
        drawn = p.choice_of(
            drawn, "measure", "measure", asked, [words[m][1] for m in asked]
        )
        unit = "one channel at a time, all others as they were"
    where = "Bands" if len(names) <= BANDS else "Bars at the end of the lines"
    unit += f". {where}: {prob:.0%} intervals; dots: today"
    first = long.loc[(long["measure"] == asked[0]) & (not geos or long["geo"] == geos[0])]
    last = first.groupby("channel", sort=False).tail(1)
    said = [
        f"{name} {large(mean)} ({span(mean, lo, hi)})"
        for name, mean, lo, hi in last[["channel", *ENDS]].itertuples(index=False)
    ]
    about = f"{capital(words[asked[0]][1])} at the largest spend: {', '.join(said)}"
    own: dict[str, Any] = {"hides": "channel", "geos": geos}
    return p.titled(drawn, title, unit, about if said else "", width, 300, **own)


def _measured(rows: pd.DataFrame, measure: str) -> Any:
    """Rows of one measure, in order of the multiplier; end: where a line ends."""
    before = "" if measure == "contribution" else f"{measure}_"
    columns = {before + s: s for s in ENDS}
    kept = ["geo", "channel", "multiplier", "spend"]
    picked: Any = rows[[*kept, *columns]]
    one: Any = picked.rename(columns=columns)
    one = one.sort_values("multiplier", kind="stable").assign(measure=measure)
    one["channel"] = one["channel"].astype(str)
    last = one.groupby(["geo", "channel"], sort=False)["multiplier"].transform("max")
    return one.assign(end=one["multiplier"].where(one["multiplier"] == last))


def _sweep(
    long: pd.DataFrame, paint: Mapping[str, str], relative: bool, currency: str
) -> p.Layer:
    """Lines with bands, or, of more channels, with the intervals of their last points."""
    if not relative:
        long = long.assign(end=long["spend"].where(long["end"].notna()))
    base = p.chart(long).encode(color=p.by("channel", paint, legend=p.SOLID))
    title = with_unit("spend over the window", currency)
    said = ("spend of the channel, today = 100%", ".0%") if relative else (title, None)
    x, end, y = p.across("x", *said), p.across("end", *said), p.grounded("mean")
    few = f"{len(paint)} - length(hidden) <= {BANDS}"
    told = ["channel:N", *p.tips({"multiplier": "of today's spend"}, ".0%")]
    told += p.tips({"spend": title, "mean": "mean", "lo": "94%: from", "hi": "to"})
    ends = base.transform_filter("isValid(datum.end)")
    shown = {"expr": f"{few} ? 0 : 1"}
    now = base.transform_filter("abs(datum.multiplier - 1) < 1e-9")
    axis_line: dict[str, Any] = {"color": MUTED, "strokeWidth": 1}
    today = p.line_at("x", 1.0, **axis_line, strokeDash=[2, 3])
    low = p.grounded("lo")
    return p.layer(
        p.line_at("y", 0.0, **axis_line),
        *([today] if relative else []),
        base.mark_area(opacity={"expr": f"{few} ? 0.15 : 0"}).encode(x=x, y=low, y2="hi:Q"),
        ends.mark_rule(strokeWidth=1.6, opacity=shown).encode(x=end, y=low, y2="hi:Q"),
        ends.mark_point(size=16, opacity=shown).encode(x=end, y=y),
        base.mark_line(strokeWidth=2).encode(x=x, y=y),
        now.mark_point(stroke="white", opacity=1).encode(x=x, y=y),
        base.mark_point(opacity=0, size=220).encode(x=x, y=y, tooltip=told),
    )


def carryover(
    table: pd.DataFrame,
    *,
    geo: str | None = None,
    period: str = "period",
    colours: Mapping[str, str] | None = None,
    width: int = p.WIDE,
) -> p.Facet:
    """When the effect of each channel comes: its adstock, a bar a period, and half-life.

    The bar over [l, l + 1] is the share that comes l periods after the media; half of the
    effect has come at the dotted line, the half-life.

    Args:
        geo: The geo drawn; None: all to choose from, where the adstock differs.
    """
    rows, geos = p.per_geo(table, geo)
    names = list(dict.fromkeys(map(str, rows["channel"])))
    every: Any = rows[["geo", "channel", "lag", *ENDS]].copy()
    every["channel"] = every["channel"].astype(str)
    first = rows["lag"] == rows.groupby(["geo", "channel"])["lag"].transform("min")
    for end in ENDS:  # the same at all lags: said once
        every[f"half_{end}"] = rows[f"half_life_{end}"].where(first)
    said = (f"half-life {x:.1f} {period}s" for x in every["half_mean"])
    every["said"] = [
        text if known else None for text, known in zip(said, first, strict=True)
    ]
    last = int(np.max(rows["lag"].to_numpy(), initial=0))
    top = 1.2 * max(float(np.nanmax(rows["hi"].to_numpy(float), initial=0.0)), 1e-9)
    y = p.grounded("mean", None, ".0%", 3, domain=[0, top], nice=False)
    x = p.across("from", None, "d", 6, domain=[0, last + 1])
    base = p.Chart().transform_calculate(
        **{"from": "datum.lag + 0.05", "to": "datum.lag + 0.95"},
        middle="datum.lag + 0.5",
        zero="0",
    )
    known = base.transform_filter("isValid(datum.half_mean)")
    told = ["channel:N", alt.Tooltip("lag:Q", title=f"{period}s later")]
    told += p.tips({"mean": "share of the effect", "lo": "from", "hi": "to"}, ".1%")
    halves = {"half_mean": f"half-life, {period}s", "half_lo": "from", "half_hi": "to"}
    lasting = ["channel:N", *p.tips(halves)]
    paint = p.by("channel", p.colours_for(names, colours), legend=False)
    drawn = p.layer(
        known.mark_rect(color=GRID, opacity=0.8).encode(x="half_lo:Q", x2="half_hi:Q"),
        base.mark_rect(opacity=0.75).encode(
            x=x, x2="to:Q", y=y, y2="zero:Q", color=paint, tooltip=told
        ),
        base.mark_rule(color=INK).encode(x="middle:Q", y="lo:Q", y2="hi:Q", tooltip=told),
        known.mark_rule(color=INK, strokeDash=[2, 2], strokeWidth=1.4).encode(
            x="half_mean:Q", tooltip=lasting
        ),
        known.mark_text(align="right", baseline="top", dx=-2, color=MUTED).encode(
            x=alt.value("width"), y=alt.value(0), text="said:N", tooltip=lasting
        ),
    )
    drawn = p.cells(drawn, every, "channel", names, width, 110)
    shown = every.loc[first & (not geos or every["geo"] == geos[0])]
    said = [
        f"{name} {amount(mean)} ({span(mean, lo, hi)})"
        for name, mean, lo, hi in shown[["channel", *halves]].itertuples(index=False)
    ]
    unit = f"share of the effect that comes in each {period} after the media. Dotted: the "
    unit += f"half-life in {period}s, when half of the effect has come; 94% intervals"
    about = f"Half-life in {period}s: {', '.join(said)}"
    own: dict[str, Any] = {"hides": "channel", "geos": geos}
    return p.titled(drawn, "When the effect comes", unit, about, None, **own)
