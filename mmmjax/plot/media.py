"""Pictures of what the outcome is made of: contributions over time, decomposition."""

import json
from collections.abc import Mapping
from typing import Any

import altair as alt
import numpy as np
import pandas as pd

from mmmjax.plot import picture as p
from mmmjax.plot.colours import INK, MODEL, REST, TINT
from mmmjax.words import amounts, capital, in_percent, large

__all__ = ["contributions", "decomposition", "multipliers"]

FITTED = "fitted_mean"
OTHER = ("baseline", "seasonality", "controls")
WITHOUT, TOP, SEEN = "without media", "fitted mean", "observed"


def contributions(
    weekly: pd.DataFrame,
    *,
    observed: pd.DataFrame | None = None,
    geo: str | None = None,
    outcome: str = "outcome",
    only_media: bool = False,
    colours: Mapping[str, str] | None = None,
    width: int = p.WIDE,
) -> p.Layer:
    """Contribution of every channel over time, stacked on what comes without media.

    Baseline, seasonality and controls are one area, since the last two go below zero; its
    top is the outcome expected without media, the top of the stack is the fitted mean.

    Args:
        observed: Table with the columns of fitted.csv, whose observed outcome is drawn in
            place of the fitted mean.
        only_media: Leave out what is not media.
    """
    rows, geos = p.per_geo(weekly, geo)
    keys = ["geo", "date", "component"]
    rows = rows[[*keys, "mean"]].astype({"component": str})
    part = rows["component"]
    names = [n for n in dict.fromkeys(part) if n not in (*OTHER, FITTED)]
    parts = [rows.loc[part.isin(names)]]
    if not only_media:
        rest = rows.loc[part.isin(OTHER)].groupby(keys[:2], sort=False, observed=True)
        parts.append(rest["mean"].sum().reset_index().assign(component=WITHOUT))
        if observed is None:
            parts.append(rows.loc[part == FITTED].assign(component=TOP))
        else:
            seen, _ = p.per_geo(observed, geo)
            seen = seen[["geo", "date", "observed"]].rename(columns={"observed": "mean"})
            parts.append(seen.assign(component=SEEN))
    table = pd.concat(parts, ignore_index=True)
    table["date"] = pd.to_datetime(table["date"])
    shown = names if only_media else [WITHOUT, *names]
    paint = {n: REST for n in shown[:1] if not only_media} | p.colours_for(names, colours)
    top = {} if only_media else {TOP if observed is None else SEEN: INK}
    base = p.chart(table).encode(
        x=p.dates(), y=p.grounded("mean"), color=p.by("component", paint | top)
    )
    area = base.transform_filter(alt.FieldOneOfPredicate("component", shown))
    area = area.transform_calculate(rank=f"indexof({json.dumps(shown)}, datum.component)")
    drawn = p.layer(
        area.mark_area(opacity=1).encode(
            y=p.grounded("mean", stack="zero"), order=alt.Order("rank:Q")
        ),
        *(
            base.transform_filter(
                alt.FieldEqualPredicate(field="component", equal=name)
            ).mark_line(strokeWidth=1.3)
            for name in top
        ),
        p.unified(table, "date", "component", "mean", [*paint, *top]),
    )
    title = f"{outcome} over time, and what brought it"
    title = f"{outcome}: what each channel brought" if only_media else title
    first = p.at_first(table, geos)
    sums = first.loc[first["component"].isin(names)].groupby("component")["mean"].sum()
    said = ", ".join(
        f"{n} {large(x)}" for n, x in sums.sort_values(ascending=False).items()
    )
    about = f"Contributions over the window: {said or 'no media'}"
    own: dict[str, Any] = {"hides": "component", "date": "date", "geos": geos}
    return p.titled(drawn, capital(title), outcome, about, width, 300, **own)


def _falls(table: Any) -> Any:
    """geo, component, start, end, lo, hi, next and texts: each begins where one ended.

    The shares of weekly.csv are those of the posterior means, without intervals.
    """
    table = table.astype({"component": str})
    if "share_mean" not in table:
        sums = table.groupby(["geo", "component"], sort=False, observed=True)["mean"].sum()
        table = sums.rename("total_mean").reset_index()
        whole = table.loc[table["component"] == FITTED].set_index("geo")["total_mean"]
        table["share_mean"] = table["total_mean"] / table["geo"].map(whole).astype(float)
        table = table.assign(share_lo=np.nan, share_hi=np.nan)
    place = {name: i - len(OTHER) for i, name in enumerate(OTHER)}
    table = table.loc[table["component"] != FITTED]
    order = table["component"].map(place).fillna(0).to_numpy().argsort(kind="stable")
    table = table.iloc[order]
    by_geo = table.groupby("geo", sort=False, observed=True)
    end, total = by_geo["share_mean"].cumsum(), by_geo[["share_mean", "total_mean"]].sum()
    start, total = end - table["share_mean"], total.reset_index()
    table = table.assign(
        start=start,
        end=end,
        lo=start + table["share_lo"],
        hi=start + table["share_hi"],
        next=by_geo["component"].shift(-1).fillna(TOP),
    )
    whole = total.assign(component=TOP, start=0.0, end=total["share_mean"])
    table = pd.concat([table, whole], ignore_index=True) if len(whole) else table
    cent = lambda x: in_percent(x, np.inf) if np.isfinite(x) else ""
    share, lo, hi = ([cent(x) for x in table[f"share_{s}"]] for s in ("mean", "lo", "hi"))
    columns = ["geo", "component", "start", "end", "lo", "hi", "next"]
    return table[columns].assign(
        share=share,
        total=amounts(table["total_mean"]),
        text=[f"{a} ({large(b)})" for a, b in zip(share, table["total_mean"], strict=True)],
        span=[f"{a} to {b}" if a and b else "" for a, b in zip(lo, hi, strict=True)],
    )


def decomposition(
    table: pd.DataFrame,
    *,
    geo: str | None = None,
    outcome: str = "outcome",
    prob: float = 0.94,
    colours: Mapping[str, str] | None = None,
    width: int = p.WIDE,
) -> p.Layer:
    """Waterfall of the fitted mean: what each component added, up to 100%.

    Intervals are thin lines from the start of each bar; weekly.csv gives none.
    """
    rows, geos = p.per_geo(table, geo)
    found = _falls(rows)
    names = list(dict.fromkeys(found["component"]))
    names = [*(n for n in names if n != TOP), *(n for n in names if n == TOP)]
    channels = [n for n in names if n not in (*OTHER, TOP)]
    paint = dict.fromkeys(names, REST) | p.colours_for(channels, colours) | {TOP: MODEL}
    x = p.across("start", format=".0%", grid=True, nice=True)
    base = p.chart(found).encode(y=p.named_rows("component", names))
    tips = p.told(
        component="component",
        share="share of the fitted mean",
        span=f"{prob:.0%} interval",
        total=outcome,
    )
    drawn = p.layer(
        base.transform_filter("isValid(datum.next)")
        .mark_rule()
        .encode(x="end:Q", y2="next:N"),
        base.mark_bar(height={"band": 0.62}).encode(
            x=x,
            x2="end:Q",
            color=p.by("component", paint, legend=False),
            tooltip=tips,
        ),
        base.mark_rule(color=INK).encode(x="lo:Q", x2="hi:Q"),
        *p.beside(base, "text", "span"),
    )
    first = p.at_first(found, geos)
    said = ", ".join(
        f"{n} {s}" for n, s in zip(first["component"], first["share"], strict=True)
    )
    unit = f"share of the fitted mean, in brackets {outcome}"
    unit += f"; black lines: {prob:.0%} intervals" if "share_lo" in table else ""
    title, about = f"Where {outcome} came from", f"Shares of the fitted mean: {said}"
    return p.titled(drawn, title, unit, about, width, alt.Step(p.ROW), geos=geos)


def multipliers(
    table: pd.DataFrame,
    *,
    geo: str | None = None,
    prob: float = 0.94,
    colours: Mapping[str, str] | None = None,
    width: int = p.WIDE,
) -> p.Facet:
    """What the effects of every channel are multiplied by over time, and after training.

    Args:
        geo: The geo drawn, where they do not share them; None: the one chosen, the first
            at first.
    """
    rows, geos = p.per_geo(table, geo)
    columns = ["geo", "channel", "date", "after", "mean", "lo", "hi"]
    rows = rows[columns].astype({"channel": str, "after": bool})
    rows = rows.assign(date=pd.to_datetime(rows["date"]))
    names = list(dict.fromkeys(rows["channel"]))
    colour = p.by("channel", p.colours_for(names, colours), legend=False)
    base = p.Chart().encode(x=p.dates(ticks=3))
    told = [p.DAY, *p.tips({"mean": "effect times", "lo": "from", "hi": "to"}, ".2f")]
    cell = p.layer(
        p.Chart()
        .transform_filter("datum.after")
        .mark_rect(color=TINT)
        .encode(x=alt.X("min(date):T", title=None), x2="max(date):T"),
        p.line_at("y", 1.0, strokeDash=[2, 2]),
        base.mark_area(opacity=0.18).encode(
            y=p.grounded("lo", ticks=4), y2="hi:Q", color=colour
        ),
        base.mark_line(strokeWidth=1.6).encode(y=p.grounded("mean", ticks=4), color=colour),
        base.mark_rule(opacity=0, strokeWidth=4).encode(tooltip=told),
    )
    drawn = p.cells(cell, rows, "channel", names, width, 130)
    first = p.at_first(rows, geos)
    wide = (first["hi"] - first["lo"]).groupby(first["channel"], sort=False).mean() / 2
    said = ", ".join(f"{name} +-{half:.2f}" for name, half in wide.items())
    unit = f"1 is the effect of an average period of training; bands: {prob:.0%} intervals"
    unit += "; tinted: after training" if rows["after"].any() else ""
    about = f"What effects are multiplied by over time; half of a band on average: {said}"
    own: dict[str, Any] = {"date": "date", "geos": geos}
    return p.titled(drawn, "Effects that move", unit, about, None, **own)
