"""What the command line says: tables and verdicts, no computation of its own."""

import sys
import textwrap
from collections.abc import Iterable, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from rich.console import Console
from rich.markup import escape

from mmmjax import checks, exploration, words
from mmmjax.adequacy import UNSEEN, Judged
from mmmjax.checks import Phrase
from mmmjax.criticism import prior_returns
from mmmjax.draws import Diagnostics, Fit
from mmmjax.experiments import REFIT
from mmmjax.findings import LOG, Finding, ranked
from mmmjax.graph import data_priors, structure
from mmmjax.model import ModelData
from mmmjax.panel import Panel
from mmmjax.panel.calendar import period_days
from mmmjax.panel.record import told
from mmmjax.prior import few_relevant
from mmmjax.samplers import HMC, NUTS, Sampler, most_draws
from mmmjax.spec import Spec
from mmmjax.words import ALL, Return, amount, estimate, in_percent, period_noun

# a file or a pipe has no width: wide enough that tables need not fold
out = Console(highlight=False, width=None if sys.stdout and sys.stdout.isatty() else 100)
err = Console(stderr=True, highlight=False)

Row = dict[Any, Any]
SHOWN_TAUGHT = 8  # rows; of more those that leave out all tests
SPREAD = ("median", "lo", "hi")


def error(message: str) -> None:
    """Say what cannot be used, to standard error."""
    LOG.error("%s", message)
    err.print(f"[bold red]Error[/] {escape(message)}", soft_wrap=True)


def warn(message: str) -> None:
    """Say what should not be overlooked, to standard error."""
    LOG.warning("%s", message)
    err.print(f"[bold yellow]Warning[/] {escape(message)}", soft_wrap=True)


def say(message: str) -> None:
    """Print one plain line."""
    out.print(escape(message), soft_wrap=True)


def over_geos(table: pd.DataFrame) -> list[dict[Any, Any]]:
    """Rows of channels.csv of all geos together."""
    return table.loc[table["geo"] == "ALL"].to_dict("records")


def grid(head: str, columns: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Print a table; columns whose names end in a space hold words, others numbers."""
    if head:
        title(head)
    out.print(words.grid(columns, rows))


def title(text: str) -> None:
    """Print the head of a part."""
    out.print(f"[bold]{escape(text)}[/]", soft_wrap=True)


def entry(label: str, text: str, width: int = 10) -> None:
    """Print a label and its text, wrapped beside it."""
    room, bullet = max(out.width - width - 3, 40), "  " * text.startswith("- ")
    lines = textwrap.wrap(text, room, subsequent_indent=bullet, break_on_hyphens=False)
    for i, line in enumerate(lines or [""]):
        say(f"  {label if i == 0 else '':<{width}}{line}")


def panel(train: Panel, test: Panel | None) -> None:
    """Say what the data are: the outcome, its windows, the controls, each channel."""
    title("Data")
    more = ("controls", "campaigns", "reach", f"spend {train.currency}".strip())  # below
    for label, text in told(train):
        if label not in more:
            entry(label, text)
    noun = period_noun(train.freq)
    if test is not None:
        entry("held out", f"{len(test.dates)} {noun}s, {_span(test.dates)}")
    rows: list[Row] = exploration.describe(train).reset_index().to_dict("records")
    _controls(train, [row for row in rows if row["kind"] == "control"])
    if train.channels:
        _channels(train, [row for row in rows if row["kind"] == "media"])
    if (own := train.campaigns) is not None:
        at = [train.channels.index(name) for name in own.channels]
        media = (own.media * train.media[..., at])[:, train.window].sum((0, 1))
        for channel in dict.fromkeys(own.channels):
            mine = [i for i, name in enumerate(own.channels) if name == channel]
            parts = media[mine] / (media[mine].sum() or 1.0)
            texts = (
                Phrase(f"{own.names[i]} {x:.0%}") for i, x in zip(mine, parts, strict=True)
            )
            entry(
                "campaigns" if own.channels[0] == channel else "",
                f"{channel}: {checks.listing(texts, 8)}",
            )
    for name in train.reached:
        c = train.channels.index(name)
        often, seen = train.frequency[..., c], train.media[..., c]  # type: ignore[index]
        usual, most = train.usual_frequency()[c], np.nanmax(often, initial=1.0)
        reach = np.where(np.isnan(often), 0.0, seen / often)[:, train.window].sum(0).mean()
        text = f"{name}: {amount(reach)} people a {noun}, reached {usual:.1f} times (at "
        entry("reach" if name == train.reached[0] else "", f"{text}most {most:.1f})")
    if test is not None:
        _against(train, test)


def _span(dates: pd.DatetimeIndex) -> str:
    return f"{checks.show(dates[0])} to {checks.show(dates[-1])}"


def _cells(train: Panel) -> str:
    """What one cell is."""
    return ("" if train.n_geos == 1 else "geo-") + f"{period_noun(train.freq)}s"


def _controls(train: Panel, rows: list[Row]) -> None:
    """Controls: the events (nearly always 0) in one line, the others in another."""
    rare = exploration.rare(train)
    cells = int(train.present[:, train.window].sum())
    events = [row for row, is_rare in zip(rows, rare, strict=True) if is_rare]
    others = [row for row, is_rare in zip(rows, rare, strict=True) if not is_rare]
    label = "controls"
    if events:
        on = sorted(round(row["active"] * cells) for row in events)
        times = f"{on[0]}" if on[0] == on[-1] else f"{on[0]} to {on[-1]}"
        named = checks.listing((Phrase(row["name"]) for row in events), 3)
        when = f"on in {times} of {cells:,} {_cells(train)}"
        kind = "event" if len(events) == 1 else "events"
        entry(label, f"{len(events)} {kind} ({when}): {named}")
        label = ""
    if others:
        said = (Phrase(f"{row['name']} (corr. {row['correlation']:.2f}, "
                       f"VIF {row['vif']:.1f})") for row in others)  # fmt: skip
        more = "" if label else (" other" if len(others) == 1 else " others")
        entry(label, f"{len(others)}{more}: {checks.listing(said, 3)}")


def _channels(train: Panel, rows: list[Row]) -> None:
    apart = any(not np.isclose(row["spend"], row["total"]) for row in rows)
    heads = ["channel ", "spend", "share", "media", "active", "corr.", "VIF"]
    table = [
        [
            row["name"],
            amount(row["spend"]) or "organic",
            f"{row['share']:.1%}" if np.isfinite(row["share"]) else "",
            amount(row["total"]),
            f"{row['active']:.0%}",
            f"{row['correlation']:.2f}",
            f"{row['vif']:.1f}",
        ]
        for row in rows
    ]
    if not apart:
        heads, table = heads[:3] + heads[4:], [row[:3] + row[4:] for row in table]
    unit = f" {train.currency}" if train.currency else ""
    spent = float(np.nansum([row["spend"] for row in rows]))
    grid(f"Channels (spend in training {amount(spent)}{unit})", heads, table)
    within = " within geos" if train.n_geos > 1 else ""
    entry(
        "",
        f"active: share of the {_cells(train)} with media. corr.: with {train.outcome_name}"
        f"{within}. VIF: 1 alone, above 10 other columns tell nearly the same. Condition "
        f"number of the media: {exploration.condition(train):.1f}.",
        0,
    )


def _against(train: Panel, test: Panel) -> None:
    """How the held-out window differs: its levels, then its range."""
    of = exploration.difference(train, test)
    names, noun = [train.outcome_name, *train.channels], period_noun(train.freq)
    change = of.test / np.where(of.train == 0, np.nan, of.train) - 1

    def said(i: int) -> Phrase:
        size = f"{change[i]:+.0%}, " if np.isfinite(change[i]) else ""
        return Phrase(f"{names[i]} {size}{of.smd[i]:+.1f} sd")

    media = range(1, len(names))
    order = sorted(media, key=lambda i: -abs(np.nan_to_num(of.smd[i])))
    parts = [said(i) for i in ([0] if np.isfinite(of.smd[0]) else []) + order]
    title(f"Held out against training (mean of a {noun}: change, in standard deviations)")
    entry("", "; ".join(parts[:4]), 0)
    above = [Phrase(names[i]) for i in media if of.beyond[i] > 0]
    said_above = checks.listing(above, 4) if above else "none"
    lines = [f"media above their training range: {said_above}"]
    if quiet := int((of.test[len(names) :] == 0).sum()):
        lines.append(
            f"controls that are 0 throughout: {quiet} of {train.controls.shape[2]}"
        )
    entry("", "; ".join(lines), 0)


def spec(model: Spec, train: Panel) -> None:
    """Say what the model is."""
    head, *lines = str(structure(model, train)).splitlines()
    title(head)
    say("\n".join(lines))
    if train.channels:
        noun = period_noun(train.freq)
        days = model.memory * period_days(train.dates, train.freq)
        say(f"  carry-over: {model.memory} {noun}s ({days:.0f} days), this one included")


def priors(model: Spec, train: Panel, data: ModelData) -> None:
    """Say what the priors whose numbers come from the data are, and what they believe."""
    table = data_priors(model, train, data.hyper)
    for (parameter, key), part in table.groupby(["parameter", "hyperparameter"]):  # type: ignore[misc]
        _data_prior(model, train, str(parameter), str(key), part.to_dict("records"))
    if not train.channels:
        return
    said = Return(train.outcome_name, train.currency, train.outcome_value)
    found = said.of(prior_returns(model, train, data)).replace({ALL: "all media"})
    body = []
    for row in found.to_dict("records"):
        roas, share = ([row[f"{n}_{x}"] for x in SPREAD] for n in ("roas", "share"))
        money = estimate(*roas) if row["spend"] > 0 else ("", "", "")
        body.append([row["channel"], *money, *(in_percent(round(x, 3)) for x in share)])
    ends = ["94% from", "to"]
    names = ["channel ", said.name, *ends, f"share of {train.outcome_name}", *ends]
    grid("Before the data speak (medians)", names, body)


def _data_prior(model: Spec, train: Panel, name: str, key: str, rows: list[Row]) -> None:
    """Explain one prior whose numbers come from the data."""
    title(f"Prior from the data: {name} ~ {model.priors[name].typical.with_dims(())!r}")
    if rows[0]["source"] == few_relevant.name:
        prior = dict(model.priors[name].params)
        many = model.sizes(train)[model.dims(name)[-1]]
        text = f"{prior['relevant']:g} of {many} are thought to matter, more or fewer if"
        entry("", f"about {text} the data say so; the others are drawn to nothing", 0)
        return
    if name != "saturation_beta" or not np.isfinite(rows[0]["median"]):
        said = (Phrase(f"{row['channel']} {row['value']:.3g}") for row in rows)
        entry("", f"{key} by channel: {checks.listing(said, 12)}", 0)
        return
    noun = period_noun(train.freq)
    whole = f"the largest {noun} ({amount(train.outcome[train.mask].max())})"
    if train.n_geos > 1:
        whole = f"the largest {noun}" + (" of the geo" * (model.outcome_scale != "shared"))
    means = {
        "spend_share": "the channel's share of the spend",
        "media_share": f"all media bring {model.media_share:.0%} of {train.outcome_name} "
        "in the mean, and money the same in every channel",
    }
    entry(
        "",
        f"{key}: {means[rows[0]['source']]}. beta: the most that it can add to "
        f"{train.outcome_name} in a {noun}, as a share of {whole}. Before the data speak:",
        0,
    )
    body = ([row["channel"], f"{row['value']:.3f}", f"{row['median']:.0%}",
             f"{row['upper']:.0%}"] for row in rows)  # fmt: skip
    grid("", ["channel ", key, "median of beta", "95% below"], body)


def n_parameters(model: Spec, train: Panel) -> int | None:
    """Count the scalars that would be sampled."""
    return structure(model, train).n_parameters


def findings(train: Panel, count: int | None, test: Panel | None = None) -> None:
    """Say what the data make hard, before any model, to standard error."""
    for finding in exploration.warnings(train, test, count):
        if finding.level == "note":
            notes([finding.message + "."])
        else:
            warn(finding.message + ".")


def grouped(
    train: Panel, count: int | None, test: Panel | None, more: Iterable[Finding] = ()
) -> None:
    """The same, and more, to standard output, by level."""
    found = ranked([*exploration.warnings(train, test, count), *more])
    findings_of(found)


def findings_of(found: Sequence[Finding]) -> None:
    """Print findings, a group a level."""
    title("Findings" if found else "Findings: none")
    last = ""
    for finding in found:
        level = "" if finding.level == last else finding.level
        entry(level, f"- {finding.message}.")
        last = finding.level


def sampler(settings: Sampler, seed: int) -> None:
    """Say how the draws would be taken, and how many at most."""
    always = ("chains", "warmup", "draws")
    given = lambda f: f.name in always or getattr(settings, f.name) != f.default
    names = [f.name for f in fields(settings) if given(f)]
    said = ", ".join(f"{n}={getattr(settings, n)!r}" for n in names if n != "until")
    more = ""
    if isinstance(settings, NUTS | HMC) and (until := settings.until) is not None:
        more = (
            f", up to {most_draws(settings):,} draws a chain until R-hat <= "
            f"{until.r_hat:g} and ESS >= {until.least(settings.chains):,.0f}"
        )
    say(f"Sampler: {type(settings).__name__}({said}), seed {seed}{more}")


def notes(texts: Iterable[str], *, logged: bool = False) -> None:
    """Say what was done to the data or to the request; some were logged where found."""
    for note in texts:
        if not logged:
            LOG.info("%s", note)
        err.print(f"[bold]Note[/] {escape(note)}", soft_wrap=True)


def verdict(fit: Fit, found: Diagnostics, judged: Judged) -> None:
    """Say whether the draws can be used; apart from that, whether the model fits."""
    style = "green" if found.converged else "bold red"
    first, *rest = str(found).splitlines()
    out.print(f"[{style}]Sampled: {escape(first)}[/]", soft_wrap=True)
    say("\n".join(rest))
    seconds = {k.removesuffix("_s"): v for k, v in fit.info.get("timings", {}).items()}
    say("  seconds       " + ", ".join(f"{k} {v:.1f}" for k, v in seconds.items()))
    adequate = judged.adequate
    style = "green" if adequate.ok else "bold red"
    out.print(f"[{style}]{escape(adequate.sentence)}[/] {UNSEEN}.", soft_wrap=True)
    for finding in adequate.findings:
        entry(finding.level, f"- {finding.message}.")


def not_adequate(judged: Judged) -> None:
    """Say loudly, and last, that the data contradict the model."""
    first = judged.adequate.findings[0]
    err.print(
        f"[bold red]NOT ADEQUATE[/] {escape(first.what)}. Everything was written, but "
        "every number holds only if the model does, which its data contradict. "
        f"{escape(first.remedy)}. All findings: diagnostics.json (adequate).",
        soft_wrap=True,
    )


def not_converged(found: Diagnostics) -> None:
    """Say loudly, and last, that the numbers cannot be trusted."""
    LOG.error("not converged: %s", found.verdict)
    err.print(
        f"[bold red]NOT CONVERGED[/] {escape(found.verdict)}. Everything was written, but "
        "do not trust the numbers: run longer (--warmup, --draws), take another sampler "
        "(--sampler nuts), or tighten the priors of what the data do not inform.",
        soft_wrap=True,
    )


def channels(table: pd.DataFrame, panel: Panel) -> None:
    """Print share and returns of each channel over all geos."""
    said = Return(panel.outcome_name, panel.currency, panel.outcome_value)
    rows = [
        [
            row["channel"],
            amount(row["spend"]),
            _interval(row, "share", 100.0),
            _interval(row, "roas"),
            _interval(row, "mroas"),
        ]
        for row in over_geos(said.of(table))
    ]
    unit = f" {panel.currency}" if panel.currency else ""
    grid(
        "Channels over the training window (mean, 94% interval)",
        ("channel ", f"spend{unit}", "% of outcome", said.name, said.next),
        rows,
    )
    if said.value is not None:
        say(
            f"  return: {said.per}, at {said.value:g} an outcome. Break-even is 1: below "
            "it spend costs more than it brings."
        )


def lift_tests(table: pd.DataFrame) -> None:
    """Print each lift test beside what the rest of the data says of it."""
    rows = [
        [
            row["test"],
            row["of"],
            f"{amount(row['measured'])} +- {row['error']:.2g}",
            _interval(row, "rest"),
            *("" if x != x else f"{x:.2g}" for x in (row["pull"], row["p_value"])),
        ]
        for row in table.to_dict("records")
    ]
    names = ("test ", "of", "measured", "the rest says", "pull", "p")
    grid("Lift tests (measured with its error, the rest of the data with 94%)", names, rows)


def taught(table: pd.DataFrame, panel: Panel) -> None:
    """Print returns and the plan without lift tests and with them."""
    said = Return(panel.outcome_name, panel.currency, panel.outcome_value)
    most = table["tests"].max()
    few = len(table) <= SHOWN_TAUGHT
    shown: Any = table if few else table[table["tests"] == most]
    rows = [
        [
            row["without"],
            row["channel"],
            row["how"] if row["how"] == REFIT else _interval(row, "roas_rest"),
            _interval(row, "roas"),
            *("" if x != x else amount(x) for x in (row["spend_rest"], row["spend"])),
        ]
        for row in said.of(shown).to_dict("records")
    ]
    names = ("left out ", "channel ", f"{said.name} without", f"{said.name} with")
    names = (*names, "plan without", "plan with")
    grid("What the lift tests changed (mean, 94% interval)", names, rows)
    say(f"  {words.taught(table, panel.outcome_name)}")


def recovered(table: pd.DataFrame, truth: dict[str, Any]) -> None:
    """Print true beside recovered ROAS, and whether the interval holds the truth."""
    true = {r["channel"]: r["roas"] for r in truth["channels"] if r["geo"] == "ALL"}
    rows, inside = [], 0
    for row in over_geos(table):
        value = true[row["channel"]]
        holds = row["roas_lo"] <= value <= row["roas_hi"]
        inside += holds
        rows.append(
            [
                row["channel"],
                amount(value),
                *estimate(*(row[f"roas_{end}"] for end in ("mean", "lo", "hi"))),
                "yes" if holds else "NO",
            ]
        )
    grid(
        "ROAS: the truth and what the fit recovered (94% interval)",
        ("channel ", "true", "mean", "lo", "hi", "truth inside"),
        rows,
    )
    say(f"  {inside} of {len(rows)} intervals hold the truth")


def forecast(table: pd.DataFrame, train: Panel) -> None:
    """Say what a forecast adds up to, all geos together."""
    whole = table if train.n_geos == 1 else table.loc[table["geo"] == ALL]
    dates = pd.DatetimeIndex(whole["date"])
    noun = period_noun(train.freq) + "s" * (len(dates) > 1)
    total = f"{amount(whole['mean'].to_numpy(float).sum())} {train.outcome_name} in total"
    say(f"Forecast: {total} (sum of the means) over {len(dates)} {noun}, {_span(dates)}")


def beyond(train: Panel, future: Panel) -> None:
    """Warn of channels whose future media exceed the largest period of their geo."""
    seen = train.present[:, train.window, None]
    top = np.where(seen, train.media[:, train.window], 0.0).max(1, keepdims=True)
    media = np.where(future.present[..., None], future.media, 0.0)
    above = (media > top * (1 + 1e-9)) & seen.any(1, keepdims=True)  # of known geos
    said = []
    for c in np.flatnonzero(above.any((0, 1))):
        first = checks.show(future.dates[int(above[..., c].any(0).argmax())])
        most = media[..., c].max(1), top[:, 0, c]
        times = np.divide(*most, out=np.full_like(most[0], np.inf), where=most[1] > 0)
        times = times[above[..., c].any(1)].max()
        size = f"up to {times:.2f} times" if np.isfinite(times) else "none before"
        said.append(Phrase(f'"{train.channels[c]}" (first {first}, {size})'))
    if said:
        warn(
            f"future media above the largest {period_noun(train.freq)} of training: "
            f"{checks.listing(said, 6)}. The forecast is there the model's shape, not data."
        )


def files(paths: Sequence[Path]) -> None:
    """Say where the files are, a line a folder."""
    for folder in dict.fromkeys(p.parent for p in paths):
        names = ", ".join(p.name for p in paths if p.parent == folder)
        say(f"Wrote {folder}/: {names}")


def _interval(row: dict[str, Any], name: str, times: float = 1.0) -> str:
    three = [times * row[f"{name}_{end}"] for end in ("mean", "lo", "hi")]
    if not np.isfinite(three[0]):
        return ""
    mean, lo, hi = estimate(*three)
    return f"{mean} [{lo}, {hi}]"
