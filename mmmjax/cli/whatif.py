"""``mmmjax whatif``: what other spend would have brought over the training window."""

import math
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import numpy as np
import typer

from mmmjax.adequacy import judge
from mmmjax.checks import Phrase, closest, fail, listing
from mmmjax.cli import files, show
from mmmjax.cli.codes import code
from mmmjax.cli.options import Run
from mmmjax.counterfactuals import counterfactual, counterfactual_table, reweight
from mmmjax.draws import Fit
from mmmjax.posterior.levers import levers_of
from mmmjax.posterior.scope import summarise
from mmmjax.reporting.sentences import chance
from mmmjax.words import amount, period_noun

__all__ = ["factors_of", "whatif"]

WHATIF = "whatif.csv"
LEVERS = 'a lever is held at a value: "price=2.2"'
FORMS = '"TV=+20%", "TV=-20%", "TV=x1.2", "TV=1.2" (both times 1.2) or "TV=0" (nothing)'
NUMBER = r"\d+(?:\.\d*)?|\.\d+"

Changes = Annotated[
    list[str],
    typer.Argument(
        help=f"Channels and what they change by: {FORMS}; {LEVERS}.", metavar="CHANGE..."
    ),
]
WhatifOut = Annotated[Path | None, typer.Option(help=f"Folder for {WHATIF}; or nothing.")]


def whatif(run: Run, changes: Changes, out: WhatifOut = None) -> int:
    """Say what other spend or levers would have brought over the training window."""
    if out is not None:
        files.folder(out)
    fit, found = files.load_run(run)
    factors = factors_of(changes, fit.panel.channels, tuple(levers_of(fit)))
    table = counterfactual(fit, factors)
    frame = counterfactual_table(table)
    _say(fit, factors, frame.to_dict("records"))
    gain = table["difference_outcome"].to_numpy().ravel()
    _say_gain(fit, gain, frame.iloc[-1]["spend_changed"] - frame.iloc[-1]["spend_actual"])
    if out is not None:
        out.mkdir(parents=True, exist_ok=True)
        show.files([files.table(out / WHATIF, frame)])
    return code(found)


def factors_of(
    texts: Sequence[str], channels: Sequence[str], levers: Sequence[str] = ()
) -> dict[str, float]:
    """Read "TV=+20%" and the like into a factor for each channel, a value for each lever.

    Args:
        texts: One text a channel or lever.
        channels: Names of the channels of the fit.
        levers: Names of its levers.

    Raises:
        InputError: A text of another form, a channel that is none, or one given twice.
    """
    factors: dict[str, float] = {}
    for text in texts:
        name, equals, value = (part.strip() for part in text.rpartition("="))
        if not equals:
            fix = "change no other one" if text in channels else ""
            name, fix = text, fix and f'"{text}=+20%"'
        if name not in (*channels, *levers):
            near = closest(name, (*channels, *levers))
            fix = f'did you mean "{near}"?' if near else f"a change is {FORMS}"
            more = f"; levers: {listing(levers, 30)}" if levers else ""
            fail("channel", name, "", f"channels: {listing(channels, 30)}{more}", fix)
        if name in factors:
            fail("change", text, "", "each channel once", f"keep one for {name}")
        if name in levers:
            try:
                factors[name] = float(value) if equals else math.nan
            except ValueError:
                factors[name] = math.nan
            if not math.isfinite(factors[name]):
                fail("change", text, "", "a lever and the value to hold it at", LEVERS)
            continue
        factors[name] = _factor(text, name, value if equals else "")
    return factors


def _factor(text: str, name: str, value: str) -> float:
    """The factor that a change is: +20% is 1.2, x1.2 and 1.2 themselves."""
    plain = re.sub(r"\s", "", value).casefold().replace("\N{MINUS SIGN}", "-")
    plain = plain.replace("\N{MULTIPLICATION SIGN}", "x")
    percent = re.fullmatch(rf"([+-])({NUMBER})%", plain)
    times = re.fullmatch(rf"[x*]?({NUMBER})|({NUMBER})x", plain)
    if times:
        return float(times[1] or times[2])
    if percent:
        factor = 1 + float(f"{percent[1]}{percent[2]}") / 100
        if factor >= 0:
            return factor
        fail("change", text, "", "at least -100%, which is nothing", f'"{name}=0"')
    bare, fix = plain.strip("+-x*%"), f'"{name}=+20%"'
    if re.fullmatch(NUMBER, bare):  # 20%, +0.2, -5: by or to?
        share = float(bare) * (100 if "%" not in plain and float(bare) < 1 else 1)
        fix = f'"{name}={"-" if "-" in plain else "+"}{share:g}%"'
        if plain == f"{bare}%":
            fix += f' for so much more, "{name}=x{share / 100:g}" for a part of it'
    elif "," in bare:
        fix = f'"{text.replace(",", ".")}", with a point'
    return fail("change", text, "", FORMS, fix)


def _say(fit: Fit, factors: dict[str, float], rows: list[show.Row]) -> None:
    """Print the changes, and what each channel brought and would have brought."""
    panel = fit.panel
    dates, noun = panel.dates[panel.window], period_noun(panel.freq)
    levers = levers_of(fit)
    said = listing(
        (
            Phrase(f"{n} {f'held at {f:g}' if n in levers else f'times {f:g}'}")
            for n, f in factors.items()
        ),
        9,
    )
    unit = f" {panel.currency}" if panel.currency else ""

    rows_said = [
        [
            row["channel"]
            if row["quantity"] in ("contribution", "lever")
            else row["quantity"],
            *(amount(row[f"spend_{side}"]) for side in ("actual", "changed")),
            *(amount(row[f"{side}_mean"]) for side in ("actual", "changed")),
            "{} [{}, {}]".format(
                *(amount(row[f"difference_{end}"]) for end in ("mean", "lo", "hi"))
            ),
        ]
        for row in rows
    ]
    show.grid(
        f"What if: {said}, in each of the {len(dates)} {noun}s of training, "
        f"{dates[0]:%Y-%m-%d} to {dates[-1]:%Y-%m-%d}",
        (
            "what ",
            f"spend{unit}",
            "changed to",
            panel.outcome_name,
            "would be",
            "difference [94%]",
        ),
        rows_said,
    )
    beyond = [
        Phrase(f"{n} at {factors[n]:g} (training: {one.least:g} to {one.most:g})")
        for n, one in levers.items()
        if n in factors and not one.least <= factors[n] <= one.most
    ]
    if beyond:
        text = f"outside of what training has seen: {listing(beyond, 6)}"
        show.notes([f"{text}. There the answer is the model's straight line, not data."])
    own = {n: f for n, f in factors.items() if n not in levers}
    changed = reweight(fit, own, keep_total=False)
    seen = np.where(panel.present[:, panel.window, None], panel.media[:, panel.window], 0.0)
    above = changed.media[:, panel.window] > seen.max(1, keepdims=True) * (1 + 1e-9)
    shares = above.sum((0, 1)) / panel.present[:, panel.window].sum()
    far = [
        Phrase(f"{c} in {s:.0%} of the {noun}s")
        for c, s in zip(panel.channels, shares, strict=True)
        if s > 0
    ]
    if far:
        text = f"above the largest {noun} of training: {listing(far, 6)}"
        show.notes([f"{text}. There the answer is the model's shape, not data."])


def _say_gain(fit: Fit, gain: np.ndarray, more: float) -> None:
    """Say what the whole change would have brought, and what it is worth."""
    panel, unit = fit.panel, f" {fit.panel.currency}".rstrip()

    def said(value: float) -> str:
        return ("+" if value > 0 else "") + amount(value)

    def line(what: str, draws: np.ndarray, name: str) -> str:
        mean, lo, hi = map(said, map(float, summarise(draws)))
        likely = chance(float((draws > 0).mean()))
        return f"{what} {mean}{name} [{lo}, {hi}], above 0 with probability {likely}"

    parts = [line(panel.outcome_name, gain, ""), f"spend {said(more)}{unit}"]
    if panel.outcome_value is not None:
        net = gain * panel.outcome_value - more
        parts.append(line("net money", net, unit))
    held = f", {held}" if (held := judge(fit).condition) else ""
    show.say(
        f"Change: {'; '.join(parts)}{held}. What comes after the window is not counted."
    )
