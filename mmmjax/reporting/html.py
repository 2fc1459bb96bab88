"""The report: one HTML file that needs nothing but itself."""

import base64
import hashlib
import os
from collections.abc import Mapping
from importlib import resources
from pathlib import Path
from typing import Any

import jinja2

from mmmjax.arguments import checked
from mmmjax.budget import Plan
from mmmjax.draws import Fit
from mmmjax.panel import Panel
from mmmjax.panel.record import told
from mmmjax.plot.picture import CONFIG
from mmmjax.posterior.fold import thinned
from mmmjax.posterior.levers import levers_of
from mmmjax.reporting.embed import Tables, as_json
from mmmjax.reporting.evidence import Evidence, Planned, gather
from mmmjax.reporting.figures import figures
from mmmjax.reporting.moved import moved
from mmmjax.reporting.rows import tables, written
from mmmjax.reporting.sentences import GLOSSARY, lead, tiles, toned, verdict
from mmmjax.resources import replace_file
from mmmjax.simulate import SIMULATED, is_demo
from mmmjax.store import file_to_write
from mmmjax.words import capital, day

__all__ = ["assemble", "figures", "render", "report"]

HERE = "\N{INVISIBLE SEPARATOR}library\N{INVISIBLE SEPARATOR}"  # where it goes


@checked
def report(
    fit: Fit,
    path: str | os.PathLike[str],
    *,
    test: Panel | None = None,
    truth: Mapping[str, Any] | None = None,
    plan: Plan | Planned | None = None,
    tables: Mapping[str, Any] | None = None,
) -> Path:
    """Write what was found, and how sure it is, to one interactive HTML file.

    The first screen is for a manager: what media brought, which channel pays, how sure
    that is, what to do. Then come the evidence, the plan, and what is needed to fit it
    again. Everything is inside the file, about 1.5 MB with Vega: it opens offline, on a
    phone and on paper, and is written whole or not at all.

    Args:
        fit: The fit.
        path: Where to; its folder must exist.
        test: The periods after training, with outcomes: the forecast is judged on them.
        truth: True ROAS by channel, {channel: number} or the truth of a simulation.
        plan: A plan to show.
        tables: What is known already and need not be computed again, by name. Tables with
            the columns of the files of a run: "channels", "weekly", "parameters", "fitted",
            "forecast", "decomposition", "curves", "carryover", "sweep", "returns",
            "priors", "campaigns", "frequency", "lift_tests", "taught",
            "multipliers", "shrinkage"; "scores" (of :func:`mmmjax.scores` with the same
            test) and "diagnostics". What is None or not given is computed. Of other fits,
            shown only if given: "backtest", "backtest_forecast" and
            "backtest_parameters"; "drift" (``mm.drift(old, fit).table``) and "conflation"
            (``mm.conflation(fit).table``).

    Returns:
        The path written.

    Raises:
        InputError: The path cannot be written, or a table is unknown or lacks a column.
    """
    target = file_to_write(path, "report.html")
    replace_file(target, render(gather(fit, test, truth, plan, tables)))
    return target


def render(found: Evidence) -> bytes:
    """The page of the evidence."""
    charted = Tables()
    shown = content(found) | {"figures": figures(found, charted)}
    return assemble("page.html.j2", shown, "page.js", charted=charted)


def assemble(
    template: str, shown: Mapping[str, Any], *scripts: str, charted: Tables | None = None
) -> bytes:
    """A page of the house: its template, style sheet and scripts in one file.

    Args:
        template: Name of the file beside this one.
        shown: What the template shows.
        scripts: Names of its scripts, beside this file.
        charted: Tables of its charts, which Vega then draws; None: it has no charts.
    """
    environment = jinja2.Environment(
        loader=jinja2.FunctionLoader(_text),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    joined = "\n".join(_text(name) for name in ("common.js", *scripts))
    own = f'"use strict";\n{{\n{joined}}}'  # a block: none of its names is one of Vega's
    first = [] if charted is None else [_text("vega.js").encode()]
    known = [hashlib.sha256(each).digest() for each in (*first, own.encode())]
    page = environment.get_template(template).render({
        "settings": as_json({"config": CONFIG}), "as_json": as_json,
        "charted": (charted or Tables()).packed(),
        **shown, "library": HERE if first else "", "style": _text("page.css"),
        "script": own,
        "hashes": [f"sha256-{base64.b64encode(x).decode()}" for x in known],  # of the CSP
    })  # fmt: skip
    return b"".join(first).join(map(str.encode, page.split(HERE)))


def _text(name: str) -> str:
    return resources.files("mmmjax.reporting").joinpath(name).read_text("utf-8")


def content(found: Evidence) -> dict[str, Any]:
    """What the page shows; all numbers are text already."""
    fit, panel, window = found.fit, found.fit.panel, found.window
    word, reason, tone = verdict(found)
    beside = moved(found)
    after = () if found.tested is None else found.tested["date"].unique()
    return {
        "title": f"What media brought: {panel.outcome_name}",
        "subtitle": ", ".join([
            f"{day(window[0])} to {day(window[-1])}",
            f"{len(window):,} {found.period}s of training"
            f"{f' and {len(after):,} after it to judge it by' if len(after) else ''}",
            "one market" if panel.n_geos == 1 else f"{panel.n_geos:,} geos",
            f"{len(panel.channels)} channels",
        ]),
        "banner": SIMULATED if is_demo(panel) else "",
        "lead": lead(found),
        "tiles": tiles(found),
        "glossary": GLOSSARY,
        "against": toned(found.judged.adequate.findings),
        **beside, "tables": tables(found) | beside["tables"],
        "n_channels": len(panel.channels),
        "period": found.period,
        "outcome": found.outcome,
        "Outcome": capital(found.outcome),
        "diagnostics": _diagnostics(found),
        "verdict": {"word": word, "reason": reason, "tone": tone},
        "plan": found.plan,
        "record": _record(fit),
        "notes": [str(note) for note in fit.info.get("notes", [])],
        "spec": fit.spec.to_toml().strip(),
    }  # fmt: skip


def _diagnostics(found: Evidence) -> list[tuple[str, str]]:
    """The numbers behind the verdict, the worst parameters by name."""
    told = found.diagnostics
    facts = [
        ("draws", f"{told.n_chains} chains x {told.n_draws:,}"),
        ("parameters", f"{told.n_parameters:,}"),
        ("divergent", f"{told.divergences:,} ({told.divergence_rate:.2%})"),
        ("highest R-hat", f"{written(told.max_r_hat, 4)}, {told.worst_r_hat}"),
        ("least ESS, bulk", f"{written(told.min_ess_bulk, 0)}, {told.worst_ess_bulk}"),
        ("least ESS, tail", f"{written(told.min_ess_tail, 0)}, {told.worst_ess_tail}"),
        ("least E-BFMI", written(told.min_bfmi, 2)),
    ]
    return [(name, text) for name, text in facts if text]


def _record(fit: Fit) -> list[tuple[str, str]]:
    """What is needed to know what was fitted, and to fit it again."""
    info, panel, draws, some = fit.info, fit.panel, fit.draws, thinned(fit).draws
    seconds, gradients = info.get("timings", {}), info.get("gradients", {})
    facts = [
        ("data hash (SHA-256)", panel.data_hash()),
        *told(panel),
        ("currency", panel.currency),
        (
            "levers count from",
            ", ".join(f"{n} {x.baseline:g}" for n, x in levers_of(fit).items()),
        ),
        ("sampler", repr(fit.sampler)),
        ("seed", str(fit.seed)),
        ("draws", f"{draws.n_chains} chains x {draws.n_draws:,}"),
        (
            "draws of tables",  # what the largest are made of, where that is fewer
            f"{some.n_chains} x {some.n_draws:,}" if some is not draws else "",
        ),
        (
            "seconds",
            ", ".join(f"{k.removesuffix('_s')} {v:.1f}" for k, v in seconds.items()),
        ),
        ("gradients", ", ".join(f"{k} {v:,}" for k, v in gradients.items())),
        ("versions", ", ".join(f"{k} {v}" for k, v in info.get("versions", {}).items())),
        ("machine", ", ".join(str(info[k]) for k in ("device", "platform") if k in info)),
    ]
    return [(name, text) for name, text in facts if text]
