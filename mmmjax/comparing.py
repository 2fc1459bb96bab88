"""Two fits side by side: what differs between them, and what that moved.

Everything is compared on what both have: geos, channels, periods of training, levels of
spend; what only one has is named. A difference counts as one where it is beyond three Monte
Carlo errors, those of both fits together; errors of scores are over periods.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import xarray as xr

from mmmjax import refreshing, words
from mmmjax.adequacy import judge
from mmmjax.arguments import checked
from mmmjax.budget import Plan, evaluate
from mmmjax.budget.given import costs_of
from mmmjax.checks import Phrase, amount, fail, listing, show
from mmmjax.draws import Fit, summary
from mmmjax.findings import Finding, ranked
from mmmjax.panel import Panel
from mmmjax.posterior.curves import curve_draws
from mmmjax.posterior.scope import Scope
from mmmjax.prediction import cell_scores, cells
from mmmjax.shapes import CHANNEL, GEO
from mmmjax.stacking import loo

__all__ = ["Comparison", "Spending", "compare"]

POINTS = (0.25, 0.5, 0.75, 1.0)  # of the smaller of both largest periods of a channel
AB = ("a", "b")
LEAST = 0.005  # of all spend: plans that differ by less in a channel are alike
LEVEL = 2.0  # standard errors from which scores are said to differ
MOST = 4  # channels, fields or parameters named in a sentence


class Spending(NamedTuple):
    """A plan that is not at hand as a :class:`mmmjax.Plan`: what it spends.

    Args:
        optimized: Money, (geo, channel), over the window or a period.
        periods: Length of the window.
        per_period: Whether money is a period's.
        carry_in: "zero" or "history".
        even: Whether every period gets the same; what another brings is not compared.
    """

    optimized: xr.DataArray
    periods: int
    per_period: bool = False
    carry_in: str = "zero"
    even: bool = True


@dataclass(frozen=True, eq=False)
class Comparison:
    """Two fits on what they share; every table is a data frame.

    Columns of `returns`, `curves` and `parameters` beside their labels: a, b (posterior
    means), moved (b less a), error (Monte Carlo, of moved), a_sd, in_sds (moved / a_sd),
    beyond_error (more than three errors).

    Args:
        names: What the fits are called.
        differ: What is not the same: kind ("data", "spec", "units", "draws"), field, a, b.
        scores: Of training, on the cells both have with one outcome: score ("crps" in
            outcome units, "r2", "mape", "coverage", and "elpd" where all of training is
            the same), a, b, difference, error (standard, over periods; else NaN).
        returns: By channel, and "ALL" paid ones: channel, quantity ("roas", or
            "incremental" outcome where one of the fits has no spend on it).
        curves: Outcome a period, over geos, at a constant level with full carry-over:
            channel, spend (money a period; media units of organic channels).
        parameters: parameter, index; scaled units. Without rows where units differ.
        plans: Money of two plans: geo, channel, a, b, moved; None without plans.
        gains: What plan b brings beyond plan a under each fit: fit, mean, lo, hi, error
            (Monte Carlo), probability (above 0); without rows where that has no meaning.
        window: First and last common period of training; None: there is none, and
            returns are of the training window of each.
        apart: What one fit has and the other lacks, in words.
        verdicts: What speaks against the fits themselves.
    """

    names: tuple[str, str]
    differ: pd.DataFrame
    scores: pd.DataFrame
    returns: pd.DataFrame
    curves: pd.DataFrame
    parameters: pd.DataFrame
    plans: pd.DataFrame | None
    gains: pd.DataFrame
    window: tuple[str, str] | None
    apart: tuple[str, ...]
    verdicts: tuple[Finding, ...]

    def to_frames(self) -> dict[str, pd.DataFrame]:
        """The tables that have rows, by name."""
        names = ("differ", "scores", "returns", "curves", "parameters", "plans", "gains")
        found = {name: getattr(self, name) for name in names}
        return {n: x for n, x in found.items() if x is not None and len(x)}

    def findings(self) -> tuple[Finding, ...]:
        """What differs and what moved, the most severe first."""
        a, b = self.names
        found = [*self.verdicts, *_differing(self)]
        if self.apart:
            said = "; ".join(self.apart)
            means = "What is compared is what both have"
            found.append(Finding("warning", "apart", said, means=means))
        for row in refreshing.far(self.returns):
            of = f"{row['quantity']} of {row['channel']}"
            found.append(refreshing.moved_by(row, of, (row["channel"],), names=AB))
        for channel, rows in self.curves.groupby("channel", sort=False):
            if moved := refreshing.far(rows):
                of = f"what {channel} brings at {amount(moved[0]['spend'])} a period"
                found.append(refreshing.moved_by(moved[0], of, (str(channel),), names=AB))
        far = refreshing.far(self.parameters)
        for row in far[:MOST]:
            of = f"{row['parameter']}{f'[{row["index"]}]' if row['index'] else ''}"
            found.append(refreshing.moved_by(row, of, (row["parameter"],), names=AB))
        if len(far) > MOST:
            said = f"{len(far) - MOST} more parameters moved beyond Monte Carlo error"
            found.append(Finding("note", "moved", said))
        found += [*_scored(self), *_planned(self)]
        if not any(one.code in ("moved", "scored", "plans") for one in found):
            what = f"nothing that {a} and {b} share moved beyond Monte Carlo error"
            found.append(Finding("note", "same", what))
        return ranked(found)

    def __str__(self) -> str:
        """What was found, and the tables."""
        a, b = self.names
        parts = [f"Compared: {a} (a) and {b} (b)"]
        parts += [f"  {finding}." for finding in self.findings()]
        for name, table in self.to_frames().items():
            both = self.window is not None and name in ("scores", "returns")
            of = f" (training of both, {' to '.join(self.window or ())})" if both else ""
            parts += ["", f"{name}{of}", *words.lines(*words.columns(table))]
        return "\n".join(parts)

    def _repr_html_(self) -> str:
        """The findings as a notebook shows them."""
        lines = [f"{one.level}  {one.message}." for one in self.findings()]
        return words.in_html("\n".join([f"Compared: {' and '.join(self.names)}", *lines]))


@checked
def compare(
    a: Fit | Plan,
    b: Fit | Plan,
    *,
    plans: Sequence[Any] | None = None,
    names: Sequence[str] = ("a", "b"),
) -> Comparison:
    """Set two fits side by side: what differs between them, and what that moved.

    Args:
        a: A fit; or a plan made of one fit, then `b` is one too.
        b: The other.
        plans: A plan of each, :class:`mmmjax.Plan` or :class:`Spending`.
        names: What sentences call them.

    Raises:
        InputError: No channel, or no geo of as many, that both have; plans of other fits.
    """
    if isinstance(a, Plan) or isinstance(b, Plan):
        both = [x for x in (a, b) if isinstance(x, Plan) and len(x.fits) == 1]
        if len(both) < 2 or plans is not None:
            got, fix = Phrase("a plan"), "mm.compare(fit_a, fit_b, plans=(plan_a, plan_b))"
            fail("compare", got, "", "two fits, or two plans of one fit each", fix)
        plans, (a, b) = both, (both[0].fits[0], both[1].fits[0])
    if plans is not None and not (
        len(plans) == 2 and all(isinstance(x, Plan | Spending) for x in plans)
    ):
        allowed = "two: one plan of each fit"
        fail("plans", Phrase(f"{len(plans)} of them"), "", allowed, "plans=(pa, pb)")
    if len(names) != 2 or names[0] == names[1]:
        fail("names", list(names), "", "two different names", 'names=("old", "new")')
    first, second = a.panel, b.panel
    channels = [c for c in first.channels if c in second.channels]
    if not channels and (first.channels or second.channels):
        got = Phrase("no channel in both")
        fail("fits", got, "", "a channel that both have", "compare fits of one business")
    geos = [g for g in first.geos if g in second.geos]
    dates = first.dates[first.window].intersection(second.dates[second.window])
    window = (show(dates[0]), show(dates[-1])) if len(dates) else None
    fits = (a, b)
    if channels:
        returns, draws = refreshing.returned(fits, window, channels, geos)
        x, y = map(refreshing.told, draws, fits)
        returns = returns.join(refreshing.moved(x, y, AB))
        curves = _curves(fits, channels, geos)
    else:
        returns = curves = pd.DataFrame()
    verdicts = []
    for name, fit in zip(names, fits, strict=True):
        judged = judge(fit)
        for code, one in (("sampled", judged.sampled), ("adequate", judged.adequate)):
            if not one.ok:
                what = f"{name}: {one.sentence.removesuffix('.')}"
                verdicts.append(Finding("warning", code, what))
    table, gains = (None, pd.DataFrame()) if plans is None else _plans(fits, plans, names)
    return Comparison(
        names=(names[0], names[1]),
        differ=pd.DataFrame(_differences(a, b), columns=["kind", "field", "a", "b"]),
        scores=_scores(fits, geos, dates),
        returns=returns,
        curves=curves,
        parameters=_parameters(fits),
        plans=table,
        gains=gains,
        window=window,
        apart=tuple(_apart(fits, names, geos)),
        verdicts=tuple(verdicts),
    )


def _apart(fits: tuple[Fit, Fit], names: Sequence[str], geos: list[str]) -> Iterator[str]:
    """What one fit has and the other lacks."""
    for what in ("geos", "channels", "control_names"):
        each = [getattr(fit.panel, what) for fit in fits]
        for name, own, other in zip(names, each, each[::-1], strict=True):
            if only := [x for x in own if x not in other]:
                yield f"{what.removesuffix('_names')} of {name} only: {listing(only)}"
    if not geos:
        yield "no geo in both, so that the sums over all geos of each are compared"
    each = [fit.panel.dates[fit.panel.window] for fit in fits]
    for name, own, other in zip(names, each, each[::-1], strict=True):
        if len(only := own.difference(other)):
            span = f"{show(only[0])} to {show(only[-1])}"
            yield f"{len(only)} periods of {name} only, {span}"
    if not len(each[0].intersection(each[1])):
        yield "no period in both, so that the returns of each are of its own training"


def _differences(a: Fit, b: Fit) -> Iterator[tuple[str, str, str, str]]:
    """Kind, field and both values of what is not the same."""
    first, second = a.panel, b.panel
    for name in ("geos", "channels", "control_names", "outcome_name", "currency", "freq"):
        x, y = getattr(first, name), getattr(second, name)
        if x != y:
            yield "data", name, _said(x), _said(y)
    x, y = (f"{show(p.dates[p.history])} to {show(p.dates[-1])}" for p in (first, second))
    if x != y:
        yield "data", "training", x, y
    for name in ("outcome", "media", "spend", "controls"):
        x, y = _common(first, second, name), _common(second, first, name)
        other = ~np.isclose(x, y, rtol=1e-9, equal_nan=True)
        if other.any():
            sums = (f"sum {amount(float(np.nansum(z[other])))}" for z in (x, y))
            yield "data", f"{int(other.sum())} cells of {name}", next(sums), next(sums)
    if first.facts != second.facts:
        kinds = (listing(Phrase(fact.kind) for fact in p.facts) for p in (first, second))
        yield "data", "facts", next(kinds), next(kinds)
    x, y = (dict(_flat(fit.spec.to_dict())) for fit in (a, b))
    for key in dict.fromkeys([*x, *y]):
        if x.get(key) != y.get(key):
            yield "spec", key, str(x.get(key, "")), str(y.get(key, ""))
    for name in ("outcome", "media"):
        x, y = (np.ravel(getattr(fit.scale, name)).astype(float) for fit in (a, b))
        if x.shape != y.shape or not np.allclose(x, y, rtol=1e-9, equal_nan=True):
            yield "units", name, _said(map(amount, x)), _said(map(amount, y))
    runs = [
        {"sampler": repr(fit.sampler), "seed": fit.seed}
        | {"draws": f"{fit.draws.n_chains} chains x {fit.draws.n_draws}"}
        | {name: fit.info.get(name, "") for name in ("versions", "device")}
        for fit in (a, b)
    ]
    for name, x in runs[0].items():
        if x != runs[1][name]:
            yield "draws", name, str(x), str(runs[1][name])


def _said(names: Any) -> str:
    """A text, or the first of several."""
    return names if isinstance(names, str) else listing(map(Phrase, names), MOST)


def _common(panel: Panel, other: Panel, name: str) -> np.ndarray:
    """An array of a panel: geos, periods, channels or controls of both, in one order."""
    kept = [[panel.geos.index(g) for g in sorted({*panel.geos} & {*other.geos})]]
    kept.append(panel.dates.get_indexer(panel.dates.intersection(other.dates)).tolist())
    if name != "outcome":
        of = "control_names" if name == "controls" else "channels"
        own, names = getattr(panel, of), getattr(other, of)
        kept.append([own.index(n) for n in sorted({*own} & {*names})])
    return getattr(panel, name)[np.ix_(*kept)]


def _flat(table: Mapping[str, Any], before: str = "") -> Iterator[tuple[str, Any]]:
    """Keys of nested tables joined by points, and what stands there."""
    for key, value in table.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{before}{key}.")
        else:
            yield f"{before}{key}", value


def _scores(fits: tuple[Fit, Fit], geos: Sequence[str], dates: pd.Index) -> pd.DataFrame:
    """Scores on the cells that both fits learnt from, and LOO where those are all."""
    seen, found, all_of = [], [], []
    for fit in fits:
        scope = Scope.of(fit)
        rows = [fit.panel.geos.index(g) for g in geos]
        at = scope.dates.get_indexer(dates)
        known = np.where(fit.panel.mask[:, fit.panel.window], scope.outcome, np.nan)
        seen.append(known[rows][:, at])
        found.append(cells(fit, scope)[:, rows][:, :, at])
        all_of.append(int(np.isfinite(known).sum()))
    same = np.isclose(*seen, rtol=1e-9)  # cells without an outcome are not
    names = ["score", *AB, "difference", "error"]
    if not same.any():
        return pd.DataFrame(columns=names)
    known = np.where(same, seen[0], np.nan)
    first, second = (cell_scores(known, x) for x in found)
    rows = [[name, first[name], second[name], np.nan] for name in first]
    gap = np.where(same, found[1][3] - found[0][3], 0.0).sum(0) / same.sum()
    rows[0][-1] = _error(gap[same.any(0)])  # of crps
    each = loo(dict(zip(AB, fits, strict=True))) if {*all_of} == {same.sum()} else {}
    if len(each) == 2:
        a, b = (np.asarray(each[name].elpd_i) for name in AB)
        rows.append(["elpd", float(a.sum()), float(b.sum()), _error(b - a)])
    table: Any = pd.DataFrame(rows, columns=["score", *AB, "error"])
    return table.assign(difference=table["b"] - table["a"])[names]


def _error(parts: np.ndarray) -> float:
    """Standard error of a sum whose parts vary independently."""
    return float(np.sqrt(parts.size) * parts.std(ddof=1)) if parts.size > 1 else np.nan


def _curves(
    fits: tuple[Fit, Fit], channels: list[str], geos: Sequence[str]
) -> pd.DataFrame:
    """What channels bring at common levels, over geos."""
    places, tops, prices = [], [], []
    for fit in fits:
        panel = fit.panel
        rows = [panel.geos.index(g) for g in geos or panel.geos]
        place = np.ix_(rows, [panel.channels.index(c) for c in channels])
        places.append(place)
        tops.append(panel.media[:, panel.window].max(1)[place])  # (geo, channel)
        prices.append(fit.scale.cost_per_unit[place])
    paid = np.isfinite(prices[0]).all(0) & np.isfinite(prices[1]).all(0)
    wholes = [
        (top * np.where(paid, price, 1.0)).sum(0)
        for top, price in zip(tops, prices, strict=True)
    ]
    levels = np.minimum(*wholes)[:, None] * POINTS  # (channel, point)
    told = []
    for fit, place, top, whole in zip(fits, places, tops, wholes, strict=True):
        media = np.zeros((fit.panel.n_geos, len(fit.panel.channels), len(POINTS)))
        share = levels / np.where(whole > 0, whole, 1.0)[:, None]
        media[place] = top[..., None] * share  # geos as in their largest periods
        draws = np.moveaxis(curve_draws(fit, media), (0, 1), (3, 4))[place].sum(0)
        told.append(refreshing.told(draws.reshape(-1, *draws.shape[2:]), fit))
    names = np.repeat(np.array(channels, object), len(POINTS))
    table: Any = pd.DataFrame({"channel": names, "spend": levels.ravel()})
    table = table.join(refreshing.moved(told[0], told[1], AB))
    return table.loc[table["spend"] > 0].reset_index(drop=True)


def _parameters(fits: tuple[Fit, Fit]) -> pd.DataFrame:
    """Scalars that both have, where their units are the same.

    Of fits whose training is not of one length those of media only: the others may count
    time in windows of training.
    """
    first, second = (fit.scale for fit in fits)
    pairs = [(first.outcome, second.outcome), (first.media, second.media)]
    clocks = {int(fit.scale.clock or fit.panel.n_periods) for fit in fits}
    names = ["parameter", "index"]
    if not all(x.shape == y.shape and np.allclose(x, y) for x, y in pairs):
        return pd.DataFrame()
    x, y = (summary(fit).rename(columns={"mcse_mean": "error"}) for fit in fits)
    if len(clocks) > 1:
        own: Any = [n for term in fits[0].spec.media for n in term.parameters()]
        x = x.loc[x["parameter"].isin(own)]
    x, y = x.set_index(names), y.set_index(names)
    both = x.index.intersection(y.index, sort=False)
    return refreshing.moved(x.loc[both], y.loc[both], AB).reset_index()


def _plans(
    fits: tuple[Fit, Fit], plans: Sequence[Plan | Spending], names: Sequence[str]
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Money of both plans, and what the second brings beyond the first under each fit."""
    money = [plan.optimized.astype(float) for plan in plans]
    both = xr.Dataset(dict(zip(AB, xr.align(*money, join="outer"), strict=True)))
    for dim in (GEO, CHANNEL):
        both = both.sel({dim: [*dict.fromkeys(x for m in money for x in m[dim].values)]})
    table: Any = both.to_dataframe().reset_index()
    table["moved"] = table["b"].fillna(0.0) - table["a"].fillna(0.0)
    windows = {(plan.periods, plan.per_period, plan.carry_in) for plan in plans}
    rows = []
    for name, fit, own in zip(names, fits, plans, strict=True):
        paid = [str(c) for c in np.array(fit.panel.channels, object)[fit.panel.paid]]
        alike = all(
            [str(x) for x in m[d].values] == known
            for m in money
            for d, known in ((GEO, [*fit.panel.geos]), (CHANNEL, paid))
        )
        uneven = any(isinstance(plan, Spending) and not plan.even for plan in plans)
        if len(windows) > 1 or not alike or uneven:
            continue
        asked: dict[str, Any] = {"periods": own.periods, "per_period": own.per_period}
        asked["carry_in"] = own.carry_in
        if isinstance(own, Plan):
            asked["cost_per_unit"] = costs_of(own, fit)
        given = [p if isinstance(p, Plan) else p.optimized.to_numpy() for p in plans]
        found = evaluate(fit, dict(zip(AB, given, strict=True)), **asked)
        gain = found["response"].sel(plan="b") - found["response"].sel(plan="a")
        draws = gain.to_numpy().reshape(1, fit.draws.n_chains, -1)
        at, error = (
            found.sel(plan="b"),
            float(refreshing.told(draws, fit)["error"].to_numpy()[0]),
        )
        row = (name, *(float(at[f"gain_{end}"]) for end in ("mean", "lo", "hi")))
        rows.append((*row, error, float(at["probability_better"])))
    gains = ["fit", "mean", "lo", "hi", "error", "probability"]
    return table, pd.DataFrame(rows, columns=gains)


def _differing(found: Comparison) -> list[Finding]:
    """What is not the same, and what that leaves as the cause of what moved."""
    a, b = found.names
    rows = found.differ
    if rows.empty:
        what = f"nothing differs between {a} and {b}, down to seed and versions"
        return [Finding("note", "differ", what)]
    said = []
    for kind, part in rows.groupby("kind", sort=False):
        fields = listing(map(Phrase, part["field"]), MOST)
        said.append(Phrase(f"{kind} ({fields})"))
    kinds = set(rows["kind"])
    means = ""
    if kinds == {"draws"}:
        means = "Data, spec and units are the same: what moves is Monte Carlo error"
    elif {"data", "spec"} <= kinds or {"spec", "units"} <= kinds:
        means = "Which of these moved what is not known from the two alone"
    remedy = ""
    if means and kinds != {"draws"}:
        remedy = "mm.drift(a, b, causes=True) fits what is between"
    what = f"{a} and {b} differ in {listing(said)}"
    return [Finding("note", "differ", what, (), float(len(rows)), means, remedy)]


def _scored(found: Comparison) -> list[Finding]:
    """Scores that differ by more than two of their errors."""
    a, b = found.names
    out = []
    for row in found.scores.to_dict("records"):
        gap, error = row["difference"], row["error"]
        if not abs(gap) > LEVEL * error:  # nan: nothing is known of it
            continue
        better = b if (gap > 0) == (row["score"] == "elpd") else a
        what = f"{better} has the better {row['score']}: {amount(row['a'])} of {a}, "
        what += f"{amount(row['b'])} of {b}, {abs(gap) / error:.2g} standard errors apart"
        means = (
            "Both were scored on what they learnt from: mm.backtest says how they forecast"
        )
        out.append(Finding("note", "scored", what, (), gap, means))
    return out


def _planned(found: Comparison) -> list[Finding]:
    """Where two plans put other money, and whether that matters under each fit."""
    if found.plans is None:
        return []
    a, b = found.names
    rows: Any = found.plans.groupby("channel", sort=False)[["a", "b", "moved"]].sum()
    size = max(float(rows["a"].sum()), float(rows["b"].sum()))
    far = rows.loc[rows["moved"].abs() > LEAST * size].sort_values("moved", key=abs)[::-1]
    if far.empty:
        return [Finding("note", "plans", "both plans spend the same")]
    parts = [
        Phrase(f"{channel} {amount(row['a'])} and {amount(row['b'])}")
        for channel, row in far.iterrows()
    ]
    what = f"the plans of {a} and {b} differ: {listing(parts, MOST)}"
    more = float(rows["moved"].sum())
    cost = f", for {amount(abs(more))} {'more' if more > 0 else 'less'} money"
    cost = cost if abs(more) > LEAST * size else ""
    told = []
    for row in found.gains.to_dict("records"):
        beyond = abs(row["mean"]) > refreshing.SURE * row["error"]
        sure = "" if beyond else ", within Monte Carlo error"
        than = "more" if row["mean"] >= 0 else "less"
        told.append(
            f"Under {row['fit']} the plan of {b} brings {amount(abs(row['mean']))} {than} "
            f"than that of {a} (94% interval {amount(row['lo'])} to {amount(row['hi'])})"
            f"{sure}{cost}"
        )
    means = ". ".join(told)
    if not told:
        means = "They are of other geos, channels, windows or carry-in, or not spent "
        means += "evenly: neither is tried on a fit"
    return [Finding("note", "plans", what, tuple(map(str, far.index)), None, means)]
