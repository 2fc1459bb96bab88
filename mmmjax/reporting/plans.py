"""Figures and tables of a plan: what to spend, what it brings, when, and what holds it."""

from typing import Any

import numpy as np
import pandas as pd

from mmmjax.plot.arrays import density_of
from mmmjax.plot.colours import INK, MODEL, REST
from mmmjax.plot.labels import amount, amounts, capital, large, span, with_unit
from mmmjax.reporting import figure as f
from mmmjax.reporting.evidence import Evidence, Planned
from mmmjax.reporting.figure import Figure, Key
from mmmjax.reporting.rows import Cell, Table
from mmmjax.reporting.sentences import chance, if_it_holds

__all__ = ["allocation", "bounds", "flighting", "frontier", "limits", "responses",
           "scenarios"]  # fmt: skip

ROW = 34  # pixels of a row with a name
PLANS = {"reference": "#8a94a3", "optimized": MODEL}
WIDE = 1.6  # of the largest spend: ranges beyond it are cut
SHARE = 1e-6  # of its range within which a channel counts as at its bound


def allocation(found: Evidence, plan: Planned) -> Figure:
    """Reference and optimised spend of every channel, and the range it was allowed."""
    sums = plan.sums
    names, rows = [str(name) for name in sums.index], np.arange(len(sums))
    each = f"a {found.period}" if plan.facts["per_period"] else (
        f"over {plan.facts['periods']} {found.period}s")  # fmt: skip
    upper = np.where(np.isfinite(sums["upper"]), sums["upper"], sums["optimized"])
    data: list[dict[str, Any]] = []
    paint = [found.colours.get(name, REST) for name in names]
    for column, shift, colour in (("reference", -0.2, REST), ("optimized", 0.2, paint)):
        label = "optimised" if column == "optimized" else column
        data.append({
            "type": "bar", "orientation": "h", "name": label, "legendgroup": label,
            "y": (rows + shift).tolist(), "x": f.numbers(sums[column]), "width": 0.36,
            "marker": {"color": colour}, "text": amounts(sums[column]),
            "textposition": "none",
            "hovertemplate": f.hover("%{text}", found.currency),
        })  # fmt: skip
    data.append({
        "type": "scatter", "mode": "lines+markers", "name": "allowed range",
        "legendgroup": "allowed range", "line": {"color": INK, "width": 1},
        "marker": {"symbol": "line-ns", "size": 9, "line": {"width": 1.5, "color": INK}},
        "x": [x for lo, hi in zip(f.numbers(sums["lower"]), f.numbers(upper), strict=True)
              for x in (lo, hi, None)],
        "y": [y for row in (rows + 0.2).tolist() for y in (row, row, None)],
        "connectgaps": False, "hoverinfo": "skip",
    })  # fmt: skip
    held = _held(sums)
    data += _marks(sums, held)
    keys = [Key("reference", REST, "area"), Key("optimised", MODEL, "area"),
            Key("allowed range", INK)]  # fmt: skip
    keys += [Key("held at an end of it", INK, "diamond", "held")] if any(held) else []
    largest = float(sums[["reference", "optimized"]].to_numpy().max()) or 1.0
    cut = bool((upper > WIDE * largest).any())
    x = {"range": [0, WIDE * largest]} if cut else {"rangemode": "tozero"}
    said = zip(names, amounts(sums["reference"]), amounts(sums["optimized"]), strict=True)
    height = 70 + int(1.5 * ROW * len(names))
    more = " Ranges that go on beyond the picture are cut." if cut else ""
    diamond = "; a bar that ends in a diamond is held there" if any(held) else ""
    return Figure(
        "allocation", capital(plan.direction[0]), data, f.rows_of(names, **x),
        "From reference to optimised: " + ", ".join(f"{n} {a} to {b}" for n, a, b in said),
        unit=f"{with_unit('spend', found.currency)} {each}, reference and optimised",
        caption=f"The thin line is the range that was allowed{diamond}.{more}",
        legend=keys, height=height, phone=height,
    )  # fmt: skip


def _held(sums: pd.DataFrame) -> list[str]:
    """Which end of its range holds each channel over all geos; empty: none."""
    lower, upper, money = (sums[n].to_numpy(float) for n in ("lower", "upper", "optimized"))
    room = np.where(np.isfinite(upper), upper - lower, np.inf)
    near = np.where(np.isfinite(room), SHARE * room, 0.0)
    cases = [room <= 0, upper - money <= near, money - lower <= near]
    return np.select(cases, ["fixed", "most", "least"], "").tolist()


def _marks(sums: pd.DataFrame, held: list[str]) -> list[dict[str, Any]]:
    rows = [i for i, word in enumerate(held) if word]
    if not rows:
        return []
    words = {"most": "its most", "least": "its least", "fixed": "a fixed spend"}
    return [{
        "type": "scatter", "mode": "markers", "name": "held", "legendgroup": "held",
        "x": f.numbers(sums["optimized"].to_numpy()[rows]), "y": [i + 0.2 for i in rows],
        "text": [f"held at {words[held[i]]}" for i in rows], "cliponaxis": False,
        "marker": {"symbol": "diamond", "size": 9, "color": INK,
                   "line": {"width": 1, "color": "white"}},
        "hovertemplate": "%{text}<extra></extra>",
    }]  # fmt: skip


def responses(found: Evidence, plan: Planned) -> Figure | None:
    """Distribution of what both plans bring, draw by draw."""
    draws = plan.more.get("draws")
    if draws is None or len(draws) < 2:
        return None
    data: list[dict[str, Any]] = []
    keys, means = [], []
    for column, colour in PLANS.items():
        values = draws[column].to_numpy(float)
        label = "plan" if column == "optimized" else column
        x, y = density_of(values, 160)
        text = f"mean {large(values.mean())}"
        data.append({
            "type": "scatter", "mode": "lines", "name": label, "legendgroup": label,
            "x": f.numbers(x), "y": f.numbers(y), "fill": "tozeroy",
            "fillcolor": f.flag(colour, 0.2), "line": {"color": colour, "width": 2},
            "hovertemplate": f.hover(f"%{{x:{f.number_format(values)}}}", found.outcome),
        })  # fmt: skip
        top = float(np.interp(values.mean(), x, y))
        data.append({
            "type": "scatter", "mode": "lines", "name": f"{label}, mean",
            "legendgroup": label, "x": f.numbers([values.mean()] * 2),
            "y": f.numbers([0.0, top]),
            "line": {"color": colour, "width": 2, "dash": "dot"},
            "hovertemplate": f"{text}<extra>{label}</extra>",
        })  # fmt: skip
        keys.append(Key(f"{label}: {text}", colour, "area", label))
        means.append(float(values.mean()))
    more = "more" if means[1] >= means[0] else "less"
    gain, sure = plan.gain, plan.probability
    how = "" if sure is None else f"; more with probability {chance(sure)}"
    how += if_it_holds(found)
    return Figure(
        "plan_responses", f"The plan brings {large(abs(gain.mean))} {found.outcome} {more}",
        data,
        {"xaxis": {"fixedrange": True}, "hovermode": "closest",
         "yaxis": {"visible": False, "rangemode": "tozero", "fixedrange": True}},
        f"Response of the reference {large(means[0])} and of the plan {large(means[1])}",
        unit=f"{found.outcome} from paid media over the window, posterior distribution",
        caption=f"Dotted: means. Both are sure or unsure together: the difference is "
        f"{span(*gain)} (94% interval){how}.",
        legend=keys, height=300, phone=260,
    )  # fmt: skip


def flighting(found: Evidence, plan: Planned) -> Figure | None:
    """Planned spend of every period, where it is not the same in all."""
    table = plan.more.get("periods")
    if table is None or table.empty:
        return None
    wide = table.pivot_table("spend", "period", "channel", aggfunc="sum", sort=False)
    dated = not pd.api.types.is_numeric_dtype(wide.index)
    x = f.dates(pd.to_datetime(wide.index)) if dated else wide.index.tolist()
    data = [
        {"type": "bar", "name": f.plain(name), "legendgroup": name, "x": x,
         "y": f.numbers(wide[name]),
         "marker": {"color": found.colours.get(name, REST)},
         "hovertemplate": f.hover(f"%{{y:{f.number_format(wide[name])}}}", found.currency)}
        for name in map(str, wide.columns)
    ]  # fmt: skip
    whole = wide.sum(axis=1)
    low, high = large(float(whole.min())), large(float(whole.max()))
    axis = f.days(f"spend a {found.period}") if dated else {"fixedrange": True}
    return Figure(
        "plan_periods", f"When to spend it: {low} to {high} a {found.period}", data,
        {"barmode": "stack", "bargap": 0.15, "hovermode": "x unified", "xaxis": axis,
         "yaxis": {"fixedrange": True, "rangemode": "tozero"}},
        f"Planned spend of each {found.period}, from {low} to {high}",
        unit=f"{with_unit('spend', found.currency)} a {found.period}",
        legend=[Key(name, found.colours.get(name, REST), "area")
                for name in map(str, wide.columns)],
        height=300, phone=260,
    )  # fmt: skip


def frontier(found: Evidence, plan: Planned) -> Figure | None:
    """What the best plan of every budget brings, and where both plans stand."""
    table = plan.more.get("frontier")
    if table is None or len(table) < 2:
        return None
    table = table.sort_values("budget")
    budget, mean, lo, hi, price = (
        table[n].to_numpy(float)
        for n in ("budget", "response_mean", "response_lo", "response_hi", "shadow_price")
    )
    x = f.numbers(budget)
    told = [
        f"budget {large(b)} {found.currency}<br>{large(m)} {found.outcome} (94%: "
        f"{span(m, a, z)})<br>the next {found.money} brings {amount(p) or 'nothing'}"
        for b, m, a, z, p in zip(budget, mean, lo, hi, price, strict=True)
    ]
    line = {"type": "scatter", "mode": "lines+markers", "name": "best plan",
            "legendgroup": "best", "x": x, "y": f.numbers(mean), "text": told,
            "line": {"color": MODEL, "width": 2}, "marker": {"size": 6},
            "hovertemplate": "%{text}<extra></extra>"}  # fmt: skip
    spends = [float(plan.sums[n].sum()) for n in ("reference", "optimized")]
    marks = {
        "type": "scatter", "mode": "markers", "name": "plans", "legendgroup": "plans",
        "x": f.numbers(spends), "y": f.numbers(plan.responses()),
        "text": ["reference", "plan"],
        "marker": {"symbol": ["diamond-open", "diamond"], "size": 11, "color": INK},
        "hovertemplate": f"%{{text}}: %{{y:{f.number_format(mean)}}} "
        f"{f.plain(found.outcome)}<extra></extra>",
    }  # fmt: skip
    each = f"a {found.period}" if plan.facts["per_period"] else "over the window"
    growth, times = budget[-1] / budget[0], mean[-1] / mean[0] if mean[0] > 0 else np.nan
    title = "What other budgets would bring"
    if np.isfinite(times):
        title = f"{growth:.2g} times the budget brings {times:.2g} times as much"
    known = price[np.isfinite(price) & (price > 0)]
    ends = [amount(p) for p in known[[0, -1]]] if np.isfinite(price).all() and (
        known.size == price.size) else []  # fmt: skip
    last = (
        f" The next {found.money} brings {ends[0]} {found.outcome} at the lowest budget "
        f"and {ends[1]} at the highest."
    ) if ends else ""  # fmt: skip
    return Figure(
        "frontier", title, [*f.band(x, lo, hi, MODEL, "94%", "interval"), line, marks],
        {"xaxis": {"fixedrange": True, "title": {
            "text": f"{with_unit('budget', f.plain(found.currency))} {each}"}},
         "yaxis": {"fixedrange": True, "rangemode": "tozero"}},
        f"Response of the best plan from a budget of {large(budget[0])} to "
        f"{large(budget[-1])}: {large(mean[0])} to {large(mean[-1])}",
        unit=f"{found.outcome} from paid media, best plan of every budget",
        caption=f"Bounds that are multiples of the reference grow with the budget.{last}",
        legend=[Key("best plan (mean)", MODEL, "line", "best"),
                Key("94% interval", MODEL, "band", "interval"),
                Key("reference (hollow) and plan", INK, "diamond", "plans")],
        height=340, phone=290,
    )  # fmt: skip


def scenarios(found: Evidence, plan: Planned) -> Table | None:
    """All plans that were compared, one a row."""
    table = plan.more.get("scenarios")
    if table is None or table.empty:
        return None
    whole, said = table.loc[table["channel"] == "ALL"], found.returned
    money = amounts(whole["spend"])
    rows = []
    for spend, row in zip(money, whole.to_dict("records"), strict=True):
        gain, sure = row["gain_mean"], row["probability_better"]
        known = bool(np.isfinite(gain) and np.isfinite(sure))  # not of the first
        roas = [said.times * row[f"roas{e}"] for e in ("", "_lo", "_hi")]
        rows.append([
            Cell(str(row["plan"])), Cell(spend), *_spread(row, "response"),
            *(_spread(row, "gain") if known else [Cell("")]),
            Cell(chance(sure) if known else ""),
            Cell(amount(roas[0]), span(*roas)),
            Cell("yes" if str(row["extrapolated"]) == "True" else ""),
        ])  # fmt: skip
    unit = f" ({found.currency})" if found.currency else ""
    heads = ["plan", f"spend{unit}", f"response ({found.outcome})", "more than the first",
             "with probability", said.name, "beyond past spend"]  # fmt: skip
    held = if_it_holds(found).removeprefix(", ")
    note = "Small print: 94% interval. The CSV file has every channel."
    note += f" All of it {held}." if held else ""
    unit = f"spend: {found.currency or 'money'}; response, gain: {found.outcome}; roas: "
    unit += f"{found.outcome} per {found.money}; net: {found.currency or 'money'}"
    return Table("scenarios", heads, rows, 1, note, table, unit)


def _spread(row: dict[str, Any], name: str) -> list[Cell]:
    values = [row[f"{name}_{end}"] for end in ("mean", "lo", "hi")]
    return [Cell(large(values[0]), span(*values))]


def bounds(found: Evidence, plan: Planned) -> Table | None:
    """What the next money returns in every channel, and what its bound costs."""
    prices = plan.prices
    if prices.empty:
        return None
    several = len(set(prices["geo"])) > 1
    held = np.abs(prices["bound_price"].fillna(0.0).to_numpy(float))
    shown = prices.iloc[np.argsort(-held, kind="stable")[:MOST]]
    words = {"upper": "its most", "lower": "its least", "fixed": "fixed"}
    rows = []
    for row in shown.to_dict("records"):
        at, price = words.get(row["binding"], ""), row["bound_price"] or 0.0
        which = "" if not at else ("more" if price > 0 else "less")
        names = [row["geo"], row["channel"]] if several else [row["channel"]]
        brings = f"{amount(abs(price))} ({which})" if at and price else ""
        rows.append([*map(Cell, map(str, names)), Cell(amount(row["marginal"])), Cell(at),
                     Cell(brings)])  # fmt: skip
    unit = plan.facts.get("utility_unit") or "utility"
    heads = [*(["geo"] if several else []), "channel",
             f"the next {found.money} brings ({found.outcome})", "held at",
             f"one {found.money} of room brings ({unit})"]  # fmt: skip
    cut = f" The {MOST} of {len(prices)} that are held most; the CSV file has all."
    even = plan.facts["certified"] and plan.facts.get("utility_unit") == found.outcome
    even = (
        even
        and plan.facts.get("flighting") == "even"
        and str(plan.facts["utility"]).removesuffix("()") in MEAN
    )
    note = (
        "Channels that nothing holds return the same: money cannot be moved to do better."
    )
    note = f"{note if even else ''}{cut if len(prices) > MOST else ''}".strip()
    said = f"marginal: {found.outcome} per {found.money}; "
    said += f"bound_price: {unit} per {found.money}"
    return Table("plan_bounds", heads, rows, 1 + several, note, prices, said)


MEAN = ("mean_response", "mean", "mean response")
MOST = 40  # rows of bounds


def limits(found: Evidence, plan: Planned) -> Table | None:
    """Every limit besides bounds and budget, and what it costs."""
    told = plan.facts.get("limits") or []
    if not told:
        return None
    rows = []
    for limit in told:
        share = "of what is spent" in limit["name"]  # its value is a difference
        price = limit["price"] if limit["binding"] else 0.0
        rows.append([
            Cell(limit["name"]), Cell("" if share else amount(limit["value"] or 0.0)),
            Cell("reached" if limit["binding"] else "kept"),
            Cell(amount(price) if price else ""),
        ])  # fmt: skip
    unit = plan.facts.get("utility_unit") or "utility"
    heads = ["limit", "the plan has", "",
             f"easing it by one {found.money} brings ({unit})"]  # fmt: skip
    said = f"value: {found.currency or 'money'}; price: {unit} per {found.money}"
    return Table("plan_limits", heads, rows, 1, "", pd.DataFrame(told), said)
