r"""A fit brought up to date by the rows that came after it, and what moved.

What was known is the posterior of the earlier fit itself, a discount away: its outcomes
count with the weight d in (0, 1], those that came since with 1,
$p(\theta) L_{before}(\theta)^d L_{since}(\theta)$: the power prior of Ibrahim and Chen
(2000). No row counts twice, and d = 1 is a fit of all rows. Units, priors and the clock of
trends stay those of the first fit: every parameter keeps its meaning, and nothing moves
because a maximum, a share or a window did.

A Gaussian in the sampler's coordinates was tried in place of $L_{before}$: it saves no
time, as one gradient of all rows costs what the map to parameters does, and moved the ROAS
of a channel that is hard to know by its posterior sd at the first trial.

Source: Ibrahim and Chen (2000), "Power prior distributions for regression models";
discounting old data is that of West and Harrison (1997, ch. 6).
"""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple, overload

import numpy as np
import pandas as pd

from mmmjax import checks, convergence, words
from mmmjax.arguments import checked
from mmmjax.checks import InputError, Phrase, fail, listing, show
from mmmjax.draws import Fit
from mmmjax.findings import LOG, Finding
from mmmjax.infer.fit import sampled
from mmmjax.infer.progress import Progress
from mmmjax.inherited import ENDED, asleep, with_channels, with_units
from mmmjax.model import ModelData, model_data
from mmmjax.panel import Panel, for_prediction, joined, periods
from mmmjax.posterior.returns import roas
from mmmjax.samplers import NUTS, Sampler
from mmmjax.scaling import Scale
from mmmjax.shapes import CHAIN, CHANNEL, DRAW, GEO
from mmmjax.spec import Spec

__all__ = [
    "CAUSES",
    "REFRESHED",
    "STILL",
    "Drift",
    "FleetDrift",
    "drift",
    "far",
    "moved",
    "moved_by",
    "moves",
    "refresh",
    "renewed",
    "returned",
    "told",
    "weights",
]

REFRESHED = "refreshed"  # in the record of a run: every refresh, the oldest first

WORDS = {
    "data": "the rows that came or changed",
    "units": "other units",
    "prior": "other priors",
    "spec": "another spec",
}

CAUSES = ("units", "prior", "spec", "data")  # in the order in which they are changed
STILL = "Nothing moved beyond three Monte Carlo errors"
MOST = 20  # rows of a fleet that are printed
SURE = 3.0  # Monte Carlo errors from which a difference is said to be one


@checked
def refresh(
    fit: Fit,
    panel: Panel,
    sampler: Sampler | None = None,
    *,
    discount: float = 1.0,
    channels: Mapping[str, str] | None = None,
    seed: int = 0,
    progress: bool | None = None,
) -> Fit:
    r"""Bring a fit up to date with the rows that came after it.

    A new channel n has no part in what was known: its return has a prior r from what the
    fit knows of others (:mod:`mmmjax.inherited` has the equation), and the posterior is
    $p(\theta)\, r(\text{ROAS}_n)\, L_{before}^d\, L_{since}$. Its media have the unit of
    their largest value in the table, its carry-over and saturation the priors of the spec.

    Args:
        fit: The earlier fit; a refreshed one too.
        panel: The table of now: rows that follow training directly, with or without those
            of before. Its controls and geos are those of the fit.
        sampler: Settings; by default those of the fit.
        discount: How much of what was known still counts, (0, 1]: 1 all of it, 0.5 as if
            from half as many data.
        channels: New channels of the table, each with the channel of the fit that it is
            like, or "pooled" (like all of them), and "ended" for those that the table has
            no more: {"TikTok": "Facebook", "Radio": "ended"}. A new one that is not named
            is left out, and said so.
        seed: The same seed, data and settings give the same draws on the same machine.
        progress: Show live progress; None shows it on a terminal only.

    Returns:
        A fit of all rows, old and new, in the units of the earlier fit. Rows of training
        are those of the earlier fit: where the table has others now its notes say so.

    Raises:
        InputError: No row after training, a channel, control or geo missing, a geo that
            training lacks, a stacked fit.
    """
    began = time.perf_counter()
    discount = checks.number("discount", discount, low=0, high=1, open_low=True)
    seed = checks.integer("seed", seed, low=0, high=2**32 - 1)
    new = renewed(fit, panel, discount, channels or {})
    chosen: Sampler = sampler or fit.sampler or NUTS()
    with Progress(chosen.chains, progress) as shown:
        draws, info = sampled(new.spec, new.data, chosen, seed, shown, began)
    info[REFRESHED] = new.record
    info["notes"] = [*new.notes, *info["notes"]]
    for note in info["notes"]:
        LOG.info("%s", note, extra={"event": "finding"})
    return Fit(new.spec, new.panel, new.scale, chosen, draws, seed, info)


class Renewed(NamedTuple):
    """What a refresh samples.

    Args:
        spec: That of the fit; with facts of new channels.
        panel: All rows, old and new.
        scale: Units and clock of the fit.
        data: Arrays, older outcomes weighed.
        record: Every refresh so far, the oldest first.
        notes: What is to be said of it.
    """

    spec: Spec
    panel: Panel
    scale: Scale
    data: ModelData
    record: list[dict[str, Any]]
    notes: list[str]


def renewed(
    fit: Fit, panel: Panel, discount: float, channels: Mapping[str, str]
) -> Renewed:
    """What :func:`refresh` samples, and how it ends at the door."""
    if "stacked" in fit.info:
        got, allowed = Phrase("a stacked fit"), "a fit of one model"
        fail("fit", got, "", allowed, "refresh each of its fits, and mm.stack these again")
    _same(fit.panel, panel, channels)
    spec, before, panel, told = with_channels(fit, panel, channels)
    later, found = _later(before, panel)
    found = [*told, *found]
    clock = int(fit.scale.clock or fit.panel.n_periods)
    trained = replace(before, facts=())
    trained = periods(trained, slice(0, before.history + clock), before.history)
    known = [fact.dated(trained) for fact in before.facts]
    new = (fact for fact in panel.facts if fact.dated(trained) not in known)
    facts = (*known, *new)
    whole = replace(joined(before, later), facts=facts)
    for fact in facts:
        fact.check(whole)
    scale = replace(with_units(fit.scale, spec, whole), clock=float(clock))
    spec.likelihood.check(whole)
    record = {"from": show(later.dates[0]), "outcomes": int(later.mask.sum())}
    record |= {"discount": discount} | ({"channels": dict(channels)} if channels else {})
    every = [*fit.info.get(REFRESHED, []), record]
    data = model_data(spec, whole, scale)
    hyper = model_data(spec, asleep(trained, _new(every)), scale).hyper
    target = replace(data.target, weight=weights(whole, every))
    data = replace(data, hyper=hyper, target=target)
    what = f"refreshed with {checks.amount(record['outcomes'])} outcomes from "
    what += f"{record['from']} on, in the units of before"
    means = "" if discount == 1 else f"Each outcome of before counts {discount:g}"
    found.append(Finding("note", REFRESHED, what, (), discount, means))
    return Renewed(spec, whole, scale, data, every, [one.message for one in found])


def weights(panel: Panel, refreshes: list[dict[str, Any]]) -> np.ndarray | None:
    """How much outcomes count after some refreshes, (geo, time); None: all of each."""
    dates, weight = panel.dates[panel.window], np.ones(panel.n_periods)
    for one in refreshes:
        weight[dates < pd.Timestamp(one["from"])] *= one["discount"]
    if (weight == 1).all():
        return None
    return np.broadcast_to(weight, (panel.n_geos, panel.n_periods)).copy()


def _new(refreshes: Sequence[Mapping[str, Any]]) -> set[str]:
    """Channels that came with refreshes."""
    maps = (one.get("channels", {}).items() for one in refreshes)
    return {name for own in maps for name, like in own if like != ENDED}


def _same(before: Panel, panel: Panel, channels: Mapping[str, str]) -> None:
    """Refuse a table whose geos, channels or controls are not those of training."""
    if new := [geo for geo in panel.geos if geo not in before.geos]:
        allowed = f"the geos of the fit ({listing(before.geos, 12)})"
        fix = "drop their rows, and ask mm.add_geos(refreshed, panel) about them; or fit "
        fix += "again with mm.fit, to learn from them"
        fail("geos of the table", Phrase(f"{listing(new)}, new"), "", allowed, fix)
    gone = [geo for geo in before.geos if geo not in panel.geos]
    if gone:
        allowed = "every geo of the fit"
        fix = "add its rows, their outcome empty where it is not known"
        fail("geos of the table", Phrase(f"no {listing(gone)}"), "", allowed, fix)
    gone = [c for c in before.channels if c not in {*panel.channels, *channels}]
    if gone:
        fix = f'channels={{"{gone[0]}": "{ENDED}"}} where it has ended (--map '
        fix += f'"{gone[0]}={ENDED}"); else its column, under the name it had'
        got = Phrase(f"no {listing(gone)}")
        fail("channels of the table", got, "", "every channel of the fit", fix)
    gone = [c for c in before.control_names if c not in panel.control_names]
    if gone:
        fix = "add the column, or fit again with mm.fit"
        got = Phrase(f"no {listing(gone)}")
        fail("controls of the table", got, "", "every control of the fit", fix)


def _later(before: Panel, panel: Panel) -> tuple[Panel, list[Finding]]:
    """The rows after training, as training has them, and what to say of those before."""
    last: Any = before.dates[-1]
    cut = int((panel.dates <= last).sum())
    if cut == len(panel.dates):
        got = Phrase(f"rows up to {show(panel.dates[-1])}")
        fix = "add the rows that came since, or fit again where earlier ones were corrected"
        fail("panel", got, "", f"rows after {show(last)}, the end of training", fix)
    later = for_prediction(before, periods(panel, slice(cut, None), 0))
    if not later.mask.any():
        got = Phrase(f"no outcome from {show(later.dates[0])} on")
        fail("outcome", got, "", "an observed outcome to learn from", "add the outcomes")
    at = before.dates.get_indexer(panel.dates)
    geos = [panel.geos.index(geo) for geo in before.geos]
    order = {"media": [panel.channels.index(c) for c in before.channels]}
    order["controls"] = [panel.control_names.index(c) for c in before.control_names]
    found, said = [], []
    more = [*panel.channels, *panel.control_names]
    more = [n for n in more if n not in (*before.channels, *before.control_names)]
    if more:
        what = f"{listing(more)}: in the table and not in the fit, so left out"
        means = "What they bring goes to other channels, the baseline and the noise"
        fix = "Fit again with mm.fit; mm.drift(old, new) says what that moves"
        if (name := more[0]) in panel.channels:
            fix = f'Keep a channel with channels={{"{name}": "pooled"}}, or the one it is '
            fix += f'like (--map "{name}=pooled")'
        found.append(Finding("warning", "new_columns", what, tuple(more), None, means, fix))
    for name in ("outcome", "media", "controls"):
        old = getattr(before, name)[:, at[at >= 0]]
        new = getattr(panel, name)[geos][:, at >= 0]
        new = new[..., order[name]] if name in order else new
        moved = ~np.isclose(old, new, rtol=1e-9, equal_nan=True)
        if moved.any():
            when = before.dates[at[at >= 0]][moved.any((0, *range(2, moved.ndim)))]
            said.append(Phrase(f"{int(moved.sum())} of {name} from {show(when[0])} on"))
    if not said:
        return later, found
    what = f"rows of training have other numbers now: {listing(said)}"
    means = "They count as they were when the fit learnt from them"
    remedy = "Fit again where that matters; mm.drift(old, new) says what it moves"
    one = Finding("warning", "revised", what, (), float(len(said)), means, remedy)
    return later, [*found, one]


@dataclass(frozen=True, eq=False)
class Drift:
    """What moved between two fits of one market, and why.

    Args:
        table: A row for each channel and one for all paid ones ("ALL"), over the periods
            that both were trained on: channel, quantity ("roas", or "incremental" of an
            organic channel), old, new (posterior means), moved, error (Monte Carlo, of
            moved), old_sd, in_sds (moved / old_sd), beyond_error (more than three errors);
            with causes the part of each in moved: units, prior or spec, data.
        window: First and last date of those periods.
        causes: What can have moved it, in the order in which it was changed.
    """

    table: pd.DataFrame
    window: tuple[str, str]
    causes: tuple[str, ...]

    def findings(self) -> tuple[Finding, ...]:
        """What moved beyond Monte Carlo error, the farthest first, and the larger cause."""
        return moves(self.table)

    def __str__(self) -> str:
        """The table, and what it says."""
        first = f"{self.window[0]} to {self.window[1]}, training of both"
        said = [f"{one.message}." for one in self.findings()]
        said = said or [STILL]
        return "\n".join([first, *words.lines(*words.columns(self.table)), *said])


@dataclass(frozen=True, eq=False)
class FleetDrift:
    """What moved between two fits of every market of a fleet.

    Args:
        table: market, then the columns of :class:`Drift` and ``start`` and ``end`` of the
            periods of both; what moved beyond error first, the farthest in posterior sds
            first, then the rest in the same order. A cause that a market has not is 0.
        left_out: market and reason of those that cannot be compared.
    """

    table: pd.DataFrame
    left_out: pd.DataFrame

    def findings(self) -> tuple[Finding, ...]:
        """What moved beyond Monte Carlo error, the farthest first, and the larger cause."""
        return moves(self.table)

    def __str__(self) -> str:
        """How many moved, those that moved farthest, and what could not be compared."""
        table: Any = self.table
        lines = words.lines(*words.columns(table[:MOST]))
        rows, count = far(table), table["market"].nunique()
        said = f"{count:,} markets: {len(rows):,} of {len(table):,} returns moved beyond "
        said += f"three Monte Carlo errors, in {len({x['market'] for x in rows}):,} of them"
        told = [f"{one.message}." for one in self.findings()[:MOST]]
        gone = [f"{x['market']}: {x['reason']}" for x in self.left_out.to_dict("records")]
        more = [f"and {len(table) - MOST:,} more rows"] if len(table) > MOST else []
        return "\n".join([said, *lines, *more, *told, *gone])


@overload
def drift(old: Fit, new: Fit, *, causes: bool = ..., seed: int = ...) -> Drift: ...
@overload
def drift(
    old: Mapping[str, Fit], new: Mapping[str, Fit], *, causes: bool = ..., seed: int = ...
) -> FleetDrift: ...


@checked
def drift(
    old: Fit | Mapping[str, Fit],
    new: Fit | Mapping[str, Fit],
    *,
    causes: bool = False,
    seed: int = 0,
) -> Drift | FleetDrift:
    """What moved between two fits of one market, or of each market of a fleet, and why.

    Nothing is fitted again, unless causes are asked for; fits of a fleet are read one by
    one. A market that has not converged has large Monte Carlo errors, from which little is
    told: ``fleet.usable`` leaves it out.

    Args:
        old: The earlier fit; or fits by market, a fleet.
        new: The later one, refreshed or fitted again; or fits by market.
        causes: Fit again what is between them, to say what each change moved: first the
            units of the new fit, then its priors and spec, both on the old rows; the rest
            is data. A fit for each of these that differs (in each market, one after the
            other); none after :func:`refresh`, which changes the data alone.
        seed: Of these fits.

    Raises:
        InputError: No period, or no channel, that both were trained on; of fleets, no
            market that both have and that can be compared.
    """
    if isinstance(old, Fit) and isinstance(new, Fit):
        return _drift(old, new, causes, seed)
    if isinstance(old, Fit) or isinstance(new, Fit):
        got = Phrase("a fit, and fits by market")
        allowed = "two fits, or fits by market twice"
        fail("fits", got, "", allowed, 'mm.drift(old["north"], new["north"]) of one market')
    tables, gone = [], []
    for market in dict.fromkeys([*old, *new]):
        if market not in old or market not in new:
            first, second = ("new", "old") if market in new else ("old", "new")
            gone.append((market, f"a fit in {first} only, none in {second}"))
            continue
        try:
            found = _drift(old[market], new[market], causes, seed)
        except InputError as error:
            gone.append((market, str(error)))
            continue
        own = found.table.assign(start=found.window[0], end=found.window[1])
        own.insert(0, "market", market)
        tables.append(own)
    left_out = pd.DataFrame(gone, columns=["market", "reason"])
    if not tables:
        got = Phrase(f"{gone[0][0]}: {gone[0][1]}" if gone else "no market")
        fix = "compare two fleets of the same markets"
        fail("fits", got, "", "a market that both have", fix)
    table: Any = pd.concat(tables, ignore_index=True)
    parts = [name for name in CAUSES if name in table]
    table[parts] = table[parts].fillna(0.0)
    last = [*parts, "start", "end"]
    table = table[[*(name for name in table if name not in last), *last]]
    size, sure = table["in_sds"].to_numpy(float), table["beyond_error"].to_numpy(bool)
    order = np.lexsort((-np.nan_to_num(np.abs(size), nan=-1.0), ~sure))
    return FleetDrift(table.iloc[order].reset_index(drop=True), left_out)


def _drift(old: Fit, new: Fit, causes: bool, seed: int) -> Drift:
    """What moved between two fits of one market."""
    a, b = (set(fit.panel.dates[fit.panel.window]) for fit in (old, new))
    both = sorted(a & b)
    channels = [c for c in old.panel.channels if c in new.panel.channels]
    if not both or not channels:
        what = "period" if not both else "channel"
        fix = "compare fits of one market"
        fail("fits", Phrase(f"no {what} in both"), "", f"a {what} that both have", fix)
    window = (show(both[0]), show(both[-1]))
    path: list[tuple[str, Fit]] = [("", old)]
    if causes:
        path += _between(old, new, seed)
    geos = [geo for geo in old.panel.geos if geo in new.panel.geos]
    fits = [fit for _, fit in (*path, ("data", new))]
    table, draws = returned(fits, window, channels, geos)
    table = table.join(moved(told(draws[0], old), told(draws[-1], new)))
    names = [name for name, _ in path[1:]] + ["data"] if causes else []
    for name, one, other in zip(names, draws, draws[1:], strict=False):
        table[name] = other.mean((1, 2)) - one.mean((1, 2))
    return Drift(table, window, tuple(names))


def returned(
    fits: Sequence[Fit], window: Any, channels: Sequence[str], geos: Sequence[str]
) -> tuple[pd.DataFrame, list[np.ndarray]]:
    """What channels returned in a window of several fits, and all paid ones together.

    Args:
        fits: The fits.
        window: First and last date; None: the training window of each.
        channels: Channels of all fits.
        geos: Geos of all fits that are added up; none: all geos of each.

    Returns:
        Rows channel ("ALL" last), quantity: "roas" where all fits paid for it, else
        "incremental" (outcome units); and the draws of each fit, (row, chain, draw).
    """
    found = [roas(fit, window).sel({CHANNEL: list(channels)}) for fit in fits]
    found = [one.sel({GEO: list(geos)}) if geos else one for one in found]
    spends = [one["spend"].sum(GEO, skipna=False) for one in found]
    paid = np.all([(spend > 0).to_numpy() for spend in spends], axis=0)
    draws = []
    for one, spend in zip(found, spends, strict=True):
        gain = one["incremental"].sum(GEO).transpose(CHANNEL, CHAIN, DRAW).to_numpy()
        money = np.where(paid, spend, 1.0)[:, None, None]
        rows = [gain / money]
        if paid.any():
            rows.append(gain[paid].sum(0, keepdims=True) / money[paid].sum())
        draws.append(np.concatenate(rows))
    names = [*channels, *(["ALL"] if paid.any() else [])]
    kinds = [*np.where(paid, "roas", "incremental"), *(["roas"] if paid.any() else [])]
    return pd.DataFrame({"channel": names, "quantity": kinds}, dtype=object), draws


def told(draws: np.ndarray, fit: Fit) -> pd.DataFrame:
    """Mean, sd and Monte Carlo error of the mean of draws of a fit, (row, chain, draw).

    Draws by weights tell as much as the weights do.
    """
    error = np.full(len(draws), np.nan)
    if draws.shape[2] >= convergence.MIN_DRAWS:
        with np.errstate(all="ignore"):
            error = convergence.mcse(draws)[0]
    few = draws[0].size / fit.info.get("weights_ess", draws[0].size)
    each = {"mean": draws.mean((1, 2)), "sd": draws.std((1, 2), ddof=1)}
    return pd.DataFrame({**each, "error": error * np.sqrt(few)})


def moved(
    first: pd.DataFrame, second: pd.DataFrame, names: Sequence[str] = ("old", "new")
) -> pd.DataFrame:
    """What moved between rows of :func:`told` of two fits, the columns of :class:`Drift`.

    Args:
        first: Of the first fit.
        second: Of the second.
        names: Columns of the two means.
    """
    table = pd.DataFrame({names[0]: first["mean"], names[1]: second["mean"]})
    table["moved"] = second["mean"] - first["mean"]
    table["error"] = np.hypot(first["error"], second["error"])
    table[f"{names[0]}_sd"] = first["sd"]
    table["in_sds"] = table["moved"] / first["sd"].where(first["sd"] > 0)
    table["beyond_error"] = table["moved"].abs() > SURE * table["error"]
    return table


def far(table: pd.DataFrame) -> list[dict[Any, Any]]:
    """Rows of what moved beyond Monte Carlo error, the farthest first."""
    rows = [row for row in table.to_dict("records") if row["beyond_error"]]
    return sorted(rows, key=lambda row: -abs(row["in_sds"]))


def moves(table: pd.DataFrame) -> tuple[Finding, ...]:
    """What moved beyond Monte Carlo error in the table of a drift, and the larger cause."""
    found = []
    for row in far(table):
        parts = {name: row[name] for name in CAUSES if name in row}
        most = max(parts, key=lambda name: abs(parts[name])) if parts else ""
        means = f"Most by {WORDS[most]}: {checks.amount(parts[most])}" if parts else ""
        where = tuple(str(row[name]) for name in ("market", "channel") if name in row)
        of = f"{row['quantity']} of {row['channel']}"
        of += f" in {row['market']}" if "market" in row else ""
        found.append(moved_by(row, of, where, means))
    return tuple(found)


def moved_by(
    row: Mapping[Any, Any], of: str, where: tuple[str, ...], means: str = "",
    names: Sequence[str] = ("old", "new"),
) -> Finding:  # fmt: skip
    """The finding that one row of :func:`moved` is; ``of`` says what moved."""
    first, then = (checks.amount(row[name]) for name in names)
    sds = row["in_sds"]
    what = f"{of} moved from {first} to {then}, {abs(sds):.2g} of its posterior sd"
    return Finding("warning" if abs(sds) > 1 else "note", "moved", what, where, sds, means)


def _between(old: Fit, new: Fit, seed: int) -> list[tuple[str, Fit]]:
    """Fits of the old rows with what the new fit changed, one after the other."""
    out: list[tuple[str, Fit]] = []
    same = all(
        np.allclose(getattr(old.scale, n), getattr(new.scale, n), rtol=1e-9)
        for n in ("outcome", "media")
        if getattr(old.scale, n).shape == getattr(new.scale, n).shape
    )
    more = _new(new.info.get(REFRESHED, ())) - {*old.panel.channels}
    kept = tuple(name for name in new.panel.channels if name not in more)
    if (
        kept != old.panel.channels
        or (more and not same)
        or any(
            getattr(old.panel, name) != getattr(new.panel, name)
            for name in ("control_names", "geos")
        )
    ):
        fix = "drift(old, new) without causes"
        got = Phrase("other channels, controls or geos")
        fail("causes", got, "", "fits of the same channels, controls and geos", fix)
    if more:  # of a refresh, which keeps units, priors and spec
        return out
    if not same:
        out.append(("units", _again(old.spec, old.panel, new.scale, old, seed)))
    if old.spec != new.spec:
        name = "prior" if replace(new.spec, priors=old.spec.priors) == old.spec else "spec"
        out.append((name, _again(new.spec, old.panel, new.scale, new, seed)))
    return out


def _again(spec: Spec, panel: Panel, scale: Scale, like: Fit, seed: int) -> Fit:
    """A fit of a panel in given units, by the sampler of another."""
    sampler, data = like.sampler, model_data(spec, panel, scale)
    with Progress(sampler.chains, False) as shown:
        draws, info = sampled(spec, data, sampler, seed, shown)
    return Fit(spec, panel, scale, sampler, draws, seed, info)
