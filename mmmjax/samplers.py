"""Sampler settings as plain records, so that a stored fit can name its sampler."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, ClassVar, Literal

from mmmjax import checks

__all__ = ["HMC", "NUTS", "SAMPLERS", "Converged", "Sampler"]


@dataclass(frozen=True)
class NUTS:
    """The No-U-Turn sampler on the preconditioned density; the default for one market.

    Args:
        chains: Independent chains, run on all cores (at least 2 are needed for R-hat).
        warmup: Iterations per chain that adapt step size and metric and are not kept.
        draws: Kept draws per chain. Both are rounded up to whole chunks; the fit says so.
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
    target_accept: float = 0.8
    max_tree_depth: int = 10
    chunk: int = 50
    dtype: Literal["float32", "float64"] = "float32"

    def __post_init__(self) -> None:
        """Check ranges."""
        _check(self, warmup=50, max_tree_depth=(1, 20))


@dataclass(frozen=True)
class Converged:
    """When to stop: every scalar parameter at most this R-hat and at least this ESS.

    Args:
        r_hat: Largest rank-normalised split R-hat, above 1.
        ess: Smallest effective sample size, bulk and tail, over all chains.

    Source: Vehtari et al. (2021).
    """

    r_hat: float = 1.01
    ess: float = 400.0

    def __post_init__(self) -> None:
        """Check ranges."""
        checks.number("until r_hat", self.r_hat, low=1, open_low=True, fix="r_hat=1.01")
        checks.number("until ess", self.ess, low=0, fix="ess=400")


@dataclass(frozen=True)
class HMC:
    """Lock-step Hamiltonian Monte Carlo on the preconditioned density; fast, for many.

    Every chain takes the same number of leapfrogs in an iteration, 1 to ``leapfrogs`` in
    the order of a Halton sequence; up to four chains of a market share a step size, all
    of them a metric. No chain ever waits for the longer tree of another, so that many
    chains and markets are one program. A posterior with a funnel (nested scales of a few
    geos) needs longer trajectories, e.g. ``leapfrogs=32, target_accept=0.95``, or NUTS;
    too short ones show as R-hat far above 1.01.

    Args:
        chains: Independent chains (at least 2 are needed for R-hat).
        warmup: Iterations per chain that adapt step size and metric and are not kept.
        draws: Kept draws per chain. Both are rounded up to whole chunks; the fit says so.
        until: Go on, ``draws`` at a time, until this is reached; None: never.
        max_draws: Most kept draws per chain with ``until``.
        target_accept: Mean acceptance that the step size aims at, in (0, 1).
        leapfrogs: Most leapfrogs of an iteration.
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
    until: Converged | None = None
    max_draws: int = 4000
    target_accept: float = 0.8
    leapfrogs: int = 8
    chunk: int = 50
    dtype: Literal["float32", "float64"] = "float32"

    def __post_init__(self) -> None:
        """Check ranges; a table of a file becomes a record."""
        if isinstance(self.until, Mapping):
            names = tuple(f.name for f in fields(Converged))
            for key in self.until:
                checks.choice("sampler until", key, names)
            object.__setattr__(self, "until", Converged(**self.until))
        if not isinstance(self.until, Converged | None):
            checks.fail(
                "sampler until", self.until, "", "mm.Converged(...) or None",
                "until=mm.Converged(r_hat=1.01, ess=400)",
            )  # fmt: skip
        _check(self, warmup=50, leapfrogs=(1, 1024), max_draws=(1, 10_000_000))
        if self.until is not None and self.max_draws < self.draws:
            checks.fail(
                "sampler max_draws", self.max_draws, "", f"at least draws, {self.draws}",
                "raise max_draws, or lower draws",
            )  # fmt: skip


def _check(sampler: Any, warmup: int, **more: tuple[int, int]) -> None:
    """Check the ranges of settings that all samplers have, and of some more."""
    ranges = {
        "chains": (1, 1024),
        "warmup": (warmup, 1_000_000),
        "draws": (1, 10_000_000),
        "chunk": (1, 10_000),
    }
    for name, (low, high) in (ranges | more).items():
        checks.integer(f"sampler {name}", getattr(sampler, name), low=low, high=high)
    checks.number(
        "sampler target_accept", sampler.target_accept,
        low=0, high=1, open_low=True, open_high=True, fix="target_accept=0.9",
    )  # fmt: skip
    checks.choice("sampler dtype", sampler.dtype, ("float32", "float64"))


SAMPLERS = {"nuts": NUTS, "hmc": HMC}

type Sampler = NUTS | HMC
