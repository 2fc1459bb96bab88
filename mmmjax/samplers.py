"""Sampler settings as plain records, so that a stored fit can name its sampler."""

from dataclasses import dataclass
from typing import ClassVar, Literal

from mmmjax import checks

__all__ = ["NUTS", "SAMPLERS"]


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
        for name, low, high in (
            ("chains", 1, 1024),
            ("warmup", 50, 1_000_000),
            ("draws", 1, 10_000_000),
            ("max_tree_depth", 1, 20),
            ("chunk", 1, 10_000),
        ):
            checks.integer(f"sampler {name}", getattr(self, name), low=low, high=high)
        checks.number(
            "sampler target_accept", self.target_accept,
            low=0, high=1, open_low=True, open_high=True, fix="target_accept=0.9",
        )  # fmt: skip
        checks.choice("sampler dtype", self.dtype, ("float32", "float64"))


SAMPLERS = {"nuts": NUTS}
