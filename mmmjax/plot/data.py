"""Pictures of the data before any model: the result of ``mm.explore``, drawn."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import altair as alt
import numpy as np
import pandas as pd
import xarray as xr

from mmmjax.checks import fail, listing
from mmmjax.plot import picture as p
from mmmjax.plot.arrays import one_geo
from mmmjax.plot.colours import APART, INK, MODEL, MUTED, REST
from mmmjax.plot.fit import series
from mmmjax.shapes import NATIONAL
from mmmjax.words import ALL, amount, capital, in_percent, long, period_noun, with_unit

__all__ = [
    "against_outcome", "correlations", "outcome", "spend", "spend_shares", "train_test",
]  # fmt: skip

DIVERGING = ["#B35806", "#FFFFFF", "#0B5394"]
NAMED = 3  # outliers with their dates
READABLE = 14  # rows of a matrix with numbers in its cells
ROWS = 16  # rows of a comparison
FAR, EVENT = "far from it", "far from it, with an event control"
TRAINING, TEST = "training", "test"


class Seen(NamedTuple):
    """One geo of what ``mm.explore`` saw, and how it is called."""

    one: xr.Dataset
    channels: list[str]
    outcome: str
    money: str  # "spend (EUR)"
    noun: str  # "week"
    where: str  # " in North" where the data are of one of several geos

    @classmethod
    def of(cls, found: xr.Dataset, geo: str | None) -> "Seen":
        """The geo asked for."""
        one, about = one_geo(found, geo), found.attrs
        name = str(one["geo"].to_numpy())
        where = "" if name in (NATIONAL, ALL) else f" in {name}"
        money, noun = with_unit("spend", about["currency"]), period_noun(about["freq"])
        channels = [str(name) for name in found["channel"].to_numpy()]
        return cls(one, channels, about["outcome"], money, noun, where)

    def by_period(self, heads: Sequence[str], **values: xr.DataArray) -> Any:
        """Columns channel, date, after, cell (the head of a channel) and those given."""
        each = {k: v.transpose("channel", "date").to_numpy() for k, v in values.items()}
        labels = {"channel": np.asarray(self.channels, object), "date": self.one["date"]}
        each |= {"cell": np.asarray(heads, object)[:, None]}
        return long(labels, {"after": self.one["in_test"].to_numpy()} | each)


def outcome(found: xr.Dataset, *, geo: str | None = None, width: int = p.WIDE) -> p.Layer:
    """The outcome over time, its rolling median, and the periods that stand apart."""
    seen = Seen.of(found, geo)
    one, name, noun = seen.one, seen.outcome, seen.noun
    level = f"median over {found.attrs['level_periods']} {noun}s"
    apart, event = (one[n].to_numpy().astype(bool) for n in ("outcome_outlier", "event"))
    z = np.where(apart & ~event, np.abs(one["outcome_z"].to_numpy()), 0.0)
    most = np.argsort(-z, kind="stable")[:NAMED]
    table: Any = pd.DataFrame({
        "date": found["date"].to_numpy(), "value": one["outcome"].to_numpy(),
        "level": one["outcome_level"].to_numpy(), "after": one["in_test"].to_numpy(),
        "state": np.select([apart & event, apart], [EVENT, FAR], ""),
        "named": (np.arange(len(z))[:, None] == most[z[most] > 0]).any(1),
    })  # fmt: skip
    n = int(apart.sum())
    count = f"{n} {noun}s stand" if n > 1 else f"{'one' if n else 'no'} {noun} stands"
    states = {
        k: x for k, x in {FAR: APART, EVENT: "#d9a441"}.items() if k in {*table["state"]}
    }
    paint = {name: MODEL, level: REST} | states
    base, y = p.chart(table).encode(x=p.dates()), p.grounded("value", zero=False)
    last = 0.8 * len(table)
    named = base.transform_window(_row="row_number()").transform_filter("datum.named")
    look: dict[str, Any] = {"color": MUTED, "dy": -9, "fontSize": 11}
    sides: Any = (("left", f"datum._row <= {last}"), ("right", f"datum._row > {last}"))
    places = np.flatnonzero(table["named"]) + 1
    there = {"left": (places <= last).any(), "right": (places > last).any()}
    said = alt.Text("date:T", format=p.DAYS)
    later = table["after"]
    known = 0 < later.sum() < len(later)
    drawn = p.layer(
        *(p.tinted(table, "after", "date", "test window") if known else []),
        series(base.mark_line(strokeWidth=2.6).encode(y="level:Q"), level, paint),
        series(base.mark_line(strokeWidth=1.2).encode(y=y), name, paint),
        series(base.mark_point(size=10).encode(y=y), name, paint),
        *(
            series(
                base.transform_filter(f"datum.state === '{state}'")
                .mark_point(size=60)
                .encode(y=y),
                state,
                paint,
            )
            for state in states
        ),
        *(
            named.transform_filter(rows)
            .mark_text(align=side, **look)
            .encode(y=y, text=said)
            for side, rows in sides
            if there[side]
        ),
        p.pointer(p.chart(table), "date", p.tips({"value": name, "level": level}, ",.4~s")),
    )
    title = capital(f"{name} a {noun}{seen.where}: {count} apart")
    low, high = (amount(getattr(table["value"], end)()) for end in ("min", "max"))
    about = f"{title}; from {low} to {high}"
    return p.titled(drawn, title, name, about, width, 280, hides="series", date="date")


def spend(
    found: xr.Dataset,
    *,
    geo: str | None = None,
    colours: Mapping[str, str] | None = None,
    width: int = p.WIDE,
) -> p.Facet | p.Layer:
    """Spend of every channel over time (media, if organic); each cell has its own scale."""
    seen, paid = Seen.of(found, geo), found["spend"].notnull().any(["geo", "date"])
    names, one = seen.channels, seen.one
    if not names:
        return p.nothing("There are no media", capital(seen.money), width=width)
    pairs = zip(names, paid.to_numpy(), strict=True)
    cells = [n if is_paid else f"{n}: media (organic)" for n, is_paid in pairs]
    value, apart = one["spend"].where(paid, one["media"]), one["media_outlier"].astype(bool)
    table = seen.by_period(cells, value=value, apart=apart)
    colour = p.by("channel", p.colours_for(names, colours), legend=None)
    tips = ["channel:N", p.DAY, *p.tips({"value": "value"}, ",.4~s")]
    base = p.Chart().encode(x=p.dates(ticks=4), y=p.grounded("value", ticks=3))
    later = table["after"]
    back = p.tinted(None, "after", "date") if 0 < later.sum() < len(later) else []
    marked = alt.condition("datum.apart", alt.value(1), alt.value(0))
    line = base.mark_line(interpolate="step", strokeWidth=1)
    drawn = p.layer(
        *back,
        base.mark_area(interpolate="step", opacity=0.4).encode(color=colour),
        line.encode(color=colour, tooltip=tips),
        base.mark_point(color=APART, size=45).encode(opacity=marked, tooltip=tips),
    )
    drawn = p.cells(drawn, table, "cell", cells, width, 90, 290)
    unit = "each has its own scale"
    unit += f"; red: far above the usual {seen.noun}" if table["apart"].any() else ""
    unit += "; tinted: the test window" if back else ""
    total = table.groupby("channel", sort=False)["value"].sum()
    about = ", ".join(f"{name} {amount(float(total[name]))}" for name in names)
    title = capital(f"{seen.money} a {seen.noun}{seen.where}, channel by channel")
    own: dict[str, Any] = {"hides": "channel", "date": "date"}
    return p.titled(drawn, title, unit, f"Totals: {about}", width, **own)


def spend_shares(
    found: xr.Dataset,
    *,
    geo: str | None = None,
    colours: Mapping[str, str] | None = None,
    width: int = p.WIDE,
) -> p.Layer:
    """Share of every channel in the paid spend of training, and how often it ran."""
    seen = Seen.of(found, geo)
    names, title = seen.channels, f"Spend in training{seen.where}, channel by channel"
    if not names:
        return p.nothing("There are no media", title, width=width)
    share, total, active = (
        seen.one[n].to_numpy() for n in ("spend_share", "spend_total", "active")
    )
    table = pd.DataFrame({
        "channel": names, "share": np.nan_to_num(share),
        "said": [f"{s:.1%}" if np.isfinite(s) else "organic" for s in share],
        "total": [amount(t) if np.isfinite(t) else "" for t in total],
        "on": [f"{a:.0%}" if np.isfinite(a) else "" for a in active],
    })  # fmt: skip
    rows = p.chart(table).encode(y=p.named_rows("channel", names))
    bars = rows.mark_bar(height={"band": 0.62}).encode(
        x=p.across("share", format="~%"),
        color=p.by("channel", p.colours_for(names, colours), legend=None),
        tooltip=["channel:N", *p.tips({"share": "share"}, ".1%")],
    )
    texts = {"said": "share", "total": seen.money, "on": f"{seen.noun}s on"}
    drawn = p.layer(bars, *p.aside(rows, texts))
    about = ", ".join(f"{n} {s}" for n, s in zip(names, table["said"], strict=True))
    own: dict[str, Any] = {"height": alt.Step(p.ROW), "hides": "channel"}
    return p.titled(drawn, title, "share of the paid spend", about, width, **own)


def against_outcome(
    found: xr.Dataset,
    *,
    geo: str | None = None,
    colours: Mapping[str, str] | None = None,
    width: int = p.WIDE,
) -> p.Facet | p.Layer:
    """Each channel's media against the outcome of the same period, with the correlation.

    The correlation is of the training periods, drawn full; test periods are hollow.
    """
    seen = Seen.of(found, geo)
    one, names, name, noun = seen.one, seen.channels, seen.outcome, seen.noun
    title = f"{name}{seen.where} against media of the same {noun}, with correlations"
    title = capital(title)
    if not names:
        return p.nothing("There are no media", title, width=width)
    r = [float(one["correlation"].sel(variable=channel)) for channel in names]
    pairs = zip(names, r, strict=True)
    heads = [f"{c}  r = {x:.2f}" if np.isfinite(x) else c for c, x in pairs]
    table = seen.by_period(heads, media=one["media"])
    table["outcome"] = np.tile(one["outcome"].to_numpy(), len(names))
    table = table.dropna(subset=["media", "outcome"])
    base = p.Chart().encode(
        x=p.across("media", ticks=3),
        y=p.grounded("outcome", ticks=4, zero=False),
        color=p.by("channel", p.colours_for(names, colours), legend=None),
        tooltip=["channel:N", p.DAY, *p.tips({"media": "media", "outcome": name}, ",.4~s")],
    )
    ring = base.transform_filter("datum.after").mark_point(size=26, filled=False)
    drawn = p.layer(
        base.transform_filter("!datum.after").mark_point(size=22, opacity=0.6),
        *([ring] if table["after"].any() else []),
    )
    unit = seen.money if one["media"].equals(one["spend"]) else "media"
    hollow = "; hollow: test" if table["after"].any() else ""
    said = f"{name} (up) by {unit} (across), a {noun} each{hollow}"
    drawn, about = p.cells(drawn, table, "cell", heads, width, 120), ", ".join(heads)
    return p.titled(drawn, title, said, f"{title}: {about}", width, hides="channel")


def correlations(
    found: xr.Dataset, *, variables: Sequence[str] | None = None, width: int = p.WIDE
) -> p.Layer:
    """Pairwise correlations within geos, in training: a matrix.

    Args:
        variables: Names of outcome, channels or controls; None: all of them if they are
            at most 14, else outcome and channels.
    """
    every = [str(name) for name in found["variable"].to_numpy()]
    few, left_out = len(every) <= READABLE, ""
    if variables is None:
        keep = found["kind"].to_numpy() != "control"
        variables = [n for n, kept in zip(every, keep, strict=True) if kept or few]
        left_out = "" if few else " of outcome and channels"
    for name in variables:
        if name not in every:
            fail("variables", name, "", listing(every, 30), "name what explore() found")
    index = [every.index(name) for name in variables]
    values = found["correlations"].to_numpy()[np.ix_(index, index)]
    n, names = len(index), np.asarray(variables, object)
    table = long({"row": names, "column": names}, {"value": values})
    size = alt.Axis(
        labelAngle=-40, labelLimit=140, ticks=False, domain=False, labelOverlap=False
    )
    base = p.chart(table).encode(
        x=alt.X("column:N", sort=list(variables), title=None, axis=size),
        y=p.named_rows("row", variables),
    )
    scale = alt.Scale(domain=[-1, 0, 1], range=DIVERGING, interpolate="rgb")
    drawn = base.mark_rect().encode(
        color=alt.Color("value:Q", scale=scale, legend=None),
        tooltip=["row:N", "column:N", *p.tips({"value": "correlation"}, ".2f")],
    )
    dark = alt.condition("abs(datum.value) > 0.65", alt.value("white"), alt.value(INK))
    texts = base.transform_filter("datum.row !== datum.column").mark_text(fontSize=11)
    shown = texts.encode(text=alt.Text("value:Q", format=".2f"), color=dark)
    number = float(found["condition_number"])
    title = f"Correlations{left_out}; condition number of the media {number:.1f}"
    apart = np.where(np.eye(n, dtype=bool), np.nan, values)
    about = title
    if np.isfinite(apart).any():
        i, j = divmod(int(np.nanargmax(np.abs(apart))), n)
        pair = f"{variables[i]} and {variables[j]}"
        about += f"; the strongest is {values[i, j]:.2f}, of {pair}"
    drawn = p.layer(drawn, *([shown] if n <= READABLE else []))
    height = alt.Step(28 if n <= 30 else 15)
    return p.titled(drawn, title, "of the training window", about, width, height)


def train_test(
    found: xr.Dataset,
    *,
    colours: Mapping[str, str] | None = None,
    width: int = p.WIDE,
) -> p.Layer:
    """How the means of the test window differ from training, and what lies beyond it.

    Of more than 16 rows: the outcome, channels, controls, those first that differ most.
    """
    if "smd" not in found:
        fail("found", sorted(map(str, found)), "", "the result of explore(panel, test)",
             "give the test panel to mm.explore")  # fmt: skip
    smd, kinds = found["smd"].to_numpy(), found["kind"].to_numpy()
    size = np.abs(np.nan_to_num(smd, posinf=1e9, neginf=-1e9))
    size += 1e12 * (kinds == "outcome") + 1e10 * (kinds == "media")
    rows = np.sort(np.argsort(-size, kind="stable")[:ROWS])
    limit = max(1.0, 1.15 * float(np.max(np.abs(smd[np.isfinite(smd)]), initial=0.0)))
    known = p.colours_for([str(name) for name in found["channel"].to_numpy()], colours)
    train, test, beyond = (
        found[n].to_numpy()[rows] for n in ("train_mean", "test_mean", "beyond")
    )
    names = [str(name) for name in found["variable"].to_numpy()[rows]]
    table = pd.DataFrame({
        "name": names, "value": smd[rows],
        "drawn": np.nan_to_num(smd[rows], posinf=limit, neginf=-limit),
        "colour": [INK if kind == "outcome" else known.get(name, MUTED)
                   for kind, name in zip(kinds[rows], names, strict=True)],
        "train": [amount(v) for v in train], "test": [amount(v) for v in test],
        "beyond": [in_percent(b, 0.01) if b > 0 else "" for b in beyond],
    })  # fmt: skip
    tips = p.tips({"value": "standard deviations"}, "+.2f")
    base = p.chart(table).encode(
        y=p.named_rows("name", names),
        color=alt.Color("colour:N", scale=None),
        tooltip=["name:N", *tips, "train:N", "test:N"],
    )
    drawn = p.layer(
        p.line_at("x", 0.0, color=MUTED),
        base.mark_rule(strokeWidth=2).encode(
            x=p.across("drawn", ticks=5, domain=[-limit, limit]), x2=alt.datum(0)
        ),
        base.mark_point().encode(x="drawn:Q"),
        *p.aside(base, {"train": TRAINING, "test": TEST, "beyond": "above range"}),
    )
    most = f", {ROWS} of {len(smd)} columns" if len(smd) > ROWS else ""
    first = max(range(len(rows)), key=lambda i: abs(table["drawn"][i]))
    about = f"{names[first]} differs most: {table['drawn'][first]:+.1f} standard deviations"
    unit = "difference of the means, standard deviations of training"
    return p.titled(drawn, f"Test against training{most}", unit, about, width, alt.Step(28))
