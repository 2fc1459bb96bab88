"""A plan in words: the table, the gain, the proof and what to know before spending."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from mmmjax.shapes import CHANNEL, GEO

if TYPE_CHECKING:
    from mmmjax.budget.scenario import Plan

__all__ = ["text"]

MOST_ROWS = 16  # a longer table is shown by channel, summed over geos
MOST_NOTES = 6  # channels named in notes
DECISIVE = 0.9  # probability of a gain from which a plan is not called "not decisive"
UNITS = ((1e9, " bn"), (1e6, " M"))


def text(plan: "Plan", noun: str = "period") -> str:
    """What to spend, what it brings and how sure that is the best.

    Args:
        plan: The plan.
        noun: What a period is called.
    """
    unit = f" {plan.currency}" if plan.currency else ""
    each = f" a {noun}" if plan.per_period else ""
    more = plan.objective - plan.reference_objective
    before = plan.reference_objective
    share = f" ({more / before:+.2%})" if before > 0 else ""
    price = "every channel is at its upper bound"
    if plan.shadow_price is not None:
        price = (
            f"{plan.shadow_price:,.4g} {plan.outcome_name} for one more{unit or ' unit'}"
        )
    lines = [
        f"Plan: {_figure(plan.budget)}{unit}{each} over {plan.periods} {noun}"
        f"{'s' if plan.periods > 1 else ''}, maximal {plan.utility}, carry-in "
        f"{plan.carry_in}; reference: {_reference(plan)}",
        *(f"  {line}" for line in _table(plan)),
        f"  response   {_figure(plan.objective)} {plan.outcome_name}, reference "
        f"{_figure(before)}{share}",
        f"  gain       {_gain(plan)}",
        f"  proof      {_proof(plan)}",
        f"  next       {price}",
        *(f"  beyond     {line}" for line in _beyond(plan, noun)),
    ]
    if broken := _breaks(plan):
        lines.append(f"  note       the reference itself breaks {broken}")
    return "\n".join(lines)


def _reference(plan: "Plan") -> str:
    """Where the reference comes from, and what it spends."""
    total = short(float(plan.reference.sum()))
    if "scaled" in plan.reference_is:
        return f"past split scaled to {total}"
    return f"{plan.reference_is} ({total})"


def _gain(plan: "Plan") -> str:
    spent = plan.optimized.to_numpy(), plan.reference.to_numpy()
    if np.allclose(*spent, rtol=1e-9, atol=1e-9 * plan.budget):
        return "none: the plan is the reference"
    gain, better = plan.gain, plan.probability_better
    mean, lo, hi = (short(x, "+", max(map(abs, gain))) for x in gain)
    doubt = ": not decisive" if 1 - DECISIVE < better < DECISIVE else ""
    return (
        f"{mean} {plan.outcome_name} (94% interval {lo} to {hi}), better with "
        f"probability {better:.2f}{doubt}"
    )


def _proof(plan: "Plan") -> str:
    if plan.relative_gap is None:
        return f"none ({plan.gap_reason}); {plan.status}"
    word = "certified" if plan.certified else "NOT certified"
    most = f"no plan is better by more than {plan.relative_gap:.1e} of it"
    if plan.relative_gap == 0:
        most = "no plan is better (gap below rounding)"
    return (
        f"{word}: {most}; {plan.status}. This is about the search within the model, not "
        "about the data"
    )


def _beyond(plan: "Plan", noun: str) -> list[str]:
    """Channels planned above the largest period of training, one a line."""
    times = plan.extrapolated.to_numpy()
    geos, channels = (plan.optimized[dim].to_numpy() for dim in (GEO, CHANNEL))
    unit = f" {plan.currency}" if plan.currency else ""
    lines = []
    for c in np.flatnonzero((~np.isnan(times)).any(0)):
        g = int(np.nanargmax(times[:, c]))
        count = int((~np.isnan(times[:, c])).sum())
        where = f" in {geos[g]}" if len(geos) > 1 else ""
        if count > 1:
            where = f" in {count} of {len(geos)} geos, most in {geos[g]}"
        each, largest = (
            float(x.to_numpy()[g, c]) for x in (plan.spend_a_period, plan.largest)
        )
        lines.append(
            f"{channels[c]}{where}: {short(each)}{unit} a {noun}, largest so far "
            f"{short(largest)}: the curve beyond it is the model's shape, not data"
        )
    more = len(lines) - MOST_NOTES
    return [*lines[:MOST_NOTES], *([f"and {more} more channels"] if more > 0 else [])]


def _breaks(plan: "Plan") -> str:
    """Which of bounds, fixed channels and budget the reference breaks; empty if none."""
    said = []
    for kind, channels in plan.reference_breaks.items():
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


def short(value: float, sign: str = "", size: float | None = None) -> str:
    """An amount in M or bn with three digits, in the unit that `size` takes."""
    whole = abs(value) if size is None else size
    for unit, name in UNITS:
        if whole >= unit:
            digits = 2 if abs(value) < 10 * unit else 1 if abs(value) < 100 * unit else 0
            return f"{value / unit:{sign},.{digits}f}{name}"
    return f"{value:{sign},.{0 if whole >= 1000 else 2}f}"


def _table(plan: "Plan") -> list[str]:
    """Rows of variables, or of channels where those would be too many."""
    names = ("reference", "optimized", "lower", "upper", "binding")
    reference, optimized, lower, upper, binding = (
        getattr(plan, n).to_numpy() for n in names
    )
    geos, channels = (
        [str(x) for x in plan.optimized[dim].values] for dim in (GEO, CHANNEL)
    )
    if len(geos) > 1 and optimized.size > MOST_ROWS:
        held = (binding != "free").sum(0)
        binding = np.array([[f"{n} of {len(geos)} geos" if n else "free" for n in held]])
        sums = [x.sum(0, keepdims=True) for x in (reference, optimized, lower, upper)]
        reference, optimized, lower, upper = sums
        geos = ["all"]
    digits = 0 if optimized.max() >= 1000 else 2
    rows = [
        ["geo", "channel", "reference", "optimized", "change", "lower", "upper", "at bound"]
    ]
    for g, c in np.ndindex(optimized.shape):
        money = [f"{x[g, c]:,.{digits}f}" for x in (reference, optimized, lower, upper)]
        change = optimized[g, c] / reference[g, c] - 1 if reference[g, c] > 0 else None
        money.insert(2, "" if change is None else f"{change:+.1%}")
        rows.append([geos[g], channels[c], *money, str(binding[g, c]).replace("free", "")])
    if len(geos) == 1:
        rows = [row[1:] for row in rows]
    columns = [_aligned(column) for column in zip(*rows, strict=True)]
    return ["  ".join(cells).rstrip() for cells in zip(*columns, strict=True)]


def _aligned(column: tuple[str, ...]) -> list[str]:
    """Names to the left, numbers to the right."""
    side = "<" if column[0] in ("geo", "channel", "at bound") else ">"
    width = max(map(len, column))
    return [f"{cell:{side}{width}}" for cell in column]


def _figure(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:,.4g}"
