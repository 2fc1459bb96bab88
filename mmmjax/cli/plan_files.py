"""The files of a plan, each written whole or not at all; columns in docs/files.md."""

from pathlib import Path

import pandas as pd
import xarray as xr

from mmmjax.budget import Plan
from mmmjax.budget.compare import ALL
from mmmjax.cli import show
from mmmjax.cli.files import as_json, table, text
from mmmjax.words import amount, in_percent, period_noun

__all__ = ["frontier_table", "say_due", "say_plan", "write_plan"]

PLAN, PLAN_JSON = "plan.csv", "plan.json"
CAMPAIGNS = "plan_campaigns.csv"
PERIODS, PLAN_DRAWS = "plan_periods.csv", "plan_draws.csv"
SCENARIOS, FRONTIER = "scenarios.csv", "frontier.csv"


def say_plan(found: Plan) -> None:
    """Print a plan."""
    show.say(found.text(period_noun(found.freq)))


def say_due(scenarios: pd.DataFrame, rate: float, currency: str) -> None:
    """Print the net present value of every plan, and when its money is back."""
    whole = scenarios[scenarios["channel"] == ALL]
    for row in pd.DataFrame(whole).to_dict("records"):
        mean, lo, hi = (amount(row[f"npv_{end}"]) for end in ("mean", "lo", "hi"))
        back = row["break_even"]
        when = "not paid back" if pd.isna(back) else f"paid back by {back:%Y-%m-%d}"
        at = f"net present value at {in_percent(rate)} a year {mean} {currency}".rstrip()
        show.say(f"{row['plan']}: {at} (94% interval {lo} to {hi}), {when}")


def write_plan(
    plan: Plan,
    out: Path,
    scenarios: pd.DataFrame | None = None,
    frontier: pd.DataFrame | None = None,
) -> list[Path]:
    """Write the files of a plan; those of an earlier one that it has not are removed."""
    out.mkdir(parents=True, exist_ok=True)
    told = plan.to_dict()
    draws = plan.response.transpose("plan", ...).to_numpy().reshape(2, -1)
    names = [str(name) for name in plan.response["plan"].to_numpy()]
    tables = {
        PLAN: plan.to_frame(),
        PERIODS: plan.periods_frame() if told["flighting"] != "even" else None,
        CAMPAIGNS: plan.campaigns,
        PLAN_DRAWS: pd.DataFrame(dict(zip(names, draws, strict=True))),
        SCENARIOS: scenarios,
        FRONTIER: frontier,
    }
    for name, frame in tables.items():
        if frame is None:
            (out / name).unlink(missing_ok=True)
    paths = [table(out / name, x) for name, x in tables.items() if x is not None]
    return [*paths, text(out / PLAN_JSON, as_json(told))]


def frontier_table(found: xr.Dataset) -> pd.DataFrame:
    """Columns of frontier.csv: a row a budget, spend of every channel over geos."""
    names = ["response_mean", "response_lo", "response_hi", "objective", "shadow_price",
             "gap", "certified"]  # fmt: skip
    spend = found["spend"].sum("geo").transpose("budget", "channel").to_numpy()
    channels = [f"spend_{name}" for name in found["channel"].to_numpy()]
    columns = {name: found[name].to_numpy() for name in names}
    each = dict(zip(channels, spend.T, strict=True))
    each = {"budget": found["budget"].to_numpy()} | columns | each
    return pd.DataFrame(each).assign(condition=str(found["condition"].to_numpy()))
