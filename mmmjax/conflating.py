r"""Drift or saturation: whether data tell an effect that fades from a curve that bends.

A channel whose spend grew while its return fell has a curve that bends, or an effect that
moved, and plans of the two are opposites: spend less, or wait. For each channel two fits
that differ in nothing else say how well either explains the series: its own saturation and
an effect that stays ("saturation"), and an effect in proportion to carried-over media that
moves ("drift"). The one whose expected log predictive density is larger, by PSIS-LOO, is
named where the difference is beyond 2 of its standard errors and 4 nats; below that such
differences mean little (Sivula, Magnusson, Matamoros and Vehtari 2020,
arXiv:2008.10296, section 5), and the report says "cannot tell": :func:`mmmjax.separate`
plans the weeks that would.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from mmmjax import checks, convergence
from mmmjax.arguments import checked
from mmmjax.checks import Phrase, fail
from mmmjax.draws import Fit
from mmmjax.findings import Finding
from mmmjax.fleet.run import fit_fleet
from mmmjax.kernels.saturation import Logistic, NoSaturation
from mmmjax.panel import Panel
from mmmjax.posterior.contributions import contributions
from mmmjax.posterior.multipliers import multipliers
from mmmjax.prediction import log_likelihood
from mmmjax.prior import Prior
from mmmjax.samplers import HMC
from mmmjax.shapes import CHAIN, DRAW
from mmmjax.spec import Spec
from mmmjax.stacking import scores
from mmmjax.terms.moving import Process

__all__ = ["KINDS", "Conflation", "as_drift_and_saturation", "conflation", "said", "told"]

KINDS = ("saturation", "drift")
USUAL = HMC(chains=4, warmup=300, draws=250)
UNSURE = "cannot tell"
WATCHED = "watched"  # name of the term of the channel
ERRORS, NATS = 2.0, 4.0
R_HAT = 1.05  # of the log likelihood: how fast a drift is mixes slower, and is not scored
ENDS = (0.1, 0.9)  # quantiles of spend that a range goes from and to
Z94 = 1.8808  # standard errors of half a 94% interval


@dataclass(frozen=True, eq=False)
class Conflation:
    """How far drift and saturation explain the same thing, channel by channel.

    Args:
        table: A row for each channel: channel, verdict ("drift", "saturation" or "cannot
            tell"), difference (of expected log predictive densities, saturation less
            drift, nats), difference_se, overlap (of the posteriors of the channel's
            contributions under the two, mean over periods: 1 the same, 0 nothing shared),
            and media a period, money where it is paid, 10% to 90% quantile over the
            periods that had any: strong_lo, strong_hi where the drifting effect is above
            its mean, weak_lo, weak_hi where it is below, shared (the part of both ranges
            together that both cover: at 0 no spend was ever seen at two effects); sampled
            (whether the chains of both fits agree on what is scored, the log likelihood:
            its R-hat is at most 1.05), bad_k (periods whose score is a guess).
        fits: {channel: {"saturation": Fit, "drift": Fit}}.
    """

    table: pd.DataFrame
    fits: Mapping[str, Mapping[str, Fit]]

    def findings(self) -> tuple[Finding, ...]:
        """What each channel's row says."""
        return said(self.table)

    def __str__(self) -> str:
        """The table, and what it says."""
        told = [one.message for one in self.findings()]
        return "\n".join([self.table.round(2).to_string(index=False), *told])


def said(table: pd.DataFrame) -> tuple[Finding, ...]:
    """What each row of a report says."""
    out = []
    for row in table.to_dict("records"):
        by = f"{abs(row['difference']):.1f} nats (standard error "
        by += f"{row['difference_se']:.1f})"
        where = (str(row["channel"]),)
        if row["verdict"] != UNSURE:
            other = KINDS[row["verdict"] == KINDS[0]]
            what = f"{row['channel']}: {row['verdict']} explains it better than "
            what += f"{other} by {by}"
            out.append(Finding("note", "told_apart", what, where, row["difference"]))
            continue
        what = f"{row['channel']}: drift and saturation explain the same, {by}"
        if not row["sampled"]:
            what = f"{row['channel']}: chains do not agree, sample longer"
        means = f"{row['shared']:.0%} of its spend was seen at a strong and a weak effect"
        fix = f'Weeks that tell: mm.separate(found, "{row["channel"]}"), or --separate 13'
        out.append(
            Finding("warning", "conflated", what, where, row["difference"], means, fix)
        )
    return tuple(out)


@checked
def conflation(
    source: Fit | Panel,
    spec: Spec | None = None,
    *,
    channels: Sequence[str] | None = None,
    sampler: HMC | None = None,
    seed: int = 0,
    progress: bool | None = None,
) -> Conflation:
    """Fit each channel as drifting and as saturating, and say which the data prefer.

    Args:
        source: A fit, or a panel with `spec`. Facts of the panel count in all fits.
        spec: The model; None: that of the fit.
        channels: Which; None: all. Two fits each, all of them one fleet.
        sampler: Settings; by default 4 chains of 300 + 250 and up to 1,000, of which what
            is scored needs no more; `sampled` says whether it was enough.
        seed: Of the fleet.
        progress: Show live progress; None shows it on a terminal only.

    Raises:
        InputError: A panel without a spec, a channel that is none, or fits that fail.
    """
    panel = source.panel if isinstance(source, Fit) else source
    spec = source.spec if isinstance(source, Fit) and spec is None else spec
    if spec is None:
        fail("spec", None, "", "the model, with a panel", "mm.conflation(panel, mm.Spec())")
    names = list(panel.channels if channels is None else channels)
    for name in names:
        checks.choice("channels", name, panel.channels)
    specs = {
        f"{name}: {kind}": one
        for name in names
        for kind, one in as_drift_and_saturation(spec, panel, name).items()
    }
    if not specs:
        fail("channels", Phrase("none"), "", "a channel or more", "leave channels out")
    panels = dict.fromkeys(specs, panel)
    fleet = fit_fleet(
        specs, panels, sampler, seed=seed, on_empty="error", progress=progress
    )
    for name in specs:
        if name not in fleet:
            row = fleet.table[fleet.table["market"] == name].iloc[0]
            got = Phrase(f"{row.status}: {row.reason}")
            fail("channels", got, f'"{name}"', "one that can be fitted", "leave it out")
    fits = {name: {k: fleet[f"{name}: {k}"] for k in KINDS} for name in names}
    return Conflation(pd.DataFrame([told(n, pair) for n, pair in fits.items()]), fits)


def as_drift_and_saturation(spec: Spec, panel: Panel, channel: str) -> dict[str, Spec]:
    """The model with one channel as a term of its own, either way.

    Its carry-over, and priors that a user gave, are those of the term that it had.
    """
    owner = spec.media[spec.owners(panel)[panel.channels.index(channel)]]
    mine = [
        name
        for name, at in zip(panel.channels, spec.owners(panel), strict=True)
        if spec.media[at] is owner
    ]
    others = tuple(name for name in mine if name != channel)
    rest = tuple(term for term in spec.terms if term is not owner)
    if owner in spec.terms and others:
        rest = (*rest, replace(owner, channels=others))
    taken = {term.name for term in spec.parts if term is not owner}
    name_of = WATCHED if WATCHED not in taken else f"{WATCHED}_{channel}"
    saturation = owner.saturation
    saturation = Logistic() if isinstance(saturation, NoSaturation) else saturation
    movers = owner.movers or (Process(),)
    ways = {
        "saturation": {"saturation": saturation, "moving": ()},
        "drift": {"saturation": NoSaturation(), "moving": movers},
    }
    usual = replace(spec, priors={}).priors
    out = {}
    for kind, way in ways.items():
        term = replace(owner, name=name_of, channels=(channel,), **way)
        priors = {n: p for n, p in spec.priors.items() if p != usual.get(n)}
        for name in owner.parameters():
            given = priors.pop(spec.full(owner, name), None)
            if given is None:
                continue
            if name in term.parameters():
                priors[f"{name_of}.{name}"] = _of(given, mine, (channel,))
            if others:
                priors[spec.full(owner, name)] = _of(given, mine, others)
        out[kind] = replace(spec, terms=(*rest, term), priors=priors)
    return out


def _r_hat(fit: Fit) -> float:
    """R-hat of the log likelihood."""
    log = log_likelihood(fit)
    total: Any = sum(x.fillna(0.0).sum(set(x.dims) - {CHAIN, DRAW}) for x in log.values())
    rows = total.transpose(CHAIN, DRAW).to_numpy()[None].astype(float)
    return float(convergence.r_hat(rows)[0])


def _of(prior: Any, mine: Sequence[str], kept: Sequence[str]) -> Any:
    """A prior for some channels of a term: of lists of numbers theirs."""
    if isinstance(prior, tuple) and len(prior) == len(mine):
        return tuple(x for x, name in zip(prior, mine, strict=True) if name in kept)
    if not isinstance(prior, Prior):
        return prior
    dims = None if prior.dims is None else [d.rpartition(".")[2] for d in prior.dims]
    new = Prior(prior.family, dims=dims, **{k: _of(v, mine, kept) for k, v in prior.params})
    pool = tuple((dim.rpartition(".")[2], _of(p, mine, kept)) for dim, p in prior.pool)
    object.__setattr__(new, "pool", pool)
    return new


def told(channel: str, fits: Mapping[str, Fit]) -> dict[str, Any]:
    """The row of one channel: see :class:`Conflation`.

    Args:
        channel: Its name.
        fits: {"saturation": Fit, "drift": Fit}, of :func:`as_drift_and_saturation`.
    """
    scored: Any = scores(fits).set_index("model")
    difference = float(scored.at["saturation", "elpd"] - scored.at["drift", "elpd"])
    error = float(scored["difference_se"].max())
    sampled = all(_r_hat(fits[kind]) <= R_HAT for kind in KINDS)
    clear = sampled and abs(difference) > max(NATS, ERRORS * error)
    row = {
        "channel": channel,
        "verdict": KINDS[difference < 0] if clear else UNSURE,
        "difference": difference,
        "difference_se": error,
    }
    means, sds = [], []
    for kind in KINDS:
        found = contributions(fits[kind], total=True)["channel_contribution"]
        mean, lo, hi = found.sel(channel=channel).squeeze("geo").to_numpy()
        means.append(mean)
        sds.append((hi - lo) / (2 * Z94))
    panel = fits["drift"].panel
    c = panel.channels.index(channel)
    spend = np.asarray(panel.spend if panel.paid[c] else panel.media)[:, panel.window, c]
    spend = np.where(panel.present[:, panel.window], spend, 0.0).sum(0)
    squares, ran = sds[0] ** 2 + sds[1] ** 2, (spend > 0) & (sds[0] * sds[1] > 0)
    safe = np.where(squares > 0, squares, 1.0)
    same = np.sqrt(2 * sds[0] * sds[1] / safe)  # the Bhattacharyya coefficient of normals
    same = same * np.exp(-((means[0] - means[1]) ** 2) / (4 * safe))
    row["overlap"] = float(same[ran].mean()) if ran.any() else np.nan
    moved: Any = multipliers(fits["drift"], after=0)
    moved = moved[moved["channel"] == channel].groupby("date")["mean"].mean().to_numpy()
    ranges = {}
    for name, there in (("strong", moved >= 1), ("weak", moved < 1)):
        seen = spend[(spend > 0) & there]
        ends = np.quantile(seen, ENDS) if seen.size else np.full(2, np.nan)
        ranges[name] = ends
        row |= {f"{name}_lo": float(ends[0]), f"{name}_hi": float(ends[1])}
    (a, b), (c_, d) = ranges.values()
    whole = max(b, d) - min(a, c_)
    row["shared"] = float(max(min(b, d) - max(a, c_), 0.0) / whole) if whole > 0 else 0.0
    return row | {"sampled": sampled, "bad_k": int(scored["bad_k"].sum())}
