"""Draws and Fit: what any sampler writes and everything later reads.

:class:`Draws` holds parameters only, in the scaled units of the model; whatever else a
person asks (contributions, predictions, plans) is computed from a :class:`Fit`. This
module also judges a fit: :func:`diagnostics` says whether it can be used and why not,
:func:`summary` lists every scalar parameter.

Sources: Vehtari et al. (2021), "Rank-normalization, folding, and localization: An
improved R-hat", for R-hat, bulk and tail ESS and their thresholds; Betancourt (2016),
"Diagnosing suboptimal cotangent disintegrations", for E-BFMI; Vehtari et al. (2024),
"Pareto smoothed importance sampling", for Pareto k.
"""

import importlib
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from itertools import product
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from mmmjax import convergence, words
from mmmjax.arguments import checked
from mmmjax.arrays import Arrays
from mmmjax.checks import Phrase, fail, integer, listing
from mmmjax.convergence import MAX_R_HAT, MIN_DRAWS, MIN_ESS_PER_CHAIN
from mmmjax.findings import Finding
from mmmjax.metrics import hdi
from mmmjax.panel import Panel
from mmmjax.prior import replace_prior
from mmmjax.response import make_inputs
from mmmjax.scaling import Scale
from mmmjax.shapes import CHAIN, CHANNEL, DATE, DRAW, GEO
from mmmjax.spec import Spec, among

__all__ = ["Diagnostics", "Draws", "Fit", "diagnostics", "of_fit", "scalars", "summary"]

MAX_DIVERGENCE_RATE = 0.01  # above it the posterior is not to be trusted
CARE_DIVERGENCE_RATE = 0.001  # above it the fit is used with care
MIN_BFMI = 0.3  # Betancourt (2016): below it the energy is explored badly
MAX_PARETO_K = 0.7  # Vehtari et al. (2024): above it importance weights do not correct
MAX_ENERGY_ERROR = 0.002  # of moves that are never refused: see mmmjax.MCLMC
MAX_DRIFT = 5.0  # errors; particles that more moves still move, see mmmjax.SMC
HDI_PROB = 0.94
COLUMNS = ("mean", "sd", "hdi_3", "hdi_97", "ess_bulk", "ess_tail", "r_hat", "mcse_mean")


@checked
@dataclass(frozen=True, eq=False)
class Draws:
    """Posterior draws of one fit.

    Args:
        params: Parameter name -> array (chain, draw, *dims), scaled units.
        stats: Sampler statistic -> array (chain, draw): diverging (bool), n_steps
            (gradients), tree_depth, acceptance_rate, energy, lp, step_size.
    """

    params: dict[str, np.ndarray]
    stats: dict[str, np.ndarray] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Check that every array has the same leading (chain, draw)."""
        if not self.params:
            fail(
                "draws", {}, "params", "at least one parameter", "pass params={name: array}"
            )
        sizes = {n: a.shape[:2] for n, a in (self.params | self.stats).items()}
        first = next(iter(sizes.values()))
        wrong = {n: s for n, s in sizes.items() if s != first or len(s) != 2 or 0 in s}
        if wrong:
            name, shape = next(iter(wrong.items()))
            fail(
                f"draws of {name}",
                Phrase(f"leading shape {shape}"),
                "(chain, draw)",
                f"{first} as in the first parameter, at least one of each",
                "every array starts with (chain, draw), whatever its dims",
            )

    @property
    def n_chains(self) -> int:
        """Number of chains."""
        return next(iter(self.params.values())).shape[0]

    @property
    def n_draws(self) -> int:
        """Number of draws of each chain."""
        return next(iter(self.params.values())).shape[1]

    @property
    def n_parameters(self) -> int:
        """Number of scalar parameters."""
        return sum(int(np.prod(a.shape[2:])) for a in self.params.values())

    def flat(self, max_draws: int | None = None) -> dict[str, np.ndarray]:
        """Parameters with chains joined, (draw_total, *dims); chain after chain.

        Args:
            max_draws: Keep at most this many, evenly spaced over all chains.
        """
        total = self.n_chains * self.n_draws
        if max_draws is not None:
            max_draws = integer(
                "max_draws", max_draws, low=1, fix=f"None keeps all {total}"
            )
        flat = {n: a.reshape(total, *a.shape[2:]) for n, a in self.params.items()}
        if max_draws is None or max_draws >= total:
            return flat
        keep = np.arange(max_draws) * total // max_draws
        return {name: array[keep] for name, array in flat.items()}

    def __repr__(self) -> str:
        """Sizes and names."""
        shapes = ", ".join(f"{n}{list(a.shape[2:]) or ''}" for n, a in self.params.items())
        return f"Draws({self.n_chains} chains x {self.n_draws} draws: {shapes})"


@checked
@dataclass(frozen=True, eq=False)
class Fit:
    """A fitted model: what was asked (spec, panel), how (sampler, seed), and the draws.

    Args:
        spec: What the model is.
        panel: The training data, original units.
        scale: The units of the model, frozen at fit.
        sampler: The settings record of the sampler that made the draws.
        draws: Parameters and sampler statistics.
        seed: Seed of the run; same seed, data and machine give the same draws.
        info: JSON-able record of the run: timings, gradients, versions, device, notes.
    """

    spec: Spec
    panel: Panel
    scale: Scale
    sampler: Any
    draws: Draws
    seed: int
    info: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Check that every parameter has the shape that spec and panel give it.

        Draws without a spread are of a model that did not pool: the spec says so.
        """
        spec = among(self.spec, self.spec.sizes(self.panel))
        object.__setattr__(self, "spec", spec)
        coords, priors = self.coords(), dict(spec.priors)
        for name, prior in priors.items():
            drawn = self.draws.params.get(name)
            spreads = {f"{name}_{key}" for key in prior.spreads}
            if prior.pool and drawn is not None and not spreads & {*self.draws.params}:
                plain, wide = prior.typical, replace_prior(prior, pool=())
                common = tuple(len(coords[d]) for d in plain.dims or ())
                priors[name] = plain if drawn.shape[2:] == common else wide
        if priors != spec.priors:
            object.__setattr__(self, "spec", replace(spec, priors=priors))
        for name, array in self.draws.params.items():
            dims = self.dims(name)
            expected = tuple(len(coords[d]) for d in dims)
            if array.shape[2:] != expected:
                fail(
                    f"draws of {name}",
                    Phrase(f"shape {array.shape[2:]}"),
                    "the dims after (chain, draw)",
                    f"{expected} for {dims or 'a scalar'}",
                    "use the panel and spec that the draws were made with",
                )

    def dims(self, name: str) -> tuple[str, ...]:
        """Dimensions of one stored parameter, without chain and draw."""
        return self.spec.dims(name)

    def coords(self) -> dict[str, list]:
        """Labels of every dimension; dates are those of the training window."""
        labels = {d: list(names) for d, names in self.spec.labels(self.panel).items()}
        return labels | {DATE: list(self.panel.dates[self.panel.window])}

    def inputs(self) -> Arrays:
        """Scaled arrays of the training panel, as the forward function takes them."""
        return make_inputs(self.spec, self.panel, self.scale)

    def flat(self, max_draws: int | None = None) -> dict[str, np.ndarray]:
        """Parameters with chains joined; see :meth:`Draws.flat`."""
        return self.draws.flat(max_draws)

    def findings(self) -> tuple[Finding, ...]:
        """What speaks against this fit, the most severe first: see :func:`mmmjax.judge`."""
        # judging needs rooms above this one: the public door is reached when it is asked
        return importlib.import_module("mmmjax.adequacy").judge(self).findings

    def to_arviz(self, log_likelihood: bool = False) -> xr.DataTree:
        """ArviZ's DataTree: groups posterior and sample_stats, named dims and coords.

        Args:
            log_likelihood: Add the group log_likelihood, for ``az.loo`` and
                ``az.compare``: ``outcome`` (chain, draw, observation), per unit of outcome,
                of the cells with an outcome (masked ones are left out; coords geo and
                date). It holds 8 bytes for each draw and observation.
        """
        coords, draws = self.coords(), self.draws
        sample = {CHAIN: np.arange(draws.n_chains), DRAW: np.arange(draws.n_draws)}
        used = [d for name in draws.params for d in self.dims(name)]
        attrs = {"inference_library": "mmmjax", "sample_dims": [CHAIN, DRAW]}
        posterior = xr.Dataset(
            {n: ((CHAIN, DRAW, *self.dims(n)), a) for n, a in draws.params.items()},
            sample | {d: coords[d] for d in dict.fromkeys(used)},
            attrs,
        )
        stats = {n: ((CHAIN, DRAW), a) for n, a in draws.stats.items()}
        groups = {"/posterior": posterior}
        groups["/sample_stats"] = xr.Dataset(stats, sample, attrs)
        if log_likelihood:  # prediction stands above draws: loaded when it is asked for
            every = importlib.import_module("mmmjax.prediction").log_likelihood(self)
            flat = every.reset_coords(drop=True).stack(observation=(GEO, DATE))
            seen = self.panel.mask[:, self.panel.window].ravel()
            labels = {n: ("observation", flat[n].values[seen]) for n in (GEO, DATE)}
            kept = flat["outcome"].transpose(CHAIN, DRAW, "observation").values[..., seen]
            data = {"outcome": ((CHAIN, DRAW, "observation"), kept)}
            groups["/log_likelihood"] = xr.Dataset(data, sample | labels, attrs)
        return xr.DataTree.from_dict(groups)

    _repr_html_ = words.in_html

    def __repr__(self) -> str:
        """Data, model, sampler and how the run went, a line each."""
        panel, draws = self.panel, self.draws
        window = panel.dates[panel.history :]
        lines = [
            f"Fit: {len(panel.geos)} geo(s) x {len(window)} periods "
            f"({window[0]:%Y-%m-%d} to {window[-1]:%Y-%m-%d}), "
            f"{len(panel.channels)} channels, {len(panel.control_names)} controls",
            f"  draws     {draws.n_chains} chains x {draws.n_draws} of "
            f"{draws.n_parameters} parameters, seed {self.seed}",
            f"  sampler   {self.sampler!r}",
        ]
        if "diverging" in draws.stats:
            diverging = draws.stats["diverging"]
            lines.append(f"  diverged  {int(diverging.sum())} of {diverging.size}")
        timings = self.info.get("timings", {})
        if timings:
            said = ", ".join(f"{k.removesuffix('_s')} {timings[k]:.1f} s" for k in timings)
            lines.append(f"  time      {said}")
        lines.append("  next      mm.summary(fit), mm.diagnostics(fit), mm.roas(fit)")
        return "\n".join(lines)


@dataclass(frozen=True)
class Diagnostics:
    """Can the draws be used? Numbers, the worst parameters by name, and a verdict."""

    n_chains: int
    n_draws: int
    n_parameters: int
    divergences: int
    divergence_rate: float
    max_r_hat: float
    worst_r_hat: str
    min_ess_bulk: float
    worst_ess_bulk: str
    min_ess_tail: float
    worst_ess_tail: str
    min_bfmi: float
    not_moving: tuple[str, ...]
    not_finite: tuple[str, ...]
    converged: bool
    verdict: str

    def to_dict(self) -> dict[str, Any]:
        """Plain dictionary, for JSON."""
        return asdict(self)

    def __str__(self) -> str:
        """Verdict first, then the numbers behind it."""
        return (
            f"{self.verdict}\n"
            f"  max R-hat     {self.max_r_hat:.4f}  {self.worst_r_hat}\n"
            f"  min ESS bulk  {self.min_ess_bulk:.0f}  {self.worst_ess_bulk}\n"
            f"  min ESS tail  {self.min_ess_tail:.0f}  {self.worst_ess_tail}\n"
            f"  divergences   {self.divergences} ({self.divergence_rate:.2%})"
        )


@checked
def summary(fit: Fit, *, mcse_sd: bool = False) -> pd.DataFrame:
    """One row per scalar parameter, the columns of ``parameters.csv``.

    Columns: parameter, index (its labels, "" for a scalar), mean, sd, hdi_3 and hdi_97
    (bounds of the 94% highest density interval), ess_bulk, ess_tail, r_hat, mcse_mean;
    scaled units. ESS, R-hat and MCSE are NaN where draws are constant or not finite.
    Parameters of several media terms stand together under the plain name, channels in the
    panel's order; draws keep theirs.

    Args:
        fit: The fit.
        mcse_sd: Add the Monte Carlo standard error of the sd as a last column.
    """
    labels, order = scalars(fit)
    table = _weighed(_statistics(_stack(fit.draws.params)[order]), fit)
    columns = (*COLUMNS, "mcse_sd") if mcse_sd else COLUMNS
    return pd.DataFrame(
        {"parameter": [n for n, _ in labels], "index": [i for _, i in labels]}
        | {column: table[column] for column in columns}
    )


def of_fit(fit: Fit, table: pd.DataFrame) -> pd.DataFrame:
    """The table, if it is the :func:`summary` of the fit."""
    rows, needed = len(scalars(fit)[0]), ("mean", "sd", "r_hat", "ess_bulk", "ess_tail")
    if not {*needed} <= {*table.columns} or len(table) != rows:
        got = Phrase(f"{len(table)} rows with the columns {listing(table.columns, 6)}")
        allowed = f"the summary of this fit, {rows} rows"
        fail("table", got, "", allowed, "mm.summary(fit), or leave it out")
    return table


@checked
def diagnostics(fit: Fit, table: pd.DataFrame | None = None) -> Diagnostics:
    """Judge the draws by the thresholds of Vehtari et al. (2021).

    Converged means: every draw finite, every parameter moves in every chain, R-hat
    <= 1.01, bulk and tail ESS >= 100 per chain, at most 1% divergences; of approximations
    also that Pareto k <= 0.7 (their ESS is that of the importance weights). The verdict is
    "usable", "usable with care (why)" or "not usable (why)"; the first two only for
    converged draws.

    Args:
        fit: The fit.
        table: The :func:`summary` of this fit, if it is at hand.
    """
    draws = fit.draws
    labels, order = scalars(fit)
    values, names = _stack(draws.params)[order], [_label(*pair) for pair in labels]
    only = ("ess_bulk", "ess_tail", "r_hat")
    usual = table is None
    given = _weighed(_statistics(values, only), fit) if usual else of_fit(fit, table)
    found = {name: np.asarray(given[name]) for name in only}
    finite = np.isfinite(values).all(axis=(1, 2))
    moves = (np.ptp(values, axis=2) > 0).all(axis=1)  # in every chain; NaN does not
    max_r_hat, worst_r_hat = _worst(found["r_hat"], names, np.nanargmax)
    min_bulk, worst_bulk = _worst(found["ess_bulk"], names, np.nanargmin)
    min_tail, worst_tail = _worst(found["ess_tail"], names, np.nanargmin)
    diverging = draws.stats.get("diverging", np.zeros((1, 1), bool))
    numbers: dict[str, Any] = {
        "n_chains": draws.n_chains,
        "n_draws": draws.n_draws,
        "n_parameters": len(names),
        "divergences": int(diverging.sum()),
        "divergence_rate": float(diverging.mean()),
        "max_r_hat": max_r_hat,
        "worst_r_hat": worst_r_hat,
        "min_ess_bulk": min_bulk,
        "worst_ess_bulk": worst_bulk,
        "min_ess_tail": min_tail,
        "worst_ess_tail": worst_tail,
        "min_bfmi": _least(draws.stats.get("energy")),
        "not_moving": tuple(np.compress(finite & ~moves, names).tolist()),
        "not_finite": tuple(np.compress(~finite, names).tolist()),
    }
    faults = [*_untrue(fit.info), *_faults(numbers)]
    cares = [*_cares(numbers), *_inexact(fit.info)]
    if faults:
        verdict = f"not usable ({'; '.join(faults)})"
    else:
        verdict = f"usable with care ({'; '.join(cares)})" if cares else "usable"
    return Diagnostics(**numbers, converged=not faults, verdict=verdict)


def _weighed(found: dict[str, np.ndarray], fit: Fit) -> dict[str, np.ndarray]:
    """Statistics of resampled draws: no more effective ones than the weights had."""
    most = fit.info.get("weights_ess")
    if most is None:
        return found
    loss = np.sqrt(fit.draws.n_chains * fit.draws.n_draws / most)
    lower = {n: np.minimum(found[n], most) for n in ("ess_bulk", "ess_tail")}
    wider = {n: found[n] * loss for n in ("mcse_mean", "mcse_sd") if n in found}
    return found | lower | wider


def _untrue(info: Mapping[str, Any]) -> list[str]:
    """Reasons why draws are not of the posterior, whatever they agree on."""
    faults = []
    k, error = info.get("pareto_k", 0.0), info.get("energy_error", 0.0)
    drift = info.get("drift", 0.0)
    if not k <= MAX_PARETO_K:
        faults.append(
            f"approximation: Pareto k {k:.2f} above {MAX_PARETO_K}, fit with mm.HMC()"
        )
    if not error <= MAX_ENERGY_ERROR:
        faults.append(
            f"energy error {error:.2g} a step and dimension above {MAX_ENERGY_ERROR}: "
            "biased, take adjusted=True"
        )
    if not drift <= MAX_DRIFT:
        faults.append(
            f"particles drift by {drift:.1f} errors under more moves, above {MAX_DRIFT:g}: "
            "take mm.NUTS()"
        )
    return faults


def _inexact(info: Mapping[str, Any]) -> list[str]:
    """Reasons for care with draws that are close to the posterior's."""
    return ["not adjusted: biased by hundredths of a sd"] if "energy_error" in info else []


def _faults(n: Mapping[str, Any]) -> list[str]:
    """Reasons why the draws must not be used."""
    faults = []
    if n["not_finite"]:
        faults.append(f"draws of {_some(n['not_finite'])} are NaN or infinite")
    if n["not_moving"]:
        faults.append(f"{_some(n['not_moving'])} did not move in at least one chain")
    if n["n_draws"] < MIN_DRAWS:
        faults.append(f"{n['n_draws']} draws a chain cannot be judged, take more")
    elif n["n_chains"] < 2:
        faults.append("one chain cannot be checked against another, run 4")
    if n["max_r_hat"] > MAX_R_HAT:
        faults.append(f"R-hat {n['max_r_hat']:.3f} of {n['worst_r_hat']} above {MAX_R_HAT}")
    needed = MIN_ESS_PER_CHAIN * n["n_chains"]
    for kind in ("bulk", "tail"):
        if n[f"min_ess_{kind}"] < needed:
            faults.append(
                f"{kind} ESS {n[f'min_ess_{kind}']:.0f} of {n[f'worst_ess_{kind}']} "
                f"below {needed}"
            )
    if n["divergence_rate"] > MAX_DIVERGENCE_RATE:
        faults.append(
            f"{n['divergences']} divergences, {n['divergence_rate']:.1%} of the draws, "
            "raise target_accept or take mm.NUTS()"
        )
    return faults


def _cares(n: Mapping[str, Any]) -> list[str]:
    """Reasons for care with draws that have no fault."""
    cares = []
    if n["divergence_rate"] > CARE_DIVERGENCE_RATE:
        cares.append(
            f"{n['divergences']} divergences, {n['divergence_rate']:.2%} of the draws"
        )
    if n["min_bfmi"] < MIN_BFMI:
        cares.append(f"E-BFMI {n['min_bfmi']:.2f} below {MIN_BFMI}")
    return cares


def scalars(fit: Fit) -> tuple[list[tuple[str, str]], np.ndarray]:
    """Parameter and index of every scalar as tables have them, and its place in the draws.

    The places are those of the scalars of ``draws.params``, one parameter after the other.
    """
    spec, coords = fit.spec, fit.coords()
    plain = {spec.full(t, name): name for t in spec.media for name in t.parameters()}
    over = {spec.dim(term, CHANNEL) for term in spec.media}
    rank = {channel: k for k, channel in enumerate(fit.panel.channels)}
    first: dict[str, int] = {}
    labels, keys = list[tuple[str, str]](), list[tuple[int, ...]]()
    for full in fit.draws.params:
        name, dims = plain.get(full, full), fit.dims(full)
        at = first.setdefault(name, len(first))
        for cell in product(*(enumerate(coords[d]) for d in dims)):
            labels.append((name, ", ".join(str(label) for _, label in cell)))
            pairs = zip(dims, cell, strict=True)
            keys.append((at, *(rank[c] if d in over else k for d, (k, c) in pairs)))
    order = sorted(range(len(keys)), key=keys.__getitem__)
    return [labels[i] for i in order], np.array(order, int)


def _label(parameter: str, index: str) -> str:
    return f"{parameter}[{index}]" if index else parameter


def _some(names: Sequence[str], most: int = 3) -> str:
    """The first few names, and how many more."""
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more


def _stack(params: Mapping[str, np.ndarray]) -> np.ndarray:
    """Every scalar parameter as a row: (parameter, chain, draw)."""
    rows = [a.reshape(*a.shape[:2], -1).transpose(2, 0, 1) for a in params.values()]
    return np.concatenate(rows)


def _worst(values: np.ndarray, names: Sequence[str], argworst: Any) -> tuple[float, str]:
    if np.isnan(values).all():
        return float("nan"), ""
    worst = int(argworst(values))
    return float(values[worst]), names[worst]


def bfmi(energy: np.ndarray) -> np.ndarray:
    """E-BFMI of every chain: mean square change of the energy over its variance.

    Below 0.3 the sampler's momentum does not reach the energies that it should. NaN where
    energies do not change or are fewer than 4.

    Args:
        energy: Energy of every draw, (chain, draw).

    Source: Betancourt (2016), "Diagnosing suboptimal cotangent disintegrations in
    Hamiltonian Monte Carlo", eq. 7.
    """
    energy = np.asarray(energy, np.float64)
    if energy.shape[1] < MIN_DRAWS:
        return np.full(len(energy), np.nan)
    with np.errstate(all="ignore"):
        return np.square(np.diff(energy, axis=1)).mean(1) / energy.var(1, ddof=1)


def _least(energy: np.ndarray | None) -> float:
    """Smallest E-BFMI that is known; NaN where none is."""
    return float("nan") if energy is None else float(np.fmin.reduce(bfmi(energy)))


UNITLESS = ("ess_bulk", "ess_tail", "r_hat")
ALL = (*UNITLESS, "hdi_3", "hdi_97", "mcse_mean", "mcse_sd")


def _statistics(values: np.ndarray, only: Sequence[str] = ALL) -> dict[str, np.ndarray]:
    """Statistics of rows (parameter, chain, draw); NaN where one is not defined."""
    some = (values[rows].astype(np.float64) for rows in convergence.blocks(values.shape))
    found = [_of_rows(rows, only) for rows in some]
    return {name: np.concatenate([part[name] for part in found]) for name in found[0]}


def _of_rows(values: np.ndarray, only: Sequence[str]) -> dict[str, np.ndarray]:
    """:func:`_statistics` of some rows, float64.

    They are brought to a spread of about 1 first, so that no square of theirs overflows;
    by powers of two, so that no bit and no tie changes.
    """
    n_rows, _, n_draws = values.shape
    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        spread = np.ptp(values, axis=(1, 2))
        moves = np.isfinite(spread) & (spread > 0)
        power = np.frexp(np.where(moves, spread, 1.0))[1]
        z = np.ldexp(values, -power[:, None, None])
        sd = np.where(spread == 0, 0.0, np.ldexp(z.std(axis=(1, 2), ddof=1), power))
        found = {"mean": values.mean(axis=(1, 2)), "sd": sd}
        judged = moves & (n_draws >= MIN_DRAWS)
        for name in only:
            found[name] = np.full(n_rows, np.nan)
        if judged.any():
            for name, result in _judged(z[judged], only).items():
                unit = 0 if name in UNITLESS else power[judged]
                found[name][judged] = np.ldexp(result, unit)
    for name in {"hdi_3", "hdi_97"}.intersection(only):
        found[name] = np.where(spread == 0, found["mean"], found[name])
    return found


def _judged(z: np.ndarray, only: Sequence[str]) -> dict[str, np.ndarray]:
    """Statistics of rows that move, by name."""
    found = convergence.judged(z)._asdict()
    if "mcse_mean" in only:
        found["mcse_mean"], found["mcse_sd"] = convergence.mcse(z)
        found["hdi_3"], found["hdi_97"] = hdi(z.reshape(len(z), -1), HDI_PROB, axis=1)
    return {name: found[name] for name in only}
