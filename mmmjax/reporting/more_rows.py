"""Tables of a report that are not of the fit alone: of its plan and of its backtest."""

from typing import Any

import numpy as np
import pandas as pd

from mmmjax.reporting.evidence import Evidence, Planned
from mmmjax.reporting.planned import is_mean
from mmmjax.reporting.rows import Cell, Table, written
from mmmjax.reporting.sentences import chance, if_it_holds
from mmmjax.standing import MMM, NAMES
from mmmjax.words import AFTER, amount, amounts, in_percent, large, span

__all__ = ["bounds", "folds", "limits", "parameters", "scenarios"]

MAX_ROWS = 200
MOST = 40  # rows of bounds


def folds(found: Evidence) -> Table | None:
    """A row a fold: what was tested, the scores, and those of simpler models."""
    table = found.table("backtest")
    if table is None:
        return None
    rows = table.loc[table["split"] == "test"]
    models = list(dict.fromkeys(rows["model"].astype(str)))
    baselines = [name for name in models if name != MMM]
    wide: Any = rows.set_index(["fold", "model"])
    body = []
    for fold in dict.fromkeys(rows["fold"]):
        if (fold, MMM) not in wide.index:
            continue
        row = wide.loc[(fold, MMM)]
        ends = [pd.Timestamp(row[c]) for c in ("test_start", "test_end")]
        days = [f"{day.day} {day:%b %Y}" for day in ends]
        others = [float(wide["crps"].get((fold, name), np.nan)) for name in baselines]
        score = float(row["crps"])
        body.append([
            Cell(str(fold)), Cell(" to ".join(days)), Cell(amount(score)),
            *(Cell(amount(other)) for other in others),
            *(Cell(_against(score, other)) for other in others),
            Cell(in_percent(float(row["mape"]))), Cell(written(float(row["r2"]), 2)),
            Cell(in_percent(float(row["coverage"]))), Cell(str(row["status"])),
        ])  # fmt: skip
    named = [NAMES.get(name, name) for name in baselines]
    heads = ["fold", "tested", "CRPS", *(f"CRPS, {name}" for name in named),
             *(f"better than {name} by" for name in named), "MAPE", "R²",
             "inside 94% interval", "status"]  # fmt: skip
    note = (
        f"CRPS in {found.outcome}, smaller is better; all scores are of the test periods."
    )
    unit = f"crps: {found.outcome}; other scores: none"
    return Table("backtest", heads, body, 2, note, table, unit)


def _against(score: float, other: float) -> str:
    """How much smaller a score is than another, as a share."""
    known = np.isfinite(score) and np.isfinite(other) and other > 0
    return f"{1 - score / other:+z.0%}" if known else ""


def parameters(found: Evidence) -> Table | None:
    """Estimates of every fold as they are."""
    table = found.table("backtest_parameters")
    if table is None:
        return None
    shown = table.iloc[:MAX_ROWS]
    rows = [
        [Cell(str(row["fold"])), Cell(str(row["parameter"])),
         Cell("" if row["index"] != row["index"] else str(row["index"])),
         *(Cell(amount(float(row[n]))) for n in ("mean", "lo", "hi"))]
        for row in shown.to_dict("records")
    ]  # fmt: skip
    cut = f"The first {MAX_ROWS} of {len(table):,} rows; the CSV file has all."
    note = cut if len(table) > MAX_ROWS else ""
    heads = ["fold", "parameter", "of", "mean", "94% from", "to"]
    unit = f"roas: {found.outcome} per {found.money}; others: scaled units of the model"
    return Table("backtest_parameters", heads, rows, 3, note, table, unit)


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
             f"{AFTER} the next {found.money} brings ({found.outcome})", "held at",
             f"one {found.money} beyond that limit would bring ({unit})"]  # fmt: skip
    cut = f" The {MOST} of {len(prices)} that are held most; the CSV file has all."
    even = plan.facts["certified"] and plan.facts.get("utility_unit") == found.outcome
    even = even and plan.facts.get("flighting") == "even" and is_mean(plan.facts)
    note = (
        "Channels that nothing holds return the same: money cannot be moved to do better."
    )
    note = f"{note if even else ''}{cut if len(prices) > MOST else ''}".strip()
    said = f"marginal: {found.outcome} per {found.money}; "
    said += f"bound_price: {unit} per {found.money}"
    return Table("plan_bounds", heads, rows, 1 + several, note, prices, said)


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
