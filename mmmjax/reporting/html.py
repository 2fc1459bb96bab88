"""The report: one HTML file that needs nothing but itself."""

import os
from collections.abc import Mapping
from importlib import resources
from pathlib import Path
from typing import Any, NamedTuple

import jinja2
import numpy as np
import pandas as pd

from mmmjax.budget import Plan
from mmmjax.draws import Fit
from mmmjax.panel import Panel
from mmmjax.plot.budget import allocate
from mmmjax.plot.canvas import amount, amounts, for_geo, period_noun
from mmmjax.reporting.evidence import Evidence, gather
from mmmjax.reporting.pictures import curve_pictures, pictures
from mmmjax.reporting.sentences import (
    lead,
    money,
    percent,
    share_span,
    span,
    tiles,
    verdict,
)
from mmmjax.store import file_to_write, replace_file

__all__ = ["report"]

MAX_ROWS = 200  # longer tables are cut, and that is said
TEMPLATE = "template.html.j2"


def report(
    fit: Fit,
    path: str | os.PathLike[str],
    *,
    test: Panel | None = None,
    truth: Mapping[str, Any] | None = None,
    plan: Plan | None = None,
    tables: Mapping[str, Any] | None = None,
) -> Path:
    """Write what was found, and how sure it is, to one HTML file that opens offline.

    The first screen is for a manager: what media brought, which channel pays, how sure
    that is. Then come the evidence, the plan, and what is needed to fit it again. Pictures
    are inside the file, nothing is loaded; the file is written whole or not at all.

    Args:
        fit: The fit.
        path: Where to; its folder must exist.
        test: The periods after training, with outcomes: the forecast is judged on them.
        truth: True ROAS by channel, {channel: number} or the truth of a simulation.
        plan: A plan to show.
        tables: What is known already and need not be computed again, by name: "channels",
            "weekly", "forecast", "parameters" (tables as in the files of a run), "training"
            (``forecast_table(fit, fit.panel)``), "scores"
            (of :func:`mmmjax.scores` with the same test) and "diagnostics".

    Returns:
        The path written.
    """
    target = file_to_write(path, "report.html")
    found = gather(fit, test, truth, plan, tables)
    replace_file(target, render(found).encode())
    return target


def render(found: Evidence) -> str:
    """The page of the evidence."""
    environment = jinja2.Environment(
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    source = resources.files("mmmjax.reporting").joinpath(TEMPLATE).read_text("utf-8")
    return environment.from_string(source).render(content(found))


def content(found: Evidence) -> dict[str, Any]:
    """What the template shows; all numbers are text already."""
    fit, panel = found.fit, found.fit.panel
    window = panel.dates[panel.history :]
    word, reason, tone = verdict(found)
    return {
        "title": f"What media brought: {panel.outcome_name}",
        "subtitle": ", ".join([
            f"{_day(window[0])} to {_day(window[-1])}",
            f"{len(window):,} {period_noun(panel.freq)}s",
            "one market" if panel.n_geos == 1 else f"{panel.n_geos:,} geos",
            f"{len(panel.channels)} channels",
        ]),
        "lead": lead(found),
        "tiles": tiles(found),
        "pictures": pictures(found),
        "curves": curve_pictures(found),
        "n_channels": len(panel.channels),
        "period": period_noun(panel.freq),
        "outcome": panel.outcome_name,
        "diagnostics": _diagnostics(found),
        "verdict": {"word": word, "reason": reason, "tone": tone},
        "channels": _channels(found) if panel.channels else None,
        "geos": _by_geo(found) if panel.channels and panel.n_geos > 1 else None,
        "scores": _scores(found),
        "parameters": _parameters(found.parameters),
        "plan": None if found.plan is None else _plan(found, found.plan),
        "record": _record(fit),
        "notes": [str(note) for note in fit.info.get("notes", [])],
        "spec": fit.spec.to_toml().strip(),
    }  # fmt: skip


class Cell(NamedTuple):
    """A number and what stands below it in small print."""

    main: str
    small: str = ""


class Table(NamedTuple):
    """Heads and rows; the first ``names`` columns are names, the others numbers."""

    heads: list[str]
    rows: list[list[Cell]]
    names: int = 1
    note: str = ""


def _channels(found: Evidence) -> Table:
    panel, media = found.fit.panel, found.media
    rows = _channel_rows(for_geo(found.channels, None))
    if media is not None:
        returns = media.returns
        rows.append([
            Cell("all media"),
            Cell(amount(media.spend)),
            Cell(amount(media.total.mean), span(media.total)),
            Cell(percent(media.share.mean), share_span(media.share)),
            Cell("") if returns is None else Cell(amount(returns.mean), span(returns)),
            Cell(amount(media.marginal)),
        ])  # fmt: skip
    note = (
        f"Small print: 94% interval. Shares are of the observed {panel.outcome_name}. ROAS "
        "counts carry-over after the training window; mROAS is what the next "
        f"{money(found)} brings."
    )
    if panel.organic:
        note += " A channel without spend (organic) has no return."
    return Table(_heads(found), rows, 1, note)


def _by_geo(found: Evidence) -> Table:
    geos = found.channels["geo"].astype(str)
    rows = found.channels.loc[geos.isin(found.fit.panel.geos)]
    shown = rows.iloc[:MAX_ROWS]
    cells = _channel_rows(shown)
    for cell, geo in zip(cells, shown["geo"], strict=True):
        cell.insert(0, Cell(str(geo)))
    cut = f"The first {MAX_ROWS} of {len(rows):,} rows; channels.csv has all."
    return Table(["geo", *_heads(found)], cells, 2, cut if len(rows) > MAX_ROWS else "")


def _heads(found: Evidence) -> list[str]:
    panel = found.fit.panel
    spend = f"spend ({panel.currency})" if panel.currency else "spend"
    outcome = panel.outcome_name
    return [
        "channel",
        spend,
        f"contribution ({outcome})",
        f"share of {outcome}",
        "ROAS",
        "mROAS",
    ]


def _channel_rows(table: pd.DataFrame) -> list[list[Cell]]:
    columns: list[list[Cell]] = [[Cell(str(name)) for name in table["channel"]]]
    columns.append([Cell(text) for text in amounts(table["spend"])])
    for name in ("contribution", "share", "roas", "mroas"):
        parts = np.stack(
            [table[f"{name}_{s}"].to_numpy(float) for s in ("mean", "lo", "hi")]
        )
        if name == "share":
            texts = np.array([[percent(x) for x in part] for part in parts], object)
        else:
            texts = np.array(amounts(parts), object).reshape(parts.shape)
        columns.append([
            Cell(mean, f"{lo} to {hi}") if np.isfinite(value) else Cell("")
            for mean, lo, hi, value in zip(*texts, parts[0], strict=True)
        ])  # fmt: skip
    return [list(row) for row in zip(*columns, strict=True)]


def _scores(found: Evidence) -> Table:
    scores = found.scores
    has_test = found.test is not None and np.isfinite(scores.get("crps_test", np.nan))
    kinds = (
        (f"CRPS ({found.fit.panel.outcome_name}; smaller is better)", "crps", amount),
        ("mean error (MAPE)", "mape", percent),
        ("R² (share of the variance explained)", "r2", lambda x: f"{x:.3f}"),
        ("observed inside the 94% interval", "coverage", percent),
    )
    rows = []
    for label, name, write in kinds:
        values = [scores.get(f"{name}_train", scores.get(name))]
        values += [scores.get(f"{name}_test")] if has_test else []
        rows.append([Cell(label), *(Cell("" if v is None else write(v)) for v in values)])
    return Table(["score", "training", *(["test"] if has_test else [])], rows)


def _parameters(table: pd.DataFrame) -> Table:
    note = "Scaled units: outcome and media divided by their largest value in training."
    if len(table) > MAX_ROWS:
        note += f" Shown are the {MAX_ROWS} of {len(table):,} with the highest R-hat; "
        note += "parameters.csv has all."
        table = table.sort_values("r_hat", ascending=False).iloc[:MAX_ROWS]
    heads = [
        "parameter",
        "of",
        "mean",
        "sd",
        "94% from",
        "to",
        "ESS bulk",
        "ESS tail",
        "R-hat",
    ]
    rows = [
        [
            Cell(str(row["parameter"])),
            Cell("" if row["index"] != row["index"] else str(row["index"])),
            *(Cell(_digits(row[n], 3)) for n in ("mean", "sd", "hdi_3", "hdi_97")),
            *(Cell(_digits(row[n], 0)) for n in ("ess_bulk", "ess_tail")),
            Cell(_digits(row["r_hat"], 3)),
        ]
        for row in table.to_dict("records")
    ]
    return Table(heads, rows, 2, note)


def _digits(value: float, digits: int) -> str:
    return f"{value:,.{digits}f}" if np.isfinite(value) else ""


def _diagnostics(found: Evidence) -> list[tuple[str, str]]:
    """The numbers behind the verdict, the worst parameters by name."""
    told = found.diagnostics
    facts = [
        ("draws", f"{told.n_chains} chains x {told.n_draws:,}"),
        ("parameters", f"{told.n_parameters:,}"),
        ("divergent", f"{told.divergences:,} ({told.divergence_rate:.2%})"),
        ("highest R-hat", f"{_digits(told.max_r_hat, 4)}, {told.worst_r_hat}"),
        ("least ESS, bulk", f"{_digits(told.min_ess_bulk, 0)}, {told.worst_ess_bulk}"),
        ("least ESS, tail", f"{_digits(told.min_ess_tail, 0)}, {told.worst_ess_tail}"),
        ("least E-BFMI", _digits(told.min_bfmi, 2)),
    ]
    return [(name, text) for name, text in facts if text]


def _plan(found: Evidence, plan: Plan) -> dict[str, Any]:
    spend, noun = allocate(plan.to_frame()), period_noun(found.fit.panel.freq)
    unit = f" ({plan.currency})" if plan.currency else ""
    columns = (spend.reference, spend.optimized, spend.lower, spend.upper)
    texts = zip(*map(amounts, columns), strict=True)
    rows = []
    for name, change, each in zip(spend.channels, spend.change, texts, strict=True):
        reference, optimized, lower, upper = (text or "no limit" for text in each)
        moved = "" if np.isnan(change) else f"{change:+.1%}"
        rows.append([Cell(x) for x in (name, reference, optimized, moved, lower, upper)])
    heads = [
        "channel",
        f"reference{unit}",
        f"optimised{unit}",
        "change",
        "at least",
        "at most",
    ]
    note = (
        "Sums over geos; plan.csv has each geo." if plan.optimized.sizes["geo"] > 1 else ""
    )
    each = f" a {noun}" if plan.per_period else ""
    facts = [
        ("budget", f"{amount(plan.budget)} {plan.currency}{each}"),
        ("window", f"{plan.periods} {noun}s, and the carry-over after them"),
        ("maximised", plan.utility.replace("_", " ")),
        ("carry-in from earlier spend", plan.carry_in),
        (f"response of the plan ({plan.outcome_name})", amount(plan.objective)),
        ("response of the reference", amount(plan.reference_objective)),
        ("proof", _proof(plan)),
        ("solver", plan.status),
    ]
    if not plan.reference_feasible:
        facts.append(("note", "the reference itself breaks the bounds or the budget"))
    return {"table": Table(heads, rows, 1, note), "facts": facts}


def _proof(plan: Plan) -> str:
    if plan.relative_gap is None:
        return f"none: {plan.gap_reason}"
    word = "certified" if plan.certified else "NOT certified"
    if plan.relative_gap <= 0:
        return f"{word}: no plan is better, rounding aside"
    return f"{word}: no plan is better by more than {plan.relative_gap:.1e} of the response"


def _record(fit: Fit) -> list[tuple[str, str]]:
    """What is needed to know what was fitted, and to fit it again."""
    info, panel, draws = fit.info, fit.panel, fit.draws
    seconds, gradients = info.get("timings", {}), info.get("gradients", {})
    observed = int(panel.mask[:, panel.window].sum())
    facts = [
        ("data hash (SHA-256)", panel.data_hash()),
        ("outcome", f"{panel.outcome_name}, {observed:,} observed"),
        ("currency", panel.currency),
        ("controls", ", ".join(panel.control_names)),
        ("sampler", repr(fit.sampler)),
        ("seed", str(fit.seed)),
        ("draws", f"{draws.n_chains} chains x {draws.n_draws:,}"),
        (
            "seconds",
            ", ".join(f"{k.removesuffix('_s')} {v:.1f}" for k, v in seconds.items()),
        ),
        ("gradients", ", ".join(f"{k} {v:,}" for k, v in gradients.items())),
        ("versions", ", ".join(f"{k} {v}" for k, v in info.get("versions", {}).items())),
        ("machine", ", ".join(str(info[k]) for k in ("device", "platform") if k in info)),
    ]
    return [(name, text) for name, text in facts if text]


def _day(date: Any) -> str:
    return f"{date.day} {date:%b %Y}"
