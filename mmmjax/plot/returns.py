"""Pictures of what spend was worth: returns, shares, and when the value came."""

from collections.abc import Mapping, Sequence
from typing import Any

import altair as alt
import numpy as np
import pandas as pd

from mmmjax.checks import choice, fail, listing
from mmmjax.plot import picture as p
from mmmjax.plot.colours import INK, MODEL, MUTED, channel_colours
from mmmjax.words import Return, amount, amounts, capital, in_percent, large, shorten

__all__ = ["now_and_after", "roas", "roas_over_time", "share_and_roas", "shares"]

KINDS = ("quarter", "year", "month")
STATISTICS = ("mean", "lo", "hi")
EVEN: dict[str, Any] = {"color": INK, "strokeDash": [2, 2]}  # the line at a return of 1


def _intervals(rows: Any, measure: str, percent: bool = False, known: bool = True) -> Any:
    """Mean, lo and hi of one measure, also as text; ``known``: of rows that have one."""
    rows = rows.loc[rows[f"{measure}_mean"].notna()] if known else rows
    ends = rows[[f"{measure}_{s}" for s in STATISTICS]].to_numpy(float).T
    said = [in_percent(x, np.inf) for x in ends.ravel()] if percent else amounts(ends)
    text, lo, hi = np.reshape(said, ends.shape)
    span = [f"{a} to {b}" for a, b in zip(lo, hi, strict=True)]
    kept = [x for x in ("kind", "window", "geo", "channel", "spend") if x in rows]
    numbers = dict(zip(STATISTICS, ends, strict=True))
    words = {"text": text.astype(object), "span": pd.Series(span, rows.index, dtype=object)}
    return rows[kept].astype({"channel": str}).assign(**numbers, **words)


def _told(table: pd.DataFrame, geos: Sequence[str]) -> str:
    """``TV 2.00, Search 4.00`` of what a chart shows at first."""
    first = p.at_first(table, geos)
    pairs = zip(first["channel"], first["text"], strict=True)
    return ", ".join(f"{name} {text}" for name, text in pairs)


def _forest(
    table: pd.DataFrame,
    shapes: Mapping[str, str],
    measure: str,
    colours: Mapping[str, str] | None,
    format: str | None,
    under: Sequence[p.Chart] = (),
) -> p.Layer:
    """Means and intervals, a row a channel, the numbers of the first kind to the right.

    Args:
        table: geo, channel, kind, below (in the lower half), mean, lo, hi, text, span.
        shapes: Shape of the mark of every kind.
        measure: What the tooltip calls the number.
        colours: Channel -> colour.
        format: D3's format of the axis, if not that of amounts.
        under: What is drawn below it.
    """
    names, kinds = list(dict.fromkeys(table["channel"])), list(shapes)
    colour: Any = p.by("channel", p.colours_for(names, colours), legend=False)
    if shapes[kinds[-1]] == "diamond":
        known = alt.FieldEqualPredicate(field="kind", equal=kinds[-1])
        colour = alt.condition(known, alt.value(INK), colour)
    x = p.across("lo", format=format, grid=True, nice=True)
    lower: Any = {"yOffset": {"expr": "datum.below ? 7 : -6"} if kinds[1:] else 0}
    thick: Any = {"strokeWidth": {"expr": "datum.below ? 1.3 : 2.6"}}
    key = alt.Legend(symbolFillColor=MODEL, symbolStrokeColor=MODEL) if kinds[1:] else None
    told = p.told(channel="channel", kind=" ", text=measure, span="interval")
    base = p.chart(table).encode(y=p.named_rows("channel", names))
    scale = alt.Scale(domain=kinds, range=[*shapes.values()])
    dots = base.encode(
        x=alt.X("mean:Q"), shape=alt.Shape("kind:N", scale=scale, legend=key, sort=kinds)
    )
    texts = base.transform_filter(alt.FieldEqualPredicate(field="kind", equal=kinds[0]))
    return p.layer(
        *under,
        base.mark_rule(**lower, **thick).encode(x=x, x2="hi:Q", color=colour),
        base.mark_circle(**lower, color="white", size=120, opacity=1).encode(x="mean:Q"),
        dots.mark_point(**lower).encode(color=colour, tooltip=told),
        *p.beside(texts, "text", "span"),
    )


def roas(
    channels: pd.DataFrame,
    *,
    geo: str | None = None,
    truth: Mapping[str, float] | None = None,
    marginal: bool = True,
    outcome: str = "outcome",
    currency: str = "",
    value: float | None = None,
    prob: float = 0.94,
    colours: Mapping[str, str] | None = None,
    width: int = p.WIDE,
) -> p.Layer:
    """Return on spend of every paid channel with its interval: a forest.

    Args:
        truth: True ROAS by channel, where it is known (simulated data).
        marginal: Draw the return of the next unit of money (mROAS) below each ROAS.
    """
    said = Return(outcome, currency, value)
    rows, geos = p.per_geo(said.of(channels), geo)
    mean = f"{said.name}, {prob:.0%} interval"
    shapes = {mean: "circle"}
    found = _intervals(rows, "roas").assign(kind=mean, below=False)
    parts, told = [found], _told(found, geos)
    if marginal:
        ahead = f"the next {currency or 'unit of money'} ({said.next})"
        shapes[ahead] = p.RING
        parts.append(_intervals(rows, "mroas").assign(kind=ahead, below=True))
    known = found.loc[found["channel"].isin(list(truth or {}))]
    if geos:  # what is known is of all geos together
        known = known.loc[known["geo"].astype(str) == geos[0]]
    if truth and not known.empty:
        shapes[f"true {said.name}"] = "diamond"
        true = said.times * known["channel"].map(dict(truth)).astype(float)
        empty = {"lo": np.nan, "hi": np.nan, "span": ""}
        parts.append(
            known.assign(mean=true, text=amounts(true), kind=f"true {said.name}", **empty)
        )
    table = pd.concat(parts, ignore_index=True)
    even = [] if value is None else [p.line_at("x", 1.0, **EVEN)]
    drawn = _forest(table, shapes, said.name, colours, None, even)
    unit = f"{said.per}; mean and {prob:.0%} interval in numbers"
    unit += "" if value is None else "; dotted: 1, where spend breaks even"
    title = "Return on spend, with its uncertainty"
    own: dict[str, Any] = {"height": alt.Step(p.ROW), "hides": "kind", "geos": geos}
    return p.titled(drawn, title, unit, f"{said.name}: {told}", width, **own)


def shares(
    channels: pd.DataFrame,
    *,
    geo: str | None = None,
    outcome: str = "outcome",
    prob: float = 0.94,
    colours: Mapping[str, str] | None = None,
    width: int = p.WIDE,
) -> p.Layer:
    """Share of the observed outcome that every channel brought, with its interval."""
    rows, geos = p.per_geo(channels, geo)
    found = _intervals(rows, "share", percent=True).assign(kind="share", below=False)
    drawn = _forest(found, {"share": "circle"}, "share", colours, "~%")
    title = f"Share of {outcome} that each channel brought"
    unit = f"share of the observed {outcome}; mean and {prob:.0%} interval"
    about = f"Shares of {outcome}: {_told(found, geos)}"
    return p.titled(drawn, title, unit, about, width, alt.Step(p.ROW), geos=geos)


def share_and_roas(
    channels: pd.DataFrame,
    *,
    geo: str | None = None,
    outcome: str = "outcome",
    currency: str = "",
    value: float | None = None,
    prob: float = 0.94,
    colours: Mapping[str, str] | None = None,
    width: int = p.WIDE,
) -> p.Layer:
    """How much each channel brought against what a unit of money brought, by spend."""
    said = Return(outcome, currency, value)
    rows, geos = p.per_geo(said.of(channels), geo)
    found = _bubbles(rows, currency)
    names = list(dict.fromkeys(found["channel"]))
    title_x, wide = f"share of the observed {outcome}", {"expr": "width / 80"}
    x = p.across("x_mean", title_x, "~%", wide, grid=True, nice=True)
    y = p.grounded("y_mean", f"{said.name}: {said.per}")
    tips = p.told(
        channel="channel",
        share_told=f"share of {outcome}",
        roas_told=said.name,
        paid="spend",
    )
    colour = p.by("channel", p.colours_for(names, colours))
    at = p.chart(found).encode(x=x, y=y, color=colour)
    cross = at.mark_rule(strokeWidth=1.1, strokeOpacity=0.55)
    place: Any = {x: {"expr": f"datum.{x}"} for x in ("dx", "dy", "align")}
    drawn = p.layer(
        *([] if value is None else [p.line_at("y", 1.0, **EVEN)]),
        cross.encode(x="x_lo:Q", x2="x_hi:Q"),
        cross.encode(y="y_lo:Q", y2="y_hi:Q"),
        at.mark_circle(opacity=0.85, stroke="white", strokeWidth=1).encode(
            size=alt.Size("spend:Q", scale=alt.Scale(range=[20, LARGEST]), legend=None),
            order=alt.Order("spend:Q", sort="descending"),
            tooltip=tips,
        ),
        at.mark_text(baseline="middle", **place).encode(
            text="label:N", color=alt.value(INK)
        ),
    )
    first = p.at_first(found, geos)
    each = zip(first["channel"], first["x_mean"], first["y_mean"], strict=True)
    about = ", ".join(f"{n} {in_percent(a, np.inf)} at {amount(b)}" for n, a, b in each)
    unit = f"area and number: spend{f' in {currency}' if currency else ''}; "
    unit += f"crosses: {prob:.0%} intervals"
    unit += "" if value is None else "; dotted: 1, where spend breaks even"
    title = "Who brings much, who brings it cheaply"
    own: dict[str, Any] = {"height": 400, "hides": "channel", "geos": geos}
    return p.titled(drawn, title, unit, f"Share and {said.name}: {about}", width, **own)


LARGEST = 1800  # area of the largest circle, square pixels
CANVAS = (320.0, -330.0)  # pixels of a plot on a phone; elsewhere labels have more room
PLACES = ((1, -1, "left"), (1, 1, "left"), (-1, -1, "right"), (-1, 1, "right"))


def _bubbles(rows: Any, currency: str) -> Any:
    """Channels with share, return and spend: numbers, texts, the place of a label."""
    known = rows[["share_mean", "roas_mean"]].notna().all(axis=1) & (rows["spend"] > 0)
    share, back = (_intervals(rows.loc[known], x, x == "share") for x in ("share", "roas"))
    paid = pd.Series(amounts(back["spend"]), back.index, dtype=object)
    found = back[["geo", "channel", "spend"]].assign(
        label=[
            f"{shorten(name, 20)} ({large(spend)})"
            for name, spend in zip(back["channel"], back["spend"], strict=True)
        ],
        paid=paid + f" {currency}".rstrip(),
        share_told=share["text"] + " (" + share["span"] + ")",
        roas_told=back["text"] + " (" + back["span"] + ")",
        **{f"x_{s}": share[s] for s in STATISTICS},
        **{f"y_{s}": back[s] for s in STATISTICS},
    )
    placed = [_labelled(part) for _, part in found.groupby("geo", sort=False)]
    return pd.concat(placed or [found.assign(dx=0.0, dy=0.0, align="")], ignore_index=True)


def _labelled(rows: pd.DataFrame) -> pd.DataFrame:
    """Rows of one geo with the place of each label beside its circle: dx, dy, align.

    One after the other, the largest spend first, takes the place of four that overlaps
    least with circles and labels placed before; one that is covered everywhere has none.
    """
    at = np.empty((len(rows), 2))
    for i, axis in enumerate("xy"):
        ends = np.append(rows[[f"{axis}_lo", f"{axis}_hi"]].to_numpy(float), 0.0)
        low, high = np.nanmin(ends), np.nanmax(ends)
        at[:, i] = (rows[f"{axis}_mean"] - low) / ((high - low) or 1.0) * CANVAS[i]
    radius = np.sqrt(LARGEST * rows["spend"].to_numpy(float) / rows["spend"].max() / np.pi)
    taken = [np.r_[point - r, point + r] for point, r in zip(at, radius, strict=True)]
    labels, places = [""] * len(rows), [(0.0, 0.0, "left")] * len(rows)
    for i in np.argsort(-radius):
        text, tried = str(rows["label"].iloc[i]), []
        half = np.array([3.4 * len(text), 7.0])
        for right, down, align in PLACES:
            shift = np.array([right, down]) * (0.7 * radius[i] + 3) + half * [0, down]
            middle = at[i] + shift + half * [right, 0]
            box = np.r_[middle - half, middle + half]
            others = np.stack(taken)
            sides = np.minimum(box[2:], others[:, 2:]) - np.maximum(box[:2], others[:, :2])
            out = max(0.0, -box[0]) + max(0.0, box[2] - CANVAS[0])  # of the picture
            cover = np.prod(np.maximum(sides, 0.0), axis=1).sum() + out * 2 * half[1]
            tried.append((cover, box, (*shift, align)))
        cover, box, place = min(tried, key=lambda one: one[0])
        if cover <= 0.25 * np.prod(2 * half):
            taken.append(box)
            labels[i], places[i] = text, place
    dx, dy, align = zip(*places, strict=True)
    return rows.assign(label=labels, dx=dx, dy=dy, align=align)


def _windows(returns: pd.DataFrame, kind: str | None, geo: str | None) -> Any:
    """Rows of windows of a kind (None: every kind), their kinds and geos to choose from."""
    there = returns["kind"].astype(str)
    kinds = [k for k in KINDS if k in set(there)] if kind is None else [kind]
    if not kinds or kinds[0] not in set(there):
        kind, allowed = kind or KINDS[0], listing(dict.fromkeys(there))
        fix = f'returns_table(fit, kinds=["all", "{kind}"])'
        fail("kind", kind, "the table drawn", allowed, fix)
    rows, geos = p.per_geo(returns.assign(kind=there), geo)
    rows = rows.loc[rows["kind"].isin(kinds)]
    return rows.assign(date=_day(rows["window"])), kinds, geos


def _day(windows: Any, part: float = 0.0) -> Any:
    """When every window begins, or when a part of it is over."""
    periods: Any = {x: pd.Period(x) for x in windows.astype(str).unique()}
    span = {x: (w.start_time, w.end_time - w.start_time) for x, w in periods.items()}
    return windows.astype(str).map({x: at + part * long for x, (at, long) in span.items()})


def roas_over_time(
    returns: pd.DataFrame,
    *,
    kind: str | None = None,
    measure: str = "roas",
    geo: str | None = None,
    outcome: str = "outcome",
    currency: str = "",
    value: float | None = None,
    prob: float = 0.94,
    colours: Mapping[str, str] | None = None,
    width: int = p.WIDE,
) -> p.Facet:
    """Return on the spend of every year, quarter or month, channel by channel.

    Windows without spend have no return: a gap. Each channel has its own scale.

    Args:
        kind: "year", "quarter" or "month", as far as the table has it; None: the one
            chosen, quarters at first.
        measure: "roas" or "mroas".
    """
    choice("kind", kind or KINDS[0], KINDS)
    choice("measure", measure, ("roas", "mroas"))
    said = Return(outcome, currency, value)
    table = said.of(returns)
    rows, kinds, geos = _windows(table, kind, geo)
    found = _intervals(rows, measure, known=False)
    found["date"] = rows["date"]
    found = found.loc[found.groupby("channel")["mean"].transform("count") > 0]
    whole = table.loc[table["kind"].astype(str) == "all"].astype({"channel": str})
    whole = whole.set_index(["geo", "channel"])[f"{measure}_mean"].rename("whole")
    found = found.join(whole, on=["geo", "channel"])
    every = list(dict.fromkeys(returns["channel"].astype(str)))
    names = [name for name in every if name in set(found["channel"])]
    paint = p.colours_for(names, channel_colours(every) if colours is None else colours)
    of_what = said.name if measure == "roas" else said.next
    said_as = of_what if value is None else capital(of_what)
    x = p.dates(ticks=3, padding=8)
    base = p.Chart().encode(color=p.by("channel", paint, legend=False))
    tips = p.told(
        channel="channel", window="spend of", text=of_what, span=f"{prob:.0%} interval"
    )
    level = p.Chart().mark_rule(color=MUTED, strokeDash=[2, 2])
    cell = p.layer(
        level.encode(y=alt.Y("mean(whole):Q", title=None)),
        base.mark_rule(opacity=0, strokeWidth=9).encode(x=x, tooltip=tips),
        base.mark_rule(strokeWidth=2, opacity=0.6).encode(
            x=x, y=p.grounded("lo", ticks=4), y2="hi:Q"
        ),
        base.mark_point(size=28).encode(x=x, y=p.grounded("mean", ticks=4)),
    )
    if value is not None:
        cell += p.line_at("y", 1.0, color=INK, strokeDash=[6, 3])
    drawn = p.cells(cell, found, "channel", names, width, 130)
    drawn = p.choice_of(drawn, "windows", "kind", kinds, [f"by {k}" for k in kinds])
    unit = f"{said.per} spent in the window; lines: {prob:.0%} intervals"
    unit += "; dotted: all of training" if found["whole"].notna().any() else ""
    unit += "" if value is None else "; dashed: 1, where spend breaks even"
    about = f"{of_what} of {listing(names, 40)} in every {' and '.join(kinds)}"
    own: dict[str, Any] = {"date": "date", "geos": geos}
    return p.titled(drawn, f"{said_as} over time", unit, about, None, **own)


def now_and_after(
    returns: pd.DataFrame,
    window: str = "quarter",
    *,
    channel: str | None = None,
    share: bool = False,
    geo: str | None = None,
    outcome: str = "outcome",
    colours: Mapping[str, str] | None = None,
    width: int = p.WIDE,
) -> p.Layer:
    """What a window's spend brought within it, and what it brings afterwards, stacked.

    Posterior means of the incremental outcome; both parts together are what ROAS counts.

    Args:
        window: "year", "quarter" or "month": a bar a window. Or a label of the table
            ("all", "2017", "2017Q2"): a bar a channel.
        channel: One channel only; None: every one, or their sum where windows are drawn.
        share: Shares of the two parts instead, a bar a channel; of "year", "quarter" or
            "month" those of all windows together.
    """
    over = window in KINDS and not share
    if window in KINDS:
        rows, _, geos = _windows(returns, window, geo)
    else:
        labels = returns["window"].astype(str)
        choice("window", window, [*dict.fromkeys(labels), *KINDS])
        rows, geos = p.per_geo(returns, geo)
        rows = rows.loc[rows["window"].astype(str) == window]
    rows = rows.astype({"channel": str, "window": str})
    if channel is not None:
        choice("channel", channel, list(dict.fromkeys(rows["channel"])))
        rows = rows.loc[rows["channel"] == channel]
    noun = window if window in KINDS else str([*rows["kind"], "all"][0])
    parts = [f"in that {'window' if noun == 'all' else noun}", "later (carry-over)"]
    key = "window" if over else "channel"
    table = _now_after(rows, key, parts, outcome, share)
    every = list(dict.fromkeys(returns["channel"].astype(str)))
    paint = channel_colours(every) if colours is None else colours
    if over:
        table = table.assign(day=_day(table[key]), until=_day(table[key], 0.86))
        drawn = _bars_of_windows(table, parts, paint.get(channel or "", MODEL))
    else:
        names = list(dict.fromkeys(table[key]))
        drawn = _bars_of_channels(table, parts, p.colours_for(names, paint), share)
    media = f"spend on {channel}" if channel else "media spend"
    of = {"all": f"the {media} of the training window"}.get(
        window, f"the {media} of {window}"
    )
    of = f"each {window}'s {media}" if window in KINDS else of
    title = capital(f"{outcome} from {of}: then, and later")
    title = "Now or later: when spend pays back" if share else title
    unit = f"share of what the spend brings; numbers: incremental {outcome}"
    unit = f"{unit if share else f'incremental {outcome}'}; posterior means"
    here = table["geo"].astype(str) == [*geos, *table["geo"], ""][0]
    first = table.loc[table["late"] & here]
    said = ", ".join(f"{n} {x}" for n, x in zip(first[key], first["later"], strict=True))
    height, date = (300, "day") if over else (alt.Step(p.ROW), None)
    own: dict[str, Any] = {"hides": "part", "date": date, "geos": geos}
    return p.titled(drawn, title, unit, f"{title}: {said}", width, height, **own)


def _parts(table: pd.DataFrame, parts: Sequence[str], key: str) -> p.Chart:
    """Bars of what comes now, full, and later, pale; yet without axes."""
    scale = alt.Scale(domain=list(parts), range=[1, 0.4])
    legend = alt.Legend(symbolFillColor=MODEL, symbolStrokeWidth=0, symbolType="square")
    opacity = alt.Opacity("part:N", sort=list(parts), scale=scale, legend=legend)
    told = p.told(**{key: key}, part=" ", told="brings")
    return p.chart(table).encode(opacity=opacity, order="late:O", tooltip=told)


def _bars_of_windows(table: pd.DataFrame, parts: Sequence[str], colour: str) -> p.Layer:
    """A bar a window, from its first day on: both parts stacked."""
    bars = _parts(table, parts, "window").transform_stack(
        as_=["from", "to"],
        stack="value",
        groupby=["window"],
        sort=[alt.SortField("late", "ascending")],
    )
    ends: dict[str, Any] = {"y": p.grounded("from", stack=None), "y2": "to:Q"}
    days: dict[str, Any] = {"x": p.dates("day"), "x2": "until:T"}
    return p.layer(bars.mark_bar(color=colour).encode(**ends, **days))


def _bars_of_channels(
    table: pd.DataFrame, parts: Sequence[str], colours: Mapping[str, str], share: bool
) -> p.Layer:
    """A bar a channel: both parts stacked, their sum and what comes later as text."""
    ends: dict[str, Any] = {"domain": [0, 1]} if share else {"nice": True}
    form, wide = ".0%" if share else None, {"expr": "width / 80"}
    x = p.across("value", None, form, wide, grid=True, **ends)
    y, colour = (
        p.named_rows("channel", list(colours)),
        p.by("channel", colours, legend=False),
    )
    bars = _parts(table, parts, "channel").mark_bar(height={"band": 0.66})
    texts = p.chart(table).encode(y=y).transform_filter("datum.late")
    bars = bars.encode(x=x.stack("zero"), y=y, color=colour)
    return p.layer(bars, *p.beside(texts, "whole", "later"))


def _now_after(
    rows: pd.DataFrame, key: str, parts: Sequence[str], outcome: str, share: bool
) -> pd.DataFrame:
    """What comes now and what later: geo, key, part, late, value and texts, long."""
    paid = rows.loc[rows["spend"].notna()]  # organic channels have no spend to value
    sums = paid.groupby(["geo", key], sort=False, observed=True)
    wide = sums[["now_mean", "after_mean"]].sum().reset_index()
    whole = wide["now_mean"] + wide["after_mean"]
    after = wide["after_mean"].div(whole).where(whole != 0, 0.0)
    shares = ((1 - after).where(whole != 0, 0.0), after)
    both = []
    for late, column in enumerate(("now_mean", "after_mean")):
        texts = zip(amounts(wide[column]), shares[late], strict=True)
        both.append(
            wide[["geo", key]].assign(
                part=parts[late],
                late=bool(late),
                value=shares[late] if share else wide[column],
                told=[f"{text} {outcome}, {x:z.1%}" for text, x in texts],
                whole=[large(x) if late else "" for x in whole],
                later=[f"{x:z.1%} later" if late else "" for x in after],
            )
        )
    return pd.concat(both, ignore_index=True)
