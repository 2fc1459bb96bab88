"""Which markets of a fleet need somebody's attention, why, and what to do next."""

import re
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from mmmjax import checks
from mmmjax.arguments import checked
from mmmjax.checks import Phrase, fail, listing
from mmmjax.fleet.engine import CONVERGED, FAILED, NOT_CONVERGED, REFITTED, REFUSED, USABLE

__all__ = ["DOUBTFUL", "FINE", "INADEQUATE", "ODD", "contradicted", "fleet_ranking"]

INADEQUATE = "not adequate"
ODD = "odd scores"
FINE = "fine"
DOUBTFUL = "doubtful data"
ORDER = (FAILED, REFUSED, NOT_CONVERGED, DOUBTFUL, INADEQUATE, REFITTED, ODD, FINE)
NEEDED = ("market", "status", "reason", "r_hat", "min_ess", "divergences", "crps",
          "coverage")  # fmt: skip
NOMINAL = 0.94  # of the intervals that coverage is about
FAR = 1.1  # R-hat of chains that see different things
ENDS = re.compile(r'^((?:"[^"]*"|[^"])*?)(?:\. |$)')  # of a sentence, not within a name
OUTLYING = 3.5  # of a robust z score: Iglewicz and Hoaglin (1993)

NEXT = {
    FAILED: "Fit it alone with mm.fit to see where it fails; mm.explore shows its data",
    REFUSED: "Mend its data as the reason says, then fit it alone or the fleet anew",
    REFITTED: "Usable. Many of these: raise warmup of the fleet's sampler",
    FINE: "",
}


class _Judged(NamedTuple):
    """What a market's row comes to."""

    attention: str
    why: str
    next: str
    urgency: float  # larger is more urgent, among those of one kind


@checked
def fleet_ranking(
    table: pd.DataFrame,
    *,
    size: Mapping[str, float] | None = None,
    coverage_off: float = 0.1,
    crps_ratio: float = 2.0,
) -> pd.DataFrame:
    """Markets in the order in which they need attention, and what to do about each.

    Failed ones first, then refused, not converged (the highest R-hat first), those whose
    data are doubtful (zeros or a falling last period at their ends, or the sum or a copy
    of other markets), not adequate
    (what contradicts the model is said), refitted, converged with odd scores, and those
    that are fine. Scores are odd if the share of
    observed periods inside their 94% interval is far from 94%, or if the CRPS, as a share
    of the market's mean outcome, stands apart from the fleet's: a robust z score of its
    logarithm above 3.5, and so many times the median.

    Args:
        table: ``fleet.table`` or fleet.csv.
        size: Mean outcome a period by market, in the unit of CRPS: markets differ in size,
            so without it CRPS is not judged.
        coverage_off: Distance from 0.94 from which coverage is odd; 0.1 is three binomial
            errors of 52 weeks.
        crps_ratio: Times the fleet's median from which a CRPS can be odd.

    Returns:
        A row for each market: market, attention (a status, "doubtful data", "not
        adequate", "odd scores" or "fine"), why, next, and status, r_hat, min_ess,
        divergences, crps, coverage as in the table, adequate and finding too where it has
        them; crps_share (CRPS / mean outcome) where ``size`` is given.

    Raises:
        InputError: A column is missing, an unknown status, or a market without a size.

    Source: Iglewicz and Hoaglin (1993), How to Detect and Handle Outliers: the robust z
    score is 0.6745 (x - median) / median |x - median|.
    """
    coverage_off = checks.number("coverage_off", coverage_off, low=0, open_low=True)
    crps_ratio = checks.number("crps_ratio", crps_ratio, low=1)
    missing = [name for name in NEEDED if name not in table]
    if missing:
        fail("table", Phrase(f"no column {missing[0]}"), "", listing(NEEDED, 20),
             "fleet.table, or pd.read_csv of the run's fleet.csv")  # fmt: skip
    shares = _shares(table, size)
    ratios, apart = _apart(shares, crps_ratio)
    judged = [
        _judge(row, ratios[i], bool(apart[i]), coverage_off)
        for i, row in enumerate(table.to_dict("records"))
    ]
    kept = ["status", "r_hat", "min_ess", "divergences", "crps", "coverage"]
    kept += [name for name in ("adequate", "finding") if name in table]
    found = pd.DataFrame({
        "market": table["market"].to_numpy(),
        "attention": [j.attention for j in judged],
        "why": [j.why for j in judged],
        "next": [j.next for j in judged],
    }).join(table[kept].reset_index(drop=True))  # fmt: skip
    if size is not None:
        found["crps_share"] = shares
    place = [ORDER.index(j.attention) for j in judged]
    order = np.lexsort(([-j.urgency for j in judged], place))
    return found.iloc[order].reset_index(drop=True)


def contradicted(table: pd.DataFrame) -> np.ndarray:
    """Which usable markets of ``fleet.table`` have data against their model, (market,)."""
    if "adequate" not in table:  # a table of before it was judged
        return np.zeros(len(table), bool)
    usable = table["status"].isin(USABLE).to_numpy()
    return usable & np.array([_contradicts(x) for x in table["adequate"]], bool)


def _contradicts(adequate: Any) -> bool:
    """Whether a cell says no; an empty one (NaN, None) says nothing."""
    return isinstance(adequate, bool | np.bool_) and not adequate


def _shares(table: pd.DataFrame, size: Mapping[str, float] | None) -> np.ndarray:
    """CRPS as a share of the market's mean outcome; NaN without either."""
    if size is None:
        return np.full(len(table), np.nan)
    fix = "{name: np.nanmean(panel.outcome) for name, panel in panels.items()}"
    for name in table.loc[table["crps"].notna(), "market"]:
        mean = size.get(name, np.nan)
        if not (np.isfinite(mean) and mean > 0):
            fail("size", mean, f'for market "{name}"', "a mean outcome above 0", fix)
    sizes = np.array([size.get(name, np.nan) for name in table["market"]], float)
    return table["crps"].to_numpy(float) / sizes


def _apart(shares: np.ndarray, ratio: float) -> tuple[np.ndarray, np.ndarray]:
    """Each share over the median, and whether it stands apart from the others."""
    known = np.isfinite(shares) & (shares > 0)
    if known.sum() < 3:
        return np.full(len(shares), np.nan), np.zeros(len(shares), bool)
    log = np.log(np.where(known, shares, 1.0))
    middle = np.median(log[known])
    mad = np.median(np.abs(log[known] - middle))
    score = 0.6745 * (log - middle) / max(float(mad), 1e-12)
    ratios = np.where(known, np.exp(log - middle), np.nan)
    return ratios, known & (score > OUTLYING) & (ratios > ratio)


def _judge(row: Mapping[Any, Any], ratio: float, apart: bool, off: float) -> _Judged:
    """One market."""
    status, why = row["status"], row["reason"]
    why = why if isinstance(why, str) else ""  # an empty cell of a file is NaN
    if status == NOT_CONVERGED:
        r_hat = float(row["r_hat"])
        return _Judged(status, why, _slow(row), r_hat if np.isfinite(r_hat) else np.inf)
    if status in (FAILED, REFUSED):
        return _Judged(status, why, NEXT[status], 0.0)
    if status not in (CONVERGED, REFITTED):
        allowed = listing((CONVERGED, REFITTED, NOT_CONVERGED, REFUSED, FAILED))
        fail("status", status, f'for market "{row["market"]}"', allowed, "fleet.table")
    odd = _odd(row, ratio, apart, off)
    against = _contradicts(row.get("adequate"))
    finding = str(row.get("finding", "")) if against else ""
    doubt = row.get("data")
    if isinstance(doubt, str) and doubt:
        what, remedy = re.split(ENDS, doubt, maxsplit=1)[1:3]
        more = "; ".join(filter(None, (what, finding, odd and odd.why, why)))
        return _Judged(DOUBTFUL, more, remedy, odd.urgency if odd else 0.0)
    if against:
        why = "; ".join(filter(None, (finding, why)))
        then = f'See fleet["{row["market"]}"].findings() for what to write in its model'
        return _Judged(INADEQUATE, why, then, odd.urgency if odd else 0.0)
    if status == REFITTED:
        more = odd or _Judged("", "", NEXT[REFITTED], 0.0)
        why = "; ".join(filter(None, (why, more.why)))
        return _Judged(status, why, more.next, more.urgency)
    return odd or _Judged(FINE, why, NEXT[FINE], 0.0)


def _slow(row: Mapping[Any, Any]) -> str:
    """What to do about a market whose chains do not agree."""
    if row["divergences"] > 0:
        return "Fit it alone by mm.NUTS(target_accept=0.99); look at its widest priors"
    if not row["r_hat"] <= FAR:
        return (
            "Its chains see different things: look at collinear channels "
            "(mm.warnings), then at narrower priors"
        )
    return "Nearly there: raise max_draws of the sampler, or fit it alone by mm.NUTS"


def _odd(row: Mapping[Any, Any], ratio: float, apart: bool, off: float) -> _Judged | None:
    """Scores that do not look like those of a model that describes its data."""
    coverage = float(row["coverage"])
    away = abs(coverage - NOMINAL)
    far = bool(away > off)
    if not (far or apart):
        return None
    said, then = [], []
    if far:
        said.append(f"{coverage:.0%} of periods inside the 94% interval")
        then.append(
            "outliers or a missing control (mm.residuals), or mm.likelihood.StudentT"
        )
    if apart:
        said.append(
            f"CRPS, as a share of the outcome, {ratio:.1f} times the fleet's median"
        )
        then.append("what the model misses: mm.plot.fitted")
    text = "; ".join(then)
    urgency = (away / off if far else 0.0) + (ratio if apart else 0.0)
    return _Judged(ODD, "; ".join(said), f"Look at {text}", urgency)
