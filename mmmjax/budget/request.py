"""What the user asked of a plan, read and checked once: money per variable, no names.

A variable is one paid channel in one geo. Money given for a channel of a panel is that
of all its geos together, and is shared out among them as the reference is; an array has
one number per geo.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from jaxtyping import Bool, Float

from mmmjax.budget.curves import ResponseCurves
from mmmjax.budget.prices import Dearer
from mmmjax.checks import Phrase, choice, fail, integer, listing, number, show, unknown
from mmmjax.draws import Fit
from mmmjax.panel import Panel
from mmmjax.panel.national import weights

__all__ = [
    "OTHERS",
    "Bounds",
    "Known",
    "Money",
    "Request",
    "cost_of",
    "known_of",
    "numbers_of",
    "prices_of",
    "read",
    "shared_out",
    "shares_of",
    "window_of",
]

type Money = float | Sequence[float] | np.ndarray
type Share = float | tuple[float, float]
type End = Money | str  # "0.8x": so many times the reference
type Bounds = Share | Mapping[str, Share | str | tuple[End, End]]

DEFAULT_BOUND = 0.5  # share of the reference that a channel may move either way
FAR = 9  # powers of ten between a price and that of training: another quantity is meant
OTHERS = "*"  # in a mapping of bounds: the channels that it does not name
LARGEST, TINY = 10.0, 1e-3  # a multiple, not money: at most 10, 1e-3 of the reference
PAST, SCALED, GIVEN = "past spend", "past split scaled to the budget", "as given"


@dataclass(frozen=True, eq=False)
class Request:
    """A readable plan request: money over the window, (geo, channel) of paid channels.

    Args:
        reference: The spend that the plan is compared with and bounds refer to.
        lower: Least spend.
        upper: Largest spend.
        fixed: Variables held at a given spend (lower equals upper there).
        budget: Total spend.
        periods: Length of the window.
        reference_is: Where the reference comes from: "past spend", "past split scaled to
            the budget", "as given", or the dates whose spend it is.
        bounds_are: What bounds are multiples of, in words.
    """

    reference: Float[np.ndarray, "geo channel"]
    lower: Float[np.ndarray, "geo channel"]
    upper: Float[np.ndarray, "geo channel"]
    fixed: Bool[np.ndarray, "geo channel"]
    budget: float
    periods: int
    reference_is: str
    bounds_are: str


class Known(NamedTuple):
    """What a request needs to know of a market: its paid channels and their past.

    Args:
        geos: Names of the geos.
        channels: Names of the paid channels, in the panel's order.
        organic: Names of channels that cost nothing.
        mean: Mean spend a period of the training window, (geo, channel).
        largest: Largest spend of one period of training, (geo, channel).
        last: Spend of the last period of training, (geo, channel).
        cost_per_unit: Money per unit of media as trained, (geo, channel).
        usual: Mean spend of the training periods with spend, (geo, channel).
        spend: Spend of every training period, (geo, period, channel), 0 where no row is;
            None with response curves.
        dates: Of these periods.
        split: Share of each geo in the money of a national channel, (geo, channel), that
            of the last period; NaN for the other channels. None with response curves.
    """

    geos: tuple[str, ...]
    channels: tuple[str, ...]
    organic: tuple[str, ...]
    mean: Float[np.ndarray, "geo channel"]
    largest: Float[np.ndarray, "geo channel"]
    last: Float[np.ndarray, "geo channel"]
    cost_per_unit: Float[np.ndarray, "geo channel"]
    usual: Float[np.ndarray, "geo channel"]
    spend: Float[np.ndarray, "geo period channel"] | None = None
    dates: pd.DatetimeIndex | None = None
    split: Float[np.ndarray, "geo channel"] | None = None

    def index(self, field: str, name: object) -> int:
        """Place of a paid channel that a user named under `field`."""
        if name in self.organic:
            allowed = f"paid channels of the fit ({listing(self.channels, 12)})"
            fix = f'"{name}" is organic: it has no spend to plan, leave it out'
            fail(field, name, "", allowed, fix)
        if name not in self.channels:
            unknown(field, name, "", "paid channels of the fit", self.channels)
        return self.channels.index(str(name))

    def money(
        self, field: str, channel: str, value: object, before: Float[np.ndarray, " geo"]
    ) -> Float[np.ndarray, " geo"]:
        """Money of a channel, the user's unit: as given, or shared out as `before` is."""
        at = self.channels.index(channel)
        if self.split is None or np.isnan(self.split[:, at]).any():
            return shared_out(field, channel, value, shares_of(before))
        money = shared_out(field, channel, value, own := self.split[:, at])
        if not np.allclose(money, money.sum() * own):
            got, fix = Phrase("money by geo"), f'write {{"{channel}": {money.sum():g}}}'
            where = f'national channel "{channel}"'
            fail(field, got, where, "one number: its split over geos is fixed", fix)
        return money


def numbers_of(value: object) -> Float[np.ndarray, "..."]:
    """Any value as an array; NaN where it is no number."""
    try:
        return np.asarray(value, np.float64)
    except (TypeError, ValueError, OverflowError):
        return np.asarray(np.nan)


def shares_of(money: Float[np.ndarray, " geo"]) -> Float[np.ndarray, " geo"]:
    """Share of every geo in some money; even shares of none."""
    total = money.sum()
    return money / total if total > 0 else np.ones(len(money)) / max(len(money), 1)


def shared_out(
    field: str, channel: str, value: object, shares: Float[np.ndarray, " geo"]
) -> Float[np.ndarray, " geo"]:
    """Money by geo, in the user's unit: as given, or one number times the shares."""
    array, where = numbers_of(value), f'channel "{channel}"'
    if array.shape not in ((), shares.shape):
        allowed = f"one number, or one per geo ({len(shares)})"
        fail(field, Phrase(f"shape {array.shape}"), where, allowed, "give one number")
    if not (np.isfinite(array) & (array >= 0)).all():
        fix = f'write {{"{channel}": 1000.0}}'
        fail(field, value, where, "finite money of at least 0", fix)
    return array if array.ndim else array * shares


def known_of(source: Fit | Panel | ResponseCurves) -> Known:
    """What a fit, the panel of one or curves of one's own tell."""
    if isinstance(source, ResponseCurves):
        spend = source.reference[None]
        ones = np.ones_like(spend)
        inf = np.full_like(spend, math.inf)
        return Known(("all",), tuple(source.channels), (), spend, inf, spend, ones, spend)
    panel = source.panel if isinstance(source, Fit) else source
    pairs = zip(panel.channels, panel.paid, strict=True)
    spend = panel.spend[:, panel.window][..., panel.paid]
    seen = panel.present[:, panel.window]
    spend = np.where(seen[..., None], spend, 0.0)
    periods = np.maximum(seen.sum(1), 1)[:, None]  # those in which the geo had rows
    costs = np.ones((len(panel.geos), spend.shape[-1]))
    if isinstance(source, Fit):
        costs = np.asarray(source.scale.cost_per_unit[:, panel.paid], np.float64)
    names = tuple(name for name, paid in pairs if paid)
    share = weights(panel.outcome[:, panel.window], panel.people, panel.present)[:, -1:]
    split = np.where(np.isin(names, panel.national), share, np.nan)
    total, national = spend.sum(0), ~np.isnan(split)
    mean = np.where(national, total.mean(0) * split, spend.sum(1) / periods)
    largest = np.where(national, total.max(0) * split, spend.max(1))
    last = np.where(national, total[-1] * split, spend[:, -1])
    ran = [np.maximum((x > 0).sum(-2), 1) for x in (total, spend)]
    usual = np.where(national, total.sum(0) * split / ran[0], spend.sum(1) / ran[1])
    return Known(
        panel.geos, names, tuple(panel.organic), mean, largest, last, costs, usual,
        spend, panel.dates[panel.window], split,
    )  # fmt: skip


def read(
    known: Known,
    *,
    budget: Any,
    periods: Any,
    bounds: Any,
    reference: Any,
    fixed: Any,
    per_period: bool,
) -> Request:
    """Turn the arguments of :func:`mmmjax.budget.solve.optimize`, any of them, into money.

    Whether some plan keeps them all is :mod:`mmmjax.budget.prepare`'s to say.

    Raises:
        InputError: Anything that cannot be planned, with the reason and the remedy.
    """
    periods = integer(
        "periods", periods, low=1, high=2_000, fix="periods=26 plans half a year of weeks"
    )
    if not known.channels:
        got = Phrase("a fit without paid channels")
        fix = "name the columns of money: Panel.from_frame(..., spend=...)"
        fail("budget", got, "", "at least one channel with spend", fix)
    unit = float(periods) if per_period else 1.0
    kind = GIVEN if reference is not None else PAST if budget is None else SCALED
    if _is_window(reference):
        before, kind = _between(known, reference, periods)
    else:
        before = _reference(known, reference, periods, unit)
    if known.split is not None:
        before = np.where(np.isnan(known.split), before, before.sum(0) * known.split)
    if budget is not None:
        fix = "leave budget=None to spend what the reference spends"
        budget = unit * number("budget", budget, low=0.0, open_low=True, fix=fix)
    total = before.sum() if budget is None else budget
    if not before.sum() > 0:
        got, fix = Phrase("no spend in any channel"), "pass reference={channel: money}"
        fail("reference", got, "", "spend above 0 somewhere", fix)
    if reference is None:
        before = before * (total / before.sum())
    lower, upper = _bounds(known, bounds, before, total, unit)
    held = _fixed(known, fixed, bounds, before, unit)
    lower, upper = (np.where(np.isnan(held), bound, held) for bound in (lower, upper))
    return Request(
        before, lower, upper, ~np.isnan(held), float(total), periods, kind,
        _bounds_are(bounds, kind),
    )  # fmt: skip


def cost_of(
    known: Known, given: Any, periods: int
) -> Float[np.ndarray, "geo channel period"]:
    """Money per unit of media of the paid channels, from training or as given.

    Args:
        known: The market.
        given: {channel: price}: one number, (geo,), (geo or 1, period), or, for one geo,
            (period,); {"price": price, "elasticity": e}, see :func:`prices_of`; a table
            with a row per period and a column per channel; or None.
        periods: Length of the window.

    Returns:
        Prices; one period stands for all where none changes over the window.
    """
    geos = len(known.geos)
    if isinstance(given, pd.DataFrame):
        given = {name: given[name].to_numpy()[None] for name in given}
    if not isinstance(given, Mapping | None):
        fix = 'cost_per_unit={"TV": 12.5}'
        fail("cost_per_unit", given, "", "{channel: price}, or a table of periods", fix)
    cost = np.repeat(known.cost_per_unit[..., None], periods, axis=2)
    for channel, value in (given or {}).items():
        c, where = known.index("cost_per_unit", channel), f'channel "{channel}"'
        was = known.cost_per_unit[:, c, None]
        if isinstance(value, Mapping):
            for key in value:
                choice(f"key of cost_per_unit, {where}", key, ("price", "elasticity"))
            value = value.get("price", was)
        price = numbers_of(value)
        if price.shape == (geos,) and (geos > 1 or periods == 1):
            price = price[:, None]
        if price.shape not in ((), (geos, 1), (1, periods), (geos, periods)) and not (
            geos == 1 and price.shape == (periods,)
        ):
            allowed = f"one number, one per geo ({geos}), or (geo or 1, {periods} periods)"
            got = Phrase(f"shape {price.shape}")
            fail("cost_per_unit", got, where, allowed, "give one number")
        if not (np.isfinite(price) & (price > 0)).all():
            fix = "a channel that costs nothing is organic and needs no plan"
            fail("cost_per_unit", value, where, "finite numbers above 0", fix)
        cost[:, c] = price
        if not (np.abs(np.log10(cost[:, c]) - np.log10(was)) < FAR).all():
            allowed = f"a price near {was[0, 0]:.4g}, what a unit cost in training"
            fix = "money per unit of media, in the currency of the spend"
            fail("cost_per_unit", value, where, allowed, fix)
    return cost if (cost != cost[..., :1]).any() else cost[..., :1]


def prices_of(
    known: Known, given: Any, periods: int
) -> tuple[Float[np.ndarray, "geo channel period"], Dearer]:
    """:func:`cost_of`, and how prices rise with what is bought, (geo, channel, ...).

    Of channels given as {"elasticity": e}, one number or one a geo; the usual amount is the
    mean of the training periods that had any, whose price is `cost`. Every geo is a market
    of its own for media.
    """
    cost = cost_of(known, given, periods)
    elasticity = np.zeros_like(known.cost_per_unit)
    for channel, value in dict(given if isinstance(given, Mapping) else {}).items():
        if isinstance(value, Mapping) and "elasticity" in value:
            c, e = known.index("cost_per_unit", channel), numbers_of(value["elasticity"])
            where = f'elasticity of channel "{channel}"'
            if known.spend is None:
                got, allowed = Phrase("an elasticity"), "a price, with response curves"
                fix = "write the curve as a function of money at rising prices"
                fail("cost_per_unit", got, where, allowed, fix)
            if e.shape not in ((), (len(known.geos),)) or not ((e >= 0) & (e < 1)).all():
                fix = "0.2 where 10% more media make every unit 2% dearer"
                got, allowed = value["elasticity"], "one number, or one a geo, in [0, 1)"
                fail("cost_per_unit", got, where, allowed, fix)
            elasticity[:, c] = e
    usual = (known.usual / known.cost_per_unit)[..., None] * cost
    return cost, Dearer(elasticity[..., None], usual)


def _reference(known: Known, given: Any, periods: int, unit: float) -> np.ndarray:
    before = periods * known.mean
    if given is None:
        return before
    if not isinstance(given, Mapping):
        array, shapes = numbers_of(given), {(len(known.channels),), before.shape}
        if array.shape not in shapes:
            said = " or ".join(map(str, shapes))
            allowed = f"{{channel: money}}, or an array of shape {said}"
            fix = f"the paid channels are {listing(known.channels, 12)}"
            fail("reference", Phrase(f"shape {array.shape}"), "", allowed, fix)
        given = dict(zip(known.channels, array.T, strict=True))
    for name in given:
        known.index("reference", name)
    for name in known.channels:
        if name not in given:
            got = Phrase(f'no money for "{name}"')
            fix = f'write "{name}": 0.0 for a channel without spend'
            fail("reference", got, "", "every paid channel", fix)
    columns = [
        unit * known.money("reference", name, given[name], before[:, i])
        for i, name in enumerate(known.channels)
    ]
    return np.stack(columns, axis=1)


def _bounds(
    known: Known, given: Any, before: np.ndarray, budget: float, unit: float
) -> tuple[np.ndarray, np.ndarray]:
    named = dict(given) if isinstance(given, Mapping) else {OTHERS: given}
    low, high = _multipliers(named.pop(OTHERS, DEFAULT_BOUND))
    lower = low * before
    if high == math.inf:
        upper = np.full_like(before, max(budget, lower.sum()))
    else:
        upper = high * before
    for name, given_ in named.items():
        i, where = known.index("bounds", name), f'channel "{name}"'
        pair = given_.split(":") if isinstance(given_, str) else given_
        if _small(given_) and 0 <= float(given_) <= 1:
            pair = [f"{share}x" for share in _multipliers(given_)]
        if not isinstance(pair, Sequence) or len(pair) != 2:
            allowed = '(least, largest) money, ("0.8x", "1.2x") times the reference, or 0.2'
            fix = f'write {{"{name}": (0.0, 1000.0)}} or {{"{name}": ("0.8x", "1.2x")}}'
            fail("bounds", given_, where, allowed, fix)
        low, high = pair
        own = before[:, i].sum()
        tiny = _small(low) and _small(high) and 0 <= float(low) <= float(high)
        if tiny and 0 < float(high) * unit < TINY * own:
            got, where = f"at most {high:g} of money", f"{where}, whose reference is"
            fix = (
                f'write {{"{name}": ("{low:g}x", "{high:g}x")}}, as a flag '
                f'"{name}={low:g}x:{high:g}x", for {low:g} to {high:g} times the reference'
            )
            allowed = "money, or multiples of the reference with an x"
            fail("bounds", Phrase(got), f"{where} {own / unit:,.6g}", allowed, fix)
        if np.ndim(high) == 0 and high == math.inf:
            high = max(budget / unit, float(own / unit))
            high = high if isinstance(low, str) else max(high, float(np.sum(low)))
        for ends, end in ((lower, low), (upper, high)):
            if isinstance(end, str):
                times = numbers_of(end.strip().removesuffix("x"))
                if not end.strip().endswith("x") or not 0 <= times < math.inf:
                    allowed = '"0.8x": so many times the reference, at least 0'
                    fail("bounds", end, where, allowed, '("0.8x", "1.2x")')
                ends[:, i] = times * before[:, i]
            else:
                ends[:, i] = unit * known.money("bounds", name, end, before[:, i])
        if (lower[:, i] > upper[:, i]).any():
            fix = "write the smaller number first"
            if isinstance(low, str) is not isinstance(high, str):
                fix = 'write both as multiples, ("0.8x", "1.2x"), or both as money'
            fail("bounds", given_, where, "least <= largest", fix)
    return lower, upper


def _small(end: Any) -> bool:
    return bool(
        isinstance(end, int | float) and not isinstance(end, bool) and end <= LARGEST
    )


def _bounds_are(given: Any, kind: str) -> str:
    """What bounds are of: "0.5 to 1.5 times the past spend; of TV as given"."""
    named = dict(given) if isinstance(given, Mapping) else {OTHERS: given}
    low, high = _multipliers(named.pop(OTHERS, DEFAULT_BOUND))
    of = kind if kind in (PAST, SCALED) else f"reference ({kind})"
    said = [f"{low:g} to {high:g} times the {of}"]
    return "; ".join(said + [f"of {listing(named, 3)} as given"] * bool(named))


def _is_window(given: Any) -> bool:
    """Whether a reference is two dates."""
    pair = isinstance(given, list | tuple) and len(given) == 2
    return pair and all(isinstance(x, str | date | np.datetime64) for x in given)


def _between(known: Known, given: Any, periods: int) -> tuple[np.ndarray, str]:
    """Mean spend a period between two dates times `periods`, and these dates in words."""
    if known.spend is None or known.dates is None:
        allowed, fix = "{channel: money} with response curves", "write money"
        fail("reference", given, "", allowed, fix)
    inside, dates = window_of(known.dates, given), known.dates
    words = f"spend of {show(dates[inside][0])} to {show(dates[inside][-1])}"
    if inside.sum() != periods:
        words += f", its mean a period times {periods}"
    return periods * known.spend[:, inside].mean(1), words


def window_of(dates: pd.DatetimeIndex, given: Any) -> Bool[np.ndarray, " period"]:
    """The periods of training that a reference of two dates is; of any other one all."""
    if not _is_window(given):
        return np.ones(len(dates), bool)
    fix = 'reference=("2025-01-01", "2025-03-31"): a first and a last date of training'
    first, last = (pd.to_datetime(str(x), errors="coerce") for x in given)
    step = dates[-1] - dates[-2] if len(dates) > 1 else pd.Timedelta(days=1)
    span = f"dates from {show(dates[0])} to {show(dates[-1])}, the training window"
    known_ends = dates[0] - step < first and first <= last and last < dates[-1] + step
    if not bool(known_ends):  # NaT is in no window
        fail("reference", given, "", span, fix)
    inside = np.asarray((dates >= first) & (dates <= last))
    if not inside.any():
        fail("reference", Phrase("a window without a period"), "", span, fix)
    return inside


def _multipliers(given: Any) -> tuple[float, float]:
    fix = "bounds=0.5 is +-50% of the reference, (0.5, 1.5) the same, (0, 3) wider"
    if isinstance(given, Sequence) and not isinstance(given, str) and len(given) == 2:
        low = number("bounds", given[0], low=0.0, fix=fix)
        high = given[1]
        return low, high if high == math.inf else number("bounds", high, low=low, fix=fix)
    share = number("bounds", given, low=0.0, high=1.0, fix=fix)
    return 1.0 - share, 1.0 + share


def _fixed(
    known: Known, given: Any, bounds: Any, before: np.ndarray, unit: float
) -> np.ndarray:
    held = np.full_like(before, np.nan)
    given = [given] if isinstance(given, str) else [] if given is None else given
    if not isinstance(given, Mapping | Sequence):
        allowed = "{channel: money}, or a list of channels held at their reference"
        fail("fixed", given, "", allowed, 'write fixed={"TV": 0.0}')
    pairs = given if isinstance(given, Mapping) else dict.fromkeys(given)
    for name, money in pairs.items():
        i = known.index("fixed", name)
        if isinstance(bounds, Mapping) and name in bounds:
            fix = f'leave "{name}" out of one of the two'
            fail("fixed", name, "bounds", "a channel either fixed or bounded", fix)
        held[:, i] = before[:, i]
        if money is not None:
            held[:, i] = unit * known.money("fixed", name, money, before[:, i])
    return held
