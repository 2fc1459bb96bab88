"""A plan as its files have it, and the intervals that a report speaks of."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from mmmjax.budget import Plan
from mmmjax.budget.wording import direction
from mmmjax.metrics import hdi
from mmmjax.words import capital

__all__ = ["Interval", "Planned", "is_mean", "spread_names"]

HEADS = {
    "change": "What changes",
    "gain": "What it brings",
    "net": "After its cost",
    "proof": "Is it the best split?",
    "campaigns": "Campaigns",
    "levers": "Levers",
    "next": "The next money",
    "bounds": "What holds it back",
    "beyond": "Care",
    "note": "Note",
}
"""Heads of what a reader should know before spending; the other records are details."""


def spread_names(name: str) -> tuple[str, ...]:
    """Columns of a mean and the ends of its interval."""
    return tuple(f"{name}_{s}" for s in ("mean", "lo", "hi"))


class Interval(NamedTuple):
    """Mean and highest density interval of a quantity."""

    mean: float
    lo: float
    hi: float

    @classmethod
    def of(cls, draws: np.ndarray) -> "Interval":
        """Summarise draws, (draw,)."""
        lo, hi = hdi(draws)
        return cls(float(draws.mean()), float(lo), float(hi))

    @classmethod
    def at(cls, row: Any, name: str) -> "Interval":
        """The columns ``name_mean``, ``name_lo`` and ``name_hi`` of one row."""
        return cls(*(float(row[column]) for column in spread_names(name)))


class Planned(NamedTuple):
    """A plan as its files have it: plan.csv and plan.json.

    ``better`` is the probability that it beats the reference and ``drawn`` its gain,
    outcome units, where draws are at hand; else plan.json may know them. ``more`` holds
    what else there is of plan_campaigns.csv ("campaigns"), plan_periods.csv ("periods"),
    plan_draws.csv ("draws"), scenarios.csv ("scenarios") and frontier.csv ("frontier").
    """

    table: pd.DataFrame
    facts: Mapping[str, Any]
    better: float | None = None
    drawn: Interval | None = None
    more: Mapping[str, pd.DataFrame] = {}

    def told(self, part: str) -> list[tuple[str, str]]:
        """Head and text of what matters ("findings"), or of the rest ("facts").

        The words are those of the plan itself, from plan.json.
        """
        every = [*self.facts.get("facts", []), *self.facts.get("findings", [])]
        if not every:
            text = "An earlier version wrote this plan: mmmjax optimize tells its worth."
            return [("Note", text)] if part == "findings" else []
        return [
            (str(HEADS.get(one["code"], one["code"])), f"{capital(one['what'])}.")
            for one in every
            if (one["code"] in HEADS) == (part == "findings")
        ]

    @property
    def probability(self) -> float | None:
        """That the plan brings more (where known: net of its cost); None: not known."""
        if (net := self.facts.get("probability_net_gain")) is not None:
            return float(net)
        known = self.better if self.better is not None else (
            self.facts.get("probability_better"))  # fmt: skip
        return None if known is None else float(known)

    @property
    def gain(self) -> Interval:
        """What the plan brings beyond the reference, outcome units; NaN ends if unknown."""
        if self.drawn is not None:
            return self.drawn
        told, known = self.facts.get("gain"), self.facts.get("response")
        if told is not None and told.get("mean") is not None:
            ends = (told.get("lo"), told.get("hi"))
            lo, hi = (np.nan if x is None else float(x) for x in ends)
            return Interval(float(told["mean"]), lo, hi)
        pair = (self.facts["objective"], self.facts["reference_objective"])
        if known is not None:
            pair = (known["optimized"]["mean"], known["reference"]["mean"])
        return Interval(float(pair[0] - pair[1]), np.nan, np.nan)

    @property
    def net(self) -> Interval | None:
        """What the gain is worth after the cost of media, money; None if not known."""
        told = self.facts.get("net_gain")
        return None if told is None else Interval(told["mean"], told["lo"], told["hi"])

    @property
    def before(self) -> float:
        """Mean of what the reference brings, outcome units."""
        known = self.facts.get("response")
        objective = self.facts["reference_objective"]
        return float(objective if known is None else known["reference"]["mean"])

    def responses(self) -> tuple[float, float]:
        """Mean of what reference and plan bring, outcome units."""
        return self.before, self.before + self.gain.mean

    @property
    def brings(self) -> dict[str, np.ndarray] | None:
        """Draws of the response by plan; None if there are none."""
        draws = self.more.get("draws")
        if draws is None or len(draws) < 2:
            return None
        return {str(name): draws[name].to_numpy() for name in draws}

    @property
    def prices(self) -> pd.DataFrame:
        """Rows geo, channel, binding, marginal, bound_price; empty where not known."""
        return pd.DataFrame(
            self.facts.get("prices") or [],
            columns=["geo", "channel", "binding", "marginal", "bound_price"],
        )

    @property
    def moved(self) -> dict[str, float]:
        """Money that every channel gets more (or less, below 0), over all geos."""
        more = self.sums["optimized"] - self.sums["reference"]
        return {str(name): float(money) for name, money in more.items()}

    @property
    def direction(self) -> tuple[str, list[str]]:
        """Which way money moves, in words, and where it goes to."""
        return direction(self.moved, float(self.sums["reference"].sum()))

    @property
    def sums(self) -> Any:
        """Spend of every channel over all geos: reference, optimized, lower, upper."""
        columns = ["reference", "optimized", "lower", "upper"]
        return self.table.groupby("channel", sort=False)[columns].sum()

    @classmethod
    def of(cls, plan: Plan) -> "Planned":
        """The tables of a plan, and what only its draws tell."""
        brings = plan.response
        pair = (brings.sel(plan=name) for name in ("optimized", "reference"))
        optimized, reference = (part.to_numpy().ravel() for part in pair)
        gain, told = optimized - reference, plan.to_dict()
        better = float((gain > 0).mean())
        columns = {"reference": reference, "optimized": optimized}
        more = {"draws": pd.DataFrame(columns)} if gain.size > 1 else {}
        if plan.campaigns is not None:
            more["campaigns"] = plan.campaigns
        if told["flighting"] != "even":
            more["periods"] = plan.periods_frame()
        return cls(plan.to_frame(), told, better, Interval.of(gain), more)


def is_mean(facts: Mapping[str, Any]) -> bool:
    """Whether the utility of plan.json is the mean response, under any of its names."""
    known = ("mean_response", "mean", "mean response")
    return str(facts["utility"]).removesuffix("()") in known
