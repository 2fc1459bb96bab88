"""The planner: one HTML file in which anyone tries splits of a budget, offline.

What a channel brings in a geo is a curve of its spend in every posterior draw. The curves
of all draws are their mean and a few shapes, each times a number of the draw: the page
holds these, adds up a split draw by draw, and says what :func:`mmmjax.evaluate` says. Nodes
lie evenly over the root of spend, in which curves are smooth down to no spend; values and
slopes there make cubic pieces.
"""

import base64
import hashlib
import os
import shlex
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
from jaxtyping import Array, Float

from mmmjax.arguments import checked
from mmmjax.budget import Plan, optimize
from mmmjax.budget.given import spend_of
from mmmjax.budget.horizon import CarryIn, Window, block_of, make_window, response_of
from mmmjax.budget.layout import markets_of
from mmmjax.budget.prepare import Fits, Prepared, prepare
from mmmjax.budget.record import PROB
from mmmjax.budget.request import known_of
from mmmjax.checks import Phrase, fail, integer, listing
from mmmjax.draws import Fit
from mmmjax.panel import Panel
from mmmjax.reporting.embed import as_json
from mmmjax.reporting.html import assemble
from mmmjax.reporting.planned import Planned
from mmmjax.resources import replace_file
from mmmjax.simulate import SIMULATED, is_demo
from mmmjax.store import file_to_write
from mmmjax.words import Return, capital, in_percent, period_noun

__all__ = ["planner"]

NODES = 24  # pieces of a curve
REACH = 3.0  # a slider ends at this multiple of the reference, or where the bounds end
CLOSE = (1e-6, 1e-5, 1e-4, 1e-3)  # relative error of a curve in any draw: what fits
BYTES, EACH = 800_000, 24  # of all numbers of draws; of a draw and cell, about, at the last
FEWEST = 200  # draws that are kept whatever it takes
UNSETTLED = "The computation did not settle: these numbers may still change."
SPREAD = ("in an even window, every {} alike", "over the {}s as in the best plan")
MEAN = ("mean_response", "mean_response()")
NAMES = {"as given": "Reference", "past split scaled to the budget": "Past split"}


@checked
def planner(
    fit: Fits,
    path: str | os.PathLike[str],
    plan: Plan | Planned | None = None,
    *,
    scenarios: Mapping[str, Any] | None = None,
    max_draws: int | None = None,
    run: str = "run/",
) -> Path:
    """Write a page in which a split of the budget is tried with sliders, beside the plan.

    Response, returns and their intervals are those of :func:`mmmjax.evaluate` at the
    plan's window, prices and flighting; the page needs no server and asks for nothing.
    Scenarios are kept in the browser, and leave as CSV or as flags of ``mmmjax optimize``.

    Args:
        fit: As :func:`mmmjax.optimize` takes it: a fit, fits by market, response curves.
        path: Where to; its folder must exist.
        plan: The plan shown as the best, its reference, bounds and window those of the
            page; None: ``mm.optimize(fit)``.
        scenarios: Further splits to compare, {name: split} as :func:`mmmjax.evaluate`
            takes them, money as in the plan.
        max_draws: Draws of the intervals at most, evenly spaced; None: all, or as many as
            keep the page below 2 MB (at least 200). Means are of all draws.
        run: What flags of ``mmmjax optimize`` call the fit.

    Returns:
        The path written.

    Raises:
        InputError: The path cannot be written, the plan is of other channels or geos, or
            channels do not add up: they act together, or effects multiply.
    """
    target = file_to_write(path, "planner.html")
    most = None if max_draws is None else integer("max_draws", max_draws, low=1)
    made = optimize(fit) if plan is None else plan
    told = Planned.of(made) if isinstance(made, Plan) else made
    shown = _content(_asked(fit, told, scenarios or {}), told, most, run)
    replace_file(target, assemble("planner.html.j2", shown, "planner.js"))
    return target


class _Asked(NamedTuple):
    """What is asked of the curves: all of a plan but its draws.

    Args:
        prepared: Cells and markets.
        plan: Rows of plan.csv in the order of cells, money over the window.
        profile: Share of a cell's money in every period, (cell, period); None: even.
        owner: Variable that moves a cell, (cell,).
        share: Its share of the money of that variable, (cell,).
        scenarios: Money of every cell by name, (cell,).
        carry_in: "zero" or "history".
    """

    prepared: Prepared
    plan: pd.DataFrame
    profile: Float[np.ndarray, "cell period"] | None
    owner: np.ndarray
    share: np.ndarray
    scenarios: dict[str, np.ndarray]
    carry_in: CarryIn


def _asked(fit: Fits, told: Planned, scenarios: Mapping[str, Any]) -> _Asked:
    """Cells and money of a plan, checked against the fit."""
    facts, table = told.facts, told.table.set_index(["geo", "channel"])
    geos = tuple(dict.fromkeys(told.table["geo"]))
    markets = {name: known_of(each) for name, each in markets_of(fit).items()}
    sizes = [len(known.geos) for known in markets.values()]
    names = {name for known in markets.values() for name in known.channels}
    if sum(sizes) != len(geos) or names != set(told.table["channel"]):
        got, fix = Phrase("one of other channels or geos"), "leave it out: one is made"
        fail("plan", got, "", "a plan of this fit", fix)
    if facts.get("campaigns"):
        got, fix = Phrase("one of campaigns"), "mmmjax optimize RUN without --campaigns"
        fail("plan", got, "", "a plan of channels alone", fix)
    if old := {"prices", "relative_gap", "reference_is"} - facts.keys():
        got, fix = Phrase(f"one without {min(old)}"), "mmmjax optimize RUN makes it again"
        fail("plan", got, "", "plan.json of this version", fix)
    paid = {(x["geo"], x["channel"]): x for x in facts["prices"]}
    costs, before = {}, {}
    for name, known, end in zip(markets, markets.values(), np.cumsum(sizes), strict=True):
        own = geos[end - len(known.geos) : end]
        rows = {c: [(g, c) for g in own] for c in known.channels}
        before[name] = {c: table["reference"].loc[at].tolist() for c, at in rows.items()}
        each = {c: [paid[key] for key in at] for c, at in rows.items()}
        costs[name] = {
            c: {"price": np.stack([np.atleast_1d(x["cost_per_unit"]) for x in at])}
            for c, at in each.items()
        }
        for c, at in each.items():
            if any(rise := [x["price_elasticity"] for x in at]):
                costs[name][c]["elasticity"] = np.array(rise)
    several = len(markets) > 1
    found = prepare(
        fit,
        bounds=0.0,
        periods=int(facts["periods"]),
        per_period=facts["per_period"],
        carry_in=facts["carry_in"],
        reference=before if several else next(iter(before.values())),
        cost_per_unit=costs if several else next(iter(costs.values())),
    )
    layout = found.layout
    if found.kind.form.joint:
        allowed, fix = "channels that add up", "compare whole plans with mm.evaluate"
        fail("fit", Phrase(found.doubt), "the planner", allowed, fix)
    pairs = zip(layout.geo, layout.channel, strict=True)
    keys = [(layout.geos[g], layout.channels[c]) for g, c in pairs]
    kept = {n: spend_of(found, f'scenario "{n}"', x).money for n, x in scenarios.items()}
    profile = None
    if timed := facts.get("spend_by_period"):
        spend = {(row["geo"], row["channel"]): row["spend"] for row in timed["rows"]}
        money = np.array([spend[key] for key in keys])
        money = np.where(money.sum(1, keepdims=True) > 0, money, 1.0)
        profile = money / money.sum(1, keepdims=True)
    together = ~np.isnan(layout.split) | bool(facts.get("fixed_geo_split"))
    whole = np.repeat(np.arange(len(sizes)), sizes)[layout.geo] * len(layout.channels)
    alone = whole.max() + len(layout.channels) + np.arange(len(whole))
    owner = np.where(together, whole + layout.channel, alone)
    owner = np.unique(owner, return_inverse=True)[1]
    total, count = np.bincount(owner, layout.reference)[owner], np.bincount(owner)[owner]
    share = layout.reference / np.where(total > 0, total, 1.0)
    share = np.where(total > 0, share, 1.0 / count)
    share = np.where(np.isnan(layout.split), share, layout.split)
    return _Asked(
        found, table.loc[keys] * layout.unit, profile, owner, share, kept, facts["carry_in"]
    )


class _Curves(NamedTuple):
    """Curves of all cells: values at every node, then slopes in the root of spend.

    Args:
        means: Over all draws, (cell, 2 nodes).
        shapes: Of each cell, [(shape, 2 nodes)].
        numbers: Of each cell and shape a whole number a draw, [(shape, draw)].
        concave: Whether the next money of a channel never brings more than the last.
        count: Draws.
    """

    means: np.ndarray
    shapes: list[np.ndarray]
    numbers: list[np.ndarray]
    concave: bool
    count: int


def _curves(asked: _Asked, top: np.ndarray, most: int | None) -> _Curves:
    """The curves of every cell up to a spend, (cell,)."""
    found = asked.prepared
    window, form = found.window._replace(split=None), found.kind.form
    if asked.profile is not None:
        layout, fits = (
            found.layout,
            [x for x in found.markets.values() if isinstance(x, Fit)],
        )
        window = make_window(
            fits,
            layout.periods,
            asked.carry_in,
            layout.costs,
            profile=asked.profile,
            dearer=layout.dearer,
        )
        form = replace(form, block=block_of(window))
    total = jax.tree.leaves(window.draws)[0].shape[0]
    fair = max(BYTES // (EACH * len(top)), FEWEST)
    count = min(total, fair if most is None else most)
    kept = np.arange(count) * total // count

    @jax.jit
    def at(window: Window, spend: Array) -> tuple[Array, Array]:
        """Response of every draw and cell, and what one more unit of money brings."""
        return jax.jvp(response_of(window, form), (spend,), (jnp.ones_like(spend),))

    rows = [(np.zeros(len(top)), np.zeros((count, len(top)))) * 2]  # nothing for nothing
    with jax.enable_x64(True):
        for root in np.arange(1, NODES + 1) / NODES:
            value, slope = map(np.asarray, at(window, root**2 * top))
            slope = slope * (2 * root * top)  # in the root
            rows.append((value.mean(0), value[kept], slope.mean(0), slope[kept]))
    parts = [np.stack(each, -1) for each in zip(*rows, strict=True)]
    for values, slopes in zip(parts[:2], parts[2:], strict=True):
        first = 2 * NODES * values[..., 1] - slopes[..., 1]  # 0, but for curves like a root
        rooted = np.abs(first) > 0.2 * NODES * np.abs(values[..., 1])
        slopes[..., 0] = np.where(rooted, first, 0.0)
    means, draws = (np.concatenate(parts[i::2], -1) for i in (0, 1))
    if not (np.isfinite(means).all() and np.isfinite(draws).all()):
        allowed, fix = "finite draws of the media parameters", "see mm.diagnostics(fit)"
        fail("fit", Phrase("a response that is not finite"), "a plan", allowed, fix)
    steps = np.diff(parts[0]) / np.diff(np.arange(NODES + 1) ** 2)
    rises = np.diff(steps) > 1e-6 * np.abs(steps).max(1, keepdims=True)
    pairs = []
    for close in CLOSE if EACH * count * len(top) <= BYTES else CLOSE[2:]:
        pairs = [_shapes(draws[:, i], means[i], close) for i in range(len(top))]
        if sum(2 * numbers.size for _, numbers in pairs) <= BYTES:
            break
    shapes, numbers = ([pair[i] for pair in pairs] for i in (0, 1))
    return _Curves(means, shapes, numbers, not rises.any(), count)


def _shapes(
    draws: np.ndarray, mean: np.ndarray, close: float
) -> tuple[np.ndarray, np.ndarray]:
    """Shapes (shape, node) and whole numbers (shape, draw) that make the draws of a cell.

    As few principal components as make every draw to `close` of what is usual at a node;
    one whose numbers are too coarse as 16 bits comes again, for what they leave.
    """
    size = np.sqrt((draws**2).mean(0))
    size = np.where(size > 0, size, 1.0)
    rest = (draws - mean) / size
    left, weight, right = np.linalg.svd(rest, full_matrices=False)
    shapes, whole = [np.zeros((0, len(mean)))], [np.zeros((0, len(draws)))]
    for number, shape in zip((weight * left).T, right, strict=True):
        if np.abs(rest).max() <= close:
            break
        rest = rest - np.outer(number, shape)
        while (most := np.abs(number).max()) * np.abs(shape).max() > close / 4:
            unit = most / np.iinfo(np.int16).max
            shapes.append((unit * shape * size)[None])
            whole.append(np.round(number / unit)[None])
            number = number - unit * whole[-1][0]
    return np.concatenate(shapes), np.concatenate(whole)


def _content(asked: _Asked, told: Planned, most: int | None, run: str) -> dict[str, Any]:
    """What the page shows, its curves as packed arrays."""
    found, facts, plan = asked.prepared, told.facts, asked.plan
    layout, source = found.layout, next(iter(found.markets.values()))
    about: Any = source.panel if isinstance(source, Fit) else source
    peak = 1.0 / layout.periods if asked.profile is None else asked.profile.max(1)
    seen = layout.largest / peak  # of a window whose largest period is that of training
    known = plan["upper"].where(np.isfinite(plan["upper"]), 0.0)
    top = np.max([REACH * plan["reference"], 1.2 * plan["optimized"], known], axis=0)
    top = np.where(top > 0, top, np.where(seen > 0, seen, layout.budget / len(top)))
    curves = _curves(asked, top, most)
    held = {(x["geo"], x["channel"]) for x in facts["prices"] if x["binding"] == "fixed"}
    cells = plan.assign(
        geo=layout.geo,
        channel=layout.channel,
        owner=asked.owner,
        share=asked.share,
        top=top,
        seen=seen,
        held=[key in held for key in plan.index],
        shapes=[len(each) for each in curves.shapes],
    ).astype(object)
    cells = cells.where(cells.ne(np.inf), None)  # no limit; nothing seen in training

    def pack(arrays: Any, kind: str) -> str:
        whole = b"".join(np.asarray(each).astype(kind).tobytes() for each in arrays)
        return base64.b64encode(whole).decode()

    words = ["mmmjax", "optimize", run, "--periods", str(layout.periods)]
    words += ["--carry-in", facts["carry_in"]] * (facts["carry_in"] != "zero")
    words += ["--utility", facts["utility"]] * (facts["utility"] not in MEAN)
    noun, several = period_noun(about.freq), len(layout.geos) > 1
    periods = f"{layout.periods} {noun}{'s' * (layout.periods > 1)}"
    said = Return(about.outcome_name, facts["currency"], facts["outcome_value"])
    before = NAMES.get(facts["reference_is"], capital(facts["reference_is"]))
    means = pack([curves.means], "<f4")
    settings = {
        "key": hashlib.sha256(means.encode()).hexdigest()[:16],
        "geos": layout.geos,
        "channels": layout.channels,
        "cells": cells.to_dict("records"),
        "scenarios": [{"name": n, "spend": x.tolist()} for n, x in asked.scenarios.items()],
        "nodes": NODES,
        "draws": curves.count,
        "prob": PROB,
        "concave": curves.concave,
        "means": means,
        "forms": pack(curves.shapes, "<f4"),
        "numbers": pack(curves.numbers, "<i2"),
        **said._asdict(),
        "times": said.times,
        "noun": noun,
        "before": before,
        "flags": shlex.join(words),
        "budget": plan["optimized"].to_numpy().sum().item(),
    }
    last = [] if not isinstance(source, Fit) else [about.dates[about.window][-1]]
    marks = [UNSETTLED] * (facts.get("sampled") is False)
    holds = [f"Every number here holds only {x}." for x in [facts.get("condition")] if x]
    return {
        "title": f"Plan the media budget: {said.outcome}",
        "subtitle": f"The {periods}{''.join(f' after {x.day} {x:%b %Y}' for x in last)}, "
        f"{len(layout.channels)} channels{f', {len(layout.geos)} geos' * several}",
        "lead": "Move the sliders and see what a split of the budget brings, beside "
        f"{before[:1].lower()}{before[1:]} and the best plan. Nothing leaves this page.",
        "banner": SIMULATED if isinstance(about, Panel) and is_demo(about) else "",
        "tiles": [],
        "marks": marks + holds,
        "notes": _notes(asked, facts),
        "draws": f"{curves.count:,}",
        "money": said.currency or "unit of money",
        "settings": as_json(settings),
        "said": said,
        "noun": noun,
        "periods": periods,
        "spread": SPREAD[asked.profile is not None].format(noun),
        "before": before,
        "reach": f"{REACH:g}",
        "several": several,
    }


def _notes(asked: _Asked, facts: Mapping[str, Any]) -> list[str]:
    """How good the best plan is, and what neither the page nor its flags know of it."""
    gap, found = facts["relative_gap"], asked.prepared
    best = f"The best plan maximises {facts['utility']}"
    if facts["utility"] in MEAN:
        best = "The best plan is the one that brings most on average"
    if facts["certified"]:
        proof = "it is proven that no other split within the same limits does better"
    elif gap is None:
        proof = f"a better one may exist ({facts['gap_reason']})"
    else:
        proof = f"no other split is better by more than {in_percent(gap)} of it"
    out, apart = [f"{best}: {proof}. That is so within the model, not of the data."], []
    if names := [Phrase(limit["name"]) for limit in facts.get("limits") or []]:
        out.append(f"It also keeps {listing(names, 6)}: sliders and button do not.")
        apart.append("these limits (--constraint)")
    if facts.get("levers"):
        out.append(f"It also sets more than media: {'; '.join(facts['levers']['says'])}.")
        apart.append("levers ([levers])")
    usual = [known_of(each).cost_per_unit.ravel() for each in found.markets.values()]
    rises = any(x["price_elasticity"] for x in facts["prices"])
    if rises or not np.allclose(found.layout.prices, np.concatenate(usual)[:, None]):
        out.append("Media cost what the plan expects, not what they cost in training.")
        apart.append("prices ([cost_per_unit])")
    if asked.profile is not None:
        out.append("Over time the money of a channel is spent as in the best plan.")
        apart.append("when money is spent (flighting)")
    if len(found.layout.geos) > 1:
        apart.append("your split over geos, which is then that of the reference")
    if apart:
        out.append(f"The command at the end leaves out {listing(map(Phrase, apart), 9)}.")
    return out
