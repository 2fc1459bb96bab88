"""The verdicts: findings of the draws and of the model, and the sentences over them."""

import logging
from dataclasses import dataclass, replace
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np
import pandas as pd

from mmmjax import exploration
from mmmjax.added import ADDED, without_added
from mmmjax.adequacy import words
from mmmjax.adequacy.battery import Tested, battery, deviates
from mmmjax.adequacy.claims import IMPOSSIBLE, claims, held_back, left_over
from mmmjax.adequacy.design import design
from mmmjax.adequacy.evidence import Evidence, evidence
from mmmjax.arguments import checked
from mmmjax.convergence import MAX_R_HAT, MIN_ESS_PER_CHAIN
from mmmjax.criticism import prior_posterior
from mmmjax.draws import (
    MAX_DIVERGENCE_RATE,
    MIN_BFMI,
    Diagnostics,
    Fit,
    diagnostics,
    summary,
)
from mmmjax.experiments import conflicts
from mmmjax.findings import LOG, Finding, ranked

__all__ = ["UNSEEN", "Judged", "Verdict", "judge", "judge_model"]

UNSEEN = (
    "What moves both spend and the outcome and is in no column leaves no trace that a "
    "check of one fit could see: only an experiment (a lift test) shows it"
)
"""The last sentence of every verdict."""

_KNOWN: WeakKeyDictionary[Fit, "Judged"] = WeakKeyDictionary()


@dataclass(frozen=True)
class Verdict:
    """One of the two verdicts.

    Args:
        ok: Whether the draws, or the model, can be used.
        findings: What speaks against it, the most severe first; notes and warnings may
            stand beside ``ok``.
        sentence: The verdict in one sentence, with a full stop.
    """

    ok: bool
    findings: tuple[Finding, ...]
    sentence: str

    def to_dict(self) -> dict[str, Any]:
        """As diagnostics.json has it: ok, sentence, findings."""
        found = [finding.to_dict() for finding in self.findings]
        return {"ok": self.ok, "sentence": self.sentence, "findings": found}

    def __str__(self) -> str:
        """Sentence, then a line a finding."""
        return "\n".join([self.sentence, *(f"  {finding}." for finding in self.findings)])


@dataclass(frozen=True)
class Judged:
    """Both verdicts on a fit, and what its data make hard.

    Args:
        sampled: Whether the sampler did its work.
        adequate: Whether the model describes the data.
        data: What :func:`mmmjax.warnings` says of the training panel.
    """

    sampled: Verdict
    adequate: Verdict
    data: tuple[Finding, ...] = ()

    @property
    def ok(self) -> bool:
        """Whether both verdicts are."""
        return self.sampled.ok and self.adequate.ok

    @property
    def sentence(self) -> str:
        """The honest sentence on top: both verdicts, and what neither can see."""
        return f"{self.sampled.sentence} {self.adequate.sentence} {UNSEEN}."

    @property
    def condition(self) -> str:
        """What every claim of this fit is subject to; empty where it is adequate."""
        if self.adequate.ok:
            return ""
        serious = [one.code for one in self.adequate.findings if one.level == "serious"]
        by = "its own results" if set(serious) <= set(IMPOSSIBLE) else "the residuals"
        return f"if the model holds, which {by} contradict"

    @property
    def findings(self) -> tuple[Finding, ...]:
        """Every finding, the most severe first: of draws, of the model, of the data."""
        return ranked((*self.sampled.findings, *self.adequate.findings, *self.data))

    def to_dict(self) -> dict[str, Any]:
        """What it adds to diagnostics.json: sampled, adequate, and the sentence on top."""
        verdicts = {n: getattr(self, n).to_dict() for n in ("sampled", "adequate")}
        return {**verdicts, "sentence": self.sentence}

    def __str__(self) -> str:
        """Sentence, then a line a finding."""
        return "\n".join([self.sentence, *(f"  {finding}." for finding in self.findings)])


@checked
def judge(
    fit: Fit,
    found: Diagnostics | None = None,
    parameters: pd.DataFrame | None = None,
    priors: pd.DataFrame | None = None,
) -> Judged:
    """Say whether a fit is sampled and whether its model is adequate; samples nothing.

    Judged once for each fit: asked again, the same answer comes at once.

    Args:
        fit: The fit.
        found: Its :func:`mmmjax.diagnostics`, if at hand.
        parameters: Its :func:`mmmjax.summary`, if at hand.
        priors: Its :func:`mmmjax.prior_posterior`, if at hand.
    """
    if fit not in _KNOWN and ADDED in fit.info:
        made = judge(without_added(fit))  # nothing was learned of the others
        more = []
        for one in fit.info[ADDED]:
            told = {n: x for n, x in one.items() if n not in ("try", "where")}
            more.append(Finding(**told, where=tuple(one["where"]), remedy=one["try"]))
        every = ranked((*made.adequate.findings, *more))
        _KNOWN[fit] = replace(made, adequate=replace(made.adequate, findings=every))
    if fit not in _KNOWN:
        parameters = summary(fit) if parameters is None else parameters
        found = diagnostics(fit, parameters) if found is None else found
        adequate = judge_model(fit, evidence(fit), parameters, priors)
        data = exploration.warnings(fit.panel)
        for one in adequate.findings:
            level = logging.INFO if one.level == "note" else logging.WARNING
            LOG.log(level, "%s", one.message, extra={"event": "finding"})
        _KNOWN[fit] = Judged(_sampled(found), adequate, data)
    return _KNOWN[fit]


def judge_model(
    fit: Fit, seen: Evidence, parameters: pd.DataFrame, priors: pd.DataFrame | None = None
) -> Verdict:
    """The verdict on the model alone, from what its draws say; see :func:`judge`."""
    if not np.isfinite(seen.mu).all():
        what = "the draws are not finite, so nothing could be tested"
        return _adequate((Finding("serious", "not_finite", what),), None)
    rows = prior_posterior(fit, parameters) if priors is None else priors
    held = tuple(held_back(fit, rows))
    designs = [design(fit, seen, geo, held) for geo in range(fit.panel.n_geos)]
    left = deviates(fit, seen)
    tested = battery(designs, left)
    said = [*claims(fit, seen, rows, parameters), *words.untested(tested, seen)]
    said += [*left_over(fit, seen, left, designs, rows, held), *conflicts(fit)]
    said += [] if tested is None else words.said(fit, tested)
    said = [words.not_again(one, fit.spec) for one in said]
    return _adequate(ranked(said), tested)


def _sampled(n: Diagnostics) -> Verdict:
    """The verdict of :func:`mmmjax.diagnostics` as findings."""
    few = MIN_ESS_PER_CHAIN * n.n_chains
    more = "Sample longer: more draws in [sampler], or --draws"
    wander = "The chains do not agree yet on where this parameter lies"
    slow = "The draws of this parameter hang together: its interval rests on few of them"
    jump = (
        "The sampler could not follow the posterior everywhere: parts of it may be missed"
    )
    careful = 'Raise target_accept in [sampler] to 0.95, or take kind = "nuts"'
    rate = n.divergence_rate
    tests = [
        (
            n.max_r_hat > MAX_R_HAT,
            "r_hat",
            f"R-hat {n.max_r_hat:.3f} of {n.worst_r_hat}",
            n.max_r_hat,
            wander,
            more,
        ),
        (
            n.min_ess_bulk < few,
            "ess_bulk",
            f"bulk ESS {n.min_ess_bulk:.0f} of {n.worst_ess_bulk}, below {few}",
            n.min_ess_bulk,
            slow,
            more,
        ),
        (
            n.min_ess_tail < few,
            "ess_tail",
            f"tail ESS {n.min_ess_tail:.0f} of {n.worst_ess_tail}, below {few}",
            n.min_ess_tail,
            slow,
            more,
        ),
        (
            rate > MAX_DIVERGENCE_RATE,
            "divergences",
            f"{n.divergences} divergences, {rate:.1%} of the draws",
            rate,
            jump,
            careful,
        ),
    ]
    found = [
        Finding("serious", code, what, value=value, means=means, remedy=remedy)
        for bad, code, what, value, means, remedy in tests
        if bad
    ]
    why = n.verdict.partition(" (")[2].removesuffix(")")
    if not n.converged and not found:
        found.append(Finding("serious", "draws", why))
    if n.converged and why:
        care = "energy" if n.min_bfmi < MIN_BFMI else "divergences"
        found.append(Finding("warning", care, why, means=jump, remedy=careful))
    sentence = "Sampled well." if n.converged else f"Not sampled well: {why}."
    return Verdict(n.converged, tuple(found), sentence)


def _adequate(found: tuple[Finding, ...], tested: Tested | None) -> Verdict:
    """The verdict on the model from its findings."""
    serious = [finding for finding in found if finding.level == "serious"]
    sentence = "Adequate: no test of what is left over contradicts the model."
    if tested is None:
        sentence = "Adequacy not tested: too few periods for what the model fits."
    if serious:
        sentence = f"Not adequate: {'; '.join(f.what for f in serious[:3])}."
    return Verdict(not serious, found, sentence)
