"""The tables of a report: rounded for reading, and the numbers behind them for copying.

A table is a list of columns: head, column of the data frame, and the form of its cells.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from mmmjax import words
from mmmjax.criticism import prior_returns
from mmmjax.experiments import REFIT
from mmmjax.model import model_data
from mmmjax.reporting.embed import as_json, numbers
from mmmjax.reporting.evidence import Brought, Evidence, Media, Planned
from mmmjax.reporting.planned import is_mean
from mmmjax.reporting.sentences import chance, if_it_holds, share_span
from mmmjax.standing import MMM, NAMES, covered
from mmmjax.words import (
    AFTER,
    ALL,
    amount,
    amounts,
    day,
    for_geo,
    in_percent,
    large,
    span,
    with_unit,
)  # fmt: skip

__all__ = [
    "Cell",
    "Form",
    "Table",
    "each",
    "interval",
    "label",
    "made",
    "of",
    "tables",
    "written",
]

MAX_ROWS = 200  # longer tables are cut, and that is said
MOST = 40  # rows of bounds
SMALL = "Small print: 94% interval."


class Cell(NamedTuple):
    """A number and what stands below it in small print."""

    main: str
    small: str = ""


@dataclass(frozen=True)
class Table:
    """Heads and rows; the first ``names`` columns are names, the others numbers.

    ``frame`` holds the exact numbers for the buttons, saved as ``name``.csv; None: the
    cells themselves. ``unit`` says what they are in: a last column of what the buttons
    give, so that whatever reads a CSV reads it too.
    """

    name: str
    heads: list[str]
    rows: list[list[Cell]]
    names: int = 1
    note: str = ""
    frame: pd.DataFrame | None = None
    unit: str = ""

    @property
    def data(self) -> str:
        """Heads and rows as JSON, for the buttons of the page."""
        if self.frame is None:
            heads, rows = self.heads, [[cell.main for cell in row] for row in self.rows]
        else:
            heads = list(map(str, self.frame.columns))
            columns = [
                numbers(column, 10)
                if pd.api.types.is_numeric_dtype(column)
                else ["" if x is None or x != x else str(x) for x in column.tolist()]
                for _, column in self.frame.items()
            ]
            rows = [list(row) for row in zip(*columns, strict=True)]
        last, said = ([self.unit], ["unit"]) if self.unit else ([], [])
        return as_json({"heads": heads + said, "rows": [row + last for row in rows]})


type Cells = list[Cell]
type Form = Callable[[Any, str], Cells]  # cells of a column, or of the three of a mean
type Column = tuple[str, str, Form]  # head, column, form


def of(form: Form, *names: str, **heads: str) -> list[Column]:
    """Columns of one form: those called by their names, and those that have other heads."""
    every = {name: name for name in names} | heads
    return [(head, column, form) for column, head in every.items()]


def label(table: Any, column: str) -> list[Cell]:
    """Names; empty where there is none."""
    return [Cell("" if x is None or x != x else str(x)) for x in table[column]]


def each(form: str | Callable[[Any], str]) -> Form:
    """Numbers one by one: a function, or a format that leaves those out that are none."""
    if callable(form):
        return lambda table, column: [Cell(form(x)) for x in table[column]]
    write = lambda x: form.format(x) if np.isfinite(x) else ""
    return lambda table, column: [Cell(write(x)) for x in table[column]]


def together(table: Any, column: str) -> list[Cell]:
    """Amounts with the decimals that the column needs."""
    return [Cell(text) for text in amounts(table[column])]


def interval(table: Any, column: str, write: Callable[[Any], str] | None = None) -> Cells:
    """Means, with their intervals in small print.

    Args:
        table: Rows.
        column: What ``_mean``, ``_lo`` and ``_hi`` are added to.
        write: How numbers are said one by one; None: as amounts of one column.
    """
    ends = table[[f"{column}_{s}" for s in ("mean", "lo", "hi")]].to_numpy(float).T
    said = amounts(ends) if write is None else [write(x) for x in ends.ravel()]
    texts = np.reshape(np.array(said, object), ends.shape)
    return [
        Cell(mean, f"{lo} to {hi}") if np.isfinite(value) else Cell("")
        for mean, lo, hi, value in zip(*texts, ends[0], strict=True)
    ]


def share(table: Any, column: str) -> Cells:
    """The same of shares, in percent."""
    return interval(table, column, in_percent)


def prose(table: Any, column: str) -> list[Cell]:
    """The same one by one, millions and billions as words."""
    ends = table[[f"{column}_{s}" for s in ("mean", "lo", "hi")]].to_numpy(float)
    return [
        Cell(large(x[0]), span(*x)) if np.isfinite(x[0]) else Cell("")
        for x in ends.tolist()
    ]


def made(
    title: str,
    table: Any,
    columns: Sequence[Column],
    frame: Any,
    note: str = "",
    unit: str = "",
    *,
    names: int = 1,
    most: int = MAX_ROWS,
    by: str = "",
    more: Sequence[list[Cell]] = (),
) -> Table:
    """A table of the first rows of a data frame.

    Args:
        title: Its name.
        table: Rows in their order.
        columns: Heads, what they show and how.
        frame: The exact numbers; None: the cells.
        note: What is said below it.
        unit: Units of the exact numbers.
        names: Columns that are names.
        most: Rows at most; that there are more is said.
        by: Their order, in words.
        more: Rows below.
    """
    if len(table) > most:
        note = (
            f"{note} The first {most:,} of {len(table):,} rows{by}; the CSV file has all."
        )
    cells = [form(table.iloc[:most], column) for _, column, form in columns]
    rows = [*map(list, zip(*cells, strict=True)), *more]
    return Table(
        title, [head for head, *_ in columns], rows, names, note.strip(), frame, unit
    )


def written(value: float, digits: int) -> str:
    """A number with so many decimals; empty where there is none."""
    return f"{value:z,.{digits}f}" if np.isfinite(value) else ""


def tables(found: Evidence) -> dict[str, Table]:
    """Every table that the evidence allows, by name."""
    of_fit = (channels, by_geo, scores, parameters, believed)
    of_table = {
        "campaigns": campaigns,
        "shrinkage": shrinkage,
        "frequency": frequency,
        "lift_tests": lift_tests,
        "taught": taught,
        "returns": windows,
        "backtest": folds,
        "backtest_parameters": of_folds,
    }
    every: list[Table | None] = [make(found) for make in of_fit]
    known = ((make, found.table(name)) for name, make in of_table.items())
    every += [make(found, table) for make, table in known if table is not None]
    if found.plan is not None:
        every += [make(found, found.plan) for make in (plan, bounds, limits, scenarios)]
    return {table.name: table for table in every if table is not None}


def _of_channel(found: Evidence) -> list[Column]:
    """The columns of a channel."""
    unit, outcome = found.returned, found.outcome
    return [
        *of(label, "channel"),
        *of(interval, roas=unit.name, mroas=unit.next),
        *of(share, share=f"share of {outcome}"),
        *of(interval, contribution=f"contribution ({outcome})"),
        *of(together, spend=with_unit("spend", found.currency)),
    ]


def _units(found: Evidence) -> str:
    """The units of the columns of channels.csv and returns.csv."""
    times = f" (times {found.returned.times:g}: {found.returned.per}, as on the page)"
    shown = times if found.returned.value is not None else ""
    return (
        f"roas, mroas: {found.outcome} per {found.money}{shown}; contribution, value: "
        f"{found.outcome}; spend: {found.currency or 'money'}"
    )


def channels(found: Evidence) -> Table | None:
    """ROAS, mROAS, share, contribution and spend of every channel, and of all paid ones."""
    media, unit = found.media, found.returned
    if media is None:
        return None
    note = (
        f"{SMALL} Shares are of the observed {found.outcome}. "
        f"{unit.name} counts what comes after the last {found.period} too, a contribution "
        "what earlier spend still brought: so they differ a little. "
        f"{unit.next} is what the next {found.money} brings."
    )
    if found.fit.panel.organic:
        note += " A channel without spend (organic) has no return."
    whole = for_geo(found.channels, None)
    frame = found.channels if found.fit.panel.n_geos == 1 else whole
    more, columns = _sums(found, media), _of_channel(found)
    return made("channels", unit.of(whole), columns, frame, note, _units(found), more=more)


def _sums(found: Evidence, media: Media) -> list[list[Cell]]:
    """A row of all paid channels, and one of all organic ones where there are any."""
    none, rows, times = Cell(""), [], found.returned.times
    returns = [times * x for x in media.returns or ()]
    if media.paid is not None:
        paid = Cell(amount(returns[0]), span(*returns)) if returns else none
        ahead, spent = Cell(amount(times * media.marginal)), Cell(amount(media.spend))
        rows.append([Cell("paid media"), paid, ahead, *_brought(media.paid), spent])
    if media.organic is not None and len(found.fit.panel.organic) > 0:
        rows.append([Cell("organic media"), none, none, *_brought(media.organic), none])
    return rows


def _brought(part: Brought) -> list[Cell]:
    """Share and contribution with their intervals."""
    total, lo, hi = amounts(part.total)
    sized = Cell(in_percent(part.share.mean), share_span(part.share))
    return [sized, Cell(total, f"{lo} to {hi}")]


def believed(found: Evidence) -> Table | None:
    """Returns and shares before the data spoke, beside what is found of them."""
    fit, whole, unit = found.fit, found.media, found.returned
    if whole is None:
        return None
    data = model_data(fit.spec, fit.panel, fit.scale)
    before = unit.of(prior_returns(fit.spec, fit.panel, data))
    before = before.rename(columns=lambda column: column.replace("_median", "_mean"))
    after = for_geo(unit.of(found.channels), None).set_index("channel")
    after = after.reindex(before["channel"]).add_prefix("after_").reset_index(drop=True)
    both = before.reset_index(drop=True).join(after)
    both["channel"] = [str(x).replace(ALL, "all channels") for x in both["channel"]]
    columns = [
        *of(label, channel=""),
        *of(interval, roas=f"{unit.name} before", after_roas="after"),
        *of(share, share=f"share of {found.outcome} before", after_share="after"),
    ]
    note = f"Before: what the priors say, as medians. After: means. {SMALL}"
    table = made("believed", both, columns, None, note)
    if whole.returns is not None:  # all channels are the last
        ends = [unit.times * x for x in whole.returns]
        table.rows[-1][2] = Cell(amount(ends[0]), span(*ends))
    table.rows[-1][4] = Cell(in_percent(whole.share.mean), share_span(whole.share))
    return table


def by_geo(found: Evidence) -> Table | None:
    """The same of every geo, where there are several."""
    panel = found.fit.panel
    if panel.n_geos == 1 or not panel.channels:
        return None
    rows = found.channels.loc[found.channels["geo"].astype(str).isin(panel.geos)]
    shown, columns = found.returned.of(rows), [*of(label, "geo"), *_of_channel(found)]
    return made("channels_by_geo", shown, columns, rows, "", _units(found), names=2)


def campaigns(found: Evidence, table: pd.DataFrame) -> Table:
    """Weight, return, part of its channel, contribution and spend of every campaign."""
    whole, unit = for_geo(table, None), found.returned
    columns = [
        *of(label, "channel", "campaign"),
        *of(interval, "weight", roas=unit.name),
        *of(share, share="part of its channel"),
        *_of_channel(found)[-2:],
    ]
    note = (
        f"{SMALL} A weight is what one unit of media counts beside an average one of its "
    )
    note += "channel. Contributions add up to the channel's."
    shown = unit.of(whole)
    return made("campaigns", shown, columns, whole, note, _units(found), names=2)


def shrinkage(found: Evidence, table: pd.DataFrame) -> Table | None:
    """Own, pooled and population effect of every geo and channel, and what weighs."""
    effects = {found.fit.spec.full(t, "saturation_beta") for t in found.fit.spec.media}
    some = table.loc[table["parameter"].isin([*effects])]
    if some.empty:
        return None
    columns = [
        *of(label, "geo", "channel"),
        *of(interval, own="its own data", pooled="pooled", population="all geos"),
        *of(each("{:.0%}"), weight="weight of all geos"),
    ]
    note = "Effect at full saturation, scaled units (small print: 94% interval): what the "
    note += (
        "data of a geo say alone (empty where they say nothing), the estimate, and what "
    )
    note += "is typical. The CSV file has all pooled parameters."
    shown = some.rename(columns={"own": "own_mean"})
    return made("shrinkage", shown, columns, table, note, _units(found), names=2)


def lift_tests(found: Evidence, table: pd.DataFrame) -> Table:
    """What each lift test measured, beside prior, the rest of the data and posterior."""
    measured: Form = lambda table, column: [
        Cell(f"{y:,.4g}", f"+- {error:,.2g}")
        for y, error in zip(table[column], table["error"], strict=True)
    ]
    columns = [
        *of(label, "test", "channel", "of"),
        *of(measured, "measured"),
        *of(interval, "prior", rest="rest of the data", all="posterior"),
        *of(each("{:+.1f}"), "pull"),
        *of(each("{:.2g}"), p_value="p"),
    ]
    note = "Pull: measured less what everything but the test says, in standard deviations "
    note += (
        "of that difference; p: how often chance alone does that. Below 0.01 the test is "
    )
    note += "wrong or the series is confounded. Empty: the rest says nothing of it."
    shown = table.rename(columns={n: f"all_{n}" for n in ("mean", "lo", "hi")})
    return made("lift_tests", shown, columns, table, note, names=3)


def taught(found: Evidence, table: pd.DataFrame) -> Table:
    """Returns and the plan, without lift tests and with them."""
    unit = found.returned
    rest: Form = lambda table, column: [
        Cell(how) if how == REFIT else cell
        for how, cell in zip(table["how"], interval(table, column), strict=True)
    ]
    columns = [
        *of(label, without="left out", channel="channel"),
        *of(rest, roas_rest=f"{unit.name} without"),
        *of(interval, roas=f"{unit.name} with"),
        *of(each("{:,.4g}"), spend_rest="plan without", spend="plan with"),
    ]
    note, shown = f"{SMALL} {words.taught(table, found.outcome)}", unit.of(table)
    return made("taught", shown, columns, table, note, _units(found), names=2)


def frequency(found: Evidence, table: pd.DataFrame) -> Table:
    """How often people see each channel of reach, and how often they should."""
    whole, unit = for_geo(table, None), found.returned
    columns = [
        *of(label, "channel"),
        *of(each("{:.1f}"), usual="frequency in training"),
        *of(interval, best="best frequency"),
        *of(each("{:.1f}"), frequency="largest mean response"),
        *of(interval, gain=f"gain ({found.outcome})"),
        *of(each(amount), roas_mean=unit.name, roas_best_mean="at this frequency"),
    ]
    note = (
        f"The same impressions and money on fewer or more people. {SMALL} The gain is of "
    )
    note += "the frequency with the largest mean response."
    return made("frequency", unit.of(whole), columns, whole, note, _units(found))


def windows(found: Evidence, table: pd.DataFrame) -> Table | None:
    """ROAS of every channel in every year: a row a channel, a column a window."""
    rows = for_geo(found.returned.of(table), None)
    rows = rows.loc[(rows["kind"] == "year") & rows["roas_mean"].notna()]
    labels = list(dict.fromkeys(rows["window"].astype(str)))
    if not labels:
        return None
    keys = zip(rows["channel"], rows["window"].astype(str), strict=True)
    cells = dict(zip(keys, interval(rows, "roas"), strict=True))
    body = [
        [Cell(channel), *(cells.get((channel, label), Cell("")) for label in labels)]
        for channel in found.fit.panel.channels
        if channel in set(rows["channel"])
    ]
    note = f"{found.returned.name} and 94% interval of each year's spend, carry-over into "
    note += "the next counted."
    heads = ["channel", *year_heads(found.window, labels)]
    return Table("returns", heads, body, 1, note, for_geo(table, None), _units(found))


def year_heads(window: pd.DatetimeIndex, labels: Sequence[str]) -> list[str]:
    """Years as heads; one that training covers only in part says so."""
    count = Counter(str(day.year) for day in window)
    part = [x for x in labels if 0 < count[x] < 0.9 * max(count.values())]
    return [f"{x} (part)" if x in part else x for x in labels]


def scores(found: Evidence) -> Table:
    """How well the predictive describes training and, where there is one, the test."""
    known = found.scores
    has_test = np.isfinite(known.get("crps_test", np.nan))
    kinds = (
        (f"CRPS ({found.outcome}; smaller is better)", "crps", amount),
        ("mean error (MAPE)", "mape", in_percent),
        ("R² (share of the variance explained)", "r2", lambda x: f"{x:z.3f}"),
        ("observed inside the 94% interval", "coverage", in_percent),
    )
    rows = []
    for label, kind, write in kinds:
        values = [known.get(f"{kind}_train", known.get(kind))]
        values += [known.get(f"{kind}_test")] if has_test else []
        small = [
            covered(float(v), n) if kind == "coverage" and v is not None else ""
            for v, n in zip(values, found.cells, strict=False)
        ]
        texts = ["" if v is None else write(v) for v in values]
        rows.append([Cell(label), *map(Cell, texts, small)])
    heads = ["score", "training", *(["test"] if has_test else [])]
    return Table("scores", heads, rows, unit=f"CRPS: {found.outcome}; others: none")


def parameters(found: Evidence) -> Table:
    """Every scalar parameter, and what its prior was where that is known."""
    frame, priors = found.parameters, found.table("priors")
    note = "Scaled units: outcome and media divided by their largest value in training."
    digits = {
        "mean": ("mean", 3), "sd": ("sd", 3), "hdi_3": ("94% from", 3), "hdi_97": ("to", 3),
        "ess_bulk": ("ESS bulk", 0), "ess_tail": ("ESS tail", 0), "r_hat": ("R-hat", 3),
    }  # fmt: skip
    if priors is not None:
        known = ["parameter", "index", "prior_mean", "prior_sd", "contraction"]
        frame = frame.fillna({"index": ""}).merge(
            priors[known].fillna({"index": ""}), "left", ["parameter", "index"]
        )
        digits |= {"prior_mean": ("prior mean", 3), "prior_sd": ("prior sd", 3)}
        digits |= {"contraction": ("contraction", 2)}
        note += " Contraction: 1 - posterior variance / prior variance."
    columns = of(label, "parameter", index="of")
    columns += [(head, n, each(f"{{:z,.{k}f}}")) for n, (head, k) in digits.items()]
    many, by = len(frame) > MAX_ROWS, ", the highest R-hat first"
    shown = frame.sort_values("r_hat", ascending=False) if many else frame
    unit = "scaled units of the model"
    return made("parameters", shown, columns, frame, note, unit, names=2, by=by)


def folds(found: Evidence, table: pd.DataFrame) -> Table:
    """A row a fold: what was tested, the scores, and those of simpler models."""
    tested: Any = table.loc[table["split"] == "test"]
    models = [m for m in dict.fromkeys(tested["model"].astype(str)) if m != MMM]
    crps: Any = tested.pivot_table("crps", "fold", "model", dropna=False, observed=True)
    rows: Any = tested.loc[tested["model"] == MMM]
    others = crps.reindex(index=rows["fold"], columns=models).set_axis(rows.index)
    better = 1 - others.rdiv(rows["crps"], axis=0).where(others > 0)
    rows = rows.join(others.add_prefix("of ")).join(better.add_prefix("than "))
    rows["days"] = [
        f"{day(pd.Timestamp(a))} to {day(pd.Timestamp(b))}"
        for a, b in zip(rows["test_start"], rows["test_end"], strict=True)
    ]
    said = {model: NAMES.get(model, model) for model in models}
    columns = [
        *of(label, "fold", days="tested"),
        *of(
            each(amount), crps="CRPS", **{f"of {m}": f"CRPS, {x}" for m, x in said.items()}
        ),
        *of(
            each("{:+z.0%}"),
            **{f"than {m}": f"better than {x} by" for m, x in said.items()},
        ),
        *of(each(in_percent), mape="MAPE"),
        *of(each("{:z,.2f}"), r2="R²"),
        *of(each(in_percent), coverage="inside 94% interval"),
        *of(label, "status"),
    ]
    note = (
        f"CRPS in {found.outcome}, smaller is better; all scores are of the test periods."
    )
    unit = f"crps: {found.outcome}; other scores: none"
    return made("backtest", rows, columns, table, note, unit, names=2)


def of_folds(found: Evidence, table: pd.DataFrame) -> Table:
    """Estimates of every fold as they are."""
    columns = of(label, "fold", "parameter", index="of")
    columns += of(each(amount), mean="mean", lo="94% from", hi="to")
    unit = f"roas: {found.outcome} per {found.money}; others: scaled units of the model"
    return made("backtest_parameters", table, columns, table, "", unit, names=3)


def plan(found: Evidence, given: Planned) -> Table:
    """Reference and optimised spend of every channel over all geos."""
    sums = given.sums.reset_index()
    sums["change"] = sums["optimized"] / sums["reference"].where(sums["reference"] > 0) - 1
    limited: Form = lambda table, column: [
        Cell(x or "no limit") for x in amounts(table[column])
    ]
    before, after = (with_unit(x, found.currency) for x in ("reference", "optimised"))
    columns = [
        *of(label, "channel"),
        *of(together, reference=before, optimized=after),
        *of(each("{:+z.1%}"), "change"),
        *of(limited, lower="at least", upper="at most"),
    ]
    many = len(set(given.table["geo"])) > 1
    note = "Sums over geos; the CSV file has each geo." if many else ""
    unit = f"spend: {found.currency or 'money'} over the window"
    return made("plan", sums, columns, given.table, note, unit, most=len(sums))


def bounds(found: Evidence, given: Planned) -> Table | None:
    """What the next money returns in every channel, and what its bound costs."""
    prices = given.prices
    if prices.empty:
        return None
    price = prices["bound_price"].fillna(0.0).to_numpy(float)
    words: Any = {"upper": "its most", "lower": "its least", "fixed": "fixed"}
    at = prices["binding"].map(words).fillna("")
    brings = [
        f"{amount(abs(x))} ({'more' if x > 0 else 'less'})" if held and x else ""
        for x, held in zip(price, at, strict=True)
    ]
    shown = prices.assign(at=at, brings=brings).iloc[np.argsort(-abs(price), kind="stable")]
    several = len(set(prices["geo"])) > 1
    unit, facts = given.facts.get("utility_unit") or "utility", given.facts
    after = f"{AFTER} the next {found.money} brings ({found.outcome})"
    beyond = f"one {found.money} beyond that limit would bring ({unit})"
    columns = [
        *of(label, *(["geo"] if several else []), "channel"),
        *of(each(amount), marginal=after),
        *of(label, at="held at", brings=beyond),
    ]
    even = facts["certified"] and facts.get("utility_unit") == found.outcome
    even = even and facts.get("flighting") == "even" and is_mean(facts)
    note = (
        "Channels that nothing holds return the same: money cannot be moved to do better."
    )
    said = f"marginal: {found.outcome} per {found.money}; "
    said += f"bound_price: {unit} per {found.money}"
    own: dict[str, Any] = {
        "names": 1 + several,
        "most": MOST,
        "by": ", those held most first",
    }
    return made("plan_bounds", shown, columns, prices, note if even else "", said, **own)


def limits(found: Evidence, given: Planned) -> Table | None:
    """Every limit besides bounds and budget, and what it costs."""
    told = given.facts.get("limits") or []
    if not told:
        return None
    rows = []
    for limit in told:
        share = "of what is spent" in limit["name"]  # its value is a difference
        has = "" if share else amount(limit["value"] or 0.0)
        price = amount(limit["price"]) if limit["binding"] and limit["price"] else ""
        state = "reached" if limit["binding"] else "kept"
        rows.append([Cell(x) for x in (limit["name"], has, state, price)])
    unit = given.facts.get("utility_unit") or "utility"
    eased = f"easing it by one {found.money} brings ({unit})"
    said = f"value: {found.currency or 'money'}; price: {unit} per {found.money}"
    heads = ["limit", "the plan has", "", eased]
    return Table("plan_limits", heads, rows, 1, "", pd.DataFrame(told), said)


def scenarios(found: Evidence, given: Planned) -> Table | None:
    """All plans that were compared, one a row."""
    table = given.more.get("scenarios")
    if table is None or table.empty:
        return None
    whole, said, money = table.loc[table["channel"] == ALL], found.returned, found.currency
    shown: Any = said.of(whole.rename(columns={"roas": "roas_mean"}))
    sure = shown["probability_better"]  # not known of the first
    shown = shown.assign(gain_mean=shown["gain_mean"].where(np.isfinite(sure)))
    columns = [
        *of(label, "plan"),
        *of(together, spend=with_unit("spend", money)),
        *of(prose, response=f"response ({found.outcome})", gain="more than the first"),
        *of(
            each(lambda x: chance(x) if x == x else ""),
            probability_better="with probability",
        ),
        *of(prose, roas=said.name),
        *of(each(lambda x: "yes" * (str(x) == "True")), extrapolated="beyond past spend"),
    ]
    held = if_it_holds(found).removeprefix(", ")
    note = f"{SMALL} The CSV file has every channel." + (
        f" All of it {held}." if held else ""
    )
    unit = f"spend: {money or 'money'}; response, gain: {found.outcome}; roas: "
    unit += f"{found.outcome} per {found.money}; net: {money or 'money'}"
    return made("scenarios", shown, columns, table, note, unit, most=len(shown))
