"""The two plans of the case study, and how far they are from the reference numbers.

The reference spends, in each of 26 periods and in each channel, a seventh of a week's
mean test spend (a convention of the original study). The plan with TV fixed at zero has
the same total, its other channels within +-50% of that same reference: the allocation in
the reference numbers adds up to it (166,142.5 a period), with Direct Mail the only free
channel (0.575 of its reference) and the four others at their upper bounds.
"""

import mmmjax as mm

PERIODS = 26
TEST_SPEND = {
    "Direct Mail": 12107275.13, "Insert": 1065383.05, "Newspaper": 273433.16,
    "Online Display": 6498301.30, "Radio": 3384098.82, "Social Media": 4298913.23,
    "TV": 2610543.53,
}  # fmt: skip
REFERENCE = {name: money / PERIODS / 7 for name, money in TEST_SPEND.items()}


def plans(fit):
    """The plan within +-50%, and the one with TV fixed at zero; money a period."""
    same = {"periods": PERIODS, "reference": REFERENCE, "bounds": 0.5, "per_period": True}
    return mm.optimize(fit, **same), mm.optimize(fit, **same, fixed={"TV": 0.0})


def compare(fit, budget):
    """Distances to the `budget` entry of the reference numbers, by name.

    Multipliers and allocations (as shares of the reference spend) should be within 0.01,
    objectives within 4 standard errors (``objective_mcse``), gaps at most 1e-6.
    """
    free, without_tv = plans(fit)
    channels = free.optimized.channel.values
    multiplier = free.multiplier.values[0]
    allocation = without_tv.optimized.values[0] / free.reference.values[0]
    fixed = budget["tv_fixed_at_zero"]
    error = budget["objective_mcse"]
    distances = {
        "multiplier": max(
            abs(m - budget["multiplier"][c])
            for m, c in zip(multiplier, channels, strict=True)
        ),
        "allocation_without_tv": max(
            abs(a - fixed["allocation"][c] / REFERENCE[c])
            for a, c in zip(allocation, channels, strict=True)
        ),
        "objective": abs(free.objective - budget["objective"]) / error,
        "reference_objective": abs(free.reference_objective - budget["objective_initial"])
        / error,
        "objective_without_tv": abs(without_tv.objective - fixed["objective"]) / error,
        "gap": max(free.relative_gap, without_tv.relative_gap),
    }
    return {name: float(value) for name, value in distances.items()}
