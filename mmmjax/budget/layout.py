"""The cells of a plan: what every market asks for, side by side, as flat arrays.

A cell is one paid channel in one geo of one fit. Several fits (markets) plan under one
budget: each brings its request, the cells lie in one row, and the table that people see has
a geo per market, or "market/geo".
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Int

from mmmjax.budget import request as requests
from mmmjax.budget.curves import ResponseCurves
from mmmjax.budget.prices import Dearer, paid
from mmmjax.budget.request import Known, Request, known_of
from mmmjax.checks import Phrase, fail, listing, number
from mmmjax.draws import Fit

__all__ = ["ABSENT", "Layout", "lay_out", "markets_of", "per_market"]

ABSENT = "absent"  # binding of a channel that a market does not have


@dataclass(frozen=True, eq=False)
class Layout:
    """Money over the window per cell, and where a cell is in the table of a plan.

    Args:
        geos: Names of the rows.
        channels: Names of the columns.
        geo: Row of every cell.
        channel: Column of every cell.
        market: Index of the market of every cell.
        reference: Spend compared with.
        lower: Least spend.
        upper: Largest spend.
        fixed: Cells held at a given spend.
        largest: Largest spend of one period of training.
        last: Spend of the last period of training.
        split: Share of the cell in the money of its channel where that is national: one
            decision for all geos of a market. NaN elsewhere.
        costs: Money per unit of media of each market, (geo, channel, period or 1).
        dearer: How these prices rise with what is bought.
        budget: Total spend.
        periods: Length of the window.
        per_period: Whether the user speaks of money a period.
        reference_is: See :class:`mmmjax.budget.request.Request`, as `bounds_are`.
        bounds_are: See there.
    """

    geos: tuple[str, ...]
    channels: tuple[str, ...]
    geo: Int[np.ndarray, " cell"]
    channel: Int[np.ndarray, " cell"]
    market: Int[np.ndarray, " cell"]
    reference: Float[np.ndarray, " cell"]
    lower: Float[np.ndarray, " cell"]
    upper: Float[np.ndarray, " cell"]
    fixed: Bool[np.ndarray, " cell"]
    largest: Float[np.ndarray, " cell"]
    last: Float[np.ndarray, " cell"]
    split: Float[np.ndarray, " cell"]
    costs: list[Float[np.ndarray, "geo channel period"]]
    dearer: list[Dearer]
    budget: float
    periods: int
    per_period: bool
    reference_is: str
    bounds_are: str

    @property
    def unit(self) -> float:
        """Money over the window of one unit of the user's money."""
        return float(self.periods) if self.per_period else 1.0

    @property
    def words(self) -> str:
        """What the user's money is."""
        return "money a period" if self.per_period else "money over the window"

    @property
    def labels(self) -> list[str]:
        """Name of every cell."""
        several = len(self.geos) > 1
        return [
            f"{self.channels[c]} in {self.geos[g]}" if several else self.channels[c]
            for g, c in zip(self.geo, self.channel, strict=True)
        ]

    @property
    def members(self) -> Float[np.ndarray, "cell channel"]:
        """1 where a cell belongs to a channel."""
        return np.eye(len(self.channels))[self.channel]

    @property
    def prices(self) -> Float[np.ndarray, "cell period"]:
        """Money per unit of media of every cell; one period where it never changes."""
        whole = [np.broadcast_to(x, (*x.shape[:2], self.periods)) for x in self.costs]
        each = np.concatenate([x.reshape(-1, self.periods) for x in whole])
        return each if (each != each[:, :1]).any() else each[:, :1]

    def table(self, values: np.ndarray, fill: Any = 0.0) -> np.ndarray:
        """Values (cell, ...) as (geo, channel, ...), `fill` where there is no cell."""
        shape = (len(self.geos), len(self.channels), *np.shape(values)[1:])
        out = np.full(shape, fill, np.asarray(values).dtype)
        out[self.geo, self.channel] = values
        return out

    @property
    def national(self) -> tuple[str, ...]:
        """Channels that are one decision for all geos, in some market."""
        own = np.unique(self.channel[~np.isnan(self.split)])
        return tuple(self.channels[c] for c in own)


def markets_of(fits: Any) -> dict[str, Fit | ResponseCurves]:
    """Fits by name of their market; the name of a single fit, or of curves, is empty.

    Raises:
        InputError: Not fits, or fits that do not share the structure of their spec.
    """
    if isinstance(fits, Fit | ResponseCurves):
        return {"": fits}
    named = dict(fits) if isinstance(fits, Mapping) else None
    if named is None and isinstance(fits, Sequence):
        named = {f"market {i}": fit for i, fit in enumerate(fits, start=1)}
    if not named or not all(isinstance(fit, Fit) for fit in named.values()):
        fix = "mm.optimize(fit, ...) or mm.optimize({'de': fit_de, 'fr': fit_fr}, ...)"
        fail("fit", fits, "", "a Fit, or fits by the name of their market", fix)
    first, *rest = named
    for name in rest:
        if named[name].spec.media != named[first].spec.media:
            got = Phrase(f'"{name}" and "{first}" differ in adstock or saturation')
            fix = "fit all markets with the same adstock and saturation"
            fail("fit", got, "", "fits of one kind of model under one budget", fix)
    if len(named) == 1:
        return {"": named[first]}
    return {str(name): fit for name, fit in named.items()}


def lay_out(
    markets: Mapping[str, Fit | ResponseCurves],
    *,
    budget: Any,
    periods: Any,
    bounds: Any,
    reference: Any,
    fixed: Any,
    per_period: bool,
    cost_per_unit: Any,
) -> Layout:
    """Read what was asked for every market; see :func:`mmmjax.budget.solve.optimize`.

    Raises:
        InputError: Anything that cannot be planned, with the reason and the remedy.
    """
    names = tuple(markets)
    known = {name: known_of(fit) for name, fit in markets.items()}
    costs = per_market("cost_per_unit", cost_per_unit, names)
    each = {"bounds": bounds, "reference": reference, "fixed": fixed}
    each = {field: per_market(field, value, names) for field, value in each.items()}

    def read(name: str, total: Any) -> Request:
        own = {field: value[name] for field, value in each.items()}
        how: dict[str, Any] = own | {"periods": periods, "per_period": per_period}
        return requests.read(known[name], budget=total, **how)

    if len(names) == 1:
        asked = {name: read(name, budget) for name in names}
    else:
        asked = {name: read(name, None) for name in names}
        if budget is not None:
            fix = "leave budget=None to spend what the reference spends"
            total = number("budget", budget, low=0.0, open_low=True, fix=fix)
            past = {name: part.budget for name, part in asked.items()}
            asked = {n: read(n, past[n] * total / sum(past.values())) for n in names}
    return _joined(known, asked, costs, per_period)


def per_market(field: str, value: Any, names: tuple[str, ...]) -> dict[str, Any]:
    """What was given for each market: one thing for all of them, or by their names."""
    if len(names) == 1:
        return dict.fromkeys(names, value)
    if isinstance(value, Mapping) and value:
        unknown = [name for name in value if name not in names]
        if unknown:
            fix = f'with several fits write {field}={{"{names[0]}": ...}}'
            fail(field, unknown[0], "", f"names of markets ({listing(names, 12)})", fix)
        default = 0.5 if field == "bounds" else None
        return {name: value.get(name, default) for name in names}
    if field == "reference" and value is not None:
        got, allowed = Phrase("one for all markets"), "{market: {channel: money}}"
        fix = f'with several fits write reference={{"{names[0]}": {{...}}}}'
        fail(field, got, "", allowed, fix)
    return dict.fromkeys(names, value)


def _joined(
    known: Mapping[str, Known],
    asked: Mapping[str, Request],
    costs: Mapping[str, Any],
    per_period: bool,
) -> Layout:
    """One row of cells from the requests of all markets."""
    channels = tuple(dict.fromkeys(c for one in known.values() for c in one.channels))
    geos: list[str] = []
    rows, columns, prices, dearer, largest, last, split = [], [], [], [], [], [], []
    for name, one in known.items():
        price, rise = requests.prices_of(one, costs[name], asked[name].periods)
        change = price.mean(-1) / one.cost_per_unit  # what media would cost now
        dearer.append(rise)
        now = rise.elasticity[..., 0], rise.usual.mean(-1)
        largest.append(paid(one.largest * change, *now).ravel())
        last.append(paid(one.last * change, *now).ravel())
        nowhere = np.full_like(one.last, np.nan)
        split.append((nowhere if one.split is None else one.split).ravel())
        prices.append(price)
        column = [channels.index(channel) for channel in one.channels]
        rows.append(np.repeat(np.arange(len(one.geos)) + len(geos), len(column)))
        columns.append(np.tile(column, len(one.geos)))
        several = len(one.geos) > 1
        geos += [f"{name}/{geo}" if name and several else name or geo for geo in one.geos]
    first = next(iter(asked.values()))

    def flat(field: str) -> np.ndarray:
        return np.concatenate([getattr(part, field).ravel() for part in asked.values()])

    market = np.repeat(np.arange(len(rows)), [len(row) for row in rows])
    return Layout(
        tuple(geos), channels, np.concatenate(rows), np.concatenate(columns), market,
        flat("reference"), flat("lower"), flat("upper"), flat("fixed"),
        np.concatenate(largest), np.concatenate(last), np.concatenate(split), prices,
        dearer, sum(part.budget for part in asked.values()), first.periods, per_period,
        first.reference_is, first.bounds_are,
    )  # fmt: skip
