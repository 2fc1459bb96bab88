"""A plan in plain words: what changes, what it brings, how sure, and what holds it."""

from collections.abc import Mapping
from typing import Any

from mmmjax.budget.wording import TO_ROUNDING
from mmmjax.plot.labels import amount, in_percent, large
from mmmjax.reporting.evidence import Evidence, Planned
from mmmjax.reporting.sentences import (
    chance,
    direction,
    gain_text,
    if_it_holds,
    net_text,
    sure_text,
)

__all__ = ["facts", "findings", "is_mean"]

MOST = 4  # channels named in one finding
MEAN = ("mean_response", "mean_response()", "mean", "mean response")


def findings(found: Evidence, plan: Planned) -> list[tuple[str, str]]:
    """What a reader should know before spending, each with a word in front."""
    told = [
        ("What changes", _changes(found, plan)),
        ("What it brings", _brings(found, plan)),
        ("Is there a better plan?", _proven(plan.facts)),
        ("Levers", ". ".join(plan.facts.get("levers", {}).get("says", []))),
        ("The next money", _next(found, plan.facts)),
        ("What holds it back", _holds(found, plan)),
        ("Care", _beyond(found, plan.facts)),
    ]
    return [(head, text) for head, text in told if text]


def _changes(found: Evidence, plan: Planned) -> str:
    moved, unit = plan.moved, f" {found.currency}" if found.currency else ""
    more = sum(x for x in moved.values() if x > 0)
    less = -sum(x for x in moved.values() if x < 0)
    where, _ = direction(plan)
    where = f"{where[:1].upper()}{where[1:]}"
    whole = float(plan.sums["reference"].sum())
    each = f" a {found.period}" if plan.facts["per_period"] else ""
    if max(more, less) <= 0:
        return "Nothing: the plan is the reference."
    if abs(more - less) <= 1e-6 * whole:
        share = f", {in_percent(more / whole)} of all spend" if whole > 0 else ""
        return f"{where}: {large(more)}{unit}{each}{share}."
    return (
        f"{where}: {large(more)}{unit}{each} more and {large(less)} less, "
        f"{large(abs(more - less))} {'more' if more > less else 'less'} in all."
    )


def _brings(found: Evidence, plan: Planned) -> str:
    gain, sure = plan.gain, plan.probability
    more = "more" if gain.mean >= 0 else "less"
    _, _, interval = gain_text(found, plan).partition(", ")
    held = if_it_holds(found)
    how = "" if sure is None else f" It beats the reference {sure_text(plan)}{held}."
    text = f"{large(abs(gain.mean))} {found.outcome} {more} than the reference"
    if plan.net is not None:
        text = f"{net_text(found, plan)}: {text}"
    return f"{text} ({interval}).{how}"


def _proven(told: Mapping[str, Any]) -> str:
    """The proof without mathematics."""
    gap, starts = told["relative_gap"], told.get("starts", 0)
    if gap is None:
        best = f"the best of {starts} starts" if starts > 1 else "what the search found"
        return (
            f"Not known: it is {best}, and a better one may exist ({told['gap_reason']})."
        )
    if told["certified"]:
        return (
            "No: it is proven that none within the same bounds and limits is better by "
            "more than a millionth. That is so within the model; it says nothing about "
            "whether the model is right."
        )
    return (
        f"Perhaps: the search stopped early; up to {in_percent(gap)} more is not ruled out."
    )


def _next(found: Evidence, told: Mapping[str, Any]) -> str:
    price, unit = told.get("shadow_price"), told.get("utility_unit", found.outcome)
    spent, budget = told.get("spent", told["budget"]), told["budget"]
    if spent < budget * (1 - 1e-9):
        rest = f"{large(budget - spent)} of the {large(budget)} {told['currency']} stay "
        until = told.get("until_mroas")
        why = "more would not help within bounds and limits"
        if until is not None:
            why = f"the next {found.money} would bring less than {amount(until)}"
        return f"{rest}unspent: {why}."
    if price is None:
        return "Every channel is at its upper bound." if "shadow_price" in told else ""
    if price <= 0 and not told["certified"]:
        return ""  # a search that stopped early does not know it
    gain = f"{amount(price)} {unit or ''}".strip()
    if is_mean(told):
        return f"One more {found.money} of budget brings {gain}."
    what = str(told["utility"]).replace("_", " ").removesuffix("()")
    return f"One more {found.money} of budget adds {gain} to {what}."


def is_mean(told: Mapping[str, Any]) -> bool:
    """Whether what is maximised is the mean response itself."""
    return str(told["utility"]) in MEAN


def _holds(found: Evidence, plan: Planned) -> str:
    """The bounds and limits that cost most."""
    prices, unit = plan.prices, plan.facts.get("utility_unit") or "utility"
    unit += "" if is_mean(plan.facts) or unit == "utility" else " of utility"
    several = len(set(prices["geo"])) > 1
    prices = prices.assign(size=prices["bound_price"].fillna(0.0).abs())
    prices = prices.loc[(prices["size"] > 0) & prices["binding"].ne("free")]
    top = prices.sort_values("size", ascending=False).iloc[:MOST].to_dict("records")
    words = {"upper": "the most for", "lower": "the least for", "fixed": "what is fixed of"}
    said = [
        f"{words[row['binding']]} {row['channel']}{' in ' + row['geo'] if several else ''} "
        f"({amount(row['size'])})"
        for row in top
    ]
    more = len(prices) - len(top)
    said += [f"and {more} more"] if more > 0 else []
    said += [
        f"{limit['name']} ({amount(limit['price'])})"
        for limit in plan.facts.get("limits") or []
        if limit["binding"] and limit["price"] > 0
    ]
    if not said:
        return ""
    text = "; ".join(said)
    return (
        f"{text[:1].upper()}{text[1:]}. In brackets: what one {found.money} of room there "
        f"would bring, {unit}."
    )


def _beyond(found: Evidence, told: Mapping[str, Any]) -> str:
    """Channels planned beyond anything seen in training."""
    rows = told.get("extrapolated") or []
    if not rows:
        return ""
    several = len({row["geo"] for row in rows}) > 1
    said = [
        f"{row['channel']}{' in ' + row['geo'] if several else ''} gets "
        f"{large(row['spend'])} a {found.period}, the largest so far was "
        f"{large(row['largest'])}"
        for row in rows[:MOST]
    ]
    more = f"; and {len(rows) - MOST} more" if len(rows) > MOST else ""
    return f"{'; '.join(said)}{more}. There the curve is the model's shape, not data."


def facts(found: Evidence, plan: Planned) -> list[tuple[str, str]]:
    """What was asked, and how good the answer is."""
    told, noun = plan.facts, found.period
    each = f" a {noun}" if told["per_period"] else ""
    before, after = (amount(x) for x in plan.responses())
    most = "up to " if told.get("up_to") or told.get("until_mroas") is not None else ""
    pairs = [
        ("budget", f"{most}{amount(told['budget'])} {told['currency']}{each}"),
        ("window", f"{told['periods']} {noun}s, and the carry-over after them"),
        _aim(found, told),
        ("carry-in from earlier spend", str(told["carry_in"])),
        (f"response of the plan ({found.outcome})", after),
        ("response of the reference", before),
        *_utility(told),
        ("what the plan brings more", gain_text(found, plan)),
        *([("after the cost of media", net_text(found, plan))] if plan.net else []),
        ("better than the reference", f"{sure_text(plan)}{if_it_holds(found)}"),
        ("proof", _proof(told)),
        ("solver", str(told["status"])),
    ]
    if not told["reference_feasible"]:
        pairs.append(("note", "the reference itself breaks the bounds or the budget"))
    return pairs


def _aim(found: Evidence, told: Mapping[str, Any]) -> tuple[str, str]:
    """What was maximised, or what had to be reached."""
    target, sure = told.get("target"), told.get("probability")
    if target is None:
        return "maximised", str(told["utility"]).replace("_", " ").removesuffix("()")
    how = "on average" if sure is None else f"with probability {chance(sure)}"
    return "smallest spend that brings", f"{amount(target)} {found.outcome} {how}"


def _utility(told: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Both values of a utility that is not the mean response."""
    if is_mean(told):
        return []
    unit = f" {told.get('utility_unit') or ''}".rstrip()
    pair = (told["objective"], told["reference_objective"])
    return [("utility of plan and reference",
             f"{amount(pair[0])}{unit}, {amount(pair[1])}{unit}")]  # fmt: skip


def _proof(told: Mapping[str, Any]) -> str:
    gap = told["relative_gap"]
    if gap is None:
        return f"none: {told['gap_reason']}"
    word = "certified" if told["certified"] else "NOT certified"
    if gap <= TO_ROUNDING:
        return f"{word}: no better plan to rounding"
    return f"{word}: no plan is better by more than {gap:.1e} of the response"
