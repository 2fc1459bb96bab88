"""Whether what a fit says of media and of the baseline can be believed."""

from collections.abc import Iterator

import numpy as np
import pandas as pd

from mmmjax.adequacy.evidence import Evidence
from mmmjax.draws import Fit
from mmmjax.findings import Finding

__all__ = ["claims"]

SURE = 0.95  # posterior probability of a claim that cannot be true


def claims(fit: Fit, seen: Evidence, parameters: pd.DataFrame) -> Iterator[Finding]:
    """Look for what cannot be true, or rests on priors alone."""
    yield from _shares(fit, seen)


def _shares(fit: Fit, seen: Evidence) -> Iterator[Finding]:
    """Media above the whole outcome, and a baseline below nothing."""
    unit = fit.scale.outcome[:, None] * seen.seen
    whole = float(np.nansum(seen.outcome * unit))
    media = np.einsum("sgct,gt->sc", seen.channel, unit) / whole
    baseline = np.einsum("sgt,gt->s", seen.baseline, unit) / whole
    every = media.sum(1)
    if (sure := float((every > 1).mean())) > 0.5:
        share = float(np.median(every))
        largest = np.argsort(-media.mean(0))[:3]
        yield Finding(
            "serious" if sure >= SURE else "warning",
            "media_above_outcome",
            f"media add up to {share:.0%} of {fit.panel.outcome_name}",
            tuple(fit.panel.channels[c] for c in largest),
            share,
            "Spend that follows demand, a driver that no column has, or an intercept that "
            "may fall below 0 lets media explain more than there is",
            "Add what drives demand under controls, write seasonality = { order = 4 } or "
            "trend = true under [model], and look at the prior of intercept",
        )
    if (sure := float((baseline < 0).mean())) > 0.5:
        share = float(np.median(baseline))
        yield Finding(
            "serious" if sure >= SURE else "warning",
            "negative_baseline",
            f"the baseline is negative ({share:.0%} of {fit.panel.outcome_name})",
            (),
            share,
            "Without media the model would expect less than nothing",
            'Keep it up: intercept = { dist = "HalfNormal", scale = 0.5 } under '
            "[model.priors]",
        )
