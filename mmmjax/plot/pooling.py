"""What pooling did to the geos: a forest of a parameter by geo and channel."""

from collections.abc import Mapping
from typing import Any

import altair as alt
import numpy as np
import pandas as pd

from mmmjax.plot import picture as p
from mmmjax.plot.colours import INK, MODEL, MUTED, REST
from mmmjax.words import amounts

__all__ = ["shrinkage"]

REACH = 1.5  # times the widest pooled interval: own ones are cut there
KINDS = {"own": "the geo's own data", "pooled": "pooled"}


def shrinkage(
    table: pd.DataFrame,
    *,
    channel: str | None = None,
    most: int = 40,
    colours: Mapping[str, str] | None = None,
    width: int = p.WIDE,
) -> p.Facet:
    """Own, pooled and population estimate of every geo, a cell a channel.

    Geos are in the order of their own estimates. Intervals of own estimates that leave
    what the pooled ones span are cut.

    Args:
        channel: The one drawn; None: all.
        most: Geos drawn at most, evenly over the order.
    """
    rows: Any = table.astype({"geo": str, "channel": str, "parameter": str})
    rows = rows if channel is None else rows.loc[rows["channel"] == channel]
    several = rows["parameter"].nunique() > 1
    long, paint = [], {}
    for (parameter, name), part in rows.groupby(["parameter", "channel"], sort=False):
        part = part.assign(at=part["own"].fillna(part["pooled_mean"])).sort_values("at")
        keep = np.linspace(0, len(part) - 1, min(most, len(part))).round().astype(int)
        cell = f"{parameter} {name}".rstrip() if several or not name else str(name)
        paint[cell] = (colours or {}).get(str(name), MODEL)
        long.append(_estimates(part.iloc[keep].assign(cell=cell, rank=range(len(keep)))))
    drawn = [*KINDS.values()]
    known = pd.concat(long, ignore_index=True) if long else pd.DataFrame({"cell": []})
    colour = p.by("cell", paint, legend=False)
    own = alt.FieldEqualPredicate(field="kind", equal=KINDS["own"])
    colour = alt.condition(own, alt.value(MUTED), colour)
    shift: Any = {"yOffset": {"expr": "datum.own ? 3 : -2"}}
    order: Any = alt.EncodingSortField("rank", op="min")
    names = alt.Axis(domain=False, ticks=False, labelFontSize=10, labelLimit=90)
    y = alt.Y("geo:N", title=None, sort=order, axis=names, scale=alt.Scale(padding=0))
    base = p.Chart().encode(y=y)
    x = p.across("lo", ticks=4, grid=True, zero=False)
    typical = base.transform_filter("!datum.own")
    legend = alt.Legend(symbolFillColor=MODEL, symbolStrokeColor=MODEL)
    scale = alt.Scale(domain=drawn, range=[p.RING, "circle"])
    shape = alt.Shape("kind:N", sort=drawn, legend=legend, scale=scale)
    tips = p.told(geo="geo", kind=" ", text="estimate", span="interval")
    cell = p.layer(
        typical.mark_bar(color=REST, opacity=0.5, height={"band": 1}).encode(
            x=alt.X("typical_lo:Q"), x2="typical_hi:Q"
        ),
        typical.mark_tick(color=INK, thickness=1, height={"band": 1}).encode(x="typical:Q"),
        base.mark_rule(**shift, strokeWidth={"expr": "datum.own ? 0.8 : 1.8"}).encode(
            x=x, x2="hi:Q", color=colour
        ),
        base.mark_point(**shift, size=18).encode(
            x="mean:Q", color=colour, shape=shape, tooltip=tips
        ),
    )
    tall = max((len(part) // 2 for part in long), default=1)
    made = p.cells(cell, known, "cell", list(paint), width, 15 * tall + 10, 240)
    unit = "scaled units; grey: the typical value of the population"
    title = "What pooling did to each geo"
    return p.titled(made, title, unit, width=None, hides="kind")


def _estimates(rows: Any) -> pd.DataFrame:
    """Own and pooled estimates of one cell, long; own ones cut where the picture ends."""
    lo, hi = rows["pooled_lo"].min(), rows["pooled_hi"].max()
    room = (REACH - 1) * (hi - lo)
    left, right = lo - room if lo < 0 else max(0.0, lo - room), hi + room
    both = []
    for name, kind in KINDS.items():
        first = name if name == "own" else f"{name}_mean"
        columns = (first, f"{name}_lo", f"{name}_hi")
        mean, low, high = (rows[column].astype(float) for column in columns)
        texts = np.reshape(amounts(np.stack([mean, low, high])), (3, -1))
        both.append(
            rows[["cell", "geo", "rank"]].assign(
                kind=kind,
                own=name == "own",
                mean=mean.where(mean.between(left, right)),
                lo=low.clip(left, right),
                hi=high.clip(left, right),
                text=texts[0],
                span=[f"{a} to {b}" if a else "" for a, b in texts[1:].T],
                typical=rows["population_mean"],
                typical_lo=rows["population_lo"],
                typical_hi=rows["population_hi"],
            )
        )
    return pd.concat(both, ignore_index=True)
