"""Sampler settings as plain records, so that a stored fit can name its sampler."""

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Any, ClassVar, Literal

from mmmjax import checks
from mmmjax.arguments import checked, named
from mmmjax.convergence import MAX_R_HAT, MIN_ESS_PER_CHAIN

__all__ = [
    "HMC", "MCLMC", "MEADS", "NUTS", "SAMPLERS", "SMC", "ChEES", "Converged", "Laplace",
    "Pathfinder", "Sampler", "kept", "most_draws", "shorter",
]  # fmt: skip

STATS = 8  # numbers kept of an iteration besides its place, at most
GO_ON = 4  # times the draws asked for, at most, where `max_draws` says nothing


@checked
@dataclass(frozen=True)
class Converged:
    """When to stop: every scalar parameter at most this R-hat and at least this ESS.

    The defaults are what :func:`mmmjax.diagnostics` asks for.

    Args:
        r_hat: Largest rank-normalised split R-hat, above 1.
        ess: Smallest effective sample size, bulk and tail, over all chains; None: 100 a
            chain.

    Source: Vehtari et al. (2021).
    """

    r_hat: float = MAX_R_HAT
    ess: float | None = None

    def __post_init__(self) -> None:
        """Check ranges."""
        fix = "r_hat=1.01"
        r_hat = checks.number("until r_hat", self.r_hat, low=1, open_low=True, fix=fix)
        object.__setattr__(self, "r_hat", r_hat)
        if self.ess is not None:
            ess = checks.number("until ess", self.ess, low=0, fix="ess=400")
            object.__setattr__(self, "ess", ess)

    def least(self, chains: int) -> float:
        """Effective sample size that so many chains must have."""
        return float(MIN_ESS_PER_CHAIN * chains if self.ess is None else self.ess)

    def met(self, r_hat: float, ess: float, chains: int) -> bool:
        """Whether draws of so many chains are enough."""
        return r_hat <= self.r_hat and ess >= self.least(chains)


@named
@dataclass(frozen=True)
class NUTS:
    """The No-U-Turn sampler on the preconditioned density; the default for one market.

    Args:
        chains: Independent chains, run on all cores (at least 2 are needed for R-hat).
        warmup: Iterations per chain that adapt step size and metric and are not kept.
        draws: Kept draws per chain. Both are rounded up to whole chunks; the fit says so.
        until: Go on, ``draws`` at a time, until this is reached; None: never.
        max_draws: Most kept draws per chain with ``until``; None: four times ``draws``.
        target_accept: Mean acceptance that the step size aims at, in (0, 1).
        max_tree_depth: At most ``2 ** max_tree_depth - 1`` leapfrogs a draw.
        chunk: Iterations per compiled call; progress is shown between chunks.
        dtype: "float32" or "float64" for the density during sampling.

    Source: Hoffman and Gelman (2014); Betancourt (2017), as in NumPyro.
    """

    kind: ClassVar[str] = "nuts"
    chains: int = 4
    warmup: int = 1000
    draws: int = 1000
    until: Converged | None = Converged()
    max_draws: int | None = None
    target_accept: float = 0.8
    max_tree_depth: int = 10
    chunk: int = 50
    dtype: Literal["float32", "float64"] = "float32"

    def __post_init__(self) -> None:
        """Check ranges; ``until`` as a table or a flag of a file becomes a record."""
        _check(self, warmup=(50, 1_000_000), max_tree_depth=(1, 20))
        _check_until(self)


@named
@dataclass(frozen=True)
class HMC:
    """Lock-step Hamiltonian Monte Carlo on the preconditioned density; fast, for many.

    Every chain takes the same number of leapfrogs in an iteration, 1 to ``leapfrogs`` in
    the order of a Halton sequence; up to four chains of a market share a step size, all
    of them a metric. No chain ever waits for the longer tree of another, so that many
    chains and markets are one program. A posterior with a funnel needs longer
    trajectories, e.g. ``leapfrogs=32, target_accept=0.95``, or NUTS; too short ones show
    as R-hat far above 1.01.

    Args:
        chains: Independent chains (at least 2 are needed for R-hat).
        warmup: Iterations per chain that adapt step size and metric and are not kept.
        draws: Kept draws per chain. Both are rounded up to whole chunks; the fit says so.
        until: Go on, ``draws`` at a time, until this is reached; None: never.
        max_draws: Most kept draws per chain with ``until``; None: four times ``draws``.
        target_accept: Mean acceptance that the step size aims at, in (0, 1).
        leapfrogs: Most leapfrogs of an iteration; None: 8, and 16 where geos have
            parameters of their own.
        chunk: Iterations per compiled call; progress is shown between chunks.
        dtype: "float32" or "float64" for the density during sampling.

    Source: Neal (2011), "MCMC using Hamiltonian dynamics"; Hoffman and Gelman (2014) for
    the step size; Hoffman, Radul and Sountsov (2021), "An adaptive-MCMC scheme for setting
    trajectory lengths", for the Halton sequence.
    """

    kind: ClassVar[str] = "hmc"
    chains: int = 8
    warmup: int = 250
    draws: int = 800
    until: Converged | None = Converged()
    max_draws: int | None = None
    target_accept: float = 0.8
    leapfrogs: int | None = None
    chunk: int = 50
    dtype: Literal["float32", "float64"] = "float32"

    def __post_init__(self) -> None:
        """Check ranges; ``until`` as a table or a flag of a file becomes a record."""
        given = {} if self.leapfrogs is None else {"leapfrogs": (1, 1024)}
        _check(self, warmup=(50, 1_000_000), **given)
        _check_until(self)

    def most(self, own: bool) -> int:
        """Most leapfrogs of an iteration; ``own``: geos have parameters of their own."""
        return self.leapfrogs or (16 if own else 8)


@named
@dataclass(frozen=True)
class Laplace:
    """The Laplace approximation, corrected by importance weights: a look in a second.

    Proposals of a Student law at the mode are weighted by exact density over theirs, the
    weights are Pareto-smoothed, mean and covariance matched in three rounds, and as many
    draws as asked are resampled. Where a Pareto k, of the weights or of them times squares,
    is above 0.7, they do not correct the approximation and :func:`mmmjax.diagnostics` says
    "not usable": so it was on both test markets with media (k 0.9 and 1.1), while a model
    without media has 0.3. The effective sample size is that of the weights. A second mode
    far away goes unseen: decide on draws of ``mm.HMC()`` or ``mm.NUTS()``.

    Args:
        chains: Parts that the draws are split in.
        draws: Kept draws of each part.
        proposals: Weighted draws of each round, at least the draws kept.
        dtype: "float32" or "float64" for the density.

    Source: Vehtari et al. (2024), "Pareto smoothed importance sampling"; Paananen et al.
    (2021), "Implicitly adaptive importance sampling", for the rounds.
    """

    kind: ClassVar[str] = "laplace"
    chains: int = 4
    draws: int = 1000
    proposals: int = 20_000
    dtype: Literal["float32", "float64"] = "float32"

    def __post_init__(self) -> None:
        """Check ranges."""
        _check(self)
        _check_proposals(self)


@named
@dataclass(frozen=True)
class Pathfinder:
    """Normals along quasi-Newton paths, mixed and corrected by importance weights: a look.

    Each path gives the normal of the highest evidence bound along it; proposals at their
    places are weighted, matched, resampled and judged as those of :class:`Laplace`. Paths
    from several starts may find several modes.

    Args:
        chains: Parts that the draws are split in.
        draws: Kept draws of each part.
        proposals: Weighted draws of each round, at least the draws kept.
        paths: Paths, from random starts.
        iterations: Most quasi-Newton iterations of a path.
        dtype: "float32" or "float64" for the density.

    Source: Zhang, Carpenter, Gelman and Vehtari (2022), "Pathfinder: parallel quasi-Newton
    variational inference"; the mixture's own density is in the weights.
    """

    kind: ClassVar[str] = "pathfinder"
    chains: int = 4
    draws: int = 1000
    proposals: int = 20_000
    paths: int = 8
    iterations: int = 60
    dtype: Literal["float32", "float64"] = "float32"

    def __post_init__(self) -> None:
        """Check ranges."""
        _check(self, paths=(1, 1024), iterations=(5, 10_000))
        _check_proposals(self)


@named
@dataclass(frozen=True)
class ChEES:
    """HMC whose trajectory length is learned from many chains at once.

    Warm-up is blackjax's, with a diagonal mass matrix (without one its trajectories
    collapse) learned from all chains in the last half.

    Args:
        chains: Chains, which learn together; at least 8.
        warmup: Iterations per chain that adapt and are not kept.
        draws: Kept draws per chain. Both are rounded up to whole chunks; the fit says so.
        target_accept: Mean acceptance that the step size aims at, in (0, 1).
        max_leapfrogs: Most leapfrogs of an iteration.
        chunk: Iterations per compiled call after the warm-up, which is one call.
        dtype: "float32" or "float64" for the density during sampling.

    Source: Hoffman, Radul and Sountsov (2021), "An adaptive-MCMC scheme for setting
    trajectory lengths in Hamiltonian Monte Carlo", as in blackjax.
    """

    kind: ClassVar[str] = "chees"
    chains: int = 16
    warmup: int = 500
    draws: int = 800
    target_accept: float = 0.75
    max_leapfrogs: int = 100
    chunk: int = 50
    dtype: Literal["float32", "float64"] = "float32"

    def __post_init__(self) -> None:
        """Check ranges."""
        _check(self, chains=(8, 1024), warmup=(100, 1_000_000), max_leapfrogs=(1, 10_000))


@named
@dataclass(frozen=True)
class MCLMC:
    """Microcanonical Langevin Monte Carlo: trajectories of constant speed.

    Adjusted, every trajectory is accepted or refused, and the draws are of the posterior.
    Unadjusted, nothing is refused and a draw is 20 steps: the bias is then of hundredths of
    a sd, which R-hat does not see. The verdict always says so, and is "not usable" where
    the energy error of a step, squared, is above 0.002 a dimension; means were off by 4 to
    5 Monte Carlo errors of 20,000 draws where it was 0.02.

    Args:
        chains: Independent chains that share step size and metric.
        warmup: Iterations per chain that adapt both and are not kept.
        draws: Kept draws per chain. Both are rounded up to whole chunks; the fit says so.
        adjusted: Accept or refuse trajectories.
        chunk: Iterations per compiled call; progress is shown between chunks.
        dtype: "float32" or "float64" for the density during sampling.

    Source: Robnik, De Luca, Silverstein and Seljak (2023), "Microcanonical Hamiltonian
    Monte Carlo"; Robnik, Cohn-Gordon and Seljak (2025), "Metropolis adjusted microcanonical
    Hamiltonian Monte Carlo", as in blackjax.
    """

    kind: ClassVar[str] = "mclmc"
    chains: int = 8
    warmup: int = 1000
    draws: int = 1500
    adjusted: bool = True
    chunk: int = 50
    dtype: Literal["float32", "float64"] = "float32"

    def __post_init__(self) -> None:
        """Check ranges."""
        _check(self, warmup=(500, 1_000_000))
        if not isinstance(self.adjusted, bool):
            checks.fail(
                "sampler adjusted", self.adjusted, "", "true or false", "adjusted=True"
            )


@named
@dataclass(frozen=True)
class MEADS:
    """Generalised HMC whose tuning is learned from an ensemble of many chains.

    With 16 chains it diverged and stood still (R-hat 5.6), so fewer than 64 are refused.

    Args:
        chains: Chains, a multiple of 4, at least 64.
        warmup: Iterations per chain that adapt and are not kept.
        draws: Kept draws per chain, one every 20 iterations. Both are rounded up to whole
            chunks; the fit says so.
        chunk: Kept draws per compiled call after the warm-up, which is one call.
        dtype: "float32" or "float64" for the density during sampling.

    Source: Hoffman and Sountsov (2022), "Tuning-free generalized Hamiltonian Monte Carlo",
    as in blackjax.
    """

    kind: ClassVar[str] = "meads"
    chains: int = 64
    warmup: int = 1000
    draws: int = 300
    chunk: int = 50
    dtype: Literal["float32", "float64"] = "float32"

    def __post_init__(self) -> None:
        """Check ranges."""
        _check(self, chains=(64, 4096), warmup=(200, 1_000_000))
        if self.chains % 4:
            checks.fail(
                "sampler chains", self.chains, "", "a multiple of 4, the folds of MEADS",
                f"chains={self.chains + -self.chains % 4}",
            )  # fmt: skip


@named
@dataclass(frozen=True)
class SMC:
    """Adaptive tempered sequential Monte Carlo from a wide normal to the posterior.

    All populations begin alike, so that R-hat does not see what none has reached yet: on
    geos with nested priors it was 1.004 and a mean square 26 Monte Carlo errors off. Last
    of all every particle therefore makes moves with a quarter of the step, which leave
    draws of the posterior as they are; where means or mean squares drift by more than 5 of
    their errors (there 13; 2 on a national market) the verdict is "not usable". More
    ``moves`` help slowly; ``mm.NUTS()`` is the way out.

    Args:
        chains: Independent populations; R-hat compares them.
        draws: Particles of each population, every one a kept draw.
        target_ess: Share of effective particles that a rise of the temperature leaves, in
            (0, 1).
        moves: HMC moves of each particle at each temperature, about a quarter turn long.
        dtype: "float32" or "float64" for the density.

    Source: Del Moral, Doucet and Jasra (2006), "Sequential Monte Carlo samplers", as in
    blackjax.
    """

    kind: ClassVar[str] = "smc"
    chains: int = 4
    draws: int = 1000
    target_ess: float = 0.7
    moves: int = 10
    dtype: Literal["float32", "float64"] = "float32"

    def __post_init__(self) -> None:
        """Check ranges."""
        _check(self, draws=(100, 1_000_000), moves=(1, 1000))
        share = checks.number(
            "sampler target_ess", self.target_ess,
            low=0, high=1, open_low=True, open_high=True, fix="target_ess=0.7",
        )  # fmt: skip
        object.__setattr__(self, "target_ess", share)


def _check_proposals(sampler: Laplace | Pathfinder) -> None:
    """Resampling needs at least as many proposals as draws."""
    count = checks.integer("sampler proposals", sampler.proposals, low=100, high=10**7)
    object.__setattr__(sampler, "proposals", count)
    if sampler.proposals < sampler.chains * sampler.draws:
        checks.fail(
            "sampler proposals", sampler.proposals, "",
            f"at least chains * draws, {sampler.chains * sampler.draws}",
            "raise proposals, or lower draws",
        )  # fmt: skip


def _check_until(sampler: NUTS | HMC) -> None:
    """What a sampler goes on for: false is None and true the usual, as in files."""
    until = sampler.until
    if isinstance(until, Mapping):
        names = tuple(f.name for f in fields(Converged))
        for key in until:
            checks.choice("sampler until", key, names)
        until = Converged(**until)
    elif isinstance(until, bool):
        until = Converged() if until else None
    if not isinstance(until, Converged | None):
        checks.fail(
            "sampler until", until, "", "mm.Converged(...) or None",
            "until=mm.Converged(r_hat=1.01, ess=400)",
        )  # fmt: skip
    object.__setattr__(sampler, "until", until)
    if sampler.max_draws is None:
        return
    most = checks.integer("sampler max_draws", sampler.max_draws, low=1, high=10_000_000)
    object.__setattr__(sampler, "max_draws", most)
    if until is not None and sampler.max_draws < sampler.draws:
        checks.fail(
            "sampler max_draws", sampler.max_draws, "", f"at least draws, {sampler.draws}",
            "raise max_draws, or lower draws",
        )  # fmt: skip


def kept(sampler: "Sampler", scalars: int) -> tuple[int, str]:
    """Bytes of the draws that are asked for, with their statistics, and what they are.

    Args:
        sampler: Settings; what it may go on to is not counted.
        scalars: Of one draw.
    """
    chains, draws = sampler.chains, max(sampler.draws, getattr(sampler, "chunk", 0))
    most = max(chains * draws, getattr(sampler, "proposals", 0))
    wide = 8 if sampler.dtype == "float64" else 4
    of = f"{sampler.chains} chains of {sampler.draws:,} draws of {scalars:,} numbers"
    return most * (scalars + STATS) * wide, of


def most_draws(sampler: NUTS | HMC) -> int:
    """Draws a chain that may be kept, not yet in whole chunks."""
    if sampler.until is None:
        return sampler.draws
    return GO_ON * sampler.draws if sampler.max_draws is None else sampler.max_draws


def _check(sampler: Any, **more: tuple[int, int]) -> None:
    """Check the ranges of settings that samplers share, where it has them, and of more."""
    ranges = {"chains": (1, 1024), "draws": (1, 10_000_000), "chunk": (1, 10_000)} | more
    names = {f.name for f in fields(sampler)}
    for name, (low, high) in ranges.items():
        if name in names:
            given = getattr(sampler, name)
            whole = checks.integer(f"sampler {name}", given, low=low, high=high)
            object.__setattr__(sampler, name, whole)  # of any library: a plain one
    if "target_accept" in names:
        share = checks.number(
            "sampler target_accept", sampler.target_accept,
            low=0, high=1, open_low=True, open_high=True, fix="target_accept=0.9",
        )  # fmt: skip
        object.__setattr__(sampler, "target_accept", share)
    checks.choice("sampler dtype", sampler.dtype, ("float32", "float64"))


EVERY: tuple[type, ...] = (NUTS, HMC, Laplace, Pathfinder, ChEES, MCLMC, MEADS, SMC)
SAMPLERS: dict[str, Any] = {record.kind: record for record in EVERY}

type Sampler = NUTS | HMC | Laplace | Pathfinder | ChEES | MCLMC | MEADS | SMC


def shorter(sampler: Sampler) -> Sampler:
    """The same with a quarter of the warm-up where that is enough for an easier model."""
    if isinstance(sampler, NUTS | HMC):
        return replace(sampler, warmup=max(sampler.warmup // 4, 100))
    return sampler
