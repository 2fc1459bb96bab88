"""The report of a fleet: one HTML file for a thousand markets, each a click away."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from mmmjax.arguments import checked
from mmmjax.checks import Phrase, fail
from mmmjax.fleet import FleetReturns, fleet_ranking, fleet_returns
from mmmjax.fleet.attention import DOUBTFUL, FINE, INADEQUATE, ODD, ORDER, contradicted
from mmmjax.fleet.engine import CONVERGED, FAILED, NOT_CONVERGED, REFITTED, REFUSED
from mmmjax.fleet.summary import usable_rows, valued
from mmmjax.plot.bins import FLEET
from mmmjax.plot.fleet import fleet_diagnostics, fleet_forest, fleet_spread, statuses
from mmmjax.reporting.embed import Figure, Tables, as_json, embedded
from mmmjax.reporting.evidence import COLUMNS
from mmmjax.reporting.html import assemble
from mmmjax.reporting.moved import drift as drift_table
from mmmjax.reporting.moved import fleet_moved, in_units
from mmmjax.reporting.rows import (
    Cell,
    Table,
    each,
    interval,
    label,
    made,
    of,
    share,
    written,
)
from mmmjax.reporting.sentences import BAD, CARE, GOOD, PLAIN, Tile
from mmmjax.resources import replace_file
from mmmjax.store import file_to_write
from mmmjax.words import ALL, Return, amount, in_percent, span, with_unit

__all__ = ["fleet_report"]

SHRUNK = ("shrunk_mean", "shrunk_lo", "shrunk_hi", "weight")
LISTED = 2000  # markets in the table that opens them
USUAL_WRONG = 0.1  # share of contradicted markets from which that is bad news
USUAL = 0.9  # share of usable markets below which that is bad news


@checked
def fleet_report(
    table: pd.DataFrame,
    channels: pd.DataFrame,
    path: str | os.PathLike[str],
    *,
    outcome: str = "outcome",
    currency: str = "",
    size: Mapping[str, float] | None = None,
    drift: pd.DataFrame | None = None,
) -> Path:
    """Write what a fleet found, and which markets need attention, to one HTML file.

    The first screen counts the markets and names what to do; then come the markets that
    need attention, each channel's returns over the markets with the shrinkage view of
    :func:`mmmjax.fleet_returns`, a table of all markets that sorts, filters and opens the
    channels of each, and how the sampler did. Everything is inside the file: it opens
    offline. Of more than 2,000 markets the first by attention are in the table.

    Where each usable market has an ``outcome_value`` its ROAS is said as the return on
    money, whose break-even is 1.

    Args:
        table: ``fleet.table``, or fleet.csv of a run.
        channels: ``fleet.channels``, or channels.csv of a fleet's run.
        path: Where to; its folder must exist.
        outcome: Name of the outcome.
        currency: Label of money.
        size: Mean outcome a period by market: CRPS is then judged too, see
            :func:`mmmjax.fleet_ranking`.
        drift: What moved since the last fit, ``mm.drift(old_fleet, fleet).table``.

    Returns:
        The path written.

    Raises:
        InputError: The path cannot be written, or a table lacks a column.
    """
    target = file_to_write(path, "fleet.html")
    ranking = fleet_ranking(table, size=size)
    paid = bool(usable_rows(channels, table)["roas_mean"].notna().any())
    found = fleet_returns(channels, table) if paid else None
    channels, in_money = valued(channels, table)
    unit = Return(outcome, currency, in_money or None)
    seconds = table.set_index("market")["seconds"]
    ranking["seconds"] = seconds.reindex(ranking["market"]).to_numpy()
    charted = Tables()
    shown = content(ranking, channels, found, unit)
    if drift is not None:
        if lacking := [n for n in ("market", *COLUMNS["drift"]) if n not in drift]:
            got, allowed = Phrase(f"no column {', '.join(lacking)}"), "the table of a drift"
            fail("drift", got, "", allowed, "drift=mm.drift(old_fleet, fleet).table")
        values = table.set_index("market")["outcome_value"] if in_money else None
        times = 1.0 if values is None else values.reindex(drift["market"]).to_numpy()
        here = in_units(drift, unit, times)
        shown["tables"]["drift"] = drift_table(here, unit)
        shown["moved"] = fleet_moved(here)
    shown |= {"figures": figures(ranking, found, unit, charted)}
    scripts = ("page.js", "fleet.js")
    replace_file(target, assemble("fleet.html.j2", shown, *scripts, charted=charted))
    return target


def content(
    ranking: pd.DataFrame, channels: pd.DataFrame, found: FleetReturns | None, unit: Return
) -> dict[str, Any]:
    """What the page shows; all numbers are text already."""
    count = len(ranking)
    tables = [_attention(ranking), _markets(ranking, unit.outcome)]
    if found is not None:
        tables.append(_channels(found, unit))
    named = {t.name: t for t in tables if t is not None}
    counts = _counts(ranking)
    listed = ranking.head(LISTED)
    return {
        "title": f"A fleet of {count:,} market{'s' if count != 1 else ''}",
        "subtitle": f"{channels['channel'].nunique():,} channels, one model each market",
        "lead": _lead(ranking, found, unit),
        "tiles": _tiles(ranking, found),
        "tables": named,
        "kinds": [(name, counts[name]) for name in ORDER if counts[name]],
        "count": count,
        "opened": _opened(listed, channels, found, unit),
        "moved": None,
    }


def figures(
    ranking: pd.DataFrame, found: FleetReturns | None, unit: Return, tables: Tables
) -> dict[str, Figure]:
    """The charts of a fleet with what is said below them."""
    ended = ranking["attention"].tolist()
    counts = {name: ended.count(name) for name in ORDER if name in ended}
    drawn: dict[str, tuple[Any, str]] = {
        "statuses": (
            statuses(counts, (FAILED, REFUSED, NOT_CONVERGED)),
            "Converged markets are either fine or have odd scores; refitted ones converged "
            "alone, by NUTS.",
        )
    }
    if found is not None:
        said: dict[str, Any] = {"outcome": unit.outcome, "currency": unit.currency}
        even = " Dotted: 1, where spend breaks even." if found.in_money else ""
        drawn["spread"] = (
            fleet_spread(found, **said),
            "Small dots: markets, each leaning on the others. Ring and thick line: the "
            "typical (median) market. Thin line: where a market that is not in the fleet "
            f"would lie. 94% intervals.{even}",
        )
        drawn["forest"] = (
            fleet_forest(found, **said),
            f"Sorted by own {unit.name}. Markets that know little lean on the others. "
            "Tinted: the typical market. Rings: a log-normal describes the own posterior "
            "poorly, often one that heaps up at 0; rely on its own interval." + even,
        )
    if ranking[[name for name, *_ in FLEET]].notna().to_numpy().any():
        drawn["health"] = (
            fleet_diagnostics(ranking),
            "Coverage is of the training periods.",
        )
    return {n: embedded(n, chart, tables, text) for n, (chart, text) in drawn.items()}


def _counts(ranking: pd.DataFrame) -> dict[str, int]:
    """Markets by attention, and those that can be used."""
    ended, status = ranking["attention"].tolist(), ranking["status"].tolist()
    usable = status.count(CONVERGED) + status.count(REFITTED)
    return {name: ended.count(name) for name in ORDER} | {"usable": usable}


def _listing(counts: Mapping[str, int], names: tuple[str, ...]) -> str:
    said = [f"{counts[name]:,} {name}" for name in names if counts[name]]
    return ", ".join(said)


def _lead(ranking: pd.DataFrame, found: FleetReturns | None, unit: Return) -> str:
    """The report in a few sentences."""
    counts, count = _counts(ranking), len(ranking)
    said = [f"{counts['usable']:,} of {count:,} markets can be used."]
    if found is not None:
        told = found.channels.dropna(subset=["typical"])
        if len(told) > 1:
            first = told.loc[told["typical"].idxmax()]
            said.append(
                f"In a typical market {first['channel']} returns the most: "
                f"{amount(first['typical'])} {unit.per} "
                f"(94% interval {_span(first, 'typical')})."
            )
            most = told.loc[told["tau"].idxmax()]
            said.append(
                f"Markets differ most for {most['channel']}: a new one would have "
                f"{span(most['typical'], most['new_lo'], most['new_hi'])} (94%)."
            )
    return " ".join(said)


def _span(row: Any, name: str) -> str:
    return span(row[name], row[f"{name}_lo"], row[f"{name}_hi"])


def _tiles(ranking: pd.DataFrame, found: FleetReturns | None) -> list[Tile]:
    """The answers of the first screen."""
    counts, count = _counts(ranking), len(ranking)
    usable = counts["usable"]
    tone = GOOD if usable == count else CARE if usable >= USUAL * count else BAD
    converged = ranking["status"].tolist().count(CONVERGED)
    text = f"{converged:,} converged, {counts[REFITTED]:,} when fitted alone by NUTS."
    tiles = [Tile("How many markets can be used?", f"{usable:,} of {count:,}", text, tone)]
    tiles += _adequate(ranking, usable)
    worst = (FAILED, REFUSED, NOT_CONVERGED, DOUBTFUL, INADEQUATE, ODD)
    needy = sum(counts[name] for name in worst)
    said = _listing(counts, worst)
    answer = f"{needy:,} market{'s' if needy != 1 else ''}" if needy else "Nothing"
    text = f"{said}. Each has a reason and a next step below." if needy else "All are fine."
    tiles.append(Tile("What needs attention?", answer, text, CARE if needy else GOOD))
    known = [] if found is None else found.channels["i2"].dropna().to_numpy(float)
    if len(known):
        share = float(np.median(known))
        words = "Much" if share > 0.5 else "Some" if share > 0.25 else "Little"
        text = (
            f"In the median channel {in_percent(share)} of the variance of estimates is "
            "between markets; the rest is that each market knows only so much."
        )
        tiles.append(Tile("Do returns differ between markets?", words, text, PLAIN))
    return tiles


def _adequate(ranking: pd.DataFrame, usable: int) -> list[Tile]:
    """In how many markets the data contradict the model; nothing where none was judged."""
    known = ranking.to_dict("list").get("adequate", [])
    if pd.isna(known).all():
        return []
    question = "Do the models fit their data?"
    wrong = ranking.loc[contradicted(ranking)]
    if wrong.empty:
        text = (
            "What the models leave over looks like noise. A driver of demand that is in no "
            "column stays unseen; an experiment would show it."
        )
        return [Tile(question, "Yes, as far as can be seen", text, GOOD)]
    kinds = wrong["finding"].astype(str).str.partition(" (")[0].value_counts()
    text = f"Most often: {kinds.index[0]} ({kinds.iloc[0]:,}). Their returns hold only if "
    answer = f"Not in {len(wrong):,} of {usable:,}"
    tone = CARE if len(wrong) < USUAL_WRONG * usable else BAD
    return [
        Tile(question, answer, f"{text}the model does, which the data contradict.", tone)
    ]


def _attention(ranking: pd.DataFrame) -> Table | None:
    """The markets that somebody must look at, the most urgent first."""
    rows = ranking.loc[~ranking["attention"].isin((FINE, REFITTED))]
    if rows.empty:
        return None
    heads = {"market": "market", "attention": "attention", "why": "why"}
    heads |= {"next": "what to do next"}
    return made("attention", rows, of(label, **heads), rows[[*heads]])


def _channels(found: FleetReturns, unit: Return) -> Table:
    """Every channel over its markets."""
    told = found.channels
    cells = [
        [
            Cell(str(row["channel"])),
            Cell(amount(row["typical"]), _span(row, "typical")),
            Cell(span(row["typical"], row["new_lo"], row["new_hi"])),
            Cell(written(row["tau"], 2), f"{row['tau_lo']:.2f} to {row['tau_hi']:.2f}"),
            Cell(in_percent(row["i2"])),
            Cell(f"{row['markets']:,}", f"{row['rough']:,} rough" if row["rough"] else ""),
        ]
        for row in told.to_dict("records")
    ]
    heads = ["channel", f"typical {unit.name} ({unit.per})",
             "a new market, 94%", "sd between markets (log)",
             "variance between markets (I2)", "markets"]  # fmt: skip
    note = (
        f"Typical: the median market. Each market's posterior of {unit.name} is taken to "
        "be log-normal, and its log to be normal over markets. Rough: markets for which "
        "the first does not hold. An sd of 0.1 means that most markets lie within 10% of "
        "the typical one, 0.7 within a factor of two."
    )
    said = f"typical, new: {unit.per}; tau: log scale; i2: share of the variance"
    return Table("channels", heads, cells, 1, note, told, said)


def _markets(ranking: pd.DataFrame, outcome: str) -> Table:
    """All markets."""
    shown = ranking.head(LISTED)
    known = lambda x: in_percent(x) if np.isfinite(x) else ""
    columns = [
        *of(label, "market", "attention"),
        *of(each("{:z,.4f}"), r_hat="R-hat"),
        *of(each("{:z,.0f}"), min_ess="least ESS"),
        *of(each("{:,.0f}"), "divergences"),
        *of(each("{:z,.2f}"), "seconds"),
        *of(each(amount), crps="CRPS"),
        *of(each(known), "coverage"),
    ]
    cut = f"The first {LISTED:,} of {len(ranking):,} by attention; fleet.csv has all."
    note, unit = cut * (len(ranking) > LISTED), f"crps: {outcome} of a period; seconds: s"
    frame, unit = shown.drop(columns="next"), f"{unit}; others: none"
    return made("fleet", shown, columns, frame, note, unit, most=LISTED)


def _opened(
    listed: pd.DataFrame, channels: pd.DataFrame, found: FleetReturns | None, unit: Return
) -> str:
    """What a click on a market opens, as JSON: [why, next, rows] in the table's order."""
    rows = channels.loc[channels["geo"].astype(str) == ALL]
    keys = ["market", "channel"]
    if found is None:
        rows = rows.assign(**dict.fromkeys(SHRUNK, np.nan))
    else:
        rows = rows.merge(found.markets[[*keys, *SHRUNK]], "left", keys)
    columns = [
        *of(label, "channel"),
        *of(each(amount), spend=with_unit("spend", unit.currency)),
        *of(interval, roas=unit.name, shrunk=f"{unit.name} given all markets"),
        *of(each("{:.0%}"), weight="own weight"),
        *of(interval, mroas=unit.next),
        *of(share, share=f"share of {unit.outcome}"),
        *of(lambda table, column: interval(table, column, amount), "contribution"),
    ]
    table = made("opened", rows, columns, None, most=len(rows))
    own: dict[str, list[Any]] = {str(name): [] for name in listed["market"]}
    for market, cells in zip(rows["market"].astype(str), table.rows, strict=True):
        if market in own:
            own[market].append(["|".join(filter(None, cell)) for cell in cells])
    told = listed[["market", "why", "next"]].to_numpy().tolist()
    markets = [[why, then, own[str(market)]] for market, why, then in told]
    return as_json({"heads": table.heads, "markets": markets, "order": ORDER})
