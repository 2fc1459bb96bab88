"""Pictures of a fleet: returns over markets, and how its markets ended."""

from collections.abc import Mapping, Sequence
from typing import Any

import altair as alt
import numpy as np
import pandas as pd

from mmmjax.checks import choice
from mmmjax.fleet import FleetReturns
from mmmjax.plot import picture as p
from mmmjax.plot.bins import FLEET, bins
from mmmjax.plot.colours import APART, GRID, INK, MODEL
from mmmjax.words import Return, amount, capital, span

__all__ = ["fleet_diagnostics", "fleet_forest", "fleet_spread"]

NAMED = 60  # markets up to which a forest names its rows
DRAWN = 1000  # markets in a forest; of more, evenly spaced ones
DOTS = 250  # markets of a channel beside the others, likewise
OWN, SHRUNK, TYPICAL = "its own, 94% interval", "given all markets", "the typical market"
TRUTH = "truth"
DIAMOND: dict[str, Any] = {"shape": "diamond", "stroke": "white", "strokeWidth": 1}
DIAMOND |= {"size": 90, "opacity": 1}
EVEN = ". Dotted: 1, where spend breaks even"


def fleet_forest(
    returns: FleetReturns,
    channel: str | None = None,
    *,
    outcome: str = "outcome",
    currency: str = "",
    truth: Mapping[str, float] | None = None,
    width: int = p.WIDE,
) -> p.Layer:
    """Every market's own ROAS of a channel, and the one given all markets.

    Args:
        channel: The channel drawn; None: the first, others to choose from.
        truth: True return by market, where it is known (simulated data); in money where
            ``returns`` is.

    Raises:
        InputError: A channel that no usable market has.
    """
    names = returns.channels["channel"].astype(str).tolist()
    if channel is not None:
        choice("channel", channel, names)
    asked = names if channel is None else [channel]
    every = [_market_rows(returns, name, truth or {}) for name in asked]
    long: Any = pd.concat(every, ignore_index=True)
    size = int(max([0, *(one["place"].max() + 1 for one in every if len(one))]))
    named, rough = size <= NAMED, bool(long["rough"].any())
    unit = Return(outcome, currency, returns.in_money or None)
    drawn = _forest(long, named, unit, _reach(returns, long["hi"]))
    drawn = p.choice_of(drawn, "channel", "channel", asked)
    title = "Each market's own return, and the one given all markets"
    below = (
        f"{unit.per} spent, sorted by its own. Markets that know little lean on the others"
    )
    below += "; hollow: its own posterior is not log-normal, rely on its interval" * rough
    below += f". {DRAWN:,} markets, evenly spaced in that order" * (size >= DRAWN)
    told_of = returns.channels.loc[returns.channels["channel"].astype(str).isin(asked)]
    said = "; ".join(_typical(told_of))
    about = f"Own and shrunk {unit.name} of every market. The typical market: {said}"
    height = alt.Step(step=22, **{"for": "position"}) if named else 430
    title = title if channel is None else f"{channel}: {title[0].lower()}{title[1:]}"
    below += EVEN * returns.in_money
    return p.titled(drawn, title, below, about, width, height, hides="kind")


def _forest(long: Any, named: bool, unit: Return, reach: float) -> p.Layer:
    """Both intervals of every market, over the typical one; rows with names, or without."""
    paint = {OWN: "#9aa5b1", SHRUNK: MODEL, TYPICAL: GRID}
    paint |= {TRUTH: INK} if (long["kind"] == TRUTH).any() else {}
    y: Any = alt.Y("place:Q", axis=None, scale=alt.Scale(reverse=True, nice=False))
    offset = {}
    if named:
        y = p.named_rows("market")
        y["sort"] = alt.EncodingSortField("place", op="min", order="ascending")
        offset["yOffset"] = alt.YOffset("kind:N", sort=[OWN, SHRUNK])
    base, line = p.chart(long), alt.StrokeWidth(value=2.4 if named else 0.6)
    pairs = base.transform_filter(alt.FieldOneOfPredicate("kind", [OWN, SHRUNK]))
    typical = base.transform_filter(f"datum.kind === '{TYPICAL}'")
    true = base.transform_filter(f"datum.kind === '{TRUTH}'")
    said = f"{unit.per} spent"
    x, low = (p.across(end, said, domain=[0, reach]) for end in ("mean", "lo"))
    colour, told = p.by("kind", paint, legend=p.SOLID), p.told(market="market")
    told += p.told(kind=unit.name) + p.tips({"mean": "mean", "lo": "94%: from", "hi": "to"})
    hollow = alt.condition("datum.rough", alt.value("white"), colour)
    return p.layer(
        typical.mark_rect(clip=True, opacity=0.7).encode(x=low, x2="hi:Q", color=colour),
        *_even(unit),
        pairs.mark_rule(clip=True, opacity=1 if named else 0.5).encode(
            x=low, x2="hi:Q", y=y, color=colour, strokeWidth=line, **offset
        ),
        pairs.mark_point(clip=True, size=45 if named else 8, opacity=1).encode(
            x=x, y=y, fill=hollow, stroke=colour, tooltip=told, **offset
        ),
        true.mark_point(clip=True, **DIAMOND).encode(x=x, y=y, color=colour, tooltip=told),
    )


def _market_rows(returns: FleetReturns, channel: str, truth: Mapping[str, float]) -> Any:
    """Intervals of one channel's markets, the highest own return first."""
    markets: Any = returns.markets
    rows = markets.loc[markets["channel"].astype(str) == channel]
    rows = _evenly(rows, "roas_mean", DRAWN)
    rows = rows.assign(
        channel=channel, market=rows["market"].astype(str), place=np.arange(len(rows))
    )
    kept = ["channel", "market", "place"]
    parts = []
    for name, kind in (("roas", OWN), ("shrunk", SHRUNK)):
        columns = {f"{name}_{end}": end for end in ("mean", "lo", "hi")}
        part = rows[[*kept, *columns]].rename(columns=columns)
        parts.append(
            part.assign(kind=kind, rough=rows["rough"].astype(bool) & (name == "roas"))
        )
    known = rows.loc[rows["market"].isin(list(truth)), kept]
    parts.append(
        known.assign(kind=TRUTH, rough=False, mean=known["market"].map(dict(truth)))
    )
    told: Any = returns.channels
    told = told.loc[told["channel"].astype(str) == channel].iloc[0]
    if np.isfinite(told["typical"]):
        ends = {"mean": told["typical"], "lo": told["typical_lo"], "hi": told["typical_hi"]}
        of = {"channel": channel, "kind": TYPICAL, "rough": False}
        parts.append(pd.DataFrame([of | ends]))
    return pd.concat([part for part in parts if len(part)], ignore_index=True)


def _evenly(rows: Any, by: str, most: int) -> Any:
    """Rows from the largest to the smallest; of many, so many of them evenly spaced."""
    few = np.linspace(0, len(rows) - 1, min(len(rows), most)).round().astype(int)
    return rows.sort_values(by, ascending=False, kind="stable").iloc[few]


def _reach(returns: FleetReturns, *values: Any) -> float:
    """Where an axis ends: past nearly all of the values, and past break-even."""
    found = np.concatenate([np.asarray(v, float) for v in values])
    known = found[np.isfinite(found)]
    reach = 1.08 * float(np.quantile(known, 0.98)) if known.size else 1.0
    return max(reach, 1.1) if returns.in_money else reach or 1.0


def _even(unit: Return) -> Sequence[Any]:
    """A dotted line at 1, where spend breaks even, if the return is of money."""
    one = p.line_at("x", 1.0, color=INK, strokeDash=[2, 2])
    return [] if unit.value is None else [one]


def _typical(channels: Any) -> list[str]:
    return [
        f"{row['channel']} {amount(row['typical'])} "
        f"({span(row['typical'], row['typical_lo'], row['typical_hi'])})"
        for row in channels.to_dict("records")
    ]


def fleet_spread(
    returns: FleetReturns,
    *,
    outcome: str = "outcome",
    currency: str = "",
    truth: Mapping[str, float] | None = None,
    colours: Mapping[str, str] | None = None,
    width: int = p.WIDE,
) -> p.Layer:
    """Every channel over its markets: the typical one, and where a new one would lie.

    Args:
        truth: True return of the typical market by channel, where it is known; in money
            where ``returns`` is.
    """
    long, names = _over_markets(returns, truth or {}), returns.channels["channel"]
    unit = Return(outcome, currency, returns.in_money or None)
    reach = _reach(returns, returns.markets["shrunk_mean"], returns.channels["new_hi"])
    paint = p.colours_for([str(name) for name in names], colours)
    drawn = _spread(long, unit, reach, paint)
    below = f"{unit.per} spent. Small dots: markets, each leaning on the others; ring and "
    below += "thick line: the typical (median) market; thin line: where a new one would lie"
    below += "; diamond: the truth" if truth else ""
    below += f". 94% intervals{EVEN * returns.in_money}"
    many = max(returns.channels["markets"].tolist(), default=0) > DOTS
    below += f". Of many markets {DOTS} are drawn" * many
    about = f"The typical market: {'; '.join(_typical(returns.channels))}"
    title = "What a channel returns over the markets"
    return p.titled(drawn, title, below, about, width, alt.Step(56), hides="channel")


def _over_markets(returns: FleetReturns, truth: Mapping[str, float]) -> Any:
    """A row for every market (kind, market, mean, place), and one for every channel."""
    told: Any = returns.channels.assign(channel=returns.channels["channel"].astype(str))
    markets: Any = returns.markets.assign(channel=returns.markets["channel"].astype(str))
    known = markets.loc[markets["shrunk_mean"].notna()]
    parts = []
    for row, name in enumerate(told["channel"]):
        own = _evenly(known.loc[known["channel"] == name], "shrunk_mean", DOTS)
        own = own[["channel", "market", "shrunk_mean"]]
        own = own.rename(columns={"shrunk_mean": "mean"}).assign(kind="market")
        parts.append(own.assign(place=np.random.default_rng(row).uniform(-1, 1, len(own))))
    ends = told[["new_lo", "new_hi"]].to_numpy(float)
    row = told[["channel", "typical", "typical_lo", "typical_hi", "new_lo", "new_hi"]]
    parts.append(
        row.assign(
            kind="channel",
            truth=told["channel"].map(dict(truth)).astype(float),
            count=[f"{n:,}" for n in told["markets"]],
            spread=[f"{lo:.2f} to {hi:.2f}" for lo, hi in ends],
        )
    )
    return pd.concat([part for part in parts if len(part)], ignore_index=True)


def _spread(long: Any, unit: Return, reach: float, paint: Mapping[str, str]) -> p.Layer:
    """Channels as rows: markets as dots below the typical one and what a new one has."""
    across = lambda field: p.across(field, f"{unit.per} spent", domain=[0, reach])
    base = p.chart(long).encode(
        y=p.named_rows("channel", list(paint)), color=p.by("channel", paint, legend=False)
    )
    row = base.transform_filter("datum.kind === 'channel'")
    dots = base.transform_filter("datum.kind === 'market'")
    said = {"typical": "typical market", "typical_lo": "94%: from", "typical_hi": "to"}
    tips = ["channel:N", *p.tips(said | {"new_lo": "a new market from", "new_hi": "to "})]
    place = alt.YOffset("place:Q", scale=alt.Scale(range=[26, 38]))
    return p.layer(
        *_even(unit),
        dots.mark_point(size=16, opacity=0.45, clip=True).encode(
            x=across("mean"),
            yOffset=place,
            tooltip=["market:N", *p.tips({"mean": unit.name})],
        ),
        row.mark_rule(clip=True, strokeWidth=1.6, opacity=0.6).encode(
            x=across("new_lo"), x2="new_hi:Q", tooltip=tips
        ),
        row.mark_rule(clip=True, strokeWidth=6, opacity=0.6).encode(
            x=across("typical_lo"), x2="typical_hi:Q", tooltip=tips
        ),
        row.mark_point(
            size=70, strokeWidth=2, fill="white", opacity=1, filled=False
        ).encode(x=across("typical"), tooltip=tips),
        row.transform_filter("isValid(datum.truth)")
        .mark_point(**DIAMOND)
        .encode(x=across("truth"), color=alt.value(INK), tooltip=p.tips({"truth": TRUTH})),
        *p.aside(row, {"spread": "new market", "count": "markets"}),
    )


def fleet_diagnostics(table: pd.DataFrame, *, width: int = p.WIDE) -> p.Facet:
    """How the sampler and the models did over the markets: four histograms."""
    parts, about = [], []
    for name, title, mark in FLEET:
        values: Any = np.sort(table[name].dropna().to_numpy(float))
        if not values.size:
            continue
        found = bins(values, mark)
        low, middle, high = (amount(float(x)) for x in np.quantile(values, [0, 0.5, 1]))
        about.append(f"{title}: median {middle}, from {low} to {high}")
        more = f" ({found.beyond:,} beyond in the last bar)" if found.beyond else ""
        ends = {"from": found.edges[:-1], "to": found.edges[1:], "markets": found.counts}
        part = pd.DataFrame({"what": f"{title}{more}"} | ends)
        marked = np.nan if found.mark is None else found.mark
        part["mark"] = np.where(part.index == 0, marked, np.nan)
        part["beyond"] = (part.index == len(part) - 1) & (found.beyond > 0)
        parts.append(part)
    columns = ["what", "from", "to", "markets", "mark", "beyond"]
    long: Any = pd.concat(parts or [pd.DataFrame(columns=columns)], ignore_index=True)
    base = p.Chart().transform_calculate(zero="0")
    x, y = p.across("from", ticks=4, zero=False), p.grounded("markets", None, "d", 4)
    told = p.tips({"from": "from", "to": "to"}) + p.tips({"markets": "markets"}, ",")
    apart = alt.condition("datum.beyond", alt.value(APART), alt.value(MODEL))
    drawn = p.layer(
        base.mark_rect(stroke="white", strokeWidth=1).encode(
            x=x, x2="to:Q", y=y, y2="zero:Q", fill=apart, tooltip=told
        ),
        base.transform_filter("isValid(datum.mark)")
        .mark_rule(color=INK, strokeDash=[2, 2])
        .encode(x="mark:Q"),
    )
    names = list(dict.fromkeys(long["what"]))
    drawn = p.cells(drawn, long, "what", names, width, 120, 300)
    unit = "markets. Dotted: where to look; red: a bar that has those beyond it too"
    return p.titled(drawn, "How the markets did", unit, ". ".join(about), width=None)


def statuses(counts: Mapping[str, int], bad: Sequence[str], width: int = p.WIDE) -> p.Layer:
    """How many markets ended how, in this order.

    Args:
        counts: How a market ended -> how many did.
        bad: The ways that need attention, in red.
        width: Pixels.
    """
    rows = [(capital(x), n, x in bad, f"{n:,}") for x, n in counts.items()]
    table = pd.DataFrame(rows, columns=["ended", "markets", "needs", "said"])
    base = p.chart(table).encode(y=p.named_rows("ended", table["ended"].tolist()))
    fill = alt.condition("datum.needs", alt.value(APART), alt.value(MODEL))
    drawn = p.layer(
        base.mark_bar().encode(x=p.across("markets", None, "d"), fill=fill),
        base.mark_text(align="left", dx=6).encode(x="markets:Q", text="said:N"),
    )
    said = ", ".join(f"{n:,} {name}" for name, n in counts.items())
    return p.titled(drawn, "How the markets ended", "markets", said, width, alt.Step(p.ROW))
