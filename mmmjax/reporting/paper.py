"""One page for print: the sentence that matters and the five pictures a board asks for."""

import io
import os
import textwrap
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import altair as alt

from mmmjax import plot
from mmmjax.arguments import checked
from mmmjax.budget import Plan
from mmmjax.checks import choice
from mmmjax.draws import Fit
from mmmjax.panel import Panel
from mmmjax.plot import picture as p
from mmmjax.plot.colours import INK, MUTED
from mmmjax.reporting.evidence import Evidence, Planned, gather
from mmmjax.reporting.sentences import lead, tiles
from mmmjax.resources import replace_file
from mmmjax.store import file_to_write
from mmmjax.words import ALL

__all__ = ["onepage", "page_of"]

WIDE, HALF = 760, 300  # pixels: of the page, and of a picture with names beside another
ENDS = ("pdf", "png", "svg")


@checked
def onepage(
    fit: Fit,
    path: str | os.PathLike[str],
    *,
    test: Panel | None = None,
    plan: Plan | Planned | None = None,
    tables: Mapping[str, Any] | None = None,
) -> Path:
    """Write one page for print: what media brought, which channel pays, what to do.

    The five pictures: the outcome over time and what brought it; returns with their
    uncertainty; what more or less spend would bring; and, of a plan, its spend and what it
    brings, else where the outcome came from and when spend pays back. All are sums over
    geos. No browser is needed.

    Args:
        fit: The fit.
        path: Where to, ending in .pdf, .png or .svg; its folder must exist.
        test: The periods after training, on which the forecast is judged.
        plan: A plan to show.
        tables: What is known already, as :func:`mmmjax.report` takes it.

    Returns:
        The path written.

    Raises:
        InputError: Another ending, or a path that cannot be written.
    """
    target = file_to_write(path, "onepage.pdf")
    choice("ending of path", target.suffix.removeprefix(".").lower(), ENDS)
    kept = io.BytesIO()
    page = page_of(gather(fit, test, None, plan, tables))
    page.save(kept, format=target.suffix.removeprefix(".").lower())
    replace_file(target, kept.getvalue())
    return target


def page_of(found: Evidence) -> p.VConcat:
    """The page of the evidence."""
    panel, plan = found.fit.panel, found.plan
    names: dict[str, Any] = {"outcome": found.outcome, "colours": found.colours}
    money = names | {"currency": found.currency}
    geo: dict[str, Any] = {"geo": ALL} if panel.n_geos > 1 else {}
    rows: list[Any] = [
        _words(found),
        plot.contributions(
            found.weekly, observed=found.fitted, width=WIDE, **names, **geo
        ).properties(height=190),
    ]
    if found.media is not None:
        value: dict[str, Any] = {"value": panel.outcome_value}
        returns = plot.roas(found.channels, width=HALF, **money, **value, **geo)
        sweep = found.table("sweep")
        beside = []
        if sweep is not None:
            drawn = plot.sweep(sweep, width=HALF, **money, **geo)
            beside = [drawn.properties(height=170)]
        rows.append(_side_by_side(returns, *beside))
    last: list[Any] = []
    if plan is not None:
        each = f"a {found.period}" if plan.facts["per_period"] else "over the window"
        whole: Any = plan.table.groupby("channel", sort=False).sum(numeric_only=True)
        spent = whole.reset_index().assign(geo=ALL)
        more: dict[str, Any] = {"currency": found.currency, "colours": found.colours}
        last.append(plot.allocation(spent, per=each, width=HALF - 60, **more))
        if plan.brings is not None:
            last.append(plot.plan_responses(plan.brings, outcome=found.outcome, width=HALF))
    else:
        table = found.table("decomposition")
        if table is not None:
            last.append(plot.decomposition(table, width=HALF, **names, **geo))
        windows: Any = found.table("returns")
        if windows is not None and windows["roas_mean"].notna().any():
            last.append(plot.now_and_after(windows, "all", width=HALF, **names, **geo))
    if last:
        rows.append(_side_by_side(*last))
    return p.VConcat(vconcat=rows, spacing=18).resolve_scale(
        color="independent", shape="independent", opacity="independent", fill="independent"
    )


def _side_by_side(*charts: Any) -> Any:
    """Two pictures beside each other, each with colours of its own."""
    if len(charts) == 1:
        return charts[0]
    return p.HConcat(hconcat=list(charts), spacing=40).resolve_scale(
        color="independent", shape="independent", opacity="independent", fill="independent"
    )


def _words(found: Evidence) -> p.Layer:
    """Title, the report's first sentences, and the answer on what to do."""
    todo = [tile for tile in tiles(found) if tile.question == "What to do?"]
    said = [lead(found), *(f"{tile.answer}. {tile.text}" for tile in todo)]
    lines = [line for text in said for line in textwrap.wrap(text, WIDE // 7)]
    one = alt.Chart(alt.Data(values=[{}]))
    look: dict[str, Any] = {"align": "left", "baseline": "top"}
    head = one.mark_text(
        fontSize=20,
        fontWeight="bold",
        color=INK,
        **look,
        text=f"What media brought: {found.outcome}",
    )
    body = one.mark_text(fontSize=12, color=MUTED, lineHeight=17, text=lines, **look)
    at = {"x": alt.value(0)}
    drawn = p.layer(head.encode(**at, y=alt.value(0)), body.encode(**at, y=alt.value(30)))
    return drawn.properties(width=WIDE, height=34 + 17 * len(lines))
