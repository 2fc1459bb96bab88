"""A plan in words: the table, the gain, the proof and what to know before spending."""

import ast
from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from mmmjax import words
from mmmjax.budget.record import CERTIFIED_GAP, UNJUDGED, Gain, Limit, PlanRecord
from mmmjax.checks import Phrase, amount, listing
from mmmjax.findings import Finding
from mmmjax.shapes import CAMPAIGN, CHANNEL, GEO
from mmmjax.words import AFTER, in_percent

__all__ = [
    "KEEP",
    "TO_ROUNDING",
    "condition",
    "direction",
    "facts",
    "findings",
    "flighted",
    "is_mean",
    "levers",
    "parts",
    "proof",
    "said",
    "short",
    "spent",
    "text",
    "unit_of",
]

MOST_ROWS = 16  # a longer table is shown by channel, summed over geos
MOST_NOTES = 6  # channels named in notes
MOST_PRICES = 3  # bounds whose price is said
KEEP = "keep the split"
LEAST_MOVED = 0.005  # of all spend: smaller changes of a channel are not named
CERTAIN = 0.995  # probabilities beyond it are not written as 1
DECISIVE = 0.9  # probability of a gain from which a plan is not called "not decisive"
UNITS = ((1e9, " bn"), (1e6, " M"))
EVEN = 1e-6  # share of a period's mean spend within which a flighting counts as even
TO_ROUNDING = 1e-12  # relative gap that says no more than 0
ONE = "one decision each, its split over geos as in the last period of training"
SPLIT = "every channel is shared out over geos as in the reference"
NOTHING = 1e-3  # share of a channel's mean period below which a period is off

OF_OUTCOME = {
    "mean_response", "mean_tightness", "value_at_risk", "conditional_value_at_risk",
    "adjusted_value_at_risk", "expected_shortfall", "tail_distance",
}  # fmt: skip
"""Utilities whose value is in outcome units."""


def text(plan: PlanRecord, noun: str = "period") -> str:
    """What to spend, what it brings and how sure that is the best.

    Args:
        plan: The plan.
        noun: What a period is called.
    """
    told, heads, rows = parts(plan, noun)
    first, *lines = told.splitlines()
    return "\n  ".join([first, *words.lines(heads, rows), *lines])


def parts(plan: PlanRecord, noun: str = "period") -> tuple[str, list[str], list[list[str]]]:
    """The same in parts: the lines without the table, its heads and its rows."""
    lines = [
        f"{one.code:<11}{one.what}" for one in (*facts(plan, noun), *findings(plan, noun))
    ]
    return "\n".join([_head(plan, noun), *lines]), *_table(plan)


def facts(plan: PlanRecord, noun: str = "period") -> tuple[Finding, ...]:
    """What a plan brings, how sure that is, and what holds it, a record each.

    Terminal, notebook, plan.json and report print these and :func:`findings`.
    """
    gap, better = plan.relative_gap, plan.net_gain or plan.gain
    price = plan.shadow_price
    mean = float(plan.response.sel(plan="optimized").mean())
    named: list[tuple[str, list[str], float | None]] = [
        ("change", _change(plan), None),
        ("response", [_response(plan)], mean),
        ("utility", _utility(plan), plan.objective),
        ("gain", [_gain(plan)], plan.gain.mean),
        ("net", _net(plan), better.mean),
        ("proof", [proof(plan)], gap if gap is not None and np.isfinite(gap) else None),
        ("levers", levers(plan, noun), None),
        ("next", [_next(plan)], price),
        ("range", [plan.bounds_are] if plan.bounds_are else [], None),
        ("campaigns", _campaigns(plan), None),
        ("split", [SPLIT] if plan.fixed_geo_split else [], None),
        ("national", [f"{listing(plan.national, 12)}: {ONE}"] if plan.national else [],
         None),
        ("bounds", _bounds(plan), None),
        ("limit", [_limit(plan, limit) for limit in plan.limits], None),
        (f"{noun}s", _flighting(plan, noun), None),
    ]  # fmt: skip
    return tuple(
        Finding("warning" if code == "proof" and not plan.certified else "note", code, line,
                value=value)
        for code, lines, value in named
        for line in lines
    )  # fmt: skip


def findings(plan: PlanRecord, noun: str = "period") -> tuple[Finding, ...]:
    """What to know before spending: of the curves, of the models, of the comparison."""
    notes = []
    for kind in ("sampled", "adequate"):
        verdicts = [getattr(judged, kind) for judged in plan.judged]
        wrong = [verdict.sentence for verdict in verdicts if not verdict.ok]
        which = f"{len(wrong)} of {len(plan.fits)} models: " if len(plan.fits) > 1 else ""
        notes += [which + wrong[0]] if wrong else []
    if len(plan.fits) < plan.n_fits:
        text = f"whether the data contradict these {plan.n_fits} models is not judged here"
        notes.append(f"{text}, nor whether they are sampled well: fleet.table says it")
    verdicts = [Finding("serious", "note", text) for text in notes]
    return (*of_curves(plan, noun), *verdicts, *_limited(plan, noun))


def of_curves(plan: PlanRecord, noun: str) -> list[Finding]:
    """Where a plan leans on the curve beyond anything seen."""
    return [Finding("warning", "beyond", line) for line in _beyond(plan, noun)]


def said(plan: PlanRecord) -> list[str]:
    """What is logged of a plan: the proof, and all but the verdicts on its models."""
    beyond = [f"beyond: {one.what}" for one in of_curves(plan, "period")]
    limited = [one.what for one in _limited(plan, "period")]
    return [f"proof: {proof(plan)}", *beyond, *limited]


def direction(moved: Mapping[str, float], whole: float) -> tuple[str, list[str]]:
    """Which way money moves, in words, and where it goes to.

    Args:
        moved: More (below 0: less) money of every channel.
        whole: All money of the reference.
    """
    ordered, least = sorted(moved.items(), key=lambda pair: pair[1]), LEAST_MOVED * whole
    down = [name for name, money in ordered if money < -least]
    up = [name for name, money in ordered[::-1] if money > least]
    if up and down:
        return f"move money from {_few(down)} to {_few(up)}", up
    if up:
        return f"spend more on {_few(up)}", up
    return (f"spend less on {_few(down)}" if down else KEEP), up


def money_of(plan: PlanRecord) -> str:
    """Label of money as it follows a number."""
    return f" {plan.currency}" if plan.currency else ""


def _few(names: Sequence[str]) -> str:
    """``a, b and c``; of more than three two, and how many more."""
    return listing(map(Phrase, names), 3 if len(names) <= 3 else 2)


def _change(plan: PlanRecord) -> list[str]:
    """Which way money moves, and how much."""
    more = (plan.optimized - plan.reference).sum(GEO)
    moved = dict(zip(map(str, more[CHANNEL].values), more.values.tolist(), strict=True))
    up, whole = sum(x for x in moved.values() if x > 0), float(plan.reference.sum())
    if not whole > 0 or not any(moved.values()):
        return []
    where, _ = direction(moved, whole)
    total = sum(moved.values())
    size = f"{short(up)}{money_of(plan)}, {in_percent(up / whole)} of all spend"
    if abs(total) > EVEN * whole:
        size = f"{short(up)}{money_of(plan)} more and {short(up - total)} less"
    return [f"{where}: {size}"]


def _campaigns(plan: PlanRecord) -> list[str]:
    """Shares of campaigns in their channels, as they were and as planned."""
    if (table := plan.campaigns) is None:
        return []
    lines = []
    sides = table[["reference", "optimized"]].to_numpy(np.float64)
    for channel in dict.fromkeys(table[CHANNEL]):
        own = table[CHANNEL].to_numpy() == channel
        each = table[CAMPAIGN].to_numpy()[own]
        names = list(dict.fromkeys(each.tolist()))
        money = (each == np.array(names, object)[:, None]) @ sides[own]
        if not (money.sum(0) > 0).all():
            continue
        before, after = (money / money.sum(0)).T
        moved = [
            f"{names[k]} {in_percent(before[k])} to {in_percent(after[k])}"
            for k in np.argsort(-np.abs(after - before), kind="stable")
        ]
        lines.append(f"share of {channel}: {listing(map(Phrase, moved), MOST_NOTES)}")
    return lines


def _head(plan: PlanRecord, noun: str) -> str:
    each, total = f" a {noun}" if plan.per_period else "", spent(plan)
    money = f"{amount(total)}{money_of(plan)}{each}"
    if plan.at_most and total < plan.budget * (1 - 1e-9):
        money = f"{amount(total)} of up to {amount(plan.budget)}{money_of(plan)}{each}"
    noun += "s" if plan.periods > 1 else ""
    if plan.quarter:
        noun += " (a quarter, as no length was asked for)"
    return (
        f"Plan: {money} over {plan.periods} {noun}, {_aim(plan)}, carry-in "
        f"{plan.carry_in}; reference: {_reference(plan)}"
    )


def _aim(plan: PlanRecord) -> str:
    """What was asked for."""
    if plan.target is not None:
        how = "on average"
        if plan.probability is not None:
            how = f"with probability {plan.probability:g}"
        return f"the least that brings {amount(plan.target)} {plan.outcome_name} {how}"
    until = plan.until_mroas
    stop = "" if until is None else f" as long as one more unit brings {amount(until)}"
    if until is not None and plan.outcome_value is not None and is_mean(plan):
        stop += f" (returns {amount(until * plan.outcome_value)})"
    return f"maximal {plan.utility}{stop}"


def spent(plan: PlanRecord) -> float:
    """Money of the whole plan, in its unit."""
    return float(plan.optimized.sum())


def is_mean(plan: PlanRecord) -> bool:
    """Whether the utility is the mean response itself."""
    return plan.utility in ("mean_response", "mean_response()")


def unit_of(plan: PlanRecord) -> str:
    """Unit of the utility: the outcome's name, outcome per money, or empty."""
    try:
        kind = _kind(ast.parse(plan.utility, mode="eval").body)
    except SyntaxError:
        kind = ""
    money = plan.currency or "unit of money"
    return {
        "outcome": plan.outcome_name, "return": f"{plan.outcome_name} per {money}",
        "money": plan.currency or "money",
    }.get(kind, "")  # fmt: skip


def _kind(node: ast.AST) -> str:
    """ "outcome", "return" (outcome per money), "number", or empty: a unit of its own."""
    match node:
        case ast.Constant() | ast.UnaryOp(operand=ast.Constant()):
            return "number"
        case ast.Name(id=name):
            return "money" if name == "profit" else "outcome" if name in OF_OUTCOME else ""
        case ast.Call(func=ast.Name(id="roas"), args=given, keywords=named):
            inner = [*given, *(x.value for x in named)]
            same = not inner or _kind(inner[0]) == "outcome"
            return "return" if same else ""
        case ast.Call(func=ast.Name() as name):
            return _kind(name)
        case ast.UnaryOp(operand=operand):
            return _kind(operand)
        case ast.BinOp(left=left, op=ast.Add() | ast.Sub(), right=right):
            kinds = {_kind(left), _kind(right)} - {"number"}
            return kinds.pop() if len(kinds) == 1 else ""
        case ast.BinOp(left=left, op=ast.Mult() | ast.Div(), right=right):
            kinds = [_kind(left), _kind(right)]
            kinds.remove("number") if "number" in kinds else None
            return kinds[0] if len(kinds) == 1 else ""
    return ""


def _reference(plan: PlanRecord) -> str:
    """Where the reference comes from, and what it spends."""
    total = short(float(plan.reference.sum()))
    if "scaled" in plan.reference_is:
        return f"past split scaled to {total}"
    return f"{plan.reference_is} ({total})"


def _response(plan: PlanRecord) -> str:
    after, before = (
        float(plan.response.sel(plan=name).mean()) for name in ("optimized", "reference")
    )
    share = f" ({after / before - 1:+.2%})" if before > 0 else ""
    return f"{amount(after)} {plan.outcome_name}, reference {amount(before)}{share}"


def _utility(plan: PlanRecord) -> list[str]:
    """The utility of both plans, where it is not the mean response."""
    if is_mean(plan):
        return []
    after, before = plan.objective, plan.reference_objective
    share = f" ({after / before - 1:+.2%})" if before > 0 else ""
    unit = f" {unit_of(plan)}" if unit_of(plan) else ""
    return [f"{amount(after)}{unit}, reference {amount(before)}{share}: {plan.utility}"]


def _gain(plan: PlanRecord) -> str:
    spends = plan.optimized.to_numpy(), plan.reference.to_numpy()
    if np.allclose(*spends, rtol=1e-9, atol=1e-9 * plan.budget) and not flighted(plan):
        return "none: the plan is the reference"
    gain, better = plan.gain, plan.probability_better
    sure = f", {_better(plan, better)}"
    sure = sure if plan.outcome_value is None else ""  # the net says whether it is better
    before = float(plan.reference.sum())
    more = spent(plan) - before
    cost = f", for {short(abs(more))} {'more' if more > 0 else 'less'} money"
    cost = cost if abs(more) > 1e-6 * before else ""
    return f"{_signed(gain, f' {plan.outcome_name}')}{sure}{cost}"


def _net(plan: PlanRecord) -> list[str]:
    """What the plan brings after its cost, against the reference and of its own."""
    value, net, better = plan.outcome_value, plan.net_gain, plan.probability_net_gain
    if value is None or net is None or better is None:
        return []
    one = plan.currency or "unit"
    spends = [float(x.sum()) for x in (plan.optimized, plan.reference)]
    returns = []
    for name, money in zip(("optimized", "reference"), spends, strict=True):
        money *= plan.periods if plan.per_period else 1
        brought = value * float(plan.response.sel(plan=name).mean())
        returns.append(f"{amount(brought / money)}" if money > 0 else "nothing")
    gain = _signed(net, f"{money_of(plan)} after the cost of media")
    gain += f", {_better(plan, better)}"
    back = f"one {one} returns {returns[0]}, in the reference {returns[1]} (1: break-even)"
    return [gain, back] if any(net) else [back]


def _better(plan: PlanRecord, probability: float) -> str:
    """How likely it is that the plan is better, and what that is subject to."""
    sure = f"{probability:.2f}"  # draws that all say so are no certainty
    if not 1 - CERTAIN <= probability <= CERTAIN:
        sure = "over 0.99" if probability > CERTAIN else "under 0.01"
    held = f", {held}" if (held := condition(plan)) else ""
    doubt = ": not decisive" if 1 - DECISIVE < probability < DECISIVE else ""
    return f"better with probability {sure}{held}{doubt}"


def condition(plan: PlanRecord) -> str:
    """What every claim of a plan is subject to; empty where no data contradict a model."""
    if len(plan.fits) < plan.n_fits:
        return UNJUDGED
    return next((judged.condition for judged in plan.judged if judged.condition), "")


def proof(plan: PlanRecord) -> str:
    """What is known of plans that were not found."""
    if plan.relative_gap is None:
        starts = f"best of {plan.starts} starts" if plan.starts > 1 else "one start"
        how = plan.status.replace("best of several starts", starts)
        how = how if starts in how or plan.starts > 1 else f"{how} from {starts}"
        return f"none, a better plan may exist ({plan.gap_reason}); {how}"
    word = "certified" if plan.certified else "NOT certified"
    most = f"no plan is better by more than {plan.relative_gap:.1e} of it"
    if plan.objective == 0:
        most = f"no plan is better by more than {amount(plan.gap_bound or 0.0)}"
    if plan.relative_gap <= TO_ROUNDING:
        most = "no better plan to rounding"
    return (
        f"{word}: {most}; {plan.status}. This is about the search within the model, not "
        "about the data"
    )


def levers(plan: PlanRecord, noun: str = "period") -> list[str]:
    """What the levers of a plan are to be, what that leaves, and how sure that is."""
    if (told := plan.levers) is None:
        return []
    lines, money = list[str](), money_of(plan)
    for one in told.levers:
        cost = f" for {amount(one.cost)}{money} a point and {noun}" if one.cost else ""
        lines.append(
            f"{one.name} ({one.kind}) {one.planned:.6g}, reference {one.reference:.6g}, "
            f"from {one.low:.6g} to {one.high:.6g} allowed{cost}"
        )
        if not one.least <= one.planned <= one.most:
            lines.append(
                f"{one.name} was never outside of {one.least:.6g} to {one.most:.6g}: what "
                "it does there is the model's straight line, not data"
            )
    margin = [amount(x) for x in told.margin]
    each = f"on each of {plan.outcome_name}"
    lines.append(f"margin {margin[1]}{money} {each}, {margin[0]} at the reference")
    worth = {name: short(one.mean) for name, one in told.profit.items()}
    lines.append(
        f"profit {worth['plan']}{money} (margin times all {plan.outcome_name}, less media "
        f"and levers); media alone {worth['media alone']}, reference {worth['reference']}"
    )
    for name, gain in told.gain.items():
        against = "the reference" if name == "reference" else "the best media alone"
        said = _signed(gain, f"{money} against {against}")
        lines.append(f"{said}, {_better(plan, told.better[name])}")
    if told.relative_gap is None:
        lines.append(f"no proof: the best of the {told.tried} values of levers tried")
    else:
        word = "certified" if told.relative_gap <= CERTIFIED_GAP else "NOT certified"
        lines.append(
            f"{word}: no levers and media within bounds leave more than "
            f"{max(told.relative_gap, TO_ROUNDING):.1e} of it more ({told.tried} tried)"
        )
    return lines


def _gained(plan: PlanRecord, value: float) -> str:
    """So much utility, with its unit."""
    unit = unit_of(plan)
    of = unit if is_mean(plan) else f"{unit} of utility".strip()
    return f"{amount(value)} {of}"


def _next(plan: PlanRecord) -> str:
    """What one more unit of money brings."""
    one = plan.currency or "unit"
    if plan.shadow_price is None:
        return "every channel is at its upper bound"
    if plan.at_most and spent(plan) < plan.budget * (1 - 1e-9):
        if plan.until_mroas is None and "profit" in plan.utility:
            return f"nothing: one more {one} returns less than itself, that is why it stops"
        if plan.until_mroas is None:
            return "nothing: bounds and limits leave no use for more"
        return (
            f"less than {amount(plan.until_mroas)} for one more {one} {AFTER}: so it stops"
        )
    told = f"{_gained(plan, plan.shadow_price)} for one more {one} {AFTER}"
    if is_mean(plan) and plan.outcome_value is not None:
        back = plan.outcome_value * plan.shadow_price
        told += f", which returns {amount(back)} (1: break-even)"
    return told


def _bounds(plan: PlanRecord) -> list[str]:
    """Which bounds cost most."""
    prices, at = plan.bound_price.to_numpy(), plan.binding.to_numpy()
    geos, channels = (plan.optimized[dim].to_numpy() for dim in (GEO, CHANNEL))
    held = np.isin(at, ["lower", "upper", "fixed"]) & (np.abs(np.nan_to_num(prices)) > 0)
    if not held.any():
        return []
    if plan.national:  # once
        held &= ~np.isin(channels, plan.national) | (held.cumsum(0) == 1)
    places = sorted(np.argwhere(held).tolist(), key=lambda i: -abs(prices[i[0], i[1]]))
    said = []
    for i, (g, c) in enumerate(places[:MOST_PRICES]):
        several = len(geos) > 1 and channels[c] not in plan.national
        where = f"{channels[c]} in {geos[g]}" if several else str(channels[c])
        price = abs(prices[g, c])
        size = _gained(plan, price) if i == 0 else amount(price)
        than = "fixed" if at[g, c] == "fixed" else "allowed"
        more = "more" if prices[g, c] > 0 else "less"
        how = f" than {than} would bring" if i == 0 else ""
        said.append(f"{more} for {where}{how} {size}")
    rest = f"; {len(places) - len(said)} more hold" if len(places) > len(said) else ""
    return [f"one {plan.currency or 'unit'} {'; '.join(said)}{rest}"]


def _limit(plan: PlanRecord, limit: Limit) -> str:
    """A limit, and what it costs where it holds the plan."""
    if limit.binding:
        price = f", easing it by one {plan.currency or 'unit'} brings "
        price += _gained(plan, limit.price)
        return f"{limit.name}: reached{price if limit.price > 0 else ''}"
    share = "of what is spent" in limit.name  # its value is a difference, not a share
    return f"{limit.name}: kept{'' if share else f', at {amount(limit.value)}'}"


def flighted(plan: PlanRecord) -> bool:
    """Whether some channel is not spent alike in every period."""
    spend = plan.spend_by_period.to_numpy()
    mean = np.nan_to_num(spend.mean(-1, keepdims=True))
    return bool((np.abs(np.nan_to_num(spend) - mean) > EVEN * mean).any())


def _flighting(plan: PlanRecord, noun: str) -> list[str]:
    """When the money is spent, where that is not evenly."""
    if not flighted(plan):
        return []
    names = [str(name) for name in plan.optimized[CHANNEL].to_numpy()]
    each = np.nansum(plan.spend_by_period.to_numpy(), axis=0)  # (channel, period)
    labels = period_labels(plan)
    whole = each.sum(0)
    high, low = int(whole.argmax()), int(whole.argmin())
    on = (each > NOTHING * each.mean(1, keepdims=True)).sum(1)
    some = [
        f"{name} in {n}" for name, n in zip(names, on, strict=True) if 0 < n < each.shape[1]
    ]
    parts = f"; not always on: {_listed(some)} of {each.shape[1]}" if some else ""
    most = f"most in {labels[high]} ({short(whole[high])}{money_of(plan)})"
    return [f"{most}, least in {labels[low]} ({short(whole[low])}){parts}"]


def period_labels(plan: PlanRecord) -> list[str]:
    """Dates of the periods, or their numbers."""
    periods = plan.spend_by_period["period"].to_numpy()
    if np.issubdtype(periods.dtype, np.datetime64):
        return [str(date) for date in pd.DatetimeIndex(periods).strftime("%Y-%m-%d")]
    return [str(n) for n in periods]


def _beyond(plan: PlanRecord, noun: str) -> list[str]:
    """Channels planned above the largest period of training, one a line."""
    times = plan.extrapolated.to_numpy()
    geos, channels = (plan.optimized[dim].to_numpy() for dim in (GEO, CHANNEL))
    lines = []
    for c in np.flatnonzero((~np.isnan(times)).any(0)):
        g = int(np.nanargmax(times[:, c]))
        count = int((~np.isnan(times[:, c])).sum())
        where = f" in {geos[g]}" if len(geos) > 1 else ""
        if count > 1:
            where = f" in {count} of {len(geos)} geos, most in {geos[g]}"
        each, largest = (
            float(x.to_numpy()[g, c]) for x in (plan.largest_planned, plan.largest)
        )
        lines.append(
            f"{channels[c]}{where}: {short(each)}{money_of(plan)} a {noun}, largest so far "
            f"{short(largest)}: the curve beyond it is the model's shape, not data"
        )
    more = len(lines) - MOST_NOTES
    return [*lines[:MOST_NOTES], *([f"and {more} more channels"] if more > 0 else [])]


def _limited(plan: PlanRecord, noun: str) -> list[Finding]:
    """What the comparison with the reference, and the window, leave out."""
    broken, memory = _breaks(plan), plan.memory
    notes = [f"the reference itself breaks {broken}"] if broken else []
    if plan.periods < memory and plan.carry_in == "zero":
        notes.append(
            f"the window ({plan.periods} {noun}{'s' * (plan.periods > 1)}) is shorter than "
            f"the memory of media ({memory}): earlier spend still acts in all of it, which "
            'carry-in zero leaves out and carry_in="history" (--carry-in history) counts'
        )
    return [Finding("note", "note", text) for text in notes]


def _breaks(plan: PlanRecord) -> str:
    """Which of bounds, fixed channels and budget the reference breaks; empty if none."""
    said = []
    for kind, channels in plan.reference_breaks.items():
        if kind == "budget" and plan.target is not None:
            continue  # the total is what was looked for
        if kind == "budget":
            sums = short(float(plan.reference.sum())), short(plan.budget)
            said.append(f"the budget (it spends {sums[0]}, not {sums[1]})")
        else:
            what = "the bounds" if kind == "bounds" else "what is fixed"
            said.append(f"{what} ({_listed(channels)})")
    return " and ".join(said)


def _listed(names: Sequence[str]) -> str:
    more = len(names) - MOST_NOTES
    return ", ".join(names[:MOST_NOTES]) + (f" and {more} more" if more > 0 else "")


def _signed(gain: Gain, of: str) -> str:
    """``+3 M sales (94% interval +1 M to +5 M)``, in the unit that the largest takes."""
    mean, lo, hi = (short(x, "+", max(map(abs, gain))) for x in gain)
    return f"{mean}{of} (94% interval {lo} to {hi})"


def short(value: float, sign: str = "", size: float | None = None) -> str:
    """An amount with three digits, in M or bn, in the unit that `size` takes."""
    whole = abs(value) if size is None else size
    for unit, name in UNITS:
        if whole >= unit:
            digits = 2 if abs(value) < 10 * unit else 1 if abs(value) < 100 * unit else 0
            return f"{value / unit:{sign},.{digits}f}{name}"
    digits = 2 if whole == 0 else int(np.clip(2 - np.floor(np.log10(whole)), 0, 8))
    return f"{value:{sign},.{digits}f}"


def _table(plan: PlanRecord) -> tuple[list[str], list[list[str]]]:
    """Rows of variables, or of channels where those would be too many."""
    names = ("reference", "optimized", "lower", "upper", "binding")
    reference, optimized, lower, upper, binding = (
        getattr(plan, n).to_numpy() for n in names
    )
    geos, channels = (
        [str(x) for x in plan.optimized[dim].values] for dim in (GEO, CHANNEL)
    )
    if len(geos) > 1 and optimized.size > MOST_ROWS:
        held = np.isin(binding, ["lower", "upper", "fixed"]).sum(0)
        binding = np.array([[f"{n} of {len(geos)} geos" if n else "free" for n in held]])
        sums = [x.sum(0, keepdims=True) for x in (reference, optimized, lower, upper)]
        reference, optimized, lower, upper = sums
        geos = ["all"]
    digits = 0 if optimized.max() >= 1000 else 2
    heads = ["geo ", "channel ", *names[:2], "change", "lower", "upper", "at bound "]
    rows = []
    for g, c in np.argwhere(binding != "absent"):
        money = [f"{x[g, c]:,.{digits}f}" for x in (reference, optimized, lower, upper)]
        change = optimized[g, c] / reference[g, c] - 1 if reference[g, c] > 0 else None
        money.insert(2, "" if change is None else f"{change:+.1%}")
        rows.append([geos[g], channels[c], *money, str(binding[g, c]).replace("free", "")])
    one = len(geos) == 1
    return heads[one:], [row[one:] for row in rows]
