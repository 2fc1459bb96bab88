r"""Several past studies of a return made into one prior: random-effects meta-analysis.

Study i found the log return $y_i$ with standard error $s_i$. Returns of studies scatter
around a mean, and so does the one that is asked about:

$$y_i \sim \text{Normal}(\mu, \sqrt{s_i^2 + \tau^2}), \qquad
\theta \sim \text{Normal}(\mu, \tau), \qquad \tau \sim \text{HalfNormal}, \qquad
\mu \text{ flat.}$$

What is less alike counts less: the likelihood of study i is taken to the power
$d_i = 2^{-\text{age}_i / \text{half-life}} \cdot \text{context}_i$, which divides its
precision $1 / (s_i^2 + \tau^2)$ by $1 / d_i$ and its part of the normaliser too. Given tau
the mean has the precision $\sum_i w_i$ with weights $w_i = d_i / (s_i^2 + \tau^2)$; tau is
integrated over a grid. The prior is the LogNormal of the mean and variance of log theta:
the variance counts the doubt about mu, tau itself and the doubt about tau.

With ``method="dersimonian_laird"`` tau is the moment estimate, without doubt about it.

Source: DerSimonian and Laird (1986), "Meta-analysis in clinical trials"; Higgins, Thompson
and Spiegelhalter (2009), "A re-evaluation of random-effects meta-analysis", for the
predictive distribution; Rover (2020), "Bayesian random-effects meta-analysis using the
bayesmeta R package", for tau on a grid; Ibrahim and Chen (2000), "Power prior distributions
for regression models", for the discount.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from scipy import special

from mmmjax import checks, words
from mmmjax.arguments import checked
from mmmjax.checks import Phrase
from mmmjax.facts.base import day_of
from mmmjax.prior import Prior

__all__ = ["Studies", "combine_studies"]

YEAR = 365.25  # days
KEYS = ("name", "mean", "error", "lo", "hi", "date", "context")
GRID = 2000  # values of tau
METHODS = ("grid", "dersimonian_laird")


@dataclass(frozen=True, eq=False)
class Studies:
    """Studies as one prior.

    Args:
        prior: A LogNormal of the return that is asked about.
        table: A row a study: name, median, lo and hi (94%) of its return, age (years),
            context, discount, weight (its part of the mean, adds up to 1).
        mean: Of the log return over studies.
        mean_error: Its standard deviation.
        spread: Mean of tau, by how much the log returns of studies differ.
    """

    prior: Prior
    table: pd.DataFrame
    mean: float
    mean_error: float
    spread: float

    def __str__(self) -> str:
        """The table, and what comes of it."""
        loc, scale = (value for _, value in self.prior.params)
        lo, mid, hi = np.exp(loc + scale * special.ndtri([0.03, 0.5, 0.97]))
        lines = [
            *words.lines(*words.columns(self.table)),
            f"Returns of studies differ by a factor of {math.exp(self.spread):.2f}, their "
            f"mean is {math.exp(self.mean):.3g}",
            f"Prior of the next: {mid:.3g}, between {lo:.3g} and {hi:.3g} with 94%",
            self.prior.to_toml(),
        ]
        return "\n".join(lines)


@checked
def combine_studies(
    studies: pd.DataFrame | Sequence[Mapping[str, Any]],
    *,
    now: Any = None,
    half_life: float | None = None,
    context: Mapping[str, float] | None = None,
    spread: float = 0.5,
    prob: float = 0.94,
    method: str = "grid",
) -> Studies:
    """Make one prior of a return from several studies of it.

    Args:
        studies: A row a study: "mean" and "error" (its standard error), or "lo" and "hi"
            (the bounds of an interval of ``prob``); all above 0, in the units of the
            return. If it has them: "name", "date", "context".
        now: The day that is planned for; None: that of the latest study.
        half_life: Years after which a study counts half; None: age does not matter.
        context: How much a study of each context counts, in (0, 1]: {"same market": 1.0,
            "abroad": 0.5}. None: all the same.
        spread: Scale of the HalfNormal prior of tau: how far log returns of studies may
            differ. 0.5: mostly by less than a factor of 2.6.
        prob: Probability inside lo and hi, in (0, 1).
        method: "grid", or "dersimonian_laird".

    Returns:
        The prior, for ``mm.facts.Return("TV", roas=found.prior)``, and what each study
        weighs.

    Raises:
        InputError: No study, a number outside its range, a date or context that is missing.
    """
    checks.choice("method", method, METHODS)
    spread = checks.number("spread", spread, low=0, open_low=True)
    prob = checks.number("prob", prob, low=0, high=1, open_low=True)
    if prob >= 1:
        checks.fail("prob", prob, "", "below 1", "prob=0.94")
    if half_life is not None:
        half_life = checks.number("half_life", half_life, low=0, open_low=True)
    rows = _rows(studies)
    y, s = np.array([_log(i, row, prob) for i, row in enumerate(rows, 1)]).T
    age, alike = _alike(rows, now, half_life is not None, context)
    discount = alike * (1.0 if half_life is None else 0.5 ** (age / half_life))
    if method == METHODS[0]:
        tau = np.linspace(0.0, 6.0 * spread, GRID)
        log_tau = -0.5 * (tau / spread) ** 2
    else:
        v = discount / s**2
        q = (v * (y - (v * y).sum() / v.sum()) ** 2).sum()
        free = discount.sum() - (v * discount).sum() / v.sum()
        size = v.sum() - (v**2).sum() / v.sum()
        tau = np.sqrt([max(0.0, (q - free) / size) if size > 0 else 0.0])
        log_tau = np.zeros(1)
    variance = s**2 + tau[:, None] ** 2
    w = discount / variance
    total = w.sum(1)
    mu = (w * y).sum(1) / total
    log_tau = log_tau - 0.5 * np.log(total)
    log_tau -= 0.5 * (discount * np.log(variance) + w * (y - mu[:, None]) ** 2).sum(1)
    chance = np.exp(log_tau - log_tau.max())
    chance /= chance.sum()
    mean = float(chance @ mu)
    doubt = float(chance @ (1.0 / total + (mu - mean) ** 2))
    scale = math.sqrt(doubt + float(chance @ tau**2))
    ends = np.exp(y[:, None] + s[:, None] * special.ndtri([0.5, 0.03, 0.97]))
    names = [row.get("name", f"study {i}") for i, row in enumerate(rows, 1)]
    table = pd.DataFrame({"study": names, "median": ends[:, 0], "lo": ends[:, 1]})
    table["hi"], table["age"], table["context"] = ends[:, 2], age, alike
    table["discount"], table["weight"] = discount, chance @ (w / total[:, None])
    prior = Prior("LogNormal", loc=mean, scale=scale)
    return Studies(prior, table, mean, math.sqrt(doubt), float(chance @ tau))


def _rows(studies: pd.DataFrame | Sequence[Mapping[str, Any]]) -> list[dict[Any, Any]]:
    """Studies as dictionaries, of known keys."""
    some = isinstance(studies, pd.DataFrame) or all(isinstance(x, Mapping) for x in studies)
    fix = 'mm.combine_studies([{"mean": 2.1, "error": 0.4}])'
    if not some:
        checks.fail("studies", studies, "", "a table, or a list of dicts", fix)
    frame = pd.DataFrame(studies if isinstance(studies, pd.DataFrame) else [*studies])
    for name in frame.columns:
        if name not in KEYS:
            near = checks.closest(str(name), KEYS)
            more = f'did you mean "{near}"?' if near else "leave it out"
            checks.fail("studies", name, "", f"the columns {', '.join(KEYS)}", more)
    if frame.empty:
        checks.fail("studies", Phrase("none"), "", "at least one study", fix)
    return frame.to_dict("records")


def _log(i: int, row: Mapping[str, Any], prob: float) -> tuple[float, float]:
    """Mean and standard error of the log return of a study.

    Of an interval its ends; of mean and error the LogNormal of the same moments.
    """
    told = {n: row.get(n) for n in ("mean", "error", "lo", "hi")}
    told = {n: x for n, x in told.items() if x is not None and x == x}  # NaN of a table
    if {*told} not in ({"mean", "error"}, {"lo", "hi"}):
        got, fix = Phrase(checks.listing(told) if told else "none"), '"mean" and "error"'
        checks.fail(f"study {i}", got, "", "mean and error, or lo and hi", fix)
    fix = "a return above 0: of one that may be negative a prior cannot be LogNormal"
    for name, value in told.items():
        checks.number(f"{name} of study {i}", value, low=0, open_low=True, fix=fix)
    a, b = map(float, told.values())
    if "mean" in told:
        scale = math.log1p((b / a) ** 2)
        return math.log(a) - 0.5 * scale, math.sqrt(scale)
    if a >= b:
        checks.fail(f"hi of study {i}", b, "", f"above lo, {a:g}", "swap lo and hi")
    width = special.ndtri(0.5 + 0.5 * prob)
    return 0.5 * math.log(a * b), math.log(b / a) / (2.0 * width)


def _alike(
    rows: Sequence[Mapping[str, Any]],
    now: Any,
    dated: bool,
    context: Mapping[str, float] | None,
) -> tuple[np.ndarray, np.ndarray]:
    """Years since each study, NaN where that is not asked for, and its context's part."""
    told = [row.get("date") for row in rows]
    age = np.full(len(rows), np.nan)
    if dated:
        days = [day_of(f"date of study {i}", d) for i, d in enumerate(told, 1)]
        last = max(days) if now is None else day_of("now", now)
        if late := [d for d in days if d > last]:
            allowed, fix = f"a day up to now, {last}", f'now="{max(days)}"'
            checks.fail("date of a study", str(late[0]), "", allowed, fix)
        age = np.array([(last - d).days / YEAR for d in days])
    alike, known = np.ones(len(rows)), dict(context or {})
    for i, row in enumerate(rows if context is not None else ()):
        at, own = f"context of study {i + 1}", row.get("context")
        if own not in tuple(known):
            allowed = f"one of those of context ({checks.listing(known, 12)})"
            got = own if isinstance(own, str) else Phrase("none")
            checks.fail(at, got, "", allowed, "context={...: 0.5}")
        bounds: dict[str, Any] = {"low": 0, "high": 1, "open_low": True}
        alike[i] = checks.number(at, known[own], **bounds)
    return age, alike
