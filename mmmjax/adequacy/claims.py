"""Whether what a fit says of the noise, of media and of the baseline can be believed.

What cannot be true is serious where the posterior is sure of it: media above the whole
outcome, an outcome below 0 without media, noise that is not the size of the errors,
intervals that do not hold what they promise, a mean that explains nothing. What rests on
the prior, or cannot be told apart, is a warning: the model may be right and the answer
still an assumption.
"""

from collections.abc import Iterator, Sequence
from typing import Literal

import jax
import numpy as np
import pandas as pd
from scipy import stats

from mmmjax.adequacy.design import Design
from mmmjax.adequacy.evidence import Evidence
from mmmjax.adequacy.words import season, wider
from mmmjax.draws import Fit
from mmmjax.findings import Finding
from mmmjax.likelihood import Normal
from mmmjax.metrics import r2

__all__ = ["IMPOSSIBLE", "claims", "held_back", "left_over"]

SURE = 0.95  # posterior probability of a claim that cannot be true
LEVEL = 1e-4  # chance of a true model, for each check of the noise
PROMISED = 0.94  # of the outcome within its predictive interval
LITTLE = 0.1  # contraction below which an effect is its prior
WIDER = 0.5  # below minus this the data contradict: up to it skewed priors do as well
FAR = 3.0  # prior sd: an effect so far from its prior mean is held by its prior
TRADED = -0.8  # correlation of the effects of two channels that trade with each other
TIMES = 10.0  # times the return of all media: no channel is so much better
SOME = 0.05  # of the periods
IMPOSSIBLE = ("media_above_outcome", "negative_baseline")
"""Codes of what no residual shows: what the model says cannot be."""
NOUNS: dict[str, tuple[str, Literal["warning", "note"]]] = {
    "adstock": ("carry-over", "warning"),
    "saturation": ("curve", "note"),
    "exposures": ("curve of frequency", "note"),
}
"""Kernel -> what its parameters are of a channel, and how much a wider one matters."""


def claims(
    fit: Fit, seen: Evidence, rows: pd.DataFrame, parameters: pd.DataFrame
) -> Iterator[Finding]:
    """Look for what cannot be true of media, or rests on priors alone.

    Args:
        fit: The fit.
        seen: What its draws say.
        rows: Its :func:`mmmjax.prior_posterior`.
        parameters: Its :func:`mmmjax.summary`.
    """
    unit = fit.scale.outcome[:, None] * seen.seen
    whole = float(np.nansum(seen.outcome * unit))
    media = np.einsum("sgct,gt->sc", seen.channel, unit)
    if seen.alone is not None and media.shape[1]:
        together, alone = media.sum(1).mean(), seen.alone.sum(1).mean()
        gap = float(alone / together - 1.0) if together else 0.0
        yield Finding(
            "note",
            "not_additive",
            f"channels taken away one at a time bring {gap:+.1%} of what they contribute",
            value=gap,
            means="Under a log link effects multiply: a channel is worth more beside "
            "others. Contributions share what all media bring together, and add up to the "
            "mean of the outcome; returns are what goes with one channel alone",
        )
    law = fit.spec.likelihood
    if isinstance(law, Normal) and law.autoregressive:
        mean, p = seen.mu.mean(0), seen.noise
        with jax.enable_x64(True):
            last = law.left(mean, p, law.target(fit.panel, fit.scale))["y_start"]
        rho, unit = float(p["y_rho"].mean()), fit.scale.outcome
        ahead = (p["y_rho"] * law.size(mean[:, -1:], p) * np.asarray(last))[:, 0] @ unit
        gap = float(ahead / (mean[:, -1] @ unit))
        yield Finding(
            "note",
            "errors_last",
            f"errors last (correlation of neighbours {rho:.2f}): the next period is "
            f"expected {gap:+.1%} from the sum of its contributions",
            value=gap,
            means="A forecast goes on from the last errors and comes back to the mean; "
            "contributions, returns and plans are of that mean",
        )
    if whole > 0 and media.shape[1]:
        yield from _impossible(fit, seen, media / whole)
    if media.shape[1]:
        yield from _returns(fit, media)
        yield from _pairs(fit, media)
        yield from _priors(fit, rows, parameters)


def held_back(fit: Fit, rows: pd.DataFrame) -> Iterator[int]:
    """Channels whose effect the prior holds far below what the data say.

    Args:
        fit: The fit.
        rows: Its :func:`mmmjax.prior_posterior`.
    """
    effects = rows["parameter"] == "saturation_beta"
    far = rows["posterior_mean"] - rows["prior_mean"] > FAR * rows["prior_sd"]
    held = rows["index"][effects & far]
    for c, name in enumerate(fit.panel.channels):
        if any(index == name or index.endswith(f", {name}") for index in held):
            yield c


def left_over(
    fit: Fit,
    seen: Evidence,
    left: np.ndarray,
    designs: Sequence[Design],
    rows: pd.DataFrame,
    held: Sequence[int],
) -> Iterator[Finding]:
    """Whether the mean explains, priors let it, noise is as large as said, intervals hold.

    Args:
        fit: The fit.
        seen: What its draws say.
        left: Residuals as normal deviates, (geo, time).
        designs: One for each geo.
        rows: Its :func:`mmmjax.prior_posterior`.
        held: Channels whose effect is held by its prior.
    """
    here, name = seen.seen, fit.panel.outcome_name
    explained = r2(seen.outcome, seen.mu.mean(0))
    if explained <= 0:
        yield Finding(
            "serious",
            "explains_nothing",
            f"the model explains nothing of {name} (R2 {explained:.2f})",
            (),
            explained,
            "Its mean is no better than one number for all periods: priors hold it where "
            "the data are not, or nothing in the table moves the outcome",
            "Compare priors.csv with what is known, and remove lines of [model.priors] "
            "that hold a parameter far from its posterior",
        )
    within = apart = 0.0  # of what the model could have fitted, and beyond it
    for z, d in zip(left, designs, strict=True):
        z = np.where(d.seen, np.nan_to_num(z), 0.0)
        known = z @ d.basis
        within, apart = within + float(known @ known), apart + float(z @ z - known @ known)
    known, free = sum(d.basis.shape[1] for d in designs), sum(d.free for d in designs)
    noise = max(apart / free, 1e-12) if free > 0 else 1.0
    away = known > 0 and stats.f.sf(within / known / noise, known, max(free, 1)) < LEVEL
    beyond = known > 0 and stats.chi2.sf(within, known) < LEVEL  # the model's own noise
    if (away or beyond or held) and rows.notna().all(axis=1).any():
        yield _held(fit, rows, within / (within + apart), bool(beyond))
    tail = min(stats.chi2.sf(apart, free), stats.chi2.cdf(apart, free)) if free > 0 else 1
    if not (away or beyond) and tail < LEVEL:
        times = float(np.sqrt(apart / free))
        yield Finding(
            "serious",
            "noise",
            f"errors are {times:.2g} times as large as the noise of the model",
            tuple(filter(None, [fit.spec.likelihood.noise])),
            times,
            "A prior holds the noise, so that every interval is too "
            + ("narrow" if times > 1 else "wide"),
            fit.spec.likelihood.freed(),
        )
    inside = here & (np.abs(np.nan_to_num(left)) < stats.norm.ppf((1 + PROMISED) / 2))
    # geos that move together are fewer cells than they look
    n, met = (int(cells.sum()) // fit.panel.n_geos for cells in (here, inside))
    if n and stats.binom.cdf(met, n, PROMISED) < LEVEL:
        yield Finding(
            "serious",
            "coverage",
            f"{met / n:.0%} of {name} lie within intervals that promise {PROMISED:.0%}",
            (),
            met / n,
            "The intervals of forecasts and of plans are too narrow",
            "Mend what else is found first: a missing season, break or control makes "
            "errors that the noise of the model does not know",
        )


def _held(fit: Fit, rows: pd.DataFrame, lost: float, beyond: bool) -> Finding:
    """Priors that hold the model away; ``lost``: what it could fit of what is left over."""
    every = rows.dropna().to_dict("records")
    gaps = [abs(r["posterior_mean"] - r["prior_mean"]) / r["prior_sd"] for r in every]
    gap, row = max(zip(gaps, every, strict=True), key=lambda pair: pair[0])
    which = f"{row['parameter']} {row['index']}".strip()
    full, last = str(row["parameter"]), str(row["index"]).rpartition(", ")[2]
    if last in fit.panel.channels:
        own = fit.spec.media[fit.spec.owners(fit.panel)[fit.panel.channels.index(last)]]
        full = fit.spec.full(own, full) if full in own.parameters() else full
    return Finding(
        # beyond the noise, and the larger part of the errors
        "serious" if beyond and lost > 0.5 else "warning",
        "held_by_priors",
        f"priors hold the model away from the data: {lost:.0%} of what is left over "
        f"could be fitted ({which} lies {gap:.1f} prior sd from its prior mean)",
        (str(row["index"]),) if row["index"] else (),
        lost,
        "A channel that does more than its share of spend, or a level that the prior "
        "did not expect; the rest of the model makes up for it",
        wider(full, fit.spec),
    )


def _impossible(fit: Fit, seen: Evidence, shares: np.ndarray) -> Iterator[Finding]:
    """Media above the whole outcome, and less than nothing without them."""
    name, every = fit.panel.outcome_name, shares.sum(1)
    largest = np.argsort(-shares.mean(0))[:3]
    named = ", ".join(
        f"{fit.panel.channels[c]} {np.median(shares[:, c]):.0%}" for c in largest
    )
    if (sure := float((every > 1).mean())) > 0.5:
        share = float(np.median(every))
        yield Finding(
            "serious" if sure >= SURE else "warning",
            "media_above_outcome",
            f"channels add up to {share:.0%} of {name} ({named})",
            tuple(fit.panel.channels[c] for c in largest),
            share,
            "Spend that follows demand, a driver that no column has, or a baseline that "
            "may fall below 0 lets media explain more than there is",
            f"Add what drives demand under controls, write {season(fit.spec, 4)} or trend "
            "= true under [model], and look at the prior of intercept",
        )
    without = seen.mu - seen.channel.sum(2)  # (draw, geo, time)
    below = ((without < 0).mean(0) >= SURE) & seen.seen
    n, periods = int(below.sum()), int(seen.seen.sum())
    total = np.einsum("sgt,gt->s", without, seen.seen * fit.scale.outcome[:, None])
    sure = float((total < 0).mean())
    if sure > 0.5 or n > SOME * periods:
        where = f"in {n} of {periods} periods" if n else "in total"
        yield Finding(
            "serious" if sure >= SURE or n > SOME * periods else "warning",
            "negative_baseline",
            f"the baseline is negative: without media less than no {name} is expected "
            f"{where}",
            (),
            n / periods,
            "The effects of media are too large: what they leave cannot be",
            'Keep the baseline up: intercept = { dist = "HalfNormal", scale = 0.5 } under '
            "[model.priors], and add what drives demand under controls",
        )
    for c in np.flatnonzero(np.median(shares, 0) > 0.5):
        yield Finding(
            "warning",
            "channel_above_half",
            f"{fit.panel.channels[c]} alone brings {np.median(shares[:, c]):.0%} of {name}",
            (fit.panel.channels[c],),
            float(np.median(shares[:, c])),
            "Few channels do: spend that follows demand looks like this",
            "Test it: a lift test, or some weeks without it in some places",
        )


def _returns(fit: Fit, media: np.ndarray) -> Iterator[Finding]:
    """Returns that no channel has beside the others, or below 0."""
    panel = fit.panel
    spend = np.nansum(panel.spend[:, panel.window], axis=(0, 1))
    paid = np.flatnonzero(spend > 0)
    for c in paid:
        rest = np.setdiff1d(paid, c)
        if not rest.size:
            continue
        usual = media[:, rest].sum(1) / spend[rest].sum()
        own = media[:, c] / spend[c]
        if ((own > TIMES * usual) & (usual > 0)).mean() < SURE:
            continue
        times = float(np.median(own / usual))
        yield Finding(
            "warning",
            "implausible_return",
            f"the return of {panel.channels[c]} is {times:.0f} times that of the others",
            (panel.channels[c],),
            times,
            "A small channel that runs when demand is high is given what demand did, or "
            "its spend has another unit",
            "Look at its column (unit, currency, missing costs), and test it before money "
            "follows",
        )
    own = [fit.spec.media[k] for k in fit.spec.owners(panel)]
    for c in np.flatnonzero((media < 0).mean(0) >= SURE):
        yield Finding(
            "warning",
            "negative_effect",
            f"{panel.channels[c]} takes away {panel.outcome_name}",
            (panel.channels[c],),
            float(np.median(media[:, c])),
            "Media rarely do: spend that rises when demand falls looks like this",
            f"Write {fit.spec.full(own[c], 'saturation_beta')} = "
            '{ dist = "HalfNormal", scale = "media_share" } under [model.priors], and add '
            "what drives demand under controls",
        )


def _pairs(fit: Fit, media: np.ndarray) -> Iterator[Finding]:
    """Channels of which only the sum is known."""
    moving = media.std(0) > 0
    if moving.sum() < 2:
        return
    with np.errstate(invalid="ignore"):
        r = np.corrcoef(media, rowvar=False)
    for i, j in np.argwhere(np.triu(r < TRADED, 1)):
        names = (fit.panel.channels[i], fit.panel.channels[j])
        yield Finding(
            "warning",
            "pair",
            f"{names[0]} and {names[1]} cannot be told apart (correlation of their effects "
            f"{r[i, j]:.2f})",
            names,
            float(r[i, j]),
            "Only their sum is known: what one gains the other loses",
            "Read them as one channel, or run one without the other for some weeks",
        )


def _priors(fit: Fit, rows: pd.DataFrame, parameters: pd.DataFrame) -> Iterator[Finding]:
    """Channels whose effect, carry-over or curve is an assumption."""
    ess = np.maximum(parameters["ess_bulk"].to_numpy(float), 1)
    spec, nouns = fit.spec, dict[str, tuple[str, Literal["warning", "note"]]]()
    for term in spec.media:
        nouns["saturation_beta"] = ("effect", "warning")
        for what, kernel in term.steps():
            nouns |= {name: NOUNS[what] for name in kernel.parameters()}
    for parameter, (noun, wide) in nouns.items():
        wider, same, least = [], [], 0.0
        for row, size in zip(rows.to_dict("records"), ess, strict=True):
            if row["parameter"] != parameter or not np.isfinite(row["contraction"]):
                continue
            error = 2 * np.sqrt(2 / size)  # of Monte Carlo
            if row["contraction"] < -WIDER - error:
                wider.append(str(row["index"]))
                least = min(least, float(row["contraction"]))
            elif -error <= row["contraction"] < LITTLE:
                same.append(str(row["index"]))
        if wider:
            yield Finding(
                wide,
                "wider_than_prior",
                f"the {noun} of {', '.join(wider)} is less certain after the data than "
                "before",
                tuple(wider),
                least,
                "The data pull away from the prior without saying where to: what the model "
                f"says of {noun} may be wrong",
                "Test the channel, or say what is known of it under [model.priors]",
            )
        if same and noun == "effect":  # a curve or carry-over that is its prior is usual
            yield Finding(
                "warning",
                "prior_dominated",
                f"the {noun} of {', '.join(same)} is its prior: the data say nothing of it",
                tuple(same),
                LITTLE,
                "The number is an assumption, not a measurement",
                "Test the channel, or say what is known of it under [model.priors]",
            )
