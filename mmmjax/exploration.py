"""What the data look like before any model: findings with a reason, and a few numbers.

Nothing here stops a fit. A finding says what the posterior will suffer from and what an
analyst can do about it, in one sentence each.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd

from mmmjax.checks import Phrase, listing, show
from mmmjax.metrics import condition_number, dependences, vif
from mmmjax.panel import Panel

__all__ = ["Finding", "describe", "warnings"]

HIGH_VIF = 10.0
FEW_PERIODS = 10
FEW_SHARE = 0.05


@dataclass(frozen=True)
class Finding:
    """One thing worth knowing before fitting.

    Args:
        severity: "note" (for information), "warning" (some results will lean on the
            prior) or "serious" (the model as a whole will).
        code: Short name of the kind of finding, for programs.
        message: What was found, why it matters and what to do, in one sentence or two.
        where: The channels, controls or geos concerned.
    """

    severity: Literal["note", "warning", "serious"]
    code: str
    message: str
    where: tuple[str, ...] = ()

    def __str__(self) -> str:
        """Print severity and message."""
        return f"{self.severity}: {self.message}"


def warnings(panel: Panel, *, n_parameters: int | None = None) -> tuple[Finding, ...]:
    """Look for what makes effects hard to tell apart; most severe findings first.

    Args:
        panel: The training panel.
        n_parameters: Number of scalars the model would estimate, if known.
    """
    found = [
        *_too_many(panel, n_parameters),
        *_dependent_controls(panel),
        *_collinear(panel),
        *_geo_constant(panel),
        *_sparse(panel),
        *_missing(panel),
    ]
    order = ("serious", "warning", "note")
    return tuple(sorted(found, key=lambda finding: order.index(finding.severity)))


_DESCRIBED = ("kind", "total", "largest", "spend", "share", "active", "first", "last",
              "correlation", "vif")  # fmt: skip


def describe(panel: Panel) -> pd.DataFrame:
    """Return one row per channel and control with its numbers in the modelled window.

    Columns: kind, total and largest value of a cell (media units), spend (money), share
    of the paid spend, active (share of cells above or below 0), first and last active
    date, correlation with the outcome within geos, vif among all channels and controls.
    """
    rows = []
    features, present = _features(panel), panel.present[:, panel.window]
    within, outcome = _within(panel, features), _within(panel, panel.outcome[..., None])
    factors = vif(within)
    money = np.where(panel.paid, panel.spend[:, panel.window].sum((0, 1)), np.nan)
    share = money / np.nansum(money) if np.nansum(money) > 0 else money
    kinds = ["media"] * len(panel.channels) + ["control"] * len(panel.control_names)
    for i, kind in enumerate(kinds):
        values = features[:, panel.window, i]
        active = present & (values != 0)
        when = panel.dates[panel.window][active.any(0)]
        pair = (within[:, i], outcome[:, 0])
        flat = not len(pair[0]) or pair[0].std() == 0 or pair[1].std() == 0
        rows.append(
            {
                "kind": kind,
                "total": values[present].sum(),
                "largest": values[present].max(initial=0.0),
                "spend": money[i] if kind == "media" else np.nan,
                "share": share[i] if kind == "media" else np.nan,
                "active": active[present].mean(),
                "first": when[0] if len(when) else pd.NaT,
                "last": when[-1] if len(when) else pd.NaT,
                "correlation": np.nan if flat else np.corrcoef(*pair)[0, 1],
                "vif": factors[i] if len(within) else np.nan,
            }
        )
    names = [*panel.channels, *panel.control_names]
    return pd.DataFrame(rows, index=pd.Index(names, name="name"), columns=_DESCRIBED)


def _cells(panel: Panel) -> np.ndarray:
    """Cells that inform the fit: in the window, with an observed outcome."""
    cells = panel.mask.copy()
    cells[:, : panel.history] = False
    return cells


def _features(panel: Panel) -> np.ndarray:
    return np.concatenate([panel.media, panel.controls], axis=2)


def _within(panel: Panel, values: np.ndarray) -> np.ndarray:
    """Return (cell, column), less each geo's mean: what an intercept per geo leaves."""
    cells = _cells(panel)
    parts = [
        row[seen] - row[seen].mean(0)
        for row, seen in zip(values, cells, strict=True)
        if seen.any()
    ]
    if not parts:
        return np.zeros((0, values.shape[2]))
    rest = np.concatenate(parts)
    flat = np.abs(rest).max(0) <= 1e-12 * np.abs(values[cells]).max(0)
    return np.where(flat, 0.0, rest)  # rounding alone is no variation


def _too_many(panel: Panel, n_parameters: int | None) -> list[Finding]:
    data = int(_cells(panel).sum())
    if n_parameters is None or n_parameters <= data:
        return []
    message = (
        f"{n_parameters} parameters for {data} observed outcomes: most of them will stay "
        "at their priors. Use fewer controls or share parameters over geos"
    )
    return [Finding("serious", "parameters", message)]


def _dependent_controls(panel: Panel) -> list[Finding]:
    found = dependences(_within(panel, panel.controls))
    names = panel.control_names
    together: dict[int, list[int]] = {}
    said, where = [], []
    for column, others in found:
        if len(others) == 1:
            together.setdefault(others[0], [others[0]]).append(column)
        elif others:
            mix = listing((names[i] for i in others), 5)
            said.append(Phrase(f'"{names[column]}" is a combination of {mix}'))
            where += [column, *others]
    for group in together.values():
        alike = listing((names[i] for i in sorted(group)), 5)
        said.append(Phrase(f"{alike} always move together"))
        where += group
    if not said:
        return []
    more = [f"{len(said) - 4} more sets"] if len(said) > 4 else []
    message = (
        "controls that follow exactly from others, up to a constant: "
        f"{'; '.join([*said[:4], *more])}. Only their joint effect is learned, the split "
        "comes from the prior; keep one of each set if that matters"
    )
    named = tuple(names[i] for i in dict.fromkeys(where))
    return [Finding("warning", "rank", message, named)]


def _collinear(panel: Panel) -> list[Finding]:
    """Find channels that other channels and controls nearly determine."""
    table = _within(panel, _features(panel))
    if table.shape[0] <= table.shape[1] or not panel.channels:
        return []
    n = len(panel.channels)
    factors = vif(table)
    high = np.flatnonzero(factors[:n] > HIGH_VIF)
    if not high.size:
        return []
    names = [*panel.channels, *panel.control_names]
    deviation = table.std(0)
    unit = np.divide(table, deviation, np.zeros_like(table), where=deviation > 0)
    correlation = np.abs(unit.T @ unit / len(table))
    np.fill_diagonal(correlation, 0)
    said, told = [], set()
    for i in sorted(high, key=lambda i: -factors[i]):
        partner = int(correlation[i].argmax())
        if (partner, i) not in told:
            told.add((i, partner))
            close = f'correlation {correlation[i, partner]:.2f} with "{names[partner]}"'
            said.append(Phrase(f'"{names[i]}" (VIF {_size(factors[i])}, {close})'))
    message = (
        f"channels that others nearly determine: {listing(said, 4)}; condition number of "
        f"the media {_size(condition_number(table[:, :n]))}. Their effects trade against "
        "each other: a lift test, a stronger prior or merging them helps"
    )
    where = tuple(names[i] for i in high)
    return [Finding("warning", "collinear", message, where)]


def _size(number: float) -> str:
    return f"{number:.0f}" if number < 1000 else "above 1000"


def _geo_constant(panel: Panel) -> list[Finding]:
    """Find columns that differ between geos but never change within one."""
    if panel.n_geos == 1:
        return []
    table = np.abs(_within(panel, _features(panel))).max(0, initial=0.0)
    size = np.abs(_features(panel)).max((0, 1))
    names = [*panel.channels, *panel.control_names]
    flat = tuple(names[i] for i in np.flatnonzero((table == 0) & (size > 0)))
    if not flat:
        return []
    message = (
        f"{listing(flat, 6)}: the same in all periods of a geo. An intercept per geo "
        "explains that too, so the effect comes from the prior"
    )
    return [Finding("warning", "geo_constant", message, flat)]


def _sparse(panel: Panel) -> list[Finding]:
    """Find channels that are on in few periods."""
    cells = _cells(panel)
    active = (panel.media[cells] > 0).sum(0)
    few = (active > 0) & (active < np.maximum(FEW_PERIODS, FEW_SHARE * cells.sum()))
    if not few.any():
        return []
    unit = "periods" if panel.n_geos == 1 else "geo-periods"
    said = [Phrase(f'"{panel.channels[i]}" ({active[i]})') for i in np.flatnonzero(few)]
    message = (
        f"channels that ran in few of the {int(cells.sum())} {unit}: {listing(said, 6)}. "
        "Their carryover and saturation will come from the prior"
    )
    where = tuple(panel.channels[i] for i in np.flatnonzero(few))
    return [Finding("warning", "sparse", message, where)]


def _missing(panel: Panel) -> list[Finding]:
    present = panel.present[:, panel.window]
    unknown = present & ~panel.mask[:, panel.window]
    share = unknown.sum() / max(present.sum(), 1)
    if not 0.1 <= share < 1:
        return []
    first = panel.dates[panel.window][unknown.any(0)][0]
    message = (
        f"{share:.0%} of the outcomes are missing (first: {show(first)}): they are masked, "
        "not guessed, and teach the model nothing"
    )
    return [Finding("note", "missing", message)]
