"""The tables of a report: rounded for reading, and the numbers behind them for copying."""

from collections import Counter
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import pandas as pd

from mmmjax import words
from mmmjax.criticism import prior_returns
from mmmjax.experiments import REFIT
from mmmjax.model import model_data
from mmmjax.reporting.embed import as_json, numbers
from mmmjax.reporting.evidence import Brought, Evidence, Interval, Media, Planned
from mmmjax.reporting.sentences import share_span
from mmmjax.standing import covered
from mmmjax.words import ALL, amount, amounts, for_geo, in_percent, span

__all__ = [
    "Cell", "Table", "behind", "believed", "by_geo", "channels", "parameters", "plan",
    "scores", "windows", "written",
]  # fmt: skip

MAX_ROWS = 200  # longer tables are cut, and that is said


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
        last = [self.unit] if self.unit else []
        said = ["unit"] if self.unit else []
        return as_json({"heads": heads + said, "rows": [row + last for row in rows]})


def channels(found: Evidence) -> Table | None:
    """ROAS, mROAS, share, contribution and spend of every channel, and of all paid ones."""
    panel, media = found.fit.panel, found.media
    if media is None:
        return None
    unit = found.returned
    rows = _channel_rows(for_geo(unit.of(found.channels), None))
    rows += _sums(found, media)
    note = (
        f"Small print: 94% interval. Shares are of the observed {found.outcome}. "
        f"{unit.name} counts what comes after the last {found.period} too, a contribution "
        "what earlier spend still brought: so they differ a little. "
        f"{unit.next} is what the next {found.money} brings."
    )
    if panel.organic:
        note += " A channel without spend (organic) has no return."
    frame = found.channels if panel.n_geos == 1 else for_geo(found.channels, None)
    return Table("channels", _heads(found), rows, 1, note, frame, _units(found))


def _units(found: Evidence) -> str:
    """The units of the columns of channels.csv and returns.csv."""
    times = f" (times {found.returned.times:g}: {found.returned.per}, as on the page)"
    shown = times if found.returned.value is not None else ""
    return (
        f"roas, mroas: {found.outcome} per {found.money}{shown}; contribution, value: "
        f"{found.outcome}; spend: {found.currency or 'money'}"
    )


def _sums(found: Evidence, media: Media) -> list[list[Cell]]:
    """A row of all paid channels, and one of all organic ones where there are any."""
    none, rows, times = Cell(""), [], found.returned.times
    returns = (
        None if media.returns is None else Interval(*(times * x for x in media.returns))
    )
    if media.paid is not None:
        rows.append([
            Cell("paid media"),
            none if returns is None else Cell(amount(returns.mean), span(*returns)),
            Cell(amount(times * media.marginal)), *_brought(media.paid),
            Cell(amount(media.spend)),
        ])  # fmt: skip
    if media.organic is not None and len(found.fit.panel.organic) > 0:
        rows.append([Cell("organic media"), none, none, *_brought(media.organic), none])
    return rows


def _brought(part: Brought) -> list[Cell]:
    """Share and contribution with their intervals."""
    total, lo, hi = amounts(part.total)
    share = Cell(in_percent(part.share.mean), share_span(part.share))
    return [share, Cell(total, f"{lo} to {hi}")]


def believed(found: Evidence) -> Table | None:
    """Returns and shares before the data spoke, beside what is found of them."""
    fit = found.fit
    if found.media is None:
        return None
    data = model_data(fit.spec, fit.panel, fit.scale)
    before = found.returned.of(prior_returns(fit.spec, fit.panel, data))
    before = before.rename(columns=lambda name: name.replace("_median", "_mean"))
    after = for_geo(found.returned.of(found.channels), None).set_index("channel")
    after = after.reindex(before["channel"]).reset_index()
    whole, times = found.media, found.returned.times
    columns = [[Cell(str(x).replace(ALL, "all channels")) for x in before["channel"]]]
    for name in ("roas", "share"):
        columns.append(_intervals(before, name, shares=name == "share"))
        columns.append(_intervals(after, name, shares=name == "share"))
    if whole.returns is not None:
        found_of = [times * x for x in whole.returns]
        columns[2][-1] = Cell(amount(found_of[0]), span(*found_of))
    columns[4][-1] = Cell(in_percent(whole.share.mean), share_span(whole.share))
    unit, share = found.returned.name, f"share of {found.outcome}"
    note = (
        "Before: what the priors say, as medians. After: means. Small print: 94% interval."
    )
    heads = ["", f"{unit} before", "after", f"{share} before", "after"]
    return Table("believed", heads, list(map(list, zip(*columns, strict=True))), 1, note)


def by_geo(found: Evidence) -> Table | None:
    """The same of every geo, where there are several."""
    panel = found.fit.panel
    if panel.n_geos == 1 or not panel.channels:
        return None
    rows = found.channels.loc[found.channels["geo"].astype(str).isin(panel.geos)]
    shown = found.returned.of(rows.iloc[:MAX_ROWS])
    cells = _channel_rows(shown)
    for cell, geo in zip(cells, shown["geo"], strict=True):
        cell.insert(0, Cell(str(geo)))
    cut = f"The first {MAX_ROWS} of {len(rows):,} rows; the CSV file has all."
    note = cut if len(rows) > MAX_ROWS else ""
    return Table(
        "channels_by_geo", ["geo", *_heads(found)], cells, 2, note, rows, _units(found)
    )


def campaigns(found: Evidence) -> Table | None:
    """Weight, return, part of its channel, contribution and spend of every campaign."""
    table = found.table("campaigns")
    if table is None:
        return None
    whole, unit = for_geo(table, None), found.returned
    shown = unit.of(whole)
    columns = [[Cell(str(x)) for x in shown[name]] for name in ("channel", "campaign")]
    for name in ("weight", "roas", "share", "contribution"):
        columns.append(_intervals(shown, name, shares=name == "share"))
    columns.append([Cell(text) for text in amounts(shown["spend"])])
    rows = [list(row) for row in zip(*columns, strict=True)]
    heads = ["channel", "campaign", "weight", unit.name, "part of its channel"]
    heads += _heads(found)[-2:]
    note = "Small print: 94% interval. A weight is what one unit of media counts beside an "
    note += "average one of its channel. Contributions add up to the channel's."
    return Table("campaigns", heads, rows, 2, note, whole, _units(found))


def shrinkage(found: Evidence) -> Table | None:
    """Own, pooled and population effect of every geo and channel, and what weighs."""
    table = found.table("shrinkage")
    if table is None:
        return None
    effects = {found.fit.spec.full(t, "saturation_beta") for t in found.fit.spec.media}
    some = table.loc[table["parameter"].isin([*effects])]
    if some.empty:
        return None
    shown = some.rename(columns={"own": "own_mean"})
    columns = [[Cell(str(x)) for x in shown[name]] for name in ("geo", "channel")]
    columns += [_intervals(shown, name) for name in ("own", "pooled", "population")]
    columns.append([Cell(f"{x:.0%}") for x in shown["weight"]])
    rows = [list(row) for row in zip(*columns, strict=True)][:MAX_ROWS]
    heads = ["geo", "channel", "its own data", "pooled", "all geos", "weight of all geos"]
    note = "Effect at full saturation, scaled units (small print: 94% interval): what the "
    note += (
        "data of a geo say alone (empty where they say nothing), the estimate, and what "
    )
    note += "is typical. The CSV file has all pooled parameters."
    return Table("shrinkage", heads, rows, 2, note, table, _units(found))


def lift_tests(found: Evidence) -> Table | None:
    """What each lift test measured, beside prior, the rest of the data and posterior."""
    table = found.table("lift_tests")
    if table is None:
        return None
    names = [[Cell(str(x)) for x in table[name]] for name in ("test", "channel", "of")]
    pairs = zip(table["measured"], table["error"], strict=True)
    measured = [Cell(f"{y:,.4g}", f"+- {error:,.2g}") for y, error in pairs]
    shown = table.rename(columns={n: f"all_{n}" for n in ("mean", "lo", "hi")})
    columns = [*names, measured]
    columns += [_intervals(shown, name) for name in ("prior", "rest", "all")]
    columns.append([Cell("" if x != x else f"{x:+.1f}") for x in table["pull"]])
    columns.append([Cell("" if x != x else f"{x:.2g}") for x in table["p_value"]])
    rows = [list(row) for row in zip(*columns, strict=True)][:MAX_ROWS]
    heads = ["test", "channel", "of", "measured", "prior", "rest of the data", "posterior"]
    note = (
        "Pull: measured less what everything but the test says, in standard deviations of "
    )
    note += "that difference; p: how often chance alone does that. Below 0.01 the test is "
    note += "wrong or the series is confounded. Empty: the rest says nothing of it."
    return Table("lift_tests", [*heads, "pull", "p"], rows, 3, note, table)


def taught(found: Evidence) -> Table | None:
    """Returns and the plan, without lift tests and with them."""
    table = found.table("taught")
    if table is None:
        return None
    unit, shown = found.returned.name, found.returned.of(table.iloc[:MAX_ROWS])
    names = [[Cell(str(x)) for x in shown[name]] for name in ("without", "channel")]
    rest = [
        Cell(how) if how == REFIT else cell
        for how, cell in zip(shown["how"], _intervals(shown, "roas_rest"), strict=True)
    ]
    columns = [*names, rest, _intervals(shown, "roas")]
    for name in ("spend_rest", "spend"):
        columns.append([Cell("" if x != x else f"{x:,.4g}") for x in shown[name]])
    rows = [list(row) for row in zip(*columns, strict=True)]
    heads = ["left out", "channel", f"{unit} without", f"{unit} with"]
    heads += ["plan without", "plan with"]
    note = f"Small print: 94% interval. {words.taught(table, found.outcome)}"
    return Table("taught", heads, rows, 2, note, table, _units(found))


def frequency(found: Evidence) -> Table | None:
    """How often people see each channel of reach, and how often they should."""
    table = found.table("frequency")
    if table is None:
        return None
    whole, unit = for_geo(table, None), found.returned
    often, one = (
        [Cell(f"{x:.1f}") for x in whole[name]] for name in ("usual", "frequency")
    )
    columns = [[Cell(str(x)) for x in whole["channel"]], often, _intervals(whole, "best")]
    columns += [one, _intervals(whole, "gain")]
    for name in ("roas_mean", "roas_best_mean"):
        money = unit.times * whole[name]
        columns.append([Cell(amount(x) if np.isfinite(x) else "") for x in money])
    rows = [list(row) for row in zip(*columns, strict=True)]
    heads = ["channel", "frequency in training", "best frequency", "largest mean response"]
    heads += [f"gain ({found.outcome})", unit.name, "at this frequency"]
    note = "The same impressions and money on fewer or more people. Small print: 94% "
    note += "interval. The gain is of the frequency with the largest mean response."
    return Table("frequency", heads, rows, 1, note, whole, _units(found))


def _heads(found: Evidence) -> list[str]:
    spend = f"spend ({found.currency})" if found.currency else "spend"
    unit = found.returned
    return ["channel", unit.name, unit.next, f"share of {found.outcome}",
            f"contribution ({found.outcome})", spend]  # fmt: skip


def _channel_rows(table: pd.DataFrame) -> list[list[Cell]]:
    columns: list[list[Cell]] = [[Cell(str(name)) for name in table["channel"]]]
    for name in ("roas", "mroas", "share", "contribution"):
        columns.append(_intervals(table, name, shares=name == "share"))
    columns.append([Cell(text) for text in amounts(table["spend"])])
    return [list(row) for row in zip(*columns, strict=True)]


def _intervals(table: pd.DataFrame, name: str, shares: bool = False) -> list[Cell]:
    """Cells of ``name_mean`` with their intervals in small print."""
    parts = np.stack([table[f"{name}_{s}"].to_numpy(float) for s in ("mean", "lo", "hi")])
    if shares:
        texts = np.array([[in_percent(x) for x in part] for part in parts], object)
    else:
        texts = np.array(amounts(parts), object).reshape(parts.shape)
    return [
        Cell(mean, f"{lo} to {hi}") if np.isfinite(value) else Cell("")
        for mean, lo, hi, value in zip(*texts, parts[0], strict=True)
    ]


def windows(found: Evidence) -> Table | None:
    """ROAS of every channel in every year: a row a channel, a column a window."""
    table = found.table("returns")
    if table is None:
        return None
    rows = for_geo(found.returned.of(table), None)
    rows = rows.loc[(rows["kind"] == "year") & rows["roas_mean"].notna()]
    labels = list(dict.fromkeys(rows["window"].astype(str)))
    if not labels:
        return None
    cells = dict(zip(zip(rows["channel"], rows["window"].astype(str), strict=True),
                     _intervals(rows, "roas"), strict=True))  # fmt: skip
    names = [name for name in found.fit.panel.channels if name in set(rows["channel"])]
    body = [
        [Cell(name), *(cells.get((name, label), Cell("")) for label in labels)]
        for name in names
    ]
    note = f"{found.returned.name} and 94% interval of each year's spend, carry-over into "
    note += "the next counted."
    heads = ["channel", *(window_names(found.window, rows)[x] for x in labels)]
    return Table("returns", heads, body, 1, note, for_geo(table, None), _units(found))


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
    for label, name, write in kinds:
        values = [known.get(f"{name}_train", known.get(name))]
        values += [known.get(f"{name}_test")] if has_test else []
        small = [
            covered(float(v), n) if name == "coverage" and v is not None else ""
            for v, n in zip(values, found.cells, strict=False)
        ]
        texts = ["" if v is None else write(v) for v in values]
        rows.append([Cell(label), *map(Cell, texts, small)])
    heads = ["score", "training", *(["test"] if has_test else [])]
    return Table("scores", heads, rows, unit=f"CRPS: {found.outcome}; others: none")


def parameters(found: Evidence) -> Table:
    """Every scalar parameter, and what its prior was where that is known."""
    table, priors = found.parameters, found.table("priors")
    note = "Scaled units: outcome and media divided by their largest value in training."
    heads = ["parameter", "of", "mean", "sd", "94% from", "to", "ESS bulk", "ESS tail",
             "R-hat"]  # fmt: skip
    digits = {"mean": 3, "sd": 3, "hdi_3": 3, "hdi_97": 3, "ess_bulk": 0, "ess_tail": 0,
              "r_hat": 3}  # fmt: skip
    frame = table
    if priors is not None:
        known = ["parameter", "index", "prior_mean", "prior_sd", "contraction"]
        frame = table.fillna({"index": ""}).merge(
            priors[known].fillna({"index": ""}), "left", ["parameter", "index"]
        )
        heads += ["prior mean", "prior sd", "contraction"]
        digits |= {"prior_mean": 3, "prior_sd": 3, "contraction": 2}
        note += " Contraction: 1 - posterior variance / prior variance."
    shown = frame
    if len(frame) > MAX_ROWS:
        note += f" Shown are the {MAX_ROWS} of {len(frame):,} with the highest R-hat; "
        note += "the CSV file has all."
        shown = frame.sort_values("r_hat", ascending=False).iloc[:MAX_ROWS]
    rows = [
        [
            Cell(str(row["parameter"])),
            Cell("" if row["index"] != row["index"] else str(row["index"])),
            *(Cell(written(row[name], places)) for name, places in digits.items()),
        ]
        for row in shown.to_dict("records")
    ]
    return Table("parameters", heads, rows, 2, note, frame, "scaled units of the model")


def written(value: float, digits: int) -> str:
    """A number with so many decimals; empty where there is none."""
    return f"{value:z,.{digits}f}" if np.isfinite(value) else ""


def plan(found: Evidence, given: Planned) -> Table:
    """Reference and optimised spend of every channel over all geos."""
    sums, columns = given.sums, ["reference", "optimized", "lower", "upper"]
    before = sums["reference"].where(sums["reference"] > 0)
    texts = dict(zip(columns, (amounts(sums[c]) for c in columns), strict=True))
    rows = []
    for i, (name, change) in enumerate((sums["optimized"] / before - 1).items()):
        reference, optimized, lower, upper = (texts[c][i] or "no limit" for c in columns)
        moved = "" if np.isnan(change) else f"{change:+z.1%}"
        each = (str(name), reference, optimized, moved, lower, upper)
        rows.append([Cell(x) for x in each])
    unit = f" ({found.currency})" if found.currency else ""
    heads = ["channel", f"reference{unit}", f"optimised{unit}", "change", "at least",
             "at most"]  # fmt: skip
    many = len(set(given.table["geo"])) > 1
    note = "Sums over geos; the CSV file has each geo." if many else ""
    said = f"spend: {found.currency or 'money'} over the window"
    return Table("plan", heads, rows, 1, note, given.table, said)


def behind(found: Evidence, name: str) -> Table | None:
    """The numbers behind figures, over all geos, for the buttons only."""
    table = found.table(name)
    if table is None:
        return None
    unit = f"spend: {found.currency or 'money'} a {found.period}; mean, lo, hi: "
    return Table(name, [], [], frame=for_geo(table, None), unit=unit + found.outcome)


def window_names(window: pd.DatetimeIndex, rows: pd.DataFrame) -> dict[str, str]:
    """Labels of windows by label; a year that training covers only in part says so."""
    kind = str(rows["kind"].iloc[0])
    labels = list(dict.fromkeys(rows["window"].astype(str)))
    if kind != "year":
        return {label: label for label in labels}
    count = Counter(str(day.year) for day in window)
    whole = 0.9 * max(count.values())
    part = {label: label in count and count[label] < whole for label in labels}
    return {label: f"{label} (part)" if part[label] else label for label in labels}
