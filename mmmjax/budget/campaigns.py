r"""Campaigns in a plan: how the money of a channel is split over them.

Within a channel, money $z_k$ of campaign $k$ buys media at the campaign's own price $p_k$
of training, and the channel meets its one carry-over and saturation with
$\sum_k w_k z_k / p_k$ (:mod:`mmmjax.terms.media`). With c what a unit of the channel's
media costs, its response to a split is f of so much money as usual:

$$f\Big(\sum_k r_k z_k\Big), \qquad r_k = w_k \, c / p_k, \qquad
\sum_k q_k r_k = 1 \text{ at the split } q \text{ of training},$$

(in one geo; where geos split otherwise than all together, of all together). It is concave
in all z where f is concave in money, so plans of campaigns are proven as those of channels
are. On average the best split is at its bounds, as one unit of money always brings most
in the same campaign; utilities of risk split within them, as r differs by draw.

A part is the money of one campaign in one cell, or all money of a cell that is not split.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float, Int

from mmmjax.budget.horizon import Window
from mmmjax.budget.layout import Layout, per_market
from mmmjax.budget.region import Region
from mmmjax.budget.request import DEFAULT_BOUND, OTHERS, numbers_of, window_of
from mmmjax.checks import Phrase, fail, listing, number, unknown
from mmmjax.draws import Fit
from mmmjax.panel import Panel
from mmmjax.panel.campaigns import Campaigns

__all__ = ["Within", "parted"]

EXAMPLE = 'campaigns={"TV": {"Spot A": ("0.5x", "2x"), "Spot B": (0.1, 0.4)}}'
TIES = 1e-12  # difference of shares that is none
type Split = tuple[np.ndarray, np.ndarray]


class Within(NamedTuple):
    """Parts of all cells.

    Args:
        cell: Of every part.
        campaign: Its name; empty of a cell that is not split.
        at: Its place among the campaigns of all geos of all fits, -1 of such a cell.
        share: Its share of the money of the cell at the reference.
        low: Least share.
        high: Largest share.
    """

    cell: Int[np.ndarray, " part"]
    campaign: tuple[str, ...]
    at: Int[np.ndarray, " part"]
    share: Float[np.ndarray, " part"]
    low: Float[np.ndarray, " part"]
    high: Float[np.ndarray, " part"]

    def window(self, window: Window) -> Window:
        """That of cells as one of parts; one that was made of parts stays."""
        if np.size(window.parts):
            return window
        draws = dict(window.draws)
        each = np.asarray(draws.pop("campaigns"))[:, self.at]
        draws["parts"] = np.where(self.at < 0, 1.0, each)
        return window._replace(draws=draws, parts=self.cell)

    def whole(self, parts: np.ndarray) -> np.ndarray:
        """Sums of parts, (..., part), by cell."""
        return np.asarray(parts) @ np.eye(self.cell.max() + 1)[self.cell]


def parted(
    given: Any,
    layout: Layout,
    region: Region,
    split: Split | None,
    markets: Mapping[str, Any],
    reference: Any,
    free: int,
) -> tuple[Region, Split | None, Within]:
    """The region of cells (or of the variables of a split) as one of campaigns.

    Args:
        given: As :func:`mmmjax.optimize` takes it, not None.
        layout: The cells.
        region: Money of variables: cells, or those of `split`.
        split: Variable and share of every cell, where a split over geos is held.
        markets: Fits by market.
        reference: As of the plan: where it is two dates, the split is of these.
        free: Periods that have a variable each: 0.

    Raises:
        InputError: No campaigns, an unknown one, or bounds that leave no split.
    """
    if free:
        got, fix = Phrase('flighting="optimal"'), "give weights of the periods"
        fail("campaigns", got, "", '"even", or weights: every campaign alike', fix)
    cells = np.arange(len(layout.lower))
    owner, part_of = split or (cells, np.ones(len(cells)))
    asked = _asked(given, layout, markets, reference)
    variables, parts, rows = list[Any](), list[Any](), list[Any]()
    place: dict[tuple[int, str], int] = {}
    for v in range(owner.max() + 1):
        own = cells[owner == v]
        first = asked.get(int(own[0]))
        names = ("",) if first is None else first.names
        share, low, high = np.ones((3, 1))
        if first is not None:
            money = sum(part_of[c] * asked[int(c)].share for c in own)
            share = np.asarray(money) / np.sum(money)
            low, high = _ends(first, share, layout.labels[own[0]])
        begin = len(variables)
        for name, *numbers in zip(names, share, low, high, strict=True):
            place[v, name] = len(variables)
            variables.append((v, *numbers))
        if first is not None:
            rows.append((begin, share, low, high, v))
    for cell in cells:
        one = asked.get(int(cell))
        for k, name in enumerate(("",) if one is None else one.names):
            at = place[int(owner[cell]), name]
            parts.append([cell, name, -1 if one is None else one.at[k], at, part_of[cell]])
    of, share, low, high = (np.array(x) for x in zip(*variables, strict=True))
    cell, campaign, at, variable, shared = zip(*parts, strict=True)
    variable = np.array(variable)
    ends = share[variable], low[variable], high[variable]
    within = Within(np.array(cell), campaign, np.array(at), *ends)
    made = _region(region, of, low, high, rows)
    return made, None if split is None else (variable, np.array(shared)), within


class _Cell(NamedTuple):
    """The campaigns of one cell: names, places, past shares, and bounds as they were given.

    Bounds are a share to either side, or a pair.
    """

    names: tuple[str, ...]
    at: list[int]
    share: np.ndarray
    bounds: list[Any]


def _asked(
    given: Any, layout: Layout, markets: Mapping[str, Any], reference: Any
) -> dict[int, _Cell]:
    """What is asked of the campaigns of every cell that is split."""
    each, found, first = per_market("campaigns", given, tuple(markets)), {}, 0
    rising = np.concatenate([x.elasticity.ravel() for x in layout.dearer]) > 0
    for m, (market, fit) in enumerate(markets.items()):
        cells = np.flatnonzero(layout.market == m)
        if not isinstance(fit, Fit) or fit.panel.campaigns is None:
            if each[market] is None or (len(markets) > 1 and each[market] is given):
                continue
            got = "a fit without campaigns" if isinstance(fit, Fit) else "response curves"
            fix = 'media = { TV = { campaigns = { "A" = "col_a", "B" = "col_b" } } }'
            fail("campaigns", Phrase(got), "", "a fit of a panel with campaigns", fix)
        panel, own = fit.panel, fit.panel.campaigns
        before = reference if len(markets) == 1 else (reference or {}).get(market)
        inside = window_of(panel.dates[panel.window], before)
        places = [panel.channels.index(name) for name in own.channels]
        spent = (panel.spend[..., places] * own.spend)[:, panel.window][:, inside]
        seen = panel.present[:, panel.window][:, inside, None]
        money = np.where(seen, spent, 0.0).sum(1)
        asked = _named(each[market], panel, own, money) if each[market] is not None else {}
        for cell in cells:
            channel, g = layout.channels[layout.channel[cell]], layout.geo[cell]
            if channel not in asked:
                continue
            if rising[cell]:
                got = Phrase(f'"{channel}", whose price rises with what is bought')
                allowed, fix = "channels of one price", f'leave "{channel}" out of one'
                fail("campaigns", got, "", allowed, fix)
            at = [k for k, c in enumerate(own.channels) if c == channel]
            g -= layout.geo[cells[0]]
            part = money[g, at] if money[g, at].sum() > 0 else money[:, at].sum(0)
            part = part if part.sum() > 0 else np.ones(len(at))
            names = tuple(own.names[k] for k in at)
            where = [first + g * len(own.names) + k for k in at]
            found[int(cell)] = _Cell(names, where, part / part.sum(), asked[channel])
        first += panel.n_geos * len(own.names)
    if not found:
        got, fix = Phrase("no campaigns in any market"), "leave campaigns out"
        fail("campaigns", got, "", "a fit of a panel with campaigns", fix)
    return found


def _named(
    given: Any, panel: Panel, own: Campaigns, money: np.ndarray
) -> dict[str, list[Any]]:
    """Bounds of every campaign, as given, by channel that is split."""
    channels = list(dict.fromkeys(own.channels))
    paid = [c for c in channels if c not in panel.organic]
    named = given if isinstance(given, Mapping) else dict.fromkeys(paid, given)
    out: dict[str, list[Any]] = {}
    for channel, bounds in named.items():
        if channel not in paid:
            more = " has no campaigns" if channel in panel.channels else ""
            more = " is organic: it has no spend to plan" if channel in channels else more
            if more:
                got, fix = Phrase(f'"{channel}", which{more}'), f"leave {channel} out"
                fail(
                    "campaigns", got, "", f"channels with campaigns ({listing(paid)})", fix
                )
            unknown("campaigns", channel, "", "channels with campaigns", paid)
        names = [n for n, c in zip(own.names, own.channels, strict=True) if c == channel]
        at = [c == channel for c in own.channels]
        if not np.isfinite(money[:, at]).all():
            got = Phrase(f'no spend of the campaigns of "{channel}"')
            columns = f'"{names[0]}" = "cost_a", "{names[1]}" = "cost_b"'
            fix = f'spend = {{ "{channel}" = {{ campaigns = {{ {columns} }} }} }}'
            fail("campaigns", got, "", "what each of them cost in training", fix)
        table = bounds if isinstance(bounds, Mapping) else {OTHERS: bounds}
        for name in table:
            if name not in (*names, OTHERS):
                unknown(f'campaigns of "{channel}"', name, "", "its campaigns", names)
        usual = table.get(OTHERS, DEFAULT_BOUND)
        out[str(channel)] = [table.get(name, usual) for name in names]
    return out


def _ends(one: _Cell, share: np.ndarray, label: str) -> tuple[np.ndarray, np.ndarray]:
    """Least and largest share of every campaign of a channel, as far as others leave it."""
    low, high = np.zeros((2, len(share)))
    for k, (name, given) in enumerate(zip(one.names, one.bounds, strict=True)):
        field, where = f'campaigns of "{label}"', f'campaign "{name}"'
        given = DEFAULT_BOUND if given is True else given
        if isinstance(given, int | float):
            by = number(field, given, low=0.0, high=1.0, fix=EXAMPLE)
            given = f"{1 - by}x", f"{1 + by}x"
        if isinstance(given, str) or np.shape(given) != (2,):
            allowed = '0.5 (+-50% of its share), ("0.5x", "2x") times it, or two shares'
            fail(field, given, where, allowed, EXAMPLE)
        ends = []
        for end in given:
            text = end.strip() if isinstance(end, str) else ""
            value = numbers_of(text.removesuffix("x") if text else end)
            known = value.shape == () and 0 <= value < np.inf and not isinstance(end, bool)
            if (
                not known
                or text.endswith("x") is not bool(text)
                or (not text and value > 1)
            ):
                allowed = 'a share of the channel in [0, 1], or "0.5x": times its share'
                fail(field, end, where, allowed, '("0.5x", "2x") or (0.1, 0.4)')
            ends.append(min(float(value) * (share[k] if text else 1.0), 1.0))
        low[k], high[k] = ends
        if low[k] > high[k]:
            fail(field, given, where, "least <= largest", "write the smaller one first")
    for ends, sign, word in ((low, 1, "least"), (high, -1, "largest")):
        if sign * (ends.sum() - 1.0) > TIES:
            got = Phrase(f"{word} shares that add up to {ends.sum():.4g}")
            allowed = f"{word} shares of {'at most' if sign > 0 else 'at least'} 1"
            fix = "widen the bounds of some campaign"
            fail("campaigns", got, f'channel "{label}"', allowed, fix)
    least = np.maximum(low, 1.0 - (high.sum() - high))
    return least, np.minimum(np.minimum(high, 1.0 - (low.sum() - low)), 1.0)


def _region(
    region: Region, of: np.ndarray, low: np.ndarray, high: np.ndarray, split: list[Any]
) -> Region:
    """Box and rows of campaigns: bounds of a channel are of their sum, shares are rows."""
    rows, least, most = [np.asarray(region.rows)[:, of]], [region.least], [region.most]

    def add(row: np.ndarray, down: float, up: float) -> None:
        rows.append(row[None])
        least.append(np.array([down]))
        most.append(np.array([up]))

    for begin, share, lowest, highest, v in split:
        own, count = slice(begin, begin + len(share)), len(share)
        whole = np.zeros(len(of))
        whole[own] = 1.0
        add(whole, region.lower[v], region.upper[v])
        held = highest - lowest <= TIES
        down, up = np.where(held, lowest, 0.0), np.where(held, highest, 1.0)
        for k in range(count - held.all()):  # the last of those held follows
            row = np.eye(len(of))[begin + k]
            if held[k]:
                add(row - lowest[k] * whole, 0.0, 0.0)
                continue
            # rows that others imply are left out, one after the other
            if highest[k] < 1.0 - (down.sum() - down[k]) - TIES:
                add(row - highest[k] * whole, -np.inf, 0.0)
                up[k] = highest[k]
            if lowest[k] > 1.0 - (up.sum() - up[k]) + TIES:
                add(row - lowest[k] * whole, 0.0, np.inf)
                down[k] = lowest[k]
    box = low * region.lower[of], np.minimum(high, 1.0) * region.upper[of]
    return Region(*box, *map(np.concatenate, (rows, least, most)))
