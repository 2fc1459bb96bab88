"""What a report says of a fit beside others: what moved since the last, drift or bend."""

from typing import Any

import numpy as np
import pandas as pd

from mmmjax import conflating
from mmmjax.refreshing import CAUSES, REFRESHED, far, moves
from mmmjax.reporting.evidence import Evidence
from mmmjax.reporting.rows import Cell, Form, Table, each, label, made, of
from mmmjax.reporting.sentences import toned
from mmmjax.words import ALL, Return, amount, day

__all__ = ["conflation", "drift", "fleet_moved", "in_units", "moved"]

FARTHEST = 10  # moves in a fleet that are told in words
BY = {"units": "by units", "prior": "by priors", "spec": "by the model", "data": "by data"}
SURELY: Form = lambda table, column: [Cell("yes" if x else "no") for x in table[column]]


def moved(found: Evidence) -> dict[str, Any]:
    """What the page shows of it: tables by name, and what they say."""
    drifted, two = found.table("drift"), found.table("conflation")
    shown: dict[str, Any] = {"tables": {}, "moved": None, "conflated": []}
    if drifted is not None:
        here = in_units(drifted, found.returned, found.returned.times)
        shown["tables"]["drift"] = drift(here, found.returned)
        told = toned(moves(here))
        shown["moved"] = {"since": since(found, drifted), "told": told}
    if two is not None:
        shown["tables"]["conflation"] = conflation(found, two)
        shown["conflated"] = toned(conflating.said(two))
    return shown


def fleet_moved(here: pd.DataFrame) -> dict[str, Any]:
    """How many returns of a fleet moved, :func:`in_units`, and which moved farthest."""
    sure, of = far(here), here["market"].nunique()
    text = "Returns of the periods that both fits of a market were trained on, before and "
    text += f"now: {len(sure):,} of {len(here):,} moved beyond three Monte Carlo errors, "
    text += f"in {len({row['market'] for row in sure}):,} of {of:,} markets."
    return {"since": text, "told": toned(moves(here)[:FARTHEST])}


def since(found: Evidence, table: pd.DataFrame) -> str:
    """What the last fit knew, what came since, and how far that says why returns moved."""
    known, text, count = found.fit.info.get(REFRESHED, []), "", len(far(table))
    other = any(name in table for name in CAUSES[:-1])
    if known:
        last = known[-1]
        text = f"The last fit knew the outcomes before {day(pd.Timestamp(last['from']))}; "
        text += f"{last['outcomes']:,} came since"
        if last["discount"] != 1:
            text += f", and each of before counts {last['discount']:g}"
        text += ". "
    if known and not other:
        text += "Units, priors and model stayed: what moved did so by the data. "
    elif not other and "data" not in table:
        text += "Why they moved takes fits of what lies between, "
        text += "mm.drift(old, new, causes=True): new data, other priors or another model. "
    moved = f"{count} of {len(table)}" if count else "none"
    text += "Below are the returns of the periods that both were trained on, before and "
    return f"{text}now: {moved} moved beyond three Monte Carlo errors."


def in_units(table: pd.DataFrame, unit: Return, times: Any) -> pd.DataFrame:
    """What moved, returns as a page says them; paid media in place of ALL.

    Args:
        table: Of a drift.
        unit: How returns are said.
        times: What turns outcome per money into that, a number or one for each row.
    """
    known = ("old", "new", "moved", "error", "old_sd", *CAUSES)
    paid = table["quantity"] == "roas"
    times = np.where(paid, times, 1.0)
    shown = table.assign(**{n: table[n] * times for n in known if n in table})
    of = np.where(paid, unit.name, f"contribution ({unit.outcome})")
    named = table["channel"].astype(str).replace(ALL, "paid media")
    return shown.assign(quantity=of, channel=named)


def drift(shown: pd.DataFrame, unit: Return) -> Table:
    """What moved, :func:`in_units`, and by what if it was asked; of a fleet its market."""

    def beside(other: str, said: str, sign: str = "") -> Form:
        return lambda table, column: [
            Cell(f"{sign * (x > 0)}{amount(x)}", f"{said} {amount(y)}" if y == y else "")
            for x, y in zip(table[column], table[other], strict=True)
        ]

    names = [n for n in ("market", "channel", "quantity") if n in shown]
    if len(set(shown["quantity"])) == 1:
        names.remove("quantity")
    columns = [
        *of(label, **{n: "of" if n == "quantity" else n for n in names}),
        *of(beside("old_sd", "sd"), old="before"),
        *of(each(amount), new="now"),
        *of(beside("error", "+-", "+"), moved="moved"),
        *of(each("{:+.2f}"), in_sds="in sd of before"),
        *of(SURELY, beyond_error="surely"),
        *of(each(amount), **{n: BY[n] for n in CAUSES if n in shown}),
    ]
    note = f"{unit.name}: {unit.per}. Small print: posterior sd of before, and the Monte "
    note += "Carlo error of what moved. Surely: by more than three of these errors."
    said = f"{unit.name}: {unit.per}; contribution: {unit.outcome}"
    return made("drift", shown, columns, shown, note, said, names=len(names))


def conflation(found: Evidence, table: pd.DataFrame) -> Table:
    """Drift or saturation, channel by channel."""
    ends: Form = lambda table, column: [
        Cell(f"{amount(lo)} to {amount(hi)}" if lo == lo else "")
        for lo, hi in zip(table[f"{column}_lo"], table[f"{column}_hi"], strict=True)
    ]
    nats: Form = lambda table, column: [
        Cell(f"{x:+.1f}", f"+- {error:.1f}")
        for x, error in zip(table[column], table["difference_se"], strict=True)
    ]
    columns = [
        *of(label, channel="channel", verdict="explained by"),
        *of(nats, difference="saturation less drift (nats)"),
        *of(each("{:.0%}"), overlap="overlap"),
        *of(ends, strong="media when strong", weak="media when weak"),
        *of(each("{:.0%}"), shared="shared"),
    ]
    note = (
        f"Fitted both ways. Media a {found.period} (money where it is paid), 10% to 90%, "
        "where the drifting effect is above and below its mean; shared: the part of both "
        "ranges that both cover. Overlap: of what the channel brought under the two."
    )
    unit = f"difference: nats; media: {found.currency or 'money'} or units a {found.period}"
    return made("conflation", table, columns, table, note, unit)
