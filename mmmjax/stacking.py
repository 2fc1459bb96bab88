"""Candidates compared by what they would have predicted, and mixed by it.

Each candidate is judged by its expected log predictive density, period by period, by
Pareto smoothed importance sampling (Vehtari, Gelman, Gabry 2017, doi:10.1007/
s11222-016-9696-4; computed by ArviZ). Stacking weights (Yao, Vehtari, Simpson, Gelman 2018,
doi:10.1214/17-BA1091) make of them the mixture that predicts best, and its draws are those
of the candidates, as many of each as its weight: where the data cannot tell an S from a
bend, both stay in every number that follows.

Leaving one period out leaves its neighbours in, and what media did in it acts on in them:
in time series these scores flatter all candidates, most those that bend to the season. They
rank shapes of curves and carry-overs; whether a model forecasts is for :func:`backtest`.
"""

import contextlib
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, Literal

import arviz
import numpy as np
import pandas as pd

from mmmjax import checks, words
from mmmjax.arguments import checked
from mmmjax.checks import Phrase
from mmmjax.draws import MAX_PARETO_K, Draws, Fit, diagnostics
from mmmjax.fleet.run import fit_fleet
from mmmjax.kernels import mixed
from mmmjax.kernels.adstock import Mixed as MixedAdstock
from mmmjax.kernels.saturation import Mixed as MixedSaturation
from mmmjax.panel import Panel
from mmmjax.samplers import Sampler
from mmmjax.spec import Spec
from mmmjax.terms import Media

__all__ = ["Compared", "compare_specs", "scores", "stack"]

ROLES = {"adstock": MixedAdstock, "saturation": MixedSaturation}


@dataclass(frozen=True, eq=False)
class Compared:
    """Candidates and what they would have predicted.

    Args:
        table: A row for each candidate, the best first: model, elpd (expected log
            predictive density of the outcome, the larger the better), se, difference to the
            best and difference_se, weight (of stacking, sum 1), effective_parameters,
            bad_k (periods whose estimate is not reliable, Pareto k above 0.7), r_hat,
            sampled (whether its draws can be used). A candidate with a chain that never
            moved has no score and the weight 0.
        fits: Their fits by name.
    """

    table: pd.DataFrame
    fits: Mapping[str, Fit]

    @property
    def weights(self) -> dict[str, float]:
        """Stacking weight of each candidate."""
        return dict(zip(self.table["model"], self.table["weight"], strict=True))

    def stacked(self, seed: int = 0) -> Fit:
        """One fit of all candidates, mixed by their weights: see :func:`stack`."""
        return stack(self.fits, self.weights, seed=seed)

    def __str__(self) -> str:
        """The table, and what it cannot see."""
        bad = int(self.table["bad_k"].to_numpy().sum())
        said = words.lines(*words.columns(self.table))
        if bad:
            said.append(
                f"{bad} periods weigh so much that their scores are guesses (bad_k)"
            )
        said.append(
            "Each period is scored with its neighbours known: how far ahead a model sees "
            "is for mm.backtest"
        )
        return "\n".join(said)


@checked
def compare_specs(
    specs: Mapping[str, Spec],
    panel: Panel,
    sampler: Sampler | None = None,
    *,
    seed: int = 0,
    on_empty: Literal["error", "drop", "prior"] = "error",
    progress: bool | None = None,
) -> Compared:
    """Fit candidates side by side, as a fleet, and compare them by PSIS-LOO.

    Args:
        specs: Candidates by name, two or more.
        panel: The training data.
        sampler: As for :func:`mmmjax.fit_fleet`.
        seed: Of the fleet.
        on_empty: As for :func:`mmmjax.fit`.
        progress: Show live progress; None shows it on a terminal only.

    Raises:
        InputError: One candidate, or one that cannot be fitted, with its reason.
    """
    if len(specs) < 2:
        fix = '{"bend": mm.Spec(), "s": mm.Spec(saturation=mm.saturation.Hill())}'
        checks.fail("specs", Phrase(f"{len(specs)}"), "", "two candidates or more", fix)
    panels = dict.fromkeys(specs, panel)
    fleet = fit_fleet(
        specs, panels, sampler, seed=seed, on_empty=on_empty, progress=progress
    )
    for name in specs:
        if name not in fleet:
            row = fleet.table[fleet.table["market"] == name].iloc[0]
            got = Phrase(f"{row.status}: {row.reason}")
            checks.fail("specs", got, f'"{name}"', "one that can be fitted", "leave it out")
    return compared({name: fleet[name] for name in specs})


def compared(fits: Mapping[str, Fit]) -> Compared:
    """The same of fits that are there: see :func:`compare_specs`."""
    _alike(fits)
    return Compared(scores(fits), dict(fits))


def scores(fits: Mapping[str, Fit]) -> pd.DataFrame:
    """The table of :class:`Compared` of any fits of the same outcomes."""
    each = loo(fits)
    stuck = {name: None for name in fits if name not in each}
    if len(each) < 2:
        got = Phrase(f"chains that do not move in {checks.listing(stuck, 12)}")
        fix = "sample them longer, or compare others"
        checks.fail("fits", got, "", "two candidates whose draws can be scored", fix)
    table: Any = arviz.compare(each, method="stacking", round_to="none")
    rows = []
    for name, row in table.iterrows():
        k, judged = np.asarray(each[name].pareto_k), diagnostics(fits[name])
        rows.append(
            {
                "model": name,
                "elpd": row["elpd"],
                "se": row["se"],
                "difference": -abs(row["elpd_diff"]),
                "difference_se": row["dse"],
                "weight": row["weight"],
                "effective_parameters": row["p"],
                "bad_k": int((~(k <= MAX_PARETO_K)).sum()),
                "r_hat": judged.max_r_hat,
                "sampled": judged.converged,
            }
        )
    out = pd.DataFrame(rows)
    for name in stuck:
        row = {"model": name, "weight": 0.0, "bad_k": int(fits[name].panel.mask.sum())}
        row |= {"r_hat": diagnostics(fits[name]).max_r_hat, "sampled": False}
        out.loc[len(out), list(row)] = list(row.values())
    return out.astype({"sampled": bool, "bad_k": int})


def loo(fits: Mapping[str, Fit]) -> dict[str, Any]:
    """ArviZ's PSIS-LOO of each, pointwise; not of fits with chains that never moved.

    Those have no tail to smooth. What is not reliable is in Pareto k, not in warnings.
    """
    each: dict[str, Any] = {}
    for name, fit in fits.items():
        quiet = warnings.catch_warnings(action="ignore", category=UserWarning)
        with quiet, contextlib.suppress(ValueError):
            each[name] = arviz.loo(fit.to_arviz(log_likelihood=True), pointwise=True)
    return each


@checked
def stack(
    fits: Mapping[str, Fit],
    weights: Mapping[str, float] | None = None,
    *,
    seed: int = 0,
) -> Fit:
    """One fit whose draws are those of several, as many of each as its weight.

    Contributions, returns, forecasts and plans of it are those of the mixture; which fit a
    draw is of is in ``adstock_which`` and ``saturation_which``. Parameters of a kernel keep
    their posterior under it, beside each other as "saturation_lam_logistic" and so on.

    Args:
        fits: By name: of one panel, with one likelihood and the same terms but for the
            kernels of their media.
        weights: By name, not negative; they are divided by their sum. None: stacking
            weights by PSIS-LOO.
        seed: Of the order of the draws.

    Raises:
        InputError: Fits that cannot be mixed, or weights that are none.
    """
    if weights is None:
        weights = compared(fits).weights
    _alike(fits)
    if set(weights) != set(fits):
        fix = "one for each fit, 0 to leave it out"
        checks.fail("weights", sorted(weights), "", checks.listing(sorted(fits), 12), fix)
    share = np.array([checks.number(f"weight of {n}", weights[n], low=0) for n in fits])
    if not share.sum() > 0:
        checks.fail("weights", dict(weights), "", "one above 0", "weights=None")
    share = share / share.sum()
    count = min(fit.draws.n_draws for fit in fits.values())
    number = np.floor(share * count).astype(int)
    short = np.argsort(number - share * count, kind="stable")[: count - number.sum()]
    number[short] += 1
    names = [name for name, n in zip(fits, number, strict=True) if n]
    kept = [fits[name] for name in names]
    owner = np.repeat(np.arange(len(names)), number[number > 0])
    owner = np.random.default_rng(seed).permutation(owner)
    info = dict(kept[0].info) | {
        "stacked": dict(zip(fits, share.tolist(), strict=True)),
        "notes": [
            f"{n} of {count} draws a chain are of {name}"
            for name, n in zip(fits, number.tolist(), strict=True)
        ],
    }
    spec, draws = _mixed(kept, owner)
    first = kept[0]
    return Fit(spec, first.panel, first.scale, first.sampler, draws, seed, info)


def _mixed(fits: Sequence[Fit], owner: np.ndarray) -> tuple[Spec, Draws]:
    """The spec of all fits and their draws, the one of ``owner`` (draw,) in each draw."""
    first, chains = fits[0], min(fit.draws.n_chains for fit in fits)
    place = np.empty(len(owner), int)  # which draw of its fit, evenly spaced
    for k, fit in enumerate(fits):
        own = np.flatnonzero(owner == k)
        place[own] = np.linspace(0, fit.draws.n_draws - 1, own.size).round().astype(int)

    def taken(names: Sequence[str], of: np.ndarray) -> np.ndarray:
        """Draws of a parameter, of the fits that ``of`` (draw,) numbers."""
        at = np.where(of == owner, place, np.arange(len(of)))
        arrays = [fit.draws.params[n] for fit, n in zip(fits, names, strict=True) if n]
        numbers = np.cumsum([bool(n) for n in names]) - 1
        out = np.empty((chains, len(of), *arrays[0].shape[2:]), arrays[0].dtype)
        for k in np.unique(of):
            own = of == k
            out[:, own] = arrays[numbers[k]][:chains, at[own]]
        return out

    changes: dict[str, dict[str, Any]] = {term.name: {} for term in first.spec.media}
    priors: dict[str, Any] = {}
    params: dict[str, np.ndarray] = {}
    gone: set[str] = set()
    for j, term in enumerate(first.spec.media):
        for role, kind in ROLES.items():
            each = [getattr(fit.spec.media[j], role) for fit in fits]
            kernels = tuple(dict.fromkeys(each))
            if len(kernels) == 1:
                continue
            changes[term.name][role] = kind(kernels)
            number = np.array([kernels.index(kernel) for kernel in each])
            which = first.spec.full(term, f"{role}_which")
            half = np.broadcast_to(number[owner] + 0.5, (chains, len(owner)))
            params[which] = np.array(half, np.float64)
            for k, own in enumerate(mixed.names(kernels)):
                holders = np.flatnonzero(number == k)
                of = np.where(number[owner] == k, owner, holders[0])
                spec = fits[holders[0]].spec
                for name, new in own.items():
                    old, full = (first.spec.full(term, n) for n in (name, new))
                    priors[full] = spec.priors[old]
                    for stored in _stored(spec, old, fits[holders[0]]):
                        names = [stored if n == k else "" for n in number]
                        params[full + stored.removeprefix(old)] = taken(names, of)
                        gone.add(stored)
    for name in first.draws.params:
        if name not in gone:
            params[name] = taken([name] * len(fits), owner)
    stats = set.intersection(*({*fit.draws.stats} for fit in fits))
    columns = {
        n: np.stack(
            [fits[k].draws.stats[n][:chains, p] for k, p in zip(owner, place, strict=True)],
            axis=1,
        )
        for n in sorted(stats)
    }
    own = first.spec
    terms = tuple(
        replace(term, **changes.get(term.name, {})) if isinstance(term, Media) else term
        for term in own.terms
    )
    short = {} if any(t.name == Media.name for t in own.terms) else changes[Media.name]
    mixed_priors = {n: p for n, p in own.priors.items() if n not in gone} | priors
    return replace(own, **short, terms=terms, priors=mixed_priors), Draws(params, columns)


def _stored(spec: Spec, parameter: str, fit: Fit) -> list[str]:
    """Names under which draws hold a parameter and what it is pooled about."""
    sites = (s for s in spec.sites(spec.sizes(fit.panel)) if s.path[0] == parameter)
    names = dict.fromkeys(n for s in sites for n in (s.name, s.makes) if n)
    return [n for n in names if n in fit.draws.params]


def _alike(fits: Mapping[str, Fit]) -> None:
    """Refuse fits that are not of the same data, or differ in more than kernels."""
    if len(fits) < 2:
        checks.fail("fits", Phrase(f"{len(fits)}"), "", "two fits or more", "add another")
    (name, first), *others = fits.items()
    for other, fit in others:
        where = f'"{other}" beside "{name}"'
        units = [
            [getattr(one.scale, each.name) for each in fields(one.scale)]
            for one in (first, fit)
        ]
        if not (
            first.panel.data_hash() == fit.panel.data_hash()
            and all(
                (a is b) or (a is not None and b is not None and np.array_equal(a, b, True))
                for a, b in zip(*units, strict=True)
            )
        ):
            fix = "fit all candidates to the same training panel, with the same scales"
            checks.fail("fits", Phrase("other data or units"), where, "one panel", fix)
        for what, x, y in (
            ("likelihood", first.spec.likelihood, fit.spec.likelihood),
            ("terms", _bare(first.spec), _bare(fit.spec)),
            ("dims of parameters", _dims(first), _dims(fit)),
        ):
            if x != y:
                allowed = "the same in all, but for the kernels of media"
                fix = "compare them with mm.backtest instead"
                checks.fail(what, Phrase(f"{y}"), where, allowed, fix)


def _bare(spec: Spec) -> list[Any]:
    """What makes the mean but the kernels of media: terms without theirs, and days."""
    terms: list[Any] = [spec.per_day]
    for t in spec.parts:
        kernels = ROLES if isinstance(t, Media) else ()
        terms.append((t.kind, {n: x for n, x in vars(t).items() if n not in kernels}))
    return terms


def _dims(fit: Fit) -> dict[str, tuple[str, ...]]:
    """Dims of every stored parameter that is of no kernel."""
    spec = fit.spec
    kernels = {
        stored
        for term in spec.media
        for kernel in (term.adstock, term.saturation)
        for name in kernel.parameters()
        for stored in _stored(spec, spec.full(term, name), fit)
    }
    return {n: fit.dims(n) for n in sorted(fit.draws.params) if n not in kernels}
