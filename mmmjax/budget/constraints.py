"""What a plan must respect beside bounds and budget, as a user writes it: small records.

``optimize(..., constraints=[group(["Search", "Social"], at_most=0.6, share=True), ...])``.
A record is checked when it is made; :func:`read` checks names and turns a list of them
into rows, bounds, on/off sets and floors, in money over the window. Money in a record is
in the user's unit: over the window, or a period where the plan is asked per period.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int

from mmmjax.arguments import checked
from mmmjax.budget.region import ROUNDING, Region
from mmmjax.checks import Phrase, exact, fail, number, unknown

__all__ = [
    "Constraint",
    "Floor",
    "Group",
    "Limits",
    "MaxChange",
    "MinimumIfOn",
    "OnOff",
    "PerGeo",
    "RoasFloor",
    "group",
    "limited",
    "max_change",
    "minimum_if_on",
    "per_geo",
    "read",
    "roas_floor",
]


def __dir__() -> list[str]:
    """Public names only, for completion."""
    return list(__all__)


MOST_NAMES = 3  # channels of an unnamed group that a message lists


@dataclass(frozen=True)
class Group:
    """What channels spend together, all geos. Made by :func:`group`."""

    channels: tuple[str, ...]
    at_least: float | None
    at_most: float | None
    share: bool
    name: str | None

    def __str__(self) -> str:
        """What messages call it."""
        return f'group "{self.name}"' if self.name else _joined(self.channels)


@dataclass(frozen=True)
class PerGeo:
    """What geos spend, (geo, least, most). Made by :func:`per_geo`."""

    totals: tuple[tuple[str, float, float], ...]

    def __str__(self) -> str:
        """What messages call it."""
        return f"per_geo of {_joined([geo for geo, _, _ in self.totals])}"


@dataclass(frozen=True)
class MaxChange:
    """How far spend may move from the last training period. Made by :func:`max_change`."""

    share: float
    channels: tuple[str, ...] | None

    def __str__(self) -> str:
        """What messages call it."""
        return f"max_change({self.share:g})"


@dataclass(frozen=True)
class MinimumIfOn:
    """Least money of channels that are not off. Made by :func:`minimum_if_on`."""

    minima: tuple[tuple[str, float], ...]

    def __str__(self) -> str:
        """What messages call it."""
        return f"minimum_if_on of {_joined([name for name, _ in self.minima])}"


@dataclass(frozen=True)
class RoasFloor:
    """Least mean ROAS of channels together. Made by :func:`roas_floor`."""

    level: float
    channels: tuple[str, ...] | None

    def __str__(self) -> str:
        """What messages call it."""
        of = f" of {_joined(self.channels)}" if self.channels else ""
        return f"ROAS{of} at least {self.level:g}"


type Constraint = Group | PerGeo | MaxChange | MinimumIfOn | RoasFloor


@checked
def group(
    channels: str | Sequence[str],
    *,
    at_least: float | None = None,
    at_most: float | None = None,
    share: bool = False,
    name: str | None = None,
) -> Group:
    """Limit what some channels spend together, summed over geos.

    Args:
        channels: One or more paid channels.
        at_least: Least money, or share of what is spent with `share`; None: no limit.
        at_most: Largest money or share; None: no limit.
        share: Whether the limits are shares in [0, 1] of what the whole plan spends.
        name: What messages call the group; None: its channels.

    Raises:
        InputError: No limit, limits the wrong way round, a channel named twice.
    """
    fix = 'write group(["Search", "Social"], at_most=500_000)'
    names = _channels("group", channels, fix)
    if at_least is None and at_most is None:
        fail("group", Phrase("no limit"), "", "at_least, at_most or both", fix)
    if not isinstance(share, bool):
        fail("group", share, "share", "True or False", f"at_most={share}, share=True")
    high = 1.0 if share else None
    fix = "shares are in [0, 1]: at_most=0.6, share=True" if share else fix
    ends = {"at_least": at_least, "at_most": at_most}
    low, top = (
        None if end is None else number(side, end, low=0.0, high=high, fix=fix)
        for side, end in ends.items()
    )
    _ordered("group", low, top)
    return Group(names, low, top, share, None if name is None else str(name))


@checked
def per_geo(totals: Mapping[str, Any]) -> PerGeo:
    """Limit or set what geos spend, summed over paid channels.

    Args:
        totals: {geo: money} spent exactly, or {geo: (least, most)}, None: no limit. Geos
            left out are free.

    Raises:
        InputError: Not a mapping, numbers that are no money, least above most.
    """
    fix = 'write per_geo({"north": 100_000, "south": (50_000, 80_000)})'
    if not isinstance(totals, Mapping) or not totals:
        fail("per_geo", totals, "", "{geo: money} or {geo: (least, most)}", fix)
    read_: list[tuple[str, float, float]] = []
    for geo, given in totals.items():
        pair = isinstance(given, Sequence) and not isinstance(given, str)
        if pair and len(given) != 2:
            fail("per_geo", given, f'geo "{geo}"', "money or (least, most)", fix)
        least, most = given if pair else (given, given)
        low = 0.0 if least is None else number("per_geo", least, low=0.0, fix=fix)
        free = most is None or (isinstance(most, float) and most == math.inf)
        top = math.inf if free else number("per_geo", most, low=0.0, fix=fix)
        _ordered("per_geo", low, top, f'geo "{geo}"')
        read_.append((str(geo), low, top))
    return PerGeo(tuple(read_))


@checked
def max_change(share: float, channels: str | Sequence[str] | None = None) -> MaxChange:
    """Keep spend a period within a share of that of the last training period.

    Every channel in every geo for itself; one that spent nothing then stays off.

    Args:
        share: 0.2 for +-20%; at least 0. Above 1 there is no lower limit.
        channels: Which paid channels; None: all.

    Raises:
        InputError: A share that is no number of at least 0.
    """
    share = number("max_change", share, low=0.0, fix="max_change(0.2) is +-20%")
    fix = 'write max_change(0.2, ["TV"])'
    names = None if channels is None else _channels("max_change", channels, fix)
    return MaxChange(share, names)


@checked
def minimum_if_on(minima: Mapping[str, float]) -> MinimumIfOn:
    """Channels that are either off everywhere or spend at least so much, over all geos.

    Args:
        minima: {channel: money}, above 0.

    Raises:
        InputError: Not a mapping, money that is not above 0.
    """
    fix = 'write minimum_if_on({"TV": 200_000})'
    if not isinstance(minima, Mapping) or not minima:
        fail("minimum_if_on", minima, "", "{channel: money}", fix)
    pairs = [
        (str(name), number("minimum_if_on", money, low=0.0, open_low=True, fix=fix))
        for name, money in minima.items()
    ]
    return MinimumIfOn(tuple(pairs))


@checked
def roas_floor(level: float, channels: str | Sequence[str] | None = None) -> RoasFloor:
    """Keep the posterior mean response of channels together over their money at a level.

    Args:
        level: Outcome units per money, above 0.
        channels: Which paid channels, pooled; None: the whole plan. For a floor of each
            channel write one constraint a channel.

    Raises:
        InputError: A level that is no number above 0.
    """
    fix = "write roas_floor(1.5): 1.5 outcome units per money"
    level = number("roas_floor", level, low=0.0, open_low=True, fix=fix)
    names = None if channels is None else _channels("roas_floor", channels, fix)
    return RoasFloor(level, names)


class OnOff(NamedTuple):
    """Variables that are all 0, or sum to at least `minimum` (money over the window)."""

    name: str
    variables: Int[np.ndarray, " member"]
    minimum: float


class Floor(NamedTuple):
    """Variables whose mean response is at least `level` times their money."""

    name: str
    variables: Int[np.ndarray, " member"]
    level: float


class Limits(NamedTuple):
    """Constraints as the solver takes them: money over the window, variables flat.

    Args:
        rows: Rows after that of the total, (row, variable) with (geo, channel) flattened.
        least: Least of each row, -inf: none.
        most: Most of each row, inf: none.
        words: (words of `least`, words of `most`) of the total and then of each row, as
            `check_feasible` takes them.
        lower: Extra lower bound of each variable, 0: none.
        upper: Extra upper bound, inf: none.
        box: What the extra bounds come from, for messages.
        on_off: Channels that are off or spend a minimum.
        floors: Curved limits.
    """

    rows: Float[np.ndarray, "row variable"]
    least: Float[np.ndarray, " row"]
    most: Float[np.ndarray, " row"]
    words: tuple[tuple[str, str], ...]
    lower: Float[np.ndarray, " variable"]
    upper: Float[np.ndarray, " variable"]
    box: str
    on_off: tuple[OnOff, ...]
    floors: tuple[Floor, ...]


class _Row(NamedTuple):
    weights: np.ndarray  # (geo, channel)
    least: float
    most: float
    words: tuple[str, str]


def read(
    given: Constraint | Sequence[Constraint] | None,
    *,
    channels: Sequence[str],
    geos: Sequence[str],
    last: Float[np.ndarray, "geo channel"],
    periods: int,
    unit: float,
    budget: float,
) -> Limits:
    """Turn constraints into rows, bounds, on/off sets and floors.

    Args:
        given: One constraint or several, in any order.
        channels: Names of the paid channels.
        geos: Names of the geos.
        last: Spend of the last training period, money.
        periods: Length of the window.
        unit: Money over the window for one unit of the user's money: `periods` where the
            plan is asked per period, else 1.
        budget: Total, money over the window, for messages.

    Raises:
        InputError: Something that is no constraint, an unknown channel or geo.
    """
    asked = _sequence(given)
    names = _Names(tuple(channels), tuple(geos))
    total = f"the budget {exact(budget / unit)}"
    rows: list[_Row] = []
    lower, upper = np.zeros(last.shape), np.full(last.shape, np.inf)
    box: list[str] = []
    on_off: list[OnOff] = []
    floors: list[Floor] = []
    for one in asked:
        if isinstance(one, Group):
            rows += _group_rows(one, names, unit)
        elif isinstance(one, PerGeo):
            rows += _geo_rows(one, names, unit)
        elif isinstance(one, MaxChange):
            some = names.columns("max_change", one.channels)
            before = periods * last[:, some]
            least = max(1.0 - one.share, 0.0) * before
            lower[:, some] = np.maximum(lower[:, some], least)
            upper[:, some] = np.minimum(upper[:, some], (1.0 + one.share) * before)
            box.append(str(one))
        elif isinstance(one, MinimumIfOn):
            for name, money in one.minima:
                cells = names.variables("minimum_if_on", (name,))
                on_off.append(OnOff(name, cells, unit * money))
        else:
            cells = names.variables("roas_floor", one.channels)
            floors.append(Floor(str(one), cells, one.level))
    weights = np.array([row.weights.ravel() for row in rows])
    return Limits(
        weights.reshape(len(rows), last.size),
        np.array([row.least for row in rows], float),
        np.array([row.most for row in rows], float),
        ((total, total), *(row.words for row in rows)),
        lower.ravel(),
        upper.ravel(),
        " and ".join(box),
        tuple(on_off),
        tuple(floors),
    )


def limited(
    region: Region,
    limits: Limits,
    labels: Sequence[str],
    unit: float,
    fixed: Bool[np.ndarray, " variable"],
) -> Region:
    """Region of bounds and a total, cut down to what limits allow.

    On/off sets and floors are not in it: no region of rows holds them.

    Args:
        region: Bounds and the total, money over the window (NumPy).
        limits: What :func:`read` returned.
        labels: Name of each variable, for messages.
        unit: As for :func:`read`.
        fixed: Variables held at a given spend, for messages.

    Raises:
        InputError: A variable whose bounds leave nothing of what the limits allow.
    """
    lower = np.maximum(region.lower, limits.lower)
    upper = np.minimum(region.upper, limits.upper)
    span = lambda low, high: f"{exact(low / unit)} to {exact(high / unit)}"
    for i in np.flatnonzero(lower > upper * (1 + ROUNDING)):
        name, fix = labels[int(i)], f"widen the bounds of {labels[int(i)]}"
        got = f"{limits.box}: {name} {span(limits.lower[i], limits.upper[i])}"
        allowed = f"some of what its bounds leave, {span(region.lower[i], region.upper[i])}"
        if fixed[i]:
            allowed = f"what is fixed, {exact(region.upper[i] / unit)}"
            fix = "fix it elsewhere"
        fix += ", or leave it out of max_change"
        fail("constraints", Phrase(got), "", allowed, fix)
    return Region(
        np.minimum(lower, upper),
        upper,
        np.concatenate([region.rows, limits.rows]),
        np.concatenate([region.least, limits.least]),
        np.concatenate([region.most, limits.most]),
    )


def _group_rows(one: Group, names: "_Names", unit: float) -> list[_Row]:
    """Money: one row; shares: a row for either side, homogeneous in the spend."""
    inside = np.zeros((len(names.geos), len(names.channels)))
    inside[:, names.columns("group", one.channels)] = 1.0
    low, high = one.at_least, one.at_most
    if not one.share:
        least, most = (end if end is None else unit * end for end in (low, high))
        words = tuple(
            "" if end is None else f"{one} {side} {exact(end)}"
            for side, end in (("at least", low), ("at most", high))
        )
        ends = -np.inf if least is None else least, np.inf if most is None else most
        return [_Row(inside, *ends, (words[0], words[1]))]
    rows = []
    if low is not None:
        text = f"{one} at least {low:.4g} of what is spent"
        rows.append(_Row(inside - low, 0.0, np.inf, (text, "")))
    if high is not None:
        text = f"{one} at most {high:.4g} of what is spent"
        rows.append(_Row(inside - high, -np.inf, 0.0, ("", text)))
    return rows


def _geo_rows(one: PerGeo, names: "_Names", unit: float) -> list[_Row]:
    rows = []
    for geo, low, high in one.totals:
        inside = np.zeros((len(names.geos), len(names.channels)))
        inside[names.geo(geo)] = 1.0
        words = f"{geo} at least {exact(low)}", f"{geo} at most {exact(high)}"
        if low == high:
            words = f"{geo} at {exact(low)}", f"{geo} at {exact(low)}"
        least = unit * low if low > 0 or low == high else -np.inf
        rows.append(_Row(inside, least, unit * high, words))
    return rows


class _Names(NamedTuple):
    """How to find a channel or a geo that a user named."""

    channels: tuple[str, ...]
    geos: tuple[str, ...]

    def columns(self, field: str, wanted: Sequence[str] | None) -> np.ndarray:
        """Indices of channels; None: all."""
        for name in wanted or ():
            if name not in self.channels:
                unknown(field, name, "", "paid channels of the fit", self.channels)
        some = self.channels if wanted is None else wanted
        return np.array([self.channels.index(name) for name in some])

    def variables(self, field: str, wanted: Sequence[str] | None) -> np.ndarray:
        """Flat indices of the channels in every geo."""
        some, size = self.columns(field, wanted), len(self.channels)
        return (size * np.arange(len(self.geos))[:, None] + some).ravel()

    def geo(self, name: str) -> int:
        if name not in self.geos:
            unknown("per_geo", name, "", "geos of the fit", self.geos)
        return self.geos.index(name)


def _sequence(given: Any) -> list[Any]:
    kinds = (Group, PerGeo, MaxChange, MinimumIfOn, RoasFloor)
    many = [] if given is None else [given] if isinstance(given, kinds) else given
    if isinstance(many, str | Mapping) or not isinstance(many, Sequence):
        many = [many]
    for one in many:
        if not isinstance(one, kinds):
            every = "group, per_geo, max_change, minimum_if_on, roas_floor"
            fix = 'write constraints=[mm.constraints.group(["TV", "Radio"], at_most=1e6)]'
            fail("constraints", one, "", f"{every}, or a list of them", fix)
    return list(many)


def _channels(field: str, given: Any, fix: str) -> tuple[str, ...]:
    many = [given] if isinstance(given, str) else given
    if isinstance(many, Mapping) or not isinstance(many, Sequence) or not len(many):
        fail(field, given, "", "one or more names of channels", fix)
    names = tuple(many)
    for name in names:
        if not isinstance(name, str):
            fail(field, name, "", "names of channels", fix)
        if names.count(name) > 1:
            fail(field, Phrase(f'"{name}" twice'), "", "every channel once", fix)
    return names


def _ordered(field: str, low: float | None, top: float | None, where: str = "") -> None:
    if low is not None and top is not None and low > top:
        got = Phrase(f"at least {exact(low)} and at most {exact(top)}")
        fail(field, got, where, "least <= most", "write the smaller number first")


def _joined(names: Sequence[str]) -> str:
    more = f" + {len(names) - MOST_NAMES} more" if len(names) > MOST_NAMES else ""
    return " + ".join(names[:MOST_NAMES]) + more
