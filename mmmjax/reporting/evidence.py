"""What a report is made of: tables computed once, or taken from whoever has them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from mmmjax.adequacy import Judged
from mmmjax.arguments import kind_of
from mmmjax.budget import Plan
from mmmjax.checks import Phrase, choice, fail
from mmmjax.draws import Diagnostics, Fit
from mmmjax.panel import Panel
from mmmjax.plot.colours import channel_colours
from mmmjax.posterior.contributions import totals
from mmmjax.posterior.returns import over_all
from mmmjax.posterior.scope import ALL, Scope
from mmmjax.reporting.planned import Interval as Interval
from mmmjax.reporting.planned import Planned as Planned
from mmmjax.reporting.planned import spread_names as _spread
from mmmjax.tables import every as every_table
from mmmjax.words import Return, for_geo, period_noun

__all__ = [
    "COLUMNS",
    "TABLES",
    "Brought",
    "Evidence",
    "Interval",
    "Media",
    "Move",
    "Planned",
    "gather",
]


COLUMNS: dict[str, tuple[str, ...]] = {
    "channels": ("geo", "channel", "spend", *_spread("contribution"), *_spread("share"),
                 *_spread("roas"), *_spread("mroas")),
    "weekly": ("geo", "date", "component", "mean", "lo", "hi"),
    "parameters": ("parameter", "index", "mean", "sd", "hdi_3", "hdi_97", "ess_bulk",
                   "ess_tail", "r_hat"),
    "fitted": ("geo", "date", "observed", "mean", "lo", "hi"),
    "forecast": ("geo", "date", "observed", "mean", "lo", "hi"),
    "decomposition": ("geo", "component", *_spread("share"), *_spread("total")),
    "curves": ("geo", "channel", "spend", "media", "mean", "lo", "hi", "extrapolated"),
    "carryover": ("channel", "geo", "lag", "mean", "lo", "hi", *_spread("half_life")),
    "sweep": ("geo", "channel", "multiplier", "spend", "mean", "lo", "hi",
              *_spread("uplift"), *_spread("marginal")),
    "returns": ("kind", "window", "geo", "channel", "spend", *_spread("roas"),
                *_spread("mroas"), "now_mean", "after_mean"),
    "campaigns": ("geo", "channel", "campaign", "media", "spend", *_spread("weight"),
                  *_spread("contribution"), *_spread("share"), *_spread("roas")),
    "shrinkage": ("parameter", "geo", "channel", "own", "own_lo", "own_hi",
                  *_spread("pooled"), *_spread("population"), "weight"),
    "lift_tests": ("test", "channel", "measured", "error", *_spread("prior"),
                   *_spread("rest"), "mean", "lo", "hi", "pull", "p_value", "how"),
    "taught": ("without", "tests", "channel", *_spread("roas"),
               *_spread("roas_rest"), "p_value", "how", "spend", "spend_rest",
               *_spread("gain"), "probability_better", "plan"),
    "frequency": ("geo", "channel", "usual", *_spread("best"), "frequency",
                  *_spread("gain"), "roas_mean", "roas_best_mean"),
    "multipliers": ("geo", "channel", "date", "after", "mean", "lo", "hi"),
    "drift": ("channel", "quantity", "old", "new", "moved", "error", "old_sd", "in_sds",
              "beyond_error"),
    "conflation": ("channel", "verdict", "difference", "difference_se", "overlap",
                   "strong_lo", "strong_hi", "weak_lo", "weak_hi", "shared", "sampled"),
    "priors": ("parameter", "index", "prior_mean", "prior_sd", "posterior_mean",
               "posterior_sd", "contraction"),
    "backtest": ("fold", "model", "split", "test_start", "test_end", "crps", "r2", "mape",
                 "coverage", "status"),
    "backtest_forecast": ("fold", "geo", "date", "observed", "mean", "lo", "hi"),
    "backtest_parameters": ("fold", "parameter", "index", "mean", "lo", "hi"),
}  # fmt: skip
"""Columns that a table must have to be shown; those of the files of a run."""

TABLES = (*COLUMNS, "scores", "diagnostics", "judged", "media")
"""What may be given to a report instead of computed again."""


class Move(NamedTuple):
    """The two channels between which the next unit of money would best be moved."""

    source: str
    target: str
    probability: float  # posterior, that the next unit brings more in the target


class Brought(NamedTuple):
    """What some channels together brought: outcome units, and share of the observed."""

    total: Interval
    share: Interval

    @classmethod
    def of(cls, total: np.ndarray, share: np.ndarray) -> "Brought":
        """Summarise draws of both, (draw,)."""
        return cls(Interval.of(total), Interval.of(share))


class Media(NamedTuple):
    """All channels together in the training window, over all geos; paid ones for returns.

    ``total`` and ``share`` are of paid and organic channels, ``paid`` and ``organic`` of
    either kind alone, None where there is none.

    ``best`` is the posterior probability of each paid channel to have the highest ROAS,
    highest first; ``marginal`` the posterior mean return of the next unit of money, spread
    as the spend was.
    """

    total: Interval  # outcome units
    share: Interval  # of the observed outcome
    spend: float  # money
    returns: Interval | None  # outcome units per unit of money
    marginal: float
    best: list[tuple[str, float]]
    move: Move | None = None  # None with fewer than two paid channels
    paid: Brought | None = None
    organic: Brought | None = None

    def to_frame(self) -> pd.DataFrame:
        """The columns of media.csv: quantity, channel, mean, lo, hi."""
        rows: list[tuple[Any, ...]] = [
            ("contribution", "", *self.total),
            ("share", "", *self.share),
            ("spend", "", self.spend, np.nan, np.nan),
            ("roas", "", *(self.returns or (np.nan,) * 3)),
            ("mroas", "", self.marginal, np.nan, np.nan),
        ]
        for kind, part in (("paid", self.paid), ("organic", self.organic)):
            if part is not None:
                rows.append((f"{kind}_contribution", "", *part.total))
                rows.append((f"{kind}_share", "", *part.share))
        rows += [("best_roas", name, p, np.nan, np.nan) for name, p in self.best]
        if self.move is not None:
            pair = f"{self.move.source} -> {self.move.target}"
            rows.append(("better_next", pair, self.move.probability, np.nan, np.nan))
        return pd.DataFrame(rows, columns=["quantity", "channel", "mean", "lo", "hi"])


@dataclass(frozen=True, eq=False)
class Evidence:
    """Everything that a report shows, as numbers. Tables have the columns of the files."""

    fit: Fit
    channels: pd.DataFrame
    weekly: pd.DataFrame
    fitted: pd.DataFrame
    parameters: pd.DataFrame
    scores: Mapping[str, float]
    diagnostics: Diagnostics
    judged: Judged  # sampled, and adequate
    media: Media | None
    forecast: pd.DataFrame | None = None
    plan: Planned | None = None
    truth: dict[str, float] = field(default_factory=dict)  # ROAS by channel, where known
    more: dict[str, pd.DataFrame] = field(default_factory=dict)  # the tables below, if any

    def table(self, name: str) -> pd.DataFrame | None:
        """One of the tables that a report may lack; None where it does."""
        found = self.more.get(name)
        return None if found is None or found.empty else found

    @property
    def outcome(self) -> str:
        """Name of the outcome."""
        return self.fit.panel.outcome_name

    @property
    def currency(self) -> str:
        """Label of money; may be empty."""
        return self.fit.panel.currency

    @property
    def money(self) -> str:
        """One unit of money in words."""
        return self.currency or "unit of money"

    @property
    def returned(self) -> Return:
        """How returns are said: in money where the value of an outcome is known."""
        return Return(self.outcome, self.currency, self.fit.panel.outcome_value)

    @property
    def period(self) -> str:
        """One period in words."""
        return period_noun(self.fit.panel.freq)

    @property
    def window(self) -> pd.DatetimeIndex:
        """The periods of training."""
        return self.fit.panel.dates[self.fit.panel.history :]

    @cached_property
    def colours(self) -> dict[str, str]:
        """Colour of every channel, the same in every figure."""
        return channel_colours(self.fit.panel.channels)

    @property
    def cells(self) -> tuple[int, int]:
        """Outcomes observed in training and, as the forecast has them, after it."""
        panel, table = self.fit.panel, self.forecast
        after = 0
        if table is not None:
            own = (table["geo"] != ALL) | (table["geo"].nunique() == 1)
            after = int(table.loc[own, "observed"].notna().sum())
        return int(panel.mask[:, panel.window].sum()), after

    @cached_property
    def tested(self) -> pd.DataFrame | None:
        """The rows of the forecast, over all geos, whose outcome was observed."""
        if self.forecast is None:
            return None
        rows = for_geo(self.forecast, None)
        rows = rows.loc[rows["observed"].notna()]
        return None if rows.empty else rows


def gather(
    fit: Fit,
    test: Panel | None = None,
    truth: Mapping[str, Any] | None = None,
    plan: Plan | Planned | None = None,
    tables: Mapping[str, Any] | None = None,
) -> Evidence:
    """Compute what is not given; of backtest, drift and conflation what is given."""
    given = checked(tables or {})
    found = every_table(fit, test, given)
    return Evidence(
        fit=fit,
        channels=found["channels"],
        weekly=found["weekly"],
        fitted=found["fitted"],
        parameters=found["parameters"],
        scores=_numbers(found["scores"]),
        diagnostics=found["diagnostics"],
        media=found["media"] if "media" in found else media_of(fit),
        forecast=found.get("forecast"),
        plan=Planned.of(plan) if isinstance(plan, Plan) else plan,
        truth=true_roas(truth),
        more={name: found[name] for name in COLUMNS if name in found},
        judged=found["judged"],
    )


MADE = {  # what is not computed for a report, and how a person comes by it
    "drift": "mm.drift(old, fit).table",
    "conflation": "mm.conflation(fit).table",
    **dict.fromkeys(
        ("backtest", "backtest_forecast", "backtest_parameters"),
        "tables=mm.backtest(spec, panel).to_frames()",
    ),
}


def checked(tables: Mapping[str, Any]) -> dict[str, Any]:
    """The tables that are there, refused if one is unknown or lacks a column."""
    found = {}
    for name, given in tables.items():
        choice("tables", name, TABLES)
        if given is None:
            continue
        frame = isinstance(given, pd.DataFrame)
        table = given if frame else getattr(given, "table", given)  # of mm.drift, say
        place, fix = f'tables["{name}"]', MADE.get(name, "leave it out: it is computed")
        if name in COLUMNS and not isinstance(table, pd.DataFrame):
            fail(place, kind_of(given), "", "a DataFrame", fix)
        lacking = missing(name, table) if name in COLUMNS else []
        if lacking:
            got = Phrase(f"no column {', '.join(lacking)}")
            fail(place, got, "", ", ".join(COLUMNS[name]), fix)
        found[name] = table
    return found


def missing(name: str, table: pd.DataFrame) -> list[str]:
    """Columns that a table of this name should have and does not."""
    return [column for column in COLUMNS.get(name, ()) if column not in table]


def _numbers(found: Mapping[str, Any]) -> dict[str, float]:
    """Scores, NaN where a file says null."""
    return {k: float("nan") if v is None else float(v) for k, v in found.items()}


def true_roas(truth: Mapping[str, Any] | None) -> dict[str, float]:
    """ROAS by channel over all geos, from {channel: ROAS} or the truth of a simulation."""
    if truth is None:
        return {}
    rows = truth.get("channels")
    if isinstance(rows, list):
        truth = {row["channel"]: row["roas"] for row in rows if row["geo"] == ALL}
    return {str(name): float(value) for name, value in truth.items()}


def media_of(fit: Fit) -> Media | None:
    """Joint statements, which need draws and not only tables; None without media."""
    if not fit.panel.channels:
        return None
    scope = Scope.of(fit)
    sums, observed = totals(fit, scope)
    outcome = float(np.nansum(scope.outcome))
    each_share = np.asarray(observed).sum(1) / (outcome or np.nan)  # (draw, channel)
    each_total, paid = np.asarray(sums["channel"]).sum(1), scope.panel.paid
    every = Brought.of(each_total.sum(1), each_share.sum(1))
    bought, free = (
        Brought.of(each_total[:, of].sum(1), each_share[:, of].sum(1)) if of.any() else None
        for of in (paid, ~paid)
    )
    if bought is None:
        none = float("nan")
        return Media(*every, none, None, none, [], organic=free)
    spend = scope.spend[..., paid].sum((0, 1))  # (channel,) over geos
    each, ahead = (draws[:, paid] for draws in over_all(fit))
    names = [n for n, is_paid in zip(scope.panel.channels, paid, strict=True) if is_paid]
    known = np.nan_to_num(each, nan=-np.inf)
    won = np.bincount(known.argmax(1), minlength=len(names)) / len(each)
    best = sorted(zip(names, won.tolist(), strict=True), key=lambda x: -x[1])
    marginal = float(np.nansum(ahead.mean(0) * spend)) / (spend.sum() or np.nan)
    gains = np.nansum(each * spend, axis=1)
    gain = Interval.of(gains / spend.sum()) if spend.sum() else None
    return Media(
        *every, float(spend.sum()), gain, marginal, best, _move(names, ahead, spend),
        bought, free,
    )  # fmt: skip


LEAST_SPEND = 0.02  # of all spend: from less there is nothing to move


def _move(names: list[str], ahead: np.ndarray, spend: np.ndarray) -> Move | None:
    """From the lowest to the highest marginal return, in posterior mean.

    Args:
        names: Paid channels.
        ahead: Draws of their marginal return, (draw, channel).
        spend: Money, (channel,).
    """
    mean = ahead.mean(axis=0)
    known = np.isfinite(mean)
    large = known & (spend >= LEAST_SPEND * spend.sum())
    if known.sum() < 2 or not large.any():
        return None
    target = int(np.where(known, mean, -np.inf).argmax())
    large[target] = False
    if not large.any():
        return None
    source = int(np.where(large, mean, np.inf).argmin())
    more = float((ahead[:, target] > ahead[:, source]).mean())
    return Move(names[source], names[target], more)
