"""From what was asked to a problem of arrays: cells, limits, window, utility, scales."""

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypedDict

import numpy as np
import pandas as pd
from jaxtyping import Float

from mmmjax.budget import constraints as rules
from mmmjax.budget.algebra import has, valued
from mmmjax.budget.campaigns import Within, parted
from mmmjax.budget.constraints import Constraint, Limits
from mmmjax.budget.curves import ResponseCurves
from mmmjax.budget.feasible import check_feasible, totals_of
from mmmjax.budget.horizon import CarryIn, Form, Window, block_of, make_window
from mmmjax.budget.layout import Layout, lay_out, markets_of
from mmmjax.budget.region import ROUNDING, Region, scaled, with_nesting
from mmmjax.budget.request import Bounds, Money, numbers_of
from mmmjax.budget.search import Kind, Problem
from mmmjax.budget.utility import Utility, as_utility
from mmmjax.budget.utility import check as check_utility
from mmmjax.checks import Phrase, choice, fail, integer, number
from mmmjax.draws import Fit
from mmmjax.panel import Panel

__all__ = ["Asked", "Prepared", "prepare", "value_of"]

PULSE = 3.0  # a period may take this multiple of the even share of the upper bound
EVEN, OPTIMAL = "even", "optimal"
EVEN_OUT = "break-even"  # until_mroas where the next unit of money returns itself
type Fits = Fit | ResponseCurves | Mapping[str, Fit] | Sequence[Fit]
type Weights = Sequence[float] | np.ndarray
type Flighting = str | Mapping[str, Weights] | Weights


class Asked(TypedDict, total=False):
    """Keyword arguments of :func:`mmmjax.budget.solve.optimize` that describe a plan."""

    budget: float | None
    periods: int | None
    bounds: Bounds | Mapping[str, Any]
    reference: Any
    fixed: Mapping[str, Money | None] | Sequence[str] | None
    per_period: bool
    up_to: bool
    until_mroas: float | str | None
    utility: Any
    constraints: Sequence[Constraint]
    flighting: Flighting
    carry_in: CarryIn
    cost_per_unit: Any
    fixed_geo_split: bool
    campaigns: Any
    max_draws: int | None


@dataclass(frozen=True, eq=False)
class Prepared:
    """Everything but the search.

    Args:
        markets: The fits, or curves, by market.
        layout: The cells.
        limits: What constraints ask for, per cell.
        region: Where a plan may be, money, per variable.
        window: What spend brings.
        kind: What kind of problem it is.
        utility: What is maximised.
        price: Utility that a unit of money has to bring (0: the budget is given).
        doubt: Why a gap would prove nothing; empty if it does.
        profile: Share of the money of a cell spent in each period, (cell, period); None
            where it is even, or a variable.
        up_to: Whether less than the budget may be spent.
        carry_in: "zero" or "history".
        quarter: Whether the window is a quarter because no length was asked for.
        fixed_geo_split: Whether every channel's split over geos is held, as it was asked.
        within: Parts of cells, where some are split over campaigns.
    """

    markets: Mapping[str, Fit | ResponseCurves]
    layout: Layout
    limits: Limits
    region: Region
    window: Window
    kind: Kind
    utility: Utility
    price: float
    doubt: str
    profile: Float[np.ndarray, "cell period"] | None
    up_to: bool
    carry_in: str
    quarter: bool = False
    fixed_geo_split: bool = False
    within: Within | None = None

    @property
    def first(self) -> Fit | ResponseCurves:
        """The first market, for what all have in common."""
        return next(iter(self.markets.values()))

    @property
    def about(self) -> Panel | ResponseCurves:
        """What knows the labels of outcome and money, and how long a period is."""
        return self.first.panel if isinstance(self.first, Fit) else self.first

    def attributes(self, prob: float) -> dict[str, Any]:
        """What a dataset of answers says of the question."""
        return {
            "outcome": self.about.outcome_name, "currency": self.about.currency,
            "unit": self.layout.words, "periods": self.layout.periods,
            "carry_in": self.carry_in, "prob": prob,
        }  # fmt: skip

    @property
    def free_periods(self) -> int:
        """Periods with a variable each."""
        return self.kind.form.free_periods

    @property
    def split(self) -> tuple[np.ndarray, np.ndarray] | None:
        """Variable and share of every cell (part) where a split over geos is held."""
        return self.window.split

    def members_of(self, cells: np.ndarray) -> np.ndarray:
        """Which variables some cells are, (..., cell) of 0 and 1, periods apart."""
        cells = cells if self.within is None else cells[..., self.within.cell]
        if self.split is None:
            return cells
        return (cells @ np.eye(self.split[0].max() + 1)[self.split[0]] > 0).astype(float)

    def variables(self, cells: np.ndarray) -> np.ndarray:
        """Money of cells over the window as money of variables, evenly over periods."""
        periods = self.free_periods
        if self.within is not None:
            cells = cells[self.within.cell] * self.within.share
        if self.split is not None:
            cells = np.bincount(self.split[0], cells)
        return np.repeat(cells / periods, periods) if periods else np.asarray(cells)

    def cells(self, variables: np.ndarray) -> np.ndarray:
        """Money of cells over the window from that of variables, (..., variable)."""
        periods, cells = self.free_periods, np.asarray(variables)
        if periods:
            cells = cells.reshape(*cells.shape[:-1], -1, periods).sum(-1)
        parts = self.parts(cells)
        return parts if self.within is None else self.within.whole(parts)

    def parts(self, variables: np.ndarray) -> np.ndarray:
        """Money of parts, of cells where none is split, from that of variables."""
        money = np.asarray(variables)
        return money if self.split is None else money[..., self.split[0]] * self.split[1]

    def divided(self, cells: np.ndarray, share: np.ndarray | None) -> np.ndarray:
        """Values of cells, (cell, ...), as those of parts with some share of each."""
        if self.within is None or share is None:
            return np.asarray(cells)
        parts = np.asarray(cells)[self.within.cell]
        return parts * share.reshape(-1, *[1] * (parts.ndim - 1))

    @property
    def members(self) -> Float[np.ndarray, "part channel"]:
        """1 where a part (a cell, where none is split) belongs to a channel."""
        members = self.layout.members
        return members if self.within is None else members[self.within.cell]

    def problem(self, size: float = 1.0, spread: float = 1.0) -> Problem:
        """The problem in shares of the budget, `size` of utility counting as 1."""
        layout, repeat = self.layout, max(self.free_periods, 1)
        floors = np.zeros((len(self.limits.floors), len(layout.lower)))
        for row, floor in zip(floors, self.limits.floors, strict=True):
            row[floor.variables] = 1.0
        members, floors = self.members_of(layout.members.T).T, self.members_of(floors)
        return Problem(
            window=self.window,
            region=scaled(self.region, layout.budget),
            members=np.repeat(members, repeat, axis=0),
            budget=layout.budget,
            size=size,
            spread=spread,
            utility=self.utility,
            price=self.price,
            floors=np.repeat(floors, repeat, axis=1),
            floor_levels=np.array([floor.level for floor in self.limits.floors]),
        )


def prepare(
    fits: Fits,
    *,
    budget: float | None = None,
    periods: int | None = None,
    bounds: Any = 0.5,
    reference: Any = None,
    fixed: Any = None,
    per_period: bool = False,
    up_to: bool = False,
    until_mroas: float | str | None = None,
    utility: Any = "mean_response",
    constraints: Sequence[Constraint] = (),
    flighting: Any = EVEN,
    carry_in: CarryIn = "zero",
    cost_per_unit: Any = None,
    fixed_geo_split: bool = False,
    campaigns: Any = None,
    max_draws: int | None = None,
    window: Window | None = None,
) -> Prepared:
    """Read and check everything; see :func:`mmmjax.budget.solve.optimize`.

    A window that was made for the same fits, periods, prices and draws may be given.

    Raises:
        InputError: A request that cannot be planned: which part, and how to fix it.
    """
    choice("carry_in", carry_in, ("zero", "history"))
    markets = markets_of(fits)
    quarter, first = periods is None, next(iter(markets.values()))
    if isinstance(first, ResponseCurves):
        quarter, periods = False, 1 if periods is None else periods
    elif periods is None:
        dates = first.panel.dates
        days = pd.Timedelta(dates[-1] - dates[0]).days / max(len(dates) - 1, 1)
        periods = max(round(365.25 / 4 / days), 1) if days else 1
    layout = lay_out(
        markets, budget=budget, periods=periods, bounds=bounds, reference=reference,
        fixed=fixed, per_period=per_period, cost_per_unit=cost_per_unit,
    )  # fmt: skip
    if budget is None and has(as_utility(utility), "profit"):
        layout = dataclasses.replace(layout, budget=float(layout.upper.sum()))
    limits = _limits(constraints, layout)
    price, value = 0.0, value_of(markets)
    chosen = valued(as_utility(utility), value)
    if until_mroas is not None:
        price = _price(until_mroas, chosen, value)
    up_to = up_to or has(chosen, "profit")
    layout, by_cell = _cell_region(layout, limits, up_to or price > 0)
    free, profile = _flighting(flighting, layout, isinstance(first, ResponseCurves))
    check_utility(chosen, len(layout.channels))
    split, below = None, not (campaigns is None or campaigns is False)
    how = max_draws, free, profile, window, below
    window, form = _window(markets, layout, carry_in, *how)
    if fixed_geo_split or layout.national:
        layout, by_cell, split = _together(layout, by_cell, limits, fixed_geo_split)
    within = None
    if below:
        whole = layout, by_cell, split, markets, reference, free
        by_cell, split, within = parted(campaigns, *whole)
        window, form = within.window(window), dataclasses.replace(form, parts=True)
    if split is not None:
        same = window.split is not None and np.array_equal(window.split, split)
        window = window if same else window._replace(split=split)
    concave = chosen.concave if up_to or price > 0 else chosen.concave_at_total
    doubt = "" if concave else f"{chosen} is not known to be concave"
    doubt = doubt or _doubt(first, window, by_cell)
    return Prepared(
        markets, layout, limits, with_nesting(_by_variable(by_cell, free)), window,
        Kind(form, not doubt, not chosen.needs_smoothing), chosen, price, doubt, profile,
        up_to, carry_in, quarter, fixed_geo_split, within,
    )  # fmt: skip


def value_of(markets: Mapping[str, Any]) -> float | None:
    """Money per unit of outcome, where all markets know it and agree on it."""
    panels = [getattr(fit, "panel", None) for fit in markets.values()]
    values = {getattr(panel, "outcome_value", None) for panel in panels}
    return values.pop() if len(values) == 1 else None


def _price(until_mroas: Any, chosen: Utility, value: float | None) -> float:
    """Utility that the last unit of money has to bring.

    "break-even" needs the ``value`` of one unit of outcome.
    """
    if has(chosen, "profit"):
        got, fix = Phrase("a profit too"), "leave until_mroas out"
        allowed = "one of them: a profit stops at 1"
        fail("until_mroas", got, "", allowed, fix)
    if isinstance(until_mroas, str) and choice("until_mroas", until_mroas, [EVEN_OUT]):
        if value is None:
            got, fix = Phrase("no outcome_value"), "outcome_value = 1.0 under [data]"
            fail("until_mroas", got, "", "money per unit of outcome", fix)
        until_mroas = 1.0 / value
    return number("until_mroas", until_mroas, low=0.0, open_low=True, fix="1.0")


def _limits(constraints: Any, layout: Layout) -> Limits:
    """Constraints per cell; they are read per geo and channel, cells may lack some."""
    found = rules.read(
        constraints, channels=layout.channels, geos=layout.geos,
        last=layout.table(layout.last), periods=layout.periods, unit=layout.unit,
        budget=layout.budget,
    )  # fmt: skip
    places = layout.geo * len(layout.channels) + layout.channel
    cell = np.full(len(layout.geos) * len(layout.channels), -1)
    cell[places] = np.arange(len(places))

    def there(variables: np.ndarray) -> np.ndarray:
        return cell[variables][cell[variables] >= 0]

    return found._replace(
        rows=found.rows[:, places],
        lower=found.lower[places],
        upper=found.upper[places],
        on_off=tuple(o._replace(variables=there(o.variables)) for o in found.on_off),
        floors=tuple(f._replace(variables=there(f.variables)) for f in found.floors),
    )


def _cell_region(layout: Layout, limits: Limits, up_to: bool) -> tuple[Layout, Region]:
    """Box, total and rows of cells in money, checked in the user's unit."""
    lower = layout.lower.copy()
    for switch in limits.on_off:  # off is allowed; what on means is tried one by one
        lower[switch.variables] = np.where(
            layout.fixed[switch.variables], lower[switch.variables], 0.0
        )
    most = layout.budget
    least = most
    if up_to:
        most = min(most, float(layout.upper.sum()))
        least = min(float(lower.sum()), most)
    box = Region(
        lower, layout.upper, np.ones((1, len(lower))), np.array([least]), np.array([most])
    )
    unit = layout.unit
    region = rules.limited(box, limits, layout.labels, unit, layout.fixed)

    def check(region: Region, *words: tuple[str, str]) -> Region:
        words = (*limits.words, *words)
        return check_feasible(
            scaled(region, unit), layout.labels, layout.fixed, layout.words, words
        )

    checked = check(region)
    if up_to and len(region.rows) > 1 and totals_of(checked)[1] <= ROUNDING * most / unit:
        check(region._replace(least=np.append(most, region.least[1:])))  # names the clash
    for switch in limits.on_off:
        if region.upper[switch.variables].any():  # else it is off, as asked for
            on = np.isin(np.arange(len(lower)), switch.variables)[None]
            words = f"{switch.name} at least {switch.minimum / unit:,.6g} if on"
            check(
                region._replace(
                    rows=np.concatenate([region.rows, on]),
                    least=np.append(region.least, switch.minimum),
                    most=np.append(region.most, np.inf),
                ),
                (words, ""),
            )
    region = region._replace(least=checked.least * unit, most=checked.most * unit)
    layout = dataclasses.replace(layout, lower=region.lower, upper=region.upper)
    if not up_to:
        layout = dataclasses.replace(layout, budget=float(region.most[0]))
    return layout, region


def _together(
    layout: Layout, region: Region, limits: Limits, every: bool
) -> tuple[Layout, Region, tuple[np.ndarray, np.ndarray]]:
    """Cells of a channel in a market as one variable, shared out as the reference is.

    Of every channel, or of those that are national, whose shares are known.
    """
    keys = layout.market * len(layout.channels) + layout.channel
    if not every:
        alone = np.isnan(layout.split)
        keys = np.where(alone, keys.max() + 1 + np.arange(len(keys)), keys)
    owner = np.unique(keys, return_inverse=True)[1]
    if every and len(layout.geos) == len(np.unique(layout.market)):
        fix = "leave it out: every channel is in one geo"
        fail("fixed_geo_split", True, "", "a plan for several geos", fix)
    total, count = (np.bincount(owner, x)[owner] for x in (layout.reference, None))
    share = np.where(total > 0, layout.reference / np.where(total > 0, total, 1), 1 / count)
    share = np.where(np.isnan(layout.split), share, layout.split)
    each = np.where(share > 0, share, 1.0)
    lower, upper = np.zeros(owner.max() + 1), np.full(owner.max() + 1, np.inf)
    never = np.where(region.lower > 0, np.inf, 0.0)  # no share of money, but a minimum
    np.maximum.at(lower, owner, np.where(share > 0, region.lower / each, never))
    np.minimum.at(upper, owner, np.where(share > 0, region.upper / each, np.inf))
    for i in np.flatnonzero(lower > upper * (1 + 1e-9)):
        name = layout.channels[layout.channel[owner == i][0]]
        got = Phrase(f'bounds of "{name}" that no total keeps in every geo')
        fix = f'bound "{name}" by multiples of the reference: ("0.5x", "1.5x")'
        allowed = "bounds that leave the split of the reference"
        fail("fixed_geo_split", got, "", allowed, fix)
    belongs = np.eye(len(lower))[owner] * share[:, None]
    region = Region(
        np.minimum(lower, upper), upper, region.rows @ belongs, region.least, region.most
    )
    own = [np.flatnonzero(owner == i) for i in range(len(lower))]
    labels = [
        layout.labels[i[0]] if len(i) == 1 else layout.channels[layout.channel[i[0]]]
        for i in own
    ]
    held = np.array([layout.fixed[owner == i].all() for i in range(len(lower))])
    unit = layout.unit
    checked = check_feasible(scaled(region, unit), labels, held, layout.words, limits.words)
    region = scaled(checked, 1 / unit)
    lower, upper = region.lower[owner] * share, region.upper[owner] * share
    layout = dataclasses.replace(layout, lower=lower, upper=upper)
    return layout, region, (owner, share)


def _by_variable(region: Region, periods: int) -> Region:
    """The region of cells as one of cells and periods: bounds of cells become rows."""
    if not periods:
        return region
    cells = len(region.lower)
    own = np.repeat(np.eye(cells), periods, axis=1)
    return Region(
        np.zeros(cells * periods),
        np.repeat(np.minimum(PULSE / periods, 1.0) * region.upper, periods),
        np.concatenate([np.repeat(region.rows, periods, axis=1), own]),
        np.concatenate([region.least, region.lower]),
        np.concatenate([region.most, region.upper]),
    )


def _flighting(given: Any, layout: Layout, curves: bool) -> tuple[int, np.ndarray | None]:
    """Free periods and profile of every cell."""
    if isinstance(given, str):
        choice("flighting", given, (EVEN, OPTIMAL))
        if given == EVEN:
            return 0, None
        if curves:
            fail("flighting", given, "", '"even" with response curves', "leave it out")
        return layout.periods, None
    named = dict(given) if isinstance(given, Mapping) else None
    even = np.full(layout.periods, 1.0 / layout.periods)
    out = np.tile(even, (len(layout.lower), 1))
    allowed = f"{layout.periods} numbers of at least 0, not all 0 (weights of the periods)"
    fix = f'flighting={{"{layout.channels[0]}": [...]}}, "even" or "optimal"'
    for c, name in enumerate(layout.channels):
        values = given if named is None else named.pop(name, None)
        if values is None:
            continue
        weights = numbers_of(values)
        good = weights.shape == (layout.periods,) and np.isfinite(weights).all()
        if not good or (weights < 0).any() or not weights.sum() > 0:
            shown = Phrase(f"shape {weights.shape}") if weights.ndim else values
            fail("flighting", shown, f'channel "{name}"', allowed, fix)
        out[layout.channel == c] = weights / weights.sum()
    for name in named or ():
        fail("flighting", name, "", f"channels of the plan: {layout.channels}", fix)
    return 0, out


def _window(
    markets: Mapping[str, Any],
    layout: Layout,
    carry_in: CarryIn,
    max_draws: int | None,
    free: int,
    profile: np.ndarray | None,
    made: Window | None,
    below: bool,
) -> tuple[Window, Form]:
    """Arrays and kind of the response."""
    if max_draws is not None:
        max_draws = integer("max_draws", max_draws, low=1, fix="None keeps all draws")
    first = next(iter(markets.values()))
    if isinstance(first, ResponseCurves):
        ones = np.ones(len(layout.lower))
        window = Window(dict(first.draws), ones[:, None], ones, np.zeros((len(ones), 0)),
                        np.ones((1, 1)), np.ones(1))  # fmt: skip
        return window, Form(None, first.floored)
    fits = list(markets.values())
    window = made or make_window(
        fits, layout.periods, carry_in, layout.costs, max_draws, profile, bool(free),
        layout.dearer, below,
    )  # fmt: skip
    form = Form(first.spec.structure(), None, free)
    return window, dataclasses.replace(form, block=block_of(window))


def _doubt(first: Fit | ResponseCurves, window: Window, region: Region) -> str:
    """Why the gap proves nothing under a concave utility; empty if it does."""
    if isinstance(first, ResponseCurves):
        if not first.concave:
            return "the response curves are not said to be concave"
        return first.bent(region.lower, region.upper)
    if not first.spec.likelihood.straight:
        return f'effects multiply (link = "{first.spec.likelihood.link}")'
    for pair in first.spec.interactions:
        return f"{' and '.join(pair.channels)} act together"
    for term in first.spec.media:
        names = {name: first.spec.full(term, name) for name in term.parameters()}
        if not names.keys() or not all(name in window.draws for name in names.values()):
            continue  # a term without channels
        proof = term.concave({n: np.asarray(window.draws[f]) for n, f in names.items()})
        if proof is None:
            return f"the response is not concave under {term.saturation!r}"
        for words, holds in proof.items():  # NaN holds nowhere
            if not holds.all():
                where = "" if len(first.spec.media) == 1 else f'"{term.name}": '
                bad = int((~holds.all(1)).sum())
                return f"{where}{words} in {bad} of {len(holds)} draws"
    return ""
